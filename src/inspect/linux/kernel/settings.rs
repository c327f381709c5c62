//! What modprobe and the makers of initramfs archives were told.

use super::initramfs::number;
use super::out_of_tree;
use crate::bytes::without_secrets;
use crate::facts::{
    DracutFacts, Fact, InitramfsToolsFacts, MkinitcpioFacts, MkinitfsFacts, ModprobeFacts, ModuleLineFacts, ModuleSettingsFacts,
};
use crate::fs::{Error, Tree};
use crate::guest::linux::makers::{Assignment, assignments, module_list};
use crate::guest::linux::modprobe::{self, Command};
use crate::guest::linux::modules::normal;

/// Learns `modules`.
pub(in crate::inspect::linux) fn modules(tree: &Tree) -> ModuleSettingsFacts {
    ModuleSettingsFacts {
        modprobe: modprobe(tree).into(),
        dracut: fact(dracut(tree)),
        initramfs_tools: fact(initramfs_tools(tree)),
        mkinitcpio: fact(mkinitcpio(tree)),
        mkinitfs: fact(mkinitfs(tree)),
        dkms: out_of_tree::dkms(tree).into(),
        out_of_tree: out_of_tree::out_of_tree(tree).into(),
    }
}

fn fact<T>(result: Result<Option<T>, Error>) -> Fact<T> {
    match result {
        Ok(value) => value.into(),
        Err(error) => Fact::unknown(error.to_string()),
    }
}

fn modprobe(tree: &Tree) -> Result<ModprobeFacts, Error> {
    let mut found = Vec::new();
    for directory in modprobe::DIRECTORIES {
        found.push((*directory, tree.names(directory)?));
    }
    let mut files = vec!["/etc/modprobe.conf".to_owned()];
    files.extend(modprobe::order(&found));
    let mut facts = ModprobeFacts::default();
    for file in files {
        for line in modprobe::parse(&tree.text(&file)?.unwrap_or_default()) {
            let fact = |module: &str, text: String| ModuleLineFacts {
                module: module.to_owned(),
                text,
                file: file.clone(),
                line: number(line.number),
            };
            match &line.command {
                Command::Blacklist { module } => facts.blacklisted.push(fact(module, format!("blacklist {module}"))),
                Command::Options { module, options } => {
                    facts.options.push(fact(module, without_secrets(&format!("options {module} {options}"))))
                }
                command => {
                    if let Some((module, text)) = command.disables() {
                        facts.disabled.push(fact(module, text));
                    }
                }
            }
        }
    }
    Ok(facts)
}

/// Assignments of files, in their order; those of files that are missing are none.
fn settings(tree: &Tree, files: &[String]) -> Result<Vec<(String, Assignment)>, Error> {
    let mut found = Vec::new();
    for file in files {
        let text = tree.text(file)?.unwrap_or_default();
        found.extend(assignments(&text).into_iter().map(|assignment| (file.clone(), assignment)));
    }
    Ok(found)
}

/// The words that a variable has in the end, each with its place.
fn words(settings: &[(String, Assignment)], name: &str) -> Vec<ModuleLineFacts> {
    let mut found: Vec<ModuleLineFacts> = Vec::new();
    for (file, assignment) in settings.iter().filter(|(_, assignment)| assignment.name == name) {
        if !assignment.adds {
            found.clear();
        }
        found.extend(assignment.words.iter().map(|word| ModuleLineFacts {
            module: normal(word),
            text: without_secrets(word),
            file: file.clone(),
            line: number(assignment.line),
        }));
    }
    found
}

/// The last value of a variable.
fn value(settings: &[(String, Assignment)], name: &str) -> Option<String> {
    let last = settings.iter().rev().find(|(_, assignment)| assignment.name == name && !assignment.words.is_empty());
    last.map(|(_, assignment)| assignment.words.join(" "))
}

