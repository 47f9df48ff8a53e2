//! Ways to act: learners that begin and change over in different ways, and policies that learn nothing.

use foresail_models::rl::bootstrap::BootstrapRules;
use foresail_models::rl::learner::Embedding;
use foresail_models::rl::lifecycle::Thresholds;
use foresail_models::rl::training::TrainingRules;

/// Reward from which a learner serves, where the heuristic earns 130: as good as that.
const SERVING: f64 = 130.0;

/// Which nets a learner begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Start {
    /// New ones.
    Scratch,
    /// Those of one other workload, without a meta-learner.
    Transfer,
    /// Those of many workloads, with a meta-learner.
    Meta,
}

/// Who acts first, and whether there is a way back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Boot {
    /// The learner, at once.
    None,
    /// The heuristic; then the learner where it is as good.
    Asked,
    /// The heuristic; then the learner whatever it is worth, as the replication has it.
    Published,
}

/// One way to learn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Arm {
    pub(super) name: &'static str,
    pub(super) start: Start,
    pub(super) boot: Boot,
    pub(super) embedding: Embedding,
}

const fn arm(name: &'static str, start: Start, boot: Boot) -> Arm {
    Arm {
        name,
        start,
        boot,
        embedding: Embedding::Told,
    }
}

/// The whole: meta-learning and bootstrapping.
pub(super) const AWARE: &str = "aware";
pub(super) const SCRATCH: &str = "scratch";
pub(super) const BOOTSTRAPPED: &str = "scratch, bootstrapped";
pub(super) const TRANSFER: &str = "transfer";
pub(super) const META: &str = "meta";
pub(super) const ZEROED: &str = "meta, zeroed embedding";
pub(super) const SHUFFLED: &str = "meta, another's embedding";

/// HPA and VPA together: what a learner is held against.
pub(super) const HEURISTIC: &str = "hpa-vpa";

/// Every learner.
pub(super) const ARMS: [Arm; 8] = [
    arm(AWARE, Start::Meta, Boot::Asked),
    arm(BOOTSTRAPPED, Start::Scratch, Boot::Asked),
    arm("scratch, switched at once", Start::Scratch, Boot::Published),
    arm(SCRATCH, Start::Scratch, Boot::None),
    arm(TRANSFER, Start::Transfer, Boot::None),
    arm(META, Start::Meta, Boot::None),
    Arm {
        name: ZEROED,
        start: Start::Meta,
        boot: Boot::None,
        embedding: Embedding::Zeroed,
    },
    Arm {
        name: SHUFFLED,
        start: Start::Meta,
        boot: Boot::None,
        embedding: Embedding::Shuffled,
    },
];

/// Every policy that learns nothing.
pub(super) const POLICIES: [&str; 5] = [HEURISTIC, "hpa", "vpa", "predictive", "aapa"];

/// After a change of the workload: learning on, and not.
pub(super) const RETRAINED: &str = "drift, learning on";
pub(super) const FROZEN: &str = "drift, as it was";

impl Arm {
    /// The rules of its training with so many episodes of the heuristic.
    pub(super) fn rules(&self, bootstrap: usize) -> TrainingRules {
        let rules = BootstrapRules {
            episodes: bootstrap,
            ..BootstrapRules::default()
        };
        TrainingRules {
            bootstrap: match self.boot {
                Boot::None => BootstrapRules::none(),
                Boot::Asked => rules,
                Boot::Published => BootstrapRules {
                    way_back: false,
                    asks_value: false,
                    ..rules
                },
            },
            embedding: self.embedding,
            thresholds: Thresholds {
                serving: SERVING,
                ..Thresholds::default()
            },
            ..TrainingRules::default()
        }
    }
}
