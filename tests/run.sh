#!/bin/bash
# Runs all tests on a Debian machine, from nothing: installs the programs that tests compare with (only those that are missing, and only
# where that needs no password), builds, tests, boots one disk that was generalized here (tests/boot.sh), and says at the end what was
# skipped and why. Ends with cargo's status, or that of the boot.
# Set VHDKIT_NO_INSTALL=1 to install nothing, and VHDKIT_IMAGES to a directory with a bootable A.raw, or to nothing to boot none.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 2
export DEBIAN_FRONTEND=noninteractive PATH="$PATH:/usr/sbin:/sbin:$HOME/.cargo/bin"
exec </dev/null

say() { printf '== %s\n' "$*"; }

# Which package brings which program. A program that is here already is left as it is, whatever package or version it came with.
peers='
qemu-img qemu-utils         qemu-io qemu-utils          sgdisk gdisk               sfdisk fdisk
blkid util-linux            mkfs.minix util-linux       mkfs.vfat dosfstools       mkfs.ntfs ntfs-3g
mkfs.exfat exfatprogs       mkfs.xfs xfsprogs           mkfs.btrfs btrfs-progs     mkfs.ext4 e2fsprogs
debugfs e2fsprogs           pvcreate lvm2               cryptsetup cryptsetup-bin  mdadm mdadm
mkfs.f2fs f2fs-tools        mkfs.nilfs2 nilfs-tools     mkfs.reiserfs reiserfsprogs
mkfs.jfs jfsutils           mkudffs udftools            genisoimage genisoimage    mksquashfs squashfs-tools
make-bcache bcache-tools    mcopy mtools                vhdiinfo libvhdi-utils     7z p7zip-full
xmllint libxml2-utils       curl curl
fsverity fsverity           zstd zstd                   xz xz-utils                python3 python3
strace strace               shellcheck shellcheck       setfattr attr              cc gcc
cpio cpio                   lz4 lz4                     lzop lzop                   bzip2 bzip2
lsinitramfs initramfs-tools-core                        hivexsh libhivex-bin        wimlib-imagex wimtools
rpm rpm                     db_load db-util             sbsign sbsigntool           osslsigncode osslsigncode
dpkg-query dpkg             ntfs-3g ntfs-3g            faketime faketime
unshare util-linux          losetup mount               umount mount
'

