"""Every rule: its examples, what it promises to save, that its fixes keep the function, and what the zoo says."""

import os
import re
from collections import Counter
from contextlib import nullcontext
from functools import cache
from itertools import product
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, assume, given, settings
from strangers import stranger
from strategies import Spec, specs
from zoo import FILES, NAMES

import netdsl
from netdsl import api
from netdsl.ir.types import Shape
from netdsl.lint.config import Settings
from netdsl.lint.docs import explain, first_line, render, sections
from netdsl.lint.engine import Loaded, Run
from netdsl.lint.facts import read_share
from netdsl.lint.finding import Finding
from netdsl.lint.fix import Fixed, fix, proven
from netdsl.lint.rule import FAMILIES, SECTIONS, Rule
from netdsl.lint.rules import catalogue, find
from netdsl.lint.step import Step
from netdsl.network import Network
from netdsl.passes import Facts, count_costs, infer_shapes
from netdsl.quantities import Amounts, amounts
from netdsl.transforms.rewrite import Rewrite

ROOT = Path(netdsl.__file__).parent.parent
RULES = {rule.name(): rule for rule in catalogue().values()}

CASES = {
    "bias_before_norm": {
        "an argument of the line, an instance norm, other ops": (
            "net N:\n    input 3, 8x8\n    body:\n"
            "        conv 3x3, 4, bias=true, norm=bn, act=relu  # keep me\n"
            "        conv 3x3, 4 -> gn 4\n"
            "        dwconv 3x3 -> bn\n"
            "        upconv 2x2, 4, /2 -> bn -> gap -> fc 6 -> bn\n"
        ),
        "an instance norm of its own name": (
            "net N:\n    input 3, 8x8\n    body:\n"
            "        stdconv 3x3, 4 -> instance_norm -> relu -> conv 3x3, 4 -> instance_norm affine=true\n"
        ),
        "copies of a block": (
            "block B(c):\n    conv: conv 3x3, c\n    norm: bn\n    relu\n\n"
            "net N:\n    input 3, 8x8\n    body: 2 * B 4\n    gap\n"
        ),
    },
    "conv1x1_before_avgpool": {
        "in one chain": "net N:\n    input 3, 8x8\n    body: conv 1x1, 4 -> avgpool 2x2 -> relu -> gap\n",
        "padding that counts, without a bias": (
            "net N:\n    input 3, 9x9\n    body: conv 1x1, 4, bias=false -> avgpool 3x3, /2, pad=1\n"
        ),
        "padding that does not count, and half a window": (
            "net N:\n    input 3, 9x8\n    body:\n"
            "        conv 1x1, 4 -> avgpool 3x3, /2, pad=1, ceil=true, count_include_pad=false\n"
        ),
        "an adaptive pool, and groups": (
            "net N:\n    input 4, 9x7\n    body: conv 1x1, 8, groups=2 -> avgpool to=2x3\n"
        ),
        "lines with labels": "net N:\n    input 3, 8x8\n    mix: conv 1x1, 4\n    pool: avgpool 2x2\n    gap\n",
        "other convolutions": (
            "net N:\n    input 4, 12x12\n    body:\n        stdconv 1x1, 6, groups=2 -> avgpool 2x2 -> relu\n"
            "        dwconv 1x1 -> avgpool 3x3, /2, pad=1, count_include_pad=false\n"
        ),
    },
    "relu_before_maxpool": {
        "an argument": (
            "net N:\n    input 3, 8x8\n    body:\n"
            "        conv 3x3, 4, act=leaky_relu(0.2) -> maxpool 2x2\n        tanh\n"
        ),
        "arguments with names": (
            "net N:\n    input 3, 8x8\n    body:\n"
            "        conv 3x3, 4, act=hardtanh(min=0) -> maxpool 2x2\n"
            "        conv 3x3, 4, act=threshold(0.1, 0) -> maxpool 2x2\n        gap\n"
        ),
        "a default, padding, another activation": (
            "net N:\n    input 3, 9x9\n    default conv act=hsigmoid\n    body:\n"
            "        conv 3x3, 4\n        maxpool 3x3, /2, pad=1\n"
        ),
        "lines with labels": (
            "net N:\n    input 3, 8x8\n    a: conv 3x3, 4\n    act: relu6\n    pool: maxpool 2x2 # why\n    gap\n"
        ),
    },
    "identity_op": {
        "steps that change nothing": (
            "net N:\n    input 3, 8x8\n    body:\n        conv 3x3, 4 -> relu6 -> relu -> dropout 0.0\n"
            "        # a comment\n        maxpool 1x1\n        gap -> flatten\n        fc 3\n"
        ),
        "wiring": "net N:\n    input 4, 8x8\n    shuffle 1\n    a: conv 3x3, 4\n    upsample 1\n    identity\n",
        "more of them": (
            "net N:\n    input 4, 8x8\n    body:\n        permute 0, 1, 2\n        conv 3x3, 4 as a\n"
            "        scale 1.0\n        roll 0x0 -> shift 0x0 -> pixel_shuffle 1 -> pixel_unshuffle 1\n        gap\n"
        ),
        "what only picks numbers out": (
            "net N:\n    input 4, 8x8\n    body:\n        conv 3x3, 4 -> relu -> upsample 2 -> relu -> gap\n"
            "        tanh\n"
        ),
    },
    "gap_after_linear": {
        "in one chain, without a bias": (
            "net N:\n    input 3, 8x8\n    body: conv 3x3, 4 -> relu -> conv 1x1, 5, bias=false -> gap\n"
        ),
        "a default kernel, a label": (
            "net N:\n    input 3, 8x8\n    default conv 1x1, pad=0\n"
            "    stem: conv 3x3, 4, pad=1\n    relu\n    conv 5, pad=same as scores -> gap # why\n"
        ),
        "lines with labels": (
            "net N:\n    input 3, 8x8\n    a: conv 3x3, 4\n    relu\n    head: conv 1x1, 7\n    mean: gap\n"
        ),
    },
    "conv1x1_after_upsample": {
        "in one chain, bilinear, groups": (
            "net N:\n    input 4, 5x6\n    body:\n"
            '        upsample 3, mode="bilinear" -> conv 1x1, 8, groups=2, bias=true -> relu\n        gap\n'
        ),
        "lines with labels": "net N:\n    input 3, 4x4\n    upsample 2\n    mix: conv 1x1, 4\n    gap\n",
        "standardised weights": (
            "net N:\n    input 3, 4x4\n    body: upsample 2 -> stdconv 1x1, 4 -> relu -> gap\n"
        ),
    },
    "avgpool_before_gap": {
        "before a pool of the whole map": (
            "net N:\n    input 3, 9x6\n    body: conv 3x3, 4 -> avgpool 3x2 -> avgpool to=1x1\n"
        ),
        "equal parts of an adaptive pool": (
            "net N:\n    input 3, 8x6\n    a: conv 3x3, 4\n    avgpool to=4x3\n    gap\n"
        ),
    },
    "avgpool_counts_padding": {
        "an even kernel, a default": (
            "net N:\n    input 3, 8x8\n    default avgpool pad=1\n    body:\n"
            "        avgpool 2x2, /2  # keep me\n        conv 3x3, 4\n"
        ),
    },
    "dropout_at_output": {
        "in a chain, behind a flatten": "net N:\n    input 3, 8x8\n    gap\n    head: fc 4 -> dropout 0.2\n",
        "of an output in training": (
            "net N:\n    input 3, 8x8\n    a: conv 3x3, 4\n    train output aux: gap -> dropout 0.1\n    gap\n"
        ),
    },
    "norm_norm": {
        "a step behind an argument's": (
            "net N:\n    input 3, 8x8\n    body:\n        conv 3x3, 4, bias=false -> bn\n        bn  # why\n"
        ),
    },
    "dead_branch": {
        "a chain with weights": (
            "net N:\n    input 3, 8x8\n    a: conv 3x3, 4\n    unused = from a -> conv 1x1, 9 as b -> relu\n"
            "    from a -> gap\n"
        ),
    },
}
"""Specs in which a rule finds something that it can mend, besides its own example."""
KINDS = {
    "linear_linear": {
        "standardised weights": ("stdconv 1x1, 8 -> stdconv 3x3, 4 -> relu", True),
        "of one of the two": ("conv 3x3, 8 -> stdconv 1x1, 4 -> relu", True),
        "a narrow middle": ("stdconv 1x1, 2 -> stdconv 3x3, 4 -> relu", False),
        "groups": ("stdconv 1x1, 8, groups=2 -> stdconv 3x3, 4 -> relu", False),
    },
    "missing_activation": {
        "two kinds of convolutions": ("conv 3x3, 8 -> bn -> stdconv 3x3, 8 -> relu", True),
        "an activation between": ("conv 3x3, 8 -> bn -> relu -> stdconv 3x3, 8 -> relu", False),
        "the way up": ("conv 3x3, 8 -> bn -> upconv 2x2, 8, /2 -> relu", False),
        "a norm that is no linear map": ("conv 3x3, 8 -> gn 2 -> stdconv 3x3, 8 -> relu", False),
    },
    "shuffle_missing": {
        "standardised weights": ("stdconv 3x3, 8, groups=2 -> relu -> conv 3x3, 8, groups=4 -> relu", True),
        "the way up": ("conv 3x3, 8, groups=2 -> relu -> upconv 2x2, 8, /2, groups=2 -> relu", True),
        "a shuffle": (
            "stdconv 3x3, 8, groups=2 as a -> relu -> shuffle 2 -> stdconv 3x3, 8, groups=2 as b -> relu",
            False,
        ),
        "one channel a group": (
            "stdconv 3x3, 8, groups=2 -> relu -> dwconv 3x3 -> conv 1x1, 8 -> relu",
            False,
        ),
    },
    "depthwise_alone": {
        "groups of one channel": ("stdconv 3x3, 4, groups=4 -> relu -> conv 3x3, 4, groups=4 -> relu", True),
        "mixed by the way up": (
            "dwconv 3x3 -> relu -> upconv 2x2, 4, /2 -> relu -> dwconv 3x3 -> conv 1x1, 4",
            False,
        ),
    },
    "dilation_gridding": {
        "standardised weights": (
            "stdconv 3x3, 4, dilation=2 -> relu -> conv 3x3, 4, dilation=2 -> relu",
            True,
        ),
        "a filter between": (
            "conv 3x3, 4, dilation=2 -> blurpool 3 -> conv 3x3, 4, dilation=2 -> relu",
            False,
        ),
        "places that move": (
            "conv 3x3, 4, dilation=2 as a -> shift 1x1 -> conv 3x3, 4, dilation=2 as b -> relu",
            True,
        ),
    },
    "duplicate_branch": {
        "numbers that are drawn": ("conv 3x3, 4 as a -> (rrelu | rrelu) -> add", False),
        "numbers that are not": ("conv 3x3, 4 as a -> (relu | relu) -> add", True),
    },
    "relu_before_add": {
        "a sum": ("conv 3x3, 4 as a -> (conv 1x1, 4 as b -> relu | identity) -> add", True),
        "a difference": ("conv 3x3, 4 as a -> (identity | conv 1x1, 4 as b -> relu) -> sub", False),
        "a product": ("conv 3x3, 4 as a -> (conv 1x1, 4 as b -> relu | identity) -> mul", False),
    },
    "double_squash": {"picked out": ("conv 3x3, 4 -> sigmoid -> maxpool 2x2 -> sigmoid", False)},
    "softmax_at_output": {
        "again": ("gap -> fc 4 -> softmax", True),
        "at each place": ("conv 1x1, 3 -> softmax", True),
        "over the rows": ('conv 1x1, 3 -> softmax axis="h"', False),
        "of logarithms, which stay what they are": ("gap -> fc 4 -> log_softmax", False),
    },
    "saturating_deep": {
        "slopes below 1": (" -> ".join(["conv 3x3, 4 -> hsigmoid"] * 6), True),
        "one of slope 1": (" -> ".join(["conv 3x3, 4 -> tanh -> bn"] * 6), False),
    },
    "zero_start": {
        "a product of matrices": (
            "tokens -> (fc 4, init=zeros, bias=false as a | fc 4, init=zeros, bias=false as b -> permute 1, 0)"
            " -> matmul",
            True,
        ),
        "of one that is none": (
            "tokens -> (fc 4, init=zeros, bias=false as a | fc 4, bias=false as b -> permute 1, 0) -> matmul",
            False,
        ),
    },
}
"""By rule, chains behind a map of 4 x 12 x 12, and whether it finds something: of kinds of ops, not of one name."""


