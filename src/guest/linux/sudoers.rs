//! sudoers(5): who may become whom. Enough of the grammar to name the rules; aliases are not expanded.

/// What one line says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Line {
    /// `Defaults` with its settings.
    Defaults(String),
    /// `#include`, `@include`: a file.
    Include(String),
    /// `#includedir`, `@includedir`: a directory.
    IncludeDirectory(String),
    /// A user specification.
    Rule {
        /// Users, `%groups` or aliases before the hosts.
        who: Vec<String>,
        /// Whether no password is asked for.
        no_password: bool,
        /// Whether it lets its users do everything: `ALL` as the commands.
        everything: bool,
        /// Whether it is `ALL ALL=(ALL) ALL`, which with `targetpw` means whoever knows root's password.
        anybody: bool,
    },
}

/// Parses a file; each line with its number. Continued lines bear the number of their first.
#[must_use]
pub fn parse(text: &str) -> Vec<(usize, Line)> {
    let mut out = Vec::new();
    let mut joined = String::new();
    let mut first = 0_usize;
    for (place, raw) in text.lines().enumerate() {
        if joined.is_empty() {
            first = place.saturating_add(1);
        }
        if let Some(part) = raw.strip_suffix('\\') {
            joined.push_str(part);
            joined.push(' ');
            continue;
        }
        joined.push_str(raw);
        out.extend(line(&joined).map(|line| (first, line)));
        joined.clear();
    }
    out
}

fn line(text: &str) -> Option<Line> {
    let text = text.trim();
    for sign in ['#', '@'] {
        let Some(rest) = text.strip_prefix(sign) else { continue };
        let named = |word: &str| {
            rest.strip_prefix(word).filter(|rest| rest.starts_with([' ', '\t'])).map(|rest| rest.trim().trim_matches('"').to_owned())
        };
        if let Some(path) = named("includedir") {
            return Some(Line::IncludeDirectory(path));
        }
        if let Some(path) = named("include") {
            return Some(Line::Include(path));
        }
    }
    // A number sign before digits is a user id, not a comment.
    let id = text.strip_prefix('#').is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
    if text.is_empty() || (text.starts_with('#') && !id) {
        return None;
    }
    if let Some(rest) = text.strip_prefix("Defaults") {
        return Some(Line::Defaults(rest.trim().to_owned()));
    }
    if ["User_Alias", "Runas_Alias", "Host_Alias", "Cmnd_Alias", "Cmd_Alias"].iter().any(|word| text.starts_with(word)) {
        return None;
    }
    let (left, right) = text.split_once('=')?;
    let mut words: Vec<String> = left.replace(',', " ").split_ascii_whitespace().map(str::to_owned).collect();
    let hosts = words.pop()?;
    if words.is_empty() {
        return None;
    }
    let commands = right.rsplit([')', ':']).next().unwrap_or_default();
    let everything = commands.split(',').any(|command| command.trim() == "ALL");
    let anybody = words == ["ALL"] && hosts == "ALL" && everything;
    Some(Line::Rule { who: words, no_password: right.contains("NOPASSWD:"), everything, anybody })
}

/// Whether sudo reads a file of an included directory: not one whose name has a dot or ends with `~`.
#[must_use]
pub fn is_read(name: &str) -> bool {
    !name.contains('.') && !name.ends_with('~')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(who: &[&str], no_password: bool, everything: bool, anybody: bool) -> Line {
        Line::Rule { who: who.iter().map(|one| (*one).to_owned()).collect(), no_password, everything, anybody }
    }

    #[test]
    fn lines() {
        for (text, parsed) in [
            ("root ALL=(ALL:ALL) ALL", Some(rule(&["root"], false, true, false))),
            ("%sudo\tALL=(ALL:ALL) ALL", Some(rule(&["%sudo"], false, true, false))),
            ("azureuser ALL=(ALL) NOPASSWD:ALL", Some(rule(&["azureuser"], true, true, false))),
            ("a, b ALL = NOPASSWD: /bin/ls", Some(rule(&["a", "b"], true, false, false))),
            ("ALL   ALL=(ALL) ALL", Some(rule(&["ALL"], false, true, true))),
            ("#1000 ALL=(ALL) ALL", Some(rule(&["#1000"], false, true, false))),
            ("Defaults targetpw   # ask", Some(Line::Defaults("targetpw   # ask".to_owned()))),
            ("#includedir /etc/sudoers.d", Some(Line::IncludeDirectory("/etc/sudoers.d".to_owned()))),
            ("@include local", Some(Line::Include("local".to_owned()))),
            ("# a comment = b", None),
            ("User_Alias ADMINS = a, b", None),
            ("", None),
            ("nonsense", None),
        ] {
            assert_eq!(line(text), parsed, "{text}");
        }
        let continued = parse("a \\\n ALL=(ALL) \\\n ALL\nb ALL=(ALL) ALL\n");
        assert_eq!(continued.iter().map(|(number, _)| *number).collect::<Vec<_>>(), [1, 4]);
        assert!(is_read("waagent") && !is_read("a.rpmsave") && !is_read("b~"));
    }
}
