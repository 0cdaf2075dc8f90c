"""Networks as affine maps between squarings: readers for PyTorch, ONNX and scikit-learn, and the encoding of images.

read_*  the front ends         values, trace   what flows while a network is read
layers, operators  its words   windows         the first convolution unrolled     assemble  the program
"""

from holdfast.private_inference.networks.encoding import PixelEncoding
from holdfast.private_inference.networks.read import is_network, read_network

__all__ = ["PixelEncoding", "is_network", "read_network"]
