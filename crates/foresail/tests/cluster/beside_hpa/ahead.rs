//! A demand that rises every hour, under the HPA and under a forecast that has seen it rise before.

use serde_json::json;

use super::curve::Curve;
use super::prometheus::Prometheus;
use super::twins::{BEFORE, CAPACITY, Course, More, SYNC_SECONDS, Seen, Twin, now_seconds};
use crate::rig::Rig;

/// Requests per second before the rise and after it: 3.7 and 28 pods.
const LEVELS: (f64, f64) = (18.5, 140.0);

/// Seconds of the rise.
const RISE: f64 = 360.0;

/// Seconds of the high level, the rise included.
const HIGH: f64 = 1800.0;

const HOUR: f64 = 3600.0;

/// Hours of the past that Prometheus knows.
const PAST_HOURS: i64 = 12;

/// Seconds from now to the rise: the twins are made and get steady, and the past is learnt.
const UNTIL_RISE: i64 = 180;

/// Seconds from a pod's place to its running.
const STARTUP: u32 = 45;

/// Requests per second, so many seconds after a rise began.
fn rate(second: f64) -> f64 {
    let (low, high) = LEVELS;
    let within = second.rem_euclid(HOUR);
    let share = if within < HIGH {
        within / RISE
    } else {
        1.0 - (within - HIGH) / RISE
    };
    low + (high - low) * share.clamp(0.0, 1.0)
}

/// A small deviation from 1 that looks drawn and depends on the minute alone.
fn noise(minute: i64) -> f64 {
    1.0 + 0.014 * (minute as f64 * 12.9898).sin()
}

/// The past in OpenMetrics: means of minutes, as the query has them of the present.
fn past(now: i64, start: i64) -> String {
    let last = now.div_euclid(60);
    let minutes = last - 60 * PAST_HOURS..=last;
    let line = |minute: i64| {
        let seconds = (0..60).map(|s| rate((minute * 60 - s - start) as f64));
        let mean = seconds.sum::<f64>() / 60.0;
        format!("past_demand {:.3} {}\n", mean * noise(minute), minute * 60)
    };
    let lines: String = minutes.map(line).collect();
    format!("# TYPE past_demand gauge\n{lines}# EOF\n")
}

/// The rise takes six minutes, a pod 45 s to start. The HPA asks for pods once the load is there, the
/// forecast by start-up and sync before it: the curves lie at least that far apart, and what serves
/// keeps up with the demand, where under the HPA it lags behind.
pub fn a_forecast_is_ahead_by_the_start_up_time(rig: &Rig) {
    let now = now_seconds() as i64;
    let start = now + UNTIL_RISE;
    let Some(prometheus) = Prometheus::start(rig, &past(now, start)) else {
        return;
    };
    let of_demand = "rig_arrival_rate{namespace=\"ahead\",workload=\"by-ours\"}";
    let query = format!("sum(avg_over_time({of_demand}[1m])) or sum(past_demand)");
    let target = json!({"type": "AverageValue", "averageValue": CAPACITY.to_string()});
    let more = More {
        metric: json!({
            "type": "Prometheus", "role": "Forecast",
            "prometheus": {"query": query, "target": target},
        }),
        forecast: json!({"historySeconds": PAST_HOURS * 3600}),
        start,
    };
    let course = Course {
        namespace: "ahead",
        profile: vec![(0.0, LEVELS.0), (RISE, LEVELS.1), (2.0 * RISE, LEVELS.1)],
        shape: "line",
        length: RISE + 120.0,
        startup_seconds: STARTUP,
        down_window_seconds: 300,
        replicas: (4, 2, 60),
        more: Some(more),
    };
    let arguments = ["--prometheus-url".to_owned(), prometheus.url.clone()];
    judge(&course.run(rig, &arguments));
}

fn judge(seen: &Seen) {
    let worth: Vec<_> = seen.demand[BEFORE as usize..]
        .iter()
        .enumerate()
        .map(|(second, rate)| (second as f64, rate / CAPACITY))
        .collect();
    let worth = Curve::stepped(&worth, worth.len() as f64);
    let [hpa, ours] = Twin::ALL.map(|twin| (&seen.asked[&twin], &seen.ready[&twin]));
    let lead = -ours.0.lag_behind(hpa.0, 200);
    let needed = seen.startup + SYNC_SECONDS;
    println!(
        "the forecast asks {lead:.0} s before the HPA; start-up {:.1} s and sync are {needed:.1} s",
        seen.startup
    );
    let late = [hpa, ours].map(|(asked, ready)| {
        let late = ready.lag_behind(&worth, 200);
        println!(
            "ready replicas {late:+.0} s behind the demand, {:.1} in the mean, {:.1} missing; asked for {:.1}",
            ready.mean(),
            ready.mean_shortfall(&worth),
            asked.mean(),
        );
        late
    });
    assert!(lead >= needed, "{lead} s: {hpa:?}\n{ours:?}");
    assert!(late[1] < late[0] - seen.startup, "{late:?}");
}
