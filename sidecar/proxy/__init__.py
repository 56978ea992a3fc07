"""The gRPC shell: listens, forwards, and lets the engine look at what passes.

*downstream* is the side that calls us, *upstream* the side that we call. Only this package touches grpc's server and
channel machinery.
"""
