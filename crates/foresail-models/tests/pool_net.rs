//! AQUATOPE's nets: their size, gradients, chance, honesty about errors, files.
#![allow(
    clippy::unwrap_used,
    clippy::float_cmp,
    reason = "tests may fail loudly, and say where a number is exact"
)]

use std::f64::consts::TAU;

use foresail_core::quantity::series::Series;
use foresail_core::quantity::time::{Span, Timestamp};
use foresail_models::forecast::pool_net::encoder_decoder::{self, EncoderDecoder};
use foresail_models::forecast::pool_net::head::{self, Head};
use foresail_models::forecast::pool_net::{
    Ask, INPUTS, PoolNet, PoolNetError, PoolSeries, Scale, Shape, Told, Trained, Training,
    restore_encoder, restore_net, train,
};
use foresail_models::rng::{Seed, child, normal, uniform};
use foresail_nn::{LANES, Layer, Row, safetensors};

const START: i64 = 1_767_571_200;

/// Two waves around a level with normal noise, in whole containers.
fn wave(id: &str, steps: usize, noise: f64) -> PoolSeries {
    let mut stream = child(Seed(7), id);
    let value = |i: usize| {
        let of = |period: f64| (TAU * i as f64 / period).sin();
        let value = 30.0 + 10.0 * of(60.0) + 5.0 * of(240.0) + noise * normal(&mut stream);
        if value > 0.0 { value.round() } else { 0.0 }
    };
    series(id, (0..steps).map(value).collect())
}

/// Fifteen days of quarters of an hour: the wave of a day, one of six hours, and noise of two.
fn days(id: &str) -> PoolSeries {
    let mut stream = child(Seed(8), id);
    let value = |i: usize| {
        let of = |period: f64| (TAU * i as f64 / period).sin();
        let value = 30.0 + 10.0 * of(24.0) + 5.0 * of(96.0) + 2.0 * normal(&mut stream);
        if value > 0.0 { value.round() } else { 0.0 }
    };
    let values = (0..1440).map(value).collect();
    let (start, step) = (Timestamp::from_seconds(START), Span::from_seconds(900));
    PoolSeries {
        id: id.to_owned(),
        peaks: Series::new(start, step, values),
    }
}

fn series(id: &str, values: Vec<f64>) -> PoolSeries {
    let (start, step) = (Timestamp::from_seconds(START), Span::from_seconds(60));
    PoolSeries {
        id: id.to_owned(),
        peaks: Series::new(start, step, values),
    }
}

/// Small enough for a test: 16 steps in, 4 out.
fn small(epochs: usize) -> Training {
    Training {
        window: 16,
        reach: 4,
        epochs,
        batch: 32,
        rate: 3e-3,
        ..Training::encoder()
    }
}

fn one_step(training: Training) -> Training {
    Training {
        reach: 1,
        ..training
    }
}

fn both(series: &[PoolSeries], training: &Training, seed: u64) -> (Trained, PoolNet) {
    let encoder = train::encoder(series, training, Seed(seed), &mut |_| {}).unwrap();
    let own = one_step(*training);
    let net = train::head(&encoder, series, &own, Seed(seed), &mut |_| {}).unwrap();
    (encoder, net)
}

#[test]
fn the_nets_have_22084_and_4449_parameters_and_the_documented_defaults() {
    let (encoder, head) = (Training::encoder(), Training::head());
    let mut stream = child(Seed(1), "count");
    assert_eq!(
        EncoderDecoder::<f32>::new(&encoder, &mut stream).count(),
        22_084
    );
    assert_eq!(Head::<f32>::new(&head, &mut stream).count(), 4_449);
    let of = |t: &Training| (t.window, t.reach, t.epochs, t.batch, t.rate, t.dropout);
    assert_eq!(of(&encoder), (48, 12, 128, 128, 1e-4, 0.25));
    assert_eq!(of(&head), (48, 1, 128, 128, 1e-3, 0.25));
    assert_eq!(encoder.shape, Shape::Sound);
}

fn rows(count: usize, seed: u64) -> Vec<Row<f64>> {
    let mut stream = child(Seed(seed), "rows");
    let mut row = || std::array::from_fn(|_| 2.0 * uniform(&mut stream) - 1.0);
    (0..count).map(|_| row()).collect()
}

