//! One workload with all that a live run needs: usage that is played, a real Prometheus, a scripted
//! model, an account with the rights that the mode asks for, and the command itself.

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use super::server::{Reply, Server, json as told};
use crate::beside_hpa::prometheus::Prometheus;
use crate::rig::{Rig, wait_until};

/// The deployment.
pub const NAME: &str = "web";

/// The model's name.
pub const MODEL: &str = "tiny";

/// What the model answers from now on where it is gone.
const GONE: i64 = 99;

/// Everything of one test.
pub struct Study<'a> {
    pub rig: &'a Rig,
    pub namespace: &'static str,
    pub prometheus: Prometheus,
    pub folder: PathBuf,
    model: Server,
    delta: Arc<AtomicI64>,
    kubeconfig: PathBuf,
}

/// What a mode may write, beside what every mode reads.
pub fn rules(mode: &str) -> Value {
    let rule = |group: &str, resources: &[&str], verbs: &[&str]| json!({"apiGroups": [group], "resources": resources, "verbs": verbs});
    let mut rules = vec![
        rule("apps", &["deployments", "deployments/scale"], &["get"]),
        rule("apps", &["replicasets"], &["list"]),
        rule("", &["pods"], &["list"]),
        rule("autoscaling", &["horizontalpodautoscalers"], &["list"]),
        rule("metrics.k8s.io", &["pods"], &["list"]),
    ];
    if mode != "comparison" {
        let verbs = ["get", "create", "delete"];
        rules.push(rule("autoscaling", &["horizontalpodautoscalers"], &verbs));
    }
    if ["ai_scaler", "predictive"].contains(&mode) {
        rules.push(rule("apps", &["deployments/scale"], &["update"]));
        rules.push(rule("apps", &["deployments"], &["patch"]));
    }
    Value::Array(rules)
}

impl<'a> Study<'a> {
    /// A workload of three pods that use 80 of 100 thousandths of a core each, and 20 of 64 MiB;
    /// `None` where there is no Prometheus.
    pub fn new(rig: &'a Rig, namespace: &'static str, mode: &str) -> Option<Self> {
        Self::using(rig, namespace, mode, "80m")
    }

    /// The same with pods that use this much.
    pub fn using(rig: &'a Rig, namespace: &'static str, mode: &str, cpu: &str) -> Option<Self> {
        let prometheus = Prometheus::of_containers(rig, namespace)?;
        rig.namespace(namespace);
        let resources = json!({
            "requests": {"cpu": "100m", "memory": "64Mi"}, "limits": {"cpu": "200m", "memory": "128Mi"},
        });
        let usage = json!({"rig/cpu": cpu, "rig/memory": "20Mi"});
        rig.deployment((namespace, NAME), 3, &resources, &usage);
        let delta = Arc::new(AtomicI64::new(1));
        let heard = Arc::clone(&delta);
        let model = Server::new(None, move |asked| {
            let delta = heard.load(Ordering::SeqCst);
            match asked.target.contains("/models") {
                _ if delta == GONE => Reply::Silence(Duration::ZERO),
                true => told(json!({"data": [{"id": MODEL}]}).to_string()),
                false => told(completion(delta)),
            }
        });
        let folder = rig.folder.join(format!("study-{namespace}"));
        fs::create_dir_all(&folder).unwrap();
        let kubeconfig = account(rig, namespace, mode);
        let study = Self {
            rig,
            namespace,
            prometheus,
            folder,
            model,
            delta,
            kubeconfig,
        };
        study.wait_measured();
        Some(study)
    }

    /// Waits until the metrics API knows the pods: a run before that has nothing to decide on.
    fn wait_measured(&self) {
        let path = format!(
            "/apis/metrics.k8s.io/v1beta1/namespaces/{}/pods",
            self.namespace
        );
        wait_until(Duration::from_secs(60), "three pods are measured", || {
            let list = self.rig.get(&path).ok()?;
            (list["items"].as_array()?.len() == 3).then_some(())
        });
    }

    /// What the model advises from now on.
    pub fn advise(&self, delta: i64) {
        self.delta.store(delta, Ordering::SeqCst);
    }

