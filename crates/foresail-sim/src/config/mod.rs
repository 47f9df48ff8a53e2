//! Every knob of the simulated cluster, with its default and its range.

use foresail_core::quantity::time::Span;
use foresail_core::value::cost::Price;
use foresail_core::value::slo::{Measure, Slo};
use serde::{Deserialize, Serialize};

use crate::cluster::Size;
use crate::fault::Fault;
use crate::service::Table;

mod capacity;
mod nodes;
mod stress;

pub use crate::cluster::Placement;
pub use nodes::{CrashConfig, NodeConfig};
pub use stress::{CpuStress, MemoryStress, Stress};

/// How a time is distributed around its mean.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Shape {
    /// Always the mean.
    Constant,
    /// Exponential.
    #[default]
    Exponential,
    /// Lognormal with this coefficient of variation (standard deviation over mean).
    Lognormal(f64),
    /// Gamma with this coefficient of variation.
    Gamma(f64),
    /// The form of a table of percentiles, scaled to the mean.
    Table(Table),
}

/// A distribution of times.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Times {
    /// Mean.
    #[serde(rename = "meanSeconds")]
    pub mean: Span,
    /// Form.
    pub shape: Shape,
}

/// Where requests wait.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Queueing {
    /// In one queue before all pods.
    #[default]
    Central,
    /// In a queue of the pod that was least loaded when they came.
    PerPod,
}

/// Memory that a pod uses: something for itself, and something for each request in service.
///
/// A pod that uses more than it asked for is killed and starts anew.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MemoryUse {
    /// For itself, in GiB.
    pub idle_gib: f64,
    /// For each request in service, in GiB.
    pub per_request_gib: f64,
}

/// The simulated workload and its pods; the same for every policy.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct ClusterConfig {
    /// Time that a request is served.
    pub service: Times,
    /// Requests that a pod serves at once.
    pub concurrency: u32,
    /// Where requests wait.
    pub queueing: Queueing,
    /// Requests that may wait (in all, or per pod); more are rejected. Absent = no bound.
    pub queue_max: Option<u32>,
    /// Waiting longer than this, a request gives up. Absent = it waits for ever.
    #[serde(rename = "timeoutSeconds")]
    pub timeout: Option<Span>,
    /// CPU request of a pod in thousandths of a core.
    pub cpu_request_millicores: u32,
    /// CPU time that a mean request costs.
    #[serde(rename = "cpuPerRequestSeconds")]
    pub cpu_per_request: Span,
    /// Memory request of a pod in GiB: its price counts, and the room that it takes on a node.
    pub memory_request_gib: f64,
    /// Memory that a pod uses; fluid mode alone knows it. Absent = nobody looks at memory.
    pub memory_use: Option<MemoryUse>,
    /// `true`: requests in service that want more CPU than the pod asked for slow each other down.
    ///
    /// Each wants the share of a core that a mean request uses; `n` of them are served at a speed of
    /// request over `n` wants, at most one. Otherwise a pod serves up to its concurrency at full
    /// speed, whatever CPU that takes.
    pub cpu_bound: bool,
    /// Time from asking a pod for another size to its having it, in place and without a restart.
    ///
    /// A size changes what the HPA measures against, the price, the room on the node, and, where
    /// `cpuBound` is on, the speed of service. A larger one waits for room on its node.
    #[serde(rename = "resizeSeconds")]
    pub resize: Span,
    /// Time from a pod's creation to its readiness.
    pub startup: Times,
    /// CPU that a pod burns while it starts, in thousandths of a core.
    pub startup_cpu_millicores: u32,
    /// Time that the first pod on a node waits for its image; it stays there for all after it.
    pub image_pull: Option<Times>,
    /// How pods fail. Absent = they do not.
    pub crash: Option<CrashConfig>,
    /// What pods stand on. Absent = there is room for all of them.
    pub nodes: Option<NodeConfig>,
    /// Pods at the begin, ready.
    pub initial: u32,
    /// The promise.
    pub slo: Slo,
    /// What capacity costs.
    pub price: Price,
    /// A change of direction within this time is a flap.
    #[serde(rename = "flapWindowSeconds")]
    pub flap_window: Span,
    /// What goes wrong, and when; the same for every policy. A scenario gives it beside the cluster.
    #[serde(skip)]
    pub faults: Vec<Fault>,
    /// What pods are put under beside their requests; fluid mode alone knows it, and no file gives it.
    #[serde(skip)]
    pub stress: Option<Stress>,
}

