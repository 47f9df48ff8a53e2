//! Stages of a load: until when so many users call, and how fast they come.
//!
//! A file of stages is a JSON list of `{"duration", "users", "spawn_rate"}`, durations in seconds since
//! the begin, rising: what a Locust load shape hands out stage by stage. The published scripts read
//! the same three fields from a pickle, which can run code when it is opened; JSON cannot.
//! Source: Locust, `LoadTestShape`; the published AQUATOPE scripts, `StagesShape`.

use std::io::{Read, Write};

use foresail_core::quantity::series::Series;
use foresail_core::quantity::time::Span;
use foresail_core::quantity::units::larger;
use serde::{Deserialize, Serialize};

/// The most stages of a file: a month of minutes.
pub const STAGES_MAX: usize = 44_640;

/// The longest file of stages, in bytes.
const BYTES_MAX: u64 = 16 << 20;

/// The most users of a stage.
const USERS_MAX: u64 = 10_000_000;

/// So many users until then.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stage {
    /// Seconds from the begin of the load to the end of the stage.
    pub duration: f64,
    /// Users who call at once.
    pub users: u64,
    /// Users who come or go in a second until there are as many.
    pub spawn_rate: f64,
}

/// Why stages are none.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StagesError {
    /// The file cannot be read.
    #[error("the stages cannot be read: {0}")]
    Io(#[from] std::io::Error),
    /// It is no list of stages.
    #[error(
        "{0}: stages are a JSON list of {{\"duration\": seconds, \"users\": n, \"spawn_rate\": n per second}}"
    )]
    Form(#[from] serde_json::Error),
    /// It is longer than a file of stages may be.
    #[error("the file has more than {BYTES_MAX} bytes or {STAGES_MAX} stages; take longer stages")]
    TooLong,
    /// There is none.
    #[error("there is no stage; give at least one")]
    Empty,
    /// A stage that cannot be.
    #[error("stage {stage}: {what}")]
    Stage {
        /// Its number, counted from 1.
        stage: usize,
        /// What is wrong, and what to write instead.
        what: String,
    },
}

/// How users make demand.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Users {
    /// Mean time that a user waits between an answer and the next request.
    pub wait: Span,
    /// Mean time until an answer.
    pub response: Span,
    /// Users who come or go in a second.
    pub spawn_rate: f64,
    /// Length of a stage; steps of the series that are shorter are taken together.
    pub stage: Span,
    /// What demand is multiplied by.
    pub scale: f64,
}

impl Default for Users {
    /// A wait of a second in the mean, stages of 30 s and 100 users a second, as the published scripts
    /// have them.
    fn default() -> Self {
        Self {
            wait: Span::from_seconds(1),
            response: Span::from_millis(100),
            spawn_rate: 100.0,
            stage: Span::from_seconds(30),
            scale: 1.0,
        }
    }
}

/// Stages that make the demand of a series of requests per step, and the steps without a value.
///
/// A user calls once in wait and response together, so as many are needed as arrive in that time
/// (Little's law); at least one where anything arrives. In a gap the users of the stage before stay:
/// nothing is known of it, and zero would be a claim.
///
/// # Errors
/// [`StagesError`] without any value, with too many stages, or with more users than can be.
pub fn of_series(requests: &Series, users: &Users) -> Result<(Vec<Stage>, usize), StagesError> {
    let step = requests.step().seconds();
    let per_stage = larger((users.stage.seconds() / step).round(), 1.0) as usize;
    let values: Vec<Option<f64>> = requests.iter().collect();
    if values.iter().all(Option::is_none) {
        return Err(StagesError::Empty);
    }
    if values.len().div_ceil(per_stage) > STAGES_MAX {
        return Err(StagesError::TooLong);
    }
    let cycle = users.wait.seconds() + users.response.seconds();
    let mut stages = Vec::new();
    let mut before = 0;
    let mut steps = 0;
    for chunk in values.chunks(per_stage) {
        steps += chunk.len();
        let known: Vec<f64> = chunk.iter().copied().flatten().collect();
        if !known.is_empty() {
            let rate = known.iter().sum::<f64>() / (known.len() as f64 * step);
            before = (rate * users.scale * cycle - 1e-9).ceil() as u64;
        }
        stages.push(Stage {
            duration: steps as f64 * step,
            users: before,
            spawn_rate: users.spawn_rate,
        });
    }
    check(&stages)?;
    Ok((stages, values.iter().filter(|v| v.is_none()).count()))
}

