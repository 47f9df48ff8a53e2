//! `foresail serve`: the live pages on recorded runs.

use std::io::Write;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use clap::Args;
use foresail_core::value::cost::Price;
use foresail_web::live::LiveSource;

use crate::exit::Code;
use crate::interrupt;
use crate::serve::options::PORT;
use crate::serve::{self, Options, records};

/// Show recorded runs as pages: the fleet, each object, each decision; reads and never writes
#[derive(Args, Debug)]
pub struct ServeArgs {
    /// Flight records, as --record wrote them, or folders that hold some
    #[arg(required = true, value_name = "RECORD")]
    records: Vec<PathBuf>,
    /// The port; 0 = any that is free
    #[arg(long, default_value_t = PORT)]
    port: u16,
    /// The address; others than this machine's own need checked tokens and are refused here
    #[arg(long, value_name = "ADDRESS", default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST))]
    bind: IpAddr,
    /// Another name by which the pages may be asked for, such as that of a proxy
    #[arg(long, value_name = "NAME")]
    host: Vec<String>,
    /// Price of one replica for an hour; costs are told in replica-hours where absent
    #[arg(long, value_name = "PRICE")]
    replica_hour: Option<f64>,
    /// Open the pages in the browser
    #[arg(long)]
    open: bool,
}

/// Runs the command.
///
/// # Errors
/// Where a record cannot be read, or the port is taken.
pub fn run(args: &ServeArgs, out: &mut dyn Write) -> Result<Code> {
    let options = Options {
        bind: args.bind,
        port: args.port,
        hosts: args.host.clone(),
        ..Options::default()
    };
    options.check()?;
    let price = args.replica_hour.map(|replica_hour| Price {
        replica_hour,
        cpu_core_hour: 0.0,
        memory_gib_hour: 0.0,
    });
    ensure!(
        price.is_none_or(|p| p.is_valid()),
        "--replica-hour: must be a price of 0 or more"
    );
    let store = records::store(&args.records, price)?;
    interrupt::catch();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .context("the server cannot begin")?;
    runtime.block_on(async {
        let bound = serve::bind(options).await?;
        let address = format!("http://{}/", bound.address);
        writeln!(out, "{address}")?;
        out.flush()?;
        eprintln!("note: {} objects; Ctrl-C ends", store.len());
        if args.open {
            open(&address);
        }
        let source: Arc<dyn LiveSource> = Arc::new(store);
        bound.serve(source, interrupt::when_asked()).await;
        Ok(Code::Done)
    })
}

/// Asks the desktop to open an address; where there is none, the address stands on the terminal.
fn open(address: &str) {
    let opener = if cfg!(target_os = "macos") {
        "open"
    } else {
        "xdg-open"
    };
    let begun = std::process::Command::new(opener).arg(address).spawn();
    if let Err(error) = begun {
        eprintln!("warning: --open: {opener} cannot be started: {error}");
    }
}
