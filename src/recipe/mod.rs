//! What deploys a prepared image: its manifest and what its OS disk tells, turned into a script. Pure: text in, text out.

mod az;
mod bicep;
mod hints;
mod names;
mod notes;
mod powershell;
mod script;

pub use hints::{Hint, Hints};
pub use names::Names;

use crate::bytes::{GIB, SECTOR, TIB, printable};
use crate::facts::{OsFamily, State};
use crate::prepare::{Manifest, is_plain_name};
use crate::rules::azure::{MAX_GALLERY_DATA_DISK, MAX_LUN, MAX_PAGE_BLOB, MAX_UPLOAD, MIN_UPLOAD, SIZE_UNIT};

/// In which language a recipe is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Language {
    /// A bash script that runs Azure CLI and AzCopy.
    Az,
    /// A PowerShell script that runs Az cmdlets and AzCopy.
    PowerShell,
    /// A Bicep template, with the commands that upload in a comment.
    Bicep,
}

/// How the disks become a deployment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Route {
    /// Uploaded to managed disks; of them, a version of an image in a Compute Gallery.
    Gallery,
    /// Uploaded to page blobs in a storage account; of them, a version of an image in a Compute Gallery.
    Blob,
    /// Uploaded to managed disks, attached as they are to a virtual machine.
    Attach,
    /// Uploaded to managed disks, and no more.
    Disk,
}

impl Route {
    /// All routes.
    const ALL: [Self; 4] = [Self::Gallery, Self::Blob, Self::Attach, Self::Disk];

    /// Its name on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Gallery => "gallery",
            Self::Blob => "blob",
            Self::Attach => "attach",
            Self::Disk => "disk",
        }
    }

    /// What it does.
    fn summary(self) -> &'static str {
        match self {
            Self::Gallery => "direct upload to managed disks, then an image version in a Compute Gallery",
            Self::Blob => "page blobs in a storage account, then an image version in a Compute Gallery",
            Self::Attach => "direct upload to managed disks, attached as they are to a virtual machine",
            Self::Disk => "direct upload to managed disks, and no more",
        }
    }

    /// Whether it goes through a Compute Gallery.
    fn makes_image(self) -> bool {
        matches!(self, Self::Gallery | Self::Blob)
    }
}

/// What the user asks for beside the manifest.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Request {
    /// The directory of the image, as the script will name it.
    pub directory: String,
    /// The route; the one that fits where it is not given.
    pub route: Option<Route>,
    /// What the manifest does not know.
    pub state: Option<State>,
    /// What the manifest does not know.
    pub generation: Option<u8>,
    /// What the manifest does not know: `x64` or `Arm64`.
    pub architecture: Option<String>,
    /// What the manifest does not know.
    pub os: Option<OsFamily>,
}

/// Why there is no recipe.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CannotDeploy {
    /// The manifest does not say, and nobody else does.
    #[error("the manifest does not say {what}: add {option}")]
    Missing {
        /// What is missing.
        what: &'static str,
        /// The option that says it.
        option: &'static str,
    },
    /// An option says otherwise.
    #[error("the image was prepared as {manifest}, and {option} says otherwise; prepare it again for another use")]
    Contradiction {
        /// What the manifest says.
        manifest: String,
        /// The option.
        option: &'static str,
    },
    /// The route does not fit the image.
    #[error("--route {route} does not fit: {reason}")]
    Route {
        /// The route.
        route: &'static str,
        /// Why.
        reason: String,
    },
    /// The manifest contradicts itself or Azure.
    #[error("the manifest is not one of an image that Azure takes: {0}")]
    Manifest(String),
    /// The language cannot say it.
    #[error("{0}")]
    Language(&'static str),
}

/// A virtual machine's guest.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Guest {
    os: OsFamily,
    state: State,
    generation: u8,
    architecture: &'static str,
}

