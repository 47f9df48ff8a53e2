//! Whether the control plane itself is what the other tests take it for.

use std::time::Duration;

use serde_json::{Value, json};

use crate::Row;
use crate::rig::{Rig, wait_until};

pub const ROWS: &[Row] = &[
    (
        "smoke::the_hpa_scales_by_usage",
        false,
        the_hpa_scales_by_usage,
    ),
    (
        "smoke::the_hpa_scales_by_other_metrics",
        false,
        the_hpa_scales_by_other_metrics,
    ),
    (
        "smoke::a_resize_goes_through_or_is_refused",
        false,
        a_resize_goes_through_or_is_refused,
    ),
    (
        "smoke::pods_start_late_and_lose_readiness",
        false,
        pods_start_late_and_lose_readiness,
    ),
    (
        "smoke::an_account_may_do_what_its_role_says",
        false,
        an_account_may_do_what_its_role_says,
    ),
    (
        "smoke::a_killed_api_server_comes_back",
        true,
        a_killed_api_server_comes_back,
    ),
];

const MINUTE: Duration = Duration::from_secs(60);

/// 100 m and 64 MiB, with twice that as the limit.
fn resources() -> Value {
    json!({"requests": {"cpu": "100m", "memory": "64Mi"}, "limits": {"cpu": "200m", "memory": "128Mi"}})
}

fn hpa(name: &str, max: i32, metric: &Value) -> Value {
    json!({
        "apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": {"name": name},
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": name},
            "minReplicas": 1, "maxReplicas": max, "metrics": [metric],
        },
    })
}

/// CPU of a namespace's pods as metrics.k8s.io has it, in thousandths of a core.
fn usage_milli(rig: &Rig, namespace: &str) -> Vec<f64> {
    let path = format!("/apis/metrics.k8s.io/v1beta1/namespaces/{namespace}/pods");
    let Ok(list) = rig.get(&path) else {
        return Vec::new();
    };
    let pods = list["items"].as_array().unwrap().iter();
    pods.map(|pod| {
        let text = pod["containers"][0]["usage"]["cpu"].as_str().unwrap();
        let nano = text.strip_suffix('n').map_or(0.0, |n| n.parse().unwrap());
        nano / 1e6
    })
    .collect()
}

/// 30 requests/s of 10 ms are 300 m: 100 m on each of 3 pods that ask for 100 m. At a target of
/// 50 % the HPA first wants 3 · 100/50 = 6. While new pods start it sees some of them only, and may
/// add a few; then all share the 300 m.
fn the_hpa_scales_by_usage(rig: &Rig) {
    let mark = rig.mark();
    rig.namespace("usage");
    rig.script(
        "usage",
        "workloads: [{namespace: usage, name: web, rate: 30, cpuMs: 10}]",
    );
    rig.deployment(("usage", "web"), 3, &resources(), &json!({}));
    let first = wait_until(MINUTE, "usage of 3 pods", || {
        let usage = usage_milli(rig, "usage");
        (usage.len() == 3).then_some(usage)
    });
    assert!(first.iter().all(|m| (95.0..105.0).contains(m)), "{first:?}");
    let target = json!({"type": "Utilization", "averageUtilization": 50});
    let metric = json!({"type": "Resource", "resource": {"name": "cpu", "target": target}});
    rig.apply_object("usage", &hpa("web", 20, &metric)).unwrap();
    wait_until(MINUTE, "6 ready replicas", || {
        let (wanted, ready) = rig.replicas("usage", "web");
        (wanted >= 6 && ready == wanted).then_some(())
    });
    let settled = wait_until(MINUTE, "300 m shared by all pods", || {
        let usage = usage_milli(rig, "usage");
        let count = i64::try_from(usage.len()).unwrap();
        let share = 300.0 / f64::from(i32::try_from(count).unwrap());
        let near = |m: &f64| (m / share - 1.0).abs() < 0.03;
        (rig.replicas("usage", "web") == (count, count) && usage.iter().all(near)).then_some(count)
    });
    assert!((6..=9).contains(&settled), "{settled} replicas");
    let writes: Vec<Value> = rig
        .audit(mark)
        .into_iter()
        .filter(|event| {
            event["objectRef"]["namespace"] == "usage"
                && event["objectRef"]["subresource"] == "scale"
                && event["verb"] == "update"
        })
        .collect();
    let write = &writes[0];
    let account = "system:serviceaccount:kube-system:horizontal-pod-autoscaler";
    assert_eq!(write["user"]["username"], account);
    assert_eq!(write["requestObject"]["spec"]["replicas"], 6);
    let record = rig.demand("usage", "web");
    assert_eq!(record[0][..4], ["t", "rps", "pods", "ready"]);
    assert_eq!(record.last().unwrap()[3], settled.to_string());
}

