//! Decompressed bytes of one file, its first lines looked at before a format is chosen.

use std::fs::File;
use std::io::{BufRead, Cursor, Read};

use super::{LINE_BYTES_MAX, TraceError};

/// Decompressed bytes with the name of the file they come from.
pub struct Source {
    /// Its name, for errors.
    pub file: String,
    /// Its bytes.
    pub bytes: Box<dyn BufRead>,
    /// The file itself where it is not compressed, for formats that do not read from the front.
    pub(crate) plain: Option<File>,
}

impl std::fmt::Debug for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Source")
            .field("file", &self.file)
            .finish_non_exhaustive()
    }
}

/// The begin of a file: what a format is recognised by.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Begin {
    /// The first line, without its end and without a byte order mark.
    pub header: String,
    /// The second line.
    pub row: String,
}

impl Begin {
    /// The labels of the header in lower case, without quotes.
    #[must_use]
    pub fn labels(&self) -> Vec<String> {
        let bare = |label: &str| label.trim().trim_matches('"').to_lowercase();
        self.header.split(',').map(bare).collect()
    }
}

/// What stands in a header line's place where the bytes are a Parquet file.
pub(crate) const PARQUET_MAGIC: &str = "PAR1";

impl Source {
    /// A source of bytes as they are.
    #[must_use]
    pub fn new(file: &str, bytes: Box<dyn BufRead>) -> Self {
        Self {
            file: file.to_owned(),
            bytes,
            plain: None,
        }
    }

    /// Reads one line without its end; `false` at the end of the file.
    pub(crate) fn line(&mut self, line: &mut Vec<u8>, number: u64) -> Result<bool, TraceError> {
        line.clear();
        loop {
            let buffer = self
                .bytes
                .fill_buf()
                .map_err(|e| TraceError::io(&self.file, e))?;
            let end = memchr::memchr(b'\n', buffer);
            let taken = end.map_or(buffer.len(), |n| n + 1);
            line.extend_from_slice(&buffer[..end.unwrap_or(buffer.len())]);
            let at_end = buffer.is_empty();
            self.bytes.consume(taken);
            if line.len() > LINE_BYTES_MAX {
                let file = self.file.clone();
                return Err(TraceError::TooLarge {
                    file,
                    line: number,
                    what: "a line",
                    limit: LINE_BYTES_MAX,
                });
            }
            if at_end || end.is_some() {
                if line.last() == Some(&b'\r') {
                    line.pop();
                }
                return Ok(!(at_end && line.is_empty()));
            }
        }
    }

    /// The first two lines, left in place.
    ///
    /// # Errors
    /// [`TraceError::Empty`] for an empty file.
    pub(crate) fn begin(&mut self) -> Result<Begin, TraceError> {
        let buffer = self
            .bytes
            .fill_buf()
            .map_err(|e| TraceError::io(&self.file, e))?;
        if buffer.starts_with(PARQUET_MAGIC.as_bytes()) {
            let header = PARQUET_MAGIC.to_owned();
            return Ok(Begin {
                header,
                row: String::new(),
            });
        }
        let (mut line, mut again) = (Vec::new(), Vec::new());
        let mut lines = [String::new(), String::new()];
        for (number, text) in (1..).zip(&mut lines) {
            if self.line(&mut line, number)? {
                *text = String::from_utf8_lossy(&line).into_owned();
                again.extend_from_slice(text.trim_start_matches('\u{feff}').as_bytes());
                again.push(b'\n');
            } else if number == 1 {
                let file = self.file.clone();
                return Err(TraceError::Empty { file });
            }
        }
        let rest = std::mem::replace(&mut self.bytes, Box::new(std::io::empty()));
        self.bytes = Box::new(Cursor::new(again).chain(rest));
        let [first, second] = lines;
        // Lines of some CSV files end with a carriage return alone.
        let (header, row) = first.split_once('\r').unwrap_or((&first, &second));
        let row = row.split('\r').next().unwrap_or("").to_owned();
        let header = header.trim_start_matches('\u{feff}').to_owned();
        Ok(Begin { header, row })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_begin_is_told_whatever_ends_a_line_and_left_in_place() {
        for text in [
            "ds,y\n1949-01-01,112\n1949-02-01,118\n",
            "\u{feff}ds,y\r\n1949-01-01,112\r\n1949-02-01,118\r\n",
            "ds,y\r1949-01-01,112\r1949-02-01,118",
        ] {
            let mut source = Source::new("f", Box::new(Cursor::new(text.as_bytes().to_vec())));
            let begin = source.begin().unwrap();
            assert_eq!(
                (begin.header.as_str(), begin.row.as_str()),
                ("ds,y", "1949-01-01,112")
            );
            let mut rest = String::new();
            source.bytes.read_to_string(&mut rest).unwrap();
            assert_eq!(rest.matches("1949").count(), 2, "{rest}");
        }
    }
}
