"""nasnet_a_mobile: NASNetA of nasnet.net, compiled by netdsl 0.2.0.

Learning Transferable Architectures for Scalable Image Recognition (NASNet-A, timm's names). Every
cell reads the two values before it (prev, cur) and hands on (cur, itself); arXiv 1707.07012, 2017.

Input 3x224x224, output 1000, aux_head 1000; 7,701,218 parameters, 563,638,816 MACs a sample.

    netdsl compile nasnet.net:nasnet_a_mobile --backend torch
"""

from collections import OrderedDict
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.jit import is_scripting  # type: ignore[attr-defined]
from torch.nn import functional as F


def check_size(size: int, takes: int, name: str, what: str) -> None:
    """Raise an error where a size does not fit, in a form that tracers take."""
    message = f"{name} takes {takes} {what}: resize the input"
    torch._assert(size == takes, message)  # type: ignore[no-untyped-call]


def check_condition(holds: bool, takes: bool, what: str) -> None:
    """Raise an error where sizes would make another net, in a form that tracers take."""
    message = f"{what} is {takes} here: resize the input"
    torch._assert(holds == takes, message)  # type: ignore[no-untyped-call]


def check_same_size(maps: list[Tensor]) -> None:
    """Raise an error where joined maps differ in size, but for 1x1, in a form that tracers take."""
    for i, x in enumerate(maps):
        for y in maps[:i]:
            h, w, rows, columns = y.shape[2], y.shape[3], x.shape[2], x.shape[3]
            fits = ((h == rows) & (w == columns)) | (h * w == 1) | (rows * columns == 1)
            message = f"maps of {h}x{w} and {rows}x{columns} cannot be joined: resize the input"
            torch._assert(fits, message)  # type: ignore[no-untyped-call]


def of_same_size(x: Tensor, like: Tensor) -> Tensor:
    """Return a map that is joined with another, whose size it must have."""
    check_same_size([like, x])
    return x


def size_2d(size: int | tuple[int, int]) -> tuple[int, int]:
    """Return a size for height and width."""
    return (size, size) if isinstance(size, int) else size


