//! What makes a template of a guest: what changes and why, what is to be decided, what only the running guest can do.

use super::paint::{Ink, Page, Span, count, glue, natural_width, plain, short};
use crate::generalize::{Action, Change, Operation};
use crate::report::{Generalizable, Generalization, Look};
use crate::trim::Trimmed;

/// Lines below an operation's name unless all are asked for.
const SHOWN: usize = 4;
/// Columns that a summary needs to stand beside its operation.
const SUMMARY: usize = 30;

/// `generalize`.
#[must_use]
pub fn generalize(generalization: &Generalization<'_>, trim: &[Trimmed], look: &Look) -> String {
    let mut page = Page::new(look);
    let (ink, verdict) = match generalization.verdict() {
        Generalizable::Possible => (Ink::Green, "can be generalized offline"),
        Generalizable::NothingToDo => (Ink::Green, "nothing is left to generalize"),
        Generalizable::ToDecide => (Ink::Yellow, "TO BE DECIDED before it is generalized"),
        Generalizable::InGuest => (Ink::Red, "must be generalized in the guest"),
    };
    page.flow(&[Ink::Bold.text(generalization.disk), plain(": ")], 2, &[ink.text(verdict), plain("; nothing was written")]);
    let changes = &generalization.planned.changes;
    let mut parts: Vec<String> = generalization.system.iter().map(|system| (*system).to_owned()).collect();
    if !changes.is_empty() {
        let operations = generalization.operations().filter(|(one, _)| generalization.changes(one.name).next().is_some()).count();
        parts.push(count(operations, "operation"));
        parts.push(count(changes.len(), "change"));
    }
    if !parts.is_empty() {
        page.flow(&[plain("  ")], 2, &[plain(parts.iter().map(glue).collect::<Vec<_>>().join(" · "))]);
    }
    body(&mut page, generalization);
    trimmed(&mut page, trim);
    untrimmed(&mut page, generalization);
    next(&mut page, generalization);
    page.text()
}

