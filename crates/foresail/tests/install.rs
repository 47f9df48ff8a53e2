//! What installs the controller, as far as no cluster and no other program is needed: rights, alerts,
//! boards, documents. `tests/cluster/install.rs` compares Helm, kustomize and `foresail manifests`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "tests may fail loudly"
)]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use foresail::controller::meters::NAMES;
use serde_json::Value;
use support::{refused, root, skipped, stdout};

/// Every right that the controller may have: role, group, resource, verbs.
/// Source: specs/reliability.md C, Q1 and Q2, and specs/product_interface.md F.2.
const RIGHTS: [(&str, &str, &str, &str); 23] = [
    (
        "",
        "autoscaling.foresail.dev",
        "predictiveautoscalers",
        "list watch",
    ),
    (
        "",
        "autoscaling.foresail.dev",
        "predictiveautoscalers/status",
        "patch",
    ),
    ("", "", "pods", "list watch"),
    ("", "apps", "deployments", "list watch"),
    ("", "apps", "statefulsets", "list watch"),
    ("", "apps", "replicasets", "list watch"),
    ("", "autoscaling", "horizontalpodautoscalers", "list watch"),
    ("", "metrics.k8s.io", "pods", "list"),
    ("", "custom.metrics.k8s.io", "*", "get"),
    ("", "external.metrics.k8s.io", "*", "list"),
    ("", "events.k8s.io", "events", "create patch"),
    ("-scale", "apps", "deployments/scale", "get update"),
    ("-scale", "apps", "statefulsets/scale", "get update"),
    ("-scale", "apps", "replicasets/scale", "get update"),
    (
        "-hpa-floor",
        "autoscaling",
        "horizontalpodautoscalers",
        "get patch",
    ),
    ("-vertical", "", "pods/resize", "patch"),
    ("-vertical", "", "limitranges", "list"),
    ("-vertical", "", "resourcequotas", "list"),
    (
        "-vertical",
        "autoscaling.k8s.io",
        "verticalpodautoscalers",
        "list",
    ),
    ("-own", "coordination.k8s.io", "leases", "create"),
    (
        "-own",
        "coordination.k8s.io",
        "leases=foresail",
        "get update",
    ),
    (
        "-live-page",
        "authentication.k8s.io",
        "tokenreviews",
        "create",
    ),
    (
        "-live-page",
        "authorization.k8s.io",
        "subjectaccessreviews",
        "create",
    ),
];

const IMAGE: &str = "registry.example/foresail:1";

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
}

fn manifests(args: &[&str]) -> Vec<Value> {
    let folder = tempfile::tempdir().unwrap();
    let all: Vec<&str> = ["manifests", "--image", IMAGE]
        .iter()
        .chain(args)
        .copied()
        .collect();
    serde_saphyr::from_multiple(&stdout(folder.path(), &all, 0)).unwrap()
}

fn texts(value: &Value) -> Vec<&str> {
    value
        .as_array()
        .into_iter()
        .flatten()
        .map(|v| v.as_str().unwrap())
        .collect()
}

/// (group, resource, verbs) of one role's rules, a resource a line.
fn rights_of(role: &Value) -> BTreeSet<(String, String, String)> {
    let mut all = BTreeSet::new();
    for rule in role["rules"].as_array().unwrap() {
        for group in texts(&rule["apiGroups"]) {
            for resource in texts(&rule["resources"]) {
                let names = texts(&rule["resourceNames"]).join(",");
                let resource = match names.as_str() {
                    "" => resource.to_owned(),
                    names => format!("{resource}={names}"),
                };
                all.insert((group.to_owned(), resource, texts(&rule["verbs"]).join(" ")));
            }
        }
    }
    all
}

fn rights_in(role: &str) -> BTreeSet<(String, String, String)> {
    let of = RIGHTS.iter().filter(|(name, ..)| *name == role);
    of.map(|(_, g, r, v)| ((*g).to_owned(), (*r).to_owned(), (*v).to_owned()))
        .collect()
}

fn roles(objects: &[Value]) -> Vec<&Value> {
    let is_role = |o: &&Value| matches!(o["kind"].as_str(), Some("Role" | "ClusterRole"));
    objects.iter().filter(is_role).collect()
}

