"""What a check found, as one HTML page."""
