//! Hardware addresses taken out of files of network configuration, in five dialects.
//!
//! Lines are dropped, and all others stay as they are. What comes out is read again by the parsers that facts come from: it must say the
//! same of every interface, without the address.

use super::lines::{assigned, pair, section, trimmed, words};
use crate::facts::{Fact, InterfaceFacts, NetworkFacts};
use crate::guest::linux::network::{self as files, Interface};
use crate::guest::linux::yaml;
use std::collections::{BTreeMap, BTreeSet};

/// A dialect.
pub(super) struct Dialect {
    /// What is known of its files.
    pub(super) facts: fn(&NetworkFacts) -> &Fact<Vec<InterfaceFacts>>,
    /// A file without hardware addresses.
    pub(super) edit: fn(&[u8]) -> Vec<u8>,
    /// What a file of that path says; `None` where that is not understood.
    parse: fn(&str, &str) -> Option<Vec<Interface>>,
}

/// All of them.
pub(super) static DIALECTS: &[Dialect] = &[
    Dialect { facts: |network| &network.netplan, edit: netplan, parse: |_, text| Some(files::netplan(&yaml::parse(text).ok()?)) },
    Dialect {
        facts: |network| &network.ifcfg,
        edit: ifcfg,
        parse: |path, text| Some(vec![files::ifcfg(path.rsplit_once("/ifcfg-").map_or("", |(_, name)| name), text)]),
    },
    Dialect { facts: |network| &network.network_manager, edit: keyfile, parse: |_, text| Some(vec![files::keyfile(text)]) },
    Dialect { facts: |network| &network.ifupdown, edit: ifupdown, parse: |_, text| Some(files::interfaces(text).0) },
    Dialect { facts: |network| &network.networkd, edit: networkd, parse: |_, text| Some(vec![files::networkd(text)]) },
];

/// Whether a file says the same as before but for hardware addresses: none is left, and what was `eth0` still is.
pub(super) fn is_freed(dialect: &Dialect, path: &str, before: &[u8], after: &[u8]) -> bool {
    let parse = |bytes: &[u8]| (dialect.parse)(path, &String::from_utf8_lossy(bytes));
    let (Some(before), Some(after)) = (parse(before), parse(after)) else { return false };
    before.len() == after.len() && before.iter().zip(&after).all(|(before, after)| is_same(before, after))
}

fn is_same(before: &Interface, after: &Interface) -> bool {
    // A file without any other match is for eth0 by name; one that a driver matches by is for every name.
    let name = before.name == after.name || after.name.is_empty() || (before.name.is_empty() && after.name == "eth0");
    // The name that it was given must be the one that it is found by now.
    let renamed = before.renamed_to.as_ref().is_none_or(|given| after.name.is_empty() || *given == after.name);
    let rest = Interface { name: after.name.clone(), mac: None, renamed_to: after.renamed_to.clone(), ..before.clone() };
    name && renamed && rest == *after
}

/// Keeps the lines that `keep` wants, with their line breaks.
fn filtered(text: &[u8], mut keep: impl FnMut(&[u8]) -> bool) -> Vec<u8> {
    text.split_inclusive(|byte| *byte == b'\n').filter(|line| keep(line)).flatten().copied().collect()
}

/// `HWADDR` binds to an adapter; `LLADDR` of SUSE's and `MACADDR` of Red Hat's give it this machine's address.
fn ifcfg(text: &[u8]) -> Vec<u8> {
    filtered(text, |line| !["HWADDR", "LLADDR", "MACADDR"].iter().any(|name| assigned(line, name).is_some()))
}

fn is_address(value: &[u8]) -> bool {
    value.iter().filter(|byte| matches!(byte, b':' | b'-')).count() >= 5
        && value.iter().all(|byte| byte.is_ascii_hexdigit() || b":-; \t".contains(byte))
}

fn keyfile(text: &[u8]) -> Vec<u8> {
    let mut wired = false;
    filtered(text, |line| {
        if let Some(name) = section(line) {
            wired = matches!(name, b"ethernet" | b"802-3-ethernet");
        }
        let bound = |(key, value): (&[u8], &[u8])| key == b"mac-address" || (key == b"cloned-mac-address" && is_address(value));
        !(wired && pair(line).is_some_and(bound))
    })
}

