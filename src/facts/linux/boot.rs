//! How a Linux boots: loaders, their configuration, the kernel command line.

use crate::facts::Fact;
use serde::Serialize;

/// How a Linux boots.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct LinuxBootFacts {
    /// Whose configuration counts: `grub`, `grub-legacy`, `systemd-boot`, `extlinux`, `uki`; absent where none was found.
    pub loader: Fact<String>,
    /// Every entry of every configuration that was found, in the order of the menus; that of the loader which counts comes first.
    pub entries: Fact<Vec<BootEntryFacts>>,
    /// Title of the entry that starts by itself.
    pub default_entry: Fact<String>,
    /// What the kernel is told by the entry that starts by itself.
    pub command_line: Fact<String>,
    /// The file and line that it comes from: `/boot/grub/grub.cfg:120`; of an entry in a file of its own that file.
    pub command_line_source: Fact<String>,
    /// The same, one parameter each, without those for init.
    pub parameters: Fact<Vec<String>>,
    /// Values of `console` on it, in their order; the last one is `/dev/console`.
    pub consoles: Fact<Vec<String>>,
    /// Value of `root` on it.
    pub root: Fact<String>,
    /// Value of `rootflags` on it.
    pub root_flags: Fact<String>,
    /// What another loader on the same disk would tell the kernel, where that differs: generation 1 and 2 may read different files.
    pub other_command_lines: Vec<OtherCommandLineFacts>,
    /// The configuration of GRUB that counts.
    pub grub: Fact<GrubFacts>,
    /// `/etc/default/grub`, from which the next configuration will be made.
    pub default_grub: Fact<DefaultGrubFacts>,
    /// Unified kernel images on the EFI system partition.
    pub unified_kernels: Fact<Vec<UnifiedKernelFacts>>,
    /// What in configurations was not understood or not followed, one plain sentence each.
    pub not_understood: Vec<String>,
}

/// An entry of a boot menu.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BootEntryFacts {
    /// What the menu shows.
    pub title: String,
    /// Its id, where it has one.
    pub id: Option<String>,
    /// Path of the kernel: in the guest's tree where it is there, else as the entry has it; `null` for entries that start no kernel.
    pub kernel: Option<String>,
    /// Paths of initial ramdisks, in the same way.
    pub initrds: Vec<String>,
    /// Those of kernel and initial ramdisks that are not there.
    pub missing: Vec<String>,
    /// What the kernel is told; `null` for entries that start no kernel.
    pub command_line: Option<String>,
    /// The file that it comes from.
    pub source: String,
    /// The line of the kernel there.
    pub line: u32,
    /// Whether it starts by itself, in its configuration.
    pub default: bool,
}

/// Another configuration's command line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OtherCommandLineFacts {
    /// The file.
    pub source: String,
    /// What its default entry tells the kernel.
    pub command_line: String,
}

/// A configuration of GRUB.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct GrubFacts {
    /// Path of `grub.cfg`.
    pub config: String,
    /// Value of `default` at its end; `null` where it is not set, and then the first entry starts.
    pub default: Option<String>,
    /// Whether there is an entry of that name.
    pub default_found: bool,
    /// Seconds until the default starts, as written; `null` where it is not set, and then the menu waits for ever.
    pub timeout: Option<String>,
    /// Terminals that it reads from; none where it does not say.
    pub terminal_input: Vec<String>,
    /// Terminals that it writes to; none where it does not say.
    pub terminal_output: Vec<String>,
    /// The command that sets up a serial port.
    pub serial: Option<String>,
    /// Whether entries come from the files of the Boot Loader Specification.
    pub uses_blscfg: bool,
    /// UUID of the file system that it looks for outside its entries.
    pub search_uuid: Option<String>,
    /// `saved_entry` of the environment block.
    pub saved_entry: Option<String>,
    /// `kernelopts` of the environment block, which comes before what the configuration says.
    pub kernelopts: Option<String>,
    /// `boot_success` of the environment block.
    pub boot_success: Option<String>,
}

/// `/etc/default/grub` with its drop-in files; `null` for what is not set.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct DefaultGrubFacts {
    /// `GRUB_CMDLINE_LINUX`.
    pub cmdline_linux: Option<String>,
    /// `GRUB_CMDLINE_LINUX_DEFAULT`.
    pub cmdline_linux_default: Option<String>,
    /// `GRUB_TERMINAL`.
    pub terminal: Option<String>,
    /// `GRUB_TERMINAL_INPUT`.
    pub terminal_input: Option<String>,
    /// `GRUB_TERMINAL_OUTPUT`.
    pub terminal_output: Option<String>,
    /// `GRUB_SERIAL_COMMAND`.
    pub serial_command: Option<String>,
    /// `GRUB_TIMEOUT`.
    pub timeout: Option<String>,
    /// `GRUB_DEFAULT`.
    pub default: Option<String>,
    /// `GRUB_ENABLE_BLSCFG`.
    pub enable_blscfg: Option<String>,
    /// `GRUB_DISABLE_OS_PROBER`.
    pub disable_os_prober: Option<String>,
    /// The files that were read.
    pub files: Vec<String>,
}

/// A unified kernel image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct UnifiedKernelFacts {
    /// Its path in the guest's tree.
    pub path: String,
    /// `PRETTY_NAME` of the os-release within it.
    pub name: Fact<String>,
    /// Version of the kernel within it.
    pub kernel: Fact<String>,
    /// The command line within it.
    pub command_line: Fact<String>,
}
