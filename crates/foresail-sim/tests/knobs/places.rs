//! Knobs of nodes, sizes and failures.

use foresail_core::act::Outcome;
use foresail_core::propose::advice::{Advice, Says};
use foresail_core::spec::ProposerSpec;
use foresail_models::registry::engine_of;
use foresail_sim::driver::{Listener, Story};
use foresail_sim::experiment::default_policies;
use foresail_sim::experiment::run::pilot;

use super::*;

pub(super) fn times(seconds: i64) -> Times {
    Times {
        mean: Span::from_seconds(seconds),
        shape: Shape::Constant,
    }
}

/// Nodes of two cores, so that each holds two pods.
pub(super) fn on_nodes(nodes: NodeConfig) -> ClusterConfig {
    let nodes = NodeConfig {
        cpu_millicores: 2000,
        provisioning: times(100),
        ..nodes
    };
    ClusterConfig {
        nodes: Some(nodes),
        startup: times(10),
        ..base()
    }
}

/// Asks at given seconds for any setting, and remembers how many pods were ready at each sync.
#[derive(Default)]
pub(super) struct Settings {
    asks: Vec<(i64, Setting)>,
    ready: Vec<(i64, usize)>,
    started: Vec<Vec<Option<i64>>>,
    sizes: Vec<(i64, Vec<i64>)>,
}

impl Pilot for Settings {
    fn sync(&mut self, seen: &Seen<'_>) -> Option<Setting> {
        let now = seen.now.seconds_floor();
        let ready = seen.pods.iter().filter(|p| p.ready && !p.deleting).count();
        self.ready.push((now, ready));
        let started = seen.pods.iter().map(|p| p.started_at);
        self.started
            .push(started.map(|s| s.map(|t| t.seconds_floor())).collect());
        let sizes = seen.pods.iter().map(|p| p.size.cpu).collect();
        self.sizes.push((now, sizes));
        let due = self.asks.iter().rev().find(|(at, _)| *at <= now);
        due.map(|(_, setting)| setting.clone())
    }
}

impl Settings {
    pub(super) fn ready_at(&self, second: i64) -> usize {
        let seen = self.ready.iter().rev().find(|(at, _)| *at <= second);
        seen.map_or(0, |(_, n)| *n)
    }
}

pub(super) fn asked(
    config: &ClusterConfig,
    rate: f64,
    asks: Vec<(i64, Setting)>,
) -> (Measures, Settings) {
    let mut pilot = Settings {
        asks,
        ..Settings::default()
    };
    let pipeline = Pipeline::default();
    let measures = run(config, &pipeline, &load(rate), Seed(11), &mut pilot).unwrap();
    (measures, pilot)
}

pub(super) fn replicas(n: u32) -> Setting {
    Setting::replicas(Replicas::new(n))
}

pub(super) fn cpu(millicores: i64) -> Setting {
    let mut setting = Setting::default();
    let amount = Quantity::from_milli(millicores, Unit::Count);
    setting.set(&Axis::PerPod("cpu".to_owned()), amount);
    setting
}

#[test]
fn pods_without_room_wait_for_a_node_that_takes_its_time() {
    let two = NodeConfig {
        initial: 2,
        ..NodeConfig::default()
    };
    let free = ClusterConfig {
        nodes: None,
        ..on_nodes(two)
    };
    let asks = vec![(100, replicas(8))];
    let (without, quick) = asked(&free, 2.0, asks.clone());
    let (with, slow) = asked(&on_nodes(two), 2.0, asks.clone());
    assert_eq!((quick.ready_at(120), slow.ready_at(120)), (8, 4));
    // Asked at 105, two nodes there at 205, ready at 215.
    assert_eq!((slow.ready_at(210), slow.ready_at(225)), (4, 8));
    assert!(
        slow.started.iter().any(|s| s.contains(&None)),
        "pods without a node have not started"
    );
    let unpaid = without.replica_minutes - with.replica_minutes;
    assert!((unpaid - 4.0 * 100.0 / 60.0).abs() < 0.1, "{unpaid}");
    let mut later = on_nodes(two);
    later.nodes.as_mut().unwrap().provisioning = times(300);
    let (_, later) = asked(&later, 2.0, asks.clone());
    assert_eq!((later.ready_at(410), later.ready_at(420)), (4, 8));
    let few = NodeConfig { max: 3, ..two };
    let (_, few) = asked(&on_nodes(few), 2.0, asks);
    assert_eq!(few.ready_at(3900), 6, "three nodes hold six");
}

