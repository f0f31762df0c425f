"""A run of the project: started so that it outlives Slicer, followed by what it writes, asked to stop."""
