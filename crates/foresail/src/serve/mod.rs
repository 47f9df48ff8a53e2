//! The server of the live pages: read-only, on loopback unless whoever asks is checked.
//!
//! Bytes are made by `foresail_web::live::route`; here are the doors only: who may come in, how many,
//! how long. Source: specs/reliability.md Q19, Q20, Q22, Q24.

pub mod authorize;
mod door;
mod events;
pub mod host;
pub mod options;
pub mod records;
pub mod token_review;

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Context, Result};
use foresail_web::live::LiveSource;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

pub use authorize::{Authorizer, Denied};
pub use options::{Limits, Options};

use door::Door;

/// How long answers in progress may take once the server is asked to end.
const LAST_ANSWERS: std::time::Duration = std::time::Duration::from_secs(2);

/// A server that listens already and answers nobody yet.
#[derive(Debug)]
pub struct Bound {
    listener: TcpListener,
    options: Options,
    /// Where it listens.
    pub address: SocketAddr,
}

/// Begins to listen.
///
/// # Errors
/// Where the options would let anybody in, or the port is taken.
pub async fn bind(options: Options) -> Result<Bound> {
    options.check()?;
    let asked = SocketAddr::new(options.bind, options.port);
    let listener = TcpListener::bind(asked)
        .await
        .with_context(|| format!("cannot listen on {asked}; give another --port or --bind"))?;
    let address = listener.local_addr().context("the port is not known")?;
    Ok(Bound {
        listener,
        options,
        address,
    })
}

/// Serves a source until `shutdown` ends.
///
/// # Errors
/// Where the options would let anybody in, or the port is taken.
pub async fn run(
    source: Arc<dyn LiveSource>,
    options: Options,
    shutdown: impl Future<Output = ()>,
) -> Result<()> {
    bind(options).await?.serve(source, shutdown).await;
    Ok(())
}

impl Bound {
    /// Answers until `shutdown` ends.
    pub async fn serve(self, source: Arc<dyn LiveSource>, shutdown: impl Future<Output = ()>) {
        let limits = self.options.limits;
        let room = Arc::new(Semaphore::new(limits.connections));
        let door = Arc::new(Door::new(source, self.options));
        let mut open = JoinSet::new();
        let mut shutdown = std::pin::pin!(shutdown);
        loop {
            while open.try_join_next().is_some() {}
            let accepted = tokio::select! {
                () = &mut shutdown => break,
                accepted = self.listener.accept() => accepted,
            };
            let Ok((stream, peer)) = accepted else {
                // Out of files for the moment: those that are open will end.
                tokio::time::sleep(std::time::Duration::from_millis(50)).await;
                continue;
            };
            // Whoever comes when all places are taken is turned away at once.
            let Ok(place) = Arc::clone(&room).try_acquire_owned() else {
                continue;
            };
            let door = Arc::clone(&door);
            open.spawn(async move {
                let answer = service_fn(move |request| {
                    let door = Arc::clone(&door);
                    async move { Ok::<_, std::convert::Infallible>(door.answer(request, peer).await) }
                });
                // What a client does wrong ends its own connection and nothing else.
                let _ = http1::Builder::new()
                    .timer(TokioTimer::new())
                    .header_read_timeout(limits.header)
                    .max_buf_size(limits.header_bytes)
                    .serve_connection(TokioIo::new(stream), answer)
                    .await;
                drop(place);
            });
        }
        let rest = async { while open.join_next().await.is_some() {} };
        let _ = tokio::time::timeout(LAST_ANSWERS, rest).await;
    }
}
