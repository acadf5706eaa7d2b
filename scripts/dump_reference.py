"""Reference activations of a checkpoint, computed by the library it was made for.

Snellen computes every activation itself. This script runs the same checkpoint
through Hugging Face `transformers` or `open_clip` on the CPU, and writes what
came out, so that Snellen can be compared with it site by site.

    python dump_reference.py --model PATH_OR_HUB_ID --out reference.safetensors
        [--library transformers|open_clip] [--images 2] [--seed 0]
        [--captions FILE] [--sites all|PATTERN,...]

It needs numpy, torch, Pillow, safetensors, and either transformers (5.x) or
open_clip_torch (3.x). A model's sites can be large: `--sites` takes patterns
such as `*resid_post,image_embeds`, separated by commas.

The library is open_clip where there is an open_clip_config.json and no
config.json with a model_type, and transformers otherwise.

What is read
    transformers: `clip`, `siglip` (not SigLIP 2's NaFlex), either with both
    towers or the vision tower alone; `dinov2`, `dinov2_with_registers`; and
    the vision tower alone, without its language model, of `llava`,
    `llava_next`, `paligemma`, `idefics3` and `smolvlm`.
    open_clip: its own vision and text transformers, and timm's SigLIP towers.
    Everything else is refused.

What is written
    input.picture.{i}    u8 [height, width, 3]; absent where the checkpoint has
                         no preprocessor_config.json
    input.pixel_values   f32 [image, 3, height, width]; the pictures as the
                         library prepares them with Pillow, or else noise.
                         LLaVA-NeXT, Idefics3 and SmolVLM cut an image into
                         tiles: here is only the one that shows all of it.
    input.input_ids      i64 [text, token]; the captions' ids, or else random
                         ones; absent without a text tower

    The sites, f32. Those of the text tower have the prefix `text.`:

    hook_embed                     [image, patch, unit] patch embeddings with the convolution's bias,
                                   or [text, token, unit]
    hook_pos_embed                 [image, token, unit] of the tokens that have a position: all but registers
    hook_ln_pre                    [image, token, unit] where a layer norm precedes the blocks
    blocks.{l}.hook_resid_pre, hook_resid_mid, hook_resid_post
    blocks.{l}.attn.hook_q, hook_k, hook_v, hook_z   [image, token, head, unit]; q is not scaled
    blocks.{l}.attn.hook_attn_scores, hook_pattern   [image, head, query, key]; scores are scaled,
                                   and -inf where causally masked
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

    Tokens are the class token, if any, then registers, then patches.
    Texts get no attention mask, except the causal one where the model has it.

    The header's metadata: `format` = "snellen-reference", `schema` = "1",
    `source` (the library and its version), `model_type` ("open_clip" for
    open_clip), and `captions` (a JSON list) where captions were tokenised.

Before anything is written, the script asserts that the sites fit together:
that the scores' softmax is the pattern, that pattern, values and output map
give the attention output, that the residual stream adds up, and that the
embeddings and logits are those of the library's own forward pass. Everything
has to agree within 1e-4 of the site's root mean square.
"""

import argparse
import fnmatch
import json
import math
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

import numpy as np
import torch
from PIL import Image
from safetensors import safe_open
from torch import Tensor, nn
from torch.nn import functional

TOLERANCE = 1e-4

CAPTIONS = ["a photo of a cat", "Two red circles, next to a blue square!", "an empty street at night"]


class Refusal(Exception):
    """Why no reference can be written."""


# --- What a tower is made of --------------------------------------------------


@dataclass
class Attention:
    """Multi-head attention, as maps of its input."""

    heads: int
    query: Callable[[Tensor], Tensor]
    key: Callable[[Tensor], Tensor]
    value: Callable[[Tensor], Tensor]
    out: Callable[[Tensor], Tensor]


@dataclass
class Mlp:
    """Two linear maps, or three where the first is a gate."""

    module: nn.Module
    first: nn.Module
    last: nn.Module
    linear: nn.Module | None = None


@dataclass
class Block:
    """A transformer block with the layer norms before attention and MLP."""

    module: nn.Module
    norm1: nn.Module
    attention_module: nn.Module
    attention: Attention
    norm2: nn.Module
    mlp: Mlp
    # Layer scales.
    scale1: nn.Module | None = None
    scale2: nn.Module | None = None


@dataclass
class Head:
    """Attention pooling: one learned query, then a residual MLP."""

    probe: Callable[[], Tensor]
    attention: Attention
    norm: nn.Module
    mlp: Mlp


@dataclass
class Tower:
    """A vision or text transformer of some library."""

    prefix: str
    blocks: list[Block]
    # Its output is the patch or token embeddings, [image, patch, unit] or [image, unit, row, column].
    embed: nn.Module
    # The positions of the tokens that have one: [token, unit], of the input; or a module which returns them.
    positions: Callable[[Tensor], Tensor] | nn.Module
    final_norm: nn.Module
    # The library's own forward pass: the final tokens, if it returns them normalised, and the embedding, if any.
    forward: Callable[[Tensor], tuple[Tensor | None, Tensor | None]]
    # From the normalised tokens (or the head's output) and the input to the embedding.
    embedding: Callable[[Tensor, Tensor], Tensor] | None
    first_norm: nn.Module | None = None
    class_token: Callable[[], Tensor] | None = None
    registers: Callable[[], Tensor] | None = None
    causal: bool = False
    head: Head | None = None
    # Where the last layer norm follows pooling: the pooling.
    pool_first: Callable[[Tensor], Tensor] | None = None


