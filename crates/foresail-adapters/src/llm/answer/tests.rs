use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;

fn refused(text: &str) -> Refusal {
    parse(text).expect_err(text)
}

fn of(key: &str) -> String {
    key.to_owned()
}

const GOOD: &str = r#"{"reasoning":"usage rose in each row","delta":1,"confidence_pct":70}"#;

#[test]
fn what_was_asked_for_is_taken() {
    let want = Answer {
        reasoning: "usage rose in each row".to_owned(),
        delta: 1,
        confidence_percent: 70,
        limited: false,
        schema_applied: true,
    };
    assert_eq!(parse(GOOD), Ok(want.clone()));
    // Pretty-printed, and in another order: the same answer.
    let pretty = "\n{\n  \"confidence_pct\" : 70 ,\n\t\"delta\": 1,\r\n \"reasoning\" :\"usage rose in each row\"\n}\n ";
    assert_eq!(parse(pretty), Ok(want));
    let escaped = r#"{"reasoning":"a \"b\" \u00e9 \n c","delta":-2,"confidence_pct":0}"#;
    assert_eq!(parse(escaped).unwrap().reasoning, "a \"b\" é   c");
}

#[test]
fn a_fence_or_words_around_are_let_through_and_told() {
    for text in [
        format!("```json\n{GOOD}\n```"),
        format!("Sure! Here is the answer: {GOOD}"),
        format!("{GOOD}\nI hope that helps."),
    ] {
        let answer = parse(&text).expect(&text);
        assert_eq!((answer.delta, answer.schema_applied), (1, false), "{text}");
    }
}

