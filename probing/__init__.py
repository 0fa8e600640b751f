"""What the cell states hold: probes and their controls, changed states, the report and the page to look at."""