impl Default for ClusterConfig {
    /// What a trace without run times gets: 100 ms of service and of CPU a request, ten at once,
    /// one core, 45 s of start-up.
    fn default() -> Self {
        Self {
            service: Times {
                mean: Span::from_millis(100),
                shape: Shape::Exponential,
            },
            concurrency: 10,
            queueing: Queueing::Central,
            queue_max: None,
            timeout: None,
            cpu_request_millicores: 1000,
            cpu_per_request: Span::from_millis(100),
            memory_request_gib: 0.0,
            memory_use: None,
            cpu_bound: false,
            resize: Span::ZERO,
            startup: Times {
                mean: Span::from_seconds(45),
                shape: Shape::Constant,
            },
            startup_cpu_millicores: 0,
            image_pull: None,
            crash: None,
            nodes: None,
            initial: 1,
            slo: Slo {
                measure: Measure::Wait,
                below: Span::from_millis(200),
                share: 0.99,
            },
            price: Price::default(),
            flap_window: Span::from_seconds(600),
            faults: Vec::new(),
            stress: None,
        }
    }
}

/// What an autoscaler gets to see, and when; its own.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Pipeline {
    /// Time between two decisions.
    #[serde(rename = "syncSeconds")]
    pub sync: Span,
    /// Time between two samples of a pod's CPU.
    #[serde(rename = "scrapeSeconds")]
    pub scrape: Span,
    /// Span that a sample is the mean of.
    #[serde(rename = "windowSeconds")]
    pub window: Span,
    /// Age that a measurement has before it can be seen.
    #[serde(rename = "delaySeconds")]
    pub delay: Span,
    /// Share of samples that are lost.
    pub loss: f64,
    /// `true`: requests in the system are reported each second, without the delay.
    pub concurrency: bool,
    /// `true`: the share of requests that kept the promise is reported each minute; fluid mode alone
    /// knows it.
    pub kept: bool,
}

impl Default for Pipeline {
    /// Kubernetes' own: a sync every 15 s on CPU scraped every 15 s, seen 30 s later.
    fn default() -> Self {
        Self {
            sync: Span::from_seconds(15),
            scrape: Span::from_seconds(15),
            window: Span::from_seconds(30),
            delay: Span::from_seconds(30),
            loss: 0.0,
            concurrency: false,
            kept: false,
        }
    }
}

impl Pipeline {
    /// Knative's own: a sync every 2 s on concurrency reported each second.
    #[must_use]
    pub fn knative() -> Self {
        let (sync, delay) = (Span::from_seconds(2), Span::from_seconds(1));
        Self {
            sync,
            delay,
            concurrency: true,
            ..Self::default()
        }
    }

    /// One line for people.
    #[must_use]
    pub fn text(&self) -> String {
        let source = if self.concurrency {
            "concurrency reported each second".to_owned()
        } else {
            format!(
                "CPU scraped every {}, over {}, seen {} later",
                self.scrape, self.window, self.delay
            )
        };
        let loss = if self.loss > 0.0 {
            format!(", {} % lost", self.loss * 100.0)
        } else {
            String::new()
        };
        format!("decides every {}; {source}{loss}", self.sync)
    }
}

/// Why a configuration cannot be simulated.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{field}: {message}")]
pub struct ConfigProblem {
    /// Which knob.
    pub field: &'static str,
    /// What is wrong, and what to write instead.
    pub message: String,
}

pub(crate) fn problem(field: &'static str, message: impl Into<String>) -> ConfigProblem {
    ConfigProblem {
        field,
        message: message.into(),
    }
}

pub(crate) fn check_times(
    field: &'static str,
    times: &Times,
    zero: bool,
) -> Result<(), ConfigProblem> {
    let least = if zero {
        Span::ZERO
    } else {
        Span::from_nanos(1)
    };
    if times.mean < least {
        let range = if zero { "0 or more" } else { "above 0" };
        return Err(problem(
            field,
            format!("mean {}: must be {range}", times.mean),
        ));
    }
    match times.shape {
        Shape::Lognormal(cv) | Shape::Gamma(cv) if !(cv > 0.0 && cv <= 100.0) => Err(problem(
            field,
            format!("coefficient of variation {cv}: must be above 0 and at most 100"),
        )),
        _ => Ok(()),
    }
}

