//! Flags as published scripts write them: `--num_days` is `--num-days`, once for a whole command group.

use std::ffi::OsString;

/// Commands whose published scripts have underscores in their flags.
const GROUPS: [&str; 2] = ["aquatope", "optimize"];

/// The arguments with dashes for the underscores of flags, where the command is one of those groups.
///
/// Values keep theirs, and so does what follows a bare `--`.
pub fn flags(arguments: impl Iterator<Item = OsString>) -> Vec<OsString> {
    let mut all: Vec<OsString> = arguments.collect();
    let group = all.get(1).and_then(|a| a.to_str());
    if !group.is_some_and(|name| GROUPS.contains(&name)) {
        return all;
    }
    for argument in all.iter_mut().skip(2) {
        let Some(text) = argument.to_str().filter(|t| t.starts_with("--")) else {
            continue;
        };
        if text == "--" {
            break;
        }
        let (name, value) = text.split_at(text.find('=').unwrap_or(text.len()));
        *argument = format!("{}{value}", name.replace('_', "-")).into();
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(given: &str, want: &str) {
        let told = flags(given.split(' ').map(OsString::from));
        let want: Vec<OsString> = want.split(' ').map(OsString::from).collect();
        assert_eq!(told, want);
    }

    #[test]
    fn underscores_of_flags_become_dashes_in_these_groups_alone() {
        check(
            "foresail aquatope train-encoder --n_input_steps 48 --dataset_dir=my_data a_b -o c_d",
            "foresail aquatope train-encoder --n-input-steps 48 --dataset-dir=my_data a_b -o c_d",
        );
        check(
            "foresail trace info my_file --skip_bad_rows",
            "foresail trace info my_file --skip_bad_rows",
        );
        check(
            "foresail optimize --n_init 5 --workflow_config=my_flow.json",
            "foresail optimize --n-init 5 --workflow-config=my_flow.json",
        );
        check(
            "foresail aquatope x -- --a_b",
            "foresail aquatope x -- --a_b",
        );
    }
}
