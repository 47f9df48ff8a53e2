//! AQUATOPE's driver of Kubernetes: warm pods follow what was busy and come back, sizes are set in
//! place and told by the kubelet, a refused resize is undone.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::Row;
use crate::rig::{Rig, wait_until};

pub const ROWS: &[Row] = &[
    (
        "aquatope::warm_pods_follow_what_was_busy",
        false,
        warm_pods_follow_what_was_busy,
    ),
    (
        "aquatope::sizes_are_set_in_place_and_the_best_stays",
        false,
        sizes_are_set_in_place_and_the_best_stays,
    ),
    (
        "aquatope::a_refused_resize_is_undone",
        false,
        a_refused_resize_is_undone,
    ),
    (
        "aquatope::a_rollout_sets_sizes_where_that_is_asked",
        false,
        a_rollout_sets_sizes_where_that_is_asked,
    ),
];

const MINUTE: Duration = Duration::from_secs(60);

/// An address that answers each request with what a function makes of its path.
fn played(answer: impl Fn(&str) -> (String, String) + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    // It ends with the process.
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { continue };
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            let (mut first, mut length) = (String::new(), 0);
            if reader.read_line(&mut first).is_err() {
                continue;
            }
            loop {
                let mut line = String::new();
                if reader.read_line(&mut line).is_err() || line.trim().is_empty() {
                    break;
                }
                if let Some((name, value)) = line.split_once(':')
                    && name.eq_ignore_ascii_case("content-length")
                {
                    length = value.trim().parse().unwrap_or(0);
                }
            }
            let mut body = vec![0; length];
            let _ = reader.read_exact(&mut body);
            let path = first.split(' ').nth(1).unwrap_or_default().to_owned();
            let (headers, text) = answer(&path);
            let _ = write!(
                stream,
                "HTTP/1.1 200 OK\r\n{headers}content-length: {}\r\nconnection: close\r\n\r\n{text}",
                text.len()
            );
        }
    });
    url
}

fn number(path: &str, name: &str) -> f64 {
    let pairs = path.split_once('?').map_or("", |(_, q)| q).split('&');
    let mut found = pairs
        .filter_map(|p| p.split_once('='))
        .filter(|(k, _)| *k == name);
    found
        .next()
        .unwrap()
        .1
        .trim_end_matches('s')
        .parse()
        .unwrap()
}

/// A Prometheus whose every series is six busy containers of `resize` and none of the others.
fn prometheus() -> String {
    played(|path| {
        let (start, end, step) = (
            number(path, "start"),
            number(path, "end"),
            number(path, "step"),
        );
        let value = if path.contains("resize") { 6.0 } else { 0.0 };
        let count = ((end - start) / step).round() as u32;
        let point = |i: u32| {
            let at = start + f64::from(i) * step;
            let value = if path.contains("timestamp") {
                at
            } else {
                value
            };
            json!([at, value.to_string()])
        };
        let values: Vec<Value> = (0..=count).map(point).collect();
        let body = json!({"status": "success", "data": {"resultType": "matrix",
            "result": [{"metric": {}, "values": values}]}});
        (
            "content-type: application/json\r\n".to_owned(),
            body.to_string(),
        )
    })
}

/// A workflow of two stages that tells their times.
fn service() -> String {
    played(|_| {
        let timing = "server-timing: resize;dur=20, detect;dur=30\r\n".to_owned();
        (timing, "{}".to_owned())
    })
}

struct Scene<'a> {
    rig: &'a Rig,
    namespace: String,
    folder: PathBuf,
}

impl<'a> Scene<'a> {
    fn new(rig: &'a Rig, namespace: &str) -> Self {
        rig.namespace(namespace);
        let folder = rig.folder.join(namespace);
        std::fs::create_dir_all(&folder).unwrap();
        let flow = json!({"name": "pipeline", "functions": ["resize", "detect"], "qos": 5,
            "sizes": {"cpuCores": {"from": 0.2, "to": 0.6, "step": 0.1},
                      "memoryMib": {"from": 128, "to": 320, "step": 64}}});
        std::fs::write(folder.join("flow.json"), flow.to_string()).unwrap();
        let scene = Self {
            rig,
            namespace: namespace.to_owned(),
            folder,
        };
        let resources = json!({"requests": {"cpu": "100m", "memory": "64Mi"}, "limits": {"cpu": "600m", "memory": "320Mi"}});
        scene.deploy("resize", &resources);
        // The label says which function it is.
        scene.deploy("vision-2", &resources);
        let path = format!("/apis/apps/v1/namespaces/{namespace}/deployments/vision-2");
        let label = json!({"metadata": {"labels": {"foresail.dev/function": "detect"}}});
        rig.patch(&path, &label).unwrap();
        scene
    }

