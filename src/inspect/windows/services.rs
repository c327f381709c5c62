//! Services and drivers.

use super::registry::{Registry, dword_of, text_of};
use crate::bytes::{printable, program_of};
use crate::facts::{Fact, StartType, Unknown, WindowsServiceFacts};
use crate::fs::Tree;
use crate::guest::windows::driver_path;
use crate::guest::windows::hive::Key;
use std::collections::BTreeMap;

const SERVICES: &str = "CCS\\Services";
/// Services that are told of at most; names are matched against the lists below.
const MOST: usize = 4096;
/// Values of a `StartOverride` key at most.
const MOST_OVERRIDES: usize = 64;

/// Windows' own services and drivers that matter on Azure, in lower case.
const OWN: &[&str] = &[
    // Disks and what they hang on.
    "vmbus",
    "storvsc",
    "storflt",
    "vmstorfl",
    "atapi",
    "intelide",
    "msahci",
    "storahci",
    "disk",
    "partmgr",
    "volmgr",
    "ntfs",
    "stornvme",
    "vpci",
    "pci",
    "acpi",
    "iastorv",
    "lsi_sas",
    "lsi_sas2i",
    "lsi_sas3i",
    "megasas",
    "pvscsi",
    "cdrom",
    // Network, keyboard, screen.
    "netvsc",
    "netvsc63",
    "hyperkbd",
    "hypervideo",
    // What must start, or be startable.
    "w32time",
    "bfe",
    "dhcp",
    "dnscache",
    "ikeext",
    "iphlpsvc",
    "nsi",
    "mpssvc",
    "remoteregistry",
    "netlogon",
    "netman",
    "termservice",
    "umrdpservice",
    "sessionenv",
    "winrm",
    "sacsvr",
    "sacdrv",
    "wersvc",
    "rpcss",
    "rpceptmapper",
    "winmgmt",
    "windefend",
    "wuauserv",
    "trustedinstaller",
    "cryptsvc",
    "schedule",
    "eventlog",
    "vss",
    "sharedaccess",
    // Integration services.
    "vmicheartbeat",
    "vmickvpexchange",
    "vmicshutdown",
    "vmictimesync",
    "vmicvss",
    "vmicrdv",
    "vmicguestinterface",
    "vmicvmsession",
    // Agents.
    "rdagent",
    "windowsazureguestagent",
    "windowsazuretelemetryservice",
    "windowsazurenetagentsvc",
    "cloudbase-init",
    "ec2config",
    "ec2launch",
    "amazonssmagent",
    "gceagent",
    // Roles that Azure does not support, or supports with conditions.
    "dhcpserver",
    "wdsserver",
    "vmms",
    "remoteaccess",
    "wlansvc",
    "wlbs",
    "mpio",
    "snmp",
    "wins",
    "msisns",
    "isns",
    "pnrpsvc",
    "p2psvc",
    "pnrpautoreg",
    "rmssvc",
    "msftpsvc",
    "clussvc",
    "dns",
    "ntds",
    "bdesvc",
    // Packet capture.
    "npcap",
    "npcap_wifi",
    "npf",
    "usbpcap",
    "appidsvc",
];

/// How services of others begin, in lower case.
const OTHERS: &[&str] = &[
    // Other hypervisors.
    "vmtools",
    "vgauthservice",
    "vmvss",
    "vmmemctl",
    "vmhgfs",
    "vmci",
    "vsock",
    "vmrawdsk",
    "vmmouse",
    "vmusbmouse",
    "vmxnet",
    "vm3d",
    "vmware",
    "vboxservice",
    "vboxguest",
    "vboxmouse",
    "vboxsf",
    "vboxvideo",
    "vboxwddm",
    "qemu-ga",
    "qemu guest",
    "xenagent",
    "xensvc",
    "xen",
    "xeniface",
    "prl_",
    "prltoolsd",
    "vioscsi",
    "viostor",
    "viorng",
    "vioser",
    "viofs",
    "vioinput",
    "netkvm",
    "balloon",
    "spice",
    "vdservice",
    "nutanix",
    "awsnvme",
    "awsenanet",
    "aws",
    "citrixxen",
    // Databases.
    "mssql",
    "sqlserveragent",
    "sqlagent",
    "sqlbrowser",
    "sqlwriter",
    "mysql",
    "postgresql",
    "oracleservice",
    // Protection by others.
    "savservice",
    "savadminservice",
    "savonaccess",
    "sophos",
    "sntp",
    "mcshield",
    "mfe",
    "masvc",
    "macmnsvc",
    "csfalconservice",
    "csagent",
    "csdevicecontrol",
    "sentinel",
    "ekrn",
    "eelam",
    "eamonm",
    "ehdrv",
    "epfw",
    "avast",
    "asw",
    "avg",
    "avp",
    "klif",
    "klflt",
    "kl1",
    "klim6",
    "sepmasterservice",
    "symantec",
    "srtsp",
    "bhdrv",
    "symefa",
    "symnets",
    "snac",
    "ntrtscan",
    "tmlisten",
    "tmccsf",
    "tmfilter",
    "tmprefilter",
    "tmbmserver",
    "tmpfw",
    "tmproxy",
    "ds_agent",
    "cylance",
    "cbdefense",
    "carbonblack",
    "cbk7",
    "parity",
    "fsma",
    "f-secure",
    "fsulhoster",
    "epsecurityservice",
    "epprotectedservice",
    "bdredline",
    "vsserv",
    "trufos",
    "cyserver",
    "cyverak",
    "cyvrmtgn",
    "traps",
    "wrsvc",
    "wrkrn",
    "mbamservice",
    "mbam",
    "psanhost",
    "panda_",
    "fa_scheduler",
    "forti",
    "zatray",
    "vsmon",
    "comodo",
    "cmdagent",
    "cmdguard",
    "xagt",
    "tanium",
    "ciscoamp",
];

