//! Encrypted volumes.

use serde::Serialize;

/// What the header of an encrypted volume says. Never a key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "kind")]
pub enum SealedFacts {
    /// Encrypted by Windows.
    BitLocker {
        /// Whether a key is needed to read it: `false` where a clear key lies beside the data ("encrypted, protection off"), or nothing is
        /// encrypted any more; `null` where its metadata does not tell.
        protected: Option<bool>,
        /// `AES-XTS 128`, …
        method: Option<String>,
        /// Protectors by kind: `TPM`, `recovery password`, `clear key`, …
        protectors: Vec<String>,
    },
    /// Encrypted by Linux.
    #[serde(rename = "LUKS")]
    Luks {
        /// 1 or 2.
        version: u16,
        /// `aes-xts-plain64`, …
        cipher: Option<String>,
        /// Key slots in use.
        key_slots: usize,
        /// Kinds of tokens: `clevis`, `systemd-tpm2`, …
        tokens: Vec<String>,
    },
}
