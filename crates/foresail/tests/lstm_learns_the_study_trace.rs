//! The study's LSTM on the study's trace: size, error on the second week, equal weights for one seed.
#![allow(clippy::expect_used, reason = "tests may fail loudly")]

use foresail_models::forecast::Forecaster;
use foresail_models::forecast::lstm::Lstm;
use foresail_models::rng::Seed;
use foresail_sim::workload::published::{SEED, SHAPES};

/// Minutes of the first week, which is learnt from.
const WEEK: usize = 10_080;

#[test]
fn the_net_errs_by_at_most_2_2_on_the_mixed_test_week_and_repeats_itself() {
    let trace = SHAPES[0].trace(SEED).series();
    let values: Vec<f64> = trace.iter().flatten().collect();
    let fit = || {
        Lstm::study_shape()
            .fit_values(&values[..WEEK], Seed(42))
            .expect("a week")
    };
    let net = fit();
    assert_eq!(net.parameters(), 19_265);
    let told = net.rolling(&values, WEEK);
    assert_eq!(told.len(), WEEK);
    let error = told.iter().zip(&values[WEEK..]).map(|(t, v)| (t - v).abs());
    let error = error.sum::<f64>() / WEEK as f64;
    // The published run has 1.949.
    assert!(error <= 2.2, "{error}");
    assert_eq!(net.save(), fit().save());
}
