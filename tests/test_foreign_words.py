"""What other frameworks write: the error says what to write here, and that is right, torch's own modules say so."""

import re
import time
from math import prod

import pytest
import torch
from torch import nn

import netdsl
from netdsl import api
from netdsl.cli import main
from netdsl.elaborate.elsewhere import DERIVED, SILENT, instead, layer
from netdsl.elaborate.idioms import ALIASES, IDIOMS, idiom, ops
from netdsl.ops import catalogue
from netdsl.syntax.habits import MAX_LINE, habit


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
        (
            "2 * conv 3x3, 3, /first 2",
            "the first copy's stride: 2 * conv 3x3, 3, /2 first",
            "2 * conv 3x3, 3, /2 first",
        ),
        (
            "2 * conv 3x3, 3, stride=2 first",
            "the first copy's stride: 2 * conv 3x3, 3, /2 first",
            "2 * conv 3x3, 3, /2 first",
        ),
        ("2 * conv 3x3, 3, first /2", "the first copy's stride: /2 first", "2 * conv 3x3, 3, /2 first"),
        (
            "conv 3x3, max(1 * 3, 2), /1 first * 2",
            "a repetition stands in front: 2 * conv 3x3, max(1 * 3, 2), /1 first",
            "2 * conv 3x3, max(1 * 3, 2), /1 first",
        ),
        (
            "from flow -> c: conv 3x3, 3",
            "a label begins its line: c: from flow -> conv 3x3, 3",
            "c: from flow -> conv 3x3, 3",
        ),
        (
            "c: conv 3x3, 3 from flow",
            "what comes in stands before the layer: c: from flow -> conv 3x3, 3",
            "c: from flow -> conv 3x3, 3",
        ),
        (
            "a: relu\nb: tanh\nfrom (a, b) -> add",
            "values have commas between them alone: from a, b -> add",
            "a: relu\nb: tanh\nfrom a, b -> add",
        ),
        (
            "[conv 3x3, 3, act=relu if big]",
            "a step that may be left out: [conv 3x3, 3, act=relu when big]",
            "[conv 3x3, 3, act=relu when big]",
        ),
        ("gap -> dropout 20% -> fc 10", "a part is a fraction, such as 0.2", "gap -> dropout 0.2 -> fc 10"),
        (
            "gap\nrequire params < 2 M",
            "a number and its unit are one word: require params < 2M",
            "gap\nrequire params < 2M",
        ),
        ("gap -> fc in_channels", "the channels of what comes in are x.c", "gap -> fc x.c"),
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
        ("Sequential(conv 3x3, 16, bn, relu)", "a chain: conv 3x3, 16 -> bn -> relu", "conv 3x3, 16 -> bn -> relu"),
        (
            "nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU())",
            "nn.Sequential is a chain: conv 3x3, 8 -> relu",
            "conv 3x3, 8 -> relu",
        ),
        ("nn.Sequential(*layers)", "is a chain: conv 3x3, 16 -> bn -> relu", "conv 3x3, 16 -> bn -> relu"),
        ("x.relu()", "x.relu is called relu here: relu", "relu"),
        ("deconv 2x2, 8, /2, pad=0", "deconv is called upconv here: upconv 2x2, 8, /2", "upconv 2x2, 8, /2"),
        ("tokens\na: attn 3", "attn is called attention here: attention 3", "tokens\na: attention 3"),
        (
            "a: sepconv 5x5, 8",
            "is two layers: dwconv 5x5 as depthwise -> conv 1x1, 8 as pointwise",
            "a: dwconv 5x5 as depthwise -> conv 1x1, 8 as pointwise",
        ),
        (
            "a: tanh\ny = torch.cat([x, a], dim=1)",
            "torch.cat is called concat here: from flow, a -> concat",
            "a: tanh\nfrom flow, a -> concat",
        ),
        ("a: tanh\na = x + a", "by a joint: from x, a -> add", "a: tanh\nfrom x, a -> add"),
        ("a: tanh\na = x * a", "by a joint: from x, a -> mul", "a: tanh\nfrom x, a -> mul"),
        ("x = self.stem(x)", "written where it runs: stem: conv 3x3, 64", "stem: conv 3x3, 64"),
        (
            "a: [conv 3x3, 8, relu, fc 1]",
            "are a chain: a: conv 3x3, 8 -> relu -> fc 1",
            "a: conv 3x3, 8 -> relu -> gap -> fc 1",
        ),
        ("c: conv(64, 3)", "conv 3x3, 64", "c: conv 3x3, 64"),
        ("c: conv(64, kernel_size=5)", "conv 5x5, 64", "c: conv 5x5, 64"),
        ("c: conv(64)", "conv 3x3, 64", "c: conv 3x3, 64"),
        ("relu(inplace=True)", "relu", "relu"),
        ("tokens\nsoftmax(dim=1)", "softmax", "tokens\nsoftmax"),
        ("bn(3)", "bn", "bn"),
        ("s = from x\ntorch.add(x, s)", "from flow, s -> add", "s = from x\nfrom flow, s -> add"),
        ("s = from x\nz = torch.mul(x, s)", "from flow, s -> mul", "s = from x\nfrom flow, s -> mul"),
        ("s = from x\nz = x - s", "from x, s -> sub", "s = from x\nfrom x, s -> sub"),
        ("s = from x\nx * s", "from x, s -> mul", "s = from x\nfrom x, s -> mul"),
        ("tokens\nfc(3, 10)", "fc 10", "tokens\nfc 10"),
        ("s = from x\nfrom s, x -> +", "from s, x -> add", "s = from x\nfrom s, x -> add"),
        ("x ** 2", "from x, x -> mul", "from x, x -> mul"),
        ("-x", "scale -1", "scale -1"),
        ("range(3) * relu", "range is a repetition: 3 * conv 3x3, 16", "3 * conv 3x3, 16"),
        ("[relu -> bn] * 3", "3 * (relu -> bn)", "3 * (relu -> bn)"),
        ("s = from x\noutput s", "output s: from s", "s = from x\noutput s: from s"),
        ("s = x.view(-1, 10)", "n x c of c x h x w, map goes back", "flatten"),
        ("super().__init__()", "super is not needed: leave it out", "relu"),
        ("pass", "a layer that changes nothing: identity", "identity"),
        ("return x\nrelu\ntanh", "makes, and needs no word", "relu\ntanh"),
        ("a: dropout(0.5) * 3", "in front: 3 * dropout 0.5", "a: 3 * dropout 0.5"),
        ("tokens\na: fc(8)+1", "fc (8)+1", "tokens\na: fc (8)+1"),
        ("bm", "bm is called bn here: bn", "bn"),
        ("gap\nDense", "Dense is called fc here: fc 64", "gap\nfc 64"),
        ("nn.LayerNorm2d(3)", "is called ln here: ln", "ln"),
        ("a: tanh\nskip(a)", "skip is a joint: from flow, a -> add", "a: tanh\nfrom flow, a -> add"),
        ("print(flow)", "`netdsl cost` and `netdsl graph` show the shapes", "relu"),
        ("foo(3)", "no op or block here is called `foo`", "relu"),
        ("torch.foo(x)", "no op or block here is called `torch.foo`", "relu"),
        ("conv1d 3, 8", "is an input c, 1xn, and its kernel is 1x3", "conv 1x3, 8"),
        ("nn.Conv3d(3, 8, 3)", "maps have rows and columns, and no depth", "conv 3x3, 8"),
        ("nn.Dropout2d(0.2)", "droppath whole samples, and nothing whole channels", "dropout 0.2"),
        ("dropout2d 0.2", "droppath whole samples, and nothing whole channels", "dropout 0.2"),
        ("y = x -> relu", "a value is taken with `from`: y = from x -> relu", "y = from x -> relu"),
        ("y = relu -> tanh", "`:` names a layer: y: relu -> tanh", "y: relu -> tanh"),
        ("y = conv 3x3, 8", "`:` names a layer: y: conv 3x3, 8", "y: conv 3x3, 8"),
    ],
)  # fmt: skip
def test_help_says_what_to_write(wrong: str, help: str, right: str) -> None:
    assert error(wrong).help.endswith(help)
    if "activation=" not in right:  # there the next habit is another
        assert api.loads(net(right)).outputs


