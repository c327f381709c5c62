//! The name of the machine, wherever it is written: LG-07.

use super::hosts::{Own, without};
use super::lines::{assign, assigned, pair, trimmed, words};
use super::paths::decisive;
use crate::fs::Error;
use crate::generalize::{Draft, Operation, Sample, System};
use crate::rules::Distribution;
use crate::rules::template::is_neutral;

pub(super) static HOST_NAME: Operation = Operation {
    name: "host-name",
    requirement: "LG-07",
    summary: "forget the host name, in /etc/hosts and for DHCP too",
    default: true,
    plan,
    sample: Sample {
        before: &[
            ("/etc/hostname", "web-01\n"),
            ("/etc/hosts", "127.0.0.1\tlocalhost\n127.0.1.1\tweb-01.corp.example web-01\n10.0.0.9 db\n"),
            ("/etc/mailname", "web-01.corp.example\n"),
            ("/etc/machine-info", "CHASSIS=vm\nPRETTY_HOSTNAME=\"The web server\"\n"),
            ("/etc/dhcp/dhclient.conf", "timeout 300;\nsend host-name \"web-01\";\n"),
        ],
        after: &[
            ("/etc/hostname", Some("localhost.localdomain\n")),
            ("/etc/hosts", Some("127.0.0.1\tlocalhost\n10.0.0.9 db\n")),
            ("/etc/mailname", Some("localhost.localdomain\n")),
            ("/etc/machine-info", Some("CHASSIS=vm\n")),
            ("/etc/dhcp/dhclient.conf", Some("timeout 300;\nsend host-name \"localhost.localdomain\";\n")),
        ],
    },
};

/// What the Azure Linux agent writes when it deprovisions.
const NEUTRAL: &str = "localhost.localdomain";
const WHY: &str = "it names this machine; Azure gives each its own name";
const DHCP: &str = "DHCP servers would be told this machine's name";

fn plan(system: &System<'_>, draft: &mut Draft<'_>) -> Result<(), Error> {
    let own = Own::of(decisive(&system.linux.identity.host_name)?.map(|host| host.name.as_str()));
    let flatcar = system.distribution == Distribution::Flatcar;
    let neutral = if system.distribution == Distribution::Alpine { "localhost" } else { NEUTRAL };
    for path in ["/etc/hostname", "/etc/HOSTNAME"] {
        if draft.text(path)?.is_some_and(|text| text.lines().map(str::trim).any(|line| !line.starts_with('#') && !is_neutral(line))) {
            if flatcar {
                draft.remove(path, WHY)?;
            } else {
                draft.rewrite(path, format!("{neutral}\n").into_bytes(), WHY)?;
            }
        }
    }
    variable(draft, "/etc/sysconfig/network", "HOSTNAME", NEUTRAL, WHY)?;
    variable(draft, "/etc/conf.d/hostname", "hostname", "\"localhost\"", WHY)?;
    // A domain that several machines send mail for is no machine's name.
    if draft.text("/etc/mailname")?.is_some_and(|text| own.is(text.trim())) {
        draft.rewrite("/etc/mailname", format!("{NEUTRAL}\n").into_bytes(), WHY)?;
    }
    draft.lines("/etc/machine-info", WHY, |line| assigned(line, "PRETTY_HOSTNAME").is_none().then(|| line.to_vec()))?;
    draft.lines("/etc/hosts", "it gives this machine's name an address", |line| without(line, &own))?;
    dhcp(draft)
}

/// Gives a variable another value where it names a machine.
fn variable(draft: &mut Draft<'_>, path: &str, name: &str, neutral: &str, why: &str) -> Result<(), Error> {
    draft.lines(path, why, |line| match assigned(line, name) {
        Some(value) if !is_neutral(&String::from_utf8_lossy(value)) => Some(assign(line, neutral)),
        _ => Some(line.to_vec()),
    })?;
    Ok(())
}

/// What clients of DHCP send as the name, which the Azure Linux agent neutralizes too.
fn dhcp(draft: &mut Draft<'_>) -> Result<(), Error> {
    for pattern in ["/etc/dhclient*.conf", "/etc/dhcp/dhclient*.conf", "/etc/dhcp3/dhclient*.conf"] {
        for path in draft.glob(pattern)? {
            draft.lines(&path, DHCP, |line| Some(sent(line)))?;
        }
    }
    draft.lines("/etc/dhcpcd.conf", DHCP, |line| {
        let words = words(line);
        let named = matches!(words.as_slice(), [first, _] if line.get(first.0..first.1) == Some(b"hostname"));
        Some(if named { b"hostname".to_vec() } else { line.to_vec() })
    })?;
    for pattern in ["/etc/sysconfig/network-scripts/ifcfg-*", "/etc/sysconfig/network/ifcfg-*"] {
        for path in draft.glob(pattern)? {
            variable(draft, &path, "DHCP_HOSTNAME", NEUTRAL, DHCP)?;
        }
    }
    draft.lines("/etc/sysconfig/network/dhcp", DHCP, |line| match assigned(line, "DHCLIENT_HOSTNAME_OPTION") {
        // AUTO sends the name of the moment.
        Some(value) if !value.eq_ignore_ascii_case(b"AUTO") && !value.is_empty() => Some(assign(line, "\"AUTO\"")),
        _ => Some(line.to_vec()),
    })?;
    for (pattern, names) in [
        ("/etc/NetworkManager/system-connections/*", &[&b"dhcp-hostname"[..], b"dhcp-fqdn"][..]),
        ("/etc/systemd/network/*.network", &[b"Hostname"]),
    ] {
        for path in draft.glob(pattern)? {
            draft.lines(&path, DHCP, |line| {
                let named = pair(line).is_some_and(|(key, value)| names.contains(&key) && !value.is_empty());
                (!named).then(|| line.to_vec())
            })?;
        }
    }
    Ok(())
}

