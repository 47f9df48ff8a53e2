//! Valid objects made of a seed.

use serde_json::{Value, json};

use crate::kubernetes::crd::FORECASTERS;

/// Numbers from a seed (splitmix64).
#[derive(Debug)]
pub(super) struct Dice(pub(super) u64);

impl Dice {
    pub(super) fn below(&mut self, most: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % most
    }

    pub(super) fn one<T: Clone>(&mut self, of: &[T]) -> T {
        of[self.below(of.len() as u64) as usize].clone()
    }

    fn coin(&mut self) -> bool {
        self.below(2) == 0
    }
}

fn any_target(dice: &mut Dice, kinds: &[&str]) -> Value {
    let amount = [
        json!("40"),
        json!(40),
        json!("2500m"),
        json!("1.5"),
        json!("512Mi"),
        json!("1e3"),
    ];
    match dice.one(kinds) {
        "Utilization" => json!({"type": "Utilization", "averageUtilization": 1 + dice.below(200)}),
        "AverageValue" => json!({"type": "AverageValue", "averageValue": dice.one(&amount)}),
        _ => json!({"type": "Value", "value": dice.one(&amount)}),
    }
}

fn any_metric(dice: &mut Dice, role: &str, with_capacity: bool) -> Value {
    let demand = role != "React";
    let kinds: &[&str] = if demand {
        &["External", "Prometheus"]
    } else {
        &[
            "Resource",
            "ContainerResource",
            "Pods",
            "Object",
            "External",
            "Prometheus",
        ]
    };
    let pods = &["Utilization", "AverageValue"][..];
    let totals = if demand && !with_capacity {
        &["AverageValue"][..]
    } else {
        &["Value", "AverageValue"][..]
    };
    let named = json!({"name": "requests", "selector": {"matchLabels": {"app": "web"},
        "matchExpressions": [{"key": "tier", "operator": "In", "values": ["a"]}, {"key": "x", "operator": "Exists"}]}});
    let mut metric = match dice.one(kinds) {
        "Resource" => json!({"type": "Resource", "resource": {
            "name": dice.one(&["cpu", "memory"]), "target": any_target(dice, pods)}}),
        "ContainerResource" => json!({"type": "ContainerResource", "containerResource": {
            "name": "cpu", "container": "app", "target": any_target(dice, pods)}}),
        "Pods" => json!({"type": "Pods", "pods": {
            "metric": named, "target": any_target(dice, &["AverageValue"])}}),
        "Object" => json!({"type": "Object", "object": {"metric": named,
            "describedObject": {"apiVersion": "v1", "kind": "Service", "name": "web"},
            "target": any_target(dice, totals)}}),
        "External" => json!({"type": "External", "external": {
            "metric": named, "target": any_target(dice, totals)}}),
        _ => json!({"type": "Prometheus", "prometheus": {
            "query": "sum(x)", "target": any_target(dice, totals), "emptyIs": dice.one(&["Error", "Zero"])}}),
    };
    if role != "React" || dice.coin() {
        metric["role"] = json!(role);
    }
    metric
}

fn any_behavior(dice: &mut Dice) -> Value {
    let mut rules = || {
        json!({
            "stabilizationWindowSeconds": dice.below(3601),
            "selectPolicy": dice.one(&["Max", "Min", "Disabled"]),
            "tolerance": dice.one(&["0", "0.05", "50m"]),
            "policies": [
                {"type": "Pods", "value": 1 + dice.below(50), "periodSeconds": 1 + dice.below(1800)},
                {"type": "Percent", "value": 1 + dice.below(400), "periodSeconds": 15},
            ],
        })
    };
    json!({"scaleUp": rules(), "scaleDown": rules()})
}

/// The spec of a valid object.
pub(super) fn any_object(dice: &mut Dice) -> Value {
    let capacity = dice.coin();
    let max = 1 + dice.below(10_000);
    let mut metrics: Vec<Value> = (0..=dice.below(4))
        .map(|_| any_metric(dice, "React", capacity))
        .collect();
    let demand = dice.below(3);
    if demand > 0 {
        let role = ["Forecast", "Both"][demand as usize - 1];
        let place = dice.below(metrics.len() as u64 + 1) as usize;
        metrics.insert(place, any_metric(dice, role, capacity));
    }
    let mut spec = json!({
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": dice.one(&["Deployment", "StatefulSet"]), "name": "web"},
        "mode": dice.one(&["Off", "Shadow", "Advise", "Auto"]),
        "syncPeriodSeconds": 1 + dice.below(300),
        "minReplicas": 1 + dice.below(max),
        "maxReplicas": max,
        "metrics": metrics,
        "combine": {"rule": dice.one(&["Largest", "First", "Median"])},
        "guardrails": {"floor": dice.one(&["Strict", "Relaxed"]), "floorMinSharePercent": 1 + dice.below(100),
            "staleAfterSeconds": 15 + dice.below(286), "maxMissingPercent": dice.below(101),
            "minUptimeSeconds": dice.below(86_401)},
        "suspend": {"scaleUp": dice.coin(), "scaleDown": dice.coin()},
        "explain": {"keepDecisions": dice.below(51)},
        "forecast": {"startupSeconds": dice.below(3601)},
    });
    if capacity {
        spec["forecast"]["capacity"] = json!("100");
    }
    if dice.coin() {
        spec["behavior"] = any_behavior(dice);
    }
    if dice.coin() {
        spec["suspend"]["holdAt"] = json!(1 + dice.below(10_000));
    }
    if demand > 0 {
        spec["forecast"]["forecaster"] = json!(dice.one(&FORECASTERS));
        let proposers = dice.one(&[
            json!([{"name": "predictive"}]),
            json!([{"name": "aapa"}, {"name": "hpa"}]),
        ]);
        spec["proposers"] = proposers;
    }
    let scale = json!({"type": "Scale"});
    let floor = json!({"type": "HPAFloor", "hpaName": "web"});
    if dice.coin() {
        spec["actuation"] = dice.one(&[scale, floor]);
    }
    spec
}
