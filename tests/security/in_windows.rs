//! A Windows that says hostile words wherever it is asked, and one that is full of secrets.

use crate::every::{reading, writing_with};
use crate::registry::Value;
use crate::reports::{EVIL, all_hold, tight};
use crate::secrets::{filled, said};
use crate::windows::{Change, binary, dword, element, text, texts, write, write_changed};
use crate::windows_healthy::{LOADER, MANAGER};
use crate::words::{are_told, bytes_of, wide};
use vhdkit::facts::State;

const CURRENT: &str = "SOFTWARE\\Microsoft\\Windows NT\\CurrentVersion";
const USERS: &str = "SAM\\SAM\\Domains\\Account\\Users";
const TCPIP: &str = "CCS\\Services\\Tcpip\\Parameters";
const RULES: &str = "CCS\\Services\\SharedAccess\\Parameters\\FirewallPolicy\\FirewallRules";
const WINHTTP: &str = "SOFTWARE\\Microsoft\\Windows\\CurrentVersion\\Internet Settings\\Connections";

/// Values that are told as they are, in hives that are read.
const TEXTS: &[(&str, &str)] = &[
    ("CCS\\Control\\ComputerName\\ComputerName", "ComputerName"),
    ("CCS\\Control\\ComputerName\\ActiveComputerName", "ComputerName"),
    (TCPIP, "Hostname"),
    (TCPIP, "NV Hostname"),
    (TCPIP, "Domain"),
    (TCPIP, "NV Domain"),
    ("SOFTWARE\\Microsoft\\Windows NT\\CurrentVersion\\Winlogon", "DefaultDomainName"),
    (CURRENT, "ProductName"),
    (CURRENT, "EditionID"),
    (CURRENT, "InstallationType"),
    (CURRENT, "DisplayVersion"),
    (CURRENT, "ReleaseId"),
    (CURRENT, "CurrentBuild"),
    (CURRENT, "SystemRoot"),
    ("SOFTWARE\\Microsoft\\NET Framework Setup\\NDP\\v4\\Full", "Version"),
    ("SOFTWARE\\Microsoft\\Windows\\CurrentVersion\\Setup\\State", "ImageState"),
    ("SOFTWARE\\Microsoft\\Windows\\Windows Error Reporting\\LocalDumps", "DumpFolder"),
    ("CCS\\Control\\ProductOptions", "ProductType"),
    ("CCS\\Control\\TimeZoneInformation", "TimeZoneKeyName"),
    ("CCS\\Control\\CrashControl", "DumpFile"),
    ("CCS\\Control\\Session Manager\\Environment", "TEMP"),
    ("CCS\\Control\\Session Manager\\Environment", "TMP"),
    ("CCS\\Control\\Session Manager\\Environment", "PROCESSOR_ARCHITECTURE"),
    ("CCS\\Services\\vmtools", "ImagePath"),
    ("SYSTEM\\Setup", "UnattendFile"),
    ("SYSTEM\\Setup", "CmdLine"),
];

/// Lists of texts that are told.
const LISTS: &[(&str, &str)] = &[
    ("CCS\\Control\\Session Manager", "BootExecute"),
    ("CCS\\Control\\Session Manager\\Memory Management", "PagingFiles"),
    ("CCS\\Services\\Tcpip\\Parameters\\Interfaces\\{c0d3c0de-0000-4f0a-9a51-3a1d6f1f7c03}", "IPAddress"),
    ("CCS\\Services\\Tcpip\\Parameters\\Interfaces\\{c0d3c0de-0000-4f0a-9a51-3a1d6f1f7c03}", "DefaultGateway"),
    ("SYSTEM\\Setup", "CloneTag"),
];

/// Texts that nobody tells, and that nobody may begin to tell unsafely.
const SILENT: &[(&str, &str)] = &[
    ("SOFTWARE\\Microsoft\\Windows\\CurrentVersion\\RunOnce", "x"),
    ("SOFTWARE\\Microsoft\\Windows NT\\CurrentVersion\\Winlogon", "LegalNoticeText"),
    ("CCS\\Control\\Power\\User\\PowerSchemes", "ActivePowerScheme"),
    ("CCS\\Control\\Terminal Server", "fDenyTSConnections"),
    ("SYSTEM\\Select", "Failed"),
];

