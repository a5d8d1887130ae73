"""What findings say of numbers, and that a help works where it is pasted: at other sizes, in blocks, with labels."""

import re
from itertools import product

import pytest
import torch

from netdsl import api
from netdsl.lint.config import Settings
from netdsl.lint.engine import Loaded, Run
from netdsl.lint.finding import Finding
from netdsl.lint.fix import fix
from netdsl.network import Network
from netdsl.quantities import amounts


def load(text: str) -> Loaded:
    """Return the nets of a text."""
    file = api.read_text(text)
    return Loaded(file, [Network(api.recipe(file, name, {}, {})) for name in api.distinct(file)], True)


def lint(text: str, *rules: str) -> list[Finding]:
    """Return what rules find in a text."""
    return Run(load(text), Settings(select=rules)).findings()


def one(text: str, rule: str) -> Finding:
    """Return the one finding of a rule."""
    (found,) = lint(text, rule)
    return found


def at(text: str, *rules: str) -> list[tuple[str, int]]:
    """Return what rules find, with the lines."""
    return [(finding.name, finding.hit.span.line) for finding in lint(text, *rules)]


def pasted(text: str, finding: Finding, said: str) -> str:
    """Return a text with something else in the place of what a finding is about."""
    assert said in finding.hit.help
    span = finding.hit.span
    return text[: span.start] + said + text[span.end :]


# ---------------------------------------------------------------- pixels that are stepped over


@pytest.mark.parametrize(
    ("layer", "size"),
    [
        ("conv 1x1, 4, /2", "7x7"),
        ("conv 1x1, 4, /2", "7x8"),
        ("conv 2x2, 4, /3, pad=0", "8x8"),
        ("conv 3x3, 4, /4", "28x28"),
        ("conv 3x3, 4, /4, pad=tf", "30x30"),
        ("conv 3x3, 4, /2, dilation=2, pad=2", "15x16"),
        ("maxpool 2x2, /3", "32x32"),
        ("maxpool 1x2, /3, pad=0x1", "11x13"),
        ("maxpool 2x2, /3, ceil=true", "10x10"),
    ],
)
def test_the_part_that_is_read_is_counted_on_the_map(layer: str, size: str) -> None:
    """Against the gradient of the sum of all outputs, which is not zero where an input is read."""
    text = f"net N:\n    input 1, {size}\n    a: {layer}\n"
    (net,) = load(text).nets
    module = net.build("torch").double()
    for parameter in module.parameters():
        torch.nn.init.ones_(parameter)
    h, w = map(int, size.split("x"))
    seen = torch.zeros(h, w, dtype=torch.bool)
    for row, column in product(range(h), range(w)):
        pixel = torch.zeros(1, 1, h, w, dtype=torch.float64)
        pixel[0, 0, row, column] = 1
        seen[row, column] = bool((module(pixel) != module(torch.zeros_like(pixel))).any())
    part = re.search(r"reads (\d+)%", one(text, "L501" if "conv" in layer else "L506").hit.message)
    assert part
    assert int(part[1]) == round(100 * seen.double().mean().item())


def test_windows_that_leave_nothing_out_between_them() -> None:
    for layer in (
        "conv 3x3, 4, /2",
        "maxpool 2x2, /2",
        "conv 4x4, 4, /4, pad=0",
        "conv 7x7, 4, /8, pad=0",
        "maxpool 7x7, /8",
    ):
        assert lint(f"net N:\n    input 1, 7x7\n    a: {layer}\n", "L501", "L506") == []


SHORTCUT = """block Res(c, stride = 1):
    add:
        main: conv 3x3, c, /stride, norm=bn, act=relu -> conv 3x3, c, norm=bn
        shortcut: conv 1x1, c, /stride, norm=bn, bias=false when stride != 1 or x.c != c
    relu

net N:
    input 3, {size}
    stem: conv 3x3, 8, norm=bn
    a: 2 * Res 16
    b: 2 * Res 16, /2 first
    c: 2 * Res 32, /{stride} first
    gap
"""


