"""The dual networks: U-Net (2-D, 3-D), V-Net (3-D) and the feature perturbation."""
