#!/usr/bin/env bash
# transformers 5.23.0: of a tokenizer.json beside `"tokenizer_class": "BertTokenizer"` the vocabulary is taken and nothing else. Normalizer and
# post-processor are built anew from tokenizer_config.json and the class's defaults (lower case, [CLS] and [SEP] around). So the same file gives
# other ids by AutoTokenizer than by the `tokenizers` library, without a word; CLIPA's text towers meet this.
set -euo pipefail
home=$(mktemp -d)
trap 'rm -rf "$home"' EXIT
python3 -m venv "$home/venv"
"$home/venv/bin/pip" install --quiet --disable-pip-version-check transformers==5.23.0 tokenizers==0.23.3
HF_HUB_OFFLINE=1 "$home/venv/bin/python" -W ignore - "$home" <<'PY'
import json, sys
import tokenizers, transformers
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import AutoTokenizer
words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "Red", "red", "circle"]
made = Tokenizer(models.WordPiece({word: at for at, word in enumerate(words)}, unk_token="[UNK]"))
made.normalizer = normalizers.BertNormalizer(lowercase=False)
made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
made.post_processor = processors.TemplateProcessing(single="[CLS] $A", special_tokens=[("[CLS]", 2)])
made.save(sys.argv[1] + "/tokenizer.json")
json.dump({"tokenizer_class": "BertTokenizer"}, open(sys.argv[1] + "/tokenizer_config.json", "w"))
own = made.encode("Red circle").ids
got = AutoTokenizer.from_pretrained(sys.argv[1])("Red circle")["input_ids"]
print("tokenizers", tokenizers.__version__, own, "transformers", transformers.__version__, got)
assert own == [2, 5, 7] and got == [2, 6, 7, 3]
PY
