"""Measures vhdkit beside its peers. Started by run.sh; see README.md."""

import argparse
import os
import platform
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time

from bench.containers import case_inspect, case_many, case_prepare, case_sparse
from bench.growth import case_clone, case_growth, kind_of
from bench.guests import case_generalize, case_guest, case_image
from bench.table import Table, human

PEERS = {
    "qemu-img": ["qemu-img", "--version"],
    "vhdiinfo": ["vhdiinfo", "-V"],
    "7z": ["7z", "i"],
    "fsverity": ["fsverity", "--version"],
    "sha256sum": ["sha256sum", "--version"],
    "cp": ["cp", "--version"],
    "target-query": ["target-query", "--version"],
    "virt-inspector": ["virt-inspector", "--version"],
    "strace": ["strace", "--version"],
}


def first_line(command):
    try:
        told = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError:
        return "not installed"
    lines = [line.strip() for line in (told.stdout + told.stderr).splitlines() if line.strip()]
    # dissect tells no version of its own without a target.
    return lines[0] if lines else "?"


def machine(options):
    """Name and value of what the numbers depend on."""
    with open("/proc/cpuinfo") as file:
        model = re.search(r"model name\s*:\s*(.*)", file.read())
    virtual = first_line(["systemd-detect-virt"]) if shutil.which("systemd-detect-virt") else "?"
    total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    yield "processor", f"{model[1] if model else '?'}, {os.cpu_count()} cores (virtual machine: {virtual})"
    yield "memory", human(total)
    yield "kernel", f"{platform.system()} {platform.release()} {platform.machine()}"
    yield "inputs and outputs", f"{kind_of(options.dir)}" + (f", and {kind_of(options.disk)} where it says to disk" if options.disk else "")
    yield "vhdkit", first_line([options.vhdkit, "--version"])
    for name, command in PEERS.items():
        yield name, first_line(command)


def load():
    return " ".join(f"{value:.2f}" for value in os.getloadavg())


def case_disk(options, table, directory):
    """`prepare` to a real disk."""
    if not options.disk:
        print("skipped   disk: give a directory on a real disk by --disk DIR", file=sys.stderr)
        return
    with tempfile.TemporaryDirectory(prefix="vhdkit-bench-", dir=options.disk) as out:
        case_prepare(options, table, directory, out, " to disk")


# In the order in which they run: what takes long comes last.
CASES = {
    "inspect": case_inspect,
    "many": case_many,
    "guest": case_guest,
    "image": case_image,
    "generalize": case_generalize,
    "sparse": lambda options, table, directory: case_sparse(options, table, directory, directory),
    "prepare": lambda options, table, directory: case_prepare(options, table, directory, directory),
    "disk": case_disk,
    "clone": case_clone,
    "growth": case_growth,
}


def document(options, facts, table, loads, taken):
    missed = table.missed()
    # Where this machine keeps things is nobody's business.
    words = [word if not word.startswith("/") else "DIR" if os.path.isdir(word) else "FILE" for word in sys.argv[1:]]
    command = "benches/run.sh " + " ".join(shlex.quote(word) for word in words)
    out = ["# Benchmarks", "",
           "Written by `benches/run.sh`, which makes its inputs, runs vhdkit and its peers in turn, and can be run by anybody;",
           "[benches/README.md](benches/README.md) says how each number is taken, and what was found and mended on the way.", "",
           "    " + command.strip(), ""]
    out += ["| | |", "| --- | --- |", *(f"| {name} | {value} |" for name, value in facts), f"| date | {loads[0][0]} |",
            f"| load | {loads[0][1]} before, {loads[1][1]} after |", f"| taken | {taken:.0f} s |", ""]
    out += [f"**Targets: {table.met()} met, {len(missed)} missed.**" + (" Missed:" if missed else ""), ""]
    out += [f"- {row[0]}: {row[3] or row[1]}, target {row[4]}" for row in missed] + ([""] if missed else [])
    out += ["Times are medians, with the least in parentheses; ratios are of the medians, and of the least in parentheses. Memory is the most",
            "resident memory, mapped pages of files included; read and written are the bytes of the process's read and write calls. Where two",
            "values stand with a `/`, the first is vhdkit's and the second the peer's.", ""]
    return "\n".join(out) + "\n" + table.text(2)


def main():
    default = "/dev/shm" if os.path.isdir("/dev/shm") else tempfile.gettempdir()
    here = os.path.dirname(os.path.abspath(__file__))
    top = os.path.dirname(here)
    parser = argparse.ArgumentParser(prog="benches/run.sh", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="smaller inputs, fewer rounds")
    parser.add_argument("--rounds", type=int, help="how often everything runs (default 5, with --quick 3)")
    parser.add_argument("--dir", default=default, help=f"where inputs and outputs lie (default {default}, needs 8 GiB; 2 with --quick)")
    parser.add_argument("--disk", help="also write to this directory, on a real disk: what flushing costs")
    parser.add_argument("--only", default=",".join(CASES), help=f"cases (default all: {','.join(CASES)})")
    parser.add_argument("--guest", help="a raw disk with a Linux on it, for the case guest (default $VHDKIT_IMAGES/A.raw)")
    parser.add_argument("--vhdkit", help="the program to measure (default: the release build of this tree)")
    parser.add_argument("--also", default="", help="options of vhdkit prepare, measured beside the default")
    parser.add_argument("--out", help="write the document there (default: BENCHMARKS.md of this tree, where all cases run)")
    options = parser.parse_args()
    options.other_access = options.also.split()
    options.rounds = max(1, options.rounds or (3 if options.quick else 5))
    options.vhdkit = os.path.abspath(options.vhdkit or os.path.join(top, "target", "release", "vhdkit"))
    wanted = options.only.split(",")
    for name in wanted:
        if name not in CASES:
            sys.exit(f"run.py: no such case: {name}")
    facts = list(machine(options))
    for name, value in facts:
        print(f"{name:<20}{value}")
    loads = [(time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()), load())]
    print(f"{'load':<20}{loads[0][1]} (before)\n{'date':<20}{loads[0][0]}", flush=True)
    begin = time.monotonic()
    table = Table()
    # A part of the cases is no new state of this tree.
    out = options.out or (os.path.join(top, "BENCHMARKS.md") if wanted == list(CASES) else None)
    with tempfile.TemporaryDirectory(prefix="vhdkit-bench-", dir=options.dir) as directory:
        for name, case in CASES.items():
            if name not in wanted:
                continue
            print(f"running   {name} at {time.monotonic() - begin:.0f} s", file=sys.stderr)
            case(options, table, directory)
            # After each case, so that little is lost when somebody stops it.
            if out:
                loads[1:] = [("", load())]
                with open(out, "w") as file:
                    file.write(document(options, facts, table, loads, time.monotonic() - begin))
    print(f"{'load':<20}{load()} (after)\n")
    print(table.text())
    if out:
        print(f"wrote     {out}", file=sys.stderr)


if __name__ == "__main__":
    main()
