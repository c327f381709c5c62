//! The operating system: what an administrator asks first.

mod linux;
mod windows;

use super::inspect::entry;
use super::joined;
use super::paint::{Ink, Page, Span, plain};
use crate::facts::{DiskFacts, Fact, OsFacts, OsRoot, State};

/// Lines of evidence that are shown, unless asked for all.
const EVIDENCE: usize = 8;

/// The operating system of a disk, where one was found.
pub(super) fn os(page: &mut Page<'_>, facts: &DiskFacts) {
    let Some(os) = facts.os.value() else { return };
    headline(page, os);
    state(page, os);
    if !os.others.is_empty() {
        entry(page, "besides", &[plain(joined(os.others.iter().map(String::as_str), "; "))]);
    }
    root(page, os);
    if let Some(linux) = os.linux.value() {
        linux::linux(page, linux);
    }
    if let Some(windows) = os.windows.value() {
        windows::windows(page, windows);
    }
    page.blank();
}

/// `Debian GNU/Linux 12 (bookworm), x64, named web-01`.
fn headline(page: &mut Page<'_>, os: &OsFacts) {
    let family = match os.family.value() {
        Some(crate::facts::OsFamily::Windows) => "a Windows",
        _ => "a Linux",
    };
    let mut body = vec![Ink::Bold.text(os.name.value().map_or(family, String::as_str))];
    if let (true, Some(version)) = (os.windows.value().is_some(), os.version.value()) {
        body.push(plain(format!(", version {version}")));
    }
    body.extend(os.architecture.value().map(|architecture| plain(format!(", {architecture}"))));
    body.extend(os.host_name.value().map(|name| plain(format!(", named {name}"))));
    entry(page, "os", &body);
}

fn state(page: &mut Page<'_>, os: &OsFacts) {
    let word: Span = match &os.state {
        Fact::Known(State::Inconsistent) => Ink::Yellow.text("inconsistent"),
        Fact::Known(state) => Ink::Bold.text(state.to_string()),
        Fact::Absent => return,
        Fact::Unknown(reason) => {
            entry(page, "state", &[Ink::Yellow.text("not known"), plain(format!(": {}", reason.0))]);
            return;
        }
    };
    entry(page, "state", &[word]);
    let most = if page.verbose() { os.state_evidence.len() } else { EVIDENCE };
    for line in os.state_evidence.iter().take(most) {
        entry(page, "", &[plain(line)]);
    }
    if os.state_evidence.len() > most {
        entry(page, "", &[Ink::Dim.text("and more; -v shows all")]);
    }
}

/// `partition 1 (ext4), /boot/efi on partition 15 (vfat)`.
fn root(page: &mut Page<'_>, os: &OsFacts) {
    let kind = |kind: &str| if kind == "unknown" { "not readable".to_owned() } else { kind.to_owned() };
    let mut parts: Vec<String> = Vec::new();
    for mount in &os.file_systems {
        let what = format!("{} ({})", mount.from, kind(&mount.kind));
        parts.push(if mount.at == "/" { what } else { format!("{} on {what}", mount.at) });
    }
    if parts.is_empty() {
        parts.extend(os.root.value().map(|root| match root {
            OsRoot::Partition(number) => format!("partition {number}"),
            OsRoot::Volume(name) => name.clone(),
        }));
    }
    entry(page, "root", &[plain(joined(parts.iter().map(String::as_str), ", "))]);
}
