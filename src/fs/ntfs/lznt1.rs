//! LZNT1: how NTFS itself compresses, 4 KiB at a time.
//!
//! \[MS-XCA\], section 2.5, "LZNT1 Algorithm Details".

use super::raw::{le16, part};

/// Bytes that a chunk stands for.
const CHUNK: usize = 4096;

/// Decodes into `out`, which holds zeros; what the input does not reach stays zero. `None` where it is damaged.
pub(super) fn decode(mut input: &[u8], out: &mut [u8]) -> Option<()> {
    for chunk in out.chunks_mut(CHUNK) {
        // No header, or one of zeros, ends the input.
        let Some(header) = le16(input, 0).filter(|header| *header != 0) else { return Some(()) };
        let length = usize::from(header & 0xfff).checked_add(1)?;
        let body = part(input, 2, length).filter(|_| header & 0x7000 == 0x3000)?;
        if header & 0x8000 == 0 {
            chunk.get_mut(..length)?.copy_from_slice(body);
        } else {
            unpack(body, chunk)?;
        }
        input = input.get(length.checked_add(2)?..)?;
    }
    Some(())
}

/// Decodes the body of one chunk: a byte of flags, then for each of its bits a literal or two bytes that copy what came before.
fn unpack(mut body: &[u8], chunk: &mut [u8]) -> Option<()> {
    let mut at = 0_usize;
    while let Some((flags, rest)) = body.split_first() {
        body = rest;
        for bit in 0..8_u32 {
            let Some((first, rest)) = body.split_first().filter(|_| at < chunk.len()) else { return Some(()) };
            if flags & 1_u8.checked_shl(bit)? == 0 {
                *chunk.get_mut(at)? = *first;
                at = at.checked_add(1)?;
                body = rest;
                continue;
            }
            let copy = le16(body, 0)?;
            body = body.get(2..)?;
            // The further the chunk has come, the more bits say how far back the copy begins, and the fewer how long it is.
            let back_bits = at.checked_sub(1)?.checked_ilog2().map_or(4, |bits| bits.saturating_add(1).max(4));
            let length_bits = 16_u32.checked_sub(back_bits)?;
            let length = usize::from(copy & 0xffff_u16.checked_shr(back_bits)?).checked_add(3)?;
            let back = usize::from(copy.checked_shr(length_bits)?).checked_add(1)?;
            at = super::bits::copy(chunk, at, back, length)?;
        }
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(input: &[u8], len: usize) -> Option<Vec<u8>> {
        let mut out = vec![0; len];
        decode(input, &mut out).map(|()| out)
    }

    #[test]
    fn the_example_of_the_specification() {
        let text = b"F# F# G A A G F# E D D E F# F# E E F# F# G A A G F# E D D E F# E D D E E F# D E F# G F# D E F# G F# E D E A F# F# G A A G F# E D D E F# E D D\0";
        let input = [
            0x38, 0xb0, 0x88, 0x46, 0x23, 0x20, 0x00, 0x20, 0x47, 0x20, 0x41, 0x00, 0x10, 0xa2, 0x47, 0x01, 0xa0, 0x45, 0x20, 0x44, 0x00,
            0x08, 0x45, 0x01, 0x50, 0x79, 0x00, 0xc0, 0x45, 0x20, 0x05, 0x24, 0x13, 0x88, 0x05, 0xb4, 0x02, 0x4a, 0x44, 0xef, 0x03, 0x58,
            0x02, 0x8c, 0x09, 0x16, 0x01, 0x48, 0x45, 0x00, 0xbe, 0x00, 0x9e, 0x00, 0x04, 0x01, 0x18, 0x90, 0x00,
        ];
        assert_eq!(decoded(&input, text.len()).unwrap(), text);
    }

    #[test]
    fn raw_chunks_runs_and_ends() {
        let raw = [&[0xff_u8, 0x3f][..], &[7; 4096]].concat();
        assert_eq!(decoded(&raw, 4096).unwrap(), [7; 4096]);
        // One literal, then a copy of it over the whole chunk.
        let run = [0x03, 0xb0, 0x02, 0x41, 0xfc, 0x0f];
        assert_eq!(decoded(&run, 4096).unwrap(), [0x41; 4096]);
        assert_eq!(decoded(&[], 5).unwrap(), [0; 5]);
        assert_eq!(decoded(&[0, 0, 1, 2], 5).unwrap(), [0; 5]);
    }

    #[test]
    fn damage_is_seen() {
        let cases: [&[u8]; 6] = [
            &[0x03, 0xb0, 0x02, 0x41],
            // A copy from before the chunk, and one past its end.
            &[0x02, 0xb0, 0x01, 0x00, 0x00],
            &[0x03, 0xb0, 0x02, 0x41, 0xff, 0x0f],
            &[0x03, 0xb0, 0x02, 0x41, 0x00, 0x10],
            // A wrong signature, half a copy.
            &[0x03, 0x80, 0x02, 0x41, 0xfc, 0x0f],
            &[0x02, 0xb0, 0x02, 0x41, 0xfc],
        ];
        for case in cases {
            assert_eq!(decoded(case, 4096), None, "{case:x?}");
        }
    }
}
