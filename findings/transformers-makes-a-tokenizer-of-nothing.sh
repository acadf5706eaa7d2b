#!/usr/bin/env bash
# transformers 5.23.0: `AutoTokenizer.from_pretrained` of a CLIP folder that holds a config.json and no file of a tokenizer
# is no error. It gives a CLIPTokenizer of two tokens, by which every text becomes the same id once for each character.
set -euo pipefail
home=$(mktemp -d)
trap 'rm -rf "$home"' EXIT
python3 -m venv "$home/venv"
"$home/venv/bin/pip" install --quiet --disable-pip-version-check transformers==5.23.0 tokenizers==0.23.3
mkdir "$home/clip"
echo '{"model_type": "clip", "architectures": ["CLIPModel"]}' > "$home/clip/config.json"
HF_HUB_OFFLINE=1 "$home/venv/bin/python" -W ignore - "$home/clip" <<'PY'
import sys
import transformers
from transformers import AutoTokenizer
tokenizer = AutoTokenizer.from_pretrained(sys.argv[1])
ids = tokenizer("a cat")["input_ids"]
print("transformers", transformers.__version__, type(tokenizer).__name__, "of", len(tokenizer), "tokens:", ids)
assert type(tokenizer).__name__ == "CLIPTokenizer" and len(tokenizer) == 2
assert len(set(ids[1:])) == 1 and tokenizer("two dogs")["input_ids"][1] == ids[1]
PY
