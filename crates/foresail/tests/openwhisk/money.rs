//! What a search may spend, and when it gives a trial up: held against what the server itself counted.

use serde_json::Value;

use crate::commands::{SEARCH, Scene, WORKFLOW, lines, text};

/// A core-second costs a thousand, memory nothing: a millisecond of a stage costs 1.
const PRICES: [&str; 4] = ["--cpu-price", "3600000", "--memory-price", "0"];

/// What the server ran: milliseconds of each call of the workflow, in their order.
fn ran(scene: &Scene) -> Vec<f64> {
    let world = scene.server.world();
    let all = world.activations.iter();
    let sequences = all.filter(|a| a["name"] == "pipeline");
    sequences.map(|a| a["duration"].as_f64().unwrap()).collect()
}

fn number(value: &Value, key: &str) -> f64 {
    value[key].as_f64().unwrap()
}

#[test]
fn a_search_spends_no_more_than_its_cap_and_one_request() {
    let scene = Scene::new(false);
    let mut words = SEARCH.to_vec();
    words.extend(PRICES);
    // The former setting and a few trials: each is four requests of some ten milliseconds.
    words.extend(["--spend-cap", "150"]);
    let output = scene.run(&words);
    let told = text(&output);
    let value: Value = serde_json::from_slice(&output.stdout).unwrap();
    let calls = ran(&scene);
    let (all, most) = (
        calls.iter().sum::<f64>(),
        calls.iter().copied().fold(0.0, f64::max),
    );
    assert!(
        (number(&value, "spend") - all).abs() < 1e-6,
        "{all}: {told}"
    );
    assert_eq!(number(&value, "requests"), calls.len() as f64, "{told}");
    assert!(all <= 150.0 + most, "{all} with {most} at most: {told}");
    let trials = number(&value, "trials");
    assert!((1.0..5.0).contains(&trials), "{told}");
    // What is told to be in force is.
    let stages = value["inForce"].as_array().unwrap();
    for (stage, memory) in stages.iter().zip(scene.memories()) {
        assert_eq!(number(stage, "memoryMib"), memory as f64, "{told}");
    }
    assert!(!scene.path("foresail-optimize-pipeline.former").exists());
}

#[test]
fn a_measurement_stops_in_the_middle_where_the_money_is_gone() {
    let scene = Scene::new(false);
    let mut words = SEARCH.to_vec();
    words.extend(PRICES);
    // The first request initialises both functions: 14 ms and some.
    words.extend(["--spend-cap", "12"]);
    let output = scene.run(&words);
    let told = text(&output);
    let calls = ran(&scene);
    assert_eq!(calls.len(), 1, "{told}");
    let value: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!((number(&value, "spend") - calls[0]).abs() < 1e-6, "{told}");
    assert_eq!(value["trials"], 0, "{told}");
    assert_eq!(value["formerMeasured"], Value::Null, "{told}");
    assert!(told.contains("spend cap"), "{told}");
    assert_eq!(
        (scene.server.count("PUT", ""), scene.memories()),
        (0, [256, 256])
    );
    assert_eq!(output.status.code(), Some(1), "{told}");
}

#[test]
fn a_trial_that_breaks_the_promise_by_far_is_given_up_and_taken_out_of_force() {
    let scene = Scene::new(false);
    scene
        .server
        .world()
        .behaviours
        .entry("detect".to_owned())
        .or_default()
        .work = 25_600.0;
    // 50 ms at 512 MB, 100 ms at 256 MB, 200 ms at 128 MB.
    let flow = WORKFLOW.replace(r#""step": 64"#, r#""step": 384"#);
    scene.write("flow.json", &flow);
    let mut words = SEARCH.to_vec();
    words.drain(10..14);
    words.extend(["--requests", "10", "--repeats", "1", "--qos", "0.14"]);
    words.extend([
        "--qos-abort",
        "1.2",
        "--percentile",
        "90",
        "--journal",
        "journal",
    ]);
    let output = scene.run(&words);
    let told = text(&output);
    assert_eq!(output.status.code(), Some(0), "{told}");
    let journal = lines(&scene.path("journal"));
    let trials: Vec<&Value> = journal.iter().filter_map(|l| l.get("trial")).collect();
    assert_eq!(trials.len(), 5, "{journal:?}");
    let is_small = |trial: &Value| {
        let mut stages = trial["plan"].as_array().unwrap().iter();
        let detect = stages.find(|s| s[0] == "pipeline/detect").unwrap();
        detect[1]["perPod"]["memory"] == "128Mi"
    };
    let aborted: Vec<&&Value> = trials
        .iter()
        .filter(|t| t["measured"]["ended"] == "aborted")
        .collect();
    assert!(!aborted.is_empty(), "{journal:?}");
    for trial in &trials {
        let (ended, requests) = (&trial["measured"]["ended"], &trial["measured"]["requests"]);
        match ended.as_str().unwrap() {
            // One that may exceed it, one that may not, and the warm-up.
            "aborted" => assert!(is_small(trial) && *requests == 3, "{trial}"),
            _ => assert!(*requests == 11, "{trial}"),
        }
    }
    // A setting that was given up is not left in force: the next write takes it away.
    let world = scene.server.world();
    let writes = world
        .log
        .iter()
        .filter(|l| l.method == "PUT" && l.path.ends_with("detect"));
    let memory: Vec<u64> = writes
        .map(|l| l.body["limits"]["memory"].as_u64().unwrap())
        .collect();
    let small = memory.iter().filter(|m| **m == 128).count();
    assert!(small >= aborted.len(), "{memory:?}");
    assert!(memory.windows(2).all(|two| two != [128, 128]), "{memory:?}");
    drop(world);
    assert_ne!(scene.memories()[1], 128, "{told}");
}
