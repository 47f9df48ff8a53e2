//! One forecaster of one target: fitted by refits, kept up to date step by step in between.

use std::collections::{BTreeMap, VecDeque};

use foresail_core::engine::{hex, unhex};
use foresail_core::history::Point;
use foresail_core::propose::refit::RefitRequest;
use foresail_core::quantity::time::{Span, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Settings;
use crate::forecast::calibrate::Calibrator;
use crate::forecast::change::LEAD;
use crate::forecast::trust::{Score, covered};
use crate::forecast::{Forecast, Forecaster, saved};
use crate::refit;

/// Forecasts whose time has not come yet, beyond those of the present lead: it may have been longer.
const SAID_MORE: usize = 64;

/// How long a refit is waited for before it is asked for anew.
const PATIENCE: Span = Span::from_seconds(600);

/// Which forecaster, with its knobs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Choice {
    pub(crate) name: String,
    pub(crate) knobs: BTreeMap<String, Value>,
}

/// A model as it stands.
#[derive(Debug)]
struct Model {
    forecaster: Box<dyn Forecaster>,
    /// End of the window that it was fitted to.
    fitted_at: Timestamp,
    /// Steps of that window.
    steps: i64,
    /// Number of the first step that it has not seen.
    next: i64,
}

/// What was said of a step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Said {
    step: i64,
    /// Quantiles as they were told, in the order of the levels.
    told: Vec<f64>,
    /// The value that was last when it was said.
    last: f64,
}

/// One forecaster of one target.
#[derive(Debug)]
pub(crate) struct Kept {
    choice: Choice,
    model: Option<Model>,
    asked: Option<RefitRequest>,
    said: VecDeque<Said>,
    /// Medians for the change detector, one for each step to come.
    far: VecDeque<(i64, f64)>,
    /// Median that was said of the last step one step before.
    now: Option<f64>,
    calibrator: Calibrator,
    /// The forecast from the last step on; made anew after each step.
    forecast: Option<Forecast>,
}

/// What a step's arrival says of a forecaster.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Came {
    pub(crate) score: Option<Score>,
    /// What was expected [`LEAD`] steps before.
    pub(crate) expected: Option<f64>,
}

/// A [`Kept`] as data.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct KeptState {
    choice: Choice,
    /// The model file in hexadecimal, when it was fitted and to how many steps.
    model: Option<(String, Timestamp, i64)>,
    asked: Option<RefitRequest>,
    said: VecDeque<Said>,
    far: VecDeque<(i64, f64)>,
    now: Option<f64>,
    calibrator: Calibrator,
}

impl Kept {
    pub(crate) fn new(choice: Choice) -> Self {
        Self {
            choice,
            model: None,
            asked: None,
            said: VecDeque::new(),
            far: VecDeque::new(),
            now: None,
            calibrator: Calibrator::default(),
            forecast: None,
        }
    }

    pub(crate) fn choice(&self) -> &Choice {
        &self.choice
    }

    pub(crate) fn fitted_at(&self) -> Option<Timestamp> {
        self.model.as_ref().map(|m| m.fitted_at)
    }

    /// What the same forecaster said of the last step, one step before.
    pub(crate) fn said_of_now(&self) -> Option<f64> {
        self.now
    }

    // Refits.

    /// The refit that is due; `first` and `last` number the steps that there are.
    pub(crate) fn due(
        &mut self,
        settings: &Settings,
        (first, last): (i64, i64),
        now: Timestamp,
        at_once: bool,
    ) -> Option<(i64, i64)> {
        if self
            .asked
            .as_ref()
            .is_some_and(|a| now > a.deadline || at_once)
        {
            self.asked = None;
        }
        let from = first.max(last + 1 - settings.history_steps);
        let there = last + 1 - from;
        let due = match &self.model {
            _ if self.asked.is_some() || there < settings.points_min => false,
            None => true,
            Some(_) if at_once => true,
            Some(model) => {
                let age = now - model.fitted_at;
                age >= settings.refit || (there >= 2 * model.steps && age >= PATIENCE)
            }
        };
        due.then_some((from, last))
    }

    /// Asks for a fit; the artifact of exactly this request is taken in.
    pub(crate) fn ask(&mut self, request: &RefitRequest) {
        self.asked = Some(request.clone());
    }

    /// When a refit that is asked for now is given up.
    pub(crate) fn deadline(now: Timestamp) -> Timestamp {
        now + PATIENCE
    }

    /// Takes in an artifact where it is the one that was asked for.
    pub(crate) fn install(&mut self, artifact: &[u8]) -> bool {
        let Some(asked) = &self.asked else {
            return false;
        };
        let Some(Ok(saved)) = refit::open(artifact, asked) else {
            return false;
        };
        let step = asked.step.nanos().max(1);
        self.model = Some(Model {
            forecaster: saved.forecaster,
            fitted_at: asked.until,
            steps: (asked.until - asked.from).nanos() / step,
            next: refit::step_of(asked.until, asked.step) + 1,
        });
        self.asked = None;
        self.forecast = None;
        true
    }

    // Steps.

