//! What is told of a Windows.

use super::super::inspect::entry;
use super::super::joined;
use super::super::paint::{Ink, Page, Span, plain};
use crate::facts::{Fact, WindowsFacts};

/// Drivers without which no Windows starts in Azure or is reached there, and the start types that will do.
const NEEDED: [(&str, &[u32]); 3] = [("vmbus", &[0]), ("storvsc", &[0]), ("netvsc", &[0, 1, 2, 3])];

/// What an administrator wants first; everything else with `-v`.
pub(super) fn windows(page: &mut Page<'_>, facts: &WindowsFacts) {
    product(page, facts);
    drivers(page, facts);
    agent(page, facts);
    desktop(page, facts);
    if page.verbose() {
        details(page, facts);
    }
}

fn product(page: &mut Page<'_>, facts: &WindowsFacts) {
    let product = &facts.product;
    let parts = [&product.edition, &product.installation_type, &product.display_version, &product.product_type];
    let known: Vec<&str> = parts.iter().filter_map(|part| part.value()).map(String::as_str).collect();
    if !known.is_empty() {
        entry(page, "edition", &[plain(joined(known, ", "))]);
    }
    if let Some(domain) = facts.name.domain.value().filter(|domain| !domain.is_empty()) {
        entry(page, "domain", &[plain(domain)]);
    }
}

fn drivers(page: &mut Page<'_>, facts: &WindowsFacts) {
    let services = match &facts.services {
        Fact::Known(services) => services,
        Fact::Absent => return,
        Fact::Unknown(reason) => {
            entry(page, "drivers", &[Ink::Yellow.text(format!("not known: {}", reason.0))]);
            return;
        }
    };
    let mut wrong: Vec<Span> = Vec::new();
    for (name, starts) in NEEDED {
        let service = services.iter().find(|one| one.name.eq_ignore_ascii_case(name));
        let said = match service.map(|one| one.start_value.value().copied()) {
            None => Some("is missing".to_owned()),
            Some(None) => Some("has no start type that can be read".to_owned()),
            Some(Some(4)) => Some("is disabled".to_owned()),
            Some(Some(start)) if !starts.contains(&start) => Some(format!("has start type {start}")),
            Some(Some(_)) => None,
        };
        if let Some(said) = said {
            if !wrong.is_empty() {
                wrong.push(plain(", "));
            }
            wrong.push(Ink::Red.text(format!("{name} {said}")));
        }
    }
    if wrong.is_empty() {
        wrong.push(plain("Hyper-V storage and network drivers start"));
    }
    entry(page, "drivers", &wrong);
}

fn agent(page: &mut Page<'_>, facts: &WindowsFacts) {
    let agent = &facts.agent;
    let text = match (agent.registered.value(), agent.version.value()) {
        (Some(true), Some(version)) => plain(format!("Azure VM agent {version}")),
        (Some(true), None) => plain("Azure VM agent"),
        (Some(false), _) => Ink::Yellow.text("no Azure VM agent"),
        (None, _) => Ink::Yellow.text("not known"),
    };
    entry(page, "agents", &[text]);
}

fn desktop(page: &mut Page<'_>, facts: &WindowsFacts) {
    let by_policy = facts.rdp.policy.deny_connections.value() == Some(&1);
    let text = match facts.rdp.deny_connections.value() {
        _ if by_policy => Ink::Yellow.text("switched off by policy"),
        Some(0) => plain("switched on"),
        Some(_) => Ink::Yellow.text("switched off"),
        None => return,
    };
    let port = facts.rdp.station.value().and_then(|station| station.port.value()).filter(|port| **port != 3389);
    entry(page, "RDP", &[text, plain(port.map(|port| format!(", port {port}")).unwrap_or_default())]);
}

fn details(page: &mut Page<'_>, facts: &WindowsFacts) {
    page.blank();
    for (place, service) in facts.services.value().into_iter().flatten().enumerate() {
        let start = service.start_value.value().map_or_else(|| "not known".to_owned(), u32::to_string);
        entry(page, if place == 0 { "services" } else { "" }, &[plain(format!("{}: start {start}", service.name))]);
    }
    let account = |page: &mut Page<'_>, key: &str, text: String| entry(page, key, &[plain(text)]);
    for (place, user) in facts.accounts.users.value().into_iter().flatten().enumerate() {
        account(page, if place == 0 { "users" } else { "" }, format!("{} ({})", user.name, user.rid));
    }
    for (place, file) in facts.answer_files.files.value().into_iter().flatten().enumerate() {
        account(page, if place == 0 { "answers" } else { "" }, file.path.clone());
    }
}
