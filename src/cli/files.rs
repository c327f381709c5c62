//! `vhdkit ls` and `vhdkit cat`: guest files, without a mount.

use super::Status;
use super::args::{CatArgs, Common, LsArgs, Reading};
use super::{disks, output};
use crate::bytes::{int_u64, int_usize, printable, without_secrets};
use crate::facts::{json, rfc3339};
use crate::fs::{Entry, Error, FileSystem, Found, Node, NodeId, NodeKind, Tree};
use crate::inspect::{Inside, Place, Region};
use anyhow::{Context, anyhow, bail};
use serde_json::{Value, json};
use std::io::{self, Write};
use std::ops::ControlFlow;
use std::sync::Arc;

/// Entries of one directory at most: they are sorted, so all are held.
const MAX_ENTRIES: usize = 4_000_000;
/// Bytes that are copied at a time.
const CHUNK: usize = 1 << 20;

/// `ls`.
pub(super) fn ls(args: &LsArgs, common: &Common) -> anyhow::Result<Status> {
    let opened = disks::open_with(&args.reading.disk, &args.reading.with, &args.reading.opening)?;
    let inside = opened.inspected.inside.as_ref().ok_or_else(|| unreadable(&opened))?;
    let asked = args.path.as_deref().unwrap_or("/");
    let trees = Trees::new(inside, &args.reading)?;
    let (tree, path) = trees.holding(asked)?;
    let found = tree.find_link(&path).map_err(said)?.ok_or_else(|| anyhow!("there is no '{}'", printable(asked)))?;
    // As `ls` does: a directory is opened, also through a symlink; anything else is listed itself, a link that leads nowhere too.
    let through = match found.node.kind {
        NodeKind::Symlink => match tree.find(&path) {
            Err(Error::Unsupported(_)) => None,
            target => target.map_err(said)?.filter(|target| target.node.kind == NodeKind::Directory),
        },
        _ => None,
    };
    let found = through.unwrap_or(found);
    let lines = if found.node.kind == NodeKind::Directory { directory(&found)? } else { vec![itself(&found)?] };
    if args.json {
        return print_json(args, &found, &lines).map(|()| Status::Ready);
    }
    if !common.quiet {
        print_lines(&lines)?;
    }
    Ok(Status::Ready)
}

/// `cat`.
pub(super) fn cat(args: &CatArgs) -> anyhow::Result<Status> {
    let opened = disks::open_with(&args.reading.disk, &args.reading.with, &args.reading.opening)?;
    let inside = opened.inspected.inside.as_ref().ok_or_else(|| unreadable(&opened))?;
    let trees = Trees::new(inside, &args.reading)?;
    let mut out = io::stdout().lock();
    for asked in &args.paths {
        let (tree, path) = trees.holding(asked)?;
        let found = tree.find(&path).map_err(said)?.ok_or_else(|| anyhow!("there is no '{}'", printable(asked)))?;
        if found.node.kind != NodeKind::File {
            bail!("'{}' is a {}, which has no content to print", printable(asked), special(&found.node));
        }
        let bytes = found.mount.fs.open(found.id).map_err(said).with_context(|| format!("cannot read '{}'", printable(asked)))?;
        copy(&*bytes, &mut out).with_context(|| format!("cannot print '{}'", printable(asked)))?;
    }
    out.flush().context("cannot write to standard output")?;
    Ok(Status::Ready)
}

/// Copies content; holes are zeros that nobody reads.
fn copy(bytes: &dyn crate::bytes::ReadAt, out: &mut dyn Write) -> anyhow::Result<()> {
    let (size, mut at) = (bytes.size(), 0_u64);
    let mut buf = vec![0; CHUNK];
    while at < size {
        let data = bytes.data(at).map_or(size..size, |range| range.start.max(at)..range.end.min(size));
        let (end, hole) = if data.start > at { (data.start, true) } else { (data.end.max(at.saturating_add(1)), false) };
        let len = int_usize(end.saturating_sub(at)).min(CHUNK);
        let piece = buf.get_mut(..len).unwrap_or_default();
        if hole {
            piece.fill(0);
        } else {
            bytes.read_at(at, piece)?;
        }
        out.write_all(piece).context("cannot write to standard output")?;
        at = at.saturating_add(int_u64(len));
    }
    Ok(())
}

