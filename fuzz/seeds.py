#!/usr/bin/env python3
"""Writes small seeds for every target: fuzz/seeds.py DIRECTORY [DISKS]

All is made here from nothing, but for what stands in DISKS (fuzz/disks, made when `guest` starts for the first time): hives, a boot loader
and a kernel of the guests that the tests make.
"""
import bz2, gzip, lzma, os, shutil, sqlite3, struct, subprocess, sys, tempfile

out = sys.argv[1]
disks = sys.argv[2] if len(sys.argv) > 2 else None
counts = {}


def seed(target, data):
    counts[target] = counts.get(target, 0) + 1
    os.makedirs(f"{out}/{target}", exist_ok=True)
    with open(f"{out}/{target}/seed-{counts[target]:03}", "wb") as file:
        file.write(data)


# Texts: the first byte says which parser. What is behind the first line is the second text of those that take two.
YAML = """network:
  version: 2
  ethernets:
    eth0: {dhcp4: true, match: {macaddress: "00:0d:3a:00:00:01"}, set-name: eth0}
  bonds: &b {bond0: {interfaces: [eth0]}}
users:
  - default
  - {name: ada, passwd: "$6$x", ssh_authorized_keys: [ssh-rsa AAAA], sudo: ALL}
chpasswd: {list: |
    ada:x
  }
datasource_list: [ Azure, None ]
merge_how: [{name: list, settings: [append]}]
x: *b
"""
GRUB = """set default="0"\x01if [ -s $prefix/grubenv ]; then\x01  load_env\x01fi\x01if [ "${next_entry}" ] ; then set default="${next_entry}"; else set default=1; fi
function f { set root=(hd0,1); }
"""
SCRIPT = """set default="${saved_entry}"
if [ x$feature_default_font_path = xy ] ; then
  font=unicode
elif [ -f ($root)/boot/x -o ! -e /y ]; then
  insmod part_gpt
fi
for i in a b c; do echo $i; done
while false; do true; done
function savedefault { saved_entry="${chosen}"; save_env saved_entry; }
search --no-floppy --fs-uuid --set=root 4f1f5c39-6f3b-4f0a-9a51-3a1d6f1f7c11
menuentry 'Debian' --class debian --id 'gnulinux-simple' $menuentry_id_option {
  linux /vmlinuz-6.1 root=UUID=x ro console=ttyS0,115200n8
  initrd /initrd.img-6.1
}
submenu 'More' { menuentry 'Old' --users "" { linux16 /vmlinuz-5.10; } }
blscfg
configfile $prefix/custom.cfg
source /boot/grub/x.cfg
"""
TEXTS = {
    0: ["root:x:0:0:root:/root:/bin/bash\nada:x:1000:1000:Ada,,,:/home/ada:/bin/bash\n+@nis::::::\n"],
    1: ["root:*:20000:0:99999:7:::\nada:$6$a$b:20000:0:99999:7::20100:\nx:!!:::::::\n"],
    2: ["root:x:0:\nsudo:x:27:ada,eve\n"],
    3: ["UID_MIN\nUID_MIN 1000\nUID_MAX 60000\n", "passwd\npasswd: files [!UNAVAIL=return] systemd\nshadow: files\n",
        "x\nssh-rsa AAAA a\ncommand=\"ls \\\"x\\\"\",no-pty ssh-ed25519 AAAA b\n"],
    4: ["title Fedora\nversion 6.1\nmachine-id 8f3c\nlinux /vmlinuz\ninitrd /a\ninitrd /b\noptions root=/dev/sda1 $kernelopts\ngrub_users x\nsort-key a\n"],
    5: ["default a*.conf\ntimeout 3\nconsole-mode keep\n"],
    6: ["a*[0-9]?.conf\nab1c.conf", "6.1.0-10~rc1^x\n6.1.0-9", "a{b,c}*[!x-z]\nabq"],
    7: ["policy\npolicy: search,found=all,maybe=none,notfound=disabled\ndatasource: Azure\n"],
    8: [YAML],
    9: ["a: [1, 2]\na: {b: 1}\nc: d\n"],
    10: ["BOOT_IMAGE=/vmlinuz root=UUID=x ro console=tty0 console=ttyS0,115200n8 \"a b=c d\" module_blacklist=a,b rd.driver.blacklist=c -- init\n"],
    11: ["root UUID=x none luks,discard\nswap /dev/sda3 /dev/urandom swap,cipher=aes\n"],
    12: ["UUID=x / ext4 defaults,errors=remount-ro 0 1\n/dev/sdb1 /mnt\\040x auto nofail,comment=cloudconfig 0 2\nLABEL=\"a b\" none swap sw\n"],
    13: ["HOSTNAME\n8f3c1d2e4b5a69788796a5b4c3d2e1f0\n", "hostname\nHOSTNAME='a'\nhostname=\"b\" # c\n127.0.1.1 web web.example\n", "uninitialized\n"],
    14: ["[main]\nplugins = keyfile,ifcfg-rh\n# c\n[a b]\nx: y\n  more\n"],
    15: ["MODULES=(hv_vmbus \"hv_netvsc\")\nHOOKS+=(base udev)\nadd_drivers+=\" a b \"\nCOMPRESS=zstd\n", "hv_vmbus\n# c\nnvme x=1\n"],
    16: ["blacklist a-b\ninstall floppy /bin/true\noptions x y=1 \\\n z\nalias net-pf-10 off\nsoftdep a pre: b post: c\nremove x /bin/false\n"],
    17: ["kernel/a/b-c.ko.xz: kernel/d.ko kernel/e.ko.zst\nkernel/f.ko:\n"],
    18: ["DEVICE=eth0\nBOOTPROTO=\"dhcp\"\nHWADDR=00:0D:3A:00:00:01\nONBOOT=yes\nIPADDR0=1.2.3.4\nNM_CONTROLLED='no'\n"],
    19: ["[connection]\nid=a\ntype=ethernet\ninterface-name=eth0\nautoconnect=true\n[ethernet]\nmac-address=00:0D:3A:00:00:01\n[ipv4]\nmethod=auto\naddress1=1.2.3.4/24,1.2.3.1\n"],
    20: ["auto lo eth0\niface lo inet loopback\nallow-hotplug eth0\niface eth0 inet static\n  address 1.2.3.4\n  hwaddress ether 00:0d:3a:00:00:01\nsource /etc/network/interfaces.d/*\nmapping eth0 \\\n  script x\niface eth0 inet6 auto\n"],
    21: ["[Match]\nName=eth* !lo\nMACAddress=00:0d:3a:00:00:01\nDriver=hv_netvsc\n[Network]\nDHCP=ipv4\nAddress=1.2.3.4/24\n[Link]\nNamePolicy=keep kernel\nName=x\nUnmanaged=yes\n"],
    22: ["NAME=\"Debian GNU/Linux\"\nVERSION_ID='12'\nID=debian\nID_LIKE=\"a b\"\nPRETTY_NAME=\"a\\\"b\\$c\"\nX=$'q'\n"],
    23: ["Red Hat Enterprise Linux Server release 7.9 (Maipo)\n", "SUSE Linux Enterprise Server 11 (x86_64)\nVERSION = 11\nPATCHLEVEL = 4\n", "DISTRIB_ID=Ubuntu\nDISTRIB_RELEASE=22.04\n"],
    24: ["<?xml version=\"1.0\"?><Environment xmlns=\"x\"><wa:ProvisioningSection><UserName>a&amp;b</UserName></wa:ProvisioningSection></Environment>"],
    25: ["1:2.3~rc1-4+deb12u1\n2.3-4ubuntu1", "1.2.3_alpha1_p2-r3\n1.2.3_rc-r0", "2:4.18.0-553.el8_10^x~y\n4.18.0"],
    26: ["Package: linux-image-6.1\nStatus: install ok installed\nArchitecture: amd64\nVersion: 6.1.192-2\nDescription: x\n more\n\nPackage: b\nStatus: deinstall ok config-files\n\n"],
    27: ["C:Q1\nP:alpine-base\nV:3.20.1-r0\nA:x86_64\n\nP:b\nV:1\n\n"],
    28: ["%NAME%\nlinux\n\n%VERSION%\n6.1-1\n\n", "__VERSION__\n__VERSION__ = \"22.4.2\"\n_P = '22'\n"],
    29: ["PasswordAuthentication no\nPermitRootLogin \"prohibit-password\"\nMatch User ada,!eve Address 1.2.3.0/24\n  PasswordAuthentication yes\nInclude /etc/ssh/sshd_config.d/*.conf\n"],
    30: ["Defaults:ada !requiretty\nUser_Alias A = ada, %wheel\nada ALL=(ALL:ALL) NOPASSWD: ALL, !/bin/sh\n@includedir /etc/sudoers.d\n#include /x\n%sudo ALL=(ALL) \\\n ALL\n"],
    31: ["DEFAULT l0\nTIMEOUT 10\nSERIAL 0 115200\nLABEL l0\n MENU LABEL x\n KERNEL /vmlinuz\n APPEND root=/dev/sda1\n INITRD /i\nINCLUDE x.cfg\n",
         "default 0\ntimeout 5\nserial --unit=0\ntitle x\n root (hd0,0)\n kernel /vmlinuz root=/dev/sda1\n initrd /i\n"],
    32: ["[Unit]\nAfter=a.service \\\n b.service\n; c\n[Service]\nEnvironment=\"A=b c\" D=e\n[Install]\nWantedBy=multi-user.target\nAlias=x.service\nAlso=y.service\n"],
    33: ["6.1.0-10-cloud-amd64\n6.1.0-9", "5.14.0-427.el9.x86_64\n5.15"],
    34: ["Provisioning.Agent=auto\nResourceDisk.Format = y # c\n#X=y\nOS.RootDeviceScsiTimeout=300\n"],
    35: ["\\SystemRoot\\System32\\drivers\\storvsc.sys\nstorvsc", "\\??\\C:\\Windows\\system32\\x.sys\nx", "%SystemRoot%\\x.exe -k\nx",
         "v2.31|Action=Allow|Active=TRUE|Dir=In|Protocol=6|Profile=Public|LPort=3389|LPort2_10=80-90|RA4=LocalSubnet|RA42=IntErnet|App=%SystemRoot%\\x.exe|Name=@x,-1|"],
    36: ["DMIO:ID:0123456789abcdef", "\\DosDevices\\C:"],
    37: [GRUB], 38: [SCRIPT], 39: ["# GRUB Environment Block\n# GRUB Environment Block\nsaved_entry=1\nkernelopts=root=/dev/sda1\n####"],
    40: ["GRUB_CMDLINE_LINUX=\"console=ttyS0 $X\"\nGRUB_DEFAULT='saved'\nX=`id`\nif true; then Y=1; fi\nGRUB_CMDLINE_LINUX=\"${GRUB_CMDLINE_LINUX} a\\\nb\"\n"],
    41: ["ada ALL=(ALL) ALL\nUser_Alias A = ada, eve\nDefaults:ada x\n#1000 ALL=ALL\n", "ada:x:1000:1000::/home/ada:/bin/sh\r\nsudo:x:27:ada,a,eve\n"],
    42: ["/etc/modprobe.d\n/lib/modprobe.d", "a.conf\nb~"],
    43: ["2024-01-01 00:00:00, Error      [0x0f0043] SYSPRP x (0x80073cf2)\n2024-01-01, Info x\n", "[Unattend]\nSkip=1\n[a]\nb = c ; d\n"],
}
for choice, texts in TEXTS.items():
    for text in texts:
        seed("texts", bytes([choice]) + text.encode())
