"""Recipe of `sentiment-en-rnn`, to be compared with two other cells: see `training.sentiment_en_cells`.

python -m training.sentiment_en_rnn --data data
"""

from training.sentiment_en_cells import cell_recipe

RECIPE = cell_recipe("rnn_tanh", "a plain RNN (tanh)")

if __name__ == "__main__":
    RECIPE.command()()
