"""A labelled set for verifiers: what an agent was told, what it answered, and whether that answer deserves a block.

A *source* is a pair of documents written for this set: a request that holds facts and a question, and an answer that
is faithful to them. A *mutation* spoils an answer in one known way, a *rewrite* changes its words and not what it
claims. A *case* is one pair of documents with its label. Nothing here knows how any verifier works.
"""
