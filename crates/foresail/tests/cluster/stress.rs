//! Stress and load on played pods: commands reach the kubelet, usage follows, and requests are spread
//! over pods.

use std::collections::BTreeMap;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use foresail::experiment::webapp::{Hpa, WEBAPP};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::Row;
use crate::rig::{Rig, wait_until};

pub const ROWS: &[Row] = &[
    (
        "stress::busy_loops_make_the_hpa_scale_and_end_early",
        false,
        busy_loops_make_the_hpa_scale_and_end_early,
    ),
    (
        "stress::memory_is_filled_once_and_more_than_free_is_refused",
        false,
        memory_is_filled_once_and_more_than_free_is_refused,
    ),
    (
        "stress::requests_are_spread_over_pods_and_a_new_one_gets_its_share",
        false,
        requests_are_spread_over_pods_and_a_new_one_gets_its_share,
    ),
];

const MINUTE: Duration = Duration::from_secs(60);

/// The webapp with three ready pods; with its HPA where `hpa`.
fn webapp(rig: &Rig, namespace: &str, hpa: bool) {
    rig.namespace(namespace);
    for object in WEBAPP
        .objects(namespace, "webapp", &Hpa::default())
        .unwrap()
    {
        if hpa || object["kind"] != "HorizontalPodAutoscaler" {
            rig.apply_object(namespace, &object).unwrap();
        }
    }
    wait_until(MINUTE, "three ready pods", || {
        (rig.replicas(namespace, "webapp") == (3, 3)).then_some(())
    });
}

