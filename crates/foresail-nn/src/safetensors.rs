//! Safetensors: tensors by name, as PyTorch's `safetensors.torch` writes and reads them.
//!
//! Eight bytes of header length, a header of JSON, then the numbers in little endian. Nothing of it
//! can run code. Every length is checked against a limit and against the bytes that are there,
//! before anything of that length is made. Source of the form: the safetensors format, version 0.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::parameter::{Layer, Parameter};

/// The most bytes of a file.
pub const BYTES_MAX: usize = 64 << 20;

/// The most bytes of a header.
pub const HEADER_MAX: usize = 1 << 20;

/// The most tensors of a file.
pub const TENSORS_MAX: usize = 1024;

/// The most dimensions of a tensor.
pub const DIMENSIONS_MAX: usize = 8;

/// Key of the header under which texts stand.
const METADATA: &str = "__metadata__";

/// Why a file was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SafetensorsError {
    /// PyTorch's pickle, which can run code.
    #[error(
        "a PyTorch pickle (.pt, .pth) can run code and is not read; save the state dict with safetensors.torch.save_file"
    )]
    Pickle,
    /// Longer than any net.
    #[error("the file has {bytes} bytes, at most {most} are read")]
    TooLarge {
        /// Its length.
        bytes: usize,
        /// The most that are read.
        most: usize,
    },
    /// Not such a file, or cut off.
    #[error("not a safetensors file, or a damaged one: {why}; write it anew")]
    Damaged {
        /// What is wrong.
        why: String,
    },
    /// A type of number that is not read.
    #[error("tensor {name} is of type {dtype}, only F32 is read; convert it with `.float()`")]
    Dtype {
        /// Its name.
        name: String,
        /// What it says.
        dtype: String,
    },
    /// A tensor that the net needs.
    #[error("tensor {name} is missing; the file has {}", found.join(", "))]
    Missing {
        /// Its name.
        name: String,
        /// Those that are there.
        found: Vec<String>,
    },
    /// A tensor that the net does not know.
    #[error("tensor {name} is not part of this net; leave it out of the file")]
    Unknown {
        /// Its name.
        name: String,
    },
    /// A tensor of another shape.
    #[error("tensor {name} has shape {found:?}, this net needs {needed:?}")]
    Shape {
        /// Its name.
        name: String,
        /// The file's shape.
        found: Vec<usize>,
        /// The net's shape.
        needed: Vec<usize>,
    },
    /// A number that is no number.
    #[error("tensor {name} holds a number that is not finite; train the net again")]
    NotFinite {
        /// Its name.
        name: String,
    },
}

/// One tensor.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    /// Its shape.
    pub shape: Vec<usize>,
    /// Row by row.
    pub values: Vec<f32>,
}

/// What a file holds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct File {
    /// Texts by name.
    pub metadata: BTreeMap<String, String>,
    /// Tensors by name.
    pub tensors: BTreeMap<String, Tensor>,
}

/// A tensor in the header.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Place {
    dtype: String,
    shape: Vec<usize>,
    data_offsets: [usize; 2],
}

fn damaged(why: impl Into<String>) -> SafetensorsError {
    SafetensorsError::Damaged { why: why.into() }
}

/// A tensor to be written.
#[derive(Clone, Debug)]
pub struct View<'a> {
    /// Its name.
    pub name: String,
    /// Its shape.
    pub shape: Vec<usize>,
    /// Row by row.
    pub values: &'a [f32],
}

/// Parameters and statistics of a net as a file, with texts beside them.
#[must_use]
pub fn write(net: &impl Layer<f32>, metadata: &BTreeMap<String, String>) -> Vec<u8> {
    let tensors = net.parameters().into_iter().chain(net.statistics());
    let views: Vec<View<'_>> = tensors
        .map(|(name, parameter)| View {
            name,
            shape: parameter.shape.clone(),
            values: &parameter.value,
        })
        .collect();
    write_views(&views, metadata)
}

