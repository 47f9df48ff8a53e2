//! The service time as latency shows it while the incumbent's pods have little to do.

use foresail_core::quantity::time::Span;
use foresail_sim::config::{Shape, Times};

use super::row::Row;

/// Syncs that give a median.
const ROWS_MIN: usize = 120;

/// The part of the syncs, those with the least demand on a ready replica, in which nobody waits.
const QUIET: f64 = 0.25;

/// Busier than this, in parts of what a replica can serve, no sync is quiet.
const BUSY_MAX: f64 = 0.8;

/// The standard normal's 95 % quantile.
const NORMAL_95: f64 = 1.644_854;

/// The 95 % quantile of a service time over its mean; `None` where the form does not say.
fn quantile_95(shape: &Shape) -> Option<f64> {
    match shape {
        Shape::Constant => Some(1.0),
        Shape::Exponential => Some(20_f64.ln()),
        Shape::Lognormal(cv) => {
            let variance = (1.0 + cv * cv).ln();
            Some((NORMAL_95 * variance.sqrt() - variance / 2.0).exp())
        }
        Shape::Gamma(_) | Shape::Table(_) => None,
    }
}

/// The mean service time, from the median of the quiet syncs' 95 % quantiles of latency.
///
/// `None` with too few syncs in which demand, ready replicas and that quantile are known, or where a
/// replica, which serves `concurrency` requests at once, would have been busy in them all the same.
pub(super) fn measured(rows: &[Row], service: &Times, concurrency: u32) -> Option<Span> {
    let over_mean = quantile_95(&service.shape)?;
    let known = |row: &Row| {
        let (demand, ready) = (row.demand?, row.ready?);
        let busy = demand / f64::from(ready);
        (demand > 0.0 && ready > 0).then_some((busy, row.p95?))
    };
    let mut known: Vec<(f64, f64)> = rows.iter().filter_map(known).collect();
    if known.len() < ROWS_MIN {
        return None;
    }
    known.sort_by(|a, b| a.0.total_cmp(&b.0));
    known.truncate((known.len() as f64 * QUIET) as usize);
    let (busiest, _) = *known.last()?;
    known.sort_by(|a, b| a.1.total_cmp(&b.1));
    let (_, p95) = known.get(known.len() / 2)?;
    let seconds = p95 / over_mean;
    let quiet = busiest * seconds <= BUSY_MAX * f64::from(concurrency);
    let span = Span::from_seconds_f64(seconds).filter(|_| quiet);
    span.filter(|s| *s > Span::ZERO)
}

#[cfg(test)]
mod tests {
    use super::*;
    use foresail_core::quantity::time::Timestamp;

    /// Every fourth sync is quiet, and only there is latency that of the service alone.
    #[test]
    fn the_quiet_syncs_tell_the_service_time() {
        let row = |k: i64| Row {
            demand: Some(if k % 4 == 0 { 1.0 } else { 9.0 }),
            ready: Some(1),
            p95: Some(if k % 4 == 0 { 0.6 } else { 5.0 }),
            ..Row::at(Timestamp::from_seconds(15 * k))
        };
        let rows: Vec<Row> = (0..400).map(row).collect();
        let on = |rows: &[Row], shape, slots| {
            let mean = Span::from_seconds(1);
            measured(rows, &Times { mean, shape }, slots)
        };
        let seconds = |shape| on(&rows, shape, 4).unwrap().seconds();
        assert!((seconds(Shape::Constant) - 0.6).abs() < 1e-6);
        assert!((seconds(Shape::Exponential) - 0.6 / 2.995_732).abs() < 1e-6);
        // scipy 1.17.1: lognorm with mean 1 and standard deviation 1 has its 95 % quantile at 2.780697.
        assert!((seconds(Shape::Lognormal(1.0)) - 0.6 / 2.780_7).abs() < 1e-4);
        assert_eq!(on(&rows, Shape::Gamma(2.0), 4), None);
        assert_eq!(on(&rows[..100], Shape::Constant, 4), None);
        // 0.6 s at one request per second fill three fifths of one slot.
        assert!(on(&rows, Shape::Constant, 1).is_some());
        let busy: Vec<Row> = rows
            .iter()
            .map(|r| Row {
                p95: Some(0.9),
                ..*r
            })
            .collect();
        assert_eq!(on(&busy, Shape::Constant, 1), None);
    }
}
