//! Time as an argument: what the borders and the controller ask for it.
//!
//! Two times, never mixed. `mono` counts on while the machine sleeps, so that a node that was
//! suspended does not believe in a lease that is long over (`std::time::Instant` stands still
//! then); `wall` is for people and for what others read, and may jump.

use std::fmt::Debug;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use foresail_core::quantity::time::{Span, Timestamp};
use tokio::sync::watch;

/// What waits for a time.
pub type Waiting<'a> = Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

/// Where times come from.
pub trait Clock: Debug + Send + Sync + 'static {
    /// Time since an arbitrary point; never goes back, and goes on while the machine sleeps.
    fn mono(&self) -> Duration;

    /// The time of day, which may jump.
    fn wall(&self) -> Timestamp;

    /// Waits until [`Clock::mono`] has come to `until`; at once where it has.
    fn wait(&self, until: Duration) -> Waiting<'_> {
        Box::pin(async move {
            while let Some(left) = until.checked_sub(self.mono()).filter(|d| !d.is_zero()) {
                // A timer stands still while the machine sleeps: it is looked at every minute.
                tokio::time::sleep(left.min(Duration::from_secs(60))).await;
            }
        })
    }
}

/// The system's clocks.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

#[cfg(target_os = "linux")]
fn since_boot() -> Duration {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    let seconds = u64::try_from(now.tv_sec).unwrap_or_default();
    Duration::new(seconds, u32::try_from(now.tv_nsec).unwrap_or_default())
}

/// Elsewhere it may stand still while the machine sleeps.
#[cfg(not(target_os = "linux"))]
fn since_boot() -> Duration {
    use std::sync::OnceLock;
    use std::time::Instant;
    static BEGIN: OnceLock<Instant> = OnceLock::new();
    BEGIN.get_or_init(Instant::now).elapsed()
}

impl Clock for SystemClock {
    fn mono(&self) -> Duration {
        since_boot()
    }

    fn wall(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let nanos = since.map_or(0, |d| i64::try_from(d.as_nanos()).unwrap_or(i64::MAX));
        Timestamp::from_nanos(nanos)
    }
}

/// A clock that stands until it is moved; for tests and rehearsals.
#[derive(Debug)]
pub struct ManualClock {
    mono: watch::Sender<Duration>,
    wall: Mutex<Timestamp>,
}

impl ManualClock {
    /// Stands at `mono` and `wall`.
    #[must_use]
    pub fn new(mono: Duration, wall: Timestamp) -> Self {
        Self {
            mono: watch::Sender::new(mono),
            wall: Mutex::new(wall),
        }
    }

    /// Both times go on by `step`; who waited for it is woken.
    pub fn advance(&self, step: Duration) {
        let nanos = i64::try_from(step.as_nanos()).unwrap_or(i64::MAX);
        let mut wall = self.wall.lock().unwrap_or_else(PoisonError::into_inner);
        *wall = *wall + Span::from_nanos(nanos);
        drop(wall);
        self.mono
            .send_modify(|mono| *mono = mono.saturating_add(step));
    }

    /// The time of day jumps; the other goes on as if nothing was.
    pub fn set_wall(&self, wall: Timestamp) {
        *self.wall.lock().unwrap_or_else(PoisonError::into_inner) = wall;
    }
}

impl Clock for ManualClock {
    fn mono(&self) -> Duration {
        *self.mono.borrow()
    }

    fn wall(&self) -> Timestamp {
        *self.wall.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait(&self, until: Duration) -> Waiting<'_> {
        let mut moved = self.mono.subscribe();
        Box::pin(async move {
            // It fails only once the clock is gone, and then nothing is left to wait for.
            let _ = moved.wait_for(|mono| *mono >= until).await;
        })
    }
}

/// Tells when the time of day went another way than time itself did.
#[derive(Clone, Copy, Debug, Default)]
pub struct JumpWatch {
    before: Option<(Duration, Timestamp)>,
}

impl JumpWatch {
    /// How far the time of day jumped since the last look, back where it is negative; zero at the
    /// first look.
    pub fn look(&mut self, clock: &dyn Clock) -> Span {
        let (mono, wall) = (clock.mono(), clock.wall());
        let jump = self.before.map_or(Span::ZERO, |(before, wall_before)| {
            let passed = mono.saturating_sub(before).as_nanos();
            let passed = Span::from_nanos(i64::try_from(passed).unwrap_or(i64::MAX));
            (wall - wall_before) - passed
        });
        self.before = Some((mono, wall));
        jump
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_systems_clock_goes_on_and_its_day_is_not_1970() {
        let before = SystemClock.mono();
        assert!(SystemClock.mono() >= before);
        assert!(before > Duration::ZERO);
        assert!(SystemClock.wall() > Timestamp::from_seconds(1_700_000_000));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn it_counts_from_the_boot_as_the_kernel_tells_it() {
        let text = std::fs::read_to_string("/proc/uptime").unwrap();
        let uptime: f64 = text.split(' ').next().unwrap().parse().unwrap();
        let told = SystemClock.mono().as_secs_f64();
        // The file has hundredths of seconds, and another process may run between the two reads.
        assert!((told - uptime).abs() < 30.0, "{told} {uptime}");
    }

    #[test]
    fn a_jump_of_the_day_is_told_with_its_sign() {
        let clock = ManualClock::new(Duration::from_secs(5), Timestamp::from_seconds(1000));
        let mut watch = JumpWatch::default();
        assert_eq!(watch.look(&clock), Span::ZERO);
        clock.advance(Duration::from_secs(15));
        assert_eq!(watch.look(&clock), Span::ZERO);
        clock.set_wall(Timestamp::from_seconds(1015 - 3600));
        clock.advance(Duration::from_secs(15));
        assert_eq!(watch.look(&clock), Span::from_seconds(-3600));
    }

    #[tokio::test]
    async fn who_waits_for_a_manual_clock_is_woken_by_it_alone() {
        let clock = ManualClock::new(Duration::ZERO, Timestamp::EPOCH);
        clock.wait(Duration::ZERO).await;
        let mut waiting = clock.wait(Duration::from_secs(2));
        clock.advance(Duration::from_secs(1));
        let woken = tokio::select! {
            biased;
            () = &mut waiting => true,
            () = std::future::ready(()) => false,
        };
        assert!(!woken);
        clock.advance(Duration::from_secs(1));
        waiting.await;
    }
}
