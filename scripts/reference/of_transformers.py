"""Checkpoints that `transformers` reads."""

import math
from collections.abc import Callable

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from reference.checkpoint import find_file, has_tensors, random_clip_ids, read_json, read_tensors
from reference.recording import Attention, Block, Head, Mlp, Reference, Refusal, Tower, patch_mask, torch_attention


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
        if text.config.eos_token_id == 2 and text.config.model_type == "clip_text_model":
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


def naflex_vision_tower(model: nn.Module) -> Tower:
    """SigLIP 2 with pictures of any shape."""
    embeddings = model.embeddings
    has_head = getattr(model, "head", None) is not None

    def positions(pixel_values: Tensor) -> Tensor:
        side = embeddings.position_embedding_size
        square = embeddings.position_embedding.weight.reshape(side, side, -1)
        return embeddings.resize_positional_embeddings(square, tower.grids, pixel_values.shape[1])

    def forward(pixel_values: Tensor) -> tuple[Tensor, Tensor | None]:
        outputs = model(pixel_values=pixel_values, pixel_attention_mask=tower.mask, spatial_shapes=tower.grids)
        return outputs.last_hidden_state, outputs.pooler_output

    tower = Tower(
        prefix="",
        blocks=hf_blocks(model),
        embed=embeddings.patch_embedding,
        positions=positions,
        final_norm=model.post_layernorm,
        head=siglip_head(model.head) if has_head else None,
        forward=forward,
        embedding=(lambda pooled, _inputs: pooled) if has_head else None,
    )
    return tower


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
        outputs = model.get_text_features(input_ids=input_ids, attention_mask=tower.mask)
        return outputs.last_hidden_state, outputs.pooler_output

    tower = Tower(
        prefix="text.",
        blocks=hf_blocks(text),
        embed=text.embeddings.token_embedding,
        positions=text.embeddings.position_embedding,
        final_norm=text.final_layer_norm,
        forward=forward,
        embedding=lambda normalized, _inputs: text.head(normalized[:, -1]),
    )
    return tower


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


def vit_tower(model: nn.Module) -> Tower:
    """ViT, or DeiT with its distillation token; without the pooler, which classifiers do not read."""
    embeddings = model.embeddings

    def block(layer: nn.Module) -> Block:
        attention = layer.attention
        maps = [attention.q_proj, attention.k_proj, attention.v_proj, attention.o_proj]
        return Block(
            module=layer,
            norm1=layer.layernorm_before,
            attention_module=attention,
            attention=Attention(model.config.num_attention_heads, *maps),
            norm2=layer.layernorm_after,
            mlp=Mlp(layer.mlp, layer.mlp.fc1, layer.mlp.fc2),
        )

    def first_tokens() -> Tensor:
        distillation = getattr(embeddings, "distillation_token", None)
        tokens = [embeddings.cls_token] + ([] if distillation is None else [distillation])
        return torch.cat(tokens, 1)

    def forward(pixel_values: Tensor) -> tuple[Tensor, Tensor]:
        tokens = model(pixel_values=pixel_values).last_hidden_state
        return tokens, tokens[:, 0]

    return Tower(
        prefix="",
        blocks=[block(layer) for layer in model.layers],
        embed=embeddings.patch_embeddings.projection,
        positions=lambda _inputs: embeddings.position_embeddings,
        class_token=first_tokens,
        final_norm=model.layernorm,
        forward=forward,
        embedding=lambda normalized, _inputs: normalized[:, 0],
    )


