//! Model files: written whole or not at all, and read with care.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use anyhow::{Context, Result, bail};
use foresail_adapters::atomic::write_file;
use foresail_core::quantity::series::Series;
use foresail_models::forecast::saved::{self, BYTES_MAX, Saved, SavedError};
use foresail_models::forecast::{Forecaster, POINTS_MAX, check_values};

use super::place::refuse_foreign;

/// `true` for the endings of PyTorch's pickles.
fn is_pickle(path: &Path) -> bool {
    let ending = path.extension().and_then(|e| e.to_str());
    ending.is_some_and(|e| ["pt", "pth"].iter().any(|p| e.eq_ignore_ascii_case(p)))
}

/// Refuses the name of a PyTorch pickle, before anything is read or written.
///
/// # Errors
/// Where the name ends in `.pt` or `.pth`.
pub fn refuse_pickle(path: &Path) -> Result<()> {
    if is_pickle(path) {
        return Err(SavedError::Pickle).with_context(|| path.display().to_string());
    }
    Ok(())
}

/// Refuses a place for a model that is one of a pickle, or holds something else than a model file.
///
/// # Errors
/// Where it is; the text names the mend.
pub fn check_place(path: &Path) -> Result<()> {
    refuse_pickle(path)?;
    refuse_foreign(path, "model file", &[saved::begins().as_bytes()])
}

/// The bytes of a model file: at most one more than are allowed, which tells its reader that it is
/// too long.
///
/// # Errors
/// Where it is not there or cannot be read; the text names it.
pub fn bytes(path: &Path, bytes_max: usize) -> Result<Vec<u8>> {
    let name = || path.display().to_string();
    let mut bytes = Vec::new();
    let file = File::open(path).with_context(name)?;
    file.take(bytes_max as u64 + 1)
        .read_to_end(&mut bytes)
        .with_context(name)?;
    Ok(bytes)
}

/// Reads a model file.
///
/// # Errors
/// Where it is not there or is refused; the text names the file and the mend.
pub fn read(path: &Path) -> Result<Saved> {
    refuse_pickle(path)?;
    let bytes = bytes(path, BYTES_MAX)?;
    let model = saved::read(&bytes).with_context(|| path.display().to_string())?;
    // Only models within others have no step of their own.
    if model.step <= 0 {
        bail!(
            "{}: its steps have no length; fit the model again",
            path.display()
        );
    }
    Ok(model)
}

/// Writes a fitted forecaster; the file is there whole or not at all, and can be read back.
///
/// # Errors
/// Where the place cannot be written or holds something else than a model file, or the forecaster
/// cannot be read back from what would be written.
pub fn write(path: &Path, model: &str, forecaster: &dyn Forecaster, series: &Series) -> Result<()> {
    check_place(path)?;
    let next = series.time_of(series.len()).nanos();
    let bytes = saved::write(model, forecaster, series.step().nanos(), next);
    saved::read(&bytes).with_context(|| {
        format!("{model} cannot be read back, so nothing was written; try another forecaster")
    })?;
    Ok(write_file(path, |w| w.write_all(&bytes))?)
}

/// What of a trace a model took in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Taken {
    /// Steps with a value.
    pub values: usize,
    /// Steps without one, those between the model's end and the trace's begin included.
    pub gaps: usize,
}

/// Hands the steps of a series that a model has not seen to it.
///
/// # Errors
/// Where the steps differ in length, do not lie on one grid, too many are missing between, or a
/// value is out of range.
pub fn take_in(model: &mut Saved, series: &Series) -> Result<Taken> {
    check_values(series)?;
    let (step, own) = (series.step().nanos(), model.step);
    if step != own {
        let own = foresail_core::quantity::time::Span::from_nanos(own);
        bail!(
            "the model's steps are of {own}, those of the trace of {}; fit a model to this trace",
            series.step()
        );
    }
    let ahead = series.start().nanos() - model.next;
    if ahead % step.max(1) != 0 {
        bail!(
            "the steps of the trace do not begin where those of the model would; fit a model to this trace"
        );
    }
    let mut taken = Taken::default();
    let missing = usize::try_from(ahead / step.max(1)).unwrap_or(0);
    if missing > POINTS_MAX {
        bail!(
            "{missing} steps are missing between the model and the trace, at most {POINTS_MAX} may be; fit the model again"
        );
    }
    let seen = usize::try_from(-ahead / step.max(1)).unwrap_or(0);
    let between = std::iter::repeat_n(None, missing);
    for value in between.chain(series.iter().skip(seen)) {
        model.forecaster.update(value);
        match value {
            Some(_) => taken.values += 1,
            None => taken.gaps += 1,
        }
    }
    let steps = i64::try_from(taken.values + taken.gaps).unwrap_or(i64::MAX);
    model.next = model.next.saturating_add(step.saturating_mul(steps));
    Ok(taken)
}
