//! Damaged, strange and lying disks, each made from a good one by one change: what is said of it, and what `prepare` makes of it.
//!
//! Other programs open many of these, say nothing, and give wrong bytes or a wrong size. Here no row may end so: either the bytes are
//! those of the good disk, or a finding stands in the way.
#![allow(
    dead_code,
    unreachable_pub,
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::string_slice,
    clippy::print_stderr,
    clippy::allow_attributes,
    reason = "a test may panic, and says what it skips"
)]

mod samples;

use samples::vhd::{
    BLOCK, HEADER, ID, MIB, PARENT_ID, SIZE, Sparse, TABLE, content, fixed, footer, pattern, put, save, seal_footer, seal_header,
};
use samples::{each_piece, flaw_of_fixed, list, name, open, text, vhdkit, vhdkit_within};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// One row a case: the good image, the change, why it matters | format, kind, size | the disk read through the library | findings of
/// `check --role data` | its status | what `prepare --role data` makes.
///
/// The disk: `good` is the good disk's bytes, as far as the size goes; `file` the file's own; `error` opens but cannot be read through;
/// `closed` does not open; `mixed` opens and shows bytes that no rule lets pass, `any` may. `prepare`: the same words for the bytes that it writes,
/// zeros behind them; `refused` writes nothing; a code before the word must be allowed first.
const TABLE_OF_DAMAGE: &str = "
fixed    nothing                      the yardstick for all below                              | vhd fixed 24M        | good   |                       | 0 | good
fixed    checksum-wrong               libvhdi, 7-Zip and dissect say nothing                   | vhd fixed 24M        | good   | VHD017                | 1 | good
fixed    short-footer-of-virtual-pc   qemu cuts the disk to its geometry                       | vhd fixed 24M        | good   | VHD001 VHD005 VHD014 VHD101 | 1 | good
fixed    4-kib-behind                 copied to a larger volume; dissect sees 0 bytes          | vhd fixed 24M        | good   | VHD001                | 1 | good
fixed    77-bytes-behind              a log line at the end of a download                      | vhd fixed 24M        | good   | VHD001 VHD005         | 1 | good
fixed    3-mib-behind                 a block device larger than the disk                      | vhd fixed 24M        | good   | VHD001                | 1 | good
fixed    8-mib-behind                 past the window: a raw disk that holds a footer          | raw - 33554944       | file   | VHD001 VHD003 VHD023  | 1 | file
fixed    footer-repeated              an upload that was continued twice                       | vhd fixed 24M        | good   | VHD004                | 1 | refused
fixed    size-odd                     the usual reason of all                                  | vhd fixed 25165312   | good   | VHD003                | 1 | good
fixed    geometry-of-virtual-pc       qemu cuts 28,672 bytes off                               | vhd fixed 24M        | good   | VHD014                | 0 | good
fixed    size-above-payload           qemu makes up 2 MiB of zeros                             | vhd fixed 26M        | error  | VHD004                | 1 | refused
fixed    size-below-payload           qemu and dissect cut the tail off                        | vhd fixed 22M        | good   | VHD004                | 1 | refused
fixed    payload-cut                  a copy that stopped, its footer put back                 | vhd fixed 24M        | error  | VHD004                | 1 | refused
fixed    footer-alone                 the footer was kept and the disk lost                    | vhd fixed 24M        | error  | VHD004                | 1 | refused
fixed    data-offset-of-32-bits       written by the letter of the specification               | vhd fixed 24M        | good   | VHD101                | 0 | good
fixed    payload-begins-with-footer   a dynamic disk given the footer of a fixed one            | vhd fixed 24M        | file   | VHD108                | 1 | refused
fixed    payload-begins-conectix      a VHD inside a VHD; qemu refuses                         | vhd fixed 24M        | file   | VHD023                | 0 | file
fixed    type-7                       dissect says nothing                                     | vhd - 24M            | closed | VHD002 VHD107         | 1 | refused
fixed    saved-state                  a machine's memory is missing from the disk              | vhd fixed 24M        | good   | VHD019                | 0 | good
fixed    no-unique-id                 vhd-util refuses                                         | vhd fixed 24M        | good   | VHD101                | 0 | good
fixed    time-in-the-future           vhd-util refuses; clocks are wrong at times              | vhd fixed 24M        | good   |                       | 0 | good
fixed    original-size-is-a-lie       libvhdi takes it for the size                            | vhd fixed 24M        | good   |                       | 0 | good
fixed    features-clear               written so before 2004                                   | vhd fixed 24M        | good   | VHD101                | 0 | good
fixed    temporary                    programs may delete the disk                             | vhd fixed 24M        | good   | VHD101                | 0 | good
fixed    version-2                    no such version                                          | vhd fixed 24M        | good   | VHD101                | 0 | good
fixed    reserved-in-use              a tool of unknown habits                                 | vhd fixed 24M        | good   | VHD101                | 0 | good
fixed    hidden                       early XenServer did not redo the sum                     | vhd fixed 24M        | good   | VHD101                | 0 | good
fixed    poisoned                     XenServer retired the disk                               | vhd fixed 24M        | good   | VHD001                | 1 | refused
fixed    cookie-in-capitals           the cookie is case-sensitive: no VHD                     | raw - 25166336       | file   | VHD001 VHD003         | 1 | file
fixed    is-qcow2                     another format under the name .vhd                       | qcow2 - -            | closed | VHD001                | 1 | refused
fixed    is-gzip                      still packed                                             | gzip - -             | closed | VHD001                | 1 | refused
fixed    is-vhdx                      named by its first bytes, and nothing behind them        | vhdx - -             | closed | VHD013 VHD107         | 1 | refused
dynamic  nothing                      blocks out of order, one of zeros                        | vhd dynamic 24M      | good   | VHD002                | 1 | good
dynamic  footer-cut                   the disk was growing when the host stopped               | vhd dynamic 24M      | good   | VHD001 VHD002         | 1 | good
dynamic  footer-zeroed                libvhdi refuses, dissect sees 0 bytes                    | vhd dynamic 24M      | good   | VHD001 VHD002         | 1 | good
dynamic  footer-half                  256 of its bytes were written                            | vhd dynamic 24M      | good   | VHD001 VHD002         | 1 | good
dynamic  copy-zeroed                  qemu takes the file for a raw disk                       | vhd dynamic 24M      | good   | VHD002 VHD102         | 1 | good
dynamic  ids-differ                   readers of either footer disagree                        | vhd dynamic 24M      | good   | VHD002 VHD102         | 1 | good
dynamic  sizes-differ                 a resize that was interrupted                            | vhd dynamic 24M      | good   | VHD002 VHD102         | 1 | good
dynamic  checksum-wrong               the copy is sound and says the same                      | vhd dynamic 24M      | good   | VHD002 VHD017         | 1 | good
dynamic  checksum-and-size-wrong      the copy is right, the footer a lie                      | vhd dynamic 24M      | good   | VHD002 VHD017 VHD102  | 1 | good
dynamic  both-checksums-wrong         neither is sound, both say the same                      | vhd dynamic 24M      | good   | VHD002 VHD017 VHD102  | 1 | good
dynamic  junk-behind                  dissect crashes, vhd-util trims                          | vhd dynamic 24M      | good   | VHD001 VHD002         | 1 | good
dynamic  cut-by-3-mib                 vhd-util repair calls the rest valid                     | vhd dynamic 24M      | error  | VHD001 VHD002 VHD104  | 1 | refused
dynamic  cut-and-repaired             what that repair leaves: a footer, and no data           | vhd dynamic 24M      | error  | VHD002 VHD104         | 1 | refused
dynamic  header-checksum-wrong        read by all, noticed by few                              | vhd dynamic 24M      | good   | VHD002 VHD103         | 1 | VHD103 good
dynamic  header-cookie-wrong          no header, no table, no disk                             | vhd dynamic 24M      | closed | VHD002 VHD103 VHD107  | 1 | refused
dynamic  header-version-2             no such version                                          | vhd dynamic 24M      | good   | VHD002 VHD103         | 1 | VHD103 good
dynamic  header-offset-of-32-bits     old qemu; Microsoft's tools dislike it                   | vhd dynamic 24M      | good   | VHD002                | 1 | good
dynamic  header-reserved-in-use       nothing depends on it                                    | vhd dynamic 24M      | good   | VHD002                | 1 | good
dynamic  header-place-past-end        the footer points nowhere                                | vhd dynamic 24M      | closed | VHD002 VHD103 VHD107  | 1 | refused
dynamic  table-short                  blocks without an entry                                  | vhd dynamic 24M      | closed | VHD002 VHD103 VHD107  | 1 | refused
dynamic  table-surplus                XenServer and old qemu                                   | vhd dynamic 24M      | good   | VHD002                | 1 | good
dynamic  blocks-past-size             a size that is a lie, or a disk that was cut             | vhd dynamic 22M      | good   | VHD002 VHD104         | 1 | refused
dynamic  table-of-2^31-entries        azure-vhd-utils asks for 8 GiB of memory                 | vhd dynamic 24M      | good   | VHD002 VHD103         | 1 | VHD103 good
dynamic  table-of-2^32-1-entries      VirtualBox refuses, libvhdi opens                        | vhd dynamic 24M      | good   | VHD002 VHD103         | 1 | VHD103 good
dynamic  table-off-sectors            entries one byte off                                     | vhd dynamic 24M      | any    | VHD002 VHD103 VHD104  | 1 | refused
dynamic  table-past-end               no table, no disk                                        | vhd dynamic 24M      | closed | VHD002 VHD103 VHD107  | 1 | refused
dynamic  padding-of-zeros             XenServer; DiscUtils refuses                             | vhd dynamic 24M      | good   | VHD002                | 1 | good
dynamic  block-size-0                 azure-vhd-utils makes an empty disk                      | vhd dynamic 24M      | closed | VHD002 VHD103 VHD107  | 1 | refused
dynamic  block-size-3000              no power of two                                          | vhd dynamic 24M      | closed | VHD002 VHD103 VHD107  | 1 | refused
dynamic  block-size-2^31              one block larger than the file                           | vhd dynamic 24M      | any    | VHD002 VHD104 VHD104  | 1 | refused
dynamic  block-past-end               azure-vhd-utils fails in mid-upload                      | vhd dynamic 24M      | error  | VHD002 VHD104         | 1 | refused
dynamic  block-over-footer            its last sector would be the footer                      | vhd dynamic 24M      | error  | VHD002 VHD104         | 1 | refused
dynamic  block-twice                  every reader but vhd-util shows one block in two places  | vhd dynamic 24M      | mixed  | VHD002 VHD104         | 1 | refused
dynamic  blocks-overlap-by-half       the same, harder to see                                  | vhd dynamic 24M      | mixed  | VHD002 VHD104         | 1 | refused
dynamic  stride-without-bitmap        dosbox-x forgot the bitmap's sector                      | vhd dynamic 24M      | any    | VHD002 VHD104         | 1 | refused
dynamic  block-in-header              six readers show the header as data                      | vhd dynamic 24M      | mixed  | VHD002 VHD104         | 1 | refused
dynamic  block-0                      a table of zeros, not of ones                            | vhd dynamic 24M      | mixed  | VHD002 VHD104         | 1 | refused
dynamic  gap-before-blocks            VirtualBox after a resize                                | vhd dynamic 24M      | good   | VHD002                | 1 | good
dynamic  bitmaps-clear                libvhdi and 7-Zip give zeros, qemu the data              | vhd dynamic 24M      | good   | VHD002                | 1 | good
deep     bitmaps-clear                with --deep the doubt is told                            | vhd dynamic 24M      | good   | VHD002 VHD105         | 1 | good
deep     nothing                      and where there is none, nothing is                      | vhd dynamic 24M      | good   | VHD002                | 1 | good
dynamic  batmap                       XenServer's own, in no chain of offsets                  | vhd dynamic 24M      | good   | VHD002                | 1 | good
dynamic  encrypted                    the data is noise without the key                        | vhd dynamic 24M      | closed | VHD002 VHD106 VHD107  | 1 | refused
dynamic  last-block-cut               written up to the disk's end and no further              | vhd dynamic 24641536 | good   | VHD002 VHD003         | 1 | good
dynamic  size-not-of-blocks           the last block passes the disk's end                     | vhd dynamic 24641536 | good   | VHD002 VHD003         | 1 | good
dynamic  blocks-of-512-b              the least there can be                                   | vhd dynamic 24M      | good   | VHD002                | 1 | good
dynamic  blocks-of-4-kib              legal, met nowhere                                       | vhd dynamic 24M      | good   | VHD002                | 1 | good
dynamic  blocks-of-512-kib            tested by Microsoft                                      | vhd dynamic 24M      | good   | VHD002                | 1 | good
dynamic  blocks-of-4-mib              a bitmap of two sectors                                  | vhd dynamic 24M      | good   | VHD002                | 1 | good
dynamic  blocks-of-32-mib             one block larger than the disk                           | vhd dynamic 24M      | good   | VHD002                | 1 | good
dynamic  no-blocks                    nothing was ever written                                 | vhd dynamic 24M      | zeros  | VHD002                | 1 | zeros
";

