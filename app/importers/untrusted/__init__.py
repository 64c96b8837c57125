"""What runs in the child process that opens a foreign file. It imports no torch, and nothing that the file names."""
