"""Weights between backends: `convert` moves them, `fit` says why they do not fit, `files` holds them."""
