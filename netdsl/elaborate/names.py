"""Which names a spec may not give, because emitted code needs them for itself; what is called after a label."""

from __future__ import annotations

import re
from functools import cache
from keyword import iskeyword, issoftkeyword

# attributes of torch.nn.Module, torch.nn.Sequential and flax.nnx.Module, and what nnx looks for on every module
_ATTRIBUTES = frozenset(
    """
    T_destination add_module append apply bfloat16 buffers call_super_init children compile cpu cuda
    double dump_patches eval extend extra_repr float forward get_buffer get_extra_state get_parameter
    get_submodule half insert ipu load_state_dict modules mtia named_buffers named_children
    named_modules named_parameters parameters pop register_backward_hook register_buffer
    register_forward_hook register_forward_pre_hook register_full_backward_hook
    register_full_backward_pre_hook register_load_state_dict_post_hook register_load_state_dict_pre_hook
    register_module register_parameter register_state_dict_post_hook register_state_dict_pre_hook
    requires_grad_ set_extra_state set_submodule share_memory state_dict to to_empty train training type
    xpu zero_grad iter_children iter_modules perturb set_attributes sow
    deterministic use_running_average set_view
    forward_features FEATURE_CHANNELS FEATURE_STRIDES FEATURE_INPUTS
    """.split()
)
GLOBALS = frozenset(
    """
    self nn F torch Tensor jax jnp nnx partial Callable annotations Final NamedTuple OrderedDict
    Conv2dSame DropPath LayerNorm2d Permute GlobalAvgPool2d Tokens Token channel_shuffle split_equally
    check_size check_condition check_same_size of_same_size size_2d pad_same center_crop RMSNorm2d InstanceNormOfMaps
    GroupedLocalResponseNorm grouped_local_response_norm
    StdConv2d StdConv2dSame BlurPool2d standardized_conv blur_pool2d RandomLeakyRelu
    to_windows from_windows from_windows_last window_mask attend_by_heads pad_to_multiple shift_within
    relative_positions relative_coords relative_bias UnbiasedKeys KeysWithoutBias Exp kept_tensor kept_value
    max_pool2d_same avg_pool2d_same MaxPool2dSame AvgPool2dSame
    FeatureMaps note_map deepcopy recomputed Recomputed same_buffers checkpoint contextmanager nullcontext
    AbstractContextManager Iterator is_scripting FittedConv ConvThatFits MixingLinear TokenLinear value_of
    split_by_sizes slice_along slice2d resize_like resize2d enlarge2d pad2d pad_channels depth_to_space
    space_to_depth MeanAlong AmaxAlong mean_along amax_along map_of_tokens map_like MapOfTokens expand_channels
    functools math lax Array DTypeLike Any Iterable Sequence TypedDict Unpack dot_product_attention_weights
    abs
    options dtype param_dtype precision rngs PrecisionLike LayerOptions make_norm
    uniform_between uniform_by_fan_in normal_around normal_cut_at_two learned UnbiasedBatchNorm GroupedTranspose
    attend NamedSequential Stacked max_pool2d dilated_max_pool2d avg_pool2d adaptive_pool2d global_avg_pool2d
    max_along max_pool2d_by_mode avg_pool2d_by_mode
    ceil_padding ceil_max_pool2d ceil_avg_pool2d local_response_norm repeat_for_batch crop_like
    LearnedRelu hard_tanh replace_below linear_softplus tanh_shrink hard_shrink soft_shrink
    shift2d upsample2d flatten_chw flatten_samples unflatten_samples tokens_of_map take_token
    range super isinstance int float bool str tuple list dict None True False enumerate zip len max min sum round
    getattr setattr ValueError add_child child_at
    """.split()
)


LIKE_NUMBERS = ("l", "O", "I")
"""Names that are hard to tell from a number: no parameter has one, and no variable of emitted code."""


def class_name(label: str) -> str:
    """Return what the class of something is called that has only a label: `AttnPool` of `attn_pool`."""
    return "".join(part[:1].upper() + part[1:] for part in re.split("[_.-]", label))


def readable(name: str) -> str:
    """Return what a variable of emitted code is called for a value of the spec with that name."""
    return f"{name}_" if name in LIKE_NUMBERS else name


_KEY = re.compile(r"[A-Za-z0-9_-]+")


_MAPPING = frozenset("clear items keys pop popitem setdefault update values".split())
"""Attributes of torch.nn.ModuleDict and flax.nnx.Dict that no module has."""


@cache
def reserved_key(name: str) -> str:
    """Return why a label cannot be a key of a state_dict, or an empty string: of a list what is behind the dots."""
    first, *others = name.split(".")
    if not all(map(_KEY.fullmatch, (first, *others))):
        return (
            "is no key of a state_dict: those here are letters, digits, underscores and hyphens, between dots"
        )
    reasons = (reserved_attribute(part) for part in (first, *others) if part.isidentifier())
    return next(filter(None, reasons), "") or (  # `block1-0` and `0` are read by key
        "has a name that every mapping of modules has" if not _MAPPING.isdisjoint(others) else ""
    )


def allowed_key(name: str) -> str:
    """Return a label like one that cannot be a key: `class_1`, `my_conv`."""
    parts = [re.sub(r"[^A-Za-z0-9_-]+", "_", part).strip("_") or "part" for part in name.split(".")]
    whole = ".".join(parts)
    while reserved_key(whole):
        parts = [f"{part}_1" if reserved_key(part) or part in _MAPPING else part for part in parts]
        whole = ".".join(parts)
    return whole


@cache
def lists_of(name: str) -> tuple[str, ...]:
    """Return the lists that a label is in: of `a.b.0` those called `a` and `a.b`."""
    parts = name.split(".")
    return tuple(".".join(parts[:count]) for count in range(1, len(parts)))


def reserved_attribute(name: str) -> str:
    """Return why an emitted class cannot have an attribute or a value, or an empty string."""
    if not name.isidentifier() or not name.isascii():
        return "is not an identifier"
    if iskeyword(name):
        return "is a keyword of Python"
    if name.startswith("_"):
        return "begins with an underscore, which emitted classes keep for themselves"
    if name in _ATTRIBUTES:
        return "is an attribute that every module has"
    if name in GLOBALS:
        return "is a name that emitted code needs"
    return ""


def reserved_variable(name: str) -> str:
    """Return why a number or the variable of a loop cannot have a name, or an empty string."""
    if name in ("x", "flow"):
        return "is the value that flows"
    if iskeyword(name):
        return "is a keyword of Python"
    if name.startswith("__"):
        return "begins with two underscores, which Python keeps for itself"
    return "is a name that emitted code needs" if name in GLOBALS else ""


def reserved_name(name: str) -> str:
    """Return why a net, block, variant or parameter cannot have a name, or an empty string."""
    if name in ("x", "flow"):
        return "is the value that flows"
    if name == "cls":
        return "is what classes of flax.nnx take their own class for"
    if name in LIKE_NUMBERS:
        return "is hard to tell from a number"
    if issoftkeyword(name) and name != "type":
        return "is a keyword of Python"
    return reserved_attribute(name)