def dinov3_tower(model: nn.Module) -> Tower:
    from transformers.models.dinov3_vit.modeling_dinov3_vit import apply_rotary_pos_emb

    embeddings, heads = model.embeddings, model.config.num_attention_heads
    # Of the pixels that the tower runs on.
    angles: dict[str, tuple[Tensor, Tensor]] = {}
    model.rope_embeddings.register_forward_hook(lambda _module, _arguments, output: angles.update(now=output))

    def rotate(values: Tensor) -> Tensor:
        by_head = values.transpose(1, 2)
        return apply_rotary_pos_emb(by_head, by_head, *angles["now"])[0].transpose(1, 2)

    def block(layer: nn.Module) -> Block:
        attention, mlp = layer.attention, layer.mlp
        gated = hasattr(mlp, "gate_proj")
        return Block(
            module=layer,
            norm1=layer.norm1,
            attention_module=attention,
            attention=Attention(heads, attention.q_proj, attention.k_proj, attention.v_proj, attention.o_proj, rotate),
            scale1=layer.layer_scale1,
            norm2=layer.norm2,
            mlp=Mlp(mlp, mlp.gate_proj, mlp.down_proj, mlp.up_proj) if gated else Mlp(mlp, mlp.up_proj, mlp.down_proj),
            scale2=layer.layer_scale2,
        )

    def forward(pixel_values: Tensor) -> tuple[Tensor, Tensor]:
        outputs = model(pixel_values=pixel_values)
        return outputs.last_hidden_state, outputs.pooler_output

    return Tower(
        prefix="",
        blocks=[block(layer) for layer in model.model.layer],
        embed=embeddings.patch_embeddings,
        positions=None,
        class_token=lambda: embeddings.cls_token,
        registers=(lambda: embeddings.register_tokens) if model.config.num_register_tokens else None,
        final_norm=model.norm,
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
    # Idefics3's tower was first published under the name of the whole.
    kind = "idefics3_vision" if vision.model_type == "idefics3" else vision.model_type
    if kind not in classes:
        raise Refusal(f"vision towers of model_type {vision.model_type!r} are not supported")
    owners = ["vision_tower.vision_model.", "vision_tower.", "vision_model."]
    tensors = read_tensors(model, [outer + owner for owner in owners for outer in ("model.", "")])
    if vision.model_type == "siglip_vision_model":
        vision.vision_use_head = any(name.startswith("head.") for name in tensors)
    tower = classes[kind]._from_config(vision, attn_implementation="eager", dtype=torch.float32)
    missing, unexpected = tower.load_state_dict(tensors, strict=False)
    unexpected = [name for name in unexpected if not name.endswith("position_ids")]
    if missing or unexpected:
        raise Refusal(f"the vision tower's tensors do not fit: missing {missing}, unexpected {unexpected}")
    return tower


def hf_prepare(reference: Reference, model: str, backend: str | None) -> None:
    """The checkpoint's own image processor, whichever file describes it; the one that uses Pillow, unless asked otherwise."""
    from transformers import AutoImageProcessor

    alone = find_file(model, "preprocessor_config.json") is not None
    inside = "image_processor" in read_json(find_file(model, "processor_config.json"))
    if not alone and not inside:
        reference.without["pixels"] = (
            "the checkpoint has no image processor: neither preprocessor_config.json nor processor_config.json with one"
        )
        return
    # DINOv3's resizes fractions, which Pillow's pictures are not.
    wanted = backend or ("torchvision" if reference.model_type == "dinov3_vit" else "pil")
    processor = AutoImageProcessor.from_pretrained(model, backend=wanted)
    reference.processor, reference.backend = type(processor).__name__, getattr(processor, "backend", None)
    if reference.backend != wanted:
        raise Refusal(f"the checkpoint's {reference.processor} does not use {wanted}, but {reference.backend}")
    # Which of the images that the processor makes of a picture shows all of it.
    whole = {"llava_next": 0, "idefics3": -1, "smolvlm": -1}.get(reference.model_type)

    if reference.noise is not None:

        def prepare_patches(pictures: list[Image.Image]) -> tuple[Tensor, Tensor]:
            values = processor(pictures, return_tensors="pt")
            grids = values["spatial_shapes"].to(torch.int64)
            mask = patch_mask(grids, values["pixel_values"].shape[1])
            if not torch.equal(mask, values["pixel_attention_mask"].to(torch.int64)):
                raise Refusal("the processor's mask is not that of its rows and columns")
            return values["pixel_values"].float(), grids

        reference.prepare = prepare_patches
        return

    def prepare(pictures: list[Image.Image]) -> Tensor:
        # One at a time, since tiles of several images are padded to the same number.
        rows = []
        for picture in pictures:
            values = processor([picture], return_tensors="pt")["pixel_values"][0]
            rows.append(np.asarray(values if whole is None else values[whole], dtype=np.float32))
        return torch.from_numpy(np.stack(rows))

    reference.prepare = prepare


# What a tokenizer is read from: the first that is there, all of its files.
TOKENIZERS = [["tokenizer.json"], ["vocab.json", "merges.txt"], ["spiece.model"], ["tokenizer.model"]]


def hf_tokenize(reference: Reference, model: str, context: int) -> None:
    """The checkpoint's own tokenizer. SigLIP was trained on captions padded to the full length.

    A text tower without causal attention is given the mask that the tokenizer returns, if it returns one.
    """
    from transformers import AutoTokenizer

    if not any(all(find_file(model, name) is not None for name in files) for files in TOKENIZERS):
        listed = ", ".join(" with ".join(files) for files in TOKENIZERS)
        reference.without["ids"] = f"the checkpoint has no tokenizer: none of {listed}"
        return
    tokenizer = AutoTokenizer.from_pretrained(model)
    reference.tokenizer = type(tokenizer).__name__
    bidirectional = reference.model_type in ("siglip", "siglip2")

    def tokenize(captions: list[str]) -> tuple[Tensor, Tensor | None]:
        padding = "max_length" if bidirectional else True
        encoded = tokenizer(captions, padding=padding, truncation=True, max_length=context, return_tensors="pt")
        return encoded["input_ids"], encoded.get("attention_mask") if bidirectional else None

    reference.tokenize = tokenize
    reference.words = lambda: sorted(word for word in tokenizer.get_vocab() if word.isalpha())


def load_transformers(model: str, backend: str | None = None) -> Reference:
    import transformers

    if int(transformers.__version__.split(".")[0]) < 5:
        raise Refusal(f"transformers {transformers.__version__} is too old, version 5 is needed")
    config = transformers.AutoConfig.from_pretrained(model)
    model_type = config.model_type
    architectures = config.architectures or []

    def load(model_class, **arguments) -> nn.Module:
        loaded, report = model_class.from_pretrained(
            model, dtype=torch.float32, attn_implementation="eager", output_loading_info=True, **arguments
        )
        if report["missing_keys"]:
            raise Refusal(f"the checkpoint lacks {sorted(report['missing_keys'])}")
        return loaded.eval()

    text, noise = None, None
    # Classifiers, and towers saved with the whole configuration, have no text tower.
    alone = model_type in ("clip", "metaclip_2", "siglip", "siglip2") and not has_tensors(model, ["text_model."])
    if alone:
        model_type, config = f"{model_type}_vision_model", config.vision_config
        if has_tensors(model, ["visual_projection."]):
            architectures = ["CLIPVisionModelWithProjection", "MetaClip2VisionModelWithProjection"]
    if model_type in ("clip", "metaclip_2"):
        loaded = load(transformers.CLIPModel if model_type == "clip" else transformers.MetaClip2Model)
        vision, text = clip_vision_tower(loaded.vision_model, loaded.visual_projection), clip_text_tower(loaded)
        image_size = config.vision_config.image_size
    elif model_type == "siglip":
        loaded = load(transformers.SiglipModel)
        vision, text = siglip_vision_tower(loaded.vision_model), siglip_text_tower(loaded)
        image_size = config.vision_config.image_size
    elif model_type in ("siglip2", "siglip2_vision_model"):
        whole = model_type == "siglip2"
        loaded = load(transformers.Siglip2Model if whole else transformers.Siglip2VisionModel)
        vision = naflex_vision_tower(loaded.vision_model if whole else loaded)
        text = siglip_text_tower(loaded) if whole else None
        noise = naflex_noise(config.vision_config if whole else config, model)
        settings = config.vision_config if whole else config
        image_size = settings.patch_size * math.isqrt(settings.num_patches)
    elif model_type == "clip_vision_model" and "CLIPVisionModelWithProjection" in architectures:
        loaded = load(transformers.CLIPVisionModelWithProjection)
        vision, image_size = clip_vision_tower(loaded.vision_model, loaded.visual_projection), config.image_size
    elif model_type == "metaclip_2_vision_model" and "MetaClip2VisionModelWithProjection" in architectures:
        loaded = load(transformers.MetaClip2VisionModelWithProjection)
        vision, image_size = clip_vision_tower(loaded.vision_model, loaded.visual_projection), config.image_size
    elif model_type == "clip_vision_model":
        loaded = load(transformers.CLIPVisionModel)
        vision, image_size = clip_vision_tower(loaded, None), config.image_size
    elif model_type == "metaclip_2_vision_model":
        loaded = load(transformers.MetaClip2VisionModel)
        vision, image_size = clip_vision_tower(loaded, None), config.image_size
    elif model_type in ("vit", "deit"):
        model_class = transformers.ViTModel if model_type == "vit" else transformers.DeiTModel
        loaded = load(model_class, add_pooling_layer=False)
        vision, image_size = vit_tower(loaded), config.image_size
    elif model_type == "dinov3_vit":
        loaded = load(transformers.DINOv3ViTModel)
        vision, image_size = dinov3_tower(loaded), config.image_size
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
        prepare=None,
        noise=noise,
        model=loaded,
    )
    hf_prepare(reference, model, backend)
    if text is not None:
        settings = config.text_config
        reference.text = text
        hf_tokenize(reference, model, settings.max_position_embeddings)
        reference.random_ids = lambda rng: random_hf_ids(rng, model_type, settings)

        def logits(pixels: Tensor, ids: Tensor) -> Tensor:
            inputs = dict(pixel_values=pixels, input_ids=ids, attention_mask=text.mask)
            if noise is not None:
                inputs |= dict(pixel_attention_mask=vision.mask, spatial_shapes=vision.grids)
            return loaded(**inputs).logits_per_image

        reference.logits = logits
        reference.scale_cosines = lambda cosines: cosines * loaded.logit_scale.exp() + getattr(loaded, "logit_bias", 0)
    return reference


