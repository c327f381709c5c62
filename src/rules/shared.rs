//! What several rules ask of the facts in the same way.

use super::{Finding, Need, Place, Remedy, Skip, Target};
use crate::bytes::ByteSize;
use crate::facts::{ContentFacts, DeviationFacts, DiskFacts, DiskKind, Fact, FooterFacts, OsFacts, PartitionTableFacts, State, Unknown};

/// What Azure says of every file in which it finds no fixed VHD.
pub(super) const COOKIE_ERROR: &str = "The specified cookie value in VHD footer indicates that disk '<n>' with blob <url> is not a \
     supported VHD. Disk is expected to have cookie value 'conectix'.";

/// The way out of every upper limit; vhdkit never cuts a disk.
pub(super) const SHRINK: &str =
    "no tool cuts a disk safely from outside: shrink the last file system and its partition, then copy the partitions to a smaller disk";

/// Goes on only for VHDs.
pub(super) fn demand_vhd(facts: &DiskFacts) -> Result<(), Skip> {
    if facts.format == "vhd" { Ok(()) } else { Err(Skip::not_applicable("the file is not a VHD")) }
}

/// Goes on only for fixed VHDs, which can be uploaded as they are.
pub(super) fn demand_fixed(facts: &DiskFacts) -> Result<(), Skip> {
    demand_vhd(facts)?;
    match facts.kind.known()? {
        Some(DiskKind::Fixed) => Ok(()),
        _ => Err(Skip::not_applicable("not a fixed VHD")),
    }
}

/// Bytes of the disk inside. A qcow2 or an archive may state a size too, but it is judged when it has become a disk.
pub(super) fn disk_size(facts: &DiskFacts) -> Result<u64, Skip> {
    let none = || Skip::not_applicable("there is no disk in the file");
    if !matches!(facts.format.as_str(), "vhd" | "vhdx" | "raw") {
        return Err(none());
    }
    facts.virtual_size.known()?.copied().ok_or_else(none)
}

/// The footer that counts: the one at the end, or the copy at the start where only that one's checksum holds.
pub(super) fn footer(facts: &DiskFacts) -> Result<&FooterFacts, Skip> {
    demand_vhd(facts)?;
    let copy = facts.footer_copy.value().filter(|copy| copy.checksum.stored == copy.checksum.computed);
    match facts.footer.known()? {
        Some(end) if copy.is_none() || !deviates(facts, "footer-checksum") => Ok(end),
        _ => copy.ok_or_else(|| Skip::not_applicable("the file has no footer")),
    }
}

/// Whether the file has a deviation of that code.
pub(super) fn deviates(facts: &DiskFacts, code: &str) -> bool {
    facts.deviations.iter().any(|deviation| deviation.code == code)
}

/// The file's own deviations of those codes.
pub(super) fn deviations<'a>(facts: &'a DiskFacts, codes: &'a [&str]) -> impl Iterator<Item = &'a DeviationFacts> {
    facts.deviations.iter().filter(|deviation| codes.contains(&deviation.code.as_str()))
}

/// Deviations of those codes in the file and in the parents it stands on, whose paths come first.
pub(super) fn deviations_in_chain<'a>(
    facts: &'a DiskFacts,
    codes: &'a [&str],
) -> impl Iterator<Item = (Option<&'a str>, &'a DeviationFacts)> {
    let parents = facts.parents.value().into_iter().flatten();
    let above = parents.flat_map(|parent| parent.deviations.iter().map(|deviation| (Some(parent.path.as_str()), deviation)));
    let own = facts.deviations.iter().map(|deviation| (None, deviation));
    own.chain(above).filter(|(_, deviation)| codes.contains(&deviation.code.as_str()))
}

/// Whose deviation it is, as messages begin: nothing for the file itself, or its parent's path.
pub(super) fn whose(parent: Option<&str>) -> String {
    parent.map(|path| format!("in the parent '{path}', ")).unwrap_or_default()
}

/// The bytes of a deviation.
pub(super) fn place(deviation: &DeviationFacts) -> Option<Place> {
    Some(Place::Bytes { offset: deviation.offset, length: deviation.length })
}

/// A field of the footer that counts.
pub(super) fn footer_place(facts: &DiskFacts, field: u64, length: u64) -> Option<Place> {
    let footer = footer(facts).ok()?;
    Some(Place::Bytes { offset: footer.offset.saturating_add(field), length })
}

/// The footer's Current Size.
pub(super) fn size_place(facts: &DiskFacts) -> Option<Place> {
    footer_place(facts, 48, 8)
}

/// Bytes of the disk, where they stand at the same offset of the file.
pub(super) fn disk_place(facts: &DiskFacts, offset: u64, length: u64) -> Option<Place> {
    let as_is = facts.format == "raw" || (facts.format == "vhd" && facts.kind == Fact::Known(DiskKind::Fixed));
    as_is.then_some(Place::Bytes { offset, length })
}

/// Writing the disk anew cures it, if the disk can be read at all.
pub(super) fn rewrite(facts: &DiskFacts) -> Remedy {
    match &facts.readable {
        Fact::Known(true) => Remedy::Prepare(Need::Rewrite),
        Fact::Unknown(Unknown(reason)) => {
            Remedy::hand(format!("make the disk readable first ({reason}); vhdkit prepare then writes it anew"))
        }
        Fact::Known(false) | Fact::Absent => Remedy::hand("copy the disk again from its source: there is nothing here that can be read"),
    }
}