/// A size of 24,641,536 bytes: blocks of 2 MiB do not fill it, and it is not whole MiB.
const ODD: usize = SIZE - 1024 * 512;

fn end(f: &[u8]) -> usize {
    f.len() - 512
}

/// Sets a field of the footer at the end, and of the copy where there is one, and seals both.
fn set(f: &mut [u8], at: usize, bytes: &[u8]) {
    for footer in if f.starts_with(b"conectix") { vec![0, end(f)] } else { vec![end(f)] } {
        put(f, footer + at, bytes);
        seal_footer(f, footer);
    }
}

/// Sets a field of the dynamic header and seals it.
fn set_header(f: &mut [u8], at: usize, bytes: &[u8]) {
    put(f, HEADER + at, bytes);
    seal_header(f);
}

/// Entry of a block in the table: where its bitmap starts, in sectors.
fn entry(f: &[u8], block: usize) -> u32 {
    u32::from_be_bytes(f[TABLE + block * 4..TABLE + block * 4 + 4].try_into().unwrap())
}

fn set_entry(f: &mut [u8], block: usize, sector: u32) {
    put(f, TABLE + block * 4, &sector.to_be_bytes());
}

/// Puts whole sectors behind the table; everything after it moves.
fn insert_behind_table(f: &mut Vec<u8>, bytes: &[u8]) {
    f.splice(TABLE + 512..TABLE + 512, bytes.iter().copied());
    for block in 0..SIZE / BLOCK {
        let at = entry(f, block);
        if at != u32::MAX {
            set_entry(f, block, at + (bytes.len() / 512) as u32);
        }
    }
}

/// Blocks of a good dynamic image that hold a place, in the order of the file.
fn placed(f: &[u8]) -> Vec<usize> {
    let mut blocks: Vec<usize> = (0..SIZE / BLOCK).filter(|block| entry(f, *block) != u32::MAX).collect();
    blocks.sort_by_key(|block| entry(f, *block));
    blocks
}

