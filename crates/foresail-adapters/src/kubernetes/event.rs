//! Events of the API, `events.k8s.io/v1`; the same one again becomes a series.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::api::events::v1::{Event, EventSeries};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use k8s_openapi::jiff;
use kube::api::{Patch, PatchParams, PostParams};
use kube::{Api, Client};

use foresail_core::quantity::time::{Span, Timestamp};

use super::fault::{Fault, call};

/// Who reports.
pub const CONTROLLER: &str = "autoscaling.foresail.dev/controller";

/// The longest note that the API takes.
const NOTE_BYTES_MAX: usize = 1024;

/// The same event within this time is counted, not made anew.
const AGAIN: Span = Span::from_seconds(360);

/// The most events that are remembered.
const REMEMBERED_MAX: usize = 4096;

/// What is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// `true` for a warning.
    pub warning: bool,
    /// Why, in one word.
    pub reason: String,
    /// The whole sentence.
    pub text: String,
    /// What was done, in one word.
    pub action: &'static str,
}

/// One event that may come again.
#[derive(Clone, Debug)]
struct Last {
    name: String,
    at: Timestamp,
    count: i32,
}

/// Writes events for objects.
#[derive(Debug, Default)]
pub struct Events {
    /// Instance of the controller.
    instance: String,
    last: BTreeMap<(String, String, String), Last>,
}

/// A time as events write it.
fn micro(at: Timestamp) -> MicroTime {
    let nanos = i128::from(at.nanos());
    MicroTime(jiff::Timestamp::from_nanosecond(nanos).unwrap_or_default())
}

fn shortened(text: &str) -> String {
    let mut end = text.len().min(NOTE_BYTES_MAX);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].to_owned()
}

/// What is to be sent: a new event, or the next number of an old one's series.
#[derive(Clone, Debug)]
pub enum Sending {
    /// A new event.
    New(Box<Event>),
    /// The name of the event, and its series.
    Again(String, EventSeries),
}

impl Events {
    /// Events told by this instance.
    #[must_use]
    pub fn new(instance: &str) -> Self {
        Self {
            instance: instance.to_owned(),
            last: BTreeMap::new(),
        }
    }

    /// What is to be sent for a note.
    pub fn prepare(&mut self, about: &ObjectReference, note: &Note, now: Timestamp) -> Sending {
        let uid = about.uid.clone().unwrap_or_default();
        let key = (uid, note.reason.clone(), shortened(&note.text));
        self.last.retain(|_, l| now - l.at <= AGAIN);
        if let Some(last) = self.last.get_mut(&key) {
            (last.at, last.count) = (now, last.count + 1);
            let series = EventSeries {
                count: last.count,
                last_observed_time: micro(now),
            };
            return Sending::Again(last.name.clone(), series);
        }
        let object = about.name.clone().unwrap_or_default();
        let name = format!("{object}.{:x}", now.nanos());
        if self.last.len() < REMEMBERED_MAX {
            let (name, at) = (name.clone(), now);
            self.last.insert(key, Last { name, at, count: 1 });
        }
        let mut event = Event {
            action: Some(note.action.to_owned()),
            event_time: Some(micro(now)),
            note: Some(shortened(&note.text)),
            reason: Some(note.reason.clone()),
            regarding: Some(about.clone()),
            reporting_controller: Some(CONTROLLER.to_owned()),
            reporting_instance: Some(self.instance.clone()),
            type_: Some(if note.warning { "Warning" } else { "Normal" }.to_owned()),
            ..Event::default()
        };
        event.metadata.name = Some(name);
        event.metadata.namespace.clone_from(&about.namespace);
        Sending::New(Box::new(event))
    }
}

/// Sends a prepared event.
///
/// # Errors
/// [`Fault`] of the call.
pub async fn send(client: &Client, namespace: &str, sending: Sending) -> Result<(), Fault> {
    let api: Api<Event> = Api::namespaced(client.clone(), namespace);
    match sending {
        Sending::New(event) => call(api.create(&PostParams::default(), &event))
            .await
            .map(drop),
        Sending::Again(name, series) => {
            let patch = Patch::Merge(serde_json::json!({ "series": series }));
            call(api.patch(&name, &PatchParams::default(), &patch))
                .await
                .map(drop)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note(text: &str) -> Note {
        Note {
            warning: false,
            reason: "Scaled".to_owned(),
            text: text.to_owned(),
            action: "Scale",
        }
    }

    #[test]
    fn the_same_again_is_counted_and_a_long_note_is_cut_at_a_character() {
        let mut events = Events::new("a");
        let about = ObjectReference {
            name: Some("web".to_owned()),
            uid: Some("1".to_owned()),
            ..ObjectReference::default()
        };
        let at = Timestamp::from_seconds;
        let Sending::New(first) = events.prepare(&about, &note("web 1→2"), at(100)) else {
            panic!("a first event is new")
        };
        let Sending::Again(name, series) = events.prepare(&about, &note("web 1→2"), at(130))
        else {
            panic!("the same within six minutes is a series")
        };
        assert_eq!((Some(name), series.count), (first.metadata.name, 2));
        assert!(matches!(
            events.prepare(&about, &note("web 2→3"), at(131)),
            Sending::New(_)
        ));
        assert!(matches!(
            events.prepare(&about, &note("web 1→2"), at(600)),
            Sending::New(_)
        ));
        let Sending::New(long) = events.prepare(&about, &note(&"→".repeat(1000)), at(700)) else {
            panic!("a new text is a new event")
        };
        assert_eq!(long.note.unwrap().len(), 1023);
    }
}
