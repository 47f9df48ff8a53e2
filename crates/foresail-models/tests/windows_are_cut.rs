//! Windows of whole series and of steps that come one by one.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests may fail loudly")]

use foresail_core::quantity::series::Series;
use foresail_core::quantity::time::{Span, Timestamp};
use foresail_core::quantity::trace::TraceItem;
use foresail_models::classify::features::{Features, published};
use foresail_models::classify::window::{
    Extracted, Gaps, Ring, Sliding, WindowError, check, extract, extract_all,
};
use foresail_models::rng::{Seed, child, uniform};
use rand_chacha::rand_core::Rng;

fn series(values: Vec<f64>) -> Series {
    Series::new(Timestamp::EPOCH, Span::from_seconds(60), values)
}

fn counts(seed: u64, steps: usize) -> Vec<f64> {
    let mut stream = child(Seed(seed), "counts");
    (0..steps)
        .map(|_| (50.0 * uniform(&mut stream)).floor())
        .collect()
}

fn cut(values: Vec<f64>) -> Extracted {
    extract(&series(values), Sliding::default(), Gaps::Refuse).unwrap()
}

/// Every value as bits: NaN is equal to itself.
fn bits(features: &Features) -> Vec<u64> {
    let row = features.row();
    row.iter()
        .chain(&features.corrected.row())
        .map(|v| v.to_bits())
        .collect()
}

#[test]
fn window_k_holds_the_sixty_steps_from_ten_k_on() {
    let values = counts(1, 200);
    let extracted = cut(values.clone());
    assert_eq!(extracted.windows.len(), 15);
    for (k, window) in extracted.windows.iter().enumerate() {
        assert_eq!((window.index, window.begin), (k, 10 * k));
        let own = &values[10 * k..10 * k + 60];
        assert_eq!(bits(&window.features), bits(&Features::of(own)));
        assert!((window.requests - own.iter().sum::<f64>()).abs() < 1e-9);
    }
}

#[test]
fn a_series_shorter_than_a_window_has_none() {
    for steps in [0, 1, 59] {
        assert!(cut(counts(2, steps)).windows.is_empty());
    }
    assert_eq!(cut(counts(2, 60)).windows.len(), 1);
}

#[test]
fn what_is_no_count_is_refused_with_its_step() {
    let with = |value: f64| {
        let mut values = counts(3, 120);
        values[77] = value;
        values
    };
    let refused = |values: &[f64]| check(values).unwrap_err();
    assert_eq!(refused(&with(f64::NAN)), WindowError::Gap { step: 77 });
    for value in [f64::INFINITY, f64::NEG_INFINITY, -1.0] {
        assert_eq!(
            refused(&with(value)),
            WindowError::NoCount { step: 77, value }
        );
    }
    // A series takes what is not finite for a gap; below zero it cannot hide.
    let cut = |value, gaps| extract(&series(with(value)), Sliding::default(), gaps);
    let gap = cut(f64::NAN, Gaps::Refuse).unwrap_err();
    assert!(gap.to_string().contains("step 77 has no value"), "{gap}");
    let negative = WindowError::NoCount {
        step: 77,
        value: -2.0,
    };
    assert_eq!(cut(-2.0, Gaps::Refuse), Err(negative.clone()));
    assert_eq!(cut(-2.0, Gaps::LeaveOut), Err(negative));
}

#[test]
fn windows_with_a_gap_are_left_out_and_never_filled() {
    let mut values = counts(4, 200);
    values[95] = f64::NAN;
    let extracted = extract(&series(values), Sliding::default(), Gaps::LeaveOut).unwrap();
    // Windows 4 to 9 hold step 95.
    assert_eq!(extracted.left_out, 6);
    let kept: Vec<usize> = extracted.windows.iter().map(|w| w.index).collect();
    assert_eq!(kept, [0, 1, 2, 3, 10, 11, 12, 13, 14]);
}

#[test]
fn items_are_the_same_on_one_thread_and_on_many() {
    let item = |i: u64| TraceItem {
        id: format!("f{i}"),
        trigger: String::new(),
        demand: series(counts(i, 60 + 37 * i as usize)),
        durations: None,
        memory: None,
    };
    let items: Vec<_> = (0..40).map(item).collect();
    let on = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap();
        let all = pool.install(|| extract_all(&items, Sliding::default(), Gaps::Refuse));
        let windows = all.into_iter().flat_map(|e| e.unwrap().windows);
        windows.map(|w| bits(&w.features)).collect::<Vec<_>>()
    };
    assert_eq!(on(1), on(4));
}

#[test]
fn steps_one_by_one_give_the_features_of_the_whole_bit_for_bit() {
    let values = counts(5, 400);
    let mut ring = Ring::default();
    for (i, value) in values.iter().enumerate() {
        ring.push(Some(*value));
        match ring.features() {
            None => assert!(i + 1 < 60, "step {i}"),
            Some(features) => {
                let whole = Features::of(&values[i - 59..=i]);
                assert_eq!(bits(&features), bits(&whole), "step {i}");
            }
        }
    }
}

#[test]
fn after_a_gap_the_ring_waits_until_it_has_left_the_window() {
    let mut ring = Ring::default();
    for i in 0..300_u32 {
        // Missing, not finite and below zero are all gaps.
        let odd = [(100, None), (170, Some(f64::NAN)), (230, Some(-1.0))];
        let gap = odd.iter().find(|(at, _)| *at == i);
        ring.push(gap.map_or(Some(1.0), |(_, value)| *value));
        let last_gap = odd
            .iter()
            .filter(|(at, _)| *at <= i)
            .map(|(at, _)| *at + 1)
            .max();
        let known = i + 1 - last_gap.unwrap_or(0);
        assert_eq!(ring.window().is_some(), known >= 60, "step {i}");
    }
}

#[test]
fn features_are_finite_or_missing_on_any_counts() {
    let mut stream = child(Seed(6), "any counts");
    for _ in 0..2000 {
        let size = 10_f64.powf(9.0 * uniform(&mut stream));
        let zeros = uniform(&mut stream);
        let x: [f64; 60] = std::array::from_fn(|_| {
            let here = uniform(&mut stream) >= zeros;
            if here {
                (size * (stream.next_u64() >> 40) as f64 / 16_777_216.0).floor()
            } else {
                0.0
            }
        });
        let features = Features::of(&x);
        let null = ["skewness", "kurtosis", "linear_trend_r2"];
        for (name, value) in published::NAMES.iter().zip(features.published) {
            assert!(
                value.is_finite() || null.contains(name),
                "{name}: {value} on {x:?}"
            );
        }
        if !features.corrected.idle {
            assert!(
                features.corrected.row().iter().all(|v| v.is_finite()),
                "{x:?}"
            );
        }
    }
}
