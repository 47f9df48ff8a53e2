//! Progress on stderr: a bar on a terminal, nothing elsewhere.

use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

/// A bar that counts.
#[derive(Debug)]
pub struct Bar(ProgressBar);

/// A bar of `length` runs; it is hidden where stderr is no terminal or `CI` or `TERM=dumb` is set.
#[must_use]
pub fn bar(length: u64, verb: &'static str) -> Bar {
    counted(length, verb, "runs")
}

/// The same for things of another name.
#[must_use]
pub fn counted(length: u64, verb: &'static str, noun: &str) -> Bar {
    let dumb = std::env::var("TERM").is_ok_and(|t| t == "dumb") || std::env::var_os("CI").is_some();
    if dumb || !std::io::stderr().is_terminal() {
        return Bar(ProgressBar::hidden());
    }
    let bar = ProgressBar::new(length);
    let template =
        format!("{{prefix:>12}} [{{bar:30}}] {{pos}}/{{len}} {noun}  {{elapsed}}  {{msg}}");
    if let Ok(style) = ProgressStyle::with_template(&template) {
        bar.set_style(style.progress_chars("=> "));
    }
    bar.set_prefix(verb);
    bar.enable_steady_tick(Duration::from_millis(200));
    Bar(bar)
}

impl Bar {
    /// One run is done.
    pub fn step(&self, what: &str) {
        self.0.set_message(what.to_owned());
        self.0.inc(1);
    }

    /// All are done.
    pub fn finish(&self) {
        self.0.finish_and_clear();
    }
}
