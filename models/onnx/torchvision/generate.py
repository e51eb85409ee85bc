"""Exports torchvision's classifiers with random weights, each with a picture, its logits and its input gradient.

    python generate.py FOLDER [NAME ...] [--exporter torchscript]

Needs torch, torchvision, onnx, onnxruntime, safetensors. Writes FOLDER/NAME.onnx (made by torch's exporter, any batch size) and
FOLDER/NAME.safetensors: `picture` [2, 3, h, w], `logits` (onnxruntime, f32), `gradient` of class `class` of each picture (torch,
f32) and `gradient_f64` (torch, f64).

Random weights alone would make a poor test: activations of deep networks die out or explode. Batch norms therefore get the
statistics of some noise first, layers that start at zero are drawn, and classes are those with the highest score.
"""
import argparse
import copy
import pathlib
import time

import onnxruntime
import torch
import torchvision
from safetensors.torch import save_file
from torch.fx.experimental.optimization import fuse

NAMES = """alexnet vgg11 vgg16_bn squeezenet1_0 squeezenet1_1 resnet18 resnet50 resnext50_32x4d wide_resnet50_2 densenet121
googlenet inception_v3 mobilenet_v2 mobilenet_v3_small mobilenet_v3_large shufflenet_v2_x0_5 shufflenet_v2_x1_0 mnasnet0_5 mnasnet1_0
efficientnet_b0 efficientnet_v2_s regnet_x_400mf regnet_y_400mf convnext_tiny vit_b_16 vit_b_32 swin_t swin_v2_t maxvit_t""".split()


def network(name: str) -> torch.nn.Module:
    torch.manual_seed(0)
    more = {"init_weights": True} if name in ("googlenet", "inception_v3") else {}
    model = torchvision.models.get_model(name, weights=None, **more)
    # Some heads start at zero, and would make every gradient zero.
    for module in model.modules():
        if isinstance(module, torch.nn.Linear) and not module.weight.any():
            torch.nn.init.normal_(module.weight, std=0.02)
    # One pass over noise sets the running statistics; a mean over all passes, so that one is enough.
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = None
    model.train()
    with torch.no_grad():
        model(pictures(name, 4))
    # Exporters fold batch norms and round: a file with other weights than torch's could not be compared exactly. So they are
    # folded first, where torch can trace the network.
    has_norms = any(isinstance(module, torch.nn.BatchNorm2d) for module in model.modules())
    return fuse(model.eval()) if has_norms else model.eval()


def pictures(name: str, count: int) -> torch.Tensor:
    """Smooth noise: neighbouring windows agree, as they do in photographs."""
    return torch.nn.functional.interpolate(torch.randn(count, 3, 28, 28), size=size(name), mode="bicubic")


def size(name: str) -> int:
    return 299 if name == "inception_v3" else 224


def gradient(model, picture, classes):
    picture = picture.clone().requires_grad_()
    model(picture).gather(1, classes[:, None]).sum().backward()
    return picture.grad


def generate(name: str, folder: pathlib.Path, exporter: str, batch: str) -> None:
    started = time.time()
    model = network(name)
    picture = pictures(name, 2)
    path = folder / f"{name}.onnx"
    options = {"input_names": ["input"], "output_names": ["logits"]}
    if exporter == "torchscript":
        dynamic = {"input": {0: "n"}, "logits": {0: "n"}} if batch == "any" else None
        torch.onnx.export(model, (picture[:1],), path, dynamo=False, dynamic_axes=dynamic, **options)
    else:
        dynamic = ({0: torch.export.Dim.DYNAMIC},) if batch == "any" else None
        example = picture if batch == "any" else picture[:1]
        torch.onnx.export(model, (example,), path, dynamo=True, dynamic_shapes=dynamic, external_data=False, verbose=False, **options)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    rows = picture.split(2 if batch == "any" else 1)
    logits = torch.cat([torch.from_numpy(session.run(None, {"input": row.numpy()})[0]) for row in rows])
    classes = logits.argmax(1)
    double = copy.deepcopy(model).double()
    tensors = {
        "picture": picture,
        "logits": logits,
        "class": classes,
        "gradient": gradient(model, picture, classes),
        "gradient_f64": gradient(double, picture.double(), classes).float(),
    }
    save_file({key: value.detach().contiguous() for key, value in tensors.items()}, folder / f"{name}.safetensors")
    print(f"{name}: {path.stat().st_size / 1e6:.0f} MB, {time.time() - started:.0f} s", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--exporter", choices=["dynamo", "torchscript"], default="dynamo")
    parser.add_argument("--batch", choices=["any", "one"], default="any")
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    for name in arguments.names or NAMES:
        try:
            generate(name, arguments.folder, arguments.exporter, arguments.batch)
        except Exception as error:  # noqa: BLE001: one that cannot be exported must not cost the others
            print(f"{name}: not exported: {type(error).__name__}: {str(error)[:300]}", flush=True)
