"""Disks and images by their containers: looking at them, writing them."""

import os
import shutil
import struct
import subprocess

from .inputs import BLOCK, GIB, KIB, MIB, TIB, fixed_footer, quiet, small_disk, write_raw
from .measure import Result, alternate, bytes_read, clock, cost, disk_use, even_out, peak, peak_anonymous
from .table import human, span, times

# Growth of a process of its own is measured with calls that count, so not from a mapping.
COUNTED = "--no-mmap"


def case_inspect(options, table, directory):
    """Looking at disks: cost follows the metadata."""
    rounds = 20 if options.quick else max(50, options.rounds * 20)
    table.section("Looking at a disk, beside qemu-img info", """Virtual sizes from 40 MiB to 2040 GiB. `qemu-img info` and `vhdiinfo` read no
                  bitmaps, no partition table and no file systems; `7z l` reads the partition table.""")
    for size, blocks in (40 * MIB, 18), (127 * GIB, 2000), (2040 * GIB, 2000):
        for filled in (0, blocks):
            path = os.path.join(directory, f"d{size // MIB}-{filled}.vhd")
            small_disk(path, size, filled)
            label = f"{human(size)} dynamic, {'GPT, ext4 and data' if filled else 'empty'}"
            inspect = [options.vhdkit, "inspect", path]
            check = [options.vhdkit, "check", "--role", "data", path]
            info = ["qemu-img", "info", path]
            others = {name: command for name, command in (("vhdiinfo", ["vhdiinfo", path]), ("7z l", ["7z", "l", path]))
                      if shutil.which(command[0])}
            found = alternate({"inspect": [inspect], "check": [check], "info": [info]}, rounds)
            info_cost = cost([info])
            table.ratio(f"inspect, {label}", found["inspect"], found["info"], 1.0, (cost([inspect]), info_cost))
            table.ratio(f"check, {label}", found["check"], found["info"], 1.0, (cost([check]), info_cost))
            for name, command in others.items():
                beside = alternate({"check": [check], name: [command]}, max(5, rounds // 5), expected=(0, 1, 2))
                table.ratio(f"check, {label}", beside["check"], beside[name], None, (None, cost([command])), name)
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
    if where:
        table.section("Writing to a real disk", "The same with what it takes to flush; `convert` is followed by `sync` of its file.")
    else:
        table.section("Writing a disk, beside qemu-img convert and sha256sum", """The source is dynamic, the output fixed; both are in memory.
                      Bytes are those of a run without a mapping.""")
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
    theirs_cost = cost([convert], clean)
    summed = [convert, ["sha256sum", theirs]]
    sha_cost = cost(summed, clean)

    def ours_cost(*more):
        return cost([prepare(COUNTED, *more)], clean)

    table.ratio(f"{label}: no digest", found["plain"], found["qemu-img"], 0.9, (ours_cost("--digest", "none"), theirs_cost))
    if "mapped" in found:
        table.ratio(f"{label}: no digest, {' '.join(options.other_access)}", found["mapped"], found["qemu-img"], 0.9)
    table.ratio(f"{label}: fs-verity", found["fsverity"], found["qemu-img"], 1.3, (ours_cost(), theirs_cost))
    table.ratio(f"{label}: SHA-256", found["sha256"], found["qemu-img + sha256sum"], 0.3, (ours_cost("--sha256", "--digest", "none"), sha_cost))
    table.ratio(f"{label}: both digests", found["both"], found["qemu-img + sha256sum"], 0.3, (ours_cost("--sha256"), sha_cost))
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
        peer = ["fsverity", "digest", theirs] if name == "fs-verity" and shutil.which("fsverity") else ["sha256sum", theirs]
        found["peer"] = Result([clock(peer)])
        table.ratio(f"verify, {name}", found["default"], found["peer"], None, (cost(verify["no-mmap"]), cost([peer])), peer[0])
        table.note(f"verify, {name}, with --no-mmap", times(found["no-mmap"]))
    sparse = os.path.join(out, "sparse.vhd")
    copies = {
        "prepare": [prepare("--digest", "none", "--overwrite")],
        "cp --sparse=always": [["cp", "--sparse=always", theirs, sparse]],
    }
    if shutil.which("7z"):
        copies["7z t"] = [["7z", "t", "-tvhd", source]]
    beside = alternate(copies, 2, even_out, expected=(0, 1, 2))
    for name in list(copies)[1:]:
        table.ratio(f"{label}: no digest", beside["prepare"], beside[name], None, (None, cost(copies[name])), name)
    os.unlink(sparse)
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
    table.section("Disks that are nearly empty", "Fixed, with holes in the file: the time follows the data.")
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
        costs = cost([[*commands[f"vhdkit {name}"][0], COUNTED]], clean), cost(commands[f"qemu-img {name}"], clean)
        table.ratio(f"prepare with fs-verity, {name} fixed with {human(total)} of data", found[f"vhdkit {name}"], found[f"qemu-img {name}"], 1.3, costs)
    table.ratio("prepare, 1 TiB (vhdkit) against 10 GiB (peer: vhdkit too)", found["vhdkit 1 TiB"], found["vhdkit 10 GiB"], 1.1)
    for name in paths:
        # No target: qemu-img info does not count the data. tmpfs looks at every page to answer where data ends; extents are faster.
        table.note(f"check, {name} fixed with {human(total)} of data", times(seen[f"vhdkit {name}"]), f"info: {times(seen[f'qemu-img {name}'])}")
    table.ratio("check, 1 TiB (vhdkit) against 10 GiB (peer: vhdkit too)", seen["vhdkit 1 TiB"], seen["vhdkit 10 GiB"], 1.1)
    for name, path in paths.items():
        total_read, calls, seeks, _ = bytes_read(looks[f"vhdkit {name}"][0], path)
        table.note(f"check, {name} fixed: bytes read, calls, seeks", f"{human(total_read)}, {calls}, {seeks}")
        os.unlink(path)


def case_many(options, table, directory):
    """Many small disks in one run, one after the other and two at a time, beside one qemu-img info for each."""
    rounds = 3 if options.quick else max(5, options.rounds)
    table.section("Many disks", "One run of vhdkit over all of them, beside one `qemu-img info` for each.")
    source = os.path.join(directory, "many.vhd")
    small_disk(source, 40 * MIB, 18)
    paths = []
    for count in (1, 10, 100) if options.quick else (1, 10, 100, 1000):
        while len(paths) < count:
            paths.append(os.path.join(directory, f"many-{len(paths):04}.vhd"))
            # Files of their own, as they would be; only what stands in the cache is read either way.
            subprocess.run(["cp", "--sparse=always", source, paths[-1]], check=True)
        names = f"{count} disk{'s' if count > 1 else ''} of 40 MiB"
        check = [options.vhdkit, "check", "--role", "data", "--format", "jsonl"]
        commands = {
            "one": [[*check, "-j1", *paths]],
            "two": [[*check, "-j2", *paths]],
            "info": [["qemu-img", "info", path] for path in paths],
        }
        found = alternate(commands, rounds)
        table.ratio(f"check -j1, {names}", found["one"], found["info"], 1.0, (cost(commands["one"]), cost(commands["info"])))
        table.ratio(f"check -j2, {names}", found["two"], found["info"], 1.0, (cost(commands["two"]), None))
        if count > 1:
            table.ratio(f"check -j2, {names}, beside -j1 (peer)", found["two"], found["one"], 0.7)
        table.limit(f"check -j2, {names}: peak RSS", peak([*check, "-j2", *paths]) * KIB, 48 * MIB)
    for path in (source, *paths):
        os.unlink(path)
