//! Lines of styled words: safe to print, wrapped, and coloured last.
//!
//! A [`Span`] cannot be made without passing through [`printable`], so whatever a disk calls its partitions, no byte of it steers
//! the terminal. Widths are counted in characters.

use crate::bytes::{ByteSize, printable};
use crate::report::Look;

/// Narrower terminals are written to as if they had this many columns.
const NARROWEST: usize = 20;
/// Stands for a space where a line must not break.
const GLUE: char = '\u{a0}';

/// How a span looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ink {
    Plain,
    Bold,
    Dim,
    Red,
    Yellow,
    Green,
    Cyan,
}

impl Ink {
    /// Parameters of the SGR sequence.
    fn sgr(self) -> Option<&'static str> {
        match self {
            Self::Plain => None,
            Self::Bold => Some("1"),
            Self::Dim => Some("2"),
            Self::Red => Some("1;31"),
            Self::Yellow => Some("1;33"),
            Self::Green => Some("1;32"),
            Self::Cyan => Some("36"),
        }
    }

    /// A span of this ink.
    pub(super) fn text(self, text: impl AsRef<str>) -> Span {
        Span { ink: self, text: printable(text.as_ref()) }
    }
}

/// Text of one ink, without control characters.
#[derive(Debug, Clone)]
pub(super) struct Span {
    ink: Ink,
    text: String,
}

impl Span {
    fn width(&self) -> usize {
        self.text.chars().count()
    }

    /// Filled up with spaces behind it.
    pub(super) fn filled(&self, width: usize) -> Self {
        self.padded(width, false)
    }

    /// Filled up with spaces, on its left or on its right.
    fn padded(&self, width: usize, right: bool) -> Self {
        let fill = " ".repeat(width.saturating_sub(self.width()));
        let text = if right { format!("{fill}{}", self.text) } else { format!("{}{fill}", self.text) };
        Self { ink: self.ink, text }
    }
}

/// A plain span.
pub(super) fn plain(text: impl AsRef<str>) -> Span {
    Ink::Plain.text(text)
}

/// The text, not to be broken at its spaces.
pub(super) fn glue(text: impl AsRef<str>) -> String {
    text.as_ref().replace(' ', &GLUE.to_string())
}

/// A size in both units, broken between them at most.
pub(super) fn size(bytes: u64) -> String {
    let whole = ByteSize(bytes).to_string();
    match whole.split_once(" (") {
        Some((short, exact)) => format!("{} ({}", glue(short), glue(exact)),
        None => glue(whole),
    }
}

/// A size in its short unit.
pub(super) fn short(bytes: u64) -> String {
    glue(ByteSize(bytes).short())
}

/// `1 disk`, `2 disks`.
pub(super) fn count(number: usize, one: &str) -> String {
    glue(if number == 1 { format!("1 {one}") } else { format!("{number} {one}s") })
}

/// A line that is being filled.
#[derive(Debug, Default)]
struct Line {
    runs: Vec<(Ink, String)>,
    width: usize,
}

impl Line {
    fn push(&mut self, ink: Ink, text: &str) {
        self.width = self.width.saturating_add(text.chars().count());
        let text = text.replace(GLUE, " ");
        match self.runs.last_mut() {
            Some((last, run)) if *last == ink => run.push_str(&text),
            _ => self.runs.push((ink, text)),
        }
    }

    fn last_ink(&self) -> Option<Ink> {
        self.runs.last().map(|(ink, _)| *ink)
    }
}

/// A text under construction, always made of whole lines.
#[derive(Debug)]
pub(super) struct Page<'a> {
    look: &'a Look,
    out: String,
}

impl<'a> Page<'a> {
    pub(super) fn new(look: &'a Look) -> Self {
        Self { look, out: String::new() }
    }

    pub(super) fn verbose(&self) -> bool {
        self.look.verbose
    }

    pub(super) fn width(&self) -> usize {
        self.look.width.max(NARROWEST)
    }

