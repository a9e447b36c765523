//! The part of a kubelet that forwards ports: TLS with the API server's own certificate, and the protocol of
//! `k8s.io/kubelet/pkg/cri/streaming/portforward/websocket.go`.

use std::net::Ipv4Addr;
use std::sync::Arc;

use futures_util::SinkExt;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{ServerConfig, crypto};
use tokio_rustls::server::TlsStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};

use crate::api_server::ApiServer;

/// The port that is forwarded.
pub(crate) const PORT: u16 = 4222;
const PROTOCOL: &str = "sec-websocket-protocol";

/// One forwarded connection, behind the words that begin it.
pub(crate) type Socket = WebSocketStream<TlsStream<TcpStream>>;

/// A message of this protocol: a channel's number (0: what is carried, 1: trouble) and bytes.
pub(crate) fn binary(bytes: Vec<u8>) -> Message {
    Message::Binary(bytes.into())
}

/// Hands each forwarded connection to `serve` until the test ends, and gives the port that it listens on.
pub(crate) async fn kubelet<F>(
    server: &ApiServer,
    serve: impl Fn(Socket) -> F + Send + 'static,
) -> u16
where
    F: Future<Output = ()> + Send + 'static,
{
    let file = |name: &str| server.folder().join("certs").join(name);
    let chain = CertificateDer::pem_file_iter(file("apiserver.crt"))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    let key = PrivateKeyDer::from_pem_file(file("apiserver.key")).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    tokio::spawn(async move {
        // They end with the listener.
        let mut connections = tokio::task::JoinSet::new();
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let socket = accept(&acceptor, stream).await;
            connections.spawn(serve(socket));
        }
    });
    port
}

async fn accept(acceptor: &TlsAcceptor, stream: TcpStream) -> Socket {
    let tls = acceptor.accept(stream).await.unwrap();
    // The type of the callback is the library's.
    #[allow(clippy::result_large_err, reason = "the library's own type")]
    let agree = |request: &Request, mut response: Response| -> Result<Response, ErrorResponse> {
        assert!(
            request.uri().path().starts_with("/portForward/"),
            "{}",
            request.uri()
        );
        let offered = request.headers()[PROTOCOL]
            .to_str()
            .unwrap()
            .split(',')
            .next()
            .unwrap()
            .trim()
            .to_owned();
        response
            .headers_mut()
            .insert(PROTOCOL, offered.parse().unwrap());
        Ok(response)
    };
    let mut socket = tokio_tungstenite::accept_hdr_async(tls, agree)
        .await
        .unwrap();
    let [low, high] = PORT.to_le_bytes();
    // Which port each of the two channels is for.
    for channel in [0, 1] {
        socket.send(binary(vec![channel, low, high])).await.unwrap();
    }
    socket
}
