//! One row of a day file: four names and the counts, cell by cell without a branch per byte.

use super::super::{TraceError, bad_row};
use super::columns::{Columns, NAMES};

/// One row of a day file.
pub(super) struct Row {
    pub(super) id: String,
    pub(super) trigger: String,
    pub(super) line: u64,
    /// One count per minute from the first label to the last; NaN where the cell is empty.
    pub(super) counts: Vec<f64>,
}

/// A row of the columns that the header names.
///
/// # Errors
/// [`TraceError::Row`] with the label of the first cell that is none.
pub(super) fn parse_row(
    file: &str,
    number: u64,
    line: &[u8],
    columns: &Columns,
) -> Result<Row, TraceError> {
    let mut fields = line.splitn(NAMES.len() + 1, |b| *b == b',');
    let names: [&[u8]; NAMES.len()] = std::array::from_fn(|_| fields.next().unwrap_or_default());
    let rest = fields.next().unwrap_or_default();
    let plain = names.iter().all(|name| !name.contains(&b'"'));
    if plain && let Some(counts) = parse_counts(rest, columns.count()) {
        return row(file, number, names, columns.place(counts));
    }
    if memchr::memchr(b'"', line).is_some() {
        return parse_quoted(file, number, line, columns);
    }
    // A name that lacks is told before a count that is none.
    row(file, number, names, Vec::new())?;
    Err(bad_count(file, number, rest.split(|b| *b == b','), columns))
}

/// A row of which some cells are quoted, so that a comma in one of them ends no cell.
fn parse_quoted(
    file: &str,
    number: u64,
    line: &[u8],
    columns: &Columns,
) -> Result<Row, TraceError> {
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .from_reader(line);
    let mut record = csv::ByteRecord::new();
    let read = reader.read_byte_record(&mut record);
    let names = std::array::from_fn(|i| record.get(i).unwrap_or_default());
    let cells = || record.iter().skip(NAMES.len());
    let counts: Option<Vec<f64>> = cells().map(long_count).collect();
    match counts.filter(|c| c.len() == columns.count() && read.is_ok()) {
        Some(counts) => row(file, number, names, columns.place(counts)),
        None => {
            row(file, number, names, Vec::new())?;
            Err(bad_count(file, number, cells(), columns))
        }
    }
}

/// A row with its names checked.
fn row(
    file: &str,
    number: u64,
    names: [&[u8]; NAMES.len()],
    counts: Vec<f64>,
) -> Result<Row, TraceError> {
    let mut texts = [""; NAMES.len()];
    for ((text, name), column) in texts.iter_mut().zip(names).zip(NAMES) {
        let name = std::str::from_utf8(name).ok().filter(|f| !f.is_empty());
        *text = name.ok_or_else(|| bad_row(file, number, column, "", "a name"))?;
    }
    let [owner, app, function, trigger] = texts;
    Ok(Row {
        id: [owner, app, function].join("/"),
        trigger: trigger.to_owned(),
        line: number,
        counts,
    })
}

/// The error of the first cell that is no count, or where too few or many are.
fn bad_count<'a>(
    file: &str,
    number: u64,
    cells: impl Iterator<Item = &'a [u8]>,
    columns: &Columns,
) -> TraceError {
    let (place, found) = first_bad_cell(cells, columns.count());
    let column = if place < columns.count() {
        columns.label(place).to_string()
    } else {
        "after the last".to_owned()
    };
    let expected =
        "a whole count of 0 or more, nothing where it is missing, and one cell per label";
    bad_row(file, number, &column, &found, expected)
}

/// Digits of the longest count: every count of so many is a whole number of an `f64`.
const DIGITS_MAX: usize = 15;

/// Every byte of a word.
const fn every(byte: u8) -> u64 {
    u64::from_le_bytes([byte; 8])
}

/// `0,0,0,0,` as a word: what differs from it in the digits' places is the digits' values.
const FOUR_ZEROS: u64 = u64::from_le_bytes(*b"0,0,0,0,");

/// The cells of a row; `None` where one is no count, or their number is not `columns`.
///
/// Eight bytes at a time: most rows are single digits, so that four cells are tried at once; else
/// the first comma of the eight ends one cell. The mean row of the data set has 2.3 bytes a cell.
fn parse_counts(bytes: &[u8], columns: usize) -> Option<Vec<f64>> {
    let mut counts = vec![0.0; columns];
    let (mut place, mut at) = (0, 0);
    while let Some(word) = bytes.get(at..).and_then(|b| b.first_chunk::<8>()) {
        let word = u64::from_le_bytes(*word);
        let digits = word ^ FOUR_ZEROS;
        // Commas where they belong and nothing above a nibble, and no nibble above nine.
        let single =
            (digits | digits.wrapping_add(0x0006_0006_0006_0006)) & 0xfff0_fff0_fff0_fff0 == 0;
        if single && let Some(four) = counts.get_mut(place..place + 4) {
            for (i, count) in four.iter_mut().enumerate() {
                *count = f64::from((digits >> (16 * i)) as u8);
            }
            (place, at) = (place + 4, at + 8);
            continue;
        }
        let commas = word ^ every(b',');
        let ends = commas.wrapping_sub(every(1)) & !commas & every(0x80);
        let (value, next) = if ends == 0 {
            let rest = &bytes[at..];
            let length = memchr::memchr(b',', rest).unwrap_or(rest.len());
            (long_count(&rest[..length])?, at + length + 1)
        } else {
            let length = (ends.trailing_zeros() / 8) as usize;
            (short_count(word, length)?, at + length + 1)
        };
        *counts.get_mut(place)? = value;
        (place, at) = (place + 1, next);
    }
    parse_tail(
        &bytes[at.min(bytes.len())..],
        at > bytes.len(),
        counts,
        place,
    )
}

