//! Runs a vector through the engine with proposer `hpa` alone and tells what Kubernetes would.

use foresail_core::act::Outcome;
use foresail_core::engine::{Engine, Input, Tick};
use foresail_core::hpa::status::{Condition, Status, Told, Write};
use foresail_core::hpa::{
    self, Observed, Overflow, Reading, Records, Rules, ScaleEvent, Selector, Source, resolve,
};
use foresail_core::observe::{Health, Samples, TargetState};
use foresail_core::propose::plan::{Resources, Setting, TargetId};
use foresail_core::quantity::time::Timestamp;
use foresail_core::quantity::units::{Quantity, Replicas, Unit};
use foresail_core::spec::{Spec, SpecProblem, ValidSpec};
use foresail_models::registry::build_engine;
use foresail_models::rng::Seed;
use serde_json::{Value, json};

use super::compare::{self, Verdict};
use super::parse::{Metrics, Problem, START, Vector, World, form};
use super::selector::Selector as LabelSelector;

/// What every pod of a vector is labelled with.
const POD_LABELS: [(&str, &str); 1] = [("app", "web")];

/// What came of one vector.
#[derive(Debug)]
pub struct Answer {
    /// The vector's name.
    pub id: String,
    /// One entry per step.
    pub result: Vec<Value>,
    /// Against what the file expects.
    pub verdict: Verdict,
    /// The first difference, for people.
    pub difference: Option<String>,
}

/// Runs one vector.
///
/// # Errors
/// [`Problem`] where the spec is not one that the API server would accept, or a field cannot be
/// read.
pub fn answer(vector: &Vector, bug_compatible: bool) -> Result<Answer, Problem> {
    let mut run = Run::new(vector, bug_compatible)?;
    let mut result = Vec::new();
    for (advance, step) in &vector.steps {
        run.now = run.now + *advance;
        run.world.advance(&vector.id, step, run.now)?;
        run.hide_unselected();
        result.push(run.step());
    }
    let (mut verdict, difference) = compare::judge(vector, &result);
    if verdict == Verdict::Differs && vector.upstream_defect && !bug_compatible {
        verdict = match answer(vector, true)?.verdict {
            Verdict::Pass => Verdict::Allowed,
            other => other,
        };
    }
    Ok(Answer {
        id: vector.id.clone(),
        result,
        verdict,
        difference,
    })
}

struct Run<'a> {
    vector: &'a Vector,
    engine: Engine,
    rules: Rules,
    /// The scale's selector; `None` where it cannot be parsed.
    own: Option<LabelSelector>,
    status: Status,
    world: World,
    replicas: i32,
    now: Timestamp,
}

impl<'a> Run<'a> {
    fn new(vector: &'a Vector, bug_compatible: bool) -> Result<Self, Problem> {
        let mut spec = Spec::of_hpa(TargetId::new("web"), vector.spec.clone());
        spec.controller = vector.controller.clone();
        if bug_compatible {
            spec.controller.overflow = Overflow::BugCompatible;
        }
        let refused = |problems: Vec<SpecProblem>| form(&vector.id, SpecProblem::joined(&problems));
        let spec = ValidSpec::as_kubernetes(spec).map_err(refused)?;
        let rules = spec.targets()[0].rules.clone();
        let mut engine = build_engine(&spec, Seed::default()).map_err(refused)?;
        if let Some(records) = engine.records_mut(0) {
            let (up, down) = (vector.ups.clone(), vector.downs.clone());
            *records = Records {
                recommendations: vector.recommendations.clone(),
                up,
                down,
            };
        }
        let conditions = vector.conditions.iter().filter_map(condition).collect();
        let status = Status {
            conditions,
            ..Status::default()
        };
        let (world, replicas, now) = (World::default(), vector.replicas, START);
        Ok(Self {
            vector,
            engine,
            rules,
            own: LabelSelector::parse(&vector.selector),
            status,
            world,
            replicas,
            now,
        })
    }

