//! Models as LightGBM's text: theirs read here, ours read there, and nothing broken taken for one.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests may fail loudly")]

use foresail_models::rng::Seed;
use foresail_models::trees::bins::Bins;
use foresail_models::trees::lightgbm::{Named, TextError, read, write};
use foresail_models::trees::{LabelledRows, Packed, Parameters, SoftmaxTrees, softmax};
use serde_json::Value;

const FEATURES: usize = 5;
const NAN: &[u8] = include_bytes!("../../../tests/golden/classify/lightgbm_nan.txt");
const ZERO: &[u8] = include_bytes!("../../../tests/golden/classify/lightgbm_zero.txt");
const OURS: &str = "../../tests/reference/lightgbm_text/ours.txt";

fn golden() -> Value {
    let text = include_str!("../../../tests/golden/classify/lightgbm_text.json");
    serde_json::from_str(text).unwrap()
}

/// SplitMix64 as numbers in [0, 1), as the reference script draws them.
fn uniforms(count: usize, seed: u64) -> Vec<f64> {
    let mut state = seed;
    let draw = |_| {
        state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) >> 11) as f64 * 2_f64.powi(-53)
    };
    (0..count).map(draw).collect()
}

/// Rows and classes of the reference: the first ones to learn from, the others to ask for.
fn rows() -> (Vec<Vec<f64>>, Vec<u8>, usize) {
    let golden = golden();
    let whole = |key: &str| golden[key].as_u64().unwrap();
    let (learnt, tested) = (whole("learnt") as usize, whole("tested") as usize);
    let classes = whole("classes") as f64;
    let numbers = uniforms((learnt + tested) * (FEATURES + 2), whole("seed"));
    let (mut rows, mut labels) = (Vec::new(), Vec::new());
    for (place, u) in numbers.chunks(FEATURES + 2).enumerate() {
        let mut row = u[..FEATURES].to_vec();
        if row[3] < 0.4 {
            row[3] = 0.0;
        }
        if row[4] < 0.3 {
            row[4] = f64::NAN;
        }
        let mut label = u8::from(row[0] > 0.5) + u8::from(row[1] > 0.7);
        if row[4].is_nan() && row[2] > 0.6 {
            label = 2;
        }
        if u[3] < 0.4 && row[2] < 0.2 {
            label = 0;
        }
        if u[FEATURES] < 0.05 {
            label = (u[FEATURES + 1] * classes) as u8;
        }
        if place >= learnt && (place - learnt).is_multiple_of(7) {
            row[0] = f64::NAN;
        }
        rows.push(row);
        labels.push(label);
    }
    (rows, labels, learnt)
}

/// What LightGBM says of the tested rows.
fn told(model: &str, what: &str) -> Vec<Vec<f64>> {
    serde_json::from_value(golden()[model][what].clone()).unwrap()
}

fn assert_near(own: &[f64], theirs: &[f64], tolerance: f64, what: &str) {
    assert_eq!(own.len(), theirs.len());
    for (own, theirs) in own.iter().zip(theirs) {
        assert!((own - theirs).abs() <= tolerance, "{what}: {own} {theirs}");
    }
}

fn assert_tells_as_lightgbm(trees: &SoftmaxTrees, model: &str) {
    let (rows, _, learnt) = rows();
    let packed = Packed::new(trees).unwrap();
    let (raw, probabilities) = (told(model, "raw"), told(model, "probabilities"));
    let contributions = told(model, "contributions");
    for (place, row) in rows[learnt..].iter().enumerate() {
        let what = format!("{model}, row {place}");
        assert_near(&trees.scores(row), &raw[place], 1e-12, &what);
        assert_near(
            &trees.probabilities(row),
            &probabilities[place],
            1e-12,
            &what,
        );
        let mut quick = packed.scores(row);
        assert_eq!(quick, trees.scores(row), "{what}");
        softmax(&mut quick);
        assert_eq!(quick, trees.probabilities(row), "{what}");
        for (class, theirs) in contributions[place].chunks(FEATURES + 1).enumerate() {
            let (mut shares, start) = trees.contributions(row, class);
            shares.push(start);
            assert_near(&shares, theirs, 1e-9, &format!("{what}, class {class}"));
        }
    }
}

