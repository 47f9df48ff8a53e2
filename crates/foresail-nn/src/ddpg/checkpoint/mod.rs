//! Checkpoints: everything that an agent is, so that it goes on bit for bit.

mod memory;
mod text;

use std::collections::BTreeMap;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

use super::nets::Nets;
use super::replay::Replay;
use super::room::Room;
use super::settings::{NUMBERS_MAX, Settings, SettingsError};
use super::{Ddpg, Noise};
use crate::mlp::Mlp;
use crate::parameter::{Layer, Parameter};
use crate::safetensors::{self, File, SafetensorsError, View};
use memory::{Columns, memory};
use text::{chance, json, number, stream, whole};

/// Schema of a checkpoint, under `schema` in its metadata.
pub const SCHEMA: &str = "foresail.ddpg/1";

/// The most bytes of a checkpoint: a full memory, and as much again as the nets of an agent may need.
pub const CHECKPOINT_BYTES_MAX: usize = 4 * NUMBERS_MAX + (512 << 20);

/// Why a checkpoint was refused.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum CheckpointError {
    /// The file itself.
    #[error(transparent)]
    File(#[from] SafetensorsError),
    /// The agent that it shall become.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// Something else, or from another time.
    #[error(
        "this is no checkpoint of schema {SCHEMA}: its schema is {found}; train the agent anew"
    )]
    Schema {
        /// What it says.
        found: String,
    },
    /// Of an agent with other settings.
    #[error(
        "the checkpoint's {field} is {found}, this agent's is {needed}; give the settings that it was saved with"
    )]
    Other {
        /// Which setting.
        field: &'static str,
        /// The checkpoint's.
        found: String,
        /// The agent's.
        needed: String,
    },
    /// A text of its metadata.
    #[error("the checkpoint's {key} is {found}, which is none; write it anew")]
    Text {
        /// Its key.
        key: String,
        /// What stands there.
        found: String,
    },
}

impl Ddpg<f32> {
    /// All of it and of a memory, as safetensors; weights stand under their PyTorch names behind
    /// `actor.`, `critic.`, `target_actor.` and `target_critic.`.
    ///
    /// # Errors
    /// [`CheckpointError::Other`] where the memory is of other settings, [`SafetensorsError::NotFinite`]
    /// where learning ran out of range: such a file would take the place of a good one.
    pub fn save(&self, replay: &Replay) -> Result<Vec<u8>, CheckpointError> {
        self.is_own(replay)?;
        let columns = Columns::of(replay);
        let mut tensors = Vec::new();
        for (prefix, nets) in [("", &self.nets), ("good.", &self.good)] {
            views(prefix, nets, &mut tensors);
        }
        let broken = |view: &&View<'_>| view.values.iter().any(|v| !v.is_finite());
        if let Some(view) = tensors.iter().find(broken) {
            let name = view.name.clone();
            return Err(SafetensorsError::NotFinite { name }.into());
        }
        tensors.extend(columns.views(self.settings.state, self.settings.actions));
        Ok(safetensors::write_views(&tensors, &self.texts(replay)))
    }

    fn is_own(&self, replay: &Replay) -> Result<(), CheckpointError> {
        let s = &self.settings;
        let (state, action) = replay.widths();
        same("state", &state, &s.state)?;
        same("actions", &action, &s.actions)?;
        same("buffer", &replay.capacity(), &s.buffer)
    }

    /// Numbers that are no tensors, exactly.
    fn texts(&self, replay: &Replay) -> BTreeMap<String, String> {
        let mut texts = BTreeMap::new();
        let mut put = |key: &str, text: String| texts.insert(key.to_owned(), text);
        put("schema", SCHEMA.to_owned());
        put("settings", serde_json::json!(self.settings).to_string());
        put("steps", self.steps.to_string());
        put("epsilon", self.epsilon.to_string());
        put("noise", serde_json::json!(self.noise.now()).to_string());
        put("exploring", chance(&self.exploring));
        put("sampling", chance(&self.sampling));
        put("replay.len", replay.len().to_string());
        put("replay.oldest", replay.oldest().to_string());
        put("replay.reward_most", replay.reward_most().to_string());
        for (prefix, nets) in [("", &self.nets), ("good.", &self.good)] {
            for (name, adam) in nets.optimizers() {
                put(&format!("{prefix}{name}.steps"), adam.steps().to_string());
            }
        }
        texts
    }

    /// An agent and its memory from what [`Self::save`] wrote; it goes on bit for bit.
    ///
    /// Widths, layers, normalisation, head, action's layer and buffer must be those of `settings`; rates,
    /// discount and the like are taken from `settings`.
    ///
    /// # Errors
    /// [`CheckpointError`] names what is wrong.
    pub fn load(bytes: &[u8], settings: Settings) -> Result<(Self, Replay), CheckpointError> {
        settings.check()?;
        let file = safetensors::read_at_most(bytes, CHECKPOINT_BYTES_MAX)?;
        let found = file.metadata.get("schema").map_or("none", String::as_str);
        if found != SCHEMA {
            return Err(CheckpointError::Schema {
                found: found.to_owned(),
            });
        }
        equal_forms(&json(&file, "settings")?, &settings)?;
        let mut count = 0;
        // Begun by any stream: every number of it is replaced.
        let mut nets = Nets::new(&settings, &mut ChaCha8Rng::seed_from_u64(0));
        let mut good = nets.clone();
        count += fill("", &mut nets, &file)?;
        count += fill("good.", &mut good, &file)?;
        let replay = memory(&file, &settings)?;
        no_more(&file, count + Columns::NAMES.len(), &nets)?;
        let now: Vec<f64> = json(&file, "noise")?;
        let mut noise = Noise::new(settings.noise, settings.actions);
        same("actions", &now.len(), &settings.actions)?;
        noise.now = now;
        let agent = Self {
            noise,
            epsilon: number(&file, "epsilon")?,
            steps: whole(&file, "steps")?,
            exploring: stream(&file, "exploring")?,
            sampling: stream(&file, "sampling")?,
            room: Room::new(&settings),
            nets,
            good,
            settings,
        };
        Ok((agent, replay))
    }
}

