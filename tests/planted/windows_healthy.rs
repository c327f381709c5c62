//! A Windows Server 2022 as Azure's preparation article asks: generalized, or one machine.

use super::registry::{Registry, Value};
use super::windows::{DISK_GUID, ESP_GUID, WINDOWS_GUID};
use vhdkit::facts::State;

/// The loader that the boot store starts, and other objects of it.
pub const LOADER: &str = "{5f1f5c39-6f3b-4f0a-9a51-3a1d6f1f7c11}";
pub const MANAGER: &str = "{9dea862c-5cdd-4e70-acc1-f32b344d4795}";
pub const EMS: &str = "{0ce4991b-e6b3-4b16-b23c-5e0d9250e5d9}";

/// Name, `Start`, `Type`.
const SERVICES: &[(&str, u32, u32)] = &[
    // What Azure's article asks for.
    ("BFE", 2, 0x20),
    ("Dhcp", 2, 0x20),
    ("Dnscache", 2, 0x20),
    ("IKEEXT", 2, 0x20),
    ("iphlpsvc", 2, 0x20),
    ("nsi", 2, 0x20),
    ("mpssvc", 2, 0x20),
    ("RemoteRegistry", 2, 0x20),
    ("Netlogon", 3, 0x20),
    ("Netman", 3, 0x20),
    ("TermService", 3, 0x20),
    ("W32Time", 2, 0x20),
    ("WinRM", 2, 0x20),
    ("WerSvc", 3, 0x20),
    ("sacsvr", 2, 0x20),
    ("RpcSs", 2, 0x20),
    ("EventLog", 2, 0x20),
    ("CryptSvc", 2, 0x20),
    ("Winmgmt", 2, 0x20),
    // Drivers.
    ("vmbus", 0, 1),
    ("storvsc", 0, 1),
    ("storflt", 0, 1),
    ("stornvme", 0, 1),
    ("vpci", 0, 1),
    ("atapi", 0, 1),
    ("intelide", 0, 1),
    ("storahci", 0, 1),
    ("disk", 0, 1),
    ("partmgr", 0, 1),
    ("volmgr", 0, 1),
    ("pci", 0, 1),
    ("ACPI", 0, 1),
    ("cdrom", 1, 1),
    ("netvsc", 3, 1),
    ("hyperkbd", 3, 1),
];

