//! Training steps of two LSTMs and passes with dropout, beside PyTorch in the same run.
//!
//! Prints one JSON line for each work with CPU milliseconds on one thread and the instruction set that
//! was found at run time. With `FORESAIL_PEERS` (the folder of `nn_torch.py`) and `FORESAIL_PYTHON`
//! (an interpreter with torch) it runs the same work there and prints the ratio, ours over theirs.
#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a benchmark measures time and prints what it measured"
)]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use foresail_nn::activation::Activation;
use foresail_nn::dropout::Mask;
use foresail_nn::linear::{Linear, LinearTape};
use foresail_nn::loss::Loss;
use foresail_nn::lstm::{LayerTape, Lstm, LstmLayer, LstmTape, Upstream};
use foresail_nn::optimize::Adam;
use foresail_nn::{LANES, Layer, Parameter, Row, instruction_set, named};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

const BATCH: usize = 128;
const STEPS: usize = 60;
const DROPOUT: f64 = 0.25;

/// CPU seconds of this thread so far.
fn cpu() -> Option<f64> {
    let text = std::fs::read_to_string("/proc/self/schedstat").ok()?;
    text.split(' ')
        .next()?
        .parse::<f64>()
        .ok()
        .map(|nanos| nanos / 1e9)
}

/// The median of three runs, in milliseconds for each of `count` pieces of work.
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
    runs[1] * 1e3 / count as f64
}

/// LSTM, dropout, and linear layers with a ReLU between.
struct Net {
    lstm: Lstm,
    head: Vec<Linear>,
    tape: LstmTape,
    tapes: Vec<LinearTape>,
}

impl Net {
    fn new(hidden: usize, between: Option<usize>, stream: &mut ChaCha8Rng) -> Self {
        let lstm = Lstm::new(1, hidden, 1, stream);
        let head = match between {
            None => vec![Linear::new(hidden, 1, stream)],
            Some(n) => vec![Linear::new(hidden, n, stream), Linear::new(n, 1, stream)],
        };
        let tapes = head.iter().map(|_| LinearTape::default()).collect();
        let tape = LstmTape::default();
        Self {
            lstm,
            head,
            tape,
            tapes,
        }
    }

    fn learn(&mut self, x: &[Row<f32>], y: &[Row<f32>], stream: &mut ChaCha8Rng) -> f64 {
        self.lstm.forward(x, &[], &mut self.tape);
        let mut rows = self.lstm.last(&self.tape).to_vec();
        let mask = Mask::draw(rows.len(), DROPOUT, stream);
        mask.apply(&mut rows);
        let last = self.head.len() - 1;
        for (place, linear) in self.head.iter().enumerate() {
            rows = linear.forward(&rows, &mut self.tapes[place]).to_vec();
            if place < last {
                Activation::Relu.forward(&mut rows);
            }
        }
        let mut gradient = Vec::new();
        let loss = Loss::Squared.measure(&rows, y, (LANES, BATCH), &mut gradient);
        for (place, linear) in self.head.iter_mut().enumerate().rev() {
            gradient = linear.backward(&gradient, &mut self.tapes[place]);
            if place > 0 {
                let mut before = self.tapes[place].input().to_vec();
                before.truncate(gradient.len());
                Activation::Relu.backward(&before, &mut gradient);
            }
        }
        mask.apply(&mut gradient);
        self.lstm
            .backward(Upstream::Last(&gradient), &[], &mut self.tape, None);
        loss
    }
}

impl Layer for Net {
    fn parameters(&self) -> Vec<(String, &Parameter)> {
        let mut all = named("lstm", self.lstm.parameters());
        for linear in &self.head {
            all.extend(named("fc", linear.parameters()));
        }
        all
    }

    fn parameters_mut(&mut self) -> Vec<(String, &mut Parameter)> {
        let mut all = named("lstm", self.lstm.parameters_mut());
        for linear in &mut self.head {
            all.extend(named("fc", linear.parameters_mut()));
        }
        all
    }
}

/// Two weeks of minutes: a day's wave and noise, around zero with deviation one.
fn minutes() -> Vec<f64> {
    let mut stream = ChaCha8Rng::seed_from_u64(1);
    let mut noise = || (stream.next_u64() >> 11) as f64 * 2_f64.powi(-52) - 1.0;
    let day = |t: usize| 1.3 * (t as f64 * std::f64::consts::TAU / 1440.0).sin();
    (0..20_160).map(|t| day(t) + 0.5 * noise()).collect()
}

