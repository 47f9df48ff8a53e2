//! F3: the server fails, wholly and then now and then.

use std::time::{Duration, Instant};

use super::laws::{Allowed, check};
use super::scene::{SOON, Scene};
use crate::Row;
use crate::rig::{Rig, wait_until};
use crate::rule::{Action, Rule, When};

pub const ROWS: &[Row] = &[(
    "faults::f03_a_failing_server_causes_no_second_write_and_no_pause_after_it",
    false,
    a_failing_server_causes_no_second_write_and_no_pause_after_it,
)];

fn a_failing_server_causes_no_second_write_and_no_pause_after_it(rig: &Rig) {
    let scene = Scene::new(rig, "f03", 6);
    let mut controller = scene.controller("a");
    controller.wait_leading(SOON);

    // Writes fail with an answer that leaves open what came of them.
    let puts: Vec<_> = [500, 503, 504]
        .into_iter()
        .enumerate()
        .flat_map(|(i, code)| [(i, code), (i + 3, code)])
        .map(|(i, code)| {
            controller.proxy.rule(Rule::new(
                "PUT",
                &format!("/w{i}/scale"),
                Action::Status(code, None),
            ))
        })
        .collect();
    scene.demand(|_| 30);
    wait_until(SOON, "a failed write of each", || {
        puts.iter().all(|r| r.hits() > 0).then_some(())
    });
    scene.wait_condition(SOON, "w0", "AbleToScale", ("False", "FailedUpdateScale"));

    // Then nothing but the lease works.
    controller.proxy.clear();
    for code in [500, 503, 504] {
        let rule = Rule::new("", "", Action::Status(code, None)).without("/leases");
        controller
            .proxy
            .rule(rule.lasting(Duration::from_secs(u64::from(code - 498))));
    }
    std::thread::sleep(Duration::from_secs(6));
    controller.proxy.clear();
    let normal = Instant::now();
    scene.wait_asked(SOON, |_| 3);
    println!(
        "f03: normal {:.1} s after the end",
        normal.elapsed().as_secs_f64()
    );

    // Three of ten calls fail while the demand goes on.
    for (seed, code) in [(1, 500), (2, 503), (3, 504)] {
        let rule = Rule::new("", "", Action::Status(code, None)).without("/leases");
        controller.proxy.rule(rule.when(When::Percent(12, seed)));
    }
    scene.demand(|_| 50);
    std::thread::sleep(Duration::from_secs(6));
    controller.proxy.clear();
    scene.wait_asked(SOON, |_| 5);
    scene.wait_condition(SOON, "w0", "AbleToScale", ("True", ""));

    let found = check(&scene, &mut [&mut controller], Allowed::default());
    assert!(found.counts.of("three logs: accepted") >= 12);
    scene.end();
}
