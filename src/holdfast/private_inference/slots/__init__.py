"""Programs over slots: trees in BGV, exactly, and networks in CKKS.

`choose_layout` lays a program over the slots and chooses parameters; a circuit computes it on ciphertexts. Batches of a
tree program lie interleaved, those of a network sample after sample.
"""

from __future__ import annotations

from holdfast.private_inference.program import NetworkProgram, TreeProgram
from holdfast.private_inference.slots.choose_networks import choose_network_layout
from holdfast.private_inference.slots.choose_samples import choose_sample_layout
from holdfast.private_inference.slots.choose_trees import choose_tree_layout
from holdfast.private_inference.slots.layout import SlotLayout
from holdfast.private_inference.slots.network_circuit import NetworkCircuit
from holdfast.private_inference.slots.sample_circuit import SampleCircuit
from holdfast.private_inference.slots.sample_layout import SampleLayout
from holdfast.private_inference.slots.tree_circuit import TreeCircuit

__all__ = ["NetworkCircuit", "SampleCircuit", "SampleLayout", "SlotLayout", "TreeCircuit", "choose_layout"]


def choose_layout(
    program: TreeProgram | NetworkProgram, *, width: int, batch: bool = False
) -> SlotLayout | SampleLayout:
    """The layout in which a program is asked: for single rows of so many numbers, or for batches of them.

    Raises:
        UnsupportedError: the program is too wide, too deep, or its values are too large.
    """
    if isinstance(program, TreeProgram):
        return choose_tree_layout(program, batch=batch)
    return choose_sample_layout(program, width=width) if batch else choose_network_layout(program, width=width)
