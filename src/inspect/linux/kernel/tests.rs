//! Kernels of trees in memory.

use super::*;
use crate::bytes::KIB;
use crate::facts::DriverState::{BuiltIn, Missing, Module};
use crate::facts::ModuleLineFacts;
use crate::fs::NodeId;
use crate::fs::testing::{Item, MemoryFileSystem};
use crate::guest::linux::cpio::tests::archive;
use std::sync::Arc;

/// A file's bytes, a link's target, or damage.
enum Put<'a> {
    Text(&'a str),
    Bytes(Vec<u8>),
    Link(&'a str),
    Damaged,
}
use Put::{Bytes, Damaged, Link, Text};

fn tree(files: Vec<(&str, Put<'_>)>) -> Tree {
    let mut fs = MemoryFileSystem::new(false);
    for (path, put) in files {
        let item = match put {
            Text(text) => Item::File(text.as_bytes().to_vec()),
            Bytes(bytes) => Item::File(bytes),
            Link(target) => Item::Symlink(target.to_owned()),
            Damaged => Item::Damaged,
        };
        fs.add(path, item, 0o644, 0);
    }
    Tree::new("memory", Arc::new(fs), NodeId(0))
}

/// What a case is, its files, and the kernels that it has.
type Case<'a> = (&'a str, Vec<(&'a str, Put<'a>)>, Vec<&'a str>);

/// An x86 image of a release.
fn bzimage(release: &str) -> Vec<u8> {
    let mut bytes = vec![0; 0x1000];
    bytes[0x202..0x206].copy_from_slice(b"HdrS");
    bytes[0x206..0x208].copy_from_slice(&[0x0f, 2]);
    bytes[0x20e..0x210].copy_from_slice(&[0, 4]);
    bytes[0x236] = 1;
    bytes[0x600..0x600 + release.len()].copy_from_slice(release.as_bytes());
    bytes
}

fn initramfs(release: &str, modules: &[&str]) -> Vec<u8> {
    let names: Vec<String> = modules.iter().map(|module| format!("usr/lib/modules/{release}/kernel/{module}.ko.xz")).collect();
    let files: Vec<(&str, u32, &[u8])> = names.iter().map(|name| (name.as_str(), 0o100_644, b"".as_slice())).collect();
    archive(&files)
}

fn known(tree: &Tree) -> Vec<KernelFacts> {
    match kernels(tree) {
        Fact::Known(kernels) => kernels,
        other => panic!("{other:?}"),
    }
}

/// Release, image, initramfs, modules: as short text.
fn shown(tree: &Tree) -> Vec<String> {
    let path = |kernel: &KernelFacts| kernel.image.value().map_or("-".to_owned(), |image| image.path.clone());
    let early = |kernel: &KernelFacts| kernel.initramfs.value().map_or("-".to_owned(), |found| found.path.clone());
    let line = |kernel: KernelFacts| {
        let modules = kernel.modules.value().cloned().unwrap_or("-".to_owned());
        let rescue = if kernel.rescue { " rescue" } else { "" };
        format!("{}{rescue} {} {} {modules}", kernel.release, path(&kernel), early(&kernel))
    };
    known(tree).into_iter().map(line).collect()
}

#[test]
fn every_distribution_names_its_files_in_its_own_way() {
    let image = || Text("not a kernel");
    let cpio = || Bytes(initramfs("x", &[]));
    let dep = || Text("");
    let cases: Vec<Case<'_>> = vec![
        (
            "Debian, two kernels and links",
            vec![
                ("/boot/vmlinuz-6.1.0-9-amd64", image()),
                ("/boot/vmlinuz-6.1.0-10-amd64", image()),
                ("/boot/initrd.img-6.1.0-9-amd64", cpio()),
                ("/boot/initrd.img-6.1.0-10-amd64", cpio()),
                ("/boot/vmlinuz", Link("vmlinuz-6.1.0-10-amd64")),
                ("/usr/lib/modules/6.1.0-10-amd64/modules.dep", dep()),
                ("/lib", Link("usr/lib")),
            ],
            vec![
                "6.1.0-10-amd64 /boot/vmlinuz-6.1.0-10-amd64 /boot/initrd.img-6.1.0-10-amd64 /usr/lib/modules/6.1.0-10-amd64",
                "6.1.0-9-amd64 /boot/vmlinuz-6.1.0-9-amd64 /boot/initrd.img-6.1.0-9-amd64 -",
            ],
        ),
        (
            "Red Hat with a rescue kernel and kdump",
            vec![
                ("/boot/vmlinuz-5.14.0-427.el9.x86_64", image()),
                ("/boot/.vmlinuz-5.14.0-427.el9.x86_64.hmac", image()),
                ("/boot/initramfs-5.14.0-427.el9.x86_64.img", cpio()),
                ("/boot/initramfs-5.14.0-427.el9.x86_64kdump.img", cpio()),
                ("/boot/vmlinuz-0-rescue-8f3c1d2e", Bytes(bzimage("5.14.0-70.el9.x86_64 "))),
                ("/boot/initramfs-0-rescue-8f3c1d2e.img", cpio()),
                ("/usr/lib/modules/5.14.0-427.el9.x86_64/vmlinuz", image()),
                ("/usr/lib/modules/5.14.0-70.el9.x86_64/weak-updates/x.ko", image()),
            ],
            vec![
                "5.14.0-427.el9.x86_64 /boot/vmlinuz-5.14.0-427.el9.x86_64 /boot/initramfs-5.14.0-427.el9.x86_64.img /usr/lib/modules/5.14.0-427.el9.x86_64",
                "5.14.0-70.el9.x86_64 - - /usr/lib/modules/5.14.0-70.el9.x86_64",
                "5.14.0-70.el9.x86_64 rescue /boot/vmlinuz-0-rescue-8f3c1d2e /boot/initramfs-0-rescue-8f3c1d2e.img /usr/lib/modules/5.14.0-70.el9.x86_64",
            ],
        ),
        (
            "SUSE, whose images are links",
            vec![
                ("/boot/vmlinuz-6.4.0-150600.23.7-default", Link("../usr/lib/modules/6.4.0-150600.23.7-default/vmlinuz")),
                ("/boot/vmlinuz", Link("vmlinuz-6.4.0-150600.23.7-default")),
                ("/boot/vmlinux-6.4.0-150600.23.7-default.xz", image()),
                ("/boot/initrd-6.4.0-150600.23.7-default", cpio()),
                ("/usr/lib/modules/6.4.0-150600.23.7-default/vmlinuz", image()),
            ],
            vec![
                "6.4.0-150600.23.7-default /boot/vmlinuz-6.4.0-150600.23.7-default /boot/initrd-6.4.0-150600.23.7-default /usr/lib/modules/6.4.0-150600.23.7-default",
            ],
        ),
        (
            "Alpine, by flavour",
            vec![
                ("/boot/vmlinuz-virt", image()),
                ("/boot/initramfs-virt", cpio()),
                ("/lib/modules/6.6.58-0-virt/modules.dep", dep()),
                ("/lib/modules/6.6.41-0-lts/modules.dep", dep()),
            ],
            vec![
                "6.6.58-0-virt /boot/vmlinuz-virt /boot/initramfs-virt /lib/modules/6.6.58-0-virt",
                "6.6.41-0-lts - - /lib/modules/6.6.41-0-lts",
            ],
        ),
        (
            "Arch, by header and by package",
            vec![
                ("/boot/vmlinuz-linux", Bytes(bzimage("6.11.5-arch1-1 "))),
                ("/boot/initramfs-linux.img", cpio()),
                ("/boot/initramfs-linux-fallback.img", cpio()),
                ("/boot/vmlinuz-linux-lts", image()),
                ("/boot/initramfs-linux-lts.img", cpio()),
                ("/usr/lib/modules/6.6.58-1-lts/pkgbase", Text("linux-lts\n")),
                ("/usr/lib/modules/6.11.5-arch1-1/pkgbase", Text("linux\n")),
            ],
            vec![
                "6.11.5-arch1-1 /boot/vmlinuz-linux /boot/initramfs-linux.img /usr/lib/modules/6.11.5-arch1-1",
                "6.6.58-1-lts /boot/vmlinuz-linux-lts /boot/initramfs-linux-lts.img /usr/lib/modules/6.6.58-1-lts",
            ],
        ),
        (
            "Boot Loader Specification, ostree",
            vec![
                ("/boot/0123456789abcdef/6.8.5-301.fc40.x86_64/linux", image()),
                ("/boot/0123456789abcdef/6.8.5-301.fc40.x86_64/initrd", cpio()),
                ("/boot/efi/opensuse/6.11.0-1-default/linux-0a1b", image()),
                ("/boot/efi/opensuse/6.11.0-1-default/initrd-2c3d", cpio()),
                ("/boot/ostree/fcos-abc/vmlinuz-6.7.0-200.fc39.x86_64", image()),
                ("/boot/ostree/fcos-abc/initramfs-6.7.0-200.fc39.x86_64.img", cpio()),
                ("/boot/grub2/fonts/linux", image()),
            ],
            vec![
                "6.11.0-1-default /boot/efi/opensuse/6.11.0-1-default/linux-0a1b /boot/efi/opensuse/6.11.0-1-default/initrd-2c3d -",
                "6.8.5-301.fc40.x86_64 /boot/0123456789abcdef/6.8.5-301.fc40.x86_64/linux /boot/0123456789abcdef/6.8.5-301.fc40.x86_64/initrd -",
                "6.7.0-200.fc39.x86_64 /boot/ostree/fcos-abc/vmlinuz-6.7.0-200.fc39.x86_64 /boot/ostree/fcos-abc/initramfs-6.7.0-200.fc39.x86_64.img -",
            ],
        ),
        ("nothing", vec![("/etc/fstab", Text(""))], vec![]),
    ];
    for (name, files, expected) in cases {
        assert_eq!(shown(&tree(files)), expected, "{name}");
    }
}

#[test]
fn states_come_from_what_says_them() {
    const V: &str = "5.15.0-1075-azure";
    let tree = tree(vec![
        ("/boot/vmlinuz-5.15.0-1075-azure", Bytes(bzimage("5.15.0-1075-azure "))),
        ("/boot/initrd.img-5.15.0-1075-azure", Bytes(initramfs(V, &["nvme/nvme-core", "hv/hv_utils"]))),
        (
            "/boot/config-5.15.0-1075-azure",
            Text("CONFIG_HYPERV=y\nCONFIG_HYPERV_NET=y\nCONFIG_UDF_FS=m\nCONFIG_BLK_DEV_NVME=m\n# CONFIG_VIRTIO_BLK is not set\n"),
        ),
        ("/lib/modules/5.15.0-1075-azure/modules.builtin", Text("kernel/drivers/hv/hv_vmbus.ko\nkernel/drivers/scsi/hv_storvsc.ko\n")),
        (
            "/lib/modules/5.15.0-1075-azure/modules.dep",
            Text("kernel/nvme/nvme-core.ko:\nkernel/hv/hv_utils.ko.zst: kernel/a.ko\nkernel/nvme/nvme.ko: x\n"),
        ),
    ]);
    let kernels = known(&tree);
    let kernel = &kernels[0];
    let driver = |name: &str| {
        let driver = &kernel.drivers[name];
        (driver.state.value().copied(), driver.in_initramfs.value().copied(), driver.evidence.as_str())
    };
    let directory = "/lib/modules/5.15.0-1075-azure";
    assert_eq!(driver("hv_vmbus"), (Some(BuiltIn), Some(false), &*format!("{directory}/modules.builtin")));
    assert_eq!(driver("hv_netvsc"), (Some(BuiltIn), Some(false), "CONFIG_HYPERV_NET=y in /boot/config-5.15.0-1075-azure"));
    assert_eq!(driver("nvme_core"), (Some(Module), Some(true), &*format!("{directory}/modules.dep")));
    assert_eq!(driver("nvme"), (Some(Module), Some(false), &*format!("{directory}/modules.dep")));
    assert_eq!(kernel.drivers["hv_utils"].path.value().map(String::as_str), Some(&*format!("{directory}/kernel/hv/hv_utils.ko.zst")));
    let (state, _, evidence) = driver("udf");
    assert_eq!(state, Some(Missing), "the package with it is not installed");
    assert!(evidence.contains("CONFIG_UDF_FS=m") && evidence.contains("no such module"), "{evidence}");
    assert_eq!(driver("virtio_blk").0, Some(Missing));
    assert_eq!(kernel.numbers, [5, 15, 0, 1075]);
    assert_eq!(kernel.image.value().unwrap().architecture.value().map(String::as_str), Some("x64"));
}

#[test]
fn a_damaged_part_makes_only_itself_unknown() {
    let good = || initramfs("6.1", &["hv/hv_vmbus"]);
    let with = |initramfs: Put<'_>, builtin: Put<'_>, dep: Put<'_>| {
        let files = vec![
            ("/boot/vmlinuz-6.1", Bytes(bzimage("6.1 "))),
            ("/boot/initrd.img-6.1", initramfs),
            ("/lib/modules/6.1/modules.builtin", builtin),
            ("/lib/modules/6.1/modules.dep", dep),
        ];
        known(&tree(files)).remove(0)
    };
    let dep = || Text("kernel/hv/hv_vmbus.ko:\n");
    let cut = good()[..60].to_vec();
    for bad in [Damaged, Bytes(cut), Text("")] {
        let kernel = with(bad, Text(""), dep());
        let driver = &kernel.drivers["hv_vmbus"];
        assert_eq!(driver.state.value(), Some(&Module));
        assert!(driver.in_initramfs.reason().unwrap().contains("/boot/initrd.img-6.1"), "{driver:?}");
        assert!(driver.is_early().is_err());
        assert_eq!(kernel.initramfs.value().unwrap().path, "/boot/initrd.img-6.1");
    }
    let kernel = with(Bytes(good()), Damaged, dep());
    assert_eq!(kernel.drivers["hv_vmbus"].state.value(), Some(&Module));
    assert!(kernel.drivers["udf"].state.reason().unwrap().contains("modules.builtin"));
    assert_eq!(kernel.drivers["hv_vmbus"].in_initramfs, Fact::Known(true));
    let kernel = with(Bytes(good()), Text("kernel/fs/udf/udf.ko"), Damaged);
    assert_eq!(kernel.drivers["udf"].state.value(), Some(&BuiltIn));
    assert!(kernel.drivers["hv_vmbus"].state.reason().is_some());
    assert_eq!(kernel.drivers["hv_vmbus"].is_early().ok(), Some(true), "the initramfs has it whatever modules.dep says");
    assert!(kernels(&tree(vec![("/boot", Damaged)])).value().is_some_and(Vec::is_empty), "a file in place of /boot");
}

