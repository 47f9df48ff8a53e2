//! The series of demand: a point a minute, and the past as far as Prometheus knows it.

use std::sync::Arc;

use foresail_adapters::kubernetes::crd::{MetricType, PredictiveAutoscaler};
use foresail_adapters::prometheus::Prometheus;
use foresail_core::engine::Snapshot;
use foresail_core::quantity::time::{Span, Timestamp};
use foresail_models::registry::engine_of;
use foresail_models::rng::Seed;
use tokio::sync::oneshot;

use super::look::demand_metric;
use crate::compare::prometheus::floor;
use crate::watch::observe::{MINUTE, minutes};
use crate::watch::past::live_through;

/// Points of demand, a minute each.
pub(crate) type Minutes = Vec<(Timestamp, f64)>;

/// The past: its points, and what forecasters made of them.
#[derive(Debug)]
pub(crate) struct Past {
    pub(crate) minutes: Minutes,
    pub(crate) taught: Option<Snapshot>,
}

/// How far the past is known.
#[derive(Debug, Default)]
pub(crate) enum History {
    /// Nobody asked yet.
    #[default]
    Unasked,
    /// It is being fetched.
    Fetching(oneshot::Receiver<Past>),
    /// It is there, or there is none to be had.
    Known,
}

/// The series of demand of one object.
#[derive(Debug, Default)]
pub(crate) struct DemandFeed {
    pub(crate) history: History,
    /// Up to which minute demand is known.
    pub(crate) known_until: Option<Timestamp>,
    /// Why the last minutes could not be read.
    pub(crate) trouble: Option<String>,
}

/// The query of an object's demand, where Prometheus answers it.
pub(crate) fn query_of(object: &PredictiveAutoscaler) -> Option<&str> {
    let metric = demand_metric(object)?;
    let written = metric
        .prometheus
        .as_ref()
        .filter(|_| metric.kind == MetricType::Prometheus)?;
    Some(&written.query)
}

/// Fetches the past of an object's demand and lets forecasters of an engine like its own live
/// through it; slow, so it runs beside the passes.
pub(crate) async fn fetch(
    server: Arc<Prometheus>,
    query: String,
    spec: foresail_core::spec::Spec,
    history: Span,
    now: Timestamp,
) -> Result<Past, String> {
    let end = floor(now, MINUTE);
    let begin = end - history;
    let minutes = minutes(&server, &query, begin, end)
        .await
        .map_err(|e| e.to_string())?;
    if minutes.is_empty() {
        return Ok(Past {
            minutes,
            taught: None,
        });
    }
    let teach = move || {
        let taught = engine_of(spec, Seed(0)).ok().map(|mut engine| {
            live_through(&mut engine, &minutes);
            engine.snapshot()
        });
        Past { minutes, taught }
    };
    tokio::task::spawn_blocking(teach)
        .await
        .map_err(|e| e.to_string())
}

impl DemandFeed {
    /// The new minutes since the last time, where a whole one has passed.
    pub(crate) async fn minutes(
        &mut self,
        server: &Prometheus,
        query: &str,
        now: Timestamp,
    ) -> Minutes {
        let end = floor(now, MINUTE);
        let from = self.known_until.unwrap_or(end - MINUTE);
        if end <= from {
            return Vec::new();
        }
        match minutes(server, query, from, end).await {
            Ok(points) => {
                self.known_until = Some(end);
                self.trouble = None;
                points.into_iter().filter(|(at, _)| *at > from).collect()
            }
            Err(error) => {
                self.trouble = Some(error.to_string());
                Vec::new()
            }
        }
    }

    /// A minute's point from a value that is read at each pass, where a new minute began.
    pub(crate) fn minute_of(&mut self, value: Option<(f64, Timestamp)>, now: Timestamp) -> Minutes {
        let end = floor(now, MINUTE);
        let (Some((value, _)), true) = (value, self.known_until.is_none_or(|k| end > k)) else {
            return Vec::new();
        };
        self.known_until = Some(end);
        vec![(end, value)]
    }

    /// `true` while the past is being fetched.
    pub(crate) fn is_fetching(&self) -> bool {
        matches!(self.history, History::Fetching(_))
    }
}