seed("texts", bytes([36]) + "\\??\\SCSI#Disk&Ven_Msft#x".encode("utf-16-le"))
seed("texts", bytes([36]) + bytes.fromhex("11223344") + (1 << 20).to_bytes(8, "little"))
seed("texts", bytes([36]) + struct.pack("<5I", 0x28, 1, 3, 9, 0) + struct.pack("<I", 9) + b"a:b@c:80;" + struct.pack("<I", 7) + b"<local>")
seed("texts", bytes([43]) + b"\xff\xfe" + "[Unattend]\r\nx=1\r\n".encode("utf-16-le"))

# Archives of an initramfs.


def newc(entries, magic=b"070701"):
    data = b""
    for name, mode, content in entries + [("TRAILER!!!", 0, b"")]:
        fields = [1, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(name) + 1, sum(content) if magic == b"070702" else 0]
        data += magic + b"".join(b"%08X" % field for field in fields) + name.encode() + b"\0"
        data += bytes(-len(data) % 4) + content
        data += bytes(-len(data) % 4)
    return data


TREE = [("usr", 0o40755, b""), ("usr/lib/modules/6.1/kernel/hv_vmbus.ko", 0o100644, b"\x7fELF" + bytes(40)), ("init", 0o120777, b"bin/sh"),
        ("usr/lib/modules/6.1/modules.builtin", 0o100644, b"kernel/a.ko\n"), ("usr/lib/modules/6.1/modules.dep", 0o100644, b"kernel/hv_vmbus.ko:\n"),
        ("etc/cmdline.d/x.conf", 0o100644, b"root=/dev/sda1\n"), ("usr/lib/modules/6.1/kernel/b.ko.gz", 0o100644, gzip.compress(b"\x7fELF", mtime=0))]
