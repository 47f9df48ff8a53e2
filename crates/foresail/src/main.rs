//! The binary: parses the command line, runs the command, prints one error at most.

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;
use foresail::cli::{self, Cli};
use foresail::exit::code_of;

fn main() -> ExitCode {
    let cli = Cli::parse();
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
