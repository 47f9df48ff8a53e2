//! Flight records: the whole one replays identically, and no other does.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "tests may fail loudly"
)]

mod support;

use std::io::{Cursor, Write};
use std::sync::{Arc, Mutex};

use foresail::cli::decide::parse_spec;
use foresail::record::{Reader, Recorder, Replayed, replay};
use foresail_core::engine::Input;
use foresail_core::hpa::{Pod, PodReading, PodSample, Reading};
use foresail_core::observe::{Health, Samples, TargetState};
use foresail_core::propose::plan::{Setting, TargetId};
use foresail_core::quantity::time::{Span, Timestamp};
use foresail_core::quantity::units::Replicas;

const SPEC: &str = "targets: [{id: a, hpa: {maxReplicas: 5}}]\n";

/// Bytes that a recorder writes and the test reads.
#[derive(Clone, Default)]
struct Shared(Arc<Mutex<Vec<u8>>>);

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// A record of an engine that was fed these ages, loads and counts.
fn recorded(steps: &[(u8, u16, u8)]) -> (Vec<u8>, u64) {
    let spec = parse_spec(SPEC).unwrap();
    let seed = foresail_models::rng::Seed(1);
    let mut engine = foresail_models::registry::engine_of(spec, seed).unwrap();
    let bytes = Shared::default();
    let mut recorder = Recorder::new(Box::new(bytes.clone()), &engine, seed, "u").unwrap();
    let (mut now, mut ticks) = (Timestamp::from_seconds(1_000_000), 0);
    for (age, load, count) in steps {
        now = now + Span::from_seconds(i64::from(*age));
        let sample = PodSample {
            value: i64::from(*load),
            at: now,
            window: Span::from_seconds(30),
        };
        let pods = usize::from(count % 6);
        let reading = PodReading {
            request: Some(1000),
            sample: (load % 7 != 0).then_some(sample),
        };
        let state = TargetState {
            target: TargetId::new("a"),
            current: Setting::replicas(Replicas::new(u32::from(count % 6))),
            pods: vec![Pod::default(); pods],
            readings: vec![Reading::Pods(vec![reading; pods])],
            ..TargetState::default()
        };
        let samples = Samples {
            at: now,
            health: Health::default(),
            leading: true,
            targets: vec![state],
            values: Vec::new(),
        };
        for input in [Input::Samples(samples), Input::Tick { now }] {
            recorder.input(&input);
            if let Some(tick) = engine.feed(input) {
                recorder.tick(&tick, engine.spec());
                ticks += 1;
            }
        }
    }
    recorder.finish().unwrap();
    (bytes.0.lock().unwrap().clone(), ticks)
}

fn replayed(text: Vec<u8>) -> anyhow::Result<Replayed> {
    replay(Reader::new("record", Box::new(Cursor::new(text)))?)
}

#[test]
fn i20_a_replay_equals_the_original_and_nothing_else_does() {
    bolero::check!()
        .with_iterations(300)
        .with_type::<(u16, Vec<(u8, u16, u8)>)>()
        .for_each(|(cut, steps)| {
            let (text, ticks) = recorded(&steps[..steps.len().min(20)]);
            let whole = replayed(text.clone());
            assert!(
                matches!(whole, Ok(Replayed::Identical { ticks: n }) if n == ticks),
                "{whole:?}"
            );
            let lines: Vec<&[u8]> = text.split_inclusive(|b| *b == b'\n').collect();
            let gone = usize::from(*cut) % lines.len();
            let without: Vec<u8> = (0..lines.len())
                .filter(|i| *i != gone)
                .flat_map(|i| lines[i].iter().copied())
                .collect();
            let same = |text| matches!(replayed(text), Ok(Replayed::Identical { .. }));
            assert!(!same(without), "without line {gone} of {}", lines.len());
            assert!(!same(lines[..gone].concat()), "cut before line {gone}");
        });
}

