#!/usr/bin/env bash
# transformers 5.23.0, tokenizers 0.23.3: `save_pretrained` writes the truncation and padding of the last call into
# tokenizer.json. A tokenizer that was once called with max_length=6 is from then on one that cuts every text to 6 tokens for
# whoever reads that file with the tokenizers library; transformers itself cuts only where a call says so.
set -euo pipefail
home=$(mktemp -d)
trap 'rm -rf "$home"' EXIT
python3 -m venv "$home/venv"
"$home/venv/bin/pip" install --quiet --disable-pip-version-check transformers==5.23.0 tokenizers==0.23.3
HF_HUB_OFFLINE=1 "$home/venv/bin/python" -W ignore - "$home/saved" <<'PY'
import sys
import tokenizers, transformers
from tokenizers import Tokenizer
from transformers import CLIPTokenizer
letters = "abcdefghijklmnopqrstuvwxyz"
vocabulary = ["<|startoftext|>", "<|endoftext|>", *letters, *(letter + "</w>" for letter in letters)]
tokenizer = CLIPTokenizer(vocab={token: at for at, token in enumerate(vocabulary)}, merges=[])
text = "a b c d e f g h"
before = tokenizer(text)["input_ids"]
tokenizer(["a b"], padding="max_length", truncation=True, max_length=6)
tokenizer.save_pretrained(sys.argv[1])
library = Tokenizer.from_file(sys.argv[1] + "/tokenizer.json").encode(text).ids
again = CLIPTokenizer.from_pretrained(sys.argv[1])(text)["input_ids"]
print("transformers", transformers.__version__, "tokenizers", tokenizers.__version__)
print("before", len(before), "tokens; saved and read by tokenizers", len(library), "and by transformers", len(again))
assert (len(before), len(library), len(again)) == (10, 6, 10)
PY
