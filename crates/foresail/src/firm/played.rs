//! A component in this process, for rehearsals, tests and benchmarks: what is written is so at once.

use std::sync::{Mutex, PoisonError};

use foresail_core::hpa::{Pod, PodReading, PodSample, Reading};
use foresail_core::observe::{ResourceUsage, TargetState};
use foresail_core::propose::plan::Setting;
use foresail_core::quantity::time::{Span, Timestamp};
use foresail_core::quantity::units::{Quantity, Replicas, Unit};

use super::place::{Place, PodAsked, Sight, Written};

/// What is played.
#[derive(Clone, Debug)]
struct Scene {
    setting: Setting,
    /// Cores that all pods use together, and bytes that each does, in thousandths.
    used: (i64, i64),
    demand: f64,
    version: u64,
    writes: u64,
    /// What the next write comes to, where it is not well.
    fails: Option<Written>,
    /// `true`: a write that fails takes effect all the same.
    acts: bool,
}

/// A component in this process.
#[derive(Debug)]
pub struct Played(Mutex<Scene>);

impl Played {
    /// With so many pods of so much CPU (thousandths of a core) and memory (MiB).
    #[must_use]
    pub fn new(replicas: u32, cpu: i64, mib: i64) -> Self {
        let mut setting = Setting::replicas(Replicas::new(replicas));
        setting
            .per_pod
            .set("cpu", Quantity::from_milli(cpu, Unit::Count));
        let bytes = mib * (1 << 20) * 1000;
        setting
            .per_pod
            .set("memory", Quantity::from_milli(bytes, Unit::Bytes));
        Self(Mutex::new(Scene {
            setting,
            used: (i64::from(replicas) * cpu / 2, bytes / 2),
            demand: 10.0,
            version: 1,
            writes: 0,
            fails: None,
            acts: false,
        }))
    }

    fn scene(&self) -> std::sync::MutexGuard<'_, Scene> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sets the demand in requests a second and the cores that all pods use, in thousandths.
    pub fn demand(&self, rate: f64, used_milli: i64) {
        let mut scene = self.scene();
        scene.demand = rate;
        scene.used.0 = used_milli;
    }

    /// What is asked for at present.
    #[must_use]
    pub fn setting(&self) -> Setting {
        self.scene().setting.clone()
    }

    /// Writes so far that took effect.
    #[must_use]
    pub fn writes(&self) -> u64 {
        self.scene().writes
    }

    /// What the next write comes to; with `acts` it takes effect all the same.
    pub fn fail(&self, with: Written, acts: bool) {
        let mut scene = self.scene();
        (scene.fails, scene.acts) = (Some(with), acts);
    }
}

impl Scene {
    fn state(&self, now: Timestamp) -> TargetState {
        let replicas = self.setting.replicas.unwrap_or_default();
        let count = i64::from(replicas.get());
        let reading = |resource: &str, value: i64| PodReading {
            request: self.setting.per_pod.get(resource).map(Quantity::milli),
            sample: Some(PodSample {
                value,
                at: now,
                window: Span::from_seconds(15),
            }),
        };
        let pods = replicas.get() as usize;
        let cpu = reading("cpu", self.used.0 / count.max(1));
        let memory = reading("memory", self.used.1);
        TargetState {
            current: self.setting.clone(),
            status_replicas: replicas,
            ready: replicas,
            // Started long ago: what has just started says little of its CPU.
            pods: vec![
                Pod {
                    started_at: Some(Timestamp::from_seconds(0)),
                    ready_changed_at: Timestamp::from_seconds(0),
                    ..Pod::default()
                };
                pods
            ],
            readings: vec![Reading::Pods(vec![cpu; pods])],
            usage: vec![ResourceUsage {
                resource: "memory".to_owned(),
                pods: vec![memory; pods],
            }],
            ..TargetState::default()
        }
    }
}

impl Place for Played {
    async fn look(&self, now: Timestamp) -> Result<Sight, String> {
        let scene = self.scene();
        let pod = PodAsked {
            requests: scene.setting.per_pod.clone(),
            ..PodAsked::default()
        };
        let count = scene.setting.replicas.unwrap_or_default().get() as usize;
        Ok(Sight {
            state: scene.state(now),
            scale: ("played".to_owned(), scene.version.to_string()),
            pods: vec![pod; count],
            demand: Some((scene.demand, now)),
            ..Sight::default()
        })
    }

    async fn write(&self, seen: &Sight, to: &Setting) -> Written {
        let mut scene = self.scene();
        let failed = scene.fails.take();
        if failed.is_none() && seen.scale.1 != scene.version.to_string() {
            return Written::Stale("somebody changed it".to_owned());
        }
        if failed.is_none() || scene.acts {
            scene.setting = scene.setting.overlaid(to);
            scene.version += 1;
            scene.writes += 1;
        }
        failed.unwrap_or(Written::Applied)
    }
}