/// Milliseconds of a training step: windows drawn, forward, backward, Adam.
fn step(hidden: usize, between: Option<usize>, window: usize) -> f64 {
    let data = minutes();
    let mut stream = ChaCha8Rng::seed_from_u64(2);
    let mut net = Net::new(hidden, between, &mut stream);
    let mut adam = Adam::new(1e-3);
    let (mut x, mut y) = (vec![[0.0; LANES]; window], vec![[0.0; LANES]; 1]);
    let mut loss = 0.0;
    let cost = timed(STEPS, || {
        for _ in 0..STEPS {
            net.clear_gradients();
            for _ in 0..BATCH / LANES {
                for lane in 0..LANES {
                    let first = stream.next_u64() as usize % (data.len() - window);
                    for (row, value) in x.iter_mut().zip(&data[first..]) {
                        row[lane] = *value as f32;
                    }
                    y[0][lane] = data[first + window] as f32;
                }
                loss += net.learn(&x, &y, &mut stream);
            }
            adam.step(&mut net);
        }
    });
    assert!(f64::is_finite(loss), "the net ran out of range");
    cost
}

/// Milliseconds of 128 passes with dropout through LSTM(5 → 64) and LSTM(64 → 1), one window of 48.
///
/// The first mask stands on the output of the 64 units, so that they run once.
fn passes() -> f64 {
    let mut stream = ChaCha8Rng::seed_from_u64(3);
    let below = LstmLayer::<f32>::new(5, 64, &mut stream);
    let above = LstmLayer::<f32>::new(64, 1, &mut stream);
    let x: Vec<Row<f32>> = (0..48 * 5)
        .map(|i| [(i as f32 * 0.1).sin(); LANES])
        .collect();
    let (mut first, mut second) = (LayerTape::default(), LayerTape::default());
    let mut last = Vec::new();
    let cost = timed(20, || {
        for _ in 0..20 {
            last.clear();
            below.forward(&x, &mut first);
            let outputs: Vec<Row<f32>> = first.outputs(64).flatten().copied().collect();
            for _ in 0..128 / LANES {
                let mut masked = outputs.clone();
                Mask::draw(64, DROPOUT, &mut stream).apply(&mut masked);
                above.forward(&masked, &mut second);
                last.extend_from_slice(&second.last(1)[0]);
            }
        }
    });
    let mean = last.iter().sum::<f32>() / last.len() as f32;
    assert!(last.iter().any(|v| (v - mean).abs() > 1e-6), "no dropout");
    cost
}

/// What PyTorch needs for the same work, in milliseconds; `None` where it is not given.
fn peer(model: &str, input: &Path) -> Option<f64> {
    let folder = PathBuf::from(std::env::var_os("FORESAIL_PEERS")?);
    let python = std::env::var_os("FORESAIL_PYTHON")?;
    let output = Command::new(python)
        .current_dir(&folder)
        .args(["nn_torch.py", "--threads", "1", "--model", model, "--steps"])
        .arg(STEPS.to_string())
        .arg("--input")
        .arg(input)
        .output()
        .expect("python starts");
    let line: serde_json::Value =
        serde_json::from_slice(&output.stdout).expect("one JSON line of nn_torch.py");
    let figures = ["cpu_ms_per_step", "cpu_ms_per_128_passes"];
    figures.iter().find_map(|name| line[*name].as_f64())
}

fn report(model: &str, ours: f64, input: &Path) {
    let beside = match peer(model, input) {
        Some(theirs) => format!(
            ",\"pytorch_cpu_ms\":{theirs:.3},\"ours_over_pytorch\":{:.3}",
            ours / theirs
        ),
        None => String::new(),
    };
    println!(
        "{{\"bench\":\"lstm {model}\",\"cpu_ms\":{ours:.3},\"threads\":1,\"built_for\":\"{}\",\"found\":\"{}\"{beside}}}",
        std::env::consts::ARCH,
        instruction_set(),
    );
}

fn main() {
    // `cargo test --benches` runs this once: it must not take long then.
    if std::env::args().any(|a| a == "--test") {
        return;
    }
    let name = format!("foresail-lstm-step-{}.f64", std::process::id());
    let input = std::env::temp_dir().join(name);
    let bytes: Vec<u8> = minutes().iter().flat_map(|v| v.to_le_bytes()).collect();
    std::fs::write(&input, bytes).expect("the folder of temporary files takes a file");
    report("lstm", step(50, None, 48), &input);
    report("policy60", step(64, Some(32), 60), &input);
    report("mc", passes(), &input);
    std::fs::remove_file(&input).expect("the file is still there");
}
