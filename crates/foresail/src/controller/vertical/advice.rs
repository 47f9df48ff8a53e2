//! Which containers are sized within which bounds, and what is told of the advice; pure.

use std::collections::{BTreeMap, BTreeSet};

use foresail_adapters::kubernetes::crd::spec::EVERY_CONTAINER;
use foresail_adapters::kubernetes::crd::status::{
    ContainerStatus, RequestAmounts, ResizeState, VerticalStatus,
};
use foresail_adapters::kubernetes::crd::{
    AllowedAmounts, ContainerPolicy, ControlledResource, ControlledValues,
};
use foresail_adapters::kubernetes::resize::{Amounts, PodSize};
use foresail_core::hpa::resolve::Container;
use foresail_core::propose::requests::RequestRange;
use foresail_core::quantity::time::{Span, Timestamp};

use crate::vertical::adviser::{Advised, SizedContainer, bounds, target};
use crate::vertical::group::Owner;

/// The containers that are sized.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Policies {
    pub(super) sized: Vec<SizedContainer>,
    /// Those whose limits stay.
    pub(super) keeps_limits: BTreeSet<String>,
}

impl Policies {
    /// What is written for these containers; where nothing is, all are sized without bounds.
    pub(super) fn new(
        written: &[ContainerPolicy],
        containers: &[String],
        (namespace, owner): (&str, Owner<'_>),
    ) -> Self {
        let open = [ContainerPolicy::open()];
        let written = if written.is_empty() { &open } else { written };
        let mut found = Self::default();
        for container in containers {
            let named = written.iter().find(|p| p.name == *container);
            let every = || written.iter().find(|p| p.name == EVERY_CONTAINER);
            let Some(policy) = named.or_else(every) else {
                continue;
            };
            let bound = |side: &Option<AllowedAmounts>, resource: ControlledResource| {
                side.as_ref().and_then(|s| s.milli(resource))
            };
            let of = policy.controlled_resources.iter().map(|resource| {
                let least = bound(&policy.min_allowed, *resource);
                let most = bound(&policy.max_allowed, *resource);
                let name = resource.name();
                (name.to_owned(), bounds(name, least, most))
            });
            found.sized.push(SizedContainer {
                container: container.clone(),
                target: target(namespace, owner, container),
                bounds: of.collect(),
            });
            if policy.controlled_values == ControlledValues::RequestsOnly {
                found.keeps_limits.insert(container.clone());
            }
        }
        found
    }

    /// `true` where a resource of any container is sized.
    pub(super) fn size(&self, resource: &str) -> bool {
        self.sized.iter().any(|s| s.bounds.contains_key(resource))
    }
}

/// What may be changed of what is decided, and what may not.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Changes {
    pub(super) wanted: BTreeMap<String, Amounts>,
    /// Containers with resources that the template does not ask for: it is not known then what a share
    /// of the request is a share of.
    pub(super) silent: Vec<(String, String)>,
}

/// What differs of what is decided.
pub(super) fn changes(
    decided: BTreeMap<String, Amounts>,
    now: &PodSize,
    template: &[Container],
) -> Changes {
    let mut found = Changes::default();
    for (container, amounts) in decided {
        let asked = now.get(&container).map(|size| &size.requests);
        let written = template.iter().find(|t| t.name == container);
        for (resource, milli) in amounts {
            if asked.is_none_or(|a| a.get(&resource) == Some(&milli)) {
                continue;
            }
            if written.is_some_and(|t| t.requests.contains_key(&resource)) {
                let of = found.wanted.entry(container.clone()).or_default();
                of.insert(resource, milli);
            } else {
                found.silent.push((container.clone(), resource));
            }
        }
    }
    found
}

