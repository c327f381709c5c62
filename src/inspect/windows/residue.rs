//! What waits for the next start, and what setting up leaves behind.

use super::product::there;
use super::registry::{Registry, known, optional, windows_path};
use crate::bytes::{int_usize, is_zero, printable, read_vec, up_to_secret, without_secrets};
use crate::facts::{AnswerFileFacts, BitLockerFacts, Fact, FileFacts, HibernationFacts, PendingFacts, Unknown, WindowsNameFacts};
use crate::fs::{Error, NodeKind, Tree};

/// Directories in which Setup looks for answer files by itself, in its order ("Windows Setup Automation Overview").
const SEARCHED: [&str; 4] = ["/Windows/Panther/Unattend", "/Windows/Panther", "/Windows/System32/Sysprep", ""];
/// Bytes of the hibernation file that are looked at.
const HEAD: u64 = 4096;

/// Learns `pending`.
pub(super) fn pending(registry: &Registry, tree: &Tree, names: &WindowsNameFacts) -> PendingFacts {
    const SERVICING: &str = "SOFTWARE\\Microsoft\\Windows\\CurrentVersion\\Component Based Servicing";
    let servicing = |name: &str| registry.exists(&format!("{SERVICING}\\{name}"));
    PendingFacts {
        reboot_pending: servicing("RebootPending"),
        reboot_in_progress: servicing("RebootInProgress"),
        packages_pending: servicing("PackagesPending"),
        update_reboot_required: registry.exists("SOFTWARE\\Microsoft\\Windows\\CurrentVersion\\WindowsUpdate\\Auto Update\\RebootRequired"),
        file_renames: renames(registry).into(),
        pending_xml: there(tree, "/Windows/WinSxS/pending.xml"),
        name_change: match (&names.computer_name, &names.active_computer_name) {
            (Fact::Known(name), Fact::Known(active)) => Fact::Known(!name.eq_ignore_ascii_case(active)),
            (Fact::Unknown(reason), _) | (_, Fact::Unknown(reason)) => Fact::Unknown(reason.clone()),
            _ => Fact::Absent,
        },
    }
}

/// Pairs of names: from, and to, which is empty for a file to be deleted.
fn renames(registry: &Registry) -> Result<usize, Unknown> {
    let mut count = 0_usize;
    for name in ["PendingFileRenameOperations", "PendingFileRenameOperations2"] {
        if let Some(value) = registry.value("CCS\\Control\\Session Manager", name)? {
            let texts = value.texts().ok_or_else(|| Unknown(format!("{name} is not a list of texts: type {}", value.kind)))?;
            count = count.saturating_add(texts.len().div_ceil(2));
        }
    }
    Ok(count)
}

/// Learns `answer_files`.
pub(super) fn answer_files(registry: &Registry, tree: &Tree) -> AnswerFileFacts {
    AnswerFileFacts {
        registry: registry.full_text("SYSTEM\\Setup", "UnattendFile"),
        files: known(cached(tree)),
        custom_data: optional(file(tree, "/AzureData/CustomData.bin")),
    }
}

fn cached(tree: &Tree) -> Result<Vec<FileFacts>, Error> {
    let mut files = Vec::new();
    for directory in SEARCHED {
        for name in ["unattend.xml", "autounattend.xml"] {
            files.extend(file(tree, &format!("{directory}/{name}"))?);
        }
    }
    Ok(files)
}

/// A file with its size; `None` where there is none.
pub(super) fn file(tree: &Tree, path: &str) -> Result<Option<FileFacts>, Error> {
    let found = tree.find(path)?.filter(|found| found.node.kind == NodeKind::File);
    Ok(found.map(|found| FileFacts { path: windows_path(path), size: found.node.size }))
}

/// Learns `bitlocker`.
pub(super) fn bitlocker(registry: &Registry) -> BitLockerFacts {
    BitLockerFacts { prevent_device_encryption: registry.dword("CCS\\Control\\BitLocker", "PreventDeviceEncryption") }
}

/// Learns `hibernation`.
pub(super) fn hibernation(registry: &Registry, tree: &Tree) -> HibernationFacts {
    HibernationFacts {
        file: optional(hibernation_file(tree)),
        fast_startup: registry.dword("CCS\\Control\\Session Manager\\Power", "HiberbootEnabled"),
        enabled: registry.dword("CCS\\Control\\Power", "HibernateEnabled"),
    }
}

/// What the hibernation file begins with. Windows writes `HIBR` (`hibr` before Windows 8) when it hibernates, `RSTR` while it resumes, and
/// `WAKE` (`wake`) afterwards.
fn hibernation_file(tree: &Tree) -> Result<Option<String>, Error> {
    let Some(bytes) = tree.open("/hiberfil.sys")? else { return Ok(None) };
    let head = read_vec(&*bytes, 0, int_usize(bytes.size().min(HEAD)))?;
    let mark = head.first_chunk::<4>().map(|mark| mark.to_ascii_uppercase());
    Ok(Some(
        match mark.as_deref() {
            Some(b"HIBR") => "hibernated",
            Some(b"WAKE" | b"RSTR") => "resumed",
            _ if is_zero(&head) => "empty",
            _ => "other",
        }
        .to_owned(),
    ))
}

/// A text of a file, made printable and cut, and told up to where a secret may begin.
pub(super) fn excerpt(text: &str, most: usize) -> String {
    printable(&up_to_secret(&without_secrets(text)).chars().take(most).collect::<String>())
}
