//! A fleet on the control plane: many objects, one controller, three minutes. It is a measurement and takes ten minutes,
//! so it runs only where it is asked for:
//!
//! ```text
//! FORESAIL_FLEET=1000 cargo test -p foresail --test cluster -- --ignored --nocapture fleet
//! ```
//!
//! `FORESAIL_FLEET_SECONDS` is how long it is looked at (180), `FORESAIL_FLEET_CONTROLLER` another build of the controller.

use std::fs::File;
use std::net::{SocketAddr, TcpListener};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::Row;
use crate::rig::{Rig, wait_until};

#[path = "../../benches/fleet/process.rs"]
mod process;
#[path = "../../benches/fleet/scrape.rs"]
mod scrape;

use scrape::{Scrape, scrape};

pub const ROWS: &[Row] = &[("fleet::passes_are_on_time", true, passes_are_on_time)];

/// Objects of a namespace.
const PER_NAMESPACE: usize = 20;

/// Seconds between two passes of an object.
const PERIOD: u64 = 15;

/// The longest that everything may take to be there.
const MADE_MAX: Duration = Duration::from_secs(900);

const OBJECTS: &str = "/apis/autoscaling.foresail.dev/v1alpha1";

fn number(name: &str, default: usize) -> usize {
    let given = std::env::var(name).ok();
    given.map_or(default, |n| n.parse().expect(name))
}

/// A workload of one pod at half of its request, and an object that leaves it so.
fn make(rig: &Rig, namespace: &str, name: &str) {
    let resources = json!({"requests": {"cpu": "100m", "memory": "64Mi"}});
    let usage = json!({"rig/cpu": "50m"});
    rig.deployment((namespace, name), 1, &resources, &usage);
    let metric = json!({"type": "Resource", "resource": {
        "name": "cpu", "target": {"type": "Utilization", "averageUtilization": 50},
    }});
    let object = json!({
        "apiVersion": "autoscaling.foresail.dev/v1alpha1", "kind": "PredictiveAutoscaler",
        "metadata": {"name": name},
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": name},
            "mode": "Auto", "syncPeriodSeconds": PERIOD, "minReplicas": 1, "maxReplicas": 20, "metrics": [metric],
        },
    });
    let path = format!("{OBJECTS}/namespaces/{namespace}/predictiveautoscalers");
    rig.post(&path, &object).unwrap();
}

/// The controller straight on the API server: a proxy between them would be measured with it.
struct Controller {
    child: Child,
    metrics: SocketAddr,
}

impl Controller {
    fn start(rig: &Rig) -> Self {
        let folder = rig.folder.join("fleet");
        std::fs::create_dir_all(&folder).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let metrics = listener.local_addr().unwrap();
        drop(listener);
        let program = std::env::var("FORESAIL_FLEET_CONTROLLER");
        let program = program.unwrap_or_else(|_| env!("CARGO_BIN_EXE_foresail").to_owned());
        let child = Command::new(program)
            .args(["run", "controller", "--log-level", "warn", "-n", "default"])
            .arg("--kubeconfig")
            .arg(rig.folder.join("kubeconfig"))
            .arg("--store")
            .arg(folder.join("store"))
            .args(["--metrics-bind", &metrics.to_string()])
            .env_remove("FORESAIL_LOG")
            // As the image has it.
            .env("MALLOC_ARENA_MAX", "2")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(folder.join("log")).unwrap())
            .spawn()
            .unwrap();
        Self { child, metrics }
    }

    fn scrape(&self) -> Scrape {
        scrape(self.metrics).unwrap_or_default()
    }
}

