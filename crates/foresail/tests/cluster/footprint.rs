//! What a process takes of the machine, by /proc.

use std::fs;

/// Files, connections, threads and memory of one process.
#[derive(Clone, Copy, Debug)]
pub struct Footprint {
    /// Descriptors that are no connection.
    pub files: usize,
    pub sockets: usize,
    pub threads: usize,
    pub memory_kib: u64,
}

impl Footprint {
    pub fn of(pid: u32) -> Self {
        let count = |what: &str| fs::read_dir(format!("/proc/{pid}/{what}")).unwrap().count();
        let links = fs::read_dir(format!("/proc/{pid}/fd")).unwrap().flatten();
        let sockets = links.filter(|entry| {
            // One that is closed meanwhile is none.
            let to = fs::read_link(entry.path()).unwrap_or_default();
            to.to_string_lossy().starts_with("socket:")
        });
        let sockets = sockets.count();
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:"));
        let memory = line.and_then(|l| l.split_whitespace().next()?.parse().ok());
        Self {
            files: count("fd").saturating_sub(sockets),
            sockets,
            threads: count("task"),
            memory_kib: memory.unwrap_or(0),
        }
    }
}
