//! The store on this machine's disk: what a commit takes, what opening takes per GiB, and what one
//! object takes in a week.
//!
//! Prints one JSON line for each. The clock races, so that the pause between two commits, which
//! spares the disk, is not measured.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a benchmark measures time and prints what it measured"
)]

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use foresail_adapters::clock::Clock;
use foresail_adapters::store::{Batch, DiskFile, Kind, Limits, Store};
use foresail_core::quantity::time::Timestamp;

/// Commits whose times are measured.
const COMMITS: usize = 1000;

/// Snapshots that fill the file that is opened, and their size before they are packed; the bytes are
/// noise, which does not pack.
const SNAPSHOTS: u64 = 2000;
const SNAPSHOT_BYTES: usize = 64 << 10;

/// Objects whose week is written.
const OBJECTS: u64 = 100;
const MINUTES: i64 = 7 * 24 * 60;

/// A clock on which every look is a second later.
#[derive(Debug, Default)]
struct Racing(AtomicU64);

impl Clock for Racing {
    fn mono(&self) -> Duration {
        Duration::from_secs(self.0.fetch_add(1, Ordering::Relaxed))
    }

    fn wall(&self) -> Timestamp {
        Timestamp::EPOCH
    }
}

fn open(path: &Path) -> Store {
    let clock = Arc::new(Racing::default());
    Store::open(DiskFile::new(path), Limits::default(), clock)
        .unwrap()
        .0
}

/// SplitMix64.
fn roll(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

fn noise(state: &mut u64, bytes: usize) -> Vec<u8> {
    (0..bytes).map(|_| roll(state) as u8).collect()
}

fn commits(folder: &Path) {
    let store = open(&folder.join("commits"));
    let mut state = 1;
    let mut millis: Vec<f64> = (0..COMMITS)
        .map(|n| {
            let mut batch = Batch::new();
            batch.input(&format!("object-{}", n % 50), &noise(&mut state, 512));
            let begun = Instant::now();
            store.commit(&batch).unwrap();
            begun.elapsed().as_secs_f64() * 1e3
        })
        .collect();
    store.close().unwrap();
    millis.sort_by(f64::total_cmp);
    println!(
        "{{\"bench\":\"store commit\",\"p50_ms\":{:.1},\"p99_ms\":{:.1},\"max_ms\":{:.1}}}",
        millis[COMMITS / 2],
        millis[COMMITS * 99 / 100],
        millis[COMMITS - 1]
    );
}

fn opening(folder: &Path) {
    let path = folder.join("opening");
    let store = open(&path);
    let mut state = 2;
    for from in (0..SNAPSHOTS).step_by(100) {
        let mut batch = Batch::new();
        for n in from..from + 100 {
            batch.snapshot(&format!("object-{n}"), &noise(&mut state, SNAPSHOT_BYTES));
        }
        store.commit(&batch).unwrap();
    }
    store.close().unwrap();
    let gib = std::fs::metadata(&path).unwrap().len() as f64 / f64::from(1 << 30);
    let begun = Instant::now();
    let store = open(&path);
    let seconds = begun.elapsed().as_secs_f64();
    store.close().unwrap();
    println!(
        "{{\"bench\":\"store open\",\"mib\":{:.0},\"seconds\":{seconds:.3},\"seconds_per_gib\":{:.2}}}",
        gib * 1024.0,
        seconds / gib
    );
}

/// Demand with a day's shape, counted per minute, as it comes from a counter's rate.
fn week(folder: &Path) {
    let path = folder.join("week");
    let store = open(&path);
    let mut state = 3;
    for from in (0..MINUTES).step_by(60) {
        let mut batch = Batch::new();
        for object in 0..OBJECTS {
            for minute in from..from + 60 {
                let day = (minute as f64 / 1440.0 * std::f64::consts::TAU).sin();
                let count = (30_000.0 * (1.2 + day)) as u64 + roll(&mut state) % 800;
                let at = Timestamp::from_seconds(minute * 60);
                batch.demand(&format!("object-{object}"), at, count as f64 / 60.0);
            }
        }
        store.commit(&batch).unwrap();
    }
    let now = Timestamp::from_seconds(MINUTES * 60);
    let kept = store.compact(now).unwrap().kept_bytes;
    let begun = Instant::now();
    let rows = store
        .rows("object-7", Kind::Demand, Timestamp::EPOCH, now)
        .unwrap();
    let read_ms = begun.elapsed().as_secs_f64() * 1e3;
    assert_eq!(rows.len() as i64, MINUTES);
    store.close().unwrap();
    let file = std::fs::metadata(&path).unwrap().len();
    println!(
        "{{\"bench\":\"store week of demand\",\"bytes_per_object\":{},\"file_bytes_per_object\":{},\"read_ms\":{read_ms:.1}}}",
        kept / OBJECTS,
        file / OBJECTS
    );
}

fn main() {
    // `cargo test --benches` runs this once: it must not take long then.
    if std::env::args().any(|a| a == "--test") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    commits(folder.path());
    opening(folder.path());
    week(folder.path());
}