fn ifupdown(text: &[u8]) -> Vec<u8> {
    filtered(text, |line| {
        let first = words(line).first().and_then(|(from, to)| line.get(*from..*to));
        !matches!(first, Some(b"hwaddress" | b"hw-mac-address"))
    })
}

/// A section `[Match]` without any condition is for every interface, the loopback among them: one that loses its last has a name instead.
fn networkd(text: &[u8]) -> Vec<u8> {
    let is_bound = |key: &[u8]| matches!(key, b"MACAddress" | b"PermanentMACAddress");
    let in_match = |each: &mut dyn FnMut(&[u8])| {
        let mut inside = false;
        for line in text.split(|byte| *byte == b'\n') {
            match (section(line), pair(line)) {
                (Some(name), _) => inside = name == b"Match",
                (None, Some((key, value))) if inside && !value.is_empty() => each(key),
                _ => {}
            }
        }
    };
    let mut others = false;
    in_match(&mut |key| others |= !is_bound(key));
    let mut named = others;
    let mut at: Vec<u8> = Vec::new();
    let mut out = Vec::with_capacity(text.len());
    for line in text.split_inclusive(|byte| *byte == b'\n') {
        if let Some(name) = section(line) {
            at = name.to_vec();
        }
        match pair(line) {
            Some((key, _)) if at == b"Match" && is_bound(key) => {
                if !named {
                    named = true;
                    out.extend(b"Name=eth0");
                    out.extend(line_break(line));
                }
            }
            Some((b"MACAddress", _)) if at == b"Link" => {}
            _ => out.extend(line),
        }
    }
    out
}

fn line_break(line: &[u8]) -> &'static [u8] {
    if line.ends_with(b"\r\n") {
        b"\r\n"
    } else if line.ends_with(b"\n") {
        b"\n"
    } else {
        b""
    }
}

/// A line of YAML: how far it is indented, its key, and what stands behind.
type Key<'a> = (usize, &'a [u8], &'a [u8]);

/// The key of a line; none in blank ones and comments.
fn key(line: &[u8]) -> Option<Key<'_>> {
    let bare = trimmed(line);
    if bare.is_empty() || bare.starts_with(b"#") {
        return None;
    }
    let indent = line.iter().take_while(|byte| **byte == b' ').count();
    let (key, value) = bare.iter().position(|byte| *byte == b':').and_then(|place| bare.split_at_checked(place)).unwrap_or((bare, b""));
    let value = value.strip_prefix(b":").unwrap_or(value).trim_ascii();
    Some((indent, key, value))
}

fn unquoted(text: &[u8]) -> &[u8] {
    let text = text.split(|byte| *byte == b'#').next().unwrap_or_default().trim_ascii();
    let bare = |quote: u8| text.strip_prefix(&[quote]).and_then(|text| text.strip_suffix(&[quote]));
    bare(b'"').or_else(|| bare(b'\'')).unwrap_or(text)
}

