//! The control plane of the cluster tests: its cache, its commands, and `cargo xtask test-cluster`.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail};

use crate::steps::{self, Counts, root};

#[path = "../../tests/cluster/cache.rs"]
mod cache;

/// The oldest Go that builds it, major and minor.
const GO: (u32, u32) = (1, 26);

/// Releases that components tell of themselves.
const VERSION: &str = "v1.37.2";

/// Rows that are run again when they failed; where more did, it is not for want of time.
const AGAIN_MAX: usize = 6;

/// States of the sources whose binaries stay in the cache, 150 MB each.
const KEPT: usize = 4;

/// What the tests of the installation run, pinned in a module of its own: name and package.
const TOOLS: [(&str, &str); 2] = [
    ("helm", "helm.sh/helm/v4/cmd/helm"),
    ("kustomize", "sigs.k8s.io/kustomize/kustomize/v5"),
];

fn folder() -> PathBuf {
    root().join("tests").join("cluster")
}

fn tools_folder() -> PathBuf {
    root().join("tests").join("install")
}

/// `cargo xtask cluster build | up [DIR] | down [DIR] | status [DIR]`.
pub(crate) fn cluster(args: &[String]) -> Result<bool> {
    let usage = "cluster takes build, path, up [DIR], down [DIR] or status [DIR]";
    let (command, rest) = args.split_first().context(usage)?;
    match (command.as_str(), rest) {
        ("path", []) => {
            println!("{}", cache::rig_binary(&folder())?.display());
            Ok(true)
        }
        ("build", []) => {
            if let Some(why) = no_go() {
                bail!("{why}");
            }
            println!("{}", build()?.display());
            println!("{}", build_tools()?.display());
            Ok(true)
        }
        ("up" | "down" | "status", []) => run(
            command,
            &root().join("target").join("rig").display().to_string(),
        ),
        ("up" | "down" | "status", [place]) => run(command, place),
        _ => bail!(usage),
    }
}

/// Runs a command of the control plane's binary.
fn run(command: &str, place: &str) -> Result<bool> {
    let binary = cache::rig_binary(&folder())?;
    let binary = match no_go() {
        Some(why) if !binary.is_file() => bail!("{why}"),
        Some(_) => binary,
        None => build()?,
    };
    let status = Command::new(&binary)
        .args([command, place])
        .status()
        .with_context(|| format!("cannot start {}", binary.display()))?;
    Ok(status.success())
}

/// Why nothing can be built here; `None` where it can.
fn no_go() -> Option<String> {
    let need = format!("need go >= {}.{}", GO.0, GO.1);
    let output = Command::new("go")
        .arg("version")
        .env("GOTOOLCHAIN", "local")
        .output();
    let Some(output) = output.ok().filter(|o| o.status.success()) else {
        return Some(format!("no Go toolchain ({need})"));
    };
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    match go_version(&text) {
        Some(found) if found >= GO => None,
        _ => Some(format!(
            "the Go toolchain is too old ({need}): {}",
            text.trim()
        )),
    }
}

/// Major and minor of `go version go1.26.8 linux/amd64`.
fn go_version(text: &str) -> Option<(u32, u32)> {
    let mut numbers = text
        .split_whitespace()
        .nth(2)?
        .strip_prefix("go")?
        .split('.');
    let major = numbers.next()?.parse().ok()?;
    let minor = numbers
        .next()?
        .split(|c: char| !c.is_ascii_digit())
        .next()?;
    Some((major, minor.parse().ok()?))
}

/// The binary for the sources as they are, built where the cache has none.
fn build() -> Result<PathBuf> {
    let binary = cache::rig_binary(&folder())?;
    let told = "the test control plane; the first time takes 6 to 20 minutes";
    once(&binary, told, |entry| {
        compile(&entry.join("rig"))?;
        forget_old(&cache::cache_folder()?)
    })?;
    Ok(binary)
}

/// The folder of the tools that the tests of the installation run, built where the cache has none.
fn build_tools() -> Result<PathBuf> {
    let [(last, _), _] = TOOLS;
    let binary = cache::tool_binary(&tools_folder(), last)?;
    let told = "helm and kustomize; the first time takes 2 to 10 minutes";
    let entry = once(&binary, told, |entry| {
        let packages = TOOLS.map(|(_, package)| package);
        let place = format!("{}/", entry.display());
        go_build(&tools_folder(), "-s -w", &place, &packages)
    })?;
    Ok(entry)
}

/// Has an entry of the cache built unless it has this binary; its folder.
fn once(binary: &Path, told: &str, compile: impl Fn(&Path) -> Result<()>) -> Result<PathBuf> {
    let entry = binary.parent().context("the cache has no folder")?;
    if binary.is_file() {
        return Ok(entry.to_path_buf());
    }
    let cached = cache::cache_folder()?;
    fs::create_dir_all(&cached).with_context(|| cached.display().to_string())?;
    let lock = File::create(cached.join("lock"))?;
    lock.lock().context("cannot lock the cache")?;
    // Whoever had the lock may have built it.
    if binary.is_file() {
        return Ok(entry.to_path_buf());
    }
    eprintln!("building {told}");
    let partial = entry.with_extension("partial");
    if partial.exists() {
        fs::remove_dir_all(&partial)?;
    }
    fs::create_dir_all(&partial)?;
    let begin = Instant::now();
    compile(&partial)?;
    eprintln!("built in {:.0} s", begin.elapsed().as_secs_f64());
    // A folder without a binary may be left there by hand; a rename does not replace a full one.
    if entry.exists() {
        fs::remove_dir_all(entry)?;
    }
    fs::rename(&partial, entry)?;
    Ok(entry.to_path_buf())
}

