//! Requests of pods. `foresail optimize --deployment`: advice writes nothing; a change goes pod by pod in place or by a
//! rollout, and what is refused, late, interrupted or killed is put back or gone on with.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

use crate::Row;
use crate::beside_hpa::prometheus::Prometheus;
use crate::proxy::Proxy;
use crate::rig::{Rig, wait_until};
use crate::rule::{Action, Change, Rule, When};

mod controller;

pub const ROWS: &[Row] = &[
    (
        "vertical::the_controller_recommends_and_resizes",
        false,
        controller::recommends_and_resizes,
    ),
    (
        "vertical::advice_writes_nothing",
        false,
        advice_writes_nothing,
    ),
    (
        "vertical::pods_are_resized_in_place_and_back",
        false,
        pods_are_resized_in_place_and_back,
    ),
    (
        "vertical::a_refused_resize_is_put_back",
        false,
        a_refused_resize_is_put_back,
    ),
    (
        "vertical::a_deferred_resize_is_waited_for",
        false,
        a_deferred_resize_is_waited_for,
    ),
    (
        "vertical::a_limit_range_cuts_and_guaranteed_stays",
        false,
        a_limit_range_cuts_and_guaranteed_stays,
    ),
    (
        "vertical::without_the_subresource_it_is_a_rollout",
        false,
        without_the_subresource_it_is_a_rollout,
    ),
    (
        "vertical::a_killed_change_is_gone_on_with_or_undone",
        false,
        a_killed_change_is_gone_on_with_or_undone,
    ),
    (
        "vertical::a_lost_answer_changes_a_pod_once",
        false,
        a_lost_answer_changes_a_pod_once,
    ),
    (
        "vertical::who_reckons_with_requests_is_asked_first",
        false,
        who_reckons_with_requests_is_asked_first,
    ),
    (
        "vertical::the_past_is_read_from_prometheus",
        false,
        the_past_is_read_from_prometheus,
    ),
];

const MINUTE: Duration = Duration::from_secs(60);

const ANNOTATION: &str = "foresail.dev/vertical-intent";

/// 100 m and 64 MiB, with twice that as the limit.
fn burstable() -> Value {
    json!({"requests": {"cpu": "100m", "memory": "64Mi"}, "limits": {"cpu": "200m", "memory": "128Mi"}})
}

/// A command behind a proxy of its own.
struct Scene<'a> {
    rig: &'a Rig,
    namespace: String,
    proxy: Proxy,
    kubeconfig: PathBuf,
}

/// What a command came to.
struct Ended {
    code: Option<i32>,
    out: String,
    err: String,
}

impl Ended {
    fn check(&self, code: i32) -> &Self {
        assert_eq!(self.code, Some(code), "{}\n{}", self.out, self.err);
        self
    }
}

