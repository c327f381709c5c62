//! `vhdkit.toml`: what a project decided once, for `check`, `prepare` and `generalize`.
//!
//! One file counts for a run: that of `--config`, else `vhdkit.toml` beside the first disk, else none. The command line beats it.
//!
//! ```toml
//! profile = "marketplace"
//! fail-on = "warning"
//!
//! [[waive]]
//! code = "VHD020"
//! reason = "renamed by the pipeline that uploads it"
//! expires = 2027-03-31    # the last day on which it holds; without it, for good
//! ```

use super::args::{Asking, ProfileChoice, SeverityChoice, Wanted};
use super::disks::shown;
use crate::bytes::host::{Access, directory, is_missing};
use crate::bytes::{HostFile, ReadAt, int_usize, read_vec};
use crate::facts::rfc3339;
use crate::rules::{RULES, Waiver, WaiverState};
use anyhow::Context;
use clap::ValueEnum;
use std::path::{Path, PathBuf};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// The name that is looked for.
const NAME: &str = "vhdkit.toml";

/// More than anybody writes.
const MOST: u64 = 1 << 20;

/// What a configuration and the command line come to.
#[derive(Debug, Clone, Default)]
pub(super) struct Settled {
    /// The file that was read.
    pub(super) file: Option<PathBuf>,
    /// Every waiver, with its state.
    pub(super) waivers: Vec<Waiver>,
}

/// The question, with what is wanted and the configuration beside the first disk taken in. The waivers that hold are in `waive`.
pub(super) fn settle(asking: &Asking, wanted: Wanted, first: Option<&PathBuf>) -> anyhow::Result<Asking> {
    let mut settled = Asking { state: wanted.state, role: wanted.role, ..asking.clone() };
    let own = |(code, reason): &(String, String)| Waiver {
        code: code.clone(),
        reason: reason.clone(),
        expires: None,
        state: WaiverState::Active,
        source: None,
    };
    settled.settled.waivers = asking.waive.iter().map(own).collect();
    let Some((path, text)) = find(asking, first)? else { return Ok(settled) };
    let file = parse(&text, &shown(&path), &today)?;
    settled.profile = asking.profile.or(file.profile);
    settled.fail_on = asking.fail_on.or(file.fail_on);
    let given = |waiver: &Waiver| asking.waive.iter().any(|(code, _)| *code == waiver.code);
    settled.settled.waivers.extend(file.waivers.into_iter().filter(|waiver| !given(waiver)));
    let holds = settled.settled.waivers.iter().filter(|waiver| waiver.state == WaiverState::Active);
    settled.waive = holds.map(|waiver| (waiver.code.clone(), waiver.reason.clone())).collect();
    settled.settled.file = Some(path);
    Ok(settled)
}

/// The file that counts, with its text.
fn find(asking: &Asking, first: Option<&PathBuf>) -> anyhow::Result<Option<(PathBuf, String)>> {
    if asking.no_config {
        return Ok(None);
    }
    let path = match (&asking.config, first) {
        (Some(path), _) => path.clone(),
        (None, Some(disk)) => disk.with_file_name(NAME),
        (None, None) => return Ok(None),
    };
    let fail = || format!("cannot read the configuration '{}'", shown(&path));
    if asking.config.is_none() {
        let there = match std::fs::symlink_metadata(&path) {
            // Whether the directory is there is the disk's business. What the host cannot tell is not taken for no configuration.
            Err(error) if is_elsewhere(&error) => return Ok(None),
            there => there.with_context(fail)?,
        };
        let advice = "name it with --config if it is meant, or give --no-config";
        anyhow::ensure!(!there.is_symlink() || stays(&path), "{}: it is a symbolic link that leads elsewhere; {advice}", fail());
    }
    // Looked at before it is opened: to open a pipe is to wait for its writer.
    anyhow::ensure!(std::fs::metadata(&path).with_context(fail)?.is_file(), "{}: it is no file", fail());
    let file = HostFile::open(&path, Access::Positional).with_context(fail)?;
    anyhow::ensure!(file.size() <= MOST, "{}: it has more than {MOST} bytes", fail());
    let bytes = read_vec(&file, 0, int_usize(file.size())).with_context(fail)?;
    Ok(Some((path.clone(), String::from_utf8(bytes).with_context(fail)?)))
}

