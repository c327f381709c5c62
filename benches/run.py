"""Measures vhdkit beside qemu-img and sha256sum. Started by run.sh; see README.md."""

import argparse
import glob
import json
import mmap
import os
import platform
import random
import re
import shutil
import statistics
import struct
import subprocess
import sys
import tempfile
import threading
import time
import uuid
import zlib

KIB, MIB, GIB, TIB = 1 << 10, 1 << 20, 1 << 30, 1 << 40
BLOCK = 2 * MIB
DEVNULL = os.open(os.devnull, os.O_RDWR)


# Inputs. The same bytes in every run: all that is random comes from a seed.


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


# Measuring.


def even_out():
    """Touches 3 GB and gives them back, in a process of its own: on a virtual machine whose host takes free pages away, the first run
    after a pause would otherwise pay for having them returned."""
    code = "import mmap;n=3<<30;m=mmap.mmap(-1,n,flags=mmap.MAP_PRIVATE|mmap.MAP_ANONYMOUS);m[::4096]=b'\\1'*(n>>12)"
    subprocess.run([sys.executable, "-c", code], check=False)


def clock(command, expected=(0,)):
    """Seconds that a command takes, from its start to its end."""
    actions = [(os.POSIX_SPAWN_DUP2, DEVNULL, fd) for fd in (0, 1)]
    begin = time.perf_counter()
    pid = os.posix_spawnp(command[0], command, os.environ, file_actions=actions)
    _, status = os.waitpid(pid, 0)
    taken = time.perf_counter() - begin
    code = os.waitstatus_to_exitcode(status)
    if code not in expected:
        sys.exit(f"run.py: status {code} of: {' '.join(command)}")
    return taken


def peak(command):
    """Peak resident KiB by GNU time, which counts pages of mapped files too."""
    done = subprocess.run(["/usr/bin/time", "-q", "-f", "%M", *command], stdin=DEVNULL, stdout=DEVNULL, stderr=subprocess.PIPE, text=True)
    return int(done.stderr.split()[-1])


def peak_anonymous(command):
    """Peak KiB of memory that is the process's own, sampled every 2 ms."""
    child = subprocess.Popen(command, stdin=DEVNULL, stdout=DEVNULL, stderr=DEVNULL)
    most = 0
    while child.poll() is None:
        try:
            with open(f"/proc/{child.pid}/status") as file:
                found = re.search(r"RssAnon:\s+(\d+)", file.read())
                most = max(most, int(found[1]) if found else 0)
        except OSError:
            break
        time.sleep(0.002)
    child.wait()
    return most


def bytes_read(command, source):
    """Bytes that read calls brought in from the source, the number of such calls, and whether the source was mapped."""
    with tempfile.TemporaryDirectory() as scratch:
        # One file for each thread: no call is cut in two.
        trace = ["strace", "-ff", "-y", "-qq", "-e", "trace=read,pread64,readv,preadv,preadv2,mmap,lseek", "-e", "signal=none", "-s", "0"]
        subprocess.run([*trace, "-o", f"{scratch}/t", *command], stdin=DEVNULL, stdout=DEVNULL, stderr=DEVNULL, check=False)
        total = calls = seeks = 0
        mapped = False
        for name in glob.glob(f"{scratch}/t*"):
            for line in open(name, errors="replace"):
                if f"<{source}>" not in line:
                    continue
                if line.startswith("mmap("):
                    mapped = True
                elif line.startswith("lseek("):
                    seeks += 1
                elif found := re.search(r"= (\d+)$", line.strip()):
                    total += int(found[1])
                    calls += 1
        return total, calls, seeks, mapped


class Result:
    def __init__(self, times):
        self.times = times

    median = property(lambda self: statistics.median(self.times))
    least = property(lambda self: min(self.times))


def alternate(commands, rounds, before=None, after=None):
    """Runs all commands in turn, `rounds` times, starting with another one each time."""
    times = {name: [] for name in commands}
    names = list(commands)
    for number in range(rounds):
        for name in names[number % len(names):] + names[:number % len(names)]:
            if before:
                before()
            times[name].append(sum(clock(command, (0, 1)) for command in commands[name]))
            if after:
                after()
    return {name: Result(values) for name, values in times.items()}


def disk_use(path):
    return os.stat(path).st_blocks * 512


