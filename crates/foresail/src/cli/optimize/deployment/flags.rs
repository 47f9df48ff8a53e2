//! The flags of `foresail optimize --deployment`.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail, ensure};
use clap::{Args, ValueEnum};
use foresail_core::quantity::time::Span;
use foresail_core::quantity::units::parse_kubernetes_milli;
use foresail_core::spec::ResourceSpec;
use serde_json::{Value, json};

use crate::cli::cluster::{ClusterArgs, Consent};
use crate::cli::provider::Reach;
use crate::vertical::adviser::{bounds, knobs};

/// The longest wait that a flag may ask for.
const WAIT_MAX: Span = Span::from_seconds(86_400);

/// How long the cluster is waited for where it is only read.
const READ: Span = Span::from_seconds(30);

/// A resource that is sized.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum SizedResource {
    /// CPU.
    Cpu,
    /// Memory.
    Memory,
}

impl SizedResource {
    fn name(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Memory => "memory",
        }
    }
}

/// Requests of a Deployment in a cluster.
#[derive(Args, Clone, Debug)]
#[command(
    next_help_heading = "Requests of a Deployment (in a cluster, in the place of a workflow)"
)]
pub(in crate::cli) struct DeploymentArgs {
    /// Advise requests and limits of a Deployment's containers, as the Vertical Pod Autoscaler would
    #[arg(long, value_name = "NAME", conflicts_with_all = ["workflow", "workflow_config", "tuner", "knobs", "spend_cap", "journal", "reopen", "record", "out"])]
    pub(super) deployment: Option<String>,
    /// Change the pods: in place where the server can, else by a rollout. Without it nothing is written
    #[arg(long, requires = "deployment", conflicts_with = "undo")]
    pub(super) apply: bool,
    /// Put back what the last --apply changed, be it whole or cut short
    #[arg(long, requires = "deployment")]
    pub(super) undo: bool,
    /// Do it without asking
    #[arg(long, short = 'y', requires = "deployment")]
    pub(super) yes: bool,
    /// By a rollout, also where the server resizes pods in place
    #[arg(long, requires = "deployment")]
    pub(super) rollout: bool,
    /// Look for so long before advising; 0s looks once
    #[arg(
        long,
        value_name = "TIME",
        default_value = "0s",
        requires = "deployment"
    )]
    pub(super) duration: Span,
    /// Time between two looks
    #[arg(
        long,
        value_name = "TIME",
        default_value = "15s",
        requires = "deployment"
    )]
    pub(super) interval: Span,
    /// So much of the past is asked of Prometheus, where --prometheus is given
    #[arg(
        long,
        value_name = "TIME",
        default_value = "8d",
        requires = "deployment"
    )]
    pub(super) history: Span,
    /// The least span of samples on which --apply acts
    #[arg(
        long,
        value_name = "TIME",
        default_value = "1h",
        requires = "deployment"
    )]
    pub(super) min_history: Span,
    /// Size this resource alone; may be given again [default: cpu and memory]
    #[arg(
        long = "resource",
        value_enum,
        value_name = "NAME",
        requires = "deployment"
    )]
    pub(super) resources: Vec<SizedResource>,
    /// The least that a container asks for, such as cpu=50m
    #[arg(long, value_name = "RESOURCE=AMOUNT", requires = "deployment")]
    pub(super) min: Vec<String>,
    /// The most that a container asks for, such as memory=2Gi
    #[arg(long, value_name = "RESOURCE=AMOUNT", requires = "deployment")]
    pub(super) max: Vec<String>,
    /// A knob of the proposer vpa (docs/vpa.md)
    #[arg(long = "knob", value_name = "NAME=VALUE", requires = "deployment")]
    pub(super) vpa_knobs: Vec<String>,
    /// How long a node without room at present is waited for before all is put back
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = wait, requires = "deployment")]
    pub(super) deferred_wait: Span,
    /// How long one pod's resize, or the rollout, may take before all is put back
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = wait, requires = "deployment")]
    pub(super) change_wait: Span,
    /// Change requests although an HPA or a VerticalPodAutoscaler reckons with them
    #[arg(long, requires = "deployment")]
    pub(super) force: bool,
    /// How the cluster and Prometheus are reached: by the flags of a provider, which are the same.
    #[arg(skip)]
    pub(super) reach: Reach,
}