#[test]
fn without_modules_the_configuration_speaks_and_without_both_nothing_does() {
    let config = "CONFIG_HYPERV=y\nCONFIG_HYPERV_STORAGE=m\nCONFIG_HYPERV_NET=n\n";
    let files = vec![("/boot/vmlinuz-6.1", Text("")), ("/boot/config-6.1", Text(config))];
    let kernel = known(&tree(files)).remove(0);
    let state = |name: &str| kernel.drivers[name].state.value().copied();
    assert_eq!((state("hv_vmbus"), state("hv_storvsc"), state("hv_netvsc")), (Some(BuiltIn), Some(Module), Some(Missing)));
    assert_eq!((kernel.initramfs.clone(), kernel.drivers["hv_storvsc"].in_initramfs.clone()), (Fact::Absent, Fact::Known(false)));
    let kernel = known(&tree(vec![("/boot/vmlinuz-6.1", Text(""))])).remove(0);
    assert!(kernel.drivers["hv_vmbus"].state.reason().is_some());
    // Newer kernels have a switch and a driver; the driver counts.
    let files = vec![("/boot/vmlinuz-6.18", Text("")), ("/boot/config-6.18", Text("CONFIG_HYPERV=y\nCONFIG_HYPERV_VMBUS=m\n"))];
    assert_eq!(known(&tree(files)).remove(0).drivers["hv_vmbus"].state.value(), Some(&Module));
    // Modules that depmod has not seen yet.
    let files = vec![("/lib/modules/6.1/kernel/drivers/hv/hv_vmbus.ko.xz", Text("")), ("/lib/modules/6.1/modules.builtin", Text(""))];
    let driver = known(&tree(files)).remove(0).drivers["hv_vmbus"].clone();
    assert_eq!(driver.path.value().map(String::as_str), Some("/lib/modules/6.1/kernel/drivers/hv/hv_vmbus.ko.xz"));
    assert!(driver.evidence.contains("modules.dep is missing"));
}

