//! A Bicep template. Bicep makes resources and uploads nothing, so the commands that do stand in a comment.

use super::script::Script;
use super::{CannotDeploy, Recipe, Route, Upload, az, notes};

/// Versions of the resource types, each later than the properties that are used here.
const DISKS: &str = "Microsoft.Compute/disks@2024-03-02";
const GALLERIES: &str = "Microsoft.Compute/galleries@2024-03-03";
const DEFINITIONS: &str = "Microsoft.Compute/galleries/images@2024-03-03";
const VERSIONS: &str = "Microsoft.Compute/galleries/images/versions@2024-03-03";
const ACCOUNTS: &str = "Microsoft.Storage/storageAccounts@2023-05-01";
const MACHINES: &str = "Microsoft.Compute/virtualMachines@2024-07-01";
const CARDS: &str = "Microsoft.Network/networkInterfaces@2024-01-01";

/// A string for Bicep, whatever is in it.
fn quoted(text: &str) -> String {
    let mut out = String::from("'");
    for c in text.chars() {
        match c {
            '\'' => out.push_str(r"\'"),
            '\\' => out.push_str(r"\\"),
            '$' => out.push_str(r"\$"),
            '\n' => out.push_str(r"\n"),
            '\r' => out.push_str(r"\r"),
            c if c.is_control() => out.push_str(&format!(r"\u{{{:x}}}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('\'');
    out
}

pub(super) fn template(recipe: &Recipe) -> Result<String, CannotDeploy> {
    if recipe.route == Route::Attach && recipe.guest.is_none() {
        return Err(CannotDeploy::Language(
            "a Bicep template cannot attach a disk to a machine that it does not make: take --format az or --format powershell, or --route disk",
        ));
    }
    let mut out = Script::new("//");
    for note in notes::head(recipe).iter().chain(&notes::route(recipe)) {
        out.comment(note);
    }
    commands(recipe, &mut out);
    out.gap();
    out.code("targetScope = 'resourceGroup'\n");
    parameter(&mut out, "Region of everything.", "location", None);
    match recipe.route {
        Route::Disk => empty_disks(recipe, &mut out),
        Route::Gallery => {
            existing_disks(recipe, &mut out);
            definition(recipe, &mut out);
            version(recipe, &mut out);
        }
        Route::Blob => {
            parameter(
                &mut out,
                "Storage account that the VHDs were uploaded to, in this resource group.",
                "storageAccountName",
                Some(&recipe.names.account),
            );
            parameter(&mut out, "Container of the VHDs.", "containerName", Some("vhds"));
            out.code(&format!("resource account '{ACCOUNTS}' existing = {{\n  name: storageAccountName\n}}\n"));
            definition(recipe, &mut out);
            version(recipe, &mut out);
        }
        Route::Attach => {
            existing_disks(recipe, &mut out);
            machine(recipe, &mut out);
        }
    }
    Ok(out.finish())
}

/// A parameter with its default; without one it is the region of the resource group.
fn parameter(out: &mut Script, description: &str, name: &str, default: Option<&str>) {
    let default = default.map_or_else(|| "resourceGroup().location".to_owned(), quoted);
    out.code(&format!("@description({})\nparam {name} string = {default}\n", quoted(description)));
}

/// The name of a disk's parameter: `osDiskName`, `dataDisk3Name`, `dataDiskName`.
fn symbol(recipe: &Recipe, upload: &Upload) -> String {
    match upload.lun {
        Some(lun) => format!("dataDisk{lun}"),
        None if recipe.guest.is_some() => "osDisk".to_owned(),
        None => "dataDisk".to_owned(),
    }
}

/// The commands around the template, to be copied from the comment.
fn commands(recipe: &Recipe, out: &mut Script) {
    let deploy = "az deployment group create --resource-group \"$RESOURCE_GROUP\" --template-file deploy.bicep";
    out.comment_line("");
    let group = az::quoted(&recipe.names.group);
    if recipe.route == Route::Disk {
        out.comment("This template makes the disks, which then wait for their content. In bash, with Azure CLI and AzCopy:");
        out.comment_line(&format!("  RESOURCE_GROUP={group}"));
        out.comment_line(&format!("  {deploy}"));
        contents(recipe, out);
        return;
    }
    out.comment("Bicep uploads nothing: first the content, then this template.");
    let route = if recipe.route == Route::Blob { "blob" } else { "disk" };
    if route == "disk" {
        out.comment(
            "The same with every check, and with write access revoked whatever happens: vhdkit recipe DIR --format az --route disk \
             >upload.sh && bash upload.sh. By hand, in bash:",
        );
        out.comment_line(&format!("  RESOURCE_GROUP={group} LOCATION=westeurope"));
        for upload in &recipe.uploads {
            let options = match (&recipe.guest, upload.lun) {
                (Some(guest), None) => format!(
                    " --os-type {} --hyper-v-generation {} --architecture {}",
                    guest.os_type(),
                    guest.hyper_v_generation(),
                    guest.architecture
                ),
                _ => String::new(),
            };
            out.comment_line(&format!(
                "  az disk create --resource-group \"$RESOURCE_GROUP\" --name {} --location \"$LOCATION\" --sku Standard_LRS --upload-type Upload --upload-size-bytes {}{options}",
                upload.resource, upload.length
            ));
        }
        contents(recipe, out);
    } else {
        out.comment(
            "The account must stand in the region of the image. By hand, in bash, signed in with the role 'Storage Blob Data Contributor':",
        );
        out.comment_line(&format!("  RESOURCE_GROUP={group}"));
        let account = &recipe.names.account;
        out.comment_line(&format!(
            "  az storage account create --resource-group \"$RESOURCE_GROUP\" --name {account} --location westeurope --sku Standard_LRS --allow-blob-public-access false"
        ));
        out.comment_line(&format!("  az storage container create --account-name {account} --name vhds --auth-mode login"));
        for upload in &recipe.uploads {
            out.comment_line(&format!(
                "  AZCOPY_AUTO_LOGIN_TYPE=AZCLI azcopy copy {} https://{}.blob.core.windows.net/vhds/{}.vhd --blob-type PageBlob",
                file(recipe, upload),
                recipe.names.account,
                upload.resource
            ));
        }
    }
    out.comment_line(&format!("  {deploy}"));
}

/// How content comes into disks that wait for it. The subshell's trap revokes write access, also when AzCopy fails.
fn contents(recipe: &Recipe, out: &mut Script) {
    for upload in &recipe.uploads {
        let disk = format!("--resource-group \"$RESOURCE_GROUP\" --name {}", upload.resource);
        out.comment_line(&format!("  (trap 'az disk revoke-access {disk}' EXIT"));
        out.comment_line(&format!(
            "  sas=$(az disk grant-access {disk} --access-level Write --duration-in-seconds {} --query 'accessSAS || accessSas' --output tsv) &&",
            recipe.seconds()
        ));
        out.comment_line(&format!("  azcopy copy {} \"$sas\" --blob-type PageBlob)", file(recipe, upload)));
    }
}

/// The file's path as a word for bash.
fn file(recipe: &Recipe, upload: &Upload) -> String {
    let dash = if recipe.directory.starts_with('-') { "./" } else { "" };
    az::quoted(&format!("{dash}{}/{}", recipe.directory.trim_end_matches('/'), upload.file))
}

fn empty_disks(recipe: &Recipe, out: &mut Script) {
    parameter(out, "Kind of storage of the disks.", "diskSku", Some("Standard_LRS"));
    for upload in &recipe.uploads {
        let symbol = symbol(recipe, upload);
        parameter(out, "Name of the managed disk.", &format!("{symbol}Name"), Some(&upload.resource));
        let guest = match (&recipe.guest, upload.lun) {
            (Some(guest), None) => format!(
                "    osType: '{}'\n    hyperVGeneration: '{}'\n    supportedCapabilities: {{\n      architecture: '{}'{}\n    }}\n",
                guest.os_type(),
                guest.hyper_v_generation(),
                guest.architecture,
                if recipe.hints.accelerated_network.is_yes() { "\n      acceleratedNetwork: true" } else { "" }
            ),
            _ => String::new(),
        };
        out.code(&format!(
            r"resource {symbol} '{DISKS}' = {{
  name: {symbol}Name
  location: location
  sku: {{
    name: diskSku
  }}
  properties: {{
    creationData: {{
      createOption: 'Upload'
      uploadSizeBytes: {}
    }}
{guest}  }}
}}

output {symbol}Id string = {symbol}.id
",
            upload.length
        ));
    }
}

fn existing_disks(recipe: &Recipe, out: &mut Script) {
    for upload in &recipe.uploads {
        let symbol = symbol(recipe, upload);
        parameter(out, "Managed disk with the content, in this resource group.", &format!("{symbol}Name"), Some(&upload.resource));
        out.code(&format!("resource {symbol} '{DISKS}' existing = {{\n  name: {symbol}Name\n}}\n"));
    }
}

fn definition(recipe: &Recipe, out: &mut Script) {
    let Some(guest) = &recipe.guest else { return };
    let names = &recipe.names;
    parameter(out, "Name of the Compute Gallery.", "galleryName", Some(&names.gallery));
    parameter(out, "Name of the image definition.", "definitionName", Some(&names.definition));
    parameter(out, "Publisher in the definition.", "publisher", Some("vhdkit"));
    parameter(out, "Offer in the definition.", "offer", Some(&names.offer));
    parameter(out, "SKU in the definition; publisher, offer and SKU together are unique in the gallery.", "sku", Some(&names.sku));
    parameter(out, "Version of the image: three numbers.", "imageVersion", Some("1.0.0"));
    for note in notes::features(recipe) {
        out.comment(&note);
    }
    let features: Vec<String> = recipe
        .features()
        .iter()
        .map(|(name, value)| format!("      {{\n        name: '{name}'\n        value: '{value}'\n      }}\n"))
        .collect();
    let features = if features.is_empty() { "[]".to_owned() } else { format!("[\n{}    ]", features.concat()) };
    out.code(&format!(
        r"resource gallery '{GALLERIES}' = {{
  name: galleryName
  location: location
}}

resource definition '{DEFINITIONS}' = {{
  parent: gallery
  name: definitionName
  location: location
  properties: {{
    osType: '{}'
    osState: '{}'
    hyperVGeneration: '{}'
    architecture: '{}'
    identifier: {{
      publisher: publisher
      offer: offer
      sku: sku
    }}
    features: {features}
  }}
}}
",
        guest.os_type(),
        guest.os_state(),
        guest.hyper_v_generation(),
        guest.architecture
    ));
}