#[test]
fn roles_grant_what_the_controller_asks_for_and_nothing_else() {
    let objects = manifests(&["--hpa-floor", "--vertical"]);
    let mut seen = BTreeSet::new();
    for role in roles(&objects) {
        let name = role["metadata"]["name"]
            .as_str()
            .unwrap()
            .strip_prefix("foresail")
            .unwrap();
        assert_eq!(rights_of(role), rights_in(name), "foresail{name}");
        let kind = if name == "-own" {
            "Role"
        } else {
            "ClusterRole"
        };
        assert_eq!(role["kind"], kind, "foresail{name}");
        seen.insert(name.to_owned());
    }
    let want = ["", "-scale", "-hpa-floor", "-vertical", "-own"].map(str::to_owned);
    assert_eq!(seen, BTreeSet::from(want));
}

#[test]
fn a_shadow_install_writes_no_workload() {
    let objects = manifests(&["--shadow"]);
    let writes = |(_, resource, verbs): &(String, String, String)| {
        verbs
            .split(' ')
            .any(|v| !matches!(v, "get" | "list" | "watch"))
            .then(|| resource.clone())
    };
    let written: BTreeSet<String> = roles(&objects)
        .into_iter()
        .flat_map(rights_of)
        .filter_map(|r| writes(&r))
        .collect();
    let want = [
        "events",
        "leases",
        "leases=foresail",
        "predictiveautoscalers/status",
    ]
    .map(str::to_owned);
    assert_eq!(written, BTreeSet::from(want));
    let deployment = objects.iter().find(|o| o["kind"] == "Deployment").unwrap();
    let args = &deployment["spec"]["template"]["spec"]["containers"][0]["args"];
    assert!(texts(args).contains(&"--max-mode=shadow"), "{args}");
}

/// Every argument is read before a cluster is looked for, and no cluster is there.
#[test]
fn the_controller_takes_the_arguments_that_it_is_given() {
    let folder = tempfile::tempdir().unwrap();
    let sets: [&[&str]; 3] = [
        &[],
        &["--shadow"],
        &[
            "--watch-namespace",
            "a",
            "--prometheus-url",
            "http://p:9090",
            "--plain-http",
        ],
    ];
    for set in sets {
        let objects = manifests(set);
        let deployment = objects.iter().find(|o| o["kind"] == "Deployment").unwrap();
        let args = &deployment["spec"]["template"]["spec"]["containers"][0]["args"];
        let here = |arg: &str| match arg.split_once('=') {
            Some(("--store", _)) => format!("--store={}", folder.path().display()),
            Some((flag @ ("--metrics-bind" | "--probe-bind"), _)) => format!("{flag}=127.0.0.1:0"),
            _ => arg.to_owned(),
        };
        let mut words: Vec<String> = texts(args).into_iter().map(here).collect();
        words.extend(["--kubeconfig".to_owned(), "missing".to_owned()]);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let output = support::foresail(folder.path(), &words);
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success());
        assert!(
            told.contains("no cluster to talk to: missing"),
            "{set:?}: {told}"
        );
    }
}

#[test]
fn a_namespaced_install_has_no_right_outside_its_namespaces() {
    let objects = manifests(&[
        "--watch-namespace",
        "shop",
        "--watch-namespace",
        "till",
        "-n",
        "own",
    ]);
    let mut places = BTreeMap::new();
    for object in &objects {
        let kind = object["kind"].as_str().unwrap();
        assert!(!kind.starts_with("ClusterRole"), "{kind}");
        if kind == "RoleBinding" {
            assert_eq!(object["roleRef"]["kind"], "Role");
            assert_eq!(object["subjects"][0]["namespace"], "own");
            let name = object["metadata"]["name"].as_str().unwrap();
            let place = object["metadata"]["namespace"].as_str().unwrap();
            places.entry(place).or_insert_with(Vec::new).push(name);
        }
    }
    let both = vec!["foresail", "foresail-scale"];
    let want = [
        ("own", vec!["foresail-own"]),
        ("shop", both.clone()),
        ("till", both),
    ];
    assert_eq!(places, BTreeMap::from(want));
}

