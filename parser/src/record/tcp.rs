//! The four TCP tools.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::Text;

/// What happened to a connection, from tcptracer's `T` (or `TYPE`) column.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TcpEvent {
    /// `C`: opened from here.
    Connect,
    /// `A`: accepted here.
    Accept,
    /// `X`: closed here.
    Close,
    /// `U`: the tool could not tell.
    Unknown,
}

/// A line of tcptracer. `saddr` and `sport` are the local end for every event.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Tcptracer {
    /// Seconds since the first event that the tool processed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time_s: Option<f64>,
    /// What happened.
    #[serde(rename = "type")]
    pub event: TcpEvent,
    /// Process, in the host's numbering.
    pub pid: u32,
    /// Process name.
    pub comm: Text,
    /// IP version, 4 or 6.
    pub ip: u8,
    /// Local address.
    pub saddr: IpAddr,
    /// Remote address.
    pub daddr: IpAddr,
    /// Local port.
    pub sport: u16,
    /// Remote port.
    pub dport: u16,
    /// Inode of the socket's network namespace (option `-v`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub netns: Option<u64>,
}

/// A line of tcpconnect.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Tcpconnect {
    /// Seconds since the first event that the tool processed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time_s: Option<f64>,
    /// User ID (option `-U`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uid: Option<u32>,
    /// Process, in the host's numbering.
    pub pid: u32,
    /// Process name; the tool cuts it to 12 bytes.
    pub comm: Text,
    /// IP version, 4 or 6.
    pub ip: u8,
    /// Local address.
    pub saddr: IpAddr,
    /// Local port (option `-L`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lport: Option<u16>,
    /// Remote address.
    pub daddr: IpAddr,
    /// Remote port.
    pub dport: u16,
    /// The DNS name behind the address, in the tool's words (option `-d`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub query: Option<Text>,
}

/// A line of tcpaccept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Tcpaccept {
    /// Seconds since the first event that the tool processed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time_s: Option<f64>,
    /// Process, in the host's numbering.
    pub pid: u32,
    /// Process name; the tool cuts it to 12 bytes.
    pub comm: Text,
    /// IP version, 4 or 6.
    pub ip: u8,
    /// Remote address.
    pub raddr: IpAddr,
    /// Remote port; the tool prints it from BCC 0.10 on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rport: Option<u16>,
    /// Local address.
    pub laddr: IpAddr,
    /// Local port.
    pub lport: u16,
}

/// A line of tcplife: a session that ended. The tool's PID and name are best effort.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Tcplife {
    /// Seconds since the first event that the tool processed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time_s: Option<f64>,
    /// Process, in the host's numbering; 0 when the session ended in softirq context.
    pub pid: u32,
    /// Process name.
    pub comm: Text,
    /// IP version, 4 or 6 (options `-w` and `-s`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ip: Option<u8>,
    /// Local address.
    pub laddr: IpAddr,
    /// Local port.
    pub lport: u16,
    /// Remote address.
    pub raddr: IpAddr,
    /// Remote port.
    pub rport: u16,
    /// KiB sent and acknowledged.
    pub tx_kb: u64,
    /// KiB received.
    pub rx_kb: u64,
    /// Milliseconds from the first state change seen to the close.
    pub duration_ms: f64,
}
