//! Workflows in the simulator: surfaces, noise, the published list, and the cheapest possible plan
//! against every plan tried one by one.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests may fail loudly"
)]

use foresail_core::quantity::units::smaller;
use foresail_core::value::cost::Price;
use foresail_core::value::workflow::{Promise, Size, StageSpec, Workflow};
use foresail_models::rng::Seed;
use foresail_sim::rng::Stream;
use foresail_sim::workflow::bound::{BoundError, Method, bound};
use foresail_sim::workflow::model::Model;
use foresail_sim::workflow::noise::{Interference, Noise, Outliers};
use foresail_sim::workflow::published::{WORKFLOWS, entry};
use foresail_sim::workflow::subject::{Sizes, Steps, Subject};
use foresail_sim::workflow::surface::Surface;

const PRICE: Price = Price::FUNCTIONS;

fn size(cpu_cores: f64, memory_mib: f64) -> Size {
    Size {
        cpu_cores,
        memory_mib,
    }
}

fn published(name: &str) -> Subject {
    entry(name).unwrap().subject().unwrap()
}

fn latency(subject: &Subject, sizes: &[Size]) -> f64 {
    let seconds = subject.model.noiseless_copies(sizes);
    subject.model.workflow.timing(&seconds).latency
}

fn cost(subject: &Subject, sizes: &[Size]) -> f64 {
    let seconds = subject.model.noiseless_copies(sizes);
    subject.model.workflow.cost(&seconds, sizes, &PRICE)
}

/// Promise, cost of the optimum, its sizes, its latency.
type Optimum = (f64, f64, [(f64, f64); 3], f64);

/// Source: specs/aapa_aquatope.md PART 4, reference workflow.
const OPTIMA: [Optimum; 3] = [
    (
        3.0,
        4.852_14e-4,
        [(2.9, 512.0), (3.9, 1024.0), (2.6, 256.0)],
        2.999_91,
    ),
    (
        4.0,
        4.419_89e-4,
        [(2.0, 512.0), (2.6, 1024.0), (1.8, 256.0)],
        3.994_02,
    ),
    (
        6.0,
        4.092_32e-4,
        [(1.2, 512.0), (1.6, 1024.0), (1.1, 256.0)],
        5.975_76,
    ),
];

#[test]
fn the_optima_of_the_reference_are_found_and_are_optima() {
    for (promise, want, sizes, seconds) in OPTIMA {
        let mut subject = published("reference");
        subject.promise.seconds = promise;
        let found = bound(&subject, &PRICE).unwrap();
        assert_eq!(found.method, Method::Exact);
        assert!(
            (found.cost - want).abs() < 5e-10,
            "{promise}: {}",
            found.cost
        );
        let (plan, plan_cost) = found.plan.unwrap();
        assert!((plan_cost - found.cost).abs() < 1e-15);
        assert_eq!(plan, sizes.map(|(cpu, mib)| size(cpu, mib)), "{promise}");
        assert!((latency(&subject, &plan) - seconds).abs() < 5e-6);
        let tried = brute_force_of_reference(promise);
        assert!((tried - found.cost).abs() < 1e-12, "{promise}: {tried}");
    }
}

/// Every CPU of the grid for each stage, memory at the need and around it.
fn brute_force_of_reference(promise: f64) -> f64 {
    let stages = [(0.3, 2.0, 512.0), (0.4, 4.0, 1024.0), (0.2, 1.0, 256.0)];
    let options = stages.map(|(f, w, need): (f64, f64, f64)| {
        let mut all = Vec::new();
        for tenth in 1..=60 {
            for memory in [
                need / 2.0,
                need - 64.0,
                need - 1.0,
                need,
                need + 1.0,
                need * 2.0,
            ] {
                let cpu = f64::from(tenth) / 10.0;
                let lacking: f64 = need / memory - 1.0;
                let d = f + w / cpu + 2.0 * lacking.clamp(0.0, 1e9);
                let rate = cpu * 0.173 + memory / 1024.0 * 0.0123;
                all.push((d, d * rate / 3600.0));
            }
        }
        all
    });
    // The cheapest third that takes at most so long, by binary search over those sorted by time.
    let mut third = options[2].clone();
    third.sort_by(|a, b| a.0.total_cmp(&b.0));
    for i in 1..third.len() {
        third[i].1 = smaller(third[i].1, third[i - 1].1);
    }
    let mut best = f64::INFINITY;
    for a in &options[0] {
        for b in &options[1] {
            let rest = promise - a.0 - b.0;
            let count = third.partition_point(|c| c.0 <= rest);
            if count > 0 {
                best = smaller(best, a.1 + b.1 + third[count - 1].1);
            }
        }
    }
    best
}

