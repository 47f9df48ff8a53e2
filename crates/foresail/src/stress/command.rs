//! One command in one pod, from its begin to its end.

use foresail_adapters::kubernetes::exec::{self, Exit};
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use tokio::sync::mpsc::UnboundedSender;

use super::text::{self, REFUSED, Said};

/// What a command tells of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// It runs, as this process of its container.
    Runs(u64),
    /// It was refused: so many MiB are free.
    Refused(u64),
    /// It ended by itself.
    Done,
    /// It died, or its stream broke.
    Died(String),
}

/// Which command tells: its pod, and the how manieth of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct From {
    pub(super) uid: String,
    pub(super) number: u32,
}

/// Runs a text in a container and tells each step; the last one is its end.
pub(super) async fn run(
    pods: Api<Pod>,
    (pod, container): (String, String),
    text: String,
    from: From,
    tell: UnboundedSender<(From, Event)>,
) {
    let last = match exec::begin(&pods, &pod, &container, &text).await {
        Err(fault) => Event::Died(fault.to_string()),
        Ok(mut command) => {
            let (mut refused, mut said) = (None, None);
            while let Some(line) = command.line().await {
                match Said::of(&line) {
                    Said::Started(pid) | Said::Allocated(pid) => {
                        // Nobody listens any more once all is over.
                        let _ = tell.send((from.clone(), Event::Runs(pid)));
                    }
                    Said::Refused(free) => refused = Some(free),
                    Said::Other(line) => said = Some(line),
                }
            }
            last(command.end().await, refused, said)
        }
    };
    let _ = tell.send((from, last));
}

fn last(exit: Exit, refused: Option<u64>, said: Option<String>) -> Event {
    let said = said.map_or_else(String::new, |line| format!(": {line}"));
    match (exit, refused) {
        (Exit::Code(0), _) => Event::Done,
        (Exit::Code(REFUSED), Some(free)) => Event::Refused(free),
        (Exit::Code(code), _) => Event::Died(format!("exit code {code}{said}")),
        (Exit::Lost(why), _) => Event::Died(format!("{why}{said}")),
    }
}

/// Ends a command in its container.
pub(super) async fn end(pods: Api<Pod>, pod: String, container: String, pid: u64) {
    match exec::begin(&pods, &pod, &container, &text::end(&[pid])).await {
        Ok(command) => {
            command.end().await;
        }
        // It ends by itself when its time is over.
        Err(fault) => tracing::warn!(%fault, pod, "a command could not be ended early"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_are_told_apart() {
        let complaint = Some("sh: dd: not found".to_owned());
        for (exit, refused, want) in [
            (Exit::Code(0), None, Event::Done),
            (Exit::Code(3), Some(12), Event::Refused(12)),
            (
                Exit::Code(4),
                None,
                Event::Died("exit code 4: sh: dd: not found".to_owned()),
            ),
            (
                Exit::Lost("cut".to_owned()),
                None,
                Event::Died("cut: sh: dd: not found".to_owned()),
            ),
        ] {
            assert_eq!(last(exit, refused, complaint.clone()), want);
        }
    }
}