NEARLY = {
    "relu_before_softmax": [
        ("gap -> fc 4 -> leaky_relu -> log_softmax", False),
        ("gap -> fc 4 -> relu -> fc 4 -> log_softmax", False),
        ("gap -> fc 4 -> relu -> dropout 0.1 -> log_softmax", True),
    ],
    "softmax_of_one": [
        ("gap -> fc 2 -> log_softmax", False),
        ('conv 1x1, 1 -> softmax axis="h"', False),
        ('avgpool to=1x4 -> softmax axis="h"', True),
    ],
    "norm_of_one": [
        ("avgpool to=1x1 -> conv 1x1, 8 -> gn 4", False),
        ("conv 3x3, 8 -> gn 8 -> relu", False),
        ("avgpool to=1x1 -> conv 1x1, 8 -> bn -> relu", False),
    ],
    "pool_enlarges": [
        ("avgpool to=12x12", False),
        ("avgpool to=13x12", True),
        ("maxpool 2x2 -> maxpool to=7x6", True),
    ],
    "padded_1x1": [("conv 1x3, 8, pad=0x1 -> relu", False), ("conv 1x1, 8, pad=0 -> relu", False)],
    "dilation_idle": [
        ("conv 1x3, 8, dilation=2 -> relu", False),
        ("upconv 1x1, 8, dilation=2 -> relu", True),
        ("dwconv 1x1, dilation=3 -> relu", True),
    ],
    "keras_momentum": [
        ("conv 3x3, 8, bias=false -> bn momentum=0.4 -> relu", False),
        ("conv 3x3, 8, bias=false -> bn momentum=0.9 -> relu", True),
    ],
    "constant_start": [
        ("conv 3x3, 8, init=zeros -> relu", False),
        ("dwconv 3x3, init=constant(0.1) -> relu", False),
        ("conv 3x3, 1, init=ones -> relu", False),
        ("gap -> fc 8, init=ones", True),
    ],
    "leaky_slope": [("conv 3x3, 8 -> leaky_relu 1.0", False), ("conv 3x3, 8 -> leaky_relu 20.0", True)],
    "dropout_twice": [
        ("dropout 0.1 -> relu -> dropout 0.1", False),
        ("dropout 0.1 -> droppath 0.1", False),
        ("dropout 0.1 -> dropout 0.0", False),
        ("gap -> dropout 0.1 -> flatten -> dropout 0.1 -> fc 4", True),
    ],
    "dropout_high": [("dropout 0.7 -> conv 3x3, 4", False), ("dropout 0.71 -> conv 3x3, 4", True)],
    "droppath_alone": [
        ("(identity | conv 3x3, 4 as a -> droppath 0.1) -> add", False),
        ("(identity | conv 3x3, 4 as a -> droppath 0.1 -> relu) -> add", False),
        ("(identity | conv 3x3, 4 as a -> droppath 0.1 -> conv 3x3, 4 as b) -> add", True),
        ("conv 3x3, 4 -> droppath 0.0 -> conv 3x3, 4", False),
        ("conv 3x3, 4 -> relu -> droppath 0.1", True),
    ],
    "mixed_order": [
        ("3 * (conv 3x3, 4 -> bn -> relu) -> conv 3x3, 4 -> relu -> bn", False),
        ("4 * (conv 3x3, 4 -> bn -> relu) -> conv 3x3, 4 -> relu -> bn", True),
        ("4 * (conv 3x3, 4 -> bn -> relu) -> conv 3x3, 4 -> relu -> conv 3x3, 4 -> bn", False),
        ("4 * (conv 3x3, 4 -> gelu -> bn) -> conv 3x3, 4 -> bn -> gelu", True),
    ],
    "head_width": [
        ("conv 4x4, 32, /4, pad=0 as c0 -> tokens -> attention 2 as a2", False),
        ("conv 4x4, 32, /4, pad=0 as c0 -> tokens -> attention 4 as a2", True),
        ("conv 4x4, 36, /4, pad=0 as c0 -> tokens -> attention 1 as a2", True),
    ],
    "first_token_taken": [
        ("tokens -> attention 1 as a1 -> token 1 -> fc 4 as f3", False),
        ("tokens -> attention 1 as a1 -> token 0 -> fc 4 as f3", True),
        ('(avgpool to=1 -> tokens | amax "hw", keep=true -> tokens) -> concat axis="n" -> token 0', False),
    ],
    "no_positions": [
        ("conv 3x3, 32 as c0 -> tokens -> attention 1 as a2", False),
        ("conv 4x4, 32, /4, pad=0 as c0 -> tokens -> attention 1 as a2", True),
        ("conv 4x4, 32, /4, pad=0 as c0 -> tokens -> ln as l2 -> attention 1 as a3 -> fc 8 as f4", True),
        ("tokens -> fc 8", False),
    ],
    "stride_beyond_input": [
        ("maxpool 8x8 -> 2 * (conv 3x3, 4 -> relu)", False),
        ("maxpool 8x8 -> 4 * (conv 1x1, 4 -> relu)", False),
        ("maxpool 4x4 -> 4 * (conv 3x3, 4 -> relu)", False),
        ("maxpool 6x6 -> 3 * (conv 3x3, 4 -> relu)", True),
    ],
    "repetition_strides": [("3 * (conv 3x3, 4, /2 -> relu)", False)],
    "norm_in_one_branch": [
        ("(conv 3x3, 4 as a -> bn as n -> relu | conv 1x1, 4 as s) -> add", True),
        ("(conv 3x3, 4 as a -> bn as n | conv 1x1, 4 as s -> relu) -> add", True),
        ("(conv 3x3, 4 as a -> instance_norm as n | dwconv 3x3 as s) -> add", False),
        ("(conv 3x3, 4 as a -> bn as n | identity) -> add", False),
        ("(conv 3x3, 4 as a | conv 1x1, 4 as s) -> add", False),
        ("(conv 3x3, 4 as a -> bn as n | conv 1x1, 4 as s) -> mul", False),
        ("(conv 3x3, 4 as a -> bn as n | maxpool 3x3, /1, pad=1) -> add", False),
    ],
    "pad_shrinks": [
        ("conv 5x5, 4, pad=1", True),
        ("conv 3x3, 4, dilation=2, pad=1", True),
        ("conv 1x7, 4, pad=0x2", True),
        ("dwconv 5x5, pad=1", True),
        ("conv 5x5, 4, pad=2", False),
        ("conv 5x5, 4, pad=0", False),
        ("conv 1x7, 4, pad=0x3", False),
        ("conv 7x7, 4, /2, pad=1", False),
        ("conv 4x4, 4, pad=1", False),
        ("conv 3x3, 4, pad=2", False),
        ("upconv 5x5, 4, pad=1", False),
    ],
    "open_gate": [
        ("(identity | gap -> fc 2 as a -> relu -> fc 4 as b -> relu) -> mul", True),
        ("(identity | gap -> fc 2 as a -> relu -> fc 4 as b) -> mul", True),
        ("(identity | avgpool to=1x1 -> conv 1x1, 4 as b) -> mul", True),
        ("(gap -> fc 4 as b -> dropout 0.1 | identity) -> mul", True),
        ("(identity | gap -> fc 4 as b -> hsigmoid) -> mul", False),
        ("(identity | gap -> fc 4 as b -> relu6) -> mul", False),
        ("(identity | gap -> fc 4 as b -> tanh) -> mul", False),
        ("(identity | gap -> fc 4 as b -> relu) -> add", False),
        ("(identity | conv 3x3, 4 as b -> relu) -> mul", False),
        ("(identity | maxpool to=1x1 -> conv 1x1, 4 as b) -> mul", False),
        ("gap -> (identity | fc 4 as b) -> mul", False),
    ],
    "gate_of_one_place": [
        ("avgpool to=1x1 -> (identity | gap -> fc 4 as a -> sigmoid) -> mul", True),
        ("maxpool to=1x1 -> (identity | gap -> fc 4 as a -> sigmoid) -> mul", False),
        ("avgpool to=1x1 -> (identity | gap -> fc 4 as a -> sigmoid) -> add", False),
        ("avgpool to=1x2 -> (identity | gap -> fc 4 as a -> sigmoid) -> mul", False),
    ],
    "joined_twice": [
        ("relu -> (identity | identity) -> add", True),
        ("relu -> (identity | identity) -> sub", True),
        ("relu -> (identity | tanh | identity) -> concat", True),
        ("relu -> (identity | identity) -> mul", False),
        ("(identity | identity) -> concat", False),
        ("relu -> (identity | dropout 0.1) -> add", False),
    ],
    "many_tokens": [
        ("tokens -> attention 1 as a1", False),
        ("upsample 4 -> tokens -> attention 1 as a2", True),
        ("upsample 3 -> tokens -> attention 1 as a2", False),
    ],
    "upsample_undone": [
        ("upsample 2 -> conv 3x3, 4, /2", True),
        ("upsample 2 -> maxpool 2x2", True),
        ("resize 20x20 -> avgpool 2x2", True),
        ("resize 6x6 -> conv 3x3, 4, /2", False),
        ("upsample 2 -> relu -> conv 3x3, 4, /2", False),
        ("upsample 2 -> conv 3x3, 4", False),
        ("upsample 2 -> (maxpool 2x2 | conv 3x3, 4, /2 as c) -> concat", False),
    ],
}
"""By rule, chains behind a map of 4 x 12 x 12 that it is just not about, and some that it is about."""


