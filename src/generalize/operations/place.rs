//! Which paths are an account's or an agent's own, so that removing all below them cannot take more: names in the guest's files are
//! anybody's words.

/// Directories at the root that are the system's, with all below them.
const SYSTEM: [&str; 17] = [
    "bin",
    "boot",
    "dev",
    "efi",
    "etc",
    "lib",
    "lib32",
    "lib64",
    "libx32",
    "lost+found",
    "oem",
    "proc",
    "run",
    "sbin",
    "sys",
    "sysroot",
    "usr",
];
/// Directories that hold what belongs to many.
const SHARED: [&str; 13] =
    ["data", "export", "export/home", "home", "media", "mnt", "opt", "root", "snap", "srv", "tmp", "var", "var/home"];

/// Whether a name can be that of one file: none that leads elsewhere, none that was not text.
pub(super) fn is_file_name(name: &str) -> bool {
    !matches!(name, "" | "." | "..") && !name.contains(['/', '\0', char::REPLACEMENT_CHARACTER])
}

fn join(names: &[Vec<u8>]) -> String {
    String::from_utf8_lossy(&names.join(&b'/')).into_owned()
}

/// Whether a directory, by its names without symlinks, may be somebody's home.
pub(super) fn may_be_home(names: &[Vec<u8>]) -> bool {
    let path = join(names);
    let first = path.split('/').next().unwrap_or_default();
    let in_var = first == "var" && !path.starts_with("var/home/");
    !path.is_empty() && !SYSTEM.contains(&first) && !SHARED.contains(&path.as_str()) && !matches!(first, "root" | "tmp") && !in_var
}

/// Whether a directory lies where homes are.
pub(super) fn is_among_homes(names: &[Vec<u8>]) -> bool {
    let path = join(names);
    ["home/", "var/home/", "export/home/"].iter().any(|start| path.starts_with(start))
}

/// Whether a directory may be an agent's own state: below `/var/lib`, or two deep outside the system's directories and homes.
pub(super) fn may_be_state(names: &[Vec<u8>]) -> bool {
    let path = join(names);
    let deep = names.len();
    path.starts_with("var/lib/") && deep == 3 || ((may_be_home(names) && deep > 1) && !is_among_homes(names))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(path: &str) -> Vec<Vec<u8>> {
        path.split('/').filter(|name| !name.is_empty()).map(|name| name.as_bytes().to_vec()).collect()
    }

    #[test]
    fn places() {
        for (path, home, among, state) in [
            ("/", false, false, false),
            ("/home", false, false, false),
            ("/home/ada", true, true, false),
            ("/var/home/ada", true, true, false),
            ("/home/corp/ada", true, true, false),
            ("/srv/ada", true, false, true),
            ("/ada", true, false, false),
            ("/etc", false, false, false),
            ("/etc/ada", false, false, false),
            ("/usr/local/ada", false, false, false),
            ("/var", false, false, false),
            ("/var/lib", false, false, false),
            ("/var/lib/waagent", false, false, true),
            ("/var/lib/dpkg/info", false, false, false),
            ("/root", false, false, false),
            ("/tmp", false, false, false),
        ] {
            let at = names(path);
            assert_eq!((may_be_home(&at), is_among_homes(&at), may_be_state(&at)), (home, among, state), "{path}");
        }
        for (name, is) in [("ada", true), ("a b", true), ("..", false), (".", false), ("", false), ("a/b", false), ("a\u{fffd}", false)] {
            assert_eq!(is_file_name(name), is, "{name:?}");
        }
    }
}
