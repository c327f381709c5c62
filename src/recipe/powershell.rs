//! A PowerShell script for the Az modules and AzCopy.

use super::script::Script;
use super::{CannotDeploy, Guest, Recipe, Route, Upload, notes};
use crate::facts::OsFamily;

/// A word for PowerShell, whatever is in it. It takes the curly quotes of word processors for its own.
pub(super) fn quoted(text: &str) -> String {
    let mut out = String::from("'");
    for c in text.chars() {
        if matches!(c, '\'' | '\u{2018}' | '\u{2019}' | '\u{201a}' | '\u{201b}') {
            out.push(c);
        }
        out.push(c);
    }
    out.push('\'');
    out
}

pub(super) fn script(recipe: &Recipe) -> Result<String, CannotDeploy> {
    let mut out = Script::new("#");
    for note in notes::head(recipe).iter().chain(&notes::route(recipe)) {
        out.comment(note);
    }
    out.code("#Requires -Modules Az.Accounts, Az.Resources, Az.Compute");
    if recipe.route == Route::Blob {
        out.code("#Requires -Modules Az.Storage");
    }
    if recipe.guest.as_ref().is_some_and(|guest| recipe.route != Route::Disk && needs_subnet(recipe, guest)) {
        out.code("#Requires -Modules Az.Network");
    }
    parameters(recipe, &mut out);
    out.code(COMMON);
    if recipe.route != Route::Blob {
        out.code(UPLOAD);
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
        Route::Disk => {}
    }
    Ok(out.finish())
}

/// The variable of a disk: `OsDisk`, `DataDisk3`, `DataDisk`.
fn variable(recipe: &Recipe, upload: &Upload) -> String {
    match upload.lun {
        Some(lun) => format!("DataDisk{lun}"),
        None if recipe.guest.is_some() => "OsDisk".to_owned(),
        None => "DataDisk".to_owned(),
    }
}

fn parameters(recipe: &Recipe, out: &mut Script) {
    let names = &recipe.names;
    let mut all: Vec<String> = Vec::new();
    let mut add = |name: &str, value: &str| all.push(format!("    [string] ${name} = {}", quoted(value)));
    add("ImageDirectory", &recipe.directory);
    add("ResourceGroupName", &names.group);
    add("Location", "westeurope");
    if recipe.route.makes_image() {
        add("GalleryName", &names.gallery);
        add("DefinitionName", &names.definition);
        add("Publisher", "vhdkit");
        add("Offer", &names.offer);
        add("Sku", &names.sku);
        add("Version", "1.0.0");
    }
    if recipe.route == Route::Blob {
        add("StorageAccountName", &names.account);
        add("ContainerName", "vhds");
    } else {
        add("DiskSku", "Standard_LRS");
    }
    for upload in &recipe.uploads {
        add(&variable(recipe, upload), &upload.resource);
    }
    match (&recipe.guest, recipe.route) {
        (Some(guest), Route::Gallery | Route::Blob) => {
            add("VMName", "");
            add("VMSize", guest.machine_size());
            if needs_subnet(recipe, guest) {
                add("SubnetId", "");
            }
        }
        (Some(guest), Route::Attach) => {
            add("VMName", &names.machine);
            add("VMSize", guest.machine_size());
            add("SubnetId", "");
        }
        (None, Route::Attach) => add("VMName", ""),
        _ => {}
    }
    if recipe.guest.is_none() && recipe.route == Route::Attach {
        all.push("    [int] $Lun = 0".to_owned());
    }
    all.push(format!("    [long] $SasSeconds = {}", recipe.seconds()));
    out.comment("Names. Each can also be given as a parameter: ./deploy.ps1 -Location northeurope");
    out.code(&format!("[CmdletBinding()]\nparam(\n{}\n)", all.join(",\n")));
}

const COMMON: &str = r#"Set-StrictMode -Version 3.0
$ErrorActionPreference = 'Stop'

