//! Prophet in the registry: its knobs, and what settings and a saved model must hold.

use serde::Deserialize;
use serde_json::Value;

use super::events::WINDOW_MAX;
use super::model::Model;
use super::seasonality::ORDER_MAX;
use super::{Event, Growth, Mode, Prophet, Season, Switch, forecaster};
use crate::forecast::FitError;
use crate::knobs::{Kind, Knob, Knobs};
use crate::registry::{FitBuilt, ForecasterEntry};

/// The most changepoints, and the most columns beside the trend.
const BENDS_MAX: usize = 200;
const COLUMNS_MAX: usize = 400;

const fn word(name: &'static str, known: &'static [&'static str], doc: &'static str) -> Knob {
    Knob {
        name,
        kind: Kind::Word {
            default: known[0],
            known,
        },
        doc,
    }
}

const fn list(name: &'static str, doc: &'static str) -> Knob {
    Knob {
        name,
        kind: Kind::List,
        doc,
    }
}

/// The registry's entry.
pub const ENTRY: ForecasterEntry = ForecasterEntry {
    name: "prophet",
    summary: "a trend that bends, seasons of the calendar, and events, fitted together",
    suits: "days and weeks that repeat for two weeks and more; refit often, and look an hour ahead",
    knobs: &[
        word(
            "growth",
            &["linear", "logistic", "flat"],
            "form of the trend",
        ),
        Knob::number(
            "cap",
            [0.0, 0.0, 1e15],
            "what a logistic trend cannot exceed, in units of demand",
        ),
        Knob::number(
            "floor",
            [0.0, 0.0, 1e15],
            "what a logistic trend cannot fall below",
        ),
        Knob::number(
            "changepoints",
            [25.0, 0.0, 200.0],
            "times at which the trend may bend",
        ),
        Knob::number(
            "changepointPriorScale",
            [0.05, 1e-6, 100.0],
            "how readily it bends: scale of the prior of each bend",
        ),
        word(
            "seasonalityMode",
            &["additive", "multiplicative"],
            "whether seasons are added to the trend or multiply it",
        ),
        Knob::number(
            "seasonalityPriorScale",
            [10.0, 1e-3, 1000.0],
            "how large seasons may become: deviation of the prior of their coefficients",
        ),
        word(
            "seasons",
            &["calendar", "found"],
            "calendar: year, week and day by Prophet's rules; found: those that the history shows too",
        ),
        list(
            "ownSeasons",
            "a list of {name: shift, days: 0.33333, order: 3}",
        ),
        list(
            "events",
            "a list of {name: launch, days: [\"2026-03-01\"], before: 0, after: 1}",
        ),
    ],
    build,
    restore: forecaster::restore,
};

/// An own season as written.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct SeasonSpec {
    name: String,
    days: f64,
    order: usize,
    #[serde(default)]
    mode: Option<Mode>,
}

/// An event as written.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct EventSpec {
    name: String,
    days: Vec<String>,
    #[serde(default)]
    before: u32,
    #[serde(default)]
    after: u32,
    #[serde(default)]
    mode: Option<Mode>,
}

fn build(knobs: &Knobs) -> FitBuilt {
    let mode = match knobs.word("seasonalityMode") {
        "multiplicative" => Mode::Multiplicative,
        _ => Mode::Additive,
    };
    let growth = match knobs.word("growth") {
        "logistic" => Growth::Logistic,
        "flat" => Growth::Flat,
        _ => Growth::Linear,
    };
    let scale = knobs.number("seasonalityPriorScale");
    let season =
        |(i, value)| season(value, (scale, mode)).map_err(|e| format!("ownSeasons[{i}]: {e}"));
    let event = |(i, value)| event(value, mode).map_err(|e| format!("events[{i}]: {e}"));
    let settings = Prophet {
        growth,
        mode,
        cap: knobs.number("cap"),
        floor: knobs.number("floor"),
        changepoints: knobs.number("changepoints") as usize,
        changepoint_scale: knobs.number("changepointPriorScale"),
        season_scale: scale,
        find_seasons: knobs.word("seasons") == "found",
        seasons: knobs
            .list("ownSeasons")
            .iter()
            .enumerate()
            .map(season)
            .collect::<Result<_, _>>()?,
        events: knobs
            .list("events")
            .iter()
            .enumerate()
            .map(event)
            .collect::<Result<_, _>>()?,
        ..Prophet::default()
    };
    if growth == Growth::Logistic && settings.cap <= settings.floor {
        return Err("a logistic trend needs a `cap` above its `floor`".to_owned());
    }
    settings.check_settings().map_err(|e| e.to_string())?;
    Ok(Box::new(settings))
}

fn season(value: &Value, (scale, mode): (f64, Mode)) -> Result<Season, String> {
    let written: SeasonSpec = serde_json::from_value(value.clone()).map_err(|e| e.to_string())?;
    Ok(Season {
        name: written.name,
        days: written.days,
        order: written.order,
        scale,
        mode: written.mode.unwrap_or(mode),
    })
}

