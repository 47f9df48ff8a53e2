//! Long Parquet: columns item, timestamp, count and perhaps trigger; the rows of an item together.
//!
//! Read and written by row groups, so that memory does not grow with the file. Times may be Parquet
//! timestamps of any unit, texts, or whole seconds since 1970; counts any number. A null is missing,
//! and so is NaN (pandas and NumPy write it for missing). Pages compressed with Snappy, gzip or LZ4
//! are read, and bare ones.

use std::io::Read;
use std::sync::Arc;

use ::parquet::basic::{
    Compression, ConvertedType, Encoding, LogicalType, Repetition, TimeUnit, Type as Physical,
};
use ::parquet::column::reader::{ColumnReader, ColumnReaderImpl};
use ::parquet::data_type::{ByteArray, ByteArrayType, DataType, DoubleType, Int64Type};
use ::parquet::errors::ParquetError;
use ::parquet::file::properties::WriterProperties;
use ::parquet::file::reader::{FileReader, SerializedFileReader};
use ::parquet::file::writer::SerializedFileWriter;
use ::parquet::schema::types::{ColumnDescriptor, ColumnPath, Type};

use foresail_core::quantity::time::Timestamp;
use foresail_core::quantity::trace::TraceItem;

use super::cell::{TIME_EXPECTED, VALUE_EXPECTED, epoch_seconds, parse_time};
use super::csv_long::{NAMES, TIMES, VALUES, place};
use super::error::bad_header;
use super::grid::{Point, Uneven};
use super::long::{LongItems, Name, Rows};
use super::source::PARQUET_MAGIC;
use super::{Begin, ItemWriter, Items, Out, ReadOptions, Source, TraceError, TraceFormat, bad_row};

/// Rows that are decoded at once.
const BATCH_ROWS: usize = 8192;

/// Rows of a row group that is written: some 6 MiB are held until it is whole.
const GROUP_ROWS: usize = 1 << 17;

/// A compressed or piped Parquet file is read from memory, since its end says where its parts are.
const BYTES_HELD_MAX: usize = 256 << 20;

/// The format.
#[derive(Debug)]
pub struct Parquet;

impl TraceFormat for Parquet {
    fn name(&self) -> &'static str {
        "parquet"
    }

    fn summary(&self) -> &'static str {
        "Parquet in long layout: timestamp and count, and perhaps item and trigger; rows of one item together"
    }

    fn matches(&self, begin: &Begin) -> bool {
        begin.header == PARQUET_MAGIC
    }

    fn read(&self, source: Source, options: &ReadOptions) -> Result<Box<dyn Items>, TraceError> {
        let rows = ParquetRows::open(source)?;
        Ok(Box::new(LongItems::new(rows, options, Uneven::Error)))
    }

    fn writer<'a>(&self, out: Out<'a>) -> Option<Box<dyn ItemWriter + 'a>> {
        Some(Box::new(ParquetWriter::new(out)))
    }
}

/// An error of the library, told apart from a file that ends too early.
fn broken(file: &str, error: &ParquetError) -> TraceError {
    let file = file.to_owned();
    let why = error.to_string();
    if why.contains("Disabled feature at compile time") || matches!(error, ParquetError::NYI(_)) {
        let why = format!("{why}; write it with Snappy, gzip or LZ4 compression, or with none");
        return TraceError::Broken {
            file,
            format: "parquet",
            why,
        };
    }
    TraceError::Broken {
        file,
        format: "parquet",
        why: format!("{why}; write it anew"),
    }
}

/// The file's bytes, wherever they are.
fn file_reader(source: Source) -> Result<(String, Box<dyn FileReader>), TraceError> {
    let Source {
        file, bytes, plain, ..
    } = source;
    if let Some(plain) = plain {
        check_end(&file, &plain)?;
        let reader = SerializedFileReader::new(plain).map_err(|e| broken(&file, &e))?;
        return Ok((file, Box::new(reader)));
    }
    let mut held = Vec::new();
    let mut limited = bytes.take(BYTES_HELD_MAX as u64 + 1);
    limited
        .read_to_end(&mut held)
        .map_err(|e| TraceError::io(&file, e))?;
    if held.len() > BYTES_HELD_MAX {
        return Err(TraceError::TooLarge {
            file,
            line: 1,
            what: "a Parquet file inside another compression",
            limit: BYTES_HELD_MAX,
        });
    }
    if !held.ends_with(PARQUET_MAGIC.as_bytes()) {
        return Err(cut_short(&file));
    }
    let reader = SerializedFileReader::new(bytes::Bytes::from(held));
    let reader = reader.map_err(|e| broken(&file, &e))?;
    Ok((file, Box::new(reader)))
}

