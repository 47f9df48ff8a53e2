//! A real Prometheus of a test's own on loopback, with a past where it is given one.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    reason = "each test file uses a part of it, and may fail loudly"
)]

use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long one may take to listen.
const START: Duration = Duration::from_secs(60);

/// A program of Prometheus: from the path, or from where `.ci/run` unpacks the package.
pub fn program(name: &str) -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let unpacked = root.join("target/prometheus/usr/bin").join(name);
    let mut places = [PathBuf::from(name), unpacked].into_iter();
    places.find(|place| {
        let run = Command::new(place).arg("--version").output();
        run.is_ok_and(|output| output.status.success())
    })
}

/// Makes blocks in a folder of a past in OpenMetrics.
pub fn backfill(tool: &Path, folder: &Path, past: &str) {
    std::fs::write(folder.join("past.om"), past).unwrap();
    let words = ["tsdb", "create-blocks-from", "openmetrics"];
    let made = Command::new(tool)
        .args(words)
        .args(["past.om", "data"])
        .current_dir(folder)
        .output()
        .unwrap();
    let error = String::from_utf8_lossy(&made.stderr);
    assert!(made.status.success(), "{error}");
}

/// A server that runs; it ends with this.
pub struct Running {
    pub url: String,
    server: PathBuf,
    folder: PathBuf,
    port: u16,
    child: Child,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Running {
    /// Starts one on a folder that may hold blocks, which does these jobs every `seconds`.
    pub fn start(server: &Path, folder: &Path, seconds: u32, jobs: &[String]) -> Self {
        let every = format!("{{scrape_interval: {seconds}s, scrape_timeout: {seconds}s}}");
        let jobs = jobs.join(", ");
        let settings = format!("global: {every}\nscrape_configs: [{jobs}]\n");
        std::fs::write(folder.join("prometheus.yml"), settings).unwrap();
        // A port that was free a moment ago.
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        Self {
            url: format!("http://127.0.0.1:{port}"),
            child: spawn(server, folder, port),
            server: server.to_owned(),
            folder: folder.to_owned(),
            port,
        }
    }

    /// Ends it at once, as a crash would.
    pub fn stop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Starts it again at the same address, on what it had written.
    pub fn start_again(&mut self) {
        self.child = spawn(&self.server, &self.folder, self.port);
    }
}

/// Starts a server in a folder and waits until it listens.
fn spawn(server: &Path, folder: &Path, port: u16) -> Child {
    let child = Command::new(server)
        .args(["--config.file=prometheus.yml", "--storage.tsdb.path=data"])
        .arg("--storage.tsdb.retention.time=100y")
        .arg(format!("--web.listen-address=127.0.0.1:{port}"))
        .current_dir(folder)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let begin = Instant::now();
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(begin.elapsed() < START, "Prometheus does not listen");
        std::thread::sleep(Duration::from_millis(50));
    }
    child
}
