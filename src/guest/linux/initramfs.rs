//! What an initramfs holds.
//!
//! Source: Linux `init/initramfs.c` and `Documentation/driver-api/early-userspace/buffer-format.rst`. An initramfs is a row of segments,
//! each a cpio archive or one that was packed; zeros may stand between them. Microcode and what is packed already come first and plain,
//! the rest after it and packed. What programs made it is told from files that only they put there.

use super::cpio::{CpioError, Entry, Lister, Visit};
use super::modules;
use super::unpack::{Compression, UnpackError, unpack};
use crate::bytes::{ByteSize, GIB, ReadAt, ReadError, int_u64, int_usize};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

/// Segments that one file may have.
const MAX_SEGMENTS: usize = 64;
/// Bytes of text files and of names that a listing keeps.
const MAX_KEPT: usize = 16 << 20;
/// Bytes read at once where nothing is packed.
const CHUNK: u64 = 64 << 10;
/// What ends an initramfs that carries a boot configuration (`Documentation/admin-guide/bootconfig.rst`).
const BOOT_CONFIG: &[u8] = b"#BOOTCONFIG\n";

/// How much is read of one initramfs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the file.
    pub packed: u64,
    /// Bytes that come out of it.
    pub unpacked: u64,
    /// Files in it.
    pub entries: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { packed: GIB, unpacked: GIB.saturating_mul(2), entries: 300_000 }
    }
}

/// An initramfs that could not be listed to its end.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ListError {
    /// An archive in it is damaged.
    #[error(transparent)]
    Cpio(#[from] CpioError),
    /// A packed segment is damaged.
    #[error(transparent)]
    Unpack(#[from] UnpackError),
    /// The bytes below could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// It is more than the limits allow.
    #[error("{0}")]
    Limit(String),
    /// It is something else, or ends too early.
    #[error("{0}")]
    Damaged(String),
}

/// One segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Segment {
    /// Byte of the file where it starts.
    pub at: u64,
    /// How it is packed; `None` where it is not.
    pub compression: Option<Compression>,
    /// Files in it.
    pub entries: u64,
    /// Bytes that came out of it.
    pub unpacked: u64,
}

/// The segments of a file, and what stands after them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Segments {
    /// In their order.
    pub segments: Vec<Segment>,
    /// What follows them and is no archive: the kernel complains of it and goes on without.
    pub ignored: Option<String>,
}

/// Programs that make an initramfs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Maker {
    /// dracut.
    Dracut,
    /// initramfs-tools of Debian and Ubuntu.
    InitramfsTools,
    /// mkinitcpio of Arch Linux.
    Mkinitcpio,
    /// mkinitfs of Alpine Linux.
    Mkinitfs,
    /// Booster.
    Booster,
    /// mkinitrd of old SUSE and Red Hat systems.
    Mkinitrd,
}

impl Maker {
    /// Its name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Dracut => "dracut",
            Self::InitramfsTools => "initramfs-tools",
            Self::Mkinitcpio => "mkinitcpio",
            Self::Mkinitfs => "mkinitfs",
            Self::Booster => "booster",
            Self::Mkinitrd => "mkinitrd",
        }
    }
}

/// What an initramfs holds, as far as anyone asks.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Listing {
    /// Its segments, and what follows them.
    pub segments: Segments,
    /// Kernel modules by kernel release, with `_` for `-`; those that stand outside `lib/modules/<release>` have an empty release.
    pub modules: BTreeMap<String, BTreeSet<String>>,
    /// Texts of `modprobe.d`, `cmdline.d` and of what dracut was told, by path without a leading `/`.
    pub texts: BTreeMap<String, String>,
    /// What made it.
    pub maker: Option<Maker>,
    /// Whether dracut was told to include only what this machine needs; `None` where that leaves no mark.
    pub host_only: Option<bool>,
    /// A file system image in it that may hold more files, which are not listed.
    pub nested: Option<String>,
    kept: usize,
}

