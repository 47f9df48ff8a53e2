//! What every trace format of the registry owes, whichever it is.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "tests may fail loudly"
)]

use std::cell::Cell;
use std::io::{BufReader, Cursor, Read};
use std::path::Path;
use std::rc::Rc;

use foresail_adapters::io::{
    ReadOptions, Source, TraceError, TraceFormat, azure2019, compress, read_items,
};
use foresail_adapters::registry::{FORMATS, format_names, written_formats};
use foresail_core::quantity::series::Series;
use foresail_core::quantity::time::{Span, Timestamp};
use foresail_core::quantity::trace::TraceItem;

fn item(id: &str, start: Timestamp, step: i64, values: Vec<f64>) -> TraceItem {
    TraceItem {
        id: id.to_owned(),
        trigger: String::new(),
        demand: Series::new(start, Span::from_seconds(step), values),
        durations: None,
        memory: None,
    }
}

/// Two items of two hours with gaps.
fn minutes() -> Vec<TraceItem> {
    let one = |name: &str, seed: usize| {
        let value = |i: usize| {
            if (i * seed) % 17 == 3 {
                f64::NAN
            } else {
                ((i * seed) % 91) as f64
            }
        };
        let values = (0..120).map(value).collect();
        let mut item = item(&format!("o/a/{name}"), azure2019::day_begin(1), 60, values);
        "http".clone_into(&mut item.trigger);
        item
    };
    vec![one("f", 7), one("g", 11)]
}

/// The items through the form's own writer.
fn through(format: &dyn TraceFormat, items: &[TraceItem]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut writer = format.writer(&mut out).unwrap();
    items.iter().for_each(|i| writer.item(i).unwrap());
    writer.finish().unwrap();
    out
}

/// A file of each form that is only read, and what must come out of it.
fn only_read(format: &str) -> (String, Vec<TraceItem>) {
    let at = |text: &str| text.parse::<Timestamp>().unwrap();
    let rows = |row: &dyn Fn(usize) -> String| (0..50).map(row).collect::<String>();
    let whole = |n: usize| -> Vec<f64> { (0..n).map(|i| (i * 7 % 31) as f64).collect() };
    let clock = |i: usize| format!("2014-02-14 {:02}:{:02}:00", i / 12, i % 12 * 5);
    let begin = at("2014-02-14T00:00:00Z");
    match format {
        "azure2019-percentiles" => {
            let text = rows(&|i| format!("o,a,f{i},{i},9,1,{i}\n"));
            let head = "HashOwner,HashApp,HashFunction,Average,Count,percentile_Average_0,percentile_Average_100\n";
            let one = |i: usize| {
                let mut item = item(&format!("o/a/f{i}"), azure2019::day_begin(1), 60, vec![]);
                item.durations = Some(foresail_core::quantity::trace::Percentiles {
                    average: i as f64,
                    count: 9.0,
                    points: vec![(0.0, 1.0), (100.0, i as f64)],
                });
                item
            };
            (format!("{head}{text}"), (0..50).map(one).collect())
        }
        "azure2021" => {
            let text = rows(&|i| format!("a,f,{},1.5\n", i * 30 + 2));
            let mut item = item("a/f", at("2021-01-31T00:00:00Z"), 60, vec![2.0; 25]);
            let points = [0.0, 1.0, 25.0, 50.0, 75.0, 99.0, 100.0].map(|p| (p, 1500.0));
            item.durations = Some(foresail_core::quantity::trace::Percentiles {
                average: 1500.0,
                count: 50.0,
                points: points.into(),
            });
            (
                format!("app,func,end_timestamp,duration\n{text}"),
                vec![item],
            )
        }
        "azure-llm" => {
            let text = rows(&|i| format!("2023-11-16 18:{i:02}:59.9799600,100,{i}\r\n"));
            let head = "TIMESTAMP,ContextTokens,GeneratedTokens\r\n";
            let item = item("requests", at("2023-11-16T18:00:00Z"), 60, vec![1.0; 50]);
            (format!("{head}{text}"), vec![item])
        }
        "nab" => {
            let text = rows(&|i| format!("{},{}\n", clock(i), i * 7 % 31));
            let item = item("demand", begin, 300, whole(50));
            (format!("timestamp,value\n{text}"), vec![item])
        }
        "mscloud" => {
            let text = rows(&|i| format!("\"{}\",{},0\n", clock(i), i * 7 % 31));
            let item = item("demand", begin, 300, whole(50));
            (format!("TimeStamp,Value,Label\n{text}"), vec![item])
        }
        "prophet" => {
            let text = rows(&|i| format!("2014-{:02}-{:02},{}\n", i / 28 + 1, i % 28 + 1, i));
            let values = (0..50)
                .map(|i| if i < 28 { i } else { i + 1 })
                .map(f64::from);
            let mut days: Vec<f64> = values.collect();
            days.iter_mut().skip(28).for_each(|v| *v -= 1.0);
            days.splice(28..28, [f64::NAN; 3]);
            let item = item("demand", at("2014-01-01T00:00:00Z"), 86_400, days);
            (format!("ds,y\n{text}"), vec![item])
        }
        "m4" => {
            let row = |id: &str, n: usize| {
                let cells: Vec<String> = whole(n).iter().map(f64::to_string).collect();
                format!("{id},{}\n", cells.join(","))
            };
            let items =
                [("H1", 70), ("H2", 96)].map(|(id, n)| item(id, Timestamp::EPOCH, 3600, whole(n)));
            (row("H1", 70) + &row("H2", 96), items.into())
        }
        "numbers" => {
            let text = rows(&|i| format!("{}\n", i * 7 % 31));
            (text, vec![item("demand", Timestamp::EPOCH, 1, whole(50))])
        }
        other => panic!("no file of {other}: add one here"),
    }
}

