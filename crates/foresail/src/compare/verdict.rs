//! The verdict on the user's own HPA: what it comes to, the best plain settings, what predicting adds.

use anyhow::Result;
use foresail_core::quantity::time::Timestamp;
use foresail_sim::driver::Deaf;
use foresail_sim::experiment::policy::{hpa, predictive};
use foresail_sim::experiment::weeks::{DAYS_MIN, Day, Weeks, days, total, week};
use foresail_sim::experiment::{Item, Outcome, Policy, Setup, run_all};
use foresail_sim::metrics::measure::Measures;
use foresail_web::page::text::number;
use foresail_web::read_model::{OwnReport, OwnRow, Ranged};
use rayon::prelude::*;

use super::options::Options;
use super::own_hpa::{Choice, OwnHpa};
use super::paired::{Change, Paired, basis};
use super::plan::{Plan, rates};

/// CPU targets that are tried, in percent.
const TARGETS: [u32; 13] = [30, 35, 40, 45, 50, 55, 60, 65, 70, 75, 80, 85, 90];

/// Down windows that are tried, in seconds.
const WINDOWS: [i32; 4] = [0, 60, 300, 600];

/// Settings of the first search that are tried again with more replicas at the least.
const FINALISTS: usize = 4;

/// Share of bootstrap weeks in which the best setting must keep the promise, in percent.
const KEPT_WEEKS_PERCENT: f64 = 90.0;

/// Ranks from here on belong to settings that do not keep the promise; no run costs as much.
const NOT_KEPT: f64 = 1e12;

/// Share of the days on which a choice is made, to be looked at on the rest.
const TRAINING: f64 = 0.7;

/// One choice of settings and what it came to.
#[derive(Clone, Debug)]
pub(super) struct Tried {
    pub(super) choice: Choice,
    pub(super) cost: f64,
    pub(super) violations_percent: f64,
    pub(super) days: Vec<Day>,
}

impl Tried {
    fn of(choice: Choice, measured: &Measures, share: f64) -> Self {
        Self {
            choice,
            cost: measured.cost,
            violations_percent: percent(measured.violations, measured.requests.arrived),
            days: days(&measured.minutes, share),
        }
    }
}

fn percent(part: u64, whole: u64) -> f64 {
    part as f64 * 100.0 / whole.max(1) as f64
}

/// The same workload under an HPA with the chosen settings.
fn tuned(setup: &Setup, choice: &Choice) -> Setup {
    let mut setup = setup.clone();
    setup.min = choice.min;
    if setup.hpa_target_percent != choice.target_percent {
        setup.hpa_target_percent = choice.target_percent;
        if let Some(own) = &mut setup.own {
            own.metrics.clear();
        }
    }
    if let (Some(seconds), Some(own)) = (choice.down_window_seconds, &mut setup.own) {
        let behavior = own.behavior.get_or_insert_default();
        let down = behavior.scale_down.get_or_insert_default();
        down.stabilization_window_seconds = Some(seconds);
    }
    setup
}

fn plain(item: &Item, choice: &Choice) -> Policy {
    let setup = tuned(&item.setup, choice);
    let initial = setup.replicas_for(rates(item).1);
    hpa(&setup, choice.target_percent, None, initial)
}

/// Runs every choice, side by side; the results stand in the order of the choices.
fn try_all(
    plan: &Plan,
    choices: &[Choice],
    options: &Options,
    done: &(dyn Fn(&str) + Sync),
) -> Result<Vec<Tried>> {
    let tried: Vec<Result<Tried>> = choices
        .par_iter()
        .map(|choice| {
            let ran = run_all(
                &plan.items,
                |item| plain(item, choice),
                options.seed,
                |_| Deaf,
            )?;
            done("plain HPA");
            Ok(Tried::of(*choice, &ran.measures, options.slo.share))
        })
        .collect();
    tried.into_iter().collect()
}

/// Runs of the search for the best plain settings.
pub(crate) fn settings_tried(plan: &Plan, own: &OwnHpa) -> usize {
    grid(own).len() + FINALISTS * minima(plan, own).len()
}

/// Every target and window, with the user's own minimum.
fn grid(own: &OwnHpa) -> Vec<Choice> {
    let of_target = |target_percent| {
        WINDOWS.iter().map(move |window| Choice {
            target_percent,
            down_window_seconds: Some(*window),
            min: own.bounds.0,
        })
    };
    TARGETS.into_iter().flat_map(of_target).collect()
}

