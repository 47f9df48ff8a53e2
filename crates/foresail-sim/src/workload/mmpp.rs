//! A Poisson process whose rate jumps between states: bursts and quiet times of random length.

use serde::{Deserialize, Deserializer, Serialize};

use crate::rng::Stream;

/// The most states.
const STATES_MAX: usize = 64;

/// A Markov-modulated Poisson process.
///
/// Source: Fischer & Meier-Hellstern 1993, "The Markov-modulated Poisson process cookbook",
/// Performance Evaluation 18.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Mmpp {
    /// Requests per second in each state.
    rates: Vec<f64>,
    /// Jumps per second from each state (row) to each (column); rows add up to zero.
    generator: Vec<Vec<f64>>,
    /// Share of time that is spent in each state in the long run.
    #[serde(skip)]
    shares: Vec<f64>,
}

/// Why numbers are no such process.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum MmppError {
    /// Too few or too many states.
    #[error("{0} states: write 2 to 64")]
    States(usize),
    /// A rate below zero or not finite.
    #[error("rate {0}: must be 0 or more")]
    Rate(f64),
    /// No state in which requests come.
    #[error("every rate is 0: no request would ever come")]
    Silent,
    /// A mean stay that is not above zero.
    #[error("mean stay {0} s: must be above 0")]
    Stay(f64),
    /// A generator of another form.
    #[error("row {row} of the generator: {message}")]
    Generator {
        /// Which row, from 0.
        row: usize,
        /// What is wrong.
        message: &'static str,
    },
    /// A state that is left for ever.
    #[error("not every state can be reached from every other: connect them in the generator")]
    Parted,
    /// A text that cannot be read.
    #[error("`{0}`: write the states as RATE/STAY, such as 2/600s,40/30s")]
    Text(String),
}

impl Mmpp {
    /// A process of rates and a generator; a diagonal is ignored, for the rows must add up to zero.
    ///
    /// Shapes: `generator` has a row and a column for each of the rates. Units: per second.
    ///
    /// # Errors
    /// [`MmppError`] where they are no process in which requests come.
    pub fn new(rates: Vec<f64>, mut generator: Vec<Vec<f64>>) -> Result<Self, MmppError> {
        let states = rates.len();
        if !(2..=STATES_MAX).contains(&states) {
            return Err(MmppError::States(states));
        }
        if let Some(rate) = rates.iter().find(|r| !(r.is_finite() && **r >= 0.0)) {
            return Err(MmppError::Rate(*rate));
        }
        if rates.iter().all(|r| *r <= 0.0) {
            return Err(MmppError::Silent);
        }
        let wrong = |row, message| Err(MmppError::Generator { row, message });
        if generator.len() != states {
            return wrong(generator.len().min(states), "there must be a row per rate");
        }
        for (row, jumps) in generator.iter_mut().enumerate() {
            if jumps.len() != states {
                return wrong(row, "there must be a number per rate");
            }
            jumps[row] = 0.0;
            if jumps.iter().any(|j| !(j.is_finite() && *j >= 0.0)) {
                return wrong(row, "jumps per second must be 0 or more");
            }
            let sum: f64 = jumps.iter().sum();
            if sum <= 0.0 {
                return wrong(row, "this state would never be left");
            }
            jumps[row] = -sum;
        }
        let shares = stationary(&generator).ok_or(MmppError::Parted)?;
        Ok(Self {
            rates,
            generator,
            shares,
        })
    }

    /// A process that stays in each state for an exponential time of this mean, and then goes on to
    /// any other alike.
    ///
    /// Units: rates in requests per second, mean stays in seconds.
    ///
    /// # Errors
    /// [`MmppError`] where they are no process in which requests come.
    pub fn of_stays(states: &[(f64, f64)]) -> Result<Self, MmppError> {
        if let Some((_, stay)) = states.iter().find(|(_, s)| !(s.is_finite() && *s > 0.0)) {
            return Err(MmppError::Stay(*stay));
        }
        let others = states.len().saturating_sub(1).max(1) as f64;
        let row = |(_, stay): &(f64, f64)| vec![1.0 / stay / others; states.len()];
        let rates = states.iter().map(|(rate, _)| *rate).collect();
        Self::new(rates, states.iter().map(row).collect())
    }

