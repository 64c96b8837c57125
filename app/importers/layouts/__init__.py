"""All layouts, by name. A new layout is a file beside this one and a line in `_ALL`."""

from app.importers.layout import Layout
from app.importers.layouts import (
    bentrevett_sentiment,
    bentrevett_seq2seq,
    chatbot_tutorial,
    cvnd_captioning,
    generic,
    joeynmt,
    opennmt,
    pytorch_seq2seq_tutorial,
    sgrvinod_captioning,
    udacity_sentiment,
    yunjey_captioning,
)

_ALL: tuple[Layout, ...] = (
    pytorch_seq2seq_tutorial.Plain(),
    pytorch_seq2seq_tutorial.Attentive(),
    pytorch_seq2seq_tutorial.Positional(),
    yunjey_captioning.Yunjey(),
    bentrevett_sentiment.Legacy(),
    bentrevett_sentiment.Present(),
    bentrevett_seq2seq.Plain(),
    bentrevett_seq2seq.Context(),
    bentrevett_seq2seq.Attentive(),
    cvnd_captioning.Cvnd(),
    sgrvinod_captioning.Sgrvinod(),
    udacity_sentiment.Udacity(),
    opennmt.OpenNMT(),
    joeynmt.Joeynmt(),
    chatbot_tutorial.Chatbot(),
    generic.GenericClassifier(),
    generic.GenericEncoderDecoder(),
)
LAYOUTS = {layout.name: layout for layout in _ALL}
