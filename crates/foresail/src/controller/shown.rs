//! What the metrics show of each object: a few numbers, written as text when a scraper asks.
//!
//! The library's families hold the labels of every series as texts of their own and take each of
//! them apart at every scrape; 10,000 objects have 170,000 series. Here the labels are kept once an
//! object, in the form in which they are written.

use std::collections::BTreeMap;
use std::fmt::{Display, Write as _};
use std::sync::{Mutex, MutexGuard, PoisonError};

use foresail_adapters::kubernetes::watch::Key;
use foresail_core::guard::GuardName;

/// What is one number an object.
#[derive(Clone, Copy, Debug)]
pub(super) enum Number {
    Current,
    Ready,
    Desired,
    Reactive,
    Least,
    Most,
    Health,
    Conflict,
}

/// Their names and what is said of them, in their order.
const NUMBERS: [(&str, &str); 8] = [
    ("current_replicas", "replicas asked for at present"),
    ("ready_replicas", "replicas that serve"),
    ("desired_replicas", "replicas decided"),
    ("reactive_replicas", "what the HPA would ask for"),
    ("min_replicas", "the fewest allowed"),
    ("max_replicas", "the most allowed"),
    ("health", "0 Predict, 1 Guarded, 2 HoldDown, 3 Frozen"),
    ("conflict", "1 while another autoscaler owns the target"),
];

/// Guards of which is shown whether they bind.
const GUARDS: [GuardName; 8] = [
    GuardName::Freshness,
    GuardName::Veto,
    GuardName::Stabilization,
    GuardName::Rate,
    GuardName::Budget,
    GuardName::Bounds,
    GuardName::Paused,
    GuardName::Admission,
];

/// Verdicts that there are.
const VERDICTS: [&str; 4] = ["Better", "Worse", "Undecided", "Insufficient"];

/// Writes of one direction and outcome.
#[derive(Debug)]
struct Scaled {
    direction: &'static str,
    outcome: &'static str,
    count: u64,
}

/// What is shown of one object. What is not known is not shown at all, never as zero.
#[derive(Debug, Default)]
pub(super) struct Shown {
    /// Its labels as they are written.
    labels: Box<str>,
    numbers: [Option<i32>; NUMBERS.len()],
    /// Metrics with the age of their newest sample in seconds.
    ages: Vec<(Box<str>, f64)>,
    /// A bit a guard that binds, in their order.
    limits: Option<u8>,
    verdict: Option<&'static str>,
    scaled: Vec<Scaled>,
}

impl Shown {
    fn of(key: &Key) -> Self {
        let labels = format!(
            "namespace=\"{}\",name=\"{}\"",
            escaped(&key.0),
            escaped(&key.1)
        );
        Self {
            labels: labels.into(),
            ..Self::default()
        }
    }

    pub(super) fn set(&mut self, what: Number, value: Option<i32>) {
        self.numbers[what as usize] = value;
    }

    /// Ages of the metrics that are read, each with its name; those that are not named any more go.
    pub(super) fn ages<'a>(&mut self, ages: impl Iterator<Item = (&'a str, Option<f64>)>) {
        let mut before = std::mem::take(&mut self.ages).into_iter();
        for (metric, age) in ages {
            let Some(age) = age else { continue };
            // Mostly the same names in the same order: their texts are kept.
            let name = before.next().map(|(name, _)| name);
            let name = name.filter(|n| **n == *metric);
            self.ages
                .push((name.unwrap_or_else(|| Box::from(metric)), age));
        }
    }

    /// Which guards bind.
    pub(super) fn limits(&mut self, binds: impl Fn(GuardName) -> bool) {
        let bits = GUARDS.iter().enumerate();
        let bits = bits.map(|(place, guard)| u8::from(binds(*guard)) << place);
        self.limits = Some(bits.fold(0, |all, bit| all | bit));
    }

    pub(super) fn judged(&mut self, verdict: &str) {
        self.verdict = VERDICTS.into_iter().find(|v| *v == verdict);
    }

    pub(super) fn wrote(&mut self, direction: &'static str, outcome: &'static str) {
        let mut all = self.scaled.iter_mut();
        match all.find(|s| (s.direction, s.outcome) == (direction, outcome)) {
            Some(found) => found.count += 1,
            None => self.scaled.push(Scaled {
                direction,
                outcome,
                count: 1,
            }),
        }
    }
}

/// A label's value as it is written.
/// Source: OpenMetrics 1.0, ABNF `escaped-string`.
fn escaped(text: &str) -> std::borrow::Cow<'_, str> {
    if !text.contains(['\\', '"', '\n']) {
        return text.into();
    }
    text.replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
        .into()
}

/// A family that is being written.
struct Family<'a> {
    text: &'a mut String,
    name: &'a str,
}

impl Family<'_> {
    /// One series: labels of the object, one or two more, and the value.
    fn put(&mut self, labels: &str, more: &[(&str, &str)], value: impl Display) {
        let text = &mut *self.text;
        text.push_str("foresail_");
        text.push_str(self.name);
        text.push('{');
        text.push_str(labels);
        for (label, value) in more {
            text.push(',');
            text.push_str(label);
            text.push_str("=\"");
            text.push_str(&escaped(value));
            text.push('"');
        }
        text.push_str("} ");
        // Writing to a text cannot fail.
        let _ = writeln!(text, "{value}");
    }
}