/// A file of a form, and the items that it holds.
fn file(format: &dyn TraceFormat) -> (Vec<u8>, Vec<TraceItem>) {
    if !written_formats().contains(&format.name()) {
        let (text, items) = only_read(format.name());
        return (text.into_bytes(), items);
    }
    let mut items = minutes();
    let bytes = through(format, &items);
    if format.name().starts_with("csv") {
        // The two CSV forms have no place for a trigger.
        items.iter_mut().for_each(|i| i.trigger.clear());
    }
    (bytes, items)
}

fn read(bytes: Vec<u8>, format: Option<&str>) -> Result<Vec<TraceItem>, TraceError> {
    let source = compress::of_bytes("test", Cursor::new(bytes))?;
    read_items(source, format, &ReadOptions::default())?.collect()
}

/// Equal in everything; gaps are NaN inside and equal nothing, so that they are compared as such.
fn assert_same(got: &[TraceItem], want: &[TraceItem], what: &str) {
    assert_eq!(got.len(), want.len(), "{what}");
    for (a, b) in got.iter().zip(want) {
        let grid = |i: &TraceItem| (i.demand.start(), i.demand.step(), i.demand.len());
        assert_eq!((&a.id, &a.trigger), (&b.id, &b.trigger), "{what}");
        assert_eq!(grid(a), grid(b), "{what}: {}", a.id);
        assert!(a.demand.iter().eq(b.demand.iter()), "{what}: {}", a.id);
        assert_eq!(
            (&a.durations, &a.memory),
            (&b.durations, &b.memory),
            "{what}"
        );
    }
}

#[test]
fn what_is_written_reads_back_the_same_by_its_begin_alone() {
    for format in FORMATS {
        let (bytes, items) = file(format);
        assert_same(&read(bytes, None).unwrap(), &items, format.name());
        assert!(!format.summary().is_empty());
    }
    assert_eq!(
        written_formats(),
        ["parquet", "azure2019", "csv-long", "csv-wide"]
    );
}

#[test]
fn names_are_one_each() {
    let mut names = format_names();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), FORMATS.len());
}

#[test]
fn a_file_that_is_cut_short_is_told_as_such() {
    for format in FORMATS {
        let name = format.name();
        let (bytes, items) = file(format);
        for packing in ["t.gz", "t.zst"] {
            let mut whole = Vec::new();
            compress::write_as(Path::new(packing), &mut whole, |w| w.write_all(&bytes)).unwrap();
            let back = read(whole.clone(), None).unwrap();
            assert_same(&back, &items, &format!("{name} in {packing}"));
            let cut = whole[..whole.len() - 9].to_vec();
            let error = read(cut, Some(name)).unwrap_err();
            let cut_short = matches!(error, TraceError::CutShort { .. });
            assert!(cut_short, "{name} in {packing}: {error}");
        }
    }
}

#[test]
fn a_parquet_file_that_is_cut_anywhere_is_told_as_such() {
    let format = FORMATS.iter().find(|f| f.name() == "parquet").unwrap();
    let (bytes, _) = file(*format);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cut.parquet");
    for keep in [5, bytes.len() / 2, bytes.len() - 1] {
        std::fs::write(&path, &bytes[..keep]).unwrap();
        let source = compress::open(&path).unwrap();
        let error = read_items(source, None, &ReadOptions::default())
            .map(|_| ())
            .unwrap_err();
        assert!(
            matches!(error, TraceError::CutShort { .. }),
            "{keep}: {error}"
        );
    }
}

#[test]
fn an_empty_file_is_told_as_such_by_every_form() {
    for format in FORMATS {
        let error = read(Vec::new(), Some(format.name())).unwrap_err();
        assert!(
            matches!(error, TraceError::Empty { .. }),
            "{}",
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
    let mut items = read_items(source, None, &ReadOptions::default()).unwrap();
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
        let whole = file(format).0;
        bolero::check!()
            .with_iterations(3000)
            .with_type::<Vec<u8>>()
            .for_each(move |bytes| {
                let mut all = whole.clone();
                let place = all.len() / 2;
                all.splice(place..place, bytes.iter().copied());
                let _ = read(all, Some(name));
                let _ = read(bytes.clone(), Some(name));
                let _ = read(bytes.clone(), None);
            });
    }
}
