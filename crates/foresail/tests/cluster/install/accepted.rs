//! A real API server takes what is made, with the strictest Pod Security Standard enforced.

use serde_json::{Value, json};

use super::same::named;
use super::{MINUTE, apply, chart, manifests, restricted_namespace, text};
use crate::rig::{Rig, repository, wait_until};

/// Everything that can be switched on, with the values that say where.
const EVERYTHING: [&str; 12] = [
    "vertical.apply=true",
    "actuation.hpaFloor=true",
    "admissionPolicy.enabled=true",
    "dashboard.enabled=true",
    "monitoring.dashboards.enabled=true",
    "networkPolicy.apiServer.cidrs={10.0.0.1/32}",
    "podDisruptionBudget.minAvailable=50%",
    "priorityClassName=system-cluster-critical",
    "prometheus.url=https://prometheus.monitoring:9090",
    "prometheus.auth.existingSecret=token",
    "prometheus.tls.caSecret=ca",
    "image.tag=0.1.0",
];

pub(super) fn what_is_optional_is_taken_too(rig: &Rig) {
    restricted_namespace(rig, "install-all");
    let Some(objects) = chart(rig, "install-all", &EVERYTHING) else {
        return;
    };
    apply(rig, &objects, true);
    let monitoring = [
        "monitoring.serviceMonitor.enabled=true",
        "monitoring.prometheusRule.enabled=true",
        "monitoring.prometheusRule.runbookBaseUrl=https://docs.example/runbooks/",
    ];
    let all = named(chart(rig, "install-all", &monitoring).unwrap());
    // Their kinds are not known here; what is in them is.
    let monitor = &all["ServiceMonitor/install-all/foresail"]["spec"]["endpoints"][0];
    assert_eq!(monitor["honorLabels"], true);
    let rules = all["PrometheusRule/install-all/foresail"]["spec"]["groups"][0]["rules"]
        .as_array()
        .unwrap();
    let source: Value = serde_saphyr::from_str(
        &std::fs::read_to_string(repository().join("deploy/alerts.yaml")).unwrap(),
    )
    .unwrap();
    let plain = source["groups"][0]["rules"].as_array().unwrap();
    assert_eq!(rules.len(), plain.len());
    for (rule, plain) in rules.iter().zip(plain) {
        assert_eq!(rule["expr"], plain["expr"]);
        let url = format!(
            "https://docs.example/runbooks/{}.md",
            plain["alert"].as_str().unwrap()
        );
        assert_eq!(rule["annotations"]["runbook_url"], url.as_str());
        assert_eq!(
            rule["annotations"]["description"],
            plain["annotations"]["description"]
        );
    }
}

/// The image is not there, and nobody runs anything here: what is tested is that every admission of a
/// restricted namespace lets the pods in, and that they become ready where they are played.
pub(super) fn a_restricted_namespace_takes_the_pods(rig: &Rig) {
    restricted_namespace(rig, "install-pods");
    let own = |o: &Value| {
        !matches!(
            text(o, "/kind").as_str(),
            "Namespace" | "CustomResourceDefinition"
        )
    };
    let objects: Vec<Value> = manifests(&[
        "--namespace",
        "install-pods",
        "--watch-namespace",
        "install-pods",
    ])
    .into_iter()
    .filter(own)
    .collect();
    apply(rig, &objects, true);
    apply(rig, &objects, false);
    let path = "/apis/apps/v1/namespaces/install-pods/deployments/foresail";
    wait_until(MINUTE, "two ready pods", || {
        let object = rig.get(path).unwrap();
        (object["status"]["readyReplicas"] == 2).then_some(())
    });
    // What the standard is for: the same pods with one right more are refused.
    let template = rig.get(path).unwrap()["spec"]["template"]["spec"].clone();
    let mut pod = json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "odd"}, "spec": template,
    });
    pod["spec"]["containers"][0]["securityContext"]["allowPrivilegeEscalation"] = json!(true);
    let refusal = rig
        .post("/api/v1/namespaces/install-pods/pods", &pod)
        .unwrap_err();
    assert_eq!(refusal.code, 403, "{}", refusal.message);
    rig.delete("/api/v1/namespaces/install-pods").unwrap();
}
