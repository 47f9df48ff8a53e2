"""Calibration maps by scikit-learn and SciPy: the reference of `classify/calibrate.rs`.

Writes tests/golden/classify/calibration.json: probabilities of three classes and what came true;
isotonic regression of one class against all others at given places (scikit-learn), the beta map of
each class (SciPy, L-BFGS-B with a, b >= 0 on the same log-loss with the same pull of 1e-3 to the
identity), and the temperature (SciPy, bounded scalar search).
Run: python tests/reference/calibration.py
"""

import json
import pathlib

import numpy as np
import scipy
import sklearn
from scipy.optimize import minimize, minimize_scalar
from sklearn.isotonic import IsotonicRegression

PULL = 1e-3


def rows():
    """Probabilities that are too sure of themselves, rounded so that some are equal."""
    random = np.random.default_rng(7)
    scores = random.normal(size=(400, 3)) * 2.0
    truth = np.exp(scores / 1.7 + np.array([0.3, 0.0, -0.2]))
    truth /= truth.sum(1, keepdims=True)
    labels = np.array([random.choice(3, p=p) for p in truth])
    shares = np.exp(scores)
    shares = np.round(shares / shares.sum(1, keepdims=True), 2)
    shares = np.clip(shares, 0.005, 0.99)
    return shares / shares.sum(1, keepdims=True), labels


def beta(p, y):
    x = np.stack([np.log(p), -np.log1p(-p), np.ones_like(p)], 1)

    def loss(w):
        z = x @ w
        pull = w - np.array([1.0, 1.0, 0.0])
        value = np.sum(np.logaddexp(0.0, z) - y * z) + PULL / 2 * np.sum(pull**2)
        return value, x.T @ (1.0 / (1.0 + np.exp(-z)) - y) + PULL * pull

    found = minimize(loss, [1.0, 1.0, 0.0], jac=True, method="L-BFGS-B",
                     bounds=[(0, None), (0, None), (None, None)],
                     options={"ftol": 1e-16, "gtol": 1e-11, "maxiter": 10000})
    return found.x


def main():
    shares, labels = rows()
    at = np.concatenate([np.linspace(0.0, 1.0, 41), shares[:20, 0]])
    isotonic, betas, reversed_ = [], [], []
    for k in range(3):
        y = (labels == k).astype(float)
        fit = IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip").fit(shares[:, k], y)
        isotonic.append(fit.predict(at).tolist())
        betas.append(beta(shares[:, k], y).tolist())
        # What comes true the less, the more it was believed: slopes stay at their bounds.
        reversed_.append(beta(shares[:, k], 1.0 - y).tolist())
    logs = np.log(shares)

    def loss(power):
        z = logs * np.exp(power)
        return np.mean(np.log(np.exp(z).sum(1)) - z[np.arange(len(z)), labels])

    found = minimize_scalar(loss, bounds=(-4, 4), method="bounded", options={"xatol": 1e-12})
    golden = {
        "versions": {"scipy": scipy.__version__, "sklearn": sklearn.__version__, "numpy": np.__version__},
        "shares": shares.tolist(), "labels": labels.tolist(), "at": at.tolist(),
        "isotonic": isotonic, "beta": betas, "beta_reversed": reversed_,
        "temperature": float(np.exp(-found.x)),
    }
    path = pathlib.Path(__file__).parents[1] / "golden" / "classify" / "calibration.json"
    path.write_text(json.dumps(golden, indent=1) + "\n")


if __name__ == "__main__":
    main()
