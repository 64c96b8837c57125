"""How far back a recurrent network can look: three measurements, their plots and their page."""
