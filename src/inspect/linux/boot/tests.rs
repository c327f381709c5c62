//! Trees of files with one loader or another.

use super::*;
use crate::fs::testing::tree;
use crate::fs::{FileSystem, NodeId};
use std::sync::Arc;

const GRUB_CFG: &str = "set default=\"0\"\nif [ -s $prefix/grubenv ]; then\n load_env\n set default=\"${saved_entry}\"\nfi\n\
                        serial --speed=115200\nterminal_input console serial\nterminal_output console serial\nset timeout=1\n\
                        menuentry 'Linux' --id a {\n search --fs-uuid --set=root 1234\n\
                        linux /boot/vmlinuz-6.1 root=UUID=1234 ro console=tty0 console=ttyS0,115200n8\n initrd /boot/initrd.img-6.1\n}\n\
                        menuentry 'Other' --id b {\n linux /boot/vmlinuz-5 root=/dev/sda1 quiet rootflags=subvol=@\n}\n";

#[test]
fn grub_with_its_environment() {
    let files = [("/boot/grub/grub.cfg", GRUB_CFG), ("/boot/vmlinuz-6.1", "x"), ("/boot/initrd.img-6.1", "x")];
    let facts = boot(&tree(&files));
    assert_eq!(facts.loader, Fact::Known("grub".to_owned()));
    assert_eq!(facts.default_entry, Fact::Known("Linux".to_owned()));
    assert_eq!(facts.command_line, Fact::Known("root=UUID=1234 ro console=tty0 console=ttyS0,115200n8".to_owned()));
    assert_eq!(facts.command_line_source, Fact::Known("/boot/grub/grub.cfg:12".to_owned()));
    assert_eq!(facts.consoles, Fact::Known(vec!["tty0".to_owned(), "ttyS0,115200n8".to_owned()]));
    assert_eq!((&facts.root, &facts.root_flags), (&Fact::Known("UUID=1234".to_owned()), &Fact::Absent));
    assert_eq!(facts.parameters.value().unwrap().len(), 4);
    let entries = facts.entries.value().unwrap();
    assert_eq!((entries.len(), entries[0].default, entries[0].missing.len()), (2, true, 0));
    assert_eq!(entries[1].missing, ["/boot/vmlinuz-5"]);
    let grub = facts.grub.value().unwrap();
    assert_eq!((grub.config.as_str(), grub.timeout.as_deref(), grub.default_found), ("/boot/grub/grub.cfg", Some("1"), true));
    assert_eq!(grub.terminal_output, ["console", "serial"]);
    assert!(facts.not_understood.is_empty() && facts.other_command_lines.is_empty());
    let other = [&files[..], &[("/boot/grub/grubenv", "# GRUB Environment Block\nsaved_entry=b\n###")]].concat();
    let facts = boot(&tree(&other));
    assert_eq!((facts.default_entry, facts.root), (Fact::Known("Other".to_owned()), Fact::Known("/dev/sda1".to_owned())));
    assert_eq!(facts.root_flags, Fact::Known("subvol=@".to_owned()));
}

#[test]
fn entries_in_files_of_their_own() {
    let facts = boot(&tree(&[
        ("/boot/grub2/grub.cfg", "load_env\nset default=\"${saved_entry}\"\ninsmod blscfg\nblscfg\n"),
        ("/boot/grub2/grubenv", "-> ../efi/EFI/redhat/grubenv"),
        ("/boot/efi/EFI/redhat/grubenv", "# GRUB Environment Block\nkernelopts=root=UUID=9 ro\nboot_success=1\n"),
        ("/boot/efi/EFI/redhat/grub.cfg", "search --fs-uuid --set=dev 9\nset prefix=($dev)/boot/grub2\nconfigfile $prefix/grub.cfg\n"),
        ("/boot/loader/entries/m-5.14.0-70.conf", "title Old\nlinux /boot/vmlinuz-5.14.0-70\noptions root=UUID=8\n"),
        ("/boot/loader/entries/m-5.14.0-427.conf", "title New\nlinux /boot/vmlinuz-5.14.0-427\noptions $kernelopts $tuned_params\n"),
        ("/boot/loader/entries/m-0-rescue.conf", "title Rescue\nlinux /boot/vmlinuz-0-rescue\noptions $kernelopts\n"),
        ("/etc/default/grub", "GRUB_CMDLINE_LINUX=\"console=ttyS0\"\nGRUB_ENABLE_BLSCFG=true\nGRUB_TIMEOUT=1\n"),
        ("/etc/default/grub.d/50-x.cfg", "GRUB_TIMEOUT=0\nGRUB_CMDLINE_LINUX=\"$GRUB_CMDLINE_LINUX quiet\"\n"),
    ]));
    assert_eq!((&facts.default_entry, &facts.root), (&Fact::Known("New".to_owned()), &Fact::Known("UUID=9".to_owned())));
    assert_eq!(facts.command_line, Fact::Known("root=UUID=9 ro".to_owned()));
    assert_eq!(facts.command_line_source, Fact::Known("/boot/loader/entries/m-5.14.0-427.conf".to_owned()));
    let titles: Vec<_> = facts.entries.value().unwrap().iter().map(|entry| entry.title.as_str()).collect();
    assert_eq!(titles, ["New", "Old", "Rescue"]);
    let grub = facts.grub.value().unwrap();
    assert_eq!((grub.uses_blscfg, grub.kernelopts.as_deref(), grub.boot_success.as_deref()), (true, Some("root=UUID=9 ro"), Some("1")));
    let defaults = facts.default_grub.value().unwrap();
    assert_eq!((defaults.cmdline_linux.as_deref(), defaults.timeout.as_deref()), (Some("console=ttyS0 quiet"), Some("0")));
    assert_eq!((defaults.enable_blscfg.as_deref(), defaults.files.len()), (Some("true"), 2));
}

