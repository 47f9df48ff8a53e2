//! `foresail doctor --aware`: the pods, Redis, and the server's port, each with the mend.

use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

use foresail_adapters::kubernetes::fault::call;
use foresail_adapters::stats::{NODE, Store};
use k8s_openapi::api::apps::v1::DaemonSet;
use k8s_openapi::api::core::v1::Pod;
use kube::api::ListParams;
use kube::{Api, ResourceExt};

use super::Cluster;
use super::checkup::{Level, Line};

/// What all parts have as a label.
const PART_OF: &str = "app.kubernetes.io/part-of=foresail-aware";

/// The parts that must run; the agent may be elsewhere.
const PARTS: [(&str, bool); 4] = [
    ("redis", true),
    ("collector", true),
    ("firm-server", true),
    ("agent", false),
];

/// How long a port may take to answer.
const ANSWER: Duration = Duration::from_secs(3);

fn part(pod: &Pod) -> &str {
    let label = pod.labels().get("app.kubernetes.io/name");
    label.map_or("", String::as_str)
}

fn is_ready(pod: &Pod) -> bool {
    let conditions = pod.status.as_ref().and_then(|s| s.conditions.as_ref());
    let mut all = conditions.into_iter().flatten();
    all.any(|c| c.type_ == "Ready" && c.status == "True")
}

/// Why a container of a pod does not run, in Kubernetes' word, with the mend.
fn waits(pod: &Pod) -> Option<(String, String)> {
    let statuses = pod.status.as_ref()?.container_statuses.as_ref()?;
    let waiting = |s: &k8s_openapi::api::core::v1::ContainerStatus| {
        let state = s.state.as_ref()?.waiting.as_ref()?;
        Some((state.reason.clone()?, s.image.clone()))
    };
    let (reason, image) = statuses.iter().find_map(waiting)?;
    let mend = match reason.as_str() {
        "ImagePullBackOff" | "ErrImagePull" | "ErrImageNeverPull" => format!(
            "the cluster cannot get {image}: push it to a registry that it reaches, or load it (kind load docker-image, minikube image load)"
        ),
        "CrashLoopBackOff" => format!(
            "it ends again and again: kubectl -n {} logs {} --previous",
            pod.namespace().unwrap_or_default(),
            pod.name_any()
        ),
        "CreateContainerConfigError" => {
            "a Secret that it mounts is missing: docs/aware.md says how to make it".to_owned()
        }
        _ => format!(
            "kubectl -n {} describe pod {}",
            pod.namespace().unwrap_or_default(),
            pod.name_any()
        ),
    };
    Some((reason, mend))
}

/// What the pods of one part are like.
fn told(name: &str, is_needed: bool, pods: &[Pod], namespace: &str) -> Line {
    let ours: Vec<&Pod> = pods.iter().filter(|p| part(p) == name).collect();
    let ready = ours.iter().filter(|p| is_ready(p)).count();
    match ours.len() {
        0 if is_needed => (
            Level::Fail,
            format!(
                "{name}: no pod in namespace {namespace}; foresail manifests --aware … | kubectl apply --server-side -f -"
            ),
        ),
        0 => (Level::Ok, format!("{name}: not in this cluster")),
        all if ready == all => (
            Level::Ok,
            format!("{name}: {ready} of {all} pods are ready"),
        ),
        all => {
            let why = ours.iter().find_map(|p| waits(p));
            let why = why.map_or_else(
                || format!("kubectl -n {namespace} get pods; it may take a minute"),
                |(reason, mend)| format!("{reason}; {mend}"),
            );
            (
                Level::Fail,
                format!("{name}: {ready} of {all} pods are ready: {why}"),
            )
        }
    }
}