def block(body: str) -> str:
    lines = "".join(f"    {line}\n" for line in body.splitlines())
    return (
        f"block U(c, r = 4, wide = 0.5, stride = 1):\n{lines}\nnet N:\n    input 3, 32x32\n"
        "    conv1: conv 3x3, 16\n    u: U 32\n"
    )


@pytest.mark.parametrize(
    ("wrong", "help", "right"),
    [
        ("gap -> fc x.c/r", "// divides whole numbers: x.c//r", "gap -> fc x.c//r"),
        ("gap -> fc x.c / r", "// divides whole numbers: x.c//r", "gap -> fc x.c//r"),
        ("gap -> fc channels=x.c/2", "// divides whole numbers: x.c//2", "gap -> fc channels=x.c//2"),
        ("conv 3x3, c/r", "// divides whole numbers: c//r", "conv 3x3, c//r"),
        ("conv 3x3, c /2", "a stride follows a comma: c, /2", "conv 3x3, c, /2"),
        ("conv 3x3, 64/2", "a stride follows a comma: 64, /2", "conv 3x3, 64, /2"),
        ("conv 3x3, 64/2, stride=2", "// divides whole numbers: 64//2", "conv 3x3, 64//2, stride=2"),
        (
            "conv 3x3, c*wide",
            "or down: make_divisible(c*wide, 8) or int(c*wide)",
            "conv 3x3, make_divisible(c*wide, 8) -> conv 3x3, int(c*wide)",
        ),
        ("conv 3x3, c/wide", "make_divisible(c/wide, 8) or int(c/wide)", "conv 3x3, int(c/wide)"),
        ("gap -> fc channels=c*wide", "make_divisible(c*wide, 8) or int(c*wide)", "gap -> fc channels=int(c*wide)"),
        ("conv 3x3, make_divisible(c)", "make_divisible(c, divisor=8)", "conv 3x3, make_divisible(c, divisor=8)"),
        ("conv 3x3, make_divisible(c, 8, 4)", "make_divisible(c, 8)", "conv 3x3, make_divisible(c, 8)"),
        ("gap -> conv 1x1, c", "fc 32, or avgpool to=1 in the place of gap", "gap -> fc c"),
        ("gap -> conv 1x1, c", "fc 32, or avgpool to=1 in the place of gap", "avgpool to=1 -> conv 1x1, c"),
        ("gap -> dwconv 3x3", "avgpool to=1 in the place of gap", "avgpool to=1 -> dwconv 3x3"),
        ("gap -> conv 1x1, c, groups=4", "avgpool to=1 in the place of gap", "avgpool to=1 -> conv 1x1, c, groups=4"),
        (
            "add:\n    conv: conv 3x3, c, /2\n    identity when r == 3",
            "to leave the branch out: if r == 3: identity",
            "add:\n    conv: conv 3x3, c, /2\n    if r == 3: identity",
        ),
        (
            "add:\n    conv: conv 3x3, c\n    short: identity when r == 3 and x.c == c",
            "to leave the branch out: if r == 3 and x.c == c: short: identity",
            "add:\n    conv: conv 3x3, c\n    if r == 3 and x.c == c: short: identity",
        ),
        ("bn 16", "are not written, they follow from what comes in: bn", "bn"),
        ("ln x.c, eps=1e-6", "they follow from what comes in: ln eps=1e-6", "ln eps=1e-6"),
        ("gn 8, 16", "they follow from what comes in: gn 8", "gn 8"),
        ("dwconv 3x3, 64", "they follow from what comes in: dwconv 3x3", "dwconv 3x3"),
        ("dwconv 3x3, 16, /2", "they follow from what comes in: dwconv 3x3, /2", "dwconv 3x3, /2"),
        ("bn 0.9", "by name: momentum=0.9", "bn momentum=0.9"),
        ("bn 0.001", "by name: eps=0.001", "bn eps=0.001"),
    ],
)  # fmt: skip
def test_help_in_a_block_says_what_to_write(wrong: str, help: str, right: str) -> None:
    with pytest.raises(netdsl.NetError) as caught:
        api.loads(block(wrong))
    assert [one.help[-len(help) :] for one in caught.value.diagnostics] == [help]
    assert api.loads(block(right)).outputs


