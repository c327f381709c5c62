//! Faults in the settings of a Windows, and in the ways to reach it.

use super::registry::Value;
use super::windows::{Change, Fault, dword, for_marketplace, generalized, key, plant, specialized, start, text, texts, unset};
use vhdkit::facts::State;

const VERSION: &str = "SOFTWARE\\Microsoft\\Windows NT\\CurrentVersion";
const SERVER: &str = "CCS\\Control\\Terminal Server";
const STATION: &str = "CCS\\Control\\Terminal Server\\WinStations\\RDP-Tcp";
const RDP_POLICY: &str = "SOFTWARE\\Policies\\Microsoft\\Windows NT\\Terminal Services";
const FIREWALL: &str = "CCS\\Services\\SharedAccess\\Parameters\\FirewallPolicy";
const RULES: &str = "CCS\\Services\\SharedAccess\\Parameters\\FirewallPolicy\\FirewallRules";
const FIREWALL_POLICY: &str = "SOFTWARE\\Policies\\Microsoft\\WindowsFirewall";
const ENVIRONMENT: &str = "CCS\\Control\\Session Manager\\Environment";
const SESSION: &str = "CCS\\Control\\Session Manager";
const MEMORY: &str = "CCS\\Control\\Session Manager\\Memory Management";
const TCPIP: &str = "CCS\\Services\\Tcpip\\Parameters";
const INTERFACE: &str = "CCS\\Services\\Tcpip\\Parameters\\Interfaces\\{c0d3c0de-0000-4f0a-9a51-3a1d6f1f7c03}";
const LOCAL_DUMPS: &str = "SOFTWARE\\Microsoft\\Windows\\Windows Error Reporting\\LocalDumps";
const REMOVABLE: &str = "SOFTWARE\\Policies\\Microsoft\\Windows\\RemovableStorageDevices";
const APP_LOCKER: &str = "SOFTWARE\\Policies\\Microsoft\\Windows\\SrpV2";
const ACCOUNTS: &str = "SECURITY\\Policy\\Accounts";

/// A service or driver that the healthy disk has not.
fn service(name: &str, start: u32, kind: u32) -> Vec<Change> {
    let key = format!("CCS\\Services\\{name}");
    vec![dword(&key, "Start", start), dword(&key, "Type", kind)]
}

/// A rule of the firewall.
fn rule(place: &str, name: &str, words: &str) -> Change {
    text(place, name, &format!("v2.31|{words}|"))
}

/// The rule that lets remote desktop in, with other words.
fn desktop(words: &str) -> Change {
    rule(RULES, "RemoteDesktop-UserMode-In-TCP", words)
}

/// The proxy of services.
fn proxy(proxy: &str, bypass: &str) -> Change {
    let mut bytes: Vec<u8> = [0x28_u32, 0, 3].iter().flat_map(|word| word.to_le_bytes()).collect();
    for part in [proxy, bypass] {
        bytes.extend(u32::try_from(part.len()).unwrap().to_le_bytes());
        bytes.extend(part.as_bytes());
    }
    let connections = "SOFTWARE\\Microsoft\\Windows\\CurrentVersion\\Internet Settings\\Connections";
    Change::Set(connections.to_owned(), "WinHttpSettings".to_owned(), Value(3, bytes))
}

/// Rights to log on of an account.
fn rights(sid: &str, bits: u32) -> Change {
    Change::Set(format!("{ACCOUNTS}\\{sid}\\ActSysAc"), String::new(), Value(0, bits.to_le_bytes().to_vec()))
}

const RD: u32 = 0x0400;
const NETWORK: u32 = 0x0002;
const DENY_RD: u32 = 0x0800;
const DENY_NETWORK: u32 = 0x0080;
const ADMINISTRATORS: &str = "S-1-5-32-544";
const LOCAL_ACCOUNT: &str = "S-1-5-113";

fn member() -> Change {
    text(TCPIP, "Domain", "corp.example")
}

#[test]
fn product() {
    plant(&[
        generalized("Windows Server 2012 R2", vec![text(VERSION, "CurrentBuild", "9600")], &["WIN103", "GEN011", "GEN019"]),
        generalized("no .NET Framework", vec![dword("SOFTWARE\\Microsoft\\NET Framework Setup\\NDP\\v4\\Full", "Install", 0)], &["WIN104"]),
        specialized("a domain controller", vec![text("CCS\\Control\\ProductOptions", "ProductType", "LanmanNT")], &["WIN105"]),
        generalized("a generalized controller", vec![text("CCS\\Control\\ProductOptions", "ProductType", "LanmanNT")], &["WIN205"]),
        specialized("a member of a domain", vec![member()], &["WIN305"]),
        generalized("a name that Sysprep left", vec![member()], &[]),
    ]);
}

