//! Local accounts and rights.

use super::registry::Registry;
use crate::bytes::printable;
use crate::facts::{Fact, LogonRightsFacts, Unknown, WindowsAccountsFacts, WindowsUserFacts};
use crate::guest::windows::account;
use crate::guest::windows::hive::Key;

const USERS: &str = "SAM\\SAM\\Domains\\Account\\Users";
/// Accounts that are told of at most.
const MOST: usize = 4096;
/// The built-in administrator.
const ADMINISTRATOR: u32 = 500;

/// Learns `accounts`.
pub(super) fn accounts(registry: &Registry) -> WindowsAccountsFacts {
    let users: Fact<Vec<WindowsUserFacts>> = users(registry).into();
    let administrator_enabled = match &users {
        Fact::Known(users) => match users.iter().find(|user| user.rid == ADMINISTRATOR) {
            Some(user) => user.disabled.clone().map(|disabled| !disabled),
            None => Fact::Absent,
        },
        Fact::Absent => Fact::Absent,
        Fact::Unknown(reason) => Fact::Unknown(reason.clone()),
    };
    WindowsAccountsFacts { users, administrator_enabled, logon_rights: rights(registry).into() }
}

/// Names stand below `Names`, each with its RID as the type of its default value; flags stand below the RID.
fn users(registry: &Registry) -> Result<Vec<WindowsUserFacts>, Unknown> {
    let names = registry.keys(&format!("{USERS}\\Names"))?.ok_or_else(|| Unknown("the hive SAM has no local accounts".to_owned()))?;
    if names.len() > MOST {
        return Err(Unknown(format!("more than {MOST} local accounts")));
    }
    let mut users = names.iter().map(|name| user(registry, name)).collect::<Result<Vec<WindowsUserFacts>, Unknown>>()?;
    users.sort_by_key(|user| user.rid);
    Ok(users)
}

fn user(registry: &Registry, key: &Key<'_>) -> Result<WindowsUserFacts, Unknown> {
    let name = printable(&key.name());
    let rid = key.value("").map_err(|error| Unknown(printable(&format!("the account {name}: {error}"))))?;
    let rid = rid.map(|value| value.kind).ok_or_else(|| Unknown(format!("the account {name} has no number")))?;
    let control = registry.value(&format!("{USERS}\\{rid:08X}"), "F").and_then(|value| {
        let flags = value.and_then(|value| account::control(&value.data));
        flags.ok_or_else(|| Unknown(format!("the flags of the account {name} cannot be read")))
    });
    let flag = |of: fn(account::Control) -> bool| -> Fact<bool> { control.clone().map(of).into() };
    Ok(WindowsUserFacts {
        disabled: flag(|control| control.disabled),
        password_required: flag(|control| control.password_required),
        locked: flag(|control| control.locked),
        name,
        rid,
    })
}

/// Rights to log on stand in `ActSysAc` below each account of the local policy.
fn rights(registry: &Registry) -> Result<Vec<LogonRightsFacts>, Unknown> {
    let keys = registry.keys("SECURITY\\Policy\\Accounts")?.ok_or_else(|| Unknown("the hive SECURITY has no accounts".to_owned()))?;
    if keys.len() > MOST {
        return Err(Unknown(format!("more than {MOST} accounts in the local policy")));
    }
    let mut all = Vec::new();
    for key in &keys {
        let failed = |error| Unknown(printable(&format!("the rights of {}: {error}", key.name())));
        let value = key.key("ActSysAc").and_then(|key| key.map_or(Ok(None), |key| key.value(""))).map_err(failed)?;
        let Some(bits) = value.and_then(|value| value.data.first_chunk().copied().map(u32::from_le_bytes)) else { continue };
        let rights: Vec<String> = account::logon_rights(bits).into_iter().map(str::to_owned).collect();
        if !rights.is_empty() {
            let sid = printable(&key.name());
            all.push(LogonRightsFacts { name: account::well_known(&sid).map(str::to_owned), sid, rights });
        }
    }
    all.sort_by(|one, other| one.sid.cmp(&other.sid));
    Ok(all)
}
