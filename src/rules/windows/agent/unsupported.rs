//! W-66, W-68: roles and software that Azure does not support.

use crate::facts::{StartType, WindowsServiceFacts};
use crate::rules::windows::guest;
use crate::rules::{Check, Finding, Judgement, Place, Profile, Remedy, Rule, Severity, Skip, Subject, Target, shared, source};

pub(in crate::rules) static ROLES: Rule = Rule {
    code: "WIN066",
    name: "unsupported-roles",
    requirement: "W-66",
    also: &[],
    severity: Severity::Warning,
    marketplace: Some(Severity::Error),
    profile: Profile::Azure,
    applies_to: "OS disks with Windows",
    summary: "No role or feature is in use that Azure does not support.",
    azure_error: None,
    source: source::SERVER_SOFTWARE,
    docs: r"## What it checks

Whether services of these roles start by themselves: DHCP server, Windows Deployment Services, routing and remote access with DirectAccess,
network load balancing, multipath I/O, SNMP, WINS, iSNS, peer name resolution, and on servers wireless LAN.

## Why it matters

Microsoft does not support them in Azure, where most cannot work: the network answers DHCP by itself and knows no broadcast. The
Marketplace refuses images that have them.

## How to fix it

Remove the role in the machine with the command of the finding, or waive the finding if the machine really needs it.",
    check: Check::Disk(roles),
};

pub(in crate::rules) static HYPER_V: Rule = Rule {
    code: "WIN166",
    name: "hyper-v-role",
    requirement: "W-66",
    also: &[],
    severity: Severity::Note,
    marketplace: Some(Severity::Error),
    profile: Profile::Azure,
    applies_to: "OS disks with Windows",
    summary: "The Hyper-V role is not in use.",
    azure_error: None,
    source: source::SERVER_SOFTWARE,
    docs: r"## What it checks

Whether the service of the Hyper-V role (`vmms`) starts by itself.

## Why it matters

Virtual machines run within a machine of Azure only with VM sizes that allow nested virtualization. The Marketplace refuses images with
the role.

## How to fix it

Choose a size with nested virtualization, or remove the role: `Uninstall-WindowsFeature Hyper-V`, on a Windows client
`Disable-WindowsOptionalFeature -Online -FeatureName Microsoft-Hyper-V-All`.",
    check: Check::Disk(hyper_v),
};

pub(in crate::rules) static SQL_SERVER: Rule = Rule {
    code: "WIN068",
    name: "sql-server-installed",
    requirement: "W-68",
    also: &[],
    severity: Severity::Error,
    marketplace: None,
    profile: Profile::Marketplace,
    applies_to: "OS disks with Windows, for the Marketplace",
    summary: "No SQL Server is installed on an image for the Marketplace.",
    azure_error: None,
    source: source::CERTIFICATION,
    docs: r"## What it checks

Whether a service of a SQL Server instance (`MSSQLSERVER` or `MSSQL$…`) is registered. Windows' own internal database does not count. Office
and Visual Studio, which the same requirement names, leave no service and are not found.

## Why it matters

The Marketplace takes such images only when they are built on Microsoft's own ones, since the licences come with those.

## How to fix it

Build the offer on Microsoft's SQL Server image, or remove SQL Server.",
    check: Check::Disk(sql_server),
};

/// Services, the role's name, the feature to remove, and whether only servers count: clients have the service by themselves.
const UNSUPPORTED: [(&str, &str, &str, bool); 10] = [
    ("DHCPServer", "DHCP server", "DHCP", false),
    ("WDSServer", "Windows Deployment Services", "WDS", false),
    ("RemoteAccess", "routing and remote access", "RemoteAccess", false),
    ("WLBS", "network load balancing", "NLB", false),
    ("mpio", "multipath I/O", "Multipath-IO", false),
    ("SNMP", "SNMP", "SNMP-Service", false),
    ("WINS", "WINS", "WINS", false),
    ("MSiSNS", "iSNS", "ISNS", false),
    ("PNRPsvc", "peer name resolution", "PNRP", true),
    ("WlanSvc", "wireless LAN", "Wireless-Networking", true),
];

/// Where services stand.
const SERVICES: &str = r"HKLM\SYSTEM\CurrentControlSet\Services";

/// Whether a service starts without being asked.
fn starts(service: &WindowsServiceFacts) -> Result<bool, Skip> {
    Ok(service.start.known()?.is_some_and(|start| matches!(start, StartType::Boot | StartType::System | StartType::Auto)))
}

