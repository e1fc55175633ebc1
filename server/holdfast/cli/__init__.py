"""The command line: the same functions as the language server's commands, without an editor.

Law: stdout is for results, stderr for what went wrong, in one line with the next step; never a
traceback. Heavy modules are imported by the command that needs them.
"""
