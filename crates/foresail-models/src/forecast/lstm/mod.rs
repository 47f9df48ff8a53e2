//! A long short-term memory that reads the last window and tells the steps ahead at once.
//!
//! The net has one output for each of some steps ahead (1, 2, 3 … 60: ever sparser); the steps between
//! lie on the line between their neighbours. Beyond the last output the forecast is appended to the
//! window and the net asked again. Quantiles are those of the errors of that step ahead in the last
//! fifth of the history, which the weights were not fitted to. The band is wider where passes with
//! dropout left on differ more than they do there, and, where the net was asked again, by the errors
//! before, up to the spread of the series itself. Of a short history the window is at most a quarter
//! and the reach a twelfth.
//! Source of the passes: Gal & Ghahramani 2016, Dropout as a Bayesian Approximation.

mod fitted;
mod net;
mod train;

use foresail_core::quantity::series::Series;
use serde::{Deserialize, Serialize};

use super::{Fit, FitError, Forecaster, held_values};
use crate::knobs::{Kind, Knob, Knobs};
use crate::registry::{FitBuilt, ForecasterEntry};
use crate::rng::Seed;
pub use fitted::FittedLstm;

/// Windows without which nothing is fitted: enough for some of them to be kept back.
const WINDOWS_MIN: usize = 10;

/// Points without which there is no net at all.
const POINTS_MIN: usize = 60;

/// The most numbers that a net may learn; more is a mistake at one series.
const PARAMETERS_MAX: usize = 2_000_000;

/// The knobs of the net, for every forecaster that has one inside.
pub const KNOBS: [Knob; 13] = [
    Knob::number(
        "windowSteps",
        [60.0, 2.0, 1440.0],
        "steps that the net reads",
    ),
    Knob::number(
        "horizonSteps",
        [60.0, 1.0, 1440.0],
        "steps that the net tells at once; beyond them it is asked again",
    ),
    Knob::number(
        "targetSteps",
        [0.0, 0.0, 1440.0],
        "0 = each step ahead has its own value; k = one value, the mean of the next k steps",
    ),
    Knob::number("hidden", [64.0, 1.0, 512.0], "units of a layer"),
    Knob::number("layers", [1.0, 1.0, 4.0], "layers on top of each other"),
    Knob::number(
        "epochs",
        [10.0, 1.0, 1000.0],
        "passes over the history; one of few windows is gone over more often",
    ),
    Knob::number("batch", [128.0, 1.0, 4096.0], "windows of one step of Adam"),
    Knob::number("learningRate", [3e-3, 1e-6, 1.0], "learning rate of Adam"),
    Knob::number(
        "dropoutPercent",
        [10.0, 0.0, 90.0],
        "share of units left out at random, in training and in the passes",
    ),
    Knob::number(
        "patience",
        [3.0, 0.0, 1000.0],
        "epochs without a better validation after which the best weights are taken; 0 = never",
    ),
    Knob::number(
        "passes",
        [50.0, 0.0, 1024.0],
        "passes with dropout left on, for the spread",
    ),
    Knob::number(
        "pointsMax",
        [20_160.0, 100.0, 86_400.0],
        "newest points that are learnt from",
    ),
    Knob {
        name: "scaling",
        kind: Kind::Word {
            default: "window",
            known: &["window", "series", "none"],
        },
        doc: "what the net sees: values less the window's mean, or the history's, in deviations; or as they are",
    },
];

/// The registry's entry.
pub const ENTRY: ForecasterEntry = ForecasterEntry {
    name: "lstm",
    summary: "a recurrent net over the last window, its spread from passes with dropout",
    suits: "long histories whose next steps follow from the last ones in ways no formula says",
    knobs: &KNOBS,
    build: |knobs| -> FitBuilt { Ok(Box::new(Lstm::of(knobs)?)) },
    restore: |state| Ok(Box::new(FittedLstm::restore(state)?)),
};

/// What the net sees of a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scaling {
    /// Less the window's mean, over the history's deviation.
    Window,
    /// Less the history's mean, over its deviation.
    Series,
    /// As it is.
    None,
}

/// The forecaster, not fitted.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Lstm {
    /// Steps that the net reads.
    pub window: usize,
    /// Steps that the net tells at once.
    pub reach: usize,
    /// One output, the mean of `reach` steps, instead of one for each.
    pub mean: bool,
    /// Units of a layer.
    pub hidden: usize,
    /// Layers on top of each other.
    pub layers: usize,
    /// Units between the last layer and the outputs, with a ReLU; 0 = none.
    pub between: usize,
    /// Passes over the history.
    pub epochs: usize,
    /// Windows of one step of Adam.
    pub batch: usize,
    /// Learning rate of Adam.
    pub rate: f64,
    /// Share of units left out.
    pub dropout: f64,
    /// Epochs without a better validation before the end; 0 = all epochs, the last weights.
    pub patience: usize,
    /// Passes with dropout left on.
    pub passes: usize,
    /// Newest points that are learnt from.
    pub points_max: usize,
    /// What the net sees.
    pub scaling: Scaling,
    /// Errors beyond one deviation count straight instead of squared, and gradients are cut.
    pub robust: bool,
    /// Values may be below zero, as the errors of another forecaster are.
    pub signed: bool,
}