@dataclass
class Reference:
    """A checkpoint that a library has loaded."""

    model_type: str
    source: str
    vision: Tower
    # The pixels that the vision tower expects, along an edge.
    image_size: int
    # Pictures to pixel values; none where the checkpoint does not say.
    prepare: Callable[[list[Image.Image]], Tensor] | None
    text: Tower | None = None
    tokenize: Callable[[list[str]], Tensor] | None = None
    random_ids: Callable[[np.random.Generator], Tensor] | None = None
    # The library's own logits, and the logits of embeddings of length one.
    logits: Callable[[Tensor, Tensor], Tensor] | None = None
    scale_cosines: Callable[[Tensor], Tensor] | None = None
    # Everything that holds parameters.
    model: nn.Module | None = None


def split_linear(weight: nn.Parameter, bias: nn.Parameter | None, part: int, parts: int) -> Callable[[Tensor], Tensor]:
    """One of several linear maps whose weights are stacked in one matrix."""

    def apply(tokens: Tensor) -> Tensor:
        return functional.linear(tokens, weight.chunk(parts)[part], None if bias is None else bias.chunk(parts)[part])

    return apply


def torch_attention(module: nn.MultiheadAttention) -> Attention:
    """The maps of torch's own attention module."""
    if module.in_proj_weight is None or module.bias_k is not None or module.add_zero_attn:
        raise Refusal("attention with separate or additional keys is not supported")
    maps = [split_linear(module.in_proj_weight, module.in_proj_bias, part, 3) for part in range(3)]
    return Attention(module.num_heads, *maps, out=module.out_proj)


# --- Recording ----------------------------------------------------------------


def agree(actual: Tensor, expected: Tensor, what: str) -> None:
    """Asserts that two ways to the same values lead there."""
    if actual.shape != expected.shape:
        raise Refusal(f"{what}: the shapes {tuple(actual.shape)} and {tuple(expected.shape)} differ")
    finite = expected.isfinite()
    if not torch.equal(finite, actual.isfinite()):
        raise Refusal(f"{what}: values are infinite or undefined in different places")
    rms = float(expected[finite].square().mean().sqrt())
    error = float((actual - expected)[finite].abs().max())
    if not error <= TOLERANCE * rms:
        raise Refusal(f"{what}: differs by up to {error:.3g} from what the library computed, whose RMS is {rms:.3g}")


class Sites:
    """The wanted sites, and only those, since all of a large model would not fit into memory."""

    def __init__(self, patterns: str = "all"):
        self.patterns = ["*"] if patterns == "all" else [pattern.strip() for pattern in patterns.split(",")]
        self.matched: set[str] = set()
        self.tensors: dict[str, Tensor] = {}

    def add(self, name: str, tensor: Tensor) -> None:
        matching = [pattern for pattern in self.patterns if fnmatch.fnmatchcase(name, pattern)]
        self.matched.update(matching)
        if matching:
            assert name not in self.tensors, name
            self.tensors[name] = tensor.detach().clone().contiguous()

    def require_all_matched(self) -> None:
        unmatched = [pattern for pattern in self.patterns if pattern not in self.matched]
        if unmatched:
            raise Refusal(f"no site matches {', '.join(unmatched)}")


@contextmanager
def hooked() -> Iterator[list]:
    """A list for hook handles, which are removed in the end."""
    handles: list = []
    try:
        yield handles
    finally:
        for handle in handles:
            handle.remove()


def first(output):
    """A module's output, which may be the first of several."""
    return output[0] if isinstance(output, tuple) else output


def keep_output(handles: list, module: nn.Module, store: dict, key: str) -> None:
    def hook(_module, _arguments, output):
        store[key] = first(output).detach()

    handles.append(module.register_forward_hook(hook))


def keep_input(handles: list, module: nn.Module, store: dict, key: str) -> None:
    def hook(_module, arguments):
        store[key] = arguments[0].detach()

    handles.append(module.register_forward_pre_hook(hook))


def record_attention(
    sites: Sites, name: str, attention: Attention, queries: Tensor, tokens: Tensor, causal: bool
) -> tuple[Tensor, Tensor]:
    """The sites of an attention pattern; returns the pattern and the output."""
    q = attention.query(queries).unflatten(-1, (attention.heads, -1))
    k = attention.key(tokens).unflatten(-1, (attention.heads, -1))
    v = attention.value(tokens).unflatten(-1, (attention.heads, -1))
    scores = torch.einsum("bqhd,bkhd->bhqk", q, k) / math.sqrt(q.shape[-1])
    if causal:
        later = torch.ones(scores.shape[-2:], dtype=torch.bool).triu(1)
        scores = scores.masked_fill(later, -math.inf)
    pattern = scores.softmax(-1)
    z = torch.einsum("bhqk,bkhd->bqhd", pattern, v)
    for site, tensor in [
        ("hook_q", q),
        ("hook_k", k),
        ("hook_v", v),
        ("hook_z", z),
        ("hook_attn_scores", scores),
        ("hook_pattern", pattern),
    ]:
        sites.add(name + site, tensor)
    return pattern, attention.out(z.flatten(2))