impl Listing {
    /// Files in all segments.
    #[must_use]
    pub fn entries(&self) -> u64 {
        self.segments.segments.iter().fold(0, |sum, segment| sum.saturating_add(segment.entries))
    }

    /// Bytes that came out of all segments.
    #[must_use]
    pub fn unpacked(&self) -> u64 {
        self.segments.segments.iter().fold(0, |sum, segment| sum.saturating_add(segment.unpacked))
    }

    /// Whether a module of this name can be loaded from it by a kernel of this release. The name has `_`, not `-`.
    #[must_use]
    pub fn has(&self, release: &str, module: &str) -> bool {
        ["", release].iter().any(|release| self.modules.get(*release).is_some_and(|modules| modules.contains(module)))
    }

    fn keep(&mut self, bytes: usize) -> bool {
        self.kept = self.kept.saturating_add(bytes);
        self.kept <= MAX_KEPT
    }

    fn learn_host_only(&mut self, arguments: &str) {
        for word in arguments.split_whitespace().map(|word| word.trim_matches(['\'', '"'])) {
            match word {
                "-H" | "--hostonly" => self.host_only = Some(true),
                "-N" | "--no-hostonly" => self.host_only = Some(false),
                _ => {}
            }
        }
    }
}

/// Files whose text is kept.
fn is_wanted(path: &str) -> bool {
    let below = |directory: &str| path.strip_prefix(directory).is_some_and(|name| name.ends_with(".conf"));
    ["etc/modprobe.d/", "run/modprobe.d/", "usr/lib/modprobe.d/", "lib/modprobe.d/", "etc/cmdline.d/"].into_iter().any(below)
        || path == "etc/cmdline"
        || path.ends_with("lib/dracut/build-parameter.txt")
}

/// What a file says of the program that put it there.
fn maker_of(path: &str) -> Option<Maker> {
    let unmerged = path.strip_prefix("usr/").unwrap_or(path);
    match unmerged {
        "lib/dracut-lib.sh" => Some(Maker::Dracut),
        "conf/initramfs.conf" => Some(Maker::InitramfsTools),
        "init_functions" => Some(Maker::Mkinitcpio),
        "sbin/nlplug-findfs" => Some(Maker::Mkinitfs),
        "etc/booster.init.yaml" => Some(Maker::Booster),
        "mkinitrd.config" | "run_all.sh" | "bin/nash" | "sbin/nash" => Some(Maker::Mkinitrd),
        _ if unmerged.starts_with("lib/dracut/") => Some(Maker::Dracut),
        _ => None,
    }
}

impl Visit for Listing {
    fn entry(&mut self, entry: &Entry<'_>) -> bool {
        // Names that are not UTF-8 are none of those that matter.
        let Ok(path) = std::str::from_utf8(entry.name) else { return false };
        let path = path.trim_start_matches("./").trim_start_matches('/');
        if self.maker.is_none() {
            self.maker = maker_of(path);
        }
        let name = path.rsplit('/').next().unwrap_or_default();
        // With the dracut module "squash" nearly everything is in one image; kdump's initramfs is made so.
        if matches!(name, "squashfs-root.img" | "squash-root.img" | "erofs-root.img") || path == "squash/root.img" {
            self.nested = Some(path.to_owned());
        }
        if path.ends_with("lib/dracut/hostonly-kernel-modules.txt") || path.ends_with("lib/dracut/loaded-kernel-modules.txt") {
            self.host_only.get_or_insert(true);
        }
        if let Some(module) = modules::of_file(path) {
            let release = path.split_once("lib/modules/").and_then(|(_, rest)| rest.split_once('/')).map_or("", |(release, _)| release);
            if self.keep(module.len().saturating_add(release.len())) {
                self.modules.entry(release.to_owned()).or_default().insert(module);
            }
        }
        entry.is_file() && is_wanted(path)
    }

    fn content(&mut self, name: &[u8], content: &[u8]) {
        let path = String::from_utf8_lossy(name);
        let path = path.trim_start_matches("./").trim_start_matches('/').to_owned();
        let text = String::from_utf8_lossy(content).into_owned();
        if path.ends_with("lib/dracut/build-parameter.txt") {
            self.learn_host_only(&text);
        }
        if self.keep(path.len().saturating_add(text.len())) {
            self.texts.insert(path, text);
        }
    }
}

