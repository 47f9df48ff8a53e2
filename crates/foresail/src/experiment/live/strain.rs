//! A schedule carried out on real pods: load from outside, busy loops and filled memory within, each
//! at its time on threads of its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, Result};
use foresail_adapters::kubernetes::client::{Place, stream_client};
use foresail_adapters::kubernetes::ready_pods::{Behind, destination};
use foresail_adapters::load::arrivals::Shape;
use foresail_core::quantity::time::{Span, Timestamp};

use super::super::schedule::Schedule;
use super::super::world::SLO;
use crate::cli::load::streams_runtime;
use crate::compare::prometheus::now;
use crate::interrupt;
use crate::load::forward::{Forwarder, REFRESH};
use crate::load::summary::Summary;
use crate::load::tally::Tally;
use crate::load::{Load, Spacing, run as send};
use crate::stress::{self, Kind, News, Stress};

/// How often is looked whether it is time, or over.
const NAP: Duration = Duration::from_millis(50);

/// Whose pods.
#[derive(Clone, Debug)]
pub struct Pods {
    /// The cluster.
    pub cluster: Place,
    /// Namespace.
    pub namespace: String,
    /// The deployment.
    pub deployment: String,
    /// The selector of its pods.
    pub selector: String,
    /// The container that is put under stress.
    pub container: String,
    /// The port that load goes to; the first where absent.
    pub port: Option<u16>,
}

/// A schedule under way.
#[derive(Debug)]
pub struct Strain {
    over: Arc<AtomicBool>,
    load: JoinHandle<Result<Summary>>,
    stress: Vec<JoinHandle<Result<stress::Summary>>>,
}

/// What came of it.
#[derive(Debug, Default)]
pub struct Strained {
    /// Of the load.
    pub load: Option<Summary>,
    /// Of each stress.
    pub stress: Vec<stress::Summary>,
    /// What could not be carried out.
    pub troubles: Vec<String>,
}

impl Strain {
    /// Begins a schedule; `start` is the run's.
    ///
    /// # Errors
    /// Where its load is no shape.
    pub fn begin(pods: &Pods, schedule: &Schedule, length: Span, start: Timestamp) -> Result<Self> {
        let over = Arc::new(AtomicBool::new(false));
        let shape = Shape::new(&schedule.parts(length)).context("the schedule's load")?;
        let (place, ended) = (pods.clone(), Arc::clone(&over));
        let load = std::thread::spawn(move || load(&place, shape, start, &ended));
        let cpu = schedule.cpu.iter().map(|c| {
            let kind = Kind::Cpu { workers: c.workers };
            (c.at, c.length, c.refresh, kind)
        });
        let memory = schedule.memory.iter().map(|m| {
            let mebibytes = m.mebibytes;
            (m.at, m.length, stress::REFRESH, Kind::Memory { mebibytes })
        });
        let stress = cpu
            .chain(memory)
            .map(|(at, length, refresh, kind)| {
                let wanted = Stress {
                    namespace: pods.namespace.clone(),
                    selector: pods.selector.clone(),
                    container: pods.container.clone(),
                    length,
                    pods_max: None,
                    refresh,
                    kind,
                };
                let (place, ended) = (pods.cluster.clone(), Arc::clone(&over));
                std::thread::spawn(move || put(&place, &wanted, start + at, &ended))
            })
            .collect();
        Ok(Self { over, load, stress })
    }

    /// Ends what still goes on, and tells what came of all.
    #[must_use]
    pub fn end(self) -> Strained {
        self.over.store(true, Ordering::SeqCst);
        let mut told = Strained::default();
        match self.load.join() {
            Ok(Ok(summary)) => told.load = Some(summary),
            Ok(Err(error)) => told.troubles.push(format!("load: {error:#}")),
            Err(_) => told.troubles.push("load: its thread broke down".to_owned()),
        }
        for one in self.stress {
            match one.join() {
                Ok(Ok(summary)) => told.stress.push(summary),
                Ok(Err(error)) => told.troubles.push(format!("stress: {error:#}")),
                Err(_) => told
                    .troubles
                    .push("stress: its thread broke down".to_owned()),
            }
        }
        told
    }
}

fn is_over(over: &AtomicBool) -> bool {
    over.load(Ordering::SeqCst) || interrupt::asked()
}

/// `false` where it is over before.
fn wait(at: Timestamp, over: &AtomicBool) -> bool {
    while now() < at {
        if is_over(over) {
            return false;
        }
        std::thread::sleep(NAP);
    }
    true
}

fn load(pods: &Pods, shape: Shape, start: Timestamp, over: &AtomicBool) -> Result<Summary> {
    let runtime = streams_runtime()?;
    let (load, _forwarder) = runtime.block_on(async {
        let (client, _) = stream_client(&pods.cluster).await?;
        let behind = Behind::Deployment(pods.deployment.clone());
        let found = destination(&client, &pods.namespace, &behind, pods.port).await?;
        let forwarder = Forwarder::begin(&client, &pods.namespace, found, REFRESH).await?;
        let targets = forwarder.targets();
        let load = Load::on_targets(targets, &pods.deployment, "/", shape, Spacing::Even)?;
        Ok::<_, anyhow::Error>((load, forwarder))
    })?;
    let tally = Tally::new(&load.shape, load.timeout, None)?.promising(SLO.below);
    // Whoever is not in time sends nothing rather than another course.
    wait(start, over);
    send(&load, tally, &|| is_over(over))
}

fn put(
    cluster: &Place,
    wanted: &Stress,
    at: Timestamp,
    over: &AtomicBool,
) -> Result<stress::Summary> {
    if !wait(at, over) {
        return Ok(stress::Summary {
            kind: wanted.kind.name(),
            pods: Vec::new(),
            failed_looks: 0,
        });
    }
    let runtime = streams_runtime()?;
    runtime.block_on(async {
        let (client, _) = stream_client(cluster).await?;
        let stop = async {
            while !is_over(over) {
                tokio::time::sleep(NAP).await;
            }
        };
        let tell = |news: &News| {
            if let News::NoLook(why) = news {
                eprintln!("note: pods could not be listed: {why}");
            }
        };
        stress::run(&client, wanted, stop, tell).await
    })
}
