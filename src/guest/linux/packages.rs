//! Installed packages, from the text databases of dpkg, apk and pacman.

/// An installed package.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Package {
    /// Its name.
    pub name: String,
    /// Its version, with epoch and release as its manager writes them: `1:2.0-3`.
    pub version: String,
    /// Its architecture, in its manager's words: `amd64`, `x86_64`, `noarch`.
    pub architecture: String,
}

/// Gives the installed packages of dpkg's `status`, or of a file in `status.d`, to `each` (deb-status fields: dpkg-query(1), "Package").
/// A paragraph without `Status`, as those in `status.d` are, is of an installed package. Packages that are only half installed or whose
/// configuration alone is left are passed over.
pub fn dpkg(text: &str, each: &mut dyn FnMut(Package)) {
    paragraphs(
        text,
        |line| line.split_once(':').map(|(name, value)| (name, value.trim())),
        |get| {
            let installed = get("Status").is_none_or(|status| {
                let mut words = status.split_whitespace().skip(1);
                words.next() == Some("ok") && words.next() == Some("installed")
            });
            if let (true, Some(name), Some(version)) = (installed, get("Package"), get("Version")) {
                let architecture = get("Architecture").unwrap_or_default().to_owned();
                each(Package { name: name.to_owned(), version: version.to_owned(), architecture });
            }
        },
    );
}

/// Gives the packages of apk's `installed` to `each` (apk-tools, `src/database.c`: one letter, a colon and a value a line).
pub fn apk(text: &str, each: &mut dyn FnMut(Package)) {
    paragraphs(
        text,
        |line| line.split_once(':'),
        |get| {
            if let (Some(name), Some(version)) = (get("P"), get("V")) {
                let architecture = get("A").unwrap_or_default().to_owned();
                each(Package { name: name.to_owned(), version: version.to_owned(), architecture });
            }
        },
    );
}

/// The package of a `desc` of pacman's local database: a name between `%` signs, its values in the lines below.
#[must_use]
pub fn pacman(text: &str) -> Option<Package> {
    let field = |wanted: &str| {
        let mut lines = text.lines().map(str::trim);
        lines.find(|line| line.strip_prefix('%').and_then(|line| line.strip_suffix('%')) == Some(wanted))?;
        lines.next().filter(|value| !value.is_empty()).map(str::to_owned)
    };
    Some(Package { name: field("NAME")?, version: field("VERSION")?, architecture: field("ARCH").unwrap_or_default() })
}

/// Calls `each` for every run of lines without an empty one, with what finds a field in it.
fn paragraphs<'a>(
    text: &'a str,
    split: impl Fn(&'a str) -> Option<(&'a str, &'a str)>,
    mut each: impl FnMut(&dyn Fn(&str) -> Option<&'a str>),
) {
    let mut fields: Vec<(&str, &str)> = Vec::new();
    for line in text.lines().chain([""]) {
        if line.trim().is_empty() {
            if !fields.is_empty() {
                each(&|wanted| fields.iter().find_map(|(name, value)| (*name == wanted).then_some(*value)));
                fields.clear();
            }
        } else if !line.starts_with([' ', '\t']) {
            fields.extend(split(line));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(name: &str, version: &str, architecture: &str) -> Package {
        Package { name: name.to_owned(), version: version.to_owned(), architecture: architecture.to_owned() }
    }

    fn read(reader: fn(&str, &mut dyn FnMut(Package)), text: &str) -> Vec<Package> {
        let mut all = Vec::new();
        reader(text, &mut |package| all.push(package));
        all
    }

    #[test]
    fn dpkg_gives_what_is_installed() {
        let text = "Package: a\nStatus: install ok installed\nArchitecture: amd64\nVersion: 1:2-3\nDescription: x\n Version: 9\n\n\
            Package: b\nStatus: deinstall ok config-files\nVersion: 1\n\n\
            Package: c\nStatus: install ok half-configured\nVersion: 1\n\n\n\
            Package: d\nStatus: hold ok installed\nVersion: 4\n\n\
            Package: e\nVersion: 5\nArchitecture: all";
        assert_eq!(read(dpkg, text), [package("a", "1:2-3", "amd64"), package("d", "4", ""), package("e", "5", "all")]);
        assert_eq!(read(dpkg, ""), []);
        assert_eq!(read(dpkg, "Package: a\n\nVersion: 1\n"), []);
    }

    #[test]
    fn apk_gives_what_is_installed() {
        let text =
            "C:Q1abc=\nP:musl\nV:1.2.4-r2\nA:x86_64\nT:the musl c library\nF:lib\nR:x\n\nP:broken\n\nP:busybox\nV:1.36.1-r15\nA:x86_64\n\n";
        assert_eq!(read(apk, text), [package("musl", "1.2.4-r2", "x86_64"), package("busybox", "1.36.1-r15", "x86_64")]);
    }

    #[test]
    fn pacman_gives_one() {
        let text = "%NAME%\nlinux\n\n%VERSION%\n6.1.1.arch1-1\n\n%BASE%\nlinux\n\n%ARCH%\nx86_64\n\n";
        assert_eq!(pacman(text), Some(package("linux", "6.1.1.arch1-1", "x86_64")));
        assert_eq!(pacman("%NAME%\n\n%VERSION%\n1\n"), None);
        assert_eq!(pacman(""), None);
    }
}
