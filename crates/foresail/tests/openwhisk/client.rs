//! The client: what it sends, what it makes of each answer, and what it never does twice.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use foresail_adapters::access::Access;
use foresail_adapters::openwhisk::action::{Exec, Limits};
use foresail_adapters::openwhisk::functions::{Called, Functions, Stems};
use foresail_adapters::openwhisk::invoke::{Invocation, Sent};
use foresail_adapters::openwhisk::key::Key;
use foresail_adapters::openwhisk::kinds::Source;
use foresail_adapters::openwhisk::runtimes::Manifest;
use foresail_adapters::openwhisk::{Failure, OpenWhisk};
use foresail_adapters::provider::{FunctionSize, Provider, Steps};
use foresail_core::quantity::time::{Span, Timestamp};
use serde_json::Map;
use tokio::runtime::{Builder, Runtime};

use crate::server::{ADMIN, KEY, Play, Server, now_ms};

/// A server, its client, and where calls are waited for.
struct Scene {
    server: Server,
    client: OpenWhisk,
    runtime: Runtime,
}

impl Scene {
    fn new(fork: bool) -> Self {
        let server = Server::start(fork);
        let client = client(&server.address, KEY);
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        Self {
            server,
            client,
            runtime,
        }
    }

    fn plays(&self, method: &'static str, part: &'static str, plays: &[Play]) {
        let mut world = self.server.world();
        let all = plays.iter().map(|p| (method, part, p.clone()));
        world.script.extend(all);
    }

    fn put(&self, name: &str, overwrite: bool) -> Result<(), Failure> {
        let exec = Exec::code("nodejs:20", "function main() {}");
        let put = self.client.put(name, &exec, Limits::default(), overwrite);
        self.runtime.block_on(put).map(|_| ())
    }

    fn limits(&self, name: &str, limits: Limits) -> Result<(), Failure> {
        let set = self.client.set_limits(name, limits);
        self.runtime.block_on(set).map(|_| ())
    }

    fn invoke(&self, name: &str) -> Result<Sent, Failure> {
        let wait = Duration::from_secs(10);
        self.runtime
            .block_on(self.client.invoke(name, &Map::new(), wait))
    }

    fn ended(&self, name: &str) -> Invocation {
        match self.invoke(name).unwrap() {
            Sent::Ended(got) => *got,
            other => panic!("{other:?}"),
        }
    }

    fn calls(&self, name: &str) -> u64 {
        self.server
            .world()
            .behaviours
            .get(name)
            .map_or(0, |b| b.calls)
    }
}

fn client(address: &str, key: &str) -> OpenWhisk {
    let access = Access::to_openwhisk(address);
    OpenWhisk::new(&access, Key::parse(key, "the test").unwrap(), "_").unwrap()
}

fn memory(mb: u64) -> Limits {
    Limits {
        memory: Some(mb),
        ..Limits::default()
    }
}

#[test]
fn an_action_is_created_once_and_replaced_where_that_is_asked() {
    let scene = Scene::new(false);
    scene.put("f", false).unwrap();
    let again = scene.put("f", false).unwrap_err();
    assert!(
        matches!(&again, Failure::Conflict { text, .. } if text == "resource already exists"),
        "{again}"
    );
    scene.put("f", true).unwrap();
    let action = scene.runtime.block_on(scene.client.action("f")).unwrap();
    assert_eq!(
        (action.exec.kind(), action.limits.memory),
        ("nodejs:20", Some(256))
    );
    // Limits alone keep the code.
    scene.limits("f", memory(384)).unwrap();
    let world = scene.server.world();
    assert_eq!(world.actions["f"]["exec"]["code"], "function main() {}");
    assert_eq!(world.actions["f"]["limits"]["memory"], 384);
    assert_eq!(
        world.strange,
        Vec::<String>::new(),
        "only what the API has is sent"
    );
}

#[test]
fn no_limits_send_nothing_and_refused_ones_say_why() {
    let scene = Scene::new(false);
    scene.server.action("f", "nodejs:20", 256);
    scene.limits("f", Limits::default()).unwrap();
    assert_eq!(scene.server.writes(), 0);
    let error = scene.limits("f", memory(4096)).unwrap_err().to_string();
    assert!(
        error.contains("memory size 4096 MB exceeds allowed threshold of 512 MB"),
        "{error}"
    );
    assert_eq!(
        scene.server.count("PUT", "f"),
        1,
        "a refusal is no reason to ask again"
    );
    let unknown = scene.limits("g", memory(256)).unwrap_err().to_string();
    assert!(unknown.contains("exec undefined"), "{unknown}");
    let kind = Exec::code("cobol:1", "");
    let put = scene.client.put("h", &kind, Limits::default(), true);
    let error = scene.runtime.block_on(put).unwrap_err().to_string();
    assert!(error.contains("cobol:1"), "{error}");
}

