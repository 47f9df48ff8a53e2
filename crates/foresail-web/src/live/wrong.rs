//! What is wrong by one explanation alone, in the words of the object's conditions.
//!
//! Source: specs/product_interface.md C.3, the table of conditions.

use foresail_core::act::Outcome;
use foresail_core::explain::why::Why;
use foresail_core::explain::{BasisTold, Explanation};
use foresail_core::guard::Limit;
use foresail_core::observe::Health;
use foresail_core::propose::{Absence, TripCause};

use super::model::Wrong;

fn wrong(kind: &str, reason: &str, message: String) -> Wrong {
    Wrong {
        kind: kind.to_owned(),
        reason: reason.to_owned(),
        message,
    }
}

/// What one explanation says is wrong, the worst first.
pub(super) fn told(explanation: &Explanation) -> Vec<Wrong> {
    let mut all = Vec::new();
    if explanation.outcome == Some(Outcome::Failed) {
        let message = "the last write of the number of replicas failed".to_owned();
        all.push(wrong("AbleToScale", "FailedUpdateScale", message));
    }
    let health = match explanation.health {
        Health::Predict => None,
        Health::Guarded => Some(("Guarded", "only the reactive floor is used")),
        Health::HoldDown => Some(("HoldDown", "nothing is scaled down")),
        Health::Frozen => Some(("Frozen", "nothing is changed")),
    };
    if let Some((reason, message)) = health {
        all.push(wrong("Health", reason, message.to_owned()));
    }
    all.extend(explanation.limits.iter().filter_map(limited));
    if explanation.chosen_by.is_none() && explanation.reactive.is_none() {
        let message = "no metric could be read".to_owned();
        all.push(wrong("ScalingActive", "NoMetric", message));
    }
    let absent = explanation.proposals.iter().filter_map(|p| match &p.basis {
        BasisTold::Absent { absent } => forecast(&p.by, *absent),
        _ => None,
    });
    all.extend(absent);
    all
}

fn limited(limit: &Limit) -> Option<Wrong> {
    let (kind, reason) = match limit.why {
        Why::StaleFor(_) => ("Held", "StaleMetric"),
        Why::NoSample => ("Held", "EmptyQuery"),
        Why::MetricInvalid => ("Held", "MetricInvalid"),
        Why::PodsMissing(_) => ("Held", "MissingPods"),
        Why::Sick => ("Held", "SickTarget"),
        Why::Unaffordable(_) => ("Held", "BudgetExceeded"),
        Why::AboveMax(_) => ("ScalingLimited", "TooManyReplicas"),
        _ => return None,
    };
    Some(wrong(kind, reason, limit.why.to_string()))
}

fn forecast(by: &str, absent: Absence) -> Option<Wrong> {
    match absent {
        Absence::Tripped(trip) if trip.cause != TripCause::New => {
            let message = format!("{by}: {trip}");
            Some(wrong("ForecastReady", "AccuracyTripped", message))
        }
        Absence::Failed => {
            let message = format!("{by} broke down");
            Some(wrong("ForecastReady", "ProposerFailed", message))
        }
        _ => None,
    }
}
