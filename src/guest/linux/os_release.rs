//! Which distribution a Linux is.
//!
//! os-release(5) says it in assignments that a shell could read; systems from before 2012 have a line of their own in a file of their
//! own, whose wording is taken from the files that those distributions shipped.

/// What a distribution says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Release {
    /// `ID`: `debian`, `rhel`.
    pub id: Option<String>,
    /// `ID_LIKE`: what it descends from, the closest first.
    pub id_like: Vec<String>,
    /// `VERSION_ID`.
    pub version: Option<String>,
    /// `PRETTY_NAME`, or else `NAME` with `VERSION`.
    pub name: Option<String>,
    /// `VARIANT_ID`.
    pub variant: Option<String>,
    /// `VERSION_CODENAME`.
    pub codename: Option<String>,
}

/// The assignments of a text that a shell could read (os-release(5), "description"): names and values, quotes and escapes resolved.
/// Lines that assign nothing are passed over. Nothing is expanded.
#[must_use]
pub fn assignments(text: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut rest = text.chars().peekable();
    while rest.peek().is_some() {
        let mut name = String::new();
        let end = loop {
            match rest.next() {
                Some(sign @ ('=' | '\n')) => break Some(sign),
                Some(letter) => name.push(letter),
                None => break None,
            }
            if name.starts_with('#') {
                break Some('#');
            }
        };
        match end {
            Some('=') => {
                let value = value(&mut rest);
                let name = name.trim_start();
                let name = name.strip_prefix("export ").map_or(name, str::trim_start);
                if !name.is_empty() && name.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_') {
                    found.push((name.to_owned(), value));
                }
            }
            Some('#') => while rest.next().is_some_and(|letter| letter != '\n') {},
            _ => {}
        }
    }
    found
}

/// A value up to the end of its line.
fn value(rest: &mut std::iter::Peekable<std::str::Chars<'_>>) -> String {
    let mut value = String::new();
    let mut quote = None;
    // How much of the value stays when blanks at its end go: those within quotes are meant.
    let mut kept = 0;
    while let Some(letter) = rest.next() {
        match (quote, letter) {
            (None, '\n') => break,
            (None, '\'' | '"') => quote = Some(letter),
            (Some(open), _) if open == letter => quote = None,
            (None | Some('"'), '\\') => match rest.next() {
                Some('\n') => {}
                Some(next @ ('"' | '\\' | '`' | '$')) => value.push(next),
                Some(next) if quote.is_none() => value.push(next),
                Some(next) => value.extend(['\\', next]),
                None => {}
            },
            (None, ' ' | '\t' | '\r') => {
                value.push(letter);
                continue;
            }
            _ => value.push(letter),
        }
        kept = value.len();
    }
    value.truncate(kept);
    value
}

/// Reads os-release.
#[must_use]
pub fn os_release(text: &str) -> Release {
    let all = assignments(text);
    let get = |name: &str| all.iter().rev().find_map(|(known, value)| (known == name && !value.is_empty()).then(|| value.clone()));
    let name = get("PRETTY_NAME").or_else(|| match (get("NAME"), get("VERSION")) {
        (Some(name), Some(version)) => Some(format!("{name} {version}")),
        (name, _) => name,
    });
    let id_like = get("ID_LIKE").map(|like| like.split_whitespace().map(str::to_owned).collect()).unwrap_or_default();
    let (version, variant, codename) = (get("VERSION_ID"), get("VARIANT_ID"), get("VERSION_CODENAME"));
    Release { id: get("ID"), id_like, version, name, variant, codename }
}

/// Reads `/etc/redhat-release` and its like: one line, `CentOS release 6.10 (Final)`.
#[must_use]
pub fn redhat_release(text: &str) -> Option<Release> {
    const IDS: &[(&str, &str)] = &[
        ("AlmaLinux", "almalinux"),
        ("CentOS", "centos"),
        ("Fedora", "fedora"),
        ("Oracle", "ol"),
        ("Red Hat", "rhel"),
        ("Rocky", "rocky"),
        ("Scientific", "scientific"),
    ];
    let line = text.lines().map(str::trim).find(|line| !line.is_empty())?;
    let (_, id) = IDS.iter().find(|(start, _)| line.starts_with(start))?;
    let version = line.split_once(" release ").and_then(|(_, after)| after.split_whitespace().next());
    let id_like = if *id == "fedora" { vec![] } else { vec!["fedora".to_owned()] };
    Some(Release {
        id: Some((*id).to_owned()),
        id_like,
        version: version.map(str::to_owned),
        name: Some(line.to_owned()),
        ..Release::default()
    })
}

/// Reads `/etc/SuSE-release`: a title, then `VERSION` and `PATCHLEVEL`.
#[must_use]
pub fn suse_release(text: &str) -> Option<Release> {
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let title = lines.next()?;
    let number = |wanted: &str| {
        let mut pairs = text.lines().filter_map(|line| line.split_once('='));
        pairs.find_map(|(name, value)| (name.trim() == wanted).then(|| value.trim().to_owned()))
    };
    let version = match (number("VERSION"), number("PATCHLEVEL")) {
        (Some(version), Some(patch)) if patch != "0" && !version.contains('.') => Some(format!("{version}.{patch}")),
        (version, _) => version,
    };
    let id = if title.starts_with("openSUSE") { "opensuse" } else { "sles" };
    let title = title.split(" (").next().unwrap_or(title);
    Some(Release { id: Some(id.to_owned()), id_like: vec!["suse".to_owned()], version, name: Some(title.to_owned()), ..Release::default() })
}

