//! `schedule`: numbers by the clock, as cron rules with a time zone.
//!
//! A rule begins at each time its cron expression names and lasts for its duration; of several in
//! force the one with the most replicas counts. Outside every rule there is no wish.
//!
//! Rules follow the wall clock: one that begins in the hour that is left out in spring does not
//! begin that day, and one that begins in the hour that comes twice in autumn begins twice. Write
//! rules that must begin once, every day, in UTC or outside that hour.

use cronexpr::Crontab;
use foresail_core::history::View;
use foresail_core::propose::plan::Setting;
use foresail_core::propose::{Absence, Basis, Context, Proposal, Proposer};
use foresail_core::quantity::time::{Span, Timestamp};
use foresail_core::quantity::units::Replicas;
use foresail_core::spec::SpecProblem;
use serde::Deserialize;

use crate::knobs::{Kind, Knob};
use crate::registry::{Build, Built, Entry};

/// The registry's entry.
pub const ENTRY: Entry = Entry {
    name: "schedule",
    summary: "numbers by the clock: cron rules with a time zone",
    knobs: &[Knob {
        name: "rules",
        kind: Kind::List,
        doc: "a list of {cron: \"0 8 * * MON-FRI\", timeZone: Europe/Berlin, durationSeconds: 36000, replicas: 10}",
    }],
    build,
};

/// The longest that one rule may last: a week.
const DURATION_MAX: Span = Span::from_seconds(7 * 86_400);

/// A rule as written.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RuleSpec {
    cron: String,
    #[serde(default = "utc")]
    time_zone: String,
    #[serde(rename = "durationSeconds")]
    duration: Span,
    replicas: Replicas,
}

fn utc() -> String {
    "UTC".to_owned()
}

/// A rule that can be trusted.
#[derive(Debug)]
struct Rule {
    cron: Crontab,
    duration: Span,
    replicas: Replicas,
}

