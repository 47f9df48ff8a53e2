//! What came of a load, as it is told.

use std::collections::BTreeMap;

use serde::Serialize;

/// What came of a load. Every request that was due stands in exactly one of `answered`, `errors`,
/// `timeouts`, `unsent`, `interrupted`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Summary {
    /// Requests that the rate comes to, Λ at its end.
    pub planned: f64,
    /// Requests that were due until the end or the interrupt.
    pub due: u64,
    /// Of them those that were sent.
    pub sent: u64,
    /// Of them those with a whole answer, of any status.
    pub answered: u64,
    /// Answers by status.
    pub statuses: BTreeMap<u16, u64>,
    /// Failures of connections by kind.
    pub errors: BTreeMap<&'static str, u64>,
    /// Sent and not answered in time.
    pub timeouts: u64,
    /// Not sent in time: no connection was free, or no server was there.
    pub unsent: u64,
    /// Under way at an interrupt.
    pub interrupted: u64,
    /// Sent a second time, the server having closed the connection before it read them.
    pub resent: u64,
    /// Sent more than a millisecond after they were due.
    pub late: u64,
    /// With a good answer within what was promised; absent where nothing was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kept: Option<u64>,
    /// From begin to end.
    pub wall_seconds: f64,
    /// Answers per second of that.
    pub answered_rps: f64,
    /// CPU of the generator's thread for each request that was due, in microseconds.
    pub cpu_micros_per_request: Option<f64>,
    /// From when a request was due to the end of its answer, in milliseconds.
    pub latency_ms: Latency,
    /// From when a request was due to its first byte's being sent, in milliseconds.
    pub lateness_ms: Lateness,
    /// Requests by server.
    pub targets: Vec<PerTarget>,
}

/// Times of answers in milliseconds; absent without an answer. Within 0.8 %, the largest exact.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[allow(missing_docs, reason = "quantiles by their usual names")]
pub struct Latency {
    pub mean: Option<f64>,
    pub p50: Option<f64>,
    pub p90: Option<f64>,
    pub p95: Option<f64>,
    pub p99: Option<f64>,
    pub p999: Option<f64>,
    pub max: Option<f64>,
}

/// How late requests were sent, in milliseconds; absent without a sent one.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[allow(missing_docs, reason = "quantiles by their usual names")]
pub struct Lateness {
    pub p50: Option<f64>,
    pub p99: Option<f64>,
    pub max: Option<f64>,
}

/// One server's requests.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PerTarget {
    /// A pod, or an address.
    pub name: String,
    /// With a whole answer.
    pub answered: u64,
    /// Without.
    pub failed: u64,
}

impl Summary {
    /// Names and values, in the order in which they are told.
    #[must_use]
    pub fn rows(&self) -> Vec<(String, String)> {
        let ms = |value: Option<f64>| value.map_or_else(String::new, |v| format!("{v:.3}"));
        let mut rows = vec![
            ("planned".to_owned(), format!("{:.1}", self.planned)),
            ("due".to_owned(), self.due.to_string()),
            ("sent".to_owned(), self.sent.to_string()),
            ("answered".to_owned(), self.answered.to_string()),
        ];
        let mut add = |name: &str, value: String| rows.push((name.to_owned(), value));
        for (status, count) in &self.statuses {
            add(&format!("status {status}"), count.to_string());
        }
        for (kind, count) in &self.errors {
            add(&format!("error: {kind}"), count.to_string());
        }
        add("timeouts", self.timeouts.to_string());
        add("unsent", self.unsent.to_string());
        add("interrupted", self.interrupted.to_string());
        add("resent", self.resent.to_string());
        add("late", self.late.to_string());
        add("wall seconds", format!("{:.2}", self.wall_seconds));
        add("answered rps", format!("{:.1}", self.answered_rps));
        let cpu = self.cpu_micros_per_request;
        add(
            "cpu us per request",
            cpu.map_or_else(String::new, |v| format!("{v:.1}")),
        );
        let Latency {
            mean,
            p50,
            p90,
            p95,
            p99,
            p999,
            max,
        } = self.latency_ms;
        for (name, value) in [
            ("latency mean ms", mean),
            ("latency p50 ms", p50),
            ("latency p90 ms", p90),
            ("latency p95 ms", p95),
            ("latency p99 ms", p99),
            ("latency p99.9 ms", p999),
            ("latency max ms", max),
            ("lateness p50 ms", self.lateness_ms.p50),
            ("lateness p99 ms", self.lateness_ms.p99),
            ("lateness max ms", self.lateness_ms.max),
        ] {
            add(name, ms(value));
        }
        if self.targets.len() > 1 {
            for target in &self.targets {
                let PerTarget {
                    name,
                    answered,
                    failed,
                } = target;
                add(
                    &format!("answered by {name}"),
                    format!("{answered} ({failed} failed)"),
                );
            }
        }
        rows
    }
}
