"""What other frameworks write: the error says what to write here, and that is right, torch's own modules say so."""

import re
from math import prod

import pytest
import torch
from torch import nn

import netdsl
from netdsl import api
from netdsl.elaborate.elsewhere import DERIVED, SILENT, layer
from netdsl.ops import catalogue


def net(body: str) -> str:
    lines = "".join(f"    {line}\n" for line in body.splitlines())
    return f"net N(big = true):\n    input 3, 32x32\n{lines}"


def error(body: str) -> netdsl.Diagnostic:
    with pytest.raises(netdsl.NetError) as caught:
        api.loads(net(body))
    assert len(caught.value.diagnostics) == 1, str(caught.value)
    return caught.value.diagnostics[0]


@pytest.mark.parametrize(
    ("wrong", "help", "right"),
    [
        ("gap -> linear 10", "linear is called fc here: fc 10", "gap -> fc 10"),
        ("gap -> dense 10", "dense is called fc here: fc 10", "gap -> fc 10"),
        ("gap -> Linear 512, 10", "Linear is called fc here: fc 10", "gap -> fc 10"),
        ("batchnorm", "batchnorm is called bn here: bn", "bn"),
        ("batchnorm2d", "batchnorm2d is called bn here: bn", "bn"),
        ("layernorm", "layernorm is called ln here: ln", "ln"),
        ("group_norm 3", "group_norm is called gn here: gn 3", "gn 3"),
        ("Conv2d(3, 64, 3)", "Conv2d is called conv here: conv 3x3, 64, pad=0", "conv 3x3, 64, pad=0"),
        ("nn.Conv2d(3, 64, 3)", "nn.Conv2d is called conv here: conv 3x3, 64, pad=0", "conv 3x3, 64, pad=0"),
        ("relu -> nn.Conv2d(3, 64, 3, padding=1)", "here: conv 3x3, 64", "relu -> conv 3x3, 64"),
        ("Conv2d 3x3, 64", "Conv2d is called conv here: conv 3x3, 64", "conv 3x3, 64"),
        ("Conv2d 3, 64, 3", "Conv2d is called conv here: conv 3x3, 64, pad=0", "conv 3x3, 64, pad=0"),
        ("c = Conv2d(3, 64, 1)", "`:` names a layer: c: conv 1x1, 64", "c: conv 1x1, 64"),
        ("self.c = nn.Conv2d(3, 64, 1)", "`:` names a layer: c: conv 1x1, 64", "c: conv 1x1, 64"),
        ("swish", "swish is called silu here: silu", "silu"),
        ("F.relu(x)", "F.relu is called relu here: relu", "relu"),
        (
            "x = x + dwconv 3x3",
            "a sum of values is a joint: (identity | dwconv 3x3 as dwconv1) -> add",
            "(identity | dwconv 3x3 as dwconv1) -> add",
        ),
        (
            "x += conv 3x3, 3, pad=1",
            "is a joint: (identity | conv 3x3, 3, pad=1 as conv1) -> add",
            "(identity | conv 3x3, 3, pad=1 as conv1) -> add",
        ),
        (
            "a: tanh\nb = conv 3x3, 3 + a",
            "is a joint: b = from flow -> (conv 3x3, 3 as conv0 | from a) -> add",
            "a: tanh\nb = from flow -> (conv 3x3, 3 as conv0 | from a) -> add",
        ),
        (
            "x = relu + dwconv 3x3",
            "is a joint: (relu | dwconv 3x3 as dwconv1) -> add",
            "(relu | dwconv 3x3 as dwconv1) -> add",
        ),
        ("torch.relu(self.bn1(x))", "torch.relu is called relu here: relu", "relu"),
        ("relu(x)", "relu", "relu"),
        ("conv(x, 3x3, 64)", "conv 3x3, 64", "conv 3x3, 64"),
        ("F.max_pool2d(out, 2)", "F.max_pool2d is called maxpool here: maxpool 2x2", "maxpool 2x2"),
        ("F.conv2d(x, w, b, 2)", "is called conv here, such as conv 3x3, 64", "conv 3x3, 64"),
        ("jax.nn.gelu(x)", "jax.nn.gelu is called gelu here: gelu", "gelu"),
        ("Softmax(dim=1)", "Softmax is called softmax here: softmax", "softmax"),
        ("layers.Softmax(axis=-1)", "layers.Softmax is called softmax here: softmax", "softmax"),
        ("RMSNorm(64)", "RMSNorm is called rms_norm here: rms_norm", "rms_norm"),
        ("nn.Conv2d(3, *sizes)", "is called conv here, such as conv 3x3, 64", "conv 3x3, 64"),
        ("conv 3x3, 8, act=swish", "swish is called silu here", "conv 3x3, 8, act=silu"),
        ("conv 3x3, 8, act=nn.ReLU()", "nn.ReLU is called relu here: relu", "conv 3x3, 8, act=relu"),
        ("conv 3x3, 8, act=nn.ReLU", "nn.ReLU is called relu here: relu", "conv 3x3, 8, act=relu"),
        ("conv 3x3, 8, norm=BatchNorm2d", "BatchNorm2d is called bn here", "conv 3x3, 8, norm=bn"),
        ("MaxPool2d 2", "MaxPool2d is called maxpool here: maxpool 2x2", "maxpool 2x2"),
        ("MaxPool2d", "MaxPool2d is called maxpool here: maxpool 3x3", "maxpool 3x3"),
        ("MaxPool2d(3, 2, 1)", "here: maxpool 3x3, /2, pad=1", "maxpool 3x3, /2, pad=1"),
        ("AdaptiveAvgPool2d(1)", "is called avgpool or gap here: avgpool to=1", "avgpool to=1"),
        ("AdaptiveAvgPool2d", "is called avgpool or gap here: avgpool to=1", "avgpool to=1"),
        ("conv 3x3, 8 -> pixelshuffle 2", "here: pixel_shuffle 2", "conv 3x3, 8 -> pixel_shuffle 2"),
        ("default Conv2d 3x3\nrelu", "Conv2d is called conv here", "default conv 3x3\nrelu"),
        ("conv 3x3, 8, bias=False", "did you mean `false`?", "conv 3x3, 8, bias=false"),
        ("conv 3x3, 8, norm=None", "did you mean `none`?", "conv 3x3, 8, norm=none"),
        ("conv 3x3, 8, padding='valid'", "pad=0", "conv 3x3, 8, pad=0"),
        ('conv 3x3, 8, padding="valid"', "did you mean `pad=0`?", "conv 3x3, 8, pad=0"),
        ('conv 3x3, 8, pad="valid"', "did you mean `pad=0`?", "conv 3x3, 8, pad=0"),
        ("conv 3x3, 8, pad=valid", "without padding: pad=0", "conv 3x3, 8, pad=0"),
        ('conv 3x3, 8, padding="same"', "did you mean `pad=same`?", "conv 3x3, 8, pad=same"),
        ("conv 3x3, 8, padding=1", "did you mean `pad=1`?", "conv 3x3, 8, pad=1"),
        ("conv 3x3, 8, strides=2", "did you mean `stride=2`?", "conv 3x3, 8, stride=2"),
        ("conv 3x3, 8, activation='relu'", '"relu"', 'conv 3x3, 8, activation="relu"'),
        ('conv 3x3, 8, activation="relu"', "did you mean `act=relu`?", "conv 3x3, 8, act=relu"),
        ("conv channels=8, kernel_size=3", "did you mean `kernel=3x3`?", "conv channels=8, kernel=3x3"),
        ("conv 3x3, 8, in_channels=3", "leave it out: in_channels follows from what comes in", "conv 3x3, 8"),
        ("relu -> identity if big", "may be left out: [identity when big]", "relu -> [identity when big]"),
        ("identity if big", "a condition follows `when`: identity when big", "identity when big"),
        ("conv 3x3, 8 if big", "a condition follows `when`: conv 3x3, 8 when big", "conv 3x3, 8 when big"),
        ("relu if big else tanh", "in parentheses: (relu if big else tanh)", "(relu if big else tanh)"),
        ("(relu if big | identity) -> concat", "left out: [relu when big]", "([relu when big] | identity) -> concat"),
        ("y = x -> relu", "a value is taken with `from`: y = from x -> relu", "y = from x -> relu"),
        ("y = relu -> tanh", "`:` names a layer: y: relu -> tanh", "y: relu -> tanh"),
        ("y = conv 3x3, 8", "`:` names a layer: y: conv 3x3, 8", "y: conv 3x3, 8"),
    ],
)  # fmt: skip
def test_help_says_what_to_write(wrong: str, help: str, right: str) -> None:
    assert error(wrong).help.endswith(help)
    if "activation=" not in right:  # there the next habit is another
        assert api.loads(net(right)).outputs


