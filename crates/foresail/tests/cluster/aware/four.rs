//! 200 steps over four processes, each killed once: every transition is in the journal once, and every
//! write in the audit log belongs to one of them.

use std::net::TcpListener;
use std::path::Path;
use std::time::Duration;

use foresail_adapters::rpc::client::Dial;
use foresail_adapters::rpc::environment::Component;
use serde_json::{Value, json};

use super::manifests;
use super::parts::Part;
use super::parts::redis::Redis;
use crate::rig::{Rig, wait_until};

const EPISODES: usize = 4;
const STEPS: usize = 50;

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port()
}

/// The journal's lines, a half-written last one left out.
fn journal(folder: &Path) -> Vec<Value> {
    let read = |episode: usize| {
        let path = folder.join(format!("episode-{episode:06}.jsonl"));
        let text = std::fs::read_to_string(path).unwrap_or_default();
        let whole = text.rfind('\n').map_or(0, |end| end + 1);
        let lines = text[..whole]
            .lines()
            .map(|l| serde_json::from_str(l).unwrap());
        lines.collect::<Vec<Value>>()
    };
    (0..EPISODES).flat_map(read).collect()
}

fn done(folder: &Path) -> usize {
    journal(folder)
        .iter()
        .filter(|l| l["done"].is_object())
        .count()
}

/// `true` once the server knows everything of the component's state.
fn is_known(rig: &Rig, server: &str) -> bool {
    rig.block(async {
        let dial = Dial {
            server: server.to_owned(),
            ..Dial::default()
        };
        let mut client = dial.client().unwrap().environment;
        let id = "aware/web".to_owned();
        let seen = client.look(Component { id }).await;
        seen.is_ok_and(|s| s.get_ref().known)
    })
}

/// Writes of the server that the API server took: of the scale, and of pods.
fn writes(rig: &Rig, mark: u64) -> (usize, usize) {
    let ours = |event: &&Value| {
        event["user"]["username"] == "system:serviceaccount:aware-parts:firm-server"
            && event["stage"] == "ResponseComplete"
            && event["responseStatus"]["code"] == 200
    };
    let events = rig.audit(mark);
    let of = |verb: &str, subresource: &str| {
        let all = events.iter().filter(ours);
        let one = |e: &&Value| e["verb"] == verb && e["objectRef"]["subresource"] == subresource;
        all.filter(one).count()
    };
    (of("update", "scale"), of("patch", "resize"))
}

pub(super) fn killed_once_each(rig: &Rig) {
    let folder = rig.folder.join("aware");
    std::fs::create_dir_all(folder.join("redis")).unwrap();
    let Some(mut redis) = Redis::start(&folder.join("redis")) else {
        crate::skip("aware: redis-server is not installed");
        return;
    };
    rig.namespace("aware");
    rig.namespace("aware-parts");
    let rights = [
        "ServiceAccount",
        "ClusterRole",
        "ClusterRoleBinding",
        "Role",
        "RoleBinding",
    ];
    for object in manifests("aware-parts", "aware/web") {
        if rights.iter().any(|kind| object["kind"] == *kind) {
            rig.apply_object("aware-parts", &object).unwrap();
        }
    }
    let asked = json!({"requests": {"cpu": "256m", "memory": "512Mi"}});
    rig.deployment(("aware", "web"), 2, &asked, &json!({}));
    rig.script(
        "aware",
        "workloads:\n- {namespace: aware, name: web, rate: 20, cpuMs: 10, memory: 128Mi}\n",
    );
    let kubeconfig = |account: &str| {
        let token = rig.token("aware-parts", account);
        let file = rig.kubeconfig_of(&format!("aware/{account}.kubeconfig"), &token);
        file.display().to_string()
    };
    let (of_collector, of_server) = (kubeconfig("collector"), kubeconfig("firm-server"));
    let mark = rig.mark();
    let mut collector = Part::start(
        "collector",
        &folder,
        &[
            "collector",
            "--redis",
            &redis.url,
            "--every",
            "1s",
            "--kubeconfig",
            &of_collector,
        ],
    );
    let server_address = format!("127.0.0.1:{}", free_port());
    let state = folder.join("state").display().to_string();
    let mut server = Part::start(
        "server",
        &folder,
        &[
            "firm-server",
            "--component",
            "aware/web",
            "--bind",
            &server_address,
            "--redis",
            &redis.url,
            "--demand-metric",
            "http_requests_per_second",
            "--state",
            &state,
            "--kubeconfig",
            &of_server,
        ],
    );
    wait_until(Duration::from_secs(90), "a state that is known", || {
        assert_eq!(server.ended(), None, "{}", server.tail());
        assert_eq!(collector.ended(), None, "{}", collector.tail());
        is_known(rig, &server_address).then_some(())
    });
    let kept = folder.join("journal");
    let (episodes, steps) = (EPISODES.to_string(), STEPS.to_string());
    let place = kept.display().to_string();
    let mut agent = Part::start(
        "agent",
        &folder,
        &[
            "aware",
            "agent",
            "--server",
            &server_address,
            "--component",
            "aware/web",
            "--journal",
            &place,
            "--episodes",
            &episodes,
            "--steps",
            &steps,
            "--step",
            "50ms",
            "--bootstrap-episodes",
            "1",
            "--output",
            "json",
        ],
    );
    let reach = |steps: usize| {
        wait_until(Duration::from_secs(120), &format!("{steps} steps"), || {
            (done(&kept) >= steps).then_some(())
        });
    };
    reach(30);
    collector.kill();
    reach(40);
    collector.begin();
    reach(70);
    redis.kill();
    reach(80);
    redis.begin();
    reach(110);
    server.kill();
    std::thread::sleep(Duration::from_millis(500));
    server.begin();
    reach(140);
    agent.kill();
    agent.begin();
    let code = wait_until(Duration::from_secs(180), "the end of the agent", || {
        agent.ended()
    });
    assert_eq!(code, 0, "{}", agent.tail());
    checked(&journal(&kept));
    let moved = |axes: &[usize]| {
        let moves = |line: &Value| axes.iter().any(|a| line["done"]["executed"][a] != "Hold");
        let all = journal(&kept);
        all.iter()
            .filter(|l| l["done"].is_object() && moves(l))
            .count()
    };
    // The audit log is written a moment after the answer.
    std::thread::sleep(Duration::from_secs(1));
    let (scaled, resized) = writes(rig, mark);
    assert_eq!(
        scaled,
        moved(&[0]),
        "each write of replicas is one transition"
    );
    assert!(
        resized > 0 || moved(&[1, 2]) == 0,
        "requests are changed in place"
    );
    let log = server.log();
    assert!(
        log.contains("Redis at"),
        "the server says that Redis was away: {log}"
    );
    println!("aware: 200 transitions, {scaled} writes of the scale, {resized} of pods");
}

/// Each transition once, in order, with its answer behind its question.
fn checked(lines: &[Value]) {
    let mut seqs = Vec::new();
    for pair in lines.chunks(2) {
        let [asked, answer] = pair else {
            panic!("a question without an answer: {pair:?}");
        };
        assert_eq!(asked["asked"]["seq"], answer["done"]["seq"], "{pair:?}");
        seqs.push(asked["asked"]["seq"].as_u64().unwrap());
    }
    let want: Vec<u64> = (0..(EPISODES * STEPS) as u64).collect();
    assert_eq!(seqs, want);
}