PASTED = {
    "shuffle_missing": [
        (
            "relu\n        conv 3x3, 64, groups=4 -> relu\n    g",
            "relu -> {} -> relu\n        conv 3x3, 64, groups=4 -> relu\n    g",
            "conv 1x1, 64",
        )
    ],
    "depthwise_alone": [
        ("dwconv 3x3 -> relu\n        dw", "dwconv 3x3 -> relu -> {} -> relu\n        dw", "conv 1x1, 64")
    ],
    "upconv_checkerboard": [
        ("up: upconv 3x3,", "up: upconv {},", "4x4"),
        ("upconv 3x3, 32, /2", "{}", "upsample 2 -> conv 3x3, 32"),
    ],
    "size_truncated": [("/2\n", "/2, {}\n", "ceil=true")],
    "avgpool_counts_padding": [("pad=1", "pad=1, {}", "count_include_pad=false")],
    "repetition_strides": [("/2\n", "{}\n", "/2 first")],
    "first_token_taken": [("token 0", "{}", 'mean "n"')],
    "no_positions": [
        (
            "    tokens\n",
            "    tokens\n    {}\n    (identity | from pos) -> add\n",
            "weight pos [16, 32], init=normal(0, 0.02)",
        )
    ],
    "norm_of_one": [("gn 16", "{}", "gn 1"), ("gn 16", "{}", "ln")],
    "dilation_idle": [("conv 1x1", "{}", "conv 3x3")],
    "huge_fc": [("flatten", "{}", "gap")],
    "bias_before_norm": [("conv 3x3, 64 ->", "conv 3x3, 64, {} ->", "bias=false")],
    "stack_of_3x3": [("conv 5x5, 64 -> relu", "{}", "2 * (conv 3x3, 64 -> relu)")],
    "asymmetric_kernel": [("conv 7x7, 64", "{}", "conv 1x7, 64 -> relu -> conv 7x1, 64")],
    "no_stem_downsampling": [
        ("conv 3x3, 32 -> relu\n        avgpool 2x2, /2", "{} -> relu", "conv 7x7, 64, /2")
    ],
    "missing_bottleneck": [
        ("conv 3x3, 512 ->", "{} ->", "conv 1x1, 128 -> relu -> conv 3x3, 128 -> relu -> conv 1x1, 512")
    ],
    "gap_after_linear": [("conv 1x1, 16\n        gap", "{}", "gap -> fc 16")],
    "deep_no_norm": [("    features:", "    {}\n    features:", "default conv norm=bn, bias=false")],
    "mixed_order": [("relu -> bn", "{}", "bn -> relu")],
    "dropout_twice": [("dropout 0.2 -> dropout 0.3", "{}", "dropout 0.44")],
    "dropout_high": [("dropout 0.8", "{}", "dropout 0.2")],
    "keras_momentum": [("momentum=0.99", "{}", "momentum=0.01")],
    "constant_start": [("weight=constant(0.01)", "{}", "weight=kaiming_normal")],
    "leaky_slope": [("leaky_relu 2.0", "{}", "leaky_relu 0.01")],
    "shared_statistics": [("n: bn", "n: {} 4", "gn")],
    "droppath_alone": [("droppath 0.1", "{}", "dropout")],
    "head_width": [("attention 12", "attention {}", "heads=1")],
    "stride2_1x1": [("conv 1x1, 128, /2", "{}", "avgpool 2x2, /2 -> conv 1x1, 128")],
    "window_gap": [("avgpool 1x1", "avgpool {}", "2x2")],
    "norm_in_one_branch": [
        ("conv 1x1, 64 as shortcut", "{}", "conv 1x1, 64, norm=bn, bias=false as shortcut")
    ],
    "pad_shrinks": [("pad=1", "{}", "pad=2"), ("pad=1", "{}", "pad=0")],
    "open_gate": [("conv 1x1, 64 -> relu", "conv 1x1, 64 -> {}", "sigmoid")],
}
"""By rule, what stands in its Bad example, what is to stand there, and what of that the help says."""


