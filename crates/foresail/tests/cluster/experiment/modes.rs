//! What each mode writes, and what it refuses.

use std::time::Duration;

use super::study::Study;
use crate::rig::{Rig, wait_until};

/// Minutes of about six rows.
const SHORT: [&str; 2] = ["--duration", "0.3"];

fn with<'a>(mode: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    [&["--mode", mode][..], &SHORT[..], more].concat()
}

/// Six rows, what both would do in each, and not one write by the audit log.
pub(super) fn comparison_writes_nothing(rig: &Rig) {
    let Some(study) = Study::new(rig, "study-none", "comparison") else {
        return;
    };
    let mark = rig.mark();
    study.ends(&with("comparison", &[]), 0);
    let rows = study.rows();
    assert_eq!(rows.len(), 6);
    let asked = rows
        .iter()
        .filter(|r| r.number("ai_recommended_replicas").is_some());
    assert!(asked.count() >= 4, "the model is asked");
    for row in &rows {
        assert_eq!(row.cell("applied_by"), "observation_only");
        assert_eq!(row.number("applied_replicas"), Some(3.0));
        assert_eq!(row.cell("hpa_current_replicas"), "", "there is no HPA");
    }
    let last = rows.last().unwrap();
    // By hand: 80 of 100 m is 1.333 of the target, and ⌈3 · 1.333⌉ is 4, or 5 for the little that is
    // measured above; one more by the model.
    let raw = last.number("hpa_sim_raw_desired").unwrap();
    assert!((4.0..=5.0).contains(&raw), "{raw}");
    assert_eq!(last.number("ai_recommended_replicas"), Some(raw + 1.0));
    let cpu = last.number("cpu_millicores").unwrap();
    // A rate over a minute, of pods that are not much older than that.
    assert!(
        (30.0..=100.0).contains(&cpu),
        "{cpu} m of a pod that uses 80"
    );
    assert_eq!(last.number("cpu_request_millicores"), Some(100.0));
    assert_eq!(last.number("memory_request_mebibytes"), Some(64.0));
    let memory = last.number("memory_mebibytes").unwrap();
    assert!((19.0..=21.0).contains(&memory), "{memory} MiB");
    std::thread::sleep(Duration::from_secs(1));
    assert_eq!(study.writes(mark), Vec::<serde_json::Value>::new());
}

/// The HPA is there while it runs, moves the deployment, and is gone afterwards; ours wrote no scale.
pub(super) fn hpa_only_makes_the_hpa_and_takes_it_away(rig: &Rig) {
    let Some(study) = Study::new(rig, "study-hpa", "hpa_only") else {
        return;
    };
    let mark = rig.mark();
    let mut running = study.start(&["--mode", "hpa_only", "--duration", "0.7"]);
    let hpa = wait_until(Duration::from_secs(30), "the HPA", || study.hpa());
    assert_eq!(hpa["spec"]["maxReplicas"], 10);
    assert_eq!(
        hpa["spec"]["behavior"]["scaleDown"]["stabilizationWindowSeconds"],
        60
    );
    assert_eq!(running.wait(), Some(0), "{}", running.told());
    assert_eq!(study.hpa(), None, "what it made it takes away");
    let rows = study.rows();
    let most = rows.iter().filter_map(|r| r.number("applied_replicas"));
    assert!(most.fold(0.0, f64::max) >= 4.0, "the cluster's HPA scaled");
    let hpas: Vec<f64> = rows
        .iter()
        .filter_map(|r| r.number("hpa_desired_replicas"))
        .collect();
    assert!(hpas.iter().any(|n| *n >= 4.0), "{hpas:?}");
    let verbs: Vec<String> = study
        .writes(mark)
        .iter()
        .map(|e| format!("{} {}", e["verb"], e["objectRef"]["resource"]))
        .collect();
    let own = [
        "\"create\" \"horizontalpodautoscalers\"",
        "\"delete\" \"horizontalpodautoscalers\"",
    ];
    assert_eq!(verbs, own);
}

/// The difference is named, nothing is written, and the HPA stays as it is.
pub(super) fn an_hpa_of_other_flags_is_refused(rig: &Rig) {
    let Some(study) = Study::new(rig, "study-other", "ai_scaler") else {
        return;
    };
    study.make_hpa(20);
    let mark = rig.mark();
    for mode in ["hpa_only", "ai_scaler"] {
        let told = study.ends(&with(mode, &[]), 2);
        assert!(told.contains("spec.maxReplicas is 20 and not 10"), "{told}");
    }
    assert_eq!(study.writes(mark), Vec::<serde_json::Value>::new());
    assert_eq!(study.hpa().unwrap()["spec"]["maxReplicas"], 20);
}

