//! Normal numbers by the ziggurat method, equal to numpy's to 1e-14 where the source of bits is.
//!
//! 256 layers of equal area under `exp(−x²/2)`; a layer and a place in it come from one 64-bit
//! number, and 98.8 of 100 are taken at once. The tables follow from the method's definition.
//! Source: Marsaglia & Tsang 2000, The Ziggurat Method; the order of the bits is numpy's
//! (`Generator.standard_normal`), NEP 19.

use std::sync::LazyLock;

use rand_chacha::rand_core::Rng;

use crate::rng::uniform;

/// Begin of the tail, for 256 layers.
const TAIL: f64 = 3.654_152_885_361_009;

/// The area of each layer.
const AREA: f64 = 0.004_928_673_233_974_655;

/// 2⁵², the places within a layer.
const PLACES: f64 = 4_503_599_627_370_496.0;

/// One layer: from which place on it must be looked at, its width of a place, its height.
#[derive(Clone, Copy, Debug, Default)]
struct Layer {
    inside: u64,
    width: f64,
    height: f64,
}

static LAYERS: LazyLock<[Layer; 256]> = LazyLock::new(layers);

fn layers() -> [Layer; 256] {
    let density = |x: f64| (-0.5 * x * x).exp();
    let mut layers = [Layer::default(); 256];
    let base = AREA / density(TAIL);
    layers[0] = Layer {
        inside: (TAIL / base * PLACES) as u64,
        width: base / PLACES,
        height: 1.0,
    };
    let mut outer = TAIL;
    layers[255].width = TAIL / PLACES;
    layers[255].height = density(TAIL);
    for i in (1..255).rev() {
        let x = (-2.0 * (AREA / outer + density(outer)).ln()).sqrt();
        layers[i + 1].inside = (x / outer * PLACES) as u64;
        layers[i].width = x / PLACES;
        layers[i].height = density(x);
        outer = x;
    }
    layers[1].inside = 0;
    layers
}

/// The next number of the standard normal distribution.
pub fn standard_normal(stream: &mut impl Rng) -> f64 {
    let layers = &*LAYERS;
    loop {
        let bits = stream.next_u64();
        let i = (bits & 0xff) as usize;
        let negative = bits >> 8 & 1 == 1;
        let place = bits >> 9 & 0x000f_ffff_ffff_ffff;
        let layer = layers[i];
        let x = place as f64 * layer.width;
        let x = if negative { -x } else { x };
        if place < layer.inside {
            return x;
        }
        if i == 0 {
            return tail(place, stream);
        }
        let height = (layers[i - 1].height - layer.height) * uniform(stream) + layer.height;
        if height < (-0.5 * x * x).exp() {
            return x;
        }
    }
}

/// A number beyond the last layer.
fn tail(place: u64, stream: &mut impl Rng) -> f64 {
    loop {
        let x = -(1.0 / TAIL) * (-uniform(stream)).ln_1p();
        let y = -(-uniform(stream)).ln_1p();
        if y + y > x * x {
            let negative = place >> 8 & 1 == 1;
            return if negative { -(TAIL + x) } else { TAIL + x };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::{Seed, child};

    #[test]
    fn numbers_have_the_moments_of_the_normal_distribution() {
        let mut stream = child(Seed(1), "normal test");
        let n = 400_000;
        let draws: Vec<f64> = (0..n).map(|_| standard_normal(&mut stream)).collect();
        let moment = |p: i32| draws.iter().map(|x| x.powi(p)).sum::<f64>() / f64::from(n);
        // Four standard errors: 1, sqrt 2, sqrt 15 and sqrt 96 over sqrt n.
        let error = 4.0 / f64::from(n).sqrt();
        assert!(moment(1).abs() < error, "{}", moment(1));
        assert!((moment(2) - 1.0).abs() < 1.5 * error, "{}", moment(2));
        assert!(moment(3).abs() < 4.0 * error, "{}", moment(3));
        assert!((moment(4) - 3.0).abs() < 10.0 * error, "{}", moment(4));
    }
}
