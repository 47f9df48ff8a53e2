//! Rates of one archetype each, in requests per minute.

use crate::rng::Stream;

/// Least and largest value of a parameter; drawn evenly between.
pub(super) type Range = (f64, f64);

/// What the parameters of windows are drawn from.
#[derive(Debug)]
pub(super) struct Ranges {
    /// Requests per minute, as a logarithm: small functions are as frequent as large ones.
    pub(super) base: Range,
    /// Swing of a periodic rate, as a share of its mean.
    pub(super) amplitude: Range,
    /// Its period in minutes.
    pub(super) period: Range,
    /// Ratio of the two ends of a ramp.
    pub(super) rise: Range,
    /// Exponent of a ramp's bend, as a logarithm: below zero it is steep first.
    pub(super) bend: Range,
    /// Height of a spike, as a multiple of the base.
    pub(super) height: Range,
    /// Standard deviation of the logarithm of a stationary rate.
    pub(super) noise: Range,
}

/// Source: specs of AAPA, section 3.1 ("hard"), the base 2 to 500; bends from a square root to a
/// square. With an even logarithm of the base the corrected rules are right on as many windows of
/// each class as it says (on 98 % with an even base).
pub(super) const HARD: Ranges = Ranges {
    base: (std::f64::consts::LN_2, 6.215),
    amplitude: (0.2, 0.95),
    period: (5.0, 30.0),
    rise: (1.5, 7.0),
    bend: (-std::f64::consts::LN_2, std::f64::consts::LN_2),
    height: (4.0, 40.0),
    noise: (0.0, 0.5),
};

/// Own choice: each parameter from the clearer part of [`HARD`]'s, the base 20 to 200, ramps straight.
pub(super) const EASY: Ranges = Ranges {
    base: (2.996, 5.298),
    amplitude: (0.5, 0.95),
    period: (5.0, 20.0),
    rise: (2.5, 7.0),
    bend: (0.0, 0.0),
    height: (10.0, 40.0),
    noise: (0.05, 0.25),
};

/// Minutes of a spike.
const SPIKE_MINUTES: Range = (1.0, 4.0);

/// A value of a range.
pub(super) fn draw((least, largest): Range, stream: &mut Stream) -> f64 {
    least + (largest - least) * stream.uniform()
}

/// A whole number of `least` to below `end`.
pub(super) fn whole(range: Range, stream: &mut Stream) -> usize {
    draw(range, stream) as usize
}

/// A quiet base and one spike of 1 to 3 minutes anywhere in it.
pub(super) fn spike(ranges: &Ranges, minutes: usize, stream: &mut Stream) -> Vec<f64> {
    let base = draw(ranges.base, stream).exp();
    let mut rates = vec![base; minutes];
    let height = draw(ranges.height, stream);
    let length = whole(SPIKE_MINUTES, stream);
    let begin = whole((0.0, (minutes - length + 1) as f64), stream);
    for rate in &mut rates[begin..begin + length] {
        *rate = base * height;
    }
    rates
}

/// A wave's form; each swings between -1 and 1 around zero.
#[derive(Clone, Copy, Debug)]
pub(super) enum Wave {
    Sine,
    Square,
    Saw,
}

impl Wave {
    /// Each as likely.
    pub(super) fn draw(stream: &mut Stream) -> Self {
        [Self::Sine, Self::Square, Self::Saw][whole((0.0, 3.0), stream)]
    }

    /// Its value at a phase in turns.
    pub(super) fn at(self, turns: f64) -> f64 {
        let phase = turns.rem_euclid(1.0);
        match self {
            Self::Sine => (std::f64::consts::TAU * phase).sin(),
            Self::Square if phase < 0.5 => 1.0,
            Self::Square => -1.0,
            Self::Saw => 2.0 * phase - 1.0,
        }
    }
}

/// A wave around a base: sine, square or saw, at any phase.
pub(super) fn periodic(ranges: &Ranges, minutes: usize, stream: &mut Stream) -> Vec<f64> {
    let base = draw(ranges.base, stream).exp();
    let amplitude = draw(ranges.amplitude, stream);
    let period = draw(ranges.period, stream);
    let (wave, phase) = (Wave::draw(stream), stream.uniform());
    (0..minutes)
        .map(|m| base * (1.0 + amplitude * wave.at(m as f64 / period + phase)))
        .collect()
}

/// A ramp of its own bend from the base up, or from there down to it.
pub(super) fn ramp(ranges: &Ranges, minutes: usize, stream: &mut Stream) -> Vec<f64> {
    let base = draw(ranges.base, stream).exp();
    let rise = draw(ranges.rise, stream);
    let bend = draw(ranges.bend, stream).exp();
    let down = stream.uniform() < 0.5;
    let last = (minutes - 1) as f64;
    let rate = |m: usize| {
        let along = m as f64 / last;
        let along = if down { 1.0 - along } else { along };
        base * (1.0 + (rise - 1.0) * along.powf(bend))
    };
    (0..minutes).map(rate).collect()
}

/// A level with log-normal noise of its mean from minute to minute.
pub(super) fn stationary(ranges: &Ranges, minutes: usize, stream: &mut Stream) -> Vec<f64> {
    let base = draw(ranges.base, stream).exp();
    let noise = draw(ranges.noise, stream);
    (0..minutes)
        .map(|_| base * lognormal(noise, stream))
        .collect()
}

/// Log-normal with mean 1 and this standard deviation of its logarithm.
pub(super) fn lognormal(noise: f64, stream: &mut Stream) -> f64 {
    (noise * stream.normal() - noise * noise / 2.0).exp()
}
