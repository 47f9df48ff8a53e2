//! A safetensors file that is damaged, foreign or of another net is refused, and the net is kept.
#![allow(clippy::unwrap_used, reason = "tests may fail loudly")]

mod support;

use std::collections::BTreeMap;

use foresail_nn::safetensors::{SafetensorsError, load, read, write};
use support::Net;

fn good() -> Vec<u8> {
    write(&Net::new([1, 2, 1, 1], 1), &BTreeMap::new())
}

/// A file with this header and as many bytes of numbers.
fn file(header: &str, data: usize) -> Vec<u8> {
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header.as_bytes());
    bytes.extend(vec![0; data]);
    bytes
}

fn refused(bytes: &[u8], part: &str) {
    let message = read(bytes).unwrap_err().to_string();
    assert!(message.contains(part), "{message}");
}

#[test]
fn every_cut_off_file() {
    let bytes = good();
    for length in 0..bytes.len() {
        assert!(read(&bytes[..length]).is_err(), "{length} bytes");
    }
}

#[test]
fn every_flipped_byte_is_an_error_or_other_numbers_but_no_panic() {
    let bytes = good();
    for place in 0..bytes.len() {
        for flip in [1, 0x20, 0x80] {
            let mut other = bytes.clone();
            other[place] ^= flip;
            if let Ok(file) = read(&other) {
                let _ = load(&mut Net::new([1, 2, 1, 1], 1), &file);
            }
        }
    }
}

#[test]
fn lengths_that_lie() {
    let place = |shape: &str, first: u64, end: u64| {
        format!(r#"{{"a":{{"dtype":"F32","shape":{shape},"data_offsets":[{first},{end}]}}}}"#)
    };
    refused(&u64::MAX.to_le_bytes(), "at most 1048576");
    refused(&file(&place("[2]", 0, 4), 4), "does not fit");
    refused(
        &file(&place("[4294967296,4294967296]", 0, 8), 8),
        "does not fit",
    );
    refused(
        &file(&place("[18446744073709551615,5]", 0, 8), 8),
        "does not fit",
    );
    refused(&file(&place("[1]", 4, 8), 8), "does not fit");
    refused(&file(&place("[1]", 0, 4), 8), "belong to no tensor");
    refused(
        &file(&place("[1,1,1,1,1,1,1,1,1]", 0, 4), 4),
        "does not fit",
    );
    refused(&file("{\"a\":3}", 0), "tensor a");
    refused(&file("[1]", 0), "header");
    refused(&file(&"[".repeat(5000), 0), "header");
}

#[test]
fn two_tensors_on_the_same_bytes() {
    let one = r#"{"dtype":"F32","shape":[1],"data_offsets":[0,4]}"#;
    refused(
        &file(&format!(r#"{{"a":{one},"b":{one}}}"#), 4),
        "does not fit",
    );
}

#[test]
fn pickles_by_name_and_half_precision_with_the_mend() {
    for head in [b"PK\x03\x04zip".as_slice(), b"\x80\x02bare"] {
        assert_eq!(read(head), Err(SafetensorsError::Pickle));
    }
    refused(b"PK\x03\x04", "safetensors.torch.save_file");
    let half = r#"{"a":{"dtype":"F16","shape":[2],"data_offsets":[0,4]}}"#;
    refused(&file(half, 4), "convert it with `.float()`");
}

#[test]
fn a_file_of_another_net_leaves_the_net_as_it_was() {
    let mut net = Net::new([1, 3, 1, 1], 2);
    let before = net.clone();
    let other = read(&good()).unwrap();
    let message = load(&mut net, &other).unwrap_err().to_string();
    assert!(message.contains("this net needs"), "{message}");
    let mut more = read(&good()).unwrap();
    let tensor = more.tensors["fc.bias"].clone();
    more.tensors.insert("extra".to_owned(), tensor);
    let mut same = Net::new([1, 2, 1, 1], 3);
    let error = load(&mut same, &more).unwrap_err();
    assert!(matches!(error, SafetensorsError::Unknown { .. }), "{error}");
    let mut fewer = read(&good()).unwrap();
    fewer.tensors.remove("fc.bias");
    let error = load(&mut same, &fewer).unwrap_err().to_string();
    assert!(error.contains("fc.bias is missing"), "{error}");
    let mut broken = read(&good()).unwrap();
    broken.tensors.get_mut("fc.bias").unwrap().values[0] = f32::NAN;
    let error = load(&mut same, &broken).unwrap_err().to_string();
    assert!(error.contains("not finite"), "{error}");
    assert_eq!(net, before);
    assert_eq!(same, Net::new([1, 2, 1, 1], 3));
}
