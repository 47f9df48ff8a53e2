//! Ends a wait that is under way as soon as somebody asks for the end.

use std::future::Future;
use std::time::Duration;

use tokio::runtime::Runtime;

use super::SystemError;

/// How soon a wait notices.
const LOOK: Duration = Duration::from_millis(20);

/// Says whether somebody asks for the end.
#[derive(Clone, Copy, Debug)]
pub struct Stop(fn() -> bool);

impl Default for Stop {
    /// Nobody ever does.
    fn default() -> Self {
        Self(|| false)
    }
}

impl Stop {
    /// Asked so.
    #[must_use]
    pub fn new(asked: fn() -> bool) -> Self {
        Self(asked)
    }

    /// Waits for what is under way, or until somebody asks for the end; `attempted` is what an error then
    /// tells. What begins after that puts things back and is waited for to its end.
    ///
    /// # Errors
    /// Where it was ended on the way.
    pub(crate) fn wait<F: Future>(
        self,
        runtime: &Runtime,
        attempted: &str,
        work: F,
    ) -> Result<F::Output, SystemError> {
        if (self.0)() {
            return Ok(runtime.block_on(work));
        }
        let asked = async {
            let mut look = tokio::time::interval(LOOK);
            while !(self.0)() {
                look.tick().await;
            }
        };
        runtime.block_on(async {
            tokio::select! {
                // What is there is there, whoever asked meanwhile.
                biased;
                done = work => Ok(done),
                () = asked => Err(SystemError {
                    attempted: attempted.to_owned(),
                    why: "interrupted; whether it took effect is not known".to_owned(),
                    stopped: true,
                }),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::time::Instant;

    #[test]
    fn a_wait_under_way_is_ended_and_one_that_begins_after_is_not() {
        static ASKED: AtomicBool = AtomicBool::new(false);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        let runtime = runtime.unwrap();
        let stop = Stop::new(|| ASKED.load(Ordering::SeqCst));
        let nap = |ms| tokio::time::sleep(Duration::from_millis(ms));
        stop.wait(&runtime, "a nap", async { nap(30).await })
            .unwrap();
        let begin = Instant::now();
        let asker = std::thread::spawn(|| {
            std::thread::sleep(Duration::from_millis(50));
            ASKED.store(true, Ordering::SeqCst);
        });
        let ended = stop.wait(&runtime, "a nap", async { nap(60_000).await });
        assert!(ended.unwrap_err().stopped);
        assert!(begin.elapsed() < Duration::from_secs(10));
        asker.join().unwrap();
        stop.wait(&runtime, "a nap", async { nap(30).await })
            .unwrap();
    }
}
