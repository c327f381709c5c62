//! Texts that people see when an image fails, and the rules that could have told before.
//!
//! What stands between `<` and `>` differs from case to case. Rows name requirements of the catalogue; `WG-*` is a whole family.

use super::{RULES, Rule, Severity};

/// A text that Azure or the guest shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KnownError {
    /// The text.
    pub text: &'static str,
    /// Codes and other wordings, each of which is enough to know it by.
    pub also: &'static [&'static str],
    /// Where it is seen.
    pub shown: &'static str,
    /// What it means.
    pub means: &'static str,
    /// Requirements that it can come from being broken.
    pub rows: &'static [&'static str],
}

impl KnownError {
    /// The rules that can find its cause: those of its requirements, and those that name the text themselves.
    #[must_use]
    pub fn rules(&self) -> Vec<&'static Rule> {
        let asked = |row: &str| {
            self.rows.iter().any(|wanted| match wanted.strip_suffix('*') {
                Some(family) => row.starts_with(family),
                None => row == *wanted,
            })
        };
        let names = |rule: &Rule| rule.azure_error.is_some_and(|text| alternatives(text).any(|one| same(one, self.text)));
        let all: Vec<&'static Rule> = RULES.iter().copied().filter(|rule| rule.rows().any(asked) || names(rule)).collect();
        // Where some rules of the rows find what surely leads here, those that only warn are left out, unless they name the text.
        let surely = |rule: &Rule| rule.severity == Severity::Error || names(rule);
        if all.iter().any(|rule| surely(rule)) { all.into_iter().filter(|rule| surely(rule)).collect() } else { all }
    }

    /// Every wording, the text first.
    fn wordings(&self) -> impl Iterator<Item = &'static str> {
        std::iter::once(self.text).chain(self.also.iter().copied())
    }
}

/// The known errors that a message holds, or that a piece of a message belongs to: best first.
#[must_use]
pub fn errors(message: &str) -> Vec<&'static KnownError> {
    let words = words(message);
    best(ERRORS.iter().map(|error| (error, error.wordings().map(|text| fit(text, &words)).max().unwrap_or_default())))
}

/// The rules whose own text a message holds, or a piece of it.
#[must_use]
pub fn rules_saying(message: &str) -> Vec<&'static Rule> {
    let words = words(message);
    let fits = |rule: &Rule| rule.azure_error.map(|text| alternatives(text).map(|one| fit(one, &words)).max().unwrap_or_default());
    best(RULES.iter().map(|rule| (*rule, fits(rule).unwrap_or_default())))
}

/// Those that fit, the best first; where one stands in the message word for word, only such.
fn best<T>(fits: impl Iterator<Item = (T, Fit)>) -> Vec<T> {
    let mut all: Vec<(T, Fit)> = fits.filter(|(_, fit)| *fit != Fit::None).collect();
    all.sort_by_key(|(_, fit)| std::cmp::Reverse(*fit));
    let whole = all.iter().any(|(_, fit)| matches!(fit, Fit::Whole(_)));
    all.into_iter().filter(|(_, fit)| !whole || matches!(fit, Fit::Whole(_))).map(|(one, _)| one).collect()
}