/// The trees that a path may be meant in: installations first, then every file system that belongs to none.
struct Trees {
    guests: Vec<(String, Tree)>,
    others: Vec<(String, Tree)>,
    /// What stands on the disk and cannot be looked into.
    closed: Vec<String>,
}

impl Trees {
    fn new(inside: &Inside, reading: &Reading) -> anyhow::Result<Self> {
        if let Some(wanted) = &reading.partition {
            return Self::of_region(inside, wanted);
        }
        let mut guests = Vec::new();
        for guest in inside.guests.iter().filter(|guest| guest.disk == 0) {
            guests.push((guest.root.to_string(), guest.tree.again()));
        }
        let joined = |region: &&Region| {
            let Some(fs) = region.opened() else { return false };
            let used = inside.guests.iter().flat_map(|guest| guest.tree.mounts()).any(|mount| Arc::ptr_eq(&mount.fs, fs));
            region.disk == 0 && !used
        };
        let others = inside.regions.iter().filter(joined).filter_map(|region| Some((region.place.to_string(), whole(region)?))).collect();
        let closed = inside.regions.iter().filter(|region| region.disk == 0).filter_map(Region::unreadable).collect();
        Ok(Self { guests, others, closed })
    }

    /// One region, as --partition names it.
    fn of_region(inside: &Inside, wanted: &str) -> anyhow::Result<Self> {
        let number = wanted.parse().ok().map(Place::Partition);
        let is = |region: &&Region| {
            region.disk == 0 && (Some(&region.place) == number.as_ref() || region.place == Place::Volume(wanted.to_owned()))
        };
        let here = || {
            let all: Vec<String> = inside.regions.iter().filter(|region| region.disk == 0).map(in_words).collect();
            if all.is_empty() { "the disk has no partitions".to_owned() } else { format!("there are: {}", all.join(", ")) }
        };
        let region = inside.regions.iter().find(is).ok_or_else(|| anyhow!("--partition {}: {}", printable(wanted), here()))?;
        let tree = whole(region).ok_or_else(|| {
            let why = region.unreadable().unwrap_or_else(|| "no file system stands there".to_owned());
            anyhow!("--partition {}: {}", printable(wanted), printable(&why))
        })?;
        Ok(Self { guests: vec![], others: vec![(region.place.to_string(), tree)], closed: vec![] })
    }

    /// The tree that holds a path, and the path as that tree writes it.
    fn holding(&self, asked: &str) -> anyhow::Result<(&Tree, String)> {
        for group in [&self.guests, &self.others] {
            let mut holding = Vec::new();
            let mut failure = None;
            for (place, tree) in group {
                let path = as_written(tree, asked);
                match tree.find_link(&path) {
                    Ok(Some(_)) => holding.push((place, tree, path)),
                    Ok(None) => {}
                    Err(error) => failure = Some(error),
                }
            }
            match (holding.as_slice(), failure) {
                ([(_, tree, path)], _) => return Ok((*tree, path.clone())),
                ([], None) => {}
                ([], Some(error)) => return Err(said(error)),
                (several, _) => {
                    let places: Vec<&str> = several.iter().map(|(place, ..)| place.as_str()).collect();
                    bail!("'{}' is on {}; say which with --partition", printable(asked), printable(&places.join(", ")));
                }
            }
        }
        let closed =
            if self.closed.is_empty() { String::new() } else { format!("; not looked into: {}", printable(&self.closed.join("; "))) };
        if self.guests.is_empty() && self.others.is_empty() {
            bail!("no file system on the disk can be read{closed}");
        }
        bail!("there is no '{}'{closed}", printable(asked))
    }
}

/// A region by itself; of one with subvolumes the top level, from which all of them are reached.
fn whole(region: &Region) -> Option<Tree> {
    let fs = region.opened()?;
    let top = fs.subvolumes().ok().and_then(|all| all.into_iter().find(|one| one.path.is_empty())).map(|one| one.root);
    Some(Tree::new(region.place.to_string(), fs.clone(), top.unwrap_or_else(|| fs.root())))
}