/// Each of the five is looked at, and each failure has its mend; nothing is begun.
pub(super) fn what_is_lacking_is_told_with_its_mend(rig: &Rig) {
    let Some(study) = Study::new(rig, "study-lacks", "comparison") else {
        return;
    };
    let check = |more: &[&str], code: i32| {
        let output = study.run(&[&["--check"][..], more].concat());
        let told = String::from_utf8(output.stdout).unwrap();
        assert_eq!(output.status.code(), Some(code), "{more:?}: {told}");
        told
    };
    let well = check(&[], 0);
    assert_eq!(
        well.lines().filter(|l| l.starts_with("ok")).count(),
        5,
        "{well}"
    );
    let lacks = |more: &[&str], mend: &str| {
        let told = check(more, 2);
        let fails: Vec<&str> = told.lines().filter(|l| l.starts_with("fail")).collect();
        assert!(fails.iter().any(|l| l.contains(mend)), "{more:?}: {told}");
    };
    lacks(
        &["--prometheus-url", "http://127.0.0.1:9"],
        "--prometheus-url",
    );
    lacks(&["--model", "large"], "ollama pull large");
    lacks(&["--deployment", "nobody"], "experiment manifests");
    lacks(&["--mode", "ai_scaler"], "update deployments.apps/scale");
    // A run looks first, too.
    let told = study.ends(&["--mode", "comparison", "--model", "large"], 2);
    assert!(told.contains("ollama pull large"), "{told}");
    assert_eq!(study.csv(), None, "nothing was begun");
    study.lose_model();
    lacks(&[], "ollama serve");
}

/// Saved in two places before it is deleted; the adviser's number is written by the scale alone; and
/// at the end the same HPA is there again.
pub(super) fn ai_scaler_saves_the_hpa_scales_and_puts_it_back(rig: &Rig) {
    let Some(study) = Study::new(rig, "study-ai", "ai_scaler") else {
        return;
    };
    study.make_hpa(10);
    let before = study.hpa().unwrap();
    let mark = rig.mark();
    let mut running = study.start(&["--mode", "ai_scaler", "--duration", "0.5"]);
    wait_until(Duration::from_secs(30), "the HPA is away", || {
        study.hpa().is_none().then_some(())
    });
    let kept = study.kept().expect("it is kept at the deployment");
    assert_eq!(kept["manifest"]["metadata"]["labels"]["team"], "shop");
    let file = study.folder.join("data/hpa_study-ai_web.json");
    assert!(file.is_file(), "and in a file");
    assert_eq!(running.wait(), Some(0), "{}", running.told());
    let after = study.hpa().expect("it is back");
    assert_eq!(after["spec"], before["spec"]);
    assert_eq!(after["metadata"]["labels"], before["metadata"]["labels"]);
    assert_eq!(study.kept(), None);
    assert!(!file.exists());
    let rows = study.rows();
    assert!(
        rows.iter().any(|r| r.cell("applied_by") == "ai"),
        "the adviser wrote: {}",
        running.told()
    );
    // Four by the HPA's formula and one more, then more as it is asked again and again.
    let most = rows.iter().filter_map(|r| r.number("applied_replicas"));
    assert!(most.fold(0.0, f64::max) >= 5.0);
    let writes = study.writes(mark);
    let what = |e: &serde_json::Value| {
        let sub = e["objectRef"]["subresource"].as_str().unwrap_or_default();
        format!(
            "{} {}/{sub}",
            e["verb"].as_str().unwrap(),
            e["objectRef"]["resource"].as_str().unwrap()
        )
    };
    let all: Vec<String> = writes.iter().map(what).collect();
    assert_eq!(
        all[0], "patch deployments/",
        "kept before it is deleted: {all:?}"
    );
    assert_eq!(all[1], "delete horizontalpodautoscalers/", "{all:?}");
    let scales = all
        .iter()
        .filter(|w| *w == "update deployments/scale")
        .count();
    assert!(scales >= 1, "{all:?}");
    assert_eq!(all.len(), scales + 4, "keep, delete, make, forget: {all:?}");
    // Every write of the scale names the version that was read.
    for write in writes
        .iter()
        .filter(|w| w["objectRef"]["subresource"] == "scale")
    {
        let version = &write["requestObject"]["metadata"]["resourceVersion"];
        assert!(version.as_str().is_some_and(|v| !v.is_empty()), "{write}");
    }
}
