#!/usr/bin/env bash
# numpy 2.4.6 with ml_dtypes 0.6.0 (JAX's bfloat16): `numpy.save` of a bfloat16 array works and `numpy.load` of it does too, but
# what comes back is void, bytes without a type: no arithmetic, and no warning on either side. float8 likewise.
# `x.view(ml_dtypes.bfloat16)` after loading, or `.astype("float32")` before saving, helps.
set -euo pipefail
home=$(mktemp -d)
trap 'rm -rf "$home"' EXIT
python3 -m venv "$home/venv"
"$home/venv/bin/pip" install --quiet --disable-pip-version-check numpy==2.4.6 ml_dtypes==0.6.0
"$home/venv/bin/python" -W error - "$home/a.npy" <<'PY'
import sys
import ml_dtypes, numpy as np
x = np.array([[1.5, 2.0]], dtype=ml_dtypes.bfloat16)
np.save(sys.argv[1], x)
back = np.load(sys.argv[1])
print("numpy", np.__version__, "ml_dtypes", ml_dtypes.__version__, "saved", x.dtype, "loaded", back.dtype)
assert back.dtype == np.dtype("V2") and np.array_equal(back.view(ml_dtypes.bfloat16), x)
PY