#[test]
fn every_right_says_what_it_is_for() {
    let base = ["read", "scale", "own"].map(|n| format!("deploy/kustomize/base/{n}.yaml"));
    let more = [
        "deploy/kustomize/hpa-floor/role.yaml",
        "deploy/kustomize/vertical/role.yaml",
        "deploy/chart/foresail/templates/_rules.tpl",
    ];
    let mut rules = 0;
    for path in base.into_iter().chain(more.map(str::to_owned)) {
        let text = read(&path);
        let lines: Vec<&str> = text.lines().collect();
        for pair in lines
            .windows(2)
            .filter(|p| p[1].starts_with("- apiGroups:"))
        {
            assert!(pair[0].starts_with("# "), "{path}: {}", pair[1]);
            rules += 1;
        }
    }
    assert_eq!(
        rules,
        16 + 18,
        "in the base, and in the chart, which has the live page too"
    );
}

/// The documents name each right, so that it can be asked for by who reads them.
#[test]
fn the_document_lists_every_right_and_every_value() {
    let text = read("docs/install.md");
    for (role, group, resource, verbs) in RIGHTS {
        let (resource, _) = resource.split_once('=').unwrap_or((resource, ""));
        let is_listed = |line: &str| line.contains(&format!("`{resource}`"));
        assert!(text.lines().any(is_listed), "{group}/{resource}");
        assert!(text.contains(&format!("`foresail{role}`")), "{role}");
        for verb in verbs.split(' ') {
            assert!(text.contains(verb), "{verb}");
        }
    }
    let values: Value = serde_saphyr::from_str(&read("deploy/chart/foresail/values.yaml")).unwrap();
    for key in values.as_object().unwrap().keys() {
        let known = [format!("`{key}`"), format!("`{key}.")];
        let is_name = matches!(key.as_str(), "nameOverride" | "fullnameOverride");
        // Said in words: both satisfy what the namespace enforces.
        let is_security = matches!(key.as_str(), "podSecurityContext" | "securityContext");
        assert!(
            is_name || is_security || known.iter().any(|k| text.contains(k)),
            "{key}"
        );
    }
}

#[test]
fn the_chart_has_a_rule_for_every_value_and_a_value_for_every_rule() {
    let values: Value = serde_saphyr::from_str(&read("deploy/chart/foresail/values.yaml")).unwrap();
    let schema: Value =
        serde_json::from_str(&read("deploy/chart/foresail/values.schema.json")).unwrap();
    let mut checked = 0;
    compare(&values, &schema, "", &mut checked);
    assert!(checked > 60, "{checked}");
}

/// Keys of the values and of the schema are the same, and the schema refuses others.
fn compare(values: &Value, schema: &Value, path: &str, checked: &mut usize) {
    let Some(properties) = schema["properties"].as_object() else {
        return;
    };
    assert_eq!(
        schema["additionalProperties"], false,
        "{path} takes any key"
    );
    let values = values
        .as_object()
        .unwrap_or_else(|| panic!("{path} is no object"));
    // What Helm itself adds.
    let keys: BTreeSet<&String> = properties.keys().filter(|k| *k != "global").collect();
    assert_eq!(values.keys().collect::<BTreeSet<_>>(), keys, "{path}");
    for (key, value) in values {
        *checked += 1;
        compare(value, &properties[key], &format!("{path}.{key}"), checked);
    }
}

#[test]
fn one_version_everywhere() {
    let version = env!("CARGO_PKG_VERSION");
    let chart = read("deploy/chart/foresail/Chart.yaml");
    assert!(
        chart.contains(&format!("\nversion: {version}\nappVersion: {version}\n")),
        "{chart}"
    );
    let dockerfile = read("Dockerfile");
    assert!(
        dockerfile.contains(&format!("image.version=\"{version}\"")),
        "{dockerfile}"
    );
    let toolchain = read("rust-toolchain.toml");
    let channel = toolchain
        .split("channel = \"")
        .nth(1)
        .unwrap()
        .split('"')
        .next()
        .unwrap();
    let minor = channel.rsplit_once('.').unwrap().0;
    assert!(
        dockerfile.contains(&format!("FROM rust:{minor}-")),
        "{dockerfile}"
    );
    let label = format!("app.kubernetes.io/version: \"{version}\"");
    let mut files = 0;
    for folder in ["base", "hpa-floor", "vertical", "namespaced/watched"] {
        for entry in fs::read_dir(root().join("deploy/kustomize").join(folder)).unwrap() {
            let path = entry.unwrap().path();
            let text = fs::read_to_string(&path).unwrap();
            let labels = text.matches("app.kubernetes.io/version").count();
            assert_eq!(text.matches(&label).count(), labels, "{}", path.display());
            files += usize::from(labels > 0);
        }
    }
    assert!(files >= 10, "{files}");
}

