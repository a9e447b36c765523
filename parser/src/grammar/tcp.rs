//! Cells that the TCP tools share.

use std::net::IpAddr;

use crate::columns::Columns;
use crate::error::Fault;
use crate::number;

/// The cell `IP`, which must begin here: 4 or 6.
pub(super) fn version(columns: &mut Columns<'_>) -> Result<u8, Fault> {
    let before = *columns;
    match columns.token("IP")? {
        b"4" => Ok(4),
        b"6" => Ok(6),
        _ => Err(before.fault("IP", "4 or 6 right behind COMM")),
    }
}

/// An address of IP version `ip`, bare.
pub(super) fn address(
    columns: &mut Columns<'_>,
    title: &'static str,
    ip: u8,
) -> Result<IpAddr, Fault> {
    let before = *columns;
    let token = columns.next_token(title)?;
    of_version(number::address(token), ip).ok_or_else(|| before.fault(title, expected(ip)))
}

/// An address of IP version `ip`, in square brackets if that is 6.
pub(super) fn bracketed(
    columns: &mut Columns<'_>,
    title: &'static str,
    ip: u8,
) -> Result<IpAddr, Fault> {
    let before = *columns;
    let token = columns.next_token(title)?;
    let bare = match (ip, token) {
        (6, [b'[', bare @ .., b']']) => Some(bare),
        (6, _) => None,
        _ => Some(token),
    };
    of_version(bare.and_then(number::address), ip).ok_or_else(|| before.fault(title, expected(ip)))
}

fn of_version(address: Option<IpAddr>, ip: u8) -> Option<IpAddr> {
    address.filter(|address| self::ip(*address) == ip)
}

fn expected(ip: u8) -> &'static str {
    if ip == 4 {
        "an IPv4 address, as IP says"
    } else {
        "an IPv6 address, as IP says"
    }
}

/// The IP version of an address.
pub(super) fn ip(address: IpAddr) -> u8 {
    if address.is_ipv4() { 4 } else { 6 }
}

/// A port number, blanks before it skipped.
pub(super) fn port(columns: &mut Columns<'_>, title: &'static str) -> Result<u16, Fault> {
    let before = *columns;
    number::unsigned(columns.next_token(title)?)
        .and_then(|port| port.try_into().ok())
        .ok_or_else(|| before.fault(title, "a port number"))
}

/// A port number, blanks before it skipped, and the blanks that fill its cell.
pub(super) fn port_cell(
    columns: &mut Columns<'_>,
    title: &'static str,
    stride: usize,
) -> Result<u16, Fault> {
    columns.skip_blanks();
    let before = *columns;
    u16::try_from(columns.number(title, stride)?).map_err(|_| before.fault(title, "a port number"))
}

/// A count that an older tool's arithmetic can take below zero, blanks before it skipped.
pub(super) fn signed(columns: &mut Columns<'_>, title: &'static str) -> Result<i64, Fault> {
    let before = *columns;
    number::signed(columns.next_token(title)?)
        .ok_or_else(|| before.fault(title, "a decimal number, perhaps negative"))
}

/// A count, blanks before it skipped.
pub(super) fn count(columns: &mut Columns<'_>, title: &'static str) -> Result<u64, Fault> {
    let before = *columns;
    number::unsigned(columns.next_token(title)?)
        .ok_or_else(|| before.fault(title, "a decimal number"))
}
