//! Commands that only look, on the real control plane: `doctor`, `lint`, `watch KIND/NAME`.

use std::process::{Command, Output};
use std::time::Duration;

use serde_json::{Value, json};

use crate::Row;
use crate::rig::{Rig, wait_until};

pub const ROWS: &[Row] = &[
    (
        "commands::doctor_names_what_an_account_may_not",
        false,
        doctor_names_what_an_account_may_not,
    ),
    (
        "commands::lint_sees_what_is_wrong_in_the_cluster",
        false,
        lint_sees_what_is_wrong_in_the_cluster,
    ),
    (
        "commands::watch_decides_on_what_is_there_and_writes_nothing",
        false,
        watch_decides_on_what_is_there_and_writes_nothing,
    ),
];

const MINUTE: Duration = Duration::from_secs(60);

/// Runs a command with a kubeconfig of the rig's folder.
fn run(rig: &Rig, kubeconfig: &str, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_foresail"))
        .args(arguments)
        .env("KUBECONFIG", rig.folder.join(kubeconfig))
        .env_remove("FORESAIL_LOG")
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The lines of a level whose text holds a word, of what `doctor -o csv` printed.
fn lines<'a>(told: &'a str, level: &str, word: &str) -> Vec<&'a str> {
    let of = |line: &&str| line.split(',').next() == Some(level) && line.contains(word);
    told.lines().filter(of).collect()
}

fn doctor_names_what_an_account_may_not(rig: &Rig) {
    crate::crd::install(rig);
    rig.namespace("doctor");
    let account =
        json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "bare"}});
    rig.apply_object("doctor", &account).unwrap();

    let all = run(rig, "kubeconfig", &["doctor", "-n", "doctor", "-o", "csv"]);
    let told = text(&all.stdout);
    assert!(told.contains("Kubernetes v1.37.2"), "{told}");
    assert_eq!(lines(&told, "fail", ""), Vec::<&str>::new(), "{told}");
    assert_eq!(lines(&told, "ok", "as this binary knows it").len(), 1);
    for api in ["metrics.k8s.io", "custom.metrics.k8s.io", "pods/resize"] {
        assert_ne!(lines(&told, "ok", api).len(), 0, "{api}: {told}");
    }
    assert_eq!(all.status.code(), Some(0), "{told}");

    // The same for an account that may do nothing.
    let of = ["doctor", "-n", "doctor", "-o", "csv", "--as"];
    let name = "system:serviceaccount:doctor:bare";
    let bare = run(rig, "kubeconfig", &[&of[..], &[name]].concat());
    let told = text(&bare.stdout);
    let failed = lines(&told, "fail", "may not").join("\n");
    for right in [
        "predictiveautoscalers",
        "list pods",
        "list deployments.apps",
    ] {
        assert!(failed.contains(right), "{right}: {told}");
    }
    for right in ["deployments.apps/scale", "leases.coordination.k8s.io"] {
        assert_eq!(lines(&told, "warn", right).len(), 1, "{right}: {told}");
    }
    assert_eq!(bare.status.code(), Some(1), "{told}");

    // And for one that has what the installation grants.
    let manifests = run(
        rig,
        "kubeconfig",
        &[
            "manifests",
            "--image",
            "played:1",
            "-n",
            "doctor",
            "--no-crd",
            "--hpa-floor",
            "--vertical",
        ],
    );
    for document in text(&manifests.stdout).split("\n---") {
        let object: Value = serde_saphyr::from_str(document).unwrap();
        let kind = object["kind"].as_str().unwrap_or_default();
        if kind == "ServiceAccount" || kind.contains("Role") {
            rig.apply_object("doctor", &object).unwrap();
        }
    }
    let name = "system:serviceaccount:doctor:foresail";
    let told = wait_until(MINUTE, "the roles", || {
        let output = run(rig, "kubeconfig", &[&of[..], &[name]].concat());
        let told = text(&output.stdout);
        lines(&told, "warn", "rights").is_empty().then_some(told)
    });
    assert_eq!(lines(&told, "fail", ""), Vec::<&str>::new(), "{told}");
    assert!(lines(&told, "ok", "rights for").len() >= 8, "{told}");
}

