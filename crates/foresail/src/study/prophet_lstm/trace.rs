//! The study's trace: made anew each time, or read from a file; written to `data/run.csv`.

use std::fmt::Write as _;
use std::fs;

use std::path::Path;

use anyhow::{Context, Result, bail};
use foresail_adapters::atomic::write_file;
use foresail_adapters::io::{ReadOptions, busiest};
use foresail_core::quantity::time::{Span, Timestamp};
use foresail_sim::workload::published::{self, Shape};

use crate::compare::trace::open;
use crate::forecast::histories::held;

/// The first line of `data/run.csv`, as published.
const HEAD: &str = "timestamp,req_per_min,hour,dayofweek,is_event";

/// Minutes that a trace must have: two days to fit to and a day to test on.
const MINUTES_MIN: usize = 3 * 1440;

/// Demand of every minute, with the events that are known.
#[derive(Clone, Debug)]
pub(super) struct Trace {
    /// What it is, for reports.
    pub(super) summary: String,
    /// Begin of the first minute.
    pub(super) start: Timestamp,
    /// Requests per minute.
    pub(super) demand: Vec<f64>,
    /// Whether each minute is an event; none of a real trace is.
    pub(super) events: Vec<bool>,
    /// The first minute of the test.
    pub(super) split: usize,
    /// Whether it is the published one to the bit.
    pub(super) published: bool,
}

impl Trace {
    /// A published shape with a seed.
    #[must_use]
    pub(super) fn made(shape: &Shape, seed: u64) -> Self {
        let made = shape.trace(seed);
        Self {
            summary: format!("published generator, scenario {}, seed {seed}", shape.name),
            start: published::START,
            split: made.demand.len() / 2,
            demand: made.demand,
            events: made.events,
            published: *shape == published::SHAPES[0] && seed == published::SEED,
        }
    }

    /// The busiest item of a trace in any format; the second half of its minutes is the test.
    ///
    /// A gap holds the minute before; how many there were is told.
    ///
    /// # Errors
    /// Where the file cannot be read, has other steps than minutes, or is too short.
    pub(super) fn read(path: &Path) -> Result<Self> {
        let mut items = open(path, None, &ReadOptions::default())?;
        let (mut found, _) = busiest(items.as_mut(), 1)?;
        let name = path.display();
        let item = found
            .pop()
            .with_context(|| format!("{name} holds no demand"))?;
        let series = item.demand;
        if series.step() != Span::from_seconds(60) {
            let seconds = series.step().seconds();
            bail!(
                "{name} has steps of {seconds} s: the study runs on minutes; convert the trace first"
            );
        }
        let demand = held(&series);
        if demand.len() < MINUTES_MIN {
            let minutes = demand.len();
            bail!(
                "{name} has {minutes} minutes: {MINUTES_MIN} are needed, so that a model has two days to learn from"
            );
        }
        if series.gaps() > 0 {
            eprintln!(
                "note: {} minutes without a value hold the one before",
                series.gaps()
            );
        }
        let file = path
            .file_name()
            .map_or_else(String::new, |f| f.to_string_lossy().into_owned());
        Ok(Self {
            summary: format!("{} of {file}", item.id),
            start: series.start(),
            split: demand.len() / 2,
            events: vec![false; demand.len()],
            demand,
            published: false,
        })
    }

    /// Keeps two days to fit to and a day to test on.
    pub(super) fn shorten(&mut self) {
        let (from, to) = (self.split - 2 * 1440, self.split + 1440);
        self.start = self.time_of(from);
        self.demand = self.demand[from..to].to_vec();
        self.events = self.events[from..to].to_vec();
        self.split = 2 * 1440;
        self.published = false;
        self.summary.push_str(", two days and one");
    }

    /// Begin of a minute.
    #[must_use]
    pub(super) fn time_of(&self, minute: usize) -> Timestamp {
        let minutes = i64::try_from(minute).unwrap_or(0);
        self.start + Span::from_seconds(60 * minutes)
    }

    /// Demand of the test.
    #[must_use]
    pub(super) fn test(&self) -> &[f64] {
        &self.demand[self.split..]
    }

    /// The text of `data/run.csv`: the published columns, every digit.
    #[must_use]
    pub(super) fn csv(&self) -> String {
        let mut text = String::from(HEAD);
        for (minute, demand) in self.demand.iter().enumerate() {
            let time = self.time_of(minute);
            let seconds = time.seconds_floor();
            let hour = seconds.rem_euclid(86_400) / 3600;
            // 1970-01-01 was a Thursday; Monday is 0.
            let day = (seconds.div_euclid(86_400) + 3).rem_euclid(7);
            let event = u8::from(self.events[minute]);
            let shown = stamp(time);
            // Writing to a string cannot fail.
            let _ = write!(text, "\n{shown},{demand},{hour},{day},{event}");
        }
        text.push('\n');
        text
    }

    /// Writes `data/run.csv` below a folder, never using one that is there.
    ///
    /// A file of this command with other content is replaced, and that is said; any other file is
    /// left alone.
    ///
    /// # Errors
    /// Where the place holds something else or cannot be written.
    pub(super) fn write(&self, folder: &Path) -> Result<()> {
        let path = folder.join("data/run.csv");
        let name = path.display();
        let text = self.csv();
        if path.exists() {
            let there = fs::read(&path).with_context(|| format!("cannot read {name}"))?;
            if there == text.as_bytes() {
                return Ok(());
            }
            if !there.starts_with(HEAD.as_bytes()) {
                bail!(
                    "{name} is no trace of this study: give another folder with --out, or move it away"
                );
            }
            eprintln!("note: {name} held another trace of this study and is replaced");
        }
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)
                .with_context(|| format!("cannot make {}", parent.display()))?;
        }
        Ok(write_file(&path, |w| w.write_all(text.as_bytes()))?)
    }
}

/// A time as pandas writes it.
#[must_use]
pub(super) fn stamp(time: Timestamp) -> String {
    let text = time.to_string();
    text.trim_end_matches('Z').replacen('T', " ", 1)
}
