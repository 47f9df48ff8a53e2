//! Steps of learning of two agents, and the recurrent net that reads trajectories, beside PyTorch in the
//! same run.
//!
//! Prints one JSON line for each work with CPU time on one thread and the instruction set that was found
//! at run time. With `FORESAIL_PEERS` (the folder of `rl_torch.py`) and `FORESAIL_PYTHON` (an interpreter
//! with torch) it runs the same work there and prints the ratio, ours over theirs.
#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a benchmark measures time and prints what it measured"
)]

use std::path::PathBuf;
use std::process::Command;
use std::time::Instant;

use foresail_nn::ddpg::{Ddpg, Head, Settings, Transition};
use foresail_nn::gru::{Direction, Gru, GruTape, Shape};
use foresail_nn::{LANES, Row, instruction_set};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

const STEPS: usize = 3000;
const STATE: usize = 26;
const ACTIONS: usize = 15;

/// CPU seconds of this thread so far.
fn cpu() -> Option<f64> {
    let text = std::fs::read_to_string("/proc/self/schedstat").ok()?;
    text.split(' ')
        .next()?
        .parse::<f64>()
        .ok()
        .map(|nanos| nanos / 1e9)
}

/// The median of three runs, in microseconds for each of `count` pieces of work.
fn timed(count: usize, mut work: impl FnMut()) -> f64 {
    let mut once = || {
        let (wall, before) = (Instant::now(), cpu());
        work();
        std::thread::yield_now();
        match (before, cpu()) {
            (Some(a), Some(b)) if b > a => b - a,
            _ => wall.elapsed().as_secs_f64(),
        }
    };
    once();
    let mut runs: Vec<f64> = (0..3).map(|_| once()).collect();
    runs.sort_by(f64::total_cmp);
    runs[1] * 1e6 / count as f64
}

fn number(chance: &mut ChaCha8Rng) -> f32 {
    ((chance.next_u64() >> 11) as f64 * 2_f64.powi(-52) - 1.0) as f32
}

/// Microseconds of a step: sampling, both updates, both soft updates; memory of 100,000 transitions.
fn step(settings: Settings) -> f64 {
    let mut agent =
        Ddpg::<f32>::new(settings, ChaCha8Rng::seed_from_u64(1)).expect("settings of an agent");
    let mut replay = agent.replay();
    let mut chance = ChaCha8Rng::seed_from_u64(2);
    for _ in 0..replay.capacity() {
        let mut some = |n: usize| (0..n).map(|_| number(&mut chance)).collect::<Vec<_>>();
        let (state, action, next) = (some(STATE), some(ACTIONS), some(STATE));
        let transition = Transition {
            state: &state,
            action: &action,
            reward: some(1)[0],
            next: &next,
            done: false,
        };
        replay.push(&transition).expect("finite numbers");
    }
    timed(STEPS, || {
        for _ in 0..STEPS {
            agent.learn(&replay, &[]).expect("learning stays in range");
        }
    })
}

/// 26 → 64 → 64 → 15 with a tanh, and 41 → 64 → 64 → 1.
fn aware() -> Settings {
    Settings {
        head: Head::Tanh,
        buffer: 100_000,
        tau: 1e-3,
        ..Settings::aware(STATE, 0, ACTIONS)
    }
}

/// Microseconds of a pass over 20 trajectories of 50 steps and 13 numbers, 2 layers of 256 units in both
/// directions.
fn pass() -> f64 {
    let shape = Shape {
        input: 13,
        hidden: 256,
        layers: 2,
        direction: Direction::Both,
    };
    let mut chance = ChaCha8Rng::seed_from_u64(3);
    let gru = Gru::<f32>::new(shape, &mut chance);
    let row = |_| {
        let mut row = [0.0; LANES];
        row[..20].iter_mut().for_each(|x| *x = number(&mut chance));
        row
    };
    let x: Vec<Row<f32>> = (0..50 * 13).map(row).collect();
    let mut tape = GruTape::default();
    timed(5, || (0..5).for_each(|_| gru.forward(&x, &mut tape)))
}

/// What PyTorch needs for the same work, in microseconds; `None` where it is not given.
fn peer(net: &str) -> Option<f64> {
    let folder = PathBuf::from(std::env::var_os("FORESAIL_PEERS")?);
    let python = std::env::var_os("FORESAIL_PYTHON")?;
    let output = Command::new(python)
        .current_dir(&folder)
        .args(["rl_torch.py", "--threads", "1", "--net", net, "--steps"])
        .arg(STEPS.to_string())
        .output()
        .expect("python starts");
    let line: serde_json::Value =
        serde_json::from_slice(&output.stdout).expect("one JSON line of rl_torch.py");
    let milliseconds = line["cpu_ms"].as_f64().map(|ms| 1e3 * ms);
    line["us_per_step"].as_f64().or(milliseconds)
}

fn report(work: &str, net: &str, ours: f64) {
    let beside = match peer(net) {
        Some(theirs) => format!(
            ",\"pytorch_cpu_us\":{theirs:.1},\"ours_over_pytorch\":{:.3}",
            ours / theirs
        ),
        None => String::new(),
    };
    println!(
        "{{\"bench\":\"{work}\",\"cpu_us\":{ours:.1},\"threads\":1,\"built_for\":\"{}\",\"found\":\"{}\"{beside}}}",
        std::env::consts::ARCH,
        instruction_set(),
    );
}

fn main() {
    // `cargo test --benches` runs this once: it must not take long then.
    if std::env::args().any(|a| a == "--test") {
        return;
    }
    report("ddpg 64-64", "64", step(aware()));
    report("ddpg firm", "firm", step(Settings::firm(STATE, 0, ACTIONS)));
    report("gru 2x256, 20x50x13", "gru", pass());
}
