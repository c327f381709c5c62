//! One program on the EFI system partition: what it is, what it is for, who signed it.

use crate::bytes::{Bytes, ReadAt};
use crate::facts::{Fact, LoaderFacts, SbatFacts, SignerFacts};
use crate::guest::pe::{Pe, PeError, Signature, sbat};

/// Bytes of an `.sbat` section that are read at most.
const MAX_SBAT: u32 = 64 * 1024;
/// Bytes of a resource section that are searched at most.
const MAX_RESOURCES: u32 = 4 << 20;
/// Bytes of a section that names systemd-boot.
const MAX_MAGIC: u32 = 4096;

/// Reads a program; `path` is as the firmware writes it.
pub(super) fn read(bytes: &Bytes, path: &str, partition: u32, fallback: bool) -> LoaderFacts {
    let file = path.rsplit('\\').next().unwrap_or_default().to_ascii_lowercase();
    let mut facts = LoaderFacts {
        generation: 2,
        name: by_file_name(&file).unwrap_or("unknown").to_owned(),
        place: format!("partition {partition}"),
        path: Some(path.to_owned()),
        fallback,
        size: Some(bytes.size()),
        ..LoaderFacts::default()
    };
    let pe = match Pe::read(&**bytes) {
        Ok(pe) => pe,
        Err(error) => {
            let reason = format!("{path}: {error}");
            facts.program = match error {
                PeError::Foreign(_) => Fact::Known(false),
                PeError::Damaged(_) | PeError::Read(_) => Fact::unknown(reason.clone()),
            };
            facts.architecture = Fact::unknown(reason.clone());
            facts.signed_by = Fact::unknown(reason.clone());
            facts.sbat = Fact::unknown(reason);
            return facts;
        }
    };
    facts.program = Fact::Known(true);
    facts.architecture = Fact::Known(pe.architecture());
    facts.signed_by = match pe.signatures(&**bytes) {
        Ok(all) => all.into_iter().collect::<Result<Vec<_>, _>>().map(|all| all.into_iter().flat_map(signers).collect()).into(),
        Err(error) => Fact::unknown(error.to_string()),
    };
    facts.sbat = match pe.text(&**bytes, ".sbat", MAX_SBAT) {
        Ok(text) => text.map(|text| components(&text)).into(),
        Err(error) => Fact::unknown(error.to_string()),
    };
    let known = by_content(&pe, bytes, &facts);
    // The boot loaders that shim brings along have its components too; their names tell them apart.
    if let Some(name) = known.filter(|name| *name != "shim" || by_file_name(&file).is_none()) {
        facts.name = name.to_owned();
    }
    facts
}

fn signers(signature: Signature) -> Vec<SignerFacts> {
    let facts = signature.signers.into_iter().map(|signer| {
        let mut issuers = signer.issuers.into_iter();
        SignerFacts { subject: signer.subject, issuer: issuers.next(), chain: issuers.collect() }
    });
    facts.collect()
}

fn components(text: &str) -> Vec<SbatFacts> {
    let all = sbat(text).into_iter();
    all.map(|one| SbatFacts { component: one.component, generation: one.generation, version: one.version }).collect()
}

/// What loaders are called by those who install them. The fallback loader's own name says nothing.
fn by_file_name(file: &str) -> Option<&'static str> {
    const NAMES: [(&str, &str); 9] = [
        ("shim", "shim"),
        ("grub", "GRUB"),
        ("gcd", "GRUB"),
        ("systemd-boot", "systemd-boot"),
        ("bootmgfw", "Windows Boot Manager"),
        ("bootmgr", "Windows Boot Manager"),
        ("fwup", "fwupd"),
        ("memtest", "Memtest"),
        ("refind", "rEFInd"),
    ];
    let short = |prefix: &str| file.strip_prefix(prefix).is_some_and(|rest| matches!(rest, "x64.efi" | "aa64.efi" | "ia32.efi" | ".efi"));
    if short("mm") || file == "mokmanager.efi" {
        return Some("MokManager");
    }
    if short("fb") || file == "fallback.efi" {
        return Some("shim fallback");
    }
    NAMES.iter().find(|(prefix, _)| file.starts_with(prefix)).map(|(_, name)| *name)
}

/// What a program says it is: by its sections, its components, its resources.
fn by_content(pe: &Pe, bytes: &Bytes, facts: &LoaderFacts) -> Option<&'static str> {
    if pe.is_unified_kernel() {
        return Some("unified kernel image");
    }
    let magic = pe.text(&**bytes, ".sdmagic", MAX_MAGIC).ok().flatten().unwrap_or_default();
    let component = |name: &str| facts.sbat.value().is_some_and(|all| all.iter().any(|one| one.component == name));
    if magic.contains("systemd-boot") || component("systemd-boot") {
        return Some("systemd-boot");
    }
    if component("grub") || pe.section("mods").is_some() {
        return Some("GRUB");
    }
    if component("shim") || pe.sections.iter().any(|section| section.name.starts_with(".vendor_")) {
        return Some("shim");
    }
    let linux_stub = |offset: u64| {
        let mut mark = [0; 4];
        bytes.read_at(offset, &mut mark).is_ok() && &mark == b"HdrS"
    };
    if linux_stub(0x202) {
        return Some("Linux kernel");
    }
    let resources = pe.content(&**bytes, ".rsrc", MAX_RESOURCES).ok().flatten().unwrap_or_default();
    // The name that its version resource has for the file, in UTF-16.
    let name: Vec<u8> = "bootmgr".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let microsoft: Vec<u8> = "Microsoft".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let holds = |text: &[u8]| resources.windows(text.len()).any(|found| found.eq_ignore_ascii_case(text));
    (holds(&name) && holds(&microsoft)).then_some("Windows Boot Manager")
}
