//! Runs of the HPA beside runs of the adviser that met the same, and the claims that compare them.

use foresail_core::quantity::time::Timestamp;
use foresail_web::page::text::number;

use super::super::Mode;
use super::super::told::Head;
use super::claims::{Judged, of_mode};
use super::measure::{Measured, Reaction};
use super::shown;

/// Whole runs of the HPA and of the adviser that differ in who governs alone.
fn pairs<'a, 'b>(runs: &'b [Measured<'a>]) -> Vec<(&'b Measured<'a>, &'b Measured<'a>)> {
    let pair = |ai| {
        let fits = |hpa: &&Measured<'_>| alike(hpa, ai);
        of_mode(runs, Mode::HpaOnly).find(fits).map(|hpa| (hpa, ai))
    };
    of_mode(runs, Mode::AiScaler).filter_map(pair).collect()
}

/// `true` where two runs met the same: seed, schedule, length, interval, bounds, targets, promise.
fn alike(a: &Measured<'_>, b: &Measured<'_>) -> bool {
    let world = |m: &Measured<'_>| {
        let beside = m.run.beside.as_ref().filter(|_| m.is_whole())?;
        // Of a live run beside which nobody knows what came, nothing can be said to be the same.
        if beside.head.live && beside.head.schedule.load.is_empty() {
            return None;
        }
        // Who governs, and whom it asks, is what the two are compared by.
        Some(Head {
            record: String::new(),
            mode: String::new(),
            adviser: String::new(),
            is_model: false,
            naive: false,
            gated: false,
            workload: (String::new(), String::new()),
            // Of a rehearsal it follows from the seed; live phases come one after another.
            start: Timestamp::EPOCH,
            history_seconds: 0.0,
            latency_seconds: None,
            ..beside.head.clone()
        })
    };
    world(a).is_some_and(|a| world(b) == Some(a))
}

/// `true` where runs of the HPA and of the adviser are there and none of them can be compared.
pub(super) fn unpaired(runs: &[Measured<'_>]) -> bool {
    let any = |mode| of_mode(runs, mode).next().is_some();
    any(Mode::HpaOnly) && any(Mode::AiScaler) && pairs(runs).is_empty()
}

fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

/// Whether the adviser scales up sooner than the HPA.
pub(super) fn faster(runs: &[Measured<'_>]) -> Judged {
    let times = |of: fn(&Reaction) -> Option<f64>| {
        let (mut hpa, mut ai) = (Vec::new(), Vec::new());
        for (a, b) in pairs(runs) {
            for (a, b) in a.reactions.iter().zip(&b.reactions) {
                if let (Some(a), Some(b)) = (of(a), of(b)) {
                    hpa.push(a);
                    ai.push(b);
                }
            }
        }
        (mean(&hpa), mean(&ai), hpa.len())
    };
    let all: usize = pairs(runs).iter().map(|(hpa, _)| hpa.reactions.len()).sum();
    let (first, enough) = (times(|r| r.first), times(|r| r.enough));
    let text = format!(
        "first scale-up after {} s, the HPA after {} s; the most replicas after {} s, the HPA after {} s; \
         {} of {all} pairs tell, in the others one had its most before",
        shown(first.1, 0),
        shown(first.0, 0),
        shown(enough.1, 0),
        shown(enough.0, 0),
        first.2
    );
    let both = [first.0.zip(first.1)?, enough.0.zip(enough.1)?];
    let never_later = both.iter().all(|(hpa, ai)| ai <= hpa);
    Some((text, never_later && both.iter().any(|(hpa, ai)| ai < hpa)))
}

/// Whether the adviser keeps the promise better and costs no more.
pub(super) fn better(runs: &[Measured<'_>]) -> Judged {
    let of = |value: fn(&Measured<'_>) -> Option<f64>| {
        let both = pairs(runs);
        let both: Vec<(f64, f64)> = both
            .iter()
            .filter_map(|(a, b)| Some((value(a)?, value(b)?)))
            .collect();
        let column = |f: fn(&(f64, f64)) -> f64| mean(&both.iter().map(f).collect::<Vec<_>>());
        Some((column(|p| p.0)?, column(|p| p.1)?))
    };
    let late = of(|m| m.late_percent())?;
    let cost = of(|m| Some(m.end()?.replica_minutes))?;
    let text = format!(
        "{} % late at {} replica-minutes, the HPA {} % at {}",
        number(late.1, 2),
        number(cost.1, 1),
        number(late.0, 2),
        number(cost.0, 1)
    );
    Some((text, late.1 < late.0 && cost.1 <= cost.0))
}
