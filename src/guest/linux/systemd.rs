//! Files of systemd (systemd.syntax(7)): sections, and settings in them.

/// A setting: section, name, value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// Its section, without brackets.
    pub section: String,
    /// Its name.
    pub name: String,
    /// Its value; lines that go on are joined by a blank.
    pub value: String,
}

/// The settings of a file in their order.
#[must_use]
pub fn settings(text: &str) -> Vec<Setting> {
    let (mut found, mut section, mut pending) = (Vec::new(), String::new(), String::new());
    for line in text.lines().chain([""]) {
        let line = line.trim();
        if line.starts_with(['#', ';']) {
            continue;
        }
        let (line, goes_on) = line.strip_suffix('\\').map_or((line, false), |line| (line.trim_end(), true));
        if !pending.is_empty() && !line.is_empty() {
            pending.push(' ');
        }
        pending.push_str(line);
        if goes_on {
            continue;
        }
        let whole = std::mem::take(&mut pending);
        if let Some(name) = whole.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            name.clone_into(&mut section);
        } else if let Some((name, value)) = whole.split_once('=') {
            found.push(Setting { section: section.clone(), name: name.trim_end().to_owned(), value: value.trim_start().to_owned() });
        }
    }
    found
}

/// What enabling a unit would do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Install {
    /// It would link the unit: `WantedBy=` and its like.
    Links,
    /// It would enable others alone: `Also=`.
    OthersOnly,
    /// Nothing: there is no such section.
    Nothing,
}

/// What the `[Install]` section of a unit says (systemd.unit(5)).
#[must_use]
pub fn install(text: &str) -> Install {
    let all = settings(text);
    let has = |names: &[&str]| {
        all.iter().any(|setting| setting.section == "Install" && names.contains(&setting.name.as_str()) && !setting.value.is_empty())
    };
    match (has(&["WantedBy", "RequiredBy", "UpheldBy", "Alias"]), has(&["Also"])) {
        (true, _) => Install::Links,
        (_, true) => Install::OthersOnly,
        _ => Install::Nothing,
    }
}

/// The assignments of a value like that of `DefaultEnvironment=`: words with `=`, quoted as a whole or in part.
#[must_use]
pub fn environment(value: &str) -> Vec<(String, String)> {
    let (mut words, mut word, mut quote) = (Vec::new(), String::new(), None);
    let mut letters = value.chars();
    while let Some(letter) = letters.next() {
        match (quote, letter) {
            (None, '"' | '\'') => quote = Some(letter),
            (Some(open), _) if open == letter => quote = None,
            (_, '\\') => word.extend(letters.next()),
            (None, ' ' | '\t') => words.push(std::mem::take(&mut word)),
            _ => word.push(letter),
        }
    }
    words.push(word);
    words.iter().filter_map(|word| word.split_once('=')).map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_have_sections() {
        let text = "# c\n[Unit]\nDescription=a \\\n  b\nAfter = x\n; c\n[Install]\nWantedBy=multi-user.target\nno setting\n";
        let found: Vec<(String, String, String)> =
            settings(text).into_iter().map(|setting| (setting.section, setting.name, setting.value)).collect();
        let expected = [("Unit", "Description", "a b"), ("Unit", "After", "x"), ("Install", "WantedBy", "multi-user.target")];
        assert_eq!(found, expected.map(|(section, name, value)| (section.to_owned(), name.to_owned(), value.to_owned())));
        assert_eq!(settings("A=b\\"), settings("A=b"));
    }

    #[test]
    fn install_sections_are_told_apart() {
        for (text, install_says) in [
            ("[Install]\nWantedBy=a.target\n", Install::Links),
            ("[Install]\nAlias=b.service\n", Install::Links),
            ("[Install]\nAlso=b.socket\n", Install::OthersOnly),
            ("[Install]\nWantedBy=\n", Install::Nothing),
            ("[Unit]\nWantedBy=a.target\n", Install::Nothing),
            ("", Install::Nothing),
        ] {
            assert_eq!(install(text), install_says, "{text:?}");
        }
    }

    #[test]
    fn environments_are_split() {
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(
            environment("\"CLOUD_CFG=/etc/cloud/cloud.cfg.d/00-azure-swap.cfg\""),
            [pair("CLOUD_CFG", "/etc/cloud/cloud.cfg.d/00-azure-swap.cfg")]
        );
        assert_eq!(environment("A=b \"C=d e\" F='g h' x"), [pair("A", "b"), pair("C", "d e"), pair("F", "g h")]);
        assert_eq!(environment(""), []);
    }
}
