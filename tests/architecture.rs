//! The house rules that no lint knows: who may use whom, where `unsafe` may stand, how files and types are named, and what a dependency
//! must bring along. Each check is first shown a bad sample, so that none can fall asleep.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::print_stderr,
    clippy::allow_attributes,
    reason = "a test may panic"
)]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Lowest first: a layer uses only those before it, and itself. `guest` and `upload` have their places kept.
const LAYERS: &[&str] = &[
    "bytes",
    "container",
    "partition",
    "volume",
    "fs",
    "guest",
    "facts",
    "inspect",
    "rules",
    "generalize",
    "trim",
    "prepare",
    "recipe",
    "upload",
    "report",
    "cli",
];

/// Layers that may use less than the order allows: facts are plain data, and rules judge facts without reading anything.
const NARROW: &[(&str, &[&str])] = &[("facts", &["bytes"]), ("rules", &["bytes", "facts"]), ("guest", &["bytes"])];

/// Layers without I/O, and what of the standard library would be some.
const PURE: &[&str] = &["guest", "facts", "rules", "recipe", "report"];
const IO: &[&str] = &["fs", "io", "net", "process", "env", "os", "thread"];

/// Where `unsafe` may stand.
const UNSAFE: &str = "bytes/host/map.rs";

/// Lines of a file at most, its tests not counted; files that may have more, with the reason.
const MOST_LINES: usize = 500;
const LONG: &[(&str, &str)] = &[("prepare/copy.rs", "one pipeline, whose walker, crew and tally are read together")];

/// Words that say nothing about a type.
const EMPTY_WORDS: &[&str] = &["Manager", "Helper", "Util", "Utils", "Context", "Info"];

/// Licences under which a dependency may stand.
const LICENCES: &[&str] = &[
    "MIT",
    "Apache-2.0",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "Zlib",
    "MPL-2.0",
    "Unicode-3.0",
    "Unicode-DFS-2016",
    "ISC",
    "0BSD",
    "Unlicense",
    "Apache-2.0 WITH LLVM-exception",
];

/// A source file as the checks see it.
#[derive(Debug)]
struct Source {
    /// Below `src/`.
    path: String,
    text: String,
    /// Everything but comments, literals and tests.
    code: Vec<String>,
    /// Modules in other files that only tests have, as paths below `src/` without `.rs`.
    test_modules: Vec<String>,
}

impl Source {
    fn new(path: &str, text: &str) -> Self {
        let (code, modules) = without_tests(tokens(text));
        let home = module(path);
        let test_modules = modules.iter().map(|name| home.iter().chain([name]).cloned().collect::<Vec<_>>().join("/")).collect();
        Self { path: path.to_owned(), text: text.to_owned(), code, test_modules }
    }

    /// The layer that the file belongs to; `None` for `lib.rs` and `main.rs`, which stand above all.
    fn layer(&self) -> Option<&str> {
        self.path.split_once('/').map(|(layer, _)| layer)
    }
}

/// The module that a file is: `a/mod.rs` is `a`, `a/b.rs` is `a::b`.
fn module(path: &str) -> Vec<String> {
    let path = path.strip_suffix(".rs").unwrap_or(path);
    let path = path.strip_suffix("/mod").unwrap_or(path);
    if matches!(path, "lib" | "main") { Vec::new() } else { path.split('/').map(str::to_owned).collect() }
}

