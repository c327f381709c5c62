//! A bash script for Azure CLI and AzCopy.

use super::script::Script;
use super::{Recipe, Route, Upload, notes};
use crate::facts::OsFamily;

/// A word for bash, whatever is in it.
pub(super) fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

pub(super) fn script(recipe: &Recipe) -> String {
    let mut out = Script::new("#");
    out.code("#!/usr/bin/env bash");
    for note in notes::head(recipe).iter().chain(&notes::route(recipe)) {
        out.comment(note);
    }
    out.code("set -euo pipefail\n");
    variables(recipe, &mut out);
    out.code(COMMON);
    match recipe.route {
        Route::Blob => out.code(BLOB_FINISH),
        _ => out.code(DISK_FINISH),
    }
    preflight(recipe, &mut out);
    if recipe.route.makes_image() {
        definition(recipe, &mut out);
    }
    match recipe.route {
        Route::Blob => blobs(recipe, &mut out),
        _ => disks(recipe, &mut out),
    }
    match recipe.route {
        Route::Gallery | Route::Blob => version(recipe, &mut out),
        Route::Attach => attach(recipe, &mut out),
        Route::Disk => out.code("\nsay 'done'"),
    }
    out.finish()
}

/// The variable of a disk: `OS_DISK`, `DATA_DISK_3`, `DATA_DISK`.
fn variable(recipe: &Recipe, upload: &Upload) -> String {
    match upload.lun {
        Some(lun) => format!("DATA_DISK_{lun}"),
        None if recipe.guest.is_some() => "OS_DISK".to_owned(),
        None => "DATA_DISK".to_owned(),
    }
}

fn variables(recipe: &Recipe, out: &mut Script) {
    let names = &recipe.names;
    out.comment("Names. Each can also come from outside: LOCATION=northeurope bash deploy.sh");
    let mut set = |name: &str, value: &str| out.code(&format!("{name}=${{{name}:-{}}}", quoted(value)));
    // A path that begins with a dash would be taken for an option.
    let dash = if recipe.directory.starts_with('-') { "./" } else { "" };
    set("IMAGE_DIR", &format!("{dash}{}", recipe.directory));
    set("RESOURCE_GROUP", &names.group);
    set("LOCATION", "westeurope");
    if recipe.route.makes_image() {
        set("GALLERY", &names.gallery);
        set("DEFINITION", &names.definition);
        set("PUBLISHER", "vhdkit");
        set("OFFER", &names.offer);
        set("SKU", &names.sku);
        set("VERSION", "1.0.0");
    }
    if recipe.route == Route::Blob {
        set("STORAGE_ACCOUNT", &names.account);
        set("CONTAINER", "vhds");
    } else {
        set("DISK_SKU", "Standard_LRS");
    }
    for upload in &recipe.uploads {
        set(&variable(recipe, upload), &upload.resource);
    }
    set("SAS_SECONDS", &recipe.seconds().to_string());
    match (&recipe.guest, recipe.route) {
        (Some(guest), Route::Gallery | Route::Blob) => {
            set("VM_NAME", "");
            set("VM_SIZE", guest.machine_size());
            if guest.is_generalized() {
                set("ADMIN_USER", "azureuser");
            }
        }
        (Some(guest), Route::Attach) => {
            set("VM_NAME", &names.machine);
            set("VM_SIZE", guest.machine_size());
        }
        (None, Route::Attach) => {
            set("VM_NAME", "");
            set("LUN", "0");
        }
        _ => {}
    }
    out.gap();
}

const COMMON: &str = r#"say() { printf '== %s\n' "$*" >&2; }
die() {
    printf 'deploy: %s\n' "$*" >&2
    exit 1
}

# A file of the image must be there, in the length that its manifest gives.
check_file() {
    local found
    [ -f "$1" ] || die "'$1' is missing; set IMAGE_DIR to the directory of the prepared image"
    found=$(wc -c <"$1")
    [ "$((found))" -eq "$2" ] || die "'$1' has $((found)) bytes, not the $2 of its manifest; run 'vhdkit verify'"
}
"#;

