"""Random pictures through random processors, by Snellen and by the libraries themselves: every value has to be the same.

    sweep_pictures.py [--cases 1000] [--seed 0] [--prepare target/release/examples/prepare]

Pictures have 1 to 400 pixels a side, every mode and format that Pillow writes and Snellen reads, and any orientation. Processors are those
of `transformers` with either backend, given the file's name as `load_image` opens it, and OpenCLIP's transform; sizes, crops,
filters, flags, means and factors are drawn. Nothing here is shared with the fixtures' script. Needs what
scripts/fixtures/requirements.txt pins; `prepare` is an example of the library (cargo build --release --example prepare).
"""

import argparse
import collections
import io
import json
import os
import subprocess
import tempfile
import warnings
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"

import numpy as np
import torch
import transformers
from open_clip.transform import PreprocessCfg, image_transform_v2, merge_preprocess_dict
from PIL import Image, ImageOps
from transformers.image_utils import load_image
from transformers.utils import logging

# Formats, and the modes that Pillow writes in them.
FORMATS = {
    "PNG": ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"],
    "JPEG": ["L", "RGB", "CMYK"],
    "WEBP": ["RGB", "RGBA"],
    "GIF": ["L", "P"],
    "BMP": ["1", "L", "P", "RGB"],
    "TIFF": ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16"],
}
CLASSES = ["CLIP", "Siglip", "Bit", "ViT", "Llava", "LlavaNext", "Idefics3", "SmolVLM"]


