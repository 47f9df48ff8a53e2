//! `foresail migrate`: from a HorizontalPodAutoscaler to an object of ours and back, step by step.
//!
//! Nothing is deleted before `--finalize`, and `rollback` needs nobody but this command: it works
//! with the controller down, and may be repeated.

mod adopt;
mod cutover;
mod finalize;
pub(crate) mod hpa;
mod rollback;

use std::io::Write;

use anyhow::Result;
use clap::{Args, Subcommand, ValueEnum};
use foresail_adapters::kubernetes::crd::PredictiveAutoscaler;
use foresail_adapters::kubernetes::fault::{Fault, call};
use foresail_core::explain::Explanation;
use kube::api::PostParams;

use super::{Cluster, ClusterArgs, Consent, FIELD_MANAGER, coded};
use crate::exit::Code;
use hpa::Hpa;

/// The annotation of our object that keeps the autoscaler that it was made from, as JSON.
pub(crate) const ADOPTED_FROM: &str = "foresail.dev/adopted-from";

/// The annotation of object and HPA that keeps what the cutover changed, as JSON.
pub(crate) const BEFORE_CUTOVER: &str = "foresail.dev/before-cutover";

pub(crate) use crate::controller::HPA_MIN;

/// How often a write that met another writer is made anew.
const ATTEMPTS: usize = 5;

/// From another autoscaler to Foresail, and back
#[derive(Args, Debug)]
pub struct MigrateArgs {
    #[command(subcommand)]
    command: MigrateCommand,
}

#[derive(Subcommand, Debug)]
enum MigrateCommand {
    /// From a HorizontalPodAutoscaler: an object in mode Shadow, then --cutover, then --finalize
    Hpa(HpaArgs),
    /// Back to the HorizontalPodAutoscaler, as it was; works without a controller
    Rollback(RollbackArgs),
}

/// Which manifests are printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum PlanOutput {
    /// The plan, which is then carried out.
    #[default]
    #[value(alias = "table")]
    Text,
    /// Manifests and a kustomize patch; nothing is written.
    Yaml,
}

/// `migrate hpa`.
#[derive(Args, Debug)]
pub struct HpaArgs {
    /// The HorizontalPodAutoscaler
    pub name: String,
    /// Take over: the HPA stays and moves nothing more, the object acts
    #[arg(long, conflicts_with = "finalize")]
    pub cutover: bool,
    /// Delete the HPA that was taken over from
    #[arg(long)]
    pub finalize: bool,
    /// Take back a cutover whose first decision is further off the present number than this
    #[arg(long, value_name = "PERCENT", default_value = "20%", value_parser = percent)]
    pub max_delta: f64,
    /// Take over although something speaks against it
    #[arg(long)]
    pub force: bool,
    /// text carries out the plan; yaml prints manifests and writes nothing
    #[arg(long, short, value_enum, default_value_t)]
    pub output: PlanOutput,
    /// Which cluster.
    #[command(flatten)]
    pub cluster: ClusterArgs,
    /// Consent.
    #[command(flatten)]
    pub consent: Consent,
}

/// `migrate rollback`.
#[derive(Args, Debug)]
pub struct RollbackArgs {
    /// The object, or the HorizontalPodAutoscaler that it was made from
    pub name: String,
    /// Which cluster.
    #[command(flatten)]
    pub cluster: ClusterArgs,
    /// Consent.
    #[command(flatten)]
    pub consent: Consent,
}

/// A share in percent, with or without its sign.
fn percent(text: &str) -> Result<f64, String> {
    let number = text.strip_suffix('%').unwrap_or(text).trim();
    let found = number.parse::<f64>().ok();
    found
        .filter(|p| (0.0..=1000.0).contains(p))
        .ok_or_else(|| "must be 0% to 1000%".to_owned())
}

/// Runs the command.
///
/// # Errors
/// Where something that it names is not there, or may not be changed; what was begun is taken back.
pub fn run(args: &MigrateArgs, out: &mut dyn Write) -> Result<Code> {
    match &args.command {
        MigrateCommand::Hpa(args) => hpa_steps(args, &args.cluster.connect()?, out),
        MigrateCommand::Rollback(args) => {
            rollback::run(&args.name, args.consent, &args.cluster.connect()?, out)
        }
    }
}

