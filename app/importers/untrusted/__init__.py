"""The child process that opens a foreign file. It does not import torch, nor anything that the file names."""
