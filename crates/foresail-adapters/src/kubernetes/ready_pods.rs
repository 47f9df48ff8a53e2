//! Pods of a workload that serve, by a selector or by what stands before them.

use std::collections::BTreeMap;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{Pod, Service};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::api::ListParams;
use kube::{Api, Client};

use super::fault::{Fault, call};
use super::pods::PodSeen;
use super::workload::selector_text;

/// A pod that serves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadyPod {
    /// Its name.
    pub name: String,
    /// Tells it from a later one of the same name.
    pub uid: String,
    /// Ports of its containers, in their order.
    pub ports: Vec<(Option<String>, u16)>,
}

/// A port of pods.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PodPort {
    /// By its number.
    Number(u16),
    /// By its name in the pod.
    Named(String),
    /// The first that the pod names.
    First,
}

impl ReadyPod {
    /// The number of a port; `None` where the pod has none of that name.
    #[must_use]
    pub fn port(&self, port: &PodPort) -> Option<u16> {
        match port {
            PodPort::Number(number) => Some(*number),
            PodPort::Named(name) => {
                let mut ports = self.ports.iter();
                let found = ports.find(|(n, _)| n.as_ref() == Some(name));
                found.map(|(_, number)| *number)
            }
            PodPort::First => self.ports.first().map(|(_, number)| *number),
        }
    }
}

/// Where requests are to go in a cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Behind {
    /// To the pods of a Service.
    Service(String),
    /// To the pods of a Deployment.
    Deployment(String),
}

/// Pods by their labels, and a port of theirs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Destination {
    /// The selector as a query has it.
    pub selector: String,
    /// The port.
    pub port: PodPort,
}

/// Why there is no destination; the text names the mend.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NoDestination {
    /// The object could not be read.
    #[error("{what}: {fault}; check the name and --namespace")]
    Unread {
        /// What was asked for.
        what: String,
        /// What the server said.
        fault: Fault,
    },
    /// It chooses no pods.
    #[error("{0} has no selector, so it has no pods of its own: name a Deployment, or --url")]
    NoSelector(String),
    /// It has no such port.
    #[error("{what} has no port {port}; it has {has}: pass one of them by --port")]
    NoPort {
        /// What was asked for.
        what: String,
        /// The port that was asked for.
        port: u16,
        /// The ports that are there.
        has: String,
    },
}

/// The pods behind an object and the port of theirs that `port` means, the first where absent.
///
/// # Errors
/// [`NoDestination`] where the object is not there or leads nowhere.
pub async fn destination(
    client: &Client,
    namespace: &str,
    behind: &Behind,
    port: Option<u16>,
) -> Result<Destination, NoDestination> {
    match behind {
        Behind::Service(name) => {
            let what = format!("Service {namespace}/{name}");
            let api: Api<Service> = Api::namespaced(client.clone(), namespace);
            let service = call(api.get(name))
                .await
                .map_err(|fault| unread(&what, fault))?;
            of_service(&what, &service, port)
        }
        Behind::Deployment(name) => {
            let what = format!("Deployment {namespace}/{name}");
            let api: Api<Deployment> = Api::namespaced(client.clone(), namespace);
            let found = call(api.get(name))
                .await
                .map_err(|fault| unread(&what, fault))?;
            let selector = found.spec.map(|s| selector_text(&s.selector));
            Ok(Destination {
                selector: selector
                    .filter(|s| !s.is_empty())
                    .ok_or(NoDestination::NoSelector(what))?,
                port: port.map_or(PodPort::First, PodPort::Number),
            })
        }
    }
}

fn unread(what: &str, fault: Fault) -> NoDestination {
    NoDestination::Unread {
        what: what.to_owned(),
        fault,
    }
}

