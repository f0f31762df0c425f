"""Archives of a hospital: found, pulled and pushed when asked for; no other host is contacted, and nothing listens."""
