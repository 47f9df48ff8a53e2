//! Probes and metrics, each on its own address.

use std::net::SocketAddr;
use std::sync::{Arc, Weak};
use std::time::Duration;

use anyhow::{Context, Result};
use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use tokio::net::TcpListener;
use tokio::sync::Mutex;

use super::Shared;

/// Serves one router until `stop`.
///
/// # Errors
/// Where the address cannot be taken.
pub(crate) async fn serve(
    address: SocketAddr,
    router: Router,
    stop: impl Future<Output = ()> + Send + 'static,
) -> Result<impl Future<Output = ()>> {
    let listener = TcpListener::bind(address)
        .await
        .with_context(|| format!("cannot listen on {address}; another program may have it"))?;
    Ok(async move {
        let served = axum::serve(listener, router)
            .with_graceful_shutdown(stop)
            .await;
        if let Err(error) = served {
            tracing::warn!(%address, %error, "no longer served");
        }
    })
}

/// How long a text that is still being sent is good for other scrapers.
const SHARED_FOR: Duration = Duration::from_secs(1);

/// What scrapers read, once for all who ask at about the same time: that of 10,000 objects has 12 MB.
#[derive(Debug, Default)]
struct Scraped {
    last: Mutex<(Duration, Weak<String>)>,
}

/// The text as a body holds it.
struct Text(Arc<String>);

impl AsRef<[u8]> for Text {
    fn as_ref(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl Scraped {
    async fn text(&self, shared: &Arc<Shared>) -> Arc<String> {
        let mut last = self.last.lock().await;
        let age = shared.clock.mono().saturating_sub(last.0);
        if let Some(text) = last.1.upgrade().filter(|_| age < SHARED_FOR) {
            return text;
        }
        let of = Arc::clone(shared);
        let written = tokio::task::spawn_blocking(move || {
            of.show_process();
            of.meters.text()
        });
        let text = Arc::new(written.await.unwrap_or_default());
        *last = (shared.clock.mono(), Arc::downgrade(&text));
        text
    }
}

/// `/metrics`.
pub(crate) fn metrics(shared: Arc<Shared>) -> Router {
    let scraped = Arc::new(Scraped::default());
    let text = move || {
        let (shared, scraped) = (Arc::clone(&shared), Arc::clone(&scraped));
        async move {
            let text = scraped.text(&shared).await;
            let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
            let body = Body::from(Bytes::from_owner(Text(text)));
            ([(header::CONTENT_TYPE, kind)], body)
        }
    };
    Router::new().route("/metrics", get(text))
}

/// `/healthz`, `/livez` and `/readyz`.
///
/// Alive is who still makes passes, whatever the API server does; ready is who has seen everything.
pub(crate) fn probes(shared: &Arc<Shared>) -> Router {
    let live = Arc::clone(shared);
    let alive = move || {
        let shared = Arc::clone(&live);
        async move { answer(shared.is_alive(), "no pass ended for too long") }
    };
    let ready_of = Arc::clone(shared);
    let ready = move || {
        let shared = Arc::clone(&ready_of);
        async move { answer(shared.world.is_synced(), "not everything was seen yet") }
    };
    Router::new()
        .route("/healthz", get(alive.clone()))
        .route("/livez", get(alive))
        .route("/readyz", get(ready))
}

fn answer(good: bool, why: &'static str) -> impl IntoResponse {
    match good {
        true => (StatusCode::OK, "ok"),
        false => (StatusCode::SERVICE_UNAVAILABLE, why),
    }
}
