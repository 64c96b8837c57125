"""Recipe of `sentiment-en-lstm`, to be compared with two other cells: see `training.sentiment_en_cells`.

python -m training.sentiment_en_lstm --data data
"""

from training.sentiment_en_cells import cell_recipe

RECIPE = cell_recipe("lstm", "an LSTM")

if __name__ == "__main__":
    RECIPE.command()()
