//! Prometheus as it is met: bad answers, gaps, limits, tokens and certificates, against a scripted
//! server.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "tests may fail loudly"
)]

#[path = "support/server.rs"]
mod server;
mod support;

use std::time::{Duration, Instant};

use server::{Certificates, Reply, Request, Server, json, vector};
use support::foresail;

const START: i64 = 1_767_571_200;

/// Runs `compare` on a server over ten minutes; its exit code, stdout and stderr.
fn compare(url: &str, more: &[&str]) -> (Option<i32>, String) {
    let folder = tempfile::tempdir().unwrap();
    let mut args = vec![
        "compare",
        "--prometheus",
        url,
        "--query",
        "rps",
        "--start",
        "2026-01-05T00:00:00Z",
        "--end",
        "2026-01-05T00:10:00Z",
        "--policies",
        "static",
    ];
    args.extend(more);
    let output = foresail(folder.path(), &args);
    if output.status.code() != Some(0) {
        let left = std::fs::read_dir(folder.path()).unwrap().count();
        assert_eq!(left, 0, "something was left behind");
    }
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status.code(), told)
}

/// A matrix of one series over the request's own range; `value` gives the text of each step.
fn matrix(request: &Request, value: impl Fn(i64) -> Option<String>) -> Reply {
    let number = |name| request.parameter(name).unwrap().parse::<f64>().unwrap() as i64;
    let (start, end, step) = (number("start"), number("end"), number("step"));
    let mut points = Vec::new();
    let mut at = start;
    while at <= end {
        let told = if request.asks_for_time() {
            Some(at.to_string())
        } else {
            value((at - START) / step - 1)
        };
        points.extend(told.map(|v| format!(r#"[{at},"{v}"]"#)));
        at += step;
    }
    json(format!(
        r#"{{"status":"success","data":{{"resultType":"matrix","result":[{{"metric":{{}},"values":[{}]}}]}}}}"#,
        points.join(",")
    ))
}

/// Refused with this code, in these words.
fn check(url: &str, more: &[&str], code: i32, words: &[&str]) {
    let (got, told) = compare(url, more);
    assert_eq!(got, Some(code), "{told}");
    assert!(told.starts_with("error: "), "{told}");
    for word in words {
        assert!(told.contains(word), "{word}: {told}");
    }
}

fn says(status: u16, headers: &'static str, body: &'static str) -> String {
    Server::new(None, move |_| Reply::Text(status, headers, body.to_owned())).url()
}

#[test]
fn a_server_that_is_no_prometheus_is_told() {
    let html = says(
        200,
        "Content-Type: text/html",
        "<html>\n<title>Sign in</title>",
    );
    check(
        &html,
        &[],
        3,
        &["<html> <title>Sign in</title>", "path prefix"],
    );
    let missing = says(404, "Content-Type: text/plain", "404 page not found");
    check(&missing, &[], 3, &["404 page not found", "path prefix"]);
    let redirects = says(302, "Location: https://login.example/", "");
    check(&redirects, &[], 3, &["redirects to https://login.example/"]);
    let cut = says(
        200,
        "",
        r#"{"status":"success","data":{"resultType":"matrix","resu"#,
    );
    check(&cut, &[], 3, &["EOF"]);
}

#[test]
fn the_servers_own_words_are_passed_on() {
    let text = r#"{"status":"error","errorType":"bad_data","error":"1:3: parse error"}"#;
    let bad = says(400, "Content-Type: application/json", text);
    check(
        &bad,
        &[],
        2,
        &["refused the query `rps`", "bad_data: 1:3: parse error"],
    );
    let locked = says(401, "", "Unauthorized");
    check(
        &locked,
        &[],
        7,
        &["401", "Unauthorized", "--bearer-token-file"],
    );
    let ill = says(503, "", "upstream is away");
    check(&ill, &[], 3, &["503", "upstream is away", "try again"]);
}

#[test]
fn a_server_that_is_away_or_slow_is_not_waited_for() {
    let begin = Instant::now();
    check(
        "http://127.0.0.1:9",
        &[],
        3,
        &["cannot reach http://127.0.0.1:9/"],
    );
    let slow = Server::new(None, |_| Reply::Silence(Duration::from_secs(20)));
    check(
        &slow.url(),
        &["--query-timeout", "300ms"],
        3,
        &["within 0.3 s"],
    );
    assert!(begin.elapsed() < Duration::from_secs(15));
}

#[test]
fn an_empty_answer_is_unknown_and_not_zero() {
    let empty = Server::new(None, |_| {
        json(r#"{"status":"success","data":{"resultType":"matrix","result":[]}}"#)
    });
    check(
        &empty.url(),
        &[],
        4,
        &["no series", "unknown, not zero", "check the metric's name"],
    );
    let nan = Server::new(None, |r| matrix(r, |_| Some("NaN".to_owned())));
    check(&nan.url(), &[], 4, &["no usable value (10 NaN or infinite"]);
}

#[test]
fn several_series_are_named_with_the_mend() {
    let two = Server::new(None, |_| {
        json(
            r#"{"status":"success","data":{"resultType":"matrix","result":[{"metric":{"__name__":"rps","pod":"a"},"values":[]},{"metric":{"__name__":"rps","pod":"b"},"values":[]}]}}"#,
        )
    });
    let words = ["2 series", r#"rps{pod="a"}, rps{pod="b"}"#, "sum(rps)"];
    check(&two.url(), &[], 2, &words);
}

#[test]
fn an_answer_past_the_limit_is_let_go() {
    let flood = Server::new(None, |_| Reply::Flood(60 << 20));
    let patient = ["--query-timeout", "120s"];
    check(&flood.url(), &patient, 2, &["larger than 50 MiB", "sum()"]);
}

#[test]
fn a_missing_step_nan_and_infinity_are_gaps() {
    let holes = |r: &Request| {
        matrix(r, |i| match i {
            3 => None,
            5 => Some("NaN".to_owned()),
            6 => Some("+Inf".to_owned()),
            i => Some(i.to_string()),
        })
    };
    let server = Server::new(None, holes);
    let words = [
        "3 gaps of 10 steps",
        "2026-01-05T00:03:00Z",
        "2 NaN or infinite",
        "--gaps",
    ];
    check(&server.url(), &[], 4, &words);
    let (code, told) = compare(&server.url(), &["--gaps", "hold"]);
    assert_eq!(code, Some(0), "{told}");
    let late = Server::new(None, |r| matrix(r, |i| (i >= 4).then(|| "1".to_owned())));
    check(
        &late.url(),
        &[],
        4,
        &["history begins there; pass --start 2026-01-05T00:04:00Z"],
    );
    let negative = Server::new(None, |r| matrix(r, |i| Some((5 - i).to_string())));
    check(
        &negative.url(),
        &[],
        2,
        &["negative demand at 2026-01-05T00:06:00Z"],
    );
}

#[test]
fn a_sample_that_is_held_too_long_is_a_gap() {
    let dead = Server::new(None, |r| {
        if r.asks_for_time() {
            // The target died at the end of the second minute; its sample is held for five more.
            let last = START + 120;
            let points: Vec<String> = (1..=10)
                .map(|i| format!(r#"[{},"{}"]"#, START + 60 * i, last.min(START + 60 * i)))
                .collect();
            return json(format!(
                r#"{{"status":"success","data":{{"resultType":"matrix","result":[{{"metric":{{}},"values":[{}]}}]}}}}"#,
                points.join(",")
            ));
        }
        matrix(r, |_| Some("7".to_owned()))
    });
    // Two steps are let stand: minutes 3 and 4 do, 5 to 10 are stale.
    check(&dead.url(), &[], 4, &["6 gaps of 10 steps", "6 stale"]);
}

#[test]
fn ranges_beyond_the_limit_are_cut_and_joined() {
    let server = Server::new(None, |r| matrix(r, |i| Some((i + 1).to_string())));
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(
        folder.path().join("s.toml"),
        "[prometheus]\nmax_points = 4\n",
    )
    .unwrap();
    let file = folder.path().join("s.toml").display().to_string();
    let (code, told) = compare(&server.url(), &["--config", &file, "--query-counts"]);
    assert_eq!(code, Some(0), "{told}");
    let asked: Vec<(String, String)> = server
        .seen()
        .iter()
        .filter(|r| !r.asks_for_time())
        .map(|r| (r.parameter("start").unwrap(), r.parameter("end").unwrap()))
        .collect();
    let time = |minute: i64| format!("{}.000", START + 60 * minute);
    let want = [(1, 4), (5, 8), (9, 10)].map(|(a, b)| (time(a), time(b)));
    assert_eq!(asked, want);
}

#[test]
fn warnings_are_passed_on() {
    let server = Server::new(None, |r| {
        let Reply::Text(status, headers, body) = matrix(r, |_| Some("1".to_owned())) else {
            unreachable!("a matrix is a text");
        };
        let body = body.replace(r#"{"status""#, r#"{"warnings":["partial answer"],"status""#);
        Reply::Text(status, headers, body)
    });
    let (code, told) = compare(&server.url(), &[]);
    assert_eq!(code, Some(0), "{told}");
    assert!(
        told.contains("warning: Prometheus: partial answer"),
        "{told}"
    );
}

#[test]
fn a_long_query_goes_into_the_body() {
    let server = Server::new(None, |r| matrix(r, |_| Some("1".to_owned())));
    let long = format!("sum(rps{{pod=~\"{}\"}})", "web-0123456789|".repeat(400));
    let (code, told) = compare(&server.url(), &["--query", &long]);
    // The flag may stand once.
    assert_eq!(code, Some(2), "{told}");
    let folder = tempfile::tempdir().unwrap();
    let args = [
        "compare",
        "--prometheus",
        &server.url(),
        "--query",
        &long,
        "--start",
        "2026-01-05T00:00:00Z",
        "--end",
        "2026-01-05T00:10:00Z",
        "--policies",
        "static",
    ];
    let output = foresail(folder.path(), &args);
    assert_eq!(output.status.code(), Some(0));
    assert!(server.seen().iter().all(|r| r.method == "POST"));
}

#[test]
fn the_token_is_sent_and_never_shown() {
    let server = Server::new(None, |r| {
        if r.authorization.as_deref() == Some("Bearer s3cret-token") {
            matrix(r, |_| Some("1".to_owned()))
        } else {
            Reply::Text(401, "", "who are you".to_owned())
        }
    });
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    std::fs::write(&file, "s3cret-token\n").unwrap();
    let path = file.display().to_string();
    let (code, told) = compare(&server.url(), &["--bearer-token-file", &path]);
    assert_eq!(code, Some(0), "{told}");
    assert!(!told.contains("s3cret"), "{told}");
    std::fs::write(&file, "").unwrap();
    check(
        &server.url(),
        &["--bearer-token-file", &path],
        2,
        &["token", "empty"],
    );
    check(
        &server.url(),
        &["--bearer-token-file", "nowhere"],
        2,
        &["cannot read nowhere"],
    );
}

#[test]
fn http_to_another_machine_needs_a_flag() {
    check(
        "http://prometheus.example:9090",
        &[],
        2,
        &["--plain-http", "https://"],
    );
    check(
        "https://me:s3cret@prometheus.example",
        &[],
        2,
        &["name or password"],
    );
    let (_, told) = compare("https://me:s3cret@prometheus.example", &[]);
    assert!(!told.contains("s3cret"), "{told}");
}

#[test]
fn a_ca_of_ones_own_and_a_client_certificate_are_used() {
    let folder = tempfile::tempdir().unwrap();
    let made = Certificates::new(folder.path());
    let good = |r: &Request| matrix(r, |_| Some("1".to_owned()));
    let (ca, cert, key) = (
        made.file("ca.pem"),
        made.file("client.pem"),
        made.file("client.key"),
    );
    let plain = Server::new(Some(made.server(false)), good);
    let (code, told) = compare(&plain.url(), &["--ca-file", &ca]);
    assert_eq!(code, Some(0), "{told}");
    check(
        &plain.url(),
        &[],
        3,
        &["cannot reach", "ertificate", "--ca-file"],
    );

    let mutual = Server::new(Some(made.server(true)), good);
    let mine = [
        "--ca-file",
        &ca,
        "--client-cert",
        &cert,
        "--client-key",
        &key,
    ];
    let (code, told) = compare(&mutual.url(), &mine);
    assert_eq!(code, Some(0), "{told}");
    check(&mutual.url(), &["--ca-file", &ca], 3, &["cannot reach"]);
    check(
        &mutual.url(),
        &["--ca-file", &key],
        2,
        &["client.key cannot be used"],
    );
}

#[test]
fn bad_flags_are_refused_before_anything_is_asked() {
    let server = Server::new(None, |_| vector(0.0, "1"));
    let url = server.url();
    let folder = tempfile::tempdir().unwrap();
    for (args, word) in [
        (vec!["compare", "--prometheus", &url], "--query"),
        (vec!["compare", "--query", "rps"], "--prometheus URL"),
        (
            vec![
                "compare",
                "--prometheus",
                &url,
                "--query",
                "rps",
                "--start",
                "soon",
            ],
            "RFC 3339",
        ),
        (
            vec![
                "compare",
                "--prometheus",
                &url,
                "--query",
                "rps",
                "--start",
                "now",
            ],
            "--start",
        ),
        (
            vec![
                "compare",
                "--prometheus",
                &url,
                "--query",
                "rps",
                "--step",
                "500ms",
            ],
            "1s or more",
        ),
        (
            vec![
                "compare",
                "--prometheus",
                &url,
                "--query",
                "rps",
                "--start",
                "-9999d",
            ],
            "--step",
        ),
        (
            vec![
                "watch",
                "--prometheus",
                &url,
                "--query",
                "rps",
                "--replicas-query",
                "n",
            ],
            "--capacity",
        ),
        (
            vec![
                "watch",
                "--prometheus",
                &url,
                "--query",
                "a",
                "--replicas-query",
                "n",
                "--capacity",
                "0",
            ],
            "0.001 or more",
        ),
    ] {
        let told = support::refused(folder.path(), &args);
        assert!(told.contains(word), "{word}: {told}");
    }
    assert!(server.seen().is_empty());
}
