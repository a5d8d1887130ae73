"""Give a trained net another number of classes: load all but its head, and train it a little on few images.

Without arguments it first trains the net of digits.net on the digits 0 to 7 only, and keeps the weights in a file.
With two, they are a SPEC that has a parameter `classes`, and a file that `torch.save(model.state_dict(), file)`
wrote, such as torchvision's downloads:

    python examples/finetune.py
    python examples/finetune.py resnet18 resnet18-f37072fd.pth
"""

from __future__ import annotations

import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import Tensor, nn
from torch.nn import functional as F

import netdsl

SPEC = str(Path(__file__).with_name("digits.net"))
SIDE = 32
"""Images are no larger than that, whatever the net was made for: this is to take seconds."""
FEW, EPOCHS = 200, 3
"""How many images of the ten digits there are to learn from, and how often each is seen."""


def load(spec: str, classes: int) -> netdsl.Network:
    """Return the net for so many classes, and for small images."""
    net = netdsl.load(spec, classes=classes)
    inputs = {name: (s.c, min(s.h, SIDE), min(s.w, SIDE)) for name, s in net.inputs.items()}
    return netdsl.load(spec, classes=classes, inputs=inputs)


def digits(net: netdsl.Network) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return images of the net's input shape to learn and to test with, and what they show."""
    found = load_digits()
    (shape,) = net.inputs.values()
    images = torch.from_numpy(found.images / 16).float()[:, None]
    images = F.interpolate(images, (shape.h, shape.w)).repeat(1, shape.c, 1, 1)
    labels = torch.from_numpy(found.target)
    learn, test = train_test_split(range(len(labels)), test_size=0.2, random_state=0, stratify=labels)
    return images[learn], labels[learn], images[test], labels[test]


def train(model: nn.Module, images: Tensor, labels: Tensor, epochs: int) -> None:
    """Train all layers of a model, at a rate that falls to zero."""
    batches = [chosen for _ in range(epochs) for chosen in torch.randperm(len(images)).split(32)]
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.0, total_iters=len(batches))
    model.train()
    for chosen in batches:
        optimizer.zero_grad()
        F.cross_entropy(model(images[chosen]), labels[chosen]).backward()
        optimizer.step()
        schedule.step()


def pretrain(file: Path) -> None:
    """Train the net for eight classes on the digits 0 to 7, and write its weights."""
    net = load(SPEC, classes=8)
    model = net.build("torch")
    images, labels, _, _ = digits(net)
    train(model, images[labels < 8], labels[labels < 8], EPOCHS)
    torch.save(model.state_dict(), file)


def build(net: netdsl.Network, file: Path) -> nn.Module:
    """Return the net with those weights of a file whose name and shape it has, and print which these are."""
    model: nn.Module = net.build("torch")
    own = model.state_dict()
    held = torch.load(file, weights_only=True)
    loaded = {key: t for key, t in held.items() if key in own and t.shape == own[key].shape}
    if not loaded:
        sys.exit(f"{file} holds nothing that fits {net.name}")
    model.load_state_dict(own | loaded)

    print(f"loaded: {len(loaded)} of {len(own)} tensors")
    for key in [key for key in own if key not in loaded]:
        there = f"{list(held[key].shape)} in the file" if key in held else "not in the file"
        print(f"new: {key} {list(own[key].shape)}, {there}")
    for key in [key for key in held if key not in own]:
        print(f"left out: {key}, not in the net")
    return model


def accuracy(model: nn.Module, images: Tensor, labels: Tensor) -> float:
    """Return which share of the images a model knows."""
    with torch.inference_mode():
        return float((model.eval()(images).argmax(1) == labels).float().mean())


def finetune(spec: str, file: Path) -> None:
    """Train on few images, from the file's weights and from random ones, and print what both then know."""
    net = load(spec, classes=10)
    images, labels, unseen, answers = digits(net)
    for name, model in (("fine-tuned", build(net, file)), ("from scratch", net.build("torch"))):
        train(model, images[:FEW], labels[:FEW], EPOCHS)
        print(f"{name} on {FEW} images: {accuracy(model, unseen, answers):.1%} right")


def main() -> None:
    """Fine-tune the net that was given, or the one that is trained here."""
    torch.set_num_threads(1)  # the net is small: more threads would wait for each other
    torch.manual_seed(0)
    if len(sys.argv) == 3:
        finetune(sys.argv[1], Path(sys.argv[2]))
        return
    with TemporaryDirectory() as folder:
        file = Path(folder, "eight_classes.pth")
        pretrain(file)
        finetune(SPEC, file)


if __name__ == "__main__":
    main()