fn event(value: &Value, mode: Mode) -> Result<Event, String> {
    let written: EventSpec = serde_json::from_value(value.clone()).map_err(|e| e.to_string())?;
    let epoch = jiff::civil::date(1970, 1, 1);
    let day = |text: &String| {
        let date: jiff::civil::Date = text
            .parse()
            .map_err(|_| format!("`{text}` is no day; write 2026-03-01"))?;
        let days = epoch.until(date).map_err(|e| e.to_string())?.get_days();
        Ok::<i64, String>(i64::from(days))
    };
    Ok(Event {
        name: written.name,
        days: written.days.iter().map(day).collect::<Result<_, _>>()?,
        before: written.before,
        after: written.after,
        scale: 10.0,
        mode: written.mode.unwrap_or(mode),
    })
}

fn wrong(what: String, must: impl Into<String>) -> FitError {
    FitError::Setting {
        what,
        must: must.into(),
    }
}

fn above_zero(what: &str, value: f64) -> Result<(), FitError> {
    if value > 0.0 && value.is_finite() {
        return Ok(());
    }
    Err(wrong(
        format!("{what} {value}"),
        "must be a finite number above 0",
    ))
}

impl Prophet {
    /// Whether the settings make a model.
    ///
    /// # Errors
    /// [`FitError::Setting`] with the first that does not.
    pub(super) fn check_settings(&self) -> Result<(), FitError> {
        above_zero("changepoint scale", self.changepoint_scale)?;
        above_zero("season scale", self.season_scale)?;
        if !(self.changepoint_share > 0.0 && self.changepoint_share <= 1.0) {
            let what = format!("changepoint share {}", self.changepoint_share);
            return Err(wrong(what, "must be above 0 and at most 1"));
        }
        if self.changepoints > BENDS_MAX {
            let what = format!("{} changepoints", self.changepoints);
            return Err(wrong(what, format!("must be at most {BENDS_MAX}")));
        }
        self.check_parts()
    }

    fn check_parts(&self) -> Result<(), FitError> {
        let orders = [self.yearly, self.weekly, self.daily].map(|s| match s {
            Switch::Order(order) => order,
            Switch::Auto | Switch::Off => 1,
        });
        let own = self.seasons.iter().map(|s| s.order);
        if let Some(order) = orders
            .into_iter()
            .chain(own)
            .find(|o| !(1..=ORDER_MAX).contains(o))
        {
            return Err(wrong(
                format!("order {order}"),
                format!("must be 1 to {ORDER_MAX}"),
            ));
        }
        for season in &self.seasons {
            above_zero(&format!("days of season {}", season.name), season.days)?;
            above_zero(&format!("scale of season {}", season.name), season.scale)?;
        }
        for event in &self.events {
            above_zero(&format!("scale of event {}", event.name), event.scale)?;
            if event.before > WINDOW_MAX || event.after > WINDOW_MAX {
                let what = format!("window of event {}", event.name);
                return Err(wrong(what, format!("must be at most {WINDOW_MAX} days")));
            }
        }
        for regressor in &self.regressors {
            above_zero(
                &format!("scale of regressor {}", regressor.name),
                regressor.scale,
            )?;
        }
        let mut names: Vec<&str> = self.seasons.iter().map(|s| s.name.as_str()).collect();
        names.extend(self.events.iter().map(|e| e.name.as_str()));
        names.extend(self.regressors.iter().map(|r| r.name.as_str()));
        names.sort_unstable();
        if let Some(pair) = names.windows(2).find(|w| w[0] == w[1]) {
            return Err(wrong(
                format!("the name {}", pair[0]),
                "must stand for one part",
            ));
        }
        let columns = self.seasons.iter().map(|s| 2 * s.order).sum::<usize>()
            + self.events.iter().map(Event::columns).sum::<usize>();
        if columns + self.regressors.len() > COLUMNS_MAX {
            let what = format!("{columns} columns of seasons and events");
            return Err(wrong(
                what,
                format!("must be at most {COLUMNS_MAX} with regressors"),
            ));
        }
        Ok(())
    }
}

/// Whether a model that was read back can be used.
pub(super) fn check_model(model: &Model) -> Result<(), String> {
    let p = &model.parameters;
    let plain = [
        p.k,
        p.m,
        p.sigma,
        model.cap,
        model.floor,
        model.scale,
        model.spacing,
    ];
    let lists = [&p.delta, &p.beta, &model.bends];
    let finite = plain
        .iter()
        .chain(lists.into_iter().flatten())
        .all(|v| v.is_finite());
    if !finite || p.sigma <= 0.0 || model.scale <= 0.0 {
        return Err("its parameters are not finite or not above zero".to_owned());
    }
    if model.first >= model.last {
        return Err("its history has no length".to_owned());
    }
    let rising = model.bends.windows(2).all(|w| w[0] <= w[1]);
    if !rising || p.delta.len() != model.bends.len() || model.bends.len() > BENDS_MAX {
        return Err("its changepoints and their bends do not match".to_owned());
    }
    let columns = &model.columns;
    let settings = Prophet {
        seasons: columns.seasons.clone(),
        events: columns.events.clone(),
        regressors: columns.regressors.clone(),
        ..Prophet::default()
    };
    settings.check_settings().map_err(|e| e.to_string())?;
    if p.beta.len() != columns.len() || columns.standards.len() != columns.regressors.len() {
        return Err("its coefficients and its parts do not match".to_owned());
    }
    let standard = |s: &super::events::Standard| s.mean.is_finite() && s.deviation > 0.0;
    if !columns.standards.iter().all(standard) {
        return Err("a regressor is divided by nothing".to_owned());
    }
    if model.growth == Growth::Logistic && model.cap <= model.floor {
        return Err("its cap is not above its floor".to_owned());
    }
    Ok(())
}
