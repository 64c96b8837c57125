"""`unroll try`: a prompt that sends each line to a model."""
