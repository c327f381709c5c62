//! Assignments in Python sources: where programs written in Python keep their version.

/// The text that a module assigns to a name, at the start of a line: `AGENT_VERSION = '2.7.3.0'`. `None` where it assigns none, or more
/// than a plain literal.
#[must_use]
pub fn assigned_text(source: &str, name: &str) -> Option<String> {
    source.lines().find_map(|line| {
        let value = line.strip_prefix(name)?.trim_start().strip_prefix('=')?.trim();
        let quote = value.chars().next().filter(|sign| matches!(sign, '"' | '\''))?;
        let (text, rest) = value.strip_prefix(quote)?.split_once(quote)?;
        let rest = rest.trim_start();
        let plain = !text.contains('\\') && (rest.is_empty() || rest.starts_with('#'));
        plain.then(|| text.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_literals_are_taken() {
        for (source, text) in [
            ("AGENT_VERSION = '2.7.3.0'\n", Some("2.7.3.0")),
            ("x = 1\nAGENT_VERSION=\"2.9\"  # now\n", Some("2.9")),
            ("AGENT_VERSION = get()\n", None),
            ("AGENT_VERSION_2 = '1'\n", None),
            (" AGENT_VERSION = '1'\n", None),
            ("AGENT_VERSION = '1' + '2'\n", None),
            ("AGENT_VERSION = '1\n", None),
            ("AGENT_VERSION = '", None),
            ("", None),
        ] {
            assert_eq!(assigned_text(source, "AGENT_VERSION").as_deref(), text, "{source:?}");
        }
    }
}
