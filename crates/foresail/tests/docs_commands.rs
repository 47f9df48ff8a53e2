//! Every command that the documents show is one that the binary knows, with flags that it takes.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "tests may fail loudly"
)]

mod support;

use std::path::PathBuf;

use support::{foresail, root};

fn documents() -> Vec<PathBuf> {
    let docs = std::fs::read_dir(root().join("docs")).unwrap();
    let pages = docs
        .map(|e| e.unwrap().path())
        .filter(|p| p.extension().is_some_and(|e| e == "md"));
    pages
        .chain(["README.md", "CONTRIBUTING.md", "ARCHITECTURE.md"].map(|f| root().join(f)))
        .collect()
}

/// Commands in a text: what follows `foresail ` in code, or `cargo run --release -- `.
fn commands(text: &str) -> Vec<Vec<String>> {
    let spans = text.split('`').skip(1).step_by(2);
    let blocks = text.lines().filter_map(|l| l.strip_prefix("    "));
    let all = spans.chain(blocks);
    let known = ["foresail ", "cargo run --release -- "];
    let found = all.filter_map(|code| known.iter().find_map(|k| code.trim().strip_prefix(k)));
    found
        .map(|c| c.split_whitespace().map(str::to_owned).collect())
        .collect()
}

#[test]
fn every_command_and_flag_in_the_documents_exists() {
    let folder = tempfile::tempdir().unwrap();
    let mut seen = 0;
    for page in documents() {
        for mut words in commands(&std::fs::read_to_string(&page).unwrap()) {
            // What a pipe leads to is another program.
            let own = words.iter().position(|w| *w == "|");
            words.truncate(own.unwrap_or(words.len()));
            let verbs: Vec<&str> = words
                .iter()
                .map(|w| w.trim_end_matches([',', '.', ';']))
                .take_while(|w| {
                    // A flag begins with what a study's name may hold inside.
                    let letter = |c: char| c.is_ascii_lowercase() || c == '-';
                    !w.is_empty() && !w.starts_with('-') && w.chars().all(letter)
                })
                .collect();
            let Some(first) = verbs.first() else { continue };
            let nested = matches!(
                *first,
                "trace"
                    | "conformance"
                    | "config"
                    | "study"
                    | "forecast"
                    | "classify"
                    | "aquatope"
                    | "aware"
                    | "migrate"
                    | "stress"
            );
            let mut args: Vec<&str> = verbs
                .iter()
                .copied()
                .take(if nested { 2 } else { 1 })
                .collect();
            args.push("--help");
            let output = foresail(folder.path(), &args);
            let place = format!("{}: {}", page.display(), words.join(" "));
            assert!(output.status.success(), "{place}");
            let help = String::from_utf8_lossy(&output.stdout).into_owned();
            for flag in words.iter().filter(|w| w.starts_with("--")) {
                let flag = flag.split(['=', ',']).next().unwrap_or(flag);
                assert!(help.contains(flag), "{place}: {flag}");
            }
            seen += 1;
        }
    }
    assert!(seen > 15, "only {seen} commands were found");
}
