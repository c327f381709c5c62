//! Commands for a Windows, to be run in an elevated PowerShell.

/// Sets a registry value; `key` begins with `HKLM\\`, `kind` is `REG_DWORD` or another of `reg`'s names.
pub(in crate::rules) fn reg_add(key: &str, value: &str, kind: &str, data: &str) -> String {
    format!("reg add \"{key}\" /v {value} /t {kind} /d {data} /f")
}

/// Removes a registry value.
pub(in crate::rules) fn reg_delete(key: &str, value: &str) -> String {
    format!("reg delete \"{key}\" /v {value} /f")
}

/// Services whose settings Windows lets administrators change in the registry alone: `Set-Service` ends with "Access is denied".
const PROTECTED: [&str; 4] = ["BFE", "mpssvc", "Dnscache", "nsi"];

/// Sets how a service starts: `Automatic`, `Manual`, `Disabled`.
pub(in crate::rules) fn service(name: &str, start: &str) -> String {
    let value = match start {
        "Automatic" => 2,
        "Manual" => 3,
        _ => 4,
    };
    if PROTECTED.iter().any(|one| one.eq_ignore_ascii_case(name)) {
        return driver(name, value);
    }
    format!("Set-Service -Name {name} -StartupType {start}")
}

/// The key under `HKLM` that holds the settings of a service or driver.
pub(in crate::rules) fn service_key(name: &str) -> String {
    format!(r"HKLM\SYSTEM\CurrentControlSet\Services\{name}")
}

/// Sets the value `Start` of a driver, which `Set-Service` does not see, or of a service that it may not change.
pub(in crate::rules) fn driver(name: &str, start: u32) -> String {
    reg_add(&service_key(name), "Start", "REG_DWORD", &start.to_string())
}

/// Several commands on one line.
pub(in crate::rules) fn line(commands: &[String]) -> String {
    let mut once: Vec<&str> = Vec::new();
    for command in commands {
        if !once.contains(&command.as_str()) {
            once.push(command);
        }
    }
    once.join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_whole() {
        assert_eq!(reg_add(r"HKLM\SYSTEM\X", "Start", "REG_DWORD", "2"), r#"reg add "HKLM\SYSTEM\X" /v Start /t REG_DWORD /d 2 /f"#);
        assert_eq!(reg_delete(r"HKLM\SYSTEM\X", "Start"), r#"reg delete "HKLM\SYSTEM\X" /v Start /f"#);
        assert_eq!(service("Dhcp", "Automatic"), "Set-Service -Name Dhcp -StartupType Automatic");
        assert_eq!(service("bfe", "Automatic"), r#"reg add "HKLM\SYSTEM\CurrentControlSet\Services\bfe" /v Start /t REG_DWORD /d 2 /f"#);
        assert_eq!(driver("cdrom", 1), r#"reg add "HKLM\SYSTEM\CurrentControlSet\Services\cdrom" /v Start /t REG_DWORD /d 1 /f"#);
        assert_eq!(line(&["a".to_owned(), "b".to_owned(), "a".to_owned()]), "a; b");
    }
}
