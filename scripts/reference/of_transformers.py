"""Checkpoints that `transformers` reads."""

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from reference.checkpoint import find_file, random_clip_ids, read_json, read_tensors
from reference.recording import Attention, Block, Head, Mlp, Reference, Refusal, Tower, torch_attention


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
    processor = AutoImageProcessor.from_pretrained(model, backend=backend or "pil")
    reference.processor, reference.backend = type(processor).__name__, getattr(processor, "backend", None)
    if reference.backend != (backend or "pil"):
        raise Refusal(f"the checkpoint's {reference.processor} does not use {backend or 'pil'}, but {reference.backend}")
    # Which of the images that the processor makes of a picture shows all of it.
    whole = {"llava_next": 0, "idefics3": -1, "smolvlm": -1}.get(reference.model_type)

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


def load_transformers(model: str, backend: str | None = None) -> Reference:
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
        prepare=None,
        model=loaded,
    )
    hf_prepare(reference, model, backend)
    if text is not None:
        settings = config.text_config
        reference.text = text
        hf_tokenize(reference, model, settings.max_position_embeddings)
        reference.random_ids = lambda rng: random_hf_ids(rng, model_type, settings)
        reference.logits = lambda pixels, ids: loaded(
            pixel_values=pixels, input_ids=ids, attention_mask=text.mask
        ).logits_per_image
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
