//! A guest's files as the guest sees them: file systems joined at their mount points.

use super::path::{self, Found};
use super::system::fold;
use super::{Error, FileSystem, Node, NodeId, NodeKind};
use crate::bytes::{ByteSize, Bytes, MIB, int_usize, read_vec};
use std::collections::HashMap;
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, PoisonError};

/// Files above this are not read whole; no configuration file is that long.
pub const MAX_FILE: u64 = 16 * MIB;
/// Directories with more entries than this are not listed for facts.
pub const MAX_ENTRIES: usize = 65_536;
/// Lookups that are remembered.
const MAX_REMEMBERED: usize = 65_536;

/// What lookups found: by mount, directory and name.
type Lookups = HashMap<(usize, NodeId, Vec<u8>), Option<NodeId>>;

/// Mounted file systems.
#[derive(Debug)]
pub struct Tree {
    root: Mount,
    /// The others, in the order in which they were mounted.
    mounts: Vec<Mount>,
    remembered: Mutex<Lookups>,
    nodes: Mutex<HashMap<(usize, NodeId), Node>>,
}

/// A file system at its place in the tree.
#[derive(Debug, Clone)]
pub struct Mount {
    /// Where: `/`, `/boot/efi`.
    pub at: String,
    /// What was mounted, in the words of facts: `partition 1`, `vg0/root`, `partition 1, subvolume @home`.
    pub from: String,
    /// The file system.
    pub fs: Arc<dyn FileSystem>,
    /// The directory of it that is mounted: its root, or that of a subvolume.
    pub root: NodeId,
    /// Place in the tree's list.
    index: usize,
}

impl Mount {
    /// Its place among [`Tree::mounts`].
    #[must_use]
    pub fn place(&self) -> usize {
        self.index
    }
}

/// One name in a listed directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// The name; bytes that are not UTF-8 replaced.
    pub name: String,
    /// What it is; a symlink is not followed.
    pub node: Node,
}

impl Tree {
    /// A tree of one file system.
    #[must_use]
    pub fn new(from: impl Into<String>, fs: Arc<dyn FileSystem>, root: NodeId) -> Self {
        let root = Mount { at: "/".to_owned(), from: from.into(), fs, root, index: 0 };
        Self { root, mounts: vec![], remembered: Mutex::default(), nodes: Mutex::default() }
    }

    /// Mounts another file system below the root. A later mount at the same place hides the earlier one.
    pub fn mount(&mut self, at: &str, from: impl Into<String>, fs: Arc<dyn FileSystem>, root: NodeId) {
        let index = self.mounts.len().saturating_add(1);
        self.mounts.push(Mount { at: at.to_owned(), from: from.into(), fs, root, index });
    }

    /// The same mounts; nothing remembered.
    #[must_use]
    pub fn again(&self) -> Self {
        Self { root: self.root.clone(), mounts: self.mounts.clone(), remembered: Mutex::default(), nodes: Mutex::default() }
    }

    /// The mounts, the root first.
    pub fn mounts(&self) -> impl Iterator<Item = &Mount> {
        std::iter::once(&self.root).chain(&self.mounts)
    }

    pub(super) fn root(&self) -> &Mount {
        &self.root
    }

