#!/usr/bin/env bash
# transformers 5.23.0: in preprocessor_config.json a step that is `null` (`"do_rescale": null`) is left out, while a step that is not
# there at all is taken, as the class has it. So a file that a program wrote with `null` for "as usual" gives pixels from 0 to 255 to a
# tower trained on -1 to 1, without a warning. What a step needs (`"rescale_factor": null`) is an error, and not the class's default
# either. `do_convert_rgb` makes no difference to pictures of three channels.
set -euo pipefail
home=$(mktemp -d)
trap 'rm -rf "$home"' EXIT
python3 -m venv "$home/venv"
"$home/venv/bin/pip" install --quiet --disable-pip-version-check transformers==5.23.0 pillow==13.0.0 numpy==2.4.6
HF_HUB_OFFLINE=1 "$home/venv/bin/python" -W ignore - "$home" <<'PY'
import json, sys
import numpy as np
import transformers
from PIL import Image
from transformers import AutoImageProcessor

half = [0.5, 0.5, 0.5]
whole = {"image_processor_type": "CLIPImageProcessor", "size": {"shortest_edge": 32}, "crop_size": 32, "resample": 3}
whole |= {"do_rescale": True, "rescale_factor": 1 / 255, "do_normalize": True, "image_mean": half, "image_std": half}
picture = Image.new("RGB", (40, 32), (200, 100, 50))

def largest(config):
    json.dump(config, open(sys.argv[1] + "/preprocessor_config.json", "w"))
    try:
        return round(float(np.max(AutoImageProcessor.from_pretrained(sys.argv[1], backend="pil")(picture)["pixel_values"][0])), 2)
    except ValueError as error:
        return str(error)

absent = {key: value for key, value in whole.items() if key != "do_rescale"}
got = [largest(whole), largest(absent), largest(whole | {"do_rescale": None}), largest(whole | {"rescale_factor": None})]
print("transformers", transformers.__version__, got)
assert got[:3] == [0.57, 0.57, 399.0] and "rescale_factor" in got[3], got
PY
