//! What an account may do, held against the rights that the installation grants to the controller.

use anyhow::{Context, Result};
use foresail_adapters::kubernetes::discover::Features;
use foresail_adapters::kubernetes::fault::{Fault, call};
use futures_util::future::join_all;
use k8s_openapi::api::authorization::v1::{
    ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec, SubjectAccessReview,
    SubjectAccessReviewSpec,
};
use k8s_openapi::api::rbac::v1::PolicyRule;
use kube::api::PostParams;
use kube::{Api, Client};
use serde::Deserialize;

use super::checkup::{Level, Line};
use crate::cli::manifests::{HPA_FLOOR, OWN_ROLE, READ, SCALE, VERTICAL};

/// Without what this needs nothing works; all else is a feature that lacks.
const DECIDING: &str = "deciding";

/// One right: a verb on a resource, and the feature that needs it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Right {
    feature: &'static str,
    group: String,
    resource: String,
    /// Empty where there is none.
    subresource: String,
    /// The one object, where it is for one.
    name: Option<String>,
    verb: String,
    /// In the controller's own namespace, and not in what it watches.
    is_own: bool,
}

impl Right {
    fn told(&self) -> String {
        let mut what = format!("{} {}", self.verb, self.resource);
        if !self.group.is_empty() {
            what = format!("{what}.{}", self.group);
        }
        if !self.subresource.is_empty() {
            what = format!("{what}/{}", self.subresource);
        }
        what
    }

    /// Whether the server has the API at all.
    fn is_served(&self, found: &Features) -> bool {
        if self.subresource == "resize" {
            return found.resize;
        }
        match self.group.as_str() {
            "metrics.k8s.io" => found.resource_metrics,
            "custom.metrics.k8s.io" => found.custom_metrics.is_some(),
            "external.metrics.k8s.io" => found.external_metrics,
            _ => true,
        }
    }
}

/// The feature that a rule of the controller's reading role is for.
fn feature(group: &str) -> &'static str {
    match group {
        "metrics.k8s.io" => "metrics of pods",
        "custom.metrics.k8s.io" => "custom metrics",
        "external.metrics.k8s.io" => "external metrics",
        "events.k8s.io" => "events",
        _ => DECIDING,
    }
}

/// A role as a manifest holds it.
#[derive(Deserialize)]
struct Role {
    rules: Vec<PolicyRule>,
}

/// The rights of a role: the first document of a manifest of the installation.
fn rights_of(
    manifest: &str,
    of: impl Fn(&str) -> &'static str,
    is_own: bool,
) -> Result<Vec<Right>> {
    let role = manifest.split("\n---").next().unwrap_or_default();
    let role: Role = serde_saphyr::from_str(role).context("a role of the installation")?;
    let mut all = Vec::new();
    for rule in role.rules {
        let groups = rule.api_groups.unwrap_or_default();
        let resources = rule.resources.unwrap_or_default();
        let names = rule.resource_names.unwrap_or_default();
        for (group, resource) in groups
            .iter()
            .flat_map(|g| resources.iter().map(move |r| (g, r)))
        {
            let (resource, subresource) = resource.split_once('/').unwrap_or((resource, ""));
            all.extend(rule.verbs.iter().map(|verb| Right {
                feature: of(group),
                group: group.clone(),
                resource: resource.to_owned(),
                subresource: subresource.to_owned(),
                name: names.first().cloned(),
                verb: verb.clone(),
                is_own,
            }));
        }
    }
    Ok(all)
}

/// All that the controller asks of the API, by the manifests that grant it.
fn of_controller() -> Result<Vec<Right>> {
    let mut all = rights_of(READ, feature, false)?;
    all.extend(rights_of(OWN_ROLE, |_| "leading", true)?);
    all.extend(rights_of(SCALE, |_| "actuation Scale", false)?);
    all.extend(rights_of(HPA_FLOOR, |_| "actuation HPAFloor", false)?);
    all.extend(rights_of(VERTICAL, |_| "vertical.mode Apply", false)?);
    Ok(all)
}

/// What commands that write ask of it besides.
fn of_users() -> Vec<Right> {
    let rights = [
        (
            "migrate",
            "autoscaling",
            "horizontalpodautoscalers",
            &["get", "update"][..],
        ),
        (
            "migrate, approve and suspend",
            foresail_adapters::kubernetes::crd::GROUP,
            "predictiveautoscalers",
            &["get", "create", "patch"],
        ),
    ];
    let one = |(feature, group, resource, verbs): (&'static str, &str, &str, &[&str])| {
        let right = |verb: &&str| Right {
            feature,
            group: group.to_owned(),
            resource: resource.to_owned(),
            subresource: String::new(),
            name: None,
            verb: (*verb).to_owned(),
            is_own: false,
        };
        verbs.iter().map(right).collect::<Vec<_>>()
    };
    rights.into_iter().flat_map(one).collect()
}

/// The groups of a service account, as the API server gives them.
fn groups(account: &str) -> Vec<String> {
    let mut groups = vec!["system:authenticated".to_owned()];
    if let Some(namespace) = home(account) {
        groups.push("system:serviceaccounts".to_owned());
        groups.push(format!("system:serviceaccounts:{namespace}"));
    }
    groups
}

/// The namespace of a service account.
fn home(account: &str) -> Option<&str> {
    account
        .strip_prefix("system:serviceaccount:")?
        .split(':')
        .next()
}