/// Words and signs of Rust text, without comments; literals become `""`.
fn tokens(text: &str) -> Vec<String> {
    let chars: Vec<char> = text.chars().collect();
    let at = |place: usize| chars.get(place).copied().unwrap_or('\0');
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let mut out = Vec::new();
    let mut place = 0;
    while place < chars.len() {
        let c = at(place);
        if c == '/' && at(place + 1) == '/' {
            while place < chars.len() && at(place) != '\n' {
                place += 1;
            }
        } else if c == '/' && at(place + 1) == '*' {
            let mut depth = 0;
            loop {
                match (at(place), at(place + 1)) {
                    ('/', '*') => (depth, place) = (depth + 1, place + 2),
                    ('*', '/') => (depth, place) = (depth - 1, place + 2),
                    _ => place += 1,
                }
                if depth == 0 || place >= chars.len() {
                    break;
                }
            }
        } else if c == '"' {
            place += 1;
            while place < chars.len() && at(place) != '"' {
                place += if at(place) == '\\' { 2 } else { 1 };
            }
            place += 1;
            out.push("\"\"".to_owned());
        } else if c == '\'' {
            // A character, unless it is the start of a lifetime.
            if at(place + 1) == '\\' {
                place += 3;
                while place < chars.len() && at(place) != '\'' {
                    place += 1;
                }
                place += 1;
                out.push("\"\"".to_owned());
            } else if at(place + 2) == '\'' {
                place += 3;
                out.push("\"\"".to_owned());
            } else {
                place += 1;
            }
        } else if is_word(c) {
            let start = place;
            while is_word(at(place)) {
                place += 1;
            }
            let word: String = chars[start..place].iter().collect();
            let hashes = chars[place..].iter().take_while(|c| **c == '#').count();
            if matches!(word.as_str(), "r" | "br" | "cr") && at(place + hashes) == '"' {
                let end: Vec<char> = std::iter::once('"').chain(std::iter::repeat_n('#', hashes)).collect();
                place += hashes + 1;
                while place < chars.len() && !chars[place..].starts_with(&end) {
                    place += 1;
                }
                place += end.len();
                out.push("\"\"".to_owned());
            } else if !(matches!(word.as_str(), "b" | "c") && matches!(at(place), '"' | '\'')) {
                out.push(word);
            }
        } else if c == ':' && at(place + 1) == ':' {
            place += 2;
            out.push("::".to_owned());
        } else {
            if !c.is_whitespace() {
                out.push(c.to_string());
            }
            place += 1;
        }
    }
    out
}

/// Drops items under `#[cfg(test)]`, and tells which of them are modules in files of their own.
fn without_tests(tokens: Vec<String>) -> (Vec<String>, Vec<String>) {
    let (mut code, mut modules) = (Vec::new(), Vec::new());
    let mut place = 0;
    let is = |place: usize, word: &str| tokens.get(place).is_some_and(|token| token == word);
    while place < tokens.len() {
        if !(is(place, "#") && is(place + 1, "[") && is(place + 2, "cfg")) {
            code.push(tokens[place].clone());
            place += 1;
            continue;
        }
        let end = close(&tokens, place + 1);
        let condition = &tokens[place..end];
        if !condition.iter().any(|word| word == "test") || condition.iter().any(|word| matches!(word.as_str(), "not" | "any")) {
            code.extend_from_slice(condition);
            place = end;
            continue;
        }
        place = end;
        while is(place, "#") {
            place = close(&tokens, place + 1);
        }
        let start = place;
        while place < tokens.len() && !is(place, ";") && !is(place, "{") {
            place = if is(place, "(") { close(&tokens, place) } else { place + 1 };
        }
        if is(place, ";") && is(place.wrapping_sub(2), "mod") && place > start {
            modules.push(tokens[place - 1].clone());
        }
        place = if is(place, "{") { close(&tokens, place) } else { place + 1 };
    }
    (code, modules)
}

/// One past the bracket that closes the one at `open`.
fn close(tokens: &[String], open: usize) -> usize {
    let mut depth = 0_usize;
    for (place, token) in tokens.iter().enumerate().skip(open) {
        match token.as_str() {
            "(" | "[" | "{" => depth += 1,
            ")" | "]" | "}" => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return place + 1;
        }
    }
    tokens.len()
}

/// The first names below the crate's root that a file uses, through `crate::` or through enough `super::`.
fn used_layers(source: &Source) -> BTreeSet<String> {
    let mut used = BTreeSet::new();
    let code = &source.code;
    let word = |place: usize| code.get(place).map_or("", String::as_str);
    // Modules inside the file that enclose the place, with the depth of braces at which each ends.
    let (mut inner, mut depth) = (Vec::new(), 0_usize);
    let mut place = 0;
    while place < code.len() {
        match word(place) {
            "{" => depth += 1,
            "}" => {
                depth -= 1;
                inner.retain(|(_, at)| *at <= depth);
            }
            "mod" if word(place + 2) == "{" => inner.push((word(place + 1).to_owned(), depth + 1)),
            start @ ("crate" | "super") if word(place + 1) == "::" && word(place.wrapping_sub(1)) != "::" => {
                let mut home = module(&source.path);
                home.extend(inner.iter().map(|(name, _)| name.clone()));
                if start == "crate" {
                    home.clear();
                } else {
                    home.pop();
                    while word(place + 2) == "super" {
                        home.pop();
                        place += 2;
                    }
                }
                match home.first() {
                    Some(layer) => drop(used.insert(layer.clone())),
                    None => used.extend(heads(code, place + 2)),
                }
            }
            _ => {}
        }
        place += 1;
    }
    used
}

