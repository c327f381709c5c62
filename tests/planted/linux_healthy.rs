//! The healthy guests.

use super::linux::{ESP_UUID, Guest, RELEASE, ROOT_UUID, efi, elf, kernel, module};

/// Modules of the kernel, and whether the initramfs has them too.
const MODULES: &[(&str, bool)] = &[
    ("kernel/drivers/hv/hv_vmbus.ko", true),
    ("kernel/drivers/scsi/hv_storvsc.ko", true),
    ("kernel/drivers/net/hyperv/hv_netvsc.ko", true),
    ("kernel/drivers/hv/hv_utils.ko", true),
    ("kernel/drivers/hv/hv_balloon.ko", false),
    ("kernel/drivers/pci/controller/pci-hyperv.ko", true),
    ("kernel/drivers/nvme/host/nvme.ko", true),
    ("kernel/drivers/nvme/host/nvme-core.ko", true),
    ("kernel/drivers/ata/ata_piix.ko", true),
    ("kernel/drivers/scsi/sd_mod.ko", true),
    ("kernel/drivers/scsi/sr_mod.ko", true),
    ("kernel/drivers/cdrom/cdrom.ko", true),
    ("kernel/drivers/net/ethernet/mellanox/mlx4/mlx4_core.ko", false),
    ("kernel/drivers/net/ethernet/mellanox/mlx4/mlx4_en.ko", false),
    ("kernel/drivers/net/ethernet/mellanox/mlx5/core/mlx5_core.ko", false),
    ("kernel/drivers/net/ethernet/microsoft/mana/mana.ko", false),
    ("kernel/fs/udf/udf.ko", false),
    ("kernel/fs/isofs/isofs.ko", false),
    ("kernel/fs/fat/vfat.ko", false),
    ("kernel/fs/fat/fat.ko", false),
    ("kernel/fs/ext4/ext4.ko", true),
];

const UNITS: &[&str] = &[
    "cloud-init-local.service",
    "cloud-init.service",
    "cloud-config.service",
    "cloud-final.service",
    "walinuxagent.service",
    "ssh.service",
    "networking.service",
    "chrony.service",
];

const PACKAGES: &[(&str, &str)] = &[
    ("chrony", "4.3-2+deb12u1"),
    ("cloud-guest-utils", "0.33-1"),
    ("cloud-init", "22.4.2-1+deb12u3"),
    ("gdisk", "1.0.9-2.1"),
    ("grub-efi-amd64-signed", "1+2.06+13+deb12u1"),
    ("hyperv-daemons", "6.1.192-2"),
    ("initramfs-tools", "0.142+deb12u3"),
    ("linux-image-6.1.0-56-cloud-amd64", "6.1.192-2"),
    ("openssh-server", "1:9.2p1-2+deb12u10"),
    ("openssl", "3.0.17-1~deb12u2"),
    ("parted", "3.5-3"),
    ("python3", "3.11.2-1+b1"),
    ("sudo", "1.9.13p3-1+deb12u2"),
    ("waagent", "2.12.0.2-1"),
];

const COMMAND_LINE: &str = "console=tty0 console=ttyS0,115200n8 earlyprintk=ttyS0,115200 nvme_core.io_timeout=240";

/// A template for many machines.
pub fn generalized() -> Guest {
    let mut guest = installed();
    guest.options = vec!["--as", "generalized"];
    guest
}

/// One machine, moved as it is.
pub fn specialized() -> Guest {
    let mut guest = installed();
    guest.options = vec!["--as", "specialized"];
    guest
        .file("/etc/machine-id", "8f3c1d2e4b5a69788796a5b4c3d2e1f0\n")
        .file("/etc/hostname", "web-prod-01\n")
        .file("/var/lib/cloud/data/instance-id", "5d0c8a3e-1f2b-4c6d-9e8f-a0b1c2d3e4f5\n")
        .append("/etc/passwd", "azureuser:x:1000:1000::/home/azureuser:/bin/bash\n")
        .append("/etc/group", "azureuser:x:1000:\n")
        .mode("/etc/shadow", "root:*:20000:0:99999:7:::\nazureuser:!:20000:0:99999:7:::\n", 0o640)
        .mode("/home/azureuser/.ssh/authorized_keys", "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFAKEFAKEFAKE azureuser\n", 0o600)
        .mode("/etc/sudoers.d/90-cloud-init-users", "azureuser ALL=(ALL) NOPASSWD:ALL\n", 0o440)
        .mode("/etc/ssh/ssh_host_ed25519_key", "not a key\n", 0o600)
        .file("/etc/ssh/ssh_host_ed25519_key.pub", "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFAKEFAKEFAKE root\n");
    guest
}

/// What both have.
fn installed() -> Guest {
    let mut guest = Guest { release: RELEASE.to_owned(), ..Guest::default() };
    system(&mut guest);
    boot(&mut guest);
    agents(&mut guest);
    for unit in UNITS {
        guest.enabled(unit);
    }
    for (name, version) in PACKAGES {
        guest.package(name, version);
    }
    guest
}

