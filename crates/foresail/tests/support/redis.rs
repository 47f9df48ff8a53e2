//! A real Redis on loopback: from the path, or from where `.ci/run` unpacks the package.

use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Where the unpacked package has its libraries.
const LIBRARIES: &str = "usr/lib";

/// A server that runs; it ends with this.
pub(crate) struct Redis {
    pub url: String,
    pub port: u16,
    folder: PathBuf,
    child: Option<Child>,
}

fn unpacked() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/redis")
}

/// The program with the path of its libraries, where there is one that runs.
fn program() -> Option<Command> {
    let own = unpacked();
    let libraries = std::fs::read_dir(own.join(LIBRARIES)).ok();
    let folder = libraries
        .into_iter()
        .flatten()
        .flatten()
        .map(|e| e.path())
        .find(|p| p.join("libjemalloc.so.2").exists());
    let make = |place: &Path| {
        let mut command = Command::new(place);
        if let Some(folder) = &folder {
            command.env("LD_LIBRARY_PATH", folder);
        }
        command
    };
    let places = [
        PathBuf::from("redis-server"),
        own.join("usr/bin/redis-server"),
    ];
    let runs = |place: &&PathBuf| {
        let run = make(place).arg("--version").output();
        run.is_ok_and(|o| o.status.success())
    };
    places.iter().find(runs).map(|place| make(place))
}

impl Redis {
    /// Starts one in a folder; `None` where it is not installed.
    pub(crate) fn start(folder: &Path) -> Option<Self> {
        program()?;
        let port = TcpListener::bind("127.0.0.1:0")
            .ok()?
            .local_addr()
            .ok()?
            .port();
        let mut one = Self {
            url: format!("redis://127.0.0.1:{port}"),
            port,
            folder: folder.to_owned(),
            child: None,
        };
        one.begin();
        Some(one)
    }

    /// Starts it again, with what it wrote down before it was killed.
    pub(crate) fn begin(&mut self) {
        let mut command = program().expect("it ran before");
        let child = command
            .args(["--bind", "127.0.0.1", "--port", &self.port.to_string()])
            .args([
                "--save",
                "",
                "--appendonly",
                "yes",
                "--appendfsync",
                "always",
            ])
            .current_dir(&self.folder)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("it ran before");
        self.child = Some(child);
        let begin = Instant::now();
        while TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            assert!(
                begin.elapsed() < Duration::from_secs(30),
                "Redis does not start"
            );
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Ends it at once, as a crash would.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        self.kill();
    }
}
