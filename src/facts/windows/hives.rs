//! Registry hives.

use crate::facts::Fact;
use serde::Serialize;

/// The hives under `\Windows\System32\config`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct HivesFacts {
    /// The hive `SYSTEM`.
    pub system: Fact<HiveFacts>,
    /// The hive `SOFTWARE`.
    pub software: Fact<HiveFacts>,
    /// The hive `SAM`: local accounts.
    pub sam: Fact<HiveFacts>,
    /// The hive `SECURITY`: local policy.
    pub security: Fact<HiveFacts>,
    /// The control set that Windows uses: `ControlSet001`.
    pub control_set: Fact<String>,
}

/// A hive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HiveFacts {
    /// Its path.
    pub path: String,
    /// Whether Windows had not finished writing it.
    pub dirty: bool,
    /// What became of the changes in its logs, in words; absent where it was closed cleanly and the logs hold nothing newer.
    pub recovery: Fact<String>,
    /// Parts that were found damaged while reading, at most a hundred.
    pub damage: Vec<String>,
}
