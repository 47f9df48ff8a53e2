"""numpy's random stream for crates/foresail-sim/tests/numpy_stream.rs: SeedSequence, PCG64, doubles, normals, bounded integers.

    python tests/reference/numpy_stream.py [OUT.json]
"""

import hashlib
import json
import sys
from pathlib import Path

import numpy as np

OUT = Path(__file__).resolve().parents[1] / "golden/workload/numpy_stream.json"
SEEDS = [0, 1, 7, 42, 2**32 + 5, 2**64 - 1]


def stream(seed):
    raw = np.random.PCG64(seed).random_raw(8)
    g = np.random.default_rng(seed)
    normals = g.normal(0, 1.8, 4000)
    doubles = g.random(50)
    odd = g.integers(40, 120, 7)
    more = g.integers(0, 3, 4)
    wide = g.integers(-(2**40), 2**40, 5)
    narrow = g.integers(5, 6, 2)
    after = g.random(3)
    # Beyond |3.654| a normal number comes from the tail, which takes further draws.
    tail = np.random.default_rng(seed + 1 if seed < 2**64 - 1 else 0).standard_normal(200000)
    far = np.nonzero(np.abs(tail) > 3.6541528853610088)[0][:8]
    return {
        "seed": str(seed),
        "state": [str(v) for v in np.random.SeedSequence(seed).generate_state(4, np.uint64)],
        "raw": [str(v) for v in raw],
        "normals": normals[:200].tolist(),
        "normals_sum": float(normals.sum()),
        "normals_squares": float((normals**2).sum()),
        "doubles": doubles.tolist(),
        "integers": [odd.tolist(), more.tolist(), wide.tolist(), narrow.tolist()],
        "after": after.tolist(),
        "tail_at": far.tolist(),
        "tail": tail[far].tolist(),
        "tail_last": float(tail[-1]),
    }


def main():
    rows = [stream(s) for s in SEEDS]
    digest = hashlib.sha256(json.dumps(SEEDS).encode()).hexdigest()
    golden = {"by": "tests/reference/numpy_stream.py", "versions": {"numpy": np.__version__}, "input_sha256": digest, "streams": rows}
    out = Path(sys.argv[1]) if len(sys.argv) > 1 else OUT
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(golden, separators=(",", ":")) + "\n")


main()
