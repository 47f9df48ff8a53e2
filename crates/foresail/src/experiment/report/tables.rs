//! The report's tables but that of the claims.

use std::collections::BTreeMap;

use foresail_web::page::study::TextTable;

use super::super::Mode;
use super::super::asked::described;
use super::super::read::Run;
use super::measure::{Measured, differs};
use super::shown;
use crate::study::report::{percent, table};

/// What a reader should know before the runs.
pub(super) const RUNS_NOTES: [&str; 1] = [
    "Replica-minutes are what was paid for, from creation to end, where a rehearsal tells it; of other files, and of runs \
     that were cut or interrupted, they are counted from the rows, as changes always are; of live runs they are those that were \
     asked for, and writes are this program's own. CPU is held against what a whole \
     pod requests, in files of others against what their column says. Requests that broke the promise are known of \
     rehearsals and of live runs whose load was this program's own, minutes in which it was not kept of rehearsals alone; the \
     published columns have no requests. A gap is a row that should be there.",
];

/// What a reader should know before the claims.
pub(super) const CLAIMS_NOTES: [&str; 1] = [
    "Holds, and does not: by what these runs measured, with the figure. A rehearsal says how the loop behaves on \
     simulated pods; what a language model is worth is said only by runs in which one was asked.",
];

/// What a reader should know before the reactions.
pub(super) const REACTIONS_NOTES: [&str; 1] = [
    "From the begin of the busy loops to the first row with more replicas, and to the first with the most that they bring; \
     as exact as the interval of the rows.",
];

/// What a reader should know before the costs.
pub(super) const ANSWERS_NOTES: [&str; 1] =
    ["Tokens where the endpoint tells them. An answer later than half an interval is let go."];

/// What a reader should know before the worth.
pub(super) const WORTH_NOTES: [&str; 1] = [
    "An answer is judged by what the HPA's formula asks for five minutes later: a change is right where it lies nearer to \
     that than the baseline did, no change where the baseline stayed. Agreement: the recommendation is the HPA's number.",
];

/// What a reader should know before the guards.
pub(super) const GUARDS_NOTES: [&str; 1] = [
    "Every time a guard moved what was wanted, in all turns of the loop; in brackets those that moved the adviser's number.",
];

/// How often each guard stepped in, and how often it moved the adviser's number.
type Counts = BTreeMap<String, (usize, usize)>;

/// Tokens of prompts and of answers.
type Tokens = (Option<u64>, Option<u64>);

/// Whose answers the runs hold, in a sentence.
pub(super) fn advisers(runs: &[Run]) -> String {
    let asks = |r: &&Run| Mode::named(&r.mode).is_none_or(Mode::asks);
    let mut all: Vec<String> = runs
        .iter()
        .filter(asks)
        .map(|r| match &r.beside {
            Some(beside) => described(&beside.head.adviser, beside.head.is_model),
            None => "somebody that the files do not name".to_owned(),
        })
        .collect();
    all.sort();
    all.dedup();
    match all.is_empty() {
        true => "Asked: nobody.".to_owned(),
        false => format!("Asked: {}.", all.join("; ")),
    }
}

fn whole(n: usize) -> String {
    n.to_string()
}

fn begin(m: &Measured<'_>) -> Vec<String> {
    vec![m.run.name.clone(), m.run.mode.clone(), m.seed()]
}

fn with(begin: Vec<String>, rest: impl IntoIterator<Item = String>) -> Vec<String> {
    begin.into_iter().chain(rest).collect()
}

/// What each run cost and kept.
pub(super) fn runs(all: &[Measured<'_>]) -> TextTable {
    let row = |m: &Measured<'_>| {
        let most = m
            .run
            .rows
            .iter()
            .map(|r| r.current)
            .fold(0.0, |a: f64, b| if b > a { b } else { a });
        let late = m.late_percent();
        let end = m.end();
        with(
            begin(m),
            [
                whole(m.run.rows.len()),
                whole(m.gaps),
                shown(Some(m.replica_minutes), 1),
                whole(m.changes),
                shown(Some(most), 0),
                shown(Some(m.above_minutes), 1),
                late.map_or_else(|| "–".to_owned(), |l| percent(l, 2)),
                shown(end.and_then(|e| Some(e.late_minutes? as f64)), 0),
                end.map_or_else(|| "–".to_owned(), |e| e.writes.to_string()),
            ],
        )
    };
    let columns = [
        "run",
        "mode",
        "seed",
        "rows",
        "gaps",
        "replica-minutes",
        "changes",
        "most replicas",
        "minutes above CPU target",
        "late",
        "late minutes",
        "writes",
    ];
    table(&columns, all.iter().map(row).collect())
}

