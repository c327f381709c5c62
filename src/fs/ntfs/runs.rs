//! Run lists: which clusters of the volume hold which clusters of a stream.
//!
//! "Data Runs" in the Linux-NTFS project's documentation.

use super::raw::part;
use crate::bytes::int_u64;

/// More runs than any file of a sound volume has: a list of attributes of at most 256 KiB limits them to about a million and a half.
const MAX_RUNS: usize = 1 << 21;

/// Neighbouring clusters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Run {
    /// Its first cluster in the stream.
    pub vcn: u64,
    /// Clusters.
    pub len: u64,
    /// Its first cluster on the volume; `None` for a hole.
    pub lcn: Option<u64>,
}

impl Run {
    /// The cluster of the stream after its last.
    pub(super) fn end(&self) -> u64 {
        self.vcn.saturating_add(self.len)
    }
}

/// The runs of a stream from its first cluster on, without gaps.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Runs(Vec<Run>);

impl Runs {
    /// Adds the runs of one attribute record. `clusters` are on the volume.
    pub(super) fn add(&mut self, mut pairs: &[u8], clusters: u64) -> Result<(), String> {
        let (mut vcn, mut lcn) = (self.end(), 0_u64);
        while let Some((header, rest)) = pairs.split_first().filter(|(header, _)| **header != 0) {
            let (of_length, of_offset) = (usize::from(header & 15), usize::from(header >> 4));
            let numbers = part(rest, 0, of_length).zip(part(rest, of_length, of_offset));
            let Some((length, offset)) = numbers.filter(|_| of_length <= 8 && of_offset <= 8) else {
                return Err("a run list ends within a run".to_owned());
            };
            let len = signed(length).and_then(|len| u64::try_from(len).ok()).filter(|len| *len > 0);
            let end = len.and_then(|len| vcn.checked_add(len)).filter(|end| *end <= i64::MAX.unsigned_abs());
            let (Some(len), Some(end)) = (len, end) else {
                return Err(format!("a run list has a run of an impossible length at cluster {vcn}"));
            };
            let place = match signed(offset) {
                None => None,
                Some(step) => {
                    lcn = lcn.checked_add_signed(step).unwrap_or(u64::MAX);
                    if lcn.checked_add(len).is_none_or(|end| end > clusters) {
                        return Err(format!("a run list leads past the end of the volume at cluster {vcn}"));
                    }
                    Some(lcn)
                }
            };
            self.push(Run { vcn, len, lcn: place })?;
            vcn = end;
            pairs = rest.get(of_length.saturating_add(of_offset)..).unwrap_or_default();
        }
        Ok(())
    }

    fn push(&mut self, run: Run) -> Result<(), String> {
        if let Some(last) = self.0.last_mut() {
            let continues = match (last.lcn, run.lcn) {
                (None, None) => true,
                (Some(a), Some(b)) => a.checked_add(last.len) == Some(b),
                _ => false,
            };
            if continues {
                last.len = last.len.saturating_add(run.len);
                return Ok(());
            }
        }
        if self.0.len() >= MAX_RUNS {
            return Err(format!("more than {MAX_RUNS} runs"));
        }
        self.0.push(run);
        Ok(())
    }

    /// All of them that have clusters: first cluster on the volume, and how many.
    pub(super) fn clusters(&self) -> impl Iterator<Item = (u64, u64)> {
        self.0.iter().filter_map(|run| Some((run.lcn?, run.len)))
    }

    /// The cluster of the stream after the last that is mapped.
    pub(super) fn end(&self) -> u64 {
        self.0.last().map_or(0, Run::end)
    }

    /// The runs from the one that holds this cluster on.
    pub(super) fn from(&self, vcn: u64) -> &[Run] {
        let first = self.0.partition_point(|run| run.end() <= vcn);
        self.0.get(first..).unwrap_or_default()
    }
}

/// A little-endian number of up to eight bytes in two's complement; `None` where it has none.
fn signed(bytes: &[u8]) -> Option<i64> {
    let last = *bytes.last()?;
    let fill = if last & 0x80 == 0 { 0 } else { u8::MAX };
    let mut whole = [fill; 8];
    for (to, from) in whole.iter_mut().zip(bytes) {
        *to = *from;
    }
    (int_u64(bytes.len()) <= 8).then(|| i64::from_le_bytes(whole))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn runs(pairs: &[u8]) -> Result<Vec<Run>, String> {
        let mut runs = Runs::default();
        runs.add(pairs, 1 << 40).map(|()| runs.0)
    }

    #[test]
    fn lists_are_read() {
        let hole = |vcn, len| Run { vcn, len, lcn: None };
        let run = |vcn, len, lcn| Run { vcn, len, lcn: Some(lcn) };
        let cases: [(&[u8], Vec<Run>); 5] = [
            (&[0], vec![]),
            (&[0x21, 0x18, 0x34, 0x56, 0], vec![run(0, 0x18, 0x5634)]),
            // Back by 0x20, then a hole, then the same place again.
            (
                &[0x21, 0x10, 0x00, 0x01, 0x11, 0x20, 0xe0, 0x01, 0x60, 0x11, 0x10, 0x00, 0],
                vec![run(0, 16, 256), run(16, 32, 224), hole(48, 96), run(144, 16, 224)],
            ),
            // Neighbours become one.
            (&[0x11, 8, 16, 0x11, 8, 8, 0x01, 2, 0x01, 3], vec![run(0, 16, 16), hole(16, 5)]),
            (&[0x31, 1, 0, 0, 8, 0xff], vec![run(0, 1, 0x8_0000)]),
        ];
        for (pairs, expected) in cases {
            if pairs.ends_with(&[0xff]) {
                assert!(runs(pairs).is_err(), "ends within a run");
                assert_eq!(runs(&pairs[..pairs.len() - 1]).unwrap(), expected);
            } else {
                assert_eq!(runs(pairs).unwrap(), expected, "{pairs:x?}");
            }
        }
    }

    #[test]
    fn impossible_runs_are_refused() {
        let cases: [&[u8]; 8] = [
            &[0x11, 0, 1, 0],
            &[0x11, 0x80, 1, 0],
            &[0x11, 1, 0xff, 0],
            &[0x10, 1, 0],
            &[0x91, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0],
            &[0x18, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f, 1, 0],
            &[0x81, 1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f, 0],
            &[0x11],
        ];
        for pairs in cases {
            assert!(runs(pairs).is_err(), "{pairs:x?}");
        }
        let two = [0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f, 0x01, 1, 0];
        assert!(runs(&two).is_err(), "their sum has 64 bits");
    }

    #[test]
    fn a_cluster_finds_its_run() {
        let mut runs = Runs::default();
        runs.add(&[0x11, 4, 10, 0x01, 4, 0], 100).unwrap();
        runs.add(&[0x11, 2, 50, 0], 100).unwrap();
        assert_eq!(runs.from(3)[0].lcn, Some(10));
        assert_eq!(runs.from(4)[0].lcn, None);
        assert_eq!(runs.from(9)[0].lcn, Some(50), "a part counts from zero");
        assert!(runs.from(10).is_empty());
    }
}
