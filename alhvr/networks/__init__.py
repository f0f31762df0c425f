"""The networks, their registry, their export as ONNX, and the feature perturbation."""