fn in_words(region: &Region) -> String {
    let name = match &region.place {
        Place::Partition(number) => number.to_string(),
        place => place.to_string(),
    };
    printable(&region.content.as_ref().map_or_else(|| name.clone(), |content| format!("{name} ({})", content.kind)))
}

/// `C:\Windows` as `/Windows`, where the root is of a file system that folds case.
fn as_written(tree: &Tree, asked: &str) -> String {
    if !tree.mounts().next().is_some_and(|root| root.fs.folds_case()) {
        return asked.to_owned();
    }
    let mut letters = asked.chars();
    let drive = matches!((letters.next(), letters.next()), (Some(letter), Some(':')) if letter.is_ascii_alphabetic());
    let path = if drive { letters.as_str() } else { asked };
    path.replace('\\', "/")
}

fn said(error: Error) -> anyhow::Error {
    anyhow!("{}", printable(&error.to_string()))
}

fn unreadable(opened: &disks::Opened) -> anyhow::Error {
    let facts = &opened.inspected.facts;
    let why = facts.readable.reason().map_or_else(|| format!("the file is {}, whose disk is not opened here", facts.format), str::to_owned);
    anyhow!("cannot look into '{}': {}", disks::shown(&opened.path), printable(&why))
}

/// One line of a listing.
struct Line {
    name: Vec<u8>,
    node: Node,
    /// Where a symlink leads, or why that has no path here.
    target: Option<Result<Vec<u8>, String>>,
}

