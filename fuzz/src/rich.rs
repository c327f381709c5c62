//! A Linux that has every file that is read: each is short, and there so that inputs can give it other content.

use crate::linux::Guest;
use crate::linux_healthy;

/// On ext4 and ext2, whose files' sizes inputs can change too.
pub const RECIPES: &[(&str, u64, &str)] = &[
    ("rich-ext4", 24, "mke2fs -q -F -t ext4 -O ^metadata_csum -U 5f1f5c39-6f3b-4f0a-9a51-3a1d6f1f7c11 -d {tree} {}"),
    ("rich-ext2", 24, "mke2fs -q -F -t ext2 -U 5f1f5c39-6f3b-4f0a-9a51-3a1d6f1f7c11 -d {tree} {}"),
];

/// Files that the healthy guest lacks, and what stands in them.
const FILES: &[(&str, &str)] = &[
    ("/boot/grub/grubenv", "# GRUB Environment Block\nsaved_entry=0\n####\n"),
    ("/boot/grub/custom.cfg", "menuentry x { linux /boot/vmlinuz root=/dev/sda1 }\n"),
    ("/boot/grub/menu.lst", "default 0\ntitle x\nkernel /vmlinuz root=/dev/sda1\n"),
    ("/boot/extlinux/extlinux.conf", "default l0\nlabel l0\n kernel /vmlinuz\n append root=/dev/sda1\n"),
    ("/boot/loader/entries/a.conf", "title x\nversion 6.1\nlinux /vmlinuz\noptions root=/dev/sda1 console=ttyS0\n"),
    ("/boot/loader/loader.conf", "default a\n"),
    ("/etc/crypttab", "root UUID=4f1f5c39-6f3b-4f0a-9a51-3a1d6f1f7c11 none luks\n"),
    ("/etc/default/grub.d/50-cloudimg-settings.cfg", "GRUB_CMDLINE_LINUX_DEFAULT=\"console=ttyS0\"\n"),
    ("/etc/kernel/cmdline", "root=/dev/sda1 console=ttyS0\n"),
    ("/etc/kernel/install.conf", "layout=bls\n"),
    ("/etc/dracut.conf", "hostonly=\"no\"\n"),
    ("/etc/dracut.conf.d/a.conf", "add_drivers+=\" hv_vmbus hv_netvsc \"\n"),
    ("/etc/mkinitcpio.conf", "MODULES=(hv_storvsc)\nHOOKS=(base udev)\n"),
    ("/etc/mkinitfs/mkinitfs.conf", "features=\"ata base scsi ext4\"\n"),
    ("/etc/modprobe.d/a.conf", "blacklist hv_netvsc\ninstall floppy /bin/true\nalias a b\n"),
    ("/etc/modules-load.d/a.conf", "hv_vmbus\n"),
    ("/etc/modules", "loop\n"),
    ("/etc/lvm/lvm.conf", "devices { filter=[ \"a|.*|\" ] }\n"),
    ("/etc/lvm/devices/system.devices", "VERSION=1.1.1\n"),
    (
        "/etc/netplan/50-cloud-init.yaml",
        "network:\n version: 2\n ethernets:\n  eth0:\n   dhcp4: true\n   match: {macaddress: \"00:0d:3a:00:00:01\"}\n",
    ),
    ("/etc/NetworkManager/NetworkManager.conf", "[main]\nplugins=keyfile\n"),
    ("/etc/NetworkManager/conf.d/a.conf", "[device]\nunmanaged-devices=driver:mlx5_core\n"),
    ("/etc/NetworkManager/system-connections/a.nmconnection", "[connection]\nid=a\ntype=ethernet\n[ipv4]\nmethod=auto\n"),
    ("/etc/sysconfig/network-scripts/ifcfg-eth0", "DEVICE=eth0\nBOOTPROTO=dhcp\nHWADDR=00:0d:3a:00:00:01\n"),
    ("/etc/sysconfig/network/ifcfg-eth0", "BOOTPROTO='dhcp'\n"),
    ("/etc/sysconfig/network/dhcp", "DHCLIENT_SET_HOSTNAME=\"yes\"\n"),
    ("/etc/sysconfig/network/config", "NETCONFIG_DNS_POLICY=\"auto\"\n"),
    ("/etc/sysconfig/network", "HOSTNAME=web-prod-01\n"),
    ("/etc/sysconfig/kernel", "INITRD_MODULES=\"hv_vmbus\"\n"),
    ("/etc/sysconfig/bootloader", "DEFAULT_APPEND=\"console=ttyS0\"\n"),
    ("/etc/systemd/network/10-a.network", "[Match]\nName=eth0\nMACAddress=00:0d:3a:00:00:01\n[Network]\nDHCP=yes\n"),
    ("/etc/systemd/network/10-a.link", "[Match]\nDriver=hv_netvsc\n[Link]\nName=lan0\n"),
    ("/etc/udev/rules.d/70-persistent-net.rules", "SUBSYSTEM==\"net\", ATTR{address}==\"00:0d:3a:00:00:01\", NAME=\"eth0\"\n"),
    ("/etc/udev/rules.d/68-azure-sriov-nm-unmanaged.rules", "SUBSYSTEM==\"net\", DRIVERS==\"hv_pci\", ENV{NM_UNMANAGED}=\"1\"\n"),
    ("/etc/ssh/sshd_config.d/50-cloud-init.conf", "PasswordAuthentication yes\n"),
    ("/etc/pam.d/common-auth", "auth required pam_unix.so nullok\n"),
    ("/etc/doas.conf", "permit nopass :wheel\n"),
    ("/etc/cloud/ds-identify.cfg", "policy: search,found=all\n"),
    (
        "/etc/cloud/cloud.cfg.d/99-installer.cfg",
        "datasource:\n  None:\n    userdata_raw: |\n      #cloud-config\n      users: [{name: a, passwd: x}]\n",
    ),
    ("/etc/cloud/cloud.cfg.d/subiquity-disable-cloudinit-networking.cfg", "network: {config: disabled}\n"),
    ("/var/lib/cloud/seed/nocloud/user-data", "#cloud-config\nchpasswd: {list: \"a:b\"}\n"),
    ("/var/lib/waagent/ovf-env.xml", "<Environment><UserName>azureuser</UserName></Environment>\n"),
    ("/var/lib/waagent/provisioned", "\n"),
    ("/var/lib/rpm/rpmdb.sqlite", "SQLite format 3\0"),
    ("/var/lib/rpm/Packages.db", "RpmP"),
    ("/var/lib/rpm/Packages", "\0\0\0\0\0\0\0\0\0\0\0\0\x61\x15\x06\0"),
    ("/lib/apk/db/installed", "P:alpine-base\nV:3.20\n\n"),
    ("/var/lib/pacman/local/linux-6.1-1/desc", "%NAME%\nlinux\n\n%VERSION%\n6.1-1\n\n"),
    ("/var/lib/systemd/random-seed", "0123456789abcdef"),
    ("/var/lib/dhcp/dhclient.eth0.leases", "lease { interface \"eth0\"; }\n"),
    ("/var/log/installer/autoinstall-user-data", "autoinstall: {identity: {password: x}}\n"),
    ("/etc/yum.conf", "[main]\nproxy=http://a:b@c/\n"),
    ("/etc/dnf/dnf.conf", "[main]\n"),
    ("/etc/yum.repos.d/a.repo", "[a]\nbaseurl=http://x/\n"),
    ("/etc/zypp/repos.d/a.repo", "[a]\nbaseurl=http://x/\n"),
    ("/etc/apt/sources.list.d/a.sources", "Types: deb\nURIs: http://x/\n"),
    ("/etc/selinux/config", "SELINUX=enforcing\nSELINUXTYPE=targeted\n"),
    ("/etc/resolv.conf", "nameserver 168.63.129.16\n"),
    ("/etc/redhat-release", "Red Hat Enterprise Linux release 9.4 (Plow)\n"),
    ("/etc/SuSE-release", "SUSE Linux Enterprise Server 11 (x86_64)\nVERSION = 11\n"),
    ("/etc/lsb-release", "DISTRIB_ID=Ubuntu\nDISTRIB_RELEASE=22.04\n"),
    ("/etc/alpine-release", "3.20.1\n"),
    ("/etc/conf.d/hostname", "hostname=\"a\"\n"),
    ("/etc/inittab", "ttyS0::respawn:/sbin/getty ttyS0\n"),
    ("/etc/securetty", "ttyS0\n"),
    ("/etc/gshadow", "root:*::\nazureuser:!::\n"),
    ("/etc/subuid", "azureuser:100000:65536\n"),
    ("/etc/subgid", "azureuser:100000:65536\n"),
    ("/etc/aliases", "root: azureuser\n"),
    ("/etc/mailname", "web-prod-01\n"),
    ("/etc/krb5.keytab", "x"),
    ("/etc/iscsi/initiatorname.iscsi", "InitiatorName=iqn.1993-08.org.debian:01:abc\n"),
    ("/etc/nvme/hostid", "x\n"),
    ("/etc/hosts.allow", "x\n"),
    ("/etc/dhcp/dhclient.conf", "send host-name = gethostname();\n"),
    ("/etc/dhcpcd.conf", "hostname\n"),
    ("/etc/systemd/system/a.service", "[Unit]\nAfter=b.service\n[Service]\nExecStart=/bin/true\n[Install]\nWantedBy=multi-user.target\n"),
    ("/etc/systemd/system/ssh.service.d/a.conf", "[Service]\nEnvironment=A=b \"C=d e\"\n"),
    ("/etc/systemd/system/dev-sdb1.swap", "[Swap]\nWhat=/dev/sdb1\n"),
    ("/etc/systemd/system/data.mount", "[Mount]\nWhat=/dev/sdc1\nWhere=/data\n"),
    ("/root/.ssh/authorized_keys", "ssh-ed25519 AAAA root\n"),
    ("/root/.bash_history", "ls\n"),
    ("/home/azureuser/.bash_history", "ls\n"),
    ("/var/spool/cron/crontabs/azureuser", "* * * * * x\n"),
    ("/var/mail/azureuser", "x\n"),
    ("/var/log/waagent.log", "x\n"),
    ("/var/log/cloud-init.log", "x\n"),
];

/// One machine, with a user.
pub fn guest() -> Guest {
    let mut guest = linux_healthy::specialized();
    for (path, text) in FILES {
        guest.root.retain(|there, _| !there.starts_with(&format!("{path}/")) && there != path);
        // `/lib` is a link.
        let path = if path.starts_with("/lib/") { format!("/usr{path}") } else { (*path).to_owned() };
        if guest
            .root
            .keys()
            .any(|there| path.starts_with(&format!("{there}/")) && matches!(guest.root[there], crate::linux::Node::File(..)))
        {
            continue;
        }
        guest.file(&path, text);
    }
    guest
}
