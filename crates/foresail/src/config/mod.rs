//! Settings: default < file < environment < flag, each with its origin, all problems at once.
//!
//! A new setting is one line in [`KEYS`]; the file's check, the environment's names and
//! `config view` follow it.

pub mod aapa;

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use anyhow::{Context, Result, bail};
use foresail_core::spec::SpecProblem;

/// The largest file that is read.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// One setting.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// `section.name`, as in the file.
    pub name: &'static str,
    /// Where nothing else is given.
    pub default: &'static str,
    /// What it is.
    pub doc: &'static str,
    /// Refuses what is no value of it.
    check: fn(&str) -> bool,
    /// What a value looks like.
    expected: &'static str,
}

fn is_count(text: &str) -> bool {
    text.parse::<u32>().is_ok()
}

fn is_seed(text: &str) -> bool {
    text.parse::<u64>().is_ok()
}

fn is_price(text: &str) -> bool {
    text.parse::<f64>().is_ok_and(|p| p.is_finite() && p >= 0.0)
}

fn is_span(text: &str) -> bool {
    text.parse::<foresail_core::quantity::time::Span>().is_ok()
}

fn is_slo(text: &str) -> bool {
    text.parse::<foresail_core::value::slo::Slo>().is_ok()
}

fn is_anything(_text: &str) -> bool {
    true
}

fn is_points(text: &str) -> bool {
    text.parse::<u32>()
        .is_ok_and(|n| (1..=foresail_adapters::prometheus::POINTS_MAX).contains(&n))
}

fn is_wait(text: &str) -> bool {
    text.parse::<foresail_core::quantity::time::Span>()
        .is_ok_and(|s| s > foresail_core::quantity::time::Span::ZERO)
}

fn is_format(text: &str) -> bool {
    matches!(text, "table" | "json" | "csv")
}

const fn key(
    name: &'static str,
    default: &'static str,
    doc: &'static str,
    check: fn(&str) -> bool,
    expected: &'static str,
) -> Key {
    Key {
        name,
        default,
        doc,
        check,
        expected,
    }
}

/// Every setting.
pub static KEYS: [Key; 20] = [
    key(
        "output.format",
        "table",
        "how data is printed",
        is_format,
        "table, json or csv",
    ),
    key(
        "simulate.seed",
        "42",
        "the only source of chance",
        is_seed,
        "a whole number",
    ),
    key(
        "simulate.jobs",
        "0",
        "runs at once; 0 = one per core",
        is_count,
        "a whole number",
    ),
    key(
        "simulate.startup",
        "45s",
        "time from a pod's creation to its readiness",
        is_span,
        "a time such as 45s",
    ),
    key(
        "simulate.sync",
        "15s",
        "time between two decisions of policies on CPU",
        is_span,
        "a time such as 15s",
    ),
    key(
        "simulate.metric_delay",
        "30s",
        "age of a measurement before it is seen",
        is_span,
        "a time such as 30s",
    ),
    key(
        "simulate.min",
        "1",
        "the fewest replicas",
        is_count,
        "a whole number",
    ),
    key(
        "simulate.max",
        "100",
        "the most replicas",
        is_count,
        "a whole number",
    ),
    key(
        "simulate.hpa_target",
        "80",
        "CPU utilization that the HPA aims at, percent",
        is_count,
        "a whole number of percent",
    ),
    key(
        "slo.promise",
        "wait<200ms:99%",
        "the promise",
        is_slo,
        "a promise such as wait<200ms:99%",
    ),
    key(
        "cost.replica_hour",
        "0.04",
        "price of a replica for an hour",
        is_price,
        "a price of 0 or more",
    ),
    key(
        "cost.cpu_core_hour",
        "0",
        "price of a core of CPU request for an hour",
        is_price,
        "a price of 0 or more",
    ),
    key(
        "cost.memory_gib_hour",
        "0",
        "price of a GiB of memory request for an hour",
        is_price,
        "a price of 0 or more",
    ),
    key(
        "prometheus.url",
        "",
        "address of Prometheus",
        is_anything,
        "an address such as http://127.0.0.1:9090",
    ),
    key(
        "prometheus.bearer_token_file",
        "",
        "file with the bearer token",
        is_anything,
        "a file",
    ),
    key(
        "prometheus.ca_file",
        "",
        "the one CA that is trusted, PEM",
        is_anything,
        "a file",
    ),
    key(
        "prometheus.client_cert",
        "",
        "our certificate, PEM",
        is_anything,
        "a file",
    ),
    key(
        "prometheus.client_key",
        "",
        "the key of our certificate, PEM",
        is_anything,
        "a file",
    ),
    key(
        "prometheus.timeout",
        "30s",
        "the longest that one query may take",
        is_wait,
        "a time above 0 such as 30s",
    ),
    key(
        "prometheus.max_points",
        "11000",
        "points that one range query asks for",
        is_points,
        "a whole number from 1 to 11000",
    ),
];

