"""Runs Snellen and its peers on the same shapes in turn, A B C A B C, and prints how long each took and their ratios.

Called by scripts/bench-peers, which makes the environment; see there.
"""

import argparse
import datetime
import json
import os
import platform
import subprocess
import sys
import time
from importlib import metadata
from math import ceil
from pathlib import Path
from statistics import median

from shapes import SHAPES

HERE = Path(__file__).parent
HOOK = "blocks.*.hook_mlp_out"


def forward(model, batch, dtype):
    """A case: what Snellen is asked to do, and what the peers are."""
    size = ["--model", model, "--batch", str(batch)]
    torch = ("torch", f"PyTorch eager {dtype}", ["torch", *size, "--dtype", dtype])
    onnx = ("onnx", "onnxruntime f32", ["onnx", *size])
    return model, batch, dtype, [*size, "--dtype", dtype], [torch, onnx]


def hooked(dtype):
    size = ["--model", "vit-l-14", "--batch", "1"]
    prisma = ("prisma", "ViT-Prisma run_with_cache f32", ["prisma", *size])
    return "vit-l-14", 1, dtype, [*size, "--dtype", dtype, "--hook", HOOK], [prisma]


LAB = ["--model", "lab", "--batch", "64"]
CASES = {
    "l14-b8-f32": forward("vit-l-14", 8, "f32"),
    "l14-b8-bf16": forward("vit-l-14", 8, "bf16"),
    "l14-b1-f32": forward("vit-l-14", 1, "f32"),
    "l14-b1-bf16": forward("vit-l-14", 1, "bf16"),
    "b32-b8-f32": forward("vit-b-32", 8, "f32"),
    "b32-b8-bf16": forward("vit-b-32", 8, "bf16"),
    "lab-b64-f32": ("lab", 64, "f32", LAB, [("torch", "PyTorch eager f32", ["plain", *LAB])]),
    "train": (None, 32, "f32", ["--train"], [("torch", "PyTorch eager f32", ["train"])]),
    "hook-b1-f32": hooked("f32"),
    "hook-b1-bf16": hooked("bf16"),
}


class Program:
    """A program that answers counts with seconds a run."""

    def __init__(self, label, command, environment, log):
        self.label, self.times, self.log, self.count = label, [], log, 1
        self.pipe = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log.open("w"), text=True, env=environment
        )

    def ready(self):
        """Whether it has begun to wait for counts; what it complained of goes to standard output otherwise."""
        if self.pipe.stdout.readline().strip() == "ready":
            return True
        self.pipe.wait()
        said = [line for line in self.log.read_text().splitlines() if line.strip()]
        print(f"  {self.label}: not measured: {said[-1] if said else 'it said nothing'}", flush=True)
        return False

    def run(self, count):
        self.pipe.stdin.write(f"{count}\n")
        self.pipe.stdin.flush()
        return float(self.pipe.stdout.readline())

    def round(self):
        self.times.append(self.run(self.count))

    def close(self):
        self.pipe.stdin.close()
        self.pipe.wait()


def measure(case, args, environment):
    """The programs of a case with their times, Snellen first; only those that ran."""
    _, _, dtype, asked, peers = CASES[case]
    snellen = [args.snellen, "bench-engine", "--on-demand", "--threads", str(args.threads), *asked]
    commands = [(f"Snellen {dtype}", snellen)]
    for name, label, command in peers:
        if name in args.without:
            continue
        rest = ["--threads", str(args.threads), "--cache", str(args.cache)]
        commands.append((label, [sys.executable, str(HERE / "peer.py"), *command, *rest]))
    programs = []
    for number, (label, command) in enumerate(commands):
        # One after the other: a program that warms up would disturb one that measures.
        program = Program(label, command, environment, args.cache / f"{case}-{number}.log")
        if program.ready():
            program.count = max(1, ceil(args.least / program.run(1)))
            programs.append(program)
    for _ in range(args.rounds if programs else 0):
        for program in programs:
            # Until the threads of the one before have gone to sleep.
            time.sleep(0.2)
            program.round()
    for program in programs:
        program.close()
    return programs


