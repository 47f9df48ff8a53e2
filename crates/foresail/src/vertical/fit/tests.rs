//! Limits, QoS classes, LimitRanges and quotas, in numbers.

use super::*;
use crate::vertical::qos::Qos;
use crate::vertical::room::Edges;

const MI: i64 = (1 << 20) * 1000;

fn amounts(pairs: &[(&str, i64)]) -> Amounts {
    pairs.iter().map(|(n, a)| ((*n).to_owned(), *a)).collect()
}

fn size(requests: &[(&str, i64)], limits: &[(&str, i64)]) -> ContainerSize {
    ContainerSize {
        requests: amounts(requests),
        limits: amounts(limits),
    }
}

fn pod(containers: &[(&str, ContainerSize)]) -> PodSize {
    containers
        .iter()
        .map(|(n, s)| ((*n).to_owned(), s.clone()))
        .collect()
}

/// One container with twice its requests as limits.
fn burstable() -> PodSize {
    let requests = [("cpu", 100), ("memory", 64 * MI)];
    let limits = [("cpu", 200), ("memory", 128 * MI)];
    pod(&[("main", size(&requests, &limits))])
}

fn main_wants(cpu: i64, memory: i64) -> BTreeMap<String, Amounts> {
    BTreeMap::from([(
        "main".to_owned(),
        amounts(&[("cpu", cpu), ("memory", memory)]),
    )])
}

struct Case {
    now: PodSize,
    wanted: BTreeMap<String, Amounts>,
    room: Room,
    used: BTreeMap<String, i64>,
    pods: u32,
    surge: u32,
    adds: bool,
    keeps_limits: BTreeSet<String>,
}

impl Case {
    fn new(now: PodSize, wanted: BTreeMap<String, Amounts>) -> Self {
        Self {
            now,
            wanted,
            room: Room::default(),
            used: BTreeMap::new(),
            pods: 4,
            surge: 0,
            adds: false,
            keeps_limits: BTreeSet::new(),
        }
    }

    fn edges(mut self, change: impl FnOnce(&mut Edges)) -> Self {
        change(&mut self.room.container);
        self
    }

    fn fit(&self) -> Fitted {
        fit(&Question {
            now: &self.now,
            beside: &[],
            wanted: &self.wanted,
            used: &self.used,
            room: &self.room,
            keeps_limits: &self.keeps_limits,
            pods: self.pods,
            surge: self.surge,
            adds: self.adds,
        })
    }
}

fn told(fitted: &Fitted) -> Vec<String> {
    let told = |c: &Cut| {
        let of = |milli| quantity(&c.resource, milli);
        format!(
            "{} {} {}→{}, {}",
            c.container,
            c.resource,
            of(c.from),
            of(c.to),
            c.why
        )
    };
    fitted.cuts.iter().map(told).collect()
}

#[test]
fn limits_keep_their_ratio_and_what_is_equal_stays_equal() {
    let fitted = Case::new(burstable(), main_wants(333, 100 * MI)).fit();
    assert_eq!(
        fitted.sizes["main"],
        size(
            &[("cpu", 333), ("memory", 100 * MI)],
            &[("cpu", 666), ("memory", 200 * MI)]
        )
    );
    assert!(fitted.cuts.is_empty() && fitted.notes.is_empty());

    let equal = [("cpu", 300), ("memory", 64 * MI)];
    let fitted = Case::new(
        pod(&[("main", size(&equal, &equal))]),
        main_wants(101, 77 * MI),
    )
    .fit();
    let new = &fitted.sizes["main"];
    assert_eq!(new.requests, new.limits);
    assert_eq!(qos(fitted.sizes.values()), Qos::Guaranteed);

    // Without a limit none comes; what is wanted as it is changes nothing.
    let open = pod(&[("main", size(&[("cpu", 100), ("memory", MI)], &[]))]);
    let fitted = Case::new(open.clone(), main_wants(150, MI)).fit();
    assert!(fitted.sizes["main"].limits.is_empty());
    assert!(Case::new(open, main_wants(100, MI)).fit().sizes.is_empty());
}

#[test]
fn a_limit_range_cuts_request_and_limit_together_and_says_so() {
    let most = Case::new(burstable(), main_wants(400, 64 * MI))
        .edges(|e| e.max = amounts(&[("cpu", 500)]));
    let fitted = most.fit();
    assert_eq!(
        told(&fitted),
        ["main cpu 400m→250m, the namespace allows at most 500m"]
    );
    assert_eq!(fitted.sizes["main"].limits["cpu"], 500);
    // Without a limit the request itself is held.
    let open = pod(&[("main", size(&[("cpu", 100)], &[]))]);
    let fitted = Case::new(open, main_wants(600, MI))
        .edges(|e| e.max = amounts(&[("cpu", 500)]))
        .fit();
    assert_eq!(
        told(&fitted)[0],
        "main cpu 600m→500m, the namespace allows at most 500m"
    );

    let least =
        Case::new(burstable(), main_wants(20, 64 * MI)).edges(|e| e.min = amounts(&[("cpu", 50)]));
    let fitted = least.fit();
    assert_eq!(
        told(&fitted),
        ["main cpu 20m→50m, the namespace allows at least 50m"]
    );
    assert_eq!(fitted.sizes["main"].limits["cpu"], 100);
}

