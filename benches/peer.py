"""The path and relevance methods against captum and zennit: the same network, the same weights, a picture of the same size, one
after the other in turns, so that what slows the machine down slows all of them.

    pip install torch captum zennit safetensors
    cargo build --release -p burnsight-benches --bin peer
    python benches/peer.py target/release/peer models/zoo/weights/vgg11-imagenette.safetensors
"""

import statistics
import subprocess
import sys
import time
import warnings
from importlib.metadata import version

import torch
from captum.attr import DeepLift, IntegratedGradients, Saliency
from safetensors.torch import load_file
from torch import nn
from zennit.attribution import Gradient
from zennit.composites import EpsilonAlpha2Beta1, EpsilonPlus

warnings.filterwarnings("ignore", module="captum")
ROUNDS, REPETITIONS = 5, 5


def network(weights):
    channels, layers, before = [32, 64, 128, 256, 256], [], 3
    for count, out in zip([1, 1, 2, 2, 2], channels):
        for _ in range(count):
            layers += [nn.Conv2d(before, out, 3, padding=1), nn.ReLU()]
            before = out
        layers.append(nn.MaxPool2d(2))
    model = nn.Sequential()
    model.features = nn.Sequential(*layers)
    model.avgpool = nn.AdaptiveAvgPool2d(1)
    model.flatten = nn.Flatten()
    model.classifier = nn.Sequential(nn.Linear(256, 10))
    model.load_state_dict({name: tensor.float() for name, tensor in load_file(weights).items()})
    return model.eval()


def relevance(model, composite):
    def run(picture):
        with Gradient(model, composite) as attributor:
            attributor(picture, torch.eye(10)[[0]])

    return run


binary, weights = sys.argv[1:]
model = network(weights)
peers = {
    "vanilla-gradient": lambda x: Saliency(model).attribute(x, 0, abs=False),
    "integrated-gradients": lambda x: IntegratedGradients(model).attribute(x, target=0),
    "deeplift": lambda x: DeepLift(model).attribute(x, target=0),
    "lrp epsilon-plus": relevance(model, EpsilonPlus()),
    "lrp epsilon-alpha2-beta1": relevance(model, EpsilonAlpha2Beta1()),
}
ours, theirs = {name: [] for name in peers}, {name: [] for name in peers}
for _ in range(ROUNDS):
    lines = subprocess.run([binary], check=True, capture_output=True, text=True).stdout.splitlines()
    for name, milliseconds in (line.split("\t") for line in lines):
        ours[name].append(float(milliseconds))
    for name, peer in peers.items():
        times = []
        for _ in range(REPETITIONS + 1):  # the first warms up
            picture = torch.randn(1, 3, 160, 160)
            start = time.perf_counter()
            peer(picture)
            times.append(1000 * (time.perf_counter() - start))
        theirs[name].append(statistics.median(times[1:]))
versions = ", ".join(f"{name} {version(name)}" for name in ["captum", "zennit", "torch"])
print(f"{versions}, {torch.get_num_threads()} threads")
print("| method | burnsight, ms | peer, ms | burnsight / peer |\n|---|---|---|---|")
for name in peers:
    a, b = statistics.median(ours[name]), statistics.median(theirs[name])
    print(f"| {name} | {a:.0f} | {b:.0f} | {a / b:.2f} |")
