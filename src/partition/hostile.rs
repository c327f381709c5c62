//! Any bytes are valid input: seeded mutations of good tables, and headers that lie.

use super::samples::{Dice, GptDisk, bytes, contents, entry, headers, kinds, mbr_disk, put32, put64, read, seal};
use super::{ProblemKind, rebuild, types};
use crate::bytes::{Bytes, Memory, ReadAt, ReadError};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Counts what is read.
#[derive(Debug)]
struct Counting {
    inner: Memory,
    /// Pretends to be this long; what is not in memory reads as zeros.
    size: u64,
    read: AtomicU64,
}

impl ReadAt for Counting {
    fn size(&self) -> u64 {
        self.size
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<(), ReadError> {
        crate::bytes::check_bounds(offset, buf.len(), self.size)?;
        self.read.fetch_add(buf.len() as u64, Ordering::Relaxed);
        buf.fill(0);
        let start = (offset as usize).min(self.inner.0.len());
        let end = (start + buf.len()).min(self.inner.0.len());
        buf[..end - start].copy_from_slice(&self.inner.0[start..end]);
        Ok(())
    }
}

fn bytes_read(disk: &[u8], size: u64) -> u64 {
    let counting = Arc::new(Counting { inner: Memory(disk.to_vec()), size, read: AtomicU64::new(0) });
    let shared: Bytes = counting.clone();
    super::read(&shared).unwrap();
    counting.read.load(Ordering::Relaxed)
}

#[test]
fn a_good_table_costs_its_own_bytes() {
    let gpt = GptDisk::default().build();
    assert!(bytes_read(&gpt, gpt.len() as u64) < 40 << 10);
    let mbr = mbr_disk();
    assert!(bytes_read(&mbr, mbr.len() as u64) < 4 << 10);
    assert!(bytes_read(&[], 1 << 40) < 1200 << 10, "a blank terabyte");
}

#[test]
fn headers_that_lie_cost_nothing() {
    // Field, value, and the one kind of problem that must be among those found.
    for (offset, value, wide, kind) in [
        (80, u64::from(u32::MAX), false, ProblemKind::EntryCount),
        (80, 0, false, ProblemKind::EntryCount),
        (84, 0, false, ProblemKind::EntrySize),
        (84, u64::from(u32::MAX), false, ProblemKind::EntrySize),
        (84, 192, false, ProblemKind::EntrySize),
        (72, u64::MAX, true, ProblemKind::ArrayPlace),
        (72, 8191, true, ProblemKind::ArrayPlace),
        (12, u64::from(u32::MAX), false, ProblemKind::HeaderSize),
        (12, 0, false, ProblemKind::HeaderSize),
        (24, u64::MAX, true, ProblemKind::MyLba),
        (32, u64::MAX, true, ProblemKind::PrimaryMissing),
    ] {
        let mut disk = GptDisk::default().build();
        for at in headers(&disk) {
            if wide {
                put64(&mut disk, at + offset, value)
            } else {
                put32(&mut disk, at + offset, value as u32)
            }
            seal(&mut disk, at, 512);
        }
        let table = read(&disk).unwrap();
        if kind != ProblemKind::PrimaryMissing {
            assert!(table.has(kind), "{offset} {value}: {:?}", table.problems);
            assert!(table.partitions.is_empty());
            assert!(rebuild(&table, &bytes(&disk), disk.len() as u64).is_err());
        }
        assert!(bytes_read(&disk, disk.len() as u64) < 1200 << 10, "{offset} {value}");
    }
}

#[test]
fn mutated_gpts_give_an_answer() {
    let mut dice = Dice(0x5eed_0001);
    // Small, because thousands are copied.
    let entries = [entry(1, types::ESP, 64, 127, "one"), entry(2, types::LINUX_FILESYSTEM, 128, 255, "two")];
    let good = GptDisk { sectors: 512, entries: entries.into_iter().map(Some).collect(), ..GptDisk::default() }.build();
    let interesting = [0, 1, 2, 33, 34, 127, 128, 255, 510, 511, 512, u64::from(u32::MAX), i64::MAX as u64, u64::MAX - 1, u64::MAX];
    let (mut read_at_all, mut rebuilt_at_all) = (0, 0);
    for round in 0..8_000 {
        let mut disk = good.clone();
        for _ in 0..=dice.below(5) {
            let header = headers(&disk)[dice.below(2) as usize];
            match dice.below(5) {
                0 => put64(&mut disk, header + 24 + 8 * dice.below(9) as usize, interesting[dice.below(15) as usize]),
                1 => put32(&mut disk, header + 80 + 4 * dice.below(2) as usize, interesting[dice.below(15) as usize] as u32),
                2 => {
                    let array = if header == 512 { 1024 } else { header - 32 * 512 };
                    let at = array + 128 * dice.below(4) as usize + 8 * dice.below(16) as usize;
                    let value = if dice.below(2) == 0 { dice.roll() } else { interesting[dice.below(15) as usize] };
                    put64(&mut disk, at, value);
                }
                3 => disk[440 + dice.below(72) as usize] = dice.roll() as u8,
                _ => disk[header + dice.below(100) as usize] = dice.roll() as u8,
            }
        }
        if dice.below(4) != 0 {
            for at in headers(&disk) {
                seal(&mut disk, at, 512);
            }
        }
        if dice.below(4) == 0 {
            disk.truncate(512 * dice.below(512) as usize + dice.below(512) as usize);
        }
        let Some(table) = read(&disk) else { continue };
        assert!(table.problems.len() < 3000, "round {round}");
        read_at_all += 1;
        let new_size = 512 * dice.below(1200);
        let Ok(patches) = rebuild(&table, &bytes(&disk), new_size) else { continue };
        let after = super::gpt_write::tests::apply(&disk, new_size, &patches);
        let rebuilt = read(&after).unwrap();
        rebuilt_at_all += 1;
        assert_eq!(contents(&rebuilt), contents(&table), "round {round}");
        let left = kinds(&rebuilt);
        let between_partitions = [ProblemKind::Overlap, ProblemKind::DuplicateGuid, ProblemKind::NilGuid];
        let in_the_mbr = [
            ProblemKind::HybridMbr,
            ProblemKind::BootIndicator,
            ProblemKind::ZeroSize,
            ProblemKind::ZeroType,
            ProblemKind::ProtectiveStart,
        ];
        assert!(
            left.iter().all(|kind| between_partitions.contains(kind) || in_the_mbr.contains(kind)),
            "round {round}: {:?}",
            rebuilt.problems
        );
        assert!(rebuild(&rebuilt, &bytes(&after), new_size).unwrap().is_empty(), "round {round}: not a fixed point");
    }
    assert!(read_at_all > 6_000 && rebuilt_at_all > 1_000, "the mutations must not all be refused: {read_at_all} {rebuilt_at_all}");
}

#[test]
fn mutated_mbrs_give_an_answer() {
    let mut dice = Dice(0x5eed_0002);
    let good = mbr_disk();
    for _ in 0..2000 {
        let mut disk = good.clone();
        for _ in 0..=dice.below(6) {
            let record = [0, 2000 * 512, 3000 * 512][dice.below(3) as usize];
            let at = record + 446 + dice.below(66) as usize;
            match dice.below(3) {
                0 => disk[at] = dice.roll() as u8,
                1 => disk[at] = 0x05,
                _ => put32(&mut disk, record + 446 + 8 + 16 * dice.below(4) as usize, dice.below(9000) as u32),
            }
        }
        disk.truncate(512 + disk.len() / (1 + dice.below(3) as usize));
        if let Some(table) = read(&disk) {
            assert!(table.partitions.len() < 1100 && table.problems.len() < 3000);
        }
    }
}

#[test]
fn noise_with_a_signature_gives_an_answer() {
    let mut dice = Dice(0x5eed_0003);
    for _ in 0..3000 {
        let mut disk: Vec<u8> = (0..dice.below(600)).flat_map(|_| dice.roll().to_le_bytes()).collect();
        if let Some(end) = disk.get_mut(510..512) {
            end.copy_from_slice(&[0x55, 0xaa]);
        }
        read(&disk);
    }
}
