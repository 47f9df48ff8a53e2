//! The label model on votes whose probabilities are known.
//!
//! The setting is that of `peers/aapa_snorkel.py`: ten functions of one class each, 70,000 rows.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "tests may fail loudly"
)]

use foresail_core::propose::archetype::Archetype;
use foresail_core::quantity::units::larger;
use foresail_models::classify::label_model::{FitOptions, LabelModel, LabelModelError, Patterns};
use foresail_models::classify::labeling::Votes;
use foresail_models::rng::{Seed, child, uniform};

const ROWS: usize = 70_000;
const BALANCE: [f64; 4] = [0.1, 0.5, 0.1, 0.3];
const CLASS: [usize; 10] = [0, 0, 0, 1, 1, 1, 2, 2, 3, 3];
/// Probability of a vote on the own class, and on any other.
const OWN: [f64; 10] = [0.8, 0.6, 0.5, 0.5, 0.8, 0.4, 0.8, 0.5, 0.7, 0.6];
const OTHER: [f64; 10] = [0.02, 0.05, 0.05, 0.05, 0.15, 0.2, 0.03, 0.05, 0.1, 0.2];

fn rate(function: usize, class: usize) -> f64 {
    if CLASS[function] == class {
        OWN[function]
    } else {
        OTHER[function]
    }
}

/// Rows of a class and votes; `copies` more functions vote as `copied` does.
fn rows(seed: u64, copied: usize, copies: usize) -> Vec<(usize, Votes)> {
    let mut stream = child(Seed(seed), "votes");
    let row = |_| {
        let mut left = uniform(&mut stream);
        let mut class = 0;
        while class < 3 && left >= BALANCE[class] {
            left -= BALANCE[class];
            class += 1;
        }
        let mut votes = 0;
        for function in 0..CLASS.len() {
            votes |= u32::from(uniform(&mut stream) < rate(function, class)) << function;
        }
        for copy in 0..copies {
            votes |= (votes >> copied & 1) << (CLASS.len() + copy);
        }
        (class, Votes(votes))
    };
    (0..ROWS).map(row).collect()
}

fn patterns(rows: &[(usize, Votes)], copied: usize, copies: usize) -> Patterns {
    let classes = CLASS
        .iter()
        .chain(std::iter::repeat_n(&CLASS[copied], copies));
    let archetypes: Vec<_> = classes.map(|c| Archetype::CLASSES[*c]).collect();
    let mut patterns = Patterns::new(&archetypes).unwrap();
    rows.iter().for_each(|(_, votes)| patterns.add(*votes));
    patterns
}

fn fit(patterns: &Patterns, balance: Option<[f64; 4]>) -> LabelModel {
    let options = FitOptions {
        balance,
        ..FitOptions::default()
    };
    LabelModel::fit(patterns, &options).unwrap()
}

fn accuracy(model: &LabelModel, rows: &[(usize, Votes)]) -> f64 {
    let right = |(class, votes): &&(usize, Votes)| model.label(*votes).0.place() == Some(*class);
    rows.iter().filter(right).count() as f64 / rows.len() as f64
}

/// Of classes with as many votes the first.
fn majority(votes: Votes) -> usize {
    let mut tally = [0; 4];
    (0..10)
        .filter(|f| votes.has(*f))
        .for_each(|f| tally[CLASS[f]] += 1);
    let most = tally.iter().max().unwrap();
    tally.iter().position(|t| t == most).unwrap()
}

/// The accuracy of one who knows every probability, in closed form over the 1,024 patterns.
fn bayes_limit() -> f64 {
    let joint = |pattern: u32, class: usize| {
        let vote = |f: usize| {
            let p = rate(f, class);
            if Votes(pattern).has(f) { p } else { 1.0 - p }
        };
        BALANCE[class] * (0..10).map(vote).product::<f64>()
    };
    let best = |pattern| (0..4).map(|c| joint(pattern, c)).fold(0.0, larger);
    (0..1024).map(best).sum()
}

fn worst_rate(model: &LabelModel) -> f64 {
    let off = |f: usize, c: usize| (model.rates[f][c] - rate(f, c)).abs();
    let all = (0..10).flat_map(|f| (0..4).map(move |c| (f, c)));
    all.map(|(f, c)| off(f, c)).fold(0.0, larger)
}

