"""One program that Snellen is compared with, on one case.

    peer.py {torch,onnx,plain,train,prisma} [--model NAME] [--batch N] [--dtype f32|bf16] [--threads N] [--cache DIR]

It answers as `snellen bench-engine --on-demand` does: `ready` when it has warmed up, then, for every count on standard input,
the seconds that a run took.
"""

import argparse
import sys
import time
import warnings
from pathlib import Path

import torch
from shapes import SHAPES, Shape

DTYPES = {"f32": torch.float32, "bf16": torch.bfloat16}


def pixels(shape, batch, dtype=torch.float32):
    return torch.randn(batch, 3, shape.image, shape.image, dtype=dtype)


def transformers_clip(shape, dtype):
    """OpenAI's vision tower as `transformers` builds it, attention by PyTorch's fused function."""
    from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

    config = CLIPVisionConfig(
        hidden_size=shape.width,
        intermediate_size=4 * shape.width,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        image_size=shape.image,
        patch_size=shape.patch,
        projection_dim=shape.embedding,
        hidden_act="quick_gelu",
        attn_implementation="sdpa",
    )
    return CLIPVisionModelWithProjection(config).eval().requires_grad_(False).to(dtype)


def run_torch(args, shape):
    dtype = DTYPES[args.dtype]
    model, x = transformers_clip(shape, dtype), pixels(shape, args.batch, dtype)

    def run():
        with torch.inference_mode():
            return model(pixel_values=x).image_embeds

    return run


def run_onnx(args, shape):
    import onnxruntime

    file = Path(args.cache) / f"{args.model}-{args.batch}.onnx"
    x = pixels(shape, args.batch)
    if not file.exists():
        export(shape, x, file)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = args.threads, 1
    session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
    inputs = {session.get_inputs()[0].name: x.numpy()}
    return lambda: session.run(None, inputs)


def export(shape, x, file):
    """The module that `torch` runs, for these images; the file appears by rename."""

    class Embeds(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.model = transformers_clip(shape, torch.float32)

        def forward(self, pixels):
            return self.model(pixel_values=pixels).image_embeds

    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_name(file.stem + "-part.onnx")
    torch.onnx.export(Embeds().eval(), (x,), str(part), dynamo=True, opset_version=18, external_data=False, verbose=False)
    part.rename(file)


def run_plain(args, shape):
    from plain import Vision

    model, x = Vision(shape).eval().requires_grad_(False), pixels(shape, args.batch)

    def run():
        with torch.inference_mode():
            return model(x)

    return run


def run_train(args, _):
    from plain import Clip, Text, Vision

    shape = Shape(width=256, layers=2, heads=4, image=64, patch=8, embedding=128)
    model = Clip(Vision(shape), Text(256, 2, 4, vocabulary=1000, positions=32, embedding=128))
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.1)
    x, ids = pixels(shape, 32), torch.randint(0, 1000, (32, 32))

    def run():
        optimizer.zero_grad()
        loss = model(x, ids)
        loss.backward()
        optimizer.step()
        return loss.item()

    return run


def run_prisma(args, shape):
    """ViT-Prisma has no quick_gelu: its gelu stands in. What it leaves uninitialised is drawn."""
    from vit_prisma.configs.HookedViTConfig import HookedViTConfig
    from vit_prisma.models.base_vit import HookedViT

    config = HookedViTConfig(
        n_layers=shape.layers,
        d_model=shape.width,
        d_head=shape.width // shape.heads,
        d_mlp=4 * shape.width,
        n_heads=shape.heads,
        image_size=shape.image,
        patch_size=shape.patch,
        n_classes=shape.embedding,
        layer_norm_pre=True,
        return_type="class_logits",
        eps=1e-5,
    )
    model = HookedViT(config).eval().requires_grad_(False)
    for parameter in model.parameters():
        parameter.normal_(std=0.02)
    x = pixels(shape, args.batch)
    wanted = [f"blocks.{layer}.hook_mlp_out" for layer in range(shape.layers)]

    def run():
        with torch.inference_mode():
            _, cache = model.run_with_cache(x, names_filter=wanted)
            return [cache[name] for name in wanted]

    return run


RUNS = {"torch": run_torch, "onnx": run_onnx, "plain": run_plain, "train": run_train, "prisma": run_prisma}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program", choices=RUNS)
    parser.add_argument("--model", choices=SHAPES, default="vit-b-32")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--dtype", choices=DTYPES, default="f32")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--cache", default="onnx")
    args = parser.parse_args()
    warnings.filterwarnings("ignore")
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    # What libraries print must not look like an answer.
    answers, sys.stdout = sys.stdout, sys.stderr
    run = RUNS[args.program](args, SHAPES[args.model])
    run()
    run()
    print("ready", file=answers, flush=True)
    for line in sys.stdin:
        count = int(line)
        start = time.perf_counter()
        for _ in range(count):
            run()
        print((time.perf_counter() - start) / count, file=answers, flush=True)


if __name__ == "__main__":
    main()