fn system(guest: &mut Guest) {
    for name in ["bin", "sbin", "lib"] {
        guest.link(&format!("/{name}"), &format!("usr/{name}"));
    }
    for path in ["/dev", "/proc", "/sys", "/run", "/tmp", "/var/tmp", "/home", "/root", "/boot/efi", "/var/log", "/var/lib/waagent", "/mnt"]
    {
        guest.directory(path);
    }
    for program in
        ["bin/sh", "bin/bash", "bin/env", "bin/login", "bin/openssl", "bin/growpart", "bin/cloud-init", "sbin/sshd", "sbin/parted"]
    {
        guest.program(&format!("/usr/{program}"), elf(2, 62));
    }
    for program in
        ["sbin/sfdisk", "bin/python3", "bin/sudo", "sbin/chpasswd", "sbin/useradd", "sbin/mkfs.ext4", "sbin/sgdisk", "lib/systemd/systemd"]
    {
        guest.program(&format!("/usr/{program}"), elf(2, 62));
    }
    let nobody = "nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n";
    guest
        .link("/usr/sbin/init", "/lib/systemd/systemd")
        .file(
            "/usr/lib/os-release",
            "PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nNAME=\"Debian GNU/Linux\"\nVERSION_ID=\"12\"\nID=debian\n",
        )
        .link("/etc/os-release", "../usr/lib/os-release")
        .file("/etc/debian_version", "12.11\n")
        .file("/etc/machine-id", "")
        .link("/var/lib/dbus/machine-id", "/etc/machine-id")
        .file("/etc/hostname", "localhost.localdomain\n")
        .file("/etc/hosts", "127.0.0.1 localhost\n::1 localhost ip6-localhost\n")
        .file("/etc/nsswitch.conf", "passwd: files systemd\ngroup: files systemd\nshadow: files\nhosts: files dns\n")
        .file("/etc/login.defs", "UID_MIN 1000\nUID_MAX 60000\n")
        .file("/etc/passwd", format!("root:x:0:0:root:/root:/bin/bash\ndaemon:x:1:1:daemon:/usr/sbin:/usr/sbin/nologin\n{nobody}"))
        .file("/etc/group", "root:x:0:\ndaemon:x:1:\nsudo:x:27:\nnogroup:x:65534:\n")
        .mode("/etc/shadow", "root:*LOCK*:20000:0:99999:7:::\ndaemon:*:20000:0:99999:7:::\nnobody:*:20000:0:99999:7:::\n", 0o640)
        .mode("/etc/sudoers", "Defaults env_reset\nroot ALL=(ALL:ALL) ALL\n%sudo ALL=(ALL:ALL) ALL\n@includedir /etc/sudoers.d\n", 0o440)
        .file("/etc/ssh/sshd_config", "ClientAliveInterval 180\nPasswordAuthentication no\nUsePAM yes\n")
        .file("/etc/network/interfaces", "auto lo\niface lo inet loopback\n\nallow-hotplug eth0\niface eth0 inet dhcp\n")
        .file("/etc/fstab", format!("UUID={ROOT_UUID} / ext4 defaults 0 1\nUUID={ESP_UUID} /boot/efi vfat umask=0077 0 1\n"))
        .file("/etc/chrony/chrony.conf", "refclock PHC /dev/ptp_hyperv poll 3 dpoll -2 offset 0 stratum 2\nmakestep 1.0 -1\n")
        .file("/etc/apt/sources.list", "deb http://deb.debian.org/debian bookworm main\n")
        .file("/usr/lib/udev/rules.d/66-azure-storage.rules", "ACTION!=\"add|change\", GOTO=\"azure_end\"\nLABEL=\"azure_end\"\n")
        .file("/usr/lib/udev/rules.d/99-azure-product-uuid.rules", "SUBSYSTEM==\"dmi\", RUN+=\"/bin/chmod 444 product_uuid\"\n")
        .file("/usr/lib/systemd/system/multi-user.target", "[Unit]\nDescription=Multi-User System\n")
        .file("/usr/lib/systemd/system/graphical.target", "[Unit]\nDescription=Graphical Interface\nRequires=multi-user.target\n")
        .link("/usr/lib/systemd/system/default.target", "graphical.target");
}

