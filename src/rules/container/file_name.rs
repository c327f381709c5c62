//! C-12, C-29: what the file's name does on the way.

use crate::rules::{Check, Finding, Judgement, Profile, Remedy, Rule, Severity, Subject, Target, shared, source};

pub(in crate::rules) static EXTENSION: Rule = Rule {
    code: "VHD012",
    name: "name-without-vhd-extension",
    requirement: "C-12",
    also: &[],
    severity: Severity::Warning,
    marketplace: None,
    profile: Profile::Azure,
    applies_to: "fixed VHDs",
    summary: "The file's name ends in .vhd, so that AzCopy makes a page blob of it.",
    azure_error: None,
    source: source::AZCOPY,
    docs: r"## What it checks

The name of a fixed VHD should end in `.vhd` (or `.vhdx`), in any case of letters. Disks that `vhdkit prepare` writes anew are not asked:
it names its own output.

## Why it matters

AzCopy chooses the kind of blob by the name. Under any other name it makes a block blob, from which Azure makes no disk, and the whole
upload is lost.

## How to fix it

Rename the file, or give AzCopy `--blob-type PageBlob`. A direct upload to a managed disk wants that option in any case.",
    check: Check::Disk(extension),
};

pub(in crate::rules) static CHARACTERS: Rule = Rule {
    code: "VHD029",
    name: "name-not-url-safe",
    requirement: "C-29",
    also: &[],
    severity: Severity::Error,
    marketplace: None,
    profile: Profile::Marketplace,
    applies_to: "all files",
    summary: "The file's name contains neither % nor a double quote.",
    azure_error: None,
    source: source::CERTIFICATION,
    docs: r#"## What it checks

The file's name must contain neither `%` nor `"`.

## Why it matters

The blob usually takes the file's name, and the Marketplace's publishing fetches it by an address in which these characters mean
something else. Certification then fails to find the disk.

## How to fix it

Rename the file before the upload."#,
    check: Check::Disk(characters),
};

fn extension(subject: &Subject<'_>, _: &Target) -> Judgement {
    shared::demand_fixed(subject.facts)?;
    let name = shared::file_name(&subject.facts.path);
    let extension = name.rsplit_once('.').map(|(_, extension)| extension.to_ascii_lowercase()).unwrap_or_default();
    if matches!(extension.as_str(), "vhd" | "vhdx") {
        return Ok(vec![]);
    }
    Ok(vec![Finding {
        message: format!("the name '{name}' does not end in .vhd; AzCopy makes a block blob of it, from which Azure makes no disk"),
        actual: name.to_owned(),
        required: "a name that ends in .vhd".to_owned(),
        place: None,
        remedy: Remedy::hand("rename the file, or give azcopy --blob-type PageBlob"),
    }])
}

fn characters(subject: &Subject<'_>, _: &Target) -> Judgement {
    let name = shared::file_name(&subject.facts.path);
    let Some(bad) = name.chars().find(|c| matches!(c, '%' | '"')) else { return Ok(vec![]) };
    Ok(vec![Finding {
        message: format!("the name '{name}' contains {bad}; a blob of that name cannot be fetched by the Marketplace"),
        actual: name.to_owned(),
        required: "a name without % and without a double quote".to_owned(),
        place: None,
        remedy: Remedy::hand("rename the file before the upload"),
    }])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::DiskFacts;
    use crate::rules::testing::*;

    fn named(path: &str) -> DiskFacts {
        os(|f| f.path = path.to_owned())
    }

    #[test]
    fn the_extension_is_that_of_the_last_part() {
        for (path, said) in [
            ("disk.vhd", "pass"),
            (r"C:\a\DISK.VHD", "pass"),
            ("disk.vhdx", "pass"),
            ("disk", "hand"),
            ("disk.vhd/image", "hand"),
            (r"x.vhd\image.img", "hand"),
            ("disk.vhd.1", "hand"),
            ("diskvhd", "hand"),
        ] {
            assert_eq!(ask(&EXTENSION, &named(path)), said, "{path}");
        }
        assert_eq!(ask(&EXTENSION, &dynamic(|f| f.path = "disk".to_owned())), "not applicable");
    }

    #[test]
    fn characters_of_the_last_part_count() {
        assert_eq!(ask(&CHARACTERS, &named("100%/disk.vhd")), "pass");
        assert_eq!(ask(&CHARACTERS, &named("disk%20.vhd")), "hand");
        assert_eq!(ask(&CHARACTERS, &named("my\"disk.vhd")), "hand");
    }
}