/// 30 requests/s at 10 a pod are 3 pods; a queue of 40 at 10 a pod, 4.
fn the_hpa_scales_by_other_metrics(rig: &Rig) {
    rig.namespace("metrics");
    rig.script(
        "metrics",
        "{workloads: [{namespace: metrics, name: rate, rate: 30}],
          external: [{namespace: metrics, name: queue, labels: {queue: a}, value: 40}]}",
    );
    let average = json!({"type": "AverageValue", "averageValue": "10"});
    let rate = json!({"metric": {"name": "http_requests_per_second"}, "target": average});
    let selector = json!({"matchLabels": {"queue": "a"}});
    let queue = json!({"metric": {"name": "queue", "selector": selector}, "target": average});
    for (name, metric) in [
        ("rate", json!({"type": "Pods", "pods": rate})),
        ("queue", json!({"type": "External", "external": queue})),
    ] {
        rig.deployment(("metrics", name), 1, &resources(), &json!({}));
        rig.apply_object("metrics", &hpa(name, 10, &metric))
            .unwrap();
    }
    wait_until(MINUTE, "3 and 4 ready replicas", || {
        let both = [
            rig.replicas("metrics", "rate"),
            rig.replicas("metrics", "queue"),
        ];
        (both == [(3, 3), (4, 4)]).then_some(())
    });
    let absent = "/apis/external.metrics.k8s.io/v1beta1/namespaces/metrics/nothing";
    assert_eq!(
        rig.get(absent).unwrap_err().code,
        404,
        "missing is not zero"
    );
}

/// What a resize shows: the condition, its reason, and the CPU that the kubelet gives.
fn resize_state(rig: &Rig) -> (String, String, String) {
    let pod = &rig.pods("resize", "web")[0];
    let mut conditions = pod["status"]["conditions"].as_array().unwrap().iter();
    let condition = conditions.rfind(|c| c["type"].as_str().unwrap().starts_with("PodResize"));
    let of = |name: &str| {
        let value = condition.and_then(|c| c[name].as_str());
        value.unwrap_or_default().to_owned()
    };
    let status = &pod["status"]["containerStatuses"][0];
    assert_eq!(status["restartCount"], 0);
    let cpu = status["resources"]["requests"]["cpu"].as_str().unwrap();
    (of("type"), of("reason"), cpu.to_owned())
}

fn a_resize_goes_through_or_is_refused(rig: &Rig) {
    let state = |kind: &str, reason: &str, cpu: &str| (kind.into(), reason.into(), cpu.into());
    let reached = |want: &(String, String, String)| {
        wait_until(MINUTE, &format!("{want:?}"), || {
            (resize_state(rig) == *want).then_some(())
        });
    };
    rig.namespace("resize");
    rig.deployment(
        ("resize", "web"),
        1,
        &resources(),
        &json!({"rig/resize": "2"}),
    );
    wait_until(MINUTE, "a ready pod", || {
        (rig.replicas("resize", "web").1 == 1).then_some(())
    });
    let pod = rig.pods("resize", "web")[0]["metadata"]["name"]
        .as_str()
        .unwrap()
        .to_owned();
    let to = |cpu: &str| json!({"requests": {"cpu": cpu}});
    rig.resize("resize", &pod, "main", &to("150m")).unwrap();
    reached(&state("PodResizeInProgress", "", "100m"));
    reached(&state("", "", "150m"));

    let path = format!("/api/v1/namespaces/resize/pods/{pod}");
    rig.annotate(&path, &json!({"rig/resize-refuse": "Infeasible"}));
    rig.resize("resize", &pod, "main", &to("180m")).unwrap();
    reached(&state("PodResizePending", "Infeasible", "150m"));
    rig.annotate(&path, &json!({"rig/resize-refuse": null}));
    reached(&state("", "", "180m"));

    let refused = rig.resize("resize", &pod, "main", &to("300m")).unwrap_err();
    assert_eq!(
        refused.code, 422,
        "a request above the limit: {}",
        refused.message
    );
}

