//! What the rules know of a Linux that is to become a template, for whoever makes it one: so that what passes them is what is made.

use super::leftovers::identity;
use super::network::{dialect, eth0};
use super::provisioner::{self, Provisioner};
use super::{Guest, generalize_steps};
use crate::facts::{InterfaceFacts, LinuxFacts, OsFacts};
use crate::rules::Skip;

/// A Linux that is to become a template.
#[derive(Clone, Copy)]
pub(crate) struct Template<'a>(Guest<'a>);

/// Which agent makes SSH host keys on every new machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum KeyMaker<'a> {
    /// cloud-init makes those that are missing.
    CloudInit,
    /// The Azure Linux agent is told to.
    Agent,
    /// The Azure Linux agent provisions, and this file does not tell it to.
    AgentUntold(&'a str),
    /// No agent does.
    Nobody,
}

impl<'a> Template<'a> {
    /// Of what is known.
    pub(crate) fn new(os: &'a OsFacts, linux: &'a LinuxFacts) -> Self {
        Self(Guest { os, linux })
    }

    /// Files by which installers keep cloud-init away from the network, where it runs.
    ///
    /// # Errors
    ///
    /// When that is not decided.
    pub(crate) fn installers(&self) -> Result<Vec<&'a str>, Skip> {
        generalize_steps::installers(&self.0)
    }

    /// Whether cloud-init writes the network anew on every new machine, once those files are gone.
    ///
    /// # Errors
    ///
    /// When that is not decided.
    pub(crate) fn is_network_rewritten(&self) -> Result<bool, Skip> {
        generalize_steps::is_network_rewritten(&self.0)
    }

    /// Entries that give `eth0` an address of one machine, by path and address.
    ///
    /// # Errors
    ///
    /// When that is not decided.
    pub(crate) fn static_entries(&self) -> Result<Vec<&'a InterfaceFacts>, Skip> {
        eth0::static_entries(&self.0)
    }

    /// Which agent makes SSH host keys on every new machine.
    ///
    /// # Errors
    ///
    /// When that is not decided, or the question is none because no agent provisions such a system.
    pub(crate) fn key_maker(&self) -> Result<KeyMaker<'a>, Skip> {
        Ok(match provisioner::provisioner(&self.0)? {
            // What ssh_deletekeys says concerns keys that are there: missing ones are made (cloud-init's cc_ssh.py).
            Provisioner::CloudInit | Provisioner::Conflict => KeyMaker::CloudInit,
            Provisioner::Waagent => match provisioner::waagent(&self.0)?.map(|agent| agent.configuration.known()).transpose()?.flatten() {
                Some(file) if file.switch("Provisioning.RegenerateSshHostKeyPair") == Some(true) => KeyMaker::Agent,
                Some(file) => KeyMaker::AgentUntold(&file.path),
                None => KeyMaker::Nobody,
            },
            Provisioner::Waits | Provisioner::ReportsOnly | Provisioner::Nobody => KeyMaker::Nobody,
        })
    }
}

/// Whether cloud-init has written a file of network configuration for the machine that it set up.
pub(crate) fn is_rendered(path: &str) -> bool {
    generalize_steps::is_rendered(path)
}

/// Whether an entry gives `eth0` of any machine an address by DHCP.
pub(crate) fn gives_an_address(interface: &InterfaceFacts) -> bool {
    dialect::covers(interface)
}

/// Whether a host name is one that installations have before they are given one.
pub(crate) fn is_neutral(name: &str) -> bool {
    identity::is_neutral(name)
}
