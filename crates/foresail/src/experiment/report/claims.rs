//! What is claimed of the published experiment, and known of its mistakes, against what was measured.
//!
//! Source: alcocuzzi/etp, autoscaler/README.md, config.py, main.py, ollama_predictor.py.

use foresail_core::quantity::units::larger;
use foresail_web::page::study::TextTable;
use foresail_web::page::text::number;

use super::super::Mode;
use super::super::told::Told;
use super::measure::{Measured, differs};
use super::pairs;
use crate::forecast::histories::plural;

/// The most that an adviser may move.
const DELTA_MAX: f64 = 2.0;

/// CPU of a pod at its limit, in millicores.
const LIMIT: f64 = 200.0;

/// What must lie between what is said of hits and of misses.
const SAID_APART: f64 = 0.05;

/// What became of a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    /// Measured as it says.
    Holds,
    /// Measured otherwise.
    Fails,
    /// These runs say too little.
    Unsaid,
}

impl Verdict {
    const fn text(self) -> &'static str {
        match self {
            Self::Holds => "holds",
            Self::Fails => "does not hold",
            Self::Unsaid => "too little is known",
        }
    }

    const fn of(holds: bool) -> Self {
        if holds { Self::Holds } else { Self::Fails }
    }
}

/// The one mistake among the claims: where it holds, the published experiment is the worse for it.
const MISTAKE: &str = "When the adviser fails, nothing scales";

/// One claim with its figure.
#[derive(Clone, Debug)]
pub(super) struct Claim {
    text: &'static str,
    from: &'static str,
    measured: String,
    verdict: Verdict,
}

/// What was measured, and what follows; `None` where nothing was.
pub(super) type Judged = Option<(String, bool)>;

