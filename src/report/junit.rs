//! For pipelines that show tests: JUnit's XML, as Jenkins and GitLab take it.
//!
//! A disk is a suite and a rule a case. Jenkins and GitLab show one failure of a case, so that all findings of a rule stand in one.
//! There is no clock and no host in it: the same disks give the same bytes.

use super::{Checked, Unopened, waiver_told};
use crate::bytes::printable;
use crate::rules::{Found, Outcome, Place, Skip, WaiverState};

/// `check`.
#[must_use]
pub fn check(checked: &Checked<'_>, unopened: &[Unopened]) -> String {
    let mut suites: Vec<Suite> = Vec::new();
    for (place, disk) in checked.disks.iter().enumerate() {
        suites.push(Suite::of(checked, Some(place), &disk.path));
    }
    if checked.outcomes.outcomes.iter().any(|outcome| outcome.disk.is_none()) {
        suites.push(Suite::of(checked, None, "the image"));
    }
    suites.extend(unopened.iter().map(Suite::unopened));
    let sum = |of: fn(&Suite) -> usize| suites.iter().map(of).fold(0, usize::saturating_add);
    let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    out.push_str(&format!(
        "<testsuites name=\"vhdkit\" tests=\"{}\" failures=\"{}\" errors=\"{}\" time=\"0\">\n",
        sum(|suite| suite.cases.len()),
        sum(|suite| suite.failures),
        sum(|suite| suite.errors),
    ));
    for suite in &suites {
        suite.write(&mut out, checked);
    }
    out.push_str("</testsuites>\n");
    out
}

/// The cases of one disk, each written already.
struct Suite {
    name: String,
    verdict: Option<&'static str>,
    failures: usize,
    errors: usize,
    skipped: usize,
    cases: Vec<String>,
}

impl Suite {
    fn new(name: &str, verdict: Option<&'static str>) -> Self {
        Self { name: name.to_owned(), verdict, failures: 0, errors: 0, skipped: 0, cases: vec![] }
    }

    fn of(checked: &Checked<'_>, disk: Option<usize>, name: &str) -> Self {
        let mut suite = Self::new(name, Some(checked.outcomes.verdict(checked.target, disk).as_str()));
        for outcome in checked.outcomes.outcomes.iter().filter(|outcome| outcome.disk == disk) {
            let same = |found: &&Found| found.disk == disk && found.rule.code == outcome.rule.code;
            let findings: Vec<&Found> = checked.outcomes.findings.iter().filter(same).collect();
            suite.add(outcome, &findings, checked);
        }
        suite
    }

    /// A disk that could not be opened is an error of the run, and no verdict.
    fn unopened(disk: &Unopened) -> Self {
        let mut suite = Self::new(&disk.path, None);
        suite.errors = 1;
        let body = format!("      <error type=\"unopened\" message=\"{}\"/>\n", attribute(&disk.reason));
        suite.push("open", &body);
        suite
    }

    fn add(&mut self, outcome: &Outcome, findings: &[&Found], checked: &Checked<'_>) {
        let name = format!("{} {}", outcome.rule.code, outcome.rule.name);
        let body = match &outcome.result {
            Err(Skip::NotApplicable(reason)) => {
                self.skipped = self.skipped.saturating_add(1);
                skipped("not applicable", reason)
            }
            Err(Skip::Undecided(reason)) => {
                self.skipped = self.skipped.saturating_add(1);
                skipped("undecided", reason)
            }
            Ok(_) => match findings.split_first() {
                None => String::new(),
                Some((first, more)) if outcome.waived.is_none() && outcome.severity >= checked.target.fail_on => {
                    self.failures = self.failures.saturating_add(1);
                    let others = if more.is_empty() { String::new() } else { format!(" (and {} more)", more.len()) };
                    let message = attribute(&format!("{}{others}", first.finding.message));
                    let text = told(findings);
                    format!("      <failure type=\"{}\" message=\"{message}\">{text}</failure>\n", outcome.severity)
                }
                Some(_) => format!("      <system-out>{}</system-out>\n", told(findings)),
            },
        };
        self.push(&name, &body);
    }

    fn push(&mut self, name: &str, body: &str) {
        // Viewers take what stands before the last dot for a package.
        let class = self.name.replace('.', "_");
        let head = format!("    <testcase name=\"{}\" classname=\"{}\" time=\"0\"", attribute(name), attribute(&class));
        self.cases.push(if body.is_empty() { format!("{head}/>\n") } else { format!("{head}>\n{body}    </testcase>\n") });
    }

    fn write(&self, out: &mut String, checked: &Checked<'_>) {
        out.push_str(&format!(
            "  <testsuite name=\"{}\" tests=\"{}\" failures=\"{}\" errors=\"{}\" skipped=\"{}\" time=\"0\">\n    <properties>\n",
            attribute(&self.name),
            self.cases.len(),
            self.failures,
            self.errors,
            self.skipped
        ));
        let version = format!("vhdkit {}", env!("CARGO_PKG_VERSION"));
        let profile = checked.target.profile.to_string();
        for (name, value) in [("tool", Some(version.as_str())), ("profile", Some(&profile)), ("verdict", self.verdict)] {
            if let Some(value) = value {
                out.push_str(&format!("      <property name=\"{name}\" value=\"{}\"/>\n", attribute(value)));
            }
        }
        out.push_str("    </properties>\n");
        out.extend(self.cases.iter().map(String::as_str));
        let expired = checked.outcomes.waivers.iter().filter(|waiver| waiver.state == WaiverState::Expired);
        let lines: Vec<String> = expired.map(|waiver| format!("warning: {}", content(&waiver_told(waiver)))).collect();
        if !lines.is_empty() {
            out.push_str(&format!("    <system-err>{}</system-err>\n", lines.join("\n")));
        }
        out.push_str("  </testsuite>\n");
    }
}