    /// The model answers nobody any more.
    pub fn lose_model(&self) {
        self.delta.store(GONE, Ordering::SeqCst);
    }

    /// Every pod that is there uses this much from now on.
    pub fn use_cpu(&self, cpu: &str) {
        for pod in self.rig.pods(self.namespace, NAME) {
            let name = pod["metadata"]["name"].as_str().unwrap();
            let path = format!("/api/v1/namespaces/{}/pods/{name}", self.namespace);
            self.rig.annotate(&path, &json!({"rig/cpu": cpu}));
        }
    }

    /// Questions so far.
    pub fn questions(&self) -> usize {
        let seen = self.model.seen();
        let asked = |r: &&super::server::Request| r.target.contains("chat/completions");
        seen.iter().filter(asked).count()
    }

    /// The command with all that it needs, and more.
    pub fn command(&self, more: &[&str]) -> Command {
        let model_url = format!("{}/v1", self.model.url());
        let usual = [
            ("--deployment", NAME),
            ("--interval", "3"),
            ("--model", MODEL),
            ("--prometheus-url", self.prometheus.url.as_str()),
            ("--ollama-url", &model_url),
        ];
        let mut command = Command::new(env!("CARGO_BIN_EXE_foresail"));
        command
            .args(["experiment", "--namespace", self.namespace])
            .args(["--hpa-initial-readiness-delay", "1s"])
            .args(["--hpa-cpu-initialization-period", "5s", "--verbose"]);
        for (flag, value) in usual.iter().filter(|(flag, _)| !more.contains(flag)) {
            command.args([flag, value]);
        }
        command
            .arg("--output-dir")
            .arg(self.folder.join("data"))
            .arg("--kubeconfig")
            .arg(&self.kubeconfig)
            .args(more)
            .stdin(Stdio::null());
        command
    }

    /// Runs it to its end.
    pub fn run(&self, more: &[&str]) -> Output {
        self.command(more).output().unwrap()
    }

    /// Runs it to an end that must be this one; what it told on stderr.
    pub fn ends(&self, more: &[&str], code: i32) -> String {
        let output = self.run(more);
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{more:?}: {told}");
        told
    }

    /// Starts it; what it tells goes to a file.
    pub fn start(&self, more: &[&str]) -> Running {
        let log = self.folder.join("told");
        let child = self
            .command(more)
            .stdout(Stdio::null())
            .stderr(fs::File::create(&log).unwrap())
            .spawn()
            .unwrap();
        Running { child, log }
    }

    /// The newest file of rows.
    pub fn csv(&self) -> Option<PathBuf> {
        let entries = fs::read_dir(self.folder.join("data")).ok()?;
        let all = entries.flatten().map(|e| e.path());
        all.filter(|p| p.extension().is_some_and(|e| e == "csv"))
            .max()
    }

    /// The newest rows, each as cells by column.
    pub fn rows(&self) -> Vec<Row> {
        let Some(path) = self.csv() else {
            return Vec::new();
        };
        let mut reader = csv::Reader::from_path(path).unwrap();
        let names = reader.headers().unwrap().clone();
        let row = |record: csv::StringRecord| {
            let cells = names.iter().zip(record.iter());
            Row(cells.map(|(n, c)| (n.to_owned(), c.to_owned())).collect())
        };
        reader.records().flatten().map(row).collect()
    }

