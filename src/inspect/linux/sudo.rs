//! sudo: its rules, with what they include.

use crate::facts::{Fact, SudoFacts, SudoRuleFacts};
use crate::fs::{Error, Tree};
use crate::guest::linux::accounts::User;
use crate::guest::linux::sudoers::{self, Line};
use std::collections::VecDeque;

/// Files that are read at most.
const MAX_FILES: usize = 512;

/// Learns the rules; absent where there is no `/etc/sudoers`.
pub(super) fn sudo(tree: &Tree) -> Fact<SudoFacts> {
    match read(tree) {
        Ok(facts) => facts.into(),
        Err(error) => Fact::unknown(error.to_string()),
    }
}

fn read(tree: &Tree) -> Result<Option<SudoFacts>, Error> {
    // SUSE keeps the vendor's file below /usr since 15.
    let first = ["/etc/sudoers", "/usr/etc/sudoers"].into_iter().find_map(|path| match tree.exists(path) {
        Ok(false) => None,
        found => Some(found.map(|_there| path.to_owned())),
    });
    let Some(first) = first.transpose()? else { return Ok(None) };
    let mut facts = SudoFacts { rules: vec![], target_password: false, anybody: false };
    let mut todo = VecDeque::from([first]);
    let mut seen: Vec<String> = Vec::new();
    while let Some(path) = todo.pop_front() {
        if seen.contains(&path) {
            continue;
        }
        if seen.len() >= MAX_FILES {
            return Err(Error::Unsupported(format!("sudo reads more than {MAX_FILES} files")));
        }
        seen.push(path.clone());
        let Some(text) = tree.text(&path)? else { continue };
        for (line, said) in sudoers::parse(&text) {
            match said {
                Line::Defaults(settings) => {
                    let words = settings.split('#').next().unwrap_or_default().replace(',', " ");
                    for word in words.split_ascii_whitespace() {
                        match word {
                            "targetpw" => facts.target_password = true,
                            "!targetpw" => facts.target_password = false,
                            _ => {}
                        }
                    }
                }
                Line::Include(name) => todo.push_back(absolute(&path, &name)),
                Line::IncludeDirectory(name) => {
                    let directory = absolute(&path, &name);
                    let names = tree.names(&directory)?;
                    todo.extend(names.iter().filter(|name| sudoers::is_read(name)).map(|name| format!("{directory}/{name}")));
                }
                Line::Rule { who, no_password, everything, anybody } => {
                    facts.anybody |= anybody;
                    facts.rules.push(SudoRuleFacts { path: path.clone(), line, who, no_password, everything });
                }
            }
        }
    }
    Ok(Some(facts))
}

fn absolute(from: &str, name: &str) -> String {
    if name.starts_with('/') {
        return name.trim_end_matches('/').to_owned();
    }
    let directory = from.rsplit_once('/').map_or("", |(directory, _)| directory);
    format!("{directory}/{}", name.trim_end_matches('/'))
}

/// Whether a rule lets an account do everything, by its name, its number or a group.
pub(super) fn can_become_root(sudo: &Fact<SudoFacts>, user: &User, groups: &Fact<Vec<String>>) -> Fact<bool> {
    if user.uid == 0 {
        return Fact::Known(true);
    }
    let rules = match sudo {
        Fact::Known(facts) => &facts.rules,
        Fact::Absent => return Fact::Known(false),
        Fact::Unknown(reason) => return Fact::Unknown(reason.clone()),
    };
    let names = |who: &str| {
        who == user.name
            || who == format!("#{}", user.uid)
            || who.strip_prefix('%').is_some_and(|group| groups.value().is_some_and(|groups| groups.iter().any(|one| one == group)))
    };
    if rules.iter().any(|rule| rule.everything && rule.who.iter().any(|who| names(who))) {
        return Fact::Known(true);
    }
    let by_group = rules.iter().any(|rule| rule.everything && rule.who.iter().any(|who| who.starts_with('%')));
    match groups.reason() {
        Some(reason) if by_group => Fact::unknown(reason),
        _ => Fact::Known(false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fs::testing::tree;

    #[test]
    fn rules_with_what_they_include() {
        let facts = sudo(&tree(&[
            ("/etc/sudoers", "Defaults targetpw # x\nALL ALL=(ALL) ALL\n@include local.conf\n#includedir /etc/sudoers.d\n"),
            ("/etc/local.conf", "@include /etc/sudoers\nDefaults !targetpw\n"),
            ("/etc/sudoers.d/90-cloud-init-users", "azureuser ALL=(ALL) NOPASSWD:ALL\n"),
            ("/etc/sudoers.d/x.rpmsave", "evil ALL=(ALL) ALL\n"),
        ]));
        let facts = facts.value().unwrap();
        let who: Vec<_> = facts.rules.iter().map(|rule| (rule.who.join(","), rule.no_password)).collect();
        assert_eq!(who, [("ALL".to_owned(), false), ("azureuser".to_owned(), true)]);
        assert!(facts.anybody && !facts.target_password);
        assert_eq!(sudo(&tree(&[])), Fact::Absent);
        assert!(sudo(&tree(&[("/etc/sudoers", "!damaged")])).reason().is_some());
    }
}
