//! Components under `firm-server`: a step acts once, passes the guards, and outlives its server; the
//! agent's environment over real gRPC.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests may fail loudly"
)]

mod support;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use foresail::firm::agent_env::{Remote, RemoteEnv};
use foresail::firm::agent_journal::{Journal, Line};
use foresail::firm::component::{Bounds, ComponentName};
use foresail::firm::kept::File;
use foresail::firm::pilot::{Pilot, Trouble, Wanted};
use foresail::firm::place::{Place, Sight, Written};
use foresail::firm::played::Played;
use foresail::firm::service::Firm;
use foresail_adapters::clock::{Clock, ManualClock, SystemClock};
use foresail_adapters::rpc::client::Dial;
use foresail_adapters::rpc::interaction::{Action, ComponentId, ToServerMessage};
use foresail_adapters::rpc::server::{ServerOptions, bind};
use foresail_adapters::rpc::tonic::Request;
use foresail_core::propose::plan::Setting;
use foresail_core::quantity::time::{Span, Timestamp};
use foresail_models::rl::axes::Move;
use foresail_models::rl::bootstrap::BootstrapRules;
use foresail_models::rl::env::Env;
use foresail_models::rl::learner::{Learner, LearnerSettings};
use foresail_models::rl::training::{Training, TrainingRules};
use foresail_models::rng::Seed;

const HOLD: Move = Move::Hold;
const UP: Move = Move::Up;

fn name() -> ComponentName {
    "shop/web".parse().unwrap()
}

/// A played component that several pilots may share, as lives of one server.
#[derive(Clone, Debug)]
struct Shared(Arc<Played>);

impl Place for Shared {
    async fn look(&self, now: Timestamp) -> Result<Sight, String> {
        self.0.look(now).await
    }

    async fn write(&self, seen: &Sight, to: &Setting) -> Written {
        self.0.write(seen, to).await
    }
}

fn pilot(played: &Shared, folder: Option<&Path>) -> Pilot<Shared> {
    let spec = Bounds::default().spec(&name()).unwrap();
    let file = File::new(folder, &name());
    Pilot::new((played.clone(), Arc::new(SystemClock)), spec, 0.99, file).unwrap()
}

/// Another life of the server, an hour later.
fn later(played: &Shared, folder: &Path) -> Pilot<Shared> {
    let spec = Bounds::default().spec(&name()).unwrap();
    let hour = Span::from_seconds(3600);
    let clock = ManualClock::new(Duration::ZERO, SystemClock.wall() + hour);
    let file = File::new(Some(folder), &name());
    Pilot::new((played.clone(), Arc::new(clock)), spec, 0.99, file).unwrap()
}

/// Two pods of 512m and 1Gi, half used.
fn played() -> Shared {
    Shared(Arc::new(Played::new(2, 512, 1024)))
}

fn moves(replicas: Move, cpu: Move, memory: Move) -> Wanted {
    Wanted::Moves(vec![replicas, cpu, memory])
}

#[tokio::test]
async fn a_step_that_is_sent_again_is_answered_and_acts_no_more() {
    let (played, folder) = (played(), tempfile::tempdir().unwrap());
    let first = pilot(&played, Some(folder.path()));
    let wish = moves(UP, UP, HOLD);
    let answer = first.step("a-0", &wish).await.unwrap();
    assert_eq!(answer.status, "OK");
    assert_eq!(answer.moves, [1, 1, 0]);
    assert_eq!(
        played.0.writes(),
        1,
        "replicas and requests are one decision"
    );
    assert_eq!(first.step("a-0", &wish).await.unwrap(), answer);
    // Another life of the server knows it too.
    drop(first);
    let second = pilot(&played, Some(folder.path()));
    assert_eq!(second.step("a-0", &wish).await.unwrap(), answer);
    assert_eq!(played.0.writes(), 1);
    let next = second.step("a-1", &wish).await.unwrap();
    assert_eq!((next.seen.unwrap().step, played.0.writes()), (2, 2));
}

#[tokio::test]
async fn a_write_without_an_answer_is_found_out_by_looking_and_never_made_again() {
    for took_effect in [true, false] {
        let (played, folder) = (played(), tempfile::tempdir().unwrap());
        let first = pilot(&played, Some(folder.path()));
        let silence = Written::Unknown("no answer".to_owned());
        played.0.fail(silence, took_effect);
        let wish = moves(UP, HOLD, HOLD);
        let told = first.step("a-0", &wish).await.unwrap_err();
        assert!(matches!(told, Trouble::Away(_)), "{told}");
        let writes = played.0.writes();
        drop(first);
        // While it may still be on its way nothing is said and nothing done.
        let early = pilot(&played, Some(folder.path()));
        assert_eq!(early.step("a-0", &wish).await.is_ok(), took_effect);
        drop(early);
        let second = later(&played, folder.path());
        let answer = second.step("a-0", &wish).await.unwrap();
        assert_eq!(played.0.writes(), writes, "nothing is written twice");
        let want = i32::from(took_effect);
        assert_eq!(answer.moves, [want, 0, 0], "what is told is what is so");
        assert_eq!(answer.seen.unwrap().step, 1);
    }
}

