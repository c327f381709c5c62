//! The boot sector: how long clusters and records are, and where the master file table begins.
//!
//! "$Boot" in the Linux-NTFS project's documentation.

use super::raw::{byte, le16, le64};
use crate::bytes::{ReadAt, read_array};
use crate::fs::Error;

/// What the boot sector says.
#[derive(Debug, Clone, Copy)]
pub(super) struct Geometry {
    /// Bytes of a cluster.
    pub cluster: u64,
    /// Whole clusters of the volume.
    pub clusters: u64,
    /// Bytes of a record of the master file table: 512 to 65536.
    pub record: u64,
    /// Byte at which the master file table begins.
    pub table: u64,
    /// Byte at which the copy of its first records begins.
    pub mirror: u64,
}

impl Geometry {
    pub(super) fn read(bytes: &dyn ReadAt) -> Result<Self, Error> {
        let boot: [u8; 512] = read_array(bytes, 0)?;
        Self::parse(&boot).ok_or_else(|| Error::Damaged("the boot sector gives impossible sizes".to_owned()))
    }

    fn parse(boot: &[u8]) -> Option<Self> {
        let sector = u64::from(le16(boot, 11)?);
        let per_cluster = match byte(boot, 13)? {
            0 => return None,
            count @ 1..=128 => u64::from(count),
            exponent => 1_u64.checked_shl(u32::from(exponent.wrapping_neg()))?,
        };
        let cluster = per_cluster.checked_mul(sector)?;
        let sane = sector.is_power_of_two() && (256..=4096).contains(&sector);
        if !sane || !cluster.is_power_of_two() || !(256..=2 << 20).contains(&cluster) {
            return None;
        }
        let record = match byte(boot, 64)? {
            count @ 1..=127 => cluster.checked_mul(u64::from(count))?,
            exponent => 1_u64.checked_shl(u32::from(exponent.wrapping_neg()))?,
        };
        if !record.is_power_of_two() || !(512..=65536).contains(&record) {
            return None;
        }
        let clusters = le64(boot, 40)?.checked_div(per_cluster)?;
        // So that no offset of a cluster passes 63 bits.
        clusters.checked_mul(cluster).filter(|size| *size <= i64::MAX.unsigned_abs())?;
        let at = |field| le64(boot, field).filter(|lcn| *lcn < clusters)?.checked_mul(cluster);
        Some(Self { cluster, clusters, record, table: at(48)?, mirror: at(56).unwrap_or_default() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn boot() -> Vec<u8> {
        let mut boot = vec![0; 512];
        boot[11..14].copy_from_slice(&[0, 2, 8]);
        boot[40..48].copy_from_slice(&2047_u64.to_le_bytes());
        boot[48] = 4;
        boot[56] = 2;
        boot[64] = 0xf6;
        boot
    }

    #[test]
    fn sizes_and_places() {
        let geometry = Geometry::parse(&boot()).unwrap();
        assert_eq!((geometry.cluster, geometry.clusters, geometry.record), (4096, 255, 1024));
        assert_eq!((geometry.table, geometry.mirror), (16384, 8192));
    }

    #[test]
    fn impossible_sizes_are_refused() {
        let changes: [(usize, &[u8]); 9] = [
            (11, &[1, 2]),
            (13, &[0]),
            (13, &[3]),
            (13, &[0x80 + 50]),
            (48, &[255]),
            (64, &[0]),
            (64, &[0xc0]),
            (64, &[3]),
            (40, &[0xff; 8]),
        ];
        for (at, with) in changes {
            let mut changed = boot();
            changed[at..at + with.len()].copy_from_slice(with);
            assert!(Geometry::parse(&changed).is_none(), "{with:?} at {at}");
        }
        for length in 0..72 {
            assert!(Geometry::parse(&boot()[..length]).is_none() || length >= 65, "{length} bytes");
        }
    }
}
