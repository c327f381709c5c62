//! System calls that fail: `strace` counts those of a run, and then answers the n-th of one kind with an error of its own.
//!
//! It counts for each thread by itself, so that the n-th call of every thread fails. What is promised holds in any order.

use crate::support::{Ran, finish};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

/// Calls that are let fail where a run makes them; those that only threads and signals are made of, and memory, are left out.
pub const CALLS: [&str; 36] = [
    "open",
    "openat",
    "creat",
    "read",
    "readv",
    "pread64",
    "preadv",
    "write",
    "writev",
    "pwrite64",
    "pwritev",
    "lseek",
    "statx",
    "newfstatat",
    "stat",
    "lstat",
    "fstat",
    "getdents64",
    "readlink",
    "readlinkat",
    "fsync",
    "fdatasync",
    "ftruncate",
    "fallocate",
    "copy_file_range",
    "link",
    "linkat",
    "rename",
    "renameat",
    "renameat2",
    "unlink",
    "unlinkat",
    "mkdir",
    "rmdir",
    "fchmod",
    "clone3",
];

/// Whether calls can be let fail here; told loudly where not.
pub fn able() -> bool {
    static ABLE: OnceLock<bool> = OnceLock::new();
    *ABLE.get_or_init(|| {
        let mut tried = Command::new("strace");
        tried.args(["-f", "-qq", "--seccomp-bpf", "-e", "trace=mkdir", "-e", "inject=mkdir:error=EIO", "-o"]);
        let tried = tried_here(tried.arg("/dev/null").args(["mkdir", "/tmp/vhdkit-is-never-made"]));
        let able = tried.as_deref().is_some_and(|said| said.contains("nput/output error"));
        if !able {
            eprintln!("SKIPPED: faults of system calls, since strace is not here or may not trace ({})", tried.unwrap_or_default().trim());
        }
        able
    })
}

fn tried_here(command: &mut Command) -> Option<String> {
    let output = command.env("LC_ALL", "C").stdin(Stdio::null()).output().ok()?;
    Some(String::from_utf8_lossy(&output.stderr).into_owned())
}

/// A command under strace.
#[derive(Debug, Clone)]
pub struct Traced {
    pub args: Vec<String>,
    /// Faults that every run has.
    pub always: Vec<String>,
    /// Only calls about this file are counted, and fail.
    pub about: Option<PathBuf>,
}

impl Traced {
    pub fn new<A: Into<String>>(args: impl IntoIterator<Item = A>) -> Self {
        Self { args: args.into_iter().map(Into::into).collect(), always: vec![], about: None }
    }

    pub fn about(self, path: &Path) -> Self {
        Self { about: Some(path.to_owned()), ..self }
    }

    pub fn always(mut self, fault: &str) -> Self {
        self.always.push(fault.to_owned());
        self
    }

    fn run(&self, log: &Path, calls: &str, fault: Option<&str>) -> Ran {
        let mut command = Command::new("strace");
        command.args(["-f", "-qq", "--seccomp-bpf", "-o"]).arg(log).args(["-e", &format!("trace={calls}")]);
        for fault in self.always.iter().map(String::as_str).chain(fault) {
            command.args(["-e", &format!("inject={fault}")]);
        }
        if let Some(path) = &self.about {
            command.arg("-P").arg(path);
        }
        command.arg("--").arg(env!("CARGO_BIN_EXE_vhdkit")).args(&self.args);
        command.env_remove("NO_COLOR").env("TERM", "dumb").env("LC_ALL", "C");
        finish(command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap())
    }

    /// How many calls of each kind a run without a fault makes, on the thread that makes most of them.
    pub fn count(&self) -> (Ran, BTreeMap<String, u64>) {
        let log = tempfile::NamedTempFile::new().unwrap();
        let calls = known(&CALLS).join(",");
        let ran = self.run(log.path(), &calls, None);
        let mut by_thread: BTreeMap<(String, String), u64> = BTreeMap::new();
        for line in fs::read_to_string(log.path()).unwrap().lines() {
            let Some((thread, rest)) = line.trim_start().split_once(' ') else { continue };
            if let Some((call, _)) = rest.trim_start().split_once('(').filter(|_| !rest.trim_start().starts_with('<')) {
                *by_thread.entry((call.to_owned(), thread.to_owned())).or_default() += 1;
            }
        }
        let mut counts = BTreeMap::new();
        for ((call, _), count) in by_thread {
            let most = counts.entry(call).or_default();
            *most = count.max(*most);
        }
        (ran, counts)
    }

    /// A run whose n-th call of a kind fails; and whether it came to that.
    pub fn fail(&self, call: &str, error: &str, n: u64) -> (Ran, bool) {
        let log = tempfile::NamedTempFile::new().unwrap();
        let others: Vec<&str> = self.always.iter().filter_map(|fault| fault.split(':').next()).collect();
        let calls = others.into_iter().chain([call]).collect::<Vec<_>>().join(",");
        let ran = self.run(log.path(), &calls, Some(&format!("{call}:error={error}:when={n}")));
        let log = fs::read_to_string(log.path()).unwrap();
        let hit = log.lines().any(|line| line.contains(&format!(" {call}")) && line.contains("(INJECTED)"));
        (ran, hit)
    }
}

/// Calls that this machine has: some are of old architectures alone.
fn known(calls: &[&'static str]) -> Vec<&'static str> {
    static KNOWN: OnceLock<Vec<&'static str>> = OnceLock::new();
    KNOWN
        .get_or_init(|| {
            let knows = |call: &&&'static str| {
                let mut command = Command::new("strace");
                command.args(["-qq", "-o", "/dev/null", "-e", &format!("trace={call}"), "true"]);
                command.stdin(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
            };
            calls.iter().filter(knows).copied().collect()
        })
        .clone()
}

/// Calls that the program makes before it looks at its arguments: the loader's and the runtime's.
pub fn before_it_begins() -> &'static BTreeMap<String, u64> {
    static BEFORE: OnceLock<BTreeMap<String, u64>> = OnceLock::new();
    BEFORE.get_or_init(|| Traced::new(["--version"]).count().1)
}

/// Errors that a call of this kind may well fail with.
pub fn errors(call: &str) -> &'static [&'static str] {
    match call {
        "write" | "writev" | "pwrite64" | "pwritev" | "ftruncate" | "fallocate" | "fsync" | "fdatasync" => &["EIO", "ENOSPC", "EDQUOT"],
        "link" | "linkat" | "mkdir" | "rename" | "renameat" | "renameat2" => &["EIO", "ENOSPC", "EROFS"],
        "open" | "openat" | "creat" => &["EIO", "EMFILE", "EACCES"],
        "statx" | "newfstatat" | "stat" | "lstat" | "fstat" => &["EIO", "EACCES"],
        "clone3" => &["EAGAIN"],
        _ => &["EIO"],
    }
}