const DISK_FINISH: &str = r#"# Whatever happens, no write access stays behind.
granted=
finish() {
    local status=$?
    trap - EXIT
    trap '' HUP INT TERM
    if [ -n "$granted" ]; then
        say "revoking write access to the disk '$granted', which is not complete; before the next attempt:"
        say "  az disk delete --resource-group '$RESOURCE_GROUP' --name '$granted'"
        az disk revoke-access --resource-group "$RESOURCE_GROUP" --name "$granted" --output none ||
            say "write access to '$granted' could NOT be revoked; it ends by itself after $SAS_SECONDS seconds"
        [ "$status" -ne 0 ] || status=1
    fi
    exit "$status"
}
trap finish EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

# upload DISK FILE BYTES DIGEST [OPTION...]: a managed disk with the file's content. What an earlier run has uploaded is not sent again.
upload() {
    local disk=$1 file=$2 bytes=$3 digest=$4 state have id sas
    shift 4
    if state=$(az disk show --resource-group "$RESOURCE_GROUP" --name "$disk" --query diskState --output tsv 2>/dev/null); then
        have=$(az disk show --resource-group "$RESOURCE_GROUP" --name "$disk" --query tags.vhdkit --output tsv)
        if [ -n "$digest" ] && [ "$have" = "$digest" ]; then
            say "the disk '$disk' is there already, with this content"
            return
        fi
        die "a disk '$disk' is there already ($state), and not known to hold this content; delete it, or take another name"
    fi
    say "creating the disk '$disk' for $bytes bytes"
    az disk create --resource-group "$RESOURCE_GROUP" --name "$disk" --location "$LOCATION" --sku "$DISK_SKU" \
        --upload-type Upload --upload-size-bytes "$bytes" "$@" --output none
    granted=$disk
    sas=$(az disk grant-access --resource-group "$RESOURCE_GROUP" --name "$disk" --access-level Write \
        --duration-in-seconds "$SAS_SECONDS" --query 'accessSAS || accessSas' --output tsv)
    [ -n "$sas" ] || die "Azure granted no write access to '$disk'"
    say "uploading '$file'"
    azcopy copy "$file" "$sas" --blob-type PageBlob
    az disk revoke-access --resource-group "$RESOURCE_GROUP" --name "$disk" --output none
    granted=
    [ -n "$digest" ] || return 0
    id=$(az disk show --resource-group "$RESOURCE_GROUP" --name "$disk" --query id --output tsv)
    az tag update --resource-id "$id" --operation Merge --tags "vhdkit=$digest" --output none
}
"#;

const BLOB_FINISH: &str = r#"# Whatever happens, no write access stays behind: the SAS is worth nothing without its policy.
granted=
finish() {
    local status=$?
    trap - EXIT
    trap '' HUP INT TERM
    if [ -n "$granted" ]; then
        say "revoking write access to the container '$CONTAINER'"
        if ! az storage container policy delete --account-name "$STORAGE_ACCOUNT" --container-name "$CONTAINER" \
            --name "$granted" --output none; then
            say "write access could NOT be revoked; it ends by itself after $SAS_SECONDS seconds"
            [ "$status" -ne 0 ] || status=1
        fi
    fi
    exit "$status"
}
trap finish EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

# upload FILE BLOB
upload() {
    say "uploading '$1' as '$2'"
    azcopy copy "$1" "$account_url$CONTAINER/$2?$sas" --blob-type PageBlob
}
"#;

fn path(upload: &Upload) -> String {
    format!("\"$IMAGE_DIR\"/{}", quoted(&upload.file))
}

fn preflight(recipe: &Recipe, out: &mut Script) {
    out.comment("Before anything is made.");
    for upload in &recipe.uploads {
        out.code(&format!("check_file {} {}", path(upload), upload.length));
    }
    if recipe.route == Route::Attach && recipe.guest.is_none() {
        out.code("[ -n \"$VM_NAME\" ] || die 'set VM_NAME to the machine that takes the disk'");
    }
    out.code(
        r#"for tool in az azcopy; do
    command -v "$tool" >/dev/null || die "'$tool' is not installed"
done
az account show --output none || die "run 'az login' first"
if [ "$(az group exists --name "$RESOURCE_GROUP" --output tsv)" != true ]; then
    say "creating the resource group '$RESOURCE_GROUP' in $LOCATION"
    az group create --name "$RESOURCE_GROUP" --location "$LOCATION" --output none
fi
"#,
    );
}