    /// Takes the pods away that the selector does not select; all of them carry the same labels.
    fn hide_unselected(&mut self) {
        if self.own.as_ref().is_some_and(|own| !selects(own)) {
            self.world.pods.clear();
            self.world.states.clear();
        }
    }

    fn step(&mut self) -> Value {
        let (told, scaled_to, readings) = if self.vector.get_fails {
            (self.status.scale_unreadable(), None, Vec::new())
        } else {
            self.pass()
        };
        let metrics = self.current_metrics(&readings);
        self.tell(&told, scaled_to, &metrics)
    }

    /// One reconcile pass: samples and a tick in, the write and its outcome back.
    fn pass(&mut self) -> (Told, Option<i32>, Vec<Reading>) {
        let state = self.state();
        let readings = state.readings.clone();
        let samples = Samples {
            at: self.now,
            health: Health::default(),
            leading: true,
            targets: vec![state],
            values: Vec::new(),
        };
        self.engine.feed(Input::Samples(samples));
        let Some(tick) = self.engine.feed(Input::Tick { now: self.now }) else {
            return (Told::default(), None, readings);
        };
        let decided = tick.targets[0]
            .decided
            .replicas
            .map_or(self.replicas, Replicas::as_i32);
        let writes = decided != self.replicas;
        let write = if writes && self.vector.update_fails {
            Write::Failed
        } else {
            Write::Fine
        };
        let told = self.status.take(&self.rules, &tick.targets[0], write);
        if !writes {
            return (told, None, readings);
        }
        self.settle(&tick, write);
        let scaled_to = (write == Write::Fine).then_some(decided);
        self.replicas = scaled_to.unwrap_or(self.replicas);
        self.status.last_scale = scaled_to.map(|_| self.now).or(self.status.last_scale);
        (told, scaled_to, readings)
    }

    fn settle(&mut self, tick: &Tick, write: Write) {
        let outcome = if write == Write::Fine {
            Outcome::Applied
        } else {
            Outcome::Failed
        };
        let executed = match write {
            Write::Fine => vec![(TargetId::new("web"), tick.targets[0].decided.clone())],
            Write::Failed => Vec::new(),
        };
        self.engine.feed(Input::Settled {
            seq: tick.seq,
            outcome,
            executed,
        });
    }

    fn state(&self) -> TargetState {
        let count = |n: i32| Replicas::saturating(i64::from(n));
        TargetState {
            target: TargetId::new("web"),
            current: Setting::replicas(count(self.replicas)),
            status_replicas: count(self.world.status_replicas),
            pods: self.world.states.clone(),
            readings: self
                .rules
                .metrics()
                .iter()
                .map(|m| self.reading(m))
                .collect(),
            selector: self.selector(),
            scaled_to_zero: self.status.holds("ScaledToZero"),
            ..TargetState::default()
        }
    }

    fn reading(&self, rule: &hpa::MetricRule) -> Reading {
        let Metrics {
            resource,
            resource_fails,
            pods,
            object,
            external,
        } = &self.world.metrics;
        let specs = &self.world.pods;
        match &rule.source {
            Source::Resource { .. } if *resource_fails => Reading::Failed,
            Source::Resource { .. } => {
                resolve::resource_reading(rule, specs, resource, &self.vector.controller.gates)
            }
            Source::Pods(name) => pods
                .get(name)
                .map_or(Reading::Failed, |v| resolve::pods_reading(specs, v)),
            Source::Object(name, _) => object
                .get(name)
                .map_or(Reading::Failed, |v| Reading::Total(vec![*v])),
            Source::External(name) => external
                .get(name)
                .map_or(Reading::Failed, |v| Reading::Total(v.clone())),
            Source::Unknown(_) => Reading::Failed,
        }
    }

