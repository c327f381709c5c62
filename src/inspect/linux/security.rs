//! SELinux, subscriptions, firewalls, where packages come from, time.

use super::mounts::optional;
use crate::facts::{ChronyFacts, FirewallFacts, SecurityFacts, SelinuxFacts, SubscriptionFacts};
use crate::fs::{Error, Tree};
use crate::guest::linux::identity::assignment;

/// What shows a subscription or a registration.
const SUBSCRIPTIONS: [(&str, &str); 6] = [
    ("rhsm", "/etc/pki/consumer/cert.pem"),
    ("rhsm", "/etc/pki/entitlement/*.pem"),
    ("rhn", "/etc/sysconfig/rhn/systemid"),
    ("suse", "/etc/zypp/credentials.d/SCCcredentials"),
    ("suse", "/etc/SUSEConnect"),
    ("ubuntu-pro", "/var/lib/ubuntu-advantage/private/machine-token.json"),
];
/// The wire server and the instance metadata service.
const PLATFORM: [&str; 2] = ["168.63.129.16", "169.254.169.254"];
/// Hosts that are listed at most.
const MAX_HOSTS: usize = 256;

/// Learns `security`.
pub(super) fn security(tree: &Tree) -> SecurityFacts {
    SecurityFacts {
        selinux: optional(selinux(tree)),
        subscriptions: subscriptions(tree).into(),
        firewalls: firewalls(tree).into(),
        package_hosts: package_hosts(tree).into(),
        chrony: optional(chrony(tree)),
    }
}

fn selinux(tree: &Tree) -> Result<Option<SelinuxFacts>, Error> {
    let Some(text) = tree.text("/etc/selinux/config")? else { return Ok(None) };
    let label = tree.find("/etc/passwd").and_then(|found| match found {
        Some(found) => found.mount.fs.attribute(found.id, "security.selinux"),
        None => Ok(None),
    });
    Ok(Some(SelinuxFacts {
        mode: assignment(&text, "SELINUX"),
        policy: assignment(&text, "SELINUXTYPE"),
        autorelabel: tree.exists("/.autorelabel")?,
        label_of_passwd: optional(label.map(|label| label.map(|label| String::from_utf8_lossy(&label).trim_end_matches('\0').to_owned()))),
    }))
}

fn subscriptions(tree: &Tree) -> Result<Vec<SubscriptionFacts>, Error> {
    let mut out = Vec::new();
    for (kind, pattern) in SUBSCRIPTIONS {
        out.extend(tree.glob(pattern)?.into_iter().map(|path| SubscriptionFacts { kind: kind.to_owned(), path }));
    }
    Ok(out)
}

fn firewalls(tree: &Tree) -> Result<Vec<FirewallFacts>, Error> {
    type Drops = fn(&str) -> bool;
    let iptables: Drops = |text| text.lines().any(|line| line.trim_start().starts_with(":OUTPUT DROP"));
    let nftables: Drops = |text| {
        let words = text.split_ascii_whitespace().collect::<Vec<_>>().join(" ").replace(" ;", ";");
        words.split("hook output").skip(1).any(|rest| rest.split(['{', '}']).next().is_some_and(|chain| chain.contains("policy drop")))
    };
    let ufw: Drops = |text| assignment(text, "DEFAULT_OUTPUT_POLICY").is_some_and(|policy| policy != "ACCEPT");
    let never: Drops = |_text| false;
    let places: [(&str, &str, Drops); 9] = [
        ("nftables", "/etc/nftables.conf", nftables),
        ("nftables", "/etc/sysconfig/nftables.conf", nftables),
        ("nftables", "/etc/nftables.d/*.nft", nftables),
        ("iptables", "/etc/iptables/rules.v4", iptables),
        ("iptables", "/etc/sysconfig/iptables", iptables),
        ("iptables", "/etc/iptables/rules-save", iptables),
        ("ufw", "/etc/default/ufw", ufw),
        ("ufw", "/etc/ufw/user.rules", never),
        ("firewalld", "/etc/firewalld/direct.xml", never),
    ];
    let mut out = Vec::new();
    for (kind, pattern, drops) in places {
        for path in tree.glob(pattern)? {
            let Some(text) = tree.text(&path)? else { continue };
            let names = |(_, line): &(usize, &str)| PLATFORM.iter().any(|address| line.contains(address));
            let platform_lines = text.lines().enumerate().filter(names).map(|(place, _)| place.saturating_add(1)).collect();
            out.push(FirewallFacts { kind: kind.to_owned(), drops_output: drops(&text), path, platform_lines });
        }
    }
    Ok(out)
}

