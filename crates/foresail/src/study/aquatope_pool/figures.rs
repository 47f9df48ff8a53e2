//! The pictures of the study.

use foresail_web::figure::Figure;
use foresail_web::read_model::Tradeoff;
use foresail_web::study::{Panel, panels};
use foresail_web::tradeoff::scatter;

use super::analysis::{Of, share, values};
use super::fly::{FIXED, Figures, Flown, HISTOGRAM, KEEP_ALIVES, ORACLE, OURS, PUBLISHED};
use crate::study::stats::mean;

/// Every picture.
pub(super) fn all(flown: &[Flown]) -> Vec<Figure> {
    vec![
        tradeoff(flown, false),
        tradeoff(flown, true),
        classes(flown),
    ]
}

/// Policies that start cold so often that beside them all others would be one point.
const FAR: [&str; 2] = ["pool-reactive", PUBLISHED];

/// Cold starts against memory. The line is the fixed keep-alive, or the net's pools by keep-alive.
fn tradeoff(flown: &[Flown], own: bool) -> Figure {
    let fixed = mean(&values(flown, FIXED, |f| f.warm));
    let place = |figures: &[&Figures]| {
        let of = |of: Of| mean(&figures.iter().map(|f| of(f)).collect::<Vec<_>>());
        (of(|f| f.warm) * 100.0 / fixed, of(|f| f.cold))
    };
    let points = flown[0].policies.iter().map(|(name, _)| {
        let cold = mean(&values(flown, name, |f| f.cold));
        (name.clone(), share(flown, name, |f| f.warm, FIXED), cold)
    });
    let points: Vec<_> = points
        .filter(|(name, ..)| !(FAR.contains(&name.as_str()) || own && name == FIXED))
        .collect();
    let line: Vec<(String, f64, f64)> = if own {
        let at = |(place_of, seconds): (usize, &u32)| {
            let figures: Vec<&Figures> =
                flown.iter().map(|f| &f.by_keep_alive[place_of].1).collect();
            let (x, y) = place(&figures);
            (format!("{seconds} s"), x, y)
        };
        KEEP_ALIVES.iter().enumerate().map(at).collect()
    } else {
        let settings = 0..flown[0].line.len();
        let at = |i: usize| {
            let figures: Vec<&Figures> = flown.iter().map(|f| &f.line[i].1).collect();
            let (x, y) = place(&figures);
            (format!("{} min", flown[0].line[i].0), x, y)
        };
        settings.map(at).collect()
    };
    let (name, of_line) = if own {
        (
            "figure-own-keep-alive",
            "the net's pools at each keep-alive beyond them",
        )
    } else {
        (
            "figure-cold-memory",
            "the fixed keep-alive at each of its settings",
        )
    };
    scatter(
        &points,
        &Tradeoff {
            name: name.to_owned(),
            title: "Cold starts against warm memory".to_owned(),
            caption: format!(
                "Each point is a policy, means over the same calls; lower and further left is better. The line is {of_line}. Left out: the pool of the last peak and the published scheduler's, which start cold many times as often."
            ),
            x: (
                String::new(),
                "memory of idle containers, % of that of 10 minutes of keep-alive".to_owned(),
            ),
            y: (String::new(), "calls with a cold start, %".to_owned()),
            line,
        },
    )
}

/// Cold starts by how often a function is called.
fn classes(flown: &[Flown]) -> Figure {
    let classes: [(&str, Of); 3] = [
        ("rare: at most one call an hour", |f| f.cold_by_class[0]),
        ("middling: at most one a minute", |f| f.cold_by_class[1]),
        ("frequent: more", |f| f.cold_by_class[2]),
    ];
    let policies = [
        FIXED,
        HISTOGRAM,
        "pool-ets",
        "pool-fourier",
        "predictive",
        OURS,
        ORACLE,
    ];
    let panel = |(title, of): (&str, Of)| Panel {
        title: title.to_owned(),
        digits: 2,
        bars: policies
            .map(|p| (p.to_owned(), mean(&values(flown, p, of))))
            .to_vec(),
    };
    panels(
        (
            "figure-classes",
            "Cold starts by class of function",
            "Share of the calls that start cold, in percent, by how often a function is called; less is better.",
        ),
        &classes.map(panel),
    )
}
