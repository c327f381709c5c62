//! Rules about reaching a Windows: remote desktop, firewall, Windows Remote Management, rights to log on.

mod certificate;
mod connection;
mod desktop;
mod filter;
mod firewall;
mod platform_address;
mod port;
mod reachable;
mod rights;
mod switches;

use crate::facts::WindowsFacts;
use crate::rules::Rule;
use crate::rules::windows::checks::{self, Wrong};

/// The rules of this folder.
pub(in crate::rules) static RULES: &[&Rule] = &[
    &desktop::RULE,
    &switches::RULE,
    &switches::USERS,
    &port::RULE,
    &port::ADAPTER,
    &connection::RULE,
    &certificate::RULE,
    &firewall::OFF,
    &firewall::BLOCKED,
    &firewall::LIMITED,
    &reachable::RULE,
    &platform_address::RULE,
    &platform_address::INBOUND,
    &rights::RULE,
    &rights::REDUCED,
];

/// Settings of remote desktop.
const TERMINAL_SERVER: &str = r"HKLM\SYSTEM\CurrentControlSet\Control\Terminal Server";
/// Settings of what listens for connections.
const STATION: &str = r"HKLM\SYSTEM\CurrentControlSet\Control\Terminal Server\WinStations\RDP-Tcp";
/// The same by policy.
const POLICY: &str = r"HKLM\SOFTWARE\Policies\Microsoft\Windows NT\Terminal Services";
/// What a client shows that is refused.
const REFUSED: &str =
    "Remote Desktop can't connect to the remote computer for one of these reasons: Remote access to the server is not enabled";

/// What is wrong where nothing is set up to listen.
fn no_station(windows: &WindowsFacts) -> Wrong {
    Wrong {
        found: r"the station WinStations\RDP-Tcp is missing".to_owned(),
        required: r"the key WinStations\RDP-Tcp".to_owned(),
        place: checks::place(windows, TERMINAL_SERVER, r"WinStations\RDP-Tcp"),
        cure:
            r"import the key 'HKLM\SYSTEM\CurrentControlSet\Control\Terminal Server\WinStations\RDP-Tcp' from a Windows of the same version"
                .to_owned(),
    }
}
