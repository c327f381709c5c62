//! Kernels and what they can drive.

use super::super::{Fact, Unknown};
use serde::Serialize;
use std::collections::BTreeMap;

/// One installed kernel.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct KernelFacts {
    /// Its release, as `uname -r` would print it; of an image that tells none, the rest of the file's name.
    pub release: String,
    /// The numbers that the release begins with, to be compared with a floor: `[6, 1, 0, 56]` of `6.1.0-56-cloud-amd64`.
    pub numbers: Vec<u64>,
    /// Whether it is kept for rescue (`vmlinuz-0-rescue-…`) and not what boots.
    pub rescue: bool,
    /// The file that a loader starts.
    pub image: Fact<KernelImageFacts>,
    /// The file that tells how it was configured.
    pub config: Fact<String>,
    /// The directory of its modules.
    pub modules: Fact<String>,
    /// The initramfs that belongs to it.
    pub initramfs: Fact<InitramfsFacts>,
    /// Drivers that matter on Azure or tell where a disk comes from, by the module's name with `_` for `-`. ISO 9660 is `isofs`.
    pub drivers: BTreeMap<String, DriverFacts>,
}

/// A kernel's file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct KernelImageFacts {
    /// Where it is.
    pub path: String,
    /// Bytes of the file.
    pub size: u64,
    /// `x64`, `Arm64`, `x86`, as its header says.
    pub architecture: Fact<String>,
}

/// An initramfs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct InitramfsFacts {
    /// Where it is.
    pub path: String,
    /// Bytes of the file.
    pub size: u64,
    /// What is in it.
    pub content: Fact<InitramfsContentFacts>,
}

/// What an initramfs holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct InitramfsContentFacts {
    /// How its archives are packed, in their order: `none`, `gzip`, `zstd`, and so on.
    pub compression: Vec<String>,
    /// Files in it.
    pub entries: u64,
    /// Bytes that it unpacks to.
    pub unpacked: u64,
    /// What made it: `dracut`, `initramfs-tools`, `mkinitcpio`, `mkinitfs`, `booster`, `mkinitrd`.
    pub maker: Fact<String>,
    /// Whether dracut was told to include only what the machine needed that made it; absent where nothing tells.
    pub host_only: Fact<bool>,
    /// Releases of kernels that it has modules for.
    pub releases: Vec<String>,
    /// Modules that its own `modprobe.d` forbids to load by themselves.
    pub blacklisted: Vec<ModuleLineFacts>,
    /// Modules that its own `modprobe.d` forbids to load at all.
    pub disabled: Vec<ModuleLineFacts>,
    /// Kernel parameters that it adds (`etc/cmdline.d`); values that may be secret are left out.
    pub parameters: Vec<ParameterFacts>,
    /// What stands after its last archive and is no archive; the kernel goes on without it.
    pub ignored: Fact<String>,
}

/// Kernel parameters that an initramfs adds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ParameterFacts {
    /// The file in the initramfs.
    pub file: String,
    /// The parameter.
    pub parameter: String,
}

/// One driver of one kernel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DriverFacts {
    /// Where the driver is.
    pub state: Fact<DriverState>,
    /// The module's file.
    pub path: Fact<String>,
    /// Whether the initramfs has it as a module; `false` for what is built in.
    pub in_initramfs: Fact<bool>,
    /// What the state was learnt from.
    pub evidence: String,
}

impl DriverFacts {
    /// Whether it is there before the root file system is mounted: built in, or in the initramfs.
    ///
    /// # Errors
    ///
    /// Why that is not known.
    pub fn is_early(&self) -> Result<bool, Unknown> {
        if self.state.value() == Some(&DriverState::BuiltIn) || self.in_initramfs.value() == Some(&true) {
            return Ok(true);
        }
        self.in_initramfs.known()?;
        self.state.known()?;
        Ok(false)
    }

    /// Whether the running system has it: built in, a module, or loaded by the initramfs.
    ///
    /// # Errors
    ///
    /// Why that is not known.
    pub fn is_there(&self) -> Result<bool, Unknown> {
        if self.in_initramfs.value() == Some(&true) {
            return Ok(true);
        }
        Ok(self.state.known()?.is_some_and(|state| *state != DriverState::Missing))
    }
}

/// Where a driver is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DriverState {
    /// In the kernel itself.
    BuiltIn,
    /// In a file of its own.
    Module,
    /// Nowhere.
    Missing,
}

