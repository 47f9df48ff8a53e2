//! The nets of an agent: actor and critic, their targets, and what their optimizers remember.

use rand_core::Rng;

use super::settings::Settings;
use crate::mlp::{Head, Mlp};
use crate::optimize::{Adam, soft_update_each};
use crate::parameter::Parameter;
use crate::real::Real;

/// Everything that learning changes in weights.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Nets<R> {
    pub(super) actor: Mlp<R>,
    pub(super) critic: Mlp<R>,
    /// They follow the two, statistics included, and always answer by their running statistics.
    pub(super) target_actor: Mlp<R>,
    pub(super) target_critic: Mlp<R>,
    pub(super) actor_adam: Adam<R>,
    pub(super) critic_adam: Adam<R>,
}

impl<R: Real> Nets<R> {
    /// Fresh nets; the targets are copies of them, not nets of their own.
    pub(super) fn new(settings: &Settings, stream: &mut impl Rng) -> Self {
        let last = settings.last_weights;
        let actor = Mlp::new(settings.actor(), settings.head, last, stream);
        let critic = Mlp::new(settings.critic(), Head::None, last, stream);
        let adam = |rate: f64, net: &Mlp<R>| {
            let mut adam = Adam::new(rate);
            adam.prepare(net.each());
            adam
        };
        Self {
            actor_adam: adam(settings.actor_rate, &actor),
            critic_adam: adam(settings.critic_rate, &critic),
            target_actor: actor.clone(),
            target_critic: critic.clone(),
            actor,
            critic,
        }
    }

    /// Moves the targets by `tau` towards the nets.
    pub(super) fn follow(&mut self, tau: f64) {
        let pairs = [
            (&mut self.target_actor, &self.actor),
            (&mut self.target_critic, &self.critic),
        ];
        for (target, net) in pairs {
            soft_update_each(target.each_mut().zip(net.each()), tau);
            soft_update_each(target.running_mut().zip(net.running()), tau);
        }
    }

    /// The four nets with their names.
    pub(super) fn named(&self) -> [(&'static str, &Mlp<R>); 4] {
        [
            ("actor", &self.actor),
            ("critic", &self.critic),
            ("target_actor", &self.target_actor),
            ("target_critic", &self.target_critic),
        ]
    }

    /// The same, to be changed.
    pub(super) fn named_mut(&mut self) -> [(&'static str, &mut Mlp<R>); 4] {
        [
            ("actor", &mut self.actor),
            ("critic", &mut self.critic),
            ("target_actor", &mut self.target_actor),
            ("target_critic", &mut self.target_critic),
        ]
    }

    /// The two optimizers with their names.
    pub(super) fn optimizers(&self) -> [(&'static str, &Adam<R>); 2] {
        [
            ("actor_adam", &self.actor_adam),
            ("critic_adam", &self.critic_adam),
        ]
    }

    /// The same, to be changed.
    pub(super) fn optimizers_mut(&mut self) -> [(&'static str, &mut Adam<R>); 2] {
        [
            ("actor_adam", &mut self.actor_adam),
            ("critic_adam", &mut self.critic_adam),
        ]
    }

    /// Whether every weight and statistic is a finite number.
    pub(super) fn is_finite(&self) -> bool {
        let is_finite = |p: &Parameter<R>| p.value.iter().all(|v| v.wide().is_finite());
        let nets = self.named();
        nets.iter()
            .all(|(_, net)| net.each().chain(net.running()).all(is_finite))
    }

    /// Becomes as `source` is, without any new memory.
    pub(super) fn copy_from(&mut self, source: &Self) {
        for ((_, own), (_, source)) in self.named_mut().into_iter().zip(source.named()) {
            for (own, source) in own.each_mut().zip(source.each()) {
                own.value.copy_from_slice(&source.value);
            }
            for (own, source) in own.running_mut().zip(source.running()) {
                own.value.copy_from_slice(&source.value);
            }
        }
        for ((_, own), (_, source)) in self.optimizers_mut().into_iter().zip(source.optimizers()) {
            own.set_steps(source.steps());
            for (own, source) in own.moments_mut().iter_mut().zip(source.moments()) {
                for (own, source) in own.iter_mut().zip(source) {
                    own.copy_from_slice(source);
                }
            }
        }
    }
}