@pytest.mark.parametrize(
    ("wrong", "help", "right"),
    [
        ("conv 3x3, 16, stride 2", "a stride has a slash: conv 3x3, 16, /2", "conv 3x3, 16, /2"),
        ("conv 3x3, 16, padding 1 -> relu", "conv 3x3, 16, pad=1 -> relu", "conv 3x3, 16, pad=1 -> relu"),
        ("conv 5x5, 16, dilation 2", "conv 5x5, 16, dilation=2", "conv 5x5, 16, dilation=2"),
        (
            "conv 3x3, 16 if c > 5 else conv 1x1, 16",
            "[conv 3x3, 16 when c > 5] -> [conv 1x1, 16 when not (c > 5)]",
            "[conv 3x3, 16 when c > 5] -> [conv 1x1, 16 when not (c > 5)]",
        ),
        ("conv 3x3, c unless c > 5", "follows `when`: conv 3x3, c when not (c > 5)", "conv 3x3, c when not (c > 5)"),
        ("repeat r conv 3x3, 16", "a repetition is a product: r * conv 3x3, 16", "r * conv 3x3, 16"),
        ("repeat 2: conv 3x3, 16", "a repetition is a product: 2 * conv 3x3, 16", "2 * conv 3x3, 16"),
        ("3 x conv 3x3, 8", "a repetition is a product: 3 * conv 3x3, 8", "3 * conv 3x3, 8"),
        ("3x conv 3x3, 8", "a repetition stands in front: 3 *", "3 * conv 3x3, 8"),
        (
            "2 * conv 3x3, c, /2 first if r > 3, bias=false",
            "2 * conv 3x3, c, /(2 if r > 3 else 1) first, bias=false",
            "2 * conv 3x3, c, /(2 if r > 3 else 1) first, bias=false",
        ),
        ("conv 3x3, c, /2 if r > 3", "conv 3x3, c, /(2 if r > 3 else 1)", "conv 3x3, c, /(2 if r > 3 else 1)"),
        (
            "conv 3x3, c, /2 when r > 3, bias=false",
            "conv 3x3, c, /(2 if r > 3 else 1), bias=false",
            "conv 3x3, c, /(2 if r > 3 else 1), bias=false",
        ),
        ("when c > 5:\n    relu\ntanh", "an if: if c > 5:", "if c > 5:\n    relu\ntanh"),
        ("unless c > 5:\n    relu\ntanh", "an if: if not (c > 5):", "if not (c > 5):\n    relu\ntanh"),
        (
            "y = conv1: conv 3x3, 8\nfrom y -> tanh",
            "names a layer in a line: y = from flow -> conv 3x3, 8 as conv1",
            "y = from flow -> conv 3x3, 8 as conv1\nfrom y -> tanh",
        ),
        ("2 * conv 3x3, 16, /2 on first", "2 * conv 3x3, 16, /2 first", "2 * conv 3x3, 16, /2 first"),
        ("conv 16 3x3", "the size first, and a comma: conv 3x3, 16", "conv 3x3, 16"),
        ("conv 16 3x3, /2 -> relu", "conv 3x3, 16, /2 -> relu", "conv 3x3, 16, /2 -> relu"),
        ("conv 3, 3, 16", "conv 3x3, 16", "conv 3x3, 16"),
        ("conv 3 x 5, 16", "sizes are written 3x3: conv 3x5, 16", "conv 3x5, 16"),
        ("conv (3,5), 8", "sizes are written 3x3: conv 3x5, 8", "conv 3x5, 8"),
        ("conv 3x3, 8, stride=(2, 1)", "conv 3x3, 8, stride=2x1", "conv 3x3, 8, stride=2x1"),
        ("conv [3,5], 8", "sizes are written 3x5", "conv 3x5, 8"),
        ("conv [r,5], 8, pad=1", "dims(r, 5)", "conv dims(r, 5), 8, pad=1"),
        ("conv 3*5, 8", "sizes are written 3x5", "conv 3x5, 8"),
        ("conv r, 8, pad=1", "dimensions that are computed: dims(r, r)", "conv dims(r, r), 8, pad=1"),
        ("conv rxr, 8, pad=1", "dims(r, r)", "conv dims(r, r), 8, pad=1"),
        ("conv 1xr, 8, pad=1", "dims(1, r)", "conv dims(1, r), 8, pad=1"),
        ("conv 3x3 /2, 8", "a stride follows a comma: 3x3, /2", "conv 3x3, /2, 8"),
        ("widths = (16, 32)\nconv 3x3, widths[0]", "widths = [16, 32]", "widths = [16, 32]\nconv 3x3, widths[0]"),
        ("widths = [8] + [16, 4]\nrelu", "one is written out: [8, 16, 4]", "widths = [8, 16, 4]\nrelu"),
        ("upsample 2, mode=bilinear", 'a text has quotes: mode="bilinear"', 'upsample 2, mode="bilinear"'),
        ("y: tanh\nreturn y + x", "from y, x -> add", "y: tanh\nfrom y, x -> add"),
        ("y: tanh\ny += x\nrelu", "y = from y, x -> add", "y: tanh\ny = from y, x -> add\nrelu"),
        ("x += 1\nrelu", "a number is added to a value: offset 1", "offset 1\nrelu"),
        ("relu\nx *= 0.5", "a value is multiplied by a number: scale 0.5", "relu\nscale 0.5"),
        ("w = c\nw += 1\nconv 3x3, w", "given anew: w = w + 1", "w = c\nw = w + 1\nconv 3x3, w"),
        ("w = c\nw += c / (3 * r)\nconv 3x3, int(w)", "anew: w = w + c / (3 * r)",
         "w = c\nw = w + c / (3 * r)\nconv 3x3, int(w)"),
        ("w = c\nw //= r + 1\nconv 3x3, w", "anew: w = w // (r + 1)", "w = c\nw = w // (r + 1)\nconv 3x3, w"),
        ("avgpool 2x2, /2 when r > 1 -> pad after=c - x.c", "out: [avgpool 2x2, /2 when r > 1] -> pad after=c - x.c",
         "[avgpool 2x2, /2 when r > 1] -> pad after=c - x.c"),
        ("y: tanh\nrelu\nx += y", "from flow, y -> add", "y: tanh\nrelu\nfrom flow, y -> add"),
        ("y: tanh\nfrom y - x -> relu", "from y, x -> sub -> relu", "y: tanh\nfrom y, x -> sub -> relu"),
        ("y: tanh\nfrom y * x", "from y, x -> mul", "y: tanh\nfrom y, x -> mul"),
        ("gap -> 1 - x", "gap -> scale -1 -> sigmoid", "gap -> scale -1 -> sigmoid"),
        ("relu -> +", "values are joined by a joint: (identity | relu) -> add", "(identity | relu) -> add"),
        ("bn >> relu", "arrows are written ->: bn -> relu", "bn -> relu"),
        ("conv 3x3, 8 => relu", "arrows are written ->: conv 3x3, 8 -> relu", "conv 3x3, 8 -> relu"),
        ("conv 3x3, 8 - > relu", "arrows are written ->: conv 3x3, 8 -> relu", "conv 3x3, 8 -> relu"),
        ("conv 3x3, 8 ->", "may begin the next: conv 3x3, 8", "conv 3x3, 8"),
        ("conv 3x3, 16,", "no comma ends a line, a statement is one: conv 3x3, 16", "conv 3x3, 16"),
        ("if c > 5:\n    relu\nelse if c > 3:\n    tanh", "elif c > 3:",
         "if c > 5:\n    relu\nelif c > 3:\n    tanh"),
        ("if c > 5 then:\n    relu", "follows a condition: if c > 5:", "if c > 5:\n    relu"),
        ("while c > 5:\n    relu", "a list or a range: for i in range(3):", "for i in range(3):\n    relu"),
        ("relu when c is not None", "to compare, write !=: relu when c != none", "relu when c != none"),
        ("if c is none:\n    relu\ntanh", "write ==: if c == none:", "if c == none:\n    relu\ntanh"),
        ('for i in range(3):\n    f"c{i}": relu', '"c{i}": relu', 'for i in range(3):\n    "c{i}": relu'),
        ("relu // and so on", "a comment begins with #: relu  # and so on", "relu  # and so on"),
        ("// so\nrelu", "a comment begins with #: # so", "# so\nrelu"),
        ('"""doc"""\nrelu', "a comment begins with #: # doc", "# doc\nrelu"),
        ('"""doc\nrelu', "a comment begins with #: # doc", "# doc\nrelu"),
        ("maxpool (r, r), /2", "computed: maxpool dims(r, r), /2", "maxpool dims(r, r), /2"),
        ("x = x.mean((2, 3))", "the mean of a map: gap", "gap"),
        ("x = x.mean((2, 3), keepdim=True)", 'the mean of a map: mean "hw", keep=true', 'mean "hw", keep=true'),
        ("gap -> nn.Linear 10", "the module of a layer is not written: fc 10", "gap -> fc 10"),
        ("a, b = split 2\nfrom a", "a, b = from flow -> split 2", "a, b = from flow -> split 2\nfrom a"),
        (
            "a, b = (slice 0, 4 | slice 4, 16)\nfrom a",
            "a, b = from flow -> (slice 0, 4 | slice 4, 16)",
            "a, b = from flow -> (slice 0, 4 | slice 4, 16)\nfrom a",
        ),
        ("a = relu\nfrom a -> tanh", "where it is made: a = from flow -> ...",
         "a = from flow -> relu\nfrom a -> tanh"),
    ],
)  # fmt: skip
def test_a_line_that_is_written_as_elsewhere_says_how(wrong: str, help: str, right: str) -> None:
    with pytest.raises(netdsl.NetError) as caught:
        api.loads(block(wrong))
    assert [one.help[-len(help) :] for one in caught.value.diagnostics] == [help]
    assert api.loads(block(right)).outputs