fn cut_short(file: &str) -> TraceError {
    let message = "a Parquet file must end with PAR1";
    TraceError::CutShort {
        file: file.to_owned(),
        cause: std::io::Error::new(std::io::ErrorKind::UnexpectedEof, message),
    }
}

/// The end of a Parquet file repeats its first four bytes.
fn check_end(file: &str, mut plain: &std::fs::File) -> Result<(), TraceError> {
    use std::io::{Seek, SeekFrom};
    let mut end = [0; 4];
    let read = plain
        .seek(SeekFrom::End(-4))
        .and_then(|_| plain.read_exact(&mut end));
    match read {
        Ok(()) if end == PARQUET_MAGIC.as_bytes() => Ok(()),
        Ok(()) => Err(cut_short(file)),
        Err(error) => Err(TraceError::io(file, error)),
    }
}

/// How a column of times is understood.
#[derive(Clone, Copy, Debug)]
enum TimeForm {
    /// Whole numbers of so many nanoseconds.
    Nanos(i64),
    /// Whole seconds since 1970.
    Seconds,
    /// Texts.
    Text,
    /// The twelve bytes of older Spark and Impala.
    Int96,
    /// Whole days since 1970.
    Days,
}

fn time_form(column: &ColumnDescriptor) -> Option<TimeForm> {
    let unit = match (column.logical_type_ref(), column.converted_type()) {
        (Some(LogicalType::Timestamp(stamp)), _) => match stamp.unit {
            TimeUnit::MILLIS => Some(1_000_000),
            TimeUnit::MICROS => Some(1_000),
            TimeUnit::NANOS => Some(1),
        },
        (_, ConvertedType::TIMESTAMP_MILLIS) => Some(1_000_000),
        (_, ConvertedType::TIMESTAMP_MICROS) => Some(1_000),
        _ => None,
    };
    match (column.physical_type(), unit) {
        (Physical::INT64, Some(nanos)) => Some(TimeForm::Nanos(nanos)),
        (Physical::INT64, None) => Some(TimeForm::Seconds),
        (Physical::INT96, _) => Some(TimeForm::Int96),
        (Physical::INT32, _) if column.converted_type() == ConvertedType::DATE => {
            Some(TimeForm::Days)
        }
        (Physical::BYTE_ARRAY, _) => Some(TimeForm::Text),
        _ => None,
    }
}

/// Where the columns are.
struct Columns {
    time: usize,
    time_form: TimeForm,
    time_label: String,
    value: usize,
    value_label: String,
    item: Option<usize>,
    trigger: Option<usize>,
}

impl Columns {
    fn of(file: &str, reader: &dyn FileReader) -> Result<Self, TraceError> {
        let schema = reader.metadata().file_metadata().schema_descr();
        let labels: Vec<&str> = schema.columns().iter().map(|c| c.name()).collect();
        let flat = |place: &usize| {
            let column = schema.column(*place);
            column.max_rep_level() == 0 && column.max_def_level() <= 1
        };
        let find = |known: &[&str]| place(&labels, known).filter(flat);
        let time = find(&TIMES).and_then(|t| Some((t, time_form(&schema.column(t))?)));
        let number = |place: &usize| {
            let physical = schema.column(*place).physical_type();
            use Physical::{DOUBLE, FLOAT, INT32, INT64};
            matches!(physical, INT32 | INT64 | FLOAT | DOUBLE)
        };
        let value = find(&VALUES).filter(number);
        let (Some((time, time_form)), Some(value)) = (time, value) else {
            let expected =
                "a column timestamp (timestamp, text or seconds) and a number column count";
            return Err(bad_header(file, "schema", &labels.join(","), expected));
        };
        let text = |place: &usize| schema.column(*place).physical_type() == Physical::BYTE_ARRAY;
        Ok(Self {
            time,
            time_form,
            time_label: labels[time].to_owned(),
            value,
            value_label: labels[value].to_owned(),
            item: find(&NAMES).filter(text),
            trigger: find(&["trigger"]).filter(text),
        })
    }
}

/// Decoded rows of one column: a value per row, `None` for a null.
struct Decoded<T> {
    levels: Vec<i16>,
    values: Vec<T>,
}

