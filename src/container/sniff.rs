//! What a file really is, by content, whatever its name.
//!
//! People hand over what a pipeline left under the name `disk.vhd`: another hypervisor's format, something still packed, a
//! download that was an error page. [`sniff`] names it and says what to do. It opens nothing: the facts it gives come from
//! the first 64 KiB, the last sector, and for a tar the headers of its first members.
//!
//! VHD is not known here; its footer is looked for before this is asked.
//!
//! Layouts: qcow and qcow2 from QEMU's `docs/interop/qcow2.txt`; VMDK from VMware's *Virtual Disk Format 5.0*; VDI, QED and
//! Parallels from QEMU's `block/{vdi,qed,parallels}.c`; tar from POSIX.1-2017 *pax*, "ustar Interchange Format"; gzip from
//! RFC 1952; ISO 9660 from ECMA-119 section 8; the trailer of a disk image of Apple's from libdmg-hfsplus.

#[cfg(test)]
mod tests;
mod text;
mod ustar;

use crate::bytes::{KIB, ReadAt, ReadError, SECTOR, int_u64, int_usize, printable, read_array, read_vec};

/// How much of the start is looked at: the volume descriptor of an ISO 9660 lies at 32 KiB.
const HEAD: u64 = 64 * KIB;
/// How much must be text for the whole to count as text.
const TEXT: usize = 4096;
/// The most characters of a name from the file that a detail repeats.
const NAME: usize = 120;

/// What a file is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sniffed {
    /// A stable name in lower case: `qcow2`, `gzip`, `text`; `raw` when nothing else fits, `empty` for no bytes at all.
    pub format: &'static str,
    /// What else its headers tell, as printable text: `qcow2 version 3, needs its backing file base.qcow2`.
    pub detail: Option<String>,
    /// Size in bytes of the disk inside, where a header in reach says so.
    pub virtual_size: Option<u64>,
    /// What to do, in one imperative sentence with the command.
    pub advice: &'static str,
}

/// Tells what the file is; it must not be a VHD.
///
/// # Errors
///
/// Only what reading gives; every content has a name.
pub fn sniff(bytes: &dyn ReadAt) -> Result<Sniffed, ReadError> {
    let head = read_vec(bytes, 0, int_usize(bytes.size().min(HEAD)))?;
    let file = File { bytes, head };
    for format in DISKS.iter().chain(PACKED) {
        if let Some(seen) = format.probe.look(&file)? {
            let advice = seen.advice.unwrap_or(format.advice);
            return Ok(Sniffed { format: format.name, detail: seen.detail, virtual_size: seen.virtual_size, advice });
        }
    }
    Ok(plain(&file))
}

/// One format of the registries.
struct Format {
    name: &'static str,
    probe: Probe,
    advice: &'static str,
}

