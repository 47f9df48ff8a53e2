//! The M4 competition's files: a row per series, its id first, rows of unequal length.
//!
//! Source: Mcompetitions/M4-methods, `Dataset/{Train,Test}/*.csv`. With or without the line of
//! `V1,V2,…`; cells after a row's last value are no values. The files hold no times: the begin is
//! `--start`, the step follows from the id's letter (H, D, W; M, Q and Y by their mean lengths).

use foresail_core::quantity::series::Series;
use foresail_core::quantity::time::{Span, Timestamp};
use foresail_core::quantity::trace::TraceItem;

use super::cell::{VALUE_EXPECTED, parse_value};
use super::error::twice;
use super::grid::MONTH;
use super::{Begin, Items, ReadOptions, Skipped, Source, TraceError, TraceFormat, bad_row};

/// The format.
#[derive(Debug)]
pub struct M4;

impl TraceFormat for M4 {
    fn name(&self) -> &'static str {
        "m4"
    }

    fn summary(&self) -> &'static str {
        "M4: id such as H1, then its values; no times: --start (1970-01-01), step by the id's letter"
    }

    fn matches(&self, begin: &Begin) -> bool {
        let series = |line: &str| {
            let mut cells = line.split(',').map(|c| c.trim().trim_matches('"'));
            let known = cells.next().and_then(step_of).is_some();
            known && cells.next().is_some_and(|c| parse_value(c).is_some())
        };
        series(&begin.header) || (begin.labels().starts_with(&v_labels()) && series(&begin.row))
    }

    fn read(&self, source: Source, options: &ReadOptions) -> Result<Box<dyn Items>, TraceError> {
        Ok(Box::new(M4Items {
            source,
            options: *options,
            line: Vec::new(),
            number: 0,
            seen: std::collections::BTreeSet::new(),
            skipped: Skipped::default(),
            failed: false,
        }))
    }
}

fn v_labels() -> [String; 2] {
    ["v1".to_owned(), "v2".to_owned()]
}

/// The step that an id such as `H17` tells by its letter.
fn step_of(id: &str) -> Option<Span> {
    let (letter, number) = id.split_at_checked(1)?;
    let numbered = !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit());
    let months = |n| Span::from_nanos(MONTH.nanos() * n);
    let step = match letter {
        "H" => Span::from_seconds(3600),
        "D" => Span::from_seconds(86_400),
        "W" => Span::from_seconds(7 * 86_400),
        "M" => months(1),
        "Q" => months(3),
        "Y" => months(12),
        _ => return None,
    };
    numbered.then_some(step)
}

struct M4Items {
    source: Source,
    options: ReadOptions,
    line: Vec<u8>,
    number: u64,
    seen: std::collections::BTreeSet<String>,
    skipped: Skipped,
    failed: bool,
}

impl M4Items {
    fn parse(&mut self) -> Result<Option<TraceItem>, TraceError> {
        let (file, number) = (&self.source.file, self.number);
        let text = String::from_utf8_lossy(&self.line);
        let mut cells: Vec<&str> = text
            .split(',')
            .map(|c| c.trim().trim_matches('"'))
            .collect();
        while cells.len() > 1 && cells.last() == Some(&"") {
            cells.pop();
        }
        let id = cells[0];
        if id.is_empty() || (number == 1 && cells.get(..2) == Some(&["V1", "V2"])) {
            return Ok(None);
        }
        let expected = "the id of a series, a letter of H, D, W, M, Q, Y and a number";
        let step = step_of(id).ok_or_else(|| bad_row(file, number, "1", id, expected))?;
        let mut values = Vec::with_capacity(cells.len());
        for (cell, column) in cells[1..].iter().zip(2..) {
            let value = parse_value(cell)
                .ok_or_else(|| bad_row(file, number, &format!("{column}"), cell, VALUE_EXPECTED))?;
            values.push(value);
        }
        if !self.seen.insert(id.to_owned()) {
            return Err(twice(file, number, &format!("series {id}")));
        }
        let start = self.options.start.unwrap_or(Timestamp::EPOCH);
        Ok(Some(TraceItem {
            id: id.to_owned(),
            trigger: String::new(),
            demand: Series::new(start, self.options.step.unwrap_or(step), values),
            durations: None,
            memory: None,
        }))
    }

    fn next_item(&mut self) -> Result<Option<TraceItem>, TraceError> {
        loop {
            self.number += 1;
            if !self.source.line(&mut self.line, self.number)? {
                return Ok(None);
            }
            match self.parse() {
                Ok(None) => {}
                Err(error) if self.options.skip_bad_rows && error.is_of_one_row() => {
                    self.skipped.add(&error);
                }
                other => return other,
            }
        }
    }
}

impl Iterator for M4Items {
    type Item = Result<TraceItem, TraceError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        let next = self.next_item().transpose();
        self.failed = matches!(next, Some(Err(_)));
        next
    }
}

impl Items for M4Items {
    fn skipped(&self) -> &Skipped {
        &self.skipped
    }
}

#[cfg(test)]
mod tests {
    use super::super::read_items;
    use super::*;

    fn read(text: &str) -> Result<Vec<TraceItem>, TraceError> {
        let bytes = std::io::Cursor::new(text.as_bytes().to_vec());
        let source = Source::new("m4.csv", Box::new(bytes));
        read_items(source, None, &ReadOptions::default())?.collect()
    }

    #[test]
    fn rows_may_be_of_unequal_length_and_have_the_line_of_labels_or_not() {
        let bare = "H1,605,586,586\nD2,5,,7,8\n";
        let labelled = "\"V1\",\"V2\",\"V3\",\"V4\",\"V5\"\n\"H1\",605,586,586,\n\"D2\",5,,7,8\n";
        for text in [bare, labelled] {
            let items = read(text).unwrap();
            let shape: Vec<_> = items
                .iter()
                .map(|i| (i.id.as_str(), i.demand.len(), i.demand.gaps()))
                .collect();
            assert_eq!(shape, [("H1", 3, 0), ("D2", 4, 1)]);
            assert_eq!(items[1].demand.step(), Span::from_seconds(86_400));
        }
    }

    #[test]
    fn a_bad_cell_and_a_doubled_series_are_named() {
        let error = read("H1,605,x\n").unwrap_err().to_string();
        assert!(error.contains("line 1, column 3: found `x`"), "{error}");
        let error = read("H1,605\nH1,606\n").unwrap_err().to_string();
        assert!(
            error.contains("line 2: series H1 stands there twice"),
            "{error}"
        );
    }
}
