"""Reference values of the classic forecasters: statsforecast and statsmodels on generated series.

    python tests/reference/classic.py [OUT]

writes tests/golden/forecast/classic.json (or OUT): the series, and for each model what the library of
that name fitted and forecast. Nothing in it comes from Foresail. Each series is made by SplitMix64 and
Box-Muller from the seed below, so that it is the same on every machine."""
import hashlib
import importlib.metadata as metadata
import json
import math
import pathlib
import sys
import warnings

import numpy as np
import pandas as pd

warnings.filterwarnings("ignore")

from scipy.stats import norm
from statsforecast import models
from statsforecast.ets import ets_f, pegelsfcast_C, pegelsresid_C
from statsforecast.mstl import mstl
from statsforecast.theta import auto_theta
from statsmodels.tsa.api import ExponentialSmoothing
from statsmodels.tsa.exponential_smoothing.ets import ETSModel
from statsmodels.tsa.seasonal import STL

SEED = 3
HORIZON = 36
LEVELS = [80, 95]


def splitmix(seed, n):
    """Uniform numbers in (0, 1)."""
    mask = (1 << 64) - 1
    out = []
    for i in range(1, n + 1):
        z = (seed + i * 0x9E3779B97F4A7C15) & mask
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & mask
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & mask
        z ^= z >> 31
        out.append(((z >> 11) + 0.5) / 9007199254740992.0)
    return np.array(out)


def normal(seed, n):
    """Standard normal numbers."""
    u = splitmix(seed, 2 * n)
    return np.sqrt(-2.0 * np.log(u[0::2])) * np.cos(2.0 * math.pi * u[1::2])


def all_series():
    """Name -> (length of the season, values); rounded so that the JSON is the series."""
    t = np.arange(240)
    day = np.sin(2 * math.pi * t / 12)
    hour = np.sin(2 * math.pi * np.arange(504) / 24) + 0.5 * np.sin(2 * math.pi * np.arange(504) / 168)
    walk = np.cumsum(0.4 * normal(SEED + 5, 240))
    u = splitmix(SEED + 7, 480)
    sparse = np.where(u[0::2] < 0.15, 1 + np.floor(4 * u[1::2]), 0.0)
    series = {
        "trend_season": (12, 100 + 0.3 * t + 15 * day + 4 * normal(SEED, 240)),
        "growing_season": (12, (50 + 0.5 * t) * (1 + 0.3 * day) * (1 + 0.04 * normal(SEED + 1, 240))),
        "wandering": (12, 80 + 4 * walk + 6 * day + 2 * normal(SEED + 2, 240)),
        "no_season": (1, 60 + 3 * walk + 3 * normal(SEED + 3, 240)),
        "two_seasons": (24, 200 + 40 * hour + 8 * normal(SEED + 4, 504)),
        "near_zero": (12, np.maximum(0.0, 1.5 + 1.5 * day + 0.4 * normal(SEED + 6, 240))),
        "sparse": (1, sparse),
        "constant": (1, np.full(60, 7.0)),
        "short": (1, np.array([12.0, 15, 11, 14, 18, 13, 17, 16, 19, 15])),
    }
    return {name: (m, np.round(y, 6)) for name, (m, y) in series.items()}


def floats(values):
    return [float(v) for v in np.asarray(values, dtype=float).ravel()]


def bands(forecast):
    return {key: floats(forecast[key]) for key in ["mean"] + [f"{s}-{l}" for l in LEVELS for s in ("lo", "hi")] if key in forecast}


def ets_cases(series):
    """Every form that statsforecast fits, and the one that it chooses."""
    out = []
    for name in ["trend_season", "growing_season", "wandering", "no_season", "near_zero", "short"]:
        m, y = series[name]
        forms = {}
        for e in "AM":
            for t, damped in [("N", False), ("A", False), ("A", True)]:
                for s in "NAM":
                    if (e == "A" and s == "M") or (s != "N" and m == 1):
                        continue
                    if (e == "M" or s == "M") and not min(y) > 0:
                        continue
                    try:
                        fit = ets_f(y, m, model=e + t + s, damped=damped)
                    except Exception:
                        continue
                    if not math.isfinite(fit["aicc"]):
                        continue
                    forms[f"ETS({e},{t}{'d' if damped else ''},{s})"] = float(fit["aicc"])
        chosen = ets_f(y, m)
        forecast = models.AutoETS(season_length=m).forecast(y=y, h=HORIZON, level=LEVELS)
        out.append({"series": name, "season": m, "aicc": forms, "chosen": chosen["method"], "chosen_aicc": float(chosen["aicc"]),
                    "sigma2": float(chosen["sigma2"]), **bands(forecast)})
    return out


