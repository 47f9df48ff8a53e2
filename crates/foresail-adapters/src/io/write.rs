//! Writers of CSV forms, one item at a time; what they write reads back the same.

use std::io::{self, Write};

use foresail_core::quantity::series::Series;
use foresail_core::quantity::time::{Span, Timestamp};
use foresail_core::quantity::trace::TraceItem;

use super::{CELLS_MAX, ItemWriter, Out};

/// Writes a number as short as it reads back the same; nothing for a gap.
fn cell(value: Option<f64>) -> String {
    value.map_or_else(String::new, |v| v.to_string())
}

fn invalid<T>(message: &str) -> io::Result<T> {
    Err(io::Error::new(io::ErrorKind::InvalidInput, message))
}

/// Writes long CSV: `series,timestamp,count`.
pub(crate) struct LongWriter<'a> {
    writer: csv::Writer<Out<'a>>,
    begun: bool,
    /// Texts of the times of the last grid: most traces have one for all items.
    grid: Option<(Timestamp, Span)>,
    times: Vec<String>,
}

impl<'a> LongWriter<'a> {
    pub(crate) fn new(out: Out<'a>) -> Self {
        Self {
            writer: csv::Writer::from_writer(out),
            begun: false,
            grid: None,
            times: Vec::new(),
        }
    }

    fn begin(&mut self) -> io::Result<()> {
        if !self.begun {
            self.begun = true;
            self.writer.write_record(["series", "timestamp", "count"])?;
        }
        Ok(())
    }

    fn set_grid(&mut self, demand: &Series) {
        /// Times that are kept as text: a month of minutes.
        const TIMES_MAX: usize = 44_640;
        let grid = Some((demand.start(), demand.step()));
        if self.grid != grid {
            self.times.clear();
            self.grid = grid;
        }
        let known = self.times.len()..demand.len().min(TIMES_MAX);
        self.times
            .extend(known.map(|i| demand.time_of(i).to_string()));
    }
}

impl ItemWriter for LongWriter<'_> {
    fn item(&mut self, item: &TraceItem) -> io::Result<()> {
        self.begin()?;
        self.set_grid(&item.demand);
        for (i, value) in item.demand.iter().enumerate() {
            let far = || item.demand.time_of(i).to_string();
            let at = self.times.get(i).cloned().unwrap_or_else(far);
            self.writer
                .write_record([item.id.as_str(), at.as_str(), cell(value).as_str()])?;
        }
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> io::Result<()> {
        self.begin()?;
        self.writer.flush()
    }
}

/// Writes wide CSV: `timestamp` and a column per item; all items must share one grid.
///
/// The first row needs every item: all are held, up to [`CELLS_MAX`] cells.
pub(crate) struct WideWriter<'a> {
    out: Out<'a>,
    items: Vec<(String, Series)>,
}

impl<'a> WideWriter<'a> {
    pub(crate) fn new(out: Out<'a>) -> Self {
        Self {
            out,
            items: Vec::new(),
        }
    }
}

impl ItemWriter for WideWriter<'_> {
    fn item(&mut self, item: &TraceItem) -> io::Result<()> {
        let grid = |demand: &Series| (demand.start(), demand.step(), demand.len());
        if let Some((_, first)) = self.items.first() {
            if grid(first) != grid(&item.demand) {
                return invalid("the items have other times or steps; write csv-long instead");
            }
            if (self.items.len() + 1).saturating_mul(first.len()) > CELLS_MAX {
                return invalid(
                    "a wide table of more than 67108864 cells is not held; write csv-long or parquet instead",
                );
            }
        }
        self.items.push((item.id.clone(), item.demand.clone()));
        Ok(())
    }

    fn finish(self: Box<Self>) -> io::Result<()> {
        let Some((_, first)) = self.items.first() else {
            return Ok(());
        };
        let mut writer = csv::Writer::from_writer(self.out);
        let names = self.items.iter().map(|(id, _)| id.as_str());
        writer.write_record(std::iter::once("timestamp").chain(names))?;
        for i in 0..first.len() {
            let at = first.time_of(i).to_string();
            let cells = self.items.iter().map(|(_, demand)| cell(demand.get(i)));
            writer.write_record(std::iter::once(at).chain(cells))?;
        }
        writer.flush()
    }
}

/// Writes an Azure 2019 day file; every item must have whole counts per minute of one day.
pub(crate) struct AzureWriter<'a> {
    out: Out<'a>,
    grid: Option<(Timestamp, usize)>,
    /// One row, and the text of each small count.
    row: Vec<u8>,
}

impl<'a> AzureWriter<'a> {
    pub(crate) fn new(out: Out<'a>) -> Self {
        Self {
            out,
            grid: None,
            row: Vec::new(),
        }
    }

    fn begin(&mut self, demand: &Series) -> io::Result<()> {
        let minute_of_day = demand.start().seconds_floor().rem_euclid(86_400) / 60;
        let first = usize::try_from(minute_of_day).unwrap_or(0);
        if demand.step() != Span::from_seconds(60) || first + demand.len() > 1440 {
            return invalid("an Azure 2019 file holds minutes of one day; slice one day off first");
        }
        write!(self.out, "HashOwner,HashApp,HashFunction,Trigger")?;
        for minute in first..first + demand.len() {
            write!(self.out, ",{}", minute + 1)?;
        }
        writeln!(self.out)
    }
}

impl ItemWriter for AzureWriter<'_> {
    fn item(&mut self, item: &TraceItem) -> io::Result<()> {
        let demand = &item.demand;
        let grid = (demand.start(), demand.len());
        if *self.grid.get_or_insert(grid) != grid {
            return invalid("the items have other times; slice them to the same day first");
        }
        if self.row.is_empty() {
            self.begin(demand)?;
        }
        self.row.clear();
        let names: Vec<&str> = item.id.split('/').collect();
        match names.as_slice() {
            [owner, app, function] => write!(self.row, "{owner},{app},{function}")?,
            _ => write!(self.row, "owner,app,{}", item.id.replace(',', "_"))?,
        }
        let trigger = if item.trigger.is_empty() {
            "others"
        } else {
            &item.trigger
        };
        write!(self.row, ",{}", trigger.replace(',', "_"))?;
        for value in demand.iter() {
            match value {
                Some(v) if v.fract() != 0.0 || v > 999_999_999_999_999.0 => {
                    return invalid("an Azure 2019 file holds whole counts of up to 15 digits");
                }
                Some(v) => write!(self.row, ",{v}")?,
                None => self.row.push(b','),
            }
        }
        self.row.push(b'\n');
        self.out.write_all(&self.row)
    }

    fn finish(self: Box<Self>) -> io::Result<()> {
        self.out.flush()
    }
}