def table(case, programs, peaks):
    model, batch, dtype, _, _ = CASES[case]
    ours = next((p for p in programs if p.label.startswith("Snellen")), None)
    rows = []
    for program in programs:
        least = min(program.times)
        row = {"case": case, "program": program.label, "ms_min": 1e3 * least, "ms_median": 1e3 * median(program.times)}
        # A peer that computes in another type than the case is held against the peak of its own.
        peak = peaks.get(program.label.split()[-1])
        if model and peak:
            # Where nothing is hooked Snellen leaves out what nobody reads.
            left_out = SHAPES[model].unread() if program is ours and "hook" not in case else 0
            row["fraction_of_peak"] = batch * (SHAPES[model].flops() - left_out) / least / 1e9 / peak
        if ours and program is not ours:
            row["ratio_min"] = least / min(ours.times)
            row["ratio_median"] = median(theirs / our for theirs, our in zip(program.times, ours.times, strict=True))
        row["seconds"] = program.times
        rows.append(row)
        number = lambda key, form: format(row[key], form) if key in row else "-"  # noqa: E731
        print(
            f"  {program.label:<30} {number('ms_min', '10.2f')} {number('ms_median', '10.2f')} "
            f"{number('fraction_of_peak', '8.3f'):>8} {number('ratio_min', '9.2f'):>9} {number('ratio_median', '9.2f'):>9}",
            flush=True,
        )
    return rows


def machine(args):
    """What this was measured on and with."""
    cpu = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    field = lambda name: next((l.split(":", 1)[1].strip() for l in cpu.splitlines() if l.startswith(name)), "")  # noqa: E731
    flags = [flag for flag in ("avx2", "avx512f", "avx512_bf16", "amx_tile") if flag in field("flags").split()]
    version = {}
    for name in ("torch", "transformers", "onnxruntime", "vit-prisma"):
        try:
            version[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            version[name] = "not installed"
    return {
        "date": datetime.date.today().isoformat(),
        "cpu": field("model name") or platform.processor(),
        "cores": os.cpu_count(),
        "flags": flags,
        "threads": args.threads,
        "snellen": subprocess.check_output([args.snellen, "--version"], text=True).strip(),
        "python": platform.python_version(),
        **version,
    }


def peaks(args):
    """Snellen's measure of this machine, in GFLOP/s by type; those that it can say."""
    found = {}
    for dtype in ("f32", "bf16"):
        command = [args.snellen, "bench-engine", "--model", "lab", "--batch", "1", "--rounds", "1", "--json"]
        command += ["--dtype", dtype, "--threads", str(args.threads)]
        ran = subprocess.run(command, capture_output=True, text=True)
        if ran.returncode == 0:
            found[dtype] = json.loads(ran.stdout)[0]["peak_gflops"]
    return found


def main():
    parser = argparse.ArgumentParser(prog="bench-peers", description=__doc__.splitlines()[0])
    parser.add_argument("--snellen", required=True, help=argparse.SUPPRESS)
    parser.add_argument("--cache", type=Path, required=True, help=argparse.SUPPRESS)
    parser.add_argument("--only", action="append", choices=CASES, help="one case; may be repeated")
    parser.add_argument("--quick", action="store_true", help="three rounds instead of ten")
    parser.add_argument("--rounds", type=int, help="that many rounds")
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="of every program; all cores where not given")
    parser.add_argument("--without", action="append", default=[], choices=["torch", "onnx", "prisma"], help="leave a peer out")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all times there, too")
    args = parser.parse_args()
    args.rounds = args.rounds or (3 if args.quick else 10)
    args.least = 0.3
    args.cache.mkdir(parents=True, exist_ok=True)
    # Some machines force an old kernel on OpenBLAS.
    environment = {k: v for k, v in os.environ.items() if not k.startswith("OPENBLAS_")}
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "RAYON_NUM_THREADS"):
        environment[name] = str(args.threads)
    about = machine(args)
    for key, value in about.items():
        print(f"{key}: {' '.join(value) if isinstance(value, list) else value}")
    load = os.getloadavg()
    found = peaks(args)
    print("peak: " + ", ".join(f"{value:.1f} GFLOP/s {dtype}" for dtype, value in found.items()))
    print(f"load before: {load[0]:.2f} {load[1]:.2f} {load[2]:.2f}")
    print(f"\n  {'':<30} {'min ms':>10} {'median ms':>10} {'of peak':>8} {'x min':>9} {'x paired':>9}")
    rows = []
    for case in args.only or CASES:
        print(case, flush=True)
        programs = measure(case, args, environment)
        # A machine that was busy at first has a higher peak than it seemed: the best of all looks so far counts.
        found |= {dtype: max(found.get(dtype, 0.0), value) for dtype, value in peaks(args).items()}
        rows += table(case, programs, found)
    print("\npeak after: " + ", ".join(f"{value:.1f} GFLOP/s {dtype}" for dtype, value in found.items()))
    print("x: the program's time over Snellen's; of minima, and the median over rounds.")
    print("load after: " + " ".join(f"{x:.2f}" for x in os.getloadavg()))
    if args.json:
        args.json.write_text(json.dumps({"machine": about, "peak_gflops": found, "measurements": rows}, indent=2) + "\n")


if __name__ == "__main__":
    main()