plain = newc(TREE)
packed = {"gzip": gzip.compress(plain, mtime=0), "xz": lzma.compress(plain, check=lzma.CHECK_CRC32), "lzma": lzma.compress(plain, lzma.FORMAT_ALONE), "bzip2": bz2.compress(plain)}
for name, command in {"zstd": ["zstd", "-q", "-c"], "lz4l": ["lz4", "-q", "-l", "-c"], "lz4": ["lz4", "-q", "-c"], "lzo": ["lzop", "-q", "-c"]}.items():
    if shutil.which(command[0]):
        packed[name] = subprocess.run(command, input=plain, stdout=subprocess.PIPE, check=True).stdout
seed("initramfs", plain)
seed("initramfs", newc(TREE, b"070702"))
early = newc([("kernel/x86/microcode/GenuineIntel.bin", 0o100644, bytes(16))])
for data in packed.values():
    seed("initramfs", data)
seed("initramfs", early + bytes(-len(early) % 512) + packed["gzip"] + packed["xz"])

# Binary files: the first byte says which.
kinds = {"gzip": 0, "bzip2": 1, "lzma": 2, "xz": 3, "lzo": 4, "lz4l": 5, "lz4": 6, "zstd": 7}
for name, data in packed.items():
    seed("binaries", bytes([7]) + data)
    seed("binaries", bytes([7, kinds[name]]) + data)
