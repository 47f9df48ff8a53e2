//! The candidate against an API server that is played: versions, conflicts, outages, and what stands
//! in the lease.
#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test stops where it fails"
)]

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use foresail_adapters::clock::{Clock, ManualClock};
use foresail_adapters::kubernetes::lease::{
    Candidate, Epoch, Leadership, Name, NotLeading, Timing, TimingError,
};
use foresail_core::quantity::time::Timestamp;
use http::{Method, Request, Response, StatusCode};
use http_body_util::BodyExt;
use kube::Client;
use kube::client::Body;
use serde_json::{Value, json};
use tokio::sync::oneshot;

/// The server: one lease, and what it does with the next requests instead of serving them.
#[derive(Debug, Default)]
struct Server {
    lease: Option<Value>,
    versions: u64,
    asked: Vec<(Method, StatusCode)>,
    script: VecDeque<Play>,
}

#[derive(Clone, Copy, Debug)]
enum Play {
    /// An answer of this status.
    Say(u16),
    /// Served, but no answer comes.
    Mute,
    /// Not served, and no answer comes.
    Hang,
}

type Shared = Arc<Mutex<Server>>;

fn status(code: u16, reason: &str) -> (StatusCode, Value) {
    let body = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": reason, "code": code});
    (StatusCode::from_u16(code).unwrap(), body)
}

impl Server {
    fn store(&mut self, mut lease: Value) -> (StatusCode, Value) {
        self.versions += 1;
        lease["metadata"]["resourceVersion"] = json!(self.versions.to_string());
        self.lease = Some(lease.clone());
        (StatusCode::OK, lease)
    }

    fn serve(&mut self, method: &Method, body: Value) -> (StatusCode, Value) {
        match (method.as_str(), self.lease.clone()) {
            ("GET", Some(lease)) => (StatusCode::OK, lease),
            ("GET" | "PUT", None) => status(404, "NotFound"),
            ("POST", Some(_)) => status(409, "AlreadyExists"),
            ("POST", None) => self.store(body),
            (_, Some(found)) => {
                let version = &body["metadata"]["resourceVersion"];
                if *version != found["metadata"]["resourceVersion"] {
                    return status(409, "Conflict");
                }
                if body == found {
                    return (StatusCode::OK, found);
                }
                self.store(body)
            }
            _ => status(405, "MethodNotAllowed"),
        }
    }

    fn spec(&self) -> Value {
        self.lease.as_ref().unwrap()["spec"].clone()
    }
}

fn client(server: &Shared) -> Client {
    let server = Arc::clone(server);
    let service = tower::service_fn(move |request: Request<Body>| {
        let server = Arc::clone(&server);
        async move {
            let (parts, body) = request.into_parts();
            assert!(
                parts
                    .uri
                    .path()
                    .starts_with("/apis/coordination.k8s.io/v1/namespaces/ops/leases")
            );
            let bytes = body.collect().await.unwrap().to_bytes();
            let body = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
            let answer = {
                let mut server = server.lock().unwrap();
                let play = server.script.pop_front();
                let (code, body) = match play {
                    Some(Play::Say(code)) => status(code, "Played"),
                    Some(Play::Hang) => status(500, "Hung"),
                    _ => server.serve(&parts.method, body),
                };
                server.asked.push((parts.method, code));
                (!matches!(play, Some(Play::Hang | Play::Mute))).then_some((code, body))
            };
            let Some((code, body)) = answer else {
                return std::future::pending().await;
            };
            let body = Body::from(serde_json::to_vec(&body).unwrap());
            let response = Response::builder().status(code).body(body);
            Ok::<_, std::convert::Infallible>(response.unwrap())
        }
    });
    Client::new(service, "ops")
}

/// A candidate at work.
struct Running {
    leadership: Leadership,
    clock: Arc<ManualClock>,
    stop: oneshot::Sender<()>,
    ended: tokio::task::JoinHandle<()>,
}

fn name(identity: &str) -> Name {
    Name {
        namespace: "ops".to_owned(),
        lease: "foresail".to_owned(),
        identity: identity.to_owned(),
    }
}

