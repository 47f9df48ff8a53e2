//! A model as bytes that can run no code: a line of JSON, then the model's own state.
//!
//! The line names the kind of model, the version of the form and the hash of everything else, so
//! that a damaged file and one of another version are told apart and refused whole.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// Version of the form; a file of another one is refused.
pub const VERSION: u32 = 2;

/// The most bytes of a model file.
pub const BYTES_MAX: usize = 64 << 20;

/// The most models within one file: those of an ensemble with what they stand on.
///
/// A file made to hold one in another without end would exhaust the stack.
pub(crate) const NESTED_MAX: usize = 64;

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
    /// Head or state are not what was written.
    Damaged,
    /// Models within models, more than any has.
    Nested,
}

/// The first line, as it is written.
#[derive(Serialize)]
struct Line<'a, H> {
    foresail: &'a str,
    v: u32,
    #[serde(flatten)]
    head: &'a H,
    /// blake3 of the line without it and of the state, in hexadecimal.
    #[serde(skip_serializing_if = "Option::is_none")]
    hash: Option<String>,
}

impl<H: Serialize> Line<'_, H> {
    /// The line with its hash.
    fn sealed(mut self, state: &[u8]) -> Vec<u8> {
        self.hash = None;
        let mut hasher = blake3::Hasher::new();
        hasher.update(&serde_json::to_vec(&self).unwrap_or_default());
        hasher.update(state);
        self.hash = Some(hasher.finalize().to_hex().to_string());
        serde_json::to_vec(&self).unwrap_or_default()
    }
}

/// The bytes of a model: `head` with the kind, version and hash, then `state`.
pub(crate) fn seal(kind: &str, head: &impl Serialize, state: &[u8]) -> Vec<u8> {
    let line = Line {
        foresail: kind,
        v: VERSION,
        head,
        hash: None,
    };
    let mut bytes = line.sealed(state);
    bytes.push(b'\n');
    bytes.extend(state);
    bytes
}

/// The head and the state of what [`seal`] gave for this kind.
pub(crate) fn open<'a, H: Serialize + DeserializeOwned>(
    kind: &str,
    bytes: &'a [u8],
) -> Result<(H, &'a [u8]), Broken> {
    open_within(kind, bytes, BYTES_MAX)
}

/// The same, for a kind whose files may be as long as `most` bytes.
pub(crate) fn open_within<'a, H: Serialize + DeserializeOwned>(
    kind: &str,
    bytes: &'a [u8],
    most: usize,
) -> Result<(H, &'a [u8]), Broken> {
    if bytes.len() > most {
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
    line.remove("hash");
    let head = serde_json::from_value(Value::Object(line)).map_err(|_| Broken::Form)?;
    let state = &bytes[end + 1..];
    // To the byte: a line written in another way could hide a model from the count.
    let sealed = Line {
        foresail: kind,
        v: VERSION,
        head: &head,
        hash: None,
    };
    if sealed.sealed(state) != bytes[..end] {
        return Err(Broken::Damaged);
    }
    let begin = format!("{{\"foresail\":\"{kind}\",\"v\":");
    let begins = bytes
        .windows(begin.len())
        .filter(|w| *w == begin.as_bytes());
    if begins.count() > NESTED_MAX {
        return Err(Broken::Nested);
    }
    Ok((head, state))
}