#[tokio::test]
async fn illegal_steps_are_told_and_change_nothing() {
    let one = Shared(Arc::new(Played::new(1, 512, 1024)));
    let pilot = pilot(&one, None);
    let answer = pilot.step("a-0", &moves(HOLD, UP, HOLD)).await.unwrap();
    assert!(answer.status.starts_with("ILLEGAL"), "{}", answer.status);
    assert!(!answer.legal && answer.moves == [0, 0, 0]);
    let answer = pilot
        .step("a-1", &moves(Move::Down, HOLD, HOLD))
        .await
        .unwrap();
    assert!(!answer.legal, "below the fewest");
    assert_eq!(one.0.writes(), 0);
    let bad = pilot
        .step("a-2", &Wanted::Moves(vec![UP]))
        .await
        .unwrap_err();
    assert!(matches!(bad, Trouble::Bad(_)), "{bad}");
}

/// The floor is the HPA's: usage of twice the target asks for more than a wish to go down gives.
#[tokio::test]
async fn a_wish_passes_the_same_floor_as_any_other() {
    let four = Shared(Arc::new(Played::new(4, 512, 1024)));
    // 90 % of the request at a target of 60 %: six replicas.
    four.0.demand(50.0, 4 * 512 * 9 / 10);
    let pilot = pilot(&four, None);
    let answer = pilot
        .step("a-0", &moves(Move::Down, HOLD, HOLD))
        .await
        .unwrap();
    assert_eq!(answer.moves, [1, 0, 0], "{}", answer.told);
    assert_eq!(
        four.0.setting().replicas.unwrap().get(),
        6,
        "{}",
        answer.told
    );
    // Without a wish the heuristic acts: at the same usage per pod it holds.
    four.0.demand(50.0, 6 * 512 * 6 / 10);
    let answer = pilot.step("a-1", &Wanted::Nothing).await.unwrap();
    assert_eq!(answer.moves[0], 0, "{}", answer.told);
}

#[tokio::test]
async fn a_number_that_somebody_else_changed_is_not_sent_again() {
    let played = played();
    let pilot = pilot(&played, None);
    played
        .0
        .fail(Written::Stale("somebody changed it".to_owned()), false);
    let answer = pilot.step("a-0", &moves(UP, HOLD, HOLD)).await.unwrap();
    assert!(answer.status.starts_with("CONFLICT"), "{}", answer.status);
    assert_eq!((answer.moves, played.0.writes()), (vec![0, 0, 0], 0));
}

/// A server in this process, at an address that stays the same over its lives.
struct Server {
    address: SocketAddr,
    runtime: Option<tokio::runtime::Runtime>,
}

impl Server {
    fn start(at: SocketAddr, pilot: impl FnOnce() -> Pilot<Shared>) -> Self {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let options = ServerOptions {
            bind: at,
            tls: None,
            token: None,
            insecure: false,
        };
        let bound = runtime.block_on(bind(&options)).unwrap();
        let address = bound.address;
        let firm = Firm::new([pilot()]);
        runtime.spawn(bound.serve(firm.clone(), firm, std::future::pending()));
        Self {
            address,
            runtime: Some(runtime),
        }
    }

    /// Ends it as a kill does: no call is finished.
    fn kill(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_timeout(Duration::ZERO);
        }
    }
}

fn loopback() -> SocketAddr {
    "127.0.0.1:0".parse().unwrap()
}

