//! Entries of the Boot Loader Specification, and systemd-boot's own configuration.
//!
//! Sources: UAPI Group, "The Boot Loader Specification" 1.0 (`loader/entries/*.conf`, `EFI/Linux/*.efi`, sorting); systemd
//! `loader.conf(5)`. Fedora's GRUB reads the same files with `blscfg`, sorts them by their names, newest first, and puts in variables of its
//! own (`$kernelopts`, `$tuned_params`).

use std::cmp::Ordering;

/// One entry.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct BlsEntry {
    /// The path of its file.
    pub path: String,
    /// `title`.
    pub title: Option<String>,
    /// `version`.
    pub version: Option<String>,
    /// `sort-key`.
    pub sort_key: Option<String>,
    /// `machine-id`.
    pub machine_id: Option<String>,
    /// `linux`: the kernel.
    pub linux: Option<String>,
    /// `initrd`, each.
    pub initrds: Vec<String>,
    /// `efi` or `uki`: another program.
    pub efi: Option<String>,
    /// `options`, those of several lines one after another; `None` where there is no such line.
    pub options: Option<String>,
}

impl BlsEntry {
    /// The name of its file, without `.conf`: what GRUB calls it.
    #[must_use]
    pub fn id(&self) -> &str {
        let name = self.file();
        name.strip_suffix(".conf").unwrap_or(name)
    }

    /// The name of its file: what systemd-boot calls it.
    #[must_use]
    pub fn file(&self) -> &str {
        self.path.rsplit(['/', '\\']).next().unwrap_or_default()
    }
}

/// Reads an entry.
#[must_use]
pub fn bls_entry(path: &str, text: &str) -> BlsEntry {
    let mut entry = BlsEntry { path: path.to_owned(), ..BlsEntry::default() };
    for (key, value) in keys(text) {
        let value = value.to_owned();
        match key {
            "title" => entry.title = Some(value),
            "version" => entry.version = Some(value),
            "sort-key" => entry.sort_key = Some(value),
            "machine-id" => entry.machine_id = Some(value),
            "linux" => entry.linux = Some(value),
            "initrd" => entry.initrds.push(value),
            "efi" | "uki" => entry.efi = Some(value),
            "options" => match &mut entry.options {
                Some(options) => {
                    options.push(' ');
                    options.push_str(&value);
                }
                none => *none = Some(value),
            },
            _ => {}
        }
    }
    entry
}

/// Puts entries in the order of Fedora's GRUB: by the name of the file, the newest first.
pub fn sort_as_grub(entries: &mut [BlsEntry]) {
    entries.sort_by(|a, b| compare(b.id(), a.id()));
}

/// Puts entries in the order of the specification: with a sort key before those without, by that, by machine, the newest version first.
pub fn sort_as_systemd(entries: &mut [BlsEntry]) {
    entries.sort_by(|a, b| {
        let by_key = match (&a.sort_key, &b.sort_key) {
            (Some(x), Some(y)) => {
                let version = compare(b.version.as_deref().unwrap_or_default(), a.version.as_deref().unwrap_or_default());
                x.cmp(y).then_with(|| a.machine_id.cmp(&b.machine_id)).then(version)
            }
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (None, None) => Ordering::Equal,
        };
        by_key.then_with(|| compare(b.id(), a.id()))
    });
}

/// systemd-boot's `loader.conf`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LoaderConf {
    /// `default`: a pattern for the names of entries.
    pub default: Option<String>,
    /// `timeout`, as it is written.
    pub timeout: Option<String>,
}

/// Reads a `loader.conf`.
#[must_use]
pub fn loader_conf(text: &str) -> LoaderConf {
    let mut conf = LoaderConf::default();
    for (key, value) in keys(text) {
        match key {
            "default" => conf.default = Some(value.to_owned()),
            "timeout" => conf.timeout = Some(value.to_owned()),
            _ => {}
        }
    }
    conf
}

/// Whether a name fits a pattern with `*` and `?`, case ignored as on the partition.
#[must_use]
pub fn fits(pattern: &str, name: &str) -> bool {
    let pattern: Vec<char> = pattern.to_lowercase().chars().collect();
    let name: Vec<char> = name.to_lowercase().chars().collect();
    let (mut p, mut n) = (0_usize, 0_usize);
    // Where to go on when what follows the last star does not fit.
    let mut retry: Option<(usize, usize)> = None;
    while n < name.len() {
        match pattern.get(p) {
            Some('*') => {
                retry = Some((p, n));
                p = p.saturating_add(1);
            }
            Some(c) if *c == '?' || Some(c) == name.get(n) => {
                p = p.saturating_add(1);
                n = n.saturating_add(1);
            }
            _ => match retry {
                Some((star, from)) => {
                    p = star.saturating_add(1);
                    n = from.saturating_add(1);
                    retry = Some((star, n));
                }
                None => return false,
            },
        }
    }
    pattern.iter().skip(p).all(|c| *c == '*')
}

/// Lines of a key and the rest.
fn keys(text: &str) -> impl Iterator<Item = (&str, &str)> {
    text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')).map(|line| {
        let (key, value) = line.split_once([' ', '\t']).unwrap_or((line, ""));
        (key, value.trim())
    })
}

