//! Text from strangers, made safe to print.

/// The text with control characters, what cannot be seen, what could reorder a line, and what machines that run pipelines would take for a
/// command, written as escapes; other characters stay.
///
/// Names and values that come from a disk pass through here before they reach a terminal. What passed once stays as it is.
#[must_use]
pub fn printable(text: &str) -> String {
    escaped(text, |c, out| out.extend(c.escape_unicode()), |c, out| out.extend(c.escape_default()))
}

/// The text of a JSON document with the same characters escaped as JSON has it: it means the same, and can be printed.
///
/// Outside of strings JSON has none of them but line feeds, which stay.
#[must_use]
pub fn printable_json(document: &str) -> String {
    let hex = |c: char, out: &mut String| {
        for unit in c.encode_utf16(&mut [0; 2]) {
            out.push_str(&format!("\\u{unit:04x}"));
        }
    };
    escaped(document, hex, |c, out| if matches!(c, '\n' | '\t' | '\r') { out.push(c) } else { hex(c, out) })
}

/// Several lines, each made [`printable`], and none of them one that a pipeline takes for a command because it begins with `::`.
#[must_use]
pub fn printable_lines(text: &str) -> String {
    let line = |line: &str| {
        let line = printable(line);
        if line.trim_start().starts_with("::") { line.replacen(':', "\\u{3a}", 1) } else { line }
    };
    text.split('\n').map(line).collect::<Vec<_>>().join("\n")
}

/// Writes hidden characters by `hidden`, and marks of commands by `mark`.
fn escaped(text: &str, mark: impl Fn(char, &mut String), hidden: impl Fn(char, &mut String)) -> String {
    let mut out = String::with_capacity(text.len());
    let (mut rest, mut before) = (text, '\0');
    loop {
        // Reports are long, and most of them is this.
        let plain = rest.bytes().position(|byte| byte == b'#' || !matches!(byte, b' '..=b'~')).unwrap_or(rest.len());
        if let Some((run, other)) = rest.split_at_checked(plain).filter(|(run, _)| !run.is_empty()) {
            out.push_str(run);
            (rest, before) = (other, '\0');
        }
        let mut chars = rest.chars();
        let Some(c) = chars.next() else { return out };
        rest = chars.as_str();
        if c == '#' && before == '#' && opens_command(rest) {
            mark(c, &mut out);
        } else if is_hidden(c) {
            hidden(c, &mut out);
        } else {
            out.push(c);
        }
        before = c;
    }
}

/// Whether `##` before it would begin a command to a machine that runs pipelines, wherever in a line it stands: `##vso[task.…]` (Azure
/// Pipelines, `Agent.Worker/Command.cs`), `##[add-mask]` (GitHub Actions, `Runner.Common/ActionCommand.cs`), `##teamcity[…]`.
fn opens_command(rest: &str) -> bool {
    rest.trim_start_matches(|c: char| c.is_ascii_alphanumeric()).starts_with('[')
}

/// Whether a character steers a terminal, ends or reorders a line, or takes no place in it.
fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180e}' | '\u{3164}')
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{ffa0}')
        || matches!(c, '\u{fff9}'..='\u{fffb}' | '\u{fffe}' | '\u{ffff}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn controls_become_escapes() {
        assert_eq!(printable("a\x1b[31mb\r\n"), "a\\u{1b}[31mb\\r\\n");
        assert_eq!(printable("\u{9b}2J\u{7f}"), "\\u{9b}2J\\u{7f}");
        assert_eq!(printable("\u{202e}gpj.exe"), "\\u{202e}gpj.exe");
        assert_eq!(printable("pass\u{200b}wd\u{ad}\u{2063}\u{e0041}"), "pass\\u{200b}wd\\u{ad}\\u{2063}\\u{e0041}");
        assert_eq!(printable("grün 盘 🖥\u{fe0f}"), "grün 盘 🖥\u{fe0f}");
        for text in ["a\x1b[31mb\r\n", "##vso[task.complete]", "\\u{1b}"] {
            assert_eq!(printable(&printable(text)), printable(text));
        }
    }

    #[test]
    fn commands_to_pipelines_are_none_any_more() {
        for (text, wanted) in [
            ("x ##vso[task.setvariable]y", "x #\\u{23}vso[task.setvariable]y"),
            ("##[add-mask]x", "#\\u{23}[add-mask]x"),
            ("###VSO[x", "##\\u{23}VSO[x"),
            ("##teamcity[x", "#\\u{23}teamcity[x"),
            ("## a [b]", "## a [b]"),
            ("#vso[", "#vso["),
            ("##vso", "##vso"),
        ] {
            assert_eq!(printable(text), wanted);
        }
        // What cannot be seen does not help: some comparisons skip it.
        assert_eq!(printable("##\u{200b}vso["), "##\\u{200b}vso[");
    }

    #[test]
    fn lines_stay_lines() {
        assert_eq!(printable_lines("a\r\n  ::error::x\nb::c\n"), "a\\r\n  \\u{3a}:error::x\nb::c\n");
    }

    #[test]
    fn a_document_means_the_same() {
        let value = serde_json::json!({ "a\u{9b}##vso[x]": ["\u{202e}\u{7f}\u{1b}\"\\\n", "🖥\u{e0041} grün ##[x] ## y"] });
        for text in [serde_json::to_string(&value).unwrap(), serde_json::to_string_pretty(&value).unwrap()] {
            let safe = printable_json(&text);
            assert_eq!(serde_json::from_str::<serde_json::Value>(&safe).unwrap(), value);
            assert_eq!(safe.lines().count(), text.lines().count());
            assert!(!safe.contains("##vso[") && !safe.contains("##[") && !safe.chars().any(|c| is_hidden(c) && c != '\n'), "{safe}");
            assert_eq!(printable_json(&safe), safe);
        }
    }
}
