//! Taking users out of a file of sudoers(5). What does not name them stays byte for byte; what names everybody or groups is never touched.

/// A file without some users.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edited {
    /// What it holds now.
    pub content: Vec<u8>,
    /// Whether nothing but comments is left.
    pub says_nothing: bool,
}

/// Takes users out: rules and settings that are for them alone go, others lose their names. `is_gone` is asked for names and, as `#1000`,
/// for numbers. `None` where nothing changes.
#[must_use]
pub fn without(text: &[u8], is_gone: &dyn Fn(&[u8]) -> bool) -> Option<Edited> {
    let mut content = Vec::with_capacity(text.len());
    let (mut changed, mut says_nothing) = (false, true);
    let mut rest = text;
    while !rest.is_empty() {
        let (line, after) = logical_line(rest);
        rest = after;
        match edit(line, is_gone) {
            Some(new) => {
                changed = true;
                says_nothing &= is_silent(&new);
                content.extend(new);
            }
            None => {
                says_nothing &= is_silent(line);
                content.extend(line);
            }
        }
    }
    changed.then_some(Edited { content, says_nothing })
}

/// The first line with those that continue it, line breaks included. A comment is not continued.
fn logical_line(text: &[u8]) -> (&[u8], &[u8]) {
    let mut end = 0_usize;
    for physical in text.split_inclusive(|byte| *byte == b'\n') {
        let comment = end == 0 && is_comment(physical);
        end = end.saturating_add(physical.len());
        let bare = physical.strip_suffix(b"\n").unwrap_or(physical);
        let bare = bare.strip_suffix(b"\r").unwrap_or(bare);
        if comment || !bare.ends_with(b"\\") {
            break;
        }
    }
    text.split_at_checked(end).unwrap_or((text, b""))
}

/// Whether a line is a comment: a number sign that is neither a user's number nor an old-style include.
fn is_comment(line: &[u8]) -> bool {
    let Some(rest) = line.trim_ascii_start().strip_prefix(b"#") else { return false };
    !rest.first().is_some_and(u8::is_ascii_digit) && !rest.starts_with(b"include")
}

fn is_silent(line: &[u8]) -> bool {
    is_comment(line) || line.trim_ascii().is_empty()
}

/// The line without the users; `None` where it stays as it is.
fn edit(line: &[u8], is_gone: &dyn Fn(&[u8]) -> bool) -> Option<Vec<u8>> {
    let start = line.len().saturating_sub(line.trim_ascii_start().len());
    let said = line.get(start..)?;
    if is_silent(line) || said.starts_with(b"@") || said.starts_with(b"#include") {
        return None;
    }
    let alias = |word: &[u8]| said.strip_prefix(word).is_some_and(|rest| rest.first().is_some_and(u8::is_ascii_whitespace));
    if alias(b"User_Alias") {
        return edit_aliases(line, is_gone);
    }
    if ["Runas_Alias", "Host_Alias", "Cmnd_Alias", "Cmd_Alias"].iter().any(|word| alias(word.as_bytes())) {
        return None;
    }
    let list = match said.strip_prefix(b"Defaults") {
        Some(settings) => settings.strip_prefix(b":")?,
        None => said,
    };
    let before = line.get(..line.len().saturating_sub(list.len()))?;
    let (kept, length) = without_gone(list, is_gone)?;
    // What was for them alone goes whole.
    Some(if kept.is_empty() { vec![] } else { [before, &kept, list.get(length..).unwrap_or_default()].concat() })
}

/// `User_Alias A = ada, bob : B = eve`. An alias of nobody else is that of nobody: rules may use its name.
fn edit_aliases(line: &[u8], is_gone: &dyn Fn(&[u8]) -> bool) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(line.len());
    let (mut changed, mut rest) = (false, line);
    while let Some(equals) = rest.iter().position(|byte| *byte == b'=') {
        let blanks = rest.iter().skip(equals.saturating_add(1)).take_while(|byte| byte.is_ascii_whitespace()).count();
        let (before, list) = rest.split_at_checked(equals.saturating_add(1).saturating_add(blanks))?;
        out.extend(before);
        rest = list;
        if let Some((kept, length)) = without_gone(list, is_gone) {
            out.extend(if kept.is_empty() { &b"!ALL"[..] } else { &kept });
            rest = list.get(length..).unwrap_or_default();
            changed = true;
        }
    }
    out.extend(rest);
    changed.then_some(out)
}

/// The list at the start of a text without those who are gone, and how long it was; `None` where it names none of them, or everybody.
fn without_gone(text: &[u8], is_gone: &dyn Fn(&[u8]) -> bool) -> Option<(Vec<u8>, usize)> {
    let length = list_length(text);
    let items = split(text.get(..length)?);
    let gone = |item: &[u8]| {
        let name = plain(item);
        is_gone(name.strip_prefix(b"!").unwrap_or(&name))
    };
    if items.iter().any(|item| plain(item).trim_ascii_start() == b"ALL") || !items.iter().any(|item| gone(item)) {
        return None;
    }
    let kept: Vec<&[u8]> = items.into_iter().filter(|item| !gone(item)).collect();
    Some((kept.join(&b", "[..]), length))
}

/// Bytes that are blank in a list: blanks, and a backslash at the end of a line.
fn blank_at(text: &[u8]) -> usize {
    match text {
        [b' ' | b'\t', ..] => 1,
        [b'\\', b'\n', ..] => 2,
        [b'\\', b'\r', b'\n', ..] => 3,
        _ => 0,
    }
}