/// A client made from the published file: states and actions, and what is not served.
#[test]
fn a_published_client_is_understood() {
    let played = played();
    let server = Server::start(loopback(), || pilot(&played, None));
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let dial = Dial {
            server: server.address.to_string(),
            ..Dial::default()
        };
        let mut client = dial.client().unwrap().interaction;
        let id = |id: &str| ComponentId {
            name: Some("web".to_owned()),
            node: None,
            id: id.to_owned(),
        };
        let state = client.get_state(id("shop/web")).await.unwrap().into_inner();
        assert_eq!(
            (state.status.as_str(), state.name.as_deref()),
            ("OK", Some("web"))
        );
        assert_eq!((state.usage.cpu, state.usage.memory), (256, 512_000));
        assert_eq!((state.limit.cpu, state.limit.memory), (512, 1_024_000));
        assert_eq!(
            (state.usage.llc, state.limit.llc),
            (-1, 0),
            "not measured, not limited"
        );
        assert_eq!(state.other.curr_arrival_rate, 10_000);
        let unknown = client.get_state(id("shop/api")).await.unwrap().into_inner();
        assert_ne!(unknown.status, "OK");
        assert!(
            unknown.status.contains("served are shop/web"),
            "{}",
            unknown.status
        );

        let act = |id: &str, cpu: i32, memory: i32| ToServerMessage {
            name: "web".to_owned(),
            node: "n1".to_owned(),
            id: id.to_owned(),
            action: Action {
                cpu,
                memory,
                llc: 1,
                io: 1,
                network: 1,
            },
        };
        let mut first = Request::new(act("shop/web", 640, 0));
        first
            .metadata_mut()
            .insert("x-foresail-request", "r1".parse().unwrap());
        let acted = client.perform_action(first).await.unwrap().into_inner();
        assert_eq!((acted.status.as_str(), acted.limit.cpu), ("OK", 640));
        let mut again = Request::new(act("shop/web", 640, 0));
        again
            .metadata_mut()
            .insert("x-foresail-request", "r1".parse().unwrap());
        client.perform_action(again).await.unwrap();
        assert_eq!(played.0.writes(), 1, "sent again, it acts no more");
        // Far outside: the bound.
        let most = client
            .perform_action(act("shop/web", 1_000_000, 0))
            .await
            .unwrap()
            .into_inner();
        assert_eq!((most.status.as_str(), most.limit.cpu), ("OK", 2048));
        let below = client
            .perform_action(act("shop/web", -1, 0))
            .await
            .unwrap()
            .into_inner();
        assert!(below.status.starts_with("ILLEGAL"), "{}", below.status);
        let unknown = client
            .perform_action(act("nobody", 1, 1))
            .await
            .unwrap()
            .into_inner();
        assert!(unknown.status.starts_with("UNKNOWN"), "{}", unknown.status);
    });
}

fn rules(steps: usize) -> TrainingRules {
    TrainingRules {
        steps,
        bootstrap: BootstrapRules::none(),
        ..TrainingRules::default()
    }
}

fn remote(address: SocketAddr) -> Remote {
    let dial = Dial {
        server: address.to_string(),
        ..Dial::default()
    };
    Remote::new("shop/web", || Ok(dial.client()?)).unwrap()
}

fn environment(address: SocketAddr, journal: Option<&Path>) -> RemoteEnv {
    let remote = remote(address);
    let described = remote.describe().unwrap().unwrap();
    let journal = journal.map(|folder| Journal::open(folder, "shop/web", "life").unwrap());
    RemoteEnv::new(remote, &described, journal, Duration::ZERO).unwrap()
}

fn learner(env: &RemoteEnv) -> Learner {
    let axes = env.axes().len();
    let settings = LearnerSettings {
        state: foresail_models::rl::state::width_of(axes),
        axes,
        ..LearnerSettings::default()
    };
    Learner::new(settings, Seed(7)).unwrap()
}

/// Numbers and answers of an episode: each step asked once, answered once, in order.
fn checked(folder: &Path, episode: usize, steps: usize) -> Vec<(u64, f64)> {
    let journal = Journal::open(folder, "shop/web", "life").unwrap();
    let lines = journal.read(episode).unwrap();
    let mut done = Vec::new();
    for pair in lines.chunks(2) {
        match pair {
            [Line::Asked(asked), Line::Done(answer)] => {
                assert_eq!((asked.seq, asked.step), (answer.seq, done.len()));
                done.push((answer.seq, answer.reward));
            }
            other => panic!("not a question and its answer: {other:?}"),
        }
    }
    assert_eq!(done.len(), steps);
    done
}

/// The server is killed while an agent flies: the agent waits for it, and no step is lost or made twice.
#[test]
fn an_agent_survives_its_server_and_no_transition_is_lost_or_doubled() {
    let (played, folder) = (played(), tempfile::tempdir().unwrap());
    let (state, journal) = (folder.path().join("state"), folder.path().join("journal"));
    std::fs::create_dir_all(&state).unwrap();
    let mut server = Server::start(loopback(), || pilot(&played, Some(&state)));
    let at = server.address;
    let mut env = environment(at, Some(&journal));
    let mut learner = learner(&env);
    let mut training = Training::new(&learner, rules(40));
    let over = Arc::new(AtomicBool::new(false));
    let ended = Arc::clone(&over);
    let again = played.clone();
    let killer = std::thread::spawn(move || {
        let mut kills = 0;
        while !ended.load(Ordering::SeqCst) && kills < 5 {
            std::thread::sleep(Duration::from_millis(150));
            server.kill();
            std::thread::sleep(Duration::from_millis(50));
            server = Server::start(at, || pilot(&again, Some(&state)));
            kills += 1;
        }
        // It must outlive the agent's last step.
        while !ended.load(Ordering::SeqCst) {
            std::thread::sleep(Duration::from_millis(20));
        }
        kills
    });
    for episode in 0..2 {
        env.begin(episode).unwrap();
        training.episode(&mut learner, &mut env, None);
        assert!(env.take_error().is_none() && !env.is_broken_off());
    }
    over.store(true, Ordering::SeqCst);
    assert!(killer.join().unwrap() >= 1);
    let mut all = checked(&journal, 0, 40);
    all.extend(checked(&journal, 1, 40));
    let numbers: Vec<u64> = all.iter().map(|(seq, _)| *seq).collect();
    assert_eq!(numbers, (0..80).collect::<Vec<u64>>());
}