    fn deploy(&self, name: &str, resources: &Value) {
        let of = (self.namespace.as_str(), name);
        self.rig
            .deployment(of, 2, resources, &json!({"rig/resize": "1"}));
        wait_until(MINUTE, "ready pods", || {
            (self.rig.replicas(of.0, of.1).1 == 2).then_some(())
        });
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_foresail"));
        command
            .current_dir(&self.folder)
            .args(words)
            .args(["--provider", "kubernetes", "--namespace", &self.namespace])
            .arg("--kubeconfig")
            .arg(self.rig.folder.join("kubeconfig"))
            .stdin(Stdio::null());
        command
    }

    fn search(&self, more: &[&str]) -> Output {
        let url = service();
        let words = [
            "optimize",
            "flow.json",
            "--tuner",
            "random",
            "--n_init",
            "2",
            "--n_batch",
            "1",
            "--batch_size",
            "1",
            "--requests",
            "2",
            "--repeats",
            "1",
            "--output",
            "json",
            "--url",
            &url,
        ];
        let all: Vec<&str> = words.iter().chain(more).copied().collect();
        self.command(&all).output().unwrap()
    }

    /// What the kubelet gives each pod of a Deployment: name, CPU limit, memory limit, restarts.
    fn given(&self, name: &str) -> Vec<(String, f64, f64, i64)> {
        let one = |pod: &Value| {
            let status = &pod["status"]["containerStatuses"][0];
            let limit = |of: &str| quantity(status["resources"]["limits"][of].as_str().unwrap());
            let name = pod["metadata"]["name"].as_str().unwrap().to_owned();
            (
                name,
                limit("cpu"),
                limit("memory"),
                status["restartCount"].as_i64().unwrap(),
            )
        };
        let mut all: Vec<_> = self
            .rig
            .pods(&self.namespace, name)
            .iter()
            .map(one)
            .collect();
        all.sort_by(|a, b| a.0.cmp(&b.0));
        all
    }
}

fn quantity(text: &str) -> f64 {
    let units = [
        ("Mi", 1_048_576.0),
        ("Ki", 1024.0),
        ("Gi", 1_073_741_824.0),
        ("m", 0.001),
    ];
    for (unit, factor) in units {
        if let Some(number) = text.strip_suffix(unit) {
            return number.parse::<f64>().unwrap() * factor;
        }
    }
    text.parse().unwrap()
}

fn told(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    text.into_owned()
}

fn end(mut child: Child) -> Option<i32> {
    let pid = i32::try_from(child.id()).unwrap();
    kill_process(Pid::from_raw(pid).unwrap(), Signal::INT).unwrap();
    wait_until(MINUTE, "the end", || child.try_wait().unwrap()).code()
}

fn warm_pods_follow_what_was_busy(rig: &Rig) {
    let scene = Scene::new(rig, "pools");
    let url = prometheus();
    let query = "busy{function=\"{function}\",namespace=\"{namespace}\"}";
    let child = scene
        .command(&["aquatope", "schedule", "--passes", "1", "--interval", "2s"])
        .args(["--function", "resize", "--function", "detect"])
        .args(["--prometheus", &url, "--busy-query", query])
        .stdout(Stdio::null())
        .stderr(std::fs::File::create(scene.folder.join("log")).unwrap())
        .spawn()
        .unwrap();
    let log = || std::fs::read_to_string(scene.folder.join("log")).unwrap();
    let ready = wait_until(MINUTE, "warm pods", || {
        let (asked, ready) = rig.replicas("pools", "resize");
        (asked >= 6 && ready == asked).then_some(ready)
    });
    assert!(ready < 20, "{ready}: {}", log());
    // A pool that is not needed is let go: nothing was busy within its keep-alive.
    // One stays, as a request starts no pod.
    wait_until(MINUTE, "one pod without calls", || {
        (rig.replicas("pools", "vision-2").0 == 1).then_some(())
    });
    assert_eq!(end(child), Some(130), "{}", log());
    assert_eq!(rig.replicas("pools", "resize").0, 2, "{}", log());
    assert_eq!(rig.replicas("pools", "vision-2").0, 2, "{}", log());
    let journal = std::fs::read_to_string(scene.folder.join("aquatope-schedule.jsonl")).unwrap();
    assert!(
        journal.lines().last().unwrap().contains("restored"),
        "{journal}"
    );
}

