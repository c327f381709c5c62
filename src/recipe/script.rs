//! Lines of a script, and comments that keep within their lines.

/// Columns of a comment.
const WIDTH: usize = 110;

/// A script in the making.
#[derive(Debug)]
pub(super) struct Script {
    text: String,
    /// What begins a comment.
    mark: &'static str,
}

impl Script {
    pub(super) fn new(mark: &'static str) -> Self {
        Self { text: String::new(), mark }
    }

    /// One or several lines, as they are.
    pub(super) fn code(&mut self, lines: &str) {
        self.text.push_str(lines);
        self.text.push('\n');
    }

    /// An empty line.
    pub(super) fn gap(&mut self) {
        self.text.push('\n');
    }

    /// A comment, in as many lines as it needs.
    pub(super) fn comment(&mut self, text: &str) {
        let mut line = String::new();
        for word in text.split_whitespace() {
            let columns = line.chars().count().saturating_add(word.chars().count()).saturating_add(self.mark.len()).saturating_add(2);
            if !line.is_empty() && columns > WIDTH {
                self.comment_line(&line);
                line.clear();
            }
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
        self.comment_line(&line);
    }

    /// A comment whose spaces count, such as a command.
    pub(super) fn comment_line(&mut self, line: &str) {
        let space = if line.is_empty() { "" } else { " " };
        self.text.push_str(&format!("{}{space}{}\n", self.mark, crate::bytes::printable(line)));
    }

    pub(super) fn finish(self) -> String {
        self.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_leaves_a_comment() {
        let mut script = Script::new("#");
        script.comment("a\nrm -rf / \r\u{85}\u{2028}x `id`");
        script.comment_line("b\nreboot\u{2029}now");
        script.comment(&"word ".repeat(60));
        let text = script.finish();
        assert!(text.lines().all(|line| line.starts_with('#') && line.chars().count() <= WIDTH), "{text}");
        assert!(!text.contains(['\r', '\u{85}', '\u{2028}', '\u{2029}']));
    }
}
