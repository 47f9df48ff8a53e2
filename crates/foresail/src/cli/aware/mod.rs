//! `foresail aware`: learnt policies of replicas and requests.

mod agent;
mod eval;
mod learn;
mod told;
mod verify;

use std::io::Write;

use anyhow::Result;
use clap::{Args, Subcommand};

use crate::exit::Code;

/// AWARE: replicas and requests by a learnt policy that is safe from the first minute
#[derive(Args, Debug)]
pub struct AwareArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand, Debug)]
enum What {
    /// Train a policy on one workload or many; the heuristic acts first
    Train(Box<learn::TrainArgs>),
    /// Fly a trained policy on workloads that it has not seen, beside HPA and VPA
    Eval(Box<eval::EvalArgs>),
    /// Serve with a trained policy: bootstrapping, acting, falling back, learning again
    Run(Box<learn::RunArgs>),
    /// Learn and serve on a Deployment of a cluster, through `foresail firm-server`
    Agent(Box<agent::AgentArgs>),
    /// Check that the parts do what the paper and its replication promise
    Verify(verify::VerifyArgs),
}

/// Runs the command.
///
/// # Errors
/// Whatever could not be done, with the mend.
pub fn run(args: &AwareArgs, out: &mut dyn Write) -> Result<Code> {
    match &args.what {
        What::Train(args) => learn::train(args, out),
        What::Eval(args) => eval::run(args, out),
        What::Run(args) => learn::run(args, out),
        What::Agent(args) => agent::run(args, out),
        What::Verify(args) => verify::run(args, out),
    }
}
