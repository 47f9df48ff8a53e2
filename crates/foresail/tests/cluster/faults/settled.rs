//! I30: after the end of all faults everything is at rest, and nothing has leaked.

use std::time::{Duration, Instant};

use serde_json::Value;

use super::scene::{SOON, Scene};
use crate::process::Controller;
use crate::rig::wait_until;

/// Passes at once.
const PASSES: usize = 8;

/// Connections that a process may keep for a while after their last use: each pass at once may have had
/// one that reads, one that writes and one to Prometheus; six watches; the lease.
const SOCKETS_MAX: usize = 3 * PASSES + 6 + 2;

/// How long what was opened for the last passes may take to go.
const IDLE: Duration = Duration::from_secs(15);

/// KiB that a process may take beyond what it took when it began to lead.
const MORE_KIB: u64 = 32 << 10;

/// Every object is at its fixpoint: what is decided is what is asked for, nothing is open, and a
/// forecast may count again. The answer is how many there are.
pub fn at_rest(scene: &Scene) -> usize {
    let begin = Instant::now();
    loop {
        let list = scene.rig.get(&scene.objects()).unwrap();
        let objects = list["items"].as_array().cloned().unwrap_or_default();
        let Some(why) = objects.iter().find_map(|o| restless(scene, o)) else {
            return objects.len();
        };
        assert!(begin.elapsed() < SOON, "not at rest: {why}");
        std::thread::sleep(Duration::from_millis(300));
    }
}

/// Why an object is not at rest.
fn restless(scene: &Scene, object: &Value) -> Option<String> {
    let status = &object["status"];
    let name = object["metadata"]["name"].as_str().unwrap_or_default();
    let target = object["spec"]["scaleTargetRef"]["name"].as_str();
    let asked = scene
        .rig
        .replicas(&scene.namespace, target.unwrap_or(name))
        .0;
    let health = status["guard"]["health"].as_str().unwrap_or_default();
    let still = status["currentReplicas"] == asked && status["desiredReplicas"] == asked;
    let free = matches!(health, "Predict" | "Guarded");
    let open = !status["guard"]["intent"].is_null();
    (!still || !free || open).then(|| {
        format!(
            "{}/{name}: {asked} are asked for, {} are decided, health {health}, open intent: {open}",
            scene.namespace, status["desiredReplicas"]
        )
    })
}

/// The process takes what it took when it began to lead.
pub fn nothing_leaked(controller: &Controller) {
    let Some(base) = controller.base() else {
        return;
    };
    let name = &controller.start.name;
    let sockets = SOCKETS_MAX.max(base.sockets + 2);
    let what = format!("{name}: as few files, connections and threads as at {base:?}");
    let now = wait_until(IDLE, &what, || {
        let now = controller.footprint();
        let few = now.files <= base.files + 2 && now.sockets <= sockets;
        // A thread that waited for the disk in a pass's name ends ten seconds later.
        (few && now.threads <= base.threads + PASSES + 2).then_some(now)
    });
    println!("{name}: began to lead with {base:?}, ends with {now:?}");
    assert!(
        now.memory_kib <= base.memory_kib + MORE_KIB,
        "{name}: {} KiB at the begin, {} in the end",
        base.memory_kib,
        now.memory_kib
    );
}
