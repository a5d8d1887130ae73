"""Budgets: what `require` can claim, about what, and what is said when it does not hold."""

import pytest

import netdsl
from netdsl import api
from netdsl.diagnostics import Diagnostic

SPEC = """
block Head(classes):
    require params <= {head}
    gap
    fc: fc classes

net N(limit = 10K, classes = 10):
    input 3, 8x8
    require {net}
    features:
        require {features}
        stage 1:
            require {stage}
            c1: conv 3x3, 8
        c2: conv 3x3, 8
    head: Head classes
"""


def check(**claims: str) -> list[Diagnostic]:
    """Return what is wrong with the small net under these claims."""
    fine = dict.fromkeys(("net", "features", "stage"), "params >= 0") | {"head": "1K"}
    return api.loads(SPEC.format(**(fine | claims))).check()


@pytest.mark.parametrize(
    "claim",
    [
        "params == 898",
        "params == 898, macs == 50768",
        "params <= 1K",
        "params < 899 and params > 897",
        "not params > 898",
        "params > 1M or macs > 50K",
        "params != 0",
        "898 >= params",
        "macs(batch=8) == 8*macs",
        "activations(batch=2, dtype=float16) == activations",
        "activations(dtype=float64) == 2*activations",
        "params + buffers == 898",
        "params / 1K <= 0.9",
        "macs // params == 56",
        "features.params == 808",
        "features.c2.params == 584",
        "features.c2.macs(batch=2, train=true) == 73_728",
        "head.params == 90 and head.fc.params == head.params",
        "params <= limit",
        "max(features.params, head.params) == features.params",
        "params <= (5M if classes > 100 else 1K)",
        "ops > 0 and buffers == 0",
        "features.receptive_field == 5 and features.c1.receptive_field == 3 and receptive_field == 8",
        "memory == 4*898 + 4*(3*8*8 + 8*8*8 + 8*8*8)",  # the input, and both sides of features.c2
        "memory(batch=2, dtype=float16) == 2*898 + 4*(3*8*8 + 8*8*8 + 8*8*8)",
        "peak == memory - 4*params and features.c1.peak <= peak",
        "memory(train, optimizer=adam) > memory(train=true) and memory(train, batch=8) < memory(batch=64, train)",
        "backward_macs < 2*macs and saved(batch=2) == 2*saved and head.saved < saved",
    ],
)
def test_claims_that_hold(claim: str) -> None:
    assert check(net=claim) == []


@pytest.mark.parametrize(
    ("claim", "message"),
    [
        ("params <= 500", "n: params 898 > 500 (features.c2 has 65%)"),
        ("params < 898", "n: params 898 >= 898 (features.c2 has 65%)"),
        ("params >= 1K", "n: params 898 < 1K"),
        ("1K <= params", "n: 1K > params 898"),
        ("500 >= params", "n: 500 < params 898 (features.c2 has 65%)"),
        ("params == 900", "n: params 898 != 900"),
        ("not params > 5", "n: params 898 > 5 (features.c2 has 65%)"),
        ("macs(batch=8) <= 100K", "n: macs(batch=8) 406.14K > 100K (features.c2 has 73%)"),
        ("macs <= 50767", "n: macs 50,768 > 50767 (features.c2 has 73%)"),
        ("params <= 500 and macs <= 10M", "n: params 898 > 500 (features.c2 has 65%)"),
        (
            "params <= 500 or macs <= 1K",
            "n: params 898 > 500 and macs 50.77K > 1K (features.c2 has 65%)",
        ),
        ("features.params <= 500", "n: features.params 808 > 500 (features.c2 has 72%)"),
        ("receptive_field >= 200", "n: receptive_field 8 < 200"),
        ("features.receptive_field >= 7", "n: features.receptive_field 5 < 7"),
        ("memory <= 8KB", "n: memory 8.46KB > 8KB"),
        ("memory / 2 <= 3K", "n: memory / 2 4.23K > 3K"),
        ("params <= limit / 100", "n: params 898 > 100 (features.c2 has 65%)"),
    ],
)
def test_claims_that_do_not(claim: str, message: str) -> None:
    (found,) = check(net=claim)
    assert (found.code, found.message) == ("E401", message)
    assert found.span is not None
    assert found.span.text == claim


def test_what_a_claim_is_about() -> None:
    assert check(features="params == 808", stage="params == 224", head="90") == []
    (found,) = check(features="params <= 500")
    assert found.message == "n: features.params 808 > 500 (features.c2 has 72%)"
    (found,) = check(stage="params <= 100")
    assert found.message == "n: features, stage 1: params 224 > 100 (features.c1 has 100%)"
    (found,) = check(head="50")
    assert found.message == "n: head.params 90 > 50 (head.fc has 100%)"
    (found,) = check(features="head.params <= 5")
    assert found.code == "E404"


