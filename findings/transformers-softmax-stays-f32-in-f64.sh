#!/usr/bin/env bash
# transformers 5.23.0, torch 2.15.0: a CLIP model in float64 is no float64 reference where attention is "eager", which it has to be for
# attention weights to be looked at. Eager attention makes its softmax in float32 whatever the model is in: the weights come back as
# float64 numbers of which every one is a float32, and what is encoded is off by 1e-8, while "sdpa" of the same weights is right to the
# last digits. Gradients, finite differences and parity checks against "the model in double" meet it.
set -euo pipefail
home=$(mktemp -d)
trap 'rm -rf "$home"' EXIT
python3 -m venv "$home/venv"
"$home/venv/bin/pip" install --quiet --disable-pip-version-check transformers==5.23.0 torch==2.15.0
HF_HUB_OFFLINE=1 "$home/venv/bin/python" -W ignore - <<'PY'
import torch, transformers
from transformers import CLIPVisionConfig, CLIPVisionModel
torch.manual_seed(0)
config = CLIPVisionConfig(hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2, image_size=32, patch_size=8)
model = CLIPVisionModel(config).double().eval()
pixels = torch.randn(1, 3, 32, 32, dtype=torch.float64)
given = {}
with torch.no_grad():
    for attention in ("eager", "sdpa"):
        model.set_attn_implementation(attention)
        given[attention] = model(pixels, output_attentions=attention == "eager")
weights = given["eager"].attentions[0]
rounded = (weights - weights.float().double()).abs().max().item()
sums = (weights.sum(-1) - 1).abs().max().item()
apart = (given["eager"].pooler_output - given["sdpa"].pooler_output).abs().max().item()
print("transformers", transformers.__version__, "torch", torch.__version__, "weights in", weights.dtype)
print(f"weights less their float32: {rounded}; rows sum to 1 within {sums:.1e}; eager less sdpa: {apart:.1e}")
assert weights.dtype == torch.float64 and rounded == 0.0 and sums > 1e-9 and 1e-10 < apart < 1e-5
PY
