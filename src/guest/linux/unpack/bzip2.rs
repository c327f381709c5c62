//! bzip2 streams.
//!
//! Written from the format's description in "BZIP2: Format Specification" (J. Tsai, 2016) and checked against the program. Decoders on
//! crates.io either unpack whole files only or read past the end of the stream, and an initramfs goes on right there.
//!
//! A stream is `BZh` and a digit, then blocks of bits: 48 of magic, 32 of checksum, the place of the original string, which bytes
//! occur, Huffman tables and which of them codes each 50 symbols, then the symbols: move-to-front places with runs of zero. What they
//! give is sorted back (Burrows-Wheeler) and its runs are expanded.

use super::{CHUNK, Compression, Fed, Sink, Unpack, UnpackError};
use crate::bytes::{int_u64, int_usize};

const BLOCK: u64 = 0x3141_5926_5359;
const END: u64 = 0x1772_4538_5090;
/// No block has more compressed bytes: 900,001 symbols of 20 bits, and the tables.
const LONGEST: usize = 3 << 20;
/// Bits that one look at a table decides.
const FAST: u32 = 10;
const LONGEST_CODE: u32 = 20;
/// Symbols that one choice of table is for.
const GROUP: u32 = 50;

pub(super) struct Bzip2 {
    held: Vec<u8>,
    /// Bits of `held` that are done with.
    done: u64,
    /// Bytes of a block at most; 0 before the header.
    block_size: usize,
    /// The current block: a byte each, and above it where the next one is.
    links: Vec<u32>,
    out: Vec<u8>,
}

impl Bzip2 {
    pub(super) const fn new() -> Self {
        Self { held: vec![], done: 0, block_size: 0, links: vec![], out: vec![] }
    }
}

fn damaged(what: &str) -> UnpackError {
    UnpackError::Damaged { format: Compression::Bzip2, what: what.to_owned() }
}

fn truncated() -> UnpackError {
    UnpackError::Truncated(Compression::Bzip2)
}

impl Unpack for Bzip2 {
    fn feed(&mut self, input: &[u8], last: bool, sink: &mut Sink<'_>) -> Result<Fed, UnpackError> {
        self.held.extend_from_slice(input);
        while last || self.held.len() >= LONGEST {
            if self.block_size == 0 {
                let Some([b'B', b'Z', b'h', digit @ b'1'..=b'9']) = self.held.first_chunk() else {
                    return Err(if self.held.len() < 4 { truncated() } else { damaged("an unknown header") });
                };
                self.block_size = usize::from(digit.wrapping_sub(b'0')).saturating_mul(100_000);
                self.done = 32;
            }
            let mut bits = Bits::new(&self.held, self.done);
            match bits.take_wide(48)? {
                BLOCK => {
                    let start = block(&mut bits, self.block_size, &mut self.links)?;
                    self.done = bits.position();
                    if !expand(&self.links, start, &mut self.out, sink)? {
                        return Ok(Fed::Stopped);
                    }
                }
                END => {
                    bits.take(32)?;
                    let end = int_usize(bits.position().div_ceil(8));
                    return Ok(Fed::Done { left: self.held.len().saturating_sub(end) });
                }
                _ => return Err(damaged("a block without its magic number")),
            }
            self.held.drain(..int_usize(self.done / 8));
            self.done %= 8;
        }
        Ok(Fed::More)
    }
}

/// Bits of bytes, the highest first.
struct Bits<'a> {
    bytes: &'a [u8],
    next: usize,
    /// Bits that were read from bytes and not taken, at the low end.
    ahead: u64,
    count: u32,
}

impl<'a> Bits<'a> {
    fn new(bytes: &'a [u8], position: u64) -> Self {
        let mut bits = Self { bytes, next: int_usize(position / 8), ahead: 0, count: 0 };
        bits.fill();
        bits.count = bits.count.saturating_sub(u32::try_from(position % 8).unwrap_or_default());
        bits
    }

    fn position(&self) -> u64 {
        int_u64(self.next).saturating_mul(8).saturating_sub(u64::from(self.count))
    }

    fn fill(&mut self) {
        while self.count <= 56 {
            let Some(byte) = self.bytes.get(self.next) else { return };
            self.ahead = (self.ahead << 8) | u64::from(*byte);
            self.next = self.next.saturating_add(1);
            self.count = self.count.saturating_add(8);
        }
    }