/// How long a list of users is: up to a blank that no comma stands beside.
fn list_length(text: &[u8]) -> usize {
    let (mut at, mut end, mut quoted, mut comma) = (0_usize, 0_usize, false, true);
    loop {
        let rest = text.get(at..).unwrap_or_default();
        let blank = if quoted { 0 } else { blank_at(rest) };
        if blank > 0 {
            at = at.saturating_add(blank);
            continue;
        }
        match rest {
            [] | [b'\n' | b'\r', ..] => return end,
            [b':' | b'=', ..] if !quoted => return end,
            // A word behind a blank, without a comma between.
            [first, ..] if at > end && !comma && *first != b',' => return end,
            [first, more @ ..] => {
                comma = *first == b',' && !quoted;
                quoted ^= *first == b'"';
                let step = if *first == b'\\' && !more.is_empty() { 2 } else { 1 };
                at = at.saturating_add(step);
                end = at;
            }
        }
    }
}

/// The items of a list, trimmed; a comma between quotes or behind a backslash is part of a name.
fn split(list: &[u8]) -> Vec<&[u8]> {
    let (mut items, mut from, mut at, mut quoted) = (Vec::new(), 0_usize, 0_usize, false);
    while let Some(byte) = list.get(at) {
        match byte {
            b'\\' => at = at.saturating_add(1),
            b'"' => quoted = !quoted,
            b',' if !quoted => {
                items.push(list.get(from..at).unwrap_or_default());
                from = at.saturating_add(1);
            }
            _ => {}
        }
        at = at.saturating_add(1);
    }
    items.push(list.get(from..).unwrap_or_default());
    items.into_iter().map(trim).filter(|item| !item.is_empty()).collect()
}

fn trim(item: &[u8]) -> &[u8] {
    let mut item = item.trim_ascii();
    while blank_at(item) > 0 {
        item = item.get(blank_at(item)..).unwrap_or_default().trim_ascii_start();
    }
    item.strip_suffix(b"\\").map_or(item, <[u8]>::trim_ascii_end)
}

/// A name without quotes and backslashes.
fn plain(item: &[u8]) -> Vec<u8> {
    let (mut out, mut escaped) = (Vec::with_capacity(item.len()), false);
    for byte in item {
        match byte {
            b'\\' if !escaped => escaped = true,
            b'"' if !escaped => {}
            _ => {
                out.push(*byte);
                escaped = false;
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(text: &str) -> Option<(String, bool)> {
        let gone = |name: &[u8]| matches!(name, b"ada" | b"#1000" | b"a b");
        without(text.as_bytes(), &gone).map(|edited| (String::from_utf8_lossy(&edited.content).into_owned(), edited.says_nothing))
    }

    #[test]
    fn users_are_taken_out() {
        for (before, expected, silent) in [
            ("ada ALL=(ALL) NOPASSWD:ALL\n", "", true),
            ("# of ada\nada ALL=(ALL) ALL", "# of ada\n", true),
            ("ada, bob ALL=(ALL) ALL # x\r\n", "bob ALL=(ALL) ALL # x\r\n", false),
            ("bob ,ada,eve  ALL = ALL\n", "bob, eve  ALL = ALL\n", false),
            ("\tada ALL=ALL, \\\n  /bin/x\nbob ALL=ALL\n", "bob ALL=ALL\n", false),
            ("#1000 ALL=ALL\n#1001 ALL=ALL\n", "#1001 ALL=ALL\n", false),
            ("\"a b\", bob ALL=ALL\n", "bob ALL=ALL\n", false),
            ("a\\ b ALL=ALL\n", "", true),
            ("Defaults:ada !requiretty\nDefaults env_reset\n", "Defaults env_reset\n", false),
            (
                "User_Alias ADMINS = ada, bob : MORE = ada\nADMINS ALL=ALL\n",
                "User_Alias ADMINS = bob : MORE = !ALL\nADMINS ALL=ALL\n",
                false,
            ),
            ("# x \\\nada ALL=ALL\n", "# x \\\n", true),
            ("eve, !ada ALL=ALL\n", "eve ALL=ALL\n", false),
            ("ada,\\\n bob ALL=ALL\n", "bob ALL=ALL\n", false),
        ] {
            assert_eq!(after(before), Some((expected.to_owned(), silent)), "{before:?}");
        }
    }

    #[test]
    fn what_is_not_meant_stays() {
        for text in [
            "",
            "\n",
            "%ada ALL=(ALL) ALL\n",
            "ALL, ada ALL=ALL\n",
            "ALL, !ada ALL=ALL\n",
            "bob ALL=(ada) ALL\n",
            "bob ada=(ALL) ALL\n",
            "adam ALL=ALL\n",
            "# ada ALL=ALL\n",
            "#includedir /etc/ada\n@include ada\n",
            "Runas_Alias X = ada\nHost_Alias Y = ada\nCmnd_Alias Z = ada\n",
            "Defaults!ada x\nDefaults>ada y\n",
            "User_Alias\nUser_Alias X\nUser_Alias X =\n",
            ",,, = \\",
            "\"",
            "\\",
        ] {
            assert_eq!(after(text), None, "{text:?}");
        }
    }

    #[test]
    fn any_bytes_are_a_file() {
        let mut state = 1_u32;
        let signs = b"ada#1000,:=\\\n\r\t \"!%UserAliDfutsL\xff";
        for length in 0..400 {
            let text: Vec<u8> = (0..length)
                .map(|_| {
                    state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    signs[(state >> 16) as usize % signs.len()]
                })
                .collect();
            let gone = |name: &[u8]| matches!(name, b"ada" | b"a" | b"d");
            if let Some(edited) = without(&text, &gone) {
                assert_eq!(without(&edited.content, &gone).map(|again| again.content), None, "{text:?} -> {:?}", edited.content);
            }
        }
    }
}
