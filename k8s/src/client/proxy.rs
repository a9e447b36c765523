//! Which proxy leads to an API server.
//!
//! kube compares `NO_PROXY` with the proxy's own address and not with the server's (5.0.0), so that a
//! local cluster behind a company proxy is never reached. kubectl's rule, which is Go's
//! (`golang.org/x/net/http/httpproxy`): the cluster's `proxy-url` always applies; a proxy of the
//! environment neither for this machine itself nor for what `NO_PROXY` lists.

use std::net::IpAddr;

use super::Environment;

/// Where a request goes: the parts of a URL that decide about proxies.
#[derive(Debug, Clone, Copy)]
pub(super) struct Destination<'a> {
    /// `https` or `http`.
    pub(super) scheme: &'a str,
    /// Name or address, IPv6 with or without its brackets.
    pub(super) host: &'a str,
    /// Port, where the URL names one.
    pub(super) port: Option<u16>,
}

/// The proxy's URL; `None` is a direct connection.
pub(super) fn choose(
    to: Destination<'_>,
    of_cluster: Option<&str>,
    environment: &Environment,
) -> Option<String> {
    if let Some(url) = of_cluster {
        return Some(url.to_owned());
    }
    let proxy = match to.scheme {
        "http" => environment.http_proxy.as_ref(),
        _ => environment.https_proxy.as_ref(),
    }?;
    if is_this_machine(to.host)
        || is_excepted(to, environment.no_proxy.as_deref().unwrap_or_default())
    {
        return None;
    }
    // As in Go, a bare `host:port` is an HTTP proxy.
    Some(if proxy.contains("://") {
        proxy.clone()
    } else {
        format!("http://{proxy}")
    })
}

/// A URL without the password that it may carry, for messages.
pub(super) fn without_password(url: &str) -> String {
    let (scheme, rest) = url
        .split_once("://")
        .map_or(("", url), |(scheme, rest)| (scheme, rest));
    let host = rest.rsplit_once('@').map_or(rest, |(_, host)| host);
    if scheme.is_empty() {
        host.to_owned()
    } else {
        format!("{scheme}://{host}")
    }
}

fn bare(host: &str) -> &str {
    host.trim_start_matches('[').trim_end_matches(']')
}

