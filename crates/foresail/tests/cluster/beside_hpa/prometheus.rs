//! A Prometheus with a past, that scrapes the control plane's exporter.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::rig::{Rig, repository, wait_until};

/// A server that runs; it ends with this.
pub struct Prometheus {
    pub url: String,
    server: PathBuf,
    folder: PathBuf,
    port: u16,
    child: Child,
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        self.stop();
    }
}

/// A program of Prometheus: from the path, or from where `.ci/run` unpacks the package.
fn program(name: &str) -> Option<PathBuf> {
    let unpacked = repository().join("target/prometheus/usr/bin").join(name);
    let mut places = [PathBuf::from(name), unpacked].into_iter();
    places.find(|place| {
        let run = Command::new(place).arg("--version").output();
        run.is_ok_and(|output| output.status.success())
    })
}

impl Prometheus {
    /// Starts one that knows this past, in OpenMetrics; `None`, and a visible skip, where it is not
    /// installed.
    pub fn start(rig: &Rig, past: &str) -> Option<Self> {
        Self::start_in(rig, "prometheus", past)
    }

    /// The same in another folder of the rig's, so that several may run.
    pub fn start_in(rig: &Rig, folder: &str, past: &str) -> Option<Self> {
        Self::with_past(rig, folder, past, &["/metrics"])
    }

    /// Starts one that knows this past and scrapes demand and what containers use.
    pub fn of_both(rig: &Rig, name: &str, past: &str) -> Option<Self> {
        let folder = format!("prometheus-{name}");
        Self::with_past(rig, &folder, past, &["/metrics", "/containers"])
    }

    fn with_past(rig: &Rig, folder: &str, past: &str, paths: &[&str]) -> Option<Self> {
        let (Some(server), Some(tool)) = (program("prometheus"), program("promtool")) else {
            crate::skip("cluster tests with a past: prometheus and promtool are not installed");
            return None;
        };
        let folder = rig.folder.join(folder);
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("past.om"), past).unwrap();
        let made = Command::new(tool)
            .args([
                "tsdb",
                "create-blocks-from",
                "openmetrics",
                "past.om",
                "data",
            ])
            .current_dir(&folder)
            .output()
            .unwrap();
        let error = String::from_utf8_lossy(&made.stderr);
        assert!(made.status.success(), "{error}");
        let scraped = rig.exporter().replace("http://", "");
        let job = |path: &&str| {
            format!(
                "{{job_name: rig{}, metrics_path: {path}, static_configs: [{{targets: ['{scraped}']}}]}}",
                path.replace('/', "-")
            )
        };
        let jobs: Vec<String> = paths.iter().map(job).collect();
        Some(Self::serve(server, folder, &jobs.join(", ")))
    }

    /// Starts one that scrapes what containers use; `None`, and a visible skip, where it is not
    /// installed.
    pub fn of_containers(rig: &Rig, name: &str) -> Option<Self> {
        let Some(server) = program("prometheus") else {
            crate::skip(&format!("{name}: prometheus is not installed"));
            return None;
        };
        let folder = rig.folder.join(format!("prometheus-{name}"));
        std::fs::create_dir_all(&folder).unwrap();
        let scraped = rig.exporter().replace("http://", "");
        let job = format!(
            "{{job_name: rig, metrics_path: /containers, static_configs: [{{targets: ['{scraped}']}}]}}"
        );
        Some(Self::serve(server, folder, &job))
    }

    fn serve(server: PathBuf, folder: PathBuf, job: &str) -> Self {
        let settings = format!(
            "global: {{scrape_interval: 2s, scrape_timeout: 2s}}\nscrape_configs: [{job}]\n"
        );
        std::fs::write(folder.join("prometheus.yml"), settings).unwrap();
        let port = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let child = spawn(&server, &folder, port);
        Self {
            url: format!("http://127.0.0.1:{port}"),
            server,
            folder,
            port,
            child,
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
    wait_until(Duration::from_secs(60), "Prometheus is ready", || {
        std::net::TcpStream::connect(("127.0.0.1", port)).ok()
    });
    child
}
