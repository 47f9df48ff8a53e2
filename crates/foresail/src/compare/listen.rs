//! What is kept of a run's decisions: rows for the table, texts for the hover, inputs for a record.

use foresail_adapters::results::{Column, Table};
use foresail_core::act::Outcome;
use foresail_core::admit::Decision;
use foresail_core::engine::{Engine, Tick};
use foresail_core::explain::row::{COLUMNS, Cell, Kind, Measured, Usage};
use foresail_core::explain::{BasisTold, Explanation, Identity};
use foresail_core::propose::archetype::Archetype;
use foresail_core::quantity::time::Timestamp;
use foresail_sim::driver::{Listener, Story};
use foresail_sim::function::driver::KeepListener;

/// The most rows that are kept of one policy over many functions: the first ones.
pub(super) const KEPT_ROWS_MAX: usize = 100_000;

/// Keeps a row of every tick that changed anything, and one a minute.
#[derive(Clone, Debug)]
pub(super) struct Rows {
    policy: String,
    identity: Identity,
    columns: Vec<Column>,
    /// Texts of changes: time, size of the change, explanation.
    pub(super) told: Vec<(Timestamp, u32, String)>,
    /// Archetype and its probability in percent, from each time on; empty where none is ever told.
    pub(super) archetypes: Vec<(Timestamp, Option<Archetype>, u8)>,
}

impl Rows {
    pub(super) fn new(policy: &str, item: &str) -> Self {
        let column = |kind: Kind| match kind {
            Kind::Text => Column::Text(Vec::new()),
            Kind::Int => Column::Int(Vec::new()),
            Kind::Real => Column::Real(Vec::new()),
        };
        let uid: String = item
            .rsplit('/')
            .next()
            .unwrap_or(item)
            .chars()
            .take(12)
            .collect();
        Self {
            policy: policy.to_owned(),
            identity: Identity {
                uid: format!("{policy}-{uid}"),
                generation: 1,
                epoch: 1,
            },
            columns: COLUMNS.iter().map(|(_, kind, _)| column(*kind)).collect(),
            told: Vec::new(),
            archetypes: Vec::new(),
        }
    }

    fn push(&mut self, cells: Vec<Cell>) {
        for (column, cell) in self.columns.iter_mut().zip(cells) {
            match (column, cell) {
                (Column::Text(column), Cell::Text(value)) => column.push(value),
                (Column::Int(column), Cell::Int(value)) => column.push(value),
                (Column::Real(column), Cell::Real(value)) => column.push(value),
                (column, cell) => debug_assert!(false, "{cell:?} is not of the kind of {column:?}"),
            }
        }
    }

    fn remember_archetype(&mut self, explanation: &Explanation) {
        let confidence = explanation.proposals.iter().find_map(|p| match p.basis {
            BasisTold::Archetype {
                confidence_percent, ..
            } => Some(confidence_percent),
            _ => None,
        });
        let (archetype, confidence) = (explanation.archetype, confidence.unwrap_or(0));
        let last = self.archetypes.last().map(|(_, a, c)| (*a, *c));
        let same = last.map_or(archetype.is_none(), |l| l == (archetype, confidence));
        if !same {
            self.archetypes
                .push((explanation.at, archetype, confidence));
        }
    }

    /// All rows of several runs as one table, the policy in front.
    pub(super) fn table(runs: Vec<Self>) -> Table {
        let mut policies = Vec::new();
        let mut columns: Vec<Column> = Vec::new();
        for run in runs {
            policies.extend((0..run.columns[0].len()).map(|_| Some(run.policy.clone())));
            if columns.is_empty() {
                columns = run.columns;
                continue;
            }
            for (all, more) in columns.iter_mut().zip(run.columns) {
                match (all, more) {
                    (Column::Text(all), Column::Text(more)) => all.extend(more),
                    (Column::Int(all), Column::Int(more)) => all.extend(more),
                    (Column::Real(all), Column::Real(more)) => all.extend(more),
                    (all, more) => debug_assert!(false, "{more:?} is not of the kind of {all:?}"),
                }
            }
        }
        let names = COLUMNS.iter().map(|(name, ..)| (*name).to_owned());
        let first = ("policy".to_owned(), Column::Text(policies));
        Table {
            columns: std::iter::once(first).chain(names.zip(columns)).collect(),
        }
    }
}

impl Listener for Rows {
    fn told(&mut self, story: &Story<'_>) {
        if !story.noteworthy {
            return;
        }
        let Some(explanation) = story.explanation(&self.identity) else {
            return;
        };
        let row = explanation.row(story.usage(), story.measured());
        self.remember_archetype(&explanation);
        if story.outcome.is_some() {
            let replicas = |axis: &foresail_core::explain::Told| {
                axis.get("replicas").map_or(0, |q| q.replicas().get())
            };
            let size = replicas(&explanation.current).abs_diff(replicas(&explanation.decided));
            self.told
                .push((story.tick.at, size, explanation.to_string()));
        }
        self.push(row);
    }
}

impl KeepListener for Rows {
    fn changed(&mut self, tick: &Tick, place: usize, decision: &Decision, engine: &Engine) {
        if self.columns[0].len() >= KEPT_ROWS_MAX {
            return;
        }
        let spec = engine.spec();
        let told = Explanation::new(tick, place, spec, &self.identity, Some(decision));
        if let Some(explanation) = told {
            let explanation = explanation.with_outcome(Some(Outcome::Applied));
            self.push(explanation.row(Usage::default(), Measured::default()));
        }
    }
}
