"""Graphs of ONNX as checkpoints by torch's names."""
