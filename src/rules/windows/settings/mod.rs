//! Rules about a Windows: what it is, and the settings of its services, clock, storage and network.

mod addresses;
mod domain;
mod dumps;
mod filters;
mod hypervisor_tools;
mod page_file;
mod product;
mod provisioning;
mod proxy;
mod recommended;
mod repairs;
mod routes;
mod serial_console;
mod services;
mod storage;
mod temp;

use crate::rules::{Advice, Elsewhere, Rule};

/// The rules of this folder.
pub(in crate::rules) static RULES: &[&Rule] = &[
    &product::RULE,
    &product::DOT_NET,
    &domain::CONTROLLER,
    &domain::GENERALIZED,
    &domain::MEMBER,
    &recommended::RULE,
    &recommended::TIME_SERVICE,
    &routes::CAPTURED,
    &routes::OTHERS,
    &proxy::RULE,
    &storage::RULE,
    &temp::ELSEWHERE,
    &temp::CHANGED,
    &services::STOPPED,
    &services::DOUBTFUL,
    &services::CHANGED,
    &addresses::RULE,
    &addresses::NAME_SERVERS,
    &dumps::RULE,
    &serial_console::RULE,
    &page_file::RULE,
    &page_file::TEMPORARY,
    &provisioning::CD_DRIVER,
    &provisioning::REMOVABLE,
    &provisioning::APP_LOCKER,
    &filters::CAPTURE,
    &filters::PROTECTION,
    &hypervisor_tools::SERVICES,
    &hypervisor_tools::DRIVERS,
    &repairs::DIRTY,
    &repairs::BOOT_EXECUTE,
];

/// Rows of the catalogue beside them that no rule checks.
pub(in crate::rules) static ADVICE: &[Advice] = &[
    ("W-01", Elsewhere::Facts, "which Windows it is decides about others; what Azure supports of it is checked by W-03"),
    ("W-02", Elsewhere::Facts, "the architecture is shown; what Azure demands of it is checked by G-16"),
    ("W-41", Elsewhere::Nowhere, "an image that DISM has optimized bears no mark of whether it was edited afterwards"),
];
