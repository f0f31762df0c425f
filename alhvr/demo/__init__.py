"""The whole story on generated scans, and its report."""
