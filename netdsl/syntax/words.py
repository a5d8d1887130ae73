"""Every word and sign of the language: what it does, and a spec that shows it. A test checks each example."""

from __future__ import annotations

from collections.abc import Mapping
from textwrap import fill, indent

from netdsl.record import Record

WIDTH = 100
"""Columns of an explanation."""


class Word(Record):
    """A word or sign: a phrase, what there is to know, a whole spec."""

    is_: str
    text: str
    example: str
    given: Mapping[str, str] = {}
    """What a search space needs to be decided: `--set` of the example."""


def explain(name: str) -> str:
    """Return what there is to say about a word, as text without a newline at the end."""
    word = WORDS[name]
    given = "".join(f" --set {key}={value}" for key, value in word.given.items())
    parts = [f"{name}: {word.is_}", "", fill(word.text, WIDTH), "", indent(word.example.strip("\n"), "    ")]
    if given:
        parts += ["", f"    netdsl check example.net{given}"]
    return "\n".join(parts)


def _net(body: str, before: str = "", input: str = "3, 32x32") -> str:
    """Return a spec with a net around a few lines."""
    lines = "".join(f"    {line}\n" if line else "\n" for line in body.splitlines())
    return f"{before}net Example:\n    input {input}\n{lines}"


def _begin(initialiser: str) -> str:
    """Return a net whose convolutions begin so."""
    return _net(f"init conv weight={initialiser}\nconv 3x3, 8\ngap")


_RESIDUAL = "add:\n    identity\n    main: conv 3x3, 3 -> relu -> conv 3x3, 3"
_IF = """\
for i, c in enumerate([16, 32, 64]):
    if i == 0:
        conv{i}: conv 3x3, c
    elif c < 64:
        conv{i}: conv 3x3, c, /2
    else:
        conv{i}: conv 1x1, c
gap"""
_TERNARY = "deep = x.h > 16\ndepth = 3 if deep else 1\ndepth * conv 3x3, 3 -> (relu if deep else tanh)"
_LOGIC = "wide = x.c >= 64 or not (x.h in [8, 16] and x.w > 8)\nconv 3x3, 64 when wide"
_CONSTANT = (
    "block Unit(c, pool = true, norm: op = none):\n    conv: conv 3x3, c, bias=norm == none\n"
    "    norm: norm when norm != none\n    maxpool 2x2, /2 when pool\n\n"
)
_TRAIN = """\
conv: conv 3x3, 16 -> relu
train output aux: gap -> fc 10
gap
fc: fc 10
require memory(train, batch=8) <= 5MB"""

