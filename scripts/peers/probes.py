"""How long the linear probes of a model take: Snellen's readers and scikit-learn's LogisticRegressionCV, same folds and strengths.

    probes.py FILE [--snellen target/release/examples/readers] [--layers 12] [--policies 4] [--rows 2000] [--units 192]
                   [--sample 2] [--max-iter 100] [--threads 2]

FILE (safetensors) is written where it does not exist: activations of every layer and token policy with a spectrum like those of vision
transformers, and the labels of six bindings, which later layers hold better. Snellen reads all matrices; scikit-learn, which takes
long, a sample of them, and so does Snellen once more for the ratio. Losses of rows left out are held against each other.
Both get as many threads; scikit-learn's are processes of one BLAS thread each, by folds.
"""

import argparse
import json
import os
import resource
import subprocess
import time
import warnings
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file
from sklearn.linear_model import LogisticRegressionCV
from sklearn.model_selection import PredefinedSplit
from threadpoolctl import threadpool_limits

CLASSES = [2, 2, 2, 4, 5, 6]
FOLDS = 5
STRENGTHS = [10.0**e for e in range(-4, 6)]


def write(path, args):
    rng = np.random.default_rng(19)
    labels = [rng.integers(0, classes, args.rows) for classes in CLASSES]
    tensors = {f"labels.{k}": y.astype(np.uint8) for k, y in enumerate(labels)}
    tensors["folds"] = rng.permutation(np.arange(args.rows) % FOLDS).astype(np.uint8)
    spectrum = np.arange(1, args.units + 1) ** -0.5
    for layer in range(args.layers):
        for policy in range(args.policies):
            x = rng.normal(size=(args.rows, args.units)) * spectrum
            for y, classes in zip(labels, CLASSES):
                at = rng.integers(0, args.units, classes)
                x[np.arange(args.rows), at[y]] += (layer + 1) / args.layers * 2 * spectrum[at[y]]
            turn = np.linalg.qr(rng.normal(size=(args.units, args.units)))[0]
            tensors[f"layer{layer:02}.policy{policy}"] = (x @ turn + rng.normal(size=args.units)).astype(np.float32)
    save_file(tensors, path)


def spent():
    """Seconds on the clock, and of all processors by this process and what it started."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return np.array([time.perf_counter(), sum(u.ru_utime + u.ru_stime for u in used)])


def ours(program, path, names, threads):
    begun = spent()
    run = [program, path, *names], {**os.environ, "RAYON_NUM_THREADS": str(threads)}
    lines = subprocess.run(run[0], env=run[1], capture_output=True, text=True, check=True).stdout.splitlines()
    found = [json.loads(line) for line in lines]
    # Reading the file is left out of the one, and in the other.
    return np.array([found[-1]["seconds"], (spent() - begun)[1]]), found[:-1]


def scikit(tensors, names, threads, most):
    cv, seconds, found = PredefinedSplit(tensors["folds"]), np.zeros(2), []
    jobs = None if threads == 1 else threads
    with threadpool_limits(1), warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for name in names:
            x = tensors[name].astype(np.float64)
            for k in range(len(CLASSES)):
                begun = spent()
                how = {"l1_ratios": (0,), "use_legacy_attributes": False, "n_jobs": jobs, "max_iter": most}
                fit = LogisticRegressionCV(Cs=STRENGTHS, cv=cv, scoring="neg_log_loss", **how)
                fit.fit(x, tensors[f"labels.{k}"])
                seconds += spent() - begun
                losses = -fit.scores_.reshape(-1, len(STRENGTHS)).mean(0)
                found.append({"matrix": name, "task": k, "losses": losses.tolist()})
    return seconds, found, len(caught)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path)
    parser.add_argument("--snellen", default="target/release/examples/readers")
    for name, value in {"layers": 12, "policies": 4, "rows": 2000, "units": 192, "sample": 2, "max-iter": 100, "threads": 2}.items():
        parser.add_argument(f"--{name}", type=int, default=value)
    args = parser.parse_args()
    if not args.file.exists():
        write(args.file, args)
    tensors = load_file(args.file)
    names = sorted(name for name in tensors if name.startswith("layer"))
    sample = names[:: max(1, len(names) // args.sample)][: args.sample]
    print(f"{len(names)} matrices of {args.rows} x {args.units}, {len(CLASSES)} bindings, "
          f"{FOLDS} folds, {len(STRENGTHS)} strengths; load {os.getloadavg()[0]:.1f}")
    whole, _ = ours(args.snellen, args.file, names, args.threads)
    print(f"snellen, all {len(names)}: {whole[0]:.1f} s, {whole[1]:.1f} s of processors")
    same, mine = ours(args.snellen, args.file, sample, args.threads)
    peer, theirs, warned = scikit(tensors, sample, args.threads, args.max_iter)
    print(f"sample of {len(sample)}: snellen {same[0]:.2f} s, {same[1]:.2f} s of processors")
    print(f"sample of {len(sample)}: scikit-learn {peer[0]:.1f} s, {peer[1]:.1f} s of processors "
          f"(max_iter={args.max_iter}; {warned} warnings that a fit did not converge)")
    apart = [np.subtract(a["losses"], b["losses"]) for a, b in zip(mine, theirs)]
    print(f"losses of rows left out, nats: ours less theirs from {np.min(apart):.1e} to {np.max(apart):.1e}; "
          f"same strength chosen in {sum(np.argmin(a['losses']) == np.argmin(b['losses']) for a, b in zip(mine, theirs))} of {len(mine)}")
    print(f"ratio: {peer[0] / same[0]:.1f} on the clock, {peer[1] / same[1]:.1f} of processors")


if __name__ == "__main__":
    main()