#[test]
fn a_kernel_that_carries_its_initramfs_is_not_without_one() {
    let kernel = known(&tree(vec![("/boot/flatcar/vmlinuz-a", Bytes(bzimage("6.6.54-flatcar ")))])).remove(0);
    assert_eq!(kernel.release, "6.6.54-flatcar");
    assert!(kernel.initramfs.reason().unwrap().contains("part of the kernel image"));
    assert!(kernel.drivers["hv_vmbus"].in_initramfs.reason().is_some());
}

#[test]
fn an_initramfs_tells_what_it_forbids_and_adds() {
    let content = archive(&[
        ("lib/dracut/dracut-057", 0o100_644, b""),
        ("etc/modprobe.d/b.conf", 0o100_644, b"blacklist hv_netvsc\ninstall udf /bin/true\n"),
        ("etc/cmdline.d/10.conf", 0o100_644, b"rd.driver.pre=hv_vmbus rd.luks.key=/x netroot=cifs://u:p@h/s\n"),
    ]);
    let files = vec![("/boot/vmlinuz-6.1", Text("")), ("/boot/initramfs-6.1.img", Bytes(content))];
    let kernel = known(&tree(files)).remove(0);
    let content = kernel.initramfs.value().unwrap().content.value().unwrap().clone();
    let one = |line: &ModuleLineFacts| (line.module.clone(), line.line);
    assert_eq!(content.blacklisted.iter().map(one).collect::<Vec<_>>(), [("hv_netvsc".to_owned(), 1)]);
    assert_eq!(content.disabled.iter().map(one).collect::<Vec<_>>(), [("udf".to_owned(), 2)]);
    let parameters: Vec<_> = content.parameters.iter().map(|fact| fact.parameter.as_str()).collect();
    assert_eq!(parameters, ["rd.driver.pre=hv_vmbus", "rd.luks.key=/x", "netroot=cifs://…@h/s"]);
    assert_eq!((content.maker.value().map(String::as_str), content.compression), (Some("dracut"), vec!["none".to_owned()]));
}