#[test]
fn a_cpu_limit_needs_a_fork_and_the_error_names_it() {
    let half = Limits {
        cpu: Some(0.5),
        ..Limits::default()
    };
    let plain = Scene::new(false);
    plain.server.action("f", "nodejs:20", 256);
    let error = plain.limits("f", half).unwrap_err();
    assert!(matches!(error, Failure::NeedsFork { .. }), "{error}");
    assert!(error.to_string().contains("#4648"), "{error}");
    let fork = Scene::new(true);
    fork.server.action("f", "nodejs:20", 256);
    fork.limits("f", half).unwrap();
    assert!((fork.server.limit("f", "cpu") - 0.5).abs() < 1e-9);
}

#[test]
fn reads_and_whole_states_are_tried_again_and_nothing_is_doubled() {
    let scene = Scene::new(false);
    scene.server.action("f", "nodejs:20", 256);
    scene.plays(
        "GET",
        "f",
        &[Play::Say(503, None), Play::Say(408, None), Play::Cut],
    );
    scene.runtime.block_on(scene.client.action("f")).unwrap();
    assert_eq!(scene.server.count("GET", "f"), 4);
    // It took effect, and the answer was lost: the second one finds the same state.
    scene.plays("PUT", "f", &[Play::CutAfter]);
    scene.limits("f", memory(128)).unwrap();
    assert_eq!(scene.server.count("PUT", "f"), 2);
    assert!((scene.server.limit("f", "memory") - 128.0).abs() < 1e-9);
    // Without `overwrite` a second one would be a conflict of our own making.
    scene.plays("PUT", "new", &[Play::CutAfter]);
    let error = scene.put("new", false).unwrap_err();
    assert!(matches!(error, Failure::Unknown { .. }), "{error}");
    assert_eq!(scene.server.count("PUT", "new"), 1);
    // Four attempts, and an end.
    scene.plays("GET", "f", &vec![Play::Say(503, None); 9]);
    let error = scene
        .runtime
        .block_on(scene.client.action("f"))
        .unwrap_err();
    assert!(
        matches!(error, Failure::Busy { status: 503, .. }),
        "{error}"
    );
    assert_eq!(scene.server.count("GET", "f"), 8);
}

#[test]
fn an_invocation_is_sent_once_whatever_becomes_of_it() {
    let scene = Scene::new(false);
    scene.server.action("f", "nodejs:20", 256);
    let plays = [
        (Play::Cut, 0),
        (Play::CutAfter, 1),
        (Play::Say(408, None), 1),
        (Play::Say(503, None), 1),
        (Play::Page(502), 1),
        (Play::Page(200), 1),
    ];
    for (sent, (play, ran)) in plays.into_iter().enumerate() {
        scene.plays("POST", "f", std::slice::from_ref(&play));
        let error = scene.invoke("f").unwrap_err();
        assert_eq!(
            scene.server.count("POST", "f"),
            sent + 1,
            "{play:?}: {error}"
        );
        assert_eq!(scene.calls("f"), ran, "{play:?}: {error}");
    }
    // What the server refused for its rate did not run: it is waited for and sent again.
    scene.plays("POST", "f", &[Play::Say(429, Some(1))]);
    let begin = Instant::now();
    assert!(scene.ended("f").success());
    assert!(begin.elapsed() >= Duration::from_secs(1));
    assert_eq!(scene.calls("f"), 2);
}

#[test]
fn a_rate_that_stays_exceeded_is_told() {
    let scene = Scene::new(false);
    scene.server.action("f", "nodejs:20", 256);
    scene.server.world().allowed = Some(0);
    let client = scene.client.clone().patience(Duration::from_secs(2));
    let wait = Duration::from_secs(5);
    let sent = scene
        .runtime
        .block_on(client.invoke("f", &Map::new(), wait));
    let error = sent.unwrap_err();
    assert!(
        matches!(error, Failure::Busy { status: 429, .. }),
        "{error}"
    );
    assert!(
        error
            .to_string()
            .contains("Too many requests in the last minute"),
        "{error}"
    );
    assert_eq!(scene.calls("f"), 0);
}