/// Where a value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Nothing was given.
    Default,
    /// The file of this name.
    File(String),
    /// The environment's variable of this name.
    Environment(String),
    /// The command line.
    Flag,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File(name) => write!(f, "file {name}"),
            Self::Environment(name) => write!(f, "environment {name}"),
            Self::Flag => f.write_str("flag"),
        }
    }
}

/// Where texts come from; the environment outside tests.
pub trait Strings {
    /// The value of one variable.
    fn get(&self, name: &str) -> Option<String>;
    /// Every variable's name.
    fn names(&self) -> Vec<String>;
}

/// The environment of this process.
#[derive(Clone, Copy, Debug)]
pub struct Environment;

impl Strings for Environment {
    fn get(&self, name: &str) -> Option<String> {
        std::env::var(name).ok()
    }

    fn names(&self) -> Vec<String> {
        std::env::vars_os()
            .filter_map(|(name, _)| name.into_string().ok())
            .collect()
    }
}

/// Every setting with its origin.
#[derive(Clone, Debug)]
pub struct Settings {
    values: BTreeMap<&'static str, (String, Origin)>,
}

/// Variables that mean something else than a setting.
const OTHER_VARIABLES: [&str; 9] = [
    "FORESAIL_CONFIG",
    "FORESAIL_DATA_DIR",
    "FORESAIL_BLESS",
    "FORESAIL_CHROMIUM",
    "FORESAIL_SKIP_LOG",
    "FORESAIL_SOAK_SEEDS",
    "FORESAIL_PROPTEST_CASES",
    "FORESAIL_PROMETHEUS_BEARER_TOKEN",
    "FORESAIL_LLM_BEARER_TOKEN",
];

fn variable(name: &str) -> String {
    format!("FORESAIL_{}", name.replace('.', "_").to_uppercase())
}

impl Settings {
    /// Reads the file (the named one, `./foresail.toml`, or the user's) and the environment.
    ///
    /// # Errors
    /// Every unknown key and every wrong value, with its place and the mend.
    pub fn load(named: Option<&Path>, environment: &dyn Strings) -> Result<Self> {
        let mut settings = Self::defaults();
        let mut problems = Vec::new();
        if let Some((path, text)) = file(named, environment)? {
            settings.take_file(&path, &text, &mut problems)?;
        }
        settings.take_environment(environment, &mut problems);
        if problems.is_empty() {
            return Ok(settings);
        }
        let all: Vec<_> = problems.iter().map(ToString::to_string).collect();
        bail!("{}", all.join("\n       "))
    }

    fn defaults() -> Self {
        let values = KEYS
            .iter()
            .map(|k| (k.name, (k.default.to_owned(), Origin::Default)))
            .collect();
        Self { values }
    }

    fn set(&mut self, name: &str, value: String, origin: Origin, problems: &mut Vec<SpecProblem>) {
        let place = match &origin {
            Origin::File(file) => format!("{file}: {name}"),
            Origin::Environment(variable) => variable.clone(),
            Origin::Default | Origin::Flag => name.to_owned(),
        };
        let names: Vec<&str> = KEYS.iter().map(|k| k.name).collect();
        match KEYS.iter().find(|k| k.name == name) {
            None => problems.push(SpecProblem::unknown(place, "setting", name, &names)),
            Some(key) if !(key.check)(&value) => {
                problems.push(SpecProblem::new(
                    place,
                    format!("`{value}`: must be {}", key.expected),
                ));
            }
            Some(key) => {
                self.values.insert(key.name, (value, origin));
            }
        }
    }

    fn take_file(&mut self, path: &str, text: &str, problems: &mut Vec<SpecProblem>) -> Result<()> {
        let table: toml::Table = text.parse().with_context(|| format!("{path} is no TOML"))?;
        for (section, value) in table {
            let Some(entries) = value.as_table() else {
                let message = "must be a section, such as [simulate]";
                problems.push(SpecProblem::new(format!("{path}: {section}"), message));
                continue;
            };
            for (name, value) in entries {
                let text = value
                    .as_str()
                    .map_or_else(|| value.to_string(), str::to_owned);
                self.set(
                    &format!("{section}.{name}"),
                    text,
                    Origin::File(path.to_owned()),
                    problems,
                );
            }
        }
        Ok(())
    }