fn texts(lines: &[ModuleLineFacts]) -> Vec<String> {
    lines.iter().map(|line| format!("{} {}:{}", line.module, line.file, line.line)).collect()
}

#[test]
fn modprobe_files_hide_each_other() {
    let facts = modules(&tree(vec![
        ("/etc/modprobe.d/cis.conf", Text("install udf /bin/false\nblacklist usb-storage\n")),
        ("/etc/modprobe.d/masked.conf", Link("/dev/null")),
        ("/usr/lib/modprobe.d/masked.conf", Text("blacklist hv_balloon\n")),
        ("/usr/lib/modprobe.d/cis.conf", Text("blacklist never\n")),
        ("/usr/lib/modprobe.d/dist.conf", Text("options nvme_core io_timeout=240\n")),
        ("/lib", Link("usr/lib")),
        ("/dev/null", Damaged),
    ]));
    // A device is no file to read; this one only stands in for it.
    assert!(facts.modprobe.reason().is_some());
    let facts = modules(&tree(vec![
        ("/etc/modprobe.d/cis.conf", Text("install udf /bin/false\nblacklist usb-storage\n")),
        ("/etc/modprobe.d/masked.conf", Link("/dev/null")),
        ("/usr/lib/modprobe.d/masked.conf", Text("blacklist hv_balloon\n")),
        ("/usr/lib/modprobe.d/cis.conf", Text("blacklist never\n")),
        ("/usr/lib/modprobe.d/dist.conf", Text("options nvme_core io_timeout=240\n")),
        ("/lib", Link("usr/lib")),
    ]));
    let found = facts.modprobe.value().unwrap();
    assert_eq!(texts(&found.blacklisted), ["usb_storage /etc/modprobe.d/cis.conf:2"]);
    assert_eq!(texts(&found.disabled), ["udf /etc/modprobe.d/cis.conf:1"]);
    assert_eq!(found.disabled[0].text, "install udf /bin/false");
    assert_eq!(texts(&found.options), ["nvme_core /usr/lib/modprobe.d/dist.conf:1"]);
    assert_eq!(
        (facts.dracut, facts.initramfs_tools, facts.mkinitcpio, facts.mkinitfs),
        (Fact::Absent, Fact::Absent, Fact::Absent, Fact::Absent)
    );
}

