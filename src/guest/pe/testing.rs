//! PE programs for tests, built in code.

use crate::bytes::{Bytes, Memory};
use std::sync::Arc;

/// A PE32+ program with these sections; `certificates` are put behind it as its attribute certificate table.
pub(crate) fn program(machine: u16, sections: &[(&str, &[u8])], certificates: &[u8]) -> Vec<u8> {
    let mut file = vec![0; 0x40];
    file[..2].copy_from_slice(b"MZ");
    file[0x3c] = 0x40;
    file.extend_from_slice(b"PE\0\0");
    file.extend_from_slice(&machine.to_le_bytes());
    file.extend_from_slice(&(sections.len() as u16).to_le_bytes());
    file.extend_from_slice(&[0; 12]);
    file.extend_from_slice(&240_u16.to_le_bytes());
    file.extend_from_slice(&[0; 2]);
    let optional = file.len();
    file.resize(optional + 240, 0);
    file[optional..optional + 2].copy_from_slice(&[0x0b, 0x02]);
    file[optional + 68] = 10;
    file[optional + 108] = 16;
    let mut at = (file.len() + sections.len() * 40).next_multiple_of(512);
    for (name, content) in sections {
        let mut entry = [0; 40];
        entry[..name.len()].copy_from_slice(name.as_bytes());
        entry[8..12].copy_from_slice(&(content.len() as u32).to_le_bytes());
        entry[16..20].copy_from_slice(&(content.len().next_multiple_of(512) as u32).to_le_bytes());
        entry[20..24].copy_from_slice(&(at as u32).to_le_bytes());
        file.extend_from_slice(&entry);
        at += content.len().next_multiple_of(512);
    }
    for (_, content) in sections {
        file.resize(file.len().next_multiple_of(512), 0);
        file.extend_from_slice(content);
    }
    file.resize(file.len().next_multiple_of(512), 0);
    if !certificates.is_empty() {
        let start = file.len() as u32;
        file[optional + 144..optional + 148].copy_from_slice(&start.to_le_bytes());
        file[optional + 148..optional + 152].copy_from_slice(&(certificates.len() as u32).to_le_bytes());
        file.extend_from_slice(certificates);
    }
    file
}

pub(crate) fn bytes(file: &[u8]) -> Bytes {
    Arc::new(Memory(file.to_vec()))
}

/// An entry of an attribute certificate table.
pub(crate) fn entry(kind: u16, content: &[u8]) -> Vec<u8> {
    let mut entry = (content.len() as u32 + 8).to_le_bytes().to_vec();
    entry.extend_from_slice(&0x0200_u16.to_le_bytes());
    entry.extend_from_slice(&kind.to_le_bytes());
    entry.extend_from_slice(content);
    entry.resize(entry.len().next_multiple_of(8), 0);
    entry
}

/// A DER element.
pub(crate) fn der(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let content = parts.concat();
    let mut out = vec![tag];
    match content.len() {
        short @ 0..=0x7f => out.push(short as u8),
        medium @ 0x80..=0xff => out.extend_from_slice(&[0x81, medium as u8]),
        long => out.extend_from_slice(&[0x82, (long >> 8) as u8, long as u8]),
    }
    out.extend_from_slice(&content);
    out
}

/// A PKCS #7 structure that names these certificates as (subject, issuer); the first one signed. Keys and signatures are made up.
pub(crate) fn pkcs7(names: &[(&str, &str)]) -> Vec<u8> {
    let name = |text: &str| {
        let value = der(0x0c, &[text.as_bytes()]);
        der(0x30, &[&der(0x31, &[&der(0x30, &[&[0x06, 3, 0x55, 4, 3], &value])])])
    };
    // sha256WithRSAEncryption, rsaEncryption, SHA-256.
    let null = [0x05, 0];
    let rsa_sha256 = der(0x30, &[&[0x06, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 11], &null]);
    let rsa = der(0x30, &[&[0x06, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1], &null]);
    let sha256 = der(0x30, &[&[0x06, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 1], &null]);
    let time = der(0x17, &[b"260101000000Z"]);
    let validity = der(0x30, &[&time, &time]);
    let key = der(0x30, &[&rsa, &[0x03, 3, 0, 1, 1]]);
    let certificate = |serial: u8, (subject, issuer): (&str, &str)| {
        let body = der(0x30, &[&[0xa0, 3, 2, 1, 2], &[2, 1, serial], &rsa_sha256, &name(issuer), &validity, &name(subject), &key]);
        der(0x30, &[&body, &rsa_sha256, &[0x03, 2, 0, 1]])
    };
    let certificates: Vec<Vec<u8>> = names.iter().zip(1..).map(|(one, serial)| certificate(serial, *one)).collect();
    let certificates = der(0xa0, &[&certificates.concat()]);
    let signer = der(0x30, &[&[2, 1, 1], &der(0x30, &[&name(names[0].1), &[2, 1, 1]]), &sha256, &rsa, &[4, 1, 1]]);
    let data = der(0x30, &[&[0x06, 10, 0x2b, 6, 1, 4, 1, 0x82, 0x37, 2, 1, 4]]);
    let signed = der(0x30, &[&[2, 1, 1], &der(0x31, &[&sha256]), &data, &certificates, &der(0x31, &[&signer])]);
    der(0x30, &[&[0x06, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 7, 2], &der(0xa0, &[&signed])])
}
