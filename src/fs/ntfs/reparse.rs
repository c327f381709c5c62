//! Reparse points: symlinks, junctions, and files whose content another driver gives.
//!
//! \[MS-FSCC\], sections 2.1.2.1 (tags), 2.1.2.4 (symbolic links) and 2.1.2.5 (mount points).

use super::names::{to_bytes, to_text};
use super::raw::{le32, len16, part, units};
use super::wof::Algorithm;
use crate::fs::NodeKind;

/// Flag of a symlink: relative to the directory that it is in.
const RELATIVE: u32 = 1;
/// Bit of a tag: it stands for another file, rather than saying how this one is stored.
const SURROGATE: u32 = 0x2000_0000;

/// What a reparse point makes of its file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Reparse {
    /// A symlink or a junction.
    Link(Target),
    /// A device node, a pipe or a socket of the Windows Subsystem for Linux.
    Special(NodeKind),
    /// Content compressed by the Windows Overlay Filter.
    Overlaid(Algorithm),
    /// Content that only the driver of this tag can give.
    Foreign {
        tag: u32,
        /// What the tag is for.
        name: &'static str,
    },
}

/// Where a link leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Target {
    /// To a path on the same volume: absolute where it begins with `/`.
    Path(Vec<u8>),
    /// To a path on the volume that has this letter.
    Drive(u8, Vec<u8>),
    /// To what has no path here.
    Elsewhere(String),
}

/// Tags whose content is elsewhere or in a form of its own.
const TAGS: &[(u32, &str)] = &[
    (0x8000_0005, "a drive extender"),
    (0x8000_0006, "hierarchical storage"),
    (0x8000_0007, "single-instance storage"),
    (0x8000_000a, "the distributed file system"),
    (0x8000_0012, "distributed file system replication"),
    (0x8000_0013, "data deduplication"),
    (0x8000_0014, "the NFS server"),
    (0x8000_0015, "a placeholder of Windows 8.1"),
    (0x8000_0016, "dynamic file management"),
    (0x8000_0018, "Windows containers"),
    (0x8000_001b, "an app execution alias"),
    (0x8000_001e, "Azure File Sync"),
    (0x8000_0021, "OneDrive"),
    (0x9000_001c, "a projected file system"),
    (0x9000_1018, "Windows containers"),
    (0xa000_0019, "a global link"),
    (0xa000_001f, "Windows containers"),
    (0xa000_0022, "a projected file system"),
    (0xa000_0027, "Windows containers"),
    (0xc000_0004, "hierarchical storage"),
];

impl Reparse {
    /// From the value of the attribute; `None` where it is damaged.
    pub(super) fn parse(value: &[u8]) -> Option<Self> {
        let tag = le32(value, 0)?;
        let data = part(value, 8, len16(value, 4)?)?;
        Some(match tag {
            0xa000_0003 => Self::Link(target(&name(data, 8)?, false)),
            0xa000_000c => Self::Link(target(&name(data, 12)?, le32(data, 8)? & RELATIVE != 0)),
            // A symlink of the Windows Subsystem for Linux: a version, and the target in UTF-8.
            0xa000_001d if le32(data, 0)? == 2 => Self::Link(Target::Path(data.get(4..)?.to_vec())),
            0x8000_0017 => overlaid(data)?,
            0x8000_0023 => Self::Special(NodeKind::Socket),
            0x8000_0024 => Self::Special(NodeKind::Fifo),
            0x8000_0025 => Self::Special(NodeKind::CharacterDevice),
            0x8000_0026 => Self::Special(NodeKind::BlockDevice),
            // Cloud files have sixteen tags, one for each provider of them.
            _ if tag & 0xffff_0fff == 0x9000_001a => Self::Foreign { tag, name: "OneDrive or another cloud" },
            _ => {
                let name = TAGS.iter().find(|(known, _)| *known == tag).map_or("an unknown driver", |(_, name)| name);
                Self::Foreign { tag, name }
            }
        })
    }

    /// Whether a directory with this reparse point has its own entries.
    pub(super) fn is_transparent(&self) -> bool {
        matches!(self, Self::Foreign { tag, .. } if tag & SURROGATE == 0)
    }
}

/// The substitute name of a link; the names begin at `names`.
fn name(data: &[u8], names: usize) -> Option<Vec<u16>> {
    let names = data.get(names..)?;
    Some(units(part(names, len16(data, 0)?, len16(data, 2)?)?))
}

/// From `WOF_EXTERNAL_INFO`: its version and the provider of the content; then the provider's own version and the algorithm.
fn overlaid(data: &[u8]) -> Option<Reparse> {
    let foreign = |name| Reparse::Foreign { tag: 0x8000_0017, name };
    Some(match (le32(data, 0)?, le32(data, 4)?) {
        (1, 1) => foreign("the Windows Overlay Filter, in a WIM file"),
        (1, 2) if le32(data, 8)? == 1 => {
            Algorithm::new(le32(data, 12)?).map_or(foreign("the Windows Overlay Filter, by an unknown algorithm"), Reparse::Overlaid)
        }
        _ => foreign("the Windows Overlay Filter, in an unknown way"),
    })
}

