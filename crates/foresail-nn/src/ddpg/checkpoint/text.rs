//! Numbers of a checkpoint that are no tensors: they stand as texts in its metadata, exactly.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

use super::CheckpointError;
use crate::safetensors::File;

fn text<'a>(file: &'a File, key: &str) -> &'a str {
    file.metadata.get(key).map_or("missing", String::as_str)
}

fn bad(file: &File, key: &str) -> CheckpointError {
    CheckpointError::Text {
        key: key.to_owned(),
        found: text(file, key).to_owned(),
    }
}

pub(super) fn json<T: serde::de::DeserializeOwned>(
    file: &File,
    key: &str,
) -> Result<T, CheckpointError> {
    serde_json::from_str(text(file, key)).map_err(|_| bad(file, key))
}

pub(super) fn whole(file: &File, key: &str) -> Result<u64, CheckpointError> {
    text(file, key).parse().map_err(|_| bad(file, key))
}

/// A finite number of at least zero.
pub(super) fn number(file: &File, key: &str) -> Result<f64, CheckpointError> {
    let number: f64 = text(file, key).parse().map_err(|_| bad(file, key))?;
    if number.is_finite() && number >= 0.0 {
        Ok(number)
    } else {
        Err(bad(file, key))
    }
}

/// A stream of chance as its key, its number and the place of its next word.
pub(super) fn chance(stream: &ChaCha8Rng) -> String {
    let key: String = stream
        .get_seed()
        .iter()
        .map(|b| format!("{b:02x}"))
        .collect();
    format!("{key} {} {}", stream.get_stream(), stream.get_word_pos())
}

pub(super) fn stream(file: &File, key: &str) -> Result<ChaCha8Rng, CheckpointError> {
    let parsed = || {
        let mut parts = text(file, key).split(' ');
        let (seed, number, place) = (parts.next()?, parts.next()?, parts.next()?);
        let mut bytes = [0; 32];
        if seed.len() != 64 || parts.next().is_some() {
            return None;
        }
        for (i, byte) in bytes.iter_mut().enumerate() {
            *byte = u8::from_str_radix(seed.get(2 * i..2 * i + 2)?, 16).ok()?;
        }
        let mut stream = ChaCha8Rng::from_seed(bytes);
        stream.set_stream(number.parse().ok()?);
        stream.set_word_pos(place.parse().ok()?);
        Some(stream)
    };
    parsed().ok_or_else(|| bad(file, key))
}
