//! What is done with gradients: clipping, Adam, AdamW, and soft updates of a target net.

use crate::kernel::update::{AdamConstants, AdamStep, Blend};
use crate::parameter::{Layer, Parameter};
use crate::real::Real;

/// How weights are drawn to zero.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Decay {
    /// Not at all.
    None,
    /// Through the gradient, as Adam's `weight_decay`.
    Coupled(f64),
    /// Beside the gradient, as in AdamW.
    Decoupled(f64),
}

/// Adam, with PyTorch's defaults but for the rate.
///
/// Source: Kingma & Ba 2015; Loshchilov & Hutter 2019 for the decoupled decay; order of operations as
/// `torch.optim.Adam`.
#[derive(Clone, Debug, PartialEq)]
pub struct Adam<R = f32> {
    /// Learning rate.
    pub rate: f64,
    /// Decay of the two moments: 0.9 and 0.999.
    pub betas: (f64, f64),
    /// Added to the root of the second moment: 1e-8.
    pub epsilon: f64,
    /// How weights are drawn to zero.
    pub decay: Decay,
    steps: u64,
    /// First and second moment of each parameter.
    moments: Vec<[Vec<R>; 2]>,
}

impl<R: Real> Adam<R> {
    /// Adam with a learning rate.
    #[must_use]
    pub fn new(rate: f64) -> Self {
        Self {
            rate,
            betas: (0.9, 0.999),
            epsilon: 1e-8,
            decay: Decay::None,
            steps: 0,
            moments: Vec::new(),
        }
    }

    /// AdamW with a learning rate and a decay.
    #[must_use]
    pub fn with_decoupled_decay(rate: f64, decay: f64) -> Self {
        Self {
            decay: Decay::Decoupled(decay),
            ..Self::new(rate)
        }
    }

    /// One step along the gradients; the same net at each call.
    pub fn step(&mut self, net: &mut impl Layer<R>) {
        self.step_each(net.parameters_mut().into_iter().map(|(_, p)| p));
    }

    /// As [`Self::step`], of a net whose parameters come one after the other without their names.
    pub fn step_each<'a>(&mut self, parameters: impl Iterator<Item = &'a mut Parameter<R>>) {
        self.steps += 1;
        let (b1, b2) = self.betas;
        let steps = i32::try_from(self.steps).unwrap_or(i32::MAX);
        let (coupled, kept) = match self.decay {
            Decay::None => (R::ZERO, R::ONE),
            Decay::Coupled(decay) => (R::of(decay), R::ONE),
            Decay::Decoupled(decay) => (R::ZERO, R::of(1.0 - self.rate * decay)),
        };
        let constants = AdamConstants {
            rate: R::of(self.rate / (1.0 - b1.powi(steps))),
            scale: R::of(1.0 / (1.0 - b2.powi(steps)).sqrt()),
            epsilon: R::of(self.epsilon),
            coupled,
            kept,
            first: (R::of(b1), R::of(1.0 - b1)),
            second: (R::of(b2), R::of(1.0 - b2)),
        };
        for (place, parameter) in parameters.enumerate() {
            self.make_room(place, parameter.value.len());
            let [first, second] = &mut self.moments[place];
            R::adam_step(AdamStep {
                constants,
                value: &mut parameter.value,
                gradient: &parameter.gradient,
                first,
                second,
            });
        }
    }

    /// Room for the moments of parameter `place`.
    fn make_room(&mut self, place: usize, count: usize) {
        if self.moments.len() <= place {
            let zeros = || vec![R::ZERO; count];
            self.moments.push([zeros(), zeros()]);
        }
    }

    /// Makes room for the moments of a net before its first step, so that they can be kept.
    pub(crate) fn prepare<'a>(&mut self, parameters: impl Iterator<Item = &'a Parameter<R>>) {
        for (place, parameter) in parameters.enumerate() {
            self.make_room(place, parameter.value.len());
        }
    }

    /// Steps so far.
    #[must_use]
    pub fn steps(&self) -> u64 {
        self.steps
    }

    pub(crate) fn set_steps(&mut self, steps: u64) {
        self.steps = steps;
    }

    /// Its state as data: steps, and both moments of each parameter in the order of the net.
    #[must_use]
    pub fn state(&self) -> (u64, Vec<[Vec<R>; 2]>) {
        (self.steps, self.moments.clone())
    }

    /// Goes on from a state; the moments must be as long as the parameters of the net that it steps.
    pub fn resume(&mut self, (steps, moments): (u64, Vec<[Vec<R>; 2]>)) {
        self.steps = steps;
        self.moments = moments;
    }

    /// First and second moment of each parameter.
    pub(crate) fn moments(&self) -> &[[Vec<R>; 2]] {
        &self.moments
    }

    pub(crate) fn moments_mut(&mut self) -> &mut [[Vec<R>; 2]] {
        &mut self.moments
    }
}

/// Scales all gradients down together where their norm is above `norm_max`; returns the norm before.
///
/// Source: `torch.nn.utils.clip_grad_norm_`, its 1e-6 in the divisor included.
pub fn clip<R: Real>(net: &mut impl Layer<R>, norm_max: f64) -> f64 {
    let norm = norm(net.parameters().into_iter().map(|(_, p)| p));
    scale_down(
        net.parameters_mut().into_iter().map(|(_, p)| p),
        norm,
        norm_max,
    );
    norm
}

/// Norm of all gradients together.
pub(crate) fn norm<'a, R: Real>(parameters: impl Iterator<Item = &'a Parameter<R>>) -> f64 {
    let squares = |p: &Parameter<R>| p.gradient.iter().map(|g| g.wide().powi(2)).sum::<f64>();
    parameters.map(squares).sum::<f64>().sqrt()
}

/// Scales gradients of this norm down to `norm_max` where they are above it.
pub(crate) fn scale_down<'a, R: Real>(
    parameters: impl Iterator<Item = &'a mut Parameter<R>>,
    norm: f64,
    norm_max: f64,
) {
    let factor = norm_max / (norm + 1e-6);
    if factor < 1.0 {
        for gradient in parameters.flat_map(|p| &mut p.gradient) {
            *gradient = *gradient * R::of(factor);
        }
    }
}

/// Moves a target net towards another by `share`: target ← (1 − share) · target + share · source.
///
/// Statistics of normalisation move with the parameters.
/// Source: Polyak averaging as DDPG uses it (Lillicrap et al. 2016).
pub fn soft_update<R: Real, N: Layer<R>>(target: &mut N, source: &N, share: f64) {
    let pairs = target.parameters_mut().into_iter().zip(source.parameters());
    soft_update_each(pairs.map(|((_, t), (_, s))| (t, s)), share);
    let pairs = target.statistics_mut().into_iter().zip(source.statistics());
    soft_update_each(pairs.map(|((_, t), (_, s))| (t, s)), share);
}

/// As [`soft_update`], of pairs of target and source.
pub fn soft_update_each<'a, R: Real>(
    pairs: impl Iterator<Item = (&'a mut Parameter<R>, &'a Parameter<R>)>,
    share: f64,
) {
    let (share, kept) = (R::of(share), R::of(1.0 - share));
    for (target, source) in pairs {
        R::blend(Blend {
            target: &mut target.value,
            source: &source.value,
            share,
            kept,
        });
    }
}
