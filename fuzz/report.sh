#!/bin/bash
# Which lines of src/ the corpora reach, by directory: fuzz/report.sh [DIRECTORY WITH MORE INPUTS, ONE A TARGET]...
#
# Builds the targets with the compiler's own coverage, gives each every input of fuzz/corpus/TARGET and fuzz/found/TARGET once, and prints a
# table. Needs a nightly compiler with the component llvm-tools.
set -euo pipefail
cd "$(dirname "$0")"
host=$(rustc +nightly -vV | sed -n 's/^host: //p')
tools=$(rustc +nightly --print sysroot)/lib/rustlib/$host/bin
dir=${CARGO_TARGET_DIR:-target}/coverage
home=$(mktemp -d)
trap 'rm -rf "$home"' EXIT
# The compiler's counters, and none of the fuzzer's.
RUSTFLAGS="-Cinstrument-coverage --cfg fuzzing" CARGO_PROFILE_DEV_DEBUG=false \
    cargo +nightly build --locked --target "$host" --target-dir "$dir" --bins
objects=()
for source in fuzz_targets/*.rs; do
    target=$(basename "$source" .rs)
    inputs=()
    for from in corpus found "$@"; do
        if [ -d "$from/$target" ]; then inputs+=("$from/$target"); fi
    done
    echo "$target" >&2
    LLVM_PROFILE_FILE="$home/$target.profraw" "$dir/$host/debug/$target" -runs=0 -rss_limit_mb=4096 -artifact_prefix="$home/" "${inputs[@]}" \
        2>"$home/$target.log" || { tail -n 5 "$home/$target.log" >&2; }
    objects+=(-object "$dir/$host/debug/$target")
done
"$tools/llvm-profdata" merge -sparse "$home"/*.profraw -o "$home/all.profdata"
"$tools/llvm-cov" export "${objects[@]:1}" -instr-profile="$home/all.profdata" -summary-only >"$home/summary.json"
python3 - "$home/summary.json" "$(cd .. && pwd)/src/" <<'PYTHON'
import collections, json, sys
files = json.load(open(sys.argv[1]))["data"][0]["files"]
table = collections.defaultdict(lambda: [0, 0])
for file in files:
    if file["filename"].startswith(sys.argv[2]):
        parts = file["filename"][len(sys.argv[2]):].split("/")[:-1]
        lines = file["summary"]["lines"]
        for name in {"/".join(parts[:2]) or "(top)", "all"}:
            table[name][0] += lines["covered"]
            table[name][1] += lines["count"]
print("| directory | lines | reached |\n|---|---:|---:|")
for name in sorted(table, key=lambda name: (name == "all", name)):
    covered, count = table[name]
    print(f"| {name} | {count} | {100 * covered / max(count, 1):.0f} % |")
PYTHON