/// Makes the change of that name.
fn change(what: &str, f: &mut Vec<u8>) {
    let at = end(f);
    match what {
        "nothing" => {}
        "checksum-wrong" => f[at + 67] ^= 1,
        "short-footer-of-virtual-pc" => {
            set(f, 8, &[0; 4]);
            set(f, 28, b"vpc ");
            f.truncate(at + 511);
        }
        "4-kib-behind" => f.resize(at + 512 + 4096, 0),
        "77-bytes-behind" | "junk-behind" => f.extend([b'x'; 77]),
        "3-mib-behind" => f.resize(at + 512 + 3 * MIB, 0),
        "8-mib-behind" => f.resize(at + 512 + 8 * MIB, 0),
        "footer-repeated" => f.extend_from_within(at..),
        "size-odd" => *f = fixed(&content()[..SIZE - 512]),
        "geometry-of-virtual-pc" => set(f, 28, b"vpc "),
        "size-above-payload" => set(f, 48, &(26 * MIB as u64).to_be_bytes()),
        "size-below-payload" => set(f, 48, &(22 * MIB as u64).to_be_bytes()),
        "payload-cut" => drop(f.drain(20 * MIB..24 * MIB)),
        "footer-alone" => drop(f.drain(..at)),
        "data-offset-of-32-bits" => set(f, 16, &0xffff_ffff_u64.to_be_bytes()),
        "payload-begins-with-footer" => put(f, 0, &footer(3, SIZE as u64, &ID)),
        "payload-begins-conectix" => put(f, 0, b"conectix"),
        "type-7" => set(f, 60, &7_u32.to_be_bytes()),
        "saved-state" => set(f, 84, &[1]),
        "no-unique-id" => set(f, 68, &[0; 16]),
        "time-in-the-future" => set(f, 24, &[0xff; 4]),
        "original-size-is-a-lie" => set(f, 40, &[0xff; 8]),
        "features-clear" => set(f, 8, &[0; 4]),
        "temporary" => set(f, 8, &3_u32.to_be_bytes()),
        "version-2" => set(f, 12, &0x0002_0000_u32.to_be_bytes()),
        "reserved-in-use" => set(f, 300, b"x"),
        "hidden" => {
            set(f, 28, b"tap\0");
            f[at + 85] = 1;
        }
        "poisoned" => set(f, 0, b"v_poison"),
        "cookie-in-capitals" => set(f, 0, b"CONECTIX"),
        "is-qcow2" => {
            *f = vec![0; SIZE];
            put(f, 0, b"QFI\xfb\0\0\0\x03");
            put(f, 20, &16_u32.to_be_bytes());
        }
        "is-gzip" => {
            *f = pattern(9, 5000);
            put(f, 0, b"\x1f\x8b\x08\0\0\0\0\0\0\x03");
        }
        "is-vhdx" => {
            *f = vec![0; MIB];
            put(f, 0, b"vhdxfile");
        }
        "footer-cut" => f.truncate(at),
        "footer-zeroed" => f[at..].fill(0),
        "footer-half" => f.truncate(at + 256),
        "copy-zeroed" => f[..512].fill(0),
        "ids-differ" => {
            f[70] ^= 1;
            seal_footer(f, 0);
        }
        "sizes-differ" => {
            put(f, 48, &(22 * MIB as u64).to_be_bytes());
            seal_footer(f, 0);
        }
        "checksum-and-size-wrong" => put(f, at + 48, &(48 * MIB as u64).to_be_bytes()),
        "both-checksums-wrong" => {
            f[at + 67] ^= 1;
            f[67] ^= 1;
        }
        "cut-by-3-mib" => f.truncate(f.len() - 3 * MIB),
        "cut-and-repaired" => {
            let footer = f.split_off(at);
            f.truncate(f.len() - 3 * MIB);
            f.extend(footer);
        }
        "header-checksum-wrong" => f[HEADER + 39] ^= 1,
        "header-cookie-wrong" => set_header(f, 0, b"CXSPARSE"),
        "header-version-2" => set_header(f, 24, &0x0002_0000_u32.to_be_bytes()),
        "header-offset-of-32-bits" => set_header(f, 8, &0xffff_ffff_u64.to_be_bytes()),
        "header-reserved-in-use" => set_header(f, 800, b"x"),
        "header-place-past-end" => set(f, 16, &(1_u64 << 40).to_be_bytes()),
        "table-short" => set_header(f, 28, &11_u32.to_be_bytes()),
        "table-surplus" => set_header(f, 28, &100_u32.to_be_bytes()),
        "blocks-past-size" => set(f, 48, &(22 * MIB as u64).to_be_bytes()),
        "table-of-2^31-entries" => set_header(f, 28, &(1_u32 << 31).to_be_bytes()),
        "table-of-2^32-1-entries" => set_header(f, 28, &[0xff; 4]),
        "table-off-sectors" => set_header(f, 16, &(TABLE as u64 + 1).to_be_bytes()),
        "table-past-end" => set_header(f, 16, &(1_u64 << 40).to_be_bytes()),
        "padding-of-zeros" => f[TABLE + 12 * 4..TABLE + 512].fill(0),
        "block-size-0" => set_header(f, 32, &[0; 4]),
        "block-size-3000" => set_header(f, 32, &3000_u32.to_be_bytes()),
        "block-size-2^31" => set_header(f, 32, &(1_u32 << 31).to_be_bytes()),
        "block-past-end" => {
            let block = placed(f)[0];
            set_entry(f, block, 0x7fff_ffff);
        }
        "block-over-footer" => {
            let block = *placed(f).last().unwrap();
            let sector = entry(f, block);
            set_entry(f, block, sector + 1);
        }
        "block-twice" => {
            let blocks = placed(f);
            let sector = entry(f, blocks[0]);
            set_entry(f, blocks[1], sector);
        }
        "blocks-overlap-by-half" => {
            let blocks = placed(f);
            let sector = entry(f, blocks[0]);
            set_entry(f, blocks[1], sector + (BLOCK / 1024) as u32);
        }
        "stride-without-bitmap" => {
            for (place, block) in placed(f).into_iter().enumerate() {
                set_entry(f, block, (2048 / 512 + place * BLOCK / 512) as u32);
            }
        }
        "block-in-header" => {
            let block = placed(f)[0];
            set_entry(f, block, 1);
        }
        "block-0" => f[TABLE..TABLE + 48].fill(0),
        "gap-before-blocks" => insert_behind_table(f, &[0xaa; 8192]),
        "bitmaps-clear" => {
            for block in placed(f) {
                let at = entry(f, block) as usize * 512;
                f[at..at + 512].fill(0);
            }
        }
        "batmap" | "encrypted" => {
            set(f, 28, b"tap\0");
            set(f, 32, &0x0001_0003_u32.to_be_bytes());
            let mut batmap = vec![0; 1024];
            put(&mut batmap, 0, b"tdbatmap");
            put(&mut batmap, 8, &3072_u64.to_be_bytes());
            put(&mut batmap, 16, &1_u32.to_be_bytes());
            put(&mut batmap, 20, &0x0001_0002_u32.to_be_bytes());
            batmap[29] = u8::from(what == "encrypted");
            insert_behind_table(f, &batmap);
        }
        "size-not-of-blocks" | "last-block-cut" => {
            let mut image = Sparse::dynamic(BLOCK);
            image.blocks = vec![0, 4, 11];
            *f = image.write(&content()[..ODD]);
            if what == "last-block-cut" {
                let cut = f.len() - 512 - (SIZE - ODD);
                f.drain(cut..cut + SIZE - ODD);
            }
        }
        "blocks-of-512-b" => *f = Sparse::dynamic(512).write(&content()),
        "blocks-of-4-kib" => *f = Sparse::dynamic(4096).write(&content()),
        "blocks-of-512-kib" => *f = Sparse::dynamic(512 << 10).write(&content()),
        "blocks-of-4-mib" => *f = Sparse::dynamic(4 * MIB).write(&content()),
        "blocks-of-32-mib" => {
            let mut image = Sparse::dynamic(32 * MIB);
            image.blocks = vec![0];
            *f = image.write(&content());
        }
        "no-blocks" => {
            let mut image = Sparse::dynamic(BLOCK);
            image.blocks = vec![];
            *f = image.write(&content());
        }
        other => panic!("no such change: {other}"),
    }
}

