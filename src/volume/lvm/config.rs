//! The grammar of LVM's text: sections in braces, values behind equals signs, comments behind a hash.
//!
//! Source: `libdm/libdm-config.c` of LVM2, which describes and parses it. A value is a number, a text in quotes or a list of these.

use std::borrow::Cow;

/// Sections may lie so deep in each other; LVM needs four levels.
const MAX_DEPTH: usize = 12;
/// Sections, values and list items that are read: enough for tens of thousands of logical volumes.
const MAX_NODES: usize = 1 << 19;

/// What stands between two braces, in its order.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Section<'a>(Vec<(Cow<'a, str>, Item<'a>)>);

#[derive(Debug, PartialEq)]
enum Item<'a> {
    Section(Section<'a>),
    Value(Value<'a>),
}

/// What follows an equals sign.
#[derive(Debug, PartialEq)]
pub(super) enum Value<'a> {
    /// A whole number that is not negative.
    Number(u64),
    /// A text.
    Text(Cow<'a, str>),
    /// Numbers and texts.
    List(Vec<Self>),
    /// A fraction or a negative number; LVM's metadata has none that is needed here.
    Other,
}

/// Text that cannot be read, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} at byte {at} of the text")]
pub(super) struct Fault {
    what: &'static str,
    at: usize,
}

impl<'a> Section<'a> {
    /// Reads a whole text. A NUL ends it.
    pub(super) fn parse(text: &'a str) -> Result<Self, Fault> {
        let text = text.split('\0').next().unwrap_or_default();
        let mut parser = Parser { text, at: 0, nodes: 0 };
        parser.section(0)
    }

    fn value(&self, key: &str) -> Option<&Value<'a>> {
        self.0.iter().find_map(|(name, item)| match item {
            Item::Value(value) if name == key => Some(value),
            _ => None,
        })
    }

    /// The number of this name.
    pub(super) fn number(&self, key: &str) -> Option<u64> {
        match self.value(key)? {
            Value::Number(number) => Some(*number),
            _ => None,
        }
    }

    /// The text of this name.
    pub(super) fn text(&self, key: &str) -> Option<&str> {
        match self.value(key)? {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The items of the list of this name; one value is a list of one, and what is missing is empty.
    pub(super) fn list(&self, key: &str) -> &[Value<'a>] {
        match self.value(key) {
            Some(Value::List(items)) => items,
            Some(value) => std::slice::from_ref(value),
            None => &[],
        }
    }

    /// Whether the list of this name has this text.
    pub(super) fn has(&self, key: &str, word: &str) -> bool {
        self.list(key).iter().any(|value| matches!(value, Value::Text(text) if text == word))
    }

    /// The section of this name.
    pub(super) fn section(&self, key: &str) -> Option<&Self> {
        self.sections().find(|(name, _)| *name == key).map(|(_, section)| section)
    }

    /// All sections, in their order.
    pub(super) fn sections(&self) -> impl Iterator<Item = (&str, &Self)> {
        self.0.iter().filter_map(|(name, item)| match item {
            Item::Section(section) => Some((&**name, section)),
            Item::Value(_) => None,
        })
    }
}

/// A place in a text.
struct Parser<'a> {
    text: &'a str,
    at: usize,
    /// How many nodes were made.
    nodes: usize,
}

impl<'a> Parser<'a> {
    fn fault<T>(&self, what: &'static str) -> Result<T, Fault> {
        Err(Fault { what, at: self.at })
    }

    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn advance(&mut self, bytes: usize) {
        self.at = self.at.saturating_add(bytes);
    }

    /// Passes this byte if it is next.
    fn take(&mut self, byte: u8) -> bool {
        let next = self.peek() == Some(byte);
        if next {
            self.advance(1);
        }
        next
    }

    /// Passes white space and comments.
    fn blank(&mut self) {
        loop {
            let rest = self.rest();
            let words = rest.trim_ascii_start();
            self.advance(rest.len().saturating_sub(words.len()));
            if !words.starts_with('#') {
                break;
            }
            self.advance(words.find('\n').unwrap_or(words.len()));
        }
    }

    fn node(&mut self) -> Result<(), Fault> {
        self.nodes = self.nodes.saturating_add(1);
        if self.nodes > MAX_NODES { self.fault("more entries than are read") } else { Ok(()) }
    }

    /// Entries up to the closing brace, or at depth 0 up to the end.
    fn section(&mut self, depth: usize) -> Result<Section<'a>, Fault> {
        if depth > MAX_DEPTH {
            return self.fault("sections too deep in each other");
        }
        let mut entries = Vec::new();
        loop {
            self.blank();
            match self.peek() {
                None if depth == 0 => return Ok(Section(entries)),
                None => return self.fault("a section that is not closed"),
                Some(b'}') if depth > 0 => {
                    self.advance(1);
                    return Ok(Section(entries));
                }
                Some(_) => {}
            }
            self.node()?;
            let name = self.word("no name")?;
            self.blank();
            let item = if self.take(b'{') {
                Item::Section(self.section(depth.saturating_add(1))?)
            } else if self.take(b'=') {
                Item::Value(self.value()?)
            } else {
                return self.fault("neither a section nor a value");
            };
            entries.push((name, item));
        }
    }

    fn value(&mut self) -> Result<Value<'a>, Fault> {
        self.blank();
        if !self.take(b'[') {
            return self.scalar();
        }
        let mut items = Vec::new();
        loop {
            self.blank();
            if self.take(b']') {
                return Ok(Value::List(items));
            }
            self.node()?;
            items.push(self.scalar()?);
            self.blank();
            if !self.take(b',') && self.peek() != Some(b']') {
                return self.fault("a list that is not closed");
            }
        }
    }

    fn scalar(&mut self) -> Result<Value<'a>, Fault> {
        let quoted = matches!(self.peek(), Some(b'"' | b'\''));
        let word = self.word("no value")?;
        let number = word.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '-' | '+' | '.'));
        if quoted || !number {
            return Ok(Value::Text(word));
        }
        // As strtoll reads it: a zero in front makes it octal.
        let radix = if word.len() > 1 && word.starts_with('0') { 8 } else { 10 };
        Ok(u64::from_str_radix(&word, radix).map_or(Value::Other, Value::Number))
    }

    /// A text in quotes, or the bytes up to white space or a mark.
    fn word(&mut self, missing: &'static str) -> Result<Cow<'a, str>, Fault> {
        if let Some(quote @ (b'"' | b'\'')) = self.peek() {
            self.advance(1);
            return self.quoted(quote);
        }
        let mark = |c: char| c.is_ascii_whitespace() || matches!(c, '#' | '=' | '{' | '}' | '[' | ']' | ',' | '"' | '\'');
        let rest = self.rest();
        let word = rest.split(mark).next().unwrap_or_default();
        if word.is_empty() {
            return self.fault(missing);
        }
        self.advance(word.len());
        Ok(Cow::Borrowed(word))
    }

    /// What follows the opening quote. In double quotes a backslash keeps the next byte from ending the text, and goes itself where
    /// a quote or another backslash follows.
    fn quoted(&mut self, quote: u8) -> Result<Cow<'a, str>, Fault> {
        let rest = self.rest();
        let mut escaped = false;
        let mut escapes = false;
        let end = rest.bytes().position(|byte| {
            let ends = byte == quote && !escaped;
            escaped = quote == b'"' && byte == b'\\' && !escaped;
            escapes |= escaped;
            ends
        });
        let Some(text) = end.and_then(|end| rest.get(..end)) else {
            return self.fault("a text whose quote is not closed");
        };
        self.advance(text.len().saturating_add(1));
        if !escapes {
            return Ok(Cow::Borrowed(text));
        }
        let mut plain = String::with_capacity(text.len());
        let mut chars = text.chars().peekable();
        while let Some(c) = chars.next() {
            let next = if c == '\\' { chars.next_if(|next| matches!(next, '"' | '\\')) } else { None };
            plain.push(next.unwrap_or(c));
        }
        Ok(Cow::Owned(plain))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_every_kind() {
        let text = "# c = 1\na { b = 12 # \"no\"\n\"odd key\"{}\n c=[\"x\", 3,'y z' ,]\nd = [ ]\ne=\"q \\\"in\\\" \\\\ \\n\"\nf=-3 g=1.5 h=010 i=bare j=\"\"}\0}";
        let root = Section::parse(text).unwrap();
        let a = root.section("a").unwrap();
        assert_eq!(a.number("b"), Some(12));
        assert_eq!(a.section("odd key"), Some(&Section::default()));
        assert_eq!(a.list("c"), [Value::Text("x".into()), Value::Number(3), Value::Text("y z".into())]);
        assert!(a.has("c", "x") && !a.has("c", "3") && a.list("d").is_empty());
        assert_eq!(a.text("e"), Some(r#"q "in" \ \n"#));
        assert_eq!((a.number("f"), a.number("g"), a.number("h")), (None, None, Some(8)));
        assert_eq!((a.text("i"), a.text("j"), a.text("b")), (Some("bare"), Some(""), None));
        assert_eq!(root.sections().count(), 1);
    }

    #[test]
    fn faults_say_where() {
        for (text, fault) in [
            ("a", "neither a section nor a value at byte 1 of the text"),
            ("a {", "a section that is not closed at byte 3 of the text"),
            ("}", "no name at byte 0 of the text"),
            ("a = ", "no value at byte 4 of the text"),
            ("a = [1 2]", "a list that is not closed at byte 7 of the text"),
            ("a = [1", "a list that is not closed at byte 6 of the text"),
            ("a = [[1]]", "no value at byte 5 of the text"),
            ("a = \"x\\\"", "a text whose quote is not closed at byte 5 of the text"),
            ("= 1", "no name at byte 0 of the text"),
        ] {
            assert_eq!(Section::parse(text).unwrap_err().to_string(), fault, "{text}");
        }
    }

    #[test]
    fn hostile_texts_end() {
        assert!(Section::parse(&"a{".repeat(1 << 20)).unwrap_err().to_string().starts_with("sections too deep"));
        assert!(Section::parse(&"a=1\n".repeat(MAX_NODES + 1)).unwrap_err().to_string().starts_with("more entries"));
        assert!(Section::parse(&format!("a=[{}]", "1,".repeat(MAX_NODES))).unwrap_err().to_string().starts_with("more entries"));
        assert!(Section::parse(&"a=1\n".repeat(MAX_NODES)).is_ok());
        assert!(Section::parse(&"#\n".repeat(1 << 20)).is_ok());
    }
}
