//! A port of this machine that leads to a port of a pod, as `kubectl port-forward` does it.

use std::net::{Ipv4Addr, SocketAddr};

use futures_util::FutureExt;
use k8s_openapi::api::core::v1::Pod;
use kube::api::Api;
use tokio::io::{AsyncWriteExt, copy};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

use crate::error::{ApiError, Cause};
use crate::text::visible;
use crate::{Cluster, Error};

/// A listener on the loopback interface. Dropping it closes it and every connection through it.
#[derive(Debug)]
pub struct PortForward {
    address: SocketAddr,
    trouble: watch::Receiver<Option<String>>,
    accepting: JoinHandle<()>,
}

/// How to reach the pod, for each connection anew: the API server opens one stream a connection.
#[derive(Clone)]
struct Way {
    cluster: Cluster,
    namespace: String,
    pod: String,
    port: u16,
}

impl PortForward {
    /// Listens on a free port of 127.0.0.1. One connection is made through it at once, so that a missing
    /// right or a pod that is not there is told here and not by a client that is hung up on.
    ///
    /// # Errors
    /// [`ApiError`].
    pub async fn open(
        cluster: &Cluster,
        namespace: &str,
        pod: &str,
        port: u16,
    ) -> Result<Self, Error> {
        let way = Way {
            cluster: cluster.clone(),
            namespace: namespace.to_owned(),
            pod: pod.to_owned(),
            port,
        };
        drop(way.stream().await?);
        let refused = |error: std::io::Error| ApiError {
            doing: way.doing(),
            cause: Cause::Unreachable {
                server: "127.0.0.1".to_owned(),
                reason: error.to_string(),
            },
        };
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .await
            .map_err(refused)?;
        let address = listener.local_addr().map_err(refused)?;
        let (tell, trouble) = watch::channel(None);
        let accepting = tokio::spawn(accept(listener, way.clone(), tell));
        Ok(Self {
            address,
            trouble,
            accepting,
        })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Why the last connection failed, if one did. A client that left before the pod sent anything counts.
    #[must_use]
    pub fn trouble(&self) -> Option<String> {
        self.trouble.borrow().clone()
    }
}

impl Drop for PortForward {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl Way {
    fn doing(&self) -> String {
        format!(
            "forward a port to {}/{}:{}",
            self.namespace, self.pod, self.port
        )
    }

    async fn stream(&self) -> Result<kube::api::Portforwarder, ApiError> {
        let api: Api<Pod> = Api::namespaced(self.cluster.client(), &self.namespace);
        self.cluster
            .call(self.doing(), api.portforward(&self.pod, &[self.port]))
            .await
    }

    async fn carry(&self, mut local: TcpStream) -> Result<(), String> {
        let mut forwarder = self.stream().await.map_err(|error| error.to_string())?;
        let (Some(remote), Some(failed)) = (
            forwarder.take_stream(self.port),
            forwarder.take_error(self.port),
        ) else {
            return Err(format!(
                "cannot {}: the API server opened no stream",
                self.doing()
            ));
        };
        let failed = failed.fuse();
        tokio::pin!(failed);
        let (mut from_pod, mut to_pod) = tokio::io::split(remote);
        let (mut from_client, mut to_client) = local.split();
        let upwards = async {
            // What ends here may still be answered.
            if copy(&mut from_client, &mut to_pod).await.is_ok() {
                to_pod.shutdown().await.ok();
            }
            std::future::pending::<()>().await;
        };
        // As with kubectl, the connection lasts as long as the pod's side does. A pod that refuses sends
        // words and no end: the client is hung up on here, by dropping `local`.
        let why = tokio::select! {
            Some(words) = &mut failed => Some(visible(&words)),
            received = copy(&mut from_pod, &mut to_client) => match failed.now_or_never().flatten() {
                Some(words) => Some(visible(&words)),
                // kube loses the words if the connection breaks off right behind them.
                None if matches!(received, Ok(0)) => Some("it ended before the pod sent anything".to_owned()),
                None => None,
            },
            () = upwards => None,
        };
        forwarder.abort();
        why.map_or(Ok(()), |why| Err(format!("cannot {}: {why}", self.doing())))
    }
}

async fn accept(listener: TcpListener, way: Way, tell: watch::Sender<Option<String>>) {
    // Aborted with this task, because it is owned by it.
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((local, _)) => {
                    let (way, tell) = (way.clone(), tell.clone());
                    connections.spawn(async move {
                        if let Err(trouble) = way.carry(local).await {
                            tell.send_replace(Some(trouble));
                        }
                    });
                }
                // Out of file descriptors, or a client that left: the next one may fare better.
                Err(error) => {
                    tell.send_replace(Some(error.to_string()));
                    tokio::task::yield_now().await;
                }
            },
            Some(_) = connections.join_next() => {}
        }
    }
}