/// Keys with values that are numbers.
const NUMBERS: &[(&str, &[(&str, u32)])] = &[
    ("SYSTEM\\Select", &[("Current", 1), ("Default", 1), ("LastKnownGood", 1), ("Failed", 0)]),
    (
        "SOFTWARE\\Microsoft\\Windows NT\\CurrentVersion",
        &[("CurrentMajorVersionNumber", 10), ("CurrentMinorVersionNumber", 0), ("UBR", 2113)],
    ),
    ("SOFTWARE\\Microsoft\\Windows NT\\CurrentVersion\\SoftwareProtectionPlatform", &[("SkipRearm", 0)]),
    ("SOFTWARE\\Microsoft\\NET Framework Setup\\NDP\\v4\\Full", &[("Install", 1)]),
    ("SOFTWARE\\Microsoft\\Windows\\Windows Error Reporting\\LocalDumps", &[("DumpType", 2), ("CrashCount", 10)]),
    (
        "SOFTWARE\\Policies\\Microsoft\\Windows NT\\Terminal Services",
        &[("KeepAliveEnable", 1), ("KeepAliveInterval", 1), ("fDisableAutoReconnect", 0)],
    ),
    ("SOFTWARE\\Microsoft\\Windows\\CurrentVersion\\WSMAN\\Listener\\*+HTTP", &[("Port", 5985)]),
    ("CCS\\Control\\TimeZoneInformation", &[("RealTimeIsUniversal", 1)]),
    ("CCS\\Control\\CrashControl", &[("CrashDumpEnabled", 2), ("NMICrashDump", 1), ("AutoReboot", 1)]),
    ("CCS\\Control\\BitLocker", &[("PreventDeviceEncryption", 1)]),
    ("CCS\\Control\\Power", &[("HibernateEnabled", 0)]),
    ("CCS\\Control\\Session Manager\\Power", &[("HiberbootEnabled", 0)]),
    ("CCS\\Control\\Terminal Server", &[("fDenyTSConnections", 0), ("TSEnabled", 1), ("TSServerDrainMode", 0), ("TSUserEnabled", 0)]),
    (
        "CCS\\Control\\Terminal Server\\WinStations\\RDP-Tcp",
        &[
            ("PortNumber", 3389),
            ("LanAdapter", 0),
            ("fEnableWinStation", 1),
            ("fLogonDisabled", 0),
            ("UserAuthentication", 1),
            ("SecurityLayer", 2),
            ("KeepAliveTimeout", 1),
            ("fInheritReconnectSame", 1),
            ("fReconnectSame", 0),
            ("MaxInstanceCount", u32::MAX),
        ],
    ),
    ("CCS\\Services\\partmgr\\Parameters", &[("SanPolicy", 1)]),
    ("CCS\\Services\\stornvme\\Parameters\\Device", &[("IoTimeoutValue", 240)]),
    ("CCS\\Services\\Tcpip\\Parameters\\Interfaces\\{c0d3c0de-0000-4f0a-9a51-3a1d6f1f7c03}", &[("EnableDHCP", 1)]),
    ("CCS\\Services\\SharedAccess\\Parameters\\FirewallPolicy\\DomainProfile", &[("EnableFirewall", 1)]),
    ("CCS\\Services\\SharedAccess\\Parameters\\FirewallPolicy\\StandardProfile", &[("EnableFirewall", 1)]),
    ("CCS\\Services\\SharedAccess\\Parameters\\FirewallPolicy\\PublicProfile", &[("EnableFirewall", 1)]),
];

/// Keys with values that are texts.
const TEXTS: &[(&str, &[(&str, &str)])] = &[
    (
        "SOFTWARE\\Microsoft\\Windows NT\\CurrentVersion",
        &[
            ("ProductName", "Windows Server 2022 Datacenter"),
            ("EditionID", "ServerDatacenter"),
            ("InstallationType", "Server"),
            ("CurrentBuild", "20348"),
            ("CurrentVersion", "6.3"),
            ("DisplayVersion", "21H2"),
            ("ReleaseId", "2009"),
            ("SystemRoot", "C:\\Windows"),
        ],
    ),
    ("SOFTWARE\\Microsoft\\NET Framework Setup\\NDP\\v4\\Full", &[("Version", "4.8.04161")]),
    ("SOFTWARE\\Microsoft\\Windows\\Windows Error Reporting\\LocalDumps", &[("DumpFolder", "C:\\CrashDumps")]),
    ("CCS\\Control\\ProductOptions", &[("ProductType", "ServerNT")]),
    ("CCS\\Control\\TimeZoneInformation", &[("TimeZoneKeyName", "UTC")]),
    ("CCS\\Control\\CrashControl", &[("DumpFile", "%SystemRoot%\\MEMORY.DMP")]),
    ("CCS\\Control\\Power\\User\\PowerSchemes", &[("ActivePowerScheme", "8c5e7fda-e8bf-4a96-9a85-a6e23a8c635c")]),
    (
        "CCS\\Control\\Session Manager\\Environment",
        &[("TEMP", "%SystemRoot%\\TEMP"), ("TMP", "%SystemRoot%\\TEMP"), ("PROCESSOR_ARCHITECTURE", "AMD64")],
    ),
    (
        "CCS\\Services\\SharedAccess\\Parameters\\FirewallPolicy\\FirewallRules",
        &[
            ("RemoteDesktop-UserMode-In-TCP", "v2.31|Action=Allow|Active=TRUE|Dir=In|Protocol=6|LPort=3389|"),
            ("RemoteDesktop-UserMode-In-UDP", "v2.31|Action=Allow|Active=TRUE|Dir=In|Protocol=17|LPort=3389|"),
            ("RemoteDesktop-Shadow-In-TCP", "v2.31|Action=Allow|Active=TRUE|Dir=In|Protocol=6|"),
            ("FPS-ICMP4-ERQ-In", "v2.31|Action=Allow|Active=TRUE|Dir=In|Protocol=1|ICMP4=8:*|"),
            ("WINRM-HTTP-In-TCP", "v2.31|Action=Allow|Active=TRUE|Dir=In|Protocol=6|LPort=5985|"),
            ("AzurePlatform", "v2.31|Action=Allow|Active=TRUE|Dir=In|RA4=168.63.129.16|"),
            ("AzurePlatform-Out", "v2.31|Action=Allow|Active=TRUE|Dir=Out|RA4=168.63.129.16|"),
        ],
    ),
];

