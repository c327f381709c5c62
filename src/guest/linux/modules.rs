//! Kernel modules: their names, the lists beside them, the kernel's configuration, and signatures.
//!
//! Sources: kmod `man/modules.dep.5.scd` and `libkmod/libkmod-util.c` (names), Linux `Documentation/kbuild/kbuild.rst`
//! (`modules.builtin`), `Documentation/admin-guide/module-signing.rst`.

use std::collections::{BTreeMap, BTreeSet};

/// What ends a signed module.
pub const SIGNATURE: &[u8] = b"~Module signature appended~\n";

/// A module's name as the kernel compares it: `_` for `-`.
#[must_use]
pub fn normal(name: &str) -> String {
    name.replace('-', "_")
}

/// The module that a file holds, by its name; `None` where it is no module.
#[must_use]
pub fn of_file(path: &str) -> Option<String> {
    let name = path.rsplit('/').next()?;
    let plain = [".xz", ".zst", ".gz"].iter().find_map(|suffix| name.strip_suffix(suffix)).unwrap_or(name);
    plain.strip_suffix(".ko").filter(|name| !name.is_empty()).map(normal)
}

/// The modules that `modules.builtin` lists: a path each line.
#[must_use]
pub fn builtin(text: &str) -> BTreeSet<String> {
    text.lines().filter_map(|line| of_file(line.trim())).collect()
}

/// The modules that `modules.dep` lists, each with its path below the directory of the list.
#[must_use]
pub fn dependencies(text: &str) -> BTreeMap<String, String> {
    let paths = text.lines().filter_map(|line| line.split_once(':')).map(|(path, _)| path.trim());
    paths.filter_map(|path| Some((of_file(path)?, path.to_owned()))).collect()
}

/// What a kernel's configuration says of a driver.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Setting {
    /// `=y`.
    BuiltIn,
    /// `=m`.
    Module,
    /// `is not set`, or not mentioned.
    No,
}

/// A kernel's configuration.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Config {
    values: BTreeMap<String, String>,
}

impl Config {
    /// Reads `CONFIG_X=y` and `# CONFIG_X is not set`; other lines are passed over.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let mut values = BTreeMap::new();
        for line in text.lines().map(str::trim) {
            if let Some(name) = line.strip_prefix("# CONFIG_").and_then(|rest| rest.strip_suffix(" is not set")) {
                values.insert(name.to_owned(), "n".to_owned());
            } else if let Some((name, value)) = line.strip_prefix("CONFIG_").and_then(|rest| rest.split_once('=')) {
                values.insert(name.to_owned(), value.to_owned());
            }
        }
        Self { values }
    }

    /// Whether it sets anything at all; a file without one is no configuration.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// A driver's setting; `name` without `CONFIG_`.
    #[must_use]
    pub fn setting(&self, name: &str) -> Setting {
        match self.values.get(name).map(String::as_str) {
            Some("y") => Setting::BuiltIn,
            Some("m") => Setting::Module,
            _ => Setting::No,
        }
    }

    /// Whether it mentions a name, set or not.
    #[must_use]
    pub fn mentions(&self, name: &str) -> bool {
        self.values.contains_key(name)
    }

    /// Text in quotes; `None` where it is not set or empty.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(|value| value.trim_matches('"')).filter(|value| !value.is_empty() && *value != "n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_name_modules() {
        for (path, module) in [
            ("kernel/drivers/hv/hv_vmbus.ko", Some("hv_vmbus")),
            ("lib/modules/6.1/kernel/drivers/pci/controller/pci-hyperv.ko.xz", Some("pci_hyperv")),
            ("x/nvme-core.ko.zst", Some("nvme_core")),
            ("udf.ko.gz", Some("udf")),
            ("udf.ko.bak", None),
            ("modules.ko/", None),
            (".ko", None),
            ("vmlinuz", None),
        ] {
            assert_eq!(of_file(path).as_deref(), module, "{path}");
        }
    }

    #[test]
    fn lists_are_read_and_odd_lines_passed_over() {
        assert_eq!(builtin("kernel/fs/ext4/ext4.ko\n\nrubbish\nkernel/a-b.ko\n"), BTreeSet::from(["ext4".to_owned(), "a_b".to_owned()]));
        let dependencies = dependencies("kernel/a-b.ko.xz: kernel/c.ko.xz kernel/d.ko.xz\nkernel/c.ko.xz:\nno colon\n:\n");
        assert_eq!(dependencies.get("a_b").map(String::as_str), Some("kernel/a-b.ko.xz"));
        assert_eq!(dependencies.len(), 2);
    }

    #[test]
    fn a_configuration_is_read() {
        let config = Config::parse(
            "#\n# Linux\n#\nCONFIG_HYPERV=y\nCONFIG_UDF_FS=m\n# CONFIG_FB_HYPERV is not set\nCONFIG_X=\"a b\"\nCONFIG_Y=\"\"\n",
        );
        assert_eq!(config.setting("HYPERV"), Setting::BuiltIn);
        assert_eq!(config.setting("UDF_FS"), Setting::Module);
        assert_eq!(config.setting("FB_HYPERV"), Setting::No);
        assert!(config.mentions("FB_HYPERV") && !config.mentions("DRM_HYPERV"));
        assert_eq!((config.text("X"), config.text("Y"), config.text("Z")), (Some("a b"), None, None));
        assert!(Config::parse("no configuration").is_empty());
    }
}