/// The binary with the administrator's rights.
fn foresail(rig: &Rig, namespace: &str, words: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_foresail"));
    command
        .args(words.split(' '))
        .args(["--namespace", namespace, "--kubeconfig"])
        .arg(rig.folder.join("kubeconfig"))
        .args(["--output", "json"])
        .current_dir(&rig.folder)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// Its answer, and its exit code.
fn ended(child: Child) -> (Value, Option<i32>, String) {
    let output = child.wait_with_output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    let value = serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{e}: {error}"));
    (value, output.status.code(), error)
}

/// Commands that the played kubelet has recorded for a namespace.
fn commands(rig: &Rig, namespace: &str) -> Vec<Value> {
    let text = std::fs::read_to_string(rig.folder.join("exec.log")).unwrap_or_default();
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    whole
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .filter(|line| line["namespace"] == namespace)
        .collect()
}

/// CPU in thousandths of a core and memory in MiB of nginx by pod, as metrics.k8s.io has them.
fn usage(rig: &Rig, namespace: &str) -> BTreeMap<String, (f64, f64)> {
    let path = format!("/apis/metrics.k8s.io/v1beta1/namespaces/{namespace}/pods");
    let Ok(list) = rig.get(&path) else {
        return BTreeMap::new();
    };
    let mut all = BTreeMap::new();
    for pod in list["items"].as_array().unwrap() {
        let containers = pod["containers"].as_array().unwrap();
        let Some(nginx) = containers.iter().find(|c| c["name"] == "nginx") else {
            continue;
        };
        let text = |name: &str| nginx["usage"][name].as_str().unwrap_or("0").to_owned();
        let cpu = text("cpu").trim_end_matches('n').parse().unwrap_or(0.0) / 1e6;
        let memory = text("memory").trim_end_matches("Ki").parse().unwrap_or(0.0) / 1024.0;
        let name = pod["metadata"]["name"].as_str().unwrap().to_owned();
        all.insert(name, (cpu, memory));
    }
    all
}

/// Four loops in each of three pods are held at the container's limit, 200 m of the 110 m that a pod
/// asks for: 182 % where 60 % are aimed at, so the HPA scales; new pods get their loops. An interrupt
/// ends them before their time.
fn busy_loops_make_the_hpa_scale_and_end_early(rig: &Rig) {
    let space = "stress-cpu";
    webapp(rig, space, true);
    let words = "stress cpu --workers 4 --duration 600 --refresh 2";
    let child = foresail(rig, space, words).spawn().unwrap();
    let highest = wait_until(2 * MINUTE, "usage at the limit", || {
        let usage = usage(rig, space);
        let busy = usage.values().filter(|(cpu, _)| *cpu > 190.0).count();
        (busy >= 3).then_some(usage)
    });
    assert!(highest.values().all(|(cpu, _)| *cpu < 210.0), "{highest:?}");
    wait_until(2 * MINUTE, "the HPA scales to its most", || {
        (rig.replicas(space, "webapp") == (10, 10)).then_some(())
    });
    let begun = || {
        let log = commands(rig, space);
        let is_begun = |l: &&Value| l["what"] == "start" && l["kind"] == "cpu";
        log.iter().filter(is_begun).count()
    };
    wait_until(MINUTE, "loops in the new pods", || {
        (begun() == 10).then_some(())
    });
    // The last one's word has to come back too.
    std::thread::sleep(Duration::from_secs(2));
    let pid = Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
    kill_process(pid, Signal::INT).unwrap();
    let (told, code, error) = ended(child);
    assert_eq!(code, Some(130), "{error}");
    let pods = told["stress"]["pods"].as_array().unwrap();
    assert_eq!(pods.len(), 10, "{told}");
    assert!(
        pods.iter()
            .all(|p| p["started"] == 1 && p["ended"] == "told"),
        "{told}"
    );
    let log = commands(rig, space);
    let first = log.iter().find(|l| l["kind"] == "cpu").unwrap();
    assert_eq!(first["container"], "nginx");
    assert_eq!(first["command"][0], "sh");
    assert_eq!(first["command"][1], "-c");
    wait_until(MINUTE, "their ends in the log", || {
        let log = commands(rig, space);
        let early = |l: &&Value| l["what"] == "end" && l["kind"] == "cpu" && l["why"] == "told";
        (log.iter().filter(early).count() == 10).then_some(())
    });
    assert_eq!(begun(), 10);
}

/// 40 MiB go into the 64 of /dev/shm, 40 more do not; a pod that comes later stays as it is.
fn memory_is_filled_once_and_more_than_free_is_refused(rig: &Rig) {
    let space = "stress-memory";
    webapp(rig, space, false);
    let before = wait_until(MINUTE, "usage of three pods", || {
        let usage = usage(rig, space);
        (usage.len() == 3).then_some(usage)
    });
    let words = "stress memory --mb 40 --duration 600 --max-pods 2";
    let child = foresail(rig, space, words).spawn().unwrap();
    let filled = wait_until(MINUTE, "40 MiB more in two pods", || {
        let usage = usage(rig, space);
        let more = |(name, (_, memory)): (&String, &(f64, f64))| {
            before.get(name).is_some_and(|b| *memory > b.1 + 39.0)
        };
        let pods: Vec<String> = usage
            .iter()
            .filter(|u| more(*u))
            .map(|u| u.0.clone())
            .collect();
        (pods.len() == 2).then_some(pods)
    });
    // The first two by name.
    assert_eq!(filled, before.keys().take(2).cloned().collect::<Vec<_>>());
    let mut second = foresail(
        rig,
        space,
        "stress memory --mb 40 --duration 600 --max-pods 2",
    );
    let (told, code, error) = ended(second.spawn().unwrap());
    assert_eq!(code, Some(1), "{error}");
    for pod in told["stress"]["pods"].as_array().unwrap() {
        assert_eq!(pod["ended"], json!({"refused": 24}), "{told}");
        assert_eq!(pod["started"], 0);
    }
    assert!(error.contains("only 24 MiB are free"), "{error}");
    let pid = Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
    kill_process(pid, Signal::INT).unwrap();
    assert_eq!(ended(child).1, Some(130));
    wait_until(MINUTE, "the memory is given back", || {
        let usage = usage(rig, space);
        usage
            .values()
            .all(|(_, memory)| *memory < 20.0)
            .then_some(())
    });
}

/// Requests of 1 ms of CPU, 60 a second: 20 a pod on three, 15 on four.
fn requests_are_spread_over_pods_and_a_new_one_gets_its_share(rig: &Rig) {
    let space = "load";
    webapp(rig, space, false);
    let words =
        "load --rps 60 --duration 60 --refresh 1s --connections 32 --timeout 30s --out seconds.csv";
    let child = foresail(rig, space, words).spawn().unwrap();
    let used = wait_until(MINUTE, "their usage", || {
        let usage = usage(rig, space);
        (usage.len() == 3 && usage.values().all(|(cpu, _)| *cpu > 15.0)).then_some(usage)
    });
    assert!(used.values().all(|(cpu, _)| *cpu < 30.0), "{used:?}");
    let path = format!("/apis/apps/v1/namespaces/{space}/deployments/webapp");
    rig.patch(&path, &json!({"spec": {"replicas": 4}})).unwrap();
    let (told, code, error) = ended(child);
    assert_eq!(code, Some(0), "{error}");
    let load = &told["load"];
    assert_eq!(load["due"], 3600);
    assert_eq!(load["answered"], 3600, "{load}");
    let servers = load["targets"].as_array().unwrap();
    assert_eq!(servers.len(), 4, "{load}");
    let mut counts: Vec<i64> = servers
        .iter()
        .map(|s| s["answered"].as_i64().unwrap())
        .collect();
    let new = counts.pop().unwrap();
    assert!(new > 50, "{new} for the pod that came later");
    let (least, most) = (counts.iter().min().unwrap(), counts.iter().max().unwrap());
    // Not to the request: while streams are opened, one that waits takes the first that is free.
    assert!(
        most - least <= most / 10,
        "evenly over the first three: {counts:?}"
    );
    // The pods have counted the same.
    let served = wait_until(MINUTE, "the counters", || served(rig, space));
    let of = |s: &Value| served.get(s["name"].as_str().unwrap()).copied();
    for server in servers {
        assert_eq!(of(server), server["answered"].as_i64(), "{served:?}");
    }
    let rows = std::fs::read_to_string(rig.folder.join("seconds.csv")).unwrap();
    assert_eq!(rows.lines().count(), 61);
}

/// Requests that each pod has answered, as the exporter has them.
fn served(rig: &Rig, namespace: &str) -> Option<BTreeMap<String, i64>> {
    let address = format!("127.0.0.1:{}", rig.base + 7);
    let mut stream = std::net::TcpStream::connect(address).ok()?;
    let request = "GET /metrics HTTP/1.0\r\n\r\n";
    std::io::Write::write_all(&mut stream, request.as_bytes()).ok()?;
    let mut text = String::new();
    std::io::Read::read_to_string(&mut stream, &mut text).ok()?;
    let head = format!("nginx_http_requests_total{{namespace=\"{namespace}\",pod=\"");
    let lines = text.lines().filter_map(|l| l.strip_prefix(&head));
    let counts = lines.filter_map(|l| {
        let (pod, count) = l.split_once("\"} ")?;
        Some((pod.to_owned(), count.parse().ok()?))
    });
    Some(counts.collect())
}
