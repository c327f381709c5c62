//! Disks made from the specifications, and the binary that is asked about them.
//!
//! Nothing here uses the library: what the tests hold against the program must not come from it. Sources: "Virtual Hard Disk Image
//! Format Specification" 1.0 (2006); UEFI Specification 2.10, section 5 (GPT).

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

pub const MIB: u64 = 1 << 20;
pub const GIB: u64 = 1 << 30;

/// No run of the program takes as long, however slow the machine is: past it, it hangs.
const HANG: Duration = Duration::from_secs(180);

/// EFI system partition.
pub const ESP: &str = "c12a7328-f81f-11d2-ba4b-00a0c93ec93b";
/// Linux file system data.
pub const LINUX_DATA: &str = "0fc63daf-8483-4772-8e79-3d69d8477de4";
/// Root file system of Linux on x86-64.
pub const LINUX_ROOT: &str = "4f68bce3-e8cd-4db1-96e7-fbcaf984b709";

/// What a disk holds: zeros, and pieces over them.
#[derive(Debug, Clone)]
pub struct Disk {
    pub size: u64,
    pub pieces: Vec<(u64, Vec<u8>)>,
}

impl Disk {
    pub fn blank(size: u64) -> Self {
        Self { size, pieces: Vec::new() }
    }

    pub fn put(mut self, offset: u64, bytes: impl Into<Vec<u8>>) -> Self {
        self.pieces.push((offset, bytes.into()));
        self
    }

    /// A GPT with these partitions: type, first sector, sectors.
    pub fn gpt(self, partitions: &[(&str, u64, u64)]) -> Self {
        let last = self.size / 512 - 1;
        let mut entries = vec![0; 128 * 128];
        for (number, (kind, first, sectors)) in partitions.iter().enumerate() {
            let entry = &mut entries[number * 128..][..128];
            entry[..16].copy_from_slice(&guid(kind));
            entry[16..32].fill(0x40 + number as u8);
            entry[32..40].copy_from_slice(&first.to_le_bytes());
            entry[40..48].copy_from_slice(&(first + sectors - 1).to_le_bytes());
            entry[56] = b'p';
            entry[58] = b'1' + number as u8;
        }
        let header = |my: u64, alternate: u64, array: u64| {
            let mut header = vec![0; 512];
            header[..8].copy_from_slice(b"EFI PART");
            header[8..12].copy_from_slice(&0x1_0000_u32.to_le_bytes());
            header[12..16].copy_from_slice(&92_u32.to_le_bytes());
            header[24..32].copy_from_slice(&my.to_le_bytes());
            header[32..40].copy_from_slice(&alternate.to_le_bytes());
            header[40..48].copy_from_slice(&34_u64.to_le_bytes());
            header[48..56].copy_from_slice(&(last - 33).to_le_bytes());
            header[56..72].fill(0x77);
            header[72..80].copy_from_slice(&array.to_le_bytes());
            header[80..84].copy_from_slice(&128_u32.to_le_bytes());
            header[84..88].copy_from_slice(&128_u32.to_le_bytes());
            header[88..92].copy_from_slice(&crc32(&entries).to_le_bytes());
            let sum = crc32(&header[..92]);
            header[16..20].copy_from_slice(&sum.to_le_bytes());
            header
        };
        let mut mbr = vec![0; 512];
        mbr[446..462].copy_from_slice(&[0, 0, 2, 0, 0xee, 0xff, 0xff, 0xff, 1, 0, 0, 0, 0, 0, 0, 0]);
        mbr[458..462].copy_from_slice(&u32::try_from(last).unwrap_or(u32::MAX).to_le_bytes());
        mbr[510..].copy_from_slice(&[0x55, 0xaa]);
        let (primary, backup) = (header(1, last, 2), header(last, 1, last - 32));
        self.put(0, mbr).put(512, primary).put(1024, entries.clone()).put((last - 32) * 512, entries).put(last * 512, backup)
    }

    /// A data disk: a GPT, one partition for Linux, and something in it.
    pub fn data(size: u64) -> Self {
        let disk = Self::blank(size).gpt(&[(LINUX_DATA, 2048, size / 512 - 4096)]);
        disk.put(2 * MIB, pattern(1, 300_000)).put(size / 2, pattern(2, 70_000)).put(size - 2 * MIB, pattern(3, 4096))
    }