/// netplan in block style, as cloud-init and installers write it, with `match` in either style. `set-name` needs a match by the hardware
/// address, and goes with it (netplan-yaml(5)).
fn netplan(text: &[u8]) -> Vec<u8> {
    let lines: Vec<&[u8]> = text.split_inclusive(|byte| *byte == b'\n').collect();
    let keys: Vec<Option<Key<'_>>> = lines.iter().map(|line| key(line)).collect();
    let mappings = mappings(&keys);
    // What becomes of lines: another content, or none.
    let mut changed: BTreeMap<usize, Vec<u8>> = BTreeMap::new();
    let mut freed: BTreeSet<usize> = BTreeSet::new();
    for (place, line) in lines.iter().enumerate() {
        match keys.get(place).copied().flatten() {
            Some((indent, b"match", value)) => {
                let before = changed.len();
                if value.is_empty() || value.starts_with(b"#") {
                    let children = below(&keys, place, indent);
                    let bound = children.iter().filter(|(_, key)| *key == b"macaddress");
                    changed.extend(bound.clone().map(|(child, _)| (*child, vec![])));
                    if changed.len() > before && bound.count() == children.len() {
                        changed.insert(place, vec![]);
                    }
                } else if let Some(left) = flow(line) {
                    changed.insert(place, left);
                }
                if changed.len() > before {
                    freed.extend(mappings.get(place).copied().flatten());
                }
            }
            // Not a match: it gives an adapter this machine's address.
            Some((_, b"macaddress", value)) if is_address(unquoted(value)) => {
                changed.entry(place).or_default();
            }
            _ => {}
        }
    }
    for (place, (key, mapping)) in keys.iter().zip(&mappings).enumerate() {
        if key.is_some_and(|(_, key, _)| key == b"set-name") && mapping.is_some_and(|mapping| freed.contains(&mapping)) {
            changed.insert(place, vec![]);
        }
    }
    let kept = lines.iter().enumerate().map(|(place, line)| changed.get(&place).map_or(*line, Vec::as_slice));
    kept.flatten().copied().collect()
}

/// Which mapping each line with a key stands in: those of one number are siblings.
fn mappings(keys: &[Option<Key<'_>>]) -> Vec<Option<usize>> {
    let mut open: Vec<(usize, usize)> = Vec::new();
    let number = |(place, key): (usize, &Option<Key<'_>>)| {
        let (indent, ..) = (*key)?;
        while open.last().is_some_and(|(at, _)| *at > indent) {
            open.pop();
        }
        if open.last().is_none_or(|(at, _)| *at < indent) {
            open.push((indent, place));
        }
        open.last().map(|(_, first)| *first)
    };
    keys.iter().enumerate().map(number).collect()
}

/// Lines with keys that are indented deeper than that line, until one that is not.
fn below<'a>(keys: &[Option<Key<'a>>], place: usize, indent: usize) -> Vec<(usize, &'a [u8])> {
    let after = keys.iter().enumerate().skip(place.saturating_add(1));
    let deeper = after.filter_map(|(place, key)| key.map(|(at, key, _)| (place, at, key))).take_while(|(_, at, _)| *at > indent);
    deeper.map(|(place, _, key)| (place, key)).collect()
}