fn boot(guest: &mut Guest) {
    let modules = format!("/usr/lib/modules/{RELEASE}");
    guest
        .file(&format!("/boot/vmlinuz-{RELEASE}"), kernel(RELEASE))
        .file(
            &format!("/boot/config-{RELEASE}"),
            "CONFIG_64BIT=y\nCONFIG_HYPERV=m\nCONFIG_HYPERV_STORAGE=m\nCONFIG_HYPERV_NET=m\nCONFIG_UDF_FS=m\nCONFIG_EXT4_FS=m\n",
        )
        .file(&format!("{modules}/modules.builtin"), "kernel/fs/nls/nls_utf8.ko\n")
        .file(&format!("{modules}/modules.dep"), "")
        .file("/etc/initramfs-tools/modules", "hv_vmbus\nhv_storvsc\nhv_netvsc\nnvme\n")
        .file("/etc/initramfs-tools/initramfs.conf", "MODULES=most\nBUSYBOX=auto\nCOMPRESS=zstd\n");
    for (path, early) in MODULES {
        guest.module(path);
        if *early {
            guest.initramfs.insert(format!("usr/lib/modules/{RELEASE}/{path}"), module());
        }
    }
    guest.initramfs.insert("init".to_owned(), b"#!/bin/sh\n".to_vec());
    guest.initramfs.insert("scripts/functions".to_owned(), b"# initramfs-tools\n".to_vec());
    guest.initramfs.insert("conf/initramfs.conf".to_owned(), b"MODULES=most\n".to_vec());
    let kernel = format!("root=UUID={ROOT_UUID} ro {COMMAND_LINE}");
    guest
        .file(
            "/boot/grub/grub.cfg",
            format!(
                "set default=\"0\"\nserial --speed=115200 --unit=0 --word=8 --parity=no --stop=1\nterminal_input console serial\n\
                 terminal_output console serial\nset timeout=1\nmenuentry 'Debian GNU/Linux' --class debian {{\n\tinsmod part_gpt\n\
                 \tinsmod ext2\n\tsearch --no-floppy --fs-uuid --set=root {ROOT_UUID}\n\tlinux /boot/vmlinuz-{RELEASE} {kernel}\n\
                 \tinitrd /boot/initrd.img-{RELEASE}\n}}\n"
            ),
        )
        .file(
            "/etc/default/grub",
            format!(
                "GRUB_DEFAULT=0\nGRUB_TIMEOUT=1\nGRUB_CMDLINE_LINUX_DEFAULT=\"\"\nGRUB_CMDLINE_LINUX=\"{COMMAND_LINE}\"\n\
                 GRUB_TERMINAL=\"console serial\"\nGRUB_SERIAL_COMMAND=\"serial --speed=115200 --unit=0 --word=8 --parity=no --stop=1\"\n"
            ),
        );
    let shim = efi(0x8664, "shim", Some("Microsoft UEFI CA 2023"));
    let grub = efi(0x8664, "grub", Some("Debian Secure Boot CA"));
    let stub = format!("search.fs_uuid {ROOT_UUID} root\nset prefix=($root)'/boot/grub'\nconfigfile $prefix/grub.cfg\n");
    guest.esp.insert("/EFI/BOOT/BOOTX64.EFI".to_owned(), shim.clone());
    guest.esp.insert("/EFI/BOOT/grubx64.efi".to_owned(), grub.clone());
    guest.esp.insert("/EFI/debian/shimx64.efi".to_owned(), shim);
    guest.esp.insert("/EFI/debian/grubx64.efi".to_owned(), grub);
    guest.esp.insert("/EFI/debian/grub.cfg".to_owned(), stub.into_bytes());
}

fn agents(guest: &mut Guest) {
    let python = "/usr/lib/python3/dist-packages";
    guest
        .program("/usr/sbin/waagent", "#!/usr/bin/python3\n")
        .file(
            "/etc/waagent.conf",
            "Provisioning.Agent=cloud-init\nProvisioning.DeleteRootPassword=y\nResourceDisk.Format=n\nResourceDisk.EnableSwap=n\n\
             Logs.Verbose=n\nOS.RootDeviceScsiTimeout=300\nAutoUpdate.Enabled=y\nAutoUpdate.UpdateToLatestVersion=y\n",
        )
        .file(&format!("{python}/azurelinuxagent/common/version.py"), "AGENT_VERSION = '2.12.0.2'\n")
        .file(&format!("{python}/cloudinit/version.py"), "__VERSION__ = \"22.4.2\"\n_PACKAGED_VERSION = \"22.4.2-1+deb12u3\"\n")
        .program("/usr/lib/systemd/system-generators/cloud-init-generator", "#!/bin/sh\n")
        .file("/usr/lib/systemd/system/cloud-init.target", "[Unit]\nDescription=Cloud-init target\n")
        .file(
            "/etc/cloud/cloud.cfg",
            "users:\n - default\ndisable_root: true\nssh_deletekeys: true\ncloud_init_modules:\n - migrator\n - seed_random\n - mounts\n\
             \x20- disk_setup\n - growpart\n - resizefs\n - set_hostname\n - update_hostname\n - users-groups\n - ssh\nsystem_info:\n\
             \x20 distro: debian\n  default_user:\n    name: debian\n    lock_passwd: True\n",
        )
        .file("/etc/cloud/cloud.cfg.d/91-azure_datasource.cfg", "datasource_list: [ Azure ]\n")
        .file("/etc/cloud/cloud.cfg.d/05_logging.cfg", "output: {all: '| tee -a /var/log/cloud-init-output.log'}\n")
        .file("/etc/cloud/cloud.cfg.d/10-azure-kvp.cfg", "reporting:\n  logging:\n    type: log\n  telemetry:\n    type: hyperv\n");
}
