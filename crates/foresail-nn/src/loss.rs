//! Losses with their gradients, over the lanes that hold samples.
//!
//! Each returns its part of a mean over `count` numbers, so that a batch of several tapes adds up.
//! Source of the forms: `torch.nn.{MSELoss, HuberLoss, GaussianNLLLoss}` with reduction `mean`.

use crate::kernel::Row;
use crate::real::Real;

/// The least variance of [`gaussian`], as PyTorch's `eps`.
const VARIANCE_MIN: f64 = 1e-6;

/// Which loss of a point forecast.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Loss {
    /// Mean of the squared errors.
    Squared,
    /// Squared below `delta`, straight beyond: robust against bursts.
    Huber {
        /// Where it turns straight. Units: those of the outputs.
        delta: f64,
    },
}

impl Loss {
    /// Loss and slope of one error.
    fn of(self, error: f64) -> (f64, f64) {
        match self {
            Self::Squared => (error * error, 2.0 * error),
            Self::Huber { delta } if error.abs() <= delta => (0.5 * error * error, error),
            Self::Huber { delta } => {
                let loss = delta * (error.abs() - 0.5 * delta);
                (loss, delta * error.signum())
            }
        }
    }

    /// The loss of the first `lanes` lanes, and its gradient in `gradient`, zero in the others.
    ///
    /// Shapes: all three the same number of rows; `count` is how many numbers the mean is over.
    pub fn measure<R: Real>(
        self,
        outputs: &[Row<R>],
        targets: &[Row<R>],
        (lanes, count): (usize, usize),
        gradient: &mut Vec<Row<R>>,
    ) -> f64 {
        gradient.clear();
        let mut sum = 0.0;
        for (out, target) in outputs.iter().zip(targets) {
            let mut slopes = [R::ZERO; crate::LANES];
            for l in 0..lanes {
                let (loss, slope) = self.of(out[l].wide() - target[l].wide());
                sum += loss;
                slopes[l] = R::of(slope / count as f64);
            }
            gradient.push(slopes);
        }
        sum / count as f64
    }
}

/// Negative log-likelihood of a normal distribution, without its constant.
///
/// Shapes: means, variances and targets have the same rows; the gradient of the means comes first,
/// then that of the variances. A variance below 1e-6 counts as 1e-6 and has the gradient of it.
pub fn gaussian<R: Real>(
    [means, variances, targets]: [&[Row<R>]; 3],
    (lanes, count): (usize, usize),
    gradient: &mut [Vec<Row<R>>; 2],
) -> f64 {
    gradient.iter_mut().for_each(Vec::clear);
    let mut sum = 0.0;
    for ((mean, variance), target) in means.iter().zip(variances).zip(targets) {
        let mut slopes = [[R::ZERO; crate::LANES]; 2];
        for l in 0..lanes {
            let error = mean[l].wide() - target[l].wide();
            let given = variance[l].wide();
            let v = if given > VARIANCE_MIN {
                given
            } else {
                VARIANCE_MIN
            };
            sum += 0.5 * (v.ln() + error * error / v);
            slopes[0][l] = R::of(error / v / count as f64);
            slopes[1][l] = R::of(0.5 * (1.0 / v - error * error / (v * v)) / count as f64);
        }
        gradient[0].push(slopes[0]);
        gradient[1].push(slopes[1]);
    }
    sum / count as f64
}
