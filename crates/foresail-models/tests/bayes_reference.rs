//! Gaussian processes and the acquisition against the checked vectors, scikit-learn
//! (`tests/reference/bayes.py`) and a fit of BoTorch 0.18.1.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests may fail loudly"
)]

use std::path::PathBuf;

use foresail_models::bayes::acquisition::{Acquisition, Draws};
use foresail_models::bayes::anomaly::band;
use foresail_models::bayes::constraint::{TEMPERATURE, Utility, infeasible_cost};
use foresail_models::bayes::fit::{Likelihood, beginnings, fit};
use foresail_models::bayes::gp::{Gp, GpError, Hyper, Moments, Rows};
use foresail_models::bayes::kernel::Kernel;
use foresail_models::bayes::optimize::{Effort, maximise};
use foresail_models::bayes::prior::{Prior, Priors};
use foresail_models::rng::{Seed, child, uniform};
use serde_json::Value;

fn golden(name: &str) -> Value {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/bayes");
    serde_json::from_slice(&std::fs::read(root.join(name)).unwrap()).unwrap()
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("{value}"))
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(number).collect()
}

fn points(value: &Value) -> Vec<Vec<f64>> {
    value.as_array().unwrap().iter().map(numbers).collect()
}

fn near(got: f64, want: f64, tolerance: f64, what: &str) {
    let close = (got - want).abs() <= tolerance * (1.0 + want.abs());
    assert!(close, "{what}: {got} is not {want}");
}

fn hyper(lengths: Vec<f64>, output_scale: f64, noise: f64, mean: f64) -> Hyper {
    Hyper {
        kernel: Kernel {
            lengths,
            output_scale,
        },
        noise,
        mean,
    }
}

#[test]
fn posterior_and_leave_one_out_are_the_checked_vectors() {
    let rows = Rows::of(vec![vec![0.1], vec![0.5], vec![0.9]], vec![1.0, -0.5, 0.3]);
    let gp = Gp::new(hyper(vec![0.5], 1.0, 0.01, 0.0), rows).unwrap();
    let at = gp.posterior(&[0.3]);
    assert!((at.mean - 0.160_066).abs() < 1e-6 && (at.variance - 0.049_714).abs() < 1e-6);
    let left_out = gp.leave_one_out();
    let want = [
        (-0.488_691, 0.553_814),
        (0.666_445, 0.349_239),
        (-0.680_532, 0.553_814),
    ];
    for (got, (mean, variance)) in left_out.iter().zip(want) {
        assert!((got.mean - mean).abs() < 1e-6, "{got:?}");
        assert!((got.variance - variance).abs() < 1e-6, "{got:?}");
    }
}

#[test]
fn a_band_is_made_of_the_deviation_and_not_of_the_variance() {
    let moments = Moments {
        mean: -5.0,
        variance: 4.0,
    };
    let [lower, upper] = band(moments, 0.95);
    assert!((lower + 8.92).abs() < 5e-3 && (upper + 1.08).abs() < 5e-3);
    // What the published code gave: the variance in the deviation's place.
    let published = Moments {
        mean: -5.0,
        variance: 16.0,
    };
    let [lower, upper] = band(published, 0.95);
    assert!((lower + 12.84).abs() < 5e-3 && (upper - 2.84).abs() < 5e-3);
}

#[test]
fn likelihood_gradient_posterior_and_leave_one_out_equal_scikit_learns() {
    for case in golden("reference.json")["processes"].as_array().unwrap() {
        let rows = Rows::of(points(&case["points"]), numbers(&case["values"]));
        let lengths = numbers(&case["lengths"]);
        let (scale, noise) = (number(&case["output_scale"]), number(&case["noise"]));
        let gp = Gp::new(hyper(lengths.clone(), scale, noise, 0.0), rows).unwrap();
        assert!(gp.jitter() == 0.0);
        near(
            gp.log_likelihood(),
            number(&case["log_likelihood"]),
            1e-9,
            "likelihood",
        );
        let asked = points(&case["asked"]);
        let (means, covariance) = gp.joint(&asked);
        for (i, point) in asked.iter().enumerate() {
            let one = gp.posterior(point);
            near(one.mean, number(&case["mean"][i]), 1e-9, "mean");
            near(means[i], one.mean, 1e-12, "joint mean");
            near(covariance[(i, i)], one.variance, 1e-12, "joint variance");
            for j in 0..asked.len() {
                near(
                    covariance[(i, j)],
                    number(&case["covariance"][i][j]),
                    1e-9,
                    "covariance",
                );
            }
        }
        for (got, want) in gp
            .leave_one_out()
            .iter()
            .zip(points(&case["leave_one_out"]))
        {
            near(got.mean, want[0], 1e-8, "left out");
            near(got.variance, want[1], 1e-8, "left out");
        }
    }
}

