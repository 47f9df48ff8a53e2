//! The gates of style: arrows between crates, purity, words, file heads; and hints on sizes.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::mask::{Part, keep, parts};
use crate::steps::root;

/// Which crates each crate may use.
const ARROWS: [(&str, &[&str]); 7] = [
    ("foresail-core", &[]),
    ("foresail-nn", &[]),
    ("foresail-models", &["foresail-core", "foresail-nn"]),
    ("foresail-sim", &["foresail-core", "foresail-models"]),
    ("foresail-adapters", &["foresail-core"]),
    ("foresail-web", &["foresail-core"]),
    (
        "foresail",
        &[
            "foresail-core",
            "foresail-models",
            "foresail-sim",
            "foresail-adapters",
            "foresail-web",
        ],
    ),
];

/// Crates that are pure given a seed.
const PURE: [&str; 4] = [
    "foresail-core",
    "foresail-nn",
    "foresail-models",
    "foresail-sim",
];

/// Words of code that no pure crate may hold.
const IMPURE: [&str; 16] = [
    "std::fs",
    "std::net",
    "std::env",
    "std::process",
    "std::thread",
    "Instant::now",
    "SystemTime",
    "HashMap",
    "HashSet",
    "async fn",
    "tokio",
    "reqwest",
    "thread_rng",
    "StdRng",
    "SmallRng",
    "println!",
];

/// Words that the pure crates without rayon may not hold.
const PARALLEL: [&str; 3] = ["rayon::", "par_iter", "par_chunks"];

/// Names of files that say nothing.
const EMPTY_NAMES: [&str; 5] = ["util", "helper", "misc", "common", "manager"];

/// What must not stand in any file: paths of a machine and hosts of registries.
const PRIVATE: [&str; 4] = [
    "/wo\u{72}k/",
    "/ro\u{6f}t/",
    "crates.io/ap\u{69}",
    "pypi.o\u{72}g",
];

/// Columns of a line of source, as rustfmt has it; longer ones are hints.
const LINE_MAX: usize = 100;

/// One source file of the workspace.
struct Source {
    path: PathBuf,
    name: String,
    text: String,
}

/// Files that git tracks or would track.
fn tracked() -> Result<Vec<PathBuf>> {
    let args = ["ls-files", "--cached", "--others", "--exclude-standard"];
    let output = Command::new("git")
        .args(args)
        .current_dir(root())
        .output()
        .context("cannot start git")?;
    let text = String::from_utf8(output.stdout)?;
    let paths = text.lines().map(PathBuf::from);
    Ok(paths.filter(|p| root().join(p).is_file()).collect())
}

fn sources() -> Result<Vec<Source>> {
    let is_rust = |p: &PathBuf| p.extension().is_some_and(|e| e == "rs");
    let read = |path: PathBuf| -> Result<Source> {
        let text =
            fs::read_to_string(root().join(&path)).with_context(|| path.display().to_string())?;
        Ok(Source {
            name: path.display().to_string(),
            path,
            text,
        })
    };
    tracked()?.into_iter().filter(is_rust).map(read).collect()
}

fn crate_of(path: &Path) -> Option<&str> {
    let mut parts = path.iter().map(|p| p.to_str().unwrap_or(""));
    (parts.next() == Some("crates"))
        .then(|| parts.next())
        .flatten()
}

fn is_product(path: &Path) -> bool {
    let test_folders = ["tests", "benches", "examples"];
    !path.iter().any(|p| test_folders.iter().any(|t| p == *t))
}

/// `cargo xtask tidy`.
pub(crate) fn run(_args: &[String]) -> Result<bool> {
    let sources = sources()?;
    let mut failures = arrows()?;
    failures.extend(sources.iter().flat_map(impure));
    failures.extend(banned_words(&sources)?);
    failures.extend(sources.iter().flat_map(heads));
    failures.extend(private()?);
    failures.extend(equal_bans()?);
    for failure in &failures {
        eprintln!("tidy: {failure}");
    }
    for hint in hints(&sources) {
        println!("         hint: {hint}");
    }
    Ok(failures.is_empty())
}

/// Dependencies between our crates that the arrows do not allow.
fn arrows() -> Result<Vec<String>> {
    let mut broken = Vec::new();
    for (name, allowed) in ARROWS {
        let path = root().join("crates").join(name).join("Cargo.toml");
        let Ok(manifest) = fs::read_to_string(&path) else {
            continue;
        };
        let normal = manifest.split("[dependencies]").nth(1).unwrap_or("");
        let normal = normal.split("\n[").next().unwrap_or("");
        for line in normal.lines() {
            let dependency = line.split(['.', ' ', '=']).next().unwrap_or("");
            if dependency.starts_with("foresail") && !allowed.contains(&dependency) {
                broken.push(format!("{name} may not use {dependency}"));
            }
        }
    }
    Ok(broken)
}

