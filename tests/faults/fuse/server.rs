//! A file system that hands everything on to a directory below it, but for the requests that are to fail.
//!
//! It is served by a thread of the test and mounted by `mount`, which takes the open device as its standard input. Only what the program
//! under test asks is counted and fails; whoever else looks at the mount is answered.

use super::wire::{self, Answer, Kind, Words};
use rustix::fs::{AtFlags, CWD, FallocateFlags, Mode, OFlags, RenameFlags, SeekFrom};
use rustix::io::Errno;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::fs::{self, File, Metadata};
use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{DirBuilderExt, FileExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

/// How a request fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// It is not carried out, and answered with this error.
    Error(Errno),
    /// It is carried out, and answered with this error all the same.
    Done(Errno),
    /// A READ that brings, or a WRITE that takes, a third of what it could.
    Short,
    /// A READ that brings, or a WRITE that takes, nothing.
    Nothing,
    /// A WRITE that is lost, which the next FSYNC tells, once.
    Lost,
    /// From now on the file has only half its length.
    Shrinks,
}

impl std::fmt::Display for How {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let words = |error: Errno| std::io::Error::from(error);
        match self {
            Self::Error(error) => write!(f, "fails ({})", words(*error)),
            Self::Done(error) => write!(f, "is carried out and fails ({})", words(*error)),
            Self::Short => f.write_str("does a part"),
            Self::Nothing => f.write_str("does nothing"),
            Self::Lost => f.write_str("is lost"),
            Self::Shrinks => f.write_str("finds half the file"),
        }
    }
}

/// Which request fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fault {
    /// `None` for any.
    pub kind: Option<Kind>,
    /// Counted from 1.
    pub n: u64,
    /// All later ones fail too.
    pub lasting: bool,
    pub how: How,
}

/// What is to fail, and what came.
#[derive(Debug, Default)]
struct Plan {
    fault: Option<Fault>,
    counts: BTreeMap<Kind, u64>,
    hits: u64,
    /// Kinds that the file system does not have, and what it says then.
    lacks: BTreeMap<Kind, Errno>,
    /// Whether files are read and written past the page cache.
    direct: bool,
    /// Threads that asked, and whether they are of the program under test.
    asked: BTreeMap<u32, bool>,
    /// Files that shrank, and to what.
    shrunk: BTreeMap<u64, u64>,
    /// A write was lost, and nobody told yet.
    lost: bool,
}

impl Plan {
    /// Whether the program under test asks. A thread of a process that ends has no program any more, but has asked before.
    fn of_the_program(&mut self, thread: u32) -> bool {
        *self
            .asked
            .entry(thread)
            .or_insert_with(|| fs::read_link(format!("/proc/{thread}/exe")).is_ok_and(|exe| exe == Path::new(env!("CARGO_BIN_EXE_vhdkit"))))
    }

    /// Counts a request; how it fails.
    fn take(&mut self, kind: Kind, thread: u32) -> Option<How> {
        if let Some(error) = self.lacks.get(&kind) {
            return Some(How::Error(*error));
        }
        if !self.of_the_program(thread) {
            return None;
        }
        *self.counts.entry(kind).or_default() += 1;
        let fault = self.fault.filter(|fault| fault.kind.is_none_or(|wanted| wanted == kind))?;
        let count = fault.kind.map_or_else(|| self.counts.values().sum(), |kind| self.counts[&kind]);
        let fails = count == fault.n || fault.lasting && count > fault.n;
        self.hits += u64::from(fails);
        fails.then_some(fault.how)
    }
}

/// The file system, until it is dropped.
pub struct Mount {
    /// Where its files are.
    pub below: PathBuf,
    /// Where it is mounted.
    pub at: PathBuf,
    plan: Arc<Mutex<Plan>>,
    // Removed when it is not mounted any more.
    _home: tempfile::TempDir,
}

