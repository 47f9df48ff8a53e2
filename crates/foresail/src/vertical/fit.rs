//! From wanted requests to sizes that the namespace admits: limits follow their requests, the QoS
//! class stays, LimitRanges and quotas cut, and each cut says why.
//!
//! Units: thousandths of a core for `cpu`, of a byte for `memory`.

use std::collections::{BTreeMap, BTreeSet};

use foresail_adapters::kubernetes::resize::{Amounts, ContainerSize, PodSize};
use foresail_core::explain::why::Why;
use foresail_core::quantity::units::{Quantity, Unit};

use super::qos::qos;
use super::room::{Quota, Room};

/// A memory limit that is cut stays above what was used by so many percent.
/// Source: specs/product_interface.md I.1.
const USE_PERCENT: i64 = 115;

/// What is to be fitted.
#[derive(Debug)]
pub struct Question<'a> {
    /// What the containers have now.
    pub now: &'a PodSize,
    /// Init containers; they stay as they are. Those that go on running count beside the others.
    pub beside: &'a [(ContainerSize, bool)],
    /// Requests that are wanted, by container and resource.
    pub wanted: &'a BTreeMap<String, Amounts>,
    /// The most memory that each container was seen to use.
    pub used: &'a BTreeMap<String, i64>,
    /// What the namespace allows.
    pub room: &'a Room,
    /// Containers whose limits stay as they are; those of others follow their requests.
    pub keeps_limits: &'a BTreeSet<String>,
    /// Pods that change.
    pub pods: u32,
    /// Pods that a rollout makes before it takes old ones away; 0 in place.
    pub surge: u32,
    /// `true` where a container may get a request that it never had; in place none can be taken
    /// away again.
    pub adds: bool,
}

/// One cut of one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cut {
    /// Which container.
    pub container: String,
    /// Which resource.
    pub resource: String,
    /// From where.
    pub from: i64,
    /// To where; never the same as `from`.
    pub to: i64,
    /// Why.
    pub why: Why,
}

/// What came of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fitted {
    /// Whole sizes of those containers that change.
    pub sizes: PodSize,
    /// Every cut, in order.
    pub cuts: Vec<Cut>,
    /// What was left out or bent otherwise, for people.
    pub notes: Vec<String>,
}

/// The least step of a resource: a thousandth of a core, a byte.
fn step(resource: &str) -> i64 {
    if resource == "memory" { 1000 } else { 1 }
}

/// An amount of a resource as it is written.
#[must_use]
pub fn quantity(resource: &str, milli: i64) -> Quantity {
    let unit = if resource == "memory" {
        Unit::Bytes
    } else {
        Unit::Count
    };
    Quantity::from_milli(milli, unit)
}

/// `amount · by / of`, down to whole steps.
fn scaled(resource: &str, amount: i64, (by, of): (i64, i64)) -> i64 {
    let step = i128::from(step(resource));
    let product = i128::from(amount) * i128::from(by) / i128::from(of.max(1));
    i64::try_from(product / step * step).unwrap_or(i64::MAX)
}

/// The same, up to whole steps.
fn scaled_up(resource: &str, amount: i64, (by, of): (i64, i64)) -> i64 {
    let (step, of) = (i128::from(step(resource)), i128::from(of.max(1)));
    let product = i128::from(amount) * i128::from(by);
    let up = (product + of - 1) / of;
    i64::try_from((up + step - 1) / step * step).unwrap_or(i64::MAX)
}

/// Sizes in one line, for people: each container with its requests, and limits where it has some.
#[must_use]
pub fn told_change(sizes: &PodSize) -> String {
    let side = |amounts: &Amounts| -> Vec<String> {
        let each = amounts.iter();
        each.map(|(name, milli)| format!("{name} {}", quantity(name, *milli)))
            .collect()
    };
    let one = |(name, size): (&String, &ContainerSize)| {
        let limits = match size.limits.is_empty() {
            true => String::new(),
            false => format!(" (limits {})", side(&size.limits).join(", ")),
        };
        format!("{name}: {}{limits}", side(&size.requests).join(", "))
    };
    sizes.iter().map(one).collect::<Vec<_>>().join("; ")
}

