//! Whether a Windows is generalized.
//!
//! Two witnesses decide: `ImageState`, which Sysprep writes, and the values of `SYSTEM\Setup`, by which Windows knows at its start that
//! setup has to go on. Where they agree, that is the state; everything else is a Sysprep done by halves, a start after it, or an edit
//! by hand. `GeneralizationState` decides nothing: 7 stands on every machine that Sysprep is not working on, never generalized ones among them.

use crate::facts::{Fact, SetupFacts, State, WindowsFacts};

const GENERALIZED: &str = "IMAGE_STATE_GENERALIZE_RESEAL_TO_OOBE";
const COMPLETE: &str = "IMAGE_STATE_COMPLETE";
/// What a generalized Windows runs at its start.
pub(super) const DEPLOY: &str = "oobe\\windeploy.exe";

/// Whether a command of Setup's is the one that deploys what Sysprep has generalized.
pub(super) fn deploys(command: &str) -> bool {
    command.to_ascii_lowercase().replace('/', "\\").contains(DEPLOY)
}

/// What the values of `SYSTEM\Setup` say.
#[derive(Debug, PartialEq, Eq)]
enum Setup {
    /// It runs at the next start.
    Pending,
    /// It is over.
    Clear,
    /// They do not agree with each other.
    Mixed,
}

/// Decides from the facts of a Windows.
pub(super) fn state(facts: &WindowsFacts) -> (Fact<State>, Vec<String>) {
    let marks = &facts.sysprep;
    // Without the registry's value, the file that Setup keeps beside it speaks.
    let (image, place) = match (&marks.image_state, &marks.image_state_file) {
        (Fact::Unknown(reason), _) => return (Fact::Unknown(reason.clone()), vec![]),
        (Fact::Known(state), _) => (state, "SOFTWARE\\Microsoft\\Windows\\CurrentVersion\\Setup\\State"),
        (Fact::Absent, Fact::Known(state)) => (state, "\\Windows\\Setup\\State\\State.ini"),
        (Fact::Absent, Fact::Absent) => return (Fact::unknown("neither the registry nor State.ini has an ImageState"), vec![]),
        (Fact::Absent, Fact::Unknown(reason)) => return (Fact::Unknown(reason.clone()), vec![]),
    };
    let (setup, setup_words) = match setup(&marks.setup) {
        Ok(setup) => setup,
        Err(reason) => return (Fact::unknown(reason), vec![]),
    };
    let mut evidence = vec![format!("ImageState is {image} ({place})"), setup_words];
    let state = match (image.as_str(), &setup) {
        (GENERALIZED, Setup::Pending) => State::Generalized,
        (COMPLETE, Setup::Clear) => State::Specialized,
        _ => {
            evidence.push(clash(image, &setup));
            State::Inconsistent
        }
    };
    evidence.extend(details(facts, state, place));
    (Fact::Known(state), evidence)
}

/// What `SYSTEM\Setup` says, and its values in words.
fn setup(facts: &SetupFacts) -> Result<(Setup, String), String> {
    let unknown = |fact: &Fact<u32>| fact.reason().map(str::to_owned);
    let numbers = [&facts.in_progress, &facts.kind, &facts.oobe_in_progress];
    if let Some(reason) = numbers.into_iter().find_map(unknown).or_else(|| facts.command.reason().map(str::to_owned)) {
        return Err(reason);
    }
    let number = |fact: &Fact<u32>| fact.value().copied();
    let command = facts.command.value().map(String::as_str).unwrap_or_default();
    let deploys = deploys(command);
    let (progress, kind, oobe) = (number(&facts.in_progress), number(&facts.kind), number(&facts.oobe_in_progress));
    // SetupType decides whether the command runs: without it, what CmdLine names is left over and does nothing. OOBEInProgress is told to
    // programs and does not start Setup, so that a 0 does not keep it from running.
    let setup = if progress == Some(1) && kind == Some(2) && deploys {
        Setup::Pending
    } else if progress.unwrap_or(0) == 0 && kind.unwrap_or(0) == 0 && oobe.unwrap_or(0) == 0 {
        Setup::Clear
    } else {
        Setup::Mixed
    };
    let shown = |value: Option<u32>| value.map_or("not set".to_owned(), |value| value.to_string());
    let command = if command.trim().is_empty() { "empty" } else { command };
    let words = format!(
        "SYSTEM\\Setup: SystemSetupInProgress is {}, SetupType is {}, OOBEInProgress is {}, CmdLine is {command}",
        shown(progress),
        shown(kind),
        shown(oobe)
    );
    Ok((setup, words))
}

