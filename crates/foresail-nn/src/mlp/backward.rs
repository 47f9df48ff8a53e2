//! Gradients of a net: of its weights, of what joined, of what stood beside; only what is wanted.

use super::{Mlp, MlpTape};
use crate::kernel::dense::{DenseBack, DenseCut, DenseGradient};
use crate::kernel::product::whole_tiles;
use crate::real::Real;

/// Which gradients are wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Of weights and biases, added to those that are there.
    pub weights: bool,
    /// Of the rows that joined.
    pub joined: bool,
    /// Of the rows that stood beside the input.
    pub beside: bool,
}

impl<R: Real> Mlp<R> {
    /// From the gradient of the answer, which was written into the tape, to those that are wanted.
    ///
    /// The tape must be that of a pass in training. A net that is only passed through (no weights
    /// wanted) keeps its gradients, but for those of its normalisations, which the caller clears.
    pub fn backward(&mut self, wanted: Wanted, tape: &mut MlpTape<R>) {
        let output = self.shape.output;
        let layers = self.linears.len();
        {
            let last = &mut tape.layers[layers - 1];
            let stride = whole_tiles(output);
            self.head
                .backward(&tape.out, output, (&mut last.gradient, stride));
        }
        for place in (0..layers).rev() {
            if wanted.weights {
                self.add_gradient(place, tape);
            }
            let below = self.wants_below(place, wanted);
            let columns = self.columns(place, wanted, below);
            if columns.is_empty() {
                break;
            }
            let layer = &mut tape.layers[place];
            R::dense_back(DenseBack {
                weight: &self.linears[place].weight.value,
                depth: layer.depth,
                upstream: &layer.gradient,
                upstream_stride: whole_tiles(layer.width),
                outputs: layer.width,
                columns,
                out: &mut layer.back,
            });
            if !below {
                break;
            }
            if let Some(norm) = self.norms.get_mut(place) {
                norm.backward(&mut layer.back, layer.depth, &layer.norm);
            }
            if place > 0 {
                self.cut(place, tape);
            }
        }
    }

    /// Whether anything below the input of layer `place` is wanted.
    fn wants_below(&self, place: usize, wanted: Wanted) -> bool {
        if place == 0 {
            return wanted.weights && !self.norms.is_empty();
        }
        let joins_below = self.shape.join.is_some_and(|j| j.layer < place);
        wanted.weights || wanted.beside || (wanted.joined && joins_below)
    }

    /// Which rows of what layer `place` read need a gradient.
    fn columns(&self, place: usize, wanted: Wanted, below: bool) -> std::ops::Range<usize> {
        let depth = self.shape.depth(place);
        let own = depth - self.shape.joining(place);
        let end = if wanted.joined { depth } else { own };
        let first = match (place, below) {
            (_, true) => 0,
            (0, false) if wanted.beside => self.shape.input,
            (_, false) => own,
        };
        first..end
    }

    fn add_gradient(&mut self, place: usize, tape: &mut MlpTape<R>) {
        let (layer, linear) = (&tape.layers[place], &mut self.linears[place]);
        R::dense_gradient(DenseGradient {
            upstream: &layer.gradient,
            upstream_stride: whole_tiles(layer.width),
            x: &layer.x,
            depth: layer.depth,
            turned: &mut tape.turned,
            sums: &mut tape.sums,
            weight: &mut linear.weight.gradient,
            bias: &mut linear.bias.gradient,
        });
    }

    /// The gradient of what layer `place` read, back through the ReLU below it.
    fn cut(&self, place: usize, tape: &mut MlpTape<R>) {
        let (below, now) = tape.layers.split_at_mut(place);
        let (below, now) = (&mut below[place - 1], &now[0]);
        let width = below.width;
        let (out, out_stride) = match below.out.is_empty() {
            true => (&now.x, now.depth),
            false => (&below.out, width),
        };
        let stride = whole_tiles(width);
        R::dense_cut(DenseCut {
            back: &now.back,
            depth: now.depth,
            out,
            out_stride,
            to: &mut below.gradient,
            stride,
            width,
        });
    }
}