/// Tries the grid, then the best of it with higher minima.
///
/// # Errors
/// Where a choice cannot be run.
pub(super) fn search(
    plan: &Plan,
    own: &OwnHpa,
    options: &Options,
    done: &(dyn Fn(&str) + Sync),
) -> Result<Vec<Tried>> {
    let mut tried = try_all(plan, &grid(own), options, done)?;
    let allowed = allowed_percent(options);
    let mut order: Vec<&Tried> = tried.iter().collect();
    order.sort_by(|a, b| rank(a, allowed).total_cmp(&rank(b, allowed)));
    let minima = minima(plan, own);
    let again: Vec<Choice> = order
        .iter()
        .take(FINALISTS)
        .flat_map(|t| {
            minima.iter().map(|min| Choice {
                min: *min,
                ..t.choice
            })
        })
        .collect();
    tried.extend(try_all(plan, &again, options, done)?);
    Ok(tried)
}

/// Minima above the user's own that the workload's quieter hours would need.
fn minima(plan: &Plan, own: &OwnHpa) -> Vec<u32> {
    let Some(item) = plan.items.first().filter(|_| plan.items.len() == 1) else {
        return Vec::new();
    };
    let mut rates = item.workload.step_rates();
    rates.sort_by(f64::total_cmp);
    let at = |level: f64| rates.get((level * rates.len() as f64) as usize).copied();
    let (least, most) = own.bounds;
    let mut minima: Vec<u32> = [0.1, 0.25, 0.5]
        .into_iter()
        .filter_map(at)
        .map(|rate| item.setup.replicas_for(rate))
        .chain([least + 1])
        .filter(|min| *min > least && *min <= most)
        .collect();
    minima.sort_unstable();
    minima.dedup();
    minima
}

fn allowed_percent(options: &Options) -> f64 {
    (1.0 - options.slo.share) * 100.0
}

/// Less is better: cost among those that keep the promise, all others behind them by what they break.
fn rank(tried: &Tried, allowed: f64) -> f64 {
    ranked(tried.cost, tried.violations_percent, allowed)
}

fn ranked(cost: f64, violations_percent: f64, allowed: f64) -> f64 {
    if violations_percent <= allowed + 1e-9 {
        cost
    } else {
        NOT_KEPT * (1.0 + violations_percent)
    }
}

/// Everything that the verdict rests on.
pub(super) struct Case<'a> {
    pub(super) plan: &'a Plan,
    pub(super) own: &'a OwnHpa,
    pub(super) options: &'a Options,
    /// What the user's HPA came to, and predicting on top of it where that was run.
    pub(super) yours: &'a Measures,
    pub(super) predictive: Option<&'a Measures>,
    pub(super) tried: &'a [Tried],
}

