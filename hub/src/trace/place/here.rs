//! This machine, as agents reach it.

use std::net::{IpAddr, Ipv4Addr, TcpListener};

use x_k8s::error::Cause;
use x_k8s::node::{self, NodeError};

use crate::exit::Failure;
use crate::local::host_name;
use crate::trace::Config;
use crate::trace::fleet::Base;

/// The port of the hub's own server: the original's, so that an opened firewall stays right.
pub(super) const HUB_PORT: u16 = 6666;

/// Where agents reach this machine. Where it is no node, the address from which it reaches the API
/// server is as good a guess as there is; whether agents do is seen soon.
pub(super) async fn own_address(base: &Base, config: &Config) -> Result<String, Failure> {
    if let Some(address) = &config.hub_address {
        return Ok(address.clone());
    }
    let host = host_name()?;
    let error = match node::hub_address(&base.cluster, config.kind, &host).await {
        Ok(address) => return Ok(address),
        Err(error) => error,
    };
    let unknown = match &error {
        x_k8s::Error::Node(NodeError::NotANode { .. }) => true,
        x_k8s::Error::Api(error) => matches!(error.cause, Cause::Forbidden { .. }),
        _ => false,
    };
    let guess = if unknown {
        node::own_address(&base.cluster).await
    } else {
        None
    };
    guess.ok_or_else(|| error.into())
}

/// Where to listen for those who know this machine by an address. One that is not this machine's own is
/// translated on the way to it, so that every interface may be meant. The port is the original's if that is free.
pub(super) fn listen(address: &str) -> (IpAddr, u16) {
    let host = address
        .parse()
        .ok()
        .filter(|host: &IpAddr| TcpListener::bind((*host, 0)).is_ok())
        .unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
    let free = TcpListener::bind((host, HUB_PORT)).is_ok();
    (host, if free { HUB_PORT } else { 0 })
}

/// An address as it stands in a URL.
pub(super) fn bracketed(address: &str) -> String {
    if address.contains(':') {
        format!("[{address}]")
    } else {
        address.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_of_another_machine_means_every_interface() {
        assert!(listen("192.0.2.1").0.is_unspecified());
        assert!(listen("hub.example").0.is_unspecified());
        assert_eq!(listen("127.0.0.1").0, Ipv4Addr::LOCALHOST);
    }

    #[test]
    fn another_port_is_taken_where_the_originals_is_not_free() {
        // Whoever holds it, it is held now.
        let _held = TcpListener::bind(("127.0.0.1", HUB_PORT));
        assert_eq!(listen("127.0.0.1"), (Ipv4Addr::LOCALHOST.into(), 0));
    }

    #[test]
    fn a_bare_ipv6_address_gets_its_brackets() {
        assert_eq!(bracketed("fd00::1"), "[fd00::1]");
        assert_eq!(bracketed("10.0.0.7"), "10.0.0.7");
    }
}
