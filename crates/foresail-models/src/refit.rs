//! Refits as drivers run them: a request and the points in, an artifact out.
//!
//! Pure: the same request on the same points gives the same bytes, so a replay computes the artifact
//! that a record names by its hash. An artifact is a line of JSON, the request, then the model file
//! of [`crate::forecast::saved`].

use std::collections::VecDeque;

use foresail_core::engine::{Engine, Input, Tick};
use foresail_core::history::Point;
use foresail_core::propose::refit::RefitRequest;
use foresail_core::quantity::series::Series;
use foresail_core::quantity::time::{Span, Timestamp};
use foresail_core::spec::SpecProblem;
use rayon::prelude::*;

use crate::forecast::saved::{self, Saved, SavedError};
use crate::forecast::{FitError, POINTS_MAX};
use crate::registry::forecaster;
use crate::rng::Seed;

/// Why a refit gave no artifact.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum RefitError {
    /// The engine has no such target.
    #[error("the refit is for {target}, which is no target here")]
    Target {
        /// Whose demand.
        target: String,
    },
    /// No such forecaster, or wrong knobs.
    #[error("{0}")]
    Forecaster(String),
    /// A window without a step, or a longer one than any fit takes in.
    #[error("the window of the refit has {steps} steps: must be 1 to {POINTS_MAX}")]
    Window {
        /// Its length.
        steps: i64,
    },
    /// The fit failed.
    #[error(transparent)]
    Fit(#[from] FitError),
}

/// The number of the step that ends at `at`, or in which `at` lies.
///
/// A point is told at the end of its step.
#[must_use]
pub fn step_of(at: Timestamp, step: Span) -> i64 {
    let nanos = step.nanos().max(1);
    at.nanos().div_euclid(nanos) + i64::from(at.nanos().rem_euclid(nanos) > 0)
}

/// Points at equal steps: step `n` holds the first point that is told in it, else it is a gap.
fn steps<'a>(
    points: impl Iterator<Item = &'a Point>,
    step: Span,
    first: i64,
    count: usize,
) -> Vec<f64> {
    let mut values = vec![f64::NAN; count];
    for point in points {
        let place = usize::try_from(step_of(point.at, step) - first).ok();
        if let Some(value) = place.and_then(|p| values.get_mut(p)).filter(|v| v.is_nan()) {
            *value = point.value;
        }
    }
    values
}

/// The series that a request is about, every step at the level that holds at its end.
fn series<'a>(
    request: &RefitRequest,
    points: impl Iterator<Item = &'a Point>,
) -> Result<Series, RefitError> {
    let nanos = request.step.nanos().max(1);
    let length = (request.until - request.from).nanos() / nanos;
    let window = Err(RefitError::Window { steps: length });
    let count = usize::try_from(length)
        .ok()
        .filter(|c| (1..=POINTS_MAX).contains(c));
    let Some(count) = count else {
        return window;
    };
    // The first step begins at `from` and is told one step later.
    let first = step_of(request.from, request.step) + 1;
    let mut values = steps(points, request.step, first, count);
    for change in &request.levels {
        let before = usize::try_from((change.at - request.from).nanos() / nanos).unwrap_or(0);
        values
            .iter_mut()
            .take(before)
            .for_each(|v| *v *= change.factor);
    }
    Ok(Series::new(request.from, request.step, values))
}

/// Fits what is asked for to the points of its target and gives the artifact's bytes.
///
/// # Errors
/// [`RefitError`] where there is no such forecaster, the window is none, or the fit fails.
pub fn run<'a>(
    request: &RefitRequest,
    points: impl Iterator<Item = &'a Point>,
) -> Result<Vec<u8>, RefitError> {
    let history = series(request, points)?;
    let unfitted = forecaster(&request.forecaster, &request.knobs, "knobs")
        .map_err(|problems| RefitError::Forecaster(SpecProblem::joined(&problems)))?;
    let fitted = unfitted.fit(&history, Seed(request.seed))?;
    let mut bytes = serde_json::to_vec(request).unwrap_or_default();
    bytes.push(b'\n');
    let (step, next) = (request.step.nanos(), request.until.nanos());
    bytes.extend(saved::write(&request.forecaster, &*fitted, step, next));
    Ok(bytes)
}

/// Runs one request on what an engine remembers.
///
/// # Errors
/// As [`run`], and where the engine has no such target.
pub fn run_on(engine: &Engine, request: &RefitRequest) -> Result<Vec<u8>, RefitError> {
    run(request, points_of(engine, request)?.iter())
}

/// The points that a request is about.
fn points_of<'a>(
    engine: &'a Engine,
    request: &RefitRequest,
) -> Result<&'a VecDeque<Point>, RefitError> {
    let place = engine.spec().index_of(&request.target);
    let history = place.and_then(|p| engine.target_history(p));
    let history = history.ok_or_else(|| RefitError::Target {
        target: request.target.to_string(),
    })?;
    Ok(history.points(request.metric))
}

