//! Fitting: windows in order of time, the last fifth of them kept back, the others shuffled.

use foresail_nn::loss::Loss;
use foresail_nn::optimize::{Adam, clip};
use foresail_nn::{LANES, Layer, Row};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::Rng;

use super::fitted::{FittedLstm, Scale};
use super::net::{Net, Tape};
use super::{Lstm, Scaling};
use crate::forecast::FitError;
use crate::forecast::quantile::deviation;
use crate::rng::{Seed, child};

/// Share of windows that the weights are fitted to.
const FITTED_SHARE: f64 = 0.8;

/// Norm to which gradients are cut where the fit is robust.
const NORM_MAX: f64 = 1.0;

/// Windows of a series and what follows each.
struct Windows<'a> {
    settings: &'a Lstm,
    values: &'a [f64],
    scale: Scale,
    anchors: Vec<usize>,
}

impl Windows<'_> {
    fn count(&self) -> usize {
        self.values.len() + 1 - self.settings.window - self.settings.reach
    }

    fn window(&self, place: usize) -> &[f64] {
        &self.values[place..place + self.settings.window]
    }

    fn ahead(&self, place: usize) -> &[f64] {
        &self.values[place + self.settings.window..][..self.settings.reach]
    }

    /// Inputs and targets of some windows side by side.
    fn rows(&self, places: &[usize]) -> (Vec<Row<f32>>, Vec<Row<f32>>) {
        let mut x = vec![[0.0; LANES]; self.settings.window];
        let mut y = vec![[0.0; LANES]; self.anchors.len()];
        for (lane, place) in places.iter().enumerate() {
            let (window, ahead) = (self.window(*place), self.ahead(*place));
            let center = self.scale.put(window, lane, &mut x);
            for (row, anchor) in y.iter_mut().zip(&self.anchors) {
                let target = if self.settings.mean {
                    ahead.iter().sum::<f64>() / ahead.len() as f64
                } else {
                    ahead[anchor - 1]
                };
                row[lane] = self.scale.inward(target, center);
            }
        }
        (x, y)
    }
}

/// Fits a net to values without gaps; there are enough of them.
pub(super) fn fit(settings: &Lstm, values: &[f64], seed: Seed) -> Result<FittedLstm, FitError> {
    let fitted = (values.len() as f64 * FITTED_SHARE) as usize;
    let windows = Windows {
        settings,
        values,
        scale: Scale::of(settings.scaling, &values[..fitted]),
        anchors: settings.anchors(),
    };
    let learnt = (windows.count() as f64 * FITTED_SHARE) as usize;
    // What follows the first window kept back was not part of any target.
    let judged: Vec<usize> = (learnt + settings.reach - 1..windows.count()).collect();
    let mut net = Net::new(settings, &mut child(seed, "lstm weights"));
    let mut order: Vec<usize> = (0..learnt).collect();
    let mut streams = Streams {
        order: child(seed, "lstm order"),
        dropout: child(seed, "lstm dropout"),
    };
    let mut adam = Adam::new(settings.rate);
    let mut tape = Tape::default();
    let mut best: Option<(f64, Net)> = None;
    let mut waited = 0;
    for _ in 0..settings.epochs {
        epoch(
            &mut net,
            &mut adam,
            &windows,
            &mut order,
            &mut streams,
            &mut tape,
        );
        if settings.patience == 0 {
            continue;
        }
        let loss = judge(&net, &windows, &judged, &mut tape);
        if best.as_ref().is_none_or(|(least, _)| loss < *least) {
            best = Some((loss, net.clone()));
            waited = 0;
        } else {
            waited += 1;
        }
        if waited >= settings.patience {
            break;
        }
    }
    let mut net = best.map_or(net, |(_, net)| net);
    net.clear_gradients();
    let finite = |p: &foresail_nn::Parameter| p.value.iter().all(|v| v.is_finite());
    if !net.parameters().iter().all(|(_, p)| finite(p)) {
        return Err(FitError::NotFinite { model: "lstm" });
    }
    let mut fitted = FittedLstm::new(settings, windows.scale, seed, net, values);
    fitted.measure(values, &judged);
    Ok(fitted)
}

struct Streams {
    order: ChaCha8Rng,
    dropout: ChaCha8Rng,
}

fn loss_of(settings: &Lstm) -> Loss {
    if settings.robust {
        Loss::Huber { delta: 1.0 }
    } else {
        Loss::Squared
    }
}

/// One pass over all windows in a new order.
fn epoch(
    net: &mut Net,
    adam: &mut Adam,
    windows: &Windows<'_>,
    order: &mut [usize],
    streams: &mut Streams,
    tape: &mut Tape,
) {
    shuffle(order, &mut streams.order);
    let loss = loss_of(windows.settings);
    let mut gradient = Vec::new();
    for batch in order.chunks(windows.settings.batch) {
        net.clear_gradients();
        for places in batch.chunks(LANES) {
            let (x, y) = windows.rows(places);
            let out = net.forward(&x, &mut streams.dropout, tape);
            let lanes = (places.len(), batch.len() * y.len());
            loss.measure(out, &y, lanes, &mut gradient);
            net.backward(&gradient, tape);
        }
        if windows.settings.robust {
            clip(net, NORM_MAX);
        }
        adam.step(net);
    }
}

/// Fisher and Yates' shuffle.
fn shuffle(order: &mut [usize], stream: &mut ChaCha8Rng) {
    for i in (1..order.len()).rev() {
        // The bias of a remainder of 64 bits is below 1e-14 here.
        order.swap(i, (stream.next_u64() % (i as u64 + 1)) as usize);
    }
}

/// Loss over windows that the weights were not fitted to.
fn judge(net: &Net, windows: &Windows<'_>, places: &[usize], tape: &mut Tape) -> f64 {
    let loss = loss_of(windows.settings);
    let mut sum = 0.0;
    for some in places.chunks(LANES) {
        let (x, y) = windows.rows(some);
        let lanes = (some.len(), places.len() * y.len());
        sum += loss.measure(net.predict(&x, tape), &y, lanes, &mut Vec::new());
    }
    sum
}

impl Scale {
    /// Mean and deviation of the history as a scaling needs them.
    fn of(scaling: Scaling, values: &[f64]) -> Self {
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        let spread = deviation(values.iter().copied());
        let varies = spread > 1e-9 * mean.abs() && spread > 0.0;
        Self {
            scaling,
            mean,
            deviation: if varies && scaling != Scaling::None {
                spread
            } else {
                1.0
            },
        }
    }
}