/// What modprobe was told, and what initramfs makers were told to include.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct ModuleSettingsFacts {
    /// What `modprobe.d` says.
    pub modprobe: Fact<ModprobeFacts>,
    /// dracut's configuration; absent where there is no dracut.
    pub dracut: Fact<DracutFacts>,
    /// initramfs-tools' configuration; absent where there are none.
    pub initramfs_tools: Fact<InitramfsToolsFacts>,
    /// mkinitcpio's configuration; absent where there is none.
    pub mkinitcpio: Fact<MkinitcpioFacts>,
    /// mkinitfs' configuration; absent where there is none.
    pub mkinitfs: Fact<MkinitfsFacts>,
    /// Sources that DKMS builds modules from: `name/version`.
    pub dkms: Fact<Vec<String>>,
    /// Modules that did not come with their kernel.
    pub out_of_tree: Fact<Vec<OutOfTreeModuleFacts>>,
}

/// What `modprobe.d` says. A file hides those of its name in directories that come later.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct ModprobeFacts {
    /// Modules that are not loaded for a device by themselves (`blacklist`).
    pub blacklisted: Vec<ModuleLineFacts>,
    /// Modules that cannot be loaded at all (`install` of a command that loads nothing, `alias … off`).
    pub disabled: Vec<ModuleLineFacts>,
    /// Modules with parameters (`options`).
    pub options: Vec<ModuleLineFacts>,
}

/// A line that names a module.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct ModuleLineFacts {
    /// The module, with `_` for `-`; it may be a pattern.
    pub module: String,
    /// What the line says, without its comment.
    pub text: String,
    /// The file.
    pub file: String,
    /// Its line, from 1.
    pub line: u64,
}

/// dracut's configuration.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct DracutFacts {
    /// `add_drivers`: modules to include besides.
    pub add_drivers: Vec<ModuleLineFacts>,
    /// `force_drivers`: modules to include and to load early.
    pub force_drivers: Vec<ModuleLineFacts>,
    /// `drivers`: the only modules to include.
    pub drivers: Vec<ModuleLineFacts>,
    /// `omit_drivers`: modules to leave out, as patterns.
    pub omit_drivers: Vec<ModuleLineFacts>,
    /// `hostonly`: whether only what the machine needs is included; absent where nothing sets it.
    pub host_only: Fact<bool>,
}

/// initramfs-tools' configuration.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct InitramfsToolsFacts {
    /// Modules to include and to load.
    pub modules: Vec<ModuleLineFacts>,
    /// `MODULES`: `most`, `dep`, `netboot` or `list`.
    pub policy: Fact<String>,
}

/// mkinitcpio's configuration.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct MkinitcpioFacts {
    /// `MODULES`.
    pub modules: Vec<ModuleLineFacts>,
    /// `HOOKS`.
    pub hooks: Vec<String>,
}

/// mkinitfs' configuration.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct MkinitfsFacts {
    /// `features`.
    pub features: Vec<String>,
    /// Modules and directories of modules that the features in `features.d` include.
    pub modules: Vec<ModuleLineFacts>,
}

/// A module that did not come with its kernel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OutOfTreeModuleFacts {
    /// Where it is.
    pub path: String,
    /// The kernel's release.
    pub release: String,
    /// Whether it carries a signature; by whom is not looked at.
    pub signed: Fact<bool>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_driver_is_early_where_anything_says_so() {
        let driver = |state: Fact<DriverState>, in_initramfs: Fact<bool>| {
            let driver = DriverFacts { state, path: Fact::Absent, in_initramfs, evidence: String::new() };
            (driver.is_early().ok(), driver.is_there().ok())
        };
        use DriverState::{BuiltIn, Missing, Module};
        let unknown = || Fact::unknown("why");
        assert_eq!(driver(Fact::Known(BuiltIn), unknown()), (Some(true), Some(true)));
        assert_eq!(driver(Fact::Known(Module), Fact::Known(false)), (Some(false), Some(true)));
        assert_eq!(driver(Fact::Known(Module), unknown()), (None, Some(true)));
        assert_eq!(driver(Fact::Unknown(Unknown(String::new())), Fact::Known(true)), (Some(true), Some(true)));
        assert_eq!(driver(Fact::Unknown(Unknown(String::new())), Fact::Known(false)), (None, None));
        assert_eq!(driver(Fact::Known(Missing), Fact::Known(false)), (Some(false), Some(false)));
    }
}
