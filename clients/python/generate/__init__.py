"""Generated files of the client: `python -m generate` writes them, `--check` compares them."""
