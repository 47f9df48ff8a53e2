//! Event streams: a client is told whenever anything has changed; so many a client and no more.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Bytes;
use foresail_web::live::LiveSource;
use hyper::body::{Body, Frame};
use tokio::sync::mpsc;

/// How often the source is looked at.
const LOOK: Duration = Duration::from_millis(500);

/// A stream that has nothing to tell says so, so that both ends see whether the other is there.
const SILENCE: Duration = Duration::from_secs(15);

/// Streams that are open, by client.
#[derive(Debug, Default)]
pub(super) struct Streams(Mutex<BTreeMap<String, usize>>);

impl Streams {
    /// A place for one more stream of a client; `None` where it has `most` already.
    pub(super) fn place(self: &Arc<Self>, client: &str, most: usize) -> Option<Place> {
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = open.entry(client.to_owned()).or_default();
        if *count >= most {
            return None;
        }
        *count += 1;
        Some(Place {
            streams: Arc::clone(self),
            client: client.to_owned(),
        })
    }
}

/// The place of one open stream; given back when it ends.
#[derive(Debug)]
pub(super) struct Place {
    streams: Arc<Streams>,
    client: String,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self
            .streams
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = open.get_mut(&self.client) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                open.remove(&self.client);
            }
        }
    }
}

/// A stream of events as the body of an answer.
pub(super) struct EventBody {
    events: mpsc::Receiver<Bytes>,
    _place: Place,
}

impl EventBody {
    /// A stream of the source's revisions, the present one first.
    pub(super) fn begin(source: Arc<dyn LiveSource>, place: Place) -> Self {
        let (told, events) = mpsc::channel(4);
        tokio::spawn(async move {
            let mut last = None;
            let mut silent = Duration::ZERO;
            loop {
                let now = source.revision();
                let event = if last != Some(now) {
                    Some(format!("event: revision\ndata: {now}\n\n"))
                } else if silent >= SILENCE {
                    Some(": still here\n\n".to_owned())
                } else {
                    None
                };
                if let Some(event) = event {
                    // A client that does not read is waited for; one that is gone ends the stream.
                    if told.send(Bytes::from(event)).await.is_err() {
                        return;
                    }
                    (last, silent) = (Some(now), Duration::ZERO);
                }
                tokio::select! {
                    () = told.closed() => return,
                    () = tokio::time::sleep(LOOK) => silent += LOOK,
                }
            }
        });
        Self {
            events,
            _place: place,
        }
    }
}

impl Body for EventBody {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let event = self.events.poll_recv(context);
        event.map(|event| event.map(|bytes| Ok(Frame::data(bytes))))
    }
}
