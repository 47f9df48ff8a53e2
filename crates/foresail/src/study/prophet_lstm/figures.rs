//! The pictures of the study: each model's forecast, and its policies side by side.

use foresail_web::figure::Figure;
use foresail_web::study::{Bar, ForecastLines, forecast, policies};

use super::replay::POLICIES;
use super::results::{FIGURES, ModelResult, Results, mean_interval};

/// Hours of the closer look, in minutes.
const CLOSER: usize = 360;

/// Both pictures of every model, named as the study names them.
pub(super) fn all(results: &Results) -> Vec<Figure> {
    let models = results.shown().iter();
    models
        .flat_map(|model| [forecast_of(results, model), policies_of(results, model)])
        .collect()
}

/// The begin of the six hours with the most events, or of the highest demand without any.
fn liveliest(results: &Results) -> usize {
    let trace = &results.trace;
    let (events, demand) = (&trace.events[trace.split..], trace.test());
    let count = |from: usize| {
        let minutes = from..(from + CLOSER).min(demand.len());
        let events = events[minutes.clone()].iter().filter(|e| **e).count();
        let most = demand[minutes]
            .iter()
            .copied()
            .fold(0.0, |a: f64, b| if b > a { b } else { a });
        (events, most)
    };
    let begins = (0..demand.len().saturating_sub(CLOSER)).step_by(60);
    let best = begins.max_by(|a, b| {
        let (a, b) = (count(*a), count(*b));
        a.0.cmp(&b.0).then(a.1.total_cmp(&b.1))
    });
    best.unwrap_or(0)
}

fn rules(results: &Results) -> String {
    if results.parity {
        return "as published: Prophet sees the true events of the test".to_owned();
    }
    let ahead = results.startup;
    format!("each minute told {ahead} minutes ahead, without any event known")
}

fn forecast_of(results: &Results, model: &ModelResult) -> Figure {
    let ahead = if results.parity { 0 } else { results.startup };
    let shown = model.told.len().saturating_sub(ahead);
    let of = |f: fn(&super::replay::Told) -> f64| -> Vec<f64> {
        model.told[..shown].iter().map(f).collect()
    };
    let (middle, upper) = (of(|t| t.middle), of(|t| t.upper));
    let name = &model.name;
    let lines = ForecastLines {
        demand: &results.trace.test()[ahead..],
        middle: &middle,
        upper: &upper,
        closer: liveliest(results),
        names: ["demand", "forecast", "90 % quantile"],
        time: "the test",
    };
    let caption = format!(
        "{name}, {}. Above the whole test, of each pixel the highest demand and the mean forecast; below the six \
         liveliest hours minute by minute.",
        rules(results)
    );
    forecast(
        &format!("{name}_forecast"),
        &format!("Demand and the forecast of {name}"),
        &caption,
        lines,
    )
}

fn policies_of(results: &Results, model: &ModelResult) -> Figure {
    let told = POLICIES.into_iter().filter(|p| model.first(*p).is_some());
    let bars: Vec<Bar> = told
        .map(|policy| {
            let mean = |figure: usize| mean_interval(&model.of(policy, FIGURES[figure])).0;
            Bar {
                name: policy.title().to_owned(),
                cost: mean(2),
                violations: mean(0),
                changes: mean(3),
            }
        })
        .collect();
    let name = &model.name;
    let caption = format!(
        "{name}, {}. Shorter is better in each panel; a policy is worth its cost only where fewer minutes violate.",
        rules(results)
    );
    let title = format!("Policies on the forecast of {name}: cost, violations, steadiness");
    policies(
        &format!("{name}_policy_comparison"),
        &title,
        &caption,
        &bars,
    )
}
