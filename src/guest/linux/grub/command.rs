//! Single commands of GRUB: what their words mean.

use super::{Entry, Search};

/// Whether a comparison is about the firmware that the script would run on: variables that tell it are empty here.
pub(super) fn is_of_machine(a: &str, b: &str) -> bool {
    const MACHINE: [&str; 12] = ["pc", "efi", "i386", "x86_64", "arm64", "emu", "xen", "xen_pvh", "ieee1275", "uboot", "coreboot", "qemu"];
    let empty = |text: &str| text.is_empty() || text == "x";
    let names = |text: &str| MACHINE.contains(&text) || text.strip_prefix('x').is_some_and(|text| MACHINE.contains(&text));
    (empty(a) && names(b)) || (empty(b) && names(a))
}

/// `name=value`.
pub(super) fn assignment(word: &str) -> Option<(&str, &str)> {
    let (name, value) = word.split_once('=')?;
    let sound = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    sound.then_some((name, value))
}

/// Title and id of a menu entry: the first word that is no option, and what follows `--id`.
pub(super) fn title_and_id(words: &[String]) -> (String, Option<String>) {
    let (mut title, mut id) = (None, None);
    let mut words = words.iter().skip(1);
    while let Some(word) = words.next() {
        match word.as_str() {
            "--id" => id = words.next().cloned(),
            "--class" | "--users" | "--hotkey" | "--source" => drop(words.next()),
            option if option.starts_with("--") => {
                id = option.strip_prefix("--id=").map(str::to_owned).or(id);
            }
            _ if title.is_none() => title = Some(word.clone()),
            _ => {}
        }
    }
    (title.unwrap_or_default(), id)
}

/// `terminal_output console serial`, `--append serial`, `--remove console`.
pub(super) fn terminals(now: &mut Vec<String>, words: &[String]) {
    let change = words.first().map(String::as_str);
    let names = words.iter().filter(|word| !word.starts_with("--"));
    match change {
        Some("--append") => {
            for name in names {
                if !now.contains(name) {
                    now.push(name.clone());
                }
            }
        }
        Some("--remove") => now.retain(|name| !words.contains(name)),
        _ => *now = names.cloned().collect(),
    }
}

/// What a `search` looks for, and the variable that gets the device.
pub(super) fn search(name: &str, words: &[String]) -> (Search, String) {
    let mut found = Search::default();
    let mut kind = name.strip_prefix("search.");
    let mut variable = None;
    let mut plain: Vec<&String> = vec![];
    let mut words = words.iter().peekable();
    while let Some(word) = words.next() {
        match word.as_str() {
            "--fs-uuid" | "-u" => kind = Some("fs_uuid"),
            "--label" | "-l" | "--fs-label" | "--part-label" => kind = Some("fs_label"),
            "--file" | "-f" => kind = Some("file"),
            "--hint" | "-h" => drop(words.next()),
            "--set" | "-s" => {
                // Its value may be left out; what is looked for comes last.
                let value = words.next_if(|next| !next.starts_with('-'));
                match (value, words.peek()) {
                    (Some(value), Some(_)) => variable = Some(value.clone()),
                    (value, _) => plain.extend(value),
                }
            }
            option if option.starts_with('-') => variable = option.strip_prefix("--set=").map(str::to_owned).or(variable),
            _ => plain.push(word),
        }
    }
    // `search` ends in what is looked for; `search.fs_uuid` has it first, then a variable and hints.
    let target = if name == "search" {
        plain.last().map(|word| (*word).clone())
    } else {
        variable = plain.get(1).map(|word| (*word).clone());
        plain.first().map(|word| (*word).clone())
    };
    match kind {
        Some("fs_uuid") => found.uuid = target,
        Some("fs_label") => found.label = target,
        _ => found.file = target,
    }
    (found, variable.unwrap_or_else(|| "root".to_owned()))
}

/// A kernel, its initial ramdisks, or another loader.
pub(super) fn load(entry: &mut Entry, name: &str, words: &[String], line: u32) {
    if name.starts_with("initrd") {
        entry.initrds.extend(words.iter().filter(|word| !word.starts_with("--")).cloned());
        return;
    }
    let mut words = words.iter().skip_while(|word| word.starts_with("--"));
    let first = words.next().cloned();
    let arguments = words.cloned().collect::<Vec<_>>().join(" ");
    match name {
        "chainloader" | "uki" => entry.chain = first,
        // Xen: the hypervisor first, the kernel and its ramdisk as its modules.
        "module" | "module2" if entry.command_line.is_some() => entry.initrds.extend(first),
        "multiboot" | "multiboot2" => entry.chain = first,
        _ => {
            entry.kernel = first;
            entry.command_line = Some(arguments);
            entry.line = line;
        }
    }
}