    /// What a path leads to, symlinks followed; `None` where there is nothing.
    ///
    /// # Errors
    ///
    /// When something on the way cannot be read.
    pub fn find(&self, path: &str) -> Result<Option<Found<'_>>, Error> {
        path::walk(self, path.as_bytes(), true, &|_, _, _| false).map_err(|error| error.at(path))
    }

    /// As [`Tree::find`]; a symlink at the end is not followed.
    ///
    /// # Errors
    ///
    /// As [`Tree::find`].
    pub fn find_link(&self, path: &str) -> Result<Option<Found<'_>>, Error> {
        path::walk(self, path.as_bytes(), false, &|_, _, _| false).map_err(|error| error.at(path))
    }

    /// As [`Tree::find`] or, without `follow`, [`Tree::find_link`]: a path of any bytes, without the names that are `gone`, each given with
    /// the mount and the directory that it stands in. A symlink or a directory that is gone leads nowhere.
    ///
    /// # Errors
    ///
    /// As [`Tree::find`].
    pub(crate) fn find_without(
        &self,
        path: &[u8],
        follow: bool,
        gone: &dyn Fn(&Mount, NodeId, &[u8]) -> bool,
    ) -> Result<Option<Found<'_>>, Error> {
        path::walk(self, path, follow, gone).map_err(|error| error.at(&String::from_utf8_lossy(path)))
    }

    /// Whether a path leads to anything.
    ///
    /// # Errors
    ///
    /// As [`Tree::find`].
    pub fn exists(&self, path: &str) -> Result<bool, Error> {
        Ok(self.find(path)?.is_some())
    }

    /// The content of a regular file; `None` where there is none.
    ///
    /// # Errors
    ///
    /// As [`Tree::find`], and when the content cannot be read.
    pub fn open(&self, path: &str) -> Result<Option<Bytes>, Error> {
        match self.find(path)? {
            Some(found) if found.node.kind == NodeKind::File => found.mount.fs.open(found.id).map(Some).map_err(|error| error.at(path)),
            _ => Ok(None),
        }
    }

    /// A regular file whole, if it is no longer than [`MAX_FILE`].
    ///
    /// # Errors
    ///
    /// As [`Tree::open`], and when it is longer.
    pub fn read(&self, path: &str) -> Result<Option<Vec<u8>>, Error> {
        self.read_up_to(path, MAX_FILE)
    }

    /// A regular file whole, if it is no longer than `limit`.
    ///
    /// # Errors
    ///
    /// As [`Tree::open`], and when it is longer.
    pub fn read_up_to(&self, path: &str, limit: u64) -> Result<Option<Vec<u8>>, Error> {
        let Some(bytes) = self.open(path)? else { return Ok(None) };
        if bytes.size() > limit {
            let size = ByteSize(bytes.size());
            return Err(Error::Unsupported(format!("longer than {}: {size}", ByteSize(limit))).at(path));
        }
        read_vec(&*bytes, 0, int_usize(bytes.size())).map(Some).map_err(|error| Error::from(error).at(path))
    }

    /// A text file whole; bytes that are not UTF-8 replaced.
    ///
    /// # Errors
    ///
    /// As [`Tree::read`].
    pub fn text(&self, path: &str) -> Result<Option<String>, Error> {
        Ok(self.read(path)?.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
    }

    /// Where a symlink leads, as it is written; `None` where there is no symlink.
    ///
    /// # Errors
    ///
    /// As [`Tree::find`].
    pub fn target(&self, path: &str) -> Result<Option<String>, Error> {
        match self.find_link(path)? {
            Some(found) if found.node.kind == NodeKind::Symlink => {
                let target = found.mount.fs.target(found.id).map_err(|error| error.at(path))?;
                Ok(Some(String::from_utf8_lossy(&target).into_owned()))
            }
            _ => Ok(None),
        }
    }

    /// The entries of a directory, by name; `None` where there is no directory. An entry whose node cannot be read makes the whole
    /// list unknown, never short.
    ///
    /// # Errors
    ///
    /// When it cannot be read, or has more than [`MAX_ENTRIES`].
    pub fn list(&self, path: &str) -> Result<Option<Vec<Listed>>, Error> {
        let Some(found) = self.find(path)?.filter(|found| found.node.kind == NodeKind::Directory) else { return Ok(None) };
        let mut entries = Vec::new();
        let each = &mut |entry| {
            entries.push(entry);
            if entries.len() > MAX_ENTRIES { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        found.mount.fs.entries(found.id, each).map_err(|error| error.at(path))?;
        if entries.len() > MAX_ENTRIES {
            return Err(Error::Unsupported(format!("more than {MAX_ENTRIES} entries")).at(path));
        }
        let mut listed = Vec::with_capacity(entries.len());
        for entry in entries {
            let name = String::from_utf8_lossy(&entry.name).into_owned();
            // The entry says which node it is; to look each name up would be to go through the directory once for each.
            let node = match self.mounted(&found.names, found.mount, &entry.name) {
                Some(other) => self.node(other, other.root),
                None => {
                    self.remember((found.mount.index, found.id, entry.name), Some(entry.node));
                    self.node(found.mount, entry.node)
                }
            };
            let node = node.map_err(|error| error.at(&format!("{}/{name}", path.trim_end_matches('/'))))?;
            listed.push(Listed { name, node });
        }
        listed.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(Some(listed))
    }

    /// The names in a directory, sorted; none where there is no directory. Cheaper than [`Tree::list`]: no node is read.
    ///
    /// # Errors
    ///
    /// As [`Tree::list`].
    pub fn names(&self, path: &str) -> Result<Vec<String>, Error> {
        let Some(found) = self.find(path)?.filter(|found| found.node.kind == NodeKind::Directory) else { return Ok(vec![]) };
        let mut names = Vec::new();
        let each = &mut |entry: super::Entry| {
            names.push(String::from_utf8_lossy(&entry.name).into_owned());
            if names.len() > MAX_ENTRIES { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        found.mount.fs.entries(found.id, each).map_err(|error| error.at(path))?;
        if names.len() > MAX_ENTRIES {
            return Err(Error::Unsupported(format!("more than {MAX_ENTRIES} entries")).at(path));
        }
        names.sort();
        Ok(names)
    }

    /// Paths that match a pattern, sorted. `*` stands for any run of characters within one name; a name that begins with a dot
    /// matches only a pattern that does.
    ///
    /// # Errors
    ///
    /// When a directory on the way cannot be read.
    pub fn glob(&self, pattern: &str) -> Result<Vec<String>, Error> {
        glob(pattern, |path| self.names(path), |path| Ok(self.find_link(path)?.is_some()))
    }

    /// A step down from a directory: the mount that stands there, or the entry itself.
    pub(super) fn step<'a>(
        &'a self,
        above: &[Vec<u8>],
        mount: &'a Mount,
        directory: NodeId,
        name: &[u8],
    ) -> Result<Option<(&'a Mount, NodeId)>, Error> {
        if let Some(other) = self.mounted(above, mount, name) {
            return Ok(Some((other, other.root)));
        }
        let key = (mount.index, directory, name.to_vec());
        let known = self.remembered.lock().unwrap_or_else(PoisonError::into_inner).get(&key).copied();
        if let Some(known) = known {
            return Ok(known.map(|id| (mount, id)));
        }
        let found = mount.fs.lookup(directory, name)?;
        self.remember(key, found);
        Ok(found.map(|id| (mount, id)))
    }

    /// Keeps what a lookup found, while there is room.
    fn remember(&self, key: (usize, NodeId, Vec<u8>), found: Option<NodeId>) {
        let mut remembered = self.remembered.lock().unwrap_or_else(PoisonError::into_inner);
        if remembered.len() < MAX_REMEMBERED {
            remembered.entry(key).or_insert(found);
        }
    }

    /// What is mounted at a name in a directory; of several the last.
    fn mounted(&self, above: &[Vec<u8>], mount: &Mount, name: &[u8]) -> Option<&Mount> {
        let folds = mount.fs.folds_case();
        let same = |a: &[u8], b: &[u8]| a == b || (folds && fold(a) == fold(b));
        let stands_here = |other: &&Mount| {
            let mut at = other.at.split('/').filter(|part| !part.is_empty()).map(str::as_bytes);
            let mut here = above.iter().map(Vec::as_slice).chain([name]);
            loop {
                match (at.next(), here.next()) {
                    (None, None) => break true,
                    (Some(a), Some(b)) if same(a, b) => {}
                    _ => break false,
                }
            }
        };
        self.mounts.iter().rev().find(stands_here)
    }

    /// A node, remembered.
    pub(super) fn node(&self, mount: &Mount, id: NodeId) -> Result<Node, Error> {
        let key = (mount.index, id);
        let known = self.nodes.lock().unwrap_or_else(PoisonError::into_inner).get(&key).cloned();
        if let Some(node) = known {
            return Ok(node);
        }
        let node = mount.fs.node(id)?;
        let mut nodes = self.nodes.lock().unwrap_or_else(PoisonError::into_inner);
        if nodes.len() < MAX_REMEMBERED {
            nodes.insert(key, node.clone());
        }
        Ok(node)
    }
}

/// Paths that match a pattern, as [`Tree::glob`] says, where `names` gives those in a directory and `exists` tells whether a path leads to
/// anything.
pub(crate) fn glob(
    pattern: &str,
    names: impl Fn(&str) -> Result<Vec<String>, Error>,
    exists: impl Fn(&str) -> Result<bool, Error>,
) -> Result<Vec<String>, Error> {
    let mut paths = vec![String::new()];
    for part in pattern.split('/').filter(|part| !part.is_empty()) {
        let mut next = Vec::new();
        for path in paths {
            if part.contains('*') {
                let names = names(if path.is_empty() { "/" } else { &path })?;
                let hidden = part.starts_with('.');
                let fits = names.into_iter().filter(|name| name.starts_with('.') == hidden && matches(part, name));
                next.extend(fits.map(|name| format!("{path}/{name}")));
            } else {
                let path = format!("{path}/{part}");
                if exists(&path)? {
                    next.push(path);
                }
            }
            if next.len() > MAX_ENTRIES {
                return Err(Error::Unsupported(format!("more than {MAX_ENTRIES} matches")).at(pattern));
            }
        }
        paths = next;
    }
    paths.retain(|path| !path.is_empty());
    Ok(paths)
}

/// Whether a name matches a pattern of one path part.
fn matches(pattern: &str, name: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = name.strip_prefix(parts.next().unwrap_or_default()) else { return false };
    let parts: Vec<&str> = parts.collect();
    let Some((last, middle)) = parts.split_last() else { return rest.is_empty() };
    for part in middle {
        match rest.split_once(part) {
            Some((_, after)) => rest = after,
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Item, MemoryFileSystem, folding_tree, tree};
    use super::*;

    #[test]
    fn paths_and_symlinks_stay_inside() {
        let tree = tree(&[
            ("/etc/os-release", "-> ../usr/lib/os-release"),
            ("/usr/lib/os-release", "ID=x"),
            ("/abs", "-> /etc/os-release"),
            ("/up", "-> ../../../../etc"),
            ("/loop", "-> loop"),
            ("/a", "-> b"),
            ("/b", "-> a"),
            ("/dangling", "-> nowhere/at/all"),
            ("/bad", "!damaged"),
        ]);
        for path in ["/etc/os-release", "etc//./os-release", "/abs", "/up/os-release", "/../../usr/lib/../lib/os-release"] {
            assert_eq!(tree.text(path).unwrap().as_deref(), Some("ID=x"), "{path}");
            assert_eq!(tree.find(path).unwrap().unwrap().path(), "/usr/lib/os-release");
        }
        for path in ["/dangling", "/nope", "/usr/lib/os-release/x", "/abs/x", ""] {
            assert_eq!(tree.text(path).unwrap(), None, "{path}");
        }
        for path in ["/loop", "/a/x"] {
            assert!(matches!(tree.text(path), Err(Error::Damaged(_))), "{path}");
        }
        assert_eq!(tree.text("/bad").unwrap_err().to_string(), "damaged: /bad: made so");
        assert_eq!(tree.target("/abs").unwrap().as_deref(), Some("/etc/os-release"));
        assert_eq!(tree.find_link("/loop").unwrap().unwrap().node.kind, NodeKind::Symlink);
        assert_eq!(tree.target("/etc").unwrap(), None);
    }

    #[test]
    fn mounts_hide_what_is_below_them() {
        let mut boot = MemoryFileSystem::new(true);
        boot.add("/EFI/BOOT/BOOTX64.EFI", Item::File(b"MZ".to_vec()), 0o644, 0);
        let mut tree = tree(&[("/boot/efi/hidden", "x"), ("/efi", "-> boot/efi")]);
        assert!(tree.exists("/boot/efi/hidden").unwrap());
        tree.mount("/boot/efi", "partition 15", Arc::new(boot), NodeId(0));
        for path in ["/boot/efi/EFI/BOOT/BOOTX64.EFI", "/boot/efi/efi/boot/bootx64.efi", "/efi/EFI/Boot/bootX64.efi"] {
            assert_eq!(tree.read(path).unwrap().as_deref(), Some(&b"MZ"[..]), "{path}");
        }
        assert!(!tree.exists("/boot/efi/hidden").unwrap());
        assert!(!tree.exists("/BOOT/efi").unwrap());
        assert_eq!(tree.find("/boot/efi/..").unwrap().unwrap().path(), "/boot");
        assert_eq!(tree.find("/efi/EFI").unwrap().unwrap().mount.from, "partition 15");
        let names: Vec<&str> = tree.mounts().map(|mount| mount.at.as_str()).collect();
        assert_eq!(names, ["/", "/boot/efi"]);
    }

    #[test]
    fn case_is_folded_where_the_file_system_does() {
        let tree = folding_tree(&[("/Windows/System32/config/SYSTEM", "regf"), ("/straße", "1"), ("/STRASSE", "2")]);
        assert!(tree.exists("/windows/SYSTEM32/Config/system").unwrap());
        assert_eq!(tree.text("/Straße").unwrap().as_deref(), Some("1"));
        assert_eq!(tree.text("/strasse").unwrap().as_deref(), Some("2"));
    }

    #[test]
    fn lists_and_globs_are_sorted() {
        let tree = tree(&[
            ("/home/b/.bash_history", "x"),
            ("/home/a/.bash_history", "y"),
            ("/home/.hidden/.bash_history", "z"),
            ("/home/c/", ""),
            ("/etc/ssh/ssh_host_rsa_key", ""),
            ("/etc/ssh/ssh_host_rsa_key.pub", ""),
            ("/etc/ssh/sshd_config", ""),
        ]);
        assert_eq!(tree.names("/home").unwrap(), [".hidden", "a", "b", "c"]);
        assert_eq!(tree.glob("/home/*/.bash_history").unwrap(), ["/home/a/.bash_history", "/home/b/.bash_history"]);
        assert_eq!(tree.glob("/etc/ssh/ssh_host_*key").unwrap(), ["/etc/ssh/ssh_host_rsa_key"]);
        assert_eq!(tree.glob("/etc/ssh/ssh_host_*_key*").unwrap().len(), 2);
        assert_eq!(tree.glob("/none/*").unwrap(), Vec::<String>::new());
        assert_eq!(tree.list("/etc/ssh/sshd_config").unwrap(), None);
        let kinds: Vec<_> = tree.list("/home").unwrap().unwrap().into_iter().map(|one| one.node.kind).collect();
        assert_eq!(kinds, [NodeKind::Directory; 4]);
    }

    #[test]
    fn patterns() {
        for (pattern, name, fits) in [
            ("*", "x", true),
            ("a*", "ab", true),
            ("a*", "ba", false),
            ("*a", "ba", true),
            ("a*b*c", "aXbYc", true),
            ("a*b*c", "acb", false),
            ("a*a", "a", false),
            ("ab", "ab", true),
        ] {
            assert_eq!(matches(pattern, name), fits, "{pattern} {name}");
        }
    }

    /// Counts how often a name is looked up.
    #[derive(Debug)]
    struct Asked(MemoryFileSystem, std::sync::atomic::AtomicUsize);

    impl FileSystem for Asked {
        fn kind(&self) -> &'static str {
            self.0.kind()
        }

        fn root(&self) -> NodeId {
            self.0.root()
        }

        fn node(&self, id: NodeId) -> Result<Node, Error> {
            self.0.node(id)
        }

        fn entries(&self, directory: NodeId, each: &mut dyn FnMut(crate::fs::Entry) -> ControlFlow<()>) -> Result<(), Error> {
            self.0.entries(directory, each)
        }

        fn lookup(&self, directory: NodeId, name: &[u8]) -> Result<Option<NodeId>, Error> {
            self.1.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            self.0.lookup(directory, name)
        }

        fn open(&self, file: NodeId) -> Result<Bytes, Error> {
            self.0.open(file)
        }

        fn target(&self, link: NodeId) -> Result<Vec<u8>, Error> {
            self.0.target(link)
        }

        fn usage(&self) -> Result<crate::fs::Usage, Error> {
            self.0.usage()
        }

        fn clean(&self) -> Result<bool, Error> {
            self.0.clean()
        }
    }

    #[test]
    fn what_was_listed_is_not_looked_up() {
        let mut memory = MemoryFileSystem::new(false);
        for number in 0..100 {
            memory.add(&format!("/d/{number}"), Item::File(vec![]), 0o644, 0);
        }
        let fs = Arc::new(Asked(memory, 0.into()));
        let tree = Tree::new("memory", fs.clone(), NodeId(0));
        let listed = tree.list("/d").unwrap().unwrap();
        assert!(listed.iter().all(|one| tree.exists(&format!("/d/{}", one.name)).unwrap()));
        assert_eq!((listed.len(), fs.1.load(std::sync::atomic::Ordering::Relaxed)), (100, 1), "the directory alone");
    }
}