fn skipped(kind: &str, reason: &str) -> String {
    format!("      <skipped type=\"{kind}\" message=\"{}\"/>\n", attribute(&format!("{kind}: {reason}")))
}

/// Findings with their evidence and cure, as the content of an element.
fn told(findings: &[&Found]) -> String {
    let mut lines: Vec<String> = Vec::new();
    for found in findings {
        if !lines.is_empty() {
            lines.push(String::new());
        }
        lines.push(content(&format!("{}: {}", found.severity, found.finding.message)));
        let place = found.finding.place.as_ref().map(|place| match place {
            Place::Bytes { offset, length } => format!("byte {offset}, {length} bytes"),
            Place::File { path, line: Some(line) } => format!("{path}:{line}"),
            Place::File { path, line: None } => path.clone(),
            Place::Registry(value) => value.clone(),
        });
        let rows = [
            ("at", place),
            ("found", Some(found.finding.actual.clone())),
            ("needs", Some(found.finding.required.clone())),
            ("azure", found.rule.azure_error.map(str::to_owned)),
            ("cure", Some(found.finding.remedy.text())),
            ("waived", found.waived.clone()),
        ];
        let rows = rows.into_iter().filter_map(|(key, value)| Some((key, value.filter(|value| !value.is_empty())?)));
        lines.extend(rows.map(|(key, value)| format!("  {key}: {}", content(&value))));
    }
    lines.join("\n")
}

/// Text for an attribute's value, in double quotes.
fn attribute(text: &str) -> String {
    content(text).replace('"', "&quot;")
}

/// Text for an element: escaped, without what XML cannot hold.
fn content(text: &str) -> String {
    printable(text).replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::super::text::sample;
    use super::*;
    use crate::rules::{Outcomes, Profile, Severity, Target, Waiver};

    fn text(outcomes: &Outcomes, fail_on: Severity, unopened: &[Unopened]) -> String {
        let facts = sample::disk();
        let target = Target { state: None, profile: Profile::Azure, generation: None, fail_on, kept: std::collections::BTreeSet::new() };
        check(&Checked { disks: &[&facts], outcomes, target: &target, image: None, luns: &[] }, unopened)
    }

    #[test]
    fn a_rule_is_a_case() {
        let out = text(&sample::hard(), Severity::Error, &[]);
        let wanted = r#"<?xml version="1.0" encoding="UTF-8"?>
<testsuites name="vhdkit" tests="4" failures="2" errors="0" time="0">
  <testsuite name="disk.vhd" tests="4" failures="2" errors="0" skipped="1" time="0">
    <properties>
"#;
        assert!(out.starts_with(wanted), "{out}");
        for words in [
            "<property name=\"verdict\" value=\"not_ready\"/>",
            "<testcase name=\"VHD002 not-fixed\" classname=\"disk_vhd\" time=\"0\">\n      <failure type=\"error\" message=\"the disk is dynamic",
            "  cure: vhdkit prepare writes a fixed VHD with a correct footer</failure>",
            "(and 1 more)\">",
            "  waived: known</failure>",
            "<testcase name=\"VHD020 file-name\" classname=\"disk_vhd\" time=\"0\">\n      <system-out>warning: the name does not end",
            "<skipped type=\"undecided\" message=\"undecided: file systems are not read by this version\"/>",
        ] {
            assert!(out.contains(words), "{words}:\n{out}");
        }
    }

    #[test]
    fn what_fails_follows_fail_on() {
        for (fail_on, failures) in [(Severity::Error, 1), (Severity::Warning, 2), (Severity::Note, 2)] {
            let out = text(&sample::curable(), fail_on, &[]);
            assert_eq!(out.matches("<failure").count(), failures, "{fail_on}");
            assert!(out.contains(&format!("failures=\"{failures}\"")), "{out}");
        }
    }

    #[test]
    fn nothing_breaks_out_of_its_place() {
        let evil = "\"><x/>&\u{0}\u{1b}\u{ffff}\n'";
        let mut outcomes = sample::curable();
        for found in &mut outcomes.findings {
            (found.finding.message, found.finding.actual) = (evil.to_owned(), evil.to_owned());
        }
        let gone = Unopened { path: evil.to_owned(), reason: evil.to_owned() };
        let out = text(&outcomes, Severity::Error, &[gone]);
        assert!(!out.contains("<x/>") && !out.contains(['\u{0}', '\u{1b}', '\u{ffff}']), "{out}");
        assert!(out.contains("message=\"&quot;&gt;&lt;x/&gt;&amp;\\u{0}\\u{1b}\\u{ffff}\\n'\""), "{out}");
        assert!(out.contains("errors=\"1\""), "{out}");
    }

    #[test]
    fn an_expired_waiver_is_told() {
        let waiver = Waiver {
            code: "VHD002".to_owned(),
            reason: "later".to_owned(),
            expires: Some("2020-01-01".to_owned()),
            state: WaiverState::Expired,
            source: None,
        };
        let outcomes = Outcomes { waivers: vec![waiver], ..sample::curable() };
        let out = text(&outcomes, Severity::Error, &[]);
        assert!(out.contains("<system-err>warning: the waiver of VHD002 expired on 2020-01-01"), "{out}");
    }
}
