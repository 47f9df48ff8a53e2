//! Who else scales a component, by the controller's own rule.

use foresail_adapters::kubernetes::autoscaler::{Arriving, AutoscalerSeen};
use foresail_adapters::kubernetes::fault::{Fault, call};
use foresail_adapters::kubernetes::rival::{HpaSeen, Scaler, owner};
use foresail_adapters::kubernetes::scale::Target;
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use kube::api::ListParams;
use kube::{Api, Client, ResourceExt};

/// The other who scales a target: an object of our own kind that owns it and may write, else an HPA or
/// the ScaledObject behind it.
///
/// # Errors
/// [`Fault`] of the calls: whoever cannot see them must not write. A server without our kind has none.
pub(super) async fn scaler(
    client: &Client,
    namespace: &str,
    target: &Target,
) -> Result<Option<Scaler>, Fault> {
    if let Some(name) = autoscaler(client, namespace, target).await? {
        return Ok(Some(Scaler::Autoscaler(name)));
    }
    let api: Api<HorizontalPodAutoscaler> = Api::namespaced(client.clone(), namespace);
    let list = call(api.list(&ListParams::default())).await?;
    let mut each = list.items.iter().map(|h| (h.name_any(), HpaSeen::from(h)));
    Ok(each.find_map(|(name, hpa)| hpa.scaler(&name).filter(|_| hpa.target.is_same(target))))
}

async fn autoscaler(
    client: &Client,
    namespace: &str,
    target: &Target,
) -> Result<Option<String>, Fault> {
    let api: Api<Arriving> = Api::namespaced(client.clone(), namespace);
    let listed = match call(api.list(&ListParams::default())).await {
        Ok(list) => list.items,
        Err(Fault::NotFound(_)) => return Ok(None),
        Err(fault) => return Err(fault),
    };
    let seen = listed.into_iter().map(|a| AutoscalerSeen::new(a, None));
    let seen: Vec<AutoscalerSeen> = seen.collect();
    let all = seen.iter().map(|s| &*s.object);
    let naming = all.filter(|o| o.target().is_same(target));
    let owner = owner(naming).filter(|o| o.spec.mode.may_write());
    Ok(owner.map(ResourceExt::name_any))
}
