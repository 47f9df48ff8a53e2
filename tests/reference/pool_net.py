"""Vectors for AQUATOPE's nets from PyTorch: the encoder-decoder and the prediction network in the published shape.

Weights, inputs and masks follow formulas that the Rust test repeats, so that only answers are stored: outputs, and of the gradient of each
parameter its norm and its product with a cosine. Writes tests/golden/forecast/pool_net.json; with --check compares instead (to 1e-6).
Needs: torch (version in the JSON)."""
import argparse
import json
import math
import pathlib
import sys

import torch
from torch import nn

PATH = pathlib.Path(__file__).resolve().parent.parent / "golden" / "forecast" / "pool_net.json"
WINDOW, REACH, BATCH = 48, 12, 3
torch.set_num_threads(1)


def wave(shape, speed, phase, size):
    count = math.prod(shape)
    return torch.tensor([size * math.sin(speed * i + phase) for i in range(count)], dtype=torch.float64).float().reshape(shape)


def begin(net):
    for place, (_, p) in enumerate(net.named_parameters()):
        p.data = wave(p.shape, 0.7 + 0.01 * place, place, 0.3)


def mask(width, phase):
    """0 or 4/3 for each sample and channel, the same at each step."""
    kept = [0.0 if (7 * s + 3 * c + phase) % 4 == 0 else 4.0 / 3.0 for s in range(BATCH) for c in range(width)]
    return torch.tensor(kept).reshape(BATCH, width)


class Pair(nn.Module):
    def __init__(self, *widths):
        super().__init__()
        self.model = nn.ModuleDict({f"lstm{i + 1}": nn.LSTM(widths[i], widths[i + 1], batch_first=True) for i in range(2)})

    def forward(self, x, masks):
        for name, m in zip(("lstm1", "lstm2"), masks):
            x = self.model[name](x)[0] * m[:, None, :]
        return x


class EncoderDecoder(nn.Module):
    def __init__(self):
        super().__init__()
        parts = {"encoder": Pair(5, 64, 1), "decoder": Pair(1, 16, 1), "fc1": nn.Linear(WINDOW + REACH, 32), "fc2": nn.Linear(32, REACH)}
        self.model = nn.ModuleDict(parts)

    def forward(self, x, masks):
        latents = torch.relu(self.model["encoder"](x, masks[:2]))
        joined = torch.cat([latents, x[:, -REACH:, :1]], 1)
        decoded = self.model["decoder"](joined, masks[2:])
        return self.model["fc2"](self.model["fc1"](decoded.flatten(1)))


class Head(nn.Module):
    def __init__(self):
        super().__init__()
        drop = lambda: nn.Identity()
        self.model = nn.Sequential(nn.Linear(WINDOW + 4, 64), drop(), nn.ReLU(), drop(), nn.Linear(64, 16), nn.ReLU(), drop(), nn.Linear(16, 1))

    def forward(self, x, masks):
        m = self.model
        x = torch.relu(m[0](x) * masks[0]) * masks[1]
        return m[7](torch.relu(m[4](x)) * masks[2])


def case(net, x, masks):
    begin(net)
    out = net(x, masks)
    target = wave(out.shape, 1.1, 0.5, 1.0)
    loss = nn.MSELoss()(out, target)
    loss.backward()
    gradients = {}
    for name, p in net.named_parameters():
        g = p.grad.double().flatten()
        cosine = torch.cos(0.3 * torch.arange(len(g), dtype=torch.float64))
        gradients[name] = [g.norm().item(), (g * cosine).sum().item()]
    return {"parameters": sum(p.numel() for p in net.parameters()), "outputs": out.flatten().tolist(), "loss": loss.item(), "gradients": gradients}


def make():
    nets = {
        "encoder_decoder": case(EncoderDecoder(), wave((BATCH, WINDOW, 5), 0.9, 0.1, 1.0), [mask(64, 0), mask(1, 1), mask(16, 2), mask(1, 2)]),
        "head": case(Head(), wave((BATCH, WINDOW + 4), 0.9, 0.1, 1.0), [mask(64, 0), mask(64, 1), mask(16, 2)]),
    }
    return {"versions": {"torch": torch.__version__.split("+")[0]}, **nets}


def close(a, b):
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(close(a[k], b[k]) for k in a)
    if isinstance(a, list):
        return len(a) == len(b) and all(map(close, a, b))
    return abs(a - b) <= 1e-6 * max(1.0, abs(b)) if isinstance(a, float) else a == b


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--check", action="store_true")
    golden = make()
    if parser.parse_args().check:
        stored = json.loads(PATH.read_text())
        sys.exit(0 if all(close(golden[k], stored[k]) for k in ("encoder_decoder", "head")) else "pool_net.json differs")
    PATH.write_text(json.dumps(golden, indent=1) + "\n")


main()
