//! Environment steps a second through gRPC: engine, guards, answer memory and journal-free agents, on a
//! component that is played in this process.
//!
//! `cargo bench -p foresail --bench firm_steps`; arguments: seconds (default 5).
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a benchmark may fail loudly and prints its figures"
)]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use foresail::firm::component::{Bounds, ComponentName};
use foresail::firm::kept::File;
use foresail::firm::pilot::Pilot;
use foresail::firm::played::Played;
use foresail::firm::service::Firm;
use foresail_adapters::clock::SystemClock;
use foresail_adapters::rpc::client::{Client, Dial};
use foresail_adapters::rpc::environment::Wish;
use foresail_adapters::rpc::server::{ServerOptions, bind};

fn component(n: usize) -> ComponentName {
    format!("shop/web-{n}").parse().unwrap()
}

fn pilot(n: usize) -> Pilot<Played> {
    let place = Played::new(4, 512, 1024);
    let spec = Bounds::default().spec(&component(n)).unwrap();
    let file = File::new(None, &component(n));
    Pilot::new((place, Arc::new(SystemClock)), spec, 0.99, file).unwrap()
}

async fn fly(client: Client, n: usize, until: Instant, steps: Arc<AtomicU64>) {
    let mut environment = client.environment;
    let id = component(n).to_string();
    let mut seq = 0_i32;
    while Instant::now() < until {
        let wish = Wish {
            id: id.clone(),
            request: format!("a-{seq}"),
            wishes: true,
            // Up and down in turn, so that each step writes something.
            moves: vec![1 + seq % 2, 0, 0],
        };
        let answer = environment.step(wish).await.unwrap().into_inner();
        assert!(answer.seen.unwrap().known);
        seq += 1;
        steps.fetch_add(1, Ordering::Relaxed);
    }
}

fn main() {
    let seconds = std::env::args().skip(1).find_map(|a| a.parse().ok());
    // `cargo test` runs it too, and wants to know only whether it works.
    let is_bench = std::env::args().any(|a| a == "--bench");
    let most = Duration::from_secs_f64(seconds.unwrap_or(if is_bench { 5.0 } else { 0.2 }));
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let options = ServerOptions {
            bind: "127.0.0.1:0".parse().unwrap(),
            tls: None,
            token: None,
            insecure: false,
        };
        for agents in [1_usize, 8, 32] {
            let bound = bind(&options).await.unwrap();
            let address = bound.address;
            let firm = Firm::new((0..agents).map(pilot));
            let server = tokio::spawn(bound.serve(firm.clone(), firm, std::future::pending()));
            let dial = Dial {
                server: address.to_string(),
                ..Dial::default()
            };
            let client = dial.client().unwrap();
            let steps = Arc::new(AtomicU64::new(0));
            let begin = Instant::now();
            let flown = (0..agents)
                .map(|n| tokio::spawn(fly(client.clone(), n, begin + most, Arc::clone(&steps))));
            for one in flown.collect::<Vec<_>>() {
                one.await.unwrap();
            }
            let took = begin.elapsed().as_secs_f64();
            let count = steps.load(Ordering::Relaxed);
            println!("{agents:>3} agents: {:>8.0} steps/s", count as f64 / took);
            server.abort();
        }
    });
}
