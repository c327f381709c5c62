//! The texts of `tests`, as they are to read.

/// Each with the name it has there; the line feed at its start is not part of it.
pub(super) const EXPECTED: &[(&str, &str)] = &[
    (
        "inspect",
        r#"
disk.vhd  dynamic VHD · 30 GiB · GPT, 3 partitions · OS disk

  file      1.17 GiB (1258354176 bytes)
  made by   XenServer 1.3 (tap), 2024-05-06T07:08:09Z
  disk      30 GiB (32212254720 bytes), 1200 MiB allocated
  footer    checksum ok, at byte 1258353664
  id        8392ddae-ee02-9e4f-8111-50f4f6c6f227
  blocks    15360 of 2 MiB, 600 allocated
  table     GPT, disk id 44949761-48b2-4f3c-9791-01a21632788e

        start       size  type                  content  label
   1  111 MiB  29.89 GiB  Linux filesystem      ext4     cloudimg-rootfs
  14    1 MiB      4 MiB  BIOS boot             –
  15    5 MiB    106 MiB  EFI System Partition  vfat     UEFI

  boot      generation 1: GRUB in the MBR and a BIOS boot partition
            generation 2: an EFI system partition (15)
  role      OS disk: partition 14: a BIOS boot partition; partition 15: an EFI
            system partition

  not learnt: partitions.content, boot.generations, boot.architecture, os (file
              systems are not read by this version)
"#,
    ),
    (
        "hard",
        r#"
disk.vhd: NOT READY for Azure
  dynamic VHD · 30 GiB · GPT, 3 partitions · OS disk

By hand

error[GEN005] no-boot-loader: the disk is dynamic, but Azure takes only fixed
  ones; the upload ends in a refusal
  at      byte 1258353724, 4 bytes
  found   3 (dynamic)
  needs   2 (fixed)
  cure    by hand: install a boot loader for the generation that the machine
          will have

Cured by vhdkit prepare

error[VHD002] not-fixed: the disk is dynamic, but Azure takes only fixed ones;
  the upload ends in a refusal
  at      byte 1258353724, 4 bytes
  found   3 (dynamic)
  needs   2 (fixed)
  azure   "Only fixed VHDs are supported."
  cure    vhdkit prepare writes a fixed VHD with a correct footer

Warnings

warning[VHD020] file-name: the name does not end in .vhd
  needs   2 (fixed)
  cure    by hand: rename the file

Waived

error[GEN005] no-boot-loader: the disk is dynamic, but Azure takes only fixed
  ones; the upload ends in a refusal
  at      /etc/fstab:7
  found   3 (dynamic)
  needs   2 (fixed)
  cure    by hand: nothing
  waived  known

Undecided
  LNX030 no-agent
    file systems are not read by this version

2 errors · 1 warning · 1 waived · 1 undecided
"#,
    ),
    (
        "dry",
        r#"
disk.vhd → out/disk.vhd
  1. write the dynamic VHD out as a fixed VHD
  2. write the footer: fixed, 30 GiB (32212254720 bytes), creator 'win ' 10.0,
     unique id 8392ddae-ee02-9e4f-8111-50f4f6c6f227
  writes    30.00 GiB (32212255232 bytes)
  cures     VHD002 not-fixed

dry run: nothing was written
"#,
    ),
    (
        "undecided",
        r#"
nothing was written: 1 rule could not be decided

  LNX030 no-agent
    file systems are not read by this version

To write it all the same, knowing that: --allow-undecided
"#,
    ),
    (
        "written",
        r#"
out/: written, reread, ready but for what was allowed

disk.vhd  OS disk
  disk      30 GiB (32212254720 bytes)
  upload    32212255232 bytes, 1100000000 of them in ranges with data
  fsverity
    sha256:5d2e3b6a91c0f4485d2e3b6a91c0f4485d2e3b6a91c0f4485d2e3b6a91c0f448
  from      disk.vhd, dynamic VHD
  steps     1. write the dynamic VHD out as a fixed VHD
            2. write the footer: fixed, 30 GiB (32212254720 bytes), creator
               'win ' 10.0, unique id 8392ddae-ee02-9e4f-8111-50f4f6c6f227

  manifest  out/manifest.json
  skipped   31 GiB (33285996544 bytes) that are empty
  allowed   GEN005
  waived    VHD020: known

next: vhdkit verify out/
      vhdkit recipe out/
"#,
    ),
    (
        "differs",
        r#"
./: NOT as prepared; judged anew: ready
  differs  disk.vhd has 512 bytes fewer than the manifest says
  ok       disk.vhd: fsverity agrees

  allowed   GEN005
  waived    VHD020: known

1 disk
"#,
    ),
    (
        "rules",
        r#"
VHD002  not-fixed  C-99  error    The virtual disk is a fixed one, whatever made
                                  it.
VHD020  file-name  C-99  warning  The virtual disk is a fixed one, whatever made
                                  it.
"#,
    ),
    (
        "explain",
        r#"
VHD002 not-fixed
The virtual disk is a fixed one, whatever made it.

  requirement  C-99
  severity     error
  profile      azure
  applies to   all disks
  Azure says   "Only fixed VHDs are supported."

What it checks

That one thing, in `bytes`; see the docs (https://x.example/a). Two * three.

- a first item that is long enough to be wrapped onto a second line of its own
- second

    vhdkit  prepare x

source: https://learn.microsoft.com/azure
"#,
    ),
];
