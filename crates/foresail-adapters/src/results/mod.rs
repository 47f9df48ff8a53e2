//! Tables of results: columns in memory, CSV and Parquet on disk.

pub mod parquet_file;
pub mod parts;

use std::borrow::Cow;
use std::io::{self, Write};

/// One column; a missing value is `None`.
#[derive(Clone, Debug, PartialEq)]
pub enum Column {
    /// Texts.
    Text(Vec<Option<String>>),
    /// Whole numbers.
    Int(Vec<Option<i64>>),
    /// Numbers.
    Real(Vec<Option<f64>>),
}

impl Column {
    /// Number of rows.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Text(v) => v.len(),
            Self::Int(v) => v.len(),
            Self::Real(v) => v.len(),
        }
    }

    /// `true` without a row.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// One value as text; nothing where it is missing.
    #[must_use]
    pub fn text(&self, row: usize) -> String {
        match self {
            Self::Text(v) => v.get(row).cloned().flatten().unwrap_or_default(),
            Self::Int(v) => v
                .get(row)
                .copied()
                .flatten()
                .map_or_else(String::new, |n| n.to_string()),
            Self::Real(v) => v
                .get(row)
                .copied()
                .flatten()
                .map_or_else(String::new, six_digits),
        }
    }
}

/// A text as a cell that no spreadsheet takes for a formula: one that begins like a formula gets an
/// apostrophe in front. What is made of digits, signs and separators alone stays as it is.
/// Source: OWASP, CSV Injection.
#[must_use]
pub fn safe_cell(text: &str) -> Cow<'_, str> {
    let begins = text.starts_with(['=', '+', '-', '@', '\t', '\r']);
    let numeric =
        |c: char| c.is_ascii_digit() || matches!(c, '+' | '-' | '.' | ',' | ' ' | '%' | ':');
    if begins && !text.chars().all(numeric) {
        Cow::Owned(format!("'{text}"))
    } else {
        Cow::Borrowed(text)
    }
}

/// A number at six significant digits, so that it is the same on every platform.
#[must_use]
pub fn six_digits(value: f64) -> String {
    if value == 0.0 || !value.is_finite() {
        return format!("{value}");
    }
    let magnitude = value.abs().log10().floor();
    let digits = (5.0 - magnitude).clamp(0.0, 12.0) as usize;
    let text = format!("{value:.digits$}");
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        text
    }
}

/// A table by columns; all have the same number of rows.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Table {
    /// Name and values of each column.
    pub columns: Vec<(String, Column)>,
}

impl Table {
    /// Number of rows.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.columns.first().map_or(0, |(_, c)| c.len())
    }

    /// Takes every row off, so that the next part of a table can be filled in.
    pub fn clear(&mut self) {
        for (_, column) in &mut self.columns {
            match column {
                Column::Text(v) => v.clear(),
                Column::Int(v) => v.clear(),
                Column::Real(v) => v.clear(),
            }
        }
    }

    /// Writes CSV with a header.
    ///
    /// # Errors
    /// What the writer gives.
    pub fn write_csv(&self, out: &mut dyn Write) -> io::Result<()> {
        let mut writer = csv::Writer::from_writer(out);
        self.write_head(&mut writer)?;
        self.write_rows(&mut writer)?;
        writer.flush()
    }

    fn write_head(&self, writer: &mut csv::Writer<impl Write>) -> io::Result<()> {
        Ok(writer.write_record(self.columns.iter().map(|(name, _)| name))?)
    }

    fn write_rows(&self, writer: &mut csv::Writer<impl Write>) -> io::Result<()> {
        let cell = |column: &Column, row| match (column, column.text(row)) {
            (Column::Text(_), text) => safe_cell(&text).into_owned(),
            (_, number) => number,
        };
        for row in 0..self.rows() {
            writer.write_record(self.columns.iter().map(|(_, column)| cell(column, row)))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_is_a_formula() {
        for (text, want) in [
            ("=1+1", "'=1+1"),
            (
                "=HYPERLINK(\"http://a\",\"b\")",
                "'=HYPERLINK(\"http://a\",\"b\")",
            ),
            ("+cmd|' /C calc'!A0", "'+cmd|' /C calc'!A0"),
            ("-1+cmd|' /C calc'!A0", "'-1+cmd|' /C calc'!A0"),
            ("@SUM(A1)", "'@SUM(A1)"),
            ("\t=1", "'\t=1"),
            ("\r=1", "'\r=1"),
            ("-", "-"),
            ("-1.5", "-1.5"),
            ("+3.2 %", "+3.2 %"),
            ("usage = 5", "usage = 5"),
            ("", ""),
        ] {
            assert_eq!(safe_cell(text), want);
        }
        let column = Column::Text(vec![Some("=1+1".to_owned()), None]);
        let numbers = Column::Int(vec![Some(-2), None]);
        let table = Table {
            columns: vec![("a".to_owned(), column), ("b".to_owned(), numbers)],
        };
        let mut bytes = Vec::new();
        table.write_csv(&mut bytes).unwrap();
        assert_eq!(String::from_utf8(bytes).unwrap(), "a,b\n'=1+1,-2\n,\n");
    }

    #[test]
    fn numbers_have_six_digits() {
        for (value, want) in [
            (1234.5678, "1234.57"),
            (0.000_123_456_7, "0.000123457"),
            (12_345_678.0, "12345678"),
            (0.5, "0.5"),
            (0.0, "0"),
        ] {
            assert_eq!(six_digits(value), want);
        }
    }
}
