//! Programs built in code, sound and damaged.

use super::testing::{bytes, entry, pkcs7, program};
use super::*;

const SBAT: &str = "sbat,1,SBAT Version,sbat,1,https://example.org/SBAT.md\nshim,4,UEFI shim,shim,1,https://example.org\n\
                    shim.debian,1,Debian,shim,16.1,https://example.org\nbroken,x\n\n";

/// A shim as Microsoft signs it, with two signatures.
fn shim() -> Vec<u8> {
    let old = pkcs7(&[("Publisher", "Corporation UEFI CA 2011"), ("Corporation UEFI CA 2011", "Marketplace Root")]);
    let new = pkcs7(&[("UEFI signer", "UEFI CA 2023")]);
    program(0x8664, &[(".text", b"code"), (".sbat", SBAT.as_bytes())], &[entry(2, &old), entry(2, &new)].concat())
}

fn names(file: &[u8]) -> Vec<Result<(String, Vec<String>), String>> {
    let bytes = bytes(file);
    let all = Pe::read(&*bytes).unwrap().signatures(&*bytes).unwrap();
    all.into_iter().map(|one| one.map(|one| (one.signers[0].subject.clone(), one.signers[0].issuers.clone()))).collect()
}

#[test]
fn headers_tell_machine_and_sections() {
    for (machine, name) in [(0x8664, "x64"), (0xaa64, "Arm64"), (0x14c, "x86"), (0x1c4, "Arm"), (0x1234, "machine 0x1234")] {
        let file = program(machine, &[(".text", b"code"), (".cmdline", b"root=/dev/sda1 quiet\n\0")], &[]);
        let bytes = bytes(&file);
        let pe = Pe::read(&*bytes).unwrap();
        assert_eq!((pe.architecture().as_str(), pe.subsystem, pe.sections.len()), (name, EFI_APPLICATION, 2));
        assert_eq!(pe.text(&*bytes, ".cmdline", 100).unwrap().as_deref(), Some("root=/dev/sda1 quiet"));
        assert_eq!(pe.content(&*bytes, ".text", 100).unwrap().as_deref(), Some(b"code".as_slice()));
        assert_eq!(pe.content(&*bytes, ".linux", 100).unwrap(), None);
        assert!(pe.content(&*bytes, ".text", 3).is_err());
        assert!(pe.signatures(&*bytes).unwrap().is_empty() && !pe.is_unified_kernel());
    }
}

#[test]
fn what_is_no_program_is_told() {
    let text = |file: &[u8]| Pe::read(&*bytes(file)).unwrap_err().to_string();
    assert_eq!(text(b"MZ"), "not a PE program: too short");
    assert_eq!(text(&[0; 100]), "not a PE program: it does not begin with MZ");
    assert_eq!(text(&[b"MZ".as_slice(), &[0xff; 98]].concat()), "not a PE program: its PE header lies past the end");
    assert_eq!(text(&[b"MZ".as_slice(), &[0; 98]].concat()), "not a PE program: no PE header");
    let mut many = program(0x8664, &[], &[]);
    many[0x46..0x48].copy_from_slice(&[0xff, 0xff]);
    assert_eq!(text(&many), "damaged PE program: 65535 sections; at most 512 are read");
    many[0x46..0x48].copy_from_slice(&[100, 0]);
    assert_eq!(text(&many), "damaged PE program: the headers pass the end");
}

#[test]
fn components_are_read() {
    let file = shim();
    let bytes = bytes(&file);
    let text = Pe::read(&*bytes).unwrap().text(&*bytes, ".sbat", 4096).unwrap().unwrap();
    let found: Vec<_> = sbat(&text).into_iter().map(|one| (one.component, one.generation, one.vendor, one.version)).collect();
    let expect = |a: &str, b, c: &str, d: &str| (a.to_owned(), b, c.to_owned(), d.to_owned());
    assert_eq!(found, [expect("shim", 4, "UEFI shim", "1"), expect("shim.debian", 1, "Debian", "16.1")]);
    assert!(sbat("").is_empty() && sbat("\0shim,1").is_empty());
    assert_eq!(sbat("grub,3").len(), 1);
    assert_eq!(sbat(&"grub,3\n".repeat(1000)).len(), 256);
}