/// Checks gradients of Σ weights · outputs against central differences, some numbers of each parameter.
fn check<N: Layer<f64>>(net: &mut N, mut run: impl FnMut(&mut N, bool) -> f64) {
    net.clear_gradients();
    run(net, true);
    let told: Vec<(String, Vec<f64>)> = net
        .parameters()
        .into_iter()
        .map(|(name, p)| (name, p.gradient.clone()))
        .collect();
    for (place, (name, gradients)) in told.iter().enumerate() {
        assert!(gradients.iter().any(|g| g.abs() > 1e-9), "{name} has none");
        for i in (0..gradients.len()).step_by(1 + gradients.len() / 12) {
            let mut at = |shift: f64| {
                net.parameters_mut()[place].1.value[i] += shift;
                let loss = run(net, false);
                net.parameters_mut()[place].1.value[i] -= shift;
                loss
            };
            let difference = (at(1e-6) - at(-1e-6)) / 2e-6;
            let size = gradients[i].abs() + difference.abs() + 1e-3;
            let error = (gradients[i] - difference).abs() / size;
            assert!(error < 1e-4, "{name}[{i}]: {} {difference}", gradients[i]);
        }
    }
}

fn weighed(rows: &[Row<f64>], weights: &[Row<f64>]) -> f64 {
    let pairs = rows.iter().flatten().zip(weights.iter().flatten());
    pairs.map(|(a, b)| a * b).sum()
}

#[test]
fn gradients_of_the_whole_encoder_decoder_equal_differences() {
    for shape in [Shape::Sound, Shape::Published] {
        let training = Training {
            shape,
            window: 7,
            reach: 3,
            ..Training::encoder()
        };
        let mut stream = child(Seed(4), "gradients");
        let mut net = EncoderDecoder::<f64>::new(&training, &mut stream);
        let masks = net.draw(&mut stream);
        let (x, weights) = (rows(7 * INPUTS, 1), rows(3, 2));
        let mut tape = encoder_decoder::Tape::default();
        check(&mut net, |net, gradients| {
            let loss = weighed(net.forward(&x, &masks, &mut tape), &weights);
            if gradients {
                net.backward(&weights, &masks, &mut tape);
            }
            loss
        });
    }
}

#[test]
fn gradients_of_the_whole_prediction_network_equal_differences() {
    let training = Training {
        window: 7,
        reach: 2,
        ..Training::head()
    };
    let mut stream = child(Seed(5), "gradients");
    let mut net = Head::<f64>::new(&training, &mut stream);
    let (x, weights) = (rows(7 + 4, 3), rows(2, 4));
    for masks in [net.draw(&mut stream), head::Masks::default()] {
        let mut tape = head::Tape::default();
        check(&mut net, |net, gradients| {
            let loss = weighed(net.forward(&x, &masks, &mut tape), &weights);
            if gradients {
                net.backward(&weights, &masks, &mut tape);
            }
            loss
        });
    }
}

#[test]
fn one_seed_gives_the_same_bytes_on_one_thread_and_on_many_and_another_seed_others() {
    let series = [wave("a", 400, 2.0), wave("b", 500, 2.0)];
    // More than one block of lanes, so that threads have something to share.
    let training = Training {
        batch: 100,
        ..small(2)
    };
    let with = |threads: usize, seed: u64| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
        pool.build().unwrap().install(|| {
            let (encoder, net) = both(&series, &training, seed);
            [encoder.save(), net.save()]
        })
    };
    let first = with(1, 1);
    assert!(first == with(1, 1) && first == with(3, 1));
    let other = with(2, 2);
    assert!(first[0] != other[0] && first[1] != other[1]);
}

fn window(of: &PoolSeries, first: usize) -> Vec<f64> {
    of.peaks.iter().skip(first).take(16).flatten().collect()
}

fn ask<'a>(of: &'a PoolSeries, window: &'a [f64], first: usize, scale: Scale) -> Ask<'a> {
    Ask {
        id: &of.id,
        window,
        scale,
        next: of.peaks.time_of(first + 16),
    }
}

fn first(told: Vec<Result<Vec<Told>, foresail_models::forecast::pool_net::AskError>>) -> Told {
    told.into_iter().next().unwrap().unwrap()[0]
}

