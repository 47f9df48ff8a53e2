//! `foresail doctor` on a cluster: what is there, who may do what, and the mend for what lacks.

use anyhow::Result;
use foresail_adapters::kubernetes::crd::{self, ActuationType, Mode, PredictiveAutoscaler};
use foresail_adapters::kubernetes::discover::{Features, features};
use foresail_adapters::kubernetes::fault::call;
use foresail_adapters::kubernetes::rival::HpaSeen;
use foresail_adapters::prometheus::{Prometheus, PrometheusError};
use foresail_core::quantity::time::{Span, Timestamp};
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use k8s_openapi::jiff;
use kube::api::ListParams;
use kube::client::Body;
use kube::{Api, Client, ResourceExt};

use super::Cluster;
use super::rights::Asker;
use crate::compare::prometheus::now;

/// How well one thing is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Level {
    /// Well.
    Ok,
    /// Something will not work.
    Warn,
    /// Nothing will.
    Fail,
}

/// One thing that was looked at.
pub(crate) type Line = (Level, String);

/// Clocks further apart than this are told, and than this are a failure.
const SKEW: (Span, Span) = (Span::from_seconds(2), Span::from_seconds(30));

/// How far back Prometheus is asked, in hours, the longest first.
const DEPTHS: [i64; 5] = [14 * 24, 7 * 24, 2 * 24, 24, 1];

/// Whether the API server answered at all, and what was found.
#[derive(Debug)]
pub(crate) struct Checkup {
    pub(crate) is_reachable: bool,
    pub(crate) lines: Vec<Line>,
}

/// Looks at a cluster; `account` is whose rights are looked at, the user's own where absent.
pub(crate) async fn look(
    cluster: &Cluster,
    is_namespaced: bool,
    account: Option<&str>,
) -> Result<Checkup> {
    let client = cluster.read();
    let mut lines = Vec::new();
    let found = match features(&client).await {
        Ok(found) => found,
        Err(fault) => {
            let told = format!(
                "the API server does not answer: {fault}; check --kubeconfig and --context"
            );
            lines.push((Level::Fail, told));
            return Ok(Checkup {
                is_reachable: false,
                lines,
            });
        }
    };
    lines.push(version(&found));
    lines.push(definition(&client, &found).await);
    lines.extend(apis(&found));
    lines.push(clock(&client).await);
    let namespace = is_namespaced.then_some(cluster.namespace.as_str());
    let asker = Asker {
        client: &client,
        account,
        watched: namespace,
        own: &cluster.namespace,
    };
    lines.extend(asker.rights(&found).await?);
    if found.our_kind {
        lines.push(conflicts(&client, namespace).await);
    }
    Ok(Checkup {
        is_reachable: true,
        lines,
    })
}

fn version(found: &Features) -> Line {
    match found.is_new_enough() {
        true => (Level::Ok, format!("Kubernetes {}", found.version)),
        false => (
            Level::Fail,
            format!(
                "Kubernetes {}; 1.30 or newer is needed: upgrade the cluster",
                found.version
            ),
        ),
    }
}

/// Whether our definition is there and is the one of this binary.
async fn definition(client: &Client, found: &Features) -> Line {
    let mend = "`kubectl apply --server-side -f deploy/crd.yaml`, or the chart";
    if !found.our_kind {
        return (
            Level::Fail,
            format!("PredictiveAutoscaler is not defined: {mend}"),
        );
    }
    let api: Api<CustomResourceDefinition> = Api::all(client.clone());
    let name = format!("predictiveautoscalers.{}", crd::GROUP);
    let there = match call(api.get(&name)).await {
        Ok(there) => there,
        Err(fault) => {
            let told = format!(
                "PredictiveAutoscaler {} is defined; whether as this binary knows it is unknown: {fault}",
                crd::VERSION
            );
            return (Level::Ok, told);
        }
    };
    let schema = |of: &CustomResourceDefinition| {
        let ours = of.spec.versions.iter().find(|v| v.name == crd::VERSION);
        ours.and_then(|v| v.schema.clone())
    };
    match crd::crd() {
        Ok(known) if schema(&known) == schema(&there) => (
            Level::Ok,
            format!(
                "PredictiveAutoscaler {} as this binary knows it",
                crd::VERSION
            ),
        ),
        _ => (
            Level::Warn,
            format!(
                "PredictiveAutoscaler {} is of another release than this binary: {mend} of the same release",
                crd::VERSION
            ),
        ),
    }
}

fn apis(found: &Features) -> Vec<Line> {
    let line = |is_there: bool, what: &str, lacks: &str| match is_there {
        true => (Level::Ok, what.to_owned()),
        false => (Level::Warn, format!("no {what}: {lacks}")),
    };
    vec![
        line(
            found.resource_metrics,
            "metrics.k8s.io",
            "metrics of type Resource cannot be read; install metrics-server",
        ),
        line(
            found.custom_metrics.is_some(),
            "custom.metrics.k8s.io",
            "metrics of type Pods and Object cannot be read; install an adapter if you use them",
        ),
        line(
            found.external_metrics,
            "external.metrics.k8s.io",
            "metrics of type External cannot be read; install an adapter if you use them",
        ),
        line(
            found.resize,
            "pods/resize",
            "pods cannot be resized in place before Kubernetes 1.33",
        ),
    ]
}

