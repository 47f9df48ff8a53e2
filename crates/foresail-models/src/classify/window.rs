//! Windows cut out of demand: over a whole series, and step by step.

use foresail_core::quantity::series::Series;
use foresail_core::quantity::trace::TraceItem;
use rayon::prelude::*;
use thiserror::Error;

use super::features::Features;
use super::{STRIDE, WINDOW, Window};

/// Why windows cannot be cut.
#[derive(Clone, Debug, PartialEq, Error)]
#[non_exhaustive]
pub enum WindowError {
    /// A length or stride that no window can have.
    #[error("a window of {length} steps every {stride}: must be 2 to {LENGTH_MAX}, and at least 1")]
    Shape {
        /// Steps of a window.
        length: usize,
        /// Steps between two begins.
        stride: usize,
    },
    /// A step without a value where none may lack.
    #[error("step {step} has no value; fill it, or let windows with gaps be left out")]
    Gap {
        /// The step, from 0 on.
        step: usize,
    },
    /// A value that is no count.
    #[error("step {step} is {value}; counts must be finite and not below zero")]
    NoCount {
        /// The step, from 0 on.
        step: usize,
        /// Its value.
        value: f64,
    },
}

impl WindowError {
    /// The step that is told, where one is.
    #[must_use]
    pub fn step(&self) -> Option<usize> {
        match self {
            Self::Shape { .. } => None,
            Self::Gap { step } | Self::NoCount { step, .. } => Some(*step),
        }
    }
}

/// The most steps of a window: a week of minutes.
pub const LENGTH_MAX: usize = 10_080;

/// How windows slide: `length` steps, one every `stride`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sliding {
    length: usize,
    stride: usize,
}

impl Default for Sliding {
    /// Sixty steps, one window every ten.
    fn default() -> Self {
        Self {
            length: WINDOW,
            stride: STRIDE,
        }
    }
}

impl Sliding {
    /// Checked.
    ///
    /// # Errors
    /// [`WindowError::Shape`] below two steps, above [`LENGTH_MAX`], or without a stride.
    pub fn new(length: usize, stride: usize) -> Result<Self, WindowError> {
        if !(2..=LENGTH_MAX).contains(&length) || stride == 0 {
            return Err(WindowError::Shape { length, stride });
        }
        Ok(Self { length, stride })
    }

    /// Steps of a window.
    #[must_use]
    pub fn length(self) -> usize {
        self.length
    }

    /// Windows in so many steps; none where they are fewer than one window.
    #[must_use]
    pub fn count(self, steps: usize) -> usize {
        steps
            .checked_sub(self.length)
            .map_or(0, |rest| rest / self.stride + 1)
    }

    /// First step of the `index`-th window.
    #[must_use]
    pub fn begin(self, index: usize) -> usize {
        index * self.stride
    }
}

/// Checks that every value is a count.
///
/// # Errors
/// [`WindowError::Gap`] at the first that is not a number, [`WindowError::NoCount`] at the first that
/// is infinite or below zero.
pub fn check(values: &[f64]) -> Result<(), WindowError> {
    let wrong = values.iter().position(|v| !(v.is_finite() && *v >= 0.0));
    match wrong.map(|step| (step, values[step])) {
        None => Ok(()),
        Some((step, value)) if value.is_nan() => Err(WindowError::Gap { step }),
        Some((step, value)) => Err(WindowError::NoCount { step, value }),
    }
}

/// What becomes of windows with a gap in them; a gap is never a zero.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Gaps {
    /// The first gap is an error.
    #[default]
    Refuse,
    /// They are left out and counted.
    LeaveOut,
}

/// One window of an item.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Placed {
    /// Its number within the item, those that were left out counted.
    pub index: usize,
    /// Its first step.
    pub begin: usize,
    /// Its features.
    pub features: Features,
    /// Requests in it.
    pub requests: f64,
}

