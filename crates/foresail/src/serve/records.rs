//! Recorded runs as a source of pages: flight records, and results folders that hold some.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use foresail_core::engine::Input;
use foresail_core::explain::Explanation;
use foresail_core::observe::{Metric, Samples};
use foresail_core::propose::plan::TargetId;
use foresail_core::quantity::time::Timestamp;
use foresail_core::spec::Spec;
use foresail_core::value::cost::Price;
use foresail_web::live::build::{Keeping, LiveObject, Seen, Standing};
use foresail_web::live::model::{CostPoint, ForecastPoint};
use foresail_web::live::store::LiveStore;
use foresail_web::read_model::RunReport;

use crate::compare::files;
use crate::record::{Ledger, Line, Reader, Teller, keep_fits};

/// The most records that are read of one folder.
const RECORDS_MAX: usize = 256;

/// Reads records and results folders into one store.
///
/// # Errors
/// Where one of them cannot be read or holds no decision.
pub fn store(paths: &[PathBuf], price: Option<Price>) -> Result<LiveStore> {
    let names: Vec<String> = paths.iter().map(|p| stem(p)).collect();
    let store = LiveStore::new(&names.join(", "));
    for path in paths {
        if path.is_dir() {
            folder(path, price, &store)?;
        } else {
            record(path, price, &[], &store)?;
        }
    }
    Ok(store)
}

/// The name of a file without its endings.
fn stem(path: &Path) -> String {
    let name = path.file_name().map_or_else(
        || path.display().to_string(),
        |n| n.to_string_lossy().into_owned(),
    );
    let bare = name.trim_end_matches(".gz").trim_end_matches(".jsonl");
    bare.to_owned()
}

/// Reads the records of a results folder, with what its comparison came to.
fn folder(path: &Path, price: Option<Price>, store: &LiveStore) -> Result<()> {
    let entries =
        std::fs::read_dir(path).with_context(|| format!("cannot read {}", path.display()))?;
    let mut records = Vec::new();
    for entry in entries {
        let file = entry
            .with_context(|| format!("cannot read {}", path.display()))?
            .path();
        let name = stem(&file);
        let ended = file.to_string_lossy();
        if (ended.ends_with(".jsonl") || ended.ends_with(".jsonl.gz")) && !name.is_empty() {
            records.push(file);
        }
    }
    records.sort();
    if records.is_empty() {
        bail!(
            "{}: holds no flight record; write one into it, such as with `foresail simulate … --record {}`",
            path.display(),
            path.join("run.jsonl").display()
        );
    }
    ensure!(
        records.len() <= RECORDS_MAX,
        "{}: holds {} records, at most {RECORDS_MAX} are served; name those that matter",
        path.display(),
        records.len()
    );
    let points = match files::read_model(path) {
        Ok(report) => cost_points(&report),
        // A folder of records alone is no results folder, and need not be one.
        Err(_) => Vec::new(),
    };
    for file in &records {
        record(file, price, &points, store)?;
    }
    Ok(())
}

/// Policies and settings of a comparison: what they cost and what they kept.
fn cost_points(report: &RunReport) -> Vec<CostPoint> {
    let policies = report.policies.iter().filter_map(|p| {
        Some(CostPoint {
            name: p.name.clone(),
            cost: p.measure("cost")?,
            violations_percent: p.measure("violations_percent")?,
            present: false,
        })
    });
    let frontier = foresail_web::read_model::non_dominated(&report.frontier);
    let settings = frontier.into_iter().map(|f| CostPoint {
        name: format!("HPA {} %, {} s", f.target_percent, f.down_window_seconds),
        cost: f.cost,
        violations_percent: f.violations_percent,
        present: false,
    });
    policies.chain(settings).collect()
}

/// One target of a record: its object, and what was seen of it since the last decision.
struct Course {
    target: TargetId,
    object: LiveObject,
    seen: Seen,
}

