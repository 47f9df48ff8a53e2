//! What a search and a schedule print for people; the pages of the documentation show a run of these.

use crate::commands::{ONCE, Scene, text};

/// A page of the documentation.
fn page(name: &str) -> String {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs");
    std::fs::read_to_string(path.join(name)).unwrap()
}

#[test]
fn a_search_prints_the_stages_and_what_it_came_to() {
    let scene = Scene::new(false);
    {
        let mut world = scene.server.world();
        for (name, work) in [("resize", 5_120.0), ("detect", 10_240.0)] {
            world.behaviours.entry(name.to_owned()).or_default().work = work;
        }
    }
    let words = [
        "optimize",
        "flow.json",
        "--qos",
        "0.2",
        "--tuner",
        "random",
        "--n_init",
        "5",
        "--n_batch",
        "2",
        "--requests",
        "10",
        "--repeats",
        "1",
        "--verbose",
    ];
    let output = scene.run(&words);
    let told = text(&output);
    assert_eq!(output.status.code(), Some(0), "{told}");
    for part in [
        "pipeline: p95 ≤ 0.2 s",
        "trials by random",
        "met a cold start",
    ] {
        assert!(told.contains(part), "{part}: {told}");
    }
    let head = told.lines().find(|l| l.contains("CPU WAS")).unwrap().trim();
    assert!(page("workflows.md").contains(head), "{head}");
}

#[test]
fn a_schedule_prints_a_row_for_each_function() {
    let scene = Scene::new(true);
    scene.busy("resize", 6, 60);
    scene.busy("detect", 3, 60);
    let output = scene.run(&ONCE);
    let told = text(&output);
    assert_eq!(output.status.code(), Some(0), "{told}");
    let head = told.lines().find(|l| l.starts_with("TIME")).unwrap().trim();
    assert!(page("aquatope.md").contains(head), "{head}");
}