/// Fits what is wanted into what is allowed.
#[must_use]
pub fn fit(question: &Question<'_>) -> Fitted {
    let mut fit = Fit {
        question,
        requests: BTreeMap::new(),
        told: Fitted::default(),
    };
    fit.take_in();
    let each: Vec<Key> = fit.requests.keys().cloned().collect();
    for key in &each {
        fit.hold_kept_limit(key);
        fit.hold_used_memory(key);
        fit.hold_container(key);
    }
    for resource in ["cpu", "memory"] {
        fit.hold_pod(resource);
        for quota in &question.room.quotas {
            fit.hold_quota(resource, quota);
        }
    }
    fit.hold_class();
    fit.end()
}

/// Container and resource.
type Key = (String, String);

struct Fit<'a> {
    question: &'a Question<'a>,
    requests: BTreeMap<Key, i64>,
    told: Fitted,
}

impl Fit<'_> {
    /// Takes in what may be set at all.
    fn take_in(&mut self) {
        for (container, amounts) in self.question.wanted {
            let Some(now) = self.question.now.get(container) else {
                continue;
            };
            for (resource, amount) in amounts {
                if !self.question.adds && !now.requests.contains_key(resource) {
                    let note = format!(
                        "{container} asks for no {resource}; while it runs none is added, as it could not be taken away again"
                    );
                    self.told.notes.push(note);
                    continue;
                }
                let key = (container.clone(), resource.clone());
                self.requests.insert(key, *amount);
            }
        }
    }

    fn old(&self, (container, resource): &Key) -> (Option<i64>, Option<i64>) {
        let size = self.question.now.get(container);
        let of = |side: &Amounts| side.get(resource).copied();
        (
            size.and_then(|s| of(&s.requests)),
            size.and_then(|s| of(&s.limits)),
        )
    }

    /// The limit that goes with a request: in the same ratio as now, within the allowed one.
    ///
    /// Source: vertical-pod-autoscaler, pkg/utils/vpa, GetProportionalLimit.
    fn limit(&self, key: &Key, request: i64) -> Option<i64> {
        let (old_request, old_limit) = self.old(key);
        if self.keeps_limit(key) {
            return old_limit;
        }
        let limit = match old_request.filter(|r| *r > 0) {
            Some(old) => scaled(&key.1, old_limit?, (request, old)),
            None => old_limit?,
        };
        let ratio = self.question.room.container.ratio.get(&key.1);
        let most = ratio.map(|r| scaled(&key.1, request, (*r, 1000)));
        Some(most.map_or(limit, |m| limit.min(m)).max(request))
    }

    fn keeps_limit(&self, key: &Key) -> bool {
        self.question.keeps_limits.contains(&key.0)
    }

    /// The largest request whose limit is at most `limit`.
    fn request_under(&self, key: &Key, limit: i64) -> i64 {
        match self.old(key) {
            (Some(old), Some(old_limit))
                if old > 0 && old_limit > old && !self.keeps_limit(key) =>
            {
                scaled(&key.1, limit, (old, old_limit))
            }
            _ => limit,
        }
    }

    fn set(&mut self, key: &Key, to: i64, why: Why) {
        let Some(held) = self.requests.get_mut(key) else {
            return;
        };
        if *held != to {
            self.told.cuts.push(Cut {
                container: key.0.clone(),
                resource: key.1.clone(),
                from: *held,
                to,
                why,
            });
            *held = to;
        }
    }

    /// A request stays within a limit that stays, and near enough to it where the namespace says so.
    fn hold_kept_limit(&mut self, key: &Key) {
        let (Some(limit), true) = (self.old(key).1, self.keeps_limit(key)) else {
            return;
        };
        let ratio = self.question.room.container.ratio.get(&key.1);
        let least = ratio.map(|r| scaled_up(&key.1, limit, (1000, *r)));
        let held = self.requests.get(key).copied().unwrap_or(limit);
        if held > limit {
            self.set(key, limit, Why::AboveLimit(quantity(&key.1, limit)));
        } else if let Some(least) = least.filter(|l| held < *l) {
            self.set(key, least, Why::NamespaceMin(quantity(&key.1, least)));
        }
    }

    /// A limit of memory that is cut stays above what was used: below it the container is killed.
    fn hold_used_memory(&mut self, key: &Key) {
        let used = self.question.used.get(&key.0).copied();
        let (Some(used), (Some(request), Some(limit))) = (used, self.old(key)) else {
            return;
        };
        let new = self.requests.get(key).and_then(|r| self.limit(key, *r));
        let needed = scaled_up(&key.1, used, (USE_PERCENT, 100)).min(limit);
        if key.1 == "memory" && new.is_some_and(|n| n < needed) {
            let least = scaled_up(&key.1, needed, (request, limit));
            let why = Why::LimitUnderUse(quantity(&key.1, used));
            self.set(key, least, why);
        }
    }

    fn hold_container(&mut self, key: &Key) {
        let edges = &self.question.room.container;
        let resource = &key.1;
        if let (Some(min), Some(held)) = (edges.min.get(resource), self.requests.get(key))
            && held < min
        {
            self.set(key, *min, Why::NamespaceMin(quantity(resource, *min)));
        }
        if let (Some(max), Some(held)) = (edges.max.get(resource), self.requests.get(key)) {
            let over = self.limit(key, *held).is_some_and(|limit| limit > *max);
            let most = match over {
                true => self.request_under(key, *max).min(*max),
                false => *max,
            };
            if *held > most {
                self.set(key, most, Why::NamespaceMax(quantity(resource, *max)));
            }
        }
        self.note_ratio(key);
    }

    fn note_ratio(&mut self, key: &Key) {
        let Some(request) = self.requests.get(key).copied() else {
            return;
        };
        let (Some(ratio), (Some(old), Some(limit))) = (
            self.question.room.container.ratio.get(&key.1),
            self.old(key),
        ) else {
            return;
        };
        if i128::from(limit) * 1000 > i128::from(old) * i128::from(*ratio) {
            let limit = self.limit(key, request).unwrap_or(request);
            self.told.notes.push(format!(
                "{}: its limit of {} becomes {}: the namespace allows at most {} times the request",
                key.0,
                key.1,
                quantity(&key.1, limit),
                Quantity::from_milli(*ratio, Unit::Count)
            ));
        }
    }

    /// Keys of one resource that may be moved.
    fn moved(&self, resource: &str) -> Vec<Key> {
        let all = self.requests.keys().filter(|k| k.1 == resource);
        all.cloned().collect()
    }

    /// Sum over the pod of what `side` tells of each container, moved ones as they would be.
    fn total(&self, resource: &str, limits: bool, new: bool) -> i64 {
        let of = |size: &ContainerSize| {
            let side = if limits { &size.limits } else { &size.requests };
            side.get(resource).copied().unwrap_or(0)
        };
        let beside = self.question.beside.iter().filter(|(_, runs)| *runs);
        let beside: i64 = beside.map(|(size, _)| of(size)).sum();
        let containers = self.question.now.iter().map(|(name, size)| {
            let key = (name.clone(), resource.to_owned());
            match self.requests.get(&key).filter(|_| new) {
                Some(request) if limits => self.limit(&key, *request).unwrap_or(0),
                Some(request) => *request,
                None => of(size),
            }
        });
        beside + containers.sum::<i64>()
    }

    /// What a pod's containers may have together.
    fn hold_pod(&mut self, resource: &str) {
        let keys = self.moved(resource);
        let edges = &self.question.room.pod;
        if let Some(min) = edges.min.get(resource) {
            let (total, own) = (self.total(resource, false, true), self.own(&keys));
            let needed = min - (total - own);
            if total < *min && own > 0 {
                let why = Why::NamespaceMin(quantity(resource, *min));
                self.scale(&keys, |held| scaled_up(resource, held, (needed, own)), &why);
            }
        }
        let Some(max) = edges.max.get(resource) else {
            return;
        };
        let why = Why::NamespaceMax(quantity(resource, *max));
        for limits in [false, true] {
            let total = self.total(resource, limits, true);
            let own = match limits {
                true => keys
                    .iter()
                    .filter_map(|k| self.limit(k, *self.requests.get(k)?))
                    .sum(),
                false => self.own(&keys),
            };
            let left = max - (total - own);
            if total > *max && own > 0 && left > 0 {
                self.scale(&keys, |held| scaled(resource, held, (left, own)), &why);
            }
        }
    }

    fn own(&self, keys: &[Key]) -> i64 {
        keys.iter().filter_map(|k| self.requests.get(k)).sum()
    }

    fn scale(&mut self, keys: &[Key], to: impl Fn(i64) -> i64, why: &Why) {
        for key in keys {
            if let Some(held) = self.requests.get(key).copied() {
                self.set(key, to(held), why.clone());
            }
        }
    }

    /// What all pods may grow by together: rises are cut, each by the same share.
    fn hold_quota(&mut self, resource: &str, quota: &Quota) {
        for (limits, left) in [(false, &quota.requests), (true, &quota.limits)] {
            let Some(left) = left.get(resource).copied() else {
                continue;
            };
            let old = self.total(resource, limits, false);
            let new = self.total(resource, limits, true);
            let each = left / i64::from(self.question.pods.max(1));
            let surge = i64::from(self.question.surge);
            // A rollout needs whole new pods before old ones go.
            let allowed = match surge {
                0 => each,
                _ => each.min(left / surge - old),
            };
            if new - old > allowed {
                self.cut_rises(resource, limits, (new - old, allowed));
            }
        }
    }

    fn cut_rises(&mut self, resource: &str, limits: bool, (grown, allowed): (i64, i64)) {
        let rise = |fit: &Self, key: &Key| -> Option<(i64, i64)> {
            let (old_request, old_limit) = fit.old(key);
            let request = *fit.requests.get(key)?;
            let (old, new) = match limits {
                true => (old_limit?, fit.limit(key, request)?),
                false => (old_request.unwrap_or(0), request),
            };
            Some((old, (new - old).max(0)))
        };
        let keys = self.moved(resource);
        let rises: i64 = keys.iter().filter_map(|k| Some(rise(self, k)?.1)).sum();
        // What falls elsewhere in the pod makes room.
        let fitting = (allowed + (rises - grown)).clamp(0, rises);
        for key in &keys {
            let Some((old, by)) = rise(self, key).filter(|(_, by)| *by > 0) else {
                continue;
            };
            let most = old + scaled(resource, by, (fitting, rises));
            let request = match limits {
                true => self.request_under(key, most),
                false => most,
            };
            let held = self.requests.get(key).copied().unwrap_or(request);
            let why = Why::QuotaLeft(quantity(resource, allowed.max(0)));
            self.set(key, held.min(request), why);
        }
    }

    /// A pod keeps its class: where it would not, everything stays.
    fn hold_class(&mut self) {
        let beside = || self.question.beside.iter().map(|(size, _)| size);
        let now = qos(self.question.now.values().chain(beside()));
        let sizes = self.sizes();
        let merged = |name: &String, size| sizes.get(name).unwrap_or(size);
        let all = self.question.now.iter().map(|(n, s)| merged(n, s));
        let all: Vec<&ContainerSize> = all.chain(beside()).collect();
        let new = qos(all.iter().copied());
        if new == now {
            return;
        }
        let keys: Vec<Key> = self.requests.keys().cloned().collect();
        for key in keys {
            if let Some(old) = self.old(&key).0 {
                self.set(&key, old, Why::QosClass);
            }
        }
        // Whatever was bent on the way does not happen either.
        self.requests.clear();
        self.told.notes.clear();
        let note = format!("pods are {now} and stay so; what is advised would make them {new}");
        self.told.notes.push(note);
    }

    fn sizes(&self) -> PodSize {
        let mut sizes = PodSize::new();
        for (key, request) in &self.requests {
            let now = self.question.now.get(&key.0);
            let size = sizes
                .entry(key.0.clone())
                .or_insert_with(|| now.cloned().unwrap_or_default());
            size.requests.insert(key.1.clone(), *request);
            if let Some(limit) = self.limit(key, *request) {
                size.limits.insert(key.1.clone(), limit);
            }
        }
        sizes.retain(|name, size| self.question.now.get(name) != Some(size));
        sizes
    }

    fn end(mut self) -> Fitted {
        self.told.sizes = self.sizes();
        self.told
    }
}

#[cfg(test)]
mod tests;
