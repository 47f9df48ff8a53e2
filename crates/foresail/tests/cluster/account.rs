//! The account under which controllers of tests run: the product's own, with what its manifests grant.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::install::{apply, manifests, rights, rights_of};
use crate::rig::{Rig, wait_until};

/// The account's name as the API server knows it.
pub fn user(namespace: &str) -> String {
    format!("system:serviceaccount:{namespace}:foresail")
}

/// A token of the account in a namespace; its rights there are granted before the first.
pub fn token(rig: &Rig, namespace: &str) -> String {
    static GRANTED: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
    let mut granted = GRANTED.lock().unwrap_or_else(PoisonError::into_inner);
    if granted.insert(namespace.to_owned()) {
        grant(rig, namespace);
    }
    drop(granted);
    rig.token(namespace, "foresail")
}

fn grant(rig: &Rig, namespace: &str) {
    let args = [
        "--namespace",
        namespace,
        "--watch-namespace",
        namespace,
        "--hpa-floor",
        "--vertical",
    ];
    apply(rig, &rights_of(manifests(&args)), false);
    // A right takes a moment to reach the authorizer; these are one of each role.
    let user = user(namespace);
    for (verb, what) in [
        ("list", "/pods"),
        ("update", "apps/deployments/scale"),
        ("patch", "autoscaling/horizontalpodautoscalers"),
        ("patch", "/pods/resize"),
        ("create", "coordination.k8s.io/leases"),
    ] {
        let told = format!("the right to {verb} {what} in {namespace}");
        wait_until(Duration::from_secs(30), &told, || {
            rights::may(rig, &user, verb, what, namespace).then_some(())
        });
    }
}