    /// The finished text.
    pub(super) fn text(self) -> String {
        self.out
    }

    /// An empty line, unless there is one already or nothing yet.
    pub(super) fn blank(&mut self) {
        if !self.out.is_empty() && !self.out.ends_with("\n\n") {
            self.out.push('\n');
        }
    }

    /// One line, however long.
    pub(super) fn line(&mut self, spans: &[Span]) {
        let mut line = Line::default();
        for span in spans {
            line.push(span.ink, &span.text);
        }
        self.finish(line);
    }

    /// A command to be copied: too long for a line, it goes on in the next as shells read it. No word is broken.
    pub(super) fn command(&mut self, lead: &Span, words: &[String]) {
        let width = self.width();
        let mut line = Line::default();
        line.push(lead.ink, &lead.text);
        let start = line.width;
        for (place, word) in words.iter().enumerate() {
            let word = Ink::Cyan.text(word);
            // Behind all but the last, the sign that the command goes on needs its room.
            let sign = if place.saturating_add(1) < words.len() { 2 } else { 0 };
            let gap = usize::from(place > 0);
            let wanted = line.width.saturating_add(gap).saturating_add(word.width()).saturating_add(sign);
            if wanted > width && line.width > start && place > 0 {
                line.push(Ink::Cyan, " \\");
                self.finish(std::mem::take(&mut line));
                line.push(Ink::Plain, &" ".repeat(start));
            } else if place > 0 {
                line.push(Ink::Cyan, " ");
            }
            line.push(Ink::Cyan, &word.text);
        }
        self.finish(line);
    }

    /// A heading with an empty line before it.
    pub(super) fn heading(&mut self, ink: Ink, text: &str) {
        self.blank();
        self.line(&[ink.text(text)]);
    }

    /// `key  value`, the value wrapped behind its key.
    pub(super) fn entry(&mut self, indent: usize, key: &Span, width: usize, body: &[Span]) {
        let hang = indent.saturating_add(width);
        let fitted = key.padded(width, false);
        self.flow(&[plain(" ".repeat(indent)), fitted], hang, body);
    }

    /// Words wrapped to the width, further lines indented by `hang`. The lead is not broken.
    pub(super) fn flow(&mut self, lead: &[Span], hang: usize, body: &[Span]) {
        let width = self.width();
        let hang = hang.min(width / 2);
        let mut line = Line::default();
        for span in lead {
            line.push(span.ink, &span.text);
        }
        let mut first = true;
        for word in words(body) {
            let length = word.iter().map(Span::width).fold(0, usize::saturating_add);
            let gap = usize::from(!first);
            let full = line.width.saturating_add(gap).saturating_add(length) > width;
            if full && line.width > hang {
                self.finish(std::mem::take(&mut line));
                line.push(Ink::Plain, &" ".repeat(hang));
            } else if !first {
                let ink = word.first().map(|span| span.ink).filter(|ink| line.last_ink() == Some(*ink));
                line.push(ink.unwrap_or(Ink::Plain), " ");
            }
            first = false;
            for span in &word {
                line.push(span.ink, &span.text);
            }
        }
        self.finish(line);
    }

    /// Rows in columns, two spaces apart; a row's last cell is wrapped in its place. `right` lists the columns that align right.
    pub(super) fn table(&mut self, indent: usize, right: &[usize], rows: &[Vec<Span>]) {
        let mut widths: Vec<usize> = Vec::new();
        for row in rows {
            for (place, cell) in row.iter().enumerate().take(row.len().saturating_sub(1)) {
                match widths.get_mut(place) {
                    Some(width) => *width = cell.width().max(*width),
                    None => widths.push(cell.width()),
                }
            }
        }
        for row in rows {
            let Some((last, cells)) = row.split_last() else { continue };
            let mut lead = vec![plain(" ".repeat(indent))];
            let mut hang = indent;
            for (place, (cell, width)) in cells.iter().zip(&widths).enumerate() {
                lead.push(cell.padded(*width, right.contains(&place)));
                lead.push(plain("  "));
                hang = hang.saturating_add(*width).saturating_add(2);
            }
            self.flow(&lead, hang, std::slice::from_ref(last));
        }
    }