def record_block(handles: list, sites: Sites, name: str, block: Block, causal: bool, residual: dict) -> None:
    """Adds hooks that record a block, and check it when it returns."""
    seen: dict[str, Tensor] = {}
    keep_input(handles, block.module, seen, "resid_pre")
    keep_output(handles, block.norm1, seen, "normalized1")
    keep_input(handles, block.norm2, seen, "resid_mid")
    keep_output(handles, block.mlp.first, seen, "pre")
    keep_input(handles, block.mlp.last, seen, "post")
    keep_output(handles, block.mlp.module, seen, "mlp")
    if block.mlp.linear is not None:
        keep_output(handles, block.mlp.linear, seen, "pre_linear")

    def attention_hook(_module, _arguments, output):
        pattern, out = record_attention(
            sites, name + "attn.", block.attention, seen["normalized1"], seen["normalized1"], causal
        )
        agree(out, first(output), name + "attn.hook_z through the output map")
        weights = output[1] if isinstance(output, tuple) and len(output) > 1 else None
        if weights is not None:
            agree(pattern, weights, name + "attn.hook_pattern")
        seen["attn_out"] = first(output).detach()

    handles.append(block.attention_module.register_forward_hook(attention_hook))

    def block_hook(_module, _arguments, output):
        attn_out = seen["attn_out"] if block.scale1 is None else block.scale1(seen["attn_out"])
        mlp_out = seen["mlp"] if block.scale2 is None else block.scale2(seen["mlp"])
        resid_post = first(output).detach()
        agree(block.mlp.last(seen["post"]), seen["mlp"], name + "mlp.hook_post through the last linear map")
        agree(seen["resid_pre"] + attn_out, seen["resid_mid"], name + "hook_resid_mid")
        agree(seen["resid_mid"] + mlp_out, resid_post, name + "hook_resid_post")
        if "last" in residual:
            agree(seen["resid_pre"], residual["last"], name + "hook_resid_pre")
        else:
            residual["first"] = seen["resid_pre"]
        residual["last"] = resid_post
        residual["blocks"] = residual.get("blocks", 0) + 1
        for site, tensor in [
            ("hook_resid_pre", seen["resid_pre"]),
            ("hook_attn_out", attn_out),
            ("hook_resid_mid", seen["resid_mid"]),
            ("mlp.hook_pre", seen["pre"]),
            ("mlp.hook_post", seen["post"]),
            ("hook_mlp_out", mlp_out),
            ("hook_resid_post", resid_post),
        ]:
            sites.add(name + site, tensor)
        if block.mlp.linear is not None:
            sites.add(name + "mlp.hook_pre_linear", seen["pre_linear"])
        seen.clear()

    handles.append(block.module.register_forward_hook(block_hook))


@torch.no_grad()
def record_tower(tower: Tower, inputs: Tensor, sites: Sites) -> Tensor | None:
    """Runs one tower and records it; returns its embedding, if it has one."""
    prefix = tower.prefix
    residual: dict = {}
    seen: dict[str, Tensor] = {}
    with hooked() as handles:
        keep_output(handles, tower.embed, seen, "embed")
        if isinstance(tower.positions, nn.Module):
            keep_output(handles, tower.positions, seen, "positions")
        if tower.first_norm is not None:
            keep_output(handles, tower.first_norm, seen, "ln_pre")
        if tower.head is not None:
            keep_input(handles, tower.head.norm, seen, "attn_out")
            keep_output(handles, tower.head.mlp.first, seen, "pre")
            keep_input(handles, tower.head.mlp.last, seen, "post")
            keep_output(handles, tower.head.mlp.module, seen, "mlp")
        for index, block in enumerate(tower.blocks):
            record_block(handles, sites, f"{prefix}blocks.{index}.", block, tower.causal, residual)
        returned_tokens, returned_embedding = tower.forward(inputs)
    if residual.get("blocks") != len(tower.blocks):
        raise Refusal(f"the library ran {residual.get('blocks', 0)} of {len(tower.blocks)} blocks")

    # Embeddings.
    embed = seen["embed"]
    if embed.ndim == 4:
        embed = embed.flatten(2).transpose(1, 2)
    positions = seen["positions"] if isinstance(tower.positions, nn.Module) else tower.positions(inputs)
    positions = positions.expand(len(inputs), -1, -1)
    sites.add(prefix + "hook_embed", embed)
    sites.add(prefix + "hook_pos_embed", positions)
    tokens = embed
    if tower.class_token is not None:
        tokens = torch.cat([tower.class_token().expand(len(inputs), 1, -1), tokens], 1)
    tokens = tokens + positions
    if tower.registers is not None:
        registers = tower.registers().expand(len(inputs), -1, -1)
        tokens = torch.cat([tokens[:, :1], registers, tokens[:, 1:]], 1)
    if tower.first_norm is not None:
        tokens = tower.first_norm(tokens)
        agree(tokens, seen["ln_pre"], prefix + "hook_ln_pre")
        sites.add(prefix + "hook_ln_pre", seen["ln_pre"])
    agree(tokens, residual["first"], prefix + "embeddings and positions")

    # The last layer norm and what follows.
    last = residual["last"]
    normalized = tower.final_norm(last if tower.pool_first is None else tower.pool_first(last))
    sites.add(prefix + "ln_final.hook_normalized", normalized)
    if returned_tokens is not None:
        agree(normalized, returned_tokens, prefix + "ln_final.hook_normalized")
    if tower.embedding is None:
        return None
    pooled = normalized if tower.head is None else record_head(tower.head, normalized, seen, sites)
    agree(tower.embedding(pooled, inputs), returned_embedding, prefix + "the pooled embedding")
    sites.add(prefix + ("text_embeds" if prefix else "image_embeds"), returned_embedding)
    return returned_embedding


def record_head(head: Head, tokens: Tensor, seen: dict, sites: Sites) -> Tensor:
    """The sites of attention pooling; returns its output."""
    probe = head.probe().reshape(1, 1, -1).expand(len(tokens), 1, -1)
    _, out = record_attention(sites, "head.attn.", head.attention, probe, tokens, causal=False)
    agree(out, seen["attn_out"], "head.attn.hook_z through the output map")
    agree(head.mlp.last(seen["post"]), seen["mlp"], "head.mlp.hook_post through the last linear map")
    for site, key in [
        ("head.hook_attn_out", "attn_out"),
        ("head.mlp.hook_pre", "pre"),
        ("head.mlp.hook_post", "post"),
        ("head.hook_mlp_out", "mlp"),
    ]:
        sites.add(site, seen[key])
    return (seen["attn_out"] + seen["mlp"])[:, 0]


