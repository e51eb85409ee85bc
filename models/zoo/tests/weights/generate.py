"""Writes the files of ../weights.rs and ../hostile.rs beside itself: one small VGG in every format, and files that mean harm.

    python generate.py

Needs torch, torchvision, safetensors. The VGG is torchvision's, with batch norm, at a few channels per layer; `expected`
holds a picture and what torch makes of it.
"""
import collections
import io
import os
import pathlib
import pickle
import zipfile

import torch
import torchvision
from safetensors.torch import save_file
from torchvision.models.vgg import VGG, make_layers

FOLDER = pathlib.Path(__file__).parent
CHANNELS = [2, "M", 3, "M", 4, 4, "M", 5, 5, "M", 6, 6, "M"]
LEGACY = {"_use_new_zipfile_serialization": False}


def model() -> torch.nn.Module:
    torch.manual_seed(0)
    net = VGG(make_layers(CHANNELS, batch_norm=True), init_weights=False)
    net.avgpool = torch.nn.AdaptiveAvgPool2d(2)
    net.classifier = torch.nn.Sequential(
        torch.nn.Linear(24, 5), torch.nn.ReLU(True), torch.nn.Dropout(), torch.nn.Linear(5, 4)
    )
    for _ in range(3):  # running statistics of its own
        net(torch.randn(8, 3, 64, 64))
    return net.eval()


def save(value, name: str, **options) -> None:
    torch.save(value, FOLDER / name, **options)


class Storage:
    """The numbers of a tensor, as the pickles of torch 0.1 refer to them."""

    def __init__(self, tensor: torch.Tensor):
        self.tensor = tensor


class Python2Pickler(pickle._Pickler):
    """What torch 0.1 and Python 2 wrote: torchvision's weights for VGG are of that time."""

    dispatch = dict(pickle._Pickler.dispatch)

    def save_bytes_string(self, text: str) -> None:
        self.write(pickle.SHORT_BINSTRING + bytes([len(text)]) + text.encode())
        self.memoize(text)

    dispatch[str] = save_bytes_string

    def persistent_id(self, value):
        if isinstance(value, Storage):
            return "storage", torch.FloatStorage, str(value.tensor.data_ptr()), "cpu", value.tensor.numel(), None
        return None

    def reducer_override(self, value):
        if isinstance(value, torch.Tensor):
            return torch._utils._rebuild_tensor, (Storage(value), 0, tuple(value.shape), value.stride())
        return NotImplemented


def save_as_in_2017(weights: dict, name: str) -> None:
    weights = {key: value for key, value in weights.items() if value.is_floating_point()}
    system = {"protocol_version": 1001, "little_endian": True, "type_sizes": {"short": 2, "int": 4, "long": 4}}
    with open(FOLDER / name, "wb") as file:
        storages = sorted(weights.values(), key=lambda value: str(value.data_ptr()))
        keys = [str(value.data_ptr()) for value in storages]
        for value in [0x1950A86A20F9469CFC6C, 1001, system, collections.OrderedDict(weights), keys]:
            Python2Pickler(file, protocol=2).dump(value)
        for value in storages:
            file.write(value.numel().to_bytes(8, "little") + value.contiguous().numpy().tobytes())
    for key, value in torch.load(FOLDER / name, weights_only=False).items():
        assert torch.equal(value, weights[key]), key


class Code:
    """Runs a command when it is unpickled."""

    def __reduce__(self):
        return os.system, ("touch code-was-run",)


def good() -> None:
    net = model()
    weights = net.state_dict()
    picture = torch.randn(1, 3, 64, 64)
    save_file({"picture": picture, "logits": net(picture).detach()}, FOLDER / "expected.safetensors")
    save_file(weights, FOLDER / "f32.safetensors")
    save(weights, "zip.pth")
    save(weights, "legacy.pth", **LEGACY)
    save_as_in_2017(weights, "2017.pth")
    save(net, "module.pth")
    for dtype in ["float16", "bfloat16", "float64"]:
        cast = {name: value.to(getattr(torch, dtype)) if value.is_floating_point() else value for name, value in weights.items()}
        save(cast, f"{dtype}.pth")
        save_file(cast, FOLDER / f"{dtype}.safetensors")
    optimizer = torch.optim.Adam(net.parameters(), lr=0.0)
    net(picture).sum().backward()
    optimizer.step()
    parallel = {f"module.{name}": value for name, value in weights.items()}
    save({"epoch": 3, "state_dict": parallel, "optimizer": optimizer.state_dict()}, "checkpoint.pth")
    # Views of other tensors: transposed, and the end of a longer one.
    views = dict(weights)
    views["classifier.0.weight"] = weights["classifier.0.weight"].t().contiguous().t()
    views["classifier.0.bias"] = torch.cat([torch.zeros(7), weights["classifier.0.bias"]])[7:]
    save(views, "views.pth")


def hostile() -> None:
    weights = model().state_dict()
    save({**weights, "code": Code()}, "code.pth")
    save({**weights, "code": Code()}, "code_legacy.pth", **LEGACY)
    save(Code(), "only_code.pth")
    (FOLDER / "code.pkl").write_bytes(pickle.dumps(Code(), protocol=2))
    for name, elements in [("2_40", 2**40), ("2_28", 2**28)]:
        shape = {"features.0.weight": torch.zeros(1, 1, 1, 1).expand(elements, 1, 3, 3)}
        save(shape, f"shape_{name}.pth")
        save(shape, f"shape_{name}_legacy.pth", **LEGACY)
    # The same archive with one part packed, which unpacks to 64 MiB.
    buffer = io.BytesIO()
    torch.save({"features.0.weight": torch.zeros(1, 3, 3, 3)}, buffer)
    for part, content in [("data.pkl", b"\x80\x02" + b"]" * (64 << 20)), ("data/0", bytes(64 << 20))]:
        name = part.replace("data/0", "numbers").removesuffix(".pkl")
        with zipfile.ZipFile(buffer) as archive, zipfile.ZipFile(FOLDER / f"bomb_{name}.pth", "w") as bomb:
            for entry in archive.namelist():
                packed = entry.endswith("/" + part)
                method = zipfile.ZIP_DEFLATED if packed else zipfile.ZIP_STORED
                bomb.writestr(entry, content if packed else archive.read(entry), method, 9)


if __name__ == "__main__":
    good()
    hostile()
    print(f"torch {torch.__version__}, torchvision {torchvision.__version__}")