# Telling.


def human(count):
    for unit, size in ("GiB", GIB), ("MiB", MIB), ("KiB", KIB):
        if count >= size:
            return f"{count / size:.1f} {unit}" if count % size else f"{count // size} {unit}"
    return f"{count} B"


def span(seconds):
    return f"{seconds * 1000:.2f} ms" if seconds < 0.1 else f"{seconds * 1000:.0f} ms"


class Table:
    """The last word: case | vhdkit | peer | ratio | target | ok?"""

    def __init__(self):
        self.rows = []

    def ratio(self, case, ours, peer, target):
        value = ours.median / peer.median
        self.rows.append((case, f"{span(ours.median)} (min {span(ours.least)})", f"{span(peer.median)} (min {span(peer.least)})",
                          f"{value:.2f} (min {ours.least / peer.least:.2f})", f"≤ {target}", "yes" if value <= target else "NO"))

    def limit(self, case, ours, target, shown=human, peer=None):
        self.rows.append((case, shown(ours), "" if peer is None else shown(peer), "", f"≤ {shown(target)}", "yes" if ours <= target else "NO"))

    def seconds(self, case, ours, target):
        self.rows.append((case, f"{span(ours.median)} (min {span(ours.least)})", "", "", f"≤ {span(target)}", "yes" if ours.median <= target else "NO"))

    def note(self, case, ours, peer=""):
        self.rows.append((case, ours, peer, "", "", ""))

    def print(self):
        rows = [("case", "vhdkit", "peer", "ratio", "target", "ok?"), *self.rows]
        widths = [max(len(row[column]) for row in rows) for column in range(6)]
        rows.insert(1, tuple("-" * width for width in widths))
        print()
        for row in rows:
            print("| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths)) + " |")


def machine():
    def first(*command):
        try:
            lines = subprocess.run(command, capture_output=True, text=True).stdout.splitlines()
            return lines[0] if lines else "?"
        except OSError:
            return "not there"

    with open("/proc/cpuinfo") as file:
        model = re.search(r"model name\s*:\s*(.*)", file.read())
    total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    print(f"cpu       {model[1] if model else '?'}, {os.cpu_count()} cores, {human(total)} of memory")
    print(f"kernel    {platform.release()} {platform.machine()}")
    for tool in ("qemu-img", "sha256sum", "strace"):
        print(f"{tool:<10}{first(tool, '--version')}")
    print(f"load      {' '.join(f'{value:.2f}' for value in os.getloadavg())} (before)")
    print(f"date      {time.strftime('%Y-%m-%d %H:%M UTC', time.gmtime())}")


# Cases.


def case_inspect(options, table, directory):
    """Looking at disks: cost follows the metadata."""
    rounds = 20 if options.quick else max(50, options.rounds * 20)
    for size, blocks in (40 * MIB, 18), (127 * GIB, 2000), (2040 * GIB, 2000):
        for filled in (0, blocks):
            path = os.path.join(directory, f"d{size // MIB}-{filled}.vhd")
            small_disk(path, size, filled)
            label = f"{human(size)} dynamic, {'GPT, ext4 and data' if filled else 'empty'}"
            inspect = [options.vhdkit, "inspect", path]
            check = [options.vhdkit, "check", "--role", "data", path]
            info = ["qemu-img", "info", path]
            found = alternate({"inspect": [inspect], "check": [check], "info": [info]}, rounds)
            table.ratio(f"inspect, {label}", found["inspect"], found["info"], 1.0)
            table.ratio(f"check, {label}", found["check"], found["info"], 1.0)
            table.limit(f"check, {label}: peak RSS", peak(check) * KIB, 32 * MIB, peer=peak(info) * KIB)
            total, calls, seeks, mapped = bytes_read(check, path)
            qemu_total, qemu_calls, _, _ = bytes_read(info, path)
            allocated = sum(entry != 0xFFFFFFFF for entry in block_table(path))
            # Two footers, the header, the table; a bitmap for each block; both GPTs and every signature that is known.
            metadata = 2 * 512 + 1024 + size // BLOCK * 4 + allocated * 512
            room = 512 * KIB if filled else 16 * KIB
            more = f" in {calls} calls{', mapped too' if mapped else ''}, {seeks} seeks"
            table.limit(f"check, {label}: bytes read{more}", total, metadata + room, peer=qemu_total)
            os.unlink(path)


def block_table(path):
    with open(path, "rb") as file:
        file.seek(512)
        header = file.read(1024)
        at, entries = struct.unpack(">Q", header[16:24])[0], struct.unpack(">I", header[28:32])[0]
        file.seek(at)
        return struct.unpack(f">{entries}I", file.read(entries * 4))


def case_prepare(options, table, directory, out, where=""):
    """From dynamic to fixed: cost follows the data."""
    size, total = (2 * GIB, 640 * MIB) if options.quick else (8 * GIB, 2560 * MIB)
    raw, source = os.path.join(directory, "source.raw"), os.path.join(directory, "source.vhd")
    write_raw(raw, size, total)
    quiet("qemu-img", "convert", "-O", "vpc", "-o", "force_size=on", raw, source)
    os.unlink(raw)
    ours, theirs = os.path.join(out, "image"), os.path.join(out, "qemu.vhd")
    sizes, keep = {}, [False]

    def clean():
        for name, path in ("vhdkit", os.path.join(ours, "source.vhd")), ("qemu-img", theirs):
            if os.path.exists(path):
                sizes[name] = disk_use(path)
        if not keep[0]:
            shutil.rmtree(ours, ignore_errors=True)
            if os.path.exists(theirs):
                os.unlink(theirs)

    def prepare(*more):
        return [options.vhdkit, "prepare", source, "--role", "data", "-q", "-o", ours, *more]

    convert = ["qemu-img", "convert", "-f", "vpc", "-O", "vpc", "-o", "subformat=fixed,force_size=on", source, theirs]
    label = f"prepare, {human(size)} dynamic with {human(total)} of data{where}"
    commands = {
        "plain": [prepare("--digest", "none")],
        "mapped": [prepare("--digest", "none", *options.other_access)],
        "fsverity": [prepare()],
        "sha256": [prepare("--sha256", "--digest", "none")],
        "both": [prepare("--sha256")],
        "qemu-img": [convert],
        "qemu-img + sha256sum": [convert, ["sha256sum", theirs]],
    }
    if where:
        commands = {name: commands[name] for name in ("plain", "fsverity")}
        commands["qemu-img"] = [convert, ["sync", theirs]]
    if not options.other_access:
        commands.pop("mapped", None)
    found = alternate(commands, options.rounds, even_out, clean)
    if where:
        table.note(f"{label}, with fsync: no digest", span(found["plain"].median), span(found["qemu-img"].median) + " (convert, sync)")
        table.note(f"{label}, with fsync: fs-verity", span(found["fsverity"].median), span(found["qemu-img"].median) + " (convert, sync)")
        os.unlink(source)
        return
    table.ratio(f"{label}: no digest", found["plain"], found["qemu-img"], 0.9)
    if "mapped" in found:
        table.ratio(f"{label}: no digest, {' '.join(options.other_access)}", found["mapped"], found["qemu-img"], 0.9)
    table.ratio(f"{label}: fs-verity", found["fsverity"], found["qemu-img"], 1.3)
    table.ratio(f"{label}: SHA-256", found["sha256"], found["qemu-img + sha256sum"], 0.3)
    table.ratio(f"{label}: both digests", found["both"], found["qemu-img + sha256sum"], 0.3)
    for name, more in ("no digest", ("--digest", "none")), ("both digests", ("--sha256",)):
        anonymous, resident = peak_anonymous(prepare(*more)), 0
        clean()
        resident = peak(prepare(*more, "--no-mmap"))
        clean()
        table.limit(f"{label}: peak RSS, {name}, own memory", anonymous * KIB, 64 * MIB)
        table.limit(f"{label}: peak RSS, {name}, all, --no-mmap", resident * KIB, 64 * MIB)
    whole = peak(prepare())
    clean()
    table.note(f"{label}: peak RSS, default, all", human(whole * KIB), human(peak(convert) * KIB))
    clean()
    table.limit(f"{label}: space that the output takes", sizes["vhdkit"], sizes["qemu-img"], peer=sizes["qemu-img"])
    keep[0] = True
    clock(prepare("--digest", "none"))
    clock(convert)
    same = same_payload(os.path.join(ours, "source.vhd"), theirs)
    table.note(f"{label}: same payload as qemu-img's", "yes" if same else "NO")
    verify = {name: [[options.vhdkit, "verify", *more, ours]] for name, more in (("default", []), ("no-mmap", ["--no-mmap"]))}
    for name, more in ("fs-verity", ["--overwrite"]), ("both digests", ["--overwrite", "--sha256"]):
        clock(prepare(*more))
        found = alternate(verify, options.rounds)
        found["sha256sum"] = Result([clock(["sha256sum", theirs])])
        table.note(f"verify, {name}: default, and with --no-mmap",
                   f"{span(found['default'].median)}, {span(found['no-mmap'].median)}", f"{span(found['sha256sum'].median)} (sha256sum)")
    keep[0] = False
    clean()
    deep = {name: [[options.vhdkit, "inspect", "--deep", "-q", *more, source]] for name, more in (("default", []), ("no-mmap", ["--no-mmap"]))}
    found = alternate(deep, options.rounds)
    table.note("inspect --deep: default, and with --no-mmap", f"{span(found['default'].median)}, {span(found['no-mmap'].median)}")
    os.unlink(source)


def same_payload(one, other):
    """Footers differ in id and time; all before them must not. Compares what is there, hole by hole."""
    with open(one, "rb") as a, open(other, "rb") as b:
        size = os.fstat(a.fileno()).st_size
        if size != os.fstat(b.fileno()).st_size:
            return False
        at = 0
        while at < size - 512:
            places = []
            for file in a, b:
                try:
                    places.append(os.lseek(file.fileno(), at, os.SEEK_DATA))
                except OSError:
                    places.append(size)
            at = min(places)
            count = min(4 * MIB, size - 512 - at)
            if count > 0 and os.pread(a.fileno(), count, at) != os.pread(b.fileno(), count, at):
                return False
            at += max(count, 1)
    return True


def case_sparse(options, table, directory, out):
    """A huge fixed disk that is nearly empty costs what its data costs."""
    total = 256 * MIB if options.quick else GIB
    ours, theirs = os.path.join(out, "image"), os.path.join(out, "qemu.vhd")
    paths = {}
    for name, size in ("10 GiB", 10 * GIB), ("1 TiB", TIB):
        paths[name] = os.path.join(directory, f"sparse{size // GIB}.vhd")
        write_raw(paths[name], size, total, fixed_footer(size))

    def clean():
        shutil.rmtree(ours, ignore_errors=True)
        if os.path.exists(theirs):
            os.unlink(theirs)

    commands, looks = {}, {}
    for name, path in paths.items():
        commands[f"vhdkit {name}"] = [[options.vhdkit, "prepare", path, "--role", "data", "-q", "-o", ours]]
        commands[f"qemu-img {name}"] = [["qemu-img", "convert", "-f", "vpc", "-O", "vpc", "-o", "subformat=fixed,force_size=on", path, theirs]]
        looks[f"vhdkit {name}"] = [[options.vhdkit, "check", "--role", "data", path]]
        looks[f"qemu-img {name}"] = [["qemu-img", "info", path]]
    found = alternate(commands, options.rounds, even_out, clean)
    seen = alternate(looks, 20 if options.quick else 50)
    for name in paths:
        table.ratio(f"prepare with fs-verity, {name} fixed with {human(total)} of data", found[f"vhdkit {name}"], found[f"qemu-img {name}"], 1.3)
    table.ratio("prepare, 1 TiB (vhdkit) against 10 GiB (peer: vhdkit too)", found["vhdkit 1 TiB"], found["vhdkit 10 GiB"], 1.1)
    for name in paths:
        # No target: qemu-img info does not count the data. tmpfs looks at every page to answer where data ends; extents are faster.
        ours, info = seen[f"vhdkit {name}"], seen[f"qemu-img {name}"]
        table.note(f"check, {name} fixed with {human(total)} of data", f"{span(ours.median)} (min {span(ours.least)})",
                   f"{span(info.median)} (info; min {span(info.least)})")
    table.ratio("check, 1 TiB (vhdkit) against 10 GiB (peer: vhdkit too)", seen["vhdkit 1 TiB"], seen["vhdkit 10 GiB"], 1.1)
    for name, path in paths.items():
        total_read, calls, seeks, _ = bytes_read(looks[f"vhdkit {name}"][0], path)
        table.note(f"check, {name} fixed: bytes read, calls, seeks", f"{human(total_read)}, {calls}, {seeks}")
        os.unlink(path)


def case_guest(options, table, directory):
    """Looking inside a real operating system disk, and how that grows with its virtual size and with its files."""
    guest = options.guest or os.path.join(os.environ.get("VHDKIT_IMAGES", ""), "A.raw")
    if not os.path.isfile(guest):
        print("skipped   guest: give a disk with a Linux on it by --guest FILE", file=sys.stderr)
        return
    rounds = 10 if options.quick else max(20, options.rounds * 4)
    path = os.path.join(directory, "guest.vhd")
    quiet("qemu-img", "convert", "-O", "vpc", "-o", "subformat=dynamic,force_size=on", guest, path)
    inspect = [options.vhdkit, "inspect", path]
    commands = {"inspect": [inspect], "check": [[options.vhdkit, "check", path]]}
    peers = [name for name in ("target-query", "virt-inspector") if shutil.which(name)]
    found = alternate(commands, rounds)
    size = os.stat(path).st_size
    table.seconds(f"inspect, a Linux in a dynamic VHD of {human(size)}", found["inspect"], 0.3)
    table.seconds("check, the same", found["check"], 0.3)
    table.limit("inspect, the same: peak RSS", peak(inspect) * KIB, 64 * MIB)
    total, calls, _, _ = bytes_read(inspect, path)
    table.note("inspect, the same: bytes read, calls", f"{human(total)}, {calls}")
    for name in peers:
        arguments = ["-f", "os,version,hostname"] if name == "target-query" else []
        command = [name, "-q", path, *arguments] if name == "target-query" else [name, "-a", path]
        beside = alternate({"inspect": [inspect], name: [command]}, 2 if options.quick else 3)
        table.ratio(f"inspect, the same, beside {name}", beside["inspect"], beside[name], 1.0)
    larger = os.path.join(directory, "larger.raw")
    shutil.copyfile(guest, larger)
    os.truncate(larger, 512 * GIB)
    smaller = [options.vhdkit, "inspect", guest]
    beside = alternate({"small": [smaller], "large": [[options.vhdkit, "inspect", larger]]}, rounds)
    table.ratio("inspect, raw disk of 512 GiB with the same Linux, beside its own size", beside["large"], beside["small"], 1.2)
    os.unlink(larger)
    if shutil.which("debugfs") and (start := linux_partition(guest)):
        more = os.path.join(directory, "more.raw")
        subprocess.run(["cp", "--sparse=always", guest, more], check=True)
        # Thirty thousand files in directories that no fact asks for.
        script = "mkdir /srv/many\n" + "".join(f"symlink /srv/many/f{n} nowhere\n" for n in range(30000))
        subprocess.run(["debugfs", "-w", "-f", "-", f"{more}?offset={start}"], input=script, text=True, stdout=DEVNULL, stderr=DEVNULL)
        beside = alternate({"few": [smaller], "many": [[options.vhdkit, "inspect", more]]}, rounds)
        table.ratio("inspect, the same Linux with 30000 more files, beside without", beside["many"], beside["few"], 1.2)
        os.unlink(more)
    os.unlink(path)


def case_image(options, table, directory):
    """Judging an image of three disks beside only looking at them."""
    images = os.environ.get("VHDKIT_IMAGES", "")
    os_disk = options.guest or os.path.join(images, "A.raw")
    data = [os.path.join(images, name) for name in ("data-ext4.raw", "data-ntfs.raw")]
    missing = [path for path in (os_disk, *data) if not os.path.isfile(path)]
    if missing:
        print("skipped   image: it needs A.raw, data-ext4.raw and data-ntfs.raw in the directory VHDKIT_IMAGES", file=sys.stderr)
        return
    paths = []
    for path in (os_disk, *data):
        paths.append(os.path.join(directory, os.path.basename(path).replace(".raw", ".vhd")))
        quiet("qemu-img", "convert", "-O", "vpc", "-o", "subformat=dynamic,force_size=on", path, paths[-1])
    luns = [word for lun, path in enumerate(paths[1:]) for word in ("--data", f"{lun}={path}")]
    commands = {
        "inspect": [[options.vhdkit, "inspect", *paths]],
        "check": [[options.vhdkit, "check", paths[0], *luns, "--as", "specialized"]],
    }
    found = alternate(commands, 10 if options.quick else max(20, options.rounds * 4))
    table.ratio("check of an image, a Linux with two data disks, beside inspect of the same (peer)", found["check"], found["inspect"], 1.5)
    for path in paths:
        os.unlink(path)


def case_generalize(options, table, directory):
    """Making a template of a real Linux, beside writing it out as it is."""
    guest = options.guest or os.path.join(os.environ.get("VHDKIT_IMAGES", ""), "A.raw")
    if not os.path.isfile(guest):
        print("skipped   generalize: give a disk with a Linux on it by --guest FILE", file=sys.stderr)
        return
    path, out = os.path.join(directory, "guest.vhd"), os.path.join(directory, "out")
    quiet("qemu-img", "convert", "-O", "vpc", "-o", "subformat=dynamic,force_size=on", guest, path)
    seen = json.loads(subprocess.run([options.vhdkit, "inspect", "--format", "json", path], capture_output=True, check=True).stdout)
    disk = seen["disks"][0]
    people = [user["name"] for user in disk["os"]["linux"]["accounts"]["users"] if user["person"]]
    used = sum((part["content"] or {}).get("used") or 0 for part in disk["partitions"] + (disk["volumes"] or []))

    def clean():
        shutil.rmtree(out, ignore_errors=True)

    names = [word for name in people for word in ("--remove-user", name)]
    prepare = [options.vhdkit, "prepare", path, "-q", "-o", out]
    commands = {
        "plain": [[*prepare, "--as", "specialized"]],
        "generalize": [[*prepare, "--as", "generalized", "--generalize", *names]],
        "untrimmed": [[*prepare, "--as", "generalized", "--generalize", "--no-trim", *names]],
        "report": [[options.vhdkit, "generalize", path, *names]],
    }
    found = alternate(commands, max(7, options.rounds), even_out, clean)
    size = human(os.stat(path).st_size)
    table.ratio(f"prepare --generalize, a Linux in a dynamic VHD of {size}, beside its plain prepare (peer)", found["generalize"], found["plain"], 1.5)
    table.ratio("prepare --generalize --no-trim, the same", found["untrimmed"], found["plain"], 1.5)
    table.note("generalize, the report of the same", f"{span(found['report'].median)} (min {span(found['report'].least)})")
    written = {}
    for name in ("plain", "generalize"):
        clock(commands[name][0])
        with open(os.path.join(out, "manifest.json")) as file:
            written[name] = json.load(file)["disks"][0]["data_bytes"]
        clean()
    table.note("the same: bytes that are not zero", human(written["generalize"]), human(written["plain"]) + " (plain)")
    table.limit("the same: those beside what its file systems use, and 5 %", written["generalize"], int(used * 1.05), peer=used)
    table.limit("the same: peak RSS", peak(commands["generalize"][0]) * KIB, 256 * MIB)
    clean()
    if shutil.which("virt-sysprep") and shutil.which("virt-sparsify"):
        copy, sparse = os.path.join(directory, "copy.raw"), os.path.join(directory, "sparse.vhd")
        theirs = [
            ["cp", "--sparse=always", guest, copy],
            ["virt-sysprep", "-q", "-a", copy, "--operations", "defaults,user-account"],
            ["virt-sparsify", "-q", "--in-place", copy],
            ["qemu-img", "convert", "-O", "vpc", "-o", "subformat=fixed,force_size=on", copy, sparse],
        ]
        beside = alternate({"ours": commands["generalize"], "theirs": theirs}, 2, even_out, clean)
        table.ratio("prepare --generalize, beside virt-sysprep, virt-sparsify and qemu-img convert", beside["ours"], beside["theirs"], 1.0)
        os.unlink(copy)
        os.unlink(sparse)
    else:
        print("skipped   generalize beside virt-sysprep and virt-sparsify: not installed", file=sys.stderr)
    os.unlink(path)


def linux_partition(disk):
    """First byte of the first partition of a GPT that holds ext2, ext3 or ext4."""
    with open(disk, "rb") as file:
        file.seek(1024)
        entries = file.read(128 * 128)
        for at in range(0, len(entries), 128):
            first = struct.unpack("<Q", entries[at + 32:at + 40])[0] * 512
            file.seek(first + 1024 + 56)
            if first and file.read(2) == b"\x53\xef":
                return first
    return None


def case_many(options, table, directory):
    """Many small disks in one run, one after the other and two at a time, beside one qemu-img info for each."""
    rounds = 3 if options.quick else max(5, options.rounds)
    source = os.path.join(directory, "many.vhd")
    small_disk(source, 40 * MIB, 18)
    paths = []
    for count in (1, 10, 100) if options.quick else (1, 10, 100, 1000):
        while len(paths) < count:
            paths.append(os.path.join(directory, f"many-{len(paths):04}.vhd"))
            # Files of their own, as they would be; only what stands in the cache is read either way.
            shutil.copyfile(source, paths[-1])
        names = f"{count} disk{'s' if count > 1 else ''} of 40 MiB"
        check = [options.vhdkit, "check", "--role", "data", "--format", "jsonl"]
        commands = {
            "one": [[*check, "-j1", *paths]],
            "two": [[*check, "-j2", *paths]],
            "info": [["qemu-img", "info", path] for path in paths],
        }
        found = alternate(commands, rounds)
        table.ratio(f"check -j1, {names}", found["one"], found["info"], 1.0)
        table.ratio(f"check -j2, {names}", found["two"], found["info"], 1.0)
        if count > 1:
            table.ratio(f"check -j2, {names}, beside -j1 (peer)", found["two"], found["one"], 0.7)
        table.limit(f"check -j2, {names}: peak RSS", peak([*check, "-j2", *paths]) * KIB, 48 * MIB)
    for path in (source, *paths):
        os.unlink(path)


CASES = ["inspect", "many", "prepare", "sparse", "guest", "image", "generalize"]


def main():
    default = "/dev/shm" if os.path.isdir("/dev/shm") else tempfile.gettempdir()
    parser = argparse.ArgumentParser(prog="benches/run.sh", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="smaller inputs, fewer rounds")
    parser.add_argument("--rounds", type=int, help="how often everything runs (default 5, with --quick 3)")
    parser.add_argument("--dir", default=default, help=f"where inputs and outputs lie (default {default}, needs 8 GiB; 2 with --quick)")
    parser.add_argument("--disk", help="also write to this directory, on a real disk: what flushing costs")
    parser.add_argument("--only", default=",".join(CASES), help=f"cases (default all: {','.join(CASES)})")
    parser.add_argument("--guest", help="a raw disk with a Linux on it, for the case guest (default $VHDKIT_IMAGES/A.raw)")
    parser.add_argument("--vhdkit", help="the program to measure (default: the release build of this tree)")
    parser.add_argument("--also", default="", help="options of vhdkit prepare, measured beside the default")
    options = parser.parse_args()
    options.other_access = options.also.split()
    options.rounds = max(1, options.rounds or (3 if options.quick else 5))
    here = os.path.dirname(os.path.abspath(__file__))
    options.vhdkit = os.path.abspath(options.vhdkit or os.path.join(here, "..", "target", "release", "vhdkit"))
    machine()
    table = Table()
    with tempfile.TemporaryDirectory(prefix="vhdkit-bench-", dir=options.dir) as directory:
        for name in options.only.split(","):
            print(f"running  {name}", file=sys.stderr)
            if name == "inspect":
                case_inspect(options, table, directory)
            elif name == "many":
                case_many(options, table, directory)
            elif name == "prepare":
                case_prepare(options, table, directory, directory)
                if options.disk:
                    with tempfile.TemporaryDirectory(prefix="vhdkit-bench-", dir=options.disk) as out:
                        case_prepare(options, table, directory, out, " to disk")
            elif name == "sparse":
                case_sparse(options, table, directory, directory)
            elif name == "guest":
                case_guest(options, table, directory)
            elif name == "image":
                case_image(options, table, directory)
            elif name == "generalize":
                case_generalize(options, table, directory)
            else:
                sys.exit(f"run.py: no such case: {name}")
    print(f"load      {' '.join(f'{value:.2f}' for value in os.getloadavg())} (after)")
    table.print()


if __name__ == "__main__":
    main()