/// The chart and kustomize may read nothing outside their folders, so each has a copy.
#[test]
fn copies_of_the_crd_are_current() {
    let crd = read("deploy/crd.yaml");
    for copy in [
        "deploy/chart/foresail/files/crd.yaml",
        "deploy/kustomize/crd/crd.yaml",
    ] {
        if std::env::var_os("FORESAIL_BLESS").is_some() {
            fs::write(root().join(copy), &crd).unwrap();
        }
        assert!(
            read(copy) == crd,
            "{copy} is not deploy/crd.yaml: run this test with FORESAIL_BLESS=1"
        );
    }
}

#[test]
fn a_wrong_argument_is_refused_and_nothing_printed() {
    let folder = tempfile::tempdir().unwrap();
    let told = |args: &[&str]| refused(folder.path(), args);
    assert!(told(&["manifests"]).contains("--image"));
    let untagged = told(&["manifests", "--image", "registry.example/foresail"]);
    assert!(untagged.contains("its digest or tag"), "{untagged}");
    let name = told(&["manifests", "--image", IMAGE, "-n", "Own"]);
    assert!(name.contains("no name of a namespace"), "{name}");
    let address = told(&[
        "manifests",
        "--image",
        IMAGE,
        "--prometheus-url",
        "prometheus:9090",
    ]);
    assert!(
        address.contains("https://prometheus.monitoring:9090"),
        "{address}"
    );
    let both = told(&["manifests", "--image", IMAGE, "--shadow", "--hpa-floor"]);
    assert!(both.contains("cannot be used with"), "{both}");
    let both = told(&["manifests", "--image", IMAGE, "--shadow", "--vertical"]);
    assert!(both.contains("cannot be used with"), "{both}");
}

/// Names of the controller's metrics in an expression; series of a histogram by its name.
fn metrics_in(text: &str) -> BTreeSet<String> {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let words = text
        .split(|c| !word(c))
        .filter(|w| w.starts_with("foresail_"));
    words
        .map(|w| {
            let base = w.strip_suffix("_bucket").unwrap_or(w);
            base.to_owned()
        })
        .collect()
}

fn alerts() -> Vec<Value> {
    let file: Value = serde_saphyr::from_str(&read("deploy/alerts.yaml")).unwrap();
    let groups = file["groups"].as_array().unwrap().clone();
    groups
        .iter()
        .flat_map(|g| g["rules"].as_array().unwrap().clone())
        .collect()
}

#[test]
fn every_alert_has_a_page_and_every_page_an_alert() {
    let mut names = BTreeSet::new();
    for alert in alerts() {
        let name = alert["alert"].as_str().unwrap().to_owned();
        let page = format!("docs/runbooks/{name}.md");
        assert_eq!(alert["annotations"]["runbook"], page.as_str());
        let text = read(&page);
        assert!(text.starts_with(&format!("# {name}\n")), "{page}");
        for part in ["**At stake.**", "**Look.**", "**Mend.**"] {
            assert!(text.contains(part), "{page}: {part}");
        }
        for metric in metrics_in(alert["expr"].as_str().unwrap()) {
            assert!(
                NAMES.contains(&metric.as_str()),
                "{name}: {metric} is not exported"
            );
        }
        names.insert(format!("{name}.md"));
    }
    let pages = fs::read_dir(root().join("docs/runbooks")).unwrap();
    let pages: BTreeSet<String> = pages
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(pages, names);
}

/// Links of the pages lead to pages.
#[test]
fn links_of_runbooks_are_alive() {
    let mut seen = 0;
    for entry in fs::read_dir(root().join("docs/runbooks")).unwrap() {
        let text = fs::read_to_string(entry.unwrap().path()).unwrap();
        for link in text.split("](").skip(1).filter_map(|l| l.split(')').next()) {
            assert!(root().join("docs/runbooks").join(link).is_file(), "{link}");
            seen += 1;
        }
    }
    assert!(seen > 3, "{seen}");
}

fn promtool(args: &[&str]) -> Option<bool> {
    let output = Command::new("promtool")
        .args(args)
        .current_dir(root())
        .output()
        .ok()?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if !output.status.success() {
        println!("{}{}", text(&output.stdout), text(&output.stderr));
    }
    Some(output.status.success())
}

