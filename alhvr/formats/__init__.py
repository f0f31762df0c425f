"""What other programs read: labels, coded terms, model folders, region tables. Standard library and numpy."""
