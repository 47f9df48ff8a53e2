//! Who may see which namespaces.

use std::collections::BTreeSet;
use std::future::Future;
use std::pin::Pin;

use foresail_web::live::route::Sight;

/// Why somebody is not let in.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// There is no token, or it is nobody's.
    #[error("no valid token; send `Authorization: Bearer TOKEN`")]
    Unknown,
    /// It could not be asked.
    #[error("the token cannot be checked at present")]
    Unreachable,
}

/// An answer that is awaited.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Says what a token may see.
pub trait Authorizer: Send + Sync {
    /// `true` where the bearer of `token` may see the objects of `namespace`; an empty namespace
    /// means every one.
    fn allow<'a>(&'a self, token: &'a str, namespace: &'a str) -> Answer<'a, Result<bool, Denied>>;
}

/// The token of an `Authorization` header.
#[must_use]
pub fn bearer(header: &str) -> Option<&str> {
    let (scheme, token) = header.trim().split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}

/// Which of these namespaces a token may see.
///
/// # Errors
/// Where the token is nobody's, or cannot be checked.
pub async fn sight(
    authorizer: &dyn Authorizer,
    token: &str,
    namespaces: BTreeSet<String>,
) -> Result<Sight, Denied> {
    if authorizer.allow(token, "").await? {
        return Ok(Sight::All);
    }
    let mut seen = BTreeSet::new();
    for namespace in namespaces {
        // An empty name would ask for every namespace again.
        if !namespace.is_empty() && authorizer.allow(token, &namespace).await? {
            seen.insert(namespace);
        }
    }
    Ok(Sight::Namespaces(seen))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_bearer_has_a_token() {
        assert_eq!(bearer("Bearer abc"), Some("abc"));
        assert_eq!(bearer("bearer  abc "), Some("abc"));
        assert_eq!(bearer("Basic abc"), None);
        assert_eq!(bearer("Bearer"), None);
        assert_eq!(bearer("Bearer  "), None);
    }
}
