//! Azure LLM inference 2023 and 2024: one row per request, `TIMESTAMP,ContextTokens,GeneratedTokens`.
//!
//! Source: AzurePublicDataset, AzureLLMInferenceDataset2023.md. Times have seven decimals and no
//! zone (UTC). The requests are counted per step (a minute, or `--step`) as one item; the first and
//! the last step are only partly covered. Tokens are checked to be whole numbers and not kept.

use foresail_core::quantity::time::Timestamp;

use super::records::Records;
use super::requests::Counter;
use super::{Begin, Items, ReadOptions, Skipped, Source, TraceError, TraceFormat};

const COLUMNS: [&str; 3] = ["TIMESTAMP", "ContextTokens", "GeneratedTokens"];

/// The format.
#[derive(Debug)]
pub struct AzureLlm;

impl TraceFormat for AzureLlm {
    fn name(&self) -> &'static str {
        "azure-llm"
    }

    fn summary(&self) -> &'static str {
        "Azure LLM inference: TIMESTAMP,ContextTokens,GeneratedTokens, a row per request; counted per minute, or per --step"
    }

    fn matches(&self, begin: &Begin) -> bool {
        begin.header.split(',').eq(COLUMNS)
    }

    fn read(&self, source: Source, options: &ReadOptions) -> Result<Box<dyn Items>, TraceError> {
        let mut records = Records::new(source)?;
        if records.labels != COLUMNS {
            return Err(records.bad_header("TIMESTAMP,ContextTokens,GeneratedTokens"));
        }
        let (mut counter, mut skipped) = (Counter::new(options.step), Skipped::default());
        loop {
            match parse(&mut records) {
                Ok(None) => break,
                Ok(Some(at)) => counter.add("requests", at, None),
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

/// Time of the next row; `None` at the end.
fn parse(records: &mut Records) -> Result<Option<Timestamp>, TraceError> {
    if !records.next()? {
        return Ok(None);
    }
    for place in [1, 2] {
        if records.cell(place).trim().parse::<u64>().is_err() {
            return Err(records.bad(place, "a whole number of tokens"));
        }
    }
    let at = records.cell(0).trim().parse();
    at.map(Some)
        .map_err(|_| records.bad(0, "a time such as 2023-11-16 18:17:03.9799600"))
}

#[cfg(test)]
mod tests {
    use super::super::read_items;
    use super::*;
    use foresail_core::quantity::time::Span;
    use foresail_core::quantity::trace::TraceItem;

    fn read(text: &str, step: Option<Span>) -> Result<Vec<TraceItem>, TraceError> {
        let bytes = std::io::Cursor::new(text.as_bytes().to_vec());
        let source = Source::new("llm.csv", Box::new(bytes));
        let options = ReadOptions {
            step,
            ..ReadOptions::default()
        };
        read_items(source, None, &options)?.collect()
    }

    const TEXT: &str = "TIMESTAMP,ContextTokens,GeneratedTokens\r\n\
        2023-11-16 18:17:03.9799600,4808,10\r\n\
        2023-11-16 18:17:04.0319600,3180,8\r\n\
        2023-11-16 18:19:00.0000000,110,27\r\n";

    #[test]
    fn requests_are_counted_per_step_and_an_empty_step_is_zero() {
        let counts = |step| -> Vec<f64> {
            let items = read(TEXT, step).unwrap();
            items[0].demand.iter().flatten().collect()
        };
        assert_eq!(counts(None), [2.0, 0.0, 1.0]);
        assert_eq!(counts(Some(Span::from_seconds(120))), [2.0, 1.0]);
    }

    #[test]
    fn a_bad_cell_is_named() {
        let text = TEXT.replace("3180", "many");
        let error = read(&text, None).unwrap_err().to_string();
        assert!(
            error.contains("line 3, column ContextTokens: found `many`"),
            "{error}"
        );
    }
}