fn version(recipe: &Recipe, out: &mut Script) {
    let source = |upload: &Upload, indent: &str| match recipe.route {
        Route::Blob => format!(
            "{{\n{indent}  storageAccountId: account.id\n{indent}  uri: '${{account.properties.primaryEndpoints.blob}}${{containerName}}/{}.vhd'\n{indent}}}",
            upload.resource
        ),
        _ => format!("{{\n{indent}  id: {}.id\n{indent}}}", symbol(recipe, upload)),
    };
    let os = recipe.os_disk().map(|upload| source(upload, "        ")).unwrap_or_default();
    let data: String = recipe
        .data_disks()
        .map(|(lun, upload)| format!("        {{\n          lun: {lun}\n          source: {}\n        }}\n", source(upload, "          ")))
        .collect();
    let data = if data.is_empty() { String::new() } else { format!("      dataDiskImages: [\n{data}      ]\n") };
    let mode = if recipe.is_shallow() { "      replicationMode: 'Shallow'\n" } else { "" };
    out.code(&format!(
        r"resource version '{VERSIONS}' = {{
  parent: definition
  name: imageVersion
  location: location
  properties: {{
    publishingProfile: {{
{mode}      targetRegions: [
        {{
          name: location
        }}
      ]
    }}
    storageProfile: {{
      osDiskImage: {{
        source: {os}
      }}
{data}    }}
  }}
}}

output imageId string = version.id"
    ));
    for note in notes::machine(recipe) {
        out.comment(&note);
    }
}