#[test]
fn the_gradient_equals_differences_with_priors_shares_and_added_noise() {
    let case = &golden("reference.json")["processes"][0];
    let mut rows = Rows::of(points(&case["points"]), numbers(&case["values"]));
    for i in 0..rows.count() {
        rows.shares[i] = [1.0, 0.5, 0.25][i % 3];
        rows.added[i] = [0.0, 0.0, 0.3, 0.05][i % 4];
    }
    for priors in [Priors::CLASSIC, Priors::NONE] {
        let likelihood = Likelihood::new(&rows, &priors).unwrap();
        for beginning in beginnings(3) {
            let mut at = likelihood.parameters(&beginning);
            at[1] += 0.3;
            let mut gradient = vec![0.0; at.len()];
            let value = likelihood.negative(&at, &mut gradient);
            assert!(value.is_finite());
            let mut unused = gradient.clone();
            for place in 0..at.len() {
                let h = 1e-5;
                let (mut up, mut down) = (at.clone(), at.clone());
                up[place] += h;
                down[place] -= h;
                let difference = (likelihood.negative(&up, &mut unused)
                    - likelihood.negative(&down, &mut unused))
                    / (2.0 * h);
                near(gradient[place], difference, 1e-6, "gradient");
            }
        }
    }
}

#[test]
fn the_gradient_equals_scikit_learns() {
    for case in golden("reference.json")["processes"].as_array().unwrap() {
        // The mean is profiled here and nought there: each value and its opposite, far away from
        // each other in a further dimension, have the mean nought and twice the likelihood.
        let (mut at, mut values) = (points(&case["points"]), numbers(&case["values"]));
        let n = values.len();
        for i in 0..n {
            at[i].push(0.0);
            let mut mirrored = at[i].clone();
            mirrored[at[i].len() - 1] = 1.0;
            at.push(mirrored);
            values.push(-values[i]);
        }
        let rows = Rows::of(at, values);
        let mut lengths = numbers(&case["lengths"]);
        lengths.push(1e-3);
        let hyper = hyper(
            lengths,
            number(&case["output_scale"]),
            number(&case["noise"]),
            0.0,
        );
        let likelihood = Likelihood::new(&rows, &Priors::NONE).unwrap();
        let parameters = likelihood.parameters(&hyper);
        let mut gradient = vec![0.0; parameters.len()];
        let value = likelihood.negative(&parameters, &mut gradient);
        near(
            -value,
            2.0 * number(&case["log_likelihood"]),
            1e-7,
            "likelihood",
        );
        let want = numbers(&case["gradient"]);
        let d = want.len() - 2;
        near(-gradient[d + 1], 2.0 * want[0], 1e-6, "by output scale");
        for m in 0..d {
            near(-gradient[m], 2.0 * want[m + 1], 1e-6, "by length scale");
        }
        // By the noise here over the part above the floor.
        let above = 1.0 - Priors::NONE.noise_floor / number(&case["noise"]);
        near(
            -gradient[d + 2],
            2.0 * want[d + 1] * above,
            1e-5,
            "by noise",
        );
    }
}

/// The two processes of BoTorch's fixture: hyper-parameters as it fitted them.
fn botorch() -> (Value, [Gp; 2], [[f64; 2]; 2]) {
    let fixture = golden("botorch_60x12.json");
    let one = |model: &Value| {
        let rows = Rows::of(
            points(&fixture["X"]),
            numbers(&model["train_targets_standardised"]),
        );
        let hyper = hyper(
            numbers(&model["lengthscale"]),
            number(&model["outputscale"]),
            number(&model["noise"]),
            number(&model["mean_const"]),
        );
        Gp::new(hyper, rows).unwrap()
    };
    let gps = [one(&fixture["models"][0]), one(&fixture["models"][1])];
    let scales = ["objective", "constraint"].map(|name| {
        let values = numbers(&fixture[name]);
        let n = values.len() as f64;
        let mean = values.iter().sum::<f64>() / n;
        let square: f64 = values.iter().map(|v| (v - mean) * (v - mean)).sum();
        [mean, (square / (n - 1.0)).sqrt()]
    });
    (fixture, gps, scales)
}