fn build(build: &Build<'_>) -> Built {
    let mut rules = Vec::new();
    let mut problems = Vec::new();
    for (i, value) in build.knobs.list("rules").iter().enumerate() {
        match parse(value) {
            Ok(rule) => rules.push(rule),
            Err(why) => problems.push(SpecProblem::new(format!("{}.rules[{i}]", build.path), why)),
        }
    }
    if rules.is_empty() && problems.is_empty() {
        let message = "empty: write at least one rule with cron, durationSeconds and replicas";
        problems.push(SpecProblem::new(format!("{}.rules", build.path), message));
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    Ok(Box::new(Schedule { rules, known: None }))
}

fn parse(value: &serde_json::Value) -> Result<Rule, String> {
    let spec: RuleSpec = serde_json::from_value(value.clone()).map_err(|e| e.to_string())?;
    if spec.duration <= Span::ZERO || spec.duration > DURATION_MAX {
        return Err(format!(
            "durationSeconds {}: must be above 0 and at most 604800",
            spec.duration
        ));
    }
    let text = format!("{} {}", spec.cron, spec.time_zone);
    let cron = cronexpr::parse_crontab(&text).map_err(|e| {
        format!(
            "cron `{}` in time zone `{}`: {e}",
            spec.cron, spec.time_zone
        )
    })?;
    Ok(Rule {
        cron,
        duration: spec.duration,
        replicas: spec.replicas,
    })
}

impl Rule {
    /// The first begin after `time`.
    fn next_begin(&self, time: Timestamp) -> Option<Timestamp> {
        let at = cronexpr::MakeTimestamp::from_nanosecond(i128::from(time.nanos())).ok()?;
        let next = self.cron.find_next(at).ok()?;
        i64::try_from(next.timestamp().as_nanosecond())
            .ok()
            .map(Timestamp::from_nanos)
    }

    /// `true` while the rule is in force at `now`, and when that may change next.
    fn in_force(&self, now: Timestamp) -> (bool, Timestamp) {
        // In force where a begin lies within (now − duration, now].
        let mut begin = self.next_begin(now - self.duration);
        let mut last = None;
        while let Some(at) = begin.filter(|at| *at <= now) {
            last = Some(at);
            begin = self.next_begin(at);
        }
        let next = begin.unwrap_or(Timestamp::from_nanos(i64::MAX));
        match last {
            Some(at) => (true, next.min(at + self.duration)),
            None => (false, next),
        }
    }
}

/// Wishes the number of the rule in force.
#[derive(Debug)]
struct Schedule {
    rules: Vec<Rule>,
    /// The rule in force, and from when until when that is known: derived, never saved.
    known: Option<(Option<usize>, Timestamp, Timestamp)>,
}

impl Schedule {
    fn rule_at(&mut self, now: Timestamp) -> Option<usize> {
        if let Some((rule, from, until)) = self.known
            && (from..until).contains(&now)
        {
            return rule;
        }
        let found: Vec<_> = self.rules.iter().map(|r| r.in_force(now)).collect();
        let until = found.iter().map(|(_, until)| *until).min().unwrap_or(now);
        let best = (0..self.rules.len())
            .filter(|i| found[*i].0)
            .max_by_key(|i| (self.rules[*i].replicas, std::cmp::Reverse(*i)));
        self.known = Some((best, now, until));
        best
    }
}

impl Proposer for Schedule {
    fn propose(&mut self, view: &View<'_>, context: &Context<'_>) -> Proposal {
        let Some(rule) = self.rule_at(context.now) else {
            return Proposal::absent(Absence::NotNow);
        };
        let setting = Setting::replicas(self.rules[rule].replicas);
        let targets = view.spec.targets().iter();
        let plan = targets.map(|t| (t.id.clone(), setting.clone())).collect();
        Proposal::certain(plan, Basis::Schedule { rule })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(at: &str, want: Option<u32>) {
        let rules = [
            json!({"cron": "0 8 * * MON-FRI", "timeZone": "Europe/Berlin", "durationSeconds": 36_000, "replicas": 10}),
            json!({"cron": "0 12 * * *", "durationSeconds": 3600, "replicas": 20}),
        ];
        let rules: Vec<Rule> = rules.iter().map(|r| parse(r).unwrap()).collect();
        let mut schedule = Schedule { rules, known: None };
        let now: Timestamp = at.parse().unwrap();
        let wish = schedule
            .rule_at(now)
            .map(|i| schedule.rules[i].replicas.get());
        assert_eq!(wish, want, "{at}");
    }

    #[test]
    fn rules_follow_their_own_time_zone_through_summer_time() {
        check("2026-01-05T06:59:59Z", None);
        check("2026-01-05T07:00:00Z", Some(10)); // 08:00 in Berlin in winter
        check("2026-07-06T06:00:00Z", Some(10)); // and in summer
        check("2026-07-06T15:59:59Z", Some(10));
        check("2026-07-06T16:00:00Z", None);
        check("2026-01-03T09:00:00Z", None); // Saturday
    }

    #[test]
    fn the_hour_left_out_begins_nothing_and_the_hour_that_comes_twice_begins_twice() {
        let rule = json!({"cron": "30 2 * * *", "timeZone": "Europe/Berlin", "durationSeconds": 600, "replicas": 4});
        let rule = parse(&rule).unwrap();
        let begins = |from: &str, until: &str| {
            let (from, until): (Timestamp, Timestamp) =
                (from.parse().unwrap(), until.parse().unwrap());
            let mut begins = Vec::new();
            let mut next = rule.next_begin(from);
            while let Some(at) = next.filter(|at| *at < until) {
                begins.push(at.to_string());
                next = rule.next_begin(at);
            }
            begins
        };
        let spring = begins("2026-03-28T12:00:00Z", "2026-03-29T12:00:00Z");
        assert_eq!(spring, Vec::<String>::new());
        let autumn = begins("2026-10-24T12:00:00Z", "2026-10-25T12:00:00Z");
        assert_eq!(autumn, ["2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z"]);
    }

    #[test]
    fn of_two_rules_in_force_the_larger_counts() {
        check("2026-01-05T12:30:00Z", Some(20));
        check("2026-01-03T12:30:00Z", Some(20));
        check("2026-01-05T13:00:00Z", Some(10));
    }

    #[test]
    fn a_wrong_rule_is_named_with_its_mend() {
        for (rule, want) in [
            (
                json!({"cron": "0 25 * * *", "durationSeconds": 60, "replicas": 1}),
                "cron",
            ),
            (
                json!({"cron": "0 8 * * *", "durationSeconds": 0, "replicas": 1}),
                "durationSeconds",
            ),
            (
                json!({"cron": "0 8 * * *", "timeZone": "Mars/Base", "durationSeconds": 60, "replicas": 1}),
                "Mars/Base",
            ),
            (
                json!({"cron": "0 8 * * *", "durationSeconds": 60}),
                "replicas",
            ),
        ] {
            let why = parse(&rule).err().unwrap_or_default();
            assert!(why.contains(want), "{rule}: {why}");
        }
    }
}
