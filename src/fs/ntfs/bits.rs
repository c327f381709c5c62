//! What XPRESS and LZX share: bits that come in 16-bit words, Huffman codes, and copies of what came before.

use super::raw::le16;
use crate::bytes::int_usize;

/// The longest code word, in bits.
const LONGEST: usize = 16;

/// Bits, the highest of each little-endian 16-bit word first; zeros after the end.
#[derive(Debug)]
pub(super) struct Bits<'a> {
    input: &'a [u8],
    /// The byte after the last word that was taken.
    at: usize,
    /// Bits that were taken and not used, from the highest on.
    held: u32,
    count: u32,
}

impl<'a> Bits<'a> {
    pub(super) fn new(input: &'a [u8]) -> Self {
        Self { input, at: 0, held: 0, count: 0 }
    }

    /// Takes words until 16 bits or more are held.
    pub(super) fn fill(&mut self) {
        while self.count < 16 {
            let word = u32::from(le16(self.input, self.at).unwrap_or_default());
            self.held |= word.wrapping_shl(16_u32.wrapping_sub(self.count));
            self.count = self.count.wrapping_add(16);
            self.at = self.at.saturating_add(2);
        }
    }

    /// The next 16 bits, not used up.
    fn peek(&mut self) -> u32 {
        self.fill();
        self.held >> 16
    }

    fn skip(&mut self, bits: u32) {
        self.held = self.held.checked_shl(bits).unwrap_or_default();
        self.count = self.count.saturating_sub(bits);
    }

    /// The next bits: at most 16.
    pub(super) fn take(&mut self, bits: u32) -> u32 {
        let value = self.peek().checked_shr(16_u32.saturating_sub(bits)).unwrap_or_default();
        self.skip(bits);
        value
    }

    /// A byte from after the words that were taken.
    pub(super) fn byte(&mut self) -> Option<u8> {
        let byte = self.input.get(self.at).copied();
        self.at = self.at.saturating_add(1);
        byte
    }

    /// Bytes from after the words that were taken.
    pub(super) fn bytes(&mut self, count: usize) -> Option<&'a [u8]> {
        let end = self.at.checked_add(count)?;
        let bytes = self.input.get(self.at..end)?;
        self.at = end;
        Some(bytes)
    }

    /// Goes on at the next word; over a whole word where one was just about to begin.
    pub(super) fn align(&mut self) {
        let unused = if self.count >= 16 { 2 } else { 0 };
        let skipped = if self.count.is_multiple_of(16) { 2 } else { 0 };
        self.at = self.at.saturating_sub(unused).saturating_add(skipped);
        (self.held, self.count) = (0, 0);
    }

    /// Whether more was used than there is; what is held ahead may lie past the end.
    pub(super) fn is_overdrawn(&self) -> bool {
        self.at > self.input.len().saturating_add(4)
    }
}

/// A canonical Huffman code.
#[derive(Debug)]
pub(super) struct Code {
    /// For each length, where its words end in 16 bits, and how many words are shorter.
    lengths: [(u32, u32); LONGEST + 1],
    /// The symbols in the order of their words.
    symbols: Vec<u16>,
}

impl Code {
    /// From the length of each symbol's word, at most 16; 0 where it has none. `None` where there cannot be such a code.
    pub(super) fn new(of_symbols: &[u8]) -> Option<Self> {
        let mut lengths = [(0, 0); LONGEST + 1];
        let mut symbols = Vec::with_capacity(of_symbols.len());
        let mut end = 0_u32;
        for (length, entry) in lengths.iter_mut().enumerate().skip(1) {
            let shorter = u32::try_from(symbols.len()).ok()?;
            let these = of_symbols.iter().zip(0_u16..).filter(|(of_symbol, _)| usize::from(**of_symbol) == length);
            symbols.extend(these.map(|(_, symbol)| symbol));
            let count = u32::try_from(symbols.len()).ok()?.checked_sub(shorter)?;
            let step = 0x1_0000_u32.checked_shr(u32::try_from(length).ok()?)?;
            end = end.checked_add(count.checked_mul(step)?).filter(|end| *end <= 0x1_0000)?;
            *entry = (end, shorter);
        }
        Some(Self { lengths, symbols })
    }

