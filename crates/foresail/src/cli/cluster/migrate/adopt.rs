//! The first step: an object in mode Shadow with what the HPA says; nothing else is changed.

use std::io::Write;

use anyhow::Result;
use foresail_adapters::kubernetes::crd::PredictiveAutoscaler;
use foresail_adapters::kubernetes::fault::call;
use kube::ResourceExt;
use kube::api::{ListParams, PostParams};

use super::hpa::Hpa;
use super::{ADOPTED_FROM, HpaArgs, PlanOutput, cutover, read_hpa, what_hpa};
use crate::cli::cluster::{Cluster, FIELD_MANAGER, coded, refusal};
use crate::exit::Code;

/// Makes the object, or prints it.
pub(super) fn run(args: &HpaArgs, cluster: &Cluster, out: &mut dyn Write) -> Result<Code> {
    let hpa = cluster.wait(read_hpa(cluster, &args.name))?;
    check_owner(cluster, &hpa)?;
    let manifest = hpa.adopted()?;
    let object: PredictiveAutoscaler = serde_json::from_value(manifest.clone())?;
    if args.output == PlanOutput::Yaml {
        write!(out, "{}", serde_saphyr::to_string(&manifest)?)?;
        writeln!(out, "---")?;
        write!(out, "{}", cutover::kustomization(&hpa, &object)?)?;
        return Ok(Code::Done);
    }
    if let Some(code) = there_already(cluster, &object, out)? {
        return Ok(code);
    }
    let what = cluster.what(&args.name);
    let plan = format!(
        "plan: + {what} (mode Shadow: decides, explains and writes nothing)\n  from {}, which stays as it is: {} to {} replicas, {} metrics{}",
        what_hpa(cluster, &args.name),
        object.spec.min_replicas,
        object.spec.max_replicas,
        object.spec.metrics.len(),
        match object.spec.behavior {
            Some(_) => ", its behavior",
            None => ", no behavior, as there",
        }
    );
    args.consent.ask(&plan, out)?;
    let parameters = PostParams {
        field_manager: Some(FIELD_MANAGER.to_owned()),
        ..PostParams::default()
    };
    cluster.wait(async {
        let made = call(cluster.objects_written().create(&parameters, &object)).await;
        made.map_err(|f| coded(&what, &f))
    })?;
    let (name, namespace) = (&args.name, &cluster.namespace);
    writeln!(
        out,
        "{what} is made\nnext: foresail describe {name} -n {namespace}, and when its verdict is good: foresail migrate hpa {name} -n {namespace} --cutover"
    )?;
    Ok(Code::Done)
}

/// Refuses an HPA that another autoscaler writes: it would write it back.
pub(super) fn check_owner(cluster: &Cluster, hpa: &Hpa) -> Result<()> {
    let Some(owner) = hpa.owner() else {
        return Ok(());
    };
    let what = what_hpa(cluster, &hpa.name());
    Err(refusal(
        Code::Conflict,
        format!("{what} belongs to {owner}, which writes it again: pause or delete that first"),
    ))
}

/// The answer where the object, or another of the same target, is there already.
fn there_already(
    cluster: &Cluster,
    wanted: &PredictiveAutoscaler,
    out: &mut dyn Write,
) -> Result<Option<Code>> {
    let listed = cluster.wait(async {
        let listed = call(cluster.objects().list(&ListParams::default())).await;
        listed.map_err(|f| coded("PredictiveAutoscalers", &f))
    })?;
    let target = wanted.target();
    let same_target = |o: &&PredictiveAutoscaler| o.target().is_same(&target);
    let Some(found) = listed.items.iter().find(same_target) else {
        let same_name = listed
            .items
            .iter()
            .find(|o| o.name_any() == wanted.name_any());
        return match same_name {
            None => Ok(None),
            Some(other) => Err(refusal(
                Code::Conflict,
                format!(
                    "{} is there and scales {}; give the HPA another name or delete the object",
                    cluster.what(&other.name_any()),
                    other.target().short()
                ),
            )),
        };
    };
    let what = cluster.what(&found.name_any());
    if found.name_any() == wanted.name_any() && found.annotations().contains_key(ADOPTED_FROM) {
        writeln!(
            out,
            "{what} is there already, in mode {:?}",
            found.spec.mode
        )?;
        return Ok(Some(Code::Done));
    }
    Err(refusal(
        Code::Conflict,
        format!(
            "{what} scales {} already; use it, or delete it first",
            target.short()
        ),
    ))
}