@pytest.mark.parametrize(("size", "stride"), [("32x32", 2), ("30x30", 2), ("15x21", 3)])
def test_the_average_first_fits_in_a_block_of_several_strides(size: str, stride: int) -> None:
    text = SHORTCUT.format(size=size, stride=stride)
    found = one(text, "L501")
    chain = "[avgpool 2x2, /stride, ceil=true when stride != 1] -> conv 1x1, c, norm=bn, bias=false"
    better = pasted(text, found, chain)
    (old,), (new,) = load(text).nets, load(better).nets
    assert old.shapes[old.graph.outputs[0].value.node] == new.shapes[new.graph.outputs[0].value.node]
    if stride == 2:
        assert lint(better, "L501", "L506") == []


@pytest.mark.parametrize(
    ("before", "layer", "chain"),
    [
        ("input 3, 8x8", "conv 1x1, 4, /2", "avgpool 2x2, /2 -> conv 1x1, 4"),
        ("input 3, 7x8", "conv 1x1, 4, /2", "avgpool 2x2, /2, ceil=true -> conv 1x1, 4"),
        (
            "input 4, 11x10",
            "conv 1x1, 8, stride=3, groups=2, act=relu",
            "avgpool 3x3, /3, ceil=true -> conv 1x1, 8, groups=2, act=relu",
        ),
        ("input 3, 8x8\n    default conv /2, pad=0", "conv 1x1, 4", "avgpool 2x2, /2 -> conv 1x1, 4, /1"),
    ],
)
def test_the_average_first_fits_the_map(before: str, layer: str, chain: str) -> None:
    text = f"net N:\n    {before}\n    a: {layer}\n    relu\n"
    found = one(text, "L501")
    assert chain in found.hit.help
    better = text.replace(layer, chain)
    (old,), (new,) = load(text).nets, load(better).nets
    assert old.shapes["a_act" if "act=" in layer else "a"] == list(new.shapes.values())[-1]
    assert lint(better, "L501") == []


@pytest.mark.parametrize(
    ("layer", "said", "better"),
    [
        ("conv 2x2, 4, /3, pad=0", "at least 3x3", "conv 3x3, 4, /3, pad=0"),
        ("conv 3x3, 4, /2, dilation=2, pad=2", "dilation=1", "conv 3x3, 4, /2, dilation=1, pad=1"),
    ],
)
def test_other_convolutions_have_another_help(layer: str, said: str, better: str) -> None:
    text = f"net N:\n    input 1, 24x24\n    a: {layer}\n"
    assert said in one(text, "L501").hit.help
    assert lint(text.replace(layer, better), "L501") == []


# ---------------------------------------------------------------- uneven windows of the way up


@pytest.mark.parametrize(
    ("size", "layer", "said"),
    [
        ("8x8", "upconv 3x3, 4, /2, pad=1, output_pad=1", "upconv 4x4, 4, /2, pad=1, or upsample 2 -> conv 3x3, 4"),
        (
            "8x8",
            "upconv 3x3, 4, /2",
            "upconv 4x4, 4, /2, pad=1, output_pad=1, or upsample 2 -> conv 3x3, 4, which makes 16x16",
        ),
        ("5x7", "upconv 5x5, 4, /2, pad=2, output_pad=1", "upconv 6x6, 4, /2, pad=2"),
        ("5x7", "upconv 3x3, 4, /2, pad=1", "upconv 4x4, 4, /2, pad=2, output_pad=1"),
        ("5x7", "upconv 2x2, 4, /3, output_pad=1", "upconv 3x3, 4, /3, or"),
        ("5x7", "upconv 1x1, 4, /2, output_pad=1, act=relu", "upconv 2x2, 4, /2, act=relu, or"),
        (
            "5x7",
            "upconv 3x4, 4, stride=2x1",
            "upconv 4x4, 4, stride=2x1, pad=1x0, output_pad=1x0, or resize 10x7 -> conv",
        ),
        ("5x7", "upconv 3x3, 4, /2, dilation=2, pad=2, output_pad=1", "upconv 4x4, 4, /2, pad=1, or"),
    ],
)  # fmt: skip
def test_an_even_kernel_makes_the_same_size(size: str, layer: str, said: str) -> None:
    text = f"net N:\n    input 3, {size}\n    a: {layer}\n"
    found = one(text, "L112")
    assert found.hit.help.startswith(said)
    better = pasted(text, found, found.hit.help.partition(", or ")[0])
    (old,), (new,) = load(text).nets, load(better).nets
    assert old.shapes["a"] == new.shapes["a"]
    assert lint(better, "L112") == []
    other = found.hit.help.partition(", or ")[2].partition(", which")[0]
    assert lint(pasted(text, found, other), "L112") == []


