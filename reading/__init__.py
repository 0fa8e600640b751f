"""From a data folder to windows: text files, basins, concepts, attributes, what a training draws from them."""
