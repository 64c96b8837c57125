"""Recipe of `sentiment-en-gru`, to be compared with two other cells: see `training.sentiment_en_cells`.

python -m training.sentiment_en_gru --data data
"""

from training.sentiment_en_cells import cell_recipe

RECIPE = cell_recipe("gru", "a GRU")

if __name__ == "__main__":
    RECIPE.command()()
