//! A wish about requests of pods: its ranges are told of each target, and its JSON is read back.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests may fail loudly"
)]

mod support;

use foresail_core::explain::{Explanation, Identity};
use foresail_core::history::View;
use foresail_core::propose::plan::Setting;
use foresail_core::propose::requests::{Renewal, RequestRange, Requested};
use foresail_core::propose::{Absence, Basis, Context, Proposal, Proposer};
use foresail_core::quantity::units::Quantity;
use foresail_core::spec::Floor;
use serde_json::json;
use support::{decide, engine, hpa, spec, state, target};

fn quantity(text: &str) -> Quantity {
    text.parse().unwrap()
}

fn range(current: Option<&str>) -> RequestRange {
    RequestRange {
        current: current.map(quantity),
        lower: quantity("200m"),
        target: quantity("300m"),
        upper: quantity("900m"),
        uncapped: quantity("310m"),
    }
}

/// Tells what it was given; wishes the targets where there is a reason.
#[derive(Debug)]
struct Requests(Result<Requested, Absence>);

impl Proposer for Requests {
    fn propose(&mut self, _: &View<'_>, _: &Context<'_>) -> Proposal {
        let mut setting = Setting::default();
        if let Ok(Requested { ranges, .. }) = &self.0 {
            for (name, range) in ranges {
                setting.per_pod.set(name, range.target);
            }
        }
        let renewed = matches!(
            &self.0,
            Ok(Requested {
                renewal: Some(_),
                ..
            })
        );
        let plan = renewed.then(|| (target(), setting));
        let told = vec![(target(), self.0.clone())];
        Proposal::certain(plan.into_iter().collect(), Basis::Requests(told))
    }
}

fn told(what: Result<Requested, Absence>) -> Explanation {
    let mut spec = spec(hpa(1, 10), &["requests"]);
    // Without the floor the proposer alone is chosen.
    spec.combine.floor = Floor::Relaxed {
        min_share_percent: 0,
    };
    let mut engine = engine(spec, vec![Box::new(Requests(what))]);
    let tick = decide(&mut engine, state(4, &[Some(500); 4], 0));
    Explanation::new(&tick, 0, engine.spec(), &Identity::default(), None).unwrap()
}

fn cpu(current: Option<&str>, renewal: Option<Renewal>) -> Result<Requested, Absence> {
    let ranges = vec![("cpu".to_owned(), range(current))];
    Ok(Requested { ranges, renewal })
}

#[test]
fn a_line_says_why_requests_are_changed() {
    let outside = Some(Renewal::Outside);
    for (current, renewal, clause) in [
        (Some("100m"), outside, "cpu 100m below 200m"),
        (Some("950m"), outside, "cpu 950m above 900m"),
        (None, outside, "no cpu request"),
        (
            Some("250m"),
            Some(Renewal::Far),
            "requests far from their targets",
        ),
        (Some("250m"), Some(Renewal::Killed), "killed for memory"),
    ] {
        let line = told(cpu(current, renewal)).to_string();
        assert_eq!(line, format!("web 4: requests {clause} = 300m"));
    }
}

#[test]
fn the_json_holds_every_bound_and_is_read_back() {
    let first = told(cpu(Some("100m"), Some(Renewal::Outside)));
    let written = serde_json::to_value(&first).unwrap();
    let of_cpu = json!({
        "current": "100m", "lower": "200m", "target": "300m", "upper": "900m", "uncapped": "310m"
    });
    let want = json!({"requests": {"cpu": of_cpu}, "renewal": "outside"});
    assert_eq!(written["proposals"][0]["basis"], want);
    let read: Explanation = serde_json::from_value(written).unwrap();
    assert_eq!(read, first);
}

#[test]
fn what_is_kept_and_what_is_not_known_is_no_wish() {
    let kept = told(cpu(Some("250m"), None));
    let written = serde_json::to_value(&kept).unwrap();
    let basis = &written["proposals"][0]["basis"];
    assert_eq!(basis["renewal"], json!(null));
    assert_eq!(basis["requests"]["cpu"]["upper"], "900m");
    assert!(kept.proposals[0].wish.is_empty() && !kept.decided.contains_key("perPod.cpu"));
    let read: Explanation = serde_json::from_value(written).unwrap();
    assert_eq!(read, kept);
    let unknown = serde_json::to_value(told(Err(Absence::NoHistory))).unwrap();
    assert_eq!(
        unknown["proposals"][0]["basis"],
        json!({"absent": "noHistory"})
    );
}
