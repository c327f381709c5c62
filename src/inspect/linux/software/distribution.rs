//! Which distribution it is, and for which machine it was built.

use crate::bytes::{ReadAt, read_array};
use crate::facts::Fact;
use crate::fs::{Error, Tree};
use crate::guest::elf;
use crate::guest::linux::os_release::{self, Release};

/// Files from before os-release, and how they are read; the more telling first.
type Reader = fn(&str) -> Option<Release>;
const OLDER: &[(&str, Reader)] = &[
    ("/etc/oracle-release", os_release::redhat_release),
    ("/etc/redhat-release", os_release::redhat_release),
    ("/etc/SuSE-release", os_release::suse_release),
    ("/etc/lsb-release", os_release::lsb_release),
    ("/etc/alpine-release", |text| os_release::bare_version("alpine", "Alpine Linux", text)),
    ("/etc/debian_version", |text| os_release::bare_version("debian", "Debian GNU/Linux", text)),
];

/// Programs whose headers tell the architecture.
const PROGRAMS: &[&str] = &[
    "/bin/sh",
    "/usr/bin/bash",
    "/usr/bin/env",
    "/usr/bin/login",
    "/bin/busybox",
    "/usr/lib/systemd/systemd",
    "/lib/systemd/systemd",
    "/sbin/init",
    "/usr/sbin/sshd",
];
const LOADERS: &[&str] = &["/lib64/ld-*", "/lib/ld-*", "/usr/lib64/ld-*", "/usr/lib/ld-*", "/lib/*/ld-*"];
/// Bytes of a header that are looked at.
const HEADER: u64 = 64;

/// A distribution.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(in crate::inspect) struct Distribution {
    /// `ID`: `debian`.
    pub(in crate::inspect) id: Fact<String>,
    /// `ID_LIKE`.
    pub(in crate::inspect) id_like: Vec<String>,
    /// `VERSION_ID`: `12`.
    pub(in crate::inspect) version: Fact<String>,
    /// What people call it.
    pub(in crate::inspect) name: Fact<String>,
    /// `VARIANT_ID`.
    pub(in crate::inspect) variant: Option<String>,
    /// `VERSION_CODENAME`.
    pub(in crate::inspect) codename: Option<String>,
    /// The point release where os-release has none: `12.11` of `/etc/debian_version`, `7.9.2009` of `/etc/redhat-release`.
    pub(in crate::inspect) point_release: Option<String>,
}

/// Which distribution it is.
pub(in crate::inspect) fn distribution(tree: &Tree) -> Distribution {
    match read(tree) {
        Ok(Some((release, point_release))) => Distribution {
            id: release.id.into(),
            id_like: release.id_like,
            version: release.version.into(),
            name: release.name.into(),
            variant: release.variant,
            codename: release.codename,
            point_release,
        },
        Ok(None) => Distribution::default(),
        Err(error) => {
            let unknown = || Fact::unknown(error.to_string());
            Distribution { id: unknown(), version: unknown(), name: unknown(), ..Distribution::default() }
        }
    }
}

fn read(tree: &Tree) -> Result<Option<(Release, Option<String>)>, Error> {
    for path in ["/etc/os-release", "/usr/lib/os-release"] {
        let Some(text) = tree.text(path)? else { continue };
        let release = os_release::os_release(&text);
        // What os-release says is enough, even if the other file cannot be read.
        let more = match release.id.as_deref() {
            Some("debian") => older(tree, "/etc/debian_version"),
            Some("centos") => older(tree, "/etc/redhat-release"),
            _ => None,
        };
        let point_release = more.and_then(|more| more.version).filter(|version| version.contains('.'));
        return Ok(Some((release, point_release)));
    }
    for (path, reader) in OLDER {
        if let Some(release) = tree.text(path)?.and_then(|text| reader(&text)) {
            return Ok(Some((release, None)));
        }
    }
    Ok(None)
}

fn older(tree: &Tree, wanted: &str) -> Option<Release> {
    let (path, reader) = OLDER.iter().find(|(path, _)| *path == wanted)?;
    reader(&tree.text(path).ok()??)
}

/// For which machine its programs were built: `x64`, `x86`, `Arm64`.
pub(in crate::inspect) fn architecture(tree: &Tree) -> Fact<String> {
    let mut trouble = None;
    let mut look = |path: &str| match header(tree, path) {
        Ok(found) => found,
        Err(error) => {
            trouble.get_or_insert(error);
            None
        }
    };
    if let Some(found) = PROGRAMS.iter().find_map(|path| look(path)) {
        return Fact::Known(found);
    }
    for pattern in LOADERS {
        if let Some(found) = tree.glob(pattern).unwrap_or_default().iter().find_map(|path| look(path)) {
            return Fact::Known(found);
        }
    }
    trouble.map_or(Fact::Absent, |error| Fact::unknown(error.to_string()))
}

fn header(tree: &Tree, path: &str) -> Result<Option<String>, Error> {
    let Some(bytes) = tree.open(path)? else { return Ok(None) };
    if bytes.size() < HEADER {
        return Ok(None);
    }
    let header: [u8; 64] = read_array(&*bytes, 0).map_err(|error| Error::from(error).at(path))?;
    Ok(elf::architecture(&header))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fs::testing::tree;

    #[test]
    fn os_release_goes_before_older_files() {
        let tree = tree(&[
            ("/etc/os-release", "-> ../usr/lib/os-release"),
            ("/usr/lib/os-release", "ID=debian\nVERSION_ID=\"12\"\nPRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\n"),
            ("/etc/debian_version", "12.11\n"),
            ("/etc/redhat-release", "CentOS release 6.10 (Final)"),
        ]);
        let found = distribution(&tree);
        assert_eq!((found.id.value().unwrap().as_str(), found.version.value().unwrap().as_str()), ("debian", "12"));
        assert_eq!(found.point_release.as_deref(), Some("12.11"));
    }

    #[test]
    fn older_files_are_used_without_it() {
        for (path, text, id, version) in [
            ("/etc/redhat-release", "CentOS release 6.10 (Final)\n", "centos", "6.10"),
            ("/etc/SuSE-release", "SUSE Linux Enterprise Server 11 (x86_64)\nVERSION = 11\nPATCHLEVEL = 4\n", "sles", "11.4"),
            ("/etc/debian_version", "6.0.10\n", "debian", "6.0.10"),
            ("/etc/alpine-release", "3.5.2\n", "alpine", "3.5.2"),
        ] {
            let found = distribution(&tree(&[(path, text)]));
            assert_eq!((found.id, found.version), (Fact::Known(id.to_owned()), Fact::Known(version.to_owned())), "{path}");
        }
        assert_eq!(distribution(&tree(&[])), Distribution::default());
        assert!(distribution(&tree(&[("/etc/os-release", "!damaged")])).id.reason().is_some());
    }

    #[test]
    fn the_first_program_tells_the_architecture() {
        let mut elf = "\u{7f}ELF\u{2}".to_owned();
        elf.push_str(&"\u{1}".repeat(13));
        elf.push_str("\u{3e}\0");
        elf.push_str(&"\0".repeat(60));
        assert_eq!(architecture(&tree(&[("/bin/sh", "#!"), ("/lib/ld-musl-x86_64.so.1", &elf)])), Fact::Known("x64".to_owned()));
        assert_eq!(architecture(&tree(&[("/bin/sh", "!damaged"), ("/usr/bin/env", &elf)])), Fact::Known("x64".to_owned()));
        assert!(architecture(&tree(&[("/bin/sh", "!damaged")])).reason().is_some());
        assert_eq!(architecture(&tree(&[])), Fact::Absent);
    }
}
