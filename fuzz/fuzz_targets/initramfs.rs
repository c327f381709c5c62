//! An initramfs: segments, archives, and what is compressed in any of the ways that kernels know.
#![no_main]

use libfuzzer_sys::fuzz_target;
use vhdkit::bytes::Memory;
use vhdkit::guest::linux::initramfs::{Limits, list};
use vhdkit_fuzz as _;

fuzz_target!(|data: &[u8]| {
    let limits = Limits { packed: 1 << 24, unpacked: 1 << 24, entries: 10_000 };
    drop(list(&Memory(data.to_vec()), &limits));
});