/// Namespace and name of a target; one without a namespace has that of its record.
fn names(target: &TargetId, record: &str) -> (String, String) {
    match target.as_str().split_once('/') {
        Some((namespace, _)) if !namespace.is_empty() => {
            (namespace.to_owned(), target.short().to_owned())
        }
        _ if target.as_str().is_empty() => (record.to_owned(), "workload".to_owned()),
        _ => (record.to_owned(), target.short().to_owned()),
    }
}

fn courses(spec: &Spec, record: &str, price: Option<Price>, store: &LiveStore) -> Vec<Course> {
    let course = |target: &foresail_core::spec::TargetSpec| {
        let (namespace, name) = names(&target.id, record);
        // Two records may tell of one target.
        let taken = foresail_web::live::LiveSource::object(store, &namespace, &name).is_some();
        let name = if taken {
            format!("{name} ({record})")
        } else {
            name
        };
        let object = LiveObject::new(&namespace, &name, Keeping::RECORD);
        let bound = |n: i32| u32::try_from(n).unwrap_or(0);
        let hpa = &target.hpa;
        let bounds = (
            bound(hpa.min_replicas.unwrap_or(1)),
            bound(hpa.max_replicas),
        );
        Course {
            target: target.id.clone(),
            object: match price {
                Some(price) => object.with_price(price),
                None => object,
            },
            seen: Seen {
                bounds: Some(bounds),
                ..Seen::default()
            },
        }
    };
    spec.targets.iter().map(course).collect()
}

/// Feeds a record's inputs to a fresh engine, so that the quantiles of its forecasts are known too,
/// and takes its decisions as they were recorded.
fn record(
    path: &Path,
    price: Option<Price>,
    points: &[CostPoint],
    store: &LiveStore,
) -> Result<()> {
    let mut reader = Reader::open(path)?;
    let name = stem(path);
    let mut engine = reader.head.engine(None)?;
    let mut courses = courses(&reader.head.spec, &name, price, store);
    let mut teller = Teller::new(reader.head.identity());
    let mut ledger = Ledger::default();
    let mut doubt = None;
    let mut ticks = 0_u64;
    while let Some(line) = reader.next_line()? {
        let mut computed = None;
        if let Line::Input(input) = &line {
            teller.hear(input)?;
            if let Input::Samples(samples) = input {
                hear(&mut courses, samples);
            }
            if let Some(tick) = engine.feed(input.clone()) {
                keep_fits(&mut engine, &tick);
                let forecast = ForecastPoint::of(&tick);
                courses.iter_mut().for_each(|c| c.seen.forecast = forecast);
                computed = Some(teller.tell(&tick, engine.spec()));
            }
        }
        let checked = ledger.check(reader.number, &line, computed.as_deref());
        if !matches!(checked, Ok(None)) {
            doubt.get_or_insert_with(|| reader.place());
        }
        if let Line::Told(told) = line {
            ticks += 1;
            tell(&mut courses, told);
        }
    }
    if let Err(problem) = ledger.finish() {
        eprintln!("warning: {}: {problem}", reader.place());
    } else if let Some(place) = doubt {
        eprintln!(
            "warning: {place}: another decision is recorded than is computed here; shown is what was recorded"
        );
    }
    if ticks == 0 {
        bail!("{}: holds no decision", path.display());
    }
    for mut course in courses {
        course.object.stand(Standing {
            frontier: points.to_vec(),
            ..Standing::default()
        });
        store.put(course.object);
    }
    Ok(())
}

fn hear(courses: &mut [Course], samples: &Samples) {
    for sample in &samples.values {
        let Some(value) = sample.value.filter(|_| sample.metric == Metric::Demand) else {
            continue;
        };
        let found = courses.iter_mut().find(|c| c.target == sample.target);
        if let Some(course) = found {
            let point: (Timestamp, f64) = (sample.at, value);
            course.seen.demand.push(point);
        }
    }
}

fn tell(courses: &mut [Course], told: Vec<Explanation>) {
    for explanation in told {
        let found = courses.iter_mut().find(|c| c.target == explanation.target);
        if let Some(course) = found {
            course.object.push(explanation, &course.seen);
            course.seen.demand.clear();
            course.seen.forecast = None;
        }
    }
}
