//! A workflow on a provider, driven as a search drives any system.

use foresail_core::propose::plan::{Plan, Setting, TargetId};
use foresail_core::quantity::time::Span;
use foresail_core::quantity::units::{Quantity, Unit};

use super::{FunctionSize, Provider, error};
use crate::workflow::{Answer, System, SystemError};

/// Bytes of a mebibyte.
const MEBI: f64 = 1_048_576.0;

/// Requests that fail in a row after which the workflow is taken for broken.
const FAILED_MAX: u32 = 10;

/// One stage of the workflow.
#[derive(Clone, Debug, PartialEq)]
pub struct LiveStage {
    /// Its target.
    pub target: TargetId,
    /// Its function's place in the provider's list.
    pub function: usize,
    /// The only CPU that the search may set, in cores: it is then left to the provider, and told as
    /// this where the provider tells none.
    pub cpu_fixed: Option<f64>,
}

/// What the requests of a search came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Sent.
    pub requests: u64,
    /// Those that met a container which had to be initialised.
    pub cold: u64,
    /// Those that failed: they count as not answered, and their times for nothing.
    pub failed: u64,
    /// Those without an answer in time.
    pub late: u64,
}

/// A workflow on a provider.
#[derive(Debug)]
pub struct Live<P> {
    provider: P,
    stages: Vec<LiveStage>,
    tally: Tally,
    failed_in_a_row: u32,
}

impl<P: Provider> Live<P> {
    /// A workflow of these stages.
    #[must_use]
    pub fn new(provider: P, stages: Vec<LiveStage>) -> Self {
        Self {
            provider,
            stages,
            tally: Tally::default(),
            failed_in_a_row: 0,
        }
    }

    /// What the requests came to so far.
    #[must_use]
    pub fn tally(&self) -> Tally {
        self.tally
    }

    /// What it is on.
    #[must_use]
    pub fn provider(&self) -> &P {
        &self.provider
    }

    fn sizes(&self, plan: &Plan) -> Result<Vec<Option<FunctionSize>>, SystemError> {
        let mut sizes: Vec<Option<FunctionSize>> = vec![None; self.provider.functions().len()];
        for stage in &self.stages {
            let told = || format!("cannot size the stage {}", stage.target.short());
            let setting = plan.iter().find(|(id, _)| *id == stage.target);
            let amount = |name: &str| setting.and_then(|(_, s)| s.per_pod.get(name));
            let (cpu, memory) = (amount("cpu"), amount("memory"));
            let (Some(cpu), Some(memory)) = (cpu, memory) else {
                return Err(error(told(), "the plan leaves its CPU or memory open"));
            };
            let size = FunctionSize {
                cpu_cores: Some(cpu.value()).filter(|_| stage.cpu_fixed.is_none()),
                memory_mib: Some(memory.value() / MEBI),
            };
            let place = &mut sizes[stage.function];
            if place.is_some_and(|other| other != size) {
                let name = &self.provider.functions()[stage.function];
                let why = format!(
                    "it shares the function {name} with another stage, and a function has one size; deploy it under a second name"
                );
                return Err(error(told(), why));
            }
            *place = Some(size);
        }
        Ok(sizes)
    }
}

impl<P: Provider> System for Live<P> {
    fn current(&mut self) -> Result<Plan, SystemError> {
        let seen = self.provider.look()?;
        let mut plan = Plan::new();
        for stage in &self.stages {
            let size = seen[stage.function].size;
            let told = || format!("cannot read the size of the stage {}", stage.target.short());
            let cpu = stage.cpu_fixed.or(size.cpu_cores);
            let Some(cpu) = cpu else {
                let why = match self.provider.name() {
                    "openwhisk" => crate::openwhisk::failure::CPU_LIMIT,
                    _ => "its pods have neither a CPU request nor a limit; give them one",
                };
                return Err(error(told(), why));
            };
            let Some(memory) = size.memory_mib else {
                let why = "its pods have neither a memory request nor a limit; give them one";
                return Err(error(told(), why));
            };
            let mut setting = Setting::default();
            setting
                .per_pod
                .set("cpu", Quantity::from_f64(cpu, Unit::Count));
            let bytes = Quantity::from_f64((memory * MEBI).round(), Unit::Bytes);
            setting.per_pod.set("memory", bytes);
            plan.push((stage.target.clone(), setting));
        }
        Ok(plan)
    }

    fn apply(&mut self, plan: &Plan) -> Result<(), SystemError> {
        let sizes = self.sizes(plan)?;
        self.provider.set_sizes(&sizes)
    }

    fn request(&mut self, wait: Span) -> Result<Answer, SystemError> {
        let reply = self.provider.request(wait)?;
        self.tally.requests += 1;
        self.tally.cold += u64::from(reply.cold);
        let Some(why) = reply.failed else {
            self.failed_in_a_row = 0;
            self.tally.late += u64::from(reply.latency.is_none());
            return Ok(Answer {
                latency: reply.latency,
                seconds: reply.seconds,
                failed: false,
            });
        };
        self.tally.failed += 1;
        self.failed_in_a_row += 1;
        if self.failed_in_a_row >= FAILED_MAX {
            let told = format!("{FAILED_MAX} requests in a row failed");
            return Err(error(
                told,
                format!("{why}; look at the workflow's own log"),
            ));
        }
        Ok(Answer {
            latency: None,
            seconds: reply.seconds,
            failed: true,
        })
    }

    /// The process before this one may have left anything in force.
    fn resume(&mut self, _requests: u64, in_force: &Plan) -> Result<(), SystemError> {
        if self.current()? == *in_force {
            return Ok(());
        }
        self.apply(in_force)
    }
}
