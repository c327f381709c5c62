//! LZ4, in the legacy framing that the kernel unpacks and in the frame format that it does not.
//!
//! Source: LZ4 `doc/lz4_Frame_format.md`, its part on the legacy frame included, and Linux `lib/decompress_unlz4.c`. Checksums of the
//! frame format are passed over: what is unpacked wrongly is no cpio archive.

use super::{Compression, Gather, Next, Pieces, Sink, UnpackError};
use crate::bytes::int_usize;

/// What a legacy block unpacks to at most.
const LEGACY_BLOCK: usize = 8 << 20;
/// What a legacy block can have at most: LZ4's bound for 8 MiB that do not compress.
const LEGACY_BOUND: u32 = (8 << 20) + (8 << 20) / 255 + 16;
const LEGACY_MAGIC: u32 = 0x184C_2102;
/// How far a block may refer to those before it.
const HISTORY: usize = 64 << 10;

pub(super) const fn legacy() -> Gather<Legacy> {
    Gather::new(Legacy { in_block: false, started: false, out: Vec::new() })
}

pub(super) const fn frame() -> Gather<Frame> {
    let flags = Flags { linked: false, block_checksums: false, content_checksum: false, largest: 0 };
    Gather::new(Frame { stage: Stage::Magic, flags, history: Vec::new(), out: Vec::new() })
}

/// The legacy framing: a magic number, then blocks of 8 MiB, each after its compressed length.
pub(super) struct Legacy {
    /// Whether a block comes next, not a length.
    in_block: bool,
    started: bool,
    out: Vec<u8>,
}

impl Pieces for Legacy {
    const FIRST: usize = 4;

    fn piece(&mut self, piece: &[u8], sink: &mut Sink<'_>) -> Result<Next, UnpackError> {
        if self.in_block {
            self.out.resize(LEGACY_BLOCK, 0);
            let made = lz4_flex::block::decompress_into(piece, &mut self.out)
                .map_err(|error| UnpackError::Damaged { format: Compression::Lz4, what: error.to_string() })?;
            self.in_block = false;
            return Ok(if sink(self.out.get(..made).unwrap_or_default()).is_break() { Next::Stopped } else { Next::Need(4) });
        }
        let length = number(piece);
        match length {
            // Several frames in a row are one stream.
            LEGACY_MAGIC => self.started = true,
            _ if !self.started => {
                return Err(UnpackError::Damaged { format: Compression::Lz4, what: "no magic number".to_owned() });
            }
            // No length at all: padding, or whatever follows.
            0 => return Ok(Next::Done { left: 4 }),
            _ if length > LEGACY_BOUND => return Ok(Next::Done { left: 4 }),
            _ => {
                self.in_block = true;
                return Ok(Next::Need(int_usize(u64::from(length))));
            }
        }
        Ok(Next::Need(4))
    }

    fn may_end(&self) -> bool {
        self.started && !self.in_block
    }
}

/// The frame format.
pub(super) struct Frame {
    stage: Stage,
    flags: Flags,
    /// The last 64 KiB, where blocks refer to those before them.
    history: Vec<u8>,
    out: Vec<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Magic,
    /// The rest of the descriptor, after its two bytes of flags.
    Descriptor,
    Length,
    /// A block: whether it is compressed, and its length without its checksum.
    Block(bool, usize),
    Checksum,
}

#[derive(Debug, Clone, Copy)]
struct Flags {
    linked: bool,
    block_checksums: bool,
    content_checksum: bool,
    /// What a block unpacks to at most.
    largest: usize,
}

impl Pieces for Frame {
    /// The magic number and two bytes of flags.
    const FIRST: usize = 6;

    fn piece(&mut self, piece: &[u8], sink: &mut Sink<'_>) -> Result<Next, UnpackError> {
        let damaged = |what: &str| UnpackError::Damaged { format: Compression::Lz4Frame, what: what.to_owned() };
        match self.stage {
            Stage::Magic => {
                let Some([_, _, _, _, flags, sizes]) = piece.first_chunk() else { return Err(damaged("a short header")) };
                if flags >> 6 != 1 {
                    return Err(damaged("an unknown version"));
                }
                if flags & 1 != 0 {
                    let what = "a dictionary from elsewhere".to_owned();
                    return Err(UnpackError::Unsupported { format: Compression::Lz4Frame, what });
                }
                let largest = match (sizes >> 4) & 7 {
                    4 => 64 << 10,
                    5 => 256 << 10,
                    6 => 1 << 20,
                    7 => 4 << 20,
                    _ => return Err(damaged("an unknown block size")),
                };
                self.flags = Flags { linked: flags & 32 == 0, block_checksums: flags & 16 != 0, content_checksum: flags & 4 != 0, largest };
                self.stage = Stage::Descriptor;
                Ok(Next::Need(if flags & 8 == 0 { 1 } else { 9 }))
            }
            Stage::Descriptor => {
                self.stage = Stage::Length;
                Ok(Next::Need(4))
            }
            Stage::Length => {
                let word = number(piece);
                if word == 0 {
                    if !self.flags.content_checksum {
                        return Ok(Next::Done { left: 0 });
                    }
                    self.stage = Stage::Checksum;
                    return Ok(Next::Need(4));
                }
                let length = int_usize(u64::from(word & 0x7fff_ffff));
                if length > self.flags.largest {
                    return Err(damaged("a block longer than the header allows"));
                }
                self.stage = Stage::Block(word >> 31 == 0, length);
                Ok(Next::Need(length.saturating_add(if self.flags.block_checksums { 4 } else { 0 })))
            }
            Stage::Block(compressed, length) => {
                let block = piece.get(..length).unwrap_or_default();
                self.out.resize(self.flags.largest, 0);
                let made = if compressed {
                    let made = lz4_flex::block::decompress_into_with_dict(block, &mut self.out, &self.history);
                    made.map_err(|error| damaged(&error.to_string()))?
                } else {
                    self.out.clear();
                    self.out.extend_from_slice(block);
                    length
                };
                let out = self.out.get(..made).unwrap_or_default();
                if self.flags.linked {
                    self.history.extend_from_slice(out);
                    self.history.drain(..self.history.len().saturating_sub(HISTORY));
                }
                self.stage = Stage::Length;
                Ok(if sink(out).is_break() { Next::Stopped } else { Next::Need(4) })
            }
            Stage::Checksum => Ok(Next::Done { left: 0 }),
        }
    }
}

/// The first four bytes as a number.
fn number(piece: &[u8]) -> u32 {
    piece.first_chunk().map_or(0, |bytes| u32::from_le_bytes(*bytes))
}
