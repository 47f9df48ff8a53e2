//! Softmax ensembles: what they learn, that threads change nothing, and that the quick walk is exact.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests may fail loudly")]

use foresail_models::rng::{Seed, child, uniform};
use foresail_models::trees::bins::Bins;
use foresail_models::trees::{LabelledRows, Packed, Parameters, SoftmaxTrees, Trained};

const FEATURES: usize = 5;

/// Columns and classes: two features part three classes, a third is missing where the class is 2.
fn rows(count: usize) -> (Vec<Vec<f64>>, Vec<u8>) {
    let mut stream = child(Seed(5), "rows");
    let mut columns = vec![Vec::new(); FEATURES];
    let mut labels = Vec::new();
    for _ in 0..count {
        let mut row: [f64; FEATURES] = std::array::from_fn(|_| uniform(&mut stream));
        let label = if row[0] > 0.6 {
            1
        } else {
            u8::from(row[1] > 0.5) * 2
        };
        if label == 2 && row[3] < 0.9 {
            row[2] = f64::NAN;
        }
        columns.iter_mut().zip(row).for_each(|(c, v)| c.push(v));
        labels.push(label);
    }
    (columns, labels)
}

fn fit(parameters: &Parameters, learnt: usize) -> Trained {
    let (columns, labels) = rows(1200);
    let bins = Bins::of(&columns);
    let rows = LabelledRows {
        bins: &bins,
        features: &bins.bin(&columns),
        labels: &labels,
        classes: 3,
        learnt,
    };
    SoftmaxTrees::fit(&rows, parameters, Seed(3)).unwrap()
}

const SMALL: Parameters = Parameters {
    num_iterations: 30,
    early_stopping_round: 5,
    learning_rate: 0.2,
    ..Parameters::PUBLISHED
};

#[test]
fn classes_that_can_be_parted_are_and_missing_values_have_a_side() {
    let trees = fit(&SMALL, 900).trees;
    let (columns, labels) = rows(1200);
    let right = (900..1200).filter(|i| {
        let row: Vec<f64> = columns.iter().map(|c| c[*i]).collect();
        let told = trees.probabilities(&row);
        assert!((told.iter().sum::<f64>() - 1.0).abs() < 1e-12);
        let top = (0..3).max_by(|a, b| told[*a].total_cmp(&told[*b]));
        top == Some(usize::from(labels[*i]))
    });
    assert!(right.count() > 290);
    let gains = trees.gains();
    assert!(gains[0] > gains[4] && gains[2] > gains[3], "{gains:?}");
}

#[test]
fn one_thread_and_many_give_the_same_trees() {
    let on = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
        pool.build().unwrap().install(|| fit(&SMALL, 900))
    };
    assert_eq!(on(1), on(4));
}

#[test]
fn limits_of_depth_rows_and_rounds_are_kept() {
    let trained = fit(
        &Parameters {
            max_depth: 2,
            ..SMALL
        },
        900,
    );
    assert!(trained.kept <= trained.rounds && trained.rounds <= 30);
    assert_eq!(trained.trees.trees().len(), 3 * trained.kept);
    for tree in trained.trees.trees() {
        assert!(tree.leaves().len() <= 4);
        if tree.leaves().len() > 1 {
            assert!(tree.leaves().iter().all(|leaf| leaf.count >= 20));
        }
    }
}

#[test]
fn the_quick_walk_is_the_plain_one_bit_for_bit() {
    let trees = fit(&SMALL, 900).trees;
    let packed = Packed::new(&trees).unwrap();
    let odd = [
        f64::NAN,
        f64::INFINITY,
        f64::NEG_INFINITY,
        0.0,
        -0.0,
        1e301,
        1e-40,
    ];
    let mut stream = child(Seed(9), "odd rows");
    let mut draw = || match uniform(&mut stream) {
        u if u < 0.3 => odd[(u / 0.3 * odd.len() as f64) as usize],
        u => (u - 0.3) / 0.7,
    };
    for _ in 0..2000 {
        let row: [f64; FEATURES] = std::array::from_fn(|_| draw());
        assert_eq!(packed.scores(&row), trees.scores(&row), "{row:?}");
    }
    // A value right at a threshold goes left in both.
    for split in trees.trees().iter().flat_map(|t| t.splits()) {
        let row = [split.threshold; FEATURES];
        assert_eq!(packed.scores(&row), trees.scores(&row));
    }
}

#[test]
fn what_cannot_be_learnt_from_is_refused_with_the_reason() {
    let (columns, labels) = rows(100);
    let bins = Bins::of(&columns);
    let features = bins.bin(&columns);
    let good = LabelledRows {
        bins: &bins,
        features: &features,
        labels: &labels,
        classes: 3,
        learnt: 100,
    };
    let why = |rows: LabelledRows<'_>, parameters: Parameters| {
        SoftmaxTrees::fit(&rows, &parameters, Seed(1)).unwrap_err()
    };
    assert!(why(LabelledRows { learnt: 0, ..good }, SMALL).contains("0 of 100"));
    assert!(why(LabelledRows { classes: 2, ..good }, SMALL).contains("below"));
    assert!(
        why(
            LabelledRows {
                labels: &labels[1..],
                ..good
            },
            SMALL
        )
        .contains("99 labels")
    );
    let zero = Parameters {
        learning_rate: 0.0,
        ..SMALL
    };
    assert!(why(good, zero).contains("learning_rate"));
    let one = Parameters {
        num_leaves: 1,
        ..SMALL
    };
    assert!(why(good, one).contains("num_leaves"));
}
