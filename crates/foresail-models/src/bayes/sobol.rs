//! Sobol' points: numbers that fill a box more evenly than chance does.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::Rng;

use crate::forecast::quantile::normal_quantile;
use crate::rng::uniform;

/// Bits of one coordinate; 2³⁰ points are never asked for.
const BITS: usize = 30;

/// Dimensions of one net. Points of more are put together from several.
pub const DIMENSIONS_MAX: usize = 40;

/// Primitive polynomial over two elements, as bits, and the first direction numbers, of the second
/// dimension and all after it.
///
/// Source: Joe & Kuo 2008, Constructing Sobol sequences with better two-dimensional projections,
/// the first rows of their set for criterion D6.
const DIRECTIONS: [(u32, &[u32]); DIMENSIONS_MAX - 1] = [
    (3, &[1]),
    (7, &[1, 3]),
    (11, &[1, 3, 1]),
    (13, &[1, 1, 1]),
    (19, &[1, 1, 3, 3]),
    (25, &[1, 3, 5, 13]),
    (37, &[1, 1, 5, 5, 17]),
    (41, &[1, 1, 5, 5, 5]),
    (47, &[1, 1, 7, 11, 19]),
    (55, &[1, 1, 5, 1, 1]),
    (59, &[1, 1, 1, 3, 11]),
    (61, &[1, 3, 5, 5, 31]),
    (67, &[1, 3, 3, 9, 7, 49]),
    (91, &[1, 1, 1, 15, 21, 21]),
    (97, &[1, 3, 1, 13, 27, 49]),
    (103, &[1, 1, 1, 15, 7, 5]),
    (109, &[1, 3, 1, 15, 13, 25]),
    (115, &[1, 1, 5, 5, 19, 61]),
    (131, &[1, 3, 7, 11, 23, 15, 103]),
    (137, &[1, 3, 7, 13, 13, 15, 69]),
    (143, &[1, 1, 3, 13, 7, 35, 63]),
    (145, &[1, 3, 5, 9, 1, 25, 53]),
    (157, &[1, 3, 1, 13, 9, 35, 107]),
    (167, &[1, 3, 1, 5, 27, 61, 31]),
    (171, &[1, 1, 5, 11, 19, 41, 61]),
    (185, &[1, 3, 5, 3, 3, 13, 69]),
    (191, &[1, 1, 7, 13, 1, 19, 1]),
    (193, &[1, 3, 7, 5, 13, 19, 59]),
    (203, &[1, 1, 3, 9, 25, 29, 41]),
    (211, &[1, 3, 5, 13, 23, 1, 55]),
    (213, &[1, 3, 7, 3, 13, 59, 17]),
    (229, &[1, 3, 1, 3, 5, 53, 69]),
    (239, &[1, 1, 5, 5, 23, 33, 13]),
    (241, &[1, 1, 7, 7, 1, 61, 123]),
    (247, &[1, 1, 7, 9, 13, 61, 49]),
    (253, &[1, 3, 3, 5, 3, 55, 33]),
    (285, &[1, 3, 1, 15, 31, 13, 49, 245]),
    (299, &[1, 3, 5, 15, 31, 59, 63, 97]),
    (301, &[1, 3, 1, 11, 11, 11, 77, 249]),
];

/// Direction numbers of one dimension, the highest bit first.
fn directions(dimension: usize) -> [u32; BITS] {
    let mut numbers = [0; BITS];
    let Some((polynomial, first)) = dimension.checked_sub(1).map(|d| DIRECTIONS[d]) else {
        for (k, number) in numbers.iter_mut().enumerate() {
            *number = 1 << (BITS - 1 - k);
        }
        return numbers;
    };
    let degree = first.len();
    for k in 0..BITS {
        if k < degree {
            numbers[k] = first[k] << (BITS - 1 - k);
            continue;
        }
        let mut number = numbers[k - degree] ^ (numbers[k - degree] >> degree);
        for i in 1..degree {
            if polynomial >> (degree - i) & 1 == 1 {
                number ^= numbers[k - i];
            }
        }
        numbers[k] = number;
    }
    numbers
}

/// The bits of the first points of one dimension, in the order of the Gray code.
fn sequence(count: usize, directions: &[u32; BITS]) -> Vec<u32> {
    let mut bits = 0;
    let next = |i: usize| {
        if i > 0 {
            bits ^= directions[i.trailing_zeros() as usize];
        }
        bits
    };
    (0..count).map(next).collect()
}

/// Bits as a number in (0, 1): the middle of the cell.
fn middle(bits: u32) -> f64 {
    (f64::from(bits) + 0.5) / f64::from(1_u32 << BITS)
}

/// The first points without scrambling; shape `[count][dimensions]`, at most [`DIMENSIONS_MAX`].
#[must_use]
pub fn plain(count: usize, dimensions: usize) -> Vec<Vec<f64>> {
    let columns: Vec<Vec<u32>> = (0..dimensions)
        .map(|d| sequence(count, &directions(d)))
        .collect();
    let scale = 1.0 / f64::from(1_u32 << BITS);
    let point = |i: usize| columns.iter().map(|c| f64::from(c[i]) * scale).collect();
    (0..count).map(point).collect()
}

