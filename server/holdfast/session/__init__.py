"""Sessions as values: events, the state they fold into, the turn's state machine, views.

Law: this package is pure. Time, ids and randomness come in as arguments; nothing here can hang.
"""
