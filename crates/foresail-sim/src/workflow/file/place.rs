//! A value of a file with the keys that lead to it.

use foresail_core::spec::SpecProblem;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

/// A value and where it stands.
#[derive(Clone, Debug)]
pub(super) struct Place<'a> {
    path: String,
    value: &'a Value,
}

impl<'a> Place<'a> {
    pub(super) fn top(value: &'a Value) -> Self {
        let path = String::new();
        Self { path, value }
    }

    pub(super) fn path(&self) -> &str {
        &self.path
    }

    fn below(&self, key: &str) -> String {
        if self.path.is_empty() {
            key.to_owned()
        } else {
            format!("{}.{key}", self.path)
        }
    }

    fn wrong(&self, must: &str) -> SpecProblem {
        SpecProblem::new(&*self.path, format!("{}: must be {must}", self.value))
    }

    pub(super) fn is_object(&self) -> bool {
        self.value.is_object()
    }

    /// What stands under a key.
    pub(super) fn get(&self, key: &str) -> Option<Self> {
        let value = self.value.get(key)?;
        let path = self.below(key);
        Some(Self { path, value })
    }

    /// What stands under a key that must be there.
    pub(super) fn needed(&self, key: &str, problems: &mut Vec<SpecProblem>) -> Option<Self> {
        let found = self.get(key);
        if found.is_none() {
            problems.push(SpecProblem::new(self.below(key), "missing: write it"));
        }
        found
    }

    /// Refuses keys that are not known.
    pub(super) fn known(&self, keys: &[&str], problems: &mut Vec<SpecProblem>) {
        let Some(object) = self.value.as_object() else {
            problems.push(self.wrong("an object"));
            return;
        };
        for key in object.keys().filter(|k| !keys.contains(&k.as_str())) {
            problems.push(SpecProblem::unknown(self.below(key), "key", key, keys));
        }
    }

    /// A text that must be there and say something.
    pub(super) fn text(&self, key: &str, problems: &mut Vec<SpecProblem>) -> Option<String> {
        self.needed(key, problems)?.own_text(problems)
    }

    pub(super) fn own_text(&self, problems: &mut Vec<SpecProblem>) -> Option<String> {
        let text = self.value.as_str().filter(|t| !t.is_empty());
        if text.is_none() {
            problems.push(self.wrong("a text that is not empty"));
        }
        text.map(str::to_owned)
    }

    pub(super) fn above_zero(&self, must: &str, problems: &mut Vec<SpecProblem>) -> Option<f64> {
        let number = self.value.as_f64().filter(|n| n.is_finite() && *n > 0.0);
        if number.is_none() {
            problems.push(self.wrong(must));
        }
        number
    }

    pub(super) fn percentile(&self, problems: &mut Vec<SpecProblem>) -> Option<f64> {
        let must = "a percentile above 0 and at most 100";
        let number = self.above_zero(must, problems)?;
        if number > 100.0 {
            problems.push(self.wrong(must));
            return None;
        }
        Some(number)
    }

    pub(super) fn object(&self, must: &str, problems: &mut Vec<SpecProblem>) -> Map<String, Value> {
        let object = self.value.as_object().cloned();
        if object.is_none() {
            problems.push(self.wrong(must));
        }
        object.unwrap_or_default()
    }

    /// The items of a list that must hold something.
    pub(super) fn list(&self, must: &str, problems: &mut Vec<SpecProblem>) -> Vec<Self> {
        let list = self.value.as_array().filter(|l| !l.is_empty());
        if list.is_none() {
            problems.push(self.wrong(must));
        }
        let items = list.into_iter().flatten().enumerate();
        items
            .map(|(i, value)| Self {
                path: format!("{}[{i}]", self.path),
                value,
            })
            .collect()
    }

    /// A value of a form of its own, checked.
    pub(super) fn read<T: DeserializeOwned>(
        &self,
        problems: &mut Vec<SpecProblem>,
        check: impl Fn(&T) -> Option<String>,
    ) -> Option<T> {
        let read = T::deserialize(self.value).map_err(|e| e.to_string());
        match read.and_then(|v| check(&v).map_or(Ok(v), Err)) {
            Ok(value) => Some(value),
            Err(message) => {
                problems.push(SpecProblem::new(&*self.path, message));
                None
            }
        }
    }
}
