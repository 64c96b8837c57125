"""All layouts, by name. A new layout is a file beside this one and a line in `_ALL`. Those that recognise a kind of
network by its structure are in `_GENERAL`."""

from app.importers.layout import Layout
from app.importers.layouts import (
    bentrevett_sentiment,
    bentrevett_seq2seq,
    chatbot_tutorial,
    cvnd_captioning,
    fastai_awd_lstm,
    general_frames,
    general_language_model,
    general_series,
    general_tagger,
    general_text,
    generic,
    joeynmt,
    keras_classifier,
    keras_forecaster,
    keras_language_model,
    keras_tagger,
    keras_translation,
    opennmt,
    pytorch_seq2seq_tutorial,
    series_convolutions,
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
    fastai_awd_lstm.FastaiClassifier(),
    fastai_awd_lstm.FastaiLanguageModel(),
    keras_classifier.KerasTextClassifier(),
    keras_classifier.KerasSeriesClassifier(),
    keras_forecaster.KerasForecaster(),
    keras_tagger.KerasTagger(),
    keras_language_model.KerasLanguageModel(),
    keras_translation.KerasTranslation(),
    generic.GenericClassifier(),
    generic.GenericEncoderDecoder(),
)
_GENERAL: tuple[Layout, ...] = (  # by structure: asked after all others
    general_language_model.GeneralLanguageModel(),
    general_text.TextClassifier(),
    general_tagger.GeneralTagger(),
    general_frames.FramesClassifier(),
    series_convolutions.ResNetClassifier(),
    series_convolutions.ResNetForecaster(),
    series_convolutions.FcnClassifier(),
    series_convolutions.FcnForecaster(),
    general_series.SeriesForecaster(),
    general_series.SeriesClassifier(),
)
PRESETS = {layout.name: layout for layout in _ALL}
GENERAL = {layout.name: layout for layout in _GENERAL}
LAYOUTS = PRESETS | GENERAL
