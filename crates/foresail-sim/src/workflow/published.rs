//! The published workflows by name, with their stages, and the reference.
//!
//! Stages and fan-out are the published ones, where those are known; a promise, sizes and noise are
//! ours. A new workflow is one entry of [`WORKFLOWS`].
//! Source: specs/aapa_aquatope.md 2.6 and PART 4.

use foresail_core::spec::SpecProblem;
use foresail_core::value::workflow::{Promise, StageSpec, Workflow};
use serde_json::Map;

use super::model::Model;
use super::noise::{Interference, Noise, Outliers};
use super::profiles::{profile, profile_names};
use super::subject::{Sizes, Subject};

/// One workflow of the list.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// Its name.
    pub name: &'static str,
    /// What it is, in one sentence.
    pub summary: &'static str,
    /// Its promise: seconds, and the share of the requests in percent.
    pub promise: [f64; 2],
    /// `false` where calls take what their surface says.
    pub noisy: bool,
    /// Its stages; each is the function of its name.
    pub stages: fn() -> Vec<StageSpec>,
}

/// Every workflow.
pub static WORKFLOWS: [Entry; 9] = [
    Entry {
        name: "reference",
        summary: "three stages in a row without noise, whose optimum is known",
        promise: [4.0, 95.0],
        noisy: false,
        stages: || chain(&["reference-1", "reference-2", "reference-3"]),
    },
    Entry {
        name: "chain",
        summary: "four stages in a row",
        promise: [3.0, 95.0],
        noisy: true,
        stages: || {
            chain(&[
                "chain-parse",
                "chain-extract",
                "chain-translate",
                "chain-store",
            ])
        },
    },
    Entry {
        name: "fan-out-fan-in",
        summary: "one stage, three at the same time, one that joins them",
        promise: [4.0, 95.0],
        noisy: true,
        stages: || {
            let middle = ["fan-sort", "fan-compress", "fan-hash"];
            let mut stages = chain(&["fan-split"]);
            stages.extend(middle.map(|m| StageSpec::new(m, &["fan-split"])));
            stages.push(StageSpec::new("fan-join", &middle));
            stages
        },
    },
    Entry {
        name: "ml-pipeline",
        summary: "an image is prepared, searched for objects, then for people and for cars",
        promise: [10.0, 95.0],
        noisy: true,
        stages: || {
            let mut stages = chain(&["ml-image-processing", "ml-object-detection"]);
            let behind = ["ml-human", "ml-vehicle"];
            stages.extend(behind.map(|b| StageSpec::new(b, &["ml-object-detection"])));
            stages
        },
    },
    Entry {
        name: "video-processing",
        summary: "a video in six chunks, each marked, transcoded and searched for scenes, and faces",
        promise: [20.0, 95.0],
        noisy: true,
        stages: || {
            let chunk = ["video-watermark", "video-transcode", "video-scenechange"];
            let mut stages = chain(&["video-split", chunk[0], chunk[1], chunk[2]]);
            for stage in &mut stages[1..] {
                stage.copies = 6;
            }
            stages.push(StageSpec::new("video-concat", &[chunk[2]]));
            stages.push(StageSpec::new(
                "video-face-detection-opencv",
                &["video-concat"],
            ));
            stages
        },
    },
    Entry {
        name: "social-network-compose",
        summary: "a post is stored, filtered and written to timelines",
        promise: [1.0, 95.0],
        noisy: true,
        stages: compose,
    },
    Entry {
        name: "social-network-read-home",
        summary: "a home timeline is read",
        promise: [0.5, 95.0],
        noisy: true,
        stages: || chain(&["read-home-timeline", "read-post"]),
    },
    Entry {
        name: "social-network-read-user",
        summary: "a user's timeline is read",
        promise: [0.5, 95.0],
        noisy: true,
        stages: || chain(&["read-user-timeline", "read-post"]),
    },
    Entry {
        name: "social-network",
        summary: "the three compositions together: 2 in 10 compose, 4 read a home timeline, 4 a user's",
        promise: [1.0, 95.0],
        noisy: true,
        stages: || {
            let mut stages = compose();
            stages[0] = stages[0].clone().chosen("request", 0.2);
            let readers = ["read-home-timeline", "read-user-timeline"];
            stages.extend(readers.map(|r| StageSpec::new(r, &[]).chosen("request", 0.4)));
            stages.push(StageSpec::new("read-post", &readers));
            stages
        },
    },
];

/// Stages in a row.
fn chain(names: &[&str]) -> Vec<StageSpec> {
    let before = std::iter::once(None).chain(names.iter().map(Some));
    let pairs = names.iter().zip(before);
    pairs
        .map(|(name, before)| {
            let after: Vec<&str> = before.into_iter().copied().collect();
            StageSpec::new(name, &after)
        })
        .collect()
}

fn compose() -> Vec<StageSpec> {
    let mut stages = chain(&["compose-post"]);
    let behind = [
        "store-post",
        "read-social-graph",
        "write-user-timeline",
        "text-filter",
        "image-filter",
    ];
    stages.extend(behind.map(|b| StageSpec::new(b, &["compose-post"])));
    stages.push(StageSpec::new(
        "write-home-timeline",
        &["read-social-graph"],
    ));
    stages
}

/// What calls of the noisy workflows suffer: a spread of a tenth, slow neighbours for one request
/// in twenty, half a second for a container's first call, one call in five hundred that takes ten
/// times as long.
const NOISE: Noise = Noise {
    spread: 0.1,
    cold_start_seconds: 0.5,
    interference: Interference {
        probability: 0.05,
        factor: 1.3,
        requests: 10,
    },
    outliers: Outliers {
        probability: 0.002,
        factor: 10.0,
    },
    lost_probability: 0.0,
};

impl Entry {
    /// The workflow, ready to be called.
    ///
    /// # Errors
    /// Never for an entry of [`WORKFLOWS`]; the tests build every one.
    pub fn subject(&self) -> Result<Subject, Vec<SpecProblem>> {
        let stages = (self.stages)();
        let known = |stage: &StageSpec| {
            let found = profile(&stage.name).map(super::profiles::Profile::surface);
            found.ok_or_else(|| {
                let names = profile_names();
                vec![SpecProblem::unknown(
                    self.name,
                    "function",
                    &stage.name,
                    &names,
                )]
            })
        };
        let surfaces = stages.iter().map(known).collect::<Result<Vec<_>, _>>()?;
        let sizes = vec![Sizes::default(); stages.len()];
        Ok(Subject {
            model: Model {
                workflow: Workflow::new(self.name, &stages)?,
                surfaces,
                noise: if self.noisy { NOISE } else { Noise::default() },
            },
            promise: Promise {
                seconds: self.promise[0],
                level: self.promise[1] / 100.0,
            },
            former: sizes.iter().map(Sizes::created).collect(),
            sizes,
            params: Map::new(),
        })
    }
}

/// A workflow by its name.
#[must_use]
pub fn entry(name: &str) -> Option<&'static Entry> {
    WORKFLOWS.iter().find(|e| e.name == name)
}

/// The names of every workflow.
#[must_use]
pub fn workflow_names() -> Vec<&'static str> {
    WORKFLOWS.iter().map(|e| e.name).collect()
}
