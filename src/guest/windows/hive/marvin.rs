//! Marvin32, the keyed checksum of entries in registry transaction logs.
//!
//! Two 32-bit words are mixed with each 32-bit word of the input; the rest, ended by 0x80, and a word of zeros come last. Source: SymCrypt,
//! `marvin32.c`.

/// The key of all registry logs, 0x82ef4d887a4e55c5, as its low and its high word ("Windows registry file format specification", Log
/// entries).
const SEED: (u32, u32) = (0x7a4e_55c5, 0x82ef_4d88);

/// A checksum in the making.
#[derive(Debug, Clone, Copy)]
pub(super) struct Marvin32 {
    low: u32,
    high: u32,
}

impl Marvin32 {
    /// Nothing taken in yet.
    pub(super) fn new() -> Self {
        Self { low: SEED.0, high: SEED.1 }
    }

    /// Takes in whole words; what is left over of `bytes` is returned.
    pub(super) fn words<'b>(&mut self, bytes: &'b [u8]) -> &'b [u8] {
        let (words, rest) = bytes.as_chunks::<4>();
        for word in words {
            self.mix(u32::from_le_bytes(*word));
        }
        rest
    }

    /// Takes in the last bytes and ends.
    pub(super) fn finish(mut self, last: &[u8]) -> u64 {
        let rest = self.words(last);
        let mut end = [0; 4];
        for (to, from) in end.iter_mut().zip(rest.iter().copied().chain([0x80])) {
            *to = from;
        }
        self.mix(u32::from_le_bytes(end));
        self.mix(0);
        u64::from(self.high) << 32 | u64::from(self.low)
    }

    fn mix(&mut self, word: u32) {
        self.low = self.low.wrapping_add(word);
        self.high ^= self.low;
        self.low = self.low.rotate_left(20).wrapping_add(self.high);
        self.high = self.high.rotate_left(9) ^ self.low;
        self.low = self.low.rotate_left(27).wrapping_add(self.high);
        self.high = self.high.rotate_left(19);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_seed(seed: u64, bytes: &[u8]) -> u64 {
        Marvin32 { low: seed as u32, high: (seed >> 32) as u32 }.finish(bytes)
    }

    /// Vectors of the .NET runtime's tests of Marvin32, which give both words.
    #[test]
    fn known_sums() {
        let seed = 0x4f_b61a_001b_dbcc;
        for (bytes, sum) in [
            (&[][..], 0x30ed_35c1_00cd_3c7d),
            (&[0xaf], 0x48e7_3fc7_7d75_ddc1),
            (&[0xe7, 0x0f], 0xb5f6_e1fc_485d_bff8),
            (&[0x37, 0xf4, 0x95], 0xf0b0_7c78_9b8c_f7e8),
            (&[0x86, 0x42, 0xdc, 0x59], 0x7008_f2e8_7e9c_f556),
        ] {
            assert_eq!(with_seed(seed, bytes), sum, "{bytes:x?}");
        }
    }

    /// The head of an entry that Windows 10 wrote, and its second hash.
    #[test]
    fn a_real_entry() {
        let mut head = b"HvLE".to_vec();
        for field in [15_872_u32, 1, 2107, 12_398_592, 3] {
            head.extend(field.to_le_bytes());
        }
        head.extend(0x4b70_b6a1_be2c_81c4_u64.to_le_bytes());
        assert_eq!(Marvin32::new().finish(&head), 0xdd88_c5d7_df48_f30a);
    }

    #[test]
    fn pieces_give_the_same_sum() {
        let bytes: Vec<u8> = (0..=255).collect();
        let mut pieces = Marvin32::new();
        assert!(pieces.words(&bytes[..128]).is_empty());
        assert_eq!(pieces.finish(&bytes[128..253]), Marvin32::new().finish(&bytes[..253]));
    }
}