/// Hostile words in every place, and the marks of those that must be told.
fn hostile() -> (Vec<Change>, Vec<String>) {
    let (mut changes, mut marks) = (Vec::new(), Vec::new());
    let next = |marks: &mut Vec<String>| {
        let mark = format!("W{:02}x", marks.len());
        marks.push(mark.clone());
        mark
    };
    for (key, name) in TEXTS {
        changes.push(text(key, name, &format!("{}{EVIL}", next(&mut marks))));
    }
    for (key, name) in LISTS {
        changes.push(texts(key, name, &[&format!("{}{EVIL}", next(&mut marks))]));
    }
    for (key, name) in SILENT {
        changes.push(text(key, name, EVIL));
    }
    // Half a pair in a text.
    let broken = Value(1, bytes_of(&wide(&next(&mut marks), 40)));
    changes.push(Change::Set(
        "CCS\\Services\\Tcpip\\Parameters\\Interfaces\\{c0d3c0de-0000-4f0a-9a51-3a1d6f1f7c03}".to_owned(),
        "NameServer".to_owned(),
        broken,
    ));
    // Names of keys and of values.
    let mut named = |name: &mut dyn FnMut(String) -> Change| changes.push(name(format!("{}{EVIL}", next(&mut marks))));
    named(&mut |name| dword(&format!("CCS\\Services\\vmtools {name}"), "Start", 2));
    named(&mut |name| dword("CCS\\Services\\storvsc\\StartOverride", &name, 3));
    named(&mut |name| dword(&format!("{TCPIP}\\Interfaces\\{name}"), "EnableDHCP", 1));
    named(&mut |name| text(&format!("{TCPIP}\\PersistentRoutes"), &name, ""));
    named(&mut |name| dword(&format!("SOFTWARE\\Microsoft\\Windows\\CurrentVersion\\WSMAN\\Listener\\{name}"), "Port", 1));
    named(&mut |name| dword(&format!("SOFTWARE\\Policies\\Microsoft\\Windows\\SrpV2\\{name}"), "EnforcementMode", 1));
    named(&mut |name| dword("SYSTEM\\Setup\\Status\\ChildCompletion", &name, 1));
    named(&mut |name| text(RULES, &format!("RemoteDesktop-{name}"), "v2.31|Action=Allow|Active=TRUE|Dir=In|Protocol=6|"));
    named(&mut |name| Change::Set(format!("{USERS}\\Names\\{name}"), String::new(), Value(1005, vec![])));
    named(&mut |name| Change::Set(format!("SECURITY\\Policy\\Accounts\\S-1-{name}\\ActSysAc"), String::new(), Value(0, vec![3, 4, 0, 0])));
    named(&mut |name| {
        binary("SYSTEM\\MountedDevices", "\\DosDevices\\D:", &bytes_of(&format!("\\??\\{name}").encode_utf16().collect::<Vec<u16>>()))
    });
    named(&mut |name| element(LOADER, 0x1200_0004, Value::text(&name)));
    named(&mut |name| element(LOADER, 0x1200_0002, Value::text(&name)));
    named(&mut |name| element(LOADER, 0x2200_0002, Value::text(&name)));
    named(&mut |name| element(MANAGER, 0x1200_0002, Value::text(&name)));
    // A rule of the firewall in its own grammar.
    let fields = ["Action", "Dir", "Protocol", "Profile", "LPort", "RA4"];
    let fields: String = fields.iter().map(|field| format!("{field}={}{EVIL}|", next(&mut marks))).collect();
    changes.push(text(RULES, "RemoteDesktop-all", &format!("v2.31|Active=TRUE|{fields}")));
    let (proxy, bypass) = (format!("{}{EVIL}", next(&mut marks)), format!("{}{EVIL}", next(&mut marks)));
    changes.push(binary(WINHTTP, "WinHttpSettings", &winhttp(&proxy, &bypass)));
    let mut group = vec![18, 0, 20, 0, 0, 0, 0, 0];
    group.extend(bytes_of(&format!("{}{EVIL}", next(&mut marks)).encode_utf16().collect::<Vec<u16>>()));
    let lengths = u16::try_from(group.len() - 8).unwrap().to_le_bytes();
    group[..4].copy_from_slice(&[lengths, lengths].concat());
    changes.push(Change::Set("SECURITY\\Policy\\PolPrDmN".to_owned(), String::new(), Value(0, group)));
    // Files and directories.
    let mut file = |path: &dyn Fn(String) -> String| {
        let name = format!("{}{}", next(&mut marks), tight(EVIL).replace('/', ""));
        changes.push(write(&path(name.chars().take(150).collect()), b"x"));
    };
    file(&|name| format!("WindowsAzure/GuestAgent_{name}/x"));
    file(&|name| format!("Packages/Plugins/{name}/1.0/x"));
    file(&|name| format!("WindowsAzure/Logs/Plugins/{name}/x"));
    file(&|name| name);
    changes.push(write("Windows/Setup/State/State.ini", format!("[State]\r\nImageState={}{EVIL}\r\n", next(&mut marks)).as_bytes()));
    let log = format!("2026-11-20 10:00:00, Error      [0x0f0082] SYSPRP {}{EVIL}\r\n", next(&mut marks));
    changes.push(write("Windows/System32/Sysprep/Panther/setuperr.log", log.as_bytes()));
    for path in ["Windows/Panther/unattend.xml", "Windows/System32/Tasks/x", "AzureData/CustomData.bin"] {
        changes.push(write(path, EVIL.as_bytes()));
    }
    (changes, marks)
}

