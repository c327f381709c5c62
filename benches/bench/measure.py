"""Time, memory and bytes of a command."""

import glob
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time

DEVNULL = os.open(os.devnull, os.O_RDWR)


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


class Cost:
    """What commands, run one after the other, take beside time: the most resident memory, and the bytes of their read and write calls."""

    def __init__(self, memory, read, written):
        self.memory, self.read, self.written = memory, read, written


def cost(commands, after=None):
    """Runs the commands once more. Resident memory counts pages of mapped files; calls count whatever they read or write (pipes and
    libraries too), and nothing of a mapping."""
    memory = read = written = 0
    for command in commands:
        told, tells = os.pipe()
        actions = [(os.POSIX_SPAWN_DUP2, DEVNULL, 0), (os.POSIX_SPAWN_DUP2, DEVNULL, 1), (os.POSIX_SPAWN_DUP2, tells, 2)]
        pid = os.posix_spawn("/usr/bin/time", ["/usr/bin/time", "-q", "-f", "%M", *command], os.environ, file_actions=actions)
        os.close(tells)
        with os.fdopen(told) as pipe:
            words = pipe.read().split()
        # Ended and not yet forgotten: its account holds its child's.
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
        with open(f"/proc/{pid}/io") as file:
            counts = dict(line.split(": ") for line in file.read().splitlines())
        os.waitpid(pid, 0)
        memory = max(memory, int(words[-1]) << 10)
        read += int(counts["rchar"])
        written += int(counts["wchar"])
    if after:
        after()
    return Cost(memory, read, written)


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


def alternate(commands, rounds, before=None, after=None, expected=(0, 1)):
    """Runs all commands in turn, `rounds` times, starting with another one each time."""
    times = {name: [] for name in commands}
    names = list(commands)
    for number in range(rounds):
        for name in names[number % len(names):] + names[:number % len(names)]:
            if before:
                before()
            times[name].append(sum(clock(command, expected) for command in commands[name]))
            if after:
                after()
    return {name: Result(values) for name, values in times.items()}


def disk_use(path):
    return os.stat(path).st_blocks * 512
