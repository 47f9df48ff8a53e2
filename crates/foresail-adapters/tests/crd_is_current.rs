//! `deploy/crd.yaml` is what the types say, and an API server can take it.

use std::path::Path;

use foresail_adapters::kubernetes::crd;

/// What an API server takes in one object comfortably; 1.5 MiB is its limit.
const BYTES_MAX: usize = 200 * 1024;

#[test]
fn the_committed_definition_is_made_from_the_types() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/crd.yaml");
    let fresh = crd::crd_yaml().unwrap();
    if std::env::var_os("FORESAIL_BLESS").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, &fresh).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        committed == fresh,
        "deploy/crd.yaml is stale: FORESAIL_BLESS=1 cargo test -p foresail-adapters --test crd_is_current"
    );
    assert!(fresh.len() < BYTES_MAX, "{} bytes", fresh.len());
}
