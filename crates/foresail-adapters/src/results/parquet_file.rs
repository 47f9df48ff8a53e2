//! Parquet, written and read by columns; the same table gives the same bytes.

use std::io::{Read, Write};
use std::sync::Arc;

use parquet::basic::{Compression, ConvertedType, LogicalType, Repetition, Type as Physical};
use parquet::column::reader::ColumnReader;
use parquet::data_type::{ByteArray, ByteArrayType, DoubleType, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::Type;

use super::{Column, Table};

/// Rows of one row group.
const GROUP_ROWS: usize = 1 << 16;

fn field(name: &str, column: &Column) -> Result<Type, ParquetError> {
    let physical = match column {
        Column::Text(_) => Physical::BYTE_ARRAY,
        Column::Int(_) => Physical::INT64,
        Column::Real(_) => Physical::DOUBLE,
    };
    let builder =
        Type::primitive_type_builder(name, physical).with_repetition(Repetition::OPTIONAL);
    match column {
        Column::Text(_) => builder
            .with_converted_type(ConvertedType::UTF8)
            .with_logical_type(Some(LogicalType::String))
            .build(),
        Column::Int(_) | Column::Real(_) => builder.build(),
    }
}

/// Definition levels and the values that are there.
fn present<T, U>(values: &[Option<T>], convert: impl Fn(&T) -> U) -> (Vec<i16>, Vec<U>) {
    let levels = values.iter().map(|v| i16::from(v.is_some())).collect();
    (levels, values.iter().flatten().map(convert).collect())
}

/// Writes a table.
///
/// Snappy-compressed, dictionaries for texts, no time and no path in it.
///
/// # Errors
/// What the writer gives.
pub fn write(table: &Table, out: &mut (dyn Write + Send)) -> Result<(), ParquetError> {
    let mut groups = Groups::begin(table, out)?;
    groups.add(table)?;
    groups.finish()
}

/// A table that is written part by part: of each only a row group is held.
pub struct Groups<'a> {
    writer: SerializedFileWriter<&'a mut (dyn Write + Send)>,
}

impl<'a> Groups<'a> {
    /// Begins a file with the columns of `like`; its rows are not written.
    ///
    /// # Errors
    /// What the writer gives.
    pub fn begin(like: &Table, out: &'a mut (dyn Write + Send)) -> Result<Self, ParquetError> {
        let fields: Vec<_> = like
            .columns
            .iter()
            .map(|(n, c)| field(n, c).map(Arc::new))
            .collect::<Result<_, _>>()?;
        let schema = Arc::new(
            Type::group_type_builder("ticks")
                .with_fields(fields)
                .build()?,
        );
        let properties = WriterProperties::builder()
            .set_compression(Compression::SNAPPY)
            .set_created_by("foresail".to_owned())
            .build();
        let writer = SerializedFileWriter::new(out, schema, Arc::new(properties))?;
        Ok(Self { writer })
    }

    /// Writes the rows of a table with the columns that the file was begun with.
    ///
    /// # Errors
    /// What the writer gives.
    pub fn add(&mut self, table: &Table) -> Result<(), ParquetError> {
        let rows = table.rows();
        for begin in (0..rows).step_by(GROUP_ROWS) {
            self.group(table, begin, (begin + GROUP_ROWS).min(rows))?;
        }
        Ok(())
    }

    fn group(&mut self, table: &Table, begin: usize, end: usize) -> Result<(), ParquetError> {
        let mut group = self.writer.next_row_group()?;
        for (_, column) in &table.columns {
            let Some(mut out) = group.next_column()? else {
                break;
            };
            match column {
                Column::Text(v) => {
                    let (levels, values) = present(&v[begin..end], |s| ByteArray::from(s.as_str()));
                    out.typed::<ByteArrayType>()
                        .write_batch(&values, Some(&levels), None)?;
                }
                Column::Int(v) => {
                    let (levels, values) = present(&v[begin..end], |n| *n);
                    out.typed::<Int64Type>()
                        .write_batch(&values, Some(&levels), None)?;
                }
                Column::Real(v) => {
                    let (levels, values) = present(&v[begin..end], |x| *x);
                    out.typed::<DoubleType>()
                        .write_batch(&values, Some(&levels), None)?;
                }
            }
            out.close()?;
        }
        group.close()?;
        Ok(())
    }

