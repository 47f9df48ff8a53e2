//! `foresail watch KIND/NAME`: the shadow over the kubeconfig, with nothing installed.
//!
//! It decides on what is there, as the controller in mode Shadow does: on the real replicas, pods and
//! metrics, with the rules of the HPA on the target, or with CPU at 80 % where there is none.

use std::io::Write;

use anyhow::{Context, Result, bail, ensure};
use foresail_adapters::kubernetes::convert::{engine_spec, reactive_metrics, target_id};
use foresail_adapters::kubernetes::crd::{self, GROUP, KIND, PredictiveAutoscaler, VERSION};
use foresail_adapters::kubernetes::discover::features;
use foresail_adapters::kubernetes::scale::{Kinds, Target};
use foresail_adapters::prometheus::Prometheus;
use foresail_core::engine::{Engine, Input};
use foresail_core::explain::{Explanation, Identity};
use foresail_core::observe::{Health, Samples};
use foresail_core::quantity::time::{Span, Timestamp};
use foresail_core::spec::SpecProblem;
use foresail_models::refit;
use foresail_models::registry::engine_of;
use foresail_models::rng::Seed;
use kube::ResourceExt;
use serde_json::{Value, json};

use super::watch::{WatchArgs, head, print, rates, sleep_until, until_asked};
use crate::cli::Output;
use crate::cli::cluster::migrate::hpa;
use crate::cli::cluster::{Cluster, coded};
use crate::compare::prometheus::{coded as prometheus_coded, floor, now, runtime};
use crate::config::{Environment, Settings};
use crate::exit::Code;
use crate::forecast::tell_refit;
use crate::interrupt;
use crate::watch::cluster::{Place, Shown};
use crate::watch::observe::{self, MINUTE, Queries, Seen};
use crate::watch::past::{self, live_through};
use crate::watch::score::{Pods, Score};

/// The target as it was typed.
fn target(text: &str) -> Result<Target> {
    let (kind, name) = text
        .split_once('/')
        .with_context(|| format!("{text}: write KIND/NAME, such as deploy/web"))?;
    let kind = match kind.to_ascii_lowercase().as_str() {
        "deploy" | "deployment" | "deployments" => "Deployment",
        "sts" | "statefulset" | "statefulsets" => "StatefulSet",
        "rs" | "replicaset" | "replicasets" => "ReplicaSet",
        other => bail!("{text}: `{other}` is not watched; write deploy/NAME, sts/NAME or rs/NAME"),
    };
    ensure!(!name.is_empty(), "{text}: the name is empty");
    Ok(Target {
        api_version: "apps/v1".to_owned(),
        kind: kind.to_owned(),
        name: name.to_owned(),
    })
}

/// Runs the command.
///
/// # Errors
/// Where the cluster does not answer, or the target is not there.
pub(super) fn run(args: &WatchArgs, text: &str, out: &mut dyn Write) -> Result<Code> {
    let target = target(text)?;
    let mut settings = Settings::load(args.config.as_deref(), &Environment)?;
    settings.flag("simulate.sync", args.interval.map(|s| s.to_string()));
    let interval: Span = settings.parse("simulate.sync")?;
    let seconds = interval.whole_seconds();
    ensure!(
        (1..=300).contains(&seconds) && interval == Span::from_seconds(seconds),
        "--interval {interval}: must be whole seconds, 1s to 300s"
    );
    let output = Output::of(args.output, &settings)?;
    ensure!(
        args.record.is_none() && !args.llm.is_asked(),
        "--record and --llm-url are for a watch over Prometheus; they do not go with {text}"
    );
    let server = match &args.query {
        Some(_) => Some(args.access.connect(&settings)?),
        None => None,
    };
    let cluster = args.cluster.connect()?;
    let place = cluster.wait(place(&cluster, target))?;
    let object = cluster.wait(object(args, &cluster, &place, seconds, &settings))?;
    let spec = engine_spec(&object)
        .and_then(|spec| engine_of(spec, Seed(settings.parse("simulate.seed").unwrap_or(42))))
        .map_err(|problems| anyhow::anyhow!("{}", SpecProblem::joined(&problems)))?;
    interrupt::catch();
    let mut watch = Watch::new(args, object, spec, server)?;
    watch.remember(args.history)?;
    let code = watch.run(args, &cluster, &place, interval, output, out)?;
    out.flush()?;
    Ok(code)
}

