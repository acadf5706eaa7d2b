#!/usr/bin/env bash
# safetensors 0.8.0 saves a NumPy array that does not lie row after row in memory (a transpose, a slice of columns, every
# second row, `DataFrame.to_numpy()`) as other numbers of the right shape, without a word; 0.7.0 saved them right.
# `numpy.ascontiguousarray(x)` before saving helps.
set -euo pipefail
home=$(mktemp -d)
trap 'rm -rf "$home"' EXIT
python3 -m venv "$home/venv"
try() {
    "$home/venv/bin/pip" install --quiet --disable-pip-version-check "safetensors==$1" numpy==2.4.6
    "$home/venv/bin/python" - "$home/a.safetensors" "$2" <<'PY'
import sys
import numpy as np, safetensors
from safetensors.numpy import load_file, save_file
x = np.arange(12, dtype=np.float32).reshape(3, 4)
kept = {}
for name, a in {"rows": x[1:], "transpose": x.T, "columns": x[:, 1:3], "every second row": x[::2]}.items():
    save_file({"a": a}, sys.argv[1])
    kept[name] = bool(np.array_equal(load_file(sys.argv[1])["a"], a))
save_file({"a": np.ascontiguousarray(x.T)}, sys.argv[1])
print("safetensors", safetensors.__version__, "numpy", np.__version__, "the same after saving:", kept)
assert np.array_equal(load_file(sys.argv[1])["a"], x.T)
assert kept == {"rows": True} | dict.fromkeys(["transpose", "columns", "every second row"], sys.argv[2] == "kept")
PY
}
try 0.7.0 kept
try 0.8.0 changed
