//! What tests ask of the API server, as plain JSON.

use http::{Method, Request};
use serde_json::{Value, json};

use crate::rig::Rig;

/// What the API server said: the body, or its `Status` where it refused.
pub type Answer = Result<Value, Box<Refusal>>;

/// A refusal: the code of HTTP, the reason and the message.
#[derive(Debug)]
pub struct Refusal {
    pub code: u16,
    pub reason: String,
    pub message: String,
}

/// Resources of the kinds that tests make; others are asked of the API server.
const MERGE: &str = "application/merge-patch+json";
const STRATEGIC: &str = "application/strategic-merge-patch+json";
const APPLY: &str = "application/apply-patch+yaml";

impl Rig {
    /// One request by the administrator.
    pub fn ask(&self, method: Method, path: &str, content: &str, body: &Value) -> Answer {
        let body = if body.is_null() {
            Vec::new()
        } else {
            serde_json::to_vec(body).unwrap()
        };
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("content-type", content)
            .body(body)
            .unwrap();
        match self.block(self.client().request_text(request)) {
            Ok(text) => Ok(serde_json::from_str(&text).unwrap_or(Value::String(text))),
            Err(kube::Error::Api(status)) => Err(Box::new(Refusal {
                code: status.code,
                reason: status.reason,
                message: status.message,
            })),
            Err(error) => Err(Box::new(Refusal {
                code: 0,
                reason: "NoAnswer".to_owned(),
                message: error.to_string(),
            })),
        }
    }

    /// A read that got no answer, as over a connection that was just closed for idleness, is made again.
    pub fn get(&self, path: &str) -> Answer {
        let read = || self.ask(Method::GET, path, "application/json", &Value::Null);
        match read() {
            Err(refusal) if refusal.code == 0 => read(),
            answer => answer,
        }
    }

    pub fn post(&self, path: &str, body: &Value) -> Answer {
        self.ask(Method::POST, path, "application/json", body)
    }

    pub fn put(&self, path: &str, body: &Value) -> Answer {
        self.ask(Method::PUT, path, "application/json", body)
    }

    pub fn delete(&self, path: &str) -> Answer {
        self.ask(Method::DELETE, path, "application/json", &Value::Null)
    }

    /// A merge patch.
    pub fn patch(&self, path: &str, body: &Value) -> Answer {
        self.ask(Method::PATCH, path, MERGE, body)
    }

    /// Sets or, with null, removes annotations of an object.
    pub fn annotate(&self, path: &str, annotations: &Value) {
        let patch = json!({"metadata": {"annotations": annotations}});
        self.patch(path, &patch).unwrap();
    }

    /// Asks a pod's kubelet for other resources of one container.
    pub fn resize(&self, namespace: &str, pod: &str, container: &str, resources: &Value) -> Answer {
        let path = format!("/api/v1/namespaces/{namespace}/pods/{pod}/resize");
        let body = json!({"spec": {"containers": [{"name": container, "resources": resources}]}});
        self.ask(Method::PATCH, &path, STRATEGIC, &body)
    }

    /// A namespace of the test's own; pods can be made in it as soon as its account is there.
    pub fn namespace(&self, name: &str) {
        let body = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
        self.post("/api/v1/namespaces", &body).unwrap();
        let account = format!("/api/v1/namespaces/{name}/serviceaccounts/default");
        // The cluster's own controllers make it, which may still look for a server that was killed before.
        let limit = std::time::Duration::from_secs(120);
        crate::rig::wait_until(limit, &account, || self.get(&account).ok());
    }

    /// Applies every document of a YAML text, in the namespace where one names none.
    pub fn apply(&self, namespace: &str, yaml: &str) {
        for document in yaml.split("\n---") {
            let object: Value = serde_saphyr::from_str(document).unwrap();
            if !object.is_null() {
                self.apply_object(namespace, &object).unwrap();
            }
        }
    }

