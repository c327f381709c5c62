#!/bin/bash
# Makes the volumes that the target `volume` patches: fuzz/disks.sh DIRECTORY
#
# Each is made by the programs of its format. What takes a mount (NTFS with its compressed files, XFS and Btrfs with logs that are not yet
# replayed, LVM) needs root or FUSE; where something is missing, the volume is left out, and that is said.
set -euo pipefail
out=${1:?which directory?}
mkdir -p "$out"
out=$(cd "$out" && pwd)
export PATH="$PATH:/usr/sbin:/sbin"
work=$(mktemp -d)
cleanup() {
    if mountpoint -q "$work/mounted"; then umount "$work/mounted"; fi
    rm -rf "$work"
}
trap cleanup EXIT
mkdir "$work/mounted" "$work/tree"

# A tree with what file systems keep in ways of their own: many names, long ones, links, holes, text that packs well and noise that does not.
tree() {
    local at=$1 n
    mkdir -p "$at/many" "$at/deep/er/and/deeper" "$at/etc"
    for n in $(seq 60); do echo "$n" >"$at/many/a file with a rather long name, number $n.txt"; done
    echo small >"$at/small"
    : >"$at/empty"
    seq 20000 >"$at/text"
    head -c 70000 /dev/zero | openssl enc -aes-128-ctr -K 00 -iv 00 2>/dev/null >"$at/noise"
    truncate -s 300000 "$at/hole"
    echo end | dd of="$at/hole" bs=1 seek=200000 conv=notrunc status=none
    echo "NAME=x" >"$at/etc/os-release"
    ln -s deep/er "$at/link" 2>/dev/null || true
    ln "$at/small" "$at/etc/hard" 2>/dev/null || true
    setfattr -n user.note -v value "$at/small" 2>/dev/null || true
}
tree "$work/tree"

# Makes NAME by a function of the same name, on a file of so many MiB.
make() {
    local name=$1 mib=$2
    truncate -s "${mib}M" "$work/$name"
    local status=0
    # Not in a condition: there, a function goes on after a command that failed.
    set +e
    (set -e; "$name" "$work/$name") >"$work/told" 2>&1
    status=$?
    set -e
    if [ "$status" -eq 0 ]; then
        cp --sparse=always "$work/$name" "$out/volume-$name.raw"
    else
        echo "SKIPPED: $name: $(tail -n 1 "$work/told")" >&2
        if mountpoint -q "$work/mounted"; then umount "$work/mounted"; fi
    fi
    rm -f "$work/$name"
}

