//! The grammar of GRUB's scripts: words, commands, blocks.
//!
//! Source: GNU GRUB manual 2.06, chapter 16.1 "Writing full configuration files": a subset of the shell's grammar, with `menuentry` and
//! `submenu` blocks. What is read here is a tree; what it means is for [`super::run`].

use std::collections::VecDeque;
use std::rc::Rc;

/// Blocks within blocks at most.
const MAX_DEPTH: usize = 32;
/// Words of one script at most; the scripts of distributions have some thousand.
const MAX_TOKENS: usize = 400_000;

/// A word of a command: text and variables side by side.
pub(super) type Word = Vec<Part>;

/// A part of a word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Part {
    /// As it is written.
    Text(String),
    /// A quoted text, which keeps a word alive even when it is empty.
    Quoted(String),
    /// A variable; outside quotes its value is split at white space.
    Variable { name: String, quoted: bool },
}

/// A statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Statement {
    /// Words of a command, and its line.
    Command(Vec<Word>, u32),
    /// `menuentry` and `submenu`: the words before the brace, what is inside.
    Menu { words: Vec<Word>, body: Vec<Self>, line: u32 },
    /// Conditions with what follows from them; the last may have no condition: `else`.
    If(Vec<Arm>),
    /// `function`.
    Function { name: String, body: Rc<Vec<Self>> },
    /// `for`, `while`, `until`: what is repeated.
    Loop { body: Vec<Self>, line: u32 },
}

/// One arm of an `if`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Arm {
    pub(super) condition: Vec<Statement>,
    pub(super) body: Vec<Statement>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    Word(Word),
    /// Line feed or semicolon.
    End,
    Open,
    Close,
}

/// Reads a script. What is left open at its end is closed there.
///
/// # Errors
///
/// When it is nested too deep, or too long.
pub(super) fn parse(text: &str) -> Result<Vec<Statement>, String> {
    let mut parser = Parser { tokens: tokens(text)? };
    let mut all = Vec::new();
    // A brace or a keyword too many ends a block that is not there; what follows counts all the same.
    while !parser.tokens.is_empty() {
        all.extend(parser.block(0)?);
        parser.tokens.pop_front();
    }
    Ok(all)
}

fn tokens(text: &str) -> Result<VecDeque<(Token, u32)>, String> {
    let mut out = VecDeque::new();
    let mut chars = text.chars().peekable();
    let mut line = 1_u32;
    let mut word: Word = vec![];
    let flush = |word: &mut Word, line: u32, out: &mut VecDeque<(Token, u32)>| {
        if !word.is_empty() {
            let token = match word.as_slice() {
                [Part::Text(text)] if text == "{" => Token::Open,
                [Part::Text(text)] if text == "}" => Token::Close,
                _ => Token::Word(word.clone()),
            };
            word.clear();
            out.push_back((token, line));
        }
    };
    while let Some(c) = chars.next() {
        if out.len() > MAX_TOKENS {
            return Err(format!("more than {MAX_TOKENS} words"));
        }
        match c {
            '#' if word.is_empty() => while chars.next_if(|c| *c != '\n').is_some() {},
            '\n' | ';' => {
                flush(&mut word, line, &mut out);
                out.push_back((Token::End, line));
            }
            ' ' | '\t' | '\r' => flush(&mut word, line, &mut out),
            '\\' => match chars.next() {
                Some('\n') => line = line.saturating_add(1),
                Some(c) => push_text(&mut word, c),
                None => {}
            },
            '\'' => {
                let mut text = String::new();
                for c in chars.by_ref().take_while(|c| *c != '\'') {
                    line = line.saturating_add(u32::from(c == '\n'));
                    text.push(c);
                }
                word.push(Part::Quoted(text));
            }
            '"' => {
                word.push(Part::Quoted(String::new()));
                while let Some(c) = chars.next().filter(|c| *c != '"') {
                    line = line.saturating_add(u32::from(c == '\n'));
                    match c {
                        '\\' => match chars.next() {
                            Some(c @ ('"' | '$' | '\\')) => push_quoted(&mut word, c),
                            Some('\n') => line = line.saturating_add(1),
                            Some(c) => {
                                push_quoted(&mut word, '\\');
                                push_quoted(&mut word, c);
                            }
                            None => {}
                        },
                        '$' => variable(&mut chars, &mut word, true),
                        c => push_quoted(&mut word, c),
                    }
                }
            }
            '$' => variable(&mut chars, &mut word, false),
            c => push_text(&mut word, c),
        }
        line = line.saturating_add(u32::from(c == '\n'));
    }
    flush(&mut word, line, &mut out);
    Ok(out)
}

fn push_text(word: &mut Word, c: char) {
    match word.last_mut() {
        Some(Part::Text(text)) => text.push(c),
        _ => word.push(Part::Text(c.into())),
    }
}

fn push_quoted(word: &mut Word, c: char) {
    match word.last_mut() {
        Some(Part::Quoted(text)) => text.push(c),
        _ => word.push(Part::Quoted(c.into())),
    }
}