def test_spenders() -> None:
    (found,) = _vgg("params <= 5M")
    assert found.message == "vgg16: params 138.36M > 5M (classifier.0 has 74%)"
    assert found.details == (
        "classifier.0  fc    102,764,544  74.3%",
        "classifier.3  fc     16,781,312  12.1%",
        "classifier.6  fc      4,097,000   3.0%",
        "features.19   conv    2,359,808   1.7%",
        "features.21   conv    2,359,808   1.7%",
    )


def _vgg(claim: str) -> list[Diagnostic]:
    from netdsl import data

    text = data.read("specs", "vgg16.net").replace("params <= 139M, macs <= 15.5G", claim)
    return api.loads(text, "vgg16.net").check()


def test_training_only_layers() -> None:
    body = ["input 3, 8x8", "require macs == 0, params == 224", "train output a: conv 3x3, 8", "gap"]
    text = "net N:\n" + "".join(f"    {line}\n" for line in body)
    assert api.loads(text).check() == []


OPTIMIZER = "an optimizer is of memory in training, got `{}`"


@pytest.mark.parametrize(
    ("claim", "code", "message", "help"),
    [
        ("peak(train) <= 3GB", "E402", "peak in training cannot be checked yet", "peak is that of"),
        ("memory(optimizer=adam) <= 3GB", "E405", OPTIMIZER.format("memory(optimizer=adam)"), "for example"),
        (
            "macs(train, optimizer=adam) <= 3GB",
            "E405",
            OPTIMIZER.format("macs(train, optimizer=adam)"),
            "for",
        ),
        ("memory(train, optimizer=adan) <= 3GB", "E405", "unknown optimizer `adan`", "did you mean `adam`?"),
        ("memory(train, dtype=int8) <= 3GB", "E503", "int8 has no gradients", "train in another"),
        ("features.memory <= 3GB", "E402", "memory of a part cannot be checked yet", "memory is that of"),
        (
            "receptive_field(batch=8) >= 5",
            "E405",
            "`receptive_field` takes no options, got `receptive_field(batch=8)`",
            "",
        ),
        ("params", "E403", "`params` is no comparison", "for example: require params <= 5M"),
        ("true", "E403", "`true` is no comparison", "for example"),
        ("params < 5 and macs", "E403", "`macs` is no comparison", "for example"),
        ("parms <= 5M", "E200", "unknown name `parms`", "did you mean `params`?"),
        (
            "flops <= 5M",
            "E200",
            "unknown name `flops`",
            "FLOPs are `macs` here, of a multiply and an add each, and `ops` what else is computed",
        ),
        ("feature.params <= 5M", "E404", "there is no module `feature` here", "did you mean `features`?"),
        (
            "features.zzz.params <= 5M",
            "E404",
            "there is no module `features.zzz` here",
            "did you mean `features`?",
        ),
        (
            "zzz.params <= 5M",
            "E404",
            "there is no module `zzz` here",
            "the labels here are features, head",
        ),
        ("(1).params <= 5M", "E404", "`(1)` is no module", "a module is named by its label"),
        ("macs(8) <= 5M", "E405", "a quantity takes batch, dtype, train, optimizer, got `8`", "for example"),
        (
            "macs(size=8) <= 5M",
            "E405",
            "a quantity takes batch, dtype, train, optimizer, got `size=8`",
            "for example",
        ),
        ("macs(batch=0) <= 5M", "E405", "batch must be an int from 1, got 0", ""),
        ("macs(batch=1.5) <= 5M", "E405", "batch must be an int from 1, got 1.5", ""),
        ("macs(train=1) <= 5M", "E405", "train must be true or false, got 1", ""),
        ("macs(dtype=float31) <= 5M", "E405", "unknown dtype `float31`", "did you mean `float"),
        ("params <= 3x3", "E203", "a budget compares numbers, got 3x3", ""),
        ("params / 0 <= 5M", "E212", "898 / 0: division by zero", ""),
    ],
)
def test_claims_that_cannot_be_checked(claim: str, code: str, message: str, help: str) -> None:
    (found,) = check(net=claim)
    assert (found.code, found.message) == (code, message)
    assert found.help.startswith(help)


@pytest.mark.parametrize(
    "name", ["vgg16", "resnet50", "efficientnet_b0", "googlenet", "lenet", "nasnet_a_large"]
)
def test_budgets_of_the_zoo_hold(name: str) -> None:
    net = netdsl.load(name)
    assert net.budgets
    assert net.check() == []
