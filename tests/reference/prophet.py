"""Reference fits by facebook/prophet for crates/foresail-models/tests/prophet.rs.

    python tests/reference/prophet.py [OUT.json]

Each case generates a series with a seeded numpy stream, fits Prophet with Stan, and writes inputs, the parameters that Stan
found, the value of Prophet's own objective there, the forecast of later rows with every component, and the mean width of the
band over many draws with the spread of that mean over repetitions. Parameters are written with all their digits.
"""

import hashlib
import json
import logging
import sys
import warnings
from pathlib import Path

# This file has the library's name: its own folder must not be searched first.
sys.path = [p for p in sys.path if Path(p or ".").resolve() != Path(__file__).resolve().parent]

import cmdstanpy
import numpy as np
import pandas as pd

warnings.filterwarnings("ignore")
logging.disable(logging.WARNING)
import prophet  # noqa: E402
from prophet import Prophet  # noqa: E402

SEED = 20260302
OUT = Path(__file__).resolve().parents[1] / "golden/forecast/prophet.json"
DRAWS, REPEATS = 1000, 8


def objective(m, growth):
    """Prophet's posterior at the fitted parameters, up to constants, without the Jacobian of ln sigma."""
    h = m.history
    q = {k: np.atleast_1d(np.squeeze(v)) for k, v in m.params.items()}
    k, off, delta, beta, sigma = q["k"][0], q["m"][0], q["delta"], q["beta"], q["sigma_obs"][0]
    x, scales, cols, _ = m.make_all_seasonality_features(h)
    x, t = x.to_numpy(), h["t"].to_numpy()
    if growth == "linear":
        trend = m.piecewise_linear(t, delta, k, off, m.changepoints_t)
    elif growth == "logistic":
        trend = m.piecewise_logistic(t, h["cap_scaled"].to_numpy(), delta, k, off, m.changepoints_t)
    else:
        trend = m.flat_trend(t, off)
    mu = trend * (1 + x @ (beta * cols["multiplicative_terms"].to_numpy())) + x @ (beta * cols["additive_terms"].to_numpy())
    r = h["y_scaled"].to_numpy() - mu
    value = len(r) * np.log(sigma) + r @ r / (2 * sigma**2) + (k * k + off * off) / 50
    value += np.abs(delta).sum() / m.changepoint_prior_scale + (beta**2 / (2 * np.array(scales) ** 2)).sum() + 2 * sigma**2
    return float(value)


def case(name, frame, future, make, note, settings):
    m = make()
    m.fit(frame.copy())
    p = m.predict(future.copy())
    q = {k: np.atleast_1d(np.squeeze(v)).astype(float).tolist() for k, v in m.params.items()}
    widths = []
    for i in range(REPEATS):
        np.random.seed(SEED + i)
        d = m.predictive_samples(future.copy())["yhat"]
        widths.append(np.percentile(d, 90, axis=1) - np.percentile(d, 10, axis=1))
    widths = np.array(widths)
    columns = list(m.make_all_seasonality_features(m.history)[0].columns)
    names = list(m.seasonalities) + sorted(set(c.split("_delim_")[0] for c in columns) - set(m.seasonalities))
    row = {
        "name": name,
        "note": note,
        "settings": settings,
        "start": str(frame["ds"].iloc[0]),
        "seconds": [int((d - frame["ds"].iloc[0]).total_seconds()) for d in frame["ds"]],
        "y": [None if np.isnan(v) else float(v) for v in frame["y"]],
        "future_seconds": [int((d - frame["ds"].iloc[0]).total_seconds()) for d in future["ds"]],
        "seasonalities": {n: [s["period"], s["fourier_order"]] for n, s in m.seasonalities.items()},
        "columns": columns,
        "y_scale": float(m.y_scale),
        "changepoints_t": [float(c) for c in m.changepoints_t],
        "objective": objective(m, settings["growth"]),
        "k": q["k"][0],
        "m": q["m"][0],
        "sigma_obs": q["sigma_obs"][0],
        "delta": q["delta"],
        "beta": q["beta"],
        "yhat": p["yhat"].astype(float).tolist(),
        "trend": p["trend"].astype(float).tolist(),
        "parts": {n: p[n].astype(float).tolist() for n in names if n in p},
        "width_mean": widths.mean(axis=0).tolist(),
        "width_error": (widths.std(axis=0, ddof=1) / np.sqrt(REPEATS)).tolist(),
    }
    for extra in ("cap", "floor"):
        if extra in frame:
            row[extra] = frame[extra].astype(float).tolist()
            row["future_" + extra] = future[extra].astype(float).tolist()
    row["regressors"] = {r: frame[r].astype(float).tolist() for r in m.extra_regressors}
    row["future_regressors"] = {r: future[r].astype(float).tolist() for r in m.extra_regressors}
    return row


def frame(start, periods, freq):
    return pd.DataFrame({"ds": pd.date_range(start, periods=periods, freq=freq)})


