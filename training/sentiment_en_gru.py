"""Recipe of `sentiment-en-gru`: `sentiment-en` with a GRU, for comparison with the LSTM.

python -m training.sentiment_en_gru --data data
"""

from training.sentiment_en_small import small_recipe

RECIPE = small_recipe("sentiment-en-gru", "gru", "a GRU")

if __name__ == "__main__":
    RECIPE.command()()
