//! Whether there is one Linux on the disks that can be generalized offline, and what to do where there is not.

use crate::facts::{DiskFacts, Fact, OsFamily, OsRoot};
use crate::inspect::{Guest, Inside};
use crate::rules::{self, Distribution, generalize_steps, generalize_windows};

/// Directories that decide; what is mounted below others, as `/data`, may be on disks that were not given.
const OWN: [&str; 12] = ["/bin", "/boot", "/etc", "/home", "/lib", "/opt", "/root", "/sbin", "/srv", "/tmp", "/usr", "/var"];

/// Why nothing is generalized.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unsuitable {
    /// Nothing that is known is installed.
    #[error(
        "no operating system was found on the disk, so that there is nothing to generalize; give the OS disk, and data disks with --data"
    )]
    NoSystem,
    /// A Windows, which only Sysprep generalizes.
    #[error(
        "the disk holds a Windows, which only its own Sysprep can generalize, and only while it runs. Do this in the machine, in this \
         order:\n{}",
        numbered(.steps)
    )]
    Windows {
        /// What to do, in this order.
        steps: Vec<String>,
    },
    /// Several installations.
    #[error(
        "several systems are installed ({}), and which of them is to become the template cannot be told; take the disks or partitions of the \
         others away on a copy, and try again",
        .systems.join("; ")
    )]
    Several {
        /// Each in a few words.
        systems: Vec<String>,
    },
    /// Something that decides cannot be read.
    #[error("what is installed cannot be told for certain, so that nothing is changed: {reason}")]
    Unreadable {
        /// Why, without a full stop.
        reason: String,
    },
    /// A system that is an image of its own, which Ignition sets up.
    #[error("{name} is set up by Ignition at a first boot, which is asked for in its boot partition. Do this in the machine:\n{}", numbered(.steps))]
    ImageBased {
        /// Its name.
        name: String,
        /// What to do, in this order.
        steps: Vec<String>,
    },
}

fn numbered(steps: &[String]) -> String {
    let lines: Vec<String> = steps.iter().enumerate().map(|(place, step)| format!("  {}. {step}", place.saturating_add(1))).collect();
    lines.join("\n")
}

/// The one Linux that can be generalized offline. `disk` are the facts of the first disk, which `inside` was learnt of.
///
/// # Errors
///
/// Why there is none, with what to do.
pub fn suitable<'a>(inside: &'a Inside, disk: &DiskFacts) -> Result<&'a Guest, Unsuitable> {
    let os = match &inside.os {
        Fact::Known(os) => os,
        Fact::Absent => return Err(Unsuitable::NoSystem),
        Fact::Unknown(reason) => return Err(Unsuitable::Unreadable { reason: reason.0.clone() }),
    };
    let [guest] = inside.guests.as_slice() else {
        let systems = inside.guests.iter().map(|guest| {
            let family = if guest.family == OsFamily::Linux { "a Linux" } else { "a Windows" };
            format!("{family} on {} of disk {}", guest.root, guest.disk.saturating_add(1))
        });
        return Err(Unsuitable::Several { systems: systems.collect() });
    };
    if let Some(windows) = os.windows.value() {
        return Err(Unsuitable::Windows { steps: generalize_windows::steps(disk, windows) });
    }
    let Some(linux) = os.linux.value() else {
        return Err(Unsuitable::Unreadable {
            reason: os.linux.reason().unwrap_or("the system is neither a Linux nor a Windows").to_owned(),
        });
    };
    if Distribution::of(os) == Distribution::Flatcar {
        let name = os.name.value().map_or("The system", String::as_str).to_owned();
        return Err(Unsuitable::ImageBased { name, steps: generalize_steps(&rules::Guest { os, linux }) });
    }
    let decides =
        |at: &str| at == "/" || OWN.iter().any(|own| at.strip_prefix(own).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')));
    if let Some(missing) = guest.tree.mounts().find(|mount| mount.fs.kind() == "unknown" && decides(&mount.at)) {
        let root = match os.root.value() {
            Some(OsRoot::Volume(name)) => format!(" of the system on {name}"),
            Some(OsRoot::Partition(number)) => format!(" of the system on partition {number}"),
            None => String::new(),
        };
        let reason = format!(
            "what is mounted at {}{root} ({}) is not among the disks given, or cannot be read; give its disk with --data",
            missing.at, missing.from
        );
        return Err(Unsuitable::Unreadable { reason });
    }
    Ok(guest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::OsFacts;
    use crate::fs::testing::tree;
    use crate::inspect::{Place, of_tree};
    use crate::rules::testing::{healthy_os, windows};

    const LINUX: &[(&str, &str)] = &[("/etc/os-release", "ID=debian\n"), ("/etc/passwd", "root:x:0:0::/root:/bin/sh\n")];

    fn inside(guests: &[OsFamily], os: Fact<OsFacts>) -> Inside {
        let guest = |family: &OsFamily| Guest { family: *family, disk: 0, root: Place::Partition(1), subvolume: None, tree: tree(LINUX) };
        Inside {
            regions: vec![],
            guests: guests.iter().map(guest).collect(),
            volumes: Fact::Absent,
            volume_groups: Fact::Absent,
            os,
            incomplete: false,
        }
    }

    fn refused(inside: &Inside) -> String {
        suitable(inside, &windows(|_| {})).unwrap_err().to_string()
    }

    #[test]
    fn one_linux_and_nothing_else() {
        let linux = || Fact::Known(of_tree(&tree(LINUX)));
        let one = inside(&[OsFamily::Linux], linux());
        assert!(suitable(&one, &healthy_os()).is_ok());
        assert!(refused(&inside(&[OsFamily::Linux, OsFamily::Windows], linux())).contains("a Linux on partition 1 of disk 1; a Windows"));
        assert!(refused(&inside(&[], Fact::Absent)).contains("no operating system"));
        assert!(refused(&inside(&[], Fact::unknown("partition 1: LUKS"))).contains("partition 1: LUKS"));
        let flatcar = tree(&[("/etc/os-release", "ID=flatcar\nNAME=Flatcar\nPRETTY_NAME=\"Flatcar Linux\"\n"), ("/etc/passwd", "")]);
        let told = refused(&inside(&[OsFamily::Linux], Fact::Known(of_tree(&flatcar))));
        assert!(told.starts_with("Flatcar Linux is set up by Ignition") && told.contains("first_boot"), "{told}");
        let windows = windows(|_| {}).os;
        let told = refused(&inside(&[OsFamily::Windows], windows));
        assert!(told.contains("  1. shut the machine down and keep a copy") && told.contains("sysprep.exe /generalize"), "{told}");
    }

    #[test]
    fn what_decides_must_have_been_seen() {
        for (at, ok) in [("/home", false), ("/var/lib", false), ("/data", true), ("/homes", true)] {
            let mut one = inside(&[OsFamily::Linux], Fact::Known(of_tree(&tree(LINUX))));
            let missing = std::sync::Arc::new(crate::fs::Missing::new("not given"));
            let root = crate::fs::FileSystem::root(&*missing);
            one.guests[0].tree.mount(at, "UUID=x", missing, root);
            assert_eq!(suitable(&one, &healthy_os()).is_ok(), ok, "{at}");
        }
    }
}
