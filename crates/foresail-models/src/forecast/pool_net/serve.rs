//! The trained net at work: mean and variance of the next step for many functions at once.
//!
//! Functions lie side by side through the first layer of the encoder, which no dropout reaches: its
//! mask stands on its output, so it runs once for each function and not once for each pass. From there
//! on a lane is a pass of one function.

use foresail_core::observe::VALUE_MAX;
use foresail_core::quantity::time::{Span, Timestamp};
use foresail_core::quantity::units::larger;
use foresail_nn::activation::Activation;
use foresail_nn::lstm::LayerTape;
use foresail_nn::lstm::passes::Passes;
use foresail_nn::lstm::stack::{Stack, StackTape};
use foresail_nn::{LANES, Layer, Row};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::encoder_decoder::{draw_encoder, latents};
use super::head::{self, Head};
use super::spread::Spread;
use super::train::Report;
use super::windows::{Known, Scale, put};
use super::{FEATURES, INPUTS, Training, features};
use crate::forecast::quantile::normal_quantile;
use crate::rng::{Seed, child};

/// Passes where nothing else is said. Source: the published inference.
pub const PASSES: usize = 128;

/// A trained encoder with the prediction network behind it.
#[derive(Clone, Debug, PartialEq)]
pub struct PoolNet {
    pub(super) encoder: Stack,
    pub(super) head: Head,
    pub(super) own: Own,
}

/// All but the weights.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Own {
    /// Settings of the prediction network.
    pub(super) training: Training,
    /// Dropout of the encoder.
    pub(super) encoder_dropout: f64,
    /// Units: nanoseconds.
    pub(super) step: i64,
    /// The functions that it has learnt from.
    pub(super) known: Vec<Known>,
    /// Errors of each step ahead.
    pub(super) spreads: Vec<Spread>,
    pub(super) report: Report,
}

/// One function whose next step is asked for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ask<'a> {
    /// Its name: the source of its chance, with the time.
    pub id: &'a str,
    /// Its last values, the newest last; as many as the net reads. Units: containers.
    pub window: &'a [f64],
    /// Its scale.
    pub scale: Scale,
    /// Begin of the step that comes next.
    pub next: Timestamp,
}

/// Why one function has no answer; the others have theirs.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum AskError {
    /// Too few values, or too many.
    #[error("{id}: the net reads {needed} steps, {found} are there; wait until there are enough")]
    Window {
        /// Which function.
        id: String,
        /// Steps that the net reads.
        needed: usize,
        /// Steps that are there.
        found: usize,
    },
    /// A value that no number of containers is.
    #[error(
        "{id}: step {step} of the window has the value {value}; fill a gap or leave the function out"
    )]
    Value {
        /// Which function.
        id: String,
        /// Its step, counted from 1.
        step: usize,
        /// What stands there.
        value: f64,
    },
    /// A scale that no series has.
    #[error("{id}: its scale is not one of containers; take that of its history")]
    Scale {
        /// Which function.
        id: String,
    },
}

/// What the net tells of one step ahead. Units: containers, variances their squares.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Told {
    /// Mean of the passes, below zero where the net says so.
    pub center: f64,
    /// Population variance of the passes.
    pub variance: f64,
    /// Mean squared error of the validation part: what passes do not know of.
    pub residual: f64,
    /// By how much the deviation is drawn out so that bands cover what they say; 1 where they did.
    pub factor: f64,
}

impl Told {
    /// The containers to be expected, not below zero.
    #[must_use]
    pub fn mean(&self) -> f64 {
        larger(self.center, 0.0)
    }

    /// The deviation of both variances together.
    #[must_use]
    pub fn deviation(&self) -> f64 {
        self.factor * (self.variance + self.residual).sqrt()
    }

    /// The quantile at a level in (0, 1), not below zero: center + z · deviation.
    #[must_use]
    pub fn quantile(&self, level: f64) -> f64 {
        larger(self.center + normal_quantile(level) * self.deviation(), 0.0)
    }
}

/// Mean and variance of the passes, for each step ahead; scaled, and less the oldest step.
pub(super) type Moments = Vec<[f64; 2]>;

/// What a thread keeps from one block to the next.
#[derive(Default)]
pub(super) struct Tape {
    stack: StackTape,
    below: LayerTape,
    passes: Passes,
    head: head::Tape,
    /// Outputs of the first layer for one function, step by step.
    sequence: Vec<f32>,
    /// Latents and the time of the next step.
    rows: Vec<Row<f32>>,
}

impl PoolNet {
    /// Steps that the net reads.
    #[must_use]
    pub fn window(&self) -> usize {
        self.own.training.window
    }

    /// Steps ahead that it tells.
    #[must_use]
    pub fn reach(&self) -> usize {
        self.own.training.reach
    }