#[test]
fn a_limit_that_is_too_many_times_its_request_is_cut() {
    let case = Case::new(burstable(), main_wants(300, 64 * MI))
        .edges(|e| e.ratio = amounts(&[("cpu", 1500)]));
    let fitted = case.fit();
    assert_eq!(fitted.sizes["main"].limits["cpu"], 450);
    assert!(
        fitted.notes[0].contains("450m") && fitted.notes[0].contains("1500m times"),
        "{:?}",
        fitted.notes
    );
}

#[test]
fn a_pods_containers_share_what_the_namespace_gives_a_pod() {
    let own = |cpu| size(&[("cpu", cpu)], &[]);
    let now = pod(&[("a", own(100)), ("b", own(100))]);
    let wanted = BTreeMap::from([
        ("a".to_owned(), amounts(&[("cpu", 300)])),
        ("b".to_owned(), amounts(&[("cpu", 100)])),
    ]);
    let mut case = Case::new(now, wanted);
    case.room.pod.max = amounts(&[("cpu", 200)]);
    let fitted = case.fit();
    assert_eq!(fitted.sizes["a"].requests["cpu"], 150);
    assert_eq!(fitted.sizes["b"].requests["cpu"], 50);
    case.room.pod = Edges {
        min: amounts(&[("cpu", 800)]),
        ..Edges::default()
    };
    let fitted = case.fit();
    assert_eq!(fitted.sizes["a"].requests["cpu"], 600);
    assert_eq!(fitted.sizes["b"].requests["cpu"], 200);
}

#[test]
fn a_quota_cuts_rises_and_what_falls_makes_room() {
    let left = |requests: &[(&str, i64)], limits: &[(&str, i64)]| Quota {
        name: "q".to_owned(),
        requests: amounts(requests),
        limits: amounts(limits),
    };
    let mut case = Case::new(burstable(), main_wants(400, 64 * MI));
    // 400m left for 4 pods are 100m each.
    case.room.quotas = vec![left(&[("cpu", 400)], &[])];
    assert_eq!(
        told(&case.fit()),
        ["main cpu 400m→200m, the namespace's quota leaves 100m a pod"]
    );
    // The limit of 800m would rise by 600m, and 300m each are left: 500m are the limit of 250m.
    case.room.quotas = vec![left(&[], &[("cpu", 1200)])];
    assert_eq!(
        case.fit().sizes["main"],
        size(
            &[("cpu", 250), ("memory", 64 * MI)],
            &[("cpu", 500), ("memory", 128 * MI)]
        )
    );
    // A cut is never held by a quota that is spent.
    let mut down = Case::new(burstable(), main_wants(50, 64 * MI));
    down.room.quotas = vec![left(&[("cpu", 0)], &[("cpu", 0)])];
    assert_eq!(down.fit().sizes["main"].requests["cpu"], 50);
    // A rollout needs a whole new pod before an old one goes.
    case.surge = 1;
    case.room.quotas = vec![left(&[("cpu", 400)], &[])];
    assert_eq!(case.fit().sizes["main"].requests["cpu"], 200);
    case.room.quotas = vec![left(&[("cpu", 150)], &[])];
    assert_eq!(case.fit().sizes["main"].requests["cpu"], 137);
    case.surge = 2;
    assert!(
        case.fit().sizes.is_empty(),
        "two new pods of 100m have no room: {:?}",
        case.fit()
    );
}

#[test]
fn a_pod_keeps_its_class() {
    // A ratio of 1 would make the limits equal to the requests.
    let case = Case::new(burstable(), main_wants(300, 90 * MI))
        .edges(|e| e.ratio = amounts(&[("cpu", 1000), ("memory", 1000)]));
    let fitted = case.fit();
    assert_eq!(qos(case.now.values()), Qos::Burstable);
    let new: Vec<&ContainerSize> = case
        .now
        .iter()
        .map(|(n, s)| fitted.sizes.get(n).unwrap_or(s))
        .collect();
    assert_eq!(qos(new.iter().copied()), Qos::Burstable, "{fitted:?}");
}

