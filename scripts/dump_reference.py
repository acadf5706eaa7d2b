"""Reference activations of a checkpoint, computed by the library it was made for.

Snellen computes every activation itself. This script runs the same checkpoint
through Hugging Face `transformers` or `open_clip` on the CPU, and writes what
came out, so that Snellen can be compared with it site by site.

    python dump_reference.py --model PATH_OR_HUB_ID --out reference.safetensors
        [--library transformers|open_clip] [--images 2] [--seed 0]
        [--captions FILE] [--sites all|PATTERN,...] [--preprocessing pil|torchvision]

It needs numpy, torch, Pillow, safetensors, and either transformers (5.x) or
open_clip_torch (3.x). A model's sites can be large: `--sites` takes patterns
such as `*resid_post,image_embeds`, separated by commas.

The library is timm where config.json has an `architecture` and nothing lies
beside it, open_clip where there is an open_clip_config.json and no
config.json with a model_type (one that is timm's wrapper's or has no weights
doesn't count) or a .pt alone, and transformers otherwise.

What is read
    transformers: `clip`, `metaclip_2`, `siglip`, `siglip2` (NaFlex), each with
    both towers or the vision tower alone; `vit` and `deit`, without the
    pooler; `dinov2`, `dinov2_with_registers`, `dinov3_vit`; and the vision
    tower alone, without its language model, of `llava`,
    `llava_next`, `paligemma`, `idefics3` and `smolvlm`.
    open_clip: its own vision and text transformers, and timm's plain, SigLIP,
    EVA02 and PE-Core towers; files of OpenAI's own (a .pt, or a folder with one
    and no configuration).
    timm: plain vision transformers, DeiT, SigLIP's, EVA's and PE-Core's.
    Everything else is refused.

What is written
    input.picture.{i}    u8 [height, width, 3]; absent where the checkpoint has
                         no image processor (preprocessor_config.json, or
                         processor_config.json with one)
    input.pixel_values   f32 [image, 3, height, width]; the pictures as the
                         checkpoint's processor prepares them, with Pillow
                         unless --preprocessing says torchvision or the
                         processor knows nothing else (DINOv3); or else noise.
                         LLaVA-NeXT, Idefics3 and SmolVLM cut an image into
                         tiles: here is only the one that shows all of it.
                         NaFlex: [image, patch, value], red, green and blue of
                         a patch's pixels row by row, and zeros for padding
    input.spatial_shapes i64 [image, 2]; NaFlex: rows and columns of the patches
                         of each image, before padding
    input.input_ids      i64 [text, token]; the captions' ids as the checkpoint's
                         tokenizer makes them (tokenizer.json, vocab.json with
                         merges.txt, spiece.model), or else random ones; absent
                         without a text tower
    input.attention_mask i64 [text, token]; 1 for text and 0 for padding, where
                         the tokenizer returns it to a text tower that is not
                         causal, which uses it

    The sites, f32. Those of the text tower have the prefix `text.`:

    hook_embed                     [image, patch, unit] patch embeddings with the convolution's bias,
                                   or [text, token, unit]
    hook_pos_embed                 [image, token, unit] of the tokens that have a position: all but registers;
                                   none where positions are rotary
    hook_ln_pre                    [image, token, unit] where a layer norm precedes the blocks
    blocks.{l}.hook_resid_pre, hook_resid_mid, hook_resid_post
    blocks.{l}.attn.hook_q, hook_k, hook_v, hook_z   [image, token, head, unit]; q is not scaled
    blocks.{l}.attn.hook_rot_q, hook_rot_k           the same after rotary positions, where there are any
    blocks.{l}.attn.hook_attn_scores, hook_pattern   [image, head, query, key]; scores are scaled,
                                   and -inf where masked
    blocks.{l}.hook_attn_out, hook_mlp_out   what is added to the residual stream, after any layer scale
    blocks.{l}.mlp.hook_pre        before the activation function
    blocks.{l}.mlp.hook_pre_linear the other factor of a gated MLP
    blocks.{l}.mlp.hook_post       input of the MLP's last linear map
    ln_final.hook_normalized       the last layer norm of every token, or [image, unit] where it follows pooling
    head.attn.hook_q, hook_k, hook_v, hook_z, hook_attn_scores, hook_pattern,
    head.hook_attn_out, head.mlp.hook_pre, hook_post, head.hook_mlp_out
                                   attention pooling, with one query
    image_embeds, text.text_embeds [image, unit] pooled and, where there is one, projected; not normalised
    logits_per_image               [image, text] with scale and bias

    Tokens are the class token, if any, DeiT's distillation token, registers, then patches.
    Where attention is causal, texts get no other mask.

    The header's metadata: `format` = "snellen-reference", `schema` = "1",
    `source` (the library and its version), `model_type` ("open_clip" for
    open_clip, "timm" for timm), `versions` (JSON, of the libraries), `weights` (JSON, the SHA-256
    of each file of weights); `processor` and `backend` ("pil" or "torchvision")
    where pictures were prepared, else `without_pixels` (why not); `tokenizer`
    and `captions` (a JSON list) where captions were tokenised, else
    `without_ids`.

Before anything is written, the script asserts that the sites fit together:
that the scores' softmax is the pattern, that pattern, values and output map
give the attention output, that the residual stream adds up, and that the
embeddings and logits are those of the library's own forward pass. Everything
has to agree within 1e-4 of the site's root mean square.
"""

