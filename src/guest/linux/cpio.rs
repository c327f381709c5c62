//! cpio archives as the kernel unpacks them: the `newc` format, with or without checksums.
//!
//! Sources: Linux `Documentation/driver-api/early-userspace/buffer-format.rst` (the fields, padding, `TRAILER!!!`) and `init/initramfs.c`
//! (what follows an archive: zeros, then another one).
//!
//! The lister is fed with bytes as they come and keeps none but headers, names, and the few contents that its visitor wants.

use crate::bytes::{int_u64, int_usize, printable};

/// Bytes of a header: a magic number of 6, then 13 fields of 8 hexadecimal digits.
const HEADER: usize = 110;
/// Longest name, its zero byte included: Linux's `PATH_MAX`.
const MAX_NAME: u64 = 4096;
/// Longest content that is kept for a visitor.
pub const MAX_CONTENT: u64 = 256 << 10;
/// The name that ends an archive.
const TRAILER: &[u8] = b"TRAILER!!!";

/// One file, directory or other node of an archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry<'a> {
    /// As stored, usually without a leading `/`.
    pub name: &'a [u8],
    /// Type and permissions, as `st_mode` has them.
    pub mode: u32,
    /// Bytes of content; of a symlink its target, of a hard link often 0.
    pub size: u32,
}

impl Entry<'_> {
    /// Whether it is a regular file.
    #[must_use]
    pub const fn is_file(&self) -> bool {
        self.mode & 0o170_000 == 0o100_000
    }
}

/// Who is told of entries.
pub trait Visit {
    /// An entry, in the order of the archive. Returns whether its content is wanted; one above [`MAX_CONTENT`] is not given even so.
    fn entry(&mut self, entry: &Entry<'_>) -> bool;

    /// The content of the entry that was wanted last.
    fn content(&mut self, name: &[u8], content: &[u8]);
}

/// An archive that is not as the format says.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CpioError {
    /// It contradicts the format.
    #[error("damaged cpio archive: {what}, at byte {at} of what was unpacked")]
    Damaged {
        /// Bytes before the place, counted from the start of the segment.
        at: u64,
        /// What is wrong.
        what: String,
    },
    /// More entries than the caller allows.
    #[error("more than {0} files")]
    TooMany(u64),
}

/// Reads one segment's archives: several may follow each other, with zeros between.
#[derive(Debug)]
pub struct Lister {
    state: State,
    /// What of the current header, name or content has come.
    held: Vec<u8>,
    /// Bytes fed since the start of the segment.
    at: u64,
    /// Entries still allowed.
    allowed: u64,
    max_entries: u64,
    fields: Fields,
    name: Vec<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Before a first archive, or after one that ended: zeros until the next.
    Between,
    Header,
    Name,
    /// Bytes of content and padding to come; the content is kept.
    Content,
    /// Bytes to ignore.
    Skip(u64),
}

/// What of a header matters here.
#[derive(Debug, Clone, Copy, Default)]
struct Fields {
    mode: u32,
    size: u32,
    name_size: u64,
}

impl Lister {
    /// A lister of one segment that allows this many entries.
    #[must_use]
    pub const fn new(max_entries: u64) -> Self {
        Self {
            state: State::Between,
            held: Vec::new(),
            at: 0,
            allowed: max_entries,
            max_entries,
            fields: Fields { mode: 0, size: 0, name_size: 0 },
            name: Vec::new(),
        }
    }

    /// Entries that were seen, trailers not counted.
    #[must_use]
    pub const fn entries(&self) -> u64 {
        self.max_entries.saturating_sub(self.allowed)
    }

    /// Bytes that were fed or skipped.
    #[must_use]
    pub const fn position(&self) -> u64 {
        self.at
    }

    /// Whether every archive so far has ended with its trailer.
    #[must_use]
    pub fn is_between(&self) -> bool {
        self.state == State::Between
    }

    /// How many of the next bytes would be ignored, so that a caller who can seek need not read them.
    #[must_use]
    pub const fn ignores(&self) -> u64 {
        match self.state {
            State::Skip(left) => left,
            _ => 0,
        }
    }

    /// Passes over bytes that would be ignored, at most [`Lister::ignores`].
    pub fn skip(&mut self, count: u64) {
        if let State::Skip(left) = self.state {
            let count = count.min(left);
            self.at = self.at.saturating_add(count);
            let left = left.saturating_sub(count);
            self.state = if left == 0 { State::Header } else { State::Skip(left) };
        }
    }

