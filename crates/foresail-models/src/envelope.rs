//! A model as bytes that can run no code: a line of JSON, then the model's own state.
//!
//! The line names the kind of model, the version of the form and the hash of what follows, so that a
//! damaged file and one of another version are told apart and refused whole.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// Version of the form; a file of another one is refused.
pub const VERSION: u32 = 1;

/// The most bytes of a model file.
pub const BYTES_MAX: usize = 64 << 20;

/// Why an envelope was not opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Broken {
    /// Not such a file at all.
    Form,
    /// PyTorch's pickle, which can run code.
    Pickle,
    /// Another version of the form.
    Version(u32),
    /// Longer than any model.
    TooLarge(usize),
    /// The state is not what was written.
    Damaged,
}

/// The first line, as it is written.
#[derive(Serialize)]
struct Line<'a, H> {
    foresail: &'a str,
    v: u32,
    #[serde(flatten)]
    head: &'a H,
    /// blake3 of the state, in hexadecimal.
    hash: String,
}

/// The bytes of a model: `head` with the kind, version and hash, then `state`.
pub(crate) fn seal(kind: &str, head: &impl Serialize, state: &[u8]) -> Vec<u8> {
    let line = Line {
        foresail: kind,
        v: VERSION,
        head,
        hash: blake3::hash(state).to_hex().to_string(),
    };
    let mut bytes = serde_json::to_vec(&line).unwrap_or_default();
    bytes.push(b'\n');
    bytes.extend(state);
    bytes
}

/// The head and the state of what [`seal`] gave for this kind.
pub(crate) fn open<'a, H: DeserializeOwned>(
    kind: &str,
    bytes: &'a [u8],
) -> Result<(H, &'a [u8]), Broken> {
    if bytes.len() > BYTES_MAX {
        return Err(Broken::TooLarge(bytes.len()));
    }
    // A zip archive or a bare pickle: the two forms of torch.save.
    if bytes.starts_with(b"PK\x03\x04") || bytes.starts_with(b"\x80\x02") {
        return Err(Broken::Pickle);
    }
    let end = bytes.iter().position(|b| *b == b'\n').ok_or(Broken::Form)?;
    let line = serde_json::from_slice(&bytes[..end]).map_err(|_| Broken::Form)?;
    let Value::Object(mut line) = line else {
        return Err(Broken::Form);
    };
    let said = line.remove("foresail");
    let version = line.remove("v").as_ref().and_then(Value::as_u64);
    match version.and_then(|v| u32::try_from(v).ok()) {
        Some(VERSION) => {}
        Some(found) if said.is_some() => return Err(Broken::Version(found)),
        _ => return Err(Broken::Form),
    }
    if said.as_ref().and_then(Value::as_str) != Some(kind) {
        return Err(Broken::Form);
    }
    let hash = line.remove("hash");
    let head = serde_json::from_value(Value::Object(line)).map_err(|_| Broken::Form)?;
    let state = &bytes[end + 1..];
    if hash.as_ref().and_then(Value::as_str) != Some(blake3::hash(state).to_hex().as_str()) {
        return Err(Broken::Damaged);
    }
    Ok((head, state))
}