def fixed_cases(series):
    """Parameters and states that are given: likelihood and forecasts.

    By statsmodels' ETSModel without a season and with an added one. With a factor it corrects the season
    by the level after the step, which is not the model of the literature, so there the likelihood is that
    of statsforecast (and R). `value` is minus two times the logarithm, without constants. The damped
    forecasts of statsforecast count the second power of the damping twice less, so they are left out."""
    out = []
    for name, level, slope in [("trend_season", 98.5, 0.35), ("growing_season", 52.0, 0.45)]:
        m, y = series[name]
        n = len(y)
        wave = np.sin(2 * math.pi * np.arange(m) / m)
        for error in "AM":
            for trend, damped in [("N", False), ("A", False), ("A", True)]:
                for seasonal in "NAM":
                    season = {"N": [], "A": list(12 * wave), "M": list(1 + 0.25 * wave)}[seasonal]
                    row = {"series": name, "error": error, "trend": trend, "damped": damped, "seasonal": seasonal, "season": m,
                           "alpha": 0.2, "beta": 0.05 if trend == "A" else 0.0, "gamma": 0.1 if season else 0.0,
                           "phi": 0.93 if damped else 1.0, "level": level, "slope": slope if trend == "A" else 0.0, "seasons": floats(season)}
                    out.append({**row, **(by_statsforecast(y, row) if seasonal == "M" else by_statsmodels(y, row))})
    return out


def by_statsforecast(y, row):
    state = [row["level"]] + ([row["slope"]] if row["trend"] == "A" else []) + row["seasons"][::-1]
    fit = [row[k] for k in ("alpha", "beta", "gamma", "phi")]
    _, e, states, value = pegelsresid_C(y, row["season"], np.array(state), row["error"], row["trend"], row["seasonal"], row["damped"], *fit, 3)
    got = {"by": "statsforecast", "value": float(value)}
    if not row["damped"]:
        model = {"states": states, "components": row["error"] + row["trend"] + row["seasonal"] + "N", "m": row["season"], "par": fit}
        got["mean"] = floats(pegelsfcast_C(HORIZON, model))
    return got


def by_statsmodels(y, row):
    words = {"N": None, "A": "add", "M": "mul"}
    model = ETSModel(pd.Series(y), error=words[row["error"]], trend=words[row["trend"]], damped_trend=row["damped"],
                     seasonal=words[row["seasonal"]], seasonal_periods=row["season"] if row["seasons"] else None)
    params = [row["alpha"]]
    params += [row["beta"]] if row["trend"] == "A" else []
    params += [row["gamma"]] if row["seasons"] else []
    params += [row["phi"]] if row["damped"] else []
    params += [row["level"]]
    params += [row["slope"]] if row["trend"] == "A" else []
    # statsmodels wants the season of the step before first, then backwards.
    params += row["seasons"][::-1]
    result = model.smooth(np.array(params))
    n = len(y)
    got = {"by": "statsmodels", "value": float(-2 * result.llf - n * (math.log(2 * math.pi / n) + 1)), "mean": floats(result.forecast(HORIZON))}
    if row["error"] == "A":
        got["variance"] = floats(result.get_prediction(start=n, end=n + HORIZON - 1).forecast_variance)
    return got


def holt_winters_cases(series):
    """Given parameters, and least squares by statsmodels' ExponentialSmoothing."""
    out = []
    for name, seasonal in [("trend_season", "add"), ("growing_season", "mul"), ("wandering", "add"), ("no_season", None)]:
        m, y = series[name]
        for damped in [False, True]:
            model = ExponentialSmoothing(y, trend="add", damped_trend=damped, seasonal=seasonal, seasonal_periods=m if seasonal else None,
                                         initialization_method="estimated")
            best = model.fit(optimized=True, use_brute=True)
            p = best.params
            row = {"series": name, "season": m, "seasonal": seasonal, "damped": damped,
                   "alpha": float(p["smoothing_level"]), "beta": float(p["smoothing_trend"]),
                   "gamma": float(p["smoothing_seasonal"]) if seasonal else 0.0,
                   "phi": float(p["damping_trend"]) if damped else 1.0,
                   "level": float(p["initial_level"]), "slope": float(p["initial_trend"]),
                   "seasons": floats(p["initial_seasons"]) if seasonal else [],
                   "sse": float(best.sse), "mean": floats(best.forecast(HORIZON))}
            out.append(row)
    return out


