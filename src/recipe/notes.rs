//! What a recipe says beside its commands: the same words in every language.

use super::{Hint, Recipe, Route, most_gallery_gib};
use crate::bytes::{ByteSize, printable};
use crate::facts::OsFamily;

/// The top of a recipe: what it deploys, and what must be known before.
pub(super) fn head(recipe: &Recipe) -> Vec<String> {
    let mut all = vec![format!("Deploys '{}', prepared by vhdkit: {}.", printable(&recipe.name), what(recipe))];
    for upload in &recipe.uploads {
        let place = match (upload.lun, recipe.guest.is_some()) {
            (Some(lun), _) => format!("data disk, LUN {lun}"),
            (None, true) => "OS disk".to_owned(),
            (None, false) => "data disk".to_owned(),
        };
        all.push(format!(
            "{}: {place}, {}, {} bytes with the footer.",
            printable(&upload.file),
            ByteSize(upload.virtual_size),
            upload.length
        ));
    }
    all.extend(recipe.remarks.iter().cloned());
    all.push(format!("Route: {} ({}).", recipe.route.name(), recipe.route.summary()));
    let others: Vec<String> = recipe.others.iter().map(|route| format!("--route {} ({})", route.name(), route.summary())).collect();
    if !others.is_empty() {
        all.push(format!("Also possible: {}.", others.join("; ")));
    }
    all
}

fn what(recipe: &Recipe) -> String {
    let Some(guest) = &recipe.guest else { return "a data disk alone".to_owned() };
    let disks = recipe.data_disks().count();
    let kind = match disks {
        0 => "an OS disk".to_owned(),
        1 => "an OS disk and one data disk".to_owned(),
        many => format!("an OS disk and {many} data disks"),
    };
    let (os, state, generation) = (guest.os_type(), guest.os_state().to_lowercase(), guest.generation);
    format!("{kind}, {os}, {state}, generation {generation}, {}", guest.architecture)
}

/// What holds for the route.
pub(super) fn route(recipe: &Recipe) -> Vec<String> {
    let mut all = Vec::new();
    match recipe.route {
        Route::Gallery | Route::Attach | Route::Disk => {
            all.push(
                "Content is uploaded when a managed disk is created; one that is there already cannot be overwritten, and disks only grow. \
                 Until write access is revoked, a disk can be attached to nothing."
                    .to_owned(),
            );
            all.push(
                "Whoever runs this needs the role Contributor on the resource group; where disks demand Microsoft Entra ID for uploads, \
                 'Data Operator for Managed Disks' too."
                    .to_owned(),
            );
        }
        Route::Blob => {
            all.push("The storage account stands in the region of the image: Azure takes a VHD from no other region.".to_owned());
            all.push(
                "Whoever runs this needs Microsoft.Storage/storageAccounts/listKeys/action on the account, for the upload and for the image \
                 version alike. Accounts that refuse keys: upload as yourself (AZCOPY_AUTO_LOGIN_TYPE=AZCLI or PSCRED, role 'Storage Blob \
                 Data Contributor'), or take --route gallery."
                    .to_owned(),
            );
        }
    }
    if recipe.guest.is_none() || recipe.data_disks().next().is_some() {
        all.push(
            "A data disk for Ultra Disk or Premium SSD v2 is created with a logical sector size of 512, since a VHD has sectors of 512 bytes \
             and the default there is 4096: --logical-sector-size 512 (az), -LogicalSectorSize 512 (PowerShell), creationData.logicalSectorSize \
             (Bicep)."
                .to_owned(),
        );
    }
    if recipe.route.makes_image() && recipe.is_shallow() {
        all.push(format!(
            "A data disk is larger than {} GiB: such an image version is replicated shallowly, which means one copy in one region.",
            most_gallery_gib()
        ));
    }
    if recipe.guest.as_ref().is_some_and(super::Guest::is_generalized) {
        all.push(
            "The older managed image ('az image create') takes such disks as well, without Arm64, Trusted Launch and versions, and with no more \
             than 20 machines deployed from it at a time."
                .to_owned(),
        );
    }
    all
}

/// Why each feature is declared, or not.
pub(super) fn features(recipe: &Recipe) -> Vec<String> {
    let Some(guest) = &recipe.guest else { return vec![] };
    let mut all = Vec::new();
    if guest.generation == 2 {
        let because = |hint: &Hint| printable(hint.reason());
        let hints = &recipe.hints;
        all.push(match (recipe.trusts_launch(), guest.architecture) {
            (true, _) => format!("SecurityType=TrustedLaunchSupported: {}.", because(&hints.secure_boot)),
            (false, "x64") => format!("No Trusted Launch: {}.", because(&hints.secure_boot)),
            (false, _) => "No Trusted Launch: it is left to you on Arm64, where not every size has it.".to_owned(),
        });
        let declared = if hints.nvme.is_yes() { "DiskControllerTypes=SCSI,NVMe" } else { "SCSI alone" };
        all.push(format!("{declared}: {}.", because(&hints.nvme)));
    } else {
        all.push("Generation 1 has neither Trusted Launch nor NVMe controllers.".to_owned());
    }
    let network = &recipe.hints.accelerated_network;
    let declared = if network.is_yes() { "IsAcceleratedNetworkSupported=true" } else { "Accelerated networking is not declared" };
    all.push(format!("{declared}: {}.", printable(network.reason())));
    all
}

/// What a machine made of it has to be told.
pub(super) fn machine(recipe: &Recipe) -> Vec<String> {
    let Some(guest) = &recipe.guest else { return vec![] };
    let mut all = Vec::new();
    if !guest.is_generalized() {
        all.push(
            "A specialized disk keeps its computer name, accounts and keys: no osProfile, that is no user, password, SSH key or custom data, \
             can be given."
                .to_owned(),
        );
    }
    match (guest.os, &recipe.hints.agent) {
        (_, Hint::Yes(_)) => {}
        (OsFamily::Linux, Hint::No(_)) if guest.is_generalized() => all.push(
            "There is no Azure Linux agent in the image, and the machine is told so (provisionVMAgent=false); otherwise every extension waits \
             for it in vain."
                .to_owned(),
        ),
        (OsFamily::Linux, Hint::No(_)) => {
            all.push("There is no Azure Linux agent in the image: add no extensions, which would wait for it in vain.".to_owned());
        }
        (OsFamily::Windows, Hint::No(_)) if guest.is_generalized() => {
            all.push("There is no Azure VM agent in the image; Azure installs it while it sets the machine up.".to_owned());
        }
        (OsFamily::Windows, Hint::No(_)) => {
            all.push("There is no Azure VM agent in the image: add no extensions before you have installed it.".to_owned());
        }
        (_, Hint::Unknown(reason)) => {
            all.push(format!("Whether the image has an agent is not known ({}). Without one: provisionVMAgent=false.", printable(reason)));
        }
    }
    if guest.is_generalized() && recipe.hints.provisioner.is_no() {
        all.push(format!(
            "{}: the image must itself report to 168.63.129.16 that it is ready, or Azure calls the deployment failed.",
            printable(recipe.hints.provisioner.reason())
        ));
    }
    all
}
