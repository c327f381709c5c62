//! From findings to a plan: what must be done so that they go away. Pure; nothing is read or written here.

use crate::facts::DiskFacts;
use crate::rules::{Found, Need, Remedy, Severity, azure};
use serde::{Deserialize, Serialize};

/// One thing that `prepare` does to a disk, in the order of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "step", rename_all = "kebab-case")]
pub enum Step {
    /// What one machine knows of itself is taken out of its guest.
    Generalize {
        /// Operations that changed something.
        operations: usize,
        /// Paths that they changed.
        changes: usize,
    },
    /// What the guests' own file systems call free is left out.
    Trim {
        /// Bytes of it that are not zero, in pieces of 4096.
        bytes: u64,
    },
    /// The disk inside is written out byte for byte.
    WriteFixed {
        /// What the source is: `dynamic VHD`, `raw disk`, …
        from: String,
    },
    /// Zeros are added at the end.
    Grow {
        /// Virtual size before, in bytes.
        from: u64,
        /// Virtual size after.
        to: u64,
    },
    /// Both copies of the GPT are written to their places for the new size, with correct checksums.
    RebuildGpt {
        /// Byte at which the backup header will stand: the start of the last sector.
        backup_offset: u64,
    },
    /// A footer as Hyper-V writes it.
    WriteFooter {
        /// Current size in the footer.
        size: u64,
        /// Unique id in the footer.
        unique_id: String,
    },
}

/// What will be done to one disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Plan {
    /// The steps; none where the disk is ready as it is, and is only copied.
    pub steps: Vec<Step>,
    /// Virtual size of the result, in bytes.
    pub size: u64,
}

impl Plan {
    /// Whether the disk is ready as it is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// The plan with what is done inside the disk before it. Where nothing else was to be done, the footer stays as it is.
    #[must_use]
    pub fn after(self, inside: &[Step]) -> Self {
        Self { steps: inside.iter().cloned().chain(self.steps).collect(), ..self }
    }
}

/// Why no plan can be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CannotPlan {
    /// There is no disk that could be written.
    #[error("there is no disk in it that can be read")]
    NoDisk,
    /// The size asked for is smaller than the disk.
    #[error("a disk of {from} bytes cannot be made {to} bytes large: disks only grow")]
    Shrink {
        /// Virtual size of the source.
        from: u64,
        /// Size asked for.
        to: u64,
    },
    /// The size asked for is impossible.
    #[error("a virtual size of {0} bytes cannot be: it must be a whole number of MiB, from 20 MiB to 32767 GiB")]
    Size(u64),
}

/// Plans one disk. `findings` are those of this disk; the waived ones are left alone. `grow_to` asks for a larger disk.
///
/// # Errors
///
/// When there is no disk to write, or the size asked for is impossible.
pub fn plan<'a>(
    facts: &DiskFacts,
    unique_id: &str,
    findings: impl Iterator<Item = &'a Found>,
    grow_to: Option<u64>,
) -> Result<Plan, CannotPlan> {
    let Some(from) = facts.virtual_size.value().copied() else { return Err(CannotPlan::NoDisk) };
    let needs: Vec<Need> = findings.filter(|found| found.waived.is_none()).filter_map(|found| need(&found.finding.remedy)).collect();
    let mut size = needs.iter().filter_map(|need| if let Need::Grow(size) = need { Some(*size) } else { None }).fold(from, u64::max);
    if let Some(to) = grow_to {
        if to < from {
            return Err(CannotPlan::Shrink { from, to });
        }
        size = size.max(to);
    }
    if size != from && !(size.is_multiple_of(azure::SIZE_UNIT) && (azure::MIN_SIZE..=azure::MAX_DISK).contains(&size)) {
        return Err(CannotPlan::Size(size));
    }
    let gpt = facts.partition_table.value().is_some_and(|table| table.scheme == "gpt");
    let rebuild = needs.contains(&Need::RebuildGpt) || (size != from && gpt);
    let fixed = facts.format == "vhd" && facts.kind.value() == Some(&crate::facts::DiskKind::Fixed);
    let mut steps = Vec::new();
    if !fixed {
        steps.push(Step::WriteFixed { from: describe(facts) });
    }
    if size != from {
        steps.push(Step::Grow { from, to: size });
    }
    if rebuild {
        steps.push(Step::RebuildGpt { backup_offset: size.saturating_sub(crate::bytes::SECTOR) });
    }
    // A file that is not just its disk and a footer is never copied as it is, though its findings be accepted: the footer says where
    // the disk ends.
    let exact = facts.file_size == from.saturating_add(crate::bytes::SECTOR);
    if !steps.is_empty() || !exact || needs.contains(&Need::Rewrite) {
        steps.push(Step::WriteFooter { size, unique_id: unique_id.to_owned() });
    }
    Ok(Plan { steps, size })
}

fn need(remedy: &Remedy) -> Option<Need> {
    match remedy {
        Remedy::Prepare(need) => Some(*need),
        Remedy::Hand(_) | Remedy::Steps(_) => None,
    }
}

/// What a source is, in two words.
fn describe(facts: &DiskFacts) -> String {
    let format = match facts.format.as_str() {
        "raw" => "raw disk".to_owned(),
        other => other.to_ascii_uppercase(),
    };
    facts.kind.value().map_or(format.clone(), |kind| format!("{kind} {format}"))
}

/// The findings that stop `prepare` before it writes: as heavy as counts, curable by hand only, and not accepted; in the order in which
/// to cure them.
pub fn blockers<'a>(findings: impl Iterator<Item = &'a Found>, fail_on: Severity, allowed: &[String]) -> Vec<&'a Found> {
    let mut blockers: Vec<&Found> = findings
        .filter(|found| found.severity >= fail_on && found.waived.is_none() && found.finding.remedy.is_by_hand())
        .filter(|found| !allowed.iter().any(|code| code == found.rule.code))
        .collect();
    blockers.sort_by_key(|found| found.cure_order());
    blockers
}

impl std::fmt::Display for Step {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        use crate::bytes::ByteSize;
        match self {
            Self::Generalize { operations, changes } => {
                let of = |number: &usize, one: &str| if *number == 1 { format!("1 {one}") } else { format!("{number} {one}s") };
                write!(f, "generalize the guest: {}, {}", of(operations, "operation"), of(changes, "change"))
            }
            Self::Trim { bytes } => write!(f, "leave out what its file systems call free: {} that are not zero", ByteSize(*bytes)),
            Self::WriteFixed { from } => write!(f, "write the {from} out as a fixed VHD"),
            Self::Grow { from, to } => write!(f, "grow the disk from {} to {}", ByteSize(*from), ByteSize(*to)),
            Self::RebuildGpt { backup_offset } => write!(f, "write both copies of the GPT, the backup header to byte {backup_offset}"),
            Self::WriteFooter { size, unique_id } => {
                write!(f, "write the footer: fixed, {}, creator 'win ' 10.0, unique id {unique_id}", ByteSize(*size))
            }
        }
    }
}
