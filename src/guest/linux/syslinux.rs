//! Syslinux and its kin (extlinux), and GRUB Legacy: menus of labels with a kernel each.
//!
//! Sources: syslinux wiki, "Config" (`DEFAULT`, `LABEL`, `KERNEL`, `LINUX`, `APPEND`, `INITRD`, `MENU DEFAULT`, `SERIAL`, `INCLUDE`);
//! GNU GRUB Legacy manual 0.97 (`menu.lst`: `default`, `title`, `kernel`, `initrd`).

/// Entries at most.
const MAX_ENTRIES: usize = 4096;

/// A menu.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Menu {
    /// The entries in their order.
    pub entries: Vec<MenuEntry>,
    /// Place of the entry that starts by itself.
    pub default: Option<usize>,
    /// The time until it does, as it is written.
    pub timeout: Option<String>,
    /// The line that sets up a serial port.
    pub serial: Option<String>,
    /// The line that chooses terminals (GRUB Legacy).
    pub terminal: Option<String>,
    /// What is not followed: other files.
    pub not_understood: Vec<String>,
}

/// An entry.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MenuEntry {
    /// Its label.
    pub label: String,
    /// What the menu shows.
    pub title: String,
    /// Path of the kernel.
    pub kernel: Option<String>,
    /// What the kernel is told.
    pub command_line: Option<String>,
    /// Paths of initial ramdisks.
    pub initrds: Vec<String>,
    /// Line of the kernel, or of the label.
    pub line: u32,
}

/// Reads a configuration of syslinux.
#[must_use]
pub fn syslinux(text: &str) -> Menu {
    let mut menu = Menu::default();
    let (mut named, mut marked, mut appended) = (None, None, None);
    for (line, number) in text.lines().zip(1_u32..) {
        let line = line.trim();
        let (key, value) = line.split_once([' ', '\t']).unwrap_or((line, ""));
        let value = value.trim();
        let (place, room) = (menu.entries.len().saturating_sub(1), menu.entries.len() < MAX_ENTRIES);
        match (key.to_ascii_lowercase().as_str(), menu.entries.last_mut()) {
            ("default" | "ontimeout", _) => named = Some(value.to_owned()),
            ("timeout", _) => menu.timeout = Some(value.to_owned()),
            ("serial", _) => menu.serial = Some(line.to_owned()),
            ("include" | "config", _) => menu.not_understood.push(line.to_owned()),
            ("label", _) if room => {
                menu.entries.push(MenuEntry { label: value.to_owned(), title: value.to_owned(), line: number, ..MenuEntry::default() });
            }
            ("menu", Some(entry)) => {
                let (key, value) = value.split_once([' ', '\t']).unwrap_or((value, ""));
                match key.to_ascii_lowercase().as_str() {
                    "label" => entry.title = value.trim().replace('^', ""),
                    "default" => marked = Some(place),
                    _ => {}
                }
            }
            ("kernel" | "linux", Some(entry)) => {
                entry.kernel = Some(value.to_owned());
                entry.line = number;
            }
            ("append", Some(entry)) => entry.command_line = Some(if value == "-" { String::new() } else { value.to_owned() }),
            ("append", None) => appended = Some(value.to_owned()),
            ("initrd", Some(entry)) => entry.initrds = value.split(',').map(|path| path.trim().to_owned()).collect(),
            _ => {}
        }
    }
    for entry in &mut menu.entries {
        let line = entry.command_line.get_or_insert_with(|| appended.clone().unwrap_or_default());
        // The ramdisk may also stand among the options, for the loader to take.
        if let Some(path) = line.split_whitespace().find_map(|word| word.strip_prefix("initrd=")).filter(|_| entry.initrds.is_empty()) {
            entry.initrds = path.split(',').map(str::to_owned).collect();
        }
    }
    // `DEFAULT` may be a whole command, and then is no label: `menu.c32`.
    let by_label = named.and_then(|name| menu.entries.iter().position(|entry| entry.label.eq_ignore_ascii_case(&name)));
    menu.default = by_label.or(marked).or_else(|| (!menu.entries.is_empty()).then_some(0));
    menu
}