/// One row of a table.
struct Row<'a> {
    base: &'a str,
    what: &'a str,
    facts: Vec<&'a str>,
    disk: &'a str,
    codes: Vec<&'a str>,
    status: i32,
    allow: Option<&'a str>,
    makes: &'a str,
}

fn rows(table: &str) -> impl Iterator<Item = Row<'_>> {
    table.lines().filter(|line| !line.is_empty()).map(|line| {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let mut words = cells[0].split_whitespace();
        let (base, what) = (words.next().unwrap(), words.next().unwrap());
        assert!(words.next().is_some(), "{what} says why");
        let prepare: Vec<&str> = cells[5].split_whitespace().collect();
        let (allow, makes) = if prepare.len() == 2 { (Some(prepare[0]), prepare[1]) } else { (None, prepare[0]) };
        Row {
            base,
            what,
            facts: cells[1].split_whitespace().collect(),
            disk: cells[2],
            codes: cells[3].split_whitespace().collect(),
            status: cells[4].parse().unwrap(),
            allow,
            makes,
        }
    })
}

fn bytes_of(word: &str) -> Option<u64> {
    match word.strip_suffix('M') {
        Some(mib) => Some(mib.parse::<u64>().unwrap() << 20),
        None => word.parse().ok(),
    }
}

/// The bytes that a row's word stands for.
fn meant(word: &str, file: &[u8], size: usize) -> Vec<u8> {
    let mut bytes = match word {
        "good" => content(),
        "file" => file.to_vec(),
        "zeros" => vec![0; SIZE],
        other => panic!("{other} is no content"),
    };
    bytes.truncate(size);
    bytes
}

/// All bytes of a disk.
fn whole(path: &Path, parents: &[PathBuf]) -> Result<Vec<u8>, String> {
    let disk = open(path, parents).disk.map_err(|error| format!("closed: {error}"))?;
    let mut bytes = Vec::new();
    each_piece(&*disk, |piece| bytes.extend_from_slice(piece)).map_err(|error| format!("error: {error}"))?;
    Ok(bytes)
}

/// What `inspect` finds on a disk, in a word: the table with its partitions, or the file system.
fn lies_on(disk: &Value) -> String {
    match (disk["partition_table"]["scheme"].as_str(), disk["content"]["type"].as_str()) {
        (Some(scheme), _) => format!("{scheme}:{}", list(&disk["partitions"]).len()),
        (None, Some(content)) => content.to_owned(),
        (None, None) => "-".to_owned(),
    }
}

fn same(got: &[u8], meant: &[u8], what: &str) {
    assert_eq!(got.len(), meant.len(), "{what}: bytes");
    if let Some(at) = (0..got.len()).find(|at| got[*at] != meant[*at]) {
        panic!("{what}: differs at byte {at}");
    }
}

/// What check and prepare do with a file, against its row.
fn hold(row: &Row<'_>, path: &Path, file: &[u8]) {
    let Row { base, what, .. } = row;
    let what = &format!("{base} {what}");
    let size = row.facts.get(2).and_then(|word| bytes_of(word));
    // The library.
    match (row.disk, whole(path, &[])) {
        ("closed", Err(error)) => assert!(error.starts_with("closed"), "{what}: {error}"),
        ("error", Err(error)) => assert!(error.starts_with("error"), "{what}: {error}"),
        // Findings stand in the way of these bytes, whichever they are.
        ("mixed", read) => assert_eq!(read.map(|bytes| bytes.len() as u64), Ok(size.unwrap()), "{what}"),
        ("any", _) => {}
        (word, Ok(bytes)) => same(&bytes, &meant(word, file, size.unwrap() as usize), what),
        (word, Err(error)) => panic!("{what}: {word} expected, {error}"),
    }
    // check.
    let mut args = vec!["check", "--role", "data", "--format", "json"];
    args.extend((*base == "deep").then_some("--deep"));
    let check = vhdkit(&[args, vec![name(path)]].concat());
    assert_eq!(check.codes(), row.codes, "{what}: {}", check.json()["findings"]);
    assert_eq!(check.status, row.status, "{what}");
    let disk = check.json()["disks"][0].take();
    let said = [text(&disk["format"]), disk["kind"].as_str().unwrap_or("-").to_owned()];
    assert_eq!(said, [row.facts[0], row.facts[1]], "{what}");
    if let Some(size) = size {
        assert_eq!(disk["virtual_size"], size, "{what}");
    }
    if let Some(word) = row.facts.get(3) {
        assert_eq!(&lies_on(&disk), word, "{what}");
    }
    // prepare.
    let to = path.with_extension("image");
    let mut args = vec!["prepare", "--role", "data", "--format", "json", "-o", name(&to), name(path)];
    let mut run = vhdkit(&args);
    if let Some(code) = row.allow {
        assert_eq!((run.status, run.json()["stage"].as_str()), (1, Some("blocked")), "{what} without --allow: {}", run.stderr);
        args.extend(["--allow", code]);
        run = vhdkit(&args);
    }
    if row.makes == "refused" {
        assert_eq!(run.status, 1, "{what}: {}{}", run.stdout, run.stderr);
        assert!(!to.exists() || fs::read_dir(&to).unwrap().next().is_none(), "{what}: something was written");
        return;
    }
    assert_eq!(run.status, 0, "{what}: {}{}", run.stdout, run.stderr);
    let made = list(&run.json()["manifest"]["disks"])[0].clone();
    let made = to.join(text(&made["file"]));
    assert_eq!(flaw_of_fixed(&made), None, "{what}");
    let mut bytes = fs::read(&made).unwrap();
    bytes.truncate(bytes.len() - 512);
    if row.makes == "gpt" {
        return hold_gpt(&bytes, file, &made, what);
    }
    let mut expected = meant(row.makes, file, size.unwrap() as usize);
    expected.resize(bytes.len(), 0);
    assert!(bytes.len() < size.unwrap() as usize + MIB, "{what}: grown by too much");
    same(&bytes, &expected, what);
    assert_eq!(vhdkit(&["verify", name(&to)]).status, 0, "{what}");
}

#[test]
fn no_damage_ends_in_wrong_bytes() {
    let dir = tempfile::tempdir().unwrap();
    let (fixed, dynamic) = (fixed(&content()), Sparse::dynamic(BLOCK).write(&content()));
    let mut failures = Vec::new();
    for row in rows(TABLE_OF_DAMAGE) {
        let mut file = if row.base == "fixed" { fixed.clone() } else { dynamic.clone() };
        change(row.what, &mut file);
        let folder = dir.path().join(format!("{}-{}", row.base, row.what));
        fs::create_dir(&folder).unwrap();
        let path = folder.join("disk.vhd");
        save(&path, &file);
        failures.extend(failure(&row, &path, &file));
        fs::remove_dir_all(folder).unwrap();
    }
    assert!(failures.is_empty(), "{} rows fail: {failures:?}", failures.len());
}

/// Holds a row; its name where it fails, what failed having been printed, so that one run tells of all rows.
fn failure(row: &Row<'_>, path: &Path, file: &[u8]) -> Option<String> {
    let held = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| hold(row, path, file)));
    held.is_err().then(|| format!("{} {}", row.base, row.what))
}

