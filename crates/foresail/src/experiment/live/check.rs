//! The five things that a live run needs, each looked at, with the mend.

use anyhow::Result;
use foresail_adapters::access::Access;
use foresail_adapters::kubernetes::fault::Fault;
use foresail_adapters::kubernetes::metrics::resource_metrics;
use foresail_adapters::llm;
use foresail_core::quantity::time::Timestamp;
use futures_util::future::join_all;
use k8s_openapi::api::authorization::v1::ResourceAttributes;

use super::super::Mode;
use super::super::asked::{Choice, described};
use super::site::Site;
use super::usage::{requests, used, value};
use crate::cli::cluster::checkup::{Level, Line};
use crate::cli::cluster::rights::may;

/// The longest that one look at Prometheus may take.
const PATIENCE: foresail_core::quantity::time::Span =
    foresail_core::quantity::time::Span::from_seconds(10);

/// One right: group, resource, subresource, verbs.
type Right = (
    &'static str,
    &'static str,
    &'static str,
    &'static [&'static str],
);

/// What every mode reads.
const READS: [Right; 6] = [
    ("apps", "deployments", "", &["get"]),
    ("apps", "deployments", "scale", &["get"]),
    ("apps", "replicasets", "", &["list"]),
    ("", "pods", "", &["list"]),
    ("autoscaling", "horizontalpodautoscalers", "", &["list"]),
    ("metrics.k8s.io", "pods", "", &["list"]),
];

/// What `hpa_only` writes.
const HPA_WRITES: Right = (
    "autoscaling",
    "horizontalpodautoscalers",
    "",
    &["get", "create", "delete"],
);

/// What `ai_scaler` and `predictive` write beside that.
const SCALE_WRITES: [Right; 2] = [
    ("apps", "deployments", "scale", &["update"]),
    ("apps", "deployments", "", &["patch"]),
];

/// What twins under a schedule need beside that.
const TWIN_WRITES: [Right; 3] = [
    ("apps", "deployments", "", &["list", "create", "delete"]),
    ("", "pods", "exec", &["create"]),
    ("", "pods", "portforward", &["create"]),
];

/// Who is asked, and at which name.
#[derive(Clone, Debug)]
pub struct Whom<'a> {
    /// The choice.
    pub choice: &'a Choice,
    /// The model's name at an endpoint.
    pub model: &'a str,
    /// PromQL of the demand, where it is forecast and can be looked at.
    pub demand: Option<&'a str>,
}

/// Looks at all five; every line of level Fail is a reason not to begin.
///
/// With `twins` the rights of a run on twins under a schedule are looked at too.
pub(crate) async fn look(
    site: &Site,
    whom: &Whom<'_>,
    (mode, twins): (Mode, bool),
    now: Timestamp,
) -> Vec<Line> {
    let cluster = cluster(site).await;
    let is_there = cluster.0 == Level::Ok;
    let second = match mode.asks() {
        true => model(whom).await,
        false => demand(site, whom.demand, now).await,
    };
    let mut lines = vec![prometheus(site, is_there, now).await, second, cluster];
    if is_there {
        lines.push(metrics_server(site).await);
        lines.push(rights(site, mode, twins).await);
    }
    lines
}

/// Where none of them is a failure.
///
/// # Errors
/// With the failures, each with its mend.
pub(crate) fn passed(lines: &[Line]) -> Result<()> {
    let failed: Vec<&str> = lines
        .iter()
        .filter(|(level, _)| *level == Level::Fail)
        .map(|(_, text)| text.as_str())
        .collect();
    anyhow::ensure!(
        failed.is_empty(),
        "{} of what a live run needs is not there: {}",
        failed.len(),
        failed.join("; ")
    );
    Ok(())
}

async fn prometheus(site: &Site, is_there: bool, now: Timestamp) -> Line {
    let server = &site.prometheus;
    let hold = foresail_core::spec::STALE_AFTER;
    if let Err(error) = server.at("vector(1)", now, hold).await {
        let told = format!("Prometheus: {error}; start it, or name it with --prometheus-url");
        return (Level::Fail, told);
    }
    if !is_there {
        return (Level::Ok, "Prometheus answers".to_owned());
    }
    let pods = match pods(site).await {
        Ok(pods) => pods,
        Err(fault) => return (Level::Warn, format!("Prometheus answers; pods: {fault}")),
    };
    if pods.is_empty() {
        let told = "Prometheus answers; the deployment has no pod yet that it could know";
        return (Level::Warn, told.to_owned());
    }
    let used = used(server, (&site.place.namespace, &pods), now, PATIENCE).await;
    match used.trouble {
        None => (
            Level::Ok,
            format!("Prometheus answers and knows {} pods", pods.len()),
        ),
        Some(why) => (
            Level::Fail,
            format!(
                "Prometheus answers and does not know the pods of {}: {why} It needs container_cpu_usage_seconds_total and \
                 container_memory_working_set_bytes with the labels namespace, pod and container, at least every 30 s: \
                 scrape the kubelets' /metrics/cadvisor or /metrics/resource",
                site.what()
            ),
        ),
    }
}

async fn pods(site: &Site) -> Result<Vec<String>, Fault> {
    let deployment = site.deployment().await?;
    let uid = deployment.metadata.uid.unwrap_or_default();
    let shown = site.look().await?;
    site.own_pods(&uid, &shown.pods).await
}