    /// The next bits without taking them, zeros after the end; at most 32.
    fn peek(&mut self, count: u32) -> u32 {
        if self.count < count {
            self.fill();
        }
        let mask = u64::MAX.wrapping_shr(64_u32.wrapping_sub(count));
        let bits = match self.count.checked_sub(count) {
            Some(extra) => self.ahead.wrapping_shr(extra),
            None => self.ahead.wrapping_shl(count.wrapping_sub(self.count)),
        };
        u32::try_from(bits & mask).unwrap_or_default()
    }

    fn drop(&mut self, count: u32) -> Result<(), UnpackError> {
        self.count = self.count.checked_sub(count).ok_or_else(truncated)?;
        Ok(())
    }

    /// Takes 1 to 32 bits.
    fn take(&mut self, count: u32) -> Result<u32, UnpackError> {
        let bits = self.peek(count);
        self.drop(count)?;
        Ok(bits)
    }

    fn take_wide(&mut self, count: u32) -> Result<u64, UnpackError> {
        let high = u64::from(self.take(count.saturating_sub(24))?);
        Ok((high << 24) | u64::from(self.take(24)?))
    }

    fn flag(&mut self) -> Result<bool, UnpackError> {
        Ok(self.take(1)? == 1)
    }
}

/// A Huffman table: codes of one length follow each other, shorter ones first.
struct Table {
    /// For each run of `FAST` bits the symbol and its code's length, 0 where the code is longer.
    fast: Vec<(u16, u8)>,
    /// For each length above 0: first code, number of codes, and place of the first in `symbols`.
    lengths: Vec<(u32, u32, u32)>,
    symbols: Vec<u16>,
}

impl Table {
    fn new(lengths: &[u8]) -> Result<Self, UnpackError> {
        let mut table = Self { fast: vec![(0, 0); 1 << FAST], lengths: vec![], symbols: vec![] };
        let mut code = 0_u32;
        for length in 1..=LONGEST_CODE {
            let first = code;
            let place = u32::try_from(table.symbols.len()).unwrap_or_default();
            for (symbol, _) in (0_u16..).zip(lengths).filter(|(_, its)| u32::from(**its) == length) {
                table.symbols.push(symbol);
                if length <= FAST {
                    let spare = FAST.wrapping_sub(length);
                    let from = int_usize(u64::from(code.wrapping_shl(spare)));
                    let same = table.fast.iter_mut().skip(from).take(1_usize.wrapping_shl(spare));
                    let short = u8::try_from(length).unwrap_or_default();
                    same.for_each(|entry| *entry = (symbol, short));
                }
                code = code.saturating_add(1);
            }
            if code > 1_u32.wrapping_shl(length) {
                return Err(damaged("more codes than their lengths allow"));
            }
            table.lengths.push((first, code.saturating_sub(first), place));
            code = code.wrapping_shl(1);
        }
        Ok(table)
    }

    fn symbol(&self, bits: &mut Bits<'_>) -> Result<u16, UnpackError> {
        let ahead = bits.peek(LONGEST_CODE);
        let fast = int_usize(u64::from(ahead >> (LONGEST_CODE - FAST)));
        match self.fast.get(fast) {
            Some((symbol, length)) if *length > 0 => {
                bits.drop(u32::from(*length))?;
                Ok(*symbol)
            }
            _ => self.long(ahead, bits),
        }
    }

    fn long(&self, ahead: u32, bits: &mut Bits<'_>) -> Result<u16, UnpackError> {
        for (length, (first, count, place)) in (1..=LONGEST_CODE).zip(&self.lengths).skip(int_usize(u64::from(FAST))) {
            let code = ahead.wrapping_shr(LONGEST_CODE.wrapping_sub(length));
            if let Some(offset) = code.checked_sub(*first).filter(|offset| offset < count) {
                bits.drop(length)?;
                let place = int_usize(u64::from(place.saturating_add(offset)));
                return self.symbols.get(place).copied().ok_or_else(|| damaged("a code without a symbol"));
            }
        }
        Err(damaged("a code without a symbol"))
    }
}

/// A list whose used members move to its front.
struct Recent(Vec<u8>);