#[test]
fn every_probability_is_recovered_within_three_hundredths() {
    for (seed, given) in [(1, true), (2, true), (1, false), (2, false)] {
        let rows = rows(seed, 0, 0);
        let model = fit(&patterns(&rows, 0, 0), given.then_some(BALANCE));
        let worst = worst_rate(&model);
        println!(
            "seed {seed}, balance given {given}: worst {worst:.4}, {} rounds",
            model.rounds
        );
        assert!(worst < 0.03, "seed {seed}, balance given {given}: {worst}");
        let balance = (0..4).map(|c| (model.balance[c] - BALANCE[c]).abs());
        assert!(balance.fold(0.0, larger) < 0.01);
    }
}

#[test]
fn it_beats_the_majority_and_reaches_the_limit_of_one_who_knows() {
    let rows = rows(3, 0, 0);
    let model = fit(&patterns(&rows, 0, 0), None);
    let (own, limit) = (accuracy(&model, &rows), bayes_limit());
    let right = rows.iter().filter(|(c, v)| majority(*v) == *c).count();
    let majority = right as f64 / ROWS as f64;
    println!("model {own:.4}, majority {majority:.4}, limit {limit:.4}");
    // Three standard errors of an accuracy over 70,000 rows are .004.
    assert!((own - limit).abs() < 0.004, "{own} {limit}");
    assert!(own > majority + 0.03, "{own} {majority}");
}

#[test]
fn a_function_is_right_as_often_as_bayes_rule_says() {
    let rows = rows(4, 0, 0);
    let model = fit(&patterns(&rows, 0, 0), Some(BALANCE));
    for f in 0..10 {
        let all: f64 = (0..4).map(|c| BALANCE[c] * rate(f, c)).sum();
        let want = BALANCE[CLASS[f]] * OWN[f] / all;
        assert!((model.accuracy(f) - want).abs() < 0.03, "{f}");
    }
}

#[test]
fn independent_functions_are_not_marked_and_copies_that_fool_the_model_are() {
    let honest_rows = rows(5, 0, 0);
    let honest_patterns = patterns(&honest_rows, 0, 0);
    let honest = fit(&honest_patterns, Some(BALANCE));
    let marked = honest.dependences(&honest_patterns);
    assert!(marked.iter().all(|d| !d.is_marked()), "{:?}", marked[0]);

    // The last function is right on 56 % of its votes; two more copy it.
    let fooled_rows = rows(5, 9, 2);
    let fooled_patterns = patterns(&fooled_rows, 9, 2);
    let fooled = fit(&fooled_patterns, Some(BALANCE));
    let (before, after) = (
        accuracy(&honest, &honest_rows),
        accuracy(&fooled, &fooled_rows),
    );
    println!(
        "accuracy {before:.4}, with two copies {after:.4}, worst rate {:.3}",
        worst_rate(&fooled)
    );
    assert!(after < before - 0.02, "{before} {after}");
    assert!(worst_rate(&fooled) > 0.1);
    // A copy's correlation within a class is one, whatever the model was made to believe.
    let dependences = fooled.dependences(&fooled_patterns);
    for (d, pair) in dependences.iter().zip([[9, 10], [9, 11], [10, 11]]) {
        println!("{d:?}");
        assert!(d.is_marked() && (d.correlation - 1.0).abs() < 0.05, "{d:?}");
        assert_eq!(d.functions, pair);
    }
}

#[test]
fn what_cannot_be_fitted_is_refused() {
    let none = Patterns::new(&[Archetype::Spike, Archetype::Ramp]).unwrap();
    let fit = |patterns, balance| {
        let options = FitOptions {
            balance,
            ..FitOptions::default()
        };
        LabelModel::fit(patterns, &options).unwrap_err()
    };
    assert_eq!(fit(&none, None), LabelModelError::NoRows);
    let mut one = none.clone();
    one.add(Votes(1));
    let odd = [0.5, 0.5, 0.5, 0.5];
    assert_eq!(fit(&one, Some(odd)), LabelModelError::Balance(odd));
    assert_eq!(Patterns::new(&[]), Err(LabelModelError::Functions(0)));
    let idle = Patterns::new(&[Archetype::Idle]);
    assert_eq!(idle, Err(LabelModelError::NoClass(0)));
}
