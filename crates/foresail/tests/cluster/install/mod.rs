//! The installation: Helm, kustomize and `foresail manifests` make the same objects, and a real API
//! server takes them, with the strictest Pod Security Standard enforced.

mod accepted;
mod author;
pub(crate) mod rights;
mod same;

use std::path::PathBuf;
use std::process::{Command, Output};
use std::time::Duration;

use http::Method;
use serde_json::{Value, json};

use crate::Row;
use crate::rig::{Rig, cache, repository};

pub const ROWS: &[Row] = &[
    (
        "install::three_ways_make_the_same_objects",
        false,
        same::three_ways_make_the_same_objects,
    ),
    (
        "install::the_chart_refuses_what_it_cannot_do",
        false,
        same::the_chart_refuses_what_it_cannot_do,
    ),
    (
        "install::what_is_optional_is_taken_too",
        false,
        accepted::what_is_optional_is_taken_too,
    ),
    (
        "install::a_restricted_namespace_takes_the_pods",
        false,
        accepted::a_restricted_namespace_takes_the_pods,
    ),
    (
        "install::rights_are_enough_and_no_more",
        false,
        rights::rights_are_enough_and_no_more,
    ),
    (
        "install::an_author_needs_the_right_to_scale",
        false,
        author::an_author_needs_the_right_to_scale,
    ),
];

const MINUTE: Duration = Duration::from_secs(60);

/// An image that no registry has.
const IMAGE: &str = "image.invalid/foresail:0.1.0";

/// A tool that `cargo xtask cluster build` has built; a visible skip where it has not.
fn tool(name: &str) -> Option<PathBuf> {
    let path = cache::tool_binary(&repository().join("tests/install"), name).unwrap();
    if path.is_file() {
        return Some(path);
    }
    let told = format!("install: {name} is not built: `cargo xtask cluster build`");
    assert!(
        std::env::var_os("FORESAIL_REQUIRE_CLUSTER").is_none(),
        "{told}"
    );
    crate::skip(&told);
    None
}

fn output(command: &mut Command) -> Output {
    let output = command.output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {error}");
    output
}

/// `helm template` of the chart, in folders of this test's own.
fn helm(rig: &Rig, namespace: &str, values: &[&str]) -> Option<Command> {
    let mut command = Command::new(tool("helm")?);
    for name in ["CACHE", "CONFIG", "DATA"] {
        command.env(format!("HELM_{name}_HOME"), rig.folder.join("helm"));
    }
    command.args([
        "template",
        "foresail",
        "deploy/chart/foresail",
        "--namespace",
        namespace,
    ]);
    command.args(values.iter().map(|v| format!("--set={v}")));
    command.current_dir(repository());
    Some(command)
}

pub(crate) fn chart(rig: &Rig, namespace: &str, values: &[&str]) -> Option<Vec<Value>> {
    let image = ["image.repository=image.invalid/foresail"];
    let all = [&image, values].concat();
    let text = output(&mut helm(rig, namespace, &all)?).stdout;
    Some(documents(&text))
}

fn kustomize(folder: &str) -> Option<Vec<Value>> {
    let place = repository().join("deploy/kustomize").join(folder);
    Some(documents(
        &output(Command::new(tool("kustomize")?).arg("build").arg(place)).stdout,
    ))
}

pub(crate) fn manifests(args: &[&str]) -> Vec<Value> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_foresail"));
    documents(&output(command.args(["manifests", "--image", IMAGE]).args(args)).stdout)
}

fn documents(text: &[u8]) -> Vec<Value> {
    let all: Vec<Value> = serde_saphyr::from_multiple(std::str::from_utf8(text).unwrap()).unwrap();
    all.into_iter().filter(|object| !object.is_null()).collect()
}

pub(crate) fn text(object: &Value, path: &str) -> String {
    object
        .pointer(path)
        .and_then(Value::as_str)
        .unwrap_or("")
        .to_owned()
}

/// Applies objects as the API server would take them for good, or tells why it would not.
pub(crate) fn apply(rig: &Rig, objects: &[Value], dry: bool) {
    let mut refused = Vec::new();
    for object in objects {
        let query = if dry { "&dryRun=All" } else { "" };
        let path = format!(
            "{}?fieldManager=test&force=true&fieldValidation=Strict{query}",
            rig.path_of("default", object)
        );
        if let Err(why) = rig.ask(Method::PATCH, &path, "application/apply-patch+yaml", object) {
            refused.push(format!("{}: {}", text(object, "/kind"), why.message));
        }
    }
    assert!(refused.is_empty(), "{refused:#?}");
}

/// What of these is about rights: an account, roles, bindings.
pub(crate) fn rights_of(objects: Vec<Value>) -> Vec<Value> {
    let is_right = |o: &Value| {
        text(o, "/apiVersion").starts_with("rbac.") || text(o, "/kind") == "ServiceAccount"
    };
    objects.into_iter().filter(is_right).collect()
}

fn restricted_namespace(rig: &Rig, name: &str) {
    rig.namespace(name);
    let labels = json!({"metadata": {"labels": {
        "pod-security.kubernetes.io/enforce": "restricted", "pod-security.kubernetes.io/warn": "restricted",
    }}});
    rig.patch(&format!("/api/v1/namespaces/{name}"), &labels)
        .unwrap();
}
