//! `spec.vertical` of an object: Recommend tells and writes nothing, Apply resizes pods while they run,
//! later ones too, and no resize moves replicas.

use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};

use super::{MINUTE, Scene};
use crate::process::{Controller, Start};
use crate::rig::{Rig, wait_until};

const PLACE: &str = "vertical-run";

const OBJECTS: &str =
    "/apis/autoscaling.foresail.dev/v1alpha1/namespaces/vertical-run/predictiveautoscalers";

fn web() -> String {
    format!("{OBJECTS}/web")
}

/// Nine tenths of a core where a tenth is asked for: at 900 % of the template's request the replicas
/// are right, and would be one too many if the request were another.
fn object(vertical: &Value) -> Value {
    json!({
        "apiVersion": "autoscaling.foresail.dev/v1alpha1", "kind": "PredictiveAutoscaler",
        "metadata": {"name": "web"},
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
            "mode": "Auto", "syncPeriodSeconds": 1, "minReplicas": 1, "maxReplicas": 4,
            "metrics": [{"type": "Resource", "resource": {
                "name": "cpu", "target": {"type": "Utilization", "averageUtilization": 900}}}],
            "behavior": {"scaleDown": {"stabilizationWindowSeconds": 0}},
            "vertical": vertical,
        },
    })
}

fn condition(object: &Value) -> (String, String) {
    let all = object["status"]["conditions"].as_array();
    let mut all = all.into_iter().flatten();
    let found = all.find(|c| c["type"] == "RequestsSized");
    let text = |key: &str| {
        let found = found.and_then(|c| c[key].as_str());
        found.unwrap_or_default().to_owned()
    };
    (text("status"), text("reason"))
}

fn wait_condition(rig: &Rig, reason: &str) -> Value {
    wait_until(3 * MINUTE, &format!("RequestsSized {reason}"), || {
        let object = rig.get(&web()).unwrap();
        (condition(&object).1 == reason).then_some(object)
    })
}

fn resizes(controller: &Controller) -> usize {
    let chosen = controller
        .proxy
        .chosen(|e| e.plain_path().ends_with("/resize"));
    chosen.len()
}

fn uids(scene: &Scene<'_>) -> Vec<Value> {
    let pods = scene.pods("web");
    pods.iter().map(|p| p["metadata"]["uid"].clone()).collect()
}

/// So many pods, each of which has what is told.
fn wait_sized(scene: &Scene<'_>, count: usize, cpu: &str) {
    wait_until(3 * MINUTE, &format!("{count} pods of {cpu}"), || {
        let cpus = scene.cpus("web");
        let sized = |(asked, has): &(String, String)| asked == cpu && has == cpu;
        (cpus.len() == count && cpus.iter().all(sized)).then_some(())
    });
    for pod in scene.pods("web") {
        let status = &pod["status"]["containerStatuses"][0];
        assert_eq!(status["restartCount"], 0);
        assert_eq!(status["resources"]["requests"]["memory"], "250Mi");
        assert_eq!(pod["status"]["qosClass"], "Burstable");
    }
}

