"""Recipe of `sentiment-en-gru`: that of `sentiment-en` with a GRU, to be compared with the LSTM.

python -m training.sentiment_en_gru --data data
"""

from training.sentiment_en_small import small_recipe

RECIPE = small_recipe("sentiment-en-gru", "gru", "a GRU")

if __name__ == "__main__":
    RECIPE.command()()
