//! What a process uses, as the kernel tells it.

use std::fs;
use std::time::Duration;

/// Ticks a second of `utime` and `stime`: 100 on every Linux.
const TICKS: f64 = 100.0;

fn file(pid: u32, name: &str) -> String {
    fs::read_to_string(format!("/proc/{pid}/{name}")).unwrap_or_default()
}

/// CPU time of a process and its threads, user and system.
pub fn cpu(pid: u32) -> Duration {
    let stat = file(pid, "stat");
    // The name may hold spaces; what follows its bracket does not.
    let rest = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let ticks: u64 = rest
        .split_whitespace()
        .skip(11)
        .take(2)
        .filter_map(|t| t.parse::<u64>().ok())
        .sum();
    Duration::from_secs_f64(ticks as f64 / TICKS)
}

/// A field of `/proc/PID/status` in KiB, shown as MiB: `VmRSS`, `VmHWM`.
pub fn memory_mib(pid: u32, field: &str) -> f64 {
    let status = file(pid, "status");
    let line = status.lines().find_map(|l| l.strip_prefix(field));
    let number = line.and_then(|l| l.trim_start_matches(':').split_whitespace().next());
    number.and_then(|n| n.parse::<f64>().ok()).unwrap_or(0.0) / 1024.0
}

/// Runnable tasks of the whole machine, mean of a minute.
pub fn load() -> f64 {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let first = text.split_whitespace().next();
    first.and_then(|n| n.parse().ok()).unwrap_or(0.0)
}

/// Time that a process's tasks waited for a core although they could run, of all its threads.
pub fn waited(pid: u32) -> Duration {
    let tasks = fs::read_dir(format!("/proc/{pid}/task"));
    let of = |entry: fs::DirEntry| {
        let text = fs::read_to_string(entry.path().join("schedstat")).ok()?;
        text.split_whitespace().nth(1)?.parse::<u64>().ok()
    };
    let all = tasks.into_iter().flatten().flatten().filter_map(of);
    Duration::from_nanos(all.sum())
}