    /// An OS disk for generation 2: an EFI system partition in FAT with a fallback loader, and a root partition with nothing on it that is
    /// read.
    pub fn os(size: u64) -> Self {
        let disk = Self::blank(size).gpt(&[(ESP, 2048, 32_768), (LINUX_ROOT, 34_816, size / 512 - 36_864)]);
        let mut boot = vec![0; 512];
        boot[..11].copy_from_slice(b"\xeb\x3c\x90mkfs.fat");
        boot[11..13].copy_from_slice(&512_u16.to_le_bytes());
        // Sectors a cluster, reserved sectors, FATs.
        boot[13..17].copy_from_slice(&[4, 4, 0, 2]);
        boot[17..19].copy_from_slice(&512_u16.to_le_bytes());
        boot[19..21].copy_from_slice(&32_768_u16.to_le_bytes());
        boot[21] = 0xf8;
        boot[22..24].copy_from_slice(&32_u16.to_le_bytes());
        boot[24..28].copy_from_slice(&[63, 0, 255, 0]);
        boot[36..39].copy_from_slice(&[0x80, 0, 0x29]);
        boot[39..43].copy_from_slice(&[0xde, 0xad, 0xbe, 0xef]);
        boot[43..62].copy_from_slice(b"ESP        FAT16   ");
        boot[510..].copy_from_slice(&[0x55, 0xaa]);
        // Media, end mark, and three clusters of a chain of one each; two copies.
        let table = vec![0xf8, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff];
        let at = |sector: u64| MIB + sector * 512;
        let loader = loader();
        let file = directory_entry(b"BOOTX64 EFI", 0x20, 4, u32::try_from(loader.len()).unwrap());
        let below = |own: u16, parent: u16, entry: Vec<u8>| {
            [directory_entry(b".          ", 0x10, own, 0), directory_entry(b"..         ", 0x10, parent, 0), entry].concat()
        };
        disk.put(MIB, boot)
            .put(at(4), table.clone())
            .put(at(36), table)
            .put(at(68), directory_entry(b"EFI        ", 0x10, 2, 0))
            .put(at(100), below(2, 0, directory_entry(b"BOOT       ", 0x10, 3, 0)))
            .put(at(104), below(3, 2, file))
            .put(at(108), loader)
            .put(18 * MIB, pattern(4, 200_000))
    }

    /// All its bytes.
    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes = vec![0; usize::try_from(self.size).unwrap()];
        for (offset, piece) in &self.pieces {
            bytes[*offset as usize..][..piece.len()].copy_from_slice(piece);
        }
        bytes
    }

    pub fn write_raw(&self, path: &Path) {
        let file = File::create(path).unwrap();
        file.set_len(self.size).unwrap();
        for (offset, piece) in &self.pieces {
            file.write_all_at(piece, *offset).unwrap();
        }
    }

    pub fn write_fixed(&self, path: &Path) {
        self.write_fixed_with(path, |_| {});
    }

    /// A fixed VHD whose footer is changed before its checksum is made.
    pub fn write_fixed_with(&self, path: &Path, change: impl FnOnce(&mut [u8])) {
        self.write_raw(path);
        let mut footer = footer(self.size, 2, u64::MAX);
        change(&mut footer);
        seal(&mut footer, 64);
        File::options().write(true).open(path).unwrap().write_all_at(&footer, self.size).unwrap();
    }

    pub fn write_dynamic(&self, path: &Path) {
        self.write_blocks(path, 3, None);
    }

    /// A differencing VHD: what the disk holds, over a parent of that unique id, file name beside it.
    pub fn write_differencing(&self, path: &Path, parent: &str) {
        self.write_blocks(path, 4, Some(parent));
    }

    fn write_blocks(&self, path: &Path, kind: u32, parent: Option<&str>) {
        const BLOCK: u64 = 2 * MIB;
        let blocks = self.size.div_ceil(BLOCK);
        let mut footer = footer(self.size, kind, 512);
        if kind == 4 {
            footer[68..84].fill(0xc4);
        }
        seal(&mut footer, 64);
        let mut header = vec![0; 1024];
        header[..8].copy_from_slice(b"cxsparse");
        header[8..16].fill(0xff);
        header[16..24].copy_from_slice(&1536_u64.to_be_bytes());
        header[24..28].copy_from_slice(&0x1_0000_u32.to_be_bytes());
        header[28..32].copy_from_slice(&u32::try_from(blocks).unwrap().to_be_bytes());
        header[32..36].copy_from_slice(&u32::try_from(BLOCK).unwrap().to_be_bytes());
        let table = (blocks * 4).div_ceil(512) * 512;
        let mut end = 1536 + table;
        let mut locator = Vec::new();
        if let Some(parent) = parent {
            header[40..56].copy_from_slice(&ID);
            for (at, unit) in parent.encode_utf16().enumerate() {
                header[64 + at * 2..][..2].copy_from_slice(&unit.to_be_bytes());
            }
            locator = format!(".\\{parent}").encode_utf16().flat_map(u16::to_le_bytes).collect();
            header[576..580].copy_from_slice(b"W2ru");
            header[580..584].copy_from_slice(&512_u32.to_be_bytes());
            header[584..588].copy_from_slice(&u32::try_from(locator.len()).unwrap().to_be_bytes());
            header[592..600].copy_from_slice(&end.to_be_bytes());
            end += 512;
        }
        seal(&mut header, 36);

        let touched: BTreeSet<u64> =
            self.pieces.iter().flat_map(|(offset, piece)| offset / BLOCK..=(offset + piece.len() as u64 - 1) / BLOCK).collect();
        let mut entries = vec![0xff; usize::try_from(table).unwrap()];
        let file = File::create(path).unwrap();
        for (place, block) in touched.iter().enumerate() {
            let at = end + place as u64 * (512 + BLOCK);
            entries[*block as usize * 4..][..4].copy_from_slice(&u32::try_from(at / 512).unwrap().to_be_bytes());
            file.set_len(at + 512 + BLOCK).unwrap();
            let mut bitmap = [0_u8; 512];
            for (offset, piece) in &self.pieces {
                let from = (*offset).max(block * BLOCK);
                let to = (offset + piece.len() as u64).min((block + 1) * BLOCK);
                if from >= to {
                    continue;
                }
                file.write_all_at(&piece[(from - offset) as usize..(to - offset) as usize], at + 512 + from - block * BLOCK).unwrap();
                for sector in from / 512..to.div_ceil(512) {
                    let bit = (sector - block * BLOCK / 512) as usize;
                    bitmap[bit / 8] |= 0x80 >> (bit % 8);
                }
            }
            file.write_all_at(&bitmap, at).unwrap();
        }
        end += touched.len() as u64 * (512 + BLOCK);
        file.write_all_at(&footer, 0).unwrap();
        file.write_all_at(&header, 512).unwrap();
        file.write_all_at(&entries, 1536).unwrap();
        file.write_all_at(&locator, 1536 + table).unwrap();
        file.write_all_at(&footer, end).unwrap();
    }
}