def mstl_cases(series):
    """The decomposition and the forecast with an ETS without season for the rest."""
    out = []
    for name, seasons in [("trend_season", [12]), ("two_seasons", [24, 168]), ("wandering", [12])]:
        _, y = series[name]
        parts = mstl(y, seasons)
        forecast = models.MSTL(season_length=seasons).forecast(y=y, h=HORIZON, level=LEVELS)
        rest = (parts["trend"] + parts["remainder"]).values
        columns = [c for c in parts.columns if c.startswith("seasonal")]
        trend_fit = ets_f(rest, 1, model="ZZN")
        out.append({"series": name, "seasons": seasons, "trend": floats(parts["trend"]), "parts": [floats(parts[c]) for c in columns],
                    "chosen": trend_fit["method"], "chosen_aicc": float(trend_fit["aicc"]), **bands(forecast)})
    return out


def theta_cases(series):
    """The standard Theta method."""
    out = []
    for name in ["trend_season", "growing_season", "wandering", "no_season", "near_zero", "short"]:
        m, y = series[name]
        fit = auto_theta(y, m, model="STM")
        forecast = models.Theta(season_length=m).forecast(y=y, h=HORIZON, level=LEVELS)
        out.append({"series": name, "season": m, "seasonal": bool(fit.get("decompose", False)), "alpha": float(fit["par"]["alpha"]),
                    "initial": float(fit["par"]["initial_smoothed"]), "mse": float(fit["mse"]),
                    "sigma": float(np.std(np.asarray(fit["residuals"])[3:], ddof=1)), **bands(forecast)})
    return out


def sparse_cases(series):
    """Croston's method, its corrected form, and Teunter, Syntetos and Babai's."""
    out = []
    for name in ["sparse", "near_zero", "trend_season"]:
        _, y = series[name]
        out.append({"series": name,
                    "croston": float(models.CrostonClassic().forecast(y=y, h=1)["mean"][0]),
                    "sba": float(models.CrostonSBA().forecast(y=y, h=1)["mean"][0]),
                    "tsb": float(models.TSB(alpha_d=0.1, alpha_p=0.05).forecast(y=y, h=1)["mean"][0])})
    return out


def stl_cases(series):
    """One STL with the settings that the multiple one uses."""
    out = []
    for name, period in [("trend_season", 12), ("two_seasons", 24)]:
        _, y = series[name]
        fit = STL(y, period=period, seasonal=11, seasonal_deg=0).fit()
        out.append({"series": name, "period": period, "trend": floats(fit.trend), "seasonal": floats(fit.seasonal)})
    return out


def main(out):
    series = all_series()
    digest = hashlib.sha256()
    for name, (m, y) in series.items():
        digest.update(name.encode() + m.to_bytes(4, "little") + np.ascontiguousarray(y, "<f8").tobytes())
    libraries = ["numpy", "scipy", "pandas", "statsmodels", "statsforecast"]
    document = {
        "made_by": "tests/reference/classic.py",
        "versions": {"python": ".".join(map(str, sys.version_info[:3])), **{n: metadata.version(n) for n in libraries}},
        "seed": SEED,
        "sha256": digest.hexdigest(),
        "series": {name: {"season": m, "values": floats(y)} for name, (m, y) in series.items()},
        "normal_90": float(norm.ppf(0.9)),
        "ets": ets_cases(series),
        "fixed": fixed_cases(series),
        "holt_winters": holt_winters_cases(series),
        "stl": stl_cases(series),
        "mstl": mstl_cases(series),
        "theta": theta_cases(series),
        "sparse": sparse_cases(series),
    }
    pathlib.Path(out).write_text(json.dumps(document, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parent.parent / "golden/forecast/classic.json")