/// The first name of a path, or of each path in a group.
fn heads(code: &[String], place: usize) -> Vec<String> {
    let Some(first) = code.get(place) else { return Vec::new() };
    if first != "{" {
        return vec![first.clone()];
    }
    let end = close(code, place);
    let (mut out, mut depth, mut head) = (Vec::new(), 0_usize, false);
    for token in &code[place..end] {
        match token.as_str() {
            "{" => (depth, head) = (depth + 1, depth == 0),
            "}" => depth -= 1,
            "," => head = depth == 1,
            name if head => {
                out.push(name.to_owned());
                head = false;
            }
            _ => {}
        }
    }
    out
}

fn layer_faults(source: &Source) -> Vec<String> {
    let used = used_layers(source);
    let Some(layer) = source.layer() else {
        return match source.path.as_str() {
            "main.rs" if !used.is_empty() => vec![format!("main.rs uses {used:?}; it goes through the library")],
            _ => vec![],
        };
    };
    let Some(height) = LAYERS.iter().position(|name| *name == layer) else {
        return vec![format!("{}: '{layer}' is no layer; give it its place in LAYERS", source.path)];
    };
    let narrow = NARROW.iter().find(|(name, _)| *name == layer).map(|(_, allowed)| *allowed);
    let allowed = |name: &str| {
        name == layer || narrow.map_or_else(|| LAYERS.iter().take(height).any(|lower| *lower == name), |few| few.contains(&name))
    };
    used.iter().filter(|name| !allowed(name)).map(|name| format!("{}: {layer} must not use {name}", source.path)).collect()
}

fn io_faults(source: &Source) -> Vec<String> {
    if !source.layer().is_some_and(|layer| PURE.contains(&layer)) {
        return vec![];
    }
    let mut faults = Vec::new();
    for (place, token) in source.code.iter().enumerate() {
        if token == "std" && source.code.get(place + 1).is_some_and(|next| next == "::") {
            let names = heads(&source.code, place + 2);
            faults.extend(
                names
                    .iter()
                    .filter(|name| IO.contains(&name.as_str()))
                    .map(|name| format!("{}: std::{name} in a layer that does no I/O", source.path)),
            );
        }
        if matches!(token.as_str(), "rustix" | "libc" | "memmap2" | "tempfile") {
            faults.push(format!("{}: {token} in a layer that does no I/O", source.path));
        }
    }
    faults
}

/// The program neither talks to a network nor starts another one: no sockets, no child processes.
fn reach_faults(source: &Source) -> Vec<String> {
    let code = &source.code;
    let heads_of = |path: &[&str]| {
        (0..code.len())
            .filter(|place| code.iter().skip(*place).zip(path).filter(|(token, word)| token == word).count() == path.len())
            .flat_map(|place| heads(code, place + path.len()))
            .collect::<Vec<_>>()
    };
    // Addresses may be parsed.
    let sockets = ["TcpStream", "TcpListener", "UdpSocket", "UnixStream", "UnixListener", "UnixDatagram", "ToSocketAddrs"];
    let socket = code.iter().any(|token| sockets.contains(&token.as_str()));
    let child = heads_of(&["process", "::"]).iter().any(|head| matches!(head.as_str(), "Command" | "CommandExt"));
    let told = [(socket, "a socket"), (child, "a child process")];
    told.into_iter().filter(|(is, _)| *is).map(|(_, what)| format!("{}: {what}: vhdkit has none", source.path)).collect()
}

fn unsafe_faults(source: &Source) -> Vec<String> {
    // Tests are looked at too.
    let any = source.path != UNSAFE && tokens(&source.text).iter().any(|token| token == "unsafe");
    any.then(|| format!("{}: unsafe stands only in {UNSAFE}", source.path)).into_iter().collect()
}

fn file_faults(source: &Source, is_test: bool) -> Vec<String> {
    let mut faults = Vec::new();
    // `lib.rs` and test files may have attributes first; the module's own words come before any code all the same.
    if !source
        .text
        .lines()
        .take_while(|line| line.starts_with("//") || line.starts_with("#!") || line.is_empty())
        .any(|line| line.strip_prefix("//! ").is_some_and(|words| !words.trim().is_empty()))
    {
        faults.push(format!("{}: it does not begin by saying what it is (//!)", source.path));
    }
    let lines = source.text.lines().position(|line| line.starts_with("#[cfg(test)]")).unwrap_or_else(|| source.text.lines().count());
    if !is_test && lines > MOST_LINES && !LONG.iter().any(|(path, _)| *path == source.path) {
        faults.push(format!("{}: {lines} lines before its tests; above {MOST_LINES} a file holds two things", source.path));
    }
    faults
}

