"""Every layer's rule gives the gradients that PyTorch gives for each example alone, and leaves the module as it was."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from tests.training.sgd.alone import clipped_alone, gradients_alone, norms_alone, row_losses, worst

from holdfast.errors import UnsupportedError

torch = pytest.importorskip("torch")
nn = torch.nn

from holdfast.training.sgd.bookkeeping import PerExampleGradients  # noqa: E402
from holdfast.training.sgd.layers import convolution  # noqa: E402

EXAMPLES = 6
FLOAT64 = 1e-12
"""A few hundred additions of numbers of about 1, at 2**-53 each."""


class Last(nn.Module):
    """The last step of a recurrent layer, whose inputs come rows first."""

    def __init__(self, layer: Any) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Any) -> Any:
        first = self.layer.batch_first
        y, _ = self.layer(x if first else x.transpose(0, 1))
        return y[:, -1] if first else y[-1]


class Given(nn.Module):
    """A recurrent layer that starts from a state made of its input."""

    def __init__(self, layer: Any) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Any) -> Any:
        state = x[:, 0, :1].expand(-1, self.layer.hidden_size)[None].contiguous()
        y, last = self.layer(x, (state, -state) if isinstance(self.layer, nn.LSTM) else state)
        return torch.cat([y.flatten(1), *(part[0] for part in (last if isinstance(last, tuple) else (last,)))], 1)


class Attend(nn.Module):
    """Attention from all positions to the first three, through a mask, with the weights among the outputs."""

    def __init__(self, **options: Any) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(6, 2, **{"batch_first": True, **options})
        self.narrow = nn.Linear(6, options.get("kdim", 6))

    def forward(self, x: Any) -> Any:
        keys, mask = self.narrow(x[:, :3]), torch.ones(4, 3, dtype=torch.bool).triu(1)
        hidden = torch.zeros(len(x), 3, dtype=torch.bool)
        hidden[:, 2] = True
        parts = (x, keys, keys) if self.attention.batch_first else tuple(p.transpose(0, 1) for p in (x, keys, keys))
        y, weights = self.attention(*parts, attn_mask=mask, key_padding_mask=hidden)
        y = y if self.attention.batch_first else y.transpose(0, 1)
        return torch.cat([y.flatten(1), weights.flatten(1)], 1)


class Tied(nn.Module):
    """A table that is also the last matrix, and a layer that is used twice."""

    def __init__(self) -> None:
        super().__init__()
        self.table, self.head, self.middle = nn.Embedding(9, 5), nn.Linear(5, 9), nn.Linear(5, 5)
        self.head.weight = self.table.weight

    def forward(self, index: Any) -> Any:
        return self.head(self.middle(self.middle(self.table(index)).tanh())).mean(1)


class Own(nn.Module):
    """A module with parameters of its own, one of them a single number."""

    def __init__(self) -> None:
        super().__init__()
        self.offset, self.scale = nn.Parameter(torch.randn(4, 3)), nn.Parameter(torch.tensor(0.7))

    def forward(self, x: Any) -> Any:
        return (x + self.offset) * self.scale


class Decode(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.TransformerDecoderLayer(6, 2, 8, dropout=0, batch_first=True)

    def forward(self, x: Any) -> Any:
        return self.layer(x, x[:, :2])


class Twice(nn.Sequential):
    """A convolution that is used twice."""

    def __init__(self) -> None:
        same = nn.Conv2d(2, 2, 3, padding=1)
        super().__init__(same, nn.Tanh(), same)


def encoder(**options: Any) -> Any:
    layer = nn.TransformerEncoderLayer(6, 2, 8, dropout=0, batch_first=True, **options)
    return nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)


def frozen() -> Any:
    module = nn.Sequential(nn.Conv2d(2, 3, 3), nn.GroupNorm(3, 3), nn.Flatten(), nn.Linear(27, 4))
    module[0].weight.requires_grad_(False)
    module[1].bias.requires_grad_(False)
    module[3].bias.requires_grad_(False)
    return module


IMAGE, SEQUENCE, VOLUME, INDEX = (2, 5, 5), (4, 6), (2, 3, 4, 5), (5,)
CASES = {
    "linear": (lambda: nn.Linear(6, 3), (6,)),
    "linear-positions": (lambda: nn.Linear(6, 3), SEQUENCE),
    "linear-many-dimensions": (lambda: nn.Linear(5, 30, bias=False), (2, 3, 5)),
    "linear-ghost": (lambda: nn.Linear(6, 40), (2, 6)),
    "conv1d": (lambda: nn.Conv1d(4, 5, 3, stride=2), (4, 9)),
    "conv2d-not-square": (lambda: nn.Conv2d(2, 3, (3, 2), stride=(2, 1), padding=(1, 0)), (2, 7, 4)),
    "conv2d-same": (lambda: nn.Conv2d(2, 3, (2, 3), padding="same", dilation=2), IMAGE),
    "conv2d-valid": (lambda: nn.Conv2d(2, 3, 2, padding="valid", bias=False), IMAGE),
    "conv2d-groups": (lambda: nn.Conv2d(6, 9, 3, groups=3, padding=1), (6, 4, 3)),
    "conv2d-depthwise": (lambda: nn.Conv2d(4, 8, 3, groups=4, dilation=2, padding=2), (4, 5, 3)),
    "conv2d-reflect": (lambda: nn.Conv2d(2, 3, 3, padding=1, padding_mode="reflect"), IMAGE),
    "conv2d-circular": (lambda: nn.Conv2d(2, 3, 3, padding=(2, 1), padding_mode="circular"), IMAGE),
    "conv3d": (lambda: nn.Conv3d(2, 4, (1, 2, 3), stride=(1, 2, 1), padding=(0, 1, 2)), VOLUME),
    "conv-in-place-relu": (lambda: nn.Sequential(nn.Conv2d(2, 3, 3), nn.ReLU(inplace=True), nn.Conv2d(3, 4, 3)), IMAGE),
    "conv-twice": (Twice, (2, 4, 3)),
    "embedding": (lambda: nn.Embedding(9, 4), INDEX),
    "embedding-padding": (lambda: nn.Embedding(9, 4, padding_idx=2), INDEX),
    "layer-norm": (lambda: nn.LayerNorm((4, 6)), SEQUENCE),
    "layer-norm-last": (lambda: nn.LayerNorm(6), SEQUENCE),
    "rms-norm": (lambda: nn.RMSNorm(6), SEQUENCE),
    "group-norm": (lambda: nn.GroupNorm(2, 4), (4, 3, 5)),
    "instance-norm-1d": (lambda: nn.InstanceNorm1d(4, affine=True), (4, 6)),
    "instance-norm-2d": (lambda: nn.InstanceNorm2d(2, affine=True), IMAGE),
    "instance-norm-3d": (lambda: nn.InstanceNorm3d(2, affine=True), VOLUME),
    "prelu": (lambda: nn.PReLU(), SEQUENCE),
    "prelu-channels": (lambda: nn.PReLU(2), IMAGE),
    "rnn": (lambda: Last(nn.RNN(6, 5, batch_first=True)), SEQUENCE),
    "rnn-relu": (lambda: Last(nn.RNN(6, 5, nonlinearity="relu", bias=False)), SEQUENCE),
    "gru": (lambda: Last(nn.GRU(6, 5, num_layers=2, bidirectional=True)), SEQUENCE),
    "gru-state": (lambda: Given(nn.GRU(6, 5, batch_first=True)), SEQUENCE),
    "lstm": (lambda: Last(nn.LSTM(6, 5, num_layers=2, bidirectional=True, batch_first=True)), SEQUENCE),
    "lstm-projection": (lambda: Last(nn.LSTM(6, 5, proj_size=2)), SEQUENCE),
    "lstm-state": (lambda: Given(nn.LSTM(6, 5, batch_first=True, bias=False)), SEQUENCE),
    "attention": (Attend, SEQUENCE),
    "attention-other-widths": (lambda: Attend(kdim=5, vdim=5), SEQUENCE),
    "attention-rows-second": (lambda: Attend(batch_first=False, bias=False), SEQUENCE),
    "encoder": (encoder, SEQUENCE),
    "encoder-evaluating": (lambda: encoder(norm_first=True).eval(), SEQUENCE),
    "decoder": (Decode, SEQUENCE),
    "tied": (Tied, INDEX),
    "own-parameters": (Own, (4, 3)),
    "transposed-convolution": (lambda: nn.ConvTranspose2d(2, 3, 2), IMAGE),
    "frozen": (frozen, IMAGE),
}


def given(name: str) -> tuple[Any, Any, Any]:
    """A module in double precision, rows for it, and their targets."""
    torch.manual_seed(3)
    make, shape = CASES[name]
    module = make().double()
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))  # norms start as ones and zeros, which hide mistakes
    if shape is INDEX:
        return module, torch.randint(0, 9, (EXAMPLES, *shape)), torch.arange(EXAMPLES)
    return module, torch.randn(EXAMPLES, *shape, dtype=torch.float64), torch.arange(EXAMPLES)


@pytest.mark.parametrize("copies", [1, 3])
@pytest.mark.parametrize("name", CASES)
def test_a_layers_clipped_sum_is_that_of_its_examples_alone(name: str, copies: int) -> None:
    module, inputs, targets = given(name)
    alone = gradients_alone(module, (inputs,), targets, copies=copies)
    clip_norm = float(norms_alone(alone).median())  # some are clipped, some are not
    before = copy.deepcopy(module.state_dict())
    found = PerExampleGradients(module).clipped_sum(
        inputs, targets, loss=row_losses, clip_norm=clip_norm, copies=copies
    )
    assert worst(found.gradients, clipped_alone(alone, clip_norm)) < FLOAT64 * clip_norm
    torch.testing.assert_close(found.norms, norms_alone(alone), rtol=FLOAT64, atol=0)
    assert found.losses.shape == (EXAMPLES // copies,)
    assert found.dropped == 0
    assert all(torch.equal(value, before[key]) for key, value in module.state_dict().items())
    assert all(parameter.grad is None for parameter in module.parameters())
    assert all("forward" not in layer.__dict__ for layer in module.modules())


@pytest.mark.parametrize("copies", [1, 3])
@pytest.mark.parametrize("name", [name for name in CASES if name.startswith("conv")])
def test_a_convolution_too_large_to_write_out_has_the_same_sum(
    name: str, copies: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    module, inputs, targets = given(name)
    options = {"loss": row_losses, "clip_norm": 0.5, "copies": copies}
    written = PerExampleGradients(module).clipped_sum(inputs, targets, **options)
    monkeypatch.setattr(convolution, "_fits", lambda *_: False)
    monkeypatch.setattr(convolution, "_SLICE_NUMBERS", 500)
    ghosts = PerExampleGradients(module).clipped_sum(inputs, targets, **options)
    assert worst(ghosts.gradients, written.gradients) < FLOAT64
    torch.testing.assert_close(ghosts.norms, written.norms, rtol=1e-9, atol=0)  # a root of differences: half the digits


def test_what_was_changed_in_place_after_a_layer_saw_it_is_noticed() -> None:
    class Changing(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = nn.Linear(3, 3), nn.Linear(3, 3)

        def forward(self, x: Any) -> Any:
            x = self.first(x)
            y = self.second(x)
            x += 1
            return x + y

    with pytest.raises(RuntimeError, match="inplace operation"):
        PerExampleGradients(Changing()).clipped_sum(torch.randn(4, 3), torch.arange(4), loss=row_losses, clip_norm=1.0)


def test_a_packed_sequence_is_refused_with_the_way_round() -> None:
    class Packing(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.GRU(2, 3, batch_first=True)

        def forward(self, x: Any) -> Any:
            return self.layer(nn.utils.rnn.pack_sequence(list(x)))[1][0]

    inputs, targets = torch.randn(4, 5, 2), torch.arange(4)
    with pytest.raises(UnsupportedError, match="batch of sequences") as caught:
        PerExampleGradients(Packing()).clipped_sum(inputs, targets, loss=row_losses, clip_norm=1.0)
    assert "batch_first=True" in caught.value.hint
