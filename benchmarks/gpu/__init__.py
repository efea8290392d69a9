"""What one GPU answers in eight minutes; ``python -m benchmarks.gpu --out DIR`` (``make gpu``).

Needs this tree, torch, transformers, numba, h5py, scipy and the packages of ``wheels.txt``; no Ray,
no network. LoRA is measured where peft is.
"""