/// Every claim, judged.
pub(super) fn all(runs: &[Measured<'_>]) -> Vec<Claim> {
    type Judge = fn(&[Measured<'_>]) -> Judged;
    let claims: [(&str, &str, Judge); 12] = [
        (
            "hpa_sim_desired is what the HPA would have chosen",
            "README, columns",
            simulator,
        ),
        (
            "55 MiB in each pod make the HPA scale",
            "README, phases A and B",
            memory,
        ),
        (
            "A pod at its limit makes one step of the HPA a doubling and never more",
            "limits of the chart",
            doubling,
        ),
        (
            "Comparison is observation only",
            "README, phase C",
            observation,
        ),
        (
            "The answer is the baseline and at most two replicas",
            "prompt",
            bounded,
        ),
        (
            "The confidence that the adviser states means something",
            "column ai_confidence",
            confidence,
        ),
        (
            "The adviser reacts faster than the HPA",
            "purpose of the experiment",
            pairs::faster,
        ),
        (
            "The adviser keeps the promise better and costs no more",
            "purpose of the experiment",
            pairs::better,
        ),
        (MISTAKE, "ai_scaler deletes the HPA", alone),
        (
            "The answer is there within half an interval",
            "loop that waits for it",
            in_time,
        ),
        (
            "The adviser is shown the whole --history-minutes",
            "README, options",
            history,
        ),
        (
            "Every interval leaves a row",
            "loop that skips rows without metrics",
            rows,
        ),
    ];
    let claim = |(text, from, judge): (&'static str, &'static str, Judge)| {
        let (measured, verdict) = match judge(runs) {
            Some((measured, holds)) if of_adviser(text) && no_model(runs) => {
                let measured = format!("of a rule, no language model: {measured}");
                (measured, Verdict::of(holds))
            }
            Some((measured, holds)) => (measured, Verdict::of(holds)),
            None => ("nothing that tells".to_owned(), Verdict::Unsaid),
        };
        Claim {
            text,
            from,
            measured,
            verdict,
        }
    };
    claims.into_iter().map(claim).collect()
}

/// What became of them, in two sentences: the claims, and the mistake, whose holding is no success.
pub(super) fn headline(all: &[Claim]) -> String {
    let (mistakes, claims): (Vec<&Claim>, Vec<&Claim>) =
        all.iter().partition(|c| c.text == MISTAKE);
    let count = |verdict| claims.iter().filter(|c| c.verdict == verdict).count();
    let mistake = match mistakes.first().map(|c| c.verdict) {
        Some(Verdict::Holds) => "occurs here",
        Some(Verdict::Fails) => "does not occur here",
        Some(Verdict::Unsaid) | None => "cannot be told from these runs",
    };
    format!(
        "Of {} of the published experiment {} here, {} not, and of {} these runs say too little. Its known mistake, that \
         nothing scales when the adviser fails, {mistake}.",
        plural(claims.len(), "claim"),
        third(count(Verdict::Holds), "hold"),
        third(count(Verdict::Fails), "do"),
        count(Verdict::Unsaid)
    )
}

/// A count with a verb.
fn third(count: usize, verb: &str) -> String {
    let ending = match (count, verb) {
        (1, "do") => "es",
        (1, _) => "s",
        _ => "",
    };
    format!("{count} {verb}{ending}")
}

/// `true` where a claim is about what the adviser is worth.
fn of_adviser(text: &str) -> bool {
    ["adviser reacts", "adviser keeps", "adviser states"]
        .iter()
        .any(|part| text.contains(part))
}

/// `true` where it is known that no language model was asked.
fn no_model(runs: &[Measured<'_>]) -> bool {
    let asked = |m: &Measured<'_>| m.run.beside.as_ref().is_some_and(|b| !b.head.is_model);
    runs.iter().all(asked)
}

/// The claims as a table.
pub(super) fn table(all: &[Claim]) -> TextTable {
    let row = |c: &Claim| {
        [c.text, c.from, &c.measured, c.verdict.text()]
            .map(str::to_owned)
            .to_vec()
    };
    TextTable {
        columns: ["claim", "from", "measured", "verdict"]
            .map(str::to_owned)
            .to_vec(),
        rows: all.iter().map(row).collect(),
        prose: true,
    }
}

/// Runs of a mode.
pub(super) fn of_mode<'a, 'b>(
    runs: &'b [Measured<'a>],
    mode: Mode,
) -> impl Iterator<Item = &'b Measured<'a>> {
    runs.iter().filter(move |m| m.run.mode == mode.name())
}

fn count(of: impl Iterator<Item = bool>) -> (usize, usize) {
    of.fold((0, 0), |(yes, all), is| (yes + usize::from(is), all + 1))
}

fn simulator(runs: &[Measured<'_>]) -> Judged {
    let governed = of_mode(runs, Mode::HpaOnly);
    let same = governed.flat_map(|m| -> Vec<bool> {
        if m.run.beside.is_some() {
            let both = m
                .told()
                .filter_map(|t| Some((t.naive?.desired, t.exact?.desired)));
            return both.map(|(naive, exact)| naive == exact).collect();
        }
        let both = m
            .run
            .rows
            .iter()
            .filter_map(|r| Some((r.simulated?, r.hpa?)));
        both.map(|(a, b)| !differs(a, b)).collect()
    });
    let (same, all) = count(same);
    let text = format!("the published simulator gives the HPA's number in {same} of {all} rows");
    (all > 0).then_some((text, same == all))
}

/// Rows in a window of filled memory, with the replicas that were there.
fn in_memory<'a>(m: &Measured<'a>) -> Vec<(&'a Told, f64)> {
    let Some(beside) = &m.run.beside else {
        return Vec::new();
    };
    let windows = beside.head.schedule.stressed().1;
    let within = |t: &Told| {
        let at = (t.at - beside.head.start).seconds();
        windows.iter().any(|(from, to)| (*from..=*to).contains(&at))
    };
    let rows = m.run.rows.iter();
    rows.filter_map(|r| Some((beside.told.get(&r.at)?, r.current)))
        .filter(|(t, _)| within(t))
        .collect()
}

fn memory(runs: &[Measured<'_>]) -> Judged {
    let told: Vec<_> = runs.iter().flat_map(in_memory).collect();
    let most = |of: &dyn Fn(&Told) -> Option<f64>| {
        let all = told.iter().filter_map(|(t, _)| of(t));
        all.fold(None, |most: Option<f64>, v| {
            Some(most.map_or(v, |m| larger(m, v)))
        })
    };
    let exact = most(&|t| t.exact?.memory_ratio)?;
    let naive = most(&|t| t.naive?.memory_ratio)?;
    let scales = |(t, current): &(&Told, f64)| {
        let wanted = t.exact.and_then(|e| e.memory);
        wanted.is_some_and(|n| f64::from(n) > *current)
    };
    let (up, all) = count(told.iter().map(scales));
    let text = format!(
        "memory reaches {} of its target by the HPA and {} by the published simulator; the HPA wants more for it in \
         {up} of {all} rows",
        number(exact, 2),
        number(naive, 2)
    );
    Some((text, up > 0))
}

fn doubling(runs: &[Measured<'_>]) -> Judged {
    let mut most = (0.0, 0.0);
    for m in of_mode(runs, Mode::HpaOnly) {
        for row in &m.run.rows {
            most.0 = larger(most.0, row.cpu.unwrap_or(0.0));
            let step = row.hpa.map_or(0.0, |h| h / larger(row.current, 1.0));
            most.1 = larger(most.1, step);
        }
    }
    let text = format!(
        "at most {} m in a pod, and at most {} times the replicas in one step",
        number(most.0, 0),
        number(most.1, 2)
    );
    (most.0 > 0.0 && most.1 > 1.0).then_some((text, most.0 <= LIMIT && most.1 <= 2.0))
}

fn observation(runs: &[Measured<'_>]) -> Judged {
    let (mut all, mut writes, mut moved) = (0, 0, 0);
    for m in of_mode(runs, Mode::Comparison) {
        all += 1;
        writes += m.end().map_or(0, |e| e.writes);
        moved += m.changes;
    }
    let text = format!(
        "{writes} writes and {moved} changes of the replicas in {}",
        plural(all, "run")
    );
    (all > 0).then_some((text, writes == 0 && moved == 0))
}

fn bounded(runs: &[Measured<'_>]) -> Judged {
    let moved = runs.iter().flat_map(|m| {
        let told = |at| {
            m.run
                .beside
                .as_ref()
                .and_then(|b| b.told.get(at)?.asked.as_ref())
        };
        m.run.rows.iter().filter_map(move |r| {
            let baseline = told(&r.at).map(|a| f64::from(a.baseline)).or(r.raw)?;
            Some((r.advised? - baseline).abs())
        })
    });
    let (most, all) = moved.fold((0.0, 0), |(most, n), d| (larger(most, d), n + 1));
    let cut = runs
        .iter()
        .flat_map(Measured::asked)
        .filter(|a| a.limited)
        .count();
    let text = format!(
        "at most {} away from the baseline in {}; {} outside and cut",
        number(most, 0),
        plural(all, "answer"),
        plural(cut, "answer")
    );
    (all > 0).then_some((text, most <= DELTA_MAX && cut == 0))
}

fn confidence(runs: &[Measured<'_>]) -> Judged {
    let mut sums = super::measure::Hits::default();
    for m in runs {
        for (sum, own) in sums.said.iter_mut().zip(m.hits.said) {
            sum.0 += own.0;
            sum.1 += own.1;
        }
    }
    let (hits, misses) = sums.said_means()?;
    let text = format!(
        "{} is said of {} answers that were right, {} of {} that were not",
        number(hits, 2),
        sums.said[0].1,
        number(misses, 2),
        sums.said[1].1
    );
    Some((text, hits - misses >= SAID_APART))
}

fn alone(runs: &[Measured<'_>]) -> Judged {
    let without = of_mode(runs, Mode::AiScaler).flat_map(|m| {
        // Without metrics nobody can decide; those rows tell nothing.
        let rows = m
            .run
            .rows
            .iter()
            .filter(|r| r.advised.is_none() && r.cpu.is_some());
        rows.map(|r| r.applied_by == "hpa")
    });
    let (governed, all) = count(without);
    let text = format!("the HPA decided in {governed} of {all} intervals without an answer");
    (all > 0).then_some((text, governed == 0))
}

fn in_time(runs: &[Measured<'_>]) -> Judged {
    let known = || {
        runs.iter()
            .flat_map(|m| m.asked().map(move |a| (a, m.interval)))
    };
    let late = |(a, interval): (&super::super::told::Exchange, f64)| {
        a.late || a.latency_ms as f64 > interval * 500.0
    };
    let (late, all) = count(known().map(late));
    let most = known().fold(0.0, |most, (a, _)| {
        larger(most, a.latency_ms as f64 / 1000.0)
    });
    let text = format!(
        "{late} of {all} answers came later; the longest took {} s",
        number(most, 1)
    );
    (all > 0).then_some((text, late == 0))
}

fn history(runs: &[Measured<'_>]) -> Judged {
    let (mut shown, mut asked) = (0, 0);
    for m in runs {
        let Some(beside) = &m.run.beside else {
            continue;
        };
        let rows = m.asked().map(|a| a.rows).max().unwrap_or(0);
        if rows > shown {
            shown = rows;
            asked = (beside.head.history_seconds / m.interval) as usize;
        }
    }
    let text = format!("{shown} rows at most, of {asked} that were asked for");
    (shown > 0 && asked > 0).then_some((text, shown >= asked))
}

fn rows(runs: &[Measured<'_>]) -> Judged {
    let gaps = runs.iter().map(|m| m.gaps).fold(0, usize::saturating_add);
    let rows: usize = runs.iter().map(|m| m.run.rows.len()).sum();
    let bad: usize = runs.iter().map(|m| m.run.unread).sum();
    let text = format!(
        "{} {} missing beside {rows} that are there, {bad} cannot be read",
        plural(gaps, "row"),
        if gaps == 1 { "is" } else { "are" }
    );
    Some((text, gaps == 0 && bad == 0))
}
