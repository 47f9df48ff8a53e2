//! Training of the encoder-decoder, then of the prediction network behind its encoder.

use foresail_nn::lstm::stack::{Stack, StackTape};
use foresail_nn::{LANES, Row};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::encoder_decoder::{self, EncoderDecoder, latents};
use super::head::{self, Head};
use super::learn::{Epoch, Learnt, Lesson, judge, run};
use super::saved::Trained;
use super::serve::PoolNet;
use super::spread;
use super::windows::{Place, Windows};
use super::{FEATURES, PoolNetError, PoolSeries, Training};
use crate::rng::{Seed, child};

/// What came of a training. Units of losses: mean squared error of scaled values.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Report {
    /// Windows of the training, validation and test part.
    pub windows: [usize; 3],
    /// Windows that were dropped for a gap.
    pub dropped: usize,
    /// Windows beyond the most that are learnt from.
    pub left_out: usize,
    /// Epochs that were run.
    pub epochs: usize,
    /// The epoch whose weights were taken.
    pub best: Epoch,
    /// Loss over the test part, without dropout.
    pub test: f64,
    /// The same of one who says that the last value stays.
    pub persistence: f64,
}

impl Report {
    fn of<N>(windows: &Windows, (_, best, epochs): &Learnt<N>, test: f64) -> Self {
        Self {
            windows: windows.parts.each_ref().map(Vec::len),
            dropped: windows.dropped,
            left_out: windows.left_out,
            epochs: *epochs,
            best: *best,
            test,
            persistence: windows.persistence(),
        }
    }
}

/// What the encoder-decoder learns.
struct Decoding<'a>(&'a Windows);

impl Lesson for Decoding<'_> {
    type Net = EncoderDecoder;
    type Tape = encoder_decoder::Tape;
    type Masks = encoder_decoder::Masks;

    fn draw(&self, net: &EncoderDecoder, stream: &mut ChaCha8Rng) -> Self::Masks {
        net.draw(stream)
    }

    fn forward<'a>(
        &self,
        net: &EncoderDecoder,
        places: &[Place],
        masks: &Self::Masks,
        tape: &'a mut Self::Tape,
    ) -> &'a [Row<f32>] {
        net.forward(&self.0.inputs(places), masks, tape)
    }

    fn backward(
        &self,
        net: &mut EncoderDecoder,
        gradient: &[Row<f32>],
        masks: &Self::Masks,
        tape: &mut Self::Tape,
    ) {
        net.backward(gradient, masks, tape);
    }

    fn targets(&self, places: &[Place]) -> Vec<Row<f32>> {
        self.0.targets(places)
    }
}

/// Trains an encoder-decoder on some functions together.
///
/// # Errors
/// [`PoolNetError`] where a history is too short, or the numbers run out of range.
pub fn encoder(
    series: &[PoolSeries],
    training: &Training,
    seed: Seed,
    watch: &mut dyn FnMut(&Epoch),
) -> Result<Trained, PoolNetError> {
    let windows = Windows::cut(series, training)?;
    let net = EncoderDecoder::new(training, &mut child(seed, "pool net encoder weights"));
    let lesson = Decoding(&windows);
    let [learnt, judged, tested] = &windows.parts;
    let result = run(&lesson, net, training, [learnt, judged], seed, watch)?;
    let test = judge(&lesson, &result.0, tested);
    let report = Report::of(&windows, &result, test);
    Ok(Trained {
        training: *training,
        step: windows.step,
        known: windows.known,
        report,
        net: result.0,
    })
}

/// What the prediction network learns: latents do not change, so they are there already.
struct Telling<'a> {
    windows: &'a Windows,
    /// Latents of every window, by its number.
    latents: Vec<f32>,
}

