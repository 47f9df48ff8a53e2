//! One look at Prometheus: demand, the incumbent's replicas, the minutes since the last look.

use foresail_adapters::prometheus::{Prometheus, PrometheusError, Range};
use foresail_core::quantity::time::{Span, Timestamp};
use foresail_core::spec::STALE_AFTER;

/// Step of the demand series that forecasters read.
/// Source: foresail_core::observe::Metric::Demand.
pub const MINUTE: Span = Span::from_seconds(60);

/// What is asked.
#[derive(Clone, Debug)]
pub struct Queries {
    /// Demand in requests per second.
    pub demand: String,
    /// The incumbent's replicas.
    pub replicas: String,
}

/// What one look showed; what is unknown is `None`.
#[derive(Debug, Default)]
pub struct Seen {
    /// Demand in requests per second, and when it was measured.
    pub demand: Option<(f64, Timestamp)>,
    /// The incumbent's replicas.
    pub incumbent: Option<u32>,
    /// New minutes of demand.
    pub minutes: Vec<(Timestamp, f64)>,
    /// Up to which minute demand is known.
    pub until: Option<Timestamp>,
    /// What went wrong.
    pub problems: Vec<Problem>,
}

/// What went wrong in a look.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    /// Prometheus did not answer, or not with one series.
    #[error(transparent)]
    Prometheus(#[from] PrometheusError),
    /// The whole look took longer than the time between two.
    #[error("Prometheus did not answer everything within {within}; lengthen --interval")]
    Late {
        /// The time between two looks.
        within: Span,
    },
    /// The value cannot be what was asked for.
    #[error("the query `{query}` gives {value}, which is {not}; the value is taken for unknown")]
    Value {
        /// Which query.
        query: String,
        /// Its value.
        value: String,
        /// What it is not.
        not: &'static str,
    },
}

impl Seen {
    /// Demand that is fresh enough to be judged by.
    #[must_use]
    pub fn fresh_demand(&self, now: Timestamp) -> Option<f64> {
        let fresh = self.demand.filter(|(_, at)| now - *at <= STALE_AFTER);
        fresh.map(|(value, _)| value)
    }
}

/// Looks once, for `most` at the longest.
pub async fn look_within(
    most: Span,
    server: &Prometheus,
    queries: &Queries,
    now: Timestamp,
    known_until: Timestamp,
) -> Seen {
    let time = std::time::Duration::from_nanos(most.nanos().unsigned_abs());
    let look = look(server, queries, now, known_until);
    tokio::time::timeout(time, look).await.unwrap_or_else(|_| {
        let late = Problem::Late { within: most };
        Seen {
            problems: vec![late],
            ..Seen::default()
        }
    })
}

/// Looks once. `known_until` is the last minute that is known already.
pub async fn look(
    server: &Prometheus,
    queries: &Queries,
    now: Timestamp,
    known_until: Timestamp,
) -> Seen {
    let mut seen = demand(server, queries, now).await;
    if seen.problems.iter().any(is_away) {
        return seen;
    }
    replicas(server, queries, now, &mut seen).await;
    minutes_since(server, queries, now, known_until, &mut seen).await;
    seen
}

/// Looks at demand alone; the incumbent's replicas stay unknown.
pub async fn look_demand(
    server: &Prometheus,
    queries: &Queries,
    now: Timestamp,
    known_until: Timestamp,
) -> Seen {
    let mut seen = demand(server, queries, now).await;
    if !seen.problems.iter().any(is_away) {
        minutes_since(server, queries, now, known_until, &mut seen).await;
    }
    seen
}

async fn demand(server: &Prometheus, queries: &Queries, now: Timestamp) -> Seen {
    let mut seen = Seen::default();
    if let Some((value, at)) = value(server, &queries.demand, now, &mut seen.problems).await {
        if value < 0.0 {
            seen.problems
                .push(odd(&queries.demand, value, "no demand: it is below 0"));
        } else {
            seen.demand = Some((value, at));
        }
    }
    seen
}

async fn replicas(server: &Prometheus, queries: &Queries, now: Timestamp, seen: &mut Seen) {
    if let Some((value, at)) = value(server, &queries.replicas, now, &mut seen.problems).await {
        let whole = value.fract() == 0.0 && (0.0..=f64::from(u32::MAX)).contains(&value);
        if !whole {
            seen.problems
                .push(odd(&queries.replicas, value, "no number of replicas"));
        } else if now - at <= STALE_AFTER {
            seen.incumbent = Some(value as u32);
        }
    }
}

/// The whole minutes since the last that is known.
async fn minutes_since(
    server: &Prometheus,
    queries: &Queries,
    now: Timestamp,
    known_until: Timestamp,
    seen: &mut Seen,
) {
    let end = crate::compare::prometheus::floor(now, MINUTE);
    if end > known_until {
        match minutes(server, &queries.demand, known_until, end).await {
            Ok(minutes) => {
                seen.minutes = minutes;
                seen.until = Some(end);
            }
            Err(error) => seen.problems.push(error.into()),
        }
    }
}

/// The usable minutes of demand from `start` to `end`; an empty answer has none.
///
/// # Errors
/// [`PrometheusError`], but for an empty answer.
pub async fn minutes(
    server: &Prometheus,
    query: &str,
    start: Timestamp,
    end: Timestamp,
) -> Result<Vec<(Timestamp, f64)>, PrometheusError> {
    let range = Range {
        start,
        end,
        step: MINUTE,
    };
    match server.range(query, &range).await {
        Ok(told) => {
            let points = told.series.iter().enumerate();
            Ok(points
                .filter_map(|(i, v)| Some((range.asked_at(i), v?)))
                .collect())
        }
        Err(PrometheusError::Empty { .. }) => Ok(Vec::new()),
        Err(other) => Err(other),
    }
}

fn odd(query: &str, value: f64, not: &'static str) -> Problem {
    Problem::Value {
        query: query.to_owned(),
        value: value.to_string(),
        not,
    }
}

fn is_away(problem: &Problem) -> bool {
    matches!(problem, Problem::Prometheus(e) if e.is_passing())
        || matches!(
            problem,
            Problem::Prometheus(PrometheusError::TimedOut { .. })
        )
}

/// A finite value with its time; anything else is noted and unknown.
async fn value(
    server: &Prometheus,
    query: &str,
    now: Timestamp,
    problems: &mut Vec<Problem>,
) -> Option<(f64, Timestamp)> {
    match server.at(query, now, STALE_AFTER).await {
        Ok(at) => {
            if at.value.is_none() {
                problems.push(odd(query, f64::NAN, "no finite number"));
            }
            Some((at.value?, at.measured_at))
        }
        Err(error) => {
            problems.push(error.into());
            None
        }
    }
}
