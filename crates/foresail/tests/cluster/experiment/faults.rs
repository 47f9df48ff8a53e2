//! What a run needs goes away under it and comes back.

use std::time::Duration;

use rustix::process::Signal;

use super::study::Study;
use crate::rig::{Rig, wait_until};

const LIMIT: Duration = Duration::from_secs(45);

/// Without the model the exact HPA decides by itself; after three failures it is left alone for ten
/// rows.
pub(super) fn a_model_that_is_gone_leaves_the_hpa_in_charge(rig: &Rig) {
    // At its target: without a change of usage nobody has anything to do.
    let Some(mut study) = Study::using(rig, "study-model", "ai_scaler", "60m") else {
        return;
    };
    study.advise(0);
    let mut running = study.start(&["--mode", "ai_scaler", "--interval", "2"]);
    wait_until(LIMIT, "the model is heard", || {
        let heard = |r: &super::study::Row| r.number("ai_recommended_replicas").is_some();
        study.rows().iter().any(heard).then_some(())
    });
    study.lose_model();
    study.use_cpu("150m");
    let before = study.rows().len();
    wait_until(LIMIT, "seven rows without it, and a scale-up", || {
        let up = rig.replicas(study.namespace, super::study::NAME).0 > 3;
        (up && study.rows().len() >= before + 7).then_some(())
    });
    let asked = study.questions();
    running.signal(Signal::INT);
    assert_eq!(running.wait(), Some(0), "{}", running.told());
    let rows = study.rows();
    let without = &rows[before + 2..];
    assert!(
        without
            .iter()
            .all(|r| r.cell("ai_recommended_replicas").is_empty())
    );
    let by: Vec<&str> = without.iter().map(|r| r.cell("applied_by")).collect();
    assert!(by.iter().all(|by| *by == "hpa"), "{by:?}");
    let most = without.iter().filter_map(|r| r.number("applied_replicas"));
    assert!(most.fold(0.0, f64::max) >= 5.0, "the baseline goes on");
    let failures: Vec<String> = study
        .beside()
        .iter()
        .filter_map(|l| Some(l.pointer("/row/asked/failure")?.as_str()?.to_owned()))
        .collect();
    let open = failures.iter().filter(|f| f.contains("left alone")).count();
    assert!(open >= 2, "the breaker opens: {failures:?}");
    let tried = failures
        .iter()
        .filter(|f| f.contains("cannot be reached"))
        .count();
    assert_eq!(tried, 3, "{failures:?}");
    assert!(asked >= 3);
    study.prometheus.stop();
}

/// While it is away rows have empty cells and the exact HPA goes on by the metrics API; later rows
/// are whole again.
pub(super) fn a_prometheus_that_restarts_leaves_empty_cells(rig: &Rig) {
    let Some(mut study) = Study::new(rig, "study-prom", "comparison") else {
        return;
    };
    let mut running = study.start(&["--mode", "comparison", "--interval", "2"]);
    let whole = |from: usize| {
        let rows = study.rows();
        let known = |r: &super::study::Row| r.number("cpu_millicores").is_some();
        rows.iter().skip(from).any(known).then_some(rows.len())
    };
    wait_until(LIMIT, "a whole row", || whole(0));
    study.prometheus.stop();
    let rows = study.rows().len();
    let empty = wait_until(LIMIT, "rows without usage", || {
        let all = study.rows();
        let empty = all
            .iter()
            .skip(rows)
            .filter(|r| r.cell("cpu_millicores").is_empty());
        (empty.count() >= 2).then_some(all.len())
    });
    let all = study.rows();
    let row = &all[empty - 1];
    assert_eq!(row.cell("memory_mebibytes"), "");
    assert_eq!(
        row.cell("ai_recommended_replicas"),
        "",
        "nobody is asked about nothing"
    );
    assert_eq!(
        row.number("hpa_sim_raw_desired"),
        Some(4.0),
        "the metrics API is another source"
    );
    study.prometheus.start_again();
    wait_until(LIMIT, "a whole row again", || {
        let rows = study.rows();
        let known = |r: &super::study::Row| r.number("cpu_millicores").is_some();
        rows.iter().skip(empty).any(known).then_some(())
    });
    running.signal(Signal::INT);
    assert_eq!(running.wait(), Some(0), "{}", running.told());
    let told = running.told();
    assert!(
        told.contains("warning: Prometheus") && told.contains("Prometheus: well again"),
        "{told}"
    );
}

