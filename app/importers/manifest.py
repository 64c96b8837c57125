"""The manifest of an imported version."""

from collections.abc import Sequence

from pydantic import ValidationError

from app.errors import ImportFailed
from app.importers.layout import Converted
from app.models.networks import Classifier, EncoderDecoder
from app.store.manifest import Manifest, TokenizerUse

SOURCE_FILE, TARGET_FILE = "tokenizer.json", "target_tokenizer.json"


def manifest_of(
    converted: Converted,
    network: Classifier | EncoderDecoder,
    *,
    name: str,
    version: int,
    description: str,
    labels: Sequence[str],
    languages: tuple[str | None, str | None],
    licence: str,
) -> Manifest:
    """Without files: publishing adds them. Raises ImportFailed if no valid manifest can be made."""
    source = converted.source or converted.target
    assert source is not None
    target: TokenizerUse | None = None
    if converted.source is not None and converted.target is not None:
        target = converted.target.use.model_copy(update={"file": TARGET_FILE})
    labels = tuple(labels or converted.labels)
    if isinstance(network, Classifier):
        _check_labels(labels, network.config.labels)
    try:
        return Manifest(
            name=name,
            version=version,
            task=converted.task,
            description=description,
            source_language=languages[0],
            target_language=languages[1],
            architecture=converted.architecture,
            tokenizer=source.use.model_copy(update={"file": SOURCE_FILE}),
            target_tokenizer=target,
            labels=labels,
            image=converted.image,
            decoding=converted.decoding,
            limits=converted.limits,
            precision="float32",
            parameters=sum(parameter.numel() for parameter in network.parameters()),
            files={},
            licence=licence,
        )
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"])) or "the whole"
        raise ImportFailed(f"the manifest would be invalid, {where}: {first['msg']}") from error


def _check_labels(labels: Sequence[str], count: int) -> None:
    if len(labels) != count:
        examples = ["negative", "positive", *map(str, range(2, count))][:count]
        raise ImportFailed(
            f"the network has {count} labels: name them in order, for example --labels {','.join(examples)}"
        )
