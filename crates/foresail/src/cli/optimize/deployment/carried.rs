//! Advice carried out, gone on with after a crash, and undone.

use std::io::Write;
use std::time::Duration;

use anyhow::Result;
use foresail_adapters::kubernetes::resize::PodSize;
use foresail_core::quantity::time::Span;
use k8s_openapi::api::apps::v1::Deployment;

use super::told::Advice;
use super::{DeploymentArgs, look};
use crate::cli::Output;
use crate::cli::cluster::{Cluster, refusal};
use crate::cli::watch::sleep_until;
use crate::compare::prometheus::now;
use crate::exit::Code;
use crate::interrupt;
use crate::vertical::apply::{Change, Patience, Stopped, told};
use crate::vertical::intent::{BELIEVED, Former, Held, Intent, Lost, Stage, Way, read, written};
use crate::vertical::subject::{Place, Subject};

/// Carries advice out.
///
/// # Errors
/// Where something speaks against it, or it does not go through.
pub(super) fn carry_out(
    args: &DeploymentArgs,
    cluster: &Cluster,
    advice: &Advice<'_>,
    output: Output,
    out: &mut dyn Write,
) -> Result<Code> {
    if !advice.changes() {
        advice.print_end(output, out)?;
        return Ok(Code::Done);
    }
    check(args, advice)?;
    let plan = format!(
        "plan: {}: {} pods {}",
        advice.place.what(),
        advice.subject.group.pods.len(),
        advice.how()
    );
    let mut own = told_beside(output, out);
    args.consent().ask(&plan, &mut *own)?;
    let sizes = &advice.fitted.sizes;
    let intent = Intent::new(
        advice.way,
        sizes,
        template(advice.way, advice.subject, sizes),
    );
    let place = advice.place;
    let held = cluster.wait(async {
        let held = Held::take(place.deployments_written(), &place.name, intent, None).await;
        held.map_err(|lost| untaken(place, &lost))
    })?;
    let code = change(
        args,
        cluster,
        place,
        held,
        &advice.subject.deployment,
        &mut *own,
    )?;
    if advice.way == Way::InPlace {
        writeln!(
            own,
            "the template keeps its requests: pods that are made later have those; put the patch into the manifest for its next rollout"
        )?;
    }
    Ok(code)
}

/// Where people are told of what is done: beside data for programs, not in it.
fn told_beside<'a>(output: Output, out: &'a mut dyn Write) -> Box<dyn Write + 'a> {
    match output {
        Output::Table => Box::new(out),
        Output::Json | Output::Csv => Box::new(std::io::stderr()),
    }
}

/// What the template had, where a rollout changes it; pods are remembered one by one.
fn template(way: Way, subject: &Subject, sizes: &PodSize) -> Vec<Former> {
    if way == Way::InPlace {
        return Vec::new();
    }
    let mut sizes_before = subject.template();
    sizes_before.retain(|name, _| sizes.contains_key(name));
    vec![Former {
        sizes: written(&sizes_before),
        pods: Vec::new(),
    }]
}

/// Refuses where something speaks against a change.
fn check(args: &DeploymentArgs, advice: &Advice<'_>) -> Result<()> {
    let what = advice.place.what();
    let (_, span) = advice.history;
    if span < args.min_history {
        let told = format!(
            "{what}: samples span {} s, less than --min-history {}: pass --prometheus URL for the past, --duration to look longer, or a shorter --min-history; nothing was written",
            span.whole_seconds(),
            args.min_history
        );
        return Err(refusal(Code::TooLittleData, told));
    }
    if advice.has_rivals() && !args.force {
        let told = format!(
            "{what}: {}; size the other resource alone (--resource), set its target anew and pass --force; nothing was written",
            advice.notes().join("; ")
        );
        return Err(refusal(Code::Conflict, told));
    }
    if advice.subject.group.rolling {
        let told =
            format!("{what}: a rollout is on; wait for its end and repeat; nothing was written");
        return Err(refusal(Code::Conflict, told));
    }
    if let Some((pod, progress)) = advice.subject.group.resizing() {
        let told = format!(
            "{what}: a resize of pod {pod} is on ({progress:?}); wait for its end and repeat; nothing was written"
        );
        return Err(refusal(Code::Conflict, told));
    }
    Ok(())
}

fn untaken(place: &Place, lost: &Lost) -> anyhow::Error {
    match lost {
        Lost::Fault(fault) => crate::cli::cluster::coded(&place.what(), fault),
        other => refusal(
            Code::Conflict,
            format!("{}: {other}; nothing was written", place.what()),
        ),
    }
}

fn patience(args: &DeploymentArgs) -> Patience {
    let of = |span: Span| Duration::from_nanos(span.nanos().unsigned_abs());
    Patience {
        deferred: of(args.deferred_wait),
        working: of(args.change_wait),
    }
}

/// The mend of what was left half done.
fn undo_command(place: &Place) -> String {
    format!(
        "foresail optimize --deployment {} -n {} --undo",
        place.name, place.namespace
    )
}

fn code(stopped: &Stopped) -> Code {
    match stopped {
        Stopped::Refused { .. } => Code::No,
        Stopped::Late { .. } => Code::Timeout,
        Stopped::Interrupted => Code::Interrupted,
        Stopped::Lost(Lost::Fault(_)) | Stopped::Fault { .. } => Code::Unreachable,
        Stopped::Lost(_) => Code::Conflict,
    }
}

