//! Network settings, remote desktop, Windows Remote Management.

use super::registry::{Registry, dword_of, has_value, optional, text_of, texts_of};
use super::system::full;
use crate::bytes::printable;
use crate::facts::{
    Fact, RdpFacts, RdpPolicyFacts, RdpStationFacts, Unknown, WinHttpProxyFacts, WinRmFacts, WinRmListenerFacts, WindowsInterfaceFacts,
    WindowsNetworkFacts,
};
use crate::guest::windows::hive::Key;
use crate::guest::windows::winhttp;

const TCPIP: &str = "CCS\\Services\\Tcpip\\Parameters";
/// Interfaces, routes and listeners that are told of at most.
const MOST: usize = 1024;

/// Learns `network`.
pub(super) fn network(registry: &Registry) -> WindowsNetworkFacts {
    WindowsNetworkFacts {
        interfaces: interfaces(registry).into(),
        persistent_routes: routes(registry).into(),
        winhttp_proxy: optional(proxy(registry)),
    }
}

fn bounded<T>(all: Vec<T>, what: &str) -> Result<Vec<T>, Unknown> {
    if all.len() > MOST { Err(Unknown(format!("more than {MOST} {what}"))) } else { Ok(all) }
}

fn interfaces(registry: &Registry) -> Result<Vec<WindowsInterfaceFacts>, Unknown> {
    let keys = bounded(registry.keys(&format!("{TCPIP}\\Interfaces"))?.unwrap_or_default(), "interfaces")?;
    Ok(keys.iter().map(interface).collect())
}

fn interface(key: &Key<'_>) -> WindowsInterfaceFacts {
    let addresses = |name: &str| full(texts_of(key, name)).map(|all| all.into_iter().filter(|one| one != "0.0.0.0").collect());
    let servers = |text: String| text.split([',', ' ']).filter(|part| !part.is_empty()).map(str::to_owned).collect();
    WindowsInterfaceFacts {
        id: printable(&key.name()),
        dhcp: dword_of(key, "EnableDHCP"),
        addresses: addresses("IPAddress"),
        gateways: addresses("DefaultGateway"),
        name_servers: text_of(key, "NameServer").map(servers),
    }
}

/// Names of values are the routes.
fn routes(registry: &Registry) -> Result<Vec<String>, Unknown> {
    let values = bounded(registry.values(&format!("{TCPIP}\\PersistentRoutes"))?, "routes")?;
    Ok(values.iter().filter(|value| !value.name.is_empty()).map(|value| printable(&value.name)).collect())
}

fn proxy(registry: &Registry) -> Result<Option<WinHttpProxyFacts>, Unknown> {
    const CONNECTIONS: &str = "SOFTWARE\\Microsoft\\Windows\\CurrentVersion\\Internet Settings\\Connections";
    let Some(value) = registry.value(CONNECTIONS, "WinHttpSettings")? else { return Ok(None) };
    let settings = winhttp::parse(&value.data).ok_or_else(|| Unknown("WinHttpSettings is cut short".to_owned()))?;
    let text = |text: Option<String>| text.map(|text| printable(&text));
    Ok(Some(WinHttpProxyFacts { used: settings.used, proxy: text(settings.proxy), bypass: text(settings.bypass) }))
}

/// Learns `rdp`.
pub(super) fn rdp(registry: &Registry) -> RdpFacts {
    const SERVER: &str = "CCS\\Control\\Terminal Server";
    const POLICY: &str = "SOFTWARE\\Policies\\Microsoft\\Windows NT\\Terminal Services";
    let server = |name: &str| registry.dword(SERVER, name);
    let policy = |name: &str| registry.dword(POLICY, name);
    RdpFacts {
        deny_connections: server("fDenyTSConnections"),
        enabled: server("TSEnabled"),
        drain_mode: server("TSServerDrainMode"),
        user_enabled: server("TSUserEnabled"),
        station: optional(registry.key(&format!("{SERVER}\\WinStations\\RDP-Tcp")).map(|key| key.as_ref().map(station))),
        policy: RdpPolicyFacts {
            deny_connections: policy("fDenyTSConnections"),
            keep_alive_enable: policy("KeepAliveEnable"),
            keep_alive_interval: policy("KeepAliveInterval"),
            disable_auto_reconnect: policy("fDisableAutoReconnect"),
            user_authentication: policy("UserAuthentication"),
            security_layer: policy("SecurityLayer"),
        },
    }
}

fn station(key: &Key<'_>) -> RdpStationFacts {
    RdpStationFacts {
        port: dword_of(key, "PortNumber"),
        lan_adapter: dword_of(key, "LanAdapter"),
        enabled: dword_of(key, "fEnableWinStation"),
        logon_disabled: dword_of(key, "fLogonDisabled"),
        user_authentication: dword_of(key, "UserAuthentication"),
        security_layer: dword_of(key, "SecurityLayer"),
        keep_alive_timeout: dword_of(key, "KeepAliveTimeout"),
        inherit_reconnect_same: dword_of(key, "fInheritReconnectSame"),
        reconnect_same: dword_of(key, "fReconnectSame"),
        max_instances: dword_of(key, "MaxInstanceCount"),
        certificate_pinned: has_value(key, "SSLCertificateSHA1Hash"),
    }
}

/// Learns `winrm`.
pub(super) fn winrm(registry: &Registry) -> WinRmFacts {
    let listeners = || -> Result<Vec<WinRmListenerFacts>, Unknown> {
        let keys = registry.keys("SOFTWARE\\Microsoft\\Windows\\CurrentVersion\\WSMAN\\Listener")?.unwrap_or_default();
        let listener = |key: &Key<'_>| WinRmListenerFacts {
            name: printable(&key.name()),
            port: dword_of(key, "Port"),
            enabled: dword_of(key, "enabled"),
            certificate: has_value(key, "certThumbprint"),
        };
        Ok(bounded(keys, "listeners")?.iter().map(listener).collect())
    };
    WinRmFacts { listeners: listeners().into() }
}

/// The port that remote desktop listens on; 3389 where nothing else is set.
pub(super) fn rdp_port(facts: &RdpFacts) -> u32 {
    let port = match &facts.station {
        Fact::Known(station) => station.port.value().copied(),
        Fact::Absent | Fact::Unknown(_) => None,
    };
    port.unwrap_or(3389)
}
