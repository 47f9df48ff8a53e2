"""Quantile loss of LightGBM's boosted trees on a generated set: the reference of `trees`.

Writes tests/golden/forecast/trees.json: the seed, the versions, the hash of the rows, and the mean
pinball loss on rows that were not learnt from, for three levels. The rows are made anew by the test
from the same generator (SplitMix64), so that only the losses are stored.
Run: python tests/reference/trees.py [FILE]
"""

import hashlib
import json
import pathlib
import sys

import lightgbm
import numpy as np

SEED, LEARNT, TESTED, FEATURES = 11, 4000, 4000, 6
MASK = (1 << 64) - 1


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
    """A step, a product and noise that widens with the last feature."""
    count = LEARNT + TESTED
    numbers = np.array(uniforms(count * (FEATURES + 1), SEED)).reshape(count, FEATURES + 1)
    x, u = numbers[:, :FEATURES], numbers[:, FEATURES]
    y = 3.0 * (x[:, 0] > 0.4) + 4.0 * x[:, 1] * x[:, 2] + (0.2 + x[:, 5]) * (2.0 * u - 1.0)
    return x, y


def main():
    x, y = rows()
    losses = {}
    for level in (0.1, 0.5, 0.9):
        settings = {
            "objective": "quantile", "alpha": level, "num_leaves": 31, "learning_rate": 0.1,
            "min_data_in_leaf": 20, "max_bin": 255, "verbosity": -1, "deterministic": True,
            "num_threads": 1,
        }
        model = lightgbm.train(settings, lightgbm.Dataset(x[:LEARNT], y[:LEARNT]), 100)
        error = y[LEARNT:] - model.predict(x[LEARNT:])
        losses[str(level)] = float(np.mean(np.maximum(level * error, (level - 1.0) * error)))
    golden = {
        "seed": SEED, "learnt": LEARNT, "tested": TESTED,
        "versions": {"lightgbm": lightgbm.__version__, "numpy": np.__version__},
        "input_sha256": hashlib.sha256(np.ascontiguousarray(np.column_stack([x, y]), "<f8").tobytes()).hexdigest(),
        "pinball": losses,
    }
    default = pathlib.Path(__file__).parents[1] / "golden" / "forecast" / "trees.json"
    path = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else default
    path.write_text(json.dumps(golden, indent=1) + "\n")


if __name__ == "__main__":
    main()