impl<'a> Scene<'a> {
    fn new(rig: &'a Rig, namespace: &str) -> Self {
        rig.namespace(namespace);
        let proxy = Proxy::start(rig, namespace);
        let token = std::fs::read_to_string(rig.folder.join("pki/admin.token")).unwrap();
        let kubeconfig = rig.folder.join(format!("vertical-{namespace}.kubeconfig"));
        let text = format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: rig\n\
             clusters:\n- name: rig\n  cluster:\n    server: http://{}\n\
             contexts:\n- name: rig\n  context:\n    cluster: rig\n    user: rig\n    namespace: {namespace}\n\
             users:\n- name: rig\n  user:\n    token: {}\n",
            proxy.address,
            token.trim()
        );
        std::fs::write(&kubeconfig, text).unwrap();
        Self {
            rig,
            namespace: namespace.to_owned(),
            proxy,
            kubeconfig,
        }
    }

    /// A Deployment whose pods use 150 m and 96 MiB each, once that can be read of all.
    fn deployment(&self, name: &str, replicas: i32, resources: &Value) {
        let played = json!({"rig/cpu": "150m", "rig/memory": "96Mi", "rig/resize": "1"});
        self.rig
            .deployment((&self.namespace, name), replicas, resources, &played);
        self.wait_usage(name, replicas);
    }

    fn wait_usage(&self, name: &str, replicas: i32) {
        let path = format!(
            "/apis/metrics.k8s.io/v1beta1/namespaces/{}/pods",
            self.namespace
        );
        wait_until(2 * MINUTE, "usage of all pods", || {
            let list = self.rig.get(&path).ok()?;
            let ours = |p: &&Value| p["metadata"]["name"].as_str().unwrap().starts_with(name);
            let full = |p: &&Value| {
                let cpu = p["containers"][0]["usage"]["cpu"].as_str().unwrap();
                let milli = match (cpu.strip_suffix('n'), cpu.strip_suffix('m')) {
                    (Some(nano), _) => nano.parse::<f64>().unwrap() / 1e6,
                    (_, Some(milli)) => milli.parse().unwrap(),
                    _ => 0.0,
                };
                milli > 140.0
            };
            let found = list["items"].as_array().unwrap().iter().filter(ours);
            (found.filter(full).count() == usize::try_from(replicas).unwrap()).then_some(())
        });
    }

    fn command(&self, name: &str, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_foresail"));
        command
            .args(["optimize", "--deployment", name, "--kubeconfig"])
            .arg(&self.kubeconfig)
            .args(words)
            .env_remove("KUBECONFIG")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    fn run(&self, name: &str, words: &[&str]) -> Ended {
        ended(self.command(name, words).spawn().unwrap())
    }

    /// Carries out what one look advises.
    fn apply(&self, name: &str, more: &[&str]) -> Ended {
        self.run(
            name,
            &[&["--apply", "--yes", "--min-history", "0s"], more].concat(),
        )
    }

    fn pods(&self, name: &str) -> Vec<Value> {
        let mut pods = self.rig.pods(&self.namespace, name);
        pods.sort_by_key(|p| p["metadata"]["name"].to_string());
        pods
    }

    /// What each pod asks for and what it has, its CPU request.
    fn cpus(&self, name: &str) -> Vec<(String, String)> {
        let text = |v: &Value| v["requests"]["cpu"].as_str().unwrap_or_default().to_owned();
        let both = |p: &Value| {
            let (spec, status) = (
                &p["spec"]["containers"][0],
                &p["status"]["containerStatuses"][0],
            );
            (text(&spec["resources"]), text(&status["resources"]))
        };
        self.pods(name).iter().map(both).collect()
    }

    fn deployment_path(&self, name: &str) -> String {
        format!(
            "/apis/apps/v1/namespaces/{}/deployments/{name}",
            self.namespace
        )
    }

    fn intent(&self, name: &str) -> Option<Value> {
        let object = self.rig.get(&self.deployment_path(name)).unwrap();
        let text = object["metadata"]["annotations"][ANNOTATION].as_str();
        text.map(|t| serde_json::from_str(t).unwrap())
    }

    fn annotate_pod(&self, pod: &Value, annotations: &Value) {
        let name = pod["metadata"]["name"].as_str().unwrap();
        let path = format!("/api/v1/namespaces/{}/pods/{name}", self.namespace);
        self.rig.annotate(&path, annotations);
    }

    /// Everything is as it was before: sizes, conditions, no restart, no intent.
    fn check_untouched(&self, name: &str) {
        for pod in self.pods(name) {
            let of = |path: &str| pod.pointer(path).cloned().unwrap_or_default();
            assert_eq!(of("/spec/containers/0/resources"), burstable());
            assert_eq!(of("/status/containerStatuses/0/resources"), burstable());
            assert_eq!(of("/status/containerStatuses/0/restartCount"), 0);
            let conditions = of("/status/conditions");
            let resize = |c: &Value| c["type"].as_str().unwrap().starts_with("PodResize");
            assert!(
                !conditions.as_array().unwrap().iter().any(resize),
                "{conditions}"
            );
        }
        assert_eq!(self.intent(name), None);
    }
}

fn ended(child: Child) -> Ended {
    let output = child.wait_with_output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Ended {
        code: output.status.code(),
        out: text(&output.stdout),
        err: text(&output.stderr),
    }
}

