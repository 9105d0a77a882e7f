"""A chart as its files, its archive and the objects it renders, and the helm that reads them."""
