//! The binary: parses the command line, runs the command, prints one error at most.

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;
use foresail::cli::{self, Cli, dashes};
use foresail::exit::{Code, code_of};

fn main() -> ExitCode {
    // Without a handler an interrupt ends the process too, it only leaves its temporary files.
    let _ = ctrlc::set_handler(interrupted);
    let cli = Cli::parse_from(dashes::flags(std::env::args_os()));
    let stdout = std::io::stdout();
    let mut out = std::io::BufWriter::new(stdout.lock());
    let result = cli::run(cli, &mut out).and_then(|code| {
        out.flush()?;
        Ok(code)
    });
    match result {
        Ok(code) => code.into(),
        Err(error) => {
            eprintln!("error: {error:#}");
            code_of(&error).into()
        }
    }
}

/// Takes half-written files away and ends, unless the command ends by itself; what was there
/// before is untouched.
#[allow(
    clippy::exit,
    reason = "an interrupt ends the process from another thread"
)]
fn interrupted() {
    if !foresail::interrupt::ends_at_once() {
        return;
    }
    foresail_adapters::atomic::abandon();
    std::process::exit(Code::Interrupted as i32);
}