fn advice_writes_nothing(rig: &Rig) {
    let scene = Scene::new(rig, "vertical-advice");
    scene.deployment("web", 2, &burstable());
    let mark = rig.mark();
    let ended = scene.run("web", &[]);
    println!("{}", ended.check(0).out);
    for part in [
        "2 pods, Burstable, changed in place",
        "main: vpa ",
        "memory",
        "patch deployment web",
        "nothing was written",
    ] {
        let told = ended.out.replace("main 2: vpa", "main: vpa");
        assert!(told.contains(part), "{part}:\n{}", ended.out);
    }
    let told = scene.run(
        "web",
        &["-o", "json", "--duration", "16s", "--interval", "5s"],
    );
    let told: Value = serde_json::from_str(&told.check(0).out).unwrap();
    assert_eq!(told["qos"], "Burstable");
    let samples = told["samples"].as_u64().unwrap();
    assert!(
        samples >= 4,
        "several looks at two pods gave {samples} samples"
    );
    let container = &told["containers"][0];
    // 150 m and 15 %, and the rest of its bucket; 250 MiB are the least for a pod.
    let cpu = container["resources"]["cpu"]["target"].as_str().unwrap();
    let cpu: i64 = cpu.strip_suffix('m').unwrap().parse().unwrap();
    assert!((172..=185).contains(&cpu), "{cpu}");
    assert_eq!(container["resources"]["memory"]["target"], "250Mi");
    // Limits are twice the requests, as before.
    let size = &container["advised"];
    assert_eq!(
        size["limits"],
        json!({"cpu": format!("{}m", 2 * cpu), "memory": "500Mi"})
    );
    assert_eq!(
        told["patch"]["spec"]["template"]["spec"]["containers"][0]["resources"],
        *size
    );
    assert_eq!(container["explanation"]["mode"], "Advise");

    assert!(scene.proxy.log().len() > 8);
    let asked = scene.proxy.chosen(|e| e.verb != "GET");
    assert!(asked.is_empty(), "{asked:?}");
    let own = |e: &Value| {
        e["auditID"]
            .as_str()
            .is_some_and(|id| id.starts_with("vertical-advice-"))
    };
    let events: Vec<Value> = rig.audit(mark).into_iter().filter(own).collect();
    let reads = |e: &Value| ["get", "list"].contains(&e["verb"].as_str().unwrap_or_default());
    assert!(events.iter().all(reads), "{events:?}");
    scene.check_untouched("web");
}

fn pods_are_resized_in_place_and_back(rig: &Rig) {
    let scene = Scene::new(rig, "vertical-place");
    scene.deployment("web", 3, &burstable());
    let uids = |scene: &Scene<'_>| -> Vec<Value> {
        let pods = scene.pods("web");
        pods.iter().map(|p| p["metadata"]["uid"].clone()).collect()
    };
    let before = uids(&scene);
    let refused = scene.run("web", &["--apply", "--yes"]);
    assert!(
        refused.check(4).err.contains("less than --min-history"),
        "{}",
        refused.err
    );
    let nobody = scene.run("web", &["--apply", "--min-history", "0s"]);
    assert!(nobody.check(2).err.contains("pass --yes"), "{}", nobody.err);
    scene.check_untouched("web");

    let ended = scene.apply("web", &[]);
    assert!(
        ended.check(0).out.contains("3 pods changed"),
        "{}",
        ended.out
    );
    assert_eq!(uids(&scene), before, "no pod was made anew");
    for pod in scene.pods("web") {
        let status = &pod["status"]["containerStatuses"][0];
        assert_eq!(
            status["resources"],
            pod["spec"]["containers"][0]["resources"]
        );
        assert_eq!(status["resources"]["limits"]["memory"], "500Mi");
        assert_eq!(status["restartCount"], 0);
        assert_eq!(pod["status"]["qosClass"], "Burstable");
    }
    assert_eq!(scene.intent("web").unwrap()["stage"], "Applied");
    let object = rig.get(&scene.deployment_path("web")).unwrap();
    let template = &object["spec"]["template"]["spec"]["containers"][0]["resources"];
    assert_eq!(*template, burstable(), "the template is the owner's");
    // The second time there is nothing left to do.
    let again = scene.apply("web", &[]);
    assert!(
        again.check(0).out.contains("requests are kept"),
        "{}",
        again.out
    );

    let undone = scene.run("web", &["--undo", "--yes"]);
    assert!(
        undone.check(0).out.contains("3 pods put back"),
        "{}",
        undone.out
    );
    scene.check_untouched("web");
    assert_eq!(uids(&scene), before);
    scene.run("web", &["--undo", "--yes"]).check(5);
}

fn a_refused_resize_is_put_back(rig: &Rig) {
    let scene = Scene::new(rig, "vertical-refused");
    scene.deployment("web", 3, &burstable());
    // The first pod goes through, the second is refused.
    scene.annotate_pod(
        &scene.pods("web")[1],
        &json!({"rig/resize-refuse": "Infeasible"}),
    );
    let ended = scene.apply("web", &[]);
    ended.check(1);
    assert!(ended.err.contains("Infeasible"), "{}", ended.err);
    assert!(
        ended
            .err
            .contains("everything is as it was (2 pods put back)"),
        "{}",
        ended.err
    );
    scene.check_untouched("web");
    // One that waits for ever is put back too.
    scene.annotate_pod(
        &scene.pods("web")[1],
        &json!({"rig/resize-refuse": "Deferred"}),
    );
    let late = scene.apply("web", &["--deferred-wait", "3s"]);
    late.check(8);
    assert!(
        late.err.contains("not done within 3 s: Deferred"),
        "{}",
        late.err
    );
    scene.check_untouched("web");
}

