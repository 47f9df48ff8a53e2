//! AAPA's own configuration file, read as it was published and enforced where it was not.
//!
//! The published README writes a cooldown in minutes and its `config/default.yaml` in seconds, both
//! without a unit, and the published code reads neither. A bare cooldown is minutes here, with a
//! warning; one that would be hours is refused. Keys of `simulation` and horizons are seconds, as
//! their comments say.
//! Source: GuilinDev/aapa-simulator: README and examples/prepare_data.py; specs/aapa_aquatope.md 1.11.

use std::collections::BTreeMap;

use foresail_core::quantity::time::Span;
use foresail_core::spec::SpecProblem;
use foresail_models::classify::{STRIDE, WINDOW};
use serde_json::{Map, Value, json};

/// The largest bare cooldown that is read as minutes; the file's 180 and 1200 are seconds.
const BARE_MINUTES_MAX: f64 = 120.0;

/// What the file says.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AapaConfig {
    /// Knobs of proposer `aapa`.
    pub knobs: BTreeMap<String, Value>,
    /// Time from a pod's creation to its readiness.
    pub startup: Option<Span>,
    /// CPU time of a request, in core-seconds.
    pub cpu_per_request: Option<f64>,
    /// Memory of a pod, in MiB.
    pub memory_per_pod: Option<f64>,
    /// Fewest invocations of a function that is studied.
    pub min_invocations: Option<u64>,
    /// Response time above which a request breaks the promise.
    pub slo_target: Option<Span>,
    /// Weights of promise, efficiency and stability; they sum to one.
    pub rei_weights: Option<[f64; 3]>,
    /// How a value was read that could be meant in another way, each with its key.
    pub warnings: Vec<String>,
}

/// How a value is written.
#[derive(Clone, Copy, Debug)]
enum Form {
    /// A share above 0 and at most 1.
    Share,
    /// A time; bare, it is minutes.
    Cooldown,
    /// A time; bare, it is seconds.
    Seconds,
    /// A time; bare, it is milliseconds.
    Millis,
    /// A whole number.
    Count,
    /// Any number that is not below zero.
    Number,
}

/// One key of the file: section, name, form.
type Key = (&'static str, &'static str, Form);

/// Every key. A strategy's section is `scaling.` and its name.
const KEYS: [Key; 35] = [
    ("scaling.spike", "target_cpu", Form::Share),
    ("scaling.spike", "cooldown", Form::Cooldown),
    ("scaling.spike", "min_replicas", Form::Count),
    ("scaling.spike", "max_replicas", Form::Count),
    ("scaling.spike", "warm_pool_size", Form::Count),
    ("scaling.spike", "spike_multiplier", Form::Number),
    ("scaling.periodic", "target_cpu", Form::Share),
    ("scaling.periodic", "cooldown", Form::Cooldown),
    ("scaling.periodic", "min_replicas", Form::Count),
    ("scaling.periodic", "max_replicas", Form::Count),
    ("scaling.periodic", "prediction_horizon", Form::Seconds),
    ("scaling.ramp", "target_cpu", Form::Share),
    ("scaling.ramp", "cooldown", Form::Cooldown),
    ("scaling.ramp", "min_replicas", Form::Count),
    ("scaling.ramp", "max_replicas", Form::Count),
    ("scaling.ramp", "trend_window", Form::Count),
    ("scaling.stationary_noisy", "target_cpu", Form::Share),
    ("scaling.stationary_noisy", "cooldown", Form::Cooldown),
    ("scaling.stationary_noisy", "min_replicas", Form::Count),
    ("scaling.stationary_noisy", "max_replicas", Form::Count),
    ("scaling.stationary_noisy", "stability_window", Form::Count),
    ("simulation", "pod_startup_time", Form::Seconds),
    ("simulation", "metric_interval", Form::Seconds),
    ("simulation", "cpu_per_request", Form::Number),
    ("simulation", "memory_per_pod", Form::Number),
    ("classification", "window_size", Form::Count),
    ("classification", "stride", Form::Count),
    ("classification", "min_invocations", Form::Count),
    ("classification", "confidence_threshold", Form::Share),
    ("evaluation", "slo_target", Form::Millis),
    ("evaluation.rei_weights", "slo", Form::Number),
    ("evaluation.rei_weights", "efficiency", Form::Number),
    ("evaluation.rei_weights", "stability", Form::Number),
    // Groups of sections.
    ("scaling", "", Form::Number),
    ("evaluation", "", Form::Number),
];