/// Whether a file that nobody named stays below its directory: disks of strangers come with their neighbours, and faults are told in the
/// words of the file.
fn stays(path: &Path) -> bool {
    let real = |path: &Path| std::fs::canonicalize(path).ok();
    let (directory, file) = (real(directory(path)), real(path));
    directory.zip(file).is_some_and(|(directory, file)| file.starts_with(directory))
}

/// Whether there is no such file, or none that could stand beside a disk that can be opened.
fn is_elsewhere(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{InvalidFilename, PermissionDenied};
    is_missing(error) || matches!(error.kind(), PermissionDenied | InvalidFilename)
}

/// The UTC date of now, or of SOURCE_DATE_EPOCH where a build asks to be the same every day.
fn today() -> anyhow::Result<String> {
    let seconds = match std::env::var_os("SOURCE_DATE_EPOCH") {
        Some(value) => {
            let number: Option<i64> = value.to_str().and_then(|text| text.trim().parse().ok()).filter(|number| *number >= 0);
            number.with_context(|| format!("SOURCE_DATE_EPOCH is '{}', and not a number of seconds", shown(Path::new(&value))))?
        }
        None => {
            let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).context("the clock stands before 1970")?;
            i64::try_from(now.as_secs()).context("the clock stands too far ahead")?
        }
    };
    let time = rfc3339(seconds);
    Ok(time.split_once('T').map(|(date, _)| date.to_owned()).unwrap_or(time))
}

/// A file's content.
#[derive(Debug, Default)]
struct File {
    profile: Option<ProfileChoice>,
    fail_on: Option<SeverityChoice>,
    waivers: Vec<Waiver>,
}

/// A document with its name, for messages.
struct Text<'a> {
    text: &'a str,
    name: &'a str,
}

impl Text<'_> {
    /// `vhdkit.toml:7`.
    fn at(&self, offset: usize) -> String {
        let before = self.text.bytes().take(offset).filter(|byte| *byte == b'\n').count();
        format!("{}:{}", self.name, before.saturating_add(1))
    }

    fn fault(&self, offset: usize, message: &str) -> anyhow::Error {
        anyhow::anyhow!("{}: {message}", self.at(offset))
    }

    fn word<'v>(&self, key: &str, value: &'v Spanned<DeValue<'_>>) -> anyhow::Result<&'v str> {
        let text = value.get_ref().as_str();
        text.ok_or_else(|| self.fault(value.span().start, &format!("'{key}' is text, in quotes")))
    }

    /// One of the values of an option.
    fn choice<T: ValueEnum>(&self, key: &str, value: &Spanned<DeValue<'_>>) -> anyhow::Result<T> {
        let word = self.word(key, value)?;
        T::from_str(word, false).map_err(|fault| {
            let all: Vec<String> =
                T::value_variants().iter().filter_map(|one| Some(one.to_possible_value()?.get_name().to_owned())).collect();
            self.fault(value.span().start, &format!("'{word}' is not a value of '{key}' ({fault}): {}", all.join(", ")))
        })
    }

    fn waiver(&self, table: &Spanned<DeValue<'_>>, today: &dyn Fn() -> anyhow::Result<String>) -> anyhow::Result<Waiver> {
        let start = table.span().start;
        let Some(keys) = table.get_ref().as_table() else {
            return Err(self.fault(start, "'waive' is a list of tables: begin each with [[waive]]"));
        };
        let (mut code, mut reason, mut expires) = (None, None, None);
        for (key, value) in in_order(keys) {
            match key.get_ref().as_ref() {
                "code" => code = Some((self.known_code(value)?, value.span().start)),
                "reason" => reason = Some(self.word("reason", value)?.trim().to_owned()).filter(|text| !text.is_empty()),
                "expires" => expires = Some(self.date(value)?),
                other => return Err(self.fault(key.span().start, &format!("'{other}' is not a key of [[waive]]: code, reason, expires"))),
            }
        }
        let (code, place) = code.ok_or_else(|| self.fault(start, "this waiver has no 'code'"))?;
        let reason = reason.ok_or_else(|| self.fault(place, &format!("the waiver of {code} gives no 'reason'")))?;
        let over = match &expires {
            Some(day) => today()? > *day,
            None => false,
        };
        let state = if over { WaiverState::Expired } else { WaiverState::Active };
        Ok(Waiver { code, reason, expires, state, source: Some(self.at(place)) })
    }

    fn known_code(&self, value: &Spanned<DeValue<'_>>) -> anyhow::Result<String> {
        let word = self.word("code", value)?;
        let found = RULES.iter().find(|rule| rule.code.eq_ignore_ascii_case(word));
        let unknown = || self.fault(value.span().start, &format!("'{word}' is not the code of a rule; 'vhdkit rules' lists them"));
        Ok(found.ok_or_else(unknown)?.code.to_owned())
    }

    fn date(&self, value: &Spanned<DeValue<'_>>) -> anyhow::Result<String> {
        let text = match value.get_ref() {
            DeValue::String(text) => text.to_string(),
            DeValue::Datetime(time) => time.to_string(),
            _ => String::new(),
        };
        let fault = || self.fault(value.span().start, "'expires' is a day, as 2026-12-31");
        if is_date(&text) { Ok(text) } else { Err(fault()) }
    }
}

