//! Which regions claim the same bytes of a disk.

use super::group::MEMBER;
use crate::inspect::{Place, Region};
use std::ops::Range;

/// Types of MBR partitions that only hold others.
const EXTENDED: [&str; 3] = ["0x05", "0x0f", "0x85"];

/// Bytes that a region claims.
#[derive(Debug)]
struct Claim {
    disk: usize,
    at: Range<u64>,
    region: usize,
}

/// What was found of each region, in their order.
#[derive(Debug)]
pub(super) struct Claims {
    contested: Vec<Option<String>>,
}

impl Claims {
    /// Compares partitions with each other, and then everything that holds no volumes with each other: a logical volume lies in its physical
    /// ones by right. What lies in a partition that is contested is contested too.
    pub(super) fn of(regions: &[Region]) -> Self {
        let mut claims = Self { contested: vec![None; regions.len()] };
        let partition = |region: &Region| {
            !matches!(region.place, Place::Volume(_)) && !region.partition_type.as_deref().is_some_and(|kind| EXTENDED.contains(&kind))
        };
        let holder = |region: &Region| region.content.as_ref().is_some_and(|content| content.kind == MEMBER);
        claims.compare(regions, &partition);
        let partitions: Vec<bool> = claims.contested.iter().map(Option::is_some).collect();
        let inner = |region: &Region| !holder(region) && (partition(region) || matches!(region.place, Place::Volume(_)));
        claims.compare(regions, &inner);
        let bad = merged(all(regions).filter(|claim| partitions.get(claim.region).copied().unwrap_or_default()).collect());
        for claim in all(regions) {
            let next = bad.get(bad.partition_point(|one| (one.disk, one.at.end) <= (claim.disk, claim.at.start)));
            if let Some(one) = next.filter(|one| one.disk == claim.disk && one.at.start < claim.at.end) {
                claims.mark(claim.region, one.region, regions);
            }
        }
        claims
    }

    /// Why a region's bytes may be another's.
    pub(super) fn contested(&self, region: usize) -> Option<String> {
        self.contested.get(region)?.clone()
    }

    fn mark(&mut self, region: usize, other: usize, regions: &[Region]) {
        let other = regions.get(other).map_or_else(String::new, |other| other.place.to_string());
        if let Some(why) = self.contested.get_mut(region).filter(|why| why.is_none()) {
            *why = Some(format!("its bytes are claimed twice, where {other} lies"));
        }
    }

    /// Marks those of the regions chosen that share bytes.
    fn compare(&mut self, regions: &[Region], chosen: &dyn Fn(&Region) -> bool) {
        let mut claims: Vec<Claim> = all(regions).filter(|claim| regions.get(claim.region).is_some_and(chosen)).collect();
        claims.sort_by_key(|claim| (claim.disk, claim.at.start));
        let mut widest: Option<Claim> = None;
        for next in claims {
            let same = widest.take().filter(|last| last.disk == next.disk);
            if let Some(last) = same.as_ref().filter(|last| last.at.end > next.at.start) {
                self.mark(last.region, next.region, regions);
                self.mark(next.region, last.region, regions);
            }
            widest = Some(match same {
                Some(last) if last.at.end >= next.at.end => last,
                _ => next,
            });
        }
    }
}

/// All claims, none of them empty.
fn all(regions: &[Region]) -> impl Iterator<Item = Claim> {
    regions.iter().enumerate().flat_map(|(region, one)| {
        let lies = one.lies.iter().filter(|stretch| stretch.at.start < stretch.at.end);
        lies.map(move |stretch| Claim { disk: stretch.disk, at: stretch.at.clone(), region })
    })
}

/// Claims sorted, those that share bytes as one, by the name of its first.
fn merged(mut claims: Vec<Claim>) -> Vec<Claim> {
    claims.sort_by_key(|claim| (claim.disk, claim.at.start));
    let mut found: Vec<Claim> = Vec::new();
    for claim in claims {
        match found.last_mut() {
            Some(last) if last.disk == claim.disk && last.at.end > claim.at.start => last.at.end = last.at.end.max(claim.at.end),
            _ => found.push(claim),
        }
    }
    found
}
