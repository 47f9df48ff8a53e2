//! Workloads on which fluid mode is held against event mode, and what both come to.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::expect_used,
    reason = "a test and an example share this; each uses a part of it"
)]

use std::collections::BTreeMap;

use foresail_core::propose::plan::TargetId;
use foresail_core::quantity::time::{Span, Timestamp};
use foresail_models::rng::Seed;
use foresail_sim::config::{ClusterConfig, Pipeline, Shape, Times};
use foresail_sim::driver::Deaf;
use foresail_sim::experiment::run::run_one;
use foresail_sim::experiment::{Item, Policy, Setup, default_policies};
use foresail_sim::fluid::{Fluid, fluid_policy, fly};
use foresail_sim::workload::{Within, Workload, sample};

/// What one policy came to on one workload, in one mode.
#[derive(Clone, Copy, Debug)]
pub struct Figures {
    /// Requests that broke the promise, in percent.
    pub violations_percent: f64,
    /// What it cost.
    pub cost: f64,
    /// Capacity paid for.
    pub replica_minutes: f64,
    /// Changes of the number asked for.
    pub actions: u64,
}

/// One policy on one workload in event mode, in fluid mode, and there with a backlog.
#[derive(Clone, Debug)]
pub struct Row {
    /// The workload's name.
    pub workload: String,
    /// The policy's name.
    pub policy: String,
    /// In event mode.
    pub event: Figures,
    /// In fluid mode.
    pub fluid: Figures,
    /// In fluid mode with a backlog.
    pub backlog: Figures,
}

fn setup(cluster: ClusterConfig) -> Setup {
    Setup {
        resources: BTreeMap::new(),
        aapa: BTreeMap::new(),
        own: None,
        cluster,
        pipeline: Pipeline::default(),
        min: 1,
        max: 100,
        hpa_target_percent: 80,
        schedule: Vec::new(),
        target: TargetId::new("default/Deployment/web"),
    }
}

/// The pods of the built-in sample: two slots, two seconds and half a core a request.
fn slow() -> ClusterConfig {
    ClusterConfig {
        service: Times {
            mean: Span::from_seconds(2),
            shape: Shape::Exponential,
        },
        concurrency: 2,
        cpu_per_request: Span::from_seconds(1),
        ..ClusterConfig::default()
    }
}

fn item(name: &str, workload: Workload, cluster: ClusterConfig) -> Item {
    Item {
        id: name.to_owned(),
        workload,
        setup: setup(cluster),
    }
}

/// The built-in sample, the first three days of it.
pub fn sample_item() -> Item {
    let parameters = sample::Sample {
        days: 3,
        deploy_day: 1,
        ..sample::Sample::default()
    };
    let rates = parameters.rates(Seed(42));
    let counts = sample::counts(&rates, Seed(42));
    let (start, step) = (sample::START, rates.step());
    let within = Within::Poisson;
    let workload = Workload::Counts {
        start,
        step,
        counts,
        within,
    };
    item("sample, 3 days", workload, slow())
}

/// Every workload.
pub fn items() -> Vec<Item> {
    let hours = |n: i64| Span::from_seconds(3600 * n);
    let ramps = Workload::Rates {
        start: Timestamp::EPOCH,
        parts: vec![
            (hours(2), 4.0, 4.0),
            (hours(4), 4.0, 40.0),
            (hours(2), 40.0, 40.0),
            (hours(4), 40.0, 4.0),
        ],
    };
    let steps = Workload::Rates {
        start: Timestamp::EPOCH,
        parts: (0..24)
            .map(|i| if i % 2 == 0 { 5.0 } else { 30.0 })
            .map(|rate| (Span::from_seconds(1800), rate, rate))
            .collect(),
    };
    // A function that is called now and then, three hundred at once at the top of each hour.
    let spikes = Workload::Counts {
        start: Timestamp::EPOCH,
        step: Span::from_seconds(60),
        counts: (0..1440)
            .map(|m| if m % 60 == 0 { 9000 } else { 30 })
            .collect(),
        within: Within::Poisson,
    };
    vec![
        sample_item(),
        item("steady", Workload::poisson(20.0, hours(12)), slow()),
        item("ramps", ramps, slow()),
        item("steps", steps, slow()),
        item(
            "hourly spikes, short requests",
            spikes,
            ClusterConfig::default(),
        ),
    ]
}

/// The policies of an item; all decide once a step of fluid mode, in both modes.
pub fn policies(item: &Item) -> Vec<Policy> {
    let mean = item.workload.expected() / item.workload.length().seconds();
    let all = default_policies(&item.setup, mean, mean);
    all.into_iter().map(|p| fluid_policy(item, p)).collect()
}

/// One policy on one item in all three ways.
pub fn row(item: &Item, policy: &Policy) -> Row {
    let (m, _) = run_one(item, policy, Seed(42), Deaf).expect("valid");
    let event = Figures {
        violations_percent: m.violations as f64 * 100.0 / m.requests.arrived.max(1) as f64,
        cost: m.cost,
        replica_minutes: m.replica_minutes,
        actions: m.actions,
    };
    let [fluid, backlog] = [false, true].map(|backlog| {
        let fluid = Fluid {
            backlog,
            ..Fluid::default()
        };
        let (m, _) = fly(item, policy.clone(), fluid, Seed(42), Deaf).expect("valid");
        Figures {
            violations_percent: m.violations_percent(),
            cost: m.cost,
            replica_minutes: m.replica_minutes,
            actions: m.actions,
        }
    });
    Row {
        workload: item.id.clone(),
        policy: policy.name.clone(),
        event,
        fluid,
        backlog,
    }
}