/// Whether it is `YYYY-MM-DD`, and a day of the calendar.
fn is_date(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    let [year, month, day] = parts.as_slice() else { return false };
    let digits = |part: &str, length: usize| part.len() == length && part.bytes().all(|byte| byte.is_ascii_digit());
    if !(digits(year, 4) && digits(month, 2) && digits(day, 2)) {
        return false;
    }
    let (Ok(year), Ok(month), Ok(day)) = (year.parse::<u32>(), month.parse::<u32>(), day.parse::<u32>()) else { return false };
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let days = match month {
        4 | 6 | 9 | 11 => 30,
        2 if leap => 29,
        2 => 28,
        1..=12 => 31,
        _ => 0,
    };
    (1..=days).contains(&day)
}

/// The entries of a table as they stand in the file, so that the first fault is told first.
fn in_order<'t, 'i>(table: &'t DeTable<'i>) -> Vec<(&'t Spanned<std::borrow::Cow<'i, str>>, &'t Spanned<DeValue<'i>>)> {
    let mut all: Vec<_> = table.iter().collect();
    all.sort_by_key(|(key, _)| key.span().start);
    all
}

fn parse(text: &str, name: &str, today: &dyn Fn() -> anyhow::Result<String>) -> anyhow::Result<File> {
    let text = Text { text: text.strip_prefix('\u{feff}').unwrap_or(text), name };
    let document = DeTable::parse(text.text).map_err(|error| {
        let offset = error.span().map(|span| span.start).unwrap_or_default();
        text.fault(offset, &format!("it is not TOML: {}", error.message().trim().replace('\n', "; ")))
    })?;
    let mut file = File::default();
    for (key, value) in in_order(document.get_ref()) {
        match key.get_ref().as_ref() {
            "profile" => file.profile = Some(text.choice("profile", value)?),
            "fail-on" => file.fail_on = Some(text.choice("fail-on", value)?),
            "waive" => {
                let Some(list) = value.get_ref().as_array() else {
                    return Err(text.fault(key.span().start, "'waive' is a list of tables: begin each with [[waive]]"));
                };
                for table in list.iter() {
                    let waiver = text.waiver(table, today)?;
                    if let Some(other) = file.waivers.iter().find(|other| other.code == waiver.code) {
                        let (here, there) = (waiver.source.unwrap_or_default(), other.source.clone().unwrap_or_default());
                        anyhow::bail!("{here}: {} is waived twice; the first time at {there}", waiver.code);
                    }
                    file.waivers.push(waiver);
                }
            }
            other => return Err(text.fault(key.span().start, &format!("'{other}' is not a key: profile, fail-on, [[waive]]"))),
        }
    }
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn on(day: &'static str, text: &str) -> anyhow::Result<File> {
        parse(text, "vhdkit.toml", &|| Ok(day.to_owned()))
    }

    #[test]
    fn a_whole_file() {
        let text = "profile = \"marketplace\"\nfail-on = \"warning\"\n\n[[waive]]\ncode = \"vhd020\"\nreason = \"renamed later\"\n\
                    expires = 2026-12-31\n\n[[waive]]\ncode = \"VHD003\"\nreason = \"x\"\nexpires = \"2026-01-01\"\n";
        for (day, states) in [
            ("2025-06-01", [WaiverState::Active, WaiverState::Active]),
            ("2026-01-01", [WaiverState::Active, WaiverState::Active]),
            ("2026-12-31", [WaiverState::Active, WaiverState::Expired]),
            ("2027-01-01", [WaiverState::Expired, WaiverState::Expired]),
        ] {
            let file = on(day, text).unwrap();
            assert_eq!((file.profile, file.fail_on), (Some(ProfileChoice::Marketplace), Some(SeverityChoice::Warning)));
            assert_eq!(file.waivers.iter().map(|waiver| waiver.state).collect::<Vec<_>>(), states, "{day}");
            assert_eq!(file.waivers[0].code, "VHD020");
            assert_eq!(file.waivers[0].expires.as_deref(), Some("2026-12-31"));
            assert_eq!(file.waivers[0].source.as_deref(), Some("vhdkit.toml:5"));
        }
        assert!(on("2026-01-01", "").unwrap().waivers.is_empty());
    }

    #[test]
    fn faults_are_told_with_their_line() {
        for (text, wanted) in [
            ("profile = azure", "vhdkit.toml:1: it is not TOML"),
            ("\n\nprofile = \"aws\"", "vhdkit.toml:3: 'aws' is not a value of 'profile'"),
            ("profile = 3", "vhdkit.toml:1: 'profile' is text"),
            ("# a\nfail_on = \"note\"", "vhdkit.toml:2: 'fail_on' is not a key"),
            ("waive = \"VHD003\"", "vhdkit.toml:1: 'waive' is a list of tables"),
            ("waive = [\"VHD003\"]", "vhdkit.toml:1: 'waive' is a list of tables"),
            ("[waive]\ncode = \"VHD003\"", "vhdkit.toml:1: 'waive' is a list of tables"),
            ("[[waive]]\nreason = \"x\"", "vhdkit.toml:1: this waiver has no 'code'"),
            ("[[waive]]\ncode = \"VHD003\"", "vhdkit.toml:2: the waiver of VHD003 gives no 'reason'"),
            ("[[waive]]\ncode = \"VHD003\"\nreason = \" \"", "vhdkit.toml:2: the waiver of VHD003 gives no 'reason'"),
            ("[[waive]]\ncode = \"VHD999\"\nreason = \"x\"", "vhdkit.toml:2: 'VHD999' is not the code of a rule"),
            ("[[waive]]\ncode = \"VHD003\"\nreason = \"x\"\nuntil = 3", "vhdkit.toml:4: 'until' is not a key of [[waive]]"),
            (
                "[[waive]]\ncode = \"VHD003\"\nreason = \"x\"\n[[waive]]\ncode = \"VHD003\"\nreason = \"y\"",
                "vhdkit.toml:5: VHD003 is waived twice; the first time at vhdkit.toml:2",
            ),
        ] {
            let said = format!("{:#}", on("2026-01-01", text).unwrap_err());
            assert!(said.starts_with(wanted), "{text:?}: {said}");
            assert!(!said.contains('\n'), "{said}");
        }
    }

    #[test]
    fn days_of_the_calendar() {
        for (day, good) in [
            ("2026-12-31", true),
            ("2024-02-29", true),
            ("2026-02-29", false),
            ("1900-02-29", false),
            ("2000-02-29", true),
            ("2026-13-01", false),
            ("2026-00-10", false),
            ("2026-04-31", false),
            ("2026-4-1", false),
            ("tomorrow", false),
            ("2026-12-31T10:00:00Z", false),
        ] {
            assert_eq!(is_date(day), good, "{day}");
            let text = format!("[[waive]]\ncode = \"VHD003\"\nreason = \"x\"\nexpires = \"{day}\"");
            assert_eq!(on("2026-01-01", &text).is_ok(), good, "{day}");
        }
        assert!(on("2026-01-01", "[[waive]]\ncode = \"VHD003\"\nreason = \"x\"\nexpires = 2026-12-31T10:00:00Z").is_err());
        assert!(on("2026-01-01", "[[waive]]\ncode = \"VHD003\"\nreason = \"x\"\nexpires = 12").is_err());
    }
}
