//! Reading an Azure-shaped day file against a bare sum over the same bytes, in one run.
//!
//! Prints one JSON line with megabytes per CPU second of both, their ratio, and the peak of resident
//! memory where the system tells it.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a benchmark measures time and prints what it measured"
)]

use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::Path;
use std::time::Instant;

use foresail_adapters::io::{ReadOptions, compress, read_items};

const ROWS: u64 = 30_000;

/// CPU seconds of this thread so far.
fn cpu() -> Option<f64> {
    let text = std::fs::read_to_string("/proc/self/schedstat").ok()?;
    text.split(' ')
        .next()?
        .parse::<f64>()
        .ok()
        .map(|nanos| nanos / 1e9)
}

fn timed<T>(work: impl FnOnce() -> T) -> (f64, T) {
    let (wall, before) = (Instant::now(), cpu());
    let result = work();
    std::thread::yield_now();
    let seconds = match (before, cpu()) {
        (Some(a), Some(b)) if b > a => b - a,
        _ => wall.elapsed().as_secs_f64(),
    };
    (seconds, result)
}

/// Mostly zeros, as the original is; some rows busy. Seeded by a plain linear generator.
fn write_day(path: &Path) -> u64 {
    let mut out = BufWriter::new(File::create(path).unwrap());
    let header: Vec<String> = (1..=1440).map(|m| m.to_string()).collect();
    writeln!(
        out,
        "HashOwner,HashApp,HashFunction,Trigger,{}",
        header.join(",")
    )
    .unwrap();
    let mut state = 42_u64;
    for row in 0..ROWS {
        write!(out, "owner{row:060},app{row:060},function{row:060},http").unwrap();
        for _ in 0..1440 {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            let value = if state >> 60 == 0 {
                (state >> 40) % 2000
            } else {
                (state >> 62) / 3
            };
            write!(out, ",{value}").unwrap();
        }
        writeln!(out).unwrap();
    }
    out.flush().unwrap();
    std::fs::metadata(path).unwrap().len()
}

fn peak_mib() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|l| l.starts_with("VmHWM"))?;
    line.split_whitespace()
        .nth(1)?
        .parse::<f64>()
        .ok()
        .map(|kib| kib / 1024.0)
}

fn main() {
    // `cargo test --benches` runs this once: it must not take long then.
    if std::env::args().any(|a| a == "--test") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("day.csv");
    let megabytes = write_day(&path) as f64 / 1e6;
    let read = || {
        let items = read_items(
            compress::open(&path).unwrap(),
            None,
            &ReadOptions::default(),
        )
        .unwrap();
        items.map(|i| i.unwrap().total()).sum::<f64>()
    };
    let bare = || {
        let mut reader = BufReader::with_capacity(1 << 16, File::open(&path).unwrap());
        let (mut line, mut commas) = (Vec::new(), 0_u64);
        while reader.read_until(b'\n', &mut line).unwrap() > 0 {
            commas += line.iter().filter(|b| **b == b',').count() as u64;
            line.clear();
        }
        commas
    };
    let mut times: Vec<f64> = (0..3).map(|_| timed(read).0).collect();
    times.sort_by(f64::total_cmp);
    let (seconds, peak) = (times[1], peak_mib().unwrap_or(f64::NAN));
    let (bare_seconds, _) = timed(bare);
    println!(
        "{{\"bench\":\"trace_read azure2019\",\"mb\":{megabytes:.0},\"mb_per_cpu_s\":{:.0},\"bare_scan_mb_per_cpu_s\":{:.0},\
         \"ratio\":{:.3},\"peak_mib\":{peak:.0}}}",
        megabytes / seconds,
        megabytes / bare_seconds,
        bare_seconds / seconds
    );
}
