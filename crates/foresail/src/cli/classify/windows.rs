//! Where windows come from: traces, or generated ones of known archetype; a batch at a time.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};
use foresail_adapters::io::shown;
use foresail_core::propose::archetype::Archetype;
use foresail_core::quantity::time::{Span, Timestamp};
use foresail_core::quantity::trace::TraceItem;
use foresail_models::classify::features::Features;
use foresail_models::classify::window::{
    Extracted, Gaps, Placed, Sliding, WindowError, extract_all,
};
use foresail_models::classify::{STRIDE, WINDOW};
use foresail_models::rng::Seed;
use foresail_sim::workload::archetype::{Kind, window};
use foresail_sim::workload::sample::START;
use rayon::prelude::*;

use crate::cli::reading::{Reading, tell};
use crate::cli::{limit_jobs, whole};
use crate::compare::jobs;
use crate::exit::{Code, Coded};

/// Steps of the items that are held at once: two weeks of minutes of fifty functions, whose features
/// are 60 MiB.
const BATCH_STEPS: usize = 1 << 20;

/// Generated windows that are held at once.
const BATCH_WINDOWS: usize = 1 << 13;

/// The most windows that are generated.
const WINDOWS_MAX: usize = 100_000_000;

/// How hard generated windows are to tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Generate {
    /// Strong shapes on plenty of requests.
    Easy,
    /// Weak shapes too, down to two requests a minute.
    Hard,
}

/// What becomes of windows with a step without a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum GapsArg {
    /// The trace is refused.
    Error,
    /// They are left out, and counted.
    LeaveOut,
}

/// Where windows come from.
#[derive(Args, Debug)]
pub(super) struct Windows {
    /// Traces: files (plain, gzip or zstd), or folders of Azure day files
    #[arg(value_name = "TRACE", required_unless_present = "generate")]
    traces: Vec<PathBuf>,
    /// Windows of known archetype instead of traces, the classes in turn
    #[arg(long, value_enum, conflicts_with_all = ["traces", "window", "stride", "min_invocations"])]
    generate: Option<Generate>,
    /// How many are generated
    #[arg(
        long,
        value_name = "N",
        default_value_t = 4000,
        allow_hyphen_values = true,
        conflicts_with = "traces"
    )]
    windows: usize,
    /// The only source of chance
    #[arg(long, default_value_t = 42, value_parser = whole, allow_hyphen_values = true)]
    seed: u64,
    /// Steps of a window
    #[arg(long, value_name = "STEPS", default_value_t = WINDOW, allow_hyphen_values = true)]
    window: usize,
    /// Steps between the begins of two windows
    #[arg(long, value_name = "STEPS", default_value_t = STRIDE, allow_hyphen_values = true)]
    stride: usize,
    /// Leave out items with fewer requests than this
    #[arg(
        long,
        value_name = "N",
        default_value_t = 0,
        allow_hyphen_values = true
    )]
    min_invocations: u64,
    /// What becomes of windows with a step without a value, which is never a zero
    #[arg(long, value_name = "RULE", value_enum, default_value_t = GapsArg::Error)]
    gaps: GapsArg,
    #[command(flatten)]
    reading: Reading,
    /// Threads [default: one per core]
    #[arg(long, value_name = "N", value_parser = jobs, allow_hyphen_values = true)]
    jobs: Option<usize>,
}

/// One item with its windows.
pub(super) struct Item {
    pub(super) id: String,
    start: Timestamp,
    step: Span,
    /// Its archetype where it was made so.
    pub(super) truth: Option<Archetype>,
    pub(super) windows: Vec<Placed>,
}

impl Item {
    /// When a window begins.
    pub(super) fn time_of(&self, window: &Placed) -> Timestamp {
        self.start + Span::from_nanos(self.step.nanos() * window.begin as i64)
    }
}

/// What was met on the way.
#[derive(Default)]
struct Met {
    items: u64,
    windows: u64,
    /// Items with too few requests.
    small: u64,
    /// Windows with a gap.
    gaps: u64,
    /// Steps of the longest item.
    longest: usize,
    /// The first step that is no minute.
    step: Option<Span>,
}

impl Windows {
    /// Whether the truth is known.
    pub(super) fn are_generated(&self) -> bool {
        self.generate.is_some()
    }

    /// The source of chance.
    pub(super) fn seed(&self) -> Seed {
        Seed(self.seed)
    }

    /// Steps of a window.
    pub(super) fn length(&self) -> usize {
        self.window
    }

    /// Hands every item with its windows to `take`, in order, whatever the number of threads.
    ///
    /// # Errors
    /// Where a trace cannot be read or holds what is no count, where there is no window at all, and
    /// what `take` gives.
    pub(super) fn each(&self, take: &mut dyn FnMut(&Item) -> Result<()>) -> Result<()> {
        limit_jobs(self.jobs);
        if let Some(kind) = self.kind() {
            return self.generated(kind, take);
        }
        let sliding = Sliding::new(self.window, self.stride).context("--window and --stride")?;
        let mut met = Met::default();
        for trace in &self.traces {
            self.read(trace, sliding, &mut met, take)?;
        }
        self.told(&met)
    }