impl Guest {
    /// Azure's word for the family.
    fn os_type(&self) -> &'static str {
        match self.os {
            OsFamily::Linux => "Linux",
            OsFamily::Windows => "Windows",
        }
    }

    /// Azure's word for the state.
    fn os_state(&self) -> &'static str {
        if self.is_generalized() { "Generalized" } else { "Specialized" }
    }

    fn is_generalized(&self) -> bool {
        self.state == State::Generalized
    }

    /// Azure's word for the generation.
    fn hyper_v_generation(&self) -> &'static str {
        if self.generation == 1 { "V1" } else { "V2" }
    }

    /// A size of machine that takes this architecture and either generation.
    fn machine_size(&self) -> &'static str {
        if self.architecture == "Arm64" { "Standard_D2ps_v5" } else { "Standard_D2s_v5" }
    }
}

/// One disk on its way.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Upload {
    /// `None` for the OS disk, and for a data disk alone.
    lun: Option<u8>,
    file: String,
    /// The managed disk, and the blob without `.vhd`.
    resource: String,
    virtual_size: u64,
    /// Bytes of the file: the footer is one of them.
    length: u64,
    /// What tells this content from another's; empty where that is not known, and nothing is taken for it then.
    digest: String,
}

/// What will be printed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recipe {
    name: String,
    directory: String,
    route: Route,
    /// The routes that fit, too.
    others: Vec<Route>,
    /// `None` for a data disk alone.
    guest: Option<Guest>,
    hints: Hints,
    /// The OS disk first.
    uploads: Vec<Upload>,
    names: Names,
    /// What the top of the script has to say about the image.
    remarks: Vec<String>,
}

impl Recipe {
    /// Composes the recipe of a manifest. `hints` are those of its OS disk.
    ///
    /// # Errors
    ///
    /// When the manifest lacks what Azure has to be told, or the route does not fit the image.
    pub fn new(manifest: &Manifest, hints: Hints, request: &Request) -> Result<Self, CannotDeploy> {
        let name = manifest.image.name.as_str();
        let uploads = uploads(manifest)?;
        let is_data = manifest.disks.iter().all(|disk| disk.role.as_deref() == Some("data"));
        let guest = if is_data { None } else { Some(guest(manifest, request)?) };
        let fitting: Vec<Route> = Route::ALL.into_iter().filter(|route| misfit(*route, guest.as_ref(), &uploads).is_none()).collect();
        let usual = match &guest {
            Some(guest) if guest.is_generalized() => Route::Gallery,
            Some(_) => Route::Attach,
            None => Route::Disk,
        };
        let route = request.route.unwrap_or(usual);
        if let Some(reason) = misfit(route, guest.as_ref(), &uploads) {
            return Err(CannotDeploy::Route { route: route.name(), reason });
        }
        let sku = guest.as_ref().map_or_else(|| "data".to_owned(), |guest| format!("gen{}-{}", guest.generation, guest.architecture));
        let salt: Vec<&str> = uploads.iter().map(|upload| upload.digest.as_str()).collect();
        Ok(Self {
            name: name.to_owned(),
            directory: request.directory.clone(),
            route,
            others: fitting.into_iter().filter(|other| *other != route).collect(),
            guest,
            hints,
            names: Names::of(name, &sku, &salt.join("\0")),
            uploads,
            remarks: remarks(manifest),
        })
    }

    /// The recipe in a language.
    ///
    /// # Errors
    ///
    /// When the language has no words for it.
    pub fn write(&self, language: Language) -> Result<String, CannotDeploy> {
        match language {
            Language::Az => Ok(az::script(self)),
            Language::PowerShell => powershell::script(self),
            Language::Bicep => bicep::template(self),
        }
    }

    fn os_disk(&self) -> Option<&Upload> {
        self.guest.as_ref().and_then(|_| self.uploads.first())
    }

    /// The data disks of an image with their LUNs.
    fn data_disks(&self) -> impl Iterator<Item = (u8, &Upload)> {
        self.uploads.iter().filter_map(|upload| Some((upload.lun?, upload)))
    }

    /// Seconds for which write access is granted: a day for each begun TiB, which 13 MB/s need.
    fn seconds(&self) -> u64 {
        let most = self.uploads.iter().map(|upload| upload.length).max().unwrap_or_default();
        most.div_ceil(TIB).max(1).saturating_mul(86_400)
    }

    /// Whether an image version must be replicated shallowly, since a data disk is larger than others may be.
    fn is_shallow(&self) -> bool {
        self.data_disks().any(|(_, disk)| disk.virtual_size > MAX_GALLERY_DATA_DISK)
    }