    /// Takes bytes, and returns how many: fewer than given only where an archive has ended and no other follows.
    ///
    /// # Errors
    ///
    /// [`CpioError`] when this is no archive, or has too many entries. Nothing more can be fed then.
    pub fn feed(&mut self, bytes: &[u8], visit: &mut dyn Visit) -> Result<usize, CpioError> {
        let mut rest = bytes;
        while !rest.is_empty() {
            match self.state {
                State::Between => {
                    let zeros = rest.iter().take_while(|byte| **byte == 0).count();
                    self.pass(&mut rest, zeros);
                    match rest.first() {
                        Some(b'0') => self.state = State::Header,
                        Some(_) => break,
                        None => {}
                    }
                }
                State::Header => {
                    if self.hold(&mut rest, HEADER) {
                        self.header()?;
                    }
                }
                State::Name => {
                    if self.hold(&mut rest, self.name_room()) {
                        self.named(visit)?;
                    }
                }
                State::Content => {
                    if self.hold(&mut rest, int_usize(u64::from(self.fields.size))) {
                        visit.content(&self.name, &self.held);
                        self.held.clear();
                        self.skip_next(padding(u64::from(self.fields.size)));
                    }
                }
                State::Skip(left) => {
                    let count = left.min(int_u64(rest.len()));
                    rest = rest.get(int_usize(count)..).unwrap_or_default();
                    self.skip(count);
                }
            }
        }
        Ok(bytes.len().saturating_sub(rest.len()))
    }

    fn pass(&mut self, rest: &mut &[u8], count: usize) {
        *rest = rest.get(count..).unwrap_or_default();
        self.at = self.at.saturating_add(int_u64(count));
    }

    /// Moves bytes to `held` until it has `size` of them; whether it has.
    fn hold(&mut self, rest: &mut &[u8], size: usize) -> bool {
        let count = size.saturating_sub(self.held.len()).min(rest.len());
        self.held.extend_from_slice(rest.get(..count).unwrap_or_default());
        self.pass(rest, count);
        self.held.len() >= size
    }

    fn skip_next(&mut self, count: u64) {
        self.state = if count == 0 { State::Header } else { State::Skip(count) };
    }

    fn damaged(&self, what: impl Into<String>) -> CpioError {
        CpioError::Damaged { at: self.at, what: what.into() }
    }

    /// The name with its padding: header and name together fill multiples of 4 bytes.
    fn name_room(&self) -> usize {
        let whole = int_u64(HEADER).saturating_add(self.fields.name_size);
        int_usize(self.fields.name_size.saturating_add(padding(whole)))
    }

    fn header(&mut self) -> Result<(), CpioError> {
        let magic = self.held.get(..6).unwrap_or_default();
        if magic != b"070701" && magic != b"070702" {
            let magic = printable(&String::from_utf8_lossy(magic));
            return Err(self.damaged(format!("a header begins with \"{magic}\", not with 070701 or 070702")));
        }
        let digits = self.held.get(6..).unwrap_or_default();
        let mut fields = [0_u32; 13];
        for (field, digits) in fields.iter_mut().zip(digits.chunks_exact(8)) {
            let text = std::str::from_utf8(digits).ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_hexdigit()));
            let value = text.and_then(|text| u32::from_str_radix(text, 16).ok());
            *field = value.ok_or_else(|| self.damaged("a header's field is not a hexadecimal number"))?;
        }
        let [_, mode, _, _, _, _, size, _, _, _, _, name_size, _] = fields;
        let name_size = u64::from(name_size);
        if name_size == 0 || name_size > MAX_NAME {
            return Err(self.damaged(format!("a name of {name_size} bytes")));
        }
        self.fields = Fields { mode, size, name_size };
        self.held.clear();
        self.state = State::Name;
        Ok(())
    }

    fn named(&mut self, visit: &mut dyn Visit) -> Result<(), CpioError> {
        let name = self.held.get(..int_usize(self.fields.name_size)).unwrap_or_default();
        let name = name.split(|byte| *byte == 0).next().unwrap_or_default().to_vec();
        self.held.clear();
        let size = u64::from(self.fields.size);
        if name == TRAILER {
            self.state = State::Between;
            return Ok(());
        }
        self.allowed = self.allowed.checked_sub(1).ok_or(CpioError::TooMany(self.max_entries))?;
        let entry = Entry { name: &name, mode: self.fields.mode, size: self.fields.size };
        if visit.entry(&entry) && size <= MAX_CONTENT {
            self.state = State::Content;
            if size == 0 {
                visit.content(&name, &[]);
                self.state = State::Header;
            }
        } else {
            self.skip_next(size.saturating_add(padding(size)));
        }
        self.name = name;
        Ok(())
    }
}