/// How a format is recognised.
enum Probe {
    /// By its first bytes alone; only for magic of four bytes and more.
    Magic(&'static [u8]),
    /// By looking; `None` when it is not this format.
    Look(fn(&File<'_>) -> Result<Option<Seen>, ReadError>),
}

impl Probe {
    fn look(&self, file: &File<'_>) -> Result<Option<Seen>, ReadError> {
        match self {
            Self::Magic(magic) => Ok(file.has(0, magic).then(Seen::default)),
            Self::Look(look) => look(file),
        }
    }
}

/// What a probe saw.
#[derive(Default)]
struct Seen {
    detail: Option<String>,
    virtual_size: Option<u64>,
    /// Where one format needs different advice in different states.
    advice: Option<&'static str>,
}

impl Seen {
    fn new(detail: impl Into<String>) -> Option<Self> {
        Some(Self { detail: Some(detail.into()), ..Self::default() })
    }

    fn disk(detail: impl Into<String>, virtual_size: Option<u64>) -> Option<Self> {
        Some(Self { detail: Some(detail.into()), virtual_size, advice: None })
    }
}

/// Formats that hold a disk. They are asked before [`PACKED`], because an Apple disk image may begin as bzip2 or xz does.
static DISKS: &[Format] = &[
    Format {
        name: "dmg",
        probe: Probe::Look(dmg),
        advice: "Convert it first: qemu-img convert -f dmg -O raw in.dmg disk.raw, then vhdkit prepare disk.raw.",
    },
    Format {
        name: "iso9660",
        probe: Probe::Look(iso9660),
        advice: "Install from it into a virtual machine and bring that machine's disk: a CD or DVD image is no disk that Azure can boot.",
    },
    Format {
        name: "parallels",
        probe: Probe::Look(parallels),
        advice: "Convert it first: qemu-img convert -f parallels -O raw in.hdd disk.raw, then vhdkit prepare disk.raw.",
    },
    Format {
        name: "qcow",
        probe: Probe::Look(qcow),
        advice: "Convert it first: qemu-img convert -f qcow -O raw in.qcow disk.raw, then vhdkit prepare disk.raw.",
    },
    Format {
        name: "qcow2",
        probe: Probe::Look(qcow2),
        advice: "Convert it first: qemu-img convert -f qcow2 -O raw in.qcow2 disk.raw, then vhdkit prepare disk.raw.",
    },
    Format {
        name: "qed",
        probe: Probe::Look(qed),
        advice: "Convert it first: qemu-img convert -f qed -O raw in.qed disk.raw, then vhdkit prepare disk.raw.",
    },
    Format {
        name: "vdi",
        probe: Probe::Look(vdi),
        advice: "Convert it first: qemu-img convert -f vdi -O raw in.vdi disk.raw, then vhdkit prepare disk.raw.",
    },
    Format { name: "vhdx", probe: Probe::Look(vhdx), advice: "Give it to vhdkit as it is: vhdkit prepare disk.vhdx." },
    Format {
        name: "vma",
        probe: Probe::Magic(b"VMA\0"),
        advice: "Take the disk out on a Proxmox host: vma extract in.vma out, then vhdkit prepare out/disk-drive-scsi0.raw.",
    },
    Format {
        name: "vmdk",
        probe: Probe::Look(vmdk),
        advice: "Convert it first: qemu-img convert -f vmdk -O raw in.vmdk disk.raw, then vhdkit prepare disk.raw.",
    },
];

/// Formats that something else is packed into.
static PACKED: &[Format] = &[
    Format {
        name: "7z",
        probe: Probe::Magic(b"7z\xbc\xaf\x27\x1c"),
        advice: "Unpack it first: 7z x in.7z, then give vhdkit what comes out.",
    },
    Format {
        name: "bzip2",
        probe: Probe::Look(bzip2),
        advice: "Unpack it first: bzip2 -dk in.bz2 (for a tar: tar -xjf in.tar.bz2), then give vhdkit what comes out.",
    },
    Format {
        name: "gzip",
        probe: Probe::Look(gzip),
        advice: "Unpack it first: gzip -dk in.gz (for a tar: tar -xzf in.tar.gz), then give vhdkit what comes out.",
    },
    Format { name: "lz4", probe: Probe::Look(lz4), advice: "Unpack it first: lz4 -d in.lz4 disk.vhd, then give vhdkit what comes out." },
    Format {
        name: "lzma",
        probe: Probe::Look(lzma),
        advice: "Unpack it first: xz --format=lzma -dk in.lzma, then give vhdkit what comes out.",
    },
    Format {
        name: "lzop",
        probe: Probe::Magic(b"\x89LZO\0\r\n\x1a\n"),
        advice: "Unpack it first: lzop -d in.lzo, then give vhdkit what comes out.",
    },
    Format { name: "ova", probe: Probe::Look(ova), advice: "Unpack it first: tar -xf in.ova, then give vhdkit the disk that comes out." },
    Format {
        name: "pe",
        probe: Probe::Look(pe),
        advice: "Run it on Windows if it is a self-extracting archive, or try 7z x in.exe; a program is not a disk.",
    },
    Format {
        name: "rar",
        probe: Probe::Magic(b"Rar!\x1a\x07"),
        advice: "Unpack it first: unrar x in.rar, then give vhdkit what comes out.",
    },
    Format { name: "tar", probe: Probe::Look(tar), advice: "Unpack it first: tar -xSf in.tar, then give vhdkit the disk that comes out." },
    Format {
        name: "wim",
        probe: Probe::Magic(b"MSWIM\0\0\0"),
        advice: "Apply it to a disk with dism /Apply-Image and bring that disk: a WIM holds files, not a disk.",
    },
    Format {
        name: "xz",
        probe: Probe::Magic(b"\xfd7zXZ\0"),
        advice: "Unpack it first: xz -dk in.xz (for a tar: tar -xJf in.tar.xz), then give vhdkit what comes out.",
    },
    Format { name: "zip", probe: Probe::Look(zip), advice: "Unpack it first: unzip in.zip, then give vhdkit what comes out." },
    Format {
        name: "zstd",
        probe: Probe::Look(zstd),
        advice: "Unpack it first: zstd -d in.zst (for a tar: tar --zstd -xf in.tar.zst), then give vhdkit what comes out.",
    },
];

/// A file and its first bytes.
struct File<'a> {
    bytes: &'a dyn ReadAt,
    head: Vec<u8>,
}

impl File<'_> {
    fn has(&self, at: usize, magic: &[u8]) -> bool {
        self.head.get(at..).is_some_and(|rest| rest.starts_with(magic))
    }

    fn array<const N: usize>(&self, at: usize) -> Option<[u8; N]> {
        self.head.get(at..).and_then(<[u8]>::first_chunk).copied()
    }

    fn le16(&self, at: usize) -> Option<u16> {
        self.array(at).map(u16::from_le_bytes)
    }

    fn le32(&self, at: usize) -> Option<u32> {
        self.array(at).map(u32::from_le_bytes)
    }

    fn le64(&self, at: usize) -> Option<u64> {
        self.array(at).map(u64::from_le_bytes)
    }

    fn be32(&self, at: usize) -> Option<u32> {
        self.array(at).map(u32::from_be_bytes)
    }

    fn be64(&self, at: usize) -> Option<u64> {
        self.array(at).map(u64::from_be_bytes)
    }

    /// Sectors at `at` as bytes, unless their count is beyond all files.
    fn sectors(&self, at: usize) -> Option<u64> {
        self.le64(at)?.checked_mul(SECTOR)
    }
}

/// Stored bytes up to the first NUL as a name that can be printed.
fn name(stored: &[u8]) -> String {
    let stored = stored.split(|byte| *byte == 0).next().unwrap_or_default();
    printable(&String::from_utf8_lossy(stored)).chars().take(NAME).collect()
}

fn vhdx(file: &File<'_>) -> Result<Option<Seen>, ReadError> {
    Ok(file.has(0, b"vhdxfile").then(Seen::default))
}

fn qcow(file: &File<'_>) -> Result<Option<Seen>, ReadError> {
    Ok(if file.has(0, b"QFI\xfb\0\0\0\x01") { Seen::disk("qcow version 1", file.be64(24)) } else { None })
}

fn qcow2(file: &File<'_>) -> Result<Option<Seen>, ReadError> {
    let version = file.be32(4).unwrap_or_default();
    if !file.has(0, b"QFI\xfb") || version < 2 {
        return Ok(None);
    }
    let mut detail = format!("qcow2 version {version}");
    // QEMU allows 1023 bytes of name.
    if let (Some(at @ 1..), Some(len @ 1..=1023)) = (file.be64(8), file.be32(16).map(u64::from))
        && at.checked_add(len).is_some_and(|end| end <= file.bytes.size())
    {
        let stored = read_vec(file.bytes, at, int_usize(len))?;
        detail.push_str(&format!(", needs its backing file {}", name(&stored)));
    }
    if file.be32(32).is_some_and(|method| method != 0) {
        detail.push_str(", encrypted");
    }
    Ok(Seen::disk(detail, file.be64(24)))
}

fn qed(file: &File<'_>) -> Result<Option<Seen>, ReadError> {
    Ok(if file.has(0, b"QED\0") { Seen::disk("QEMU enhanced disk", file.le64(48)) } else { None })
}

fn vdi(file: &File<'_>) -> Result<Option<Seen>, ReadError> {
    if !file.has(64, &0xbeda_107f_u32.to_le_bytes()) {
        return Ok(None);
    }
    let kind = match file.le32(76) {
        Some(1) => "VirtualBox disk image, dynamic",
        Some(2) => "VirtualBox disk image, fixed",
        Some(4) => "VirtualBox disk image, needs its parent",
        _ => "VirtualBox disk image",
    };
    // Only the header of versions 1.x has the size at this place.
    let size = file.le32(68).filter(|version| version >> 16 == 1).and_then(|_| file.le64(368));
    Ok(Seen::disk(kind, size))
}

fn parallels(file: &File<'_>) -> Result<Option<Seen>, ReadError> {
    Ok(if file.has(0, b"WithouFreSpacExt") {
        Seen::disk("Parallels expanding disk", file.sectors(36))
    } else if file.has(0, b"WithoutFreeSpace") {
        // The older kind counts sectors in 32 bits.
        Seen::disk("Parallels expanding disk", file.le32(36).map(|sectors| u64::from(sectors).saturating_mul(SECTOR)))
    } else {
        None
    })
}

fn vmdk(file: &File<'_>) -> Result<Option<Seen>, ReadError> {
    const COMPRESSED: u32 = 1 << 16;
    const DESCRIPTOR: &[u8] = b"# Disk DescriptorFile";
    if file.has(0, b"KDMV") {
        // Without a descriptor of its own, this is one extent of several, and its capacity is not the disk's. Some writers
        // leave room for one in every extent, so the text counts, not the field.
        let embedded = file.sectors(28).is_some_and(|at| file.has(int_usize(at), DESCRIPTOR));
        let compressed = file.le32(8).is_some_and(|flags| flags & COMPRESSED != 0);
        return Ok(match (embedded, compressed) {
            (true, false) => Seen::disk("VMware 4 sparse extent", file.sectors(12)),
            (true, true) => Seen::disk("VMware 4 sparse extent, stream-optimized", file.sectors(12)),
            (false, _) => one_extent("VMware 4 sparse extent without a descriptor"),
        });
    }
    if file.has(0, b"COWD") {
        return Ok(one_extent("VMware 3 sparse extent"));
    }
    if file.le64(0) == Some(0xcafe_babe) && file.le64(8) == Some(0x2_0000_0001) {
        return Ok(one_extent("VMware space-efficient sparse extent"));
    }
    let start = file.head.trim_ascii_start();
    if !start.get(..DESCRIPTOR.len()).is_some_and(|start| start.eq_ignore_ascii_case(DESCRIPTOR)) {
        return Ok(None);
    }
    let text = String::from_utf8_lossy(start);
    let mut detail = "VMware descriptor; the disk's bytes are in other files".to_owned();
    let mut sectors = 0_u64;
    for line in text.lines() {
        let mut words = line.split_whitespace();
        match (words.next(), words.next().map(str::parse::<u64>)) {
            (Some("RW" | "RDONLY" | "NOACCESS"), Some(Ok(count))) => sectors = sectors.saturating_add(count),
            (Some(key), _) if key.strip_prefix("parentCID=").is_some_and(|id| !id.eq_ignore_ascii_case("ffffffff")) => {
                detail.push_str("; needs its parent");
            }
            _ => {}
        }
    }
    let size = sectors.checked_mul(SECTOR).filter(|size| *size != 0);
    Ok(Some(Seen { detail: Some(detail), virtual_size: size, advice: Some(WITH_EXTENTS) }))
}

const WITH_EXTENTS: &str = "Put the descriptor and all its extents into one folder and convert: qemu-img convert -f vmdk -O raw in.vmdk disk.raw, then vhdkit prepare disk.raw.";

fn one_extent(kind: &str) -> Option<Seen> {
    Some(Seen { detail: Some(format!("{kind}, one part of a disk")), virtual_size: None, advice: Some(WITH_EXTENTS) })
}

fn dmg(file: &File<'_>) -> Result<Option<Seen>, ReadError> {
    let Some(at) = file.bytes.size().checked_sub(SECTOR) else { return Ok(None) };
    let trailer = File { bytes: file.bytes, head: read_array::<512>(file.bytes, at)?.to_vec() };
    // Signature, version 4, and the trailer's own size.
    let found = trailer.has(0, b"koly\0\0\0\x04\0\0\x02\0");
    Ok(if found { Seen::disk("Apple disk image", trailer.be64(492).and_then(|sectors| sectors.checked_mul(SECTOR))) } else { None })
}

fn iso9660(file: &File<'_>) -> Result<Option<Seen>, ReadError> {
    const DESCRIPTOR: usize = 32 * 1024;
    if !file.has(DESCRIPTOR, b"\x01CD001\x01") {
        return Ok(None);
    }
    let label = name(file.head.get(32_808..32_840).unwrap_or_default());
    let label = label.trim();
    if file.has(510, &[0x55, 0xaa]) {
        // A disk that an ISO was once written to keeps this descriptor below its first partition. Only where the volume
        // reaches the file's end, but for padding, is the file that ISO.
        let blocks = u64::from(file.le32(32_848).unwrap_or_default());
        let volume = blocks.saturating_mul(u64::from(file.le16(32_896).unwrap_or_default()));
        if volume.abs_diff(file.bytes.size()) > 1024 * KIB {
            return Ok(None);
        }
        return Ok(Seen::new(format!("ISO 9660 volume '{label}', also bootable from a USB stick")));
    }
    Ok(Seen::new(format!("ISO 9660 volume '{label}'")))
}

fn gzip(file: &File<'_>) -> Result<Option<Seen>, ReadError> {
    const EXTRA: u8 = 1 << 2;
    const NAME: u8 = 1 << 3;
    // Magic, deflate, and no reserved flag.
    let Some([0x1f, 0x8b, 8, flags @ ..=0x1f]) = file.array(0) else { return Ok(None) };
    let extra = if flags & EXTRA != 0 { usize::from(file.le16(10).unwrap_or_default()).saturating_add(2) } else { 0 };
    let stored = file.head.get(extra.saturating_add(10)..).filter(|_| flags & NAME != 0).map(name);
    Ok(match stored.filter(|stored| !stored.is_empty()) {
        Some(stored) => Seen::new(format!("gzip of {stored}")),
        None => Seen::new("gzip, perhaps of a tar"),
    })
}

fn bzip2(file: &File<'_>) -> Result<Option<Seen>, ReadError> {
    // After the magic and the level comes pi for a block, or its square root where there is none.
    let level = matches!(file.array(0), Some([b'B', b'Z', b'h', b'1'..=b'9']));
    let block = file.has(4, b"\x31\x41\x59\x26\x53\x59") || file.has(4, b"\x17\x72\x45\x38\x50\x90");
    Ok((level && block).then(Seen::default))
}

fn lz4(file: &File<'_>) -> Result<Option<Seen>, ReadError> {
    Ok((file.has(0, b"\x04\x22\x4d\x18") || file.has(0, b"\x02\x21\x4c\x18")).then(Seen::default))
}

fn zstd(file: &File<'_>) -> Result<Option<Seen>, ReadError> {
    Ok(match file.array(0) {
        Some([0x28, 0xb5, 0x2f, 0xfd]) => Some(Seen::default()),
        // A skippable frame; lz4 knows them too, but only zstd's tools begin a file with one.
        Some([0x50..=0x5f, 0x2a, 0x4d, 0x18]) => Seen::new("zstd, behind a skippable frame"),
        _ => None,
    })
}

/// The old format without a magic: the usual properties, a dictionary size that encoders choose, an unpacked size that is
/// unknown or sane, and the zero that the coder's first byte always is.
fn lzma(file: &File<'_>) -> Result<Option<Seen>, ReadError> {
    const SANE: u64 = 1 << 48;
    let (Some(dictionary), Some(unpacked)) = (file.le32(1), file.le64(5)) else { return Ok(None) };
    let chosen = (16..=30).contains(&dictionary.trailing_zeros()) && dictionary.is_power_of_two();
    let sane = unpacked == u64::MAX || (1..SANE).contains(&unpacked);
    Ok((file.has(0, &[0x5d]) && chosen && sane && file.has(13, &[0])).then(Seen::default))
}

fn zip(file: &File<'_>) -> Result<Option<Seen>, ReadError> {
    Ok(if file.has(0, b"PK\x03\x04") {
        let stored = file.head.get(30..).unwrap_or_default();
        let first = name(stored.get(..usize::from(file.le16(26).unwrap_or_default())).unwrap_or(stored));
        Seen::new(format!("zip archive; first member {first}"))
    } else if file.has(0, b"PK\x05\x06") {
        Seen::new("zip archive without members")
    } else {
        None
    })
}

fn pe(file: &File<'_>) -> Result<Option<Seen>, ReadError> {
    let header = file.le32(60).and_then(|at| usize::try_from(at).ok());
    let found = file.has(0, b"MZ") && header.is_some_and(|at| file.has(at, b"PE\0\0"));
    Ok(if found { Seen::new("a program for Windows or UEFI") } else { None })
}

fn ova(file: &File<'_>) -> Result<Option<Seen>, ReadError> {
    Ok(ustar::first_member(file.bytes)?
        .filter(|member| is_ovf(member))
        .and_then(|member| Seen::new(format!("OVF package; first member {}", name(member.as_bytes())))))
}

fn tar(file: &File<'_>) -> Result<Option<Seen>, ReadError> {
    Ok(ustar::first_member(file.bytes)?
        .filter(|member| !is_ovf(member))
        .and_then(|member| Seen::new(format!("tar archive; first member {}", name(member.as_bytes())))))
}

fn is_ovf(member: &str) -> bool {
    member.to_ascii_lowercase().ends_with(".ovf")
}

/// A file that is in no registry: nothing, text, or raw.
fn plain(file: &File<'_>) -> Sniffed {
    let size = file.bytes.size();
    if size == 0 {
        let advice = "Fetch or export the disk again: the file has no bytes, as after a failed or unfinished download.";
        return Sniffed { format: "empty", detail: None, virtual_size: None, advice };
    }
    let sample = file.head.get(..TEXT).unwrap_or(&file.head);
    if let Some(text) = text::decode(sample, size > int_u64(sample.len())) {
        let (detail, advice) = text::tell(&text);
        return Sniffed { format: "text", detail: Some(detail), virtual_size: None, advice };
    }
    let past = size.checked_rem(SECTOR).unwrap_or_default();
    let detail = match (size, past) {
        (..SECTOR, _) => Some("shorter than one sector".to_owned()),
        (_, 0) => None,
        (_, past) => Some(format!("{past} bytes follow the last whole sector")),
    };
    let advice = "Let vhdkit take it as a raw disk: vhdkit prepare disk.raw.";
    Sniffed { format: "raw", detail, virtual_size: None, advice }
}
