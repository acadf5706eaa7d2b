"""What a tower is made of, and how its sites are recorded while it runs: whatever the library."""

import fnmatch
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional

TOLERANCE = 1e-4


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
    # What rotary positions make of queries or keys, [image, token, head, unit].
    rotate: Callable[[Tensor], Tensor] | None = None


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
    # The positions of the tokens that have one: [token, unit], of the input; or a module which returns them; or none.
    positions: Callable[[Tensor], Tensor] | nn.Module | None
    final_norm: nn.Module
    # The library's own forward pass: the final tokens, if it returns them normalised, and the embedding, if any.
    forward: Callable[[Tensor], tuple[Tensor | None, Tensor | None]]
    # From the normalised tokens (or the head's output) and the input to the embedding.
    embedding: Callable[[Tensor, Tensor], Tensor] | None
    first_norm: nn.Module | None = None
    # One token or several that stand before the patches and have positions.
    class_token: Callable[[], Tensor] | None = None
    registers: Callable[[], Tensor] | None = None
    # Whether only patches have positions, added before other tokens join them.
    patches_placed_first: bool = False
    causal: bool = False
    head: Head | None = None
    # Where the last layer norm follows pooling: the pooling.
    pool_first: Callable[[Tensor], Tensor] | None = None
    # Which tokens attention sees, [text, token] or [image, patch]; all where there is none.
    mask: Tensor | None = None
    # Where pictures keep their aspect ratio: rows and columns of the patches of each, [image, 2].
    grids: Tensor | None = None


@dataclass
class Reference:
    """A checkpoint that a library has loaded."""

    model_type: str
    source: str
    vision: Tower
    # The pixels that the vision tower expects, along an edge.
    image_size: int
    # Pictures to pixel values, where pictures keep their aspect ratio with rows and columns; none where the checkpoint does not say.
    prepare: Callable[[list[Image.Image]], Tensor | tuple[Tensor, Tensor]] | None
    text: Tower | None = None
    # Where pictures keep their aspect ratio: noise, [image, patch, value], with rows and columns; `prepare` then gives these too.
    noise: Callable[[np.random.Generator, int], tuple[Tensor, Tensor]] | None = None
    # Captions to ids, and to a mask where the text tower is given one; none where the checkpoint has no tokenizer.
    tokenize: Callable[[list[str]], tuple[Tensor, Tensor | None]] | None = None
    # Plain words that the tokenizer knows, where it may not know others.
    words: Callable | None = None
    # The classes that prepare and tokenize, and what the first resizes with: "pil" or "torchvision".
    processor: str | None = None
    backend: str | None = None
    tokenizer: str | None = None
    # Why there are no pictures ("pixels") or no captions ("ids").
    without: dict[str, str] = field(default_factory=dict)
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
    sites: Sites, name: str, attention: Attention, queries: Tensor, tokens: Tensor, causal: bool, mask: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """The sites of an attention pattern; returns the pattern and the output."""
    q = attention.query(queries).unflatten(-1, (attention.heads, -1))
    k = attention.key(tokens).unflatten(-1, (attention.heads, -1))
    v = attention.value(tokens).unflatten(-1, (attention.heads, -1))
    sites.add(name + "hook_q", q)
    sites.add(name + "hook_k", k)
    if attention.rotate is not None:
        q, k = attention.rotate(q), attention.rotate(k)
        sites.add(name + "hook_rot_q", q)
        sites.add(name + "hook_rot_k", k)
    scores = torch.einsum("bqhd,bkhd->bhqk", q, k) / math.sqrt(q.shape[-1])
    if causal:
        later = torch.ones(scores.shape[-2:], dtype=torch.bool).triu(1)
        scores = scores.masked_fill(later, -math.inf)
    if mask is not None:
        # The libraries add the least float instead; of a text that is all padding every score becomes the same.
        seen = mask.bool()[:, None, None, :]
        scores = scores.masked_fill(~seen, -math.inf).masked_fill(~seen.any(-1, keepdim=True), 0.0)
    pattern = scores.softmax(-1)
    z = torch.einsum("bhqk,bkhd->bqhd", pattern, v)
    for site, tensor in [
        ("hook_v", v),
        ("hook_z", z),
        ("hook_attn_scores", scores),
        ("hook_pattern", pattern),
    ]:
        sites.add(name + site, tensor)
    return pattern, attention.out(z.flatten(2))


def record_block(
    handles: list, sites: Sites, name: str, block: Block, causal: bool, mask: Tensor | None, residual: dict
) -> None:
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
            sites, name + "attn.", block.attention, seen["normalized1"], seen["normalized1"], causal, mask
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
            record_block(handles, sites, f"{prefix}blocks.{index}.", block, tower.causal, tower.mask, residual)
        returned_tokens, returned_embedding = tower.forward(inputs)
    if residual.get("blocks") != len(tower.blocks):
        raise Refusal(f"the library ran {residual.get('blocks', 0)} of {len(tower.blocks)} blocks")

    # Embeddings.
    embed = seen["embed"]
    if embed.ndim == 4:
        embed = embed.flatten(2).transpose(1, 2)
    sites.add(prefix + "hook_embed", embed)
    tokens, first_count = embed, 0
    positions = None
    if tower.positions is not None:
        positions = seen["positions"] if isinstance(tower.positions, nn.Module) else tower.positions(inputs)
        positions = positions.expand(len(inputs), -1, -1)
        sites.add(prefix + "hook_pos_embed", positions)
    if positions is not None and tower.patches_placed_first:
        tokens = tokens + positions
    if tower.class_token is not None:
        first_tokens = tower.class_token().reshape(1, -1, embed.shape[-1])
        tokens = torch.cat([first_tokens.expand(len(inputs), -1, -1), tokens], 1)
        first_count = first_tokens.shape[1]
    if positions is not None and not tower.patches_placed_first:
        tokens = tokens + positions
    if tower.registers is not None:
        registers = tower.registers().expand(len(inputs), -1, -1)
        tokens = torch.cat([tokens[:, :first_count], registers, tokens[:, first_count:]], 1)
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
    pooled = normalized if tower.head is None else record_head(tower.head, normalized, seen, sites, tower.mask)
    agree(tower.embedding(pooled, inputs), returned_embedding, prefix + "the pooled embedding")
    sites.add(prefix + ("text_embeds" if prefix else "image_embeds"), returned_embedding)
    return returned_embedding


def record_head(head: Head, tokens: Tensor, seen: dict, sites: Sites, mask: Tensor | None) -> Tensor:
    """The sites of attention pooling; returns its output."""
    probe = head.probe().reshape(1, 1, -1).expand(len(tokens), 1, -1)
    _, out = record_attention(sites, "head.attn.", head.attention, probe, tokens, causal=False, mask=mask)
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


def patch_mask(grids: Tensor, patches: int) -> Tensor:
    """Which patches are no padding, [image, patch]."""
    return (torch.arange(patches)[None, :] < grids.prod(1)[:, None]).to(torch.int64)


@torch.no_grad()
def record(
    reference: Reference,
    pixel_values: Tensor,
    input_ids: Tensor | None,
    patterns: str = "all",
    mask: Tensor | None = None,
    grids: Tensor | None = None,
) -> Sites:
    """Every wanted site of every tower."""
    if grids is not None:
        reference.vision.grids = grids
        reference.vision.mask = patch_mask(grids, pixel_values.shape[1])
    if reference.text is not None:
        reference.text.mask = mask
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