fn name_faults(source: &Source) -> Vec<String> {
    let mut faults = Vec::new();
    for pair in source.code.windows(2) {
        if matches!(pair[0].as_str(), "struct" | "enum" | "trait" | "type" | "union") {
            let mut words: Vec<String> = Vec::new();
            for c in pair[1].chars() {
                if c.is_uppercase() || words.is_empty() {
                    words.push(String::new());
                }
                words.last_mut().unwrap().push(c);
            }
            if let Some(word) = words.iter().find(|word| EMPTY_WORDS.contains(&word.as_str())) {
                faults.push(format!("{}: '{}' is named '{word}', which says nothing", source.path, pair[1]));
            }
        }
    }
    faults
}

fn dependency_faults(manifest: &str) -> Vec<String> {
    let mut faults = Vec::new();
    let (mut inside, mut above) = (false, "");
    for line in manifest.lines() {
        if line.starts_with('[') {
            inside = line.trim_end_matches(']').ends_with("dependencies");
        } else if inside && !line.trim().is_empty() && !line.starts_with('#') && !above.starts_with("# ") {
            faults.push(format!("Cargo.toml: no comment above '{line}' says what it is for"));
        }
        above = line;
    }
    faults
}

/// Whether an SPDX expression leaves a way that we may take. `/` is the old way to write OR.
fn licence_fits(expression: &str) -> bool {
    let expression = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ").replace(" WITH ", "\u{1}");
    let words: Vec<&str> = expression.split_whitespace().collect();
    let mut place = 0;
    let fits = any_of(&words, &mut place);
    fits && place == words.len()
}

fn any_of(words: &[&str], place: &mut usize) -> bool {
    let mut fits = all_of(words, place);
    while words.get(*place) == Some(&"OR") {
        *place += 1;
        fits |= all_of(words, place);
    }
    fits
}

fn all_of(words: &[&str], place: &mut usize) -> bool {
    let mut fits = one_of(words, place);
    while words.get(*place) == Some(&"AND") {
        *place += 1;
        fits &= one_of(words, place);
    }
    fits
}

fn one_of(words: &[&str], place: &mut usize) -> bool {
    let word = words.get(*place).copied().unwrap_or_default();
    *place += 1;
    if word == "(" {
        let fits = any_of(words, place);
        let closed = words.get(*place) == Some(&")");
        *place += 1;
        return fits && closed;
    }
    LICENCES.contains(&word.replace('\u{1}', " WITH ").as_str())
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn sources() -> Vec<Source> {
    fn walk(dir: &Path, out: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, out);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                out.push(path);
            }
        }
    }
    let src = root().join("src");
    let mut paths = Vec::new();
    walk(&src, &mut paths);
    paths.sort();
    let below = |path: &Path| path.strip_prefix(&src).unwrap().to_str().unwrap().replace('\\', "/");
    let sources: Vec<Source> = paths.iter().map(|path| Source::new(&below(path), &std::fs::read_to_string(path).unwrap())).collect();
    assert!(sources.len() > 100, "only {} files below {}", sources.len(), src.display());
    sources
}

/// Whether a file is compiled for tests alone.
fn is_test(source: &Source, test_modules: &[String]) -> bool {
    let module = module(&source.path).join("/");
    test_modules.iter().any(|test| module == *test || module.starts_with(&format!("{test}/")))
}