/// How far this machine's clock is from the server's.
async fn clock(client: &Client) -> Line {
    let asked = http::Request::get("/version").body(Body::empty());
    let Ok(request) = asked else {
        return (
            Level::Warn,
            "the server's clock could not be asked".to_owned(),
        );
    };
    let told = match call(client.send(request)).await {
        Ok(answer) => {
            let date = answer.headers().get("date");
            date.and_then(|d| date_of(d.to_str().ok()?))
        }
        Err(_) => None,
    };
    let Some(theirs) = told else {
        return (Level::Warn, "the server does not tell its clock".to_owned());
    };
    let apart = now() - theirs;
    let seconds = apart.whole_seconds();
    let far = if apart.is_negative() {
        Span::ZERO - apart
    } else {
        apart
    };
    // The header counts whole seconds.
    match far {
        far if far > SKEW.1 => (
            Level::Fail,
            format!("this machine's clock is {seconds} s off the API server's: set it by NTP"),
        ),
        far if far > SKEW.0 => (
            Level::Warn,
            format!("this machine's clock is {seconds} s off the API server's; set it by NTP"),
        ),
        _ => (Level::Ok, "clocks agree".to_owned()),
    }
}

/// A date of HTTP.
fn date_of(text: &str) -> Option<Timestamp> {
    let zoned = jiff::fmt::rfc2822::parse(text).ok()?;
    Some(Timestamp::from_seconds(zoned.timestamp().as_second()))
}

/// Objects that act on a target that an HPA scales too.
async fn conflicts(client: &Client, namespace: Option<&str>) -> Line {
    let (ours, theirs): (Api<PredictiveAutoscaler>, Api<HorizontalPodAutoscaler>) = match namespace
    {
        None => (Api::all(client.clone()), Api::all(client.clone())),
        Some(n) => (
            Api::namespaced(client.clone(), n),
            Api::namespaced(client.clone(), n),
        ),
    };
    let everything = ListParams::default();
    let (ours, theirs) = match (
        call(ours.list(&everything)).await,
        call(theirs.list(&everything)).await,
    ) {
        (Ok(ours), Ok(theirs)) => (ours.items, theirs.items),
        (Err(fault), _) | (_, Err(fault)) => {
            return (
                Level::Warn,
                format!("conflicts could not be looked for: {fault}"),
            );
        }
    };
    let mut found = Vec::new();
    for object in &ours {
        let actuation = object.spec.actuation.as_ref().map(|a| a.kind);
        if object.spec.mode != Mode::Auto || actuation != Some(ActuationType::Scale) {
            continue;
        }
        let target = object.target();
        let rivals = theirs.iter().filter(|h| {
            let seen = HpaSeen::from(*h);
            h.namespace() == object.namespace() && seen.target.is_same(&target) && !seen.is_inert()
        });
        found.extend(rivals.map(|h| {
            let namespace = object.namespace().unwrap_or_default();
            format!(
                "{namespace}/{} and the HPA {}",
                object.name_any(),
                h.name_any()
            )
        }));
    }
    if found.is_empty() {
        return (
            Level::Ok,
            format!("{} objects, none beside an HPA that acts", ours.len()),
        );
    }
    (
        Level::Fail,
        format!(
            "two autoscalers of one target: {}; `foresail migrate hpa NAME --cutover` takes over",
            found.join(", ")
        ),
    )
}

/// Whether Prometheus answers, and how far back it knows anything.
pub(crate) async fn prometheus(server: &Prometheus) -> Line {
    let query = "count(up)";
    match server.at(query, now(), Span::from_seconds(300)).await {
        Ok(_) => {}
        Err(PrometheusError::Empty { .. }) => {
            let told = "Prometheus answers and scrapes nothing: check its targets".to_owned();
            return (Level::Warn, told);
        }
        Err(error) => return (Level::Fail, format!("Prometheus: {error}")),
    }
    for hours in DEPTHS {
        let then = now() - Span::from_seconds(hours * 3600);
        if server
            .at(query, then, Span::from_seconds(300))
            .await
            .is_ok()
        {
            let days = if hours >= 24 {
                format!("{} days", hours / 24)
            } else {
                format!("{hours} h")
            };
            let level = if hours >= 48 { Level::Ok } else { Level::Warn };
            let mend = match level {
                Level::Ok => "",
                _ => {
                    "; a daily period shows after two days: keep more (--storage.tsdb.retention.time)"
                }
            };
            return (
                level,
                format!("Prometheus answers, {days} back or more{mend}"),
            );
        }
    }
    (
        Level::Warn,
        "Prometheus answers and knows less than an hour; forecasts begin when it knows more"
            .to_owned(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_of_http_is_read() {
        let want: Timestamp = "1994-11-06T08:49:37Z".parse().unwrap();
        assert_eq!(date_of("Sun, 06 Nov 1994 08:49:37 GMT"), Some(want));
        assert_eq!(date_of("yesterday"), None);
    }
}