/// Lists an initramfs.
///
/// # Errors
///
/// When it is damaged, or more than the limits allow. What is ignored by the kernel after the last archive is no error
/// ([`Segments::ignored`]).
pub fn list(bytes: &dyn ReadAt, limits: &Limits) -> Result<Listing, ListError> {
    let mut listing = Listing::default();
    let segments = walk(bytes, limits, &mut listing)?;
    if listing.kept > MAX_KEPT {
        return Err(ListError::Limit(format!("its names and settings take more than {}", ByteSize(int_u64(MAX_KEPT)))));
    }
    listing.segments = segments;
    Ok(listing)
}

/// Tells a visitor of every entry of every segment.
///
/// # Errors
///
/// As [`list`].
pub fn walk(bytes: &dyn ReadAt, limits: &Limits, visit: &mut dyn Visit) -> Result<Segments, ListError> {
    if bytes.size() > limits.packed {
        return Err(ListError::Limit(format!("longer than {}: {}", ByteSize(limits.packed), ByteSize(bytes.size()))));
    }
    let size = without_boot_config(bytes)?;
    let mut found = Segments::default();
    let mut room = *limits;
    let mut at = 0;
    while let Some(start) = skip_zeros(bytes, at, size)? {
        let head = head(bytes, start, size)?;
        let compression = Compression::of(&head);
        let plain = head.first() == Some(&b'0') && start.is_multiple_of(4);
        if compression.is_none() && !plain {
            let words = if size.saturating_sub(start) == 1 { "a byte" } else { "bytes" };
            let what = format!("from byte {start} on: {words} that begin no archive");
            if found.segments.is_empty() {
                return Err(ListError::Damaged(format!("neither a cpio archive nor anything that the kernel unpacks, {what}")));
            }
            found.ignored = Some(what);
            break;
        }
        if found.segments.len() >= MAX_SEGMENTS {
            return Err(ListError::Limit(format!("more than {MAX_SEGMENTS} segments")));
        }
        let mut lister = Lister::new(room.entries);
        at = match compression {
            Some(format) => packed(bytes, start, format, &room, &mut lister, visit)?,
            None => self::plain(bytes, start, size, &room, &mut lister, visit)?,
        };
        if !lister.is_between() {
            let what = compression.map_or("its cpio archive".to_owned(), |format| format!("the cpio archive in its {format} data"));
            return Err(ListError::Damaged(format!("{what} ends without its trailer")));
        }
        room.entries = room.entries.saturating_sub(lister.entries());
        room.unpacked = room.unpacked.saturating_sub(lister.position());
        found.segments.push(Segment { at: start, compression, entries: lister.entries(), unpacked: lister.position() });
    }
    if found.segments.is_empty() {
        return Err(ListError::Damaged("it is empty".to_owned()));
    }
    Ok(found)
}

/// Lists a packed segment; returns where it ends.
fn packed(
    bytes: &dyn ReadAt,
    start: u64,
    format: Compression,
    room: &Limits,
    lister: &mut Lister,
    visit: &mut dyn Visit,
) -> Result<u64, ListError> {
    let mut fault = None;
    let end = unpack(bytes, start, format, &mut |piece| {
        match lister.feed(piece, visit) {
            Ok(taken) if taken < piece.len() => {
                fault = Some(ListError::Damaged(format!("bytes that are no archive, at byte {} of its {format} data", lister.position())));
            }
            Ok(_) if lister.position() > room.unpacked => fault = Some(too_much(room.unpacked)),
            Ok(_) => return ControlFlow::Continue(()),
            Err(error) => fault = Some(error.into()),
        }
        ControlFlow::Break(())
    })?;
    match (end, fault) {
        (Some(end), None) => Ok(end),
        (_, fault) => Err(fault.unwrap_or_else(|| ListError::Damaged("it could not be unpacked".to_owned()))),
    }
}