/// Runs every refit of a tick and stores the artifacts; returns the inputs that install them.
///
/// What cannot be fitted is left out: whoever asked goes on without and asks anew later.
pub fn answer(engine: &mut Engine, tick: &Tick) -> Vec<Input> {
    answer_telling(engine, tick, |_, _| {})
}

/// As [`answer`]; hands every refit that failed to `tell`, with the reason.
pub fn answer_telling(
    engine: &mut Engine,
    tick: &Tick,
    mut tell: impl FnMut(&RefitRequest, &RefitError),
) -> Vec<Input> {
    let asked = tick.refits.iter().map(|r| (r, points_of(engine, r)));
    let asked: Vec<_> = asked.collect();
    let fit = |(request, points): &(&RefitRequest, Result<&VecDeque<Point>, RefitError>)| {
        let points = points.clone()?;
        run(request, points.iter())
    };
    let fitted: Vec<_> = asked.par_iter().map(fit).collect();
    let mut ready = Vec::new();
    for (request, artifact) in tick.refits.iter().zip(fitted) {
        match artifact {
            Ok(bytes) => ready.push(bytes),
            Err(error) => tell(request, &error),
        }
    }
    let stored = ready.into_iter().map(|bytes| engine.store(bytes));
    stored
        .map(|artifact| Input::Installed { artifact })
        .collect()
}

/// The model of an artifact where it answers `request`; `None` where it is another one.
///
/// # Errors
/// [`SavedError`] where it answers the request but cannot be read.
#[must_use]
pub fn open(artifact: &[u8], request: &RefitRequest) -> Option<Result<Saved, SavedError>> {
    let end = artifact.iter().position(|b| *b == b'\n')?;
    let asked: RefitRequest = serde_json::from_slice(&artifact[..end]).ok()?;
    (asked == *request).then(|| saved::read(&artifact[end + 1..]))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use foresail_core::observe::Metric;
    use foresail_core::propose::plan::TargetId;
    use foresail_core::propose::refit::LevelChange;

    use super::*;

    const STEP: Span = Span::from_seconds(60);

    fn at(minute: i64) -> Timestamp {
        Timestamp::from_seconds(60 * minute)
    }

    fn request(from: i64, until: i64) -> RefitRequest {
        RefitRequest {
            target: TargetId::new("default/Deployment/web"),
            metric: Metric::Demand,
            forecaster: "last".to_owned(),
            knobs: BTreeMap::new(),
            step: STEP,
            from: at(from),
            until: at(until),
            levels: Vec::new(),
            seed: 1,
            deadline: at(until + 10),
        }
    }

    fn points(values: &[(i64, f64)]) -> Vec<Point> {
        let point = |(minute, value): &(i64, f64)| Point {
            at: at(*minute),
            value: *value,
        };
        values.iter().map(point).collect()
    }

    #[test]
    fn a_point_belongs_to_the_step_that_ends_with_it_and_a_missing_one_is_a_gap() {
        let points = points(&[(1, 10.0), (2, 20.0), (4, 40.0), (5, 50.0)]);
        let series = series(&request(1, 5), points.iter()).expect("a series");
        let got: Vec<_> = series.iter().collect();
        assert_eq!(got, [Some(20.0), None, Some(40.0), Some(50.0)]);
        assert_eq!(step_of(at(3) + Span::from_nanos(1), STEP), 4);
        assert_eq!(step_of(at(3), STEP), 3);
    }

    #[test]
    fn what_came_before_a_change_is_told_at_the_level_since() {
        let points = points(&[(1, 10.0), (2, 10.0), (3, 20.0), (4, 20.0)]);
        let mut request = request(0, 4);
        let factor = 2.0;
        request.levels = vec![LevelChange { at: at(2), factor }];
        let series = series(&request, points.iter()).expect("a series");
        assert_eq!(series.iter().flatten().collect::<Vec<_>>(), [20.0; 4]);
    }

    #[test]
    fn an_artifact_answers_its_own_request_alone_and_is_the_same_again() {
        let points = points(&[(1, 10.0), (2, 12.0), (3, 11.0)]);
        let mine = request(0, 3);
        let bytes = run(&mine, points.iter()).expect("fitted");
        assert_eq!(run(&mine, points.iter()), Ok(bytes.clone()));
        let saved = open(&bytes, &mine).expect("mine").expect("readable");
        assert_eq!((saved.model, saved.next), ("last", at(3).nanos()));
        assert!(open(&bytes, &request(1, 3)).is_none());
        assert!(open(b"nonsense", &mine).is_none());
    }

    #[test]
    fn a_request_that_cannot_be_run_says_why() {
        let points = points(&[(1, 10.0)]);
        let mut other = request(0, 3);
        other.forecaster = "lst".to_owned();
        let told = run(&other, points.iter()).expect_err("unknown").to_string();
        assert!(told.contains("did you mean `last`?"), "{told}");
        let told = run(&request(3, 3), points.iter())
            .expect_err("no window")
            .to_string();
        assert!(told.contains("0 steps"), "{told}");
        let told = run(&request(5, 8), points.iter())
            .expect_err("empty")
            .to_string();
        assert!(told.contains("no value"), "{told}");
    }
}
