//! Remote desktop and Windows Remote Management.

use crate::facts::Fact;
use serde::Serialize;

/// Remote desktop: values of `Control\Terminal Server`, of its station `RDP-Tcp`, and of the policy
/// `Policies\Microsoft\Windows NT\Terminal Services`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct RdpFacts {
    /// `fDenyTSConnections`: 0 allows connections.
    pub deny_connections: Fact<u32>,
    /// `TSEnabled`.
    pub enabled: Fact<u32>,
    /// `TSServerDrainMode`: other than 0 refuses new sessions.
    pub drain_mode: Fact<u32>,
    /// `TSUserEnabled`: other than 0 refuses logons.
    pub user_enabled: Fact<u32>,
    /// Values of the station `RDP-Tcp`; absent where it has no key.
    pub station: Fact<RdpStationFacts>,
    /// What policy says.
    pub policy: RdpPolicyFacts,
}

/// The station `RDP-Tcp`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RdpStationFacts {
    /// `PortNumber`.
    pub port: Fact<u32>,
    /// `LanAdapter`: 0 for all interfaces.
    pub lan_adapter: Fact<u32>,
    /// `fEnableWinStation`.
    pub enabled: Fact<u32>,
    /// `fLogonDisabled`.
    pub logon_disabled: Fact<u32>,
    /// `UserAuthentication`: 1 asks for network level authentication.
    pub user_authentication: Fact<u32>,
    /// `SecurityLayer`: 0 RDP, 1 negotiated, 2 TLS.
    pub security_layer: Fact<u32>,
    /// `KeepAliveTimeout`.
    pub keep_alive_timeout: Fact<u32>,
    /// `fInheritReconnectSame`.
    pub inherit_reconnect_same: Fact<u32>,
    /// `fReconnectSame`.
    pub reconnect_same: Fact<u32>,
    /// `MaxInstanceCount`: connections at most; 4294967295 for no limit.
    pub max_instances: Fact<u32>,
    /// Whether a certificate is pinned (`SSLCertificateSHA1Hash`); never which.
    pub certificate_pinned: Fact<bool>,
}

/// Remote desktop, as policy has it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct RdpPolicyFacts {
    /// `fDenyTSConnections`.
    pub deny_connections: Fact<u32>,
    /// `KeepAliveEnable`.
    pub keep_alive_enable: Fact<u32>,
    /// `KeepAliveInterval`.
    pub keep_alive_interval: Fact<u32>,
    /// `fDisableAutoReconnect`.
    pub disable_auto_reconnect: Fact<u32>,
    /// `UserAuthentication`.
    pub user_authentication: Fact<u32>,
    /// `SecurityLayer`.
    pub security_layer: Fact<u32>,
}

/// Windows Remote Management.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct WinRmFacts {
    /// Its listeners.
    pub listeners: Fact<Vec<WinRmListenerFacts>>,
}

/// A listener of Windows Remote Management.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct WinRmListenerFacts {
    /// Address and transport: `*+HTTP`.
    pub name: String,
    /// Its port.
    pub port: Fact<u32>,
    /// Whether it is on; absent where nothing is said, and then it is.
    pub enabled: Fact<u32>,
    /// Whether it names a certificate; never which.
    pub certificate: Fact<bool>,
}