/// Who may log on how: accounts of the local policy with the bits of `ActSysAc`.
const RIGHTS: &[(&str, u32)] =
    &[("S-1-5-32-544", 0x0403), ("S-1-5-32-551", 0x0002), ("S-1-5-32-545", 0x0002), ("S-1-1-0", 0x0002), ("S-1-5-32-555", 0x0400)];

/// All hives of the healthy Windows, and its boot store.
pub fn registry(state: State) -> Registry {
    let mut all = Registry::default();
    for (key, values) in NUMBERS {
        values.iter().for_each(|(name, value)| all.set(key, name, Value::dword(*value)));
    }
    for (key, values) in TEXTS {
        values.iter().for_each(|(name, value)| all.set(key, name, Value::text(value)));
    }
    all.set("CCS\\Control\\Session Manager", "BootExecute", Value::texts(&["autocheck autochk *"]));
    all.set("CCS\\Control\\Session Manager\\Memory Management", "PagingFiles", Value::texts(&["?:\\pagefile.sys"]));
    // No proxy: version, counter, flags, and two empty texts.
    let direct = [0x28_u32, 0, 1, 0, 0].iter().flat_map(|word| word.to_le_bytes()).collect();
    let connections = "SOFTWARE\\Microsoft\\Windows\\CurrentVersion\\Internet Settings\\Connections";
    all.set(connections, "WinHttpSettings", Value(3, direct));
    for (name, start, kind) in SERVICES {
        service(&mut all, name, *start, *kind);
    }
    for (sid, bits) in RIGHTS {
        all.set(&format!("SECURITY\\Policy\\Accounts\\{sid}\\ActSysAc"), "", Value(0, bits.to_le_bytes().to_vec()));
    }
    let mut group = vec![18, 0, 20, 0, 0, 0, 0, 0];
    group.extend("WORKGROUP\0".encode_utf16().flat_map(u16::to_le_bytes));
    all.set("SECURITY\\Policy\\PolPrDmN", "", Value(0, group));
    let name = if state == State::Generalized { generalized(&mut all) } else { specialized(&mut all) };
    for key in ["CCS\\Control\\ComputerName\\ComputerName", "CCS\\Control\\ComputerName\\ActiveComputerName"] {
        all.set(key, "ComputerName", Value::text(name));
    }
    for value in ["Hostname", "NV Hostname"] {
        all.set("CCS\\Services\\Tcpip\\Parameters", value, Value::text(name));
    }
    boot_store(&mut all);
    all
}

fn service(all: &mut Registry, name: &str, start: u32, kind: u32) {
    let key = format!("CCS\\Services\\{name}");
    all.set(&key, "Start", Value::dword(start));
    all.set(&key, "Type", Value::dword(kind));
    let image =
        if kind == 1 { format!("System32\\drivers\\{name}.sys") } else { "%SystemRoot%\\System32\\svchost.exe -k netsvcs".to_owned() };
    all.set(&key, "ImagePath", Value(2, Value::text(&image).1));
}

