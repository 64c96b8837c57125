"""The model that OpenAI's clients name."""

from app.api.options import Options


def chosen_model(model: str, *, priority: int, timeout_ms: int | None) -> Options:
    """The model that answers, by its name or as `name/version`, and when."""
    name, _, version = model.partition("/")
    number = int(version) if version.isascii() and version.isdigit() and len(version) < 10 else None
    is_name = number is None or number < 1
    return Options(
        model=model if is_name else name,
        version=None if is_name else number,
        priority=priority,
        timeout_ms=timeout_ms,
    )
