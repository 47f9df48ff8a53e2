//! Layers of different widths on top of each other, a mask on the output of each, the last included.
//!
//! A mask stands on what a layer gives to the one above, not on its own recurrence.

use rand_core::Rng;

use super::{LayerTape, LstmLayer, Upstream};
use crate::dropout::Mask;
use crate::kernel::{LANES, Row};
use crate::parameter::{Layer, Parameter, named};
use crate::real::Real;

/// The layers, lowest first; PyTorch's names of them are `lstm1`, `lstm2` and so on.
#[derive(Clone, Debug, PartialEq)]
pub struct Stack<R = f32> {
    layers: Vec<LstmLayer<R>>,
}

/// What a stack keeps of a pass.
#[derive(Clone, Debug, Default)]
pub struct StackTape<R = f32> {
    layers: Vec<LayerTape<R>>,
    /// Outputs of each layer, masked.
    outputs: Vec<Vec<Row<R>>>,
    gradient: Vec<Row<R>>,
    above: Vec<Row<R>>,
}

impl<R: Real> Stack<R> {
    /// Layers of these widths as [`LstmLayer::orthogonal`] begins them.
    pub fn orthogonal(input: usize, widths: &[usize], stream: &mut impl Rng) -> Self {
        let mut below = input;
        let layer = |width: &usize| {
            let layer = LstmLayer::orthogonal(below, *width, stream);
            below = *width;
            layer
        };
        Self {
            layers: widths.iter().map(layer).collect(),
        }
    }

    /// The layers, lowest first.
    #[must_use]
    pub fn layers(&self) -> &[LstmLayer<R>] {
        &self.layers
    }

    /// Outputs of the last layer for a sequence, from a state of zeros.
    ///
    /// Shapes: `x` is steps × input rows, the outputs are steps × width of the last layer. `masks` has
    /// one for each layer, of as many rows as the layer is wide; what lacks is no dropout.
    pub fn forward<'a>(
        &self,
        x: &[Row<R>],
        masks: &[Option<Mask<R>>],
        tape: &'a mut StackTape<R>,
    ) -> &'a [Row<R>] {
        let count = self.layers.len();
        tape.layers.resize_with(count, LayerTape::default);
        tape.outputs.resize_with(count, Vec::new);
        for (place, layer) in self.layers.iter().enumerate() {
            let (before, rest) = tape.outputs.split_at_mut(place);
            let own = &mut tape.layers[place];
            layer.forward(before.last().map_or(x, Vec::as_slice), own);
            let outputs = &mut rest[0];
            outputs.clear();
            for output in own.outputs(layer.hidden) {
                outputs.extend_from_slice(output);
            }
            if let Some(Some(mask)) = masks.get(place) {
                mask.apply(outputs);
            }
        }
        tape.outputs.last().map_or(&[], Vec::as_slice)
    }

    /// Adds the gradients of the parameters; those of the inputs where `inputs` is given.
    ///
    /// Shapes: `upstream` as the outputs, `inputs` as `x` of [`Self::forward`], with the same masks and
    /// tape.
    pub fn backward(
        &mut self,
        upstream: &[Row<R>],
        masks: &[Option<Mask<R>>],
        tape: &mut StackTape<R>,
        mut inputs: Option<&mut [Row<R>]>,
    ) {
        tape.above.clear();
        tape.above.extend_from_slice(upstream);
        for (place, layer) in self.layers.iter_mut().enumerate().rev() {
            if let Some(Some(mask)) = masks.get(place) {
                mask.apply(&mut tape.above);
            }
            let own = &mut tape.layers[place];
            let upstream = Upstream::Every(&tape.above);
            if place == 0 {
                layer.backward(upstream, own, inputs.take());
                continue;
            }
            tape.gradient.clear();
            tape.gradient
                .resize(own.steps * layer.input, [R::ZERO; LANES]);
            layer.backward(upstream, own, Some(tape.gradient.as_mut_slice()));
            std::mem::swap(&mut tape.gradient, &mut tape.above);
        }
    }
}

impl<R: Real> Layer<R> for Stack<R> {
    fn parameters(&self) -> Vec<(String, &Parameter<R>)> {
        let layers = self.layers.iter().enumerate();
        layers
            .flat_map(|(place, l)| named(&format!("lstm{}", place + 1), l.parameters()))
            .collect()
    }

    fn parameters_mut(&mut self) -> Vec<(String, &mut Parameter<R>)> {
        let layers = self.layers.iter_mut().enumerate();
        layers
            .flat_map(|(place, l)| named(&format!("lstm{}", place + 1), l.parameters_mut()))
            .collect()
    }
}