/// `migrate hpa` on a given cluster.
///
/// # Errors
/// As [`run`].
pub fn hpa_steps(args: &HpaArgs, cluster: &Cluster, out: &mut dyn Write) -> Result<Code> {
    match (args.cutover, args.finalize) {
        (true, _) => cutover::run(args, cluster, out),
        (_, true) => finalize::run(args, cluster, out),
        _ => adopt::run(args, cluster, out),
    }
}

/// `migrate rollback` on a given cluster.
///
/// # Errors
/// As [`run`].
pub fn roll_back(
    name: &str,
    consent: Consent,
    cluster: &Cluster,
    out: &mut dyn Write,
) -> Result<Code> {
    rollback::run(name, consent, cluster, out)
}

/// An HPA as it is told.
fn what_hpa(cluster: &Cluster, name: &str) -> String {
    format!("HorizontalPodAutoscaler {}/{name}", cluster.namespace)
}

/// An HPA by its name.
async fn read_hpa(cluster: &Cluster, name: &str) -> Result<Hpa> {
    let found = call(hpa::api(cluster.read(), &cluster.namespace).get(name)).await;
    let found = found.map_err(|f| coded(&what_hpa(cluster, name), &f))?;
    Ok(Hpa(found))
}

/// An HPA by its name, where there is one.
async fn find_hpa(cluster: &Cluster, name: &str) -> Result<Option<Hpa>> {
    let found = call(hpa::api(cluster.read(), &cluster.namespace).get_opt(name)).await;
    let found = found.map_err(|f| coded(&what_hpa(cluster, name), &f))?;
    Ok(found.map(Hpa))
}

/// One of our objects by its name, where there is one; none where the cluster does not know the kind.
async fn find_object(cluster: &Cluster, name: &str) -> Result<Option<PredictiveAutoscaler>> {
    match call(cluster.objects().get_opt(name)).await {
        Ok(found) => Ok(found),
        Err(fault) => Err(coded(&cluster.what(name), &fault)),
    }
}

/// Changes an HPA against the version that was read, anew where somebody else was faster; `change`
/// answers `false` where nothing is to be changed.
async fn change_hpa(
    cluster: &Cluster,
    name: &str,
    change: impl Fn(&mut Hpa) -> Result<bool>,
) -> Result<bool> {
    let api = hpa::api(cluster.clients.write.clone(), &cluster.namespace);
    let parameters = PostParams {
        field_manager: Some(FIELD_MANAGER.to_owned()),
        ..PostParams::default()
    };
    let mut last = None;
    for _ in 0..ATTEMPTS {
        let mut read = read_hpa(cluster, name).await?;
        if !change(&mut read)? {
            return Ok(false);
        }
        match call(api.replace(name, &parameters, &read.0)).await {
            Ok(_) => return Ok(true),
            Err(fault @ Fault::Conflict(_)) => last = Some(fault),
            Err(fault) => return Err(coded(&what_hpa(cluster, name), &fault)),
        }
    }
    let fault = last.unwrap_or(Fault::Conflict("it changes all the time".to_owned()));
    Err(coded(&what_hpa(cluster, name), &fault))
}

/// The object's last decision, where there is one that can be read.
fn last(object: &PredictiveAutoscaler) -> Option<Explanation> {
    let status = object.status.as_ref()?;
    super::describe::last_decision(status).ok().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_read_with_and_without_a_sign() {
        for (text, want) in [
            ("20%", Some(20)),
            ("7.5", None),
            ("0", Some(0)),
            ("-1", None),
            ("x%", None),
        ] {
            let found = percent(text).ok().filter(|p| p.fract() <= 0.0);
            assert_eq!(found.map(|p| p as i32), want, "{text}");
        }
        assert!((percent("7.5").unwrap() - 7.5).abs() < 1e-12);
    }
}
