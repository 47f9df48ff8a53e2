//! Runs that somebody breaks off.

use std::time::Duration;

use rustix::process::Signal;

use super::study::{Running, Study};
use crate::rig::{Rig, wait_until};

const LIMIT: Duration = Duration::from_secs(40);

/// A run of ai_scaler whose HPA is away and that has rows.
fn under_way(study: &Study<'_>) -> Running {
    let running = study.start(&["--mode", "ai_scaler"]);
    wait_until(LIMIT, "the HPA is away and there are rows", || {
        (study.hpa().is_none() && study.rows().len() >= 2).then_some(())
    });
    running
}

/// A run without an end ends well by an interrupt: rows, last line, and the HPA.
pub(super) fn an_interrupt_puts_the_hpa_back(rig: &Rig) {
    let Some(study) = Study::new(rig, "study-int", "ai_scaler") else {
        return;
    };
    study.make_hpa(10);
    let before = study.hpa().unwrap();
    let mut running = under_way(&study);
    running.signal(Signal::INT);
    assert_eq!(running.wait(), Some(0), "{}", running.told());
    assert_eq!(study.hpa().expect("it is back")["spec"], before["spec"]);
    assert_eq!(study.kept(), None);
    let beside = study.beside();
    assert_eq!(beside[0]["live"], true);
    let end = beside.last().unwrap()["end"].clone();
    assert_eq!(end["rows"], study.rows().len(), "{end}");
    assert!(end["replicaMinutes"].as_f64().unwrap() > 0.0);
    assert!(end.get("requests").is_none(), "nobody counted requests");
}

/// After a kill nothing scales and the HPA is away; `--restore` puts it back, and so does a start.
pub(super) fn the_next_start_puts_back_what_a_kill_left(rig: &Rig) {
    let Some(study) = Study::new(rig, "study-kill", "ai_scaler") else {
        return;
    };
    study.make_hpa(10);
    let before = study.hpa().unwrap();
    for again in ["--restore", "--mode=hpa_only"] {
        let mut running = under_way(&study);
        running.signal(Signal::KILL);
        assert_eq!(running.wait(), None);
        assert_eq!(study.hpa(), None, "nobody put it back");
        assert!(study.kept().is_some());
        // Comparison writes nothing, also not this.
        let told = study.ends(&["--mode", "comparison"], 6);
        assert!(told.contains("--restore"), "{told}");
        assert_eq!(study.hpa(), None);
        let output = study.run(&[again, "--duration", "0.1"]);
        let told = String::from_utf8_lossy(&output.stderr).into_owned()
            + &String::from_utf8_lossy(&output.stdout);
        assert_eq!(output.status.code(), Some(0), "{told}");
        assert!(told.contains("web-hpa is back as it was"), "{told}");
        let after = study.hpa().expect("it is back, and stays");
        assert_eq!(after["spec"], before["spec"]);
        assert_eq!(study.kept(), None);
    }
    let told = study.run(&["--restore"]);
    assert!(String::from_utf8_lossy(&told.stdout).contains("nothing was left behind"));
}

/// From then on nothing is written, the foreign HPA stays, and what was saved is named.
pub(super) fn an_hpa_that_comes_back_is_left_alone(rig: &Rig) {
    let Some(study) = Study::new(rig, "study-rival", "ai_scaler") else {
        return;
    };
    study.make_hpa(10);
    let mut running = under_way(&study);
    study.make_hpa(4);
    wait_until(LIMIT, "it is noticed", || {
        running
            .told()
            .contains("nothing more is written")
            .then_some(())
    });
    let mark = rig.mark();
    std::thread::sleep(Duration::from_secs(7));
    assert_eq!(study.writes(mark), Vec::<serde_json::Value>::new());
    running.signal(Signal::INT);
    assert_eq!(running.wait(), Some(6), "{}", running.told());
    assert_eq!(
        study.hpa().unwrap()["spec"]["maxReplicas"],
        4,
        "the foreign one stays"
    );
    assert_eq!(study.kept(), None);
    let told = running.told();
    assert!(told.contains("spec.maxReplicas is 4 and not 10"), "{told}");
    assert!(
        study
            .folder
            .join("data/hpa_study-rival_web.was.json")
            .is_file()
    );
}