fn pods_start_late_and_lose_readiness(rig: &Rig) {
    rig.namespace("life");
    let annotations = json!({"rig/startup": "3", "rig/readiness": "2"});
    rig.deployment(("life", "web"), 1, &resources(), &annotations);
    let seconds = |text: &Value| -> i64 {
        let text = text.as_str().unwrap();
        let stamp: k8s_openapi::jiff::Timestamp = text.parse().unwrap();
        stamp.as_second()
    };
    let ready = |pod: &Value, field: &str| {
        let mut conditions = pod["status"]["conditions"].as_array().unwrap().iter();
        let found = conditions.rfind(|c| c["type"] == "Ready");
        found.map_or(Value::Null, |c| c[field].clone())
    };
    wait_until(MINUTE, "a ready pod", || {
        (rig.replicas("life", "web").1 == 1).then_some(())
    });
    let pod = rig.pods("life", "web").remove(0);
    let created = seconds(&pod["metadata"]["creationTimestamp"]);
    let started = seconds(&pod["status"]["startTime"]);
    let served = seconds(&ready(&pod, "lastTransitionTime"));
    assert!(
        (2..=10).contains(&(started - created)),
        "start-up {created} {started}"
    );
    assert!(
        (1..=10).contains(&(served - started)),
        "readiness {started} {served}"
    );

    let path = format!(
        "/api/v1/namespaces/life/pods/{}",
        pod["metadata"]["name"].as_str().unwrap()
    );
    rig.annotate(&path, &json!({"rig/unready": "true"}));
    wait_until(MINUTE, "no ready pod", || {
        (rig.replicas("life", "web").1 == 0).then_some(())
    });
    rig.annotate(&path, &json!({"rig/unready": null}));
    wait_until(MINUTE, "a ready pod", || {
        (rig.replicas("life", "web").1 == 1).then_some(())
    });
}

fn an_account_may_do_what_its_role_says(rig: &Rig) {
    rig.namespace("rights");
    rig.apply(
        "rights",
        r#"
apiVersion: v1
kind: ServiceAccount
metadata: {name: reader}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: reader}
rules: [{apiGroups: [""], resources: [pods], verbs: [list]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: reader}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: reader}
subjects: [{kind: ServiceAccount, name: reader, namespace: rights}]
"#,
    );
    let token = rig.token("rights", "reader");
    let code = |path: &str| {
        let request = http::Request::get(path).body(Vec::new()).unwrap();
        let config = rig.config_of(&token);
        let answer = rig.block(async {
            kube::Client::try_from(config)
                .unwrap()
                .request_text(request)
                .await
        });
        match answer {
            Ok(_) => 200,
            Err(kube::Error::Api(status)) => status.code,
            Err(error) => panic!("{error}"),
        }
    };
    // A role is known a moment after it was made.
    wait_until(MINUTE, "the role", || {
        (code("/api/v1/namespaces/rights/pods") == 200).then_some(())
    });
    assert_eq!(code("/api/v1/namespaces/rights/secrets"), 403);
    assert_eq!(code("/api/v1/namespaces/default/pods"), 403);
}

fn a_killed_api_server_comes_back(rig: &Rig) {
    rig.namespace("crash");
    rig.deployment(("crash", "web"), 2, &resources(), &json!({}));
    rig.stop("kube-apiserver");
    assert_eq!(rig.get("/readyz").unwrap_err().code, 0, "nobody answers");
    rig.start_again("kube-apiserver");
    wait_until(MINUTE, "an API server that is ready", || {
        rig.get("/readyz").ok()
    });
    // What was asked for before is done after.
    wait_until(MINUTE, "2 ready replicas", || {
        let path = "/apis/apps/v1/namespaces/crash/deployments/web";
        let object = rig.get(path).ok()?;
        (object["status"]["readyReplicas"] == 2).then_some(())
    });
}