/// A line of dhclient's configuration with a neutral name in `send host-name "web-01";`.
fn sent(line: &[u8]) -> Vec<u8> {
    let bare = trimmed(line);
    let place = bare.windows(9).position(|window| window == b"host-name").filter(|_| !bare.starts_with(b"#"));
    let Some(named) = place.and_then(|place| bare.get(place..)) else { return line.to_vec() };
    let before = place.and_then(|place| bare.get(..place)).unwrap_or_default();
    // `supersede host-name` and `request host-name` send nothing.
    if !trimmed(before).ends_with(b"send") {
        return line.to_vec();
    }
    let mut parts = named.splitn(3, |byte| *byte == b'"');
    let (Some(option), Some(value), Some(rest)) = (parts.next(), parts.next(), parts.next()) else { return line.to_vec() };
    if is_neutral(&String::from_utf8_lossy(value)) {
        return line.to_vec();
    }
    let indent = line.split(|byte| !byte.is_ascii_whitespace()).next().unwrap_or_default();
    let end: &[u8] = if line.ends_with(b"\r") { b"\r" } else { b"" };
    [indent, before, option, b"\"", NEUTRAL.as_bytes(), b"\"", rest, end].concat()
}

#[cfg(test)]
mod tests {
    use super::super::testing::{exists, planned, text};
    use super::*;

    #[test]
    fn every_file_of_every_distribution() {
        let of = |files: &[(&str, &str)]| {
            let (path, _) = files[0];
            text(&HOST_NAME, files, path).unwrap()
        };
        for (path, before, after) in [
            ("/etc/HOSTNAME", "web-01.corp\n", "localhost.localdomain\n"),
            ("/etc/hostname", "# said by x\nweb-01", "localhost.localdomain\n"),
            ("/etc/sysconfig/network", "NETWORKING=yes\r\nHOSTNAME=web-01\r\n", "NETWORKING=yes\r\nHOSTNAME=localhost.localdomain\r\n"),
            ("/etc/sysconfig/network", "#HOSTNAME=web-01\nHOSTNAME=\"web-01\"", "#HOSTNAME=web-01\nHOSTNAME=localhost.localdomain"),
            ("/etc/conf.d/hostname", "# x\nhostname=\"web-01\"\n", "# x\nhostname=\"localhost\"\n"),
            (
                "/etc/sysconfig/network-scripts/ifcfg-eth0",
                "DHCP_HOSTNAME=web-01\nONBOOT=yes\n",
                "DHCP_HOSTNAME=localhost.localdomain\nONBOOT=yes\n",
            ),
            ("/etc/sysconfig/network/dhcp", "DHCLIENT_HOSTNAME_OPTION=\"web-01\"\n", "DHCLIENT_HOSTNAME_OPTION=\"AUTO\"\n"),
            ("/etc/dhcpcd.conf", "hostname web-01\nduid\n", "hostname\nduid\n"),
            (
                "/etc/dhclient-eth0.conf",
                "interface \"eth0\" { send host-name \"web-01\"; }\n",
                "interface \"eth0\" { send host-name \"localhost.localdomain\"; }\n",
            ),
            ("/etc/dhcp/dhclient.conf", "\tsend  host-name = \"a\";\r\n", "\tsend  host-name = \"localhost.localdomain\";\r\n"),
            ("/etc/NetworkManager/system-connections/a", "[ipv4]\ndhcp-hostname=web-01\nmethod=auto\n", "[ipv4]\nmethod=auto\n"),
            ("/etc/systemd/network/a.network", "[DHCPv4]\nHostname=web-01\nUseMTU=yes\n", "[DHCPv4]\nUseMTU=yes\n"),
        ] {
            assert_eq!(of(&[(path, before)]), after, "{path}");
            assert_eq!(planned(&HOST_NAME, &[(path, after)]).changes, [], "{path}");
        }
        let alpine = [("/etc/hostname", "web-01\n"), ("/etc/os-release", "ID=alpine\n")];
        assert_eq!(of(&alpine), "localhost\n");
        assert!(!exists(&HOST_NAME, &[("/etc/hostname", "web-01\n"), ("/etc/os-release", "ID=flatcar\n")], "/etc/hostname"));
    }

    #[test]
    fn what_names_no_machine_stays() {
        let files = [
            ("/etc/hostname", "debian\n"),
            ("/etc/mailname", "corp.example\n"),
            ("/etc/sysconfig/network", "NETWORKING=yes\nHOSTNAME=localhost.localdomain\n"),
            (
                "/etc/dhcp/dhclient.conf",
                "#send host-name \"web-01\";\nsend host-name = gethostname();\nsupersede host-name \"x\";\nrequest host-name;\n",
            ),
            ("/etc/dhcpcd.conf", "hostname\nhostname_short\n"),
            ("/etc/sysconfig/network/dhcp", "DHCLIENT_HOSTNAME_OPTION=\"AUTO\"\n"),
            ("/etc/hosts", "127.0.0.1 localhost localhost.localdomain\n::1 localhost ip6-localhost\n10.0.0.9 db # 127.0.1.1 x\n"),
        ];
        assert_eq!(planned(&HOST_NAME, &files).changes, []);
    }

    #[test]
    fn an_unreadable_host_name_ends_it() {
        let tree = crate::fs::testing::tree(&[("/etc/hostname", "!damaged")]);
        assert!(super::super::testing::with(&HOST_NAME, &tree, |_| ()).is_err());
    }
}
