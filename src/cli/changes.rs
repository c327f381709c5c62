//! What is done inside the disks of an image before they are written: generalizing the guest, leaving out what is free.

use super::args::{Generalizing, PrepareArgs};
use super::disks::shown;
use super::image::Candidate;
use super::prepare::subjects;
use crate::bytes::{Bytes, printable};
use crate::facts::{DiskFacts, Fact, State};
use crate::generalize::{self, CannotApply, Planned, System, Unsuitable, Wishes};
use crate::inspect::{Guest, Inside, Region, Stretch};
use crate::prepare::{Changed, Step};
use crate::report::{Generalization, InGuest};
use crate::rules::{OFFLINE, Subject, Target, judge};
use crate::trim::{self, Trimmed};
use anyhow::Context;
use std::collections::BTreeSet;
use std::ops::Range;

/// The rule whose cure is the steps that generalize a guest in its machine.
const STATE_RULE: &str = "IMG008";

/// A disk that stays as it is.
static UNCHANGED: Changed = Changed { patches: Vec::new(), holes: Vec::new(), steps: Vec::new() };

/// What is done inside the disks of an image.
#[derive(Debug, Default)]
pub(super) struct Changes {
    /// What makes a template of the guest, where that is asked for.
    pub(super) template: Option<Template>,
    /// What its file systems call free, where that is looked for.
    pub(super) trimmed: Vec<Trimmed>,
    /// The disks, in the order given; none where none is changed.
    disks: Vec<Changed>,
}

/// A guest on its way to a template.
#[derive(Debug)]
pub(super) struct Template {
    disk: String,
    system: Option<String>,
    pub(super) wishes: Wishes,
    pub(super) planned: Planned,
    in_guest: Option<InGuest>,
    /// Whether what is free is left out.
    trims: bool,
    /// The file systems as they are then; none before the changes are made.
    regions: Vec<Region>,
}

impl Template {
    /// The same for a report.
    pub(super) fn report<'a>(&'a self, command: &'a [String]) -> Generalization<'a> {
        let (disk, system) = (self.disk.as_str(), self.system.as_deref());
        let (wishes, planned, in_guest) = (&self.wishes, &self.planned, self.in_guest.as_ref());
        Generalization { disk, system, wishes, planned, in_guest, trims: self.trims, command }
    }
}

impl Changes {
    /// Plans what makes a template of the first disk's guest, and makes the changes in memory where nothing stands in their way.
    ///
    /// # Errors
    ///
    /// When something that decides cannot be read, or a change cannot be made. What must be done in the guest is no error.
    pub(super) fn template(args: &PrepareArgs, candidates: &[Candidate]) -> anyhow::Result<Self> {
        let subjects = subjects(args, candidates);
        let (Some(first), Some(subject)) = (candidates.first(), subjects.first()) else { anyhow::bail!("there is no disk") };
        let fail = || format!("cannot generalize '{}'", shown(&first.opened.path));
        let inside = first.opened.inspected.inside.as_ref().context("there is no disk in it that can be read").with_context(fail)?;
        let mut changes = Self { disks: vec![Changed::default(); candidates.len()], ..Self::default() };
        let template = changes.template.insert(Template {
            disk: first.opened.path.to_string_lossy().into_owned(),
            system: subject.facts.os.value().and_then(|os| os.name.value().cloned()),
            wishes: args.generalizing.wishes(),
            planned: Planned::default(),
            in_guest: None,
            trims: args.trims(),
            regions: vec![],
        });
        // Whether the disk suits is asked here and nowhere else.
        let guest = match suitable(subject, inside).with_context(fail)? {
            Ok(guest) => guest,
            Err(in_guest) => {
                template.in_guest = Some(in_guest);
                return Ok(changes);
            }
        };
        check_users(subject.facts, &template.wishes).with_context(fail)?;
        let os = subject.facts.os.value();
        let system =
            os.and_then(|os| System::new(&guest.tree, os, &template.wishes)).context("its Linux cannot be read").with_context(fail)?;
        let system = system.with_disk(subject.facts);
        let fixed = generalize::irremovable(&system);
        for name in &template.wishes.remove {
            if let Some(why) = fixed.get(name.as_str()) {
                return Err(anyhow::anyhow!("--remove-user {}: {why}", printable(name))).with_context(fail);
            }
        }
        template.planned = generalize::plan(&system).with_context(fail)?;
        if !template.planned.problems.is_empty() || template.planned.changes.is_empty() {
            return Ok(changes);
        }
        let applied = match generalize::apply(&template.planned, &guest.tree, &inside.regions) {
            Ok(applied) => applied,
            Err(error) => match not_offline(&error) {
                Some(why) => {
                    template.in_guest = Some(InGuest { why, steps: steps_in_guest(subject) });
                    return Ok(changes);
                }
                None => return Err(error).with_context(fail),
            },
        };
        // A template that was planned and not made would go out as one.
        anyhow::ensure!(!applied.patches.is_empty(), "{}: changes were planned, and none was made; nothing was written", fail());
        template.regions = applied.regions;
        let operations: BTreeSet<&str> = template.planned.changes.iter().map(|change| change.operation).collect();
        let step = Step::Generalize { operations: operations.len(), changes: template.planned.changes.len() };
        for (place, patches) in applied.patches {
            if let Some(changed) = changes.disks.get_mut(place).filter(|_| !patches.is_empty()) {
                *changed = Changed { patches, holes: vec![], steps: vec![step.clone()] };
            }
        }
        Ok(changes)
    }