/// The run goes on over it: rows of nothing known, then decisions again, and the HPA back at the end.
pub(super) fn an_api_server_that_restarts_gets_its_hpa_back(rig: &Rig) {
    let Some(study) = Study::new(rig, "study-api", "ai_scaler") else {
        return;
    };
    study.make_hpa(10);
    let before = study.hpa().unwrap();
    let mut running = study.start(&["--mode", "ai_scaler"]);
    wait_until(LIMIT, "rows", || (study.rows().len() >= 2).then_some(()));
    rig.stop("kube-apiserver");
    let count = study.rows().len();
    wait_until(LIMIT, "a row of nothing known", || {
        let rows = study.rows();
        let unknown = |r: &super::study::Row| r.cell("current_replicas").is_empty();
        rows.iter().skip(count).any(unknown).then_some(())
    });
    rig.start_again("kube-apiserver");
    let since = study.rows().len();
    wait_until(Duration::from_secs(60), "decisions again", || {
        let rows = study.rows();
        let decides = |r: &super::study::Row| {
            r.cell("applied_by").starts_with("ai") || r.cell("applied_by") == "hpa"
        };
        rows.iter().skip(since).any(decides).then_some(())
    });
    running.signal(Signal::INT);
    assert_eq!(running.wait(), Some(0), "{}", running.told());
    assert_eq!(study.hpa().expect("it is back")["spec"], before["spec"]);
    assert_eq!(study.kept(), None);
}

/// The HPA is saved and comes back; while Prometheus is away no demand is known, the exact HPA under the
/// forecast goes on by the metrics API, and the demand is read again once it is back.
pub(super) fn predictive_goes_on_without_prometheus_and_puts_the_hpa_back(rig: &Rig) {
    let Some(mut study) = Study::new(rig, "study-forecast", "predictive") else {
        return;
    };
    study.make_hpa(10);
    let before = study.hpa().unwrap();
    let mut running = study.start(&[
        "--mode",
        "predictive",
        "--interval",
        "2",
        "--demand-query",
        "vector(60)",
    ]);
    let replicas = |study: &Study<'_>| rig.replicas(study.namespace, super::study::NAME).0;
    wait_until(LIMIT, "the HPA is taken away", || {
        study.hpa().is_none().then_some(())
    });
    assert!(study.kept().is_some(), "and kept");
    study.prometheus.stop();
    study.use_cpu("150m");
    wait_until(LIMIT, "a scale-up without Prometheus", || {
        (replicas(&study) >= 6).then_some(())
    });
    // Demand is asked for once a minute.
    let minute = Duration::from_secs(90);
    wait_until(minute, "the demand is missed", || {
        let told = running.told();
        told.contains("warning: the demand").then_some(())
    });
    study.prometheus.start_again();
    wait_until(LIMIT, "the demand is read again", || {
        running
            .told()
            .contains("the demand: well again")
            .then_some(())
    });
    running.signal(Signal::INT);
    assert_eq!(running.wait(), Some(0), "{}", running.told());
    assert_eq!(study.hpa().expect("it is back")["spec"], before["spec"]);
    assert_eq!(study.kept(), None);
    assert_eq!(study.questions(), 0, "nobody is asked");
    let rows = study.rows();
    assert!(rows.iter().all(|r| r.cell("mode") == "predictive"));
    let by: Vec<&str> = rows.iter().map(|r| r.cell("applied_by")).collect();
    assert!(
        by.contains(&"hpa") && !by.contains(&"ai"),
        "without a past the floor decides: {by:?}"
    );
}
