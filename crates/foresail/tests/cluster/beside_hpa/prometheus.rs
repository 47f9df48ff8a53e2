//! A Prometheus with a past, that scrapes the control plane's exporter.

use std::path::{Path, PathBuf};

use crate::rig::Rig;
use real::{Running, backfill, program};

#[path = "../../support/prometheus.rs"]
mod real;

/// A server that runs; it ends with this.
pub struct Prometheus(Running);

impl std::ops::Deref for Prometheus {
    type Target = Running;

    fn deref(&self) -> &Running {
        &self.0
    }
}

impl std::ops::DerefMut for Prometheus {
    fn deref_mut(&mut self) -> &mut Running {
        &mut self.0
    }
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
        let folder = made(rig, folder);
        backfill(&tool, &folder, past);
        Some(Self::of(rig, &server, &folder, paths))
    }

    /// Starts one that scrapes what containers use; `None`, and a visible skip, where it is not
    /// installed.
    pub fn of_containers(rig: &Rig, name: &str) -> Option<Self> {
        let Some(server) = program("prometheus") else {
            crate::skip(&format!("{name}: prometheus is not installed"));
            return None;
        };
        let folder = made(rig, &format!("prometheus-{name}"));
        Some(Self::of(rig, &server, &folder, &["/containers"]))
    }

    /// Scrapes these pages of the exporter.
    fn of(rig: &Rig, server: &Path, folder: &Path, pages: &[&str]) -> Self {
        let scraped = rig.exporter().replace("http://", "");
        let job = |page: &&str| {
            format!(
                "{{job_name: rig{}, metrics_path: {page}, static_configs: [{{targets: ['{scraped}']}}]}}",
                page.replace('/', "-")
            )
        };
        let jobs: Vec<String> = pages.iter().map(job).collect();
        Self(Running::start(server, folder, 2, &jobs))
    }
}

fn made(rig: &Rig, folder: &str) -> PathBuf {
    let folder = rig.folder.join(folder);
    std::fs::create_dir_all(&folder).unwrap();
    folder
}