CALLS = [
    "nn.Softmax(dim=1)",
    "nn.Conv2d(8, 16, 3)",
    "nn.Conv2d(8, 16, (3, 5), stride=(2, 1), padding=(1, 2))",
    "nn.Conv2d(8, 16, 3, 2, 1, bias=False)",
    "nn.Conv2d(8, 16, 3, padding=2, dilation=2, groups=4)",
    "nn.Conv2d(8, 16, 4, padding=1)",
    "nn.Conv2d(in_channels=8, out_channels=16, kernel_size=5)",
    "nn.Conv2d(8, 16, 3, padding='same')",
    "nn.Conv2d(8, 16, 3, padding='valid')",
    "nn.ConvTranspose2d(8, 16, 2, stride=2)",
    "nn.ConvTranspose2d(8, 16, 3, 2, 1, 1, bias=False)",
    "nn.MaxPool2d(2)",
    "nn.MaxPool2d(3, 2, 1)",
    "nn.MaxPool2d(3, stride=2, ceil_mode=True)",
    "nn.AvgPool2d(3, 1, 1, count_include_pad=False)",
    "nn.AdaptiveAvgPool2d(1)",
    "nn.AdaptiveAvgPool2d((3, 5))",
    "nn.BatchNorm2d(8)",
    "nn.BatchNorm2d(8, affine=False)",
    "nn.GroupNorm(4, 8)",
    "nn.InstanceNorm2d(8)",
    "nn.InstanceNorm2d(8, affine=True)",
    "nn.Dropout(0.2)",
    "nn.PixelShuffle(2)",
    "nn.PixelUnshuffle(2)",
    "nn.LeakyReLU(0.1, inplace=True)",
    "nn.ReLU(True)",
    "nn.ELU(0.5)",
    "nn.SiLU(inplace=True)",
    "nn.Upsample(scale_factor=2, mode='bilinear')",
    "nn.Flatten()",
]


