//! C-18: the parents of a differencing disk are whole, and no larger than what stands on them.

use crate::bytes::ByteSize;
use crate::facts::{DeviationFacts, DiskKind, ParentDiskFacts};
use crate::rules::{Check, Finding, Judgement, Profile, Remedy, Rule, Severity, Skip, Subject, Target, shared, source};

pub(in crate::rules) static RULE: Rule = Rule {
    code: "VHD109",
    name: "parent-damaged",
    requirement: "C-18",
    also: &[],
    severity: Severity::Error,
    marketplace: None,
    profile: Profile::Azure,
    applies_to: "differencing VHDs",
    summary: "The parents of a differencing disk are whole, and none is larger than the disk that stands on it.",
    azure_error: None,
    source: source::VHD_FORMAT,
    docs: r"## What it checks

Each parent of a differencing disk must have a footer with a right checksum, whose size is that of the bytes before it, and whose copy at
the start, in a dynamic parent, says the same. No parent may be larger than its child: disks in a chain can only grow. Blocks and headers
of parents are held to VHD103 and VHD104.

## Why it matters

What the child does not hold comes from its parents. A parent that was cut, or whose size is wrong, gives zeros where data was; a child
whose size is wrong hides the end of its parent. The merged disk would look whole and not be so.

## How to fix it

Take the parents from their source again, or merge the chain where the machine ran. Where sizes differ, find out which one the disk had
in its machine.",
    check: Check::Disk(check),
};

/// Faults of a parent's footer after which its size or its bytes are in doubt.
const CODES: &[&str] = &["footer-missing", "footer-checksum", "footer-poisoned", "payload-short", "payload-long"];

fn check(subject: &Subject<'_>, _: &Target) -> Judgement {
    let facts = subject.facts;
    shared::demand_vhd(facts)?;
    if facts.kind.known()? != Some(&DiskKind::Differencing) {
        return Err(Skip::not_applicable("not a differencing disk"));
    }
    // VHD018 tells of parents that are not there.
    let parents = match facts.parents.known() {
        Ok(parents) => parents.map(Vec::as_slice).unwrap_or_default(),
        Err(_) => return Err(Skip::not_applicable("a differencing disk without its parents")),
    };
    let mut found = Vec::new();
    let mut child = facts.virtual_size.known()?.copied();
    for parent in parents {
        let doubtful = parent.deviations.iter().filter(|deviation| is_doubtful(deviation));
        found.extend(doubtful.map(|deviation| damaged(parent, deviation)));
        if let (Some(size), Some(child)) = (parent.virtual_size, child)
            && size > child
        {
            found.push(larger(parent, size, child));
        }
        child = parent.virtual_size;
    }
    Ok(found)
}

fn is_doubtful(deviation: &DeviationFacts) -> bool {
    let code = deviation.code.as_str();
    CODES.contains(&code) || (code == "copy-differs" && super::footer_copies_differ::is_weighty(&deviation.found))
}

fn damaged(parent: &ParentDiskFacts, deviation: &DeviationFacts) -> Finding {
    let what = match deviation.code.as_str() {
        "footer-missing" => "no footer at the end",
        "footer-checksum" => "wrong checksum of the footer",
        "footer-poisoned" => "XenServer's mark of a disk that is not to be used any more",
        "payload-short" => "fewer bytes than the footer says",
        "payload-long" => "more bytes than the footer says",
        _ => "a copy of the footer that says otherwise",
    };
    Finding {
        message: format!(
            "{}{what} at byte {}: expected {}, found {}; what the disk takes from there cannot be relied on",
            shared::whose(Some(&parent.path)),
            deviation.offset,
            deviation.expected,
            deviation.found
        ),
        actual: deviation.found.clone(),
        required: deviation.expected.clone(),
        place: None,
        remedy: Remedy::hand("take the parent from its source again, or merge the chain where it was made"),
    }
}

fn larger(parent: &ParentDiskFacts, size: u64, child: u64) -> Finding {
    Finding {
        message: format!(
            "the parent '{}' has {}, but the disk over it {}: the parent's last {} would be cut off",
            parent.path,
            ByteSize(size),
            ByteSize(child),
            ByteSize(size.saturating_sub(child))
        ),
        actual: ByteSize(size).to_string(),
        required: format!("at most {}", ByteSize(child)),
        place: None,
        remedy: Remedy::hand("find out which of the sizes the disk had in its machine, and take the files from there again"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::{DiskFacts, Fact};
    use crate::rules::testing::*;

    fn over(change: impl FnOnce(&mut ParentDiskFacts)) -> DiskFacts {
        let mut parent = ParentDiskFacts {
            path: "base.vhd".to_owned(),
            kind: "fixed".to_owned(),
            virtual_size: Some(OS_SIZE),
            unique_id: None,
            block_table: Fact::Absent,
            deviations: vec![deviation("footer-reserved")],
        };
        change(&mut parent);
        dynamic(|f| (f.kind, f.parents) = (Fact::Known(DiskKind::Differencing), Fact::Known(vec![parent])))
    }

    #[test]
    fn table() {
        assert_eq!(ask(&RULE, &healthy_os()), "not applicable");
        assert_eq!(ask(&RULE, &gzip()), "not applicable");
        assert_eq!(ask(&RULE, &os(|f| f.kind = Fact::unknown("x"))), "undecided");
        assert_eq!(ask(&RULE, &over(|_| {})), "pass");
        for code in CODES {
            assert_eq!(ask(&RULE, &over(|parent| parent.deviations.push(deviation(code)))), "hand", "{code}");
        }
        let differs = |found: &str| DeviationFacts { found: found.to_owned(), ..deviation("copy-differs") };
        assert_eq!(ask(&RULE, &over(|parent| parent.deviations.push(differs("current size 1 instead of 2")))), "hand");
        assert_eq!(ask(&RULE, &over(|parent| parent.deviations.push(differs("time stamp 1 instead of 2")))), "pass");
        // A child that was made larger than its parent is usual, the other way round nothing makes.
        assert_eq!(ask(&RULE, &over(|parent| parent.virtual_size = Some(OS_SIZE - 1))), "pass");
        assert_eq!(ask(&RULE, &over(|parent| parent.virtual_size = Some(OS_SIZE + 1))), "hand");
    }
}