tags = [(1000, 6, b"kernel-core\0"), (1001, 6, b"5.14.0\0"), (1002, 6, b"427.el9\0"), (1003, 4, struct.pack(">I", 1)), (1022, 6, b"x86_64\0"), (1044, 6, b"k.src.rpm\0")]
store, index = b"", b""
for tag, kind, data in tags:
    store += bytes(-len(store) % 4) if kind == 4 else b""
    index += struct.pack(">4I", tag, kind, len(store), 1)
    store += data
header = struct.pack(">2I", len(tags), len(store)) + index + store
with tempfile.TemporaryDirectory() as home:
    for size, many in ((512, 2), (1024, 12)):
        path = f"{home}/{size}"
        base = sqlite3.connect(path)
        base.execute(f"PRAGMA page_size={size}")
        base.execute("CREATE TABLE Packages (hnum INTEGER PRIMARY KEY AUTOINCREMENT, blob BLOB NOT NULL)")
        base.execute("CREATE TABLE Name (key TEXT NOT NULL, hnum INTEGER NOT NULL, idx INTEGER NOT NULL)")
        base.executemany("INSERT INTO Packages (blob) VALUES (?)", [(header + bytes(600 if n == 1 else 0),) for n in range(many)])
        base.commit()
        base.close()
        seed("binaries", bytes([0]) + open(path, "rb").read())
    base = sqlite3.connect(f"{home}/wal")
    base.execute("PRAGMA page_size=512")
    base.execute("PRAGMA journal_mode=WAL")
    base.execute("CREATE TABLE Packages (hnum INTEGER PRIMARY KEY AUTOINCREMENT, blob BLOB NOT NULL)")
    base.execute("INSERT INTO Packages (blob) VALUES (?)", (header,))
    base.commit()
    main, log = open(f"{home}/wal", "rb").read(), open(f"{home}/wal-wal", "rb").read()
    size = max(len(main), len(log))
    seed("binaries", bytes([1]) + main.ljust(size, b"\0") + log.ljust(size, b"\0"))
    base.close()
    if shutil.which("db_load"):
        text = "VERSION=3\nformat=bytevalue\ntype=hash\ndb_pagesize=512\nHEADER=END\n 00000000\n 02000000\n"
        text += f" 01000000\n {header.hex()}\n 02000000\n {(header + bytes(900)).hex()}\nDATA=END\n"
        if subprocess.run(["db_load", f"{home}/bdb"], input=text.encode()).returncode == 0:
            seed("binaries", bytes([2]) + open(f"{home}/bdb", "rb").read())