impl ClusterConfig {
    /// Checks every knob for a run of length `length`.
    ///
    /// # Errors
    /// [`ConfigProblem`] for the first knob out of its range, with the mend.
    pub fn check(&self, length: Span) -> Result<(), ConfigProblem> {
        check_times("service", &self.service, false)?;
        check_times("startup", &self.startup, true)?;
        if self.startup.mean >= length {
            let text = format!(
                "{} is not shorter than the run of {length}: shorten it, or simulate longer",
                self.startup.mean
            );
            return Err(problem("startup", text));
        }
        if self.concurrency == 0 || self.concurrency > 100_000 {
            return Err(problem(
                "concurrency",
                format!("{}: must be 1 to 100000", self.concurrency),
            ));
        }
        if self.cpu_request_millicores == 0 {
            return Err(problem("cpuRequest", "0: must be above 0"));
        }
        if self.cpu_per_request < Span::ZERO {
            return Err(problem(
                "cpuPerRequest",
                format!("{}: must be 0 or more", self.cpu_per_request),
            ));
        }
        if self.timeout.is_some_and(|t| t <= Span::ZERO) {
            return Err(problem("timeout", "must be above 0, or absent"));
        }
        if !self.price.is_valid() {
            return Err(problem("price", "prices must be 0 or more"));
        }
        if !(self.memory_request_gib.is_finite() && self.memory_request_gib >= 0.0) {
            return Err(problem("memoryRequest", "must be 0 or more"));
        }
        if let Some(MemoryUse {
            idle_gib,
            per_request_gib,
        }) = self.memory_use
        {
            let fine = |gib: f64| gib.is_finite() && gib >= 0.0;
            if !fine(idle_gib) || !fine(per_request_gib) {
                return Err(problem("memoryUse", "must be 0 or more"));
            }
            if idle_gib >= self.memory_request_gib {
                let text = format!(
                    "{idle_gib} GiB when idle, of {} asked for: such a pod never lives; ask for more",
                    self.memory_request_gib
                );
                return Err(problem("memoryUse", text));
            }
        }
        self.check_places(length)
    }

    /// Checks what pods stand on, and what goes wrong.
    fn check_places(&self, length: Span) -> Result<(), ConfigProblem> {
        if self.resize.is_negative() {
            return Err(problem(
                "resize",
                format!("{}: must be 0 or more", self.resize),
            ));
        }
        if let Some(pull) = &self.image_pull {
            check_times("imagePull", pull, true)?;
            if self.nodes.is_none() {
                let text = "an image is pulled to a node: give nodes, or leave it out";
                return Err(problem("imagePull", text));
            }
        }
        if let Some(crash) = &self.crash {
            crash.check()?;
        }
        if let Some(nodes) = &self.nodes {
            nodes.check(self.size())?;
        }
        for fault in &self.faults {
            fault.check(length, self.nodes.is_some())?;
        }
        if let Some(stress) = &self.stress {
            stress.check(self)?;
        }
        Ok(())
    }

    /// What a pod asks for at the begin.
    #[must_use]
    pub fn size(&self) -> Size {
        Size::new(self.cpu_request_millicores, self.memory_request_gib)
    }
}

impl Pipeline {
    /// Checks every knob.
    ///
    /// # Errors
    /// [`ConfigProblem`] for the first knob out of its range, with the mend.
    pub fn check(&self) -> Result<(), ConfigProblem> {
        for (field, span) in [
            ("sync", self.sync),
            ("scrape", self.scrape),
            ("window", self.window),
        ] {
            if span < Span::from_millis(100) {
                return Err(problem(field, format!("{span}: must be 100ms or more")));
            }
        }
        if self.delay.is_negative() {
            return Err(problem(
                "delay",
                format!("{}: must be 0 or more", self.delay),
            ));
        }
        if !(0.0..=1.0).contains(&self.loss) {
            return Err(problem("loss", format!("{}: must be 0 to 1", self.loss)));
        }
        Ok(())
    }
}
