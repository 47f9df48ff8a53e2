//! Kernels compiled here, once for each kind of number, and not again in every crate that has a net.

use super::dense::{DenseBack, DenseCut, DenseForward, DenseGradient};
use super::dispatch;
use super::norm::{NormBackward, NormForward};
use super::update::{AdamStep, Blend};
use crate::activation::Apply;
use crate::gru::step::{GruBackward, GruForward};
use crate::linear::{AddOuter, Multiply};
use crate::lstm::passes::Pass;
use crate::lstm::step::{Backward, Forward};
use crate::mlp::head::HeadForward;

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

    /// Steps of a gated layer, forward.
    fn gru_forward(kernel: GruForward<'_, Self>);

    /// Steps of a gated layer, backward.
    fn gru_backward(kernel: GruBackward<'_, Self>);

    /// A layer over a batch.
    fn dense_forward(kernel: DenseForward<'_, Self>);

    /// The gradient of its input.
    fn dense_back(kernel: DenseBack<'_, Self>);

    /// The gradient through its ReLU.
    fn dense_cut(kernel: DenseCut<'_, Self>);

    /// The gradients of its weights.
    fn dense_gradient(kernel: DenseGradient<'_, Self>);

    /// Normalisation over a batch.
    fn norm_forward(kernel: NormForward<'_, Self>);

    /// The gradient through it.
    fn norm_backward(kernel: NormBackward<'_, Self>);

    /// What stands on the last layer.
    fn head(kernel: HeadForward<'_, Self>);

    /// A step of an optimizer.
    fn adam_step(kernel: AdamStep<'_, Self>);

    /// A part of the way from one net to another.
    fn blend(kernel: Blend<'_, Self>);
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

            fn gru_forward(kernel: GruForward<'_, Self>) {
                dispatch(kernel);
            }

            fn gru_backward(kernel: GruBackward<'_, Self>) {
                dispatch(kernel);
            }

            fn dense_forward(kernel: DenseForward<'_, Self>) {
                dispatch(kernel);
            }

            fn dense_back(kernel: DenseBack<'_, Self>) {
                dispatch(kernel);
            }

            fn dense_cut(kernel: DenseCut<'_, Self>) {
                dispatch(kernel);
            }

            fn dense_gradient(kernel: DenseGradient<'_, Self>) {
                dispatch(kernel);
            }

            fn norm_forward(kernel: NormForward<'_, Self>) {
                dispatch(kernel);
            }

            fn norm_backward(kernel: NormBackward<'_, Self>) {
                dispatch(kernel);
            }

            fn head(kernel: HeadForward<'_, Self>) {
                dispatch(kernel);
            }

            fn adam_step(kernel: AdamStep<'_, Self>) {
                dispatch(kernel);
            }

            fn blend(kernel: Blend<'_, Self>) {
                dispatch(kernel);
            }
        }
    };
}

compiled!(f32);
compiled!(f64);
