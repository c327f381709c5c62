//! Disks for tests: patches on zeros.

use super::{Content, Probed};
use crate::bytes::{Bytes, Overlay, ReadAt, Zeros, read_array};
use std::sync::Arc;

/// A disk of zeros with `patches` laid on it, later ones over earlier ones.
pub(crate) fn disk(size: u64, patches: &[(u64, &[u8])]) -> Bytes {
    patches.iter().fold(Arc::new(Zeros(size)), |base: Bytes, (offset, bytes)| {
        let mut layer = Overlay::new(base);
        layer.patch(*offset, bytes.to_vec()).unwrap();
        Arc::new(layer)
    })
}

/// What `probe` finds here, after checking that it finds nothing when one byte at any place in `needed` is another.
pub(crate) fn matches(probe: fn(&dyn ReadAt) -> Probed, size: u64, patches: &[(u64, &[u8])], needed: &[u64]) -> Content {
    let whole = disk(size, patches);
    let content = probe(&whole).unwrap().expect("a match");
    for at in needed {
        let mut near_miss = Overlay::new(whole.clone());
        let [byte] = read_array(&whole, *at).unwrap();
        near_miss.patch(*at, vec![byte ^ 0x41]).unwrap();
        assert_eq!(probe(&near_miss).unwrap(), None, "{} with another byte at {at}", content.kind);
    }
    content
}

/// A value of `N` bytes whose bytes differ from each other.
pub(crate) fn id<const N: usize>() -> [u8; N] {
    std::array::from_fn(|place| 0x11 + u8::try_from(place).unwrap())
}

/// The text form of `id::<16>()`.
pub(crate) const ID: &str = "11121314-1516-1718-191a-1b1c1d1e1f20";