fn nothing(faults: Vec<String>) {
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

#[test]
fn a_layer_uses_only_those_below_it() {
    let faults = |path: &str, text: &str| layer_faults(&Source::new(path, text));
    for (path, text) in [
        ("bytes/slice.rs", "use crate::container::Disk;"),
        ("bytes/slice.rs", "fn f() { let x = crate :: cli::run(); }"),
        ("bytes/mod.rs", "use super::fs;"),
        ("bytes/host/mod.rs", "use super::super::fs;"),
        ("bytes/slice.rs", "mod inner { use super::super::super::fs; }"),
        ("bytes/mod.rs", "mod inner { use super::super::fs; }"),
        ("container/mod.rs", "use crate::{bytes::{Bytes, cli}, facts::Fact};"),
        ("facts/disk.rs", "use crate::container::Container;"),
        ("rules/judge.rs", "use crate::inspect::disk;"),
        ("rules/judge.rs", "use crate::{facts::Fact, partition};"),
        ("report/json.rs", "use crate::cli::Status;"),
        ("prepare/plan.rs", "#[cfg(not(test))] use crate::report::Look;"),
        ("tools/mod.rs", ""),
        ("main.rs", "use crate::cli;"),
    ] {
        assert_eq!(faults(path, text).len(), 1, "{path}: {text}");
    }
    for (path, text) in [
        (
            "bytes/slice.rs",
            "// use crate::cli;\n/* crate::cli /* */ crate::cli */ const X: &str = \"crate::cli\"; const Y: &str = r#\"\" crate::cli\"#;",
        ),
        ("bytes/slice.rs", "fn f<'a>(x: &'a u8) -> char { 'a' } use crate::bytes::Bytes;"),
        ("bytes/mod.rs", "mod inner { use super::fs; }"),
        ("bytes/slice.rs", "#[cfg(test)] mod tests { use crate::cli::run; fn f() { { } } }\nuse super::Bytes;"),
        ("bytes/slice.rs", "#[cfg(test)] #[path = \"x\"] mod tests;"),
        ("rules/judge.rs", "use crate::{bytes::MIB, facts::Fact}; use super::{inspect, cli};"),
        ("cli/mod.rs", "use crate::report::Look;"),
        ("lib.rs", "pub mod cli;"),
    ] {
        assert_eq!(faults(path, text), Vec::<String>::new(), "{path}: {text}");
    }
    let sources = sources();
    let test_modules: Vec<String> = sources.iter().flat_map(|source| source.test_modules.clone()).collect();
    assert!(test_modules.contains(&"rules/testing".to_owned()), "{test_modules:?}");
    let used: usize = sources.iter().map(|source| used_layers(source).len()).sum();
    assert!(used > 200, "only {used} uses were found: the check is blind");
    nothing(sources.iter().filter(|source| !is_test(source, &test_modules)).flat_map(layer_faults).collect());
}

#[test]
fn pure_layers_do_no_io() {
    for text in ["use std::fs;", "use std::{fmt, io::Write};", "fn f() { std::env::var(\"HOME\"); }", "use rustix::fs::open;"] {
        assert_eq!(io_faults(&Source::new("report/json.rs", text)).len(), 1, "{text}");
        assert!(io_faults(&Source::new("cli/mod.rs", text)).is_empty());
    }
    assert!(io_faults(&Source::new("report/json.rs", "use std::{fmt::Write, collections::BTreeMap}; use crate::fs;")).is_empty());
    let sources = sources();
    let test_modules: Vec<String> = sources.iter().flat_map(|source| source.test_modules.clone()).collect();
    nothing(sources.iter().filter(|source| !is_test(source, &test_modules)).flat_map(io_faults).collect());
}

#[test]
fn nothing_reaches_out() {
    for text in [
        "use std::net::TcpStream;",
        "fn f() { std::process::Command::new(\"sh\"); }",
        "use std::os::unix::process::CommandExt;",
        "use std::os::unix::net::UnixListener;",
    ] {
        assert_eq!(reach_faults(&Source::new("cli/mod.rs", text)).len(), 1, "{text}");
    }
    assert!(reach_faults(&Source::new("cli/mod.rs", "use clap::Command; use std::process::ExitCode; use std::net::IpAddr;")).is_empty());
    let sources = sources();
    let test_modules: Vec<String> = sources.iter().flat_map(|source| source.test_modules.clone()).collect();
    nothing(sources.iter().filter(|source| !is_test(source, &test_modules)).flat_map(reach_faults).collect());
}

#[test]
fn unsafe_stands_in_one_file() {
    let source = |path: &str, text: &str| unsafe_faults(&Source::new(path, text)).len();
    assert_eq!(source("bytes/mod.rs", "fn f() { unsafe { g() } }"), 1);
    assert_eq!(source("bytes/mod.rs", "#[cfg(test)] mod tests { unsafe fn f() {} }"), 1);
    assert_eq!(source("bytes/mod.rs", "// unsafe\n#![expect(unsafe_code)] const X: &str = \"unsafe\";"), 0);
    assert_eq!(source(UNSAFE, "unsafe fn f() {}"), 0);
    let sources = sources();
    let known = sources.iter().find(|source| source.path == UNSAFE).unwrap();
    assert!(known.code.iter().any(|token| token == "unsafe"), "{UNSAFE} has none any more: forbid it everywhere");
    nothing(sources.iter().flat_map(unsafe_faults).collect());
}

#[test]
fn files_say_what_they_are_and_are_short() {
    let faults = |text: &str| file_faults(&Source::new("bytes/x.rs", text), false).len();
    assert_eq!(faults("use std::fmt;\n//! Late.\n"), 1);
    assert_eq!(faults("//!\n"), 1);
    assert_eq!(faults("//! Words.\n"), 0);
    let long = "//! Words.\n".to_owned() + &"fn f() {}\n".repeat(MOST_LINES);
    assert_eq!(faults(&long), 1);
    assert_eq!(file_faults(&Source::new("bytes/tests.rs", &long), true).len(), 0);
    let tested = "//! Words.\n#[cfg(test)]\nmod tests {\n".to_owned() + &"fn f() {}\n".repeat(MOST_LINES) + "}\n";
    assert_eq!(faults(&tested), 0);
    let sources = sources();
    let test_modules: Vec<String> = sources.iter().flat_map(|source| source.test_modules.clone()).collect();
    for (path, _) in LONG {
        assert!(sources.iter().any(|source| source.path == *path), "{path} is excused and does not exist");
    }
    nothing(sources.iter().flat_map(|source| file_faults(source, is_test(source, &test_modules))).collect());
}

#[test]
fn names_of_types_say_something() {
    let faults = |text: &str| name_faults(&Source::new("bytes/x.rs", text)).len();
    assert_eq!(faults("struct DiskManager;"), 1);
    assert_eq!(faults("pub(crate) enum FooterInfo { A }"), 1);
    assert_eq!(faults("use anyhow::Context; struct Information; struct Contexture; /* struct Util; */"), 0);
    nothing(sources().iter().flat_map(name_faults).collect());
}

#[test]
fn every_dependency_says_what_it_is_for() {
    assert_eq!(dependency_faults("[dependencies]\n# Why.\na = \"1\"\nb = \"1\"\n").len(), 1);
    assert_eq!(dependency_faults("[target.'cfg(unix)'.dependencies]\na = \"1\"\n[lints]\nb = 1\n").len(), 1);
    assert_eq!(dependency_faults("[dev-dependencies]\na = \"1\"\n").len(), 1);
    let manifest = std::fs::read_to_string(root().join("Cargo.toml")).unwrap();
    assert!(manifest.lines().any(|line| line == "[dependencies]"));
    nothing(dependency_faults(&manifest));
}

#[test]
fn every_licence_is_one_that_we_may_use() {
    for good in ["MIT", "MIT/Apache-2.0", "GPL-3.0 OR MIT", "(MIT OR Apache-2.0) AND Unicode-3.0", "Apache-2.0 WITH LLVM-exception OR X"] {
        assert!(licence_fits(good), "{good}");
    }
    for bad in ["", "GPL-3.0", "MIT AND GPL-2.0-only", "LGPL-2.1-or-later", "(MIT OR GPL-3.0) AND AGPL-3.0", "GPL-2.0 WITH x", "(MIT"] {
        assert!(!licence_fits(bad), "{bad}");
    }
    // Crates of other platforms may never have been fetched; those of this one have, or nothing would have been built.
    let cargo = |platform: &[&str]| {
        let mut command = Command::new(env!("CARGO"));
        command.args(["metadata", "--offline", "--locked", "--format-version", "1"]).args(platform).current_dir(root());
        command.output().unwrap()
    };
    let mut output = cargo(&[]);
    if !output.status.success() {
        let rustc = Command::new("rustc").arg("-vV").output().unwrap();
        let version = String::from_utf8(rustc.stdout).unwrap();
        let host = version.lines().find_map(|line| line.strip_prefix("host: ")).unwrap();
        eprintln!("SKIPPED: licences of crates for platforms other than {host}; they were never fetched");
        output = cargo(&["--filter-platform", host]);
    }
    if !output.status.success() {
        eprintln!("SKIPPED: licences; {}", String::from_utf8_lossy(&output.stderr));
        return;
    }
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    assert!(packages.len() > 20, "only {} packages", packages.len());
    let faults = packages.iter().filter(|package| !package["license"].as_str().is_some_and(licence_fits));
    nothing(faults.map(|package| format!("{} {}: licence {}", package["name"], package["version"], package["license"])).collect());
}