/// `WinHttpSettings`: version, counter, flags, and two texts with their lengths.
fn winhttp(proxy: &str, bypass: &str) -> Vec<u8> {
    let mut bytes: Vec<u8> = [0x28_u32, 0, 3].iter().flat_map(|word| word.to_le_bytes()).collect();
    for text in [proxy, bypass] {
        bytes.extend((text.len() as u32).to_le_bytes());
        bytes.extend(text.as_bytes());
    }
    bytes
}

#[test]
fn hostile_words_of_a_windows_are_told_safely() {
    let work = tempfile::tempdir().unwrap();
    let disk = work.path().join("windows.vhd");
    let (changes, marks) = hostile();
    if !write_changed(State::Specialized, &changes, &disk) {
        return;
    }
    let mut all = reading(&disk, work.path(), &[]);
    all.extend(writing_with(&disk, work.path(), &["prepare", "-v", "--as=specialized", "--allow-undecided"], &[]));
    are_told(&marks, &all);
    all_hold(&all, work.path());
    // Without control sets nothing is read, and that is told too.
    let work = tempfile::tempdir().unwrap();
    let disk = work.path().join("windows.vhd");
    assert!(write_changed(
        State::Generalized,
        &[text("SYSTEM\\Select", "Current", EVIL), write("Windows/System32/config/SAM", EVIL.as_bytes())],
        &disk
    ));
    all_hold(&reading(&disk, work.path(), &[]), work.path());
}

/// Values of the registry with secrets, `{}` where they stand.
const SECRET_TEXTS: &[(&str, &str, &str)] = &[
    ("SOFTWARE\\Microsoft\\Windows NT\\CurrentVersion\\Winlogon", "DefaultPassword", "{}"),
    ("SOFTWARE\\Microsoft\\Windows NT\\CurrentVersion\\Winlogon", "AutoAdminLogon", "1"),
    ("SOFTWARE\\Microsoft\\Windows NT\\CurrentVersion\\Winlogon", "DefaultUserName", "azureadmin"),
    (
        "SOFTWARE\\Microsoft\\Windows\\CurrentVersion\\RunOnce",
        "Setup",
        "cmd.exe /c net user azureadmin {} & winrm set x @{Password=\"{}\"}",
    ),
    ("SOFTWARE\\Microsoft\\Windows\\CurrentVersion\\Run", "Agent", "C:\\agent.exe --token {}"),
    (CURRENT, "ProductId", "{}"),
    ("SOFTWARE\\Microsoft\\Windows NT\\CurrentVersion\\SoftwareProtectionPlatform", "BackupProductKeyDefault", "{}"),
    ("SOFTWARE\\Microsoft\\Windows\\CurrentVersion\\WSMAN\\Listener\\*+HTTPS", "certThumbprint", "{}"),
    ("SOFTWARE\\RealVNC\\vncserver", "Password", "{}"),
    ("CCS\\Services\\vmtools", "ImagePath", "\"C:\\Program Files\\vm\\vmtoolsd.exe\" -n {} --password={}"),
    ("CCS\\Services\\MSSQLSERVER", "ImagePath", "C:\\Program Files\\sql\\sqlservr.exe -sX -p{} /token {}"),
    ("CCS\\Services\\qemu-ga", "ImagePath", "C:\\qemu\\svchost.exe -k {} --key {}"),
    ("CCS\\Services\\vmware x", "ImagePath", "%SystemRoot%\\System32\\svchost.exe -k netsvcs -p --secret {}"),
    ("CCS\\Services\\xenfilt", "ImagePath", "System32\\drivers\\xenfilt.sys /key={}"),
    ("CCS\\Services\\aws x", "ImagePath", "cmd /c set TOKEN={}&& C:\\a.exe {}"),
    ("CCS\\Services\\aws x", "Environment", "TOKEN={}"),
    ("CCS\\Services\\aws x", "Description", "its password is {}"),
    ("CCS\\Services\\SNMP\\Parameters\\ValidCommunities", "{}", "x"),
    ("CCS\\Control\\Session Manager\\Environment", "AZURE_CLIENT_SECRET", "{}"),
    ("CCS\\Control\\Lsa", "x", "{}"),
    ("CCS\\Control\\Terminal Server", "TSServerDrainMode", "{}"),
    (RULES, "WINRM-HTTP-In-TCP", "v2.31|Action=Allow|Active=TRUE|Dir=In|Protocol=6|LPort=5985|Desc=password={}|App=C:\\a.exe|Security={}|"),
];

