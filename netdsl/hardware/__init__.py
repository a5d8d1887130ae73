"""What a net can cost on a device: data of devices, and the roofline model."""

from __future__ import annotations

from netdsl.hardware.device import Device, find, names
from netdsl.hardware.model import Estimate, Step, estimate

__all__ = ["Device", "Estimate", "Step", "estimate", "find", "names"]
