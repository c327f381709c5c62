//! What is told of a Linux.

use super::super::inspect::entry;
use super::super::joined;
use super::super::paint::{Ink, Page, Span, count, plain, short};
use crate::facts::{DriverState, Fact, KernelFacts, LinuxFacts};

/// Drivers without which no Linux starts in Azure or is reached there.
const NEEDED: [&str; 3] = ["hv_vmbus", "hv_storvsc", "hv_netvsc"];
/// Of these, the ones that must be there before the root is mounted.
const EARLY: [&str; 2] = ["hv_vmbus", "hv_storvsc"];

/// What an administrator wants first; everything else with `-v`.
pub(super) fn linux(page: &mut Page<'_>, facts: &LinuxFacts) {
    kernels(page, facts);
    command_line(page, facts);
    agents(page, facts);
    logins(page, facts);
    if page.verbose() {
        details(page, facts);
    }
}

fn kernels(page: &mut Page<'_>, facts: &LinuxFacts) {
    let Some(kernels) = facts.kernels.value() else { return };
    let most = if page.verbose() { kernels.len() } else { 2 };
    for (place, kernel) in kernels.iter().take(most).enumerate() {
        let mut body = vec![plain(&kernel.release), plain("; ")];
        body.extend(drivers(kernel));
        entry(page, if place == 0 { "kernel" } else { "" }, &body);
    }
    if kernels.is_empty() {
        entry(page, "kernel", &[Ink::Yellow.text("none")]);
    } else if kernels.len() > most {
        entry(page, "", &[Ink::Dim.text(format!("and {} more", count(kernels.len().saturating_sub(most), "kernel")))]);
    }
}

/// `Hyper-V drivers are there`, or which are not.
fn drivers(kernel: &KernelFacts) -> Vec<Span> {
    let (mut missing, mut late, mut unknown) = (Vec::new(), Vec::new(), Vec::new());
    for name in NEEDED {
        let Some(driver) = kernel.drivers.get(name) else {
            unknown.push(name);
            continue;
        };
        match (driver.is_there(), driver.is_early()) {
            (Ok(false), _) => missing.push(name),
            (Ok(true), Ok(false)) if EARLY.contains(&name) => late.push(name),
            (Err(_), _) => unknown.push(name),
            (_, Err(_)) if EARLY.contains(&name) => unknown.push(name),
            _ => {}
        }
    }
    let mut out = Vec::new();
    for (names, ink, what) in
        [(missing, Ink::Red, "missing"), (late, Ink::Red, "not in the initramfs"), (unknown, Ink::Yellow, "not known whether it is there")]
    {
        if !names.is_empty() {
            if !out.is_empty() {
                out.push(plain(", "));
            }
            out.push(ink.text(format!("{}: {what}", joined(names, ", "))));
        }
    }
    if out.is_empty() {
        out.push(plain("Hyper-V storage and network drivers are there"));
    }
    out
}

fn command_line(page: &mut Page<'_>, facts: &LinuxFacts) {
    if let Some(line) = facts.boot.command_line.value() {
        entry(page, "command", &[plain(line)]);
    }
}

fn agents(page: &mut Page<'_>, facts: &LinuxFacts) {
    let mut parts: Vec<Span> = Vec::new();
    let version = |version: &Fact<String>| version.value().map(|version| format!(" {version}")).unwrap_or_default();
    match &facts.agents.waagent {
        Fact::Known(agent) => parts.push(plain(format!("Azure Linux agent{}", version(&agent.version)))),
        Fact::Absent => parts.push(Ink::Yellow.text("no Azure Linux agent")),
        Fact::Unknown(_) => parts.push(Ink::Yellow.text("Azure Linux agent: not known")),
    }
    parts.push(plain(", "));
    match &facts.agents.cloud_init {
        Fact::Known(agent) => parts.push(plain(format!("cloud-init{}", version(&agent.version)))),
        Fact::Absent => parts.push(plain("no cloud-init")),
        Fact::Unknown(_) => parts.push(Ink::Yellow.text("cloud-init: not known")),
    }
    entry(page, "agents", &parts);
}

fn logins(page: &mut Page<'_>, facts: &LinuxFacts) {
    let Some(users) = facts.accounts.users.value() else { return };
    let able: Vec<&str> = users.iter().filter(|user| user.can_log_in == Fact::Known(true)).map(|user| user.name.as_str()).collect();
    let text = if able.is_empty() { "nobody can log in".to_owned() } else { format!("{} can log in", joined(able, ", ")) };
    entry(page, "accounts", &[plain(text)]);
}