#[test]
fn without_dropout_the_variance_of_128_passes_is_exactly_zero_and_errors_still_count() {
    let series = [wave("f", 400, 2.0)];
    let sure = Training {
        dropout: 0.0,
        ..small(2)
    };
    let (_, net) = both(&series, &sure, 1);
    let values = window(&series[0], 100);
    let told = first(net.tell(
        &[ask(&series[0], &values, 100, net.known()[0].scale)],
        128,
        Seed(1),
    ));
    assert_eq!(told.variance, 0.0);
    assert!(told.residual > 0.0 && told.quantile(0.95) > told.mean());
    // Nor has one pass of a net with dropout any.
    let (_, net) = both(&series, &small(2), 1);
    let told = first(net.tell(
        &[ask(&series[0], &values, 100, net.known()[0].scale)],
        1,
        Seed(1),
    ));
    assert_eq!(told.variance, 0.0);
}

#[test]
fn the_mean_of_128_passes_is_that_of_10000_within_three_standard_errors() {
    let series = [wave("f", 400, 2.0)];
    let (_, net) = both(&series, &small(3), 1);
    let scale = net.known()[0].scale;
    for begin in [50, 120, 200] {
        let values = window(&series[0], begin);
        let asked = [ask(&series[0], &values, begin, scale)];
        let few = first(net.tell(&asked, 128, Seed(3)));
        let many = first(net.tell(&asked, 10_000, Seed(4)));
        assert!(few.variance > 0.0);
        let error = (few.variance / 128.0 + many.variance / 10_000.0).sqrt();
        assert!(
            (few.center - many.center).abs() < 3.0 * error,
            "{few:?} {many:?}"
        );
        assert!((few.variance / many.variance - 1.0).abs() < 0.6);
        // In containers: not in the net's own numbers, which lie around zero.
        assert!((10.0..60.0).contains(&many.mean()), "{many:?}");
    }
}

#[test]
fn an_answer_does_not_depend_on_who_else_is_asked_for() {
    let all: Vec<PoolSeries> = (0..70).map(|i| wave(&format!("f{i}"), 400, 2.0)).collect();
    let (_, net) = both(&all[..2], &small(1), 1);
    let windows: Vec<Vec<f64>> = all.iter().map(|s| window(s, 30)).collect();
    let scale = net.known()[0].scale;
    let asks: Vec<Ask<'_>> = all
        .iter()
        .zip(&windows)
        .map(|(s, w)| ask(s, w, 30, scale))
        .collect();
    let together = net.tell(&asks, 64, Seed(1));
    assert_eq!(together, net.tell(&asks, 64, Seed(1)));
    for place in [0, 31, 32, 69] {
        assert_eq!(
            net.tell(&asks[place..=place], 64, Seed(1))[0],
            together[place]
        );
    }
    let back: Vec<Ask<'_>> = asks.iter().rev().copied().collect();
    let mut turned = net.tell(&back, 64, Seed(1));
    turned.reverse();
    assert_eq!(turned, together);
    assert_ne!(net.tell(&asks[..1], 64, Seed(2))[0], together[0]);
}

#[test]
fn a_bad_question_is_refused_with_the_function_and_the_others_are_answered() {
    let series = [wave("f", 400, 2.0)];
    let (_, net) = both(&series, &small(1), 1);
    let (good, scale) = (window(&series[0], 10), net.known()[0].scale);
    let mut gap = good.clone();
    gap[3] = f64::NAN;
    let asks = [
        ask(&series[0], &good[..15], 10, scale),
        ask(&series[0], &gap, 10, scale),
        ask(
            &series[0],
            &good,
            10,
            Scale {
                mean: f64::NAN,
                ..scale
            },
        ),
        ask(&series[0], &good, 10, scale),
    ];
    let told = net.tell(&asks, 32, Seed(1));
    let text = |i: usize| told[i].as_ref().unwrap_err().to_string();
    assert!(text(0).contains("f: the net reads 16 steps, 15 are there"));
    assert!(text(1).contains("f: step 4 of the window has the value NaN"));
    assert!(text(2).contains("f: its scale"));
    assert_eq!(told[3], net.tell(&asks[3..], 32, Seed(1))[0]);
    assert!(net.tell(&[], 32, Seed(1)).is_empty());
}

#[test]
fn one_that_never_varied_keeps_its_mean_until_it_moves() {
    let still = [wave("f", 400, 2.0), series("idle", vec![0.0; 400])];
    let (_, net) = both(&still, &small(1), 1);
    let scale = net.scale_of("idle").unwrap();
    assert_eq!((scale.mean, scale.deviation), (0.0, 0.0));
    let mut values = vec![0.0; 16];
    let told = first(net.tell(&[ask(&still[1], &values, 0, scale)], 64, Seed(1)));
    assert_eq!((told.quantile(0.99), told.deviation()), (0.0, 0.0));
    values[15] = 4.0;
    let told = first(net.tell(&[ask(&still[1], &values, 0, scale)], 64, Seed(1)));
    assert!(told.deviation() > 0.0);
    assert_eq!(net.scale_of("nobody"), None);
}

