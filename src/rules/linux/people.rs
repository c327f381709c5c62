//! People's accounts: who can log in, and whom `waagent -deprovision+user` removes.

use super::{Distribution, Guest};
use crate::facts::{Fact, UserFacts};
use crate::rules::{Target, word};

/// Whether an account of a person lets somebody in, or would as soon as it is unlocked: the hash of a password is there.
pub(crate) fn opens(user: &UserFacts) -> Fact<bool> {
    if user.can_log_in == Fact::Known(true) || has_hash(user) || (user.authorized_keys.value().is_some_and(|keys| *keys > 0)) {
        return Fact::Known(true);
    }
    user.can_log_in.clone()
}

/// Whether a path lies in the home of an account that stays knowingly.
pub(in crate::rules) fn is_kept(guest: &Guest<'_>, target: &Target, path: &str) -> bool {
    let users = guest.linux.accounts.users.value().into_iter().flatten();
    let homes = users.filter(|user| target.keeps(&user.name)).map(|user| user.home.trim_end_matches('/'));
    homes.into_iter().any(|home| !home.is_empty() && path.strip_prefix(home).is_some_and(|rest| rest.starts_with('/')))
}

/// Whether a password hash stands in the shadow file.
pub(in crate::rules) fn has_hash(user: &UserFacts) -> bool {
    user.password.value().is_some_and(|word| matches!(word.as_str(), "set" | "locked_with_hash"))
}

/// People's accounts that must go before the disk becomes a template. What could not be read is left out.
pub(in crate::rules) fn to_remove<'a>(guest: &Guest<'a>) -> Vec<&'a UserFacts> {
    let users = guest.linux.accounts.users.value().into_iter().flatten();
    users.filter(|user| user.person && opens(user) == Fact::Known(true)).collect()
}

/// The program of the Azure Linux agent.
pub(in crate::rules) fn waagent_program<'a>(guest: &Guest<'a>) -> Option<&'a str> {
    guest.linux.agents.waagent.value().and_then(|agent| agent.program.value()).map(String::as_str)
}

/// The account that `waagent -deprovision+user` removes: the one that `/var/lib/waagent/ovf-env.xml` names, where it exists still.
pub(in crate::rules) fn removed_by_waagent<'a>(guest: &Guest<'a>) -> Option<&'a str> {
    waagent_program(guest)?;
    let named = guest.linux.residue.waagent.value().and_then(|state| state.ovf_user.value())?;
    guest.linux.accounts.users.value()?.iter().any(|user| user.name == *named).then_some(named)
}

/// Removes an account with its home.
pub(in crate::rules) fn remove(distribution: Distribution, name: &str) -> String {
    let dashes = if name.starts_with('-') { "-- " } else { "" };
    let name = word::sh_name(name);
    match distribution {
        Distribution::Alpine => format!("deluser --remove-home {dashes}{name}"),
        _ => format!("userdel -r {dashes}{name}"),
    }
}

/// Gives the host name up, where that file sets it; others than /etc/hostname have more in them.
pub(in crate::rules) fn forget_host_name(distribution: Distribution, path: &str) -> String {
    let file = word::sh(path);
    match path {
        _ if distribution == Distribution::Flatcar => format!("rm -f {file}"),
        "/etc/sysconfig/network" => format!("sed -i 's/^HOSTNAME=.*/HOSTNAME=localhost.localdomain/' {file}"),
        "/etc/conf.d/hostname" => format!("sed -i 's/^hostname=.*/hostname=\"localhost\"/' {file}"),
        _ => format!("echo localhost.localdomain > {file}"),
    }
}

/// Leaves root without a password that anybody could know.
pub(in crate::rules) fn lock_root(distribution: Distribution) -> &'static str {
    match distribution {
        Distribution::Alpine => "sed -i 's/^root:[^:]*:/root:*:/' /etc/shadow",
        _ => "usermod -p '*' root",
    }
}
