"""How long Snellen and Pillow take to decode pictures and to resize and crop them to 224 x 224, in turn on the same files.

    pictures.py FOLDER [--snellen target/release/examples/pictures] [--rounds N]

One thread each, files in memory. `CLIPImageProcessor` resizes the shorter side to 224 pixels, bicubic, and crops the middle.
Snellen's second number contains more than Pillow's: values are normalised and laid out channel by channel.
"""

import argparse
import io
import statistics
import subprocess
import time
from pathlib import Path

from PIL import Image

SIDE = 224


def pillow(files):
    """Milliseconds a picture: decoding, and resize and crop."""
    decoding = resizing = 0.0
    for file in files:
        start = time.perf_counter()
        picture = Image.open(io.BytesIO(file)).convert("RGB")
        decoded = time.perf_counter()
        short = min(picture.size)
        width, height = (SIDE * side // short for side in picture.size)
        left, top = (width - SIDE) // 2, (height - SIDE) // 2
        picture.resize((width, height), Image.Resampling.BICUBIC).crop((left, top, left + SIDE, top + SIDE))
        decoding += decoded - start
        resizing += time.perf_counter() - decoded
    return [1e3 * seconds / len(files) for seconds in (decoding, resizing)]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--snellen", default="target/release/examples/pictures")
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    files = [path.read_bytes() for path in sorted(args.folder.iterdir())]
    program = subprocess.Popen(
        [args.snellen, args.folder, "--on-demand"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert program.stdout.readline() == "ready\n"

    def snellen():
        program.stdin.write("\n")
        program.stdin.flush()
        return [float(number) for number in program.stdout.readline().split()]

    ratios = []
    for _ in range(args.rounds):
        ours, theirs = snellen(), pillow(files)
        ratios.append(sum(ours) / sum(theirs))
        parts = [f"{name} {a:.3f} + {b:.3f} = {a + b:.3f} ms" for name, (a, b) in (("Snellen", ours), ("Pillow", theirs))]
        print(f"{', '.join(parts)}: {ratios[-1]:.3f}", flush=True)
    program.stdin.close()
    program.wait()
    print(f"median {statistics.median(ratios):.3f}")


if __name__ == "__main__":
    main()
