//! One control plane for all tests of this process: found, started, asked, and ended.

use std::fs::{self, File};
use std::future::Future;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, OnceLock};
use std::time::{Duration, Instant};

use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use serde_json::Value;
use tokio::runtime::Runtime;

#[path = "../../../../tests/cluster/cache.rs"]
pub mod cache;

/// A control plane that runs.
pub struct Rig {
    /// Its files: `kubeconfig`, `audit.log`, `logs`, `demand`, `pki`.
    pub folder: PathBuf,
    /// Its first port: the API server's.
    pub base: u16,
    binary: PathBuf,
    child: Mutex<Child>,
    runtime: Runtime,
    config: Config,
    client: Client,
}

static RIG: OnceLock<Result<Rig, String>> = OnceLock::new();

/// Why there is none; `None` where one can be started.
pub fn missing() -> Option<String> {
    if std::env::var_os("FORESAIL_WITHOUT_CLUSTER").is_some() {
        return Some("run by `cargo xtask test-cluster`, which needs go >= 1.26".to_owned());
    }
    match binary() {
        Ok(path) if path.is_file() => None,
        Ok(_) => Some(
            "the control plane is not built: `cargo xtask cluster build` (needs go >= 1.26)"
                .to_owned(),
        ),
        Err(error) => Some(error.to_string()),
    }
}

fn binary() -> std::io::Result<PathBuf> {
    cache::rig_binary(&repository().join("tests/cluster"))
}

/// The repository's folder.
pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The control plane of this process, started by the first test that asks.
pub fn shared() -> Result<&'static Rig, String> {
    RIG.get_or_init(|| Rig::start().and_then(|rig| rig.ok_or("there is none".to_owned())))
        .as_ref()
        .map_err(Clone::clone)
}

/// Ends it; its folder stays where a test failed.
pub fn end(failed: bool) {
    let Some(Ok(rig)) = RIG.get() else { return };
    let mut child = rig.child.lock().unwrap();
    // Its standard input ends, so it ends its components and then itself.
    drop(child.stdin.take());
    let _ = child.wait();
    if failed {
        println!("the files of the control plane: {}", rig.folder.display());
    } else {
        let _ = fs::remove_dir_all(&rig.folder);
    }
}

