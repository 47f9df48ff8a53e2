//! What only the inside can see: latents, the encoder while the head learns, and passes one by one.

use foresail_core::quantity::series::Series;
use foresail_core::quantity::time::{Span, Timestamp};
use foresail_nn::activation::Activation;
use foresail_nn::dropout::Mask;
use foresail_nn::lstm::stack::StackTape;
use foresail_nn::{LANES, Layer, Row};

use super::encoder_decoder::{EncoderDecoder, draw_encoder, encoder};
use super::windows::put;
use super::*;
use crate::rng::{Seed, child, normal};

/// A wave of an hour around 20 containers with noise, for about thirteen hours.
pub(super) fn wave(id: &str) -> PoolSeries {
    let mut stream = child(Seed(9), id);
    let value = |i: usize| {
        let wave = (std::f64::consts::TAU * i as f64 / 60.0).sin();
        let value = 20.0 + 8.0 * wave + 1.5 * normal(&mut stream);
        if value > 0.0 { value.round() } else { 0.0 }
    };
    let values = (0..800).map(value).collect();
    let start = Timestamp::from_seconds(1_767_571_200);
    PoolSeries {
        id: id.to_owned(),
        peaks: Series::new(start, Span::from_seconds(60), values),
    }
}

fn quick(training: Training) -> Training {
    Training {
        window: 16,
        reach: training.reach.min(4),
        epochs: 2,
        rate: 3e-3,
        ..training
    }
}

fn trained(shape: Shape) -> (Trained, PoolNet) {
    let series = [wave("f")];
    let of = |training| quick(Training { shape, ..training });
    let encoder = train::encoder(&series, &of(Training::encoder()), Seed(1), &mut |_| {}).unwrap();
    let net = train::head(
        &encoder,
        &series,
        &of(Training::head()),
        Seed(1),
        &mut |_| {},
    )
    .unwrap();
    (encoder, net)
}

/// Share of passes in which every latent of a window is zero that has some without dropout.
fn share_of_blind_passes(shape: Shape) -> f64 {
    let mut stream = child(Seed(3), "blind");
    let mut net = encoder::<f32>(&mut stream);
    // Latents far above zero, so that none is blind but for the mask on them.
    for (name, parameter) in net.parameters_mut() {
        if name == "lstm2.bias_ih_l0" {
            parameter.value[2] = 5.0;
        }
    }
    let mut x = vec![[0.0; LANES]; 48 * INPUTS];
    for row in &mut x {
        *row = [normal(&mut stream) as f32; LANES];
    }
    let mut tape = StackTape::default();
    let latents = |masks: &[Option<Mask>], tape: &mut StackTape| {
        let mut rows = net.forward(&x, masks, tape).to_vec();
        Activation::Relu.forward(&mut rows);
        rows
    };
    assert!(latents(&[], &mut tape).iter().any(|row| row[0] > 0.0));
    let (mut blind, passes) = (0, 200);
    for _ in 0..passes {
        let rows = latents(&draw_encoder(shape, 0.25, &mut stream), &mut tape);
        let is_blind = |lane: &usize| rows.iter().all(|row| row[*lane] == 0.0);
        blind += (0..LANES).filter(is_blind).count();
    }
    blind as f64 / (passes * LANES) as f64
}

/// The last mask of the published encoder stands on one channel: one draw decides over all of a pass.
#[test]
fn a_quarter_of_the_published_passes_sees_nothing_and_no_sound_one_does() {
    let published = share_of_blind_passes(Shape::Published);
    // Four standard errors of 6,400 draws.
    assert!(
        (published - 0.25).abs() < 4.0 * (0.1875_f64 / 6400.0).sqrt(),
        "{published}"
    );
    assert!(share_of_blind_passes(Shape::Sound) < 0.01);
}

#[test]
fn in_the_sound_shape_no_layer_of_one_channel_is_masked() {
    let masked = |shape| {
        let training = Training {
            shape,
            ..Training::encoder()
        };
        let net = EncoderDecoder::<f32>::new(&training, &mut child(Seed(1), "x"));
        let masks = net.draw(&mut child(Seed(1), "y"));
        [masks.encoder, masks.decoder].map(|pair| pair.map(|m| m.map(|m| m.rows().len())))
    };
    assert_eq!(masked(Shape::Sound), [[Some(64), None], [Some(16), None]]);
    let all = [[Some(64), Some(1)], [Some(16), Some(1)]];
    assert_eq!(masked(Shape::Published), all);
}

