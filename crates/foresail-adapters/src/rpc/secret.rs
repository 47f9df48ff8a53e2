//! A bearer token in a file: read again as it is rotated, compared without telling how far it fits.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::{RpcError, read};

/// How long a token that was read is believed.
const BELIEVED: Duration = Duration::from_secs(30);

/// The fewest characters of a token: fewer can be tried out.
const LENGTH_MIN: usize = 16;

struct Held {
    text: String,
    read_at: Instant,
}

/// A token that a file holds; its text is never shown.
#[derive(Clone)]
pub struct BearerFile {
    path: PathBuf,
    flag: &'static str,
    held: Arc<Mutex<Held>>,
}

impl fmt::Debug for BearerFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("BearerFile").field(&self.path).finish()
    }
}

fn token(flag: &str, path: &Path) -> Result<String, RpcError> {
    let text = read(flag, path)?;
    let text = text.trim();
    if text.len() < LENGTH_MIN || !text.bytes().all(|b| b.is_ascii_graphic()) {
        return Err(RpcError(format!(
            "{flag} {}: must hold one token of at least {LENGTH_MIN} visible characters",
            path.display()
        )));
    }
    Ok(text.to_owned())
}

impl BearerFile {
    /// Reads the file that this flag names.
    ///
    /// # Errors
    /// [`RpcError`] where it cannot be read or holds no token.
    pub fn new(flag: &'static str, path: &Path) -> Result<Self, RpcError> {
        let held = Held {
            text: token(flag, path)?,
            read_at: Instant::now(),
        };
        Ok(Self {
            path: path.to_owned(),
            flag,
            held: Arc::new(Mutex::new(held)),
        })
    }

    /// The token; a file that cannot be read any more leaves the one that was read.
    #[must_use]
    pub fn text(&self) -> String {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if held.read_at.elapsed() > BELIEVED {
            held.read_at = Instant::now();
            match token(self.flag, &self.path) {
                Ok(text) => held.text = text,
                Err(error) => tracing::warn!(%error, "the token is the one that was read before"),
            }
        }
        held.text.clone()
    }

    /// `true` where `header` is `Bearer` and this token.
    #[must_use]
    pub fn fits(&self, header: &str) -> bool {
        let held = self.text();
        let shown = header.strip_prefix("Bearer ").unwrap_or("");
        // Every byte is looked at, so that the time taken says nothing.
        let differ = held
            .bytes()
            .zip(shown.bytes())
            .fold(0, |all, (a, b)| all | (a ^ b));
        held.len() == shown.len() && differ == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_fits_as_a_whole_or_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        std::fs::write(&path, "0123456789abcdef\n").unwrap();
        let file = BearerFile::new("--token-file", &path).unwrap();
        assert!(file.fits("Bearer 0123456789abcdef"));
        for bad in [
            "",
            "0123456789abcdef",
            "Bearer 0123456789abcde",
            "Bearer 0123456789abcdeg",
            "Bearer 0123456789abcdef0",
        ] {
            assert!(!file.fits(bad), "{bad:?}");
        }
        assert!(!format!("{file:?}").contains("0123"), "{file:?}");
        std::fs::write(&path, "short").unwrap();
        let told = BearerFile::new("--token-file", &path)
            .unwrap_err()
            .to_string();
        assert!(told.contains("at least 16"), "{told}");
    }
}
