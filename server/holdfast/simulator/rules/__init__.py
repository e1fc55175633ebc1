"""The rules by which the simulator refuses a request, one module per family.

Law: a rule is a function that returns when the request keeps it and raises the first `Refusal`
when not. The rules are written from the specification alone and share no code with the product,
so that both can be wrong only independently.
"""
