//! Forecasts from the command line: what is told, what is saved, what is refused.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "tests may fail loudly"
)]

mod support;

use std::fs;
use std::path::Path;

use support::{data, foresail, refused, root, stdout};

/// Two days of 5-minute steps with a day in them, a gap of two steps, and `more` steps after.
fn write_trace(folder: &Path, name: &str, more: usize) {
    let value = |i: usize| {
        let day = (std::f64::consts::TAU * i as f64 / 288.0).sin();
        (100.0 + 60.0 * day).round() + ((i * 7919) % 11) as f64
    };
    let row = |i: usize| {
        let time = 1_767_571_200 + 300 * i;
        match i {
            200 | 201 => format!("{time},\n"),
            _ => format!("{time},{}\n", value(i)),
        }
    };
    let rows: String = (0..864 + more).map(row).collect();
    fs::write(folder.join(name), format!("timestamp,count\n{rows}")).unwrap();
}

fn json(text: &str) -> serde_json::Value {
    serde_json::from_str(text).unwrap_or_else(|e| panic!("{e}: {text}"))
}

#[test]
fn a_model_is_fitted_saved_and_goes_on_where_the_trace_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    write_trace(folder.path(), "web.csv", 0);
    write_trace(folder.path(), "longer.csv", 12);
    let run = |args: &[&str]| stdout(folder.path(), &[&["forecast"], args].concat(), 0);
    let told = run(&["fit", "--trace", "web.csv", "--out", "web.model"]);
    assert!(told.contains("2 steps without a value"), "{told}");
    assert!(told.contains("2 steps from 2026-01-05T16:40:00Z"), "{told}");
    assert!(told.contains("288 steps (1 d)"), "{told}");
    assert!(told.contains("model: web.model ("), "{told}");
    let shown = |args: &[&str]| {
        let fixed = ["show", "--horizon", "1h", "--output", "json"];
        json(&run(&[&fixed[..], args].concat()))
    };
    let fresh = shown(&["--trace", "web.csv"]);
    let kept = shown(&["--model", "web.model"]);
    assert_eq!(
        fresh["steps"], kept["steps"],
        "a saved model says what it said"
    );
    assert_eq!(fresh["steps"].as_array().unwrap().len(), 12);
    assert_eq!(fresh["steps"][0]["time"], "2026-01-08T00:00:00Z");
    let on = shown(&["--model", "web.model", "--trace", "longer.csv"]);
    assert_eq!(on["steps"][0]["time"], "2026-01-08T01:00:00Z");
    for step in on["steps"].as_array().unwrap() {
        let quantiles: Vec<f64> = serde_json::from_value(step["quantiles"].clone()).unwrap();
        assert!(
            quantiles.is_sorted() && quantiles[0] >= 0.0,
            "{quantiles:?}"
        );
    }
}