# A file of the image must be there, in the length that its manifest gives.
function Get-ImageFile([string] $Name, [long] $Length) {
    $path = Join-Path -Path $ImageDirectory -ChildPath $Name
    if (-not (Test-Path -LiteralPath $path -PathType Leaf)) {
        throw "'$path' is missing; set -ImageDirectory to the directory of the prepared image"
    }
    $found = (Get-Item -LiteralPath $path -Force).Length
    if ($found -ne $Length) {
        throw "'$path' has $found bytes, not the $Length of its manifest; run 'vhdkit verify'"
    }
    (Get-Item -LiteralPath $path -Force).FullName
}
"#;

const UPLOAD: &str = r#"# A managed disk with the file's content. What an earlier run has uploaded is not sent again.
function Publish-Disk([string] $Name, [string] $Path, [long] $Length, [string] $Digest, [hashtable] $Options = @{}) {
    $disk = Get-AzDisk -ResourceGroupName $ResourceGroupName -DiskName $Name -ErrorAction SilentlyContinue
    if ($disk) {
        if ($Digest -and $disk.Tags -and $disk.Tags['vhdkit'] -eq $Digest) {
            Write-Host "the disk '$Name' is there already, with this content"
            return $disk
        }
        throw "a disk '$Name' is there already ($($disk.DiskState)), and not known to hold this content; delete it, or take another name"
    }
    Write-Host "creating the disk '$Name' for $Length bytes"
    $config = New-AzDiskConfig -Location $Location -SkuName $DiskSku -CreateOption 'Upload' -UploadSizeInBytes $Length @Options
    New-AzDisk -ResourceGroupName $ResourceGroupName -DiskName $Name -Disk $config | Out-Null
    # Whatever happens, no write access stays behind.
    try {
        $access = Grant-AzDiskAccess -ResourceGroupName $ResourceGroupName -DiskName $Name -Access 'Write' -DurationInSecond $SasSeconds
        Write-Host "uploading '$Path'"
        & azcopy copy $Path $access.AccessSAS --blob-type PageBlob | Out-Host
        if ($LASTEXITCODE -ne 0) {
            throw "azcopy ended with $LASTEXITCODE; the disk '$Name' is not complete: delete it before the next attempt"
        }
    }
    finally {
        Revoke-AzDiskAccess -ResourceGroupName $ResourceGroupName -DiskName $Name | Out-Null
    }
    $disk = Get-AzDisk -ResourceGroupName $ResourceGroupName -DiskName $Name
    if ($Digest) { Update-AzTag -ResourceId $disk.Id -Operation Merge -Tag @{ vhdkit = $Digest } | Out-Null }
    $disk
}
"#;

fn preflight(recipe: &Recipe, out: &mut Script) {
    out.comment("Before anything is made.");
    for upload in &recipe.uploads {
        let file = quoted(&upload.file);
        out.code(&format!("$file{} = Get-ImageFile {file} {}", variable(recipe, upload), upload.length));
    }
    if recipe.route == Route::Attach {
        out.code("if (-not $VMName) { throw 'give -VMName' }");
        if recipe.guest.is_some() {
            out.code("if (-not $SubnetId) { throw 'give -SubnetId: the resource ID of the subnet that the machine will stand in' }");
        }
    }
    out.code(
        r#"Get-Command -Name azcopy -CommandType Application | Out-Null
if (-not (Get-AzContext)) { throw 'run Connect-AzAccount first' }
if (-not (Get-AzResourceGroup -Name $ResourceGroupName -ErrorAction SilentlyContinue)) {
    New-AzResourceGroup -Name $ResourceGroupName -Location $Location | Out-Null
}
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
    let mut features: Vec<String> =
        recipe.features().iter().map(|(name, value)| format!("@{{ Name = '{name}'; Value = '{value}' }}")).collect();
    if guest.generation == 2 && !recipe.trusts_launch() {
        // Without it, the cmdlet may declare Trusted Launch by itself.
        features.insert(0, "@{ Name = 'SecurityType'; Value = 'None' }".to_owned());
    }
    out.code(&format!(
        r#"if (-not (Get-AzGallery -ResourceGroupName $ResourceGroupName -Name $GalleryName -ErrorAction SilentlyContinue)) {{
    New-AzGallery -ResourceGroupName $ResourceGroupName -Name $GalleryName -Location $Location | Out-Null
}}
$gallery = @{{ ResourceGroupName = $ResourceGroupName; GalleryName = $GalleryName }}
$definition = Get-AzGalleryImageDefinition @gallery -Name $DefinitionName -ErrorAction SilentlyContinue
if (-not $definition) {{
    $features = @(
        {}
    )
    $definition = New-AzGalleryImageDefinition @gallery -Name $DefinitionName -Location $Location `
        -Publisher $Publisher -Offer $Offer -Sku $Sku -OsType '{os_type}' -OsState '{state}' `
        -HyperVGeneration '{generation}' -Architecture '{architecture}' -Feature $features
}}
$found = "$($definition.OsType)/$($definition.OsState)/$($definition.HyperVGeneration)"
if ($found -ne '{os_type}/{state}/{generation}') {{
    throw "the image definition '$DefinitionName' is for $found; give -DefinitionName and -Sku other names"
}}
if (Get-AzGalleryImageVersion @gallery -GalleryImageDefinitionName $DefinitionName -Name $Version -ErrorAction SilentlyContinue) {{
    throw "version $Version of '$DefinitionName' is there already; give -Version the next"
}}
"#,
        features.join("\n        ")
    ));
}

