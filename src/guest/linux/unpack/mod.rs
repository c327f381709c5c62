//! Compressed archives and modules, unpacked as a stream in the formats that the kernel's initramfs code knows, and one more.
//!
//! Source: Linux `lib/decompress.c` (the magic numbers) and `lib/decompress_*.c` (what each accepts). The LZ4 frame format is read as
//! well, although no kernel unpacks it: files made with it should be told by name.
//!
//! Memory is bounded by the dictionary of the format, which is capped at [`MAX_DICTIONARY`]. How much comes out is for the sink to
//! bound.

mod bzip2;
mod gzip;
mod lz4;
mod lzo;
mod streams;

use crate::bytes::{MIB, ReadAt, ReadError, int_u64, int_usize};
use std::fmt;
use std::ops::ControlFlow;

/// Largest window or dictionary: what the kernel allows zstd (`lib/decompress_unzstd.c`), and twice what `xz -9` needs.
pub const MAX_DICTIONARY: u64 = 128 * MIB;
/// Bytes read at once, and given to a sink at once by most formats.
const CHUNK: usize = 256 << 10;

/// A compression format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Compression {
    /// gzip.
    Gzip,
    /// bzip2.
    Bzip2,
    /// The old `.lzma` format.
    Lzma,
    /// xz.
    Xz,
    /// The container of lzop.
    Lzo,
    /// LZ4 as the kernel knows it: what `lz4 -l` makes.
    Lz4,
    /// LZ4 frames: what `lz4` makes unless it is told otherwise. No kernel unpacks them.
    Lz4Frame,
    /// zstd.
    Zstd,
}

impl Compression {
    /// The format that begins with these bytes.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Option<Self> {
        match bytes {
            [0x1f, 0x8b | 0x9e, ..] => Some(Self::Gzip),
            [b'B', b'Z', ..] => Some(Self::Bzip2),
            [0x5d, 0, ..] => Some(Self::Lzma),
            [0xfd, b'7', ..] => Some(Self::Xz),
            [0x89, b'L', ..] => Some(Self::Lzo),
            [0x02, 0x21, ..] => Some(Self::Lz4),
            [0x04, 0x22, 0x4d, 0x18, ..] => Some(Self::Lz4Frame),
            [0x28, 0xb5, ..] => Some(Self::Zstd),
            _ => None,
        }
    }

    /// Its name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Bzip2 => "bzip2",
            Self::Lzma => "lzma",
            Self::Xz => "xz",
            Self::Lzo => "lzo",
            Self::Lz4 => "lz4",
            Self::Lz4Frame => "lz4 frame",
            Self::Zstd => "zstd",
        }
    }
}

impl fmt::Display for Compression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why something could not be unpacked.
#[derive(Debug, Clone, thiserror::Error)]
pub enum UnpackError {
    /// The compressed bytes contradict their format.
    #[error("damaged {format} data: {what}")]
    Damaged {
        /// The format.
        format: Compression,
        /// What is wrong, in the words of whatever read it.
        what: String,
    },
    /// It ends too early.
    #[error("the {0} data ends too early")]
    Truncated(Compression),
    /// It uses something that is not read here.
    #[error("{format} data that is not supported: {what}")]
    Unsupported {
        /// The format.
        format: Compression,
        /// What it is.
        what: String,
    },
    /// The bytes below could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
}

/// Takes what was unpacked, piece by piece, until it breaks.
pub type Sink<'a> = dyn FnMut(&[u8]) -> ControlFlow<()> + 'a;

/// What became of a piece of input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fed {
    /// All of it was taken, and more is wanted.
    More,
    /// The stream has ended; so many of the bytes given, in this call and before it, are not part of it.
    Done { left: usize },
    /// The sink wants no more.
    Stopped,
}