def test_an_even_kernel_where_the_pad_is_by_default_and_the_channels_are_an_argument() -> None:
    text = (
        "default upconv 3x3, pad=1\n\nblock Up(c):\n    up: upconv c, /2, output_pad=1\n\n"
        "net N:\n    input 3, 8x8\n    a: Up 8\n    b: Up 4\n"
    )
    (found,) = lint(text, "L112")
    assert found.hit.help == "upconv 4x4, c, /2, pad=1, or upsample 2 -> conv 3x3, c"
    better = text.replace("upconv c, /2, output_pad=1", "upconv 4x4, c, /2, pad=1")
    (old,), (new,) = load(text).nets, load(better).nets
    assert old.shapes == new.shapes


# ---------------------------------------------------------------- transformers

ENCODER = """block Encoder(heads, hidden):
    attended = add:
        from x
        from x -> {ln}attention heads as attn
    add:
        from attended
        from attended -> fc hidden as fc1 -> gelu -> fc x.c as fc2

"""
VIT = (
    ENCODER
    + """net ViT(dim = 64, depth = 8):
    input 3, 32x32
    weight token [1, dim], batch=true, init=zeros
    patches: conv 8x8, dim, /8, pad=0
    rows = from patches -> tokens
    from token, rows -> concat axis="n"
    layers: depth * Encoder 2, 4*dim
    norm: ln
    token 0
    head: fc 10
"""
)


def test_positions_go_behind_the_class_token() -> None:
    text = VIT.format(ln="ln as norm1 -> ")
    found = one(text, "L118")
    assert found.hit.help.startswith(
        "weight pos [17, 64], init=normal(0, 0.02) and, behind concat, (identity"
    )
    (label,) = found.hit.labels
    assert label.span.text == 'concat axis="n"'
    weight, added = re.findall(r"weight pos .*\)(?= and)|\(identity.*add", found.hit.help)
    end = text.index("\n", label.span.end)
    better = f"{text[:end]}\n    {weight}\n    {added}{text[end:]}"
    assert lint(better, "L118") == []
    plain = re.sub("    weight token.*\n|    from token.*\n|rows = ", "", text).replace("token 0", 'mean "n"')
    assert "weight pos [16, 64]" in one(plain, "L118").hit.help
    assert one(plain, "L118").hit.labels[0].span.text == "tokens"


def test_the_mlp_without_a_norm_is_the_line_to_mend() -> None:
    text = VIT.format(ln="ln as norm1 -> ")
    found = one(text, "L301")
    assert found.hit.span.text == "fc hidden as fc1"
    assert found.hit.labels == ()
    assert found.hit.help == "ln as fc1_norm -> fc hidden as fc1"
    assert lint(pasted(text, found, found.hit.help), "L301") == []


def test_a_transformer_without_any_norm() -> None:
    text = VIT.format(ln="")
    found = one(text, "L301")
    assert found.hit.span.text == "attention heads as attn"
    assert [label.span.text for label in found.hit.labels] == ["fc hidden as fc1"]
    better = text
    for layer in ("attention heads as attn", "fc hidden as fc1"):
        better = better.replace(layer, f"ln as {layer.rpartition(' ')[2]}_norm -> {layer}")
    assert lint(better, "L301") == []
    assert "ln as attn_norm -> attention heads as attn" in found.hit.help


@pytest.mark.parametrize(
    ("layers", "help"),
    [
        ("12 * (conv 3x3, 8 -> relu)", "default conv norm=bn, bias=false"),
        ("3 * (conv 3x3, 8 -> relu) -> flatten -> 9 * (fc 9 -> relu)", "default conv norm=bn, bias=false"),
        ("gap -> 12 * (fc 9 -> relu)", "default fc norm=bn, bias=false"),
    ],
)
def test_other_deep_nets_have_a_default(layers: str, help: str) -> None:
    text = f"net N:\n    input 3, 8x8\n    body: {layers}\n"
    found = one(text, "L301")
    assert found.hit.help == help
    assert lint(text.replace("8x8\n", f"8x8\n    {help}\n"), "L301") == []