/// Rows as above, for raw disks of which the partition table is odd. The fourth fact is what lies on the disk; `gpt` is a disk with the
/// same partitions and data under two sound copies of its table.
const TABLE_OF_TABLES: &str = "
raw gpt                    the yardstick                                              | raw - 24M gpt:2   | file | VHD001               | 1 | file
raw gpt-grown              growing leaves the backup behind; it boots until it does not | raw - 24M gpt:2 | file | VHD001 VHD022        | 1 | gpt
raw gpt-backup-gone        nothing to fall back on                                    | raw - 24M gpt:2   | file | VHD001 VHD022        | 1 | gpt
raw gpt-primary-gone       whether it boots depends on the firmware                   | raw - 24M gpt:2   | file | VHD001 VHD022        | 1 | gpt
raw gpt-both-bad           no table to make a table of                                | raw - 24M gpt:0   | file | GEN101 VHD001        | 1 | refused
raw gpt-cut                the last partition and the backup are gone                 | raw - 24M gpt:2   | file | GEN106 VHD001 VHD022 | 1 | refused
raw gpt-overlap            one partition's writes are the other's damage              | raw - 24M gpt:2   | file | GEN102 VHD001        | 1 | file
raw gpt-of-4-kib-sectors   in Azure every number means another place                  | raw - 24M gpt:1   | file | VHD001 VHD021        | 1 | VHD021 file
raw gpt-hybrid             two views, made on purpose                                 | raw - 24M gpt:2   | file | VHD001               | 1 | file
raw mbr                    the yardstick                                              | raw - 24M mbr:2   | file | VHD001               | 1 | file
raw mbr-past-end           the disk was cut                                           | raw - 24M mbr:2   | file | GEN106 VHD001        | 1 | refused
raw mbr-overlap            Windows and Linux see what they like                       | raw - 24M mbr:2   | file | GEN102 VHD001        | 1 | file
raw mbr-loop               a chain of logical partitions that bites its tail          | raw - 24M mbr:2   | file | GEN103 VHD001        | 1 | file
raw fat                    its boot sector ends in 55 AA and has no partitions        | raw - 24M vfat    | file | VHD001               | 1 | file
raw ntfs                   sfdisk sees a table in it                                  | raw - 24M ntfs    | file | VHD001               | 1 | file
raw exfat                  the same                                                   | raw - 24M exfat   | file | VHD001               | 1 | file
raw blank                  nothing at all                                             | raw - 24M -       | file | VHD001               | 1 | file
";

const SECTORS: u64 = (SIZE / 512) as u64;

/// CRC-32 as GPTs use it, bit by bit.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes
        .iter()
        .fold(u32::MAX, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), |crc, _| (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg())))
}

/// One copy of a GPT: 92 bytes of header, and 128 entries of which the given ones are used.
fn gpt_copy(own: u64, other: u64, array: u64, last: u64, partitions: &[(u64, u64)]) -> (Vec<u8>, Vec<u8>) {
    let mut entries = vec![0; 128 * 128];
    for (place, (start, end)) in partitions.iter().enumerate() {
        let at = place * 128;
        // Linux data, 0FC63DAF-8483-4772-8E79-3D69D8477DE4.
        put(&mut entries, at, b"\xaf\x3d\xc6\x0f\x83\x84\x72\x47\x8e\x79\x3d\x69\xd8\x47\x7d\xe4");
        put(&mut entries, at + 16, &[place as u8 + 1; 16]);
        put(&mut entries, at + 32, &start.to_le_bytes());
        put(&mut entries, at + 40, &end.to_le_bytes());
    }
    let mut header = Vec::new();
    header.extend(b"EFI PART\0\0\x01\0");
    header.extend(92_u32.to_le_bytes());
    header.extend([0; 8]);
    for lba in [own, other, 34, last] {
        header.extend(lba.to_le_bytes());
    }
    header.extend([0x5a; 16]);
    header.extend(array.to_le_bytes());
    header.extend(128_u32.to_le_bytes());
    header.extend(128_u32.to_le_bytes());
    header.extend(crc32(&entries).to_le_bytes());
    let crc = crc32(&header);
    put(&mut header, 16, &crc.to_le_bytes());
    (header, entries)
}

/// A disk with a GPT made for `sectors` sectors of `sector` bytes, and data in its partitions.
fn gpt(sectors: u64, sector: usize, partitions: &[(u64, u64)]) -> Vec<u8> {
    let mut disk = vec![0; sectors as usize * sector];
    let (last, array) = (sectors - 1, (128 * 128 / sector) as u64);
    put(&mut disk, 446, &[0, 0, 2, 0, 0xee, 0xff, 0xff, 0xff, 1, 0, 0, 0]);
    put(&mut disk, 458, &(last as u32).to_le_bytes());
    put(&mut disk, 510, &[0x55, 0xaa]);
    for (own, other, at) in [(1, last, 2), (last, 1, last - array)] {
        let (header, entries) = gpt_copy(own, other, at, last - array - 1, partitions);
        put(&mut disk, own as usize * sector, &header);
        put(&mut disk, at as usize * sector, &entries);
    }
    for (start, _) in partitions {
        put(&mut disk, *start as usize * sector, &pattern(*start as u32, 5000));
    }
    disk
}

const PARTITIONS: [(u64, u64); 2] = [(2048, 10_239), (10_240, 40_959)];

/// A disk with an MBR: type, start and length of each partition.
fn mbr(partitions: &[(u8, u32, u32)]) -> Vec<u8> {
    let mut disk = vec![0; SIZE];
    put(&mut disk, 510, &[0x55, 0xaa]);
    put(&mut disk, 440, b"VHDK");
    for (place, (kind, start, len)) in partitions.iter().enumerate() {
        disk[446 + place * 16 + 4] = *kind;
        put(&mut disk, 446 + place * 16 + 8, &start.to_le_bytes());
        put(&mut disk, 446 + place * 16 + 12, &len.to_le_bytes());
    }
    put(&mut disk, MIB, &pattern(5, 9000));
    disk
}

/// A boot sector as the file system's formatter writes it, on a disk that has nothing else.
fn floppy(fields: &[(usize, &[u8])]) -> Vec<u8> {
    let mut disk = vec![0; SIZE];
    put(&mut disk, 510, &[0x55, 0xaa]);
    for (at, bytes) in fields {
        put(&mut disk, *at, bytes);
    }
    disk
}

fn raw_disk(what: &str) -> Vec<u8> {
    let whole = || gpt(SECTORS, 512, &PARTITIONS);
    match what {
        "gpt" => whole(),
        "gpt-grown" => {
            let mut disk = gpt(SECTORS - 2048, 512, &PARTITIONS);
            disk.resize(SIZE, 0);
            disk
        }
        "gpt-backup-gone" | "gpt-primary-gone" | "gpt-both-bad" => {
            let mut disk = whole();
            if what != "gpt-primary-gone" {
                disk[SIZE - 512 + 60] ^= 1;
            }
            if what != "gpt-backup-gone" {
                disk[512 + 60] ^= 1;
            }
            disk
        }
        "gpt-cut" => {
            let mut disk = gpt(SECTORS + 12_288, 512, &[PARTITIONS[0], (10_240, SECTORS + 10_239)]);
            disk.truncate(SIZE);
            disk
        }
        "gpt-overlap" => gpt(SECTORS, 512, &[(2048, 10_240), (10_240, 40_959)]),
        "gpt-of-4-kib-sectors" => gpt(SECTORS / 8, 4096, &[(256, 2047)]),
        "gpt-hybrid" => {
            let mut disk = whole();
            put(&mut disk, 462, &[0, 0, 0, 0, 0x83, 0, 0, 0]);
            put(&mut disk, 470, &2048_u32.to_le_bytes());
            put(&mut disk, 474, &8192_u32.to_le_bytes());
            disk
        }
        "mbr" => mbr(&[(0x83, 2048, 8192), (7, 10_240, 30_720)]),
        "mbr-past-end" => mbr(&[(0x83, 2048, 8192), (7, 10_240, 60_000)]),
        "mbr-overlap" => mbr(&[(0x83, 2048, 9000), (7, 10_240, 30_720)]),
        "mbr-loop" => {
            // The extended partition at 10240 holds one logical partition, and a link to itself.
            let mut disk = mbr(&[(5, 10_240, 30_720)]);
            let at = 10_240 * 512;
            put(&mut disk, at + 510, &[0x55, 0xaa]);
            for (entry, kind, start, len) in [(446, 0x83, 2048_u32, 4096_u32), (462, 5, 0, 30_720)] {
                disk[at + entry + 4] = kind;
                put(&mut disk, at + entry + 8, &start.to_le_bytes());
                put(&mut disk, at + entry + 12, &len.to_le_bytes());
            }
            disk
        }
        "fat" => floppy(&[
            (0, b"\xeb\x3c\x90MSDOS5.0\0\x02\x04\x01\0\x02\0\x02\0\0\xf8\x30\0\x3f\0\xff\0\0\0\0\0\0\xc0\0\0\x80\0\x29VHDKDATA       FAT16   "),
            (512, b"\xf8\xff\xff\xff"),
            (512 * 49, b"\xf8\xff\xff\xff"),
        ]),
        "ntfs" => floppy(&[
            (0, b"\xeb\x52\x90NTFS    \0\x02\x08\0\0\0\0\0\0\0\xf8\0\0\x3f\0\xff\0\0\0\0\0\0\0\0\0\x80\0\x80\0\xff\xbf\0\0\0\0\0\0"),
            (48, b"\x04\0\0\0\0\0\0\0\xff\x0b\0\0\0\0\0\0\xf6\0\0\0\x01\0\0\0VHDKIT\0\x01"),
            // The first record of the master file table.
            (4 * 4096, b"FILE0\0\x03\0"),
            // The fourth, the volume's own.
            (4 * 4096 + 3 * 1024, b"FILE0\0\x03\0"),
        ]),
        "exfat" => {
            let mut disk = floppy(&[
                (0, b"\xeb\x76\x90EXFAT   "),
                (72, b"\0\xc0\0\0\0\0\0\0\x80\0\0\0\x80\0\0\0\0\x01\0\0\xe0\x17\0\0\x04\0\0\0VHDK\0\x01\0\0\x09\x03\x01\x80"),
            ]);
            // The checksum of the first eleven sectors fills the twelfth.
            for sector in 1..9 {
                put(&mut disk, sector * 512 + 510, &[0x55, 0xaa]);
            }
            let skip = [106, 107, 112];
            let bytes = disk[..11 * 512].iter().enumerate().filter(|(at, _)| !skip.contains(at));
            let sum = bytes.fold(0_u32, |sum, (_, byte)| sum.rotate_right(1).wrapping_add(u32::from(*byte)));
            for at in (11 * 512..12 * 512).step_by(4) {
                put(&mut disk, at, &sum.to_le_bytes());
            }
            disk
        }
        "blank" => vec![0; SIZE],
        other => panic!("no such disk: {other}"),
    }
}

