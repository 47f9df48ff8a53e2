//! Workflow files: both forms load, and what is wrong is told with its key.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests may fail loudly"
)]

use foresail_core::value::workflow::Size;
use foresail_sim::workflow::file::read;
use foresail_sim::workflow::subject::Subject;
use serde_json::{Value, json};

fn good(file: &Value) -> Subject {
    read(file).unwrap_or_else(|p| panic!("{p:?}"))
}

fn check(file: &Value, told: &[&str]) {
    let problems = read(file).unwrap_err();
    let all: Vec<String> = problems.iter().map(ToString::to_string).collect();
    for text in told {
        assert!(all.iter().any(|p| p.starts_with(text)), "{text}\n{all:#?}");
    }
    assert_eq!(all.len(), told.len(), "{all:#?}");
}

#[test]
fn the_published_form_is_a_sequence_in_its_order() {
    let subject = good(&json!({
        "name": "ml", "functions": ["ml-image-processing", "ml-object-detection", "ml-human"],
        "params": {"image": "cat.png"}, "qos": 6
    }));
    let stages = subject.model.workflow.stages();
    let after: Vec<&[usize]> = stages.iter().map(|s| s.after.as_slice()).collect();
    assert_eq!(after, [&[][..], &[0], &[1]]);
    assert_eq!(subject.targets()[2].as_str(), "ml/ml-human");
    assert_eq!(
        (subject.promise.seconds, subject.promise.level),
        (6.0, 0.95)
    );
    assert_eq!(subject.params["image"], "cat.png");
    let created = Size {
        cpu_cores: 1.0,
        memory_mib: 256.0,
    };
    assert_eq!(subject.former, [created; 3]);
    assert_eq!(subject.space().dimensions(), 6);
}

#[test]
fn the_graph_has_critical_path_and_everything_a_stage_can_say() {
    let subject = good(&json!({
        "name": "flow", "qos": 5, "percentile": 99,
        "surfaces": {"mine": {"workCoreSeconds": 4, "memoryMib": 512}},
        "sizes": {"cpuCores": {"from": 0.5, "to": 4, "step": 0.5}},
        "noise": {"spread": 0.1, "interference": {"probability": 0.1, "factor": 1.5, "requests": 4}},
        "stages": [
            {"name": "in", "function": "mine", "current": {"cpuCores": 2, "memoryMib": 1024}},
            {"name": "left", "surface": {"workCoreSeconds": 1}, "after": ["in"], "choice": "w", "probability": 0.5},
            {"name": "right", "function": "read-post", "after": ["in"], "parallel": 3,
             "sizes": {"memoryMib": {"from": 64, "to": 128, "step": 64}}},
            {"name": "out", "function": "mine", "after": ["left", "right"]}
        ]
    }));
    let sizes = [Size {
        cpu_cores: 2.0,
        memory_mib: 1024.0,
    }; 4];
    let seconds = subject.model.noiseless_copies(&sizes);
    let timing = subject.model.workflow.timing(&seconds);
    // in 2 s, left 0.5 s (right is quicker), out 2 s.
    assert!((timing.latency - 4.5).abs() < 1e-12, "{}", timing.latency);
    assert_eq!(timing.critical, [0, 1, 3]);
    assert_eq!(seconds[2].len(), 3);
    assert_eq!(subject.former[0], sizes[0]);
    assert_eq!(subject.sizes[2].memory_mib.values(), [64.0, 128.0]);
    assert!((subject.sizes[1].cpu_cores.to - 4.0).abs() < 1e-12);
}