fn start(server: &Shared, identity: &str, timing: Timing) -> Running {
    let wall = Timestamp::from_seconds(1_767_225_600);
    let clock = Arc::new(ManualClock::new(Duration::from_secs(500), wall));
    let given: Arc<dyn Clock> = clock.clone();
    let seen = (Epoch(0), 1);
    let (candidate, leadership) =
        Candidate::new(client(server), &name(identity), timing, given, seen).unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let ended = tokio::spawn(candidate.run(async {
        let _ = stopped.await;
    }));
    Running {
        leadership,
        clock,
        stop,
        ended,
    }
}

/// Lets everything run that can, without any time passing.
async fn settle() {
    for _ in 0..200 {
        tokio::task::yield_now().await;
    }
}

impl Running {
    /// Seconds go by in steps of a tenth, each with all that follows from it.
    async fn pass(&self, seconds: u64) {
        for _ in 0..seconds * 10 {
            self.clock.advance(Duration::from_millis(100));
            settle().await;
        }
    }

    fn leads(&self) -> Option<u64> {
        self.leadership
            .leads(self.clock.mono())
            .map(|epoch| epoch.0)
    }
}

fn lock(server: &Shared) -> MutexGuard<'_, Server> {
    server.lock().unwrap()
}

#[tokio::test]
async fn it_makes_the_lease_renews_it_and_gives_it_back() {
    let server = Shared::default();
    let one = start(&server, "one", Timing::default());
    settle().await;
    assert_eq!(one.leads(), Some(1));
    let spec = lock(&server).spec();
    assert_eq!(spec["holderIdentity"], "one");
    assert_eq!(
        (&spec["leaseDurationSeconds"], &spec["leaseTransitions"]),
        (&json!(15), &json!(1))
    );
    assert_eq!(spec["acquireTime"], "2026-01-01T00:00:00.000000Z");
    one.pass(60).await;
    assert_eq!(one.leads(), Some(1));
    let spec = lock(&server).spec();
    assert_eq!(spec["acquireTime"], "2026-01-01T00:00:00.000000Z");
    assert_ne!(spec["renewTime"], spec["acquireTime"]);
    let writes = lock(&server)
        .asked
        .iter()
        .filter(|(m, _)| *m == Method::PUT)
        .count();
    assert!((28..=31).contains(&writes), "{writes}");

    one.stop.send(()).unwrap();
    one.ended.await.unwrap();
    assert_eq!(one.leadership.leads(one.clock.mono()), None);
    let spec = lock(&server).spec();
    assert_eq!(
        (&spec["holderIdentity"], &spec["leaseDurationSeconds"]),
        (&json!(""), &json!(1))
    );
    assert_eq!(spec["leaseTransitions"], 1);
    // Who waits takes it at his next look, with the next epoch.
    let two = start(&server, "two", Timing::default());
    settle().await;
    assert_eq!(two.leads(), Some(2));
    assert_eq!(lock(&server).spec()["leaseTransitions"], 2);
}

#[tokio::test]
async fn another_takes_over_fifteen_seconds_after_the_last_change_that_it_saw() {
    let server = Shared::default();
    let one = start(&server, "one", Timing::default());
    settle().await;
    let two = start(&server, "two", Timing::default());
    two.pass(30).await;
    // The clock of `one` stood still, so that it renewed nothing; `two` waited for its 15 s.
    assert_eq!(two.leads(), Some(2));
    assert_eq!(one.leads(), Some(1));
    // It wakes within what it believes, is refused, looks, and steps down at once.
    one.pass(3).await;
    assert_eq!(one.leads(), None);
    assert_eq!(lock(&server).spec()["holderIdentity"], "two");
}

#[tokio::test]
async fn nothing_is_believed_after_ten_seconds_without_a_renewal() {
    for play in [Play::Say(503), Play::Hang, Play::Mute, Play::Say(403)] {
        let server = Shared::default();
        let one = start(&server, "one", Timing::default());
        settle().await;
        lock(&server).script = std::iter::repeat_n(play, 12).collect();
        one.pass(9).await;
        assert_eq!(one.leads(), Some(1), "{play:?}");
        one.pass(1).await;
        assert_eq!(one.leads(), None, "{play:?}");
        // Once the server is back it leads again, under another epoch.
        lock(&server).script.clear();
        one.pass(25).await;
        assert!(one.leads() > Some(1), "{play:?} {:?}", one.leads());
    }
}

