"""Rules that turn texts into ids, as well-known training code has them. Each function returns a `Vocabulary`."""
