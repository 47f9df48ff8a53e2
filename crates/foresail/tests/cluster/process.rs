//! A real controller as a child process behind a fault proxy of its own.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::time::Duration;

use rustix::process::{Pid, Resource, Rlimit, Signal, kill_process, prlimit};
use serde_json::Value;

use crate::account;
use crate::footprint::Footprint;
use crate::proxy::Proxy;
use crate::rig::{Rig, wait_until};

/// How a controller is started.
#[derive(Clone, Debug)]
pub struct Start {
    /// Its namespace: of the lease, and the one that it serves.
    pub namespace: String,
    /// Unique in this run: of the proxy and the candidate.
    pub name: String,
    pub lease: String,
    /// Seconds: lease, deadline, retry.
    pub times: (u32, u32, u32),
    pub more: Vec<String>,
    /// Its files can be limited (`Controller::limit_files`), from the start where `true`.
    pub limited: Option<bool>,
    /// Variables beside those of this process.
    pub env: Vec<(String, String)>,
}

impl Start {
    pub fn new(namespace: &str, name: &str) -> Self {
        Self {
            namespace: namespace.to_owned(),
            name: format!("{namespace}-{name}"),
            lease: "foresail".to_owned(),
            times: (8, 6, 1),
            more: Vec::new(),
            limited: None,
            env: Vec::new(),
        }
    }

    /// What the process is run under. A write beyond a limit would end it by a signal, where a full
    /// disk only refuses; so the signal is ignored.
    fn command(&self) -> Command {
        let program = env!("CARGO_BIN_EXE_foresail");
        let Some(now) = self.limited else {
            return Command::new(program);
        };
        let limit = if now { "ulimit -S -f 0; " } else { "" };
        let mut command = Command::new("sh");
        let line = format!("{limit}exec env --ignore-signal=XFSZ \"$@\"");
        command.args(["-c", &line, "sh", program]);
        command
    }
}

/// A controller that runs.
pub struct Controller {
    pub start: Start,
    pub proxy: Proxy,
    pub folder: PathBuf,
    token: String,
    child: Option<Child>,
    /// Writes the log of a process whose files are limited.
    scribe: Option<Child>,
    /// Log files, one for each life.
    lives: u32,
    /// What this life took when it began to lead.
    base: Mutex<Option<Footprint>>,
}

impl Controller {
    /// Starts one under the product's own account, with the rights that its manifests grant.
    pub fn start(rig: &Rig, start: Start) -> Self {
        let mut one = Self::held(rig, start);
        one.begin();
        one
    }

    /// One that does not run yet.
    pub fn held(rig: &Rig, start: Start) -> Self {
        let token = account::token(rig, &start.namespace);
        let folder = rig.folder.join("controllers").join(&start.name);
        std::fs::create_dir_all(&folder).unwrap();
        Self {
            proxy: Proxy::start(rig, &start.name),
            start,
            folder,
            token,
            child: None,
            scribe: None,
            lives: 0,
            base: Mutex::default(),
        }
    }