#[test]
fn a_call_that_blocks_too_long_is_read_from_its_record() {
    let scene = Scene::new(false);
    scene.server.action("f", "nodejs:20", 256);
    {
        let mut world = scene.server.world();
        world.blocks_for = 20;
        world.behaviours.entry("f".to_owned()).or_default().work = 256.0 * 300.0;
    }
    let got = scene.ended("f");
    // 300 ms, one for each run, seven to initialise.
    assert!((got.latency - 0.308).abs() < 1e-9, "{}", got.latency);
    assert!(
        scene.server.count("GET", "activations") > 1,
        "it was not there at once"
    );
    // One that takes longer than is waited for is late, and no error.
    let wait = Duration::from_millis(100);
    let nothing = Map::new();
    let late = scene.client.invoke("f", &nothing, wait);
    assert_eq!(scene.runtime.block_on(late).unwrap(), Sent::Late);
}

#[test]
fn a_failed_activation_is_told_as_one_and_cold_starts_apart() {
    let scene = Scene::new(false);
    scene.server.action("f", "nodejs:20", 256);
    let fails = [2].into_iter().collect();
    scene
        .server
        .world()
        .behaviours
        .entry("f".to_owned())
        .or_default()
        .fails = fails;
    let first = scene.ended("f");
    assert!(first.success() && first.is_cold());
    let second = scene.ended("f");
    assert!(!second.success() && !second.is_cold());
    let third = scene.ended("f");
    assert!(third.success() && !third.is_cold());
}

fn functions(scene: &Scene, names: &[&str], stages: &[usize]) -> Functions {
    let names = names.iter().map(|n| (*n).to_owned()).collect();
    let called = Called {
        action: "pipeline".to_owned(),
        stages: stages.to_vec(),
        parameters: Map::new(),
    };
    Functions::new(scene.client.clone(), names)
        .unwrap()
        .called(called)
}

#[test]
fn a_function_that_a_sequence_calls_twice_has_two_times() {
    let scene = Scene::new(false);
    scene.server.action("f", "nodejs:20", 256);
    scene.server.action("g", "nodejs:20", 256);
    scene.server.world().record_after = 300;
    let mut all = functions(&scene, &["f", "g"], &[0, 1, 0]);
    all.create_sequence().unwrap();
    let wait = Span::from_seconds(20);
    let reply = all.request(wait).unwrap();
    // 512 core·ms at 256 MB are 2 ms, and one for each run; the first of each initialises for 7.
    let seconds = [vec![0.010], vec![0.010], vec![0.003]];
    assert_eq!(reply.seconds, seconds);
    assert!(reply.cold && reply.failed.is_none() && reply.latency.is_some());
    // One that fails is no sample of a time.
    let fails = [3].into_iter().collect();
    scene.server.world().behaviours.get_mut("f").unwrap().fails = fails;
    let reply = all.request(wait).unwrap();
    assert_eq!(reply.latency, None);
    assert!(reply.failed.unwrap().contains("guest/f"));
    // A sequence that is another one than the workflow.
    scene.server.sequence("pipeline", &["g", "f"]);
    let error = all.request(wait).unwrap_err().to_string();
    assert!(error.contains("--create-sequence"), "{error}");
    assert_eq!(scene.server.world().strange, Vec::<String>::new());
}

#[test]
fn a_sequence_of_what_is_not_there_is_refused() {
    let scene = Scene::new(false);
    scene.server.action("f", "nodejs:20", 256);
    let error = functions(&scene, &["f", "gone"], &[0, 1])
        .create_sequence()
        .unwrap_err();
    assert!(
        error
            .to_string()
            .contains("Sequence component does not exist."),
        "{error}"
    );
    let error = functions(&scene, &["gone"], &[0])
        .look()
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("gone") && error.contains("not found"),
        "{error}"
    );
}

#[test]
fn peaks_are_counted_over_every_page() {
    let scene = Scene::new(false);
    scene.server.action("f", "nodejs:20", 256);
    scene.server.action("g", "nodejs:20", 256);
    let begin = (now_ms() / 60_000 - 3) * 60_000;
    {
        let mut world = scene.server.world();
        // Three at once in the first minute, then one after another.
        for i in 0..3 {
            world.ran("f", begin + i, 500);
        }
        for i in 0..450 {
            world.ran("f", begin + 60_000 + i * 100, 100);
        }
        // From before, and into the first minute.
        world.ran("g", begin - 30_000, 40_000);
    }
    let mut all = functions(&scene, &["f", "g"], &[0]);
    let steps = Steps {
        start: Timestamp::from_nanos(i64::try_from(begin).unwrap() * 1_000_000),
        step: Span::from_seconds(60),
        count: 3,
    };
    let got = all.activity(&steps).unwrap();
    assert_eq!(got[0].peaks, [Some(3.0), Some(1.0), Some(0.0)]);
    assert_eq!((got[0].calls, got[0].failed), (Some(453), Some(0)));
    assert_eq!(got[1].peaks, [Some(1.0), Some(0.0), Some(0.0)]);
    assert_eq!(got[1].calls, Some(0), "it began before");
}

