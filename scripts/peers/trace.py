"""The map of `snellen trace`, site by site with PyTorch's forward hooks, in turn with Snellen: the same patches of the same shapes.

    trace.py --model FOLDER --snellen PROGRAM [--twins N] [--dtype f32|bf16] [--threads N] [--rounds N]

A folder of a CLIP with a tokenizer. Of every layer each head, the MLP and the residual stream are patched in four token groups between N
twins, at a time for one site and group: all twins are rows of one forward, with a hook that puts in what the other twin has, as tutorials do
it. PyTorch's groups have the sizes that those of scenes typically have on a ViT-B/32 (class, two objects of four patches, the rest); what is in
them does not change how long they take. Prints seconds of every round, and per twin the least.
"""

import argparse
import subprocess
import time

import torch
from transformers import CLIPVisionModelWithProjection

DTYPES = {"f32": torch.float32, "bf16": torch.bfloat16}
PARTS = "heads,mlp_out,resid_post"
GROUPS = "class,object:0,object:1,background"


def groups(tokens):
    """Places of class token, two objects and the rest."""
    first, second = list(range(1, 5)), list(range(5, 9))
    return [[0], first, second, list(range(9, tokens))]


class Sweep:
    """Every patch of a vision tower by forward hooks."""

    def __init__(self, model, clean, corrupt):
        self.model, self.corrupt = model, corrupt
        vision = model.vision_model
        self.layers, self.heads = vision.encoder.layers, vision.config.num_attention_heads
        self.kept = {}
        handles = []
        for index, layer in enumerate(self.layers):
            handles += [
                layer.self_attn.out_proj.register_forward_pre_hook(self.keep((index, "z"), entry=True)),
                layer.mlp.register_forward_hook(self.keep((index, "mlp"))),
                layer.register_forward_hook(self.keep((index, "resid"))),
            ]
        self.model(pixel_values=clean)
        for handle in handles:
            handle.remove()

    def keep(self, name, entry=False):
        def before(_module, arguments):
            self.kept[name] = arguments[0].clone()

        def behind(_module, _arguments, output):
            self.kept[name] = (output[0] if isinstance(output, tuple) else output).clone()

        return before if entry else behind

    def patched(self, module, name, tokens, units=slice(None), entry=False):
        """The embeddings of the corrupt pictures with the clean values there."""
        source = self.kept[name]

        def put(values):
            values = values.clone()
            values[:, tokens, units] = source[:, tokens, units]
            return values

        def before(_module, arguments):
            return (put(arguments[0]), *arguments[1:])

        def behind(_module, _arguments, output):
            return (put(output[0]), *output[1:]) if isinstance(output, tuple) else put(output)

        handle = module.register_forward_pre_hook(before) if entry else module.register_forward_hook(behind)
        try:
            return self.model(pixel_values=self.corrupt).image_embeds
        finally:
            handle.remove()

    def run(self):
        """All of them; how many."""
        tokens = self.kept[(0, "resid")].shape[1]
        width = self.kept[(0, "z")].shape[2] // self.heads
        count = 0
        for index, layer in enumerate(self.layers):
            for group in groups(tokens):
                for head in range(self.heads):
                    units = slice(head * width, (head + 1) * width)
                    self.patched(layer.self_attn.out_proj, (index, "z"), group, units, entry=True)
                self.patched(layer.mlp, (index, "mlp"), group)
                self.patched(layer, (index, "resid"), group)
                count += self.heads + 2
        return count


def of_torch(args, model):
    size = model.config.image_size
    clean, corrupt = (torch.randn(args.twins, 3, size, size).to(DTYPES[args.dtype]) for _ in range(2))
    start = time.perf_counter()
    with torch.inference_mode():
        count = Sweep(model, clean, corrupt).run()
    return time.perf_counter() - start, count


def of_snellen(args, twins):
    command = [args.snellen, "trace", "--model", args.model, "--twins", str(twins), "--nulls", "0", "--json"]
    command += ["--parts", PARTS, "--tokens", GROUPS, "--dtype", args.dtype, "--threads", str(args.threads)]
    start = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", required=True)
    parser.add_argument("--snellen", required=True)
    parser.add_argument("--twins", type=int, default=4)
    parser.add_argument("--dtype", choices=DTYPES, default="bf16")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    model = CLIPVisionModelWithProjection.from_pretrained(args.model, attn_implementation="sdpa", dtype=DTYPES[args.dtype])
    model.eval().requires_grad_(False)
    with torch.inference_mode():
        size = model.config.image_size
        model(pixel_values=torch.randn(args.twins, 3, size, size).to(DTYPES[args.dtype]))
    times = {"snellen": [], "torch": []}
    for _ in range(args.rounds):
        # Including the program's start, the model's loading and drawing the scenes.
        times["snellen"].append(of_snellen(args, args.twins))
        seconds, count = of_torch(args, model)
        times["torch"].append(seconds)
        print(f"snellen {times['snellen'][-1]:.1f} s, torch {seconds:.1f} s, {count} sites, {args.twins} twins", flush=True)
    least = {name: min(seconds) for name, seconds in times.items()}
    print(f"a twin: snellen {least['snellen'] / args.twins:.2f} s, torch {least['torch'] / args.twins:.2f} s")
    print(f"ratio {least['torch'] / least['snellen']:.2f}")


if __name__ == "__main__":
    main()