    /// Takes in the steps up to `last` that the model has not seen.
    pub(crate) fn catch_up<'a>(
        &mut self,
        points: impl Iterator<Item = &'a Point>,
        step: Span,
        last: i64,
    ) {
        let Some(model) = self.model.as_mut().filter(|m| m.next <= last) else {
            return;
        };
        for point in points {
            model.take(refit::step_of(point.at, step), point.value);
        }
        self.forecast = None;
    }

    /// What a step's arrival says: the forecasts of it are scored, and the quantiles learn from them.
    pub(crate) fn came(&mut self, settings: &Settings, step: i64, value: f64) -> Came {
        let mut came = Came::default();
        while let Some((of, median)) = self.far.front().copied().filter(|(of, _)| *of <= step) {
            self.far.pop_front();
            came.expected = (of == step).then_some(median);
        }
        while let Some(said) = self.said.pop_front_if(|s| s.step <= step) {
            if said.step == step && said.told.len() == settings.levels.len() {
                came.score = Some(self.score(settings, &said, value));
            }
        }
        came
    }

    fn score(&mut self, settings: &Settings, said: &Said, value: f64) -> Score {
        self.calibrator.learn(&settings.levels, &said.told, value);
        let [low, median, high] = settings.band.map(|place| said.told[place]);
        Score {
            covered: covered(low, high, value, settings.half()),
            error: (value - median).abs(),
            of_last: (value - said.last).abs(),
        }
    }

    /// Moves on to a step that came and says what follows, `lead` steps ahead for the score.
    pub(crate) fn go_on(&mut self, settings: &Settings, step: i64, value: f64, lead: usize) {
        let Some(next) = self.model.as_ref().map(|m| m.next).filter(|n| *n <= step) else {
            return;
        };
        let before = if next == step {
            self.forecast(settings, 1)
        } else {
            None
        };
        self.now = before.and_then(|f| f.median(1));
        let Some(model) = &mut self.model else { return };
        model.take(step, value);
        self.forecast = None;
        let Some(far) = self
            .forecast(settings, lead.max(LEAD))
            .and_then(|f| f.median(LEAD))
        else {
            return;
        };
        self.far.push_back((step + LEAD as i64, far));
        if let Some(told) = self.told(settings, lead) {
            let ahead = i64::try_from(lead).unwrap_or(i64::MAX);
            self.said.push_back(Said {
                step: step.saturating_add(ahead),
                told,
                last: value,
            });
        }
        // One a step is awaited for as long as the lead, which is bounded: none is given up before
        // it is due.
        while self.said.len() > lead.saturating_add(SAID_MORE) {
            self.said.pop_front();
        }
    }

    /// The forecast from the last step on, at least so far.
    fn forecast(&mut self, settings: &Settings, horizon: usize) -> Option<&Forecast> {
        let reaches = self.forecast.as_ref().is_some_and(|f| f.steps() >= horizon);
        if !reaches {
            let model = self.model.as_ref()?;
            let made = model
                .forecaster
                .forecast(horizon.max(LEAD), &settings.levels);
            self.forecast = made.ok();
        }
        self.forecast.as_ref()
    }

    /// The quantiles of a step as they are told, in the order of the levels.
    pub(crate) fn told(&mut self, settings: &Settings, ahead: usize) -> Option<Vec<f64>> {
        self.forecast(settings, ahead)?;
        let quantiles = self.forecast.as_ref()?.at(ahead)?;
        let (median, half) = (quantiles[settings.band[1]], settings.half());
        Some(
            self.calibrator
                .told(&settings.levels, quantiles, median, half),
        )
    }

    /// Forgets what was said, as by a model that has relearnt; of another level also what was said
    /// for the change detector.
    pub(crate) fn unsay(&mut self, changed: bool) {
        self.said.clear();
        if changed {
            self.far.clear();
        }
    }

    /// Forgets what was said and how it was stretched, as for other levels.
    pub(crate) fn unlearn(&mut self) {
        self.unsay(true);
        self.calibrator = Calibrator::default();
    }

    // State.

    pub(crate) fn save(&self, step: Span) -> KeptState {
        let file = |m: &Model| {
            let next = (m.next - 1).saturating_mul(step.nanos());
            saved::write(&self.choice.name, &*m.forecaster, step.nanos(), next)
        };
        KeptState {
            choice: self.choice.clone(),
            model: self
                .model
                .as_ref()
                .map(|m| (hex(&file(m)), m.fitted_at, m.steps)),
            asked: self.asked.clone(),
            said: self.said.clone(),
            far: self.far.clone(),
            now: self.now,
            calibrator: self.calibrator.clone(),
        }
    }

    pub(crate) fn restore(state: KeptState) -> Result<Self, String> {
        let model = match state.model {
            None => None,
            Some((file, fitted_at, steps)) => {
                let bytes = unhex(&file).ok_or("a model that is not hexadecimal")?;
                let read = saved::read(&bytes).map_err(|e| e.to_string())?;
                Some(Model {
                    forecaster: read.forecaster,
                    fitted_at,
                    steps,
                    next: read.next.div_euclid(read.step.max(1)) + 1,
                })
            }
        };
        Ok(Self {
            model,
            asked: state.asked,
            said: state.said,
            far: state.far,
            now: state.now,
            calibrator: state.calibrator,
            ..Self::new(state.choice)
        })
    }
}

impl Model {
    /// Takes in a step with the gaps before it; one that was seen is left out.
    fn take(&mut self, step: i64, value: f64) {
        if step < self.next {
            return;
        }
        for _ in self.next..step {
            self.forecaster.update(None);
        }
        self.forecaster.update(Some(value));
        self.next = step + 1;
    }
}