/// The unique id of every disk made here but differencing ones.
pub const ID: [u8; 16] = *b"\x1f\x2e\x3d\x4c\x5b\x6a\x79\x88\x97\xa6\xb5\xc4\xd3\xe2\xf1\x00";

/// A footer of Hyper-V's making, its checksum still to be made.
pub fn footer(size: u64, kind: u32, data_offset: u64) -> Vec<u8> {
    let mut footer = vec![0; 512];
    footer[..8].copy_from_slice(b"conectix");
    footer[8..12].copy_from_slice(&2_u32.to_be_bytes());
    footer[12..16].copy_from_slice(&0x1_0000_u32.to_be_bytes());
    footer[16..24].copy_from_slice(&data_offset.to_be_bytes());
    footer[24..28].copy_from_slice(&0x2a00_0000_u32.to_be_bytes());
    footer[28..32].copy_from_slice(b"win ");
    footer[32..36].copy_from_slice(&0x000a_0000_u32.to_be_bytes());
    footer[36..40].copy_from_slice(b"Wi2k");
    footer[40..48].copy_from_slice(&size.to_be_bytes());
    footer[48..56].copy_from_slice(&size.to_be_bytes());
    let (cylinders, heads, sectors) = geometry(size / 512);
    footer[56..58].copy_from_slice(&cylinders.to_be_bytes());
    footer[58..60].copy_from_slice(&[heads, sectors]);
    footer[60..64].copy_from_slice(&kind.to_be_bytes());
    footer[68..84].copy_from_slice(&ID);
    footer
}

/// The specification's appendix, in its own order.
fn geometry(total: u64) -> (u16, u8, u8) {
    let total = total.min(65_535 * 16 * 255);
    let (sectors, heads, tracks);
    if total >= 65_535 * 16 * 63 {
        (sectors, heads, tracks) = (255, 16, total / 255);
    } else {
        let (mut s, mut t) = (17, total / 17);
        let mut h = t.div_ceil(1024).max(4);
        if t >= h * 1024 || h > 16 {
            (s, h, t) = (31, 16, total / 31);
        }
        if t >= h * 1024 {
            (s, h, t) = (63, 16, total / 63);
        }
        (sectors, heads, tracks) = (s, h, t);
    }
    (u16::try_from(tracks / heads).unwrap(), heads as u8, sectors)
}

/// Makes the checksum of a footer or dynamic header: the complement of the sum of all its other bytes.
pub fn seal(structure: &mut [u8], at: usize) {
    structure[at..at + 4].fill(0);
    let sum = structure.iter().fold(0_u32, |sum, byte| sum.wrapping_add(u32::from(*byte)));
    structure[at..at + 4].copy_from_slice(&(!sum).to_be_bytes());
}