/// Tensors as a file, in the order given, with texts beside them.
#[must_use]
pub fn write_views(tensors: &[View<'_>], metadata: &BTreeMap<String, String>) -> Vec<u8> {
    let mut header = serde_json::Map::new();
    if !metadata.is_empty() {
        header.insert(METADATA.to_owned(), serde_json::json!(metadata));
    }
    let mut first = 0;
    for tensor in tensors {
        let end = first + 4 * tensor.values.len();
        let place = Place {
            dtype: "F32".to_owned(),
            shape: tensor.shape.clone(),
            data_offsets: [first, end],
        };
        header.insert(tensor.name.clone(), serde_json::json!(place));
        first = end;
    }
    let mut header = serde_json::Value::Object(header).to_string().into_bytes();
    // Numbers begin at a multiple of 8, as other writers have it.
    header.resize(header.len().next_multiple_of(8), b' ');
    let mut bytes = Vec::with_capacity(8 + header.len() + first);
    bytes.extend((header.len() as u64).to_le_bytes());
    bytes.extend(header);
    let numbers = tensors.iter().flat_map(|t| t.values);
    bytes.extend(numbers.flat_map(|v| v.to_le_bytes()));
    bytes
}

impl File {
    /// The numbers of a tensor of a shape, all of them finite.
    ///
    /// # Errors
    /// [`SafetensorsError`] for a tensor that is missing, of another shape or not finite.
    pub fn numbers(&self, name: &str, shape: &[usize]) -> Result<&[f32], SafetensorsError> {
        let Some(tensor) = self.tensors.get(name) else {
            return Err(SafetensorsError::Missing {
                name: name.to_owned(),
                found: self.tensors.keys().cloned().collect(),
            });
        };
        if tensor.shape != shape {
            return Err(SafetensorsError::Shape {
                name: name.to_owned(),
                found: tensor.shape.clone(),
                needed: shape.to_vec(),
            });
        }
        if tensor.values.iter().any(|v| !v.is_finite()) {
            return Err(SafetensorsError::NotFinite {
                name: name.to_owned(),
            });
        }
        Ok(&tensor.values)
    }
}

/// Reads a file whole.
///
/// # Errors
/// [`SafetensorsError`] where it is something else, damaged, too large or of other numbers.
pub fn read(bytes: &[u8]) -> Result<File, SafetensorsError> {
    read_at_most(bytes, BYTES_MAX)
}

/// As [`read`], with a limit of its own on the file's length, bytes.
///
/// # Errors
/// As [`read`].
pub fn read_at_most(bytes: &[u8], most: usize) -> Result<File, SafetensorsError> {
    if bytes.len() > most {
        return Err(SafetensorsError::TooLarge {
            bytes: bytes.len(),
            most,
        });
    }
    // A zip archive or a bare pickle: the two forms of torch.save.
    if bytes.starts_with(b"PK\x03\x04") || bytes.starts_with(b"\x80\x02") {
        return Err(SafetensorsError::Pickle);
    }
    let (header, data) = split(bytes)?;
    let header: BTreeMap<String, serde_json::Value> =
        serde_json::from_slice(header).map_err(|e| damaged(format!("its header: {e}")))?;
    if header.len() > TENSORS_MAX {
        return Err(damaged(format!(
            "{} tensors, at most {TENSORS_MAX} are read",
            header.len()
        )));
    }
    let mut file = File::default();
    let mut places = Vec::new();
    for (name, value) in header {
        if name == METADATA {
            let texts = serde_json::from_value(value);
            file.metadata = texts.map_err(|e| damaged(format!("its {METADATA}: {e}")))?;
            continue;
        }
        let place: Place =
            serde_json::from_value(value).map_err(|e| damaged(format!("tensor {name}: {e}")))?;
        places.push((name, place));
    }
    places.sort_by_key(|(_, place)| place.data_offsets);
    let mut next = 0;
    for (name, place) in places {
        let tensor = tensor(&name, &place, next, data)?;
        next = place.data_offsets[1];
        file.tensors.insert(name, tensor);
    }
    if next == data.len() {
        Ok(file)
    } else {
        Err(damaged("bytes that belong to no tensor"))
    }
}

/// Header and numbers.
fn split(bytes: &[u8]) -> Result<(&[u8], &[u8]), SafetensorsError> {
    let (length, rest) = bytes
        .split_first_chunk::<8>()
        .ok_or_else(|| damaged("fewer than 8 bytes"))?;
    let length = usize::try_from(u64::from_le_bytes(*length)).unwrap_or(usize::MAX);
    if length > HEADER_MAX {
        return Err(damaged(format!(
            "a header of {length} bytes, at most {HEADER_MAX} are read"
        )));
    }
    rest.split_at_checked(length)
        .ok_or_else(|| damaged("it ends within the header"))
}

/// The tensor at its place, which must begin at `next`: no holes, no numbers used twice.
fn tensor(name: &str, place: &Place, next: usize, data: &[u8]) -> Result<Tensor, SafetensorsError> {
    if place.dtype != "F32" {
        return Err(SafetensorsError::Dtype {
            name: name.to_owned(),
            dtype: place.dtype.clone(),
        });
    }
    let [first, end] = place.data_offsets;
    let count = place
        .shape
        .iter()
        .try_fold(1_usize, |product, n| product.checked_mul(*n));
    let fits = place.shape.len() <= DIMENSIONS_MAX
        && first == next
        && count.and_then(|c| c.checked_mul(4)?.checked_add(first)) == Some(end);
    let bytes = data.get(first..end).filter(|_| fits);
    let bytes = bytes.ok_or_else(|| {
        damaged(format!(
            "tensor {name}: shape {:?} does not fit bytes {first} to {end} of {}",
            place.shape,
            data.len()
        ))
    })?;
    let (numbers, _) = bytes.as_chunks::<4>();
    Ok(Tensor {
        shape: place.shape.clone(),
        values: numbers.iter().map(|b| f32::from_le_bytes(*b)).collect(),
    })
}

/// Puts the tensors of a file into a net; names and shapes must be the net's, no more and no fewer.
///
/// The net is left as it was where anything is wrong.
///
/// # Errors
/// [`SafetensorsError`] for a tensor that is missing, unknown, of another shape or not finite.
pub fn load(net: &mut impl Layer<f32>, file: &File) -> Result<(), SafetensorsError> {
    let own: Vec<_> = net
        .parameters()
        .into_iter()
        .chain(net.statistics())
        .collect();
    for (name, parameter) in &own {
        file.numbers(name, &parameter.shape)?;
    }
    let is_own = |name: &String| own.iter().any(|(own, _)| own == name);
    if let Some(name) = file.tensors.keys().find(|name| !is_own(name)) {
        return Err(SafetensorsError::Unknown { name: name.clone() });
    }
    let take = |(name, parameter): (String, &mut Parameter<f32>)| {
        if let Some(tensor) = file.tensors.get(&name) {
            parameter.value.copy_from_slice(&tensor.values);
        }
    };
    net.parameters_mut().into_iter().for_each(take);
    net.statistics_mut().into_iter().for_each(take);
    Ok(())
}
