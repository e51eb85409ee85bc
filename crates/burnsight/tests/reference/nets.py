"""The networks that `captum/generate.py` and `zennit/generate.py` ask about, and their pictures.

    pip install torch safetensors numpy
    python nets.py

writes `residual_weights.safetensors` and `small_weights.safetensors` beside this file. `captum/generate.py` writes the
weights of the random VGG, the built-in model has its own.
"""

import pathlib
from collections import OrderedDict

import torch
from safetensors.torch import load_file, save_file
from torch import nn
from torch.nn import functional
from torch.nn.utils import fusion

HERE = pathlib.Path(__file__).parent
RANDOM_WEIGHTS = HERE.parent / "captum" / "random_weights.safetensors"


class Vgg(nn.Module):
    """VGG-11 with torchvision's names; every ReLU is a module of its own, which the libraries' hooks need."""

    def __init__(self, channels, pool, hidden, classes, batch_norm):
        super().__init__()
        layers, before = [], 3
        for count, out in zip([1, 1, 2, 2, 2], channels):
            for _ in range(count):
                layers.append(nn.Conv2d(before, out, 3, padding=1))
                layers += [nn.BatchNorm2d(out)] if batch_norm else []
                layers.append(nn.ReLU())
                before = out
            layers.append(nn.MaxPool2d(2))
        self.features = nn.Sequential(*layers)
        self.avgpool = nn.AdaptiveAvgPool2d(pool)
        head, before = [], before * pool[0] * pool[1]
        for out in hidden:
            head += [nn.Linear(before, out), nn.ReLU(), nn.Dropout()]
            before = out
        self.classifier = nn.Sequential(*head, nn.Linear(before, classes))

    def forward(self, images):
        return self.classifier(self.avgpool(self.features(images)).flatten(1))


class Add(nn.Module):
    def forward(self, left, right):
        return left + right


class Block(nn.Module):
    """Two convolutions beside the identity, or beside one of 1 x 1 where the size changes."""

    def __init__(self, before, out, stride, add):
        super().__init__()
        self.conv1 = nn.Conv2d(before, out, 3, stride, padding=1)
        self.relu1 = nn.ReLU()
        self.conv2 = nn.Conv2d(out, out, 3, padding=1)
        self.downsample = nn.Conv2d(before, out, 1, stride) if stride > 1 else None
        self.add = add()
        self.relu2 = nn.ReLU()

    def forward(self, x):
        inner = self.conv2(self.relu1(self.conv1(x)))
        return self.relu2(self.add(inner, self.downsample(x) if self.downsample else x))


class Residual(nn.Module):
    """A ResNet in little, 3 channels to 5 classes. No ReLU before the last layer, which so reads values of both signs.

    `add` makes the module that adds two tensors: the libraries want one of their own.
    """

    def __init__(self, add=Add):
        super().__init__()
        self.stem = nn.Conv2d(3, 6, 3, padding=1)
        self.relu = nn.ReLU()
        self.block1 = Block(6, 6, 1, add)
        self.average = nn.AvgPool2d(2)
        self.block2 = Block(6, 8, 2, add)
        self.max = nn.MaxPool2d(2)
        self.all = nn.AdaptiveAvgPool2d(1)
        self.reduce = nn.Linear(8, 6)
        self.logits = nn.Linear(6, 5)

    def forward(self, images):
        x = self.block1(self.relu(self.stem(images)))
        x = self.max(self.block2(self.average(x)))
        return self.logits(self.reduce(self.all(x).flatten(1)))


class Small(nn.Module):
    """One of each kind of layer, for pictures of 12 x 14, 3 channels to 4 classes."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 4, 3, padding=1)
        self.relu1 = nn.ReLU()
        self.max = nn.MaxPool2d(2)
        self.conv2 = nn.Conv2d(4, 5, 3)
        self.relu2 = nn.ReLU()
        self.average = nn.AvgPool2d(2)
        self.hidden = nn.Linear(20, 8)
        self.relu3 = nn.ReLU()
        self.logits = nn.Linear(8, 4)

    def forward(self, images):
        x = self.max(self.relu1(self.conv1(images)))
        x = self.average(self.relu2(self.conv2(x)))
        return self.logits(self.relu3(self.hidden(x.flatten(1))))


def draw(model):
    """No weight, running statistic or bias is at its usual start."""
    for module in model.modules():
        if isinstance(module, (nn.Conv2d, nn.Linear)):
            nn.init.kaiming_normal_(module.weight)
            nn.init.normal_(module.bias, 0.1, 0.3)
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.weight, 1.0, 0.5)
            nn.init.normal_(module.bias, 0.2, 0.3)
            nn.init.normal_(module.running_mean, 0.0, 0.5)
            nn.init.uniform_(module.running_var, 0.5, 2.0)
            module.num_batches_tracked.fill_(1)
    return model


def load(model, path):
    model.load_state_dict({name: tensor.float() for name, tensor in load_file(path).items()})
    return model.eval()


def builtin(weights):
    return load(Vgg([32, 64, 128, 256, 256], (1, 1), [], 10, batch_norm=False), weights)


def random_vgg():
    return Vgg([4, 8, 16, 16, 16], (3, 2), [12], 7, batch_norm=True)


def residual(add=Add):
    return load(Residual(add), HERE / "residual_weights.safetensors")


def small():
    return load(Small(), HERE / "small_weights.safetensors")


def fold_batch_norms(vgg):
    """Every batch norm of a VGG into the convolution before it. In float64; the other layers keep their names."""
    layers = vgg.double().features
    for index, layer in enumerate(layers):
        if isinstance(layer, nn.BatchNorm2d):
            layers[index - 1] = fusion.fuse_conv_bn_eval(layers[index - 1], layer)
    others = [(name, layer) for name, layer in layers.named_children() if not isinstance(layer, nn.BatchNorm2d)]
    vgg.features = nn.Sequential(OrderedDict(others))
    return vgg


def pictures(count, height, width):
    """Smooth patches with some noise, in the range of normalised pictures."""
    smooth = functional.interpolate(torch.randn(count, 3, 5, 4), (height, width), mode="bicubic")
    return smooth + 0.2 * torch.randn(count, 3, height, width)


def check_maps(name, maps):
    """A comparison with a map that is zero, or with the map of another method, would compare nothing."""
    for method, map in maps.items():
        assert map.isfinite().all(), f"{name}: {method} is not finite"
        assert (map.flatten(1).abs().amax(1) > 0).all(), f"{name}: {method} is zero"
    for method, map in maps.items():
        for other, against in maps.items():
            if method < other and map.shape == against.shape:
                distance = (map - against).flatten(1).norm(dim=1) / against.flatten(1).norm(dim=1)
                assert (distance > 1e-4).all(), f"{name}: {method} and {other} differ by {distance.tolist()}"


if __name__ == "__main__":
    torch.manual_seed(1)
    save_file(draw(Residual()).state_dict(), HERE / "residual_weights.safetensors")
    save_file(draw(Small()).state_dict(), HERE / "small_weights.safetensors")
