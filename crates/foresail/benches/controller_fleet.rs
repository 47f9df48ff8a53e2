//! The controller over a fleet: passes on time, what a pass takes, CPU, memory, calls, a scale-out.
//!
//! The API server is in this process and holds everything in memory; the controller is a child, so that
//! what it uses is its own. Prints a table, and one JSON line.
//!
//! ```text
//! cargo bench -p foresail --bench controller_fleet -- --objects 1000 --seconds 120
//! ```
//!
//! `--period S` time between two passes of an object (15); `--from-zero` targets begin at 0 and are scaled by an external
//! metric; `--forecast` demand is asked of Prometheus, a day of it at the begin, and forecast; `--workers N`; `--controller PROGRAM` another build of the controller; `--no-scale-out`.
#![allow(
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::unwrap_used,
    clippy::expect_used,
    missing_docs,
    unreachable_pub,
    dead_code,
    reason = "a benchmark prints what it measured, and ends where it cannot"
)]

mod fleet;

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use axum::Router;
use fleet::api::Api;
use fleet::process;
use fleet::scrape::{Scrape, scrape};
use fleet::store::AUTOSCALERS;
use fleet::world::Fleet;
use serde_json::{Value, json};

/// The longest that all objects may need for their first pass, beyond two periods.
const FIRST_MAX: Duration = Duration::from_secs(240);

/// The longest that the past of all objects is waited for.
const PAST_MAX: Duration = Duration::from_secs(900);

/// The longest that a scale-out is waited for.
const SCALE_OUT_MAX: Duration = Duration::from_secs(400);

#[derive(Debug)]
struct Options {
    fleet: Fleet,
    seconds: u64,
    workers: u32,
    controller: PathBuf,
    scale_out: bool,
}

fn options() -> Options {
    let mut options = Options {
        fleet: Fleet {
            objects: 1000,
            period: 15,
            from_zero: false,
            forecast: false,
            seed: 1,
        },
        seconds: 120,
        workers: 8,
        controller: option_env!("CARGO_BIN_EXE_foresail")
            .unwrap_or("foresail")
            .into(),
        scale_out: true,
    };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let mut number = || {
            words
                .next()
                .and_then(|w| w.parse::<u32>().ok())
                .expect("a number")
        };
        match word.as_str() {
            "--objects" => options.fleet.objects = number() as usize,
            "--period" => options.fleet.period = number(),
            "--seed" => options.fleet.seed = number().into(),
            "--seconds" => options.seconds = number().into(),
            "--workers" => options.workers = number(),
            "--from-zero" => options.fleet.from_zero = true,
            "--forecast" => options.fleet.forecast = true,
            "--no-scale-out" => options.scale_out = false,
            "--controller" => options.controller = words.next().expect("a program").into(),
            // Cargo's own.
            "--bench" => {}
            other => panic!("no such option: {other}; see the head of benches/controller_fleet.rs"),
        }
    }
    options
}

/// A controller that is ended with its folder.
struct Controller {
    child: Child,
    metrics: SocketAddr,
    folder: PathBuf,
}

