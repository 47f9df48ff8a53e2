"""Gaussian processes by scikit-learn, and the acquisition of BoTorch's candidate by plain draws.

Writes tests/golden/bayes/reference.json: rows from SplitMix64, the logarithm of the marginal
likelihood with its gradient by the logarithms of the hyper-parameters, means and covariance at new
points, leave-one-out by twenty-four refits, and, for the processes and the candidate of
botorch_60x12.json (written by BoTorch 0.18.1), the improvement by 200,000 joint draws.
Run: python tests/reference/bayes.py
"""

import json
import math
import pathlib

import numpy as np
import scipy
import sklearn
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel

FOLDER = pathlib.Path(__file__).parent.parent / "golden" / "bayes"
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
    return np.array(out)


def process(n, lengths, scale, noise, seed):
    d = len(lengths)
    x = uniforms(n * d, seed).reshape(n, d)
    y = np.sin(3 * x[:, 0]) + x[:, 1] ** 2 - 0.5 * x[:, 2] + 0.1 * (uniforms(n, seed + 1) - 0.5)
    y = (y - y.mean()) / y.std(ddof=1)
    kernel = ConstantKernel(scale) * Matern(lengths, nu=2.5) + WhiteKernel(noise)
    model = GaussianProcessRegressor(kernel, alpha=0.0, optimizer=None).fit(x, y)
    value, gradient = model.log_marginal_likelihood(model.kernel_.theta, eval_gradient=True)
    asked = uniforms(4 * d, seed + 2).reshape(4, d)
    mean, covariance = model.predict(asked, return_cov=True)
    # What is asked for is the noiseless value.
    covariance = covariance - noise * np.eye(4)
    left_out = []
    for i in range(n):
        others = np.arange(n) != i
        one = GaussianProcessRegressor(kernel, alpha=0.0, optimizer=None).fit(x[others], y[others])
        m, s = one.predict(x[i : i + 1], return_std=True)
        left_out.append([float(m[0]), float(s[0] ** 2)])
    return {
        "points": x.tolist(),
        "values": y.tolist(),
        "lengths": lengths,
        "output_scale": scale,
        "noise": noise,
        "log_likelihood": float(value),
        # Order: ln scale, ln lengths, ln noise.
        "gradient": gradient.tolist(),
        "asked": asked.tolist(),
        "mean": mean.tolist(),
        "covariance": covariance.tolist(),
        "leave_one_out": left_out,
    }


def matern(a, b, lengths, scale):
    s = math.sqrt(5) * np.sqrt((((a[:, None] - b[None]) / lengths) ** 2).sum(-1))
    return scale * (1 + s + s * s / 3) * np.exp(-s)


def acquisition():
    fixture = json.loads((FOLDER / "botorch_60x12.json").read_text())
    x, candidate = np.array(fixture["X"]), np.array(fixture["candidate"])
    together = np.vstack([x, candidate])
    random = np.random.default_rng(0)
    drawn = []
    for model, raw in zip(fixture["models"], ("objective", "constraint")):
        raw = np.array(fixture[raw])
        y = np.array(model["train_targets_standardised"])
        lengths, scale = np.array(model["lengthscale"]), model["outputscale"]
        k = matern(x, x, lengths, scale) + model["noise"] * np.eye(len(x))
        across = matern(together, x, lengths, scale)
        mean = model["mean_const"] + across @ np.linalg.solve(k, y - model["mean_const"])
        covariance = matern(together, together, lengths, scale) - across @ np.linalg.solve(k, across.T)
        root = np.linalg.cholesky(covariance + 1e-9 * np.eye(len(together)))
        z = random.standard_normal((200_000, len(together)))
        drawn.append((mean + z @ root.T) * raw.std(ddof=1) + raw.mean())
    f, g = drawn
    n = len(x)
    best = np.where(g[:, :n] < 0, f[:, :n], -np.inf).max(1)
    kept = 1 / (1 + np.exp(np.clip(g[:, n:] / 1e-3, -500, 500)))
    gain = (np.clip(f[:, n:] - best[:, None], 0, None) * kept).max(1)
    return {"mean": float(gain.mean()), "deviation": float(gain.std())}


if __name__ == "__main__":
    told = {
        "versions": {"numpy": np.__version__, "scipy": scipy.__version__, "sklearn": sklearn.__version__},
        "processes": [
            process(24, [0.4, 0.9, 2.0], 1.7, 0.03, 5),
            process(30, [0.2, 0.5, 0.8, 5.0], 0.6, 0.001, 9),
        ],
        "acquisition": acquisition(),
    }
    (FOLDER / "reference.json").write_text(json.dumps(told) + "\n")
