//! What was typed on the machine: L-53. In every home that stays, those of kept accounts too: the next machine is not where it was typed.

use super::accounts::users;
use crate::fs::{Error, NodeKind};
use crate::generalize::{Draft, Operation, Sample, System};
use crate::inspect::linux;

pub(super) static HISTORIES: Operation = Operation {
    name: "histories",
    requirement: "L-53",
    summary: "remove histories of shells and other programs in all homes",
    default: true,
    plan,
    sample: Sample {
        before: &[
            ("/etc/passwd", "root:x:0:0:root:/root:/bin/bash\npostgres:x:26:26::/var/lib/pgsql:/bin/bash\n"),
            ("/root/.bash_history", "mysql -psecret\n"),
            ("/root/.local/share/fish/fish_history", "- cmd: x\n"),
            ("/root/.bashrc", "x\n"),
            ("/var/lib/pgsql/.psql_history", "select 1;\n"),
        ],
        after: &[("/root/.bash_history", None), ("/root/.local/share/fish/fish_history", None), ("/var/lib/pgsql/.psql_history", None)],
    },
};

/// Histories, below each home, beside those that facts tell of.
const MORE: [&str; 14] = [
    ".irb_history",
    ".ksh_history",
    ".local/share/fish/fish_history",
    ".local/share/nano/search_history",
    ".local/share/powershell/PSReadLine/ConsoleHost_history.txt",
    ".local/state/lesshst",
    ".local/state/python_history",
    ".mongodb/mongosh/mongosh_repl_history",
    ".php_history",
    ".sh_history",
    ".tcsh_history",
    ".local/state/nvim/shada/main.shada",
    ".wget-hsts",
    ".zhistory",
];

fn plan(system: &System<'_>, draft: &mut Draft<'_>) -> Result<(), Error> {
    for home in homes(system, draft)? {
        for name in linux::HISTORIES.iter().chain(&MORE) {
            let path = format!("{home}/{name}");
            if system.tree.find_link(&path)?.is_some_and(|found| found.node.kind != NodeKind::Directory) {
                draft.remove(&path, "what was typed on this machine, with secrets perhaps, would be on every other")?;
            }
        }
    }
    Ok(())
}

/// Homes of all accounts, and what stands below `/home` without one.
pub(super) fn homes(system: &System<'_>, draft: &Draft<'_>) -> Result<Vec<String>, Error> {
    let mut homes: Vec<String> = users(system)?.iter().map(|user| user.home.clone()).filter(|home| home.starts_with('/')).collect();
    homes.extend(draft.glob("/home/*")?);
    homes.push("/root".to_owned());
    for home in &mut homes {
        home.truncate(home.trim_end_matches('/').len());
    }
    homes.sort();
    homes.dedup();
    Ok(homes)
}