/// The cells of the last few bytes; after a last cell that took the end of the row none are left.
fn parse_tail(tail: &[u8], over: bool, mut counts: Vec<f64>, mut place: usize) -> Option<Vec<f64>> {
    if !over {
        for cell in tail.split(|b| *b == b',') {
            *counts.get_mut(place)? = long_count(cell)?;
            place += 1;
        }
    }
    (place == counts.len()).then_some(counts)
}

/// The count in the first `length` (0 to 7) bytes of a word; `None` where one is no digit.
fn short_count(word: u64, length: usize) -> Option<f64> {
    if length == 0 {
        return Some(f64::NAN);
    }
    // The digits go to the end of the word, zeros before them.
    let digits = (word ^ every(b'0')) << (64 - 8 * length);
    if (digits | digits.wrapping_add(every(6))) & every(0xf0) != 0 {
        return None;
    }
    // Pairs, then fours, then all eight: each step adds neighbours with their weight.
    let pairs = (digits * 10 + (digits >> 8)) & 0x00ff_00ff_00ff_00ff;
    let fours = (pairs * 100 + (pairs >> 16)) & 0x0000_ffff_0000_ffff;
    let all = (fours * 10_000 + (fours >> 32)) & 0xffff_ffff;
    Some(f64::from(all as u32))
}

/// The count in a cell of any length; `None` for what is none.
fn long_count(cell: &[u8]) -> Option<f64> {
    if cell.is_empty() {
        return Some(f64::NAN);
    }
    if cell.len() > DIGITS_MAX || !cell.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let add = |value: u64, digit: &u8| value * 10 + u64::from(digit - b'0');
    Some(cell.iter().fold(0, add) as f64)
}

/// Place and text of the first cell that is no count, or where too few or many are.
fn first_bad_cell<'a>(cells: impl Iterator<Item = &'a [u8]>, columns: usize) -> (usize, String) {
    let mut count = 0;
    for (place, cell) in cells.enumerate() {
        if place >= columns || long_count(cell).is_none() {
            return (place, String::from_utf8_lossy(cell).into_owned());
        }
        count = place + 1;
    }
    (count, "the end of the row".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The plain way, cell by cell.
    fn plainly(bytes: &[u8], columns: usize) -> Option<Vec<f64>> {
        let cells: Option<Vec<f64>> = bytes.split(|b| *b == b',').map(long_count).collect();
        cells.filter(|c| c.len() == columns)
    }

    fn check(text: &str) {
        let columns = text.split(',').count();
        for columns in [columns - 1, columns, columns + 1] {
            let bits = |counts: Option<Vec<f64>>| -> Option<Vec<u64>> {
                Some(counts?.into_iter().map(f64::to_bits).collect())
            };
            let (got, want) = (
                parse_counts(text.as_bytes(), columns),
                plainly(text.as_bytes(), columns),
            );
            assert_eq!(bits(got), bits(want), "{text} as {columns} columns");
        }
    }

    #[test]
    fn the_fast_way_gives_what_the_plain_way_gives() {
        for text in [
            "",
            "7",
            ",",
            "0,0,0,0",
            "0,0,0,0,",
            ",,,,,,,,,",
            "1,2,3,4,5,6,7,8,9,0",
            "10,200,3000,40000,500000,6000000,70000000,800000000",
            "1,22,,333,4444,0,0,0,0,,55555,1",
            "999999999999999,1,2,3",
            "9999999999999999,1,2,3",
            "1,2,3,:,5,6,7,8,9",
            "1,2,3,4/5,6,7,8,9",
            "-1,0,0,0,0,0,0,0",
            "0,0,0,0,0,0,0,x",
            "0.5,0,0,0,0,0,0,0",
            "1 ,0,0,0,0,0,0,0",
        ] {
            check(text);
        }
    }

    #[test]
    fn every_length_at_every_place_of_a_word_is_read() {
        for before in 0..9 {
            for length in 0..18 {
                let digits = "9876543210987654321".get(..length).unwrap_or("");
                for bad in ["", "x", "/", ":"] {
                    check(&format!("{}{digits}{bad},5,0,0", "1,".repeat(before)));
                }
            }
        }
    }
}