#[test]
fn signers_and_their_chain_are_named() {
    let first = ("Publisher".to_owned(), vec!["Corporation UEFI CA 2011".to_owned(), "Marketplace Root".to_owned()]);
    let second = ("UEFI signer".to_owned(), vec!["UEFI CA 2023".to_owned()]);
    assert_eq!(names(&shim()), [Ok(first), Ok(second)]);
    let own = pkcs7(&[("Own", "Own")]);
    assert_eq!(names(&program(0x8664, &[], &entry(2, &own))), [Ok(("Own".to_owned(), vec!["Own".to_owned()]))]);
    // Two that vouch for each other.
    let ring = pkcs7(&[("a", "b"), ("b", "a")]);
    let Ok((_, issuers)) = names(&program(0x8664, &[], &entry(2, &ring))).remove(0) else { panic!() };
    assert_eq!(issuers.len(), 16);
}

#[test]
fn one_bad_signature_leaves_the_others() {
    let good = entry(2, &pkcs7(&[("a", "b")]));
    let file = program(0x8664, &[], &[entry(1, b"x"), entry(2, b"\x30\x03\x02\x01\x05"), good.clone(), entry(2, b"")].concat());
    let found = names(&file);
    assert_eq!(found[0], Err("a certificate of type 1, not PKCS #7".to_owned()));
    assert!(found[1].as_ref().is_err_and(|text| text.starts_with("a signature that cannot be read: ")));
    assert!(found[2].is_ok() && found[3].is_err() && found.len() == 4);
    // The table's length, and an entry's, beyond the end.
    let mut long = program(0x8664, &[], &good);
    long[0x40 + 24 + 148] = 0xff;
    long[0x40 + 24 + 149] = 0xff;
    assert!(Pe::read(&*bytes(&long)).unwrap().signatures(&*bytes(&long)).is_err());
    long[0x40 + 24 + 150] = 0xff;
    assert!(Pe::read(&*bytes(&long)).unwrap().signatures(&*bytes(&long)).is_err());
    let mut entry_too_long = good.clone();
    entry_too_long[2] = 1;
    let file = program(0x8664, &[], &entry_too_long);
    assert!(Pe::read(&*bytes(&file)).unwrap().signatures(&*bytes(&file)).is_err());
    let many = entry(1, b"").repeat(65);
    let file = program(0x8664, &[], &many);
    assert!(Pe::read(&*bytes(&file)).unwrap().signatures(&*bytes(&file)).is_err());
    // An entry whose length does not even cover its header.
    let file = program(0x8664, &[], &[4, 0, 0, 0, 0, 2, 2, 0]);
    assert!(Pe::read(&*bytes(&file)).unwrap().signatures(&*bytes(&file)).is_err());
}

/// Everything is asked of a damaged file; nothing may panic.
fn ask(file: &[u8]) {
    let bytes = bytes(file);
    if let Ok(pe) = Pe::read(&*bytes) {
        let _ = pe.signatures(&*bytes);
        let _ = pe.text(&*bytes, ".sbat", 4096).map(|text| text.map(|text| sbat(&text)));
    }
}

#[test]
fn damage_does_not_panic() {
    let file = shim();
    for len in 0..file.len() {
        ask(&file[..len]);
    }
    let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
    let mut roll = || {
        seed ^= seed >> 12;
        seed ^= seed << 25;
        seed ^= seed >> 27;
        seed.wrapping_mul(0x2545_f491_4f6c_dd1d)
    };
    for _ in 0..20_000 {
        let mut damaged = file.clone();
        for _ in 0..=roll() % 3 {
            let at = roll() as usize % damaged.len();
            damaged[at] = (roll() >> 32) as u8;
        }
        ask(&damaged);
    }
}
