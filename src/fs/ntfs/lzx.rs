//! LZX as WIM files and the Windows Overlay Filter have it.
//!
//! \[MS-PATCH\], section 2, describes LZX DELTA, of which this is an older form. It differs as wimlib's notes on the format say: each chunk
//! of 32 KiB stands alone; a bit before the size of a block says that it is 32 KiB, which otherwise has 16 bits; and the targets of x86
//! calls are always translated, as if the file had 12,000,000 bytes.

use super::bits::{Bits, Code, copy};
use super::raw::le32;
use std::cmp::Ordering;

/// Symbols of the main code: literals, and eight lengths for each of 30 slots of distances.
const MAIN: usize = 256 + 30 * 8;
/// Symbols of the code of lengths.
const LENGTHS: usize = 249;
/// Symbols of the code in which the lengths of code words are written.
const WORDS: usize = 20;
/// Bytes that a block has where it does not say.
const BLOCK: usize = 32768;
/// The size of a file for the translation of calls.
const FILE_SIZE: i32 = 12_000_000;

/// Fills `out`, one chunk; `None` where the input is damaged.
pub(super) fn decode(input: &[u8], out: &mut [u8]) -> Option<()> {
    let mut bits = Bits::new(input);
    let mut lengths = ([0; MAIN], [0; LENGTHS]);
    let mut recent = [1; 3];
    let mut at = 0_usize;
    while at < out.len() {
        let kind = bits.take(3);
        let size = if bits.take(1) == 1 { BLOCK } else { usize::try_from(bits.take(16)).ok()? };
        let end = at.checked_add(size).filter(|end| *end > at && *end <= out.len())?;
        match kind {
            1 | 2 => {
                let aligned = if kind == 2 { Some(aligned(&mut bits)?) } else { None };
                let (literals, matches) = lengths.0.split_at_mut_checked(256)?;
                read_lengths(&mut bits, literals)?;
                read_lengths(&mut bits, matches)?;
                read_lengths(&mut bits, &mut lengths.1)?;
                let codes = Codes { main: Code::new(&lengths.0)?, lengths: Code::new(&lengths.1)?, aligned };
                while at < end {
                    at = codes.next(&mut bits, out.get_mut(..end)?, at, &mut recent)?;
                }
            }
            3 => {
                bits.align();
                for distance in &mut recent {
                    *distance = le32(bits.bytes(4)?, 0).filter(|distance| *distance > 0)?;
                }
                out.get_mut(at..end)?.copy_from_slice(bits.bytes(size)?);
                if size % 2 == 1 {
                    bits.byte();
                }
                at = end;
            }
            _ => return None,
        }
    }
    translate_calls(out);
    (!bits.is_overdrawn()).then_some(())
}

/// The code of the lowest three bits of distances.
fn aligned(bits: &mut Bits) -> Option<Code> {
    let mut lengths = [0; 8];
    for length in &mut lengths {
        *length = u8::try_from(bits.take(3)).ok()?;
    }
    Code::new(&lengths)
}

/// Reads the lengths of code words, each as the difference from that of the block before.
fn read_lengths(bits: &mut Bits, lengths: &mut [u8]) -> Option<()> {
    let mut words = [0; WORDS];
    for length in &mut words {
        *length = u8::try_from(bits.take(4)).ok()?;
    }
    let words = Code::new(&words)?;
    let mut rest = lengths.iter_mut();
    let changed = |old: u8, by: u16| u8::try_from(17_u16.checked_sub(by)?.wrapping_add(u16::from(old)) % 17).ok();
    while let Some(next) = rest.next() {
        let (value, more) = match words.next(bits)? {
            17 => (0, bits.take(4).wrapping_add(3)),
            18 => (0, bits.take(5).wrapping_add(19)),
            19 => {
                let more = bits.take(1).wrapping_add(3);
                (changed(*next, words.next(bits)?)?, more)
            }
            by => (changed(*next, by)?, 0),
        };
        *next = value;
        for _ in 0..more {
            *rest.next()? = value;
        }
    }
    Some(())
}

/// The codes of a block.
#[derive(Debug)]
struct Codes {
    main: Code,
    lengths: Code,
    aligned: Option<Code>,
}

