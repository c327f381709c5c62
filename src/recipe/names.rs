//! Names for Azure's resources, made of the image's name: each kind of resource allows other letters and lengths.

use crate::bytes::int_usize;
use crate::prepare::Disk;
use sha2::{Digest, Sha256};

/// Default names of a recipe. All are made of letters, digits, `-`, `_` and `.` alone, so that no script can misread them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Names {
    /// Resource group.
    pub group: String,
    /// Compute Gallery.
    pub gallery: String,
    /// Image definition.
    pub definition: String,
    /// Offer of the definition.
    pub offer: String,
    /// SKU of the definition.
    pub sku: String,
    /// Storage account; its name is the world's, so it carries a few digits made of the image's digests.
    pub account: String,
    /// Virtual machine.
    pub machine: String,
}

impl Names {
    /// Names for an image. `sku` tells images of one offer apart; `salt` makes the storage account's name its own.
    #[must_use]
    pub fn of(name: &str, sku: &str, salt: &str) -> Self {
        let plain = fitted(name, |c| matches!(c, '-' | '_' | '.'), '-', 48);
        let digest: String = Sha256::digest(format!("{name}\0{salt}")).iter().take(5).map(|byte| format!("{byte:02x}")).collect();
        let letters: String = name.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).take(11).collect();
        // The computer's name becomes the machine's: Windows takes 15 letters, and not digits alone.
        let machine = fitted(name, |c| c == '-', '-', 12);
        Self {
            group: format!("rg-{plain}"),
            gallery: format!("gal_{}", fitted(name, |c| c == '_', '_', 48)),
            definition: plain.clone(),
            offer: plain,
            sku: fitted(sku, |c| c == '-', '-', 48),
            account: format!("vhd{letters}{digest}"),
            machine: format!("vm-{machine}"),
        }
    }
}

/// Name of the resource that a disk becomes.
#[must_use]
pub(super) fn disk(name: &str, lun: Option<u8>, in_image: bool) -> String {
    let plain = fitted(name, |c| matches!(c, '-' | '_'), '-', 60);
    match lun {
        Some(lun) => format!("{plain}-lun{lun}"),
        None if in_image => format!("{plain}-os"),
        None => plain,
    }
}

/// What tells a disk's content from another's, in a form that fits the value of a tag; empty where the manifest has no digest.
#[must_use]
pub(super) fn digest(disk: &Disk) -> String {
    let text = disk.fsverity.as_deref().or(disk.sha256.as_deref()).unwrap_or_default();
    text.chars().filter(|c| c.is_ascii_alphanumeric() || *c == ':').take(128).collect()
}

/// The text with every character that does not fit replaced, beginning and ending with a letter or digit, of at most so many characters.
fn fitted(text: &str, fits: impl Fn(char) -> bool, other: char, most: u64) -> String {
    let replaced = text.chars().map(|c| if c.is_ascii_alphanumeric() || fits(c) { c } else { other });
    let replaced: String = replaced.skip_while(|c| !c.is_ascii_alphanumeric()).take(int_usize(most)).collect();
    let kept = replaced.trim_end_matches(|c: char| !c.is_ascii_alphanumeric());
    if kept.is_empty() { "image".to_owned() } else { kept.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_fit_their_resources() {
        let long = "x".repeat(300);
        let hostile = ["debian-12.5_a", "", "'; rm -rf /; '", "$(id)\n`id`", "__--..", "ümläut", "12345", &long];
        for name in hostile {
            let names = Names::of(name, "gen2-x64", "sha256:0");
            let all = [&names.group, &names.gallery, &names.definition, &names.offer, &names.sku, &names.account, &names.machine];
            for one in all {
                assert!(one.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.')), "{one}");
                assert!(one.ends_with(|c: char| c.is_ascii_alphanumeric()), "{one}");
                assert!(one.starts_with(|c: char| c.is_ascii_alphanumeric()), "{one}");
            }
            assert!(names.group.len() <= 90 && names.gallery.len() <= 80 && names.definition.len() <= 80 && names.offer.len() <= 64);
            assert!(!names.gallery.contains(['-', '.']), "{}", names.gallery);
            assert!((3..=24).contains(&names.account.len()), "{}", names.account);
            assert!(names.account.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit()), "{}", names.account);
            assert!(names.machine.len() <= 15 && !names.machine.contains(['_', '.']), "{}", names.machine);
            assert!(disk(name, Some(63), true).len() <= 80 && !disk(name, None, true).contains('.'));
        }
        assert_eq!(Names::of("debian-12.5", "gen2", "").definition, "debian-12.5");
        assert_eq!(disk("debian-12.5", None, true), "debian-12-5-os");
        assert_eq!(disk("data", None, false), "data");
    }
}