/// What is in the cluster.
pub(crate) async fn pods(cluster: &Cluster, namespace: &str) -> Vec<Line> {
    let client = &cluster.clients.read;
    let api: Api<Pod> = Api::namespaced(client.clone(), namespace);
    let list = match call(api.list(&ListParams::default().labels(PART_OF))).await {
        Ok(list) => list.items,
        Err(fault) => {
            return vec![(
                Level::Fail,
                format!("pods of namespace {namespace}: {fault}"),
            )];
        }
    };
    let parts = PARTS.iter();
    let mut lines: Vec<Line> = parts
        .map(|(name, is_needed)| told(name, *is_needed, &list, namespace))
        .collect();
    let sets: Api<DaemonSet> = Api::namespaced(client.clone(), namespace);
    if let Ok(set) = call(sets.get("collector")).await {
        let status = set.status.unwrap_or_default();
        let (wanted, there) = (status.desired_number_scheduled, status.number_ready);
        if there < wanted {
            lines.push((
                Level::Warn,
                format!(
                    "collector: on {there} of {wanted} nodes; pods of the others are not measured"
                ),
            ));
        }
    }
    lines
}

/// Whether Redis answers, and whether anything is collected.
pub(crate) async fn redis(store: &Store) -> Line {
    match store.names().await {
        Err(error) => (
            Level::Fail,
            format!(
                "{error}; from here: kubectl -n foresail-aware port-forward svc/redis 6379:6379"
            ),
        ),
        Ok(names) if names.is_empty() => (
            Level::Fail,
            "Redis answers and is empty: no collector writes to it; look at its log".to_owned(),
        ),
        Ok(names) => {
            let nodes = names.iter().filter(|n| n.starts_with(NODE)).count();
            let containers = names.len() - nodes;
            (
                Level::Ok,
                format!("Redis: {containers} containers and {nodes} nodes are known"),
            )
        }
    }
}

/// Whether anything listens where the agent connects.
pub(crate) fn port(server: &str, namespace: &str) -> Line {
    let bare = server
        .trim_start_matches("https://")
        .trim_start_matches("http://");
    let addresses = bare.to_socket_addrs().map(Iterator::collect::<Vec<_>>);
    let Ok(addresses) = addresses else {
        return (
            Level::Fail,
            format!("--server {server}: no such address; write it like 127.0.0.1:50051"),
        );
    };
    let answers = addresses
        .iter()
        .any(|a| TcpStream::connect_timeout(a, ANSWER).is_ok());
    match answers {
        true => (Level::Ok, format!("the server's port answers at {bare}")),
        false => (
            Level::Fail,
            format!(
                "nobody listens at {bare}: keep `kubectl -n {namespace} port-forward svc/firm-server 50051:50051` running in another terminal"
            ),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn pod(name: &str, ready: &str, waiting: Option<&str>) -> Pod {
        let state = waiting.map(|reason| json!({"waiting": {"reason": reason}}));
        serde_json::from_value(json!({
            "metadata": {"name": format!("{name}-1"), "namespace": "a",
                "labels": {"app.kubernetes.io/name": name}},
            "status": {
                "conditions": [{"type": "Ready", "status": ready}],
                "containerStatuses": [{"name": "c", "image": "foresail:0.1.0", "imageID": "",
                    "ready": false, "restartCount": 0, "state": state}],
            },
        }))
        .unwrap()
    }

    #[test]
    fn each_trouble_has_its_mend() {
        let line = |pods: &[Pod]| told("firm-server", true, pods, "a");
        assert_eq!(line(&[pod("firm-server", "True", None)]).0, Level::Ok);
        let (level, text) = line(&[]);
        assert!(
            level == Level::Fail && text.contains("foresail manifests --aware"),
            "{text}"
        );
        let (_, text) = line(&[pod("firm-server", "False", Some("ImagePullBackOff"))]);
        assert!(
            text.contains("minikube image load") && text.contains("foresail:0.1.0"),
            "{text}"
        );
        let (_, text) = line(&[pod(
            "firm-server",
            "False",
            Some("CreateContainerConfigError"),
        )]);
        assert!(text.contains("Secret"), "{text}");
        assert_eq!(
            told("agent", false, &[], "a").0,
            Level::Ok,
            "it may be elsewhere"
        );
    }

    #[test]
    fn a_port_that_nobody_has_is_told_with_the_command() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        assert_eq!(port(&address, "a").0, Level::Ok);
        drop(listener);
        let (level, text) = port(&address, "a");
        assert!(
            level == Level::Fail && text.contains("port-forward svc/firm-server"),
            "{text}"
        );
        assert_eq!(port("nonsense", "a").0, Level::Fail);
    }
}