impl Lstm {
    /// From checked knobs; the text says what is wrong with them together.
    ///
    /// # Errors
    /// A net of too many parameters.
    pub fn of(knobs: &Knobs) -> Result<Self, String> {
        let whole = |name: &str| knobs.number(name) as usize;
        let mean = whole("targetSteps");
        let lstm = Self {
            window: whole("windowSteps"),
            reach: if mean > 0 {
                mean
            } else {
                whole("horizonSteps")
            },
            mean: mean > 0,
            hidden: whole("hidden"),
            layers: whole("layers"),
            between: 0,
            epochs: whole("epochs"),
            batch: whole("batch"),
            rate: knobs.number("learningRate"),
            dropout: knobs.number("dropoutPercent") / 100.0,
            patience: whole("patience"),
            passes: whole("passes"),
            points_max: whole("pointsMax"),
            scaling: match knobs.word("scaling") {
                "series" => Scaling::Series,
                "none" => Scaling::None,
                _ => Scaling::Window,
            },
            robust: true,
            signed: false,
        };
        lstm.check()?;
        Ok(lstm)
    }

    /// The net of the published study of Prophet and LSTM policies: window 60, LSTM(1 → 64),
    /// 64 → 32 → 1 with a ReLU, 19,265 parameters; the mean of the next 15 steps, raw values, squared
    /// error, Adam at 0.001, batches of 128, 5 epochs over the first four fifths.
    #[must_use]
    pub fn study_shape() -> Self {
        Self {
            window: 60,
            reach: 15,
            mean: true,
            hidden: 64,
            layers: 1,
            between: 32,
            epochs: 5,
            batch: 128,
            rate: 1e-3,
            dropout: 0.0,
            patience: 0,
            passes: 0,
            points_max: super::POINTS_MAX,
            scaling: Scaling::None,
            robust: false,
            signed: false,
        }
    }

    /// Steps ahead that stand for those between them: ever sparser, the last is `reach`.
    fn marks(&self) -> Vec<usize> {
        let next = |a: &usize| (*a < self.reach).then(|| (a + (a / 4).max(1)).min(self.reach));
        std::iter::successors(Some(1), next).collect()
    }

    /// Steps ahead that have an output of their own.
    fn anchors(&self) -> Vec<usize> {
        if self.mean {
            vec![self.reach]
        } else {
            self.marks()
        }
    }

    fn parameters(&self) -> usize {
        let (h, outputs) = (self.hidden, self.anchors().len());
        let first = 4 * h * (h + 1 + 2);
        let others = (self.layers - 1) * 4 * h * (2 * h + 2);
        let head = match self.between {
            0 => (h + 1) * outputs,
            between => (h + 1) * between + (between + 1) * outputs,
        };
        first + others + head
    }

    /// Bounds that a net must keep, wherever its settings come from.
    fn check(&self) -> Result<(), String> {
        let within = |name: &str, value: usize, least: usize, most: usize| {
            let fine = (least..=most).contains(&value);
            fine.then_some(())
                .ok_or(format!("{name} {value}: must be {least} to {most}"))
        };
        within("window", self.window, 2, 1440)?;
        within("reach", self.reach, 1, 1440)?;
        within("hidden", self.hidden, 1, 512)?;
        within("layers", self.layers, 1, 4)?;
        within("between", self.between, 0, 512)?;
        within("epochs", self.epochs, 1, 1000)?;
        within("batch", self.batch, 1, 4096)?;
        within("passes", self.passes, 0, 1024)?;
        within("parameters", self.parameters(), 1, PARAMETERS_MAX)?;
        let share = (0.0..1.0).contains(&self.dropout);
        let rate = self.rate > 0.0 && self.rate.is_finite();
        (share && rate)
            .then_some(())
            .ok_or_else(|| "dropout must be 0 to below 1, the learning rate above 0".to_owned())
    }

    /// Fits to values without gaps, the newest last.
    ///
    /// # Errors
    /// [`FitError`] where there are too few, or the numbers run out of range.
    pub fn fit_values(&self, values: &[f64], seed: Seed) -> Result<FittedLstm, FitError> {
        self.check().map_err(|must| FitError::Setting {
            what: "lstm".to_owned(),
            must,
        })?;
        let needed = self.needed();
        if values.len() < needed {
            let found = values.len();
            return Err(FitError::TooShort { needed, found });
        }
        let own = self.cut_to(values.len());
        let needed = own.windows_needed();
        let values = &values[values.len().saturating_sub(self.points_max.max(needed))..];
        train::fit(&own, values, seed)
    }

    /// Points without which there is no fit.
    #[must_use]
    pub fn needed(&self) -> usize {
        let all = self.windows_needed();
        if self.mean { all } else { all.min(POINTS_MIN) }
    }

    /// The same, its window at most a quarter and its reach a twelfth of a short history.
    fn cut_to(&self, points: usize) -> Self {
        let mut own = *self;
        if points < own.windows_needed() {
            own.window = own.window.min(points / 4);
            own.reach = own.reach.min(points / 12);
        }
        own
    }

    /// Points without which no window could be kept back whose targets the fit has not seen.
    fn windows_needed(&self) -> usize {
        let windows = WINDOWS_MIN + 5 * (self.reach + 1);
        self.window + self.reach - 1 + windows
    }
}

impl Fit for Lstm {
    fn fit(&self, history: &Series, seed: Seed) -> Result<Box<dyn Forecaster>, FitError> {
        let values = held_values(history, self.needed())?;
        Ok(Box::new(self.fit_values(&values, seed)?))
    }
}