missing() {
    # shellcheck disable=SC2086  # the list is words, in pairs
    set -- $peers
    while [ $# -ge 2 ]; do
        command -v "$1" >/dev/null 2>&1 || echo "$2"
        shift 2
    done | sort -u
    # Modules of the system's own Python, which some comparisons ask.
    for module in hivex yaml jsonschema; do
        /usr/bin/python3 -c "import $module" 2>/dev/null || echo "python3-$module"
    done
}

install_peers() {
    local wanted as_root=() install=(apt-get install -qq -y --no-install-recommends --no-upgrade --no-remove)
    mapfile -t wanted < <(missing)
    if [ ${#wanted[@]} -eq 0 ]; then
        say "every program that tests compare with is here"
        return
    fi
    if [ -n "${VHDKIT_NO_INSTALL:-}" ] || ! command -v apt-get >/dev/null; then
        say "not installed, and left so: ${wanted[*]}"
        return
    fi
    if [ "$(id -u)" -ne 0 ]; then
        if ! sudo -n true 2>/dev/null; then
            say "not installed, and there is no way to do it without a password: ${wanted[*]}"
            return
        fi
        as_root=(sudo -n env DEBIAN_FRONTEND=noninteractive)
    fi
    say "installing: ${wanted[*]}"
    "${as_root[@]}" apt-get update -qq || say "apt-get update failed; going on with the lists that are here"
    # All at once is fastest; where one of them has no candidate, each by itself, so that the others still come.
    if ! "${as_root[@]}" "${install[@]}" "${wanted[@]}" >/dev/null 2>&1; then
        for package in "${wanted[@]}"; do
            "${as_root[@]}" "${install[@]}" "$package" >/dev/null 2>&1 || say "cannot be installed: $package"
        done
    fi
    mapfile -t wanted < <(missing)
    [ ${#wanted[@]} -eq 0 ] || say "still missing: ${wanted[*]}"
}

# The grammars of PowerShell and Bicep, which no package of Debian brings, in a directory of their own beside the build.
install_grammars() {
    local home=target/grammars modules='import tree_sitter, tree_sitter_powershell, tree_sitter_bicep'
    if "$home/bin/python3" -c "$modules" 2>/dev/null || python3 -c "$modules" 2>/dev/null; then
        say "the grammars that recipes are parsed by are here"
        return
    fi
    if [ -n "${VHDKIT_NO_INSTALL:-}" ]; then
        say "not installed, and left so: the grammars of PowerShell and Bicep"
        return
    fi
    say "installing the grammars of PowerShell and Bicep into $home"
    if ! { python3 -m venv "$home" && "$home/bin/python3" -m pip install --quiet tree-sitter tree-sitter-powershell tree-sitter-bicep; } \
        >/dev/null 2>&1; then
        say "cannot be installed: the grammars of PowerShell and Bicep"
    fi
}

# What booting a disk needs. Other versions of QEMU's packages than the one that is here would remove it, so they come from its archive.
boot_packages='qemu-system-x86_64 qemu-system-x86  xorriso xorriso  jq jq  python3 python3  unshare util-linux'
build_packages='mmdebstrap mmdebstrap  arch-test arch-test  grub-mkimage grub-common  openssl openssl  ssh-keygen openssh-client
    mmd mtools  sgdisk gdisk  mkfs.ext4 e2fsprogs  mkfs.fat dosfstools'
# lacking PROGRAM PACKAGE ...: the packages of the programs that are not here.
lacking() {
    while [ $# -ge 2 ]; do
        command -v "$1" >/dev/null 2>&1 || echo "$2"
        shift 2
    done | sort -u
}
# fetch PACKAGE ...: installs them, removing nothing.
fetch() {
    local as_root=() install=(apt-get install -qq -y --no-install-recommends --no-upgrade --no-remove) archive=() package qemu=() others=()
    [ $# -gt 0 ] || return 0
    [ -z "${VHDKIT_NO_INSTALL:-}" ] && command -v apt-get >/dev/null || return 1
    if [ "$(id -u)" -ne 0 ]; then
        sudo -n true 2>/dev/null || return 1
        as_root=(sudo -n env DEBIAN_FRONTEND=noninteractive)
    fi
    case $(dpkg-query -W -f '${Version}' qemu-utils 2>/dev/null) in *~bpo12+*) archive=(-t bookworm-backports) ;; esac
    for package; do
        case $package in qemu-*) qemu+=("$package") ;; *) others+=("$package") ;; esac
    done
    say "installing, for the boot: $*"
    "${as_root[@]}" apt-get update -qq >/dev/null 2>&1 || true
    [ ${#qemu[@]} -eq 0 ] || "${as_root[@]}" "${install[@]}" "${archive[@]}" "${qemu[@]}" >/dev/null 2>&1 || return 1
    [ ${#others[@]} -eq 0 ] || "${as_root[@]}" "${install[@]}" "${others[@]}" >/dev/null 2>&1
}

# The disk to boot: one that is there, or one that is made in the background while the tests are built. Leaves its path in `disk`, or in
# `no_boot` why there is none.
disk='' no_boot='' making='' kept=target/images
find_disk() {
    local lacks build=../shared/images/build
    if [ -n "${VHDKIT_IMAGES-}" ]; then
        [ -f "$VHDKIT_IMAGES/A.raw" ] && disk=$VHDKIT_IMAGES/A.raw || no_boot="there is no A.raw in VHDKIT_IMAGES"
        return
    fi
    [ -z "${VHDKIT_IMAGES+set}" ] || { no_boot="VHDKIT_IMAGES is empty"; return; }
    for disk in ../images/A.raw "$kept/A.raw"; do
        [ ! -f "$disk" ] || return
    done
    disk=''
    if [ ! -f "$build/build-disks.sh" ]; then
        no_boot="no bootable disk is here: set VHDKIT_IMAGES to a directory with an A.raw"
        return
    fi
    [ "$(id -u)" -eq 0 ] || { no_boot="a bootable disk can be made by root only"; return; }
    # shellcheck disable=SC2086  # words, in pairs
    mapfile -t lacks < <(lacking $build_packages)
    fetch "${lacks[@]}" || { no_boot="cannot be installed: ${lacks[*]}"; return; }
    say "making a bootable disk in $kept meanwhile"
    rm -rf "$kept/part"
    mkdir -p "$kept/part"
    # A process group of its own, so that all of it can be ended.
    set -m
    {
        timeout --foreground 900 nice "$build/build-base.sh" "$kept/part" && timeout --foreground 600 nice "$build/build-disks.sh" "$kept/part" A \
            && mv "$kept/part/A.raw" "$kept/A.raw"
        made=$?
        # The tree that it was made from is half a gigabyte.
        rm -rf --one-file-system "$kept/part"
        exit $made
    } >"$kept/log" 2>&1 &
    making=$!
    set +m
}

# boot: generalizes the disk and boots it. What keeps it from being tried is said, and is no failure; what came out wrong is one.
boot() {
    local lacks firmware=uefi started=$SECONDS
    if [ -n "$making" ]; then
        say "waiting for the bootable disk"
        wait "$making"
        case $? in
            0) disk=$kept/A.raw ;;
            124) no_boot="a bootable disk was not made in time, see $kept/log" ;;
            *) no_boot="no bootable disk could be made: $(tail -n 1 "$kept/log")" ;;
        esac
        making=''
    fi
    if [ -n "$disk" ]; then
        # shellcheck disable=SC2086  # words, in pairs
        mapfile -t lacks < <(lacking $boot_packages)
        [ -f /usr/share/OVMF/OVMF_CODE_4M.fd ] || lacks+=(ovmf)
        if ! fetch "${lacks[@]}"; then
            # shellcheck disable=SC2086
            mapfile -t lacks < <(lacking $boot_packages)
            [ ${#lacks[@]} -eq 0 ] || no_boot="cannot be installed: ${lacks[*]}"
        fi
        [ -f /usr/share/OVMF/OVMF_CODE_4M.fd ] || firmware=bios
    fi
    if [ -n "$no_boot" ]; then
        echo "skipped: booting a generalized disk: $no_boot"
        return 0
    fi
    say "booting $disk, generalized, from $firmware"
    timeout --kill-after 10 600 bash tests/boot.sh --vhdkit target/debug/vhdkit --firmware "$firmware" --limit 180 "$disk"
    case $? in
        0) say "a generalized disk came up as a machine of its own, in $((SECONDS - started)) s" ;;
        2) echo "skipped: booting a generalized disk: it could not be tried, see above" ;;
        3 | 124 | 137) echo "skipped: booting a generalized disk: it was still coming up after 180 s, so this machine is too slow or too busy" ;;
        *) return 1 ;;
    esac
}

install_peers
install_grammars

if ! command -v cargo >/dev/null; then
    echo "run.sh: cargo is not installed. Get Rust from https://rustup.rs:" >&2
    echo "    curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh -s -- -y --profile minimal" >&2
    exit 2
fi

# The schema by which Jenkins reads JUnit is not ours to keep; without it that comparison is skipped, and says so.
schema=target/schemas/junit-10.xsd
if [ ! -f "$schema" ] && command -v curl >/dev/null; then
    mkdir -p "${schema%/*}"
    from=https://raw.githubusercontent.com/jenkinsci/xunit-plugin/master/src/main/resources/org/jenkinsci/plugins/xunit/types/model/xsd
    curl -fsSL -m 30 -o "$schema.part" "$from/junit-10.xsd" && mv "$schema.part" "$schema"
    rm -f "$schema.part"
fi

find_disk

logs=$(mktemp -d)
log=$logs/all
# shellcheck disable=SC2317  # called by the trap
finish() {
    rm -rf "$logs"
    [ -z "$making" ] || kill -- "-$making" 2>/dev/null || true
}
trap finish EXIT
# Runs a test program, and prints what it said when it has ended. Tests say what they skip on standard error, which is hidden of tests that
# pass unless it is asked for.
# shellcheck disable=SC2317  # called by xargs
run_program() {
    local said status
    said=$(mktemp -p "$logs")
    "$1" --show-output >"$said" 2>&1
    status=$?
    { flock 9 && say "$1: status $status" && cat "$said"; } 9>"$logs/turn"
    return "$status"
}
export -f say run_program
export logs

# run_all: builds all tests and runs their programs, two at a time: each waits for programs of others much of its time, and at its end for
# its slowest test.
run_all() {
    local built=$logs/built status=0
    cargo test --locked --no-run --color never 2>&1 | tee "$built"
    [ "${PIPESTATUS[0]}" -eq 0 ] || return 1
    say "$SECONDS s: running"
    # Backwards, since some of the last take longest.
    # shellcheck disable=SC2016  # expanded by the inner shell
    sed -nE 's/^ *Executable .*\((.*)\)$/\1/p' "$built" | tac | xargs -P 2 -I '{}' bash -c 'run_program "$1"' bash '{}' || status=1
    cargo test --locked --doc || status=1
    return "$status"
}

say "cargo test --locked"
run_all 2>&1 | tee "$log"
status=${PIPESTATUS[0]}
say "$SECONDS s: all tests have run"

echo
if grep -q '^SKIPPED' "$log"; then
    sed -nE 's/^SKIPPED:? /skipped: /p' "$log" | sort | uniq -c | sed -E 's/^ *1 //; s/^ *([0-9]+) (.*)$/\2 (\1 times)/'
else
    say "no test was skipped"
fi
say "cargo test ended with status $status"
if ! boot; then
    say "a generalized disk did not come up as it should: see above"
    [ "$status" -ne 0 ] || status=1
fi
exit "$status"
