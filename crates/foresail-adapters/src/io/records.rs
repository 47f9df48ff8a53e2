//! Records of CSV files, each of bounded length and with as many cells as the header.

use std::io::{self, BufRead, Read};

use super::error::{bad_header, bad_row};
use super::{LINE_BYTES_MAX, Source, TraceError};

/// Bytes that fail once one record took more of them than a line may have.
struct Bounded {
    bytes: Box<dyn BufRead>,
    taken: usize,
}

impl Read for Bounded {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.taken > LINE_BYTES_MAX {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        let count = self.bytes.read(buffer)?;
        self.taken += count;
        Ok(count)
    }
}

/// A CSV file's header and its records, one at a time.
///
/// A quoted cell may hold line breaks, so that what is bounded is the record: a quote that is never
/// closed ends the reading as a line without an end does.
pub(crate) struct Records {
    pub(crate) file: String,
    pub(crate) labels: Vec<String>,
    reader: csv::Reader<Bounded>,
    record: csv::StringRecord,
}

impl Records {
    /// Reads the header.
    pub(crate) fn new(source: Source) -> Result<Self, TraceError> {
        let Source { file, bytes, .. } = source;
        let bounded = Bounded { bytes, taken: 0 };
        let mut reader = csv::ReaderBuilder::new()
            .flexible(true)
            .from_reader(bounded);
        let labels = match reader.headers() {
            Ok(labels) => labels.iter().map(str::to_owned).collect(),
            Err(error) => return Err(failed(&file, 1, error)),
        };
        Ok(Self {
            file,
            labels,
            reader,
            record: csv::StringRecord::new(),
        })
    }

    /// Takes the next record; `false` at the end of the file.
    ///
    /// # Errors
    /// [`TraceError::Row`] where it is no text or has other cells than the header; the next record
    /// can be read after it.
    pub(crate) fn next(&mut self) -> Result<bool, TraceError> {
        self.reader.get_mut().taken = 0;
        match self.reader.read_record(&mut self.record) {
            Ok(false) => return Ok(false),
            Ok(true) => {}
            Err(error) => {
                let line = self.reader.position().line();
                return Err(failed(&self.file, line, error));
            }
        }
        let (cells, labels) = (self.record.len(), self.labels.len());
        if cells == labels {
            return Ok(true);
        }
        let label = self.labels.get(cells);
        let column = label.map_or("after the last", String::as_str);
        let found = self.record.get(labels).unwrap_or("the end of the row");
        let expected = "as many cells as the header has";
        Err(bad_row(&self.file, self.line(), column, found, expected))
    }

    /// The line on which the record begins, counted from 1.
    pub(crate) fn line(&self) -> u64 {
        self.record.position().map_or(0, csv::Position::line)
    }

    /// One cell of the record; nothing where it has none.
    pub(crate) fn cell(&self, place: usize) -> &str {
        self.record.get(place).unwrap_or("")
    }

    /// The error of one cell of the record.
    pub(crate) fn bad(&self, place: usize, expected: &'static str) -> TraceError {
        let label = self.labels.get(place).map_or("", String::as_str);
        bad_row(&self.file, self.line(), label, self.cell(place), expected)
    }

    /// The error of the header.
    pub(crate) fn bad_header(&self, expected: &'static str) -> TraceError {
        bad_header(&self.file, "header", &self.labels.join(","), expected)
    }
}

/// An error of the CSV reader with the place that it names.
fn failed(file: &str, line: u64, error: csv::Error) -> TraceError {
    let line = error.position().map_or(line, csv::Position::line);
    match error.into_kind() {
        csv::ErrorKind::Io(cause) if cause.kind() == io::ErrorKind::FileTooLarge => {
            TraceError::TooLarge {
                file: file.to_owned(),
                line,
                what: "a line",
                limit: LINE_BYTES_MAX,
            }
        }
        csv::ErrorKind::Io(cause) => TraceError::io(file, cause),
        csv::ErrorKind::Utf8 { err, .. } => {
            bad_row(file, line, &err.field().to_string(), "bytes", "UTF-8 text")
        }
        _ => bad_row(file, line, "all", "the row", "cells with commas between"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{ReadOptions, read_items};
    use super::*;
    use std::cell::Cell;
    use std::io::BufReader;
    use std::rc::Rc;

    /// A begin, then one byte without an end.
    struct Endless {
        begin: io::Cursor<Vec<u8>>,
        byte: u8,
        read: Rc<Cell<usize>>,
    }

    impl Read for Endless {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let count = self.begin.read(buffer)?;
            let count = if count > 0 {
                count
            } else {
                buffer.fill(self.byte);
                buffer.len()
            };
            self.read.set(self.read.get() + count);
            assert!(self.read.get() < 4 * LINE_BYTES_MAX, "read without a bound");
            Ok(count)
        }
    }

    #[test]
    fn a_line_without_an_end_is_refused_by_every_form_while_it_is_read() {
        let minutes: Vec<String> = (1..=1440).map(|m| m.to_string()).collect();
        let azure = format!(
            "HashOwner,HashApp,HashFunction,Trigger,{0}\no,a,f,http,{0}\n",
            minutes.join(",")
        );
        for (begin, byte) in [
            ("timestamp,count\n0,1\n60,", b'1'),
            ("timestamp,count\n0,1\n60,\"", b'\n'),
            ("timestamp,a,b\n0,1,2\n60,", b'1'),
            ("app,func,end_timestamp,duration\na,f,1,1\n", b'7'),
            (
                "TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 18:17:03,1,1\n",
                b'7',
            ),
            (azure.as_str(), b'7'),
            ("H1,1,2\nH2,", b'7'),
            ("Average,Count,percentile_Average_0\n1,2,3\n", b'7'),
            ("1\n2\n", b'7'),
        ] {
            let bytes = Endless {
                begin: io::Cursor::new(begin.as_bytes().to_vec()),
                byte,
                read: Rc::default(),
            };
            let source = Source::new("f", Box::new(BufReader::new(bytes)));
            let options = ReadOptions::skipping(true);
            let error = read_items(source, None, &options)
                .and_then(|items| items.collect::<Result<Vec<_>, _>>())
                .unwrap_err();
            let wanted =
                matches!(&error, TraceError::TooLarge { line: 2.., what, .. } if *what == "a line");
            assert!(wanted, "{begin:.40}: {error}");
        }
    }

    #[test]
    fn a_row_with_other_cells_than_the_header_is_a_bad_row_and_the_next_is_read() {
        let text = "timestamp,count\n0,1\n60\n120,3,4\n180,5\n";
        let source = |text: &str| {
            let bytes = io::Cursor::new(text.as_bytes().to_vec());
            Source::new("f.csv", Box::new(bytes))
        };
        let read = |options| read_items(source(text), None, &options).unwrap();
        let error = read(ReadOptions::default()).next().unwrap().unwrap_err();
        assert!(
            error
                .to_string()
                .contains("line 3, column count: found `the end of the row`"),
            "{error}"
        );
        let mut items = read(ReadOptions::skipping(true));
        let total = items.next().unwrap().unwrap().total();
        assert!((total - 6.0).abs() < f64::EPSILON, "{total}");
        assert_eq!(items.skipped().count, 2);
        let told = &items.skipped().told[1];
        assert!(
            told.contains("line 4, column after the last: found `4`"),
            "{told}"
        );
    }
}
