"""The PyTorch backend: what each op is in torch, and the modules that are emitted."""