/// How fast each run was.
pub(super) fn reactions(all: &[Measured<'_>]) -> TextTable {
    let rows = all.iter().flat_map(|m| {
        m.reactions.iter().map(|r| {
            let rest = [shown(Some(r.at), 0), shown(r.first, 0), shown(r.enough, 0)];
            with(begin(m), rest)
        })
    });
    let columns = [
        "run",
        "mode",
        "seed",
        "stress at s",
        "first scale-up after s",
        "the most after s",
    ];
    table(&columns, rows.collect())
}

/// What the answers cost.
pub(super) fn answers(all: &[Measured<'_>]) -> TextTable {
    let row = |m: &Measured<'_>| {
        let asked: Vec<_> = m.asked().collect();
        let late = asked.iter().filter(|a| a.late).count();
        let failed = asked
            .iter()
            .filter(|a| a.failure.is_some() && !a.late)
            .count();
        let sum = |of: fn(&Tokens) -> Option<u64>| {
            let known: Vec<u64> = asked.iter().filter_map(|a| of(&a.tokens)).collect();
            (!known.is_empty()).then(|| known.iter().map(|n| *n as f64).sum())
        };
        let seconds: f64 = asked.iter().map(|a| a.latency_ms as f64 / 1000.0).sum();
        let mean = (!asked.is_empty()).then(|| seconds / asked.len() as f64);
        let flagged = asked
            .iter()
            .filter(|a| a.limited || a.schema_ignored)
            .count();
        with(
            begin(m),
            [
                whole(asked.len()),
                whole(asked.len() - late - failed),
                whole(late),
                whole(failed),
                whole(flagged),
                shown(sum(|t| t.0), 0),
                shown(sum(|t| t.1), 0),
                shown(Some(seconds), 1),
                shown(mean, 2),
            ],
        )
    };
    let columns = [
        "run",
        "mode",
        "seed",
        "asked",
        "in time",
        "late",
        "failed",
        "out of range or form",
        "prompt tokens",
        "answer tokens",
        "seconds",
        "mean s",
    ];
    let asks = |m: &&Measured<'_>| Mode::named(&m.run.mode).is_none_or(Mode::asks);
    let known = all.iter().filter(|m| m.run.beside.is_some());
    table(&columns, known.filter(asks).map(row).collect())
}

/// What the answers were worth.
pub(super) fn worth(all: &[Measured<'_>]) -> TextTable {
    let row = |m: &Measured<'_>| {
        let both = m
            .run
            .rows
            .iter()
            .filter_map(|r| Some((r.advised?, r.hpa.or(r.simulated)?)));
        let (all, same) = both.fold((0, 0), |(all, same), (a, h)| {
            (all + 1, same + usize::from(!differs(a, h)))
        });
        let share = |(n, of): (usize, usize)| {
            if of == 0 {
                "–".to_owned()
            } else {
                format!("{n} of {of}")
            }
        };
        let said = m.hits.said_means();
        with(
            begin(m),
            [
                share((same, all)),
                share((m.hits.changes.1, m.hits.changes.0)),
                share((m.hits.steady.1, m.hits.steady.0)),
                shown(said.map(|s| s.0), 2),
                shown(said.map(|s| s.1), 2),
            ],
        )
    };
    let columns = [
        "run",
        "mode",
        "seed",
        "agrees with the HPA",
        "changes that were right",
        "no change that was right",
        "says of hits",
        "says of misses",
    ];
    let asks = |m: &&Measured<'_>| Mode::named(&m.run.mode).is_none_or(Mode::asks);
    table(&columns, all.iter().filter(asks).map(row).collect())
}

/// How often guards stepped in.
pub(super) fn guards(all: &[Measured<'_>]) -> TextTable {
    let mut names: Vec<String> = Vec::new();
    let counted: Vec<(Vec<String>, Counts)> = all
        .iter()
        .filter(|m| m.run.beside.is_some())
        .map(|m| {
            let mut counts: Counts = BTreeMap::new();
            for guard in m.told().flat_map(|t| &t.guards) {
                let slot = counts.entry(guard.by.clone()).or_default();
                slot.0 += 1;
                slot.1 += usize::from(guard.of_adviser);
            }
            names.extend(counts.keys().cloned());
            (begin(m), counts)
        })
        .collect();
    names.sort();
    names.dedup();
    let row = |(begin, counts): (Vec<String>, Counts)| {
        let cell = |name: &String| match counts.get(name) {
            None => "0".to_owned(),
            Some((all, 0)) => all.to_string(),
            Some((all, own)) => format!("{all} ({own})"),
        };
        with(begin, names.iter().map(cell))
    };
    let columns = ["run", "mode", "seed"]
        .into_iter()
        .chain(names.iter().map(String::as_str));
    let columns: Vec<&str> = columns.collect();
    table(&columns, counted.into_iter().map(row).collect())
}