    /// Whether Trusted Launch can be declared.
    fn trusts_launch(&self) -> bool {
        self.guest.as_ref().is_some_and(|guest| guest.generation == 2 && guest.architecture == "x64") && self.hints.secure_boot.is_yes()
    }

    /// Features of the image definition by the names that the service has for them.
    fn features(&self) -> Vec<(&'static str, &'static str)> {
        let generation_2 = self.guest.as_ref().is_some_and(|guest| guest.generation == 2);
        let security = self.trusts_launch().then_some(("SecurityType", "TrustedLaunchSupported"));
        let controllers = (generation_2 && self.hints.nvme.is_yes()).then_some(("DiskControllerTypes", "SCSI,NVMe"));
        let network = self.hints.accelerated_network.is_yes().then_some(("IsAcceleratedNetworkSupported", "true"));
        security.into_iter().chain(controllers).chain(network).collect()
    }

    /// Whether a machine made of the image has to be told that there is no agent. Azure brings the one of Windows along.
    fn lacks_agent(&self) -> bool {
        self.hints.agent.is_no() && self.guest.as_ref().is_some_and(|guest| guest.os == OsFamily::Linux && guest.is_generalized())
    }
}

/// What a manifest says, or an option where it says nothing.
fn agreed<T: PartialEq>(
    found: Option<T>,
    asked: Option<T>,
    what: &'static str,
    option: &'static str,
    shown: &str,
) -> Result<T, CannotDeploy> {
    match (found, asked) {
        (Some(found), Some(asked)) if found != asked => Err(CannotDeploy::Contradiction { manifest: printable(shown), option }),
        (Some(value), _) | (None, Some(value)) => Ok(value),
        (None, None) => Err(CannotDeploy::Missing { what, option }),
    }
}

fn guest(manifest: &Manifest, request: &Request) -> Result<Guest, CannotDeploy> {
    let image = &manifest.image;
    let unfit = |what: &str, value: &str| CannotDeploy::Manifest(format!("its {what} is '{}'", printable(value)));
    let state = match image.state.as_deref() {
        None => None,
        Some("generalized") => Some(State::Generalized),
        Some("specialized") => Some(State::Specialized),
        Some(other) => return Err(unfit("state", other)),
    };
    let shown = image.state.as_deref().unwrap_or_default();
    let state = agreed(state, request.state, "whether the image is generalized", "--as generalized or --as specialized", shown)?;
    if let Some(other) = image.generation.filter(|generation| !(1..=2).contains(generation)) {
        return Err(unfit("generation", &other.to_string()));
    }
    let shown = image.generation.map(|generation| format!("generation {generation}")).unwrap_or_default();
    let generation = agreed(image.generation, request.generation, "the Hyper-V generation", "--generation 1 or --generation 2", &shown)?;
    let os = match image.os.as_deref() {
        None => None,
        Some("linux") => Some(OsFamily::Linux),
        Some("windows") => Some(OsFamily::Windows),
        Some(other) => return Err(unfit("operating system", other)),
    };
    let os = agreed(os, request.os, "the operating system", "--os linux or --os windows", image.os.as_deref().unwrap_or_default())?;
    let named = |name: &str| match name {
        // A 32-bit system starts on the same machines; Azure has no other word for it.
        "x64" | "x86" => Ok("x64"),
        "Arm64" => Ok("Arm64"),
        other => Err(unfit("architecture", other)),
    };
    let found = image.architecture.as_deref().map(named).transpose()?;
    let asked = request.architecture.as_deref().map(named).transpose()?;
    let option = "--architecture x64 or --architecture Arm64";
    let architecture = agreed(found, asked, "the architecture", option, image.architecture.as_deref().unwrap_or_default())?;
    if architecture == "Arm64" && generation == 1 {
        return Err(CannotDeploy::Manifest("Arm64 machines are of generation 2 alone".to_owned()));
    }
    Ok(Guest { os, state, generation, architecture })
}