#[test]
fn numbers_outside_their_range_are_brought_inside_and_told() {
    let answer = parse(r#"{"reasoning":"","delta":7,"confidence_pct":-3}"#).unwrap();
    assert_eq!((answer.delta, answer.confidence_percent), (2, 0));
    assert!(answer.limited);
    let answer = parse(r#"{"reasoning":"","delta":-7,"confidence_pct":300}"#).unwrap();
    assert_eq!((answer.delta, answer.confidence_percent), (-2, 100));
}

/// The number in place of `delta`.
fn delta(number: &str) -> String {
    format!(r#"{{"reasoning":"x","delta":{number},"confidence_pct":70}}"#)
}

#[test]
fn numbers_that_are_none_are_refused_by_name() {
    let key = of("delta");
    for (number, want) in [
        ("\"1\"", Refusal::TextNumber { key: key.clone() }),
        ("\"five\"", Refusal::TextNumber { key: key.clone() }),
        ("3.7", Refusal::NotWhole { key: key.clone() }),
        ("1.0", Refusal::NotWhole { key: key.clone() }),
        ("1e0", Refusal::NotWhole { key: key.clone() }),
        ("null", Refusal::Null { key: key.clone() }),
        ("NaN", Refusal::NotFinite { key: key.clone() }),
        ("Infinity", Refusal::NotFinite { key: key.clone() }),
        ("-Infinity", Refusal::NotFinite { key: key.clone() }),
        ("1e309", Refusal::Overflow { key: key.clone() }),
        ("-1e309", Refusal::Overflow { key: key.clone() }),
        (
            "1111111111111111E1111111111111111",
            Refusal::Overflow { key: key.clone() },
        ),
        (
            "99999999999999999999",
            Refusal::Overflow { key: key.clone() },
        ),
        ("true", Refusal::WrongType { key: key.clone() }),
        ("[1]", Refusal::WrongType { key: key.clone() }),
        ("{\"a\":1}", Refusal::WrongType { key: key.clone() }),
        ("+1", Refusal::NotJson { at: 25 }),
        ("01", Refusal::NotJson { at: 25 }),
        ("1.", Refusal::NotJson { at: 25 }),
        ("-", Refusal::NotJson { at: 25 }),
        ("1 2", Refusal::NotJson { at: 27 }),
        ("", Refusal::NotJson { at: 25 }),
    ] {
        assert_eq!(refused(&delta(number)), want, "{number}");
    }
}

#[test]
fn other_forms_are_refused_by_name() {
    for (text, want) in [
        ("", Refusal::Empty),
        (" \n\t  ", Refusal::Empty),
        ("Sure! I would scale to a few replicas.", Refusal::NoObject),
        ("[1, 2]", Refusal::NoObject),
        (
            "{}",
            Refusal::Missing {
                key: of("reasoning"),
            },
        ),
        (
            r#"{"reasoning":"x","delta":1}"#,
            Refusal::Missing {
                key: of("confidence_pct"),
            },
        ),
        (
            r#"{"reasoning":"x","delta":1,"confidence_pct":7,"replicas":9}"#,
            Refusal::Extra {
                key: of("replicas"),
            },
        ),
        (
            r#"{"reasoning":"x","delta":1,"delta":2,"confidence_pct":7}"#,
            Refusal::Duplicate { key: of("delta") },
        ),
        // An escape does not hide a key that stands twice.
        (
            r#"{"reasoning":"x","delta":1,"d\u0065lta":2,"confidence_pct":7}"#,
            Refusal::Duplicate { key: of("delta") },
        ),
        (
            r#"{"reasoning":null"#,
            Refusal::Null {
                key: of("reasoning"),
            },
        ),
        (
            r#"{"reasoning":5"#,
            Refusal::WrongType {
                key: of("reasoning"),
            },
        ),
        (r#"{"reasoning":"usage ro"#, Refusal::CutShort),
        (r#"{"reasoning":"x","delta":1"#, Refusal::CutShort),
        (r#"{"reasoning":"x","delta"#, Refusal::CutShort),
        (r#"{">>>>>>>"#, Refusal::CutShort),
        (r#"{"reasoning":"x\"#, Refusal::CutShort),
        ("{delta:1}", Refusal::NotJson { at: 1 }),
        ("{\"reasoning\":\"\u{1}\"}", Refusal::NotJson { at: 14 }),
        (
            r#"{"reasoning":"\ud800","delta"#,
            Refusal::NotJson { at: 13 },
        ),
    ] {
        assert_eq!(refused(text), want, "{text}");
    }
    let two = format!("{GOOD}{GOOD}");
    assert_eq!(refused(&two), Refusal::SecondObject);
    let trailing = format!("{GOOD},");
    assert!(!parse(&trailing).unwrap().schema_applied);
    let flood = format!("{{{}", " ".repeat(ANSWER_BYTES_MAX));
    assert_eq!(refused(&flood), Refusal::TooLong);
}

#[test]
fn reasoning_steers_no_terminal_and_no_direction() {
    let text = "{\"reasoning\":\"a\\u001b[31m\\u202eb\\u2066c\",\"delta\":0,\"confidence_pct\":1}";
    assert_eq!(parse(text).unwrap().reasoning, "a [31m b c");
}

/// What an answer may be at all, told of one that was taken, by a reader of another make.
fn checked(text: &str, answer: &Answer) {
    let begin = text.find('{').expect("an object");
    let mut values = serde_json::Deserializer::from_str(&text[begin..]).into_iter();
    let value: serde_json::Value = values.next().expect("one").expect("JSON");
    let object = value.as_object().expect("an object");
    assert_eq!(object.len(), KEYS.len(), "{text}");
    let number = |key: &str| object[key].as_i64().expect("a whole number");
    assert_eq!(
        i64::from(answer.delta),
        number("delta").clamp(-DELTA_MAX, DELTA_MAX)
    );
    assert_eq!(
        i64::from(answer.confidence_percent),
        number("confidence_pct").clamp(0, 100)
    );
    assert_eq!(
        answer.reasoning,
        plain(object["reasoning"].as_str().expect("a text"))
    );
}

#[test]
fn any_text_is_taken_as_another_reader_takes_it_or_refused() {
    let taken = AtomicUsize::new(0);
    bolero::check!()
        .with_iterations(200_000)
        .with_type::<(u8, u8, Vec<u8>)>()
        .for_each(|(place, cut, bytes)| {
            let mut text = delta("1").into_bytes();
            let place = usize::from(*place) % (text.len() + 1);
            let until = (place + usize::from(*cut % 4)).min(text.len());
            text.splice(place..until, bytes.iter().copied().take(6));
            for text in [
                String::from_utf8_lossy(&text).into_owned(),
                String::from_utf8_lossy(bytes).into_owned(),
            ] {
                if let Ok(answer) = parse(&text) {
                    checked(&text, &answer);
                    taken.fetch_add(1, Ordering::Relaxed);
                }
            }
        });
    // Pieces of answers in any order: closer to the edge than bytes are.
    const PIECES: [&str; 16] = [
        "{",
        "}",
        ",",
        ":",
        "\"reasoning\"",
        "\"delta\"",
        "\"confidence_pct\"",
        "\"x\"",
        "1",
        "-2",
        "1e309",
        "null",
        " ",
        "\"reasoning\":\"x\",",
        "\"delta\":1,",
        "\"confidence_pct\":70",
    ];
    bolero::check!()
        .with_iterations(200_000)
        .with_type::<Vec<u8>>()
        .for_each(|places| {
            let pieces = places.iter().take(24);
            let text: String = pieces
                .map(|p| PIECES[usize::from(*p) % PIECES.len()])
                .collect();
            if let Ok(answer) = parse(&text) {
                checked(&text, &answer);
                taken.fetch_add(1, Ordering::Relaxed);
            }
        });
    let of_bytes = taken.load(Ordering::Relaxed);
    assert!(of_bytes > 100, "only {of_bytes} answers were taken");
    for number in -300..300 {
        let text = delta(&number.to_string());
        checked(&text, &parse(&text).expect(&text));
    }
}