/// Passes share the first layer and are one product in the second: the same as the whole encoder over
/// the window in every lane, with the same draws.
#[test]
fn passes_equal_the_whole_net_run_for_each() {
    for shape in [Shape::Sound, Shape::Published] {
        let (_, net) = trained(shape);
        let series = wave("g");
        let values: Vec<f64> = series.peaks.iter().take(16).flatten().collect();
        let ask = Ask {
            id: "g",
            window: &values,
            scale: net.scale_of("f").unwrap(),
            next: series.peaks.time_of(16),
        };
        let told = net.tell(&[ask], 128, Seed(5)).remove(0).unwrap()[0];
        let mut x = vec![[0.0; LANES]; 16 * INPUTS];
        for lane in 0..LANES {
            let seen = values.iter().map(|v| ask.scale.inward(*v) as f32);
            let times = (0..16).map(|i| features(series.peaks.time_of(i)).map(|f| f as f32));
            put(seen, times, lane, &mut x);
        }
        let next = features(ask.next).map(|f| [f as f32; LANES]);
        let name = format!("pool net passes {} g", ask.next.nanos());
        let mut stream = child(Seed(5), &name);
        let mut all = Vec::new();
        for _ in 0..4 {
            let masks = draw_encoder(shape, 0.25, &mut stream);
            let mut rows: Vec<Row<f32>> = net
                .encoder
                .forward(&x, &masks, &mut StackTape::default())
                .to_vec();
            Activation::Relu.forward(&mut rows);
            rows.extend(next);
            let masks = net.head.draw(&mut stream);
            let mut tape = head::Tape::default();
            let out = net.head.forward(&rows, &masks, &mut tape);
            all.extend(out[0].map(f64::from));
        }
        let mean = all.iter().sum::<f64>() / 128.0;
        let variance = all.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / 128.0;
        let unit = ask.scale.unit();
        let center = values[0] + mean * unit;
        assert!((told.center - center).abs() < 1e-4, "{told:?} {center}");
        assert!(
            (told.variance / (variance * unit * unit) - 1.0).abs() < 1e-4,
            "{told:?}"
        );
        assert!((told.residual / unit / unit - net.spreads()[0].residual).abs() < 1e-9);
    }
}

/// The published code trains the head with the encoder's dropout left on.
#[test]
fn while_the_head_learns_the_encoder_neither_changes_nor_drops_anything() {
    let (mut encoder, net) = trained(Shape::Sound);
    assert_eq!(net.encoder, encoder.net.encoder);
    encoder.training.dropout = 0.9;
    let training = quick(Training::head());
    let again = train::head(&encoder, &[wave("f")], &training, Seed(1), &mut |_| {}).unwrap();
    assert_eq!(again.head, net.head);
    assert_eq!(again.report(), net.report());
}

/// The published code takes .2 whatever it is told.
#[test]
fn the_dropout_of_the_head_is_the_one_that_is_asked_for() {
    let (encoder, net) = trained(Shape::Sound);
    let with = |dropout: f64| {
        let training = Training {
            dropout,
            ..quick(Training::head())
        };
        train::head(&encoder, &[wave("f")], &training, Seed(1), &mut |_| {}).unwrap()
    };
    assert_eq!(with(0.25).head, net.head);
    assert_ne!(with(0.2).head, net.head);
    let stream = || child(Seed(2), "masks");
    let zeros = |net: &PoolNet| {
        let masks = net.head.draw(&mut stream()).0.unwrap();
        let numbers = masks.iter().flat_map(|m| m.rows()).flatten();
        numbers.filter(|v| **v == 0.0).count() as f64 / (144.0 * LANES as f64)
    };
    for (net, rate) in [(with(0.6), 0.6), (net, 0.25)] {
        assert!((zeros(&net) - rate).abs() < 0.03, "{rate}");
    }
}

#[test]
fn the_heads_weights_are_no_part_of_the_encoders_file() {
    let (encoder, net) = trained(Shape::Sound);
    assert_eq!(net.encoder.count(), 18_444);
    let names = |bytes: &[u8]| {
        let file = foresail_nn::safetensors::read(bytes).unwrap();
        file.tensors.into_keys().collect::<Vec<_>>()
    };
    let (first, second) = (names(&encoder.save()), names(&net.save()));
    assert!(
        first.contains(&"model.encoder.model.lstm2.bias_hh_l0".to_owned()),
        "{first:?}"
    );
    assert!(first.contains(&"model.fc2.weight".to_owned()));
    assert!(
        second.contains(&"encoder.model.lstm1.weight_ih_l0".to_owned()),
        "{second:?}"
    );
    let heads: Vec<&String> = second.iter().filter(|n| n.starts_with("model.")).collect();
    assert_eq!(heads.len(), 6);
}