def cases():
    rng = np.random.default_rng(SEED)
    day = lambda i, per: np.sin(2 * np.pi * i / per)

    df = frame("2026-01-05", 900 + 120, "h")
    i = np.arange(len(df))
    df["cap"], df["floor"] = 160.0, 10.0
    df["y"] = 10 + 150 / (1 + np.exp(-(i - 400) / 120)) + 6 * day(i, 24) + 3 * day(i, 168) + rng.normal(0, 3, len(i))
    yield case("logistic", df[:900], df[900:].drop(columns="y"), lambda: Prophet(growth="logistic"),
               "saturating growth between a floor and a cap", {"growth": "logistic"})

    df = frame("2026-01-05", 700 + 100, "h")
    i = np.arange(len(df))
    df["cap"] = 300.0 + 0.1 * i
    df["y"] = df["cap"] / (1 + np.exp(-np.where(i < 350, (i - 300) / 90, 50 / 90 + (i - 350) / 400))) * (1 + 0.2 * day(i, 24))
    df["y"] += rng.normal(0, 8, len(i))
    yield case("logistic multiplicative, the cap grows", df[:700], df[700:].drop(columns="y"),
               lambda: Prophet(growth="logistic", seasonality_mode="multiplicative"),
               "a cap for each row", {"growth": "logistic", "seasonality_mode": "multiplicative"})

    df = frame("2026-02-02", 2000 + 300, "15min")
    i = np.arange(len(df))
    df["y"] = 50 + 12 * day(i, 96) + 5 * day(i, 672) + rng.normal(0, 2, len(i))
    yield case("flat", df[:2000], df[2000:].drop(columns="y"), lambda: Prophet(growth="flat"),
               "a constant trend", {"growth": "flat"})

    df = frame("2025-11-03", 1200 + 200, "h")
    i = np.arange(len(df))
    level = 80 + 0.05 * i + 0.12 * np.maximum(0, i - 500)
    df["y"] = level * (1 + 0.3 * day(i, 24) + 0.1 * day(i, 168)) + rng.normal(0, 4, len(i))
    yield case("multiplicative", df[:1200], df[1200:].drop(columns="y"), lambda: Prophet(seasonality_mode="multiplicative"),
               "seasons that grow with the trend", {"growth": "linear", "seasonality_mode": "multiplicative"})

    df = frame("2025-12-01", 1000 + 200, "h")
    i = np.arange(len(df))
    days = pd.to_datetime(["2025-12-10", "2025-12-20", "2026-01-05", "2026-01-16"])
    hol = pd.DataFrame({"holiday": "launch", "ds": days, "lower_window": -1, "upper_window": 2})
    second = pd.DataFrame({"holiday": "closing", "ds": pd.to_datetime(["2025-12-31"]), "lower_window": 0, "upper_window": 1})
    hol = pd.concat([hol, second]).reset_index(drop=True)
    date = df["ds"].dt.normalize()
    push = sum(np.where(date == d + pd.Timedelta(days=o), e, 0.0) for d in days for o, e in ((-1, 4), (0, 30), (1, 18), (2, 9)))
    df["y"] = 100 + 15 * day(i, 24) + push + rng.normal(0, 3, len(i))
    yield case("events with windows", df[:1000], df[1000:].drop(columns="y"), lambda: Prophet(holidays=hol),
               "two events, one of which is to come again",
               {"growth": "linear", "events": [
                   {"name": "closing", "days": ["2025-12-31"], "before": 0, "after": 1},
                   {"name": "launch", "days": [str(d.date()) for d in days], "before": 1, "after": 2}]})

    df = frame("2026-03-01", 900 + 150, "h")
    i = np.arange(len(df))
    df["promotion"] = (rng.random(len(i)) < 0.1).astype(float)
    df["temperature"] = 18 + 7 * day(i + 5, 24) + rng.normal(0, 2, len(i))
    df["price"] = 3.5
    df["y"] = 60 + 8 * day(i, 24) + 25 * df["promotion"] + 1.5 * df["temperature"] + rng.normal(0, 2, len(i))

    def with_regressors():
        m = Prophet()
        for r in ("promotion", "temperature", "price"):
            m.add_regressor(r)
        return m

    yield case("regressors", df[:900], df[900:].drop(columns="y"), with_regressors,
               "binary, continuous and constant: one of three is standardised", {"growth": "linear"})

    df = frame("2026-03-01", 1500 + 200, "10min")
    i = np.arange(len(df))
    df["y"] = 40 + 10 * day(i, 144) + 6 * day(i, 48) + 0.004 * i + rng.normal(0, 1.5, len(i))

    def own():
        m = Prophet(weekly_seasonality=False, changepoint_prior_scale=0.2, n_changepoints=12)
        return m.add_seasonality("shift", 1 / 3, 2, prior_scale=5.0)

    yield case("own season", df[:1500], df[1500:].drop(columns="y"), own, "a season of eight hours beside the day",
               {"growth": "linear", "changepoint_prior_scale": 0.2, "n_changepoints": 12, "weekly": False,
                "own": [{"name": "shift", "days": 1 / 3, "order": 2, "scale": 5.0}]})

    df = frame("2026-01-05", 900 + 100, "h")
    i = np.arange(len(df))
    df["y"] = 30 + 0.03 * i + 9 * day(i, 24) + rng.normal(0, 2, len(i))
    df.loc[rng.random(len(i)) < 0.25, "y"] = np.nan
    df.loc[200:260, "y"] = np.nan
    yield case("missing rows", df[:900], df[900:].drop(columns="y"), Prophet, "a quarter and one stretch are missing",
               {"growth": "linear"})


def main():
    rows = list(cases())
    text = json.dumps([[r["name"], r["seconds"], r["y"], r["regressors"]] for r in rows], sort_keys=True)
    versions = {"prophet": prophet.__version__, "cmdstanpy": cmdstanpy.__version__, "numpy": np.__version__,
                "pandas": pd.__version__}
    golden = {"by": "tests/reference/prophet.py", "versions": versions, "seed": SEED, "draws": DRAWS, "repeats": REPEATS,
              "input_sha256": hashlib.sha256(text.encode()).hexdigest(), "cases": rows}
    out = Path(sys.argv[1]) if len(sys.argv) > 1 else OUT
    out.write_text(json.dumps(golden, indent=None, separators=(",", ":")) + "\n")
    for r in rows:
        print(r["name"], len(r["y"]), r["objective"], r["seasonalities"], np.mean(r["width_mean"]))


main()
