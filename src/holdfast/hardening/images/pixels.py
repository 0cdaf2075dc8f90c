"""Pictures as modules take them."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from holdfast.data.images import Images


def tensors(images: Images, device: torch.device) -> tuple[Tensor, Tensor]:
    """Pictures as modules take them, (n, channels, height, width) float32 from 0 to 1, and their classes (n,)."""
    pixels = torch.from_numpy(images.pixels.transpose(0, 3, 1, 2).astype(np.float32) / np.float32(255))
    return pixels.to(device), torch.from_numpy(images.y.copy()).to(device)