impl<T> Decoded<T> {
    fn read<D: DataType<T = T>>(
        reader: &mut ColumnReaderImpl<D>,
    ) -> Result<Vec<Option<T>>, ParquetError> {
        let (mut levels, mut values) = (Vec::new(), Vec::new());
        let (records, ..) =
            reader.read_records(BATCH_ROWS, Some(&mut levels), None, &mut values)?;
        let decoded = Self { levels, values };
        Ok(decoded.spread(records))
    }

    /// A column that may not be null has no levels.
    fn spread(self, records: usize) -> Vec<Option<T>> {
        if self.levels.is_empty() {
            return self.values.into_iter().take(records).map(Some).collect();
        }
        let mut values = self.values.into_iter();
        self.levels
            .into_iter()
            .map(|level| if level > 0 { values.next() } else { None })
            .collect()
    }
}

/// The next rows of a column of texts.
fn texts(reader: &mut ColumnReader) -> Result<Vec<Option<ByteArray>>, ParquetError> {
    match reader {
        ColumnReader::ByteArrayColumnReader(r) => Decoded::read(r),
        _ => Err(ParquetError::General("not a column of texts".to_owned())),
    }
}

/// The next rows of a column of numbers.
fn numbers(reader: &mut ColumnReader) -> Result<Vec<Option<f64>>, ParquetError> {
    fn all<T>(rows: Vec<Option<T>>, convert: impl Fn(T) -> f64) -> Vec<Option<f64>> {
        rows.into_iter().map(|v| v.map(&convert)).collect()
    }
    Ok(match reader {
        ColumnReader::Int32ColumnReader(r) => all(Decoded::read(r)?, f64::from),
        ColumnReader::Int64ColumnReader(r) => all(Decoded::read(r)?, |v| v as f64),
        ColumnReader::FloatColumnReader(r) => all(Decoded::read(r)?, f64::from),
        ColumnReader::DoubleColumnReader(r) => Decoded::read(r)?,
        _ => return Err(ParquetError::General("not a column of numbers".to_owned())),
    })
}

/// A time, or the text of what is none.
type Time = Result<Timestamp, String>;

/// The next rows of a column of times.
fn times(reader: &mut ColumnReader, form: TimeForm) -> Result<Vec<Time>, ParquetError> {
    fn all<T>(
        rows: Vec<Option<T>>,
        convert: impl Fn(&T) -> Option<Timestamp>,
        show: impl Fn(&T) -> String,
    ) -> Vec<Time> {
        let time = |v: Option<T>| {
            let v = v.ok_or_else(String::new)?;
            convert(&v).ok_or_else(|| show(&v))
        };
        rows.into_iter().map(time).collect()
    }
    let text = |v: &ByteArray| String::from_utf8_lossy(v.data()).into_owned();
    Ok(match (reader, form) {
        (ColumnReader::Int64ColumnReader(r), TimeForm::Nanos(unit)) => {
            let time = |v: &i64| v.checked_mul(unit).map(Timestamp::from_nanos);
            all(Decoded::read(r)?, time, i64::to_string)
        }
        (ColumnReader::Int64ColumnReader(r), _) => {
            all(Decoded::read(r)?, |v| epoch_seconds(*v), i64::to_string)
        }
        (ColumnReader::Int32ColumnReader(r), _) => {
            let day = |v: &i32| Some(Timestamp::from_seconds(i64::from(*v) * 86_400));
            all(Decoded::read(r)?, day, i32::to_string)
        }
        (ColumnReader::Int96ColumnReader(r), _) => all(
            Decoded::read(r)?,
            |v| Some(Timestamp::from_nanos(v.to_nanos())),
            |v| format!("{v:?}"),
        ),
        (ColumnReader::ByteArrayColumnReader(r), _) => {
            all(Decoded::read(r)?, |v| parse_time(&text(v)), text)
        }
        _ => return Err(ParquetError::General("not a column of times".to_owned())),
    })
}

/// Column readers of one row group.
struct Group {
    time: ColumnReader,
    value: ColumnReader,
    item: Option<ColumnReader>,
    trigger: Option<ColumnReader>,
}

/// Rows that were decoded already.
#[derive(Default)]
struct Batch {
    times: Vec<Time>,
    values: Vec<Option<f64>>,
    items: Vec<Option<ByteArray>>,
    triggers: Vec<Option<ByteArray>>,
    next: usize,
}