/// A reader of one format.
trait Unpack {
    /// Takes a piece of input; `last` says that nothing follows it.
    fn feed(&mut self, input: &[u8], last: bool, sink: &mut Sink<'_>) -> Result<Fed, UnpackError>;

    /// Whether the stream may end where the input ends.
    fn may_end(&self) -> bool {
        false
    }
}

/// Unpacks one stream that starts at `at`. Returns the place after its end, or `None` where the sink broke.
///
/// # Errors
///
/// [`UnpackError`]; what the sink was given until then stands.
pub fn unpack(bytes: &dyn ReadAt, at: u64, format: Compression, sink: &mut Sink<'_>) -> Result<Option<u64>, UnpackError> {
    let mut reader: Box<dyn Unpack> = match format {
        Compression::Gzip => Box::new(gzip::Gzip::new()),
        Compression::Bzip2 => Box::new(bzip2::Bzip2::new()),
        Compression::Lzma => Box::new(streams::Lzma::new()),
        Compression::Xz => Box::new(streams::Xz::new()),
        Compression::Lzo => Box::new(lzo::new()),
        Compression::Lz4 => Box::new(lz4::legacy()),
        Compression::Lz4Frame => Box::new(lz4::frame()),
        Compression::Zstd => Box::new(streams::Zstd::new()?),
    };
    let mut chunk = vec![0; CHUNK];
    let mut at = at;
    loop {
        let left = bytes.size().saturating_sub(at);
        let count = int_usize(left.min(int_u64(CHUNK)));
        let input = chunk.get_mut(..count).unwrap_or_default();
        bytes.read_at(at, input)?;
        at = at.saturating_add(int_u64(count));
        let last = left <= int_u64(CHUNK);
        match reader.feed(input, last, sink)? {
            Fed::Done { left } => return Ok(Some(at.saturating_sub(int_u64(left)))),
            Fed::Stopped => return Ok(None),
            Fed::More if !last => {}
            Fed::More if reader.may_end() => return Ok(Some(at)),
            Fed::More => return Err(UnpackError::Truncated(format)),
        }
    }
}

/// A format that is made of pieces whose length is known before they come.
trait Pieces {
    /// Length of the first piece.
    const FIRST: usize;

    /// Takes the piece that was asked for.
    fn piece(&mut self, piece: &[u8], sink: &mut Sink<'_>) -> Result<Next, UnpackError>;

    /// Whether the stream may end before the piece that is wanted now.
    fn may_end(&self) -> bool {
        false
    }
}

/// What follows a piece.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    /// A piece of this length.
    Need(usize),
    /// Nothing; so many bytes of the piece are not part of the stream.
    Done { left: usize },
    /// The sink wants no more.
    Stopped,
}

/// Cuts input into the pieces that a format wants.
#[derive(Debug)]
struct Gather<P> {
    format: P,
    held: Vec<u8>,
    need: usize,
}

impl<P: Pieces> Gather<P> {
    const fn new(format: P) -> Self {
        Self { format, held: Vec::new(), need: P::FIRST }
    }
}

impl<P: Pieces> Unpack for Gather<P> {
    fn feed(&mut self, input: &[u8], _last: bool, sink: &mut Sink<'_>) -> Result<Fed, UnpackError> {
        let mut rest = input;
        loop {
            let (head, tail) = rest.split_at_checked(self.need.saturating_sub(self.held.len())).unwrap_or((rest, &[]));
            rest = tail;
            self.held.extend_from_slice(head);
            if self.held.len() < self.need {
                return Ok(Fed::More);
            }
            let next = self.format.piece(&self.held, sink)?;
            self.held.clear();
            match next {
                Next::Need(need) => self.need = need,
                Next::Done { left } => return Ok(Fed::Done { left: left.saturating_add(rest.len()) }),
                Next::Stopped => return Ok(Fed::Stopped),
            }
        }
    }

