"""The check of the data before it costs a night: facts of every case, rules over all of them, and a forecast."""