#[test]
fn clock_disks_and_power() {
    plant(&[
        generalized("the clock in local time", vec![unset("CCS\\Control\\TimeZoneInformation", "RealTimeIsUniversal")], &["WIN106"]),
        generalized("the default SAN policy", vec![dword("CCS\\Services\\partmgr\\Parameters", "SanPolicy", 2)], &["WIN106"]),
        generalized("disks stay offline", vec![dword("CCS\\Services\\partmgr\\Parameters", "SanPolicy", 3)], &["WIN110"]),
        generalized("no time service", vec![start("W32Time", 4)], &["WIN107"]),
    ]);
}

#[test]
fn network() {
    let routes = format!("{TCPIP}\\PersistentRoutes");
    plant(&[
        generalized("a default route", vec![text(&routes, "0.0.0.0,0.0.0.0,192.168.1.1,1", "")], &["WIN108"]),
        generalized("a route for Azure's address", vec![text(&routes, "168.63.129.16,255.255.255.255,10.0.0.1,1", "")], &["WIN108"]),
        specialized("another route", vec![text(&routes, "10.0.0.0,255.0.0.0,10.1.1.1,1", "")], &["WIN208"]),
        generalized("a proxy", vec![proxy("proxy.example:8080", "<local>")], &["WIN109"]),
        generalized("a proxy with the exception", vec![proxy("proxy.example:8080", "<local>;168.63.129.16")], &[]),
        specialized(
            "a static address",
            vec![dword(INTERFACE, "EnableDHCP", 0), texts(INTERFACE, "IPAddress", &["192.168.1.10"])],
            &["WIN115"],
        ),
        specialized("static name servers", vec![text(INTERFACE, "NameServer", "192.168.1.1,192.168.1.2")], &["WIN215"]),
    ]);
}

#[test]
fn services() {
    let mut faults: Vec<Fault> = [
        ("BFE", 4, "WIN113"),
        ("Dhcp", 4, "WIN113"),
        ("nsi", 4, "WIN113"),
        ("mpssvc", 4, "WIN113"),
        ("TermService", 4, "WIN113"),
        ("Dhcp", 3, "WIN213"),
        ("Dnscache", 4, "WIN213"),
        ("Netlogon", 4, "WIN313"),
        ("RemoteRegistry", 4, "WIN313"),
        ("sacsvr", 3, "WIN132"),
    ]
    .iter()
    .map(|(name, value, code)| generalized(name, vec![start(name, *value)], &[*code]))
    .collect();
    faults.extend([
        generalized("a service is missing", vec![Change::DropKey("CCS\\Services\\nsi".to_owned())], &["WIN113"]),
        generalized("IKEEXT as Windows has it", vec![start("IKEEXT", 3)], &[]),
        specialized("Netlogon of a member is automatic", vec![member(), start("Netlogon", 2)], &["WIN305"]),
        specialized("Netlogon of a member is disabled", vec![member(), start("Netlogon", 4)], &["WIN305", "WIN213"]),
        generalized("VMware Tools", service("VMTools", 2, 0x10), &["WIN137"]),
        generalized("VMware Tools, disabled", service("VMTools", 4, 0x10), &[]),
        generalized("a driver of virtio", service("viostor", 3, 1), &["WIN237"]),
        generalized("Npcap", service("npcap", 1, 1), &["WIN136"]),
        generalized("CrowdStrike", service("CSFalconService", 2, 0x10), &["WIN236"]),
    ]);
    plant(&faults);
}

#[test]
fn directories_and_files() {
    plant(&[
        generalized("TEMP on another drive", vec![text(ENVIRONMENT, "TEMP", "E:\\Temp")], &["WIN112"]),
        generalized("TEMP elsewhere", vec![text(ENVIRONMENT, "TEMP", "C:\\Temp")], &["WIN212"]),
        generalized("a page file on another drive", vec![texts(MEMORY, "PagingFiles", &["E:\\pagefile.sys 0 0"])], &["WIN133"]),
        specialized("a page file on the temporary disk", vec![texts(MEMORY, "PagingFiles", &["D:\\pagefile.sys"])], &["WIN233"]),
        generalized("no dumps of programs", vec![unset(LOCAL_DUMPS, "DumpFolder")], &["WIN130"]),
        generalized("small dumps", vec![dword("CCS\\Control\\CrashControl", "CrashDumpEnabled", 3)], &["WIN130"]),
        generalized("automatic dumps", vec![dword("CCS\\Control\\CrashControl", "CrashDumpEnabled", 7)], &[]),
        generalized(
            "a check of the volume is ordered",
            vec![texts(SESSION, "BootExecute", &["autocheck autochk /p \\??\\C:", "autocheck autochk *"])],
            &["WIN239"],
        ),
    ]);
}

