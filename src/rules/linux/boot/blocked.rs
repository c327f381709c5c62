//! What forbids a module to load.

use crate::facts::{Fact, ModuleLineFacts};
use crate::rules::Skip;
use crate::rules::linux::Guest;
use crate::rules::linux::boot::started::Started;

/// Why a module does not load.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::rules) struct Block {
    pub(in crate::rules) module: String,
    /// The line, or the parameter.
    pub(in crate::rules) text: String,
    /// The file, and its line where that is known.
    pub(in crate::rules) file: String,
    pub(in crate::rules) line: Option<u32>,
}

impl Block {
    /// `FILE, line N: TEXT`, as messages quote it.
    pub(in crate::rules) fn shown(&self) -> String {
        match self.line {
            Some(line) => format!("'{}' in {}, line {line}", self.text, self.file),
            None => format!("'{}' in {}", self.text, self.file),
        }
    }
}

/// What blocks that module: `modprobe.d`, the command line, and with `early` the initial ramdisk's own `modprobe.d`. Nothing blocks what is
/// built in.
pub(in crate::rules) fn block(guest: &Guest<'_>, started: &Started<'_>, module: &str, early: bool) -> Result<Option<Block>, Skip> {
    if matches!(started.driver(module), Ok(driver) if driver.state == Fact::Known(crate::facts::DriverState::BuiltIn)) {
        return Ok(None);
    }
    if let Some(found) = parameter(guest, module) {
        return Ok(Some(found));
    }
    let settings = &guest.linux.modules;
    let named = |lines: &[ModuleLineFacts]| lines.iter().any(|line| line.module == module);
    // A blacklist does not stop those who name a module itself, as the makers of initial ramdisks have it done.
    let forced = settings.initramfs_tools.value().is_some_and(|tools| named(&tools.modules))
        || settings.dracut.value().is_some_and(|dracut| named(&dracut.force_drivers));
    let find = |lines: &[ModuleLineFacts]| lines.iter().find(|line| fits(&line.module, module)).map(|line| of_line(line, module));
    let of = |blacklisted: &[ModuleLineFacts], disabled: &[ModuleLineFacts]| {
        find(disabled).or_else(|| if forced { None } else { find(blacklisted) })
    };
    if early && let Some(content) = started.initramfs().ok().flatten().and_then(|ramdisk| ramdisk.content.value()) {
        let found = of(&content.blacklisted, &content.disabled);
        if let Some(mut found) = found {
            found.file = format!("{} of the initial ramdisk", found.file);
            return Ok(Some(found));
        }
    }
    let modprobe = settings.modprobe.known()?;
    let found = modprobe.and_then(|modprobe| of(&modprobe.blacklisted, &modprobe.disabled));
    if found.is_none() {
        guest.linux.boot.parameters.known()?;
    }
    Ok(found)
}

fn of_line(line: &ModuleLineFacts, module: &str) -> Block {
    Block { module: module.to_owned(), text: line.text.clone(), file: line.file.clone(), line: u32::try_from(line.line).ok() }
}

/// `modprobe.blacklist=`, `rd.driver.blacklist=` and `module_blacklist=` list modules with commas between them.
fn parameter(guest: &Guest<'_>, module: &str) -> Option<Block> {
    let parameters = guest.linux.boot.parameters.value()?;
    let names = |parameter: &&String| {
        let Some((key, value)) = parameter.split_once('=') else { return false };
        let key = key.replace('-', "_");
        let lists = ["modprobe.blacklist", "rd.driver.blacklist", "module_blacklist"].contains(&key.as_str());
        lists && value.trim_matches('"').split(',').any(|name| name.replace('-', "_") == module)
    };
    let found = parameters.iter().find(names)?;
    let file = guest.linux.boot.command_line_source.value().cloned().unwrap_or_else(|| "the kernel command line".to_owned());
    Some(Block { module: module.to_owned(), text: found.clone(), file, line: None })
}

/// Whether a name, or a pattern with `*` and `?`, means that module. The set of places in the name that the pattern may have come to is
/// carried along, so that no pattern takes long.
fn fits(pattern: &str, name: &str) -> bool {
    let letters: Vec<char> = name.chars().collect();
    let mut places = vec![false; letters.len().saturating_add(1)];
    if let Some(first) = places.first_mut() {
        *first = true;
    }
    for wanted in pattern.chars() {
        let mut reached = false;
        let step = |(place, letter): (bool, char)| place && (wanted == '?' || wanted == letter);
        places = if wanted == '*' {
            let spread = places.iter().map(|place| {
                reached |= *place;
                reached
            });
            spread.collect()
        } else {
            std::iter::once(false).chain(places.iter().copied().zip(letters.iter().copied()).map(step)).collect()
        };
    }
    places.last() == Some(&true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_fit() {
        for (pattern, fit) in
            [("hv_vmbus", true), ("hv_*", true), ("*", true), ("hv_vmbu?", true), ("hv", false), ("hv_?", false), ("", false)]
        {
            assert_eq!(fits(pattern, "hv_vmbus"), fit, "{pattern}");
        }
    }
}
