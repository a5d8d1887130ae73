"""Ops that cut, move, join and resize values: emitted classes are the spec's blocks, in both backends."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
import torch
from conftest import import_torchvision
from interpreter import draw_state, interpret, state_shapes
from metamorphic import report, subjects_of
from netdsl_torch.run import by_name
from test_emitted import IGNORED, RULES, mypy, tool
from torch_oracles import assert_same, execute, perturb

from netdsl.api import read_text, recipes
from netdsl.backend import emit_family
from netdsl.network import Network
from netdsl.verification import verify

SPECS = {
    "parts of other sizes": """
block Dual(c, base, grow = 8):
    body: conv 3x3, c + grow
    left, right = from body -> split [c, grow]
    a, b = from x -> split [base, x.c - base]
    s = from left, a -> add
    from s, right, b -> concat

net Dpn(n = 2):
    input 16, 9x7
    one: Dual 12, 12
    two: Dual 12, 12, 4
    from flow -> split [6, 18, 4] -> concat
    relu
""",
    "parts of a list of sizes": """
block Parts(sizes: list):
    y = from x -> split sizes
    concat:
        for i in range(len(sizes)):
            from y[i] -> conv 3x3, sizes[i] as conv{i}

net N:
    input 28, 9x7
    one: Parts [8, 4, 16]
    two: Parts [8, 20]
    relu
""",
    "slices": """
block Focus(c, k: dims = 3x3):
    (slice 0x0, /2 | slice 1x0, /2 | slice 0x1, /2 | slice 1x1, /2) -> concat
    conv: conv k, c

block Shares(lead, at: dims = 1x0, every = 2):
    a = from x -> slice 0, lead
    b = from x -> slice lead
    c = from x -> slice 1, lead + 2, /every
    from a, b, c -> concat
    slice at, /every

block Corner(until: dims, since: dims = 0x1):
    slice since, until
    tokens
    slice 1, axis="n"

net N:
    input 3, 28x32
    focus: Focus 8
    shares: Shares 3
    again: Shares 5, 0x1, 3
    output late: slice 2, axis="h"
    corner: Corner 2x2
""",
    "maps at other sizes": """
block Head(c) from features, image:
    from features
    conv: conv 3x3, c
    resize like=image, mode="bilinear"

block Up(scale, mode: str = "bilinear"):
    upsample scale, mode=mode
    upsample 2, mode="bilinear", align_corners=true

block To(size: dims, side: int, mode: str = "nearest"):
    add:
        resize size, mode=mode
        wide: (resize size, mode="bicubic", align_corners=true -> conv 1x1, x.c)
    concat:
        resize side
        from x -> resize side, mode=mode

net N:
    input image: 3, 23x30
    conv1: conv 3x3, 4, /2
    conv2: conv 3x3, 6, /4
    output aux: from conv1, image -> Head 5 as head1
    up: Up 3
    up2: Up 2, "nearest"
    sized: To 9x13, 6
    sized2: To 4x3, 7, "bilinear"
    from flow, image -> Head 2 as head2
""",
    "axes by their letters": """
block Both:
    (identity | relu) -> concat axis="h" -> softmax axis="h"
    (identity | relu) -> concat axis="w" -> log_softmax axis="w"
    (identity | relu) -> concat axis="c" -> softmax

block Lead(c):
    weight lead [2, c], batch=true, init=normal(0, 1)
    tokens
    from lead, flow -> concat axis="n"
    log_softmax axis="n"
    permute 1, 0
    softmax axis="n"

net N:
    input 4, 7x5
    one: Both
    two: Both
    turned: permute 1, 2, 0
    mixed: softmax axis="w" -> softmax axis="c" -> permute 2, 0, 1
    output led: Lead 16
    weight mix [16, 1, 1], init=normal(0, 1)
    gates = from mix -> softmax axis="c"
    from mixed, gates -> mul
""",
    "differences and factors": """
block Difference(c, by = 0.25):
    a: conv 3x3, c
    d: from a, x -> sub
    from d -> gap as mean
    from flow, d -> sub -> scale by
    conv 1x1, c + 1 as out
    scale x.c ** -0.5

net N(k = 3):
    input 6, 9x8
    one: Difference 6
    from flow -> scale -1.5 as f
    weight w [7, 1, 1]
    from flow, w -> sub
    squeeze: conv 1x1, 6
    two: Difference 6, 1 / k
    add:
        identity
        conv 3x3, 7 as conv2 -> scale k / 8
""",
    "pads and rolls": """