#[test]
fn quantiles_are_the_mean_and_both_variances_and_never_below_zero() {
    let told = Told {
        center: 3.2,
        variance: 0.21,
        residual: 1.0,
        factor: 1.0,
    };
    assert!((told.deviation() - 1.1).abs() < 1e-12);
    assert!((told.quantile(0.95) - 5.0094).abs() < 1e-3);
    let wide = Told {
        factor: 2.0,
        ..told
    };
    assert!((wide.quantile(0.95) - (3.2 + 2.0 * 1.1 * 1.644_854)).abs() < 1e-4);
    let low = Told {
        center: -9.0,
        ..told
    };
    assert_eq!((low.mean(), low.quantile(0.95)), (0.0, 0.0));
}

/// Held-out sine with noise: the band covers 85 to 95 % or was rescaled, and says so.
#[test]
fn the_band_is_checked_on_a_part_that_nothing_was_learnt_from() {
    let series = [days("f")];
    let encoder = train::encoder(&series, &small(25), Seed(1), &mut |_| {}).unwrap();
    let longer = one_step(small(100));
    let net = train::head(&encoder, &series, &longer, Seed(1), &mut |_| {}).unwrap();
    let spread = net.spreads()[0];
    let fine = 0.85..=0.95;
    match spread.rescaled {
        None => assert!(
            fine.contains(&spread.coverage) && spread.factor == 1.0,
            "{spread:?}"
        ),
        Some(covered) => {
            assert!(
                !fine.contains(&spread.coverage) && spread.factor != 1.0,
                "{spread:?}"
            );
            assert!((0.8..=0.98).contains(&covered), "{spread:?}");
        }
    }
    // The same measured from outside, by asking for each step of the last tenth.
    let values: Vec<f64> = series[0].peaks.iter().flatten().collect();
    let windows: Vec<Vec<f64>> = (1296..1424).map(|i| values[i..i + 16].to_vec()).collect();
    let scale = net.known()[0].scale;
    let asks: Vec<Ask<'_>> = windows
        .iter()
        .enumerate()
        .map(|(i, w)| ask(&series[0], w, 1296 + i, scale))
        .collect();
    let told = net.tell(&asks, 128, Seed(9));
    let within = |(i, told): (usize, &Result<Vec<Told>, _>)| {
        let told: &Told = &told.as_ref().unwrap()[0];
        let truth = values[1296 + i + 16];
        (truth - told.center).abs() <= 1.644_854 * told.deviation() / told.factor
    };
    let inside = told
        .iter()
        .enumerate()
        .filter(|(i, t)| within((*i, t)))
        .count();
    let share = inside as f64 / windows.len() as f64;
    assert!((share - spread.coverage).abs() < 0.05, "{share} {spread:?}");
    for report in [encoder.report(), net.report()] {
        assert!(report.test < 0.8 * report.persistence, "{report:?}");
    }
}

#[test]
fn the_weights_are_those_of_the_best_epoch_and_patience_ends_early() {
    let series = [wave("f", 400, 6.0)];
    let mut seen = Vec::new();
    let training = Training {
        rate: 0.03,
        patience: 4,
        ..small(200)
    };
    let trained = train::encoder(&series, &training, Seed(1), &mut |e| seen.push(*e)).unwrap();
    let report = trained.report();
    assert!(seen.len() < 200 && seen.len() == report.epochs);
    let least = seen
        .iter()
        .min_by(|a, b| a.validation.total_cmp(&b.validation));
    assert_eq!(least, Some(&report.best));
    assert_eq!(report.best.number + 4, report.epochs);
    // The file holds the best weights and not the last: trained only so far, they are the same.
    let shorter = Training {
        epochs: report.best.number,
        ..training
    };
    let again = train::encoder(&series, &shorter, Seed(1), &mut |_| {}).unwrap();
    assert_eq!(again.net(), trained.net());
}

