//! Granted = used: under the chart's own rights the controller does everything that it can, and the
//! logs tell that nothing was refused, nothing is granted in vain, and nothing else was asked for.
//!
//! Source: specs/reliability.md C, Q3 and Q4.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::{Value, json};

use crate::Row;
use crate::account::user;
use crate::entry::Entry;
use crate::install::{apply, chart, rights, rights_of, text};
use crate::process::{Controller, Start};
use crate::rig::{Rig, wait_until};

pub const ROWS: &[Row] = &[(
    "rights::what_is_granted_is_used_and_nothing_else",
    false,
    what_is_granted_is_used_and_nothing_else,
)];

const PLACE: &str = "granted";
const SOON: Duration = Duration::from_secs(40);

/// One verb on one resource, as a role grants it or a request asks for it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Right {
    verb: String,
    group: String,
    /// With its subresource.
    resource: String,
    /// Empty: of any name.
    name: String,
}

impl Right {
    /// `true` where this right allows what was asked for.
    fn allows(&self, asked: &Self) -> bool {
        (&self.verb, &self.group) == (&asked.verb, &asked.group)
            && (self.resource == "*" || self.resource == asked.resource)
            && (self.name.is_empty() || self.name == asked.name)
    }
}

fn what_is_granted_is_used_and_nothing_else(rig: &Rig) {
    crate::crd::install(rig);
    rig.namespace(PLACE);
    let Some(objects) = granted_objects(rig) else {
        return;
    };
    apply(rig, &objects, false);
    let granted = granted(&objects);
    let review = ("create", "authentication.k8s.io/tokenreviews");
    wait_until(SOON, "the cluster-wide right", || {
        rights::may(rig, &user(PLACE), review.0, review.1, "").then_some(())
    });
    let mark = rig.mark();
    let mut start = Start::new(PLACE, "a");
    let page = ["--web-bind", "127.0.0.1:0", "--web-auth", "tokenreview"];
    start.more = page.map(str::to_owned).to_vec();
    let mut controller = Controller::held(rig, start);
    everything(rig, &mut controller);
    controller.stop();

    let log = controller.proxy.log();
    let refused: Vec<&Entry> = log.iter().filter(|e| e.server == Some(403)).collect();
    assert!(refused.is_empty(), "{refused:#?}");
    let mut asked = asked(rig, mark);
    asked.extend(events(&log));
    let vain: Vec<&Right> = granted
        .iter()
        .filter(|right| !asked.iter().any(|one| right.allows(one)))
        .collect();
    assert!(vain.is_empty(), "granted and never used: {vain:#?}");
    let beyond: Vec<&Right> = asked
        .iter()
        .filter(|one| !granted.iter().any(|right| right.allows(one)))
        .collect();
    assert!(beyond.is_empty(), "used and not granted: {beyond:#?}");
    println!(
        "rights: {} granted, all used, by {} requests of {} kinds; none refused",
        granted.len(),
        log.len(),
        asked.len()
    );
    rig.delete(&format!("/api/v1/namespaces/{PLACE}")).unwrap();
}

/// The account and all its roles: those of a watched namespace, and the cluster-wide one of the live
/// page, which the chart makes only for a whole cluster.
fn granted_objects(rig: &Rig) -> Option<Vec<Value>> {
    let watched = format!("watchNamespaces={{{PLACE}}}");
    let own = chart(
        rig,
        PLACE,
        &["actuation.hpaFloor=true", "vertical.apply=true", &watched],
    )?;
    let page = chart(rig, PLACE, &["dashboard.enabled=true"])?;
    let mut objects = rights_of(own);
    let of_page = |o: &Value| text(o, "/metadata/name").ends_with("-live-page");
    objects.extend(rights_of(page).into_iter().filter(of_page));
    Some(objects)
}

fn granted(objects: &[Value]) -> BTreeSet<Right> {
    let mut all = BTreeSet::new();
    for rule in objects.iter().flat_map(|o| o["rules"].as_array()).flatten() {
        let texts = |key: &str| -> Vec<String> {
            let listed = rule[key].as_array().into_iter().flatten();
            listed.map(|t| t.as_str().unwrap().to_owned()).collect()
        };
        let mut names = texts("resourceNames");
        if names.is_empty() {
            names.push(String::new());
        }
        for group in texts("apiGroups") {
            for resource in texts("resources") {
                for verb in texts("verbs") {
                    all.extend(names.iter().map(|name| Right {
                        verb: verb.clone(),
                        group: group.clone(),
                        resource: resource.clone(),
                        name: name.clone(),
                    }));
                }
            }
        }
    }
    all
}