fn definition(recipe: &Recipe, out: &mut Script) {
    let Some(guest) = &recipe.guest else { return };
    let (os_type, state, generation, architecture) = (guest.os_type(), guest.os_state(), guest.hyper_v_generation(), guest.architecture);
    out.comment("The image definition; what it says holds for every version, and cannot be changed later.");
    for note in notes::features(recipe) {
        out.comment(&note);
    }
    out.code(&format!(
        r#"if ! az sig show --resource-group "$RESOURCE_GROUP" --gallery-name "$GALLERY" --output none 2>/dev/null; then
    say "creating the gallery '$GALLERY'"
    az sig create --resource-group "$RESOURCE_GROUP" --gallery-name "$GALLERY" --location "$LOCATION" --output none
fi
definition=(--resource-group "$RESOURCE_GROUP" --gallery-name "$GALLERY" --gallery-image-definition "$DEFINITION")
if found=$(az sig image-definition show "${{definition[@]}}" \
    --query "join('/', [osType, osState, hyperVGeneration || 'V1', architecture || 'x64'])" --output tsv 2>/dev/null); then
    [ "$found" = {os_type}/{state}/{generation}/{architecture} ] ||
        die "the image definition '$DEFINITION' is for $found; set DEFINITION and SKU to other names"
else
    say "creating the image definition '$DEFINITION'""#
    ));
    let mut features: Vec<String> = recipe.features().iter().map(|(name, value)| format!("{name}={value}")).collect();
    if guest.generation == 2 && !recipe.trusts_launch() {
        // Without it, Azure CLI declares Trusted Launch for generation 2.
        features.insert(0, "SecurityType=Standard".to_owned());
    }
    let features = if features.is_empty() { String::new() } else { format!(" \\\n        --features {}", quoted(&features.join(" "))) };
    out.code(&format!(
        r#"    az sig image-definition create "${{definition[@]}}" --location "$LOCATION" \
        --publisher "$PUBLISHER" --offer "$OFFER" --sku "$SKU" \
        --os-type {os_type} --os-state {state} --hyper-v-generation {generation} --architecture {architecture}{features} --output none
fi
if az sig image-version show "${{definition[@]}}" --gallery-image-version "$VERSION" --output none 2>/dev/null; then
    die "version $VERSION of '$DEFINITION' is there already; set VERSION to the next"
fi
"#
    ));
}

fn disks(recipe: &Recipe, out: &mut Script) {
    out.comment("The disks, in their exact lengths.");
    for upload in &recipe.uploads {
        let options = match (&recipe.guest, upload.lun) {
            (Some(guest), None) => {
                // A gallery's definition says it by itself.
                let declared = recipe.trusts_launch() && recipe.route != Route::Gallery;
                let security = if declared { " --supported-security-option TrustedLaunchSupported" } else { "" };
                let (os, generation, architecture) = (guest.os_type(), guest.hyper_v_generation(), guest.architecture);
                format!(" \\\n    --os-type {os} --hyper-v-generation {generation} --architecture {architecture}{security}")
            }
            _ => String::new(),
        };
        let name = variable(recipe, upload);
        out.code(&format!("upload \"${name}\" {} {} {}{options}", path(upload), upload.length, quoted(&upload.digest)));
    }
    if recipe.route != Route::Gallery {
        return;
    }
    for upload in &recipe.uploads {
        let name = variable(recipe, upload);
        let id = name.to_lowercase();
        out.code(&format!("{id}=$(az disk show --resource-group \"$RESOURCE_GROUP\" --name \"${name}\" --query id --output tsv)"));
    }
}