#[test]
fn the_chart_is_braille_where_the_terminal_can_and_ascii_elsewhere() {
    let folder = tempfile::tempdir().unwrap();
    write_trace(folder.path(), "web.csv", 0);
    let run = |locale: &str| {
        let args = ["forecast", "show", "--trace", "web.csv", "--horizon", "4h"];
        let output = support::command(folder.path(), &args)
            .env_remove("LC_ALL")
            .env_remove("LC_CTYPE")
            .env("TERM", "xterm")
            .env("LANG", locale)
            .env("COLUMNS", "80")
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let (plain, fine) = (run("C"), run("en_US.UTF-8"));
    let chart = |text: &str| text.lines().take(20).map(str::to_owned).collect::<Vec<_>>();
    assert!(chart(&plain).iter().all(|l| l.is_ascii()), "{plain}");
    assert!(fine.contains('░') && fine.contains('│'), "{fine}");
    assert!(
        chart(&fine).iter().all(|l| l.chars().count() <= 80),
        "{fine}"
    );
    assert!(
        plain.contains("80 % band") && plain.contains("01-08 00:00"),
        "{plain}"
    );
}

#[test]
fn pictures_and_quantiles_of_every_step_are_written() {
    let folder = tempfile::tempdir().unwrap();
    write_trace(folder.path(), "web.csv", 0);
    for name in ["fan.svg", "fan.png"] {
        let args = [
            "forecast", "show", "--trace", "web.csv", "--out", name, "--output", "csv",
        ];
        let csv = stdout(folder.path(), &args, 0);
        assert!(csv.starts_with("step,time,q0.025,q0.1,"), "{csv}");
        assert_eq!(csv.lines().count(), 73, "six hours of five minutes");
        assert!(fs::metadata(folder.path().join(name)).unwrap().len() > 2000);
    }
}

#[test]
fn a_backtest_has_a_row_for_each_method_and_step_and_its_charts() {
    let folder = tempfile::tempdir().unwrap();
    write_trace(folder.path(), "web.csv", 0);
    let fixed = [
        "forecast",
        "backtest",
        "--trace",
        "web.csv",
        "--forecasters",
        "last,seasonal-naive",
        "--ahead",
        "12,1",
        "--origins",
        "8",
        "--season",
        "288",
    ];
    let run = |more: &[&str]| stdout(folder.path(), &[&fixed[..], more].concat(), 0);
    let got = json(&run(&["--output", "json", "--out", "charts"]));
    let rows = got["rows"].as_array().unwrap();
    assert_eq!(rows.len(), 4);
    for row in rows {
        for name in [
            "set", "series", "points", "method", "h", "mase", "wape", "spb", "cov80", "cov95",
            "crps",
        ] {
            assert!(!row[name].is_null(), "{name}: {row}");
        }
        assert_eq!(row["points"], 8);
    }
    // A day that repeats is forecast better an hour ahead by the day before than by the last value.
    let duel = &got["duels"][1];
    assert_eq!(
        (&duel["method"], &duel["best"]),
        (&"seasonal-naive".into(), &"last".into())
    );
    assert_eq!(duel["verdict"], "significantly better", "{duel}");
    for name in [
        "summary.csv",
        "run.json",
        "figures/web-count-last.svg",
        "figures/web-count-last.png",
    ] {
        let there = folder.path().join("charts").join(name);
        let all = fs::read_dir(folder.path().join("charts/figures")).unwrap();
        assert!(
            there.is_file() || name.contains("count") && all.count() == 4,
            "{name}"
        );
    }
    let table = run(&[]);
    assert!(table.contains("significantly better in"), "{table}");
    assert!(table.contains("Coverage, all series together:"), "{table}");
    let csv = run(&["--output", "csv"]);
    assert!(
        csv.starts_with("set,series,points,method,h,mase,wape,spb,cov80,cov95,"),
        "{csv}"
    );
    let again = json(&run(&["--output", "json", "--jobs", "1"]));
    assert_eq!(again["duels"], got["duels"], "one thread or many");
}

#[test]
fn the_registry_is_listed_and_a_trace_is_explained() {
    let folder = tempfile::tempdir().unwrap();
    write_trace(folder.path(), "web.csv", 0);
    let models = json(&stdout(
        folder.path(),
        &["forecast", "models", "--output", "json"],
        0,
    ));
    let table = stdout(folder.path(), &["forecast", "models"], 0);
    let known = foresail_models::registry::FORECASTERS.iter();
    for (entry, model) in known.zip(models["models"].as_array().unwrap()) {
        assert_eq!(model["name"], entry.name);
        assert!(
            table.contains(entry.summary) && table.contains(entry.suits),
            "{}",
            entry.name
        );
        for knob in entry.knobs {
            assert!(
                table.contains(&format!("--knob {}=", knob.name)),
                "{}",
                knob.name
            );
        }
    }
    let args = [
        "forecast",
        "explain",
        "--trace",
        "web.csv",
        "--horizon",
        "2h",
    ];
    let text = stdout(folder.path(), &args, 0);
    for part in [
        "gaps: 2 steps",
        "seasons: 288 steps (1 d)",
        "level: ",
        "forecasts this series best",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
}

/// What is refused, the arguments after `forecast`, and what the error must say.
const REFUSED: [(&str, &str); 20] = [
    ("show --trace web.csv --horizon 0", "must be 1 to 10080"),
    ("show --trace web.csv --horizon 40d", "must be 1 to 10080"),
    (
        "show --trace web.csv --horizon soon",
        "must be a number of steps or a span",
    ),
    (
        "show --trace web.csv --item nobody",
        "there is no item `nobody`",
    ),
    (
        "show --trace web.csv --forecaster oracle",
        "there is no forecaster `oracle`",
    ),
    (
        "show --trace web.csv --out fan.gif",
        "must end in .svg or .png",
    ),
    (
        "fit --trace web.csv --out a.model --knob pace=3",
        "there is no knob `pace`",
    ),
    (
        "fit --trace web.csv --out a.model --knob seasonSteps=-1",
        "must be a whole number from 0",
    ),
    (
        "fit --trace web.csv --out a.model --knob seasonSteps=NaN",
        "must be a whole number from 0",
    ),
    (
        "fit --trace web.csv --out a.model --knob seasonSteps=5000",
        "longer than the history of 864 points",
    ),
    (
        "fit --trace web.csv --out a.model --knob seasonSteps=24.5",
        "must be a whole number",
    ),
    ("fit --trace web.csv --out a.pt", "PyTorch pickle"),
    ("fit --trace nan.csv --out a.model", "line 3"),
    ("fit --trace inf.csv --out a.model", "line 3"),
    ("fit --trace twice.csv --out a.model", "line 4"),
    ("fit --trace mixed.csv --out a.model", "line"),
    (
        "backtest --trace web.csv --ahead 0",
        "--ahead 0: must be 1 to 10080",
    ),
    (
        "backtest --trace web.csv --test-share 1",
        "must be above 0 and below 1",
    ),
    (
        "backtest --trace web.csv --forecasters last --knob ets.form=AAN",
        "ets does not run here",
    ),
    (
        "backtest --protocol baselines --data . --forecasters last",
        "none of the protocol's files",
    ),
];

#[test]
fn bad_input_is_refused_with_the_mend_and_nothing_is_left() {
    let folder = tempfile::tempdir().unwrap();
    write_trace(folder.path(), "web.csv", 0);
    for (name, rows) in [
        ("nan.csv", "0,1\n300,NaN\n600,2\n"),
        ("inf.csv", "0,1\n300,inf\n600,2\n"),
        ("twice.csv", "0,1\n300,2\n300,3\n600,2\n"),
        ("mixed.csv", "0,1\n300,2\n700,3\n1000,2\n1300,4\n"),
    ] {
        fs::write(folder.path().join(name), format!("timestamp,count\n{rows}")).unwrap();
    }
    let count = || fs::read_dir(folder.path()).unwrap().count();
    let before = count();
    for (line, want) in REFUSED {
        let args: Vec<&str> = ["forecast"].into_iter().chain(line.split(' ')).collect();
        let error = refused(folder.path(), &args);
        assert!(error.contains(want), "{line}: {error}");
        assert_eq!(count(), before, "{line}: something was left behind");
    }
}

#[test]
fn rows_out_of_order_are_refused_or_put_in_order_where_a_rule_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let mut rows: Vec<String> = (0..60).map(|i| format!("{},{}", 300 * i, i % 7)).collect();
    let args = ["forecast", "show", "--trace", "web.csv", "--output", "csv"];
    let write = |rows: &[String]| {
        let text = format!("timestamp,count\n{}\n", rows.join("\n"));
        fs::write(folder.path().join("web.csv"), text).unwrap();
    };
    write(&rows);
    let ordered = stdout(folder.path(), &args, 0);
    rows.swap(10, 40);
    write(&rows);
    let error = refused(folder.path(), &args);
    assert!(error.contains("sort the file by time"), "{error}");
    let told: Vec<&str> = args.into_iter().chain(["--uneven", "first"]).collect();
    assert_eq!(stdout(folder.path(), &told, 0), ordered);
}

#[test]
fn a_history_that_is_too_short_has_its_own_exit_code() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(
        folder.path().join("short.csv"),
        "timestamp,count\n0,1\n300,2\n600,\n",
    )
    .unwrap();
    for args in [
        &[
            "forecast",
            "fit",
            "--trace",
            "short.csv",
            "--forecaster",
            "ets",
            "--out",
            "a.model",
        ][..],
        &[
            "forecast",
            "backtest",
            "--trace",
            "short.csv",
            "--ahead",
            "1",
        ],
    ] {
        let output = foresail(folder.path(), args);
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(4), "{args:?}: {error}");
        assert!(error.contains("longer"), "{error}");
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn only_a_file_of_the_same_kind_is_written_over() {
    let folder = tempfile::tempdir().unwrap();
    write_trace(folder.path(), "web.csv", 0);
    let fit = |out| ["forecast", "fit", "--trace", "web.csv", "--out", out];
    let show = |out| ["forecast", "show", "--trace", "web.csv", "--out", out];
    let trace = fs::read(folder.path().join("web.csv")).unwrap();
    fs::write(folder.path().join("notes.svg"), "<html>mine").unwrap();
    fs::create_dir(folder.path().join("models")).unwrap();
    for (args, want) in [
        (
            fit("web.csv"),
            "web.csv is there and is no model file: give another name",
        ),
        (fit("models"), "models is there and is no file"),
        (
            show("notes.svg"),
            "notes.svg is there and is no svg picture",
        ),
    ] {
        let error = refused(folder.path(), &args);
        assert!(error.contains(want), "{error}");
    }
    assert_eq!(fs::read(folder.path().join("web.csv")).unwrap(), trace);
    let notes = fs::read_to_string(folder.path().join("notes.svg")).unwrap();
    assert_eq!(notes, "<html>mine");
    for _ in 0..2 {
        stdout(folder.path(), &fit("web.model"), 0);
        stdout(folder.path(), &show("fan.svg"), 0);
    }
}

#[test]
fn what_a_trace_misses_is_told_wherever_it_is_forecast() {
    let folder = tempfile::tempdir().unwrap();
    write_trace(folder.path(), "web.csv", 0);
    for args in [
        &["forecast", "show", "--trace", "web.csv"][..],
        &[
            "forecast",
            "backtest",
            "--trace",
            "web.csv",
            "--forecasters",
            "last",
            "--ahead",
            "1",
        ],
    ] {
        let output = foresail(folder.path(), args);
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{told}");
        assert!(
            told.contains("2 steps without a value (0.2 %) in 1 stretch"),
            "{told}"
        );
    }
    let fit = [
        "forecast",
        "fit",
        "--trace",
        "web.csv",
        "--out",
        "web.model",
        "--forecaster",
        "last",
    ];
    stdout(folder.path(), &fit, 0);
    let show = ["forecast", "show", "--model", "web.model", "--item", "nope"];
    let error = refused(folder.path(), &show);
    assert!(
        error.contains("--item nope: a model alone has no items"),
        "{error}"
    );
}

#[test]
fn values_that_no_measurement_has_are_refused_and_no_model_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let row = |i: usize| format!("{},{}\n", 300 * i, if i == 30 { "1e154" } else { "7" });
    let rows: String = (0..60).map(row).collect();
    fs::write(
        folder.path().join("wild.csv"),
        format!("timestamp,count\n{rows}"),
    )
    .unwrap();
    for name in ["auto", "ets", "last", "croston"] {
        let args = [
            "forecast",
            "fit",
            "--trace",
            "wild.csv",
            "--forecaster",
            name,
            "--out",
            "a.model",
        ];
        let error = refused(folder.path(), &args);
        assert!(
            error.contains("step 31 has the value 1e154"),
            "{name}: {error}"
        );
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn a_model_file_that_is_damaged_or_none_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    write_trace(folder.path(), "web.csv", 0);
    let fit = [
        "forecast",
        "fit",
        "--trace",
        "web.csv",
        "--forecaster",
        "last",
        "--out",
        "good.model",
    ];
    stdout(folder.path(), &fit, 0);
    let good = fs::read(folder.path().join("good.model")).unwrap();
    let mut flipped = good.clone();
    *flipped.last_mut().unwrap() ^= 1;
    let head = String::from_utf8_lossy(&good).into_owned();
    let other = head.replacen("\"v\":2", "\"v\":9", 1);
    let unknown = head.replacen("\"model\":\"last\"", "\"model\":\"oracle\"", 1);
    for (name, bytes, want) in [
        ("flipped.model", &flipped[..], "damaged"),
        ("cut.model", &good[..good.len() - 3], "damaged"),
        ("head.model", &good[..20], "not a model file"),
        ("empty.model", &[], "not a model file"),
        ("other.model", other.as_bytes(), "version 9"),
        ("unknown.model", unknown.as_bytes(), "damaged"),
        (
            "image.model",
            b"\x89PNG\r\n\x1a\nIHDR\n",
            "not a model file",
        ),
        ("zip.model", b"PK\x03\x04archive/data.pkl", "PyTorch pickle"),
        ("net.pt", &good[..], "PyTorch pickle"),
        ("net.PTH", &good[..], "PyTorch pickle"),
    ] {
        fs::write(folder.path().join(name), bytes).unwrap();
        let error = refused(folder.path(), &["forecast", "show", "--model", name]);
        assert!(
            error.contains(want) && error.contains(name),
            "{name}: {error}"
        );
    }
    fs::write(
        folder.path().join("hourly.csv"),
        "timestamp,count\n0,1\n3600,2\n7200,3\n",
    )
    .unwrap();
    let args = [
        "forecast",
        "show",
        "--model",
        "good.model",
        "--trace",
        "hourly.csv",
    ];
    let error = refused(folder.path(), &args);
    assert!(error.contains("the model's steps are of 300s"), "{error}");
}

#[test]
fn the_naive_rows_of_the_protocol_have_the_published_digits() {
    let Some(data) = data("naive rows of the protocol") else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let data = data.to_str().unwrap().to_owned();
    let args = [
        "forecast",
        "backtest",
        "--protocol",
        "baselines",
        "--data",
        &data,
        "--forecasters",
        "last,snaive,snaive_scaled,win60q",
        "--output",
        "csv",
    ];
    let text = stdout(folder.path(), &args, 0);
    let mut lines = text.lines();
    let head: Vec<&str> = lines.next().unwrap().split(',').collect();
    let rows: Vec<Vec<&str>> = lines.map(|l| l.split(',').collect()).collect();
    let path = root().join("tests/golden/forecast/baselines_naive.csv");
    let known = fs::read_to_string(path).unwrap();
    let mut known = known.lines();
    let names: Vec<&str> = known.next().unwrap().split(',').collect();
    let places: Vec<usize> = names
        .iter()
        .map(|n| head.iter().position(|h| h == n).unwrap())
        .collect();
    let mut got: Vec<String> = rows
        .iter()
        .map(|r| places.iter().map(|p| r[*p]).collect::<Vec<_>>().join(","))
        .collect();
    let mut want: Vec<String> = known.map(str::to_owned).collect();
    got.sort();
    want.sort();
    assert_eq!(want.len(), 96);
    assert_eq!(got, want);
}
