#!/bin/bash
# Does a disk that was generalized here come up as a machine of its own? Takes minutes a disk, so nobody runs it by accident:
#
#     tests/boot.sh [--vhdkit PROGRAM] [--firmware bios,uefi] [--keep DIR] DISK...
#
# Each DISK, a specialized Linux that is only read, is generalized with every account of a person removed. What comes out is booted under
# QEMU (TCG: no KVM is asked for) as Azure would boot it: first generation from SeaBIOS, second from OVMF, whichever `inspect` says that
# it can, with a provisioning DVD and the chassis asset tag by which the agents know Azure. After the prompt the power button is pressed,
# and the disk is read: it must have a machine id, host keys, the host name and the user that the DVD names, and no file system may have
# been left in disorder. Needs qemu-system-x86, ovmf, xorriso, jq, and a few GiB in TMPDIR.
#
# Ends with 0 when every boot came out so, 1 when one did not, 2 when it could not be tried.
set -euo pipefail
cd_from=$PWD
cd "$(dirname "$0")/.."
vhdkit=target/release/vhdkit firmware='' keep='' disks=()
while [ $# -gt 0 ]; do
    case $1 in
        --vhdkit) vhdkit=$2; shift 2 ;;
        --firmware) firmware=${2//,/ }; shift 2 ;;
        --keep) keep=$2; shift 2 ;;
        -*) echo "boot.sh: unknown option $1" >&2; exit 2 ;;
        *) case $1 in /*) disks+=("$1") ;; *) disks+=("$cd_from/$1") ;; esac; shift ;;
    esac
done
[ ${#disks[@]} -gt 0 ] || { echo "boot.sh: which disks? See the head of this file" >&2; exit 2; }
for program in qemu-system-x86_64 xorriso jq "$vhdkit"; do
    command -v "$program" >/dev/null || { echo "boot.sh: $program is missing" >&2; exit 2; }
done
work=$(mktemp -d)
qemu=''
# shellcheck disable=SC2317  # called by the trap
finish() {
    [ -z "$qemu" ] || kill "$qemu" 2>/dev/null || true
    rm -rf "$work"
}
trap finish EXIT

# What Azure hands to a new machine on a DVD. The name and the password are made up for this test.
host=boot-proof-01 user=proof
mkdir "$work/dvd"
cat >"$work/dvd/ovf-env.xml" <<XML
<?xml version="1.0" encoding="utf-8"?>
<Environment xmlns="http://schemas.dmtf.org/ovf/environment/1" xmlns:wa="http://schemas.microsoft.com/windowsazure"
    xmlns:i="http://www.w3.org/2001/XMLSchema-instance">
<wa:ProvisioningSection><wa:Version>1.0</wa:Version>
<LinuxProvisioningConfigurationSet xmlns="http://schemas.microsoft.com/windowsazure">
<ConfigurationSetType>LinuxProvisioningConfiguration</ConfigurationSetType><HostName>$host</HostName><UserName>$user</UserName>
<UserPassword>Only-4-this-Test</UserPassword><DisableSshPasswordAuthentication>false</DisableSshPasswordAuthentication>
</LinuxProvisioningConfigurationSet></wa:ProvisioningSection>
<wa:PlatformSettingsSection><wa:Version>1.0</wa:Version>
<PlatformSettings xmlns="http://schemas.microsoft.com/windowsazure"><ProvisionGuestAgent>true</ProvisionGuestAgent></PlatformSettings>
</wa:PlatformSettingsSection></Environment>
XML
xorriso -as mkisofs -quiet -J -r -V rd_rdfe_stable -o "$work/dvd.iso" "$work/dvd" 2>/dev/null

# boot DISK FIRMWARE: until the prompt and some time for the agents, then the power button; the serial console goes to $work/serial.
boot() {
    local disk=$1 machine=() monitor=$work/monitor end
    rm -f "$monitor"
    : >"$work/serial"
    if [ "$2" = uefi ]; then
        cp /usr/share/OVMF/OVMF_VARS_4M.fd "$work/vars.fd"
        # shellcheck disable=SC2054  # QEMU's own commas
        machine=(-machine q35,smm=off -drive "if=pflash,format=raw,readonly=on,file=/usr/share/OVMF/OVMF_CODE_4M.fd"
            -drive "if=pflash,format=raw,file=$work/vars.fd")
    fi
    qemu-system-x86_64 -accel tcg,thread=multi,tb-size=512 -cpu max -m 1024 -smp 2 -nodefaults -display none -no-reboot "${machine[@]}" \
        -drive "if=none,id=os,file=$disk,format=raw,cache=unsafe,discard=unmap" -device virtio-blk-pci,drive=os,bootindex=0 \
        -device virtio-scsi-pci,id=scsi -drive "if=none,id=dvd,media=cdrom,readonly=on,file=$work/dvd.iso" -device scsi-cd,drive=dvd,bus=scsi.0 \
        -smbios "type=3,manufacturer=Microsoft Corporation,asset=7783-7084-3265-9085-8269-3286-77" \
        -smbios "type=1,manufacturer=Microsoft Corporation,product=Virtual Machine,uuid=0f0e0d0c-1b2a-4c6d-9e8f-a0b1c2d3e4f5" \
        -device virtio-rng-pci -netdev user,id=net,restrict=on -device virtio-net-pci,netdev=net,romfile= \
        -serial "file:$work/serial" -monitor "unix:$monitor,server,nowait" 2>"$work/qemu.err" &
    qemu=$!
    end=$((SECONDS + 420))
    until grep -aqE "$host login:" "$work/serial"; do
        if ! kill -0 $qemu 2>/dev/null || [ $SECONDS -ge $end ]; then
            tail -5 "$work/serial" "$work/qemu.err" >&2
            kill $qemu 2>/dev/null || true
            wait $qemu 2>/dev/null || true
            qemu=''
            return 1
        fi
        sleep 1
    done
    # The agents may still be at work behind the prompt.
    sleep 15
    python3 - "$monitor" <<'P'
import socket, sys
with socket.socket(socket.AF_UNIX) as monitor:
    monitor.connect(sys.argv[1])
    monitor.sendall(b"system_powerdown\n")
    monitor.settimeout(2)
    try:
        while monitor.recv(4096):
            pass
    except TimeoutError:
        pass
P
    end=$((SECONDS + 180))
    while kill -0 $qemu 2>/dev/null; do
        [ $SECONDS -lt $end ] || { echo "it does not power off" >&2; kill $qemu; }
        sleep 1
    done
    wait $qemu || true
    qemu=''
}

failed=0
say() { printf '%s\n' "$*"; }
wrong() { say "  WRONG: $*"; failed=1; }
for disk in "${disks[@]}"; do
    name=$(basename "${disk%.*}")
    say "$name"
    "$vhdkit" inspect --format json "$disk" >"$work/before.json"
    options=()
    while read -r person; do
        options+=(--remove-user "$person")
    done < <(jq -r '.disks[0].os.linux.accounts.users[]? | select(.person) | .name' "$work/before.json")
    old_id=$(jq -r '.disks[0].os.linux.identity.machine_id.id // empty' "$work/before.json")
    out=$work/out
    rm -rf "$out"
    if ! "$vhdkit" generalize "$disk" -o "$out" "${options[@]}" >"$work/report" 2>&1; then
        cat "$work/report"
        wrong "it was not generalized"
        continue
    fi
    prepared=("$out"/*.vhd)
    generations=$(jq -r '.disks[0].boot.generations // [] | map(if . == 1 then "bios" else "uefi" end) | join(" ")' "$work/before.json")
    for kind in ${firmware:-$generations}; do
        # QEMU takes the disk without the footer.
        size=$(jq -r '.disks[0].virtual_size' "$out/manifest.json")
        cp --sparse=always "${prepared[0]}" "$work/running.raw"
        truncate -s "$size" "$work/running.raw"
        began=$SECONDS
        if ! boot "$work/running.raw" "$kind"; then
            wrong "$kind: no prompt of $host"
            [ -z "$keep" ] || { mkdir -p "$keep"; cp "$work/serial" "$keep/$name-$kind.serial"; }
            continue
        fi
        say "  $kind: prompt, provisioned and powered off after $((SECONDS - began)) s"
        [ -z "$keep" ] || { mkdir -p "$keep"; cp "$work/serial" "$keep/$name-$kind.serial"; cp --sparse=always "$work/running.raw" "$keep/$name-$kind.raw"; }
        id=$("$vhdkit" cat "$work/running.raw" /etc/machine-id 2>/dev/null || true)
        [[ $id =~ ^[0-9a-f]{32}$ ]] || wrong "$kind: machine id '$id'"
        [ "$id" != "$old_id" ] || wrong "$kind: the machine id is still that of the source"
        "$vhdkit" ls "$work/running.raw" /etc/ssh >"$work/ssh" || true
        grep -q 'ssh_host_.*_key$' "$work/ssh" || wrong "$kind: no host keys"
        [ "$("$vhdkit" cat "$work/running.raw" /etc/hostname)" = "$host" ] || wrong "$kind: host name $("$vhdkit" cat "$work/running.raw" /etc/hostname)"
        "$vhdkit" cat "$work/running.raw" /etc/passwd >"$work/passwd"
        grep -q "^$user:" "$work/passwd" || wrong "$kind: no user $user"
        "$vhdkit" inspect --format json "$work/running.raw" >"$work/after.json" || true
        unclean=$(jq -c '[.disks[0].partitions[]?, .disks[0].volumes[]?] | map(select(.content.clean == false) | .number // .name)' "$work/after.json")
        [ "$unclean" = "[]" ] || wrong "$kind: left in disorder: $unclean"
    done
done
exit $failed