#[test]
fn an_encoder_of_another_form_is_refused() {
    let series = [wave("f", 400, 2.0)];
    let encoder = train::encoder(&series, &small(1), Seed(1), &mut |_| {}).unwrap();
    let refused = |training: Training| {
        let error = train::head(&encoder, &series, &training, Seed(1), &mut |_| {}).unwrap_err();
        assert!(matches!(error, PoolNetError::Encoder { .. }), "{error}");
        error.to_string()
    };
    let own = one_step(small(1));
    let text = refused(Training { window: 10, ..own });
    assert!(
        text.contains("the encoder reads 16 steps, 10 are asked for"),
        "{text}"
    );
    let text = refused(Training {
        shape: Shape::Published,
        ..own
    });
    assert!(text.contains("Published"), "{text}");
}

#[test]
fn files_are_read_back_and_damaged_ones_are_refused() {
    let series = [wave("owner/app/f", 400, 2.0)];
    let (encoder, net) = both(&series, &small(1), 1);
    let (first, second) = (encoder.save(), net.save());
    assert_eq!(restore_encoder(&first).unwrap(), encoder);
    assert_eq!(restore_net(&second).unwrap(), net);
    let kind = restore_net(&first).unwrap_err().to_string();
    assert!(kind.contains("of another net (encoder-decoder)"), "{kind}");
    assert!(restore_encoder(&second).is_err());
    for end in [0, 7, 8, 200, second.len() / 2, second.len() - 1] {
        assert!(restore_net(&second[..end]).is_err(), "{end}");
    }
    let pickle = restore_net(b"\x80\x02anything").unwrap_err().to_string();
    assert!(pickle.contains("can run code"), "{pickle}");
    // Settings that ask for another net, or for none that may be.
    let text = String::from_utf8_lossy(&second).into_owned();
    for (from, to) in [
        ("\\\"window\\\":16", "\\\"window\\\":17"),
        ("\\\"reach\\\":1", "\\\"reach\\\":9"),
        ("\\\"dropout\\\":0.25", "\\\"dropout\\\":1.25"),
        ("\\\"batch\\\":32", "\\\"batch\\\":00"),
        ("\\\"kind\\\"", "\\\"mind\\\""),
    ] {
        assert!(text.contains(from), "{from}");
        assert!(
            restore_net(&replaced(&second, from, to)).is_err(),
            "{from} to {to}"
        );
    }
    let mut endless = second.clone();
    let last = endless.len() - 4;
    endless[last..].copy_from_slice(&f32::NAN.to_le_bytes());
    let error = restore_net(&endless).unwrap_err().to_string();
    assert!(error.contains("not finite"), "{error}");
    let file = safetensors::read(&second).unwrap();
    assert!(file.metadata["foresail"].contains("owner/app/f"));
}

/// Bytes with one text replaced by another of the same length.
fn replaced(bytes: &[u8], from: &str, to: &str) -> Vec<u8> {
    assert_eq!(from.len(), to.len());
    let place = bytes
        .windows(from.len())
        .position(|w| w == from.as_bytes())
        .unwrap();
    let mut bytes = bytes.to_vec();
    bytes[place..place + to.len()].copy_from_slice(to.as_bytes());
    bytes
}

#[test]
fn steps_ahead_each_have_their_answer_and_their_errors() {
    let series = [wave("f", 400, 2.0)];
    let training = Training {
        reach: 3,
        ..small(2)
    };
    let encoder = train::encoder(&series, &training, Seed(1), &mut |_| {}).unwrap();
    let net = train::head(&encoder, &series, &training, Seed(1), &mut |_| {}).unwrap();
    let values = window(&series[0], 40);
    let told = net.tell(
        &[ask(&series[0], &values, 40, net.known()[0].scale)],
        64,
        Seed(1),
    );
    assert_eq!(told[0].as_ref().unwrap().len(), 3);
    assert_eq!(net.spreads().len(), 3);
    assert_eq!(net.parameters()[1], 20 * 64 + 64 + 1040 + 17 * 3);
}

/// Lanes beyond the windows of a block must not count.
#[test]
fn a_batch_that_fills_no_block_is_a_mean_over_its_own_windows() {
    let series = [wave("f", 400, 2.0)];
    let whole = |batch: usize| {
        let training = Training {
            batch,
            dropout: 0.0,
            ..small(1)
        };
        let mut losses = Vec::new();
        train::encoder(&series, &training, Seed(1), &mut |e| {
            losses.push(e.training);
        })
        .unwrap();
        losses[0]
    };
    // One batch of all 301 windows, whatever is above it.
    assert!((whole(301) - whole(65_536)).abs() < 1e-12);
    assert!(whole(LANES + 1).is_finite());
}