fn machine(recipe: &Recipe, out: &mut Script) {
    let Some(guest) = &recipe.guest else { return };
    parameter(out, "Name of the machine.", "vmName", Some(&recipe.names.machine));
    parameter(out, "Size of the machine.", "vmSize", Some(guest.machine_size()));
    out.code("@description('Resource ID of the subnet that the machine will stand in.')\nparam subnetId string\n");
    for note in notes::machine(recipe) {
        out.comment(&note);
    }
    let data: String = recipe
        .data_disks()
        .map(|(lun, upload)| {
            let symbol = symbol(recipe, upload);
            format!(
                "        {{\n          lun: {lun}\n          createOption: 'Attach'\n          caching: 'None'\n          managedDisk: {{\n            id: {symbol}.id\n          }}\n        }}\n"
            )
        })
        .collect();
    let data = if data.is_empty() { String::new() } else { format!("      dataDisks: [\n{data}      ]\n") };
    out.code(&format!(
        r"resource card '{CARDS}' = {{
  name: '${{vmName}}-nic'
  location: location
  properties: {{
    ipConfigurations: [
      {{
        name: 'first'
        properties: {{
          subnet: {{
            id: subnetId
          }}
        }}
      }}
    ]
  }}
}}

resource machine '{MACHINES}' = {{
  name: vmName
  location: location
  properties: {{
    hardwareProfile: {{
      vmSize: vmSize
    }}
    storageProfile: {{
      osDisk: {{
        osType: '{}'
        createOption: 'Attach'
        caching: 'ReadWrite'
        managedDisk: {{
          id: osDisk.id
        }}
      }}
{data}    }}
    networkProfile: {{
      networkInterfaces: [
        {{
          id: card.id
        }}
      ]
    }}
  }}
}}

output machineId string = machine.id",
        guest.os_type()
    ));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quoted_string_stays_one_string() {
        assert_eq!(quoted("it's ${x} \\ \n\u{7}"), r"'it\'s \${x} \\ \n\u{7}'");
    }
}