@pytest.mark.parametrize(
    ("wrong", "help", "right"),
    [
        ("class N(nn.Module):\n    input 3, 8x8\n    relu", "net N:", "net N:\n    input 3, 8x8\n    relu"),
        ("model N(c = 3):\n    input c, 8x8\n    relu", "net N(c = 3):", "net N(c = 3):\n    input c, 8x8\n    relu"),
        ("import torch.nn as nn\nnet N:\n    input 3, 8x8\n    relu", "leave it out",
         "net N:\n    input 3, 8x8\n    relu"),
        ("from torch import nn\nnet N:\n    input 3, 8x8\n    relu", "leave it out",
         "net N:\n    input 3, 8x8\n    relu"),
        ("net N:\n    input (3, 8, 16)\n    relu", "input 3, 8x16", "net N:\n    input 3, 8x16\n    relu"),
        ("net N:\n    input 3, 8 x 16\n    relu", "input 3, 8x16", "net N:\n    input 3, 8x16\n    relu"),
        (
            "net N:\n    input 3, 8x8\n    relu\n    require params <= 1k",
            "a thousand: 1K",
            "net N:\n    input 3, 8x8\n    relu\n    require params <= 1K",
        ),
        (
            "def f(v: float, w: int) = int(v*w)\nnet N:\n    input 3, 8x8\n    conv 3x3, f(2, 4)",
            "def f(v, w) = int(v*w)",
            "def f(v, w) = int(v*w)\nnet N:\n    input 3, 8x8\n    conv 3x3, f(2, 4)",
        ),
        (
            "def f(v):\n    return v * 2\nnet N:\n    input 3, 8x8\n    conv 3x3, f(2)",
            "a function is one expression: def f(v) = ...",
            "def f(v) = v * 2\nnet N:\n    input 3, 8x8\n    conv 3x3, f(2)",
        ),
        ("net N:\n    input (3, 8, 8)\n    relu", "input 3, 8x8", "net N:\n    input 3, 8x8\n    relu"),
        ("net N:\n    input (1, 3, 8, 8)\n    relu", "input 3, 8x8", "net N:\n    input 3, 8x8\n    relu"),
        ("net N:\n    input (64, 64, 3)\n    relu", "input 3, 64x64", "net N:\n    input 3, 64x64\n    relu"),
        ("net N:\n    input shape=(3, 8, 9)\n    relu", "input 3, 8x9", "net N:\n    input 3, 8x9\n    relu"),
        ("net N:\n    input a: (3, 8, 9)\n    relu", "input a: 3, 8x9", "net N:\n    input a: 3, 8x9\n    relu"),
        ("net N:\n    input a (3, 8, 9)\n    relu", "input a: 3, 8x9", "net N:\n    input a: 3, 8x9\n    relu"),
        ("net N:\n    input a(32, 32, 1)\n    relu", "input a: 1, 32x32", "net N:\n    input a: 1, 32x32\n    relu"),
        ("net N:\n    input a: 32x32, 3\n    relu", "input a: 3, 32x32", "net N:\n    input a: 3, 32x32\n    relu"),
        (
            "net N(w = 1.0):\n    input 3, 8x8\n    conv 3x3, w(8)\ndef w(n) = n",
            "call one of them otherwise: `w` is a function, too",
            "net N(wide = 1.0):\n    input 3, 8x8\n    conv 3x3, w(8)\ndef w(n) = n",
        ),
        (
            "net N:\n    input 3, 8x8\n    add:\n        x\n        tanh",
            "take it with: from x",
            "net N:\n    input 3, 8x8\n    add:\n        from x\n        tanh",
        ),
        (
            "net N:\n    input 3, 8x8\n    a: tanh\n    b: a -> relu  # so",
            "take it with: from a -> relu",
            "net N:\n    input 3, 8x8\n    a: tanh\n    b: from a -> relu  # so",
        ),
        ('import X from "net"\nnet N:\n    input 3, 8x8\n    relu', '"net.net"',
         "net N:\n    input 3, 8x8\n    relu"),
    ],
)  # fmt: skip
def test_a_file_that_is_written_as_elsewhere_says_how(wrong: str, help: str, right: str) -> None:
    with pytest.raises(netdsl.NetError) as caught:
        api.loads(f"{wrong}\n")
    assert caught.value.diagnostics[0].help.endswith(help)
    assert api.loads(f"{right}\n").outputs


