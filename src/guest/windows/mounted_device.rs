//! Values of `SYSTEM\MountedDevices`: what a drive letter or a volume name stands for.
//!
//! Twelve bytes are an MBR's signature and a partition's first byte; `DMIO:ID:` goes before a GPT partition's GUID; anything else is the
//! name of a device in UTF-16. Source: "Windows Registry Forensics" (H. Carvey), and values of installed machines.

use super::hive::utf16;
use crate::bytes::Guid;

/// What a name stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MountedDevice {
    /// A partition of a disk with an MBR.
    Mbr {
        /// The disk's signature.
        signature: u32,
        /// The partition's first byte.
        offset: u64,
    },
    /// A partition of a disk with a GPT.
    Gpt(Guid),
    /// A device by its name.
    Device(String),
    /// Something else.
    Other,
}

/// What a value's bytes stand for.
#[must_use]
pub fn parse(bytes: &[u8]) -> MountedDevice {
    if let Some((signature, rest)) = bytes.split_first_chunk::<4>()
        && let Ok(offset) = <[u8; 8]>::try_from(rest)
    {
        return MountedDevice::Mbr { signature: u32::from_le_bytes(*signature), offset: u64::from_le_bytes(offset) };
    }
    if let Some(guid) = bytes.strip_prefix(b"DMIO:ID:").and_then(|rest| <[u8; 16]>::try_from(rest).ok()) {
        return MountedDevice::Gpt(Guid::from_mixed_endian(guid));
    }
    let name = utf16(bytes);
    let named = ["\\??\\", "_??_", "\\Device\\"].iter().any(|start| name.starts_with(start));
    if named { MountedDevice::Device(name.trim_end_matches('\0').to_owned()) } else { MountedDevice::Other }
}

/// The letter of a value called `\DosDevices\C:`.
#[must_use]
pub fn letter(name: &str) -> Option<char> {
    let mut rest = name.strip_prefix("\\DosDevices\\")?.chars();
    let letter = rest.next().filter(char::is_ascii_alphabetic)?;
    (rest.next() == Some(':') && rest.next().is_none()).then(|| letter.to_ascii_uppercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_installed_machines() {
        assert_eq!(parse(b"\xfeL>'\0\0\xf0\x15\0\0\0\0"), MountedDevice::Mbr { signature: 0x273e_4cfe, offset: 0x15f0_0000 });
        let MountedDevice::Gpt(guid) = parse(b"DMIO:ID:!\x1f\x93\t\xaf\x7f\xa9D\x81\xd8\x1es\xc1K\x9e\xaf") else { panic!() };
        assert_eq!(guid.to_string(), "09931f21-7faf-44a9-81d8-1e73c14b9eaf");
        let name: Vec<u8> = "\\??\\SCSI#CdRom".encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert_eq!(parse(&name), MountedDevice::Device("\\??\\SCSI#CdRom".to_owned()));
    }

    #[test]
    fn damaged() {
        for bytes in [&b""[..], b"x", b"DMIO:ID:", b"DMIO:ID:0123456789abcde", b"0123456789abc"] {
            assert_eq!(parse(bytes), MountedDevice::Other, "{bytes:?}");
        }
        for (name, letter_of) in [
            ("\\DosDevices\\c:", Some('C')),
            ("\\DosDevices\\C", None),
            ("\\DosDevices\\CC:", None),
            ("\\DosDevices\\1:", None),
            ("\\??\\Volume{x}", None),
        ] {
            assert_eq!(letter(name), letter_of, "{name}");
        }
    }
}