    fn may_end(&self) -> bool {
        self.held.is_empty() && self.format.may_end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bytes::Memory;

    /// `hello ` 40 times and `world`, packed by the programs; in hexadecimal digits.
    const PACKED: &[(Compression, &str)] = &[
        // gzip -nc
        (Compression::Gzip, "1f8b0800000000000003cb48cdc9c957c8183164797e514e0a000790c7fff5000000"),
        // bzip2 -c
        (
            Compression::Bzip2,
            "425a6839314159265359a08898ff0000289180400006449080200020a9436a04302288b4466490ef44508f7afc5dc914e14242822263fc",
        ),
        // xz -c --format=lzma
        (Compression::Lzma, "5d00008000ffffffffffffffff00341949ee8de95e6d554037b5497a50b5dffff7b8c000"),
        // xz -c --check=crc32
        (
            Compression::Xz,
            "fd377a585a0000016922de360200210116000000742fe5a3e000f400115d00341949ee8de95e6d554037b549679a6000000000000790c7ff000129f5010000006b389edb3e300d8b020000000001595a",
        ),
        // lzop -c
        (
            Compression::Lzo,
            "894c5a4f000d0a1a0a104020a0094001050300000d000000006b01a86f00000000002a5902f3000000f50000002357935a490368656c6c6f2020bb140000016f2068656c6c6f2068656c6c6f20776f726c6411000000000000",
        ),
        // lz4 -c -l
        (Compression::Lz4, "02214c18100000006f68656c6c6f200600d750776f726c64"),
        // lz4 -c
        (Compression::Lz4Frame, "04224d186440a7100000006f68656c6c6f200600d750776f726c64000000007936a2bd"),
        // zstd -c
        (Compression::Zstd, "28b52ffd04589500005868656c6c6f20776f726c640100e750a508a48ba5db"),
    ];

    fn samples() -> Vec<(Compression, Vec<u8>)> {
        let byte = |digits: &[u8]| u8::from_str_radix(std::str::from_utf8(digits).unwrap(), 16).unwrap();
        PACKED.iter().map(|(format, text)| (*format, text.as_bytes().chunks(2).map(byte).collect())).collect()
    }

    fn whole(bytes: Vec<u8>, format: Compression) -> Result<(Vec<u8>, Option<u64>), UnpackError> {
        let mut out = Vec::new();
        let end = unpack(&Memory(bytes), 0, format, &mut |piece| {
            out.extend_from_slice(piece);
            if out.len() > 1 << 20 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })?;
        Ok((out, end))
    }

    #[test]
    fn every_format_comes_out_and_ends_where_it_ends() {
        let expected = ["hello ".repeat(40), "world".to_owned()].concat().into_bytes();
        for (format, packed) in samples() {
            assert_eq!(Compression::of(&packed), Some(format));
            // The lzma reader may take a few bytes at the end of a file for its own; no archive is that short.
            for after in ["", &"\0".repeat(64), &"07070100".repeat(8)] {
                let bytes = [packed.as_slice(), after.as_bytes()].concat();
                let (out, end) = whole(bytes, format).unwrap();
                assert_eq!((String::from_utf8(out), end), (String::from_utf8(expected.clone()), Some(packed.len() as u64)), "{format}");
            }
        }
    }

    #[test]
    fn no_cut_stream_is_whole() {
        for (format, packed) in samples() {
            for length in 0..packed.len() {
                // The legacy LZ4 format has no end mark: it may end after its magic number.
                let complete = format == Compression::Lz4 && length == 4;
                assert_eq!(whole(packed[..length].to_vec(), format).is_ok(), complete, "{format} cut to {length}");
            }
        }
    }

    #[test]
    fn no_changed_byte_does_harm() {
        for (format, packed) in samples() {
            for place in 0..packed.len() {
                for value in [0, 1, 0x7f, 0x80, 0xff, packed[place] ^ 1, packed[place] ^ 0x10] {
                    let mut broken = packed.clone();
                    broken[place] = value;
                    drop(whole(broken, format));
                }
            }
        }
    }

    #[test]
    fn a_sink_may_stop() {
        for (format, packed) in samples() {
            assert_eq!(unpack(&Memory(packed), 0, format, &mut |_| ControlFlow::Break(())).unwrap(), None, "{format}");
        }
    }
}
