"""The files of a checkpoint, in a folder or on the Hub."""

import hashlib
import json
from pathlib import Path

import numpy as np
import torch
from safetensors import safe_open
from torch import Tensor

from reference.recording import Refusal


def find_file(model: str, name: str) -> Path | None:
    """A file of a local folder or of a Hub repository."""
    if Path(model).is_dir():
        path = Path(model) / name
        return path if path.is_file() else None
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import EntryNotFoundError, HFValidationError, RepositoryNotFoundError

    try:
        return Path(hf_hub_download(model, name))
    except EntryNotFoundError:
        return None
    except (HFValidationError, RepositoryNotFoundError) as error:
        raise Refusal(f"{model} is neither a folder nor a repository of the Hub") from error


def read_json(path: Path | None) -> dict:
    return {} if path is None else json.loads(path.read_text(encoding="utf-8"))


def hash_weights(model: str) -> dict[str, str]:
    """SHA-256 of the files of weights, by name: those of the first kind that is there."""
    kinds = ["model.safetensors.index.json", "model.safetensors", "open_clip_model.safetensors"]
    kinds += ["open_clip_pytorch_model.bin", "pytorch_model.bin", "pytorch_model.bin.index.json"]
    kinds += sorted(path.name for path in Path(model).glob("*.pt"))
    if find_file(model, "open_clip_config.json") is not None:
        kinds.sort(key=lambda kind: not kind.startswith("open_clip"))
    for kind in kinds:
        path = find_file(model, kind)
        if path is None:
            continue
        names = sorted(set(read_json(path)["weight_map"].values())) if kind.endswith(".index.json") else [kind]
        hashes = {}
        for name in names:
            with open(find_file(model, name), "rb") as file:
                hashes[name] = hashlib.file_digest(file, "sha256").hexdigest()
        return hashes
    return {}


def tensor_names(model: str) -> dict[str, str]:
    """The file of each tensor, by name; empty where there are no safetensors."""
    index = read_json(find_file(model, "model.safetensors.index.json")).get("weight_map")
    path = find_file(model, "model.safetensors") if index is None else None
    if path is not None:
        with safe_open(path, "pt") as file:
            index = dict.fromkeys(file.keys(), "model.safetensors")
    return index or {}


def has_tensors(model: str, parts: list[str]) -> bool:
    """Whether the name of some tensor has one of `parts` in it; taken to be so where names can't be read."""
    names = tensor_names(model)
    return not names or any(part in name for name in names for part in parts)


def read_tensors(model: str, prefixes: list[str]) -> dict[str, Tensor]:
    """The tensors with one of the prefixes, the first that any has, and without it, in float32."""
    index = tensor_names(model)
    if not index:
        raise Refusal(f"{model} has neither model.safetensors nor model.safetensors.index.json")
    for prefix in prefixes:
        names = [name for name in index if name.startswith(prefix)]
        if names:
            break
    else:
        raise Refusal(f"no tensor of {model} starts with any of {', '.join(prefixes)}")
    tensors = {}
    for file_name in sorted({index[name] for name in names}):
        with safe_open(find_file(model, file_name), "pt") as file:
            for name in names:
                if index[name] == file_name:
                    tensors[name.removeprefix(prefix)] = file.get_tensor(name)
    return {name: tensor.float() if tensor.is_floating_point() else tensor for name, tensor in tensors.items()}


def random_clip_ids(rng: np.random.Generator, context: int, begin: int, end: int, padding: int) -> Tensor:
    ids = np.full((3, context), padding)
    for row, length in zip(ids, rng.integers(1, context - 1, 3)):
        row[0], row[1 + length] = begin, end
        row[1 : 1 + length] = rng.integers(0, begin, length)
    return torch.from_numpy(ids)
