#!/bin/bash
# Builds the targets with coverage counters and runs one: fuzz/run.sh TARGET [OPTIONS OF LIBFUZZER]
#
#     fuzz/run.sh texts -max_total_time=600
#
# Needs a nightly compiler and a C++ compiler, and nothing else. What is found grows in fuzz/found/TARGET, beside the seeds of
# fuzz/corpus/TARGET, which stay as they are; inputs that fail go to fuzz/artifacts/TARGET. With the target `all` nothing is run.
set -euo pipefail
cd "$(dirname "$0")"
target=${1:?which target? binaries, container, disk, guest, hive, initramfs, texts, volume}
shift
host=$(rustc +nightly -vV | sed -n 's/^host: //p')
built=${CARGO_TARGET_DIR:-target}/$host/release
# `--target` keeps the counters out of build scripts and macros.
export RUSTFLAGS="-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
-Cllvm-args=-sanitizer-coverage-pc-table -Cllvm-args=-sanitizer-coverage-trace-compares -Ccodegen-units=16 --cfg fuzzing"
if [ "$target" = all ]; then
    exec cargo +nightly build --locked --release --target "$host" --bins
fi
cargo +nightly build --locked --release --target "$host" --bin "$target"
mkdir -p "found/$target" "artifacts/$target" "corpus/$target"
options=(-artifact_prefix="artifacts/$target/" -dict=dictionaries/words -timeout=20 -rss_limit_mb=2048 -print_final_stats=1)
exec "$built/$target" "${options[@]}" "$@" "found/$target" "corpus/$target"