#[tokio::test]
async fn a_renewal_whose_answer_was_lost_is_made_good_before_the_lease_is_over() {
    let server = Shared::default();
    let one = start(&server, "one", Timing::default());
    settle().await;
    lock(&server).script.push_back(Play::Mute);
    for _ in 0..30 {
        one.pass(1).await;
        assert_eq!(one.leads(), Some(1));
    }
}

#[tokio::test]
async fn what_is_not_ours_in_the_object_stays() {
    let server = Shared::default();
    lock(&server).store(json!({
        "apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
        "metadata": {"name": "foresail", "namespace": "ops", "labels": {"team": "x"}, "annotations": {"a": "b"}},
    }));
    let one = start(&server, "one", Timing::default());
    one.pass(10).await;
    assert_eq!(one.leads(), Some(1));
    let lease = lock(&server).lease.clone().unwrap();
    assert_eq!(lease["metadata"]["labels"]["team"], "x");
    assert_eq!(lease["metadata"]["annotations"]["a"], "b");
    assert!(
        lock(&server)
            .asked
            .iter()
            .all(|(method, _)| *method != Method::POST)
    );
}

#[tokio::test]
async fn the_fence_wants_time_left_and_a_fresh_proof() {
    let server = Shared::default();
    let one = start(&server, "one", Timing::default());
    settle().await;
    let begun = one.clock.mono();
    let fence = |seconds: u64| one.leadership.fence(begun + Duration::from_secs(seconds));
    assert_eq!(fence(0), Ok(Epoch(1)));
    assert_eq!(fence(2), Ok(Epoch(1)));
    assert!(matches!(fence(3), Err(NotLeading::Unconfirmed { .. })));
    assert!(matches!(fence(9), Err(NotLeading::TooLate { .. })));
    assert_eq!(fence(10), Err(NotLeading::NoLease));
    assert_eq!(
        one.leadership.left(begun + Duration::from_secs(4)),
        Duration::from_secs(6)
    );
    // The renewals hang: a look at the lease proves it for two seconds more.
    lock(&server).script = [Play::Hang].into();
    one.pass(4).await;
    let now = one.clock.mono();
    assert!(matches!(
        one.leadership.fence(now),
        Err(NotLeading::Unconfirmed { .. })
    ));
    assert_eq!(one.leadership.confirm().await, Ok(Epoch(1)));
    assert_eq!(one.leadership.fence(now), Ok(Epoch(1)));
    // It is another's now, which the candidate itself does not know yet.
    let mut stolen = lock(&server).lease.clone().unwrap();
    stolen["spec"]["holderIdentity"] = json!("thief");
    lock(&server).store(stolen);
    assert_eq!(one.leads(), Some(1));
    assert_eq!(one.leadership.confirm().await, Err(NotLeading::NoLease));
}

#[tokio::test]
async fn a_cleared_or_deleted_lease_is_waited_for_by_those_who_knew_it() {
    for deleted in [false, true] {
        let server = Shared::default();
        let one = start(&server, "one", Timing::default());
        settle().await;
        let two = start(&server, "two", Timing::default());
        two.pass(3).await;
        {
            let mut server = lock(&server);
            let mut cleared = server.lease.take().unwrap();
            cleared["spec"]["holderIdentity"] = json!("");
            if !deleted {
                server.store(cleared);
            }
        }
        // `one` still believes for a while; `two` must not lead within it.
        two.pass(12).await;
        assert_eq!(two.leads(), None, "{deleted}");
        two.pass(10).await;
        assert_eq!(two.leads(), Some(2), "{deleted}");
        one.pass(3).await;
        assert_eq!(one.leads(), None, "{deleted}");
    }
}

#[tokio::test]
async fn times_that_would_let_two_lead_are_refused() {
    let server = Shared::default();
    let timing = Timing {
        renew_deadline: Duration::from_secs(15),
        ..Timing::default()
    };
    let clock = Arc::new(ManualClock::new(Duration::ZERO, Timestamp::EPOCH));
    let refused = Candidate::new(client(&server), &name("one"), timing, clock, (Epoch(0), 1));
    let error = refused.map(drop).unwrap_err();
    assert!(matches!(error, TimingError::Overlap { .. }));
    assert!(error.to_string().contains("--renew-deadline"), "{error}");
}
