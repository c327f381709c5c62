#!/bin/bash
# Does a disk that was generalized here come up as a machine of its own? Takes minutes a disk, so nobody runs it by accident:
#
#     tests/boot.sh [--vhdkit PROGRAM] [--firmware bios,uefi] [--limit SECONDS] [--keep DIR] [--operations LIST] DISK...
#
#     --vhdkit PROGRAM    the program to try (target/release/vhdkit)
#     --firmware LIST     only these; by default whatever `inspect` says that the disk starts from
#     --limit SECONDS     the longest that one machine may take until it is provisioned (600)
#     --keep DIR          keep the serial log and the disk as it was after the boot
#     --operations LIST   as `generalize` takes it
#
# Each DISK, a specialized Linux that is only read, is generalized with every account of a person removed. What comes out is booted under
# QEMU (TCG: no KVM is asked for) as Azure would boot it: first generation from SeaBIOS, second from OVMF, with a provisioning DVD, the
# chassis asset tag by which the agents know Azure, and, where a network of its own can be had (unshare), a stand-in for Azure's wire
# server, without which the Linux agent provisions nothing. When the agent has told the console that it is done, the power button is
# pressed, and the disk is read: it must have a machine id, host keys, the host name and the user that the DVD names, no unit may have
# failed, and no file system may have been left in disorder. Needs qemu-system-x86, ovmf, xorriso, jq, python3, and a few GiB in TMPDIR.
#
# Ends with 0 when every boot came out so, 1 when one did not, 2 when it could not be tried, 3 when at the limit a machine was still
# coming up with nothing wrong so far.
set -euo pipefail
cd_from=$PWD
cd "$(dirname "$0")/.."
vhdkit=target/release/vhdkit firmware='' limit=600 keep='' disks=() more=()
while [ $# -gt 0 ]; do
    case $1 in
        --vhdkit) vhdkit=$2; shift 2 ;;
        --firmware) firmware=${2//,/ }; shift 2 ;;
        --limit) limit=$2; shift 2 ;;
        --keep) keep=$2; shift 2 ;;
        --operations) more=("--operations=$2"); shift 2 ;;
        -h | --help) sed -n '2,/^set /s/^# \{0,1\}//p' "$0"; exit 0 ;;
        -*) echo "boot.sh: unknown option $1" >&2; exit 2 ;;
        *) case $1 in /*) disks+=("$1") ;; *) disks+=("$cd_from/$1") ;; esac; shift ;;
    esac
done
[ ${#disks[@]} -gt 0 ] || { echo "boot.sh: which disks? See the head of this file" >&2; exit 2; }
for program in qemu-system-x86_64 xorriso jq python3 "$vhdkit"; do
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

# Plays as much of Azure's wire server as the agents ask for before they provision: versions, one goal state without certificates or
# extensions, and an ear for reports. It lives in the machine's own network, where the gateway's address leads to this loopback, and ends
# with the process that it was started beside.
cat >"$work/fabric.py" <<'P'
import fcntl, http.server, os, socket, struct, threading, time

GOAL_STATE = """<?xml version="1.0" encoding="utf-8"?>
<GoalState><Version>2012-11-30</Version><Incarnation>1</Incarnation><Machine><ExpectedState>Started</ExpectedState></Machine>
<Container><ContainerId>container</ContainerId><RoleInstanceList><RoleInstance><InstanceId>role</InstanceId><State>Started</State>
<Configuration><HostingEnvironmentConfig>http://168.63.129.16/hosting</HostingEnvironmentConfig>
<SharedConfig>http://168.63.129.16/shared</SharedConfig><ConfigName>role.xml</ConfigName></Configuration>
</RoleInstance></RoleInstanceList></Container></GoalState>"""
ANSWERS = {
    "/?comp=versions": "<?xml version=\"1.0\" encoding=\"utf-8\"?><Versions><Preferred><Version>2015-04-05</Version></Preferred>"
    "<Supported><Version>2015-04-05</Version><Version>2012-11-30</Version></Supported></Versions>",
    "/hosting": "<HostingEnvironmentConfig><Incarnation instance=\"vm\"/><Role name=\"role\"/><Deployment name=\"test\"/>"
    "</HostingEnvironmentConfig>",
    "/shared": "<SharedConfig/>",
}


class Fabric(http.server.BaseHTTPRequestHandler):
    def answer(self, status, text=""):
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/xml; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        text = GOAL_STATE if "goalstate" in self.path else ANSWERS.get(self.path)
        self.answer(404) if text is None else self.answer(200, text)

    def do_POST(self):
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.answer(202)

    do_PUT = do_POST

    def log_message(self, *_):
        pass


machine = os.getppid()
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
    # The loopback of a new network is down: SIOCSIFFLAGS, IFF_UP.
    fcntl.ioctl(any_socket, 0x8914, struct.pack("16sh14x", b"lo", 1))
for port in (80, 32526):
    threading.Thread(target=http.server.ThreadingHTTPServer(("127.0.0.1", port), Fabric).serve_forever, daemon=True).start()
while os.getppid() == machine:
    time.sleep(1)
P
own_network=(unshare --net --map-root-user)
if "${own_network[@]}" true 2>/dev/null; then
    network='user,id=net,net=168.63.129.0/24,host=168.63.129.16,dhcpstart=168.63.129.40,dns=168.63.129.17'
else
    echo "boot.sh: no network of its own can be had (unshare --net), so there is no stand-in for the wire server" >&2
    own_network=() network='user,id=net,restrict=on'
fi

# What the agents tell the console when a machine is set up: cloud-init, then the Azure Linux agent where it provisions.
provisioned='Cloud-init v.* finished at|Provisioning complete'

# boot DISK FIRMWARE: until it is provisioned and asks who is there, then the power button; the serial console goes to $work/serial.
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
    # By the version that Hyper-V has in SMBIOS, and without a hypervisor that names itself, systemd takes it for Hyper-V: Debian's unit of
    # the Linux agent starts nowhere else.
    # shellcheck disable=SC2016  # expanded by the inner shell
    "${own_network[@]}" bash -c 'if [ -n "$1" ]; then python3 "$1" & fi; shift; exec "$@"' boot "${own_network:+$work/fabric.py}" \
        qemu-system-x86_64 -accel tcg,thread=multi,tb-size=512 -cpu max,tcg-cpuid=off -m 1024 -smp 2 -nodefaults -display none -no-reboot "${machine[@]}" \
        -drive "if=none,id=os,file=$disk,format=raw,cache=unsafe,discard=unmap" -device virtio-blk-pci,drive=os,bootindex=0 \
        -device virtio-scsi-pci,id=scsi -drive "if=none,id=dvd,media=cdrom,readonly=on,file=$work/dvd.iso" -device scsi-cd,drive=dvd,bus=scsi.0 \
        -smbios "type=3,manufacturer=Microsoft Corporation,asset=7783-7084-3265-9085-8269-3286-77" \
        -smbios "type=1,manufacturer=Microsoft Corporation,product=Virtual Machine,version=Hyper-V UEFI Release v4.1,uuid=0f0e0d0c-1b2a-4c6d-9e8f-a0b1c2d3e4f5" \
        -device virtio-rng-pci -netdev "$network" -device virtio-net-pci,netdev=net,romfile= \
        -serial "file:$work/serial" -monitor "unix:$monitor,server,nowait" >"$work/qemu.err" 2>&1 &
    qemu=$!
    end=$((SECONDS + limit))
    until grep -aq ' login:' "$work/serial" && grep -aqE "$provisioned" "$work/serial"; do
        if ! kill -0 $qemu 2>/dev/null || [ $SECONDS -ge $end ]; then
            tail -n 5 "$work/serial" "$work/qemu.err" >&2
            kill $qemu 2>/dev/null || true
            wait $qemu 2>/dev/null || true
            qemu=''
            # Emulation on a busy machine is slow, and silent for minutes at times: that it hangs cannot be told before the limit was raised.
            [ $SECONDS -lt $end ] || return 3
            return 1
        fi
        sleep 1
    done
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

# What systemd tells of units that did not start and did not come up later either (sshd does where the Linux agent makes its keys), and
# what stands for a boot that went no further.
faults() {
    # A name that is shortened on the console is told by its beginning.
    sed -E 's/\x1b\[[0-9;]*[mK]//g; s/\r//g; s/…[^ ]*/…/' "$work/serial" | awk '
        match($0, /\[ *(FAILED|DEPEND|TIME) *\]/) && RSTART < 5 {
            line = substr($0, RSTART)
            unit = line
            sub(/.* (start|mount|for|up|out waiting for device) /, "", unit)
            sub(/( |…).*/, "", unit)
            if (!(unit in told)) order[++units] = unit
            told[unit] = line
        }
        match($0, /\[ *OK *\] (Started|Finished|Mounted|Stopped) /) {
            unit = substr($0, RSTART + RLENGTH)
            sub(/( |…).*/, "", unit)
            for (name in told) if (index(name, unit) == 1 || index(unit, name) == 1) delete told[name]
        }
        /Kernel panic|Give root password|emergency mode|^\(initramfs\)|^grub rescue/ { print }
        END { for (i = 1; i <= units; i++) if (order[i] in told) print told[order[i]] }' | sort -u
}

