//! An object read from a file, or from a cluster whose rules may be younger than the object: the
//! schema's own demands, unknown fields and the rules, all problems at once.

use std::sync::LazyLock;

use foresail_core::spec::SpecProblem;
use serde_json::{Map, Value};

use super::schema::{self, CONTAINER, LABEL, NAME, NOT_NEGATIVE, POSITIVE};
use super::spec::{EVERY_CONTAINER, PredictiveAutoscaler};
use super::{GROUP, KIND, VERSION, rules};

/// The schema of `spec`; the text says why there is none.
static SPEC: LazyLock<Result<Value, String>> = LazyLock::new(|| {
    let schema = schema::of_object()?;
    let spec = schema.pointer("/properties/spec").cloned();
    spec.ok_or_else(|| "the definition has no spec".to_owned())
});

/// The most bytes of a spec. Source: specs/reliability.md Q38.
const SPEC_BYTES_MAX: usize = 16 * 1024;

/// The longest list of metrics that rules are looked at for: ten may be given.
const RULED_MAX: usize = 100;

/// Reads an object as JSON or YAML gave it.
///
/// Fields that are `null` are absent, as an API server has them in a new object. A status that cannot
/// be read is absent: it is the controller's own, and an older one must not stop a newer one.
///
/// # Errors
/// Every problem found, each with its path and the mend.
pub fn read(object: &Value) -> Result<PredictiveAutoscaler, Vec<SpecProblem>> {
    let mut object = without_nulls(object);
    let mut problems = top_problems(&object);
    if let Some(spec) = object.get("spec") {
        problems.extend(form_problems(spec));
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    let fields = object.as_object_mut();
    let status = fields.and_then(|fields| fields.remove("status"));
    let read = serde_json::from_value::<PredictiveAutoscaler>(object);
    let mut read = read.map_err(|e| vec![SpecProblem::new("object", e.to_string())])?;
    read.status = status.and_then(|status| serde_json::from_value(status).ok());
    let broken = rules::problems(&read.spec);
    if broken.is_empty() {
        Ok(read)
    } else {
        Err(broken)
    }
}

/// Every problem of an object that was read before: its form, its rules and its size.
pub(crate) fn problems(object: &PredictiveAutoscaler) -> Vec<SpecProblem> {
    let spec = match serde_json::to_value(&object.spec) {
        Ok(spec) => spec,
        Err(error) => return vec![SpecProblem::new("spec", error.to_string())],
    };
    let mut problems = form_problems(&spec);
    // Rules hold each metric against each other one; a list that is far too long is told as that.
    if object.spec.metrics.len() <= RULED_MAX {
        problems.extend(rules::problems(&object.spec));
    }
    problems
}

fn top_problems(object: &Value) -> Vec<SpecProblem> {
    let mut problems = Vec::new();
    let mut must = |field: &str, wanted: &str| {
        let given = object.get(field).and_then(Value::as_str).unwrap_or("");
        if given != wanted {
            let message = format!("`{given}`: must be {wanted}");
            problems.push(SpecProblem::new(field, message));
        }
    };
    must("apiVersion", &format!("{GROUP}/{VERSION}"));
    must("kind", KIND);
    if !object.get("metadata").is_some_and(Value::is_object) {
        problems.push(SpecProblem::new("metadata", "missing: name the object"));
    }
    if object.get("spec").is_none() {
        problems.push(SpecProblem::new("spec", "missing: say what is scaled"));
    }
    problems
}

pub(in crate::kubernetes) fn form_problems(spec: &Value) -> Vec<SpecProblem> {
    let mut walk = Walk::default();
    match SPEC.as_ref() {
        Ok(schema) => walk.value(schema, spec, "spec"),
        Err(why) => walk.bad("spec", why.clone()),
    }
    let bytes = spec.to_string().len();
    if bytes > SPEC_BYTES_MAX {
        walk.bad(
            "spec",
            format!("{bytes} bytes: must be at most {SPEC_BYTES_MAX}; shorten queries and knobs"),
        );
    }
    walk.problems
}

/// The same without fields that are `null`.
pub(in crate::kubernetes) fn without_nulls(value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            let given = fields.iter().filter(|(_, v)| !v.is_null());
            let kept = given.map(|(k, v)| (k.clone(), without_nulls(v)));
            Value::Object(kept.collect())
        }
        Value::Array(items) => Value::Array(items.iter().map(without_nulls).collect()),
        other => other.clone(),
    }
}

