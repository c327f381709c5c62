//! How to generalize a Windows: the steps for one guest, with commands for an elevated PowerShell.

use crate::facts::{DiskFacts, Fact, PendingFacts, WindowsFacts};
use crate::rules::shared;
use crate::rules::windows::commands;
use crate::rules::word;

/// The steps, in their order.
pub(crate) fn steps(facts: &DiskFacts, windows: &WindowsFacts) -> Vec<String> {
    let mut steps = vec!["shut the machine down and keep a copy of its disks: Sysprep cannot be undone".to_owned()];
    let root = windows.product.system_root.value().map(|root| root.trim_end_matches('\\'));
    // What a shell could read otherwise stays out of the commands.
    let root = root.filter(|root| word::is_plain_path(root)).unwrap_or("C:\\Windows");
    let is_drive = |drive: &&str| drive.starts_with(|c: char| c.is_ascii_alphabetic()) && drive.ends_with(':');
    let drive = root.get(..2).filter(is_drive).unwrap_or("C:");
    let held = shared::contents(facts, false);
    if held.known.iter().any(|(_, content)| content.kind == "BitLocker") {
        steps.push(format!("decrypt every volume: manage-bde -off {drive}, until manage-bde -status says Fully Decrypted"));
    } else if held.unknown.is_some() {
        steps.push("make sure that no volume is encrypted: manage-bde -status".to_owned());
    }
    let waiting = pending(&windows.pending);
    if !waiting.is_empty() {
        steps.push(format!("restart until nothing waits for it any more: {}", shared::first_three(&waiting, ", ")));
    }
    if let Some(log) = windows.sysprep.error_log.value().filter(|log| log.error_count > 0) {
        let codes: Vec<String> = log.errors.iter().flat_map(|error| error.codes.clone()).collect();
        let codes = if codes.is_empty() { String::new() } else { format!(" ({})", shared::first_three(&codes, ", ")) };
        steps.push(format!("read {}{codes} and cure what made an earlier run of Sysprep fail", log.path));
    }
    leftovers(windows, root, drive, &mut steps);
    steps.push(format!("{root}\\System32\\Sysprep\\sysprep.exe /generalize /oobe /shutdown /mode:vm"));
    steps.push(format!(
        "do not start it again; export its disk and check it with --as generalized. If Sysprep failed, {root}\\System32\\Sysprep\\Panther\\\
         setuperr.log says why"
    ));
    steps
}

/// What waits for the next start.
fn pending(facts: &PendingFacts) -> Vec<String> {
    let flags = [
        (&facts.reboot_pending, "updates (RebootPending)"),
        (&facts.reboot_in_progress, "updates (RebootInProgress)"),
        (&facts.packages_pending, "packages (PackagesPending)"),
        (&facts.update_reboot_required, "Windows Update (RebootRequired)"),
        (&facts.pending_xml, "servicing (pending.xml)"),
        (&facts.name_change, "a new computer name"),
    ];
    let mut out: Vec<String> = flags.into_iter().filter(|(flag, _)| **flag == Fact::Known(true)).map(|(_, text)| text.to_owned()).collect();
    if facts.file_renames.value().is_some_and(|count| *count > 0) {
        out.push("files to be renamed".to_owned());
    }
    out
}

/// Answer files and what an earlier provisioning left, which Sysprep and Azure would take again.
fn leftovers(windows: &WindowsFacts, root: &str, drive: &str, steps: &mut Vec<String>) {
    let own = |path: &str| word::powershell_quoted(&format!("{drive}{path}"));
    let files = windows.answer_files.files.value().into_iter().flatten().map(|file| own(&file.path));
    let custom = windows.answer_files.custom_data.value().map(|file| own(&file.path));
    let found: Vec<String> = files.chain(custom).collect();
    if !found.is_empty() {
        steps.push(format!("remove what an earlier setup left: Remove-Item -Force {}", found.join(", ")));
    }
    if windows.answer_files.registry.value().is_some() {
        steps.push(commands::reg_delete("HKLM\\SYSTEM\\Setup", "UnattendFile"));
    }
    steps
        .push(format!("remove the logs of earlier set-ups, and answer files kept among them: Remove-Item -Recurse -Force {root}\\Panther"));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::FileFacts;
    use crate::rules::testing::*;

    #[test]
    fn no_word_of_the_guest_is_run() {
        let facts = specialized_windows(|w| {
            w.product.system_root = Fact::Known(r"C:\Windows & shutdown".to_owned());
            let file = |path: &str| FileFacts { path: path.to_owned(), size: 1 };
            w.answer_files.files = Fact::Known(vec![file(r"\unattend.xml"), file(r"\$(Restart-Computer).xml")]);
        });
        let steps = of(&facts);
        // Between single quotes PowerShell expands nothing.
        let removes = r"Remove-Item -Force 'C:\unattend.xml', 'C:\$(Restart-Computer).xml'";
        assert!(steps.iter().any(|step| step.ends_with(removes)), "{steps:#?}");
        assert!(steps.iter().all(|step| !step.contains("shutdown\\")), "{steps:#?}");
    }

    fn of(facts: &DiskFacts) -> Vec<String> {
        steps(facts, facts.os.value().unwrap().windows.value().unwrap())
    }

    #[track_caller]
    fn in_order(steps: &[String], parts: &[&str]) {
        let mut at = steps.iter();
        for part in parts {
            assert!(at.any(|step| step.contains(part)), "no {part} in its place: {steps:#?}");
        }
        assert!(steps.iter().all(|step| !step.contains('\n') && !step.ends_with('.')), "{steps:#?}");
    }

    #[test]
    fn a_clean_guest_needs_a_copy_and_one_command() {
        let steps = of(&specialized_windows(|_| {}));
        in_order(&steps, &["keep a copy", "sysprep.exe /generalize /oobe /shutdown /mode:vm", "do not start it again"]);
        assert!(!steps.iter().any(|step| step.contains("restart until") || step.contains("manage-bde")), "{steps:#?}");
    }

    #[test]
    fn what_stands_in_the_way_comes_before() {
        let steps = of(&{
            let mut facts = specialized_windows(|w| {
                w.pending.reboot_pending = Fact::Known(true);
                w.pending.file_renames = Fact::Known(2);
                w.answer_files.files = Fact::Known(vec![FileFacts { path: "\\Windows\\Panther\\unattend.xml".to_owned(), size: 9 }]);
                w.answer_files.registry = Fact::Known("C:\\x.xml".to_owned());
                w.product.system_root = Fact::Known("D:\\Windows".to_owned());
            });
            known(&mut facts.partitions)[0].content = Fact::Known(content("BitLocker"));
            facts
        });
        let wanted = [
            "keep a copy",
            "manage-bde -off D:",
            "updates (RebootPending), files to be renamed",
            "Remove-Item -Force 'D:\\Windows\\Panther\\unattend.xml'",
            "/v UnattendFile",
            "D:\\Windows\\System32\\Sysprep\\sysprep.exe",
        ];
        in_order(&steps, &wanted);
    }
}
