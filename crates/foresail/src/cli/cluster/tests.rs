//! The commands against an API server in memory: what they write, what they refuse, and how they end.

use clap::Parser;
use http::Method;
use serde_json::{Value, json};

use super::fake::{Fake, decision};
use super::migrate::{ADOPTED_FROM, HpaArgs, hpa_steps, roll_back};
use super::{Cluster, Consent, approve, describe, get, suspend};
use crate::exit::{Code, code_of};

const OURS: &str =
    "/apis/autoscaling.foresail.dev/v1alpha1/namespaces/shop/predictiveautoscalers/web";
const HPA: &str = "/apis/autoscaling/v2/namespaces/shop/horizontalpodautoscalers/web";
const SCALE: &str = "/apis/apps/v1/namespaces/shop/deployments/web/scale";

fn hpa() -> Value {
    json!({"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "web", "namespace": "shop", "uid": "h"},
        "spec": {"scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
            "minReplicas": 2, "maxReplicas": 20,
            "metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 60}}}]}})
}

/// A server with a Deployment of 10 replicas and the HPA on it.
fn server() -> Fake {
    let fake = Fake::default();
    fake.put(HPA, hpa());
    let scale = json!({"apiVersion": "autoscaling/v1", "kind": "Scale", "metadata": {"name": "web", "namespace": "shop"},
        "spec": {"replicas": 10}, "status": {"replicas": 10, "selector": "app=web"}});
    fake.put(SCALE, scale);
    let resource = |name: &str, kind: &str| json!({"name": name, "singularName": "", "namespaced": true, "kind": kind, "verbs": ["get", "list", "patch", "update"]});
    let resources = [
        resource("deployments", "Deployment"),
        resource("deployments/scale", "Scale"),
    ];
    fake.put(
        "/apis/apps/v1",
        json!({"kind": "APIResourceList", "groupVersion": "apps/v1", "resources": resources}),
    );
    fake
}

fn typed<T: clap::Args>(words: &[&str]) -> T {
    #[derive(Parser)]
    struct Typed<T: clap::Args> {
        #[command(flatten)]
        args: T,
    }
    Typed::<T>::parse_from([&["x"], words].concat()).args
}

/// What a command comes to: its code, with what it printed or its error.
fn outcome(run: impl FnOnce(&mut Vec<u8>) -> anyhow::Result<Code>) -> (Code, String) {
    let mut out = Vec::new();
    match run(&mut out) {
        Ok(code) => (code, String::from_utf8(out).unwrap()),
        Err(error) => (code_of(&error), format!("{error:#}")),
    }
}

fn migrate(cluster: &Cluster, words: &[&str]) -> (Code, String) {
    let args: HpaArgs = typed(&[&["web", "--yes"], words].concat());
    outcome(|out| hpa_steps(&args, cluster, out))
}

fn rollback(cluster: &Cluster) -> (Code, String) {
    outcome(|out| roll_back("web", Consent { yes: true }, cluster, out))
}

/// Adopted, with a controller that has decided in Shadow.
fn adopted(decided: u32) -> (Fake, Cluster) {
    let fake = server();
    let cluster = fake.cluster();
    let (code, text) = migrate(&cluster, &[]);
    assert_eq!(code, Code::Done, "{text}");
    let mut object = fake.get(OURS).unwrap();
    object["status"] = json!({"lastDecision": decision("u/1/1/4", "Shadow", decided)});
    fake.put(OURS, object);
    (fake, cluster)
}

#[test]
fn an_adopted_hpa_stays_as_it_is_and_its_object_writes_nothing() {
    let (fake, cluster) = adopted(11);
    let object = fake.get(OURS).unwrap();
    assert_eq!(object["spec"]["mode"], "Shadow");
    assert_eq!(
        object["spec"]["metrics"][0]["resource"],
        hpa()["spec"]["metrics"][0]["resource"]
    );
    assert!(object["spec"].get("behavior").is_none());
    assert_eq!(fake.get(HPA).unwrap()["spec"], hpa()["spec"]);
    let (code, text) = migrate(&cluster, &[]);
    assert!(
        code == Code::Done && text.contains("is there already"),
        "{text}"
    );
    assert_eq!(fake.writes(), ["POST predictiveautoscalers"]);
}

#[test]
fn a_cutover_makes_the_hpa_inert_and_a_rollback_brings_it_back_verbatim() {
    let (fake, cluster) = adopted(11);
    fake.decides(11);
    let (code, text) = migrate(&cluster, &["--cutover"]);
    assert!(
        code == Code::Done && text.contains("first decision"),
        "{text}"
    );
    let inert = fake.get(HPA).unwrap();
    assert_eq!(
        inert["spec"]["behavior"]["scaleUp"]["selectPolicy"],
        "Disabled"
    );
    assert_eq!(
        inert["spec"]["behavior"]["scaleDown"]["selectPolicy"],
        "Disabled"
    );
    let object = fake.get(OURS).unwrap();
    assert_eq!(object["spec"]["actuation"]["type"], "Scale");
    assert_eq!(object["spec"]["mode"], "Auto");
    for _ in 0..2 {
        let (code, text) = rollback(&cluster);
        assert_eq!(code, Code::Done, "{text}");
        assert_eq!(fake.get(HPA).unwrap()["spec"], hpa()["spec"]);
        let object = fake.get(OURS).unwrap();
        assert_eq!(object["spec"]["mode"], "Shadow");
        assert!(object["spec"].get("actuation").is_none());
    }
    assert!(rollback(&cluster).1.contains("already"));
}

#[test]
fn a_first_decision_that_is_far_off_takes_both_back() {
    let (fake, cluster) = adopted(11);
    fake.decides(30);
    let (code, text) = migrate(&cluster, &["--cutover"]);
    assert!(
        code == Code::No && text.contains("30 replicas are decided"),
        "{text}"
    );
    assert_eq!(fake.get(HPA).unwrap()["spec"], hpa()["spec"]);
    assert_eq!(fake.get(OURS).unwrap()["spec"]["mode"], "Shadow");
    // The same is seen in Shadow before anything is touched.
    let (fake, cluster) = adopted(30);
    let before = fake.writes().len();
    let (code, text) = migrate(&cluster, &["--cutover"]);
    assert!(code == Code::No && text.contains("--force"), "{text}");
    assert_eq!(fake.writes().len(), before);
}

#[test]
fn a_cutover_that_breaks_off_leaves_the_hpa_as_it_was() {
    let (fake, cluster) = adopted(11);
    fake.refuse(Method::PATCH, "predictiveautoscalers/web", 403);
    let (code, text) = migrate(&cluster, &["--cutover"]);
    assert!(
        code == Code::Forbidden && text.contains("the HPA was restored"),
        "{text}"
    );
    assert_eq!(fake.get(HPA).unwrap()["spec"], hpa()["spec"]);
    assert_eq!(fake.get(OURS).unwrap()["spec"]["mode"], "Shadow");
}

#[test]
fn a_write_that_meets_another_writer_is_made_anew_on_what_is_there_now() {
    let (fake, cluster) = adopted(11);
    fake.decides(11);
    for _ in 0..3 {
        fake.refuse(Method::PUT, "horizontalpodautoscalers/web", 409);
    }
    assert_eq!(migrate(&cluster, &["--cutover"]).0, Code::Done);
    for _ in 0..5 {
        fake.refuse(Method::PUT, "horizontalpodautoscalers/web", 409);
    }
    assert_eq!(rollback(&cluster).0, Code::Conflict);
    // The object is in Shadow already, and a second run goes on where the first broke off.
    assert_eq!(fake.get(OURS).unwrap()["spec"]["mode"], "Shadow");
    assert_eq!(rollback(&cluster).0, Code::Done);
    assert_eq!(fake.get(HPA).unwrap()["spec"], hpa()["spec"]);
}

#[test]
fn what_was_deleted_in_the_end_is_made_again() {
    let (fake, cluster) = adopted(11);
    let (code, text) = migrate(&cluster, &["--finalize"]);
    assert!(
        code == Code::Usage && text.contains("run --cutover first"),
        "{text}"
    );
    fake.decides(11);
    assert_eq!(migrate(&cluster, &["--cutover"]).0, Code::Done);
    assert_eq!(migrate(&cluster, &["--finalize"]).0, Code::Done);
    assert!(fake.get(HPA).is_none());
    let (code, text) = rollback(&cluster);
    assert_eq!(code, Code::Done, "{text}");
    assert_eq!(fake.get(HPA).unwrap()["spec"], hpa()["spec"]);
}

#[test]
fn manifests_are_printed_without_a_write() {
    let (fake, cluster) = adopted(11);
    let before = fake.writes();
    for words in [&["-o", "yaml"][..], &["--cutover", "-o", "yaml"]] {
        let (code, text) = migrate(&cluster, words);
        assert_eq!(code, Code::Done, "{text}");
        let all: Vec<Value> = serde_saphyr::from_multiple(&text).unwrap();
        let kinds: Vec<&str> = all.iter().map(|d| d["kind"].as_str().unwrap()).collect();
        assert!(kinds.ends_with(&["Kustomization"]), "{kinds:?}");
        assert_eq!(kinds[0], "PredictiveAutoscaler");
        assert!(text.contains("selectPolicy: Disabled"), "{text}");
        assert!(
            all[0]["metadata"]["annotations"]
                .get(ADOPTED_FROM)
                .is_some()
        );
    }
    assert_eq!(fake.writes(), before);
}

#[test]
fn an_hpa_that_another_autoscaler_writes_is_refused() {
    let fake = server();
    let mut owned = hpa();
    owned["metadata"]["ownerReferences"] = json!([{"apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject", "name": "web", "uid": "k"}]);
    fake.put(HPA, owned);
    let (code, text) = migrate(&fake.cluster(), &[]);
    assert!(
        code == Code::Conflict && text.contains("ScaledObject/web"),
        "{text}"
    );
    assert!(fake.writes().is_empty());
    let missing: HpaArgs = typed(&["other", "--yes"]);
    let (code, _) = outcome(|out| hpa_steps(&missing, &fake.cluster(), out));
    assert_eq!(code, Code::NotFound);
}

#[test]
fn nothing_is_written_without_consent() {
    let (fake, cluster) = adopted(11);
    let before = fake.writes();
    let args: suspend::SuspendArgs = typed(&["web"]);
    let (code, text) = outcome(|out| suspend::suspend(&args, &cluster, out));
    assert!(code == Code::Usage && text.contains("--yes"), "{text}");
    assert_eq!(fake.writes(), before);
}

#[test]
fn suspend_resume_and_approve_write_what_the_controller_reads() {
    let (fake, cluster) = adopted(12);
    let spec = || fake.get(OURS).unwrap()["spec"].clone();
    let set = |words: &[&str]| {
        let args: suspend::SuspendArgs = typed(&[&["web", "-y"], words].concat());
        outcome(|out| suspend::suspend(&args, &cluster, out)).0
    };
    assert_eq!(set(&["--at", "7"]), Code::Done);
    assert_eq!(
        spec()["suspend"],
        json!({"scaleUp": false, "scaleDown": false, "holdAt": 7})
    );
    assert_eq!(set(&["--scale-down-only"]), Code::Done);
    assert_eq!(
        spec()["suspend"],
        json!({"scaleUp": false, "scaleDown": true})
    );
    let args: suspend::ResumeArgs = typed(&["web", "-y"]);
    assert_eq!(
        outcome(|out| suspend::resume(&args, &cluster, out)).0,
        Code::Done
    );
    assert_eq!(
        spec()["suspend"],
        json!({"scaleUp": false, "scaleDown": false})
    );

    let approve = |words: &[&str]| {
        let args: approve::ApproveArgs = typed(&[&["web", "-y"], words].concat());
        outcome(|out| approve::carry_out(&args, &cluster, out))
    };
    let (code, text) = approve(&[]);
    assert!(
        code == Code::Usage && text.contains("mode Shadow"),
        "{text}"
    );
    let mut object = fake.get(OURS).unwrap();
    object["spec"]["mode"] = json!("Advise");
    fake.put(OURS, object);
    assert_eq!(approve(&["--decision", "9"]).0, Code::NotFound);
    assert_eq!(approve(&[]).0, Code::Done);
    let written = fake.get(OURS).unwrap()["metadata"]["annotations"][approve::APPROVED].clone();
    assert_eq!(written, "u/1/1/4");
}

#[test]
fn get_and_describe_tell_what_is_there_and_end_with_the_code_of_what_is_not() {
    let (fake, cluster) = adopted(12);
    let shown = |words: &[&str]| {
        let args: get::GetArgs = typed(words);
        outcome(|out| get::show(&args, &cluster, out))
    };
    let (code, text) = shown(&[]);
    assert_eq!(code, Code::Done);
    let lines: Vec<&str> = text.lines().collect();
    assert!(
        lines[0].starts_with("NAME") && lines[1].starts_with("web"),
        "{text}"
    );
    assert!(
        lines[1].contains("Deployment/web") && lines[1].contains("Shadow"),
        "{text}"
    );
    let whole: Value = serde_json::from_str(&shown(&["web", "-o", "json"]).1).unwrap();
    assert_eq!(whole["kind"], "PredictiveAutoscaler");
    assert_eq!(
        shown(&["-o", "name"]).1.trim(),
        "predictiveautoscaler.autoscaling.foresail.dev/web"
    );
    for (code, want) in [
        (404, Code::NotFound),
        (403, Code::Forbidden),
        (500, Code::Unreachable),
        (429, Code::Unreachable),
    ] {
        fake.refuse(Method::GET, "predictiveautoscalers/web", code);
        assert_eq!(shown(&["web"]).0, want, "{code}");
    }
    let args: describe::DescribeArgs = typed(&["web"]);
    let (code, text) = outcome(|out| describe::show(&args, &cluster, out));
    assert_eq!(code, Code::Done);
    for part in [
        "Target:",
        "Deployment/web",
        "Last decision (u/1/1/4):",
        "no controller has looked",
    ] {
        assert!(text.contains(part), "{part} is missing in {text}");
    }
}
