//! Marks of Sysprep and Setup.

use super::product::there;
use super::registry::{Registry, optional, windows_path};
use super::residue::excerpt;
use crate::bytes::{MIB, int_usize, printable, program_of, read_vec};
use crate::facts::{Fact, SetupErrorFacts, SetupErrorLogFacts, SetupFacts, SysprepFacts, Unknown};
use crate::fs::{Error, Tree};
use crate::guest::windows::{setup_log, text};
use std::collections::BTreeMap;

const SETUP: &str = "SYSTEM\\Setup";
/// Bytes of a log, from its end, that are looked at.
const MOST_LOG: u64 = MIB;
/// Error lines that are told of.
const MOST_ERRORS: usize = 10;
/// Programs of `ChildCompletion` at most.
const MOST_CHILDREN: usize = 64;

/// What Setup runs, as it is told: its program alone, since people put passwords into what follows; and the one that deploys, where another
/// starts it.
fn told(command: &str) -> String {
    let program = program_of(command);
    if super::state::deploys(command) && !super::state::deploys(&program) { format!("{program} {}", super::state::DEPLOY) } else { program }
}

/// Learns `sysprep`.
pub(super) fn sysprep(registry: &Registry, tree: &Tree) -> SysprepFacts {
    const STATUS: &str = "SYSTEM\\Setup\\Status\\SysprepStatus";
    let setup = |name: &str| registry.dword(SETUP, name);
    SysprepFacts {
        image_state: registry.full_text("SOFTWARE\\Microsoft\\Windows\\CurrentVersion\\Setup\\State", "ImageState"),
        image_state_file: optional(image_state_file(tree)),
        generalization_state: registry.dword(STATUS, "GeneralizationState"),
        cleanup_state: registry.dword(STATUS, "CleanupState"),
        setup: SetupFacts {
            in_progress: setup("SystemSetupInProgress"),
            kind: setup("SetupType"),
            command: registry.text(SETUP, "CmdLine").map(|command| told(&command)),
            oobe_in_progress: setup("OOBEInProgress"),
            phase: setup("SetupPhase"),
            restart: setup("RestartSetup"),
        },
        child_completion: children(registry),
        succeeded_tag: there(tree, "/Windows/System32/Sysprep/Sysprep_succeeded.tag"),
        error_log: optional(error_log(tree)),
        skip_rearm: registry.dword("SOFTWARE\\Microsoft\\Windows NT\\CurrentVersion\\SoftwareProtectionPlatform", "SkipRearm"),
        machine_guid: registry
            .value("SOFTWARE\\Microsoft\\Cryptography", "MachineGuid")
            .map(|value| value.and_then(|value| value.text()).is_some_and(|text| !text.trim().is_empty()))
            .into(),
        clone_tag: match registry.texts(SETUP, "CloneTag") {
            Fact::Known(texts) => texts.into_iter().next().filter(|text| !text.is_empty()).into(),
            Fact::Absent => Fact::Absent,
            Fact::Unknown(reason) => Fact::Unknown(reason),
        },
    }
}

fn image_state_file(tree: &Tree) -> Result<Option<String>, Error> {
    let Some(bytes) = tree.read_up_to("/Windows/Setup/State/State.ini", MIB)? else { return Ok(None) };
    let state = text::ini_value(&text::decode(&bytes), "State", "ImageState");
    Ok(state.map(|state| excerpt(&state, 200)).filter(|state| !state.is_empty()))
}

/// Values of `ChildCompletion`; absent where there is no such key.
fn children(registry: &Registry) -> Fact<BTreeMap<String, u32>> {
    let read = || -> Result<Option<BTreeMap<String, u32>>, Unknown> {
        const PATH: &str = "SYSTEM\\Setup\\Status\\ChildCompletion";
        if registry.key(PATH)?.is_none() {
            return Ok(None);
        }
        let values = registry.values(PATH)?;
        Ok(Some(values.iter().take(MOST_CHILDREN).filter_map(|value| Some((printable(&value.name), value.dword()?))).collect()))
    };
    optional(read())
}

fn error_log(tree: &Tree) -> Result<Option<SetupErrorLogFacts>, Error> {
    const PATH: &str = "/Windows/System32/Sysprep/Panther/setuperr.log";
    let Some(bytes) = tree.open(PATH)? else { return Ok(None) };
    let size = bytes.size();
    let text = if size <= MOST_LOG {
        text::decode(&read_vec(&*bytes, 0, int_usize(size))?)
    } else {
        // The end, which in UTF-16 begins with a whole character, after the mark that tells the encoding.
        let start = size.saturating_sub(MOST_LOG) & !1;
        let mut end = read_vec(&*bytes, 0, 2)?;
        if end != [0xff, 0xfe] && end != [0xfe, 0xff] {
            end.clear();
        }
        end.extend(read_vec(&*bytes, start, int_usize(size.saturating_sub(start)))?);
        text::decode(&end)
    };
    let (error_count, lines) = setup_log::errors(&text, MOST_ERRORS);
    let errors = lines.into_iter().map(|line| SetupErrorFacts { codes: line.codes, message: excerpt(&line.message, 200) }).collect();
    Ok(Some(SetupErrorLogFacts { path: windows_path(PATH), size, error_count, errors }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_setup_runs_is_told_without_arguments() {
        for (command, shown) in [
            ("oobe\\windeploy.exe", "oobe\\windeploy.exe"),
            ("oobe\\windeploy.exe /x secret", "oobe\\windeploy.exe …"),
            ("C:\\Windows\\System32\\OOBE/windeploy.exe", "C:\\Windows\\System32\\OOBE/windeploy.exe"),
            ("cmd.exe /c net user a secret & oobe\\windeploy.exe", "cmd.exe … oobe\\windeploy.exe"),
            ("cmd.exe /k secret", "cmd.exe …"),
            ("", ""),
        ] {
            assert_eq!(told(command), shown);
            assert_eq!(super::super::state::deploys(shown), super::super::state::deploys(command), "{command}");
        }
    }
}
