"""The engine: what was promised, what was said, and what follows from it. No sockets, no grpc, no clock of its own.

The nouns, one meaning a word:

- *route*: one listening address, its upstream, and the names of the agents on both sides.
- *exchange*: one RPC, from headers to trailers, whatever its cardinality.
- *message*: one payload in an exchange; its *document* is the JSON form that specs and rules see.
- *lineage*: what one exchange inherits from the one that caused it.
- *check*: one behaviour. It complains in *findings*; only `policy` turns them into a *decision*.
- *outcome*: the frozen end of an exchange, as reporters see it.

A call's story is told in `pipeline.Engine`: start, message (each way), end.
"""