#[test]
fn alerts_come_when_they_are_due_by_prometheus_own_judgement() {
    let Some(good) = promtool(&["check", "rules", "deploy/alerts.yaml"]) else {
        return skipped("alerts", "promtool is not installed");
    };
    assert!(good);
    assert_eq!(
        promtool(&["test", "rules", "tests/install/alerts/when_due.yaml"]),
        Some(true)
    );
    let tested = read("tests/install/alerts/when_due.yaml");
    for alert in alerts() {
        let name = alert["alert"].as_str().unwrap();
        let quiet = tested.contains(&format!("alertname: {name}, exp_alerts: []"));
        let fires = tested.contains(&format!(
            "ALERTS{{alertname=\"{name}\",alertstate=\"firing\""
        ));
        assert!(quiet && fires, "{name} is not tested both ways");
    }
}

fn boards() -> Vec<(PathBuf, Value)> {
    let folder = fs::read_dir(root().join("deploy/dashboards")).unwrap();
    let paths = folder.map(|e| e.unwrap().path());
    paths
        .map(|path| {
            let board = serde_json::from_str(&fs::read_to_string(&path).unwrap());
            (
                path.clone(),
                board.unwrap_or_else(|e| panic!("{}: {e}", path.display())),
            )
        })
        .collect()
}

#[test]
fn every_panel_asks_for_what_is_exported() {
    let mut used = BTreeSet::new();
    let boards = boards();
    assert_eq!(boards.len(), 3);
    for (path, board) in &boards {
        for panel in board["panels"].as_array().unwrap() {
            let name = format!("{}: {}", path.display(), panel["title"]);
            if panel["type"] == "row" {
                continue;
            }
            let targets = panel["targets"].as_array().unwrap();
            assert!(!targets.is_empty(), "{name} asks for nothing");
            for target in targets {
                let found = metrics_in(target["expr"].as_str().unwrap());
                assert!(!found.is_empty(), "{name}");
                used.extend(found);
                assert_eq!(target["datasource"]["uid"], "${datasource}", "{name}");
            }
        }
    }
    let known: BTreeSet<String> = NAMES.iter().map(|m| (*m).to_owned()).collect();
    assert_eq!(used, known, "what is asked for, and what is exported");
}

#[test]
fn boards_are_laid_out_without_overlap_and_link_to_each_other() {
    let boards = boards();
    let uids: BTreeSet<&str> = boards
        .iter()
        .map(|(_, b)| b["uid"].as_str().unwrap())
        .collect();
    for (path, board) in &boards {
        assert_eq!(path.file_stem().unwrap().to_str(), board["uid"].as_str());
        let variables = board["templating"]["list"].as_array().unwrap();
        assert_eq!(variables[0]["type"], "datasource", "{}", path.display());
        for link in board["links"].as_array().unwrap() {
            let uid = link["url"].as_str().unwrap().strip_prefix("/d/").unwrap();
            assert!(uids.contains(uid), "{uid}");
        }
        let mut taken = BTreeSet::new();
        let mut ids = BTreeSet::new();
        for panel in board["panels"].as_array().unwrap() {
            let cell = |key: &str| panel["gridPos"][key].as_u64().unwrap();
            assert!(
                ids.insert(panel["id"].as_u64().unwrap()),
                "{}",
                panel["title"]
            );
            assert!(cell("x") + cell("w") <= 24, "{}", panel["title"]);
            for x in cell("x")..cell("x") + cell("w") {
                for y in cell("y")..cell("y") + cell("h") {
                    assert!(
                        taken.insert((x, y)),
                        "{}: {}",
                        path.display(),
                        panel["title"]
                    );
                }
            }
        }
    }
}

/// Two ways to one file: nothing to keep equal by hand.
#[test]
fn alerts_and_boards_are_those_of_the_chart() {
    for (here, there) in [
        ("deploy/alerts.yaml", "files/alerts.yaml"),
        ("deploy/dashboards", "files/dashboards"),
    ] {
        let there = root()
            .join("deploy/chart/foresail")
            .join(there)
            .canonicalize()
            .unwrap();
        assert_eq!(root().join(here).canonicalize().unwrap(), there);
        assert!(Path::new(&there).exists());
    }
}
