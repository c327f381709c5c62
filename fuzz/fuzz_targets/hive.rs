//! A registry hive, and a log of it behind the first half of the bytes where the first byte says so: every key and value, and what a boot
//! store says.
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::sync::Arc;
use vhdkit::bytes::{Bytes, Memory};
use vhdkit::guest::windows::bcd::Store;
use vhdkit::guest::windows::hive::{Hive, Key, Mode};
use vhdkit_fuzz as _;

fn walk(key: &Key<'_>, left: &mut usize) {
    if *left == 0 {
        return;
    }
    *left -= 1;
    drop((key.name(), key.class(), key.written()));
    for value in key.values().into_iter().flatten() {
        drop((value.text(), value.texts(), value.dword(), value.qword()));
    }
    for below in key.keys().into_iter().flatten() {
        walk(&below, left);
    }
}

fuzz_target!(|data: &[u8]| {
    let Some((choice, rest)) = data.split_first() else { return };
    let (main, log) = if choice % 2 == 0 { (rest, &[][..]) } else { rest.split_at(rest.len() / 2) };
    // The sum over a header is made right, so that what follows is reached.
    let mut main = main.to_vec();
    if main.len() >= 512 {
        main[..4].copy_from_slice(b"regf");
        let sum = main[..508].chunks_exact(4).fold(0_u32, |sum, word| sum ^ u32::from_le_bytes(word.try_into().unwrap()));
        let sum = if sum == 0 {
            1
        } else if sum == u32::MAX {
            u32::MAX - 1
        } else {
            sum
        };
        main[508..512].copy_from_slice(&sum.to_le_bytes());
    }
    let logs: Vec<Bytes> = if log.is_empty() { vec![] } else { vec![Arc::new(Memory(log.to_vec()))] };
    let mode = if choice % 4 < 2 { Mode::Strict } else { Mode::Lenient };
    let Ok(hive) = Hive::open(Arc::new(Memory(main)), &logs, mode) else { return };
    if let Ok(root) = hive.root() {
        walk(&root, &mut 20_000);
    }
    drop((hive.recovered(), hive.damage(), hive.key("ControlSet001\\Services"), hive.value("Select", "Current")));
    if let Ok(store) = Store::read(&hive) {
        drop((store.default_object(), store.display_order(), store.problems().len()));
        for object in store.objects() {
            for element in [0x1100_0001, 0x1200_0002, 0x1200_0030, 0x1600_0060, 0x2100_0001, 0x2500_0004, 0x2600_0022] {
                drop((store.effective(object, element), object.setting(element), object.text(element)));
            }
        }
    }
});