fn a_deferred_resize_is_waited_for(rig: &Rig) {
    let scene = Scene::new(rig, "vertical-deferred");
    scene.deployment("web", 2, &burstable());
    let first = scene.pods("web").remove(0);
    scene.annotate_pod(&first, &json!({"rig/resize-refuse": "Deferred"}));
    let words = ["--apply", "--yes", "--min-history", "0s"];
    let child = scene.command("web", &words).spawn().unwrap();
    wait_until(MINUTE, "a deferred resize", || {
        let pod = scene.pods("web").remove(0);
        let conditions = pod["status"]["conditions"].as_array().unwrap().clone();
        conditions
            .iter()
            .any(|c| c["reason"] == "Deferred")
            .then_some(())
    });
    let waiting = scene.cpus("web");
    assert_eq!(
        (waiting[0].1.as_str(), waiting[1].0.as_str()),
        ("100m", "100m")
    );
    assert_eq!(scene.intent("web").unwrap()["stage"], "Applying");
    scene.annotate_pod(&first, &json!({"rig/resize-refuse": null}));
    assert!(ended(child).check(0).out.contains("2 pods changed"));
    for (asked, has) in scene.cpus("web") {
        assert_eq!(asked, has);
        assert_ne!(asked, "100m");
    }
}

fn a_limit_range_cuts_and_guaranteed_stays(rig: &Rig) {
    let scene = Scene::new(rig, "vertical-range");
    rig.apply(
        "vertical-range",
        "apiVersion: v1\nkind: LimitRange\nmetadata: {name: edges}\nspec:\n  limits:\n  \
         - {type: Container, max: {cpu: 300m, memory: 1Gi}, min: {cpu: 20m}}\n",
    );
    scene.deployment("web", 1, &burstable());
    let equal = json!({"cpu": "200m", "memory": "300Mi"});
    scene.deployment("sure", 1, &json!({"requests": equal, "limits": equal}));
    // What is advised (some 178 m, a limit of 356 m) does not fit; half of 300 m does.
    let told = scene.run("web", &[]);
    let clause = "→150m, the namespace allows at most 300m";
    assert!(told.check(0).out.contains(clause), "{}", told.out);
    scene.apply("web", &[]).check(0);
    let pod = &scene.pods("web")[0];
    let resources = &pod["status"]["containerStatuses"][0]["resources"];
    assert_eq!(resources["requests"]["cpu"], "150m");
    assert_eq!(resources["limits"]["cpu"], "300m");

    scene.apply("sure", &[]).check(0);
    let pod = &scene.pods("sure")[0];
    let resources = &pod["status"]["containerStatuses"][0]["resources"];
    assert_eq!(resources["requests"], resources["limits"]);
    assert_ne!(resources["requests"]["cpu"], "200m");
    assert_eq!(pod["status"]["qosClass"], "Guaranteed");

    // What the server itself refuses is told in its words: here a bound that came after the look.
    scene.run("sure", &["--undo", "--yes"]).check(0);
    let late = Rule::new("GET", "/limitranges", Action::Status(404, None));
    scene.proxy.rule(late);
    let unread = scene.apply("sure", &[]);
    assert_ne!(
        unread.code,
        Some(0),
        "what is not read is not taken for free: {}",
        unread.out
    );
    assert_eq!(scene.intent("sure"), None);
}