fn wait(text: &str) -> Result<Span, String> {
    let span: Span = text.parse().map_err(|e| format!("{e}"))?;
    let fits = span > Span::ZERO && span <= WAIT_MAX;
    fits.then_some(span)
        .ok_or_else(|| "must be above 0 and at most a day".to_owned())
}

impl DeploymentArgs {
    /// The same with how everything is reached.
    pub(in crate::cli) fn reached_by(&self, reach: Reach) -> Self {
        Self {
            reach,
            ..self.clone()
        }
    }

    /// Refuses flags that are for a Deployment where none is named: the parser lets them pass beside a
    /// workflow, which a Deployment excludes.
    pub(in crate::cli) fn check_unasked(&self) -> Result<()> {
        let given = [
            (self.apply, "--apply"),
            (self.undo, "--undo"),
            (self.yes, "--yes"),
            (self.rollout, "--rollout"),
            (self.force, "--force"),
            (!self.resources.is_empty(), "--resource"),
            (!self.min.is_empty(), "--min"),
            (!self.max.is_empty(), "--max"),
            (!self.vpa_knobs.is_empty(), "--knob"),
        ];
        match given.iter().find(|(is_there, _)| *is_there) {
            Some((_, flag)) => bail!("{flag} is for a Deployment: name it with --deployment"),
            None => Ok(()),
        }
    }

    /// `true` where a Deployment is meant.
    pub(in crate::cli) fn is_asked(&self) -> bool {
        self.deployment.is_some()
    }

    pub(super) fn cluster(&self) -> ClusterArgs {
        ClusterArgs {
            namespace: self.reach.namespace.clone(),
            context: self.reach.context.clone(),
            kubeconfig: self.reach.kubeconfig.clone(),
            timeout: READ,
        }
    }

    pub(super) fn consent(&self) -> Consent {
        Consent { yes: self.yes }
    }

    /// Checks spans that go together.
    pub(super) fn check(&self) -> Result<()> {
        let seconds = self.interval.whole_seconds();
        ensure!(
            (1..=300).contains(&seconds) && self.interval == Span::from_seconds(seconds),
            "--interval {}: must be whole seconds, 1s to 300s",
            self.interval
        );
        ensure!(
            self.history > Span::ZERO,
            "--history {}: must be above 0s",
            self.history
        );
        Ok(())
    }

    /// Bounds of the resources that are sized.
    pub(super) fn bounds(&self) -> Result<BTreeMap<String, ResourceSpec>> {
        let (least, most) = (amounts("--min", &self.min)?, amounts("--max", &self.max)?);
        let all = [SizedResource::Cpu, SizedResource::Memory];
        let named = all
            .iter()
            .filter(|r| self.resources.is_empty() || self.resources.contains(r));
        let spec = |resource: &SizedResource| {
            let name = resource.name();
            let of = |side: &BTreeMap<String, i64>| side.get(name).copied();
            (name.to_owned(), bounds(name, of(&least), of(&most)))
        };
        let found: BTreeMap<_, _> = named.map(spec).collect();
        for name in least.keys().chain(most.keys()) {
            ensure!(
                found.contains_key(name),
                "a bound of {name} is given, and {name} is not sized: name it with --resource too"
            );
        }
        Ok(found)
    }