/// Growing the disk cures it, unless its GPT cannot follow to the new end.
pub(super) fn grow(facts: &DiskFacts, size: u64) -> Remedy {
    match facts.partition_table.value().filter(|table| table.scheme == "gpt").and_then(|table| table.rebuild_refused.as_ref()) {
        None => Remedy::Prepare(Need::Grow(size)),
        Some(reason) => Remedy::hand(format!(
            "repair the GPT first, with gdisk on a copy of the disk: vhdkit prepare grows a disk only together with its GPT, and cannot, \
             because {reason}"
        )),
    }
}

/// The finding on a disk above a limit.
pub(super) fn too_large(facts: &DiskFacts, size: u64, limit: u64, message: String, cure: &str) -> Finding {
    Finding {
        message,
        actual: ByteSize(size).to_string(),
        required: format!("at most {}", ByteSize(limit)),
        place: size_place(facts),
        remedy: Remedy::hand(cure),
    }
}

/// What the disk will be used as: what `--as` says, or the state that it is in. `None` where it is in neither.
pub(super) fn purpose(os: &OsFacts, target: &Target) -> Result<Option<State>, Skip> {
    if target.state.is_some() {
        return Ok(target.state);
    }
    Ok(os.state.known()?.copied().filter(|state| *state != State::Inconsistent))
}

/// Goes on only for disks that will be used in that state.
pub(super) fn demand_purpose(os: &OsFacts, target: &Target, state: State) -> Result<(), Skip> {
    if purpose(os, target)? == Some(state) { Ok(()) } else { Err(Skip::not_applicable(format!("not for a {state} image"))) }
}

/// Whether the disk may be deployed as that generation: it was asked for, or none was and the disk boots so.
pub(super) fn may_be_generation(facts: &DiskFacts, target: &Target, generation: u8) -> Result<bool, Skip> {
    if let Some(asked) = target.generation {
        return Ok(asked == generation);
    }
    let Some(boot) = facts.boot.known()? else { return Ok(false) };
    Ok(boot.generations.known()?.is_some_and(|all| all.contains(&generation)))
}

/// Goes on only for disks that may be deployed as that generation.
pub(super) fn demand_possible_generation(facts: &DiskFacts, target: &Target, generation: u8) -> Result<(), Skip> {
    if may_be_generation(facts, target, generation)? {
        Ok(())
    } else {
        Err(Skip::not_applicable(format!("not for generation {generation}")))
    }
}

/// A line of a guest's file.
pub(super) fn file(path: &str, line: Option<u32>) -> Option<Place> {
    Some(Place::File { path: path.to_owned(), line })
}

/// The last part of a path as Windows or Unix writes it.
pub(super) fn file_name(path: &str) -> &str {
    path.rsplit(['/', '\\']).next().unwrap_or(path)
}

/// The partition table; rules about it do not apply without one.
pub(super) fn table(facts: &DiskFacts) -> Result<&PartitionTableFacts, Skip> {
    facts.partition_table.known()?.ok_or_else(|| Skip::not_applicable("the disk has no partition table"))
}

/// What stands where on a disk, and the first reason why a part of that could not be learnt.
pub(super) struct Contents<'a> {
    pub(super) known: Vec<(String, &'a ContentFacts)>,
    pub(super) unknown: Option<Unknown>,
}

/// What stands on the whole disk and its partitions, and with `volumes` on the volumes spread over them.
pub(super) fn contents(facts: &DiskFacts, volumes: bool) -> Contents<'_> {
    let mut out = Contents { known: Vec::new(), unknown: None };
    out.take("the whole disk".to_owned(), &facts.content);
    match facts.partitions.known() {
        Ok(list) => {
            for partition in list.into_iter().flatten() {
                out.take(format!("partition {}", partition.number), &partition.content);
            }
        }
        Err(reason) => out.miss(reason),
    }
    if !volumes {
        return out;
    }
    match facts.volumes.known() {
        Ok(list) => {
            for volume in list.into_iter().flatten() {
                out.take(format!("volume {}", volume.name), &volume.content);
            }
        }
        Err(reason) => out.miss(reason),
    }
    out
}

/// Why a file system that was not found may be on the disk all the same: something there was not, or cannot be, looked into.
pub(super) fn sealed(facts: &DiskFacts) -> Option<Skip> {
    let contents = contents(facts, true);
    if let Some(reason) = contents.unknown {
        return Some(reason.into());
    }
    let closed = |kind: &str| matches!(kind, "crypto_LUKS" | "linux_raid_member" | "zfs_member" | "bcache");
    let (at, content) = contents.known.into_iter().find(|(_, content)| closed(&content.kind))?;
    Some(Skip::Undecided(format!("what is inside {} on {at} was not looked into", content.kind)))
}

impl<'a> Contents<'a> {
    fn take(&mut self, at: String, content: &'a Fact<ContentFacts>) {
        match content.known() {
            Ok(Some(content)) => self.known.push((at, content)),
            Ok(None) => {}
            Err(reason) => self.miss(reason),
        }
    }

    fn miss(&mut self, reason: Unknown) {
        self.unknown.get_or_insert(reason);
    }
}

/// What led to a fact, in brackets behind it; nothing where nothing is told.
pub(super) fn because(evidence: &[String]) -> String {
    let sentences: Vec<String> = evidence.iter().map(|sentence| sentence.trim_end_matches('.').to_owned()).collect();
    if sentences.is_empty() { String::new() } else { format!(" ({})", first_three(&sentences, "; ")) }
}

/// Up to three items as a list, and how many more there are.
pub(super) fn first_three(items: &[String], between: &str) -> String {
    let shown: Vec<&str> = items.iter().take(3).map(String::as_str).collect();
    let more = items.len().saturating_sub(shown.len());
    let tail = if more > 0 { format!("{between}and {more} more") } else { String::new() };
    format!("{}{tail}", shown.join(between))
}