/// A local account: the flags stand at byte 0x38 of `F`, the number is the type of the name's value.
pub fn account(all: &mut Registry, name: &str, rid: u32, disabled: bool) {
    let users = "SAM\\SAM\\Domains\\Account\\Users";
    let mut flags = vec![0; 80];
    flags[0x38] = 0x10 | u8::from(disabled);
    flags[0x39] = 0x02;
    all.set(&format!("{users}\\{rid:08X}"), "F", Value(3, flags));
    all.set(&format!("{users}\\Names\\{name}"), "", Value(rid, vec![]));
}

const SETUP: &str = "SYSTEM\\Setup";
const STATUS: &str = "SYSTEM\\Setup\\Status\\SysprepStatus";
pub const IMAGE_STATE: &str = "SOFTWARE\\Microsoft\\Windows\\CurrentVersion\\Setup\\State";

/// What Sysprep leaves; the agent's services are disabled by it.
fn generalized(all: &mut Registry) -> &'static str {
    all.set(IMAGE_STATE, "ImageState", Value::text("IMAGE_STATE_GENERALIZE_RESEAL_TO_OOBE"));
    for (name, value) in [("SystemSetupInProgress", 1), ("SetupType", 2), ("OOBEInProgress", 1), ("SetupPhase", 4), ("RestartSetup", 0)] {
        all.set(SETUP, name, Value::dword(value));
    }
    all.set(SETUP, "CmdLine", Value::text("oobe\\windeploy.exe"));
    all.set(SETUP, "CloneTag", Value::texts(&["Fri Nov 20 10:00:00 2026"]));
    all.set(STATUS, "GeneralizationState", Value::dword(3));
    all.set(STATUS, "CleanupState", Value::dword(2));
    all.set("SYSTEM\\Setup\\Status\\ChildCompletion", "setup.exe", Value::dword(3));
    for name in ["RdAgent", "WindowsAzureGuestAgent"] {
        service(all, name, 4, 0x10);
    }
    account(all, "Administrator", 500, true);
    account(all, "Guest", 501, true);
    "WIN-4Q7KJ1B2C3D"
}

/// One machine, with an administrator who can log in.
fn specialized(all: &mut Registry) -> &'static str {
    all.set(IMAGE_STATE, "ImageState", Value::text("IMAGE_STATE_COMPLETE"));
    for name in ["SystemSetupInProgress", "SetupType", "OOBEInProgress", "SetupPhase", "RestartSetup"] {
        all.set(SETUP, name, Value::dword(0));
    }
    all.set(SETUP, "CmdLine", Value::text(""));
    all.set(STATUS, "GeneralizationState", Value::dword(7));
    all.set(STATUS, "CleanupState", Value::dword(2));
    for name in ["setup.exe", "oobeldr.exe"] {
        all.set("SYSTEM\\Setup\\Status\\ChildCompletion", name, Value::dword(3));
    }
    all.set("SOFTWARE\\Microsoft\\Cryptography", "MachineGuid", Value::text("8f3c1d2e-4b5a-6978-8796-a5b4c3d2e1f0"));
    let c: Vec<u8> = b"DMIO:ID:".iter().copied().chain(WINDOWS_GUID).collect();
    all.set("SYSTEM\\MountedDevices", "\\DosDevices\\C:", Value(3, c));
    for name in ["RdAgent", "WindowsAzureGuestAgent"] {
        service(all, name, 2, 0x10);
    }
    account(all, "Administrator", 500, true);
    account(all, "Guest", 501, true);
    account(all, "azureadmin", 1001, false);
    "WEB-PROD-01"
}

