//! The machine that a Windows program was built for.
//!
//! Source: "PE Format" (learn.microsoft.com): the MS-DOS stub, the signature, the COFF file header.

use crate::bytes::int_usize;

/// The COFF machine of a program whose first bytes these are; `None` for what is no PE file, or where the header stands behind them.
#[must_use]
pub fn machine(first: &[u8]) -> Option<u16> {
    let at = first.strip_prefix(b"MZ").and(first.get(0x3c..)).and_then(|rest| rest.first_chunk()).copied().map(u32::from_le_bytes)?;
    let header = first.get(int_usize(u64::from(at))..)?.strip_prefix(b"PE\0\0")?;
    header.first_chunk().copied().map(u16::from_le_bytes)
}

/// What Azure calls a machine; its number where it is none of those that Windows runs on.
#[must_use]
pub fn name(machine: u16) -> String {
    match machine {
        0x8664 => "x64".to_owned(),
        0x014c => "x86".to_owned(),
        0xaa64 => "Arm64".to_owned(),
        0x01c0 | 0x01c2 | 0x01c4 => "Arm".to_owned(),
        other => format!("{other:#06x}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers() {
        let mut file = vec![0; 0x90];
        file[..2].copy_from_slice(b"MZ");
        file[0x3c] = 0x80;
        file[0x80..0x84].copy_from_slice(b"PE\0\0");
        file[0x84..0x86].copy_from_slice(&0x8664_u16.to_le_bytes());
        assert_eq!(machine(&file), Some(0x8664));
        for len in 0..0x86 {
            assert_eq!(machine(&file[..len]), None, "{len}");
        }
        file[0x3c..0x40].copy_from_slice(&u32::MAX.to_le_bytes());
        assert_eq!(machine(&file), None);
        assert_eq!((name(0xaa64), name(0x8664), name(0x200)), ("Arm64".to_owned(), "x64".to_owned(), "0x0200".to_owned()));
    }
}
