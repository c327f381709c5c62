//! C-14, C-15: the size that a footer states in cylinders, heads and sectors.

use crate::bytes::ByteSize;
use crate::rules::azure::{MAX_DISK, SIZE_UNIT};
use crate::rules::{Check, Finding, Judgement, Profile, Remedy, Rule, Severity, Skip, Subject, Target, shared, source};

pub(in crate::rules) static DIFFERS: Rule = Rule {
    code: "VHD014",
    name: "chs-size-differs",
    requirement: "C-14",
    also: &[],
    severity: Severity::Warning,
    marketplace: None,
    profile: Profile::Azure,
    applies_to: "VHDs made by Virtual PC or qemu",
    summary: "Where programs trust the geometry, it states the same size as Current Size.",
    azure_error: None,
    source: source::QEMU_VPC,
    docs: r"## What it checks

A footer states the size twice: in bytes, and in cylinders, heads and sectors, which can say few sizes exactly. qemu and Virtual PC take
the second where the footer names one of them as its creator (`qemu`, `vpc `). The rule compares the two in such footers. The largest
geometry, 65535/16/255, says nothing and is passed over.

## Why it matters

Azure and Hyper-V count the bytes. qemu-img sees a disk of another size in the same file, so that a conversion with it cuts the end off
or adds to it.

## How to fix it

`vhdkit prepare` writes a footer of its own, under a creator name for which every program takes the size in bytes.",
    check: Check::Disk(differs),
};

pub(in crate::rules) static ROUNDED: Rule = Rule {
    code: "VHD015",
    name: "qemu-rounded-size",
    requirement: "C-15",
    also: &[],
    severity: Severity::Note,
    marketplace: None,
    profile: Profile::Azure,
    applies_to: "VHDs made by qemu",
    summary: "A VHD made by qemu-img was made with force_size=on.",
    azure_error: None,
    source: source::PREPARE_LINUX,
    docs: r"## What it checks

The footer names `qemu` as its creator and the size is not whole MiB: the mark of a conversion without `force_size=on`.

## Why it matters

It explains VHD003 and keeps it from coming back. qemu-img rounds sizes up to whole cylinders unless told otherwise. Its versions after
2.2.1 and before 2.6 wrote VHDs that are wrong in spite of the option.

## How to fix it

`vhdkit prepare` grows the disk to whole MiB. For the next one: `qemu-img convert -O vpc -o subformat=fixed,force_size=on`, with qemu 2.6
or later, from a raw disk whose size is whole MiB; or give the raw disk to `vhdkit prepare`.",
    check: Check::Disk(rounded),
};

fn differs(subject: &Subject<'_>, _: &Target) -> Judgement {
    let facts = subject.facts;
    let footer = shared::footer(facts)?;
    let who = match footer.creator_application.as_str() {
        "vpc " => "Virtual PC",
        "qemu" => "qemu",
        _ => return Err(Skip::not_applicable("programs take this creator's size in bytes")),
    };
    let (size, stated) = (footer.current_size, footer.geometry.bytes());
    if footer.geometry.is_max() || stated == size {
        return Ok(vec![]);
    }
    let geometry = format!("{}/{}/{}", footer.geometry.cylinders, footer.geometry.heads, footer.geometry.sectors);
    let word = if stated < size { "less" } else { "more" };
    Ok(vec![Finding {
        message: format!(
            "the footer is by {who} and its geometry {geometry} states {stated} bytes, {} {word} than its size of {size}; Azure takes \
             the size, qemu and Virtual PC the geometry",
            stated.abs_diff(size)
        ),
        actual: ByteSize(stated).to_string(),
        required: ByteSize(size).to_string(),
        place: shared::footer_place(facts, 56, 4),
        remedy: shared::rewrite(facts),
    }])
}

fn rounded(subject: &Subject<'_>, _: &Target) -> Judgement {
    let footer = shared::footer(subject.facts)?;
    if footer.creator_application != "qemu" {
        return Err(Skip::not_applicable("not made by qemu"));
    }
    let size = footer.current_size;
    if size.is_multiple_of(SIZE_UNIT) {
        return Ok(vec![]);
    }
    let next = size.checked_next_multiple_of(SIZE_UNIT).filter(|next| *next <= MAX_DISK);
    Ok(vec![Finding {
        message: format!("qemu made a disk of {size} bytes, not whole MiB: it rounds to cylinders unless it is told force_size=on"),
        actual: size.to_string(),
        required: format!("a multiple of {SIZE_UNIT} bytes"),
        place: shared::size_place(subject.facts),
        remedy: match next {
            Some(next) => shared::grow(subject.facts, next),
            None => Remedy::hand("convert the disk again with -o subformat=fixed,force_size=on"),
        },
    }])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::{DiskFacts, GeometryFacts};
    use crate::rules::testing::*;

    fn made_by(creator: &str, size: u64, (cylinders, heads, sectors): (u16, u8, u8)) -> DiskFacts {
        os(|f| {
            let footer = known(&mut f.footer);
            footer.creator_application = creator.to_owned();
            footer.current_size = size;
            footer.geometry = GeometryFacts { cylinders, heads, sectors };
        })
    }

    #[test]
    fn only_some_creators_are_taken_by_their_geometry() {
        let exact = 963 * 5 * 17 * 512;
        assert_eq!(ask(&DIFFERS, &made_by("qemu", exact, (963, 5, 17))), "pass");
        assert_eq!(ask(&DIFFERS, &made_by("qemu", exact + 512, (963, 5, 17))), "prepare");
        assert_eq!(ask(&DIFFERS, &made_by("vpc ", exact - 512, (963, 5, 17))), "prepare");
        assert_eq!(ask(&DIFFERS, &made_by("qemu", OS_SIZE, (65_535, 16, 255))), "pass");
        for creator in ["win ", "qem2", "d2v ", "tap\0"] {
            assert_eq!(ask(&DIFFERS, &made_by(creator, exact + 512, (963, 5, 17))), "not applicable");
        }
        assert_eq!(ask(&DIFFERS, &gzip()), "not applicable");
    }

    #[test]
    fn rounding_is_explained() {
        assert_eq!(ask(&ROUNDED, &healthy_os()), "not applicable");
        assert_eq!(ask(&ROUNDED, &made_by("qemu", OS_SIZE, (65_535, 16, 255))), "pass");
        assert_eq!(ask(&ROUNDED, &made_by("qemu", OS_SIZE + 512, (65_535, 16, 255))), "prepare");
        assert_eq!(ask(&ROUNDED, &made_by("qemu", u64::MAX, (65_535, 16, 255))), "hand");
    }
}
