//! From the types' schema to one that an API server takes: structural, bounded, with rules.

use schemars::{Schema, SchemaGenerator, json_schema};
use serde_json::{Map, Value, json};

use super::spec::PredictiveAutoscaler;
use super::{FORECASTERS, PROPOSERS, rules};

/// A suffix of Kubernetes' quantities, or none.
macro_rules! suffix {
    () => {
        "([numkMGTPE]|[KMGTPE]i|[eE][+-]?[0-9]{1,2})?$"
    };
}

/// A quantity above zero.
pub(super) const POSITIVE: &str = concat!(
    r"^\+?(0*[1-9][0-9]*(\.[0-9]*)?|0*\.0*[1-9][0-9]*)",
    suffix!()
);

/// A quantity of zero or more.
pub(super) const NOT_NEGATIVE: &str = concat!(r"^\+?([0-9]+(\.[0-9]*)?|\.[0-9]+)", suffix!());

/// A DNS label.
pub(super) const LABEL: &str = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$";

/// A DNS subdomain, as the names of most objects are.
pub(super) const NAME: &str = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$";

/// A container's name, or the star that stands for all.
pub(super) const CONTAINER: &str = r"^(\*|[a-z0-9]([-a-z0-9]*[a-z0-9])?)$";

/// Columns of `kubectl get`: name, type, path and whether only `-o wide` shows it.
const COLUMNS: [(&str, &str, &str, bool); 16] = [
    ("Target", "string", ".status.targetRef", false),
    ("Mode", "string", ".spec.mode", false),
    ("Archetype", "string", ".status.archetype", false),
    ("Replicas", "integer", ".status.currentReplicas", false),
    ("Desired", "integer", ".status.desiredReplicas", false),
    ("Reactive", "integer", ".status.reactiveReplicas", false),
    (
        "Forecast",
        "string",
        ".status.conditions[?(@.type=='ForecastReady')].status",
        false,
    ),
    ("By", "string", ".status.lastDecision.chosenBy", false),
    (
        "Limited",
        "string",
        ".status.conditions[?(@.type=='ScalingLimited')].reason",
        false,
    ),
    ("Age", "date", ".metadata.creationTimestamp", false),
    ("Min", "integer", ".spec.minReplicas", true),
    ("Max", "integer", ".spec.maxReplicas", true),
    ("Model", "string", ".status.forecast.model", true),
    (
        "Coverage",
        "integer",
        ".status.forecast.coveragePercent",
        true,
    ),
    ("Lead", "integer", ".status.forecast.leadTimeSeconds", true),
    ("LastScale", "date", ".status.lastScaleTime", true),
];

fn column((name, kind, path, wide): (&str, &str, &str, bool)) -> Value {
    let mut column = json!({"name": name, "type": kind, "jsonPath": path});
    if wide && let Some(fields) = column.as_object_mut() {
        fields.insert("priority".to_owned(), json!(1));
    }
    column
}

/// Characters of a list or text whose length the types leave open.
const LENGTH_MAX: u64 = 1024;

pub(super) fn positive_quantity(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "x-kubernetes-int-or-string": true, "pattern": POSITIVE, "maxLength": 32, "minimum": 1
    })
}

pub(super) fn tolerance(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "x-kubernetes-int-or-string": true, "pattern": NOT_NEGATIVE, "maxLength": 32, "minimum": 0
    })
}

pub(super) fn label(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "string", "pattern": LABEL, "minLength": 1, "maxLength": 63})
}

pub(super) fn container(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "string", "pattern": CONTAINER, "minLength": 1, "maxLength": 63})
}

pub(super) fn object_name(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "string", "pattern": NAME, "minLength": 1, "maxLength": 253})
}

pub(super) fn forecaster(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "string", "enum": FORECASTERS, "maxLength": 63})
}

pub(super) fn proposer(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "string", "enum": PROPOSERS, "maxLength": 63})
}

pub(super) fn knobs(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object", "maxProperties": 24,
        "additionalProperties": {"type": "string", "maxLength": 1024}
    })
}

pub(super) fn match_labels(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object", "maxProperties": 16,
        "additionalProperties": {"type": "string", "maxLength": 63}
    })
}

pub(super) fn time(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "string", "format": "date-time", "maxLength": 64})
}

pub(super) fn free_object(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "object", "x-kubernetes-preserve-unknown-fields": true})
}

pub(super) fn conditions(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array", "maxItems": 16,
        "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"],
        "items": {
            "type": "object",
            "required": ["type", "status", "lastTransitionTime", "reason", "message"],
            "properties": {
                "type": {"type": "string", "maxLength": 316},
                "status": {"type": "string", "enum": ["True", "False", "Unknown"]},
                "observedGeneration": {"type": "integer", "format": "int64", "minimum": 0},
                "lastTransitionTime": {"type": "string", "format": "date-time"},
                "reason": {"type": "string", "minLength": 1, "maxLength": 1024},
                "message": {"type": "string", "maxLength": 4096}
            }
        }
    })
}

/// The whole definition as data.
pub(super) fn definition() -> Result<Value, String> {
    use kube::CustomResourceExt;
    let mut definition = serde_json::to_value(PredictiveAutoscaler::crd())
        .map_err(|e| format!("the definition: {e}"))?;
    let version = definition
        .pointer_mut("/spec/versions/0")
        .and_then(Value::as_object_mut)
        .ok_or("the definition has no version")?;
    version.insert(
        "additionalPrinterColumns".to_owned(),
        COLUMNS.map(column).into_iter().collect(),
    );
    let schema = definition
        .pointer_mut("/spec/versions/0/schema/openAPIV3Schema")
        .ok_or("the definition has no schema")?;
    tidy(schema);
    rules::write(schema)?;
    Ok(definition)
}

/// The schema alone.
pub(super) fn of_object() -> Result<Value, String> {
    definition()?
        .pointer("/spec/versions/0/schema/openAPIV3Schema")
        .cloned()
        .ok_or_else(|| "the definition has no schema".to_owned())
}

/// Takes out what an API server does not want and bounds what the types leave open.
///
/// A `null` in an object that may be null stays and is no absent field to a rule; one in an object
/// that may not is taken away before defaults are set, as Kubernetes' own types have it.
fn tidy(schema: &mut Value) {
    let Some(fields) = schema.as_object_mut() else {
        return;
    };
    fields.remove("nullable");
    if let Some(Value::String(text)) = fields.get_mut("description") {
        *text = text.replace('\n', " ").replace('`', "");
    }
    for key in ["minimum", "maximum"] {
        if let Some(whole) = fields.get(key).and_then(Value::as_f64) {
            fields.insert(key.to_owned(), json!(whole as i64));
        }
    }
    bound(fields);
    if let Some(Value::Object(properties)) = fields.get_mut("properties") {
        properties.values_mut().for_each(tidy);
    }
    for below in ["items", "additionalProperties"] {
        if let Some(schema) = fields.get_mut(below) {
            tidy(schema);
        }
    }
}

fn bound(fields: &mut Map<String, Value>) {
    let kind = fields.get("type").and_then(Value::as_str);
    let (key, most) = match kind {
        Some("string") if !fields.contains_key("enum") => ("maxLength", json!(LENGTH_MAX)),
        Some("array") => ("maxItems", json!(64)),
        _ => return,
    };
    fields.entry(key).or_insert(most);
    if kind_is_list(fields) {
        fields
            .entry("x-kubernetes-list-type")
            .or_insert(json!("atomic"));
    }
}

fn kind_is_list(fields: &Map<String, Value>) -> bool {
    fields.get("type").and_then(Value::as_str) == Some("array")
}
