//! The pictures of the study, all from measured runs.

use foresail_core::propose::archetype::Archetype;
use foresail_core::value::rei::Weights;
use foresail_web::figure::Figure;
use foresail_web::read_model::Tradeoff;
use foresail_web::study::{ForecastLines, Panel, forecast, panels};
use foresail_web::tradeoff::scatter;

use super::analysis::{Group, Setting};
use super::doubt::AtConfidence;
use super::learn::Classification;
use super::simulate::{Figures, ORACLE, POLICIES};

/// Cost against violations, the plain HPA's settings as the line.
fn tradeoff(group: &Group<'_>) -> Figure {
    let name = group.name().to_lowercase();
    let point = |policy: &str| {
        let of = |f: fn(&Figures) -> f64| group.mean(policy, f);
        (
            policy.to_owned(),
            of(|f| f.replica_minutes),
            of(Figures::violations_percent),
        )
    };
    let points: Vec<_> = POLICIES.into_iter().chain([ORACLE]).map(point).collect();
    let mut line = not_dominated(group.settings());
    line.sort_by(|a, b| a.replica_minutes.total_cmp(&b.replica_minutes));
    let text = |s: &Setting| {
        let name = format!("{} %, {} s", s.target_percent, s.down_window_seconds);
        (name, s.replica_minutes, s.violations_percent)
    };
    scatter(
        &points,
        &Tradeoff {
            name: format!("figure-cost-{name}"),
            title: format!("Cost against violations: {}", group.name()),
            caption: format!(
                "{}: each point is a policy; the line joins the best settings of the plain HPA, means over the same functions. What lies below the line is worth its trouble.",
                if group.archetype.is_some() {
                    group.name()
                } else {
                    "The whole mix"
                }
            ),
            x: (String::new(), "replica-minutes of a function".to_owned()),
            y: (
                String::new(),
                "requests that broke the promise, %".to_owned(),
            ),
            line: line.iter().map(text).collect(),
        },
    )
}

/// Settings than which no other is as cheap with as few violations.
fn not_dominated(settings: Vec<Setting>) -> Vec<Setting> {
    let dominated = |s: &Setting| {
        settings.iter().any(|o| {
            o != s
                && o.replica_minutes <= s.replica_minutes
                && o.violations_percent <= s.violations_percent
        })
    };
    settings.iter().filter(|s| !dominated(s)).copied().collect()
}

/// The index of every policy, archetype by archetype.
fn index(groups: &[Group<'_>]) -> Figure {
    let of = |f: &Figures| f.rei.index(Weights::default());
    let panel = |group: &Group<'_>| Panel {
        title: group.name().to_owned(),
        digits: 2,
        bars: POLICIES.map(|p| (p.to_owned(), group.mean(p, of))).to_vec(),
    };
    panels(
        (
            "figure-rei",
            "Resource Efficiency Index",
            "The Resource Efficiency Index by archetype; more is better, one definition for every bar.",
        ),
        &groups.iter().map(panel).collect::<Vec<_>>(),
    )
}

/// Features by gain.
fn importance(classification: &Classification) -> Figure {
    let gains = &classification.shipped.importance;
    let whole: f64 = gains.iter().map(|(_, g)| g).sum();
    let bars = gains.iter().take(15);
    let bars = bars.map(|(name, gain)| ((*name).to_owned(), gain * 100.0 / whole));
    panels(
        (
            "figure-importance",
            "Features by gain",
            "Share of the gain of the shipped classifier, in percent.",
        ),
        &[Panel {
            title: "share of the gain, %".to_owned(),
            digits: 1,
            bars: bars.collect(),
        }],
    )
}

/// What doubt does to violations and cost.
fn doubt(at: &[AtConfidence]) -> Figure {
    let panel = |title: &str, digits, of: fn(&AtConfidence) -> f64| Panel {
        title: title.to_owned(),
        digits,
        bars: at
            .iter()
            .map(|a| (format!("confidence {}", a.confidence), of(a)))
            .collect(),
    };
    panels(
        (
            "figure-uncertainty",
            "What doubt does",
            "aapa on the same functions as if their archetype were less sure: Algorithm 1 lowers the CPU target, lengthens the cooldown and keeps more replicas.",
        ),
        &[
            panel("violations, %", 2, |a| a.violations_percent),
            panel("replica-minutes", 0, |a| a.replica_minutes),
        ],
    )
}

/// Demand of one spike function over what `aapa` and the plain HPA had ready.
fn timeline(group: &Group<'_>) -> Option<Figure> {
    let flown = group.flown.first()?;
    let of = |name: &str| {
        let mut policies = flown.policies.iter();
        policies.find(|(n, _)| *n == name).map(|(_, f)| &f.minutes)
    };
    let (ours, plain) = (of("aapa")?, of("hpa")?);
    let demand: Vec<f64> = ours.iter().map(|m| f64::from(m.arrivals)).collect();
    let capacity = |minutes: &[foresail_sim::metrics::measure::MinuteRow]| -> Vec<f64> {
        minutes.iter().map(|m| m.capacity * 60.0).collect()
    };
    let (upper, middle) = (capacity(ours), capacity(plain));
    let peak = (0..demand.len()).max_by(|a, b| demand[*a].total_cmp(&demand[*b]))?;
    Some(forecast(
        "figure-timeline",
        "A spike function: demand and capacity",
        "The first spike function: requests per minute in grey; what the replicas that were ready could serve, under the plain HPA and under aapa.",
        ForecastLines {
            demand: &demand,
            middle: &middle,
            upper: &upper,
            closer: peak.saturating_sub(120),
            names: ["demand", "plain HPA", "aapa"],
            time: "the run",
        },
    ))
}

/// Every figure.
pub(super) fn all(
    groups: &[Group<'_>],
    classification: &Classification,
    at: &[AtConfidence],
) -> Vec<Figure> {
    let mut figures: Vec<Figure> = groups.iter().map(tradeoff).collect();
    let spike = groups
        .iter()
        .find(|g| g.archetype == Some(Archetype::Spike));
    figures.extend(spike.and_then(timeline));
    figures.extend([index(groups), doubt(at), importance(classification)]);
    figures
}