fn without_the_subresource_it_is_a_rollout(rig: &Rig) {
    let scene = Scene::new(rig, "vertical-rollout");
    scene.deployment("web", 2, &burstable());
    scene.deployment("one", 1, &burstable());
    let hidden = Action::Edit(Change::new(|_, answer| {
        if let Some(known) = answer["resources"].as_array_mut() {
            known.retain(|resource| resource["name"] != "pods/resize");
        }
    }));
    scene
        .proxy
        .rule(Rule::new("GET", "/api/v1", hidden).without("/api/v1/"));
    let template = |scene: &Scene<'_>| {
        let object = rig.get(&scene.deployment_path("web")).unwrap();
        object["spec"]["template"]["spec"]["containers"][0]["resources"].clone()
    };
    let old: Vec<Value> = scene
        .pods("web")
        .iter()
        .map(|p| p["metadata"]["uid"].clone())
        .collect();
    let ended = scene.apply("web", &["--change-wait", "90s"]);
    assert!(
        ended.check(0).out.contains("2 pods changed"),
        "{}\n{}",
        ended.out,
        ended.err
    );
    let new = template(&scene);
    assert_eq!(new["limits"]["memory"], "500Mi");
    for pod in scene.pods("web") {
        assert!(!old.contains(&pod["metadata"]["uid"]), "a new pod");
        assert_eq!(pod["spec"]["containers"][0]["resources"], new);
        assert_eq!(pod["status"]["qosClass"], "Burstable");
    }
    let resized = scene.proxy.chosen(|e| e.plain_path().ends_with("/resize"));
    assert!(resized.is_empty(), "never both: {resized:?}");
    scene.run("web", &["--undo", "--yes"]).check(0);
    assert_eq!(template(&scene), burstable());
    assert_eq!(scene.intent("web"), None);

    // The one replica would be made anew: the engine's guard holds it, and says so.
    let one = scene.apply("one", &[]);
    assert!(
        one.check(0)
            .out
            .contains("the one replica would be made anew"),
        "{}",
        one.out
    );
    assert_eq!(scene.intent("one"), None);

    // A rollout that cannot end is taken back: its new pods find no place.
    scene.wait_usage("web", 2);
    let stuck = scene.apply("web", &["--min", "cpu=40", "--change-wait", "8s"]);
    stuck.check(8);
    assert!(
        stuck.err.contains("everything is as it was"),
        "{}",
        stuck.err
    );
    assert_eq!(template(&scene), burstable());
    assert_eq!(rig.replicas("vertical-rollout", "web"), (2, 2));
}

/// A change that is killed after its first pod.
fn killed(scene: &Scene<'_>, name: &str) {
    let words = ["--apply", "--yes", "--min-history", "0s"];
    let mut child = scene.command(name, &words).spawn().unwrap();
    wait_until(MINUTE, "the first pod is resized", || {
        let cpus = scene.cpus(name);
        (cpus[0].1 != "100m").then_some(())
    });
    child.kill().unwrap();
    child.wait().unwrap();
    let cpus = scene.cpus(name);
    assert_eq!(cpus[2], ("100m".to_owned(), "100m".to_owned()), "{cpus:?}");
    assert_eq!(scene.intent(name).unwrap()["stage"], "Applying");
}

fn a_killed_change_is_gone_on_with_or_undone(rig: &Rig) {
    let scene = Scene::new(rig, "vertical-killed");
    scene.deployment("on", 3, &burstable());
    scene.deployment("back", 3, &burstable());
    for name in ["on", "back"] {
        for pod in scene.pods(name) {
            scene.annotate_pod(&pod, &json!({"rig/resize": "3"}));
        }
        killed(&scene, name);
    }
    // Advice tells of it.
    let told = scene.run("on", &[]);
    assert!(
        told.check(0).err.contains("--apply goes on with it"),
        "{}",
        told.err
    );
    // Both wait until whoever was there is not believed to be at work any more.
    let words = ["--apply", "--yes"];
    let on = scene.command("on", &words).spawn().unwrap();
    let back = scene.command("back", &["--undo", "--yes"]).spawn().unwrap();
    let (on, back) = (ended(on), ended(back));
    assert!(on.check(0).err.contains("waiting"), "{}", on.err);
    back.check(0);
    scene.check_untouched("back");
    for (asked, has) in scene.cpus("on") {
        assert_eq!(asked, has);
        assert_ne!(asked, "100m");
    }
    assert_eq!(scene.intent("on").unwrap()["stage"], "Applied");
    // What the first life changed is put back as well.
    assert!(
        scene
            .run("on", &["--undo", "--yes"])
            .check(0)
            .out
            .contains("3 pods put back")
    );
    scene.check_untouched("on");
}