impl Drop for Controller {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Deployments whose pod is ready.
fn ready(rig: &Rig) -> usize {
    let Ok(list) = rig.get("/apis/apps/v1/deployments?labelSelector=") else {
        return 0;
    };
    let items = list["items"].as_array().unwrap().iter();
    items.filter(|d| d["status"]["readyReplicas"] == 1).count()
}

/// Statuses that tell what the target has and what the metric asks for.
fn served(rig: &Rig) -> usize {
    let Ok(list) = rig.get(&format!("{OBJECTS}/predictiveautoscalers")) else {
        return 0;
    };
    let items = list["items"].as_array().unwrap().iter();
    let is = |o: &&Value| o["status"]["readyReplicas"] == 1 && o["status"]["reactiveReplicas"] == 1;
    items.filter(is).count()
}

/// Calls of the controller a second, by the audit log (events of the API are not in it).
fn calls(rig: &Rig, mark: u64, seconds: f64) -> Value {
    let mut counts = std::collections::BTreeMap::<String, f64>::new();
    for event in rig.audit(mark) {
        if event["user"]["username"] != "rig-admin" {
            continue;
        }
        let part = |path: &str| event.pointer(path).and_then(Value::as_str);
        let verb = part("/verb").unwrap_or("-");
        let resource = part("/objectRef/resource").unwrap_or("-");
        let sub = part("/objectRef/subresource").map_or(String::new(), |s| format!("/{s}"));
        *counts.entry(format!("{verb} {resource}{sub}")).or_default() += 1.0 / seconds;
    }
    let all: f64 = counts.values().sum();
    json!({"all": all, "by": counts})
}

fn passes_are_on_time(rig: &Rig) {
    let objects = number("FORESAIL_FLEET", 1000);
    let seconds = number("FORESAIL_FLEET_SECONDS", 180);
    crate::crd::install(rig);
    let begun = Instant::now();
    for n in 0..objects {
        let namespace = format!("fleet-{:04}", n / PER_NAMESPACE);
        if n % PER_NAMESPACE == 0 {
            rig.namespace(&namespace);
        }
        make(rig, &namespace, &format!("web-{n:05}"));
    }
    wait_until(MADE_MAX, "every pod is ready", || {
        (ready(rig) >= objects).then_some(())
    });
    println!("made in {:.0} s", begun.elapsed().as_secs_f64());
    let controller = Controller::start(rig);
    let pid = controller.child.id();
    wait_until(MADE_MAX, "every object is served", || {
        std::thread::sleep(Duration::from_secs(3));
        (served(rig) >= objects).then_some(())
    });
    let (mark, at) = (rig.mark(), Instant::now());
    let (before, cpu, waited) = (controller.scrape(), process::cpu(pid), process::waited(pid));
    std::thread::sleep(Duration::from_secs(seconds as u64));
    let after = controller.scrape();
    let took = at.elapsed().as_secs_f64();
    let cpu = (process::cpu(pid) - cpu).as_secs_f64();
    let passes = after.since(&before, "foresail_reconciliation_duration_seconds");
    let lag = after.since(&before, "foresail_reconcile_lag_seconds");
    let on_time = lag.share_within(PERIOD as f64 * 0.2);
    let told = json!({
        "bench": "controller fleet on the control plane", "objects": objects, "period": PERIOD, "seconds": took,
        "load": process::load(), "passes_per_s": passes.count() / took, "on_time": on_time,
        "pass_ms_at_most": {"p50": passes.at_most_ms(0.5), "p99": passes.at_most_ms(0.99)},
        "lag_ms_at_most": {"p50": lag.at_most_ms(0.5), "p99": lag.at_most_ms(0.99)},
        "cores": cpu / took, "cpu_ms_per_pass": cpu * 1e3 / passes.count(),
        "waited_for_a_core_cores": process::waited(pid).saturating_sub(waited).as_secs_f64() / took,
        "rss_mib": process::memory_mib(pid, "VmRSS"), "hwm_mib": process::memory_mib(pid, "VmHWM"),
        "anonymous_mib": process::memory_mib(pid, "RssAnon"),
        "calls_per_s": calls(rig, mark, took),
    });
    println!("{told}");
    // What it takes depends on what else runs; that nobody is left out does not.
    assert!(on_time >= 0.9, "{on_time} of the passes are on time");
    let expected = objects as f64 * took / PERIOD as f64;
    assert!(
        passes.count() >= 0.9 * expected,
        "{} passes instead of {expected:.0}",
        passes.count()
    );
    assert_eq!(served(rig), objects);
    drop(controller);
    for n in 0..objects.div_ceil(PER_NAMESPACE) {
        let _ = rig.delete(&format!("/api/v1/namespaces/fleet-{n:04}"));
    }
}