#[test]
fn makers_are_asked_in_their_own_words() {
    let facts = modules(&tree(vec![
        ("/etc/dracut.conf", Text("hostonly=\"yes\"\n")),
        ("/usr/lib/dracut/dracut.conf.d/01-dist.conf", Text("hostonly=\"no\"\n")),
        ("/usr/lib/dracut/dracut.conf.d/hv.conf", Text("add_drivers+=\" never \"\n")),
        ("/etc/dracut.conf.d/hv.conf", Text("# Azure\nadd_drivers+=\" hv_vmbus hv-storvsc \"\nomit_drivers+=\" floppy \"\n")),
        ("/etc/initramfs-tools/initramfs.conf", Text("MODULES=most\nCOMPRESS=zstd\n")),
        ("/etc/initramfs-tools/conf.d/driver-policy", Text("MODULES=dep\n")),
        ("/etc/initramfs-tools/modules", Text("# list\nhv_vmbus\nnvme io=1\n")),
        ("/etc/mkinitcpio.conf", Text("MODULES=(hv_vmbus)\nHOOKS=(base udev autodetect)\n")),
        ("/etc/mkinitfs/mkinitfs.conf", Text("features=\"ata base virtio\"\n")),
        ("/etc/mkinitfs/features.d/virtio.modules", Text("kernel/drivers/block/virtio_blk.ko\n")),
        ("/etc/mkinitfs/features.d/other.modules", Text("kernel/x.ko\n")),
    ]));
    let dracut = facts.dracut.value().unwrap();
    assert_eq!(texts(&dracut.add_drivers), ["hv_vmbus /etc/dracut.conf.d/hv.conf:2", "hv_storvsc /etc/dracut.conf.d/hv.conf:2"]);
    assert_eq!(texts(&dracut.omit_drivers), ["floppy /etc/dracut.conf.d/hv.conf:3"]);
    assert_eq!(dracut.host_only, Fact::Known(false));
    let tools = facts.initramfs_tools.value().unwrap();
    assert_eq!(texts(&tools.modules), ["hv_vmbus /etc/initramfs-tools/modules:2", "nvme /etc/initramfs-tools/modules:3"]);
    assert_eq!(tools.policy.value().map(String::as_str), Some("dep"));
    let mkinitcpio = facts.mkinitcpio.value().unwrap();
    assert_eq!(texts(&mkinitcpio.modules), ["hv_vmbus /etc/mkinitcpio.conf:1"]);
    assert_eq!(mkinitcpio.hooks, ["base", "udev", "autodetect"]);
    let mkinitfs = facts.mkinitfs.value().unwrap();
    assert_eq!((mkinitfs.features.len(), mkinitfs.modules.len()), (3, 1));
}