    /// Starts the process, again after an end.
    pub fn begin(&mut self) {
        assert!(self.child.is_none(), "it runs already");
        let kubeconfig = self.kubeconfig();
        self.lives += 1;
        *self.base.lock().unwrap() = None;
        let log = self.log_end();
        let (lease, deadline, retry) = self.start.times;
        let seconds = |n: u32| format!("{n}s");
        let child = self
            .start
            .command()
            .args([
                "run",
                "controller",
                "--log-level",
                "info,foresail=debug,foresail_adapters=debug",
            ])
            .args([
                "--watch-namespace",
                &self.start.namespace,
                "--namespace",
                &self.start.namespace,
            ])
            .args(["--lease", &self.start.lease])
            .args(["--identity", &format!("{}_{}", self.start.name, self.lives)])
            .args([
                "--lease-duration",
                &seconds(lease),
                "--renew-deadline",
                &seconds(deadline),
            ])
            .args(["--retry-period", &seconds(retry)])
            .arg("--store")
            .arg(self.store())
            .arg("--kubeconfig")
            .arg(kubeconfig)
            .args(&self.start.more)
            .env_remove("FORESAIL_LOG")
            .env("FORESAIL_TEST_CLOCK", self.folder.join("clock"))
            .envs(self.start.env.iter().map(|(key, value)| (key, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        self.child = Some(child);
    }

    /// Where the process writes its log: the file, or a pipe to one where its own files are limited.
    fn log_end(&mut self) -> Stdio {
        let file = File::create(self.log_file(self.lives)).unwrap();
        if self.start.limited.is_none() {
            return file.into();
        }
        self.reap_scribe();
        let mut scribe = Command::new("cat")
            .stdin(Stdio::piped())
            .stdout(file)
            .spawn()
            .unwrap();
        let end = scribe.stdin.take().unwrap();
        self.scribe = Some(scribe);
        end.into()
    }

    /// It ends by itself once the process whose log it writes has.
    fn reap_scribe(&mut self) {
        if let Some(mut scribe) = self.scribe.take() {
            let _ = scribe.wait();
        }
    }

    /// No file of the process may be written any more, or all may again; `Start::limited` must be set.
    pub fn limit_files(&self, limited: bool) {
        assert!(self.start.limited.is_some(), "it would be ended by it");
        let limit = Rlimit {
            current: limited.then_some(0),
            maximum: None,
        };
        prlimit(Some(self.process()), Resource::Fsize, limit).unwrap();
    }

    fn kubeconfig(&self) -> PathBuf {
        let path = self.folder.join("kubeconfig");
        let text = format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: rig\n\
             clusters:\n- name: rig\n  cluster:\n    server: http://{}\n\
             contexts:\n- name: rig\n  context:\n    cluster: rig\n    user: rig\n    namespace: {}\n\
             users:\n- name: rig\n  user:\n    token: {}\n",
            self.proxy.address, self.start.namespace, self.token
        );
        std::fs::write(&path, text).unwrap();
        path
    }

    pub fn store(&self) -> PathBuf {
        self.folder.join("store")
    }

    fn log_file(&self, life: u32) -> PathBuf {
        self.folder.join(format!("log-{life}.jsonl"))
    }

    /// Everything that it logged, in all its lives; a last line that is half written is left out.
    pub fn log(&self) -> Vec<Value> {
        let read = |life: u32| lines(&self.log_file(life));
        (1..=self.lives).flat_map(read).collect()
    }

    pub fn pid(&self) -> u32 {
        self.child.as_ref().expect("it runs").id()
    }

    fn process(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.pid()).unwrap()).unwrap()
    }

    /// Sets its time of day off the machine's by so many seconds.
    pub fn shift_clock(&self, seconds: i64) {
        let file = self.folder.join("clock.new");
        std::fs::write(&file, seconds.to_string()).unwrap();
        std::fs::rename(file, self.folder.join("clock")).unwrap();
    }

    /// What its process takes now.
    pub fn footprint(&self) -> Footprint {
        Footprint::of(self.pid())
    }

    /// What it took when it began to lead in this life, where somebody waited for that.
    pub fn base(&self) -> Option<Footprint> {
        *self.base.lock().unwrap()
    }

    fn signal(&self, signal: Signal) {
        kill_process(self.process(), signal).unwrap();
    }

    pub fn pause(&self) {
        self.signal(Signal::STOP);
    }

    pub fn resume(&self) {
        self.signal(Signal::CONT);
    }

    pub fn kill(&mut self) {
        self.signal(Signal::KILL);
        self.child.take().unwrap().wait().unwrap();
    }

    /// Asks it to end, and waits until it has.
    pub fn stop(&mut self) {
        if self.child.is_none() {
            return;
        }
        self.signal(Signal::TERM);
        let mut child = self.child.take().unwrap();
        let name = self.start.name.clone();
        let ended = wait_until(
            Duration::from_secs(20),
            &format!("the end of {name}"),
            || child.try_wait().unwrap(),
        );
        assert!(ended.success(), "{name}: {ended}\n{}", self.tail());
    }

    /// Whether the process is still there.
    pub fn is_alive(&mut self) -> bool {
        let child = self.child.as_mut().expect("it was started");
        child.try_wait().unwrap().is_none()
    }

    /// Its last lines, for a message.
    pub fn tail(&self) -> String {
        let text = std::fs::read_to_string(self.log_file(self.lives)).unwrap_or_default();
        let last: Vec<&str> = text.lines().rev().take(15).collect();
        last.into_iter().rev().collect::<Vec<_>>().join("\n")
    }

    /// Waits until it leads and makes passes.
    pub fn wait_leading(&self, limit: Duration) {
        let what = format!("{} leads", self.start.name);
        wait_until(limit, &what, || self.leads().then_some(()));
        let mut base = self.base.lock().unwrap();
        if base.is_none() {
            // The first passes open what every pass needs.
            std::thread::sleep(Duration::from_secs(1));
            *base = Some(self.footprint());
        }
    }

    /// Whether the last word of this life on its leadership was that it leads.
    pub fn leads(&self) -> bool {
        let mut last = false;
        for line in lines(&self.log_file(self.lives)) {
            match line["message"].as_str() {
                Some("leads") => last = true,
                Some("this process leads no more") => last = false,
                _ => {}
            }
        }
        last
    }
}

fn lines(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    whole
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect()
}

impl Drop for Controller {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            // A stopped process takes no other signal before it goes on; this one it does.
            let _ = child.kill();
            let _ = child.wait();
        }
        self.reap_scribe();
    }
}