/// Reads a `menu.lst` or `grub.conf` of GRUB Legacy.
#[must_use]
pub fn grub_legacy(text: &str) -> Menu {
    let mut menu = Menu::default();
    let mut default = None;
    for (line, number) in text.lines().zip(1_u32..) {
        let line = line.trim();
        let (key, value) = line.split_once([' ', '\t', '=']).unwrap_or((line, ""));
        let value = value.trim_start_matches([' ', '\t', '=']).trim();
        let room = menu.entries.len() < MAX_ENTRIES;
        match (key, menu.entries.last_mut()) {
            ("default", None) => default = value.parse().ok(),
            ("timeout", None) => menu.timeout = Some(value.to_owned()),
            ("serial", None) => menu.serial = Some(line.to_owned()),
            ("terminal", None) => menu.terminal = Some(line.to_owned()),
            ("configfile", _) => menu.not_understood.push(line.to_owned()),
            ("title", _) if room => {
                menu.entries.push(MenuEntry { label: value.to_owned(), title: value.to_owned(), line: number, ..MenuEntry::default() });
            }
            ("kernel", Some(entry)) => {
                let mut words = value.split_whitespace().skip_while(|word| word.starts_with("--"));
                entry.kernel = words.next().map(str::to_owned);
                entry.command_line = Some(words.collect::<Vec<_>>().join(" "));
                entry.line = number;
            }
            // Xen: the kernel and its ramdisk as modules of the hypervisor.
            ("module", Some(entry)) if entry.initrds.is_empty() && entry.kernel.as_ref().is_some_and(|path| path.contains("xen")) => {
                let mut words = value.split_whitespace();
                entry.kernel = words.next().map(str::to_owned);
                entry.command_line = Some(words.collect::<Vec<_>>().join(" "));
                entry.line = number;
            }
            ("initrd" | "module", Some(entry)) => entry.initrds.push(value.to_owned()),
            _ => {}
        }
    }
    // `default saved` keeps its choice in a file of its own; the first entry stands for it.
    menu.default = (!menu.entries.is_empty()).then(|| default.filter(|place| *place < menu.entries.len()).unwrap_or(0));
    menu
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXTLINUX: &str = "DEFAULT menu.c32\nPROMPT 0\nMENU TITLE Boot menu\nTIMEOUT 10\nSERIAL 0 115200\n\nLABEL virt\n  MENU DEFAULT\n  \
                            MENU LABEL Linux ^virt\n  LINUX vmlinuz-virt\n  INITRD initramfs-virt\n  APPEND root=UUID=1 modules=ext4 \
                            console=ttyS0\nlabel other\n  kernel /other\n  append initrd=/a.img,/b.img quiet\nINCLUDE more.cfg\n";

    #[test]
    fn labels_are_read() {
        let menu = syslinux(EXTLINUX);
        assert_eq!((menu.default, menu.timeout.as_deref(), menu.serial.as_deref()), (Some(0), Some("10"), Some("SERIAL 0 115200")));
        let [virt, other] = menu.entries.as_slice() else { panic!() };
        assert_eq!((virt.title.as_str(), virt.kernel.as_deref(), virt.line), ("Linux virt", Some("vmlinuz-virt"), 10));
        assert_eq!(virt.command_line.as_deref(), Some("root=UUID=1 modules=ext4 console=ttyS0"));
        assert_eq!(
            (virt.initrds.as_slice(), other.initrds.as_slice()),
            (&["initramfs-virt".to_owned()][..], &["/a.img".to_owned(), "/b.img".to_owned()][..])
        );
        assert_eq!(menu.not_understood, ["INCLUDE more.cfg"]);
        let chosen = syslinux("default two\nappend quiet\nlabel one\nlinux a\nlabel TWO\nlinux b\nappend -\n");
        assert_eq!(chosen.default, Some(1));
        let lines: Vec<_> = chosen.entries.iter().map(|entry| entry.command_line.as_deref()).collect();
        assert_eq!(lines, [Some("quiet"), Some("")]);
        assert_eq!(syslinux("").default, None);
    }

    #[test]
    fn legacy_menus_are_read() {
        let menu = grub_legacy(
            "# comment\ndefault=1\ntimeout 5\nserial --unit=0 --speed=115200\nterminal --timeout=10 serial console\n\
             title Old (2.6.32)\n\troot (hd0,0)\n\tkernel /vmlinuz-2.6.32 ro root=/dev/sda1 console=ttyS0\n\tinitrd /initramfs.img\n\
             title Xen\nkernel /xen.gz com1=115200\nmodule /vmlinuz ro quiet\nmodule /initrd\n",
        );
        assert_eq!((menu.default, menu.timeout.as_deref()), (Some(1), Some("5")));
        assert_eq!(menu.terminal.as_deref(), Some("terminal --timeout=10 serial console"));
        let [old, xen] = menu.entries.as_slice() else { panic!() };
        assert_eq!((old.kernel.as_deref(), old.line), (Some("/vmlinuz-2.6.32"), 8));
        assert_eq!(old.command_line.as_deref(), Some("ro root=/dev/sda1 console=ttyS0"));
        assert_eq!((xen.kernel.as_deref(), xen.command_line.as_deref(), xen.initrds.len()), (Some("/vmlinuz"), Some("ro quiet"), 1));
        assert_eq!(grub_legacy("default saved\ntitle a\n").default, Some(0));
        assert_eq!(grub_legacy("default 7\ntitle a\n").default, Some(0));
        assert_eq!(grub_legacy("kernel x").default, None);
    }
}