/// The same in bytes.
const SECRET_BYTES: &[(&str, &str)] = &[
    ("SECURITY\\Policy\\Secrets\\DefaultPassword\\CurrVal", ""),
    ("SECURITY\\Policy\\Secrets\\_SC_MSSQLSERVER\\CurrVal", ""),
    ("SECURITY\\Cache", "NL$1"),
    ("SAM\\SAM\\Domains\\Account\\Users\\000003E9", "V"),
    ("SAM\\SAM\\Domains\\Account\\Users\\000003E9", "UserPasswordHint"),
    ("SAM\\SAM\\Domains\\Account", "F"),
    ("CCS\\Control\\Terminal Server\\WinStations\\RDP-Tcp", "SSLCertificateSHA1Hash"),
    ("SOFTWARE\\Microsoft\\Windows NT\\CurrentVersion", "DigitalProductId"),
];

/// Files with secrets.
const SECRET_FILES: &[(&str, &str)] = &[
    (
        "Windows/Panther/unattend.xml",
        "<unattend><settings pass=\"oobeSystem\"><component><UserAccounts><AdministratorPassword><Value>{}</Value></AdministratorPassword>\
         </UserAccounts><AutoLogon><Password><Value>{}</Value></Password></AutoLogon><ProductKey>{}</ProductKey></component></settings>",
    ),
    ("Windows/Panther/Unattend/unattend.xml", "<unattend><Value>{}</Value>"),
    ("Windows/System32/Sysprep/unattend.xml", "<unattend><ProductKey><Key>{}</Key></ProductKey>"),
    ("autounattend.xml", "{}"),
    ("Windows/Panther/setupact.log", "2026-11-20 10:00:00, Info       net user azureadmin {}\r\n"),
    (
        "Windows/System32/Sysprep/Panther/setuperr.log",
        "2026-11-20 10:00:00, Error                 SYSPRP command failed: C:\\a.exe /password:{} -Token {} password={} 0x80070005\r\n\
         2026-11-20 10:00:01, Error                 SYSPRP https://me:{}@host/x?sig={} -p {} failed\r\n\
         2026-11-20 10:00:02, Error                 SYSPRP net user azureadmin {} /add failed, net use x: \\\\h\\s {} /user:me\r\n\
         2026-11-20 10:00:03, Error                 SYSPRP <Password><Value>{}</Value></Password> \"Password\": \"{}\" PlainText {}\r\n\
         2026-11-20 10:00:04, Error                 SYSPRP ConvertTo-SecureString '{}' -AsPlainText; curl -u me:{} http://x -H 'Authorization: Bearer {}'\r\n",
    ),
    ("Windows/Setup/State/State.ini", "[State]\r\nImageState=IMAGE_STATE_COMPLETE\r\nPassword={}\r\n"),
    ("Windows/Setup/Scripts/SetupComplete.cmd", "net user azureadmin {}\r\n"),
    ("Windows/System32/Tasks/Backup", "<Task><Actions><Exec><Arguments>-p {}</Arguments></Exec></Actions></Task>"),
    ("Windows/System32/inetsrv/config/applicationHost.config", "<processModel password=\"{}\"/>"),
    ("Windows/debug/NetSetup.log", "password {}"),
    ("Windows/System32/GroupPolicy/Machine/Preferences/Groups/Groups.xml", "<Properties cpassword=\"{}\"/>"),
    ("Users/azureadmin/AppData/Roaming/Microsoft/Windows/PowerShell/PSReadLine/ConsoleHost_history.txt", "az login -p {}\r\n"),
    ("Users/azureadmin/.azure/msal_token_cache.json", "{\"secret\": \"{}\"}"),
    ("Users/azureadmin/.ssh/id_ed25519", "{}"),
    ("ProgramData/Microsoft/Wlansvc/Profiles/Interfaces/x/y.xml", "<keyMaterial>{}</keyMaterial>"),
    ("ProgramData/ssh/ssh_host_ed25519_key", "{}"),
    ("WindowsAzure/Config/Certificates.xml", "<Thumbprint>{}</Thumbprint><Data>{}</Data>"),
    ("WindowsAzure/Logs/WaAppAgent.log", "ProtectedSettings {}\r\n"),
    (
        "Packages/Plugins/Microsoft.Compute.CustomScriptExtension/1.10.15/RuntimeSettings/0.settings",
        "{\"protectedSettings\": \"{}\", \"x\": \"{}\"}",
    ),
    ("AzureData/CustomData.bin", "{}"),
    ("hiberfil.sys", "WAKE {}"),
    ("pagefile.sys", "{}"),
];

