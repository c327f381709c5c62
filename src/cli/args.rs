//! The command line: one definition for parsing, help, completions and man pages.

pub(super) use super::choices::{
    DataDisk, DigestChoice, OperationList, ProfileChoice, ReflinkChoice, RoleChoice, SeverityChoice, StateChoice,
};
use super::choices::{parse_code, parse_data, parse_name, parse_operations, parse_waiver};
use super::config::Settled;
pub(super) use super::formats::{CheckFormat, Format, InspectFormat, ReportFile, RulesFormat};
use super::formats::{parse_disks_report, parse_plain_report, parse_report};
use super::recipe::RecipeArgs;
use crate::bytes::ByteSize;
use clap::{ArgGroup, Args, Parser, Subcommand, ValueEnum};
use std::num::NonZeroU16;
use std::path::PathBuf;

/// Tells whether VHD disks are ready for Azure, why not, and writes the ones that are.
#[derive(Debug, Parser)]
#[command(
    name = "vhdkit",
    version,
    about,
    after_help = "Exit status: 0 ready; 1 not ready, or an error rule undecided; 2 it could not be done; 129, 130, 143 interrupted.\n\
                  Sources are opened read-only, always. No root, mounts or network are needed.",
    max_term_width = 100,
    propagate_version = true
)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub(super) command: Command,
    /// Options of every command.
    #[command(flatten)]
    pub(super) common: Common,
}

/// Options of every command.
#[derive(Debug, Args)]
pub(super) struct Common {
    /// Print no report; the exit status says it
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub(super) quiet: bool,
    /// Print everything that is known
    #[arg(short, long, global = true)]
    pub(super) verbose: bool,
    /// Whether to colour text
    #[arg(long, global = true, value_enum, default_value_t = ColorChoice::Auto, value_name = "WHEN")]
    pub(super) color: ColorChoice,
    /// Progress on standard error: a bar on a terminal, one JSON object a line, or none
    #[arg(long, global = true, value_enum, default_value_t = ProgressChoice::Auto, value_name = "HOW")]
    pub(super) progress: ProgressChoice,
    /// Never read from a mapping, which verify does otherwise (for unreliable network file systems)
    #[arg(long, global = true)]
    pub(super) no_mmap: bool,
}

/// When to colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum ColorChoice {
    /// On a terminal, unless NO_COLOR is set
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

/// How to show progress.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum ProgressChoice {
    /// A bar when standard error is a terminal
    Auto,
    /// One JSON object a line
    Json,
    /// Nothing
    None,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Tell what each disk is and what is inside
    Inspect(InspectArgs),
    /// Judge each disk: every reason why Azure would refuse it, with its cure
    Check(CheckArgs),
    /// Write an image that is ready: the disks and manifest.json
    Prepare(PrepareArgs),
    /// Tell what makes a template of a Linux disk, or with -o write it: as prepare --as generalized --generalize
    Generalize(GeneralizeArgs),
    /// Reread a prepared image: files, footers, digests, verdict
    Verify(VerifyArgs),
    /// Print what deploys a prepared image: upload, disks, image version or machine
    Recipe(RecipeArgs),
    /// List guest files, as ls -l does
    Ls(LsArgs),
    /// Print guest files, byte for byte
    Cat(CatArgs),
    /// List the rules
    Rules(RulesArgs),
    /// Print a rule's page, or what an error of Azure means
    Explain(ExplainArgs),
    /// Print a completion script
    Completions {
        /// For which shell
        shell: clap_complete::Shell,
    },
    /// Print a man page
    Man {
        /// Of which command; vhdkit's own by default
        command: Option<String>,
    },
}

/// Options of commands that open disks.
#[derive(Debug, Clone, Args)]
pub(super) struct Opening {
    /// Where parents of differencing disks may be looked for, beside the disk's own directory; repeatable
    #[arg(long, value_name = "DIR")]
    pub(super) parent_dir: Vec<PathBuf>,
    /// Read data too, where only that can tell: sector bitmaps against data, stray footers anywhere
    #[arg(long)]
    pub(super) deep: bool,
}

/// How many disks at a time.
#[derive(Debug, Clone, Copy, Args)]
pub(super) struct Parallel {
    /// Disks that are looked at at the same time, of several; by default as many as there are processors, at most 8
    #[arg(short, long, value_name = "N")]
    pub(super) jobs: Option<NonZeroU16>,
}

/// `inspect`.
#[derive(Debug, Args)]
pub(super) struct InspectArgs {
    /// Disk files or block devices
    #[arg(required = true, value_name = "DISK")]
    pub(super) disks: Vec<PathBuf>,
    #[command(flatten)]
    pub(super) opening: Opening,
    #[command(flatten)]
    pub(super) parallel: Parallel,
    /// How to print
    #[arg(long, value_enum, default_value_t = InspectFormat::Text)]
    pub(super) format: InspectFormat,
    /// Write the report to a file as well, e.g. json=disk.json; repeatable
    #[arg(long, value_name = "FORMAT=FILE", value_parser = parse_disks_report)]
    pub(super) report: Vec<ReportFile>,
}

