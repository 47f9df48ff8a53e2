//! The headers that keep a page to itself, the same on every answer.
//!
//! Source: specs/reliability.md Q22.

use foresail_core::engine::Hash;

use super::route::{Keep, Response};

/// What a page may load and do: its own script and style, and nothing else.
pub const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
     img-src 'self' data:; connect-src 'self'; font-src 'self'; base-uri 'none'; \
     form-action 'self'; frame-ancestors 'none'; require-trusted-types-for 'script'";

/// Headers of every answer, whatever it is.
pub const ALWAYS: [(&str, &str); 7] = [
    ("content-security-policy", POLICY),
    ("x-content-type-options", "nosniff"),
    ("referrer-policy", "no-referrer"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
    ("x-frame-options", "DENY"),
    (
        "permissions-policy",
        "camera=(), geolocation=(), microphone=()",
    ),
];

/// The mark of some bytes, by which a client asks whether it has them already.
#[must_use]
pub fn etag(bytes: &[u8]) -> String {
    let hash = Hash::of(bytes);
    format!("\"{}\"", hash.as_str().get(..32).unwrap_or_default())
}

/// Every header of an answer, in a fixed order.
#[must_use]
pub fn headers(response: &Response) -> Vec<(&'static str, String)> {
    let mut all = vec![("content-type", response.content_type.to_owned())];
    all.extend(ALWAYS.map(|(name, value)| (name, value.to_owned())));
    match response.keep {
        // What is told of a cluster stays on no disk.
        Keep::Never => all.push(("cache-control", "no-store".to_owned())),
        Keep::Ask => {
            all.push(("cache-control", "no-cache".to_owned()));
            all.push(("etag", etag(&response.body)));
        }
    }
    if let Some(file) = &response.file {
        all.push((
            "content-disposition",
            format!("attachment; filename=\"{file}\""),
        ));
    }
    all
}