import argparse
import importlib.metadata
import json
import os
import sys
from pathlib import Path

os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from reference.recording import Reference, Refusal, record
from reference.checkpoint import find_file, hash_weights, read_json
from reference.of_transformers import load_transformers
from reference.of_open_clip import load_open_clip, load_openai, openai_file
from reference.of_timm import load_timm

# Libraries that inputs and activations depend on.
LIBRARIES = ["transformers", "open_clip_torch", "timm", "tokenizers", "sentencepiece", "torch", "torchvision", "pillow", "numpy"]

CAPTIONS = ["a photo of a cat", "Two red circles, next to a blue square!", "an empty street at night"]


# --- Inputs -----------------------------------------------------------------------

# Heights and widths of the pictures, in edges of what the tower expects.
SHAPES = [(1.63, 2.31), (1.91, 1.22), (0.83, 1.37), (2.87, 1.04)]


def picture(rng: np.random.Generator, index: int, image_size: int) -> np.ndarray:
    """Coloured blobs on a gradient, and noise."""
    height, width = (round(edge * image_size) for edge in SHAPES[index % len(SHAPES)])
    rows, columns = np.linspace(0, 1, height)[:, None, None], np.linspace(0, 1, width)[None, :, None]
    corners = rng.uniform(20, 235, (4, 3))
    values = (1 - rows) * ((1 - columns) * corners[0] + columns * corners[1])
    values = values + rows * ((1 - columns) * corners[2] + columns * corners[3])
    for _ in range(6):
        y, x = rng.uniform(0, 1, 2)
        radius = rng.uniform(0.08, 0.3)
        inside = ((rows - y) ** 2 + (columns - x) ** 2 < radius**2).astype(float)
        values = values * (1 - inside) + inside * rng.uniform(0, 255, 3)
    values = values + rng.normal(0, 12, values.shape)
    return values.round().clip(0, 255).astype(np.uint8)


def make_inputs(reference: Reference, images: int, seed: int, captions: list[str]) -> dict[str, Tensor]:
    """Pictures, pixel values, and ids."""
    rng = np.random.default_rng(seed)
    inputs: dict[str, Tensor] = {}
    if reference.prepare is not None:
        pictures = [picture(rng, index, reference.image_size) for index in range(images)]
        for index, values in enumerate(pictures):
            inputs[f"input.picture.{index}"] = torch.from_numpy(values)
        prepared = reference.prepare([Image.fromarray(values) for values in pictures])
        if reference.noise is not None:
            inputs["input.pixel_values"], inputs["input.spatial_shapes"] = prepared
        else:
            inputs["input.pixel_values"] = prepared
    elif reference.noise is not None:
        inputs["input.pixel_values"], inputs["input.spatial_shapes"] = reference.noise(rng, images)
    else:
        shape = (images, 3, reference.image_size, reference.image_size)
        inputs["input.pixel_values"] = torch.from_numpy(rng.standard_normal(shape).astype(np.float32))
    if reference.tokenize is not None:
        inputs["input.input_ids"], mask = reference.tokenize(captions)
        if mask is not None:
            inputs["input.attention_mask"] = mask
    elif reference.text is not None:
        inputs["input.input_ids"] = reference.random_ids(rng)
    for name, tensor in inputs.items():
        whole = any(word in name for word in ("ids", "mask", "shapes"))
        kind = torch.uint8 if "picture" in name else torch.int64 if whole else torch.float32
        assert tensor.dtype == kind, (name, tensor.dtype)
    return inputs


# --- Everything ---------------------------------------------------------------------


# What transformers and open_clip call weights.
WEIGHTS = ["model.safetensors", "model.safetensors.index.json", "pytorch_model.bin", "pytorch_model.bin.index.json"]
OPEN_CLIP_WEIGHTS = ["open_clip_model.safetensors", "open_clip_pytorch_model.bin"]


def choose_library(model: str) -> str:
    def has(names: list[str]) -> bool:
        return any(find_file(model, name) is not None for name in names)

    config = read_json(find_file(model, "config.json"))
    open_clip = find_file(model, "open_clip_config.json") is not None

    def nobodys() -> bool:
        """timm's, as transformers' wrapper writes it, or without its weights. Files that are asked for are fetched: the likely ones first."""
        return config.get("model_type") == "timm_wrapper" or (not has(WEIGHTS) and has(OPEN_CLIP_WEIGHTS))

    if "model_type" in config and not (open_clip and nobodys()):
        return "transformers"
    if open_clip:
        return "open_clip"
    if "architecture" in config:
        return "timm"
    if openai_file(model) is not None:
        return "openai"
    raise Refusal(f"{model} has neither a config.json with a model_type nor an open_clip_config.json")


