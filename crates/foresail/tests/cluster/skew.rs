//! Times of a lease as another time of day has them.

use hyper::body::Bytes;
use k8s_openapi::jiff::{SignedDuration, Timestamp};
use serde_json::Value;

/// A lease with its times moved by so many seconds; what is no lease stays as it is.
pub fn shifted(sent: &Bytes, seconds: i64) -> Bytes {
    let Ok(mut lease) = serde_json::from_slice::<Value>(sent) else {
        return sent.clone();
    };
    for path in ["/spec/renewTime", "/spec/acquireTime"] {
        let Some(time) = lease.pointer_mut(path) else {
            continue;
        };
        let Some(told) = time.as_str().and_then(|t| t.parse::<Timestamp>().ok()) else {
            continue;
        };
        let moved = told + SignedDuration::from_secs(seconds);
        *time = format!("{moved:.6}").into();
    }
    serde_json::to_vec(&lease).unwrap().into()
}