/// The advice as a status tells it.
pub(super) fn status(advised: &[Advised], history: Span, at: Timestamp) -> VerticalStatus {
    let one = |advised: &Advised| {
        let of = |side: fn(&RequestRange) -> foresail_core::quantity::units::Quantity| {
            let text = |name: &str| advised.ranges.get(name).map(|r| side(r).to_string());
            RequestAmounts {
                cpu: text("cpu"),
                memory: text("memory"),
            }
        };
        ContainerStatus {
            name: advised.container.clone(),
            target: of(|r| r.target),
            lower_bound: of(|r| r.lower),
            upper_bound: of(|r| r.upper),
            uncapped_target: of(|r| r.uncapped),
            resize: None,
        }
    };
    VerticalStatus {
        at: Some(at),
        history_seconds: Some(history.whole_seconds()),
        containers: advised.iter().map(one).collect(),
    }
}

/// Writes how far the pods are beside each container that has a goal.
pub(super) fn note_resize(
    status: &mut VerticalStatus,
    state: Option<ResizeState>,
    has_goal: impl Fn(&str) -> bool,
) {
    for container in &mut status.containers {
        container.resize = state.filter(|_| has_goal(&container.name));
    }
}

#[cfg(test)]
mod tests {
    use foresail_adapters::kubernetes::resize::ContainerSize;

    use super::*;

    const WEB: Owner<'static> = Owner {
        kind: "StatefulSet",
        name: "web",
    };

    fn policies(written: &[ContainerPolicy]) -> Policies {
        let containers = ["main", "proxy"].map(str::to_owned);
        Policies::new(written, &containers, ("shop", WEB))
    }

    #[test]
    fn a_policy_of_a_name_is_nearer_than_that_of_all() {
        let all = policies(&[]);
        assert_eq!(all.sized.len(), 2);
        assert_eq!(
            all.sized[1].target.to_string(),
            "shop/StatefulSet/web/proxy"
        );
        assert_eq!(all.keeps_limits.len(), 2);
        let most: AllowedAmounts =
            serde_json::from_value(serde_json::json!({"cpu": "500m"})).unwrap();
        let main = ContainerPolicy {
            name: "main".to_owned(),
            controlled_resources: vec![ControlledResource::Cpu],
            controlled_values: ControlledValues::RequestsAndLimits,
            max_allowed: Some(most),
            ..ContainerPolicy::open()
        };
        let alone = policies(std::slice::from_ref(&main));
        assert_eq!(alone.sized.len(), 1, "who is not named is left alone");
        assert_eq!(alone.sized[0].bounds["cpu"].max.to_string(), "500m");
        assert!(alone.size("cpu") && !alone.size("memory"));
        assert!(alone.keeps_limits.is_empty());
        let both = policies(&[ContainerPolicy::open(), main]);
        assert_eq!(both.sized[0], alone.sized[0]);
        assert_eq!(both.sized[1].bounds.len(), 2);
    }

    #[test]
    fn what_the_template_does_not_ask_for_is_not_changed() {
        let amounts =
            |cpu, memory| Amounts::from([("cpu".to_owned(), cpu), ("memory".to_owned(), memory)]);
        let size = ContainerSize {
            requests: amounts(100, 64_000),
            limits: Amounts::new(),
        };
        let now = [("main".to_owned(), size)].into();
        let template = |names: &[&str]| {
            vec![Container {
                name: "main".to_owned(),
                requests: names.iter().map(|n| ((*n).to_owned(), 1)).collect(),
                restarts_always: false,
            }]
        };
        let decided = |cpu, memory| BTreeMap::from([("main".to_owned(), amounts(cpu, memory))]);
        let both = template(&["cpu", "memory"]);
        let of = |decided, template: &[Container]| changes(decided, &now, template);
        let found = of(decided(200, 128_000), &both);
        assert_eq!(found.wanted["main"], amounts(200, 128_000));
        let left = of(decided(200, 64_000), &both).wanted;
        assert_eq!(
            left["main"].keys().collect::<Vec<_>>(),
            ["cpu"],
            "the rest is kept"
        );
        let left = of(decided(200, 128_000), &template(&["memory"]));
        assert_eq!(left.wanted["main"].keys().collect::<Vec<_>>(), ["memory"]);
        assert_eq!(left.silent, [("main".to_owned(), "cpu".to_owned())]);
        assert_eq!(of(decided(100, 64_000), &both), Changes::default());
        assert_eq!(of(decided(200, 128_000), &[]).silent.len(), 2);
    }
}