#[test]
fn modules_from_elsewhere_are_told_with_their_signatures() {
    let signed = [vec![7; 5000], b"~Module signature appended~\n".to_vec()].concat();
    let packed = zstd::bulk::compress(&signed, 3).unwrap();
    let facts = modules(&tree(vec![
        ("/lib/modules/6.1/updates/dkms/own.ko", Bytes(vec![7; 5000])),
        ("/lib/modules/6.1/updates/dkms/signed.ko", Bytes(signed)),
        ("/lib/modules/6.1/extra/packed.ko.zst", Bytes(packed.clone())),
        ("/lib/modules/6.1/extra/cut.ko.zst", Bytes(packed[..packed.len() - 4].to_vec())),
        ("/lib/modules/6.1/extra/readme", Text("")),
        ("/lib/modules/6.1/weak-updates/gone.ko", Link("/nowhere.ko")),
        ("/lib/modules/6.1/kernel/in-tree.ko", Text("")),
        ("/var/lib/dkms/lis/4.3/source/dkms.conf", Text("")),
        ("/var/lib/dkms/lis/kernel-6.1-x86_64", Link("4.3")),
    ]));
    let found: Vec<_> =
        facts.out_of_tree.value().unwrap().iter().map(|module| (module.path.rsplit('/').next().unwrap(), &module.signed)).collect();
    assert_eq!(found.len(), 5);
    let of = |name: &str| found.iter().find(|(path, _)| *path == name).unwrap().1.clone();
    assert_eq!(
        (of("own.ko"), of("signed.ko"), of("packed.ko.zst"), of("gone.ko")),
        (Fact::Known(false), Fact::Known(true), Fact::Known(true), Fact::Absent)
    );
    assert!(of("cut.ko.zst").reason().is_some());
    assert_eq!(facts.dkms.value().unwrap(), &["lis/4.3"]);
}

#[test]
fn a_packed_image_tells_its_processor() {
    let mut image = vec![0; 70 * KIB as usize];
    image[0x38..0x3c].copy_from_slice(b"ARM\x64");
    let packed = zstd::bulk::compress(&image, 3).unwrap();
    let kernel = known(&tree(vec![("/boot/vmlinuz-6.8.0-1-azure", Bytes(packed)), ("/boot/vmlinuz-6.7", Damaged)]));
    assert_eq!(kernel[0].image.value().unwrap().architecture.value().map(String::as_str), Some("Arm64"));
    assert!(kernel[1].image.value().unwrap().architecture.reason().is_some());
}
