//! What modprobe is told: `modprobe.d`.
//!
//! Source: kmod `man/modprobe.d.5.scd` and `libkmod/libkmod-config.c`.

use super::modules::normal;
use crate::bytes::program_of;

/// Directories of settings. A file hides those of the same name in later ones.
pub const DIRECTORIES: &[&str] =
    &["/etc/modprobe.d", "/run/modprobe.d", "/usr/local/lib/modprobe.d", "/usr/lib/modprobe.d", "/lib/modprobe.d"];

/// One setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Its line, from 1; the first where it goes on over several.
    pub number: usize,
    /// What it says.
    pub command: Command,
}

/// What a line says. Modules are named with `_`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Not to be loaded for a device; it can still be asked for by name.
    Blacklist {
        /// The module.
        module: String,
    },
    /// A command to run instead of loading it.
    Install {
        /// The module, or a pattern of names.
        module: String,
        /// The command.
        command: String,
    },
    /// A command to run instead of unloading it.
    Remove {
        /// The module.
        module: String,
        /// The command.
        command: String,
    },
    /// Parameters.
    Options {
        /// The module.
        module: String,
        /// As they are written.
        options: String,
    },
    /// Another name.
    Alias {
        /// The name, a pattern.
        alias: String,
        /// The module.
        module: String,
    },
    /// Modules to load before and after.
    Softdep {
        /// The module.
        module: String,
        /// As they are written.
        rest: String,
    },
    /// Anything else.
    Other {
        /// As it is written.
        text: String,
    },
}

impl Command {
    /// The module that can no longer be loaded by this line, with the words that do it: an `install` command that loads nothing, or
    /// `alias … off`. Of the command its first word is told: its arguments may be anything, secrets too.
    #[must_use]
    pub fn disables(&self) -> Option<(&str, String)> {
        match self {
            Self::Install { module, command } if !["modprobe", "insmod", "kmod"].iter().any(|word| command.contains(word)) => {
                Some((module, format!("install {module} {}", program_of(command)).trim_end().to_owned()))
            }
            Self::Alias { alias, module } if module == "off" => Some((alias, format!("alias {alias} off"))),
            _ => None,
        }
    }
}

/// Reads a file of settings. A line that ends with `\` goes on in the next; one that begins with `#` is a comment.
#[must_use]
pub fn parse(text: &str) -> Vec<Line> {
    let mut lines = Vec::new();
    let mut physical = (1_usize..).zip(text.lines());
    while let Some((number, first)) = physical.next() {
        let mut whole = first.to_owned();
        while whole.ends_with('\\') {
            whole.pop();
            match physical.next() {
                Some((_, next)) => whole.push_str(next),
                None => break,
            }
        }
        let whole = whole.trim();
        if !whole.is_empty() && !whole.starts_with('#') {
            lines.push(Line { number, command: command(whole) });
        }
    }
    lines
}

fn command(text: &str) -> Command {
    let word = |text: &str| {
        let text = text.trim_start();
        let (word, rest) = text.split_once([' ', '\t']).unwrap_or((text, ""));
        (word.to_owned(), rest.trim().to_owned())
    };
    let (keyword, rest) = word(text);
    let (name, rest) = word(&rest);
    let module = normal(&name);
    match keyword.as_str() {
        _ if name.is_empty() => Command::Other { text: text.to_owned() },
        "blacklist" => Command::Blacklist { module },
        "install" => Command::Install { module, command: rest },
        "remove" => Command::Remove { module, command: rest },
        "options" => Command::Options { module, options: rest },
        "alias" => Command::Alias { alias: module, module: normal(&rest) },
        "softdep" => Command::Softdep { module, rest },
        _ => Command::Other { text: text.to_owned() },
    }
}

/// The files that count, in the order in which they are read: by name, whatever their directory, and of each name the one in the first
/// directory. `found` has the names in each directory, in the order of the directories.
#[must_use]
pub fn order(found: &[(&str, Vec<String>)]) -> Vec<String> {
    let mut chosen: std::collections::BTreeMap<&str, &str> = std::collections::BTreeMap::new();
    for (directory, names) in found {
        for name in names.iter().filter(|name| name.ends_with(".conf") || name.ends_with(".alias")) {
            chosen.entry(name).or_insert(directory);
        }
    }
    chosen.into_iter().map(|(name, directory)| format!("{directory}/{name}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read() {
        let text = "# comment\nblacklist hv-storvsc # not a comment\n\n  install udf /bin/true\ninstall  usb-storage\t/bin/false\ninstall snd \\\n  /sbin/modprobe --ignore-install snd\nremove a b c\noptions nvme_core io_timeout=240\nalias net-pf-10 off\nsoftdep a pre: b\nblacklist\nconfig x\n";
        let lines = parse(text);
        let shown: Vec<_> = lines.iter().map(|line| (line.number, line.command.clone())).collect();
        let own = str::to_owned;
        assert_eq!(
            shown,
            [
                (2, Command::Blacklist { module: own("hv_storvsc") }),
                (4, Command::Install { module: own("udf"), command: own("/bin/true") }),
                (5, Command::Install { module: own("usb_storage"), command: own("/bin/false") }),
                (6, Command::Install { module: own("snd"), command: own("/sbin/modprobe --ignore-install snd") }),
                (8, Command::Remove { module: own("a"), command: own("b c") }),
                (9, Command::Options { module: own("nvme_core"), options: own("io_timeout=240") }),
                (10, Command::Alias { alias: own("net_pf_10"), module: own("off") }),
                (11, Command::Softdep { module: own("a"), rest: own("pre: b") }),
                (12, Command::Other { text: own("blacklist") }),
                (13, Command::Other { text: own("config x") }),
            ]
        );
    }

    #[test]
    fn commands_that_load_nothing_disable() {
        for (text, disables) in [
            ("install udf /bin/true", true),
            ("install udf /usr/bin/false", true),
            ("install udf :", true),
            ("install udf", true),
            ("install udf /bin/sh -c 'exit 1'", true),
            ("install udf /sbin/modprobe --ignore-install udf", false),
            ("blacklist udf", false),
            ("alias udf off", true),
            ("alias udf other", false),
            ("options udf a=1", false),
        ] {
            assert_eq!(parse(text).first().unwrap().command.disables().is_some(), disables, "{text}");
        }
    }

    #[test]
    fn a_file_hides_those_of_its_name() {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let found =
            [("/etc/modprobe.d", names(&["b.conf", "z.conf", "README"])), ("/lib/modprobe.d", names(&["a.conf", "b.conf", "old.alias"]))];
        assert_eq!(
            order(&found),
            ["/lib/modprobe.d/a.conf", "/etc/modprobe.d/b.conf", "/lib/modprobe.d/old.alias", "/etc/modprobe.d/z.conf"]
        );
    }

    #[test]
    fn a_line_may_go_on_to_the_end() {
        assert_eq!(parse("blacklist a\\").len(), 1);
        assert_eq!(parse("blacklist \\\n\\\nx\nblacklist y").len(), 2);
    }
}
