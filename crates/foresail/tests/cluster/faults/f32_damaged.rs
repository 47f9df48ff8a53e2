//! F32: the file of the store is cut short, altered, or another program's when the process begins.

use std::fs;
use std::path::Path;

use serde_json::json;

use super::laws::{Allowed, check};
use super::scene::{SOON, Scene};
use crate::Row;
use crate::process::Controller;
use crate::rig::Rig;

pub const ROWS: &[Row] = &[(
    "faults::f32_a_damaged_store_lies_aside_and_memory_begins_anew",
    false,
    a_damaged_store_lies_aside_and_memory_begins_anew,
)];

/// What is done to the file, by a word.
type Damage = (&'static str, fn(&Path));

const DAMAGES: [Damage; 3] = [
    ("cut short", |file| {
        let whole = fs::read(file).unwrap();
        fs::write(file, &whole[..whole.len() * 3 / 5]).unwrap();
    }),
    ("altered", |file| {
        let mut bytes = fs::read(file).unwrap();
        for byte in bytes[4096..].iter_mut().step_by(512) {
            *byte ^= 0x10;
        }
        fs::write(file, bytes).unwrap();
    }),
    ("another program's", |file| {
        fs::write(file, "a list of groceries\n".repeat(500)).unwrap();
    }),
];

fn a_damaged_store_lies_aside_and_memory_begins_anew(rig: &Rig) {
    let scene = Scene::new(rig, "f32", 2);
    // One object has a demand that could be forecast.
    let mut metrics = scene.object("w0")["spec"]["metrics"].clone();
    metrics[0]["role"] = json!("Both");
    let change = json!({"spec": {"metrics": metrics}});
    scene.change("w0", &change).unwrap();
    let mut controller = scene.controller("a");
    controller.wait_leading(SOON);
    scene.demand(|_| 20);
    scene.wait_asked(SOON, |_| 2);
    scene.wait_condition(SOON, "w0", "Stored", ("True", "Usable"));

    for (place, (what, damage)) in DAMAGES.into_iter().enumerate() {
        controller.stop();
        let file = controller.store().join("foresail.redb");
        damage(&file);
        let damaged = fs::read(&file).unwrap();
        controller.begin();
        controller.wait_leading(SOON);
        let replicas = 3 + u32::try_from(place).unwrap();
        scene.demand(|_| 10 * replicas);
        scene.wait_asked(SOON, |_| i64::from(replicas));
        scene.wait_condition(SOON, "w0", "Stored", ("True", "BegunAnew"));
        let aside = aside(&controller);
        assert_eq!(aside.len(), place + 1, "{what}: {aside:?}");
        let kept = aside.iter().any(|path| fs::read(path).unwrap() == damaged);
        assert!(kept, "{what}: what was there is not a byte other");
        let health = |name: &str| scene.status(name)["guard"]["health"].clone();
        assert_eq!(
            (health("w0"), health("w1")),
            (json!("Guarded"), json!("Predict")),
            "{what}"
        );
    }
    scene.wait_event("w0", "StoreBegunAnew");
    // A start on the new file is one as always.
    controller.stop();
    controller.begin();
    controller.wait_leading(SOON);
    scene.wait_condition(SOON, "w0", "Stored", ("True", "Usable"));

    let allowed = Allowed {
        store_gone: true,
        ..Allowed::default()
    };
    check(&scene, &mut [&mut controller], allowed);
    scene.end();
}

/// The files that were put aside.
fn aside(controller: &Controller) -> Vec<std::path::PathBuf> {
    let all = fs::read_dir(controller.store()).unwrap();
    let paths = all.map(|entry| entry.unwrap().path());
    let is_aside = |path: &std::path::PathBuf| {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        name.starts_with("foresail.redb.corrupt-")
    };
    paths.filter(is_aside).collect()
}