/// The name after a `$`; a lone `$` stays one.
fn variable(chars: &mut std::iter::Peekable<std::str::Chars<'_>>, word: &mut Word, quoted: bool) {
    let mut name = String::new();
    if chars.next_if_eq(&'{').is_some() {
        while let Some(c) = chars.next_if(|c| *c != '}' && *c != '\n') {
            name.push(c);
        }
        // The closing brace, where there is one.
        chars.next_if_eq(&'}');
    } else if let Some(c) = chars.next_if(|c| matches!(c, '?' | '#' | '@' | '*')) {
        name.push(c);
    } else {
        while let Some(c) = chars.next_if(|c| c.is_ascii_alphanumeric() || *c == '_') {
            name.push(c);
        }
    }
    match (name.is_empty(), quoted) {
        (false, _) => word.push(Part::Variable { name, quoted }),
        (true, true) => push_quoted(word, '$'),
        (true, false) => push_text(word, '$'),
    }
}

#[derive(Debug)]
struct Parser {
    tokens: VecDeque<(Token, u32)>,
}

impl Parser {
    /// Statements up to a closing brace or a keyword that ends a block; that stays.
    fn block(&mut self, depth: usize) -> Result<Vec<Statement>, String> {
        if depth > MAX_DEPTH {
            return Err(format!("blocks nested more than {MAX_DEPTH} deep"));
        }
        let below = depth.saturating_add(1);
        let mut out = Vec::new();
        while let Some((token, line)) = self.tokens.front() {
            let line = *line;
            match token {
                Token::Close => break,
                Token::Open => {
                    self.tokens.pop_front();
                    out.extend(self.block(below)?);
                    self.closed();
                }
                Token::End => drop(self.tokens.pop_front()),
                Token::Word(word) => match keyword(word) {
                    "then" | "elif" | "else" | "fi" | "do" | "done" => break,
                    "if" => out.push(self.conditional(below)?),
                    "menuentry" | "submenu" => {
                        let words = self.words();
                        let body = self.braced(below)?;
                        out.push(Statement::Menu { words, body, line });
                    }
                    "function" => {
                        self.tokens.pop_front();
                        let name = self.words().first().map(plain).unwrap_or_default();
                        let body = Rc::new(self.braced(below)?);
                        out.push(Statement::Function { name, body });
                    }
                    "for" | "while" | "until" => {
                        self.skip_to("do");
                        let body = self.block(below)?;
                        self.keyword("done");
                        out.push(Statement::Loop { body, line });
                    }
                    _ => {
                        let words = self.words();
                        out.push(Statement::Command(words, line));
                    }
                },
            }
        }
        Ok(out)
    }

    /// The words of a command, up to its end or to a brace.
    fn words(&mut self) -> Vec<Word> {
        let mut words = Vec::new();
        while let Some((Token::Word(word), _)) = self.tokens.front_mut() {
            words.push(std::mem::take(word));
            self.tokens.pop_front();
        }
        words
    }

    /// A block in braces; none where there is no brace.
    fn braced(&mut self, depth: usize) -> Result<Vec<Statement>, String> {
        while matches!(self.tokens.front(), Some((Token::End, _))) {
            self.tokens.pop_front();
        }
        if !matches!(self.tokens.front(), Some((Token::Open, _))) {
            return Ok(vec![]);
        }
        self.tokens.pop_front();
        let body = self.block(depth)?;
        self.closed();
        Ok(body)
    }

    /// A closing brace, after keywords that belong to nothing.
    fn closed(&mut self) {
        if matches!(self.tokens.front(), Some((Token::Close, _))) {
            self.tokens.pop_front();
        }
    }

    fn conditional(&mut self, depth: usize) -> Result<Statement, String> {
        let mut arms = Vec::new();
        self.tokens.pop_front();
        loop {
            let condition = self.block(depth)?;
            self.keyword("then");
            let body = self.block(depth)?;
            arms.push(Arm { condition, body });
            if self.keyword("elif") {
                continue;
            }
            if self.keyword("else") {
                let body = self.block(depth)?;
                arms.push(Arm { condition: vec![], body });
            }
            self.keyword("fi");
            return Ok(Statement::If(arms));
        }
    }

    /// Takes that keyword, if it is the next word.
    fn keyword(&mut self, wanted: &str) -> bool {
        let is = matches!(self.tokens.front(), Some((Token::Word(word), _)) if keyword(word) == wanted);
        if is {
            self.tokens.pop_front();
        }
        is
    }

    fn skip_to(&mut self, wanted: &str) {
        while !self.tokens.is_empty() && !self.keyword(wanted) {
            self.tokens.pop_front();
        }
    }
}

/// The word, if it is unquoted text and so may be a keyword.
fn keyword(word: &Word) -> &str {
    match word.as_slice() {
        [Part::Text(text)] => text,
        _ => "",
    }
}

/// A word's text, variables left out.
fn plain(word: &Word) -> String {
    let text = |part: &Part| match part {
        Part::Text(text) | Part::Quoted(text) => text.clone(),
        Part::Variable { .. } => String::new(),
    };
    word.iter().map(text).collect()
}
