//! The command line: one definition for parsing, help, completions and man pages.

use super::config::Settled;
pub(super) use super::formats::{CheckFormat, Format, ReportFile, RulesFormat};
use super::formats::{parse_plain_report, parse_report};
use super::recipe::RecipeArgs;
use crate::bytes::ByteSize;
use crate::facts::{Role, State};
use crate::rules::azure::MAX_LUN;
use crate::rules::{self, Profile, Severity};
use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;

/// Tells whether VHD disks are ready for Azure, why not, and writes the ones that are.
#[derive(Debug, Parser)]
#[command(
    name = "vhdkit",
    version,
    about,
    after_help = "Exit status: 0 ready; 1 not ready, or an error rule undecided; 2 it could not be done; 130, 143 interrupted.\n\
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

/// `inspect`.
#[derive(Debug, Args)]
pub(super) struct InspectArgs {
    /// Disk files or block devices
    #[arg(required = true, value_name = "DISK")]
    pub(super) disks: Vec<PathBuf>,
    #[command(flatten)]
    pub(super) opening: Opening,
    /// How to print
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub(super) format: Format,
    /// Write the report to a file as well, e.g. json=disk.json; repeatable
    #[arg(long, value_name = "FORMAT=FILE", value_parser = parse_plain_report)]
    pub(super) report: Vec<ReportFile>,
}

/// Options that ask the question.
#[derive(Debug, Clone, Args)]
pub(super) struct Asking {
    /// What the image is for; an OS disk is then demanded
    #[arg(long = "as", value_enum, value_name = "STATE")]
    pub(super) state: Option<StateChoice>,
    /// A data disk of the image, with its LUN (0 to 63); repeatable
    #[arg(long, value_name = "LUN=DISK", value_parser = parse_data, allow_hyphen_values = true)]
    pub(super) data: Vec<DataDisk>,
    /// Take the given disks for OS or data disks, whatever is found
    #[arg(long, value_enum)]
    pub(super) role: Option<RoleChoice>,
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
    /// What these and the configuration come to.
    #[arg(skip)]
    pub(super) settled: Settled,
}

/// `check`.
#[derive(Debug, Clone, Args)]
pub(super) struct CheckArgs {
    /// Disk files or block devices
    #[arg(required = true, value_name = "DISK")]
    pub(super) disks: Vec<PathBuf>,
    #[command(flatten)]
    pub(super) asking: Asking,
    #[command(flatten)]
    pub(super) opening: Opening,
    /// How to print
    #[arg(long, value_enum, default_value_t = CheckFormat::Text)]
    pub(super) format: CheckFormat,
    /// Write the report to a file as well, e.g. junit=check.xml; repeatable
    #[arg(long, value_name = "FORMAT=FILE", value_parser = parse_report)]
    pub(super) report: Vec<ReportFile>,
}

/// `prepare`.
#[derive(Debug, Clone, Args)]
pub(super) struct PrepareArgs {
    /// The OS disk, or with --role data a data disk
    #[arg(value_name = "DISK")]
    pub(super) disk: PathBuf,
    #[command(flatten)]
    pub(super) asking: Asking,
    #[command(flatten)]
    pub(super) opening: Opening,
    /// Directory of the image; made if missing
    #[arg(short, long, value_name = "DIR", required_unless_present = "dry_run")]
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
    /// Accept a finding that only a person can cure; repeatable
    #[arg(long, value_name = "CODE", value_parser = parse_code)]
    pub(super) allow: Vec<String>,
    /// Go on where an error rule could not be decided
    #[arg(long)]
    pub(super) allow_undecided: bool,
    /// How to print
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub(super) format: Format,
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

/// `--as`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum StateChoice {
    /// A template for many machines
    Generalized,
    /// One machine, moved as it is
    Specialized,
}

impl From<StateChoice> for State {
    fn from(choice: StateChoice) -> Self {
        match choice {
            StateChoice::Generalized => Self::Generalized,
            StateChoice::Specialized => Self::Specialized,
        }
    }
}

/// `--role`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum RoleChoice {
    /// It boots
    Os,
    /// It does not
    Data,
}

impl From<RoleChoice> for Role {
    fn from(choice: RoleChoice) -> Self {
        match choice {
            RoleChoice::Os => Self::Os,
            RoleChoice::Data => Self::Data,
        }
    }
}

/// `--profile`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum ProfileChoice {
    /// What any VM in Azure needs
    Azure,
    /// Marketplace certification besides
    Marketplace,
}

impl From<ProfileChoice> for Profile {
    fn from(choice: ProfileChoice) -> Self {
        match choice {
            ProfileChoice::Azure => Self::Azure,
            ProfileChoice::Marketplace => Self::Marketplace,
        }
    }
}

/// `--fail-on`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum SeverityChoice {
    /// Anything found
    Note,
    /// Warnings and errors
    Warning,
    /// Errors only
    Error,
}

impl From<SeverityChoice> for Severity {
    fn from(choice: SeverityChoice) -> Self {
        match choice {
            SeverityChoice::Note => Self::Note,
            SeverityChoice::Warning => Self::Warning,
            SeverityChoice::Error => Self::Error,
        }
    }
}

/// `--digest`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum DigestChoice {
    /// fs-verity: SHA-256 over a tree of 4 KiB blocks; holes cost nothing
    Fsverity,
    /// None
    None,
}

/// One `--data`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct DataDisk {
    pub(super) lun: u8,
    pub(super) path: PathBuf,
}

fn parse_data(text: &str) -> Result<DataDisk, String> {
    let (lun, path) = text.split_once('=').ok_or("write LUN=DISK, for example 0=data.vhd")?;
    // `00` and `+1` parse too, but a LUN has one spelling.
    let number: Option<u8> = lun.parse().ok().filter(|number: &u8| *number <= MAX_LUN && number.to_string() == lun);
    let lun = number.ok_or_else(|| format!("'{lun}' is not a LUN: a whole number from 0 to {MAX_LUN}"))?;
    if path.is_empty() {
        return Err("the disk is missing after '='".to_owned());
    }
    Ok(DataDisk { lun, path: path.into() })
}

fn parse_code(text: &str) -> Result<String, String> {
    let found = rules::RULES.iter().find(|rule| rule.code.eq_ignore_ascii_case(text));
    found.map(|rule| rule.code.to_owned()).ok_or_else(|| format!("'{text}' is not the code of a rule; 'vhdkit rules' lists them"))
}

fn parse_waiver(text: &str) -> Result<(String, String), String> {
    let (code, reason) = text.split_once('=').unwrap_or((text, "no reason given"));
    if reason.trim().is_empty() {
        return Err("the reason is missing after '='".to_owned());
    }
    Ok((parse_code(code)?, reason.to_owned()))
}

fn parse_name(text: &str) -> Result<String, String> {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let begins = text.starts_with(|c: char| c.is_ascii_alphanumeric());
    let ends = text.ends_with(|c: char| c.is_ascii_alphanumeric() || c == '_');
    if begins && ends && text.len() <= 80 && text.chars().all(fits) {
        Ok(text.to_owned())
    } else {
        Err("a name has 1 to 80 letters, digits, '-', '_' or '.', begins with a letter or digit, and ends with one or '_'".to_owned())
    }
}