/// Why the witnesses do not make a state.
fn clash(image: &str, setup: &Setup) -> String {
    match (image, setup) {
        (GENERALIZED, Setup::Clear) => {
            "Sysprep has generalized it, but setup does not run at the next start: it was started since, or edited by hand".to_owned()
        }
        (GENERALIZED, Setup::Mixed) => {
            "Sysprep has generalized it, but the values of SYSTEM\\Setup do not all say that setup runs at the next start".to_owned()
        }
        (COMPLETE, _) => "it is installed, but SYSTEM\\Setup says that setup is to run at the next start".to_owned(),
        ("IMAGE_STATE_UNDEPLOYABLE", _) => {
            "a phase of setup or Sysprep did not finish: an image in this state cannot be deployed; missing: a run of Sysprep that succeeds"
                .to_owned()
        }
        ("IMAGE_STATE_GENERALIZE_RESEAL_TO_AUDIT" | "IMAGE_STATE_SPECIALIZE_RESEAL_TO_AUDIT", _) => {
            "it starts in audit mode, where Azure's provisioning never ends; missing: Sysprep with /generalize /oobe".to_owned()
        }
        ("IMAGE_STATE_SPECIALIZE_RESEAL_TO_OOBE", _) => {
            "Sysprep ran without /generalize: it keeps the identity of one machine and still waits for setup".to_owned()
        }
        _ => format!("{image} is no state that Windows documents"),
    }
}

/// What else speaks for or against the state, and decides nothing.
fn details(facts: &WindowsFacts, state: State, place: &str) -> Vec<String> {
    let marks = &facts.sysprep;
    let mut evidence = Vec::new();
    if let (Fact::Known(one), Fact::Known(other)) = (&marks.image_state, &marks.image_state_file)
        && one != other
    {
        evidence.push(format!("\\Windows\\Setup\\State\\State.ini says {other}, {place} says {one}"));
    }
    let running: Vec<&str> =
        marks.child_completion.value().into_iter().flatten().filter(|(_, value)| **value == 1).map(|(name, _)| name.as_str()).collect();
    if !running.is_empty() {
        evidence.push(format!("SYSTEM\\Setup\\Status\\ChildCompletion: {} had not finished", running.join(", ")));
    }
    let tag = marks.succeeded_tag.value() == Some(&true);
    match state {
        State::Inconsistent => {
            if !tag && marks.succeeded_tag.value().is_some() {
                evidence.push("\\Windows\\System32\\Sysprep\\Sysprep_succeeded.tag is missing".to_owned());
            }
            if let Some(log) = marks.error_log.value()
                && let Some(last) = log.errors.last()
            {
                let codes: Vec<&str> = log.errors.iter().flat_map(|error| &error.codes).map(String::as_str).collect();
                let named = codes.last().map(|code| format!(", code {code}")).unwrap_or_default();
                let count = if log.error_count == 1 { "an error".to_owned() } else { format!("{} errors", log.error_count) };
                evidence.push(format!("{} has {count}{named}, the last: {}", log.path, last.message));
            }
        }
        State::Generalized if !tag && marks.succeeded_tag.value().is_some() => {
            evidence.push("\\Windows\\System32\\Sysprep\\Sysprep_succeeded.tag is missing".to_owned());
        }
        State::Generalized => {}
        State::Specialized => {
            if let Some(name) = facts.name.computer_name.value() {
                evidence.push(format!("the computer name is {name} (SYSTEM\\…\\Control\\ComputerName)"));
            }
        }
    }
    for (name, hive) in [("SYSTEM", &facts.hives.system), ("SOFTWARE", &facts.hives.software)] {
        if let Some(hive) = hive.value()
            && hive.dirty
        {
            let how = hive.recovery.value().map(|words| format!(": {words}")).unwrap_or_default();
            evidence.push(format!("the hive {name} was not closed cleanly{how}"));
        }
    }
    evidence
}