/// Options that ask the question.
#[derive(Debug, Clone, Args)]
pub(super) struct Asking {
    /// A data disk of the image, with its LUN (0 to 63); repeatable
    #[arg(long, value_name = "LUN=DISK", value_parser = parse_data, allow_hyphen_values = true)]
    pub(super) data: Vec<DataDisk>,
    /// The Hyper-V generation that it will be deployed as
    #[arg(long, value_parser = clap::value_parser!(u8).range(1..=2), value_name = "1|2")]
    pub(super) generation: Option<u8>,
    /// Which rules: what any VM needs (azure, the default), or Marketplace certification too
    #[arg(long, value_enum)]
    pub(super) profile: Option<ProfileChoice>,
    /// The lowest severity that makes status 1; error by default
    #[arg(long, value_enum, value_name = "SEVERITY")]
    pub(super) fail_on: Option<SeverityChoice>,
    /// Keep a rule's findings in the report, marked waived, out of the status; repeatable
    #[arg(long, value_name = "CODE[=REASON]", value_parser = parse_waiver)]
    pub(super) waive: Vec<(String, String)>,
    /// Take profile, fail-on and waivers from this file; by default from vhdkit.toml beside the first disk
    #[arg(long, value_name = "FILE", conflicts_with = "no_config")]
    pub(super) config: Option<PathBuf>,
    /// Read no vhdkit.toml
    #[arg(long)]
    pub(super) no_config: bool,
    /// State and role that are asked for: of [`Wanted`], or of the command itself.
    #[arg(skip)]
    pub(super) state: Option<StateChoice>,
    #[arg(skip)]
    pub(super) role: Option<RoleChoice>,
    /// What these and the configuration come to.
    #[arg(skip)]
    pub(super) settled: Settled,
}

/// What the image, and its first disk, is wanted for. Only the start of a command reads it: it goes into [`Asking`].
#[derive(Debug, Clone, Copy, Default, Args)]
pub(super) struct Wanted {
    /// What the image is for; an OS disk is then demanded
    #[arg(long = "as", value_enum, value_name = "STATE")]
    pub(super) state: Option<StateChoice>,
    /// Take the given disks for OS or data disks, whatever is found
    #[arg(long, value_enum)]
    pub(super) role: Option<RoleChoice>,
}

/// `check`.
#[derive(Debug, Clone, Args)]
pub(super) struct CheckArgs {
    /// Disk files or block devices
    #[arg(required = true, value_name = "DISK")]
    pub(super) disks: Vec<PathBuf>,
    #[command(flatten)]
    pub(super) wanted: Wanted,
    #[command(flatten)]
    pub(super) asking: Asking,
    #[command(flatten)]
    pub(super) opening: Opening,
    #[command(flatten)]
    pub(super) parallel: Parallel,
    /// How to print
    #[arg(long, value_enum, default_value_t = CheckFormat::Text)]
    pub(super) format: CheckFormat,
    /// Write the report to a file as well, e.g. junit=check.xml; repeatable
    #[arg(long, value_name = "FORMAT=FILE", value_parser = parse_report)]
    pub(super) report: Vec<ReportFile>,
}

/// Options of commands that write an image.
#[derive(Debug, Clone, Args)]
pub(super) struct Writing {
    /// Directory of the image; made if missing
    #[arg(short, long, value_name = "DIR")]
    pub(super) output: Option<PathBuf>,
    /// Print the plan that would be executed, and write nothing
    #[arg(long)]
    pub(super) dry_run: bool,
    /// Replace files of an earlier image
    #[arg(long)]
    pub(super) overwrite: bool,
    /// Name of the image and its files; by default that of the source
    #[arg(long, value_parser = parse_name)]
    pub(super) name: Option<String>,
    /// Grow the OS disk, or the one data disk, to this virtual size, e.g. 64G
    #[arg(long, value_name = "SIZE")]
    pub(super) size: Option<ByteSize>,
    /// Digest in the manifest, computed while writing
    #[arg(long, value_enum, default_value_t = DigestChoice::Fsverity)]
    pub(super) digest: DigestChoice,
    /// Compute the SHA-256 of the whole file too, and write SHA256SUMS
    #[arg(long)]
    pub(super) sha256: bool,
    /// Share what is unchanged with the source's file, where the file system can (XFS, Btrfs)
    #[arg(long, value_enum, default_value_t = ReflinkChoice::Auto)]
    pub(super) reflink: ReflinkChoice,
    /// Accept a finding that only a person can cure; repeatable
    #[arg(long, value_name = "CODE", value_parser = parse_code)]
    pub(super) allow: Vec<String>,
    /// Go on where an error rule could not be decided
    #[arg(long)]
    pub(super) allow_undecided: bool,
}

/// Options of generalizing.
#[derive(Debug, Clone, Default, Args)]
pub(super) struct Generalizing {
    /// Operations to do, e.g. machine-id,host-name; with '-' in front all defaults but these, e.g. -logs; also: all, defaults
    #[arg(long, value_name = "LIST", value_parser = parse_operations, allow_hyphen_values = true)]
    pub(super) operations: Option<OperationList>,
    /// Keep this account, on every machine that is made from the template; repeatable
    #[arg(long, value_name = "NAME")]
    pub(super) keep_user: Vec<String>,
    /// Remove this account, its home and what else is its own; repeatable
    #[arg(long, value_name = "NAME")]
    pub(super) remove_user: Vec<String>,
}