/// Reads `/etc/lsb-release` of Ubuntu before it had os-release.
#[must_use]
pub fn lsb_release(text: &str) -> Option<Release> {
    let all = assignments(text);
    let get = |name: &str| all.iter().find_map(|(known, value)| (known == name).then(|| value.clone()));
    let id = get("DISTRIB_ID")?.to_lowercase();
    let (version, name, codename) = (get("DISTRIB_RELEASE"), get("DISTRIB_DESCRIPTION"), get("DISTRIB_CODENAME"));
    Some(Release { id: Some(id), version, name, codename, ..Release::default() })
}

/// Reads a file that is nothing but a version: `/etc/debian_version` and `/etc/alpine-release`.
#[must_use]
pub fn bare_version(id: &str, title: &str, text: &str) -> Option<Release> {
    let version = text.lines().map(str::trim).find(|line| !line.is_empty())?;
    let (id, name) = (Some(id.to_owned()), Some(format!("{title} {version}")));
    Some(Release { id, version: Some(version.to_owned()), name, ..Release::default() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn some(text: &str) -> Option<String> {
        Some(text.to_owned())
    }

    #[test]
    fn assignments_follow_the_shell() {
        for (text, value) in [
            ("A=b", "b"),
            ("A=\"b c\"", "b c"),
            ("A='b $c \\d'", "b $c \\d"),
            ("A=\"a\\\"b\\$c\\\\d\\x\"", "a\"b$c\\d\\x"),
            ("A=a\\ b", "a b"),
            ("A=b  \t\nB=1", "b"),
            ("A=\"b  \"", "b  "),
            ("A=b'c'\"d\"", "bcd"),
            ("A=", ""),
            ("  A=b\r\n", "b"),
            ("export A=b", "b"),
            ("A=\"two\nlines\"", "two\nlines"),
            ("A=a\\\nb", "ab"),
            ("A=\"open", "open"),
        ] {
            assert_eq!(assignments(text).first(), Some(&("A".to_owned(), value.to_owned())), "{text:?}");
        }
        assert_eq!(assignments("# A=b\n\nno line\nA B=c\n=d\n;E=f"), []);
    }

    #[test]
    fn os_release_is_read() {
        let text = "PRETTY_NAME=\"SUSE Linux Enterprise Server 15 SP4\"\nNAME='SLES'\nID=\"sles\"\nID_LIKE=\"suse  x\"\nVERSION_ID=\"15.4\"\nVARIANT_ID=hpc\nVERSION_CODENAME=\n";
        let release = os_release(text);
        assert_eq!((release.id, release.version, release.variant, release.codename), (some("sles"), some("15.4"), some("hpc"), None));
        assert_eq!((release.id_like, release.name), (vec!["suse".to_owned(), "x".to_owned()], some("SUSE Linux Enterprise Server 15 SP4")));
        assert_eq!(os_release("NAME=A\nVERSION=2").name, some("A 2"));
        assert_eq!(os_release(""), Release::default());
    }

    #[test]
    fn older_files_are_read() {
        for (text, id, version) in [
            ("CentOS release 6.10 (Final)\n", "centos", some("6.10")),
            ("CentOS Linux release 7.9.2009 (Core)\n", "centos", some("7.9.2009")),
            ("Red Hat Enterprise Linux Server release 6.9 (Santiago)", "rhel", some("6.9")),
            ("Oracle Linux Server release 6.8\n", "ol", some("6.8")),
            ("Fedora release 17 (Beefy Miracle)", "fedora", some("17")),
            ("Red Hat Enterprise Linux", "rhel", None),
        ] {
            let release = redhat_release(text).unwrap();
            assert_eq!((release.id, release.version), (some(id), version), "{text}");
        }
        assert_eq!(redhat_release("\n"), None);
        assert_eq!(redhat_release("Something else release 1"), None);
        let suse = suse_release("SUSE Linux Enterprise Server 11 (x86_64)\nVERSION = 11\nPATCHLEVEL = 4\n").unwrap();
        assert_eq!((suse.id, suse.version, suse.name), (some("sles"), some("11.4"), some("SUSE Linux Enterprise Server 11")));
        let suse = suse_release("openSUSE 13.2 (x86_64)\nVERSION = 13.2\nCODENAME = Harlequin\n").unwrap();
        assert_eq!((suse.id, suse.version), (some("opensuse"), some("13.2")));
        let ubuntu = lsb_release("DISTRIB_ID=Ubuntu\nDISTRIB_RELEASE=10.04\nDISTRIB_DESCRIPTION=\"Ubuntu 10.04.4 LTS\"\n").unwrap();
        assert_eq!((ubuntu.id, ubuntu.version, ubuntu.name), (some("ubuntu"), some("10.04"), some("Ubuntu 10.04.4 LTS")));
        assert_eq!(bare_version("debian", "Debian GNU/Linux", "6.0.10\n").unwrap().name, some("Debian GNU/Linux 6.0.10"));
        assert_eq!(bare_version("debian", "Debian GNU/Linux", " \n"), None);
    }
}
