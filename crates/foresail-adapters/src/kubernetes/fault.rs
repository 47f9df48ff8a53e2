//! What a call to the API server came to, in the few kinds that a caller acts on.

use std::time::Duration;

use super::client::CALL;

/// Why a call did not succeed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// Somebody else changed the object since it was read (409).
    #[error("the object was changed since it was read: {0}")]
    Conflict(String),
    /// There is no such object or resource (404).
    #[error("not found: {0}")]
    NotFound(String),
    /// The server has forgotten the version that was asked for (410).
    #[error("the version asked for is gone: {0}")]
    Gone(String),
    /// Not allowed (401, 403).
    #[error("not allowed: {0}")]
    Forbidden(String),
    /// The server refuses the content (400, 422).
    #[error("refused: {0}")]
    Invalid(String),
    /// The server asks to wait (429, 503).
    #[error("the server asks to wait{}", .after.map(|s| format!(" {} s", s.as_secs())).unwrap_or_default())]
    Busy {
        /// For how long, where it says so.
        after: Option<Duration>,
    },
    /// The server answered that it failed (500, 504, ...): whether the call took effect is not known,
    /// but what it had to do is over.
    #[error("the server failed: {0}")]
    Failed(String),
    /// It is not known whether the call took effect: no answer, or one that was cut short.
    #[error("no usable answer: {0}")]
    Unknown(String),
}

impl Fault {
    /// The kind as a metric's label.
    #[must_use]
    pub fn label(&self) -> &'static str {
        match self {
            Self::Conflict(_) => "conflict",
            Self::NotFound(_) => "not_found",
            Self::Gone(_) => "gone",
            Self::Forbidden(_) => "forbidden",
            Self::Invalid(_) => "invalid",
            Self::Busy { .. } => "busy",
            Self::Failed(_) => "failed",
            Self::Unknown(_) => "unknown",
        }
    }

    /// `true` where the server could not be reached or gave no usable answer.
    #[must_use]
    pub fn is_away(&self) -> bool {
        matches!(self, Self::Unknown(_) | Self::Failed(_) | Self::Busy { .. })
    }
}

impl From<kube::Error> for Fault {
    fn from(error: kube::Error) -> Self {
        let kube::Error::Api(status) = error else {
            return Self::Unknown(crate::access::causes(&error));
        };
        let told = match status.message.is_empty() {
            true => status.reason.clone(),
            false => status.message.clone(),
        };
        let after = status.details.as_ref().map(|d| d.retry_after_seconds);
        let after = after
            .filter(|s| *s > 0)
            .map(|s| Duration::from_secs(u64::from(s)));
        match status.code {
            401 | 403 => Self::Forbidden(told),
            404 => Self::NotFound(told),
            409 => Self::Conflict(told),
            410 => Self::Gone(told),
            400 | 405 | 406 | 413 | 415 | 422 => Self::Invalid(told),
            429 | 503 => Self::Busy { after },
            _ => Self::Failed(format!("{} {told}", status.code)),
        }
    }
}

/// One call within its deadline; a late one is unknown, for it may still take effect.
///
/// # Errors
/// [`Fault`] as the server answers, [`Fault::Unknown`] after `most`.
pub async fn within<T>(
    most: Duration,
    call: impl Future<Output = kube::Result<T>>,
) -> Result<T, Fault> {
    match tokio::time::timeout(most, call).await {
        Ok(answered) => answered.map_err(Fault::from),
        Err(_) => Err(Fault::Unknown(format!(
            "none within {} s",
            most.as_secs_f64()
        ))),
    }
}

/// One call within the deadline of all calls.
///
/// # Errors
/// As [`within`].
pub async fn call<T>(call: impl Future<Output = kube::Result<T>>) -> Result<T, Fault> {
    within(CALL, call).await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(code: u16, after: u32) -> Fault {
        let details = kube::core::response::StatusDetails {
            retry_after_seconds: after,
            name: String::new(),
            group: String::new(),
            kind: String::new(),
            uid: String::new(),
            causes: Vec::new(),
        };
        let status = kube::core::Status::failure("said", "Reason")
            .with_code(code)
            .with_details(details);
        kube::Error::Api(status.boxed()).into()
    }

    #[test]
    fn each_answer_is_of_the_kind_that_a_caller_acts_on() {
        assert!(matches!(of(409, 0), Fault::Conflict(m) if m == "said"));
        assert!(matches!(of(403, 0), Fault::Forbidden(_)));
        assert!(matches!(of(422, 0), Fault::Invalid(_)));
        assert!(matches!(of(410, 0), Fault::Gone(_)));
        for code in [500, 504, 502] {
            assert!(matches!(of(code, 0), Fault::Failed(_)), "{code}");
        }
        let wait = of(429, 7);
        assert!(matches!(wait, Fault::Busy { after: Some(s) } if s.as_secs() == 7));
        assert!(matches!(of(503, 0), Fault::Busy { after: None }));
    }
}
