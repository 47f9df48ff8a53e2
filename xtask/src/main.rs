//! The project's own tooling: `cargo xtask test`, and what it is made of.
#![allow(clippy::print_stdout, reason = "printing is what this program is for")]

mod cluster;
mod linked;
mod mask;
mod steps;
mod tidy;
mod verify;

use std::process::ExitCode;

use anyhow::Result;

/// One command: its name, what it does, and its function; the answer says whether all is well.
type Command = (&'static str, &'static str, fn(&[String]) -> Result<bool>);

const COMMANDS: [Command; 9] = [
    (
        "test",
        "style, build, every test; --quick for style and core alone",
        steps::test,
    ),
    (
        "tidy",
        "arrows, purity, words, file heads; prints hints on sizes",
        tidy::run,
    ),
    (
        "test-cluster",
        "the tests that need a Kubernetes control plane, which it builds where Go is there",
        cluster::test,
    ),
    (
        "cluster",
        "the control plane of those tests by hand: build, path, up [DIR], down [DIR], status [DIR]",
        cluster::cluster,
    ),
    (
        "static",
        "the image's binary, and whether it needs no library: --profile NAME",
        linked::run,
    ),
    ("measure", "the worst ten of each size", tidy::measure),
    (
        "golden",
        "compare pinned outputs; --bless rewrites them, --verify runs the references again",
        steps::golden,
    ),
    (
        "soak",
        "random specs and knobs over many seeds: --seeds N",
        steps::soak,
    ),
    (
        "bench",
        "every benchmark, printed; never fails on a figure",
        steps::bench,
    ),
];

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let name = args.first().map_or("", String::as_str);
    let Some((_, _, run)) = COMMANDS.iter().find(|(known, ..)| *known == name) else {
        eprintln!("usage: cargo xtask COMMAND");
        for (known, about, _) in COMMANDS {
            eprintln!("  {known:<8} {about}");
        }
        return ExitCode::from(2);
    };
    match run(&args[1..]) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(2)
        }
    }
}