pub(super) fn recommends_and_resizes(rig: &Rig) {
    crate::crd::install(rig);
    let scene = Scene::new(rig, PLACE);
    let resources = json!({"requests": {"cpu": "100m", "memory": "64Mi"}});
    let played = json!({"rig/cpu": "900m", "rig/memory": "96Mi", "rig/resize": "1"});
    rig.deployment((PLACE, "web"), 2, &resources, &played);
    scene.wait_usage("web", 2);
    rig.post(OBJECTS, &object(&json!({"mode": "Recommend"})))
        .unwrap();
    let mut controller = Controller::start(rig, Start::new(PLACE, "a"));
    controller.wait_leading(MINUTE);

    // Recommend: a target of 900 m and 15 % is told, and nothing is written.
    let told = wait_condition(rig, "Recommended");
    let container = &told["status"]["vertical"]["containers"][0];
    assert_eq!(container["name"], "main");
    let target = container["target"]["cpu"].as_str().unwrap().to_owned();
    let milli: i64 = target.strip_suffix('m').unwrap().parse().unwrap();
    assert!((1035..=1120).contains(&milli), "{container}");
    assert_eq!(container["target"]["memory"], "250Mi");
    for bound in ["lowerBound", "upperBound", "uncappedTarget"] {
        assert!(container[bound]["cpu"].is_string(), "{container}");
    }
    assert!(container.get("resize").is_none(), "{container}");
    assert_eq!(resizes(&controller), 0);

    // Suspended: nothing either.
    let apply = json!({"mode": "Apply", "minHistorySeconds": 0,
        "containers": [{"name": "*", "maxAllowed": {"cpu": 1, "memory": "1Gi"}}]});
    let held =
        json!({"spec": {"vertical": apply, "suspend": {"scaleUp": true, "scaleDown": true}}});
    rig.patch(&web(), &held).unwrap();
    wait_condition(rig, "Suspended");
    assert_eq!(resizes(&controller), 0);

    // Apply: both pods have what is allowed, and are the same pods.
    let before = uids(&scene);
    let mark = rig.mark();
    let free = json!({"spec": {"suspend": {"scaleUp": false, "scaleDown": false}}});
    rig.patch(&web(), &free).unwrap();
    wait_sized(&scene, 2, "1");
    assert_eq!(uids(&scene), before, "no pod was made anew");
    let told = wait_condition(rig, "Applied");
    let container = &told["status"]["vertical"]["containers"][0];
    assert_eq!(container["resize"], "Applied");
    assert_eq!(container["target"]["cpu"], "1");
    assert_eq!(container["uncappedTarget"]["cpu"], target.as_str());
    let object = rig.get(&scene.deployment_path("web")).unwrap();
    let template = &object["spec"]["template"]["spec"]["containers"][0]["resources"];
    assert_eq!(*template, resources, "the template is the owner's");

    // The same use is 90 % of the request by now, and no reason for fewer replicas.
    std::thread::sleep(Duration::from_secs(20));
    let told = rig.get(&web()).unwrap();
    assert_eq!(told["status"]["reactiveReplicas"], 2, "{}", told["status"]);
    assert_eq!(rig.replicas(PLACE, "web"), (2, 2));

    // A pod that is made later has the template's size for a moment.
    let more = json!({"spec": {"minReplicas": 3}});
    rig.patch(&web(), &more).unwrap();
    wait_sized(&scene, 3, "1");
    // One write a pod, by the controller's account, and no eviction.
    assert_eq!(resizes(&controller), 3);
    let gone = |e: &Value| {
        e["objectRef"]["namespace"] == PLACE
            && (e["objectRef"]["subresource"] == "eviction"
                || (e["verb"] == "delete" && e["objectRef"]["resource"] == "pods"))
    };
    let events: Vec<Value> = rig.audit(mark).into_iter().filter(gone).collect();
    assert!(events.is_empty(), "{events:?}");
    wait_until(MINUTE, "all three told", || {
        let told = rig.get(&web()).unwrap();
        let told = (condition(&told), told["status"]["readyReplicas"].clone());
        (told.0.1 == "Applied" && told.1 == 3).then_some(())
    });
    wait_told(rig, &scene);
    controller.stop();
}

/// People are told by an event and by the command.
fn wait_told(rig: &Rig, scene: &Scene<'_>) {
    let path = format!("/apis/events.k8s.io/v1/namespaces/{PLACE}/events");
    wait_until(MINUTE, "the event", || {
        let all = rig.get(&path).unwrap();
        let mut all = all["items"].as_array().unwrap().iter();
        let note = all.find(|e| e["reason"] == "ResizeApplied")?["note"].clone();
        assert_eq!(note, "main: cpu 1, memory 250Mi in 2 pods, in place");
        Some(())
    });
    let mut command = Command::new(env!("CARGO_BIN_EXE_foresail"));
    command
        .args(["describe", "web", "-n", PLACE, "--kubeconfig"])
        .arg(&scene.kubeconfig)
        .env_remove("KUBECONFIG");
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{text}");
    let line = text
        .lines()
        .find(|l| l.contains("main") && l.contains("cpu"));
    let line = line.unwrap_or_else(|| panic!("{text}"));
    assert!(line.contains("Applied"), "{text}");
    assert!(text.contains("\nRequests (Apply; advised "), "{text}");
    println!(
        "{}",
        &text[text.find("\nRequests").unwrap()..text.find("\nConditions").unwrap()]
    );
}