#[test]
fn what_is_missing_or_unknown_is_told_with_its_key() {
    check(
        &json!([1]),
        &["workflow: must be an object with name, functions"],
    );
    check(
        &json!({"name": "x"}),
        &[
            "qos: missing",
            "functions: missing: write the functions of a sequence, or `stages`",
        ],
    );
    check(
        &json!({"name": "x", "functions": ["ml-humann"], "qos": 1}),
        &["functions[0]: there is no function `ml-humann`; did you mean `ml-human`?"],
    );
    check(
        &json!({"name": "x", "functions": ["ml-human", 3], "qos": 1}),
        &["functions[1]: 3: must be a text"],
    );
    check(
        &json!({"name": "x", "functions": [], "qos": 1}),
        &["functions: []: must be a list"],
    );
    check(
        &json!({"name": "x", "functions": ["ml-human"], "stages": [], "qos": 1}),
        &["functions: stands beside `stages`"],
    );
    check(
        &json!({"name": "x", "functions": ["ml-human"], "qoss": 1}),
        &[
            "qoss: there is no key `qoss`; did you mean `qos`?",
            "qos: missing",
        ],
    );
    check(
        &json!({"name": "x", "functions": ["read-post", "read-post"], "qos": 1}),
        &["functions[1]: `read-post` stands there twice"],
    );
}

#[test]
fn an_unknown_function_says_how_to_give_its_surface() {
    let problems = read(&json!({"name": "x", "functions": ["mine"], "qos": 1})).unwrap_err();
    let told = problems[0].to_string();
    assert!(told.contains("known: reference-1"), "{told}");
    assert!(
        told.contains("\"surfaces\": {\"mine\": {\"workCoreSeconds\""),
        "{told}"
    );
}

#[test]
fn numbers_that_are_none_or_out_of_range_are_refused() {
    let with = |key: &str, value: Value| {
        let mut file = json!({"name": "x", "functions": ["ml-human"], "qos": 1});
        file[key] = value;
        file
    };
    for qos in [json!(0), json!(-1), json!("NaN"), json!(null), json!("4")] {
        check(
            &with("qos", qos.clone()),
            &[&format!("qos: {qos}: must be a number of seconds above 0")],
        );
    }
    check(
        &with("percentile", json!(101)),
        &["percentile: 101: must be a percentile"],
    );
    check(&with("params", json!(1)), &["params: 1: must be an object"]);
    check(
        &with("noise", json!({"spread": -1})),
        &["noise: spread: -1: must be 0 or more"],
    );
    check(
        &with("noise", json!({"spraed": 1})),
        &["noise: unknown field `spraed`"],
    );
    check(
        &with(
            "sizes",
            json!({"cpuCores": {"from": 0, "to": 1, "step": 0.1}}),
        ),
        &["sizes: cpuCores: from 0 to 1 by 0.1"],
    );
    check(
        &with("surfaces", json!({"mine": {"memoryMib": 1}})),
        &["surfaces.mine: missing field `workCoreSeconds`"],
    );
}

#[test]
fn a_graph_that_cannot_run_is_refused() {
    let graph = |stages: Value| json!({"name": "x", "qos": 1, "stages": stages});
    let light = json!({"workCoreSeconds": 1});
    check(
        &graph(json!([
            {"name": "a", "surface": light, "after": ["b"]},
            {"name": "b", "surface": light, "after": ["a"]},
        ])),
        &["stages: no stage can start: a → b → a is a cycle"],
    );
    check(
        &graph(json!([{"name": "a", "surface": light, "after": ["c"]}])),
        &["stages[0].after[0]: there is no stage `c`"],
    );
    check(
        &graph(json!([{"name": "a", "function": "nothing"}, {"function": "read-post"}])),
        &[
            "stages[0].function: there is no function `nothing`",
            "stages[1].name: missing",
        ],
    );
    check(
        &graph(json!([{"name": "a", "surface": light, "parallel": 0, "colour": 1}])),
        &[
            "stages[0].colour: there is no key",
            "stages[0].parallel: 0: must be 1 to 1024",
        ],
    );
    check(
        &graph(
            json!([{"name": "a", "surface": light, "current": {"cpuCores": 0, "memoryMib": 1}}]),
        ),
        &["stages[0].current: cpuCores and memoryMib must be above 0"],
    );
}
