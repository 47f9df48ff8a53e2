//! Ctrl-C: ends the process at once, or lets a command that asked for it end by itself.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// `true` while a command wants to end by itself.
static CAUGHT: AtomicBool = AtomicBool::new(false);

/// `true` once an interrupt came while it was caught.
static ASKED: AtomicBool = AtomicBool::new(false);

/// From here on the first interrupt only asks; a second one ends the process as before.
pub fn catch() {
    CAUGHT.store(true, Ordering::SeqCst);
}

/// `true` once an interrupt has asked the command to end.
#[must_use]
pub fn asked() -> bool {
    ASKED.load(Ordering::SeqCst)
}

/// Ends once an interrupt has asked the command to end.
pub async fn when_asked() {
    let mut look = tokio::time::interval(Duration::from_millis(50));
    while !asked() {
        look.tick().await;
    }
}

/// Takes in an interrupt; `true` where the process has to end at once.
#[must_use]
pub fn ends_at_once() -> bool {
    let first = !ASKED.swap(true, Ordering::SeqCst);
    !(first && CAUGHT.load(Ordering::SeqCst))
}