fn boot_store(all: &mut Registry) {
    let mut object = |id: &str, kind: u32, elements: &[(u32, Value)]| {
        all.set(&format!("BCD\\Objects\\{id}\\Description"), "Type", Value::dword(kind));
        for (number, value) in elements {
            all.set(&format!("BCD\\Objects\\{id}\\Elements\\{number:08x}"), "Element", value.clone());
        }
    };
    object(
        MANAGER,
        0x1010_0002,
        &[
            (0x1100_0001, Value::partition(DISK_GUID, ESP_GUID)),
            (0x1200_0002, Value::text("\\EFI\\Microsoft\\Boot\\bootmgfw.efi")),
            (0x1600_0020, Value::boolean(true)),
            (0x2300_0003, Value::text(LOADER)),
            (0x2400_0001, Value::texts(&[LOADER])),
            (0x2500_0004, Value::integer(5)),
            (0x2600_0020, Value::boolean(true)),
        ],
    );
    object(
        LOADER,
        0x1020_0003,
        &[
            (0x1100_0001, Value::partition(DISK_GUID, WINDOWS_GUID)),
            (0x1200_0002, Value::text("\\Windows\\system32\\winload.efi")),
            (0x1200_0004, Value::text("Windows Server")),
            (0x1600_0009, Value::boolean(false)),
            (0x2100_0001, Value::partition(DISK_GUID, WINDOWS_GUID)),
            (0x2200_0002, Value::text("\\Windows")),
            (0x2500_00e0, Value::integer(1)),
            (0x2600_00b0, Value::boolean(true)),
        ],
    );
    object(EMS, 0x2010_0000, &[(0x1500_0022, Value::integer(1)), (0x1500_0023, Value::integer(115_200))]);
}

/// The files of the healthy Windows besides its hives.
pub fn files(state: State) -> Vec<(String, Vec<u8>)> {
    let mut files: Vec<(String, Vec<u8>)> = [
        ("Windows/System32/ntoskrnl.exe", program(1)),
        ("Windows/System32/winload.efi", program(16)),
        ("Windows/explorer.exe", program(2)),
        ("WindowsAzure/GuestAgent_2.7.41491.1121_2024-03-01_101010/WindowsAzureGuestAgent.exe", program(3)),
        ("WindowsAzure/Packages/WindowsAzureGuestAgent.exe", program(3)),
        ("Windows/WinSxS/manifest", vec![]),
        ("Users/Public/desktop.ini", vec![]),
    ]
    .map(|(path, content)| (path.to_owned(), content))
    .to_vec();
    let drivers = SERVICES.iter().filter(|(.., kind)| *kind == 1);
    files.extend(drivers.map(|(name, ..)| (format!("Windows/System32/drivers/{name}.sys"), program(1))));
    let ini = |state: &str| format!("[State]\r\nImageState={state}\r\n").into_bytes();
    if state == State::Generalized {
        files.push(("Windows/Setup/State/State.ini".to_owned(), ini("IMAGE_STATE_GENERALIZE_RESEAL_TO_OOBE")));
        files.push(("Windows/System32/Sysprep/Sysprep_succeeded.tag".to_owned(), vec![]));
    } else {
        files.push(("Windows/Setup/State/State.ini".to_owned(), ini("IMAGE_STATE_COMPLETE")));
    }
    files
}

/// The headers of a program for x64: PE32+ without sections, for that subsystem.
pub fn program(subsystem: u8) -> Vec<u8> {
    let mut program = vec![0; 0x40 + 24 + 240];
    program[..2].copy_from_slice(b"MZ");
    program[0x3c] = 0x40;
    program[0x40..0x46].copy_from_slice(b"PE\0\0\x64\x86");
    program[0x54] = 240;
    program[0x58..0x5a].copy_from_slice(&[0x0b, 0x02]);
    program[0x58 + 68] = subsystem;
    program
}

/// A boot manager as Windows names it in its resources: a program for UEFI with one section, which holds those words.
pub fn boot_manager() -> Vec<u8> {
    let mut program = program(10);
    // Sections; the headers of one follow: name, size and place in memory, size and place in the file, and what it may do.
    program[0x46] = 1;
    program.extend(*b".rsrc\0\0\0");
    for word in [0x200_u32, 0x1000, 0x200, 0x200, 0, 0, 0, 0x4000_0040] {
        program.extend(word.to_le_bytes());
    }
    program.resize(0x200, 0);
    program.extend("Microsoft Corporation\0bootmgr.exe\0".encode_utf16().flat_map(u16::to_le_bytes));
    program.resize(0x400, 0);
    program
}