    /// Share of time that is spent in each state in the long run.
    #[must_use]
    pub fn shares(&self) -> &[f64] {
        &self.shares
    }

    /// Requests per second in the long run.
    #[must_use]
    pub fn mean_rate(&self) -> f64 {
        self.rates
            .iter()
            .zip(&self.shares)
            .map(|(r, s)| r * s)
            .sum()
    }

    /// A state, drawn by the shares of time.
    pub(super) fn begin(&self, stream: &mut Stream) -> usize {
        pick(stream.uniform(), &self.shares)
    }

    /// Seconds until the next arrival or jump of a process with `factor` times these rates, and the
    /// state after a jump; `None` for an arrival. Exact: both are exponential, and the first counts.
    pub(super) fn step(
        &self,
        state: usize,
        factor: f64,
        stream: &mut Stream,
    ) -> (f64, Option<usize>) {
        let (rate, jumps) = (self.rates[state] * factor, &self.generator[state]);
        let leave = -jumps[state];
        let ahead = stream.exponential() / (rate + leave);
        let choice = stream.uniform() * (rate + leave);
        if choice < rate {
            return (ahead, None);
        }
        let mut left = choice - rate;
        let mut last = state;
        for (next, jump) in jumps
            .iter()
            .enumerate()
            .filter(|(n, j)| *n != state && **j > 0.0)
        {
            last = next;
            if left < *jump {
                break;
            }
            left -= jump;
        }
        (ahead, Some(last))
    }
}

fn pick(level: f64, shares: &[f64]) -> usize {
    let mut sum = 0.0;
    for (state, share) in shares.iter().enumerate() {
        sum += share;
        if level < sum {
            return state;
        }
    }
    shares.len() - 1
}

/// Shares of time of a generator, by elimination without subtraction; `None` where a state cannot
/// be reached.
///
/// Source: Grassmann, Taksar & Heyman 1985, "Regenerative analysis and steady state distributions
/// for Markov chains", Operations Research 33.
fn stationary(generator: &[Vec<f64>]) -> Option<Vec<f64>> {
    let mut rows = generator.to_vec();
    let states = rows.len();
    for last in (1..states).rev() {
        let leave: f64 = rows[last][..last].iter().sum();
        if leave <= 0.0 {
            return None;
        }
        let onward = rows[last].clone();
        for row in &mut rows[..last] {
            row[last] /= leave;
            let share = row[last];
            for (rate, next) in row[..last].iter_mut().zip(&onward) {
                *rate += share * next;
            }
        }
    }
    let mut shares = vec![1.0; states];
    for state in 1..states {
        shares[state] = (0..state)
            .map(|from| shares[from] * rows[from][state])
            .sum();
        if shares[state] <= 0.0 {
            return None;
        }
    }
    let sum: f64 = shares.iter().sum();
    Some(shares.iter().map(|s| s / sum).collect())
}

/// `RATE/STAY` for each state, with commas between: `2/600s,40/30s`.
impl std::str::FromStr for Mmpp {
    type Err = MmppError;

    fn from_str(text: &str) -> Result<Self, MmppError> {
        let state = |part: &str| {
            let (rate, stay) = part.split_once('/')?;
            let stay: foresail_core::quantity::time::Span = stay.trim().parse().ok()?;
            Some((rate.trim().parse().ok()?, stay.seconds()))
        };
        let states: Option<Vec<(f64, f64)>> = text.split(',').map(state).collect();
        Self::of_stays(&states.ok_or_else(|| MmppError::Text(text.to_owned()))?)
    }
}

/// How a process is written in a file: states with mean stays, or rates and a generator.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Written {
    rates: Vec<f64>,
    #[serde(default)]
    stay_seconds: Option<Vec<f64>>,
    #[serde(default)]
    generator: Option<Vec<Vec<f64>>>,
}