/// `match: {macaddress: "…", driver: x}` without the address: empty where nothing else is in it, `None` where there is no address or it
/// is not understood.
fn flow(line: &[u8]) -> Option<Vec<u8>> {
    let (open, close) = (line.iter().position(|byte| *byte == b'{')?, line.iter().rposition(|byte| *byte == b'}')?);
    let inner = line.get(open.checked_add(1)?..close)?;
    let parts: Vec<&[u8]> = inner.split(|byte| *byte == b',').map(<[u8]>::trim_ascii).collect();
    let left: Vec<&[u8]> = parts.iter().copied().filter(|part| !part.starts_with(b"macaddress:")).collect();
    if left.len() == parts.len() || inner.iter().any(|byte| b"{}[]".contains(byte)) {
        return None;
    }
    if left.is_empty() {
        return Some(vec![]);
    }
    Some([line.get(..=open)?, &left.join(&b", "[..]), line.get(close..)?].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edited(dialect: usize, path: &str, before: &str) -> Option<String> {
        let dialect = &DIALECTS[dialect];
        let after = (dialect.edit)(before.as_bytes());
        is_freed(dialect, path, before.as_bytes(), &after).then(|| String::from_utf8(after).unwrap())
    }

    #[test]
    fn netplan_documents() {
        let head = "network:\n  version: 2\n  ethernets:\n";
        for (before, after) in [
            (
                "    eth0:\n      match:\n        # x\n        macaddress: 00:0d:3a:11:22:33\n        driver: hv_netvsc\n      set-name: eth0\n      dhcp4: yes\n",
                Some("    eth0:\n      match:\n        # x\n        driver: hv_netvsc\n      dhcp4: yes\n"),
            ),
            (
                "    eth0:\r\n      set-name: \"eth0\"\r\n      match: {macaddress: '00:0d:3a:11:22:33'}\r\n      dhcp4: true\r\n",
                Some("    eth0:\r\n      dhcp4: true\r\n"),
            ),
            (
                "    eth0:\n      dhcp4: true\n      match: {macaddress: \"00:0d:3a:11:22:33\", name: \"eth*\"} # x",
                Some("    eth0:\n      dhcp4: true\n      match: {name: \"eth*\"} # x"),
            ),
            ("    eth0:\n      macaddress: 00:0d:3a:11:22:33\n      dhcp4: true\n", Some("    eth0:\n      dhcp4: true\n")),
            (
                "    a:\n      match:\n        macaddress: 00:0d:3a:11:22:33\n      set-name: eth0\n      dhcp4: true\n    b:\n      set-name: b\n      match: {driver: x}\n",
                None,
            ),
            ("    eth0: {dhcp4: true, match: {macaddress: 00:0d:3a:11:22:33}}\n", None),
        ] {
            let expected = after.map(|after| format!("{head}{after}"));
            assert_eq!(edited(0, "/etc/netplan/a.yaml", &format!("{head}{before}")), expected, "{before}");
        }
        assert!(edited(0, "/etc/netplan/a.yaml", "a: [b").is_none());
    }

    #[test]
    fn the_other_dialects() {
        for (dialect, path, before, after) in [
            (
                1,
                "/etc/sysconfig/network-scripts/ifcfg-eth0",
                "DEVICE=eth0\r\nHWADDR=\"00:0D:3A\"\r\nMACADDR=00:11\r\nX=1",
                "DEVICE=eth0\r\nX=1",
            ),
            (1, "/etc/sysconfig/network/ifcfg-eth0", "BOOTPROTO='dhcp'\n#HWADDR=x\nLLADDR='00:0d'\n", "BOOTPROTO='dhcp'\n#HWADDR=x\n"),
            (
                2,
                "",
                "[connection]\ntype=ethernet\n[ethernet]\nmac-address=00:0D:3A:11:22:33\ncloned-mac-address=00:0D:3A:11:22:33\nmtu=1500\n[wifi]\nmac-address=00:11\n",
                "[connection]\ntype=ethernet\n[ethernet]\nmtu=1500\n[wifi]\nmac-address=00:11\n",
            ),
            (2, "", "[802-3-ethernet]\nmac-address=0\ncloned-mac-address=stable\n", "[802-3-ethernet]\ncloned-mac-address=stable\n"),
            (
                3,
                "",
                "auto eth0\niface eth0 inet dhcp\n  hwaddress ether 00:01:02:03:04:05\n  mtu 1500\n",
                "auto eth0\niface eth0 inet dhcp\n  mtu 1500\n",
            ),
            (4, "", "[Match]\nMACAddress=00:0d\n[Network]\nDHCP=yes\n", "[Match]\nName=eth0\n[Network]\nDHCP=yes\n"),
            (
                4,
                "",
                "[Match]\nPermanentMACAddress=00:0d\nName=eth0\n[Link]\nMACAddress=00:0d\nMTUBytes=1500",
                "[Match]\nName=eth0\n[Link]\nMTUBytes=1500",
            ),
        ] {
            assert_eq!(edited(dialect, path, before).as_deref(), Some(after), "{before}");
            assert_eq!(edited(dialect, path, after).as_deref(), Some(after), "a second time: {after}");
        }
    }

    #[test]
    fn hostile_files_stay_as_they_are() {
        let mut texts: Vec<Vec<u8>> =
            vec![b"\xff\xfe: match: {\n}\xff".to_vec(), vec![b' '; 100_000], b"match:".to_vec(), b"match: {".to_vec(), b"[".to_vec()];
        texts.push(b"a:\n".repeat(20_000));
        texts.push(b"match:\n".repeat(200_000));
        for text in texts {
            for dialect in DIALECTS {
                assert_eq!((dialect.edit)(&text), text);
            }
        }
        let many = b"match:\n macaddress: 00:0d:3a:11:22:33\nset-name: x\n".repeat(100_000);
        assert_eq!(netplan(&many), b"");
    }
}