impl Case<'_> {
    /// The verdict.
    ///
    /// # Errors
    /// Where predicting on top of the best settings cannot be run, or the manifest not be written.
    pub(super) fn judge(&self) -> Result<OwnReport> {
        let weeks = self.weeks();
        let Some(best) = self.best(weeks.as_ref()) else {
            anyhow::bail!("no setting was tried");
        };
        let above_best = self.predict(&best.choice)?;
        let table = Rows::new(self, weeks.as_ref());
        let settings = settings_text(&best.choice);
        let row = |name: &str, settings: &str, measured: &Measures| {
            let broken = percent(measured.violations, measured.requests.arrived);
            let figures = (measured.cost, broken);
            table.row_of_days(name, settings, figures, &self.days(measured))
        };
        let mut rows = vec![row("your HPA", &own_text(self.own), self.yours)];
        rows.push(table.row_of_days(
            "the best plain HPA",
            &settings,
            (best.cost, best.violations_percent),
            &best.days,
        ));
        if let Some(measured) = self.predictive {
            rows.push(row(
                "predicting, yours as its floor",
                "predictive",
                measured,
            ));
        }
        rows.push(row(
            "predicting, the best as its floor",
            "predictive",
            &above_best,
        ));
        let verdict = self.sentences(&rows, best, &table, &above_best);
        let why = format!(
            "Found by foresail compare --hpa on {}: {settings}.\n{}",
            self.plan.name, verdict[1]
        );
        Ok(OwnReport {
            name: self.own.name.clone(),
            basis: basis(weeks.as_ref(), self.day_count()),
            verdict,
            rows,
            manifest: self.own.with(&best.choice, &why)?,
        })
    }

    /// The cheapest setting that keeps the promise in nearly every week; else over the whole run.
    ///
    /// Of many settings the one that just keeps it on this trace owes that to the trace.
    fn best(&self, weeks: Option<&Weeks>) -> Option<&Tried> {
        let allowed = allowed_percent(self.options);
        let order = |a: &&Tried, b: &&Tried| rank(a, allowed).total_cmp(&rank(b, allowed));
        let safe = |t: &&Tried| {
            let kept = |w: &[usize; 7]| week(&t.days, w).violations_percent() <= allowed + 1e-9;
            rank(t, allowed) < NOT_KEPT
                && weeks.is_some_and(|all| all.share_percent(kept) >= KEPT_WEEKS_PERCENT)
        };
        let safest = self.tried.iter().filter(safe).min_by(order);
        safest.or_else(|| self.tried.iter().min_by(order))
    }

    fn predict(&self, choice: &Choice) -> Result<Measures> {
        let policy = |item: &Item| {
            let setup = tuned(&item.setup, choice);
            let initial = setup.replicas_for(rates(item).1);
            predictive(&setup, initial)
        };
        let Outcome { measures, .. } =
            run_all(&self.plan.items, policy, self.options.seed, |_| Deaf)?;
        Ok(measures)
    }

    fn start(&self) -> Timestamp {
        self.plan.items[0].workload.start()
    }

    fn days(&self, measured: &Measures) -> Vec<Day> {
        days(&measured.minutes, self.options.slo.share)
    }

    fn day_count(&self) -> usize {
        self.days(self.yours).len()
    }

    fn weeks(&self) -> Option<Weeks> {
        Weeks::draw(self.start(), self.day_count(), self.options.seed)
    }

    fn sentences(
        &self,
        rows: &[OwnRow],
        best: &Tried,
        table: &Rows<'_>,
        above_best: &Measures,
    ) -> Vec<String> {
        let allowed = allowed_percent(self.options);
        let promise = self.options.slo.to_string();
        let yours = &rows[0];
        let kept = |row: &OwnRow| row.violations_percent.value <= allowed + 1e-9;
        let first = format!(
            "Your HPA {} the promise ({promise}): {} % of the requests broke it, for {} a week.{}",
            if kept(yours) {
                "keeps"
            } else {
                "does not keep"
            },
            ranged(&yours.violations_percent, 2),
            ranged(&yours.cost_a_week, 2),
            self.held(),
        );
        let plain = &rows[1];
        let change = plain.cost_change_percent.as_ref();
        let second = match (kept(plain), change) {
            (true, Some(change)) => format!(
                "The best plain HPA of {} that were tried ({}) keeps it{} for {} a week, {} % {} than yours.",
                self.tried.len(),
                plain.settings,
                plain
                    .kept_weeks_percent
                    .map_or_else(String::new, |p| format!(
                        " in {} of 100 weeks",
                        number(p, 0)
                    )),
                ranged(&plain.cost_a_week, 2),
                ranged(&absolute(change), 1),
                if change.value <= 0.0 { "less" } else { "more" }
            ),
            _ => format!(
                "None of {} plain settings keeps the promise; {} comes nearest: {} % broke it.",
                self.tried.len(),
                plain.settings,
                ranged(&plain.violations_percent, 2)
            ),
        };
        let third = predicting(&table.paired.against(&best.days, &self.days(above_best)));
        let mut sentences = vec![first, second, third];
        sentences.extend(self.held_out(allowed));
        sentences
    }

    /// Where broken requests came while the HPA could not go higher.
    fn held(&self) -> String {
        let most = f64::from(self.own.bounds.1) * self.plan.items.len() as f64;
        let rows = &self.yours.minutes;
        let all: u64 = rows.iter().map(|r| u64::from(r.violations)).sum();
        let at_most = rows.iter().filter(|r| f64::from(r.current) >= most);
        let held: u64 = at_most.map(|r| u64::from(r.violations)).sum();
        if all == 0 || held * 100 < all {
            return String::new();
        }
        format!(
            " {} % of these came while it stood at maxReplicas {}.",
            number(percent(held, all), 0),
            self.own.bounds.1
        )
    }

    /// The choice made on the first days alone, and what it came to on the rest.
    fn held_out(&self, allowed: f64) -> Option<String> {
        let count = self.day_count();
        let train = (count as f64 * TRAINING) as usize;
        if train < DAYS_MIN || count == train {
            return None;
        }
        let seen = |t: &Tried| total(&t.days[..train]);
        let order = |a: &&Tried, b: &&Tried| {
            let of = |t: &Tried| {
                let sum = seen(t);
                ranked(sum.replica_minutes, sum.violations_percent(), allowed)
            };
            of(a).total_cmp(&of(b))
        };
        let chosen = self.tried.iter().min_by(order)?;
        let rest = total(&chosen.days[train..]);
        Some(format!(
            "Chosen on the first {train} days alone it would be {}; on the other {} days that broke the promise for {} % of the requests.",
            settings_text(&chosen.choice),
            count - train,
            number(rest.violations_percent(), 2)
        ))
    }
}

