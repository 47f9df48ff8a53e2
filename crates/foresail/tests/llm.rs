//! A language model's answers all the way to replicas, and beside `watch`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "tests may fail loudly"
)]

#[path = "../../foresail-adapters/tests/support/model.rs"]
mod model;
#[path = "support/server.rs"]
mod server;
mod support;

use std::time::{Duration, Instant};

use foresail::watch::llm::question;
use foresail::watch::observe::Seen;
use foresail::watch::shadow::{Orders, Shadow};
use foresail_adapters::access::Access;
use foresail_adapters::llm::{Adviser, Ask, Failure, Replayed};
use foresail_core::quantity::time::{Span, Timestamp};
use foresail_core::spec::ProposerSpec;
use foresail_models::registry::engine_of;
use foresail_models::rng::Seed;
use model::{Model, Play, answer, good};
use serde_json::{Value, json};
use server::{Server, vector};
use support::{foresail, stdout};

const INTERVAL: Span = Span::from_seconds(30);

/// Long enough for any answer of a loopback server, however busy the machine is.
const LONG: Duration = Duration::from_secs(20);

/// What a server that never answers is waited for.
const SHORT: Duration = Duration::from_millis(300);

fn orders() -> Orders {
    Orders {
        name: "web".to_owned(),
        target_value: 100.0,
        startup: Span::from_seconds(30),
        interval: INTERVAL,
        bounds: (1, 20),
        advised: true,
    }
}

/// A shadow that follows `llm` alone.
fn shadow(untrusted: &str) -> Shadow {
    let mut spec = orders().spec();
    let mut llm = ProposerSpec::named("llm");
    llm.knobs.insert("untrusted".to_owned(), json!(untrusted));
    spec.proposers = vec![llm];
    Shadow::new(&orders(), engine_of(spec, Seed(1)).expect("valid"), 4)
}

/// Demand that rises, stays and falls.
fn seen(tick: i64, at: Timestamp) -> Seen {
    let demand = match tick {
        0..8 => 400.0 + 60.0 * tick as f64,
        8..14 => 850.0,
        _ => 300.0,
    };
    Seen {
        demand: Some((demand, at)),
        ..Seen::default()
    }
}

/// What was decided at each of twenty ticks, and the failures; `asks` is asked after each tick.
fn fly(
    untrusted: &str,
    mut asks: Option<(&mut dyn Ask, Duration)>,
) -> (Vec<u32>, Vec<Option<Failure>>) {
    let (orders, mut shadow) = (orders(), shadow(untrusted));
    let (mut decided, mut failures) = (Vec::new(), Vec::new());
    for tick in 0..20 {
        let at = Timestamp::from_seconds(1_767_571_200 + 30 * tick);
        let seen = seen(tick, at);
        let told = shadow.sync(&seen, at).expect("told");
        let replicas = told.decided.get("replicas").expect("replicas");
        decided.push((replicas.milli() / 1000) as u32);
        let Some((asked, deadline)) = asks.as_mut() else {
            continue;
        };
        let history = shadow.engine().target_history(0);
        let question = question(&orders, &told, &seen, shadow.pods(at), history);
        let begun = Instant::now();
        let answered = asked.ask(&question, *deadline);
        assert!(begun.elapsed() < *deadline + Duration::from_secs(2));
        if let Some(advice) = answered.advice(&orders.target(), at, INTERVAL) {
            shadow.advise(advice);
        }
        failures.push(answered.failure);
    }
    (decided, failures)
}

fn adviser(model: &Model) -> Adviser {
    Adviser::new(Access::to_model(&model.url()), "tiny").expect("usable")
}

