//! One picture per run: CPU of a pod, replicas, what the HPA and the adviser ask for.

use foresail_web::experiment::{Lanes, lanes};
use foresail_web::figure::Figure;

use super::measure::Measured;

/// The picture of a run.
pub(super) fn timeline(m: &Measured<'_>) -> Figure {
    let rows = &m.run.rows;
    let start = rows.first().map(|r| r.at);
    let minute = |r: &super::super::read::Found| start.map_or(0.0, |s| (r.at - s).seconds() / 60.0);
    let beside = m.run.beside.as_ref();
    let stressed = beside.map(|b| b.head.schedule.stressed());
    let minutes = |windows: Vec<(f64, f64)>| {
        windows
            .into_iter()
            .map(|(a, b)| (a / 60.0, b / 60.0))
            .collect()
    };
    let (cpu, memory) = stressed.map_or_else(Default::default, |(c, m)| (minutes(c), minutes(m)));
    let whole = Lanes {
        minutes: rows.iter().map(minute).collect(),
        cpu_percent: rows.iter().map(|r| m.run.cpu_percent(r)).collect(),
        target_percent: beside.map(|b| f64::from(b.head.targets.0)),
        current: rows.iter().map(|r| r.current).collect(),
        hpa: rows.iter().map(|r| r.hpa).collect(),
        advised: rows.iter().map(|r| r.advised).collect(),
        cpu_stress: cpu,
        memory_stress: memory,
    };
    let stem = m.run.name.trim_end_matches(".csv");
    let safe = |c: char| {
        if c.is_ascii_alphanumeric() || c == '_' {
            c
        } else {
            '-'
        }
    };
    let name: String = stem.chars().map(safe).collect();
    lanes(
        &format!("figure-{name}"),
        &format!("{}, seed {}", m.run.mode, m.seed()),
        "Above, CPU of a pod in percent of its request, the target dashed; below, replicas. Grey bands: busy loops, and \
         lighter, filled memory.",
        &whole,
    )
}
