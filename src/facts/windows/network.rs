//! Network settings.

use crate::facts::Fact;
use serde::Serialize;

/// Network settings.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct WindowsNetworkFacts {
    /// Interfaces that IPv4 has settings for.
    pub interfaces: Fact<Vec<WindowsInterfaceFacts>>,
    /// Persistent routes: `destination,mask,gateway,metric`.
    pub persistent_routes: Fact<Vec<String>>,
    /// The proxy that services use (WinHTTP); absent where nothing is set.
    pub winhttp_proxy: Fact<WinHttpProxyFacts>,
}

/// IPv4 settings of an interface.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct WindowsInterfaceFacts {
    /// Its GUID, as the key's name has it.
    pub id: String,
    /// `EnableDHCP`.
    pub dhcp: Fact<u32>,
    /// `IPAddress`: static addresses; empty texts and `0.0.0.0` left out.
    pub addresses: Fact<Vec<String>>,
    /// `DefaultGateway`.
    pub gateways: Fact<Vec<String>>,
    /// `NameServer`: static name servers, without empty ones.
    pub name_servers: Fact<Vec<String>>,
}

/// The proxy of WinHTTP.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct WinHttpProxyFacts {
    /// Whether a proxy is used; if not, connections are direct.
    pub used: bool,
    /// `proxy:8080`; a password in it is left out.
    pub proxy: Option<String>,
    /// Addresses that are reached without it, between semicolons.
    pub bypass: Option<String>,
}