def load(text: str) -> Loaded:
    """Return the nets of a text."""
    file = api.read_text(text)
    return Loaded(file, [Network(api.recipe(file, name, {}, {})) for name in api.distinct(file)], True)


ALL = Settings(select=("ALL",))


def every(name: str) -> Settings:
    """Return that all rules are on, and how nets are trained if a rule is about that."""
    return ALL.replace(step=Step(32, 16)) if RULES[name].steps else ALL


def lint(text: str, settings: Settings = ALL) -> list[Finding]:
    """Return what all rules find in a text."""
    return Run(load(text), settings).findings()


def example(rule: type[Rule], title: str) -> str:
    """Return a rule's example."""
    return re.sub(r"(?m)^    ", "", sections(rule)[title]).strip("\n") + "\n"


def mended(text: str, name: str, unsafe: bool = False) -> Fixed:
    """Return a text with the fixes of one rule."""
    # an @allow is known to be idle only if its rule is on
    return fix(text, load, Settings(select=("ALL" if name == "unused_allow" else name,)), unsafe)


# ---------------------------------------------------------------- what a rule says about itself


@pytest.mark.parametrize("name", RULES)
def test_docstring(name: str) -> None:
    rule = RULES[name]
    assert tuple(sections(rule)) == SECTIONS
    assert (rule.__doc__ or "").partition("\n")[0].endswith(".")
    assert re.fullmatch(r"L[1-9]\d\d", rule.code)
    assert rule.code[:2] in FAMILIES
    assert rule.severity in ("error", "warning", "info")
    assert (rule.check is not Rule.check) != (rule.check_file is not Rule.check_file)
    assert find(name) is rule
    assert find(rule.code.lower()) is rule
    assert explain(rule).startswith(f"{rule.code} {name}: {first_line(rule)}\n")
    assert all(one.about and one.default >= 0 for one in rule.thresholds.values())


def test_codes_and_names_are_unique() -> None:
    modules = [path.stem for path in (ROOT / "netdsl/lint/rules").glob("*.py") if path.stem != "__init__"]
    assert sorted(RULES) == sorted(modules)
    assert len(catalogue()) == len(modules)


@pytest.mark.parametrize("name", RULES)
def test_bad_example_gives_exactly_its_rule(name: str) -> None:
    assert {finding.name for finding in lint(example(RULES[name], "Bad"), every(name))} == {name}


CONVOLVING = [name for name in RULES if " conv " in example(RULES[name], "Bad")]


def standardised(text: str) -> str:
    """Return a text with standardised weights in all convolutions."""
    return re.sub(r"\bconv (?=\d|\w+=)", "stdconv ", text)


@pytest.mark.parametrize("name", CONVOLVING)
def test_other_convolutions_are_looked_at_too(name: str) -> None:
    """For no rule does it make a difference that weights are standardised, on either side."""
    for title, found in (("Bad", {name}), ("Good", set())):
        text = example(RULES[name], title)
        other = standardised(text)
        assert other != text or " conv " not in text
        assert {finding.name for finding in lint(other, every(name))} == found


@pytest.mark.parametrize(
    ("name", "title"), [(name, title) for name, cases in KINDS.items() for title in cases]
)
def test_kinds(name: str, title: str) -> None:
    chain, found = KINDS[name][title]
    text = f"net N:\n    input 4, 12x12\n    body: {chain}\n"
    assert (name in {finding.name for finding in lint(text)}) == found


