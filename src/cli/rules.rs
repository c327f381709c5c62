//! `vhdkit rules`, `explain`, `completions`, `man`.

use super::Status;
use super::args::{Cli, Common, ExplainArgs, RulesArgs, RulesFormat};
use super::output;
use crate::bytes::printable;
use crate::report::{json, markdown, text};
use crate::rules::{ADVICE, RULES, errors, of_row, rules_saying};
use anyhow::Context;
use clap::CommandFactory;

pub(super) fn list(args: &RulesArgs, common: &Common) -> anyhow::Result<Status> {
    match args.format {
        RulesFormat::Json => output::print_json(&json::rules(&RULES))?,
        RulesFormat::Markdown => output::print(&markdown::rules(&RULES))?,
        RulesFormat::Text => output::print(&text::rules(&RULES, &output::look(common)))?,
    }
    Ok(Status::Ready)
}

pub(super) fn explain(args: &ExplainArgs, common: &Common) -> anyhow::Result<Status> {
    let look = output::look(common);
    let text = args.words.join(" ");
    let word = text.trim();
    let own = RULES.iter().find(|rule| rule.code.eq_ignore_ascii_case(word) || rule.name.eq_ignore_ascii_case(word));
    if let Some(rule) = own {
        return told(&text::explain(rule, &look));
    }
    match of_row(word).as_slice() {
        [] => {}
        [only] => return told(&text::explain(only, &look)),
        several => return told(&text::row(&word.to_ascii_uppercase(), several, &look)),
    }
    if let Some((id, _, reason)) = ADVICE.iter().find(|(id, ..)| id.eq_ignore_ascii_case(word)) {
        return told(&text::no_rule(id, reason, &look));
    }
    let (known, saying) = (errors(word), rules_saying(word));
    if !known.is_empty() || !saying.is_empty() {
        return told(&text::errors(&known, &saying, &look));
    }
    let near = nearest(word);
    let meant = if near.is_empty() { String::new() } else { format!("; near it: {}", near.join(", ")) };
    anyhow::bail!(
        "there is no rule '{}', and no error that it belongs to{meant}; 'vhdkit rules' lists codes, names and catalogue ids",
        printable(&word.chars().take(200).collect::<String>())
    )
}

fn told(text: &str) -> anyhow::Result<Status> {
    output::print(text)?;
    Ok(Status::Ready)
}

/// Codes and names that are spelt nearly so, or that have the word in them.
fn nearest(word: &str) -> Vec<&'static str> {
    let word = word.to_lowercase();
    let length = word.chars().count();
    if !(3..=60).contains(&length) {
        return vec![];
    }
    let names = RULES.iter().flat_map(|rule| [rule.code, rule.name]);
    let mut near: Vec<(usize, &str)> = names
        .filter_map(|name| {
            let lower = name.to_lowercase();
            let away = if length > 3 && lower.contains(&word) { 1 } else { distance(&word, &lower) };
            (away <= length / 3).then_some((away, name))
        })
        .collect();
    near.sort_unstable();
    near.into_iter().map(|(_, name)| name).take(5).collect()
}

/// Letters to put in, take out or change to make one word of the other.
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (place, letter) in one.chars().enumerate() {
        let mut next = vec![place.saturating_add(1)];
        for ((above, before), known) in row.iter().skip(1).zip(&row).zip(&other) {
            let changed = before.saturating_add(usize::from(letter != *known));
            let left = next.last().copied().unwrap_or_default();
            next.push(changed.min(above.saturating_add(1)).min(left.saturating_add(1)));
        }
        row = next;
    }
    row.last().copied().unwrap_or_default()
}

pub(super) fn completions(shell: clap_complete::Shell) -> anyhow::Result<Status> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "vhdkit", &mut script);
    output::print(&String::from_utf8_lossy(&script))?;
    Ok(Status::Ready)
}

pub(super) fn man(command: Option<&str>) -> anyhow::Result<Status> {
    let mut cli = Cli::command();
    cli.build();
    let page = match command {
        None => cli,
        Some(name) => {
            let found = cli.find_subcommand(name).with_context(|| format!("there is no command '{}'", printable(name)))?;
            found.clone()
        }
    };
    let title = command.map_or_else(|| "vhdkit".to_owned(), |name| format!("vhdkit-{name}"));
    let mut text = Vec::new();
    clap_mangen::Man::new(page).title(title).render(&mut text).context("cannot make the man page")?;
    output::print(&String::from_utf8_lossy(&text))?;
    Ok(Status::Ready)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_that_are_nearly_right() {
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!((distance("", "abc"), distance("abc", "")), (3, 3));
        assert!(nearest("size-not-whole-mb").contains(&"size-not-whole-mib"));
        assert!(nearest("VHD0003").contains(&"VHD003"));
        assert!(nearest("whole-mib").contains(&"size-not-whole-mib"));
        assert_eq!(nearest("xyzzy"), Vec::<&str>::new());
        assert_eq!(nearest(""), Vec::<&str>::new());
    }
}