fn lint_sees_what_is_wrong_in_the_cluster(rig: &Rig) {
    crate::crd::install(rig);
    rig.namespace("lint");
    // No request of CPU, no probe, and an HPA on it beside the object.
    rig.deployment(("lint", "web"), 1, &json!({}), &json!({}));
    let target = json!({"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"});
    let metric = json!({"type": "Resource", "resource": {
        "name": "cpu", "target": {"type": "Utilization", "averageUtilization": 60},
    }});
    let hpa = json!({
        "apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": {"name": "web"},
        "spec": {"scaleTargetRef": target, "minReplicas": 1, "maxReplicas": 5, "metrics": [metric]},
    });
    rig.apply_object("lint", &hpa).unwrap();
    let object = |name: &str, on: &str| {
        let target = json!({"apiVersion": "apps/v1", "kind": "Deployment", "name": on});
        json!({
            "apiVersion": "autoscaling.foresail.dev/v1alpha1", "kind": "PredictiveAutoscaler",
            "metadata": {"name": name, "namespace": "lint"},
            "spec": {
                "scaleTargetRef": target, "mode": "Auto", "actuation": {"type": "Scale"},
                "minReplicas": 1, "maxReplicas": 5, "metrics": [metric],
            },
        })
    };
    rig.apply_object("lint", &object("web", "web")).unwrap();
    rig.apply_object("lint", &object("lost", "nowhere"))
        .unwrap();

    let output = run(rig, "kubeconfig", &["lint", "-n", "lint", "-o", "json"]);
    let found: Value = serde_json::from_slice(&output.stdout).unwrap();
    let codes = |object: &str| -> Vec<String> {
        let findings = found["findings"].as_array().unwrap().iter();
        let of = findings.filter(|f| f["object"] == format!("lint/{object}"));
        of.map(|f| f["code"].as_str().unwrap().to_owned()).collect()
    };
    assert!(codes("lost").contains(&"FS002".to_owned()), "{found}");
    for code in ["FS003", "FS005", "FS006"] {
        assert!(codes("web").contains(&code.to_owned()), "{code}: {found}");
    }
    assert!(!codes("web").contains(&"FS002".to_owned()), "{found}");
    assert_ne!(output.status.code(), Some(0), "errors make it fail");
}

/// 30 requests/s of 10 ms on 3 pods are 100 m each, all that they ask for: against the 80 % that is
/// taken where there is no HPA, 3 · 100/80 is 4.
fn watch_decides_on_what_is_there_and_writes_nothing(rig: &Rig) {
    rig.namespace("watched");
    rig.script(
        "watched",
        "workloads: [{namespace: watched, name: web, rate: 30, cpuMs: 10}]",
    );
    let resources = json!({"requests": {"cpu": "100m"}, "limits": {"cpu": "200m"}});
    rig.deployment(("watched", "web"), 3, &resources, &json!({}));
    wait_until(MINUTE, "usage of 3 pods", || {
        let path = "/apis/metrics.k8s.io/v1beta1/namespaces/watched/pods";
        let list = rig.get(path).ok()?;
        (list["items"].as_array()?.len() == 3).then_some(())
    });
    let role = "
apiVersion: v1
kind: ServiceAccount
metadata: {name: onlooker}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: onlooker}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: view}
subjects: [{kind: ServiceAccount, name: onlooker, namespace: watched}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: metrics}
rules: [{apiGroups: [metrics.k8s.io], resources: [pods], verbs: [get, list]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: metrics}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: metrics}
subjects: [{kind: ServiceAccount, name: onlooker, namespace: watched}]
";
    rig.apply("watched", role);
    let kubeconfig = "onlooker.kubeconfig";
    rig.kubeconfig_of(kubeconfig, &rig.token("watched", "onlooker"));
    let mark = rig.mark();
    let told = wait_until(MINUTE, "a shadow of four syncs", || {
        let arguments = [
            "watch",
            "deploy/web",
            "-n",
            "watched",
            "--interval",
            "2s",
            "--duration",
            "9s",
            "-o",
            "json",
        ];
        let output = run(rig, kubeconfig, &arguments);
        // A role is known a moment after it was made.
        (output.status.code() == Some(0)).then(|| text(&output.stdout))
    });
    let rows: Vec<Value> = told
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert!(rows.len() >= 4, "{told}");
    for row in &rows {
        assert_eq!(
            (&row["decided"], &row["incumbent"]),
            (&json!(4), &json!(3)),
            "{row}"
        );
    }
    let user = "system:serviceaccount:watched:onlooker";
    let events = rig.audit(mark);
    let mine: Vec<&Value> = events
        .iter()
        .filter(|event| event["user"]["username"] == user)
        .collect();
    assert!(!mine.is_empty(), "it asks as the onlooker");
    for event in mine {
        let verb = event["verb"].as_str().unwrap();
        assert!(["get", "list", "watch"].contains(&verb), "{event}");
    }
    assert_eq!(rig.replicas("watched", "web").0, 3, "nobody wrote");
}
