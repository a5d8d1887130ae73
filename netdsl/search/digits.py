"""The objective `digits`: how many of scikit-learn's digits a net gets right after a short training."""

from __future__ import annotations

from typing import Any

from netdsl.diagnostics import Diagnostic, NetError
from netdsl.network import Network

EPOCHS, BATCH, RATE = 6, 64, 0.01
SHAPE, CLASSES = "1x8x8", 10


def prepared(epochs: int = EPOCHS) -> Any:
    """Return the function that trains a net and returns its accuracy, from 0 to 1, on 600 digits kept aside.

    Adam with a cosine schedule, 1,197 digits, the same first weights and the same order of batches for each net.

    Raises:
        NetError: torch or scikit-learn is missing.
    """
    try:
        import numpy as np
        import torch
        from sklearn.datasets import load_digits  # type: ignore[import-untyped]
        from sklearn.model_selection import train_test_split  # type: ignore[import-untyped]
    except ImportError as error:
        missing = (error.name or "").partition(".")[0]
        package = {"sklearn": "scikit-learn"}.get(missing, missing)
        what = f"the objective digits needs {package}"
        raise NetError([Diagnostic("E509", what, help=f"pip install {package}")]) from None

    found = load_digits()
    images = (found.images / 16).astype(np.float32)[:, None]
    parts = train_test_split(images, found.target, test_size=600, random_state=0, stratify=found.target)
    train, unseen, labels, answers = map(torch.from_numpy, parts)

    def accuracy(net: Network) -> float:
        """Return the share of unseen digits that the trained net finds."""
        shapes = [*map(str, net.inputs.values())], [*map(str, net.outputs.values())]
        if shapes != ([SHAPE], [str(CLASSES)]):
            what = f"the objective digits takes nets from {SHAPE} to {CLASSES}"
            raise ValueError(f"{what}, and this one is from {', '.join(shapes[0])} to {', '.join(shapes[1])}")
        torch.manual_seed(0)
        model = net.build("torch").train()
        optimizer = torch.optim.Adam(model.parameters(), RATE)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs * (len(labels) // BATCH))
        order = torch.Generator().manual_seed(0)
        for _ in range(epochs):
            # the last few digits of an epoch are left out
            for chosen in torch.randperm(len(labels), generator=order)[: -(len(labels) % BATCH)].view(
                -1, BATCH
            ):
                optimizer.zero_grad()
                loss = torch.nn.functional.cross_entropy(model(train[chosen]), labels[chosen])
                loss.backward()  # type: ignore[no-untyped-call]
                optimizer.step()
                schedule.step()
        model.eval()
        with torch.inference_mode():
            right: int = (model(unseen).argmax(1) == answers).sum().item()
        return right / len(answers)

    return accuracy
