//! Kernels compiled here, once for each kind of number, and not again in every crate that has a net.

use super::dispatch;
use crate::activation::Apply;
use crate::linear::{AddOuter, Multiply};
use crate::lstm::passes::Pass;
use crate::lstm::step::{Backward, Forward};

/// The kernels of a kind of number.
pub trait Compiled: Sized {
    /// Steps of a layer, forward.
    fn forward(kernel: Forward<'_, Self>);

    /// Steps of a layer, backward; gives the width of a row of the sums.
    fn backward(kernel: Backward<'_, Self>) -> usize;

    /// One pass per lane over a sequence with masked inputs.
    fn pass(kernel: Pass<'_, Self>);

    /// Weights times rows.
    fn multiply(kernel: Multiply<'_, Self>);

    /// Gradient of weights; gives the width of a row of the sums.
    fn add_outer(kernel: AddOuter<'_, Self>) -> usize;

    /// A function of each number.
    fn apply(kernel: Apply<'_, Self>);
}

macro_rules! compiled {
    ($number:ty) => {
        impl Compiled for $number {
            fn forward(kernel: Forward<'_, Self>) {
                dispatch(kernel);
            }

            fn backward(kernel: Backward<'_, Self>) -> usize {
                dispatch(kernel)
            }

            fn pass(kernel: Pass<'_, Self>) {
                dispatch(kernel);
            }

            fn multiply(kernel: Multiply<'_, Self>) {
                dispatch(kernel);
            }

            fn add_outer(kernel: AddOuter<'_, Self>) -> usize {
                dispatch(kernel)
            }

            fn apply(kernel: Apply<'_, Self>) {
                dispatch(kernel);
            }
        }
    };
}

compiled!(f32);
compiled!(f64);
