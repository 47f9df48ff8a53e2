//! `foresail optimize` and `foresail aquatope schedule` on the stand-in, as a user runs them.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

use crate::server::{ADMIN, KEY, Server, now_ms};

/// A workflow of two functions whose memory alone is searched.
pub const WORKFLOW: &str = r#"{"name": "pipeline", "functions": ["resize", "detect"], "params": {"n": 1},
    "qos": 5, "sizes": {"cpuCores": {"from": 1, "to": 1, "step": 1},
    "memoryMib": {"from": 128, "to": 512, "step": 64}}}"#;

pub struct Scene {
    pub server: Server,
    folder: TempDir,
}

impl Scene {
    pub fn new(fork: bool) -> Self {
        let server = Server::start(fork);
        for name in ["resize", "detect"] {
            server.action(name, "nodejs:20", 256);
        }
        server.sequence("pipeline", &["resize", "detect"]);
        let folder = tempfile::tempdir().unwrap();
        let scene = Self { server, folder };
        scene.write("flow.json", WORKFLOW);
        scene.write("key", KEY);
        scene.write("admin", ADMIN);
        let manifest = scene.server.world().manifest.to_string();
        scene.write("runtimes.json", &manifest);
        scene
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
    }

    pub fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_foresail"));
        command
            .current_dir(self.folder.path())
            .args(words)
            .args(["--provider", "openwhisk", "--apihost", &self.server.address])
            .args(["--auth-file", "key"])
            .env_remove("__OW_API_KEY")
            .env_remove("WSK_CONFIG_FILE")
            .stdin(Stdio::null());
        command
    }

    pub fn run(&self, words: &[&str]) -> Output {
        self.command(words).output().unwrap()
    }

    pub fn start(&self, words: &[&str]) -> Child {
        self.command(words)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    }

    /// Waits until something is so.
    pub fn until(&self, what: &str, mut is: impl FnMut(&Server) -> bool) {
        let begin = Instant::now();
        while !is(&self.server) {
            assert!(
                begin.elapsed() < Duration::from_secs(60),
                "not within 60 s: {what}"
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    pub fn memories(&self) -> [u64; 2] {
        ["resize", "detect"].map(|f| self.server.limit(f, "memory").round() as u64)
    }

    /// Calls of a function that overlap: `count` at once in each of the last `minutes` whole minutes.
    pub fn busy(&self, name: &str, count: u128, minutes: u128) {
        let begin = (now_ms() / 60_000 - minutes) * 60_000;
        let mut world = self.server.world();
        for minute in 0..minutes {
            for i in 0..count {
                world.ran(name, begin + minute * 60_000 + 20_000 + i, 5_000);
            }
        }
    }

    pub fn cells(&self) -> u64 {
        let world = self.server.world();
        let cells = &world.manifest["runtimes"]["nodejs"][0]["stemCells"];
        cells[0]["initialCount"].as_u64().unwrap_or(0)
    }
}

pub fn text(output: &Output) -> String {
    let (out, err) = (&output.stdout, &output.stderr);
    let text = String::from_utf8_lossy(out) + String::from_utf8_lossy(err);
    assert!(!text.contains("s3cret"), "a key is shown: {text}");
    text.into_owned()
}

/// A short search: three trials of chance, two more.
pub const SEARCH: [&str; 16] = [
    "optimize",
    "flow.json",
    "--tuner",
    "random",
    "--n_init",
    "3",
    "--n_batch",
    "1",
    "--batch_size",
    "2",
    "--requests",
    "3",
    "--repeats",
    "1",
    "--output",
    "json",
];

pub fn interrupt(child: &Child) {
    let pid = i32::try_from(child.id()).unwrap();
    kill_process(Pid::from_raw(pid).unwrap(), Signal::INT).unwrap();
}

#[test]
fn a_search_leaves_the_best_in_force() {
    let scene = Scene::new(false);
    let output = scene.run(&SEARCH);
    let told = text(&output);
    assert_eq!(output.status.code(), Some(0), "{told}");
    let value: Value = serde_json::from_slice(&output.stdout).unwrap();
    let world = scene.server.world();
    // Each trial of the tuner, and the best once more.
    let puts = world.log.iter().filter(|l| l.method == "PUT").count();
    assert!(puts >= 10, "{puts}: {told}");
    // CPU goes by memory here: it was never sent.
    assert_eq!(world.strange, Vec::<String>::new());
    drop(world);
    // What is told to be in force is what the server has.
    let in_force = value["inForce"].to_string();
    for (name, memory) in ["resize", "detect"].iter().zip(scene.memories()) {
        let bytes = (memory * 1_048_576).to_string();
        let mib = memory.to_string();
        assert!(
            in_force.contains(&bytes) || in_force.contains(&mib),
            "{name} has {memory} MB, in force is {in_force} of {value}"
        );
    }
    assert!(told.contains("met a cold start"), "{told}");
    assert!(!scene.path("foresail-optimize-pipeline.former").exists());
}

#[test]
fn failed_requests_are_no_samples_and_all_failing_ends_the_search() {
    let scene = Scene::new(false);
    let every = (1..10_000).collect();
    scene
        .server
        .world()
        .behaviours
        .entry("detect".to_owned())
        .or_default()
        .fails = every;
    let output = scene.run(&SEARCH);
    let told = text(&output);
    assert_ne!(output.status.code(), Some(0), "{told}");
    assert!(told.contains("failed"), "{told}");
    assert_eq!(scene.memories(), [256, 256]);
    assert!(!scene.path("foresail-optimize-pipeline.former").exists());
}

#[test]
fn an_interrupt_gives_the_former_setting_back() {
    let scene = Scene::new(false);
    let mut words = SEARCH.to_vec();
    words.extend(["--requests", "40", "--repeats", "1"]);
    words.drain(10..14);
    let mut child = scene.start(&words);
    scene.until("a trial is in force", |s| s.count("PUT", "detect") >= 1);
    interrupt(&child);
    let status = child.wait().unwrap();
    assert_eq!(status.code(), Some(130));
    assert_eq!(scene.memories(), [256, 256]);
    assert!(!scene.path("foresail-optimize-pipeline.former").exists());
}

#[test]
fn a_killed_search_is_undone_at_the_next_start() {
    let scene = Scene::new(false);
    let mut words = SEARCH.to_vec();
    words.extend(["--journal", "journal.jsonl", "--seed", "7"]);
    let mut child = scene.start(&words);
    scene.until("a trial is in force", |s| s.count("PUT", "detect") >= 1);
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(scene.path("journal.jsonl.former").exists());
    // A dry run does not touch what has to be put back.
    let mut rehearsal = words.clone();
    rehearsal.push("--dry-run");
    let writes = scene.server.writes();
    let output = scene.run(&rehearsal);
    assert_eq!(output.status.code(), Some(2), "{}", text(&output));
    assert_eq!(scene.server.writes(), writes);
    let output = scene.run(&words);
    let told = text(&output);
    assert_eq!(output.status.code(), Some(0), "{told}");
    assert!(told.contains("is put back first"), "{told}");
    // The first writes of the second process are the former setting.
    assert!(!scene.path("journal.jsonl.former").exists());
    let lines = std::fs::read_to_string(scene.path("journal.jsonl")).unwrap();
    let trials = lines.lines().filter(|l| l.contains(r#"{"trial""#)).count();
    assert_eq!(trials, 5, "{lines}");
}

#[test]
fn cpu_on_an_unmodified_server_is_refused_before_anything_is_written() {
    let scene = Scene::new(false);
    scene.write(
        "cpu.json",
        &WORKFLOW.replace(r#""from": 1, "to": 1"#, r#""from": 0.5, "to": 2"#),
    );
    let mut words = SEARCH.to_vec();
    words[1] = "cpu.json";
    let output = scene.run(&words);
    let told = text(&output);
    assert_eq!(output.status.code(), Some(2), "{told}");
    assert!(told.contains("#4648"), "{told}");
    assert_eq!(scene.server.writes(), 0);
    // A fork has it.
    let fork = Scene::new(true);
    fork.write(
        "cpu.json",
        &WORKFLOW.replace(r#""from": 1, "to": 1"#, r#""from": 0.5, "to": 2"#),
    );
    let output = fork.run(&words);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    assert!(
        fork.server
            .world()
            .log
            .iter()
            .any(|l| l.body.pointer("/limits/cpu").is_some())
    );
}

#[test]
fn a_dry_run_of_a_search_writes_nothing() {
    let scene = Scene::new(false);
    let mut words = SEARCH.to_vec();
    words.push("--dry-run");
    let output = scene.run(&words);
    let told = text(&output);
    assert_eq!(output.status.code(), Some(0), "{told}");
    assert_eq!(scene.server.writes(), 0);
    assert_eq!(told.matches("would send PUT").count(), 2, "{told}");
}

#[test]
fn live_flags_without_a_provider_are_refused() {
    let scene = Scene::new(false);
    let output = Command::new(env!("CARGO_BIN_EXE_foresail"))
        .args(["optimize", "chain", "--dry-run"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output).contains("--provider"));
    let missing = scene.path("gone");
    let output = scene
        .command(&SEARCH)
        .arg("--auth-file")
        .arg(&missing)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2), "twice, or not there");
}

pub const ONCE: [&str; 11] = [
    "aquatope",
    "schedule",
    "--workflow_config",
    "flow.json",
    "--passes",
    "1",
    "--runtimes-manifest",
    "runtimes.json",
    "--admin-auth-file",
    "admin",
    "--once",
];

pub fn lines(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap();
    text.lines()
        .map(|l| serde_json::from_str(l).unwrap())
        .collect()
}

#[test]
fn pools_follow_the_forecast_of_what_was_busy() {
    let scene = Scene::new(true);
    // Both have the same runtime and memory: they share stem cells.
    scene.busy("resize", 6, 60);
    scene.busy("detect", 3, 60);
    let output = scene.run(&ONCE);
    let told = text(&output);
    assert_eq!(output.status.code(), Some(0), "{told}");
    let journal = lines(&scene.path("aquatope-schedule.jsonl"));
    assert_eq!(journal[0]["former"]["resize"], 2, "{journal:?}");
    let all = journal[1]["functions"].as_array().unwrap();
    let of = |key: &str| {
        all.iter()
            .map(|f| f[key].as_f64().unwrap())
            .collect::<Vec<_>>()
    };
    assert_eq!(of("peak"), [6.0, 3.0]);
    let pools = of("pool");
    assert!(
        pools[0] >= 6.0 && pools[1] >= 3.0 && pools[0] < 20.0,
        "{pools:?}"
    );
    assert_eq!(scene.cells(), pools.iter().sum::<f64>().round() as u64);
    // Nothing else of the manifest was changed.
    let world = scene.server.world();
    assert_eq!(
        world.manifest["runtimes"]["nodejs"][0]["image"]["name"],
        "action-nodejs-v20"
    );
    assert_eq!(journal[2]["end"], "left");
}

#[test]
fn a_schedule_on_an_unmodified_server_says_what_it_needs() {
    let scene = Scene::new(false);
    scene.busy("resize", 6, 60);
    let output = scene.run(&ONCE);
    let told = text(&output);
    assert_eq!(output.status.code(), Some(3), "{told}");
    assert!(told.contains("#4790"), "{told}");
    let mut dry = ONCE.to_vec();
    dry.push("--dry-run");
    let writes = scene.server.writes();
    let output = scene.run(&dry);
    let told = text(&output);
    assert_eq!(output.status.code(), Some(0), "{told}");
    assert!(told.contains("would send POST config/runtime"), "{told}");
    assert_eq!(scene.server.writes(), writes);
}

#[test]
fn pools_come_back_at_the_end_and_after_a_crash() {
    let scene = Scene::new(true);
    scene.busy("resize", 6, 60);
    let mut words = ONCE.to_vec();
    words.pop();
    words.extend(["--interval", "1s", "--output", "json"]);
    let mut killed = scene.start(&words);
    scene.until("the pools are set", |s| {
        s.count("POST", "config/runtime") >= 1
    });
    let raised = scene.cells();
    assert!(raised >= 6, "{raised}");
    killed.kill().unwrap();
    killed.wait().unwrap();
    // The file says what was in force before the crash.
    let posts = scene.server.count("POST", "config/runtime");
    let mut child = scene.start(&words);
    scene.until("the pools are set again", |s| {
        s.count("POST", "config/runtime") > posts
    });
    interrupt(&child);
    let status = child.wait().unwrap();
    assert_eq!(status.code(), Some(130));
    assert_eq!(scene.cells(), 2);
    let journal = lines(&scene.path("aquatope-schedule.jsonl"));
    assert_eq!(
        journal.iter().filter(|l| l.get("former").is_some()).count(),
        1
    );
    assert_eq!(journal.last().unwrap()["end"], "restored");
}

#[test]
fn a_server_that_is_away_leaves_the_pools_alone() {
    let scene = Scene::new(true);
    scene.busy("resize", 6, 60);
    let output = scene.run(&ONCE);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    let before = scene.cells();
    // Listings fail: nothing is decided, nothing is written.
    let play = crate::server::Play::Say(500, None);
    for _ in 0..8 {
        let row = ("GET", "activations", play.clone());
        scene.server.world().script.push_back(row);
    }
    let writes = scene.server.writes();
    let output = scene.run(&ONCE);
    let told = text(&output);
    assert_eq!(output.status.code(), Some(3), "{told}");
    assert!(told.contains("cannot list the activations"), "{told}");
    assert_eq!((scene.server.writes(), scene.cells()), (writes, before));
}