@torch.no_grad()
def record(reference: Reference, pixel_values: Tensor, input_ids: Tensor | None, patterns: str = "all") -> Sites:
    """Every wanted site of every tower."""
    sites = Sites(patterns)
    image = record_tower(reference.vision, pixel_values, sites)
    if reference.text is not None:
        text = record_tower(reference.text, input_ids, sites)
        logits = reference.logits(pixel_values, input_ids)
        cosines = functional.normalize(image, dim=-1) @ functional.normalize(text, dim=-1).T
        agree(reference.scale_cosines(cosines), logits, "logits_per_image")
        sites.add("logits_per_image", logits)
    sites.require_all_matched()
    return sites


# --- Files of a checkpoint -----------------------------------------------------


def find_file(model: str, name: str) -> Path | None:
    """A file of a local folder or of a Hub repository."""
    if Path(model).is_dir():
        path = Path(model) / name
        return path if path.is_file() else None
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import EntryNotFoundError, HFValidationError, RepositoryNotFoundError

    try:
        return Path(hf_hub_download(model, name))
    except EntryNotFoundError:
        return None
    except (HFValidationError, RepositoryNotFoundError) as error:
        raise Refusal(f"{model} is neither a folder nor a repository of the Hub") from error


def read_json(path: Path | None) -> dict:
    return {} if path is None else json.loads(path.read_text(encoding="utf-8"))


def read_tensors(model: str, prefixes: list[str]) -> dict[str, Tensor]:
    """The tensors with one of the prefixes, the first that any has, and without it, in float32."""
    index = read_json(find_file(model, "model.safetensors.index.json")).get("weight_map")
    if index is None:
        path = find_file(model, "model.safetensors")
        if path is None:
            raise Refusal(f"{model} has neither model.safetensors nor model.safetensors.index.json")
        with safe_open(path, "pt") as file:
            index = dict.fromkeys(file.keys(), "model.safetensors")
    for prefix in prefixes:
        names = [name for name in index if name.startswith(prefix)]
        if names:
            break
    else:
        raise Refusal(f"no tensor of {model} starts with any of {', '.join(prefixes)}")
    tensors = {}
    for file_name in sorted({index[name] for name in names}):
        with safe_open(find_file(model, file_name), "pt") as file:
            for name in names:
                if index[name] == file_name:
                    tensors[name.removeprefix(prefix)] = file.get_tensor(name)
    return {name: tensor.float() if tensor.is_floating_point() else tensor for name, tensor in tensors.items()}


# --- transformers ---------------------------------------------------------------


def hf_block(layer: nn.Module, heads: int) -> Block:
    """A block of CLIP's or SigLIP's kind."""
    attention = layer.self_attn
    return Block(
        module=layer,
        norm1=layer.layer_norm1,
        attention_module=attention,
        attention=Attention(heads, attention.q_proj, attention.k_proj, attention.v_proj, attention.out_proj),
        norm2=layer.layer_norm2,
        mlp=Mlp(layer.mlp, layer.mlp.fc1, layer.mlp.fc2),
    )


def hf_blocks(tower: nn.Module) -> list[Block]:
    return [hf_block(layer, tower.config.num_attention_heads) for layer in tower.encoder.layers]


def clip_vision_tower(model: nn.Module, projection: nn.Module | None) -> Tower:
    def forward(pixel_values: Tensor) -> tuple[None, Tensor]:
        pooled = model(pixel_values=pixel_values).pooler_output
        return None, pooled if projection is None else projection(pooled)

    def embedding(normalized: Tensor, _inputs: Tensor) -> Tensor:
        return normalized[:, 0] if projection is None else projection(normalized[:, 0])

    return Tower(
        prefix="",
        blocks=hf_blocks(model),
        embed=model.embeddings.patch_embedding,
        positions=model.embeddings.position_embedding,
        class_token=lambda: model.embeddings.class_embedding,
        first_norm=model.pre_layrnorm,
        final_norm=model.post_layernorm,
        forward=forward,
        embedding=embedding,
    )


def clip_text_tower(model: nn.Module) -> Tower:
    text = model.text_model

    def pooled_positions(input_ids: Tensor) -> Tensor:
        if text.config.eos_token_id == 2:
            # What early checkpoints say, whatever their tokenizer's end token is.
            return input_ids.argmax(-1)
        return (input_ids == text.config.eos_token_id).int().argmax(-1)

    def embedding(normalized: Tensor, input_ids: Tensor) -> Tensor:
        return model.text_projection(normalized[torch.arange(len(input_ids)), pooled_positions(input_ids)])

    def forward(input_ids: Tensor) -> tuple[Tensor, Tensor]:
        outputs = model.get_text_features(input_ids=input_ids)
        return outputs.last_hidden_state, outputs.pooler_output

    return Tower(
        prefix="text.",
        blocks=hf_blocks(text),
        embed=text.embeddings.token_embedding,
        positions=text.embeddings.position_embedding,
        final_norm=text.final_layer_norm,
        causal=True,
        forward=forward,
        embedding=embedding,
    )


def siglip_vision_tower(model: nn.Module) -> Tower:
    has_head = getattr(model, "head", None) is not None

    def forward(pixel_values: Tensor) -> tuple[Tensor, Tensor | None]:
        outputs = model(pixel_values=pixel_values)
        return outputs.last_hidden_state, outputs.pooler_output

    return Tower(
        prefix="",
        blocks=hf_blocks(model),
        embed=model.embeddings.patch_embedding,
        positions=model.embeddings.position_embedding,
        final_norm=model.post_layernorm,
        head=siglip_head(model.head) if has_head else None,
        forward=forward,
        embedding=(lambda pooled, _inputs: pooled) if has_head else None,
    )


def siglip_head(head: nn.Module) -> Head:
    return Head(
        probe=lambda: head.probe,
        attention=torch_attention(head.attention),
        norm=head.layernorm,
        mlp=Mlp(head.mlp, head.mlp.fc1, head.mlp.fc2),
    )