/// Lists a segment that is not packed; returns where it ends. Contents are not read, where the lister would ignore them.
fn plain(bytes: &dyn ReadAt, start: u64, size: u64, room: &Limits, lister: &mut Lister, visit: &mut dyn Visit) -> Result<u64, ListError> {
    let mut at = start;
    let mut chunk = vec![0; int_usize(CHUNK)];
    while at < size {
        let ignored = lister.ignores().min(size.saturating_sub(at));
        if ignored > 0 {
            lister.skip(ignored);
            at = at.saturating_add(ignored);
        } else {
            if lister.is_between() {
                // Zeros between archives may go on for long.
                match skip_zeros(bytes, at, size)? {
                    Some(next) => at = next,
                    None => return Ok(size),
                }
            }
            let count = size.saturating_sub(at).min(CHUNK);
            let input = chunk.get_mut(..int_usize(count)).unwrap_or_default();
            bytes.read_at(at, input)?;
            let taken = lister.feed(input, visit)?;
            if taken == 0 {
                return Ok(at);
            }
            at = at.saturating_add(int_u64(taken));
        }
        if lister.position() > room.unpacked {
            return Err(too_much(room.unpacked));
        }
    }
    Ok(at)
}

fn too_much(limit: u64) -> ListError {
    ListError::Limit(format!("it unpacks to more than {}", ByteSize(limit).short()))
}

/// The first bytes of a segment.
fn head(bytes: &dyn ReadAt, at: u64, size: u64) -> Result<Vec<u8>, ReadError> {
    crate::bytes::read_vec(bytes, at, int_usize(size.saturating_sub(at).min(8)))
}

/// The first byte from `at` on that is not zero.
fn skip_zeros(bytes: &dyn ReadAt, at: u64, size: u64) -> Result<Option<u64>, ReadError> {
    let mut at = at;
    let mut chunk = vec![0; 4096];
    while let Some(data) = bytes.data(at).filter(|data| data.start < size) {
        at = data.start;
        let end = data.end.min(size);
        while at < end {
            let count = int_usize(end.saturating_sub(at).min(4096));
            let input = chunk.get_mut(..count).unwrap_or_default();
            bytes.read_at(at, input)?;
            if let Some(place) = input.iter().position(|byte| *byte != 0) {
                return Ok(Some(at.saturating_add(int_u64(place))));
            }
            at = at.saturating_add(int_u64(count));
        }
    }
    Ok(None)
}

/// The size without a boot configuration: data, its length and checksum, and a mark, padded to 4 bytes.
fn without_boot_config(bytes: &dyn ReadAt) -> Result<u64, ReadError> {
    let size = bytes.size();
    let tail_size = size.min(24);
    let tail_at = size.saturating_sub(tail_size);
    let tail = crate::bytes::read_vec(bytes, tail_at, int_usize(tail_size))?;
    for padding in 0..4_usize {
        let Some(rest) = tail.len().checked_sub(padding).and_then(|end| tail.get(..end)) else { break };
        let Some(before) = rest.strip_suffix(BOOT_CONFIG) else { continue };
        let Some(length) = before.len().checked_sub(8).and_then(|at| before.get(at..)).and_then(<[u8]>::first_chunk::<4>) else { break };
        let overhead = int_u64(BOOT_CONFIG.len()).saturating_add(8).saturating_add(int_u64(padding));
        let whole = overhead.saturating_add(u64::from(u32::from_le_bytes(*length)));
        return Ok(size.checked_sub(whole).unwrap_or(size));
    }
    Ok(size)
}

#[cfg(test)]
mod tests {
    use super::super::cpio::tests::archive;
    use super::*;
    use crate::bytes::{MIB, Memory};

    const FILE: u32 = 0o100_644;

    fn gzip(content: &[u8]) -> Vec<u8> {
        use std::io::Write;
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(content).unwrap();
        encoder.finish().unwrap()
    }