slots = b"RpmP" + struct.pack("<7I", 0, 1, 1, 2, 0, 0, 0)
blocks = (16 + len(header) + 12 + 15) // 16
slots += b"Slot" + struct.pack("<3I", 1, 256, blocks)
slots += (b"Slot" + bytes(12)) * ((4096 - len(slots)) // 16)
blob = b"BlbS" + struct.pack("<3I", 1, 0, len(header)) + header
blob = blob.ljust(blocks * 16 - 12, b"\0") + struct.pack("<2I", 0, len(header)) + b"BlbE"
seed("binaries", bytes([3]) + slots + blob)
seed("binaries", bytes([6]) + b"\x7fELF\2\1\1" + bytes(9) + struct.pack("<2H", 2, 62) + bytes(40))
seed("binaries", bytes([6]) + struct.pack("<2HIQ", 0, 2, 0, 0) + bytes(76))

# Pieces of the tests' guests.
for name, target, choices in (("piece-efi", "binaries", (4,)), ("piece-kernel", "binaries", (4, 6)), ("hives/BCD", "hive", (0, 2)), ("hives/SAM", "hive", (0,)), ("hives/SECURITY", "hive", (2,))):
    if disks and os.path.exists(f"{disks}/{name}"):
        data = open(f"{disks}/{name}", "rb").read()
        for choice in choices:
            seed(target, bytes([choice]) + data[:32768])

# Patches: the healthy disk, one byte, a number, content for a file, another size.
for target, many in (("container", 9), ("volume", 28), ("guest", 9)):
    for which in range(many):
        for choice in (0, 1, 2, 3, 4):
            place = struct.pack("<I", 4099 * which + 77 * choice)
            seed(target, bytes([which, choice]) + (b"" if choice == 0 else bytes([8 * choice]) + place + bytes([choice] * (choice + 1))))
        seed(target, bytes([which, 3, 7]) + struct.pack("<I", 40) + b"\x35")
        seed(target, bytes([which, 2, 6]) + struct.pack("<i", -3))
        seed(target, bytes([which, 5, 3]) + struct.pack("<2H", 5 * which, 12) + b"a: b\nc = d\n#")
        seed(target, bytes([which, 0, 5]) + struct.pack("<2I", 600, 9000))

# Disks: nothing, a table, a footer alone.
mbr = bytearray(512)
mbr[446:462] = b"\x80\xfe\xff\xff\x83\xfe\xff\xff\x01\x00\x00\x00\x04\x00\x00\x00"
mbr[510:] = b"\x55\xaa"
seed("disk", bytes(1025))
seed("disk", bytes(mbr) + bytes(2048))
footer = b"conectix" + struct.pack(">IIQI4sI4sQQHBBI", 2, 0x10000, 2**64 - 1, 0, b"win ", 0xa0000, b"Wi2k", 2048, 2048, 0, 4, 17, 2)
footer = (footer + bytes(4) + bytes([7] * 16)).ljust(512, b"\0")
footer = footer[:64] + struct.pack(">I", ~sum(footer) & 0xffffffff) + footer[68:]
seed("disk", bytes(mbr) + bytes(1536) + footer)