/// Code of the product without its unit tests.
fn product_code(source: &Source) -> String {
    let code = keep(&source.text, &parts(&source.text), &[Part::Code]);
    code.split("#[cfg(test)]\nmod ")
        .next()
        .unwrap_or("")
        .to_owned()
}

fn impure(source: &Source) -> Vec<String> {
    let Some(name) = crate_of(&source.path).filter(|c| PURE.contains(c)) else {
        return Vec::new();
    };
    if !is_product(&source.path) {
        return Vec::new();
    }
    let parallel = matches!(name, "foresail-models" | "foresail-sim");
    let words = IMPURE
        .iter()
        .chain(if parallel { &[][..] } else { &PARALLEL[..] });
    let code = product_code(source);
    let lines = code.lines().enumerate();
    lines
        .flat_map(|(i, line)| {
            words
                .clone()
                .filter(move |w| line.contains(**w))
                .map(move |w| (i, *w))
        })
        .map(|(i, word)| format!("{}:{}: `{word}` is not pure", source.name, i + 1))
        .collect()
}

/// Banned words with what to write instead.
fn vocabulary() -> Result<Vec<(String, String)>> {
    let text = fs::read_to_string(root().join("xtask/vocab.txt")).context("xtask/vocab.txt")?;
    let pairs = text.lines().filter_map(|l| l.split_once(" -> "));
    Ok(pairs
        .map(|(bad, good)| (bad.trim().to_lowercase(), good.trim().to_owned()))
        .collect())
}

/// `true` where `word` stands in `line` as a word of its own; an underscore separates words too.
fn has_word(line: &str, word: &str) -> bool {
    let letter = |c: char| c.is_ascii_alphabetic();
    line.match_indices(word).any(|(i, _)| {
        let before = line[..i].chars().next_back().is_some_and(letter);
        let after = line[i + word.len()..].chars().next().is_some_and(letter);
        !before && !after
    })
}

fn banned_words(sources: &[Source]) -> Result<Vec<String>> {
    let words = vocabulary()?;
    let mut found = Vec::new();
    for source in sources.iter().filter(|s| !s.name.starts_with("xtask")) {
        let text = keep(
            &source.text,
            &parts(&source.text),
            &[Part::Code, Part::Comment],
        )
        .to_lowercase();
        for (i, line) in text.lines().enumerate() {
            for (bad, good) in words.iter().filter(|(bad, _)| has_word(line, bad)) {
                found.push(format!(
                    "{}:{}: write `{good}` and not `{bad}`",
                    source.name,
                    i + 1
                ));
            }
        }
    }
    Ok(found)
}

fn heads(source: &Source) -> Vec<String> {
    let mut bad = Vec::new();
    let stem = source
        .path
        .file_stem()
        .and_then(|s| s.to_str())
        .unwrap_or("");
    if EMPTY_NAMES.contains(&stem.trim_end_matches('s')) {
        bad.push(format!("{}: the file's name says nothing", source.name));
    }
    if !source.text.starts_with("//!") && is_product(&source.path) {
        bad.push(format!(
            "{}: begin with a `//!` that says what the file is for",
            source.name
        ));
    }
    if source
        .text
        .lines()
        .all(|l| l.is_empty() || l.starts_with("//"))
    {
        bad.push(format!(
            "{}: the file is empty; it comes with the work that fills it",
            source.name
        ));
    }
    for (i, line) in source.text.lines().enumerate() {
        if line.contains('\t') || line.ends_with(' ') {
            bad.push(format!(
                "{}:{}: a tab or a trailing blank",
                source.name,
                i + 1
            ));
        }
        let left = ["TO\u{44}O", "FIX\u{4d}E"].iter().any(|w| line.contains(w));
        if left && !line.contains("(#") {
            bad.push(format!(
                "{}:{}: name the number of the work left to do",
                source.name,
                i + 1
            ));
        }
    }
    bad
}

fn private() -> Result<Vec<String>> {
    let mut found = Vec::new();
    for path in tracked()?
        .into_iter()
        .filter(|p| !p.ends_with("Cargo.lock"))
    {
        let Ok(text) = fs::read_to_string(root().join(&path)) else {
            continue;
        };
        for word in PRIVATE.iter().filter(|w| text.contains(**w)) {
            found.push(format!(
                "{}: `{word}` belongs to one machine",
                path.display()
            ));
        }
    }
    Ok(found)
}