    fn zstd(content: &[u8]) -> Vec<u8> {
        zstd::bulk::compress(content, 3).unwrap()
    }

    fn listed(bytes: Vec<u8>) -> Result<Listing, ListError> {
        list(&Memory(bytes), &Limits::default())
    }

    /// Microcode, a plain segment of packed modules, then the rest, as Ubuntu makes it.
    fn ubuntu() -> Vec<u8> {
        let mut bytes = archive(&[("kernel/x86/microcode/GenuineIntel.bin", FILE, &[3; 9000])]);
        bytes.resize(bytes.len().next_multiple_of(512), 0);
        bytes.extend(archive(&[("usr/lib/modules/6.8.0-1-azure/kernel/drivers/nvme/host/nvme-core.ko.zst", FILE, &[4; 70_000])]));
        bytes.resize(bytes.len().next_multiple_of(512), 0);
        bytes.extend(zstd(&archive(&[
            ("conf/initramfs.conf", FILE, b"MODULES=most"),
            ("etc/modprobe.d/blacklist.conf", FILE, b"blacklist floppy"),
            ("usr/lib/modules/6.8.0-1-azure/kernel/drivers/hv/hv_vmbus.ko", FILE, b"x"),
        ])));
        bytes
    }

    #[test]
    fn segments_follow_each_other() {
        let listing = listed(ubuntu()).unwrap();
        assert_eq!(listing.segments.segments.len(), 2);
        let kinds: Vec<_> = listing.segments.segments.iter().map(|segment| (segment.compression, segment.entries)).collect();
        assert_eq!(kinds, [(None, 2), (Some(Compression::Zstd), 3)]);
        assert!(listing.has("6.8.0-1-azure", "nvme_core") && listing.has("6.8.0-1-azure", "hv_vmbus"));
        assert!(!listing.has("6.8.0-2-azure", "hv_vmbus"), "modules of another kernel are of no use");
        assert_eq!(listing.maker, Some(Maker::InitramfsTools));
        assert_eq!(listing.texts.get("etc/modprobe.d/blacklist.conf").map(String::as_str), Some("blacklist floppy"));
        assert_eq!(listing.segments.ignored, None);
    }

    #[test]
    fn what_follows_and_is_no_archive_is_told() {
        let mut bytes = gzip(&archive(&[("init", FILE, b"")]));
        bytes.extend_from_slice(b"\0\0junk");
        let listing = listed(bytes.clone()).unwrap();
        assert_eq!(listing.entries(), 1);
        assert!(listing.segments.ignored.unwrap().contains("begin no archive"));
        // A plain archive must stand at a multiple of 4 bytes.
        let mut odd = gzip(&archive(&[("init", FILE, b"")]));
        odd.resize(odd.len().next_multiple_of(4) + 1, 0);
        odd.extend(archive(&[("late", FILE, b"")]));
        assert!(listed(odd).unwrap().segments.ignored.is_some());
    }

    #[test]
    fn a_boot_configuration_is_no_archive() {
        for padding in 0..4 {
            let mut bytes = gzip(&archive(&[("init", FILE, b"")]));
            let data = b"kernel.x = 1\0\0\0\0";
            bytes.extend_from_slice(data);
            bytes.extend_from_slice(&(data.len() as u32).to_le_bytes());
            bytes.extend_from_slice(&[1, 2, 3, 4]);
            bytes.extend_from_slice(BOOT_CONFIG);
            bytes.resize(bytes.len() + padding, 0);
            assert_eq!(listed(bytes).unwrap().segments.ignored, None, "padding {padding}");
        }
    }

    #[test]
    fn makers_leave_marks() {
        for (path, maker) in [
            ("usr/lib/dracut/dracut-057-53.git20240104.el9", Maker::Dracut),
            ("lib/dracut/hooks", Maker::Dracut),
            ("conf/initramfs.conf", Maker::InitramfsTools),
            ("init_functions", Maker::Mkinitcpio),
            ("sbin/nlplug-findfs", Maker::Mkinitfs),
            ("usr/sbin/nlplug-findfs", Maker::Mkinitfs),
            ("./etc/booster.init.yaml", Maker::Booster),
            ("bin/nash", Maker::Mkinitrd),
        ] {
            assert_eq!(listed(archive(&[(path, FILE, b"")])).unwrap().maker, Some(maker), "{path}");
        }
    }

