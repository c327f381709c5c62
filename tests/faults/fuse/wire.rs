//! What the kernel and a FUSE server say to each other: `include/uapi/linux/fuse.h` of Linux, protocol 7.38, as far as it is needed here.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;

/// Requests that can be let fail. Others are answered, or refused as unknown, behind everybody's back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    Lookup,
    Getattr,
    Setattr,
    Mknod,
    Mkdir,
    Unlink,
    Rmdir,
    Rename,
    /// A rename with flags: one that replaces nothing.
    Rename2,
    Link,
    Open,
    Read,
    Write,
    Statfs,
    Fsync,
    Flush,
    Opendir,
    Readdir,
    Fsyncdir,
    Create,
    Fallocate,
    Lseek,
    CopyFileRange,
    Tmpfile,
}

impl Kind {
    pub const ALL: [(u32, Self); 24] = [
        (1, Self::Lookup),
        (3, Self::Getattr),
        (4, Self::Setattr),
        (8, Self::Mknod),
        (9, Self::Mkdir),
        (10, Self::Unlink),
        (11, Self::Rmdir),
        (12, Self::Rename),
        (13, Self::Link),
        (14, Self::Open),
        (15, Self::Read),
        (16, Self::Write),
        (17, Self::Statfs),
        (20, Self::Fsync),
        (25, Self::Flush),
        (27, Self::Opendir),
        (28, Self::Readdir),
        (30, Self::Fsyncdir),
        (35, Self::Create),
        (43, Self::Fallocate),
        (45, Self::Rename2),
        (46, Self::Lseek),
        (47, Self::CopyFileRange),
        (51, Self::Tmpfile),
    ];

    pub fn of(opcode: u32) -> Option<Self> {
        Self::ALL.into_iter().find_map(|(code, kind)| (code == opcode).then_some(kind))
    }
}

/// Requests that are no operation on files.
pub const FORGET: u32 = 2;
pub const INIT: u32 = 26;
pub const RELEASE: u32 = 18;
pub const RELEASEDIR: u32 = 29;
pub const INTERRUPT: u32 = 36;
pub const DESTROY: u32 = 38;
pub const BATCH_FORGET: u32 = 42;

/// Bytes before every request.
pub const HEADER: usize = 40;
/// Bytes that one WRITE brings, at most.
pub const MOST: usize = 1 << 20;
/// Flags of OPEN's answer: no page cache for this handle.
pub const DIRECT_IO: u32 = 1;

/// A request, read from its start.
pub struct Words<'a>(pub &'a [u8]);

impl<'a> Words<'a> {
    pub fn u32(&mut self) -> u32 {
        let (word, rest) = self.0.split_first_chunk().expect("a request as the protocol has it");
        self.0 = rest;
        u32::from_ne_bytes(*word)
    }

    pub fn u64(&mut self) -> u64 {
        let (word, rest) = self.0.split_first_chunk().expect("a request as the protocol has it");
        self.0 = rest;
        u64::from_ne_bytes(*word)
    }

    pub fn skip(&mut self, bytes: usize) -> &mut Self {
        self.0 = &self.0[bytes..];
        self
    }

    /// A name up to its zero.
    pub fn name(&mut self) -> &'a OsStr {
        let end = self.0.iter().position(|byte| *byte == 0).expect("names end");
        let name = &self.0[..end];
        self.0 = &self.0[end + 1..];
        OsStr::from_bytes(name)
    }
}

/// An answer.
#[derive(Debug, Default)]
pub struct Answer(pub Vec<u8>);

impl Answer {
    pub fn u16(mut self, word: u16) -> Self {
        self.0.extend(word.to_ne_bytes());
        self
    }

    pub fn u32(mut self, word: u32) -> Self {
        self.0.extend(word.to_ne_bytes());
        self
    }

    pub fn u64(mut self, word: u64) -> Self {
        self.0.extend(word.to_ne_bytes());
        self
    }

    /// `struct fuse_init_out`: without a cache for writes, so that each of them comes at once and its failure is told at once.
    pub fn init(minor: u32, readahead: u32) -> Self {
        const ASYNC_READ: u32 = 1;
        const BIG_WRITES: u32 = 1 << 5;
        const AUTO_INVAL_DATA: u32 = 1 << 12;
        const PARALLEL_DIROPS: u32 = 1 << 18;
        const MAX_PAGES: u32 = 1 << 22;
        let flags = ASYNC_READ | BIG_WRITES | AUTO_INVAL_DATA | PARALLEL_DIROPS | MAX_PAGES;
        let pages = u16::try_from(MOST / 4096).unwrap();
        let mut answer =
            Self::default().u32(7).u32(minor.min(38)).u32(readahead).u32(flags).u16(16).u16(12).u32(MOST as u32).u32(1).u16(pages);
        answer.0.resize(64, 0);
        answer
    }

    /// `struct fuse_attr`.
    pub fn attributes(self, node: u64, of: &std::fs::Metadata, size: u64) -> Self {
        let time = |time: i64| time as u64;
        let fraction = |nanoseconds: i64| nanoseconds as u32;
        self.u64(node)
            .u64(size)
            .u64(of.blocks())
            .u64(time(of.atime()))
            .u64(time(of.mtime()))
            .u64(time(of.ctime()))
            .u32(fraction(of.atime_nsec()))
            .u32(fraction(of.mtime_nsec()))
            .u32(fraction(of.ctime_nsec()))
            .u32(of.mode())
            .u32(of.nlink() as u32)
            .u32(of.uid())
            .u32(of.gid())
            .u32(0)
            .u32(of.blksize() as u32)
            .u32(0)
    }

    /// The rest of `struct fuse_entry_out` before its attributes; nothing may be remembered, so that everything is asked for each time.
    pub fn entry(node: u64) -> Self {
        Self::default().u64(node).u64(0).u64(0).u64(0).u32(0).u32(0)
    }

    /// `struct fuse_dirent`.
    pub fn directory_entry(mut self, node: u64, next: u64, kind: u32, name: &OsStr) -> Self {
        self = self.u64(node).u64(next).u32(name.len() as u32).u32(kind);
        self.0.extend(name.as_bytes());
        self.0.resize(self.0.len().next_multiple_of(8), 0);
        self
    }
}
