//! What docs/seeds.md promises is there: files exist, commands are the binary's.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::float_cmp,
    reason = "tests may fail loudly"
)]

mod support;

use support::{foresail, root};

/// Words between backticks of the table's rows, by column.
fn cells(column: usize) -> Vec<String> {
    let text = std::fs::read_to_string(root().join("docs/seeds.md")).unwrap();
    let rows = text
        .lines()
        .filter(|l| l.starts_with("| ") && !l.starts_with("| source"));
    let cell = |row: &str| row.split('|').nth(column).unwrap_or("").to_owned();
    rows.map(cell)
        .flat_map(|c| {
            c.split('`')
                .skip(1)
                .step_by(2)
                .map(str::to_owned)
                .collect::<Vec<_>>()
        })
        .collect()
}

#[test]
fn every_home_exists() {
    let homes = cells(3);
    assert!(homes.len() > 8);
    for home in homes {
        assert!(root().join(&home).is_file(), "{home}");
    }
}

#[test]
fn every_command_is_one_of_the_binarys() {
    let folder = tempfile::tempdir().unwrap();
    for command in cells(4) {
        let mut words: Vec<&str> = command.split(' ').collect();
        words.push("--help");
        assert!(
            foresail(folder.path(), &words).status.success(),
            "{command}"
        );
    }
}
