//! `vhdkit rules`, `explain`, `completions`, `man`.

use super::Status;
use super::args::{Cli, Common, ExplainArgs, RulesArgs, RulesFormat};
use super::nearest::nearest;
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
    let near = nearest(word, names());
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

/// What rules are called.
fn names() -> impl Iterator<Item = &'static str> {
    RULES.iter().flat_map(|rule| [rule.code, rule.name])
}
