//! What makes one machine of an installation.

use crate::facts::Fact;
use serde::Serialize;

/// What makes one machine of an installation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct IdentityFacts {
    /// `/etc/machine-id`; absent where there is no such file.
    pub machine_id: Fact<MachineIdFacts>,
    /// D-Bus's copy, `/var/lib/dbus/machine-id`: `link` to the other, `same`, `different`; absent where there is none.
    pub dbus_machine_id: Fact<String>,
    /// The host name, and the file that sets it.
    pub host_name: Fact<HostNameFacts>,
    /// Lines of `/etc/hosts`.
    pub hosts: Fact<Vec<HostLineFacts>>,
}

/// `/etc/machine-id`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MachineIdFacts {
    /// `empty`, `uninitialized`, `set` or `malformed`.
    pub state: String,
    /// The id where it is set: 32 hexadecimal digits.
    pub id: Option<String>,
}

/// A host name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HostNameFacts {
    /// The name.
    pub name: String,
    /// The file that sets it.
    pub path: String,
}

/// A line of `/etc/hosts`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HostLineFacts {
    /// Its number, the first is 1.
    pub line: usize,
    /// The address, as written.
    pub address: String,
    /// The names, as written.
    pub names: Vec<String>,
}