fn compile(binary: &Path) -> Result<()> {
    let version = |package: &str| format!("-X {package}.gitVersion={VERSION}");
    let flags = format!(
        "-s -w {} {}",
        version("k8s.io/component-base/version"),
        version("k8s.io/client-go/pkg/version")
    );
    go_build(&folder(), &flags, &binary.display().to_string(), &["."])
}

/// Builds packages of the module in a folder, static and without this machine's paths.
fn go_build(module: &Path, flags: &str, place: &str, packages: &[&str]) -> Result<()> {
    let status = Command::new("go")
        .args([
            "build",
            "-mod=readonly",
            "-trimpath",
            "-buildvcs=false",
            "-ldflags",
        ])
        .args([flags, "-o", place])
        .args(packages)
        .current_dir(module)
        .env("CGO_ENABLED", "0")
        .env("GOTOOLCHAIN", "local")
        .stdin(Stdio::null())
        .status()
        .context("cannot start go")?;
    if !status.success() {
        bail!(
            "go build in {} failed: see above; its modules need the network once",
            module.display()
        );
    }
    Ok(())
}

/// Removes all control planes in the cache but the newest.
fn forget_old(cached: &Path) -> Result<()> {
    let mut entries = Vec::new();
    for entry in fs::read_dir(cached)? {
        let path = entry?.path();
        if path.join("rig").is_file() {
            entries.push((fs::metadata(&path)?.modified()?, path));
        }
    }
    entries.sort();
    for (_, path) in entries.iter().rev().skip(KEPT) {
        fs::remove_dir_all(path)?;
    }
    Ok(())
}

/// `cargo xtask test-cluster`: the tests that need a Kubernetes control plane. The last line says how
/// many passed, failed and were skipped; without Go all are skipped.
pub(crate) fn test(args: &[String]) -> Result<bool> {
    if !args.is_empty() {
        bail!("test-cluster takes no argument");
    }
    let mut counts = Counts::default();
    let built = match no_go() {
        Some(why) => {
            println!("         SKIPPED cluster tests: {why}");
            Ok(false)
        }
        None => build().and_then(|_| build_tools()).map(|_| true),
    };
    let good = match built {
        Ok(has_go) => {
            let begin = Instant::now();
            let name = if has_go {
                "FORESAIL_REQUIRE_CLUSTER"
            } else {
                "FORESAIL_WITHOUT_CLUSTER"
            };
            // Rows wait for the most part; two at a time leave both cores idle.
            let failing = rows(&["--test-threads=4"], name, &mut counts)?;
            let good = failing.is_none_or(|rows| pass_alone(&rows, name, &mut counts));
            steps::told("cluster", good, begin);
            good
        }
        Err(error) => {
            eprintln!("error: {error:#}");
            false
        }
    };
    steps::finish(good, counts)
}

/// Runs rows of the cluster tests; the names of those that failed, `None` where all is well.
fn rows(flags: &[&str], wish: &str, counts: &mut Counts) -> Result<Option<Vec<String>>> {
    // Of the whole workspace, as the other tests: alone, the package would be built anew with fewer features.
    let cargo = [
        "test",
        "--workspace",
        "--test",
        "cluster",
        "--locked",
        "--no-fail-fast",
        "--",
    ];
    let args = [&cargo[..], flags].concat();
    steps::failing_tests(&args, &[(wish, "1")], counts)
}

/// Whether each of the few rows that failed beside others passes on a control plane of its own; told of
/// each. Rows keep time with real components, four at once on two cores: a busy machine can make one late.
fn pass_alone(failed: &[String], wish: &str, counts: &mut Counts) -> bool {
    if failed.is_empty() || failed.len() > AGAIN_MAX {
        return false;
    }
    let mut good = true;
    for name in failed {
        let again = rows(&["--exact", name], wish, &mut Counts::default());
        if matches!(again, Ok(None)) {
            println!("         UNSTEADY {name}: failed beside others, passes alone");
            counts.passed_after_all();
        } else {
            println!("         {name}: fails alone too");
            good = false;
        }
    }
    good
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_of_go_are_read() {
        assert_eq!(go_version("go version go1.26.8 linux/amd64"), Some((1, 26)));
        assert_eq!(
            go_version("go version go1.27rc1 linux/arm64"),
            Some((1, 27))
        );
        assert_eq!(go_version("go version devel +abc"), None);
        assert_eq!(go_version(""), None);
    }

    #[test]
    fn every_tool_is_one_that_its_module_pins() {
        let module = fs::read_to_string(tools_folder().join("go.mod")).unwrap();
        for (_, package) in TOOLS {
            assert!(module.contains(&format!("\t{package}\n")), "{package}");
        }
    }

    #[test]
    fn the_key_follows_every_source() {
        let folder = std::env::temp_dir().join(format!("foresail-key-{}", std::process::id()));
        fs::create_dir_all(folder.join("manifests")).unwrap();
        fs::write(folder.join("go.sum"), "a").unwrap();
        fs::write(folder.join("manifests/x.yaml"), "b").unwrap();
        let first = cache::rig_binary(&folder).unwrap();
        fs::write(folder.join("README.md"), "not built in").unwrap();
        assert_eq!(cache::rig_binary(&folder).unwrap(), first);
        fs::write(folder.join("manifests/x.yaml"), "c").unwrap();
        let second = cache::rig_binary(&folder).unwrap();
        assert_ne!(second, first);
        fs::rename(folder.join("go.sum"), folder.join("go.mod")).unwrap();
        assert_ne!(cache::rig_binary(&folder).unwrap(), second);
        fs::remove_dir_all(&folder).unwrap();
    }
}
