//! A TCP session of the canary with itself.

use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use super::act::{Fact, Facts};

/// KiB that the side that connects sends, and that it is answered: tcplife counts in these.
pub(super) const ASKED_KB: u16 = 3;
pub(super) const ANSWERED_KB: u16 = 5;
/// How long one step may take; only a packet filter on the loopback device makes it wait.
const PATIENCE: Duration = Duration::from_secs(5);

/// One session by IPv4, and one by IPv6 where the node has it.
pub(super) fn talk() -> Result<Facts, String> {
    session(Ipv4Addr::LOCALHOST.into())
        .map_err(|error| format!("cannot connect to itself on the loopback device: {error}"))?;
    let ipv6 = session(Ipv6Addr::LOCALHOST.into());
    Ok(ipv6.map(|()| Fact::Ipv6).into_iter().collect())
}

/// Connect, accept, a question, an answer; the side that connected closes first.
fn session(address: IpAddr) -> io::Result<()> {
    let listener = TcpListener::bind(SocketAddr::new(address, 0))?;
    // The kernel completes the connection by itself and keeps it for `accept`.
    let mut client = TcpStream::connect_timeout(&listener.local_addr()?, PATIENCE)?;
    let (mut server, _) = listener.accept()?;
    for side in [&client, &server] {
        side.set_read_timeout(Some(PATIENCE))?;
    }
    pass(&mut client, &mut server, ASKED_KB)?;
    pass(&mut server, &mut client, ANSWERED_KB)?;
    client.shutdown(Shutdown::Write)?;
    // The end of the other side has arrived before this one closes: each side's role is certain.
    server.read_to_end(&mut Vec::new())?;
    drop(server);
    drop(client);
    Ok(())
}

fn pass(from: &mut TcpStream, to: &mut TcpStream, kib: u16) -> io::Result<()> {
    let mut text = vec![b'x'; usize::from(kib) << 10];
    from.write_all(&text)?;
    to.read_exact(&mut text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_talks_to_itself() {
        assert!(talk().is_ok());
    }
}
