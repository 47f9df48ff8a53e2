//! Foresail's controller beside the cluster's own HPA: one script of demand on twin Deployments.

mod ahead;
mod curve;
mod figure;
mod process;
pub mod prometheus;
mod simulated;
pub mod twins;

use crate::Row;
use crate::rig::Rig;
use curve::Curve;
use twins::{Course, SYNC_SECONDS, Twin};

pub const ROWS: &[Row] = &[
    (
        "beside_hpa::curves_are_compared_as_the_closed_forms_say",
        false,
        curve::are_compared_as_the_closed_forms_say,
    ),
    (
        "beside_hpa::replicas_agree_and_the_simulator_draws_the_same_curve",
        false,
        replicas_agree_and_the_simulator_draws_the_same_curve,
    ),
    (
        "beside_hpa::a_forecast_is_ahead_by_the_start_up_time",
        false,
        ahead::a_forecast_is_ahead_by_the_start_up_time,
    ),
];

/// Stairs up, a spike, and the fall: seconds, and requests per second from then on. At 5 requests/s
/// a pod these are 2.5, 4.5, 7.5, 10.5, 15.5, 10.5 and 5.5 pods: noise alone rounds none otherwise,
/// and no more are to go within a minute than the controller's own budget of removals (10) lets go.
const STAIRS: [(f64, f64); 7] = [
    (0.0, 12.5),
    (20.0, 22.5),
    (60.0, 37.5),
    (100.0, 52.5),
    (140.0, 77.5),
    (180.0, 52.5),
    (250.0, 27.5),
];

/// Seconds that are watched.
const LENGTH: f64 = 320.0;

/// How many times the stairs are walked; 1, or what `FORESAIL_VALIDATION_ROUNDS` says.
fn rounds() -> u32 {
    let given = std::env::var("FORESAIL_VALIDATION_ROUNDS").ok();
    given.map_or(1, |text| {
        text.parse().expect("FORESAIL_VALIDATION_ROUNDS is a count")
    })
}

/// The stairs, one walk after the other.
fn profile(rounds: u32) -> Vec<(f64, f64)> {
    let walk = |round: u32| STAIRS.map(|(at, rate)| (at + LENGTH * f64::from(round), rate));
    (0..rounds).flat_map(walk).collect()
}

/// A CPU target of 50 % under the real HPA and under `hpa` with the same settings: at 99 of 100
/// seconds the number is one that the HPA asks for within two syncs. The simulator, given the arrivals
/// as they came, asks for the same numbers but for when.
fn replicas_agree_and_the_simulator_draws_the_same_curve(rig: &Rig) {
    let course = Course {
        namespace: "beside",
        profile: profile(rounds()),
        shape: "step",
        length: LENGTH * f64::from(rounds()),
        startup_seconds: 5,
        down_window_seconds: 30,
        replicas: (3, 2, 40),
        more: None,
    };
    let seen = course.run(rig, &[]);
    let (hpa, ours) = (&seen.asked[&Twin::Hpa], &seen.asked[&Twin::Ours]);
    assert!(
        hpa.most() >= 15.0 && hpa.changes() >= 6,
        "the script moves the HPA: {hpa:?}"
    );
    let slack = 2.0 * SYNC_SECONDS;
    let agrees = ours.agreement(hpa, slack);
    println!(
        "real HPA and `hpa`: the same number within {slack} s at {:.2} % of {} s, at once at {:.1} %, \
         mean difference {:.2} replicas of {:.1}, `hpa` {:+.1} s",
        100.0 * agrees,
        hpa.len(),
        100.0 * ours.agreement(hpa, 0.0),
        ours.mean_difference(hpa),
        hpa.mean(),
        ours.lag_behind(hpa, 30),
    );
    let simulated = simulated::replicas(&seen);
    let told = |name: &str, other: &Curve| {
        println!(
            "simulator and {name}: the same number within {slack} s at {:.1} %, at once at {:.1} %, \
             mean difference {:.2} replicas of {:.1}, simulator {:+.1} s",
            100.0 * simulated.agreement(other, slack),
            100.0 * simulated.agreement(other, 0.0),
            simulated.mean_difference(other),
            other.mean(),
            simulated.lag_behind(other, 30),
        );
    };
    told("the real HPA", hpa);
    told("`hpa`", ours);
    figure::keep(&seen, &simulated);
    assert!(agrees >= 0.99, "real {hpa:?}\nours {ours:?}");
    let error = simulated.mean_difference(hpa) / hpa.mean();
    assert!(
        error <= 0.15,
        "the simulator is off by {:.1} %: {simulated:?}",
        100.0 * error
    );
}