/// Learns `services`.
pub(super) fn services(registry: &Registry, tree: &Tree, system_root: Option<&str>) -> Fact<Vec<WindowsServiceFacts>> {
    let read = || -> Result<Vec<WindowsServiceFacts>, Unknown> {
        let keys = registry.keys(SERVICES)?.ok_or_else(|| Unknown("the control set has no key Services".to_owned()))?;
        let wanted: Vec<Key<'_>> = keys.into_iter().filter(|key| is_told(&key.name())).collect();
        if wanted.len() > MOST {
            return Err(Unknown(format!("more than {MOST} services of interest")));
        }
        let mut services: Vec<WindowsServiceFacts> =
            wanted.iter().map(|key| service(key, tree, system_root.unwrap_or("C:\\Windows"))).collect();
        services.sort_by_key(|service| service.name.to_ascii_lowercase());
        Ok(services)
    };
    read().into()
}

fn is_told(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    OWN.contains(&name.as_str()) || OTHERS.iter().any(|start| name.starts_with(start))
}

fn service(key: &Key<'_>, tree: &Tree, system_root: &str) -> WindowsServiceFacts {
    let start_value = dword_of(key, "Start");
    let start = match &start_value {
        Fact::Known(value) => match StartType::of(*value) {
            Some(start) => Fact::Known(start),
            None => Fact::unknown(format!("{} has a Start of {value}, which Windows does not know", printable(&key.name()))),
        },
        Fact::Absent => Fact::Absent,
        Fact::Unknown(reason) => Fact::Unknown(reason.clone()),
    };
    let kind = dword_of(key, "Type");
    let image_path = text_of(key, "ImagePath");
    let driver = matches!(kind, Fact::Known(1 | 2));
    WindowsServiceFacts {
        name: printable(&key.name()),
        delayed: dword_of(key, "DelayedAutostart").map(|value| value != 0),
        start_override: start_override(key),
        file_present: if driver { file_present(tree, &key.name(), &image_path, system_root) } else { Fact::Absent },
        kind: kind.map(|kind| match kind {
            1 | 2 => "driver".to_owned(),
            // Own or shared process, with or without the flags for users and desktops.
            _ if kind & 0x30 != 0 => "service".to_owned(),
            other => format!("{other:#x}"),
        }),
        start,
        start_value,
        image_path: image_path.map(|path| told_program(&path)),
    }
}

/// A program as it is told: arguments may hold a token, but for those of Windows' own `svchost.exe`, which name a group of services, and a
/// service in it (`-k netsvcs -p -s Schedule`).
fn told_program(path: &str) -> String {
    let lower = path.to_ascii_lowercase();
    let mut words = lower.split_whitespace();
    let own = ["%systemroot%\\system32\\svchost.exe", "c:\\windows\\system32\\svchost.exe"];
    let name = |word: Option<&str>| word.is_some_and(|word| word.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-')));
    let mut known = words.next().is_some_and(|first| own.contains(&first));
    while known && let Some(word) = words.next() {
        known = match word {
            "-k" | "-s" => name(words.next()),
            "-p" => true,
            _ => false,
        };
    }
    if known { path.to_owned() } else { program_of(path) }
}

/// Values of `StartOverride`; absent where there is no such key.
fn start_override(key: &Key<'_>) -> Fact<BTreeMap<String, u32>> {
    let read = || {
        let Some(key) = key.key("StartOverride")? else { return Ok(None) };
        let values = key.values()?;
        Ok(Some(values.iter().take(MOST_OVERRIDES).filter_map(|value| Some((printable(&value.name), value.dword()?))).collect()))
    };
    let read: Result<Option<BTreeMap<String, u32>>, crate::guest::windows::hive::HiveError> = read();
    super::registry::optional(read)
}

fn file_present(tree: &Tree, name: &str, image: &Fact<String>, system_root: &str) -> Fact<bool> {
    if let Fact::Unknown(reason) = image {
        return Fact::Unknown(reason.clone());
    }
    match driver_path::resolve(image.value().map(String::as_str), name, system_root) {
        Some(path) => super::product::there(tree, &path),
        None => Fact::unknown(format!("the driver {} names a file on another volume", printable(name))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_told_of_the_host_of_services_alone() {
        for same in [
            "%SystemRoot%\\System32\\svchost.exe -k netsvcs -p -s Schedule",
            "C:\\Windows\\system32\\svchost.exe -k RPCSS",
            "C:\\a b\\c.exe",
        ] {
            assert_eq!(told_program(same), same);
        }
        for (path, told) in [
            ("C:\\x\\svchost.exe -k token", "C:\\x\\svchost.exe …"),
            ("%SystemRoot%\\System32\\svchost.exe -k netsvcs --token x", "%SystemRoot%\\System32\\svchost.exe …"),
            ("%SystemRoot%\\System32\\svchost.exe -k a=b", "%SystemRoot%\\System32\\svchost.exe …"),
            ("%SystemRoot%\\System32\\svchost.exe -k", "%SystemRoot%\\System32\\svchost.exe …"),
        ] {
            assert_eq!(told_program(path), told);
        }
    }
}
