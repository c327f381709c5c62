//! Marks of Sysprep and Setup.

use crate::facts::Fact;
use serde::Serialize;
use std::collections::BTreeMap;

/// Marks of Sysprep and Setup.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct SysprepFacts {
    /// `ImageState` of the registry: `IMAGE_STATE_COMPLETE`.
    pub image_state: Fact<String>,
    /// `ImageState` of `\Windows\Setup\State\State.ini`.
    pub image_state_file: Fact<String>,
    /// `SysprepStatus\GeneralizationState`: 7 on every machine that Sysprep is not working on. It decides nothing.
    pub generalization_state: Fact<u32>,
    /// `SysprepStatus\CleanupState`: 2 when clean.
    pub cleanup_state: Fact<u32>,
    /// What Setup will do at the next start.
    pub setup: SetupFacts,
    /// `ChildCompletion`: 3 finished, 1 running, 0 not run; by program.
    pub child_completion: Fact<BTreeMap<String, u32>>,
    /// Whether `\Windows\System32\Sysprep\Sysprep_succeeded.tag` is there; it stays after the first start.
    pub succeeded_tag: Fact<bool>,
    /// `\Windows\System32\Sysprep\Panther\setuperr.log`; absent where it is missing.
    pub error_log: Fact<SetupErrorLogFacts>,
    /// `SoftwareProtectionPlatform\SkipRearm`.
    pub skip_rearm: Fact<u32>,
    /// Whether `Cryptography\MachineGuid` is set; never its value.
    pub machine_guid: Fact<bool>,
    /// `Setup\CloneTag`: when an image that this disk comes from was generalized; it stays forever.
    pub clone_tag: Fact<String>,
}

/// Values of `SYSTEM\Setup`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct SetupFacts {
    /// `SystemSetupInProgress`.
    pub in_progress: Fact<u32>,
    /// `SetupType`: 0 none, 1 first installation, 2 a command at the next start, 4 upgrade.
    pub kind: Fact<u32>,
    /// `CmdLine`: what runs at the next start in place of the logon screen.
    pub command: Fact<String>,
    /// `OOBEInProgress`.
    pub oobe_in_progress: Fact<u32>,
    /// `SetupPhase`.
    pub phase: Fact<u32>,
    /// `RestartSetup`.
    pub restart: Fact<u32>,
}

/// A log of errors that Sysprep wrote.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SetupErrorLogFacts {
    /// Its path.
    pub path: String,
    /// Bytes.
    pub size: u64,
    /// Error lines in it; of a log longer than a mebibyte, in its last mebibyte.
    pub error_count: usize,
    /// The last of them, at most ten.
    pub errors: Vec<SetupErrorFacts>,
}

/// An error line of a log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SetupErrorFacts {
    /// Codes that it names: `0x80073cf2`.
    pub codes: Vec<String>,
    /// Its first 200 characters.
    pub message: String,
}
