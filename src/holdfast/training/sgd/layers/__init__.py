"""The rule of each layer: how its forward pass is taped so that every example's gradient is known afterwards."""
