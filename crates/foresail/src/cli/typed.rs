//! The command as it was typed, for reports that others should be able to make again.

use std::path::Path;

/// The command of this process, without the folders of this machine and without the output's place.
pub(super) fn command() -> String {
    told(std::env::args().skip(1))
}

fn told(typed: impl Iterator<Item = String>) -> String {
    let mut words = vec!["foresail".to_owned()];
    let mut before = String::new();
    for word in typed {
        let is_place = before == "--out" || word == "--out" || word.starts_with("--out=");
        if !is_place {
            words.push(match word.split_once('=') {
                Some((flag, value)) if flag.starts_with("--") => {
                    format!("{flag}={}", shown(flag, value))
                }
                _ => shown(&before, &word),
            });
        }
        before = word;
    }
    words.join(" ")
}

/// One word of the command: queries and addresses whole, of a path its last part.
fn shown(before: &str, word: &str) -> String {
    let whole = matches!(before, "--query" | "--prometheus");
    let file = Path::new(word).file_name().filter(|_| !whole);
    match file.map(|n| n.to_string_lossy().into_owned()) {
        Some(name) if word.contains('/') => name,
        _ if word.contains([' ', '(', '"', '{', '*', '$', '\'']) => {
            format!("'{}'", word.replace('\'', r"'\''"))
        }
        _ => word.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_and_the_place_of_the_output_are_left_out() {
        for (typed, want) in [
            (
                "optimize /home/me/flow.yaml --n_init 5 --requests 100 --out /tmp/x --journal=/tmp/j",
                "foresail optimize flow.yaml --n_init 5 --requests 100 --journal=j",
            ),
            (
                "optimize reference --out=/tmp/x -o csv",
                "foresail optimize reference -o csv",
            ),
            (
                "compare --query rate(a/b) --prometheus http://a/b",
                "foresail compare --query 'rate(a/b)' --prometheus http://a/b",
            ),
        ] {
            assert_eq!(told(typed.split(' ').map(str::to_owned)), want);
        }
    }
}
