//! Probes and metrics, each on its own address.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Context, Result};
use axum::Router;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use tokio::net::TcpListener;

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

/// `/metrics`.
pub(crate) fn metrics(shared: Arc<Shared>) -> Router {
    let text = move || {
        let shared = Arc::clone(&shared);
        async move {
            shared.show_process();
            let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
            ([(header::CONTENT_TYPE, kind)], shared.meters.text())
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
