//! Steps of optimizers over flat numbers, on the widest registers.
//!
//! Nothing is fused and nothing summed, so that the width changes no bit.

use pulp::Simd;

use super::Kernel;
use crate::real::Real;

/// Constants of one step of Adam.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AdamConstants<R> {
    /// Learning rate over the first moment's correction.
    pub(crate) rate: R,
    /// One over the root of the second moment's correction.
    pub(crate) scale: R,
    pub(crate) epsilon: R,
    pub(crate) coupled: R,
    pub(crate) kept: R,
    /// Decay of each moment, and one minus it.
    pub(crate) first: (R, R),
    pub(crate) second: (R, R),
}

/// One step of Adam on one parameter.
#[derive(Debug)]
pub struct AdamStep<'a, R> {
    pub(crate) constants: AdamConstants<R>,
    pub(crate) value: &'a mut [R],
    pub(crate) gradient: &'a [R],
    pub(crate) first: &'a mut [R],
    pub(crate) second: &'a mut [R],
}

impl<R: Real> Kernel for AdamStep<'_, R> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd, const FUSED: bool>(self, _simd: S) {
        let c = self.constants;
        let values = self.value.iter_mut().zip(self.gradient);
        for (((value, gradient), first), second) in values.zip(self.first).zip(self.second) {
            let gradient = *gradient + c.coupled * *value;
            *first = c.first.0 * *first + c.first.1 * gradient;
            *second = c.second.0 * *second + c.second.1 * gradient * gradient;
            let length = second.root() * c.scale + c.epsilon;
            *value = c.kept * *value - c.rate * *first / length;
        }
    }
}

/// `target ← (1 − share) · target + share · source`.
#[derive(Debug)]
pub struct Blend<'a, R> {
    pub(crate) target: &'a mut [R],
    pub(crate) source: &'a [R],
    pub(crate) share: R,
    pub(crate) kept: R,
}

impl<R: Real> Kernel for Blend<'_, R> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd, const FUSED: bool>(self, _simd: S) {
        for (target, source) in self.target.iter_mut().zip(self.source) {
            *target = self.kept * *target + self.share * *source;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::dispatch;

    fn numbers(first: usize) -> Vec<f32> {
        (first..first + 77)
            .map(|i| (i as f32 * 0.37).sin())
            .collect()
    }

    /// Value, first and second moment after three steps.
    fn stepped(run: fn(AdamStep<'_, f32>)) -> [Vec<f32>; 3] {
        let (mut value, mut first, mut second) = (numbers(0), numbers(100), numbers(200));
        second.iter_mut().for_each(|v| *v = v.abs());
        for step in 0..3 {
            run(AdamStep {
                constants: AdamConstants {
                    rate: 0.01,
                    scale: 1.3,
                    epsilon: 1e-8,
                    coupled: 0.1,
                    kept: 0.99,
                    first: (0.9, 0.1),
                    second: (0.999, 0.001),
                },
                value: &mut value,
                gradient: &numbers(300 + step),
                first: &mut first,
                second: &mut second,
            });
        }
        [value, first, second]
    }

    #[test]
    fn the_width_of_registers_changes_no_bit_of_a_step() {
        let wide = stepped(|step| dispatch(step));
        let plain = stepped(|step| step.run::<pulp::Scalar, false>(pulp::Scalar::new()));
        assert_eq!(wide, plain);
        let blended = |run: fn(Blend<'_, f32>)| {
            let mut target = numbers(0);
            run(Blend {
                target: &mut target,
                source: &numbers(50),
                share: 0.003,
                kept: 0.997,
            });
            target
        };
        let wide = blended(|blend| dispatch(blend));
        let plain = blended(|blend| blend.run::<pulp::Scalar, false>(pulp::Scalar::new()));
        assert_eq!(wide, plain);
    }
}
