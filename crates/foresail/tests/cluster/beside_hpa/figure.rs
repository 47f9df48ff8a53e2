//! The curves as a table and a picture, where a reader can find them.

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;

use foresail_web::curve::{Curve as Line, curves};
use foresail_web::png;

use super::curve::Curve;
use super::twins::{BEFORE, CAPACITY, Seen, Twin};

/// Where they go: a folder of the build, which outlives the control plane.
fn folder() -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("validation");
    fs::create_dir_all(&folder).unwrap();
    folder
}

/// Writes `real-hpa.csv` and `validation-real-hpa.png`.
pub fn keep(seen: &Seen, simulated: &Curve) {
    let demand = &seen.demand[BEFORE as usize..];
    let worth: Vec<f64> = demand.iter().map(|rate| rate / CAPACITY).collect();
    let (hpa, ours) = (
        seen.asked[&Twin::Hpa].values(),
        seen.asked[&Twin::Ours].values(),
    );
    let all = [
        ("demand over 5 requests/s a pod", worth.as_slice()),
        ("the cluster's HPA", hpa),
        ("hpa, in the controller", ours),
        ("hpa, simulated", simulated.values()),
    ];
    let mut table = "second,demand_rps,real,controller,simulated\n".to_owned();
    for (second, rate) in demand.iter().enumerate() {
        let [real, ours, simulated] = [hpa, ours, simulated.values()].map(|c| c[second]);
        writeln!(table, "{second},{rate},{real},{ours},{simulated}").unwrap();
    }
    let line = |(name, values): &(&str, &[f64])| Line {
        name: (*name).to_owned(),
        points: values
            .iter()
            .enumerate()
            .map(|(s, v)| (s as f64, *v))
            .collect(),
    };
    let lines: Vec<_> = all.iter().map(line).collect();
    let texts = (
        "validation-real-hpa",
        "The same script, real and simulated",
        "",
    );
    let figure = curves(texts, ("seconds", "replicas asked for"), &lines);
    let svg = figure.drawing.standalone(&figure.title);
    let picture = png::render(&svg, &png::fonts()).unwrap();
    let folder = folder();
    fs::write(folder.join("real-hpa.csv"), table).unwrap();
    fs::write(folder.join(format!("{}.png", figure.name)), picture).unwrap();
    println!("table and picture: {}", folder.display());
}
