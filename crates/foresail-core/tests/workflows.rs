//! Workflows: what is refused and how it is told, latency along the critical path, cost of all.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests may fail loudly"
)]

use foresail_core::value::cost::Price;
use foresail_core::value::workflow::{Size, StageSpec, Workflow};

fn flow(stages: &[StageSpec]) -> Workflow {
    Workflow::new("flow", stages).unwrap_or_else(|p| panic!("{p:?}"))
}

fn stage(name: &str, after: &[&str]) -> StageSpec {
    StageSpec::new(name, after)
}

fn once(seconds: &[f64]) -> Vec<Vec<f64>> {
    seconds.iter().map(|s| vec![*s]).collect()
}

/// a → {b, c} → d.
fn diamond() -> Workflow {
    flow(&[
        stage("a", &[]),
        stage("b", &["a"]),
        stage("c", &["a"]),
        stage("d", &["b", "c"]),
    ])
}

fn near(a: f64, b: f64) {
    assert!((a - b).abs() < 1e-12, "{a} is not {b}");
}

#[test]
fn latency_is_the_longest_path_and_cost_the_sum_of_all() {
    let timing = diamond().timing(&once(&[1.0, 2.0, 5.0, 0.5]));
    near(timing.latency, 6.5);
    assert_eq!(timing.critical, [0, 2, 3]);
    let size = Size {
        cpu_cores: 2.0,
        memory_mib: 1024.0,
    };
    let cost = diamond().cost(&once(&[1.0, 2.0, 5.0, 0.5]), &[size; 4], &Price::FUNCTIONS);
    near(cost, 8.5 * (2.0 * 0.173 + 0.0123) / 3600.0);
}

#[test]
fn a_chain_adds_up_whatever_order_it_is_written_in() {
    let chain = flow(&[stage("c", &["b"]), stage("a", &[]), stage("b", &["a"])]);
    assert_eq!(chain.order(), [1, 2, 0]);
    let timing = chain.timing(&once(&[3.0, 1.0, 2.0]));
    near(timing.latency, 6.0);
    assert_eq!(timing.critical, [1, 2, 0]);
}

#[test]
fn each_chunk_goes_its_own_way_until_they_are_joined() {
    let video = flow(&[
        stage("split", &[]),
        stage("mark", &["split"]).copies(2),
        stage("code", &["mark"]).copies(2),
        stage("join", &["code"]),
    ]);
    let seconds = vec![vec![1.0], vec![1.0, 4.0], vec![5.0, 1.0], vec![0.5]];
    // Chunk 0 takes 1 + 5, chunk 1 takes 4 + 1: six, not the nine of a stop between the stages.
    let timing = video.timing(&seconds);
    near(timing.latency, 1.0 + 6.0 + 0.5);
    assert_eq!(timing.critical, [0, 1, 2, 3]);
    let size = Size {
        cpu_cores: 1.0,
        memory_mib: 0.0,
    };
    let cost = video.cost(&seconds, &[size; 4], &Price::FUNCTIONS);
    near(cost, 12.5 * 0.173 / 3600.0);
}

#[test]
fn what_is_wrong_is_told_with_its_place() {
    let mut twice = stage("b", &["a", "a"]);
    twice.probability = 0.0;
    for (stages, told) in [
        (vec![], "stages: 0 stages: write 1 to 1000"),
        (
            vec![stage("a", &[]), stage("a", &[])],
            "stages[1].name: `a` stands there twice",
        ),
        (
            vec![stage("decode", &[]), stage("b", &["decoed"])],
            "stages[1].after[0]: there is no stage `decoed`; did you mean `decode`?",
        ),
        (
            vec![stage("a", &[]), twice],
            "stages[1].probability: 0: must be above 0 and at most 1; stages[1].after[1]: `a` stands there twice",
        ),
        (
            vec![stage("a", &[]).copies(0)],
            "stages[0].parallel: 0: must be 1 to 1024",
        ),
        (
            vec![
                stage("a", &[]),
                stage("b", &["a", "d"]),
                stage("c", &["b"]),
                stage("d", &["c"]),
                stage("e", &["d"]),
            ],
            "stages: b → c → d → b is a cycle; take one `after` of it away",
        ),
        (
            vec![stage("a", &["b"]), stage("b", &["a"])],
            "stages: no stage can start: a → b → a is a cycle",
        ),
        (
            vec![stage("a", &["a"])],
            "stages: no stage can start: a → a is a cycle",
        ),
        (
            vec![
                stage("a", &[]).chosen("way", 0.7),
                stage("b", &[]).chosen("way", 0.4),
            ],
            "stages[0].choice: the probabilities of choice `way` add up to 1.1",
        ),
    ] {
        let problems = Workflow::new("flow", &stages).unwrap_err();
        let all: Vec<String> = problems.iter().map(ToString::to_string).collect();
        assert!(all.join("; ").contains(told), "{all:?}\n{told}");
    }
}

#[test]
fn of_a_choice_one_way_is_taken_and_the_join_runs_either_way() {
    let branched = flow(&[
        stage("a", &[]),
        stage("left", &["a"]).chosen("way", 0.25),
        stage("right", &["a"]).chosen("way", 0.75),
        stage("after left", &["left"]),
        stage("join", &["after left", "right"]),
    ]);
    let outcomes = branched.outcomes().unwrap();
    let told: Vec<(f64, Vec<bool>)> = outcomes
        .into_iter()
        .map(|o| (o.probability, o.runs))
        .collect();
    assert_eq!(
        told,
        [
            (0.25, vec![true, true, false, true, true]),
            (0.75, vec![true, false, true, false, true]),
        ]
    );
    let by_draw = |u: f64| branched.runs(|| u)[1];
    assert_eq!(
        [0.0, 0.24, 0.26, 0.99].map(by_draw),
        [true, true, false, false]
    );
    // What did not run is neither waited for nor paid for.
    let seconds = vec![vec![1.0], vec![], vec![2.0], vec![], vec![0.5]];
    let timing = branched.timing(&seconds);
    near(timing.latency, 3.5);
    assert_eq!(timing.critical, [0, 2, 4]);
}

#[test]
fn probabilities_of_all_ways_add_up_to_one() {
    let mut maybe = stage("b", &["a"]);
    maybe.probability = 0.3;
    let flow = flow(&[
        stage("a", &[]).chosen("x", 0.5),
        maybe,
        stage("c", &[]).chosen("x", 0.2),
    ]);
    let outcomes = flow.outcomes().unwrap();
    near(outcomes.iter().map(|o| o.probability).sum(), 1.0);
    let of_b = outcomes.iter().filter(|o| o.runs[1]);
    near(of_b.map(|o| o.probability).sum(), 0.15);
}