    fn selector(&self) -> Selector {
        if self.vector.selector.is_empty() {
            return Selector::Empty;
        }
        if self.own.is_none() {
            return Selector::Invalid;
        }
        let mut others = self.vector.other_selectors.iter();
        // One that cannot be parsed selects nothing.
        let shares = |text: &String| LabelSelector::parse(text).is_some_and(|s| selects(&s));
        if !self.world.pods.is_empty() && others.any(shares) {
            Selector::Ambiguous
        } else {
            Selector::Valid
        }
    }

    fn current_metrics(&self, readings: &[Reading]) -> Vec<Value> {
        let seen = Observed {
            pods: &self.world.states,
            readings,
            current: self.replicas,
            status_replicas: self.world.status_replicas,
            scaled_to_zero: false,
            selector: Selector::Valid,
            requests: &Resources::NONE,
        };
        let statuses = hpa::statuses(&self.rules, &seen, self.now);
        let pairs = self.rules.metrics().iter().zip(statuses);
        pairs
            .filter_map(|(rule, status)| Some(metric_json(rule, status?)))
            .collect()
    }

    fn tell(&self, told: &Told, scaled_to: Option<i32>, metrics: &[Value]) -> Value {
        let records = self
            .engine
            .target_history(0)
            .map(|h| h.records.clone())
            .unwrap_or_default();
        let age = |at: Timestamp| (self.now - at).whole_seconds();
        let events = |list: &[ScaleEvent]| -> Vec<Value> {
            list.iter()
                .map(|e| match e.outdated {
                    true => json!({"ago": age(e.at), "change": e.change, "outdated": true}),
                    false => json!({"ago": age(e.at), "change": e.change}),
                })
                .collect()
        };
        let recommendations: Vec<_> = records
            .recommendations
            .iter()
            .map(|r| json!({"ago": age(r.at), "replicas": r.replicas}))
            .collect();
        json!({
            "scaledTo": scaled_to,
            "statusDesiredReplicas": self.status.wanted,
            "statusCurrentReplicas": self.status.current,
            "lastScaleTimeSetNow": self.status.last_scale == Some(self.now),
            "conditions": self.status.conditions,
            "events": told.events,
            "currentMetrics": metrics,
            "recommendationsAfter": recommendations,
            "scaleUpEventsAfter": events(&records.up),
            "scaleDownEventsAfter": events(&records.down),
            "failed": told.failed,
        })
    }
}

fn condition(value: &Value) -> Option<Condition> {
    let text = |key: &str| value[key].as_str().map(str::to_owned);
    Some(Condition {
        kind: text("type")?,
        status: text("status")?,
        reason: text("reason").unwrap_or_default(),
    })
}

/// `true` where a selector selects the vectors' pods.
fn selects(selector: &LabelSelector) -> bool {
    selector.selects(&POD_LABELS)
}

fn metric_json(rule: &hpa::MetricRule, status: hpa::MetricStatus) -> Value {
    let amount =
        |milli: Option<i64>| milli.map(|m| Quantity::from_milli(m, Unit::Count).to_string());
    let mut current = serde_json::Map::new();
    if let Some(average) = amount(status.average_value) {
        current.insert("averageValue".to_owned(), json!(average));
    }
    if let Some(percent) = status.average_utilization {
        current.insert("averageUtilization".to_owned(), json!(percent));
    }
    if let Some(value) = amount(status.value) {
        current.insert("value".to_owned(), json!(value));
    }
    let named = |name: &String| json!({"metric": {"name": name}, "current": current});
    match &rule.source {
        Source::Resource {
            name,
            container: None,
        } => {
            json!({"type": "Resource", "resource": {"name": name, "current": current}})
        }
        Source::Resource { name, container } => json!({"type": "ContainerResource",
            "containerResource": {"name": name, "container": container, "current": current}}),
        Source::Pods(name) => json!({"type": "Pods", "pods": named(name)}),
        Source::Object(name, described) => {
            let mut object = named(name);
            object["describedObject"] = json!(described);
            json!({"type": "Object", "object": object})
        }
        Source::External(name) => json!({"type": "External", "external": named(name)}),
        Source::Unknown(name) => json!({"type": name}),
    }
}
