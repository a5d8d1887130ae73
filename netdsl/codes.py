"""Every code of a diagnostic: what it means, what gives it, what to write. A test runs the examples."""

from __future__ import annotations

from textwrap import fill

from netdsl.record import Record

WIDTH = 100
"""Columns of an explanation."""


class Code(Record):
    """One code. `bad` gives exactly it, `good` nothing; both are whole specs, or command lines for misuse."""

    title: str
    text: str
    bad: str
    good: str
    status: int = 1
    """The exit status that it calls for: 2 if the command was misused."""


FAMILIES = {
    "E1": "the text",
    "E2": "names, values and wiring",
    "E3": "shapes",
    "E4": "budgets",
    "E5": "commands",
}
"""What the codes of a hundred are about."""


def _net(body: str, before: str = "") -> str:
    """Return a spec with a net around a few lines."""
    lines = "".join(f"    {line}\n" if line else "\n" for line in body.splitlines())
    return f"{before}net N:\n    input 3, 32x32\n{lines}"


_SPACE = "net N(c):\n    input 3, 32x32\n    depth = choose(2, 3)\n    depth * conv 3x3, c\n\n"


def explain(name: str) -> str:
    """Return what there is to say about a code, as text without a newline at the end."""
    code = CODES[name]

    def example(text: str) -> str:
        if text.startswith("netdsl "):
            return f"    {text}"
        shown = [
            line if len(line) < WIDTH else f"{line[: WIDTH - 8]} ..."
            for line in text.rstrip("\n").split("\n")
        ]
        return "\n".join(f"    {line}".rstrip() for line in shown)

    parts = [f"{name}: {code.title}", "", fill(code.text, WIDTH)]
    if code.bad:
        parts += ["", "wrong:", "", example(code.bad)]
    if code.good:
        parts += ["", "right:", "", example(code.good)]
    return "\n".join(parts)


