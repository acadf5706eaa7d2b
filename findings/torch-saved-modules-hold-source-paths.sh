#!/usr/bin/env bash
# torch 2.15.0: a scripted module that is saved holds the absolute path of the file whose class it is, for error messages; and so does a module
# saved whole in the old format (`_use_new_zipfile_serialization=False`), with the source itself. Who hands on such a checkpoint hands on folder and
# user names, and the same weights by the same script from another folder are another file: hashes of files can't tell that they are the same model.
# What is in an archive is compressed, so that searching the file for the path finds nothing. `torch.save(module)` in today's format has neither.
set -euo pipefail
home=$(mktemp -d)
trap 'rm -rf "$home"' EXIT
python3 -m venv "$home/venv"
"$home/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.15.0 numpy==2.4.6
for name in first second; do
mkdir -p "$home/$name"
cat > "$home/$name/tiny.py" <<'PY'
import torch

class Tiny(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(3))

    def forward(self):
        return 2 * self.weight
PY
(cd "$home/$name" && PYTHONPATH="$home/$name" "$home/venv/bin/python" -W ignore -c '
import torch, tiny
torch.jit.script(tiny.Tiny()).save("scripted.pt")
torch.save(tiny.Tiny(), "whole.pt")
torch.save(tiny.Tiny(), "old.pt", _use_new_zipfile_serialization=False)')
done
"$home/venv/bin/python" - "$home" <<'PY'
import sys, zipfile
from pathlib import Path
import torch

home = Path(sys.argv[1])
path = str(home / "first" / "tiny.py").encode()
files = {name: (home / "first" / f"{name}.pt").read_bytes() for name in ("scripted", "whole", "old")}
archive = zipfile.ZipFile(home / "first" / "scripted.pt")
inside = [name for name in archive.namelist() if path in archive.read(name)]
same = {name: files[name] == (home / "second" / f"{name}.pt").read_bytes() for name in ("scripted", "whole")}
found = {name: path in data for name, data in files.items()}
print("torch", torch.__version__, "path in the bytes:", found, "in the archive:", [name.split("/")[-1] for name in inside], "same file from both folders:", same)
assert found == {"scripted": False, "whole": False, "old": True}, found
assert [name.split(".")[-1] for name in inside] == ["debug_pkl"], inside
assert same == {"scripted": False, "whole": True}, same
PY