/// Knob of a strategy's key, and what its value is multiplied by.
fn knob_of(name: &str) -> Option<(&'static str, f64)> {
    Some(match name {
        "target_cpu" => ("targetPercent", 100.0),
        "cooldown" => ("cooldownSeconds", 1.0),
        "min_replicas" => ("minReplicas", 1.0),
        "max_replicas" => ("maxReplicas", 1.0),
        "warm_pool_size" => ("warmPoolReplicas", 1.0),
        "spike_multiplier" => ("burstFactor", 1.0),
        "prediction_horizon" => ("horizonSeconds", 1.0),
        "trend_window" => ("trendWindowSteps", 1.0),
        "stability_window" => ("windowSteps", 1.0),
        _ => return None,
    })
}

/// Reads AAPA's configuration.
///
/// # Errors
/// Every unknown key with the nearest known one, and every value of a wrong form, with its path.
pub fn aapa_config(text: &str) -> Result<AapaConfig, Vec<SpecProblem>> {
    let no_map = |why: String| vec![SpecProblem::new("file", why)];
    let read: Value = serde_saphyr::from_str(text).map_err(|e| {
        no_map(format!(
            "is not YAML: {e}; write sections with keys below them"
        ))
    })?;
    let Value::Object(sections) = read else {
        return Err(no_map(
            "has no sections: write `scaling:` with its keys below".to_owned(),
        ));
    };
    let mut reading = Reading::default();
    reading.section("", &sections);
    let config = reading.config();
    if reading.problems.is_empty() {
        Ok(AapaConfig {
            warnings: reading.warnings,
            ..config
        })
    } else {
        Err(reading.problems)
    }
}

/// What was read so far, by path.
#[derive(Debug, Default)]
struct Reading {
    values: BTreeMap<(&'static str, &'static str), f64>,
    problems: Vec<SpecProblem>,
    warnings: Vec<String>,
}

impl Reading {
    fn section(&mut self, section: &str, entries: &Map<String, Value>) {
        for (name, value) in entries {
            let path = joined(section, name);
            // The README's and the code's name of one archetype.
            let known = if path == "scaling.stationary" {
                "scaling.stationary_noisy"
            } else {
                path.as_str()
            };
            let is_section = KEYS.iter().any(|(s, ..)| *s == known);
            match value {
                Value::Object(below) if is_section => self.section(known, below),
                _ if is_section => self.wrong(&path, "is a section: write keys below it"),
                _ => self.key(section, name, value, &path),
            }
        }
    }

    fn wrong(&mut self, path: &str, why: impl Into<String>) {
        self.problems.push(SpecProblem::new(path, why));
    }

    fn key(&mut self, section: &str, name: &str, value: &Value, path: &str) {
        let found = KEYS.iter().find(|(s, n, _)| *s == section && *n == name);
        let Some((section, name, form)) = found else {
            let known = names_in(section);
            let known: Vec<&str> = known.iter().map(String::as_str).collect();
            let problem = SpecProblem::unknown(path, "key", name, &known);
            self.problems.push(problem);
            return;
        };
        match self.number(*form, value, path) {
            Ok(number) => {
                self.values.insert((section, name), number);
            }
            Err(why) => self.wrong(path, format!("{value}: {why}")),
        }
    }

    /// The value as a number: a share, a count, or a time in seconds.
    fn number(&mut self, form: Form, value: &Value, path: &str) -> Result<f64, String> {
        let span = value
            .as_str()
            .map(|text| text.parse::<Span>().map_err(|e| e.to_string()));
        let bare = value.as_f64().filter(|n| n.is_finite() && *n >= 0.0);
        match form {
            Form::Cooldown | Form::Seconds | Form::Millis => match (span, bare) {
                (Some(span), _) => span.map(Span::seconds),
                (_, None) => Err("must be a time, such as `20m` or `1200s`".to_owned()),
                (_, Some(bare)) => match form {
                    Form::Cooldown => self.cooldown(bare, path),
                    Form::Millis => Ok(bare / 1000.0),
                    _ => Ok(bare),
                },
            },
            Form::Share => bare
                .filter(|n| *n > 0.0 && *n <= 1.0)
                .ok_or_else(|| "must be a share above 0 and at most 1; 30 % is 0.3".to_owned()),
            Form::Count => bare
                .filter(|n| n.fract() == 0.0)
                .ok_or_else(|| "must be a whole number".to_owned()),
            Form::Number => bare.ok_or_else(|| "must be a number, 0 or more".to_owned()),
        }
    }