/// Everything else, group by group.
fn details(page: &mut Page<'_>, facts: &LinuxFacts) {
    page.blank();
    for kernel in facts.kernels.value().into_iter().flatten() {
        kernel_details(page, kernel);
    }
    if let Some(lines) = facts.mounts.fstab.value() {
        for (place, line) in lines.iter().enumerate() {
            let on = line.on.value().map(|on| format!(" ({on})")).unwrap_or_default();
            let text = format!("{} at {}{on}, {}, {}", line.source, line.target, line.kind, line.options.join(","));
            entry(page, if place == 0 { "fstab" } else { "" }, &[plain(text)]);
        }
    }
    interfaces(page, facts);
    for (place, user) in facts.accounts.users.value().into_iter().flatten().filter(|user| user.person || user.uid == 0).enumerate() {
        let password = user.password.value().map_or("not known", String::as_str);
        let keys = user.authorized_keys.value().map_or_else(|| "not known".to_owned(), usize::to_string);
        let text = format!("{} ({}), {}, password {password}, keys {keys}", user.name, user.uid, user.shell);
        entry(page, if place == 0 { "users" } else { "" }, &[plain(text)]);
    }
    if let Some(keys) = facts.ssh.host_keys.value() {
        let kinds: Vec<&str> = keys.iter().filter(|key| key.private).map(|key| key.kind.as_str()).collect();
        entry(page, "host keys", &[plain(if kinds.is_empty() { "none".to_owned() } else { joined(kinds, ", ") })]);
    }
    if let Some(packages) = facts.packages.value() {
        for (place, package) in packages.of_interest.iter().enumerate() {
            entry(page, if place == 0 { "packages" } else { "" }, &[plain(format!("{} {}", package.name, package.version))]);
        }
    }
    if let Some(services) = facts.services.value() {
        let starting: Vec<&str> =
            services.units.iter().filter(|unit| services.starts(&unit.name) == Fact::Known(true)).map(|unit| unit.name.as_str()).collect();
        entry(page, "starting", &[plain(joined(starting, ", "))]);
    }
    residue(page, facts);
}

fn kernel_details(page: &mut Page<'_>, kernel: &KernelFacts) {
    let archive = kernel.initramfs.value();
    let initramfs = archive.map(|one| {
        let inside = one.content.value();
        let unpacked =
            inside.map(|inside| format!(", {} entries, {} unpacked", inside.entries, short(inside.unpacked))).unwrap_or_default();
        format!("{}, {}{unpacked}", one.path, short(one.size))
    });
    entry(page, "kernel", &[plain(&kernel.release)]);
    if let Some(text) = initramfs {
        entry(page, "initramfs", &[plain(text)]);
    }
    let state = |name: &String| -> String {
        let Some(driver) = kernel.drivers.get(name) else { return String::new() };
        let word = match driver.state.value() {
            Some(DriverState::BuiltIn) => "built in",
            Some(DriverState::Module) => "module",
            Some(DriverState::Missing) => "missing",
            None => "not known",
        };
        let early = if driver.in_initramfs.value() == Some(&true) { ", in the initramfs" } else { "" };
        format!("{name}: {word}{early}")
    };
    let all: Vec<String> = kernel.drivers.keys().map(state).collect();
    entry(page, "drivers", &[plain(joined(all.iter().map(String::as_str), "; "))]);
}

fn interfaces(page: &mut Page<'_>, facts: &LinuxFacts) {
    let network = &facts.network;
    let all = [&network.netplan, &network.ifcfg, &network.network_manager, &network.ifupdown, &network.networkd];
    for (place, one) in all.into_iter().filter_map(Fact::value).flatten().enumerate() {
        let dhcp = match one.dhcp4 {
            Some(true) => ", DHCP",
            Some(false) => ", no DHCP",
            None => "",
        };
        let bound = one.mac.as_ref().map(|mac| format!(", only {mac}")).unwrap_or_default();
        let fixed = if one.addresses.is_empty() { String::new() } else { format!(", {}", one.addresses.join(" ")) };
        let name = if one.name.is_empty() { "any" } else { &one.name };
        entry(page, if place == 0 { "network" } else { "" }, &[plain(format!("{name}{dhcp}{bound}{fixed} ({})", one.path))]);
    }
}

fn residue(page: &mut Page<'_>, facts: &LinuxFacts) {
    let left = &facts.residue;
    let files =
        |files: &Fact<Vec<crate::facts::FileFacts>>| files.value().map(|files| files.iter().map(|file| file.path.clone()).collect());
    let lists: [(&str, Option<Vec<String>>); 5] = [
        ("histories", files(&left.histories)),
        ("leases", left.leases.value().cloned()),
        ("logs", files(&left.logs)),
        ("seeds", left.seeds.value().cloned()),
        ("tokens", left.credentials.value().cloned()),
    ];
    for (key, list) in lists {
        if let Some(list) = list.filter(|list| !list.is_empty()) {
            entry(page, key, &[plain(joined(list.iter().map(String::as_str), ", "))]);
        }
    }
}
