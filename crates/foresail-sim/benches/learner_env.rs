//! Steps of a world that a learner acts in: the fluid model alone, and the environment with the engine.
//!
//! Prints one JSON line for each with CPU time on one thread, and the most memory that the process
//! held. With `FORESAIL_PEERS` (the folder of `rl_torch.py`) and `FORESAIL_PYTHON` (an interpreter with
//! gymnasium) it runs a trivial world of Gymnasium in the same run and prints the ratio.
#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a benchmark measures time and prints what it measured"
)]

use std::path::PathBuf;
use std::process::Command;
use std::time::Instant;

use foresail_models::rl::axes::{MOVES, Move};
use foresail_models::rl::env::Env;
use foresail_models::rng::Seed;
use foresail_sim::cluster::Size;
use foresail_sim::env::{FluidEnv, StepRules, World, Worlds};
use foresail_sim::experiment::{Item, sizing_policies};
use foresail_sim::fluid::{Asked, Fluid, Model};
use foresail_sim::rng::Stream;

/// A million steps of 15 s are 174 days.
const STEPS: usize = 1_000_000;
const DAYS: u32 = 174;
const ENV_STEPS: usize = 20_000;

/// CPU seconds of this thread so far.
fn cpu() -> Option<f64> {
    let text = std::fs::read_to_string("/proc/self/schedstat").ok()?;
    let nanos = text.split(' ').next()?.parse::<f64>().ok()?;
    Some(nanos / 1e9)
}

fn peak_mib() -> Option<f64> {
    let text = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = text.lines().find(|l| l.starts_with("VmHWM"))?;
    let kib: f64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kib / 1024.0)
}

/// The median of three runs in CPU seconds.
fn timed(mut work: impl FnMut()) -> f64 {
    let mut once = || {
        let (wall, before) = (Instant::now(), cpu());
        work();
        std::thread::yield_now();
        match (before, cpu()) {
            (Some(a), Some(b)) if b > a => b - a,
            _ => wall.elapsed().as_secs_f64(),
        }
    };
    let mut runs: Vec<f64> = (0..3).map(|_| once()).collect();
    runs.sort_by(f64::total_cmp);
    runs[1]
}

/// The fluid model under random legal actions: replicas and both sizes, one step each, within bounds.
fn model(item: &Item, steps: usize) -> f64 {
    let (cluster, pipeline) = (&item.setup.cluster, &item.setup.pipeline);
    let fluid = Fluid {
        backlog: true,
        chance: Some(Seed(1)),
    };
    let mut model =
        Model::checked(cluster, pipeline, &item.workload, fluid).expect("a valid world");
    let mut stream = Stream::of(Seed(2), "actions");
    let bound = |name: &str| {
        let bounds = &item.setup.resources[name];
        [bounds.min, bounds.max, bounds.step].map(|q| q.milli())
    };
    let (cpu, memory) = (bound("cpu"), bound("memory").map(|m| m / 1000));
    let most = i64::from(item.setup.max);
    for _ in 0..steps {
        let chance = (stream.uniform() * 27.0) as i64;
        let seen = model.look(true);
        let moved = |now: i64, place: i64, [least, most, step]: [i64; 3]| {
            (now + (chance / place % 3 - 1) * step).clamp(least, most)
        };
        let asked = Asked {
            replicas: moved(i64::from(seen.current), 1, [1, most, 1]) as u32,
            size: Some(Size {
                cpu: moved(seen.size.cpu, 3, cpu),
                memory: moved(seen.size.memory, 9, memory),
            }),
        };
        model.act(Some(asked));
        model.advance();
    }
    model.finish().violations
}

/// The environment under random legal moves.
fn env(world: &World, steps: usize) -> f64 {
    let setup = &world.item.setup;
    let initial = setup.replicas_for(world.item.workload.first_rate());
    let policy = sizing_policies(setup, initial).pop().expect("aware");
    let rules = StepRules::default();
    let mut env = FluidEnv::new(&world.item, &policy, &setup.pipeline, rules, Seed(1))
        .expect("a valid world");
    let mut stream = Stream::of(Seed(2), "moves");
    let mut reward = 0.0;
    for _ in 0..steps {
        let legal = env.legal();
        let one = |axis: usize| {
            let place = (stream.uniform() * MOVES as f64) as usize;
            let is_legal = legal[axis * MOVES + place];
            if is_legal {
                Move::ALL[place]
            } else {
                Move::Hold
            }
        };
        let moves: Vec<Move> = (0..env.axes().len()).map(one).collect();
        reward += env.step(Some(&moves)).reward;
    }
    reward
}

/// Steps of a trivial Gymnasium world per CPU second; `None` where it is not given.
fn peer() -> Option<f64> {
    let folder = PathBuf::from(std::env::var_os("FORESAIL_PEERS")?);
    let python = std::env::var_os("FORESAIL_PYTHON")?;
    let output = Command::new(python)
        .current_dir(&folder)
        .args(["rl_torch.py", "--threads", "1", "--net", "env"])
        .output()
        .expect("python starts");
    let line: serde_json::Value =
        serde_json::from_slice(&output.stdout).expect("one JSON line of rl_torch.py");
    line["steps_per_cpu_s"].as_f64()
}

fn report(work: &str, steps: usize, seconds: f64, peer: Option<f64>) {
    let rate = steps as f64 / seconds;
    let beside = peer.map_or_else(String::new, |theirs| {
        format!(
            ",\"gymnasium_steps_per_cpu_s\":{theirs:.0},\"times_gymnasium\":{:.2}",
            rate / theirs
        )
    });
    println!(
        "{{\"bench\":\"{work}\",\"steps\":{steps},\"steps_per_cpu_s\":{rate:.0},\"ns_per_step\":{:.0},\"peak_mib\":{:.0}{beside}}}",
        seconds / steps as f64 * 1e9,
        peak_mib().unwrap_or(f64::NAN)
    );
}

fn main() {
    // `cargo test --benches` runs this once: it must not take long then.
    if std::env::args().any(|a| a == "--test") {
        return;
    }
    let peer = peer();
    let worlds = Worlds {
        days: DAYS,
        seed: Seed(5),
    };
    let world = worlds.generated(1);
    let alone = timed(|| {
        std::hint::black_box(model(&world.item, STEPS));
    });
    report("world alone", STEPS, alone, peer);
    let with_engine = timed(|| {
        std::hint::black_box(env(&world, ENV_STEPS));
    });
    report("world with the engine in it", ENV_STEPS, with_engine, peer);
}