    fn take_environment(&mut self, environment: &dyn Strings, problems: &mut Vec<SpecProblem>) {
        let known: Vec<String> = KEYS.iter().map(|k| variable(k.name)).collect();
        let mut names = environment.names();
        names.sort();
        for name in names.iter().filter(|n| n.starts_with("FORESAIL_")) {
            match KEYS.iter().find(|k| variable(k.name) == *name) {
                Some(key) => {
                    let value = environment.get(name).unwrap_or_default();
                    self.set(key.name, value, Origin::Environment(name.clone()), problems);
                }
                None if OTHER_VARIABLES.contains(&name.as_str()) => {}
                None => {
                    let known: Vec<&str> = known.iter().map(String::as_str).collect();
                    problems.push(SpecProblem::unknown(name, "variable", name, &known));
                }
            }
        }
    }

    /// A value that a flag gave takes the place of all others.
    pub fn flag(&mut self, name: &'static str, value: Option<String>) {
        if let Some(value) = value {
            self.values.insert(name, (value, Origin::Flag));
        }
    }

    /// The text of one setting.
    #[must_use]
    pub fn text(&self, name: &str) -> &str {
        self.values.get(name).map_or("", |(value, _)| value)
    }

    /// One setting as the type that its check has let through.
    ///
    /// # Errors
    /// Where a flag gave something else.
    pub fn parse<T: std::str::FromStr>(&self, name: &str) -> Result<T> {
        let expected = KEYS
            .iter()
            .find(|k| k.name == name)
            .map_or("", |k| k.expected);
        let text = self.text(name);
        text.parse()
            .map_err(|_| anyhow::anyhow!("{name} = `{text}`: must be {expected}"))
    }

    /// Every setting with its value and origin, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &str, &Origin)> {
        self.values
            .iter()
            .map(|(name, (value, origin))| (*name, value.as_str(), origin))
    }
}

/// The settings file's name and text, where there is one.
fn file(named: Option<&Path>, environment: &dyn Strings) -> Result<Option<(String, String)>> {
    let named = named
        .map(Path::to_path_buf)
        .or_else(|| environment.get("FORESAIL_CONFIG").map(Into::into));
    let users = environment
        .get("XDG_CONFIG_HOME")
        .map(|d| Path::new(&d).join("foresail/config.toml"));
    let must_exist = named.is_some();
    let candidates = match named {
        Some(path) => vec![path],
        None => std::iter::once("foresail.toml".into())
            .chain(users)
            .collect(),
    };
    for path in candidates {
        let name = path.display().to_string();
        match std::fs::metadata(&path) {
            Ok(found) if found.len() > FILE_BYTES_MAX => {
                bail!("{name} is larger than {FILE_BYTES_MAX} bytes; that is no settings file")
            }
            Ok(_) => {
                let text = std::fs::read_to_string(&path)
                    .with_context(|| format!("cannot read {name}"))?;
                return Ok(Some((name, text)));
            }
            Err(error) if must_exist => {
                return Err(error).with_context(|| format!("cannot read {name}"));
            }
            Err(_) => {}
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Fixed(BTreeMap<&'static str, &'static str>);

    impl Strings for Fixed {
        fn get(&self, name: &str) -> Option<String> {
            self.0.get(name).map(|v| (*v).to_owned())
        }

        fn names(&self) -> Vec<String> {
            self.0.keys().map(|k| (*k).to_owned()).collect()
        }
    }

    fn load(file: &str, variables: &[(&'static str, &'static str)]) -> Result<Settings> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("foresail.toml");
        std::fs::write(&path, file).unwrap();
        Settings::load(Some(&path), &Fixed(variables.iter().copied().collect()))
    }

    #[test]
    fn flags_win_over_the_environment_and_that_over_the_file() {
        let mut settings = load(
            "[simulate]\nseed = 1\nmax = 7\nmin = 2\n",
            &[
                ("FORESAIL_SIMULATE_SEED", "2"),
                ("FORESAIL_SIMULATE_MAX", "8"),
            ],
        )
        .unwrap();
        settings.flag("simulate.seed", Some("3".to_owned()));
        assert_eq!(
            (
                settings.text("simulate.seed"),
                settings.text("simulate.max"),
                settings.text("simulate.min")
            ),
            ("3", "8", "2")
        );
        assert_eq!(settings.text("simulate.startup"), "45s");
    }

    #[test]
    fn every_problem_is_told_at_once_with_a_suggestion() {
        let error = load(
            "[simulate]\nsed = 1\nmax = \"many\"\n",
            &[("FORESAIL_SIMULATE_SEDE", "2")],
        )
        .unwrap_err()
        .to_string();
        for want in [
            "did you mean `simulate.seed`",
            "`many`: must be a whole number",
            "did you mean `FORESAIL_SIMULATE_SEED`",
        ] {
            assert!(error.contains(want), "{want}: {error}");
        }
    }
}