    /// What stands beside the newest rows.
    pub fn beside(&self) -> Vec<Value> {
        let text = fs::read_to_string(self.csv().unwrap().with_extension("jsonl")).unwrap();
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    /// The HPA's path.
    pub fn hpa_path(&self) -> String {
        format!(
            "/apis/autoscaling/v2/namespaces/{}/horizontalpodautoscalers/{NAME}-hpa",
            self.namespace
        )
    }

    /// The HPA that is there.
    pub fn hpa(&self) -> Option<Value> {
        self.rig.get(&self.hpa_path()).ok()
    }

    /// Makes the HPA of the flags as its owner would, with a label of their own.
    pub fn make_hpa(&self, max: i32) {
        let metric = |name: &str, percent: i32| json!({"type": "Resource", "resource": {"name": name, "target": {"type": "Utilization", "averageUtilization": percent}}});
        let policy = |kind: &str, value: i32, period: i32| json!([{"type": kind, "value": value, "periodSeconds": period}]);
        let hpa = json!({
            "apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler",
            "metadata": {"name": format!("{NAME}-hpa"), "labels": {"team": "shop"}},
            "spec": {
                "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": NAME},
                "minReplicas": 1, "maxReplicas": max, "metrics": [metric("cpu", 60), metric("memory", 80)],
                "behavior": {
                    "scaleUp": {"stabilizationWindowSeconds": 0, "policies": policy("Percent", 100, 15)},
                    "scaleDown": {"stabilizationWindowSeconds": 60, "policies": policy("Pods", 1, 30)},
                },
            },
        });
        let path = format!(
            "/apis/autoscaling/v2/namespaces/{}/horizontalpodautoscalers",
            self.namespace
        );
        self.rig.post(&path, &hpa).unwrap();
    }

    /// The annotation of the deployment that keeps an HPA.
    pub fn kept(&self) -> Option<Value> {
        let path = format!(
            "/apis/apps/v1/namespaces/{}/deployments/{NAME}",
            self.namespace
        );
        let object = self.rig.get(&path).unwrap();
        let annotations = &object["metadata"]["annotations"];
        let text = annotations["foresail.dev/experiment-hpa"].as_str()?;
        Some(serde_json::from_str(text).unwrap())
    }

    /// Writes of the run's own account since a mark, but for its questions about its own rights.
    pub fn writes(&self, since: u64) -> Vec<Value> {
        let account = format!("system:serviceaccount:{}:study", self.namespace);
        let mut events = self.rig.audit(since);
        events.retain(|e| {
            let verb = e["verb"].as_str().unwrap_or_default();
            let reads = ["get", "list", "watch"].contains(&verb);
            let asks = e["objectRef"]["apiGroup"] == "authorization.k8s.io";
            e["user"]["username"] == account.as_str() && !reads && !asks
        });
        events
    }
}

/// One row's cells.
pub struct Row(std::collections::BTreeMap<String, String>);

impl Row {
    /// A cell.
    pub fn cell(&self, column: &str) -> &str {
        &self.0[column]
    }

    /// A cell as a number; `None` where it is empty.
    pub fn number(&self, column: &str) -> Option<f64> {
        let cell = self.cell(column);
        (!cell.is_empty()).then(|| cell.parse().unwrap())
    }
}

/// A run that is under way.
pub struct Running {
    child: Child,
    log: PathBuf,
}

impl Running {
    /// What it has told so far.
    pub fn told(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id()).unwrap();
        kill_process(Pid::from_raw(pid).unwrap(), signal).unwrap();
    }

    /// Waits for its end; its exit code, where it was not killed.
    pub fn wait(&mut self) -> Option<i32> {
        let ended = wait_until(Duration::from_secs(90), "the end of the run", || {
            self.child.try_wait().unwrap()
        });
        ended.code()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn completion(delta: i64) -> String {
    let words = json!({"reasoning": "usage moved", "delta": delta, "confidence_pct": 90});
    let message = json!({"role": "assistant", "content": words.to_string()});
    json!({
        "id": "c", "object": "chat.completion",
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 300, "completion_tokens": 40, "total_tokens": 340},
    })
    .to_string()
}

/// A kubeconfig of an account that has the rights of a mode and no more.
fn account(rig: &Rig, namespace: &str, mode: &str) -> PathBuf {
    let role = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": "study"}, "rules": rules(mode),
    });
    let binding = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": {"name": "study"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "study"},
        "subjects": [{"kind": "ServiceAccount", "name": "study", "namespace": namespace}],
    });
    let account =
        json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "study"}});
    for object in [account, role, binding] {
        rig.apply_object(namespace, &object).unwrap();
    }
    rig.kubeconfig_of(
        &format!("study-{namespace}.kubeconfig"),
        &rig.token(namespace, "study"),
    )
}
