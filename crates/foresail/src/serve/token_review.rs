//! A cluster checks tokens: TokenReview says whose one is, SubjectAccessReview what they may see.
//!
//! Source: specs/reliability.md Q20.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use foresail_core::engine::Hash;
use k8s_openapi::api::authentication::v1::{TokenReview, TokenReviewSpec, UserInfo};
use k8s_openapi::api::authorization::v1::{
    ResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec,
};
use kube::api::{Api, PostParams};

use super::authorize::{Answer, Authorizer, Denied};

/// How long an answer of the cluster holds.
const HOLDS: Duration = Duration::from_secs(60);

/// Answers that are remembered; one more and all are forgotten.
const ANSWERS_MAX: usize = 4_096;

/// The longest token that is sent on, in bytes.
const TOKEN_BYTES_MAX: usize = 16 << 10;

/// What may be seen by whoever may `get` these.
const GROUP: &str = "autoscaling.foresail.dev";
const RESOURCE: &str = "predictiveautoscalers";

/// An answer and when it was given.
type Given<T> = (Instant, T);

/// Asks a cluster who may see what; a token is remembered by its hash alone.
pub struct TokenReviewer {
    client: kube::Client,
    users: Mutex<BTreeMap<Hash, Given<Option<UserInfo>>>>,
    access: Mutex<BTreeMap<(Hash, String), Given<bool>>>,
}

impl std::fmt::Debug for TokenReviewer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TokenReviewer").finish_non_exhaustive()
    }
}

fn remembered<K: Ord, T: Clone>(all: &Mutex<BTreeMap<K, Given<T>>>, key: &K) -> Option<T> {
    let all = all.lock().unwrap_or_else(PoisonError::into_inner);
    let (at, answer) = all.get(key)?;
    (at.elapsed() < HOLDS).then(|| answer.clone())
}

fn remember<K: Ord, T>(all: &Mutex<BTreeMap<K, Given<T>>>, key: K, answer: T) {
    let mut all = all.lock().unwrap_or_else(PoisonError::into_inner);
    if all.len() >= ANSWERS_MAX {
        all.retain(|_, (at, _)| at.elapsed() < HOLDS);
    }
    if all.len() >= ANSWERS_MAX {
        all.clear();
    }
    all.insert(key, (Instant::now(), answer));
}

impl TokenReviewer {
    /// Asks through this client, whose own role must allow to create both reviews.
    #[must_use]
    pub fn new(client: kube::Client) -> Self {
        Self {
            client,
            users: Mutex::default(),
            access: Mutex::default(),
        }
    }

    /// Whose a token is; `None` where it is nobody's.
    async fn user(&self, token: &str, hash: &Hash) -> Result<Option<UserInfo>, Denied> {
        if let Some(user) = remembered(&self.users, hash) {
            return Ok(user);
        }
        let review = TokenReview {
            spec: TokenReviewSpec {
                token: Some(token.to_owned()),
                audiences: None,
            },
            ..TokenReview::default()
        };
        let api: Api<TokenReview> = Api::all(self.client.clone());
        let answer = api.create(&PostParams::default(), &review).await;
        let status = answer.map_err(|_| Denied::Unreachable)?.status;
        let user = status
            .filter(|s| {
                s.authenticated == Some(true) && s.error.as_ref().is_none_or(String::is_empty)
            })
            .and_then(|s| s.user);
        remember(&self.users, hash.clone(), user.clone());
        Ok(user)
    }

    async fn may_see(&self, user: UserInfo, namespace: &str) -> Result<bool, Denied> {
        let what = ResourceAttributes {
            group: Some(GROUP.to_owned()),
            resource: Some(RESOURCE.to_owned()),
            verb: Some("get".to_owned()),
            namespace: (!namespace.is_empty()).then(|| namespace.to_owned()),
            ..ResourceAttributes::default()
        };
        let review = SubjectAccessReview {
            spec: SubjectAccessReviewSpec {
                resource_attributes: Some(what),
                user: user.username,
                groups: user.groups,
                uid: user.uid,
                extra: user.extra,
                ..SubjectAccessReviewSpec::default()
            },
            ..SubjectAccessReview::default()
        };
        let api: Api<SubjectAccessReview> = Api::all(self.client.clone());
        let answer = api.create(&PostParams::default(), &review).await;
        let status = answer.map_err(|_| Denied::Unreachable)?.status;
        Ok(status.is_some_and(|s| s.allowed && s.denied != Some(true)))
    }
}

impl Authorizer for TokenReviewer {
    fn allow<'a>(&'a self, token: &'a str, namespace: &'a str) -> Answer<'a, Result<bool, Denied>> {
        Box::pin(async move {
            if token.len() > TOKEN_BYTES_MAX {
                return Err(Denied::Unknown);
            }
            let hash = Hash::of(token.as_bytes());
            let user = self.user(token, &hash).await?.ok_or(Denied::Unknown)?;
            let key = (hash, namespace.to_owned());
            if let Some(allowed) = remembered(&self.access, &key) {
                return Ok(allowed);
            }
            let allowed = self.may_see(user, namespace).await?;
            remember(&self.access, key, allowed);
            Ok(allowed)
        })
    }
}
