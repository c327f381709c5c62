//! Sizes and identifiers with one way to read and to print them.

use std::fmt;
use std::str::FromStr;

/// A sector of a VHD: always 512 bytes.
pub const SECTOR: u64 = 512;
/// 1024 bytes.
pub const KIB: u64 = 1 << 10;
/// 1024 KiB.
pub const MIB: u64 = 1 << 20;
/// 1024 MiB.
pub const GIB: u64 = 1 << 30;
/// 1024 GiB.
pub const TIB: u64 = 1 << 40;

/// A `usize` as `u64`. No platform that Rust supports has a wider `usize`.
#[must_use]
pub const fn int_u64(value: usize) -> u64 {
    #[expect(clippy::as_conversions, reason = "usize is at most 64 bits wide, and const fn has no From")]
    let wide = value as u64;
    wide
}

/// A `u64` as `usize`, held at `usize::MAX` where it does not fit.
///
/// For lengths that were bounded before; a saturated value then fails the next bounds check instead of wrapping.
#[must_use]
pub fn int_usize(value: u64) -> usize {
    usize::try_from(value).unwrap_or(usize::MAX)
}

/// A size in bytes that prints as `34 MiB (35651584 bytes)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ByteSize(pub u64);

impl ByteSize {
    /// The size in a binary unit, without the bytes: `127 GiB`, `1.5 MiB`.
    ///
    /// Whole MiB are printed exactly, in the largest unit that needs no more than two decimals. Other sizes are cut to two decimals,
    /// never rounded up and never shown as whole: a size just off a limit must not print as the limit.
    #[must_use]
    pub fn short(self) -> String {
        let bytes = self.0;
        let units = [(TIB, "TiB"), (GIB, "GiB"), (MIB, "MiB"), (KIB, "KiB")];
        for (unit, name) in units.into_iter().filter(|(unit, _)| bytes >= *unit) {
            // Sizes between 1 and 10 TiB that are not whole TiB read better in GiB: 2040 GiB, not 1.99 TiB.
            let skip = unit == TIB && !bytes.is_multiple_of(TIB) && bytes < TIB.saturating_mul(10);
            let whole = bytes.checked_div(unit).unwrap_or_default();
            let rest = bytes.checked_rem(unit).unwrap_or_default();
            let scaled = u128::from(rest).saturating_mul(100);
            let hundredths = scaled.checked_div(u128::from(unit)).unwrap_or_default();
            let exact = scaled.is_multiple_of(u128::from(unit));
            if skip || (!exact && unit > MIB && bytes.is_multiple_of(MIB)) {
                continue;
            }
            return match hundredths {
                0 if exact => format!("{whole} {name}"),
                h if exact && h % 10 == 0 => format!("{whole}.{} {name}", h / 10),
                h => format!("{whole}.{h:02} {name}"),
            };
        }
        format!("{bytes} bytes")
    }
}

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            1 => f.write_str("1 byte"),
            bytes if bytes < KIB => write!(f, "{bytes} bytes"),
            bytes => write!(f, "{} ({bytes} bytes)", self.short()),
        }
    }
}

/// A text that is no size.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "'{0}' is not a size: write bytes (35651584), or a whole number with K, M, G, T (binary, also KiB, MiB, …) or KB, MB, GB, TB (decimal)"
)]
pub struct ParseSizeError(String);

impl FromStr for ByteSize {
    type Err = ParseSizeError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let fail = || ParseSizeError(text.to_owned());
        let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
        let suffix = text.strip_prefix(digits).unwrap_or_default().trim_start();
        let unit = match suffix.to_ascii_lowercase().as_str() {
            "" | "b" => 1,
            "k" | "kib" => KIB,
            "m" | "mib" => MIB,
            "g" | "gib" => GIB,
            "t" | "tib" => TIB,
            "kb" => 1_000,
            "mb" => 1_000_000,
            "gb" => 1_000_000_000,
            "tb" => 1_000_000_000_000,
            _ => return Err(fail()),
        };
        let count: u64 = if digits.bytes().all(|b| b.is_ascii_digit()) { digits.parse().ok() } else { None }.ok_or_else(fail)?;
        count.checked_mul(unit).map(Self).ok_or_else(fail)
    }
}

/// 128 bits of identity, printed lower-case with hyphens in the order in which they are kept.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Guid(pub [u8; 16]);

impl Guid {
    /// All zeros: no identity.
    pub const NIL: Self = Self([0; 16]);

    /// A GUID as GPT and other Microsoft structures store it: the first three fields little-endian.
    #[must_use]
    pub fn from_mixed_endian(stored: [u8; 16]) -> Self {
        let [a, b, c, d, e, f, g, h, rest @ ..] = stored;
        let [i, j, k, l, m, n, o, p] = rest;
        Self([d, c, b, a, f, e, h, g, i, j, k, l, m, n, o, p])
    }

    /// The bytes as GPT stores them; the inverse of [`Guid::from_mixed_endian`].
    #[must_use]
    pub fn to_mixed_endian(self) -> [u8; 16] {
        Self::from_mixed_endian(self.0).0
    }

    /// Whether all bytes are zero.
    #[must_use]
    pub fn is_nil(self) -> bool {
        self == Self::NIL
    }
}

impl fmt::Display for Guid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, byte) in self.0.iter().enumerate() {
            if matches!(place, 4 | 6 | 8 | 10) {
                f.write_str("-")?;
            }
            write!(f, "{byte:02x}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Guid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Guid({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_print_in_both_units() {
        for (bytes, text) in [
            (0, "0 bytes"),
            (1, "1 byte"),
            (511, "511 bytes"),
            (35_651_584, "34 MiB (35651584 bytes)"),
            (35_651_585, "34.00 MiB (35651585 bytes)"),
            (1025 * MIB, "1025 MiB (1074790400 bytes)"),
            (593_645_568, "566.14 MiB (593645568 bytes)"),
            (1536 * MIB, "1.5 GiB (1610612736 bytes)"),
            (2040 * GIB, "2040 GiB (2190433320960 bytes)"),
            (2 * TIB, "2 TiB (2199023255552 bytes)"),
            (4095 * GIB, "4095 GiB (4396972769280 bytes)"),
            (20 * MIB - 1, "19.99 MiB (20971519 bytes)"),
            (u64::MAX, "16777215.99 TiB (18446744073709551615 bytes)"),
        ] {
            assert_eq!(ByteSize(bytes).to_string(), text);
        }
    }

    #[test]
    fn sizes_read_binary_decimal_and_bytes() {
        for (text, bytes) in
            [("34M", 34 * MIB), ("34MiB", 34 * MIB), ("34 mib", 34 * MIB), ("34MB", 34_000_000), ("512", 512), ("2T", 2 * TIB), ("7b", 7)]
        {
            assert_eq!(text.parse(), Ok(ByteSize(bytes)), "{text}");
        }
        for text in ["", "M", "1.5G", "-1", "3X", "99999999999T", "0x10", "1 2M"] {
            assert!(text.parse::<ByteSize>().is_err(), "{text}");
        }
    }

    #[test]
    fn gpt_guids_swap_three_fields_and_back() {
        let stored = [0x28, 0x73, 0x2a, 0xc1, 0x1f, 0xf8, 0xd2, 0x11, 0xba, 0x4b, 0x00, 0xa0, 0xc9, 0x3e, 0xc9, 0x3b];
        let guid = Guid::from_mixed_endian(stored);
        assert_eq!(guid.to_string(), "c12a7328-f81f-11d2-ba4b-00a0c93ec93b");
        assert_eq!(guid.to_mixed_endian(), stored);
    }
}
