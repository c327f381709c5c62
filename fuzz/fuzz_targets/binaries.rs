//! Files of a guest that are no text: databases of packages, programs, kernels, and what is compressed; the first byte says which.
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::ops::ControlFlow;
use std::sync::Arc;
use vhdkit::bytes::{Bytes, Memory};
use vhdkit::guest::elf;
use vhdkit::guest::linux::kernel_image;
use vhdkit::guest::linux::rpm::{bdb, ndb, sqlite};
use vhdkit::guest::linux::unpack::{Compression, unpack};
use vhdkit::guest::pe::Pe;
use vhdkit::guest::windows::{account, coff};
use vhdkit_fuzz as _;

/// Bytes after which what is unpacked is enough.
const ENOUGH: usize = 1 << 22;
const FORMATS: [Compression; 8] = [
    Compression::Gzip,
    Compression::Bzip2,
    Compression::Lzma,
    Compression::Xz,
    Compression::Lzo,
    Compression::Lz4,
    Compression::Lz4Frame,
    Compression::Zstd,
];

fuzz_target!(|data: &[u8]| {
    let Some((choice, bytes)) = data.split_first() else { return };
    let memory: Bytes = Arc::new(Memory(bytes.to_vec()));
    match choice % 8 {
        0 => drop(sqlite::packages(&memory, None, &mut |_| ())),
        1 => {
            let (database, log) = bytes.split_at(bytes.len() / 2);
            let [database, log]: [Bytes; 2] = [database, log].map(|part| Arc::new(Memory(part.to_vec())) as Bytes);
            drop(sqlite::packages(&database, Some(&log), &mut |_| ()));
        }
        2 => drop(bdb::packages(&memory, &mut |_| ())),
        3 => drop(ndb::packages(&memory, &mut |_| ())),
        4 | 5 => {
            if let Ok(pe) = Pe::read(&*memory) {
                drop((pe.architecture(), pe.is_unified_kernel(), pe.signatures(&*memory)));
                for name in [".sbat", ".cmdline", ".uname", ".osrel"] {
                    drop((pe.text(&*memory, name, 1 << 16), pe.content(&*memory, name, 1 << 16)));
                }
            }
        }
        6 => drop((
            kernel_image::read(bytes),
            elf::architecture(bytes),
            coff::machine(bytes),
            account::control(bytes),
            account::policy_text(bytes),
        )),
        _ => {
            let named = bytes.first().map(|first| FORMATS[usize::from(*first) % FORMATS.len()]);
            for (format, at) in [(Compression::of(bytes), 0), (named, 1)] {
                let mut out = 0_usize;
                if let Some(format) = format {
                    drop(unpack(&*memory, at, format, &mut |part: &[u8]| {
                        out += part.len();
                        if out > ENOUGH { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
                    }));
                }
            }
        }
    }
});
