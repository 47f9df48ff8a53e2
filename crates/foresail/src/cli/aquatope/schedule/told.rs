//! What a schedule tells: each change of a pool with what it was sized by, and what all came to.

use std::io::Write;

use anyhow::Result;
use foresail_core::admit::Decision;
use foresail_core::engine::{Engine, Input, Tick};
use foresail_core::explain::{Explanation, Identity};
use foresail_core::propose::plan::Setting;
use foresail_core::propose::{Absence, Basis, PeakAhead};
use foresail_core::quantity::time::Timestamp;
use foresail_core::quantity::units::Replicas;
use foresail_models::forecast::quantile::normal_quantile;
use foresail_sim::function::driver::KeepListener;
use foresail_sim::function::{Function, FunctionMeasures};
use serde_json::{Value, json};

use crate::cli::{Output, print_table};
use crate::forecast::histories::plural;

/// Changes that are kept; later ones are counted.
const CHANGES_MAX: usize = 1_000_000;

/// Changes that are told to people; a program gets all that are kept.
const ROWS_TOLD: usize = 40;

/// The quantile that sizes a pool.
#[derive(Clone, Copy, Debug)]
pub(super) struct Level {
    share: f64,
    /// Standard deviations above the mean.
    z: f64,
}

impl Level {
    /// Of a share of 0.5 or more and below 1.
    pub(super) fn new(share: f64) -> Self {
        let z = normal_quantile(share);
        Self { share, z }
    }

    /// In percent, without what binary fractions add at the end.
    pub(super) fn percent(self) -> f64 {
        (self.share * 1e6).round() / 1e4
    }

    /// The deviation by which the quantile lies above the mean; absent where it is the mean itself.
    fn deviation(self, ahead: &PeakAhead) -> Option<f64> {
        (self.z > 1e-9).then(|| (ahead.high - ahead.middle) / self.z)
    }
}

/// One setting that was changed.
#[derive(Debug)]
struct Change {
    at: Timestamp,
    function: usize,
    busy: u32,
    /// The most that were busy at once in the last minute.
    peak: Option<f64>,
    ahead: Result<PeakAhead, Absence>,
    before: Setting,
    after: Setting,
    limits: Vec<String>,
    why: String,
}

/// Keeps what is changed.
#[derive(Debug)]
pub(super) struct Changes {
    names: Vec<String>,
    level: Level,
    identity: Identity,
    /// Containers that are busy, by function.
    busy: Vec<u32>,
    peaks: Vec<Option<f64>>,
    kept: Vec<Change>,
    lost: u64,
}

impl Changes {
    pub(super) fn new(functions: &[Function], level: Level) -> Self {
        Self::of(functions.iter().map(|f| f.id.clone()).collect(), level)
    }

    /// Of functions by their names.
    pub(super) fn of(names: Vec<String>, level: Level) -> Self {
        let count = names.len();
        Self {
            names,
            level,
            identity: Identity {
                uid: "schedule".to_owned(),
                generation: 1,
                epoch: 1,
            },
            busy: vec![0; count],
            peaks: vec![None; count],
            kept: Vec::new(),
            lost: 0,
        }
    }

    /// Takes out what was changed since: place, the change for programs, and what it was sized by.
    pub(super) fn drain(&mut self) -> Vec<(usize, Value, String)> {
        let kept = std::mem::take(&mut self.kept);
        let told = |change: &Change| {
            let why = std::iter::once(change.why.clone()).chain(change.limits.iter().cloned());
            let why: Vec<String> = why.collect();
            (change.function, change.json(self), why.join("; "))
        };
        kept.iter().map(told).collect()
    }
}

impl KeepListener for Changes {
    fn input(&mut self, input: &Input) {
        let Input::Samples(samples) = input else {
            return;
        };
        for (busy, state) in self.busy.iter_mut().zip(&samples.targets) {
            *busy = state.busy.map_or(0, Replicas::get);
        }
        // One a function, in their order, or none at all; of several minutes the last.
        let before = samples.values.len().saturating_sub(self.peaks.len());
        let mut values = samples.values.iter().skip(before);
        for peak in &mut self.peaks {
            *peak = values.next().and_then(|s| s.value);
        }
    }

    fn changed(&mut self, tick: &Tick, place: usize, decision: &Decision, engine: &Engine) {
        if self.kept.len() >= CHANGES_MAX {
            self.lost += 1;
            return;
        }
        let basis = tick.judged.first().map(|j| &j.proposal.basis);
        let ahead = match basis {
            Some(Basis::Peaks(peaks)) => match peaks.targets.get(place) {
                Some((_, ahead)) => *ahead,
                None => Err(Absence::NoMetric),
            },
            Some(Basis::Absent(why)) => Err(*why),
            _ => Err(Absence::NoHistory),
        };
        let told = Explanation::new(tick, place, engine.spec(), &self.identity, Some(decision));
        let limits = told.iter().flat_map(|e| &e.limits);
        let limit = |l: &foresail_core::guard::Limit| {
            format!("{} {} {}→{}: {}", l.by, l.axis, l.from, l.to, l.why)
        };
        self.kept.push(Change {
            at: tick.at,
            function: place,
            busy: self.busy[place],
            peak: self.peaks[place],
            ahead,
            before: decision.current.clone(),
            after: decision.setting.clone(),
            limits: limits.map(limit).collect(),
            why: match ahead {
                Ok(_) => format!("p{} of the next peak", self.level.percent()),
                Err(why) => format!("{why}: the keep-alive alone holds"),
            },
        });
    }
}