fn sizes_are_set_in_place_and_the_best_stays(rig: &Rig) {
    let scene = Scene::new(rig, "sizes");
    let before = scene.given("resize");
    let output = scene.search(&[]);
    assert_eq!(output.status.code(), Some(0), "{}", told(&output));
    let value: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(value["trials"], 3, "{value}");
    // Anything smaller is as fast here, and cheaper.
    assert_ne!(value["inForce"], value["former"], "{value}");
    let text = value["inForce"].to_string();
    for name in ["resize", "vision-2"] {
        let pods = scene.given(name);
        assert_eq!(pods.len(), 2);
        for (pod, cpu, memory, restarts) in &pods {
            assert_eq!(*restarts, 0, "{pod} was restarted");
            // The form of the number in the answer is its own.
            assert!(
                text.contains(&format!("{cpu}")),
                "{pod} has {cpu} cores: {text}"
            );
            let mib = (memory / 1_048_576.0).round();
            assert!(
                text.contains(&format!("{mib}")),
                "{pod} has {mib} MiB: {text}"
            );
        }
        assert!(
            (pods[0].1 - pods[1].1).abs() < 1e-9,
            "both have the same: {pods:?}"
        );
    }
    // The same pods as before: nothing was rolled out, and the template says what it said.
    let names =
        |all: &[(String, f64, f64, i64)]| all.iter().map(|p| p.0.clone()).collect::<Vec<_>>();
    assert_eq!(names(&scene.given("resize")), names(&before));
    let path = "/apis/apps/v1/namespaces/sizes/deployments/resize";
    let template = rig.get(path).unwrap();
    let limits = template.pointer("/spec/template/spec/containers/0/resources/limits/cpu");
    assert_eq!(limits.unwrap(), "600m");
    assert!(
        told(&output).contains("their templates do not"),
        "{}",
        told(&output)
    );
    // A search that is interrupted gives the sizes back that it found.
    let found = scene.given("resize");
    let url = service();
    let child = scene
        .command(&[
            "optimize",
            "flow.json",
            "--tuner",
            "random",
            "--seed",
            "9",
            "--url",
            &url,
        ])
        .args(["--requests", "500", "--repeats", "3"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    wait_until(MINUTE, "another size", || {
        (scene.given("resize") != found).then_some(())
    });
    assert_eq!(end(child), Some(130));
    assert_eq!(scene.given("resize"), found);
}

fn a_refused_resize_is_undone(rig: &Rig) {
    let scene = Scene::new(rig, "refused");
    let pod = scene.given("resize")[0].0.clone();
    let path = format!("/api/v1/namespaces/refused/pods/{pod}");
    rig.annotate(&path, &json!({"rig/resize-refuse": "Infeasible"}));
    let before = (scene.given("resize"), scene.given("vision-2"));
    let output = scene.search(&["--seed", "3"]);
    let text = told(&output);
    assert_eq!(output.status.code(), Some(2), "{text}");
    assert!(text.contains("its node can never give as much"), "{text}");
    assert!(
        text.contains("the former setting is in force again"),
        "{text}"
    );
    assert_eq!((scene.given("resize"), scene.given("vision-2")), before);
    let asked = rig.get(&path).unwrap();
    let limit = asked
        .pointer("/spec/containers/0/resources/limits/cpu")
        .unwrap();
    assert_eq!(limit, "600m", "what is asked for is taken back too");
    // One that has no room at present is waited for, and then told.
    rig.annotate(&path, &json!({"rig/resize-refuse": "Deferred"}));
    let output = scene.search(&["--seed", "3", "--apply-timeout", "12s"]);
    let text = told(&output);
    assert_eq!(output.status.code(), Some(2), "{text}");
    assert!(text.contains("has no room at present"), "{text}");
    assert_eq!((scene.given("resize"), scene.given("vision-2")), before);
}

fn a_rollout_sets_sizes_where_that_is_asked(rig: &Rig) {
    let scene = Scene::new(rig, "rollout");
    let before = scene.given("resize");
    let output = scene.search(&["--resize", "rollout", "--seed", "5"]);
    let text = told(&output);
    assert_eq!(output.status.code(), Some(0), "{text}");
    let after = scene.given("resize");
    assert_ne!(before[0].0, after[0].0, "new pods");
    let template = rig
        .get("/apis/apps/v1/namespaces/rollout/deployments/resize")
        .unwrap();
    let limit = template.pointer("/spec/template/spec/containers/0/resources/limits/cpu");
    let limit = quantity(limit.unwrap().as_str().unwrap());
    assert!((after[0].1 - limit).abs() < 1e-9, "{after:?}, {limit}");
}
