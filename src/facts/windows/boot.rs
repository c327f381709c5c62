//! The boot configuration store.

use super::PartitionReferenceFacts;
use crate::facts::Fact;
use serde::Serialize;

/// A boot configuration store (BCD).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BootStoreFacts {
    /// Its path.
    pub path: String,
    /// What it is on: `partition 1`.
    pub on: String,
    /// Whether Windows had not finished writing it.
    pub dirty: bool,
    /// What of it could not be read.
    pub problems: Vec<String>,
    /// The boot manager; absent where the store has none.
    pub manager: Fact<BootmgrFacts>,
    /// What is started when nobody chooses; absent where the store does not name an object that it has.
    pub default: Fact<BcdEntryFacts>,
    /// Entries of the menu, the default one too.
    pub entries: usize,
    /// Port of the emergency management services.
    pub ems_port: Fact<u64>,
    /// Its speed.
    pub ems_baud_rate: Fact<u64>,
}

/// The boot manager.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BootmgrFacts {
    /// Where it is.
    pub device: Fact<BootDeviceFacts>,
    /// Its path there; absent where the store names none.
    pub path: Fact<String>,
    /// The default object's GUID.
    pub default: Fact<String>,
    /// Whether it shows its menu.
    pub display_menu: Fact<bool>,
    /// Seconds for which it does.
    pub timeout: Fact<u64>,
    /// Whether it uses the serial console.
    pub ems: Fact<bool>,
    /// Whether it loads unsigned code.
    pub no_integrity_checks: Fact<bool>,
    /// Whether test signatures count.
    pub test_signing: Fact<bool>,
}

/// An entry that the boot manager starts. Settings that it inherits count as its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BcdEntryFacts {
    /// Its GUID.
    pub id: String,
    /// `loader`, `resume`, or the type in hex; absent where the store has no type.
    pub kind: Fact<String>,
    /// What the menu shows.
    pub description: Fact<String>,
    /// Where the loader is.
    pub device: Fact<BootDeviceFacts>,
    /// The loader: `\Windows\system32\winload.efi`.
    pub path: Fact<String>,
    /// Where Windows is.
    pub os_device: Fact<BootDeviceFacts>,
    /// Its directory: `\Windows`.
    pub system_root: Fact<String>,
    /// Whether the recovery environment starts after failures.
    pub recovery_enabled: Fact<bool>,
    /// What happens after failures: 0 all of them show the menu, 1 all are ignored, 2 those of shutting down are, 3 those of starting are.
    pub boot_status_policy: Fact<u64>,
    /// Whether the loader uses the serial console (`bootems`).
    pub boot_ems: Fact<bool>,
    /// Whether Windows does (`ems`).
    pub ems: Fact<bool>,
    /// Whether unsigned code is loaded.
    pub no_integrity_checks: Fact<bool>,
    /// Whether test signatures count.
    pub test_signing: Fact<bool>,
    /// Safe mode: 0 minimal, 1 with network, 2 directory services repair; absent where it is not on.
    pub safe_boot: Fact<u64>,
}

/// A device in a boot configuration store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BootDeviceFacts {
    /// `boot` (that from which the machine was started), `partition`, `disk`, `file`, `ram disk`, `virtual disk`, `locate` (found at boot
    /// by what it holds), `number` (a place in the table), `other`.
    pub kind: String,
    /// In words.
    pub text: String,
    /// The partition, or for a file the partition that it is on; absent for kinds that name none.
    pub partition: Fact<PartitionReferenceFacts>,
}