/// What is shown of all objects.
#[derive(Debug, Default)]
pub(super) struct Objects {
    of: Mutex<BTreeMap<Key, Shown>>,
}

impl Objects {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<Key, Shown>> {
        self.of.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes what is shown of one object.
    pub(super) fn with(&self, key: &Key, change: impl FnOnce(&mut Shown)) {
        let mut all = self.lock();
        if let Some(shown) = all.get_mut(key) {
            change(shown);
        } else {
            let mut shown = Shown::of(key);
            change(&mut shown);
            all.insert(key.clone(), shown);
        }
    }

    /// An object is gone: its series go with it.
    pub(super) fn forget(&self, key: &Key) {
        self.lock().remove(key);
    }

    /// One family, where any object has a series of it. Others wait for one family at a time only.
    fn family(
        &self,
        text: &mut String,
        (name, kind, help): (&str, &str, &str),
        series: impl Fn(&mut Family<'_>, &Shown),
    ) {
        let begin = text.len();
        let (kind, suffix) = match kind {
            "counter" => ("counter", "_total"),
            other => (other, ""),
        };
        let _ = write!(
            text,
            "# HELP foresail_{name} {help}.\n# TYPE foresail_{name} {kind}\n"
        );
        let head = text.len();
        let name = format!("{name}{suffix}");
        for shown in self.lock().values() {
            let mut family = Family {
                text: &mut *text,
                name: &name,
            };
            series(&mut family, shown);
        }
        if text.len() == head {
            text.truncate(begin);
        }
    }

    /// Writes every family.
    pub(super) fn write(&self, text: &mut String) {
        for (place, (name, help)) in NUMBERS.into_iter().enumerate() {
            self.family(text, (name, "gauge", help), |family, shown| {
                if let Some(value) = shown.numbers[place] {
                    family.put(&shown.labels, &[], value);
                }
            });
        }
        let help = "age of a metric's newest sample";
        self.family(
            text,
            ("metric_age_seconds", "gauge", help),
            |family, shown| {
                for (metric, age) in &shown.ages {
                    let more = [("metric", &**metric)];
                    family.put(&shown.labels, &more, format_args!("{age:.3}"));
                }
            },
        );
        let names = GUARDS.map(|guard| guard.to_string());
        let help = "1 while a guard binds";
        self.family(text, ("limit_active", "gauge", help), |family, shown| {
            let Some(bits) = shown.limits else { return };
            for (place, name) in names.iter().enumerate() {
                let more = [("guard", name.as_str())];
                family.put(&shown.labels, &more, (bits >> place) & 1);
            }
        });
        let help = "1 for the verdict against the incumbent";
        self.family(text, ("shadow_verdict", "gauge", help), |family, shown| {
            let Some(verdict) = shown.verdict else { return };
            for word in VERDICTS {
                let more = [("verdict", word)];
                family.put(&shown.labels, &more, u8::from(word == verdict));
            }
        });
        let help = "writes by direction and outcome";
        self.family(text, ("scale_events", "counter", help), |family, shown| {
            for scaled in &shown.scaled {
                let more = [("direction", scaled.direction), ("outcome", scaled.outcome)];
                family.put(&shown.labels, &more, scaled.count);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(objects: &Objects) -> String {
        let mut text = String::new();
        objects.write(&mut text);
        text
    }

    #[test]
    fn what_is_not_known_has_no_line_and_what_is_gone_has_none() {
        let objects = Objects::default();
        let key = ("shop".to_owned(), "web".to_owned());
        objects.with(&key, |shown| {
            shown.set(Number::Ready, Some(3));
            shown.set(Number::Current, None);
        });
        let told = "# HELP foresail_ready_replicas replicas that serve.\n# TYPE foresail_ready_replicas gauge\n\
            foresail_ready_replicas{namespace=\"shop\",name=\"web\"} 3\n";
        assert_eq!(text(&objects), told);
        objects.with(&key, |shown| shown.set(Number::Ready, None));
        assert_eq!(text(&objects), "");
        objects.with(&key, |shown| shown.wrote("up", "applied"));
        objects.with(&key, |shown| shown.wrote("up", "applied"));
        assert!(text(&objects).ends_with(
            "foresail_scale_events_total{namespace=\"shop\",name=\"web\",direction=\"up\",outcome=\"applied\"} 2\n"
        ));
        objects.forget(&key);
        assert_eq!(text(&objects), "");
    }

    #[test]
    fn a_metric_that_is_no_longer_read_or_named_has_no_age() {
        let objects = Objects::default();
        let key = ("shop".to_owned(), "web".to_owned());
        let ages = |ages: &[(&str, Option<f64>)]| {
            objects.with(&key, |shown| shown.ages(ages.iter().copied()));
            let lines = text(&objects);
            let lines = lines.lines().filter(|l| l.starts_with("foresail_"));
            let part = |l: &str| l.split_once("metric=").unwrap().1.to_owned();
            lines.map(part).collect::<Vec<_>>()
        };
        assert_eq!(
            ages(&[("cpu", Some(1.5)), ("q\"", Some(2.0))]),
            ["\"cpu\"} 1.500", "\"q\\\"\"} 2.000"]
        );
        assert_eq!(
            ages(&[("cpu", None), ("q\"", Some(3.0))]),
            ["\"q\\\"\"} 3.000"]
        );
        assert_eq!(ages(&[("cpu", Some(4.0))]), ["\"cpu\"} 4.000"]);
    }
}
