//! The built-in sample as a workload with parameters of its own.

use foresail_core::propose::plan::TargetId;
use foresail_core::quantity::time::Span;
use foresail_sim::config::Shape;
use foresail_sim::experiment::{Item, Setup};
use foresail_sim::workload::sample;
use serde_json::{Value, json};

use super::options::Options;
use super::plan::{Defaults, setup_of};

/// Days of a quick run: enough for a season and a deploy.
const QUICK_DAYS: u32 = 2;

/// The sample's pods: a request takes two seconds and half a core of the pod's one.
pub(super) const DEFAULTS: Defaults = Defaults {
    service: Span::from_seconds(2),
    concurrency: 2,
    cpu_per_request: Span::from_seconds(1),
    shape: Shape::Exponential,
};

/// The sample as one item.
pub(super) fn item(options: &Options) -> Item {
    let mut parameters = sample::Sample::default();
    if options.args.quick {
        parameters.days = QUICK_DAYS;
        parameters.deploy_day = 1;
    }
    let rates = parameters.rates(options.seed);
    let counts = sample::counts(&rates, options.seed);
    let mut setup: Setup = setup_of(options, TargetId::new("default/Deployment/web"), &DEFAULTS);
    if setup.schedule.is_empty() {
        setup.schedule = schedule();
    }
    let workload = options
        .args
        .arrivals
        .workload(sample::START, rates.step(), counts);
    Item {
        id: "web".to_owned(),
        workload,
        setup,
    }
}

/// The rule that somebody who knows the sample's days would write.
fn schedule() -> Vec<Value> {
    vec![
        json!({"cron": "0 8 * * MON-FRI", "timeZone": "UTC", "durationSeconds": 43_200, "replicas": 11}),
    ]
}