/// Why it does not go on, in a clause.
pub(super) fn hindrance(generalization: &Generalization<'_>) -> &'static str {
    match generalization.verdict() {
        Generalizable::InGuest => "it must be generalized in the guest",
        _ => "before it is generalized, this is to be decided",
    }
}

/// Everything about the guest, what stands in the way first.
pub(super) fn body(page: &mut Page<'_>, generalization: &Generalization<'_>) {
    if let Some(guest) = generalization.in_guest {
        page.blank();
        page.flow(&[], 0, &[plain(&guest.why)]);
        if !guest.steps.is_empty() {
            page.heading(Ink::Bold, "In the guest, in this order");
        }
        for (number, step) in (1_usize..).zip(&guest.steps) {
            let lead = format!("  {number}. ");
            let hang = lead.chars().count();
            page.flow(&[plain(lead)], hang, &[plain(step)]);
        }
        return;
    }
    if !generalization.planned.problems.is_empty() {
        page.heading(Ink::Bold, "To be decided");
    }
    for problem in &generalization.planned.problems {
        let lead = [plain("  "), Ink::Yellow.text(problem.operation), plain(" "), Ink::Dim.text(problem.requirement), plain("  ")];
        page.flow(&lead, 4, &[plain(&problem.message)]);
        for remedy in &problem.remedies {
            page.flow(&[plain("    ")], 6, &[Ink::Cyan.text(remedy)]);
        }
    }
    changes(page, generalization);
    remaining(page, generalization);
}

/// What changes, operation by operation.
pub(super) fn changes(page: &mut Page<'_>, generalization: &Generalization<'_>) {
    for (operation, _) in generalization.operations() {
        let changes: Vec<&Change> = generalization.changes(operation.name).collect();
        if changes.is_empty() {
            continue;
        }
        page.blank();
        page.line(&[Ink::Bold.text(operation.name), plain("  "), Ink::Dim.text(operation.requirement)]);
        let mut lines: Vec<Line<'_>> = Vec::new();
        for (place, first) in changes.iter().enumerate() {
            if changes.iter().take(place).any(|earlier| earlier.why == first.why) {
                continue;
            }
            lines.push(Line::Why(&first.why));
            lines.extend(changes.iter().filter(|change| change.why == first.why).map(|change| Line::Change(change)));
        }
        if !page.verbose() && lines.len() > SHOWN {
            lines.truncate(SHOWN.saturating_sub(1));
            // A reason says nothing without what it is the reason of.
            if matches!(lines.last(), Some(Line::Why(_))) {
                lines.pop();
            }
        }
        let mut shown = 0_usize;
        for line in lines {
            match line {
                Line::Why(why) => page.flow(&[plain("  ")], 2, &[Ink::Dim.text(why)]),
                Line::Change(change) => {
                    shown = shown.saturating_add(1);
                    page.flow(&[plain("  - ")], 6, &[plain(glue(&change.path)), plain("  "), said(change.action)]);
                }
            }
        }
        let more = changes.len().saturating_sub(shown);
        if more > 0 {
            page.flow(&[plain("  - ")], 4, &[Ink::Dim.text(format!("and {more} more; -v shows them"))]);
        }
    }
}

/// What is told below an operation's name.
enum Line<'a> {
    Why(&'a str),
    Change(&'a Change),
}

fn said(action: Action) -> Span {
    let (word, names) = crate::prepare::action(action);
    match names {
        Some(names) if names > 1 => plain(glue(format!("\u{a0}{word}, {names} names"))),
        _ => plain(format!("\u{a0}{word}")),
    }
}

/// What only the running guest can do.
pub(super) fn remaining(page: &mut Page<'_>, generalization: &Generalization<'_>) {
    if generalization.planned.remaining.is_empty() {
        return;
    }
    page.heading(Ink::Bold, "Left for the running guest");
    for left in &generalization.planned.remaining {
        page.flow(&[plain("  "), plain(left.operation), plain("  ")], 4, &[plain(&left.message)]);
        for command in &left.commands {
            page.flow(&[plain("    ")], 6, &[Ink::Cyan.text(command)]);
        }
    }
}

/// What trimming leaves out.
pub(super) fn trimmed(page: &mut Page<'_>, trimmed: &[Trimmed]) {
    if trimmed.is_empty() {
        return;
    }
    page.heading(Ink::Bold, "What the guest's file systems call free");
    let row = |one: &Trimmed| {
        let said = match &one.free {
            Ok(_) if one.dropped_bytes > 0 => {
                plain(format!("{} free; {} that are not zero are left out", short(one.free_bytes), short(one.dropped_bytes)))
            }
            Ok(_) => plain(format!("{} free, all zero", short(one.free_bytes))),
            Err(reason) => plain(format!("kept as it is: {reason}")),
        };
        vec![plain(&one.region), Ink::Dim.text(&one.kind), said]
    };
    let rows: Vec<Vec<Span>> = trimmed.iter().map(row).collect();
    page.table(2, &[], &rows);
}

/// That what is free is kept, where a template is made and that was asked for.
pub(super) fn untrimmed(page: &mut Page<'_>, generalization: &Generalization<'_>) {
    if generalization.trims || !generalization.verdict().goes() {
        return;
    }
    page.blank();
    let text = "Free space stays as it is (--no-trim): what was removed, now or earlier, can still be found in it";
    page.flow(&[], 0, &[Ink::Yellow.text(text)]);
}

/// The command that goes on from here.
pub(super) fn next(page: &mut Page<'_>, generalization: &Generalization<'_>) {
    let command: Vec<String> = generalization.command.iter().map(|word| quoted(word)).collect();
    if command.is_empty() {
        return;
    }
    match generalization.verdict() {
        Generalizable::InGuest => {}
        Generalizable::Possible | Generalizable::NothingToDo => {
            page.blank();
            let words: Vec<String> = command.iter().cloned().chain(["-o out/".to_owned()]).collect();
            page.command(&Ink::Dim.text("to write it: "), &words);
            let also =
                "The disk is then judged as check does it; whether something else stands in the way is told by --dry-run in place of -o.";
            page.flow(&[], 0, &[Ink::Dim.text(also)]);
        }
        Generalizable::ToDecide => decide(page, generalization, &command),
    }
}

/// What is to be done before it goes on, and the commands that decide what options can decide.
fn decide(page: &mut Page<'_>, generalization: &Generalization<'_>, command: &[String]) {
    let is_option = |remedy: &&String| remedy.starts_with("--");
    let problems = &generalization.planned.problems;
    let (options, by_hand): (Vec<_>, Vec<_>) =
        problems.iter().partition(|problem| problem.remedies.first().is_some_and(|one| is_option(&one)));
    page.blank();
    if !by_hand.is_empty() {
        let mut names: Vec<&str> = by_hand.iter().map(|problem| problem.operation).collect();
        names.dedup();
        let names = names.join(", ");
        page.flow(&[], 0, &[plain(format!("See to this first, in the machine, as said above: {names}. Then type"))]);
        if options.is_empty() {
            page.command(&plain("  "), command);
            return;
        }
    } else {
        page.flow(&[], 0, &[plain("Decide for each, as in")]);
    }
    // The first option of each, and the second: each by itself is a command that can be run.
    for place in 0..2 {
        let chosen = options.iter().map(|problem| problem.remedies.get(place).filter(is_option));
        if let Some(chosen) = chosen.collect::<Option<Vec<&String>>>() {
            let words: Vec<String> = command.iter().chain(chosen).cloned().collect();
            page.command(&plain("  "), &words);
        }
    }
}

/// A word as a POSIX shell reads it.
pub(super) fn quoted(word: &str) -> String {
    let tame = |c: char| c.is_alphanumeric() || matches!(c, '/' | '.' | '_' | '-' | '+' | ',' | ':' | '@' | '%' | '=');
    if !word.is_empty() && word.chars().all(tame) { word.to_owned() } else { format!("'{}'", word.replace('\'', "'\\''")) }
}

/// `generalize --list-operations`.
#[must_use]
pub fn operations(operations: &[&Operation], look: &Look) -> String {
    let mut page = Page::new(look);
    let head = |one: &&Operation| {
        let default = if one.default { Ink::Green.text("default") } else { Ink::Dim.text("on request") };
        vec![Ink::Bold.text(one.name), default, Ink::Dim.text(one.requirement)]
    };
    let heads: Vec<Vec<Span>> = operations.iter().map(head).collect();
    if natural_width(0, &heads).saturating_add(2).saturating_add(SUMMARY) <= page.width() {
        let with = |(mut row, one): (Vec<Span>, &&Operation)| {
            row.push(plain(one.summary));
            row
        };
        let rows: Vec<Vec<Span>> = heads.into_iter().zip(operations).map(with).collect();
        page.table(0, &[], &rows);
        return page.text();
    }
    for (row, one) in super::paint::padded(&heads).iter().zip(operations) {
        page.line(row);
        page.flow(&[plain("    ")], 4, &[plain(one.summary)]);
    }
    page.text()
}

#[cfg(test)]
mod tests {
    use super::super::sample::PLAIN;
    use super::*;
    use crate::generalize::{OPERATIONS, Planned, Problem, Remaining, Wishes};
    use crate::report::InGuest;

    const WHY: &str = "every machine made from the template would have the same identity";

    fn planned(paths: &[(&str, Action)]) -> Planned {
        let first = OPERATIONS.first().unwrap();
        let (operation, requirement) = (first.name, first.requirement);
        let change = |(path, action): &(&str, Action)| Change {
            operation,
            requirement,
            path: (*path).to_owned(),
            action: *action,
            why: WHY.to_owned(),
        };
        Planned { changes: paths.iter().map(change).collect(), ..Planned::default() }
    }

    fn told(planned: &Planned, in_guest: Option<&InGuest>, trim: &[Trimmed], verbose: bool) -> String {
        let wishes = Wishes::default();
        let command = ["vhdkit", "generalize", "my disk.vhd"].map(str::to_owned);
        let one = Generalization {
            trims: true,
            disk: "my disk.vhd",
            system: Some("Debian GNU/Linux 12 (bookworm)"),
            wishes: &wishes,
            planned,
            in_guest,
            command: &command,
        };
        let text = generalize(&one, trim, &Look { verbose, ..PLAIN });
        assert!(text.lines().all(|line| line.chars().count() <= 80 && line.trim_end() == line), "{text}");
        text
    }

    #[test]
    fn what_can_be_done_is_told_operation_by_operation() {
        let paths = [
            ("/etc/a", Action::Truncated),
            ("/etc/\u{1b}[31mb", Action::Removed { names: 1 }),
            ("/var/c", Action::Emptied { names: 1204 }),
            ("/d", Action::Rewritten),
            ("/e", Action::Created),
            ("/f", Action::Removed { names: 3 }),
        ];
        let trim = [
            Trimmed {
                region: "partition 1".to_owned(),
                kind: "ext4".to_owned(),
                free: Ok(vec![]),
                free_bytes: 3 << 30,
                dropped_bytes: 5 << 20,
            },
            Trimmed {
                region: "partition 15".to_owned(),
                kind: "vfat".to_owned(),
                free: Err("its free clusters are not known".to_owned()),
                free_bytes: 0,
                dropped_bytes: 0,
            },
        ];
        let name = OPERATIONS.first().unwrap().name;
        let text = told(&planned(&paths), None, &trim, false);
        let wanted = format!(
            "my disk.vhd: can be generalized offline; nothing was written\n  Debian GNU/Linux 12 (bookworm) · 1 operation · 6 changes\n\n{name}  {}\n  {WHY}\n",
            OPERATIONS.first().unwrap().requirement
        );
        assert!(text.starts_with(&wanted), "{text}");
        for words in ["\n  - /etc/a  truncated\n", "\n  - and 4 more; -v shows them\n"] {
            assert!(text.contains(words), "no {words:?} in {text}");
        }
        assert!(text.contains("partition 1   ext4  3 GiB free; 5 MiB that are not zero are left out"), "{text}");
        assert!(text.contains("partition 15  vfat  kept as it is: its free clusters are not known"), "{text}");
        assert!(text.contains("\nto write it: vhdkit generalize 'my disk.vhd' -o out/\nThe disk is then judged"), "{text}");
        assert!(!text.contains('\u{1b}'), "{text}");
        let all = told(&planned(&paths), None, &trim, true);
        assert!(
            all.contains("\n  - /var/c  emptied, 1204 names\n") && all.contains("\n  - /f  removed, 3 names\n") && !all.contains("more;"),
            "{all}"
        );
        assert!(told(&planned(&paths[..3]), None, &[], false).contains("\n  - /var/c  emptied, 1204 names\n"));
        assert!(
            told(&Planned::default(), None, &[], false).starts_with("my disk.vhd: nothing is left to generalize; nothing was written\n")
        );
    }

    #[test]
    fn what_is_to_be_decided_comes_first_with_commands() {
        let mut planned = planned(&[("/etc/a", Action::Truncated)]);
        for name in ["ada", "bob"] {
            planned.problems.push(Problem {
                operation: "user-account",
                requirement: "LG-04",
                message: format!("the account {name} can log in with a password that every machine would have"),
                remedies: vec![format!("--remove-user {name}"), format!("--keep-user {name}")],
            });
        }
        planned.remaining.push(Remaining {
            operation: "boot-loader",
            message: "the menu keeps its old entries".to_owned(),
            commands: vec!["update-grub".to_owned()],
        });
        let text = told(&planned, None, &[], false);
        let order: Vec<usize> =
            ["TO BE DECIDED", "\nTo be decided\n", "/etc/a", "\nLeft for the running guest\n", "update-grub", "Decide for each"]
                .iter()
                .map(|words| text.find(words).unwrap_or_else(|| panic!("no {words:?} in {text}")))
                .collect();
        assert!(order.is_sorted(), "{text}");
        assert!(text.contains("\n  vhdkit generalize 'my disk.vhd' --remove-user ada --remove-user bob\n"), "{text}");
        assert!(text.contains("\n  vhdkit generalize 'my disk.vhd' --keep-user ada --keep-user bob\n"), "{text}");
        // What no option decides comes before the command that decides the rest.
        planned.problems[0] =
            Problem { operation: "ssh-host-keys", remedies: vec!["Install cloud-init".to_owned()], ..planned.problems[0].clone() };
        let text = told(&planned, None, &[], false);
        assert!(text.contains("\nSee to this first, in the machine, as said above: ssh-host-keys. Then type\n"), "{text}");
        assert!(text.ends_with("' --remove-user bob\n  vhdkit generalize 'my disk.vhd' --keep-user bob\n"), "{text}");
        planned.problems.truncate(1);
        let text = told(&planned, None, &[], false);
        assert!(text.ends_with(" Then type\n  vhdkit generalize 'my disk.vhd'\n"), "{text}");
    }

    #[test]
    fn what_the_guest_must_do_is_told_alone() {
        let guest =
            InGuest { why: "partition 1 (btrfs) cannot be changed offline: no writer".to_owned(), steps: vec!["poweroff".to_owned(); 11] };
        let text = told(&planned(&[("/etc/a", Action::Truncated)]), Some(&guest), &[], false);
        assert!(text.starts_with("my disk.vhd: must be generalized in the guest; nothing was written\n"), "{text}");
        assert!(text.contains("\n  1. poweroff\n") && text.contains("\n  11. poweroff\n") && !text.contains("/etc/a"), "{text}");
    }
}