/// The prior of the noise under which the fixture was fitted: BoTorch's own since 0.12.
const FIXTURE_NOISE: Prior = Prior::LogNormal {
    location: -4.0,
    scale: 1.0,
};

#[test]
fn likelihood_and_posterior_equal_botorchs() {
    let (fixture, gps, scales) = botorch();
    let asked: Vec<Vec<f64>> = points(&fixture["X"])[..5]
        .iter()
        .map(|p| p.iter().map(|x| 0.5 * x + 0.25).collect())
        .collect();
    for (k, gp) in gps.iter().enumerate() {
        let model = &fixture["models"][k];
        let [density, _] = FIXTURE_NOISE.log_density(gp.hyper().noise);
        let per_point = (gp.log_likelihood() + density) / 60.0;
        near(
            per_point,
            number(&model["mll_per_point_incl_priors"]),
            1e-9,
            "likelihood",
        );
        let told = &model["posterior_at_X[0:5]/2+1/4"];
        let [mean, deviation] = scales[k];
        for (i, point) in asked.iter().enumerate() {
            let at = gp.posterior(point);
            near(
                mean + deviation * at.mean,
                number(&told["mean"][i]),
                1e-9,
                "mean",
            );
            let variance = deviation * deviation * at.variance;
            near(variance, number(&told["variance"][i]), 1e-9, "variance");
        }
    }
}

#[test]
fn a_fit_is_at_least_as_likely_as_botorchs() {
    let (_, gps, _) = botorch();
    for gp in &gps {
        for noise in [FIXTURE_NOISE, Prior::Flat] {
            let priors = Priors {
                noise,
                ..Priors::NONE
            };
            let worth = |gp: &Gp| gp.log_likelihood() + noise.log_density(gp.hyper().noise)[0];
            let fitted = fit(gp.rows().clone(), &priors, &beginnings(12)).unwrap();
            let (ours, theirs) = (worth(&fitted), worth(gp));
            assert!(ours > theirs - 1e-3, "{ours} {theirs} {:?}", fitted.hyper());
            // What is fitted already stays where it is.
            let again = fit(gp.rows().clone(), &priors, &[fitted.hyper().clone()]).unwrap();
            assert!(
                (worth(&again) - ours).abs() < 1e-2,
                "{} {ours}",
                worth(&again)
            );
        }
    }
}

#[test]
fn a_fit_under_the_classic_priors_ends_where_nothing_rises() {
    let (_, gps, _) = botorch();
    for gp in &gps {
        let rows = gp.rows();
        let fitted = fit(rows.clone(), &Priors::CLASSIC, &beginnings(12)).unwrap();
        let likelihood = Likelihood::new(rows, &Priors::CLASSIC).unwrap();
        let parameters = likelihood.parameters(fitted.hyper());
        let mut gradient = vec![0.0; parameters.len()];
        let value = likelihood.negative(&parameters, &mut gradient);
        assert!(
            gradient.iter().all(|g| g.abs() < 0.1),
            "{value} {gradient:?}"
        );
        // Nowhere near is likelier by what counts.
        for place in 0..parameters.len() {
            for step in [-0.2, 0.2] {
                let mut moved = parameters.clone();
                moved[place] += step;
                assert!(likelihood.negative(&moved, &mut gradient) > value - 1e-3);
            }
        }
    }
}

fn acquisition_of(
    gps: &[Gp; 2],
    scales: [[f64; 2]; 2],
    draws: Draws,
    temperature: f64,
) -> Acquisition {
    let [objective, constraint] = gps;
    let held: Vec<Moments> = objective
        .rows()
        .points
        .iter()
        .map(|p| objective.posterior(p))
        .collect();
    let [mean, deviation] = scales[1];
    let utility = Utility {
        infeasible_cost: infeasible_cost(&held),
        limit: -mean / deviation,
        temperature,
    };
    let measured: Vec<(usize, usize)> = (0..objective.rows().count()).map(|i| (i, i)).collect();
    let mut stream = child(Seed(7), "acquisition");
    Acquisition::new(
        objective,
        constraint,
        &measured,
        utility,
        draws,
        &mut stream,
    )
    .unwrap()
}

