//! What the tests of the live pages share: explanations, objects, and a reader of markup.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "each test file uses a part of it, and tests may fail loudly"
)]

use foresail_core::explain::Explanation;
use foresail_core::quantity::time::{Span, Timestamp};
use foresail_web::live::model::{CostPoint, ForecastPoint, Score, Side, Verdict, Wrong};
use foresail_web::live::{Keeping, LiveObject, Seen, Standing};
use serde_json::json;

/// An explanation whose every text is `text`, at `seconds`, that changes replicas at each fifth.
pub fn explanation(text: &str, number: i64) -> Explanation {
    let seconds = 1_769_890_200 + 15 * number;
    let (current, decided) = if number % 5 == 0 {
        ("4", "7")
    } else {
        ("7", "7")
    };
    let target = format!("{text}/{text}/{text}");
    let limits = if number % 5 == 0 {
        json!([{"by": "Rate", "target": target, "axis": "replicas", "from": "9", "to": "7",
            "why": {"RateUp": {"step": 3, "perSeconds": 60}}}])
    } else {
        json!([])
    };
    let wanted = if number % 5 == 0 { "9" } else { "7" };
    let value = json!({
        "v": 1,
        "id": format!("{text}/1/2/{number}"),
        "inputs": null,
        "at": Timestamp::from_seconds(seconds),
        "target": target,
        "mode": "Shadow",
        "health": "Predict",
        "sampleAgeSeconds": 12,
        "current": {"replicas": current},
        "ready": 4,
        "incumbent": 5,
        "proposals": [
            {"by": text, "wish": {"replicas": wanted}, "shape": [], "interval": [6, 9],
                "confidencePercent": 91, "gate": null,
                "basis": {"forecaster": text, "demand": "884 req/s", "levelPercent": 90,
                    "horizonSeconds": 60, "capacity": "100 req/s", "coveragePercent": 91}},
            {"by": "llm", "wish": {"replicas": "8"}, "shape": [], "interval": null,
                "confidencePercent": 60, "gate": "ratio", "basis": {"text": text}},
        ],
        "chosenBy": text,
        "reactive": 5,
        "wanted": {"replicas": wanted},
        "limits": limits,
        "decided": {"replicas": decided},
        "outcome": null,
        "archetype": "Periodic",
        "fittedAgoSeconds": 840,
    });
    serde_json::from_value(value).expect("an explanation")
}

/// An object of forty decisions whose every text is `text`.
pub fn object(namespace: &str, name: &str, text: &str) -> LiveObject {
    let mut object = LiveObject::new(namespace, name, Keeping::RECORD);
    for number in 0..40 {
        let told = explanation(text, number);
        let at = told.at;
        let wave = 600.0 + 300.0 * (number as f64 / 6.0).sin();
        let forecast = ForecastPoint {
            at: at + Span::from_seconds(60),
            made_at: at,
            p10: Some(wave - 80.0),
            p50: Some(wave),
            p90: Some(wave + 80.0),
            level: wave + 80.0,
            level_percent: 90,
        };
        let seen = Seen {
            demand: vec![(at, wave + if number % 11 == 0 { 200.0 } else { 10.0 })],
            forecast: Some(forecast),
            bounds: Some((1, 10)),
        };
        object.push(told, &seen);
    }
    object.stand(standing(text));
    object
}

fn standing(text: &str) -> Standing {
    let point = |cost: f64, present| CostPoint {
        name: text.to_owned(),
        cost,
        violations_percent: 5.0 - cost,
        present,
    };
    Standing {
        phase: text.to_owned(),
        wrong: vec![Wrong {
            kind: text.to_owned(),
            reason: text.to_owned(),
            message: text.to_owned(),
        }],
        score: Some(Score {
            since: Timestamp::from_seconds(1_769_890_200),
            hours: 2.5,
            sides: vec![Side {
                name: text.to_owned(),
                replica_hours: 12.0,
                short_minutes: None,
                changes: 3,
            }],
            verdict: Some(Verdict::Better),
            why: vec![text.to_owned()],
        }),
        frontier: vec![point(1.0, true), point(2.0, false)],
    }
}

/// Every hostile string, and one of ten thousand characters.
pub fn hostile() -> Vec<String> {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../tests/golden/serve/hostile.json"
    );
    let text = std::fs::read_to_string(path).expect("the corpus");
    let mut all: Vec<String> = serde_json::from_str(&text).expect("a list of texts");
    all.push("<b>x</b>".repeat(1250));
    all
}

/// A piece of markup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// `<name a="b">` or `</name>`, with attributes in their order.
    Tag(String, Vec<(String, String)>),
    /// Text, written out.
    Text(String),
}

fn unescaped(text: &str) -> String {
    let known = [
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&quot;", "\""),
        ("&#39;", "'"),
    ];
    let mut out = text.to_owned();
    for (written, is) in known {
        out = out.replace(written, is);
    }
    out.replace("&amp;", "&")
}

/// Reads markup strictly: attributes are quoted, every `<` begins a tag, every `&` a reference.
pub fn pieces(html: &str) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut rest = html;
    while !rest.is_empty() {
        let open = rest.find('<').unwrap_or(rest.len());
        let (text, after) = rest.split_at(open);
        assert!(!text.contains('>'), "a `>` in a text: {text:?}");
        references(text);
        if !text.trim().is_empty() {
            pieces.push(Piece::Text(unescaped(text)));
        }
        if after.is_empty() {
            break;
        }
        let (tag, after) = tag(after.strip_prefix('<').unwrap());
        pieces.push(tag);
        rest = after;
    }
    pieces
}

fn references(text: &str) {
    for rest in text.split('&').skip(1) {
        let known = ["lt;", "gt;", "quot;", "#39;", "amp;"];
        assert!(
            known.iter().any(|k| rest.starts_with(k)),
            "a bare `&` before {rest:?}"
        );
    }
}

fn tag(text: &str) -> (Piece, &str) {
    let end = text
        .find(|c: char| c.is_ascii_whitespace() || c == '>' || c == '/' && !text.starts_with('/'))
        .expect("a tag ends");
    let end = if text.starts_with('/') {
        text.find('>').unwrap()
    } else {
        end
    };
    let name = text[..end].to_owned();
    let mut rest = text[end..].trim_start();
    let mut attributes = Vec::new();
    loop {
        if let Some(after) = rest.strip_prefix('>') {
            return (Piece::Tag(name, attributes), after);
        }
        if let Some(after) = rest.strip_prefix("/>") {
            return (Piece::Tag(name, attributes), after);
        }
        let end = rest
            .find(|c: char| c.is_ascii_whitespace() || c == '=' || c == '>' || c == '/')
            .expect("an attribute ends");
        assert!(end > 0, "no attribute at {:?}", &rest[..rest.len().min(60)]);
        let key = rest[..end].to_owned();
        rest = &rest[end..];
        let mut value = String::new();
        if let Some(after) = rest.strip_prefix("=\"") {
            let close = after.find('"').expect("a quoted value");
            references(&after[..close]);
            value = unescaped(&after[..close]);
            rest = &after[close + 1..];
        }
        attributes.push((key, value));
        rest = rest.trim_start();
    }
}

/// The tags of a page and the names of their attributes, without what they say.
pub fn shape(html: &str) -> Vec<(String, Vec<String>)> {
    let all = pieces(html).into_iter().filter_map(|p| match p {
        Piece::Tag(name, attributes) => {
            Some((name, attributes.into_iter().map(|(k, _)| k).collect()))
        }
        Piece::Text(_) => None,
    });
    all.collect()
}
