"""What torchvision makes of a few small pictures; `preprocessing.rs` beside this folder compares.

    pip install torch torchvision safetensors
    python generate.py

Writes `fixture.safetensors` here: for every case `<case>.picture`, uint8 [h, w, 3], and `<case>.tensor`, float32
[3, h, w], and as metadata the settings. Random pictures are the hardest for a resampler; no two neighbours agree.
"""

import json
import pathlib

import numpy as np
import torch
import torchvision
from PIL import Image
from safetensors.torch import save_file
from torchvision import transforms

MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]

# name: picture (height, width), resize, size (height, width)
CASES = {
    "down": ((61, 83), 28, (24, 24)),
    "down_tall": ((70, 53), 28, (24, 24)),
    "down_far": ((97, 101), 9, (7, 7)),
    "up": ((9, 13), 28, (24, 24)),
    "up_odd_crop": ((10, 11), 23, (20, 16)),
    "same": ((24, 24), 24, (24, 24)),
    "no_crop": ((33, 45), 20, (20, 20)),
    "one_pixel": ((1, 1), 28, (24, 24)),
    "one_row": ((1, 200), 8, (8, 8)),
    "half_offset": ((20, 25), 20, (17, 20)),
}

random = np.random.default_rng(0)
tensors, settings = {}, {}
for name, ((height, width), resize, size) in CASES.items():
    picture = random.integers(0, 256, (height, width, 3), dtype=np.uint8)
    prepare = transforms.Compose([
        transforms.Resize(resize, transforms.InterpolationMode.BILINEAR, antialias=True),
        transforms.CenterCrop(size),
        transforms.ToTensor(),
        transforms.Normalize(MEAN, STD),
    ])
    tensors[f"{name}.picture"] = torch.from_numpy(picture)
    tensors[f"{name}.tensor"] = prepare(Image.fromarray(picture)).contiguous()
    settings[name] = json.dumps({"resize": resize, "size": size, "mean": MEAN, "std": STD})

settings["versions"] = f"torchvision {torchvision.__version__}, torch {torch.__version__}, Pillow {Image.__version__}"
save_file(tensors, pathlib.Path(__file__).with_name("fixture.safetensors"), metadata=settings)
