"""The grammar of a Messages API history: blocks, rules, repair, cut points, estimates.

Law: this package is pure. It knows no session, does no I/O, reads no clock and draws no
random number; the same history always gives the same findings and the same repair.
"""