# ---------------------------------------------------------------- padding


@pytest.mark.parametrize("dilation", [12, 36])
def test_less_dilation_for_a_dilated_kernel(dilation: int) -> None:
    text = f"net N:\n    input 3, 32x32\n    a: conv 3x3, 8, dilation={dilation}\n"
    found = one(text, "L504")
    fit = re.fullmatch(r"less dilation, such as (dilation=\d+), or larger inputs", found.hit.help)
    assert fit
    assert lint(text.replace(f"dilation={dilation}", fit[1]), "L504") == []
    larger = f"dilation={int(fit[1].partition('=')[2]) + 1}"
    assert lint(text.replace(f"dilation={dilation}", larger), "L504") != []
    plain = "net N:\n    input 3, 3x3\n    a: conv 3x3, 8\n"
    assert one(plain, "L504").hit.help == "a smaller kernel, or larger inputs"


def test_padding_that_costs_next_to_nothing_is_no_note() -> None:
    """ConvNeXt's last stage: 7x7 on 7x7, 0.1% of the MACs; without the depthwise it is a part of the net."""
    text = (
        "net N:\n    input 3, 28x28\n    a: 3 * (conv 3x3, 64 -> relu)\n    b: conv 4x4, 64, /4, pad=0\n    c: {}\n"
        "    relu\n    d: conv 1x1, 64\n"
    )
    assert lint(text.format("dwconv 7x7"), "L504") == []
    assert at(text.format("conv 7x7, 64"), "L504") == [("pad_heavy", 5)]


# ---------------------------------------------------------------- two bounds


@pytest.mark.parametrize(
    ("first", "second", "low", "high"),
    [
        ("softmax", "softmax", 1 / (torch.e + 9), torch.e / (torch.e + 9)),
        ("softmax", "log_softmax", -2.4611, -1.4611),
        ("sigmoid", "softmax", 1 / (1 + 9 * torch.e), torch.e / (torch.e + 9)),
        ("softmax", "sigmoid", 0.5, 0.731),
        ("tanh", "log_softmax", -4.2174, -0.797),
    ],
)
def test_what_two_bounds_leave(first: str, second: str, low: float, high: float) -> None:
    """Against random and extreme numbers: none lies outside, and some come near."""
    finding = one(f"net N:\n    input 10\n    a: {first} -> {second}\n", "L110")
    said = [
        float(number) for number in re.findall(r"-?\d[\d.e-]*", finding.hit.message.partition(" give is ")[2])
    ]
    assert said == [pytest.approx(low, rel=0.06), pytest.approx(high, rel=0.06)]
    call = {"softmax": lambda x: x.softmax(-1), "log_softmax": lambda x: x.log_softmax(-1)}
    run = [call.get(name, getattr(torch, name)) for name in (first, second)]
    x = torch.randn(5000, 10, dtype=torch.float64) * 10
    unit = 1e3 * torch.eye(10, dtype=torch.float64)
    x = torch.cat([x, unit, -unit, 2 * unit - 1e3, 1e3 - 2 * unit])
    y = run[1](run[0](x))
    assert y.min().item() == pytest.approx(low, rel=0.01)
    assert y.max().item() == pytest.approx(high, rel=0.01)


@pytest.mark.parametrize(
    "chain", ["log_softmax -> softmax", "log_softmax -> log_softmax", "relu6 -> fc 9 -> log_softmax"]
)
def test_what_is_held_back_by_nothing(chain: str) -> None:
    assert lint(f"net N:\n    input 10\n    a: {chain}\n", "L110") == []


# ---------------------------------------------------------------- groups


