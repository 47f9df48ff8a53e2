//! The four processes as children: collector, Redis, server, agent.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

#[path = "../../support/redis.rs"]
pub mod redis;

/// A process of the binary that can be killed and started again with the same words.
pub struct Part {
    name: &'static str,
    words: Vec<String>,
    folder: PathBuf,
    child: Option<Child>,
    lives: u32,
}

impl Part {
    pub fn start(name: &'static str, folder: &Path, words: &[&str]) -> Self {
        let mut part = Self {
            name,
            words: words.iter().map(|w| (*w).to_owned()).collect(),
            folder: folder.to_owned(),
            child: None,
            lives: 0,
        };
        part.begin();
        part
    }

    pub fn begin(&mut self) {
        self.lives += 1;
        let file = |kind: &str| {
            let name = format!("{}-{}.{kind}", self.name, self.lives);
            File::create(self.folder.join(name)).unwrap()
        };
        let child = Command::new(env!("CARGO_BIN_EXE_foresail"))
            .args(&self.words)
            .env_remove("FORESAIL_LOG")
            .env_remove("NODE_NAME")
            .stdin(Stdio::null())
            .stdout(file("out"))
            .stderr(file("log"))
            .spawn()
            .unwrap();
        self.child = Some(child);
    }

    /// Ends it at once, as a crash would.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// Its exit code, once it has ended by itself.
    pub fn ended(&mut self) -> Option<i32> {
        let child = self.child.as_mut()?;
        child
            .try_wait()
            .unwrap()
            .map(|status| status.code().unwrap_or(-1))
    }

    /// All that it logged.
    pub fn log(&self) -> String {
        let one = |life: u32| {
            let path = self.folder.join(format!("{}-{life}.log", self.name));
            std::fs::read_to_string(path).unwrap_or_default()
        };
        (1..=self.lives).map(one).collect()
    }

    /// The last lines, for a message.
    pub fn tail(&self) -> String {
        let log = self.log();
        let last: Vec<&str> = log.lines().rev().take(12).collect();
        last.into_iter().rev().collect::<Vec<_>>().join("\n")
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
