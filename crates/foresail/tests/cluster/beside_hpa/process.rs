//! A controller as a child, with the settings of the control plane's own HPA controller.

use std::fs::File;
use std::process::{Child, Command, Stdio};

use crate::rig::Rig;

/// A controller that runs; it ends with this.
pub struct Controller {
    child: Child,
}

impl Controller {
    /// Serves one namespace; `more` are further arguments.
    pub fn start(rig: &Rig, namespace: &str, more: &[String]) -> Self {
        let folder = rig.folder.join(format!("controller-{namespace}"));
        std::fs::create_dir_all(&folder).unwrap();
        let log = File::create(folder.join("log.jsonl")).unwrap();
        // What `tests/cluster/README.md` names as the rig's own, in the order of its table.
        let settings = [
            ("--hpa-initial-readiness-delay", "1s"),
            ("--hpa-cpu-initialization-period", "5s"),
            ("--hpa-downscale-stabilization", "5m"),
        ];
        let child = Command::new(env!("CARGO_BIN_EXE_foresail"))
            .args(["run", "controller", "--log-format", "json"])
            .args(settings.iter().flat_map(|(name, value)| [*name, *value]))
            .args(["--namespace", namespace, "--watch-namespace", namespace])
            .arg("--kubeconfig")
            .arg(rig.folder.join("kubeconfig"))
            .arg("--store")
            .arg(folder.join("store"))
            .args(more)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        Self { child }
    }

    /// It must not have ended by itself.
    pub fn check(&mut self) {
        let ended = self.child.try_wait().unwrap();
        assert!(ended.is_none(), "the controller ended: {ended:?}");
    }
}

impl Drop for Controller {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