    /// Knobs of the proposer. The updater lets young pods be, so as not to evict them again and again;
    /// somebody who runs a command asks now.
    pub(super) fn knobs(&self) -> Result<BTreeMap<String, Value>> {
        let mut knobs = knobs();
        let at_once = "inRecommendationBoundsEvictionLifetimeThresholdSeconds";
        knobs.insert(at_once.to_owned(), json!(0));
        for knob in &self.vpa_knobs {
            let Some((name, value)) = knob.split_once('=') else {
                bail!("--knob {knob}: write NAME=VALUE");
            };
            let value = serde_json::from_str(value).unwrap_or_else(|_| json!(value));
            knobs.insert(name.to_owned(), value);
        }
        Ok(knobs)
    }
}

/// `cpu=50m` and the like, in thousandths.
fn amounts(flag: &str, all: &[String]) -> Result<BTreeMap<String, i64>> {
    let mut found = BTreeMap::new();
    for text in all {
        let pair = text
            .split_once('=')
            .filter(|(name, _)| ["cpu", "memory"].contains(name));
        let (name, amount) =
            pair.with_context(|| format!("{flag} {text}: write cpu=AMOUNT or memory=AMOUNT"))?;
        let milli = parse_kubernetes_milli(amount).with_context(|| format!("{flag} {text}"))?;
        ensure!(milli > 0, "{flag} {text}: must be above 0");
        found.insert(name.to_owned(), milli);
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{Cli, Command};
    use clap::Parser;

    fn typed(words: &[&str]) -> DeploymentArgs {
        let words = [&["foresail", "optimize", "--deployment", "web"], words].concat();
        match Cli::parse_from(words).command {
            Command::Optimize(args) => args.live,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_workflow_and_a_deployment_do_not_go_together() {
        let parse = |words: &[&str]| {
            let words = [&["foresail", "optimize"], words].concat();
            Cli::try_parse_from(words)
        };
        for wrong in [
            &["ml-pipeline", "--deployment", "web"][..],
            &["--deployment", "web", "--journal", "x"],
            &["--deployment", "web", "--apply", "--undo"],
            &["--deployment", "web", "--deferred-wait", "0s"],
        ] {
            assert!(parse(wrong).is_err(), "{wrong:?}");
        }
        let unasked = |words: &[&str]| match parse(words).unwrap().command {
            Command::Optimize(args) => args.live.check_unasked(),
            other => panic!("{other:?}"),
        };
        assert!(unasked(&["ml-pipeline"]).is_ok());
        assert!(unasked(&["ml-pipeline", "--apply"]).is_err());
    }

    #[test]
    fn pods_are_waited_for_as_long_as_the_controller_does() {
        use crate::vertical::apply::Patience;
        let (typed, usual) = (typed(&[]), Patience::default());
        let nanos = |of: std::time::Duration| i64::try_from(of.as_nanos()).unwrap();
        assert_eq!(typed.deferred_wait.nanos(), nanos(usual.deferred));
        assert_eq!(typed.change_wait.nanos(), nanos(usual.working));
    }

    #[test]
    fn bounds_are_of_what_is_sized() {
        let both = typed(&["--min", "cpu=50m", "--max", "memory=2Gi"])
            .bounds()
            .unwrap();
        assert_eq!(both["cpu"].min.to_string(), "50m");
        assert_eq!(both["memory"].max.to_string(), "2Gi");
        let one = typed(&["--resource", "memory"]).bounds().unwrap();
        assert_eq!(one.keys().collect::<Vec<_>>(), ["memory"]);
        for wrong in [
            &["--resource", "memory", "--min", "cpu=1"][..],
            &["--min", "gpu=1"],
            &["--min", "cpu=lots"],
            &["--max", "cpu=0"],
        ] {
            assert!(typed(wrong).bounds().is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn memory_is_rounded_for_people_unless_a_knob_says_otherwise() {
        assert_eq!(typed(&[]).knobs().unwrap()["roundMemoryBytes"], 1 << 20);
        let knobs = typed(&["--knob", "roundMemoryBytes=1"]).knobs().unwrap();
        assert_eq!(knobs["roundMemoryBytes"], 1);
        assert!(typed(&["--knob", "x"]).knobs().is_err());
    }
}
