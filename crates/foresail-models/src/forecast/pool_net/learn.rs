//! Epochs of Adam over windows: batches in a new order, the best epoch by the validation part.
//!
//! A batch is cut into blocks of [`LANES`] windows; blocks run side by side, each on a copy of the net,
//! and their gradients are added in the order of the blocks. So the weights are the same bytes however
//! many threads there are.

use foresail_nn::loss::Loss;
use foresail_nn::optimize::Adam;
use foresail_nn::{LANES, Layer, Row};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::Rng;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::windows::Place;
use super::{PoolNetError, Training};
use crate::rng::{Seed, child};

/// Blocks that run side by side; more would only hold memory.
const ABREAST: usize = 8;

/// What is learnt, and from what.
pub(super) trait Lesson: Sync {
    /// The net.
    type Net: Layer<f32> + Clone + Send + Sync;
    /// What a pass keeps.
    type Tape: Default + Send;
    /// Dropout of a pass; none by default.
    type Masks: Default + Send + Sync;

    /// The dropout of one block.
    fn draw(&self, net: &Self::Net, stream: &mut ChaCha8Rng) -> Self::Masks;

    /// Answers for windows side by side.
    fn forward<'a>(
        &self,
        net: &Self::Net,
        places: &[Place],
        masks: &Self::Masks,
        tape: &'a mut Self::Tape,
    ) -> &'a [Row<f32>];

    /// Adds the gradients of the parameters.
    fn backward(
        &self,
        net: &mut Self::Net,
        gradient: &[Row<f32>],
        masks: &Self::Masks,
        tape: &mut Self::Tape,
    );

    /// What the answers should be.
    fn targets(&self, places: &[Place]) -> Vec<Row<f32>>;
}

/// One epoch. Units of losses: mean squared error of scaled values.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Epoch {
    /// Which one, counted from 1.
    pub number: usize,
    /// Loss over the training part while it was learnt from, dropout included.
    pub training: f64,
    /// Loss over the validation part, without dropout.
    pub validation: f64,
}

/// A block's copy of the net.
struct Worker<L: Lesson> {
    net: L::Net,
    tape: L::Tape,
    gradient: Vec<Row<f32>>,
}

/// The weights of the best epoch, that epoch, and how many there were.
pub(super) type Learnt<N> = (N, Epoch, usize);

/// Trains a net; `watch` hears of each epoch.
pub(super) fn run<L: Lesson>(
    lesson: &L,
    mut net: L::Net,
    training: &Training,
    [learnt, judged]: [&[Place]; 2],
    seed: Seed,
    watch: &mut dyn FnMut(&Epoch),
) -> Result<Learnt<L::Net>, PoolNetError> {
    let mut order = learnt.to_vec();
    let mut chance = (
        child(seed, "pool net order"),
        child(seed, "pool net dropout"),
    );
    let mut adam = Adam::new(training.rate);
    let mut workers: Vec<Worker<L>> = Vec::new();
    let mut best: Option<(L::Net, Epoch)> = None;
    let mut ran = 0;
    while ran < training.epochs {
        ran += 1;
        shuffle(&mut order, &mut chance.0);
        let mut sum = 0.0;
        for batch in order.chunks(training.batch) {
            let loss = descend(lesson, &mut net, batch, &mut chance.1, &mut workers);
            adam.step(&mut net);
            sum += loss * batch.len() as f64;
        }
        let epoch = Epoch {
            number: ran,
            training: sum / order.len() as f64,
            validation: judge(lesson, &net, judged),
        };
        if !(epoch.training.is_finite() && epoch.validation.is_finite()) {
            return Err(PoolNetError::NotFinite);
        }
        watch(&epoch);
        let better = |(_, b): &(L::Net, Epoch)| epoch.validation < b.validation;
        if best.as_ref().is_none_or(better) {
            best = Some((net.clone(), epoch));
        }
        let since = best.as_ref().map_or(0, |(_, b)| ran - b.number);
        if training.patience > 0 && since >= training.patience {
            break;
        }
    }
    let (mut net, epoch) = best.ok_or(PoolNetError::NotFinite)?;
    net.clear_gradients();
    let finite = |p: &foresail_nn::Parameter| p.value.iter().all(|v| v.is_finite());
    if !net.parameters().iter().all(|(_, p)| finite(p)) {
        return Err(PoolNetError::NotFinite);
    }
    Ok((net, epoch, ran))
}

/// Leaves the gradients of a batch in the net; gives its loss.
fn descend<L: Lesson>(
    lesson: &L,
    net: &mut L::Net,
    batch: &[Place],
    stream: &mut ChaCha8Rng,
    workers: &mut Vec<Worker<L>>,
) -> f64 {
    net.clear_gradients();
    let blocks: Vec<_> = batch
        .chunks(LANES)
        .map(|places| (places, lesson.draw(net, stream)))
        .collect();
    let mut sum = 0.0;
    for abreast in blocks.chunks(ABREAST) {
        while workers.len() < abreast.len() {
            workers.push(Worker {
                net: net.clone(),
                tape: L::Tape::default(),
                gradient: Vec::new(),
            });
        }
        let own: &L::Net = net;
        let run = |(worker, (places, masks)): (&mut Worker<L>, &(&[Place], L::Masks))| {
            copy(own, &mut worker.net);
            let targets = lesson.targets(places);
            let out = lesson.forward(&worker.net, places, masks, &mut worker.tape);
            let lanes = (places.len(), batch.len() * targets.len());
            let loss = Loss::Squared.measure(out, &targets, lanes, &mut worker.gradient);
            lesson.backward(&mut worker.net, &worker.gradient, masks, &mut worker.tape);
            loss
        };
        let pairs = workers.par_iter_mut().zip(abreast.par_iter());
        let losses: Vec<f64> = pairs.map(run).collect();
        sum += losses.iter().sum::<f64>();
        for worker in &workers[..abreast.len()] {
            add_gradients(&worker.net, net);
        }
    }
    sum
}

/// Takes the weights of another net, and begins with gradients of zero.
fn copy<N: Layer<f32>>(from: &N, to: &mut N) {
    let pairs = to.parameters_mut().into_iter().zip(from.parameters());
    for ((_, to), (_, from)) in pairs {
        to.value.copy_from_slice(&from.value);
        to.gradient.fill(0.0);
    }
}

fn add_gradients<N: Layer<f32>>(from: &N, to: &mut N) {
    let pairs = to.parameters_mut().into_iter().zip(from.parameters());
    for ((_, to), (_, from)) in pairs {
        for (sum, more) in to.gradient.iter_mut().zip(&from.gradient) {
            *sum += more;
        }
    }
}

/// Fisher and Yates' shuffle.
fn shuffle(order: &mut [Place], stream: &mut ChaCha8Rng) {
    for i in (1..order.len()).rev() {
        // The bias of a remainder of 64 bits is below 1e-12 here.
        order.swap(i, (stream.next_u64() % (i as u64 + 1)) as usize);
    }
}

/// Mean squared error over windows, without dropout.
pub(super) fn judge<L: Lesson>(lesson: &L, net: &L::Net, places: &[Place]) -> f64 {
    let masks = L::Masks::default();
    let part = |tape: &mut L::Tape, some: &[Place]| {
        let targets = lesson.targets(some);
        let out = lesson.forward(net, some, &masks, tape);
        let lanes = (some.len(), places.len() * targets.len());
        Loss::Squared.measure(out, &targets, lanes, &mut Vec::new())
    };
    let parts: Vec<f64> = places
        .par_chunks(LANES)
        .map_init(L::Tape::default, part)
        .collect();
    parts.iter().sum()
}
