"""SceneError: what a person can fix about a node or a result, in one sentence."""


class SceneError(Exception):
    """Something in the scene or on the disk does not allow a step; its text is one sentence for the panel."""