impl<'de> Deserialize<'de> for Mmpp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use serde::de::Error;
        let written = Written::deserialize(deserializer)?;
        let process = match (written.stay_seconds, written.generator) {
            (Some(stays), None) if stays.len() == written.rates.len() => {
                let states: Vec<_> = written.rates.into_iter().zip(stays).collect();
                Self::of_stays(&states)
            }
            (None, Some(generator)) => Self::new(written.rates, generator),
            _ => {
                let text = "write staySeconds with one mean stay per rate, or generator";
                return Err(D::Error::custom(text));
            }
        };
        process.map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workload::Workload;
    use foresail_core::quantity::time::{Span, Timestamp};
    use foresail_models::rng::Seed;

    #[test]
    fn shares_of_time_solve_the_balance() {
        let process = Mmpp::of_stays(&[(1.0, 30.0), (9.0, 10.0)]).unwrap();
        assert!((process.shares()[0] - 0.75).abs() < 1e-12, "{process:?}");
        assert!((process.mean_rate() - 3.0).abs() < 1e-12);
        let generator = vec![
            vec![0.0, 0.2, 0.1],
            vec![0.3, 0.0, 0.0],
            vec![0.0, 0.5, 0.0],
        ];
        let process = Mmpp::new(vec![1.0, 2.0, 3.0], generator).unwrap();
        for state in 0..3 {
            let flow: f64 = (0..3)
                .map(|from| process.shares[from] * process.generator[from][state])
                .sum();
            assert!(flow.abs() < 1e-12, "{state}: {flow}");
        }
    }

    /// Counts of windows of two lengths against the closed form of two states.
    #[test]
    fn mean_and_dispersion_agree_with_the_closed_form() {
        let (high, low, leave_high, leave_low) = (20.0, 2.0, 1.0 / 5.0, 1.0 / 15.0);
        let process = Mmpp::of_stays(&[(high, 1.0 / leave_high), (low, 1.0 / leave_low)]).unwrap();
        let seconds = 400_000;
        let workload = Workload::Mmpp {
            start: Timestamp::EPOCH,
            parts: vec![(Span::from_seconds(seconds), 1.0)],
            process: process.clone(),
        };
        let mut counts = vec![0.0_f64; seconds as usize];
        for at in workload.arrivals(Seed(9)) {
            counts[(at / 1_000_000_000) as usize] += 1.0;
        }
        let mean = counts.iter().sum::<f64>() / seconds as f64;
        assert!((mean / process.mean_rate() - 1.0).abs() < 0.02, "{mean}");
        assert!((workload.expected() / seconds as f64 - process.mean_rate()).abs() < 1e-9);
        for length in [1, 40] {
            let windows: Vec<f64> = counts
                .chunks_exact(length)
                .map(|c| c.iter().sum())
                .collect();
            let n = windows.len() as f64;
            let mean = windows.iter().sum::<f64>() / n;
            let variance = windows.iter().map(|w| (w - mean).powi(2)).sum::<f64>() / (n - 1.0);
            let sum: f64 = leave_high + leave_low;
            let excess = 2.0 * (high - low).powi(2) * leave_high * leave_low
                / (sum.powi(2) * (high * leave_low + low * leave_high));
            let t = length as f64 * sum;
            let theory = 1.0 + excess * (1.0 - (1.0 - (-t).exp()) / t);
            let got = variance / mean;
            assert!(
                (got / theory - 1.0).abs() < 0.05,
                "{length} s: {got} against {theory}"
            );
        }
    }

    #[test]
    fn a_process_that_cannot_be_is_refused() {
        let error = |text: &str| text.parse::<Mmpp>().unwrap_err();
        assert_eq!(error("3/10s"), MmppError::States(1));
        assert_eq!(error("0/10s,0/5s"), MmppError::Silent);
        assert!(matches!(error("1/10s,x/5s"), MmppError::Text(_)));
        let parted = vec![
            vec![0.0, 1.0, 0.0],
            vec![1.0, 0.0, 0.0],
            vec![1.0, 0.0, 0.0],
        ];
        assert_eq!(
            Mmpp::new(vec![1.0; 3], parted).unwrap_err(),
            MmppError::Parted
        );
    }

    #[test]
    fn both_ways_of_writing_are_read() {
        let stays: Mmpp =
            serde_json::from_str(r#"{"rates": [1, 9], "staySeconds": [30, 10]}"#).unwrap();
        assert_eq!(stays, "1/30s,9/10s".parse().unwrap());
        let text = serde_json::to_string(&stays).unwrap();
        assert_eq!(serde_json::from_str::<Mmpp>(&text).unwrap(), stays);
        let error = serde_json::from_str::<Mmpp>(r#"{"rates": [1, 9]}"#).unwrap_err();
        assert!(error.to_string().contains("staySeconds"), "{error}");
    }
}