block Plain(planes, stride = 1):
    add:
        conv1: conv 3x3, planes, /stride
        shortcut: (slice 0x0, /stride -> pad before=(planes - x.c) // 2, after=planes - x.c - (planes - x.c) // 2)

block Reflected(c, p, q: dims, more = 1):
    body: pad p, mode="reflect" -> conv 3x3, c, pad=0
    pad q, mode="replicate"
    pad left=more, bottom=2, mode="circular"
    roll q
    pad top=more
    roll 2x1, back=true

net N:
    input 4, 13x16
    pad right=1, bottom=1
    one: Plain 4
    two: Plain 7, 2
    r1: Reflected 5, 1, 2x1
    r2: Reflected 4, 3, 0x2, 2
    output t: tokens -> pad after=3
    output v: gap -> pad before=1, after=1
""",
    "ways up": """
block Espcn(r, c = 2):
    conv 3x3, c * r**2 -> pixel_shuffle r

block Back(c, stride = 2, more = 1, r = 2):
    up: upconv 3x3, c, /stride, pad=1, output_pad=more
    pixel_unshuffle r

net N:
    input 3, 8x6
    one: Espcn 3
    two: Back 4
    three: Espcn 2, 5
    four: Back 6, 3, 0, 1
    relu
""",
    "tokens that are mixed, and attention to places and channels": """
block Mixer(wide, deep):
    add:
        identity
        mix: ln -> permute 1, 0 -> fc wide -> gelu -> fc x.n -> permute 1, 0
    add:
        identity
        mlp: ln -> fc deep -> gelu -> fc x.c

block Cbam(ratio, k: dims = 7x7):
    mid = x.c // ratio
    a = from x -> mean "hw", keep=true
    b = from x -> amax "hw", keep=true
    squeeze: (from a -> conv 1x1, mid as fc1 -> relu -> conv 1x1, x.c as fc2)
    gate = from squeeze, b -> add -> sigmoid
    y = from x, gate -> mul
    m = from y -> mean "c", keep=true
    n = from y -> amax "c", keep=true
    from m, n -> concat -> conv k, 1 as spatial -> sigmoid -> expand x.c as gate2
    from y, gate2 -> mul

net N:
    input 3, 12x16
    stem: conv 4x4, 8, /4, pad=0
    cbam: Cbam 2
    tokens
    mixer: Mixer 5, 9
    mixer2: Mixer 7, 3
    mean "n"
    fc: fc 4
""",
    "tokens and maps": """
block Mixed(c):
    y: tokens
    ln as norm
    attention 1 as mixed
    z = from flow -> map like=x
    from z -> conv 3x3, x.c as proj
    tokens
    from flow, y -> add -> map like=x
    conv 1x1, c as out

net N:
    input 4, 6x5
    one: Mixed 2
    maxpool 2x1
    tokens
    ln as norm
    map 3x5
    two: Mixed 4
""",
}


def nets(text: str) -> list[Network]:
    """Return the nets of a text."""
    return list(map(Network, recipes(read_text(text), "", {}, {})))


def emitted(text: str, backend: str) -> str:
    """Return the module of all nets of a text."""
    (found,) = emit_family(nets(text), backend).values()
    return found


@pytest.mark.parametrize("backend", ["torch", "flax"])
def test_style_and_types(backend: str, tmp_path: Path) -> None:
    """The modules are as clean as the zoo's."""
    for number, text in enumerate(SPECS.values()):
        (tmp_path / f"net{number}.py").write_text(emitted(text, backend))
    assert mypy(tmp_path) == ""
    options = ("--isolated", "--no-cache", "--line-length", "100")
    rules = ("--target-version", "py311", "--select", RULES, "--ignore", IGNORED[backend])
    assert tool("ruff", "check", *options, *rules, tmp_path) == ""
    assert tool("ruff", "format", *options, "--diff", tmp_path) == ""


@pytest.mark.parametrize("case", SPECS)
def test_numbers(case: str) -> None:
    """The torch module is the net, op by op, in evaluation and training; it can be traced."""
    for net in nets(SPECS[case]):
        model, shapes = execute(net.emit("torch"))[net.name]().double(), state_shapes(net)
        numbers = draw_state(shapes, 1)
        model.load_state_dict(numbers)
        x = [torch.randn(3, *shape, dtype=torch.float64) for shape in net.inputs.values()]
        for train in (False, True):
            with torch.no_grad():
                ours, theirs = by_name(model.train(train)(*x)), interpret(net, numbers, x, train)
                for name, expected in theirs.items():
                    torch.testing.assert_close(ours[name], expected, rtol=1e-11, atol=1e-11)
        with torch.no_grad():
            traced = by_name(torch.fx.symbolic_trace(model.eval())(*x))
            assert all(map(torch.equal, traced.values(), by_name(model(*x)).values()))


@pytest.mark.parametrize("backend", ["torch", "flax"])
@pytest.mark.parametrize("case", SPECS)
def test_one_class(case: str, backend: str) -> None:
    """Every block is one class, which is the block for other arguments and sizes too."""
    text = emitted(SPECS[case], backend)
    lines = [line.replace("(", " ").replace(":", " ").split() for line in SPECS[case].splitlines()]
    declared = [words[1] for words in lines if words and words[0] in ("block", "net")]
    classes = [node.name for node in ast.parse(text).body if isinstance(node, ast.ClassDef)]
    assert sorted(name for name in classes if name.rstrip("0123456789") in declared) == sorted(declared)
    for subject in subjects_of(nets(SPECS[case])[0], backend, text).values():
        result = report(subject, backend, 8 if backend == "torch" else 2)
        assert result.legal or backend == "flax"
        assert not result.wrong
        assert not result.lax


MIXER = """
block MixerBlock(tokens, channels):
    default ln eps=1e-6
    add:
        identity
        ln as norm1 -> permute 1, 0 -> (fc tokens as fc1 -> gelu -> fc x.n as fc2) as mlp_tokens -> permute 1, 0
    add:
        identity
        ln as norm2 -> (fc channels as fc1 -> gelu -> fc x.c as fc2) as mlp_channels

net Mixer(n = 2, classes = 10):
    input 3, 32x24
    stem: conv 8x8, 16, /8, pad=0 as proj -> tokens
    blocks: n * MixerBlock 8, 64
    norm: ln eps=1e-6
    mean "n"
    head: fc classes
"""


def test_a_mixer_is_timms() -> None:
    """Keys, numbers and gradients of MLP-Mixer."""
    import_torchvision()  # timm imports it
    from timm.models.mlp_mixer import MlpMixer

    torch.manual_seed(0)
    theirs = MlpMixer(num_classes=10, img_size=(32, 24), patch_size=8, num_blocks=2, embed_dim=16)
    ours = execute(emitted(MIXER, "torch"))["mixer"]()
    ours.load_state_dict(perturb(theirs).state_dict())
    assert_same(ours, theirs, [torch.randn(2, 3, 32, 24)])


TURNED = """
block Mlp(hidden):
    fc hidden as fc1 -> gelu

block Turned(c):
    permute 1, 0
    Mlp 5 as mix
    permute 1, 0
    fc c as out

net N(n = 2):
    input 3, 6x4
    tokens
    blocks: n * Turned 7
    one: Turned 4
"""


def test_a_block_is_told_how_many_tokens_it_mixes() -> None:
    (net,) = nets(TURNED)
    assert "def __init__(self, in_channels: int, in_tokens: int, hidden: int)" in net.emit("torch")
    found = verify(net, ("torch", "flax"))
    assert found.ok, found


SETTLED = """
block Around(mode: str = "zeros", corners = false, axis: str = "n"):
    pad 1, mode=mode
    upsample 2, mode="bilinear", align_corners=corners
    tokens -> slice 1, axis=axis -> (identity | softmax axis=axis) -> concat axis=axis

net N:
    input 4, 8x7
    one: Around
    output a: from x -> Around "reflect" as two
    output b: from x -> Around "circular", true, "c" as three
"""


@pytest.mark.parametrize("backend", ["torch", "flax"])
def test_what_decides_the_code_makes_a_class_for_each(backend: str) -> None:
    text = emitted(SETTLED, backend)
    assert sum(line.startswith("class Around") for line in text.splitlines()) == 3


def test_what_decides_the_code_is_followed() -> None:
    (net,) = nets(SETTLED)
    x = torch.randn(2, 4, 8, 7, dtype=torch.float64)
    model = execute(net.emit("torch"))["n"]().double()
    ours, theirs = by_name(model(x)), interpret(net, {}, [x], False)
    assert [*ours] == [*theirs]
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def test_what_is_resized_is_exported_for_every_size() -> None:
    """The size of another map is that when it runs."""
    model = nets(SPECS["maps at other sizes"])[0].build().eval()
    dynamic = {axis: torch.export.Dim.DYNAMIC for axis in (0, 2, 3)}
    program = torch.export.export(model, (torch.randn(2, 3, 23, 30),), dynamic_shapes=(dynamic,)).module()
    for size in ((23, 30), (31, 44), (40, 25)):
        x = torch.randn(3, 3, *size)
        with torch.no_grad():
            assert all(map(torch.equal, program(x), model(x)))
            assert model(x)[0].shape[2:] == size