    fn cooldown(&mut self, bare: f64, path: &str) -> Result<f64, String> {
        if bare > BARE_MINUTES_MAX {
            let minutes = bare / 60.0;
            return Err(format!(
                "has no unit, and {bare} minutes are no cooldown: write `{bare}s` or `{minutes}m`"
            ));
        }
        self.warnings.push(format!(
            "{path}: {bare} has no unit and is read as {bare} minutes, as AAPA's README means it; \
             write `{bare}m`, or `{bare}s` for seconds"
        ));
        Ok(bare * 60.0)
    }

    fn get(&self, section: &'static str, name: &'static str) -> Option<f64> {
        self.values.get(&(section, name)).copied()
    }

    fn config(&mut self) -> AapaConfig {
        let mut knobs = self.strategies();
        let steps = [
            ("classification", "window_size", WINDOW as f64),
            ("simulation", "metric_interval", 60.0),
        ];
        for (section, name, only) in steps {
            if self
                .get(section, name)
                .is_some_and(|n| (n - only).abs() > 1e-9)
            {
                let why = format!("must be {only}: a window is {WINDOW} points, one a minute");
                self.wrong(&joined(section, name), why);
            }
        }
        let stride = self.get("classification", "stride");
        if let Some(stride) = stride.filter(|s| (s - STRIDE as f64).abs() > 1e-9) {
            knobs.insert("reclassifySeconds".to_owned(), json!(stride * 60.0));
        }
        if let Some(share) = self.get("classification", "confidence_threshold") {
            knobs.insert("minConfidencePercent".to_owned(), json!(share * 100.0));
        }
        let span = |seconds: Option<f64>| seconds.and_then(Span::from_seconds_f64);
        AapaConfig {
            knobs,
            startup: span(self.get("simulation", "pod_startup_time")),
            cpu_per_request: self.get("simulation", "cpu_per_request"),
            memory_per_pod: self.get("simulation", "memory_per_pod"),
            min_invocations: self
                .get("classification", "min_invocations")
                .map(|n| n as u64),
            slo_target: span(self.get("evaluation", "slo_target")),
            rei_weights: self.weights(),
            warnings: Vec::new(),
        }
    }

    fn strategies(&self) -> BTreeMap<String, Value> {
        let mut all: BTreeMap<String, Map<String, Value>> = BTreeMap::new();
        for ((section, name), value) in &self.values {
            let (Some(strategy), Some((knob, factor))) =
                (section.strip_prefix("scaling."), knob_of(name))
            else {
                continue;
            };
            let strategy = strategy.trim_end_matches("_noisy").to_owned();
            // A share as it is written: 0.55 is 55 % and not a hair more.
            let value = (value * factor * 1e9).round() / 1e9;
            all.entry(strategy)
                .or_default()
                .insert(knob.to_owned(), json!(value));
        }
        all.into_iter()
            .map(|(name, map)| (name, Value::Object(map)))
            .collect()
    }

    fn weights(&mut self) -> Option<[f64; 3]> {
        let section = "evaluation.rei_weights";
        let all = ["slo", "efficiency", "stability"].map(|name| self.get(section, name));
        if all.iter().all(Option::is_none) {
            return None;
        }
        let [Some(slo), Some(efficiency), Some(stability)] = all else {
            self.wrong(section, "give all of slo, efficiency and stability");
            return None;
        };
        let sum = slo + efficiency + stability;
        if (sum - 1.0).abs() > 1e-9 {
            self.wrong(section, format!("they sum to {sum}: must be 1"));
        }
        Some([slo, efficiency, stability])
    }
}

fn joined(section: &str, name: &str) -> String {
    if section.is_empty() {
        name.to_owned()
    } else {
        format!("{section}.{name}")
    }
}