#[test]
fn random_search_comes_as_far_as_published() {
    // 70 uniform points of the reference at 4 s: the median of the best is 1.128 times the optimum.
    let subject = published("reference");
    let space = subject.space();
    let mut stream = Stream::of(Seed(1), "random search");
    let mut bests: Vec<f64> = (0..200)
        .map(|_| {
            let mut best = f64::INFINITY;
            for _ in 0..70 {
                let point: Vec<f64> = (0..6).map(|_| stream.uniform()).collect();
                let sizes = subject.sizes_of(&space.plan(&point)).unwrap();
                let found = cost(&subject, &sizes);
                if latency(&subject, &sizes) <= 4.0 && found < best {
                    best = found;
                }
            }
            best / 4.419_89e-4
        })
        .collect();
    bests.sort_by(f64::total_cmp);
    assert!((bests[100] - 1.128).abs() < 0.02, "{}", bests[100]);
    assert!((bests[20] - 1.085).abs() < 0.02, "{}", bests[20]);
}

/// A subject of these stages on a coarse grid, with surfaces drawn from a seed.
fn drawn(stages: &[StageSpec], seed: u64, promise: f64) -> Subject {
    let mut stream = Stream::of(Seed(seed), "surfaces");
    let sizes = Sizes {
        cpu_cores: Steps {
            from: 0.5,
            to: 4.0,
            step: 0.875,
        },
        memory_mib: Steps {
            from: 128.0,
            to: 512.0,
            step: 384.0,
        },
    };
    let mut surface = || {
        Surface::new(
            stream.uniform(),
            4.0 * stream.uniform(),
            512.0 * stream.uniform(),
        )
        .parallel(100.0 * stream.uniform(), 3.0)
    };
    Subject {
        model: Model {
            workflow: Workflow::new("drawn", stages).unwrap(),
            surfaces: stages.iter().map(|_| surface()).collect(),
            noise: Noise::default(),
        },
        promise: Promise {
            seconds: promise,
            level: 0.95,
        },
        sizes: vec![sizes; stages.len()],
        former: vec![sizes.created(); stages.len()],
        params: serde_json::Map::new(),
    }
}

/// The cheapest of all plans by trying each; expected cost over the ways, every way of more than a
/// twentieth within the promise.
fn brute_force(subject: &Subject) -> f64 {
    let count = subject.sizes.len();
    let options: Vec<Size> = subject.sizes[0]
        .cpu_cores
        .values()
        .iter()
        .flat_map(|cpu| {
            let memories = subject.sizes[0].memory_mib.values();
            memories.into_iter().map(|mib| size(*cpu, mib))
        })
        .collect();
    let outcomes = subject.model.workflow.outcomes().unwrap();
    let mut best = f64::INFINITY;
    let mut digits = vec![0; count];
    loop {
        let sizes: Vec<Size> = digits.iter().map(|d| options[*d]).collect();
        let copies = subject.model.noiseless_copies(&sizes);
        let (mut mean, mut slowest) = (0.0, 0.0_f64);
        for outcome in &outcomes {
            let mut seconds = copies.clone();
            for (of_stage, runs) in seconds.iter_mut().zip(&outcome.runs) {
                if !runs {
                    of_stage.clear();
                }
            }
            mean += outcome.probability * subject.model.workflow.cost(&seconds, &sizes, &PRICE);
            let latency = subject.model.workflow.timing(&seconds).latency;
            if outcome.probability > 0.05 && latency > slowest {
                slowest = latency;
            }
        }
        if slowest <= subject.promise.seconds && mean < best {
            best = mean;
        }
        let Some(place) = (0..count).find(|p| digits[*p] + 1 < options.len()) else {
            return best;
        };
        digits[..place].fill(0);
        digits[place] += 1;
    }
}