/// What is forecast, in the place of the model that nobody asks.
async fn demand(site: &Site, query: Option<&str>, now: Timestamp) -> Line {
    let Some(query) = query else {
        return (Level::Ok, "no model is asked".to_owned());
    };
    match value(
        &site.prometheus,
        query,
        (now, "Prometheus has no sample of it"),
    )
    .await
    {
        Ok(rate) => (
            Level::Ok,
            format!("no model is asked; the demand is {rate:.1} requests per second"),
        ),
        Err(why) => (
            Level::Fail,
            format!(
                "the demand `{query}`: {why}; name with --demand-query what gives one number of requests per second"
            ),
        ),
    }
}

async fn model(whom: &Whom<'_>) -> Line {
    let url = match whom.choice {
        Choice::Endpoint(url) => url,
        Choice::Scripted(script) => {
            let label = format!("scripted:{}", script.name);
            return (
                Level::Ok,
                format!("no model is asked: {}", described(&label, false)),
            );
        }
        Choice::Replay(file) => {
            let told = format!("no model is asked: answers come from {}", file.display());
            return (Level::Ok, told);
        }
    };
    let name = whom.model;
    match llm::models(Access::to_model(url)).await {
        Ok(known) if known.iter().any(|k| k == name) => (
            Level::Ok,
            format!("the model's endpoint answers and has {name}"),
        ),
        Ok(known) => {
            let known = match known.is_empty() {
                true => "none".to_owned(),
                false => known.join(", "),
            };
            (
                Level::Fail,
                format!(
                    "{url} has no model {name} (it has {known}): `ollama pull {name}`, or name another with --model"
                ),
            )
        }
        Err(failure) => (
            Level::Fail,
            format!(
                "{url}: {failure}; start it (`ollama serve`), name it with --ollama-url, or ask a rule with --llm scripted:trend"
            ),
        ),
    }
}

async fn cluster(site: &Site) -> Line {
    let what = site.what();
    let line = |level, told: String| (level, told);
    match site.deployment().await {
        Err(Fault::NotFound(_)) => line(
            Level::Fail,
            format!(
                "{what} is not there: `foresail experiment manifests | kubectl apply -f -`, or name another with --deployment and \
                 --namespace"
            ),
        ),
        Err(fault) => line(
            Level::Fail,
            format!(
                "{what}: {fault}; check --kubeconfig, --context and that the API server answers"
            ),
        ),
        Ok(_) => match site.look().await {
            Err(fault) => line(Level::Fail, format!("{what}: {fault}")),
            Ok(shown) => {
                let (all, _) = requests(&shown.pods);
                match all {
                    (Some(_), Some(_)) => line(Level::Ok, format!("{what} is there")),
                    _ if shown.pods.is_empty() => {
                        line(Level::Ok, format!("{what} is there and has no pods"))
                    }
                    _ => line(
                        Level::Fail,
                        format!(
                            "{what}: not every container requests CPU and memory, by which an HPA would divide; give each \
                             resources.requests of both"
                        ),
                    ),
                }
            }
        },
    }
}

async fn metrics_server(site: &Site) -> Line {
    match resource_metrics(&site.place.clients.read, &site.place.namespace).await {
        Ok(_) => (Level::Ok, "metrics.k8s.io answers".to_owned()),
        Err(fault) => (
            Level::Fail,
            format!(
                "metrics.k8s.io does not answer ({fault}): install metrics-server, without which no HPA works"
            ),
        ),
    }
}

async fn rights(site: &Site, mode: Mode, twins: bool) -> Line {
    let mut needed: Vec<Right> = READS.to_vec();
    if mode != Mode::Comparison {
        needed.push(HPA_WRITES);
    }
    if mode.takes_over() {
        needed.extend(SCALE_WRITES);
    }
    if twins {
        needed.extend(TWIN_WRITES);
    }
    let asked: Vec<(Right, &str)> = needed
        .into_iter()
        .flat_map(|right| right.3.iter().map(move |verb| (right, *verb)))
        .collect();
    let answers = asked.iter().map(|((group, resource, sub, _), verb)| {
        let attributes = ResourceAttributes {
            group: Some((*group).to_owned()),
            resource: Some((*resource).to_owned()),
            subresource: Some((*sub).to_owned()).filter(|s| !s.is_empty()),
            verb: Some((*verb).to_owned()),
            namespace: Some(site.place.namespace.clone()),
            ..ResourceAttributes::default()
        };
        may(&site.place.clients.read, attributes, None)
    });
    let answers = join_all(answers).await;
    let mut lacking = Vec::new();
    for (((group, resource, sub, _), verb), answer) in asked.iter().zip(answers) {
        let dot = if group.is_empty() { "" } else { "." };
        let slash = if sub.is_empty() { "" } else { "/" };
        let what = format!("{verb} {resource}{dot}{group}{slash}{sub}");
        match answer {
            Ok(true) => {}
            Ok(false) => lacking.push(what),
            Err(fault) => lacking.push(format!("{what} (unknown: {fault})")),
        }
    }
    let name = mode.name();
    match lacking.is_empty() {
        true => (Level::Ok, format!("mode {name} may do what it does")),
        false => (
            Level::Fail,
            format!(
                "mode {name} lacks rights in namespace {}: {}; ask for a Role with them",
                site.place.namespace,
                lacking.join(", ")
            ),
        ),
    }
}