fn disks(recipe: &Recipe, out: &mut Script) {
    out.comment("The disks, in their exact lengths.");
    for upload in &recipe.uploads {
        let name = variable(recipe, upload);
        let options = match (&recipe.guest, upload.lun) {
            (Some(guest), None) => format!(
                " @{{ OsType = '{}'; HyperVGeneration = '{}'; Architecture = '{}' }}",
                guest.os_type(),
                guest.hyper_v_generation(),
                guest.architecture
            ),
            _ => String::new(),
        };
        let digest = quoted(&upload.digest);
        out.code(&format!("$managed{name} = Publish-Disk ${name} $file{name} {} {digest}{options}", upload.length));
    }
    if recipe.route == Route::Disk {
        for upload in &recipe.uploads {
            out.code(&format!("$managed{}.Id", variable(recipe, upload)));
        }
    }
}

fn blobs(recipe: &Recipe, out: &mut Script) {
    out.comment("The storage account, which must stand in the region of the image.");
    out.code(
        r#"$account = Get-AzStorageAccount -ResourceGroupName $ResourceGroupName -Name $StorageAccountName -ErrorAction SilentlyContinue
if (-not $account) {
    $account = New-AzStorageAccount -ResourceGroupName $ResourceGroupName -Name $StorageAccountName -Location $Location `
        -SkuName Standard_LRS -Kind StorageV2 -MinimumTlsVersion TLS1_2 -AllowBlobPublicAccess $false
}
if ($account.PrimaryLocation -ne $Location) {
    throw "the storage account '$StorageAccountName' stands in $($account.PrimaryLocation), the image goes to $Location"
}
$key = (Get-AzStorageAccountKey -ResourceGroupName $ResourceGroupName -Name $StorageAccountName)[0].Value
$storage = New-AzStorageContext -StorageAccountName $StorageAccountName -StorageAccountKey $key
if (-not (Get-AzStorageContainer -Name $ContainerName -Context $storage -ErrorAction SilentlyContinue)) {
    New-AzStorageContainer -Name $ContainerName -Permission Off -Context $storage | Out-Null
}
$blobs = "$($account.PrimaryEndpoints.Blob)$ContainerName"
# Whatever happens, no write access stays behind: the SAS is worth nothing without its policy.
$policy = 'vhdkit-upload'
$ends = (Get-Date).ToUniversalTime().AddSeconds($SasSeconds)
New-AzStorageContainerStoredAccessPolicy -Container $ContainerName -Policy $policy -Permission rw -ExpiryTime $ends `
    -Context $storage | Out-Null
try {
    $sas = (New-AzStorageContainerSASToken -Name $ContainerName -Policy $policy -Protocol HttpsOnly -Context $storage).TrimStart('?')
    # A new policy may need half a minute to hold.
    Start-Sleep -Seconds 30"#,
    );
    for upload in &recipe.uploads {
        let name = variable(recipe, upload);
        out.code(&format!(
            r#"    & azcopy copy $file{name} "$blobs/${name}.vhd?$sas" --blob-type PageBlob | Out-Host
    if ($LASTEXITCODE -ne 0) {{ throw "azcopy ended with $LASTEXITCODE" }}"#
        ));
    }
    out.code(
        r#"}
finally {
    Remove-AzStorageContainerStoredAccessPolicy -Container $ContainerName -Policy $policy -Context $storage | Out-Null
}"#,
    );
}

fn version(recipe: &Recipe, out: &mut Script) {
    let Some(guest) = &recipe.guest else { return };
    out.gap();
    out.comment("The image version. It is copied into the gallery, which takes its time.");
    let data: Vec<(u8, &Upload)> = recipe.data_disks().collect();
    // New-AzGalleryImageVersion has no words for shallow replication, nor for the account of a VHD; the resource itself has.
    if recipe.route == Route::Blob || recipe.is_shallow() {
        let source = |upload: &Upload| {
            let name = variable(recipe, upload);
            match recipe.route {
                Route::Blob => format!("@{{ storageAccountId = $account.Id; uri = \"$blobs/${name}.vhd\" }}"),
                _ => format!("@{{ id = $managed{name}.Id }}"),
            }
        };
        let os = recipe.os_disk().map(source).unwrap_or_default();
        let disks: Vec<String> = data.iter().map(|(lun, upload)| format!("@{{ lun = {lun}; source = {} }}", source(upload))).collect();
        let mode = if recipe.is_shallow() { "; replicationMode = 'Shallow'" } else { "" };
        out.code(&format!(
            r#"$properties = @{{
    publishingProfile = @{{ targetRegions = @(@{{ name = $Location }}){mode} }}
    storageProfile = @{{
        osDiskImage = @{{ source = {os} }}
        dataDiskImages = @({})
    }}
}}
$image = New-AzResource -ResourceId "$($definition.Id)/versions/$Version" -Location $Location -Properties $properties `
    -ApiVersion '2024-03-03' -Force
$imageId = $image.ResourceId"#,
            disks.iter().map(|disk| format!("\n            {disk}")).collect::<String>() + if disks.is_empty() { "" } else { "\n        " }
        ));
    } else {
        let source = |upload: &Upload| format!("Source = @{{ Id = $managed{}.Id }}", variable(recipe, upload));
        let os = recipe.os_disk().map(source).unwrap_or_default();
        let mut with = String::new();
        if !data.is_empty() {
            let disks: Vec<String> = data.iter().map(|(lun, upload)| format!("@{{ {}; Lun = {lun} }}", source(upload))).collect();
            out.code(&format!("$dataDisks = @(\n    {}\n)", disks.join("\n    ")));
            with.push_str(" -DataDiskImage $dataDisks");
        }
        out.code(&format!(
            r#"$image = New-AzGalleryImageVersion @gallery -GalleryImageDefinitionName $DefinitionName -Name $Version -Location $Location `
    -TargetRegion @(@{{ Name = $Location }}) -OSDiskImage @{{ {os} }}{with}
$imageId = $image.Id"#
        ));
    }
    out.code("Write-Host \"the image is there: $imageId\"\n");
    out.comment("What was uploaded is no longer needed then; delete it when a machine made of the image has started.");
    for note in notes::machine(recipe) {
        out.comment(&note);
    }
    machine_of_image(recipe, guest, out);
}