    fn kind(&self) -> Option<Kind> {
        self.generate.map(|kind| match kind {
            Generate::Easy => Kind::Easy,
            Generate::Hard => Kind::Hard,
        })
    }

    fn generated(&self, kind: Kind, take: &mut dyn FnMut(&Item) -> Result<()>) -> Result<()> {
        if !(1..=WINDOWS_MAX).contains(&self.windows) {
            bail!("--windows {}: must be 1 to {WINDOWS_MAX}", self.windows);
        }
        let classes = Archetype::CLASSES;
        let item = |i: usize| {
            let (archetype, index) = (classes[i % classes.len()], i / classes.len());
            let counts = window(kind, archetype, index, Seed(self.seed));
            let placed = Placed {
                index: 0,
                begin: 0,
                features: Features::of(&counts),
                requests: counts.iter().sum(),
            };
            Item {
                id: format!("{}-{index:05}", archetype.name().to_lowercase()),
                start: START,
                step: Span::from_seconds(60),
                truth: Some(archetype),
                windows: vec![placed],
            }
        };
        for begin in (0..self.windows).step_by(BATCH_WINDOWS) {
            let batch = begin..self.windows.min(begin + BATCH_WINDOWS);
            let items: Vec<Item> = batch.into_par_iter().map(item).collect();
            items.iter().try_for_each(&mut *take)?;
        }
        Ok(())
    }

    fn read(
        &self,
        trace: &Path,
        sliding: Sliding,
        met: &mut Met,
        take: &mut dyn FnMut(&Item) -> Result<()>,
    ) -> Result<()> {
        let mut items = self.reading.open(trace)?;
        let (mut batch, mut steps) = (Vec::new(), 0);
        for item in items.by_ref() {
            let item = item?;
            if item.total() < self.min_invocations as f64 {
                met.small += 1;
                continue;
            }
            met.see(&item);
            steps += item.demand.len();
            batch.push(item);
            if steps >= BATCH_STEPS {
                self.cut(trace, &batch, sliding, met, take)?;
                batch.clear();
                steps = 0;
            }
        }
        self.cut(trace, &batch, sliding, met, take)?;
        self.reading.check_order(items.as_ref(), trace)?;
        tell(items.as_ref());
        Ok(())
    }

    /// Cuts a batch on every thread and hands it on in its order.
    fn cut(
        &self,
        trace: &Path,
        batch: &[TraceItem],
        sliding: Sliding,
        met: &mut Met,
        take: &mut dyn FnMut(&Item) -> Result<()>,
    ) -> Result<()> {
        let gaps = match self.gaps {
            GapsArg::Error => Gaps::Refuse,
            GapsArg::LeaveOut => Gaps::LeaveOut,
        };
        for (item, extracted) in batch.iter().zip(extract_all(batch, sliding, gaps)) {
            let Extracted { windows, left_out } =
                extracted.map_err(|error| cannot_cut(trace, item, &error))?;
            met.items += 1;
            met.windows += windows.len() as u64;
            met.gaps += left_out as u64;
            take(&Item {
                id: item.id.clone(),
                start: item.demand.start(),
                step: item.demand.step(),
                truth: None,
                windows,
            })?;
        }
        Ok(())
    }

    /// Says on stderr what was left out.
    ///
    /// # Errors
    /// Where nothing is left.
    fn told(&self, met: &Met) -> Result<()> {
        let Self { window, .. } = self;
        for (count, what) in [
            (
                met.small,
                "items were left out: they have fewer requests than --min-invocations",
            ),
            (
                met.gaps,
                "windows were left out: a step of theirs has no value",
            ),
        ] {
            if count > 0 {
                eprintln!("note: {count} {what}");
            }
        }
        if let Some(step) = met.step {
            eprintln!(
                "note: steps are {step} long; what is told per minute is told per step, and the rules' thresholds are for minutes"
            );
        }
        if met.windows > 0 {
            return Ok(());
        }
        let message = match met.items {
            0 => "no item is left to cut windows from".to_owned(),
            _ => format!(
                "no window without a gap: the longest item has {} steps, a window needs {window} (--window)",
                met.longest
            ),
        };
        Err(Coded {
            code: Code::TooLittleData,
            message,
        }
        .into())
    }
}

/// Names the file, the item and the time of a step without a count.
fn cannot_cut(trace: &Path, item: &TraceItem, error: &WindowError) -> anyhow::Error {
    let (file, id) = (trace.display(), shown(&item.id, 200));
    let time = error.step().map(|step| item.demand.time_of(step));
    let at = time.map_or_else(String::new, |time| format!(" at {time}"));
    let mend = match error {
        WindowError::Gap { .. } => " (--gaps leave-out)",
        _ => "",
    };
    anyhow::anyhow!("{file}: {id}{at}: {error}{mend}")
}

impl Met {
    fn see(&mut self, item: &TraceItem) {
        self.longest = self.longest.max(item.demand.len());
        let step = item.demand.step();
        if step != Span::from_seconds(60) && self.step.is_none() {
            self.step = Some(step);
        }
    }
}
