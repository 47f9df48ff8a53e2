//! Settings and plans: what a target shall have.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::quantity::time::Span;
use crate::quantity::units::{Quantity, Replicas};

/// Names a target: `namespace/kind/name`, or any name that is unique in its scope.
///
/// Cheap to clone; ordered by its text.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TargetId(Arc<str>);

impl TargetId {
    /// The target of this name.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self(Arc::from(name))
    }

    /// The whole name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The last part of the name, for people.
    #[must_use]
    pub fn short(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or(&self.0)
    }
}

impl Default for TargetId {
    /// The nameless target of a spec that has just one.
    fn default() -> Self {
        Self::new("")
    }
}

impl fmt::Display for TargetId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for TargetId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for TargetId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self::new(&<std::borrow::Cow<'_, str>>::deserialize(
            deserializer,
        )?))
    }
}

/// What one pod asks for, by resource name: an open set (`cpu`, `memory`, others).
///
/// Units: cores for `cpu`, bytes for `memory`, else the resource's own.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Resources(BTreeMap<String, Quantity>);

impl Resources {
    /// Nothing asked for, usable as a constant.
    pub const NONE: Self = Self(BTreeMap::new());

    /// The amount of one resource.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<Quantity> {
        self.0.get(name).copied()
    }

    /// Sets the amount of one resource.
    pub fn set(&mut self, name: &str, amount: Quantity) {
        self.0.insert(name.to_owned(), amount);
    }

    /// Every resource with its amount, in the order of the names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, Quantity)> {
        self.0.iter().map(|(name, amount)| (name.as_str(), *amount))
    }

    /// `true` where nothing is asked for.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// One field of a [`Setting`]; written `replicas`, `pool`, `keepAlive` or `perPod.cpu`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Axis {
    /// Number of pods.
    Replicas,
    /// Number of warm containers kept without demand.
    Pool,
    /// How long an idle container stays warm.
    KeepAlive,
    /// The request of one resource per pod.
    PerPod(String),
}

impl Axis {
    /// The axis that is written like this.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "replicas" => Some(Self::Replicas),
            "pool" => Some(Self::Pool),
            "keepAlive" => Some(Self::KeepAlive),
            _ => text
                .strip_prefix("perPod.")
                .map(|resource| Self::PerPod(resource.to_owned())),
        }
    }
}

impl Serialize for Axis {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Axis {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'_, str>>::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| serde::de::Error::custom(format!("no axis `{text}`")))
    }
}

impl fmt::Display for Axis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Replicas => f.write_str("replicas"),
            Self::Pool => f.write_str("pool"),
            Self::KeepAlive => f.write_str("keepAlive"),
            Self::PerPod(resource) => write!(f, "perPod.{resource}"),
        }
    }
}

/// What one target shall have, or has; every field optional.
///
/// An absent field is not wished (or not known), which is something else than zero.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Setting {
    /// Number of pods.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replicas: Option<Replicas>,
    /// Number of warm containers kept without demand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pool: Option<Replicas>,
    /// How long an idle container stays warm.
    #[serde(
        default,
        rename = "keepAliveSeconds",
        skip_serializing_if = "Option::is_none"
    )]
    pub keep_alive: Option<Span>,
    /// Requests of one pod.
    #[serde(default, skip_serializing_if = "Resources::is_empty")]
    pub per_pod: Resources,
}

impl Setting {
    /// A setting of replicas alone.
    #[must_use]
    pub fn replicas(replicas: Replicas) -> Self {
        Self {
            replicas: Some(replicas),
            ..Self::default()
        }
    }

    /// The value of one axis, where it is set.
    #[must_use]
    pub fn get(&self, axis: &Axis) -> Option<Quantity> {
        match axis {
            Axis::Replicas => self.replicas.map(Quantity::from),
            Axis::Pool => self.pool.map(Quantity::from),
            Axis::KeepAlive => self.keep_alive.map(Quantity::from),
            Axis::PerPod(resource) => self.per_pod.get(resource),
        }
    }

    /// Sets the value of one axis.
    pub fn set(&mut self, axis: &Axis, value: Quantity) {
        match axis {
            Axis::Replicas => self.replicas = Some(value.replicas()),
            Axis::Pool => self.pool = Some(value.replicas()),
            Axis::KeepAlive => self.keep_alive = Some(Span::from_millis(value.milli())),
            Axis::PerPod(resource) => self.per_pod.set(resource, value),
        }
    }

    /// Every axis that is set.
    pub fn axes(&self) -> impl Iterator<Item = Axis> + '_ {
        let plain = [
            self.replicas.map(|_| Axis::Replicas),
            self.pool.map(|_| Axis::Pool),
            self.keep_alive.map(|_| Axis::KeepAlive),
        ];
        let per_pod = self
            .per_pod
            .iter()
            .map(|(name, _)| Axis::PerPod(name.to_owned()));
        plain.into_iter().flatten().chain(per_pod)
    }

    /// This setting with every axis that `newer` sets replaced.
    #[must_use]
    pub fn overlaid(&self, newer: &Self) -> Self {
        let mut merged = self.clone();
        for axis in newer.axes() {
            if let Some(value) = newer.get(&axis) {
                merged.set(&axis, value);
            }
        }
        merged
    }
}

/// The settings of all targets of a scope: one workload, the functions of a pool, the stages of a
/// workflow.
pub type Plan = Vec<(TargetId, Setting)>;