impl Mount {
    /// Mounts an empty one, without these kinds of requests; the reason where that cannot be done.
    pub fn new(lacks: &[(Kind, Errno)]) -> Result<Self, String> {
        let home = tempfile::Builder::new().prefix("fuse").tempdir().map_err(|error| error.to_string())?;
        let (below, at) = (home.path().join("below"), home.path().join("at"));
        fs::create_dir(&below).unwrap();
        fs::create_dir(&at).unwrap();
        let device = File::options().read(true).write(true).open("/dev/fuse").map_err(|error| format!("/dev/fuse: {error}"))?;
        let user = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
        let options = format!("fd=0,rootmode=40000,user_id={},group_id={}", user.0, user.1);
        let mut mount = Command::new("mount");
        mount.args(["-i", "-t", "fuse", "-o", &options, "vhdkit-faults"]).arg(&at);
        let output = mount.stdin(Stdio::from(device.try_clone().unwrap())).output().map_err(|error| format!("mount: {error}"))?;
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stderr).trim().to_owned());
        }
        let plan = Arc::new(Mutex::new(Plan { lacks: lacks.iter().copied().collect(), ..Plan::default() }));
        let server = Server::new(&below, plan.clone());
        // The device is closed when this thread ends, however it does, and whoever waits for an answer then gets an error.
        std::thread::Builder::new().name("fuse".to_owned()).spawn(move || server.serve(&device)).unwrap();
        Ok(Self { below, at, plan, _home: home })
    }

    fn plan(&self) -> MutexGuard<'_, Plan> {
        self.plan.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets files be read and written without the page cache, so that the program sees what is answered, or with it.
    pub fn past_the_cache(&self, direct: bool) {
        self.plan().direct = direct;
    }

    /// Begins to count, and lets requests fail.
    pub fn arm(&self, fault: Option<Fault>) {
        let mut plan = self.plan();
        *plan = Plan { fault, lacks: std::mem::take(&mut plan.lacks), direct: plan.direct, ..Plan::default() };
    }

    /// Ends it: how many requests came of each kind, and how many failed.
    pub fn disarm(&self) -> (BTreeMap<Kind, u64>, u64) {
        let mut plan = self.plan();
        (plan.fault, plan.lost) = (None, false);
        plan.shrunk.clear();
        (std::mem::take(&mut plan.counts), plan.hits)
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        // Even where something of it is open still.
        let ended = Command::new("umount").args(["-i", "-l"]).arg(&self.at).output();
        if !ended.is_ok_and(|output| output.status.success()) {
            eprintln!("'{}' could not be unmounted", self.at.display());
        }
    }
}

/// A file or directory that the kernel knows.
#[derive(Debug, Default)]
struct Node {
    /// Below the root; `None` while it has no name.
    path: Option<PathBuf>,
    /// Where it was opened, which is all that there is of a file without a name.
    file: Option<Arc<File>>,
    /// What is one and the same file below; numbers of inodes alone are given again.
    id: Id,
    lookups: u64,
}

type Id = (u64, Option<SystemTime>);

fn id(metadata: &Metadata) -> Id {
    (metadata.ino(), metadata.created().ok())
}

struct Server {
    below: PathBuf,
    plan: Arc<Mutex<Plan>>,
    nodes: BTreeMap<u64, Node>,
    by_id: BTreeMap<Id, u64>,
    files: BTreeMap<u64, Arc<File>>,
    listings: BTreeMap<u64, Vec<(u64, u32, OsString)>>,
    /// Numbers of nodes and handles, none used twice.
    last: u64,
}

const ROOT: u64 = 1;

type Answered = Result<Answer, Errno>;

impl Server {
    fn new(below: &Path, plan: Arc<Mutex<Plan>>) -> Self {
        let root = Node { path: Some(PathBuf::new()), lookups: u64::MAX / 2, ..Node::default() };
        Self {
            below: below.to_owned(),
            plan,
            nodes: [(ROOT, root)].into(),
            by_id: BTreeMap::new(),
            files: BTreeMap::new(),
            listings: BTreeMap::new(),
            last: ROOT,
        }
    }