/// Bytes to the next multiple of 4.
const fn padding(length: u64) -> u64 {
    length.wrapping_neg() & 3
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// An archive of names, modes and contents, with its trailer.
    pub(crate) fn archive(files: &[(&str, u32, &[u8])]) -> Vec<u8> {
        let mut out = Vec::new();
        for (name, mode, content) in files.iter().chain(&[("TRAILER!!!", 0, b"".as_slice())]) {
            let (size, name_size) = (content.len(), name.len() + 1);
            out.extend_from_slice(b"070701");
            // ino, mode, uid, gid, nlink, mtime, size, four device numbers, name size, check.
            for field in [7, *mode, 0, 0, 1, 0, size as u32, 0, 0, 0, 0, name_size as u32, 0] {
                out.extend_from_slice(format!("{field:08X}").as_bytes());
            }
            out.extend_from_slice(name.as_bytes());
            out.push(0);
            out.resize(out.len().next_multiple_of(4), 0);
            out.extend_from_slice(content);
            out.resize(out.len().next_multiple_of(4), 0);
        }
        out
    }

    /// Everything that a visitor is told.
    #[derive(Debug, Default, PartialEq, Eq)]
    pub(crate) struct Seen {
        pub(crate) entries: Vec<(String, u32, u32)>,
        pub(crate) contents: Vec<(String, Vec<u8>)>,
    }

    impl Visit for Seen {
        fn entry(&mut self, entry: &Entry<'_>) -> bool {
            self.entries.push((String::from_utf8_lossy(entry.name).into_owned(), entry.mode, entry.size));
            entry.name.ends_with(b".conf")
        }

        fn content(&mut self, name: &[u8], content: &[u8]) {
            self.contents.push((String::from_utf8_lossy(name).into_owned(), content.to_vec()));
        }
    }

    fn sample() -> Vec<u8> {
        let mut bytes =
            archive(&[("etc", 0o40755, b""), ("etc/a.conf", 0o100644, b"hello"), ("x.ko", 0o100644, &[7; 99]), ("e.conf", 0o100600, b"")]);
        bytes.extend_from_slice(&[0; 40]);
        bytes.extend(archive(&[("second", 0o100644, b"12345678")]));
        bytes
    }

    #[test]
    fn entries_come_in_order_however_the_bytes_are_cut() {
        let bytes = sample();
        for step in [1, 2, 3, 7, 109, 110, 111, 4096] {
            let (mut lister, mut seen) = (Lister::new(100), Seen::default());
            for piece in bytes.chunks(step) {
                assert_eq!(lister.feed(piece, &mut seen), Ok(piece.len()), "pieces of {step}");
            }
            assert!(lister.is_between());
            let names: Vec<_> = seen.entries.iter().map(|(name, mode, size)| (name.as_str(), *mode, *size)).collect();
            let expected = [
                ("etc", 0o40755, 0),
                ("etc/a.conf", 0o100644, 5),
                ("x.ko", 0o100644, 99),
                ("e.conf", 0o100600, 0),
                ("second", 0o100644, 8),
            ];
            assert_eq!(names, expected, "pieces of {step}");
            assert_eq!(seen.contents, [("etc/a.conf".to_owned(), b"hello".to_vec()), ("e.conf".to_owned(), vec![])]);
            assert_eq!((lister.entries(), lister.position()), (5, bytes.len() as u64));
        }
    }

    #[test]
    fn it_stops_where_no_archive_follows() {
        let mut bytes = archive(&[("a", 0o100644, b"")]);
        let end = bytes.len();
        bytes.extend_from_slice(b"\x1f\x8b and more");
        assert_eq!(Lister::new(9).feed(&bytes, &mut Seen::default()), Ok(end));
    }

    #[test]
    fn content_can_be_passed_over() {
        let bytes = archive(&[("big", 0o100644, &[1; 1000]), ("next", 0o100644, b"")]);
        let (mut lister, mut seen) = (Lister::new(9), Seen::default());
        lister.feed(&bytes[..116], &mut seen).unwrap();
        assert_eq!(lister.ignores(), 1000);
        lister.skip(1000);
        lister.feed(&bytes[1116..], &mut seen).unwrap();
        assert_eq!(seen.entries.len(), 2);
        assert!(lister.is_between());
    }

    #[test]
    fn what_is_no_archive_is_refused() {
        let good = archive(&[("a", 0o100644, b"")]);
        let with = |place: usize, text: &[u8]| {
            let mut bytes = good.clone();
            bytes[place..place + text.len()].copy_from_slice(text);
            Lister::new(9).feed(&bytes, &mut Seen::default())
        };
        assert!(matches!(with(0, b"070707"), Err(CpioError::Damaged { at: 110, .. })));
        assert!(matches!(with(14, b"+0000000"), Err(CpioError::Damaged { .. })));
        assert!(matches!(with(94, b"00000000"), Err(CpioError::Damaged { .. })), "no name");
        assert!(matches!(with(94, b"00001001"), Err(CpioError::Damaged { .. })), "a name of 4097 bytes");
        assert_eq!(Lister::new(4).feed(&sample(), &mut Seen::default()), Err(CpioError::TooMany(4)));
        // A size of 4 GiB is passed over, not held.
        let mut lister = Lister::new(9);
        let mut bytes = good.clone();
        bytes[54..62].copy_from_slice(b"ffffffff");
        lister.feed(&bytes, &mut Seen::default()).unwrap();
        assert!(lister.ignores() > 4_000_000_000);
        assert!(!lister.is_between());
    }
}
