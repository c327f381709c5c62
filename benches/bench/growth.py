"""File systems that share extents: what cloning costs, and reading more data than would fit otherwise."""

import contextlib
import fcntl
import os
import random
import shutil
import struct
import subprocess
import sys
import time

from .inputs import GIB, KIB, MIB, fixed_footer, gpt, write_raw
from .measure import Result, alternate, clock, cost, even_out, peak_anonymous
from .table import human, span, times

FICLONERANGE = 0x4020940D
MAKE = {
    "XFS": ["mkfs.xfs", "-q", "-m", "reflink=1"],
    "Btrfs": ["mkfs.btrfs", "-q"],
}


@contextlib.contextmanager
def mounted(kind, directory, size):
    """A new file system in a file of `directory`, on a loop device; `None` where that is not to be had."""
    image, place = os.path.join(directory, f"{kind}.img"), os.path.join(directory, kind)
    with open(image, "wb") as file:
        file.truncate(size)
    os.makedirs(place, exist_ok=True)
    there = False
    try:
        try:
            subprocess.run([*MAKE[kind], image], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            subprocess.run(["mount", "-o", "loop", image, place], check=True, stderr=subprocess.DEVNULL)
            there = True
        except (OSError, subprocess.CalledProcessError):
            print(f"skipped   {kind} on a loop device: it takes root and {MAKE[kind][0]}", file=sys.stderr)
        yield place if there else None
    finally:
        if there:
            subprocess.run(["umount", place], check=False)
        os.unlink(image)


def used(place):
    """Bytes of a file system that are not free, with everything on its device."""
    os.sync()
    told = os.statvfs(place)
    return (told.f_blocks - told.f_bfree) * told.f_frsize


def forget(path):
    """Drops a file from the host's cache."""
    with open(path, "rb") as file:
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def case_clone(options, table, directory):
    """A fixed source on a file system that shares extents: a clone, a footer, and one pass over the data."""
    size, total = (2 * GIB, 256 * MIB) if options.quick else (4 * GIB, GIB)
    table.section("Sharing extents with the source", f"""A fixed VHD of {human(size)} with {human(total)} of data on a new file system on a
                  loop device in memory; the output is on the same. All data is read once, to find what is zero and for digests.""")
    for kind in MAKE:
        with mounted(kind, directory, 6 * GIB if not options.quick else 2 * GIB) as place:
            if place is None:
                continue
            source, ours, theirs = (os.path.join(place, name) for name in ("source.vhd", "image", "theirs.vhd"))
            write_raw(source, size, total, fixed_footer(size))
            os.sync()

            def clean():
                shutil.rmtree(ours, ignore_errors=True)
                if os.path.exists(theirs):
                    os.unlink(theirs)

            prepare = [options.vhdkit, "prepare", source, "--role", "data", "-q", "-o", ours]
            commands = {
                "auto": [[*prepare, "--digest", "none"]],
                "never": [[*prepare, "--digest", "none", "--reflink", "never"]],
                "auto fs-verity": [prepare],
                "never fs-verity": [[*prepare, "--reflink", "never"]],
                "qemu-img convert": [["qemu-img", "convert", "-f", "vpc", "-O", "vpc", "-o", "subformat=fixed,force_size=on", source, theirs]],
                "cp --reflink=always": [["cp", "--reflink=always", source, theirs]],
                "cp --sparse=always": [["cp", "--sparse=always", "--reflink=never", source, theirs]],
            }
            found = alternate(commands, min(options.rounds, 3), even_out, clean)
            label = f"prepare, fixed on {kind}"
            table.ratio(f"{label}: no digest", found["auto"], found["never"], None, None, "--reflink=never")
            table.ratio(f"{label}: fs-verity", found["auto fs-verity"], found["never fs-verity"], None, None, "--reflink=never")
            for name, target in ("qemu-img convert", 0.9), ("cp --sparse=always", None), ("cp --reflink=always", None):
                table.ratio(f"{label}: no digest", found["auto"], found[name], target, None, name)
            grown = {}
            for name in "auto", "never":
                before = used(place)
                clock(commands[name][0])
                grown[name] = used(place) - before
                clean()
            table.limit(f"{label}: what the file system grows by", grown["auto"], total // 20, peer=grown["never"])
    case_ranges(options, table, directory)


def case_ranges(options, table, directory):
    """In which pieces to write, and whether the kernel copies faster: what is zero is found by reading, so everything is read first."""
    table.section("In which pieces to write", """A file of data that does not compress is read a MiB at a time and written anew, so many KiB
                  at a time or by `copy_file_range` without sharing. In the first column what that takes, in the second with fsync.""")
    count = 256 if options.quick else 1024
    for where in [directory, *([options.disk] if options.disk else [])]:
        path = os.path.join(where, "vhdkit-bench-ranges")
        noise = random.Random(1).randbytes(2 * MIB)
        with open(path, "wb") as file:
            for number in range(count):
                file.write(noise[number % 4096:][:MIB])
        os.sync()
        kinds = (1024, 256, 64, None)
        taken = {kind: [] for kind in kinds}
        for number in range(max(3, options.rounds)):
            for kind in kinds[number % 4:] + kinds[:number % 4]:
                even_out()
                taken[kind].append(ranges(path, count, kind))
        os.unlink(path)
        for kind, times_of in taken.items():
            how = f"{kind} KiB at a time" if kind else "copy_file_range"
            written, flushed = (Result(column) for column in zip(*times_of))
            table.note(f"{human(count * MIB)} on {kind_of(where)}, {how}", times(written), f"with fsync: {times(flushed)}")


def ranges(path, count, kib):
    """Seconds until all is written, and until it is flushed."""
    source = os.open(path, os.O_RDONLY)
    out = os.open(os.path.dirname(path), os.O_TMPFILE | os.O_RDWR, 0o600)
    os.ftruncate(out, count * MIB)
    piece = memoryview(bytearray(MIB))
    begin = time.perf_counter()
    for number in range(count):
        at = number * MIB
        os.preadv(source, [piece], at)
        if kib:
            for start in range(0, MIB, kib * KIB):
                os.pwrite(out, piece[start:start + kib * KIB], at + start)
        else:
            left = MIB
            while left:
                place = at + MIB - left
                left -= os.copy_file_range(source, out, left, place, place)
    written = time.perf_counter() - begin
    os.fsync(out)
    flushed = time.perf_counter() - begin
    os.close(source)
    os.close(out)
    return written, flushed


def kind_of(path):
    told = subprocess.run(["stat", "-f", "-c", "%T", path], capture_output=True, text=True)
    return told.stdout.strip() or "?"


def full_disk(place, path, size):
    """A fixed VHD full of data that stands on the file system once for each GiB of it: every GiB refers to the same extents."""
    seed = os.path.join(place, "seed")
    if not os.path.exists(seed):
        rng = random.Random(4)
        with open(seed, "wb") as file:
            for _ in range(GIB // (8 * MIB)):
                file.write(rng.randbytes(8 * MIB))
            os.fsync(file.fileno())
    head, tail = gpt(size, [("0FC63DAF-8483-4772-8E79-3D69D8477DE4", 2048, size // 512 - 2048)])
    with open(path, "wb") as file, open(seed, "rb") as data:
        file.truncate(size)
        for at in range(0, size, GIB):
            fcntl.ioctl(file.fileno(), FICLONERANGE, struct.pack("qQQQ", data.fileno(), 0, GIB, at))
        for at, piece in (0, head.ljust(MIB, b"\0")), (size - len(tail), tail), (size, fixed_footer(size)):
            file.seek(at)
            file.write(piece)


def case_growth(options, table, directory):
    """How time and memory grow with the data."""
    table.section("How cost grows with the data", """Fixed VHDs full of data that does not compress, on XFS on a loop device in memory. 1 GiB of it
                  stands there; the other GiBs refer to its extents, and every byte of them is read, through a page cache that is empty
                  at the start. Outputs are clones on the same file system, so nothing of the size is written; 100 GiB that are
                  written out do not fit here. Each command runs once for 100 GiB.""")
    with mounted("XFS", directory, 4 * GIB) as place:
        if place is None:
            return
        path, ours, copy = (os.path.join(place, name) for name in ("full.vhd", "image", "copy.vhd"))
        seen = {}
        for size in (GIB, 4 * GIB) if options.quick else (GIB, 10 * GIB, 100 * GIB):
            full_disk(place, path, size)

            def before():
                forget(path)

            def clean():
                shutil.rmtree(ours, ignore_errors=True)
                if os.path.exists(copy):
                    os.unlink(copy)

            prepare = [options.vhdkit, "prepare", path, "--role", "data", "-q", "-o", ours]
            check = [options.vhdkit, "check", "--role", "data", path]
            commands = {"prepare": [[*prepare, "--digest", "none"]], "fs-verity": [prepare],
                        "cp --reflink=always": [["cp", "--reflink=always", path, copy]]}
            if shutil.which("fsverity"):
                commands["fsverity digest"] = [["fsverity", "digest", path]]
            if size < 10 * GIB:
                commands["sha256sum"] = [["sha256sum", path]]
            found = alternate(commands, 1 if size > 10 * GIB else 2, before, clean)
            looks = alternate({"check": [check], "info": [["qemu-img", "info", path]]}, 10)
            seen[size] = found
            label = f"{human(size)} of data"
            table.ratio(f"check, {label}", looks["check"], looks["info"], None, (cost([check]), cost([["qemu-img", "info", path]])), "qemu-img info")
            table.ratio(f"prepare, no digest, {label}", found["prepare"], found["cp --reflink=always"], None, None, "cp --reflink=always")
            for name in "fsverity digest", "sha256sum":
                if name in found:
                    table.ratio(f"prepare with fs-verity, {label}", found["fs-verity"], found[name], None, None, name)
            if size <= 10 * GIB:
                table.limit(f"prepare with fs-verity, {label}: own memory at its peak", peak_anonymous(prepare) * KIB, 64 * MIB)
            clean()
            os.unlink(path)
        least, most = min(seen), max(seen)
        for name in "prepare", "fs-verity":
            value = seen[most][name].median / (seen[least][name].median * (most // least))
            table.add(f"{name if name == 'prepare' else 'prepare with fs-verity'}, {human(most)} of data, for each GiB",
                      span(seen[most][name].median * GIB / most), f"{span(seen[least][name].median)} ({human(least)})", f"{value:.2f}", "≤ 1.5",
                      "yes" if value <= 1.5 else "NO")