fn package_hosts(tree: &Tree) -> Result<Vec<String>, Error> {
    let mut hosts = Vec::new();
    let patterns = [
        "/etc/apt/sources.list",
        "/etc/apt/sources.list.d/*",
        "/etc/yum.repos.d/*.repo",
        "/etc/zypp/repos.d/*.repo",
        "/etc/apk/repositories",
    ];
    for pattern in patterns {
        for path in tree.glob(pattern)? {
            let text = tree.text(&path)?.unwrap_or_default();
            for line in text.lines().map(str::trim).filter(|line| !line.starts_with('#')) {
                hosts.extend(line.split("://").skip(1).filter_map(host));
            }
        }
    }
    hosts.sort();
    hosts.dedup();
    hosts.truncate(MAX_HOSTS);
    Ok(hosts)
}

/// The host at the start of what follows `://`; user names and passwords before it are left out.
fn host(rest: &str) -> Option<String> {
    let authority = rest.split(|c: char| c == '/' || c.is_whitespace() || c == '"' || c == ',').next()?;
    let host = authority.rsplit('@').next()?.split(':').next()?;
    (!host.is_empty() && host.len() <= 253).then(|| host.to_ascii_lowercase())
}

fn chrony(tree: &Tree) -> Result<Option<ChronyFacts>, Error> {
    for path in ["/etc/chrony.conf", "/etc/chrony/chrony.conf"] {
        if let Some(text) = tree.text(path)? {
            let line = |begin: &str| text.lines().map(str::trim).find(|line| line.starts_with(begin)).map(str::to_owned);
            return Ok(Some(ChronyFacts { path: path.to_owned(), refclock: line("refclock PHC"), makestep: line("makestep") }));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::Fact;
    use crate::fs::testing::tree;

    #[test]
    fn what_is_there_is_told() {
        let facts = security(&tree(&[
            ("/etc/selinux/config", "# x\nSELINUX=enforcing\nSELINUXTYPE=targeted\n"),
            ("/etc/passwd", "x"),
            ("/.autorelabel", ""),
            ("/etc/pki/consumer/cert.pem", "x"),
            ("/etc/pki/entitlement/1.pem", "x"),
            (
                "/etc/nftables.conf",
                "table inet f {\n chain out {\n  type filter hook output priority 0;\n  policy drop ;\n }\n ip daddr 168.63.129.16 accept\n}\n",
            ),
            ("/etc/sysconfig/iptables", "*filter\n:OUTPUT ACCEPT [0:0]\n"),
            (
                "/etc/apt/sources.list",
                "deb http://azure.archive.ubuntu.com/ubuntu jammy main\n# deb http://old/ x\ndeb https://user:pw@repo.example:8443/x y\n",
            ),
            ("/etc/chrony.conf", "pool x\nrefclock PHC /dev/ptp_hyperv poll 3\nmakestep 1.0 -1\n"),
        ]));
        let selinux = facts.selinux.value().unwrap();
        assert_eq!((selinux.mode.as_deref(), selinux.autorelabel), (Some("enforcing"), true));
        assert_eq!(selinux.label_of_passwd, Fact::Absent);
        assert_eq!(facts.subscriptions.value().unwrap().len(), 2);
        let firewalls = facts.firewalls.value().unwrap();
        assert_eq!((firewalls[0].drops_output, firewalls[0].platform_lines.as_slice()), (true, &[6][..]));
        assert!(!firewalls[1].drops_output);
        assert_eq!(facts.package_hosts, Fact::Known(vec!["azure.archive.ubuntu.com".to_owned(), "repo.example".to_owned()]));
        assert_eq!(facts.chrony.value().unwrap().makestep.as_deref(), Some("makestep 1.0 -1"));
        assert_eq!(security(&tree(&[])).selinux, Fact::Absent);
    }
}
