//! Actions and sequences: created, updated, their limits set and read back.
//!
//! The server merges a `PUT` with what is there, so limits alone may be sent. It drops fields that it
//! does not know: whether it took a CPU limit shows in its answer alone.
//! Source: apache/openwhisk, docs/rest_api.md; apiv1swagger.json, `ActionPut`, `ActionLimits`.

use http::Method;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::client::{Call, OpenWhisk};
use super::failure::{CPU_LIMIT, Failure};

/// What an action runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Exec {
    /// Other actions, one after another.
    Sequence {
        /// `sequence`.
        kind: String,
        /// Their whole names, `/namespace/name`.
        components: Vec<String>,
    },
    /// Code in a runtime, or an image of the user's.
    Code {
        /// The runtime's kind, or `blackbox`.
        kind: String,
        /// Image, where it is of the user's.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        image: Option<String>,
        /// Source text, or a zip file in base 64.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        code: Option<String>,
        /// Name of the function that is the entry.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        main: Option<String>,
    },
}

impl Exec {
    /// A sequence of actions by their whole names.
    #[must_use]
    pub fn sequence(components: &[&str]) -> Self {
        Self::Sequence {
            kind: "sequence".to_owned(),
            components: components.iter().map(|c| (*c).to_owned()).collect(),
        }
    }

    /// Code of a kind of runtime.
    #[must_use]
    pub fn code(kind: &str, code: &str) -> Self {
        Self::Code {
            kind: kind.to_owned(),
            image: None,
            code: Some(code.to_owned()),
            main: None,
        }
    }

    /// An image of the user's.
    #[must_use]
    pub fn image(image: &str) -> Self {
        Self::Code {
            kind: "blackbox".to_owned(),
            image: Some(image.to_owned()),
            code: None,
            main: None,
        }
    }

    /// Its kind.
    #[must_use]
    pub fn kind(&self) -> &str {
        match self {
            Self::Sequence { kind, .. } | Self::Code { kind, .. } => kind,
        }
    }
}

/// Limits of an action; absent = as they are, or the server's default. No field that an unmodified
/// server does not know is sent unless it is set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Limits {
    /// The longest run, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<u64>,
    /// Memory in MB; OpenWhisk's MB are 2^20 bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<u64>,
    /// The largest log, in MB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub logs: Option<u64>,
    /// Activations that a container runs at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub concurrency: Option<u64>,
    /// CPU in cores; of a fork alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu: Option<f64>,
}

/// An action as the server has it; other fields are left alone.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Action {
    /// Its name.
    pub name: String,
    /// What it runs.
    pub exec: Exec,
    /// Its limits.
    pub limits: Limits,
}

/// How far two CPU limits may lie apart and still be the same, in cores.
const CPU_SLACK: f64 = 1e-3;

impl OpenWhisk {
    fn path<'a>(&'a self, collection: &'a str, name: &'a str) -> Vec<&'a str> {
        let head = ["api", "v1", "namespaces", self.namespace(), collection];
        // An action of a package is `package/name`.
        head.into_iter().chain(name.split('/')).collect()
    }

    /// The whole name of an action of this namespace, as sequences want it.
    #[must_use]
    pub fn whole_name(&self, name: &str) -> String {
        format!("/{}/{name}", self.namespace())
    }

    /// An action without its code.
    ///
    /// # Errors
    /// [`Failure::NotFound`] where there is none; [`Failure`] of the call.
    pub async fn action(&self, name: &str) -> Result<Action, Failure> {
        let path = self.path("actions", name);
        let query = [("code", "false".to_owned())];
        let call = Call::get(&path, &query);
        let value = self.json(&call).await?;
        Self::read(&call, value)
    }

    /// Creates an action or sequence; where it is there already and `overwrite` is set, it is
    /// replaced. `None` where the client only tells.
    ///
    /// # Errors
    /// [`Failure::Conflict`] where it is there and may not be replaced; [`Failure::NeedsFork`] where
    /// a CPU limit was not taken; [`Failure`] of the call.
    pub async fn put(
        &self,
        name: &str,
        exec: &Exec,
        limits: Limits,
        overwrite: bool,
    ) -> Result<Option<Action>, Failure> {
        let body = json!({"exec": exec, "limits": limits});
        self.write(name, &body, limits, overwrite).await
    }

    /// Sets limits of an action that is there; those that are absent stay. Nothing is sent where all
    /// are absent, or the client only tells.
    ///
    /// # Errors
    /// [`Failure::NeedsFork`] where a CPU limit was not taken; [`Failure`] of the call.
    pub async fn set_limits(&self, name: &str, limits: Limits) -> Result<Option<Action>, Failure> {
        if limits == Limits::default() {
            return Ok(None);
        }
        let body = json!({"limits": limits});
        self.write(name, &body, limits, true).await
    }

    /// Deletes an action.
    ///
    /// # Errors
    /// [`Failure`] of the call.
    pub async fn delete(&self, name: &str) -> Result<(), Failure> {
        let path = self.path("actions", name);
        let call = Call {
            method: Method::DELETE,
            repeatable: false,
            ..Call::get(&path, &[])
        };
        if self.only_tells(&call) {
            return Ok(());
        }
        self.succeed(&call).await.map(|_| ())
    }

    async fn write(
        &self,
        name: &str,
        body: &Value,
        limits: Limits,
        overwrite: bool,
    ) -> Result<Option<Action>, Failure> {
        let path = self.path("actions", name);
        let query = [("overwrite", overwrite.to_string())];
        let call = Call {
            method: Method::PUT,
            body: Some(body),
            // A second `PUT` of what the first one created would be a conflict.
            repeatable: overwrite,
            ..Call::get(&path, &query)
        };
        if self.only_tells(&call) {
            return Ok(None);
        }
        let said = self.ask(&call).await?;
        let refused = !(200..300).contains(&said.status);
        if refused && limits.cpu.is_some() && said.status == 400 && names_cpu(&said.bytes) {
            return Err(Self::needs(&call, CPU_LIMIT));
        }
        if refused {
            return Err(Self::failure(&call, &said));
        }
        let action = Self::read(&call, Self::parse(&call, &said.bytes)?)?;
        let taken = match (limits.cpu, action.limits.cpu) {
            (Some(asked), Some(has)) => (asked - has).abs() < CPU_SLACK,
            (Some(_), None) => false,
            (None, _) => true,
        };
        if !taken {
            return Err(Self::needs(&call, CPU_LIMIT));
        }
        Ok(Some(action))
    }

    fn read(call: &Call<'_>, value: Value) -> Result<Action, Failure> {
        serde_json::from_value(value).map_err(|e| Failure::Unknown {
            what: format!("{} {}", call.method, call.path.join("/")),
            why: format!("it is no action ({e})"),
        })
    }
}

fn names_cpu(bytes: &[u8]) -> bool {
    super::failure::words(bytes).to_lowercase().contains("cpu")
}