/// Windows' path as one of the guest.
fn target(path: &[u16], relative: bool) -> Target {
    let slashed: Vec<u16> = path.iter().map(|unit| if *unit == u16::from(b'\\') { u16::from(b'/') } else { *unit }).collect();
    let slashed = to_bytes(&slashed);
    if relative {
        return Target::Path(slashed);
    }
    let prefixes: [&[u8]; 3] = [b"/??/", b"//?/", b"//./"];
    let rest = prefixes.iter().find_map(|prefix| slashed.strip_prefix(*prefix)).unwrap_or(&slashed);
    match rest {
        [letter, b':', rest @ ..] if letter.is_ascii_alphabetic() && matches!(rest.first(), None | Some(b'/')) => {
            let rest = if rest.is_empty() { b"/" } else { rest };
            Target::Drive(letter.to_ascii_uppercase(), rest.to_vec())
        }
        _ => Target::Elsewhere(to_text(path)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(tag: u32, names: usize, path: &str, flags: u32) -> Vec<u8> {
        let path: Vec<u8> = path.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let mut data = vec![0; names];
        data[2..4].copy_from_slice(&(path.len() as u16).to_le_bytes());
        if names == 12 {
            data[8..12].copy_from_slice(&flags.to_le_bytes());
        }
        data.extend(path);
        value(tag, &data)
    }

    fn value(tag: u32, data: &[u8]) -> Vec<u8> {
        [&tag.to_le_bytes()[..], &(data.len() as u16).to_le_bytes(), &[0, 0], data].concat()
    }

    #[test]
    fn links_become_paths() {
        let (junction, symlink) = ((0xa000_0003, 8), (0xa000_000c, 12));
        let path = |path: &str| Target::Path(path.into());
        let drive = |letter, path: &str| Target::Drive(letter, path.into());
        let elsewhere = |path: &str| Target::Elsewhere(path.into());
        let cases = [
            (junction, r"\??\C:\Users", 0, drive(b'C', "/Users")),
            (junction, r"\??\d:\", 0, drive(b'D', "/")),
            (junction, r"\??\E:", 0, drive(b'E', "/")),
            (
                junction,
                r"\??\Volume{01234567-89ab-cdef-0123-456789abcdef}\",
                0,
                elsewhere(r"\??\Volume{01234567-89ab-cdef-0123-456789abcdef}\"),
            ),
            (symlink, r"\??\C:\ProgramData\a b", 0, drive(b'C', "/ProgramData/a b")),
            (symlink, r"..\..\Windows\System32", 1, path("../../Windows/System32")),
            (symlink, r"\Users\Public", 1, path("/Users/Public")),
            (symlink, r"\??\UNC\server\share", 0, elsewhere(r"\??\UNC\server\share")),
            (symlink, r"\\server\share", 0, elsewhere(r"\\server\share")),
            (symlink, r"\??\CC:\x", 0, elsewhere(r"\??\CC:\x")),
        ];
        for ((tag, names), text, flags, expected) in cases {
            assert_eq!(Reparse::parse(&link(tag, names, text, flags)), Some(Reparse::Link(expected)), "{text}");
        }
        assert_eq!(Reparse::parse(&value(0xa000_001d, b"\x02\0\0\0/etc/x")), Some(Reparse::Link(path("/etc/x"))));
    }

    #[test]
    fn contents_elsewhere_are_named() {
        let overlaid = |numbers: [u32; 4]| Reparse::parse(&value(0x8000_0017, &numbers.map(u32::to_le_bytes).concat()));
        assert_eq!(overlaid([1, 2, 1, 1]), Some(Reparse::Overlaid(Algorithm::Lzx)));
        assert_eq!(overlaid([1, 2, 1, 3]), Some(Reparse::Overlaid(Algorithm::Xpress(16384))));
        for (numbers, words) in
            [([1, 2, 1, 4], "algorithm"), ([1, 1, 1, 0], "WIM"), ([2, 2, 1, 0], "unknown way"), ([1, 2, 2, 0], "unknown way")]
        {
            assert!(matches!(overlaid(numbers), Some(Reparse::Foreign { name, .. }) if name.contains(words)), "{numbers:?}");
        }
        for (tag, words, transparent) in [
            (0x8000_0013, "dedup", true),
            (0x9000_001a, "OneDrive", true),
            (0x9000_701a, "OneDrive", true),
            (0x3234_5678, "unknown", false),
            (0x0234_5678, "unknown", true),
            (0xa000_0027, "containers", false),
        ] {
            let found = Reparse::parse(&value(tag, &[])).unwrap();
            assert!(matches!(found, Reparse::Foreign { name, .. } if name.contains(words)), "{tag:x}");
            assert_eq!(found.is_transparent(), transparent, "{tag:x}");
        }
        assert_eq!(Reparse::parse(&value(0x8000_0024, &[])), Some(Reparse::Special(NodeKind::Fifo)));
    }

    #[test]
    fn damage_is_seen() {
        for whole in [link(0xa000_000c, 12, r"\??\C:\x", 0), value(0x8000_0017, &[1, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0])] {
            assert!(Reparse::parse(&whole).is_some());
            for length in 0..whole.len() {
                assert_eq!(Reparse::parse(&whole[..length]), None, "{length} bytes");
            }
        }
        let mut far = link(0xa000_0003, 8, r"\??\C:\x", 0);
        far[8] = 200;
        assert_eq!(Reparse::parse(&far), None);
    }
}