    /// Applies one object as the field manager `test`.
    pub fn apply_object(&self, namespace: &str, object: &Value) -> Answer {
        let path = self.path_of(namespace, object);
        let query = format!("{path}?fieldManager=test&force=true");
        self.ask(Method::PATCH, &query, APPLY, object)
    }

    /// Where an object is, by what the API server says of its kind.
    pub fn path_of(&self, namespace: &str, object: &Value) -> String {
        let text = |path: &str| object.pointer(path).and_then(Value::as_str);
        let version = text("/apiVersion").expect("an apiVersion");
        let kind = text("/kind").expect("a kind");
        let root = if version.contains('/') {
            format!("/apis/{version}")
        } else {
            format!("/api/{version}")
        };
        let list = self.get(&root).unwrap();
        let known = list["resources"].as_array().unwrap();
        let resource = known
            .iter()
            .find(|r| r["kind"] == kind && !r["name"].as_str().unwrap().contains('/'))
            .unwrap_or_else(|| panic!("{version} has no {kind}"));
        let plural = resource["name"].as_str().unwrap();
        let name = text("/metadata/name").expect("a name");
        if resource["namespaced"] == true {
            let namespace = text("/metadata/namespace").unwrap_or(namespace);
            format!("{root}/namespaces/{namespace}/{plural}/{name}")
        } else {
            format!("{root}/{plural}/{name}")
        }
    }

    /// A Deployment with one container `main` and pods `app=NAME`; `resources` and `annotations` are
    /// those of its pods.
    pub fn deployment(
        &self,
        (namespace, name): (&str, &str),
        replicas: i32,
        resources: &Value,
        annotations: &Value,
    ) {
        let object = json!({
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {"name": name, "namespace": namespace},
            "spec": {
                "replicas": replicas,
                "selector": {"matchLabels": {"app": name}},
                "template": {
                    "metadata": {"labels": {"app": name}, "annotations": annotations},
                    "spec": {"containers": [{"name": "main", "image": "played", "resources": resources}]},
                },
            },
        });
        // Made and not applied: nobody owns `replicas` by the first write.
        let path = format!("/apis/apps/v1/namespaces/{namespace}/deployments");
        self.post(&path, &object).unwrap();
    }

    /// Replicas that a Deployment asks for, and its ready ones.
    pub fn replicas(&self, namespace: &str, name: &str) -> (i64, i64) {
        let path = format!("/apis/apps/v1/namespaces/{namespace}/deployments/{name}");
        let object = self.get(&path).unwrap();
        let number = |path: &str| object.pointer(path).and_then(Value::as_i64).unwrap_or(0);
        (number("/spec/replicas"), number("/status/readyReplicas"))
    }

    /// Pods of a Deployment that are not being deleted, by name.
    pub fn pods(&self, namespace: &str, name: &str) -> Vec<Value> {
        let path = format!("/api/v1/namespaces/{namespace}/pods?labelSelector=app%3D{name}");
        let list = self.get(&path).unwrap();
        let pods = list["items"].as_array().unwrap().iter();
        pods.filter(|pod| pod.pointer("/metadata/deletionTimestamp").is_none())
            .cloned()
            .collect()
    }

    /// A token of a service account, as its pod would have it.
    pub fn token(&self, namespace: &str, account: &str) -> String {
        let path = format!("/api/v1/namespaces/{namespace}/serviceaccounts/{account}/token");
        let body = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"audiences": []}});
        let answer = self.post(&path, &body).unwrap();
        answer["status"]["token"].as_str().unwrap().to_owned()
    }

    /// A kubeconfig with a token, for a process that a test starts.
    pub fn kubeconfig_of(&self, file: &str, token: &str) -> std::path::PathBuf {
        let text = std::fs::read_to_string(self.folder.join("kubeconfig")).unwrap();
        let (head, _) = text.split_once("    token: ").unwrap();
        let path = self.folder.join(file);
        std::fs::write(&path, format!("{head}    token: {token}\n")).unwrap();
        path
    }
}