    #[test]
    fn host_only_is_told_by_what_dracut_was_told() {
        let host_only = |files: &[(&str, u32, &[u8])]| listed(archive(files)).unwrap().host_only;
        assert_eq!(host_only(&[("usr/lib/dracut/build-parameter.txt", FILE, b" --force -N 'x'")]), Some(false));
        assert_eq!(host_only(&[("usr/lib/dracut/build-parameter.txt", FILE, b"--hostonly --hostonly-cmdline")]), Some(true));
        assert_eq!(host_only(&[("usr/lib/dracut/build-parameter.txt", FILE, b" --force --kver 6.1")]), None);
        assert_eq!(host_only(&[("lib/dracut/hostonly-kernel-modules.txt", FILE, b"")]), Some(true));
    }

    #[test]
    fn an_image_inside_is_told() {
        let listing = listed(archive(&[("squashfs-root.img", FILE, &[0; 5000]), ("init", FILE, b"")])).unwrap();
        assert_eq!(listing.nested.as_deref(), Some("squashfs-root.img"));
    }

    #[test]
    fn damage_is_an_error_and_never_a_short_list() {
        let whole = ubuntu();
        let good = listed(whole.clone()).unwrap();
        let first_end = archive(&[("kernel/x86/microcode/GenuineIntel.bin", FILE, &[3; 9000])]).len();
        for length in (0..whole.len()).step_by(37) {
            match listed(whole[..length].to_vec()) {
                Err(_) => {}
                // Cut between archives, it is a shorter initramfs and nothing else.
                Ok(listing) => assert!(length >= first_end && listing.entries() < good.entries(), "cut to {length}"),
            }
        }
        for (bytes, words) in [
            (vec![], "empty"),
            (vec![0; 5000], "empty"),
            (b"PK\x03\x04".to_vec(), "neither"),
            (gzip(b"no archive"), "no archive"),
            (gzip(&archive(&[("a", FILE, b"1234")])[..130]), "trailer"),
            (gzip(&[archive(&[]), b"junk".to_vec()].concat()), "no archive"),
            (b"070707".repeat(30), "070701"),
        ] {
            let error = listed(bytes).unwrap_err().to_string();
            assert!(error.contains(words), "{error}");
        }
    }

    #[test]
    fn limits_hold() {
        let many: Vec<(String, u32, &[u8])> = (0..100).map(|number| (format!("f{number}"), FILE, b"".as_slice())).collect();
        let many: Vec<_> = many.iter().map(|(name, mode, content)| (name.as_str(), *mode, *content)).collect();
        let few = Limits { entries: 99, ..Limits::default() };
        assert!(matches!(list(&Memory(archive(&many)), &few), Err(ListError::Cpio(CpioError::TooMany(99)))));
        let bomb = gzip(&archive(&[("big", FILE, &vec![0; 8 << 20])]));
        let small = Limits { unpacked: 4 * MIB, ..Limits::default() };
        assert_eq!(list(&Memory(bomb), &small).unwrap_err().to_string(), "it unpacks to more than 4 MiB");
        let row = gzip(&archive(&[("a", FILE, b"")])).repeat(65);
        assert!(listed(row).unwrap_err().to_string().contains("segments"));
        let long = Limits { packed: 10, ..Limits::default() };
        assert!(list(&Memory(vec![0; 11]), &long).is_err());
    }

    #[test]
    fn flipped_bits_do_no_harm() {
        let whole = ubuntu();
        let mut state = 5_u64;
        for _ in 0..400 {
            let mut bytes = whole.clone();
            for _ in 0..3 {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                let place = (state >> 33) as usize % bytes.len();
                bytes[place] ^= 1 << (state >> 29 & 7);
            }
            drop(listed(bytes));
        }
    }
}
