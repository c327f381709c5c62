//! YAML as netplan, cloud-init and their like read it: one document, read as events, within fixed bounds.
//!
//! A scalar keeps its text, because readers disagree about what it means: `52:54:00:12:34:56` is a number to PyYAML and an address to
//! netplan. [`Value::as_bool`] and [`Value::as_int`] follow YAML 1.1 (<https://yaml.org/type/>), as PyYAML does. A key that stands twice
//! takes its last value, and `<<` merges, as there. A document that would grow beyond the bounds, by aliases for example, is refused.

use std::collections::{HashMap, HashSet};
use yaml_rust2::parser::{Event, Parser, Tag};
use yaml_rust2::scanner::TScalarStyle;

/// Bytes of text at most.
pub const MAX_TEXT: usize = 1 << 20;
/// Lists and maps within each other at most, aliases followed.
const MAX_DEPTH: usize = 64;
/// Nodes at most, and bytes of their texts, aliases followed.
const MAX_NODES: usize = 1 << 18;
const MAX_BYTES: usize = 1 << 22;

/// A node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// Text that is a string whatever it looks like (quoted, a block, or tagged `!!str`), or that may mean something else.
    Scalar {
        /// The text, escapes resolved.
        text: String,
        /// Whether it stood plain, so that `yes`, `~` and `42` mean what they mean in YAML.
        plain: bool,
    },
    /// A list.
    List(Vec<Self>),
    /// Keys and values, in the order of the text; each key once.
    Map(Vec<(String, Self)>),
}

impl Value {
    /// An empty map.
    #[must_use]
    pub const fn empty() -> Self {
        Self::Map(vec![])
    }

    /// The value of a key; `None` where this is no map or has no such key.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Self> {
        self.as_map()?.iter().find_map(|(name, value)| (name == key).then_some(value))
    }

    /// The value under keys within each other.
    #[must_use]
    pub fn at(&self, keys: &[&str]) -> Option<&Self> {
        keys.iter().try_fold(self, |value, key| value.get(key))
    }

    /// The text of a scalar that is not null.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::Scalar { text, .. } if !self.is_null() => Some(text),
            _ => None,
        }
    }

    /// What a plain scalar means as a boolean in YAML 1.1 (not `y` and `n`, which PyYAML leaves as text).
    #[must_use]
    pub fn as_bool(&self) -> Option<bool> {
        match self.plain()? {
            "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => Some(true),
            "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => Some(false),
            _ => None,
        }
    }

    /// What a plain scalar means as an integer in YAML 1.1: decimal, `0x`, `0b`, octal with a leading `0`, `_` between digits. Numbers to
    /// the base of 60 (`1:30`) are not taken for such.
    #[must_use]
    pub fn as_int(&self) -> Option<i64> {
        let text = self.plain()?.replace('_', "");
        let (negative, digits) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text.strip_prefix('+').unwrap_or(&text)),
        };
        if !digits.starts_with(|c: char| c.is_ascii_digit()) {
            return None;
        }
        let value = match digits.strip_prefix('0') {
            None | Some("") => digits.parse().ok()?,
            Some(rest) => match (rest.strip_prefix('x'), rest.strip_prefix('b')) {
                (Some(hex), _) => number(hex, 16)?,
                (_, Some(binary)) => number(binary, 2)?,
                _ => number(rest, 8)?,
            },
        };
        if negative { i64::checked_neg(value) } else { Some(value) }
    }

    /// The items of a list.
    #[must_use]
    pub fn as_list(&self) -> Option<&[Self]> {
        match self {
            Self::List(items) => Some(items),
            _ => None,
        }
    }

    /// The pairs of a map.
    #[must_use]
    pub fn as_map(&self) -> Option<&[(String, Self)]> {
        match self {
            Self::Map(pairs) => Some(pairs),
            _ => None,
        }
    }

    /// Whether it is nothing: `~`, `null`, or no text at all.
    #[must_use]
    pub fn is_null(&self) -> bool {
        matches!(self.plain(), Some("" | "~" | "null" | "Null" | "NULL"))
    }

    fn plain(&self) -> Option<&str> {
        match self {
            Self::Scalar { text, plain: true } => Some(text),
            _ => None,
        }
    }

    const fn null() -> Self {
        Self::Scalar { text: String::new(), plain: true }
    }
}