/// What the account asked for by the audit log; what has no object is what every account may see.
fn asked(rig: &Rig, mark: u64) -> BTreeSet<Right> {
    let user = user(PLACE);
    let own = || -> Vec<Value> {
        let all = rig.audit(mark).into_iter();
        all.filter(|e| e["user"]["username"] == user.as_str())
            .collect()
    };
    let mut last = Vec::new();
    wait_until(SOON, "the audit log stands still", || {
        std::thread::sleep(Duration::from_secs(1));
        let now = own();
        let same = now.len() == last.len() && !now.is_empty();
        last = now;
        same.then_some(())
    });
    let mut all = BTreeSet::new();
    for event in last {
        assert_ne!(event["responseStatus"]["code"], 403, "{event:#}");
        let Some(object) = event["objectRef"].as_object() else {
            let path = event["requestURI"].as_str().unwrap();
            let open = ["/version", "/api", "/apis"];
            let is_open = open
                .iter()
                .any(|o| path == *o || path.starts_with(&format!("{o}/")));
            assert!(is_open, "{path}");
            continue;
        };
        let part = |key: &str| {
            object
                .get(key)
                .and_then(Value::as_str)
                .unwrap_or("")
                .to_owned()
        };
        let place = part("namespace");
        let whole = ["tokenreviews", "subjectaccessreviews"];
        assert!(
            place == PLACE || whole.contains(&part("resource").as_str()),
            "asked beyond its namespace: {event:#}"
        );
        let resource = match (part("resource"), part("subresource")) {
            (resource, none) if none.is_empty() => resource,
            (resource, sub) => format!("{resource}/{sub}"),
        };
        all.insert(Right {
            verb: event["verb"].as_str().unwrap().to_owned(),
            group: part("apiGroup"),
            resource,
            name: part("name"),
        });
    }
    all
}

/// Events are in no audit log of the control plane; the proxy has seen them.
fn events(log: &[Entry]) -> Vec<Right> {
    let taken = |e: &&Entry| matches!(e.server, Some(200 | 201)) && e.path.contains("/events");
    let right = |e: &Entry| Right {
        verb: if e.verb == "POST" { "create" } else { "patch" }.to_owned(),
        group: "events.k8s.io".to_owned(),
        resource: "events".to_owned(),
        name: String::new(),
    };
    log.iter().filter(taken).map(right).collect()
}

/// Lets the controller do all that it can: each way to write, each source of metrics, a rival that
/// comes twice, a reader of the live page.
fn everything(rig: &Rig, controller: &mut Controller) {
    let resources = json!({"requests": {"cpu": "100m"}});
    for name in ["plain", "floored", "contested"] {
        rig.deployment((PLACE, name), 1, &resources, &json!({}));
    }
    for kind in ["StatefulSet", "ReplicaSet"] {
        rig.apply_object(PLACE, &workload(kind)).unwrap();
    }
    hpa(rig, "floored");
    rig.script(
        PLACE,
        &format!(
            "workloads: [{{namespace: {PLACE}, name: stateful, rate: 30, cpuMs: 10, baseMilli: 5}}]\n\
             external:\n- {{namespace: {PLACE}, name: queue, labels: {{queue: all}}, value: 30}}\n"
        ),
    );
    let queue = json!([{"type": "External", "external": {
        "metric": {"name": "queue", "selector": {"matchLabels": {"queue": "all"}}},
        "target": {"type": "AverageValue", "averageValue": "10"}}}]);
    let of_pods = json!([{"type": "Pods", "pods": {
        "metric": {"name": "http_requests_per_second"},
        "target": {"type": "AverageValue", "averageValue": "10"}}}]);
    let cpu = json!([{"type": "Resource", "resource": {
        "name": "cpu", "target": {"type": "Utilization", "averageUtilization": 80}}}]);
    object(rig, ("Deployment", "plain"), &queue, &json!({}));
    object(rig, ("Deployment", "floored"), &queue, &json!({}));
    let scale = json!({"actuation": {"type": "Scale"}});
    object(rig, ("Deployment", "contested"), &queue, &scale);
    object(rig, ("StatefulSet", "stateful"), &of_pods, &json!({}));
    // Its bound is a reason to write before any usage is known.
    let two = json!({"minReplicas": 2});
    object(rig, ("ReplicaSet", "replicated"), &cpu, &two);
    sized(rig, &queue);
    controller.begin();
    controller.wait_leading(SOON);

    wait_asked(rig, "deployments", "plain", 3);
    wait_until(3 * SOON, "a pod that was resized", || {
        let pods = rig.pods(PLACE, "sized");
        let request =
            |p: &Value| p["spec"]["containers"][0]["resources"]["requests"]["cpu"].clone();
        pods.iter().any(|p| request(p) != "100m").then_some(())
    });
    wait_asked(rig, "replicasets", "replicated", 2);
    wait_asked(rig, "statefulsets", "stateful", 3);
    wait_until(SOON, "the HPA's floor", || {
        let hpa = rig.get(&format!("{HPAS}/floored")).unwrap();
        (hpa["spec"]["minReplicas"] == 3).then_some(())
    });
    // The same word twice is one event that counts: it is patched.
    for _ in 0..2 {
        hpa(rig, "contested");
        wait_conflicted(rig, "True");
        rig.delete(&format!("{HPAS}/contested")).unwrap();
        wait_conflicted(rig, "False");
    }
    read_page(rig, controller);
}