/// The settings that a checkpoint was saved with.
///
/// # Errors
/// As [`Ddpg::load`].
pub fn settings_of(bytes: &[u8]) -> Result<Settings, CheckpointError> {
    let file = safetensors::read_at_most(bytes, CHECKPOINT_BYTES_MAX)?;
    let settings: Settings = json(&file, "settings")?;
    settings.check()?;
    Ok(settings)
}

/// Weights, statistics and moments of nets, by name.
fn views<'a>(prefix: &str, nets: &'a Nets<f32>, to: &mut Vec<View<'a>>) {
    for (name, net) in nets.named() {
        for (own, parameter) in net.parameters().into_iter().chain(net.statistics()) {
            to.push(View {
                name: format!("{prefix}{name}.{own}"),
                shape: parameter.shape.clone(),
                values: &parameter.value,
            });
        }
    }
    for ((name, adam), (_, net)) in nets.optimizers().into_iter().zip(nets.named()) {
        for ((own, parameter), moments) in net.parameters().into_iter().zip(adam.moments()) {
            for (moment, values) in MOMENTS.iter().zip(moments) {
                to.push(View {
                    name: format!("{prefix}{name}.{own}.{moment}"),
                    shape: parameter.shape.clone(),
                    values,
                });
            }
        }
    }
}

/// PyTorch's names of the two moments.
const MOMENTS: [&str; 2] = ["exp_avg", "exp_avg_sq"];

/// Fills nets from a file; gives how many tensors were read.
fn fill(prefix: &str, nets: &mut Nets<f32>, file: &File) -> Result<usize, CheckpointError> {
    let mut count = 0;
    for (name, net) in nets.named_mut() {
        count += fill_net(&format!("{prefix}{name}"), net, file)?;
    }
    let shapes = nets.named().map(|(_, net)| own_shapes(net));
    for ((name, adam), shapes) in nets.optimizers_mut().into_iter().zip(shapes) {
        adam.set_steps(whole(file, &format!("{prefix}{name}.steps"))?);
        for ((own, shape), moments) in shapes.iter().zip(adam.moments_mut()) {
            for (moment, values) in MOMENTS.iter().zip(moments) {
                let tensor = format!("{prefix}{name}.{own}.{moment}");
                values.copy_from_slice(file.numbers(&tensor, shape)?);
                count += 1;
            }
        }
    }
    Ok(count)
}

fn own_shapes(net: &Mlp<f32>) -> Vec<(String, Vec<usize>)> {
    let parameters = net.parameters().into_iter();
    parameters.map(|(n, p)| (n, p.shape.clone())).collect()
}

fn fill_net(name: &str, net: &mut Mlp<f32>, file: &File) -> Result<usize, CheckpointError> {
    let mut count = 0;
    let mut one = |own: &str, parameter: &mut Parameter<f32>| -> Result<(), CheckpointError> {
        let numbers = file.numbers(&format!("{name}.{own}"), &parameter.shape)?;
        parameter.value.copy_from_slice(numbers);
        count += 1;
        Ok(())
    };
    for (own, parameter) in net.parameters_mut() {
        one(&own, parameter)?;
    }
    for (own, parameter) in net.statistics_mut() {
        one(&own, parameter)?;
    }
    Ok(count)
}

/// Refuses a file with tensors that no agent of this form has.
fn no_more(file: &File, known: usize, nets: &Nets<f32>) -> Result<(), CheckpointError> {
    if file.tensors.len() == known {
        return Ok(());
    }
    let mut own = Vec::new();
    for prefix in ["", "good."] {
        views(prefix, nets, &mut own);
    }
    let is_known = |name: &String| {
        Columns::NAMES.contains(&name.as_str()) || own.iter().any(|view| view.name == *name)
    };
    let name = file.tensors.keys().find(|n| !is_known(n));
    let name = name.cloned().unwrap_or_default();
    Err(SafetensorsError::Unknown { name }.into())
}

/// Refuses an agent of another form.
fn equal_forms(saved: &Settings, own: &Settings) -> Result<(), CheckpointError> {
    same("state", &saved.state, &own.state)?;
    same("context", &saved.context, &own.context)?;
    same("actions", &saved.actions, &own.actions)?;
    let hidden = |s: &Settings| {
        [
            format!("{:?}", s.actor_hidden),
            format!("{:?}", s.critic_hidden),
        ]
    };
    let ([saved_actor, saved_critic], [own_actor, own_critic]) = (hidden(saved), hidden(own));
    same("actor_hidden", &saved_actor, &own_actor)?;
    same("critic_hidden", &saved_critic, &own_critic)?;
    same("action_joins", &saved.action_joins, &own.action_joins)?;
    same("batch_norm", &saved.batch_norm, &own.batch_norm)?;
    same(
        "head",
        &format!("{:?}", saved.head),
        &format!("{:?}", own.head),
    )?;
    same("buffer", &saved.buffer, &own.buffer)
}

fn same<T: PartialEq + ToString>(
    field: &'static str,
    found: &T,
    needed: &T,
) -> Result<(), CheckpointError> {
    if found == needed {
        return Ok(());
    }
    Err(CheckpointError::Other {
        field,
        found: found.to_string(),
        needed: needed.to_string(),
    })
}
