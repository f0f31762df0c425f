"""The ground floor: errors, progress, files, signals and what the system can tell."""
