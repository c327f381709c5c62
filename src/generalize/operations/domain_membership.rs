//! Membership in a domain: L-54. Removed, and not a problem to decide on: two machines with one machine account break each other's trust,
//! so no template can have it, and the server only forgets it when the source leaves.

use crate::facts::Fact;
use crate::fs::{Error, NodeKind};
use crate::generalize::{Draft, Operation, Sample, System};

pub(super) static DOMAIN_MEMBERSHIP: Operation = Operation {
    name: "domain-membership",
    requirement: "L-54",
    summary: "remove the machine's account in a domain, and what was cached of others'",
    default: true,
    plan,
    sample: Sample {
        before: &[
            ("/etc/krb5.keytab", "key"),
            ("/etc/krb5.conf", "[libdefaults]\n"),
            ("/etc/sssd/sssd.conf", "[sssd]\ndomains = example.com\n"),
            ("/etc/nsswitch.conf", "passwd: files sss\n"),
            ("/var/lib/sss/db/cache_example.com.ldb", "x"),
        ],
        after: &[("/etc/krb5.keytab", None), ("/var/lib/sss/db/cache_example.com.ldb", None)],
    },
};

/// Keys of the machine's account, and caches with accounts and hashes of the domain.
const OWN: [&str; 10] = [
    "/etc/krb5.keytab",
    "/etc/krb5.keytab.bak",
    "/var/lib/samba/private/secrets.tdb",
    "/var/lib/samba/private/netlogon_creds_cli.tdb",
    "/var/lib/samba/winbindd_cache.tdb",
    "/var/lib/sss/db/*",
    "/var/lib/sss/mc/*",
    "/var/lib/sss/secrets/*",
    "/var/lib/ipa-client/sysrestore/*",
    "/var/lib/ipa-client/pki/*",
];

fn plan(system: &System<'_>, draft: &mut Draft<'_>) -> Result<(), Error> {
    let mut removed = false;
    for pattern in OWN {
        for path in draft.glob(pattern)? {
            if system.tree.find_link(&path)?.is_some_and(|found| found.node.kind != NodeKind::Directory) {
                removed |= draft.remove(&path, "every machine would be this one to its domain")?;
            }
        }
    }
    let remote = |source: &&String| matches!(source.as_str(), "sss" | "sssd" | "ldap" | "winbind" | "nis");
    let sources = match &system.linux.accounts.sources {
        Fact::Known(sources) => sources.as_slice(),
        Fact::Absent | Fact::Unknown(_) => &[],
    };
    if removed {
        let who = sources.iter().find(remote).map(|source| format!(", from which accounts come by {source},")).unwrap_or_default();
        let message =
            format!("the domain{who} still knows the source machine; let the source leave it, and have new machines join by themselves");
        draft.remains(message, vec!["realm leave".to_owned()]);
    }
    Ok(())
}
