//! The form of a vector: which keys are read at every level, and what may stand there.

use std::collections::BTreeSet;

use foresail_core::quantity::units::parse_kubernetes_milli;
use serde_json::{Map, Value};

use super::parse::{Problem, form as problem};

/// What may stand at one place; null is as if the key were absent.
pub(super) enum Form {
    Text,
    Flag,
    /// A whole number of 32 bits.
    Whole,
    /// A whole number of 32 bits that is not negative.
    Count,
    Number,
    /// A Kubernetes quantity, as text or number.
    Quantity,
    OneOf(&'static [&'static str]),
    /// Any object.
    Object,
    Any,
    List(&'static Form),
    /// An object whose keys are names.
    Named(&'static Form),
    Keys(&'static [(&'static str, Form)]),
    /// Must be there.
    Needed(&'static Form),
}

use Form::{
    Any, Count, Flag, Keys, List, Named, Needed, Number, Object, OneOf, Quantity, Text, Whole,
};

const AMOUNTS: Form = Named(&Quantity);

const CONTAINER: Form = Keys(&[
    ("name", Needed(&Text)),
    ("requests", AMOUNTS),
    ("restartAlways", Flag),
]);

const POD: Form = Keys(&[
    ("name", Needed(&Text)),
    (
        "phase",
        OneOf(&["Running", "Pending", "Succeeded", "Failed", "Unknown", ""]),
    ),
    ("startedAgo", Number),
    ("ready", OneOf(&["True", "False", "Unknown", "absent"])),
    ("readyChangedAgo", Number),
    ("deleting", Flag),
    ("containers", List(&CONTAINER)),
    ("initContainers", List(&CONTAINER)),
    ("podRequests", AMOUNTS),
]);

const METRICS: Form = Keys(&[
    (
        "resource",
        List(&Keys(&[
            ("pod", Needed(&Text)),
            ("ago", Needed(&Number)),
            ("window", Number),
            ("containers", Named(&AMOUNTS)),
        ])),
    ),
    ("resourceError", Any),
    (
        "pods",
        Named(&List(&Keys(&[
            ("pod", Needed(&Text)),
            ("ago", Needed(&Number)),
            ("window", Number),
            ("value", Needed(&Quantity)),
        ]))),
    ),
    ("object", AMOUNTS),
    ("external", Named(&List(&Quantity))),
]);

const REFERENCE: Form = Keys(&[
    ("apiVersion", Text),
    ("kind", Needed(&Text)),
    ("name", Needed(&Text)),
]);

const TARGET: Form = Keys(&[
    ("type", Needed(&Text)),
    ("averageUtilization", Whole),
    ("averageValue", Quantity),
    ("value", Quantity),
]);

const OF_RESOURCE: Form = Keys(&[
    ("name", Needed(&Text)),
    ("container", Text),
    ("target", Needed(&TARGET)),
]);

const OF_NAME: Form = Keys(&[
    (
        "metric",
        Needed(&Keys(&[("name", Needed(&Text)), ("selector", Any)])),
    ),
    ("describedObject", REFERENCE),
    ("target", Needed(&TARGET)),
]);

const DIRECTION: Form = Keys(&[
    ("stabilizationWindowSeconds", Whole),
    ("selectPolicy", OneOf(&["Max", "Min", "Disabled"])),
    (
        "policies",
        List(&Keys(&[
            ("type", Needed(&OneOf(&["Pods", "Percent"]))),
            ("value", Needed(&Whole)),
            ("periodSeconds", Needed(&Whole)),
        ])),
    ),
    ("tolerance", Quantity),
]);

const SPEC: Form = Keys(&[
    ("scaleTargetRef", REFERENCE),
    ("minReplicas", Whole),
    ("maxReplicas", Needed(&Whole)),
    (
        "metrics",
        List(&Keys(&[
            ("type", Needed(&Text)),
            ("resource", OF_RESOURCE),
            ("containerResource", OF_RESOURCE),
            ("pods", OF_NAME),
            ("object", OF_NAME),
            ("external", OF_NAME),
        ])),
    ),
    (
        "behavior",
        Keys(&[("scaleUp", DIRECTION), ("scaleDown", DIRECTION)]),
    ),
]);

const HPA: Form = Keys(&[
    ("spec", Needed(&SPEC)),
    (
        "conditions",
        List(&Keys(&[
            ("type", Needed(&Text)),
            ("status", Needed(&Text)),
            ("reason", Text),
            ("message", Text),
            ("lastTransitionTime", Any),
        ])),
    ),
]);

const SCALE_EVENT: Form = Keys(&[
    ("ago", Needed(&Number)),
    ("change", Needed(&Whole)),
    ("outdated", Flag),
]);

const HISTORY: Form = Keys(&[
    (
        "recommendations",
        List(&Keys(&[
            ("ago", Needed(&Number)),
            ("replicas", Needed(&Whole)),
        ])),
    ),
    ("scaleUpEvents", List(&SCALE_EVENT)),
    ("scaleDownEvents", List(&SCALE_EVENT)),
]);