def load(model: str, library: str | None = None, backend: str | None = None) -> Reference:
    loaders = {"transformers": load_transformers, "open_clip": load_open_clip, "openai": load_openai, "timm": load_timm}
    return loaders[library or choose_library(model)](model, backend)


def versions() -> dict[str, str]:
    """Of the libraries that are installed."""
    found = {}
    for name in LIBRARIES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            pass
    return found


def read_captions(path: Path) -> list[str]:
    """The lines of a text file, or the texts in a JSON list, which may hold anything."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".json":
        return [caption for caption in json.loads(text) if isinstance(caption, str)]
    return [line for line in text.split("\n") if line.strip()]


def readable(reference: Reference, captions: list[str]) -> list[str]:
    """The captions, or where the tokenizer refuses a word of them, some made of words that it knows."""
    if reference.tokenize is None:
        return captions
    try:
        reference.tokenize(captions)
        return captions
    except Exception as reason:
        words = reference.words() if reference.words is not None else []
        if len(words) < 4:
            raise Refusal(f"the tokenizer refuses the captions ({reason}); give others by --captions") from reason
        return [" ".join(words[:2]), " ".join(words[1:4]), words[-1]]


def describe(reference: Reference, model: str, captions: list[str]) -> dict[str, str]:
    """The metadata: who made the reference, of what, and what it lacks."""
    metadata = {
        "format": "snellen-reference",
        "schema": "1",
        "source": reference.source,
        "model_type": reference.model_type,
        "versions": json.dumps(versions()),
        "weights": json.dumps(hash_weights(model)),
    }
    if reference.prepare is not None:
        metadata |= {"processor": reference.processor, "backend": reference.backend}
    if reference.tokenize is not None:
        metadata |= {"tokenizer": reference.tokenizer, "captions": json.dumps(captions)}
    return metadata | {f"without_{kind}": why for kind, why in reference.without.items()}


def write(path: Path, tensors: dict[str, Tensor], metadata: dict[str, str]) -> None:
    """A safetensors file. Written here, since the library orders the metadata by chance."""
    kinds = {torch.float32: "F32", torch.int64: "I64", torch.uint8: "U8"}
    # Larger elements first, so that each tensor is aligned.
    ordered = sorted(tensors, key=lambda name: (-tensors[name].element_size(), name))
    header: dict = {"__metadata__": metadata}
    offset = 0
    for name in ordered:
        tensor = tensors[name]
        size = tensor.numel() * tensor.element_size()
        header[name] = {
            "dtype": kinds[tensor.dtype],
            "shape": list(tensor.shape),
            "data_offsets": [offset, offset + size],
        }
        offset += size
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(len(text).to_bytes(8, "little"))
        file.write(text)
        for name in ordered:
            file.write(tensors[name].contiguous().numpy().tobytes())


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", required=True, help="a checkpoint's folder, or its id on the Hub")
    parser.add_argument("--out", required=True, type=Path, help="the file to write")
    parser.add_argument("--library", choices=["transformers", "open_clip", "openai", "timm"], help="default: from the files")
    parser.add_argument("--images", type=int, default=2, help="how many pictures (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of pictures, noise and random ids")
    parser.add_argument("--captions", type=Path, help="a text file with one caption per line, or a JSON list")
    parser.add_argument("--sites", default="all", help="patterns of names, separated by commas")
    parser.add_argument("--preprocessing", choices=["pil", "torchvision"], help="what pictures are resized with (default: pil)")
    options = parser.parse_args(arguments)
    if options.images < 1:
        parser.error("--images must be at least 1")

    captions = CAPTIONS
    if options.captions is not None:
        captions = read_captions(options.captions)
        if not captions:
            parser.error(f"{options.captions} holds no captions")

    try:
        reference = load(options.model, options.library, options.preprocessing)
        if options.captions is None:
            captions = readable(reference, captions)
        inputs = make_inputs(reference, options.images, options.seed, captions)
        ids, mask = inputs.get("input.input_ids"), inputs.get("input.attention_mask")
        grids = inputs.get("input.spatial_shapes")
        sites = record(reference, inputs["input.pixel_values"], ids, options.sites, mask, grids)
    except Refusal as reason:
        print(f"dump_reference.py: {reason}", file=sys.stderr)
        return 1

    metadata = describe(reference, options.model, captions)
    write(options.out, inputs | sites.tensors, metadata)
    print(f"{options.out}: {len(sites.tensors)} sites of {reference.model_type}, from {reference.source}")
    for kind, why in reference.without.items():
        print(f"{kind} can't be compared: {why}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
