"""Vectors for `foresail-nn` from PyTorch in double precision: batch normalisation, gated units in both directions, and steps of DDPG with normalised nets, a context, Adam and soft updates.

Writes tests/golden/nn/batches.json; with --check compares instead (numbers to 1e-9).
Needs: torch, numpy (versions in the JSON)."""
import argparse
import copy
import json
import pathlib
import sys

import numpy as np
import torch
from torch import nn

SEED = 20250202
FILE = pathlib.Path(__file__).resolve().parent.parent / "golden" / "nn" / "batches.json"


def numbers(tensor):
    return [float(v) for v in tensor.detach().reshape(-1).numpy()]


def state(net):
    return {name: numbers(p) for name, p in net.state_dict().items() if not name.endswith("num_batches_tracked")}


def normalisation(count, width):
    net = nn.BatchNorm1d(width)
    with torch.no_grad():
        net.weight.uniform_(0.5, 1.5)
        net.bias.uniform_(-1, 1)
    row = {"count": count, "width": width, "before": state(net), "batches": []}
    for _ in range(2):
        x, w = torch.randn(count, width, requires_grad=True), torch.randn(count, width)
        out = net(x)
        net.zero_grad()
        (out * w).sum().backward()
        row["batches"].append({"x": numbers(x), "w": numbers(w), "out": numbers(out), "dx": numbers(x.grad), "dweight": numbers(net.weight.grad), "dbias": numbers(net.bias.grad)})
    row["after"] = state(net)
    net.eval()
    row["eval"] = numbers(net(x))
    return row


def gated(inputs, hidden, layers, both, batch, steps):
    net = nn.GRU(inputs, hidden, layers, batch_first=True, bidirectional=both)
    x = torch.randn(batch, steps, inputs, requires_grad=True)
    out, last = net(x)
    w_out, w_last = torch.randn_like(out), torch.randn_like(last)
    ((out * w_out).sum() + (last * w_last).sum()).backward()
    # Sample by sample: steps × rows; states layers × directions × hidden.
    return {"shape": [inputs, hidden, layers, int(both)], "batch": batch, "weights": state(net), "x": numbers(x), "out": numbers(out), "last": numbers(last.transpose(0, 1)),
            "w_out": numbers(w_out), "w_last": numbers(w_last.transpose(0, 1)), "dx": numbers(x.grad), "gradients": {n: numbers(p.grad) for n, p in net.named_parameters()}}


S, C, A, B = 3, 2, 4, 6


class Actor(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(S + C, 5), nn.Linear(5, 4), nn.Linear(4, A)])
        self.norms = nn.ModuleList([nn.BatchNorm1d(S), nn.BatchNorm1d(5), nn.BatchNorm1d(4)])

    def forward(self, s, c):
        x = torch.cat([self.norms[0](s), c], 1)
        x = self.norms[1](torch.relu(self.layers[0](x)))
        x = self.norms[2](torch.relu(self.layers[1](x)))
        return torch.softmax(self.layers[2](x).reshape(-1, 2, 2), 2).reshape(-1, A)


class Critic(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(S + C, 5), nn.Linear(5 + A, 4), nn.Linear(4, 1)])
        self.norms = nn.ModuleList([nn.BatchNorm1d(S), nn.BatchNorm1d(5)])

    def forward(self, s, c, a):
        x = torch.cat([self.norms[0](s), c], 1)
        x = self.norms[1](torch.relu(self.layers[0](x)))
        return self.layers[2](torch.relu(self.layers[1](torch.cat([x, a], 1))))


def follow(target, net, tau):
    """Parameters and running statistics alike."""
    with torch.no_grad():
        for (name, p), q in zip(target.state_dict().items(), net.state_dict().values()):
            if not name.endswith("num_batches_tracked"):
                p.mul_(1 - tau).add_(q, alpha=tau)


def ddpg(steps, clip):
    actor, critic = Actor(), Critic()
    target_actor, target_critic = copy.deepcopy(actor).eval(), copy.deepcopy(critic).eval()
    adams = torch.optim.Adam(actor.parameters(), 3e-4), torch.optim.Adam(critic.parameters(), 3e-3)
    row = {"clip": clip, "before": {"actor": state(actor), "critic": state(critic)}, "steps": []}
    for _ in range(steps):
        s, a, r, n = torch.randn(B, S), torch.rand(B, A), torch.randn(B, 1), torch.randn(B, S)
        done = (torch.rand(B, 1) < 0.3).double()
        context = torch.randn(C, requires_grad=True)
        c = context.expand(B, C)
        with torch.no_grad():
            y = r + 0.9 * (1 - done) * target_critic(n, c, target_actor(n, c))
        q = critic(s, c, a)
        critic_loss = nn.functional.mse_loss(q, y)
        adams[1].zero_grad()
        critic_loss.backward()
        if clip:
            nn.utils.clip_grad_norm_(critic.parameters(), clip)
        adams[1].step()
        # The statistics move once a step, in the pass in which the net is learnt.
        for norm in critic.norms:
            norm.momentum = 0.0
        actor_loss = -critic(s, c, actor(s, c)).mean()
        for norm in critic.norms:
            norm.momentum = 0.1
        adams[0].zero_grad()
        actor_loss.backward()
        if clip:
            nn.utils.clip_grad_norm_(actor.parameters(), clip)
        adams[0].step()
        follow(target_actor, actor, 1e-2)
        follow(target_critic, critic, 1e-2)
        row["steps"].append({"state": numbers(s), "action": numbers(a), "reward": numbers(r), "next": numbers(n), "done": numbers(done), "context": numbers(context), "critic_loss": critic_loss.item(),
                             "actor_loss": actor_loss.item(), "context_gradient": numbers(context.grad)})
    row["after"] = {"actor": state(actor), "critic": state(critic), "target_actor": state(target_actor), "target_critic": state(target_critic)}
    return row


def same(a, b):
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[k], b[k]) for k in a if k != "versions")
    if isinstance(a, list):
        return len(a) == len(b) and all(same(x, y) for x, y in zip(a, b))
    return abs(a - b) < 1e-9 if isinstance(a, float) else a == b


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--check", action="store_true")
    args = parser.parse_args()
    torch.set_num_threads(1)
    torch.set_default_dtype(torch.float64)
    torch.manual_seed(SEED)
    made = {"versions": {"torch": torch.__version__, "numpy": np.__version__}, "seed": SEED, "normalisation": [normalisation(5, 3), normalisation(45, 2)], "gated": [gated(3, 4, 2, True, 5, 6), gated(2, 3, 1, False, 7, 4)],
            "ddpg": [ddpg(5, None), ddpg(3, 0.05)]}
    if args.check:
        good = same(made, json.loads(FILE.read_text()))
        print("the same" if good else "DIFFERS")
        sys.exit(0 if good else 1)
    FILE.parent.mkdir(parents=True, exist_ok=True)
    FILE.write_text(json.dumps(made) + "\n")
    print(FILE.name, FILE.stat().st_size, "bytes")


main()