/// The pure crates ban the same things: clippy reads one file and merges none.
fn equal_bans() -> Result<Vec<String>> {
    let mut copies = BTreeMap::new();
    for name in PURE {
        let folder = root().join("crates").join(name);
        if folder.is_dir() {
            let path = folder.join("clippy.toml");
            let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
            copies.entry(text).or_insert(name);
        }
    }
    let names: Vec<_> = copies.values().copied().collect();
    let differ = names.len() > 1;
    Ok(differ
        .then(|| format!("clippy.toml differs between {}", names.join(" and ")))
        .into_iter()
        .collect())
}

/// A function's length, from its signature to its closing brace.
struct Function {
    place: String,
    lines: usize,
}

/// Functions of product code by their braces.
fn functions(source: &Source) -> Vec<Function> {
    let code = product_code(source);
    let mut found = Vec::new();
    for (at, _) in code.match_indices("fn ") {
        let starts = code[..at]
            .chars()
            .next_back()
            .is_none_or(|c| !c.is_alphanumeric() && c != '_');
        let Some(open) = code[at..].find(['{', ';']).filter(|_| starts) else {
            continue;
        };
        if code.as_bytes()[at + open] == b';' {
            continue;
        }
        let mut depth = 0;
        let end = code[at + open..].char_indices().find_map(|(i, c)| {
            depth += i32::from(c == '{') - i32::from(c == '}');
            (depth == 0).then_some(at + open + i)
        });
        let lines = code[at..end.map_or(code.len(), |end| end + 1)]
            .lines()
            .count();
        let name: String = code[at + 3..]
            .chars()
            .take_while(|c| c.is_alphanumeric() || *c == '_')
            .collect();
        let line = code[..at].lines().count();
        found.push(Function {
            place: format!("{}:{line} {name}", source.name),
            lines,
        });
    }
    found
}

fn hints(sources: &[Source]) -> Vec<String> {
    let product: Vec<_> = sources.iter().filter(|s| is_product(&s.path)).collect();
    let long = product
        .iter()
        .filter(|s| s.text.lines().count() > 800)
        .count();
    let functions: Vec<_> = product.iter().flat_map(|s| functions(s)).collect();
    let over = functions.iter().filter(|f| f.lines > 70).count();
    let wide: usize = product
        .iter()
        .map(|s| {
            s.text
                .lines()
                .filter(|l| l.chars().count() > LINE_MAX)
                .count()
        })
        .sum();
    let mut hints = vec![format!(
        "{} files, {} functions; over 800 lines: {long}, functions over 70 lines: {over}, lines over {LINE_MAX}: {wide}",
        product.len(),
        functions.len()
    )];
    hints.extend(dead_links());
    hints
}

/// Links of the documents that lead to no file.
fn dead_links() -> Vec<String> {
    let is_document = |p: &PathBuf| p.extension().is_some_and(|e| e == "md");
    let mut dead = Vec::new();
    for path in tracked()
        .unwrap_or_default()
        .into_iter()
        .filter(is_document)
    {
        let Ok(text) = fs::read_to_string(root().join(&path)) else {
            continue;
        };
        for link in text
            .split("](")
            .skip(1)
            .filter_map(|rest| rest.split([')', '#']).next())
        {
            let folder = root().join(path.parent().unwrap_or(Path::new("")));
            if !link.is_empty() && !link.contains("://") && !folder.join(link).exists() {
                dead.push(format!("{}: the link {link} leads nowhere", path.display()));
            }
        }
    }
    dead
}

/// `cargo xtask measure`: the longest files and functions.
pub(crate) fn measure(_args: &[String]) -> Result<bool> {
    let sources = sources()?;
    let product: Vec<_> = sources.iter().filter(|s| is_product(&s.path)).collect();
    let mut files: Vec<_> = product
        .iter()
        .map(|s| (s.text.lines().count(), &s.name))
        .collect();
    files.sort_by_key(|(lines, _)| std::cmp::Reverse(*lines));
    let mut functions: Vec<_> = product.iter().flat_map(|s| functions(s)).collect();
    functions.sort_by_key(|f| std::cmp::Reverse(f.lines));
    for (lines, name) in files.iter().take(10) {
        println!("{lines:>5} lines  {name}");
    }
    for function in functions.iter().take(10) {
        println!("{:>5} lines  {}", function.lines, function.place);
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_banned_word_is_found_as_a_word_only() {
        assert!(has_word("let num_replicas = 3;", "num_replicas"));
        assert!(has_word("// the sla of", "sla"));
        assert!(!has_word("translate", "sla"));
    }

    #[test]
    fn functions_end_at_their_brace() {
        let text = "fn a() {\n    let x = \"}\";\n}\n\nfn b() -> u8 { 1 }\n".to_owned();
        let source = Source {
            path: "x.rs".into(),
            name: "x.rs".to_owned(),
            text,
        };
        let lengths: Vec<_> = functions(&source).iter().map(|f| f.lines).collect();
        assert_eq!(lengths, [3, 1]);
    }
}
