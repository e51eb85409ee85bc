"""Trains the model of this example, exports it and computes what torch and onnxruntime make of it.

    pip install torch onnx onnxscript onnxruntime safetensors numpy pillow
    python generate.py

Writes here `model.onnx` (any batch size), `pictures/*.png` and `expected.safetensors`: the logits of each picture (onnxruntime),
and for each pair of a picture and a class the gradient, guided backpropagation and Grad-CAM (torch).
"""

import pathlib

import numpy
import onnxruntime
import torch
from PIL import Image, ImageDraw
from safetensors.torch import save_file
from torch import nn

HERE = pathlib.Path(__file__).parent
SIDE, SCALE = 48, 4  # drawn larger, for smooth edges
CLASSES = ["ring", "cross", "triangle"]
PICTURES = {"ring-and-cross": [0, 1], "triangle-and-ring": [2, 0]}
PAIRS = [(0, 0), (0, 1), (1, 2), (1, 0)]  # picture and class, as in `main.rs`


class Relu(torch.autograd.Function):
    """ReLU that guided backpropagation asks for: hands back what is positive, where the unit was on."""

    guided = False

    @staticmethod
    def forward(context, x):
        context.save_for_backward(x)
        return x.clamp(min=0)

    @staticmethod
    def backward(context, upstream):
        (x,) = context.saved_tensors
        upstream = upstream.clamp(min=0) if Relu.guided else upstream
        return upstream * (x > 0)


class Block(nn.Module):
    def __init__(self, before, after, stride):
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(before, after, 3, stride, 1, bias=False), nn.BatchNorm2d(after))
        self.second = nn.Sequential(nn.Conv2d(after, after, 3, 1, 1, bias=False), nn.BatchNorm2d(after))
        self.skip = nn.Conv2d(before, after, 1, stride) if stride > 1 else nn.Identity()

    def forward(self, x, relu):
        return relu(self.second(relu(self.first(x))) + self.skip(x))


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 12, 3, 1, 1, bias=False), nn.BatchNorm2d(12))
        self.blocks = nn.ModuleList([Block(12, 12, 1), Block(12, 20, 2), Block(20, 28, 2)])
        self.output = nn.Linear(28, len(CLASSES))

    def features(self, x, relu=torch.relu):
        x = relu(self.stem(x))
        for block in self.blocks:
            x = block(x, relu)
        return x

    def forward(self, x):
        return self.output(self.features(x).mean((2, 3)))


def draw(random, classes):
    """Objects of different classes side by side, on a noisy ground."""
    ground = random.uniform(0.25, 0.75, 3)
    side = SIDE * SCALE
    lightness = numpy.zeros((side, side))
    left = random.permutation(2)
    for place, which in zip(left, classes):
        radius = random.uniform(7, 9) * SCALE
        x = random.uniform(radius + SCALE, side / 2 - radius) + place * side / 2
        y = random.uniform(radius + SCALE, side - radius - SCALE)
        stencil = Image.new("L", (side, side))
        pen, width = ImageDraw.Draw(stencil), 3 * SCALE
        if which == 0:
            pen.ellipse((x - radius, y - radius, x + radius, y + radius), outline=255, width=width)
        elif which == 1:
            pen.line((x - radius, y, x + radius, y), fill=255, width=width)
            pen.line((x, y - radius, x, y + radius), fill=255, width=width)
        else:
            corners = [(x, y - radius), (x + 0.87 * radius, y + radius / 2), (x - 0.87 * radius, y + radius / 2)]
            pen.line([*corners, corners[0], corners[1]], fill=255, width=width, joint="curve")
        lightness += random.choice([-0.4, 0.4]) * numpy.array(stencil) / 255
    small = Image.fromarray(lightness.astype(numpy.float32)).resize((SIDE, SIDE), Image.Resampling.BOX)
    picture = ground + numpy.array(small)[..., None] + random.uniform(-0.06, 0.06, (SIDE, SIDE, 3))
    return (picture.clip(0, 1) * 255).round().astype(numpy.uint8)


def to_tensor(pictures):
    return torch.from_numpy(numpy.stack(pictures)).permute(0, 3, 1, 2).float() / 127.5 - 1


def train(random):
    torch.manual_seed(0)
    net = Net()
    optimizer = torch.optim.Adam(net.parameters(), 3e-3)
    for step in range(500):
        subjects = [random.choice(3, random.integers(1, 3), replace=False) for _ in range(48)]
        truth = torch.zeros(48, 3)
        for row, classes in enumerate(subjects):
            truth[row, classes] = 1
        loss = nn.functional.binary_cross_entropy_with_logits(net(to_tensor([draw(random, s) for s in subjects])), truth)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step % 100 == 99:
            print(f"step {step + 1}: loss {loss.item():.3f}")
    return net.eval()


def explain(net, picture, which, guided):
    """The gradient of one class, or guided backpropagation, and Grad-CAM at the features."""
    Relu.guided = guided
    picture = picture[None].clone().requires_grad_()
    features = net.features(picture, Relu.apply)
    features.retain_grad()
    net.output(features.mean((2, 3)))[0, which].backward()
    cam = (features * features.grad.mean((2, 3), keepdim=True)).sum(1, keepdim=True).relu().detach()
    return picture.grad[0], nn.functional.interpolate(cam, (SIDE, SIDE), mode="bilinear", align_corners=False)[0]


def main():
    random = numpy.random.default_rng(0)
    net = train(random)
    (HERE / "pictures").mkdir(exist_ok=True)
    pictures = []
    for name, classes in PICTURES.items():
        pictures.append(draw(random, classes))
        Image.fromarray(pictures[-1]).save(HERE / "pictures" / f"{name}.png")
    inputs = to_tensor(pictures)
    path = HERE / "model.onnx"
    torch.onnx.export(
        net, (inputs,), path, input_names=["pictures"], output_names=["logits"], external_data=False,
        dynamic_shapes=({0: torch.export.Dim("n")},), opset_version=18,
    )
    logits = torch.from_numpy(onnxruntime.InferenceSession(path).run(None, {"pictures": inputs.numpy()})[0])
    print("logits", logits, f"{path.stat().st_size} bytes")
    plain = [explain(net, inputs[picture], which, False) for picture, which in PAIRS]
    guided = [explain(net, inputs[picture], which, True) for picture, which in PAIRS]
    tensors = {
        "logits": logits,
        "gradient": torch.stack([gradient for gradient, _ in plain]),
        "guided": torch.stack([gradient for gradient, _ in guided]),
        "cam": torch.stack([cam for _, cam in plain]),
    }
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, HERE / "expected.safetensors")


if __name__ == "__main__":
    main()
