//! `foresail study`: a published study run again, its figures beside ours.

use std::io::Write;

use anyhow::{Context, Result};
use clap::{ArgMatches, Args, Command, Error, FromArgMatches, Subcommand};

use crate::exit::Code;
use crate::study::STUDIES;

/// Run a published study again and say of each figure what came of it
#[derive(Args, Debug)]
pub struct StudyArgs {
    #[command(subcommand)]
    which: Which,
}

/// The study that was named, with its flags; the list is [`STUDIES`].
#[derive(Clone, Debug)]
struct Which {
    name: String,
    flags: ArgMatches,
}

impl FromArgMatches for Which {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        let (name, flags) = matches
            .subcommand()
            .ok_or_else(|| Error::new(clap::error::ErrorKind::MissingSubcommand))?;
        Ok(Self {
            name: name.to_owned(),
            flags: flags.clone(),
        })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl Subcommand for Which {
    fn augment_subcommands(command: Command) -> Command {
        let study = |s: &crate::study::Study| (s.flags)(Command::new(s.name)).about(s.summary);
        command
            .subcommands(STUDIES.iter().map(study))
            .subcommand_required(true)
            .arg_required_else_help(true)
    }

    fn augment_subcommands_for_update(command: Command) -> Command {
        Self::augment_subcommands(command)
    }

    fn has_subcommand(name: &str) -> bool {
        STUDIES.iter().any(|s| s.name == name)
    }
}

/// Runs the command.
///
/// # Errors
/// Whatever the study could not do, with the mend.
pub fn run(args: &StudyArgs, out: &mut dyn Write) -> Result<Code> {
    let found = STUDIES.iter().find(|s| s.name == args.which.name);
    let study = found.with_context(|| format!("{} is no study", args.which.name))?;
    (study.run)(&args.which.flags, out)
}