def siglip_text_tower(model: nn.Module) -> Tower:
    text = model.text_model

    def forward(input_ids: Tensor) -> tuple[Tensor, Tensor]:
        outputs = model.get_text_features(input_ids=input_ids)
        return outputs.last_hidden_state, outputs.pooler_output

    return Tower(
        prefix="text.",
        blocks=hf_blocks(text),
        embed=text.embeddings.token_embedding,
        positions=text.embeddings.position_embedding,
        final_norm=text.final_layer_norm,
        forward=forward,
        embedding=lambda normalized, _inputs: text.head(normalized[:, -1]),
    )


def idefics_vision_tower(model: nn.Module) -> Tower:
    return Tower(
        prefix="",
        blocks=hf_blocks(model),
        embed=model.embeddings.patch_embedding,
        positions=model.embeddings.position_embedding,
        final_norm=model.post_layernorm,
        forward=lambda pixel_values: (model(pixel_values=pixel_values).last_hidden_state, None),
        embedding=None,
    )


def dinov2_tower(model: nn.Module) -> Tower:
    embeddings = model.embeddings
    registers = getattr(embeddings, "register_tokens", None)

    def block(layer: nn.Module) -> Block:
        attention, mlp = layer.attention, layer.mlp
        gated = hasattr(mlp, "gate_proj")
        return Block(
            module=layer,
            norm1=layer.norm1,
            attention_module=attention,
            attention=Attention(
                model.config.num_attention_heads,
                attention.q_proj,
                attention.k_proj,
                attention.v_proj,
                attention.o_proj,
            ),
            scale1=layer.layer_scale1,
            norm2=layer.norm2,
            mlp=Mlp(mlp, mlp.gate_proj, mlp.down_proj, mlp.up_proj) if gated else Mlp(mlp, mlp.fc1, mlp.fc2),
            scale2=layer.layer_scale2,
        )

    def positions(pixel_values: Tensor) -> Tensor:
        """Interpolated where the image's patches are not as many as the checkpoint's positions."""
        height, width = pixel_values.shape[-2:]
        patch = model.config.patch_size
        tokens = torch.zeros(1, 1 + (height // patch) * (width // patch), model.config.hidden_size)
        return embeddings.interpolate_pos_encoding(tokens, height, width)

    def forward(pixel_values: Tensor) -> tuple[Tensor, Tensor]:
        outputs = model(pixel_values=pixel_values)
        return outputs.last_hidden_state, outputs.pooler_output

    return Tower(
        prefix="",
        blocks=[block(layer) for layer in model.encoder.layer],
        embed=embeddings.patch_embeddings.projection,
        positions=positions,
        class_token=lambda: embeddings.cls_token,
        registers=None if registers is None else lambda: registers,
        final_norm=model.layernorm,
        forward=forward,
        embedding=lambda normalized, _inputs: normalized[:, 0],
    )


def vision_tower_only(model: str, config) -> nn.Module:
    """The vision tower of a vision-language checkpoint, without the language model.

    The published checkpoints name its tensors differently than the library
    does today: with an inner `vision_model`, and without an outer `model`.
    """
    import transformers
    from transformers.models.idefics3.modeling_idefics3 import Idefics3VisionTransformer
    from transformers.models.smolvlm.modeling_smolvlm import SmolVLMVisionTransformer

    vision = config.vision_config
    classes = {
        "clip_vision_model": transformers.CLIPVisionModel,
        "siglip_vision_model": transformers.SiglipVisionModel,
        "idefics3_vision": Idefics3VisionTransformer,
        "smolvlm_vision": SmolVLMVisionTransformer,
    }
    if vision.model_type not in classes:
        raise Refusal(f"vision towers of model_type {vision.model_type!r} are not supported")
    owners = ["vision_tower.vision_model.", "vision_tower.", "vision_model."]
    tensors = read_tensors(model, [outer + owner for owner in owners for outer in ("model.", "")])
    if vision.model_type == "siglip_vision_model":
        vision.vision_use_head = any(name.startswith("head.") for name in tensors)
    tower = classes[vision.model_type]._from_config(vision, attn_implementation="eager", dtype=torch.float32)
    missing, unexpected = tower.load_state_dict(tensors, strict=False)
    unexpected = [name for name in unexpected if not name.endswith("position_ids")]
    if missing or unexpected:
        raise Refusal(f"the vision tower's tensors do not fit: missing {missing}, unexpected {unexpected}")
    return tower


def hf_prepare(model: str, model_type: str) -> Callable[[list[Image.Image]], Tensor] | None:
    """The checkpoint's image processor, the one that uses Pillow."""
    from transformers import AutoImageProcessor

    if find_file(model, "preprocessor_config.json") is None:
        return None
    processor = AutoImageProcessor.from_pretrained(model, backend="pil")
    if getattr(processor, "backend", None) != "pil":
        raise Refusal(f"the checkpoint's {type(processor).__name__} does not use Pillow")
    # Which of the images that the processor makes of a picture shows all of it.
    whole = {"llava_next": 0, "idefics3": -1, "smolvlm": -1}.get(model_type)

    def prepare(pictures: list[Image.Image]) -> Tensor:
        # One at a time, since tiles of several images are padded to the same number.
        rows = []
        for picture in pictures:
            values = processor([picture], return_tensors="np")["pixel_values"][0]
            rows.append(np.asarray(values if whole is None else values[whole], dtype=np.float32))
        return torch.from_numpy(np.stack(rows))

    return prepare


def hf_tokenize(model: str, model_type: str, context: int) -> Callable[[list[str]], Tensor] | None:
    """The checkpoint's tokenizer. SigLIP was trained on captions padded to the full length."""
    from transformers import AutoTokenizer

    if find_file(model, "tokenizer.json") is None:
        return None
    tokenizer = AutoTokenizer.from_pretrained(model)
    padding = "max_length" if model_type == "siglip" else True

    def tokenize(captions: list[str]) -> Tensor:
        encoded = tokenizer(captions, padding=padding, truncation=True, max_length=context, return_tensors="pt")
        return encoded["input_ids"]

    return tokenize


def load_transformers(model: str) -> Reference:
    import transformers

    if int(transformers.__version__.split(".")[0]) < 5:
        raise Refusal(f"transformers {transformers.__version__} is too old, version 5 is needed")
    config = transformers.AutoConfig.from_pretrained(model)
    model_type = config.model_type
    architectures = config.architectures or []

    def load(model_class) -> nn.Module:
        loaded, report = model_class.from_pretrained(
            model, dtype=torch.float32, attn_implementation="eager", output_loading_info=True
        )
        if report["missing_keys"]:
            raise Refusal(f"the checkpoint lacks {sorted(report['missing_keys'])}")
        return loaded.eval()

    text = None
    if model_type == "clip":
        loaded = load(transformers.CLIPModel)
        vision, text = clip_vision_tower(loaded.vision_model, loaded.visual_projection), clip_text_tower(loaded)
        image_size = config.vision_config.image_size
    elif model_type == "siglip":
        loaded = load(transformers.SiglipModel)
        vision, text = siglip_vision_tower(loaded.vision_model), siglip_text_tower(loaded)
        image_size = config.vision_config.image_size
    elif model_type == "clip_vision_model" and "CLIPVisionModelWithProjection" in architectures:
        loaded = load(transformers.CLIPVisionModelWithProjection)
        vision, image_size = clip_vision_tower(loaded.vision_model, loaded.visual_projection), config.image_size
    elif model_type == "clip_vision_model":
        loaded = load(transformers.CLIPVisionModel)
        vision, image_size = clip_vision_tower(loaded, None), config.image_size
    elif model_type == "siglip_vision_model":
        loaded = load(transformers.SiglipVisionModel)
        vision, image_size = siglip_vision_tower(loaded), config.image_size
    elif model_type == "dinov2":
        loaded = load(transformers.Dinov2Model)
        vision, image_size = dinov2_tower(loaded), config.image_size
    elif model_type == "dinov2_with_registers":
        loaded = load(transformers.Dinov2WithRegistersModel)
        vision, image_size = dinov2_tower(loaded), config.image_size
    elif model_type in ("llava", "llava_next", "paligemma", "idefics3", "smolvlm"):
        loaded = vision_tower_only(model, config).eval()
        builders = {"clip_vision_model": lambda tower: clip_vision_tower(tower, None)}
        builders["siglip_vision_model"] = siglip_vision_tower
        vision = builders.get(config.vision_config.model_type, idefics_vision_tower)(loaded)
        image_size = config.vision_config.image_size
    else:
        raise Refusal(f"checkpoints of model_type {model_type!r} are not supported")

    reference = Reference(
        model_type=model_type,
        source=f"transformers {transformers.__version__}",
        vision=vision,
        image_size=image_size,
        prepare=hf_prepare(model, model_type),
        model=loaded,
    )
    if text is not None:
        settings = config.text_config
        reference.text = text
        reference.tokenize = hf_tokenize(model, model_type, settings.max_position_embeddings)
        reference.random_ids = lambda rng: random_hf_ids(rng, model_type, settings)
        reference.logits = lambda pixels, ids: loaded(pixel_values=pixels, input_ids=ids).logits_per_image
        reference.scale_cosines = lambda cosines: cosines * loaded.logit_scale.exp() + getattr(loaded, "logit_bias", 0)
    return reference


def random_hf_ids(rng: np.random.Generator, model_type: str, settings) -> Tensor:
    """Three texts without words: CLIP's have begin and end tokens, SigLIP's the full length."""
    context, vocabulary = settings.max_position_embeddings, settings.vocab_size
    if model_type == "siglip":
        return torch.from_numpy(rng.integers(0, vocabulary, (3, context)))
    # CLIP's begin and end tokens are the last two, whatever early configurations say.
    begin, end = vocabulary - 2, vocabulary - 1
    return random_clip_ids(rng, context, begin, end, padding=end)


def random_clip_ids(rng: np.random.Generator, context: int, begin: int, end: int, padding: int) -> Tensor:
    ids = np.full((3, context), padding)
    for row, length in zip(ids, rng.integers(1, context - 1, 3)):
        row[0], row[1 + length] = begin, end
        row[1 : 1 + length] = rng.integers(0, begin, length)
    return torch.from_numpy(ids)


# --- open_clip -------------------------------------------------------------------


def open_clip_block(layer: nn.Module) -> Block:
    if type(layer).__name__ != "ResidualAttentionBlock" or not isinstance(layer.attn, nn.MultiheadAttention):
        raise Refusal(f"open_clip's {type(layer).__name__} is not supported")
    scales = [None if isinstance(scale, nn.Identity) else scale for scale in (layer.ls_1, layer.ls_2)]
    return Block(
        module=layer,
        norm1=layer.ln_1,
        attention_module=layer.attn,
        attention=torch_attention(layer.attn),
        scale1=scales[0],
        norm2=layer.ln_2,
        mlp=Mlp(layer.mlp, layer.mlp.c_fc, layer.mlp.c_proj),
        scale2=scales[1],
    )


def open_clip_vision_tower(visual: nn.Module) -> Tower:
    if visual.attn_pool is not None:
        raise Refusal("open_clip's attention pooling (CoCa) is not supported")
    if visual.pool_type not in ("tok", "avg"):
        raise Refusal(f"open_clip's vision pool_type {visual.pool_type!r} is not supported")
    if not visual.transformer.batch_first:
        raise Refusal("this version of open_clip puts tokens before images, a newer one is needed")

    def pool(tokens: Tensor) -> Tensor:
        return tokens[:, 1:].mean(1) if visual.pool_type == "avg" else tokens[:, 0]

    def embedding(normalized: Tensor, _inputs: Tensor) -> Tensor:
        pooled = normalized if visual.final_ln_after_pool else pool(normalized)
        return pooled if visual.proj is None else pooled @ visual.proj

    return Tower(
        prefix="",
        blocks=[open_clip_block(layer) for layer in visual.transformer.resblocks],
        embed=visual.conv1,
        positions=lambda _inputs: visual.positional_embedding,
        class_token=lambda: visual.class_embedding,
        first_norm=None if isinstance(visual.ln_pre, nn.Identity) else visual.ln_pre,
        final_norm=visual.ln_post,
        pool_first=pool if visual.final_ln_after_pool else None,
        forward=lambda pixel_values: (None, first(visual(pixel_values))),
        embedding=embedding,
    )


def timm_vision_tower(visual: nn.Module) -> Tower:
    """A vision tower of timm whose output is pooled by attention, as SigLIP's is."""
    from timm.models.vision_transformer import Attention as TimmAttention
    from timm.models.vision_transformer import Block as TimmBlock
    from timm.models.vision_transformer import VisionTransformer

    trunk = visual.trunk
    plain = isinstance(trunk, VisionTransformer) and getattr(trunk, "attn_pool", None) is not None
    if not plain or trunk.cls_token is not None or trunk.reg_token is not None or trunk.num_prefix_tokens:
        raise Refusal("of timm's vision towers only those of SigLIP's kind are supported")
    pool = trunk.attn_pool
    identities = [trunk.norm_pre, trunk.fc_norm, trunk.head, pool.q_norm, pool.k_norm]
    if not all(isinstance(module, nn.Identity) for module in identities) or pool.pos_embed is not None:
        raise Refusal("this timm vision tower has layers that SigLIP's have not")

    def block(layer: nn.Module) -> Block:
        attention = layer.attn
        if type(layer) is not TimmBlock or type(attention) is not TimmAttention:
            raise Refusal(f"timm's {type(layer).__name__} is not supported")
        others = [attention.q_norm, attention.k_norm, getattr(attention, "norm", nn.Identity()), layer.mlp.norm]
        if not all(isinstance(module, nn.Identity) for module in others) or getattr(attention, "gate", None):
            raise Refusal("this timm vision tower has layers that SigLIP's have not")
        maps = [split_linear(attention.qkv.weight, attention.qkv.bias, part, 3) for part in range(3)]
        scales = [None if isinstance(scale, nn.Identity) else scale for scale in (layer.ls1, layer.ls2)]
        return Block(
            module=layer,
            norm1=layer.norm1,
            attention_module=attention,
            attention=Attention(attention.num_heads, *maps, out=attention.proj),
            scale1=scales[0],
            norm2=layer.norm2,
            mlp=Mlp(layer.mlp, layer.mlp.fc1, layer.mlp.fc2),
            scale2=scales[1],
        )

    keys = [split_linear(pool.kv.weight, pool.kv.bias, part, 2) for part in range(2)]
    return Tower(
        prefix="",
        blocks=[block(layer) for layer in trunk.blocks],
        embed=trunk.patch_embed.proj,
        positions=lambda _inputs: trunk.pos_embed,
        final_norm=trunk.norm,
        head=Head(
            probe=lambda: pool.latent,
            attention=Attention(pool.num_heads, pool.q, *keys, out=pool.proj),
            norm=pool.norm,
            mlp=Mlp(pool.mlp, pool.mlp.fc1, pool.mlp.fc2),
        ),
        forward=lambda pixel_values: (None, visual(pixel_values)),
        embedding=lambda pooled, _inputs: visual.head(pooled),
    )


def open_clip_text_tower(model: nn.Module) -> Tower:
    from open_clip.transformer import TextTransformer, text_global_pool

    if hasattr(model, "text"):
        text = model.text
        if type(text) is not TextTransformer:
            raise Refusal(f"open_clip's {type(text).__name__} is not supported")
        if text.cls_emb is not None or text.use_pad_mask:
            raise Refusal("open_clip's text towers with a class token or a padding mask are not supported")
        pool_type, eos_id = text.pool_type, text.eos_id
    else:
        text, pool_type, eos_id = model, model.text_pool_type, model.text_eos_id
    if pool_type == "none":
        raise Refusal("open_clip's text pool_type 'none' is not supported")
    if not text.transformer.batch_first:
        raise Refusal("this version of open_clip puts tokens before texts, a newer one is needed")

    def embedding(normalized: Tensor, input_ids: Tensor) -> Tensor:
        pooled = text_global_pool(normalized, input_ids, pool_type, eos_token_id=eos_id)
        if text.text_projection is None:
            return pooled
        if isinstance(text.text_projection, nn.Linear):
            return text.text_projection(pooled)
        return pooled @ text.text_projection

    return Tower(
        prefix="text.",
        blocks=[open_clip_block(layer) for layer in text.transformer.resblocks],
        embed=text.token_embedding,
        positions=lambda input_ids: text.positional_embedding[: input_ids.shape[1]],
        final_norm=text.ln_final,
        causal=text.attn_mask is not None,
        forward=lambda input_ids: (None, model.encode_text(input_ids)),
        embedding=embedding,
    )


def open_clip_tokenize(model: str, name: str, settings: dict) -> Callable[[list[str]], Tensor] | None:
    """open_clip's tokenizer; for CLIP's byte-pair encoding the one that the checkpoint brings.

    open_clip carries CLIP's vocabulary itself, which only fits checkpoints of
    that size. The ids are the same, and so is the padding with zeros.
    """
    import open_clip

    context = settings.get("context_length", 77)
    own = open_clip.get_tokenizer(name)
    if find_file(model, "tokenizer.json") is None:
        return own if settings.get("hf_tokenizer_name") or settings.get("vocab_size", 49408) == 49408 else None
    if settings.get("hf_tokenizer_name"):
        return own
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(model)

    def tokenize(captions: list[str]) -> Tensor:
        ids = torch.zeros(len(captions), context, dtype=torch.int64)
        for row, caption in zip(ids, captions):
            encoded = tokenizer(caption)["input_ids"]
            if len(encoded) > context:
                encoded = encoded[: context - 1] + encoded[-1:]
            row[: len(encoded)] = torch.tensor(encoded)
        if settings.get("vocab_size", 49408) == 49408 and not torch.equal(ids, own(captions)):
            raise Refusal("the checkpoint's tokenizer.json and open_clip's own tokenizer give different ids")
        return ids

    return tokenize


def load_open_clip(model: str) -> Reference:
    import open_clip

    name = f"local-dir:{model}" if Path(model).is_dir() else f"hf-hub:{model}"
    config = read_json(find_file(model, "open_clip_config.json")).get("model_cfg")
    if config is None:
        raise Refusal(f"{model} has no open_clip_config.json with a model_cfg")
    for setting in ("multimodal_cfg", "audio_cfg"):
        if setting in config:
            raise Refusal(f"open_clip checkpoints with {setting} are not supported")
    if "hf_model_name" in config["text_cfg"]:
        raise Refusal("open_clip checkpoints with a text tower of transformers are not supported")
    loaded, prepare = open_clip.create_model_from_pretrained(name, precision="fp32", return_transform=True)
    loaded = loaded.float().eval()
    visual = loaded.visual
    kinds = {"VisionTransformer": open_clip_vision_tower, "TimmModel": timm_vision_tower}
    if type(visual).__name__ not in kinds:
        raise Refusal(f"open_clip's {type(visual).__name__} is not supported")
    settings = config["text_cfg"]
    context, vocabulary = settings.get("context_length", 77), settings.get("vocab_size", 49408)

    def random_ids(rng: np.random.Generator) -> Tensor:
        return random_clip_ids(rng, context, vocabulary - 2, vocabulary - 1, padding=0)

    def scale_cosines(cosines: Tensor) -> Tensor:
        return cosines * loaded.logit_scale.exp() + (0 if loaded.logit_bias is None else loaded.logit_bias)

    size = visual.image_size
    return Reference(
        model_type="open_clip",
        source=f"open_clip {open_clip.__version__}",
        vision=kinds[type(visual).__name__](visual),
        image_size=size[0] if isinstance(size, (tuple, list)) else size,
        prepare=lambda pictures: torch.stack([prepare(picture) for picture in pictures]),
        text=open_clip_text_tower(loaded),
        tokenize=open_clip_tokenize(model, name, settings),
        random_ids=random_ids,
        logits=lambda pixels, ids: loaded.get_logits(pixels, ids)[0],
        scale_cosines=scale_cosines,
        model=loaded,
    )


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
        inputs["input.pixel_values"] = reference.prepare([Image.fromarray(values) for values in pictures])
    else:
        shape = (images, 3, reference.image_size, reference.image_size)
        inputs["input.pixel_values"] = torch.from_numpy(rng.standard_normal(shape).astype(np.float32))
    if reference.tokenize is not None:
        inputs["input.input_ids"] = reference.tokenize(captions)
    elif reference.text is not None:
        inputs["input.input_ids"] = reference.random_ids(rng)
    for name, tensor in inputs.items():
        kind = torch.uint8 if "picture" in name else torch.int64 if "ids" in name else torch.float32
        assert tensor.dtype == kind, (name, tensor.dtype)
    return inputs


# --- Everything ---------------------------------------------------------------------


def choose_library(model: str) -> str:
    if "model_type" in read_json(find_file(model, "config.json")):
        return "transformers"
    if find_file(model, "open_clip_config.json") is not None:
        return "open_clip"
    raise Refusal(f"{model} has neither a config.json with a model_type nor an open_clip_config.json")


def load(model: str, library: str | None = None) -> Reference:
    loaders = {"transformers": load_transformers, "open_clip": load_open_clip}
    return loaders[library or choose_library(model)](model)


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
    parser.add_argument("--library", choices=["transformers", "open_clip"], help="default: from the files")
    parser.add_argument("--images", type=int, default=2, help="how many pictures (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of pictures, noise and random ids")
    parser.add_argument("--captions", type=Path, help="a text file with one caption per line")
    parser.add_argument("--sites", default="all", help="patterns of names, separated by commas")
    options = parser.parse_args(arguments)
    if options.images < 1:
        parser.error("--images must be at least 1")

    captions = CAPTIONS
    if options.captions is not None:
        captions = [line for line in options.captions.read_text(encoding="utf-8").splitlines() if line.strip()]
        if not captions:
            parser.error(f"{options.captions} holds no captions")

    try:
        reference = load(options.model, options.library)
        inputs = make_inputs(reference, options.images, options.seed, captions)
        sites = record(reference, inputs["input.pixel_values"], inputs.get("input.input_ids"), options.sites)
    except Refusal as reason:
        print(f"dump_reference.py: {reason}", file=sys.stderr)
        return 1

    metadata = {
        "format": "snellen-reference",
        "schema": "1",
        "source": reference.source,
        "model_type": reference.model_type,
    }
    if reference.tokenize is not None:
        metadata["captions"] = json.dumps(captions)
    write(options.out, inputs | sites.tensors, metadata)
    print(f"{options.out}: {len(sites.tensors)} sites of {reference.model_type}, from {reference.source}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
