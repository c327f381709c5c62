//! What a GRUB script does: variables, conditions and menu entries, as far as a disk can tell.
//!
//! Source: GNU GRUB manual 2.06, chapters 15 "Variables", 16.3 "Command-line and menu entry commands"; `blscfg`: Fedora's and Red Hat's
//! patches. A condition that only the running machine could answer (fonts, keys, devices) runs both ways, and that is told.

use super::command::{assignment, is_of_machine, load, search, terminals, title_and_id};
use super::script::{Part, Statement, Word, parse};
use super::{Entry, Environment, Files, GrubConfig};
use std::collections::BTreeMap;
use std::rc::Rc;

/// Statements that are run at most, those of functions and sourced files each time.
const MAX_STEPS: u32 = 100_000;
/// Functions and files within each other at most.
const MAX_CALLS: u32 = 16;
/// Bytes of one expanded command at most.
const MAX_EXPANDED: usize = 64 * 1024;
/// Bytes of all expanded commands at most.
const MAX_EXPANDED_IN_ALL: usize = 32 * 1024 * 1024;
/// Variables at most, and bytes of all of them.
const MAX_VARIABLES: usize = 1024;
const MAX_VARIABLE_BYTES: usize = 256 * 1024;
/// Bytes of all files that are read on the way at most.
const MAX_READ: usize = 8 * 1024 * 1024;
/// Menu entries at most, submenus counted.
const MAX_ENTRIES: usize = 4096;
/// Things not understood that are told at most.
const MAX_NOTES: usize = 64;

/// Identity of the partition USR-A of Flatcar and its kin.
const USR_A: &str = "7130c94a-213a-4e5a-8e26-6cce9662f132";

/// Runs a script.
pub(super) fn run(text: &str, environment: &Environment, files: &dyn Files) -> Result<GrubConfig, String> {
    let mut machine = Machine {
        variables: environment.variables.clone(),
        environment,
        files,
        functions: BTreeMap::new(),
        config: GrubConfig::default(),
        steps: 0,
        calls: 0,
        expanded: 0,
        read: 0,
        place: vec![],
        titles: vec![],
        next: 0,
    };
    let statements = parse(text)?;
    machine.block(&statements, None)?;
    let Machine { variables, mut config, .. } = machine;
    config.default = variables.get("default").cloned().filter(|value| !value.is_empty());
    config.timeout = variables.get("timeout").cloned().filter(|value| !value.is_empty());
    config.variables = variables;
    Ok(config)
}

#[derive(Debug)]
struct Machine<'a> {
    variables: BTreeMap<String, String>,
    environment: &'a Environment,
    files: &'a dyn Files,
    functions: BTreeMap<String, Rc<Vec<Statement>>>,
    config: GrubConfig,
    steps: u32,
    calls: u32,
    expanded: usize,
    read: usize,
    /// Places and titles of the submenus that are open.
    place: Vec<usize>,
    titles: Vec<String>,
    /// Place of the next entry in the open menu.
    next: usize,
}

