//! Inputs that are patches to a healthy disk.
//!
//! The first byte picks the disk, the second what is done with it; its highest bit leaves the checksums as they are. Patches follow; what
//! each does is in the lowest bits of its first byte, its length in the others.

use crate::fuzzing::{Image, Kind, SECTOR};
use std::ops::Range;

/// Where the content of a file lies.
#[derive(Debug, Clone)]
pub struct Spot {
    pub at: Range<u64>,
    pub size: u64,
    /// Where its size stands, in four bytes from the lowest, where that is known.
    pub size_at: Option<u64>,
}

/// A healthy disk, and what of it can be named.
pub struct Template {
    pub kind: Kind,
    pub files: Vec<Spot>,
    /// Bytes of all places.
    total: u64,
}

/// A disk that an input asks for.
pub struct Patched<'a> {
    pub template: &'a Template,
    pub image: Image,
    /// What to do with it, of 128.
    pub choice: u8,
}

impl Template {
    pub fn new(kind: Kind, files: Vec<Spot>) -> Self {
        let total = kind.places.iter().map(|range| range.end - range.start).sum();
        Self { kind, files, total }
    }

    /// The byte of this number among those worth damaging.
    fn place(&self, number: u64) -> u64 {
        let mut at = number % self.total.max(1);
        for range in &self.kind.places {
            let len = range.end - range.start;
            if at < len {
                return range.start + at;
            }
            at -= len;
        }
        0
    }

    fn patch<'a>(&self, image: &mut Image, input: &'a [u8]) -> &'a [u8] {
        let &[op, a, b, c, d, ref rest @ ..] = input else { return &[] };
        let number = u64::from(u32::from_le_bytes([a, b, c, d]));
        match op % 8 {
            // Bytes over what is there.
            0..=2 => {
                let (bytes, rest) = rest.split_at(rest.len().min(usize::from(op / 8) % 16 + 1));
                image.put(self.place(number), bytes);
                rest
            }
            // The content of a file. What its size cannot be made is filled with ends of lines.
            3 | 4 if !self.files.is_empty() => {
                let spot = &self.files[usize::from(u16::from_le_bytes([a, b])) % self.files.len()];
                let len = usize::from(u16::from_le_bytes([c, d]));
                let (content, rest) = rest.split_at(rest.len().min(len));
                let mut content = content.to_vec();
                match spot.size_at {
                    Some(at) => drop(image.put(at, &(content.len() as u32).to_le_bytes())),
                    None => content.resize((spot.size.min(1 << 16) as usize).max(content.len()), b'\n'),
                }
                content.truncate((spot.at.end - spot.at.start) as usize);
                image.put(spot.at.start, &content);
                rest
            }
            // A sector in another's place.
            5 => {
                let &[e, f, g, h, ref rest @ ..] = rest else { return &[] };
                let from = image.get(self.place(number) / SECTOR * SECTOR, 512);
                image.put(self.place(u64::from(u32::from_le_bytes([e, f, g, h]))) / SECTOR * SECTOR, &from);
                rest
            }
            // Another size of the disk, by sectors or by bytes.
            6 => {
                let by = i64::from(i32::from_le_bytes([a, b, c, d])) * if op & 8 == 0 { 512 } else { 1 };
                resize(image, image.size.saturating_add_signed(by).min(self.kind.image.size + (64 << 20)));
                rest
            }
            // A number as structures have them: wide, and near to a size.
            _ => {
                let &[which, ref rest @ ..] = rest else { return &[] };
                let size = image.size;
                let near = [0, 1, size, size / SECTOR, u64::MAX, 1 << 31, 1 << 32, 1 << 63, 512, 4096, 1 << 16, 1 << 20];
                let value = near[usize::from(which / 16) % near.len()].wrapping_add_signed(i64::from(which % 4) - 1);
                let width = [2, 4, 8][usize::from(op / 8) % 3];
                let bytes = if which & 8 == 0 { value.to_le_bytes()[..width].to_vec() } else { value.to_be_bytes()[8 - width..].to_vec() };
                image.put(self.place(number) / width as u64 * width as u64, &bytes);
                rest
            }
        }
    }
}

fn resize(image: &mut Image, size: u64) {
    image.size = size;
    image.sectors.retain(|number, _| number * SECTOR < size);
    if let Some(sector) = image.sectors.get_mut(&(size / SECTOR)) {
        sector[(size % SECTOR) as usize..].fill(0);
    }
}

/// The disk that an input asks for.
pub fn patched<'a>(templates: &'a [Template], input: &[u8]) -> Option<Patched<'a>> {
    let &[which, choice, ref patches @ ..] = input else { return None };
    let template = &templates[usize::from(which) % templates.len()];
    let mut image = template.kind.image.clone();
    let mut rest = patches;
    while !rest.is_empty() {
        rest = template.patch(&mut image, rest);
    }
    if choice & 0x80 == 0 && image.size > 0 {
        (template.kind.seal)(&mut image);
    }
    Some(Patched { template, image, choice: choice & 0x7f })
}