WORDS: dict[str, Word] = {
    # ------------------------------------------------------------ what a file holds
    "net": Word(
        "a network, which is a class of the emitted module",
        "Its parameters come first, then its body: inputs, layers, outputs. A parameter without a type has that of "
        "its default, or is an int. `check`, `cost` and `compile` call it by its name in lower case.",
        "net Small(width = 16, classes = 10):\n    input 3, 32x32\n    conv: conv 3x3, width -> relu\n    gap\n"
        "    fc: fc classes\n",
    ),
    "block": Word(
        "a part that nets and blocks use as an op of their own; a class of the emitted module",
        "`x` is what comes in, `x.c`, `x.h`, `x.w` and `x.n` its sizes. A call gives arguments like an op's, and "
        "`/2` fills a parameter `stride`. What stands last is what goes out, or what `return` names. A block of "
        "several values says `from a, b` behind its name.",
        "block Residual(c, stride = 1):\n    add:\n        main: conv 3x3, c, /stride -> relu -> conv 3x3, c\n"
        "        shortcut: conv 1x1, c, /stride when stride != 1 or x.c != c\n    relu\n\n"
        + _net("Residual 16\nResidual 32, /2\ngap"),
    ),
    "inline": Word(
        "a block whose lines stand where it is called, without a class and a key of its own",
        "Its labels are those of the caller, so it takes lines out of a text without changing the keys of the "
        "state_dict.",
        "inline block ConvBn(c):\n    conv: conv 3x3, c, bias=false\n    bn: bn\n    relu\n\n"
        + _net("ConvBn 16  # the keys are conv.weight, bn.weight, ...\ngap"),
    ),
    "variant": Word(
        "a name for a net with some arguments, such as resnet50",
        "It is what commands and `netdsl.load` take, and a factory function of the emitted module. Its body may "
        "hold `decide`, `meta` and `require`.",
        "net Plain(depth, width = 16):\n    input 3, 32x32\n    body: depth * conv 3x3, width\n    gap\n\n"
        "variant plain4 = Plain(4)\nvariant plain8 = Plain(8, width=32):\n    meta year=2026\n",
    ),
    "table": Word(
        "rows with named columns, as a paper prints them",
        "A loop goes through the rows; `rows[0].c` is a column of one. Columns may hold ints, sizes, ops and texts.",
        "table rows(k, c, s):\n    3x3, 16, 1\n    5x5, 24, 2\n\n"
        + _net("for i, (k, c, s) in enumerate(rows):\n    conv{i}: conv k, c, stride=s\ngap"),
    ),
    "import": Word(
        "takes blocks, tables, functions and values from another file",
        "The file lies beside the spec, in a folder that `--path` gives, or in the zoo. A block keeps the `default` "
        "lines of its own file.",
        'import Bottleneck, BasicBlock from "resnet.net"\n\n' + _net("BasicBlock 16\nBottleneck 8, /2\ngap"),
    ),
    "def": Word(
        "a function of values: one expression",
        "It computes numbers, lists and texts, never layers; those are a block's.",
        "def wide(c, factor) = make_divisible(c * factor, 8)\n\n"
        + _net("conv 3x3, wide(32, 1.4)  # 48\ngap"),
    ),
    # ------------------------------------------------------------ where data flows
    "->": Word(
        "hands what the left side makes to the right side",
        "A line goes on with `->` at the beginning of the next. One layer under a label has the label as its key; a "
        "longer chain is a container, a Sequential where nothing but the flow goes through it.",
        _net("stem: conv 3x3, 16 -> bn\n    -> relu  # keys: stem.0.weight, stem.1.weight, ...\ngap"),
    ),
    ":": Word(
        "names a module: its label is its key in the state_dict",
        "What has no label is called by its position among its sisters, as in a Sequential. Where a scope is more "
        "than a plain chain, a layer with weights needs a label. A label before indented lines is a container.",
        _net("conv1: conv 3x3, 16\nrelu\nfeatures:\n    conv 3x3, 32 -> relu  # features.0\ngap"),
    ),
    "=": Word(
        "names a value: a number, a list, an op, or what flows, without moving the flow",
        "It leaves no key. In arguments it names the argument.",
        _net(
            "half = 8 // 2\nconv1: conv 3x3, half, bias=false\nkept = from flow -> maxpool 2x2, /2\n"
            "from kept -> gap"
        ),
    ),
    "from": Word(
        "starts a line, a branch or a value at something else than what flowed last",
        "It takes labels, values that `=` named, `x` (what came into the block) and `flow` (what flows); several "
        "make a tuple for an op or block that takes several. A line that begins elsewhere has no `when`, as what "
        "flowed would go on where it is false: its steps may, or write `if` (E227). "
        "In `import` it names the file, behind a block's name its inputs.",
        _net("stem: conv 3x3, 8\ndeep: conv 3x3, 8 -> relu\nfrom stem, deep -> concat\nfrom deep -> gap"),
    ),
    "as": Word(
        "gives a layer within a chain its own label",
        "In a line without a label it names a child of the scope, in one with a label a child of the label's "
        "container. In a net's `return` it names a result.",
        _net("conv 3x3, 8 as conv1 -> bn as bn1 -> relu\nconv 3x3, 8 as convs.0\ngap"),
    ),
    "*": Word(
        "repeats a layer, a block or a group so many times, with weights for each",
        "The count is a number, a name, an item or something in parentheses. `/2 first` strides in the first copy "
        "only. Copies under a label are its children, body.0 and body.1; within a chain all of them are named in "
        "parentheses: (n * Block 8) as body.",
        _net(
            "n = [2, 3]\nbody: n[0] * conv 3x3, 16\ntail: (n[1] - 1) * (conv 3x3, 16 -> relu)\n"
            "relu -> (2 * conv 1x1, 16) as last -> gap"
        ),
    ),
    "|": Word(
        "puts branches of a fork beside each other in one line",
        "Each branch gets what flows; what comes out is a tuple, for a joint or a block of several inputs.",
        _net(
            "(a: conv 1x1, 8 | b: conv 3x3, 8) -> concat\n(identity | gate: gap -> fc 16 -> sigmoid) -> mul"
        ),
    ),
    "(": Word(
        "groups steps: one child of its scope, a container without a label",
        "`():` and indented lines is the same. With `|` in it, it is a fork; in front of an op it may choose one: "
        "(relu if deep else tanh).",
        _net("features:\n    (conv 3x3, 8 -> relu)  # features.0.0\n    2 * (conv 3x3, 8 -> relu)\ngap"),
    ),
    "[": Word(
        "a step that is there under a condition; elsewhere a list",
        "What is left out leaves what flows as it is. Lists are Python's: items, slices, comprehensions.",
        "block Unit(c, drop = 0.0):\n    conv: conv 3x3, c -> [dropout drop when drop > 0] -> relu\n\n"
        + _net("cs = [8 * i for i in range(1, 4) if i != 2]\nUnit cs[0]\nUnit cs[-1], 0.1\ngap"),
    ),
    "/": Word(
        "a stride: `/2`, `/2x1`, `/stride`; in an expression it divides",
        "It fills the argument or parameter `stride`, wherever it stands among the arguments. `//` divides whole "
        "numbers.",
        _net("conv 3x3, 8, /2  # 8x16x16\nmaxpool 2x2, /2x1  # 8x8x16\ngap"),
    ),
    "{": Word(
        "fills a value into a name",
        "So do loops make labels; `convs.{i}` is an item of a list of modules.",
        _net(
            "for i in range(2):\n    layer{i+1}: conv 3x3, 8\n    conv 1x1, 8 as convs.{i}\nfrom layer1 -> gap"
        ),
    ),
    "@": Word(
        "says something about the item below to tools: so far `@allow`",
        '`@allow(rule, "reason")` silences a rule of `netdsl lint` for the item and all in it.',
        _net('flatten\n@allow(huge_fc, "as in the paper")\nfc: fc 1000'),
    ),
    "#": Word(
        "a comment, to the end of the line",
        "Those above a net or block and at the beginning of a file become docstrings of the emitted module. "
        "`netdsl fmt` keeps all.",
        "# A small net\n" + _net("conv 3x3, 8  # 8x32x32\ngap"),
    ),
    "add": Word(
        "a joint: the sum of its branches, one a line, each from the same flow",
        "`identity` is the way around. A branch whose `if` is false is none; a step whose `when` is false hands on "
        "what came in. In a chain it joins a tuple: (a | b) -> add.",
        _net(_RESIDUAL + "\nrelu"),
    ),
    "mul": Word(
        "a joint: the product of its branches, such as a map and the gates of its channels",
        "A vector and a map of one pixel are used at every place. One channel is made as many with `expand`: of a "
        "map, `gate: conv 1x1, 1 as conv -> sigmoid -> expand 3`, and of a learned number, `weight alpha [1]`.",
        _net("mul:\n    identity\n    gate: gap -> fc 3 -> sigmoid\ngap"),
    ),
    "concat": Word(
        "a joint: its branches one after the other along the channels",
        '`axis="n"` is along the tokens. In a chain it joins a tuple: (a | b) -> concat.',
        _net("concat:\n    conv 1x1, 8 as reduce\n    deep: conv 3x3, 8 -> relu\n    identity\ngap"),
    ),
    "fork": Word(
        "branches without a joint: what flows on is the tuple of all",
        "A block of several inputs, an op such as `attend`, or `=` takes it.",
        "block Mix from small, large:\n    concat:\n        from small -> upsample 2\n        from large\n\n"
        + _net("fork:\n    down: conv 3x3, 8, /2\n    keep: conv 3x3, 8\nMix\ngap"),
    ),
    "same": Word(
        "runs an earlier layer or block again, with the weights that it has",
        "Weights count once, work each time. It is how two images go through one encoder.",
        "net Twins:\n    input a: 3, 32x32\n    input b: 3, 32x32\n    first = from a -> conv 3x3, 8 as encoder\n"
        "    second = from b -> same encoder\n    from first, second -> concat -> gap\n",
    ),
    "return": Word(
        "ends a block with a value, or gives a net's results names and order",
        "In an `if` of a block what follows is its `else`. A net's own result is called as "
        "the value that it names first, and `out` where that has no label; the others are outputs. `as` renames one.",
        "block Maybe(c, deep = true):\n    conv: conv 3x3, c\n    if not deep:\n        return conv\n"
        "    more: conv 3x3, c\n    return more\n\n"
        + _net(
            "body: Maybe 8\nmap = from flow\noutput features: from map\ngap\nfc: fc 10\nreturn fc as logits, features"
        ),
    ),
    # ------------------------------------------------------------ conditions and loops
    "when": Word(
        "a line, a branch or a step is there only if that holds",
        "A step or line that is not leaves what flows as it is. It stands last. In a joint a branch whose `when` is "
        "false is still one: it hands on what came in, which is what a shortcut does. A line whose `from` names "
        "something else than what flows takes none (E227).",
        "block Residual(c):\n    add:\n        conv: conv 3x3, c\n        shortcut: conv 1x1, c when x.c != c\n\n"
        + _net("Residual 8\nResidual 8\nrelu when x.h > 16\ngap"),
    ),
    "if": Word(
        "chooses lines, and in expressions a value or an op",
        "It is decided when the net is built: the net has one of the two. `if` in a comprehension chooses items.",
        _net(_IF),
    ),
    "elif": Word("another condition, if none above held", "See `if`.", _net(_IF)),
    "else": Word("what is there if no condition held", "See `if`.", _net(_TERNARY + "\ngap")),
    "for": Word(
        "repeats lines for each item of a list, a table or a range",
        "The loop is gone when the net is built. Labels in it hold braces, so that they differ; where copies are "
        "equal, `3 * ...` is shorter.",
        _net("for i, c in enumerate([16, 32], 1):\n    stage{i}: conv 3x3, c, /2 -> relu\ngap"),
    ),
    "in": Word(
        "what a loop goes through, and whether a list has an item; behind a type, what a parameter may be",
        "`not in` is its opposite.",
        "net Small(depth: int in [1, 2, 3] = 2):\n    input 3, 32x32\n    for c in [8, 16]:\n"
        "        conv{c}: depth * conv 3x3, c\n    relu when depth in [1, 2]\n    gap\n",
    ),
    "and": Word("both hold", "As in Python; both sides are conditions.", _net(_LOGIC + "\ngap")),
    "or": Word("one of them holds", "As in Python; both sides are conditions.", _net(_LOGIC + "\ngap")),
    "not": Word("it does not hold", "As in Python. `not in` asks a list.", _net(_LOGIC + "\ngap")),
    "true": Word(
        "a bool, and no other word for one: Python's True is true",
        "Ops whose argument is a bool take nothing else for one: bias=false.",
        _CONSTANT + _net("Unit 8, norm=bn\nUnit 8, pool=false\ngap"),
    ),
    "false": Word("the other bool", "See `true`.", _CONSTANT + _net("Unit 8, false\ngap")),
    "none": Word(
        "nothing: a value that stands for no op, no number, no initialiser",
        "A parameter that may be none has a type that is asked for it: `norm: op = none`.",
        _CONSTANT + _net("default conv norm=bn\nUnit 8\nconv 3x3, 8, norm=none\ngap"),
    ),
    # ------------------------------------------------------------ lines of a body
    "input": Word(
        "an input of the net: channels, height x width, without the batch",
        "Several have labels, and are taken by `from`. `--input 3x64x64` sets another size; blocks have `x` instead.",
        "net Two:\n    input image: 3, 32x32\n    input depth: 1, 32x32\n    from image, depth -> concat\n    gap\n",
    ),
    "output": Word(
        "a further result with a name; the flow goes on as it was",
        "Its label is its module's, a scope of the state_dict; where layers in it have labels of their own, these "
        "are the net's, and the output's label names the result alone.",
        _net("conv: conv 3x3, 8\noutput features: from flow\noutput boxes: gap -> fc 4\ngap\nfc: fc 10"),
    ),
    "train": Word(
        "in training only: of an output, and of the memory that `require` asks for",
        "A `train output` is an auxiliary head: `model.eval()` neither runs nor returns it.",
        _net(_TRAIN),
    ),
    "weight": Word(
        "a learned tensor with a label, to be joined with others",
        "Its sizes are a list without the batch, `init=` how it begins; with `learned=false` it is a buffer.",
        _net(
            "conv: conv 3x3, 8\nweight scale [8, 1, 1], init=constant(0.1)\nmul:\n    from conv\n"
            "    from scale\ngap"
        ),
    ),
    "stage": Word(
        "lines under a number or a name for reports; it changes no key",
        "`cost --by stage` sums it up, and `compile --backend torch:features` returns what each ends with.",
        _net(
            "features:\n    stage 1: conv 3x3, 8 -> relu -> maxpool 2x2, /2\n"
            "    stage 2: conv 3x3, 16 -> relu -> maxpool 2x2, /2\ngap"
        ),
    ),
    "default": Word(
        "arguments that an op has where nothing else is said, in the text below it",
        "It holds to the end of its file, net or block, also for containers in it, and not in blocks that are "
        "written elsewhere. `norm=` and "
        "`act=` put a layer of their own behind a convolution or `fc`: under a label conv1 they are conv1_norm and "
        "conv1_act, in a plain chain they take the next positions.",
        "default bn eps=0.001\n\n"
        + _net(
            "default conv 3x3, bias=false, norm=bn, act=relu\nconv1: conv 16\nconv2: conv 32, act=none\ngap"
        ),
    ),
    "init": Word(
        "how weights of an op begin: `init conv weight=kaiming_normal(fan_out)`",
        "In a net it holds for all that is built, in a block or container from the line on. The innermost line "
        "counts, then an op's own `init=`. What is not named begins as in PyTorch. There are zeros, ones, "
        "constant, normal, uniform, trunc_normal, kaiming_normal, kaiming_uniform, xavier_normal, xavier_uniform and "
        "fan_uniform.",
        _net(
            "init conv weight=kaiming_normal(fan_out), bias=zeros\ninit fc weight=normal(0, 0.01)\n"
            "conv 3x3, 16\ngap\nfc 10"
        ),
    ),
    "meta": Word(
        "what is known about the net: year, accuracy, link",
        "Any names. `zoo` and the printed net show them, and `compare` draws top1, the accuracy in percent.",
        _net('meta year=2012, top1=56.52, weights="https://example.org/net.pth"\nconv 3x3, 8\ngap'),
    ),
    "require": Word(
        "budgets, which `netdsl check` holds against the net, and what parameters have to be",
        "params, macs, ops, activations, memory(...), receptive_field, of the net or of a label: stem.macs. A "
        'condition on parameters has to hold wherever the net is made: `require width % 8 == 0, mode in ["a", "b"]`.',
        _net("stem: conv 3x3, 8\ngap\nrequire params <= 5K, stem.macs <= 1M, memory <= 100KB"),
    ),
    "order": Word(
        "which modules are registered first, where that is not the order of use",
        "It is the first line of its body, and changes the order of keys in the state_dict alone.",
        "net Example:\n    order head, stem\n    input 3, 32x32\n    stem: conv 3x3, 8\n    gap\n    head: fc 10\n",
    ),
    "first": Word(
        "a stride for the first of some copies: `/2 first`",
        "Without it each copy strides.",
        _net("layer2: 3 * conv 3x3, 16, /2 first  # 16x16x16\ngap"),
    ),
    "choose": Word(
        "a decision that makes the net a search space: `choose( )` of values, `choose:` of lines",
        "Each is called by the labels around it and what it is for, and all have to be made: with --set, with set= "
        "of `netdsl.load`, or by `decide` of a variant. `netdsl space` counts the nets, says what they cost and "
        "draws some within the budgets, `netdsl report` shows them on a page.",
        _net(
            "stage1:\n    depth = choose(1, 2, 3)\n    depth * conv choose(3x3, 5x5), 16\nneck: choose:\n"
            "    identity\n    conv 1x1, 64\ngap"
        ),
        {"stage1.depth": "2", "stage1.kernel": "5x5", "neck": "conv"},
    ),
    "decide": Word(
        "in a variant's body: what decisions of a search space take",
        "A decision is called as `netdsl check` lists it, an option written as any value is, or in quotes. There "
        "may be several lines, and brackets, in which a long one breaks. A variant that leaves something open is a "
        "smaller space; --set decides that, and what is decided otherwise.",
        "net Space(width, kernel = choose(3x3, 5x5)):\n    input 3, 32x32\n    stage1:\n"
        "        depth = choose(1, 2, 3)\n        depth * conv kernel, width\n"
        "    neck: choose:\n        identity\n        conv 1x1, 64\n    gap\n\n"
        "variant found = Space(16):\n    decide kernel=5x5, stage1.depth=2, neck=conv\n",
    ),
    # ------------------------------------------------------------ values that are there
    "x": Word(
        "what came into the block; `x.c`, `x.h`, `x.w` and `x.n` are its sizes",
        "It stays that to the end of the block, in its containers and branches too; what flows is `flow`. In a net "
        "it is the input, if that has no label. `stem.c` are the channels of what a label made.",
        "block Squeeze(ratio = 4):\n    mul:\n        from x\n"
        "        gate: gap -> fc x.c//ratio -> relu -> fc x.c -> sigmoid\n\n"
        + _net("conv 3x3, 16\nSqueeze\ngap"),
    ),
    "flow": Word(
        "what flows: what the line above made",
        "`from flow, flow -> Cell` gives it twice, `kept = from flow` keeps it.",
        _net(
            "conv: conv 3x3, 8\nkept = from flow\nmaxpool 2x2, /2 -> upsample 2\nfrom kept, flow -> add -> gap"
        ),
    ),
    # ------------------------------------------------------------ types of parameters
    "int": Word(
        "the type of a whole number, which a parameter without type and default has",
        "Also a function: int(2.7) is 2. Numbers may be written 64, 5M, 138_357_544.",
        "block Unit(c, groups: int = 1):\n    conv: conv 3x3, c, groups=groups\n\n" + _net("Unit 9, 3\ngap"),
    ),
    "float": Word(
        "the type of a number",
        "A parameter whose default is 0.1 has it; one whose default is 0 is an int, and takes no 0.1.",
        "block Unit(c, drop: float = 0.0):\n    conv: conv 3x3, c -> dropout drop\n\n"
        + _net("Unit 8, 0.2\ngap"),
    ),
    "bool": Word("the type of true and false", "See `true`.", _CONSTANT + _net("Unit 8, false\ngap")),
    "str": Word(
        "the type of a text in double quotes",
        'Ops have some: mode="bilinear". A text cannot go over the end of a line.',
        'block Up(mode: str = "nearest"):\n    upsample 2, mode=mode\n\n'
        + _net('conv 3x3, 8\nUp "bilinear"\ngap'),
    ),
    "dims": Word(
        "the type of sizes such as 3x3: rows and columns",
        "Also a function: dims(k, 1) is 3x1 where k is 3. kernel[0] is the first of them.",
        "block Strip(c, k: dims = 3x3):\n    conv: conv k, c -> relu\n    again: conv dims(k[0], 1), c\n\n"
        + _net("Strip 8, 5x5\ngap"),
    ),
    "op": Word(
        "the type of an op or block that is handed over, with arguments if it has some",
        "`act: op = relu` may be given gelu, leaky_relu(0.1) or a block; `none` is allowed where the default is it.",
        "block Unit(c, act: op = relu, norm: op = bn):\n    conv: conv 3x3, c, norm=norm\n    act\n\n"
        + _net("Unit 8, gelu\nUnit 8, norm=gn(4)\ngap"),
    ),
    "list": Word(
        "the type of a list",
        "A list of a net's parameter may hold ints, sizes, ops and lists.",
        "net Chain(widths: list = [16, 32]):\n    input 3, 32x32\n    for i, c in enumerate(widths):\n"
        "        conv{i}: conv 3x3, c\n    gap\n",
    ),
    "pad": Word(
        "the type of a padding: `same`, `tf`, or rows and columns",
        "`same`, which convolutions have where nothing is said, is half of what the kernel covers on each side, so "
        "an even kernel has none; `tf` is TensorFlow's, which depends on the size of the map; a number or two sizes "
        "are pixels at each side.",
        "block Unit(c, border: pad = same):\n    conv: conv 3x3, c, pad=border\n    last: conv 5x3, c, pad=2x1\n\n"
        + _net("Unit 8, 0\nUnit 8, tf\nconv 2x2, 8, /2, pad=0\ngap"),
    ),
    # ------------------------------------------------------------ how weights begin
    "zeros": Word("an initialiser: all are 0", "torch's nn.init.zeros_. See `init`.", _begin("zeros")),
    "ones": Word("an initialiser: all are 1", "torch's nn.init.ones_. See `init`.", _begin("ones")),
    "constant": Word(
        "an initialiser: all are a number", "torch's nn.init.constant_. See `init`.", _begin("constant(0.1)")
    ),
    "normal": Word(
        "an initialiser: from the normal distribution, normal(mean=0, std=1)",
        "torch's nn.init.normal_. See `init`.",
        _begin("normal(0, 0.01)"),
    ),
    "uniform": Word(
        "an initialiser: between two numbers, uniform(low=0, high=1)",
        "torch's nn.init.uniform_. See `init`.",
        _begin("uniform(-0.1, 0.1)"),
    ),
    "trunc_normal": Word(
        "an initialiser: from the normal distribution around 0, cut at two units, trunc_normal(std=1)",
        "torch's nn.init.trunc_normal_, which cuts at -2 and 2 whatever std is. See `init`.",
        _begin("trunc_normal(0.02)"),
    ),
    "kaiming_normal": Word(
        "an initialiser: of standard deviation gain / sqrt(fan), kaiming_normal(mode=fan_in, gain=relu)",
        "torch's nn.init.kaiming_normal_: mode is fan_in or fan_out, gain an activation. arXiv 1502.01852.",
        _begin("kaiming_normal(fan_out)"),
    ),
    "kaiming_uniform": Word(
        "an initialiser: within gain sqrt(3 / fan), kaiming_uniform(mode=fan_in, gain=relu)",
        "torch's nn.init.kaiming_uniform_: mode is fan_in or fan_out, gain an activation. arXiv 1502.01852.",
        _begin("kaiming_uniform(fan_in, gain=leaky_relu(0.1))"),
    ),
    "xavier_normal": Word(
        "an initialiser: of standard deviation gain sqrt(2 / (fan_in + fan_out)), xavier_normal(gain=1)",
        "torch's nn.init.xavier_normal_; gain is a number or an activation. Glorot and Bengio 2010.",
        _begin("xavier_normal(0.5)"),
    ),
    "xavier_uniform": Word(
        "an initialiser: within gain sqrt(6 / (fan_in + fan_out)), xavier_uniform(gain=1)",
        "torch's nn.init.xavier_uniform_; gain is a number or an activation. Glorot and Bengio 2010.",
        _begin("xavier_uniform(gain=tanh)"),
    ),
    "fan_uniform": Word(
        "an initialiser: within 1 / sqrt(fan), fan_uniform(mode=fan_in)",
        "How convolutions and `fc` of torch begin, weights and biases, where nothing is said.",
        _begin("fan_uniform(fan_in)"),
    ),
    "relative_coords": Word(
        "fixed numbers of a weight that is not learned: how far places lie from the middle one",
        "Of rows x columns x 2, from -8 to 8 and on a logarithmic scale. Liu et al., arXiv 2111.09883.",
        _net('weight coords [7, 7, 2], axes="hwc", learned=false, init=relative_coords\ngap'),
    ),
    "relative_positions": Word(
        "fixed numbers of a weight that is not learned: which step two places of a window lie apart",
        "Of rows and columns of the window; `relative_bias` looks up with it. Liu et al., arXiv 2103.14030.",
        _net("weight index [16, 16], learned=false, init=relative_positions(4, 4)\ngap"),
    ),
}
"""By word or sign, in the order in which one meets them."""

SIGNS = ("->", ":", "=", "*", "|", "(", "[", "/", "{", "@", "#")
ALSO = {")": "(", "]": "[", "}": "{", "//": "/", "@allow": "@", "allow": "@"}
"""What else is explained under a sign's page."""
