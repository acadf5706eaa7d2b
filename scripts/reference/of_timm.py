"""Vision towers of `timm`, by themselves or inside a checkpoint of `open_clip`."""

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from reference.recording import Attention, Block, Head, Mlp, Reference, Refusal, Tower, split_linear


def is_identity(*modules: nn.Module) -> bool:
    return all(isinstance(module, nn.Identity) for module in modules)


def timm_attention(attention: nn.Module, rotate: Callable[[Tensor], Tensor] | None) -> Attention:
    """Queries, keys and values in one map or three, with a layer norm before the last map or without."""
    kind = type(attention).__name__
    if kind not in ("Attention", "AttentionRope", "EvaAttention") or getattr(attention, "gate", None) is not None:
        raise Refusal(f"timm's {kind} is not supported")
    if not is_identity(attention.q_norm, attention.k_norm):
        raise Refusal("timm's attention with normalised queries and keys is not supported")
    if attention.qkv is None:
        maps = [attention.q_proj, attention.k_proj, attention.v_proj]
    elif getattr(attention, "q_bias", None) is not None:
        biases = [attention.q_bias, None, attention.v_bias]
        maps = [
            lambda tokens, part=part, bias=bias: functional.linear(tokens, attention.qkv.weight.chunk(3)[part], bias)
            for part, bias in enumerate(biases)
        ]
    else:
        maps = [split_linear(attention.qkv.weight, attention.qkv.bias, part, 3) for part in range(3)]
    norm = getattr(attention, "norm", None) or nn.Identity()
    return Attention(attention.num_heads, *maps, out=lambda z: attention.proj(norm(z)), rotate=rotate)


def timm_mlp(mlp: nn.Module) -> Mlp:
    kind = type(mlp).__name__
    if kind == "SwiGLU":
        return Mlp(mlp, mlp.fc1_g, mlp.fc2, mlp.fc1_x)
    if kind != "Mlp" or not is_identity(mlp.norm):
        raise Refusal(f"timm's {kind} is not supported")
    return Mlp(mlp, mlp.fc1, mlp.fc2)


def timm_block(layer: nn.Module, rotate: Callable[[Tensor], Tensor] | None) -> Block:
    kind = type(layer).__name__
    if kind == "Block":
        scales = [None if isinstance(scale, nn.Identity) else scale for scale in (layer.ls1, layer.ls2)]
    elif kind == "EvaBlock":
        gammas = (layer.gamma_1, layer.gamma_2)
        scales = [None if gamma is None else lambda tokens, gamma=gamma: tokens * gamma for gamma in gammas]
    else:
        raise Refusal(f"timm's {kind} is not supported")
    return Block(
        module=layer,
        norm1=layer.norm1,
        attention_module=layer.attn,
        attention=timm_attention(layer.attn, rotate),
        scale1=scales[0],
        norm2=layer.norm2,
        mlp=timm_mlp(layer.mlp),
        scale2=scales[1],
    )


def timm_rotate(trunk: nn.Module) -> Callable[[Tensor], Tensor] | None:
    """What timm's rotary positions make of [image, token, head, unit]."""
    from timm.layers import apply_rot_embed_cat

    if getattr(trunk, "rope", None) is None:
        return None
    first, half = trunk.num_prefix_tokens, getattr(trunk.blocks[0].attn, "rotate_half", False)

    def rotate(values: Tensor) -> Tensor:
        patches = apply_rot_embed_cat(values[:, first:].transpose(1, 2), trunk.rope.get_embed(), half=half)
        return torch.cat([values[:, :first], patches.transpose(1, 2)], 1)

    return rotate


def timm_tower(trunk: nn.Module, forward: Callable[[Tensor], Tensor], project: Callable[[Tensor], Tensor]) -> Tower:
    """`forward` is the library's own, `project` what follows the pooling there."""
    kind = type(trunk).__name__
    if kind not in ("VisionTransformer", "Eva"):
        raise Refusal(f"timm's {kind} is not supported")
    if kind == "VisionTransformer" and trunk.attn_pool is not None and trunk.num_prefix_tokens:
        raise Refusal("timm's attention pooling of patches beside other tokens is not supported")
    if trunk.global_pool not in ("token", "avg", "map"):
        raise Refusal(f"timm's global_pool {trunk.global_pool!r} is not supported")
    if getattr(trunk, "pool_include_prefix", False):
        raise Refusal("timm's pooling of all tokens is not supported")
    if trunk.reg_token is not None and not trunk.no_embed_class:
        raise Refusal("timm's registers with positions are not supported")
    norms = [norm for norm in (trunk.norm, trunk.fc_norm) if not isinstance(norm, nn.Identity)]
    if len(norms) != 1:
        raise Refusal("a timm tower with one last layer norm is needed")

    def pool(tokens: Tensor) -> Tensor:
        return tokens[:, 0] if trunk.global_pool == "token" else tokens[:, trunk.num_prefix_tokens :].mean(1)

    last_is_pooled = isinstance(trunk.norm, nn.Identity)
    head = None
    if trunk.attn_pool is not None:
        attend = trunk.attn_pool
        if not is_identity(attend.q_norm, attend.k_norm) or attend.pos_embed is not None or attend.latent_len != 1:
            raise Refusal("timm's attention pooling with more than one query or with positions is not supported")
        keys = [split_linear(attend.kv.weight, attend.kv.bias, part, 2) for part in range(2)]
        head = Head(
            probe=lambda: attend.latent,
            attention=Attention(attend.num_heads, attend.q, *keys, out=attend.proj),
            norm=attend.norm,
            mlp=Mlp(attend.mlp, attend.mlp.fc1, attend.mlp.fc2),
        )
    pooled_before = last_is_pooled or head is not None
    rotate = timm_rotate(trunk)
    return Tower(
        prefix="",
        blocks=[timm_block(layer, rotate) for layer in trunk.blocks],
        embed=trunk.patch_embed.proj,
        positions=None if trunk.pos_embed is None else lambda _inputs: trunk.pos_embed,
        patches_placed_first=trunk.no_embed_class,
        class_token=None if trunk.cls_token is None else lambda: trunk.cls_token,
        registers=None if trunk.reg_token is None else lambda: trunk.reg_token,
        first_norm=None if isinstance(trunk.norm_pre, nn.Identity) else trunk.norm_pre,
        final_norm=norms[0],
        pool_first=pool if last_is_pooled else None,
        head=head,
        forward=lambda pixel_values: (None, forward(pixel_values)),
        embedding=lambda tokens, _inputs: project(tokens if pooled_before else pool(tokens)),
    )


def load_timm(model: str, backend: str | None = None) -> Reference:
    """A checkpoint as timm saves it; its embedding is what the classifier reads."""
    import timm

    if backend not in (None, "pil"):
        raise Refusal("timm resizes with Pillow only")
    name = f"local-dir:{model}" if Path(model).is_dir() else f"hf-hub:{model}"
    loaded = timm.create_model(name, pretrained=True).float().eval()
    data = timm.data.resolve_model_data_config(loaded)
    prepare = timm.data.create_transform(**data, is_training=False)

    def embed(pixel_values: Tensor) -> Tensor:
        return loaded.forward_head(loaded.forward_features(pixel_values), pre_logits=True)

    return Reference(
        model_type="timm",
        source=f"timm {timm.__version__}",
        vision=timm_tower(loaded, embed, lambda pooled: pooled),
        image_size=data["input_size"][-1],
        prepare=lambda pictures: torch.stack([prepare(picture.convert("RGB")) for picture in pictures]),
        processor=f"timm's {type(prepare).__name__}",
        backend="pil",
        model=loaded,
    )
