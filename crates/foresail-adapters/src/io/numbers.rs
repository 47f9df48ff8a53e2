//! One number per line and nothing else: the file holds neither times nor steps.

use foresail_core::quantity::series::Series;
use foresail_core::quantity::time::{Span, Timestamp};
use foresail_core::quantity::trace::TraceItem;

use super::cell::{VALUE_EXPECTED, parse_value};
use super::{
    Begin, Items, ReadOptions, Skipped, Source, TraceError, TraceFormat, VALUES_MAX, bad_row,
};

/// Step where none is given.
const STEP: Span = Span::from_seconds(1);

/// The format.
#[derive(Debug)]
pub struct Numbers;

impl TraceFormat for Numbers {
    fn name(&self) -> &'static str {
        "numbers"
    }

    fn summary(&self) -> &'static str {
        "one number per line, no header; an empty line is missing; --start (1970-01-01) and --step (1s) say when"
    }

    fn matches(&self, begin: &Begin) -> bool {
        parse_value(&begin.header).is_some_and(|v| !v.is_nan())
    }

    fn read(
        &self,
        mut source: Source,
        options: &ReadOptions,
    ) -> Result<Box<dyn Items>, TraceError> {
        let mut skipped = Skipped::default();
        let values = values(&mut source, options.skip_bad_rows, &mut skipped)?;
        let start = options.start.unwrap_or(Timestamp::EPOCH);
        let demand = Series::new(start, options.step.unwrap_or(STEP), values);
        let item = TraceItem {
            id: "demand".to_owned(),
            trigger: String::new(),
            demand,
            durations: None,
            memory: None,
        };
        Ok(Box::new(One {
            item: Some(item),
            skipped,
        }))
    }
}

/// All values; a bad line that is skipped leaves a gap, so that the others keep their times.
fn values(
    source: &mut Source,
    skip_bad_rows: bool,
    skipped: &mut Skipped,
) -> Result<Vec<f64>, TraceError> {
    let (mut values, mut line, mut number) = (Vec::new(), Vec::new(), 1);
    while source.line(&mut line, number)? {
        let text = String::from_utf8_lossy(&line);
        let value = parse_value(&text)
            .ok_or_else(|| bad_row(&source.file, number, "1", &text, VALUE_EXPECTED));
        match value {
            Ok(value) => values.push(value),
            Err(error) if skip_bad_rows => {
                skipped.add(&error);
                values.push(f64::NAN);
            }
            Err(error) => return Err(error),
        }
        if values.len() > VALUES_MAX {
            return Err(TraceError::TooLarge {
                file: source.file.clone(),
                line: number,
                what: "the series",
                limit: VALUES_MAX,
            });
        }
        number += 1;
    }
    Ok(values)
}

/// The only item of a file.
pub(crate) struct One {
    pub(crate) item: Option<TraceItem>,
    pub(crate) skipped: Skipped,
}

impl Iterator for One {
    type Item = Result<TraceItem, TraceError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.item.take().map(Ok)
    }
}

impl Items for One {
    fn skipped(&self) -> &Skipped {
        &self.skipped
    }
}

#[cfg(test)]
mod tests {
    use super::super::read_items;
    use super::*;

    fn read(text: &str, options: &ReadOptions) -> Result<TraceItem, TraceError> {
        let bytes = std::io::Cursor::new(text.as_bytes().to_vec());
        let mut items = read_items(Source::new("n.txt", Box::new(bytes)), None, options)?;
        items.next().unwrap()
    }

    #[test]
    fn an_empty_line_is_missing_and_the_caller_says_when_it_begins() {
        let options = ReadOptions {
            start: Some(Timestamp::from_seconds(60)),
            step: Some(Span::from_seconds(5)),
            ..ReadOptions::default()
        };
        let demand = read("5\n0\n\n7\n", &options).unwrap().demand;
        assert_eq!(
            demand.iter().collect::<Vec<_>>(),
            [Some(5.0), Some(0.0), None, Some(7.0)]
        );
        assert_eq!(demand.time_of(2), Timestamp::from_seconds(70));
        let bare = read("5\n0\n", &ReadOptions::default()).unwrap().demand;
        assert_eq!((bare.start(), bare.step()), (Timestamp::EPOCH, STEP));
    }

    #[test]
    fn a_bad_line_is_named_and_one_that_is_skipped_leaves_a_gap() {
        let error = read("5\nseven\n", &ReadOptions::default()).unwrap_err();
        assert!(
            error
                .to_string()
                .contains("line 2, column 1: found `seven`"),
            "{error}"
        );
        let demand = read("5\nseven\n6\n", &ReadOptions::skipping(true))
            .unwrap()
            .demand;
        assert_eq!(
            demand.iter().collect::<Vec<_>>(),
            [Some(5.0), None, Some(6.0)]
        );
    }
}
