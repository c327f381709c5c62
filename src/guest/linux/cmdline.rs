//! The kernel's command line.
//!
//! Source: Linux `Documentation/admin-guide/kernel-parameters.rst` and `lib/cmdline.c` (`next_arg`): white space separates parameters,
//! double quotes keep it in a value, `-` and `_` are the same in a name, and what follows `--` belongs to init.

/// A command line, taken apart.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CommandLine {
    /// The parameters in their order; those for init are left out.
    pub parameters: Vec<Parameter>,
}

/// A parameter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parameter {
    /// `root`, `net.ifnames`, `quiet`.
    pub name: String,
    /// What follows the `=`, without quotes; `None` where there is none.
    pub value: Option<String>,
}

impl CommandLine {
    /// Takes a line apart.
    #[must_use]
    pub fn parse(line: &str) -> Self {
        let mut parameters = Vec::new();
        for word in words(line) {
            if word == "--" {
                break;
            }
            // Quotes may stand around the value, or around the whole parameter.
            let (name, value) = match word.split_once('=') {
                Some((name, value)) => (name, Some(value.replace('"', ""))),
                None => (word, None),
            };
            parameters.push(Parameter { name: name.replace('"', ""), value });
        }
        Self { parameters }
    }

    /// The parameters as they would be written, each for itself.
    #[must_use]
    pub fn texts(&self) -> Vec<String> {
        self.parameters.iter().map(Parameter::to_string).collect()
    }

    /// Whether a parameter is there, with a value or without.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.named(name).next().is_some()
    }

    /// The value of a parameter; the last one counts, as it does for most. `None` where it is not there or has no value.
    #[must_use]
    pub fn value(&self, name: &str) -> Option<&str> {
        self.named(name).filter_map(|one| one.value.as_deref()).last()
    }

    /// All values of a parameter that may be given several times, `console` for one.
    #[must_use]
    pub fn values(&self, name: &str) -> Vec<&str> {
        self.named(name).filter_map(|one| one.value.as_deref()).collect()
    }

    /// Modules that the command line forbids to load: `modprobe.blacklist`, `module_blacklist`, `rd.driver.blacklist`.
    #[must_use]
    pub fn forbidden_modules(&self) -> Vec<&str> {
        let names = ["modprobe.blacklist", "module_blacklist", "rd.driver.blacklist", "rdblacklist"];
        let values = names.into_iter().flat_map(|name| self.values(name));
        values.flat_map(|value| value.split(',')).map(str::trim).filter(|name| !name.is_empty()).collect()
    }

    /// Whether a console is on this device: `console=ttyS0`, with or without settings.
    #[must_use]
    pub fn has_console(&self, device: &str) -> bool {
        self.values("console").into_iter().any(|value| value.split(',').next() == Some(device))
    }

    fn named(&self, name: &str) -> impl Iterator<Item = &Parameter> {
        let plain = |text: &str| text.replace('-', "_");
        let name = plain(name);
        self.parameters.iter().filter(move |one| plain(&one.name) == name)
    }
}

impl std::fmt::Display for Parameter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.value {
            None => f.write_str(&self.name),
            Some(value) if value.contains(char::is_whitespace) => write!(f, "{}=\"{value}\"", self.name),
            Some(value) => write!(f, "{}={value}", self.name),
        }
    }
}

/// Words between white space that is not quoted.
fn words(line: &str) -> Vec<&str> {
    let mut quoted = false;
    let parts = line.split(move |c: char| {
        quoted ^= c == '"';
        !quoted && c.is_ascii_whitespace()
    });
    parts.filter(|word| !word.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_taken_apart() {
        for (line, expected) in [
            ("", vec![]),
            (" root=UUID=1 ro  quiet ", vec!["root=UUID=1", "ro", "quiet"]),
            ("dyndbg=\"file a.c +p\" x", vec!["dyndbg=\"file a.c +p\"", "x"]),
            ("\"a=b c\" d", vec!["a=\"b c\"", "d"]),
            ("a -- single b", vec!["a"]),
            ("open=\"to the end", vec!["open=\"to the end\""]),
            ("a==b =c", vec!["a==b", "=c"]),
        ] {
            assert_eq!(CommandLine::parse(line).texts(), expected, "{line}");
        }
    }

    #[test]
    fn questions_are_answered() {
        let line = CommandLine::parse(
            "root=/dev/sda1 root=LABEL=x console=tty1 console=ttyS0,115200n8 net.ifnames=0 rootdelay=300 quiet \
             rd.driver.blacklist=hv_storvsc,hv_netvsc modprobe.blacklist=floppy nvme-core.io_timeout=240",
        );
        assert_eq!((line.value("root"), line.values("console")), (Some("LABEL=x"), vec!["tty1", "ttyS0,115200n8"]));
        assert!(line.has_console("ttyS0") && !line.has_console("ttyS") && line.has_console("tty1"));
        assert!(line.has("quiet") && !line.has("rhgb") && line.value("quiet").is_none());
        assert_eq!(line.value("nvme_core.io_timeout"), Some("240"));
        assert_eq!(line.forbidden_modules(), ["floppy", "hv_storvsc", "hv_netvsc"]);
    }
}
