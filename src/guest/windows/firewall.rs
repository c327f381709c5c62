//! Rules of the Windows firewall, as the registry keeps them: a version and `key=value` pairs between bars.
//!
//! Source: [MS-GPFAS] 2.2.2, "Firewall Rule and the Firewall Rule Grammar Rule".

/// What a rule may say without being about less, without the number that later versions of the grammar add; what is not known here may
/// limit it.
const HARMLESS: [&str; 11] = ["action", "active", "dir", "protocol", "profile", "name", "desc", "embedctxt", "edge", "defer", "ra"];
/// Values of one key in a rule that are kept.
const MOST: usize = 256;

/// A rule.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Rule {
    /// Whether it counts.
    pub active: Option<bool>,
    /// `Allow`, `Block`, `ByPass`.
    pub action: Option<String>,
    /// `In` or `Out`.
    pub direction: Option<String>,
    /// The protocol's number.
    pub protocol: Option<String>,
    /// Local ports.
    pub local_ports: Vec<String>,
    /// Remote ports.
    pub remote_ports: Vec<String>,
    /// Remote addresses, of IPv4 and IPv6.
    pub remote_addresses: Vec<String>,
    /// Kinds of networks.
    pub profiles: Vec<String>,
    /// Whether it is limited to anything besides protocol, kinds of networks and remote addresses: to ports, a program, a service, an
    /// application's package, users, computers, interfaces.
    pub limited: bool,
    /// The group that it belongs to, in Windows' own programs a text of a library: `@FirewallAPI.dll,-28752`.
    pub group: Option<String>,
}

/// Parses a rule; `None` for what does not begin with a version.
#[must_use]
pub fn parse(text: &str) -> Option<Rule> {
    let mut parts = text.split('|');
    let version = parts.next()?.strip_prefix(['v', 'V'])?;
    if !version.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let mut rule = Rule::default();
    for (key, value) in parts.filter_map(|part| part.split_once('=')) {
        let lower = key.to_ascii_lowercase();
        let kind = lower.trim_end_matches(|c: char| c.is_ascii_digit() || c == '_');
        // "ra" is RA4 and RA6.
        rule.limited |= !lower.is_empty() && !HARMLESS.contains(&kind);
        let one = || Some(value.to_owned());
        let add = |list: &mut Vec<String>| {
            // The same for IPv4 and IPv6 is said once.
            if list.len() < MOST && list.last().is_none_or(|last| last != value) {
                list.push(value.to_owned());
            }
        };
        match lower.as_str() {
            "active" => rule.active = Some(value.eq_ignore_ascii_case("true")),
            "action" => rule.action = one(),
            "dir" => rule.direction = one(),
            "protocol" => rule.protocol = one(),
            "profile" => add(&mut rule.profiles),
            // Later versions of the grammar add a number for what they can say more: LPort2_10, RA42.
            key if key.starts_with("lport") => add(&mut rule.local_ports),
            key if key.starts_with("rport") => add(&mut rule.remote_ports),
            key if key.starts_with("ra4") || key.starts_with("ra6") => add(&mut rule.remote_addresses),
            "embedctxt" => rule.group = one(),
            _ => {}
        }
    }
    Some(rule)
}

impl Rule {
    /// Whether its local ports name `port`, by itself or within a range; a rule for all ports does not.
    #[must_use]
    pub fn names_local_port(&self, port: u32) -> bool {
        self.local_ports.iter().flat_map(|ports| ports.split(',')).any(|part| {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let number = |text: &str| text.trim().parse::<u32>();
            matches!((number(first), number(last)), (Ok(first), Ok(last)) if (first..=last).contains(&port))
        })
    }

    /// Whether its remote addresses name `address`: alone, as one end of a range, or with a mask.
    #[must_use]
    pub fn names_remote_address(&self, address: &str) -> bool {
        self.remote_addresses.iter().flat_map(|list| list.split([',', '-', '/'])).any(|part| part.trim() == address)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_of_windows() {
        let text = "v2.31|Action=Allow|Active=TRUE|Dir=In|Protocol=6|Profile=Domain|Profile=Private|LPort=3389|\
            App=%SystemRoot%\\system32\\svchost.exe|Svc=termservice|Name=@FirewallAPI.dll,-28775|EmbedCtxt=@FirewallAPI.dll,-28752|";
        let rule = parse(text).unwrap();
        assert_eq!((rule.active, rule.action.as_deref(), rule.direction.as_deref()), (Some(true), Some("Allow"), Some("In")));
        assert_eq!((rule.protocol.as_deref(), rule.profiles.len()), (Some("6"), 2));
        assert_eq!(rule.group.as_deref(), Some("@FirewallAPI.dll,-28752"));
        for (port, named) in [(3389, true), (338, false), (0, false)] {
            assert_eq!(rule.names_local_port(port), named);
        }
        assert!(rule.limited);
        let all = "v2.31|Action=Allow|Active=TRUE|Dir=In|Protocol=6|Profile=Public|RA42=LocalSubnet|Name=All|Desc=x|EmbedCtxt=y|";
        assert!(!parse(all).unwrap().limited);
        for more in ["LPort=80", "App=System", "Svc=x", "AppPkgId=S-1-15-2-1", "LUAuth=x", "IFType=Lan", "RPort=80", "Platform=2:6:2"] {
            assert!(parse(&format!("{all}{more}|")).unwrap().limited, "{more}");
        }
        let ranges = parse("v2.10|LPort2_10=3000-4000|LPort=80,443|RA4=168.63.129.16-168.63.129.16|RA4=10.0.0.0/255.0.0.0|").unwrap();
        assert!(ranges.names_local_port(3389) && ranges.names_local_port(443) && !ranges.names_local_port(4001));
        assert!(ranges.names_remote_address("168.63.129.16") && !ranges.names_remote_address("168.63.129.1"));
        assert!(!parse("v2.10|RA4=168.63.129.160|").unwrap().names_remote_address("168.63.129.16"));
    }

    #[test]
    fn what_is_no_rule() {
        for text in ["", "v", "x2.10|Action=Allow|", "Action=Allow|", "version|"] {
            assert_eq!(parse(text), None, "{text}");
        }
        assert_eq!(parse("v2.10|||=|a|"), Some(Rule::default()));
        let many = format!("v2.10|{}", "RA4=1.2.3.4|RA4=1.2.3.5|".repeat(10_000));
        assert_eq!(parse(&many).unwrap().remote_addresses.len(), MOST);
    }
}