struct ParquetRows {
    file: String,
    reader: Box<dyn FileReader>,
    columns: Columns,
    next_group: usize,
    group: Option<Group>,
    batch: Batch,
    row: u64,
}

impl ParquetRows {
    fn open(source: Source) -> Result<Self, TraceError> {
        let (file, reader) = file_reader(source)?;
        let columns = Columns::of(&file, reader.as_ref())?;
        Ok(Self {
            file,
            reader,
            columns,
            next_group: 0,
            group: None,
            batch: Batch::default(),
            row: 0,
        })
    }

    /// Column readers of the next row group; `None` after the last.
    fn open_group(&mut self) -> Result<Option<Group>, ParquetError> {
        if self.next_group >= self.reader.num_row_groups() {
            return Ok(None);
        }
        let group = self.reader.get_row_group(self.next_group)?;
        self.next_group += 1;
        let optional = |place: Option<usize>| place.map(|p| group.get_column_reader(p)).transpose();
        Ok(Some(Group {
            time: group.get_column_reader(self.columns.time)?,
            value: group.get_column_reader(self.columns.value)?,
            item: optional(self.columns.item)?,
            trigger: optional(self.columns.trigger)?,
        }))
    }

    /// Decodes the next rows; `false` at the end of the file.
    fn fill(&mut self) -> Result<bool, ParquetError> {
        loop {
            if self.group.is_none() {
                self.group = self.open_group()?;
            }
            let Some(group) = &mut self.group else {
                return Ok(false);
            };
            let optional = |reader: &mut Option<ColumnReader>| {
                reader.as_mut().map_or_else(|| Ok(Vec::new()), texts)
            };
            let batch = Batch {
                times: times(&mut group.time, self.columns.time_form)?,
                values: numbers(&mut group.value)?,
                items: optional(&mut group.item)?,
                triggers: optional(&mut group.trigger)?,
                next: 0,
            };
            let rows = batch.times.len();
            let even = |there: bool, len: usize| !there || len == rows;
            if batch.values.len() != rows
                || !even(group.item.is_some(), batch.items.len())
                || !even(group.trigger.is_some(), batch.triggers.len())
            {
                let message = "the columns of a row group are of unequal length";
                return Err(ParquetError::General(message.to_owned()));
            }
            if rows > 0 {
                self.batch = batch;
                return Ok(true);
            }
            self.group = None;
        }
    }
}

/// Puts a text in the place of another; nothing for a null.
fn put(name: &mut String, text: Option<&Option<ByteArray>>, absent: &str) {
    name.clear();
    match text {
        Some(Some(text)) => name.push_str(&String::from_utf8_lossy(text.data())),
        Some(None) => {}
        None => name.push_str(absent),
    }
}

impl Rows for ParquetRows {
    fn file(&self) -> &str {
        &self.file
    }

    fn time_label(&self) -> &str {
        &self.columns.time_label
    }

    fn next(&mut self, name: &mut Name) -> Result<Option<Point>, TraceError> {
        if self.batch.next >= self.batch.times.len()
            && !self.fill().map_err(|e| broken(&self.file, &e))?
        {
            return Ok(None);
        }
        let (i, batch) = (self.batch.next, &mut self.batch);
        batch.next += 1;
        self.row += 1;
        put(&mut name.series, batch.items.get(i), "demand");
        put(&mut name.trigger, batch.triggers.get(i), "");
        let at = match &batch.times[i] {
            Ok(at) => *at,
            Err(found) => {
                let label = &self.columns.time_label;
                return Err(bad_row(&self.file, self.row, label, found, TIME_EXPECTED));
            }
        };
        let value = batch.values[i].unwrap_or(f64::NAN);
        if value.is_infinite() || value < 0.0 {
            let (label, found) = (&self.columns.value_label, value.to_string());
            return Err(bad_row(&self.file, self.row, label, &found, VALUE_EXPECTED));
        }
        let line = self.row;
        Ok(Some(Point { at, value, line }))
    }
}

/// Writes items; a row group at a time is held.
struct ParquetWriter<'a> {
    writer: Option<SerializedFileWriter<Out<'a>>>,
    failed: Option<ParquetError>,
    items: Vec<ByteArray>,
    times: Vec<i64>,
    levels: Vec<i16>,
    counts: Vec<f64>,
    trigger_levels: Vec<i16>,
    triggers: Vec<ByteArray>,
}