#[test]
fn stem_cells_need_a_fork_and_change_in_their_counts_alone() {
    let plain = Scene::new(false);
    let manifest = Manifest::parse(&plain.server.world().manifest.to_string()).unwrap();
    let admin = Key::parse(ADMIN, "the test").unwrap();
    let set = plain.client.set_runtimes(&manifest, &admin);
    let error = plain.runtime.block_on(set).unwrap_err();
    assert!(error.to_string().contains("#4790"), "{error}");
    let fork = Scene::new(true);
    let cell = manifest.cell(&Exec::code("nodejs:20", ""), 256).unwrap();
    let more = manifest.with(&cell, 5);
    fork.runtime
        .block_on(fork.client.set_runtimes(&more, &admin))
        .unwrap();
    assert_eq!(&fork.server.world().manifest, more.value());
    // The namespace's key is not the controller's.
    let other = Key::parse(KEY, "the test").unwrap();
    let set = fork.client.set_runtimes(&more, &other);
    let error = fork.runtime.block_on(set).unwrap_err();
    assert!(matches!(error, Failure::Forbidden { .. }), "{error}");
}

#[test]
fn no_error_and_no_form_of_the_client_shows_a_key() {
    let scene = Scene::new(false);
    scene.server.action("f", "nodejs:20", 256);
    let wrong = client(&scene.server.address, "me:s3cretOfMine");
    let error = scene.runtime.block_on(wrong.action("f")).unwrap_err();
    assert!(
        matches!(error, Failure::Forbidden { status: 401, .. }),
        "{error}"
    );
    let nobody = client("http://127.0.0.1:1", "me:s3cretOfMine");
    let away = scene.runtime.block_on(nobody.action("f")).unwrap_err();
    assert!(matches!(away, Failure::Unreachable { .. }), "{away}");
    let told = format!("{wrong:?} {error} {error:?} {away} {away:?}");
    assert!(!told.contains("s3cret"), "{told}");
    let page = scene.runtime.block_on({
        scene.plays("GET", "f", &[Play::Page(200)]);
        scene.client.action("f")
    });
    let page = page.unwrap_err().to_string();
    assert!(
        page.contains("no JSON") && page.contains("--apihost"),
        "{page}"
    );
}

#[test]
fn a_dry_run_tells_every_write_and_sends_none() {
    let scene = Scene::new(true);
    scene.server.action("f", "nodejs:20", 256);
    let told = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&told);
    let client = scene.client.clone().dry(Arc::new(move |text: &str| {
        sink.lock().unwrap().push(text.to_owned());
    }));
    let run = async {
        let exec = Exec::code("nodejs:20", "");
        client
            .put("new", &exec, Limits::default(), true)
            .await
            .unwrap();
        client.set_limits("f", memory(128)).await.unwrap();
        client.delete("f").await.unwrap();
        let manifest = Manifest::parse(&scene.server.world().manifest.to_string()).unwrap();
        let admin = Key::parse(ADMIN, "the test").unwrap();
        client.set_runtimes(&manifest, &admin).await.unwrap();
        let sent = client
            .invoke("f", &Map::new(), Duration::from_secs(1))
            .await;
        assert_eq!(sent.unwrap(), Sent::Told);
        // Reading goes on.
        client.action("f").await.unwrap();
    };
    scene.runtime.block_on(run);
    assert_eq!(scene.server.writes(), 0);
    let told = told.lock().unwrap();
    assert_eq!(told.len(), 5, "{told:?}");
    assert!(
        told[1].starts_with("would send PUT api/v1/namespaces/_/actions/f?overwrite=true"),
        "{}",
        told[1]
    );
    assert!(
        told[1].ends_with(r#"{"limits":{"memory":128}}"#),
        "{}",
        told[1]
    );
    assert!(told.iter().all(|t| !t.contains("s3cret")));
}