fn blobs(recipe: &Recipe, out: &mut Script) {
    out.comment("The storage account, which must stand in the region of the image.");
    out.code(
        r#"if region=$(az storage account show --resource-group "$RESOURCE_GROUP" --name "$STORAGE_ACCOUNT" \
    --query primaryLocation --output tsv 2>/dev/null); then
    [ "$region" = "$LOCATION" ] || die "the storage account '$STORAGE_ACCOUNT' stands in $region, the image goes to $LOCATION"
else
    say "creating the storage account '$STORAGE_ACCOUNT'"
    az storage account create --resource-group "$RESOURCE_GROUP" --name "$STORAGE_ACCOUNT" --location "$LOCATION" \
        --sku Standard_LRS --kind StorageV2 --min-tls-version TLS1_2 --allow-blob-public-access false --output none
fi
account_id=$(az storage account show --resource-group "$RESOURCE_GROUP" --name "$STORAGE_ACCOUNT" --query id --output tsv)
account_url=$(az storage account show --resource-group "$RESOURCE_GROUP" --name "$STORAGE_ACCOUNT" \
    --query primaryEndpoints.blob --output tsv)
AZURE_STORAGE_KEY=$(az storage account keys list --resource-group "$RESOURCE_GROUP" --account-name "$STORAGE_ACCOUNT" \
    --query '[0].value' --output tsv)
export AZURE_STORAGE_KEY
az storage container create --account-name "$STORAGE_ACCOUNT" --name "$CONTAINER" --output none
ends=$(($(date +%s) + SAS_SECONDS))
ends=$(date -u -d "@$ends" +%Y-%m-%dT%H:%M:%SZ 2>/dev/null || date -u -r "$ends" +%Y-%m-%dT%H:%M:%SZ)
granted=vhdkit-upload
az storage container policy create --account-name "$STORAGE_ACCOUNT" --container-name "$CONTAINER" --name "$granted" \
    --permissions crw --expiry "$ends" --output none
sas=$(az storage container generate-sas --account-name "$STORAGE_ACCOUNT" --name "$CONTAINER" --policy-name "$granted" --https-only \
    --output tsv)
[ -n "$sas" ] || die "Azure granted no write access to '$CONTAINER'"
# A new policy may need half a minute to hold.
sleep "${SETTLE_SECONDS:-30}"
"#,
    );
    for upload in &recipe.uploads {
        out.code(&format!("upload {} \"${}\".vhd", path(upload), variable(recipe, upload)));
    }
    out.code(
        r#"az storage container policy delete --account-name "$STORAGE_ACCOUNT" --container-name "$CONTAINER" --name "$granted" --output none
granted="#,
    );
}

fn version(recipe: &Recipe, out: &mut Script) {
    let Some(guest) = &recipe.guest else { return };
    out.gap();
    out.comment("The image version. It is copied into the gallery, which takes its time.");
    let data: Vec<(u8, &Upload)> = recipe.data_disks().collect();
    let luns: String = data.iter().map(|(lun, _)| format!(" {lun}")).collect();
    let mut arguments = String::new();
    if recipe.route == Route::Blob {
        let url = |upload: &Upload| format!("\"$account_url$CONTAINER/${}.vhd\"", variable(recipe, upload));
        let os = recipe.os_disk().map(url).unwrap_or_default();
        arguments.push_str(&format!(" \\\n    --os-vhd-uri {os} --os-vhd-storage-account \"$account_id\""));
        if !data.is_empty() {
            let urls: String = data.iter().map(|(_, upload)| format!(" {}", url(upload))).collect();
            let accounts = " \"$account_id\"".repeat(data.len());
            arguments.push_str(&format!(
                " \\\n    --data-vhds-uris{urls} \\\n    --data-vhds-luns{luns} --data-vhds-storage-accounts{accounts}"
            ));
        }
    } else {
        let id = |upload: &Upload| format!("\"${}\"", variable(recipe, upload).to_lowercase());
        let os = recipe.os_disk().map(id).unwrap_or_default();
        arguments.push_str(&format!(" \\\n    --os-snapshot {os}"));
        if !data.is_empty() {
            let ids: String = data.iter().map(|(_, upload)| format!(" {}", id(upload))).collect();
            arguments.push_str(&format!(" \\\n    --data-snapshots{ids} --data-snapshot-luns{luns}"));
        }
    }
    if recipe.is_shallow() {
        arguments.push_str(" \\\n    --replication-mode Shallow");
    }
    out.code(&format!(
        r#"say "creating version $VERSION of '$DEFINITION'"
az sig image-version create "${{definition[@]}}" --gallery-image-version "$VERSION" --location "$LOCATION" \
    --target-regions "$LOCATION"{arguments} --output none
image=$(az sig image-version show "${{definition[@]}}" --gallery-image-version "$VERSION" --query id --output tsv)
say "the image is there: $image"
"#
    ));
    out.comment("What was uploaded is no longer needed then; delete it when a machine made of the image has started.");
    for note in notes::machine(recipe) {
        out.comment(&note);
    }
    let mut options = String::new();
    if guest.is_generalized() {
        options.push_str(" \\\n        --admin-username \"$ADMIN_USER\"");
        match guest.os {
            OsFamily::Linux => options.push_str(" --generate-ssh-keys"),
            OsFamily::Windows => out.comment("Azure CLI asks for the administrator's password."),
        }
    } else {
        options.push_str(" --specialized");
    }
    if recipe.lacks_agent() {
        options.push_str(" --enable-agent false");
    }
    if recipe.trusts_launch() {
        options.push_str(" \\\n        --security-type TrustedLaunch --enable-secure-boot true --enable-vtpm true");
    }
    out.code(&format!(
        r#"if [ -n "$VM_NAME" ]; then
    say "creating the machine '$VM_NAME'"
    az vm create --resource-group "$RESOURCE_GROUP" --name "$VM_NAME" --location "$LOCATION" --size "$VM_SIZE" --image "$image"{options}
else
    say 'set VM_NAME to make a machine of it at once'
fi"#
    ));
}

