//! Parameters of a layer with their gradients, and how they begin.

use rand_core::Rng;

use crate::real::Real;

/// Numbers that are learnt.
#[derive(Clone, Debug, PartialEq)]
pub struct Parameter<R = f32> {
    /// Its shape in PyTorch's order, such as `[4 · hidden, input]`.
    pub shape: Vec<usize>,
    /// Row by row.
    pub value: Vec<R>,
    /// Sum of gradients since [`Layer::clear_gradients`].
    pub gradient: Vec<R>,
}

impl<R: Real> Parameter<R> {
    /// Numbers uniform in ±`bound`, as PyTorch begins its layers.
    pub fn uniform(shape: &[usize], bound: f64, stream: &mut impl Rng) -> Self {
        let count = shape.iter().product();
        let mut draw = || R::of((2.0 * unit(stream) - 1.0) * bound);
        Self {
            shape: shape.to_vec(),
            value: (0..count).map(|_| draw()).collect(),
            gradient: vec![R::ZERO; count],
        }
    }
}

/// The next number of a stream, uniform in [0, 1).
pub(crate) fn unit(stream: &mut impl Rng) -> f64 {
    (stream.next_u64() >> 11) as f64 * 2_f64.powi(-53)
}

/// What has parameters.
pub trait Layer<R: Real = f32> {
    /// The parameters with their names, in an order that does not change.
    fn parameters(&self) -> Vec<(String, &Parameter<R>)>;

    /// The same parameters, to be changed.
    fn parameters_mut(&mut self) -> Vec<(String, &mut Parameter<R>)>;

    /// Sets every gradient to zero.
    fn clear_gradients(&mut self) {
        for (_, parameter) in self.parameters_mut() {
            parameter.gradient.fill(R::ZERO);
        }
    }

    /// How many numbers are learnt.
    fn count(&self) -> usize {
        self.parameters().iter().map(|(_, p)| p.value.len()).sum()
    }
}

/// Names below a prefix, as PyTorch joins them: `lstm` and `weight_ih_l0` to `lstm.weight_ih_l0`.
#[must_use]
pub fn named<P>(prefix: &str, parameters: Vec<(String, P)>) -> Vec<(String, P)> {
    let joined = |(name, p)| (format!("{prefix}.{name}"), p);
    parameters.into_iter().map(joined).collect()
}