/// A machine made of the image, where a name is given.
fn machine_of_image(recipe: &Recipe, guest: &Guest, out: &mut Script) {
    if needs_subnet(recipe, guest) {
        out.code("if ($VMName) {");
        let source = "$machine = Set-AzVMSourceImage -VM $machine -Id $imageId";
        out.code(&configured(recipe, guest, source).lines().map(|line| format!("    {line}")).collect::<Vec<_>>().join("\n"));
        out.code("}");
        return;
    }
    // Its network is made with it, as this form of New-AzVM does.
    let trusted =
        if recipe.trusts_launch() { " `\n        -SecurityType 'TrustedLaunch' -EnableSecureBoot $true -EnableVtpm $true" } else { "" };
    out.code(&format!(
        r#"if ($VMName) {{
    New-AzVM -ResourceGroupName $ResourceGroupName -Name $VMName -Location $Location -Size $VMSize -Image $imageId `
        -Credential (Get-Credential){trusted}
}}"#
    ));
}

/// Whether the machine needs a form of New-AzVM that makes no network: the simple one asks for an account, and always promises an agent.
fn needs_subnet(recipe: &Recipe, guest: &Guest) -> bool {
    !guest.is_generalized() || recipe.lacks_agent()
}

/// A machine put together by cmdlets; `source` is what it gets its disks from.
fn configured(recipe: &Recipe, guest: &Guest, source: &str) -> String {
    let mut lines = vec![
        "if (-not $SubnetId) { throw 'give -SubnetId: the resource ID of the subnet that the machine will stand in' }".to_owned(),
        "$card = New-AzNetworkInterface -ResourceGroupName $ResourceGroupName -Name \"$VMName-nic\" -Location $Location -SubnetId $SubnetId"
            .to_owned(),
        "$machine = New-AzVMConfig -VMName $VMName -VMSize $VMSize".to_owned(),
        source.to_owned(),
    ];
    if recipe.trusts_launch() && recipe.route != Route::Attach {
        lines.push("$machine = Set-AzVMSecurityProfile -VM $machine -SecurityType 'TrustedLaunch'".to_owned());
        lines.push("$machine = Set-AzVMUefi -VM $machine -EnableVtpm $true -EnableSecureBoot $true".to_owned());
    }
    if guest.is_generalized() {
        let agent = if recipe.lacks_agent() { " -DisableVMAgent" } else { "" };
        lines.push(format!(
            "$machine = Set-AzVMOperatingSystem -VM $machine {} -ComputerName $VMName -Credential (Get-Credential){agent}",
            family(guest)
        ));
    }
    lines.push("$machine = Add-AzVMNetworkInterface -VM $machine -Id $card.Id".to_owned());
    if recipe.route == Route::Attach {
        for (lun, upload) in recipe.data_disks() {
            let name = variable(recipe, upload);
            lines.push(format!(
                "$machine = Add-AzVMDataDisk -VM $machine -Name ${name} -ManagedDiskId $managed{name}.Id -Lun {lun} -CreateOption Attach -Caching None"
            ));
        }
    }
    lines.push("New-AzVM -ResourceGroupName $ResourceGroupName -Location $Location -VM $machine".to_owned());
    lines.join("\n")
}

fn family(guest: &Guest) -> &'static str {
    match guest.os {
        OsFamily::Linux => "-Linux",
        OsFamily::Windows => "-Windows",
    }
}

fn attach(recipe: &Recipe, out: &mut Script) {
    out.gap();
    let Some(guest) = &recipe.guest else {
        out.code(
            r#"$machine = Get-AzVM -ResourceGroupName $ResourceGroupName -Name $VMName
$machine = Add-AzVMDataDisk -VM $machine -Name $DataDisk -ManagedDiskId $managedDataDisk.Id -Lun $Lun -CreateOption Attach -Caching None
Update-AzVM -ResourceGroupName $ResourceGroupName -VM $machine"#,
        );
        return;
    };
    for note in notes::machine(recipe) {
        out.comment(&note);
    }
    if recipe.trusts_launch() {
        out.comment(
            "Trusted Launch, afterwards: Stop-AzVM, Update-AzVM -SecurityType TrustedLaunch -EnableSecureBoot $true -EnableVtpm $true, Start-AzVM.",
        );
    }
    let source = format!(
        "$machine = Set-AzVMOSDisk -VM $machine -ManagedDiskId $managedOsDisk.Id -CreateOption Attach -Caching ReadWrite {}",
        family(guest)
    );
    out.code(&configured(recipe, guest, &source));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quoted_word_stays_one_word() {
        assert_eq!(quoted("it's $(x) `y` \u{2019}z"), "'it''s $(x) `y` \u{2019}\u{2019}z'");
    }
}
