"""Recipe of `sentiment-en-rnn`: `sentiment-en` with a plain RNN (tanh), for comparison with the LSTM.

python -m training.sentiment_en_rnn --data data
"""

from training.sentiment_en_small import small_recipe

RECIPE = small_recipe("sentiment-en-rnn", "rnn_tanh", "a plain RNN (tanh)")

if __name__ == "__main__":
    RECIPE.command()()
