//! Local accounts and rights: flags of the SAM and SECURITY hives.
//!
//! Sources: [MS-SAMR] 2.2.1.12 (the account control bits, at byte 0x38 of a user's value `F`), [MS-LSAD] 2.2.1.2 and ntlsa.h
//! (`SECURITY_ACCESS_…`), [MS-DTYP] 2.4.2.4 (SIDs that are the same everywhere).

use super::hive::utf16;

/// Where the account control bits stand in `F`.
const CONTROL: usize = 0x38;
const DISABLED: u16 = 0x0001;
const PASSWORD_NOT_REQUIRED: u16 = 0x0004;
const AUTO_LOCKED: u16 = 0x0400;

/// What a user's flags say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Control {
    /// The account cannot be used.
    pub disabled: bool,
    /// It must have a password.
    pub password_required: bool,
    /// It was locked after failed logons.
    pub locked: bool,
}

/// The flags in a user's value `F`; `None` where it is too short.
#[must_use]
pub fn control(f: &[u8]) -> Option<Control> {
    let bits = f.get(CONTROL..)?.first_chunk().copied().map(u16::from_le_bytes)?;
    let has = |flag: u16| bits & flag != 0;
    Some(Control { disabled: has(DISABLED), password_required: !has(PASSWORD_NOT_REQUIRED), locked: has(AUTO_LOCKED) })
}

/// Rights to log on, by their bit in `ActSysAc`.
const RIGHTS: [(u32, &str); 10] = [
    (0x0001, "interactive"),
    (0x0002, "network"),
    (0x0004, "batch"),
    (0x0010, "service"),
    (0x0400, "remote interactive"),
    (0x0040, "deny interactive"),
    (0x0080, "deny network"),
    (0x0100, "deny batch"),
    (0x0200, "deny service"),
    (0x0800, "deny remote interactive"),
];

/// The rights in an account's `ActSysAc`.
#[must_use]
pub fn logon_rights(bits: u32) -> Vec<&'static str> {
    RIGHTS.iter().filter(|(bit, _)| bits & bit != 0).map(|(_, name)| *name).collect()
}

/// The name of a SID that is the same everywhere.
#[must_use]
pub fn well_known(sid: &str) -> Option<&'static str> {
    Some(match sid {
        "S-1-1-0" => "Everyone",
        "S-1-5-9" => "Enterprise Domain Controllers",
        "S-1-5-11" => "Authenticated Users",
        "S-1-5-19" => "Local Service",
        "S-1-5-20" => "Network Service",
        "S-1-5-32-544" => "Administrators",
        "S-1-5-32-545" => "Users",
        "S-1-5-32-546" => "Guests",
        "S-1-5-32-551" => "Backup Operators",
        "S-1-5-32-555" => "Remote Desktop Users",
        "S-1-5-113" => "Local account",
        "S-1-5-114" => "Local account and member of Administrators group",
        _ => return None,
    })
}

/// A text of the SECURITY hive: its length in bytes, the room for it, where it stands, and the text behind.
#[must_use]
pub fn policy_text(bytes: &[u8]) -> Option<String> {
    let len = usize::from(bytes.first_chunk().copied().map(u16::from_le_bytes)?);
    bytes.get(8..)?.get(..len).map(utf16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_of_accounts() {
        let mut f = vec![0; 80];
        f[0x38] = 0x15;
        f[0x39] = 0x02;
        assert_eq!(control(&f), Some(Control { disabled: true, password_required: false, locked: false }));
        f[0x38] = 0x10;
        f[0x39] = 0x06;
        assert_eq!(control(&f), Some(Control { disabled: false, password_required: true, locked: true }));
        for len in 0..0x3a {
            assert_eq!(control(&f[..len]), None, "{len}");
        }
    }

    #[test]
    fn rights_and_names() {
        assert_eq!(logon_rights(0x0403), ["interactive", "network", "remote interactive"]);
        assert_eq!(logon_rights(0x08c0), ["deny interactive", "deny network", "deny remote interactive"]);
        assert!(logon_rights(0).is_empty());
        assert_eq!(well_known("S-1-5-32-544"), Some("Administrators"));
        assert_eq!(well_known("S-1-5-21-1"), None);
    }

    #[test]
    fn texts_of_policy() {
        let mut bytes = vec![6, 0, 8, 0, 0, 0, 0, 0];
        bytes.extend("LAB\0".encode_utf16().flat_map(u16::to_le_bytes));
        assert_eq!(policy_text(&bytes).as_deref(), Some("LAB"));
        for len in 0..14 {
            assert_eq!(policy_text(&bytes[..len]), None, "{len}");
        }
    }
}
