"""Vectors for `foresail-nn` from PyTorch: forward passes, losses, gradients, optimizer steps, one state dict as safetensors.

Writes tests/golden/forecast/nn.json and tests/golden/forecast/torch_lstm.safetensors; with --check compares instead (numbers to 1e-6).
Needs: torch, numpy, safetensors (versions in the JSON)."""
import argparse
import hashlib
import json
import pathlib
import sys

import numpy as np
import safetensors
import torch
from safetensors.torch import save
from torch import nn

SEED = 20250101
FOLDER = pathlib.Path(__file__).resolve().parent.parent / "golden" / "forecast"


def numbers(tensor):
    return [float(np.format_float_positional(v, unique=True)) for v in tensor.detach().float().reshape(-1).numpy()]


class Net(nn.Module):
    def __init__(self, inputs, hidden, layers, outputs):
        super().__init__()
        self.lstm = nn.LSTM(inputs, hidden, layers, batch_first=True)
        self.fc = nn.Linear(hidden, outputs)

    def forward(self, x):
        return self.fc(self.lstm(x)[0][:, -1])


def state(net):
    return {name: numbers(p) for name, p in net.named_parameters()}


def case(name, shape, batch, window, loss, optimizer, clip=None):
    """One net through three steps: outputs, loss and gradients of the first, weights after the last."""
    net = Net(*shape)
    x = torch.randn(batch, window, shape[0])
    y = torch.randn(batch, shape[3])
    row = {"name": name, "shape": shape, "batch": batch, "window": window, "x": numbers(x), "y": numbers(y), "before": state(net)}
    opt = optimizer(net.parameters())
    for step in range(3):
        opt.zero_grad()
        out = net(x)
        value = loss(out, y)
        value.backward()
        if step == 0:
            row["outputs"] = numbers(out)
            row["loss"] = value.item()
            row["gradients"] = {n: numbers(p.grad) for n, p in net.named_parameters()}
        if clip:
            norm = nn.utils.clip_grad_norm_(net.parameters(), clip)
            row.setdefault("norm", float(norm))
        opt.step()
    row["after"] = state(net)
    return row


def gaussian():
    mean, target = torch.randn(7, requires_grad=True), torch.randn(7)
    variance = torch.tensor([0.5, 1.0, 2.0, 0.1, 1e-9, 0.3, 4.0], requires_grad=True)
    value = nn.GaussianNLLLoss()(mean, target, variance)
    value.backward()
    keys = ("mean", "variance", "target", "mean_gradient", "variance_gradient")
    return {"loss": value.item(), **dict(zip(keys, map(numbers, (mean, variance, target, mean.grad, variance.grad))))}


def saved():
    net = Net(1, 8, 1, 1)
    x = torch.randn(3, 12, 1)
    row = {"shape": [1, 8, 1, 1], "batch": 3, "window": 12, "x": numbers(x), "outputs": numbers(net(x))}
    return row, save(net.state_dict(), {"format": "pt"})


def make():
    torch.manual_seed(SEED)
    torch.set_num_threads(1)
    adam = lambda p: torch.optim.Adam(p, 0.01)
    cases = [
        case("one layer, squared, Adam", [2, 6, 1, 2], 5, 8, nn.MSELoss(), adam),
        case("two layers, Huber, AdamW", [1, 3, 2, 1], 4, 6, nn.HuberLoss(delta=0.5), lambda p: torch.optim.AdamW(p, 0.01, weight_decay=0.1)),
        case("coupled decay, clipped", [1, 4, 1, 1], 3, 5, nn.MSELoss(), lambda p: torch.optim.Adam(p, 0.02, weight_decay=0.05), 0.1),
    ]
    row, file = saved()
    body = {"cases": cases, "gaussian": gaussian(), "saved": row}
    inputs = json.dumps([c[k] for c in cases + [row] for k in ("x",)]).encode()
    head = {
        "seed": SEED,
        "versions": {"torch": torch.__version__.split("+")[0], "numpy": np.__version__, "safetensors": safetensors.__version__},
        "input_sha256": hashlib.sha256(inputs).hexdigest(),
        "file_sha256": hashlib.sha256(file).hexdigest(),
    }
    return {**head, **body}, file


def close(a, b):
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(close(a[k], b[k]) for k in a)
    if isinstance(a, list):
        return len(a) == len(b) and all(map(close, a, b))
    return abs(a - b) <= 1e-6 if isinstance(a, float) else a == b


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--check", action="store_true")
    golden, file = make()
    if parser.parse_args().check:
        stored = json.loads((FOLDER / "nn.json").read_text())
        same = close({k: golden[k] for k in ("cases", "gaussian", "saved")}, {k: stored[k] for k in ("cases", "gaussian", "saved")})
        sys.exit(0 if same else "nn.json differs")
    FOLDER.mkdir(parents=True, exist_ok=True)
    text = json.dumps(golden, separators=(",", ":")).replace('{"name"', '\n{"name"')
    (FOLDER / "nn.json").write_text(text + "\n")
    (FOLDER / "torch_lstm.safetensors").write_bytes(file)


main()
