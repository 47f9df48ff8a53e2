//! Policies beside one another on the same bootstrap weeks.

use foresail_core::quantity::time::Timestamp;
use foresail_models::rng::Seed;
use foresail_sim::experiment::weeks::{DAYS_MIN, Day, Interval95, Weeks, total, week};
use foresail_web::read_model::{PairedReport, PairedRow, Ranged};

/// The weeks that every figure is told over; `None` = too few days for intervals.
pub(super) struct Paired<'a>(pub(super) Option<&'a Weeks>);

/// How far one policy is from another.
#[derive(Clone, Copy, Debug)]
pub(super) struct Change {
    /// Change of cost in percent.
    pub(super) cost_percent: Ranged,
    /// Change of the share of requests that broke the promise, in percentage points.
    pub(super) violations_points: Ranged,
}

fn share_percent(part: f64, whole: f64) -> f64 {
    if whole > 0.0 {
        part * 100.0 / whole
    } else {
        100.0
    }
}

impl Paired<'_> {
    /// A value with the interval of what `of` makes of each week.
    pub(super) fn ranged(&self, value: f64, of: impl Fn(&[usize; 7]) -> f64) -> Ranged {
        let interval = self.0.map(|weeks| weeks.interval(of));
        Ranged {
            value,
            interval: interval.map(|Interval95 { low, high }| (low, high)),
        }
    }

    /// A statistic of two policies, over the whole run and over each week.
    fn of_both(&self, from: &[Day], to: &[Day], of: impl Fn(&Day, &Day) -> f64) -> Ranged {
        self.ranged(of(&total(from), &total(to)), |w| {
            of(&week(from, w), &week(to, w))
        })
    }

    /// How far `to` is from `from`.
    pub(super) fn against(&self, from: &[Day], to: &[Day]) -> Change {
        let cost = |a: &Day, b: &Day| share_percent(b.replica_minutes, a.replica_minutes) - 100.0;
        let broken = |a: &Day, b: &Day| b.violations_percent() - a.violations_percent();
        Change {
            cost_percent: self.of_both(from, to, cost),
            violations_points: self.of_both(from, to, broken),
        }
    }

    /// Bad minutes of `to` as a share of those of `from`, in percent.
    fn bad_minutes(&self, from: &[Day], to: &[Day]) -> Ranged {
        self.of_both(from, to, |a, b| share_percent(b.bad_minutes, a.bad_minutes))
    }

    /// Share of the weeks in which none of `others` was as cheap with as few violations, in percent.
    fn unmatched_percent(&self, policy: &[Day], others: &[Vec<Day>]) -> Option<f64> {
        let unmatched = |w: &[usize; 7]| {
            let own = week(policy, w);
            let matches = |other: &Vec<Day>| {
                let other = week(other, w);
                other.replica_minutes <= own.replica_minutes
                    && other.violations_percent() <= own.violations_percent()
            };
            !others.iter().any(matches)
        };
        self.0.map(|weeks| weeks.share_percent(unmatched))
    }
}

/// What the intervals rest on, as a sentence.
pub(super) fn basis(weeks: Option<&Weeks>, days: usize) -> String {
    match weeks {
        None => format!(
            "{days} whole days: too few for intervals, which need {DAYS_MIN}; every figure holds for this trace alone."
        ),
        Some(weeks) => format!(
            "Intervals hold 95 of 100 bootstrap weeks, each made of seven of the {days} simulated days{}; what lasts longer than a day is not varied.",
            if weeks.by_weekday() {
                " of the same weekdays"
            } else {
                ""
            }
        ),
    }
}

/// Adds the days of one more item.
pub(super) fn add_days(all: &mut Vec<Day>, one: &[Day]) {
    if all.len() < one.len() {
        all.resize(one.len(), Day::default());
    }
    all.iter_mut().zip(one).for_each(|(sum, day)| sum.add(day));
}

/// What every policy came to, day by day.
#[derive(Debug, Default)]
pub(super) struct ByDay {
    /// Policies by name.
    pub(super) policies: Vec<(String, Vec<Day>)>,
    /// The plain HPA's settings.
    pub(super) settings: Vec<Vec<Day>>,
    /// `false` where minutes are sums over several items: a bad one is then none of an item's.
    pub(super) minutes_of_one: bool,
}

impl ByDay {
    /// Every policy beside `hpa`; `None` where that was not run, or alone.
    pub(super) fn report(&self, start: Timestamp, seed: Seed) -> Option<PairedReport> {
        let (_, hpa) = self.policies.iter().find(|(name, _)| name == "hpa")?;
        let weeks = Weeks::draw(start, hpa.len(), seed);
        let paired = Paired(weeks.as_ref());
        let bad = |days: &[Day]| self.minutes_of_one.then(|| paired.bad_minutes(hpa, days));
        let row = |(name, days): &(String, Vec<Day>)| {
            let change = paired.against(hpa, days);
            PairedRow {
                name: name.clone(),
                cost_change_percent: change.cost_percent,
                violations_change_points: change.violations_points,
                bad_minutes_percent: bad(days),
                unmatched_weeks_percent: paired.unmatched_percent(days, &self.settings),
            }
        };
        let others = self.policies.iter().filter(|(name, _)| name != "hpa");
        let rows: Vec<PairedRow> = others.map(row).collect();
        (!rows.is_empty()).then(|| PairedReport {
            basis: basis(weeks.as_ref(), hpa.len()),
            settings: self.settings.len(),
            rows,
        })
    }
}
