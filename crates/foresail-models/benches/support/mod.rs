//! What the benchmarks share: CPU time of this thread, the peers' generator, and running a peer.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::disallowed_methods,
    reason = "each benchmark uses a part of it, and measures time"
)]

use std::process::Command;
use std::time::Instant;

use foresail_models::classify::{WINDOW, Window};
use serde_json::Value;

/// CPU seconds of this thread so far.
fn cpu() -> Option<f64> {
    // The kernel books a thread's time when it lets go of the processor.
    std::thread::yield_now();
    let text = std::fs::read_to_string("/proc/self/schedstat").ok()?;
    let nanos = text.split(' ').next()?.parse::<f64>().ok()?;
    Some(nanos / 1e9)
}

/// CPU seconds of `work`; of the wall's clock where the system does not tell.
pub fn timed(work: impl FnOnce()) -> f64 {
    let (wall, before) = (Instant::now(), cpu());
    work();
    match (before, cpu()) {
        (Some(a), Some(b)) if b > a => b - a,
        _ => wall.elapsed().as_secs_f64(),
    }
}

/// The median of three runs.
pub fn median(mut work: impl FnMut()) -> f64 {
    let mut runs = [timed(&mut work), timed(&mut work), timed(&mut work)];
    runs.sort_by(f64::total_cmp);
    runs[1]
}

/// Uniform numbers in (0, 1): SplitMix64, as the peers' `gen.py` has it.
pub fn splitmix(seed: u64, count: usize) -> Vec<f64> {
    let one = |i: u64| {
        let mut z = seed.wrapping_add(i.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^= z >> 31;
        ((z >> 11) as f64 + 0.5) / 2_f64.powi(53)
    };
    (1..=count as u64).map(one).collect()
}

/// Standard normal numbers by Box and Muller, as `gen.py` has them.
pub fn normals(seed: u64, count: usize) -> Vec<f64> {
    let pair = |u: &[f64]| (-2.0 * u[0].ln()).sqrt() * (std::f64::consts::TAU * u[1]).cos();
    splitmix(seed, 2 * count).chunks(2).map(pair).collect()
}

/// So many windows, a quarter each of spike, periodic, ramp and stationary ones, as `gen.windows`
/// has them; the normal numbers are those of the next seed.
pub fn windows(count: usize, seed: u64) -> Vec<Window> {
    let tau = std::f64::consts::TAU;
    let (p, z) = (splitmix(seed, count * 4), normals(seed + 1, count * WINDOW));
    let one = |i: usize| {
        let p = &p[i * 4..i * 4 + 4];
        let base = 5.0 + 200.0 * p[0] * p[0];
        let at = (p[1] * 57.0).floor();
        std::array::from_fn(|step| {
            let t = step as f64;
            let rate = match i % 4 {
                0 if t >= at && t < at + 2.0 => base * (4.0 + 30.0 * p[2]),
                1 => {
                    let turns = t / (5.0 + 20.0 * p[3]) + p[1];
                    base * (1.0 + (0.3 + 0.6 * p[2]) * (tau * turns).sin())
                }
                2 => base * (1.0 + (0.5 + 4.0 * p[2]) * t / 60.0),
                _ => base,
            };
            let count = (rate + rate.sqrt() * z[i * WINDOW + step]).round_ties_even();
            if count > 0.0 { count } else { 0.0 }
        })
    };
    (0..count).map(one).collect()
}

/// The lines that a peer's script prints; none where `FORESAIL_PEERS` names no folder of them, or it
/// cannot run.
pub fn peer(script: &str, args: &[&str]) -> Vec<Value> {
    let Some(folder) = std::env::var_os("FORESAIL_PEERS") else {
        return Vec::new();
    };
    let python = std::env::var_os("FORESAIL_PYTHON").unwrap_or_else(|| "python3".into());
    lines(
        Command::new(python)
            .current_dir(folder)
            .arg(script)
            .args(args),
    )
}

/// The lines of JSON that a command prints.
pub fn lines(command: &mut Command) -> Vec<Value> {
    let Ok(output) = command.output() else {
        return Vec::new();
    };
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect()
}

/// At three digits after the point.
pub fn round(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}