/// A rebuilt disk: sound copies in their places, the old entries, and everything else as it was.
fn hold_gpt(disk: &[u8], source: &[u8], made: &Path, what: &str) {
    let last = disk.len() / 512 - 1;
    let (header, entries) = gpt_copy(1, last as u64, 2, last as u64 - 33, &PARTITIONS);
    for (own, other, array) in [(1, last, 2), (last, 1, last - 32)] {
        let at = own * 512;
        let mut found = disk[at..at + 92].to_vec();
        let crc: Vec<u8> = found.splice(16..20, [0; 4]).collect();
        assert_eq!(crc, crc32(&found).to_le_bytes(), "{what}: CRC of the header at {own}");
        assert_eq!(found[24..40], [(own as u64).to_le_bytes(), (other as u64).to_le_bytes()].concat(), "{what}: places at {own}");
        assert_eq!(found[48..72], header[48..72], "{what}: last usable sector and identity at {own}");
        assert!(disk[array * 512..array * 512 + entries.len()] == entries, "{what}: entries at {array}");
    }
    let partitions = PARTITIONS[0].0 as usize * 512..(PARTITIONS[1].1 as usize + 1) * 512;
    assert!(disk[partitions.clone()] == source[partitions], "{what}: the data is as it was");
    let headers = disk.chunks(512).filter(|sector| sector.starts_with(b"EFI PART")).count();
    assert_eq!(headers, 2, "{what}: no old backup is left");
    if samples::installed("sgdisk", "rebuilt tables were not verified by it") {
        let raw = made.with_extension("raw");
        save(&raw, disk);
        let words = samples::must_run("sgdisk", &["-v", name(&raw)]);
        assert!(words.contains("No problems found"), "{what}: {words}");
        fs::remove_file(raw).unwrap();
    }
}

#[test]
fn odd_partition_tables_are_told_and_cured_where_they_can_be() {
    let dir = tempfile::tempdir().unwrap();
    let mut failures = Vec::new();
    for row in rows(TABLE_OF_TABLES) {
        let folder = dir.path().join(row.what);
        fs::create_dir(&folder).unwrap();
        let path = folder.join("disk.raw");
        let disk = raw_disk(row.what);
        save(&path, &disk);
        failures.extend(failure(&row, &path, &disk));
        fs::remove_dir_all(folder).unwrap();
    }
    assert!(failures.is_empty(), "{} rows fail: {failures:?}", failures.len());
}

/// Fields that lie about sizes: base, field, what a program that believes it does. All must be answered soon, in little memory.
const LIES: &[(&str, &str, &str)] = &[
    ("fixed", "size-2^64-512", "adds 512 and gets 0"),
    ("fixed", "size-2^63", "is negative as a signed number"),
    ("fixed", "size-0", "divides by it"),
    ("fixed", "size-511", "has no sector"),
    ("fixed", "original-size-is-a-lie", "believes the wrong one of two"),
    ("dynamic", "size-2^64-512", "asks for 2⁴³ blocks"),
    ("dynamic", "size-2^63", "the same"),
    ("dynamic", "size-0", "has a table of no entries"),
    ("dynamic", "size-511", "forgets all blocks but the first"),
    ("dynamic", "size-2041-gib", "cannot address the last block"),
    ("dynamic", "table-of-2^31-entries", "allocates 8 GiB"),
    ("dynamic", "table-of-2^32-1-entries", "allocates 16 GiB, or multiplies to -4"),
    ("dynamic", "table-at-2^63", "adds to it and wraps"),
    ("dynamic", "table-at-2^64-512", "the same"),
    ("dynamic", "table-at-0", "takes the footer for entries"),
    ("dynamic", "header-at-2^64-1", "the same, for the header"),
    ("dynamic", "block-size-0", "divides by it"),
    ("dynamic", "block-size-2^31", "shifts a signed number"),
    ("dynamic", "block-size-512-of-2040-gib", "needs a table of 17 GB, which the sparse file has room for"),
    ("dynamic", "entries-all-2^32-2", "reads 2 TiB further on"),
    ("dynamic", "entries-all-0", "reads the footer as a bitmap"),
    ("dynamic", "table-of-16-million-zeros", "lists each of them"),
    ("child", "locators-of-4-gib", "reads 4 GiB for a path"),
    ("child", "nothing", "waits for a parent"),
];

fn lie(what: &str, f: &mut Vec<u8>) {
    let size = |f: &mut [u8], size: u64| set(f, 48, &size.to_be_bytes());
    match what {
        "size-2^64-512" => size(f, u64::MAX - 511),
        "size-2^63" => size(f, 1 << 63),
        "size-0" => size(f, 0),
        "size-511" => size(f, 511),
        "size-2041-gib" => {
            size(f, 2041 << 30);
            set_header(f, 28, &2041_u32.to_be_bytes());
            set_header(f, 32, &(1_u32 << 30).to_be_bytes());
        }
        "table-at-2^63" => set_header(f, 16, &(1_u64 << 63).to_be_bytes()),
        "table-at-2^64-512" => set_header(f, 16, &(u64::MAX - 511).to_be_bytes()),
        "table-at-0" => set_header(f, 16, &[0; 8]),
        "header-at-2^64-1" => set(f, 16, &[0xff; 8]),
        "block-size-512-of-2040-gib" => {
            size(f, 2040 << 30);
            set_header(f, 28, &u32::MAX.to_be_bytes());
            set_header(f, 32, &512_u32.to_be_bytes());
        }
        "entries-all-2^32-2" => (0..12).for_each(|block| set_entry(f, block, u32::MAX - 1)),
        "entries-all-0" => (0..12).for_each(|block| set_entry(f, block, 0)),
        "table-of-16-million-zeros" => {
            size(f, (1 << 24) * 4096);
            set_header(f, 28, &(1_u32 << 24).to_be_bytes());
            set_header(f, 32, &4096_u32.to_be_bytes());
        }
        "locators-of-4-gib" => {
            for place in 0..8 {
                let at = 576 + place * 24;
                set_header(f, at, b"W2ru");
                set_header(f, at + 8, &[0xff; 4]);
                set_header(f, at + 16, &[0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0]);
            }
        }
        other => change(other, f),
    }
}

