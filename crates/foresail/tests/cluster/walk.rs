//! `docs/kubernetes.md`, walked as a reader would: each command is run, and what it prints is what
//! stands there, but for numbers, times and names of this run. FORESAIL_BLESS=1 writes it anew.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::Row;
use crate::rig::{Rig, repository, wait_until};

pub const ROWS: &[Row] = &[(
    "walk::the_guide_prints_what_it_says",
    false,
    the_guide_prints_what_it_says,
)];

/// How long a command that only looks is repeated until it prints what is written.
const PATIENCE: Duration = Duration::from_secs(60);

/// A controller that ends with its test.
struct Controller(Child);

impl Drop for Controller {
    fn drop(&mut self) {
        // It may have ended by itself; the test then failed before.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn controller(rig: &Rig, namespace: &str) -> Controller {
    let folder = rig.folder.join(format!("walk-{namespace}"));
    let log = std::fs::File::create(rig.folder.join(format!("walk-{namespace}.log"))).unwrap();
    let child = Command::new(env!("CARGO_BIN_EXE_foresail"))
        .args([
            "run",
            "controller",
            "--log-format",
            "text",
            "--lease",
            "walk",
        ])
        .args(["--namespace", namespace, "--watch-namespace", namespace])
        .args([
            "--hpa-cpu-initialization-period",
            "5s",
            "--hpa-initial-readiness-delay",
            "1s",
        ])
        .arg("--store")
        .arg(&folder)
        .env("KUBECONFIG", rig.folder.join("kubeconfig"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .expect("the controller");
    Controller(child)
}

/// A command of the guide with what it prints.
struct Step {
    command: String,
    printed: Vec<String>,
    /// The lines of the guide that hold what is printed.
    place: std::ops::Range<usize>,
}

fn steps(guide: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let mut inside = false;
    for (number, line) in guide.lines().enumerate() {
        if line.starts_with("```") {
            inside = line == "```console";
        } else if !inside {
        } else if let Some(command) = line.strip_prefix("$ ") {
            steps.push(Step {
                command: command.to_owned(),
                printed: Vec::new(),
                place: number + 1..number + 1,
            });
        } else if let Some(step) = steps.last_mut() {
            step.printed.push(line.to_owned());
            step.place.end = number + 1;
        }
    }
    steps
}

/// A line without what differs from run to run: words with digits, and widths of columns.
fn form(line: &str) -> String {
    let word = |word: &str| match word.chars().any(|c| c.is_ascii_digit()) {
        true => "#".to_owned(),
        false => word.to_owned(),
    };
    let words: Vec<String> = line.split_whitespace().map(word).collect();
    words.join(" ")
}

fn forms(lines: &[String]) -> Vec<String> {
    let kept = lines.iter().map(|l| form(l));
    kept.filter(|l| !l.is_empty()).collect()
}

fn printed(rig: &Rig, command: &str) -> Vec<String> {
    let own = std::path::Path::new(env!("CARGO_BIN_EXE_foresail"))
        .parent()
        .unwrap();
    let path = std::env::var("PATH").unwrap_or_default();
    let output = Command::new("sh")
        .args(["-c", command])
        .env("PATH", format!("{}:{path}", own.display()))
        .env("KUBECONFIG", rig.folder.join("kubeconfig"))
        .env("COLUMNS", "120")
        .stdin(Stdio::null())
        .output()
        .expect("a shell");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if text.is_empty() {
        println!("{command}: {}", String::from_utf8_lossy(&output.stderr));
    }
    text.lines().map(|l| l.trim_end().to_owned()).collect()
}

/// `true` for a command that may be run again and again.
fn only_looks(command: &str) -> bool {
    [
        "foresail get",
        "foresail explain",
        "foresail describe",
        "kubectl get",
    ]
    .iter()
    .any(|c| command.starts_with(c))
}

fn run(rig: &Rig, step: &Step, bless: bool) -> Vec<String> {
    let begin = Instant::now();
    loop {
        let got = printed(rig, &step.command);
        let same = forms(&got) == forms(&step.printed);
        let late = begin.elapsed()
            > if bless {
                Duration::from_secs(25)
            } else {
                PATIENCE
            };
        if same || late || !only_looks(&step.command) {
            return got;
        }
        std::thread::sleep(Duration::from_secs(1));
    }
}

fn the_guide_prints_what_it_says(rig: &Rig) {
    crate::crd::install(rig);
    let kubectl = Command::new("kubectl")
        .arg("version")
        .arg("--client")
        .output();
    if !kubectl.is_ok_and(|o| o.status.success()) {
        crate::skip("walk::the_guide_prints_what_it_says: no kubectl");
        return;
    }
    rig.namespace("shop");
    let resources = json!({"requests": {"cpu": "100m"}, "limits": {"cpu": "200m"}});
    rig.deployment(("shop", "web"), 3, &resources, &json!({"rig/startup": "5"}));
    rig.apply(
        "shop",
        "apiVersion: autoscaling/v2\nkind: HorizontalPodAutoscaler\nmetadata: {name: web}\nspec:\n  \
         scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: web}\n  minReplicas: 2\n  maxReplicas: 20\n  \
         metrics: [{type: Resource, resource: {name: cpu, target: {type: Utilization, averageUtilization: 50}}}]\n",
    );
    rig.script(
        "walk",
        "workloads: [{namespace: shop, name: web, rate: 30, cpuMs: 10, baseMilli: 5}]",
    );
    // 30 requests/s of 10 ms and 5 m a pod are 335 m on 7 pods: 48 % of what they ask for.
    wait_until(Duration::from_secs(150), "the HPA has found 7", || {
        (rig.replicas("shop", "web") == (7, 7)).then_some(())
    });
    let _controller = controller(rig, "shop");
    let place = repository().join("docs/kubernetes.md");
    let guide = std::fs::read_to_string(&place).expect("the guide");
    let bless = std::env::var_os("FORESAIL_BLESS").is_some();
    let mut lines: Vec<String> = guide.lines().map(str::to_owned).collect();
    let mut wrong = Vec::new();
    let mut blessed = Vec::new();
    let all = steps(&guide);
    assert!(all.len() >= 12, "the guide has {} commands", all.len());
    for step in all {
        let got = run(rig, &step, bless);
        if forms(&got) != forms(&step.printed) {
            wrong.push(format!("$ {}\n{}", step.command, got.join("\n")));
        }
        blessed.push((step.place, got));
    }
    if bless {
        for (place, got) in blessed.into_iter().rev() {
            lines.splice(place, got);
        }
        std::fs::write(&place, lines.join("\n") + "\n").unwrap();
        return;
    }
    assert!(
        wrong.is_empty(),
        "printed something else:\n{}",
        wrong.join("\n\n")
    );
}