@pytest.mark.parametrize(
    ("name", "chain", "found"), [(n, *case) for n, cases in NEARLY.items() for case in cases]
)
def test_nearly(name: str, chain: str, found: bool) -> None:
    text = f"net N:\n    input 4, 12x12\n    body: {chain}\n"
    assert (name in {finding.name for finding in lint(text)}) == found


@pytest.mark.parametrize(("name", "case"), [(n, case) for n, cases in PASTED.items() for case in cases])
def test_what_the_help_says_lints_clean(name: str, case: tuple[str, str, str]) -> None:
    old, new, said = case
    bad = example(RULES[name], "Bad")
    assert said in lint(bad)[0].hit.help
    assert old in bad
    better = bad.replace(old, new.format(said), 1)
    assert [finding.diagnostic() for finding in lint(better)] == []


@pytest.mark.parametrize("name", RULES)
def test_a_chain_that_a_help_says_is_pasted(name: str) -> None:
    """A rule that shows layers in a row has a case above, so that what it shows was tried."""
    chains = [
        f.hit.help
        for f in lint(example(RULES[name], "Bad"), every(name))
        if re.search(r"\S -> \S", f.hit.help)
    ]
    assert not chains or name in PASTED or name in ("duplicate_branch", "linear_linear")


BLOCK = (
    "block B(c, stride = 1):\n    add:\n        conv 3x3, c, /stride, norm=bn, bias=false as a\n"
    "        conv 3x3, c, /stride, norm=bn, bias=false as b\n    relu\n\n"
)


@pytest.mark.parametrize(
    ("name", "text", "line"),
    [
        ("repetition_strides", BLOCK + "net N:\n    input 3, 32x32\n    body: 2 * B 8, /2\n", 9),
        ("repetition_strides", BLOCK + "net N:\n    input 3, 8x8\n    body: 6 * B 8, /2\n", 9),
        ("repetition_strides", BLOCK + "net N:\n    input 3, 2x2\n    body: 2 * B 8, /2\n", 0),
        ("repetition_strides", BLOCK + "net N:\n    input 3, 32x32\n    body: 2 * (B 8, /2 -> relu)\n", 9),
        ("repetition_strides", BLOCK + "net N:\n    input 3, 32x32\n    body: 2 * B 8, /2 first\n", 0),
        ("repetition_strides", BLOCK + "net N:\n    input 3, 32x32\n    body: 2 * B 8, /1\n", 0),
        ("repetition_strides", BLOCK + "net N:\n    input 3, 32x32\n    body: B 8, /2 -> B 8, /2\n", 0),
        ("repetition_strides", BLOCK + "net N:\n    input 3, 32x32\n    body: 1 * B 8, /2\n", 0),
        ("unused_declaration", BLOCK + "net N:\n    input 3, 8x8\n    gap\n", 1),
        ("unused_declaration", BLOCK + "net N(b: op = B):\n    input 3, 8x8\n    body: b 8\n", 0),
        ("unused_declaration", BLOCK, 0),
        ("unused_declaration", "def f(x) = 2*x\n\nnet N:\n    input 3, 8x8\n    gap\n", 1),
        ("unused_declaration", "def f(x) = 2*x\n\nnet N:\n    input 3, 8x8\n    gap -> fc f(2)\n", 0),
        ("unused_local", "net N:\n    input 3, 8x8\n    n = 3\n    gap\n", 3),
        ("unused_local", "net N:\n    input 3, 8x8\n    n = 3\n    gap -> fc n\n", 0),
        ("unused_local", 'net N:\n    input 3, 8x8\n    n = 3\n    "a{n}": conv 3x3, 4\n    gap\n', 0),
        ("unused_local", "net N:\n    input 3, 8x8\n    skip = from x\n    gap\n", 3),
        ("unused_local", "net N:\n    input 3, 8x8\n    n, m = [3, 4]\n    gap -> fc m\n", 0),
        (
            "shared_statistics",
            "net N:\n    input 3, 8x8\n    n: bn\n    relu\n    same n\n    conv 3x3, 4 as c\n",
            0,
        ),
    ],
)
def test_lines(name: str, text: str, line: int) -> None:
    """A rule finds something in a line, or nothing where that is 0."""
    found = [finding.hit.span.line for finding in lint(text) if finding.name == name]
    assert found == ([line] if line else [])


def units(
    *calls: str, block: str = "conv: conv 3x3, c, groups=g -> relu", image: str = "input 16, 32x32"
) -> str:
    """Return a net that calls a block, a call a line, from line 6 on."""
    lines = "".join(f"    l{i}: {call}\n" for i, call in enumerate(calls))
    return f"block U(c, g = 1):\n    {block}\n\nnet N:\n    {image}\n{lines}    gap\n"


SKIP = "block S(c):\n    add:\n        {}\n        main: conv 3x3, c -> relu -> conv 3x3, c\n    relu\n\n"
SKIPS = "net N:\n    input 3, 32x32\n    stem: conv 3x3, 16 -> relu\n    body: 3 * S 16\n    gap\n"


@pytest.mark.parametrize(
    ("name", "text", "line"),
    [
        ("odd_width", units("U 64", "U 128", "U 265", "U 512"), 8),
        ("odd_width", units("U 64", "2 * U 128", "U 25", "U 512"), 8),
        ("odd_width", units("U 64", "U 128", "U 256", "U 521"), 9),
        ("odd_width", units("U 46", "U 128", "U 256", "U 512"), 6),
        ("odd_width", units("U 40", "U 48", "U 40"), 7),
        ("odd_width", units("U 64", "U 128", "U 256", "U 521", block="a: conv 3x3, c -> conv 1x1, 4*c"), 9),
        ("odd_width", units("U c=672", "U c=96", "U 960"), 7),
        ("odd_width", units("U 64", "U 1280", "U 256"), 7),
        ("odd_width", units("U 64", "U 128", "U 256", "U 512"), 0),
        ("odd_width", units("U 64", "U 128", "U 320", "U 512"), 0),  # another net, and no slip
        ("odd_width", units("U 544", "U 1048", "U 2176"), 0),  # DPN
        ("odd_width", units("U 120", "U 240", "U 200", "U 184"), 0),  # MobileNetV3
        ("odd_width", units("U 80", "U 20", "U 80"), 0),  # a squeeze by four
        ("odd_width", units("U 80", "U 8"), 0),
        ("odd_width", units("U 40", "U 48", "U 40", image="input 16, 1x1"), 0),
        ("odd_groups", units("U 32, 4", "U 64, 4", "U 128, 2"), 8),
        ("odd_groups", units("U 32, 4", "U 64, 16", "U 128, 4", "2 * U 256, 4"), 7),
        ("odd_groups", units("U 32, 2", "U 64, 4", "U 128, 8", "U 256, 4"), 9),
        ("odd_groups", units("U 32, 4", "U 64, 4", "U 128, 4"), 0),
        ("odd_groups", units("U 32, 2", "U 64, 4", "U 128, 8"), 0),
        ("odd_groups", units("U 32", "U 64, 4", "U 128, 4", "U 256, 4"), 0),  # ShuffleNet's first
        ("odd_groups", units("U 32, 4", "U 64, 2"), 0),
        ("weak_shortcut", SKIP.format("droppath 0.1") + SKIPS, 3),
        ("weak_shortcut", SKIP.format("scale 0.5") + SKIPS, 3),
        ("weak_shortcut", SKIP.format("bn as n -> dropout 0.1") + SKIPS, 3),
        ("weak_shortcut", SKIP.format("short: conv 1x1, c -> bn") + SKIPS, 3),
        ("weak_shortcut", SKIP.format("short: conv 1x1, c when x.c != c") + SKIPS, 0),
        ("weak_shortcut", SKIP.format("scale 1") + SKIPS, 0),
        ("weak_shortcut", SKIP.format("scale -2") + SKIPS, 0),
        ("weak_shortcut", SKIP.format("droppath 0") + SKIPS, 0),
        ("weak_shortcut", SKIP.format("short: conv 3x3, c") + SKIPS, 0),
        ("weak_shortcut", SKIP.format("short: conv 1x1, c") + SKIPS.replace("3 * S", "S"), 0),
        ("weak_shortcut", SKIP.format("identity\n        one: conv 1x1, c") + SKIPS, 0),  # RepVGG
        ("channels_last", units("U 8", image="input 64, 64x3"), 5),
        ("channels_last", units("U 8", image="input 64, 48, 4"), 5),
        ("channels_last", units("U 8", image="input 12, 1x64"), 0),
        ("channels_last", units("U 8", image="input 16, 64x1"), 0),
        ("channels_last", units("U 8", image="input 8, 8x3"), 0),
        ("linear_linear", "net N:\n    input 64\n    f: fc 128 -> dropout 0.2 -> fc 10\n", 3),
        ("linear_linear", "net N:\n    input 64\n    f: fc 128 -> relu -> dropout 0.2 -> fc 10\n", 0),
    ],
)
def test_slips(name: str, text: str, line: int) -> None:
    """What is written elsewhere than meant is found in its line; 0 is none."""
    found = {finding.hit.span.line for finding in lint(text) if finding.name == name}
    assert found == ({line} if line else set())