def naflex_noise(settings, model: str) -> Callable[[np.random.Generator, int], tuple[Tensor, Tensor]]:
    """Patches of noise, and rows and columns, as many as the processor makes at most."""
    own = read_json(find_file(model, "preprocessor_config.json"))
    most = own.get("max_num_patches", settings.num_patches)

    def noise(rng: np.random.Generator, images: int) -> tuple[Tensor, Tensor]:
        rows = rng.integers(1, math.isqrt(most) + 1, images)
        grids = np.stack([rows, rng.integers(1, most // rows + 1)], 1)
        values = rng.standard_normal((images, most, 3 * settings.patch_size**2)).astype(np.float32)
        return torch.from_numpy(values), torch.from_numpy(grids)

    return noise


def random_hf_ids(rng: np.random.Generator, model_type: str, settings) -> Tensor:
    """Three texts without words: CLIP's have begin and end tokens, SigLIP's the full length."""
    context, vocabulary = settings.max_position_embeddings, settings.vocab_size
    if model_type in ("siglip", "siglip2"):
        return torch.from_numpy(rng.integers(0, vocabulary, (3, context)))
    if model_type == "metaclip_2":
        # XLM-RoBERTa's are among the first; above them are words.
        ids = random_clip_ids(rng, context, vocabulary - 3, vocabulary - 1, padding=vocabulary - 2)
        special = {vocabulary - 3: settings.bos_token_id, vocabulary - 1: settings.eos_token_id}
        special[vocabulary - 2] = settings.pad_token_id
        return ids.apply_(lambda token: special.get(token, 3 + token % (vocabulary - 3)))
    # CLIP's begin and end tokens are the last two, whatever early configurations say.
    begin, end = vocabulary - 2, vocabulary - 1
    return random_clip_ids(rng, context, begin, end, padding=end)
