//! `/etc/default/grub`: from what the next `grub.cfg` will be made.
//!
//! Source: GNU GRUB manual 2.06, chapter 6.1 "Simple configuration handling". The file is read by a shell; assignments are understood,
//! commands are not run. Files in `/etc/default/grub.d` follow it in the order of their names (Debian, Ubuntu).

use std::collections::BTreeMap;

/// Bytes of one value at most.
const MAX_VALUE: usize = 64 * 1024;

/// The settings.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DefaultGrub {
    /// Every variable that is set, with its value at the end.
    pub variables: BTreeMap<String, String>,
    /// Lines that are more than assignments, in words.
    pub not_understood: Vec<String>,
}

impl DefaultGrub {
    /// A variable's value.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(String::as_str)
    }
}

/// Reads files one after another; each text with its path.
#[must_use]
pub fn default_grub<'a>(files: impl IntoIterator<Item = (&'a str, &'a str)>) -> DefaultGrub {
    let mut all = DefaultGrub::default();
    for (path, text) in files {
        let mut rest = text;
        let mut line = 1_usize;
        while !rest.is_empty() {
            let (left, lines) = statement(rest, &mut all, path, line);
            line = line.saturating_add(lines);
            rest = left;
        }
    }
    all
}

/// One line, or several where a quote spans them. Gives what follows, and how many lines it took.
fn statement<'a>(text: &'a str, all: &mut DefaultGrub, path: &str, line: usize) -> (&'a str, usize) {
    let first = text.lines().next().unwrap_or_default();
    let skip = || (text.split_once('\n').map_or("", |(_, after)| after), 1_usize);
    let trimmed = first.trim_start();
    if trimmed.is_empty() || trimmed.starts_with('#') {
        return skip();
    }
    let start = trimmed.strip_prefix("export ").map_or(trimmed, str::trim_start);
    let Some((name, append)) = name(start) else {
        if all.not_understood.len() < 64 {
            all.not_understood.push(format!("{path}, line {line}: {trimmed}"));
        }
        return skip();
    };
    let offset = first.len().saturating_sub(start.len()).saturating_add(name.len()).saturating_add(if append { 2 } else { 1 });
    let value_text = text.get(offset..).unwrap_or_default();
    let (value, used) = value(value_text, &all.variables);
    if append {
        let entry = all.variables.entry(name.to_owned()).or_default();
        if entry.len().saturating_add(value.len()) <= MAX_VALUE {
            entry.push_str(&value);
        }
    } else {
        all.variables.insert(name.to_owned(), value);
    }
    let taken = text.get(..offset.saturating_add(used)).unwrap_or(text);
    let after = text.get(taken.len()..).unwrap_or_default();
    let lines = taken.matches('\n').count();
    // What follows on the same line: a comment, or a command that is not run.
    match after.split_once('\n') {
        Some((_, after)) => (after, lines.saturating_add(1)),
        None => ("", lines),
    }
}

/// The name before `=` or `+=`.
fn name(text: &str) -> Option<(&str, bool)> {
    let (name, _) = text.split_once('=')?;
    let (name, append) = name.strip_suffix('+').map_or((name, false), |name| (name, true));
    let mut chars = name.chars();
    let sound = chars.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_') && chars.all(|c| c.is_ascii_alphanumeric() || c == '_');
    sound.then_some((name, append))
}

/// A value as the shell reads it, and the bytes that it takes. Commands in it stay as they are written.
fn value(text: &str, variables: &BTreeMap<String, String>) -> (String, usize) {
    let mut out = String::new();
    let mut quote = None;
    let mut chars = text.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        match (quote, c) {
            (None, c) if c.is_whitespace() || c == ';' => return (out, at),
            (None, '\'' | '"' | '`') | (Some('"'), '`') => {
                if c == '`' {
                    out.push(c);
                    while let Some((_, c)) = chars.next_if(|(_, c)| *c != '`' && *c != '\n') {
                        out.push(c);
                    }
                    out.extend(chars.next_if(|(_, c)| *c == '`').map(|(_, c)| c));
                } else {
                    quote = Some(c);
                }
            }
            (Some(open), c) if c == open => quote = None,
            // At the end of a line it joins the next one.
            (None | Some('"'), '\\') if chars.next_if(|(_, c)| *c == '\n').is_some() => {}
            (None, '\\') => out.extend(chars.next().map(|(_, c)| c)),
            (Some('"'), '\\') => match chars.next_if(|(_, c)| matches!(c, '"' | '$' | '`' | '\\')) {
                Some((_, c)) => out.push(c),
                None => out.push('\\'),
            },
            (None | Some('"'), '$') if chars.peek().is_some_and(|(_, c)| *c == '(') => {
                out.push('$');
                let mut depth = 0_usize;
                while let Some((_, c)) = chars.next_if(|(_, c)| *c != '\n') {
                    out.push(c);
                    depth = match c {
                        '(' => depth.saturating_add(1),
                        ')' => depth.saturating_sub(1),
                        _ => depth,
                    };
                    if depth == 0 {
                        break;
                    }
                }
            }
            (None | Some('"'), '$') => {
                let braced = chars.next_if(|(_, c)| *c == '{').is_some();
                let mut name = String::new();
                while let Some((_, c)) = chars.next_if(|(_, c)| c.is_ascii_alphanumeric() || *c == '_') {
                    name.push(c);
                }
                let closed = !braced || chars.next_if(|(_, c)| *c == '}').is_some();
                match variables.get(&name) {
                    Some(value) if closed && out.len().saturating_add(value.len()) <= MAX_VALUE => out.push_str(value),
                    None if closed && !name.is_empty() => {}
                    _ => {
                        out.push('$');
                        out.extend(braced.then_some('{'));
                        out.push_str(&name);
                    }
                }
            }
            (_, c) => out.push(c),
        }
    }
    (out, text.len())
}