@pytest.mark.parametrize("name", RULES)
def test_good_example_gives_nothing(name: str) -> None:
    assert [finding.diagnostic() for finding in lint(example(RULES[name], "Good"), every(name))] == []


@pytest.mark.parametrize("name", RULES)
def test_messages(name: str) -> None:
    for finding in lint(example(RULES[name], "Bad"), every(name)):
        hit = finding.hit
        assert "\n" not in hit.message + hit.help
        assert not (hit.message + hit.help).endswith(".")
        assert hit.help


def test_docs_are_up_to_date() -> None:
    assert (ROOT / "docs/rules.md").read_text(encoding="utf-8") == render(), "make docs"


# ---------------------------------------------------------------- fixes


FIXABLE = [
    name
    for name in RULES
    if any(f.fixable and f.hit.fix for f in lint(example(RULES[name], "Bad"), every(name)))
]
SPECS = [(name, "its example", example(RULES[name], "Bad")) for name in FIXABLE] + [
    (name, title, text) for name, cases in CASES.items() for title, text in cases.items()
]


@pytest.mark.parametrize(("name", "title", "text"), SPECS, ids=[f"{n}: {t}" for n, t, _ in SPECS])
def test_fix(name: str, title: str, text: str) -> None:
    """What the rule finds is gone, what was promised is saved, the function is the same, comments are there."""
    before = load(text)
    findings = [f for f in proven(lint(text), before, load) if f.name == name]
    assert findings
    assert all(f.fixable and f.hit.fix is not None for f in findings)
    fixes = [f.hit.fix for f in findings if f.hit.fix is not None]
    safe = all(one.safe for one in fixes)
    exact = all(one.exact for one in fixes)
    fixed = mended(text, name, unsafe=not safe)
    assert not [f for f in lint(fixed.text) if f.name == name]
    assert re.findall("#.*", fixed.text) == re.findall("#.*", text)
    promised = {net.name: Counter[str]() for net in before.nets}
    for finding in fixed.applied:
        for found in finding.nets:
            assert found.saving is not None
            promised[found.name].update(found.saving)
    for old, new in zip(before.nets, load(fixed.text).nets, strict=True):
        assert dict(whole(old) - whole(new)) == {name: promised[old.name][name] for name in whole(old)}
        if exact:
            same_function(old, new)
        if safe:
            states = [net.build("torch").state_dict() for net in (old, new)]
            assert len({frozenset((key, t.shape) for key, t in state.items()) for state in states}) == 1


def test_unsafe_fixes_are_only_made_when_asked_for() -> None:
    text = example(RULES["softmax_at_output"], "Bad")
    assert mended(text, "softmax_at_output").text == text
    assert mended(text, "softmax_at_output", unsafe=True).text == example(RULES["softmax_at_output"], "Good")


def same_function(old: Network, new: Network, modes: tuple[bool, ...] = (False, True)) -> None:
    """Compare the emitted modules in float64, in evaluation and training, with the old one's weights in both."""
    torch.manual_seed(0)
    a, b = old.build("torch").double(), new.build("torch").double()
    for tensor in (*a.parameters(), *(t for t in a.buffers() if t.is_floating_point())):
        tensor.data = torch.rand_like(tensor) + 0.5
    state = a.state_dict()
    b.load_state_dict(carried(old, new, state, b.state_dict()))
    x = [torch.randn(4, *shape, dtype=torch.float64) for shape in old.inputs.values()]
    for train in modes:
        a.train(train)
        b.train(train)
        torch.manual_seed(1)
        y = a(*x)
        torch.manual_seed(1)
        z = b(*x)
        torch.testing.assert_close(z, y, rtol=1e-11, atol=1e-11)


INEXACT = ("avgpool_counts_padding", "dropout_at_output", "norm_norm", "softmax_at_output")
"""Rules whose better net is another function."""


class UnlikeError(AssertionError):
    """Layers with weights are gone and others have moved into their places: which is which is not known here."""


