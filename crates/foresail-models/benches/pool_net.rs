//! AQUATOPE's nets beside PyTorch in the same run: a training step, the passes of one function, and
//! 1,000 functions scheduled at once.
//!
//! Prints one JSON line for each work. With `FORESAIL_PEERS` (the folder of `nn_torch.py`) and
//! `FORESAIL_PYTHON` (an interpreter with torch) it runs the same work there and prints the ratio, ours
//! over theirs. Work is on one thread but for the last line, which tells the wall's clock on all cores.
#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a benchmark measures time and prints what it measured"
)]

mod support;

use std::time::Instant;

use foresail_core::quantity::series::Series;
use foresail_core::quantity::time::{Span, Timestamp};
use foresail_models::forecast::pool_net::encoder_decoder::{EncoderDecoder, Tape};
use foresail_models::forecast::pool_net::{
    Ask, INPUTS, PASSES, PoolNet, PoolSeries, Scale, Training, train,
};
use foresail_models::rng::{Seed, child};
use foresail_nn::loss::Loss;
use foresail_nn::optimize::Adam;
use foresail_nn::{LANES, Layer, Row, instruction_set};
use serde_json::json;
use support::{median, normals, peer, round};

const BATCH: usize = 128;
const STEPS: usize = 30;
const FUNCTIONS: usize = 1000;

fn rows(count: usize, seed: u64) -> Vec<Row<f32>> {
    let numbers = normals(seed, count * LANES);
    let row = |n: &[f64]| std::array::from_fn(|i| n[i] as f32);
    numbers.chunks_exact(LANES).map(row).collect()
}

/// Milliseconds of a training step of the encoder-decoder: forward, backward, Adam; one thread.
fn training_step() -> f64 {
    let training = Training::encoder();
    let mut stream = child(Seed(1), "bench");
    let mut net = EncoderDecoder::<f32>::new(&training, &mut stream);
    let (x, y) = (rows(48 * INPUTS, 1), rows(12, 2));
    let (mut adam, mut tape, mut gradient) = (Adam::new(1e-4), Tape::default(), Vec::new());
    let seconds = median(|| {
        for _ in 0..STEPS {
            net.clear_gradients();
            for _ in 0..BATCH / LANES {
                let masks = net.draw(&mut stream);
                let out = net.forward(&x, &masks, &mut tape);
                Loss::Squared.measure(out, &y, (LANES, BATCH * y.len()), &mut gradient);
                net.backward(&gradient, &masks, &mut tape);
            }
            adam.step(&mut net);
        }
    });
    seconds * 1e3 / STEPS as f64
}

/// A net of the published size; how well it was trained costs nothing.
fn net() -> PoolNet {
    let values: Vec<f64> = (0..800).map(|i| 20.0 + f64::from(i % 60) / 3.0).collect();
    let (start, step) = (Timestamp::from_seconds(0), Span::from_seconds(60));
    let series = [PoolSeries {
        id: "f".to_owned(),
        peaks: Series::new(start, step, values),
    }];
    let once = |training: Training| Training {
        epochs: 1,
        ..training
    };
    let encoder = train::encoder(&series, &once(Training::encoder()), Seed(1), &mut |_| {});
    let encoder = encoder.expect("it is long enough");
    train::head(
        &encoder,
        &series,
        &once(Training::head()),
        Seed(1),
        &mut |_| {},
    )
    .expect("it is long enough")
}

/// Milliseconds of 128 passes for so many functions, and of the wall's clock.
fn passes(net: &PoolNet, functions: usize, threads: usize) -> [f64; 2] {
    let names: Vec<String> = (0..functions).map(|i| format!("f{i}")).collect();
    let numbers = normals(3, functions * 48);
    let window = |n: &[f64]| {
        n.iter()
            .map(|v| (20.0 + 4.0 * v).abs())
            .collect::<Vec<f64>>()
    };
    let windows: Vec<Vec<f64>> = numbers.chunks_exact(48).map(window).collect();
    let scale = Scale {
        mean: 20.0,
        deviation: 4.0,
    };
    let next = Timestamp::from_seconds(1_767_571_200);
    let asks: Vec<Ask<'_>> = names
        .iter()
        .zip(&windows)
        .map(|(id, window)| Ask {
            id,
            window,
            scale,
            next,
        })
        .collect();
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
    let pool = pool.build().expect("a pool of threads");
    let mut walls = Vec::new();
    let mut told = 0.0;
    let mut once = || {
        let begin = Instant::now();
        let cpu = pool.install(|| {
            support::timed(|| {
                let answers = net.tell(&asks, PASSES, Seed(1));
                told += answers
                    .iter()
                    .flatten()
                    .map(|t| t[0].quantile(0.95))
                    .sum::<f64>();
            })
        });
        walls.push(begin.elapsed().as_secs_f64());
        cpu
    };
    once();
    let mut runs = [once(), once(), once()];
    assert!(f64::is_finite(told), "the net ran out of range");
    runs.sort_by(f64::total_cmp);
    walls.sort_by(f64::total_cmp);
    [runs[1] * 1e3, walls[1] * 1e3]
}

fn report(work: &str, ours: f64, theirs: Option<f64>) {
    let ratio = theirs.map(|t| round(ours / t));
    println!(
        "{}",
        json!({"bench": format!("pool-net {work}"), "cpu_ms": round(ours), "threads": 1,
            "found": instruction_set(), "pytorch_cpu_ms": theirs.map(round), "ours_over_pytorch": ratio})
    );
}

/// What PyTorch needs for the same work, in milliseconds of one thread.
fn of_peer(model: &str) -> Option<f64> {
    let steps = STEPS.to_string();
    let lines = peer(
        "nn_torch.py",
        &["--threads", "1", "--model", model, "--steps", &steps],
    );
    let figures = ["cpu_ms_per_step", "cpu_ms_per_128_passes"];
    let found = |line: &serde_json::Value| figures.iter().find_map(|f| line[*f].as_f64());
    lines.iter().find_map(found)
}

fn main() {
    // `cargo test --benches` runs this once: it must not take long then.
    if std::env::args().any(|a| a == "--test") {
        return;
    }
    report(
        "training step, batch 128",
        training_step(),
        of_peer("aquatope"),
    );
    let net = net();
    let [cpu, _] = passes(&net, 1, 1);
    report("128 passes, one function", cpu, of_peer("mc"));
    let [cpu, _] = passes(&net, FUNCTIONS, 1);
    report("128 passes, 1,000 functions", cpu, None);
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let [_, wall] = passes(&net, FUNCTIONS, threads);
    println!(
        "{}",
        json!({"bench": "pool-net 128 passes, 1,000 functions", "wall_ms": round(wall), "threads": threads})
    );
}