/// Whose rights are looked at, and where.
pub(super) struct Asker<'a> {
    pub(super) client: &'a Client,
    /// Whose; the user's own where absent.
    pub(super) account: Option<&'a str>,
    /// The one namespace that is watched; absent for all.
    pub(super) watched: Option<&'a str>,
    /// The controller's namespace, where its account does not tell.
    pub(super) own: &'a str,
}

impl Asker<'_> {
    /// A line for each feature.
    pub(super) async fn rights(&self, found: &Features) -> Result<Vec<Line>> {
        let mut asked = of_controller()?;
        if self.account.is_none() {
            asked.extend(of_users());
        }
        asked.retain(|right| right.is_served(found));
        let answers = join_all(asked.iter().map(|right| self.may(right))).await;
        let mut features = Vec::new();
        for right in &asked {
            if !features.contains(&right.feature) {
                features.push(right.feature);
            }
        }
        let of = |feature: &str| {
            let mut lacking = Vec::new();
            for (right, answer) in asked.iter().zip(&answers) {
                match answer {
                    _ if right.feature != feature => {}
                    Ok(true) => {}
                    Ok(false) => lacking.push(right.told()),
                    Err(fault) => lacking.push(format!("{} (unknown: {fault})", right.told())),
                }
            }
            told(feature, &lacking, self.account)
        };
        Ok(features.into_iter().map(of).collect())
    }

    /// One question about one verb.
    async fn may(&self, right: &Right) -> Result<bool, Fault> {
        let own = self.account.and_then(home).unwrap_or(self.own);
        let namespace = if right.is_own {
            Some(own)
        } else {
            self.watched
        };
        let attributes = ResourceAttributes {
            group: Some(right.group.clone()),
            resource: Some(right.resource.clone()),
            subresource: Some(right.subresource.clone()).filter(|s| !s.is_empty()),
            name: right.name.clone(),
            verb: Some(right.verb.clone()),
            namespace: namespace.map(str::to_owned),
            ..ResourceAttributes::default()
        };
        may(self.client, attributes, self.account).await
    }
}

/// Whether an account, or the user where there is none, may do one thing.
pub(crate) async fn may(
    client: &Client,
    attributes: ResourceAttributes,
    account: Option<&str>,
) -> Result<bool, Fault> {
    let resource_attributes = Some(attributes);
    let parameters = PostParams::default();
    let status = match account {
        None => {
            let review = SelfSubjectAccessReview {
                spec: SelfSubjectAccessReviewSpec {
                    resource_attributes,
                    ..SelfSubjectAccessReviewSpec::default()
                },
                ..SelfSubjectAccessReview::default()
            };
            let api: Api<SelfSubjectAccessReview> = Api::all(client.clone());
            call(api.create(&parameters, &review)).await?.status
        }
        Some(account) => {
            let review = SubjectAccessReview {
                spec: SubjectAccessReviewSpec {
                    user: Some(account.to_owned()),
                    groups: Some(groups(account)),
                    resource_attributes,
                    ..SubjectAccessReviewSpec::default()
                },
                ..SubjectAccessReview::default()
            };
            let api: Api<SubjectAccessReview> = Api::all(client.clone());
            call(api.create(&parameters, &review)).await?.status
        }
    };
    Ok(status.is_some_and(|s| s.allowed))
}

fn told(feature: &str, lacking: &[String], account: Option<&str>) -> Line {
    let who = account.unwrap_or("you");
    if lacking.is_empty() {
        return (Level::Ok, format!("rights for {feature}: {who} may"));
    }
    let level = match feature {
        DECIDING => Level::Fail,
        _ => Level::Warn,
    };
    let lacking = lacking.join(", ");
    let told = format!(
        "rights for {feature}: {who} may not {lacking}; the chart's rules grant them to the controller"
    );
    (level, told)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rights_are_those_that_the_installation_grants() {
        let all = of_controller().unwrap();
        let told: Vec<String> = all.iter().map(Right::told).collect();
        for right in [
            "list predictiveautoscalers.autoscaling.foresail.dev",
            "patch predictiveautoscalers.autoscaling.foresail.dev/status",
            "list pods",
            "update deployments.apps/scale",
            "patch horizontalpodautoscalers.autoscaling",
            "patch pods/resize",
            "list limitranges",
        ] {
            assert!(told.contains(&right.to_owned()), "{right}: {told:?}");
        }
        let leases: Vec<&Right> = all.iter().filter(|r| r.resource == "leases").collect();
        let names = leases.iter().map(|r| (r.verb.as_str(), r.name.as_deref()));
        let want = [
            ("create", None),
            ("get", Some("foresail")),
            ("update", Some("foresail")),
        ];
        assert_eq!(names.collect::<Vec<_>>(), want);
        assert!(leases.iter().all(|r| r.is_own && r.feature == "leading"));
    }

    #[test]
    fn a_service_account_is_in_the_groups_that_the_server_gives_it() {
        let of = groups("system:serviceaccount:foresail-system:foresail");
        assert!(of.contains(&"system:serviceaccounts:foresail-system".to_owned()));
        assert_eq!(groups("jane"), ["system:authenticated"]);
    }

    #[test]
    fn only_what_deciding_lacks_is_a_failure() {
        let lacking = ["list pods".to_owned()];
        assert_eq!(told(DECIDING, &lacking, None).0, Level::Fail);
        assert_eq!(told("events", &lacking, None).0, Level::Warn);
        assert_eq!(told("events", &[], None).0, Level::Ok);
    }
}
