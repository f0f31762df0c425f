"""The rules of the check: each looks at the facts of all cases and tells what is wrong, where, and what to do."""