fn of_ours() -> SoftmaxTrees {
    let (rows, labels, learnt) = rows();
    let column = |f: usize| rows[..learnt].iter().map(|r| r[f]).collect();
    let columns: Vec<Vec<f64>> = (0..FEATURES).map(column).collect();
    let bins = Bins::of(&columns);
    let rows = LabelledRows {
        bins: &bins,
        features: &bins.bin(&columns),
        labels: &labels[..learnt],
        classes: 3,
        learnt,
    };
    let parameters = Parameters {
        num_iterations: 6,
        num_leaves: 7,
        min_data_in_leaf: 10,
        learning_rate: 0.2,
        early_stopping_round: 0,
        ..Parameters::PUBLISHED
    };
    SoftmaxTrees::fit(&rows, &parameters, Seed(1))
        .unwrap()
        .trees
}

fn names() -> Vec<String> {
    (0..FEATURES).map(|f| format!("f{f}")).collect()
}

#[test]
fn a_model_of_lightgbm_tells_the_same_here() {
    for (name, text) in [("nan", NAN), ("zero", ZERO)] {
        let named = read(text).unwrap();
        assert_eq!(
            named.names,
            (0..FEATURES)
                .map(|f| format!("Column_{f}"))
                .collect::<Vec<_>>()
        );
        assert_tells_as_lightgbm(&named.trees, name);
    }
}

#[test]
fn a_model_of_ours_tells_the_same_there() {
    let trees = of_ours();
    let text = write(&trees, &names());
    if std::env::var_os("FORESAIL_BLESS").is_some() {
        std::fs::write(OURS, &text).unwrap();
    }
    // The reference script asks LightGBM with this very file.
    assert_eq!(std::fs::read_to_string(OURS).unwrap(), text);
    assert_tells_as_lightgbm(&trees, "ours");
}

#[test]
fn what_is_written_is_read_back_whole() {
    let trees = of_ours();
    let names = names();
    let again = read(write(&trees, &names).as_bytes()).unwrap();
    assert_eq!(again, Named { trees, names });
    let theirs = read(NAN).unwrap();
    let again = read(write(&theirs.trees, &theirs.names).as_bytes()).unwrap();
    assert_eq!(again, theirs);
}

#[test]
fn a_file_that_is_cut_or_changed_anywhere_is_an_error_or_a_sound_model() {
    for cut in (0..NAN.len()).step_by(7) {
        if let Ok(named) = read(&NAN[..cut]) {
            assert!(named.trees.is_sound());
        }
    }
    let mut bytes = NAN.to_vec();
    for place in (0..bytes.len()).step_by(11) {
        let kept = bytes[place];
        for byte in *b"9-x \n=" {
            bytes[place] = byte;
            if let Ok(named) = read(&bytes) {
                assert!(named.trees.is_sound());
                let _ = named.trees.scores(&[0.5; 4096][..named.trees.features()]);
            }
        }
        bytes[place] = kept;
    }
}

#[test]
fn what_is_not_read_is_refused_by_name() {
    let text = String::from_utf8(NAN.to_vec()).unwrap();
    let refused = |from: &str, to: &str| {
        let changed = text.replacen(from, to, 1);
        assert!(changed != text, "{from}");
        read(changed.as_bytes()).unwrap_err().to_string()
    };
    assert!(refused("version=v4", "version=v3").contains("v3"));
    assert!(refused("objective=multiclass", "objective=binary").contains("binary"));
    assert!(refused("num_cat=0", "num_cat=1").contains("categorical"));
    assert!(refused("is_linear=0", "is_linear=1").contains("linear_tree=false"));
    assert!(refused("decision_type=2", "decision_type=3").contains("categorical"));
    assert!(refused("max_feature_idx=4", "max_feature_idx=999999999").contains("4096"));
    assert!(refused("num_leaves=7", "num_leaves=4000000000").contains("due"));
    assert!(refused("end of trees", "end of").contains("cut off"));
    assert_eq!(read(b"PK\x03\x04"), Err(TextError::Form));
    assert_eq!(read(b"{}"), Err(TextError::Form));
}