#[test]
fn provisioning() {
    let class = format!("{REMOVABLE}\\{{53f56308-b6bf-11d0-94f2-00a0c91efb8b}}");
    let script = format!("{APP_LOCKER}\\Script");
    let a_rule = format!("{script}\\{{ed97d0cb-15ff-430f-b82c-8d7832957725}}");
    plant(&[
        generalized("the CD driver is disabled", vec![start("cdrom", 4)], &["WIN134"]),
        for_marketplace(generalized("the CD driver is disabled, for the marketplace", vec![start("cdrom", 4)], &["WIN134"])),
        specialized("the CD driver of one machine is disabled", vec![start("cdrom", 4)], &[]),
        generalized("all removable storage is denied", vec![dword(REMOVABLE, "Deny_All", 1)], &["WIN135"]),
        generalized("reading CDs is denied", vec![dword(&class, "Deny_Read", 1)], &["WIN135"]),
        specialized("removable storage of one machine is denied", vec![dword(REMOVABLE, "Deny_All", 1)], &[]),
        generalized("AppLocker on scripts", vec![dword(&script, "EnforcementMode", 1), key(&a_rule)], &["WIN140"]),
        generalized("AppLocker audits scripts", vec![dword(&script, "EnforcementMode", 0), key(&a_rule)], &[]),
    ]);
}

#[test]
fn remote_desktop() {
    plant(&[
        generalized("remote desktop is off", vec![dword(SERVER, "fDenyTSConnections", 1)], &["WIN116"]),
        specialized("a policy turns it off", vec![dword(RDP_POLICY, "fDenyTSConnections", 1)], &["WIN116"]),
        specialized("a policy turns it on", vec![dword(RDP_POLICY, "fDenyTSConnections", 0), dword(SERVER, "fDenyTSConnections", 1)], &[]),
        generalized("TSEnabled", vec![dword(SERVER, "TSEnabled", 0)], &["WIN117"]),
        generalized("drain mode", vec![dword(SERVER, "TSServerDrainMode", 1)], &["WIN117"]),
        generalized("the listener is off", vec![dword(STATION, "fEnableWinStation", 0)], &["WIN117"]),
        generalized("logons are off", vec![dword(STATION, "fLogonDisabled", 1)], &["WIN117"]),
        generalized("no listener", vec![Change::DropKey(STATION.to_owned())], &["WIN117"]),
        generalized("relaxed security", vec![dword(SERVER, "TSUserEnabled", 1)], &["WIN217"]),
        generalized(
            "another port, for which the firewall has a rule",
            vec![dword(STATION, "PortNumber", 3390), rule(RULES, "{own}", "Action=Allow|Active=TRUE|Dir=In|Protocol=6|LPort=3390")],
            &["WIN118"],
        ),
        generalized("another port", vec![dword(STATION, "PortNumber", 3390)], &["WIN118", "WIN126"]),
        generalized("one adapter", vec![dword(STATION, "LanAdapter", 2)], &["WIN119"]),
        generalized("no network level authentication", vec![dword(STATION, "UserAuthentication", 0)], &["WIN120"]),
        generalized("two connections at most", vec![dword(STATION, "MaxInstanceCount", 2)], &["WIN120"]),
        generalized(
            "a pinned certificate",
            vec![Change::Set(STATION.to_owned(), "SSLCertificateSHA1Hash".to_owned(), Value(3, vec![7; 20]))],
            &["WIN124"],
        ),
        specialized(
            "a pinned certificate of one machine",
            vec![Change::Set(STATION.to_owned(), "SSLCertificateSHA1Hash".to_owned(), Value(3, vec![7; 20]))],
            &[],
        ),
    ]);
}

