//! What starts by itself.

use crate::facts::Fact;
use serde::Serialize;

/// What starts by itself.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct ServicesFacts {
    /// Who starts services: `systemd`, `openrc`, `upstart`, `sysvinit`, `runit`.
    pub init: Fact<String>,
    /// Where systemd's `default.target` leads: `multi-user.target`.
    pub default_target: Fact<String>,
    /// Whether cloud-init's generator is there, which has systemd start `cloud-init.target` where it finds a data source.
    pub cloud_init_generator: Fact<bool>,
    /// Units of interest here that are installed or masked, by name; one that is not listed is missing. What presets would enable on a
    /// first boot is not counted in.
    pub units: Vec<UnitFacts>,
}

impl ServicesFacts {
    /// The state of a unit; [`UnitState::Missing`] where it is not installed.
    #[must_use]
    pub fn state(&self, name: &str) -> Fact<UnitState> {
        let unit = self.units.iter().find(|unit| unit.name == name);
        unit.map_or(Fact::Known(UnitState::Missing), |unit| unit.state.clone())
    }

    /// Whether a unit starts by itself: enabled, or pulled in by a link that its package brought.
    #[must_use]
    pub fn starts(&self, name: &str) -> Fact<bool> {
        let unit = self.units.iter().find(|unit| unit.name == name);
        unit.map_or(Fact::Known(false), |unit| {
            let starts = |state| state == UnitState::Enabled || (state == UnitState::Static && unit.by.is_some());
            unit.state.clone().map(starts)
        })
    }
}

/// A unit of systemd, or a service of another init.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct UnitFacts {
    /// Its name with its suffix: `sshd.service`; without one for other inits.
    pub name: String,
    /// Whether it starts by itself, in the words of `systemctl is-enabled`.
    pub state: Fact<UnitState>,
    /// The link that has it started, or masks it.
    pub by: Option<String>,
    /// Its file.
    pub file: Option<String>,
}

/// States of units, as `systemctl is-enabled` names them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum UnitState {
    /// A link in `/etc` has it started.
    Enabled,
    /// It could be started by itself, and is not.
    Disabled,
    /// It cannot be started at all.
    Masked,
    /// Nothing says how to enable it; others start it, or the link that its package brought.
    Static,
    /// Enabling it enables others.
    Indirect,
    /// It is another name of a unit.
    Alias,
    /// It is not installed.
    Missing,
}