    fn serve(mut self, mut device: &File) {
        let mut buffer = vec![0; wire::MOST + (64 << 10)];
        loop {
            let length = match device.read(&mut buffer) {
                Ok(length) => length,
                // A request that was taken back while it was read.
                Err(error) if matches!(Errno::from_io_error(&error), Some(Errno::NOENT | Errno::INTR | Errno::AGAIN)) => continue,
                // It is not mounted any more.
                Err(_) => return,
            };
            let mut header = Words(&buffer[4..wire::HEADER]);
            let (opcode, unique, node) = (header.u32(), header.u64(), header.u64());
            let thread = header.skip(8).u32();
            let body = &buffer[wire::HEADER..length];
            let Some(answered) = self.answer(opcode, node, thread, body) else { continue };
            let (error, answer) = match answered {
                Ok(answer) => (0, answer.0),
                Err(error) => (-error.raw_os_error(), Vec::new()),
            };
            let whole = Answer::default().u32(16 + answer.len() as u32).u32(error as u32).u64(unique);
            // Nobody waits for it any more, if it fails.
            device.write_all(&[whole.0, answer].concat()).ok();
        }
    }

    /// `None` where nobody waits for an answer.
    fn answer(&mut self, opcode: u32, node: u64, thread: u32, body: &[u8]) -> Option<Answered> {
        let mut words = Words(body);
        match opcode {
            wire::INIT => {
                let (minor, readahead) = (words.skip(4).u32(), words.u32());
                return Some(Ok(Answer::init(minor, readahead)));
            }
            wire::FORGET => {
                self.forget(node, words.u64());
                return None;
            }
            wire::BATCH_FORGET => {
                let count = words.u32();
                words.skip(4);
                for _ in 0..count {
                    let (node, lookups) = (words.u64(), words.u64());
                    self.forget(node, lookups);
                }
                return None;
            }
            wire::INTERRUPT => return None,
            wire::RELEASE => drop(self.files.remove(&words.u64())),
            wire::RELEASEDIR => drop(self.listings.remove(&words.u64())),
            wire::DESTROY => {}
            _ => {
                let Some(kind) = Kind::of(opcode) else { return Some(Err(Errno::NOSYS)) };
                let how = self.plan().take(kind, thread);
                return Some(self.fail(how, kind, node, words));
            }
        }
        Some(Ok(Answer::default()))
    }

    fn plan(&self) -> MutexGuard<'_, Plan> {
        self.plan.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn fail(&mut self, how: Option<How>, kind: Kind, node: u64, words: Words<'_>) -> Answered {
        if kind == Kind::Fsync && std::mem::take(&mut self.plan().lost) {
            return Err(Errno::IO);
        }
        match how {
            None | Some(How::Short | How::Nothing) => self.carry_out(kind, node, words, how),
            Some(How::Error(error)) => Err(error),
            Some(How::Done(error)) => {
                self.carry_out(kind, node, words, how)?;
                Err(error)
            }
            Some(How::Lost) => {
                self.plan().lost = true;
                let size = Words(words.0).skip(16).u32();
                Ok(Answer::default().u32(size).u32(0))
            }
            Some(How::Shrinks) => {
                let size = self.metadata(node)?.len() / 2;
                self.plan().shrunk.entry(node).or_insert(size);
                self.carry_out(kind, node, words, how)
            }
        }
    }

    fn forget(&mut self, node: u64, lookups: u64) {
        let Some(known) = self.nodes.get_mut(&node) else { return };
        known.lookups = known.lookups.saturating_sub(lookups);
        if known.lookups == 0 {
            let id = known.id;
            self.nodes.remove(&node);
            if self.by_id.get(&id) == Some(&node) {
                self.by_id.remove(&id);
            }
        }
    }

    fn next(&mut self) -> u64 {
        self.last += 1;
        self.last
    }

    /// A path below the root, as the host has it.
    fn host(&self, path: &Path) -> PathBuf {
        self.below.join(path)
    }

    fn path(&self, node: u64) -> Result<PathBuf, Errno> {
        self.nodes.get(&node).and_then(|node| node.path.clone()).ok_or(Errno::STALE)
    }