fn roles(subject: &Subject<'_>, _: &Target) -> Judgement {
    let windows = guest(subject)?.windows;
    let server = windows.product.installation_type.value().is_some_and(|kind| kind.starts_with("Server"));
    let (mut names, mut services, mut features) = (Vec::new(), Vec::new(), Vec::new());
    for (service, name, feature, servers) in UNSUPPORTED {
        let Some(found) = windows.service(service)? else { continue };
        if (server || !servers) && starts(found)? {
            names.push(name.to_owned());
            services.push(service.to_owned());
            features.push(feature);
        }
    }
    if names.is_empty() {
        return Ok(vec![]);
    }
    Ok(vec![Finding {
        message: format!("{} in use ({}), which Microsoft does not support in Azure", names.join(", "), services.join(", ")),
        actual: names.join(", "),
        required: "none of them".to_owned(),
        place: Some(Place::Registry(SERVICES.to_owned())),
        remedy: Remedy::hand(if server {
            format!("in an elevated PowerShell: Uninstall-WindowsFeature {}", features.join(", "))
        } else {
            "turn the feature off: optionalfeatures.exe, or Optional features in Settings".to_owned()
        }),
    }])
}

fn hyper_v(subject: &Subject<'_>, _: &Target) -> Judgement {
    let windows = guest(subject)?.windows;
    let client = windows.product.installation_type.value().is_some_and(|kind| kind == "Client");
    match windows.service("vmms")? {
        Some(service) if starts(service)? => Ok(vec![Finding {
            message: "the Hyper-V role is in use; it works only with VM sizes that allow nested virtualization".to_owned(),
            actual: "vmms starts by itself".to_owned(),
            required: "no Hyper-V role, or a VM size with nested virtualization".to_owned(),
            place: Some(Place::Registry(format!(r"{SERVICES}\vmms"))),
            remedy: Remedy::hand(if client {
                "in an elevated PowerShell: Disable-WindowsOptionalFeature -Online -FeatureName Microsoft-Hyper-V-All; or choose a size \
                 with nested virtualization"
            } else {
                "in an elevated PowerShell: Uninstall-WindowsFeature Hyper-V; or choose a size with nested virtualization"
            }),
        }]),
        _ => Ok(vec![]),
    }
}

fn sql_server(subject: &Subject<'_>, _: &Target) -> Judgement {
    let services = guest(subject)?.windows.services.known()?.map(Vec::as_slice).unwrap_or_default();
    let instance = |name: &str| {
        let name = name.to_ascii_uppercase();
        // Two number signs begin the names of databases that Windows keeps for itself.
        name == "MSSQLSERVER" || (name.starts_with("MSSQL$") && !name.contains("##"))
    };
    let found: Vec<String> = services.iter().filter(|service| instance(&service.name)).map(|service| service.name.clone()).collect();
    if found.is_empty() {
        return Ok(vec![]);
    }
    let listed = shared::first_three(&found, ", ");
    Ok(vec![Finding {
        message: format!("SQL Server is installed ({listed}); the Marketplace refuses it in images that are not built on Microsoft's own"),
        actual: listed,
        required: "no SQL Server".to_owned(),
        place: Some(Place::Registry(SERVICES.to_owned())),
        remedy: Remedy::hand("build the offer on Microsoft's SQL Server image, or uninstall SQL Server"),
    }])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::{DiskFacts, Fact};
    use crate::rules::testing::*;

    fn with(name: &str, start: StartType) -> DiskFacts {
        windows(|w| {
            let services = known(&mut w.services);
            let mut one = services[0].clone();
            (one.name, one.start) = (name.to_owned(), Fact::Known(start));
            services.push(one);
        })
    }

    #[test]
    fn roles_that_start_are_found() {
        assert_eq!(ask(&ROLES, &windows(|_| {})), "pass");
        assert_eq!(ask(&ROLES, &with("DHCPServer", StartType::Auto)), "hand");
        assert_eq!(ask(&ROLES, &with("RemoteAccess", StartType::Disabled)), "pass");
        assert_eq!(ask(&ROLES, &with("WlanSvc", StartType::Auto)), "hand");
        let mut client = with("WlanSvc", StartType::Auto);
        known(&mut known(&mut client.os).windows).product.installation_type = Fact::Known("Client".to_owned());
        assert_eq!(ask(&ROLES, &client), "pass");
        assert_eq!(ask(&ROLES, &windows(|w| w.services = Fact::unknown("x"))), "undecided");
        assert_eq!(ask(&HYPER_V, &windows(|_| {})), "pass");
        assert_eq!(ask(&HYPER_V, &with("vmms", StartType::Auto)), "hand");
        assert_eq!(ask(&HYPER_V, &with("vmms", StartType::Manual)), "pass");
    }

    #[test]
    fn sql_server_is_refused() {
        for (name, said) in
            [("MSSQLSERVER", "hand"), ("MSSQL$EXPRESS", "hand"), ("MSSQL$MICROSOFT##WID", "pass"), ("MSSQLFDLauncher", "pass")]
        {
            assert_eq!(ask(&SQL_SERVER, &with(name, StartType::Auto)), said, "{name}");
        }
        assert_eq!(ask(&SQL_SERVER, &healthy_os()), "not applicable");
        assert_eq!(ask(&SQL_SERVER, &windows(|w| w.services = Fact::unknown("x"))), "undecided");
    }
}
