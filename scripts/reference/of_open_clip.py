"""Checkpoints that `open_clip` reads."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from reference.checkpoint import find_file, random_clip_ids, read_json
from reference.of_timm import timm_tower
from reference.recording import Block, Mlp, Reference, Refusal, Tower, first, torch_attention


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
    return timm_tower(visual.trunk, visual, lambda pooled: visual.head(visual.trunk.head(pooled)))


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


Tokenize = Callable[[list[str]], Tensor]


def open_clip_tokenize(model: str, name: str, settings: dict) -> tuple[Tokenize, str] | None:
    """open_clip's tokenizer and its class; for CLIP's byte-pair encoding the one that the checkpoint brings.

    open_clip carries CLIP's vocabulary itself, which only fits checkpoints of
    that size. The ids are the same, and so is the padding with zeros.
    """
    import open_clip

    context = settings.get("context_length", 77)
    own = open_clip.get_tokenizer(name)
    kind = type(own).__name__
    if settings.get("hf_tokenizer_name"):
        return own, kind
    if find_file(model, "tokenizer.json") is None:
        return (own, kind) if settings.get("vocab_size", 49408) == 49408 else None
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

    return tokenize, f"{kind}, with the checkpoint's {type(tokenizer).__name__}"


def load_open_clip(model: str, backend: str | None = None) -> Reference:
    import open_clip

    if backend not in (None, "pil"):
        raise Refusal("open_clip resizes with Pillow only")

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
    return open_clip_reference(model, name, loaded, prepare, config["text_cfg"])


def load_openai(model: str, backend: str | None = None) -> Reference:
    """A file of OpenAI's own (`ViT-B-32.pt`), or of Long-CLIP, which has its names."""
    import open_clip
    from open_clip.transform import PreprocessCfg, image_transform_v2

    if backend not in (None, "pil"):
        raise Refusal("open_clip resizes with Pillow only")
    path = openai_file(model)
    try:
        state = torch.jit.load(path, map_location="cpu").state_dict()
    except RuntimeError:
        state = torch.load(path, map_location="cpu", weights_only=True)
    if (rest := state.pop("positional_embedding_res", None)) is not None:
        # As in Long-CLIP's model_longclip.py: the first 20 positions are CLIP's own.
        first = (torch.arange(len(rest)) < 20)[:, None]
        state["positional_embedding"] = torch.where(first, state["positional_embedding"], rest)
    loaded = open_clip.model.build_model_from_openai_state_dict(state, cast_dtype=torch.float32)
    prepare = image_transform_v2(PreprocessCfg(size=loaded.visual.image_size), is_train=False)
    settings = {"context_length": loaded.context_length, "vocab_size": loaded.vocab_size}
    return open_clip_reference(str(path.parent), "ViT-B-32", loaded, prepare, settings)


def openai_file(model: str) -> Path | None:
    """The one file of weights where no configuration lies beside it."""
    path = Path(model)
    files = sorted(path.glob("*.pt")) if path.is_dir() else [path] if path.suffix == ".pt" else []
    return files[0] if len(files) == 1 else None


def open_clip_reference(model: str, name: str, loaded: nn.Module, prepare: Callable, settings: dict) -> Reference:
    import open_clip

    loaded = loaded.float().eval()
    visual = loaded.visual
    kinds = {"VisionTransformer": open_clip_vision_tower, "TimmModel": timm_vision_tower}
    if type(visual).__name__ not in kinds:
        raise Refusal(f"open_clip's {type(visual).__name__} is not supported")
    context, vocabulary = settings.get("context_length", 77), settings.get("vocab_size", 49408)

    def random_ids(rng: np.random.Generator) -> Tensor:
        return random_clip_ids(rng, context, vocabulary - 2, vocabulary - 1, padding=0)

    def scale_cosines(cosines: Tensor) -> Tensor:
        return cosines * loaded.logit_scale.exp() + (0 if loaded.logit_bias is None else loaded.logit_bias)

    def tokenize(captions: list[str]) -> tuple[Tensor, None]:
        return found[0](captions), None

    size = visual.image_size
    found = open_clip_tokenize(model, name, settings)
    without = {} if found else {"ids": "the checkpoint has no tokenizer.json, and open_clip's own has another vocabulary"}
    return Reference(
        model_type="open_clip",
        source=f"open_clip {open_clip.__version__}",
        vision=kinds[type(visual).__name__](visual),
        image_size=size[0] if isinstance(size, (tuple, list)) else size,
        prepare=lambda pictures: torch.stack([prepare(picture) for picture in pictures]),
        text=open_clip_text_tower(loaded),
        tokenize=tokenize if found else None,
        processor=f"open_clip's {type(prepare).__name__}",
        backend="pil",
        tokenizer=found[1] if found else None,
        without=without,
        random_ids=random_ids,
        logits=lambda pixels, ids: loaded.get_logits(pixels, ids)[0],
        scale_cosines=scale_cosines,
        model=loaded,
    )
