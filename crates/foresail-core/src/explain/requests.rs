//! What pods should ask for, as it is told.

use std::collections::BTreeMap;

use super::basis::BasisTold;
use crate::propose::requests::{Renewal, RequestRange, Requested};

pub(super) fn requests_told(requested: &Requested) -> BasisTold {
    BasisTold::Requests {
        requests: requested.ranges.iter().cloned().collect(),
        renewal: requested.renewal,
    }
}

/// One clause: why requests are changed or kept.
pub(super) fn clause(
    requests: &BTreeMap<String, RequestRange>,
    renewal: Option<Renewal>,
) -> String {
    match renewal {
        None => "requests within their bounds".to_owned(),
        Some(Renewal::Far) => "requests far from their targets".to_owned(),
        Some(Renewal::Killed) => "killed for memory".to_owned(),
        Some(Renewal::Outside) => {
            let left = requests.iter().filter(|(_, range)| range.is_left());
            let told: Vec<String> = left.map(|(name, range)| left_bounds(name, range)).collect();
            told.join(", ")
        }
    }
}

fn left_bounds(name: &str, range: &RequestRange) -> String {
    let (lower, upper) = (range.lower, range.upper);
    match range.current {
        None => format!("no {name} request"),
        Some(current) if current.milli() < lower.milli() => {
            format!("{name} {current} below {lower}")
        }
        Some(current) => format!("{name} {current} above {upper}"),
    }
}