/// What may stand in a section: its keys, and sections below it.
fn names_in(section: &str) -> Vec<String> {
    let below = KEYS.iter().filter_map(|(s, name, _)| {
        if *s == section {
            return (!name.is_empty()).then(|| (*name).to_owned());
        }
        let rest = if section.is_empty() {
            Some(*s)
        } else {
            s.strip_prefix(section)?.strip_prefix('.')
        };
        rest.map(|r| r.split('.').next().unwrap_or(r).to_owned())
    });
    let mut names: Vec<String> = below.collect();
    names.dedup();
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The README's block, verbatim.
    const README: &str = "\
# Autoscaling parameters
scaling:
  spike:
    target_cpu: 0.3
    cooldown: 20
    min_replicas: 2
  periodic:
    target_cpu: 0.75
    cooldown: 3
    min_replicas: 1
\x20\x20\x20\x20
# Simulation parameters
simulation:
  pod_startup_time: 30  # seconds
  metric_interval: 60   # seconds
";

    fn problems(text: &str) -> String {
        SpecProblem::joined(&aapa_config(text).unwrap_err())
    }

    #[test]
    fn the_published_block_is_read_in_minutes_with_a_warning_each() {
        let config = aapa_config(README).unwrap();
        let spike = json!({"targetPercent": 30.0, "cooldownSeconds": 1200.0, "minReplicas": 2.0});
        let periodic = json!({"targetPercent": 75.0, "cooldownSeconds": 180.0, "minReplicas": 1.0});
        assert_eq!(config.knobs["spike"], spike);
        assert_eq!(config.knobs["periodic"], periodic);
        assert_eq!(config.startup, Some(Span::from_seconds(30)));
        assert_eq!(config.warnings.len(), 2, "{:?}", config.warnings);
        let first = &config.warnings[0];
        for part in ["scaling.periodic.cooldown", "3 minutes", "`3s` for seconds"] {
            assert!(
                config.warnings.iter().any(|w| w.contains(part)),
                "{part} in {first}"
            );
        }
    }

    #[test]
    fn the_published_file_is_read_once_its_cooldowns_have_units() {
        let file = |unit: &str| {
            format!(
                "scaling:
  spike: {{target_cpu: 0.3, cooldown: 1200{unit}, warm_pool_size: 2, min_replicas: 2, max_replicas: 100}}
  periodic: {{target_cpu: 0.75, cooldown: 180{unit}, min_replicas: 1, max_replicas: 100, prediction_horizon: 900}}
  ramp: {{target_cpu: 0.6, cooldown: 420{unit}, min_replicas: 1, max_replicas: 100, trend_window: 10}}
  stationary_noisy: {{target_cpu: 0.55, cooldown: 720{unit}, min_replicas: 1, max_replicas: 100, stability_window: 5}}
simulation: {{pod_startup_time: 30, metric_interval: 60, cpu_per_request: 0.001, memory_per_pod: 256}}
classification: {{window_size: 60, stride: 10, min_invocations: 1000, confidence_threshold: 0.7}}
evaluation:
  slo_target: 500
  rei_weights: {{slo: 0.5, efficiency: 0.3, stability: 0.2}}
"
            )
        };
        let bare = problems(&file(""));
        assert!(
            bare.contains("scaling.spike.cooldown: 1200: has no unit"),
            "{bare}"
        );
        assert!(bare.contains("write `1200s` or `20m`"), "{bare}");
        let config = aapa_config(&file("s")).unwrap();
        assert!(config.warnings.is_empty());
        assert_eq!(config.knobs["stationary"]["targetPercent"], json!(55.0));
        assert_eq!(config.knobs["stationary"]["windowSteps"], json!(5.0));
        assert_eq!(config.knobs["periodic"]["horizonSeconds"], json!(900.0));
        assert_eq!(config.knobs["ramp"]["cooldownSeconds"], json!(420.0));
        assert_eq!(config.slo_target, Some(Span::from_millis(500)));
        assert_eq!(config.rei_weights, Some([0.5, 0.3, 0.2]));
        assert_eq!(config.min_invocations, Some(1000));
    }

    #[test]
    fn what_is_unknown_or_wrong_is_told_with_its_place_and_the_mend() {
        for (text, parts) in [
            ("scalling: {}", &["scalling", "did you mean `scaling`?"][..]),
            (
                "scaling: {spikes: {}}",
                &["scaling.spikes", "did you mean `spike`?"],
            ),
            (
                "scaling: {spike: {target: 0.3}}",
                &["scaling.spike.target", "target_cpu"],
            ),
            (
                "scaling: {ramp: {warm_pool_size: 2}}",
                &["scaling.ramp.warm_pool_size"],
            ),
            ("scaling: {spike: {target_cpu: 30}}", &["30 % is 0.3"]),
            (
                "scaling: {spike: {cooldown: soon}}",
                &["scaling.spike.cooldown", "`soon`"],
            ),
            ("scaling: {spike: 3}", &["scaling.spike", "is a section"]),
            (
                "classification: {window_size: 30}",
                &["window_size", "must be 60"],
            ),
            ("evaluation: {rei_weights: {slo: 1}}", &["give all of slo"]),
            (
                "evaluation: {rei_weights: {slo: 1, efficiency: 1, stability: 1}}",
                &["sum to 3"],
            ),
            ("- 1", &["has no sections"]),
            ("a: [", &["is not YAML"]),
        ] {
            let told = problems(text);
            for part in parts {
                assert!(told.contains(part), "{part} in {told}");
            }
        }
    }
}
