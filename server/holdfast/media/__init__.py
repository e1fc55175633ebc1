"""Pictures made fit for a history, by decoding them: the edge beside `conversation.media`.

Law: what is accepted is accepted for ever, so it is made small before it is accepted. Only this
package knows Pillow, and it loads it in a worker thread, when the first picture comes.
"""