fn stage(name: &str, after: &[&str]) -> StageSpec {
    StageSpec::new(name, after)
}

/// Graphs that are put together of parts in a row and side by side.
fn series_parallel() -> Vec<Vec<StageSpec>> {
    vec![
        vec![
            stage("a", &[]),
            stage("b", &["a"]),
            stage("c", &["b"]),
            stage("d", &["c"]),
        ],
        vec![
            stage("a", &[]),
            stage("b", &["a"]),
            stage("c", &["a"]),
            stage("d", &["b", "c"]),
        ],
        // Two that both wait for two others.
        vec![
            stage("a", &[]),
            stage("b", &[]),
            stage("c", &["a", "b"]),
            stage("d", &["b", "a"]),
        ],
        vec![
            stage("a", &[]),
            stage("b", &["a"]).copies(3),
            stage("c", &["b"]).copies(3),
            stage("d", &[]),
        ],
        // Of three ways one is taken; they meet again.
        vec![
            stage("a", &[]).chosen("way", 0.3),
            stage("b", &[]).chosen("way", 0.3),
            stage("c", &[]).chosen("way", 0.4),
            stage("d", &["a", "b", "c"]),
        ],
    ]
}

#[test]
fn the_bound_of_every_small_series_parallel_graph_is_the_optimum() {
    for (i, stages) in series_parallel().iter().enumerate() {
        for seed in 0..2 {
            for promise in [4.0, 8.0] {
                let subject = drawn(stages, seed, promise);
                let want = brute_force(&subject);
                match bound(&subject, &PRICE) {
                    Ok(found) => {
                        let close = (found.cost - want).abs() < 1e-12;
                        assert!(close, "{i} {seed} {promise}: {} {want}", found.cost);
                        assert_eq!(found.method, Method::Exact);
                    }
                    Err(BoundError::Infeasible { .. }) => assert!(want.is_infinite()),
                    Err(other) => panic!("{other}"),
                }
            }
        }
    }
}

#[test]
fn the_bound_of_other_graphs_is_below_the_optimum_and_near_it() {
    // c waits for a and b, d for b alone: no parts in a row and side by side make this.
    let net = vec![
        stage("a", &[]),
        stage("b", &[]),
        stage("c", &["a", "b"]),
        stage("d", &["b"]),
    ];
    let mut met = 0;
    for seed in 0..6 {
        for promise in [2.0, 3.0, 5.0, 20.0] {
            let subject = drawn(&net, seed, promise);
            let want = brute_force(&subject);
            let Ok(found) = bound(&subject, &PRICE) else {
                assert!(want.is_infinite());
                continue;
            };
            met += 1;
            assert_eq!(found.method, Method::Multipliers);
            assert!(
                found.cost <= want + 1e-12,
                "{seed} {promise}: {} {want}",
                found.cost
            );
            assert!(
                found.cost >= 0.8 * want,
                "{seed} {promise}: {} {want}",
                found.cost
            );
            if let Some((plan, cost_told)) = found.plan {
                assert!(latency(&subject, &plan) <= promise);
                assert!((cost(&subject, &plan) - cost_told).abs() < 1e-12);
                assert!(cost_told >= want - 1e-12);
            }
        }
    }
    assert!(met > 8, "{met}");
}