#[test]
fn nodes_are_paid_from_order_to_end_and_empty_ones_given_back() {
    let config = |idle: Option<i64>| {
        let mut config = on_nodes(NodeConfig {
            initial: 2,
            idle: idle.map(Span::from_seconds),
            hour: 6.0,
            ..NodeConfig::default()
        });
        config.price.replica_hour = 0.0;
        config
    };
    let asks = vec![(100, replicas(8)), (1000, replicas(4))];
    let measured = |idle| asked(&config(idle), 2.0, asks.clone()).0;
    let (kept, short, long) = (measured(None), measured(Some(60)), measured(Some(600)));
    // Two nodes all along, two more from 105 s on.
    let all = (2.0 * 4000.0 + 2.0 * 3895.0) / 60.0;
    assert!(
        (kept.node_minutes - all).abs() < 0.1,
        "{}",
        kept.node_minutes
    );
    let saved = long.node_minutes - short.node_minutes;
    assert!((saved - 2.0 * 540.0 / 60.0).abs() < 0.2, "{saved}");
    assert!((short.cost - short.node_minutes / 10.0).abs() < 1e-9);
    assert!(short.cost < kept.cost);
}

#[test]
fn each_placement_fills_nodes_in_its_own_way() {
    let nodes_in_use = |placement| {
        let mut config = on_nodes(NodeConfig {
            initial: 4,
            placement,
            ..NodeConfig::default()
        });
        config.initial = 4;
        config.image_pull = Some(times(30));
        // A pod more on each node that has none yet must pull the image there.
        let (_, pilot) = asked(&config, 2.0, vec![(100, replicas(6))]);
        pilot.ready_at(120)
    };
    assert_eq!(
        nodes_in_use(Placement::LeastAllocated),
        6,
        "all nodes have the image"
    );
    assert_eq!(
        nodes_in_use(Placement::MostAllocated),
        4,
        "two are full, two new"
    );
    assert_eq!(nodes_in_use(Placement::FirstFit), 4);
}

#[test]
fn the_first_pod_on_a_node_waits_for_the_image_and_the_others_find_it() {
    let config = |pull: Option<i64>| ClusterConfig {
        image_pull: pull.map(times),
        initial: 1,
        ..on_nodes(NodeConfig {
            initial: 3,
            placement: Placement::FirstFit,
            ..NodeConfig::default()
        })
    };
    let asks = || {
        vec![
            (100, replicas(2)),
            (500, replicas(4)),
            (900, replicas(3)),
            (1200, replicas(4)),
        ]
    };
    let (_, cached) = asked(&config(Some(60)), 2.0, asks());
    let (_, none) = asked(&config(None), 2.0, asks());
    assert_eq!(
        (cached.ready_at(120), none.ready_at(120)),
        (2, 2),
        "the image is there"
    );
    assert_eq!((cached.ready_at(525), none.ready_at(525)), (2, 4));
    assert_eq!(
        (cached.ready_at(570), cached.ready_at(585)),
        (2, 4),
        "70 s after 510"
    );
    assert_eq!(cached.ready_at(1230), 4, "not pulled a second time");
}

#[test]
fn memory_of_nodes_and_pods_decides_how_many_fit() {
    let ready = |memory_gib, request| {
        let mut config = on_nodes(NodeConfig {
            initial: 1,
            max: 1,
            memory_gib,
            ..NodeConfig::default()
        });
        config.nodes.as_mut().unwrap().cpu_millicores = 8000;
        config.initial = 1;
        config.memory_request_gib = request;
        asked(&config, 2.0, vec![(100, replicas(8))])
            .1
            .ready_at(200)
    };
    assert_eq!(
        (ready(8.0, 1.0), ready(8.0, 2.0), ready(4.0, 2.0)),
        (8, 4, 2)
    );
}

