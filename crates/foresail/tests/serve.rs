//! The server of the live pages, asked over real sockets: routes with their headers, names, methods,
//! sizes, places, tokens; and a cluster that checks tokens.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "tests may fail loudly"
)]

mod support;

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use foresail::serve::authorize::Answer;
use foresail::serve::token_review::TokenReviewer;
use foresail::serve::{self, Authorizer, Denied, Limits, Options};
use foresail_core::explain::Explanation;
use foresail_core::quantity::time::Timestamp;
use foresail_web::live::{Keeping, LiveObject, LiveSource, LiveStore, Seen};
use serde_json::json;
use support::golden;

/// A server that ends with its test.
struct Server {
    address: SocketAddr,
    store: Arc<LiveStore>,
    end: Option<tokio::sync::oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.end.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn server(store: LiveStore, options: Options) -> Server {
    let store = Arc::new(store);
    let source: Arc<dyn LiveSource> = Arc::clone(&store) as Arc<dyn LiveSource>;
    let (end, ended) = tokio::sync::oneshot::channel::<()>();
    let (told, address) = std::sync::mpsc::channel();
    let thread = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async move {
            let bound = serve::bind(options).await.unwrap();
            told.send(bound.address).unwrap();
            let ended = async {
                let _ = ended.await;
            };
            bound.serve(source, ended).await;
        });
    });
    Server {
        address: address.recv().unwrap(),
        store,
        end: Some(end),
        thread: Some(thread),
    }
}

fn free() -> Options {
    Options {
        port: 0,
        ..Options::default()
    }
}

fn explanation(namespace: &str, name: &str, number: i64) -> Explanation {
    let value = json!({
        "v": 1, "id": format!("u/1/1/{number}"), "inputs": null,
        "at": Timestamp::from_seconds(1_769_890_200 + 15 * number),
        "target": format!("{namespace}/Deployment/{name}"),
        "mode": "Auto", "health": "Predict", "sampleAgeSeconds": 3,
        "current": {"replicas": "4"}, "ready": 4, "incumbent": null,
        "proposals": [{"by": "predictive", "wish": {"replicas": "7"}, "shape": [], "interval": null,
            "confidencePercent": 90, "gate": null,
            "basis": {"forecaster": "auto", "demand": "884 req/s", "levelPercent": 90,
                "horizonSeconds": 60, "capacity": "100 req/s", "coveragePercent": 91}}],
        "chosenBy": "predictive", "reactive": 5, "wanted": {"replicas": "7"}, "limits": [],
        "decided": {"replicas": format!("{}", 4 + number % 4)}, "outcome": null,
    });
    serde_json::from_value(value).expect("an explanation")
}

fn store(objects: &[(&str, &str)]) -> LiveStore {
    let store = LiveStore::new("test");
    for (namespace, name) in objects {
        let mut object = LiveObject::new(namespace, name, Keeping::CONTROLLER);
        for number in 0..60 {
            let told = explanation(namespace, name, number);
            let demand = vec![(told.at, 500.0 + number as f64)];
            let seen = Seen {
                demand,
                ..Seen::default()
            };
            object.push(told, &seen);
        }
        store.put(object);
    }
    store
}

/// Sends bytes and reads the answer to its end.
fn send(address: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(30)))
        .unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

fn get(address: SocketAddr, path: &str, headers: &str) -> String {
    let host = format!("localhost:{}", address.port());
    send(
        address,
        &format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{headers}\r\n"),
    )
}

fn status(answer: &str) -> u16 {
    let word = answer.split(' ').nth(1);
    word.and_then(|s| s.parse().ok())
        .unwrap_or_else(|| panic!("no answer: {answer:?}"))
}

fn head(answer: &str) -> &str {
    answer.split("\r\n\r\n").next().unwrap_or_default()
}