#[test]
fn kernels_on_a_partition_of_their_own() {
    let mut root = tree(&[("/etc/hostname", "x"), ("/vmlinuz-6", "not this one")]);
    let other = tree(&[("/grub2/grub.cfg", "menuentry x { linux /vmlinuz-6 root=/dev/vg0/root; initrd /gone; }"), ("/vmlinuz-6", "x")]);
    let fs: Arc<dyn FileSystem> = other.mounts().next().unwrap().fs.clone();
    root.mount("/boot", "partition 1", fs, NodeId(0));
    let facts = boot(&root);
    let entry = &facts.entries.value().unwrap()[0];
    assert_eq!((entry.kernel.as_deref(), entry.missing.as_slice()), (Some("/boot/vmlinuz-6"), &["/gone".to_owned()][..]));
    assert_eq!(facts.root, Fact::Known("/dev/vg0/root".to_owned()));
}

#[test]
fn other_loaders() {
    let facts = boot(&tree(&[
        ("/boot/extlinux.conf", "DEFAULT virt\nLABEL virt\n LINUX vmlinuz-virt\n INITRD initramfs-virt\n APPEND root=UUID=1 quiet\n"),
        ("/boot/vmlinuz-virt", "x"),
    ]));
    assert_eq!((&facts.loader, &facts.command_line), (&Fact::Known("extlinux".to_owned()), &Fact::Known("root=UUID=1 quiet".to_owned())));
    let entry = &facts.entries.value().unwrap()[0];
    assert_eq!((entry.kernel.as_deref(), entry.missing.as_slice()), (Some("/boot/vmlinuz-virt"), &["/boot/initramfs-virt".to_owned()][..]));

    let facts = boot(&tree(&[("/boot/grub/menu.lst", "default 0\ntitle A\nkernel /boot/vmlinuz root=/dev/sda1\n")]));
    assert_eq!((facts.loader, facts.root), (Fact::Known("grub-legacy".to_owned()), Fact::Known("/dev/sda1".to_owned())));

    let facts = boot(&tree(&[
        ("/efi/loader/loader.conf", "default a-1*\ntimeout 3\n"),
        ("/efi/loader/entries/a-1.conf", "title One\nversion 1\nlinux /a/1/linux\noptions root=1\n"),
        ("/efi/loader/entries/a-2.conf", "title Two\nversion 2\nlinux /a/2/linux\noptions root=2\n"),
    ]));
    assert_eq!((facts.loader, facts.root), (Fact::Known("systemd-boot".to_owned()), Fact::Known("1".to_owned())));
    assert_eq!(
        boot(&tree(&[("/etc/fstab", "")])),
        LinuxBootFacts { entries: Fact::Known(vec![]), unified_kernels: Fact::Known(vec![]), ..LinuxBootFacts::default() }
    );
}

#[test]
fn what_cannot_be_read_is_unknown() {
    let facts = boot(&tree(&[("/boot/grub/grub.cfg", "!damaged"), ("/etc/default/grub", "GRUB_TIMEOUT=1")]));
    assert!(facts.command_line.reason().is_some() && facts.loader.reason().is_some() && facts.grub.reason().is_some());
    assert_eq!(facts.default_grub.value().unwrap().timeout.as_deref(), Some("1"));
    let facts = boot(&tree(&[("/boot/grub/grub.cfg", GRUB_CFG), ("/etc/default/grub", "!damaged")]));
    assert!(facts.default_grub.reason().is_some() && facts.root.value().is_some());
}

#[test]
fn both_generations_may_read_different_files() {
    let facts = boot(&tree(&[
        ("/boot/grub2/grub.cfg", "menuentry a { linux /vmlinuz root=UUID=1 }"),
        ("/boot/efi/EFI/redhat/grub.cfg", "menuentry a { linuxefi /vmlinuz root=UUID=1 quiet; initrdefi /i; }"),
    ]));
    assert_eq!(facts.command_line, Fact::Known("root=UUID=1".to_owned()));
    let [other] = facts.other_command_lines.as_slice() else { panic!("{facts:?}") };
    assert_eq!((other.source.as_str(), other.command_line.as_str()), ("/boot/efi/EFI/redhat/grub.cfg", "root=UUID=1 quiet"));
}

#[test]
fn an_archive_holds_the_configuration_of_flatcar() {
    let script = "set linux_append=\"\"\nsearch --no-floppy --set oem --part-label OEM\nif [ -n \"$oem\" -a -f \"($oem)/grub.cfg\" ]; then\n\
                  source \"($oem)/grub.cfg\"\nfi\nmenuentry \"Default\" --id=flatcar {\n linux /flatcar/vmlinuz-a root=LABEL=ROOT $linux_append\n}\n";
    let mut archive = "grub.cfg".to_owned();
    archive.push_str(&"\0".repeat(124 - archive.len()));
    archive.push_str(&format!("{:011o}\0", script.len()));
    archive.push_str(&"\0".repeat(512 - archive.len()));
    archive.push_str(script);
    let facts = boot(&tree(&[
        ("/boot/flatcar/grub/grub.cfg.tar", &archive),
        ("/boot/flatcar/vmlinuz-a", "x"),
        ("/oem/grub.cfg", "set linux_append=\"console=ttyS0\"\n"),
    ]));
    assert_eq!(facts.command_line, Fact::Known("root=LABEL=ROOT console=ttyS0".to_owned()));
    assert_eq!(facts.entries.value().unwrap()[0].kernel.as_deref(), Some("/boot/flatcar/vmlinuz-a"));
}