#[test]
fn lies_about_sizes_cost_neither_time_nor_memory() {
    let dir = tempfile::tempdir().unwrap();
    for (base, what, does) in LIES {
        let mut file = match *base {
            "fixed" => fixed(&content()),
            "dynamic" => Sparse::dynamic(BLOCK).write(&content()),
            _ => {
                Sparse::differencing(vec![1], |_| true, vec![(*b"W2ru", ".\\gone.vhd".to_owned())], "gone.vhd", PARENT_ID).write(&content())
            }
        };
        lie(what, &mut file);
        let path = dir.path().join("liar.vhd");
        let footer = file.split_off(end(&file));
        // Room for the tables that some of them claim, as a hole.
        let room = match *what {
            "block-size-512-of-2040-gib" => 18 << 30,
            "table-of-16-million-zeros" => 80 << 20,
            _ => 0,
        };
        save(&path, &file);
        let host = fs::OpenOptions::new().write(true).open(&path).unwrap();
        host.set_len(file.len() as u64 + room).unwrap();
        std::os::unix::fs::FileExt::write_all_at(&host, &footer, file.len() as u64 + room).unwrap();
        let to = dir.path().join("image");
        for command in [&["inspect"][..], &["check", "--role", "data"], &["prepare", "--role", "data", "-o", name(&to)]] {
            let started = Instant::now();
            let run = vhdkit_within(400_000, &[command, &[name(&path)]].concat());
            let context = format!("a program that believes {base} {what} {does}; {}: {}{}", command[0], run.stdout, run.stderr);
            let honest = *what == "original-size-is-a-lie";
            let expected: &[i32] = if command[0] == "inspect" || honest { &[0] } else { &[1, 2] };
            assert!(expected.contains(&run.status), "status {}: {context}", run.status);
            assert!(command[0] != "check" || run.status < 2, "{context}");
            assert!(!run.stderr.contains("panicked"), "{context}");
            assert!(started.elapsed() < Duration::from_secs(120), "{:?}: {context}", started.elapsed());
        }
        assert_eq!(to.exists(), *what == "original-size-is-a-lie", "{base} {what} was prepared");
        fs::remove_dir_all(&to).ok();
        fs::remove_file(path).unwrap();
    }
}

/// Every second sector of a block.
fn half(sector: usize) -> bool {
    sector.is_multiple_of(2)
}

/// A parent's content, the child's over it, and what both are together: blocks 4 and 11 are the child's, of those every second sector.
fn family() -> (Vec<u8>, Vec<u8>, Vec<u8>) {
    let (mut parent, child) = (content(), vec![0x5c; SIZE]);
    put(&mut parent, 8 * MIB, &pattern(7, 2 * MIB));
    let mut both = parent.clone();
    for block in [4, 11] {
        for sector in (0..BLOCK / 512).filter(|sector| half(*sector)) {
            let at = block * BLOCK + sector * 512;
            put(&mut both, at, &child[at..at + 512]);
        }
    }
    (parent, child, both)
}

fn relative(path: &str) -> Vec<([u8; 4], String)> {
    vec![(*b"W2ru", path.to_owned())]
}

/// A folder with a child in `child/`, and a place `other/` beside it.
struct Home {
    dir: tempfile::TempDir,
    parent: Vec<u8>,
    content: Vec<u8>,
    both: Vec<u8>,
}

impl Home {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (parent, content, both) = family();
        for folder in ["child", "other"] {
            fs::create_dir(dir.path().join(folder)).unwrap();
        }
        Self { dir, parent, content, both }
    }

    fn at(&self, path: &str) -> PathBuf {
        self.dir.path().join(path)
    }

    /// The parent as a fixed disk.
    fn fixed_parent(&self) -> Vec<u8> {
        let mut file = self.parent.clone();
        file.extend(footer(2, SIZE as u64, &PARENT_ID));
        file
    }

    fn save_parent(&self, path: &str) {
        save(&self.at(path), &self.fixed_parent());
    }

    fn save_child(&self, locators: Vec<([u8; 4], String)>, name: &str) {
        let child = Sparse::differencing(vec![11, 4], half, locators, name, PARENT_ID);
        save(&self.at("child/disk.vhd"), &child.write(&self.content));
    }

    /// The child is read, judged and written as what both are together.
    fn together(&self, what: &str, dirs: &[&str]) {
        let (path, dirs): (PathBuf, Vec<PathBuf>) = (self.at("child/disk.vhd"), dirs.iter().map(|dir| self.at(dir)).collect());
        let options: Vec<&str> = dirs.iter().flat_map(|dir| ["--parent-dir", name(dir)]).collect();
        same(&whole(&path, &dirs).unwrap_or_else(|error| panic!("{what}: {error}")), &self.both, what);
        let check = vhdkit(&[&["check", "--role", "data", "--format", "json", name(&path)], options.as_slice()].concat());
        assert_eq!((check.codes(), check.status), (vec!["VHD002".to_owned()], 1), "{what}");
        let to = self.at("image");
        let run = vhdkit(&[&["prepare", "--role", "data", "-o", name(&to), name(&path)], options.as_slice()].concat());
        assert_eq!(run.status, 0, "{what}: {}", run.stderr);
        let made = fs::read(to.join("disk.vhd")).unwrap();
        same(&made[..SIZE], &self.both, what);
        assert_eq!(flaw_of_fixed(&to.join("disk.vhd")), None, "{what}");
        fs::remove_dir_all(to).unwrap();
    }

    /// The parent cannot be had, `words` saying why; nothing is read or written.
    fn apart(&self, what: &str, dirs: &[&str], words: &str) {
        let (path, dirs): (PathBuf, Vec<PathBuf>) = (self.at("child/disk.vhd"), dirs.iter().map(|dir| self.at(dir)).collect());
        let options: Vec<&str> = dirs.iter().flat_map(|dir| ["--parent-dir", name(dir)]).collect();
        let error = whole(&path, &dirs).expect_err(what);
        assert!(error.contains(words), "{what}: {error}");
        let check = vhdkit(&[&["check", "--role", "data", "--format", "json", name(&path)], options.as_slice()].concat());
        assert_eq!((check.codes(), check.status), (vec!["VHD002".to_owned(), "VHD018".to_owned()], 1), "{what}");
        let to = self.at("image");
        let run = vhdkit(&[&["prepare", "--role", "data", "-o", name(&to), name(&path)], options.as_slice()].concat());
        assert_eq!(run.status, 2, "{what}: {}{}", run.stdout, run.stderr);
        assert!(run.stderr.contains(words) && !to.exists(), "{what}: {}", run.stderr);
    }
}