#[test]
fn the_acquisition_of_botorchs_candidate_is_that_of_plain_draws() {
    let (fixture, gps, scales) = botorch();
    let candidate = points(&fixture["candidate"]).concat();
    let mut gradient = vec![0.0; candidate.len()];
    let told = &golden("reference.json")["acquisition"];
    let (mean, deviation) = (number(&told["mean"]), number(&told["deviation"]));
    // BoTorch's own figure comes from 32 draws; it must lie where such a figure does.
    let theirs = number(&fixture["value"]);
    assert!((theirs - mean).abs() < 3.0 * deviation / 32_f64.sqrt());
    for (count, errors) in [(32, 3.0), (4096, 3.0)] {
        let draws = Draws { count, batch: 3 };
        let acquisition = acquisition_of(&gps, scales, draws, TEMPERATURE / scales[1][1]);
        let value = scales[0][1] * acquisition.value(&candidate, &mut gradient);
        let error = errors * deviation / (count as f64).sqrt();
        assert!(
            (value - mean).abs() < error,
            "{count}: {value} {mean} {error}"
        );
    }
}

#[test]
fn candidates_are_at_least_as_good_as_botorchs() {
    let (fixture, gps, scales) = botorch();
    let temperature = TEMPERATURE / scales[1][1];
    let few = acquisition_of(
        &gps,
        scales,
        Draws {
            count: 32,
            batch: 3,
        },
        temperature,
    );
    let many = acquisition_of(
        &gps,
        scales,
        Draws {
            count: 2048,
            batch: 3,
        },
        temperature,
    );
    let effort = Effort {
        raw: 32,
        restarts: 10,
    };
    let objective = &gps[0];
    let good = vec![objective.rows().points[0].clone()];
    let found = maximise(&few, &good, effort, &mut child(Seed(1), "candidates"));
    let again = maximise(&few, &good, effort, &mut child(Seed(1), "candidates"));
    assert_eq!(found, again);
    let mut gradient = vec![0.0; 36];
    let mut worth = |points: &[Vec<f64>]| many.value(&points.concat(), &mut gradient);
    let (ours, theirs) = (worth(&found.points), worth(&points(&fixture["candidate"])));
    assert!(
        found
            .points
            .iter()
            .flatten()
            .all(|x| (0.0..=1.0).contains(x))
    );
    assert!(ours > 0.9 * theirs, "{ours} {theirs}");
}

#[test]
fn the_gradient_of_the_acquisition_equals_differences() {
    let (fixture, gps, scales) = botorch();
    let good = points(&fixture["candidate"]).concat();
    let mut stream = child(Seed(2), "points");
    for batch in [1, 2, 3] {
        // A wide sigmoid, so that differences see its slope too.
        let acquisition = acquisition_of(&gps, scales, Draws { count: 64, batch }, 0.3);
        for _ in 0..5 {
            let mut move_a_bit = |x: &f64| x + 0.1 * (uniform(&mut stream) - 0.5);
            let point: Vec<f64> = good[..12 * batch].iter().map(&mut move_a_bit).collect();
            let mut gradient = vec![0.0; point.len()];
            let mut unused = gradient.clone();
            let value = acquisition.value(&point, &mut gradient);
            assert!(value > 0.0);
            for place in 0..point.len() {
                let h = 1e-6;
                let (mut up, mut down) = (point.clone(), point.clone());
                up[place] += h;
                down[place] -= h;
                let difference = (acquisition.value(&up, &mut unused)
                    - acquisition.value(&down, &mut unused))
                    / (2.0 * h);
                near(gradient[place], difference, 1e-4, "gradient");
            }
        }
    }
}

#[test]
fn rows_that_mean_nothing_are_refused() {
    let hyper = hyper(vec![1.0], 1.0, 0.1, 0.0);
    let refused = |rows: Rows| Gp::new(hyper.clone(), rows).unwrap_err();
    assert_eq!(refused(Rows::default()), GpError::NoPoints);
    let nan = Rows::of(vec![vec![0.5]], vec![f64::NAN]);
    assert_eq!(refused(nan), GpError::Malformed);
    let many = Rows::of(vec![vec![0.5]; 513], vec![0.0; 513]);
    assert_eq!(refused(many), GpError::TooManyPoints(513));
    // One point, and the same point many times: no matrix is lost.
    let same = Rows::of(vec![vec![0.5]; 9], (0..9).map(f64::from).collect());
    let gp = fit(same, &Priors::CLASSIC, &beginnings(1)).unwrap();
    assert!(gp.posterior(&[0.5]).mean.is_finite());
    assert!(
        fit(
            Rows::of(vec![vec![0.5]], vec![1.0]),
            &Priors::CLASSIC,
            &beginnings(1)
        )
        .is_ok()
    );
}
