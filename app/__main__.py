"""`python -m app`: the same as the command `unroll`."""

from app.cli.main import main

if __name__ == "__main__":
    main(prog_name="unroll")