fn is_this_machine(host: &str) -> bool {
    let host = bare(host);
    host.eq_ignore_ascii_case("localhost")
        || host
            .parse::<IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

fn is_excepted(to: Destination<'_>, no_proxy: &str) -> bool {
    let host = bare(to.host).to_ascii_lowercase();
    let address = host.parse::<IpAddr>().ok();
    let port = to
        .port
        .unwrap_or(if to.scheme == "http" { 80 } else { 443 });
    no_proxy
        .split(',')
        .map(str::trim)
        .filter(|entry| !entry.is_empty())
        .any(|entry| {
            if entry == "*" {
                return true;
            }
            if let Some((network, length)) = entry.split_once('/') {
                return address.is_some_and(|address| in_network(address, network, length));
            }
            let (name, wanted_port) = split_port(entry);
            if wanted_port.is_some_and(|wanted| wanted != port) {
                return false;
            }
            let name = bare(name).to_ascii_lowercase();
            match (address, name.parse::<IpAddr>()) {
                (Some(address), Ok(excepted)) => address == excepted,
                (Some(_), Err(_)) => false,
                (None, _) => is_domain_of(&name, &host),
            }
        })
}

/// `example.org` excepts itself and what is below it; `.example.org` and `*.example.org` only the latter.
fn is_domain_of(name: &str, host: &str) -> bool {
    let name = name.strip_prefix('*').unwrap_or(name);
    if let Some(domain) = name.strip_prefix('.') {
        host.strip_suffix(domain)
            .is_some_and(|rest| rest.ends_with('.'))
    } else {
        host == name
            || host
                .strip_suffix(name)
                .is_some_and(|rest| rest.ends_with('.'))
    }
}

/// `host:port`, leaving alone an IPv6 address without brackets, whose colons separate no port.
fn split_port(entry: &str) -> (&str, Option<u16>) {
    if entry.parse::<IpAddr>().is_ok() {
        return (entry, None);
    }
    match entry.rsplit_once(':') {
        Some((host, port)) => match port.parse() {
            Ok(port) => (host, Some(port)),
            Err(_) => (entry, None),
        },
        None => (entry, None),
    }
}

fn in_network(address: IpAddr, network: &str, length: &str) -> bool {
    let (Ok(network), Ok(length)) = (network.parse::<IpAddr>(), length.parse::<u32>()) else {
        return false;
    };
    match (address, network) {
        (IpAddr::V4(address), IpAddr::V4(network)) if length <= 32 => {
            let mask = u32::MAX.checked_shl(32 - length).unwrap_or(0);
            address.to_bits() & mask == network.to_bits() & mask
        }
        (IpAddr::V6(address), IpAddr::V6(network)) if length <= 128 => {
            let mask = u128::MAX.checked_shl(128 - length).unwrap_or(0);
            address.to_bits() & mask == network.to_bits() & mask
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::{Destination, Environment, choose, without_password};

    fn to(host: &str, port: u16) -> Destination<'_> {
        Destination {
            scheme: "https",
            host,
            port: Some(port),
        }
    }

    fn behind_proxy(no_proxy: &str) -> Environment {
        Environment {
            https_proxy: Some("proxy.corp:3128".to_owned()),
            no_proxy: Some(no_proxy.to_owned()),
            ..Environment::default()
        }
    }

    fn is_direct(host: &str, no_proxy: &str) -> bool {
        choose(to(host, 6443), None, &behind_proxy(no_proxy)).is_none()
    }

    #[test]
    fn a_cluster_on_this_machine_needs_no_proxy() {
        for host in ["127.0.0.1", "localhost", "LOCALHOST", "[::1]", "127.8.8.8"] {
            assert!(is_direct(host, ""), "{host}");
        }
        assert_eq!(
            choose(to("10.0.0.1", 6443), None, &behind_proxy("")).as_deref(),
            Some("http://proxy.corp:3128")
        );
    }

    #[test]
    fn exceptions_are_read_as_go_reads_them() {
        assert!(is_direct("api.example.org", "example.org"));
        assert!(is_direct("example.org", "other, example.org ,"));
        assert!(!is_direct("example.org", ".example.org"));
        assert!(is_direct("api.example.org", "*.example.org"));
        assert!(!is_direct("badexample.org", "example.org"));
        assert!(is_direct("10.1.2.3", "10.0.0.0/8"));
        assert!(!is_direct("11.1.2.3", "10.0.0.0/8"));
        assert!(is_direct("11.1.2.3", "0.0.0.0/0"));
        assert!(is_direct("[fd00::7]", "fd00::/8"));
        assert!(is_direct("fd00::7", "fd00::7"));
        assert!(is_direct("10.1.2.3", "10.1.2.3:6443"));
        assert!(!is_direct("10.1.2.3", "10.1.2.3:443"));
        assert!(is_direct("anything", "*"));
        assert!(!is_direct("10.1.2.3", "10.0.0.0/99"));
    }

    #[test]
    fn the_clusters_own_proxy_always_applies() {
        let url = choose(
            to("127.0.0.1", 6443),
            Some("socks5://bastion:1080"),
            &behind_proxy("*"),
        );
        assert_eq!(url.as_deref(), Some("socks5://bastion:1080"));
    }

    #[test]
    fn plain_http_has_its_own_variable() {
        let http = Destination {
            scheme: "http",
            host: "10.0.0.1",
            port: None,
        };
        assert_eq!(choose(http, None, &behind_proxy("")), None);
    }

    #[test]
    fn a_message_never_shows_a_password() {
        assert_eq!(
            without_password("http://me:s3cret@proxy:3128"),
            "http://proxy:3128"
        );
        assert_eq!(without_password("proxy:3128"), "proxy:3128");
    }
}
