//! sshd_config(5): the settings that hold for everybody.

/// What a file says, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Line {
    /// A keyword, in lower case, and its arguments.
    Setting(usize, String, String),
    /// Files to read here; patterns are relative to `/etc/ssh`.
    Include(usize, Vec<String>),
    /// From here on settings hold for some connections only.
    Match(usize),
}

/// Parses a file. Every line bears its number.
#[must_use]
pub fn parse(text: &str) -> Vec<Line> {
    let line = |(place, line): (usize, &str)| {
        let number = place.saturating_add(1);
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            return None;
        }
        let end = line.find(|c: char| c.is_whitespace() || c == '=')?;
        let (keyword, rest) = line.split_at_checked(end)?;
        let keyword = keyword.to_ascii_lowercase();
        let rest = rest.trim_start_matches(|c: char| c.is_whitespace() || c == '=').trim();
        // A comment may follow the arguments since OpenSSH 8.5.
        let value = rest.split(" #").next().unwrap_or_default().trim().trim_matches('"').to_owned();
        Some(match keyword.as_str() {
            "include" => Line::Include(number, value.split_ascii_whitespace().map(|name| name.trim_matches('"').to_owned()).collect()),
            "match" => Line::Match(number),
            _ => Line::Setting(number, keyword, value),
        })
    };
    text.lines().enumerate().filter_map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines() {
        let lines = parse(
            "# comment\nInclude /etc/ssh/sshd_config.d/*.conf\n  PermitRootLogin=no\nClientAliveInterval 180 # three minutes\n\
             AllowUsers a b\nMatch User x\nBanner \"none\"\nlone\n",
        );
        let setting = |number, keyword: &str, value: &str| Line::Setting(number, keyword.to_owned(), value.to_owned());
        assert_eq!(
            lines,
            [
                Line::Include(2, vec!["/etc/ssh/sshd_config.d/*.conf".to_owned()]),
                setting(3, "permitrootlogin", "no"),
                setting(4, "clientaliveinterval", "180"),
                setting(5, "allowusers", "a b"),
                Line::Match(6),
                setting(7, "banner", "none"),
            ]
        );
    }
}