/// The agent is killed within an episode: resumed from its checkpoint it replays what it flew, bit for
/// bit, and asks the server for nothing twice.
#[test]
fn an_agent_that_is_killed_goes_on_where_it_was() {
    let (played, folder) = (played(), tempfile::tempdir().unwrap());
    let server = Server::start(loopback(), || pilot(&played, None));
    let whole = folder.path().join("whole");
    let fly = |journal: &Path, training: &mut Training, learner: &mut Learner| {
        let mut env = environment(server.address, Some(journal));
        env.begin(training.episodes()).unwrap();
        training.episode(learner, &mut env, None);
        env.take_error().map_or(Ok(()), Err)
    };
    let env = environment(server.address, None);
    let (mut one, mut two) = (learner(&env), learner(&env));
    let mut first = Training::new(&one, rules(30));
    fly(&whole, &mut first, &mut one).unwrap();
    let steps = |played: &Shared| played.0.writes();
    let (flown, writes) = (checked(&whole, 0, 30), steps(&played));

    // The journal as a crash leaves it: some steps, a question without its answer, half a line.
    let cut = folder.path().join("cut");
    std::fs::create_dir_all(&cut).unwrap();
    let text = std::fs::read_to_string(whole.join("episode-000000.jsonl")).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    let kept = format!("{}\n{}", lines[..41].join("\n"), &lines[41][..10]);
    std::fs::write(cut.join("episode-000000.jsonl"), kept).unwrap();
    std::fs::copy(whole.join("agent.json"), cut.join("agent.json")).unwrap();
    let mut second = Training::new(&two, rules(30));
    fly(&cut, &mut second, &mut two).unwrap();
    let again = checked(&cut, 0, 30);
    assert_eq!(again, flown, "the server answers what it answered");
    assert_eq!(steps(&played), writes, "and acts no more");
    assert_eq!(
        one.save(&[first]).unwrap(),
        two.save(&[second]).unwrap(),
        "bit for bit"
    );

    // Another learner does not belong to this journal.
    std::fs::write(
        cut.join("episode-000000.jsonl"),
        format!("{}\n", lines[..40].join("\n")),
    )
    .unwrap();
    let settings = one.settings();
    let mut other = Learner::new(settings, Seed(8)).unwrap();
    let mut third = Training::new(&other, rules(30));
    let told = fly(&cut, &mut third, &mut other).unwrap_err().to_string();
    assert!(told.contains("do not belong together"), "{told}");
}

/// What would let anybody in, or measure into nowhere, is refused with the mend.
#[test]
fn commands_refuse_what_is_not_safe() {
    let folder = tempfile::tempdir().unwrap();
    let refused = |args: &[&str]| support::refused(folder.path(), args);
    let told = refused(&[
        "firm-server",
        "--component",
        "shop/web",
        "--bind",
        "0.0.0.0:0",
    ]);
    assert!(told.contains("--tls-cert"), "{told}");
    let told = refused(&[
        "firm-server",
        "--component",
        "shop/web",
        "--bind",
        "0.0.0.0:0",
        "--insecure",
    ]);
    assert!(told.contains("--token-file"), "{told}");
    let told = refused(&["firm-server", "--component", "web"]);
    assert!(told.contains("NAMESPACE/NAME"), "{told}");
    let told = refused(&["collector"]);
    assert!(told.contains("--redis"), "{told}");
    let told = refused(&["collector", "--redis", "redis://10.0.0.1:6379"]);
    assert!(told.contains("--redis-plain"), "{told}");
    let told = refused(&["collector", "--redis", "redis://me:secret@127.0.0.1:6379"]);
    assert!(
        told.contains("--redis-password-file") && !told.contains("secret"),
        "{told}"
    );
    let told = refused(&[
        "aware",
        "agent",
        "--component",
        "shop/web",
        "--server",
        "10.0.0.1:50051",
    ]);
    assert!(told.contains("--insecure"), "{told}");
    let told = refused(&["manifests", "--aware", "--image", "foresail:0.1.0"]);
    assert!(told.contains("--component"), "{told}");
}
