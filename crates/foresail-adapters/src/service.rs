//! A workflow behind an address: one request, its time, and its stages' times.
//!
//! The answer tells its stages in the header `Server-Timing`: `resize;dur=120.5, detect;dur=80`, in
//! milliseconds, once for each copy of a stage that ran; a stage that is not named did not run. A
//! metric `cold` says that a container had to be started.
//! Source: W3C, Server Timing, "The Server-Timing Header Field".

use std::time::Duration;

use reqwest::header::{AUTHORIZATION, CONTENT_TYPE};
use reqwest::{Client, Url};
use serde_json::{Map, Value};
use tokio::time::Instant;

use crate::access::{Access, AccessError, causes};
use crate::provider::{Reply, SystemError, error};

/// The metric that tells of a cold start.
const COLD: &str = "cold";

/// Bytes of an answer that are read; the rest is let go.
const ANSWER_BYTES_MAX: usize = 64 << 20;

/// What answers for a workflow.
#[derive(Debug)]
pub struct Service {
    access: Access,
    url: Url,
    client: Client,
    parameters: Map<String, Value>,
}

impl Service {
    /// The service at an address; each request posts the parameters as JSON.
    ///
    /// # Errors
    /// [`AccessError`] where the address cannot be used.
    pub fn new(access: Access, parameters: Map<String, Value>) -> Result<Self, AccessError> {
        let mut url = access.base()?;
        let client = access.client(&url)?;
        // A base ends in a slash; an address that is called need not.
        if !access.url.ends_with('/') {
            let path = url.path().trim_end_matches('/').to_owned();
            url.set_path(&path);
        }
        Ok(Self {
            access,
            url,
            client,
            parameters,
        })
    }

    /// Sends one request, once, and waits for its answer, for `wait` at most.
    ///
    /// # Errors
    /// Where it cannot be sent, or the answer does not tell its stages.
    pub async fn request(&self, stages: &[String], wait: Duration) -> Result<Reply, SystemError> {
        let told = "cannot call the workflow";
        let authorization = self.access.authorization().map_err(|e| error(told, e))?;
        let body = Value::Object(self.parameters.clone()).to_string();
        let request = self
            .client
            .post(self.url.clone())
            .timeout(wait)
            .header(CONTENT_TYPE, "application/json")
            .body(body);
        let request = match authorization {
            Some(value) => request.header(AUTHORIZATION, value),
            None => request,
        };
        let begin = Instant::now();
        let answered = async {
            let mut response = request.send().await?;
            let mut bytes = 0;
            while let Some(piece) = response.chunk().await? {
                bytes += piece.len();
                if bytes > ANSWER_BYTES_MAX {
                    break;
                }
            }
            Ok::<_, reqwest::Error>(response)
        };
        let response = match answered.await {
            Ok(response) => response,
            Err(e) if e.is_timeout() && !e.is_connect() => {
                return Ok(Reply {
                    seconds: vec![vec![wait.as_secs_f64()]; stages.len()],
                    ..Reply::default()
                });
            }
            Err(e) => {
                let why = std::error::Error::source(&e).map_or_else(String::new, causes);
                return Err(error(told, format!("{why}; check --url")));
            }
        };
        let took = begin.elapsed().as_secs_f64();
        let header = response.headers().get_all("server-timing").iter();
        let text: Vec<&str> = header.filter_map(|v| v.to_str().ok()).collect();
        let status = response.status();
        if !status.is_success() {
            return Ok(Reply {
                seconds: vec![Vec::new(); stages.len()],
                failed: Some(format!("it answered {status}")),
                ..Reply::default()
            });
        }
        let timing = timing(&text.join(","), stages).map_err(|why| error(told, why))?;
        Ok(Reply {
            latency: Some(took),
            seconds: timing.0,
            cold: timing.1,
            failed: None,
        })
    }
}

/// Seconds of each copy of each stage, and whether it was cold.
fn timing(text: &str, stages: &[String]) -> Result<(Vec<Vec<f64>>, bool), String> {
    let (mut seconds, mut cold) = (vec![Vec::new(); stages.len()], false);
    for metric in text.split(',').map(str::trim).filter(|m| !m.is_empty()) {
        let mut parts = metric.split(';').map(str::trim);
        let name = parts.next().unwrap_or_default();
        if name == COLD {
            cold = true;
            continue;
        }
        // Others are of proxies on the way.
        let Some(place) = stages.iter().position(|s| s == name) else {
            continue;
        };
        let found = parts.find_map(|p| p.strip_prefix("dur="));
        let number = found.and_then(|d| d.trim_matches('"').parse::<f64>().ok());
        match number.filter(|n| n.is_finite() && *n >= 0.0) {
            Some(milliseconds) => seconds[place].push(milliseconds / 1000.0),
            None => {
                return Err(format!(
                    "`{metric}` of Server-Timing has no dur=MILLISECONDS"
                ));
            }
        }
    }
    if seconds.iter().all(Vec::is_empty) {
        return Err(format!(
            "its answer tells no stage: it must send `Server-Timing: {};dur=MILLISECONDS, ...`",
            stages.first().map_or("stage", String::as_str)
        ));
    }
    Ok((seconds, cold))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stages_are_read_copy_by_copy() {
        let stages = ["a".to_owned(), "b".to_owned(), "c".to_owned()];
        let (seconds, cold) =
            timing("a;dur=120.5, cdn;dur=3, b;desc=x;dur=80,b;dur=90", &stages).unwrap();
        assert_eq!(seconds, [vec![0.1205], vec![0.08, 0.09], vec![]]);
        assert!(!cold);
        assert!(timing("cold, a;dur=1", &stages).unwrap().1);
        assert!(
            timing("", &stages)
                .unwrap_err()
                .contains("Server-Timing: a")
        );
        assert!(timing("a", &stages).unwrap_err().contains("dur="));
        assert!(timing("a;dur=-1", &stages).is_err());
    }
}