/// Makes a change whose intent is kept; what does not go through is put back.
fn change(
    args: &DeploymentArgs,
    cluster: &Cluster,
    place: &Place,
    held: Held,
    deployment: &Deployment,
    out: &mut dyn Write,
) -> Result<Code> {
    let mut change = Change::new(place, held, deployment, patience(args), &interrupt::asked);
    let done = cluster.wait_long(async {
        let count = change.apply().await?;
        change.conclude().await?;
        Ok::<_, Stopped>(count)
    });
    let stopped = match done {
        Ok(count) => {
            writeln!(
                out,
                "{}: {count} pods changed ({} takes it back)",
                place.what(),
                undo_command(place)
            )?;
            return Ok(Code::Done);
        }
        Err(stopped) => stopped,
    };
    let what = place.what();
    if !stopped.puts_back() {
        let told = format!(
            "{what}: {stopped}; nothing more was touched, `{}` puts back what is left",
            undo_command(place)
        );
        return Err(refusal(code(&stopped), told));
    }
    eprintln!("warning: {stopped}; putting back what was changed");
    match cluster.wait_long(change.put_back()) {
        Ok(count) => {
            let told =
                format!("{what}: {stopped}; everything is as it was ({count} pods put back)");
            Err(refusal(code(&stopped), told))
        }
        Err(again) => {
            let told = format!(
                "{what}: {stopped}; and it could not be put back: {again}; run `{}` when the cluster answers",
                undo_command(place)
            );
            Err(refusal(code(&stopped), told))
        }
    }
}

/// Waits until nobody is believed to be at work on an intent, and reads it anew.
///
/// # Errors
/// Where somebody is, or asked to end.
fn freed(cluster: &Cluster, place: &Place, intent: Intent) -> Result<(Intent, Subject)> {
    if intent.is_worked_on(now()) {
        let left = intent.renewed + BELIEVED - now();
        eprintln!(
            "note: {}; whoever did it was there {} s ago; waiting {} s for a word",
            told(&intent),
            (now() - intent.renewed).whole_seconds(),
            left.whole_seconds() + 1
        );
        if !sleep_until(intent.renewed + BELIEVED) {
            return Err(refusal(
                Code::Interrupted,
                "interrupted; nothing was written",
            ));
        }
    }
    let subject = cluster.wait(async { look(place).await })?;
    let found = Intent::of(&subject.deployment).map_err(|why| refusal(Code::Conflict, why))?;
    match found {
        Some(found) if found == intent => Ok((intent, subject)),
        _ => {
            let told = format!(
                "{}: another command is at work on it; wait for its end",
                place.what()
            );
            Err(refusal(Code::Conflict, told))
        }
    }
}

/// Goes on with a change that was cut short.
///
/// # Errors
/// As [`carry_out`].
pub(super) fn go_on(
    args: &DeploymentArgs,
    cluster: &Cluster,
    place: &Place,
    former: Intent,
    out: &mut dyn Write,
) -> Result<Code> {
    if former.stage == Stage::PuttingBack {
        let told = format!(
            "{}: {}; end that first: `{}`",
            place.what(),
            told(&former),
            undo_command(place)
        );
        return Err(refusal(Code::Conflict, told));
    }
    let (former, subject) = freed(cluster, place, former)?;
    if former.way == Way::InPlace && subject.group.rolling {
        let told = format!(
            "{}: {}, and a rollout is on; wait for its end, then `{}`",
            place.what(),
            told(&former),
            undo_command(place)
        );
        return Err(refusal(Code::Conflict, told));
    }
    let plan = format!("plan: {}: go on with {}", place.what(), told(&former));
    args.consent().ask(&plan, out)?;
    let held = take_over(cluster, place, &former)?;
    change(args, cluster, place, held, &subject.deployment, out)
}

fn take_over(cluster: &Cluster, place: &Place, former: &Intent) -> Result<Held> {
    cluster.wait(async {
        let api = place.deployments_written();
        let held = Held::take(api, &place.name, former.clone(), Some(former)).await;
        held.map_err(|lost| untaken(place, &lost))
    })
}

/// Puts back what an intent remembers.
///
/// # Errors
/// Where there is none, somebody is at work on it, or it cannot be put back.
pub(super) fn undo(
    args: &DeploymentArgs,
    cluster: &Cluster,
    place: &Place,
    former: Option<Intent>,
    out: &mut dyn Write,
) -> Result<Code> {
    let Some(former) = former else {
        let told = format!("{}: there is nothing to undo", place.what());
        return Err(refusal(Code::NotFound, told));
    };
    let (former, subject) = freed(cluster, place, former)?;
    if former.way == Way::Rollout {
        check_template(place, &former, &subject)?;
    }
    let plan = format!("plan: {}: put back {}", place.what(), told(&former));
    args.consent().ask(&plan, out)?;
    let held = take_over(cluster, place, &former)?;
    let change = Change::new(
        place,
        held,
        &subject.deployment,
        patience(args),
        &interrupt::asked,
    );
    match cluster.wait_long(change.put_back()) {
        Ok(count) => {
            writeln!(out, "{}: {count} pods put back", place.what())?;
            Ok(Code::Done)
        }
        Err(stopped) => {
            let told = format!(
                "{}: {stopped}; repeat this when that is mended",
                place.what()
            );
            Err(refusal(code(&stopped), told))
        }
    }
}

/// A template that somebody changed since is not overwritten.
fn check_template(place: &Place, former: &Intent, subject: &Subject) -> Result<()> {
    let now = subject.template();
    let of = |sizes: &PodSize| sizes.iter().all(|(name, size)| now.get(name) == Some(size));
    let before = former.former(None).unwrap_or_default();
    if of(&read(&former.to)) || of(&before) {
        return Ok(());
    }
    let told = format!(
        "{}: its template asks for something else since; remove the annotation {} if that is meant",
        place.what(),
        crate::vertical::intent::ANNOTATION
    );
    Err(refusal(Code::Conflict, told))
}
