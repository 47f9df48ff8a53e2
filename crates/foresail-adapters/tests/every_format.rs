//! What every trace format of the registry owes, whichever it is.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "tests may fail loudly"
)]

use std::cell::Cell;
use std::io::{BufReader, Cursor, Read, Write};
use std::rc::Rc;

use foresail_adapters::io::{Source, TraceError, azure2019, compress, read_items, write};
use foresail_adapters::registry::FORMATS;
use foresail_core::quantity::series::Series;
use foresail_core::quantity::time::Span;
use foresail_core::quantity::trace::TraceItem;

fn items() -> Vec<TraceItem> {
    let item = |name: &str, seed: usize| {
        let value = |i: usize| {
            if (i * seed) % 17 == 3 {
                f64::NAN
            } else {
                ((i * seed) % 91) as f64
            }
        };
        let values = (0..120).map(value).collect();
        let demand = Series::new(azure2019::day_begin(1), Span::from_seconds(60), values);
        let (id, trigger) = (format!("o/a/{name}"), "http".to_owned());
        TraceItem {
            id,
            trigger,
            demand,
            durations: None,
            memory: None,
        }
    };
    vec![item("f", 7), item("g", 11)]
}

fn text(format: &str) -> Vec<u8> {
    let mut out = Vec::new();
    match format {
        "azure2019" => write::azure2019(&mut out, &items()).unwrap(),
        "csv-long" => write::csv_long(&mut out, &items()).unwrap(),
        "csv-wide" => write::csv_wide(&mut out, &items()).unwrap(),
        other => panic!("no writer for {other}: add one here"),
    }
    out
}

fn read(bytes: Vec<u8>, format: Option<&str>) -> Result<Vec<TraceItem>, TraceError> {
    let source = compress::of_bytes("test", Cursor::new(bytes))?;
    read_items(source, format, false)?.collect()
}

#[test]
fn what_is_written_reads_back_the_same_by_its_header_alone() {
    let same = |a: &Series, b: &Series| {
        a.start() == b.start() && a.step() == b.step() && a.iter().eq(b.iter())
    };
    for format in FORMATS {
        let back = read(text(format.name()), None).unwrap();
        assert_eq!(back.len(), 2, "{}", format.name());
        for (a, b) in back.iter().zip(&items()) {
            assert!(same(&a.demand, &b.demand), "{}: {}", format.name(), a.id);
        }
        assert!(!format.summary().is_empty());
    }
}

#[test]
fn a_file_that_is_cut_short_is_told_as_such() {
    for format in FORMATS {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(&text(format.name())).unwrap();
        let whole = encoder.finish().unwrap();
        assert_eq!(
            read(whole.clone(), None).unwrap().len(),
            2,
            "{}",
            format.name()
        );
        let cut = whole[..whole.len() - 9].to_vec();
        let error = read(cut, Some(format.name())).unwrap_err();
        assert!(
            matches!(error, TraceError::CutShort { .. }),
            "{}: {error}",
            format.name()
        );
    }
}

/// Counts what was read of it.
struct Counting<R> {
    inner: R,
    read: Rc<Cell<usize>>,
}

impl<R: Read> Read for Counting<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.read.set(self.read.get() + count);
        Ok(count)
    }
}

/// A day file is handed out row by row: a megabyte is not read for the first item.
#[test]
fn azure_rows_are_not_read_ahead() {
    let header: Vec<String> = (1..=1440).map(|m| m.to_string()).collect();
    let mut bytes = format!(
        "HashOwner,HashApp,HashFunction,Trigger,{}\n",
        header.join(",")
    )
    .into_bytes();
    for i in 0..1000 {
        bytes.extend(format!("o,a,f{i},http,{}\n", vec!["1"; 1440].join(",")).into_bytes());
    }
    let all = bytes.len();
    let read = Rc::new(Cell::new(0));
    let counting = Counting {
        inner: Cursor::new(bytes),
        read: Rc::clone(&read),
    };
    let source = Source::new(
        "test",
        Box::new(BufReader::with_capacity(1 << 16, counting)),
    );
    let mut items = read_items(source, None, false).unwrap();
    items.next().unwrap().unwrap();
    assert!(
        read.get() < 1 << 18 && all > 2 << 20,
        "{} of {all} bytes for one item",
        read.get()
    );
    assert_eq!(items.count(), 999);
}

/// Any bytes at all give items or an error, never a panic.
#[test]
fn fuzz_no_bytes_can_break_a_reader() {
    for format in FORMATS {
        let name = format.name();
        bolero::check!()
            .with_iterations(3000)
            .with_type::<Vec<u8>>()
            .for_each(move |bytes| {
                let mut all = text(name);
                let place = all.len() / 2;
                all.splice(place..place, bytes.iter().copied());
                let _ = read(all, Some(name));
                let _ = read(bytes.clone(), Some(name));
                let _ = read(bytes.clone(), None);
            });
    }
}
