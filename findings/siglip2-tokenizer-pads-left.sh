#!/usr/bin/env bash
# transformers 5.23.0: a Siglip2Tokenizer pads on the left and returns an attention mask, by defaults of its class that
# `save_pretrained` does not write. The published SigLIP 2 checkpoints say `"padding_side": "right"` and `"model_input_names":
# ["input_ids"]`, as they were trained. So the same texts through the same tower get other positions, and other embeddings,
# after a tokenizer was made anew. SiglipTokenizer pads on the right.
set -euo pipefail
home=$(mktemp -d)
trap 'rm -rf "$home"' EXIT
python3 -m venv "$home/venv"
"$home/venv/bin/pip" install --quiet --disable-pip-version-check transformers==5.23.0 tokenizers==0.23.3
HF_HUB_OFFLINE=1 "$home/venv/bin/python" -W ignore - "$home/saved" <<'PY'
import json, sys
import transformers
from transformers import Siglip2Tokenizer
vocabulary = {token: at for at, token in enumerate(["<pad>", "<eos>", "<bos>", "<unk>", "<mask>", "▁", "a", "b"])}
made = Siglip2Tokenizer(vocab=vocabulary, merges=[])
made.save_pretrained(sys.argv[1])
said = json.load(open(sys.argv[1] + "/tokenizer_config.json"))
got = Siglip2Tokenizer.from_pretrained(sys.argv[1])("ab", padding="max_length", max_length=6)
print("transformers", transformers.__version__, dict(got), "saved:", sorted(said))
assert "padding_side" not in said and "model_input_names" not in said
assert got["input_ids"][:4] == [0, 0, 0, 0] and got["attention_mask"] == [0, 0, 0, 0, 1, 1]
PY
