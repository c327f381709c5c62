//! The container of lzop: a header, then blocks of LZO1X data, each after its lengths and checksums.
//!
//! Source: Linux `lib/decompress_unlzo.c` and the layout that the `rust-lzo1x` crate documents in its `lzop` module. Checksums are
//! passed over: what is unpacked wrongly is no cpio archive.

use super::{Compression, Gather, Next, Pieces, Sink, UnpackError};
use crate::bytes::int_usize;
use byteorder::{BigEndian, ByteOrder};

/// What a block unpacks to at most, in the kernel as here.
const MAX_BLOCK: usize = 256 << 10;
const ADLER32_D: u32 = 0x1;
const ADLER32_C: u32 = 0x2;
const EXTRA_FIELD: u32 = 0x40;
const CRC32_D: u32 = 0x100;
const CRC32_C: u32 = 0x200;
const MULTIPART: u32 = 0x400;
const FILTER: u32 = 0x800;
/// The first version with a level, a version needed, and two words of time.
const WIDE: u16 = 0x0940;

pub(super) const fn new() -> Gather<Lzo> {
    Gather::new(Lzo { stage: Stage::Version, flags: 0, filter: 0 })
}

pub(super) struct Lzo {
    stage: Stage,
    flags: u32,
    /// Bytes of the filter's word.
    filter: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Magic number and version.
    Version,
    /// Up to the flags; whether the header is of the wide kind.
    Flags(bool),
    /// Up to the length of the name.
    NameLength,
    /// The name and the header's checksum.
    Name,
    /// Length of the extra field.
    ExtraLength,
    /// The extra field and its checksum.
    Extra,
    /// Unpacked length of a block; 0 ends the stream.
    Length,
    /// Packed length and checksums; the unpacked length is known.
    Packed(usize),
    /// What of the checksums follows only a compressed block, then the block.
    Block { unpacked: usize, skip: usize },
}

impl Lzo {
    fn count(&self, flags: u32) -> usize {
        int_usize(u64::from((self.flags & flags).count_ones())).saturating_mul(4)
    }

    fn block(&mut self) -> Next {
        self.stage = Stage::Length;
        Next::Need(4)
    }
}

impl Pieces for Lzo {
    /// Nine bytes of magic number and the version.
    const FIRST: usize = 11;

    fn piece(&mut self, piece: &[u8], sink: &mut Sink<'_>) -> Result<Next, UnpackError> {
        let damaged = |what: String| UnpackError::Damaged { format: Compression::Lzo, what };
        let word = |at: usize| piece.get(at..).and_then(<[u8]>::first_chunk::<4>).map_or(0, |bytes| BigEndian::read_u32(bytes));
        Ok(match self.stage {
            Stage::Version => {
                if !piece.starts_with(b"\x89LZO\x00\r\n\x1a\n") {
                    return Err(damaged("no magic number".to_owned()));
                }
                let wide = piece.last_chunk::<2>().is_some_and(|version| u16::from_be_bytes(*version) >= WIDE);
                self.stage = Stage::Flags(wide);
                // Library version, then version needed, method, level, flags; older ones have method and flags only.
                Next::Need(if wide { 2 + 2 + 1 + 1 + 4 } else { 2 + 1 + 4 })
            }
            Stage::Flags(wide) => {
                let method = piece.get(if wide { 4 } else { 2 }).copied().unwrap_or_default();
                if !(1..=3).contains(&method) {
                    return Err(damaged(format!("compression method {method}")));
                }
                self.flags = word(piece.len().saturating_sub(4));
                if self.flags & MULTIPART != 0 {
                    let what = "one file of several".to_owned();
                    return Err(UnpackError::Unsupported { format: Compression::Lzo, what });
                }
                self.filter = self.count(FILTER);
                self.stage = Stage::NameLength;
                // The filter's word, mode, time in one or two words, and the length of the name.
                Next::Need(self.filter.saturating_add(4 + 4 + 1).saturating_add(if wide { 4 } else { 0 }))
            }
            Stage::NameLength => {
                self.stage = Stage::Name;
                Next::Need(usize::from(piece.last().copied().unwrap_or_default()).saturating_add(4))
            }
            Stage::Name if self.flags & EXTRA_FIELD != 0 => {
                self.stage = Stage::ExtraLength;
                Next::Need(4)
            }
            Stage::ExtraLength => {
                let length = int_usize(u64::from(word(0)));
                if length > MAX_BLOCK {
                    return Err(damaged(format!("an extra field of {length} bytes")));
                }
                self.stage = Stage::Extra;
                Next::Need(length.saturating_add(4))
            }
            Stage::Name | Stage::Extra => self.block(),
            Stage::Length => match int_usize(u64::from(word(0))) {
                0 => Next::Done { left: 0 },
                unpacked if unpacked > MAX_BLOCK => return Err(damaged(format!("a block of {unpacked} bytes"))),
                unpacked => {
                    self.stage = Stage::Packed(unpacked);
                    Next::Need(self.count(ADLER32_D | CRC32_D).saturating_add(4))
                }
            },
            Stage::Packed(unpacked) => {
                let packed = int_usize(u64::from(word(0)));
                if packed == 0 || packed > unpacked {
                    return Err(damaged(format!("a block of {packed} bytes for {unpacked}")));
                }
                // Checksums of compressed bytes stand only where there are some.
                let skip = if packed < unpacked { self.count(ADLER32_C | CRC32_C) } else { 0 };
                self.stage = Stage::Block { unpacked, skip };
                Next::Need(packed.saturating_add(skip))
            }
            Stage::Block { unpacked, skip } => {
                let block = piece.get(skip..).unwrap_or_default();
                let flow = if block.len() == unpacked {
                    sink(block)
                } else {
                    let out = lzo1x::decompress(block, unpacked).map_err(|error| damaged(error.to_string()))?;
                    if out.len() != unpacked {
                        return Err(damaged(format!("a block of {} bytes, not of {unpacked}", out.len())));
                    }
                    sink(&out)
                };
                if flow.is_break() { Next::Stopped } else { self.block() }
            }
        })
    }
}
