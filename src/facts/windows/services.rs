//! Services and drivers.

use crate::facts::Fact;
use serde::Serialize;
use std::collections::BTreeMap;

/// A service or driver.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct WindowsServiceFacts {
    /// Its key's name; case does not count.
    pub name: String,
    /// `driver` (kernel or file system), `service`, or another `Type` in hex.
    pub kind: Fact<String>,
    /// When it starts; absent where the value is missing.
    pub start: Fact<StartType>,
    /// The value `Start` itself.
    pub start_value: Fact<u32>,
    /// Whether an automatic service waits until others have started.
    pub delayed: Fact<bool>,
    /// Values of its key `StartOverride` by name (`0`), which stand for `Start`. Windows makes the key for boot drivers that a machine
    /// does not need; absent where there is no such key.
    pub start_override: Fact<BTreeMap<String, u32>>,
    /// Its program, as the registry has it; `…` stands for arguments, which may hold a secret, but for those of `svchost.exe`.
    pub image_path: Fact<String>,
    /// Whether a driver's file is on the volume; absent for services.
    pub file_present: Fact<bool>,
}

/// When a service or driver starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum StartType {
    /// 0: the boot loader loads it.
    Boot,
    /// 1: the kernel starts it.
    System,
    /// 2: by itself.
    Auto,
    /// 3: when something asks for it.
    Manual,
    /// 4: never.
    Disabled,
}

impl StartType {
    /// What a value `Start` means; `None` for values that Windows does not know.
    #[must_use]
    pub fn of(value: u32) -> Option<Self> {
        [Self::Boot, Self::System, Self::Auto, Self::Manual, Self::Disabled].get(usize::try_from(value).ok()?).copied()
    }
}

impl std::fmt::Display for StartType {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Boot => "boot",
            Self::System => "system",
            Self::Auto => "automatic",
            Self::Manual => "manual",
            Self::Disabled => "disabled",
        })
    }
}

impl super::WindowsFacts {
    /// A service by its name, in any case; `None` where it is not registered.
    ///
    /// # Errors
    ///
    /// When services could not be read.
    pub fn service(&self, name: &str) -> Result<Option<&WindowsServiceFacts>, crate::facts::Unknown> {
        let services = self.services.known()?.map(Vec::as_slice).unwrap_or_default();
        Ok(services.iter().find(|service| service.name.eq_ignore_ascii_case(name)))
    }
}
