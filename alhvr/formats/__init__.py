"""What other programs read: labels, coded terms, model and project folders, region tables. Standard library, numpy."""
