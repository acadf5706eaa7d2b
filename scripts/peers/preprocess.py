"""How long pictures take from file to pixels of 224 x 224, in turn on the same files: Snellen with both backends, Pillow, torchvision.

    preprocess.py FOLDER [--snellen target/release/examples/pictures] [--rounds N] [--write N]

One thread each, files in memory. As `CLIPImageProcessor` does: the shorter side becomes 224 pixels (bicubic), the middle is cropped.
Both libraries are called themselves, without what `transformers` adds. Pillow decodes, resizes and crops, and no more; torchvision decodes
(`decode_image`), resizes and crops tensors of bytes, and normalises; Snellen does all of it with either backend. `--write N`
first fills the folder with N photograph-like JPEG files of 640 x 480 (4:2:0, quality 75 to 95).
"""

import argparse
import io
import statistics
import subprocess
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torchvision.io import ImageReadMode, decode_image
from torchvision.transforms.v2 import functional as tvF

SIDE = 224
MEAN = [255 * x for x in (0.48145466, 0.4578275, 0.40821073)]
STD = [255 * x for x in (0.26862954, 0.26130258, 0.27577711)]


def resized(width, height):
    short = min(width, height)
    return SIDE * width // short, SIDE * height // short


def pillow(files):
    """Milliseconds a picture: decoding, and resize and crop."""
    decoding = resizing = 0.0
    for file in files:
        start = time.perf_counter()
        picture = Image.open(io.BytesIO(file)).convert("RGB")
        decoded = time.perf_counter()
        width, height = resized(*picture.size)
        left, top = (width - SIDE) // 2, (height - SIDE) // 2
        picture.resize((width, height), Image.Resampling.BICUBIC).crop((left, top, left + SIDE, top + SIDE))
        decoding += decoded - start
        resizing += time.perf_counter() - decoded
    return [1e3 * seconds / len(files) for seconds in (decoding, resizing)]


def torchvision(files):
    """Milliseconds a picture: decoding, and resize, crop and normalise."""
    decoding = resizing = 0.0
    for file in files:
        data = torch.frombuffer(file, dtype=torch.uint8)
        start = time.perf_counter()
        picture = decode_image(data, mode=ImageReadMode.RGB)
        decoded = time.perf_counter()
        width, height = resized(picture.shape[2], picture.shape[1])
        picture = tvF.resize(picture, [height, width], interpolation=tvF.InterpolationMode.BICUBIC, antialias=True)
        picture = tvF.crop(picture, (height - SIDE) // 2, (width - SIDE) // 2, SIDE, SIDE)
        tvF.normalize(picture.to(torch.float32), MEAN, STD, inplace=True)
        decoding += decoded - start
        resizing += time.perf_counter() - decoded
    return [1e3 * seconds / len(files) for seconds in (decoding, resizing)]


def write(folder, count):
    """Smooth shapes, edges and a little noise, which compress like photographs."""
    folder.mkdir(exist_ok=True)
    y, x = np.mgrid[0:480, 0:640]
    for i in range(count):
        rng = np.random.default_rng(i)
        picture = np.zeros((480, 640, 3))
        for _ in range(12):
            wave = np.sin(x * rng.uniform(0, 0.2) + y * rng.uniform(0, 0.2) + rng.uniform(0, 6))
            inside = (x - rng.uniform(0, 640)) ** 2 + (y - rng.uniform(0, 480)) ** 2 < rng.uniform(20, 250) ** 2
            picture += (wave * inside)[..., None] * rng.uniform(-60, 60, 3)
        picture = 128 + picture + rng.normal(0, 5, picture.shape)
        image = Image.fromarray(picture.clip(0, 255).astype(np.uint8))
        image.save(folder / f"{i:04}.jpg", quality=75 + i % 21, subsampling="4:2:0")


class Snellen:
    """The example `pictures`, which runs a round for every line that it gets."""

    def __init__(self, program, folder, backend):
        self.program = subprocess.Popen(
            [program, folder, "--on-demand", backend], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self.program.stdout.readline() == "ready\n"

    def __call__(self):
        self.program.stdin.write("\n")
        self.program.stdin.flush()
        return [float(number) for number in self.program.stdout.readline().split()]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--snellen", default="target/release/examples/pictures")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--write", type=int, default=0)
    args = parser.parse_args()
    torch.set_num_threads(1)
    if args.write:
        write(args.folder, args.write)
    files = [bytearray(path.read_bytes()) for path in sorted(args.folder.iterdir())]
    pairs = [("pil", "Pillow", pillow), ("torchvision", "torchvision", torchvision)]
    ours = {backend: Snellen(args.snellen, args.folder, backend) for backend, _, _ in pairs}
    ratios = {backend: [] for backend in ours}
    for _ in range(args.rounds):
        for backend, name, library in pairs:
            mine, theirs = ours[backend](), library(files)
            ratios[backend].append((mine[1] / theirs[1], sum(mine) / sum(theirs)))
            parts = [f"{who} {a:.3f} + {b:.3f} = {a + b:.3f} ms" for who, (a, b) in ((f"Snellen {backend}", mine), (name, theirs))]
            preparing, both = ratios[backend][-1]
            print(f"{', '.join(parts)}: {preparing:.3f} without decoding, {both:.3f} with", flush=True)
    for backend, found in ratios.items():
        preparing, both = (statistics.median(each) for each in zip(*found))
        print(f"median {backend}: {preparing:.3f} without decoding, {both:.3f} with")
    for program in ours.values():
        program.program.stdin.close()
        program.program.wait()


if __name__ == "__main__":
    main()
