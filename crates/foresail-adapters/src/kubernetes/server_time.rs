//! How far the API server's time of day is from ours, by the header `Date` of its answers.
//!
//! Samples, pods and leases carry times of other machines' clocks. A clock of ours that is far off makes
//! a fresh sample look old, or an old one fresh; whoever acts on ages has to know.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use foresail_core::quantity::time::{Span, Timestamp};
use http::header::DATE;
use http::{Request, Response};
use k8s_openapi::jiff::fmt::rfc2822::DateTimeParser;
use tower::{Layer, Service};

use crate::clock::Clock;

/// The resolution of a `Date`.
const SECOND: Span = Span::from_seconds(1);

/// How far ours is ahead, as the newest answer told; one for all clients of a process.
#[derive(Clone, Debug)]
pub struct ServerTime {
    clock: Arc<dyn Clock>,
    ahead: Arc<Mutex<Span>>,
}

impl ServerTime {
    /// Nothing was heard yet; `clock` is the one that is judged.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            ahead: Arc::default(),
        }
    }

    /// How far our time of day is ahead of the server's, back where it is negative; zero where an answer
    /// lay between its question and its arrival.
    #[must_use]
    pub fn ahead(&self) -> Span {
        *self.ahead.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes in what an answer says that was asked for at `asked`.
    fn heard(&self, date: Option<Timestamp>, asked: Timestamp) {
        let Some(date) = date else { return };
        let ahead = ahead_of(date, asked, self.clock.wall());
        *self.ahead.lock().unwrap_or_else(PoisonError::into_inner) = ahead;
    }
}

/// How far a clock is ahead that showed `asked` and `answered` around the whole second `date`.
fn ahead_of(date: Timestamp, asked: Timestamp, answered: Timestamp) -> Span {
    if date + SECOND < asked {
        asked - (date + SECOND)
    } else if date > answered {
        answered - date
    } else {
        Span::ZERO
    }
}

fn date_of<B>(answer: &Response<B>) -> Option<Timestamp> {
    let text = answer.headers().get(DATE)?.to_str().ok()?;
    let read = DateTimeParser::new().parse_timestamp(text).ok()?;
    Some(Timestamp::from_seconds(read.as_second()))
}

impl<S> Layer<S> for ServerTime {
    type Service = Timed<S>;

    fn layer(&self, inner: S) -> Timed<S> {
        Timed {
            inner,
            time: self.clone(),
        }
    }
}

/// A client's service that notes the time of each answer.
#[derive(Clone, Debug)]
pub struct Timed<S> {
    inner: S,
    time: ServerTime,
}

impl<S, A, B> Service<Request<A>> for Timed<S>
where
    S: Service<Request<A>, Response = Response<B>> + 'static,
    S::Future: Send + 'static,
    S::Error: 'static,
    A: 'static,
    B: 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<A>) -> Self::Future {
        let (time, asked) = (self.time.clone(), self.time.clock.wall());
        let answer = self.inner.call(request);
        Box::pin(async move {
            let answer = answer.await?;
            time.heard(date_of(&answer), asked);
            Ok(answer)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_is_read_and_held_against_question_and_answer() {
        let told = Response::builder().header(DATE, "Tue, 01 Dec 2026 06:55:10 GMT");
        let date = date_of(&told.body(()).unwrap()).unwrap();
        assert_eq!(date.to_string(), "2026-12-01T06:55:10Z");
        let at = |seconds: i64| date + Span::from_seconds(seconds);
        assert_eq!(ahead_of(date, at(0), at(0)), Span::ZERO);
        // A slow answer: the date may be of any moment in between.
        assert_eq!(ahead_of(date, at(-30), at(20)), Span::ZERO);
        assert_eq!(ahead_of(date, at(601), at(602)), Span::from_seconds(600));
        assert_eq!(ahead_of(date, at(-602), at(-600)), Span::from_seconds(-600));
        assert_eq!(date_of(&Response::new(())), None);
    }
}
