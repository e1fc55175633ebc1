"""Talking to a model: the port, the Anthropic adapter, assembly, classification, capabilities.

Law: nothing above this package knows the SDK, HTTP or a status code; nothing in it knows sessions'
state. The SDK is imported in a worker thread on first use, never when the server starts (S2).
"""
