//! The measures of a run by name, each with its meaning, in one order everywhere.

use foresail_sim::metrics::measure::Measures;
use foresail_web::read_model::{Better, Measure};

/// Every measure of a run, in the order of `summary.csv` and of the report's table.
#[must_use]
pub fn measures(m: &Measures, slo: &str) -> Vec<Measure> {
    let arrived = m.requests.arrived.max(1) as f64;
    let active = m.minutes.iter().filter(|r| r.arrivals > 0).count().max(1) as f64;
    let wait = |level| m.wait.quantile_seconds(level).unwrap_or(f64::NAN) * 1000.0;
    let latency = |level| m.latency.quantile_seconds(level).unwrap_or(f64::NAN) * 1000.0;
    let one =
        |key: &str, name: &str, meaning: String, value: f64, digits: usize, better: Better| {
            Measure {
                key: key.to_owned(),
                name: name.to_owned(),
                meaning,
                value,
                digits,
                better,
            }
        };
    use Better::{Lower, Neither};
    vec![
        one("violations_percent", "broke the promise %", format!("share of requests that broke {slo}; never served counts as broken"), m.violations as f64 * 100.0 / arrived, 2, Lower),
        one("violation_minutes_percent", "bad minutes %", "share of the minutes with requests in which fewer than the promised share were kept".to_owned(), m.violation_minutes as f64 * 100.0 / active, 2, Lower),
        one("cost", "cost", "what the replicas cost over the run, from creation to the end of each".to_owned(), m.cost, 2, Lower),
        one("replica_minutes", "replica·min", "replicas times minutes that were paid for".to_owned(), m.replica_minutes, 0, Lower),
        one("wait_p50_ms", "wait p50 ms", "half of the served requests waited no longer".to_owned(), wait(0.5), 1, Lower),
        one("wait_p99_ms", "wait p99 ms", "99 % of the served requests waited no longer".to_owned(), wait(0.99), 1, Lower),
        one("latency_p95_ms", "latency p95 ms", "95 % of the served requests were answered within this time, the wait included".to_owned(), latency(0.95), 0, Lower),
        one("latency_p99_ms", "latency p99 ms", "99 % of the served requests were answered within this time, the wait included".to_owned(), latency(0.99), 0, Lower),
        one("cold_starts", "cold starts", "requests that had to wait for a replica that was still starting".to_owned(), m.cold_starts as f64, 0, Lower),
        one("actions", "changes", "times that the number of replicas was changed".to_owned(), m.actions as f64, 0, Lower),
        one("flaps", "flaps", "changes of direction within ten minutes".to_owned(), m.flaps as f64, 0, Lower),
        one("under_accuracy_percent", "short %", "mean lack of ready replicas over those that the minute's demand needs (SPEC elasticity, accuracy U)".to_owned(), m.elasticity.under_accuracy_percent, 2, Lower),
        one("over_accuracy_percent", "idle %", "mean excess of ready replicas over those that the minute's demand needs (SPEC elasticity, accuracy O)".to_owned(), m.elasticity.over_accuracy_percent, 1, Lower),
        one("under_time_percent", "time short %", "share of minutes with too few ready replicas (SPEC elasticity, timeshare U)".to_owned(), m.elasticity.under_time_percent, 1, Lower),
        one("over_time_percent", "time idle %", "share of minutes with more ready replicas than needed (SPEC elasticity, timeshare O)".to_owned(), m.elasticity.over_time_percent, 1, Neither),
        one("unserved", "never served", "requests that were rejected, gave up, died with their pod, or still waited at the end".to_owned(), (m.requests.rejected + m.requests.timed_out + m.requests.crashed + m.requests.waiting) as f64, 0, Lower),
    ]
}