    /// Length of a step.
    #[must_use]
    pub fn step(&self) -> Span {
        Span::from_nanos(self.own.step)
    }

    /// How it was trained.
    #[must_use]
    pub fn training(&self) -> &Training {
        &self.own.training
    }

    /// What came of its training.
    #[must_use]
    pub fn report(&self) -> &Report {
        &self.own.report
    }

    /// Errors and coverage, for each step ahead.
    #[must_use]
    pub fn spreads(&self) -> &[Spread] {
        &self.own.spreads
    }

    /// The functions that it has learnt from, with their scales.
    #[must_use]
    pub fn known(&self) -> &[Known] {
        &self.own.known
    }

    /// The scale of a function that it has learnt from.
    #[must_use]
    pub fn scale_of(&self, id: &str) -> Option<Scale> {
        let found = self.own.known.iter().find(|k| k.id == id);
        found.map(|k| k.scale)
    }

    /// How many numbers it has learnt: those of the encoder and of the prediction network.
    #[must_use]
    pub fn parameters(&self) -> [usize; 2] {
        [self.encoder.count(), self.head.count()]
    }

    /// Tells the steps ahead of many functions, each by `passes` passes with dropout left on; at most
    /// one pass, or no dropout anywhere, tells a point without a variance.
    ///
    /// A function's answer is a matter of itself, the seed and the time: the same bytes whoever else is
    /// asked for and however many threads there are. One that never varied in its history and has its
    /// mean throughout the window is told to keep it, without any doubt.
    pub fn tell(
        &self,
        asks: &[Ask<'_>],
        passes: usize,
        seed: Seed,
    ) -> Vec<Result<Vec<Told>, AskError>> {
        let block = |tape: &mut Tape, asks: &[Ask<'_>]| self.block(asks, passes, seed, tape);
        let blocks: Vec<Vec<_>> = asks
            .par_chunks(LANES)
            .map_init(Tape::default, block)
            .collect();
        blocks.into_iter().flatten().collect()
    }

    fn block(
        &self,
        asks: &[Ask<'_>],
        passes: usize,
        seed: Seed,
        tape: &mut Tape,
    ) -> Vec<Result<Vec<Told>, AskError>> {
        let checked: Vec<_> = asks.iter().map(|ask| self.check(ask)).collect();
        let good: Vec<&Ask<'_>> = asks
            .iter()
            .zip(&checked)
            .filter_map(|(ask, c)| c.is_ok().then_some(ask))
            .collect();
        let mut x = vec![[0.0; LANES]; self.window() * INPUTS];
        let mut lanes = Vec::with_capacity(good.len());
        for (lane, ask) in good.iter().enumerate() {
            let values = ask.window.iter().map(|v| ask.scale.inward(*v) as f32);
            let times = (0..self.window()).map(|i| self.time(ask, i));
            put(values, times, lane, &mut x);
            let next = features(ask.next).map(|f| f as f32);
            let name = format!("pool net passes {} {}", ask.next.nanos(), ask.id);
            lanes.push((next, child(seed, &name)));
        }
        let mut moments = self.moments(&x, lanes, passes, tape).into_iter();
        let both = asks.iter().zip(checked);
        both.map(|(ask, checked)| {
            checked.map(|()| self.told(ask, &moments.next().unwrap_or_default()))
        })
        .collect()
    }

    fn check(&self, ask: &Ask<'_>) -> Result<(), AskError> {
        let id = || ask.id.to_owned();
        let (needed, found) = (self.window(), ask.window.len());
        if needed != found {
            return Err(AskError::Window {
                id: id(),
                needed,
                found,
            });
        }
        if !ask.scale.is_sound() {
            return Err(AskError::Scale { id: id() });
        }
        let inside = |v: &f64| (0.0..=VALUE_MAX).contains(v);
        match ask.window.iter().position(|v| !inside(v)) {
            Some(place) => Err(AskError::Value {
                id: id(),
                step: place + 1,
                value: ask.window[place],
            }),
            None => Ok(()),
        }
    }

    /// Numbers of the time of a window's step.
    fn time(&self, ask: &Ask<'_>, step: usize) -> [f32; FEATURES] {
        let before = (self.window() - step) as i64;
        let ago = Span::from_nanos(self.own.step.saturating_mul(before));
        features(ask.next - ago).map(|f| f as f32)
    }

    fn told(&self, ask: &Ask<'_>, moments: &Moments) -> Vec<Told> {
        let (scale, oldest) = (&ask.scale, ask.window[0]);
        let still = |v: &f64| (v - scale.mean).abs() <= 1e-9 * scale.mean;
        if scale.deviation <= 0.0 && ask.window.iter().all(still) {
            let told = Told {
                center: scale.mean,
                variance: 0.0,
                residual: 0.0,
                factor: 1.0,
            };
            return vec![told; self.reach()];
        }
        let square = scale.unit() * scale.unit();
        let told = |([mean, variance], spread): (&[f64; 2], &Spread)| Told {
            center: scale.outward(scale.inward(oldest) + mean),
            variance: variance * square,
            residual: spread.residual * square,
            factor: spread.factor,
        };
        moments.iter().zip(&self.own.spreads).map(told).collect()
    }

    /// Passes of at most [`LANES`] windows side by side, each with the time of its next step and its
    /// chance.
    ///
    /// Shapes: `x` is window × 5 rows; the answer has the moments of each step ahead of each window.
    pub(super) fn moments(
        &self,
        x: &[Row<f32>],
        lanes: Vec<([f32; FEATURES], ChaCha8Rng)>,
        passes: usize,
        tape: &mut Tape,
    ) -> Vec<Moments> {
        if lanes.is_empty() {
            return Vec::new();
        }
        let sure = self.own.encoder_dropout <= 0.0 && self.own.training.dropout <= 0.0;
        if passes < 2 || sure {
            return self.points(x, &lanes, tape);
        }
        let [first, second] = self.encoder.layers() else {
            return Vec::new();
        };
        first.forward(x, &mut tape.below);
        let mut all = Vec::with_capacity(lanes.len());
        for (lane, (next, mut stream)) in lanes.into_iter().enumerate() {
            tape.sequence.clear();
            for output in tape.below.outputs(first.hidden()) {
                tape.sequence.extend(output.iter().map(|row| row[lane]));
            }
            second.take(&tape.sequence, &mut tape.passes);
            let mut sums = vec![Sums::default(); self.reach()];
            for done in (0..passes).step_by(LANES) {
                let out = self.pass(&next, &mut stream, tape);
                for (sums, row) in sums.iter_mut().zip(out) {
                    row[..LANES.min(passes - done)]
                        .iter()
                        .for_each(|v| sums.add(f64::from(*v)));
                }
            }
            all.push(sums.iter().map(Sums::moments).collect());
        }
        all
    }

    /// [`LANES`] passes of the function whose sequence was taken in.
    fn pass<'a>(
        &self,
        next: &[f32; FEATURES],
        stream: &mut ChaCha8Rng,
        tape: &'a mut Tape,
    ) -> &'a [Row<f32>] {
        let (shape, dropout) = (self.own.training.shape, self.own.encoder_dropout);
        let [below, above] = draw_encoder(shape, dropout, stream);
        // Without dropout in the encoder the channels stay as they are.
        let below = below.unwrap_or_else(|| {
            let width = self.encoder.layers().first().map_or(0, |l| l.hidden());
            foresail_nn::dropout::Mask::draw_quickly(width, 0.0, stream)
        });
        tape.rows.clear();
        tape.rows.extend_from_slice(tape.passes.run(&below));
        if let Some(mask) = above {
            mask.apply(&mut tape.rows);
        }
        Activation::Relu.forward(&mut tape.rows);
        tape.rows.extend(next.map(|f| [f; LANES]));
        let masks = self.head.draw(stream);
        self.head.forward(&tape.rows, &masks, &mut tape.head)
    }

    /// Answers without dropout, windows side by side.
    fn points(
        &self,
        x: &[Row<f32>],
        lanes: &[([f32; FEATURES], ChaCha8Rng)],
        tape: &mut Tape,
    ) -> Vec<Moments> {
        let mut rows = latents(&self.encoder, x, &mut tape.stack);
        for feature in 0..FEATURES {
            let mut row = [0.0; LANES];
            for (number, (next, _)) in row.iter_mut().zip(lanes) {
                *number = next[feature];
            }
            rows.push(row);
        }
        let masks = head::Masks::default();
        let out = self.head.forward(&rows, &masks, &mut tape.head);
        let of = |lane: usize| out.iter().map(|row| [f64::from(row[lane]), 0.0]).collect();
        (0..lanes.len()).map(of).collect()
    }
}

/// Sums of differences to the first number: numbers that are equal have a variance of exactly zero.
#[derive(Clone, Copy, Debug, Default)]
struct Sums {
    first: Option<f64>,
    count: f64,
    sum: f64,
    squares: f64,
}

impl Sums {
    fn add(&mut self, number: f64) {
        let differ = number - *self.first.get_or_insert(number);
        self.count += 1.0;
        self.sum += differ;
        self.squares += differ * differ;
    }

    /// Mean and population variance.
    fn moments(&self) -> [f64; 2] {
        let mean = self.sum / self.count;
        let variance = larger(self.squares / self.count - mean * mean, 0.0);
        [self.first.unwrap_or(0.0) + mean, variance]
    }
}
