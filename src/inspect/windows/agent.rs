//! The Azure VM agent.

use super::product::there;
use super::registry::known;
use crate::bytes::printable;
use crate::facts::{Fact, WindowsAgentFacts, WindowsServiceFacts};
use crate::fs::{Error, NodeKind, Tree};

/// Its services, in lower case.
const SERVICES: [&str; 2] = ["rdagent", "windowsazureguestagent"];
/// How its directories and programs begin, in lower case.
const DIRECTORY: &str = "guestagent_";

/// Learns `agent`.
pub(super) fn agent(tree: &Tree, services: &Fact<Vec<WindowsServiceFacts>>) -> WindowsAgentFacts {
    let own = |service: &&WindowsServiceFacts| SERVICES.contains(&service.name.to_ascii_lowercase().as_str());
    let registered = services.clone().map(|services| services.iter().any(|service| own(&service)));
    let directories = known(directories(tree));
    let root = known(is_directory(tree, "/WindowsAzure"));
    let images = services.value().into_iter().flatten().filter(own).filter_map(|service| service.image_path.value());
    let named: Vec<String> = directories.value().into_iter().flatten().chain(images).cloned().collect();
    WindowsAgentFacts {
        half_installed: match (&root, &registered) {
            (Fact::Known(false), _) | (_, Fact::Known(true)) => Fact::Known(false),
            (Fact::Known(true), Fact::Known(false)) => Fact::Known(true),
            (Fact::Unknown(reason), _) | (_, Fact::Unknown(reason)) => Fact::Unknown(reason.clone()),
            _ => Fact::Absent,
        },
        version: newest(&named).into(),
        registered,
        directories,
        packages: there(tree, "/WindowsAzure/Packages"),
        extensions: known(tree.names("/Packages/Plugins").map(clean)),
        extension_logs: known(tree.names("/WindowsAzure/Logs/Plugins").map(clean)),
    }
}

fn clean(names: Vec<String>) -> Vec<String> {
    names.iter().map(|name| printable(name)).collect()
}

fn is_directory(tree: &Tree, path: &str) -> Result<bool, Error> {
    Ok(tree.find(path)?.is_some_and(|found| found.node.kind == NodeKind::Directory))
}

fn directories(tree: &Tree) -> Result<Vec<String>, Error> {
    let names = tree.names("/WindowsAzure")?;
    Ok(clean(names.into_iter().filter(|name| name.to_ascii_lowercase().starts_with(DIRECTORY)).collect()))
}

/// The highest version that a name or path gives after `GuestAgent_`.
fn newest(names: &[String]) -> Option<String> {
    let versions = names.iter().filter_map(|name| {
        let lower = name.to_ascii_lowercase();
        let rest = lower.split_once(DIRECTORY)?.1;
        let text = rest.split(|c: char| !c.is_ascii_digit() && c != '.').next()?;
        let numbers: Vec<u64> = text.split('.').map(str::parse).collect::<Result<_, _>>().ok()?;
        (numbers.len() > 1).then(|| (numbers, text.to_owned()))
    });
    versions.max().map(|(_, text)| text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_version_counts() {
        let names = ["GuestAgent_2.7.41491.999_2021-01-01", "guestagent_2.7.41491.1010_x", "GuestAgent_", "GuestAgent_x", "Logs"]
            .map(str::to_owned);
        assert_eq!(newest(&names).as_deref(), Some("2.7.41491.1010"));
        let image = ["C:\\WindowsAzure\\GuestAgent_2.7.1.2_2020\\WindowsAzureGuestAgent.exe".to_owned()];
        assert_eq!(newest(&image).as_deref(), Some("2.7.1.2"));
        assert_eq!(newest(&["GuestAgent_99999999999999999999999.1".to_owned()]), None);
    }
}