def pad_same(
    x: Tensor, window: tuple[int, int], stride: tuple[int, int], value: float = 0.0
) -> Tensor:
    """Pad a map as TensorFlow does, of any size: an odd pixel is added below and at the right."""
    pad: list[int] = []
    for axis in (1, 0):  # F.pad takes the last one first
        total = window[axis] - 1 - (x.shape[2 + axis] - 1) % stride[axis]
        total = (total + abs(total)) // 2  # at least 0, without a comparison for tracers to fix
        pad.extend((total // 2, total - total // 2))
    return F.pad(x, pad, value=value)


class Conv2dSame(nn.Conv2d):
    """A convolution with TensorFlow's padding: an odd pixel is added below and at the right."""

    def forward(self, input: Tensor) -> Tensor:
        (h, w), (rows, columns), (down, across) = self.kernel_size, self.dilation, self.stride
        h, w = rows * (h - 1) + 1, columns * (w - 1) + 1
        if max(down, across) == 1 and h % 2 == w % 2 == 1:  # the same on all sides, at any size
            pad = h // 2, w // 2
        else:
            input, pad = pad_same(input, (h, w), (down, across)), (0, 0)
        args = self.weight, self.bias, self.stride, pad, self.dilation, self.groups
        return F.conv2d(input, *args)


def max_pool2d_same(
    x: Tensor,
    kernel_size: int | tuple[int, int],
    stride: int | tuple[int, int],
    dilation: int | tuple[int, int] = 1,
) -> Tensor:
    """The largest value of each window, with TensorFlow's padding."""
    kernel, step, apart = size_2d(kernel_size), size_2d(stride), size_2d(dilation)
    window = apart[0] * (kernel[0] - 1) + 1, apart[1] * (kernel[1] - 1) + 1
    return F.max_pool2d(pad_same(x, window, step, -torch.inf), kernel, step, dilation=apart)


def avg_pool2d_same(
    x: Tensor,
    kernel_size: int | tuple[int, int],
    stride: int | tuple[int, int],
    count_include_pad: bool = True,
) -> Tensor:
    """The mean of each window, with TensorFlow's padding, which counts as zeros or not at all."""
    kernel, step = size_2d(kernel_size), size_2d(stride)
    mean = F.avg_pool2d(pad_same(x, kernel, step), kernel, step)
    if count_include_pad:
        return mean
    inside = pad_same(x.new_ones([1, 1, x.shape[2], x.shape[3]]), kernel, step)
    return mean / F.avg_pool2d(inside, kernel, step)


class NASNetAOutputs(NamedTuple):
    """What NASNetA returns in training; in evaluation it is the first alone."""

    out: Tensor
    aux_head: Tensor | None


class ActConvBn(nn.Module):
    """Block ActConvBn of nasnet.net.

    Shapes: (N, in_channels, H, W) -> (N, c, H, W).
    """

    def __init__(self, in_channels: int, c: int) -> None:
        super().__init__()
        if c < 1:
            raise ValueError("c must be at least 1")
        self.conv = nn.Conv2d(in_channels, c, 1, bias=False)
        self.bn = nn.BatchNorm2d(c, eps=0.001)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(x)
        x = self.conv(x)
        x = self.bn(x)
        return x


class SeparableConv2d(nn.Module):
    """Block SeparableConv2d of nasnet.net.

    Shapes: (N, in_channels, H, W) -> (N, c, -(-H // stride), -(-W // stride)).
    """

    def __init__(self, in_channels: int, k: tuple[int, int], c: int, stride: int = 1) -> None:
        super().__init__()
        if min(c, stride, *k) < 1:
            raise ValueError("c, stride and k must be at least 1")
        self.depthwise_conv2d = Conv2dSame(
            in_channels, in_channels, k, stride=stride, groups=in_channels, bias=False
        )
        self.pointwise_conv2d = nn.Conv2d(in_channels, c, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        x = self.depthwise_conv2d(x)
        x = self.pointwise_conv2d(x)
        return x


class BranchSeparables(nn.Module):
    """Block BranchSeparables of nasnet.net.

    Shapes: (N, in_channels, H, W) -> (N, c, -(-H // stride), -(-W // stride)).
    """

    def __init__(self, in_channels: int, k: tuple[int, int], c: int, stride: int = 1) -> None:
        super().__init__()
        self.separable_1 = SeparableConv2d(in_channels, k, c, stride=stride)
        self.bn_sep_1 = nn.BatchNorm2d(c, eps=0.001)
        self.separable_2 = SeparableConv2d(c, k, c)
        self.bn_sep_2 = nn.BatchNorm2d(c, eps=0.001)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(x)
        x = self.separable_1(x)
        x = F.relu(self.bn_sep_1(x), inplace=True)
        x = self.separable_2(x)
        x = self.bn_sep_2(x)
        return x


class Path2(nn.Module):
    """Container path_2 of nasnet.net."""

    def __init__(self, prev_channels: int, c: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(prev_channels, c // 2, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        x = F.pad(x, (-1, 1, -1, 1))
        x = F.avg_pool2d(x, 1, stride=2)
        x = self.conv(x)
        return x


class ReductionCell(nn.Module):
    """Block ReductionCell of nasnet.net.

    border: timm's average counts the padding.

    Shapes: prev (N, prev_channels, H_prev, W_prev), cur (N, cur_channels, H_cur, W_cur) -> (N,
    cur_channels, H_cur, W_cur), (N, 4 * c, -(-H_cur // 2), -(-W_cur // 2)).
    """

    def __init__(
        self,
        prev_channels: int,
        cur_channels: int,
        same_size: bool,
        c: int,
        raw: bool = False,
        border: bool = False,
    ) -> None:
        super().__init__()
        project = same_size and not raw
        halve = not same_size and not raw
        self.conv_prev_1x1 = ActConvBn(prev_channels, c) if project else None
        self.conv_1x1 = ActConvBn(cur_channels, c)
        self.path_1: nn.Module | None = None
        if halve:
            if c // 2 < 1:
                raise ValueError(f"conv needs at least 1 channel, not {c // 2}")
            self.path_1 = nn.Sequential(
                OrderedDict(
                    [
                        ("0", nn.AvgPool2d(1, stride=2)),
                        ("conv", nn.Conv2d(prev_channels, c // 2, 1, bias=False)),
                    ]
                )
            )
            self.path_2 = Path2(prev_channels, c)
            self.final_path_bn = nn.BatchNorm2d(2 * (c // 2), eps=0.001)
        left_channels = 2 * (c // 2) if halve else c if project else prev_channels
        self.comb_iter_0_left = BranchSeparables(c, (5, 5), c, stride=2)
        self.comb_iter_0_right = BranchSeparables(left_channels, (7, 7), c, stride=2)
        self.comb_iter_1_right = BranchSeparables(left_channels, (7, 7), c, stride=2)
        self.comb_iter_2_right = BranchSeparables(left_channels, (5, 5), c, stride=2)
        self.comb_iter_4_left = BranchSeparables(c, (3, 3), c)
        self.same_size = same_size
        self.border = border

    def forward(self, prev: Tensor, cur: Tensor) -> tuple[Tensor, Tensor]:
        check_condition(prev.shape[2] == cur.shape[2], self.same_size, "ReductionCell: same_size")
        left = self.conv_prev_1x1(prev) if self.conv_prev_1x1 is not None else prev
        right = self.conv_1x1(cur)
        if self.path_1 is not None:
            x = F.relu(prev)
            x = torch.cat((self.path_1(x), self.path_2(x)), 1)
            left = self.final_path_bn(x)
        y0 = self.comb_iter_0_left(right)
        y0 += of_same_size(self.comb_iter_0_right(left), y0)
        y1 = max_pool2d_same(right, 3, stride=2)
        y1 += self.comb_iter_1_right(left)
        y2 = avg_pool2d_same(right, 3, stride=2, count_include_pad=self.border)
        y2 += self.comb_iter_2_right(left)
        y3 = F.avg_pool2d(y0, 3, stride=1, padding=1, count_include_pad=False)
        y3 += y1
        y4 = self.comb_iter_4_left(y0)
        y4 += max_pool2d_same(right, 3, stride=2)
        y = torch.cat((y1, y2, y3, y4), 1)
        return cur, y


class NormalCell(nn.Module):
    """Block NormalCell of nasnet.net.

    Shapes: prev (N, prev_channels, H_prev, W_prev), cur (N, cur_channels, H_cur, W_cur) -> (N,
    cur_channels, H_cur, W_cur), (N, C', H_cur, W_cur).
    """

    def __init__(self, prev_channels: int, cur_channels: int, same_size: bool, c: int) -> None:
        super().__init__()
        self.conv_prev_1x1 = ActConvBn(prev_channels, c) if same_size else None
        self.conv_1x1 = ActConvBn(cur_channels, c)
        self.path_1: nn.Module | None = None
        if not same_size:
            if c // 2 < 1:
                raise ValueError(f"conv needs at least 1 channel, not {c // 2}")
            self.path_1 = nn.Sequential(
                OrderedDict(
                    [
                        ("0", nn.AvgPool2d(1, stride=2)),
                        ("conv", nn.Conv2d(prev_channels, c // 2, 1, bias=False)),
                    ]
                )
            )
            self.path_2 = Path2(prev_channels, c)
            self.final_path_bn = nn.BatchNorm2d(2 * (c // 2), eps=0.001)
        left_channels = c if same_size else 2 * (c // 2)
        if c != left_channels:
            raise ValueError(f"{c} and {left_channels} channels cannot be joined")
        self.comb_iter_0_left = BranchSeparables(c, (5, 5), c)
        self.comb_iter_0_right = BranchSeparables(left_channels, (3, 3), c)
        self.comb_iter_1_left = BranchSeparables(left_channels, (5, 5), c)
        self.comb_iter_1_right = BranchSeparables(left_channels, (3, 3), c)
        self.comb_iter_4_left = BranchSeparables(c, (3, 3), c)
        self.same_size = same_size

    def forward(self, prev: Tensor, cur: Tensor) -> tuple[Tensor, Tensor]:
        check_condition(prev.shape[2] == cur.shape[2], self.same_size, "NormalCell: same_size")
        left = self.conv_prev_1x1(prev) if self.conv_prev_1x1 is not None else prev
        right = self.conv_1x1(cur)
        if self.path_1 is not None:
            x = F.relu(prev)
            x = torch.cat((self.path_1(x), self.path_2(x)), 1)
            left = self.final_path_bn(x)
        y0 = self.comb_iter_0_left(right)
        check_same_size([y0, left])
        y0 += self.comb_iter_0_right(left)
        y1 = self.comb_iter_1_left(left)
        y1 += self.comb_iter_1_right(left)
        y2 = F.avg_pool2d(right, 3, stride=1, padding=1, count_include_pad=False)
        y2 += left
        y3 = F.avg_pool2d(left, 3, stride=1, padding=1, count_include_pad=False)
        y3 += F.avg_pool2d(left, 3, stride=1, padding=1, count_include_pad=False)
        y4 = self.comb_iter_4_left(right)
        y4 += right
        y = torch.cat((left, y0, y1, y2, y3, y4), 1)
        return cur, y


class AuxHead(nn.Module):
    """Block AuxHead of nasnet.net.

    Shapes: (N, in_channels, in_height, in_width) -> (N, classes).
    """

    def __init__(self, in_channels: int, in_height: int, in_width: int, classes: int) -> None:
        super().__init__()
        if classes < 1:
            raise ValueError("classes must be at least 1")
        self.conv = nn.Sequential(
            nn.Conv2d(in_channels, 128, 1, bias=False),
            nn.BatchNorm2d(128, eps=0.001),
            nn.ReLU(inplace=True),
        )
        self.full = nn.Sequential(
            nn.Linear(
                128 * ((in_height - 5) // 3 + 1) * ((in_width - 5) // 3 + 1), 768, bias=False
            ),
            nn.BatchNorm1d(768, eps=0.001),
            nn.ReLU(inplace=True),
        )
        self.fc = nn.Linear(768, classes)
        self.in_height = in_height
        self.in_width = in_width

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(x)
        x = F.avg_pool2d(x, 5, stride=3)
        x = self.conv(x)
        x = x.flatten(1)
        check_size(
            x.shape[1],
            128 * ((self.in_height - 5) // 3 + 1) * ((self.in_width - 5) // 3 + 1),
            "full[0]",
            "features",
        )
        x = self.full(x)
        x = self.fc(x)
        return x


class NASNetA(nn.Module):
    """Net NASNetA of nasnet.net.

    Learning Transferable Architectures for Scalable Image Recognition (NASNet-A, timm's names).
    Every cell reads the two values before it (prev, cur) and hands on (cur, itself); arXiv
    1707.07012, 2017.

    Shapes: (N, 3, size[0], size[1]) -> (N, classes).
    """

    def __init__(
        self,
        stem: int,
        c: int,
        n: int,
        size: tuple[int, int],
        skip: bool = False,
        border: bool = False,
        aux: bool = False,
        drop: float = 0.5,
        classes: int = 1000,
    ) -> None:
        super().__init__()
        if min(stem, classes, *size) < 1:
            raise ValueError("stem, classes and size must be at least 1")
        self.conv0 = nn.Sequential(
            OrderedDict(
                [
                    ("conv", nn.Conv2d(3, stem, 3, stride=2, bias=False)),
                    ("bn", nn.BatchNorm2d(stem, eps=0.001)),
                ]
            )
        )
        self.cell_stem_0 = ReductionCell(stem, stem, True, c // 4, raw=True, border=border)
        self.cell_stem_1 = ReductionCell(
            stem,
            4 * (c // 4),
            (size[0] - 3) // 2 + 1 == -(-((size[0] - 3) // 2 + 1) // 2),
            c // 2,
            border=border,
        )
        channels0 = 4 * (c // 4)
        height0 = -(-((size[0] - 3) // 2 + 1) // 2)
        channels1 = 4 * (c // 2)
        height1 = -(-((size[0] - 3) // 2 + 1) // 2 // 2)
        width1 = -(-((size[1] - 3) // 2 + 1) // 2 // 2)
        for s in range(3):
            w = c * 2**s
            if s > 0:
                self.add_module(
                    f"reduction_cell_{s - 1}",
                    ReductionCell(channels0, channels1, height0 == height1, w, border=border),
                )
                if not skip:
                    channels0 = channels1
                    height0 = height1
                channels1 = 4 * w
                height1 = -(-height1 // 2)
                width1 = -(-width1 // 2)
            for i in range(n):
                self.add_module(
                    f"cell_{s * n + i}",
                    NormalCell(channels0, channels1, height0 == height1, w),
                )
                channels0 = channels1
                channels1 = 2 * (w if height0 == height1 else 2 * (w // 2)) + 4 * w
                height0 = height1
            if aux and s == 1:
                self.aux_head = AuxHead(channels1, height1, width1, classes)
        self.dropout = nn.Dropout(drop)
        self.last_linear = nn.Linear(channels1, classes)
        self.skip = skip
        self.n = n
        self.aux = aux

    def forward(self, x: Tensor) -> Tensor | NASNetAOutputs:
        aux_head: Tensor | None = None
        x = self.conv0(x)
        x, y = self.cell_stem_0(x, x)
        x, y = self.cell_stem_1(x, y)
        for s in range(3):
            if s > 0:
                y, out = getattr(self, f"reduction_cell_{s - 1}")(x, y)
                if not self.skip:
                    x = y
                y = out
            for i in range(self.n):
                x, y = getattr(self, f"cell_{s * self.n + i}")(x, y)
            if self.aux and s == 1 and self.training:
                aux_head = self.aux_head(y)
        y = F.relu(y)
        y = y.mean((2, 3))
        x = self.last_linear(self.dropout(y))
        if is_scripting() or aux_head is not None:
            return NASNetAOutputs(x, aux_head)
        return x


def nasnet_a_mobile(drop: float = 0.5, classes: int = 1000) -> NASNetA:
    """Return a new nasnet_a_mobile, with random weights."""
    return NASNetA(32, 44, 4, (224, 224), aux=True, drop=drop, classes=classes)