fn directory(found: &Found<'_>) -> anyhow::Result<Vec<Line>> {
    let fs: &dyn FileSystem = &*found.mount.fs;
    let mut entries: Vec<Entry> = Vec::new();
    let each = &mut |entry| {
        entries.push(entry);
        if entries.len() > MAX_ENTRIES { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    fs.entries(found.id, each).map_err(said)?;
    if entries.len() > MAX_ENTRIES {
        bail!("the directory has more than {MAX_ENTRIES} entries");
    }
    entries.sort_by(|a, b| a.name.cmp(&b.name));
    entries.into_iter().map(|entry| line(fs, entry.name, entry.node)).collect()
}

fn itself(found: &Found<'_>) -> anyhow::Result<Line> {
    line(&*found.mount.fs, found.names.last().cloned().unwrap_or_default(), found.id)
}

fn line(fs: &dyn FileSystem, name: Vec<u8>, id: NodeId) -> anyhow::Result<Line> {
    let what = || format!("cannot read '{}'", printable(&String::from_utf8_lossy(&name)));
    let node = fs.node(id).map_err(said).with_context(what)?;
    let target = match node.kind {
        NodeKind::Symlink => Some(match fs.target(id) {
            Err(Error::Unsupported(why)) => Err(why),
            target => Ok(target.map_err(said).with_context(what)?),
        }),
        _ => None,
    };
    Ok(Line { name, node, target })
}

/// `-rw-r--r--`.
fn mode(node: &Node) -> String {
    let kind = match node.kind {
        NodeKind::File => '-',
        NodeKind::Directory => 'd',
        NodeKind::Symlink => 'l',
        NodeKind::CharacterDevice => 'c',
        NodeKind::BlockDevice => 'b',
        NodeKind::Fifo => 'p',
        NodeKind::Socket => 's',
    };
    let Some(mode) = node.mode else { return format!("{kind}?????????") };
    let bit = |mask: u16| mode & mask != 0;
    let class = |shift: u32, special: bool, letters: (char, char)| {
        let bits = mode.checked_shr(shift).unwrap_or(0);
        let execute = match (special, bits & 1 != 0) {
            (true, true) => letters.0,
            (true, false) => letters.1,
            (false, true) => 'x',
            (false, false) => '-',
        };
        [if bits & 4 != 0 { 'r' } else { '-' }, if bits & 2 != 0 { 'w' } else { '-' }, execute]
    };
    let classes = [class(6, bit(0o4000), ('s', 'S')), class(3, bit(0o2000), ('s', 'S')), class(0, bit(0o1000), ('t', 'T'))];
    std::iter::once(kind).chain(classes.into_iter().flatten()).collect()
}

fn special(node: &Node) -> String {
    match node.device {
        Some((major, minor)) => format!("{} ({major}, {minor})", node.kind),
        None => node.kind.to_string(),
    }
}

fn print_lines(lines: &[Line]) -> anyhow::Result<()> {
    let number = |value: Option<u32>| value.map_or_else(|| "-".to_owned(), |value| value.to_string());
    let size = |node: &Node| match node.device {
        Some((major, minor)) => format!("{major}, {minor}"),
        None => node.size.to_string(),
    };
    let widest = |cell: &dyn Fn(&Node) -> String| lines.iter().map(|line| cell(&line.node).len()).max().unwrap_or(0);
    let (links, uid, gid, bytes) = (
        widest(&|node| node.links.to_string()),
        widest(&|node| number(node.uid)),
        widest(&|node| number(node.gid)),
        widest(&|node| size(node)),
    );
    let mut out = io::stdout().lock();
    for line in lines {
        let node = &line.node;
        let time = node.modified.map_or_else(|| "-".to_owned(), |time| rfc3339(time).replace('T', " ").replace('Z', ""));
        let name = printable(&String::from_utf8_lossy(&line.name));
        let target = match &line.target {
            Some(Ok(target)) => format!(" -> {}", printable(&String::from_utf8_lossy(target))),
            Some(Err(why)) => format!(" -> ({})", printable(why)),
            None => String::new(),
        };
        writeln!(
            out,
            "{} {:>links$} {:>uid$} {:>gid$} {:>bytes$} {time:19} {name}{target}",
            mode(node),
            node.links,
            number(node.uid),
            number(node.gid),
            size(node),
        )
        .context("cannot write to standard output")?;
    }
    out.flush().context("cannot write to standard output")
}

fn print_json(args: &LsArgs, found: &Found<'_>, lines: &[Line]) -> anyhow::Result<()> {
    let entries: Vec<Value> = lines
        .iter()
        .map(|line| {
            let node = &line.node;
            json!({
                "name": String::from_utf8_lossy(&line.name),
                "type": node.kind.to_string(),
                "size": node.size,
                "mode": node.mode.map(|mode| format!("{mode:04o}")),
                "uid": node.uid,
                "gid": node.gid,
                "links": node.links,
                "modified": node.modified.map(rfc3339),
                "device": node.device.map(|(major, minor)| json!({ "major": major, "minor": minor })),
                "target": line.target.as_ref().and_then(|target| target.as_ref().ok()).map(|target| String::from_utf8_lossy(target)),
            })
        })
        .collect();
    let mut document = json::head();
    document.insert("disk".to_owned(), json!(args.reading.disk.to_string_lossy()));
    document.insert("path".to_owned(), json!(found.path()));
    document.insert("on".to_owned(), json!(without_secrets(&found.mount.from)));
    document.insert("entries".to_owned(), Value::Array(entries));
    output::print_json(&Value::Object(document))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bytes::{Memory, Overlay, Zeros};

    #[test]
    fn modes_as_ls_prints_them() {
        let node = |kind, mode| Node { kind, size: 0, mode, uid: None, gid: None, modified: None, links: 1, device: None };
        for (kind, bits, text) in [
            (NodeKind::File, Some(0o644), "-rw-r--r--"),
            (NodeKind::Directory, Some(0o1777), "drwxrwxrwt"),
            (NodeKind::Directory, Some(0o1770), "drwxrwx--T"),
            (NodeKind::File, Some(0o4755), "-rwsr-xr-x"),
            (NodeKind::File, Some(0o6644), "-rwSr-Sr--"),
            (NodeKind::Symlink, None, "l?????????"),
            (NodeKind::BlockDevice, Some(0), "b---------"),
        ] {
            assert_eq!(mode(&node(kind, bits)), text);
        }
    }

    #[test]
    fn holes_are_zeros() {
        let mut sparse = Overlay::resized(Arc::new(Zeros(3 << 20)), (5 << 20) + 3);
        sparse.patch(1_500_000, vec![7; 10]).unwrap();
        sparse.patch((5 << 20) + 2, vec![9]).unwrap();
        let mut out = Vec::new();
        copy(&sparse, &mut out).unwrap();
        assert_eq!(out, crate::bytes::read_vec(&sparse, 0, (5 << 20) + 3).unwrap());
        let mut out = Vec::new();
        copy(&Memory(vec![]), &mut out).unwrap();
        assert!(out.is_empty());
    }
}
