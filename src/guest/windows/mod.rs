//! Files of a Windows.

pub mod account;
pub mod bcd;
pub mod coff;
pub mod driver_path;
pub mod firewall;
pub mod hive;
pub mod mounted_device;
pub mod setup_log;
pub mod text;
pub mod winhttp;