#[test]
fn nothing_that_could_not_be_taken_away_again_is_added_in_place() {
    let bare = pod(&[("main", size(&[("cpu", 100)], &[]))]);
    let mut case = Case::new(bare, main_wants(200, 90 * MI));
    let fitted = case.fit();
    assert_eq!(fitted.sizes["main"], size(&[("cpu", 200)], &[]));
    assert!(fitted.notes[0].starts_with("main asks for no memory"));
    case.adds = true;
    assert_eq!(case.fit().sizes["main"].requests["memory"], 90 * MI);
    // Pods that ask for nothing stay best effort either way.
    case.now = pod(&[("main", ContainerSize::default())]);
    let fitted = case.fit();
    assert!(fitted.sizes.is_empty());
    assert!(
        fitted.notes[0].contains("BestEffort and stay so"),
        "{:?}",
        fitted.notes
    );
}

#[test]
fn a_memory_limit_is_not_cut_below_what_was_used() {
    let mut case = Case::new(burstable(), main_wants(100, 32 * MI));
    case.used.insert("main".to_owned(), 80 * MI);
    let fitted = case.fit();
    // 115 % of 80 MiB are 92 MiB of limit, 46 MiB of request.
    assert_eq!(
        told(&fitted),
        ["main memory 32Mi→46Mi, the limit would be below 80Mi of use"]
    );
    assert_eq!(fitted.sizes["main"].limits["memory"], 92 * MI);
    // It is never raised for that.
    case.used.insert("main".to_owned(), 500 * MI);
    assert!(case.fit().sizes.is_empty());
}

#[test]
fn what_comes_out_is_admitted_whatever_goes_in() {
    bolero::check!()
        .with_type::<([u16; 4], [u16; 4], [u16; 3], bool)>()
        .for_each(|(has, wants, room, equal)| {
            let of = |x: u16| i64::from(x) + 1;
            let requests = [("cpu", of(has[0])), ("memory", of(has[1]) * 1000)];
            let limits = match equal {
                true => requests,
                false => [
                    ("cpu", of(has[0]) + i64::from(has[2])),
                    ("memory", (of(has[1]) + i64::from(has[3])) * 1000),
                ],
            };
            let now = pod(&[("main", size(&requests, &limits))]);
            let mut case = Case::new(now, main_wants(of(wants[0]), of(wants[1]) * 1000));
            // What is there now is within the range, as the server admitted it.
            let most = limits[0].1.max(of(room[0]));
            case.room.container.max = amounts(&[("cpu", most)]);
            case.room.container.min = amounts(&[("cpu", requests[0].1.min(of(room[1])))]);
            case.room.quotas = vec![Quota {
                name: String::new(),
                requests: amounts(&[("cpu", i64::from(room[2]))]),
                limits: Amounts::new(),
            }];
            case.pods = u32::from(wants[2] % 50) + 1;
            let fitted = case.fit();
            let new = fitted.sizes.get("main").unwrap_or(&case.now["main"]);
            let old = &case.now["main"];
            for resource in ["cpu", "memory"] {
                assert!(new.limits[resource] >= new.requests[resource], "{new:?}");
                assert!(new.requests[resource] > 0, "{new:?}");
            }
            assert_eq!(qos([old]), qos([new]));
            assert!(new.limits["cpu"] <= most, "{new:?} {most}");
            assert!(
                new.requests["cpu"] >= case.room.container.min["cpu"],
                "{new:?}"
            );
            let grown = (new.requests["cpu"] - old.requests["cpu"]).max(0);
            assert!(
                grown * i64::from(case.pods) <= i64::from(room[2]),
                "{new:?}"
            );
            for pair in fitted.cuts.windows(2) {
                assert!(pair.iter().all(|c| c.from != c.to));
            }
        });
}

#[test]
fn a_request_stays_within_a_limit_that_is_not_to_change() {
    let keeps = |mut case: Case| {
        case.keeps_limits = BTreeSet::from(["main".to_owned()]);
        case
    };
    let fitted = keeps(Case::new(burstable(), main_wants(150, 32 * MI))).fit();
    let limits = [("cpu", 200), ("memory", 128 * MI)];
    assert_eq!(
        fitted.sizes["main"],
        size(&[("cpu", 150), ("memory", 32 * MI)], &limits)
    );
    assert!(fitted.cuts.is_empty());
    // Memory would reach its limit as CPU does: then the pod would be Guaranteed, and all stays.
    let fitted = keeps(Case::new(burstable(), main_wants(333, 100 * MI))).fit();
    assert_eq!(
        fitted.sizes["main"],
        size(&[("cpu", 200), ("memory", 100 * MI)], &limits)
    );
    assert_eq!(
        told(&fitted),
        ["main cpu 333m→200m, its limit of 200m stays"]
    );
    let fitted = keeps(Case::new(burstable(), main_wants(333, 900 * MI))).fit();
    assert!(fitted.sizes.is_empty());
    assert!(fitted.cuts.iter().any(|c| c.why == Why::QosClass));
    // A namespace that wants a limit to be near its request.
    let near = keeps(Case::new(burstable(), main_wants(50, 64 * MI)))
        .edges(|e| e.ratio = amounts(&[("cpu", 2500)]))
        .fit();
    assert_eq!(near.sizes["main"].requests["cpu"], 80);
}
