//! LUKS: what its headers say without a key.
//!
//! Sources: LUKS On-Disk Format Specification 1.2.3 (version 1), LUKS2 On-Disk Format Specification 1.1.1, sections 2 and 3.

use super::super::block::Block;
use super::super::text::label;
use super::super::{Content, Probed};
use super::luks2;
use crate::bytes::{ReadAt, ReadError, SECTOR};

/// A volume that Linux encrypted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Luks {
    /// 1 or 2.
    pub version: u16,
    /// Identity, as cryptsetup writes it.
    pub uuid: Option<String>,
    /// Label; version 2 only.
    pub label: Option<String>,
    /// What the volume is part of, as its maker says; version 2 only.
    pub subsystem: Option<String>,
    /// How sectors are encrypted: `aes-xts-plain64`.
    pub cipher: Option<String>,
    /// Bits of the key that encrypts sectors.
    pub key_bits: Option<u64>,
    /// Bytes that are encrypted as one.
    pub sector_size: Option<u64>,
    /// How sectors are authenticated, if they are: `hmac(sha256)`.
    pub integrity: Option<String>,
    /// The byte at which the encrypted data begins.
    pub data_offset: Option<u64>,
    /// Whether the data lies on another volume than the header: it would begin where the header stands.
    pub detached: bool,
    /// Slots in use, each of which keeps the key behind a passphrase or a key file.
    pub key_slots: usize,
    /// The types of tokens, which open slots without a passphrase: `clevis`, `systemd-tpm2`; version 2 only.
    pub tokens: Vec<String>,
    /// What a program must know to open it: `online-reencrypt-v2` while it is being encrypted anew; version 2 only.
    pub requirements: Vec<String>,
    /// Whether only the second header was found; version 2 only.
    pub second_header: bool,
    /// What is wrong with the headers, each a phrase.
    pub problems: Vec<String>,
}

/// A key slot of version 1 that is in use.
const SLOT_ENABLED: u32 = 0x00ac_71f3;
/// Where version 2's second header may lie.
const SECOND: [u64; 9] = [0x4000, 0x8000, 0x1_0000, 0x2_0000, 0x4_0000, 0x8_0000, 0x10_0000, 0x20_0000, 0x40_0000];

/// `crypto_LUKS`: the first header, or where that is gone, LUKS2's second one at one of its fixed places.
pub(in super::super) fn probe(bytes: &dyn ReadAt) -> Probed {
    Ok(Luks::read(bytes)?.map(|found| Content {
        uuid: found.uuid.clone(),
        label: found.label.clone(),
        version: Some(found.version.to_string()),
        detail: found.phrases(),
        ..Content::new("crypto_LUKS")
    }))
}

impl Luks {
    /// Reads the first header that is there.
    pub(super) fn read(bytes: &dyn ReadAt) -> Result<Option<Self>, ReadError> {
        let places = std::iter::once((0, b"LUKS\xba\xbe")).chain(SECOND.map(|at| (at, b"SKUL\xba\xbe")));
        for (at, magic) in places {
            let Some(header) = Block::at(bytes, at, 512)? else { break };
            let version = header.be16(6);
            let here = version == 1 && at == 0 || version == 2 && header.be64(256) == at;
            if !header.has(0, magic) || !here {
                continue;
            }
            let mut found = Self {
                version,
                uuid: label(header.slice(168, 40)),
                label: if version == 2 { label(header.slice(24, 48)) } else { None },
                second_header: at != 0,
                ..Self::default()
            };
            if version == 1 {
                found.read_1(bytes)?;
            } else {
                found.subsystem = label(header.slice(208, 48));
                luks2::read(bytes, at, &header, &mut found)?;
            }
            return Ok(Some(found));
        }
        Ok(None)
    }

    /// The rest of version 1's header.
    fn read_1(&mut self, bytes: &dyn ReadAt) -> Result<(), ReadError> {
        let Some(header) = Block::at(bytes, 0, 592)? else {
            self.problems.push("the header is cut off".to_owned());
            return Ok(());
        };
        let [cipher, mode] = [8, 40].map(|field| label(header.slice(field, 32)).unwrap_or_default());
        self.cipher = Some(format!("{cipher}-{mode}"));
        self.key_bits = Some(u64::from(header.be32(108)).saturating_mul(8));
        self.sector_size = Some(SECTOR);
        let data = u64::from(header.be32(104)).saturating_mul(SECTOR);
        self.data_offset = Some(data);
        self.detached = data == 0;
        self.key_slots = (0..8_usize).filter(|slot| header.be32(slot.saturating_mul(48).saturating_add(208)) == SLOT_ENABLED).count();
        Ok(())
    }

    fn phrases(&self) -> Vec<String> {
        let mut phrases = Vec::new();
        phrases.extend(self.cipher.as_ref().map(|cipher| match self.key_bits {
            Some(bits) if bits > 0 => format!("cipher {cipher}, {bits}-bit key"),
            _ => format!("cipher {cipher}"),
        }));
        phrases.extend(self.integrity.as_ref().map(|integrity| format!("integrity {integrity}")));
        phrases.extend(self.sector_size.filter(|size| *size != SECTOR).map(|size| format!("sectors of {size} bytes")));
        if self.cipher.is_some() {
            phrases.push(format!("{} key slot{}", self.key_slots, if self.key_slots == 1 { "" } else { "s" }));
        }
        if !self.tokens.is_empty() {
            phrases.push(format!("tokens: {}", self.tokens.join(", ")));
        }
        phrases.extend(self.subsystem.as_ref().map(|subsystem| format!("subsystem {subsystem}")));
        if self.detached {
            phrases.push("the data lies elsewhere".to_owned());
        }
        if !self.requirements.is_empty() {
            phrases.push(format!("requires {}", self.requirements.join(", ")));
        }
        if self.second_header {
            phrases.push("the first header is gone".to_owned());
        }
        phrases.extend(self.problems.iter().cloned());
        phrases
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::testing::{ID, matches};
    use super::*;

    #[test]
    fn version_1() {
        let uuid = ID.as_bytes();
        let enabled = SLOT_ENABLED.to_be_bytes();
        let one: &[(u64, &[u8])] = &[
            (0, b"LUKS\xba\xbe\0\x01aes"),
            (40, b"xts-plain64"),
            (104, &[0, 0, 0x10, 0, 0, 0, 0, 64]),
            (168, uuid),
            (208, &enabled),
            (208 + 48, &[0, 0, 0xde, 0xad]),
            (208 + 7 * 48, &enabled),
        ];
        let found = matches(probe, 1 << 20, one, &[0, 5, 6, 7]);
        assert_eq!(found.uuid.as_deref(), Some(ID));
        assert_eq!((found.version.as_deref(), found.label), (Some("1"), None));
        assert_eq!(found.detail, ["cipher aes-xts-plain64, 512-bit key", "2 key slots"]);
        // A header without its volume.
        let found = matches(probe, 592, &[(0, b"LUKS\xba\xbe\0\x01aes"), (40, b"cbc-essiv:sha256")], &[]);
        assert_eq!(found.detail, ["cipher aes-cbc-essiv:sha256", "0 key slots", "the data lies elsewhere"]);
        let found = matches(probe, 591, &[(0, b"LUKS\xba\xbe\0\x01aes")], &[]);
        assert_eq!(found.detail, ["the header is cut off"]);
    }
}
