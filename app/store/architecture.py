"""The architecture of a network, as a manifest describes it: one file for each kind of network. Nothing here imports
torch.

`app/models/` builds an `nn.Module` from it; the front end describes it in words. A size is a number of features unless
its name says otherwise.
"""

from typing import Annotated

from pydantic import Field

from app.store.classifier import Classifier
from app.store.encoder_decoder import EncoderDecoder
from app.store.forecaster import Forecaster
from app.store.language_model import LanguageModel
from app.store.tagger import Tagger
from app.store.window_language_model import WindowLanguageModel

WritesTokens = EncoderDecoder | LanguageModel | WindowLanguageModel
Architecture = Annotated[
    Classifier | Tagger | Forecaster | EncoderDecoder | LanguageModel | WindowLanguageModel,
    Field(discriminator="kind"),
]
