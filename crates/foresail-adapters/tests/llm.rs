//! A model that answers well, badly, late or not at all, on a loopback port.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "tests may fail loudly"
)]

#[path = "support/model.rs"]
mod model;

use std::io::Cursor;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use foresail_adapters::access::{Access, Token};
use foresail_adapters::llm::{
    ATTEMPTS_MAX, Adviser, Answered, Ask, Failure, Prompt, Question, RecordError, Recording,
    Refusal, Replayed, Row, Rung,
};
use foresail_core::propose::advice::Says;
use foresail_core::propose::plan::TargetId;
use foresail_core::quantity::time::{Span, Timestamp};
use model::{Asked, Model, Play, answer, completion, good};

/// Long enough for any answer of a loopback server, however busy the machine is.
const LONG: Duration = Duration::from_secs(20);

/// What a server that never answers is waited for.
const SHORT: Duration = Duration::from_millis(400);

fn adviser(model: &Model) -> Adviser {
    Adviser::new(Access::to_model(&model.url()), "tiny").expect("usable")
}

fn question(baseline: u32) -> Question {
    let row = |age_seconds| Row {
        age_seconds,
        cpu_milli: Some(61.0),
        pods: Some(3),
        ..Row::default()
    };
    Question {
        current: 3,
        ready: 3,
        min: 1,
        max: 10,
        baseline,
        horizon_seconds: 300,
        cpu_target_percent: Some(60),
        rows: vec![row(30), row(0)],
        ..Question::default()
    }
}

fn delta(answered: &Answered) -> Option<i32> {
    answered.answer.as_ref().map(|a| a.delta)
}

/// A server that knows the rungs from `first` on and answers 400 to those above.
fn knows(first: Rung) -> impl Fn(usize, &Asked) -> Play + Send + Sync {
    move |_, asked| {
        let rung = match asked.format().as_str() {
            "json_schema" => Rung::JsonSchema,
            "json_object" => Rung::JsonObject,
            _ => Rung::Text,
        };
        if rung < first {
            let error = r#"{"error":{"message":"response_format is not supported"}}"#;
            return Play::Status(400, error.to_owned());
        }
        good(-1)
    }
}

#[test]
fn a_good_answer_passes_on_every_rung_and_the_rung_is_remembered() {
    for (place, rung) in Rung::ALL.into_iter().enumerate() {
        let model = Model::new(knows(rung));
        let mut adviser = adviser(&model);
        let first = adviser.ask(&question(3), LONG);
        assert_eq!(delta(&first), Some(-1), "{first:?}");
        assert_eq!((first.rung, first.attempts.len()), (Some(rung), place + 1));
        assert_eq!(first.tokens.prompt, Some(300));
        assert!(!first.schema_ignored());
        let second = adviser.ask(&question(3), LONG);
        assert_eq!((second.rung, second.attempts.len()), (Some(rung), 1));
        assert_eq!(adviser.rung(), rung);
        assert_eq!(model.seen().len(), place + 2);
        assert!(!adviser.breaker().is_open());
    }
}

#[test]
fn a_request_carries_the_prompt_the_bounds_and_the_token_and_shows_it_nowhere() {
    let model = Model::always(good(0));
    let mut access = Access::to_model(&model.url());
    access.token = Token::Text("s3cret".to_owned());
    let mut adviser = Adviser::new(access, "tiny").unwrap();
    let answered = adviser.ask(&question(4), LONG);
    let asked = &model.seen()[0];
    assert_eq!(asked.path, "/v1/chat/completions");
    assert_eq!(asked.authorization.as_deref(), Some("Bearer s3cret"));
    let prompt = Prompt::of(&question(4));
    let body = &asked.body;
    assert_eq!(body["messages"][0]["content"], prompt.system);
    assert_eq!(body["messages"][1]["content"], prompt.user.as_str());
    assert_eq!(
        (&body["model"], &body["temperature"], &body["max_tokens"]),
        (&"tiny".into(), &0.into(), &160.into())
    );
    assert_eq!(answered.question, prompt.hash().as_str());
    assert!(!format!("{adviser:?}{answered:?}").contains("s3cret"));
}

