//! `foresail serve` on flight records: what it shows, what it refuses, and the pages in Chromium.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "tests may fail loudly"
)]

mod support;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use support::{command, refused, root, skipped, stdout};

/// Where a browser is, unless `FORESAIL_CHROMIUM` names another.
const CHROMIUM: &str = "/usr/bin/chromium";

/// A server process that ends with its test.
struct Serving {
    child: Child,
    /// Such as `127.0.0.1:40123`.
    address: String,
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn serve(folder: &Path, records: &[&str]) -> Serving {
    let mut args = vec!["serve"];
    args.extend(records);
    args.extend(["--port", "0"]);
    let mut child = command(folder, &args)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary runs");
    let mut line = String::new();
    let out = child.stdout.take().unwrap();
    BufReader::new(out).read_line(&mut line).unwrap();
    let address = line
        .trim()
        .trim_start_matches("http://")
        .trim_end_matches('/');
    if address.is_empty() {
        let mut told = String::new();
        let _ = child.stderr.take().unwrap().read_to_string(&mut told);
        panic!("no address: {told}");
    }
    Serving {
        address: address.to_owned(),
        child,
    }
}

fn get(address: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

/// Flies a scenario and keeps its record.
fn fly(folder: &Path, scenario: &str, record: &str) {
    let scenario = root().join("scenarios").join(format!("{scenario}.yaml"));
    let args = [
        "simulate",
        scenario.to_str().unwrap(),
        "--policies",
        "predictive-hpa",
        "--record",
        record,
    ];
    stdout(folder, &args, 0);
}

#[test]
fn a_record_is_shown_as_it_was_decided() {
    let folder = tempfile::tempdir().unwrap();
    fly(folder.path(), "bursty", "bursty.jsonl");
    let serving = serve(folder.path(), &["bursty.jsonl"]);
    let answer = get(&serving.address, "/api/v1/objects/scenario/bursty");
    let body = answer.split("\r\n\r\n").nth(1).unwrap();
    let page: serde_json::Value = serde_json::from_str(body).unwrap();
    let text = std::fs::read_to_string(folder.path().join("bursty.jsonl")).unwrap();
    let told = text.lines().rfind(|l| l.starts_with("{\"told\"")).unwrap();
    let told: serde_json::Value = serde_json::from_str(told).unwrap();
    assert_eq!(
        page["decisions"][0]["explanation"], told["told"][0],
        "the last decision"
    );
    let last = &told["told"][0];
    assert_eq!(page["row"]["ready"], last["ready"]);
    assert_eq!(page["row"]["at"], last["at"]);
    assert!(
        page["demand"].as_array().unwrap().len() > 100,
        "demand of every minute"
    );
    let html = get(&serving.address, "/o/scenario/bursty?last=1h");
    assert!(html.contains("HTTP/1.1 200") && html.contains("class=\"waterfall\""));
    assert!(get(&serving.address, "/").contains("href=\"/o/scenario/bursty\""));
}

#[test]
fn a_folder_of_records_is_a_fleet() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("runs")).unwrap();
    fly(folder.path(), "steady", "runs/steady.jsonl.gz");
    fly(folder.path(), "flash-crowd", "runs/crowd.jsonl");
    std::fs::copy(
        folder.path().join("runs/crowd.jsonl"),
        folder.path().join("runs/crowd-again.jsonl"),
    )
    .unwrap();
    let serving = serve(folder.path(), &["runs"]);
    let csv = get(&serving.address, "/api/v1/fleet?format=csv");
    let body = csv.split("\r\n\r\n").nth(1).unwrap();
    let names: Vec<&str> = body
        .lines()
        .skip(1)
        .filter_map(|l| l.split(',').nth(1))
        .collect();
    assert_eq!(names, ["flash-crowd", "flash-crowd (crowd)", "steady"]);
}

