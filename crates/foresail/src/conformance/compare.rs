//! Expected against computed: every key that the expected step has, lists in any order.

use serde_json::Value;

use super::parse::Vector;

/// What a vector came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Equal in every key.
    Pass,
    /// Different, and not allowed to be.
    Differs,
    /// Different where Kubernetes overflows and we saturate; equal under its own arithmetic.
    Allowed,
    /// The file does not say what is expected.
    None,
}

impl Verdict {
    /// Its name in tables.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Differs => "differs",
            Self::Allowed => "allowed",
            Self::None => "none",
        }
    }
}

/// Keys that are computed but not compared: their texts are informative.
const NOT_COMPARED: [&str; 1] = ["currentMetrics"];

/// Judges the steps of one vector; names the first difference.
pub(super) fn judge(vector: &Vector, result: &[Value]) -> (Verdict, Option<String>) {
    let Some(expected) = &vector.expected else {
        return (Verdict::None, None);
    };
    let difference = if expected.len() == result.len() {
        expected
            .iter()
            .zip(result)
            .enumerate()
            .find_map(|(i, (want, got))| differs(i, want, got))
    } else {
        Some(format!(
            "{} steps computed, {} expected",
            result.len(),
            expected.len()
        ))
    };
    match difference {
        None => (Verdict::Pass, None),
        Some(text) => (Verdict::Differs, Some(text)),
    }
}

fn differs(step: usize, want: &Value, got: &Value) -> Option<String> {
    let keys = want
        .as_object()?
        .iter()
        .filter(|(key, _)| !NOT_COMPARED.contains(&key.as_str()));
    keys.into_iter().find_map(|(key, want)| {
        let got = &got[key];
        (!equal(want, got)).then(|| format!("step {step}, {key}: expected {want}, computed {got}"))
    })
}

/// Equality with lists as multisets; an object's keys are those of the expected one.
fn equal(want: &Value, got: &Value) -> bool {
    match (want, got) {
        (Value::Array(want), Value::Array(got)) => {
            let mut left: Vec<&Value> = got.iter().collect();
            want.len() == got.len()
                && want.iter().all(|w| {
                    let place = left.iter().position(|g| equal(w, g));
                    place.map(|p| left.swap_remove(p)).is_some()
                })
        }
        (Value::Object(want), Value::Object(got)) => {
            // Only `outdated` may be left out of a computed event, where it is not true.
            want.iter()
                .all(|(k, w)| got.get(k).is_some_and(|g| equal(w, g)))
                && got.iter().all(|(k, g)| {
                    want.contains_key(k) || (k == "outdated" && g == &Value::Bool(false))
                })
        }
        (Value::Number(want), Value::Number(got)) => want.as_f64() == got.as_f64(),
        (want, got) => want == got,
    }
}
