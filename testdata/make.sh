#!/bin/bash
# Makes the disks of this folder anew. Needs qemu-img, sfdisk, mkfs.vfat, mkfs.ext4, debugfs, mtools and python3; no root, no mounts.
# Every identity and time is fixed. File systems may still differ by a few bytes from one version of their maker to the next.
set -euo pipefail
cd "$(dirname "$0")"
export SOURCE_DATE_EPOCH=1704067200 E2FSPROGS_FAKE_TIME=1704067200 TZ=UTC MTOOLS_SKIP_CHECK=1
umask 022
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

for tool in qemu-img sfdisk mkfs.vfat mkfs.ext4 debugfs mcopy mmd python3; do
    command -v "$tool" >/dev/null || { echo "make.sh: $tool is not installed" >&2; exit 2; }
done

# ext4 FILE KIB UUID LABEL: without a journal, to be small; with one file inside.
ext4() {
    mkdir -p "$work/root-$4/etc"
    echo "This is vhdkit's test disk '$4'." >"$work/root-$4/README"
    echo "127.0.0.1 localhost" >"$work/root-$4/etc/hosts"
    find "$work/root-$4" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
    truncate -s "${2}K" "$1"
    mkfs.ext4 -q -F -O ^has_journal,^resize_inode -N 64 -m 0 -U "$3" -L "$4" \
        -E "hash_seed=$3,lazy_itable_init=0,root_owner=0:0" -d "$work/root-$4" "$1"
    # The times of change and birth are those of the copied files, which nothing can set.
    for inode in / /lost+found /README /etc /etc/hosts; do
        for field in atime ctime mtime crtime; do
            echo "set_inode_field $inode $field @$SOURCE_DATE_EPOCH"
            echo "set_inode_field $inode ${field}_extra 0"
        done
        echo "set_inode_field $inode uid 0"
        echo "set_inode_field $inode gid 0"
    done >"$work/commands"
    debugfs -w -f "$work/commands" "$1" >/dev/null 2>&1
}

# patch FILE OFFSET: copies standard input to a place in a file.
patch() { dd of="$1" bs=1024 seek="$2" conv=notrunc,sparse status=none; }

# vhd NAME RAW TIME ID [OPTIONS]: a dynamic VHD by qemu-img, whose time and random id are then set to fixed values.
vhd() {
    qemu-img convert -f raw -O vpc -o "subformat=dynamic${5:-}" "$2" "$1"
    python3 - "$1" "$3" "$4" <<'PYTHON'
import struct, sys, uuid

path, time, identity = sys.argv[1], int(sys.argv[2]), uuid.UUID(sys.argv[3]).bytes
data = bytearray(open(path, "rb").read())
for at in (0, len(data) - 512):
    assert data[at : at + 8] == b"conectix"
    struct.pack_into(">I", data, at + 24, time - 946684800)
    data[at + 68 : at + 84] = identity
    data[at + 64 : at + 68] = bytes(4)
    struct.pack_into(">I", data, at + 64, ~sum(data[at : at + 512]) & 0xFFFFFFFF)
open(path, "wb").write(data)
PYTHON
}

# not-ready.vhd: GPT with an EFI system partition and a root, on a disk that qemu-img made larger than the table knows.
truncate -s 24M "$work/os.raw"
sfdisk -q --no-reread --no-tell-kernel "$work/os.raw" <<'SFDISK'
label: gpt
label-id: 5F0C6A1E-0000-4000-8000-00000000D001
start=2048, size=2048, type=C12A7328-F81F-11D2-BA4B-00A0C93EC93B, uuid=5F0C6A1E-0000-4000-8000-00000000B001, name="ESP"
start=4096, size=43008, type=4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709, uuid=5F0C6A1E-0000-4000-8000-00000000B002, name="root"
SFDISK
truncate -s 1M "$work/esp"
mkfs.vfat --invariant -F 12 -n ESP "$work/esp" >/dev/null
mmd -i "$work/esp" ::/EFI ::/EFI/BOOT
# Not a program: the first bytes of one, enough to be told apart from nothing.
printf 'MZ%058d\x40\0\0\0PE\0\0\x64\x86' 0 >"$work/BOOTX64.EFI"
touch -d "@$SOURCE_DATE_EPOCH" "$work/BOOTX64.EFI"
mcopy -m -i "$work/esp" "$work/BOOTX64.EFI" ::/EFI/BOOT/BOOTX64.EFI
ext4 "$work/root" 21504 5f0c6a1e-0000-4000-8000-00000000c001 root
patch "$work/os.raw" 1024 <"$work/esp"
patch "$work/os.raw" 2048 <"$work/root"
vhd not-ready.vhd "$work/os.raw" "$SOURCE_DATE_EPOCH" 5f0c6a1e-0000-4000-8000-00000000a003

# becomes-ready.vhd: a data disk in the same state.
truncate -s 24M "$work/data.raw"
sfdisk -q --no-reread --no-tell-kernel "$work/data.raw" <<'SFDISK'
label: gpt
label-id: 5F0C6A1E-0000-4000-8000-00000000D002
start=2048, size=45056, type=0FC63DAF-8483-4772-8E79-3D69D8477DE4, uuid=5F0C6A1E-0000-4000-8000-00000000B003, name="data"
SFDISK
ext4 "$work/data" 22528 5f0c6a1e-0000-4000-8000-00000000c002 data
patch "$work/data.raw" 1024 <"$work/data"
vhd becomes-ready.vhd "$work/data.raw" "$SOURCE_DATE_EPOCH" 5f0c6a1e-0000-4000-8000-00000000a004

# parent.vhd, child.vhd: a differencing pair.
python3 pair.py .

sha256sum ./*.vhd
