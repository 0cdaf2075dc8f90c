"""Networks whose activations encryption can compute."""