#[test]
fn firewall() {
    let closed = || dword(&format!("{FIREWALL}\\PublicProfile"), "DefaultOutboundAction", 1);
    let policy_rules = format!("{FIREWALL_POLICY}\\FirewallRules");
    plant(&[
        generalized("the firewall is off", vec![dword(&format!("{FIREWALL}\\PublicProfile"), "EnableFirewall", 0)], &["WIN125"]),
        generalized(
            "remote desktop's rule is inactive",
            vec![desktop("Action=Allow|Active=FALSE|Dir=In|Protocol=6|LPort=3389")],
            &["WIN126"],
        ),
        generalized("it has no rule", vec![unset(RULES, "RemoteDesktop-UserMode-In-TCP")], &["WIN126"]),
        generalized(
            "its rule is for networks of a domain",
            vec![desktop("Action=Allow|Active=TRUE|Dir=In|Protocol=6|Profile=Domain|LPort=3389")],
            &["WIN126"],
        ),
        specialized(
            "its rule is for networks of a domain, and the machine belongs to one",
            vec![member(), desktop("Action=Allow|Active=TRUE|Dir=In|Protocol=6|Profile=Domain|LPort=3389")],
            &["WIN305"],
        ),
        generalized(
            "a policy blocks it",
            vec![rule(&policy_rules, "{block}", "Action=Block|Active=TRUE|Dir=In|Protocol=6|LPort=3389")],
            &["WIN126"],
        ),
        generalized(
            "it is let in from beside alone",
            vec![desktop("Action=Allow|Active=TRUE|Dir=In|Protocol=6|LPort=3389|RA4=LocalSubnet")],
            &["WIN226"],
        ),
        generalized("no ping", vec![unset(RULES, "FPS-ICMP4-ERQ-In")], &["WIN127"]),
        generalized("WinRM by hand", vec![start("WinRM", 3)], &["WIN127"]),
        generalized("no rule for Azure's address", vec![unset(RULES, "AzurePlatform-Out")], &["WIN127"]),
        generalized("closed, with a rule for Azure's address", vec![closed()], &[]),
        generalized("closed", vec![closed(), unset(RULES, "AzurePlatform-Out")], &["WIN127", "WIN129"]),
        generalized(
            "Azure's address is blocked",
            vec![rule(RULES, "{wire}", "Action=Block|Active=TRUE|Dir=Out|RA4=168.63.129.16")],
            &["WIN129"],
        ),
        generalized(
            "its probes are blocked",
            vec![rule(RULES, "{wire}", "Action=Block|Active=TRUE|Dir=In|RA4=168.63.129.16")],
            &["WIN229"],
        ),
    ]);
}

#[test]
fn rights_to_log_on() {
    plant(&[
        generalized("administrators are denied remote desktop", vec![rights(ADMINISTRATORS, 1 | NETWORK | RD | DENY_RD)], &["WIN138"]),
        generalized("local accounts are denied the network", vec![rights(LOCAL_ACCOUNT, DENY_NETWORK)], &["WIN138"]),
        specialized("local accounts of a member are", vec![member(), rights(LOCAL_ACCOUNT, DENY_NETWORK)], &["WIN305"]),
        generalized("administrators have lost remote desktop", vec![rights(ADMINISTRATORS, 1 | NETWORK)], &["WIN138"]),
        generalized("everyone has lost the network", vec![rights("S-1-1-0", 1)], &["WIN238"]),
    ]);
}

/// What is said of a Windows Server that nobody has prepared: it cannot be reached, and five notes.
#[test]
fn a_new_server() {
    let balanced = "381b4222-f694-41f0-9685-ff5bb260df2e";
    let changes = vec![
        unset("CCS\\Control\\TimeZoneInformation", "RealTimeIsUniversal"),
        start("W32Time", 3),
        start("IKEEXT", 3),
        dword("CCS\\Services\\partmgr\\Parameters", "SanPolicy", 2),
        text("CCS\\Control\\Power\\User\\PowerSchemes", "ActivePowerScheme", balanced),
        dword("CCS\\Control\\CrashControl", "CrashDumpEnabled", 7),
        Change::DropKey(LOCAL_DUMPS.to_owned()),
        start("sacsvr", 3),
        dword(SERVER, "fDenyTSConnections", 1),
        Change::DropKey(RDP_POLICY.to_owned()),
        dword(STATION, "KeepAliveTimeout", 0),
        desktop("Action=Allow|Active=FALSE|Dir=In|Protocol=6|LPort=3389"),
        rule(RULES, "FPS-ICMP4-ERQ-In", "Action=Allow|Active=FALSE|Dir=In|Protocol=1|ICMP4=8:*"),
        unset(RULES, "AzurePlatform"),
        unset(RULES, "AzurePlatform-Out"),
    ];
    let codes = ["WIN106", "WIN116", "WIN120", "WIN126", "WIN127", "WIN130", "WIN132"];
    plant(&[
        generalized("a new Windows Server, generalized", changes.clone(), &codes),
        Fault { state: State::Specialized, ..generalized("a new Windows Server", changes, &codes) },
    ]);
}