impl Codes {
    /// Decodes a literal or a copy at `at`; the place after it.
    fn next(&self, bits: &mut Bits, out: &mut [u8], at: usize, recent: &mut [u32; 3]) -> Option<usize> {
        let symbol = self.main.next(bits)?;
        if let Ok(literal) = u8::try_from(symbol) {
            *out.get_mut(at)? = literal;
            return at.checked_add(1);
        }
        let symbol = symbol.checked_sub(256)?;
        let length = match symbol % 8 {
            7 => self.lengths.next(bits)?.checked_add(9)?,
            short => short.checked_add(2)?,
        };
        let slot = symbol / 8;
        match slot {
            0 => {}
            1 => recent.swap(0, 1),
            2 => recent.swap(0, 2),
            _ => {
                let [first, second, _] = *recent;
                *recent = [self.distance(bits, u32::from(slot))?, first, second];
            }
        }
        let [distance, ..] = *recent;
        copy(out, at, usize::try_from(distance).ok()?, usize::from(length))
    }

    /// A distance in a slot from 3 on. Two slots share each number of further bits.
    fn distance(&self, bits: &mut Bits, slot: u32) -> Option<u32> {
        let more = (slot / 2).saturating_sub(1);
        let base = (2 | (slot & 1)).checked_shl(more)?;
        let further = match &self.aligned {
            Some(aligned) if more >= 3 => {
                let high = bits.take(more.saturating_sub(3));
                high.checked_shl(3)? | u32::from(aligned.next(bits)?)
            }
            _ => bits.take(more),
        };
        // The first three slots stand for recent distances, so that distance 1 is formatted as 3.
        base.checked_add(further)?.checked_sub(2)
    }
}

/// Puts back the relative targets of what looks like x86 calls.
fn translate_calls(out: &mut [u8]) {
    // No call begins in the last ten bytes.
    let last = out.len().saturating_sub(10);
    let mut at = 0_usize;
    while let Some(found) = out.get(at..last).and_then(|rest| rest.iter().position(|byte| *byte == 0xe8)) {
        at = at.saturating_add(found);
        let place = i32::try_from(at).unwrap_or(i32::MAX);
        if let Some(target) = out.get_mut(at.saturating_add(1)..).and_then(|rest| rest.first_chunk_mut::<4>()) {
            let absolute = i32::from_le_bytes(*target);
            let relative = match absolute.cmp(&0) {
                Ordering::Less if absolute >= place.wrapping_neg() => absolute.wrapping_add(FILE_SIZE),
                Ordering::Equal | Ordering::Greater if absolute < FILE_SIZE => absolute.wrapping_sub(place),
                _ => absolute,
            };
            *target = relative.to_le_bytes();
        }
        at = at.saturating_add(5);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stored_blocks_follow_each_other() {
        // Kind 3, a size of 16 bits, alignment, three distances, the bytes, and one more where their number is odd.
        let block = |size: u8, content: &[u8]| {
            let header = [0x00, 0x60 | size >> 4, 0x00, size << 4];
            [&header[..], &[1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0], content].concat()
        };
        let input = [block(5, b"hello\0"), block(2, b", "), block(3, b"you\0")].concat();
        let mut out = [0; 10];
        decode(&input, &mut out).unwrap();
        assert_eq!(&out, b"hello, you");
        for length in 0..input.len() - 1 {
            assert!(decode(&input[..length], &mut out).is_none(), "{length} bytes");
        }
        assert!(decode(&block(0, b""), &mut out).is_none(), "an empty block");
        assert!(decode(&block(11, b"hello, you!\0"), &mut out).is_none(), "more than the chunk");
    }

    #[test]
    fn calls_become_relative() {
        let mut code = [0x90; 40];
        code[8..13].copy_from_slice(&[0xe8, 0x10, 0, 0, 0]);
        code[16..21].copy_from_slice(&[0xe8, 0xf0, 0xff, 0xff, 0xff]);
        code[24..29].copy_from_slice(&[0xe8, 0, 0, 0, 0x80]);
        code[30..35].copy_from_slice(&[0xe8, 1, 0, 0, 0]);
        translate_calls(&mut code);
        assert_eq!(code[9..13], 8_i32.to_le_bytes());
        assert_eq!(code[17..21], (FILE_SIZE - 16).to_le_bytes());
        assert_eq!(code[25..29], i32::MIN.to_le_bytes(), "no target");
        assert_eq!(code[31..35], 1_i32.to_le_bytes(), "the last ten bytes have no calls");
    }
}
