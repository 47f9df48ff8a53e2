//! F33: the store was written by a newer version. There is no older form than the first.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use flate2::Crc;
use redb::{Database, TableDefinition};

use super::laws::{Allowed, check};
use super::scene::{SOON, Scene};
use crate::Row;
use crate::process::Controller;
use crate::rig::Rig;

pub const ROWS: &[Row] = &[(
    "faults::f33_a_newer_store_is_not_touched_and_the_way_up_goes_on",
    false,
    a_newer_store_is_not_touched_and_the_way_up_goes_on,
)];

/// Where the store says what form it has, as its own file has it.
const META: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("meta");

fn a_newer_store_is_not_touched_and_the_way_up_goes_on(rig: &Rig) {
    let scene = Scene::new(rig, "f33", 2);
    let mut controller = scene.controller("a");
    controller.wait_leading(SOON);
    scene.demand(|_| 30);
    scene.wait_asked(SOON, |_| 3);
    scene.wait_condition(SOON, "w0", "Stored", ("True", "Usable"));

    controller.stop();
    let file = controller.store().join("foresail.redb");
    let own = controller.folder.join("own.redb");
    fs::copy(&file, &own).unwrap();
    make_newer(&file);
    let newer = fs::read(&file).unwrap();
    refuses_to_begin(&controller);

    controller.begin();
    controller.wait_leading(SOON);
    scene.wait_condition(SOON, "w0", "Stored", ("False", "a newer foresail (form 2;"));
    scene.demand(|_| 50);
    scene.wait_asked(SOON, |_| 5);
    scene.demand(|_| 40);
    std::thread::sleep(Duration::from_secs(5));
    assert_eq!(scene.asked(), [5, 5], "nothing goes down");
    assert_eq!(fs::read(&file).unwrap(), newer, "not a byte of it is other");
    // The file of this version is back in its place: no start is needed.
    fs::rename(&own, &file).unwrap();
    let begin = Instant::now();
    scene.wait_condition(SOON, "w0", "Stored", ("True", "Usable"));
    println!("f33: the store is back after {:?}", begin.elapsed());
    scene.wait_asked(SOON, |_| 4);

    let allowed = Allowed {
        store_gone: true,
        ..Allowed::default()
    };
    let found = check(&scene, &mut [&mut controller], allowed);
    // Those before and after: what lay in the file meanwhile is all there.
    assert!(found.counts.of("I24 intent first") >= 4);
    scene.end();
}

/// The same file as the next version would have it.
/// Source: `store/blob.rs`, form, sum over table, key and record, record.
fn make_newer(file: &Path) {
    let (key, record) = (b"form".as_slice(), b"\0foresail".as_slice());
    let form = 2_u16.to_le_bytes();
    let mut sum = Crc::new();
    for part in [
        b"meta\0".as_slice(),
        &(key.len() as u64).to_le_bytes(),
        key,
        &form,
        record,
    ] {
        sum.update(part);
    }
    let blob = [&form[..], &sum.sum().to_le_bytes(), record].concat();
    let database = Database::create(file).unwrap();
    let write = database.begin_write().unwrap();
    let mut meta = write.open_table(META).unwrap();
    let before = meta.insert(key, blob.as_slice()).unwrap();
    assert_eq!(before.unwrap().value()[..2], 1_u16.to_le_bytes());
    drop(meta);
    write.commit().unwrap();
    database.close().unwrap();
}

/// Whoever asks for it is told at once, and with the code for wrong configuration.
fn refuses_to_begin(controller: &Controller) {
    let output = Command::new(env!("CARGO_BIN_EXE_foresail"))
        .args(["run", "controller", "--strict-store", "--store"])
        .arg(controller.store())
        .arg("--kubeconfig")
        .arg(controller.folder.join("kubeconfig"))
        .args(["--namespace", &controller.start.namespace])
        .args(["--watch-namespace", &controller.start.namespace])
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{told}");
    assert!(told.contains("a newer foresail (form 2;"), "{told}");
}