/// Problems found so far on the way through a schema; as deep as the schema, whatever the value.
#[derive(Default)]
struct Walk {
    problems: Vec<SpecProblem>,
}

impl Walk {
    fn bad(&mut self, path: &str, message: impl Into<String>) {
        self.problems.push(SpecProblem::new(path, message));
    }

    fn value(&mut self, schema: &Value, value: &Value, path: &str) {
        let either = schema.get("x-kubernetes-int-or-string").is_some();
        let kind = schema.get("type").and_then(Value::as_str).unwrap_or("");
        match value {
            Value::Object(fields) if kind == "object" => self.object(schema, fields, path),
            Value::Array(items) if kind == "array" => self.list(schema, items, path),
            Value::String(text) if either || kind == "string" => self.text(schema, text, path),
            Value::Number(n) if (either || kind == "integer") && n.is_i64() => {
                self.number(schema, n.as_i64().unwrap_or(0), path);
            }
            Value::Bool(_) if kind == "boolean" => {}
            other => self.bad(path, wrong_kind(other, kind, either)),
        }
    }

    fn object(&mut self, schema: &Value, fields: &Map<String, Value>, path: &str) {
        let empty = Map::new();
        let known = schema.get("properties").and_then(Value::as_object);
        let known = known.unwrap_or(&empty);
        let any = schema.get("additionalProperties");
        let names: Vec<&str> = known.keys().map(String::as_str).collect();
        for (name, value) in fields {
            let path = format!("{path}.{name}");
            match known.get(name).or(any) {
                Some(schema) => self.value(schema, value, &path),
                None => self
                    .problems
                    .push(SpecProblem::unknown(path, "field", name, &names)),
            }
        }
        let required = schema.get("required").and_then(Value::as_array);
        for name in required.into_iter().flatten().filter_map(Value::as_str) {
            if !fields.contains_key(name) {
                self.bad(&format!("{path}.{name}"), "missing: it must be given");
            }
        }
        self.most(schema, "maxProperties", fields.len(), "fields", path);
    }

    fn list(&mut self, schema: &Value, items: &[Value], path: &str) {
        self.most(schema, "maxItems", items.len(), "items", path);
        self.least(schema, "minItems", items.len(), "items", path);
        let Some(schema) = schema.get("items") else {
            return;
        };
        for (i, item) in items.iter().enumerate() {
            self.value(schema, item, &format!("{path}[{i}]"));
        }
    }

    fn text(&mut self, schema: &Value, text: &str, path: &str) {
        let length = text.chars().count();
        self.most(schema, "maxLength", length, "characters", path);
        self.least(schema, "minLength", length, "characters", path);
        if let Some(known) = schema.get("enum").and_then(Value::as_array) {
            let known: Vec<&str> = known.iter().filter_map(Value::as_str).collect();
            if !known.contains(&text) {
                let last = path.rsplit('.').next().unwrap_or(path);
                let problem = SpecProblem::unknown(path, last, text, &known);
                self.problems.push(problem);
            }
        }
        if let Some(pattern) = schema.get("pattern").and_then(Value::as_str)
            && let Some(why) = misfit(pattern, text)
        {
            self.bad(path, format!("`{text}`: {why}"));
        }
    }

    fn number(&mut self, schema: &Value, number: i64, path: &str) {
        let bound = |key| schema.get(key).and_then(Value::as_i64);
        let (min, max) = (bound("minimum"), bound("maximum"));
        if min.is_some_and(|min| number < min) || max.is_some_and(|max| number > max) {
            let from = min.map_or_else(String::new, |min| format!(" {min} or more"));
            let to = max.map_or_else(String::new, |max| format!(" and at most {max}"));
            self.bad(path, format!("{number}: must be{from}{to}"));
        }
    }

    fn most(&mut self, schema: &Value, key: &str, count: usize, of: &str, path: &str) {
        let most = schema.get(key).and_then(Value::as_u64);
        if let Some(most) = most.filter(|most| count as u64 > *most) {
            self.bad(path, format!("{count} {of}: must be at most {most}"));
        }
    }

