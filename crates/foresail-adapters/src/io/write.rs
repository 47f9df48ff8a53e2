//! Writers of the trace formats; what they write reads back the same.

use std::io::{self, Write};

use foresail_core::quantity::trace::TraceItem;

/// Writes a number as short as it reads back the same; nothing for a gap.
fn cell(value: Option<f64>) -> String {
    value.map_or_else(String::new, |v| v.to_string())
}

/// Writes long CSV: `series,timestamp,count`.
///
/// # Errors
/// What the writer gives.
pub fn csv_long(out: &mut dyn Write, items: &[TraceItem]) -> io::Result<()> {
    let mut writer = csv::Writer::from_writer(out);
    writer.write_record(["series", "timestamp", "count"])?;
    for item in items {
        for (i, value) in item.demand.iter().enumerate() {
            let at = item.demand.time_of(i).to_string();
            writer.write_record([item.id.as_str(), at.as_str(), cell(value).as_str()])?;
        }
    }
    writer.flush()
}

/// Writes wide CSV: `timestamp` and a column per item; all items must share one grid.
///
/// # Errors
/// [`io::ErrorKind::InvalidInput`] where they do not, else what the writer gives.
pub fn csv_wide(out: &mut dyn Write, items: &[TraceItem]) -> io::Result<()> {
    let Some(first) = items.first() else {
        return Ok(());
    };
    let grid = |item: &TraceItem| (item.demand.start(), item.demand.step(), item.demand.len());
    if items.iter().any(|item| grid(item) != grid(first)) {
        let message = "the items have other times or steps; write csv-long instead";
        return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
    }
    let mut writer = csv::Writer::from_writer(out);
    writer.write_record(std::iter::once("timestamp").chain(items.iter().map(|i| i.id.as_str())))?;
    for i in 0..first.demand.len() {
        let at = first.demand.time_of(i).to_string();
        let cells = items.iter().map(|item| cell(item.demand.get(i)));
        writer.write_record(std::iter::once(at).chain(cells))?;
    }
    writer.flush()
}

/// Writes an Azure 2019 day file; every item must have whole counts per minute of one day.
///
/// # Errors
/// [`io::ErrorKind::InvalidInput`] where one has not, else what the writer gives.
pub fn azure2019(out: &mut dyn Write, items: &[TraceItem]) -> io::Result<()> {
    let invalid = |message: &str| Err(io::Error::new(io::ErrorKind::InvalidInput, message));
    let Some(first) = items.first() else {
        return Ok(());
    };
    let minute_of_day = first.demand.start().seconds_floor().rem_euclid(86_400) / 60;
    let count = first.demand.len();
    if first.demand.step().whole_seconds() != 60 || minute_of_day as usize + count > 1440 {
        return invalid("an Azure 2019 file holds minutes of one day; slice one day off first");
    }
    write!(out, "HashOwner,HashApp,HashFunction,Trigger")?;
    for i in 0..count {
        write!(out, ",{}", minute_of_day as usize + i + 1)?;
    }
    writeln!(out)?;
    for item in items {
        if item.demand.len() != count || item.demand.start() != first.demand.start() {
            return invalid("the items have other times; slice them to the same day first");
        }
        let names: Vec<&str> = item.id.split('/').collect();
        let named = match names.as_slice() {
            [owner, app, function] => format!("{owner},{app},{function}"),
            _ => format!("owner,app,{}", item.id.replace(',', "_")),
        };
        let trigger = if item.trigger.is_empty() {
            "others"
        } else {
            &item.trigger
        };
        write!(out, "{named},{}", trigger.replace(',', "_"))?;
        for value in item.demand.iter() {
            match value {
                Some(v) if v.fract() != 0.0 => {
                    return invalid("an Azure 2019 file holds whole counts");
                }
                other => write!(out, ",{}", cell(other))?,
            }
        }
        writeln!(out)?;
    }
    Ok(())
}