async fn place(cluster: &Cluster, target: Target) -> Result<Place> {
    let client = cluster.read();
    let features = features(&client).await;
    Ok(Place {
        clients: cluster.clients.clone(),
        namespace: cluster.namespace.clone(),
        target,
        features: features.map_err(|f| coded("the API server", &f))?,
        kinds: Kinds::default(),
    })
}

/// The object whose engine is run: made from the HPA, where there is one.
async fn object(
    args: &WatchArgs,
    cluster: &Cluster,
    place: &Place,
    seconds: i64,
    settings: &Settings,
) -> Result<PredictiveAutoscaler> {
    let found = place.hpa().await;
    let found = found.map_err(|f| coded("HorizontalPodAutoscalers", &f))?;
    let mut manifest = match found {
        Some((name, _)) => {
            let read = hpa::api(cluster.read(), &cluster.namespace)
                .get(&name)
                .await;
            let read = read.map_err(|e| coded(&name, &e.into()))?;
            eprintln!("note: with the rules of the HorizontalPodAutoscaler {name}");
            hpa::Hpa(read).adopted()?
        }
        None => {
            eprintln!(
                "note: no HorizontalPodAutoscaler scales it; with CPU at 80 % of the request"
            );
            bare(place)
        }
    };
    let spec = &mut manifest["spec"];
    spec["syncPeriodSeconds"] = json!(seconds);
    if let Some(min) = args.min {
        spec["minReplicas"] = json!(min);
    }
    if let Some(max) = args.max {
        spec["maxReplicas"] = json!(max);
    }
    if let Some(startup) = args.startup {
        spec["forecast"] = json!({"startupSeconds": startup.whole_seconds()});
    }
    if let Some(query) = &args.query {
        let percent: f64 = settings.parse("simulate.hpa_target")?;
        let (_, per_replica) = rates(args, percent / 100.0)?;
        let target = json!({"type": "AverageValue", "averageValue": format!("{}m", (per_replica * 1000.0).round())});
        let demand = json!({"type": "Prometheus", "role": "Forecast", "prometheus": {"query": query, "target": target}});
        if let Some(metrics) = spec["metrics"].as_array_mut() {
            metrics.push(demand);
        }
    }
    crd::read(&manifest).map_err(|p| anyhow::anyhow!("{}", SpecProblem::joined(&p)))
}

/// What is watched where nobody scales it.
fn bare(place: &Place) -> Value {
    let target = &place.target;
    let cpu = json!({"type": "Utilization", "averageUtilization": 80});
    json!({
        "apiVersion": format!("{GROUP}/{VERSION}"), "kind": KIND,
        "metadata": {"name": target.name, "namespace": place.namespace},
        "spec": {
            "scaleTargetRef": {"apiVersion": target.api_version, "kind": target.kind, "name": target.name},
            "minReplicas": 1, "maxReplicas": 100,
            "metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": cpu}}],
        },
    })
}

/// A watch in progress.
struct Watch {
    object: PredictiveAutoscaler,
    engine: Engine,
    server: Option<(Prometheus, Queries)>,
    score: Score,
    minutes_until: Timestamp,
    last: Option<Timestamp>,
    told: String,
}

impl Watch {
    fn new(
        args: &WatchArgs,
        object: PredictiveAutoscaler,
        engine: Engine,
        server: Option<Prometheus>,
    ) -> Result<Self> {
        let query = args.query.clone().unwrap_or_default();
        let queries = Queries {
            demand: query,
            replicas: String::new(),
        };
        let capacity = match &server {
            Some(_) => rates(args, 0.8)?.0,
            None => 0.0,
        };
        Ok(Self {
            object,
            engine,
            server: server.map(|server| (server, queries)),
            score: Score::new(capacity),
            minutes_until: floor(now(), MINUTE),
            last: None,
            told: String::new(),
        })
    }

    /// Lets the forecasters live through the past of the demand.
    fn remember(&mut self, history: Span) -> Result<()> {
        let Some((server, queries)) = &self.server else {
            return Ok(());
        };
        let (start, end) = (self.minutes_until - history, self.minutes_until);
        let past = runtime()?.block_on(observe::minutes(server, &queries.demand, start, end));
        let past = past.map_err(|e| prometheus_coded(&e))?;
        eprintln!("note: {} minutes of past demand", past.len());
        live_through(&mut self.engine, &past);
        Ok(())
    }

    fn samples(
        &self,
        at: Timestamp,
        targets: Vec<foresail_core::observe::TargetState>,
        minutes: &[(Timestamp, f64)],
    ) -> Samples {
        Samples {
            at,
            health: Health::default(),
            leading: true,
            targets,
            values: past::samples(&target_id(&self.object), minutes),
        }
    }

