"""`unroll ask`: the client on the command line."""
