//! When requests are due: a rate that is constant or a ramp, part after part, and its integral
//! turned round.

use std::fmt;

use foresail_core::quantity::time::Span;

/// The highest rate, in requests per second.
pub const RATE_MAX: f64 = 1e6;

/// The most requests of one shape.
pub const REQUESTS_MAX: f64 = 1e9;

/// The longest shape.
const LENGTH_MAX: Span = Span::from_seconds(7 * 86_400);

/// Why a shape is none; the text names the mend.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum BadShape {
    /// A rate below zero, above [`RATE_MAX`], or no number.
    #[error("part {place}: a rate of {rate} requests per second: must be 0 to {RATE_MAX}")]
    Rate {
        /// Which part, from 0.
        place: usize,
        /// Its rate.
        rate: f64,
    },
    /// A part without length.
    #[error("part {place}: must last longer than 0 seconds")]
    Length {
        /// Which part, from 0.
        place: usize,
    },
    /// No part, or none that asks for anything.
    #[error("nothing is ever sent: give a rate above 0")]
    Empty,
    /// Longer than a week.
    #[error("{0} in all: at most 7 days; shorten it")]
    TooLong(Span),
    /// More than [`REQUESTS_MAX`].
    #[error("{0:.0} requests in all: at most {REQUESTS_MAX:.0}; lower the rate or shorten it")]
    TooMany(f64),
}

/// A rate over a part of the time, and how many requests were due before it.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Piece {
    begin: f64,
    length: f64,
    from: f64,
    to: f64,
    before: f64,
}

impl Piece {
    fn slope(&self) -> f64 {
        (self.to - self.from) / self.length
    }

    /// Requests due from its begin until `x` seconds later.
    fn count(&self, x: f64) -> f64 {
        self.from * x + self.slope() * x * x / 2.0
    }

    /// Seconds after its begin at which so many are due.
    ///
    /// The root of `from·x + slope·x²/2 = count` in the form that loses no digits where the slope is
    /// small.
    fn time(&self, count: f64) -> f64 {
        let root = (self.from * self.from + 2.0 * self.slope() * count).max(0.0);
        let divisor = self.from + root.sqrt();
        if divisor > 0.0 {
            (2.0 * count / divisor).min(self.length)
        } else {
            self.length
        }
    }
}

/// A rate over time, piece by piece a straight line.
#[derive(Clone, Debug, PartialEq)]
pub struct Shape {
    pieces: Vec<Piece>,
    length: Span,
    total: f64,
}

impl Shape {
    /// The shape of parts: how long, from which rate to which, in requests per second.
    ///
    /// # Errors
    /// [`BadShape`] where a part is none, or all together are too much or nothing.
    pub fn new(parts: &[(Span, f64, f64)]) -> Result<Self, BadShape> {
        let (mut pieces, mut length, mut total) = (Vec::new(), Span::ZERO, 0.0);
        for (place, &(lasts, from, to)) in parts.iter().enumerate() {
            if let Some(rate) = [from, to]
                .into_iter()
                .find(|r| !(0.0..=RATE_MAX).contains(r))
            {
                return Err(BadShape::Rate { place, rate });
            }
            if lasts <= Span::ZERO {
                return Err(BadShape::Length { place });
            }
            let piece = Piece {
                begin: length.seconds(),
                length: lasts.seconds(),
                from,
                to,
                before: total,
            };
            total += piece.count(piece.length);
            length = length + lasts;
            if length > LENGTH_MAX {
                return Err(BadShape::TooLong(length));
            }
            pieces.push(piece);
        }
        if total <= 0.0 {
            return Err(BadShape::Empty);
        }
        if total > REQUESTS_MAX {
            return Err(BadShape::TooMany(total));
        }
        Ok(Self {
            pieces,
            length,
            total,
        })
    }

    /// From its begin to its end.
    #[must_use]
    pub fn length(&self) -> Span {
        self.length
    }

    /// Requests that are due in all, Λ at its end.
    #[must_use]
    pub fn total(&self) -> f64 {
        self.total
    }

    /// Λ(t): requests due until `seconds` after its begin.
    #[must_use]
    pub fn due_until(&self, seconds: f64) -> f64 {
        let after = self.pieces.iter().rev().find(|p| p.begin <= seconds);
        after.map_or(0.0, |p| {
            p.before + p.count((seconds - p.begin).min(p.length))
        })
    }
}

/// How far one request is from the one before it, in requests that are due on average.
pub enum Gaps {
    /// Always one: the k-th is sent when Λ is k + ½, so that the count is never more than a half
    /// from Λ.
    Even,
    /// Drawn, with mean one; exponential gaps make a Poisson process.
    Drawn(Box<dyn FnMut() -> f64 + Send>),
}

impl fmt::Debug for Gaps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Even => "Even",
            Self::Drawn(_) => "Drawn",
        })
    }
}