const HPAS: &str = "/apis/autoscaling/v2/namespaces/granted/horizontalpodautoscalers";
const OBJECTS: &str =
    "/apis/autoscaling.foresail.dev/v1alpha1/namespaces/granted/predictiveautoscalers";

/// One whose pods are resized, because they use more than they ask for.
fn sized(rig: &Rig, metrics: &Value) {
    let resources = json!({"requests": {"cpu": "100m", "memory": "64Mi"}});
    let played = json!({"rig/cpu": "300m", "rig/memory": "96Mi"});
    rig.deployment((PLACE, "sized"), 1, &resources, &played);
    let vertical = json!({"vertical": {"mode": "Apply", "minHistorySeconds": 0,
        "containers": [{"name": "main", "maxAllowed": {"cpu": 1, "memory": "1Gi"}}]}});
    object(rig, ("Deployment", "sized"), metrics, &vertical);
}

fn workload(kind: &str) -> Value {
    let name = if kind == "StatefulSet" {
        "stateful"
    } else {
        "replicated"
    };
    json!({
        "apiVersion": "apps/v1", "kind": kind,
        "metadata": {"name": name, "namespace": PLACE},
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": {"app": name}},
                "spec": {"containers": [{"name": "main", "image": "played",
                    "resources": {"requests": {"cpu": "100m"}}}]},
            },
        },
    })
}

fn hpa(rig: &Rig, name: &str) {
    let object = json!({
        "apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": name},
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": name},
            "minReplicas": 1, "maxReplicas": 9,
            "metrics": [{"type": "Resource", "resource": {
                "name": "cpu", "target": {"type": "Utilization", "averageUtilization": 50}}}],
        },
    });
    rig.post(HPAS, &object).unwrap();
}

fn object(rig: &Rig, (kind, name): (&str, &str), metrics: &Value, more: &Value) {
    let mut object = json!({
        "apiVersion": "autoscaling.foresail.dev/v1alpha1", "kind": "PredictiveAutoscaler",
        "metadata": {"name": name},
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": kind, "name": name},
            "mode": "Auto", "syncPeriodSeconds": 1, "minReplicas": 1, "maxReplicas": 9,
            "metrics": metrics,
        },
    });
    for (key, value) in more.as_object().unwrap() {
        object["spec"][key] = value.clone();
    }
    rig.post(OBJECTS, &object).unwrap();
}

fn wait_asked(rig: &Rig, resource: &str, name: &str, replicas: i64) {
    let path = format!("/apis/apps/v1/namespaces/{PLACE}/{resource}/{name}");
    let what = format!("{replicas} of {name}");
    wait_until(SOON, &what, || {
        (rig.get(&path).unwrap()["spec"]["replicas"] == replicas).then_some(())
    });
}

fn wait_conflicted(rig: &Rig, status: &str) {
    let what = format!("Conflicted={status}");
    wait_until(SOON, &what, || {
        let object = rig.get(&format!("{OBJECTS}/contested")).unwrap();
        let mut all = object["status"]["conditions"].as_array()?.iter();
        all.any(|c| c["type"] == "Conflicted" && c["status"] == status)
            .then_some(())
    });
}

/// Somebody with a token of the cluster opens the live page.
fn read_page(rig: &Rig, controller: &Controller) {
    let log = controller.log();
    let said = log.iter().find(|l| l["message"] == "live pages").unwrap();
    let address = said["address"].as_str().unwrap();
    let token = rig.token(PLACE, "default");
    let mut stream = TcpStream::connect(address).unwrap();
    write!(
        stream,
        "GET / HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n\r\n"
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}
