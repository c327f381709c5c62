//! What the fuzzers share: an image in memory, dice, damage, and the promises that hold whatever the bytes are.

pub mod promises;
pub mod seal;

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::PathBuf;
use std::time::Duration;
use vhdkit::bytes::{ReadAt, ReadError, check_bounds};

pub const MIB: u64 = 1 << 20;
pub const SECTOR: u64 = 512;
/// No case may take longer, on the slowest and busiest machine that runs the tests: what does hangs.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// A file in memory: the sectors that are not zero.
#[derive(Debug, Clone, Default)]
pub struct Image {
    pub size: u64,
    pub sectors: BTreeMap<u64, [u8; 512]>,
}

impl Image {
    pub fn new(size: u64) -> Self {
        Self { size, sectors: BTreeMap::new() }
    }

    pub fn put(&mut self, at: u64, bytes: &[u8]) -> &mut Self {
        for (place, byte) in (at..).zip(bytes).filter(|(place, _)| *place < self.size) {
            self.sectors.entry(place / SECTOR).or_insert([0; 512])[(place % SECTOR) as usize] = *byte;
        }
        self
    }

    pub fn get(&self, at: u64, len: usize) -> Vec<u8> {
        let mut out = vec![0; len];
        let inside = self.size.saturating_sub(at).min(len as u64) as usize;
        self.read_at(at.min(self.size), &mut out[..inside]).unwrap();
        out
    }
}

impl ReadAt for Image {
    fn size(&self) -> u64 {
        self.size
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<(), ReadError> {
        check_bounds(offset, buf.len(), self.size)?;
        buf.fill(0);
        let end = offset + buf.len() as u64;
        for (number, sector) in self.sectors.range(offset / SECTOR..end.div_ceil(SECTOR)) {
            let start = number * SECTOR;
            let (from, to) = (start.max(offset), (start + SECTOR).min(end));
            buf[(from - offset) as usize..(to - offset) as usize].copy_from_slice(&sector[(from - start) as usize..(to - start) as usize]);
        }
        Ok(())
    }

    fn data(&self, from: u64) -> Option<Range<u64>> {
        let (number, _) = self.sectors.range(from / SECTOR..).next()?;
        let start = (number * SECTOR).max(from);
        let end = ((number + 1) * SECTOR).min(self.size);
        (start < end).then_some(start..end)
    }
}

/// SplitMix64.
pub struct Dice(pub u64);

impl Dice {
    pub fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, limit: u64) -> u64 {
        self.roll() % limit.max(1)
    }

    pub fn one_in(&mut self, chance: u64) -> bool {
        self.below(chance) == 0
    }

    pub fn pick<T: Clone>(&mut self, from: &[T]) -> T {
        from[self.below(from.len() as u64) as usize].clone()
    }
}

/// A kind of disk: its image, where its structures lie, and how their checksums are made right.
pub struct Kind {
    pub name: &'static str,
    pub image: Image,
    /// Ranges worth damaging.
    pub places: Vec<Range<u64>>,
    pub seal: fn(&mut Image),
    /// Name of the file beside which parents are looked for.
    pub path: PathBuf,
}

/// Damages an image, once or a few times.
pub fn damage(kind: &Kind, dice: &mut Dice) -> Image {
    let mut image = kind.image.clone();
    for _ in 0..1 + dice.below(4) {
        let range = dice.pick(&kind.places);
        let at = if dice.one_in(12) { dice.below(image.size) } else { range.start + dice.below(range.end - range.start) };
        match dice.below(12) {
            0 => {
                let cut = [1, 511, 512, 513, 4096, MIB, 4 * MIB, dice.below(image.size)];
                let size = image.size.saturating_sub(dice.pick(&cut));
                image.size = size;
                image.sectors.retain(|number, _| number * SECTOR < size);
                let kept = size % SECTOR;
                if let Some(sector) = image.sectors.get_mut(&(size / SECTOR)) {
                    sector[kept as usize..].fill(0);
                }
            }
            1 => image.size += dice.pick(&[1, 511, 512, 4096, MIB]),
            2 => {
                let (from, to) = (image.get(at / SECTOR * SECTOR, 512), dice.pick(&kind.places).start / SECTOR * SECTOR);
                image.put(to, &from);
            }
            3 => {
                image.put(at / SECTOR * SECTOR, &[0; 512]);
            }
            4 | 5 => {
                let bit = 1 << dice.below(8);
                let byte = image.get(at, 1)[0] ^ bit;
                image.put(at, &[byte]);
            }
            6 => {
                let byte = dice.roll().to_le_bytes()[0];
                image.put(at, &[byte]);
            }
            _ => {
                let size = image.size;
                let near = [
                    0,
                    1,
                    2,
                    3,
                    511,
                    512,
                    513,
                    4096,
                    MIB,
                    20 * MIB,
                    size,
                    size / SECTOR,
                    size / SECTOR - 1,
                    u64::MAX,
                    1 << 31,
                    1 << 32,
                    1 << 40,
                ];
                let value = dice.pick(&near).wrapping_add(dice.pick(&[0, 0, 1, u64::MAX]));
                let width = dice.pick(&[2_usize, 4, 8]);
                let place = at / width as u64 * width as u64;
                let bytes = if dice.one_in(2) { value.to_be_bytes()[8 - width..].to_vec() } else { value.to_le_bytes()[..width].to_vec() };
                image.put(place, &bytes);
            }
        }
        if image.size == 0 {
            break;
        }
    }
    if !dice.one_in(5) && image.size > 0 {
        (kind.seal)(&mut image);
    }
    image
}

/// Does work on all cores: each takes the next piece.
pub fn on_all_cores<T: Send>(work: Vec<T>, each: impl Fn(T) + Sync) {
    let work = std::sync::Mutex::new(work.into_iter());
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let next = || work.lock().unwrap().next();
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..cores).map(|_| scope.spawn(|| std::iter::from_fn(next).for_each(&each))).collect();
        threads.into_iter().for_each(|thread| thread.join().expect("a piece of work panicked"));
    });
}