/// Direction numbers times a random lower triangular matrix of bits with ones on its diagonal.
fn scrambled_directions(dimension: usize, stream: &mut ChaCha8Rng) -> [u32; BITS] {
    let plain = directions(dimension);
    // Row k decides bit k, counted from the highest, by the bits down to it.
    let rows: [u32; BITS] = std::array::from_fn(|k| {
        let above = !0_u32 << (BITS - k) & ((1 << BITS) - 1);
        (stream.next_u32() & above) | 1 << (BITS - 1 - k)
    });
    plain.map(|number| {
        let bit = |k: usize| ((rows[k] & number).count_ones() & 1) << (BITS - 1 - k);
        (0..BITS).fold(0, |bits, k| bits | bit(k))
    })
}

/// Scrambled points; shape `[count][dimensions]`, each coordinate in (0, 1).
///
/// Each coordinate is scrambled by a random linear map of its bits and shifted. Beyond
/// [`DIMENSIONS_MAX`] dimensions the points are several nets side by side, each but the first in an
/// order of its own: every net stays as even as it is, and between nets chance rules.
/// Source: Matoušek 1998 for the scrambling; Owen 1998, Latin supercube sampling, for the rest.
#[must_use]
pub fn scrambled(count: usize, dimensions: usize, stream: &mut ChaCha8Rng) -> Vec<Vec<f64>> {
    let mut points = vec![Vec::with_capacity(dimensions); count];
    let mut order: Vec<usize> = (0..count).collect();
    for dimension in 0..dimensions {
        let within = dimension % DIMENSIONS_MAX;
        if dimension > 0 && within == 0 {
            shuffle(&mut order, stream);
        }
        let directions = scrambled_directions(within, stream);
        let shift = stream.next_u32() >> (32 - BITS);
        let bits = sequence(count, &directions);
        for (point, place) in points.iter_mut().zip(&order) {
            point.push(middle(bits[*place] ^ shift));
        }
    }
    points
}

/// Scrambled points as standard normal numbers; shape `[count][dimensions]`.
#[must_use]
pub fn normals(count: usize, dimensions: usize, stream: &mut ChaCha8Rng) -> Vec<Vec<f64>> {
    let mut points = scrambled(count, dimensions, stream);
    let numbers = points.iter_mut().flatten();
    numbers.for_each(|number| *number = normal_quantile(*number));
    points
}

/// Puts a list into an order of chance.
pub(crate) fn shuffle<T>(list: &mut [T], stream: &mut ChaCha8Rng) {
    for last in (1..list.len()).rev() {
        let place = (uniform(stream) * (last + 1) as f64) as usize;
        list.swap(place, last);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::{Seed, child};

    #[test]
    fn plain_points_are_those_of_scipy() {
        // scipy.stats.qmc.Sobol(d, scramble=False).random(n).
        let points = plain(8, 8);
        let third = [0.75, 0.25, 0.25, 0.25, 0.75, 0.75, 0.25, 0.75];
        let last = [0.125, 0.625, 0.375, 0.125, 0.125, 0.375, 0.625, 0.625];
        assert_eq!(points[2], third);
        assert_eq!(points[7], last);
        let high = plain(32, DIMENSIONS_MAX);
        assert_eq!(high[5][36..], [0.125, 0.375, 0.875, 0.375]);
        assert_eq!(high[31][36..], [0.09375, 0.96875, 0.96875, 0.34375]);
    }

    /// Every coordinate has one point in each of `count` cells, scrambled or not, and any two of one
    /// net have one in each of `count` boxes of some shape.
    #[test]
    fn each_coordinate_of_scrambled_points_is_even() {
        let dimensions = DIMENSIONS_MAX + 20;
        let points = scrambled(32, dimensions, &mut child(Seed(3), "sobol"));
        for d in 0..dimensions {
            let mut cells: Vec<u32> = points.iter().map(|p| (p[d] * 32.0) as u32).collect();
            cells.sort_unstable();
            assert_eq!(cells, (0..32).collect::<Vec<u32>>(), "dimension {d}");
        }
        let again = scrambled(32, dimensions, &mut child(Seed(3), "sobol"));
        assert_eq!(points, again);
        let other = scrambled(32, dimensions, &mut child(Seed(4), "sobol"));
        assert_ne!(points, other);
    }

    #[test]
    fn an_integral_is_nearer_than_by_chance() {
        // ∫ Π (1 + (x_d − ½) / 2) = 1 over the box of six.
        let worth = |p: &Vec<f64>| p.iter().map(|x| 1.0 + 0.5 * (x - 0.5)).product::<f64>();
        let error = |points: &[Vec<f64>]| {
            let mean = points.iter().map(worth).sum::<f64>() / points.len() as f64;
            (mean - 1.0) * (mean - 1.0)
        };
        let (mut even, mut chance) = (0.0, 0.0);
        for seed in 0..50 {
            let mut stream = child(Seed(seed), "integral");
            even += error(&scrambled(64, 6, &mut stream));
            let draw = |_| (0..6).map(|_| uniform(&mut stream)).collect();
            let drawn: Vec<Vec<f64>> = (0..64).map(draw).collect();
            chance += error(&drawn);
        }
        assert!(even < 0.02 * chance, "{even} {chance}");
    }

    #[test]
    fn normal_numbers_have_the_moments() {
        let numbers = normals(1024, 45, &mut child(Seed(5), "normals"));
        for d in [0, 1, 39, 40, 44] {
            let mean = numbers.iter().map(|p| p[d]).sum::<f64>() / 1024.0;
            let square = numbers.iter().map(|p| p[d] * p[d]).sum::<f64>() / 1024.0;
            assert!(
                mean.abs() < 0.01 && (square - 1.0).abs() < 0.02,
                "{mean} {square}"
            );
        }
    }
}
