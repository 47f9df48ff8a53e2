//! `foresail suspend` and `resume`: switches an object's ways off and on.

use std::io::Write;

use anyhow::Result;
use clap::Args;
use foresail_adapters::kubernetes::crd::{PredictiveAutoscaler, Suspend};
use foresail_adapters::kubernetes::fault::call;
use foresail_adapters::kubernetes::rival::HpaSeen;
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use kube::Api;
use kube::api::ListParams;
use serde_json::{Value, json};

use super::{Cluster, ClusterArgs, Consent, coded};
use crate::exit::Code;

/// Hold an object's target still, in one direction or at a number
#[derive(Args, Debug)]
pub struct SuspendArgs {
    /// The object
    name: String,
    /// Only the way down
    #[arg(long, conflicts_with_all = ["scale_up_only", "at"])]
    scale_down_only: bool,
    /// Only the way up
    #[arg(long, conflicts_with = "at")]
    scale_up_only: bool,
    /// Hold this many replicas, whatever is measured and whatever the bounds are
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i32).range(1..=10_000))]
    at: Option<i32>,
    #[command(flatten)]
    cluster: ClusterArgs,
    #[command(flatten)]
    consent: Consent,
}

/// Let go of what `suspend` holds
#[derive(Args, Debug)]
pub struct ResumeArgs {
    /// The object
    name: String,
    #[command(flatten)]
    cluster: ClusterArgs,
    #[command(flatten)]
    consent: Consent,
}

/// Runs `foresail suspend`.
///
/// # Errors
/// Where there is no such object, or it may not be changed.
pub fn run(args: &SuspendArgs, out: &mut dyn Write) -> Result<Code> {
    suspend(args, &args.cluster.connect()?, out)
}

/// Runs `foresail resume`.
///
/// # Errors
/// As [`run`].
pub fn run_resume(args: &ResumeArgs, out: &mut dyn Write) -> Result<Code> {
    resume(args, &args.cluster.connect()?, out)
}

/// `foresail suspend` on a given cluster.
///
/// # Errors
/// As [`run`].
pub fn suspend(args: &SuspendArgs, cluster: &Cluster, out: &mut dyn Write) -> Result<Code> {
    let wanted = wanted(args);
    let object = cluster.wait(cluster.object(&args.name))?;
    if let Some(at) = args.at {
        cluster.wait(check_hpas(cluster, &object, at))?;
    }
    set(&args.name, &wanted, &object, cluster, args.consent, out)
}

/// `foresail resume` on a given cluster.
///
/// # Errors
/// As [`run`].
pub fn resume(args: &ResumeArgs, cluster: &Cluster, out: &mut dyn Write) -> Result<Code> {
    let object = cluster.wait(cluster.object(&args.name))?;
    let wanted = Suspend::default();
    set(&args.name, &wanted, &object, cluster, args.consent, out)
}

fn wanted(args: &SuspendArgs) -> Suspend {
    Suspend {
        scale_up: args.at.is_none() && !args.scale_down_only,
        scale_down: args.at.is_none() && !args.scale_up_only,
        hold_at: args.at,
    }
}

fn told(suspend: &Suspend) -> String {
    match (suspend.hold_at, suspend.scale_up, suspend.scale_down) {
        (Some(at), ..) => format!("held at {at}"),
        (None, true, true) => "held still".to_owned(),
        (None, true, false) => "not scaled up".to_owned(),
        (None, false, true) => "not scaled down".to_owned(),
        (None, false, false) => "free".to_owned(),
    }
}

fn patch(suspend: &Suspend) -> Value {
    json!({"spec": {"suspend": {
        "scaleUp": suspend.scale_up, "scaleDown": suspend.scale_down, "holdAt": suspend.hold_at,
    }}})
}

fn set(
    name: &str,
    wanted: &Suspend,
    object: &PredictiveAutoscaler,
    cluster: &Cluster,
    consent: Consent,
    out: &mut dyn Write,
) -> Result<Code> {
    let what = cluster.what(name);
    let before = &object.spec.suspend;
    if before == wanted {
        writeln!(out, "{what} is {} already", told(wanted))?;
        return Ok(Code::Done);
    }
    let plan = format!("plan: {what}: {} → {}", told(before), told(wanted));
    consent.ask(&plan, out)?;
    cluster.wait(cluster.change(name, &patch(wanted)))?;
    writeln!(out, "{what} is {}", told(wanted))?;
    Ok(Code::Done)
}

/// Warns of an HPA that would pull the target back into its own bounds: a disabled one does too.
///
/// Source: Kubernetes, horizontal.go: what is out of bounds is mended before behavior is looked at.
async fn check_hpas(cluster: &Cluster, object: &PredictiveAutoscaler, at: i32) -> Result<()> {
    let target = object.target();
    let api: Api<HorizontalPodAutoscaler> = Api::namespaced(cluster.read(), &cluster.namespace);
    let listed = call(api.list(&ListParams::default())).await;
    let listed = listed.map_err(|f| coded("HorizontalPodAutoscalers", &f))?;
    for hpa in &listed.items {
        let seen = HpaSeen::from(hpa);
        let Some(spec) = seen.spec.as_ref().filter(|_| seen.target.is_same(&target)) else {
            continue;
        };
        let (min, max) = (spec.min_replicas.unwrap_or(1), spec.max_replicas);
        if !(min..=max).contains(&at) {
            let name = hpa.metadata.name.clone().unwrap_or_default();
            eprintln!(
                "warning: the HorizontalPodAutoscaler {name} holds {} within {min} to {max} and will fight {at}; widen its bounds first",
                target.short()
            );
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Typed {
        #[command(flatten)]
        args: SuspendArgs,
    }

    #[test]
    fn each_flag_switches_what_it_says() {
        for (flags, want) in [
            (&[][..], (true, true, None)),
            (&["--scale-down-only"], (false, true, None)),
            (&["--scale-up-only"], (true, false, None)),
            (&["--at", "7"], (false, false, Some(7))),
        ] {
            let typed = [&["x", "web"], flags].concat();
            let found = wanted(&Typed::parse_from(typed).args);
            assert_eq!((found.scale_up, found.scale_down, found.hold_at), want);
            // What was set before is taken back by the same patch.
            let written = &patch(&found)["spec"]["suspend"];
            assert_eq!(written.as_object().unwrap().len(), 3);
        }
        assert!(Typed::try_parse_from(["x", "web", "--at", "0"]).is_err());
        assert!(Typed::try_parse_from(["x", "web", "--at", "3", "--scale-up-only"]).is_err());
    }
}
