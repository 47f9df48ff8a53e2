//! The minute columns of a day file, by their labels.

use super::super::TraceError;
use super::super::error::bad_header;
use super::MINUTES;

/// Labels of the columns of names.
pub(super) const NAMES: [&str; 4] = ["HashOwner", "HashApp", "HashFunction", "Trigger"];

/// `true` where a header with these labels (in lower case, without quotes) is one of a day file.
pub(super) fn are_of_days(labels: &[String]) -> bool {
    let names = labels
        .iter()
        .zip(NAMES)
        .filter(|(l, n)| **l == n.to_lowercase());
    names.count() == NAMES.len() && labels.len() > NAMES.len()
}

/// Where the cells of a row belong.
pub(super) struct Columns {
    /// First minute with a label, counted from 0.
    pub(super) first: usize,
    /// Minutes from the first with a label to the last.
    pub(super) span: usize,
    /// Each column's minute after the first, where the labels do not follow one another.
    places: Option<Vec<usize>>,
}

impl Columns {
    /// The columns that a header line names.
    ///
    /// # Errors
    /// [`TraceError::Header`] where a label is no minute of a day, or stands there twice.
    pub(super) fn of(file: &str, header: &str) -> Result<Self, TraceError> {
        let bare = |label: &str| label.trim().trim_matches('"').to_owned();
        let labels: Vec<String> = header.split(',').map(bare).collect();
        let lower: Vec<String> = labels.iter().map(|l| l.to_lowercase()).collect();
        if !are_of_days(&lower) {
            let expected = "HashOwner,HashApp,HashFunction,Trigger and minute labels of 1 to 1440";
            return Err(bad_header(file, "header", header, expected));
        }
        let mut there = [false; MINUTES];
        let mut minutes = Vec::with_capacity(labels.len() - NAMES.len());
        for label in &labels[NAMES.len()..] {
            let minute = label.parse().ok().filter(|m| (1..=MINUTES).contains(m));
            let Some(minute) = minute else {
                return Err(bad_header(
                    file,
                    label,
                    label,
                    "a minute label of 1 to 1440",
                ));
            };
            if std::mem::replace(&mut there[minute - 1], true) {
                let expected = "each minute label to stand there once";
                return Err(bad_header(file, label, label, expected));
            }
            minutes.push(minute - 1);
        }
        let first = minutes.iter().copied().min().unwrap_or(0);
        let last = minutes.iter().copied().max().unwrap_or(0);
        let places: Vec<usize> = minutes.iter().map(|m| m - first).collect();
        let in_order = places.iter().copied().eq(0..places.len());
        Ok(Self {
            first,
            span: last - first + 1,
            places: (!in_order).then_some(places),
        })
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.places.as_ref().map_or(self.span, Vec::len)
    }

    /// `true` where every minute of the day has a label.
    pub(super) fn are_whole(&self) -> bool {
        self.count() == MINUTES
    }

    /// The label of a column.
    pub(super) fn label(&self, column: usize) -> usize {
        let place = self.places.as_ref().map_or(column, |p| p[column]);
        self.first + place + 1
    }

    /// The cells of a row as the minutes of the span; NaN where no column is.
    pub(super) fn place(&self, cells: Vec<f64>) -> Vec<f64> {
        let Some(places) = &self.places else {
            return cells;
        };
        let mut minutes = vec![f64::NAN; self.span];
        for (place, cell) in places.iter().zip(cells) {
            minutes[*place] = cell;
        }
        minutes
    }
}