    /// Looks and decides until the time is over or somebody asks to end.
    fn run(
        &mut self,
        args: &WatchArgs,
        cluster: &Cluster,
        place: &Place,
        interval: Span,
        output: Output,
        out: &mut dyn Write,
    ) -> Result<Code> {
        let mut next = now();
        let end = Some(args.duration)
            .filter(|d| *d > Span::ZERO)
            .map(|d| next + d);
        head(output, out)?;
        let mut is_first = true;
        loop {
            let at = now();
            let Some(looked) = cluster.wait_long(until_asked(self.look(place, at))) else {
                return Ok(Code::Interrupted);
            };
            match looked {
                Ok((shown, seen)) => {
                    self.tell(&shown, &seen);
                    let told = self.decide(&shown, &seen, at)?;
                    print(output, &self.score, &told, &seen, out)?;
                }
                // Without a first look there is nothing to watch; a later one may fail.
                Err(fault) if is_first => {
                    let what = format!("{}/{}", place.namespace, place.target.short());
                    return Err(coded(&what, &fault));
                }
                Err(fault) => eprintln!("warning: {fault}"),
            }
            is_first = false;
            let behind = (now() - next).nanos().max(0) / interval.nanos();
            next = next + Span::from_nanos(interval.nanos().saturating_mul(behind + 1));
            if end.is_some_and(|end| next >= end) {
                return Ok(Code::Done);
            }
            if !sleep_until(next) {
                return Ok(Code::Interrupted);
            }
        }
    }

    async fn look(
        &self,
        place: &Place,
        at: Timestamp,
    ) -> Result<(Shown, Seen), foresail_adapters::kubernetes::fault::Fault> {
        let rules = self.engine.spec().targets()[0].rules.metrics();
        let metrics = &self.object.spec.metrics;
        let places = reactive_metrics(&self.object.spec);
        let read: Vec<_> = places
            .iter()
            .filter_map(|p| metrics.get(*p))
            .zip(rules)
            .collect();
        let shown = place.look(target_id(&self.object), &read).await?;
        let mut seen = match &self.server {
            Some((server, queries)) => {
                observe::look_demand(server, queries, at, self.minutes_until).await
            }
            None => Seen::default(),
        };
        seen.incumbent = Some(shown.replicas);
        Ok((shown, seen))
    }

    fn tell(&mut self, shown: &Shown, seen: &Seen) {
        let mut all = shown.troubles.clone();
        all.extend(seen.problems.iter().map(ToString::to_string));
        let all = all.join("; ");
        if all != self.told {
            match all.is_empty() {
                true => eprintln!("note: everything can be read again"),
                false => eprintln!("warning: {all}"),
            }
            self.told = all;
        }
    }

    fn decide(&mut self, shown: &Shown, seen: &Seen, at: Timestamp) -> Result<Explanation> {
        let samples = self.samples(at, vec![shown.state.clone()], &seen.minutes);
        self.minutes_until = seen.until.unwrap_or(self.minutes_until);
        self.engine.feed(Input::Samples(samples));
        let tick = self
            .engine
            .feed(Input::Tick { now: at })
            .context("no tick")?;
        for installed in refit::answer_telling(&mut self.engine, &tick, tell_refit) {
            self.engine.feed(installed);
        }
        let identity = Identity {
            uid: self.object.name_any(),
            generation: 1,
            epoch: 1,
        };
        let told = Explanation::new(&tick, 0, self.engine.spec(), &identity, None);
        let told = told.context("no target")?;
        let decided = told.decided.get("replicas").map(|q| q.replicas().get());
        let both = |n: u32| Pods { paid: n, ready: n };
        if let Some(decided) = decided {
            let span = self.last.map(|last| at - last);
            let theirs = Pods {
                paid: shown.replicas,
                ready: shown.state.ready.get(),
            };
            self.score
                .add(span, seen.fresh_demand(at), both(decided), Some(theirs));
        }
        self.last = Some(at);
        Ok(told)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_written_as_for_kubectl() {
        for (text, kind) in [
            ("deploy/web", "Deployment"),
            ("sts/db", "StatefulSet"),
            ("ReplicaSet/x", "ReplicaSet"),
        ] {
            let found = target(text).unwrap();
            assert_eq!(
                (found.kind.as_str(), found.api_version.as_str()),
                (kind, "apps/v1")
            );
        }
        for bad in ["web", "deploy/", "pod/web"] {
            assert!(target(bad).is_err(), "{bad}");
        }
    }
}
