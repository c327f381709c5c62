//! What the tests on whole files share: running the program, other people's programs, and disks in files.

pub mod vhd;

use serde_json::Value;
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use vhdkit::bytes::host::Access;
use vhdkit::bytes::{Bytes, HostFile, ReadAt};
use vhdkit::container::{self, Container, ParentSearch, Source};

/// What a run of vhdkit left.
pub struct Run {
    /// Exit status; 128 and the signal where one ended it.
    pub status: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Run {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {}{}", self.stdout, self.stderr))
    }

    /// The codes of the findings, sorted.
    pub fn codes(&self) -> Vec<String> {
        let mut codes: Vec<String> = list(&self.json()["findings"]).iter().map(|finding| text(&finding["code"])).collect();
        codes.sort();
        codes
    }
}

pub fn list(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

pub fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

pub fn name(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn finished(output: std::process::Output) -> Run {
    use std::os::unix::process::ExitStatusExt;
    Run {
        status: output.status.code().unwrap_or_else(|| 128 + output.status.signal().unwrap_or_default()),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

pub fn vhdkit(args: &[&str]) -> Run {
    finished(Command::new(env!("CARGO_BIN_EXE_vhdkit")).args(args).stdin(Stdio::null()).output().unwrap())
}

/// Runs vhdkit with at most `kib` KiB of address space.
pub fn vhdkit_within(kib: u32, args: &[&str]) -> Run {
    let script = format!("ulimit -v {kib}; exec \"$0\" \"$@\"");
    finished(Command::new("sh").args(["-c", &script, env!("CARGO_BIN_EXE_vhdkit")]).args(args).stdin(Stdio::null()).output().unwrap())
}

/// Whether a program is installed; says what is not checked without it.
pub fn installed(tool: &str, unchecked: &str) -> bool {
    let found = Command::new(tool).arg("--version").stdin(Stdio::null()).output().is_ok();
    if !found {
        eprintln!("SKIPPED: {tool} is not installed, so {unchecked}");
    }
    found
}

/// Runs another program, which must be content.
pub fn must_run(tool: &str, args: &[&str]) -> String {
    let output = Command::new(tool).args(args).stdin(Stdio::null()).output().unwrap_or_else(|error| panic!("{tool}: {error}"));
    let words = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success(), "{tool} {args:?}: {words}");
    words
}

/// Opens a disk through the library, as the commands do.
pub fn open(path: &Path, parents: &[PathBuf]) -> Container {
    let file: Bytes = Arc::new(HostFile::open(path, Access::Positional).unwrap());
    let search = ParentSearch { directories: parents.to_vec(), access: Access::Positional };
    container::open(&Source { file: &file, path, search: &search }).unwrap()
}

/// All bytes of a disk, read from its first to its last; the first error.
pub fn each_piece(disk: &dyn ReadAt, mut take: impl FnMut(&[u8])) -> Result<(), String> {
    let mut buf = vec![0; 4 << 20];
    let mut at = 0;
    while at < disk.size() {
        let len = (disk.size() - at).min(buf.len() as u64) as usize;
        disk.read_at(at, &mut buf[..len]).map_err(|error| error.to_string())?;
        take(&buf[..len]);
        at += len as u64;
    }
    Ok(())
}

/// SHA-256 of all bytes of a disk.
pub fn sha256(disk: &dyn ReadAt) -> Result<String, String> {
    let mut hash = Sha256::new();
    each_piece(disk, |piece| hash.update(piece))?;
    Ok(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Bytes that a file takes on the host's disk.
pub fn blocks(path: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata(path).unwrap().blocks() * 512
}

/// Where a fixed VHD differs from what Azure wants of any: the first complaint.
pub fn flaw_of_fixed(path: &Path) -> Option<String> {
    let file = HostFile::open(path, Access::Positional).unwrap();
    let Some(size) = file.size().checked_sub(512) else { return Some("too short".to_owned()) };
    let mut end = vec![0; 512];
    file.read_at(size, &mut end).unwrap();
    if !size.is_multiple_of(1 << 20) || size < 20 << 20 {
        return Some(format!("{size} bytes are not whole MiB, or too few"));
    }
    let mut sealed = end.clone();
    vhd::seal_footer(&mut sealed, 0);
    let fields: [(&str, bool); 6] = [
        ("checksum", sealed == end),
        ("cookie", end.starts_with(b"conectix")),
        ("type", end[60..64] == 2_u32.to_be_bytes()),
        ("data offset", end[16..24] == [0xff; 8]),
        ("sizes", end[48..56] == size.to_be_bytes()),
        ("creator", &end[28..32] == b"win "),
    ];
    fields.iter().find(|(_, good)| !good).map(|(field, _)| format!("the footer's {field}"))
}