#[test]
fn sizes_are_limits_and_what_is_open_stays() {
    let scene = Scene::new(true);
    scene.server.action("f", "nodejs:20", 256);
    scene.server.action("g", "nodejs:20", 256);
    let mut all = functions(&scene, &["f", "g"], &[0, 1]);
    let size = FunctionSize {
        cpu_cores: Some(0.5),
        memory_mib: Some(384.0),
    };
    all.set_sizes(&[Some(size), None]).unwrap();
    let seen = all.look().unwrap();
    assert_eq!(seen[0].size, size);
    assert_eq!(seen[1].size.memory_mib, Some(256.0));
    assert_eq!(seen[0].pool, None, "no manifest, no pool");
    let error = all.set_pools(&[Some(1), None]).unwrap_err().to_string();
    assert!(
        error.contains("#4790") && error.contains("--runtimes-manifest"),
        "{error}"
    );
}

fn source(name: &str, file: &str, kind: Option<&str>) -> Source {
    Source {
        name: name.to_owned(),
        file: file.to_owned(),
        bytes: b"function main() {}".to_vec(),
        kind: kind.map(str::to_owned),
        main: None,
    }
}

#[test]
fn a_function_is_created_of_the_kind_that_the_host_has_by_default() {
    let scene = Scene::new(false);
    scene
        .server
        .kinds("nodejs", &[("nodejs:14", true), ("nodejs:22", false)]);
    scene.server.kinds("python", &[("python:3.12", false)]);
    let mut all = functions(&scene, &["f", "g", "h"], &[0]);
    for (name, file, kind, got) in [
        ("f", "f.js", None, "nodejs:20"),
        ("g", "g.js", Some("nodejs:22"), "nodejs:22"),
        ("h", "h.py", None, "python:3.12"),
    ] {
        all.create_function(&source(name, file, kind)).unwrap();
        assert_eq!(scene.server.world().actions[name]["exec"]["kind"], got);
    }
    all.look().unwrap();
    // What the server does not run is refused before it is sent, with what it does run.
    let writes = scene.server.writes();
    for (file, kind, why) in [
        (
            "f.js",
            Some("nodejs:14"),
            "the kind `nodejs:14` is deprecated",
        ),
        ("f.js", Some("cobol:1"), "has no kind `cobol:1`"),
        ("f.rb", None, "has no kind `ruby`"),
    ] {
        let error = all.create_function(&source("x", file, kind)).unwrap_err();
        let error = error.to_string();
        let known = "nodejs:20 (default), nodejs:22, python:3.12 (default)";
        assert!(error.contains(why) && error.ends_with(known), "{error}");
    }
    assert_eq!(scene.server.writes(), writes);
    assert_eq!(scene.server.world().strange, Vec::<String>::new());
}

#[test]
fn a_function_of_a_deprecated_kind_is_told_before_anything_is_changed() {
    let scene = Scene::new(false);
    scene.server.kinds("nodejs", &[("nodejs:14", true)]);
    scene.server.action("f", "nodejs:14", 256);
    let error = functions(&scene, &["f"], &[0]).look().unwrap_err();
    let error = error.to_string();
    assert!(
        error.contains("cannot use the function f")
            && error.ends_with("take one of nodejs:20 (default)"),
        "{error}"
    );
    // Where the root is hidden the server itself says so, once it is called.
    scene.server.world().hides_root = true;
    functions(&scene, &["f"], &[0]).look().unwrap();
    let error = scene.invoke("f").unwrap_err().to_string();
    assert!(error.contains("no longer supported"), "{error}");
    let mut hidden = functions(&scene, &["g"], &[0]);
    let error = hidden.create_function(&source("g", "g.js", None));
    assert!(error.unwrap_err().to_string().contains("--kind"));
    let named = source("g", "g.js", Some("nodejs:20"));
    hidden.create_function(&named).unwrap();
    // Its root is asked once for all looks.
    scene.server.world().hides_root = false;
    let asked = scene.server.count("GET", "/");
    hidden.look().unwrap();
    hidden.look().unwrap();
    let looks = scene.server.count("GET", "actions/g");
    assert_eq!(scene.server.count("GET", "/") - asked, looks + 1);
}

#[test]
fn a_manifest_that_would_take_a_runtime_away_is_refused() {
    let scene = Scene::new(true);
    scene.server.action("f", "nodejs:20", 256);
    let manifest = Manifest::parse(&scene.server.world().manifest.to_string()).unwrap();
    scene.server.kinds("python", &[("python:3.12", false)]);
    let stems = Stems {
        manifest,
        admin: Key::parse(ADMIN, "the test").unwrap(),
        invokers: 1,
    };
    let mut all = functions(&scene, &["f"], &[0]).stems(stems);
    let error = all.look().unwrap_err().to_string();
    assert!(
        error.contains("lacks the kind `python:3.12`") && error.contains("in force"),
        "{error}"
    );
    assert_eq!(scene.server.writes(), 0);
}