/// The head of an answer without what changes from run to run.
fn steady(answer: &str) -> String {
    let lines = head(answer).split("\r\n").filter(|l| {
        let name = l.split(':').next().unwrap_or_default().to_lowercase();
        !matches!(
            name.as_str(),
            "date" | "content-length" | "etag" | "connection"
        )
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn each_route_has_its_headers() {
    let server = server(store(&[("shop", "web")]), free());
    let mut told = String::new();
    for path in [
        "/",
        "/o/shop/web",
        "/o/shop/none",
        "/nothing",
        "/api/v1/fleet",
        "/api/v1/fleet?format=csv",
        "/api/v1/revision",
        "/api/v1/objects/shop/web",
        "/api/v1/objects/shop/web?format=csv",
        "/api/v1/objects/shop/web/demand.svg",
        "/api/v1/objects/shop/none",
        "/assets/app.js",
        "/assets/style.css",
        "/healthz",
    ] {
        let answer = get(server.address, path, "");
        told += &format!("GET {path}\n{}\n\n", steady(&answer));
    }
    let stream = send(
        server.address,
        "HEAD /events HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
    );
    told += &format!("HEAD /events\n{}\n", steady(&stream));
    golden("serve/headers.txt", &told);
}

#[test]
fn only_a_known_name_and_only_reading_is_answered() {
    let server = server(store(&[("shop", "web")]), free());
    let ask = |line: &str, host: &str, rest: &str| {
        let request = format!("{line} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{rest}\r\n");
        send(server.address, &request)
    };
    assert_eq!(status(&ask("GET /", "localhost", "")), 200);
    let rebound = ask("GET /api/v1/fleet", "evil.example", "");
    assert_eq!(status(&rebound), 421);
    assert!(!rebound.contains("web"), "{rebound}");
    assert_eq!(status(&ask("GET /healthz", "10.1.2.3:8088", "")), 200);
    for method in ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "XYZ"] {
        let answer = ask(&format!("{method} /"), "localhost", "Content-Length: 0\r\n");
        assert_eq!(status(&answer), 405, "{method}");
        assert!(answer.contains("allow: GET, HEAD"), "{answer}");
    }
    let with_head = ask("HEAD /", "localhost", "");
    assert_eq!(status(&with_head), 200);
    assert!(with_head.ends_with("\r\n\r\n"), "HEAD has no body");
}

#[test]
fn a_client_that_has_the_script_gets_it_not_again() {
    let server = server(store(&[("shop", "web")]), free());
    let first = get(server.address, "/assets/app.js", "");
    let mark = head(&first)
        .lines()
        .find_map(|l| l.strip_prefix("etag: "))
        .unwrap()
        .trim();
    let again = get(
        server.address,
        "/assets/app.js",
        &format!("If-None-Match: {mark}\r\n"),
    );
    assert_eq!(status(&again), 304);
    assert!(again.ends_with("\r\n\r\n"));
    let other = get(server.address, "/assets/app.js", "If-None-Match: \"x\"\r\n");
    assert_eq!(status(&other), 200);
    assert!(
        !head(&get(server.address, "/", "")).contains("etag"),
        "a page is kept nowhere"
    );
}

#[test]
fn what_is_too_large_or_too_slow_ends() {
    let limits = Limits {
        header: Duration::from_millis(300),
        body_time: Duration::from_millis(300),
        ..Limits::default()
    };
    let server = server(store(&[("shop", "web")]), Options { limits, ..free() });
    let body = |bytes: usize| {
        let request = format!(
            "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {bytes}\r\n\r\n"
        );
        send(server.address, &(request + &"x".repeat(bytes)))
    };
    assert_eq!(status(&body(64 << 10)), 200, "at the limit");
    assert_eq!(status(&body((64 << 10) + 1)), 413, "one byte more");
    let slow = send(
        server.address,
        "GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\nx",
    );
    assert_eq!(status(&slow), 408);
    let begun = Instant::now();
    let never = send(server.address, "GET / HTTP/1.1\r\nHost: loc");
    assert!(never.is_empty() || status(&never) >= 400, "{never}");
    assert!(
        begun.elapsed() < Duration::from_secs(20),
        "a head that never ends holds a place"
    );
    let long = format!(
        "GET / HTTP/1.1\r\nHost: localhost\r\nX: {}\r\n\r\n",
        "x".repeat(64 << 10)
    );
    assert_eq!(status(&send(server.address, &long)), 431);
    assert_eq!(
        status(&get(server.address, "/", "")),
        200,
        "others are answered all the while"
    );
}

/// Opens an event stream and reads until `wanted` stands in it.
fn stream(address: SocketAddr, wanted: &str) -> (TcpStream, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    stream
        .write_all(b"GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n")
        .unwrap();
    let text = until(&mut stream, wanted);
    (stream, text)
}

fn until(stream: &mut TcpStream, wanted: &str) -> String {
    let mut text = String::new();
    let mut bytes = [0_u8; 4096];
    while !text.contains(wanted) {
        let count = stream.read(&mut bytes).unwrap();
        assert!(count > 0, "the stream ended: {text}");
        text += &String::from_utf8_lossy(&bytes[..count]);
    }
    text
}

#[test]
fn a_stream_tells_of_changes_and_a_client_has_four() {
    let server = server(store(&[("shop", "web")]), free());
    let mut open: Vec<TcpStream> = (0..4)
        .map(|_| stream(server.address, "data: 1\n").0)
        .collect();
    let fifth = get(server.address, "/events", "");
    assert_eq!(status(&fifth), 429);
    server
        .store
        .put(LiveObject::new("shop", "other", Keeping::CONTROLLER));
    for stream in &mut open {
        assert!(until(stream, "data: 2\n").contains("event: revision"));
    }
    open.pop();
    // The server sees the end of a stream when it next looks.
    let begun = Instant::now();
    let again = loop {
        let mut again = TcpStream::connect(server.address).unwrap();
        again
            .write_all(b"GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n")
            .unwrap();
        let answer = until(&mut again, "\r\n\r\n");
        if status(&answer) == 200 || begun.elapsed() > Duration::from_secs(20) {
            break status(&answer);
        }
    };
    assert_eq!(again, 200, "a place is given back");
}

#[test]
fn there_are_so_many_places_and_no_more() {
    let limits = Limits {
        connections: 3,
        ..Limits::default()
    };
    let server = server(store(&[("shop", "web")]), Options { limits, ..free() });
    let mut open: Vec<TcpStream> = (0..3).map(|_| stream(server.address, "data: ").0).collect();
    let mut turned = TcpStream::connect(server.address).unwrap();
    turned
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    let _ = turned.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
    let mut bytes = Vec::new();
    let _ = turned.read_to_end(&mut bytes);
    assert!(bytes.is_empty(), "{}", String::from_utf8_lossy(&bytes));
    open.clear();
    let begun = Instant::now();
    while send(server.address, "GET /healthz HTTP/1.0\r\n\r\n").is_empty() {
        assert!(
            begun.elapsed() < Duration::from_secs(20),
            "places are given back"
        );
    }
}

#[test]
fn an_address_that_others_can_reach_needs_checked_tokens() {
    let open = Options {
        bind: "0.0.0.0".parse().unwrap(),
        ..free()
    };
    let error = open.check().unwrap_err().to_string();
    assert!(error.contains("--auth tokenreview"), "{error}");
    let folder = tempfile::tempdir().unwrap();
    let refused = support::refused(folder.path(), &["serve", "x.jsonl", "--bind", "0.0.0.0"]);
    assert!(refused.contains("--bind 0.0.0.0"), "{refused}");
}

/// Knows two tokens and counts what it is asked.
#[derive(Default)]
struct Known(AtomicUsize);

impl Authorizer for Known {
    fn allow<'a>(&'a self, token: &'a str, namespace: &'a str) -> Answer<'a, Result<bool, Denied>> {
        self.0.fetch_add(1, Ordering::SeqCst);
        Box::pin(async move {
            match token {
                "all" => Ok(true),
                "shop" => Ok(namespace == "shop"),
                "away" => Err(Denied::Unreachable),
                _ => Err(Denied::Unknown),
            }
        })
    }
}