fn of_service(
    what: &str,
    service: &Service,
    port: Option<u16>,
) -> Result<Destination, NoDestination> {
    let spec = service.spec.clone().unwrap_or_default();
    let labels: BTreeMap<String, String> = spec.selector.unwrap_or_default();
    if labels.is_empty() {
        return Err(NoDestination::NoSelector(what.to_owned()));
    }
    let labels: Vec<String> = labels.iter().map(|(k, v)| format!("{k}={v}")).collect();
    let ports = spec.ports.unwrap_or_default();
    let found = match port {
        None => ports.first(),
        Some(port) => ports.iter().find(|p| p.port == i32::from(port)),
    };
    let Some(found) = found else {
        let has: Vec<String> = ports.iter().map(|p| p.port.to_string()).collect();
        return Err(NoDestination::NoPort {
            what: what.to_owned(),
            port: port.unwrap_or(0),
            has: has.join(", "),
        });
    };
    let number = |n: i32| PodPort::Number(u16::try_from(n).unwrap_or(0));
    Ok(Destination {
        selector: labels.join(","),
        port: match &found.target_port {
            None => number(found.port),
            Some(IntOrString::Int(n)) => number(*n),
            Some(IntOrString::String(name)) => PodPort::Named(name.clone()),
        },
    })
}

/// Ready pods of a selector, by their names.
///
/// # Errors
/// [`Fault`] where they could not be listed: that says nothing of the pods.
pub async fn ready_pods(pods: &Api<Pod>, selector: &str) -> Result<Vec<ReadyPod>, Fault> {
    let parameters = ListParams::default().labels(selector);
    let listed = call(pods.list(&parameters)).await?;
    let mut ready: Vec<ReadyPod> = listed.items.iter().filter_map(ready_pod).collect();
    ready.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(ready)
}

fn ready_pod(pod: &Pod) -> Option<ReadyPod> {
    let seen = PodSeen::from(pod);
    let containers = pod.spec.iter().flat_map(|s| &s.containers);
    let ports = containers.flat_map(|c| c.ports.iter().flatten());
    seen.is_ready().then(|| ReadyPod {
        name: seen.spec.name,
        uid: seen.uid,
        ports: ports
            .filter_map(|p| Some((p.name.clone(), u16::try_from(p.container_port).ok()?)))
            .collect(),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn service(spec: &Value) -> Service {
        serde_json::from_value(json!({"metadata": {"name": "web"}, "spec": spec})).unwrap()
    }

    #[test]
    fn a_service_leads_to_its_pods_port() {
        let spec = json!({"selector": {"app": "web", "a": "b"},
            "ports": [{"port": 8080, "targetPort": "http"}, {"port": 9113}, {"port": 9, "targetPort": 90}]});
        let of = |port| of_service("Service x/web", &service(&spec), port);
        let first = of(None).unwrap();
        assert_eq!(first.selector, "a=b,app=web");
        assert_eq!(first.port, PodPort::Named("http".to_owned()));
        assert_eq!(of(Some(9113)).unwrap().port, PodPort::Number(9113));
        assert_eq!(of(Some(9)).unwrap().port, PodPort::Number(90));
        let told = of(Some(1)).unwrap_err().to_string();
        assert_eq!(
            told,
            "Service x/web has no port 1; it has 8080, 9113, 9: pass one of them by --port"
        );
        let none = of_service("Service x/web", &service(&json!({"ports": []})), None);
        assert!(none.unwrap_err().to_string().contains("no selector"));
    }

    #[test]
    fn ports_are_found_by_name_in_each_pod() {
        let pod: Pod = serde_json::from_value(json!({
            "metadata": {"name": "web-1", "uid": "u"},
            "spec": {"containers": [{"name": "nginx", "ports": [{"name": "http", "containerPort": 80}]},
                {"name": "exporter", "ports": [{"containerPort": 9113}]}]},
            "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]},
        }))
        .unwrap();
        let ready = ready_pod(&pod).unwrap();
        assert_eq!(ready.port(&PodPort::First), Some(80));
        assert_eq!(ready.port(&PodPort::Named("http".to_owned())), Some(80));
        assert_eq!(ready.port(&PodPort::Named("grpc".to_owned())), None);
        assert_eq!(ready.port(&PodPort::Number(9113)), Some(9113));
    }
}
