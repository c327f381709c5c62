//! All rules over all disks.

use super::{Check, Finding, Judgement, RULES, Rule, Severity, Skip, Subject, Target, Waiver};

/// What the rules said.
#[derive(Debug, Default)]
pub struct Outcomes {
    /// An entry for each rule and disk, in the order of rules within that of disks; rules over the whole image come last.
    pub outcomes: Vec<Outcome>,
    /// What is wrong, heaviest first within a disk.
    pub findings: Vec<Found>,
    /// The waivers that were given, those that have expired with them.
    pub waivers: Vec<Waiver>,
}

/// One rule's answer for one disk, or for the image.
#[derive(Debug)]
pub struct Outcome {
    /// The rule.
    pub rule: &'static Rule,
    /// Index of the disk; `None` for the image.
    pub disk: Option<usize>,
    /// Its severity in the profile asked for.
    pub severity: Severity,
    /// `Ok` with the number of findings, 0 being a pass.
    pub result: Result<usize, Skip>,
    /// Why an undecided outcome is accepted all the same.
    pub waived: Option<String>,
}

/// A finding with the rule that made it.
#[derive(Debug, Clone)]
pub struct Found {
    /// The rule.
    pub rule: &'static Rule,
    /// Index of the disk; `None` for the image.
    pub disk: Option<usize>,
    /// Its severity in the profile asked for.
    pub severity: Severity,
    /// What is wrong.
    pub finding: Finding,
    /// Why it is accepted all the same.
    pub waived: Option<String>,
}

impl Found {
    /// Its place in the order in which findings are cured by hand: which disks there are, the file, booting, the guest's settings, and
    /// generalizing last, after which the machine is not started any more.
    #[must_use]
    pub fn cure_order(&self) -> (u8, u32) {
        let family = self.rule.code.get(..3).unwrap_or_default();
        let (row, number) = self.rule.requirement.split_once('-').unwrap_or_default();
        let rank = match (family, row, number) {
            // Its steps hold those of the rules after it.
            ("IMG", "M", "08") => 4,
            ("WGN" | "LGN", ..) => 5,
            ("IMG", ..) => 0,
            ("VHD", ..) => 1,
            ("GEN", ..) => 2,
            _ => 3,
        };
        (rank, number.parse().unwrap_or(u32::MAX))
    }
}

/// The word at the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// Everything was decided and nothing stands in the way.
    Ready,
    /// Nothing was found, but an error rule could not be decided.
    Undecided,
    /// Findings at or above the severity that counts.
    NotReady,
}

impl Verdict {
    /// As the JSON says it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Undecided => "undecided",
            Self::NotReady => "not_ready",
        }
    }
}

/// Judges disks by every rule of the target's profile. `waivers` are codes with reasons.
#[must_use]
pub fn judge(subjects: &[Subject<'_>], target: &Target, waivers: &[(String, String)]) -> Outcomes {
    let mut out = Outcomes::default();
    let asked = || RULES.iter().copied().filter(|rule| rule.profile <= target.profile);
    for (disk, subject) in subjects.iter().enumerate() {
        for rule in asked() {
            if let Check::Disk(check) = rule.check {
                out.take(rule, Some(disk), check(subject, target), target, waivers);
            }
        }
    }
    for rule in asked() {
        if let Check::Image(check) = rule.check {
            out.take(rule, None, check(subjects, target), target, waivers);
        }
    }
    out.findings.sort_by_key(|found| (found.disk.is_none(), found.disk, std::cmp::Reverse(found.severity)));
    out
}

impl Outcomes {
    fn take(&mut self, rule: &'static Rule, disk: Option<usize>, judgement: Judgement, target: &Target, waivers: &[(String, String)]) {
        let severity = rule.severity_in(target.profile);
        let waived = waivers.iter().find(|(code, _)| code == rule.code).map(|(_, reason)| reason.clone());
        let result = judgement.map(|findings| {
            let count = findings.len();
            let found = findings.into_iter().map(|finding| Found { rule, disk, severity, finding, waived: waived.clone() });
            self.findings.extend(found);
            count
        });
        self.outcomes.push(Outcome { rule, disk, severity, result, waived });
    }

    /// Takes over what was said of one disk that was judged alone, as that of disk `place`.
    pub fn append(&mut self, other: Self, place: usize) {
        self.outcomes.extend(other.outcomes.into_iter().map(|outcome| Outcome { disk: Some(place), ..outcome }));
        self.findings.extend(other.findings.into_iter().map(|found| Found { disk: Some(place), ..found }));
    }

    /// The verdict on one disk, or on everything.
    #[must_use]
    pub fn verdict(&self, target: &Target, disk: Option<usize>) -> Verdict {
        let concerns = |about: Option<usize>| disk.is_none() || about.is_none() || about == disk;
        let against = self.findings.iter().any(|f| concerns(f.disk) && f.waived.is_none() && f.severity >= target.fail_on);
        if against {
            return Verdict::NotReady;
        }
        if self.undecided_errors().any(|outcome| concerns(outcome.disk)) { Verdict::Undecided } else { Verdict::Ready }
    }

    /// Error rules that could not be decided and are not waived.
    pub fn undecided_errors(&self) -> impl Iterator<Item = &Outcome> {
        self.outcomes.iter().filter(|outcome| {
            outcome.severity == Severity::Error && outcome.waived.is_none() && matches!(outcome.result, Err(Skip::Undecided(_)))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::Remedy;

    #[test]
    fn what_is_cured_first() {
        let of = |code: &str| {
            let rule = RULES.iter().find(|rule| rule.code == code).expect(code);
            let finding =
                Finding { message: String::new(), actual: String::new(), required: String::new(), place: None, remedy: Remedy::hand("x") };
            Found { rule, disk: None, severity: rule.severity, finding, waived: None }.cure_order()
        };
        assert!(["IMG001", "IMG002", "VHD001", "VHD019", "GEN005", "IMG008"].is_sorted_by_key(|code| of(code)));
    }
}
