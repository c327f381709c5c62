//! Dumps.

use crate::facts::Fact;
use serde::Serialize;

/// Dumps of the kernel and of programs.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct CrashFacts {
    /// `CrashControl\CrashDumpEnabled`: 0 none, 1 complete, 2 kernel, 3 small, 7 automatic.
    pub dump_enabled: Fact<u32>,
    /// `CrashControl\DumpFile`.
    pub dump_file: Fact<String>,
    /// `CrashControl\NMICrashDump`.
    pub nmi_dump: Fact<u32>,
    /// `CrashControl\AutoReboot`.
    pub auto_reboot: Fact<u32>,
    /// `LocalDumps\DumpFolder`: where dumps of programs go.
    pub local_dump_folder: Fact<String>,
    /// `LocalDumps\DumpType`: 1 small, 2 full.
    pub local_dump_type: Fact<u32>,
    /// `LocalDumps\DumpCount`: how many are kept.
    pub local_dump_count: Fact<u32>,
    /// `LocalDumps\CrashCount`: what Azure's preparation article sets.
    pub local_crash_count: Fact<u32>,
}
