//! Who scaled, live and rehearsed side by side: one row for each, means over its runs.

use foresail_core::quantity::units::larger;
use foresail_web::page::study::TextTable;

use super::super::Mode;
use super::super::told::{End, Head};
use super::measure::{Measured, differs};
use super::shown;
use crate::study::report::table;

/// What a reader should know before the arms.
pub(super) const NOTES: [&str; 1] = [
    "Means over whole runs under one schedule. Above the least: replica-minutes above those that no plan with as few broken \
     promises can have, found with full knowledge of the demand and without the busy loops; the oracle has that knowledge, \
     reckons with the loops, and chooses with how many pods it begins; it is flown in the simulator alone. Live, the published HPA \
     simulator governs nobody: its row there is what it would have asked for in the rows of hpa_only, where other pods were there \
     than it would have had. A live run tells of late requests only where somebody counts them.",
];

const COLUMNS: [&str; 12] = [
    "who scales",
    "live runs",
    "live replica-minutes",
    "live late %",
    "live most replicas",
    "live changes",
    "rehearsed runs",
    "rehearsed replica-minutes",
    "rehearsed late %",
    "rehearsed most replicas",
    "rehearsed changes",
    "above the least",
];

/// What one run came to.
#[derive(Clone, Copy, Debug, Default)]
struct Figures {
    replica_minutes: f64,
    late_percent: Option<f64>,
    most: f64,
    changes: f64,
    above: Option<f64>,
}

/// The runs that met what the first of them did.
fn alike<'a, 'b>(runs: &'b [Measured<'a>]) -> Vec<(&'b Measured<'a>, &'a Head)> {
    let known = |m: &'b Measured<'a>| {
        let head = &m.run.beside.as_ref()?.head;
        (m.is_whole() && !head.schedule.load.is_empty()).then_some((m, head))
    };
    let mut all: Vec<_> = runs.iter().filter_map(known).collect();
    let Some((_, first)) = all.first().copied() else {
        return all;
    };
    let world = |h: &'a Head| (&h.schedule, h.bounds, h.targets);
    let same = |a: f64, b: f64| (a - b).abs() < 1e-9;
    all.retain(|&(_, head)| {
        world(head) == world(first)
            && same(head.length_seconds, first.length_seconds)
            && same(head.interval_seconds, first.interval_seconds)
    });
    all
}

/// The table; empty of rows where fewer than two kinds of runs can be put side by side.
pub(super) fn arms(runs: &[Measured<'_>]) -> TextTable {
    let all = alike(runs);
    let mut kinds: Vec<(Mode, u64)> = Vec::new();
    for (_, head) in &all {
        let kind = Mode::named(&head.mode).map(|mode| (mode, head.past_seconds as u64));
        kinds.extend(kind.filter(|k| !kinds.contains(k)));
    }
    kinds.sort_unstable();
    if kinds.len() < 2 {
        kinds.clear();
    }
    let rows = kinds.iter().map(|(mode, past)| {
        let of = |live: bool| -> Vec<Figures> {
            let own = all.iter().filter(|(_, h)| {
                h.live == live && h.mode == mode.name() && h.past_seconds as u64 == *past
            });
            own.map(|(m, _)| figures(m)).collect()
        };
        let governed = all
            .iter()
            .filter(|(_, h)| h.live && h.mode == Mode::HpaOnly.name());
        let live: Vec<Figures> = match mode {
            Mode::NaiveHpa => governed.filter_map(|(m, _)| counted(m)).collect(),
            _ => of(true),
        };
        let past = match past {
            0 => String::new(),
            seconds => format!(", with {} h of past", seconds / 3600),
        };
        let mut cells = vec![format!("{}{past}", mode.name())];
        cells.extend(side(&live));
        let rehearsed = of(false);
        cells.extend(side(&rehearsed));
        cells.push(shown(mean(&rehearsed, |f| f.above), 1));
        cells
    });
    table(&COLUMNS, rows.collect())
}

/// Five cells of one side.
fn side(runs: &[Figures]) -> [String; 5] {
    [
        runs.len().to_string(),
        shown(mean(runs, |f| Some(f.replica_minutes)), 1),
        shown(mean(runs, |f| f.late_percent), 2),
        shown(mean(runs, |f| Some(f.most)), 1),
        shown(mean(runs, |f| Some(f.changes)), 1),
    ]
}

/// The mean where every run has it.
fn mean(runs: &[Figures], of: fn(&Figures) -> Option<f64>) -> Option<f64> {
    let all: Option<Vec<f64>> = runs.iter().map(of).collect();
    let all = all.filter(|a| !a.is_empty())?;
    Some(all.iter().sum::<f64>() / all.len() as f64)
}

fn figures(m: &Measured<'_>) -> Figures {
    let most = m.run.rows.iter().map(|r| r.current);
    Figures {
        replica_minutes: m.replica_minutes,
        late_percent: m.late_percent(),
        most: most.fold(0.0, larger),
        changes: m.changes as f64,
        above: m.end().and_then(End::above_least),
    }
}

/// What the published simulator would have asked for in the rows of a run; `None` where it never could.
fn counted(m: &Measured<'_>) -> Option<Figures> {
    let beside = m.run.beside.as_ref()?;
    let said: Vec<f64> = m
        .run
        .rows
        .iter()
        .filter_map(|r| Some(f64::from(beside.told.get(&r.at)?.naive?.desired)))
        .collect();
    let mean = (!said.is_empty()).then(|| said.iter().sum::<f64>() / said.len() as f64)?;
    Some(Figures {
        replica_minutes: mean * beside.head.length_seconds / 60.0,
        late_percent: None,
        most: said.iter().copied().fold(0.0, larger),
        changes: said.windows(2).filter(|p| differs(p[0], p[1])).count() as f64,
        above: None,
    })
}