    /// Where a node can be opened, named, or asked about.
    fn reach(&self, node: u64) -> Result<PathBuf, Errno> {
        match self.nodes.get(&node) {
            Some(Node { path: Some(path), .. }) => Ok(self.host(path)),
            Some(Node { file: Some(file), .. }) => Ok(PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()))),
            _ => Err(Errno::STALE),
        }
    }

    fn metadata(&self, node: u64) -> Result<Metadata, Errno> {
        match self.nodes.get(&node) {
            Some(Node { path: Some(path), .. }) => host_error(self.host(path).symlink_metadata()),
            Some(Node { file: Some(file), .. }) => host_error(file.metadata()),
            _ => Err(Errno::STALE),
        }
    }

    fn size(&self, node: u64, metadata: &Metadata) -> u64 {
        self.plan().shrunk.get(&node).map_or(metadata.len(), |size| metadata.len().min(*size))
    }

    /// The node of a file with a name, looked up once more.
    fn named(&mut self, path: PathBuf) -> Answered {
        let metadata = host_error(self.host(&path).symlink_metadata())?;
        let id = id(&metadata);
        let number = match self.by_id.get(&id) {
            Some(number) => *number,
            None => self.next(),
        };
        self.by_id.insert(id, number);
        let node = self.nodes.entry(number).or_default();
        (node.path, node.id, node.lookups) = (Some(path), id, node.lookups + 1);
        let size = self.size(number, &metadata);
        Ok(Answer::entry(number).attributes(number, &metadata, size))
    }

    /// A handle for an open file of a node.
    fn handle(&mut self, node: u64, file: File) -> u64 {
        let (handle, file) = (self.next(), Arc::new(file));
        self.files.insert(handle, file.clone());
        if let Some(node) = self.nodes.get_mut(&node) {
            node.file = Some(file);
        }
        handle
    }

    fn opened(&self, answer: Answer, handle: u64) -> Answer {
        answer.u64(handle).u32(if self.plan().direct { wire::DIRECT_IO } else { 0 }).u32(0)
    }

    fn file(&self, handle: u64) -> Result<Arc<File>, Errno> {
        self.files.get(&handle).cloned().ok_or(Errno::BADF)
    }

    /// A name is gone, or of another file.
    fn lost_its_name(&mut self, path: &Path, was: Option<Metadata>) {
        for node in self.nodes.values_mut().filter(|node| node.path.as_deref() == Some(path)) {
            node.path = None;
        }
        if let Some(was) = was.filter(|was| was.nlink() <= 1 || was.is_dir()) {
            self.by_id.remove(&id(&was));
        }
    }

    fn carry_out(&mut self, kind: Kind, node: u64, mut words: Words<'_>, how: Option<How>) -> Answered {
        let empty = Answer::default();
        match kind {
            Kind::Lookup => {
                let path = self.path(node)?.join(words.name());
                self.named(path)
            }
            Kind::Getattr => {
                let metadata = self.metadata(node)?;
                Ok(empty.u64(0).u32(0).u32(0).attributes(node, &metadata, self.size(node, &metadata)))
            }
            Kind::Setattr => self.set_attributes(node, words),
            Kind::Mknod => {
                let (mode, path) = (words.u32(), self.path(node)?);
                let path = path.join(words.skip(12).name());
                let file = host_error(File::options().write(true).create_new(true).open(self.host(&path)))?;
                host_error(file.set_permissions(fs::Permissions::from_mode(mode & 0o7777)))?;
                self.named(path)
            }
            Kind::Mkdir => {
                let (mode, path) = (words.u32(), self.path(node)?);
                let path = path.join(words.skip(4).name());
                host_error(fs::DirBuilder::new().mode(mode & 0o7777).create(self.host(&path)))?;
                host_error(fs::set_permissions(self.host(&path), fs::Permissions::from_mode(mode & 0o7777)))?;
                self.named(path)
            }
            Kind::Unlink | Kind::Rmdir => {
                let path = self.path(node)?.join(words.name());
                let host = self.host(&path);
                let was = host.symlink_metadata().ok();
                host_error(if kind == Kind::Rmdir { fs::remove_dir(host) } else { fs::remove_file(host) })?;
                self.lost_its_name(&path, was);
                Ok(empty)
            }
            Kind::Rename | Kind::Rename2 => {
                let to = self.path(words.u64())?;
                let flags = if kind == Kind::Rename2 { (words.u32(), words.u32()).0 } else { 0 };
                let (from, to) = (self.path(node)?.join(words.name()), to.join(words.name()));
                let was = self.host(&to).symlink_metadata().ok();
                rustix::fs::renameat_with(CWD, self.host(&from), CWD, self.host(&to), RenameFlags::from_bits_retain(flags))?;
                self.lost_its_name(&to, was);
                for node in self.nodes.values_mut() {
                    if let Some(rest) = node.path.as_ref().and_then(|path| path.strip_prefix(&from).ok()) {
                        // Joined with nothing, a path would end with a slash.
                        node.path = Some(if rest.as_os_str().is_empty() { to.clone() } else { to.join(rest) });
                    }
                }
                Ok(empty)
            }
            Kind::Link => {
                let from = self.reach(words.u64())?;
                let path = self.path(node)?.join(words.name());
                rustix::fs::linkat(CWD, from, CWD, self.host(&path), AtFlags::SYMLINK_FOLLOW)?;
                self.named(path)
            }
            Kind::Open => {
                let flags = OFlags::from_bits_retain(words.u32()) & OFlags::ACCMODE;
                let file = rustix::fs::open(self.reach(node)?, flags | OFlags::CLOEXEC, Mode::empty())?;
                let handle = self.handle(node, file.into());
                Ok(self.opened(empty, handle))
            }
            Kind::Create | Kind::Tmpfile => {
                let (flags, mode, path) = (OFlags::from_bits_retain(words.u32()), words.u32(), self.path(node)?);
                self.create(kind, path, flags & (OFlags::EXCL | OFlags::TRUNC), mode & 0o7777, words.skip(8).name())
            }
            Kind::Read => {
                let (file, offset, size) = (self.file(words.u64())?, words.u64(), portion(words.u32(), how));
                let end = self.plan().shrunk.get(&node).copied().unwrap_or(u64::MAX);
                let size = u64::from(size).min(end.saturating_sub(offset)) as usize;
                let (mut bytes, mut done) = (vec![0; size], 0);
                while done < size {
                    match host_error(file.read_at(&mut bytes[done..], offset + done as u64))? {
                        0 => break,
                        read => done += read,
                    }
                }
                bytes.truncate(done);
                Ok(Answer(bytes))
            }
            Kind::Write => {
                let (file, offset, size) = (self.file(words.u64())?, words.u64(), portion(words.u32(), how));
                host_error(file.write_all_at(&words.skip(20).0[..size as usize], offset))?;
                Ok(empty.u32(size).u32(0))
            }
            Kind::Statfs => {
                let of = rustix::fs::statvfs(&self.below)?;
                let answer = empty.u64(of.f_blocks).u64(of.f_bfree).u64(of.f_bavail).u64(of.f_files).u64(of.f_ffree);
                let mut answer = answer.u32(of.f_bsize as u32).u32(255).u32(of.f_frsize as u32);
                answer.0.resize(80, 0);
                Ok(answer)
            }
            Kind::Fsync | Kind::Flush | Kind::Fsyncdir => Ok(empty),
            Kind::Opendir => {
                let path = self.path(node)?;
                let listing = self.list(&path)?;
                let handle = self.next();
                self.listings.insert(handle, listing);
                Ok(empty.u64(handle).u64(0))
            }
            Kind::Readdir => {
                let (handle, offset, size) = (words.u64(), words.u64() as usize, words.u32() as usize);
                let mut answer = empty;
                let listing = self.listings.get(&handle).ok_or(Errno::BADF)?;
                for (place, (inode, kind, name)) in listing.iter().enumerate().skip(offset) {
                    if answer.0.len() + 24 + name.len() + 8 > size {
                        break;
                    }
                    answer = answer.directory_entry(*inode, place as u64 + 1, *kind, name);
                }
                Ok(answer)
            }
            Kind::Fallocate => {
                let (file, offset, length, mode) = (self.file(words.u64())?, words.u64(), words.u64(), words.u32());
                rustix::fs::fallocate(&*file, FallocateFlags::from_bits_retain(mode), offset, length)?;
                Ok(empty)
            }
            Kind::Lseek => {
                let (file, offset, whence) = (self.file(words.u64())?, words.u64(), words.u32());
                let at = rustix::fs::seek(&*file, if whence == 3 { SeekFrom::Data(offset) } else { SeekFrom::Hole(offset) })?;
                Ok(empty.u64(at))
            }
            Kind::CopyFileRange => {
                let (from, mut at) = (self.file(words.u64())?, words.u64());
                let (to, mut there, length) = (self.file(words.skip(8).u64())?, words.u64(), words.u64());
                let done = rustix::fs::copy_file_range(&*from, Some(&mut at), &*to, Some(&mut there), length as usize)?;
                Ok(empty.u32(done as u32).u32(0))
            }
        }
    }

    fn create(&mut self, kind: Kind, path: PathBuf, flags: OFlags, mode: u32, name: &OsStr) -> Answered {
        let flags = flags | OFlags::RDWR | OFlags::CLOEXEC;
        let all = Mode::from_raw_mode(0o600);
        if kind == Kind::Tmpfile {
            let file = File::from(rustix::fs::open(self.host(&path), flags.difference(OFlags::TRUNC) | OFlags::TMPFILE, all)?);
            host_error(file.set_permissions(fs::Permissions::from_mode(mode)))?;
            let (metadata, number) = (host_error(file.metadata())?, self.next());
            self.by_id.insert(id(&metadata), number);
            self.nodes.insert(number, Node { id: id(&metadata), lookups: 1, ..Node::default() });
            let handle = self.handle(number, file);
            return Ok(self.opened(Answer::entry(number).attributes(number, &metadata, 0), handle));
        }
        let path = path.join(name);
        let file = File::from(rustix::fs::open(self.host(&path), flags | OFlags::CREATE | OFlags::NOFOLLOW, all)?);
        host_error(file.set_permissions(fs::Permissions::from_mode(mode)))?;
        let entry = self.named(path)?;
        let number = self.by_id[&id(&host_error(file.metadata())?)];
        let handle = self.handle(number, file);
        Ok(self.opened(entry, handle))
    }

    fn set_attributes(&mut self, node: u64, mut words: Words<'_>) -> Answered {
        const MODE: u32 = 1;
        const SIZE: u32 = 8;
        const HANDLE: u32 = 64;
        let valid = words.u32();
        let (handle, size) = (words.skip(4).u64(), words.u64());
        let mode = words.skip(44).u32();
        if valid & SIZE != 0 {
            let file = if valid & HANDLE != 0 {
                self.file(handle)?
            } else {
                Arc::new(host_error(File::options().write(true).open(self.reach(node)?))?)
            };
            host_error(file.set_len(size))?;
        }
        if valid & MODE != 0 {
            host_error(fs::set_permissions(self.reach(node)?, fs::Permissions::from_mode(mode & 0o7777)))?;
        }
        // Owners and times are those of the directory below.
        let metadata = self.metadata(node)?;
        Ok(Answer::default().u64(0).u32(0).u32(0).attributes(node, &metadata, self.size(node, &metadata)))
    }

    fn list(&self, path: &Path) -> Result<Vec<(u64, u32, OsString)>, Errno> {
        let mut all = vec![(1, 4, ".".into()), (1, 4, "..".into())];
        let mut seen = BTreeSet::new();
        for entry in host_error(fs::read_dir(self.host(path)))? {
            let entry = host_error(entry)?;
            let kind = host_error(entry.file_type())?;
            let kind = if kind.is_dir() {
                4
            } else if kind.is_symlink() {
                10
            } else {
                8
            };
            if seen.insert(entry.file_name()) {
                let metadata = host_error(entry.metadata())?;
                all.push((metadata.ino(), kind, entry.file_name()));
            }
        }
        all.sort();
        Ok(all)
    }
}

/// How much of what was asked for is done.
fn portion(size: u32, how: Option<How>) -> u32 {
    match how {
        // A byte at least.
        Some(How::Short) => size.div_ceil(3),
        Some(How::Nothing) => 0,
        _ => size,
    }
}

/// The host's own error, handed on.
fn host_error<T>(result: std::io::Result<T>) -> Result<T, Errno> {
    result.map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))
}