#[test]
fn parents_are_found_where_the_user_allows_and_nowhere_else() {
    let home = Home::new();
    home.save_child(relative(".\\parent.vhd"), "parent.vhd");
    home.apart("no parent anywhere", &[], "was not found in");
    home.save_parent("other/parent.vhd");
    home.apart("a parent in a directory that nobody named", &[], "was not found in");
    home.together("a parent in a directory that was named", &["other"]);
    fs::rename(home.at("other/parent.vhd"), home.at("child/parent.vhd")).unwrap();
    home.together("a parent beside its child; qemu ignores it and shows zeros", &[]);

    // By name alone, and by locators of every kind that lead elsewhere.
    home.save_child(vec![], "parent.vhd");
    home.together("no locator: the name in the header counts", &[]);
    home.save_child(vec![(*b"W2ku", "C:\\vm\\disks\\parent.vhd".to_owned())], "");
    home.together("an absolute path of Windows: its last part, beside the child", &[]);
    home.save_child(vec![(*b"MacX", "file://localhost/Users/me/parent.vhd".to_owned())], "");
    home.together("a URL from a Mac: the same", &[]);
    home.save_child(relative("sub\\parent.vhd"), "");
    home.together("a folder below that is gone: the bare name beside the child", &[]);
    fs::create_dir(home.at("child/sub")).unwrap();
    fs::rename(home.at("child/parent.vhd"), home.at("child/sub/parent.vhd")).unwrap();
    home.together("a folder below", &[]);

    // Out of the child's directory.
    fs::rename(home.at("child/sub/parent.vhd"), home.at("parent.vhd")).unwrap();
    home.save_child(relative("..\\parent.vhd"), "parent.vhd");
    home.apart("..: a file that the user did not name", &[], "outside the directories");
    home.apart("..: naming another directory does not help", &["other"], "outside the directories");
    home.together("..: the parent's directory was named", &["."]);
    home.save_child(vec![(*b"W2ku", name(&home.at("parent.vhd")).to_owned())], "");
    home.apart("an absolute path of the host's is not followed", &[], "was not found in");
    home.save_child(vec![(*b"MacX", format!("file://{}", name(&home.at("parent.vhd"))))], "");
    home.apart("nor a URL", &[], "was not found in");
    home.save_child(relative(".\\parent.vhd"), "parent.vhd");
    std::os::unix::fs::symlink(home.at("parent.vhd"), home.at("child/parent.vhd")).unwrap();
    home.apart("a link to a file that the user did not name", &[], "outside the directories");
    home.together("the link's target was named", &["."]);
}

#[test]
fn parents_must_be_the_right_ones() {
    let home = Home::new();
    home.save_child(relative(".\\parent.vhd"), "parent.vhd");
    let mut stranger = home.fixed_parent();
    set(&mut stranger, 68, &[7; 16]);
    save(&home.at("child/parent.vhd"), &stranger);
    home.apart("a disk of that name with another id", &[], "unique id");
    home.save_parent("other/parent.vhd");
    home.together("a wrong one beside the child, the right one in a directory that was named", &["other"]);
    save(&home.at("child/parent.vhd"), &home.parent);
    home.apart("a raw disk under a child that is not XenServer's", &[], "it is not a VHD");
    fs::remove_file(home.at("child/parent.vhd")).unwrap();
    fs::create_dir(home.at("child/parent.vhd")).unwrap();
    home.apart("a directory of that name", &[], "parent");
    fs::remove_dir(home.at("child/parent.vhd")).unwrap();

    // Damage above.
    let mut parent = Sparse::dynamic(BLOCK);
    parent.id = PARENT_ID;
    parent.blocks = vec![0, 4, 11];
    let sound = parent.write(&home.parent);
    save(&home.at("child/parent.vhd"), &sound);
    home.together("a dynamic parent", &[]);
    let mut broken = sound.clone();
    broken[HEADER] = b'X';
    save(&home.at("child/parent.vhd"), &broken);
    home.apart("a parent without a dynamic header", &[], "cannot be used");
    let mut broken = sound.clone();
    set(&mut broken, 60, &7_u32.to_be_bytes());
    save(&home.at("child/parent.vhd"), &broken);
    home.apart("a parent of no known type", &[], "cannot be used");
    let mut twice = sound;
    let sector = entry(&twice, 4);
    set_entry(&mut twice, 11, sector);
    save(&home.at("child/parent.vhd"), &twice);
    let path = home.at("child/disk.vhd");
    let check = vhdkit(&["check", "--role", "data", "--format", "json", name(&path)]);
    assert_eq!(check.codes(), ["VHD002", "VHD104"], "a parent of which two blocks share their bytes");
    let run = vhdkit(&["prepare", "--role", "data", "-o", name(&home.at("image")), name(&path)]);
    assert_eq!((run.status, home.at("image").exists()), (1, false), "{}", run.stderr);

    // A parent that is smaller than its child: beyond it are zeros.
    let mut small = home.parent[..20 * MIB].to_vec();
    small.extend(footer(2, 20 * MIB as u64, &PARENT_ID));
    save(&home.at("child/parent.vhd"), &small);
    let mut both = home.both.clone();
    for (at, byte) in both.iter_mut().enumerate().skip(20 * MIB) {
        if at < 22 * MIB || !half(at / 512) {
            *byte = 0;
        }
    }
    same(&whole(&path, &[]).unwrap(), &both, "a parent smaller than its child");
}

#[test]
fn xenserver_names_raw_parents_by_an_id_of_zeros() {
    let home = Home::new();
    save(&home.at("child/parent.raw"), &home.parent);
    let child = Sparse::differencing(vec![11, 4], half, vec![(*b"MacX", "file://./parent.raw".to_owned())], "parent.raw", [0; 16]);
    let mut file = child.write(&home.content);
    set(&mut file, 28, b"tap\0");
    set(&mut file, 32, &0x0001_0003_u32.to_be_bytes());
    save(&home.at("child/disk.vhd"), &file);
    home.together("a raw parent", &[]);
    fs::rename(home.at("child/parent.raw"), home.at("other/parent.raw")).unwrap();
    home.apart("a raw parent that is not here", &[], "was not found in");
}

#[test]
fn chains_end() {
    let home = Home::new();
    // A disk that is its own parent.
    let narcissus = Sparse::differencing(vec![1], half, relative(".\\disk.vhd"), "disk.vhd", ID);
    save(&home.at("child/disk.vhd"), &narcissus.write(&home.content));
    home.apart("its own parent", &[], "its own ancestor");
    // Two that name each other.
    for (file, id, other, parent) in [("disk.vhd", ID, "parent.vhd", PARENT_ID), ("parent.vhd", PARENT_ID, "disk.vhd", ID)] {
        let mut disk = Sparse::differencing(vec![1], half, relative(&format!(".\\{other}")), other, parent);
        disk.id = id;
        save(&home.at("child").join(file), &disk.write(&home.content));
    }
    home.apart("two that name each other", &[], "its own ancestor");
    fs::remove_file(home.at("child/parent.vhd")).unwrap();
    // Chains: each disk writes its number into one sector more.
    let id = |number: usize| [number as u8 + 1; 16];
    let (first, small) = ([0_u8; 64 * 1024], 64 * 1024);
    let mut file = first.to_vec();
    file.extend(footer(2, small as u64, &id(0)));
    save(&home.at("other/0.vhd"), &file);
    for number in 1..=70 {
        let parent = format!("{}.vhd", number - 1);
        let mut disk =
            Sparse::differencing(vec![number % 16], |sector| sector == 3, relative(&format!(".\\{parent}")), &parent, id(number - 1));
        (disk.block, disk.id) = (4096, id(number));
        save(&home.at(&format!("other/{number}.vhd")), &disk.write(&vec![number as u8; small]));
    }
    let bytes = whole(&home.at("other/64.vhd"), &[]).unwrap();
    let written: Vec<u8> = bytes.chunks(4096).map(|block| block[3 * 512]).collect();
    assert_eq!(written, [64, 49, 50, 51, 52, 53, 54, 55, 56, 57, 58, 59, 60, 61, 62, 63], "64 parents are followed");
    for number in [65, 70] {
        let path = home.at(&format!("other/{number}.vhd"));
        assert!(whole(&path, &[]).unwrap_err().contains("more than 64 parents"));
        let check = vhdkit(&["check", "--role", "data", "--format", "json", name(&path)]);
        assert_eq!(
            (check.codes(), check.status),
            (vec!["VHD002".into(), "VHD003".into(), "VHD006".into(), "VHD018".into()], 1),
            "{number}"
        );
    }
}