#[test]
fn ways_that_exclude_each_other_in_a_row_still_give_a_bound() {
    // b behind a never runs with it: their path is no path of any request.
    let stages = vec![
        stage("a", &[]).chosen("way", 0.5),
        stage("x", &[]),
        stage("b", &["a", "x"]).chosen("way", 0.5),
    ];
    for seed in 0..4 {
        let subject = drawn(&stages, seed, 3.0);
        let want = brute_force(&subject);
        if let Ok(found) = bound(&subject, &PRICE) {
            assert!(found.cost <= want + 1e-12, "{} {want}", found.cost);
        }
    }
}

#[test]
fn every_published_workflow_can_be_kept_and_has_a_bound() {
    let mut stages = std::collections::BTreeSet::new();
    for entry in &WORKFLOWS {
        let subject = entry
            .subject()
            .unwrap_or_else(|p| panic!("{}: {p:?}", entry.name));
        let found = bound(&subject, &PRICE).unwrap_or_else(|e| panic!("{}: {e}", entry.name));
        let (plan, plan_cost) = found.plan.clone().expect("a plan");
        assert!(plan_cost >= found.cost - 1e-15, "{}", entry.name);
        // Where the grid is rounded, little is lost by it.
        assert!(plan_cost <= 1.01 * found.cost, "{}: {found:?}", entry.name);
        if subject.model.workflow.outcomes().unwrap().len() == 1 {
            assert!(latency(&subject, &plan) <= subject.promise.seconds + 1e-9);
            assert!((cost(&subject, &plan) - plan_cost).abs() < 1e-12);
        }
        stages.extend(
            subject
                .model
                .workflow
                .stages()
                .iter()
                .map(|s| s.name.clone()),
        );
    }
    // The ten functions of the social network, and the stages of video and pictures.
    for name in [
        "compose-post",
        "store-post",
        "read-social-graph",
        "write-home-timeline",
        "write-user-timeline",
        "text-filter",
        "image-filter",
        "read-home-timeline",
        "read-user-timeline",
        "read-post",
        "ml-image-processing",
        "ml-object-detection",
        "ml-human",
        "ml-vehicle",
        "video-watermark",
        "video-transcode",
        "video-scenechange",
        "video-face-detection-opencv",
    ] {
        assert!(stages.contains(name), "{name}");
    }
}

#[test]
fn a_promise_that_no_size_keeps_is_said_with_the_quickest() {
    let mut subject = published("reference");
    subject.promise.seconds = 1.0;
    let error = bound(&subject, &PRICE).unwrap_err();
    // 0.9 s fixed and 7 core·seconds on 6 cores.
    assert!(
        error.to_string().contains("the quickest take 2.06"),
        "{error}"
    );
}

fn noisy(noise: Noise) -> Model {
    Model {
        noise,
        ..published("reference").model
    }
}

const SIZES: [Size; 3] = [
    Size {
        cpu_cores: 2.0,
        memory_mib: 512.0,
    },
    Size {
        cpu_cores: 2.6,
        memory_mib: 1024.0,
    },
    Size {
        cpu_cores: 1.8,
        memory_mib: 256.0,
    },
];

const WARM: [bool; 3] = [false; 3];

#[test]
fn a_request_is_the_same_whatever_came_before_and_with_whatever_seed_of_others() {
    let model = noisy(Noise {
        spread: 0.2,
        ..Noise::default()
    });
    let first = model.request(Seed(3), 7, &SIZES, &WARM);
    assert_eq!(first, model.request(Seed(3), 7, &SIZES, &WARM));
    assert_ne!(first, model.request(Seed(3), 8, &SIZES, &WARM));
    assert_ne!(first, model.request(Seed(4), 7, &SIZES, &WARM));
}

#[test]
fn noise_has_mean_one_and_the_spread_asked_for() {
    let model = noisy(Noise {
        spread: 0.3,
        ..Noise::default()
    });
    let plain = model.noiseless(&SIZES)[0];
    let factors: Vec<f64> = (0..20_000)
        .map(|n| model.request(Seed(1), n, &SIZES, &WARM).seconds[0][0] / plain)
        .collect();
    let mean = factors.iter().sum::<f64>() / 20_000.0;
    let variance = factors.iter().map(|f| (f - mean).powi(2)).sum::<f64>() / 20_000.0;
    assert!((mean - 1.0).abs() < 4.0 * 0.3 / 20_000_f64.sqrt(), "{mean}");
    assert!((variance.sqrt() - 0.3).abs() < 0.01, "{}", variance.sqrt());
}