    /// Writes the end.
    ///
    /// # Errors
    /// What the writer gives.
    pub fn finish(self) -> Result<(), ParquetError> {
        self.writer.close()?;
        Ok(())
    }
}

impl std::fmt::Debug for Groups<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Groups").finish_non_exhaustive()
    }
}

/// Puts values back where their levels say.
fn spread<T, U>(levels: &[i16], values: Vec<T>, convert: impl Fn(T) -> U) -> Vec<Option<U>> {
    let mut values = values.into_iter();
    levels
        .iter()
        .map(|l| {
            if *l > 0 {
                values.next().map(&convert)
            } else {
                None
            }
        })
        .collect()
}

/// Reads a table that [`write()`] wrote.
///
/// # Errors
/// [`ParquetError`] where the bytes are no Parquet, or of a type that we do not write.
pub fn read(mut input: impl Read) -> Result<Table, ParquetError> {
    let mut bytes = Vec::new();
    input
        .read_to_end(&mut bytes)
        .map_err(|e| ParquetError::General(e.to_string()))?;
    let reader = SerializedFileReader::new(bytes::Bytes::from(bytes))?;
    let mut table = Table::default();
    for group in 0..reader.num_row_groups() {
        let group = reader.get_row_group(group)?;
        let rows = usize::try_from(group.metadata().num_rows()).unwrap_or(0);
        for i in 0..group.num_columns() {
            let name = group.metadata().column(i).column_descr().name().to_owned();
            let mut levels = Vec::new();
            let column = match group.get_column_reader(i)? {
                ColumnReader::ByteArrayColumnReader(mut r) => {
                    let mut values = Vec::new();
                    r.read_records(rows, Some(&mut levels), None, &mut values)?;
                    Column::Text(spread(&levels, values, |v: ByteArray| {
                        String::from_utf8_lossy(v.data()).into_owned()
                    }))
                }
                ColumnReader::Int64ColumnReader(mut r) => {
                    let mut values = Vec::new();
                    r.read_records(rows, Some(&mut levels), None, &mut values)?;
                    Column::Int(spread(&levels, values, |v| v))
                }
                ColumnReader::DoubleColumnReader(mut r) => {
                    let mut values = Vec::new();
                    r.read_records(rows, Some(&mut levels), None, &mut values)?;
                    Column::Real(spread(&levels, values, |v| v))
                }
                _ => {
                    return Err(ParquetError::General(format!(
                        "column {name} has a type that is not read"
                    )));
                }
            };
            append(&mut table, name, i, column);
        }
    }
    Ok(table)
}

fn append(table: &mut Table, name: String, index: usize, column: Column) {
    match (table.columns.get_mut(index).map(|(_, c)| c), column) {
        (Some(Column::Text(old)), Column::Text(new)) => old.extend(new),
        (Some(Column::Int(old)), Column::Int(new)) => old.extend(new),
        (Some(Column::Real(old)), Column::Real(new)) => old.extend(new),
        (_, column) => table.columns.push((name, column)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_read_as_it_was_written_and_twice_the_same_bytes() {
        let rows = GROUP_ROWS + 10;
        let table = Table {
            columns: vec![
                (
                    "name".to_owned(),
                    Column::Text(
                        (0..rows)
                            .map(|i| (i % 3 != 0).then(|| format!("n{}", i % 7)))
                            .collect(),
                    ),
                ),
                (
                    "count".to_owned(),
                    Column::Int(
                        (0..rows)
                            .map(|i| (i % 5 != 0).then_some(i as i64))
                            .collect(),
                    ),
                ),
                (
                    "share".to_owned(),
                    Column::Real(
                        (0..rows)
                            .map(|i| (i % 2 != 0).then_some(i as f64 / 3.0))
                            .collect(),
                    ),
                ),
            ],
        };
        let bytes = || {
            let mut out = Vec::new();
            write(&table, &mut out).unwrap();
            out
        };
        assert_eq!(bytes(), bytes());
        assert_eq!(read(bytes().as_slice()).unwrap(), table);
    }
}
