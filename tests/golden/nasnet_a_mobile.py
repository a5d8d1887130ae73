"""nasnet_a_mobile: NASNetA of nasnet.net, compiled by netdsl 0.1.0.

Input 3x224x224, output 1000, aux_head 1000; 7,701,218 parameters, 563,638,816 MACs a sample.
"""

from collections import OrderedDict
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F


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
    """What NASNetA returns."""

    out: Tensor
    aux_head: Tensor


class ActConvBn(nn.Module):
    """Block ActConvBn of nasnet.net."""

    def __init__(self, in_channels: int, c: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, c, 1, bias=False)
        self.bn = nn.BatchNorm2d(c, eps=0.001)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(x)
        x = self.conv(x)
        x = self.bn(x)
        return x


class SeparableConv2d(nn.Module):
    """Block SeparableConv2d of nasnet.net."""

    def __init__(self, in_channels: int, k: int, c: int, stride: int = 1) -> None:
        super().__init__()
        self.depthwise_conv2d = Conv2dSame(
            in_channels,
            in_channels,
            k,
            stride=stride,
            groups=in_channels,
            bias=False,
        )
        self.pointwise_conv2d = nn.Conv2d(in_channels, c, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        x = self.depthwise_conv2d(x)
        x = self.pointwise_conv2d(x)
        return x


class BranchSeparables(nn.Module):
    """Block BranchSeparables of nasnet.net."""

    def __init__(self, in_channels: int, k: int, c: int, stride: int = 1) -> None:
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

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(32, 11, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        x = F.pad(x, (-1, 1, -1, 1))
        x = F.avg_pool2d(x, 1, stride=2, count_include_pad=False)
        x = self.conv(x)
        return x


class ReductionCell(nn.Module):
    """Block ReductionCell of nasnet.net."""

    def __init__(self, in_channels: int, c: int, channels: int, raw: bool = False) -> None:
        super().__init__()
        self.conv_prev_1x1: nn.Module | None = None
        if not raw:
            self.conv_prev_1x1 = ActConvBn(in_channels, c)
        self.conv_1x1 = ActConvBn(in_channels, c)
        self.comb_iter_0_left = BranchSeparables(c, 5, c, stride=2)
        self.comb_iter_0_right = BranchSeparables(channels, 7, c, stride=2)
        self.comb_iter_1_right = BranchSeparables(channels, 7, c, stride=2)
        self.comb_iter_2_right = BranchSeparables(channels, 5, c, stride=2)
        self.comb_iter_4_left = BranchSeparables(c, 3, c)

    def forward(self, prev: Tensor, cur: Tensor) -> tuple[Tensor, Tensor]:
        if self.conv_prev_1x1 is not None:
            prev = self.conv_prev_1x1(prev)
        right = self.conv_1x1(cur)
        comb_iter_0_left = self.comb_iter_0_left(right)
        comb_iter_0_right = self.comb_iter_0_right(prev)
        comb_iter_0_left += comb_iter_0_right
        del comb_iter_0_right
        y = max_pool2d_same(right, 3, stride=2)
        comb_iter_1_right = self.comb_iter_1_right(prev)
        y += comb_iter_1_right
        del comb_iter_1_right
        z = avg_pool2d_same(right, 3, stride=2, count_include_pad=False)
        prev = self.comb_iter_2_right(prev)
        z += prev
        del prev
        w = F.avg_pool2d(comb_iter_0_left, 3, stride=1, padding=1, count_include_pad=False)
        w += y
        comb_iter_0_left = self.comb_iter_4_left(comb_iter_0_left)
        right = max_pool2d_same(right, 3, stride=2)
        comb_iter_0_left += right
        del right
        y = torch.cat((y, z, w, comb_iter_0_left), 1)
        return cur, y


class ReductionCell2(nn.Module):
    """Block ReductionCell of nasnet.net."""

    def __init__(self) -> None:
        super().__init__()
        self.conv_1x1 = ActConvBn(44, 22)
        self.path_1 = nn.Sequential(
            OrderedDict(
                [
                    ("0", nn.AvgPool2d(1, stride=2, count_include_pad=False)),
                    ("conv", nn.Conv2d(32, 11, 1, bias=False)),
                ],
            ),
        )
        self.path_2 = Path2()
        self.final_path_bn = nn.BatchNorm2d(22, eps=0.001)
        self.comb_iter_0_left = BranchSeparables(22, 5, 22, stride=2)
        self.comb_iter_0_right = BranchSeparables(22, 7, 22, stride=2)
        self.comb_iter_1_right = BranchSeparables(22, 7, 22, stride=2)
        self.comb_iter_2_right = BranchSeparables(22, 5, 22, stride=2)
        self.comb_iter_4_left = BranchSeparables(22, 3, 22)

    def forward(self, prev: Tensor, cur: Tensor) -> tuple[Tensor, Tensor]:
        right = self.conv_1x1(cur)
        prev = F.relu(prev)
        path_1 = self.path_1(prev)
        prev = self.path_2(prev)
        path_1 = torch.cat((path_1, prev), 1)
        del prev
        path_1 = self.final_path_bn(path_1)
        comb_iter_0_left = self.comb_iter_0_left(right)
        comb_iter_0_right = self.comb_iter_0_right(path_1)
        comb_iter_0_left += comb_iter_0_right
        del comb_iter_0_right
        y = max_pool2d_same(right, 3, stride=2)
        comb_iter_1_right = self.comb_iter_1_right(path_1)
        y += comb_iter_1_right
        del comb_iter_1_right
        z = avg_pool2d_same(right, 3, stride=2, count_include_pad=False)
        path_1 = self.comb_iter_2_right(path_1)
        z += path_1
        del path_1
        w = F.avg_pool2d(comb_iter_0_left, 3, stride=1, padding=1, count_include_pad=False)
        w += y
        comb_iter_0_left = self.comb_iter_4_left(comb_iter_0_left)
        right = max_pool2d_same(right, 3, stride=2)
        comb_iter_0_left += right
        del right
        y = torch.cat((y, z, w, comb_iter_0_left), 1)
        return cur, y


class NormalCellPath2(nn.Module):
    """Container path_2 of nasnet.net."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        x = F.pad(x, (-1, 1, -1, 1))
        x = F.avg_pool2d(x, 1, stride=2, count_include_pad=False)
        x = self.conv(x)
        return x


class NormalCell(nn.Module):
    """Block NormalCell of nasnet.net."""

    def __init__(self, in_channels: int, channels: int, c: int) -> None:
        super().__init__()
        self.conv_1x1 = ActConvBn(channels, c)
        self.path_1 = nn.Sequential(
            OrderedDict(
                [
                    ("0", nn.AvgPool2d(1, stride=2, count_include_pad=False)),
                    ("conv", nn.Conv2d(in_channels, c // 2, 1, bias=False)),
                ],
            ),
        )
        self.path_2 = NormalCellPath2(in_channels, c // 2)
        self.final_path_bn = nn.BatchNorm2d(c, eps=0.001)
        self.comb_iter_0_left = BranchSeparables(c, 5, c)
        self.comb_iter_0_right = BranchSeparables(c, 3, c)
        self.comb_iter_1_left = BranchSeparables(c, 5, c)
        self.comb_iter_1_right = BranchSeparables(c, 3, c)
        self.comb_iter_4_left = BranchSeparables(c, 3, c)

    def forward(self, prev: Tensor, cur: Tensor) -> tuple[Tensor, Tensor]:
        right = self.conv_1x1(cur)
        prev = F.relu(prev)
        path_1 = self.path_1(prev)
        prev = self.path_2(prev)
        path_1 = torch.cat((path_1, prev), 1)
        del prev
        path_1 = self.final_path_bn(path_1)
        comb_iter_0_left = self.comb_iter_0_left(right)
        comb_iter_0_right = self.comb_iter_0_right(path_1)
        comb_iter_0_left += comb_iter_0_right
        del comb_iter_0_right
        comb_iter_1_left = self.comb_iter_1_left(path_1)
        comb_iter_1_right = self.comb_iter_1_right(path_1)
        comb_iter_1_left += comb_iter_1_right
        del comb_iter_1_right
        y = F.avg_pool2d(right, 3, stride=1, padding=1, count_include_pad=False)
        y += path_1
        z = F.avg_pool2d(path_1, 3, stride=1, padding=1, count_include_pad=False)
        w = F.avg_pool2d(path_1, 3, stride=1, padding=1, count_include_pad=False)
        z += w
        del w
        comb_iter_4_left = self.comb_iter_4_left(right)
        comb_iter_4_left += right
        del right
        path_1 = torch.cat((path_1, comb_iter_0_left, comb_iter_1_left, y, z, comb_iter_4_left), 1)
        return cur, path_1


class NormalCell2(nn.Module):
    """Block NormalCell of nasnet.net."""

    def __init__(self, in_channels: int, c: int) -> None:
        super().__init__()
        self.conv_prev_1x1 = ActConvBn(in_channels, c)
        self.conv_1x1 = ActConvBn(6 * c, c)
        self.comb_iter_0_left = BranchSeparables(c, 5, c)
        self.comb_iter_0_right = BranchSeparables(c, 3, c)
        self.comb_iter_1_left = BranchSeparables(c, 5, c)
        self.comb_iter_1_right = BranchSeparables(c, 3, c)
        self.comb_iter_4_left = BranchSeparables(c, 3, c)

    def forward(self, prev: Tensor, cur: Tensor) -> tuple[Tensor, Tensor]:
        prev = self.conv_prev_1x1(prev)
        right = self.conv_1x1(cur)
        comb_iter_0_left = self.comb_iter_0_left(right)
        comb_iter_0_right = self.comb_iter_0_right(prev)
        comb_iter_0_left += comb_iter_0_right
        del comb_iter_0_right
        comb_iter_1_left = self.comb_iter_1_left(prev)
        comb_iter_1_right = self.comb_iter_1_right(prev)
        comb_iter_1_left += comb_iter_1_right
        del comb_iter_1_right
        y = F.avg_pool2d(right, 3, stride=1, padding=1, count_include_pad=False)
        y += prev
        z = F.avg_pool2d(prev, 3, stride=1, padding=1, count_include_pad=False)
        w = F.avg_pool2d(prev, 3, stride=1, padding=1, count_include_pad=False)
        z += w
        del w
        comb_iter_4_left = self.comb_iter_4_left(right)
        comb_iter_4_left += right
        del right
        prev = torch.cat((prev, comb_iter_0_left, comb_iter_1_left, y, z, comb_iter_4_left), 1)
        return cur, prev


class AuxHead(nn.Module):
    """Block AuxHead of nasnet.net."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.conv = nn.Sequential(
            nn.Conv2d(528, 128, 1, bias=False),
            nn.BatchNorm2d(128, eps=0.001),
            nn.ReLU(inplace=True),
        )
        self.full = nn.Sequential(
            nn.Linear(2048, 768, bias=False),
            nn.BatchNorm1d(768, eps=0.001),
            nn.ReLU(inplace=True),
        )
        self.fc = nn.Linear(768, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(x)
        x = F.avg_pool2d(x, 5, stride=3, count_include_pad=False)
        x = self.conv(x)
        x = self.full(x.flatten(1))
        x = self.fc(x)
        return x


class NASNetA(nn.Module):
    """Net NASNetA of nasnet.net."""

    def __init__(self, drop: float = 0.5, classes: int = 1000) -> None:
        super().__init__()
        self.conv0 = nn.Sequential(
            OrderedDict(
                [
                    ("conv", nn.Conv2d(3, 32, 3, stride=2, bias=False)),
                    ("bn", nn.BatchNorm2d(32, eps=0.001)),
                ],
            ),
        )
        self.cell_stem_0 = ReductionCell(32, 11, 32, raw=True)
        self.cell_stem_1 = ReductionCell2()
        self.cell_0 = NormalCell(44, 88, 44)
        self.cell_1 = NormalCell2(88, 44)
        self.cell_2 = NormalCell2(264, 44)
        self.cell_3 = NormalCell2(264, 44)
        self.reduction_cell_0 = ReductionCell(264, 88, 88)
        self.cell_4 = NormalCell(264, 352, 88)
        self.cell_5 = NormalCell2(352, 88)
        self.cell_6 = NormalCell2(528, 88)
        self.cell_7 = NormalCell2(528, 88)
        self.aux_head = AuxHead(classes)
        self.reduction_cell_1 = ReductionCell(528, 176, 176)
        self.cell_8 = NormalCell(528, 704, 176)
        self.cell_9 = NormalCell2(704, 176)
        self.cell_10 = NormalCell2(1056, 176)
        self.cell_11 = NormalCell2(1056, 176)
        self.dropout = nn.Dropout(drop)
        self.last_linear = nn.Linear(1056, classes)

    def forward(self, x: Tensor) -> Tensor | NASNetAOutputs:
        x = self.conv0(x)
        x, y = self.cell_stem_0(x, x)
        x, y = self.cell_stem_1(x, y)
        x, y = self.cell_0(x, y)
        x, y = self.cell_1(x, y)
        x, y = self.cell_2(x, y)
        x, y = self.cell_3(x, y)
        x, y = self.reduction_cell_0(x, y)
        x, y = self.cell_4(x, y)
        x, y = self.cell_5(x, y)
        x, y = self.cell_6(x, y)
        x, y = self.cell_7(x, y)
        if self.training:
            aux_head = self.aux_head(y)
        x, y = self.reduction_cell_1(x, y)
        x, y = self.cell_8(x, y)
        x, y = self.cell_9(x, y)
        x, y = self.cell_10(x, y)
        _, x = self.cell_11(x, y)
        del y
        x = F.relu(x, inplace=True)
        x = x.mean((2, 3))
        x = self.dropout(x)
        x = self.last_linear(x)
        if self.training:
            return NASNetAOutputs(x, aux_head)
        return x


def nasnet_a_mobile(drop: float = 0.5, classes: int = 1000) -> NASNetA:
    """Return a new nasnet_a_mobile, with random weights."""
    return NASNetA(drop, classes)