    /// Whether nothing stands in the way of what was asked for.
    pub(super) fn goes(&self) -> bool {
        self.template.as_ref().is_none_or(|template| template.report(&[]).verdict().goes())
    }

    /// What is done inside one disk.
    pub(super) fn of(&self, place: usize) -> &Changed {
        self.disks.get(place).unwrap_or(&UNCHANGED)
    }

    /// Looks for what the guest's file systems call free, as they are behind all other changes, and leaves it out.
    ///
    /// # Errors
    ///
    /// When the host cannot read.
    pub(super) fn trim(&mut self, candidates: &[Candidate]) -> anyhow::Result<()> {
        let mut disks: Vec<Bytes> = Vec::new();
        for (place, candidate) in candidates.iter().enumerate() {
            // A disk that cannot be read has findings that say so.
            let Ok(disk) = &candidate.opened.inspected.container.disk else { return Ok(()) };
            disks.push(self.of(place).over(disk.clone()).context("the changes contradict each other")?);
        }
        let names: Vec<String> = candidates.iter().map(|candidate| format!("'{}'", shown(&candidate.opened.path))).collect();
        let fail = || format!("cannot tell what is free on {}", names.join(", "));
        self.trimmed = trim::find(&self.regions(candidates), &disks).with_context(fail)?;
        self.disks.resize(candidates.len(), Changed::default());
        for (place, changed) in self.disks.iter_mut().enumerate() {
            let mut bytes = 0_u64;
            for trimmed in &self.trimmed {
                let Ok(free) = &trimmed.free else { continue };
                let own: Vec<(usize, Range<u64>)> = free.iter().filter(|(disk, _)| *disk == place).cloned().collect();
                // Of a volume over several disks it is not known how much was on which.
                let dropped = if own.len() == free.len() { trimmed.dropped_bytes } else { trim::count(&own, &disks).with_context(fail)? };
                bytes = bytes.saturating_add(if own.is_empty() { 0 } else { dropped });
                changed.holes.extend(own.into_iter().map(|(_, range)| range));
            }
            if bytes > 0 {
                changed.steps.push(Step::Trim { bytes });
            }
        }
        Ok(())
    }

    /// Everything that stands on the disks, each with its place among those given.
    fn regions(&self, candidates: &[Candidate]) -> Vec<Region> {
        let mut all = self.template.as_ref().map(|template| template.regions.clone()).unwrap_or_default();
        for (place, candidate) in candidates.iter().enumerate() {
            let own = candidate.opened.inspected.inside.iter().flat_map(|inside| &inside.regions);
            for region in own.map(|region| placed(region, place)) {
                // Disks that were looked into together hold each other's.
                if !all.iter().any(|known| known.disk == region.disk && known.place == region.place) {
                    all.push(region);
                }
            }
        }
        all
    }
}

/// A region of a disk's own inspection, its disks counted as they were given: there the disk itself comes first, and then the others in
/// their order.
fn placed(region: &Region, place: usize) -> Region {
    let given = |own: usize| match own.checked_sub(1) {
        None => place,
        Some(other) if other < place => other,
        Some(_) => own,
    };
    let lies = region.lies.iter().map(|stretch| Stretch { disk: given(stretch.disk), ..stretch.clone() }).collect();
    Region { disk: given(region.disk), lies, ..region.clone() }
}

