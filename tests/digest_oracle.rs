//! Holds the digests against what other people's tools print for the same file.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::print_stderr,
    dead_code,
    clippy::allow_attributes,
    reason = "a test may panic"
)]

use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use vhdkit::bytes::host::Access;
use vhdkit::bytes::{Bytes, GIB, HostFile, KIB, MIB};
use vhdkit::prepare::copy::{Copied, CopyOptions, digest};

#[path = "support/full.rs"]
mod full;

/// What `fsverity digest` (fsverity-utils 1.5) prints of the largest file below. Reading its holes takes it half a minute.
const LARGE: &str = "sha256:cc95a8a264da8458011944c4dec05cb9f5ad30837a2b091f067f234d3ef5ff48";

/// First word of what a tool prints; `None`, loudly, where it is not installed.
fn first_word(tool: &str, args: &[&str], file: &Path) -> Option<String> {
    match Command::new(tool).args(args).arg(file).output() {
        Ok(output) => {
            assert!(output.status.success(), "{tool}: {}", String::from_utf8_lossy(&output.stderr));
            String::from_utf8(output.stdout).unwrap().split_whitespace().next().map(str::to_owned)
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            eprintln!("SKIPPED: {tool} is not installed");
            None
        }
        Err(error) => panic!("{tool}: {error}"),
    }
}

fn ours(file: &Path, sha256: bool) -> Copied {
    let bytes: Bytes = Arc::new(HostFile::open(file, Access::Positional).unwrap());
    digest(&bytes, &CopyOptions { threads: None, fsverity: true, sha256, share: None, reflink: false }, &(), &AtomicBool::new(false))
        .unwrap()
}

fn agree(what: &str, file: &Path, sha256: bool) {
    let digests = ours(file, sha256);
    if let Some(theirs) = first_word("fsverity", &["digest", "--hash-alg=sha256"], file) {
        assert_eq!(digests.fsverity.unwrap().to_string(), theirs, "fs-verity of {what}");
    }
    if sha256 && let Some(theirs) = first_word("sha256sum", &[], file) {
        assert_eq!(digests.sha256.unwrap().hex(), theirs, "SHA-256 of {what}");
    }
}

/// Bytes that do not repeat within a block, a group or a chunk.
fn pattern(len: u64) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut bytes = Vec::new();
    while (bytes.len() as u64) < len {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend(state.to_le_bytes());
    }
    bytes.truncate(len as usize);
    bytes
}

#[test]
fn every_border_of_blocks_groups_and_levels() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("file");
    let all = pattern(64 * MIB + 512 * KIB + 1);
    for border in [1, 512, 4096, 8192, 512 * KIB, MIB, MIB + 512, 3 * MIB + 512, 64 * MIB, 64 * MIB + 512, 64 * MIB + 512 * KIB] {
        for len in [border - 1, border, border + 1] {
            std::fs::write(&path, &all[..len as usize]).unwrap();
            agree(&format!("{len} bytes"), &path, true);
            // The same size, all hole.
            std::fs::remove_file(&path).unwrap();
            File::create_new(&path).unwrap().set_len(len).unwrap();
            // A hole has the SHA-256 of as many zeros, which small ones show.
            agree(&format!("a hole of {len} bytes"), &path, len < MIB);
        }
    }
}

#[test]
fn large_files_with_holes() {
    let dir = tempfile::tempdir().unwrap();
    let data = pattern(3 * MIB);
    // Two levels above the groups, and three, with a footer's length behind the last whole MiB.
    for (number, size) in [GIB - 1, 8 * GIB + 5 * MIB + 512].into_iter().enumerate() {
        let path = dir.path().join(format!("file-{number}"));
        let mut file = File::create_new(&path).unwrap();
        file.set_len(size).unwrap();
        for (place, len) in [(0, 512), (63 * MIB + 300, 3 * MIB), (512 * MIB - 4096, 8192), (size / 3, 100_000), (size - 512, 512)] {
            file.seek(SeekFrom::Start(place)).unwrap();
            file.write_all(&data[..len as usize]).unwrap();
        }
        if size > 8 * GIB {
            assert_eq!(ours(&path, false).fsverity.unwrap().to_string(), LARGE);
        }
        if size < 8 * GIB || full::full() {
            agree(&format!("{size} bytes, mostly hole"), &path, false);
        }
        std::fs::remove_file(&path).unwrap();
    }
}
