//! What a session lets the network see: its server on loopback, and nothing else.

use crate::listeners::{family, listeners};
use crate::outage::Ordered;

#[test]
fn nothing_listens_but_the_server_on_loopback() {
    for arguments in [&[][..], &["--durable"]] {
        let mut session = Ordered::start_with(arguments, &[], std::process::Stdio::piped());
        session.print(1);
        session.hub.wait_for_lines(1);
        let family = family(session.hub.child.id());
        assert!(family.len() >= 4, "hub, server, agent, tool: {family:?}");
        let listening = listeners(family);
        let [server] = &listening[..] else {
            panic!("one listens: {listening:?}");
        };
        assert!(server.starts_with("tcp 0100007F:"), "{server}");
        assert_eq!(session.end().code, Some(0));
    }
}