def test_lines_are_looked_at_in_no_time() -> None:
    begin = time.perf_counter()
    for part in (
        "a, ",
        "a -> ",
        "1 x ",
        "from a ",
        "(1, ",
        "a if ",
        "a + ",
        "//a ",
        "a: ",
        "a, /2 if ",
        "(1, 1, 64",
        "a when b -> ",
        "w += 1 * ",
    ):
        habit((part * MAX_LINE)[:MAX_LINE])
    assert time.perf_counter() - begin < 5


LABELLED = net("stem: conv 3x3, 16")


@pytest.mark.parametrize("name", IDIOMS)
def test_what_is_no_op_is_said_by_a_step_that_is_right(name: str) -> None:
    found = idiom(name)
    assert found is not None
    assert not ops(name)
    assert instead(name) == f"{name} is {found}"
    if found.step:
        assert api.loads(f"{LABELLED}    one: {found.step}\n").outputs


def test_what_everybody_calls_so_is_an_op() -> None:
    for name, op in ALIASES.items():
        assert [one.name for one in ops(name)] == [op]


@pytest.mark.parametrize(
    ("call", "step"),
    [
        ("make_layer(Unit, 8, 3)", "3 * Unit 8"),
        ("self._make_layer(Unit, 8, 2, stride=2)", "2 * Unit 8, /2 first"),
        ("self._make_layer(Unit, 8, 2, 1)", "2 * Unit 8"),
        ("make_layer(Unit, planes, 2)", "3 * conv 3x3, 16"),
    ],
)
def test_copies_of_a_block_are_a_repetition(call: str, step: str) -> None:
    text = f"block Unit(c, stride = 1):\n    conv 3x3, c, /stride\n\n{LABELLED}"
    with pytest.raises(netdsl.NetError) as caught:
        api.loads(f"{text}    layer: {call}\n")
    assert caught.value.diagnostics[0].help.endswith(f"is a repetition: {step}")
    assert api.loads(f"{text}    layer: {step}\n").outputs


