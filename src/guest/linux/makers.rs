//! Settings of the programs that make an initramfs: assignments in shell words, and lists of modules.
//!
//! Sources: `dracut.conf(5)`, `initramfs.conf(5)`, `mkinitcpio.conf(5)`, and mkinitfs' own `mkinitfs.conf`. These files are run by a
//! shell; what is read here is what people and packages write in them: `name=value`, `name+=value`, quotes, and lists in parentheses.

/// One assignment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assignment {
    /// The variable.
    pub name: String,
    /// Whether it adds to what was there.
    pub adds: bool,
    /// The words of the value.
    pub words: Vec<String>,
    /// The line where it starts, from 1.
    pub line: usize,
}

/// Reads the assignments of a file. Values with `$` are taken as they are written.
#[must_use]
pub fn assignments(text: &str) -> Vec<Assignment> {
    let mut found = Vec::new();
    let mut lines = (1_usize..).zip(text.lines());
    while let Some((line, first)) = lines.next() {
        let Some((name, value)) = first.split_once('=') else { continue };
        let name = name.trim_start().trim_start_matches("export ");
        let (name, adds) = name.strip_suffix('+').map_or((name, false), |name| (name, true));
        if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
            continue;
        }
        let mut words = Words::default();
        words.take(value);
        while words.is_open() {
            let Some((_, next)) = lines.next() else { break };
            words.take(next);
        }
        found.push(Assignment { name: name.to_owned(), adds, words: words.finish(), line });
    }
    found
}

/// The words of a value that may go on over lines.
#[derive(Debug, Default)]
struct Words {
    done: Vec<String>,
    word: String,
    quote: Option<char>,
    in_list: bool,
    /// A backslash ended the line.
    goes_on: bool,
}

impl Words {
    fn is_open(&self) -> bool {
        self.quote.is_some() || self.in_list || self.goes_on
    }

    fn end_word(&mut self) {
        if !self.word.is_empty() {
            self.done.push(std::mem::take(&mut self.word));
        }
    }

    /// Takes the rest of a line. Quoted text is cut at spaces like the rest: its reader does so.
    fn take(&mut self, text: &str) {
        self.goes_on = false;
        let mut before = ' ';
        let mut chars = text.chars().peekable();
        while let Some(c) = chars.next() {
            match (self.quote, c) {
                (_, '\\') if chars.peek().is_none() => self.goes_on = true,
                (Some(quote), _) if c == quote => self.quote = None,
                (None, '"' | '\'') => self.quote = Some(c),
                (None, '(') if self.word.is_empty() && !self.in_list => self.in_list = true,
                (None, ')') if self.in_list => {
                    self.in_list = false;
                    break;
                }
                (None, '#') if before.is_whitespace() => break,
                // A command follows, not the value.
                (None, ';') => break,
                (_, c) if c.is_whitespace() => {
                    self.end_word();
                    if self.quote.is_none() && !self.in_list {
                        break;
                    }
                }
                (_, c) => self.word.push(c),
            }
            before = c;
        }
        if !self.goes_on {
            self.end_word();
        }
    }

    fn finish(mut self) -> Vec<String> {
        self.end_word();
        self.done
    }
}

/// A list of modules: the first word of each line, comments passed over; each with its line.
#[must_use]
pub fn module_list(text: &str) -> Vec<(usize, String)> {
    let words = (1_usize..).zip(text.lines()).filter_map(|(line, text)| Some((line, text.split_whitespace().next()?.to_owned())));
    words.filter(|(_, word)| !word.starts_with('#')).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn assignments_are_read() {
        let text = "# add_drivers+=\" no \"\nadd_drivers+=\" hv_vmbus hv_netvsc  hv_storvsc \"\nhostonly='no' # why\nMODULES=(ext4 \\\n  hv_vmbus\n # not\n nvme)\nHOOKS=()\n  export X=most; Y=2\nfeatures=\"a b\n c\"\nif [ x = y ]; then\nmulti=\"a \\\n b\"\nlast=\"open";
        let found: Vec<_> = assignments(text).into_iter().map(|one| (one.line, one.name, one.adds, one.words.join(" "))).collect();
        let expected = [
            (2, "add_drivers", true, "hv_vmbus hv_netvsc hv_storvsc"),
            (3, "hostonly", false, "no"),
            (4, "MODULES", false, "ext4 hv_vmbus nvme"),
            (8, "HOOKS", false, ""),
            (9, "X", false, "most"),
            (10, "features", false, "a b c"),
            (13, "multi", false, "a b"),
            (15, "last", false, "open"),
        ];
        let expected: Vec<_> =
            expected.into_iter().map(|(line, name, adds, words)| (line, name.to_owned(), adds, words.to_owned())).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn lists_have_a_module_each_line() {
        assert_eq!(module_list("# x\n\nhv_vmbus\n  nvme io_timeout=240\n"), [(3, "hv_vmbus".to_owned()), (4, "nvme".to_owned())]);
    }
}