    /// The next symbol; `None` where the bits are no word.
    pub(super) fn next(&self, bits: &mut Bits) -> Option<u16> {
        let ahead = bits.peek();
        let mut start = 0;
        for ((end, shorter), length) in self.lengths.iter().zip(0_u32..) {
            if ahead < *end {
                bits.skip(length);
                let place = ahead.checked_sub(start)?.checked_shr(16_u32.checked_sub(length)?)?.checked_add(*shorter)?;
                return self.symbols.get(int_usize(u64::from(place))).copied();
            }
            start = *end;
        }
        None
    }
}

/// Copies `length` bytes of `out` to `at` from `back` bytes before; where both overlap, what was just copied is copied again. The place
/// after the copy; `None` where it does not fit.
pub(super) fn copy(out: &mut [u8], at: usize, back: usize, length: usize) -> Option<usize> {
    let mut from = at.checked_sub(back).filter(|from| *from < at)?;
    let end = at.checked_add(length).filter(|end| *end <= out.len())?;
    let mut to = at;
    while to < end {
        // Each turn doubles what may be copied at once.
        let now = to.checked_sub(from)?.min(end.checked_sub(to)?);
        out.copy_within(from..from.checked_add(now)?, to);
        to = to.checked_add(now)?;
        from = at.checked_sub(back)?;
    }
    Some(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_come_in_words() {
        let mut bits = Bits::new(&[0x34, 0x12, 0x78, 0x56, 0xaa]);
        assert_eq!((bits.take(4), bits.take(12), bits.take(0), bits.take(8)), (1, 0x234, 0, 0x56));
        assert_eq!(bits.byte(), Some(0xaa));
        assert!(!bits.is_overdrawn());
        assert_eq!((bits.take(16), bits.byte()), (0x7800, None));
        let words = [1, 0, 2, 0, 3, 0, 4, 0, 5, 0];
        for (taken, next) in [(0, 2), (1, 2), (15, 2), (16, 3), (17, 3)] {
            let mut bits = Bits::new(&words);
            if taken > 0 {
                bits.take(u32::min(taken, 16));
                bits.take(taken.saturating_sub(16));
            }
            bits.align();
            assert_eq!(bits.byte(), Some(next), "after {taken} bits");
        }
    }

    #[test]
    fn codes_are_canonical() {
        // a: 10, b: 0, c: 110, d: 111.
        let code = Code::new(&[2, 1, 3, 3]).unwrap();
        let mut bits = Bits::new(&[0b1000_0000, 0b1001_1011]);
        let symbols: Vec<_> = (0..5).map(|_| code.next(&mut bits).unwrap()).collect();
        assert_eq!(symbols, [0, 1, 2, 3, 1]);
        assert!(Code::new(&[1, 1, 1]).is_none(), "too many words");
        assert!(Code::new(&[]).unwrap().next(&mut Bits::new(&[0, 0])).is_none(), "no words");
        assert!(Code::new(&[1]).unwrap().next(&mut Bits::new(&[0, 0x80])).is_none(), "a word that nothing has");
        assert!(Code::new(&[16; 512]).is_some());
    }

    #[test]
    fn copies_may_overlap() {
        let mut out = *b"abc.........";
        assert_eq!(copy(&mut out, 3, 3, 7), Some(10));
        assert_eq!(&out, b"abcabcabca..");
        assert_eq!(copy(&mut out, 10, 1, 2), Some(12));
        assert_eq!(&out, b"abcabcabcaaa");
        assert_eq!(copy(&mut out, 3, 4, 1), None);
        assert_eq!(copy(&mut out, 3, 0, 1), None);
        assert_eq!(copy(&mut out, 3, 1, 10), None);
    }
}