#[test]
fn pods_fail_at_their_rate_and_what_they_held_is_lost() {
    let config = |per_pod_hour| ClusterConfig {
        crash: Some(CrashConfig {
            per_pod_hour,
            ..CrashConfig::default()
        }),
        startup: times(10),
        initial: 20,
        ..base()
    };
    let (none, some) = (still(&config(0.0), 20.0), still(&config(6.0), 20.0));
    assert_eq!((none.crashes, none.requests.crashed), (0, 0));
    assert_eq!(
        none,
        still(
            &ClusterConfig {
                crash: None,
                ..config(0.0)
            },
            20.0
        )
    );
    // 20 pods for 4000 s at 6 an hour, less the time that they are away.
    let expected = 20.0 * 4000.0 / 3600.0 * 6.0;
    let crashes = some.crashes as f64;
    assert!(
        (0.7..1.05).contains(&(crashes / expected)),
        "{crashes} of {expected}"
    );
    // Half a request is in service on each.
    let lost = some.requests.crashed as f64 / crashes;
    assert!((0.4..0.65).contains(&lost), "{lost}");
    assert!(some.requests.are_conserved());
    assert!(some.violations >= some.requests.crashed);
    let backed_off = |back_off, back_off_max| {
        let mut config = config(20.0);
        let crash = config.crash.as_mut().unwrap();
        crash.back_off = Span::from_seconds(back_off);
        crash.back_off_max = Span::from_seconds(back_off_max);
        still(&config, 20.0).crashes
    };
    let [quick, slow, slower] = [(0, 0), (100, 100), (100, 800)].map(|(b, m)| backed_off(b, m));
    // A pod lives 180 s; away for 10 s, 110 s, or longer each time.
    assert!(
        quick * 10 > slow * 13 && slow * 10 > slower * 12,
        "{quick} {slow} {slower}"
    );
}

#[test]
fn requests_that_share_cpu_slow_each_other_down() {
    // Each request wants half a core; four at once want two.
    let config = |cpu_bound, cpu_request_millicores| ClusterConfig {
        concurrency: 4,
        cpu_bound,
        cpu_request_millicores,
        ..base()
    };
    let free = still(&config(false, 1000), 12.0);
    assert_eq!(free.latency, still(&config(false, 500), 12.0).latency);
    let plenty = still(&config(true, 2000), 12.0);
    assert_eq!(
        plenty.latency, free.latency,
        "CPU for all four: nothing is shared"
    );
    let mean = |m: &Measures| m.latency.mean_seconds().unwrap();
    let (one, half) = (
        still(&config(true, 1000), 12.0),
        still(&config(true, 600), 8.0),
    );
    assert!(
        mean(&one) > 1.1 * mean(&free),
        "{} {}",
        mean(&one),
        mean(&free)
    );
    assert!(one.requests.are_conserved() && half.requests.are_conserved());
    // What is used never exceeds what there is: 4 pods at 600m serve at most 9.6 a second.
    let most = still(&config(true, 600), 30.0).requests.served as f64 / 4000.0;
    assert!((most / 9.6 - 1.0).abs() < 0.02, "{most}");
    let judged = |slo: &str| {
        let config = ClusterConfig {
            slo: slo.parse().unwrap(),
            ..config(true, 1000)
        };
        still(&config, 12.0)
    };
    let measured = judged("latency<1s:99%");
    let above = measured
        .latency
        .tail()
        .iter()
        .rev()
        .find(|(ms, _)| *ms <= 1000.0)
        .unwrap()
        .1;
    let share = measured.violations as f64 / measured.requests.arrived as f64;
    assert!((share - above).abs() < 0.01, "{share} and {above}");
}

