//! A local port that leads to a port of one pod, by the API server's port-forward.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

/// A port of this machine's loopback that leads to a pod; it and its connections end with it.
#[derive(Debug)]
pub struct Forwarded {
    /// Where it listens. Whoever may connect to this machine's loopback may use it.
    pub address: SocketAddr,
    task: JoinHandle<()>,
}

impl Drop for Forwarded {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Opens one; nothing is asked of the API server before somebody connects.
///
/// # Errors
/// Where no local port is to be had.
pub async fn forward(pods: Api<Pod>, pod: String, port: u16) -> io::Result<Forwarded> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let address = listener.local_addr()?;
    let task = tokio::spawn(serve(listener, pods, pod, port));
    Ok(Forwarded { address, task })
}

async fn serve(listener: TcpListener, pods: Api<Pod>, pod: String, port: u16) {
    // Its end ends all streams in it.
    let mut streams = JoinSet::new();
    loop {
        match listener.accept().await {
            Ok((local, _)) => {
                streams.spawn(bridge(local, pods.clone(), pod.clone(), port));
            }
            // Too many open files, as a rule: others end meanwhile.
            Err(error) => {
                tracing::warn!(%error, pod, "a connection to be forwarded was not taken");
                tokio::time::sleep(std::time::Duration::from_millis(100)).await;
            }
        }
        while streams.try_join_next().is_some() {}
    }
}

/// One connection each has a stream of its own, so that a slow one holds up no other. Where the pod
/// does not answer the local side is closed, which its user sees as such.
async fn bridge(mut local: TcpStream, pods: Api<Pod>, pod: String, port: u16) {
    let refused = |error: &dyn std::fmt::Display| tracing::debug!(%error, pod, "not forwarded");
    if let Err(error) = local.set_nodelay(true) {
        return refused(&error);
    }
    let mut forwarder = match pods.portforward(&pod, &[port]).await {
        Ok(forwarder) => forwarder,
        Err(error) => return refused(&error),
    };
    let Some(mut remote) = forwarder.take_stream(port) else {
        return;
    };
    if let Err(error) = copy_bidirectional(&mut local, &mut remote).await {
        refused(&error);
    }
    forwarder.abort();
}