    /// Puts a line down: without spaces at its end, and with its colours.
    fn finish(&mut self, mut line: Line) {
        while let Some((_, run)) = line.runs.last_mut() {
            run.truncate(run.trim_end().len());
            if !run.is_empty() {
                break;
            }
            line.runs.pop();
        }
        // A line that begins so would be a command to GitHub Actions, which skips white space before it.
        if let Some((_, run)) = line.runs.iter_mut().find(|(_, run)| !run.trim_start().is_empty())
            && run.trim_start().starts_with("::")
        {
            *run = run.replacen(':', "\\u{3a}", 1);
        }
        for (ink, run) in &line.runs {
            match ink.sgr().filter(|_| self.look.color && !run.trim().is_empty()) {
                Some(sgr) => self.out.push_str(&format!("\x1b[{sgr}m{run}\x1b[0m")),
                None => self.out.push_str(run),
            }
        }
        self.out.push('\n');
    }
}

/// Words, each of one or more spans: a change of ink does not end a word.
fn words(body: &[Span]) -> Vec<Vec<Span>> {
    let mut words = Vec::new();
    let mut word: Vec<Span> = Vec::new();
    for span in body {
        for (place, piece) in span.text.split(' ').enumerate() {
            if place > 0 && !word.is_empty() {
                words.push(std::mem::take(&mut word));
            }
            if !piece.is_empty() {
                word.push(Span { ink: span.ink, text: piece.to_owned() });
            }
        }
    }
    if !word.is_empty() {
        words.push(word);
    }
    words
}

/// Columns that a table takes when nothing of it is wrapped.
pub(super) fn natural_width(indent: usize, rows: &[Vec<Span>]) -> usize {
    let columns = rows.iter().map(Vec::len).max().unwrap_or_default();
    let widest = |place: usize| rows.iter().filter_map(|row| row.get(place)).map(Span::width).max().unwrap_or_default();
    let cells = (0..columns).map(widest).fold(indent, usize::saturating_add);
    cells.saturating_add(columns.saturating_sub(1).saturating_mul(2))
}

/// Rows with their cells padded to columns, two spaces apart.
pub(super) fn padded(rows: &[Vec<Span>]) -> Vec<Vec<Span>> {
    let widest = |place: usize| rows.iter().filter_map(|row| row.get(place)).map(Span::width).max().unwrap_or_default();
    let columns = rows.iter().map(Vec::len).max().unwrap_or_default();
    let widths: Vec<usize> = (0..columns).map(widest).collect();
    let pad = |row: &Vec<Span>| row.iter().zip(&widths).flat_map(|(cell, width)| [cell.padded(*width, false), plain("  ")]).collect();
    rows.iter().map(pad).collect()
}

#[cfg(test)]
mod tests {
    use super::super::sample::PLAIN;
    use super::*;

    #[test]
    fn no_line_is_a_command_to_a_pipeline() {
        for color in [false, true] {
            let look = Look { color, width: 20, ..PLAIN };
            let mut page = Page::new(&look);
            page.flow(&[plain("  ")], 2, &[Ink::Red.text("some words and ::error::x and more of ::set-output name=a::b")]);
            page.line(&[plain(" "), plain("::warning::y")]);
            page.line(&[Ink::Bold.text("::stop-commands::z"), plain("a::b")]);
            let text = page.text();
            assert!(text.contains("\\u{3a}:error::x") && text.contains("a::b"), "{text}");
            for line in text.lines() {
                let mut pieces = line.split("\x1b[");
                let first = pieces.next().unwrap_or_default().to_owned();
                let bare = pieces.fold(first, |bare, piece| bare + piece.split_once('m').unwrap().1);
                assert!(!bare.trim_start().starts_with("::") && !line.trim_start().starts_with("::"), "{line:?}");
            }
        }
    }
}