@pytest.mark.parametrize(
    ("layers", "said"),
    [
        (
            "        conv 3x3, c, groups=4 -> bn -> relu\n        conv 3x3, c, groups=4 -> bn -> relu",
            "conv 1x1, c",
        ),
        ("        a: conv 3x3, c, groups=4\n        b: conv 3x3, c, groups=4", "shuffle 4"),
        ("        a: conv 3x3, c, groups=4\n        b: conv 3x3, c, groups=4", "conv 1x1, c as mix"),
    ],
)
def test_what_mixes_groups_stands_where_it_is_pasted(layers: str, said: str) -> None:
    text = (
        f"block B(c):\n    body:\n{layers}\n\nnet N:\n    input 3, 8x8\n    stem: conv 3x3, 8\n"
        "    b: B 8\n    m: conv 1x1, 8\n    c: B 16\n"
    )
    found = one(text, "L105")
    assert said.removesuffix(" as mix") in found.hit.help
    assert ("shuffle 4" in found.hit.help) == ("a:" in layers)
    first, second = layers.split("\n")
    assert lint(text.replace(layers, f"{first}\n        {said}\n{second}"), "L105") == []


@pytest.mark.parametrize(
    ("joined", "taken", "said"),
    [
        ("from rows, cls", 0, "takes token 0, a place of the map: of the 17 of concat, 16 is learned"),
        ("from rows, cls", 16, ""),
        ("from cls, rows", 0, ""),
        ("from cls, rows", 1, "0 is learned"),
        ("from cls, rows, more", 17, ""),
        ("from cls, rows, more", 16, "of the 19 of concat, 0, 17, 18 are learned"),
        ("from rows", 0, "top left place of a map"),
    ],
)
def test_the_class_token_is_where_it_was_put(joined: str, taken: int, said: str) -> None:
    text = (
        "net N:\n    input 3, 16x16\n    weight cls [1, 8], batch=true, init=normal(0, 0.02)\n"
        "    weight more [2, 8], batch=true, init=normal(0, 0.02)\n    patches: conv 4x4, 8, /4, pad=0\n"
        f'    rows = from patches -> tokens\n    {joined} -> concat axis="n"\n'
        f"    mix:\n        add:\n            identity\n            attention 1 as attn\n"
        f"    norm: ln\n    token {taken}\n"
    )
    if joined == "from rows":
        text = text.replace(' -> concat axis="n"', "")
    found = lint(text, "L117")
    assert len(found) == bool(said)
    if said:
        assert said in found[0].hit.message
        index = re.match(r"token \d+", found[0].hit.help)
        if index:
            assert lint(text.replace(f"token {taken}", index[0]), "L117") == []


def test_a_token_before_a_token() -> None:
    """As a distillation token before the class token, with positions between."""
    text = (
        "net N:\n    input 3, 16x16\n    weight cls [1, 8], batch=true, init=normal(0, 0.02)\n"
        "    weight dist [1, 8], batch=true, init=normal(0, 0.02)\n    weight pos [17, 8]\n"
        "    patches: conv 4x4, 8, /4, pad=0\n    rows = from patches -> tokens\n"
        '    from cls, rows -> concat axis="n"\n    (from pos | identity) -> add\n'
        '    (from dist | identity) -> concat axis="n"\n    a: attention 1\n    token {}\n'
    )
    assert [bool(lint(text.format(index), "L117")) for index in (0, 1, 2, 17)] == [False, False, True, True]


# ---------------------------------------------------------------- beside a rule's own case


@pytest.mark.parametrize(
    ("head", "found"),
    [
        ("conv 1x1, 5 -> relu", True),
        ("conv 1x1, 5 -> relu6", True),
        ("conv 1x1, 1 -> relu", False),
        ("conv 1x1, 5 -> bn -> relu", False),
        ("conv 3x3, 5 -> relu", False),
        ("conv 1x1, 5 -> gelu", False),
        ("conv 1x1, 5 -> relu -> gap", True),
        ("gap -> fc 1 -> relu", True),
    ],
)
def test_relu_on_the_logits_of_a_map(head: str, found: bool) -> None:
    text = f"net N:\n    input 3, 8x8\n    stem: conv 3x3, 8 -> relu\n    head: {head}\n"
    assert bool(lint(text, "L114")) == found