impl Recent {
    fn take(&mut self, place: usize) -> Result<u8, UnpackError> {
        let head = self.0.get_mut(..=place).ok_or_else(|| damaged("a place past the end of a list"))?;
        head.rotate_right(1);
        Ok(head.first().copied().unwrap_or_default())
    }
}

/// Reads a block's symbols and sorts them back; returns where the string starts, and the block's checksum.
fn block(bits: &mut Bits<'_>, block_size: usize, links: &mut Vec<u32>) -> Result<Start, UnpackError> {
    let check = bits.take(32)?;
    if bits.flag()? {
        return Err(damaged("a randomised block, which nothing has made since 1998"));
    }
    let origin = int_usize(u64::from(bits.take(24)?));
    let used = bits.take(16)?;
    let mut bytes = Vec::with_capacity(256);
    for high in 0..16_u8 {
        if used & 0x8000_u32.wrapping_shr(u32::from(high)) != 0 {
            let row = bits.take(16)?;
            bytes.extend((0..16_u8).filter(|low| row & 0x8000_u32.wrapping_shr(u32::from(*low)) != 0).map(|low| (high << 4) | low));
        }
    }
    let (tables, choices) = tables(bits, bytes.len().saturating_add(2))?;
    let end = u16::try_from(bytes.len().saturating_add(1)).unwrap_or_default();
    let mut recent = Recent(bytes);
    links.clear();
    let mut counts = [0_u32; 256];
    let (mut run, mut weight) = (0_usize, 1_usize);
    let mut choices = choices.into_iter();
    let mut table = None;
    let mut left = 0_u32;
    loop {
        if left == 0 {
            let choice = choices.next().ok_or_else(|| damaged("too few choices of tables"))?;
            table = tables.get(usize::from(choice));
            left = GROUP;
        }
        left = left.saturating_sub(1);
        let symbol = table.ok_or_else(|| damaged("a choice of no table"))?.symbol(bits)?;
        if symbol < 2 {
            // Zeros in a row, counted with the digits 1 and 2.
            run = run.saturating_add(weight.saturating_mul(usize::from(symbol).saturating_add(1)));
            weight = weight.saturating_mul(2);
            if run > block_size {
                return Err(damaged("a run longer than a block"));
            }
            continue;
        }
        if run > 0 {
            let byte = recent.0.first().copied().ok_or_else(|| damaged("no bytes in use"))?;
            push(links, &mut counts, byte, run, block_size)?;
            (run, weight) = (0, 1);
        }
        if symbol == end {
            break;
        }
        let byte = recent.take(usize::from(symbol).saturating_sub(1))?;
        push(links, &mut counts, byte, 1, block_size)?;
    }
    if origin >= links.len() {
        return Err(damaged("a start past the end of its block"));
    }
    link(links, &counts);
    let first = links.get(origin).copied().unwrap_or_default() >> 8;
    Ok(Start { first, check })
}

/// Where a block's string starts, and its checksum.
struct Start {
    first: u32,
    check: u32,
}

fn push(links: &mut Vec<u32>, counts: &mut [u32; 256], byte: u8, run: usize, block_size: usize) -> Result<(), UnpackError> {
    let length = links.len().saturating_add(run);
    if length > block_size {
        return Err(damaged("more bytes than a block has"));
    }
    links.resize(length, u32::from(byte));
    if let Some(count) = counts.get_mut(usize::from(byte)) {
        *count = count.saturating_add(u32::try_from(run).unwrap_or_default());
    }
    Ok(())
}

/// Huffman tables, and which of them codes each group of symbols.
fn tables(bits: &mut Bits<'_>, symbols: usize) -> Result<(Vec<Table>, Vec<u8>), UnpackError> {
    let count = bits.take(3)?;
    if !(2..=6).contains(&count) {
        return Err(damaged("an impossible number of tables"));
    }
    let mut recent = Recent((0..u8::try_from(count).unwrap_or_default()).collect());
    let mut choices = Vec::new();
    for _ in 0..bits.take(15)? {
        let mut place = 0_usize;
        while bits.flag()? {
            place = place.saturating_add(1);
        }
        choices.push(recent.take(place)?);
    }
    let mut tables = Vec::new();
    for _ in 0..count {
        let mut length = bits.take(5)?;
        let mut lengths = Vec::with_capacity(symbols);
        for _ in 0..symbols {
            while bits.flag()? {
                length = if bits.flag()? { length.wrapping_sub(1) } else { length.wrapping_add(1) };
            }
            if !(1..=LONGEST_CODE).contains(&length) {
                return Err(damaged("an impossible length of a code"));
            }
            lengths.push(u8::try_from(length).unwrap_or_default());
        }
        tables.push(Table::new(&lengths)?);
    }
    Ok((tables, choices))
}

