//! What is mounted at boot.

use crate::facts::Fact;
use serde::Serialize;

/// What is mounted at boot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MountsFacts {
    /// Lines of `/etc/fstab`.
    pub fstab: Fact<Vec<FstabLineFacts>>,
    /// Lines of `/etc/crypttab`.
    pub crypttab: Fact<Vec<CrypttabLineFacts>>,
    /// Mount, automount and swap units under `/etc/systemd/system`, by name.
    pub units: Fact<Vec<String>>,
    /// Swap files that exist, by path.
    pub swap_files: Fact<Vec<String>>,
    /// Devices in `/etc/lvm/devices/system.devices`, as the file names them; LVM uses no other where the file exists.
    pub lvm_devices: Fact<Vec<String>>,
}

/// A line of `/etc/fstab`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FstabLineFacts {
    /// Its number, the first is 1.
    pub line: usize,
    /// What is mounted, as written: `UUID=…`, `/dev/sda1`.
    pub source: String,
    /// Where, as written.
    pub target: String,
    /// Type of the file system, as written.
    #[serde(rename = "type")]
    pub kind: String,
    /// Options, as written.
    pub options: Vec<String>,
    /// How the source is named: `uuid`, `label`, `partuuid`, `partlabel`, `link` (below `/dev/disk`), `mapper` (a logical volume or another
    /// name of the device mapper), `device` (`/dev/sda1`, which may change between boots), `network`, `virtual`, `file`.
    pub named_by: String,
    /// Whether the boot goes on without it: `nofail`, or `noauto`.
    pub optional: bool,
    /// Where it was found: `partition 1`, `vg0/var`; absent where the disks given do not hold it.
    pub on: Fact<String>,
}

/// A line of `/etc/crypttab`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CrypttabLineFacts {
    /// Its number, the first is 1.
    pub line: usize,
    /// Name below `/dev/mapper`.
    pub name: String,
    /// The encrypted device, as written.
    pub source: String,
    /// Path of the key file; `null` where a passphrase is asked for, or a token is used. Never its content.
    pub key_file: Option<String>,
    /// Options, as written.
    pub options: Vec<String>,
    /// Where the encrypted device was found.
    pub on: Fact<String>,
}