    fn least(&mut self, schema: &Value, key: &str, count: usize, of: &str, path: &str) {
        let least = schema.get(key).and_then(Value::as_u64);
        if let Some(least) = least.filter(|least| (count as u64) < *least) {
            self.bad(path, format!("{count} {of}: must be at least {least}"));
        }
    }
}

/// What is wrong with a value of another kind than the schema's.
fn wrong_kind(value: &Value, kind: &str, either: bool) -> String {
    let shown: String = value.to_string().chars().take(40).collect();
    let wanted = match kind {
        _ if either => "a whole number or a text; write a fraction in quotes",
        "string" => "a text: put it in quotes",
        "integer" => "a whole number",
        "boolean" => "true or false",
        "array" => "a list",
        _ => "fields by their names",
    };
    format!("{shown}: must be {wanted}")
}

/// Why a text does not fit one of the patterns of the schema; `None` where it does.
fn misfit(pattern: &str, text: &str) -> Option<&'static str> {
    let (fits, why) = match pattern {
        POSITIVE => (
            quantity(text) == Some(true),
            "must be a quantity above 0, such as 40, 250m or 512Mi",
        ),
        NOT_NEGATIVE => (
            quantity(text).is_some(),
            "must be a quantity of 0 or more, such as 0.05 or 50m",
        ),
        LABEL => (
            is_label(text),
            "must be lower-case letters, digits and `-`, and begin and end with a letter or digit",
        ),
        NAME => (
            text.split('.').all(is_label),
            "must be lower-case letters, digits, `-` and `.`, and each part begin and end with a letter or digit",
        ),
        CONTAINER => (
            text == EVERY_CONTAINER || is_label(text),
            "must be the name of a container, or * for all",
        ),
        _ => (true, ""),
    };
    (!fits).then_some(why)
}

fn is_label(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    text.starts_with(plain) && text.ends_with(plain) && text.chars().all(|c| plain(c) || c == '-')
}

/// Whether a text is a quantity of zero or more, and whether it is above zero.
fn quantity(text: &str) -> Option<bool> {
    let text = text.strip_prefix('+').unwrap_or(text);
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.');
    let (number, suffix) = text.split_at(end.unwrap_or(text.len()));
    let digits = number.bytes().filter(u8::is_ascii_digit);
    let one_number =
        digits.clone().count() > 0 && number.bytes().filter(|b| *b == b'.').count() < 2;
    let units = [
        "", "n", "u", "m", "k", "M", "G", "T", "P", "E", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei",
    ];
    let known = units.contains(&suffix) || is_exponent(suffix);
    (one_number && known).then(|| digits.clone().any(|d| d != b'0'))
}

fn is_exponent(suffix: &str) -> bool {
    let Some(rest) = suffix.strip_prefix(['e', 'E']) else {
        return false;
    };
    let digits = rest.strip_prefix(['+', '-']).unwrap_or(rest);
    (1..=2).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_are_told_apart_as_the_pattern_tells_them() {
        for (text, told) in [
            ("0", Some(false)),
            ("0.0", Some(false)),
            ("40", Some(true)),
            ("250m", Some(true)),
            (".5", Some(true)),
            ("5.", Some(true)),
            ("00.010", Some(true)),
            ("+3Gi", Some(true)),
            ("1e3", Some(true)),
            ("1E", Some(true)),
            ("1E-09", Some(true)),
            ("", None),
            (".", None),
            ("-1", None),
            ("1.2.3", None),
            ("1 Mi", None),
            ("1e", None),
            ("1e123", None),
            ("NaN", None),
            ("5x", None),
        ] {
            assert_eq!(quantity(text), told, "{text}");
        }
    }

    #[test]
    fn names_are_told_apart_as_the_patterns_tell_them() {
        for (text, label, name) in [
            ("web", true, true),
            ("a", true, true),
            ("web-2", true, true),
            ("web.shop", false, true),
            ("-web", false, false),
            ("web-", false, false),
            ("web..shop", false, false),
            ("Web", false, false),
            ("", false, false),
        ] {
            assert_eq!(misfit(LABEL, text).is_none(), label, "{text}");
            assert_eq!(misfit(NAME, text).is_none(), name, "{text}");
        }
    }
}