#[test]
fn an_endpoint_that_refuses_every_form_is_asked_from_the_top_again() {
    let model = Model::always(Play::Status(400, "context too long".to_owned()));
    let mut adviser = adviser(&model);
    for _ in 0..2 {
        let answered = adviser.ask(&question(3), LONG);
        let refused = Failure::Refused {
            status: 400,
            text: "context too long".to_owned(),
        };
        assert_eq!(answered.failure, Some(refused));
        let rungs: Vec<Rung> = answered.attempts.iter().map(|a| a.rung).collect();
        assert_eq!(rungs, Rung::ALL);
    }
}

/// Bad answers, each with the reason that it is refused for.
fn bad_answers() -> Vec<(&'static str, Play, Refusal)> {
    let say = |words: &str| Play::Say(words.to_owned());
    let key = |key: &str| key.to_owned();
    let delta = |number: &str| {
        Play::Say(format!(
            r#"{{"reasoning":"x","delta":{number},"confidence_pct":70}}"#
        ))
    };
    let two = format!("{}{}", answer(2), answer(2));
    vec![
        ("two objects", say(&two), Refusal::SecondObject),
        (
            "truncated",
            say(r#"{"reasoning":"usage ro"#),
            Refusal::CutShort,
        ),
        (
            "NaN",
            delta("NaN"),
            Refusal::NotFinite { key: key("delta") },
        ),
        (
            "1e309",
            delta("1e309"),
            Refusal::Overflow { key: key("delta") },
        ),
        (
            "missing key",
            say(r#"{"reasoning":"x","confidence_pct":70}"#),
            Refusal::Missing { key: key("delta") },
        ),
        (
            "extra key",
            say(r#"{"reasoning":"x","delta":2,"confidence_pct":70,"replicas":0}"#),
            Refusal::Extra {
                key: key("replicas"),
            },
        ),
        (
            "string number",
            delta("\"2\""),
            Refusal::TextNumber { key: key("delta") },
        ),
        (
            "white space up to the most tokens",
            Play::End(format!("{{{}", " \n".repeat(2000)), "length"),
            Refusal::Unfinished {
                reason: key("length"),
            },
        ),
        (
            "white space and a stop",
            Play::Say(" ".repeat(8000)),
            Refusal::TooLong,
        ),
        (
            "a large number by the grammar",
            delta("1111111111111111E1111111111111111"),
            Refusal::Overflow { key: key("delta") },
        ),
        (
            "anyOf read as null",
            delta("null"),
            Refusal::Null { key: key("delta") },
        ),
        (
            "a string without an end",
            Play::End(r#"{"s":">>>>"#.to_owned(), "length"),
            Refusal::Unfinished {
                reason: key("length"),
            },
        ),
        ("json_object alone", say(r#"{">>>>>>>"#), Refusal::CutShort),
        (
            "free text",
            say("Sure! I would scale to a few replicas."),
            Refusal::NoObject,
        ),
        ("nothing", say(""), Refusal::Empty),
        (
            "a tool call",
            Play::End(String::new(), "tool_calls"),
            Refusal::Unfinished {
                reason: key("tool_calls"),
            },
        ),
    ]
}

/// Whatever fails three times in a row is left alone from the fourth question on.
fn opens_after_three(model: &Model, mut ask: impl FnMut() -> Answered, name: &str) {
    for _ in 1..3 {
        assert_eq!(ask().answer, None, "{name}");
    }
    let before = model.seen().len();
    for left in (8..10).rev() {
        let answered = ask();
        let open = Failure::Open { failures: 3, left };
        assert_eq!(answered.failure, Some(open), "{name}");
    }
    assert_eq!(model.seen().len(), before, "{name}: nothing is asked");
}

#[test]
fn bad_answers_are_refused_by_name_asked_again_and_open_the_breaker() {
    for (name, play, want) in bad_answers() {
        let model = Model::always(play);
        let mut adviser = adviser(&model);
        let answered = adviser.ask(&question(3), LONG);
        assert_eq!(
            answered.failure,
            Some(Failure::BadAnswer(want.clone())),
            "{name}"
        );
        assert_eq!(answered.answer, None, "{name}");
        assert_eq!(answered.attempts.len(), ATTEMPTS_MAX, "{name}");
        let again = &model.seen()[2].body["messages"];
        let roles: Vec<&str> = again
            .as_array()
            .unwrap()
            .iter()
            .filter_map(|m| m["role"].as_str())
            .collect();
        assert_eq!(
            roles,
            ["system", "user", "assistant", "user", "assistant", "user"],
            "{name}"
        );
        let told = again[3]["content"].as_str().unwrap();
        assert!(told.contains(&want.to_string()), "{name}: {told}");
        opens_after_three(&model, || adviser.ask(&question(3), LONG), name);
    }
}

#[test]
fn a_good_answer_after_a_bad_one_is_taken() {
    let model = Model::new(|number, _| match number {
        0 => Play::Say("I think one more.".to_owned()),
        _ => good(1),
    });
    let answered = adviser(&model).ask(&question(3), LONG);
    assert_eq!((delta(&answered), answered.attempts.len()), (Some(1), 2));
    let first = &answered.attempts[0];
    assert_eq!(first.raw.as_deref(), Some("I think one more."));
    assert_eq!(first.failure, Some(Failure::BadAnswer(Refusal::NoObject)));
    assert_eq!(answered.tokens.completion, Some(80));
    let shown = &model.seen()[1].body["messages"][2]["content"];
    assert_eq!(shown, "I think one more.");
}

#[test]
fn a_schema_that_is_silently_ignored_is_told() {
    for words in [
        format!("```json\n{}\n```", answer(2)),
        format!("Here you are: {}", answer(2)),
    ] {
        let model = Model::always(Play::Say(words));
        let mut adviser = adviser(&model);
        for _ in 0..4 {
            let answered = adviser.ask(&question(3), LONG);
            assert_eq!(delta(&answered), Some(2));
            assert!(answered.schema_ignored());
        }
    }
}

fn raw(head: &str, body: &str) -> Play {
    Play::Raw(format!("{head}\r\n\r\n{body}").into_bytes())
}

#[test]
fn broken_servers_are_answered_within_the_deadline_once_and_open_the_breaker() {
    let body = completion(&answer(2), "stop");
    let status = |code| Play::Status(code, "overloaded".to_owned());
    let long = "HTTP/1.1 200 OK\r\nContent-Length: 999999";
    let short = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 40";
    let gzip = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Encoding: gzip";
    let plain = "HTTP/1.1 200 OK\r\nConnection: close";
    let plays = [
        ("429", status(429), "answered 429: overloaded"),
        ("500", status(500), "answered 500: overloaded"),
        ("503", status(503), "answered 503: overloaded"),
        ("401", status(401), "--llm-token-file"),
        ("404", status(404), "--llm-model"),
        ("302", status(302), "redirects to http://127.0.0.1:1/v1"),
        ("hang", Play::Hang(Duration::from_secs(60)), "within 400 ms"),
        (
            "drip",
            Play::Drip(Duration::from_millis(50)),
            "within 400 ms",
        ),
        (
            "endless",
            Play::Endless(100 << 20),
            "larger than 16384 bytes",
        ),
        ("length too long", raw(long, &body), "cannot be reached"),
        ("length too short", raw(short, &body), "chat/completions"),
        ("gzip", raw(gzip, &body[5..]), "chat/completions"),
        ("html", raw(plain, "<html>hello</html>"), "chat/completions"),
        (
            "no HTTP",
            Play::Raw(b"hello\r\n".to_vec()),
            "cannot be reached",
        ),
        ("closed", Play::Raw(Vec::new()), "cannot be reached"),
    ];
    for (name, play, want) in plays {
        let model = Model::always(play);
        let mut adviser = adviser(&model);
        // What comes to an end by itself gets the time for it, however busy the machine is.
        let deadline = if want.starts_with("within") {
            SHORT
        } else {
            LONG
        };
        let mut ask = || {
            let begun = Instant::now();
            let answered = adviser.ask(&question(3), deadline);
            let took = begun.elapsed();
            assert!(took < deadline + Duration::from_secs(2), "{name}: {took:?}");
            answered
        };
        let answered = ask();
        let told = answered.failure.as_ref().expect(name).to_string();
        assert!(told.contains(want), "{name}: {told}");
        assert!(!told.contains(&model.port.to_string()), "{name}: {told}");
        assert_eq!(answered.attempts.len(), 1, "{name}: not asked again");
        opens_after_three(&model, ask, name);
    }
}

#[test]
fn nobody_at_the_port_is_a_failure_as_any_other() {
    let model = Model::always(good(1));
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/v1", free.local_addr().unwrap());
    drop(free);
    let mut adviser = Adviser::new(Access::to_model(&url), "tiny").unwrap();
    let told = adviser.ask(&question(3), LONG).failure.unwrap();
    assert!(matches!(told, Failure::Unreachable { .. }), "{told}");
    opens_after_three(&model, || adviser.ask(&question(3), LONG), "refused");
}

#[test]
fn after_ten_questions_one_probe_closes_the_breaker() {
    let model = Model::new(|number, _| match number {
        0..3 => Play::Status(503, String::new()),
        _ => good(1),
    });
    let mut adviser = adviser(&model);
    let deltas: Vec<Option<i32>> = (0..15)
        .map(|_| delta(&adviser.ask(&question(3), LONG)))
        .collect();
    let mut want = vec![None; 13];
    want.extend([Some(1), Some(1)]);
    assert_eq!(deltas, want);
    assert_eq!(model.seen().len(), 5);
}

#[test]
fn it_can_be_asked_from_within_a_runtime_and_by_waiting() {
    let model = Model::always(good(1));
    let mut adviser = adviser(&model);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let both = runtime.block_on(async {
        let inside = adviser.ask(&question(3), LONG);
        [inside, adviser.ask_async(&question(3), LONG).await]
    });
    assert_eq!(both.each_ref().map(delta), [Some(1), Some(1)]);
}

#[test]
fn an_answer_is_advice_for_one_and_a_half_intervals() {
    let model = Model::always(good(-2));
    let answered = adviser(&model).ask(&question(3), LONG);
    let (target, asked) = (
        TargetId::new("default/Deployment/web"),
        Timestamp::from_seconds(1000),
    );
    let advice = answered
        .advice(&target, asked, Span::from_seconds(30))
        .unwrap();
    assert_eq!((advice.by.as_str(), advice.at), ("llm", asked));
    assert_eq!(advice.until, Timestamp::from_seconds(1045));
    assert_eq!(advice.says, Says::Delta(vec![(target.clone(), -2)]));
    assert_eq!(advice.confidence_percent, Some(95));
    assert_eq!(advice.text, "usage moved in each row");
    let failed = Answered::untried("h".to_owned(), Failure::TooLarge);
    assert_eq!(failed.advice(&target, asked, Span::from_seconds(30)), None);
}

/// A writer whose bytes can be looked at.
#[derive(Clone, Default)]
struct Shared(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Asks a few questions, one of them several times, and gives the record and the answers.
fn run(adviser: impl Ask, model: &str) -> (Vec<u8>, Vec<Answered>) {
    let out = Shared::default();
    let mut recording = Recording::new(adviser, model, Box::new(out.clone())).unwrap();
    let asked = [3, 4, 3, 5, 3, 4];
    let answers = asked.map(|baseline| recording.ask(&question(baseline), LONG));
    recording.finish().unwrap();
    let bytes = out.0.lock().unwrap().clone();
    (bytes, answers.to_vec())
}

fn recorded() -> (Vec<u8>, Vec<Answered>) {
    // Another answer each time, one bad one and one server failure among them.
    let model = Model::new(|number, _| match number {
        1 => Play::Say("a \"few\"\n\u{202e}more".to_owned()),
        3 => Play::Status(503, "busy".to_owned()),
        _ => good(number as i32 % 5 - 2),
    });
    run(adviser(&model), "tiny")
}

#[test]
fn a_run_is_replayed_from_its_record_byte_for_byte_without_a_network() {
    let (bytes, answers) = recorded();
    let replayed = Replayed::read("a.jsonl", Cursor::new(&bytes)).unwrap();
    assert_eq!((replayed.model(), replayed.len()), ("tiny", 6));
    let (again, same) = run(replayed.clone(), replayed.model());
    assert_eq!(same, answers);
    assert_eq!(
        String::from_utf8(again).unwrap(),
        String::from_utf8(bytes).unwrap()
    );
    let mut replayed = replayed;
    let unknown = replayed.ask(&question(9), LONG);
    let told = unknown.failure.unwrap().to_string();
    assert!(
        told.contains("1. time") && told.contains("not in the record"),
        "{told}"
    );
    for _ in 0..3 {
        replayed.ask(&question(3), LONG);
    }
    let told = replayed
        .ask(&question(3), LONG)
        .failure
        .unwrap()
        .to_string();
    assert!(told.contains("4. time"), "{told}");
}

#[test]
fn a_record_that_is_cut_foreign_or_damaged_says_so() {
    let (bytes, _) = recorded();
    let read = |bytes: &[u8]| Replayed::read("a.jsonl", Cursor::new(bytes.to_vec()));
    let mut cuts = 0;
    for end in (1..bytes.len()).step_by(7).chain([bytes.len() - 1]) {
        let error = read(&bytes[..end]).expect_err("cut").to_string();
        let head = bytes.iter().position(|b| *b == b'\n').unwrap();
        let want = if end <= head {
            "is no record"
        } else {
            "cut short"
        };
        assert!(error.contains(want), "{end}: {error}");
        cuts += 1;
    }
    assert!(cuts > 100);
    let text = String::from_utf8(bytes).unwrap();
    for (was, is, want) in [
        ("\"v\":1", "\"v\":2", "version 2"),
        (
            "foresail-llm-record",
            "something",
            "calls itself `something`",
        ),
        (
            "{\"end\":{\"questions\":6}}",
            "{\"end\":{\"questions\":7}}",
            "7 questions by its end, 6 found",
        ),
        ("\"latencyMs\"", "\"latency\"", "line 2"),
        ("\"time\":1,", "\"time\":0,", "a question stands twice"),
    ] {
        assert!(text.contains(was), "{was}");
        let error = read(text.replacen(was, is, 1).as_bytes()).expect_err(was);
        assert!(error.to_string().contains(want), "{was}: {error}");
    }
    let more = format!("{text}{{}}\n");
    assert!(
        read(more.as_bytes())
            .unwrap_err()
            .to_string()
            .contains("follows the end")
    );
    for foreign in [
        "",
        "\n",
        "hello\n",
        "{\"v\":2,\"uid\":\"x\"}\n",
        "\u{0}\u{1}",
    ] {
        let error = read(foreign.as_bytes()).unwrap_err();
        assert!(
            matches!(error, RecordError::Foreign { .. }),
            "{foreign:?}: {error}"
        );
    }
    let missing = Replayed::open(std::path::Path::new("no/such/file")).unwrap_err();
    assert!(matches!(missing, RecordError::Io { .. }), "{missing}");
}

#[test]
fn a_record_of_any_bytes_is_read_or_refused() {
    let (whole, _) = recorded();
    bolero::check!()
        .with_iterations(4000)
        .with_type::<(u16, Vec<u8>)>()
        .for_each(|(place, bytes)| {
            let mut text = whole.clone();
            let place = usize::from(*place) % text.len();
            text.splice(place..place, bytes.iter().copied().take(12));
            for text in [&text, bytes] {
                if let Ok(mut replayed) = Replayed::read("fuzz", Cursor::new(text)) {
                    let _ = replayed.ask(&question(3), LONG);
                }
            }
        });
}