impl Controller {
    fn start(options: &Options, api: SocketAddr) -> Self {
        let folder = std::env::temp_dir().join(format!("foresail-fleet-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let kubeconfig = folder.join("kubeconfig");
        std::fs::write(&kubeconfig, kubeconfig_of(api)).unwrap();
        // Taken and given back: a child cannot be handed a listener.
        let metrics = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap();
        let mut command = Command::new(&options.controller);
        command
            .args([
                "run",
                "controller",
                "--log-level",
                "warn",
                "-n",
                "foresail-system",
            ])
            .arg("--kubeconfig")
            .arg(&kubeconfig)
            .arg("--store")
            .arg(folder.join("store"))
            .args(["--metrics-bind", &metrics.to_string()])
            .args(["--workers", &options.workers.to_string()])
            // As the image has it.
            .env("MALLOC_ARENA_MAX", "2")
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(folder.join("log")).unwrap());
        if options.fleet.forecast {
            command.args(["--prometheus-url", &format!("http://{api}")]);
        }
        let child = command
            .spawn()
            .unwrap_or_else(|e| panic!("{}: {e}", options.controller.display()));
        Self {
            child,
            metrics,
            folder,
        }
    }

    fn pid(&self) -> u32 {
        self.child.id()
    }

    fn scrape(&self) -> Scrape {
        scrape(self.metrics).unwrap_or_default()
    }

    /// Bytes of a file of its folder, 0 where it is not there.
    fn bytes(&self, name: &str) -> u64 {
        std::fs::metadata(self.folder.join(name)).map_or(0, |m| m.len())
    }
}

impl Drop for Controller {
    fn drop(&mut self) {
        let log = std::fs::read_to_string(self.folder.join("log")).unwrap_or_default();
        for line in log.lines().take(5) {
            eprintln!("log: {}", line.chars().take(300).collect::<String>());
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn kubeconfig_of(api: SocketAddr) -> String {
    let config = json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "fleet",
        "clusters": [{"name": "fleet", "cluster": {"server": format!("http://{api}")}}],
        "contexts": [{"name": "fleet", "context": {"cluster": "fleet", "user": "fleet"}}],
        "users": [{"name": "fleet", "user": {}}],
    });
    config.to_string()
}

const PASSES: &str = "foresail_reconciliation_duration_seconds";
const LAG: &str = "foresail_reconcile_lag_seconds";

/// One look at everything that is counted.
struct Look {
    at: Instant,
    cpu: Duration,
    waited: Duration,
    scrape: Scrape,
    calls: std::collections::BTreeMap<String, u64>,
}

impl Look {
    fn at(controller: &Controller, api: &Api) -> Self {
        Self {
            scrape: controller.scrape(),
            at: Instant::now(),
            cpu: process::cpu(controller.pid()),
            waited: process::waited(controller.pid()),
            calls: api.lock().calls.clone(),
        }
    }
}

fn wait(what: &str, most: Duration, mut is: impl FnMut() -> bool) -> Option<f64> {
    let begun = Instant::now();
    while !is() {
        if begun.elapsed() > most {
            eprintln!("{what}: not within {} s", most.as_secs());
            return None;
        }
        std::thread::sleep(Duration::from_millis(250));
    }
    Some(begun.elapsed().as_secs_f64())
}

fn main() {
    let options = options();
    let api = Api::new(options.fleet);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let listener = runtime
        .block_on(tokio::net::TcpListener::bind("127.0.0.1:0"))
        .unwrap();
    let address = listener.local_addr().unwrap();
    let served = api.clone();
    let router = Router::new().fallback(move |request| served.clone().serve(request));
    runtime.spawn(async move { axum::serve(listener, router).await });
    let result = measure(&options, &api, address);
    println!("{result}");
}

fn measure(options: &Options, api: &Api, address: SocketAddr) -> Value {
    let fleet = options.fleet;
    let controller = Controller::start(options, address);
    let pid = controller.pid();
    // Whoever profiles the child needs its number.
    eprintln!("controller: process {pid}");
    let period = Duration::from_secs(fleet.period.into());
    // Counted at the API: to ask the controller for its metrics all the time would cost it more than its passes do. Every first pass
    // writes a status.
    let passes = || {
        let held = api.lock();
        let patches = held.calls.get("patch predictiveautoscalers/status");
        patches.copied().unwrap_or(0) as f64
    };
    let first = wait("a first pass", FIRST_MAX, || passes() >= 1.0);
    let all = wait("every object's first pass", FIRST_MAX + 2 * period, || {
        passes() >= fleet.objects as f64
    });
    if fleet.forecast {
        // One point a minute of each object is asked for once its past is known.
        wait("every object's past", PAST_MAX, || {
            api.lock().pasts >= fleet.objects
        });
    }
    let first_cpu = process::cpu(pid).as_secs_f64();
    std::thread::sleep(period);
    let before = Look::at(&controller, api);
    let mut resident = Vec::new();
    for _ in 0..options.seconds / 5 {
        std::thread::sleep(Duration::from_secs(5));
        resident.push(process::memory_mib(pid, "VmRSS"));
    }
    let after = Look::at(&controller, api);
    let steady = steady(options, &before, &after);
    let scrape_began = Instant::now();
    let scraped = controller.scrape();
    let scrape_ms = scrape_began.elapsed().as_secs_f64() * 1e3;
    let scale_out =
        (options.scale_out && !fleet.forecast).then(|| scale_out(fleet, &controller, api));
    let result = json!({
        "bench": "controller fleet", "objects": fleet.objects, "period": fleet.period, "forecast": fleet.forecast, "trusted": trusted(api), "workers": options.workers,
        "profile": profile(&options.controller), "load": process::load(),
        "first_pass_s": first, "all_passed_s": all, "first_cpu_s": first_cpu,
        "steady": steady,
        "rss_mib": resident.iter().copied().max_by(f64::total_cmp),
        "anonymous_mib": process::memory_mib(pid, "RssAnon"), "hwm_mib": process::memory_mib(pid, "VmHWM"),
        "metrics": {"ms": scrape_ms, "bytes": scraped.bytes},
        "store_bytes": controller.bytes("store/foresail.redb"),
        "scale_out": scale_out,
        "refused": api.lock().refused,
        "passes": scraped.some("foresail_reconciliations_total"),
        "autoscalers": api.lock().objects.count(AUTOSCALERS),
    });
    table(&result);
    result
}

/// Objects whose forecast is trusted.
fn trusted(api: &Api) -> usize {
    let all = api.lock().objects.list(AUTOSCALERS, None, None, usize::MAX);
    let is = |text: &&String| text.contains("\"reason\":\"Calibrated\"");
    all.items.iter().filter(is).count()
}

fn profile(controller: &Path) -> &'static str {
    let text = controller.to_string_lossy();
    if text.contains("/release/") {
        "release"
    } else {
        "dev"
    }
}

fn steady(options: &Options, before: &Look, after: &Look) -> Value {
    let seconds = (after.at - before.at).as_secs_f64();
    let passes = after.scrape.since(&before.scrape, PASSES);
    let lag = after.scrape.since(&before.scrape, LAG);
    let late = f64::from(options.fleet.period) * 0.2;
    let mut calls = serde_json::Map::new();
    let mut whole = 0.0;
    for (call, n) in &after.calls {
        let more = n - before.calls.get(call).copied().unwrap_or(0);
        if more > 0 {
            whole += more as f64;
            calls.insert(call.clone(), json!(more as f64 / seconds));
        }
    }
    let cpu = (after.cpu - before.cpu).as_secs_f64();
    json!({
        "seconds": seconds, "passes_per_s": passes.count() / seconds,
        "pass_ms_at_most": {"p50": passes.at_most_ms(0.5), "p99": passes.at_most_ms(0.99)},
        "lag_ms_at_most": {"p50": lag.at_most_ms(0.5), "p99": lag.at_most_ms(0.99)},
        "on_time": lag.share_within(late), "late_beyond_s": late,
        "cores": cpu / seconds, "cpu_ms_per_pass": cpu * 1e3 / passes.count(),
        "waited_for_a_core_cores": after.waited.saturating_sub(before.waited).as_secs_f64() / seconds,
        "calls_per_s": whole / seconds, "calls": calls,
    })
}

/// The demand rises at once for all; how long until each target has its number.
fn scale_out(fleet: Fleet, controller: &Controller, api: &Api) -> Value {
    let goal = fleet.replicas(true);
    let before = Look::at(controller, api);
    let begun = Instant::now();
    api.lock().demand = match fleet.from_zero {
        true => 20.0,
        false => goal as f64 / fleet.replicas(false) as f64,
    };
    let mut half = None;
    let all = wait("the scale-out", SCALE_OUT_MAX, || {
        let reached = api.reached(goal);
        if half.is_none() && reached * 2 >= fleet.objects {
            half = Some(begun.elapsed().as_secs_f64());
        }
        reached >= fleet.objects
    });
    let after = Look::at(controller, api);
    let more = |call: &str| {
        let of = |look: &Look| look.calls.get(call).copied().unwrap_or(0);
        of(&after) - of(&before)
    };
    json!({
        "from": fleet.replicas(false), "to": goal, "half_s": half, "all_s": all, "reached": api.reached(goal),
        "scale_gets": more("get deployments/scale"), "scale_puts": more("update deployments/scale"),
        "status_patches": more("patch predictiveautoscalers/status"), "events": more("create events"),
        "cpu_s": (after.cpu - before.cpu).as_secs_f64(),
    })
}

fn table(result: &Value) {
    let row = |what: &str, pointers: &[&str]| {
        let values: Vec<String> = pointers
            .iter()
            .map(|p| match result.pointer(p) {
                Some(Value::Number(n)) => format!("{:.3}", n.as_f64().unwrap_or(f64::NAN)),
                Some(Value::String(s)) => s.clone(),
                _ => "–".to_owned(),
            })
            .collect();
        println!("{what:<48} {}", values.join("  "));
    };
    row(
        "objects, period s, load of the machine",
        &["/objects", "/period", "/load"],
    );
    row(
        "first pass, all passed once, s",
        &["/first_pass_s", "/all_passed_s"],
    );
    row("passes a second", &["/steady/passes_per_s"]);
    row("share on time", &["/steady/on_time"]);
    row(
        "a pass, p50 and p99 at most, ms",
        &["/steady/pass_ms_at_most/p50", "/steady/pass_ms_at_most/p99"],
    );
    row(
        "lag, p50 and p99 at most, ms",
        &["/steady/lag_ms_at_most/p50", "/steady/lag_ms_at_most/p99"],
    );
    row(
        "cores, CPU ms a pass",
        &["/steady/cores", "/steady/cpu_ms_per_pass"],
    );
    row(
        "cores that were waited for",
        &["/steady/waited_for_a_core_cores"],
    );
    row(
        "VmRSS at most, VmHWM, RssAnon, MiB",
        &["/rss_mib", "/hwm_mib", "/anonymous_mib"],
    );
    row("calls a second", &["/steady/calls_per_s"]);
    row("own metrics, ms, bytes", &["/metrics/ms", "/metrics/bytes"]);
    row(
        "scale-out, half and all, s",
        &["/scale_out/half_s", "/scale_out/all_s"],
    );
}
