//! Windows: how many, from where to where, in which scale, and what is refused.

use foresail_core::quantity::time::Timestamp;

use super::*;

fn series(id: &str, values: Vec<f64>) -> PoolSeries {
    let (start, step) = (
        Timestamp::from_seconds(1_767_571_200),
        Span::from_seconds(60),
    );
    PoolSeries {
        id: id.to_owned(),
        peaks: Series::new(start, step, values),
    }
}

fn numbered(steps: usize) -> Vec<f64> {
    (0..steps).map(|i| i as f64).collect()
}

fn small() -> Training {
    Training {
        window: 4,
        reach: 2,
        ..Training::encoder()
    }
}

#[test]
fn seven_days_of_minutes_are_cut_as_published() {
    let week = series("f", numbered(10_080));
    for (training, counts) in [
        (Training::encoder(), [8005, 949, 949]),
        (Training::head(), [8016, 960, 960]),
    ] {
        let windows = Windows::cut(std::slice::from_ref(&week), &training).unwrap();
        assert_eq!(windows.parts.each_ref().map(Vec::len), counts);
    }
}

#[test]
fn no_window_reaches_from_one_part_into_another_and_the_scale_is_of_the_first() {
    let values = numbered(1000);
    let windows = Windows::cut(&[series("f", values.clone())], &small()).unwrap();
    for (part, [from, to]) in windows
        .parts
        .iter()
        .zip([[0, 800], [800, 900], [900, 1000]])
    {
        for place in part {
            let first = place.first as usize;
            assert!(first >= from && first + 6 <= to, "{first}");
        }
    }
    let scale = windows.known[0].scale;
    assert!((scale.mean - 399.5).abs() < 1e-9);
    assert!((scale.deviation.powi(2) - (800.0 * 800.0 - 1.0) / 12.0).abs() < 1e-6);
    // What comes after the training part moves neither scale nor windows of it.
    let mut later = values;
    later[800..].iter_mut().for_each(|v| *v *= 7.0);
    let others = Windows::cut(&[series("f", later)], &small()).unwrap();
    assert_eq!(others.known, windows.known);
    assert_eq!(
        others.inputs(&others.parts[0][..32]),
        windows.inputs(&windows.parts[0][..32])
    );
}

#[test]
fn targets_are_relative_to_the_oldest_step_and_times_to_their_own() {
    let windows = Windows::cut(&[series("f", numbered(1000))], &small()).unwrap();
    let place = windows.parts[0][10];
    let unit = windows.known[0].scale.deviation as f32;
    let rows = windows.targets(&[place]);
    assert!((rows[0][0] * unit - 4.0).abs() < 1e-3 && (rows[1][0] * unit - 5.0).abs() < 1e-3);
    let begin = Timestamp::from_seconds(1_767_571_200);
    let time = |i: i64| features(begin + Span::from_seconds(60 * i)).map(|f| f as f32);
    let x = windows.inputs(&[place]);
    for step in 0..4 {
        let told: Vec<f32> = (1..INPUTS).map(|f| x[step * INPUTS + f][0]).collect();
        assert_eq!(told, time(10 + step as i64));
    }
    assert_eq!(windows.next(place)[..], time(14)[..]);
}

#[test]
fn a_gap_drops_the_windows_that_have_it_and_is_no_zero() {
    let mut values = numbered(1000);
    values[100] = f64::NAN;
    let windows = Windows::cut(&[series("f", values)], &small()).unwrap();
    assert_eq!(windows.dropped, 6);
    assert_eq!(windows.parts[0].len(), 795 - 6);
    let has = |p: &Place| (p.first as usize..p.first as usize + 6).contains(&100);
    assert!(!windows.parts[0].iter().any(has));
}

#[test]
fn functions_keep_their_own_scale_and_a_constant_divides_by_one() {
    let (wave, still) = (numbered(1000), vec![5.0; 1000]);
    let windows = Windows::cut(&[series("a", wave), series("b", still)], &small()).unwrap();
    let scale = windows.known[1].scale;
    assert_eq!((scale.mean, scale.deviation), (5.0, 0.0));
    assert!((scale.inward(7.0) - 2.0).abs() < 1e-12 && (scale.outward(2.0) - 7.0).abs() < 1e-12);
    let of_b: Vec<Place> = windows.parts[0]
        .iter()
        .copied()
        .filter(|p| p.series == 1)
        .collect();
    let x = windows.inputs(&of_b[..1]);
    assert!(x.iter().step_by(INPUTS).all(|row| row[0] == 0.0));
}

#[test]
fn of_too_many_windows_every_kth_is_taken_and_counted() {
    let training = Training {
        windows_max: 300,
        ..small()
    };
    let windows = Windows::cut(&[series("f", numbered(1000))], &training).unwrap();
    let count: usize = windows.parts.iter().map(Vec::len).sum();
    assert!(
        count <= 302 && windows.left_out == 795 + 95 + 95 - count,
        "{count}"
    );
    let numbers: Vec<u32> = windows.parts.concat().iter().map(|p| p.at).collect();
    assert_eq!(numbers, (0..count as u32).collect::<Vec<_>>());
}

#[test]
fn what_cannot_be_cut_is_refused_with_the_mend() {
    let refused = |all: &[PoolSeries], training: &Training| {
        Windows::cut(all, training).unwrap_err().to_string()
    };
    let short = refused(&[series("f", numbered(789))], &Training::encoder());
    assert!(short.contains("f: 790 steps are needed"), "{short}");
    assert!(Windows::cut(&[series("f", numbered(790))], &Training::encoder()).is_ok());
    let long = || series("f", numbered(1000));
    assert!(refused(&[], &small()).contains("no function"));
    assert!(refused(&[long(), long()], &small()).contains("f was given twice"));
    let mut negative = numbered(1000);
    negative[7] = -1.0;
    let text = refused(&[series("f", negative)], &small());
    assert!(text.contains("step 8 has the value -1e0"), "{text}");
    let mut gaps = numbered(1000);
    gaps[850..].fill(f64::NAN);
    gaps[800..850]
        .iter_mut()
        .step_by(5)
        .for_each(|v| *v = f64::NAN);
    let text = refused(&[series("f", gaps)], &small());
    assert!(text.contains("the validation part has no window"), "{text}");
    for (training, word) in [
        (
            Training {
                reach: 5,
                ..small()
            },
            "output steps 5: must be 1 to 4",
        ),
        (
            Training {
                dropout: 1.0,
                ..small()
            },
            "dropout 1: must be",
        ),
        (
            Training {
                rate: f64::NAN,
                ..small()
            },
            "learning rate NaN",
        ),
        (
            Training {
                batch: 0,
                ..small()
            },
            "batch 0",
        ),
    ] {
        let text = refused(&[long()], &training);
        assert!(text.contains(word), "{text}");
    }
    let (start, step) = (Timestamp::from_seconds(0), Span::from_seconds(30));
    let other = PoolSeries {
        id: "g".to_owned(),
        peaks: Series::new(start, step, numbered(1000)),
    };
    let text = refused(&[long(), other], &small());
    assert!(
        text.contains("g has steps of 30s, the others of 60s"),
        "{text}"
    );
}