@pytest.mark.parametrize("call", CALLS)
def test_a_module_of_torch_is_the_layer_that_is_said(call: str) -> None:
    """Shape, parameters and, where nothing is learned or drawn, every number, in evaluation."""
    module = eval(call, {"nn": nn}).eval()
    here = layer(call)
    assert here
    one = api.loads(f"net N:\n    input 8, 12x14\n    {here}\n")
    x = torch.randn(2, 8, 12, 14, generator=torch.Generator().manual_seed(0))
    assert [tuple(shape) for shape in one.outputs.values()] == [tuple(module(x).shape[1:])]
    assert one.cost().params == sum(prod(p.shape) for p in module.parameters())
    built = one.build("torch").eval()
    keys = {key.rpartition(".")[2]: value for key, value in module.state_dict().items()}
    built.load_state_dict({key: keys[key.rpartition(".")[2]] for key in built.state_dict()})
    torch.testing.assert_close(built(x), module(x))


@pytest.mark.parametrize(
    "call",
    [
        "nn.Conv2d(3, 64, 3, padding_mode='circular')",
        "nn.Softmax(dim=2)",
        "nn.Conv2d(3, 64, k)",
        "F.conv2d(x, w, b, 2)",
    ],
)
def test_what_is_not_known_to_be_the_same_is_not_said(call: str) -> None:
    assert layer(call) == ""


def test_calls_take_fields_of_their_op() -> None:
    for op in catalogue().values():
        names = {name.lower() for name in op.elsewhere.names()}
        for name, takes in op.elsewhere.calls.items():
            assert name.lower() in names
            fields = {one.partition("=")[0] for one in takes.split(", ")} - {"_", "act", "to"}
            assert fields <= {*op._fields}, op.name
    assert all(re.fullmatch(r"[a-z_]+", one) for one in DERIVED | SILENT)


def test_a_reserved_word_is_one_error_however_often_it_stands() -> None:
    text = "table t(when, c):\n    1, 2\nnet N:\n    input 3, 32x32\n    for when, c in t:\n        conv 3x3, when\n"
    with pytest.raises(netdsl.NetError) as caught:
        api.loads(text)
    (one,) = caught.value.diagnostics
    assert (one.code, one.help) == ("E114", "`when` is a reserved word: choose another name, such as when1")


def test_what_is_long_is_not_looked_into() -> None:
    assert layer(f"Conv2d(3, 64, 3{' ' * 100})") == "conv 3x3, 64, pad=0"
    assert layer(f"Conv2d(3, 64, 3{' ' * 100_000})") == ""


@pytest.mark.parametrize("line", ["identity if", "relu if big if big"])
def test_a_condition_that_is_none_is_not_repeated(line: str) -> None:
    assert error(line).help == ""