#[test]
fn a_resize_changes_speed_price_and_what_is_measured_against() {
    let config = ClusterConfig {
        concurrency: 4,
        cpu_bound: true,
        cpu_request_millicores: 600,
        ..base()
    };
    let mut dear = config.clone();
    dear.price = foresail_core::value::cost::Price {
        replica_hour: 0.0,
        cpu_core_hour: 1.0,
        memory_gib_hour: 0.0,
    };
    let (small, _) = asked(&dear, 8.0, Vec::new());
    let (grown, seen) = asked(&dear, 8.0, vec![(2000, cpu(1200))]);
    let hours = 4.0 * 4000.0 / 3600.0;
    assert!((small.cost - hours * 0.6).abs() < 1e-9, "{}", small.cost);
    // 600m for 2010 s and 1200m after.
    let expected = 4.0 * (2010.0 * 0.6 + 1990.0 * 1.2) / 3600.0;
    assert!(
        (grown.cost - expected).abs() < 0.01,
        "{} {expected}",
        grown.cost
    );
    assert!(grown.latency.mean_seconds() < small.latency.mean_seconds());
    assert_eq!(seen.sizes.last().unwrap().1, [1200; 4]);
    let slow = ClusterConfig {
        resize: Span::from_seconds(300),
        ..dear
    };
    let (slow, seen) = asked(&slow, 8.0, vec![(2000, cpu(1200))]);
    assert!((grown.cost - slow.cost - 4.0 * 300.0 * 0.6 / 3600.0).abs() < 1e-6);
    let at = |second| {
        &seen
            .sizes
            .iter()
            .rev()
            .find(|(at, _)| *at <= second)
            .unwrap()
            .1
    };
    assert_eq!((at(2300)[0], at(2325)[0]), (600, 1200));
}

#[test]
fn a_larger_size_waits_for_room_on_its_node() {
    let mut config = on_nodes(NodeConfig {
        initial: 1,
        max: 1,
        ..NodeConfig::default()
    });
    config.initial = 2;
    // A node of two cores is full with two pods of one; only when one goes can the other grow.
    let grow = || vec![(100, cpu(1500))];
    let (_, seen) = asked(&config, 1.0, grow());
    assert_eq!(seen.sizes.last().unwrap().1, [1000, 1000]);
    let mut both = cpu(1500);
    both.replicas = Some(Replicas::new(1));
    let (_, seen) = asked(&config, 1.0, vec![(100, cpu(1500)), (500, both)]);
    assert_eq!(seen.sizes.last().unwrap().1, [1500]);
    let (_, seen) = asked(&config, 1.0, vec![(100, cpu(9000))]);
    assert_eq!(
        seen.sizes.last().unwrap().1,
        [1000, 1000],
        "fits on no node: left"
    );
}

/// Outcomes of the decisions that were written.
#[derive(Default)]
struct Outcomes(Vec<Outcome>);

impl Listener for Outcomes {
    fn told(&mut self, story: &Story<'_>) {
        self.0.extend(story.outcome);
    }
}

#[test]
fn a_pod_larger_than_any_node_is_refused_and_the_engine_is_told() {
    let fly = |millicores| {
        let cluster = on_nodes(NodeConfig::default());
        let mut setup = sizes::setup(cluster);
        (setup.min, setup.max) = (4, 4);
        let item = sizes::item(setup, load(2.0));
        let mut policy = default_policies(&item.setup, 2.0, 2.0).swap_remove(0);
        policy.spec.proposers = vec![ProposerSpec::named("advice")];
        let mut setting = cpu(millicores);
        setting.replicas = Some(Replicas::new(4));
        let advice = Advice {
            by: "advice".to_owned(),
            at: Timestamp::EPOCH,
            until: Timestamp::EPOCH + Span::from_seconds(4000),
            says: Says::Plan(vec![(item.setup.target.clone(), setting)]),
            confidence_percent: Some(100),
            text: "a size".to_owned(),
        };
        let engine = engine_of(policy.spec.clone(), Seed(1)).unwrap();
        let mut pilot = pilot(&item, &policy, engine, Outcomes::default()).advised(vec![advice]);
        let cluster = ClusterConfig {
            initial: 4,
            ..item.setup.cluster.clone()
        };
        run(
            &cluster,
            &policy.pipeline,
            &item.workload,
            Seed(1),
            &mut pilot,
        )
        .unwrap();
        pilot.listener.0
    };
    // Nodes have two cores.
    assert_eq!(fly(1500), [Outcome::Applied]);
    let refused = fly(2500);
    assert!(!refused.is_empty() && refused.iter().all(|o| *o == Outcome::Failed));
}