#[test]
fn twelve_bad_answers_never_move_replicas_by_more_than_the_baseline_does() {
    let (baseline, _) = fly("shadow", None);
    assert!(baseline.iter().max() > baseline.iter().min(), "it moves");
    let say = |words: String| Play::Say(words);
    let delta = |number: &str| {
        Play::Say(format!(
            r#"{{"reasoning":"x","delta":{number},"confidence_pct":99}}"#
        ))
    };
    let two = answer(2);
    let refused = [
        ("two objects", say(format!("{two}{two}"))),
        ("truncated", say(two[..two.len() - 9].to_owned())),
        ("NaN", delta("NaN")),
        ("1e309", delta("1e309")),
        (
            "missing key",
            say(r#"{"reasoning":"x","delta":2}"#.to_owned()),
        ),
        ("extra key", say(two.replace('}', r#","replicas":20}"#))),
        ("string number", delta("\"2\"")),
        ("white-space flood", Play::End(" ".repeat(9000), "length")),
        ("HTTP 500", Play::Status(500, "broken".to_owned())),
        ("hang", Play::Hang(Duration::from_secs(60))),
    ];
    for (name, play) in refused {
        let model = Model::always(play);
        // Even where everything that can be read is acted on.
        let deadline = if name == "hang" { SHORT } else { LONG };
        let (decided, failures) = fly("act", Some((&mut adviser(&model), deadline)));
        assert_eq!(decided, baseline, "{name}");
        let open = |f: &Option<Failure>| matches!(f, Some(Failure::Open { .. }));
        // Three failures, ten intervals of rest, one probe, ten more.
        let want: Vec<bool> = (0..20).map(|i| i >= 3 && i != 13).collect();
        assert_eq!(
            failures.iter().map(open).collect::<Vec<_>>(),
            want,
            "{name}"
        );
    }
    for (name, words) in [
        ("fence", format!("```json\n{two}\n```")),
        ("preamble", format!("Sure! {two}")),
    ] {
        let model = Model::always(say(words));
        let (decided, failures) = fly("shadow", Some((&mut adviser(&model), LONG)));
        assert_eq!(
            decided, baseline,
            "{name}: not believed before it was right"
        );
        assert!(failures.iter().all(Option::is_none), "{name}");
    }
}

#[test]
fn good_answers_move_replicas_by_two_at_most_and_never_below_the_floor() {
    let (baseline, _) = fly("act", None);
    for said in [-2, -1, 0, 1, 2, 9] {
        let model = Model::always(good(said));
        let (decided, _) = fly("act", Some((&mut adviser(&model), LONG)));
        let mut most = 4;
        for (tick, (with, without)) in decided.iter().zip(&baseline).enumerate() {
            // What demand needs at 100 requests per second each, held by the stabilization window.
            let demand = seen(tick as i64, Timestamp::EPOCH).demand.unwrap().0;
            most = most.max((demand / 100.0).ceil() as u32);
            let reach = *without..=most + 2;
            assert!(
                reach.contains(with),
                "{said} at {tick}: {decided:?} {baseline:?}"
            );
        }
        assert_eq!(decided == baseline, said <= 0, "{said}: {decided:?}");
    }
}

#[test]
fn the_document_tells_every_knob_with_its_default() {
    use foresail_models::knobs::Kind;
    let text = std::fs::read_to_string(support::root().join("docs/llm.md")).unwrap();
    for knob in foresail_models::propose::llm::ENTRY.knobs {
        let default = match knob.kind {
            Kind::Number { default, .. } => default.to_string(),
            Kind::Whole { default, .. } => default.to_string(),
            Kind::Flag { default } => default.to_string(),
            Kind::Word { default, .. } => default.to_owned(),
            other => panic!("{}: {other:?}", knob.name),
        };
        let row = format!("| `{}` | {default} | {}", knob.name, knob.doc);
        assert!(text.contains(&row), "{row}");
    }
}

/// A Prometheus with three replicas and 250 requests per second.
fn prometheus() -> Server {
    Server::new(None, |request| {
        let number = |name: &str| request.parameter(name).and_then(|t| t.parse::<f64>().ok());
        if let Some(at) = number("time") {
            let value = match () {
                () if request.asks_for_time() => at.to_string(),
                () if request.target.contains("replicas") => "3".to_owned(),
                () => "250".to_owned(),
            };
            return vector(at, &value);
        }
        let (start, end) = (number("start").unwrap(), number("end").unwrap());
        let minutes = ((end - start) / 60.0) as i64;
        let points: Vec<String> = (0..=minutes)
            .map(|i| {
                let at = start + 60.0 * i as f64;
                let value = if request.asks_for_time() { at } else { 250.0 };
                format!(r#"[{at},"{value}"]"#)
            })
            .collect();
        server::json(format!(
            r#"{{"status":"success","data":{{"resultType":"matrix","result":[{{"metric":{{}},"values":[{}]}}]}}}}"#,
            points.join(",")
        ))
    })
}

fn watch_args<'a>(prometheus: &'a str, model: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let mut args = vec![
        "watch",
        "--prometheus",
        prometheus,
        "--query",
        "rps",
        "--replicas-query",
        "replicas",
        "--target-value",
        "100",
        "--interval",
        "1s",
        "--history",
        "30m",
        "--duration",
        "8s",
        "--llm-url",
        model,
        "--llm-model",
        "tiny",
        "--llm-interval",
        "4s",
        "-o",
        "json",
    ];
    args.extend(more);
    args
}

/// What `llm` said at each sync.
fn told(output: &str) -> Vec<Value> {
    let lines = output
        .lines()
        .map(|l| serde_json::from_str::<Value>(l).unwrap());
    let basis = |line: Value| {
        let all = line["explanation"]["proposals"].as_array().unwrap().clone();
        let mine = all.into_iter().find(|p| p["by"] == "llm").expect("llm");
        mine["basis"].clone()
    };
    lines.map(basis).collect()
}

#[test]
fn a_watch_asks_a_model_beside_its_syncs_and_records_what_came() {
    let (prometheus, model) = (prometheus(), Model::always(good(1)));
    let folder = tempfile::tempdir().unwrap();
    let token = folder.path().join("token");
    std::fs::write(&token, "s3cret\n").unwrap();
    let (prometheus, url) = (prometheus.url(), model.url());
    let token = token.display().to_string();
    let more = [
        "--llm-token-file",
        &token,
        "--llm-record",
        "answers.jsonl",
        "--record",
        "flight.jsonl",
    ];
    let args = watch_args(&prometheus, &url, &more);
    let output = foresail(folder.path(), &args);
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(0), "{error}");
    let told = told(&String::from_utf8(output.stdout).unwrap());
    assert_eq!(told[0]["absent"], "noAdvice", "{told:?}");
    let advised = told
        .iter()
        .filter(|b| b["delta"] == 1 && b["acts"] == false);
    assert!(advised.count() >= 3, "{told:?}");
    // It is about 250 requests per second on three replicas, and names nothing.
    let asked = &model.seen()[0];
    assert_eq!(asked.authorization.as_deref(), Some("Bearer s3cret"));
    let user = asked.body["messages"][1]["content"].as_str().unwrap();
    assert!(
        user.contains("baseline: 3") && user.contains(",250.00,3"),
        "{user}"
    );
    assert!(user.matches(",250.00,-").count() == 9, "{user}");
    assert!(
        !user.contains("web") && !user.contains("workload"),
        "{user}"
    );

    let replay = stdout(folder.path(), &["replay", "flight.jsonl"], 0);
    assert!(replay.contains("identical"), "{replay}");
    let record = Replayed::open(&folder.path().join("answers.jsonl")).unwrap();
    assert!(
        record.len() >= 2 && record.model() == "tiny",
        "{}",
        record.len()
    );
    for file in ["answers.jsonl", "flight.jsonl"] {
        let text = std::fs::read_to_string(folder.path().join(file)).unwrap();
        assert!(!text.contains("s3cret"), "{file}");
    }
}

#[test]
fn a_model_that_hangs_delays_no_sync() {
    let prometheus = prometheus();
    let model = Model::always(Play::Hang(Duration::from_secs(60)));
    let folder = tempfile::tempdir().unwrap();
    let (prometheus, url) = (prometheus.url(), model.url());
    let args: Vec<&str> = watch_args(&prometheus, &url, &[])
        .into_iter()
        .map(|a| if a == "4s" { "10s" } else { a })
        .collect();
    let output = foresail(folder.path(), &args);
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(0), "{error}");
    let output = String::from_utf8(output.stdout).unwrap();
    let times: Vec<Timestamp> = output
        .lines()
        .map(|l| {
            serde_json::from_value(serde_json::from_str::<Value>(l).unwrap()["at"].take()).unwrap()
        })
        .collect();
    assert!(times.len() >= 5, "{output}");
    for pair in times.windows(2) {
        // The model would hold it for five seconds.
        assert!((pair[1] - pair[0]).seconds() < 4.0, "{times:?}");
    }
    assert!(
        told(&output).iter().all(|b| b["absent"] == "noAdvice"),
        "{output}"
    );
    assert!(error.contains("within 5000 ms"), "{error}");
    assert_eq!(
        error.matches("within 5000 ms").count(),
        1,
        "told once: {error}"
    );
}

#[test]
fn flags_that_cannot_be_used_are_refused_before_anything_is_asked() {
    let (prometheus, model) = (prometheus(), Model::always(good(1)));
    let folder = tempfile::tempdir().unwrap();
    let (address, url) = (prometheus.url(), model.url());
    for (args, want) in [
        (
            watch_args(&address, "http://model.example/v1", &[]),
            "--llm-plain-http",
        ),
        (
            watch_args(&address, "model", &[]),
            "http://127.0.0.1:11434/v1",
        ),
        (
            watch_args(&address, "https://me:s3cret@model.example", &[]),
            "name or password",
        ),
        (
            watch_args(&address, &url, &["--llm-record", "no/such/folder/a.jsonl"]),
            "no/such/folder",
        ),
    ] {
        let told = support::refused(folder.path(), &args);
        assert!(
            told.contains(want) && !told.contains("s3cret"),
            "{want}: {told}"
        );
    }
    let args: Vec<&str> = watch_args(&address, &url, &[])
        .into_iter()
        .map(|a| if a == "tiny" { " " } else { a })
        .collect();
    let told = support::refused(folder.path(), &args);
    assert!(told.contains("--llm-model"), "{told}");
    assert!(model.seen().is_empty());
}
