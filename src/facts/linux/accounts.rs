//! Accounts: who can log in and how. Never a hash, never a key.

use crate::facts::Fact;
use serde::Serialize;

/// Accounts, and who may do what.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AccountsFacts {
    /// Lines of `/etc/passwd`, in their order.
    pub users: Fact<Vec<UserFacts>>,
    /// The lowest number of a person's account: `UID_MIN` of `/etc/login.defs`, 1000 where that is silent.
    pub uid_min: u32,
    /// Whether root's line in the shadow file is the one that the Azure Linux agent leaves there.
    pub root_locked_by_waagent: Fact<bool>,
    /// Where accounts come from, as `/etc/nsswitch.conf` says: `files`, `sss`, `ldap`.
    pub sources: Fact<Vec<String>>,
    /// Backups of the account databases, which keep accounts that were deleted.
    pub backups: Fact<Vec<AccountBackupFacts>>,
    /// Rules of sudo.
    pub sudo: Fact<SudoFacts>,
    /// Files that belong to accounts outside their homes: crontabs, mail, `AccountsService`, `/var/lib/systemd/linger`.
    pub belongings: Fact<Vec<String>>,
}

/// An account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct UserFacts {
    /// Login name.
    pub name: String,
    /// Its number.
    pub uid: u32,
    /// Number of its group.
    pub gid: u32,
    /// Home directory.
    pub home: String,
    /// Login shell.
    pub shell: String,
    /// Whether it is a person's by its number, and not `nobody`.
    pub person: bool,
    /// Names of its groups.
    pub groups: Vec<String>,
    /// `set`, `empty` (none is asked for), `locked`, `locked_with_hash` (the hash of an earlier password is still there).
    pub password: Fact<String>,
    /// Whether the account has an end, and its day counted from 1970-01-01.
    pub expires_day: Option<i64>,
    /// Keys that `authorized_keys` in its home admits.
    pub authorized_keys: Fact<usize>,
    /// Private SSH keys in its home, by path; never their content.
    pub private_keys: Fact<Vec<String>>,
    /// Whether somebody can log in with it: a shell, and a password or a key.
    pub can_log_in: Fact<bool>,
    /// Whether sudo lets it do everything, by name or by a group.
    pub can_become_root: Fact<bool>,
}

/// A backup of an account database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AccountBackupFacts {
    /// `/etc/shadow-`.
    pub path: String,
    /// Accounts in it that are no longer in `/etc/passwd`.
    pub deleted_accounts: Vec<String>,
    /// Accounts whose password hash it holds.
    pub accounts_with_hash: Vec<String>,
}

/// Rules of sudo.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SudoFacts {
    /// User specifications, in the order in which they are read.
    pub rules: Vec<SudoRuleFacts>,
    /// Whether `Defaults targetpw` asks for the target's password.
    pub target_password: bool,
    /// Whether `ALL ALL=(ALL) ALL` lets anybody who knows that password.
    pub anybody: bool,
}

/// A user specification.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SudoRuleFacts {
    /// File.
    pub path: String,
    /// Line, the first is 1.
    pub line: usize,
    /// Users, `%groups` or aliases.
    pub who: Vec<String>,
    /// Whether no password is asked for.
    pub no_password: bool,
    /// Whether every command is allowed.
    pub everything: bool,
}

/// The SSH server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SshFacts {
    /// Whether `sshd` is installed.
    pub installed: Fact<bool>,
    /// Settings that hold for every connection, in the order of their keywords; of one set several times the first, as sshd takes it.
    /// Defaults are not listed.
    pub settings: Fact<Vec<SshSettingFacts>>,
    /// Whether a `Match` block sets others for some connections.
    pub has_match: Fact<bool>,
    /// Host keys in `/etc/ssh`.
    pub host_keys: Fact<Vec<HostKeyFacts>>,
}

/// A setting of sshd.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SshSettingFacts {
    /// In lower case.
    pub keyword: String,
    /// As written.
    pub value: String,
    /// File that sets it.
    pub path: String,
    /// Its line, the first is 1.
    pub line: usize,
}

/// A host key; never the key itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HostKeyFacts {
    /// Path of the private half: `/etc/ssh/ssh_host_rsa_key`.
    pub path: String,
    /// `rsa`, `ecdsa`, `ed25519`, `dsa`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Whether the private half is there.
    pub private: bool,
    /// Whether the public half is there.
    pub public: bool,
}
