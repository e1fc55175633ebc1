"""The tools a model may call: one module per tool, permissions, processes, files.

Law: tools ask before they act, stay in the workspace, are bounded in time and output, and leave a
journal record before and after. A tool's failure is a result for the model, never an exception.
"""