/// Digits without a sign.
fn number(digits: &str, radix: u32) -> Option<i64> {
    if digits.starts_with(['+', '-']) { None } else { i64::from_str_radix(digits, radix).ok() }
}

/// The one document of a text; null where there is none.
///
/// # Errors
///
/// When it is no YAML, has several documents or a key that is not text, or would pass the bounds; in words, with line and column.
pub fn parse(text: &str) -> Result<Value, String> {
    documents(text, true)
}

/// The first document of a text, as libyaml's loader gives it to netplan; what follows it is not read. Null where there is none.
///
/// # Errors
///
/// As [`parse`], of the first document.
pub fn parse_first(text: &str) -> Result<Value, String> {
    documents(text, false)
}

fn documents(text: &str, only: bool) -> Result<Value, String> {
    if text.len() > MAX_TEXT {
        return Err(format!("more than {MAX_TEXT} bytes of YAML"));
    }
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut parser = Parser::new_from_str(text);
    let mut building = Building::default();
    let mut document = None;
    loop {
        let (event, mark) = parser.next_token().map_err(|error| error.to_string())?;
        let here = |what: &str| format!("{what} at line {} column {}", mark.line(), mark.col().saturating_add(1));
        let done = match event {
            Event::StreamEnd => return Ok(document.unwrap_or(Value::null())),
            Event::DocumentStart if document.is_some() && only => return Err(here("a second document")),
            Event::DocumentEnd => {
                document.get_or_insert(Value::null());
                if only {
                    continue;
                }
                return Ok(document.unwrap_or(Value::null()));
            }
            Event::Nothing | Event::StreamStart | Event::DocumentStart => continue,
            Event::Scalar(text, style, anchor, tag) => {
                let plain = style == TScalarStyle::Plain && !tag.is_some_and(|tag| is_text(&tag));
                building.scalar(text, plain, anchor)
            }
            Event::Alias(anchor) => building.alias(anchor),
            Event::SequenceStart(anchor, _) => building.open(Open::List(vec![]), anchor).map(|()| None),
            Event::MappingStart(anchor, _) => {
                let map = Open::Map { pairs: vec![], places: HashMap::new(), key: None };
                building.open(map, anchor).map(|()| None)
            }
            Event::SequenceEnd | Event::MappingEnd => building.close(),
        };
        if let Some(value) = done.map_err(here)? {
            document = Some(value);
        }
    }
}

/// Whether a tag says that a scalar is a string.
fn is_text(tag: &Tag) -> bool {
    tag.handle == "tag:yaml.org,2002:" && tag.suffix == "str"
}

/// How much a value takes.
#[derive(Debug, Clone, Copy, Default)]
struct Extent {
    nodes: usize,
    bytes: usize,
    height: usize,
}

/// A list or a map that is not complete yet.
#[derive(Debug)]
enum Open {
    List(Vec<Value>),
    Map {
        pairs: Vec<(String, Value)>,
        places: HashMap<String, usize>,
        /// The key whose value comes next, and whether it stood plain.
        key: Option<(String, bool)>,
    },
}

/// The document as far as its events came.
#[derive(Debug, Default)]
struct Building {
    stack: Vec<(Open, usize, Extent)>,
    anchors: HashMap<usize, (Value, Extent)>,
    nodes: usize,
    bytes: usize,
}

