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

    /// Zeros, as biases may begin.
    #[must_use]
    pub fn zeros(shape: &[usize]) -> Self {
        let count = shape.iter().product();
        Self {
            shape: shape.to_vec(),
            value: vec![R::ZERO; count],
            gradient: vec![R::ZERO; count],
        }
    }

    /// Numbers that no gradient moves: all of them begin as `value`.
    #[must_use]
    pub fn constant(count: usize, value: R) -> Self {
        Self {
            shape: vec![count],
            value: vec![value; count],
            gradient: Vec::new(),
        }
    }

    /// A matrix of numbers uniform in ±√(6 / (rows + columns)).
    ///
    /// Source: Glorot & Bengio 2010; `torch.nn.init.xavier_uniform_`.
    pub fn xavier([rows, columns]: [usize; 2], stream: &mut impl Rng) -> Self {
        let bound = (6.0 / (rows + columns) as f64).sqrt();
        Self::uniform(&[rows, columns], bound, stream)
    }

    /// A matrix whose columns are orthonormal, or its rows where there are fewer of them; each such
    /// matrix is as likely as any other.
    ///
    /// Source: Saxe, McClelland & Ganguli 2014; `torch.nn.init.orthogonal_`.
    pub fn orthogonal([rows, columns]: [usize; 2], stream: &mut impl Rng) -> Self {
        let (length, count) = if rows < columns {
            (columns, rows)
        } else {
            (rows, columns)
        };
        let vectors = orthonormal(length, count, stream);
        let numbers: Vec<f64> = if rows < columns {
            vectors.concat()
        } else {
            let row = |r: usize| vectors.iter().map(move |v| v[r]);
            (0..rows).flat_map(row).collect()
        };
        let mut own = Self::zeros(&[rows, columns]);
        own.value = numbers.into_iter().map(R::of).collect();
        own
    }
}

/// `count` orthonormal vectors of a length that is at least their count.
fn orthonormal(length: usize, count: usize, stream: &mut impl Rng) -> Vec<Vec<f64>> {
    let mut vectors: Vec<Vec<f64>> = Vec::with_capacity(count);
    while vectors.len() < count {
        let mut vector: Vec<f64> = (0..length).map(|_| normal(stream)).collect();
        // Once leaves rounding behind, twice does not (Kahan's rule for Gram and Schmidt).
        for _ in 0..2 {
            for before in &vectors {
                let along: f64 = vector.iter().zip(before).map(|(a, b)| a * b).sum();
                for (number, before) in vector.iter_mut().zip(before) {
                    *number -= along * before;
                }
            }
        }
        let norm = vector.iter().map(|v| v * v).sum::<f64>().sqrt();
        // Practically never: a draw in the span of those before is drawn again.
        if norm > 1e-6 {
            vector.iter_mut().for_each(|v| *v /= norm);
            vectors.push(vector);
        }
    }
    vectors
}

/// The next number of a stream, standard normal.
///
/// Source: Box & Muller 1958, the cosine of the two.
pub(crate) fn normal(stream: &mut impl Rng) -> f64 {
    // From (0, 1]: the logarithm of zero is none.
    let radius = (-2.0 * (1.0 - unit(stream)).ln()).sqrt();
    radius * (std::f64::consts::TAU * unit(stream)).cos()
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

    /// What is kept beside the parameters and not learnt by gradients, such as running means.
    fn statistics(&self) -> Vec<(String, &Parameter<R>)> {
        Vec::new()
    }

    /// The same statistics, to be changed.
    fn statistics_mut(&mut self) -> Vec<(String, &mut Parameter<R>)> {
        Vec::new()
    }

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
