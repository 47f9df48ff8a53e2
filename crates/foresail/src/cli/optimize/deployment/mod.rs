//! `foresail optimize --deployment NAME`: requests and limits of a Deployment's containers, advised
//! by the engine with the proposer `vpa`, and changed where `--apply` says so.
//!
//! Advice writes nothing. A change keeps its intent on the Deployment before the first write, puts
//! back what cannot be made whole, and can be undone.

mod carried;
mod flags;
mod told;

use std::collections::BTreeSet;
use std::io::Write;

use anyhow::Result;
use foresail_adapters::kubernetes::discover::features;
use foresail_adapters::prometheus::Range;
use foresail_core::observe::Health;
use foresail_core::quantity::time::{Span, Timestamp};
use foresail_core::spec::Mode;

pub(in crate::cli) use flags::DeploymentArgs;

use crate::cli::Output;
use crate::cli::cluster::{Cluster, coded, refusal};
use crate::cli::watch::{sleep_until, until_asked};
use crate::compare::prometheus::{coded as prometheus_coded, floor, now, runtime};
use crate::config::{Environment, Settings};
use crate::exit::Code;
use crate::interrupt;
use crate::vertical::adviser::{Adviser, SizedContainer, Wishes};
use crate::vertical::fit::{Question, fit};
use crate::vertical::intent::{Intent, Stage, Way};
use crate::vertical::past;
use crate::vertical::subject::{Place, Subject};
use told::Advice;

/// Runs the command.
///
/// # Errors
/// Where the cluster cannot be read, nothing can be advised, or a change does not go through; what
/// was begun is put back, or the error says what is left.
pub(in crate::cli) fn run(
    args: &DeploymentArgs,
    output: Option<Output>,
    out: &mut dyn Write,
) -> Result<Code> {
    let output = Output::here(output)?;
    args.check()?;
    let cluster = args.cluster().connect()?;
    let place = cluster.wait(place(args, &cluster))?;
    let subject = cluster.wait(async { look(&place).await })?;
    let former = Intent::of(&subject.deployment).map_err(|why| refusal(Code::Conflict, why))?;
    interrupt::catch();
    if args.undo {
        return carried::undo(args, &cluster, &place, former, out);
    }
    match former.filter(|f| f.stage != Stage::Applied) {
        Some(former) if args.apply => carried::go_on(args, &cluster, &place, former, out),
        former => {
            if let Some(former) = former {
                let told = crate::vertical::apply::told(&former);
                eprintln!("note: {told}: --apply goes on with it, --undo puts it back");
            }
            advise(args, &cluster, &place, subject, output, out)
        }
    }
}

async fn place(args: &DeploymentArgs, cluster: &Cluster) -> Result<Place> {
    let features = features(&cluster.read()).await;
    Ok(Place {
        clients: cluster.clients.clone(),
        namespace: cluster.namespace.clone(),
        name: args.deployment.clone().unwrap_or_default(),
        features: features.map_err(|f| coded("the API server", &f))?,
    })
}

async fn look(place: &Place) -> Result<Subject> {
    place.look().await.map_err(|f| coded(&place.what(), &f))
}

/// Refuses what has no requests that could be advised.
fn check(place: &Place, subject: &Subject) -> Result<()> {
    let what = place.what();
    if subject.group.sizes_pods_as_a_whole() {
        let told = format!(
            "{what}: its pods are sized as a whole (spec.resources), which is not changed here; size them by hand"
        );
        return Err(refusal(Code::No, told));
    }
    if subject.group.sizes().is_none() {
        let told = format!("{what}: none of its pods runs, so nothing is known of what they use");
        return Err(refusal(Code::TooLittleData, told));
    }
    Ok(())
}

fn way(args: &DeploymentArgs, place: &Place) -> Way {
    if args.rollout || !place.features.resize {
        Way::Rollout
    } else {
        Way::InPlace
    }
}