fn own_text(own: &OwnHpa) -> String {
    format!(
        "{} % CPU, {} to {} replicas, as given",
        own.target_percent, own.bounds.0, own.bounds.1
    )
}

fn settings_text(choice: &Choice) -> String {
    let window = choice
        .down_window_seconds
        .map_or_else(String::new, |s| format!(", down window {s} s"));
    format!(
        "{} % CPU{window}, at least {}",
        choice.target_percent, choice.min
    )
}

/// A number and its interval, such as `5.02 (4.1 to 6.3)`.
fn ranged(value: &Ranged, digits: usize) -> String {
    let n = |x: f64| number(x, digits);
    match value.interval {
        Some((low, high)) => format!("{} ({} to {})", n(value.value), n(low), n(high)),
        None => n(value.value),
    }
}

/// The size of a change whose sign stands in a word.
fn absolute(change: &Ranged) -> Ranged {
    if change.value > 0.0 {
        return *change;
    }
    Ranged {
        value: -change.value,
        interval: change.interval.map(|(low, high)| (-high, -low)),
    }
}

/// What predicting adds to a plain HPA: change of cost in percent, of broken requests in points.
fn predicting(added: &Change) -> String {
    let (cost, broken) = (&added.cost_percent, &added.violations_points);
    let told = |change: &Ranged| {
        change
            .interval
            .is_none_or(|(low, high)| low > 0.0 || high < 0.0)
            && change.value.abs() > 1e-9
    };
    let direction = |change: &Ranged, less: &str, more: &str| {
        if change.value < 0.0 { less } else { more }.to_owned()
    };
    let part = |change: &Ranged, digits, unit: &str, less: &str, more: &str| {
        if told(change) {
            let size = ranged(&absolute(change), digits);
            format!("{size} {unit} {}", direction(change, less, more))
        } else {
            "no difference that can be told".to_owned()
        }
    };
    format!(
        "What predicting adds to the best plain HPA: broken requests {}; cost {}.",
        part(broken, 2, "points", "fewer", "more"),
        part(cost, 1, "%", "less", "more")
    )
}

/// Rows of the table, all on the same bootstrap weeks.
struct Rows<'a> {
    paired: Paired<'a>,
    allowed: f64,
    /// Cost of a replica·minute.
    price: f64,
    /// Length of the run in weeks.
    length: f64,
    yours: Vec<Day>,
}

impl<'a> Rows<'a> {
    fn new(case: &Case<'_>, weeks: Option<&'a Weeks>) -> Self {
        let minutes = case.yours.replica_minutes;
        Self {
            paired: Paired(weeks),
            allowed: allowed_percent(case.options),
            price: if minutes > 0.0 {
                case.yours.cost / minutes
            } else {
                0.0
            },
            length: case.plan.items[0].workload.length().seconds() / 604_800.0,
            yours: case.days(case.yours),
        }
    }

    fn row_of_days(
        &self,
        name: &str,
        settings: &str,
        (cost, violations_percent): (f64, f64),
        days: &[Day],
    ) -> OwnRow {
        let paired = &self.paired;
        let changes = (days != self.yours).then(|| paired.against(&self.yours, days));
        OwnRow {
            name: name.to_owned(),
            settings: settings.to_owned(),
            cost_a_week: paired.ranged(cost / self.length, |w| {
                week(days, w).replica_minutes * self.price
            }),
            violations_percent: paired
                .ranged(violations_percent, |w| week(days, w).violations_percent()),
            kept_weeks_percent: paired.0.map(|weeks| {
                weeks.share_percent(|w| week(days, w).violations_percent() <= self.allowed + 1e-9)
            }),
            cost_change_percent: changes.map(|c| c.cost_percent),
            violations_change_points: changes.map(|c| c.violations_points),
        }
    }
}