fn schema() -> Result<Type, ParquetError> {
    let text = |name: &str, repetition| {
        Type::primitive_type_builder(name, Physical::BYTE_ARRAY)
            .with_repetition(repetition)
            .with_converted_type(ConvertedType::UTF8)
            .with_logical_type(Some(LogicalType::String))
            .build()
    };
    let time = Type::primitive_type_builder("timestamp", Physical::INT64)
        .with_repetition(Repetition::REQUIRED)
        .with_logical_type(Some(LogicalType::timestamp(true, TimeUnit::NANOS)))
        .build()?;
    let count = Type::primitive_type_builder("count", Physical::DOUBLE)
        .with_repetition(Repetition::OPTIONAL)
        .build()?;
    let columns = [
        text("item", Repetition::REQUIRED)?,
        time,
        count,
        text("trigger", Repetition::OPTIONAL)?,
    ];
    Type::group_type_builder("trace")
        .with_fields(columns.map(Arc::new).into())
        .build()
}

impl<'a> ParquetWriter<'a> {
    fn new(out: Out<'a>) -> Self {
        // Times of an even grid differ by the same step: as differences they are next to nothing.
        let time = || ColumnPath::from("timestamp");
        let properties = WriterProperties::builder()
            .set_compression(Compression::SNAPPY)
            .set_created_by("foresail".to_owned())
            .set_column_dictionary_enabled(time(), false)
            .set_column_encoding(time(), Encoding::DELTA_BINARY_PACKED)
            .build();
        let writer = schema()
            .and_then(|s| SerializedFileWriter::new(out, Arc::new(s), Arc::new(properties)));
        let (writer, failed) = match writer {
            Ok(writer) => (Some(writer), None),
            Err(error) => (None, Some(error)),
        };
        Self {
            writer,
            failed,
            items: Vec::new(),
            times: Vec::new(),
            levels: Vec::new(),
            counts: Vec::new(),
            trigger_levels: Vec::new(),
            triggers: Vec::new(),
        }
    }

    fn write_group(&mut self) -> Result<(), ParquetError> {
        if let Some(error) = self.failed.take() {
            return Err(error);
        }
        let Some(writer) = &mut self.writer else {
            return Err(ParquetError::General("the writer is closed".to_owned()));
        };
        let mut group = writer.next_row_group()?;
        write_column::<ByteArrayType, _>(&mut group, &self.items, None)?;
        write_column::<Int64Type, _>(&mut group, &self.times, None)?;
        write_column::<DoubleType, _>(&mut group, &self.counts, Some(&self.levels))?;
        let levels = Some(self.trigger_levels.as_slice());
        write_column::<ByteArrayType, _>(&mut group, &self.triggers, levels)?;
        group.close()?;
        self.items.clear();
        self.times.clear();
        self.counts.clear();
        self.levels.clear();
        self.triggers.clear();
        self.trigger_levels.clear();
        Ok(())
    }
}

fn write_column<D: DataType, W: std::io::Write + Send>(
    group: &mut ::parquet::file::writer::SerializedRowGroupWriter<'_, W>,
    values: &[D::T],
    levels: Option<&[i16]>,
) -> Result<(), ParquetError> {
    let column = group.next_column()?;
    let mut column = column.ok_or_else(|| ParquetError::General("no column".to_owned()))?;
    column.typed::<D>().write_batch(values, levels, None)?;
    column.close()
}

impl ItemWriter for ParquetWriter<'_> {
    fn item(&mut self, item: &TraceItem) -> std::io::Result<()> {
        let (id, trigger) = (ByteArray::from(item.id.as_str()), item.trigger.as_str());
        let trigger = (!trigger.is_empty()).then(|| ByteArray::from(trigger));
        for (i, value) in item.demand.iter().enumerate() {
            self.items.push(id.clone());
            self.times.push(item.demand.time_of(i).nanos());
            self.levels.push(i16::from(value.is_some()));
            self.counts.extend(value);
            self.trigger_levels.push(i16::from(trigger.is_some()));
            self.triggers.extend(trigger.clone());
            if self.items.len() >= GROUP_ROWS {
                self.write_group().map_err(std::io::Error::other)?;
            }
        }
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> std::io::Result<()> {
        let end = |this: &mut Self| {
            if !this.items.is_empty() {
                this.write_group()?;
            }
            match (this.failed.take(), this.writer.take()) {
                (Some(error), _) => Err(error),
                (None, Some(writer)) => writer.close().map(|_| ()),
                (None, None) => Ok(()),
            }
        };
        end(&mut self).map_err(std::io::Error::other)
    }
}