/// Three ticks as text, one line each: head, then samples, tick and told three times, then the end.
fn three_ticks() -> Vec<String> {
    let (text, ticks) = recorded(&[(15, 900, 2), (15, 1200, 3), (15, 500, 4)]);
    let text = String::from_utf8(text).unwrap();
    let lines: Vec<String> = text.lines().map(str::to_owned).collect();
    assert_eq!((ticks, lines.len()), (3, 11));
    lines
}

type Change = fn(&mut Vec<String>);

#[test]
fn a_record_that_was_cut_stripped_or_padded_is_refused_with_its_line() {
    let changes: [(&str, Change, &str); 9] = [
        (
            "no told",
            |l| l.retain(|x| !x.starts_with("{\"told\"")),
            "line 4: the tick of line 3",
        ),
        (
            "head alone",
            |l| l.truncate(1),
            "cut short, its last line is missing",
        ),
        ("cut", |l| l.truncate(7), "the 2 ticks before are equal"),
        (
            "one told",
            |l| drop(l.remove(6)),
            "line 7: the tick of line 6",
        ),
        (
            "extra told",
            |l| l.insert(7, "{\"told\":[]}".to_owned()),
            "line 8: tells a decision",
        ),
        ("no end", |l| l.truncate(10), "the 3 ticks before are equal"),
        (
            "after the end",
            |l| l.push(l[1].clone()),
            "line 12: stands after",
        ),
        (
            "a whole tick",
            |l| drop(l.drain(7..10)),
            "line 8: 3 ticks were recorded, 2 are there",
        ),
        (
            "snapshot",
            |l| l[0] = l[0].replacen("\"snapshot\":{\"v\":1", "\"snapshot\":{\"v\":9", 1),
            "a snapshot of version 9; this binary reads version 1",
        ),
    ];
    for (name, change, want) in changes {
        let mut lines = three_ticks();
        change(&mut lines);
        let error = replayed((lines.join("\n") + "\n").into_bytes()).unwrap_err();
        let error = format!("{error:#}");
        assert!(error.contains(want), "{name}: {error}");
    }
}

#[test]
fn commands_refuse_a_cut_record_and_doubt_a_changed_one() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, lines: &[String]| {
        std::fs::write(folder.path().join(name), lines.join("\n") + "\n").unwrap();
    };
    let lines = three_ticks();
    write("whole.jsonl", &lines);
    write("cut.jsonl", &lines[..4]);
    let mut changed = lines.clone();
    changed[6] = lines[3].clone();
    write("changed.jsonl", &changed);
    let run = |args: &[&str]| {
        let output = support::foresail(folder.path(), args);
        let error = String::from_utf8(output.stderr).unwrap();
        (output.status.code(), error)
    };
    assert_eq!(run(&["replay", "whole.jsonl"]).0, Some(0));
    let (code, error) = run(&["replay", "cut.jsonl"]);
    assert!(
        code == Some(2) && error.contains("cut short"),
        "{code:?} {error}"
    );
    assert_eq!(run(&["replay", "changed.jsonl"]).0, Some(1));
    for (name, want) in [
        ("whole", ""),
        ("cut", "cut short"),
        ("changed", "another decision"),
    ] {
        let (code, error) = run(&["explain", &format!("{name}.jsonl")]);
        assert_eq!(code, Some(0), "{name}: {error}");
        assert_eq!(error.is_empty(), want.is_empty(), "{name}: {error}");
        assert!(error.contains(want), "{name}: {error}");
    }
    std::fs::write(folder.path().join("s.json"), SNAPSHOT_9).unwrap();
    std::fs::write(folder.path().join("spec.yaml"), SPEC).unwrap();
    let (code, error) = run(&["decide", "--spec", "spec.yaml", "--snapshot", "s.json"]);
    assert!(
        code == Some(2) && error.contains("version 9"),
        "{code:?} {error}"
    );
}

/// A snapshot of a version that does not exist.
const SNAPSHOT_9: &str = "{\"v\":9,\"history\":{},\"proposers\":[]}";