/// One vector.
pub(super) const VECTOR: Form = Keys(&[
    ("id", Text),
    ("title", Any),
    (
        "controller",
        Keys(&[
            ("tolerance", Number),
            ("downscaleStabilizationSeconds", Number),
            ("cpuInitializationPeriodSeconds", Number),
            ("initialReadinessDelaySeconds", Number),
        ]),
    ),
    ("gates", Named(&Flag)),
    ("hpa", Needed(&HPA)),
    (
        "scale",
        Needed(&Keys(&[
            ("replicas", Needed(&Count)),
            ("statusReplicas", Needed(&Count)),
            ("selector", Text),
        ])),
    ),
    ("pods", List(&POD)),
    ("metrics", METRICS),
    ("history", HISTORY),
    (
        "then",
        List(&Keys(&[
            ("advanceSeconds", Number),
            ("pods", List(&POD)),
            ("metrics", METRICS),
            ("statusReplicas", Count),
        ])),
    ),
    ("otherHpaSelectors", List(&Text)),
    ("scaleGetFails", Flag),
    ("scaleUpdateFails", Flag),
    ("expected", List(&Object)),
    ("verifiedByRealCode", Any),
    ("upstreamDefect", Flag),
]);

impl Form {
    /// What is told that should stand there.
    fn wanted(&self) -> String {
        match self {
            Text => "a text".to_owned(),
            Flag => "true or false".to_owned(),
            Whole => format!("a whole number from {} to {}", i32::MIN, i32::MAX),
            Count => format!("a whole number from 0 to {}", i32::MAX),
            Number => "a number".to_owned(),
            Quantity => "a Kubernetes quantity such as 9, 250m or 512Mi".to_owned(),
            OneOf(words) => format!("one of {}", words.join(", ").trim_end_matches(", ")),
            List(_) => "a list".to_owned(),
            Object | Named(_) | Keys(_) => "an object".to_owned(),
            Any => "anything".to_owned(),
            Needed(form) => form.wanted(),
        }
    }

    /// `true` where the value is of this kind, whatever stands in it.
    fn fits(&self, value: &Value) -> bool {
        match self {
            Text => value.is_string(),
            Flag => value.is_boolean(),
            Whole => value.as_i64().is_some_and(|n| i32::try_from(n).is_ok()),
            Count => Whole.fits(value) && value.as_i64().is_some_and(|n| n >= 0),
            Number => value.is_number(),
            Quantity => match value {
                Value::String(text) => parse_kubernetes_milli(text).is_ok(),
                other => other.is_number(),
            },
            OneOf(words) => value.as_str().is_some_and(|text| words.contains(&text)),
            List(_) => value.is_array(),
            Object | Named(_) | Keys(_) => value.is_object(),
            Any => true,
            Needed(form) => form.fits(value),
        }
    }
}

/// Removes every key that is not read and names it once; a place in a list has no number there.
///
/// # Errors
/// [`Problem`] for the first value of another form, with its place.
pub(super) fn check(
    place: &str,
    value: &mut Value,
    form: &Form,
    unread: &mut BTreeSet<String>,
) -> Result<(), Problem> {
    if let Needed(form) = form {
        return check(place, value, form, unread);
    }
    if value.is_null() {
        return Ok(());
    }
    if !form.fits(value) {
        let why = format!("expected {}, found {}", form.wanted(), short(value));
        return Err(problem(place, why));
    }
    match (form, value) {
        (List(form), Value::Array(list)) => list.iter_mut().enumerate().try_for_each(|(i, one)| {
            if one.is_null() {
                let why = format!("expected {}, found null", form.wanted());
                return Err(problem(format!("{place}[{i}]"), why));
            }
            check(&format!("{place}[{i}]"), one, form, unread)
        }),
        (Named(form), Value::Object(map)) => map
            .iter_mut()
            .try_for_each(|(name, one)| check(&below(place, name), one, form, unread)),
        (Keys(keys), Value::Object(map)) => of_keys(place, map, keys, unread),
        _ => Ok(()),
    }
}

fn of_keys(
    place: &str,
    map: &mut Map<String, Value>,
    keys: &[(&str, Form)],
    unread: &mut BTreeSet<String>,
) -> Result<(), Problem> {
    map.retain(|key, _| {
        let known = keys.iter().any(|(name, _)| name == key);
        if !known {
            unread.insert(format!("{}: key `{key}` is not read", unnumbered(place)));
        }
        known
    });
    for (name, form) in keys {
        let at = below(place, name);
        match map.get_mut(*name) {
            Some(value) if !value.is_null() => check(&at, value, form, unread)?,
            _ => {
                if let Needed(form) = form {
                    return Err(problem(at, format!("missing; expected {}", form.wanted())));
                }
            }
        }
    }
    Ok(())
}

fn below(place: &str, key: &str) -> String {
    let separator = if place.contains(": ") { "." } else { ": " };
    format!("{place}{separator}{key}")
}

fn unnumbered(place: &str) -> String {
    let mut parts = place.split('[');
    let first = parts.next().unwrap_or_default().to_owned();
    let rest = parts.map(|part| part.split_once(']').map_or(part, |(_, after)| after));
    rest.fold(first, |text, part| format!("{text}[]{part}"))
}

/// A value as it is quoted in a message.
fn short(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(60) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}
