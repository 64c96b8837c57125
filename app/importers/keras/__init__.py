"""Models of Keras as networks of ours: the graph is walked once into stages, then recurrence and head are chosen."""