CODES: dict[str, Code] = {
    # ------------------------------------------------------------ the text
    "E100": Code(
        "something else was expected here",
        "The line cannot go on like this. The message says what could stand here, and the help what was "
        "probably meant. Most often a comma is missing between two arguments.",
        _net("conv 3x3 64"),
        _net("conv 3x3, 64"),
    ),
    "E101": Code(
        "a character or word without meaning",
        "The text is neither a name, a number, nor a sign of the language. A name starts with a letter; "
        "sizes are written 3x3.",
        _net("conv 3x3, 64;"),
        _net("conv 3x3, 64"),
    ),
    "E102": Code(
        "a string is not closed",
        "A string ends on the line on which it begins.",
        _net('"stem: conv 3x3, 64'),
        _net('"stem": conv 3x3, 64'),
    ),
    "E103": Code(
        "a bracket is never closed",
        "Within brackets lines may break freely, so everything that follows an open one belongs to it.",
        _net("(conv 3x3, 64 -> relu"),
        _net("(conv 3x3, 64 -> relu)"),
    ),
    "E104": Code(
        "a tab in the indentation",
        "Bodies are indented by spaces, so that a line means the same in every editor.",
        "net N:\n\tinput 3, 32x32\n\tconv 3x3, 64\n",
        "net N:\n    input 3, 32x32\n    conv 3x3, 64\n",
    ),
    "E105": Code(
        "the braces of a name hold no expression",
        "A name such as `block{i+1}` is a template: its braces hold an integer expression.",
        _net("for i in range(2):\n    block{i+}: conv 3x3, 64"),
        _net("for i in range(2):\n    block{i+1}: conv 3x3, 64"),
    ),
    "E106": Code(
        "a layer written as a call",
        "A layer is its op and its arguments, without parentheses. Within an expression, parentheses "
        "give an op some of its arguments: `norm=bn(eps=0.001)`.",
        _net("conv(3x3, 64)"),
        _net("conv 3x3, 64"),
    ),
    "E107": Code(
        "an indented line that belongs to nothing",
        "A body is indented below a line that ends with a colon.",
        _net("conv 3x3, 64\n    relu"),
        _net("features:\n    conv 3x3, 64\n    relu"),
    ),
    "E108": Code(
        "a body is missing",
        "A line that ends with a colon opens a body, which is indented below it.",
        _net("features:\nconv 3x3, 64"),
        _net("features:\n    conv 3x3, 64"),
    ),
    "E109": Code(
        "the file ends too early",
        "A statement was begun, and the file ends before it does.",
        _net("conv 3x3, 64") + '@allow(huge_fc, "as in the paper")\n',
        _net("conv 3x3, 64"),
    ),
    "E110": Code(
        "nested too deeply",
        "Brackets, bodies and expressions nest at most 64 deep.",
        _net(f"conv 3x3, {'(' * 70}64{')' * 70}"),
        _net("conv 3x3, 64"),
    ),
    "E111": Code(
        "a number is too large",
        "Whole numbers go up to 2^63 - 1.",
        _net("conv 3x3, 10_000_000T"),
        _net("conv 3x3, 64"),
    ),
    "E112": Code(
        "an optional step without a condition",
        "Square brackets around steps make them optional, as in a grammar; `when` says when they are there.",
        _net("conv 3x3, 64 -> [relu]"),
        _net("deep = true\nconv 3x3, 64 -> [relu when deep]"),
    ),
    "E113": Code(
        "a minus between layers",
        "Layers are joined by arrows. A minus subtracts numbers.",
        _net("conv 3x3, 64 - relu"),
        _net("conv 3x3, 64 -> relu"),
    ),
    "E114": Code(
        "a reserved word",
        "The word is part of the language. As a label it can be quoted.",
        _net("when: conv 3x3, 64"),
        _net('"when": conv 3x3, 64'),
    ),
    # ------------------------------------------------------------ names and values
    "E115": Code(
        "an indentation that matches no line above",
        "A line belongs to the body whose lines have its indentation; one between two bodies belongs to none.",
        "net N:\n    input 3, 32x32\n    body:\n        conv 3x3, 64\n      relu\n",
        "net N:\n    input 3, 32x32\n    body:\n        conv 3x3, 64\n    relu\n",
    ),
    "E200": Code(
        "an unknown name",
        "Nothing of that name is visible here: no parameter, value, label, table or function. A value "
        "that flows is known by its label from the line after it.",
        _net("width = 64\nconv 3x3, widht"),
        _net("width = 64\nconv 3x3, width"),
    ),
    "E201": Code(
        "an unknown op",
        "A step begins with the name of an op or a block. `netdsl explain conv` describes an op; blocks "
        "are declared in the file or imported, above their first use.",
        _net("convv 3x3, 64"),
        _net("conv 3x3, 64"),
    ),
    "E202": Code(
        "an unknown argument",
        "The op, block or function takes no argument of that name.",
        _net("conv 3x3, 64, strides=2"),
        _net("conv 3x3, 64, stride=2"),
    ),
    "E203": Code(
        "a value of the wrong type",
        "Sizes and counts are ints; `/` gives a float and `//` an int. A stride is an argument of its "
        "own, after a comma: `conv 3x3, 64, /2`.",
        _net("conv 3x3, 64 /2"),
        _net("conv 3x3, 64, /2"),
    ),
    "E204": Code(
        "an argument is missing",
        "It has no default, and neither the layer nor a `default` line gives it.",
        _net("conv 3x3"),
        _net("conv 3x3, 64"),
    ),
    "E205": Code(
        "an argument too many",
        "The argument is given twice, or nothing is left that would take it. Values without a name fill "
        "the parameters in their order, each the first that takes its type.",
        _net("conv 3x3, 64, 32"),
        _net("conv 3x3, 64"),
    ),
    "E206": Code(
        "a value that is not allowed",
        "The parameter lists the values that it takes, `depth: int in [11, 16]`, or a `require` says them.",
        "net N(depth: int in [11, 16] = 11):\n    input 3, 32x32\n    conv 3x3, depth\nvariant v = N(12)\n",
        "net N(depth: int in [11, 16] = 11):\n    input 3, 32x32\n    conv 3x3, depth\nvariant v = N(16)\n",
    ),
    "E207": Code(
        "a condition that is neither true nor false",
        "`when`, `if`, `and`, `or` and `not` take conditions; numbers are compared first.",
        _net("n = 3\nrelu when n"),
        _net("n = 3\nrelu when n > 0"),
    ),
    "E208": Code(
        "an attribute or item that is not there",
        "A map has .c, .h and .w, tokens .n and .c, a vector .c; a row of a table has its columns.",
        _net("gap\nfc flow.h"),
        _net("gap\nfc flow.c"),
    ),
    "E209": Code(
        "numbers of items that do not fit",
        "As many names as values, as many cells as columns, lists of one length.",
        _net("conv1: conv 3x3, 64\na, b = from flow -> split 4"),
        _net("conv1: conv 3x3, 64\na, b = from flow -> split 2"),
    ),
    "E210": Code(
        "a tensor where a value is needed",
        "Tensors flow along arrows and are taken with `from`; expressions compute with numbers, and "
        "only `.c`, `.h`, `.w` and `.n` of a tensor are numbers.",
        _net("a: conv 3x3, 64\ny = a + a"),
        _net("a: conv 3x3, 64\ny = add:\n    from a\n    relu"),
    ),
    "E211": Code(
        "a definition that contains itself",
        "After elaboration a net is finite: a block contains itself with other arguments only, and under a "
        "condition. A `def` has no recursion.",
        "block B(n):\n    relu\n    [B n when n > 1]\n" + _net("B 3"),
        "block B(n):\n    relu\n    [B n - 1 when n > 1]\n" + _net("B 3"),
    ),
    "E212": Code(
        "a result that is no usable number",
        "Division by zero, an overflow, infinity.",
        _net("conv 3x3, 64 // 0"),
        _net("conv 3x3, 64 // 2"),
    ),
    "E213": Code(
        "larger than the limit",
        "Lists, repetitions, evaluation and nets are limited, so that no spec can exhaust the machine. "
        "For nets the option --max-nodes raises the limit.",
        _net("for i in range(2M):\n    relu"),
        _net("for i in range(2):\n    relu"),
    ),
    "E214": Code(
        "a name that is taken",
        "Blocks, tables, functions and ops of a file have different names, and so have the parameters "
        "of one of them.",
        _net("relu6 = 3\nconv 3x3, 64"),
        _net("n = 3\nconv 3x3, 64"),
    ),
    "E215": Code(
        "`first` outside a repetition",
        "`/2 first` gives its stride to the first copy of a repeated step and 1 to the others.",
        _net("conv 3x3, 64, /2 first"),
        _net("3 * conv 3x3, 64, /2 first"),
    ),
    "E216": Code(
        "a ramp used as a number",
        "A ramp counts the layers and blocks that are given it, and its numbers are known when all are counted, "
        "so only a float argument of a layer or block may take it. `netdsl explain ramp` says how it counts.",
        _net("p = ramp(0, 0.2)\nrelu when p > 0.1"),
        _net("2 * droppath ramp(0, 0.2)"),
    ),
    "E217": Code(
        "an open or ill-placed decision",
        "`choose` makes a net a search space. Every decision has a name, from the labels around it and "
        "its variable or argument, and has to be decided before anything else: --set depth=3, or `decide depth=3` in "
        "the body of a variant. What is left open `netdsl space` counts and draws from, and `netdsl report` shows.",
        _net("depth = choose(2, 3)\ndepth * conv 3x3, 64"),
        _net("depth = 2\ndepth * conv 3x3, 64"),
    ),
    "E218": Code(
        "an import that cannot be done",
        "An import names a .net file beside the spec, in a folder given with --path, or in the zoo, and "
        "what to take from it. Files may not import each other in a circle.",
        'import Bottle from "resnet.net"\n' + _net("relu"),
        'import Bottleneck from "resnet.net"\n' + _net("Bottleneck 64"),
    ),
    "E219": Code(
        "a name that emitted code cannot have",
        "Labels become keys of the state_dict, of letters, digits, underscores and hyphens, with dots behind lists; "
        "nets, blocks, parameters and outputs become names of Python. Neither its keywords nor what a module already "
        "has can be used.",
        _net("forward: conv 3x3, 64"),
        _net("conv1: conv 3x3, 64"),
    ),
    "E220": Code(
        "two modules or outputs of one name",
        "Names in a net, block or container are keys of the state_dict, and have to be different. "
        "Only equal layers without weights may share one: they are one module. What stands before a dot is a list, "
        "and no module.",
        _net("a: conv 3x3, 64\na: conv 3x3, 64"),
        _net("a: conv 3x3, 64\nb: conv 3x3, 64"),
    ),
    "E221": Code(
        "a layer with weights needs a label",
        "Its name is part of the state_dict. Where modules are named by labels, a layer that has weights "
        "gets one too; only in a chain without labels, which is a Sequential, is its position its name.",
        _net("conv 3x3, 64\nhead: gap"),
        _net("stem: conv 3x3, 64\nhead: gap"),
    ),
    "E222": Code(
        "a joint of no branch, or of one",
        "Every line below `add:`, `mul:`, `concat:` or `fork:` is a branch. Here none is left, or there is never "
        "more than one: a joint may come to one only where an `if` or a loop decides how many there are.",
        _net("add:\n    relu"),
        _net("add:\n    relu\n    identity"),
    ),
    "E223": Code(
        "nothing flows here",
        "A net begins with `input`; a block with several inputs takes one of them with `from`.",
        "net N:\n    conv 3x3, 64\n    input 3, 32x32\n",
        "net N:\n    input 3, 32x32\n    conv 3x3, 64\n",
    ),
    "E224": Code(
        "a wrong annotation",
        '`@allow(rule, "reason")` on the line above an item; the reason is required.',
        _net("@allow(huge_fc)\nfeatures:\n    relu"),
        _net('@allow(huge_fc, "as in the paper")\nfeatures:\n    relu'),
    ),
    "E225": Code(
        "a statement in the wrong place",
        "`input` belongs to a net, `return` to a block or net, `order` is the first line of a scope, `decide` "
        "belongs to a variant, whose body holds `decide`, `meta` and `require` only. What is there in training "
        "only is read by outputs in training.",
        _net("relu") + "variant v = N():\n    relu\n",
        _net("relu") + "variant v = N():\n    meta year=2014\n",
    ),
    "E226": Code(
        "a module that cannot run again",
        "`same` runs a layer or block of the same net, block or container once more, with its weights. "
        "It has to be the same module there: its layers and weights must not be others because something else "
        "comes in.",
        _net("c: conv 3x3, 8\nsame c"),
        _net("c: conv 3x3, 3\nsame c"),
    ),
    "E227": Code(
        "a line under a condition that begins elsewhere",
        "Where a `when` is false, its line hands on what flowed before it: in a joint, and behind the line. One "
        "that begins with another value (`from`) would hand on that, for those who read it. Put the steps alone "
        "under the condition, and it does (`from y -> [conv 1x1, 8 when deep]`), or write what is meant as `if` and "
        "`else`.",
        _net(
            "y = from flow -> relu\nadd:\n    conv 3x3, 8 as conv\n"
            "    from y -> conv 1x1, 8 as side when y.c != 8"
        ),
        _net(
            "y = from flow -> relu\nadd:\n    conv 3x3, 8 as conv\n    if y.c != 8:\n"
            "        from y -> conv 1x1, 8 as side\n    else:\n        from flow"
        ),
    ),
    "E228": Code(
        "a decision that a variant cannot make so",
        "`decide` in a variant's body gives decisions of its net one of their options each, once: by the names that "
        "`netdsl check` lists for the net, and not beside an argument of the same name.",
        f"{_SPACE}variant v = N(10):\n    decide depth=4\n",
        f"{_SPACE}variant v = N(10):\n    decide depth=3\n",
    ),
    # ------------------------------------------------------------ shapes
    "E301": Code(
        "an op that cannot be applied",
        "The shape of the input, or the value of an argument, does not fit the op. The note says what "
        "came in.",
        _net("fc 10"),
        _net("flatten\nfc 10"),
    ),
    "E302": Code(
        "branches that do not fit",
        "`add` and `mul` take equal shapes, or a vector or c x 1 x 1 that is used at every place; "
        "`concat` shapes that are equal but for the channels. The labels show where each branch got its "
        "shape.",
        _net("add:\n    a: conv 3x3, 64\n    identity"),
        _net("add:\n    a: conv 3x3, 64\n    b: conv 1x1, 64"),
    ),
    "E303": Code(
        "one value for several, or several for one",
        "A fork makes a tuple flow; most ops take one value. Join the tuple, or take one with `from "
        "flow[0]`.",
        _net("(relu | tanh) -> gap"),
        _net("(relu | tanh) -> concat -> gap"),
    ),
    "E304": Code(
        "a tensor is too large",
        "No tensor of a net, weights included, has more than 2^40 elements.",
        _net("conv 3x3, 10G"),
        _net("conv 3x3, 64"),
    ),
    "E305": Code(
        "a net without an input or a single end",
        "A net has an input, and ends with one value; further ones are named, `output p2: from flow[0]`, and only "
        "such stand in `return` after the first.",
        _net("(relu | tanh)"),
        _net("(relu | tanh) -> add"),
    ),
    "E306": Code(
        "learned tensors in the place of samples",
        "A `weight`, and what activations, sums, `fc` and the like make of such alone, is the same for all samples "
        "and has no axis for them. It is joined with what comes from an input; other ops do not take it, and no net "
        "returns it.",
        _net("weight s [3, 1, 1]\nfrom s -> conv 1x1, 4"),
        _net("weight s [3, 1, 1]\nmul:\n    identity\n    from s\nc: conv 1x1, 4"),
    ),
    # ------------------------------------------------------------ budgets
    "E401": Code(
        "a budget is exceeded",
        "What `require` claims does not hold. The lines below say who spends most.",
        _net("require params <= 1K\nconv 3x3, 64"),
        _net("require params <= 2K\nconv 3x3, 64"),
    ),
    "E402": Code(
        "a budget that cannot be checked yet",
        "memory is that of a whole net: its weights, and the most of all else that is alive at once, in inference or "
        "in a step of training. peak is that of inference, without the weights, also while a part of a net runs.",
        _net("require peak(batch=128, train) <= 3GB\nconv 3x3, 64"),
        _net("require memory(batch=128, train) <= 3GB\nconv 3x3, 64"),
    ),
    "E403": Code(
        "a budget that claims nothing",
        "A claim is a comparison, or several joined by `and`, `or` and `not`.",
        _net("require params\nconv 3x3, 64"),
        _net("require params <= 5M\nconv 3x3, 64"),
    ),
    "E404": Code(
        "a budget for an unknown module",
        "`label.params` is about the module of that label in the body in which `require` stands.",
        _net("require head.params <= 5M\nfeatures: conv 3x3, 64"),
        _net("require features.params <= 5M\nfeatures: conv 3x3, 64"),
    ),
    "E405": Code(
        "a quantity with wrong options",
        "A quantity takes batch=, dtype= and train=.",
        _net("require macs(batch=0) <= 5G\nconv 3x3, 64"),
        _net("require macs(batch=8, train=true) <= 5G\nconv 3x3, 64"),
    ),
    # ------------------------------------------------------------ the command
    "E500": Code(
        "arguments that cannot be read",
        "The command lacks an argument, or was given one that it does not take. `netdsl COMMAND --help` lists all.",
        "netdsl cost lenet --by stages",
        "netdsl cost lenet --by stage",
        2,
    ),
    "E501": Code(
        "no such spec",
        "SPEC is a file (it contains `/`, or ends in .net and exists), else a name of the zoo. It has "
        "to be a regular file of UTF-8 text; what a pipe gives is read as standard input: `-`.",
        "netdsl check resnet5",
        "netdsl check resnet50",
        2,
    ),
    "E502": Code(
        "which net of the file?",
        "Where one net is meant, a file with several needs :NAME, unless one is named like the file.",
        "netdsl diff vgg.net lenet",
        "netdsl diff vgg.net:vgg16 lenet",
        2,
    ),
    "E503": Code(
        "an option without meaning",
        "`Network.cost` and `Network.costs` were given a batch, dtype or grouping that does not exist; the command "
        "refuses them before. Or options of `netdsl cost` do not go together, as `--as` and those of the table.",
        'netdsl.load("lenet").cost_table(by="colour")',
        'netdsl.load("lenet").cost_table(by="layer")',
        2,
    ),
    "E504": Code(
        "a setting that does not fit",
        "--set gives a parameter of the net, or a decision of a search space, a value of its type.",
        "netdsl cost lenet --set clases=100",
        "netdsl cost lenet --set classes=100",
        2,
    ),
    "E505": Code(
        "an input that does not fit",
        "--input gives an input another shape: channels, height, width, without the batch.",
        "netdsl cost lenet --input 1x32",
        "netdsl cost lenet --input 1x32x32",
        2,
    ),
    "E506": Code(
        "no such backend",
        "Backends are found by the entry point `netdsl.backends` of installed distributions.",
        "netdsl compile lenet --backend torchh",
        "netdsl compile lenet --backend torch",
        2,
    ),
    "E507": Code(
        "an op that the backend lacks",
        "The framework's backend cannot write this op. Nothing is left out silently.",
        "",
        "",
    ),
    "E508": Code(
        "a training-only output inside a module",
        "`train output` in a container cannot be written as a module, whose result would depend on the mode. "
        "It belongs in the body of the net: in front of the container, behind it, or between two.",
        _net("features:\n    train output aux: relu\n    tanh"),
        _net("train output aux: relu\nfeatures:\n    tanh"),
    ),
    "E509": Code(
        "the framework is not installed",
        "Writing a module needs no framework, but building it does: pip install 'netdsl[torch]'.",
        "",
        "",
    ),
    "E510": Code(
        "a file cannot be written",
        "The folder has to exist and to be writable; the file is replaced as a whole or not at all. What the result "
        "is made of is never replaced by it, nor what is read-only, nor what has changed since it was read.",
        "netdsl compile lenet -o no/such/folder/lenet.py",
        "netdsl compile lenet -o lenet.py",
        2,
    ),
    "E511": Code(
        "a file is not what would be written",
        "With --check nothing is written: the file has to be there and equal to what the spec gives.",
        "netdsl compile lenet -o missing.py --check",
        "",
    ),
    "E512": Code(
        "nothing to explain",
        "`netdsl explain` knows the codes of diagnostics, the ops of the language, and the layers of a net.",
        "netdsl explain E999",
        "netdsl explain E302",
        2,
    ),
    "E513": Code(
        "a backend that does not tell where its weights are",
        "Weights are moved between backends that have `tensors` and `load`, as backends/README.md describes "
        "them. `tensors` has to tell where every number of the net is.",
        "",
        "",
        2,
    ),
    "E514": Code(
        "weights that do not fit the net",
        "All names and shapes have to be there, and no others; only bn's num_batches_tracked may lack, and is "
        "zero then. Nothing is written otherwise. The usual reasons are another number of classes "
        "(--set classes=10), another variant, and the wrong backend.",
        'netdsl.convert_weights(netdsl.load("lenet"), {}, "torch", "torch")',
        "",
    ),
    "E515": Code(
        "a file of weights that cannot be read",
        "It is a .safetensors file, or a .pt or .pth file that holds a state_dict, by itself or under the key "
        "`state_dict`, `model_state_dict` or `model`. Files of torch's are read with weights_only=True: one that "
        "holds more than tensors would have to be run, and is refused.",
        "netdsl weights lenet --from torch missing.safetensors --to torch lenet.safetensors",
        "",
        2,
    ),
    "E516": Code(
        "numbers that cannot be moved",
        "A state is a flat mapping from names to arrays of numbers. They are moved as they are, so that those "
        "that one tensor of the target holds must have one dtype, and those of a file a dtype of whole bytes. "
        "Those of the form for inference are worked out: there is no way back from it, nor to one that folds "
        "other layers.",
        'netdsl.convert_weights(netdsl.load("lenet"), {"conv1.weight": "x"}, "torch", "torch")',
        "",
    ),
    "E517": Code(
        "a name that no file of weights can have",
        "The name's ending says what the file is: .safetensors, or .pt and .pth for torch.",
        "netdsl weights lenet --from torch lenet.bin --to torch lenet.safetensors",
        "",
        2,
    ),
    "E518": Code(
        "backends that cannot be verified",
        "Every backend is named once, and has what `ExactBackend` in netdsl.backend asks for: what its state "
        "holds, which MACs its framework counts, and a runner that measures its modules.",
        "netdsl verify lenet --backend torch,torch",
        "",
        2,
    ),
    "E519": Code(
        "a module that is not what the spec says",
        "`netdsl verify` found a backend whose module has other weights, counts, shapes or numbers than the net, "
        "or than the other backends' modules with the same weights. The table says which, the worst first. This "
        "is a fault of netdsl, or of the backend, and not of the spec.",
        "",
        "",
    ),
    # ------------------------------------------------------------ the linter
    "E520": Code(
        "a configuration that cannot be read",
        "`netdsl lint` takes its settings from the nearest netdsl.toml, or pyproject.toml with a table "
        "[tool.netdsl.lint]. The file has to be TOML.",
        "",
        "",
        2,
    ),
    "E521": Code(
        "an unknown setting",
        "The table of the linter has the keys select, ignore, per-file-ignores, thresholds and budgets. "
        "Thresholds are those of the rules; budgets are about params, buffers, macs, ops and activations.",
        "",
        "",
        2,
    ),
    "E522": Code(
        "no such rule",
        "A rule is named by its code, by its name, or with others by the beginning of its code: L201, huge_fc, L2.",
        "netdsl lint lenet --select L999",
        "netdsl lint lenet --select L201",
        2,
    ),
    "E523": Code(
        "a setting of the wrong type",
        'Rules are lists of names, thresholds numbers from 0, budgets whole numbers or texts such as "5M".',
        "",
        "",
        2,
    ),
    "E524": Code(
        "a baseline that cannot be used",
        "--baseline FILE leaves out the findings that FILE holds; with --write-baseline FILE is made from "
        "what is found today.",
        "netdsl lint lenet --baseline missing.json",
        "netdsl lint lenet --baseline lenet.json --write-baseline",
        2,
    ),
    "E525": Code(
        "fixes that cannot be asked for",
        "--fix mends a file of yours, and all of its nets, since a line belongs to every net that it makes. "
        "Packaged specs and imported files are left as they are.",
        "netdsl lint lenet --fix",
        "netdsl lint lenet",
        2,
    ),
    # ------------------------------------------------------------ differences
    "E530": Code(
        "one net, or more than two, to compare",
        "`netdsl diff` takes the net before and the net after. They are two files, two nets of one, or the same "
        "file at two revisions, `HEAD:a.net a.net`. `netdsl report` takes both, or one net alone.",
        "netdsl diff resnet18",
        "netdsl diff resnet18 resnet34",
        2,
    ),
    "E531": Code(
        "a reference that a net cannot be compared with",
        "`netdsl verify --against` takes torchvision:NAME, timm:NAME, FILE.py:FACTORY, whose function returns a "
        "model of torch's and is called without arguments, or a file of weights. A file of Python is run, with all "
        "that it does; it is named on the command line only.",
        "netdsl verify lenet --against lenet",
        "",
        2,
    ),
    "E532": Code(
        "a net that is not its reference",
        "`netdsl verify --against` found other keys, shapes or outputs than the reference has. The table says which, "
        "and where they first differ in the spec.",
        "",
        "",
    ),
    "E533": Code(
        "a revision that has no such spec",
        "`netdsl diff` reads `REVISION:FILE.net` and `REVISION:FILE.net:NAME` as git has them, with their imports: "
        "it is run in a repository, and the path is from its root, or from here if it begins with `./`.",
        "netdsl diff no-such-revision:lenet.net lenet",
        "",
        2,
    ),
    # ------------------------------------------------------------ devices
    "E540": Code(
        "no such device",
        "A device is one of `netdsl devices`, one in the folder that the environment variable NETDSL_DEVICES "
        "names, or a file: FILE.toml.",
        "netdsl cost lenet --device h1000",
        "netdsl cost lenet --device h100",
        2,
    ),
    "E541": Code(
        "a device file that cannot be used",
        "It is TOML: [peak] with operations a second by dtype, a multiply-accumulate being two; and, where they "
        "are known, bandwidth (bytes a second), memory and flash (bytes), power (watts), title, note, and [source] "
        "with who says so.",
        "netdsl cost lenet --device missing.toml",
        "netdsl cost lenet --device h100",
        2,
    ),
    "E542": Code(
        "a device without a rate for the dtype",
        "A floor needs the peak rate in the dtype that the net runs in; `netdsl devices NAME` shows a device's.",
        "netdsl cost lenet --device edge-tpu",
        "netdsl cost lenet --device edge-tpu --dtype int8",
        2,
    ),
    "E543": Code(
        "options that do not go with a device",
        "`netdsl cost --device` gives times, in evaluation or of a step of training; it looks at the device's own "
        "memory and plans no checkpoints. --fused is for it alone.",
        "netdsl cost lenet --fused",
        "netdsl cost lenet --device h100 --fused",
        2,
    ),
    "E544": Code(
        "a calibration that cannot be made",
        "`netdsl calibrate -o FILE.toml` runs nets of the zoo, of at most --largest MACs, fits every second one of a "
        "family and tries the fit on the others.",
        "netdsl calibrate -o machine.txt",
        "",
        2,
    ),
    # ------------------------------------------------------------ pictures
    "E550": Code(
        "a picture that cannot be written so",
        "The end of the file's name says which form it has: .svg, .png, and for graphs .dot, .mmd and .mermaid. It "
        "must not be the spec itself, and a timeline has no groups.",
        "netdsl graph lenet -o lenet.jpeg",
        "netdsl graph lenet -o lenet.svg",
        2,
    ),
    "E551": Code(
        "PNG without the package that draws it",
        "SVG needs nothing. PNG is drawn from it by cairosvg: pip install 'netdsl[png]'.",
        "",
        "",
        2,
    ),
    "E552": Code(
        "nets without accuracies to plot",
        "The picture shows accuracy against MACs, so it takes nets whose spec says what they reach: "
        "`meta top1=76.13`, in percent.",
        "netdsl compare unet lenet --plot nets.svg",
        "netdsl compare resnet18 resnet34 --plot nets.svg",
        2,
    ),
    "E553": Code(
        "the language server without its packages",
        "`netdsl lsp` speaks the protocol of editors by pygls: pip install 'netdsl[lsp]'. Nothing else needs it.",
        "",
        "",
        2,
    ),
    "E554": Code(
        "a playground that cannot be served",
        "The page is built from a checkout of netdsl, by `make playground`, and is in no wheel: with the Python that "
        "runs in the browser it has ten times a wheel's size. `--dir` says where it is. A port serves one program.",
        "netdsl playground --dir no/such/folder",
        "",
        2,
    ),
    # ------------------------------------------------------------ fitting
    "E560": Code(
        "a range or a target that cannot be read",
        "`netdsl fit` varies a parameter, with or without a range: width, width=0.25..2, dim=64..1024/64; several go "
        "together, all with ranges or none. A target is a quantity of `require` and its number: macs=4.1G, "
        "params<=25M.",
        "netdsl fit mobilenet_v2 --vary width --target 150M",
        "netdsl fit mobilenet_v2 --vary width --target macs=150M",
        2,
    ),
    "E561": Code(
        "nothing to vary",
        "What is varied is a number or a size among the net's parameters, an argument of a parameter that is an op "
        "(unit.base), or a number in a list (n.2).",
        "netdsl fit mobilenet_v2 --vary widht --target macs=150M",
        "netdsl fit mobilenet_v2 --vary width --target macs=150M",
        2,
    ),
    "E562": Code(
        "a target out of reach",
        "No value that was tried meets the target, or all bounds at once. The message says the least and the most "
        "that the net has over the range. A quantity may also not depend on the parameter at all.",
        "netdsl fit mobilenet_v2 --vary width=0.25..1 --target macs=150G",
        "netdsl fit mobilenet_v2 --vary width=0.25..1 --target macs=150M",
    ),
    # ------------------------------------------------------------ training
    "E570": Code(
        "a step of training that cannot fit",
        "Even with the best checkpoints the step takes more memory than it may. The message says the least that can "
        "be reached; a smaller batch takes less, and so do another optimizer and dtype.",
        "netdsl cost resnet18 --train --batch 64 --memory 100MB --checkpoint",
        "netdsl cost resnet18 --train --batch 4 --memory 1GB --checkpoint",
    ),
    # ------------------------------------------------------------ graphs
    "E571": Code(
        "a graph that no spec makes",
        "`Network.from_graph` writes the graph as a spec and reads that again. The message says where the two "
        "differ, for example in an op that is marked as training's, but that the net's own result needs.",
        "",
        "",
    ),
    # ------------------------------------------------------------ parts
    "E572": Code(
        "a net that has too few parts",
        "A net is cut between two of its layers. Learned tensors that stand for themselves stay with the layer that "
        "reads them, what runs a module twice is one part, and windows of attention are not cut.",
        "netdsl split lenet --parts 30",
        "netdsl split lenet --parts 2",
    ),
    "E573": Code(
        "parts that cannot fit",
        "However the net is cut, one of the parts takes more memory than it may. The message says the least that "
        "would do; more parts and more micro-batches take less, and so do another optimizer, schedule and dtype.",
        "netdsl split vgg16 --parts 2 --train --batch 8 --memory 100MB",
        "netdsl split vgg16 --parts 2 --train --batch 8 --memory 2GB",
    ),
    # ------------------------------------------------------------ towers
    "E574": Code(
        "a net that devices cannot share",
        "Each device makes its share of the channels of every layer: of the filters of a convolution or fc, of what "
        "treats channels, or groups of them, by themselves. What cannot be divided, such as a norm over channels, "
        "each device has whole. There has to be a layer that can be; and what is learned and stands for itself, "
        "windows, and a module that runs twice (`same`) have to stay where no channels are exchanged.",
        "netdsl split lenet --towers 64",
        "netdsl split vgg16 --towers 2",
    ),
    # ------------------------------------------------------------ lifting
    "E580": Code(
        "a model that cannot be read",
        "`netdsl lift` takes torchvision:NAME, timm:NAME, MODULE:FACTORY, FILE.py:FACTORY, whose function "
        "returns a model, or FILE.onnx; --args says what it is called with. The module or file is run, with all that "
        "it does, and so is the model: name only what you would run. What is pickled, such as a .pt file, is never "
        "opened. Of FILE.onnx only operators are run; it has to be whole, and what it keeps beside it in its folder.",
        "netdsl lift model.pt",
        "",
        2,
    ),
    "E581": Code(
        "a model that no spec says",
        "It calls what no op of the language is, or an op cannot say one of the arguments; the message names the "
        "module, the reason and the line of the code. All such calls are listed at once.",
        "",
        "",
    ),
    "E582": Code(
        "a spec that is not its model",
        "What was lifted was built, given the model's weights, and made something else. That is a fault of netdsl; "
        "please report it with the model.",
        "",
        "",
    ),
    # ------------------------------------------------------------ searching
    "E586": Code(
        "no such objective",
        "An objective is digits, or MODULE:FUNCTION of yours; the module is imported, which runs it. The function "
        "takes the Network and returns a number, more being better; if its parameter is annotated as torch.nn.Module "
        "or nnx.Module, it takes the built module.",
        "netdsl search digits_search --objective accuracy --trials 1",
        "",
        2,
    ),
    "E587": Code(
        "a storage that cannot be used",
        "A study is kept in sqlite:///FILE or journal:///FILE on one machine, in postgresql://USER@HOST/DATABASE for "
        "several.",
        "netdsl search digits_search --objective digits --trials 1 --storage study.txt",
        "",
        2,
    ),
    "E588": Code(
        "a study of something else",
        "A study goes on only with the space, the front and the objective that it began with: scores would not mean "
        "the same. What has changed is said; --study NAME begins another study beside it.",
        "",
        "",
        2,
    ),
    "E589": Code(
        "a search without a result",
        "The objective failed for every net, or every worker was lost. What each trial said is above.",
        "",
        "",
    ),
    "E590": Code(
        "the system refuses",
        "There is no memory left, no room on the disk, or nobody to write to: standard output may be closed.",
        "",
        "",
        2,
    ),
    "E591": Code(
        "an internal error",
        "A fault of netdsl, or of a rule of its linter, whose name is said: the other rules go on. Please report it "
        "with the spec; `python -X dev -m netdsl ...` shows where it happened.",
        "",
        "",
    ),
    "E592": Code(
        "a net that cannot be a file of ONNX",
        "`netdsl export` runs the exporter of the module's framework, which may refuse a net, and with --check ONNX "
        "Runtime has to give the module's outputs. Nothing is written otherwise. A file holds up to 2 GiB: the "
        "command writes more weights into a file beside it, and `Network.onnx` refuses them.",
        "",
        "netdsl export lenet -o lenet.onnx",
    ),
}
