//! Local accounts and rights.

use crate::facts::Fact;
use serde::Serialize;

/// Local accounts and rights; never a hash.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct WindowsAccountsFacts {
    /// Local users, by RID.
    pub users: Fact<Vec<WindowsUserFacts>>,
    /// Whether the built-in administrator (RID 500) is enabled; absent where there is no such account.
    pub administrator_enabled: Fact<bool>,
    /// Rights to log on, by who has them.
    pub logon_rights: Fact<Vec<LogonRightsFacts>>,
}

/// A local user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct WindowsUserFacts {
    /// The name.
    pub name: String,
    /// The number that makes the account's SID: 500 for the built-in administrator, 501 for the guest.
    pub rid: u32,
    /// Whether the account is disabled.
    pub disabled: Fact<bool>,
    /// Whether it must have a password.
    pub password_required: Fact<bool>,
    /// Whether it was locked after failed logons.
    pub locked: Fact<bool>,
}

/// Rights to log on of one account or group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LogonRightsFacts {
    /// Whose: `S-1-5-32-544`.
    pub sid: String,
    /// Its name, where the SID is the same everywhere: `Administrators`.
    pub name: Option<String>,
    /// `interactive`, `network`, `batch`, `service`, `remote interactive`; with `deny ` before it for a denial.
    pub rights: Vec<String>,
}
