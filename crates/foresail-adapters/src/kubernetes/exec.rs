//! Commands in containers of pods, and what they print.

use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Status;
use kube::Api;
use kube::api::{AttachParams, AttachedProcess};
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader, Lines};

use super::fault::{Fault, call};

/// How a command ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Exit {
    /// By itself, with this exit code.
    Code(i32),
    /// Its stream broke; in its container it may go on.
    Lost(String),
}

/// A command that runs in a container.
pub struct Command {
    process: AttachedProcess,
    lines: Option<Lines<BufReader<Box<dyn AsyncRead + Send + Unpin>>>>,
}

impl std::fmt::Debug for Command {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Command").finish_non_exhaustive()
    }
}

/// Starts `sh -c TEXT` in a container. What it prints to its standard output can be read; it has no
/// input.
///
/// The command goes on when its stream ends: a text has to end by itself.
///
/// # Errors
/// [`Fault`] where the server refuses, or the pod's kubelet is not there.
pub async fn begin(
    pods: &Api<Pod>,
    pod: &str,
    container: &str,
    text: &str,
) -> Result<Command, Fault> {
    let parameters = AttachParams::default()
        .container(container)
        .stdin(false)
        .stdout(true)
        .stderr(false);
    let mut process = call(pods.exec(pod, ["sh", "-c", text], &parameters)).await?;
    let lines = process.stdout().map(|out| {
        let out: Box<dyn AsyncRead + Send + Unpin> = Box::new(out);
        BufReader::new(out).lines()
    });
    Ok(Command { process, lines })
}

impl Command {
    /// Its next line; `None` once there will be no more.
    pub async fn line(&mut self) -> Option<String> {
        let lines = self.lines.as_mut()?;
        match lines.next_line().await {
            Ok(Some(line)) => Some(line),
            // A line that is no text ends the reading as a broken stream does.
            Ok(None) | Err(_) => {
                self.lines = None;
                None
            }
        }
    }

    /// How it ended; lines that were not read are let go.
    pub async fn end(mut self) -> Exit {
        let status = self.process.take_status();
        while self.line().await.is_some() {}
        match status {
            Some(status) => exit(status.await),
            None => Exit::Lost("the stream has no status".to_owned()),
        }
    }
}

/// What the server's last word says.
fn exit(status: Option<Status>) -> Exit {
    let Some(status) = status else {
        return Exit::Lost("the stream was cut".to_owned());
    };
    if status.status.as_deref() == Some("Success") {
        return Exit::Code(0);
    }
    let causes = status.details.and_then(|d| d.causes).unwrap_or_default();
    let code = causes
        .iter()
        .find(|c| c.reason.as_deref() == Some("ExitCode"))
        .and_then(|c| c.message.as_deref()?.parse().ok());
    code.map_or_else(
        || {
            Exit::Lost(
                status
                    .message
                    .unwrap_or_else(|| "no reason given".to_owned()),
            )
        },
        Exit::Code,
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_exit_code_and_a_lost_stream_are_told_apart() {
        let of = |value: serde_json::Value| exit(Some(serde_json::from_value(value).unwrap()));
        assert_eq!(of(json!({"status": "Success"})), Exit::Code(0));
        let failed = json!({"status": "Failure", "reason": "NonZeroExitCode",
            "details": {"causes": [{"reason": "ExitCode", "message": "3"}]}});
        assert_eq!(of(failed), Exit::Code(3));
        let broken = json!({"status": "Failure", "message": "container not found"});
        assert_eq!(of(broken), Exit::Lost("container not found".to_owned()));
        assert_eq!(exit(None), Exit::Lost("the stream was cut".to_owned()));
    }
}
