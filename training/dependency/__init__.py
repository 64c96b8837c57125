"""Long-term dependency in recurrent networks: three measurements, their plots and their page."""
