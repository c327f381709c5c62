//! Everything that the program says of a disk: each command, each form, with and without colour, and what it writes.

use crate::support::{command, wait};
use std::ffi::OsStr;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Stdio;

/// What a file of the host holds that no disk may lead to.
pub const CANARY: &str = "C4NARY-of-the-host";

/// Whether something tells what is in that file.
pub fn tells(said: &[u8]) -> bool {
    said.windows(CANARY.len()).any(|part| part == CANARY.as_bytes())
}

/// Bytes that somebody may read, and how they came about.
pub struct Said {
    pub by: String,
    pub bytes: Vec<u8>,
    pub form: Form,
}

/// What the bytes are meant to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    Text,
    /// With the program's own colours.
    Colored,
    Json,
    /// A document a line.
    Lines,
    Xml,
    /// A script or template for somebody else's program.
    Script,
}

/// Runs the program; both streams as they are.
pub fn run_raw<A: AsRef<OsStr>>(args: &[A], dir: &Path) -> (Option<i32>, Vec<u8>, Vec<u8>) {
    let mut command = command();
    command.args(args).current_dir(dir).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let (mut out, mut err) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
    std::thread::scope(|scope| {
        let read = |stream: &mut dyn Read| {
            let mut bytes = Vec::new();
            stream.read_to_end(&mut bytes).unwrap();
            bytes
        };
        let out = scope.spawn(move || read(&mut out));
        let err = scope.spawn(move || read(&mut err));
        (wait(&mut child).code(), out.join().unwrap(), err.join().unwrap())
    })
}

/// All that is said of one disk by the commands that only read, in `dir`.
pub fn reading(disk: &Path, dir: &Path, more: &[&str]) -> Vec<Said> {
    let mut all = Vec::new();
    let forms = |json: &'static [(&'static str, Form)]| json.iter().copied();
    let of_check = [("text", Form::Text), ("json", Form::Json), ("jsonl", Form::Lines), ("sarif", Form::Json), ("junit", Form::Xml)];
    let mut ask = |args: Vec<&OsStr>, form: Form| {
        let (status, out, err) = run_raw(&args, dir);
        assert!(matches!(status, Some(0..=2)), "{args:?}: {status:?}: {}", String::from_utf8_lossy(&err));
        let by = args.iter().map(|arg| arg.to_string_lossy()).collect::<Vec<_>>().join(" ");
        all.push(Said { by: format!("{by} (standard output)"), bytes: out, form });
        all.push(Said { by: format!("{by} (standard error)"), bytes: err, form: Form::Text });
    };
    let words = |list: &[&'static str]| list.iter().map(|word| OsStr::new(*word)).collect::<Vec<_>>();
    let more: Vec<&OsStr> = more.iter().map(|word| OsStr::new(*word)).collect();
    for (format, form) in of_check {
        let state = words(&["--as", "generalized", "--profile", "marketplace", "--no-config", "--format", format]);
        ask([&words(&["check"])[..], &state, &more, &[disk.as_os_str()]].concat(), form);
    }
    for (format, form) in forms(&[("text", Form::Text), ("json", Form::Json), ("jsonl", Form::Lines)]) {
        ask([&words(&["inspect", "--deep", "-v", "--format", format])[..], &more, &[disk.as_os_str()]].concat(), form);
    }
    for args in [&["check", "-v", "--color=always"][..], &["inspect", "-v", "--color=always"]] {
        ask([&words(args)[..], &more, &[disk.as_os_str()]].concat(), Form::Colored);
    }
    for (format, form) in forms(&[("text", Form::Text), ("json", Form::Json)]) {
        ask([&words(&["generalize", "-v", "--format", format])[..], &more, &[disk.as_os_str()]].concat(), form);
        let prepare = words(&["prepare", "-v", "--as=specialized", "--dry-run", "--allow-undecided", "--format", format]);
        ask([&prepare[..], &more, &[disk.as_os_str()]].concat(), form);
    }
    for args in [&["ls", "--json"][..], &["ls"]] {
        let form = if args.len() == 2 { Form::Json } else { Form::Text };
        ask([&words(args)[..], &more, &[disk.as_os_str()]].concat(), form);
    }
    all
}

/// All that `prepare` leaves and says, and what is said of that; nothing where it refuses.
pub fn writing(disk: &Path, dir: &Path, args: &[&str]) -> Vec<Said> {
    writing_with(disk, dir, args, &["--sha256"])
}

/// The same with other digests: one over all bytes is slow for a large disk.
pub fn writing_with(disk: &Path, dir: &Path, args: &[&str], digests: &[&str]) -> Vec<Said> {
    let out = dir.join("written");
    let mut list: Vec<&OsStr> = args.iter().map(|arg| OsStr::new(*arg)).collect();
    list.extend(digests.iter().map(|digest| OsStr::new(*digest)));
    list.extend([OsStr::new("-o"), out.as_os_str(), OsStr::new("--progress=json"), disk.as_os_str()]);
    let mut all = Vec::new();
    let mut keep = |by: String, bytes: Vec<u8>, form: Form| all.push(Said { by, bytes, form });
    let (_, said, err) = run_raw(&list, dir);
    keep(format!("{args:?} (standard output)"), said, Form::Text);
    keep(format!("{args:?} (standard error)"), err, Form::Text);
    if !out.is_dir() {
        return all;
    }
    for (name, form) in [("manifest.json", Form::Json), ("SHA256SUMS", Form::Text)] {
        if form == Form::Text && digests.is_empty() {
            continue;
        }
        keep(name.to_owned(), std::fs::read(out.join(name)).unwrap(), form);
    }
    for (args, form) in [
        (&["verify", "-v"][..], Form::Text),
        (&["verify", "--format=json"], Form::Json),
        (&["recipe", "--as=specialized", "--generation=2", "--architecture=x64", "--os=linux", "--format=az"], Form::Script),
        (&["recipe", "--as=specialized", "--generation=2", "--architecture=x64", "--os=linux", "--format=powershell"], Form::Script),
        (&["recipe", "--as=specialized", "--generation=2", "--architecture=x64", "--os=linux", "--format=bicep"], Form::Script),
    ] {
        let list: Vec<&OsStr> = args.iter().map(|arg| OsStr::new(*arg)).chain([out.as_os_str()]).collect();
        let (_, said, err) = run_raw(&list, dir);
        keep(format!("{args:?} (standard output)"), said, form);
        keep(format!("{args:?} (standard error)"), err, Form::Text);
    }
    all
}

/// The path of the only disk that was written.
pub fn written(dir: &Path) -> PathBuf {
    dir.join("written")
}