#[test]
fn a_token_sees_its_namespaces_and_no_token_sees_nothing() {
    let known = Arc::new(Known::default());
    let options = Options {
        authorizer: Some(Arc::clone(&known) as Arc<dyn Authorizer>),
        ..free()
    };
    let server = server(store(&[("shop", "web"), ("bank", "vault")]), options);
    let ask = |path: &str, token: &str| {
        get(
            server.address,
            path,
            &format!("Authorization: Bearer {token}\r\n"),
        )
    };
    for path in [
        "/",
        "/o/shop/web",
        "/api/v1/fleet",
        "/api/v1/objects/bank/vault",
        "/api/v1/revision",
        "/events",
    ] {
        let bare = get(server.address, path, "");
        assert_eq!(status(&bare), 401, "{path}");
        assert!(bare.contains("www-authenticate: Bearer"), "{bare}");
        assert!(!bare.contains("vault"), "{path}");
        assert_eq!(status(&ask(path, "nobody")), 401, "{path}");
        assert_eq!(status(&ask(path, "away")), 503, "{path}");
    }
    assert!(ask("/api/v1/fleet", "all").contains("vault"));
    let cut = ask("/api/v1/fleet", "shop");
    assert!(cut.contains("\"web\"") && !cut.contains("vault"), "{cut}");
    assert_eq!(status(&ask("/o/bank/vault", "shop")), 404);
    assert_eq!(status(&ask("/o/shop/web", "shop")), 200);
    assert_eq!(status(&get(server.address, "/healthz", "")), 200);
    assert!(known.0.load(Ordering::SeqCst) > 0);
}

