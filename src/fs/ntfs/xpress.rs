//! XPRESS with Huffman codes, as the Windows Overlay Filter uses it: chunks of at most 64 KiB, so one code for each.
//!
//! \[MS-XCA\], section 2.1, "LZ77+Huffman Compression Algorithm Details".

use super::bits::{Bits, Code, copy};
use super::raw::len16;

/// Fills `out`; `None` where the input is damaged.
pub(super) fn decode(input: &[u8], out: &mut [u8]) -> Option<()> {
    let (lengths, input) = input.split_first_chunk::<256>()?;
    let lengths: Vec<u8> = lengths.iter().flat_map(|pair| [pair & 15, pair >> 4]).collect();
    let code = Code::new(&lengths)?;
    let mut bits = Bits::new(input);
    let mut at = 0_usize;
    while at < out.len() {
        let symbol = code.next(&mut bits)?;
        if let Ok(literal) = u8::try_from(symbol) {
            *out.get_mut(at)? = literal;
            at = at.checked_add(1)?;
            continue;
        }
        // The bytes of a length stand after the words that hold the next 16 bits.
        bits.fill();
        let back_bits = u32::from((symbol >> 4) & 15);
        let back = 1_u32.checked_shl(back_bits)? | bits.take(back_bits);
        let length = match usize::from(symbol & 15) {
            15 => match usize::from(bits.byte()?) {
                255 => len16(bits.bytes(2)?, 0)?,
                more => more.checked_add(15)?,
            },
            short => short,
        };
        at = copy(out, at, usize::try_from(back).ok()?, length.checked_add(3)?)?;
    }
    (!bits.is_overdrawn()).then_some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_literal_and_a_long_copy() {
        // Two words of one bit: 0 is the letter a, 1 a copy from one byte before with a length of its own.
        let mut input = vec![0; 256];
        input[97 / 2] = 0x10;
        input[(256 + 15) / 2] = 0x10;
        input.extend([0x00, 0x40, 0x00, 0x00, 0xff, 0x28, 0x01]);
        let mut out = [0; 300];
        decode(&input, &mut out).unwrap();
        assert_eq!(out, [b'a'; 300]);
        for length in 0..input.len() {
            assert!(decode(&input[..length], &mut out).is_none(), "{length} bytes");
        }
        assert!(decode(&input, &mut [0; 299]).is_none(), "a copy past the end");
        input[256..258].copy_from_slice(&[0x00, 0x80]);
        assert!(decode(&input, &mut out).is_none(), "a copy of nothing");
    }
}