/// What one policy came to.
#[derive(Debug)]
pub(super) struct Flown {
    policy: String,
    measured: FunctionMeasures,
}

impl Flown {
    pub(super) fn new(policy: &str, measured: FunctionMeasures) -> Self {
        Self {
            policy: policy.to_owned(),
            measured,
        }
    }

    fn json(&self) -> Value {
        let m = &self.measured;
        json!({
            "policy": self.policy, "calls": m.requests.arrived, "coldStarts": m.cold_starts(),
            "coldPercent": m.cold_percent(), "warmMemoryGbSeconds": m.warm_memory_time(),
            "memoryGbSeconds": m.memory_time(), "memoryMostBytes": m.memory_most(),
            "pooled": m.pooled(),
        })
    }
}

fn pool(setting: &Setting) -> u32 {
    setting.pool.map_or(0, Replicas::get)
}

impl Change {
    fn json(&self, changes: &Changes) -> Value {
        let ahead = self.ahead.as_ref().ok();
        let keep = |s: &Setting| s.keep_alive.map(|k| k.seconds());
        json!({
            "time": self.at.to_string(), "function": changes.names[self.function],
            "busy": self.busy, "peak": self.peak,
            "mean": ahead.map(|a| a.middle), "low": ahead.map(|a| a.low),
            "deviation": ahead.and_then(|a| changes.level.deviation(a)),
            "level": changes.level.share, "quantile": ahead.map(|a| a.high),
            "pool": {"before": pool(&self.before), "after": pool(&self.after)},
            "keepAliveSeconds": keep(&self.after),
            "limits": self.limits, "why": self.why,
        })
    }

    fn row(&self, changes: &Changes) -> Vec<String> {
        let text = |number: Option<f64>| number.map_or("-".to_owned(), |n| format!("{n:.2}"));
        let ahead = self.ahead.as_ref().ok();
        let why = std::iter::once(self.why.clone()).chain(self.limits.iter().cloned());
        vec![
            self.at.to_string(),
            changes.names[self.function].clone(),
            self.busy.to_string(),
            text(ahead.map(|a| a.middle)),
            text(ahead.and_then(|a| changes.level.deviation(a))),
            text(ahead.map(|a| a.high)),
            format!("{} → {}", pool(&self.before), pool(&self.after)),
            why.collect::<Vec<_>>().join("; "),
        ]
    }
}

/// Prints the changes, then what every policy came to; `budget` is that of the pools, in bytes.
///
/// # Errors
/// Where it cannot be written.
pub(super) fn print(
    changes: &Changes,
    flown: &[Flown],
    budget: Option<u64>,
    output: Output,
    out: &mut dyn Write,
) -> Result<()> {
    if changes.lost > 0 {
        eprintln!(
            "note: {} changes after the first {CHANGES_MAX} are not told",
            changes.lost
        );
    }
    if output == Output::Json {
        for change in &changes.kept {
            writeln!(out, "{}", change.json(changes))?;
        }
        let all: Vec<Value> = flown.iter().map(Flown::json).collect();
        let end = json!({"v": 1, "comparison": all, "memoryBudgetBytes": budget});
        writeln!(out, "{end}")?;
        return Ok(());
    }
    table(changes, flown, out)
}

fn table(changes: &Changes, flown: &[Flown], out: &mut dyn Write) -> Result<()> {
    let quantile = format!("p{}", changes.level.percent());
    let columns = [
        "time",
        "function",
        "busy",
        "mean",
        "deviation",
        &quantile,
        "pool",
        "why",
    ];
    let (all, least) = (
        changes.kept.len(),
        changes.kept.len().saturating_sub(ROWS_TOLD),
    );
    let rows = changes.kept[least..].iter().map(|c| c.row(changes));
    print_table(&columns, rows.collect(), out)?;
    writeln!(
        out,
        "{} in all, in containers{}\n",
        plural(all, "change"),
        if least > 0 {
            format!("; the last {ROWS_TOLD} are told, --output json tells every one")
        } else {
            String::new()
        }
    )?;
    let columns = [
        "policy",
        "calls",
        "cold starts",
        "cold %",
        "warm memory GB·s",
        "most memory GB",
        "pooled",
    ];
    let row = |f: &Flown| {
        let m = &f.measured;
        vec![
            f.policy.clone(),
            m.requests.arrived.to_string(),
            m.cold_starts().to_string(),
            format!("{:.3}", m.cold_percent()),
            format!("{:.1}", m.warm_memory_time()),
            format!("{:.3}", m.memory_most() as f64 / 1e9),
            m.pooled().to_string(),
        ]
    };
    print_table(&columns, flown.iter().map(row).collect(), out)
}
