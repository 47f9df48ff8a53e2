//! Prophet's fit and forecast on 20,160 minutes, beside Prophet itself where it is there.
//!
//! Prints one JSON line with CPU seconds. With FORESAIL_PEERS (the folder of the peers' scripts) and
//! FORESAIL_PYTHON (an interpreter with prophet) it runs `fc_prophet.py` in the same run and prints
//! the ratio of CPU seconds.
#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a benchmark measures time and prints what it measured"
)]

use std::process::Command;
use std::time::Instant;

use foresail_core::quantity::series::Series;
use foresail_core::quantity::time::{Span, Timestamp};
use foresail_models::forecast::prophet::{Growth, Mode, Prophet, Switch};
use foresail_models::forecast::{Fit, Forecaster, LEVELS};
use foresail_models::rng::Seed;

/// 2026-01-05, a Monday.
const START: Timestamp = Timestamp::from_seconds(1_767_571_200);

/// CPU seconds of this thread so far.
fn cpu() -> Option<f64> {
    std::thread::yield_now();
    let text = std::fs::read_to_string("/proc/self/schedstat").ok()?;
    let nanos: f64 = text.split(' ').next()?.parse().ok()?;
    Some(nanos / 1e9)
}

/// What `work` gives, and the median of its CPU seconds over three runs.
fn timed<T>(mut work: impl FnMut() -> T) -> (T, f64) {
    let mut once = || {
        let (wall, before) = (Instant::now(), cpu());
        let out = work();
        let seconds = match (before, cpu()) {
            (Some(a), Some(b)) if b > a => b - a,
            _ => wall.elapsed().as_secs_f64(),
        };
        (out, seconds)
    };
    let mut runs = [once().1, once().1, 0.0];
    let (out, seconds) = once();
    runs[2] = seconds;
    runs.sort_by(f64::total_cmp);
    (out, runs[1])
}

/// Uniform numbers in (0, 1): SplitMix64, as the peers' `gen.py` has it.
fn splitmix(seed: u64, index: u64) -> f64 {
    let mut z = seed.wrapping_add((index + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15));
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    ((z ^ (z >> 31)) >> 11) as f64 / 9_007_199_254_740_992.0 + 0.5 / 9_007_199_254_740_992.0
}

/// Two weeks of minutes with a day, a week, noise and a shift: the series of `gen.minutes`.
fn minutes(count: usize) -> Vec<f64> {
    let tau = std::f64::consts::TAU;
    let value = |i: usize| {
        let t = i as f64;
        let (u, v) = (splitmix(11, 2 * i as u64), splitmix(11, 2 * i as u64 + 1));
        let noise = (-2.0 * u.ln()).sqrt() * (tau * v).cos();
        let shift = if t > 0.6 * count as f64 { 20.0 } else { 0.0 };
        let day = 40.0 * (tau * t / 1440.0 - 1.3).sin() + 15.0 * (2.0 * tau * t / 1440.0).sin();
        100.0 + day + 12.0 * (tau * t / 10_080.0).sin() + shift + 6.0 * noise
    };
    (0..count).map(value).collect()
}

struct Measured {
    name: &'static str,
    fit: f64,
    draws: f64,
    forecast: f64,
}

fn measure(name: &'static str, settings: &Prophet, series: &Series) -> Measured {
    let (fitted, fit) = timed(|| settings.fit(series, Seed(1)).expect("a fit"));
    let (_, draws) = timed(|| band(&*fitted));
    let (_, hundred) = timed(|| {
        for _ in 0..100 {
            std::hint::black_box(fitted.forecast(60, &LEVELS).expect("a forecast"));
        }
    });
    Measured {
        name,
        fit,
        draws,
        forecast: hundred / 100.0,
    }
}

/// What Prophet's `predict` does: 1,000 draws of 1,440 steps and the 80 % band from them.
fn band(fitted: &dyn Forecaster) -> Vec<f64> {
    let paths = fitted.paths(1440, 1000, Seed(2)).expect("paths");
    let mut step = vec![0.0; 1000];
    let mut bounds = Vec::with_capacity(2 * 1440);
    for ahead in 0..1440 {
        for (value, path) in step.iter_mut().zip(paths.values.chunks_exact(1440)) {
            *value = path[ahead];
        }
        for place in [99, 899] {
            bounds.push(*step.select_nth_unstable_by(place, f64::total_cmp).1);
        }
    }
    bounds
}

/// CPU seconds of Prophet itself, fit and forecast.
fn peer() -> Option<f64> {
    let folder = std::env::var("FORESAIL_PEERS").ok()?;
    let python = std::env::var("FORESAIL_PYTHON").ok()?;
    let output = Command::new(python)
        .arg("fc_prophet.py")
        .current_dir(folder)
        .output()
        .ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let line: serde_json::Value = serde_json::from_str(text.lines().last()?).ok()?;
    println!("{line}");
    line["cpu_s"].as_f64()
}

fn main() {
    // `cargo test --benches` runs this once: it must not take long then.
    if std::env::args().any(|a| a == "--test") {
        return;
    }
    let values = minutes(20_160);
    // The sum that gen.py prints: the same numbers.
    assert!((values.iter().sum::<f64>() - 2_175_175.427_235_848).abs() < 1e-6);
    let series = Series::new(START, Span::from_seconds(60), values);
    let linear = Prophet {
        daily: Switch::Order(4),
        weekly: Switch::Order(3),
        ..Prophet::default()
    };
    let of = |growth, mode| Prophet {
        growth,
        mode,
        cap: 300.0,
        ..linear.clone()
    };
    let rows = [
        measure("linear additive", &linear, &series),
        measure("flat additive", &of(Growth::Flat, Mode::Additive), &series),
        measure(
            "linear multiplicative",
            &of(Growth::Linear, Mode::Multiplicative),
            &series,
        ),
        measure(
            "logistic additive",
            &of(Growth::Logistic, Mode::Additive),
            &series,
        ),
    ];
    let peer = peer();
    for row in rows {
        let total = row.fit + row.draws;
        let ratio = peer.map_or("null".to_owned(), |p| format!("{:.1}", p / total));
        println!(
            "{{\"bench\":\"prophet\",\"model\":\"{}\",\"points\":20160,\"fit_cpu_s\":{:.5},\
             \"draws_1440x1000_cpu_s\":{:.5},\"cpu_s\":{total:.5},\"forecast_60x7_us\":{:.1},\
             \"peer_cpu_ratio\":{ratio}}}",
            row.name,
            row.fit,
            row.draws,
            1e6 * row.forecast,
        );
    }
}
