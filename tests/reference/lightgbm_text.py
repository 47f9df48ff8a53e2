"""LightGBM's answers for models as text: the reference of `trees/lightgbm.rs` and `trees/shap.rs`.

Writes tests/golden/classify/lightgbm_{nan,zero}.txt, two small models of LightGBM (NaN missing; zero
missing), and tests/golden/classify/lightgbm_text.json: what LightGBM says of rows for these and for
`lightgbm_text/ours.txt`, a model that this project has written: raw scores, probabilities, and the
contributions of features. The rows are made anew by the test (SplitMix64).
Run: python tests/reference/lightgbm_text.py
"""

import json
import pathlib

import lightgbm
import numpy as np

SEED, LEARNT, TESTED, FEATURES, CLASSES = 23, 900, 40, 5, 3
MASK = (1 << 64) - 1
HERE = pathlib.Path(__file__).parent


def uniforms(count, seed):
    """SplitMix64 as numbers in [0, 1)."""
    state, out = seed, []
    for _ in range(count):
        state = (state + 0x9E3779B97F4A7C15) & MASK
        z = state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
        out.append(((z ^ (z >> 31)) >> 11) * 2.0**-53)
    return out


def rows():
    """Classes by two features, one that is often zero, one that is often missing, and some noise."""
    count = LEARNT + TESTED
    u = np.array(uniforms(count * (FEATURES + 2), SEED)).reshape(count, FEATURES + 2)
    x = u[:, :FEATURES].copy()
    x[x[:, 3] < 0.4, 3] = 0.0
    x[x[:, 4] < 0.3, 4] = np.nan
    y = (x[:, 0] > 0.5).astype(int) + (x[:, 1] > 0.7)
    y = np.where(np.isnan(x[:, 4]) & (x[:, 2] > 0.6), 2, y)
    y = np.where((x[:, 3] == 0.0) & (x[:, 2] < 0.2), 0, y)
    y = np.where(u[:, FEATURES] < 0.05, (u[:, FEATURES + 1] * CLASSES).astype(int), y)
    # A column that no row of training lacks is asked for with NaN too.
    x[LEARNT::7, 0] = np.nan
    return x, y


def told(model, x):
    return {
        "raw": model.predict(x, raw_score=True).tolist(),
        "probabilities": model.predict(x).tolist(),
        "contributions": model.predict(x, pred_contrib=True).tolist(),
    }


def main():
    x, y = rows()
    golden = {
        "seed": SEED, "learnt": LEARNT, "tested": TESTED, "classes": CLASSES,
        "versions": {"lightgbm": lightgbm.__version__, "numpy": np.__version__},
    }
    folder = HERE.parent / "golden" / "classify"
    for name, zero in (("nan", False), ("zero", True)):
        settings = {
            "objective": "multiclass", "num_class": CLASSES, "num_leaves": 7, "min_data_in_leaf": 10,
            "learning_rate": 0.2, "zero_as_missing": zero, "verbosity": -1, "deterministic": True,
            "num_threads": 1, "seed": 1, "force_col_wise": True,
        }
        data = lightgbm.Dataset(x[:LEARNT], y[:LEARNT], params={"verbosity": -1})
        model = lightgbm.train(settings, data, 6)
        model.save_model(folder / f"lightgbm_{name}.txt")
        golden[name] = told(model, x[LEARNT:])
    ours = HERE / "lightgbm_text" / "ours.txt"
    if ours.exists():
        golden["ours"] = told(lightgbm.Booster(model_file=ours), x[LEARNT:])
    path = folder / "lightgbm_text.json"
    path.write_text(json.dumps(golden, indent=1, allow_nan=False) + "\n")


if __name__ == "__main__":
    main()
