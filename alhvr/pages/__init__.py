"""All HTML that the engine writes: safe markup, the parts of a page, their style."""
