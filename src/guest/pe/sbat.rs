//! SBAT: which generation of security fixes a loader has.
//!
//! Source: rhboot/shim, SBAT.md: the section `.sbat` is comma-separated text, one component a line: name, generation, vendor, the vendor's
//! package, version, address.

/// Lines that are read at most.
const MAX_LINES: usize = 256;

/// One component of a loader.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SbatEntry {
    /// `shim`, `grub`, `grub.debian`, `systemd-boot`.
    pub component: String,
    /// Raised with each fix that revokes all before it.
    pub generation: u32,
    /// Who makes it.
    pub vendor: String,
    /// The vendor's name for it.
    pub package: String,
    /// The vendor's version.
    pub version: String,
}

/// The components of an `.sbat` section, without the line about the format itself. Lines that are none are left out.
#[must_use]
pub fn sbat(text: &str) -> Vec<SbatEntry> {
    let text = text.split('\0').next().unwrap_or_default();
    text.lines().take(MAX_LINES).filter_map(line).filter(|entry| entry.component != "sbat").collect()
}

fn line(line: &str) -> Option<SbatEntry> {
    let mut fields = line.split(',').map(str::trim);
    let component = fields.next().filter(|name| !name.is_empty())?.to_owned();
    let generation = fields.next()?.parse().ok()?;
    let mut next = || fields.next().unwrap_or_default().to_owned();
    Some(SbatEntry { component, generation, vendor: next(), package: next(), version: next() })
}
