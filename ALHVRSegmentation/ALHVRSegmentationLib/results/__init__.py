"""What the engine wrote, as nodes of the scene."""