fn uploads(manifest: &Manifest) -> Result<Vec<Upload>, CannotDeploy> {
    let unfit = |text: String| Err(CannotDeploy::Manifest(text));
    let os_disks = manifest.disks.iter().filter(|disk| disk.role.as_deref() != Some("data")).count();
    if os_disks > 1 || (os_disks == 0 && manifest.disks.len() > 1) {
        return unfit(format!("of its {} disks, {os_disks} are OS disks; an image has one", manifest.disks.len()));
    }
    let mut all: Vec<Upload> = Vec::new();
    let in_image = os_disks == 1;
    for disk in &manifest.disks {
        let file = printable(&disk.file);
        let is_data = disk.role.as_deref() == Some("data");
        match disk.lun {
            None if is_data && in_image => return unfit(format!("the data disk '{file}' has no LUN")),
            Some(_) if !is_data => return unfit(format!("the OS disk '{file}' has a LUN")),
            Some(lun) if lun > MAX_LUN => return unfit(format!("the LUN {lun} of '{file}' is above {MAX_LUN}")),
            Some(lun) if all.iter().any(|other| other.lun == Some(lun)) => return unfit(format!("LUN {lun} is given twice")),
            _ => {}
        }
        if !is_plain_name(&disk.file) || all.iter().any(|other| other.file == disk.file) {
            return unfit(format!("the file name '{file}' is given twice, or leads elsewhere"));
        }
        let length = disk.upload_size_bytes;
        if !(MIN_UPLOAD..=MAX_UPLOAD).contains(&length) || length != disk.virtual_size.saturating_add(SECTOR) {
            return unfit(format!("'{file}' has {length} bytes for a disk of {}", disk.virtual_size));
        }
        if !disk.virtual_size.is_multiple_of(SIZE_UNIT) {
            return unfit(format!("the {} bytes of '{file}' are not a whole number of MiB", disk.virtual_size));
        }
        all.push(Upload {
            // A data disk alone has no place yet, whatever LUN stands beside it.
            lun: disk.lun.filter(|_| in_image),
            file: disk.file.clone(),
            resource: names::disk(&manifest.image.name, disk.lun.filter(|_| in_image), in_image),
            virtual_size: disk.virtual_size,
            length,
            digest: names::digest(disk),
        });
    }
    // The OS disk leads, the others follow in the order of their LUNs.
    all.sort_by_key(|upload| upload.lun.map_or(0, |lun| u16::from(lun).saturating_add(1)));
    Ok(all)
}

/// Why a route does not fit.
fn misfit(route: Route, guest: Option<&Guest>, uploads: &[Upload]) -> Option<String> {
    match (route, guest) {
        (Route::Gallery | Route::Blob, None) => Some("an image needs an OS disk, and this is a data disk alone".to_owned()),
        (Route::Attach, Some(guest)) if guest.is_generalized() => Some(
            "a generalized disk waits for settings that only a deployment from an image brings; attached as it is, it never gets them"
                .to_owned(),
        ),
        (Route::Blob, Some(_)) => {
            let large = uploads.iter().find(|upload| upload.length > MAX_PAGE_BLOB)?;
            let most = MAX_PAGE_BLOB.checked_div(TIB).unwrap_or_default();
            let file = printable(&large.file);
            Some(format!(
                "'{file}' has {} bytes, and a page blob holds {most} TiB at most; --route gallery uploads it directly",
                large.length
            ))
        }
        _ => None,
    }
}

fn remarks(manifest: &Manifest) -> Vec<String> {
    let mut all = Vec::new();
    if manifest.verdict != "ready" {
        all.push(format!("NOT SURE: the verdict on this image is '{}', not 'ready'.", printable(&manifest.verdict)));
    }
    if !manifest.undecided.is_empty() {
        all.push(format!("NOT SURE: these rules could not be decided, which was accepted: {}.", printable(&manifest.undecided.join(", "))));
    }
    if !manifest.allowed.is_empty() {
        all.push(format!("NOT CURED: findings of these rules were accepted: {}.", printable(&manifest.allowed.join(", "))));
    }
    for waived in &manifest.waived {
        all.push(format!("WAIVED: {}: {}.", printable(&waived.code), printable(&waived.reason)));
    }
    all
}

/// The largest data disk of a gallery image, in GiB.
fn most_gallery_gib() -> u64 {
    MAX_GALLERY_DATA_DISK.checked_div(GIB).unwrap_or_default()
}
