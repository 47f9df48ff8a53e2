//! What Prometheus tells of the queries of objects.

use anyhow::Result;
use foresail_adapters::kubernetes::crd;
use foresail_adapters::prometheus::{Prometheus, PrometheusError, Range};
use foresail_core::quantity::time::Span;
use foresail_core::spec::STALE_AFTER;
use serde_json::Value;

use super::case::{Asked, Facts};
use crate::compare::prometheus::{AccessArgs, coded, floor, now, runtime};
use crate::config::Settings;

/// How far back need is looked for, and in which steps.
const PAST: (Span, Span) = (Span::from_seconds(7 * 86_400), Span::from_seconds(300));

/// Asks for every query, where there is a Prometheus.
pub(super) fn ask(
    access: &AccessArgs,
    settings: &Option<Settings>,
    objects: &[(String, Value)],
    facts: &mut Facts,
) -> Result<()> {
    let Some(settings) = settings else {
        return Ok(());
    };
    let server = access.connect(settings)?;
    let runtime = runtime()?;
    for (_, value) in objects {
        let Ok(object) = crd::read(value) else {
            continue;
        };
        for metric in object
            .spec
            .metrics
            .iter()
            .filter_map(|m| m.prometheus.as_ref())
        {
            let asked = runtime.block_on(one(&server, &metric.query));
            facts
                .asked
                .insert(metric.query.clone(), asked.map_err(|e| coded(&e))?);
        }
    }
    Ok(())
}

async fn one(server: &Prometheus, query: &str) -> Result<Asked, PrometheusError> {
    let now = now();
    let several = match server.at(query, now, STALE_AFTER).await {
        Ok(_) => None,
        Err(
            error @ (PrometheusError::Several { .. }
            | PrometheusError::WrongType { .. }
            | PrometheusError::Empty { .. }
            | PrometheusError::Refused { .. }),
        ) => Some(error.to_string()),
        Err(error) => return Err(error),
    };
    if several.is_some() {
        return Ok(Asked { several, p99: None });
    }
    let end = floor(now, PAST.1);
    let range = Range {
        start: end - PAST.0,
        end,
        step: PAST.1,
    };
    let p99 = match server.range(query, &range).await {
        Ok(told) => quantile99(told.series.iter().flatten().collect()),
        Err(PrometheusError::Empty { .. }) => None,
        Err(error) => return Err(error),
    };
    Ok(Asked { several, p99 })
}

/// The 99 % quantile: the least value that 99 % are not above.
fn quantile99(mut values: Vec<f64>) -> Option<f64> {
    values.retain(|v| v.is_finite());
    values.sort_unstable_by(f64::total_cmp);
    let place = (values.len() * 99).div_ceil(100).checked_sub(1)?;
    values.get(place).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_hundred_values_the_ninety_ninth_is_the_quantile() {
        let values: Vec<f64> = (1..=100).rev().map(f64::from).collect();
        assert!((quantile99(values).unwrap() - 99.0).abs() < 1e-12);
        assert_eq!(quantile99(vec![f64::NAN]), None);
    }
}
