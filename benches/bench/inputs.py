"""Disks to measure with. The same bytes in every run: all that is random comes from a seed."""

import os
import random
import shutil
import struct
import subprocess
import tempfile
import uuid
import zlib

KIB, MIB, GIB, TIB = 1 << 10, 1 << 20, 1 << 30, 1 << 40
BLOCK = 2 * MIB


def gpt(size, partitions):
    """Head (34 sectors) and tail (33 sectors) of a GPT; partitions are (type, first sector, last sector)."""
    last = size // 512 - 1
    entries = b""
    for number, (kind, first, end) in enumerate(partitions):
        unique = uuid.UUID(int=(0xBE0C << 112) | number).bytes_le
        entries += uuid.UUID(kind).bytes_le + unique + struct.pack("<QQQ", first, end, 0) + "bench".encode("utf-16le").ljust(72, b"\0")
    entries = entries.ljust(128 * 128, b"\0")

    def header(own, other, array):
        disk = uuid.UUID(int=0xBE0C << 112 | 0xFFFF).bytes_le
        fields = struct.pack("<QQQQ16sQIII", own, other, 34, last - 33, disk, array, 128, 128, zlib.crc32(entries))
        raw = b"EFI PART" + struct.pack("<IIII", 0x10000, 92, 0, 0) + fields
        return (raw[:16] + struct.pack("<I", zlib.crc32(raw)) + raw[20:]).ljust(512, b"\0")

    protective = struct.pack("<B3sB3sII", 0, b"\0\2\0", 0xEE, b"\xff\xff\xff", 1, min(last, 0xFFFFFFFF))
    mbr = b"\0" * 446 + protective + b"\0" * 48 + b"\x55\xaa"
    return mbr + header(1, last, 2) + entries, entries + header(last, 1, last - 32)


def fixed_footer(size):
    """The footer of a fixed VHD, as the specification says."""
    sectors = min(size // 512, 65535 * 16 * 255)
    footer = struct.pack(">8sIIQI4sI4sQQHBBI", b"conectix", 2, 0x10000, 2**64 - 1, 0, b"bnch", 0x10000, b"Wi2k", size, size,
                         min(sectors // (16 * 255), 65535), 16, 255, 2)
    footer = footer + b"\0" * 4 + uuid.UUID(int=0xBE0C).bytes + b"\0" * 428
    return footer[:64] + struct.pack(">I", 0xFFFFFFFF & ~sum(footer)) + footer[68:]


def runs(seed, size, total):
    """Places of `total` bytes of data in runs of 16 KiB to 4 MiB, spread over `size` bytes; whole sectors, not whole blocks."""
    rng = random.Random(seed)
    lengths, left = [], total
    while left > 0:
        length = min(left, int(2 ** rng.uniform(14, 22)) // 4096 * 4096)
        lengths.append(length)
        left -= length
    gaps = [rng.random() for _ in lengths]
    room = (size - 4 * MIB - total) / sum(gaps)
    at = 2 * MIB
    for length, gap in zip(lengths, gaps):
        at += int(gap * room)
        yield at // 512 * 512, length
        at += length


def write_raw(path, size, total, footer=b""):
    """A sparse file: a GPT, and data that does not compress, in runs."""
    noise = random.Random(1).randbytes(8 * MIB)
    rng = random.Random(2)
    with open(path, "wb") as file:
        file.truncate(size)
        head, tail = gpt(size, [("0FC63DAF-8483-4772-8E79-3D69D8477DE4", 2048, size // 512 - 2048)])
        for at, data in (0, head), (size - len(tail), tail):
            file.seek(at)
            file.write(data)
        for at, length in runs(3, size, total):
            start = rng.randrange(4 * MIB)
            file.seek(at)
            file.write(noise[start:start + length])
        if footer:
            file.seek(size)
            file.write(footer)


def quiet(*command):
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def small_disk(path, size, blocks):
    """A dynamic VHD with a GPT, a file system and some data: `blocks` blocks of 2 MiB have a place in the file."""
    quiet("qemu-img", "create", "-q", "-f", "vpc", "-o", "force_size=on", path, str(size))
    if not blocks:
        return
    system = 16 * MIB
    last = size // 512 - 1
    head, tail = gpt(size, [("0FC63DAF-8483-4772-8E79-3D69D8477DE4", 2048, 2048 + system // 512 - 1)])
    pieces = [(0, head), ((last - 32) * 512, tail)]
    with tempfile.TemporaryDirectory(dir=os.path.dirname(path)) as scratch:
        if shutil.which("mke2fs"):
            image = os.path.join(scratch, "fs")
            with open(image, "wb") as file:
                file.truncate(system)
            quiet("mke2fs", "-q", "-F", "-t", "ext4", "-U", str(uuid.UUID(int=0xBE0C)), image)
            with open(image, "rb") as file:
                pieces.append((MIB, file.read()))
        stride = (size - 40 * MIB) // blocks // 512 * 512 if size > 64 * MIB else BLOCK
        count = blocks if size > 64 * MIB else 1
        places = [18 * MIB + n * stride for n in range(count)]
        commands = [f"write -q -P 7 {at // 512 * 512} 4096" for at in places]
        for number, (at, data) in enumerate(pieces):
            name = os.path.join(scratch, f"piece{number}")
            with open(name, "wb") as file:
                file.write(data)
            commands.insert(number, f"write -q -s {name} {at} {len(data)}")
        for start in range(0, len(commands), 500):
            words = [word for command in commands[start:start + 500] for word in ("-c", command)]
            quiet("qemu-io", "-f", "vpc", path, *words)
