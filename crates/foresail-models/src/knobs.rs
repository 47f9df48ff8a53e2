//! Knobs of a proposer: one list says their names, ranges and meaning; parsing and help follow it.

use std::collections::BTreeMap;

use foresail_core::spec::SpecProblem;
use serde_json::Value;

/// One knob as the registry documents it.
#[derive(Clone, Copy, Debug)]
pub struct Knob {
    /// Its name in a spec, with its unit at the end; one in `Steps` is a whole number.
    pub name: &'static str,
    /// What it may be.
    pub kind: Kind,
    /// What it does.
    pub doc: &'static str,
}

impl Knob {
    /// A knob that is a whole number: its default, the least and the most.
    #[must_use]
    pub const fn whole(name: &'static str, range: [u32; 3], doc: &'static str) -> Self {
        let [default, min, max] = range;
        Self {
            name,
            kind: Kind::Whole { default, min, max },
            doc,
        }
    }

    /// A knob that is true or false.
    #[must_use]
    pub const fn flag(name: &'static str, default: bool, doc: &'static str) -> Self {
        Self {
            name,
            kind: Kind::Flag { default },
            doc,
        }
    }

    /// A knob that is a number: its default, the least and the most.
    #[must_use]
    pub const fn number(name: &'static str, range: [f64; 3], doc: &'static str) -> Self {
        let [default, min, max] = range;
        Self {
            name,
            kind: Kind::Number { default, min, max },
            doc,
        }
    }
}

/// What a knob may be.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// A number within a range.
    Number {
        /// Where none is given.
        default: f64,
        /// The least.
        min: f64,
        /// The most.
        max: f64,
    },
    /// A whole number within a range.
    Whole {
        /// Where none is given.
        default: u32,
        /// The least.
        min: u32,
        /// The most.
        max: u32,
    },
    /// True or false.
    Flag {
        /// Where none is given.
        default: bool,
    },
    /// One of some words.
    Word {
        /// Where none is given.
        default: &'static str,
        /// Those known.
        known: &'static [&'static str],
    },
    /// A name that the proposer looks up itself.
    Name {
        /// Where none is given.
        default: &'static str,
    },
    /// A list that the proposer reads itself.
    List,
    /// Knobs of something else, by their names.
    Map,
}

/// Checked knobs of one proposer.
#[derive(Clone, Debug, Default)]
pub struct Knobs {
    numbers: BTreeMap<&'static str, f64>,
    words: BTreeMap<&'static str, String>,
    lists: BTreeMap<&'static str, Vec<Value>>,
    maps: BTreeMap<&'static str, BTreeMap<String, Value>>,
}

impl Knobs {
    /// Reads the knobs of a spec.
    ///
    /// # Errors
    /// Every unknown name, wrong kind and number out of range, each with its path below `path`.
    pub fn read(
        known: &'static [Knob],
        given: &BTreeMap<String, Value>,
        path: &str,
    ) -> Result<Self, Vec<SpecProblem>> {
        let mut problems = Vec::new();
        let names: Vec<&str> = known.iter().map(|k| k.name).collect();
        for name in given.keys().filter(|name| !names.contains(&name.as_str())) {
            problems.push(SpecProblem::unknown(
                format!("{path}.{name}"),
                "knob",
                name,
                &names,
            ));
        }
        let mut knobs = Self::default();
        for knob in known {
            if let Err(message) = knobs.take(knob, given.get(knob.name)) {
                problems.push(SpecProblem::new(format!("{path}.{}", knob.name), message));
            }
        }
        if problems.is_empty() {
            Ok(knobs)
        } else {
            Err(problems)
        }
    }

    fn take(&mut self, knob: &Knob, given: Option<&Value>) -> Result<(), String> {
        match knob.kind {
            Kind::Number { default, min, max } => {
                let number = given.map_or(Some(default), Value::as_f64);
                let whole = knob.name.ends_with("Steps");
                let fits = |n: &f64| (min..=max).contains(n) && !(whole && n.fract() != 0.0);
                let number = number.filter(fits).ok_or_else(|| {
                    let text = given.map_or_else(String::new, ToString::to_string);
                    let kind = if whole { "whole number" } else { "number" };
                    format!("{text}: must be a {kind} from {min} to {max}")
                })?;
                self.numbers.insert(knob.name, number);
            }
            Kind::Whole { default, min, max } => {
                let number = given.map_or(Some(f64::from(default)), Value::as_f64);
                let fits =
                    |n: &f64| n.fract() == 0.0 && (f64::from(min)..=f64::from(max)).contains(n);
                let number = number.filter(fits).ok_or_else(|| {
                    let text = given.map_or_else(String::new, ToString::to_string);
                    format!("{text}: must be a whole number from {min} to {max}")
                })?;
                self.numbers.insert(knob.name, number);
            }
            Kind::Flag { default } => {
                let flag = given.map_or(Some(default), Value::as_bool);
                let flag = flag.ok_or("must be true or false")?;
                self.numbers.insert(knob.name, f64::from(u8::from(flag)));
            }
            Kind::Word { default, known } => {
                let word = given.map_or(Some(default), Value::as_str);
                let word = word.filter(|w| known.contains(w)).ok_or_else(|| {
                    let text = given.map_or_else(String::new, ToString::to_string);
                    format!("{text}: must be one of {}", known.join(", "))
                })?;
                self.words.insert(knob.name, word.to_owned());
            }
            Kind::Name { default } => {
                let name = given.map_or(Some(default), Value::as_str);
                let name = name.ok_or("must be a name")?;
                self.words.insert(knob.name, name.to_owned());
            }
            Kind::Map => {
                let map = given.map_or_else(
                    || Some(BTreeMap::new()),
                    |v| Some(v.as_object()?.clone().into_iter().collect()),
                );
                let map = map.ok_or("must be knobs by their names")?;
                self.maps.insert(knob.name, map);
            }
            Kind::List => {
                if let Some(list) = given {
                    let list = list.as_array().cloned();
                    self.lists.insert(knob.name, list.ok_or("must be a list")?);
                }
            }
        }
        Ok(())
    }

    /// A number of the list; zero for a name that is not on it.
    #[must_use]
    pub fn number(&self, name: &str) -> f64 {
        self.numbers.get(name).copied().unwrap_or_default()
    }

    /// A whole number of the list; zero for a name that is not on it.
    #[must_use]
    pub fn whole(&self, name: &str) -> u64 {
        self.number(name) as u64
    }

    /// Whether a flag of the list is set; `false` for a name that is not on it.
    #[must_use]
    pub fn flag(&self, name: &str) -> bool {
        self.number(name) > 0.5
    }

    /// A word or name of the list; empty for a name that is not on it.
    #[must_use]
    pub fn word(&self, name: &str) -> &str {
        self.words.get(name).map_or("", String::as_str)
    }

    /// Knobs by their names; empty for a name that is not on the list.
    #[must_use]
    pub fn map(&self, name: &str) -> BTreeMap<String, Value> {
        self.maps.get(name).cloned().unwrap_or_default()
    }

    /// A list of the list; `None` where none is given.
    #[must_use]
    pub fn given_list(&self, name: &str) -> Option<&[Value]> {
        self.lists.get(name).map(Vec::as_slice)
    }

    /// A list of the list; empty where none is given.
    #[must_use]
    pub fn list(&self, name: &str) -> &[Value] {
        self.given_list(name).unwrap_or(&[])
    }
}