/// Looks, advises, and carries it out where that is asked for.
fn advise(
    args: &DeploymentArgs,
    cluster: &Cluster,
    place: &Place,
    subject: Subject,
    output: Output,
    out: &mut dyn Write,
) -> Result<Code> {
    check(place, &subject)?;
    let way = way(args, place);
    let wishes = Wishes {
        knobs: args.knobs()?,
        resize: match way {
            Way::InPlace => foresail_core::spec::Resize::InPlace,
            Way::Rollout => foresail_core::spec::Resize::Recreate,
        },
        mode: if args.apply { Mode::Auto } else { Mode::Advise },
        interval: args.interval,
    };
    let bounds = args.bounds()?;
    let sized = subject
        .containers()
        .into_iter()
        .map(|container| SizedContainer {
            target: place.target(&container),
            container,
            bounds: bounds.clone(),
        });
    let mut adviser = Adviser::new(sized.collect(), &wishes)?;
    remember(args, place, &subject, &mut adviser)?;
    let Some(subject) = watch(args, cluster, place, subject, &mut adviser)? else {
        return Ok(Code::Interrupted);
    };
    check(place, &subject)?;
    let (room, rivals) = cluster.wait(async {
        let of = |f| coded(&place.what(), &f);
        Ok((
            place.room().await.map_err(of)?,
            place.rivals().await.map_err(of)?,
        ))
    })?;
    let sizes = subject.group.sizes().unwrap_or_default();
    let fitted = fit(&Question {
        now: &sizes,
        beside: &subject.group.beside(),
        wanted: &adviser.decided(),
        used: adviser.used(),
        room: &room,
        keeps_limits: &BTreeSet::new(),
        pods: u32::try_from(subject.group.pods.len()).unwrap_or(u32::MAX),
        surge: if way == Way::Rollout {
            subject.surge()
        } else {
            0
        },
        adds: way == Way::Rollout,
    });
    let uid = subject.deployment.metadata.uid.clone().unwrap_or_default();
    let advice = Advice {
        place,
        subject: &subject,
        way,
        sizes: &sizes,
        advised: adviser.advised(&uid, &fitted)?,
        fitted: &fitted,
        rivals: &rivals,
        history: adviser.history(),
        with_past: args.reach.access.prometheus.is_some(),
    };
    advice.print(output, out)?;
    match args.apply {
        true => carried::carry_out(args, cluster, &advice, output, out),
        false => {
            advice.print_end(output, out)?;
            Ok(Code::Done)
        }
    }
}

/// Lets the engine live through what Prometheus knows.
fn remember(
    args: &DeploymentArgs,
    place: &Place,
    subject: &Subject,
    adviser: &mut Adviser,
) -> Result<()> {
    if args.reach.access.prometheus.is_none() {
        return Ok(());
    }
    let server = args
        .reach
        .access
        .connect(&Settings::load(None, &Environment)?)?;
    let end = floor(now(), past::STEP);
    let range = Range {
        start: floor(end - args.history, past::STEP),
        end,
        step: past::STEP,
    };
    let asked = runtime()?.block_on(past::ask(&server, place, &range));
    let found = asked.map_err(|e| prometheus_coded(&e))?;
    if found.is_empty() {
        let [cpu, memory] = past::queries(place);
        let told = format!(
            "Prometheus knows nothing of these containers: that is unknown, not zero; check that it scrapes the kubelets, with labels namespace, pod and container: {cpu}; {memory}"
        );
        return Err(refusal(Code::TooLittleData, told));
    }
    let steps = found.live(adviser, &subject.group);
    eprintln!("note: {steps} minutes of the past");
    Ok(())
}

/// Looks until the time is over; `None` where somebody asked to end. The first look is there already.
fn watch(
    args: &DeploymentArgs,
    cluster: &Cluster,
    place: &Place,
    first: Subject,
    adviser: &mut Adviser,
) -> Result<Option<Subject>> {
    let begin = now();
    tell_usage(&first);
    adviser.look(&first.group, Health::default(), begin);
    let (end, mut next, mut newest) = (begin + args.duration, begin, first);
    if args.duration > Span::ZERO {
        eprintln!(
            "note: looking for {} every {}",
            args.duration, args.interval
        );
    }
    loop {
        next = following(next, args.interval);
        if next > end {
            return Ok(Some(newest));
        }
        if !sleep_until(next) {
            return Ok(None);
        }
        match cluster.wait_long(until_asked(place.look())) {
            None => return Ok(None),
            Some(Ok(subject)) => {
                tell_usage(&subject);
                adviser.look(&subject.group, Health::default(), now());
                newest = subject;
            }
            // What was there at first may be away for a while.
            Some(Err(fault)) => eprintln!("warning: {}: {fault}", place.what()),
        }
    }
}

/// The next step that is not over yet.
fn following(last: Timestamp, interval: Span) -> Timestamp {
    let behind = (now() - last).nanos().max(0) / interval.nanos().max(1);
    last + Span::from_nanos(interval.nanos().saturating_mul(behind + 1))
}

fn tell_usage(subject: &Subject) {
    if let Err(why) = &subject.group.usage {
        eprintln!("warning: what the pods use cannot be read: {why}");
    }
}