/// The one Linux that is generalized offline, or why it must be done in the guest.
fn suitable<'a>(subject: &Subject<'_>, inside: &'a Inside) -> anyhow::Result<Result<&'a Guest, InGuest>> {
    let unsuitable = match generalize::suitable(inside, subject.facts) {
        Ok(guest) => return Ok(Ok(guest)),
        Err(unsuitable) => unsuitable,
    };
    let (why, steps) = match unsuitable {
        Unsuitable::Windows { .. } if steps_in_guest(subject).is_empty() => (
            "Windows is generalized by Sysprep in the machine itself, and by its own marks this one is: prepare it without --generalize"
                .to_owned(),
            vec![],
        ),
        Unsuitable::Windows { steps } => {
            ("Windows is generalized by Sysprep in the machine itself; nothing else can do what it does".to_owned(), steps)
        }
        Unsuitable::ImageBased { name, steps } => {
            (format!("{} is set up by Ignition at a first boot, and made a template in the machine itself", printable(&name)), steps)
        }
        several @ Unsuitable::Several { .. } => (printable(&several.to_string()), vec![]),
        other => anyhow::bail!(printable(&other.to_string())),
    };
    Ok(Err(InGuest { why, steps }))
}

/// Why changes that the running guest can make cannot be made offline, and what to do about it; `None` where something is wrong with what
/// was read.
fn not_offline(error: &CannotApply) -> Option<String> {
    use crate::fs::Error;
    let cure = match error {
        CannotApply::NotChanged { .. } | CannotApply::Change { error: Error::Unsupported(_), .. } => "",
        CannotApply::Change { error: Error::Full(_), .. } => "; free some space there",
        CannotApply::Change { error: Error::Protected(_), .. } => "; allow the change there (chattr -i, chattr -a)",
        CannotApply::Change { .. } | CannotApply::Host { .. } | CannotApply::Differs { .. } => return None,
    };
    Some(format!("{}{cure}", printable(&error.to_string())))
}

/// What generalizes this guest in its machine, as the rule on the state lists it, without the way that is tried here; nothing where it is
/// generalized.
fn steps_in_guest(subject: &Subject<'_>) -> Vec<String> {
    let target = Target { state: Some(State::Generalized), ..Target::default() };
    let subject = Subject { facts: subject.facts, role: subject.role.clone(), lun: None, in_image: false };
    let outcomes = judge(&[subject], &target, &[]);
    let found = outcomes.findings.iter().find(|found| found.rule.code == STATE_RULE);
    let steps = found.map(|found| found.finding.remedy.steps()).unwrap_or_default();
    steps.into_iter().filter(|step| step != OFFLINE).collect()
}

/// Fails where an account is named that the guest does not have.
fn check_users(facts: &DiskFacts, wishes: &Wishes) -> anyhow::Result<()> {
    if wishes.keep.is_empty() && wishes.remove.is_empty() {
        return Ok(());
    }
    let linux = facts.os.value().and_then(|os| os.linux.value());
    let users = match linux.map(|linux| &linux.accounts.users) {
        Some(Fact::Known(users)) => users,
        Some(Fact::Unknown(reason)) => anyhow::bail!("its accounts cannot be read: {}", printable(&reason.to_string())),
        _ => anyhow::bail!("it has no accounts of its own"),
    };
    let names: BTreeSet<&str> = users.iter().map(|user| user.name.as_str()).collect();
    for (option, name) in
        wishes.keep.iter().map(|name| ("--keep-user", name)).chain(wishes.remove.iter().map(|name| ("--remove-user", name)))
    {
        if !names.contains(name.as_str()) {
            let people: Vec<String> = users.iter().filter(|user| user.person || user.uid == 0).map(|user| printable(&user.name)).collect();
            anyhow::bail!("{option} {}: it has no such account; those of people and root are {}", printable(name), people.join(", "));
        }
    }
    Ok(())
}

impl Generalizing {
    /// What the owner wants done.
    fn wishes(&self) -> Wishes {
        let named = |names: &[String]| names.iter().cloned().collect();
        let mut wishes = Wishes { keep: named(&self.keep_user), remove: named(&self.remove_user), ..Wishes::default() };
        if let Some(operations) = &self.operations {
            wishes.operations.clone_from(&operations.0);
        }
        wishes
    }

    /// Whether anything is asked for.
    fn is_given(&self) -> bool {
        self.operations.is_some() || !self.keep_user.is_empty() || !self.remove_user.is_empty()
    }
}

impl PrepareArgs {
    /// Whether free space is left out.
    pub(super) fn trims(&self) -> bool {
        self.trimming.trim || (self.generalize && !self.trimming.no_trim)
    }

