//! The published way in: `POST /cadvisor/metrics[/{env_id}]` with what a node's agent measured.
//!
//! The published collector takes it from anybody; this one shows the same door on loopback alone.
//! Source: FIRM, `metrics/collector/collector.py`; specs/hpa_aware_studies.md 2.4.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{ConnectInfo, DefaultBodyLimit, State};
use axum::http::StatusCode;
use axum::routing::post;
use foresail_adapters::stats::{Batch, Queue, Stat};
use serde::Deserialize;

/// The published port.
pub const PORT: u16 = 8787;

/// The largest body that is taken in.
const BODY_BYTES_MAX: usize = 1 << 20;

/// The most samples of one body.
const STATS_MAX: usize = 5000;

/// The longest name, in bytes.
const NAME_BYTES_MAX: usize = 512;

/// What is posted.
#[derive(Debug, Deserialize)]
struct Posted {
    #[serde(default)]
    machine: serde_json::Value,
    stats: Vec<Stat>,
}

type Said = (StatusCode, String);

async fn take(
    State(queue): State<Arc<Queue<Batch>>>,
    ConnectInfo(peer): ConnectInfo<std::net::SocketAddr>,
    body: Bytes,
) -> Said {
    match read(&body) {
        Err(why) => (StatusCode::BAD_REQUEST, why),
        Ok(posted) => {
            queue.push(Batch {
                ip: peer.ip().to_string(),
                machine: posted.machine,
                stats: posted.stats,
            });
            (StatusCode::OK, String::new())
        }
    }
}

fn read(body: &[u8]) -> Result<Posted, String> {
    let posted: Posted = serde_json::from_slice(body).map_err(|e| {
        format!("not {{timestamp, machine, stats: [{{name, timestamp, …}}]}}: {e}\n")
    })?;
    if posted.stats.len() > STATS_MAX {
        return Err(format!(
            "{} samples: at most {STATS_MAX} at once\n",
            posted.stats.len()
        ));
    }
    let bad = |stat: &&Stat| {
        let name = &stat.name;
        name.is_empty() || name.len() > NAME_BYTES_MAX || name.chars().any(char::is_control)
    };
    match posted.stats.iter().find(bad) {
        Some(stat) => Err(format!("{:?} is no name of a container\n", stat.name)),
        None => Ok(posted),
    }
}

/// The door to a queue.
pub fn router(queue: Arc<Queue<Batch>>) -> Router {
    Router::new()
        .route("/cadvisor/metrics", post(take))
        .route("/cadvisor/metrics/{env_id}", post(take))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .with_state(queue)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_posted_is_checked_before_it_is_kept() {
        let body = br#"{"timestamp":1,"machine":{"num_cores":4},"stats":[
            {"name":"a","timestamp":"2026-01-01T00:00:00Z","cpu":{"usage":{"total":5}}}]}"#;
        let posted = read(body).unwrap();
        assert_eq!(
            (posted.stats.len(), &posted.machine["num_cores"]),
            (1, &4.into())
        );
        for bad in [
            &b"{}"[..],
            b"[]",
            br#"{"stats":[{"name":"","timestamp":"2026-01-01T00:00:00Z"}]}"#,
            br#"{"stats":[{"name":"a"}]}"#,
        ] {
            assert!(read(bad).is_err());
        }
    }
}