/// Reads a file of stages.
///
/// # Errors
/// [`StagesError`] where it is too long, no list of stages, or a stage cannot be.
pub fn read(source: impl Read) -> Result<Vec<Stage>, StagesError> {
    let mut text = Vec::new();
    source.take(BYTES_MAX + 1).read_to_end(&mut text)?;
    if text.len() as u64 > BYTES_MAX {
        return Err(StagesError::TooLong);
    }
    let stages: Vec<Stage> = serde_json::from_slice(&text)?;
    check(&stages)?;
    Ok(stages)
}

/// Writes a file of stages, one a line.
///
/// # Errors
/// Where it cannot be written.
pub fn write(stages: &[Stage], mut to: impl Write) -> std::io::Result<()> {
    for (place, stage) in stages.iter().enumerate() {
        let before = if place == 0 { "[" } else { "," };
        writeln!(to, "{before}{}", serde_json::to_string(stage)?)?;
    }
    writeln!(to, "]")
}

fn check(stages: &[Stage]) -> Result<(), StagesError> {
    if stages.is_empty() {
        return Err(StagesError::Empty);
    }
    if stages.len() > STAGES_MAX {
        return Err(StagesError::TooLong);
    }
    let mut end = 0.0;
    for (place, stage) in stages.iter().enumerate() {
        let wrong = |what: String| {
            let stage = place + 1;
            Err(StagesError::Stage { stage, what })
        };
        if !(stage.duration.is_finite() && stage.duration > end) {
            return wrong(format!(
                "duration {} is not after the stage before it; durations are seconds since the begin and rise",
                stage.duration
            ));
        }
        if !(stage.spawn_rate.is_finite() && stage.spawn_rate > 0.0) {
            return wrong(format!("spawn_rate {}: must be above 0", stage.spawn_rate));
        }
        if stage.users > USERS_MAX {
            return wrong(format!(
                "{} users: at most {USERS_MAX}; scale the demand down",
                stage.users
            ));
        }
        end = stage.duration;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use foresail_core::quantity::time::Timestamp;

    use super::*;

    fn series(values: &[f64]) -> Series {
        Series::new(Timestamp::EPOCH, Span::from_seconds(60), values.to_vec())
    }

    #[test]
    fn as_many_users_call_as_littles_law_says_and_a_gap_keeps_the_users_before() {
        // 600 a minute are 10 a second; a user calls once in 1.1 s.
        let (stages, gaps) =
            of_series(&series(&[600.0, f64::NAN, 0.0, 1.0]), &Users::default()).unwrap();
        let got: Vec<(f64, u64)> = stages.iter().map(|s| (s.duration, s.users)).collect();
        assert_eq!(got, [(60.0, 11), (120.0, 11), (180.0, 0), (240.0, 1)]);
        assert_eq!(gaps, 1);
    }

    #[test]
    fn short_steps_are_taken_together_and_the_sum_of_requests_stays() {
        let users = Users {
            stage: Span::from_seconds(180),
            ..Users::default()
        };
        let (stages, _) = of_series(&series(&[60.0, 120.0, 180.0, 240.0]), &users).unwrap();
        assert_eq!(stages.len(), 2);
        // 2 a second, then 4.
        assert_eq!((stages[0].users, stages[1].users), (3, 5));
        assert!((stages[1].duration - 240.0).abs() < 1e-12);
    }

    #[test]
    fn what_is_written_is_read_back_and_what_cannot_be_is_refused_with_its_place() {
        let (stages, _) = of_series(&series(&[60.0, 120.0]), &Users::default()).unwrap();
        let mut bytes = Vec::new();
        write(&stages, &mut bytes).unwrap();
        assert_eq!(read(bytes.as_slice()).unwrap(), stages);
        for (text, place) in [
            ("[]", "no stage"),
            ("{}", "JSON list"),
            (
                r#"[{"duration":30,"users":1,"spawn_rate":1},{"duration":30,"users":1,"spawn_rate":1}]"#,
                "stage 2",
            ),
            (
                r#"[{"duration":30,"users":1,"spawn_rate":0}]"#,
                "spawn_rate",
            ),
            (
                r#"[{"duration":30,"users":-1,"spawn_rate":1}]"#,
                "JSON list",
            ),
            (
                r#"[{"duration":30,"users":99999999,"spawn_rate":1}]"#,
                "scale",
            ),
        ] {
            let error = read(text.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(place), "{text}: {error}");
        }
        assert!(of_series(&series(&[f64::NAN]), &Users::default()).is_err());
    }
}
