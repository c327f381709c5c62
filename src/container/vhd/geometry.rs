//! Cylinders, heads and sectors: the size that a footer states a second time, coarsely.
//!
//! Source: "Virtual Hard Disk Image Format Specification" 1.0 (2006), appendix "CHS Calculation".

use crate::bytes::SECTOR;

/// A disk geometry as a footer stores it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Geometry {
    /// Cylinders.
    pub cylinders: u16,
    /// Heads, that is tracks per cylinder.
    pub heads: u8,
    /// Sectors per track.
    pub sectors: u8,
}

/// The most sectors that a geometry can state: 65535 × 16 × 255, 127.5 GiB.
const MAX_SECTORS: u64 = 65_535 * 16 * 255;
/// From here on tracks have 255 sectors. The specification says "greater or equal" here; qemu before 2012 says "greater".
const LONG_TRACKS: u64 = 65_535 * 16 * 63;

impl Geometry {
    /// The largest geometry; larger disks carry it too, and it then says nothing about their size.
    pub const MAX: Self = Self { cylinders: 65_535, heads: 16, sectors: 255 };

    /// The geometry of a disk of `size` bytes, rounded down as the appendix does: its bytes never exceed `size`, but may fall short.
    #[must_use]
    pub fn for_size(size: u64) -> Self {
        let total = (size / SECTOR).min(MAX_SECTORS);
        let (track, heads, tracks) = if total >= LONG_TRACKS {
            (255, 16, total / 255)
        } else {
            let tracks = total / 17;
            let heads = tracks.saturating_add(1023).checked_div(1024).unwrap_or_default().max(4);
            if tracks < heads.saturating_mul(1024) && heads <= 16 {
                (17, heads, tracks)
            } else {
                let tracks = total / 31;
                if tracks < 16 * 1024 { (31, 16, tracks) } else { (63, 16, total / 63) }
            }
        };
        let cylinders = tracks.checked_div(heads).unwrap_or_default();
        Self { cylinders: u16::try_from(cylinders).unwrap_or(u16::MAX), heads: u8::try_from(heads).unwrap_or(u8::MAX), sectors: track }
    }

    /// The size that it states, in bytes.
    #[must_use]
    pub fn bytes(self) -> u64 {
        u64::from(self.cylinders).saturating_mul(u64::from(self.heads)).saturating_mul(u64::from(self.sectors)).saturating_mul(SECTOR)
    }
}

impl std::fmt::Display for Geometry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}/{}", self.cylinders, self.heads, self.sectors)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bytes::{GIB, MIB};

    #[test]
    fn geometries_agree_with_other_producers() {
        // Footers of real files, written by Hyper-V, VirtualBox and XenServer, which follow the appendix.
        for (size, expected) in [
            (4 * MIB, (120, 4, 17)),
            (40 * MIB, (963, 5, 17)),
            (41_953_280, (964, 5, 17)),
            (104_448, (3, 4, 17)),
            (2_147_991_552, (4162, 16, 63)),
            (1_000_194_048, (1938, 16, 63)),
            (136_365_219_840, (65_279, 16, 255)),
            (2040 * GIB, (65_535, 16, 255)),
        ] {
            let g = Geometry::for_size(size);
            assert_eq!((g.cylinders, g.heads, g.sectors), expected, "{size}");
        }
    }

    #[test]
    fn a_geometry_never_exceeds_its_disk() {
        for size in (0..300_000_u64).map(|n| n * 512).chain((0..3000).map(|n| n * 97 * MIB + n * 512)) {
            assert!(Geometry::for_size(size).bytes() <= size, "{size}");
        }
    }

    #[test]
    fn the_border_of_long_tracks_belongs_to_them() {
        let border = 65_535 * 16 * 63 * 512;
        assert_eq!(Geometry::for_size(border).sectors, 255);
        assert_eq!(Geometry::for_size(border - 512).sectors, 63);
    }
}
