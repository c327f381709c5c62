#!/usr/bin/env bash
# Measures vhdkit beside its peers, on inputs that it makes itself, and writes BENCHMARKS.md when all cases run. Changes nothing else
# outside its temporary directory.
#
#   benches/run.sh [--quick] [--rounds N] [--dir DIR] [--disk DIR] [--only CASE,...] [--guest FILE] [--vhdkit FILE] [--out FILE]
#
# README.md beside this file says what is measured, and how.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

missing=()
need() { # program, package
    command -v "$1" >/dev/null || missing+=("$1 (package $2)")
}
need python3 python3
need qemu-img qemu-utils
need qemu-io qemu-utils
need strace strace
need sha256sum coreutils
[[ -x /usr/bin/time ]] || missing+=("/usr/bin/time (package time)")
given=no
for argument; do [[ $argument == --vhdkit* || $argument == --help || $argument == -h ]] && given=yes; done
[[ $given == yes ]] || need cargo cargo
if ((${#missing[@]})); then
    printf 'run.sh: missing: %s\n' "${missing[@]}" >&2
    echo 'run.sh: nothing was measured' >&2
    exit 0
fi

if [[ $given == no ]]; then
    (cd "$here/.." && cargo build --release --quiet)
fi
exec python3 "$here/run.py" "$@"