/// A rule may name several texts, with a stroke between them.
fn alternatives(text: &'static str) -> impl Iterator<Item = &'static str> {
    text.split(" / ")
}

/// How well a message fits a wording; more is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
enum Fit {
    #[default]
    None,
    /// The message is a piece of it: how many words in a hundred are of the message, and how many words those are.
    Piece(usize),
    /// It stands in the message with all its words: how many.
    Whole(usize),
}

/// Words that a message is looked at, at most.
const MOST: usize = 2000;

/// Letters and digits in a row, in lower case.
fn words(text: &str) -> Vec<String> {
    let pieces = text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    pieces.take(MOST).map(str::to_lowercase).collect()
}

/// A wording's pieces between placeholders.
fn pieces(text: &str) -> Vec<Vec<String>> {
    let mut out = Vec::new();
    for (place, part) in text.split('<').enumerate() {
        let fixed = if place == 0 { part } else { part.split_once('>').map_or(part, |(_, after)| after) };
        out.extend(fixed.split('…').map(words).filter(|words| !words.is_empty()));
    }
    out
}

fn same(one: &str, other: &str) -> bool {
    pieces(one) == pieces(other)
}

fn fit(wording: &str, message: &[String]) -> Fit {
    let pieces = pieces(wording);
    let total = pieces.iter().map(Vec::len).fold(0, usize::saturating_add);
    if total == 0 || message.is_empty() {
        return Fit::None;
    }
    if stands_in(&pieces, message) {
        return Fit::Whole(total);
    }
    // A piece: its words stand in the wording, in their order. What a placeholder stands for may be among them.
    let all: Vec<&String> = pieces.iter().flatten().collect();
    let mut rest = all.iter();
    let mut found: Vec<&String> = Vec::new();
    let mut missing = 0_usize;
    for word in message {
        let before = rest.clone();
        if rest.any(|known| *known == word) {
            found.push(word);
        } else {
            rest = before;
            missing = missing.saturating_add(1);
        }
    }
    let letters: usize = found.iter().map(|word| word.len()).sum();
    let telling = found.iter().any(|word| word.len() >= 8) || (found.len() >= 2 && letters >= 10);
    let most = found.len().saturating_mul(4) >= found.len().saturating_add(missing).saturating_mul(3);
    if telling && most { Fit::Piece(found.len()) } else { Fit::None }
}

/// Whether all pieces stand in the message, one behind the other.
fn stands_in(pieces: &[Vec<String>], message: &[String]) -> bool {
    let mut rest = message;
    for piece in pieces {
        let Some(place) = rest.windows(piece.len()).position(|window| window == piece.as_slice()) else { return false };
        rest = rest.get(place.saturating_add(piece.len())..).unwrap_or_default();
    }
    true
}

/// Every text that is known.
pub static ERRORS: &[KnownError] = &[
    KnownError {
        text: "The specified cookie value in VHD footer indicates that disk '<n>' with blob <url> is not a supported VHD. Disk is expected to \
               have cookie value 'conectix'.",
        also: &["InvalidVhd"],
        shown: "import of a disk, end of a direct upload, creation of a machine (InvalidVhd; InvalidParameter in older clients)",
        means: "the last 512 bytes of what was uploaded are not the footer of a fixed VHD: it is a VHDX, another format, a dynamic disk, or \
                its end is missing",
        rows: &["C-01", "C-02", "C-04", "C-13"],
    },
    KnownError {
        text: "The VHD <url> has an unsupported virtual size of <n> bytes. The size must be a whole number (in MBs).",
        also: &["unsupported virtual size"],
        shown: "creation of an image from a blob",
        means: "the Current Size in the footer is not a whole number of MiB",
        rows: &["C-03"],
    },
    KnownError {
        text: "The upload size in bytes <n> - 512 bytes for the VHD footer (<n> in this case) must be a multiple of MiB.",
        also: &["upload size in bytes"],
        shown: "az disk create --for-upload, New-AzDisk, Storage Explorer",
        means: "the length of the file without its footer is not a whole number of MiB",
        rows: &["C-03", "C-04"],
    },
    KnownError {
        text: "Vhd (Hard Disk Image) file must be between 20 MB and 4095 GB",
        also: &[],
        shown: "Add-AzVhd",
        means: "the file is smaller or larger than this command takes; direct upload takes more than it does",
        rows: &["C-06", "C-07", "C-09", "C-10"],
    },
    KnownError {
        text: "Given vhd file is a corrupted fixed vhd",
        also: &[],
        shown: "Add-AzVhd",
        means: "the length of the file is not a whole number of sectors, or it is not the disk and its footer",
        rows: &["C-05", "C-04"],
    },
    KnownError {
        text: "VHD size is too large ('<n>'), maximum allowed size is '1099511627776'",
        also: &["VHD size is too large"],
        shown: "azure-vhd-utils",
        means: "this tool takes no file above 1 TiB, its footer counted; the service does: upload with AzCopy or the Azure CLI",
        rows: &["C-07", "C-11"],
    },
    KnownError {
        text: "OS Provisioning for VM '<n>' did not finish in the allotted time. The VM may still finish provisioning successfully.",
        also: &["OSProvisioningTimedOut", "OS Provisioning for VM <n> did not finish in the allotted time"],
        shown: "creation of a machine (OSProvisioningTimedOut)",
        means: "nobody in the guest reported that it is ready: no agent runs, it cannot read the provisioning disc, it has no network, the \
                disk is not generalized, or the machine does not boot",
        rows: &[
            "WG-*", "LG-*", "L-17", "L-20", "L-21", "L-22", "L-23", "L-24", "L-26", "L-27", "L-31", "L-33", "L-40", "L-41", "L-48", "W-46",
            "W-61", "W-62",
        ],
    },
    KnownError {
        text: "However, the VM guest agent was detected running. This suggests the guest OS has not been properly prepared to be used as a VM \
               image (with CreateOption=FromImage).",
        also: &[
            "OSProvisioningClientError",
            "has not been properly prepared to be used as a VM image",
            "VM guest agent was detected running",
        ],
        shown: "creation of a machine (OSProvisioningTimedOut, OSProvisioningClientError)",
        means: "a specialized disk was deployed as a generalized image: the machine runs, and provisions nothing; deploy it as specialized, or \
                generalize it first",
        rows: &["WG-*", "LG-*", "M-08"],
    },
    KnownError {
        text: "The boot loader did not load an operating system.",
        also: &["boot loader did not load an operating system"],
        shown: "boot screenshot of a generation 2 machine, once for each disk",
        means: "the firmware found no loader that it can start on the EFI system partition, or the machine was made with the wrong generation",
        rows: &["G-01", "G-05", "G-06", "G-07", "G-08", "G-15"],
    },
    KnownError {
        text: "No operating system was loaded. Your virtual machine may be configured incorrectly.",
        also: &["No operating system was loaded"],
        shown: "boot screenshot of a generation 2 machine",
        means: "none of its disks could be booted: there is no EFI system partition with a fallback loader, or the loader lacks its \
                configuration",
        rows: &["G-01", "G-05", "G-06", "G-07", "G-08"],
    },
    KnownError {
        text: "Start PXE over IPv4",
        also: &["PXE over IPv4", "PXE-E16", "PXE-E18"],
        shown: "boot screenshot of a generation 2 machine",
        means: "the firmware found nothing to boot on the disk and goes on to the network",
        rows: &["G-01", "G-05", "G-06", "G-07", "G-08"],
    },
    KnownError {
        text: "Your virtual machine is prevented from booting due to secure boot validation failure",
        also: &["secure boot validation failure"],
        shown: "a machine with Trusted Launch",
        means: "a loader or kernel on its way is not signed by an authority that Azure trusts",
        rows: &["G-12", "G-13"],
    },
    KnownError {
        text: "File: \\Windows\\system32\\winload.exe Status: 0xC000000E",
        also: &["0xC000000E", "winload.exe", "winload.efi"],
        shown: "boot screenshot of a Windows machine",
        means: "the boot store names a device that is not there: a partition or disk by an identity that has changed",
        rows: &["W-50", "W-51", "W-52"],
    },
    KnownError {
        text: "INACCESSIBLE_BOOT_DEVICE",
        also: &["INACCESSIBLE BOOT DEVICE", "0x7B", "0x0000007B"],
        shown: "boot screenshot of a Windows machine",
        means: "Windows has no driver that starts at boot for the disk it is on: those of Hyper-V storage are missing or disabled, or the file \
                system is damaged",
        rows: &["W-42", "W-45", "W-39"],
    },
    KnownError {
        text: "Warning: dracut-initqueue: timeout, still waiting for following initqueue hooks",
        also: &["dracut-initqueue timeout", "dracut initqueue", "Entering emergency mode"],
        shown: "serial console of a Linux machine that uses dracut",
        means: "the root file system did not appear: the initramfs lacks the drivers of Hyper-V, or root is named by a name that is another one \
                in Azure",
        rows: &["L-01", "L-03", "L-04", "L-13", "L-14", "G-18"],
    },
    KnownError {
        text: "ALERT! UUID=<id> does not exist. Dropping to a shell!",
        also: &["does not exist. Dropping to a shell", "Gave up waiting for root file system device"],
        shown: "serial console of a Linux machine that uses initramfs-tools",
        means: "the root file system did not appear: the initramfs lacks the drivers of Hyper-V, or the command line names another file system",
        rows: &["L-01", "L-03", "L-04", "L-13"],
    },
    KnownError {
        text: "mount: unknown filesystem type 'udf'",
        also: &[
            "unknown filesystem type udf",
            "/dev/sr0 was not mountable",
            "Failed to get dvd device from /dev",
            "Failed to get dvd device",
        ],
        shown: "log of the agent or of cloud-init in a Linux machine",
        means: "the guest cannot read the disc that Azure provisions it from: the udf module is disabled or missing, or there is no driver for \
                the drive",
        rows: &["L-17"],
    },
    KnownError {
        text: "Waiting for cloud-init to copy ovf-env.xml to /var/lib/waagent/ovf-env.xml",
        also: &["Waiting for cloud-init to copy ovf-env"],
        shown: "log of the agent in a Linux machine",
        means: "the agent waits for cloud-init to provision the machine, and cloud-init does not: it is disabled, does not run, or does not take \
                the platform for Azure",
        rows: &["L-20", "L-21", "L-22", "L-23", "L-24", "L-26", "L-27"],
    },
    KnownError {
        text: "failure to find primary DHCP interface",
        also: &["failure to find DHCP interface", "failure to obtain DHCP lease"],
        shown: "error that cloud-init reports through the platform",
        means: "the guest has no network at its first boot: its driver is missing, or the network is configured for another machine",
        rows: &["L-02", "L-03", "L-40", "L-41", "L-42", "L-44"],
    },
    KnownError {
        text: "BitLocker-Sysprep: BitLocker is on for the OS volume. Turn BitLocker off to run Sysprep. (0x80310039)",
        also: &["0x80310039", "BitLocker is on for the OS volume"],
        shown: "log of Sysprep",
        means: "the Windows volume is encrypted, which it is too where protection is off; Sysprep does not run until it is decrypted",
        rows: &["W-60", "G-17"],
    },
    KnownError {
        text: "VHD is already registered with image repository as the resource",
        also: &["already registered with image repository"],
        shown: "creation of a classic image",
        means: "another image uses that blob already; it says nothing about the disk: copy the blob, or remove the other image",
        rows: &[],
    },
    KnownError {
        text: "ProvisioningFailed: cloud-init appears to be running, this is not expected, cannot continue",
        also: &["cloud-init appears to be running, this is not expected"],
        shown: "log of the agent in a Linux machine",
        means: "waagent is told to provision the machine while cloud-init is enabled; only one of them can",
        rows: &["L-23", "L-24"],
    },
    KnownError {
        text: "You are in emergency mode. After logging in, type \"journalctl -xb\" to view system logs",
        also: &["You are in emergency mode", "Dependency failed for Local File Systems"],
        shown: "serial console of a Linux machine",
        means: "a file system that /etc/fstab demands is not there, or cannot be mounted",
        rows: &["L-13", "L-14", "L-18", "G-09"],
    },
    KnownError {
        text: "IMAGE_STATE_UNDEPLOYABLE",
        also: &["IMAGE_STATE_SPECIALIZE_RESEAL_TO_OOBE"],
        shown: "state of a Windows installation, as scripts that wait for Sysprep print it",
        means: "a phase of Setup or Sysprep did not finish: its log says why, often a pending restart, a package of a user, or BitLocker",
        rows: &["WG-01", "WG-02", "WG-03", "WG-08", "W-49", "W-60", "W-64"],
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    /// The first error that a message is known by.
    fn first(message: &str) -> Option<&'static str> {
        errors(message).first().map(|error| error.text)
    }

    #[test]
    fn pasted_messages_are_known() {
        for (message, begins) in [
            ("OSProvisioningTimedOut", "OS Provisioning for VM"),
            ("osprovisioningtimedout", "OS Provisioning for VM"),
            ("cookie 'conectix'", "The specified cookie"),
            (
                "ERROR: (InvalidVhd) The specified cookie value in VHD footer indicates that disk 'osdisk.vhd' with blob \
                 https://x.blob.core.windows.net/vhds/osdisk.vhd is not a supported VHD. Disk is expected to have cookie value 'conectix'.",
                "The specified cookie",
            ),
            ("the VHD https://a/b.vhd has an\n  UNSUPPORTED virtual   size of 31457281 bytes.", "The VHD <url>"),
            ("The size must be a whole number (in MBs)", "The VHD <url>"),
            (
                "The upload size in bytes 35651585 - 512 bytes for the VHD footer (35651073 in this case) must be a multiple of MiB.",
                "The upload size",
            ),
            ("must be a multiple of MiB", "The upload size"),
            ("between 20 MB and 4095 GB", "Vhd (Hard Disk Image)"),
            ("corrupted fixed vhd", "Given vhd file"),
            ("VHD size is too large ('1099511628288'), maximum allowed size is '1099511627776'", "VHD size is too large"),
            ("OS Provisioning for VM 'web-01' did not finish in the allotted time. The VM may still finish", "OS Provisioning for VM"),
            ("guest agent was detected running", "However, the VM guest agent"),
            ("OSProvisioningClientError", "However, the VM guest agent"),
            ("SCSI DISK (0,0) The boot loader did not load an operating system.", "The boot loader did not"),
            ("No operating system was loaded", "No operating system"),
            (">>Start PXE over IPv4.", "Start PXE"),
            ("secure boot validation failure", "Your virtual machine is prevented"),
            ("File: \\Windows\\system32\\winload.efi\nStatus: 0xc000000e", "File: "),
            ("0xC000000E", "File: "),
            ("Stop code: INACCESSIBLE_BOOT_DEVICE", "INACCESSIBLE"),
            ("STOP: 0x0000007B (0xFFFFF880009A97E8)", "INACCESSIBLE"),
            ("0x7b", "INACCESSIBLE"),
            ("[  190.1] dracut-initqueue[331]: Warning: dracut-initqueue timeout - starting timeout scripts", "Warning: dracut"),
            ("ALERT!  UUID=6b1e02f0-9a53-4a0c does not exist.  Dropping to a shell!", "ALERT!"),
            ("mount: /mnt: unknown filesystem type 'udf'.", "mount: unknown"),
            ("Failed to get dvd device from /dev", "mount: unknown"),
            ("/dev/sr0 was not mountable", "mount: unknown"),
            (
                "INFO Daemon Waiting for cloud-init to copy ovf-env.xml to /var/lib/waagent/ovf-env.xml [waiting for 1801s]",
                "Waiting for cloud",
            ),
            ("failure to find primary DHCP interface", "failure to find"),
            ("result=error|reason=failure to obtain DHCP lease|agent=Cloud-Init", "failure to find"),
            ("(0x80310039)", "BitLocker-Sysprep"),
            ("VHD is already registered with image repository as the resource 'x'", "VHD is already"),
            ("You are in emergency mode", "You are in emergency"),
            ("IMAGE_STATE_UNDEPLOYABLE", "IMAGE_STATE"),
        ] {
            assert!(first(message).is_some_and(|text| text.starts_with(begins)), "{message}: {:?}", first(message));
        }
    }

    #[test]
    fn both_reasons_of_a_timeout_are_told_where_both_are_said() {
        let message = "OS Provisioning for VM 'a' did not finish in the allotted time. However, the VM guest agent was detected running. This \
                       suggests the guest OS has not been properly prepared to be used as a VM image (with CreateOption=FromImage).";
        let found: Vec<_> = errors(message).iter().map(|error| error.text.split(' ').next().unwrap()).collect();
        assert_eq!(found, ["However,", "OS"]);
    }

    #[test]
    fn other_words_are_not_known() {
        for message in
            ["", "  ", "the", "disk", "vhd", "bytes", "is not", "hello world", "quota exceeded in region westeurope", "a b c d e", "VHD999"]
        {
            assert_eq!(first(message), None, "{message}");
        }
        let long = "x ".repeat(100_000);
        assert_eq!(first(&long), None);
    }

    #[test]
    fn every_rules_own_text_leads_to_it() {
        for rule in RULES.iter() {
            let Some(text) = rule.azure_error else { continue };
            for one in alternatives(text) {
                let named = rules_saying(one).iter().any(|found| found.code == rule.code);
                let known = errors(one).iter().any(|error| error.rules().iter().any(|found| found.code == rule.code));
                assert!(named || known, "{}: {one}", rule.code);
            }
        }
    }

    #[test]
    fn texts_are_whole_and_their_rules_are_found() {
        for error in ERRORS {
            assert!(!error.shown.ends_with('.') && !error.means.ends_with('.'), "{}", error.text);
            assert!(error.wordings().all(|text| errors(text).contains(&error)), "{}", error.text);
            for row in error.rows {
                let (family, number) = row.split_once('-').expect("a row has a family and a number");
                assert!(["C", "G", "W", "WG", "L", "LG", "M"].contains(&family), "{row}");
                assert!(number == "*" || (number.len() == 2 && number.bytes().all(|byte| byte.is_ascii_digit())), "{row}");
            }
        }
        let cookie = errors("InvalidVhd")[0].rules();
        for code in ["VHD001", "VHD002", "VHD013"] {
            assert!(cookie.iter().any(|rule| rule.code == code), "{code}");
        }
    }
}