def picture(rng):
    """A picture, the name of its format and how to save it."""
    height, width = (int(side) for side in rng.choice([rng.integers(1, 400, 2), rng.integers(1, 60, 2)]))
    y, x = np.mgrid[0:height, 0:width]
    waves = [np.sin(x * rng.uniform(0, 0.5) + y * rng.uniform(0, 0.5) + rng.uniform(0, 6)) for _ in range(4)]
    values = 128 + 120 * np.stack(waves, -1) + rng.normal(0, rng.choice([0, 5, 60]), (height, width, 4))
    if rng.random() < 0.3:
        values[(x // 3 + y // 4) % 2 == 0] = rng.choice([0, 255])
    four = Image.fromarray(values.clip(0, 255).astype(np.uint8))
    form = rng.choice(list(FORMATS))
    mode = rng.choice(FORMATS[form])
    if mode == "I;16":
        image = Image.fromarray((values[..., 0].clip(0, 255) * rng.choice([1, 2, 257])).astype(np.uint16))
    elif mode == "CMYK":
        image = Image.fromarray(np.asarray(four), "CMYK")
    elif mode == "P":
        image = four.convert("RGB").quantize(int(rng.integers(2, 256)))
    else:
        image = four.convert(mode)
    options = {}
    if form == "JPEG":
        options = dict(quality=int(rng.integers(5, 100)), subsampling=int(rng.integers(0, 3)), progressive=bool(rng.integers(2)))
        if mode != "RGB":
            options.pop("subsampling")
    elif form == "WEBP":
        options = dict(quality=int(rng.integers(0, 101)), lossless=bool(rng.random() < 0.3), method=int(rng.integers(0, 7)))
    elif form == "TIFF":
        kinds = ["raw", "tiff_lzw", "tiff_adobe_deflate", "packbits"] + (["group4"] if mode == "1" else [])
        kinds += ["jpeg"] if mode in ("L", "RGB") else []
        options = dict(compression=str(rng.choice(kinds)))
    if form in ("PNG", "GIF") and mode in ("L", "P", "RGB") and not (form == "GIF" and mode == "L") and rng.random() < 0.4:
        some = image.getpixel((int(rng.integers(width)), int(rng.integers(height))))
        options["transparency"] = some
    if form in ("PNG", "JPEG", "WEBP", "TIFF") and rng.random() < 0.5:
        exif = Image.Exif()
        value = int(rng.integers(0, 10))
        if form == "TIFF":
            # libtiff writes no others. Plain ones on their side are garbled when they are opened by name (findings/).
            value = value % 4 + 1 if options["compression"] == "raw" else value % 8 + 1
        exif[0x0112] = value
        options["exif"] = exif
    return image, str(form), options


def processor(rng):
    """A class's stem and its options."""
    stem = str(rng.choice(CLASSES))
    side = int(rng.integers(1, 97))
    options = dict(resample=int(rng.choice([0, 1, 2, 3, 3, 3, 4, 5])))
    if stem in ("Siglip", "ViT"):
        options["size"] = dict(height=side, width=side)
    elif stem in ("Idefics3", "SmolVLM"):
        options["resample"] = int(rng.choice([1, 2, 3]))
        options["size"] = dict(longest_edge=int(rng.integers(8, 200)))
        options["max_image_size"] = dict(longest_edge=int(rng.integers(4, 64)))
        options["do_image_splitting"] = bool(rng.integers(2))
    else:
        crop = side if stem == "LlavaNext" else int(rng.integers(1, 97))
        options["size"] = dict(shortest_edge=side)
        options["crop_size"] = dict(height=crop, width=crop)
        if stem == "Llava":
            options["do_pad"] = bool(rng.integers(2))
    if rng.random() < 0.2:
        options["do_rescale"] = False
    elif rng.random() < 0.3:
        options["rescale_factor"] = float(rng.choice([1 / 127.5, 1 / 256, 0.01]))
    if rng.random() < 0.2:
        options["do_normalize"] = False
    elif rng.random() < 0.5:
        options["image_mean"] = [float(x) for x in rng.uniform(0, 1, 3).round(3)]
        options["image_std"] = [float(x) for x in rng.uniform(0.1, 1, 3).round(3)]
    return stem, options


def theirs(path, stem, options, backend):
    made = getattr(transformers, f"{stem}ImageProcessor{'Pil' if backend == 'pil' else ''}")(**options)
    image = load_image(str(path))
    if backend == "torchvision":
        # By name it opens files with `decode_image`, which leaves no word of a transparent colour.
        image.info.pop("transparency", None)
    pixels = made(image)["pixel_values"][0]
    if stem in ("LlavaNext",):
        pixels = pixels[0]
    if stem in ("Idefics3", "SmolVLM"):
        pixels = pixels[-1]
    return json.loads(made.to_json_string()), np.asarray(pixels, dtype=np.float32)


def of_open_clip(path, rng):
    side = int(rng.integers(4, 97))
    config = dict(
        interpolation=str(rng.choice(["bicubic", "bilinear"])),
        resize_mode=str(rng.choice(["shortest", "longest", "squash"])),
        fill_color=int(rng.integers(0, 256)),
    )
    merged = merge_preprocess_dict(PreprocessCfg(), dict(size=side, **config))
    transform = image_transform_v2(PreprocessCfg(**merged), False)
    image = ImageOps.exif_transpose(Image.open(path))
    file = {"model_cfg": {"vision_cfg": {"image_size": side}}, "preprocess_cfg": config}
    return file, transform(image).numpy()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--prepare", default="target/release/examples/prepare")
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    logging.set_verbosity_error()
    torch.set_num_threads(1)
    program = subprocess.Popen([args.prepare], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    counts, wrong = collections.Counter(), 0
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out"
        for case in range(args.cases):
            rng = np.random.default_rng([args.seed, case])
            image, form, save = picture(rng)
            path = Path(folder) / f"picture.{form.lower()}"
            try:
                image.save(path, form, **save)
            except OSError:
                counts["not written by Pillow"] += 1
                continue
            backend = str(rng.choice(["pil", "torchvision", "open_clip"], p=[0.4, 0.4, 0.2]))
            stem, options = processor(rng)
            what = f"case {case}: {form} {image.mode} {image.size} {save}, {backend}, {stem} {options}"
            try:
                if backend == "open_clip":
                    config, expected = of_open_clip(path, rng)
                else:
                    config, expected = theirs(path, stem, options, backend)
            except Exception as error:
                expected = error
                config = dict(options, image_processor_type=f"{stem}ImageProcessor")
            job = dict(file=str(path), out=str(out), config=config, orientation="honour")
            job["backend"] = "pil" if backend == "open_clip" else backend
            program.stdin.write(json.dumps(job) + "\n")
            program.stdin.flush()
            said = program.stdout.readline().strip()
            if isinstance(expected, Exception):
                counts["refused by the library"] += 1
                if said.startswith("refused"):
                    counts["of these refused by Snellen"] += 1
                else:
                    print(f"{what}: {said}, where the library says {expected!r}"[:400])
            elif said.startswith("refused"):
                square = expected.ndim == 3 and expected.shape[1] == expected.shape[2]
                counts["refused by Snellen alone"] += 1
                print(f"{what}: {said}; square: {square}")
            else:
                got = np.fromfile(out, "<f4")
                same = got.shape == expected.reshape(-1).shape and np.array_equal(got, expected.reshape(-1))
                counts[f"{backend}, {form}: {'same' if same else 'OTHER'}"] += 1
                if not same:
                    wrong += 1
                    off = np.abs(got - expected.reshape(-1)).max() if got.size == expected.size else expected.shape
                    print(f"{what}: off by {off}")
    program.stdin.close()
    program.wait()
    for name, count in sorted(counts.items()):
        print(f"{count:>6}  {name}")
    raise SystemExit(1 if wrong else 0)


if __name__ == "__main__":
    main()