/// Options of trimming.
#[derive(Debug, Clone, Copy, Default, Args)]
pub(super) struct Trimming {
    /// Leave out what the guests' own file systems call free; the default with generalizing
    #[arg(long, overrides_with = "no_trim")]
    pub(super) trim: bool,
    /// Keep what the guests' own file systems call free, with what was deleted there
    #[arg(long, overrides_with = "trim")]
    pub(super) no_trim: bool,
}

/// `prepare`.
#[derive(Debug, Clone, Args)]
#[command(group(ArgGroup::new("where").args(["output", "dry_run"]).required(true).multiple(true)))]
pub(super) struct PrepareArgs {
    /// The OS disk, or with --role data a data disk
    #[arg(value_name = "DISK")]
    pub(super) disk: PathBuf,
    #[command(flatten)]
    pub(super) wanted: Wanted,
    #[command(flatten)]
    pub(super) asking: Asking,
    #[command(flatten)]
    pub(super) opening: Opening,
    #[command(flatten)]
    pub(super) writing: Writing,
    /// Make a template of a Linux: take out what this one machine knows of itself
    #[arg(long)]
    pub(super) generalize: bool,
    #[command(flatten)]
    pub(super) generalizing: Generalizing,
    #[command(flatten)]
    pub(super) trimming: Trimming,
    /// How to print
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub(super) format: Format,
    /// Write the report to a file as well, e.g. json=prepare.json; repeatable
    #[arg(long, value_name = "FORMAT=FILE", value_parser = parse_plain_report)]
    pub(super) report: Vec<ReportFile>,
}

/// `generalize`.
#[derive(Debug, Clone, Args)]
pub(super) struct GeneralizeArgs {
    /// The OS disk of a Linux
    #[arg(value_name = "DISK", required_unless_present = "list_operations", conflicts_with = "list_operations")]
    pub(super) disk: Option<PathBuf>,
    /// List the operations
    #[arg(long)]
    pub(super) list_operations: bool,
    #[command(flatten)]
    pub(super) generalizing: Generalizing,
    #[command(flatten)]
    pub(super) trimming: Trimming,
    #[command(flatten)]
    pub(super) writing: Writing,
    #[command(flatten)]
    pub(super) asking: Asking,
    #[command(flatten)]
    pub(super) opening: Opening,
    /// How to print; markdown with --list-operations only
    #[arg(long, value_enum, default_value_t = RulesFormat::Text)]
    pub(super) format: RulesFormat,
    /// Write the report to a file as well, e.g. json=generalize.json; repeatable
    #[arg(long, value_name = "FORMAT=FILE", value_parser = parse_plain_report)]
    pub(super) report: Vec<ReportFile>,
}

/// `verify`.
#[derive(Debug, Args)]
pub(super) struct VerifyArgs {
    /// Directory of a prepared image
    #[arg(value_name = "DIR")]
    pub(super) directory: PathBuf,
    /// How to print
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub(super) format: Format,
}

/// What `ls` and `cat` read from.
#[derive(Debug, Args)]
pub(super) struct Reading {
    /// The disk file or block device
    #[arg(value_name = "DISK")]
    pub(super) disk: PathBuf,
    /// Read this file system by itself: a partition's number, or a volume's name such as vg0/root
    #[arg(long, value_name = "NUMBER|VOLUME")]
    pub(super) partition: Option<String>,
    /// A disk that belongs with it: volume groups and the guest's fstab may spread over both; repeatable
    #[arg(long, value_name = "DISK")]
    pub(super) with: Vec<PathBuf>,
    #[command(flatten)]
    pub(super) opening: Opening,
}

/// `ls`.
#[derive(Debug, Args)]
pub(super) struct LsArgs {
    #[command(flatten)]
    pub(super) reading: Reading,
    /// A directory or a file of the guest; by default its root
    #[arg(value_name = "PATH")]
    pub(super) path: Option<String>,
    /// Print JSON
    #[arg(long)]
    pub(super) json: bool,
}

/// `cat`.
#[derive(Debug, Args)]
pub(super) struct CatArgs {
    #[command(flatten)]
    pub(super) reading: Reading,
    /// Files of the guest
    #[arg(value_name = "PATH", required = true)]
    pub(super) paths: Vec<String>,
}

/// `rules`.
#[derive(Debug, Args)]
pub(super) struct RulesArgs {
    /// How to print
    #[arg(long, value_enum, default_value_t = RulesFormat::Text)]
    pub(super) format: RulesFormat,
}

/// `explain`.
#[derive(Debug, Args)]
pub(super) struct ExplainArgs {
    /// Code (VHD003), name (size-not-whole-mib), catalogue id (C-03), or an error of Azure or of the guest, as it was shown
    #[arg(value_name = "CODE", required = true, num_args = 1.., allow_hyphen_values = true)]
    pub(super) words: Vec<String>,
}