fn attach(recipe: &Recipe, out: &mut Script) {
    out.gap();
    let Some(guest) = &recipe.guest else {
        out.code(
            r#"say "attaching '$DATA_DISK' to '$VM_NAME' at LUN $LUN"
az vm disk attach --resource-group "$RESOURCE_GROUP" --vm-name "$VM_NAME" --name "$DATA_DISK" --lun "$LUN" --output none"#,
        );
        return;
    };
    for note in notes::machine(recipe) {
        out.comment(&note);
    }
    if recipe.trusts_launch() {
        out.comment("Trusted Launch, afterwards: az vm deallocate; az vm update --security-type TrustedLaunch --enable-secure-boot true --enable-vtpm true; az vm start.");
    }
    let data: Vec<(u8, &Upload)> = recipe.data_disks().collect();
    let in_sequence = data.iter().zip(0_u8..).all(|((lun, _), place)| *lun == place);
    let os = guest.os_type().to_lowercase();
    let mut with = String::new();
    if in_sequence && !data.is_empty() {
        with.push_str(" \\\n    --attach-data-disks");
        with.extend(data.iter().map(|(_, upload)| format!(" \"${}\"", variable(recipe, upload))));
    }
    out.code(&format!(
        r#"say "creating the machine '$VM_NAME'"
az vm create --resource-group "$RESOURCE_GROUP" --name "$VM_NAME" --location "$LOCATION" --size "$VM_SIZE" \
    --attach-os-disk "$OS_DISK" --os-type {os}{with}"#
    ));
    if in_sequence {
        return;
    }
    out.comment(
        "'az vm create' gives the LUNs 0, 1, 2 … and these are others: the machine is stopped, given its data disks, and started again. \
         The Bicep recipe attaches them from the start.",
    );
    out.code("az vm deallocate --resource-group \"$RESOURCE_GROUP\" --name \"$VM_NAME\" --output none");
    for (lun, upload) in data {
        let name = variable(recipe, upload);
        out.code(&format!(
            "az vm disk attach --resource-group \"$RESOURCE_GROUP\" --vm-name \"$VM_NAME\" --name \"${name}\" --lun {lun} --output none"
        ));
    }
    out.code("az vm start --resource-group \"$RESOURCE_GROUP\" --name \"$VM_NAME\" --output none");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quoted_word_stays_one_word() {
        assert_eq!(quoted("it's $(x) `y` \"z\" \\"), r#"'it'\''s $(x) `y` "z" \'"#);
    }
}
