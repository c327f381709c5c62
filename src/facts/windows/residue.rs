//! What waits for the next start, and what setting up leaves behind.

use crate::facts::{Fact, FileFacts};
use serde::Serialize;

/// What waits for the next start.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct PendingFacts {
    /// Whether `Component Based Servicing\RebootPending` is there.
    pub reboot_pending: Fact<bool>,
    /// Whether `Component Based Servicing\RebootInProgress` is there.
    pub reboot_in_progress: Fact<bool>,
    /// Whether `Component Based Servicing\PackagesPending` is there.
    pub packages_pending: Fact<bool>,
    /// Whether `WindowsUpdate\Auto Update\RebootRequired` is there.
    pub update_reboot_required: Fact<bool>,
    /// Files to be renamed or deleted (`PendingFileRenameOperations` and its second list).
    pub file_renames: Fact<usize>,
    /// Whether `\Windows\WinSxS\pending.xml` is there.
    pub pending_xml: Fact<bool>,
    /// Whether the computer name changes with the next start; absent where the active name is not kept.
    pub name_change: Fact<bool>,
}

/// Answer files, and traces of an earlier provisioning.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct AnswerFileFacts {
    /// `SYSTEM\Setup\UnattendFile`: what Setup takes before all others; absent where it is not set or empty.
    pub registry: Fact<String>,
    /// Answer files where Setup looks for them by itself, in its order.
    pub files: Fact<Vec<FileFacts>>,
    /// `\AzureData\CustomData.bin`; absent where it is missing.
    pub custom_data: Fact<FileFacts>,
}

/// BitLocker's settings. Whether a volume is encrypted is told by the volume.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct BitLockerFacts {
    /// `Control\BitLocker\PreventDeviceEncryption`: 1 keeps Windows from encrypting by itself.
    pub prevent_device_encryption: Fact<u32>,
}

/// Hibernation and fast startup.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct HibernationFacts {
    /// What `\hiberfil.sys` begins with: `hibernated`, `resumed`, `empty` (zeros), `other`; absent where there is no such file.
    pub file: Fact<String>,
    /// `HiberbootEnabled`: 1 for fast startup.
    pub fast_startup: Fact<u32>,
    /// `HibernateEnabled`.
    pub enabled: Fact<u32>,
}