/// Compares versions: runs of digits by their value, runs of letters by their bytes, a run of digits after one of letters; `~` before the
/// end, `^` after it.
#[must_use]
pub fn compare(a: &str, b: &str) -> Ordering {
    let separates = |c: char| !c.is_ascii_alphanumeric() && c != '~' && c != '^';
    let (mut a, mut b) = (a, b);
    loop {
        a = a.trim_start_matches(separates);
        b = b.trim_start_matches(separates);
        for (mark, with) in [('~', Ordering::Less), ('^', Ordering::Greater)] {
            match (a.strip_prefix(mark), b.strip_prefix(mark)) {
                (Some(x), Some(y)) => (a, b) = (x, y),
                (Some(_), None) => return if mark == '^' && !b.is_empty() { Ordering::Less } else { with },
                (None, Some(_)) => return if mark == '^' && !a.is_empty() { Ordering::Greater } else { with.reverse() },
                (None, None) => {}
            }
        }
        match (a.is_empty(), b.is_empty()) {
            (true, true) => return Ordering::Equal,
            (true, false) => return Ordering::Less,
            (false, true) => return Ordering::Greater,
            (false, false) => {}
        }
        let digits = a.starts_with(|c: char| c.is_ascii_digit());
        let (x, rest_a) = run(a, digits);
        let (y, rest_b) = run(b, digits);
        if x.is_empty() && y.is_empty() {
            // Both begin with a mark.
            continue;
        }
        if y.is_empty() {
            return if digits { Ordering::Greater } else { Ordering::Less };
        }
        let (x, y) = if digits { (x.trim_start_matches('0'), y.trim_start_matches('0')) } else { (x, y) };
        let order = if digits { x.len().cmp(&y.len()).then_with(|| x.cmp(y)) } else { x.cmp(y) };
        if order != Ordering::Equal {
            return order;
        }
        (a, b) = (rest_a, rest_b);
    }
}

/// The run of digits or of letters at the start, and the rest.
fn run(text: &str, digits: bool) -> (&str, &str) {
    let end = text.find(|c: char| if digits { !c.is_ascii_digit() } else { !c.is_ascii_alphabetic() }).unwrap_or(text.len());
    text.split_at_checked(end).unwrap_or((text, ""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared() {
        for (a, b) in [
            ("5.14.0-70", "5.14.0-427"),
            ("5.14.0-427.el9", "5.14.0-427.13.1.el9_4"),
            ("6.1.0~rc1", "6.1.0"),
            ("6.1.0", "6.1.0^git1"),
            ("6.1.0^git1", "6.1.0.1"),
            ("0-rescue-abc", "5.14.0"),
            ("a", "1"),
            ("09", "10"),
            ("abc", "abd"),
        ] {
            assert_eq!((compare(a, b), compare(b, a)), (Ordering::Less, Ordering::Greater), "{a} {b}");
        }
        for (a, b) in [("1.0", "1-0"), ("010", "10"), ("", ""), ("~~", "~~"), ("ä", "")] {
            assert_eq!(compare(a, b), Ordering::Equal, "{a} {b}");
        }
    }

    #[test]
    fn entries_are_read() {
        let entry = bls_entry(
            "/boot/loader/entries/0123-5.14.0.conf",
            "title Some Linux (5.14.0)\nversion\t5.14.0\n# a comment\nlinux /vmlinuz-5.14.0\ninitrd /a.img $tuned_initrd\ninitrd /b.img\n\
             options root=/dev/mapper/r-root ro\noptions $tuned_params\ngrub_users $grub_users\nid x\n",
        );
        assert_eq!((entry.id(), entry.file()), ("0123-5.14.0", "0123-5.14.0.conf"));
        assert_eq!(entry.title.as_deref(), Some("Some Linux (5.14.0)"));
        assert_eq!(entry.options.as_deref(), Some("root=/dev/mapper/r-root ro $tuned_params"));
        assert_eq!((entry.linux.as_deref(), entry.initrds.len()), (Some("/vmlinuz-5.14.0"), 2));
        assert_eq!(bls_entry("x", "title").title.as_deref(), Some(""));
        assert_eq!(bls_entry("x", "").options, None);
    }

    fn named(path: &str, more: &str) -> BlsEntry {
        bls_entry(path, more)
    }

    #[test]
    fn each_loader_has_its_order() {
        let mut all = vec![named("e/id-0-rescue.conf", ""), named("e/id-5.14.0-70.conf", ""), named("e/id-5.14.0-427.conf", "")];
        sort_as_grub(&mut all);
        assert_eq!(all.iter().map(BlsEntry::id).collect::<Vec<_>>(), ["id-5.14.0-427", "id-5.14.0-70", "id-0-rescue"]);
        let mut all = vec![
            named("e/b.conf", "version 3"),
            named("e/c.conf", "sort-key xxxx\nversion 5\nmachine-id 3"),
            named("e/cx.conf", "sort-key xxxx\nversion 10\nmachine-id 3"),
            named("e/d.conf", "sort-key kkkk\nversion 100\nmachine-id 8"),
            named("e/a-5.conf", "version 5"),
            named("e/a-10.conf", "version 10"),
        ];
        sort_as_systemd(&mut all);
        assert_eq!(all.iter().map(BlsEntry::id).collect::<Vec<_>>(), ["d", "cx", "c", "b", "a-10", "a-5"]);
    }

    #[test]
    fn patterns_fit_names() {
        for (pattern, name, right) in [
            ("arch.conf", "ARCH.conf", true),
            ("arch*", "arch-lts.conf", true),
            ("*-6.?.conf", "id-6.1.conf", true),
            ("*-6.?.conf", "id-6.10.conf", false),
            ("", "", true),
            ("*", "", true),
            ("a", "", false),
            ("*a*b*a", &"ab".repeat(2000), false),
        ] {
            assert_eq!(fits(pattern, name), right, "{pattern} {name}");
        }
    }

    #[test]
    fn the_loader_has_settings() {
        let conf = loader_conf("# x\n#default no\ndefault  arch-*\ntimeout menu-force\n");
        assert_eq!((conf.default.as_deref(), conf.timeout.as_deref()), (Some("arch-*"), Some("menu-force")));
    }
}