def test_a_block_of_nearly_that_name_is_meant() -> None:
    text = f"block Residual(c):\n    conv 3x3, c\n\n{LABELLED}    layer: residual 16\n"
    with pytest.raises(netdsl.NetError, match="did you mean `Residual`"):
        api.loads(text)


@pytest.mark.parametrize("name", ["se", "SE", "SELayer", "squeeze_excitation", "timm.layers.SqueezeExcite"])
def test_squeeze_and_excitation_is_a_gate(name: str) -> None:
    assert "fc flow.c//4" in instead(name)


def test_explain_knows_what_is_no_op(capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("nn.Sequential", "view", "F.normalize", "stack", "LayerNorm2d", "conv1d"):
        assert main(["explain", name]) == 0
        assert capsys.readouterr().out.startswith(f"{name} is ")


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


@pytest.mark.parametrize(
    ("line", "codes"),
    [
        ("bnn -> relux -> tanq", ["E201: bnn", "E201: relux", "E201: tanq"]),
        ("3 * (bnn -> relu -> tanq)", ["E201: bnn", "E201: tanq"]),
        ("bnn -> conv 3x3, 16 as a -> conv 3x3, a.c -> tanq", ["E201: bnn", "E201: tanq"]),
        ("relu -> bnn -> conv 3x3, 8, foo=1", ["E201: bnn"]),
        ("conv 3x3, 8, foo=1 -> relux", ["E202: foo=1"]),
    ],
)
def test_all_ops_of_a_chain_that_nobody_knows_are_said(line: str, codes: list[str]) -> None:
    with pytest.raises(netdsl.NetError) as caught:
        api.loads(net(line))
    assert [f"{one.code}: {one.span.text}" for one in caught.value.diagnostics if one.span] == codes


def test_all_labels_that_are_no_keys_are_said() -> None:
    with pytest.raises(netdsl.NetError) as caught:
        api.loads(net("class: relu\nlambda: tanh\nreturn_: gelu\nself: relu"))
    assert [f"{one.code}: {one.span.text}" for one in caught.value.diagnostics if one.span] == [
        "E219: class",
        "E219: lambda",
        "E219: self",
    ]


def test_what_makes_no_module_is_no_key_behind_an_error() -> None:
    with pytest.raises(netdsl.NetError) as caught:
        api.loads(net("a: tanh\nbnn\nhalf: from a\nto: from a, x -> add"))
    assert [one.code for one in caught.value.diagnostics] == ["E201"]


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


def test_a_stride_of_what_has_none_is_answered() -> None:
    with pytest.raises(netdsl.NetError, match="unknown op `where`"):
        netdsl.loads("net N:\n    input 3, 8x8\n    a: where 3, 4, /2\n")