@pytest.mark.slow
@given(specs())
@settings(max_examples=40, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
def test_random_nets_stay_the_same_function(spec: Spec) -> None:
    """In evaluation only: a layer that draws numbers and is gone leaves other numbers to the next."""

    def trial(text: str) -> Loaded:
        file = api.read_text(text)
        return Loaded(file, [Network(api.recipe(file, "trial", {}, {}))], True)

    (net,) = trial(spec.text).nets
    for finding in Run(trial(spec.text), ALL).findings():
        for found in finding.nets:
            if found.changes:
                assert found.saving is not None, finding.message
    fixed = fix(spec.text, trial, ALL.replace(ignore=INEXACT), unsafe=True)
    if fixed.applied:
        (mended_net,) = trial(fixed.text).nets
        try:
            same_function(net, mended_net, modes=(False,))
        except UnlikeError:
            assume(False)


def carried(old: Network, new: Network, state: dict[str, Any], like: dict[str, Any]) -> dict[str, Any]:
    """Return weights for the mended net: by name, or in order; the mean of a norm takes in a lost bias."""
    state = dict(state)
    for node in old.graph:
        lost = f"{node.name}.bias"
        kept = node.name in new.graph and new.graph[node.name].op.name == node.op.name
        if kept and lost in state and lost not in like:
            (norm,) = old.graph.users(node.name)
            bias = state.pop(lost)
            if f"{norm.name}.running_mean" in state:
                state[f"{norm.name}.running_mean"] = state[f"{norm.name}.running_mean"] - bias
    if set(like) <= set(state):
        return {key: state[key].reshape(like[key].shape) for key in like}
    if [squeezed(t) for t in state.values()] != [squeezed(t) for t in like.values()]:
        raise UnlikeError
    return {key: t.reshape(like[key].shape) for key, t in zip(like, state.values(), strict=True)}


def squeezed(tensor: torch.Tensor) -> list[int]:
    """Return a tensor's shape without axes of one: a 1x1 convolution may have become an fc."""
    return [size for size in tensor.shape if size > 1]


# ---------------------------------------------------------------- what is said of standardised weights


def nets(chain: str, other: str) -> tuple[Network, Network, Finding]:
    """Return two nets behind a map, a chain that a rule finds something in and what it says, and what it finds."""
    texts = [
        f"net N:\n    input 3, 6x6\n    stem: conv 3x3, 5\n    relu\n{lines}" for lines in (chain, other)
    ]
    (old,), (new,) = (load(text).nets for text in texts)
    (finding,) = lint(texts[0])
    assert not finding.fixable
    assert finding.saving is not None
    assert finding.saving == whole(old) - whole(new)
    return old, new, finding


def standard(state: dict[str, torch.Tensor], name: str) -> torch.Tensor:
    """Return the weights that a layer multiplies by."""
    weight = state[f"{name}.weight"]
    variance, mean = torch.var_mean(weight, (1, 2, 3), unbiased=False, keepdim=True)
    return (weight - mean) / torch.sqrt(variance + 1e-6)


def equal(old: Network, new: Network, weights: dict[str, torch.Tensor]) -> None:
    """Compare two nets in float64, the second with those weights, and the stem's from the first."""
    a, b = old.build("torch").double(), new.build("torch").double()
    stem = {key: value for key, value in a.state_dict().items() if key.startswith("stem")}
    b.load_state_dict({**stem, **weights})
    x = torch.randn(2, 3, 6, 6, dtype=torch.float64)
    torch.testing.assert_close(b(x), a(x), rtol=1e-10, atol=1e-10)


def state_of(net: Network) -> dict[str, torch.Tensor]:
    """Return the weights that `equal` builds a net with."""
    torch.manual_seed(0)
    return {key: value.double() for key, value in net.build("torch").state_dict().items()}


def test_a_mean_first_keeps_standardised_weights() -> None:
    """They are standardised over the channels that they read, so no fc has them; the convolution moves."""
    old, new, finding = nets(
        "    head: stdconv 1x1, 7\n    gap\n", "    avgpool to=1x1\n    head: stdconv 1x1, 7\n    flatten\n"
    )
    assert finding.name == "gap_after_linear"
    assert finding.hit.help == "avgpool to=1x1 -> stdconv 1x1 -> flatten"
    same_function(old, new)


@pytest.mark.parametrize("first", ["stdconv", "conv"])
def test_a_product_of_standardised_weights_is_a_plain_convolution(first: str) -> None:
    old, new, finding = nets(
        f"    a: {first} 3x3, 9\n    b: stdconv 1x1, 4\n    gelu\n", "    ab: conv 3x3, 4\n    gelu\n"
    )
    assert finding.name == "linear_linear"
    state = state_of(old)
    a = standard(state, "a") if first == "stdconv" else state["a.weight"]
    b = standard(state, "b")[:, :, 0, 0]
    weights = {
        "ab.weight": torch.einsum("om,mikl->oikl", b, a),
        "ab.bias": b @ state["a.bias"] + state["b.bias"],
    }
    torch.manual_seed(0)
    equal(old, new, weights)


def test_the_middle_of_standardised_weights_is_that_of_a_plain_convolution() -> None:
    old, new, finding = nets(
        "    avgpool to=1x1\n    a: stdconv 3x3, 4\n", "    avgpool to=1x1\n    a: conv 1x1, 4\n"
    )
    assert finding.name == "pad_heavy"
    assert finding.hit.help == "take conv 1x1, which can be the same function"
    state = state_of(old)
    weights = {"a.weight": standard(state, "a")[:, :, 1:2, 1:2], "a.bias": state["a.bias"]}
    torch.manual_seed(0)
    equal(old, new, weights)


# ---------------------------------------------------------------- the zoo


@cache
def zoo_findings() -> tuple[tuple[Finding, tuple[Network, ...]], ...]:
    """Return what all rules find in the whole zoo, with the nets of the file."""
    found: list[tuple[Finding, tuple[Network, ...]]] = []
    for file_name in dict.fromkeys(FILES.values()):
        file = api.packaged(file_name)
        names = [name for name in api.distinct(file) if name in FILES]
        nets = [Network(api.recipe(file, name, {}, {})) for name in names]
        found += [(finding, tuple(nets)) for finding in Run(Loaded(file, nets, True), ALL).findings()]
    return tuple(found)


def test_no_rule_cries_wolf() -> None:
    warned: dict[str, set[str]] = {}
    for finding, _ in zoo_findings():
        if finding.severity != "info" and not finding.rule.audit:
            warned.setdefault(finding.name, set()).update(net.name for net in finding.nets)
    assert {name: sorted(nets) for name, nets in warned.items() if 3 * len(nets) > len(NAMES)} == {}


def test_golden_findings_of_the_zoo() -> None:
    """All that is found and not allowed, by the rules of `audit` too: read what changes here before you commit it."""
    lines = []
    for finding, _ in zoo_findings():
        place = finding.hit.span
        where = f"{Path(place.source.name).name}:{place.line}"
        nets = ", ".join(net.name for net in finding.nets)
        level = "audit" if finding.rule.audit else finding.severity
        lines.append(f"{where} {level} {finding.code} {finding.name} ({nets}): {finding.message}\n")
    golden = Path(__file__).parent / "golden" / "lint.txt"
    if os.environ.get("NETDSL_UPDATE"):
        golden.write_text("".join(lines), encoding="utf-8")
    assert golden.read_text(encoding="utf-8") == "".join(lines)


GOOD = [
    "resnet50",
    "resnext50_32x4d",
    "convnext_tiny",
    "efficientnet_b4",
    "efficientnet_v2_s",
    "regnet_y_8gf",
    "swin_t",
    "vit_b_16",
    "maxvit_t",
    "poolformer_s12",
]
"""Nets that are in use today, and good at what they are for."""
OTHERS = ["dcgan:discriminator", "ghostish:ghosty", "repvggish:repnet", "small_mixer:mlpmix"]
"""So are these, which no rule was made for."""


@pytest.mark.parametrize("name", [*GOOD, *OTHERS])
def test_at_most_one_finding_in_a_good_net(name: str) -> None:
    """At the default level, notes too: what a reviewer would have to read of a net that is as it should be."""
    net = stranger(name) if name in OTHERS else netdsl.load(name)
    found = net.lint()
    assert len(found) <= 1, [finding.message for finding in found]


def test_the_zoo_keeps_its_budgets_and_has_nothing_dead() -> None:
    assert [f.message for f, _ in zoo_findings() if f.severity == "error"] == []


def test_every_saving_is_what_the_passes_say() -> None:
    """The engine works out only what a change reaches; here all facts of the changed graph are worked out."""
    checked = 0
    for finding, nets in zoo_findings():
        for found in finding.nets:
            if not found.changes:
                continue
            assert found.saving is not None, finding.message
            net = next(net for net in nets if net.name == found.name)
            rewrite = Rewrite(net)
            for change in found.changes:
                change(rewrite)
            facts = count_costs(infer_shapes(Facts(rewrite.graph())))
            costs = [facts.costs[node.name] for node in facts.graph]
            run = [cost for cost, node in zip(costs, facts.graph, strict=True) if not node.train]
            after = {
                "params": sum(cost.params for cost in costs),
                "buffers": sum(cost.buffers for cost in costs),
                "macs": sum(cost.macs for cost in run),
                "ops": sum(cost.ops for cost in run),
                "activations": sum(4 * cost.activations for cost in run),
            }
            assert dict(found.saving) == {name: whole(net)[name] - number for name, number in after.items()}
            checked += 1
    assert checked > 40


def whole(net: Network) -> Amounts:
    """Return what a net has of all by which changes are weighed."""
    return amounts(net, [*net.graph])


def test_densenet_saves_what_the_literature_says() -> None:
    """Averaging before the 1x1 of the transitions takes 8.2% of DenseNet-121's MACs."""
    (found,) = [
        net
        for f, _ in zoo_findings()
        if f.name == "conv1x1_before_avgpool"
        for net in f.nets
        if net.name == "densenet121"
    ]
    assert found.saving is not None
    assert round(100 * found.saving.macs / found.total.macs, 2) == 8.16
    assert found.saving.params == 0


def test_the_share_that_a_window_reads_is_counted() -> None:
    for kernel, stride, dilation, pad, size, places in product(
        (1, 2, 3), (1, 2, 5), (1, 2, 4), (0, 1, 9), (1, 2, 7), (1, 3)
    ):
        taps = {at * stride + tap * dilation - pad for at in range(places) for tap in range(kernel)}
        rows = len(taps & {*range(size)}) / size
        window: Any = SimpleNamespace(
            kernel=(kernel, 1),
            stride=(stride, 3),
            dilation=(dilation, 1),
            padding=lambda x, p=pad: ((p, 0), (0, 0)),
        )
        assert read_share(window, Shape(1, size, 9), Shape(1, places, 2)) == rows * (2 / 9)


def test_of_many_widths_those_are_named_with_which_most_is_lost() -> None:
    layers = "".join(f"    c{n}: conv 3x3, {n} -> relu\n" for n in range(17, 73, 5))
    (found,) = api.loads(f"net N:\n    input 3, 64x64\n{layers}    gap\n").lint(select="L401")
    assert found.hit.help == "round up 17, 37, 42, 47, 52, 57, 62, 67 and 2 more"


PARTS = """
net N:
    input 3, 32x32
    stem: conv 3x3, 16, bias=false -> bn momentum={momentum} -> relu
    gate: avgpool to=1x1 -> conv 1x1, 8, bias=false -> bn -> relu
    gap
    fc: fc 10
"""


def of_steps(text: str, batch: int, micro_batches: int, **settings: Any) -> dict[str, Finding]:
    """Return what is found about a step of training, by layer."""
    step = Step(batch, micro_batches)
    found = lint(text, Settings(select=("micro_batch_norm",), step=step, **settings))
    return {finding.hit.layer: finding for finding in found}


def test_norms_of_micro_batches() -> None:
    """Severity, samples, values and momentum follow from the step; without one nothing is said."""
    text = PARTS.format(momentum=0.1)
    assert [f for f in lint(text) if f.name == "micro_batch_norm"] == []
    found = of_steps(text, 256, 4)
    assert {layer: one.severity for layer, one in found.items()} == {"stem.1": "info", "gate.2": "info"}
    assert found["stem.1"].hit.message == (
        "stem.1 (bn) takes statistics in training of 64 of 256 samples, 65,536 values a channel (64 x 32x32), and "
        "moves its running ones 4 times a step: momentum 0.1 makes 34.4% of them new"
    )
    assert found["stem.1"].hit.help == (
        "gn needs no batch; with momentum=0.026 a step makes 10% new, as a whole batch does"
    )
    found = of_steps(text, 64, 4)  # 16 samples: enough of a map, too few of one place
    assert {layer: one.severity for layer, one in found.items()} == {"stem.1": "info", "gate.2": "warning"}
    assert found["gate.2"].hit.help.startswith("2 micro-batches of 32; or gn")
    found = of_steps(text, 64, 4, thresholds={"micro_batch_norm": {"values": 16}})
    assert found["gate.2"].severity == "info"
    found = of_steps(text, 32, 16)
    assert {layer: one.severity for layer, one in found.items()} == {"stem.1": "warning", "gate.2": "warning"}
    assert found["stem.1"].hit.help.startswith("4 micro-batches of 8; or gn")
    found = of_steps(text, 4, 4)
    assert {layer: one.severity for layer, one in found.items()} == {"stem.1": "warning", "gate.2": "error"}
    assert found["gate.2"].hit.message == (
        "gate.2 (bn) takes statistics in training of 1 of 4 samples, 1 value a channel (1 x 1x1): "
        "torch raises an error"
    )
    assert found["gate.2"].hit.help.startswith("a batch of 32; or gn")
    assert of_steps(text, 64, 1) == {}
    assert {one.severity for one in of_steps(text, 4, 1).values()} == {"warning"}
    (one,) = of_steps(text.replace("conv 1x1, 8, bias=false -> bn", "conv 1x1, 8"), 1, 1).values()
    assert one.hit.message.startswith(
        "stem.1 (bn) takes statistics in training of 1 sample, 1,024 values a channel"
    )


def test_a_norm_that_runs_again_moves_twice() -> None:
    text = """
net N:
    input 3, 32x32
    stem: conv 3x3, 16 -> relu
    a: conv 3x3, 16, bias=false
    n: bn
    relu
    same a
    same n
    gap
    fc: fc 10
"""
    found = of_steps(text, 64, 2)
    assert "moves its running ones 4 times a step" in found["n"].hit.message


def test_an_allow_about_a_step_is_not_idle_without_one() -> None:
    text = PARTS.format(momentum=0.1).replace(
        "    stem:", '    @allow(micro_batch_norm, "frozen")\n    stem:'
    )
    assert "unused_allow" not in {finding.name for finding in lint(text)}
    assert of_steps(text, 32, 16).keys() == {"gate.2"}
    idle = {finding.name for finding in lint(text, ALL.replace(step=Step(32, 1)))}
    assert "unused_allow" in idle


def test_torch_refuses_one_value_a_channel() -> None:
    net = api.loads(PARTS.format(momentum=0.1))
    for batch in (1, 2):
        module = net.build("torch").train()
        errors = [f for f in net.lint("micro_batch_norm", (), batch) if f.severity == "error"]
        with pytest.raises(ValueError, match="more than 1 value per channel") if errors else nullcontext():
            module(torch.randn(batch, 3, 32, 32))
        assert bool(errors) == (batch == 1)


@pytest.mark.parametrize("number", [1, 3, 16])
def test_running_statistics_move_as_often_as_is_said(number: int) -> None:
    """With statistics that are the same each time, what is left of the old ones is what torch leaves."""
    net = api.loads(PARTS.format(momentum=0.2))
    norm = net.build("torch").train().get_submodule("stem.1")
    for _ in range(number):
        norm(torch.full((8, 16, 4, 4), 3.0))
    found = of_steps(PARTS.format(momentum=0.2), 8 * number, number)
    said = re.search(
        r"momentum 0.2 makes ([\d.]+)% of them new", found["stem.1"].hit.message if number > 1 else ""
    )
    assert float(norm.running_mean[0]) / 3 == pytest.approx(float(said[1]) / 100 if said else 0.2, abs=1e-3)