ext4_odd() { mke2fs -q -F -t ext4 -b 1024 -I 256 -O inline_data,^metadata_csum -d "$work/tree" "$1"; }
ext4_bigalloc() { mke2fs -q -F -t ext4 -O bigalloc,^metadata_csum -C 16384 -d "$work/tree" "$1"; }
ext3() { mke2fs -q -F -t ext3 -b 1024 -d "$work/tree" "$1"; }
ext4_journal() {
    # A transaction that was not played back: block 600 becomes other bytes.
    mke2fs -q -F -t ext4 -b 1024 -O ^metadata_csum -J size=1 -d "$work/tree" "$1"
    head -c 1024 "$work/tree/noise" >"$work/block"
    printf 'jo\njw -b 600 %s\njc\n' "$work/block" | debugfs -w -f - "$1"
}
fat() {
    local width=$1 image=$2
    mkfs.vfat -F "$width" -s 1 -n FUZZ "$image"
    mcopy -s -i "$image" "$work/tree/many" "$work/tree/small" "$work/tree/text" "$work/tree/deep" ::/
}
fat12() { fat 12 "$1"; }
fat16() { fat 16 "$1"; }
fat32() { fat 32 "$1"; }
ntfs() {
    mkntfs -q -Q -F -c 4096 "$1"
    ntfs-3g "$1" "$work/mounted" -o streams_interface=windows,no_detach & 
    local driver=$! n
    for n in $(seq 100); do mountpoint -q "$work/mounted" && break; sleep 0.1; done
    mountpoint -q "$work/mounted"
    mkdir "$work/mounted/packed"
    setfattr -h -n system.ntfs_attrib_be -v 0x00000800 "$work/mounted/packed"
    cp "$work/tree/text" "$work/tree/noise" "$work/tree/hole" "$work/mounted/packed"
    cp -r "$work/tree/many" "$work/tree/hole" "$work/tree/small" "$work/mounted"
    echo stream >"$work/mounted/small:beside"
    ln -s packed "$work/mounted/link"
    wof
    umount "$work/mounted"
    wait "$driver"
}
# Files of the overlay filter: the stored bytes of a WIM's resources, in a stream behind a reparse point.
wof() {
    local number algorithm chunk
    mkdir "$work/wim"
    seq 9000 >"$work/wim/text"
    while read -r number algorithm chunk; do
        wimlib-imagex capture "$work/wim" "$work/$number.wim" --compress="$algorithm" --chunk-size="$chunk" --threads=1
        python3 - "$work/$number.wim" "$work/wim/text" "$work/stored" <<'PYTHON'
import os, struct, sys
wim, size = open(sys.argv[1], "rb").read(), os.path.getsize(sys.argv[2])
table, length = struct.unpack_from("<QQ", wim, 56)
for line in range(table, table + length, 50):
    stored, place, unpacked = struct.unpack_from("<QQQ", wim, line)
    if unpacked == size:
        open(sys.argv[3], "wb").write(wim[place:place + (stored & (1 << 56) - 1)])
PYTHON
        truncate -s "$(stat -c %s "$work/wim/text")" "$work/mounted/wof-$number"
        cp "$work/stored" "$work/mounted/wof-$number:WofCompressedData"
        setfattr -h -n system.ntfs_reparse_data -v "0x17000080100000000100000002000000010000000${number}000000" "$work/mounted/wof-$number"
    done <<<"0 XPRESS 4096
1 LZX 32768
3 XPRESS 16384"
}
xfs_dirty() {
    mkfs.xfs -q -f "$1"
    mount -o loop "$1" "$work/mounted"
    tree "$work/mounted"
    sync -f "$work/mounted"
    rm -r "$work/mounted/many"
    mkdir "$work/mounted/later"
    seq 3000 >"$work/mounted/later/text"
    xfs_io -x -c 'shutdown -f' "$work/mounted"
    umount "$work/mounted"
}
xfs_old() {
    # The kernel may no longer mount version 4: what it holds is told when it is made.
    {
        printf '/dev/null\n0 0\nd--755 0 0\n'
        for name in small text noise hole; do echo "$name ---644 0 0 $work/tree/$name"; done
        echo "link l--777 0 0 many"
        echo "many d--755 0 0"
        for n in $(seq 60); do echo "name-that-is-long-$n ---644 0 0 $work/tree/small"; done
        printf '$\n$\n'
    } >"$work/proto"
    mkfs.xfs -q -f -m crc=0,rmapbt=0,reflink=0,bigtime=0,inobtcount=0,finobt=0 -n size=8192 -p "$work/proto" "$1"
}
btrfs_packed() {
    mkfs.btrfs -q -f "$1"
    mount -o loop,compress-force=zstd "$1" "$work/mounted"
    tree "$work/mounted"
    btrfs -q subvolume create "$work/mounted/below"
    mount -o remount,compress-force=zlib "$work/mounted"
    cp "$work/tree/text" "$work/mounted/below/zlib"
    mount -o remount,compress-force=lzo "$work/mounted"
    cp "$work/tree/text" "$work/mounted/below/lzo"
    umount "$work/mounted"
}
btrfs_log() {
    mkfs.btrfs -q -f "$1"
    mount -o loop "$1" "$work/mounted"
    tree "$work/mounted"
    sync -f "$work/mounted"
    seq 3000 >"$work/mounted/later"
    rm "$work/mounted/etc/hard"
    sync "$work/mounted/later"
    # As after a failure of power: what is on the disk now, its log not replayed.
    cp --sparse=always "$1" "$1.now"
    umount "$work/mounted"
    mv "$1.now" "$1"
}
lvm2() {
    local config
    device=$(losetup -f --show "$1")
    trap 'losetup -d "$device"' EXIT
    config="devices{use_devicesfile=0 scan=[\"/dev\"] filter=[\"a|^$device\$|\",\"r|.*|\"] global_filter=[\"a|^$device\$|\",\"r|.*|\"]}
        activation{udev_sync=0 udev_rules=0 monitoring=0} backup{backup=0 archive=0}"
    quiet() { lvm "$1" --driverloaded n --config "$config" "${@:2}"; }
    quiet pvcreate -q "$device"
    quiet vgcreate -q -s 1m vg "$device"
    quiet lvcreate -q -an -Wn -Zn -L 4m -n root vg
    quiet lvcreate -q -an -Wn -Zn -L 2m -n swap vg
    quiet lvcreate -q -an -Wn -Zn --type thin-pool -L 4m -n pool vg || true
    mke2fs -q -F -t ext4 -O ^metadata_csum -E offset=$((1024 * 1024)) "$1" 4096
}
quick=(--pbkdf-force-iterations 1000)
luks() {
    echo x | cryptsetup -q luksFormat "${quick[@]}" "${@:2}" "$1" -
    # The keys are noise that nobody reads.
    fallocate -p -o 32768 -l $((16 << 20)) "$1"
}
luks1() { luks "$1" --type luks1; }
luks2() { luks "$1" --type luks2 --pbkdf pbkdf2; }
raid1() {
    python3 - "$1" <<'PYTHON'
import struct, sys
sb = bytearray(512)
for at, form, value in [(0, "<I", 0xa92b4efc), (4, "<I", 1), (64, "<Q", 1500000000), (72, "<I", 1), (80, "<Q", 4096), (92, "<I", 2),
                        (128, "<Q", 2048), (136, "<Q", 6144), (144, "<Q", 8), (160, "<I", 1), (192, "<Q", 1500000001), (200, "<Q", 42),
                        (208, "<Q", 2 ** 64 - 1), (220, "<I", 128)]:
    struct.pack_into(form, sb, at, value)
sb[16:32], sb[32:37], sb[256:512] = range(0x11, 0x21), b"web:0", b"\xff" * 256
struct.pack_into("<HH", sb, 256, 0, 1)
total = sum(struct.unpack("<128I", sb))
struct.pack_into("<I", sb, 216, (total & 0xffffffff) + (total >> 32))
with open(sys.argv[1], "r+b") as disk:
    disk.seek(4096)
    disk.write(sb)
PYTHON
    mke2fs -q -F -t ext4 -O ^metadata_csum -E offset=$((1024 * 1024)) "$1" 2048
}
bitlocker() {
    python3 - "$1" <<'PYTHON'
import struct, sys
entry = lambda kind, value, data: struct.pack("<4H", len(data) + 8, kind, value, 1) + data
created = struct.pack("<Q", 132223104000000000)
key = entry(0, 5, bytes(72))
entries = entry(7, 2, "PC C: 1/1/2020\0".encode("utf-16-le"))
for protector in (0x800, 0x100, 0x2000):
    inner = key if protector == 0x100 else entry(0, 3, bytes(20) + key) + key
    entries += entry(2, 8, b"\7" * 16 + created + bytes(2) + struct.pack("<H", protector) + inner)
entries += entry(3, 5, bytes(72)) + entry(15, 15, struct.pack("<2Q", 0x40000, 8192))
metadata = struct.pack("<4I", len(entries) + 48, 1, 48, len(entries) + 48) + bytes(range(0x11, 0x21))
metadata += struct.pack("<IHH", 7, 0x8004, 0) + created
size = (64 + len(metadata) + len(entries) + 15) // 16 * 16
places = struct.pack("<3Q", 0x10000, 0x20000, 0x30000)
block = b"-FVE-FS-" + struct.pack("<4H", size // 16, 2, 4, 4) + struct.pack("<Q2I", 3 << 20, 0, 16) + places
block = (block + struct.pack("<Q", 0x40000) + metadata + entries).ljust(size, b"\0")
with open(sys.argv[1], "r+b") as disk:
    disk.write(b"\xeb\x58\x90-FVE-FS-\0\x02\x08")
    disk.seek(160)
    disk.write(bytes.fromhex("3bd66749292ed84a8399f6a339e3d001") + places)
    for place in (0x10000, 0x20000, 0x30000):
        disk.seek(place)
        disk.write(block)
PYTHON
}
swap() { mkswap -L swap "$1"; }
exfat() { mkfs.exfat -n FUZZ "$1"; }
iso() { genisoimage -quiet -J -R -V FUZZ -o "$1" "$work/tree"; }
udf() { mkudffs -l FUZZ "$1"; }
squashfs() { mksquashfs "$work/tree" "$1" -noappend -quiet; }
f2fs() { mkfs.f2fs -q -l FUZZ "$1"; }
nilfs() { mkfs.nilfs2 -q -L FUZZ "$1"; }
jfs() { mkfs.jfs -q -L FUZZ "$1"; }
reiser() { mkfs.reiserfs -q -l FUZZ "$1"; }
bcache() { make-bcache -B "$1"; }

make ext4_odd 4
make ext4_bigalloc 8
make ext4_journal 8
make ext3 4
make fat12 1
make fat16 8
make fat32 36
make ntfs 8
make xfs_dirty 300
make xfs_old 300
make btrfs_packed 128
make btrfs_log 128
make lvm2 16
make luks1 4
make luks2 20
make raid1 4
make bitlocker 4
make swap 1
make exfat 4
make iso 1
make udf 2
make squashfs 1
make f2fs 64
make nilfs 136
make jfs 16
make reiser 36
make bcache 4