#[test]
fn what_is_no_record_is_refused_with_the_mend() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("empty")).unwrap();
    std::fs::write(folder.path().join("no.jsonl"), "{\"v\":9}\n").unwrap();
    let told = refused(folder.path(), &["serve", "absent.jsonl"]);
    assert!(told.contains("absent.jsonl"), "{told}");
    let told = refused(folder.path(), &["serve", "empty"]);
    assert!(told.contains("--record empty/run.jsonl"), "{told}");
    let told = refused(folder.path(), &["serve", "no.jsonl"]);
    assert!(told.contains("no.jsonl, line 1"), "{told}");
    let told = refused(folder.path(), &["serve", "no.jsonl", "--replica-hour=-1"]);
    assert!(told.contains("--replica-hour"), "{told}");
}

/// The browser, or a visible skip.
fn browser(test: &str) -> Option<PathBuf> {
    let named = std::env::var_os("FORESAIL_CHROMIUM").map(PathBuf::from);
    let found = named.unwrap_or_else(|| CHROMIUM.into());
    if found.is_file() {
        return Some(found);
    }
    skipped(
        test,
        "no Chromium (install it, or name it in FORESAIL_CHROMIUM)",
    );
    None
}

/// Loads a page; gives its document after its scripts ran, and what the browser logged.
fn load(browser: &Path, profile: &Path, url: &str) -> (String, String) {
    let output = Command::new(browser)
        .args([
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-dev-shm-usage",
            "--enable-logging=stderr",
            "--dump-dom",
        ])
        .arg(format!("--user-data-dir={}", profile.display()))
        .arg(url)
        .output()
        .expect("the browser runs");
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    (text(output.stdout), text(output.stderr))
}

/// A record in which every name is hostile: that of a real one, with the target renamed.
fn rename(record: &str, name: &str) -> String {
    let was = serde_json::to_string("scenario/Deployment/steady").unwrap();
    let is = serde_json::to_string(&format!("{name}/Deployment/{name}")).unwrap();
    record.replace(&was, &is)
}

#[test]
fn in_a_browser_scripts_run_and_nothing_else_does() {
    let Some(browser) = browser("in_a_browser_scripts_run_and_nothing_else_does") else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    fly(folder.path(), "steady", "steady.jsonl");
    let record = std::fs::read_to_string(folder.path().join("steady.jsonl")).unwrap();
    // A head, and the first decisions: a record that was cut is shown with a warning.
    let short: Vec<&str> = record.lines().take(40).collect();
    let corpus = std::fs::read_to_string(root().join("tests/golden/serve/hostile.json")).unwrap();
    let corpus: Vec<String> = serde_json::from_str(&corpus).unwrap();
    std::fs::create_dir(folder.path().join("runs")).unwrap();
    for (i, name) in corpus
        .iter()
        .enumerate()
        .filter(|(_, n)| !n.contains('/') && !n.is_empty())
    {
        let path = folder.path().join(format!("runs/{i:03}.jsonl"));
        std::fs::write(path, rename(&short.join("\n"), name)).unwrap();
    }
    let serving = serve(folder.path(), &["runs"]);
    let profile = folder.path().join("profile");
    let fleet = get(&serving.address, "/api/v1/fleet");
    let fleet: serde_json::Value =
        serde_json::from_str(fleet.split("\r\n\r\n").nth(1).unwrap()).unwrap();
    let rows = fleet["rows"].as_array().unwrap();
    assert!(rows.len() > 90, "{} hostile names are served", rows.len());
    let html = get(&serving.address, "/?rows=1000");
    let links = html
        .split("class=\"open\" href=\"")
        .skip(1)
        .filter_map(|r| r.split('"').next());
    let mut paths = vec!["/?rows=1000".to_owned()];
    paths.extend(links.step_by(23).map(str::to_owned));
    for path in paths {
        let (document, log) = load(
            &browser,
            &profile,
            &format!("http://{}{path}", serving.address),
        );
        assert!(
            document.contains("data-script=\"ran\""),
            "{path}: the page's script did not run: {log}"
        );
        for word in [
            "Content Security Policy",
            "Refused to",
            "TrustedHTML",
            "Uncaught",
        ] {
            assert!(!log.contains(word), "{path}: {word}: {log}");
        }
        let main = document.split("<main").nth(1).unwrap();
        for tag in [
            "<script",
            "<iframe",
            "<img",
            "<object",
            "<style",
            "onerror=\"",
            "onload=\"",
        ] {
            assert!(!main.contains(tag), "{path}: {tag}");
        }
    }
}