/// A Windows with a secret of its own in every place, and where each is.
fn laden(command: &str) -> (Vec<Change>, Vec<String>) {
    let (mut changes, mut places, mut next) = (Vec::new(), Vec::new(), 0);
    let mut fill = |text: &str, place: String| {
        let before = next;
        let full = filled(text, &mut next);
        places.extend(std::iter::repeat_n(place, next - before));
        full
    };
    for (key, name, value) in SECRET_TEXTS {
        let place = format!("{key} {name}");
        let name = fill(name, place.clone());
        changes.push(text(key, &name, &fill(value, place)));
    }
    for (key, name) in SECRET_BYTES {
        let bytes = fill("{}", format!("{key} {name}")).into_bytes();
        changes.push(Change::Set((*key).to_owned(), (*name).to_owned(), Value(if name.is_empty() { 0 } else { 3 }, bytes)));
    }
    for (path, content) in SECRET_FILES {
        changes.push(write(path, fill(content, (*path).to_owned()).as_bytes()));
    }
    for service in ["vmtools", "MSSQLSERVER", "qemu-ga", "vmware x", "aws x"] {
        changes.push(dword(&format!("CCS\\Services\\{service}"), "Start", 2));
        changes.push(dword(&format!("CCS\\Services\\{service}"), "Type", 0x10));
    }
    changes.push(dword("CCS\\Services\\xenfilt", "Type", 1));
    let programs = ["autocheck autochk *".to_owned(), fill("tool.exe -password={} {}", "BootExecute".to_owned())];
    changes.push(texts("CCS\\Control\\Session Manager", "BootExecute", &[&programs[0], &programs[1]]));
    changes.push(text("SYSTEM\\Setup", "CmdLine", &fill(command, "CmdLine".to_owned())));
    let proxies = (
        fill("http=http://me:{}@proxy:3128;https=you:{}@proxy:3128", "its proxy".to_owned()),
        fill("x;me:{}@host", "its exceptions".to_owned()),
    );
    changes.push(binary(WINHTTP, "WinHttpSettings", &winhttp(&proxies.0, &proxies.1)));
    changes.push(element(LOADER, 0x1200_0030, Value::text(&fill("/password={} {}", "options of the loader".to_owned()))));
    (changes, places)
}

#[test]
fn no_secret_of_a_windows_is_said() {
    for (state, command) in [
        (State::Specialized, "cmd.exe /c net user azureadmin {} & C:\\a.exe /k {}"),
        (State::Generalized, "cmd.exe /c net user azureadmin {} & oobe\\windeploy.exe /x {}"),
        (State::Generalized, "oobe\\windeploy.exe /password {}"),
    ] {
        let work = tempfile::tempdir().unwrap();
        let disk = work.path().join("windows.vhd");
        let (changes, places) = laden(command);
        if !write_changed(state, &changes, &disk) {
            return;
        }
        let mut all = reading(&disk, work.path(), &[]);
        let prepare = ["prepare", "-v", "--allow-undecided", "--as", &state.to_string()];
        all.extend(writing_with(&disk, work.path(), &prepare, &[]));
        assert!(all.iter().map(|one| one.bytes.len()).sum::<usize>() > 100_000, "hardly anything was said");
        let told = all.iter().any(|one| String::from_utf8_lossy(&one.bytes).contains("vmtoolsd.exe"));
        assert!(told, "the services are not told: the test is blind");
        let found = said(&all, &places);
        assert!(found.is_empty(), "{}", found.join("\n"));
    }
}
