//! The measures of a run by name, each with its meaning, in one order everywhere.

use foresail_sim::function::FunctionMeasures;
use foresail_sim::function::measure::{Class, at_level};
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
        one("cold_starts", "cold starts", "requests that waited and were served by a replica that was starting when they came, or came while none was ready".to_owned(), m.cold_starts as f64, 0, Lower),
        one("actions", "changes", "times that the number of replicas was changed".to_owned(), m.actions as f64, 0, Lower),
        one("flaps", "flaps", "changes of direction within ten minutes".to_owned(), m.flaps as f64, 0, Lower),
        one("under_accuracy_percent", "short %", "mean lack of ready replicas against those needed, in percent of these; needed are the fewest that keep the promise at the minute's rate, by queueing theory (SPEC elasticity, accuracy U)".to_owned(), m.elasticity.under_accuracy_percent, 2, Lower),
        one("over_accuracy_percent", "idle %", "mean excess of ready replicas over those needed, in percent of these; needed are the fewest that keep the promise at the minute's rate, by queueing theory (SPEC elasticity, accuracy O)".to_owned(), m.elasticity.over_accuracy_percent, 1, Lower),
        one("under_time_percent", "time short %", "share of minutes with fewer ready replicas than needed to keep the promise (SPEC elasticity, timeshare U)".to_owned(), m.elasticity.under_time_percent, 1, Lower),
        one("over_time_percent", "time idle %", "share of minutes with more ready replicas than needed to keep the promise (SPEC elasticity, timeshare O)".to_owned(), m.elasticity.over_time_percent, 1, Neither),
        one("unserved", "never served", "requests that were rejected, gave up, died with their pod, or still waited at the end".to_owned(), (m.requests.rejected + m.requests.timed_out + m.requests.crashed + m.requests.waiting) as f64, 0, Lower),
    ]
}

/// Every measure of a run in function mode, in the order of `summary.csv` and of the report's table.
///
/// `reference` is what the fixed keep-alive of ten minutes keeps warm.
#[must_use]
pub(super) fn function_measures(m: &FunctionMeasures, reference: f64) -> Vec<Measure> {
    let one =
        |key: &str, name: &str, meaning: &str, value: f64, digits: usize, better: Better| Measure {
            key: key.to_owned(),
            name: name.to_owned(),
            meaning: meaning.to_owned(),
            value,
            digits,
            better,
        };
    use Better::{Lower, Neither};
    let shares = m.cold_percents();
    let share = |level| at_level(&shares, level).unwrap_or(f64::NAN);
    let always = shares.iter().filter(|s| **s >= 100.0).count() as f64;
    let warm = m.warm_memory_time();
    let latency = |level| m.latency.quantile_seconds(level).unwrap_or(f64::NAN) * 1000.0;
    let latency_of = |class: Class| {
        let latency = m.latency_by_class[class as usize].quantile_seconds(0.99);
        latency.unwrap_or(f64::NAN) * 1000.0
    };
    let wait = |level| m.wait.quantile_seconds(level).unwrap_or(f64::NAN) * 1000.0;
    let mut all = vec![
        one(
            "calls",
            "calls",
            "calls of all functions",
            m.requests.arrived as f64,
            0,
            Neither,
        ),
        one(
            "cold_starts",
            "cold starts",
            "calls that had to wait for a container that was still starting",
            m.cold_starts() as f64,
            0,
            Lower,
        ),
        one(
            "cold_percent",
            "cold %",
            "their share of all calls",
            m.cold_percent(),
            2,
            Lower,
        ),
        one(
            "function_cold_p50_percent",
            "function p50 cold %",
            "half of the functions start cold on no larger share of their calls",
            share(0.5),
            1,
            Lower,
        ),
        one(
            "function_cold_p75_percent",
            "function p75 cold %",
            "three quarters of the functions start cold on no larger share of their calls",
            share(0.75),
            1,
            Lower,
        ),
        one(
            "always_cold_percent",
            "always cold %",
            "share of the functions that start cold on every call",
            always * 100.0 / shares.len() as f64,
            1,
            Lower,
        ),
        one(
            "rare_cold_percent",
            "rare cold %",
            "share of cold starts over functions with at most one call an hour",
            m.cold_percent_of(Class::Rare),
            1,
            Lower,
        ),
        one(
            "middling_cold_percent",
            "middling cold %",
            "share of cold starts over functions with more than that and at most one call a minute",
            m.cold_percent_of(Class::Middling),
            2,
            Lower,
        ),
        one(
            "frequent_cold_percent",
            "frequent cold %",
            "share of cold starts over functions with more than one call a minute",
            m.cold_percent_of(Class::Frequent),
            3,
            Lower,
        ),
        one(
            "warm_memory_gb_s",
            "warm GB·s",
            "memory that idle containers held, over time",
            warm,
            0,
            Lower,
        ),
        one(
            "warm_memory_of_fixed_percent",
            "warm of fixed %",
            "the same as a share of what a fixed keep-alive of ten minutes holds",
            warm * 100.0 / reference,
            1,
            Lower,
        ),
        one(
            "memory_gb_s",
            "all GB·s",
            "memory that all containers held, over time, from creation to the end of each",
            m.memory_time(),
            0,
            Lower,
        ),
        one(
            "memory_most_gb",
            "most GB",
            "the most memory that all containers held at the end of a minute",
            m.memory_most() as f64 / 1e9,
            1,
            Lower,
        ),
        one(
            "wait_p99_ms",
            "wait p99 ms",
            "99 % of the calls waited no longer for a container",
            wait(0.99),
            1,
            Lower,
        ),
        one(
            "latency_p95_ms",
            "latency p95 ms",
            "95 % of the calls ended within this time, the wait included",
            latency(0.95),
            0,
            Lower,
        ),
        one(
            "latency_p99_ms",
            "latency p99 ms",
            "99 % of the calls ended within this time, the wait included",
            latency(0.99),
            0,
            Lower,
        ),
        one(
            "rare_latency_p99_ms",
            "rare p99 ms",
            "99 % of the calls of functions with at most one call an hour ended within this time",
            latency_of(Class::Rare),
            0,
            Lower,
        ),
        one(
            "middling_latency_p99_ms",
            "middling p99 ms",
            "the same of functions with more than that and at most one call a minute",
            latency_of(Class::Middling),
            0,
            Lower,
        ),
        one(
            "frequent_latency_p99_ms",
            "frequent p99 ms",
            "the same of functions with more than one call a minute",
            latency_of(Class::Frequent),
            0,
            Lower,
        ),
        one(
            "rejected",
            "rejected",
            "calls that found no memory for a container",
            m.requests.rejected as f64,
            0,
            Lower,
        ),
        one(
            "pooled",
            "pooled",
            "containers that were started without a call",
            m.pooled() as f64,
            0,
            Neither,
        ),
        one(
            "evicted",
            "evicted",
            "idle containers that gave way for memory",
            m.evicted() as f64,
            0,
            Lower,
        ),
    ];
    // A class without a function has no share; so it is for every policy.
    all.retain(|m| m.value.is_finite());
    all
}