@pytest.mark.parametrize("mode", ["nearest", "bilinear", "bicubic"])
@pytest.mark.parametrize(("resize", "found"), [("like=image", True), ("12x12", True), ("4x4", False)])
def test_a_convolution_behind_a_resize(mode: str, resize: str, found: bool) -> None:
    text = (
        "net N:\n    input image: 3, 16x16\n    stem: conv 3x3, 8, /2\n    relu\n"
        f'    resize {resize}, mode="{mode}"\n    head: conv 1x1, 5\n'
    )
    findings = lint(text, "L215")
    assert len(findings) == found
    if not found:
        return
    before = load(text)
    fixed = fix(text, load, Settings(select=("L215",)), False)
    assert fixed.applied
    assert fixed.text.endswith(f'    head: conv 1x1, 5\n    resize {resize}, mode="{mode}"\n')
    (old,), (new,) = before.nets, load(fixed.text).nets
    torch.manual_seed(0)
    a, b = old.build("torch").double(), new.build("torch").double()
    b.load_state_dict(a.state_dict())
    x = torch.randn(2, 3, 16, 16, dtype=torch.float64)
    torch.testing.assert_close(b(x), a(x), rtol=1e-11, atol=1e-11)
    saving = findings[0].nets[0].saving
    assert saving is not None
    assert saving.macs == amounts(old, [*old.graph]).macs - amounts(new, [*new.graph]).macs > 0


PLAIN = "net N:\n    input 3, {0}x{0}\n    body: {1}\n    gap\n    fc: fc 10\n"


@pytest.mark.parametrize(
    ("size", "body", "rules"),
    [
        (64, "5 * (conv 3x3, 16 -> relu)", ["no_stem_downsampling", "rf_too_small"]),
        (96, "5 * (conv 3x3, 16 -> relu)", ["no_stem_downsampling", "rf_too_small"]),
        (32, "5 * (conv 3x3, 16 -> relu)", []),
        (64, "3 * (conv 3x3, 16 -> relu)", ["no_stem_downsampling"]),
        (64, "conv 3x3, 16, /2 -> relu -> 5 * (conv 3x3, 16 -> relu)", ["rf_too_small"]),
        (64, "conv 3x3, 16 -> relu -> maxpool 2x2 -> 3 * (conv 3x3, 64 -> relu -> maxpool 2x2) -> conv 3x3, 64", []),
        (128, "conv 3x3, 16 -> relu -> 5 * (conv 5x5, 64, /2 -> relu)", ["no_stem_downsampling"]),
        (128, "conv 7x7, 16, /4 -> relu -> conv 3x3, 16, /4 -> relu -> 3 * (conv 3x3, 64 -> relu)", []),
    ],
)  # fmt: skip
def test_small_images_too(size: int, body: str, rules: list[str]) -> None:
    found = lint(PLAIN.format(size, body), "L208", "L502")
    assert sorted(finding.name for finding in found) == rules


def test_a_receptive_field_that_lacks_a_row_is_no_finding() -> None:
    """23 + 24 layers: 95 of 96 rows; below three quarters it is a note, below a half a warning."""
    text = "net N:\n    input 3, 96x96\n    body: {} * (conv 3x3, 4 -> relu)\n    gap\n"
    levels = {n: [found.severity for found in lint(text.format(n), "L502")] for n in (47, 36, 35, 24, 23)}
    assert levels == {47: [], 36: [], 35: ["info"], 24: ["info"], 23: ["warning"]}


# ---------------------------------------------------------------- what whole families of good nets do

DENSE = """block Layer(growth):
    concat:
        identity
        main: bn -> relu -> conv 3x3, growth, bias=false -> dropout 0.2

net N:
    input 3, 64x64
    stem: conv 3x3, 32, /2
    block1: 6 * Layer 16
    trans1: bn -> relu -> avgpool 2x2 -> conv 1x1, 64, bias=false
    block2: 6 * Layer 16
    norm: bn
    relu
    gap
    fc: fc 10
"""


def test_a_plain_densenet() -> None:
    assert at(DENSE) == []
    chain = DENSE.replace("64, bias=false", "64, bias=false -> dropout 0.2 -> conv 3x3, 64")
    assert at(chain.replace("block2", "more: bn\n    block2"), "L303") == [("dropout_before_bn", 10)]


