//! Azure Functions 2021: one row per invocation, `app,func,end_timestamp,duration`.
//!
//! Source: AzurePublicDataset, AzureFunctionsInvocationTrace2021.md. Both times are seconds (the
//! 2019 set has milliseconds); the rows are in the order of their begins, `end − duration`, and an
//! invocation counts in the minute of its begin. A function's name is its own only within its app.
//! The file is a log of all that ran: a minute without a row had no request. Second 0 is
//! 2021-01-31T00:00:00Z unless `--start` says otherwise.

use foresail_core::quantity::time::{Span, Timestamp};

use super::records::Records;
use super::requests::Counter;
use super::{Begin, Items, ReadOptions, Skipped, Source, TraceError, TraceFormat};

/// Second 0 of the data set.
const START: Timestamp = Timestamp::from_seconds(1_612_051_200);

const COLUMNS: [&str; 4] = ["app", "func", "end_timestamp", "duration"];

/// The format.
#[derive(Debug)]
pub struct Azure2021;

impl TraceFormat for Azure2021 {
    fn name(&self) -> &'static str {
        "azure2021"
    }

    fn summary(&self) -> &'static str {
        "Azure Functions 2021: app,func,end_timestamp,duration, a row per invocation, in seconds; counted per minute of the begin"
    }

    fn matches(&self, begin: &Begin) -> bool {
        begin.labels() == COLUMNS
    }

    fn read(&self, source: Source, options: &ReadOptions) -> Result<Box<dyn Items>, TraceError> {
        let mut records = Records::new(source)?;
        if records.labels != COLUMNS {
            return Err(records.bad_header("app,func,end_timestamp,duration"));
        }
        let (mut counter, mut skipped) = (Counter::new(options.step), Skipped::default());
        let start = options.start.unwrap_or(START);
        let mut id = String::new();
        loop {
            match parse(&mut records) {
                Ok(None) => break,
                Ok(Some((begin, duration))) => {
                    id.clear();
                    id.extend([records.cell(0), "/", records.cell(1)]);
                    counter.add(&id, start + begin, Some(duration * 1000.0));
                }
                Err(error) if options.skip_bad_rows && error.is_of_one_row() => {
                    skipped.add(&error);
                }
                Err(error) => return Err(error),
            }
            counter.check(&records.file, records.line())?;
        }
        if counter.is_empty() {
            return Err(TraceError::nothing_left(&records.file, &skipped));
        }
        Ok(Box::new(counter.into_items(skipped)))
    }
}

/// Begin after second 0, and duration in seconds, of the next row; `None` at the end.
fn parse(records: &mut Records) -> Result<Option<(Span, f64)>, TraceError> {
    if !records.next()? {
        return Ok(None);
    }
    for name in [0, 1] {
        if records.cell(name).is_empty() {
            return Err(records.bad(name, "a name"));
        }
    }
    let seconds = |i: usize| {
        let value = records.cell(i).trim().parse::<f64>().ok();
        let value = value.filter(|v| (0.0..1e10).contains(v));
        value.ok_or_else(|| records.bad(i, "seconds, 0 or more"))
    };
    let (end, duration) = (seconds(2)?, seconds(3)?);
    let begin = Span::from_seconds_f64(end - duration);
    let begin = begin.ok_or_else(|| records.bad(2, "seconds, 0 or more"))?;
    Ok(Some((begin, duration)))
}

#[cfg(test)]
mod tests {
    use super::super::read_items;
    use super::*;
    use foresail_core::quantity::trace::TraceItem;

    fn read(text: &str, skip: bool) -> Result<Vec<TraceItem>, TraceError> {
        let bytes = std::io::Cursor::new(text.as_bytes().to_vec());
        let source = Source::new("2021.txt", Box::new(bytes));
        read_items(source, None, &ReadOptions::skipping(skip))?.collect()
    }

    #[test]
    fn an_invocation_counts_in_the_minute_of_its_begin_and_its_time_is_kept() {
        let text = "app,func,end_timestamp,duration\na,f,10,0.5\na,f,125,70\nb,f,130,0\n";
        let items = read(text, false).unwrap();
        let shape: Vec<(&str, Vec<Option<f64>>)> = items
            .iter()
            .map(|i| (i.id.as_str(), i.demand.iter().collect()))
            .collect();
        assert_eq!(
            shape,
            [
                ("a/f", vec![Some(2.0), Some(0.0), Some(0.0)]),
                ("b/f", vec![Some(0.0), Some(0.0), Some(1.0)])
            ]
        );
        assert_eq!(items[0].demand.start(), START);
        let times = items[0].durations.as_ref().unwrap();
        assert_eq!((times.average, times.count), (35_250.0, 2.0));
        assert_eq!(times.points[0], (0.0, 500.0));
        assert_eq!(times.points[6], (100.0, 70_000.0));
    }

    #[test]
    fn a_bad_cell_is_named_and_can_be_skipped() {
        let text = "app,func,end_timestamp,duration\na,f,10,-1\na,f,10,1\n";
        let error = read(text, false).unwrap_err().to_string();
        assert!(
            error.contains("line 2, column duration: found `-1`"),
            "{error}"
        );
        let kept: Vec<_> = read(text, true).unwrap()[0].demand.iter().collect();
        assert_eq!(kept, [Some(1.0)]);
    }
}
