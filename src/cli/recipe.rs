//! `vhdkit recipe`.

use super::args::{Opening, StateChoice};
use super::disks::{self, shown};
use super::verify::read_manifest;
use super::{Status, output};
use crate::facts::OsFamily;
use crate::prepare::{Disk, MANIFEST, Manifest};
use crate::recipe::{Hints, Language, Recipe, Request, Route};
use anyhow::Context;
use clap::{Args, ValueEnum};
use std::path::{Path, PathBuf};

/// `recipe`'s arguments.
#[derive(Debug, Args)]
pub(super) struct RecipeArgs {
    /// Directory of a prepared image
    #[arg(value_name = "DIR")]
    pub(super) directory: PathBuf,
    /// In which language
    #[arg(long, value_enum, default_value_t = LanguageChoice::Az)]
    pub(super) format: LanguageChoice,
    /// How the disks become a deployment; by default the way that fits the image
    #[arg(long, value_enum)]
    pub(super) route: Option<RouteChoice>,
    /// What the image is for, where its manifest does not say
    #[arg(long = "as", value_enum, value_name = "STATE")]
    pub(super) state: Option<StateChoice>,
    /// The Hyper-V generation, where the manifest does not say
    #[arg(long, value_parser = clap::value_parser!(u8).range(1..=2), value_name = "1|2")]
    pub(super) generation: Option<u8>,
    /// The architecture, where the manifest does not say
    #[arg(long, value_enum)]
    pub(super) architecture: Option<ArchitectureChoice>,
    /// The operating system, where the manifest does not say
    #[arg(long, value_enum)]
    pub(super) os: Option<OsChoice>,
}

/// Languages of recipes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum LanguageChoice {
    /// A bash script for Azure CLI and AzCopy
    Az,
    /// A script for the Az modules and AzCopy
    Powershell,
    /// A template, with the commands that upload in a comment
    Bicep,
}

impl From<LanguageChoice> for Language {
    fn from(choice: LanguageChoice) -> Self {
        match choice {
            LanguageChoice::Az => Self::Az,
            LanguageChoice::Powershell => Self::PowerShell,
            LanguageChoice::Bicep => Self::Bicep,
        }
    }
}

/// `--route`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum RouteChoice {
    /// Managed disks, then an image version in a Compute Gallery
    Gallery,
    /// Page blobs, then an image version in a Compute Gallery
    Blob,
    /// Managed disks, attached as they are to a machine
    Attach,
    /// Managed disks, and no more
    Disk,
}

impl From<RouteChoice> for Route {
    fn from(choice: RouteChoice) -> Self {
        match choice {
            RouteChoice::Gallery => Self::Gallery,
            RouteChoice::Blob => Self::Blob,
            RouteChoice::Attach => Self::Attach,
            RouteChoice::Disk => Self::Disk,
        }
    }
}

/// `--architecture`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum ArchitectureChoice {
    /// Intel and AMD
    #[value(name = "x64")]
    X64,
    /// Arm
    #[value(name = "Arm64", alias = "arm64")]
    Arm64,
}

impl ArchitectureChoice {
    /// Azure's word for it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::X64 => "x64",
            Self::Arm64 => "Arm64",
        }
    }
}

/// `--os`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum OsChoice {
    /// Any Linux
    Linux,
    /// Any Windows
    Windows,
}

impl From<OsChoice> for OsFamily {
    fn from(choice: OsChoice) -> Self {
        match choice {
            OsChoice::Linux => Self::Linux,
            OsChoice::Windows => Self::Windows,
        }
    }
}

pub(super) fn run(args: &RecipeArgs) -> anyhow::Result<Status> {
    let directory = &args.directory;
    let manifest = read_manifest(directory)?;
    for disk in &manifest.disks {
        check_file(directory, disk)?;
    }
    // The script names the directory as it was given; a name that is no text cannot stand in one.
    let name =
        directory.to_str().with_context(|| format!("the name of '{}' is not UTF-8, and no script could say it", shown(directory)))?;
    let request = Request {
        directory: name.to_owned(),
        route: args.route.map(Into::into),
        state: args.state.map(Into::into),
        generation: args.generation,
        architecture: args.architecture.map(|choice| choice.name().to_owned()),
        os: args.os.map(Into::into),
    };
    let fail = || format!("cannot make a recipe of '{}'", shown(&directory.join(MANIFEST)));
    let hints = hints(directory, &manifest)?;
    let recipe = Recipe::new(&manifest, hints, &request).with_context(fail)?;
    output::print(&recipe.write(args.format.into()).with_context(fail)?)?;
    Ok(Status::Ready)
}

/// The file must be there in its length; `verify` reads what is in it.
fn check_file(directory: &Path, disk: &Disk) -> anyhow::Result<()> {
    let path = directory.join(&disk.file);
    let metadata = std::fs::metadata(&path).with_context(|| format!("cannot read '{}', a disk of the image", shown(&path)))?;
    anyhow::ensure!(metadata.is_file(), "'{}' is no file", shown(&path));
    let (found, said) = (metadata.len(), disk.upload_size_bytes);
    anyhow::ensure!(found == said, "'{}' has {found} bytes, not the {said} of its manifest; 'vhdkit verify' tells more", shown(&path));
    Ok(())
}

/// What the first disk that is no data disk tells, with the others at hand: a volume may spread over them.
fn hints(directory: &Path, manifest: &Manifest) -> anyhow::Result<Hints> {
    let (data, os): (Vec<&Disk>, Vec<&Disk>) = manifest.disks.iter().partition(|disk| disk.role.as_deref() == Some("data"));
    let opening = Opening { parent_dir: vec![], deep: false };
    let paths: Vec<PathBuf> = data.iter().map(|disk| directory.join(&disk.file)).collect();
    let (first, others) = match (os.first(), paths.split_first()) {
        (Some(os), _) => (directory.join(&os.file), paths.as_slice()),
        (None, Some((first, others))) => (first.clone(), others),
        (None, None) => anyhow::bail!("the manifest lists no disks"),
    };
    Ok(Hints::of(&disks::open_with(&first, others, &opening)?.inspected.facts))
}
