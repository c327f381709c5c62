//! Faults that keep a Linux from starting, or from being seen and repaired where it does not.

use super::linux::{ESP_UUID, Fault, Guest, RELEASE, ROOT_UUID, efi, elf, kernel};
use super::linux_healthy::{generalized, specialized};

const GRUB: &str = "/boot/grub/grub.cfg";
const DEFAULTS: &str = "/etc/default/grub";
const FSTAB: &str = "/etc/fstab";
const OS_RELEASE: &str = "/usr/lib/os-release";

/// A fault of a template.
const fn fault(name: &'static str, finds: &'static [&'static str], plant: fn(&mut Guest)) -> Fault {
    Fault { name, guest: generalized, plant, finds }
}

/// A fault of one machine.
const fn fault_of_one(name: &'static str, finds: &'static [&'static str], plant: fn(&mut Guest)) -> Fault {
    Fault { name, guest: specialized, plant, finds }
}

/// Takes a parameter from the kernel and from what the next configuration is made of.
fn without_parameter(guest: &mut Guest, parameter: &str) {
    guest.replace(GRUB, parameter, "").replace(DEFAULTS, parameter, "");
}

fn mount(guest: &mut Guest, line: &str) {
    guest.append(FSTAB, &format!("{line}\n"));
}

pub const DRIVERS: &[Fault] = &[
    fault("hv_storvsc is not in the initramfs", &["LNX001"], |g| {
        g.not_early("hv_storvsc");
    }),
    fault_of_one("hv_vmbus is not in the initramfs", &["LNX001"], |g| {
        g.not_early("hv_vmbus");
    }),
    fault("no initramfs is loaded", &["LNX001", "LNX050"], |g| {
        g.replace(GRUB, &format!("\tinitrd /boot/initrd.img-{RELEASE}\n"), "");
    }),
    fault("another kernel has no drivers", &["LNX101"], |g| {
        let other = "5.10.0-1-amd64";
        g.file(&format!("/boot/vmlinuz-{other}"), kernel(other))
            .file(&format!("/usr/lib/modules/{other}/modules.builtin"), "kernel/x.ko\n");
        g.file(&format!("/usr/lib/modules/{other}/modules.dep"), "kernel/drivers/hv/hv_vmbus.ko:\nkernel/drivers/scsi/hv_storvsc.ko:\n");
    }),
    fault("hv_netvsc is nowhere", &["LNX002"], |g| {
        g.without_module("hv_netvsc");
    }),
    fault("hv_netvsc may not load", &["LNX003"], |g| {
        g.file("/etc/modprobe.d/no.conf", "install hv_netvsc /bin/true\n");
    }),
    fault("the initramfs forbids hv_storvsc", &["LNX003"], |g| {
        g.initramfs.insert("etc/modprobe.d/no.conf".to_owned(), b"install hv_storvsc /bin/false\n".to_vec());
    }),
    fault("the command line forbids hv_storvsc", &["LNX003"], |g| {
        g.parameters("modprobe.blacklist=hv_storvsc");
    }),
    fault("a narrow initramfs does not name the drivers", &["LNX004"], |g| {
        g.replace("/etc/initramfs-tools/initramfs.conf", "MODULES=most", "MODULES=dep").file("/etc/initramfs-tools/modules", "nvme\n");
    }),
    fault("a kernel before 2.6.37", &["LNX005"], |g| {
        g.with_release("2.6.32-5-amd64");
    }),
    fault("a kernel before 3.8", &["LNX105"], |g| {
        g.with_release("3.2.0-4-amd64");
    }),
    fault("a kernel before the fixes of 2019", &["LNX006"], |g| {
        g.with_release("4.15.0-1048-azure").replace(OS_RELEASE, "ID=debian", "ID=ubuntu").replace(OS_RELEASE, "\"12\"", "\"18.04\"");
        g.options.extend(["--profile", "marketplace"]);
    }),
    fault("CIS forbids udf", &["LNX117"], |g| {
        g.file("/etc/modprobe.d/CIS.conf", "install udf /bin/true\n");
    }),
    fault("CIS forbids udf, and cloud-init is old", &["LNX017"], |g| {
        g.file("/etc/modprobe.d/CIS.conf", "install udf /bin/true\n");
        g.file("/usr/lib/python3/dist-packages/cloudinit/version.py", "__VERSION__ = \"20.4.1\"\n_PACKAGED_VERSION = \"20.4.1-1\"\n");
    }),
    fault("no driver for CD drives", &["LNX117"], |g| {
        g.without_module("sr_mod");
    }),
    fault("nvme is not in the initramfs", &["LNX050"], |g| {
        g.not_early("nvme");
    }),
    fault("CIS forbids vfat", &["GEN009"], |g| {
        g.file("/etc/modprobe.d/CIS.conf", "install vfat /bin/true\n");
    }),
    fault("an unsigned module of others", &["GEN013"], |g| {
        g.file(&format!("/usr/lib/modules/{RELEASE}/updates/other.ko"), elf(2, 62));
    }),
];

pub const LOADERS: &[Fault] = &[
    fault("no serial console", &["LNX007"], |g| without_parameter(g, "console=ttyS0,115200n8")),
    fault("no earlyprintk", &["LNX107"], |g| without_parameter(g, "earlyprintk=ttyS0,115200")),
    fault("no CD drives by IDE", &["LNX008"], |g| {
        g.parameters("libata.atapi_enabled=0");
    }),
    fault("quiet", &["LNX009"], |g| {
        g.parameters("quiet");
    }),
    fault("GRUB is not on the serial port", &["LNX010"], |g| {
        g.replace(GRUB, "terminal_output console serial", "terminal_output console");
    }),
    fault("GRUB has no configuration", &["LNX011"], |g| {
        g.remove(GRUB);
    }),
    fault("the default entry's kernel is gone", &["LNX111"], |g| {
        g.replace(GRUB, "/boot/vmlinuz-6", "/boot/vmlinuz-5");
    }),
    fault("the next configuration loses the console", &["LNX012"], |g| {
        g.replace(DEFAULTS, "console=ttyS0,115200n8", "");
    }),
    fault("NVMe has the kernel's timeout", &["LNX150"], |g| without_parameter(g, "nvme_core.io_timeout=240")),
    fault("no loader for removable media", &["GEN006"], |g| {
        g.esp.remove("/EFI/BOOT/BOOTX64.EFI").unwrap();
        g.options.extend(["--generation", "2"]);
    }),
    fault("the loader for removable media is a text", &["GEN006"], |g| {
        g.esp.insert("/EFI/BOOT/BOOTX64.EFI".to_owned(), b"not a program at all".to_vec());
        g.options.extend(["--generation", "2"]);
    }),
    fault("shim has no GRUB beside it", &["GEN007"], |g| {
        g.esp.remove("/EFI/BOOT/grubx64.efi").unwrap();
    }),
    fault("GRUB looks for another file system", &["GEN107"], |g| {
        let stub = String::from_utf8(g.esp["/EFI/debian/grub.cfg"].clone()).unwrap();
        g.esp.insert("/EFI/debian/grub.cfg".to_owned(), stub.replace(ROOT_UUID, "b0b0b0b0-0000-4000-8000-000000000000").into_bytes());
    }),
    fault("the EFI system partition is not mounted", &["GEN109"], |g| {
        g.replace(FSTAB, &format!("UUID={ESP_UUID} /boot/efi vfat umask=0077 0 1\n"), "");
    }),
    fault("shim is signed by somebody else", &["GEN012"], |g| {
        g.esp.insert("/EFI/BOOT/BOOTX64.EFI".to_owned(), efi(0x8664, "shim", Some("My own CA")));
    }),
    fault("shim is signed for 2011 only", &["GEN112"], |g| {
        g.esp.insert("/EFI/BOOT/BOOTX64.EFI".to_owned(), efi(0x8664, "shim", Some("Microsoft Corporation UEFI CA 2011")));
    }),
    fault("the system is for Arm64, its loaders are not", &["GEN015", "GEN115", "LNX007"], |g| {
        g.with_programs(&elf(2, 183));
    }),
    fault("the system has 32 bits", &["GEN016"], |g| {
        g.with_programs(&elf(1, 3));
    }),
    fault("no endorsed distribution", &["GEN011", "GEN019", "LNX057"], |g| {
        g.replace(OS_RELEASE, "ID=debian", "ID=gentoo");
    }),
    fault("Ubuntu with another kernel", &["LNX059"], |g| {
        g.replace(OS_RELEASE, "ID=debian", "ID=ubuntu").replace(OS_RELEASE, "\"12\"", "\"22.04\"");
    }),
];

pub const MOUNTS: &[Fault] = &[
    fault("the root is named by its device", &["LNX013"], |g| {
        g.replace(GRUB, &format!("root=UUID={ROOT_UUID}"), "root=/dev/sda3");
    }),
    fault("the root is nowhere", &["LNX213"], |g| {
        g.replace(GRUB, &format!("root=UUID={ROOT_UUID}"), "root=UUID=b0b0b0b0-0000-4000-8000-000000000000");
    }),
    fault("fstab names a device", &["LNX013"], |g| {
        g.replace(FSTAB, &format!("UUID={ROOT_UUID}"), "/dev/sda3");
    }),
    fault("fstab names a device that may be missing", &["LNX113"], |g| mount(g, "/dev/sdb1 /data ext4 defaults,nofail 0 2")),
    fault_of_one("fstab mounts a disk that is not there", &["LNX014"], |g| {
        mount(g, "UUID=b0b0b0b0-0000-4000-8000-000000000000 /data ext4 defaults 0 2");
    }),
    fault("fstab mounts a share", &["LNX114"], |g| mount(g, "nas.example.org:/share /share nfs defaults 0 0")),
    fault("fstab mounts by a link of SCSI", &["LNX151"], |g| mount(g, "/dev/disk/azure/scsi1/lun0-part1 /data ext4 defaults,nofail 0 2")),
    fault("a swap file", &["LNX016"], |g| {
        g.file("/swapfile", vec![0; 65_536]);
    }),
    fault("the root was not unmounted", &["LNX018"], |g| g.patches.push((1024 + 58, vec![0, 0]))),
    fault("SELinux without labels", &["LNX019"], |g| {
        g.replace(GRUB, &format!("root=UUID={ROOT_UUID}"), &format!("root=UUID={ROOT_UUID} security=selinux"));
        g.file("/etc/selinux/config", "SELINUX=enforcing\nSELINUXTYPE=targeted\n");
    }),
    fault("SELinux without labels, which are asked for", &[], |g| {
        g.file("/etc/selinux/config", "SELINUX=enforcing\nSELINUXTYPE=targeted\n").file("/.autorelabel", "");
    }),
    fault("no links for Azure's disks", &["LNX051"], |g| {
        g.remove("/usr/lib/udev/rules.d/66-azure-storage.rules");
    }),
    fault("no clock of the host", &["LNX052"], |g| {
        g.remove("/etc/chrony/chrony.conf");
    }),
    fault("crypttab asks for a passphrase", &["GEN118"], |g| {
        g.file("/etc/crypttab", format!("data UUID={ROOT_UUID} none luks\n"));
    }),
];
