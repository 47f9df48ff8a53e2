//! The last step: the HPA that was taken over from is deleted; the object keeps its manifest.

use std::io::Write;

use anyhow::{Result, ensure};
use foresail_adapters::kubernetes::crd::{ActuationType, Mode};
use foresail_adapters::kubernetes::fault::call;
use kube::ResourceExt;
use kube::api::{DeleteParams, Preconditions};

use super::{ADOPTED_FROM, HpaArgs, find_hpa, hpa, what_hpa};
use crate::cli::cluster::{Cluster, coded};
use crate::exit::Code;

/// Deletes the HPA.
pub(super) fn run(args: &HpaArgs, cluster: &Cluster, out: &mut dyn Write) -> Result<Code> {
    let name = &args.name;
    let (object, found) = cluster.wait(async {
        let object = cluster.object(name).await?;
        Ok((object, find_hpa(cluster, name).await?))
    })?;
    let (ours, theirs) = (cluster.what(name), what_hpa(cluster, name));
    let Some(found) = found else {
        writeln!(out, "{theirs} is gone already")?;
        return Ok(Code::Done);
    };
    let actuation = object.spec.actuation.as_ref().map(|a| a.kind);
    ensure!(
        object.spec.mode == Mode::Auto && actuation == Some(ActuationType::Scale),
        "{ours} does not act (mode {:?}); run --cutover first",
        object.spec.mode
    );
    ensure!(
        found.is_cut_over() && found.is_inert(),
        "{theirs} was not taken over from, or acts again; run --cutover first"
    );
    ensure!(
        object.annotations().contains_key(ADOPTED_FROM),
        "{ours} does not keep the HPA's manifest (annotation {ADOPTED_FROM}); run --cutover again, so that rollback can make it anew"
    );
    let plan = format!("plan: - {theirs}; {ours} keeps its manifest, and rollback makes it again");
    args.consent.ask(&plan, out)?;
    let parameters = DeleteParams {
        preconditions: Some(Preconditions {
            uid: found.0.uid(),
            resource_version: found.0.resource_version(),
        }),
        ..DeleteParams::default()
    };
    let api = hpa::api(cluster.clients.write.clone(), &cluster.namespace);
    cluster.wait(async {
        let deleted = call(api.delete(name, &parameters)).await;
        deleted.map_err(|f| coded(&theirs, &f))
    })?;
    writeln!(out, "{theirs} is deleted")?;
    Ok(Code::Done)
}