/// The windows of one item, in order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Extracted {
    /// Those without a gap.
    pub windows: Vec<Placed>,
    /// Those with one.
    pub left_out: usize,
}

/// The windows of a series with their features.
///
/// # Errors
/// [`WindowError`] at the first gap where gaps are refused, and at the first value that is no count.
pub fn extract(demand: &Series, sliding: Sliding, gaps: Gaps) -> Result<Extracted, WindowError> {
    let values: Vec<f64> = demand.iter().map(|v| v.unwrap_or(f64::NAN)).collect();
    let mut extracted = Extracted::default();
    match check(&values) {
        Err(WindowError::Gap { .. }) if gaps == Gaps::LeaveOut => {
            let known: Vec<f64> = demand.iter().flatten().collect();
            check(&known).map_err(|_| first_no_count(&values))?;
        }
        checked => checked?,
    }
    for index in 0..sliding.count(values.len()) {
        let begin = sliding.begin(index);
        let window = &values[begin..begin + sliding.length];
        if window.iter().any(|v| v.is_nan()) {
            extracted.left_out += 1;
            continue;
        }
        extracted.windows.push(Placed {
            index,
            begin,
            features: Features::of(window),
            requests: window.iter().sum(),
        });
    }
    Ok(extracted)
}

/// The error of the first value below zero; a series holds no infinite one.
fn first_no_count(values: &[f64]) -> WindowError {
    let step = values.iter().position(|v| *v < 0.0).unwrap_or(0);
    WindowError::NoCount {
        step,
        value: values[step],
    }
}

/// The windows of many items, in their order, on as many threads as there are: the same on one.
#[must_use]
pub fn extract_all(
    items: &[TraceItem],
    sliding: Sliding,
    gaps: Gaps,
) -> Vec<Result<Extracted, WindowError>> {
    items
        .par_iter()
        .map(|item| extract(&item.demand, sliding, gaps))
        .collect()
}

/// The last [`WINDOW`] steps of demand as they come, one by one.
///
/// Every value stands twice, a window apart, so that the last window is always one piece.
#[derive(Clone, Debug)]
pub struct Ring {
    values: [f64; 2 * WINDOW],
    next: usize,
    /// Steps since the last gap, or since the begin.
    known: usize,
}

impl Default for Ring {
    fn default() -> Self {
        Self {
            values: [0.0; 2 * WINDOW],
            next: 0,
            known: 0,
        }
    }
}

impl Ring {
    /// Takes the next step; what is missing, not finite or below zero is a gap.
    pub fn push(&mut self, count: Option<f64>) {
        match count.filter(|c| c.is_finite() && *c >= 0.0) {
            None => self.known = 0,
            Some(count) => {
                self.values[self.next] = count;
                self.values[self.next + WINDOW] = count;
                self.known += 1;
            }
        }
        self.next = (self.next + 1) % WINDOW;
    }

    /// The last window; `None` while there are fewer steps, and while a gap is in it.
    #[must_use]
    pub fn window(&self) -> Option<&Window> {
        if self.known < WINDOW {
            return None;
        }
        self.values[self.next..self.next + WINDOW].try_into().ok()
    }

    /// The features of the last window, bit for bit those of [`Features::of`].
    #[must_use]
    pub fn features(&self) -> Option<Features> {
        self.window().map(|window| Features::of(window))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_are_counted_as_the_specs_count_them() {
        let table = [
            (59, 0),
            (60, 1),
            (69, 1),
            (70, 2),
            (1440, 139),
            (20_160, 2011),
        ];
        for (steps, want) in table {
            assert_eq!(Sliding::default().count(steps), want, "{steps}");
        }
    }

    #[test]
    fn lengths_and_strides_that_cut_nothing_are_refused() {
        for (length, stride) in [(0, 10), (1, 10), (LENGTH_MAX + 1, 10), (60, 0)] {
            assert!(Sliding::new(length, stride).is_err(), "{length}/{stride}");
        }
    }
}