/// CRC-32 of ISO 3309, bit by bit.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 })
    })
}

/// A GUID as GPT stores it: the first three groups little-endian.
fn guid(text: &str) -> [u8; 16] {
    let digits: String = text.chars().filter(|c| *c != '-').collect();
    let mut bytes: Vec<u8> = (0..16).map(|n| u8::from_str_radix(&digits[n * 2..n * 2 + 2], 16).unwrap()).collect();
    bytes[..4].reverse();
    bytes[4..6].reverse();
    bytes[6..8].reverse();
    bytes.try_into().unwrap()
}

/// Bytes that do not repeat.
pub fn pattern(seed: u64, len: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64 ^ seed << 32;
    let mut bytes = Vec::with_capacity(len + 8);
    while bytes.len() < len {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend(state.to_le_bytes());
    }
    bytes.truncate(len);
    bytes
}

/// How a run ended, and what it said.
#[derive(Debug)]
pub struct Ran {
    pub status: Option<i32>,
    pub out: String,
    pub err: String,
}

impl Ran {
    /// Demands a status, and shows everything where it is another.
    #[track_caller]
    pub fn ended(self, status: i32) -> Self {
        assert_eq!(self.status, Some(status), "standard output:\n{}\nstandard error:\n{}", self.out, self.err);
        self
    }

    /// Demands words on standard error.
    #[track_caller]
    pub fn complained(self, words: &str) -> Self {
        assert!(self.err.contains(words), "no '{words}' in:\n{}\n{}", self.err, self.out);
        self
    }

    /// Demands words on standard output.
    #[track_caller]
    pub fn said(self, words: &str) -> Self {
        assert!(self.out.contains(words), "no '{words}' in:\n{}\n{}", self.out, self.err);
        self
    }

    /// Standard output as a document.
    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}:\n{}\n{}", self.out, self.err))
    }
}

/// The binary, in an environment that the machine has no part in.
pub fn command() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_vhdkit"));
    command.env_remove("NO_COLOR").env("TERM", "xterm-256color").env("LC_ALL", "C").stdin(Stdio::null());
    command
}

/// Runs the binary to its end.
pub fn vhdkit<A: AsRef<OsStr>>(args: impl IntoIterator<Item = A>) -> Ran {
    let mut command = command();
    command.args(args);
    run(command)
}

/// Runs a command to its end, or calls it hung.
pub fn run(mut command: Command) -> Ran {
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    finish(child)
}

/// What a child says until its end.
pub fn finish(mut child: Child) -> Ran {
    let (out, err) = (child.stdout.take(), child.stderr.take());
    std::thread::scope(|scope| {
        let out = scope.spawn(|| drain(out));
        let err = scope.spawn(|| drain(err));
        let status = wait(&mut child);
        Ran { status: status.code(), out: out.join().unwrap(), err: err.join().unwrap() }
    })
}

fn drain(stream: Option<impl Read>) -> String {
    let mut bytes = Vec::new();
    if let Some(mut stream) = stream {
        stream.read_to_end(&mut bytes).unwrap();
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Waits for a child, and ends one that hangs.
pub fn wait(child: &mut Child) -> ExitStatus {
    let started = Instant::now();
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status;
        }
        if started.elapsed() > HANG {
            child.kill().unwrap();
            panic!("still running after {HANG:?}");
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// The names in a directory, sorted; empty where there is none.
pub fn listing(dir: &Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(dir) else { return Vec::new() };
    let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

/// Reads a whole small file.
pub fn read(path: &Path) -> Vec<u8> {
    std::fs::read(path).unwrap()
}

/// Whether this process may do what a file's mode forbids.
pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// An entry of a FAT directory: name, attributes, first cluster, size.
pub fn directory_entry(name: &[u8; 11], attributes: u8, cluster: u16, size: u32) -> Vec<u8> {
    let mut entry = name.to_vec();
    entry.push(attributes);
    entry.resize(26, 0);
    entry.extend(cluster.to_le_bytes());
    entry.extend(size.to_le_bytes());
    entry
}

/// The headers of a program for UEFI on x64: PE32+ without sections.
fn loader() -> Vec<u8> {
    let mut program = vec![0; 0x40 + 24 + 240];
    program[..2].copy_from_slice(b"MZ");
    program[0x3c] = 0x40;
    program[0x40..0x46].copy_from_slice(b"PE\0\0\x64\x86");
    program[0x54] = 240;
    program[0x58..0x5a].copy_from_slice(&[0x0b, 0x02]);
    program[0x58 + 68] = 10;
    program
}
