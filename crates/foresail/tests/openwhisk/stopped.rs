//! The first interrupt ends whatever is waited for at once, and what was changed is put back.

use std::process::Child;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::commands::{ONCE, SEARCH, Scene, interrupt, lines};
use crate::server::Play;

/// How long an answer takes that nobody waits for: longer than a test does.
const LONG: u64 = 120_000;

/// How soon a command ends: far below what it waits for, with room for a machine under load.
const SOON: Duration = Duration::from_secs(20);

/// Interrupts a command that waits; its exit code.
fn interrupted(mut child: Child) -> Option<i32> {
    let begin = Instant::now();
    interrupt(&child);
    while child.try_wait().unwrap().is_none() {
        if begin.elapsed() > SOON {
            child.kill().unwrap();
            panic!("not ended within {SOON:?} of the first interrupt");
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    println!("ended after {:.2} s", begin.elapsed().as_secs_f64());
    child.wait().unwrap().code()
}

fn plays_slow(scene: &Scene, method: &'static str, part: &'static str) {
    let row = (method, part, Play::Slow(LONG));
    scene.server.world().script.push_back(row);
}

/// Waits until a slow answer is under way.
fn until_slow(scene: &Scene, method: &str) {
    let slow = format!("{method} (slow)");
    scene.until("a slow answer is waited for", |s| s.count(&slow, "") >= 1);
}

fn is_tidy(scene: &Scene) {
    assert_eq!(scene.memories(), [256, 256]);
    assert!(!scene.path("foresail-optimize-pipeline.former").exists());
}

#[test]
fn a_request_under_way_is_waited_for_no_longer() {
    let scene = Scene::new(false);
    let mut words = SEARCH.to_vec();
    words.drain(10..14);
    words.extend(["--requests", "200", "--repeats", "1"]);
    let child = scene.start(&words);
    // It hangs in a trial, whose sizes are in force by then.
    scene.until("a trial is in force", |s| s.count("PUT", "detect") >= 1);
    let calls = {
        let mut world = scene.server.world();
        let detect = world.behaviours.entry("detect".to_owned()).or_default();
        detect.work = 50_000.0 * 128.0;
        detect.calls
    };
    scene.until("a request hangs", |s| {
        s.world().behaviours["detect"].calls > calls
    });
    std::thread::sleep(Duration::from_millis(200));
    assert_eq!(interrupted(child), Some(130));
    is_tidy(&scene);
}

#[test]
fn a_rate_that_is_exceeded_is_waited_out_no_longer() {
    let scene = Scene::new(false);
    scene.server.world().allowed = Some(0);
    let child = scene.start(&SEARCH);
    scene.until("a request is refused", |s| s.count("POST", "pipeline") >= 1);
    assert_eq!(interrupted(child), Some(130));
    is_tidy(&scene);
}

#[test]
fn a_change_that_was_cut_short_is_put_back() {
    let scene = Scene::new(false);
    // The write is in force, and its answer does not come.
    plays_slow(&scene, "PUT", "detect");
    let child = scene.start(&SEARCH);
    until_slow(&scene, "PUT");
    let changed = scene.memories();
    assert_eq!(interrupted(child), Some(130));
    assert_ne!(changed, [256, 256], "what was cut short was in force");
    is_tidy(&scene);
}

fn schedule() -> Vec<&'static str> {
    let mut words = ONCE.to_vec();
    words.pop();
    words.extend(["--interval", "1s", "--output", "json"]);
    words
}

fn last(scene: &Scene) -> Value {
    let journal = lines(&scene.path("aquatope-schedule.jsonl"));
    journal.last().unwrap().clone()
}

#[test]
fn a_listing_under_way_is_waited_for_no_longer() {
    let scene = Scene::new(true);
    scene.busy("resize", 6, 60);
    plays_slow(&scene, "GET", "activations");
    let child = scene.start(&schedule());
    until_slow(&scene, "GET");
    assert_eq!(interrupted(child), Some(130));
    assert_eq!(scene.cells(), 2);
    assert_eq!(last(&scene)["end"], "restored");
}

#[test]
fn pools_whose_write_was_cut_short_are_put_back() {
    for once in [false, true] {
        let scene = Scene::new(true);
        scene.busy("resize", 6, 60);
        plays_slow(&scene, "POST", "config/runtime");
        let words = if once { ONCE.to_vec() } else { schedule() };
        let child = scene.start(&words);
        until_slow(&scene, "POST");
        assert!(scene.cells() >= 6, "what was cut short was in force");
        assert_eq!(interrupted(child), Some(130));
        assert_eq!(scene.cells(), 2, "once: {once}");
        assert_eq!(last(&scene)["end"], "restored");
    }
}
