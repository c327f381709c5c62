//! Files of sections: NetworkManager's keyfiles, systemd's `.network` and `.link`, and their like.

/// A setting with its section and line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// Number of the line, the first is 1.
    pub line: usize,
    /// Section, in the case of the file.
    pub section: String,
    /// Key, in the case of the file.
    pub key: String,
    /// Value, trimmed.
    pub value: String,
}

/// Parses the file: `#` and `;` begin comments at the start of a line, `\` at the end of one goes on in the next.
#[must_use]
pub fn parse(text: &str) -> Vec<Setting> {
    let mut out: Vec<Setting> = Vec::new();
    let mut section = String::new();
    let mut goes_on = false;
    for (place, raw) in text.lines().enumerate() {
        let line = raw.trim();
        if goes_on {
            goes_on = line.ends_with('\\');
            if let Some(last) = out.last_mut() {
                last.value.push(' ');
                last.value.push_str(line.trim_end_matches('\\').trim_end());
            }
            continue;
        }
        if line.is_empty() || line.starts_with(['#', ';']) {
            continue;
        }
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            section = name.trim().to_owned();
        } else if let Some((key, value)) = line.split_once('=') {
            goes_on = value.ends_with('\\');
            out.push(Setting {
                line: place.saturating_add(1),
                section: section.clone(),
                key: key.trim().to_owned(),
                value: value.trim().trim_end_matches('\\').trim_end().to_owned(),
            });
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sections_and_lines() {
        let parsed = parse("# x\n[Match]\nName=eth0 \\\n  eth1\n; y\n\n[Network]\nDHCP = yes\nlone\n");
        let short: Vec<_> = parsed.iter().map(|one| (one.line, one.section.as_str(), one.key.as_str(), one.value.as_str())).collect();
        assert_eq!(short, [(3, "Match", "Name", "eth0 eth1"), (8, "Network", "DHCP", "yes")]);
    }
}
