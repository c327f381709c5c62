"""Looking inside real systems, and making templates of them."""

import json
import os
import shutil
import struct
import subprocess
import sys

from .inputs import GIB, KIB, MIB, quiet
from .measure import DEVNULL, alternate, bytes_read, clock, cost, even_out, peak
from .table import human, times


def case_guest(options, table, directory):
    """Looking inside a real operating system disk, and how that grows with its virtual size and with its files."""
    guest = options.guest or os.path.join(os.environ.get("VHDKIT_IMAGES", ""), "A.raw")
    if not os.path.isfile(guest):
        print("skipped   guest: give a disk with a Linux on it by --guest FILE", file=sys.stderr)
        return
    rounds = 10 if options.quick else max(20, options.rounds * 4)
    table.section("Looking inside a Linux", "A Debian 12 with one kernel on ext4, its initramfs listed whole, in a dynamic VHD.")
    path = os.path.join(directory, "guest.vhd")
    quiet("qemu-img", "convert", "-O", "vpc", "-o", "subformat=dynamic,force_size=on", guest, path)
    inspect = [options.vhdkit, "inspect", path]
    commands = {"inspect": [inspect], "check": [[options.vhdkit, "check", path]]}
    peers = [name for name in ("target-query", "virt-inspector") if shutil.which(name)]
    for name in ("target-query", "virt-inspector"):
        if name not in peers:
            print(f"skipped   guest: {name} is not installed", file=sys.stderr)
    found = alternate(commands, rounds)
    size = os.stat(path).st_size
    table.seconds(f"inspect, a Linux in a dynamic VHD of {human(size)}", found["inspect"], 0.3, (cost([inspect]), None))
    table.seconds("check, the same", found["check"], 0.3, (cost(commands["check"]), None))
    table.limit("inspect, the same: peak RSS", peak(inspect) * KIB, 64 * MIB)
    total, calls, _, _ = bytes_read(inspect, path)
    table.note("inspect, the same: bytes read, calls", f"{human(total)}, {calls}")
    for name in peers:
        arguments = ["-f", "os,version,hostname"] if name == "target-query" else []
        command = [name, "-q", path, *arguments] if name == "target-query" else [name, "-a", path]
        beside = alternate({"inspect": [inspect], name: [command]}, 2 if options.quick else 3)
        table.ratio(f"inspect, the same, beside {name}", beside["inspect"], beside[name], 1.0, (cost([inspect]), cost([command])), name)
    # Both on the same file system: where a file's holes are is asked of it, and tmpfs answers more slowly than ext4.
    small, larger = os.path.join(directory, "small.raw"), os.path.join(directory, "larger.raw")
    for copy in small, larger:
        subprocess.run(["cp", "--sparse=always", guest, copy], check=True)
    os.truncate(larger, 512 * GIB)
    smaller = [options.vhdkit, "inspect", small]
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
    os.unlink(small)
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
    table.section("Judging an image", "That Debian with two data disks, all dynamic VHDs.")
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
    table.section("Making a template of a Linux", "Beside writing the same disk as it is; trimmed unless it says otherwise.")
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
    table.ratio(f"prepare --generalize, a Linux in a dynamic VHD of {size}, beside its plain prepare (peer)", found["generalize"], found["plain"], 1.5,
                (cost(commands["generalize"], clean), cost(commands["plain"], clean)))
    table.ratio("prepare --generalize --no-trim, the same", found["untrimmed"], found["plain"], 1.5)
    table.note("generalize, the report of the same", times(found["report"]))
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
