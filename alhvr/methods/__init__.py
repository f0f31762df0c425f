"""Semi-supervised methods: each decides which networks there are, what a batch costs, and what follows a step."""