fn a_lost_answer_changes_a_pod_once(rig: &Rig) {
    let scene = Scene::new(rig, "vertical-lost");
    scene.deployment("web", 2, &burstable());
    let lost = Rule::new("PATCH", "/resize", Action::ResetAfter).when(When::Nth(1));
    let lost = scene.proxy.rule(lost);
    let away = Rule::new("GET", "/pods/", Action::Status(503, None)).when(When::Every(3));
    let away = scene.proxy.rule(away);
    let intent = Rule::new("PATCH", "/deployments/", Action::ResetAfter).when(When::Nth(2));
    let intent = scene.proxy.rule(intent);
    let ended = scene.apply("web", &[]);
    assert!(
        ended.check(0).out.contains("2 pods changed"),
        "{}\n{}",
        ended.out,
        ended.err
    );
    assert_eq!((lost.hits(), intent.hits()), (1, 1));
    assert!(away.hits() > 0);
    let sent = scene
        .proxy
        .chosen(|e| e.plain_path().ends_with("/resize") && e.sent.is_some());
    assert_eq!(
        sent.len(),
        2,
        "one write a pod, also where its answer was lost: {sent:?}"
    );
    for (asked, has) in scene.cpus("web") {
        assert_eq!(asked, has);
        assert_ne!(asked, "100m");
    }
}

fn who_reckons_with_requests_is_asked_first(rig: &Rig) {
    let scene = Scene::new(rig, "vertical-rivals");
    scene.deployment("web", 1, &burstable());
    rig.apply(
        "vertical-rivals",
        "apiVersion: autoscaling/v2\nkind: HorizontalPodAutoscaler\nmetadata: {name: web}\nspec:\n  \
         scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: web}\n  minReplicas: 1\n  maxReplicas: 1\n  \
         metrics: [{type: Resource, resource: {name: cpu, target: {type: Utilization, averageUtilization: 80}}}]\n",
    );
    let ended = scene.apply("web", &[]);
    ended.check(6);
    assert!(
        ended.err.contains("aims at 80 % of the cpu request"),
        "{}",
        ended.err
    );
    scene.check_untouched("web");
    // Memory alone is none of its business.
    scene.apply("web", &["--resource", "memory"]).check(0);
    let size = scene.pods("web")[0]["status"]["containerStatuses"][0]["resources"].clone();
    assert_eq!(
        (&size["requests"]["cpu"], &size["requests"]["memory"]),
        (&json!("100m"), &json!("250Mi"))
    );
    // A rollout that is on is waited for by whoever asks.
    let stuck = json!({"spec": {"template": {"spec": {"nodeSelector": {"none": "such"}}}}});
    rig.patch(&scene.deployment_path("web"), &stuck).unwrap();
    let rolling = scene.apply("web", &["--force"]);
    assert!(
        rolling.check(6).err.contains("a rollout is on"),
        "{}",
        rolling.err
    );
}

fn the_past_is_read_from_prometheus(rig: &Rig) {
    let scene = Scene::new(rig, "vertical-past");
    // Three days of a pod that is gone: 400 m and 700 MiB, a point every two minutes.
    let end = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap()
        .as_secs()
        / 60
        * 60
        - 600;
    let labels = r#"{namespace="vertical-past",pod="web-7c9d8f-x2x4z",container="main"}"#;
    let (mut cpu, mut memory) = (String::new(), String::new());
    for step in 0..2160_u64 {
        let at = end - (2160 - step) * 120;
        cpu += &format!(
            "container_cpu_usage_seconds_total{labels} {} {at}\n",
            step * 48
        );
        memory += &format!(
            "container_memory_working_set_bytes{labels} {} {at}\n",
            700_u64 << 20
        );
    }
    let past = format!(
        "# TYPE container_cpu_usage_seconds counter\n{cpu}# TYPE container_memory_working_set_bytes gauge\n{memory}# EOF\n"
    );
    let Some(server) = Prometheus::start_in(rig, "vertical-prometheus", &past) else {
        return;
    };
    scene.deployment("web", 1, &burstable());
    let words = ["-o", "json", "--prometheus", &server.url];
    let told = scene.run("web", &words);
    let told: Value = serde_json::from_str(&told.check(0).out).unwrap();
    let span = told["historySeconds"].as_i64().unwrap();
    assert!((250_000..270_000).contains(&span), "three days: {span} s");
    let of = |name: &str| {
        told["containers"][0]["resources"][name]["target"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    let cpu: i64 = of("cpu").strip_suffix('m').unwrap().parse().unwrap();
    assert!((460..=490).contains(&cpu), "400 m and 15 %: {cpu}");
    let memory: i64 = of("memory").strip_suffix("Mi").unwrap().parse().unwrap();
    assert!((805..=850).contains(&memory), "700 MiB and 15 %: {memory}");
    // Days of samples are enough to act on.
    scene
        .run("web", &["--apply", "--yes", "--prometheus", &server.url])
        .check(0);
    assert!(
        scene
            .cpus("web")
            .iter()
            .all(|(asked, has)| asked == has && asked != "100m")
    );
}