/// Times at which requests are due, in nanoseconds from the begin, rising.
#[derive(Debug)]
pub struct Arrivals<'a> {
    shape: &'a Shape,
    gaps: Gaps,
    piece: usize,
    count: f64,
}

impl<'a> Arrivals<'a> {
    /// Those of a shape.
    #[must_use]
    pub fn new(shape: &'a Shape, gaps: Gaps) -> Self {
        let count = match gaps {
            Gaps::Even => -0.5,
            Gaps::Drawn(_) => 0.0,
        };
        Self {
            shape,
            gaps,
            piece: 0,
            count,
        }
    }
}

impl Iterator for Arrivals<'_> {
    type Item = i64;

    fn next(&mut self) -> Option<i64> {
        self.count += match &mut self.gaps {
            Gaps::Even => 1.0,
            Gaps::Drawn(draw) => draw(),
        };
        loop {
            let piece = self.shape.pieces.get(self.piece)?;
            let within = self.count - piece.before;
            if within <= piece.count(piece.length) && piece.from + piece.to > 0.0 {
                let seconds = piece.begin + piece.time(within);
                // A week has 6·10¹⁴ nanoseconds, which a double holds to a tenth of one.
                return Some((seconds * 1e9) as i64);
            }
            self.piece += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: fn(i64) -> Span = Span::from_seconds;

    fn even(parts: &[(Span, f64, f64)]) -> (Shape, Vec<i64>) {
        let shape = Shape::new(parts).unwrap();
        let all = Arrivals::new(&shape, Gaps::Even).collect();
        (shape, all)
    }

    #[test]
    fn a_constant_rate_is_evenly_spaced() {
        let (shape, all) = even(&[(SECOND(2), 50.0, 50.0)]);
        assert_eq!(all.len(), 100);
        assert!((shape.total() - 100.0).abs() < 1e-9);
        assert_eq!(all[0], 10_000_000);
        assert!(
            all.windows(2)
                .all(|w| (w[1] - w[0] - 20_000_000).abs() <= 1)
        );
    }

    /// The published ramp with its hold: 10 to 150 in 120 s is 9600 requests, not the 18000 of rate
    /// times time.
    #[test]
    fn a_ramp_sends_the_integral_of_its_rate() {
        let (shape, all) = even(&[(SECOND(120), 10.0, 150.0), (SECOND(180), 150.0, 150.0)]);
        assert_eq!(all.len(), 9600 + 27_000);
        assert!((shape.due_until(120.0) - 9600.0).abs() < 1e-6);
        for (count, at) in all.iter().enumerate() {
            let due = shape.due_until(*at as f64 / 1e9);
            assert!(
                (due - count as f64 - 0.5).abs() < 1e-3,
                "{count}: {due} at {at}"
            );
        }
        assert!(all.is_sorted());
    }

    #[test]
    fn a_fall_to_nothing_and_a_pause_are_gone_through() {
        let (shape, all) = even(&[
            (SECOND(10), 10.0, 0.0),
            (SECOND(5), 0.0, 0.0),
            (SECOND(1), 4.0, 4.0),
        ]);
        assert_eq!(all.len(), 54);
        assert!((shape.total() - 54.0).abs() < 1e-9);
        assert!(all[..50].iter().all(|t| *t <= 10_000_000_000));
        assert!(all[50..].iter().all(|t| *t >= 15_000_000_000));
    }

    /// Gaps of mean one with deviation: the count stays near Λ and the end is not passed.
    #[test]
    fn drawn_gaps_keep_to_the_shape_on_average() {
        let shape = Shape::new(&[(SECOND(100), 0.0, 200.0)]).unwrap();
        let mut long = false;
        let draw = move || {
            long = !long;
            if long { 1.6 } else { 0.4 }
        };
        let all: Vec<i64> = Arrivals::new(&shape, Gaps::Drawn(Box::new(draw))).collect();
        assert_eq!(all.len(), 10_000);
        assert!(*all.last().unwrap() <= 100_000_000_000);
    }

    #[test]
    fn what_is_no_shape_is_told_with_its_place() {
        let told = |parts: &[(Span, f64, f64)]| Shape::new(parts).unwrap_err().to_string();
        let second = SECOND(1);
        assert!(
            told(&[(second, 1.0, 1.0), (second, 1.0, -1.0)]).starts_with("part 1: a rate of -1 ")
        );
        assert!(told(&[(second, f64::NAN, 1.0)]).contains("NaN"));
        assert!(told(&[(Span::ZERO, 1.0, 1.0)]).contains("part 0: must last longer"));
        assert!(told(&[]).contains("nothing is ever sent"));
        assert!(told(&[(second, 0.0, 0.0)]).contains("nothing is ever sent"));
        assert!(told(&[(SECOND(604_801), 1.0, 1.0)]).contains("at most 7 days"));
        assert!(told(&[(SECOND(86_400), 1e6, 1e6)]).contains("at most 1000000000"));
    }
}
