//! Settings of the system.

use crate::facts::Fact;
use serde::Serialize;

/// Settings of the system.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct WindowsSystemFacts {
    /// `RealTimeIsUniversal`: whether the hardware clock is taken as UTC.
    pub real_time_is_universal: Fact<u32>,
    /// `TimeZoneKeyName`: `UTC`.
    pub time_zone: Fact<String>,
    /// `SanPolicy`: 1 all disks come online, 2 all but shared ones, 3 none, 4 all but internal ones.
    pub san_policy: Fact<u32>,
    /// The active power scheme's GUID, in lower case.
    pub power_scheme: Fact<String>,
    /// `TEMP` of all users.
    pub temp: Fact<String>,
    /// `TMP` of all users.
    pub tmp: Fact<String>,
    /// `PagingFiles`: page files with their sizes, as the registry has them.
    pub page_files: Fact<Vec<String>>,
    /// `BootExecute`: programs that run before the services.
    pub boot_execute: Fact<Vec<String>>,
    /// Whether policy denies removable storage altogether (`RemovableStorageDevices\Deny_All`).
    pub removable_storage_denied: Fact<u32>,
    /// Whether policy denies reading CDs and DVDs.
    pub cd_read_denied: Fact<u32>,
    /// AppLocker's rules by kind; absent where there is no policy.
    pub app_locker: Fact<Vec<AppLockerFacts>>,
}

/// Rules of AppLocker of one kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AppLockerFacts {
    /// `Exe`, `Dll`, `Script`, `Msi`, `Appx`.
    pub kind: String,
    /// `EnforcementMode`: 0 audit only, 1 enforced; absent where it is not set.
    pub enforcement: Fact<u32>,
    /// How many rules there are.
    pub rules: usize,
}