def test_groups_of_a_block_are_one_finding() -> None:
    text = (
        "block B(c, groups = 4):\n    body:\n        conv 1x1, c, groups=groups -> bn -> relu\n        dwconv 3x3\n"
        "        conv 1x1, c, groups=groups -> bn\n\n"
        "net N:\n    input 3, 32x32\n    stem: conv 3x3, 24\n    a: 2 * B 24\n    b: conv 1x1, 24, groups=4\n"
    )
    found = lint(text, "L402")
    assert [finding.hit.span.line for finding in found] == [3, 11]
    assert [len(finding.nets[0].layers) for finding in found] == [4, 1]
    allowed = text.replace(
        "        conv 1x1, c, groups=groups -> bn\n",
        '        @allow(excess_groups, "few")\n        conv 1x1, c, groups=groups -> bn\n',
    )
    assert [len(finding.nets[0].layers) for finding in lint(allowed, "L402")] == [2, 1]


# ---------------------------------------------------------------- the line to mend

MERGE = """block Merge(c) from top, side:
    add:
        from top -> upsample 2
        lateral: from side -> conv 1x1, c
    smooth: conv 3x3, c

block Neck(c) from top, side:
    from top, side -> Merge c as inner
    relu

net N:
    input 3, 32x32
    a: conv 3x3, 8, /2
    b: conv 3x3, 8, /2
    c: conv 3x3, 8, /2
    p = from c, b -> {} 8 as m1
    q = from p, a -> {} 8 as m2
    output p: from p -> relu
"""


@pytest.mark.parametrize("block", ["Merge", "Neck"])
def test_what_nobody_reads_is_where_it_is_called(block: str) -> None:
    text = MERGE.format(block, block)
    found = one(text, "L101")
    assert found.hit.span.text == f"{block} 8 as m2"
    assert found.hit.severity in (None, "error")
    fixed = fix(text, load, Settings(select=("L101",)), unsafe=True)
    assert f"q = from p, a -> {block}" not in fixed.text
    assert lint(fixed.text, "L101") == []


def test_a_part_of_a_block_that_nobody_reads_is_where_it_is_written() -> None:
    text = (
        "block Two(c):\n    y = from x -> conv 3x3, c as a\n    z = from y -> conv 3x3, c as b\n    return y, z\n\n"
        "net N:\n    input 3, 8x8\n    u, v = from x -> Two 4 as two\n    from u -> relu\n"
    )
    assert at(text, "L101") == [("dead_branch", 3)]


def test_attention_is_where_it_is_called() -> None:
    text = (
        "block Inner(heads):\n    mix: attention heads\n\nblock Encoder(heads):\n    add:\n        identity\n"
        "        branch: ln -> Inner heads\n\n"
        "net N:\n    input 3, 128x128\n    stem: conv 3x3, 32, /{} -> tokens\n    layers: 2 * Encoder 4\n"
    )
    assert at(text.format(2), "L222") == [("many_tokens", 12)]
    assert (
        "compares 4096 tokens with 4096: 67.11M scores in 4 heads" in one(text.format(2), "L222").hit.message
    )
    assert at(text.format(4), "L222") == []


def test_fewer_keys_are_fewer_scores() -> None:
    """As in a Pyramid Vision Transformer: 4096 places ask 64."""
    text = (
        "net N:\n    input 3, 128x128\n    stem: conv 3x3, 16, /2\n"
        "    few: from stem -> conv 8x8, 16, /{0}, pad=0 -> tokens\n"
        "    q: from stem -> tokens\n    from q, few, few -> attend heads=2\n"
    )
    assert at(text.format(8), "L222") == []
    assert at(text.format(1), "L222") == [("many_tokens", 6)]


def test_activations_that_saturate_are_found_at_the_first() -> None:
    layers = "".join(f"    c{i}: conv 3x3, 8\n    sigmoid\n" for i in range(6))
    assert at(f"net N:\n    input 3, 8x8\n    a: conv 3x3, 8, norm=bn\n{layers}    gap\n", "L306") == [
        ("saturating_deep", 5)
    ]


def test_the_second_of_two_norms_is_one_too_many() -> None:
    text = "net N:\n    input 3, 8x8\n    a: conv 3x3, 8\n    gap\n    n1: ln\n    n2: ln\n    head: fc 10\n"
    assert at(text, "L111") == [("norm_norm", 6)]