/// Requests that a cluster was asked, by path.
type Asked = Arc<Mutex<BTreeMap<String, usize>>>;

/// A cluster that knows the token `good` as a user who may see the namespace `shop`.
fn cluster() -> (kube::Client, Asked) {
    let asked: Asked = Arc::default();
    let counted = Arc::clone(&asked);
    let service = tower::service_fn(move |request: http::Request<kube::client::Body>| {
        let counted = Arc::clone(&counted);
        async move {
            let path = request.uri().path().to_owned();
            *counted.lock().unwrap().entry(path.clone()).or_default() += 1;
            let bytes = request.into_body().collect_bytes().await?;
            let mut value: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
            if path.ends_with("/tokenreviews") {
                let good = value["spec"]["token"] == "good";
                value["status"] = if good {
                    json!({"authenticated": true, "user": {"username": "ann", "groups": ["dev"], "uid": "1"}})
                } else {
                    json!({"authenticated": false})
                };
            } else {
                let spec = &value["spec"];
                assert_eq!(
                    (&spec["user"], &spec["groups"][0]),
                    (&json!("ann"), &json!("dev"))
                );
                let what = &spec["resourceAttributes"];
                assert_eq!(what["resource"], "predictiveautoscalers");
                assert_eq!(what["verb"], "get");
                value["status"] = json!({"allowed": what["namespace"] == "shop"});
            }
            let body = kube::client::Body::from(serde_json::to_vec(&value).unwrap());
            Ok::<_, kube::Error>(http::Response::builder().status(201).body(body).unwrap())
        }
    });
    (kube::Client::new(service, "default"), asked)
}

#[tokio::test]
async fn a_cluster_is_asked_once_a_minute() {
    let (client, asked) = cluster();
    let reviewer = TokenReviewer::new(client);
    for _ in 0..5 {
        assert_eq!(reviewer.allow("good", "shop").await, Ok(true));
        assert_eq!(reviewer.allow("good", "bank").await, Ok(false));
        assert_eq!(reviewer.allow("good", "").await, Ok(false));
        assert_eq!(reviewer.allow("bad", "shop").await, Err(Denied::Unknown));
    }
    let asked = asked.lock().unwrap();
    let count = |end: &str| -> usize {
        let found = asked.iter().filter(|(path, _)| path.ends_with(end));
        found.map(|(_, n)| *n).sum()
    };
    assert_eq!(
        (count("/tokenreviews"), count("/subjectaccessreviews")),
        (2, 3),
        "{asked:?}"
    );
    assert!(
        !format!("{reviewer:?}").contains("good"),
        "no token in what is printed"
    );
}

#[tokio::test]
async fn a_cluster_that_does_not_answer_lets_nobody_in() {
    let service = tower::service_fn(|_: http::Request<kube::client::Body>| async move {
        let body = kube::client::Body::from(b"{}".to_vec());
        Ok::<_, kube::Error>(http::Response::builder().status(500).body(body).unwrap())
    });
    let reviewer = TokenReviewer::new(kube::Client::new(service, "default"));
    assert_eq!(
        reviewer.allow("good", "shop").await,
        Err(Denied::Unreachable)
    );
}

#[test]
fn a_thousand_objects_are_shown() {
    let names: Vec<String> = (0..1000).map(|i| format!("web-{i:04}")).collect();
    let objects: Vec<(&str, &str)> = names.iter().map(|n| ("shop", n.as_str())).collect();
    let server = server(store(&objects), free());
    for (what, path) in [("a page of 100", "/"), ("all 1,000 rows", "/?rows=1000")] {
        let mut times: Vec<f64> = Vec::new();
        for i in 0..20 {
            // Each second time something has changed, and the fleet is made anew.
            if i % 2 == 0 {
                let told = explanation("shop", "web-0000", 100 + i);
                let begin = || LiveObject::new("shop", "web-0000", Keeping::CONTROLLER);
                server.store.update("shop", "web-0000", begin, |o| {
                    o.push(told, &Seen::default());
                });
            }
            let begun = Instant::now();
            let answer = get(server.address, path, "");
            times.push(begun.elapsed().as_secs_f64() * 1e3);
            assert_eq!(status(&answer), 200);
            assert!(answer.contains("web-0000") && answer.ends_with("</html>\n"));
        }
        times.sort_by(f64::total_cmp);
        println!(
            "fleet of 1,000 objects, {what}: p50 {:.1} ms, p95 {:.1} ms",
            times[9], times[18]
        );
    }
}