impl Machine<'_> {
    fn note(&mut self, what: String) {
        if self.config.not_understood.len() < MAX_NOTES && !self.config.not_understood.contains(&what) {
            self.config.not_understood.push(what);
        }
    }

    /// Runs statements; in a menu entry, what they load goes to `entry`. Gives the answer of the last command, where it is known.
    fn block(&mut self, statements: &[Statement], mut entry: Option<&mut Entry>) -> Result<Option<bool>, String> {
        let mut last = Some(true);
        for statement in statements {
            self.steps = self.steps.saturating_add(1);
            if self.steps > MAX_STEPS {
                return Err(format!("more than {MAX_STEPS} commands are run"));
            }
            match statement {
                Statement::Command(words, line) => last = self.command(words, *line, entry.as_deref_mut())?,
                Statement::Function { name, body } => {
                    self.functions.insert(name.clone(), body.clone());
                }
                Statement::If(arms) => {
                    for arm in arms {
                        let answer = if arm.condition.is_empty() { Some(true) } else { self.block(&arm.condition, None)? };
                        if answer != Some(false) {
                            self.block(&arm.body, entry.as_deref_mut())?;
                        }
                        if answer == Some(true) {
                            break;
                        }
                    }
                    last = None;
                }
                Statement::Loop { body, line } => {
                    self.note(format!("line {line}: a loop, taken as if it ran once"));
                    self.block(body, entry.as_deref_mut())?;
                    last = None;
                }
                Statement::Menu { words, body, line } => self.menu(words, body, *line)?,
            }
        }
        Ok(last)
    }

    /// `menuentry` and `submenu`.
    fn menu(&mut self, words: &[Word], body: &[Statement], line: u32) -> Result<(), String> {
        let words = self.expand(words)?;
        let (title, id) = title_and_id(&words);
        let place = self.next;
        self.next = self.next.saturating_add(1);
        if words.first().is_some_and(|word| word == "submenu") {
            let name = id.clone().unwrap_or_else(|| title.clone());
            if self.config.submenus.len() >= MAX_ENTRIES {
                return Err(format!("more than {MAX_ENTRIES} submenus"));
            }
            self.config.submenus.push((self.path(place), name, title.clone()));
            self.place.push(place);
            self.titles.push(title);
            let outer = std::mem::take(&mut self.next);
            let variables = self.variables.clone();
            // Of a submenu's own variables, `default` above all, nothing reaches the menu outside.
            let done = self.block(body, None);
            self.variables = variables;
            self.next = outer;
            self.titles.pop();
            self.place.pop();
            return done.map(|_answer| ());
        }
        let mut entry = Entry { title, id, line, place: self.path(place), submenus: self.titles.clone(), ..Entry::default() };
        let variables = self.variables.clone();
        let outer = self.config.search.take();
        self.block(body, Some(&mut entry))?;
        entry.search = std::mem::replace(&mut self.config.search, outer).or_else(|| self.config.search.clone());
        self.variables = variables;
        self.push(entry)
    }

    fn push(&mut self, entry: Entry) -> Result<(), String> {
        if self.config.entries.len() >= MAX_ENTRIES {
            return Err(format!("more than {MAX_ENTRIES} menu entries"));
        }
        self.config.entries.push(entry);
        Ok(())
    }

    fn path(&self, place: usize) -> Vec<usize> {
        self.place.iter().copied().chain([place]).collect()
    }

    fn command(&mut self, words: &[Word], line: u32, entry: Option<&mut Entry>) -> Result<Option<bool>, String> {
        let words = self.expand(words)?;
        let Some((name, rest)) = words.split_first() else { return Ok(Some(true)) };
        if let Some((variable, value)) = assignment(name).filter(|_| rest.is_empty()) {
            self.set(variable, value)?;
            return Ok(Some(true));
        }
        match name.as_str() {
            "set" => {
                for (variable, value) in rest.iter().filter_map(|word| assignment(word)) {
                    self.set(variable, value)?;
                }
            }
            "unset" => rest.iter().for_each(|variable| drop(self.variables.remove(variable))),
            "[" | "test" => return Ok(self.test(rest)),
            "false" => return Ok(Some(false)),
            "!" => return Ok(None),
            "load_env" => self.load_environment(rest)?,
            "terminal_input" => terminals(&mut self.config.terminal_input, rest),
            "terminal_output" | "terminal" => terminals(&mut self.config.terminal_output, rest),
            "serial" => self.config.serial = Some(words.join(" ")),
            "search" | "search.fs_uuid" | "search.fs_label" | "search.file" => {
                let (found, variable) = search(name, rest);
                // The device's name is the machine's; what was looked for stands for it.
                let device = found.uuid.as_ref().or(found.label.as_ref()).or(found.file.as_ref()).cloned().unwrap_or_default();
                self.set(&variable, &device)?;
                self.config.search = Some(found);
            }
            "gptprio.next" => {
                self.note(format!("line {line}: gptprio.next, taken as if it chose the first of both"));
                let name = rest.iter().skip_while(|word| *word != "-u").nth(1).cloned();
                self.set(&name.unwrap_or_default(), USR_A)?;
            }
            "configfile" | "normal" | "source" | "." | "extract_entries_source" | "extract_entries_configfile" => {
                self.go_on(name, rest, entry)?
            }
            "blscfg" | "bls_import" => self.blscfg(line)?,
            "linux" | "linux16" | "linuxefi" | "kernel" | "multiboot" | "multiboot2" | "module" | "module2" | "initrd" | "initrd16"
            | "initrdefi" | "chainloader" | "uki" => {
                match entry {
                    Some(entry) => load(entry, name, rest, line),
                    // Outside entries the script itself loads a kernel, as the scripts of appliances do.
                    None if !name.starts_with("initrd") && !name.starts_with("module") => {
                        let place = self.next;
                        self.next = self.next.saturating_add(1);
                        let mut entry = Entry { line, place: self.path(place), search: self.config.search.clone(), ..Entry::default() };
                        load(&mut entry, name, rest, line);
                        self.push(entry)?;
                    }
                    None => {
                        if let Some(entry) = self.config.entries.last_mut() {
                            load(entry, name, rest, line);
                        }
                    }
                }
            }
            _ => return self.other(name, rest, line, entry),
        }
        Ok(Some(true))
    }

    /// A function of the script, or a command that changes nothing here.
    fn other(&mut self, name: &str, rest: &[String], line: u32, entry: Option<&mut Entry>) -> Result<Option<bool>, String> {
        if let Some(body) = self.functions.get(name).cloned() {
            if self.calls >= MAX_CALLS {
                return Err(format!("functions nested more than {MAX_CALLS} deep"));
            }
            self.calls = self.calls.saturating_add(1);
            let numbers = (1_usize..).map(|number| number.to_string());
            let given: Vec<(String, String)> = numbers.zip(rest.iter().cloned()).collect();
            for (number, value) in &given {
                self.set(number, value)?;
            }
            let answer = self.block(&body, entry);
            for (number, _) in &given {
                self.variables.remove(number);
            }
            self.calls = self.calls.saturating_sub(1);
            return answer;
        }
        match name {
            "insmod"
            | "true"
            | "export"
            | "echo"
            | "save_env"
            | "load_video"
            | "background_image"
            | "gfxmode"
            | "clear"
            | "loadfont"
            | "rmmod"
            | "boot"
            | "play"
            | "sleep"
            | "keymap"
            | "devicetree"
            | "acpi"
            | "parttool"
            | "drivemap"
            | "increment"
            | "probe"
            | "regexp"
            | "cat"
            | "ls"
            | "hwmatch"
            | "return"
            | "set_background_image"
            | "lsefi"
            | "fwsetup"
            | "halt"
            | "reboot"
            | "savedefault"
            | "recordfail"
            | "cpuid"
            | "setparams"
            | "smbios"
            | "play_audio"
            | "cryptomount"
            | "loopback" => {}
            _ => self.note(format!("line {line}: {}", name.chars().take(80).collect::<String>())),
        }
        // What only the machine can answer.
        Ok(matches!(name, "insmod" | "true" | "export" | "echo" | "save_env").then_some(true))
    }

    fn load_environment(&mut self, words: &[String]) -> Result<(), String> {
        let environment = self.environment;
        let named: Vec<&String> = words.iter().filter(|word| !word.starts_with('-') && !word.contains('/')).collect();
        for (key, value) in environment.saved.iter().flatten() {
            if named.is_empty() || named.contains(&key) {
                self.set(key, value)?;
            }
        }
        Ok(())
    }

    fn set(&mut self, name: &str, value: &str) -> Result<(), String> {
        self.variables.insert(name.to_owned(), value.to_owned());
        let size = self.variables.iter().map(|(name, value)| name.len().saturating_add(value.len()));
        // Counting is cheap while they are few, and they stay few.
        if size.fold(0_usize, usize::saturating_add) > MAX_VARIABLE_BYTES || self.variables.len() > MAX_VARIABLES {
            return Err("too many variables, or too long ones".to_owned());
        }
        Ok(())
    }

    /// Counts what commands expand to.
    fn spend(&mut self, bytes: usize) -> Result<(), String> {
        self.expanded = self.expanded.saturating_add(bytes);
        if self.expanded > MAX_EXPANDED_IN_ALL { Err("its variables expand too far".to_owned()) } else { Ok(()) }
    }

    /// `configfile` and `source`: another script, run where it can be read.
    fn go_on(&mut self, name: &str, words: &[String], entry: Option<&mut Entry>) -> Result<(), String> {
        let Some(path) = words.first() else { return Ok(()) };
        let replaces = !matches!(name, "source" | ".");
        if self.calls >= MAX_CALLS {
            return Err(format!("files read from one another more than {MAX_CALLS} deep"));
        }
        match self.files.read(path) {
            Some(text) => {
                self.calls = self.calls.saturating_add(1);
                self.read = self.read.saturating_add(text.len());
                if self.read > MAX_READ {
                    return Err(format!("files of more than {MAX_READ} bytes are read from it"));
                }
                let statements = parse(&text)?;
                self.block(&statements, entry)?;
                self.calls = self.calls.saturating_sub(1);
            }
            None if replaces => self.config.leads_to = Some(path.clone()),
            None => self.note(format!("{path} is not there")),
        }
        Ok(())
    }

    /// `blscfg`: the entries of the Boot Loader Specification, in its own order.
    fn blscfg(&mut self, line: u32) -> Result<(), String> {
        self.config.uses_blscfg = true;
        for given in &self.environment.bls {
            let place = self.next;
            self.next = self.next.saturating_add(1);
            let options = given.options.clone().unwrap_or_else(|| "$default_kernelopts".to_owned());
            let entry = Entry {
                title: given.title.clone().or_else(|| given.linux.clone()).unwrap_or_default(),
                id: Some(given.id().to_owned()),
                kernel: given.linux.clone(),
                command_line: given.linux.as_ref().map(|_| self.value_of(&options)),
                initrds: given
                    .initrds
                    .iter()
                    .flat_map(|text| self.value_of(text).split_whitespace().map(str::to_owned).collect::<Vec<_>>())
                    .collect(),
                chain: given.efi.clone(),
                search: self.config.search.clone(),
                source: Some(given.path.clone()),
                submenus: self.titles.clone(),
                place: self.path(place),
                line,
            };
            self.spend(entry.command_line.as_ref().map_or(0, String::len))?;
            self.push(entry)?;
        }
        Ok(())
    }

    /// Text of a snippet with its `$variables`.
    fn value_of(&self, text: &str) -> String {
        let mut out = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('$') {
            out.push_str(before);
            let after = after.strip_prefix('{').unwrap_or(after);
            let end = after.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(after.len());
            let (name, tail) = after.split_at_checked(end).unwrap_or((after, ""));
            out.push_str(self.variables.get(name).map_or("", String::as_str));
            rest = tail.strip_prefix('}').unwrap_or(tail);
            if out.len() > MAX_EXPANDED {
                break;
            }
        }
        out.push_str(rest);
        out.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    /// Words with their variables' values.
    fn expand(&mut self, words: &[Word]) -> Result<Vec<String>, String> {
        let mut out = Vec::new();
        for word in words {
            let mut text: Option<String> = None;
            for part in word {
                let before = text.as_ref().map_or(0, String::len);
                match part {
                    Part::Text(more) | Part::Quoted(more) => text.get_or_insert_default().push_str(more),
                    Part::Variable { name, quoted: true } => text.get_or_insert_default().push_str(self.value(name)),
                    Part::Variable { name, quoted: false } => {
                        // An empty value alone makes no word; white space in a value separates words.
                        let value = self.value(name).to_owned();
                        self.spend(value.len())?;
                        let mut pieces = value.split_whitespace().peekable();
                        while let Some(piece) = pieces.next() {
                            text.get_or_insert_default().push_str(piece);
                            if pieces.peek().is_some() {
                                out.extend(text.take());
                            }
                        }
                    }
                }
                let after = text.as_ref().map_or(0, String::len);
                self.spend(after.saturating_sub(before))?;
                if after > MAX_EXPANDED {
                    return Err(format!("a word of more than {MAX_EXPANDED} bytes"));
                }
            }
            out.extend(text);
        }
        Ok(out)
    }

    fn value(&self, name: &str) -> &str {
        match self.variables.get(name) {
            Some(value) => value,
            // What GRUB can do, it says in variables: https://www.gnu.org/software/grub/manual/grub, "Special environment variables".
            None if name.starts_with("feature_") => "y",
            None => "",
        }
    }

    /// `test`: `None` where only the machine could tell.
    fn test(&self, words: &[String]) -> Option<bool> {
        let words = words.strip_suffix(&["]".to_owned()]).unwrap_or(words);
        let mut any = Some(false);
        for either in words.split(|word| word == "-o") {
            let mut all = Some(true);
            for one in either.split(|word| word == "-a") {
                all = match (all, self.test_one(one)) {
                    (Some(false), _) | (_, Some(false)) => Some(false),
                    (None, _) | (_, None) => None,
                    _ => Some(true),
                };
            }
            any = match (any, all) {
                (Some(true), _) | (_, Some(true)) => Some(true),
                (None, _) | (_, None) => None,
                _ => Some(false),
            };
        }
        any
    }

    fn test_one(&self, words: &[String]) -> Option<bool> {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let negations = words.iter().take_while(|word| **word == "!").count();
        let answer = self.test_plain(words.get(negations..).unwrap_or_default());
        answer.map(|answer| answer != (negations % 2 == 1))
    }

    fn test_plain(&self, words: &[&str]) -> Option<bool> {
        match words {
            [] | ["-n"] => Some(false),
            ["-z"] => Some(true),
            ["-n", text] => Some(!text.is_empty()),
            ["-z", text] => Some(text.is_empty()),
            ["-e" | "-f" | "-s", path] if path.ends_with("/grubenv") => Some(self.environment.saved.is_some()),
            ["-e" | "-f" | "-s" | "-d", path] => self.files.exists(path),
            [a, "=" | "==", b] if !is_of_machine(a, b) => Some(a == b),
            [a, "!=", b] if !is_of_machine(a, b) => Some(a != b),
            [text] => Some(!text.is_empty()),
            _ => None,
        }
    }
}
