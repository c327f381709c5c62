//! Which Windows it is.

use crate::facts::Fact;
use serde::Serialize;

/// Which Windows it is.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct WindowsProductFacts {
    /// What people call it: `ProductName`, with Windows 11 for clients from build 22000 on, where the registry still says Windows 10.
    pub name: Fact<String>,
    /// `ProductName` as the registry has it.
    pub registry_name: Fact<String>,
    /// `EditionID`: `ServerDatacenter`.
    pub edition: Fact<String>,
    /// `InstallationType`: `Server`, `Server Core`, `Client`.
    pub installation_type: Fact<String>,
    /// `10.0.20348.2113`; without the update revision where it is not set.
    pub version: Fact<String>,
    /// `CurrentBuild` (or `CurrentBuildNumber`): 20348.
    pub build: Fact<u32>,
    /// `UBR`: the update revision.
    pub revision: Fact<u32>,
    /// `DisplayVersion`: `23H2`.
    pub display_version: Fact<String>,
    /// `ReleaseId`: `1809`.
    pub release_id: Fact<String>,
    /// `PROCESSOR_ARCHITECTURE`: `AMD64`, `ARM64`, `x86`.
    pub processor: Fact<String>,
    /// The machine that the kernel (`ntoskrnl.exe`) was built for: `x64`, `Arm64`, `x86`, `Arm`, or its number in hex.
    pub kernel_machine: Fact<String>,
    /// `ProductType`: `WinNT` (workstation), `ServerNT` (server), `LanmanNT` (domain controller).
    pub product_type: Fact<String>,
    /// Where Windows was installed, in its own words: `C:\Windows`.
    pub system_root: Fact<String>,
    /// The .NET Framework 4: its version; absent where it is not installed.
    pub dot_net_4: Fact<String>,
}

/// Computer name and domain.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct WindowsNameFacts {
    /// `Control\ComputerName\ComputerName`: the name from the next start on.
    pub computer_name: Fact<String>,
    /// `Control\ComputerName\ActiveComputerName`: the name when it was last started, where it is kept.
    pub active_computer_name: Fact<String>,
    /// `Tcpip\Parameters\Hostname`.
    pub host_name: Fact<String>,
    /// `Tcpip\Parameters\NV Hostname`: the host name from the next start on.
    pub nv_host_name: Fact<String>,
    /// `Tcpip\Parameters\Domain`: the primary DNS suffix; absent where it is empty.
    pub domain: Fact<String>,
    /// `Tcpip\Parameters\NV Domain`: the suffix from the next start on; absent where it is empty.
    pub nv_domain: Fact<String>,
    /// `Winlogon\DefaultDomainName`.
    pub logon_domain: Fact<String>,
    /// The workgroup, or the domain's NetBIOS name (`SECURITY\Policy\PolPrDmN`).
    pub primary_domain: Fact<String>,
}
