#!/usr/bin/env bash
# Pillow 13.0.0: an uncompressed TIFF of one strip that says it lies on its side (orientation 5 to 8) is garbled when it is opened by
# name, and right when the same bytes are opened from memory. By name its strip is mapped (modes L, P, RGBA, CMYK, I;16), with height
# and width already exchanged: rows are cut at the wrong length, and what results is turned once more. Compressed files are right.
set -euo pipefail
home=$(mktemp -d)
trap 'rm -rf "$home"' EXIT
python3 -m venv "$home/venv"
"$home/venv/bin/pip" install --quiet --disable-pip-version-check pillow==13.0.0
"$home/venv/bin/python" - "$home/a.tiff" <<'PY'
import io, sys
import PIL
from PIL import Image
stored = Image.frombytes("L", (3, 2), bytes([1, 2, 3, 4, 5, 6]))
stored.save(sys.argv[1], tiffinfo={0x112: 6})
by_name = Image.open(sys.argv[1])
by_name.load()
from_memory = Image.open(io.BytesIO(open(sys.argv[1], "rb").read()))
from_memory.load()
turned = stored.transpose(Image.Transpose.ROTATE_270)
print("Pillow", PIL.__version__, "by name", by_name.size, list(by_name.tobytes()), "from memory", from_memory.size, list(from_memory.tobytes()))
assert (from_memory.size, from_memory.tobytes()) == (turned.size, turned.tobytes())
assert by_name.size != turned.size
PY