/// `.conf` files of directories, by name; one hides those of its name in directories before it.
fn merged(tree: &Tree, directories: &[&str]) -> Result<Vec<String>, Error> {
    let mut found = Vec::new();
    for directory in directories.iter().rev() {
        found.push((*directory, tree.names(directory)?));
    }
    Ok(modprobe::order(&found))
}

fn dracut(tree: &Tree) -> Result<Option<DracutFacts>, Error> {
    if !tree.exists("/etc/dracut.conf")? && !tree.exists("/etc/dracut.conf.d")? && !tree.exists("/usr/lib/dracut")? {
        return Ok(None);
    }
    let mut files = vec!["/etc/dracut.conf".to_owned()];
    files.extend(merged(tree, &["/usr/lib/dracut/dracut.conf.d", "/etc/dracut.conf.d"])?);
    let settings = settings(tree, &files)?;
    let words = |name: &str| words(&settings, name);
    Ok(Some(DracutFacts {
        add_drivers: words("add_drivers"),
        force_drivers: words("force_drivers"),
        drivers: words("drivers"),
        omit_drivers: words("omit_drivers"),
        host_only: value(&settings, "hostonly").map(|value| value == "yes").into(),
    }))
}

fn initramfs_tools(tree: &Tree) -> Result<Option<InitramfsToolsFacts>, Error> {
    if !tree.exists("/etc/initramfs-tools")? {
        return Ok(None);
    }
    let mut files = vec!["/etc/initramfs-tools/initramfs.conf".to_owned()];
    for directory in ["/usr/share/initramfs-tools/conf.d", "/etc/initramfs-tools/conf.d"] {
        files.extend(tree.names(directory)?.into_iter().map(|name| format!("{directory}/{name}")));
    }
    let policy = value(&settings(tree, &files)?, "MODULES");
    let modules =
        lists(tree, &["/usr/share/initramfs-tools/modules", "/usr/share/initramfs-tools/modules.d/*", "/etc/initramfs-tools/modules"])?;
    Ok(Some(InitramfsToolsFacts { modules, policy: policy.into() }))
}

/// Modules in lists.
fn lists(tree: &Tree, patterns: &[&str]) -> Result<Vec<ModuleLineFacts>, Error> {
    let mut found = Vec::new();
    for pattern in patterns {
        for file in tree.glob(pattern)? {
            let text = tree.text(&file)?.unwrap_or_default();
            found.extend(module_list(&text).into_iter().map(|(line, word)| ModuleLineFacts {
                module: normal(&word),
                text: word,
                file: file.clone(),
                line: number(line),
            }));
        }
    }
    Ok(found)
}

fn mkinitcpio(tree: &Tree) -> Result<Option<MkinitcpioFacts>, Error> {
    let mut files = vec!["/etc/mkinitcpio.conf".to_owned()];
    files.extend(tree.glob("/etc/mkinitcpio.conf.d/*.conf")?);
    if !tree.exists("/etc/mkinitcpio.conf")? && files.len() == 1 {
        return Ok(None);
    }
    let settings = settings(tree, &files)?;
    let hooks = words(&settings, "HOOKS").into_iter().map(|word| word.text).collect();
    Ok(Some(MkinitcpioFacts { modules: words(&settings, "MODULES"), hooks }))
}

fn mkinitfs(tree: &Tree) -> Result<Option<MkinitfsFacts>, Error> {
    let conf = "/etc/mkinitfs/mkinitfs.conf";
    if !tree.exists(conf)? {
        return Ok(None);
    }
    let settings = settings(tree, &[conf.to_owned()])?;
    let features: Vec<String> = words(&settings, "features").into_iter().map(|word| word.text).collect();
    let modules = lists(tree, &["/etc/mkinitfs/features.d/*.modules"])?;
    let chosen = |file: &str| {
        let name = file.rsplit('/').next().and_then(|name| name.strip_suffix(".modules"));
        name.is_some_and(|name| features.iter().any(|feature| feature == name))
    };
    let modules = modules.into_iter().filter(|module| chosen(&module.file)).collect();
    Ok(Some(MkinitfsFacts { features, modules }))
}