#[test]
fn slow_neighbours_slow_every_stage_of_a_request_and_stay_a_while() {
    let model = noisy(Noise {
        interference: Interference {
            probability: 0.25,
            factor: 2.0,
            requests: 5,
        },
        ..Noise::default()
    });
    let plain = model.noiseless(&SIZES);
    let slowed: Vec<bool> = (0..5000)
        .map(|n| {
            let request = model.request(Seed(2), n, &SIZES, &WARM);
            let factors: Vec<f64> = (0..3).map(|s| request.seconds[s][0] / plain[s]).collect();
            assert!(factors.iter().all(|f| (f - factors[0]).abs() < 1e-12));
            factors[0] > 1.5
        })
        .collect();
    assert!(slowed.chunks(5).all(|c| c.iter().all(|s| *s == c[0])));
    let share = slowed.iter().filter(|s| **s).count() as f64 / 5000.0;
    assert!((share - 0.25).abs() < 0.06, "{share}");
}

#[test]
fn the_first_call_of_a_container_is_longer_and_some_calls_are_odd_or_lost() {
    let noise = Noise {
        cold_start_seconds: 0.7,
        ..Noise::default()
    };
    let model = noisy(noise);
    let warm = model.request(Seed(1), 0, &SIZES, &WARM).latency;
    let cold = model
        .request(Seed(1), 0, &SIZES, &[true, false, true])
        .latency;
    assert!((cold - warm - 1.4).abs() < 1e-12);
    let odd = noisy(Noise {
        outliers: Outliers {
            probability: 0.05,
            factor: 10.0,
        },
        lost_probability: 0.02,
        ..Noise::default()
    });
    let (mut many, mut lost) = (0, 0);
    for number in 0..4000 {
        let request = odd.request(Seed(1), number, &SIZES, &WARM);
        many += usize::from(request.latency.is_finite() && request.latency > 2.0 * warm);
        if request.latency.is_infinite() {
            lost += 1;
            // What waits for the lost call never began.
            let place = request
                .seconds
                .iter()
                .position(|s| s == &[f64::INFINITY])
                .unwrap();
            assert!(request.seconds[place + 1..].iter().all(Vec::is_empty));
        }
    }
    // A tenfold stage of any of the three more than doubles the sum; 3 calls a request.
    assert!((many as f64 / 4000.0 - 0.14).abs() < 0.03, "{many}");
    assert!((f64::from(lost) / 4000.0 - 0.059).abs() < 0.015, "{lost}");
}

#[test]
fn chance_takes_each_way_as_often_as_told() {
    let model = published("social-network").model;
    let sizes = vec![size(1.0, 1024.0); model.surfaces.len()];
    let warm = vec![false; sizes.len()];
    let named = |name: &str| {
        let mut stages = model.workflow.stages().iter();
        stages.position(|s| s.name == name).unwrap()
    };
    let (compose, home, post) = (
        named("compose-post"),
        named("read-home-timeline"),
        named("read-post"),
    );
    let mut counts = [0; 3];
    for number in 0..5000 {
        let ran = model.request(Seed(5), number, &sizes, &warm).seconds;
        for (count, stage) in counts.iter_mut().zip([compose, home, post]) {
            *count += usize::from(!ran[stage].is_empty());
        }
        assert_ne!(ran[compose].is_empty(), ran[post].is_empty());
    }
    let shares = counts.map(|c| c as f64 / 5000.0);
    for (share, want) in shares.iter().zip([0.2, 0.4, 0.8]) {
        assert!((share - want).abs() < 0.03, "{shares:?}");
    }
}