impl<'a> Telling<'a> {
    /// The encoder never drops anything out here: it is not what is trained.
    fn new(windows: &'a Windows, encoder: &Stack) -> Self {
        let all: Vec<Place> = windows.parts.concat();
        let one = |tape: &mut StackTape, places: &[Place]| {
            let rows = latents(encoder, &windows.inputs(places), tape);
            let lane = |lane: usize| rows.iter().map(move |row| row[lane]);
            (0..places.len()).flat_map(lane).collect::<Vec<f32>>()
        };
        let parts: Vec<Vec<f32>> = all
            .par_chunks(LANES)
            .map_init(StackTape::default, one)
            .collect();
        Self {
            windows,
            latents: parts.concat(),
        }
    }
}

impl Lesson for Telling<'_> {
    type Net = Head;
    type Tape = head::Tape;
    type Masks = head::Masks;

    fn draw(&self, net: &Head, stream: &mut ChaCha8Rng) -> Self::Masks {
        net.draw(stream)
    }

    fn forward<'a>(
        &self,
        net: &Head,
        places: &[Place],
        masks: &Self::Masks,
        tape: &'a mut Self::Tape,
    ) -> &'a [Row<f32>] {
        let window = self.windows.window;
        let mut rows = vec![[0.0; LANES]; window + FEATURES];
        for (lane, place) in places.iter().enumerate() {
            let latents = &self.latents[place.at as usize * window..][..window];
            let time = self.windows.next(*place);
            for (row, number) in rows.iter_mut().zip(latents.iter().chain(&time)) {
                row[lane] = *number;
            }
        }
        net.forward(&rows, masks, tape)
    }

    fn backward(
        &self,
        net: &mut Head,
        gradient: &[Row<f32>],
        masks: &Self::Masks,
        tape: &mut Self::Tape,
    ) {
        net.backward(gradient, masks, tape);
    }

    fn targets(&self, places: &[Place]) -> Vec<Row<f32>> {
        self.windows.targets(places)
    }
}

/// Trains the prediction network behind an encoder, whose weights stay as they are.
///
/// The functions need not be those of the encoder; each is seen relative to its own scale.
///
/// # Errors
/// [`PoolNetError`] where a history is too short, the encoder is of another form, or the numbers run
/// out of range.
pub fn head(
    encoder: &Trained,
    series: &[PoolSeries],
    training: &Training,
    seed: Seed,
    watch: &mut dyn FnMut(&Epoch),
) -> Result<PoolNet, PoolNetError> {
    let windows = Windows::cut(series, training)?;
    fits(encoder, training, &windows)?;
    let lesson = Telling::new(&windows, &encoder.net.encoder);
    let net = Head::new(training, &mut child(seed, "pool net head weights"));
    let [learnt, judged, tested] = &windows.parts;
    let result = run(&lesson, net, training, [learnt, judged], seed, watch)?;
    let test = judge(&lesson, &result.0, tested);
    let report = Report::of(&windows, &result, test);
    let mut net = PoolNet {
        encoder: encoder.net.encoder.clone(),
        head: result.0,
        own: super::serve::Own {
            training: *training,
            encoder_dropout: encoder.training.dropout,
            step: windows.step.nanos(),
            known: windows.known.clone(),
            spreads: Vec::new(),
            report,
        },
    };
    net.own.spreads = spread::measure(&net, &windows, seed);
    Ok(net)
}

fn fits(encoder: &Trained, training: &Training, windows: &Windows) -> Result<(), PoolNetError> {
    let differs = |what: String| Err(PoolNetError::Encoder { what });
    let (own, step) = (&encoder.training, encoder.step);
    if own.window != training.window {
        let (reads, asked) = (own.window, training.window);
        return differs(format!(
            "the encoder reads {reads} steps, {asked} are asked for"
        ));
    }
    if own.shape != training.shape {
        let (has, asked) = (own.shape, training.shape);
        return differs(format!(
            "the encoder has the shape {has:?}, {asked:?} is asked for"
        ));
    }
    if step != windows.step {
        let asked = windows.step;
        return differs(format!(
            "the encoder has learnt steps of {step}, these are of {asked}"
        ));
    }
    Ok(())
}