/// Writes above each byte where the byte after it is.
fn link(links: &mut [u32], counts: &[u32; 256]) {
    let mut places = [0_u32; 256];
    let mut sum = 0_u32;
    for (place, count) in places.iter_mut().zip(counts) {
        *place = sum;
        sum = sum.saturating_add(*count);
    }
    for at in 0..links.len() {
        let byte = links.get(at).copied().unwrap_or_default() & 0xff;
        let Some(place) = places.get_mut(int_usize(u64::from(byte))) else { continue };
        if let Some(link) = links.get_mut(int_usize(u64::from(*place))) {
            *link |= u32::try_from(at).unwrap_or_default().wrapping_shl(8);
        }
        *place = place.saturating_add(1);
    }
}

/// Follows a block's links and expands its runs: after four equal bytes stands how many more there are. Whether the sink wants more.
fn expand(links: &[u32], start: Start, out: &mut Vec<u8>, sink: &mut Sink<'_>) -> Result<bool, UnpackError> {
    let mut at = start.first;
    let (mut last, mut equal) = (None, 0_u8);
    let mut check = u32::MAX;
    out.clear();
    for _ in 0..links.len() {
        let link = links.get(int_usize(u64::from(at))).copied().unwrap_or_default();
        at = link >> 8;
        let byte = link.to_le_bytes().first().copied().unwrap_or_default();
        if equal == 4 {
            let byte_again = last.unwrap_or_default();
            let length = out.len();
            out.resize(length.saturating_add(usize::from(byte)), byte_again);
            (last, equal) = (None, 0);
        } else {
            equal = if last == Some(byte) { equal.saturating_add(1) } else { 1 };
            last = Some(byte);
            out.push(byte);
        }
        if out.len() >= CHUNK {
            check = checksum(check, out);
            if sink(out).is_break() {
                return Ok(false);
            }
            out.clear();
        }
    }
    check = checksum(check, out);
    if !check != start.check {
        return Err(damaged("a block's checksum is wrong"));
    }
    Ok(sink(out).is_continue())
}

/// CRC-32 with the highest bit first, which is bzip2's own.
fn checksum(check: u32, bytes: &[u8]) -> u32 {
    bytes.iter().fold(check, |check, byte| {
        let place = (check >> 24) ^ u32::from(*byte);
        check.wrapping_shl(8) ^ TABLE.get(int_usize(u64::from(place))).copied().unwrap_or_default()
    })
}

static TABLE: std::sync::LazyLock<[u32; 256]> = std::sync::LazyLock::new(|| {
    let mut table = [0; 256];
    for (value, entry) in (0_u32..).zip(&mut table) {
        *entry = (0..8).fold(value << 24, |check, _| if check >> 31 == 1 { (check << 1) ^ 0x04c1_1db7 } else { check << 1 });
    }
    table
});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_come_highest_first_and_end() {
        let mut bits = Bits::new(&[0b1010_0110, 0xff, 0x00, 0x12, 0x34, 0x56, 0x78, 0x9a, 0xbc, 0xde], 3);
        assert_eq!(bits.take(5).unwrap(), 0b00110);
        assert_eq!(bits.take_wide(48).unwrap(), 0xff00_1234_5678);
        assert_eq!(bits.position(), 56);
        assert_eq!(bits.peek(32), 0x9abc_de00);
        assert!(bits.take(25).is_err());
        assert_eq!(bits.take(24).unwrap(), 0x9a_bcde);
        assert!(bits.take(1).is_err());
    }

    #[test]
    fn the_checksum_is_the_one_of_the_format() {
        assert_eq!(!checksum(u32::MAX, b"123456789"), 0xfc89_1918);
    }

    #[test]
    fn impossible_tables_are_refused() {
        assert!(Table::new(&[1, 1, 1]).is_err());
        assert!(Table::new(&[1, 2, 2]).is_ok());
        assert!(Table::new(&[20; 258]).is_ok(), "too few codes are possible");
    }
}