impl Building {
    /// Counts what is about to be held once more.
    fn charge(&mut self, extent: Extent) -> Result<(), &'static str> {
        self.nodes = self.nodes.saturating_add(extent.nodes);
        self.bytes = self.bytes.saturating_add(extent.bytes);
        if self.nodes > MAX_NODES || self.bytes > MAX_BYTES {
            return Err("more values than a configuration file has, its aliases followed,");
        }
        if self.stack.len().saturating_add(extent.height) > MAX_DEPTH {
            return Err("more than 64 lists and maps within each other");
        }
        Ok(())
    }

    fn open(&mut self, open: Open, anchor: usize) -> Result<(), &'static str> {
        let extent = Extent { nodes: 1, bytes: 0, height: 1 };
        self.charge(extent)?;
        self.stack.push((open, anchor, extent));
        Ok(())
    }

    fn scalar(&mut self, text: String, plain: bool, anchor: usize) -> Result<Option<Value>, &'static str> {
        let extent = Extent { nodes: 1, bytes: text.len(), height: 0 };
        self.charge(extent)?;
        self.put(Value::Scalar { text, plain }, anchor, extent)
    }

    fn alias(&mut self, anchor: usize) -> Result<Option<Value>, &'static str> {
        let extent = self.anchors.get(&anchor).map(|(_, extent)| *extent).ok_or("an alias within what it stands for")?;
        self.charge(extent)?;
        let value = self.anchors.get(&anchor).map_or(Value::null(), |(value, _)| value.clone());
        self.put(value, 0, extent)
    }

    fn close(&mut self) -> Result<Option<Value>, &'static str> {
        let (open, anchor, extent) = self.stack.pop().ok_or("an end without a start")?;
        let value = match open {
            Open::List(items) => Value::List(items),
            Open::Map { pairs, places, .. } => Value::Map(self.merged(pairs, &places)?),
        };
        self.put(value, anchor, extent)
    }

    /// Places a whole value into the list or map around it; returns it where there is none.
    fn put(&mut self, value: Value, anchor: usize, extent: Extent) -> Result<Option<Value>, &'static str> {
        if anchor != 0 {
            self.charge(extent)?;
            self.anchors.insert(anchor, (value.clone(), extent));
        }
        let Some((open, _, around)) = self.stack.last_mut() else { return Ok(Some(value)) };
        around.nodes = around.nodes.saturating_add(extent.nodes);
        around.bytes = around.bytes.saturating_add(extent.bytes);
        around.height = around.height.max(extent.height.saturating_add(1));
        match open {
            Open::List(items) => items.push(value),
            Open::Map { pairs, places, key } => match key.take() {
                None => match value {
                    Value::Scalar { text, plain } => *key = Some((text, plain)),
                    Value::List(_) | Value::Map(_) => return Err("a key that is not text"),
                },
                Some((name, plain)) => {
                    // A quoted "<<" is a key like others; a NUL keeps the two apart, which no YAML text can hold.
                    let name = if plain && name == "<<" { MERGE.to_owned() } else { name };
                    match places.get(&name).and_then(|place| pairs.get_mut(*place)) {
                        Some((_, there)) => *there = value,
                        None => {
                            places.insert(name.clone(), pairs.len());
                            pairs.push((name, value));
                        }
                    }
                }
            },
        }
        Ok(None)
    }

    /// A map with what `<<` brings: keys that it does not have itself, the first of several maps first.
    fn merged(&mut self, mut pairs: Vec<(String, Value)>, places: &HashMap<String, usize>) -> Result<Vec<(String, Value)>, &'static str> {
        let Some(place) = places.get(MERGE).copied().filter(|place| *place < pairs.len()) else { return Ok(pairs) };
        let (_, merge) = pairs.remove(place);
        let maps = match merge {
            Value::Map(_) => vec![merge],
            Value::List(items) => items,
            Value::Scalar { .. } => return Err("a merge of what is not a map"),
        };
        let mut known: HashSet<String> = pairs.iter().map(|(name, _)| name.clone()).collect();
        for map in maps {
            let Value::Map(more) = map else { return Err("a merge of what is not a map") };
            for (name, value) in more {
                if known.insert(name.clone()) {
                    pairs.push((name, value));
                }
            }
        }
        Ok(pairs)
    }
}