    /// Refuses what contradicts itself about generalizing.
    pub(super) fn check_changes(&self) -> anyhow::Result<()> {
        use super::args::{RoleChoice, StateChoice};
        let given = self.generalizing.is_given();
        anyhow::ensure!(self.generalize || !given, "--operations, --keep-user and --remove-user belong to generalizing; add --generalize");
        if self.generalize {
            let (state, role) = (self.asking.state, self.asking.role);
            anyhow::ensure!(
                state != Some(StateChoice::Specialized),
                "--generalize makes a template, and --as specialized asks for one machine; give one of the two"
            );
            anyhow::ensure!(role != Some(RoleChoice::Data), "--generalize is for an OS disk, and --role data says that the disk is none");
        }
        let both = self.generalizing.keep_user.iter().find(|name| self.generalizing.remove_user.contains(name));
        match both {
            Some(name) => {
                Err(anyhow::anyhow!("the account {} is named by --keep-user and by --remove-user; give one of the two", printable(name)))
            }
            None => Ok(()),
        }
    }

    /// With what follows from what was given: a template is what generalizing is for.
    pub(super) fn implied(mut self) -> Self {
        use super::args::{RoleChoice, StateChoice};
        if self.generalize && self.asking.state.is_none() && self.asking.role != Some(RoleChoice::Data) {
            self.asking.state = Some(StateChoice::Generalized);
        }
        self
    }
}

/// The words of this command, for options to be added behind them; none where that cannot be done.
pub(super) fn command() -> Vec<String> {
    let words: Vec<String> = std::env::args_os().skip(1).map(|word| word.to_string_lossy().into_owned()).collect();
    // Behind this everything is a disk.
    if words.iter().any(|word| word == "--") {
        return vec![];
    }
    std::iter::once("vhdkit".to_owned()).chain(words).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fs::Error;

    #[test]
    fn what_the_running_guest_can_do_is_no_error() {
        let why = |error: Error| {
            let error = CannotApply::Change { place: "partition 1".to_owned(), kind: "btrfs".to_owned(), error: error.at("/etc/fstab") };
            not_offline(&error)
        };
        let what = || "inode 9".to_owned();
        for (error, words) in [
            (Error::Unsupported(what()), "partition 1 (btrfs): not supported: /etc/fstab: inode 9"),
            (Error::Full(what()), "partition 1 (btrfs): no room: /etc/fstab: inode 9; free some space there"),
            (
                Error::Protected(what()),
                "partition 1 (btrfs): protected: /etc/fstab: inode 9; allow the change there (chattr -i, chattr -a)",
            ),
        ] {
            assert_eq!(why(error).as_deref(), Some(words));
        }
        assert_eq!(why(Error::Damaged(what())), None);
        let differs = CannotApply::Differs { place: what(), kind: what(), what: what() };
        assert_eq!(not_offline(&differs), None);
    }
    use crate::bytes::Zeros;
    use crate::inspect::Place;
    use std::sync::Arc;

    #[test]
    fn regions_are_counted_by_the_disks_as_they_were_given() {
        let region = Region {
            disk: 1,
            place: Place::Volume("vg0/root".to_owned()),
            bytes: Arc::new(Zeros(1 << 20)),
            content: None,
            partition_type: None,
            partition_uuid: None,
            partition_name: None,
            mapper_uuid: None,
            lies: (0..4).map(|disk| Stretch { from: 0, disk, at: 0..512 }).collect(),
            fs: None,
        };
        for (place, wanted) in [(0, [0, 1, 2, 3]), (1, [1, 0, 2, 3]), (2, [2, 0, 1, 3]), (3, [3, 0, 1, 2])] {
            let placed = placed(&region, place);
            assert_eq!(placed.lies.iter().map(|stretch| stretch.disk).collect::<Vec<_>>(), wanted);
            assert_eq!(placed.disk, wanted[1]);
        }
    }

    #[test]
    fn wishes_are_in_order_and_named_once() {
        let names = |list: &[&str]| list.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let asked = Generalizing { operations: None, keep_user: names(&["eve", "ada", "eve"]), remove_user: names(&["bob"]) };
        let wishes = asked.wishes();
        let told = |names: BTreeSet<String>| names.into_iter().collect::<Vec<_>>();
        assert_eq!((told(wishes.keep), told(wishes.remove)), (names(&["ada", "eve"]), names(&["bob"])));
        assert_eq!(wishes.operations, Wishes::default().operations);
        assert!(asked.is_given() && !Generalizing::default().is_given());
    }
}
