#!/usr/bin/env bash
# tokenizers 0.23.3: `WordPieceTrainer` makes another vocabulary of the same text every time, in one process and with one thread, though nothing
# in it is random: not only do ids differ, but which pieces there are, since pairs that are equally frequent are merged in the order of their
# ids, and pieces with "##" get theirs in the order of a hash table. It has no seed. `BpeTrainer` gives other ids each time with an affix, as CLIP's "</w>";
# without one it makes the same vocabulary each time. So a model whose tokenizer is trained in its recipe can't be made again by its recipe.
set -euo pipefail
home=$(mktemp -d)
trap 'rm -rf "$home"' EXIT
python3 -m venv "$home/venv"
"$home/venv/bin/pip" install --quiet --disable-pip-version-check tokenizers==0.23.3
RAYON_NUM_THREADS=1 TOKENIZERS_PARALLELISM=false "$home/venv/bin/python" - <<'PY'
import tokenizers
from tokenizers import Tokenizer, models, pre_tokenizers, trainers

colours = ["red", "green", "blue", "yellow", "purple", "orange", "brown", "white"]
shapes = ["circle", "square", "triangle", "pentagon", "hexagon"]
text = [f"a photo of the {colour} {shape}" for colour in colours for shape in shapes]

def vocabulary(model, trainer, **affix):
    tokenizer = Tokenizer(model)
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.train_from_iterator(text, trainer(vocab_size=90, show_progress=False, special_tokens=["[UNK]"], **affix))
    return tokenizer.get_vocab()

def other(make):
    """How many vocabularies in 12 runs, and how many sets of pieces."""
    found = [make() for _ in range(12)]
    return len({tuple(sorted(v.items())) for v in found}), len({tuple(sorted(v)) for v in found})

end = {"end_of_word_suffix": "</w>"}
pieces = other(lambda: vocabulary(models.WordPiece(unk_token="[UNK]"), trainers.WordPieceTrainer))
ended = other(lambda: vocabulary(models.BPE(**end), trainers.BpeTrainer, **end))
plain = other(lambda: vocabulary(models.BPE(), trainers.BpeTrainer))
print("tokenizers", tokenizers.__version__, "of 12 runs, vocabularies and sets: WordPiece", pieces, "BPE with </w>", ended, "BPE", plain)
assert min(pieces) > 1 and ended[0] > 1 and plain == (1, 1)
PY
