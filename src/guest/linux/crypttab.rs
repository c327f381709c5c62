//! `/etc/crypttab`: what is unlocked at boot. crypttab(5).

/// One line of `/etc/crypttab`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Number of the line, the first is 1.
    pub number: usize,
    /// Name of the unlocked device below `/dev/mapper`.
    pub name: String,
    /// The encrypted device, as in fstab.
    pub source: String,
    /// The key file; `None` where somebody has to type a passphrase.
    pub key: Option<String>,
    /// Options, split at commas.
    pub options: Vec<String>,
}

/// Parses the file. Lines without a second field are left out.
#[must_use]
pub fn parse(text: &str) -> Vec<Line> {
    let line = |(place, line): (usize, &str)| {
        let line = line.trim();
        if line.starts_with('#') {
            return None;
        }
        let mut fields = line.split_ascii_whitespace();
        let (name, source) = (fields.next()?, fields.next()?);
        let key = fields.next().filter(|key| !matches!(*key, "none" | "-"));
        let options = fields.next().filter(|options| *options != "-").unwrap_or_default();
        Some(Line {
            number: place.saturating_add(1),
            name: name.to_owned(),
            source: source.to_owned(),
            key: key.map(str::to_owned),
            options: options.split(',').filter(|option| !option.is_empty()).map(str::to_owned).collect(),
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
            "# comment\nroot UUID=1 none luks,discard\n\nswap /dev/sda3 /dev/urandom swap\ndata LABEL=d - tpm2-device=auto\nlone\nx y\n",
        );
        let short: Vec<_> =
            lines.iter().map(|line| (line.number, line.name.as_str(), line.key.as_deref(), line.options.join("+"))).collect();
        assert_eq!(
            short,
            [
                (2, "root", None, "luks+discard".to_owned()),
                (4, "swap", Some("/dev/urandom"), "swap".to_owned()),
                (5, "data", None, "tpm2-device=auto".to_owned()),
                (7, "x", None, String::new()),
            ]
        );
    }
}