impl Rig {
    /// Starts one where it is built.
    pub fn start() -> Result<Option<Self>, String> {
        if missing().is_some() {
            return Ok(None);
        }
        let binary = binary().map_err(|e| e.to_string())?;
        let folder = folder()?;
        let errors = folder.join("supervisor.log");
        let mut child = Command::new(&binary)
            .arg("up")
            .arg(&folder)
            .args(["--foreground", "--until-stdin-ends"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(File::create(&errors).map_err(|e| e.to_string())?)
            .spawn()
            .map_err(|e| format!("{}: {e}", binary.display()))?;
        let mut ready = String::new();
        let stdout = child.stdout.take().expect("it is piped");
        BufReader::new(stdout)
            .read_line(&mut ready)
            .map_err(|e| e.to_string())?;
        let Some(kubeconfig) = ready.trim().strip_prefix("export KUBECONFIG=") else {
            let _ = child.wait();
            let told = fs::read_to_string(&errors).unwrap_or_default();
            return Err(format!("the control plane did not start:\n{told}"));
        };
        Self::connect(binary, folder.clone(), child, Path::new(kubeconfig)).map(Some)
    }

    fn connect(
        binary: PathBuf,
        folder: PathBuf,
        child: Child,
        kubeconfig: &Path,
    ) -> Result<Self, String> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .map_err(|e| e.to_string())?;
        let config = runtime.block_on(config(kubeconfig))?;
        let client = runtime.block_on(async { Client::try_from(config.clone()) });
        let base = config.cluster_url.port_u16().ok_or("no port")?;
        Ok(Self {
            folder,
            base,
            binary,
            child: Mutex::new(child),
            client: client.map_err(|e| e.to_string())?,
            config,
            runtime,
        })
    }

    /// A client that may do everything.
    pub fn client(&self) -> Client {
        self.client.clone()
    }

    /// Settings of a client that shows this token.
    pub fn config_of(&self, token: &str) -> Config {
        let mut config = self.config.clone();
        config.auth_info = kube::config::AuthInfo {
            token: Some(token.to_owned().into()),
            ..Default::default()
        };
        config
    }

    /// Settings of a client that adds nothing to a request and waits for its answer for ever.
    pub fn config_for_proxy(&self) -> Config {
        let mut config = self.config.clone();
        config.auth_info = kube::config::AuthInfo::default();
        config.read_timeout = None;
        config
    }

    /// Runs what is asynchronous to its end.
    pub fn block<F: Future>(&self, future: F) -> F::Output {
        self.runtime.block_on(future)
    }

    /// Runs a command of the control plane's binary that ends with its folder.
    fn command(&self, words: &[&str]) {
        let output = Command::new(&self.binary)
            .args(words)
            .arg(&self.folder)
            .output()
            .unwrap();
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{words:?}: {error}");
    }

    /// Ends one component at once, as a crash would. The test must run alone.
    pub fn stop(&self, component: &str) {
        self.command(&["stop", component]);
    }

    /// Starts it again; what needs it may take some seconds more.
    pub fn start_again(&self, component: &str) {
        self.command(&["start", component]);
    }

    /// Sends `STOP`, `CONT`, `TERM` or `KILL` to one component. The test must run alone.
    pub fn signal(&self, name: &str, component: &str) {
        self.command(&["signal", name, component]);
    }

    /// Gives the load driver a script of demand (`tests/cluster/README.md`); it is taken within two
    /// seconds. The same name replaces it.
    pub fn script(&self, name: &str, yaml: &str) {
        let file = self.folder.join(format!("{name}.script"));
        fs::write(&file, yaml).unwrap();
        let output = Command::new(&self.binary)
            .arg("script")
            .arg(&self.folder)
            .arg(name)
            .arg(&file)
            .output()
            .unwrap();
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{error}");
    }

    /// The address of what Prometheus may scrape: `/metrics` (demand), `/containers` (usage).
    pub fn exporter(&self) -> String {
        format!("http://127.0.0.1:{}", self.base + 7)
    }

    /// Where the audit log ends now.
    pub fn mark(&self) -> u64 {
        fs::metadata(self.folder.join("audit.log")).unwrap().len()
    }

    /// What was asked of the API server since a mark, one event of the audit log each. An event is
    /// written when its answer is, so the last ones may come a moment later.
    pub fn audit(&self, since: u64) -> Vec<Value> {
        let mut file = File::open(self.folder.join("audit.log")).unwrap();
        file.seek(SeekFrom::Start(since)).unwrap();
        let mut text = String::new();
        file.read_to_string(&mut text).unwrap();
        // The last line may be half written.
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        whole
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    /// Rows of the demand's record of one workload, the header first.
    pub fn demand(&self, namespace: &str, name: &str) -> Vec<Vec<String>> {
        let path = self
            .folder
            .join("demand")
            .join(format!("{namespace}.{name}.csv"));
        let text = fs::read_to_string(path).unwrap_or_default();
        let row = |line: &str| line.split(',').map(str::to_owned).collect();
        text.lines().map(row).collect()
    }
}

/// Settings of a client by a kubeconfig. What the server refuses is told and not tried again.
async fn config(kubeconfig: &Path) -> Result<Config, String> {
    let file = Kubeconfig::read_from(kubeconfig).map_err(|e| e.to_string())?;
    let config = Config::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await;
    let mut config = config.map_err(|e| e.to_string())?;
    config.default_retry = false;
    config.read_timeout = Some(Duration::from_secs(30));
    Ok(config)
}

/// A folder for this process; those of processes that are gone are removed.
fn folder() -> Result<PathBuf, String> {
    let place = Path::new(env!("CARGO_TARGET_TMPDIR")).join("cluster");
    fs::create_dir_all(&place).map_err(|e| e.to_string())?;
    for entry in fs::read_dir(&place).map_err(|e| e.to_string())?.flatten() {
        if !Path::new("/proc").join(entry.file_name()).exists() {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
    let folder = place.join(std::process::id().to_string());
    fs::create_dir_all(&folder).map_err(|e| e.to_string())?;
    folder.canonicalize().map_err(|e| e.to_string())
}

/// Asks every 100 ms until there is an answer; a test fails that waits longer than `limit`.
pub fn wait_until<T>(limit: Duration, what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let begin = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(begin.elapsed() < limit, "not within {limit:?}: {what}");
        std::thread::sleep(Duration::from_millis(100));
    }
}
