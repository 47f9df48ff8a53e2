//! The rules that no schema can say, in CEL, each with its message.

use serde_json::{Value, json};

/// One rule.
struct Rule {
    /// Where it holds: fields from the top of the object, `[]` for each item of a list.
    at: &'static str,
    /// What must be true.
    rule: &'static str,
    /// What is told where it is not.
    message: &'static str,
}

const RULES: &[Rule] = &[
    Rule {
        at: "spec",
        rule: "self.minReplicas <= self.maxReplicas",
        message: "minReplicas must be at most maxReplicas: raise maxReplicas or lower minReplicas",
    },
    Rule {
        at: "spec.scaleTargetRef",
        rule: "self == oldSelf",
        message: "scaleTargetRef cannot be changed: create a new object for another target",
    },
    Rule {
        at: "spec",
        rule: "self.minReplicas > 0 || self.metrics.exists(m, m.role != 'Forecast' && m.type in ['Object', 'External', 'Prometheus'])",
        message: "minReplicas 0 needs a metric of type Object, External or Prometheus, which can be read without a pod: add one or write 1",
    },
    Rule {
        at: "spec",
        rule: "self.minReplicas > 0 || !has(self.behavior) || !has(self.behavior.scaleUp) || !has(self.behavior.scaleUp.policies) || (has(self.behavior.scaleUp.selectPolicy) && self.behavior.scaleUp.selectPolicy == 'Disabled') || self.behavior.scaleUp.policies.exists(p, p.type == 'Pods')",
        message: "percent policies alone cannot leave zero replicas: add a scaleUp policy of type Pods, or write minReplicas 1",
    },
    Rule {
        at: "spec.metrics",
        rule: "self.all(m, !has(m.name) || self.exists_one(n, has(n.name) && n.name == m.name))",
        message: "two metrics have the same name: names must differ",
    },
    Rule {
        at: "spec.metrics",
        rule: "self.filter(m, m.role != 'React').size() <= 1",
        message: "at most one metric may have role Forecast or Both: its series is the demand that is forecast",
    },
    Rule {
        at: "spec.metrics",
        rule: "self.exists(m, m.role != 'Forecast')",
        message: "at least one metric must have role React or Both: it is the reactive floor",
    },
    Rule {
        at: "spec.metrics[]",
        rule: "self.role == 'React' || self.type in ['External', 'Prometheus']",
        message: "role Forecast or Both is for metrics of type Prometheus and External: usage of pods is not demand, it falls when replicas are added",
    },
];

/// Writes every rule into the schema of the object.
pub(super) fn write(schema: &mut Value) -> Result<(), String> {
    for rule in RULES {
        let place = find(schema, rule.at).ok_or_else(|| format!("no field {}", rule.at))?;
        let rules = place
            .as_object_mut()
            .ok_or("a schema is an object")?
            .entry("x-kubernetes-validations")
            .or_insert_with(|| json!([]));
        let written = json!({"rule": rule.rule, "message": rule.message});
        rules
            .as_array_mut()
            .ok_or("rules are a list")?
            .push(written);
    }
    Ok(())
}

fn find<'a>(schema: &'a mut Value, at: &str) -> Option<&'a mut Value> {
    let mut place = schema;
    for step in at.split('.') {
        let (name, items) = step
            .strip_suffix("[]")
            .map_or((step, false), |name| (name, true));
        place = place.get_mut("properties")?.get_mut(name)?;
        if items {
            place = place.get_mut("items")?;
        }
    }
    Some(place)
}