/// The name under which a merge key waits for the end of its map.
const MERGE: &str = "\0<<";

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Value {
        Value::Scalar { text: text.to_owned(), plain: true }
    }

    #[test]
    fn a_document_is_read_with_its_order() {
        let value = parse("b: 1\na:\n  - x\n  - {y: ~, \"z\": 'on'}\nc: |\n  two\n  lines\n").unwrap();
        assert_eq!(value.as_map().unwrap().iter().map(|(key, _)| key.as_str()).collect::<Vec<_>>(), ["b", "a", "c"]);
        assert_eq!(value.get("b").unwrap().as_int(), Some(1));
        let items = value.get("a").unwrap().as_list().unwrap();
        assert_eq!(items[0].as_str(), Some("x"));
        assert!(items[1].get("y").unwrap().is_null());
        assert_eq!(items[1].get("y").unwrap().as_str(), None);
        assert_eq!(items[1].get("z").unwrap().as_str(), Some("on"));
        assert_eq!(items[1].get("z").unwrap().as_bool(), None, "quoted, so it is text");
        assert_eq!(value.get("c").unwrap().as_str(), Some("two\nlines\n"));
        assert_eq!(value.at(&["a", "b"]), None);
    }

    #[test]
    fn scalars_mean_what_pyyaml_takes_them_for() {
        for (given, bool, int, null) in [
            ("yes", Some(true), None, false),
            ("Off", Some(false), None, false),
            ("y", None, None, false),
            ("TRUE", Some(true), None, false),
            ("0", None, Some(0), false),
            ("-12", None, Some(-12), false),
            ("+7", None, Some(7), false),
            ("1_000", None, Some(1000), false),
            ("0x1F", None, Some(31), false),
            ("0644", None, Some(0o644), false),
            ("0b101", None, Some(5), false),
            ("089", None, None, false),
            ("--1", None, None, false),
            ("0x-1", None, None, false),
            ("99999999999999999999", None, None, false),
            ("1.5", None, None, false),
            ("52:54:00:12:34:56", None, None, false),
            ("", None, None, true),
            ("~", None, None, true),
            ("null", None, None, true),
            ("none", None, None, false),
        ] {
            let value = text(given);
            assert_eq!((value.as_bool(), value.as_int(), value.is_null()), (bool, int, null), "{given}");
        }
        assert_eq!(parse("!!str yes").unwrap().as_bool(), None);
    }

    #[test]
    fn empty_texts_are_null() {
        for given in ["", "\n", "# only words\n", "---\n", "--- \n...\n", "\u{feff}"] {
            assert_eq!(parse(given), Ok(Value::null()), "{given:?}");
        }
    }

    #[test]
    fn a_key_that_stands_twice_takes_its_last_value() {
        assert_eq!(parse("a: 1\nb: 2\na: 3\n").unwrap(), Value::Map(vec![("a".into(), text("3")), ("b".into(), text("2"))]));
    }

    #[test]
    fn aliases_and_merges_are_followed() {
        let value = parse("base: &b {x: 1, y: 2}\nmore:\n  <<: *b\n  y: 3\nall: {<<: [{x: 5}, *b]}\n\"<<\": 4\n").unwrap();
        assert_eq!(value.at(&["more", "x"]).unwrap().as_int(), Some(1));
        assert_eq!(value.at(&["more", "y"]).unwrap().as_int(), Some(3));
        assert_eq!(value.at(&["all", "x"]).unwrap().as_int(), Some(5));
        assert_eq!(value.at(&["all", "y"]).unwrap().as_int(), Some(2));
        assert_eq!(value.get("<<").unwrap().as_int(), Some(4));
    }

    #[test]
    fn several_documents_are_refused_or_the_first_taken() {
        assert!(parse("a: 1\n---\nb: 2\n").unwrap_err().contains("second document"));
        assert_eq!(parse_first("a: 1\n---\nb: 2\n").unwrap().get("a").unwrap().as_int(), Some(1));
        assert_eq!(parse_first("a: 1\n---\n[\n").unwrap().get("a").unwrap().as_int(), Some(1));
    }

    #[test]
    fn what_is_no_yaml_is_refused_in_words() {
        for given in ["a: [", "a: b: c", "*none", "{a: 1", "? [x]\n: 1\n", "\"open", "&a [*a]", "a: 1\n b: 2\n", "<<: 3", "%BAD", "]", "}"]
        {
            let error = parse(given).unwrap_err();
            assert!(!error.is_empty(), "{given}");
        }
    }

    #[test]
    fn aliases_cannot_multiply() {
        let mut laughs = "a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol]\n".to_owned();
        for level in 1..12 {
            let below = level - 1;
            let items = vec![format!("*a{below}"); 9].join(", ");
            laughs.push_str(&format!("a{level}: &a{level} [{items}]\n"));
        }
        assert!(parse(&laughs).unwrap_err().contains("more values"));
        let mut deep = "a0: &a0 [1]\n".to_owned();
        for level in 1..100 {
            deep.push_str(&format!("a{level}: &a{level} [*a{}]\n", level - 1));
        }
        assert!(parse(&deep).unwrap_err().contains("within each other"));
    }

    #[test]
    fn hostile_shapes_end_soon() {
        let many = |piece: &str| piece.repeat(MAX_TEXT / piece.len());
        for piece in [
            "[", "{", "- ", "? ", "a: ", "&a ", "!a ", "[a,", "{a:", "a\n", "- a\n", "'", "\"", "#", "%", "|\n", "*a ", " ", "\t", ",",
            "a: &a\n", "[?,",
        ] {
            let start = std::time::Instant::now();
            let outcome = parse(&many(piece)).map(drop);
            assert!(start.elapsed().as_secs() < 120, "{piece:?} took {:?}: {outcome:?}", start.elapsed());
        }
        assert!(parse(&"a".repeat(MAX_TEXT + 1)).unwrap_err().contains("bytes"));
    }

    #[test]
    fn damaged_texts_never_panic() {
        let seeds = [
            "#cloud-config\nusers:\n  - default\ndisable_root: true\ndatasource:\n  Azure: &az {apply_network_config: [1, 'x', \"\\u00e9\"]}\nx: *az\n",
            "network:\n  version: 2\n  ethernets:\n    eth0:\n      dhcp4: true\n      match: {macaddress: 52:54:00:12:34:56}\n? k\n: >-\n  folded\n  text\n...\n",
            "%YAML 1.1\n%TAG !e! tag:example.com,2000:\n--- !e!x\n- !!str a\n- ! b\n- [a: b, ? c : d, e]\n- {? a, b: , \"c\":d}\n",
        ];
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let mut random = move || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state
        };
        let alphabet = b" \n\t:-?,[]{}&*!|>'\"%@`#ab0~\\\x00\xc2\x85.<=";
        for seed in seeds {
            for end in 0..seed.len() {
                if let Some(part) = seed.get(..end) {
                    drop(parse(part));
                }
            }
            for _ in 0..20_000 {
                let mut bytes = seed.as_bytes().to_vec();
                for _ in 0..1 + random() % 6 {
                    let at = random() as usize % bytes.len();
                    let new = alphabet[random() as usize % alphabet.len()];
                    match random() % 3 {
                        0 => bytes[at] = new,
                        1 => bytes.insert(at, new),
                        _ => drop(bytes.remove(at)),
                    }
                }
                drop(parse(&String::from_utf8_lossy(&bytes)));
            }
        }
    }
}
