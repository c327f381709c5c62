//! Small files that make one machine of an installation: machine-id(5), hostname(5), hosts(5).

/// What `/etc/machine-id` holds. systemd treats each otherwise at boot (machine-id(5), "First Boot Semantics").
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MachineId {
    /// Nothing: a new id at the next boot, and no first boot.
    Empty,
    /// The word `uninitialized`: a new id at the next boot, which is a first boot.
    Uninitialized,
    /// 32 hexadecimal digits, in lower case.
    Set(String),
    /// Something that is no id; systemd makes a new one.
    Malformed,
}

/// Parses `/etc/machine-id`, or D-Bus's copy.
#[must_use]
pub fn machine_id(text: &str) -> MachineId {
    match text.trim() {
        "" => MachineId::Empty,
        "uninitialized" => MachineId::Uninitialized,
        id if id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit()) && id.bytes().any(|byte| byte != b'0') => {
            MachineId::Set(id.to_ascii_lowercase())
        }
        _ => MachineId::Malformed,
    }
}

/// The name in `/etc/hostname`: its first line that is no comment.
#[must_use]
pub fn host_name(text: &str) -> Option<String> {
    text.lines().map(str::trim).find(|line| !line.is_empty() && !line.starts_with('#')).map(str::to_owned)
}

/// The value of a variable in a file of shell assignments, the last where there are several: `HOSTNAME=web-01`.
#[must_use]
pub fn assignment(text: &str, name: &str) -> Option<String> {
    let value = |line: &str| {
        let line = line.trim();
        let line = line.strip_prefix("export ").unwrap_or(line);
        let value = line.strip_prefix(name)?.strip_prefix('=')?.trim();
        let quoted = ['"', '\''].into_iter().find_map(|quote| value.strip_prefix(quote)?.split_once(quote).map(|(inner, _)| inner));
        Some(quoted.unwrap_or_else(|| value.split_ascii_whitespace().next().unwrap_or_default()).to_owned())
    };
    text.lines().rev().find_map(value)
}

/// One line of `/etc/hosts`: its number, the address, the names.
#[must_use]
pub fn hosts(text: &str) -> Vec<(usize, String, Vec<String>)> {
    let line = |(place, line): (usize, &str)| {
        let mut words = line.split('#').next().unwrap_or_default().split_ascii_whitespace().map(str::to_owned);
        let address = words.next()?;
        Some((place.saturating_add(1), address, words.collect()))
    };
    text.lines().enumerate().filter_map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn machine_ids() {
        let id = "8f3c1d2e4b5a69788796a5b4c3d2e1f0";
        for (text, parsed) in [
            ("", MachineId::Empty),
            ("\n", MachineId::Empty),
            ("uninitialized\n", MachineId::Uninitialized),
            ("8F3C1D2E4B5A69788796A5B4C3D2E1F0\n", MachineId::Set(id.to_owned())),
            ("00000000000000000000000000000000", MachineId::Malformed),
            ("8f3c1d2e-4b5a-6978-8796-a5b4c3d2e1f0", MachineId::Malformed),
            ("Uninitialized", MachineId::Malformed),
        ] {
            assert_eq!(machine_id(text), parsed, "{text:?}");
        }
    }

    #[test]
    fn names() {
        assert_eq!(host_name("# made by x\n\n web-01 \nother\n").as_deref(), Some("web-01"));
        assert_eq!(host_name("\n"), None);
        for (text, value) in [
            ("HOSTNAME=a\nHOSTNAME=\"b c\"\n", Some("b c")),
            (" export HOSTNAME='x' # y", Some("x")),
            ("HOSTNAME=web-01 # y", Some("web-01")),
            ("XHOSTNAME=a\nHOSTNAMEX=b\n#HOSTNAME=c", None),
            ("HOSTNAME=", Some("")),
        ] {
            assert_eq!(assignment(text, "HOSTNAME").as_deref(), value, "{text}");
        }
        let parsed = hosts("127.0.0.1\tlocalhost # x\n# y\n\n127.0.1.1 web-01.example web-01\n");
        assert_eq!(parsed.len(), 2);
        assert_eq!(parsed[1], (4, "127.0.1.1".to_owned(), vec!["web-01.example".to_owned(), "web-01".to_owned()]));
    }
}
