//! What is done with gradients: clipping, Adam, AdamW, and soft updates of a target net.

use crate::parameter::Layer;
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
        self.steps += 1;
        let (b1, b2) = self.betas;
        let steps = i32::try_from(self.steps).unwrap_or(i32::MAX);
        let rate = R::of(self.rate / (1.0 - b1.powi(steps)));
        let scale = R::of(1.0 / (1.0 - b2.powi(steps)).sqrt());
        let epsilon = R::of(self.epsilon);
        let (coupled, kept) = match self.decay {
            Decay::None => (R::ZERO, R::ONE),
            Decay::Coupled(decay) => (R::of(decay), R::ONE),
            Decay::Decoupled(decay) => (R::ZERO, R::of(1.0 - self.rate * decay)),
        };
        let (b1, b2) = ((R::of(b1), R::of(1.0 - b1)), (R::of(b2), R::of(1.0 - b2)));
        for (place, (_, parameter)) in net.parameters_mut().into_iter().enumerate() {
            let count = parameter.value.len();
            if self.moments.len() <= place {
                self.moments
                    .push([vec![R::ZERO; count], vec![R::ZERO; count]]);
            }
            let [first, second] = &mut self.moments[place];
            let values = parameter.value.iter_mut().zip(&parameter.gradient);
            for (((value, gradient), first), second) in values.zip(first).zip(second) {
                let gradient = *gradient + coupled * *value;
                *first = b1.0 * *first + b1.1 * gradient;
                *second = b2.0 * *second + b2.1 * gradient * gradient;
                let length = second.root() * scale + epsilon;
                *value = kept * *value - rate * *first / length;
            }
        }
    }
}

/// Scales all gradients down together where their norm is above `norm_max`; returns the norm before.
///
/// Source: `torch.nn.utils.clip_grad_norm_`, its 1e-6 in the divisor included.
pub fn clip<R: Real>(net: &mut impl Layer<R>, norm_max: f64) -> f64 {
    let squares =
        |p: &crate::Parameter<R>| p.gradient.iter().map(|g| g.wide().powi(2)).sum::<f64>();
    let norm = net
        .parameters()
        .iter()
        .map(|(_, p)| squares(p))
        .sum::<f64>()
        .sqrt();
    let factor = norm_max / (norm + 1e-6);
    if factor < 1.0 {
        for (_, parameter) in net.parameters_mut() {
            for gradient in &mut parameter.gradient {
                *gradient = *gradient * R::of(factor);
            }
        }
    }
    norm
}

/// Moves a target net towards another by `share`: target ← (1 − share) · target + share · source.
///
/// Source: Polyak averaging as DDPG uses it (Lillicrap et al. 2016).
pub fn soft_update<R: Real, N: Layer<R>>(target: &mut N, source: &N, share: f64) {
    let (share, kept) = (R::of(share), R::of(1.0 - share));
    let pairs = target.parameters_mut().into_iter().zip(source.parameters());
    for ((_, target), (_, source)) in pairs {
        for (target, source) in target.value.iter_mut().zip(&source.value) {
            *target = kept * *target + share * *source;
        }
    }
}
