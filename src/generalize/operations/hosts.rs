//! Lines of `/etc/hosts` that name this machine: hosts(5).

use super::lines::words;
use crate::rules::template::is_neutral;
use std::net::IpAddr;

/// The names of this machine.
pub(super) struct Own {
    /// As it was set, and its first part; none where it has no name of its own.
    names: Vec<String>,
}

impl Own {
    /// From the host name.
    pub(super) fn of(host: Option<&str>) -> Self {
        let mut names = Vec::new();
        if let Some(host) = host.map(str::trim).filter(|host| !is_neutral(host)) {
            names.push(host.to_ascii_lowercase());
            names.extend(host.split_once('.').map(|(first, _)| first.to_ascii_lowercase()));
        }
        Self { names }
    }

    /// Whether a name is this machine's, with a domain or without.
    pub(super) fn is(&self, name: &str) -> bool {
        let name = name.trim_end_matches('.').to_ascii_lowercase();
        self.names.iter().any(|own| name == *own || name.strip_prefix(own.as_str()).is_some_and(|rest| rest.starts_with('.')))
    }

    /// Whether a name is this machine's as it was set.
    fn is_exactly(&self, name: &str) -> bool {
        self.names.iter().any(|own| name.eq_ignore_ascii_case(own))
    }
}

/// A line without the names of this machine; `None` where no other name is left.
pub(super) fn without(line: &[u8], own: &Own) -> Option<Vec<u8>> {
    let code = line.split(|byte| *byte == b'#').next().unwrap_or_default();
    let words = words(code);
    let text = |(from, to): &(usize, usize)| code.get(*from..*to).map(String::from_utf8_lossy).unwrap_or_default();
    let names: Vec<_> = words.iter().skip(1).map(text).collect();
    let Some(address) = words.first().and_then(|word| text(word).parse::<IpAddr>().ok()) else { return Some(line.to_vec()) };
    // Debian's address for the machine's own name.
    let for_the_name = matches!(address, IpAddr::V4(address) if address.octets() == [127, 0, 1, 1]);
    // Another machine may share the first part of the name, and not all of it: a line is this one's where it has the name as it was set.
    let concerns = for_the_name || is_loopback(address) || (is_private(address) && names.iter().any(|name| own.is_exactly(name)));
    let goes = |name: &str| concerns && !is_neutral(name) && (for_the_name || own.is(name));
    if !names.iter().any(|name| goes(name)) {
        return Some(line.to_vec());
    }
    if names.iter().all(|name| goes(name)) {
        return None;
    }
    let mut out = Vec::with_capacity(line.len());
    let mut at = 0;
    for (place, (from, to)) in words.iter().enumerate() {
        if place == 0 || !goes(&text(&(*from, *to))) {
            out.extend(line.get(at..*to).unwrap_or_default());
        }
        at = *to;
    }
    out.extend(line.get(at..).unwrap_or_default());
    Some(out)
}

fn is_loopback(address: IpAddr) -> bool {
    address.is_loopback()
}

/// Addresses of local networks: RFC 1918, RFC 6598, RFC 4193, link-local ones.
fn is_private(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => {
            let [first, second, ..] = address.octets();
            address.is_private() || address.is_link_local() || (first == 100 && (64..128).contains(&second))
        }
        IpAddr::V6(address) => {
            let first = address.segments().first().copied().unwrap_or_default();
            (first & 0xfe00) == 0xfc00 || (first & 0xffc0) == 0xfe80
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines() {
        let own = Own::of(Some("web.corp.example"));
        for (line, left) in [
            ("127.0.1.1 web.corp.example web", None),
            ("127.0.1.1 other", None),
            ("127.0.1.1 localhost web # x", Some("127.0.1.1 localhost # x")),
            ("127.0.0.1\tlocalhost WEB\r", Some("127.0.0.1\tlocalhost\r")),
            ("::1 web localhost", Some("::1 localhost")),
            ("127.0.0.1 ads.example", Some("127.0.0.1 ads.example")),
            ("10.1.2.3 web.corp.example web", None),
            ("fd00::5 web db", Some("fd00::5 db")),
            ("10.1.2.4 web.other.example", Some("10.1.2.4 web.other.example")),
            ("10.1.2.4 web-02 db", Some("10.1.2.4 web-02 db")),
            ("203.0.113.7 web", Some("203.0.113.7 web")),
            ("# 127.0.1.1 web", Some("# 127.0.1.1 web")),
            ("no.address web", Some("no.address web")),
            ("127.0.1.1", Some("127.0.1.1")),
            ("", Some("")),
        ] {
            assert_eq!(without(line.as_bytes(), &own).map(|line| String::from_utf8(line).unwrap()).as_deref(), left, "{line}");
        }
        let raw = b"127.0.0.1 localhost web \xff\xfe";
        assert_eq!(without(raw, &own).as_deref(), Some(&b"127.0.0.1 localhost \xff\xfe"[..]));
        assert_eq!(without(b"10.0.0.1 web", &Own::of(Some("localhost.localdomain"))).as_deref(), Some(&b"10.0.0.1 web"[..]));
        let long = format!("10.0.0.1 {}", "a ".repeat(50_000));
        assert_eq!(without(long.as_bytes(), &own).as_deref(), Some(long.as_bytes()));
    }
}