failed=0 slow=0
say() { printf '%s\n' "$*"; }
wrong() { say "  WRONG: $*"; failed=1; }
for disk in "${disks[@]}"; do
    name=$(basename "${disk%.*}")
    say "$name"
    "$vhdkit" inspect --format json "$disk" >"$work/before.json"
    options=("${more[@]}")
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
        came=0
        boot "$work/running.raw" "$kind" || came=$?
        faults >"$work/faults" || true
        while read -r fault; do
            wrong "$kind: $fault"
        done <"$work/faults"
        if [ -n "$keep" ]; then
            mkdir -p "$keep"
            cp "$work/serial" "$keep/$name-$kind.serial"
            cp --sparse=always "$work/running.raw" "$keep/$name-$kind.raw"
        fi
        if [ "$came" -eq 3 ] && [ ! -s "$work/faults" ]; then
            say "  $kind: still coming up after $limit s"
            slow=1
            continue
        elif [ "$came" -ne 0 ]; then
            wrong "$kind: neither a prompt nor the end of provisioning in $((SECONDS - began)) s"
            continue
        fi
        say "  $kind: prompt, provisioned and powered off after $((SECONDS - began)) s"
        id=$("$vhdkit" cat "$work/running.raw" /etc/machine-id 2>/dev/null || true)
        [[ $id =~ ^[0-9a-f]{32}$ ]] || wrong "$kind: machine id '$id'"
        [ "$id" != "$old_id" ] || wrong "$kind: the machine id is still that of the source"
        "$vhdkit" ls "$work/running.raw" /etc/ssh >"$work/ssh" || true
        grep -q 'ssh_host_.*_key$' "$work/ssh" || wrong "$kind: no host keys"
        while read -r key; do
            if old=$("$vhdkit" cat "$disk" "/etc/ssh/$key" 2>/dev/null) && [ "$old" = "$("$vhdkit" cat "$work/running.raw" "/etc/ssh/$key")" ]; then
                wrong "$kind: $key is still that of the source"
            fi
        done < <(sed -nE 's/.* (ssh_host_[^ ]*_key\.pub)$/\1/p' "$work/ssh")
        [ "$("$vhdkit" cat "$work/running.raw" /etc/hostname)" = "$host" ] || wrong "$kind: host name $("$vhdkit" cat "$work/running.raw" /etc/hostname)"
        "$vhdkit" cat "$work/running.raw" /etc/passwd >"$work/passwd"
        grep -q "^$user:" "$work/passwd" || wrong "$kind: no user $user"
        "$vhdkit" inspect --format json "$work/running.raw" >"$work/after.json" || true
        unclean=$(jq -c '[.disks[0].partitions[]?, .disks[0].volumes[]?] | map(select(.content.clean == false) | .number // .name)' "$work/after.json")
        [ "$unclean" = "[]" ] || wrong "$kind: left in disorder: $unclean"
    done
done
[ "$failed" -ne 0 ] || [ "$slow" -eq 0 ] || exit 3
exit $failed
