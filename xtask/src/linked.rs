//! `cargo xtask static`: builds the image's binary and checks that it needs no library beside it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::steps::{cargo, root};

/// Links the C library in; the Dockerfile says the same.
const FLAGS: &str = "-C target-feature=+crt-static";

/// A program header that names the loader of shared libraries.
/// Source: the ELF specification, `PT_INTERP`.
const INTERPRETER: u32 = 3;

/// `cargo xtask static [--profile NAME]`: profile `dist` where none is named.
pub(crate) fn run(args: &[String]) -> Result<bool> {
    let profile = match args {
        [] => "dist",
        [flag, name] if flag == "--profile" => name,
        _ => bail!("static takes no argument but --profile NAME"),
    };
    let host = host()?;
    let mut build = cargo(&["build", "--locked", "-p", "foresail"]);
    // With a target named, build scripts and macros, which have to be dynamic, get none of the flags.
    build.args(["--profile", profile, "--target", &host]);
    let status = build.env("RUSTFLAGS", FLAGS).status();
    if !status.context("cannot start cargo")?.success() {
        return Ok(false);
    }
    let binary = place(&host, profile);
    check(&binary)?;
    let bytes = fs::metadata(&binary)?.len();
    println!("{}: static, {:.1} MB", binary.display(), bytes as f64 / 1e6);
    Ok(true)
}

/// The target that this machine is.
fn host() -> Result<String> {
    let output = Command::new("rustc")
        .arg("-vV")
        .current_dir(root())
        .output();
    let text = String::from_utf8(output.context("cannot start rustc")?.stdout)?;
    let line = text.lines().find_map(|l| l.strip_prefix("host: "));
    Ok(line.context("rustc names no host")?.to_owned())
}

fn place(host: &str, profile: &str) -> PathBuf {
    let folder = if profile == "dev" { "debug" } else { profile };
    root()
        .join("target")
        .join(host)
        .join(folder)
        .join("foresail")
}

/// Whether it asks for no loader, and runs with nothing around it.
fn check(binary: &Path) -> Result<()> {
    let name = binary.display();
    let bytes = fs::read(binary).with_context(|| name.to_string())?;
    let headers =
        program_headers(&bytes).with_context(|| format!("{name} is no 64-bit ELF file"))?;
    if headers.contains(&INTERPRETER) {
        bail!("{name} is linked to shared libraries; does the target have a static C library?");
    }
    let output = Command::new(binary).arg("version").env_clear().output();
    let output = output.with_context(|| format!("cannot start {name}"))?;
    if !output.status.success() {
        bail!(
            "{name} version: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    Ok(())
}

/// Types of the program headers of a 64-bit little-endian ELF file; `None` where it is none.
fn program_headers(bytes: &[u8]) -> Option<Vec<u32>> {
    if !bytes.starts_with(b"\x7fELF\x02\x01") {
        return None;
    }
    let number = |at: usize, length: usize| -> Option<u64> {
        let part = bytes.get(at..at.checked_add(length)?)?;
        Some(part.iter().rev().fold(0, |n, b| n << 8 | u64::from(*b)))
    };
    let begin = usize::try_from(number(32, 8)?).ok()?;
    let (size, count) = (number(54, 2)?, number(56, 2)?);
    (0..count)
        .map(|i| {
            let at = begin.checked_add(usize::try_from(i * size).ok()?)?;
            u32::try_from(number(at, 4)?).ok()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_program_asks_for_a_loader_and_a_cut_one_is_no_elf() {
        let bytes = fs::read(std::env::current_exe().unwrap()).unwrap();
        let headers = program_headers(&bytes).unwrap();
        let is_dynamic = cfg!(not(target_feature = "crt-static"));
        assert_eq!(headers.contains(&INTERPRETER), is_dynamic);
        assert_eq!(program_headers(&bytes[..60]), None);
        assert_eq!(program_headers(b"#!/bin/sh\n"), None);
    }
}
